//! Operators, resolved as PostgreSQL resolves them: an untyped literal takes the other side's type, families do not mix.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::functions_nested::expr_fn as nested;
use datafusion::logical_expr::binary::BinaryTypeCoercer;
use datafusion::logical_expr::expr::{InList, Like};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, lit};
use datafusion::sql::sqlparser::ast::{BinaryOperator, UnaryOperator};

use super::coerce::{Family, cast_expr, element_type, family};
use super::typed::Typed;
use super::{Binder, kernels};
use crate::error::{Error, ErrorKind, Result};
use crate::functions::pattern::{escaped_pattern, single_escape};
use crate::types::SqlType;

/// A binary operator of PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum BinaryOp {
    And,
    Or,
    Compare(Operator),
    Arithmetic(Operator),
    Bitwise(Operator),
    Power,
    Concat,
    Like {
        negated: bool,
        case_insensitive: bool,
    },
    Regex(Operator),
    StartsWith,
    Contains,
    ContainedBy,
    Overlaps,
    /// Access to a part of a JSON value, by the functions behind `->`, `->>`, `#>`, `#>>`.
    Json {
        symbol: &'static str,
        field: &'static str,
        element: &'static str,
    },
}

/// The operator that a token stands for.
pub(super) fn binary_operator(op: &BinaryOperator) -> Result<BinaryOp> {
    Ok(match op {
        BinaryOperator::And => BinaryOp::And,
        BinaryOperator::Or => BinaryOp::Or,
        BinaryOperator::Eq => BinaryOp::Compare(Operator::Eq),
        BinaryOperator::NotEq => BinaryOp::Compare(Operator::NotEq),
        BinaryOperator::Lt => BinaryOp::Compare(Operator::Lt),
        BinaryOperator::LtEq => BinaryOp::Compare(Operator::LtEq),
        BinaryOperator::Gt => BinaryOp::Compare(Operator::Gt),
        BinaryOperator::GtEq => BinaryOp::Compare(Operator::GtEq),
        BinaryOperator::Spaceship => BinaryOp::Compare(Operator::IsNotDistinctFrom),
        BinaryOperator::Plus => BinaryOp::Arithmetic(Operator::Plus),
        BinaryOperator::Minus => BinaryOp::Arithmetic(Operator::Minus),
        BinaryOperator::Multiply => BinaryOp::Arithmetic(Operator::Multiply),
        BinaryOperator::Divide => BinaryOp::Arithmetic(Operator::Divide),
        BinaryOperator::Modulo => BinaryOp::Arithmetic(Operator::Modulo),
        BinaryOperator::BitwiseAnd => BinaryOp::Bitwise(Operator::BitwiseAnd),
        BinaryOperator::BitwiseOr => BinaryOp::Bitwise(Operator::BitwiseOr),
        BinaryOperator::PGBitwiseXor => BinaryOp::Bitwise(Operator::BitwiseXor),
        BinaryOperator::PGBitwiseShiftLeft => BinaryOp::Bitwise(Operator::BitwiseShiftLeft),
        BinaryOperator::PGBitwiseShiftRight => BinaryOp::Bitwise(Operator::BitwiseShiftRight),
        BinaryOperator::PGExp | BinaryOperator::BitwiseXor => BinaryOp::Power,
        BinaryOperator::StringConcat => BinaryOp::Concat,
        BinaryOperator::PGLikeMatch => BinaryOp::Like { negated: false, case_insensitive: false },
        BinaryOperator::PGILikeMatch => BinaryOp::Like { negated: false, case_insensitive: true },
        BinaryOperator::PGNotLikeMatch => BinaryOp::Like { negated: true, case_insensitive: false },
        BinaryOperator::PGNotILikeMatch => BinaryOp::Like { negated: true, case_insensitive: true },
        BinaryOperator::PGRegexMatch => BinaryOp::Regex(Operator::RegexMatch),
        BinaryOperator::PGRegexIMatch => BinaryOp::Regex(Operator::RegexIMatch),
        BinaryOperator::PGRegexNotMatch => BinaryOp::Regex(Operator::RegexNotMatch),
        BinaryOperator::PGRegexNotIMatch => BinaryOp::Regex(Operator::RegexNotIMatch),
        BinaryOperator::PGStartsWith => BinaryOp::StartsWith,
        BinaryOperator::AtArrow => BinaryOp::Contains,
        BinaryOperator::ArrowAt => BinaryOp::ContainedBy,
        BinaryOperator::PGOverlap => BinaryOp::Overlaps,
        BinaryOperator::Arrow => BinaryOp::Json { symbol: "->", field: "json_object_field", element: "json_array_element" },
        BinaryOperator::LongArrow => {
            BinaryOp::Json { symbol: "->>", field: "json_object_field_text", element: "json_array_element_text" }
        }
        BinaryOperator::HashArrow => BinaryOp::Json { symbol: "#>", field: "json_extract_path", element: "json_extract_path" },
        BinaryOperator::HashLongArrow => {
            BinaryOp::Json { symbol: "#>>", field: "json_extract_path_text", element: "json_extract_path_text" }
        }
        BinaryOperator::PGCustomBinaryOperator(parts) => return custom_operator(parts),
        BinaryOperator::Custom(symbol) => return symbol_operator(symbol),
        other => return Err(Error::new(ErrorKind::UndefinedFunction, format!("operator does not exist: {other}"))),
    })
}

/// `OPERATOR(pg_catalog.~)`.
fn custom_operator(parts: &[String]) -> Result<BinaryOp> {
    match parts {
        [symbol] => symbol_operator(symbol),
        [schema, symbol] if schema.eq_ignore_ascii_case("pg_catalog") => symbol_operator(symbol),
        other => Err(Error::new(ErrorKind::UndefinedFunction, format!("operator does not exist: {}", other.join(".")))),
    }
}

fn symbol_operator(symbol: &str) -> Result<BinaryOp> {
    let op = match symbol {
        "=" => BinaryOperator::Eq,
        "<>" | "!=" => BinaryOperator::NotEq,
        "<" => BinaryOperator::Lt,
        "<=" => BinaryOperator::LtEq,
        ">" => BinaryOperator::Gt,
        ">=" => BinaryOperator::GtEq,
        "+" => BinaryOperator::Plus,
        "-" => BinaryOperator::Minus,
        "*" => BinaryOperator::Multiply,
        "/" => BinaryOperator::Divide,
        "%" => BinaryOperator::Modulo,
        "||" => BinaryOperator::StringConcat,
        "~" => BinaryOperator::PGRegexMatch,
        "~*" => BinaryOperator::PGRegexIMatch,
        "!~" => BinaryOperator::PGRegexNotMatch,
        "!~*" => BinaryOperator::PGRegexNotIMatch,
        "~~" => BinaryOperator::PGLikeMatch,
        "~~*" => BinaryOperator::PGILikeMatch,
        "!~~" => BinaryOperator::PGNotLikeMatch,
        "!~~*" => BinaryOperator::PGNotILikeMatch,
        "&" => BinaryOperator::BitwiseAnd,
        "|" => BinaryOperator::BitwiseOr,
        "#" => BinaryOperator::PGBitwiseXor,
        "<<" => BinaryOperator::PGBitwiseShiftLeft,
        ">>" => BinaryOperator::PGBitwiseShiftRight,
        "^" => BinaryOperator::PGExp,
        "^@" => BinaryOperator::PGStartsWith,
        "@>" => BinaryOperator::AtArrow,
        "<@" => BinaryOperator::ArrowAt,
        "&&" => BinaryOperator::PGOverlap,
        "->" => BinaryOperator::Arrow,
        "->>" => BinaryOperator::LongArrow,
        other => return Err(Error::new(ErrorKind::UndefinedFunction, format!("operator does not exist: {other}"))),
    };
    binary_operator(&op)
}

/// What an interval compares by.
fn by_length(interval: Typed) -> Typed {
    let length = SqlType::Numeric { precision: 38, scale: 0 };
    Typed::new(kernels::interval_length(interval.expr), length, interval.nullable)
}

fn is_padded(value: &Typed) -> bool {
    matches!(value.sql_type, SqlType::Bpchar(_))
}

fn no_operator(left: &Typed, symbol: &str, right: &Typed) -> Error {
    Error::new(ErrorKind::UndefinedFunction, format!("operator does not exist: {} {symbol} {}", shown(left), shown(right)))
        .with_hint("No operator matches the given name and argument types. You might need to add explicit type casts.")
}

fn not_unique(left: &Typed, symbol: &str, right: &Typed) -> Error {
    Error::new(ErrorKind::AmbiguousFunction, format!("operator is not unique: {} {symbol} {}", shown(left), shown(right)))
        .with_hint("Could not choose a best candidate operator. You might need to add explicit type casts.")
}

fn shown(value: &Typed) -> String {
    value.sql_type.unmodified_name()
}

impl Binder<'_> {
    /// `left op right`.
    pub(super) fn binary(&self, op: &BinaryOp, left: Typed, right: Typed) -> Result<Typed> {
        match op {
            BinaryOp::And | BinaryOp::Or => {
                let (name, operator) = if *op == BinaryOp::And { ("AND", Operator::And) } else { ("OR", Operator::Or) };
                let (left, right) = (self.condition(left, name)?, self.condition(right, name)?);
                Ok(Typed::new(binary_expr(left.expr, operator, right.expr), SqlType::Bool, left.nullable || right.nullable))
            }
            BinaryOp::Compare(operator) => self.compare(*operator, left, right),
            BinaryOp::Arithmetic(operator) => self.arithmetic(*operator, left, right),
            BinaryOp::Bitwise(operator) => {
                let (left, right) = self.typed_pair(left, right, &SqlType::Int4)?;
                if !is_integer(&left) || !is_integer(&right) {
                    return Err(no_operator(&left, &operator.to_string(), &right));
                }
                let (left, right) = self.same_integer(left, right)?;
                let sql_type = left.sql_type.clone();
                Ok(Typed::new(binary_expr(left.expr, *operator, right.expr), sql_type, left.nullable || right.nullable))
            }
            BinaryOp::Power => {
                let (left, right) = self.typed_pair(left, right, &SqlType::Float8)?;
                let (left, right) = (self.cast(left, &SqlType::Float8)?, self.cast(right, &SqlType::Float8)?);
                self.call_builtin("power", vec![left, right])
            }
            BinaryOp::Concat => self.concat(left, right),
            BinaryOp::Like { negated, case_insensitive } => self.like(*negated, *case_insensitive, left, right, None),
            BinaryOp::Regex(operator) => {
                let (left, right) = (self.padded(left)?, self.text(right)?);
                Ok(Typed::new(binary_expr(left.expr, *operator, right.expr), SqlType::Bool, left.nullable || right.nullable))
            }
            BinaryOp::StartsWith => {
                let (left, right) = (self.text(left)?, self.text(right)?);
                self.call_builtin("starts_with", vec![left, right])
            }
            BinaryOp::Contains => self.array_operator("@>", left, right, nested::array_has_all),
            BinaryOp::ContainedBy => self.array_operator("<@", right, left, nested::array_has_all),
            BinaryOp::Overlaps => self.array_operator("&&", left, right, nested::array_has_any),
            BinaryOp::Json { symbol, field, element } => {
                if !matches!(left.sql_type, SqlType::Json | SqlType::Jsonb) {
                    return Err(no_operator(&left, symbol, &right));
                }
                if symbol.starts_with('#') {
                    let path = self.cast(right, &SqlType::Array(Box::new(SqlType::Text)))?;
                    return self.call_builtin(field, vec![left, path]);
                }
                let name = if is_integer(&right) { element } else { field };
                let right = if is_integer(&right) { self.cast(right, &SqlType::Int4)? } else { self.text(right)? };
                self.call_builtin(name, vec![left, right])
            }
        }
    }

    /// Comparison: `=`, `<`, .., IS [NOT] DISTINCT FROM.
    pub(super) fn compare(&self, operator: Operator, left: Typed, right: Typed) -> Result<Typed> {
        let joins = |other: &Typed| is_padded(other) || other.is_unknown() || matches!(other.sql_type, SqlType::Varchar(_));
        let padded = is_padded(&left) && joins(&right) || is_padded(&right) && joins(&left);
        let (left, right) = self.typed_pair(left, right, &SqlType::Text)?;
        let (left, right) = self.comparable(left, right, &operator.to_string())?;
        let (left, right) = if padded { (self.unpadded(left)?, self.unpadded(right)?) } else { (left, right) };
        let nullable =
            !matches!(operator, Operator::IsDistinctFrom | Operator::IsNotDistinctFrom) && (left.nullable || right.nullable);
        Ok(Typed::new(binary_expr(left.expr, operator, right.expr), SqlType::Bool, nullable))
    }

    /// Both sides in types that DataFusion compares as PostgreSQL does.
    ///
    /// # Errors
    /// 42883 if the families differ.
    pub(super) fn comparable(&self, left: Typed, right: Typed, symbol: &str) -> Result<(Typed, Typed)> {
        let (from, to) = (family(&left.sql_type), family(&right.sql_type));
        let json = |value: &Typed| value.sql_type == SqlType::Json;
        if from != to || json(&left) || json(&right) {
            return Err(no_operator(&left, symbol, &right));
        }
        if from == Family::Interval && to == Family::Interval {
            return Ok((by_length(left), by_length(right)));
        }
        if from == Family::DateTime && left.sql_type != right.sql_type {
            let wider = self.common_type(&[&left, &right], "comparison")?;
            return Ok((self.cast(left, &wider)?, self.cast(right, &wider)?));
        }
        if from == Family::Array && left.data_type != right.data_type {
            let wider = self.common_type(&[&left, &right], "array")?;
            return Ok((self.cast(left, &wider)?, self.cast(right, &wider)?));
        }
        Ok((left, right))
    }

    /// The spaces at the end of `character(n)` do not count in comparisons.
    fn unpadded(&self, value: Typed) -> Result<Typed> {
        let nullable = value.nullable;
        let text = self.cast(value, &SqlType::Text)?;
        Ok(Typed { nullable, ..self.call_builtin("rtrim", vec![text])? })
    }

    /// Gives untyped sides a type: the other side's, or `default` if both are untyped.
    fn typed_pair(&self, left: Typed, right: Typed, default: &SqlType) -> Result<(Typed, Typed)> {
        let target = match (left.is_unknown(), right.is_unknown()) {
            (false, false) => return Ok((left, right)),
            (true, true) => default.clone(),
            (true, false) => literal_target(&right.sql_type),
            (false, true) => literal_target(&left.sql_type),
        };
        let give = |value: Typed| if value.is_unknown() { self.cast(value, &target) } else { Ok(value) };
        Ok((give(left)?, give(right)?))
    }

    /// Two integers in the wider one's type.
    fn same_integer(&self, left: Typed, right: Typed) -> Result<(Typed, Typed)> {
        let wider = if width(&left) >= width(&right) { integer_type(&left) } else { integer_type(&right) };
        Ok((self.cast(left, &wider)?, self.cast(right, &wider)?))
    }

    fn arithmetic(&self, operator: Operator, left: Typed, right: Typed) -> Result<Typed> {
        let symbol = operator.to_string();
        let (left, right) = self.arithmetic_pair(operator, left, right)?;
        let nullable = left.nullable || right.nullable;
        match (family(&left.sql_type), family(&right.sql_type)) {
            (Family::Number, Family::Number) => self.number_arithmetic(operator, left, right),
            (Family::DateTime, Family::Number) if left.sql_type == SqlType::Date && is_integer(&right) && is_additive(operator) => {
                let days = cast_expr(left.expr, &DataType::Int32);
                let shift = self.cast(right, &SqlType::Int4)?.expr;
                let moved = if operator == Operator::Plus { kernels::add(days, shift) } else { kernels::subtract(days, shift) };
                Ok(Typed::new(cast_expr(moved, &DataType::Date32), SqlType::Date, nullable))
            }
            (Family::Number, Family::DateTime)
                if right.sql_type == SqlType::Date && operator == Operator::Plus && is_integer(&left) =>
            {
                self.arithmetic(operator, right, left)
            }
            (Family::DateTime, Family::DateTime) if operator == Operator::Minus => self.moment_difference(left, right),
            (Family::DateTime, Family::Interval) if is_additive(operator) => {
                let moment = if left.sql_type == SqlType::Date { self.cast(left, &SqlType::Timestamp)? } else { left };
                self.moment_shift(operator, moment, right)
            }
            (Family::Interval, Family::DateTime) if operator == Operator::Plus => self.arithmetic(operator, right, left),
            (Family::DateTime, Family::Time) if left.sql_type == SqlType::Date && operator == Operator::Plus => {
                let micros = |value: Expr| cast_expr(value, &DataType::Int64);
                let day = self.cast(left, &SqlType::Timestamp)?;
                let day = cast_expr(day.expr, &SqlType::Timestamp.arrow_type());
                let moment = cast_expr(kernels::add(micros(day), micros(right.expr)), &SqlType::Timestamp.arrow_type());
                Ok(Typed::new(moment, SqlType::Timestamp, nullable))
            }
            (Family::Time, Family::DateTime) if right.sql_type == SqlType::Date && operator == Operator::Plus => {
                self.arithmetic(operator, right, left)
            }
            (Family::Interval, Family::Interval) if is_additive(operator) => {
                Ok(Typed::new(binary_expr(left.expr, operator, right.expr), SqlType::Interval, nullable))
            }
            (Family::Interval, Family::Number) if operator == Operator::Multiply => {
                let factor = self.cast(right, &SqlType::Float8)?;
                Ok(Typed::new(kernels::interval_times(left.expr, factor.expr), SqlType::Interval, nullable))
            }
            (Family::Number, Family::Interval) if operator == Operator::Multiply => self.arithmetic(operator, right, left),
            (Family::Interval, Family::Number) if operator == Operator::Divide => {
                let divisor = self.cast(right, &SqlType::Float8)?;
                let factor = kernels::divide(lit(1.0_f64), divisor.expr);
                Ok(Typed::new(kernels::interval_times(left.expr, factor), SqlType::Interval, nullable))
            }
            (Family::Time, Family::Interval) if is_additive(operator) => {
                let interval = if operator == Operator::Plus { right.expr } else { Expr::Negative(Box::new(right.expr)) };
                Ok(Typed::new(kernels::time_shift(left.expr, interval), SqlType::Time, nullable))
            }
            (Family::Interval, Family::Time) if operator == Operator::Plus => self.arithmetic(operator, right, left),
            (Family::Time, Family::Time) if operator == Operator::Minus => {
                Ok(Typed::new(kernels::time_difference(left.expr, right.expr), SqlType::Interval, nullable))
            }
            _ => Err(no_operator(&left, &symbol, &right)),
        }
    }

    /// Types for untyped sides of `+ - * / %`.
    fn arithmetic_pair(&self, operator: Operator, left: Typed, right: Typed) -> Result<(Typed, Typed)> {
        let other_side = |known: &SqlType| match (family(known), operator) {
            (Family::DateTime, Operator::Plus) | (Family::Time, Operator::Plus) => SqlType::Interval,
            (Family::Interval, Operator::Multiply | Operator::Divide) => SqlType::Float8,
            _ => literal_target(known),
        };
        Ok(match (left.is_unknown(), right.is_unknown()) {
            (false, false) => (left, right),
            (true, true) if left.is_null_literal() || right.is_null_literal() => {
                (self.cast(left, &SqlType::Int4)?, self.cast(right, &SqlType::Int4)?)
            }
            (true, true) => {
                return Err(not_unique(&left, &operator.to_string(), &right));
            }
            (true, false) => {
                let target = other_side(&right.sql_type);
                (self.cast(left, &target)?, right)
            }
            (false, true) => {
                let target = other_side(&left.sql_type);
                let right = self.cast(right, &target)?;
                (left, right)
            }
        })
    }

    fn number_arithmetic(&self, operator: Operator, left: Typed, right: Typed) -> Result<Typed> {
        let nullable = left.nullable || right.nullable;
        if is_integer(&left) && is_integer(&right) {
            let (left, right) = self.same_integer(left, right)?;
            let sql_type = left.sql_type.clone();
            let expr = match operator {
                Operator::Plus => kernels::add(left.expr, right.expr),
                Operator::Minus => kernels::subtract(left.expr, right.expr),
                Operator::Multiply => kernels::multiply(left.expr, right.expr),
                _ => binary_expr(left.expr, operator, right.expr),
            };
            return Ok(Typed::new(expr, sql_type, nullable));
        }
        let left = if operator == Operator::Divide { widen_dividend(left, &right) } else { left };
        let data_type = BinaryTypeCoercer::new(&left.data_type, &operator, &right.data_type)
            .get_result_type()
            .map_err(|_| no_operator(&left, &operator.to_string(), &right))?;
        let sql_type = SqlType::of_arrow(&data_type);
        if operator == Operator::Divide && data_type.is_floating() {
            let quotient = kernels::divide(cast_expr(left.expr, &data_type), cast_expr(right.expr, &data_type));
            return Ok(Typed { data_type, ..Typed::new(quotient, sql_type, nullable) });
        }
        Ok(Typed { data_type, ..Typed::new(binary_expr(left.expr, operator, right.expr), sql_type, nullable) })
    }

    fn moment_difference(&self, left: Typed, right: Typed) -> Result<Typed> {
        let nullable = left.nullable || right.nullable;
        if left.sql_type == SqlType::Date && right.sql_type == SqlType::Date {
            let (left, right) = (cast_expr(left.expr, &DataType::Int32), cast_expr(right.expr, &DataType::Int32));
            return Ok(Typed::new(kernels::subtract(left, right), SqlType::Int4, nullable));
        }
        let wider = match (&left.sql_type, &right.sql_type) {
            (SqlType::Timestamptz, _) | (_, SqlType::Timestamptz) => SqlType::Timestamptz,
            _ => SqlType::Timestamp,
        };
        let micros = wider.arrow_type();
        let side = |value: Typed| -> Result<Expr> {
            let value = self.cast(value, &wider)?;
            Ok(if value.data_type == micros { value.expr } else { cast_expr(value.expr, &micros) })
        };
        Ok(Typed::new(kernels::timestamp_difference(side(left)?, side(right)?), SqlType::Interval, nullable))
    }

    /// A moment moved by an interval; a zoned one moves on the session's wall clock, so that a day is a day.
    fn moment_shift(&self, operator: Operator, moment: Typed, interval: Typed) -> Result<Typed> {
        let nullable = moment.nullable || interval.nullable;
        if moment.sql_type == SqlType::Timestamptz {
            let local = self.cast(moment, &SqlType::Timestamp)?;
            let moved = Typed::new(binary_expr(local.expr, operator, interval.expr), SqlType::Timestamp, nullable);
            return self.cast(moved, &SqlType::Timestamptz);
        }
        let data_type = moment.data_type.clone();
        Ok(Typed { data_type, ..Typed::new(binary_expr(moment.expr, operator, interval.expr), SqlType::Timestamp, nullable) })
    }

    fn concat(&self, left: Typed, right: Typed) -> Result<Typed> {
        let nullable = left.nullable || right.nullable;
        match (element_type(&left.sql_type), element_type(&right.sql_type)) {
            (Some(_), Some(_)) => {
                let (values, common) = self.unify(vec![left, right], "ARRAY")?;
                let [left, right] =
                    <[Typed; 2]>::try_from(values).map_err(|_| Error::internal("two arrays became another number"))?;
                Ok(Typed {
                    data_type: left.data_type.clone(),
                    ..Typed::new(nested::array_concat(vec![left.expr, right.expr]), common, nullable)
                })
            }
            (Some(_), None) if right.is_unknown() && !right.is_null_literal() => {
                let right = self.cast(right, &left.sql_type)?;
                self.concat(left, right)
            }
            (None, Some(_)) if left.is_unknown() && !left.is_null_literal() => {
                let left = self.cast(left, &right.sql_type)?;
                self.concat(left, right)
            }
            (Some(element), None) => {
                let right = self.cast(right, &element)?;
                Ok(Typed {
                    data_type: left.data_type.clone(),
                    ..Typed::new(nested::array_append(left.expr, right.expr), left.sql_type, true)
                })
            }
            (None, Some(element)) => {
                let left = self.cast(left, &element)?;
                Ok(Typed {
                    data_type: right.data_type.clone(),
                    ..Typed::new(nested::array_prepend(left.expr, right.expr), right.sql_type, true)
                })
            }
            (None, None) => {
                let bytes = |value: &Typed| value.sql_type == SqlType::Bytea;
                if bytes(&left) && (right.is_unknown() || bytes(&right)) || left.is_unknown() && bytes(&right) {
                    return self.call_builtin("byteacat", vec![left, right]);
                }
                let textual = |value: &Typed| family(&value.sql_type) == Family::String;
                let one_byte = [&left, &right].iter().any(|value| value.sql_type == SqlType::Char);
                if one_byte && [&left, &right].iter().all(|value| textual(value) || value.is_unknown()) {
                    return Err(not_unique(&left, "||", &right));
                }
                if !textual(&left) && !textual(&right) {
                    return Err(no_operator(&left, "||", &right));
                }
                let (left, right) = (self.text(left)?, self.text(right)?);
                let data_type = BinaryTypeCoercer::new(&left.data_type, &Operator::StringConcat, &right.data_type)
                    .get_result_type()
                    .map_err(|_| no_operator(&left, "||", &right))?;
                Ok(Typed {
                    data_type,
                    ..Typed::new(binary_expr(left.expr, Operator::StringConcat, right.expr), SqlType::Text, nullable)
                })
            }
        }
    }

    fn array_operator(&self, symbol: &str, left: Typed, right: Typed, build: fn(Expr, Expr) -> Expr) -> Result<Typed> {
        let (left, right) = self.typed_pair(left, right, &SqlType::Text)?;
        if element_type(&left.sql_type).is_none() || element_type(&right.sql_type).is_none() {
            return Err(no_operator(&left, symbol, &right));
        }
        let nullable = left.nullable || right.nullable;
        let (values, _) = self.unify(vec![left, right], "ARRAY")?;
        match <[Typed; 2]>::try_from(values) {
            Ok([left, right]) => Ok(Typed::new(build(left.expr, right.expr), SqlType::Bool, nullable)),
            Err(_) => Err(Error::internal("two arrays became another number")),
        }
    }

    /// `value [NOT] [I]LIKE pattern [ESCAPE escape]`.
    pub(super) fn like(
        &self,
        negated: bool,
        case_insensitive: bool,
        value: Typed,
        pattern: Typed,
        escape: Option<&str>,
    ) -> Result<Typed> {
        if value.sql_type == SqlType::Bytea && !case_insensitive {
            if escape.is_some() {
                return Err(Error::unsupported("LIKE over bytea with ESCAPE"));
            }
            return self.call_builtin(if negated { "byteanlike" } else { "bytealike" }, vec![value, pattern]);
        }
        let value = self.padded(value)?;
        let pattern = self.text(pattern)?;
        let nullable = value.nullable || pattern.nullable;
        let pattern = match (escape, pattern.literal_text()) {
            (None, Some(text)) if text.ends_with('\\') && !text.ends_with("\\\\") => {
                return Err(Error::new(ErrorKind::DataException, "LIKE pattern must not end with escape character"));
            }
            (None | Some("\\"), _) => pattern.expr,
            (Some(escape), Some(text)) => lit(escaped_pattern(text, escape)?),
            (Some(escape), None) => {
                let escape = Typed::constant(ScalarValue::from(escape), SqlType::Text);
                self.call_builtin("like_escape", vec![pattern, escape])?.expr
            }
        };
        let like = Like::new(negated, Box::new(value.expr), Box::new(pattern), None, case_insensitive);
        Ok(Typed::new(Expr::Like(like), SqlType::Bool, nullable))
    }

    /// `value [NOT] SIMILAR TO pattern`: the pattern becomes a regular expression.
    pub(super) fn similar_to(&self, negated: bool, value: Typed, pattern: Typed, escape: Option<&str>) -> Result<Typed> {
        let value = self.padded(value)?;
        let pattern = self.text(pattern)?;
        let Some(text) = pattern.literal_text() else {
            if pattern.is_null_literal() {
                return Ok(Typed::constant(ScalarValue::Boolean(None), SqlType::Bool));
            }
            return Err(Error::unsupported("SIMILAR TO with a pattern that is not constant"));
        };
        let regex = similar_regex(text, escape.unwrap_or("\\"))?;
        let operator = if negated { Operator::RegexNotMatch } else { Operator::RegexMatch };
        Ok(Typed::new(binary_expr(value.expr, operator, lit(regex)), SqlType::Bool, value.nullable))
    }

    /// `-x`, `+x`, `NOT x`, `~x`, `@x`.
    pub(super) fn unary(&self, op: UnaryOperator, value: Typed) -> Result<Typed> {
        let no_unary = |symbol: &str, value: &Typed| {
            Error::new(ErrorKind::UndefinedFunction, format!("operator does not exist: {symbol} {}", shown(value)))
                .with_hint("No operator matches the given name and argument type. You might need to add an explicit type cast.")
        };
        match op {
            UnaryOperator::Not | UnaryOperator::BangNot => {
                let value = self.condition(value, "NOT")?;
                Ok(Typed::new(Expr::Not(Box::new(value.expr)), SqlType::Bool, value.nullable))
            }
            UnaryOperator::Plus if family(&value.sql_type) == Family::Number => Ok(value),
            UnaryOperator::Minus => {
                let value = if value.is_unknown() { self.cast(value, &SqlType::Float8)? } else { value };
                if let Expr::Literal(scalar, None) = &value.expr
                    && let Ok(negative) = scalar.arithmetic_negate()
                {
                    return Ok(Typed::constant(negative, value.sql_type));
                }
                match family(&value.sql_type) {
                    Family::Number if is_integer(&value) => {
                        let zero = ScalarValue::new_zero(&value.data_type).unwrap_or(ScalarValue::Int32(Some(0)));
                        Ok(Typed { expr: kernels::subtract(lit(zero), value.expr.clone()), origin: None, declared: false, ..value })
                    }
                    Family::Number | Family::Interval => {
                        Ok(Typed { expr: Expr::Negative(Box::new(value.expr.clone())), origin: None, declared: false, ..value })
                    }
                    _ => Err(no_unary("-", &value)),
                }
            }
            UnaryOperator::BitwiseNot if is_integer(&value) => {
                let ones = Typed::constant(ScalarValue::Int32(Some(-1)), SqlType::Int4);
                self.binary(&BinaryOp::Bitwise(Operator::BitwiseXor), value, ones)
            }
            UnaryOperator::PGAbs => self.call_builtin("abs", vec![value]),
            UnaryOperator::PGSquareRoot => self.call_builtin("sqrt", vec![value]),
            UnaryOperator::PGCubeRoot => self.call_builtin("cbrt", vec![value]),
            other => Err(no_unary(&other.to_string(), &value)),
        }
    }

    /// `value = ANY (elements)` and the like over constants: any operator, spelled out.
    pub(super) fn any_of(&self, op: &BinaryOp, value: &Typed, elements: Vec<Typed>, all: bool) -> Result<Typed> {
        if *op == BinaryOp::Compare(Operator::Eq) && !all && !elements.is_empty() {
            return self.in_list(value.clone(), elements, false);
        }
        if *op == BinaryOp::Compare(Operator::NotEq) && all && !elements.is_empty() {
            return self.in_list(value.clone(), elements, true);
        }
        let connect = if all { BinaryOp::And } else { BinaryOp::Or };
        let compare = |element| self.binary(op, self.copied(value)?, element);
        let result = self.balanced(&connect, elements.into_iter().map(compare).collect::<Result<_>>()?)?;
        Ok(result.unwrap_or_else(|| Typed::constant(ScalarValue::Boolean(Some(all)), SqlType::Bool)))
    }

    /// Many conditions as a balanced tree: a list of thousands must not become a tree as deep. None if there are none.
    pub(super) fn balanced(&self, connect: &BinaryOp, mut conditions: Vec<Typed>) -> Result<Option<Typed>> {
        while conditions.len() > 1 {
            let mut rest = conditions.into_iter();
            let mut pairs = Vec::new();
            while let Some(left) = rest.next() {
                pairs.push(match rest.next() {
                    Some(right) => self.binary(connect, left, right)?,
                    None => left,
                });
            }
            conditions = pairs;
        }
        Ok(conditions.pop())
    }

    /// `value [NOT] IN (list)`.
    pub(super) fn in_list(&self, value: Typed, list: Vec<Typed>, negated: bool) -> Result<Typed> {
        let mut all = vec![value];
        all.extend(list);
        let symbol = if negated { "<>" } else { "=" };
        let known: Vec<&Typed> = all.iter().filter(|value| !value.is_unknown()).collect();
        for other in known.iter().skip(1) {
            if family(&other.sql_type) != family(&known[0].sql_type) {
                return Err(no_operator(known[0], symbol, other));
            }
        }
        let nullable = all.iter().any(|value| value.nullable);
        let common = self.common_type(&all.iter().collect::<Vec<_>>(), "IN")?;
        let mut values = all.into_iter().map(|value| -> Result<Typed> {
            // A column keeps its own representation, so that files can be pruned by it.
            let given = value.is_unknown() || family(&common) == Family::DateTime;
            let value = if given { self.cast(value, &common)? } else { value };
            Ok(if common == SqlType::Interval { by_length(value) } else { value })
        });
        let value = values.next().transpose()?.ok_or_else(|| Error::internal("IN without a value"))?;
        let list = values.map(|value| value.map(|value| value.expr)).collect::<Result<Vec<_>>>()?;
        Ok(Typed::new(Expr::InList(InList::new(Box::new(value.expr), list, negated)), SqlType::Bool, nullable))
    }
}

/// `left operator right`.
pub(super) fn binary_expr(left: Expr, operator: Operator, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), operator, Box::new(right)))
}

/// The type that an untyped literal takes beside a value of `known`.
fn literal_target(known: &SqlType) -> SqlType {
    match known {
        SqlType::Varchar(_) | SqlType::Bpchar(_) => SqlType::Text,
        SqlType::Numeric { .. } => SqlType::Numeric { precision: 38, scale: 10 },
        SqlType::Reg(kind) => SqlType::Reg(*kind),
        other => other.clone(),
    }
}

fn is_additive(operator: Operator) -> bool {
    matches!(operator, Operator::Plus | Operator::Minus)
}

pub(super) fn is_integer(value: &Typed) -> bool {
    matches!(value.sql_type, SqlType::Int2 | SqlType::Int4 | SqlType::Int8 | SqlType::Oid | SqlType::Xid | SqlType::Reg(_))
        && value.data_type.is_integer()
}

fn width(value: &Typed) -> u8 {
    match value.sql_type {
        SqlType::Int2 => 2,
        SqlType::Int4 => 4,
        _ => 8,
    }
}

fn integer_type(value: &Typed) -> SqlType {
    match value.sql_type {
        SqlType::Int2 => SqlType::Int2,
        SqlType::Int4 => SqlType::Int4,
        _ => SqlType::Int8,
    }
}

/// Gives a numeric dividend more digits, because the quotient has only four more than it. At least sixteen digits left of the point
/// stay free for the computation.
fn widen_dividend(left: Typed, right: &Typed) -> Typed {
    let digits = |sql_type: &SqlType| match sql_type {
        SqlType::Numeric { precision, scale } => Some((i16::from(*precision), i16::from(*scale))),
        SqlType::Int2 => Some((5, 0)),
        SqlType::Int4 => Some((10, 0)),
        SqlType::Int8 | SqlType::Oid => Some((20, 0)),
        _ => None,
    };
    let (Some((precision, scale)), Some((_, divisor_scale))) = (digits(&left.sql_type), digits(&right.sql_type)) else {
        return left;
    };
    let target = (38 - 4 - 16 - divisor_scale).clamp(scale, 12.max(scale));
    if precision > 38 || target <= scale {
        return left;
    }
    let (Ok(scale), precision) = (i8::try_from(target), (precision - scale + target).min(38)) else { return left };
    let sql_type = SqlType::Numeric { precision: u8::try_from(precision).unwrap_or(38), scale };
    Typed::new(cast_expr(left.expr, &sql_type.arrow_type()), sql_type, left.nullable)
}

/// A SIMILAR TO pattern as a regular expression over the whole string.
fn similar_regex(pattern: &str, escape: &str) -> Result<String> {
    let escape = single_escape(escape)?;
    let mut regex = String::from("^(?:");
    let mut in_class = false;
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        if Some(character) == escape {
            if let Some(next) = characters.next() {
                regex.push_str(&regex::escape(&next.to_string()));
            }
            continue;
        }
        match character {
            '[' => in_class = true,
            ']' => in_class = false,
            _ => {}
        }
        match character {
            '%' if !in_class => regex.push_str(".*"),
            '_' if !in_class => regex.push('.'),
            '.' | '^' | '$' | '\\' if !in_class => {
                regex.push('\\');
                regex.push(character);
            }
            '\\' => regex.push_str("\\\\"),
            other => regex.push(other),
        }
    }
    regex.push_str(")$");
    Ok(regex)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn similar_patterns_become_anchored_regexes() {
        assert_eq!(similar_regex("a%(b|c)_.", "\\").unwrap(), "^(?:a.*(b|c).\\.)$");
    }
}
