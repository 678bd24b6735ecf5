//! Sums of decimals of 128 bits, as fast as the engine's, which wrap around: what runs over is counted, and the result has 256 bits.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Decimal256Array};
use datafusion::arrow::datatypes::{DataType, Decimal128Type, Decimal256Type, Field, FieldRef, i256};
use datafusion::common::ScalarValue;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, ReversedUDAF, Signature, Volatility,
};

use crate::error::Error;
use crate::functions::define::external;

static SUM: LazyLock<Arc<AggregateUDF>> =
    LazyLock::new(|| Arc::new(AggregateUDF::new_from_impl(DecimalSum { signature: Signature::any(1, Volatility::Immutable) })));

/// The sum of decimals of 128 bits as a decimal of 256.
pub(crate) fn sum() -> Arc<AggregateUDF> {
    Arc::clone(&SUM)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct DecimalSum {
    signature: Signature,
}

impl AggregateUDFImpl for DecimalSum {
    fn name(&self) -> &str {
        "sum"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> DataFusionResult<DataType> {
        match arguments {
            // Ten digits more are enough for ten thousand million rows.
            [DataType::Decimal128(precision, scale)] => {
                Ok(DataType::Decimal256(precision.saturating_add(10).clamp(39, 76), *scale))
            }
            _ => Err(external(Error::internal("a sum of decimals over something else"))),
        }
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> DataFusionResult<Box<dyn Accumulator>> {
        Ok(Box::new(OneSum { sums: Sums::default(), count: 0, data_type: args.return_field.data_type().clone() }))
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs<'_>) -> DataFusionResult<Box<dyn Accumulator>> {
        self.accumulator(args)
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> DataFusionResult<Vec<FieldRef>> {
        Ok(vec![Arc::new(Field::new(format!("{}[sum]", args.name), args.return_field.data_type().clone(), true))])
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        !args.is_distinct
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs<'_>) -> DataFusionResult<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(GroupSums { sums: Sums::default(), data_type: args.return_field.data_type().clone() }))
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

/// The low halves of sums, how often each has run over its 128 bits, and whether there was a value.
#[derive(Debug, Default)]
struct Sums {
    low: Vec<i128>,
    carry: Vec<i64>,
    seen: Vec<bool>,
}

impl Sums {
    fn resize(&mut self, groups: usize) {
        self.low.resize(groups, 0);
        self.carry.resize(groups, 0);
        self.seen.resize(groups, false);
    }

    #[inline]
    fn add(&mut self, group: usize, value: i128) {
        let (sum, over) = self.low[group].overflowing_add(value);
        self.low[group] = sum;
        if over {
            self.carry[group] += if value < 0 { -1 } else { 1 };
        }
        self.seen[group] = true;
    }

    #[inline]
    fn remove(&mut self, group: usize, value: i128) {
        let (sum, over) = self.low[group].overflowing_sub(value);
        self.low[group] = sum;
        if over {
            self.carry[group] += if value < 0 { 1 } else { -1 };
        }
    }

    fn total(&self, group: usize) -> Option<i256> {
        let carried = i256::from_parts(0, i128::from(self.carry[group]));
        self.seen[group].then(|| i256::from_i128(self.low[group]).wrapping_add(carried))
    }

    fn merge(&mut self, group: usize, value: i256) {
        let total = self.total(group).unwrap_or(i256::ZERO).wrapping_add(value);
        let (low, high) = total.to_parts();
        #[expect(clippy::cast_possible_wrap, reason = "the bits of the low half, whose sign the carry makes up for")]
        let low = low as i128;
        self.low[group] = low;
        // Sums have 76 digits at most, so that their high halves are small.
        self.carry[group] = i64::try_from(high - if low < 0 { -1 } else { 0 }).unwrap_or(i64::MAX);
        self.seen[group] = true;
    }

    fn take(&mut self, emit_to: EmitTo) -> Vec<Option<i256>> {
        let count = match emit_to {
            EmitTo::All => self.low.len(),
            EmitTo::First(count) => count,
        };
        let totals = (0..count).map(|group| self.total(group)).collect();
        emit_to.take_needed(&mut self.low);
        emit_to.take_needed(&mut self.carry);
        emit_to.take_needed(&mut self.seen);
        totals
    }

    fn size(&self) -> usize {
        self.low.capacity() * 16 + self.carry.capacity() * 8 + self.seen.capacity()
    }
}

fn decimals(values: &[ArrayRef]) -> DataFusionResult<&Decimal128Array> {
    let decimals = values.first().and_then(|values| values.as_primitive_opt::<Decimal128Type>());
    decimals.ok_or_else(|| external(Error::internal("a sum of decimals over something else")))
}

fn states(values: &[ArrayRef]) -> DataFusionResult<&Decimal256Array> {
    let decimals = values.first().and_then(|values| values.as_primitive_opt::<Decimal256Type>());
    decimals.ok_or_else(|| external(Error::internal("the state of a sum of decimals is something else")))
}

fn array(totals: Vec<Option<i256>>, data_type: &DataType) -> ArrayRef {
    Arc::new(Decimal256Array::from(totals).with_data_type(data_type.clone()))
}

#[derive(Debug)]
struct GroupSums {
    sums: Sums,
    data_type: DataType,
}

impl GroupsAccumulator for GroupSums {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> DataFusionResult<()> {
        self.sums.resize(total_num_groups);
        let values = decimals(values)?;
        if values.null_count() == 0 && opt_filter.is_none() {
            for (group, value) in group_indices.iter().zip(values.values()) {
                self.sums.add(*group, *value);
            }
            return Ok(());
        }
        for (row, group) in group_indices.iter().enumerate() {
            let counts = opt_filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
            if counts && values.is_valid(row) {
                self.sums.add(*group, values.value(row));
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> DataFusionResult<ArrayRef> {
        Ok(array(self.sums.take(emit_to), &self.data_type))
    }

    fn state(&mut self, emit_to: EmitTo) -> DataFusionResult<Vec<ArrayRef>> {
        Ok(vec![self.evaluate(emit_to)?])
    }

    fn merge_batch(&mut self, values: &[ArrayRef], group_indices: &[usize], total_num_groups: usize) -> DataFusionResult<()> {
        self.sums.resize(total_num_groups);
        let values = states(values)?;
        for (row, group) in group_indices.iter().enumerate().filter(|(row, _)| values.is_valid(*row)) {
            self.sums.merge(*group, values.value(row));
        }
        Ok(())
    }

    fn convert_to_state(&self, values: &[ArrayRef], opt_filter: Option<&BooleanArray>) -> DataFusionResult<Vec<ArrayRef>> {
        let values = decimals(values)?;
        let counts = |row: usize| opt_filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row)) && values.is_valid(row);
        let rows = (0..values.len()).map(|row| counts(row).then(|| i256::from_i128(values.value(row)))).collect();
        Ok(vec![array(rows, &self.data_type)])
    }

    fn size(&self) -> usize {
        self.sums.size()
    }
}

#[derive(Debug)]
struct OneSum {
    sums: Sums,
    /// Values that are in it.
    count: usize,
    data_type: DataType,
}

impl OneSum {
    fn value(&self) -> DataFusionResult<ScalarValue> {
        let total = if self.count == 0 { None } else { self.sums.total(0) };
        ScalarValue::try_from_array(&array(vec![total], &self.data_type), 0)
    }
}

impl Accumulator for OneSum {
    fn update_batch(&mut self, values: &[ArrayRef]) -> DataFusionResult<()> {
        self.sums.resize(1);
        let values = decimals(values)?;
        self.count += values.len() - values.null_count();
        values.iter().flatten().for_each(|value| self.sums.add(0, value));
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> DataFusionResult<()> {
        self.sums.resize(1);
        let values = decimals(values)?;
        self.count = self.count.saturating_sub(values.len() - values.null_count());
        values.iter().flatten().for_each(|value| self.sums.remove(0, value));
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> DataFusionResult<ScalarValue> {
        self.value()
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.sums.size()
    }

    fn state(&mut self) -> DataFusionResult<Vec<ScalarValue>> {
        Ok(vec![self.value()?])
    }

    fn merge_batch(&mut self, values: &[ArrayRef]) -> DataFusionResult<()> {
        self.sums.resize(1);
        let values = states(values)?;
        self.count += values.len() - values.null_count();
        values.iter().flatten().for_each(|value| self.sums.merge(0, value));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_runs_over_128_bits_and_back() {
        let widest = 10_i128.pow(38) - 1;
        let mut sums = Sums::default();
        sums.resize(2);
        for _ in 0..10 {
            sums.add(0, widest);
            sums.add(1, -widest);
        }
        let ten = i256::from_i128(widest).wrapping_mul(i256::from_i128(10));
        assert_eq!((sums.total(0), sums.total(1)), (Some(ten), Some(ten.wrapping_neg())));
        for group in [0, 1] {
            let total = sums.total(group).unwrap();
            sums.merge(group, total);
            assert_eq!(sums.total(group), Some(total.wrapping_add(total)));
        }
        for _ in 0..20 {
            sums.remove(0, widest);
            sums.remove(1, -widest);
        }
        assert_eq!((sums.total(0), sums.total(1)), (Some(i256::ZERO), Some(i256::ZERO)));
    }
}
