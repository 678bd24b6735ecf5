//! Numbers: which type a result has, and how numbers of different types are brought together.
//!
//! ```text
//!  values of one scale (numeric(p,s), integers, constants) ── decimals: the engine's arithmetic, at most 76 digits
//!  everything else ────────────────────────────────────────── numeric without modifiers: functions::numeric
//!  a float on one side ────────────────────────────────────── double precision
//! ```
//! A comparison of a column with a constant keeps the column as it is: the constant is brought to the column's type, or where that is not
//! possible to the nearest value below, so that files are pruned by it.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::binary::BinaryTypeCoercer;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{Expr, Operator, lit};

use super::Binder;
use super::coerce::{Family, cast_expr, element_type, family};
use super::operator::{BinaryOp, binary_expr, is_integer};
use super::typed::Typed;
use crate::error::{Error, ErrorKind, Result};
use crate::functions::numeric::key::{constant_key, has_key, key};
use crate::functions::numeric::{self, Operation};
use crate::types::SqlType;
use crate::types::numeric::{constant, exact_decimal, innermost, of_constant};
use crate::types::values::numeric::Numeric;

/// Most digits of a decimal.
const MOST_DIGITS: i32 = 76;
/// Most digits of a decimal of 128 bits.
const MOST_NARROW_DIGITS: i32 = 38;

/// Digits before and behind the point of a number whose values all have as many behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Digits {
    whole: i32,
    scale: i32,
}

impl Digits {
    fn of(value: &Typed) -> Option<Digits> {
        if let Some(number) = constant_number(value)
            && is_integer(value)
        {
            let digits = number.abs().to_string().len();
            return Some(Digits { whole: i32::try_from(digits).ok()?, scale: 0 });
        }
        let (whole, scale) = match &value.data_type {
            DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
                (i32::from(*precision) - i32::from(*scale), i32::from(*scale))
            }
            DataType::Int8 | DataType::Int16 | DataType::UInt8 => (5, 0),
            DataType::Int32 | DataType::UInt16 | DataType::UInt32 => (10, 0),
            DataType::Int64 => (19, 0),
            DataType::UInt64 => (20, 0),
            _ => return None,
        };
        Some(Digits { whole: whole.max(0), scale: scale.max(0) })
    }

    /// Room for the values of both.
    fn over(self, other: Digits) -> Digits {
        Digits { whole: self.whole.max(other.whole), scale: self.scale.max(other.scale) }
    }

    fn sql_type(self) -> Option<SqlType> {
        let precision = (self.whole + self.scale).max(1);
        if precision > MOST_DIGITS {
            return None;
        }
        Some(SqlType::Numeric { precision: u8::try_from(precision).ok()?, scale: i8::try_from(self.scale).ok()? })
    }
}

/// The number that a constant is.
fn constant_number(value: &Typed) -> Option<Numeric> {
    match &value.expr {
        Expr::Literal(scalar, _) => of_constant(scalar),
        _ => None,
    }
}

pub(super) fn is_float(value: &Typed) -> bool {
    matches!(value.sql_type, SqlType::Float4 | SqlType::Float8)
}

pub(super) fn both_numbers(left: &Typed, right: &Typed) -> bool {
    family(&left.sql_type) == Family::Number && family(&right.sql_type) == Family::Number
}

/// `value` by a conversion, now if it is a constant.
pub(super) fn converted(value: Typed, conversion: Operation, target: &SqlType) -> Typed {
    if let Expr::Literal(scalar, _) = &value.expr
        && let Ok(folded) = numeric::fold(conversion, std::slice::from_ref(scalar))
    {
        return Typed::constant(folded, target.clone());
    }
    let call = numeric::call(conversion, vec![value.expr]);
    Typed {
        data_type: crate::types::numeric::mapped_type(&value.data_type, innermost(&target.arrow_type())),
        ..Typed::new(call, target.clone(), value.nullable)
    }
}

/// A number from text that is known: a decimal with the digits that are written, if it has room for them.
pub(super) fn numeric_constant(number: &Numeric) -> Typed {
    let scale = number.scale().and_then(|scale| i8::try_from(scale).ok());
    let decimal = scale.and_then(|scale| {
        let unscaled = number.to_i256(i32::from(scale))?;
        let digits = u8::try_from(unscaled.wrapping_abs().to_string().len()).ok()?;
        let precision = digits.max(scale.unsigned_abs()).max(1);
        exact_decimal(number, precision, scale).map(|value| (value, SqlType::Numeric { precision, scale }))
    });
    match decimal {
        Some((value, sql_type)) => Typed::constant(value, sql_type),
        None => Typed::constant(constant(Some(number)), SqlType::UnconstrainedNumeric),
    }
}

/// What equals what a value equals, in a type that the engine compares as PostgreSQL does.
pub(super) fn keyed(value: Typed) -> Typed {
    if !has_key(&value.data_type) {
        return value;
    }
    if let Expr::Literal(scalar, _) = &value.expr
        && let Ok(folded) = constant_key(scalar)
    {
        return Typed::constant(folded, SqlType::Bytea);
    }
    let data_type = crate::functions::numeric::key::key_type(&value.data_type);
    Typed { data_type, ..Typed::new(key(value.expr), SqlType::Bytea, value.nullable) }
}

/// Never true: false, or NULL for NULL.
fn never(value: Expr) -> Expr {
    Expr::IsNull(Box::new(value)).and(lit(ScalarValue::Boolean(None)))
}

/// True, or NULL for NULL.
fn always(value: Expr) -> Expr {
    Expr::IsNotNull(Box::new(value)).or(lit(ScalarValue::Boolean(None)))
}

/// A constant beside the values of a type.
enum Position {
    /// One of them.
    Exact(ScalarValue),
    /// Between this one and the next.
    Behind(ScalarValue),
    Above,
    Below,
}

impl Position {
    fn of(number: &Numeric, value: &Typed) -> Option<Position> {
        let Digits { scale, .. } = Digits::of(value)?;
        let beyond = || if number.is_negative() { Position::Below } else { Position::Above };
        if !number.is_finite() {
            return Some(beyond());
        }
        let mut floor = number.trunc(scale);
        let exact = floor == *number;
        if !exact && number.is_negative() {
            floor = floor.sub(&Numeric::from_decimal(1, scale)).ok()?;
        }
        let constant = match &value.data_type {
            DataType::Int16 => floor.to_i16().ok().map(|value| ScalarValue::Int16(Some(value))),
            DataType::Int32 => floor.to_i32().ok().map(|value| ScalarValue::Int32(Some(value))),
            DataType::Int64 => floor.to_i64().ok().map(|value| ScalarValue::Int64(Some(value))),
            DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
                exact_decimal(&floor, *precision, *scale)
            }
            _ => return None,
        };
        Some(match constant {
            Some(constant) if exact => Position::Exact(constant),
            Some(constant) => Position::Behind(constant),
            None => beyond(),
        })
    }

    /// `value operator constant`.
    fn comparison(self, value: Expr, operator: Operator) -> Option<Expr> {
        use Operator as O;
        Some(match (self, operator) {
            (Position::Exact(constant), _) => binary_expr(value, operator, lit(constant)),
            (_, O::IsDistinctFrom) => lit(true),
            (_, O::IsNotDistinctFrom) => lit(false),
            (_, O::Eq) => never(value),
            (_, O::NotEq) => always(value),
            (Position::Behind(floor), O::Lt | O::LtEq) => binary_expr(value, O::LtEq, lit(floor)),
            (Position::Behind(floor), O::Gt | O::GtEq) => binary_expr(value, O::Gt, lit(floor)),
            (Position::Above, O::Lt | O::LtEq) | (Position::Below, O::Gt | O::GtEq) => always(value),
            (Position::Above, O::Gt | O::GtEq) | (Position::Below, O::Lt | O::LtEq) => never(value),
            _ => return None,
        })
    }
}

impl Binder<'_> {
    /// Any number, or text, as `numeric` with a scale of its own.
    pub(super) fn unconstrained(&self, value: Typed) -> Result<Typed> {
        let value = if value.is_unknown() { self.cast(value, &SqlType::UnconstrainedNumeric)? } else { value };
        if value.data_type == DataType::LargeBinary {
            return Ok(value.retyped(SqlType::UnconstrainedNumeric));
        }
        Ok(converted(value, Operation::Numeric(None), &SqlType::UnconstrainedNumeric))
    }

    /// An array of numbers as one of `numeric` with scales of their own.
    pub(super) fn unconstrained_array(&self, value: Typed) -> Typed {
        let target = SqlType::Array(Box::new(SqlType::UnconstrainedNumeric));
        if *innermost(&value.data_type) == DataType::LargeBinary {
            return value.retyped(target);
        }
        converted(value, Operation::Numeric(None), &target)
    }

    /// The value as `target`, where one of them is a numeric or both are numbers that need a conversion of ours.
    pub(super) fn numeric_cast(&self, value: Typed, target: &SqlType) -> Result<Typed> {
        let numbers = |sql_type: &SqlType| matches!(sql_type, SqlType::Int2 | SqlType::Int4 | SqlType::Int8 | SqlType::Oid);
        Ok(match (&value.sql_type, target) {
            // Values of one scale may stay what they are.
            (SqlType::Numeric { .. }, SqlType::UnconstrainedNumeric) => Typed { declared: false, ..value },
            (from, SqlType::UnconstrainedNumeric) if numbers(from) => match (constant_number(&value), Digits::of(&value)) {
                (Some(number), _) => numeric_constant(&number),
                (None, Some(digits)) => {
                    let sql_type = digits.sql_type().ok_or_else(|| Error::internal("an integer of many digits"))?;
                    Typed::new(cast_expr(value.expr, &sql_type.arrow_type()), sql_type, value.nullable)
                }
                (None, None) => self.unconstrained(value)?,
            },
            (_, SqlType::UnconstrainedNumeric) => self.unconstrained(value)?,
            (_, SqlType::Numeric { precision, scale }) => converted(value, Operation::Decimal(*precision, *scale), target),
            (_, SqlType::Int2) => converted(value, Operation::Int2, target),
            (_, SqlType::Int4) => converted(value, Operation::Int4, target),
            (_, SqlType::Int8) => converted(value, Operation::Int8, target),
            (_, SqlType::Float4) => converted(value, Operation::Float4, target),
            (_, SqlType::Float8) => converted(value, Operation::Float8, target),
            (_, SqlType::Oid) => {
                let wide = converted(value, Operation::Int8, &SqlType::Int8);
                Typed::new(cast_expr(wide.expr, &DataType::UInt32), SqlType::Oid, wide.nullable)
            }
            (from, to) => {
                return Err(Error::new(ErrorKind::CannotCoerce, format!("cannot cast type {from} to {to}")));
            }
        })
    }

    /// An array of numbers as `target`, where one of them is an array of numerics with scales of their own.
    pub(super) fn numeric_array_cast(&self, value: Typed, target: &SqlType) -> Result<Typed> {
        let (Some(from), Some(to)) = (element_type(&value.sql_type), element_type(target)) else {
            return Err(Error::internal("an array without elements"));
        };
        Ok(match (&from, &to) {
            (SqlType::Numeric { .. }, SqlType::UnconstrainedNumeric) => Typed { declared: false, ..value },
            (_, SqlType::UnconstrainedNumeric) => self.unconstrained_array(value),
            (_, SqlType::Numeric { precision, scale }) => converted(value, Operation::Decimal(*precision, *scale), target),
            (_, SqlType::Int2) => converted(value, Operation::Int2, target),
            (_, SqlType::Int4) => converted(value, Operation::Int4, target),
            (_, SqlType::Int8) => converted(value, Operation::Int8, target),
            (_, SqlType::Float4) => converted(value, Operation::Float4, target),
            (_, SqlType::Float8) => converted(value, Operation::Float8, target),
            (_, SqlType::Text | SqlType::Varchar(None)) => converted(value, Operation::Text, target),
            _ => self.converted(value, target)?,
        })
    }

    /// Two numbers in one type in which they compare exactly.
    pub(super) fn comparable_numbers(&self, left: Typed, right: Typed) -> Result<(Typed, Typed)> {
        if is_float(&left) || is_float(&right) {
            if left.sql_type == right.sql_type {
                return Ok((left, right));
            }
            return Ok((self.cast(left, &SqlType::Float8)?, self.cast(right, &SqlType::Float8)?));
        }
        if is_integer(&left) && is_integer(&right) {
            return Ok((left, right));
        }
        let digits = Digits::of(&left).zip(Digits::of(&right));
        if let Some(common) = digits.and_then(|(left, right)| left.over(right).sql_type()) {
            return Ok((in_digits(left, &common), in_digits(right, &common)));
        }
        Ok((keyed(self.unconstrained(left)?), keyed(self.unconstrained(right)?)))
    }

    /// A comparison of a value of one scale with a constant, by the value's own type; `None` for anything else.
    pub(super) fn compared_with_constant(&self, operator: Operator, left: &Typed, right: &Typed) -> Option<Typed> {
        if is_float(left) || is_float(right) || is_integer(left) && is_integer(right) {
            return None;
        }
        let (value, number, operator) = match (constant_number(left), constant_number(right)) {
            (None, Some(number)) => (left, number, operator),
            (Some(number), None) => (right, number, operator.swap().unwrap_or(operator)),
            _ => return None,
        };
        let nullable = !matches!(operator, Operator::IsDistinctFrom | Operator::IsNotDistinctFrom) && value.nullable;
        let expr = Position::of(&number, value)?.comparison(value.expr.clone(), operator)?;
        Some(Typed::new(expr, SqlType::Bool, nullable))
    }

    /// `value [NOT] IN (list)` over numbers of which one at least is a numeric or a float.
    pub(super) fn number_in_list(&self, value: Typed, list: Vec<Typed>, negated: bool) -> Result<Typed> {
        let nullable = value.nullable || list.iter().any(|item| item.nullable);
        let floats = is_float(&value) || list.iter().any(is_float);
        let in_list = |value: Typed, list: Vec<Typed>| {
            let list = list.into_iter().map(|item| item.expr).collect();
            Typed::new(Expr::InList(InList::new(Box::new(value.expr), list, negated)), SqlType::Bool, nullable)
        };
        if floats {
            let list = list.into_iter().map(|item| self.cast(item, &SqlType::Float8)).collect::<Result<_>>()?;
            return Ok(in_list(self.cast(value, &SqlType::Float8)?, list));
        }
        let positions: Option<Vec<Position>> = list
            .iter()
            .filter(|item| !item.is_null_literal())
            .map(|item| constant_number(item).and_then(|number| Position::of(&number, &value)))
            .collect();
        if let (Some(positions), None) = (positions, constant_number(&value)) {
            let null = ScalarValue::try_from(&value.data_type).unwrap_or(ScalarValue::Null);
            let nulls = list.iter().filter(|item| item.is_null_literal()).map(|_| null.clone()).take(1);
            let exact = positions.into_iter().filter_map(|position| match position {
                Position::Exact(constant) => Some(constant),
                _ => None,
            });
            let constants: Vec<Typed> = exact.chain(nulls).map(|item| Typed::constant(item, value.sql_type.clone())).collect();
            if constants.is_empty() {
                let expr = if negated { always(value.expr) } else { never(value.expr) };
                return Ok(Typed::new(expr, SqlType::Bool, nullable));
            }
            return Ok(in_list(value, constants));
        }
        let list = list.into_iter().map(|item| Ok(keyed(self.unconstrained(item)?))).collect::<Result<_>>()?;
        Ok(in_list(keyed(self.unconstrained(value)?), list))
    }

    /// An item of a list of numbers: what is untyped becomes a number, too.
    pub(super) fn number_beside(&self, value: Typed, common: &SqlType) -> Result<Typed> {
        if !value.is_unknown() || value.is_null_literal() {
            return Ok(value);
        }
        let target = if common.is_numeric() { &SqlType::UnconstrainedNumeric } else { common };
        self.cast(value, target)
    }

    /// `+ - * / % ^` over numbers of which none is a float and one at least a numeric.
    pub(super) fn numeric_arithmetic(&self, operator: &BinaryOp, left: Typed, right: Typed) -> Result<Typed> {
        let nullable = left.nullable || right.nullable;
        let (operation, symbol) = match operator {
            BinaryOp::Arithmetic(Operator::Plus) => (Operation::Add, Operator::Plus),
            BinaryOp::Arithmetic(Operator::Minus) => (Operation::Subtract, Operator::Minus),
            BinaryOp::Arithmetic(Operator::Multiply) => (Operation::Multiply, Operator::Multiply),
            BinaryOp::Arithmetic(Operator::Modulo) => (Operation::Remainder, Operator::Modulo),
            BinaryOp::Power => (Operation::Power, Operator::BitwiseXor),
            _ => (Operation::Divide, Operator::Divide),
        };
        let digits = Digits::of(&left).zip(Digits::of(&right));
        let fixed = digits.and_then(|(one, two)| {
            let over = one.over(two);
            let result = match operation {
                Operation::Add | Operation::Subtract => Digits { whole: over.whole + 1, ..over },
                Operation::Multiply => Digits { whole: one.whole + two.whole, scale: one.scale + two.scale },
                Operation::Remainder => over,
                _ => return None,
            };
            Some((one, two, result, result.sql_type()?))
        });
        let Some((one, two, result, sql_type)) = fixed else {
            let call = numeric::call(operation, vec![left.expr, right.expr]);
            return Ok(Typed::new(call, SqlType::UnconstrainedNumeric, nullable));
        };
        let wide = result.whole + result.scale > MOST_NARROW_DIGITS;
        let (SqlType::Numeric { precision, scale }, Some(one), Some(two)) = (&sql_type, one.sql_type(), two.sql_type()) else {
            return Err(Error::internal("decimals without digits"));
        };
        if wide && operation == Operation::Multiply {
            let (left, right) = (in_digits(left, &one), in_digits(right, &two));
            let call = numeric::call(Operation::Product(*precision, *scale), vec![left.expr, right.expr]);
            return Ok(Typed::new(call, sql_type, nullable));
        }
        // Operands of 256 bits have room for what 128 have not.
        let side = |value: Typed, own: SqlType| match own {
            SqlType::Numeric { precision, scale } if wide => {
                let data_type = DataType::Decimal256(precision, scale);
                Typed { expr: cast_expr(value.expr, &data_type), data_type, ..Typed::new(lit(0), own, value.nullable) }
            }
            own => in_digits(value, &own),
        };
        let (left, right) = (side(left, one), side(right, two));
        let data_type = BinaryTypeCoercer::new(&left.data_type, &symbol, &right.data_type)
            .get_result_type()
            .map_err(|error| Error::internal("arithmetic of decimals").with_source(error))?;
        let sql_type = SqlType::of_arrow(&data_type);
        Ok(Typed { data_type, ..Typed::new(binary_expr(left.expr, symbol, right.expr), sql_type, nullable) })
    }

    /// `-x` of a numeric with a scale of its own.
    pub(super) fn numeric_negated(&self, value: Typed) -> Typed {
        let target = value.sql_type.clone();
        if let Expr::Literal(scalar, _) = &value.expr
            && let Ok(folded) = numeric::fold(Operation::Negate, std::slice::from_ref(scalar))
        {
            return Typed::constant(folded, target);
        }
        Typed::new(numeric::call(Operation::Negate, vec![value.expr]), target, value.nullable)
    }
}

/// A number of one scale in the decimal type `sql_type`, which has room for it.
fn in_digits(value: Typed, sql_type: &SqlType) -> Typed {
    let data_type = sql_type.arrow_type();
    if value.data_type == data_type {
        return value;
    }
    if let (Some(number), SqlType::Numeric { precision, scale }) = (constant_number(&value), sql_type)
        && let Some(constant) = exact_decimal(&number, *precision, *scale)
    {
        return Typed::constant(constant, sql_type.clone());
    }
    Typed::new(cast_expr(value.expr, &data_type), sql_type.clone(), value.nullable)
}
