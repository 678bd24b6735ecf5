//! What the binder calls for `numeric`: arithmetic whose PostgreSQL scale is another for each value, and conversions.
//!
//! None of these has a SQL name. All of them read any number, so that operands are not converted first; what has a fixed scale stays
//! Arrow's decimals, and their arithmetic the engine's own.
//!
//! | operation | from | to |
//! |---|---|---|
//! | `+ - * / % ^`, unary minus | numbers | numeric without modifiers |
//! | products of more than 38 digits | decimals | decimals of 256 bits |
//! | conversions | numbers, texts, lists of them | numeric, decimals, integers, floats, text |
//! | variance, deviation | number of values, sum, sum of squares | numeric without modifiers |

pub(crate) mod aggregate;
pub(crate) mod convert;
pub(crate) mod decimal_sum;
pub(crate) mod key;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Decimal256Array};
use datafusion::arrow::datatypes::{DataType, Decimal128Type, i256};
use datafusion::common::ScalarValue;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use super::define::external;
use crate::error::{Error, Result};
use crate::types::datum::from_arrow;
use crate::types::numeric::{Numbers, NumericBuilder};
use crate::types::values::numeric::{Numeric, NumericLimits, Spread};

/// What is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Operation {
    /// `a + b`
    Add,
    /// `a - b`
    Subtract,
    /// `a * b`
    Multiply,
    /// `a / b`
    Divide,
    /// `a % b`
    Remainder,
    /// `a ^ b`
    Power,
    /// `-a`
    Negate,
    /// The product of two decimals as a decimal of this precision and scale, above 38 digits.
    Product(u8, i8),
    /// A variance or deviation of so many values with this sum and sum of squares.
    Spread(Spread),
    /// Any number, or text, as `numeric`, maybe with modifiers.
    Numeric(Option<NumericLimits>),
    /// Any number, or text, as a decimal.
    Decimal(u8, i8),
    /// Rounded to `smallint`.
    Int2,
    /// Rounded to `integer`.
    Int4,
    /// Rounded to `bigint`.
    Int8,
    /// The nearest `real`.
    Float4,
    /// The nearest `double precision`.
    Float8,
    /// As PostgreSQL writes it.
    Text,
}

impl Operation {
    const fn name(self) -> &'static str {
        match self {
            Operation::Add => "numeric_add",
            Operation::Subtract => "numeric_sub",
            Operation::Multiply | Operation::Product(..) => "numeric_mul",
            Operation::Divide => "numeric_div",
            Operation::Remainder => "numeric_mod",
            Operation::Power => "numeric_power",
            Operation::Negate => "numeric_uminus",
            Operation::Spread(_) => "numeric_spread",
            Operation::Numeric(_) | Operation::Decimal(..) => "numeric",
            Operation::Int2 => "int2",
            Operation::Int4 => "int4",
            Operation::Int8 => "int8",
            Operation::Float4 => "float4",
            Operation::Float8 => "float8",
            Operation::Text => "text",
        }
    }

    /// The Arrow type of the result.
    fn returns(self) -> DataType {
        match self {
            Operation::Product(precision, scale) => DataType::Decimal256(precision, scale),
            Operation::Decimal(precision, scale) if precision <= 38 => DataType::Decimal128(precision, scale),
            Operation::Decimal(precision, scale) => DataType::Decimal256(precision, scale),
            Operation::Int2 => DataType::Int16,
            Operation::Int4 => DataType::Int32,
            Operation::Int8 => DataType::Int64,
            Operation::Float4 => DataType::Float32,
            Operation::Float8 => DataType::Float64,
            Operation::Text => DataType::Utf8,
            _ => DataType::LargeBinary,
        }
    }

    const fn converts(self) -> bool {
        matches!(
            self,
            Operation::Numeric(_)
                | Operation::Decimal(..)
                | Operation::Int2
                | Operation::Int4
                | Operation::Int8
                | Operation::Float4
                | Operation::Float8
                | Operation::Text
        )
    }
}

/// The call of `operation`.
pub(crate) fn call(operation: Operation, arguments: Vec<Expr>) -> Expr {
    let function = NumericFunction {
        operation,
        label: label(operation.name(), &arguments),
        signature: Signature::any(arguments.len(), Volatility::Immutable),
    };
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(ScalarUDF::new_from_impl(function)), arguments))
}

/// Labels up to this size show the arguments.
const LONGEST_LABEL: usize = 100;

/// What a column is called that holds a call and was given no name.
///
/// It is made once: DataFusion asks for the name of an expression at every step, and a name that is written anew from the names of the
/// arguments, theirs from those of their own, would cost the cube of a sum's length.
pub(crate) fn label(name: &str, arguments: &[Expr]) -> String {
    let names: Vec<String> = arguments.iter().map(|argument| argument.schema_name().to_string()).collect();
    let label = format!("{name}({})", names.join(","));
    if label.len() <= LONGEST_LABEL {
        return label;
    }
    let mut hasher = DefaultHasher::new();
    label.hash(&mut hasher);
    format!("{name}#{:016x}", hasher.finish())
}

/// An operation in one place of a statement.
#[derive(Debug)]
struct NumericFunction {
    operation: Operation,
    label: String,
    signature: Signature,
}

impl PartialEq for NumericFunction {
    fn eq(&self, other: &Self) -> bool {
        self.operation == other.operation
    }
}
impl Eq for NumericFunction {}
impl Hash for NumericFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.operation.hash(state);
    }
}

impl ScalarUDFImpl for NumericFunction {
    fn name(&self) -> &str {
        self.operation.name()
    }

    fn schema_name(&self, _arguments: &[Expr]) -> DataFusionResult<String> {
        Ok(self.label.clone())
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> DataFusionResult<DataType> {
        let returns = self.operation.returns();
        Ok(match arguments {
            [from] if self.operation.converts() => crate::types::numeric::mapped_type(from, &returns),
            _ => returns,
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        let constant = args.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let result = compute(self.operation, &args.args, rows).map_err(external)?;
        if constant {
            return super::define::constant(&result).map(ColumnarValue::Scalar).map_err(external);
        }
        Ok(ColumnarValue::Array(result))
    }
}

/// The operation over constants.
///
/// # Errors
/// As the operation.
pub(crate) fn fold(operation: Operation, arguments: &[ScalarValue]) -> Result<ScalarValue> {
    let arguments: Vec<ColumnarValue> = arguments.iter().cloned().map(ColumnarValue::Scalar).collect();
    super::define::constant(&compute(operation, &arguments, 1)?)
}

fn compute(operation: Operation, arguments: &[ColumnarValue], rows: usize) -> Result<ArrayRef> {
    match (operation, arguments) {
        (Operation::Product(precision, scale), [left, right]) => product(left, right, rows, precision, scale),
        (conversion, [value]) if conversion.converts() => {
            let array = value.to_array(rows).map_err(|error| Error::internal("a number to convert").with_source(error))?;
            crate::types::numeric::map_elements(&array, &|array| convert::convert(conversion, array))
        }
        (_, [value]) => {
            let value = Operand::of(value)?;
            let value = value.numbers()?;
            filled(rows, |row| value.at(row)?.map(|value| unary(operation, &value)).transpose())
        }
        (_, [left, right]) => {
            let (left, right) = (Operand::of(left)?, Operand::of(right)?);
            let (left, right) = (left.numbers()?, right.numbers()?);
            filled(rows, |row| match (left.at(row)?, right.at(row)?) {
                (Some(left), Some(right)) => binary(operation, &left, &right).map(Some),
                _ => Ok(None),
            })
        }
        (Operation::Spread(what), [count, sum, squares]) => {
            let (count, sum, squares) = (Operand::of(count)?, Operand::of(sum)?, Operand::of(squares)?);
            let (count, sum, squares) = (count.numbers()?, sum.numbers()?, squares.numbers()?);
            filled(rows, |row| match (count.at(row)?, sum.at(row)?, squares.at(row)?) {
                (Some(count), Some(sum), Some(squares)) => Numeric::spread(count.to_i64()?, &sum, &squares, what),
                _ => Ok(None),
            })
        }
        _ => Err(Error::internal(format!("{} called with {} arguments", operation.name(), arguments.len()))),
    }
}

fn filled(rows: usize, value: impl Fn(usize) -> Result<Option<Numeric>>) -> Result<ArrayRef> {
    let mut builder = NumericBuilder::with_capacity(rows);
    for row in 0..rows {
        builder.append(value(row)?.as_ref());
    }
    Ok(builder.finish())
}

fn unary(operation: Operation, value: &Numeric) -> Result<Numeric> {
    match operation {
        Operation::Negate => Ok(value.neg()),
        other => Err(Error::internal(format!("{} of one number", other.name()))),
    }
}

fn binary(operation: Operation, left: &Numeric, right: &Numeric) -> Result<Numeric> {
    match operation {
        Operation::Add => left.add(right),
        Operation::Subtract => left.sub(right),
        Operation::Multiply => left.mul(right),
        Operation::Divide => left.div(right),
        Operation::Remainder => left.rem(right),
        Operation::Power => left.power(right),
        other => Err(Error::internal(format!("{} of two numbers", other.name()))),
    }
}

/// An argument as an array: of one row for a constant.
struct Operand {
    array: ArrayRef,
    constant: bool,
}

impl Operand {
    fn of(value: &ColumnarValue) -> Result<Self> {
        Ok(match value {
            ColumnarValue::Array(array) => Self { array: Arc::clone(array), constant: false },
            ColumnarValue::Scalar(scalar) => {
                let array = scalar.to_array().map_err(|error| Error::internal("a numeric constant").with_source(error))?;
                Self { array, constant: true }
            }
        })
    }

    fn numbers(&self) -> Result<Argument<'_>> {
        let numbers = Numbers::of(&self.array)?;
        if self.constant { Ok(Argument::Constant(numbers.get(0)?)) } else { Ok(Argument::Column(numbers)) }
    }
}

enum Argument<'a> {
    Constant(Option<Numeric>),
    Column(Numbers<'a>),
}

impl Argument<'_> {
    #[inline]
    fn at(&self, row: usize) -> Result<Option<Numeric>> {
        match self {
            Argument::Constant(value) => Ok(value.clone()),
            Argument::Column(numbers) => numbers.get(row),
        }
    }
}

/// Products of decimals beyond 38 digits: mostly they need fewer, so that 128 bits are tried first.
fn product(left: &ColumnarValue, right: &ColumnarValue, rows: usize, precision: u8, scale: i8) -> Result<ArrayRef> {
    let (left, right) = (Operand::of(left)?, Operand::of(right)?);
    let at = |operand: &Operand, row: usize| -> Option<i256> {
        let row = if operand.constant { 0 } else { row };
        if operand.array.is_null(row) {
            return None;
        }
        match operand.array.data_type() {
            DataType::Decimal128(..) => Some(i256::from_i128(operand.array.as_primitive::<Decimal128Type>().value(row))),
            _ => operand.array.as_primitive_opt::<datafusion::arrow::datatypes::Decimal256Type>().map(|wide| wide.value(row)),
        }
    };
    let times = |row: usize| -> Option<i256> {
        let (left, right) = (at(&left, row)?, at(&right, row)?);
        let narrow = left.to_i128().zip(right.to_i128()).and_then(|(left, right)| left.checked_mul(right));
        // The precision has room for every product of operands that have theirs.
        Some(narrow.map_or_else(|| left.wrapping_mul(right), i256::from_i128))
    };
    let products = (0..rows).map(times).collect::<Decimal256Array>();
    Ok(Arc::new(products.with_precision_and_scale(precision, scale).map_err(from_arrow)?))
}
