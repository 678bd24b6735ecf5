//! Sums and spreads of numerics with a scale each: exact, whatever the number of digits.
//!
//! Sums of decimals of one scale are the engine's. Averages and spreads of those are computed from such sums by the binder; only
//! DISTINCT spreads come here, because two numbers may have one square.

use std::collections::HashSet;
use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Int64Type};
use datafusion::common::ScalarValue;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, ReversedUDAF, Signature, Volatility,
};

use crate::error::{Error, Result};
use crate::functions::define::external;
use crate::types::numeric::{Numbers, NumericBuilder, constant, decode};
use crate::types::values::numeric::{Numeric, Spread};

static SUM: LazyLock<Arc<AggregateUDF>> = LazyLock::new(|| Arc::new(AggregateUDF::new_from_impl(ExactSum::new())));

/// The sum of numbers of any scale.
pub(crate) fn sum() -> Arc<AggregateUDF> {
    Arc::clone(&SUM)
}

/// An aggregate over values that are different: their sum, or a spread of them.
pub(crate) fn of_distinct(spread: Option<Spread>) -> Arc<AggregateUDF> {
    let signature = Signature::any(1, Volatility::Immutable);
    Arc::new(AggregateUDF::new_from_impl(DistinctNumbers { spread, signature }))
}

/// What has been summed up. Numbers that are not finite are counted, so that they can be taken away again.
#[derive(Debug, Clone, Default)]
struct Total {
    sum: Option<Numeric>,
    count: i64,
    nans: i64,
    infinities: i64,
    negative_infinities: i64,
}

impl Total {
    fn count_of(&mut self, value: &Numeric) -> Option<&mut i64> {
        if value.is_nan() {
            Some(&mut self.nans)
        } else if value.is_infinite() && value.is_negative() {
            Some(&mut self.negative_infinities)
        } else if value.is_infinite() {
            Some(&mut self.infinities)
        } else {
            None
        }
    }

    fn add(&mut self, value: Numeric) -> Result<()> {
        self.count += 1;
        if let Some(count) = self.count_of(&value) {
            *count += 1;
            return Ok(());
        }
        self.sum = Some(match &self.sum {
            None => value,
            Some(sum) => sum.add(&value)?,
        });
        Ok(())
    }

    fn remove(&mut self, value: &Numeric) -> Result<()> {
        self.count -= 1;
        if let Some(count) = self.count_of(value) {
            *count -= 1;
        } else if let Some(sum) = &self.sum {
            self.sum = Some(sum.sub(value)?);
        }
        if self.count == 0 {
            self.sum = None;
        }
        Ok(())
    }

    fn merge(&mut self, other: Total) -> Result<()> {
        self.count += other.count;
        self.nans += other.nans;
        self.infinities += other.infinities;
        self.negative_infinities += other.negative_infinities;
        self.sum = match (self.sum.take(), other.sum) {
            (Some(one), Some(two)) => Some(one.add(&two)?),
            (one, two) => one.or(two),
        };
        Ok(())
    }

    fn value(&self) -> Option<Numeric> {
        if self.count == 0 {
            None
        } else if self.nans > 0 || self.infinities > 0 && self.negative_infinities > 0 {
            Some(Numeric::nan())
        } else if self.infinities > 0 || self.negative_infinities > 0 {
            Some(Numeric::infinity(self.negative_infinities > 0))
        } else {
            self.sum.clone()
        }
    }

    const fn counts(&self) -> [i64; 4] {
        [self.count, self.nans, self.infinities, self.negative_infinities]
    }
}

/// Names of the columns of [`Total::counts`].
const COUNTS: [&str; 4] = ["count", "nans", "infinities", "negative_infinities"];

/// `sum` over numbers of any scale.
#[derive(Debug, PartialEq, Eq, Hash)]
struct ExactSum {
    signature: Signature,
}

impl ExactSum {
    fn new() -> Self {
        Self { signature: Signature::any(1, Volatility::Immutable) }
    }
}

impl AggregateUDFImpl for ExactSum {
    fn name(&self) -> &str {
        "sum"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> DataFusionResult<DataType> {
        Ok(DataType::LargeBinary)
    }

    fn accumulator(&self, _args: AccumulatorArgs<'_>) -> DataFusionResult<Box<dyn Accumulator>> {
        Ok(Box::new(SumAccumulator::default()))
    }

    fn create_sliding_accumulator(&self, _args: AccumulatorArgs<'_>) -> DataFusionResult<Box<dyn Accumulator>> {
        Ok(Box::new(SumAccumulator::default()))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> DataFusionResult<Vec<FieldRef>> {
        let counts = COUNTS.iter().map(|name| Field::new(format!("{}[{name}]", args.name), DataType::Int64, false));
        let sum = Field::new(format!("{}[sum]", args.name), DataType::LargeBinary, true);
        Ok(std::iter::once(sum).chain(counts).map(Arc::new).collect())
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        !args.is_distinct
    }

    fn create_groups_accumulator(&self, _args: AccumulatorArgs<'_>) -> DataFusionResult<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(GroupSums::default()))
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

/// Totals from the columns of a state.
fn totals(states: &[ArrayRef]) -> Result<impl Iterator<Item = Result<Total>> + '_> {
    let [sums, counts @ ..] = states else { return Err(Error::internal("the state of a sum has five columns")) };
    let sums = sums.as_binary_opt::<i64>().ok_or_else(|| Error::internal("a sum of another type"))?;
    let counts: Vec<&Int64Array> = counts.iter().filter_map(|array| array.as_primitive_opt::<Int64Type>()).collect();
    Ok((0..sums.len()).map(move |row| {
        let count = |index: usize| counts.get(index).map_or(0, |array| array.value(row));
        let sum = if sums.is_null(row) { None } else { Some(decode(sums.value(row))?) };
        Ok(Total { sum, count: count(0), nans: count(1), infinities: count(2), negative_infinities: count(3) })
    }))
}

#[derive(Debug, Default)]
struct SumAccumulator {
    total: Total,
}

impl SumAccumulator {
    fn each(values: &[ArrayRef], mut take: impl FnMut(Numeric) -> Result<()>) -> DataFusionResult<()> {
        let Some(values) = values.first() else { return Ok(()) };
        let numbers = Numbers::of(values).map_err(external)?;
        for row in 0..values.len() {
            if let Some(value) = numbers.get(row).map_err(external)? {
                take(value).map_err(external)?;
            }
        }
        Ok(())
    }
}

impl Accumulator for SumAccumulator {
    fn update_batch(&mut self, values: &[ArrayRef]) -> DataFusionResult<()> {
        Self::each(values, |value| self.total.add(value))
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> DataFusionResult<()> {
        Self::each(values, |value| self.total.remove(&value))
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> DataFusionResult<ScalarValue> {
        Ok(constant(self.total.value().as_ref()))
    }

    fn size(&self) -> usize {
        size_of_val(self) + 64
    }

    fn state(&mut self) -> DataFusionResult<Vec<ScalarValue>> {
        let counts = self.total.counts().map(|count| ScalarValue::Int64(Some(count)));
        Ok(std::iter::once(constant(self.total.sum.as_ref())).chain(counts).collect())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> DataFusionResult<()> {
        for total in totals(states).map_err(external)? {
            total.and_then(|total| self.total.merge(total)).map_err(external)?;
        }
        Ok(())
    }
}

#[derive(Debug, Default)]
struct GroupSums {
    groups: Vec<Total>,
}

impl GroupSums {
    fn group(&mut self, index: usize) -> DataFusionResult<&mut Total> {
        self.groups.get_mut(index).ok_or_else(|| external(Error::internal("a group that is not there")))
    }
}

impl GroupsAccumulator for GroupSums {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> DataFusionResult<()> {
        self.groups.resize(total_num_groups, Total::default());
        let Some(values) = values.first() else { return Ok(()) };
        let numbers = Numbers::of(values).map_err(external)?;
        for (row, group) in group_indices.iter().enumerate() {
            if opt_filter.is_some_and(|filter| filter.is_null(row) || !filter.value(row)) {
                continue;
            }
            if let Some(value) = numbers.get(row).map_err(external)? {
                self.group(*group)?.add(value).map_err(external)?;
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> DataFusionResult<ArrayRef> {
        let groups = emit_to.take_needed(&mut self.groups);
        let mut sums = NumericBuilder::with_capacity(groups.len());
        groups.iter().for_each(|total| sums.append(total.value().as_ref()));
        Ok(sums.finish())
    }

    fn state(&mut self, emit_to: EmitTo) -> DataFusionResult<Vec<ArrayRef>> {
        let groups = emit_to.take_needed(&mut self.groups);
        Ok(state_of(&groups))
    }

    fn convert_to_state(&self, values: &[ArrayRef], opt_filter: Option<&BooleanArray>) -> DataFusionResult<Vec<ArrayRef>> {
        let Some(values) = values.first() else { return Err(external(Error::internal("a sum without an argument"))) };
        let mut rows = Self::default();
        let each: Vec<usize> = (0..values.len()).collect();
        rows.update_batch(std::slice::from_ref(values), &each, opt_filter, values.len())?;
        Ok(state_of(&rows.groups))
    }

    fn merge_batch(&mut self, values: &[ArrayRef], group_indices: &[usize], total_num_groups: usize) -> DataFusionResult<()> {
        self.groups.resize(total_num_groups, Total::default());
        for (total, group) in totals(values).map_err(external)?.zip(group_indices) {
            let total = total.map_err(external)?;
            self.group(*group)?.merge(total).map_err(external)?;
        }
        Ok(())
    }

    fn size(&self) -> usize {
        self.groups.capacity() * (size_of::<Total>() + 32)
    }
}

fn state_of(groups: &[Total]) -> Vec<ArrayRef> {
    let mut sums = NumericBuilder::with_capacity(groups.len());
    groups.iter().for_each(|total| sums.append(total.sum.as_ref()));
    let counts = (0..COUNTS.len()).map(|index| {
        let column: Int64Array = groups.iter().map(|total| total.counts().get(index).copied()).collect();
        Arc::new(column) as ArrayRef
    });
    std::iter::once(sums.finish()).chain(counts).collect()
}

/// An aggregate over different numbers, without DISTINCT being said: the engine would tell `1.0` from `1.00`.
#[derive(Debug, PartialEq, Eq, Hash)]
struct DistinctNumbers {
    spread: Option<Spread>,
    signature: Signature,
}

impl AggregateUDFImpl for DistinctNumbers {
    fn name(&self) -> &str {
        if self.spread.is_some() { "spread_of_distinct" } else { "sum_of_distinct" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> DataFusionResult<DataType> {
        Ok(DataType::LargeBinary)
    }

    fn accumulator(&self, _args: AccumulatorArgs<'_>) -> DataFusionResult<Box<dyn Accumulator>> {
        Ok(Box::new(DistinctAccumulator { spread: self.spread, values: HashSet::new() }))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> DataFusionResult<Vec<FieldRef>> {
        let values = DataType::new_list(DataType::LargeBinary, true);
        Ok(vec![Arc::new(Field::new(format!("{}[values]", args.name), values, true))])
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

#[derive(Debug)]
struct DistinctAccumulator {
    spread: Option<Spread>,
    values: HashSet<Numeric>,
}

impl DistinctAccumulator {
    fn result(&self) -> Result<Option<Numeric>> {
        let mut sum = Total::default();
        let mut squares = Total::default();
        for value in &self.values {
            sum.add(value.clone())?;
            if self.spread.is_some() {
                squares.add(value.mul(value)?)?;
            }
        }
        match (self.spread, sum.value(), squares.value()) {
            (Some(what), Some(total), Some(squares)) => Numeric::spread(sum.count, &total, &squares, what),
            (_, total, _) => Ok(total),
        }
    }
}

impl Accumulator for DistinctAccumulator {
    fn update_batch(&mut self, values: &[ArrayRef]) -> DataFusionResult<()> {
        SumAccumulator::each(values, |value| {
            self.values.insert(value);
            Ok(())
        })
    }

    fn evaluate(&mut self) -> DataFusionResult<ScalarValue> {
        Ok(constant(self.result().map_err(external)?.as_ref()))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.values.capacity() * (size_of::<Numeric>() + 32)
    }

    fn state(&mut self) -> DataFusionResult<Vec<ScalarValue>> {
        let values: Vec<ScalarValue> = self.values.iter().map(|value| constant(Some(value))).collect();
        Ok(vec![ScalarValue::List(ScalarValue::new_list(&values, &DataType::LargeBinary, true))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> DataFusionResult<()> {
        let Some(lists) = states.first().and_then(|state| state.as_list_opt::<i32>()) else { return Ok(()) };
        for list in lists.iter().flatten() {
            self.update_batch(&[list])?;
        }
        Ok(())
    }
}
