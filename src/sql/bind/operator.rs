//! Operators, resolved as PostgreSQL resolves them: an untyped literal takes the other side's type, families do not mix.

use datafusion::common::ScalarValue;
use datafusion::functions_nested::expr_fn as nested;
use datafusion::logical_expr::binary::BinaryTypeCoercer;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, lit};
use datafusion::sql::sqlparser::ast::{BinaryOperator, UnaryOperator};

use super::coerce::{Family, element_type, family};
use super::numeric::{both_numbers, is_float, keyed};
use super::typed::Typed;
use super::{Binder, kernels};
use crate::error::{Error, ErrorKind, Result};
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

/// The function by which PostgreSQL orders values that the engine compares in another way.
fn order_function(left: &Typed, right: &Typed, operator: Operator) -> Option<&'static str> {
    let ordering = matches!(operator, Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq);
    match (family(&left.sql_type), family(&right.sql_type)) {
        (Family::Array, Family::Array) if ordering => Some("btarraycmp"),
        _ if left.sql_type == SqlType::Jsonb && right.sql_type == SqlType::Jsonb => {
            (ordering || matches!(operator, Operator::Eq | Operator::NotEq)).then_some("jsonb_cmp")
        }
        _ => None,
    }
}

fn is_padded(value: &Typed) -> bool {
    matches!(value.sql_type, SqlType::Bpchar(_))
}

pub(super) fn no_operator(left: &Typed, symbol: &str, right: &Typed) -> Error {
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
                // A shift has the type of what is shifted.
                let shift = matches!(operator, Operator::BitwiseShiftLeft | Operator::BitwiseShiftRight);
                let (left, right) = if shift {
                    let right = self.cast(right, &integer_type(&left))?;
                    (left, right)
                } else {
                    self.same_integer(left, right)?
                };
                let sql_type = left.sql_type.clone();
                Ok(Typed::new(binary_expr(left.expr, *operator, right.expr), sql_type, left.nullable || right.nullable))
            }
            BinaryOp::Power => {
                let (left, right) = self.typed_pair(left, right, &SqlType::Float8)?;
                let exact = left.sql_type.is_numeric() || right.sql_type.is_numeric();
                if exact && !is_float(&left) && !is_float(&right) && both_numbers(&left, &right) {
                    return self.numeric_arithmetic(op, left, right);
                }
                let (left, right) = (self.cast(left, &SqlType::Float8)?, self.cast(right, &SqlType::Float8)?);
                self.call_builtin("power", vec![left, right])
            }
            BinaryOp::Concat => self.concat(left, right),
            BinaryOp::Like { negated, case_insensitive } => self.like(*negated, *case_insensitive, left, right, None),
            BinaryOp::Regex(operator) => self.regex(*operator, left, right),
            BinaryOp::StartsWith => {
                let (left, right) = (self.text(left)?, self.text(right)?);
                self.call_builtin("starts_with", vec![left, right])
            }
            BinaryOp::Contains => self.contains("@>", "arraycontains", "jsonb_contains", left, right),
            BinaryOp::ContainedBy => self.contains("<@", "arraycontained", "jsonb_contained", left, right),
            BinaryOp::Overlaps => self.array_operator("&&", "arrayoverlap", left, right),
            BinaryOp::Json { symbol, field, element } => self.json_part(symbol, field, element, left, right),
        }
    }

    /// `->`, `->>`, `#>`, `#>>`: of jsonb the functions whose names begin so.
    fn json_part(&self, symbol: &str, field: &str, element: &str, left: Typed, right: Typed) -> Result<Typed> {
        if !matches!(left.sql_type, SqlType::Json | SqlType::Jsonb) {
            return Err(no_operator(&left, symbol, &right));
        }
        let own = |name: &str| if left.sql_type == SqlType::Jsonb { name.replacen("json", "jsonb", 1) } else { name.to_string() };
        if symbol.starts_with('#') {
            let path = self.cast(right, &SqlType::Array(Box::new(SqlType::Text)))?;
            return self.call_builtin(&own(field), vec![left, path]);
        }
        let (name, right) =
            if is_integer(&right) { (own(element), self.cast(right, &SqlType::Int4)?) } else { (own(field), self.text(right)?) };
        self.call_builtin(&name, vec![left, right])
    }

    /// Comparison: `=`, `<`, .., IS [NOT] DISTINCT FROM.
    pub(super) fn compare(&self, operator: Operator, left: Typed, right: Typed) -> Result<Typed> {
        let joins = |other: &Typed| is_padded(other) || other.is_unknown() || matches!(other.sql_type, SqlType::Varchar(_));
        let padded = is_padded(&left) && joins(&right) || is_padded(&right) && joins(&left);
        let (left, right) = self.typed_pair(left, right, &SqlType::Text)?;
        if both_numbers(&left, &right)
            && let Some(compared) = self.compared_with_constant(operator, &left, &right)
        {
            return Ok(compared);
        }
        if let Some(order) = order_function(&left, &right, operator) {
            let nullable = left.nullable || right.nullable;
            let (sides, _) = self.unify(vec![left, right], "array")?;
            let order = self.call_builtin(order, sides)?;
            return Ok(Typed::new(binary_expr(order.expr, operator, lit(0_i32)), SqlType::Bool, nullable));
        }
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
        let (left, right) = match (family(&left.sql_type), family(&right.sql_type)) {
            (Family::Time, Family::Interval) => (self.cast(left, &SqlType::Interval)?, right),
            (Family::Interval, Family::Time) => (left, self.cast(right, &SqlType::Interval)?),
            _ => (left, right),
        };
        let (from, to) = (family(&left.sql_type), family(&right.sql_type));
        let json = |value: &Typed| value.sql_type == SqlType::Json;
        if from != to || json(&left) || json(&right) {
            return Err(no_operator(&left, symbol, &right));
        }
        if from == Family::Number {
            return self.comparable_numbers(left, right);
        }
        if from == Family::Interval {
            return Ok((keyed(left), keyed(right)));
        }
        if from == Family::DateTime && left.sql_type != right.sql_type {
            let wider = self.common_type(&[&left, &right], "comparison")?;
            return Ok((self.widened(left, &wider)?, self.widened(right, &wider)?));
        }
        if from == Family::Array {
            let (left, right) = if left.data_type == right.data_type {
                (left, right)
            } else {
                let wider = self.common_type(&[&left, &right], "array")?;
                (self.to_common(left, &wider)?, self.to_common(right, &wider)?)
            };
            return Ok((keyed(left), keyed(right)));
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

    pub(super) fn arithmetic(&self, operator: Operator, left: Typed, right: Typed) -> Result<Typed> {
        let symbol = operator.to_string();
        let (left, right) = self.arithmetic_pair(operator, left, right)?;
        match (family(&left.sql_type), family(&right.sql_type)) {
            (Family::Number, Family::Number) => self.number_arithmetic(operator, left, right),
            (Family::Number, _) | (_, Family::Number) | (Family::DateTime | Family::Time | Family::Interval, _) => {
                self.moment_arithmetic(operator, left, right)
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
        if !is_float(&left) && !is_float(&right) {
            return self.numeric_arithmetic(&BinaryOp::Arithmetic(operator), left, right);
        }
        let single = left.sql_type == SqlType::Float4 && right.sql_type == SqlType::Float4;
        let sql_type = if single { SqlType::Float4 } else { SqlType::Float8 };
        let (left, right) = (self.cast(left, &sql_type)?, self.cast(right, &sql_type)?);
        let expr = match operator {
            Operator::Plus => kernels::float_add(left.expr, right.expr),
            Operator::Minus => kernels::float_subtract(left.expr, right.expr),
            Operator::Multiply => kernels::float_multiply(left.expr, right.expr),
            Operator::Divide => kernels::divide(left.expr, right.expr),
            _ => binary_expr(left.expr, operator, right.expr),
        };
        Ok(Typed::new(expr, sql_type, nullable))
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
                let (left, right) = self.element_beside(left, &element, right)?;
                Ok(Typed {
                    data_type: left.data_type.clone(),
                    ..Typed::new(nested::array_append(left.expr, right.expr), left.sql_type, true)
                })
            }
            (None, Some(element)) => {
                let (right, left) = self.element_beside(right, &element, left)?;
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

    /// `@>` and `<@` of arrays and of jsonb.
    fn contains(&self, symbol: &str, of_arrays: &str, of_jsonb: &str, left: Typed, right: Typed) -> Result<Typed> {
        if left.sql_type != SqlType::Jsonb && right.sql_type != SqlType::Jsonb {
            return self.array_operator(symbol, of_arrays, left, right);
        }
        let (left, right) = self.typed_pair(left, right, &SqlType::Jsonb)?;
        if left.sql_type != SqlType::Jsonb || right.sql_type != SqlType::Jsonb {
            return Err(no_operator(&left, symbol, &right));
        }
        self.call_builtin(of_jsonb, vec![left, right])
    }

    /// An array and a value that is to become one of its elements, in the elements' type or a wider one.
    fn element_beside(&self, array: Typed, element: &SqlType, value: Typed) -> Result<(Typed, Typed)> {
        if value.is_unknown() || family(element) != Family::Number {
            let value = if value.is_unknown() { self.cast(value, element)? } else { value };
            let value = self.to_common(value, element)?;
            return Ok((array, value));
        }
        let probe = Typed::new(array.expr.clone(), element.clone(), true);
        let common = self.common_type(&[&probe, &value], "ARRAY")?;
        let array = if common == *element { array } else { self.to_common(array, &SqlType::Array(Box::new(common.clone())))? };
        Ok((array, self.to_common(value, &common)?))
    }

    fn array_operator(&self, symbol: &str, function: &str, left: Typed, right: Typed) -> Result<Typed> {
        let (left, right) = self.typed_pair(left, right, &SqlType::Text)?;
        if element_type(&left.sql_type).is_none() || element_type(&right.sql_type).is_none() {
            return Err(no_operator(&left, symbol, &right));
        }
        let (values, _) = self.unify(vec![left, right], "ARRAY")?;
        self.call_builtin(function, values)
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
                    && value.sql_type != SqlType::Interval
                    && let Ok(negative) = scalar.arithmetic_negate()
                {
                    return Ok(Typed::constant(negative, value.sql_type));
                }
                match family(&value.sql_type) {
                    _ if value.sql_type == SqlType::UnconstrainedNumeric => Ok(self.numeric_negated(value)),
                    Family::Number if is_integer(&value) => {
                        let zero = ScalarValue::new_zero(&value.data_type).unwrap_or(ScalarValue::Int32(Some(0)));
                        Ok(Typed { expr: kernels::subtract(lit(zero), value.expr.clone()), origin: None, declared: false, ..value })
                    }
                    Family::Interval => self.call_builtin("interval_um", vec![value]),
                    Family::Number => {
                        Ok(Typed { expr: Expr::Negative(Box::new(value.expr.clone())), origin: None, declared: false, ..value })
                    }
                    _ => Err(no_unary("-", &value)),
                }
            }
            UnaryOperator::BitwiseNot if is_integer(&value) => {
                let ones = match integer_type(&value) {
                    SqlType::Int2 => Typed::constant(ScalarValue::Int16(Some(-1)), SqlType::Int2),
                    _ => Typed::constant(ScalarValue::Int32(Some(-1)), SqlType::Int4),
                };
                self.binary(&BinaryOp::Bitwise(Operator::BitwiseXor), value, ones)
            }
            UnaryOperator::PGAbs => self.call_builtin("abs", vec![value]),
            // These two are of doubles only.
            UnaryOperator::PGSquareRoot => {
                let value = self.cast(value, &SqlType::Float8)?;
                self.call_builtin("sqrt", vec![value])
            }
            UnaryOperator::PGCubeRoot => {
                let value = self.cast(value, &SqlType::Float8)?;
                self.call_builtin("cbrt", vec![value])
            }
            other => Err(no_unary(&other.to_string(), &value)),
        }
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
        SqlType::Numeric { .. } => SqlType::UnconstrainedNumeric,
        SqlType::Reg(kind) => SqlType::Reg(*kind),
        other => other.clone(),
    }
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
