//! Small functions that operators of PostgreSQL need and DataFusion lacks. They have no SQL name: only the binder calls them.
//!
//! - integer arithmetic that fails on overflow instead of wrapping around, float division that fails at zero;
//! - `timestamp - timestamp`, `time - time`, `time + interval`, `interval * number`, and the length by which intervals compare;
//! - the one row that a scalar subquery may have.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Datum, Decimal128Array, Int64Array, IntervalMonthDayNanoArray, Time64MicrosecondArray,
};
use datafusion::arrow::compute::kernels::numeric;
use datafusion::arrow::datatypes::{
    DataType, Field, FieldRef, Float32Type, Float64Type, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit,
    Time64MicrosecondType, TimestampMicrosecondType,
};
use datafusion::arrow::error::ArrowError;
use datafusion::common::{DataFusionError, Result, ScalarValue, exec_err};
use datafusion::logical_expr::expr::{AggregateFunction, ScalarFunction};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility, lit,
};
use datafusion::physical_expr_common::datum::apply;

use crate::types::values::calendar::POSTGRES_EPOCH_MICROS;

/// What a kernel computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kernel {
    Add,
    Subtract,
    Multiply,
    Divide,
    TimestampDifference,
    TimeDifference,
    TimeShift,
    IntervalTimes,
    IntervalLength,
    RoundFraction,
}

impl Kernel {
    const fn name(self) -> &'static str {
        match self {
            Kernel::Add => "int_add",
            Kernel::Subtract => "int_subtract",
            Kernel::Multiply => "int_multiply",
            Kernel::Divide => "float_divide",
            Kernel::TimestampDifference => "timestamp_difference",
            Kernel::TimeDifference => "time_difference",
            Kernel::TimeShift => "time_shift",
            Kernel::IntervalTimes => "interval_times",
            Kernel::IntervalLength => "interval_length",
            Kernel::RoundFraction => "round_fraction",
        }
    }
}

/// A kernel in one place of a statement.
#[derive(Debug)]
struct KernelFunction {
    kernel: Kernel,
    signature: Signature,
    /// What a column is called that holds the call and was given no name.
    label: String,
}

/// Labels up to this size show the arguments.
const LONGEST_LABEL: usize = 100;

impl KernelFunction {
    /// The label is made once: DataFusion asks for the name of an expression at every step, and a name that is written anew from the
    /// names of the arguments, theirs from those of their own, would cost the cube of a sum's length.
    fn new(kernel: Kernel, arguments: &[Expr]) -> Self {
        let names: Vec<String> = arguments.iter().map(|argument| argument.schema_name().to_string()).collect();
        let label = format!("{}({})", kernel.name(), names.join(","));
        let label = if label.len() <= LONGEST_LABEL { label } else { format!("{}#{:016x}", kernel.name(), digest(&label)) };
        Self { kernel, signature: Signature::any(arguments.len(), Volatility::Immutable), label }
    }
}

fn digest(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

impl PartialEq for KernelFunction {
    fn eq(&self, other: &Self) -> bool {
        self.kernel == other.kernel
    }
}
impl Eq for KernelFunction {}
impl Hash for KernelFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.kernel.hash(state);
    }
}

static SINGLE_VALUE: LazyLock<Arc<AggregateUDF>> =
    LazyLock::new(|| Arc::new(AggregateUDF::new_from_impl(SingleValue { signature: Signature::any(1, Volatility::Immutable) })));

fn call(kernel: Kernel, arguments: Vec<Expr>) -> Expr {
    let function = ScalarUDF::new_from_impl(KernelFunction::new(kernel, &arguments));
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(function), arguments))
}

/// `left + right` on one integer type; fails on overflow.
pub(super) fn add(left: Expr, right: Expr) -> Expr {
    call(Kernel::Add, vec![left, right])
}

/// `left - right` on one integer type; fails on overflow.
pub(super) fn subtract(left: Expr, right: Expr) -> Expr {
    call(Kernel::Subtract, vec![left, right])
}

/// `left * right` on one integer type; fails on overflow.
pub(super) fn multiply(left: Expr, right: Expr) -> Expr {
    call(Kernel::Multiply, vec![left, right])
}

/// `left / right` on one float type; fails at zero.
pub(super) fn divide(left: Expr, right: Expr) -> Expr {
    call(Kernel::Divide, vec![left, right])
}

/// `left - right` of two timestamps, in days and time of day.
pub(super) fn timestamp_difference(left: Expr, right: Expr) -> Expr {
    call(Kernel::TimestampDifference, vec![left, right])
}

/// `left - right` of two times of day.
pub(super) fn time_difference(left: Expr, right: Expr) -> Expr {
    call(Kernel::TimeDifference, vec![left, right])
}

/// A time of day moved by the hours, minutes and seconds of an interval, around the clock.
pub(super) fn time_shift(time: Expr, interval: Expr) -> Expr {
    call(Kernel::TimeShift, vec![time, interval])
}

/// What intervals compare by: a month has thirty days, a day twenty-four hours.
pub(super) fn interval_length(interval: Expr) -> Expr {
    call(Kernel::IntervalLength, vec![interval])
}

/// `interval * factor`, where the factor is a double.
pub(super) fn interval_times(interval: Expr, factor: Expr) -> Expr {
    call(Kernel::IntervalTimes, vec![interval, factor])
}

/// A moment, a time of day or an interval with at most `digits` digits of its seconds behind the point.
pub(super) fn round_fraction(value: Expr, digits: u32) -> Expr {
    let unit = 10_i64.pow(6_u32.saturating_sub(digits));
    call(Kernel::RoundFraction, vec![value, lit(unit)])
}

/// The only value of a column; fails if there are several.
pub(super) fn single_value(column: Expr) -> Expr {
    Expr::AggregateFunction(AggregateFunction::new_udf(Arc::clone(&SINGLE_VALUE), vec![column], false, None, vec![], None))
}

const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

impl ScalarUDFImpl for KernelFunction {
    fn name(&self) -> &str {
        self.kernel.name()
    }

    fn schema_name(&self, _arguments: &[Expr]) -> Result<String> {
        Ok(self.label.clone())
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(match self.kernel {
            Kernel::Add | Kernel::Subtract | Kernel::Multiply | Kernel::Divide | Kernel::TimeShift | Kernel::RoundFraction => {
                arguments.first().cloned().ok_or_else(|| DataFusionError::Internal("kernel without arguments".into()))?
            }
            Kernel::TimestampDifference | Kernel::TimeDifference | Kernel::IntervalTimes => INTERVAL,
            Kernel::IntervalLength => DataType::Decimal128(38, 0),
        })
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if let ([left, right], Some(kernel)) = (call.args.as_slice(), self.arithmetic_kernel()) {
            return apply(left, right, kernel);
        }
        let constant = call.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let arrays = ColumnarValue::values_to_arrays(&call.args)?;
        let result = self.compute(&arrays)?;
        if constant {
            Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?))
        } else {
            Ok(ColumnarValue::Array(result))
        }
    }
}

type ArithmeticKernel = fn(&dyn Datum, &dyn Datum) -> Result<ArrayRef, ArrowError>;

impl KernelFunction {
    fn arithmetic_kernel(&self) -> Option<ArithmeticKernel> {
        match self.kernel {
            Kernel::Add => Some(numeric::add),
            Kernel::Subtract => Some(numeric::sub),
            Kernel::Multiply => Some(numeric::mul),
            Kernel::Divide => Some(float_division),
            Kernel::TimestampDifference
            | Kernel::TimeDifference
            | Kernel::TimeShift
            | Kernel::IntervalTimes
            | Kernel::IntervalLength
            | Kernel::RoundFraction => None,
        }
    }

    fn compute(&self, arguments: &[ArrayRef]) -> Result<ArrayRef> {
        match (self.kernel, arguments) {
            (Kernel::TimestampDifference, [left, right]) => {
                let (left, right) =
                    (left.as_primitive::<TimestampMicrosecondType>(), right.as_primitive::<TimestampMicrosecondType>());
                Ok(Arc::new(zip_map(left.iter(), right.iter(), difference)?))
            }
            (Kernel::TimeDifference, [left, right]) => {
                let (left, right) = (left.as_primitive::<Time64MicrosecondType>(), right.as_primitive::<Time64MicrosecondType>());
                let apart = |left: i64, right: i64| Some(IntervalMonthDayNano::new(0, 0, (left - right) * 1000));
                Ok(Arc::new(zip_map(left.iter(), right.iter(), apart)?))
            }
            (Kernel::TimeShift, [time, interval]) => {
                let times = time.as_primitive::<Time64MicrosecondType>();
                let intervals = interval.as_primitive::<IntervalMonthDayNanoType>();
                let moved = times.iter().zip(intervals.iter()).map(|pair| match pair {
                    (Some(time), Some(interval)) => Some((time + interval.nanoseconds / 1000).rem_euclid(MICROS_A_DAY)),
                    _ => None,
                });
                Ok(Arc::new(moved.collect::<Time64MicrosecondArray>()))
            }
            (Kernel::IntervalLength, [interval]) => {
                let lengths = interval.as_primitive::<IntervalMonthDayNanoType>().iter().map(|interval| interval.map(length));
                Ok(Arc::new(lengths.collect::<Decimal128Array>().with_precision_and_scale(38, 0)?))
            }
            (Kernel::IntervalTimes, [interval, factor]) => {
                let (interval, factor) =
                    (interval.as_primitive::<IntervalMonthDayNanoType>(), factor.as_primitive::<Float64Type>());
                Ok(Arc::new(zip_map(interval.iter(), factor.iter(), scaled)?))
            }
            (Kernel::RoundFraction, [value, unit]) => {
                // A constant, the same in each row.
                let unit = unit.as_primitive::<Int64Type>().values().first().copied().unwrap_or(1);
                rounded_fractions(value, unit)
            }
            _ => exec_err!("{} called with {} arguments", self.kernel.name(), arguments.len()),
        }
    }
}

/// Nanoseconds.
fn length(interval: IntervalMonthDayNano) -> i128 {
    let days = i128::from(interval.months) * 30 + i128::from(interval.days);
    days * i128::from(MICROS_A_DAY) * 1000 + i128::from(interval.nanoseconds)
}

fn float_division(left: &dyn Datum, right: &dyn Datum) -> Result<ArrayRef, ArrowError> {
    let quotient = numeric::div(left, right)?;
    let (divisors, is_scalar) = right.get();
    let is_zero = |row: usize| match divisors.data_type() {
        DataType::Float32 => divisors.as_primitive::<Float32Type>().value(row) == 0.0,
        _ => divisors.as_primitive::<Float64Type>().value(row) == 0.0,
    };
    // NULL / 0 is NULL.
    let failed = (0..quotient.len()).any(|row| is_zero(if is_scalar { 0 } else { row }) && quotient.is_valid(row));
    if failed { Err(ArrowError::DivideByZero) } else { Ok(quotient) }
}

/// Rounds microseconds to a multiple of `unit`, half away from zero. Moments count from 2000 as in PostgreSQL, which decides what half
/// is rounded to.
fn rounded_fractions(value: &ArrayRef, unit: i64) -> Result<ArrayRef> {
    let rounded = |micros: i64| micros.saturating_add(micros.signum() * (unit / 2)) / unit * unit;
    Ok(match value.data_type() {
        DataType::Timestamp(_, zone) => {
            let since_2000 =
                |micros: i64| rounded(micros.saturating_sub(POSTGRES_EPOCH_MICROS)).saturating_add(POSTGRES_EPOCH_MICROS);
            let moments = value.as_primitive::<TimestampMicrosecondType>().unary::<_, TimestampMicrosecondType>(since_2000);
            Arc::new(moments.with_timezone_opt(zone.clone()))
        }
        DataType::Time64(_) => Arc::new(value.as_primitive::<Time64MicrosecondType>().unary::<_, Time64MicrosecondType>(rounded)),
        _ => {
            let shortened = |interval: IntervalMonthDayNano| {
                let nanoseconds = rounded(interval.nanoseconds / 1000).saturating_mul(1000);
                IntervalMonthDayNano::new(interval.months, interval.days, nanoseconds)
            };
            Arc::new(value.as_primitive::<IntervalMonthDayNanoType>().unary::<_, IntervalMonthDayNanoType>(shortened))
        }
    })
}

fn zip_map<A, B>(
    left: impl Iterator<Item = Option<A>>,
    right: impl Iterator<Item = Option<B>>,
    combine: impl Fn(A, B) -> Option<IntervalMonthDayNano>,
) -> Result<IntervalMonthDayNanoArray> {
    left.zip(right)
        .map(|pair| match pair {
            (Some(left), Some(right)) => {
                combine(left, right).map(Some).ok_or_else(|| DataFusionError::Execution("interval out of range".into()))
            }
            _ => Ok(None),
        })
        .collect()
}

const MICROS_A_DAY: i64 = 86_400_000_000;

/// Days and time of day between two moments, both of one sign.
fn difference(left: i64, right: i64) -> Option<IntervalMonthDayNano> {
    let micros = left.checked_sub(right)?;
    let days = i32::try_from(micros / MICROS_A_DAY).ok()?;
    Some(IntervalMonthDayNano::new(0, days, (micros % MICROS_A_DAY) * 1000))
}

/// PostgreSQL's `interval_mul`: fractions of months spill into days of thirty a month, fractions of days into time.
fn scaled(interval: IntervalMonthDayNano, factor: f64) -> Option<IntervalMonthDayNano> {
    let months = f64::from(interval.months) * factor;
    let days = f64::from(interval.days) * factor;
    let whole_months = months.trunc();
    let spilled_days = ((months - whole_months) * 30.0 * 1e6).round() / 1e6;
    let whole_days = days.trunc() + spilled_days.trunc();
    let rest_seconds = ((days - days.trunc() + spilled_days - spilled_days.trunc()) * 86_400.0 * 1e6).round() / 1e6;
    let micros = (interval.nanoseconds as f64 / 1000.0 * factor + rest_seconds * 1e6).round();
    let fits = |value: f64, limit: f64| value.is_finite() && value.abs() < limit;
    if !fits(whole_months, 2_147_483_647.0) || !fits(whole_days, 2_147_483_647.0) || !fits(micros, 9.2e15) {
        return None;
    }
    Some(IntervalMonthDayNano::new(whole_months as i32, whole_days as i32, micros as i64 * 1000))
}

/// The aggregate behind a correlated scalar subquery that may have more than one row.
#[derive(Debug, PartialEq, Eq, Hash)]
struct SingleValue {
    signature: Signature,
}

impl AggregateUDFImpl for SingleValue {
    fn name(&self) -> &str {
        "single_value"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        arguments.first().cloned().ok_or_else(|| DataFusionError::Internal("single_value without arguments".into()))
    }

    fn accumulator(&self, arguments: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(SingleValueAccumulator { value: ScalarValue::try_from(arguments.return_field.data_type())?, rows: 0 }))
    }

    fn state_fields(&self, arguments: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(vec![
            Arc::new(Field::new(format!("{}[value]", arguments.name), arguments.return_field.data_type().clone(), true)),
            Arc::new(Field::new(format!("{}[rows]", arguments.name), DataType::Int64, false)),
        ])
    }
}

#[derive(Debug)]
struct SingleValueAccumulator {
    value: ScalarValue,
    rows: i64,
}

impl SingleValueAccumulator {
    fn seen(&mut self, values: &ArrayRef, row: usize, rows: i64) -> Result<()> {
        self.rows += rows;
        if self.rows > 1 {
            // The words of DataFusion's own check, which the engine maps to SQLSTATE 21000.
            return exec_err!("Scalar subquery returned more than one row");
        }
        if rows == 1 {
            self.value = ScalarValue::try_from_array(values, row)?;
        }
        Ok(())
    }
}

impl Accumulator for SingleValueAccumulator {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let Some(values) = values.first() else { return Ok(()) };
        (0..values.len()).try_for_each(|row| self.seen(values, row, 1))
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(self.value.clone())
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.value.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.value.clone(), ScalarValue::Int64(Some(self.rows))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [values, rows] = states else { return exec_err!("single_value has two state columns") };
        let rows: &Int64Array = rows.as_primitive();
        (0..values.len()).try_for_each(|row| self.seen(values, row, rows.value(row)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_scale_as_in_postgresql() {
        let month = IntervalMonthDayNano::new(1, 0, 0);
        assert_eq!(scaled(month, 1.5), Some(IntervalMonthDayNano::new(1, 15, 0)));
        assert_eq!(scaled(IntervalMonthDayNano::new(0, 1, 0), 0.5), Some(IntervalMonthDayNano::new(0, 0, 43_200_000_000_000)));
        assert_eq!(scaled(month, f64::NAN), None);
    }

    #[test]
    fn differences_are_days_and_time() {
        assert_eq!(difference(MICROS_A_DAY + 1, 0), Some(IntervalMonthDayNano::new(0, 1, 1000)));
        assert_eq!(difference(0, MICROS_A_DAY + 1), Some(IntervalMonthDayNano::new(0, -1, -1000)));
    }
}
