//! Small functions that operators of PostgreSQL need and DataFusion lacks. They have no SQL name: only the binder calls them.
//!
//! - arithmetic on integers and floats that fails on overflow and at zero;
//! - fewer digits of seconds;
//! - the one row that a scalar subquery may have.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Datum, Int64Array};
use datafusion::arrow::compute::kernels::numeric;
use datafusion::arrow::datatypes::{
    DataType, Field, FieldRef, Float32Type, Float64Type, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType,
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

use crate::error::{Error, ErrorKind};
use crate::functions::numeric::label;
use crate::types::values::calendar::POSTGRES_EPOCH_MICROS;

/// What a kernel computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kernel {
    Add,
    Subtract,
    Multiply,
    Divide,
    FloatAdd,
    FloatSubtract,
    FloatMultiply,
    RoundFraction,
    Limit,
    Offset,
}

impl Kernel {
    const fn name(self) -> &'static str {
        match self {
            Kernel::Add => "int_add",
            Kernel::Subtract => "int_subtract",
            Kernel::Multiply => "int_multiply",
            Kernel::Divide => "float_divide",
            Kernel::FloatAdd => "float_add",
            Kernel::FloatSubtract => "float_subtract",
            Kernel::FloatMultiply => "float_multiply",
            Kernel::RoundFraction => "round_fraction",
            Kernel::Limit => "LIMIT",
            Kernel::Offset => "OFFSET",
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

impl KernelFunction {
    fn new(kernel: Kernel, arguments: &[Expr]) -> Self {
        let signature = Signature::any(arguments.len(), Volatility::Immutable);
        Self { kernel, signature, label: label(kernel.name(), arguments) }
    }
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

/// The bound of LIMIT or OFFSET; fails below zero.
pub(super) fn bound_of(count: Expr, is_limit: bool) -> Expr {
    call(if is_limit { Kernel::Limit } else { Kernel::Offset }, vec![count])
}

/// `left - right` on one integer type; fails on overflow.
pub(super) fn subtract(left: Expr, right: Expr) -> Expr {
    call(Kernel::Subtract, vec![left, right])
}

/// `left * right` on one integer type; fails on overflow.
pub(super) fn multiply(left: Expr, right: Expr) -> Expr {
    call(Kernel::Multiply, vec![left, right])
}

/// `left + right` on one float type; fails on overflow.
pub(super) fn float_add(left: Expr, right: Expr) -> Expr {
    call(Kernel::FloatAdd, vec![left, right])
}

/// `left - right` on one float type; fails on overflow.
pub(super) fn float_subtract(left: Expr, right: Expr) -> Expr {
    call(Kernel::FloatSubtract, vec![left, right])
}

/// `left * right` on one float type; fails on overflow and underflow.
pub(super) fn float_multiply(left: Expr, right: Expr) -> Expr {
    call(Kernel::FloatMultiply, vec![left, right])
}

/// `left / right` on one float type; fails at zero, on overflow and underflow.
pub(super) fn divide(left: Expr, right: Expr) -> Expr {
    call(Kernel::Divide, vec![left, right])
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
            Kernel::Add
            | Kernel::Subtract
            | Kernel::Multiply
            | Kernel::Divide
            | Kernel::FloatAdd
            | Kernel::FloatSubtract
            | Kernel::FloatMultiply
            | Kernel::RoundFraction
            | Kernel::Limit
            | Kernel::Offset => {
                arguments.first().cloned().ok_or_else(|| DataFusionError::Internal("kernel without arguments".into()))?
            }
        })
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if let ([left, right], Some(kernel)) = (call.args.as_slice(), self.arithmetic_kernel()) {
            return apply(left, right, kernel).map_err(in_own_words);
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

/// An error of ours, without what Arrow has wrapped around it.
fn in_own_words(error: DataFusionError) -> DataFusionError {
    match error {
        DataFusionError::ArrowError(inner, _) => match *inner {
            ArrowError::ExternalError(ours) => DataFusionError::External(ours),
            other => DataFusionError::from(other),
        },
        other => other,
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
            Kernel::FloatAdd => Some(|left, right| in_range(numeric::add(left, right)?, left, right, false)),
            Kernel::FloatSubtract => Some(|left, right| in_range(numeric::sub(left, right)?, left, right, false)),
            Kernel::FloatMultiply => Some(|left, right| in_range(numeric::mul(left, right)?, left, right, true)),
            Kernel::RoundFraction | Kernel::Limit | Kernel::Offset => None,
        }
    }

    fn compute(&self, arguments: &[ArrayRef]) -> Result<ArrayRef> {
        match (self.kernel, arguments) {
            (Kernel::Limit | Kernel::Offset, [count]) => {
                if count.as_primitive::<Int64Type>().iter().flatten().any(|count| count < 0) {
                    let limit = self.kernel == Kernel::Limit;
                    let kind = if limit { ErrorKind::InvalidLimit } else { ErrorKind::InvalidOffset };
                    let error = Error::new(kind, format!("{} must not be negative", self.kernel.name()));
                    return Err(DataFusionError::External(Box::new(error)));
                }
                Ok(Arc::clone(count))
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

fn float_division(left: &dyn Datum, right: &dyn Datum) -> Result<ArrayRef, ArrowError> {
    let quotient = numeric::div(left, right)?;
    let (divisors, is_scalar) = right.get();
    let is_zero = |row: usize| match divisors.data_type() {
        DataType::Float32 => divisors.as_primitive::<Float32Type>().value(row) == 0.0,
        _ => divisors.as_primitive::<Float64Type>().value(row) == 0.0,
    };
    // NULL / 0 is NULL.
    let failed = (0..quotient.len()).any(|row| is_zero(if is_scalar { 0 } else { row }) && quotient.is_valid(row));
    if failed { Err(ArrowError::DivideByZero) } else { in_range(quotient, left, right, true) }
}

/// A result that is infinite only because of an operand, and zero only if that is exact: sums are zero exactly.
fn in_range(result: ArrayRef, left: &dyn Datum, right: &dyn Datum, may_underflow: bool) -> Result<ArrayRef, ArrowError> {
    let suspicious = match result.data_type() {
        DataType::Float32 => {
            result.as_primitive::<Float32Type>().values().iter().any(|x| x.is_infinite() || may_underflow && *x == 0.0)
        }
        _ => result.as_primitive::<Float64Type>().values().iter().any(|x| x.is_infinite() || may_underflow && *x == 0.0),
    };
    if !suspicious {
        return Ok(result);
    }
    let ((left, left_constant), (right, right_constant)) = (left.get(), right.get());
    let at = |array: &dyn Array, row: usize| match array.data_type() {
        DataType::Float32 => f64::from(array.as_primitive::<Float32Type>().value(row)),
        _ => array.as_primitive::<Float64Type>().value(row),
    };
    for row in (0..result.len()).filter(|row| result.is_valid(*row)) {
        let (value, left) = (at(result.as_ref(), row), at(left, if left_constant { 0 } else { row }));
        let right = at(right, if right_constant { 0 } else { row });
        let finite = left.is_finite() && right.is_finite();
        let out_of_range = |what: &str| {
            let error = Error::new(ErrorKind::NumericOutOfRange, format!("value out of range: {what}"));
            Err(ArrowError::ExternalError(Box::new(error)))
        };
        if value.is_infinite() && finite {
            return out_of_range("overflow");
        }
        if may_underflow && value == 0.0 && finite && left != 0.0 && right != 0.0 {
            return out_of_range("underflow");
        }
    }
    Ok(result)
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
