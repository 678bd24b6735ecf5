//! `sum` and `avg` of intervals: part by part, checked, and divided as `interval / n` divides.
//!
//! The running sum is kept in microseconds, of which an interval of Arrow holds fewer than the sum of two.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Int32Type, Int64Type, IntervalMonthDayNanoType, IntervalUnit};
use datafusion::common::ScalarValue;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};

use super::define::external;
use crate::error::{Error, Result};
use crate::types::values::IntervalValue;
use crate::types::{from_arrow_interval, to_arrow_interval};

const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

/// The aggregate `name` over intervals, if there is one.
pub(super) fn over_intervals(name: &str) -> Option<Arc<AggregateUDF>> {
    let average = match name {
        "sum" => false,
        "avg" | "mean" => true,
        _ => return None,
    };
    Some(Arc::new(AggregateUDF::new_from_impl(IntervalAggregate {
        average,
        signature: Signature::exact(vec![INTERVAL], Volatility::Immutable),
    })))
}

#[derive(Debug)]
struct IntervalAggregate {
    average: bool,
    signature: Signature,
}

impl PartialEq for IntervalAggregate {
    fn eq(&self, other: &Self) -> bool {
        self.average == other.average
    }
}
impl Eq for IntervalAggregate {}
impl Hash for IntervalAggregate {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.average.hash(state);
    }
}

impl AggregateUDFImpl for IntervalAggregate {
    fn name(&self) -> &'static str {
        if self.average { "avg" } else { "sum" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> DataFusionResult<DataType> {
        Ok(INTERVAL)
    }

    fn accumulator(&self, _args: AccumulatorArgs<'_>) -> DataFusionResult<Box<dyn Accumulator>> {
        Ok(Box::new(Sum { average: self.average, sum: IntervalValue::default(), count: 0 }))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> DataFusionResult<Vec<FieldRef>> {
        let field = |part: &str, data_type| Arc::new(Field::new(format!("{}[{part}]", args.name), data_type, true));
        Ok(vec![
            field("months", DataType::Int32),
            field("days", DataType::Int32),
            field("micros", DataType::Int64),
            field("count", DataType::Int64),
        ])
    }
}

#[derive(Debug)]
struct Sum {
    average: bool,
    sum: IntervalValue,
    count: i64,
}

type Combine = fn(IntervalValue, IntervalValue) -> Result<IntervalValue>;

impl Sum {
    fn change(&mut self, values: &[ArrayRef], combine: Combine, count: i64) -> Result<()> {
        let Some(values) = values.first() else { return Ok(()) };
        for value in values.as_primitive::<IntervalMonthDayNanoType>().iter().flatten() {
            self.sum = combine(self.sum, from_arrow_interval(value))?;
            self.count += count;
        }
        Ok(())
    }

    fn merge(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [months, days, micros, counts] = states else {
            return Err(Error::internal("the state of a sum of intervals has four columns"));
        };
        let (months, days) = (months.as_primitive::<Int32Type>(), days.as_primitive::<Int32Type>());
        let (micros, counts) = (micros.as_primitive::<Int64Type>(), counts.as_primitive::<Int64Type>());
        for row in 0..counts.len() {
            let part = IntervalValue { months: months.value(row), days: days.value(row), micros: micros.value(row) };
            self.sum = self.sum.plus(part)?;
            self.count += counts.value(row);
        }
        Ok(())
    }

    #[expect(clippy::cast_precision_loss, reason = "a number of rows")]
    fn result(&self) -> Result<ScalarValue> {
        if self.count == 0 {
            return Ok(ScalarValue::IntervalMonthDayNano(None));
        }
        let result = if self.average { self.sum.divided(self.count as f64)? } else { self.sum };
        Ok(ScalarValue::IntervalMonthDayNano(Some(to_arrow_interval(result)?)))
    }
}

impl Accumulator for Sum {
    fn update_batch(&mut self, values: &[ArrayRef]) -> DataFusionResult<()> {
        self.change(values, IntervalValue::plus, 1).map_err(external)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> DataFusionResult<()> {
        self.change(values, IntervalValue::minus, -1).map_err(external)
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> DataFusionResult<()> {
        self.merge(states).map_err(external)
    }

    fn state(&mut self) -> DataFusionResult<Vec<ScalarValue>> {
        Ok(vec![
            ScalarValue::Int32(Some(self.sum.months)),
            ScalarValue::Int32(Some(self.sum.days)),
            ScalarValue::Int64(Some(self.sum.micros)),
            ScalarValue::Int64(Some(self.count)),
        ])
    }

    fn evaluate(&mut self) -> DataFusionResult<ScalarValue> {
        self.result().map_err(external)
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}
