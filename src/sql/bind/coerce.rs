//! Casts, and the type that several expressions have in common.
//!
//! ```text
//!  untyped literal ─▶ read as the target type, now         untyped parameter ─▶ takes the target type, for the whole statement
//!  reg* types      ─▶ regclassin(..), regclassout(..)       anything else     ─▶ `cast`: what PostgreSQL makes of each value
//! ```

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::Placeholder;
use datafusion::logical_expr::{Cast, Expr, TryCast, lit};

use super::Binder;
use super::cast::castable;
use super::numeric::numeric_constant;
use super::typed::Typed;
use crate::error::{Error, ErrorKind, Result};
use crate::types::input::parse_scalar;
use crate::types::values::numeric::Numeric;
use crate::types::{RegKind, SqlType};

/// Families within which values compare and convert without being asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Boolean,
    Number,
    String,
    DateTime,
    Time,
    Interval,
    Bytes,
    Array,
    Other,
}

/// The family of a type.
pub(super) fn family(sql_type: &SqlType) -> Family {
    match sql_type {
        SqlType::Bool => Family::Boolean,
        SqlType::Int2
        | SqlType::Int4
        | SqlType::Int8
        | SqlType::Float4
        | SqlType::Float8
        | SqlType::Numeric { .. }
        | SqlType::UnconstrainedNumeric
        | SqlType::Oid
        | SqlType::Xid
        | SqlType::Reg(_) => Family::Number,
        SqlType::Text
        | SqlType::Varchar(_)
        | SqlType::Bpchar(_)
        | SqlType::Name
        | SqlType::Char
        | SqlType::Uuid
        | SqlType::NodeTree
        | SqlType::AclItem
        | SqlType::Unknown => Family::String,
        SqlType::Date | SqlType::Timestamp | SqlType::Timestamptz => Family::DateTime,
        SqlType::Time => Family::Time,
        SqlType::Interval => Family::Interval,
        SqlType::Bytea => Family::Bytes,
        SqlType::Array(_) | SqlType::Int2Vector | SqlType::OidVector => Family::Array,
        SqlType::Json | SqlType::Jsonb | SqlType::Record(_) | SqlType::Void => Family::Other,
    }
}

/// Place of a numeric type in PostgreSQL's order of preference.
fn rank(sql_type: &SqlType) -> u8 {
    match sql_type {
        SqlType::Int2 => 1,
        SqlType::Int4 => 2,
        SqlType::Oid | SqlType::Xid | SqlType::Reg(_) => 3,
        SqlType::Int8 => 4,
        SqlType::Numeric { .. } | SqlType::UnconstrainedNumeric => 5,
        SqlType::Float4 => 6,
        SqlType::Float8 => 7,
        SqlType::Date => 1,
        SqlType::Timestamp => 2,
        SqlType::Timestamptz => 3,
        SqlType::Char | SqlType::Name => 1,
        SqlType::Bpchar(_) => 2,
        SqlType::Varchar(_) => 3,
        _ => 4,
    }
}

/// An element's type, for arrays and vectors.
pub(super) fn element_type(sql_type: &SqlType) -> Option<SqlType> {
    match sql_type {
        SqlType::Array(element) => Some((**element).clone()),
        SqlType::Int2Vector => Some(SqlType::Int2),
        SqlType::OidVector => Some(SqlType::Oid),
        _ => None,
    }
}

impl Binder<'_> {
    /// `value` as `target`, by an explicit cast: every conversion that PostgreSQL knows.
    pub(super) fn cast(&self, value: Typed, target: &SqlType) -> Result<Typed> {
        if *target == SqlType::Unknown {
            return Ok(value);
        }
        if value.is_unknown() {
            return self.type_unknown(value, target);
        }
        if value.sql_type == *target {
            return Ok(value);
        }
        if let SqlType::Reg(kind) = target {
            return self.to_reg(value, *kind);
        }
        if let (SqlType::Reg(kind), Family::String) = (&value.sql_type, family(target)) {
            return self.reg_text(value.expr.clone(), *kind, target);
        }
        if !castable(&value.sql_type, target) {
            return Err(cannot_cast(&value.sql_type, target));
        }
        match (&value.sql_type, target) {
            (from, to) if from.is_numeric() && *to == SqlType::UnconstrainedNumeric => self.numeric_cast(value, target),
            // Arrow divides by a power of ten, which is exact for the digits that a double holds.
            (SqlType::Numeric { precision: 16.., .. }, SqlType::Float8) => self.numeric_cast(value, target),
            (SqlType::UnconstrainedNumeric, to) if family(to) == Family::Number => self.numeric_cast(value, target),
            (from, to)
                if to.is_numeric() && (matches!(from, SqlType::Float4 | SqlType::Float8) || family(from) == Family::String) =>
            {
                self.numeric_cast(value, target)
            }
            (from, SqlType::UnconstrainedNumeric) if family(from) == Family::Number => self.numeric_cast(value, target),
            (SqlType::Array(from), SqlType::Array(to))
                if (**from == SqlType::UnconstrainedNumeric && family(to) == Family::Number)
                    || (**to == SqlType::UnconstrainedNumeric && matches!(family(from), Family::Number | Family::String)) =>
            {
                self.numeric_array_cast(value, target)
            }
            // The engine's own cast, through which files are left out by the moments of a day.
            (SqlType::Timestamp, SqlType::Date) => Ok(plain_cast(value, target)),
            _ => self.converted(value, target),
        }
    }

    /// `value` as `target` where PostgreSQL converts unasked, such as the arguments of a function of the metastore.
    ///
    /// # Errors
    /// 42804 if only an explicit cast would do.
    pub(super) fn coerce(&self, value: Typed, target: &SqlType, what: &str) -> Result<Typed> {
        let implicit = value.is_unknown()
            || value.sql_type == *target
            || (family(&value.sql_type) == family(target)
                && (rank(&value.sql_type) <= rank(target)
                    || family(target) == Family::String
                    || same_kind(&value.sql_type, target)));
        if implicit {
            return self.cast(value, target);
        }
        Err(Error::new(
            ErrorKind::DatatypeMismatch,
            format!("{what} is of type {target} but expression is of type {}", value.sql_type),
        ))
    }

    /// A boolean condition for `clause`.
    pub(super) fn condition(&self, value: Typed, clause: &str) -> Result<Typed> {
        if value.is_unknown() || value.sql_type == SqlType::Bool {
            return self.cast(value, &SqlType::Bool);
        }
        Err(super::error::not_boolean(clause, &value.sql_type.display_name()))
    }

    /// Text, for functions and operators that work on text.
    pub(super) fn text(&self, value: Typed) -> Result<Typed> {
        let is_text = family(&value.sql_type) == Family::String && !matches!(value.sql_type, SqlType::Unknown | SqlType::Bpchar(_));
        if is_text { Ok(value) } else { self.cast(value, &SqlType::Text) }
    }

    /// What is still untyped at the end becomes text, as an output column of PostgreSQL does.
    pub(super) fn settled(&self, value: Typed) -> Result<Typed> {
        if value.is_unknown() { self.cast(value, &SqlType::Text) } else { Ok(value) }
    }

    /// The type that all values can have, by PostgreSQL's rules for UNION, CASE and arrays.
    ///
    /// # Errors
    /// 42804 naming `construct` if there is none.
    pub(super) fn common_type(&self, types: &[&Typed], construct: &str) -> Result<SqlType> {
        let mut common: Option<SqlType> = None;
        for value in types.iter().filter(|value| !value.is_unknown()) {
            common = Some(match common {
                None => value.sql_type.clone(),
                Some(common) => wider(&common, &value.sql_type).ok_or_else(|| {
                    Error::new(
                        ErrorKind::DatatypeMismatch,
                        format!("{construct} types {} and {} cannot be matched", common, value.sql_type),
                    )
                })?,
            });
        }
        Ok(common.unwrap_or(SqlType::Text))
    }

    /// All values as their common type.
    pub(super) fn unify(&self, values: Vec<Typed>, construct: &str) -> Result<(Vec<Typed>, SqlType)> {
        let common = self.common_type(&values.iter().collect::<Vec<_>>(), construct)?;
        let unified = values.into_iter().map(|value| self.to_common(value, &common)).collect::<Result<Vec<_>>>()?;
        Ok((unified, common))
    }

    /// One value as the common type of several.
    pub(super) fn to_common(&self, value: Typed, common: &SqlType) -> Result<Typed> {
        let arrow = common.arrow_type();
        if *common == SqlType::UnconstrainedNumeric {
            return self.unconstrained(value);
        }
        let value = self.cast(value, common)?;
        if matches!(common, SqlType::Array(element) if **element == SqlType::UnconstrainedNumeric) {
            return Ok(self.unconstrained_array(value));
        }
        let strings = |data_type: &DataType| matches!(data_type, DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8);
        // CASE and UNION want one Arrow type; string representations are made the same here.
        if value.data_type == arrow || !(strings(&value.data_type) && strings(&arrow)) {
            return Ok(value);
        }
        Ok(Typed { expr: cast_expr(value.expr, &arrow), data_type: arrow, ..value })
    }

    fn type_unknown(&self, value: Typed, target: &SqlType) -> Result<Typed> {
        match &value.expr {
            Expr::Literal(scalar, _) if scalar.is_null() => {
                let null = ScalarValue::try_from(&target.arrow_type()).unwrap_or(ScalarValue::Null);
                Ok(Typed::constant(null, target.clone()))
            }
            Expr::Literal(ScalarValue::Utf8(Some(text)), _) => match target {
                SqlType::Reg(kind) => self.reg_in(lit(text.as_str()), *kind),
                SqlType::UnconstrainedNumeric => Ok(numeric_constant(&Numeric::parse(text)?)),
                _ => Ok(Typed::constant(parse_scalar(text, target, &self.literal_form(target))?, target.clone())),
            },
            Expr::Placeholder(placeholder) => self.type_parameter(placeholder, target),
            // The output of a subquery that was never typed: text at run time.
            _ => {
                let text = Typed { sql_type: SqlType::Text, ..value };
                self.cast(text, target)
            }
        }
    }

    fn type_parameter(&self, placeholder: &Placeholder, target: &SqlType) -> Result<Typed> {
        let number: usize = placeholder.id.trim_start_matches('$').parse().unwrap_or(0);
        let mut shared = self.world.shared.borrow_mut();
        let Some(slot) = number.checked_sub(1).and_then(|index| shared.parameters.get_mut(index)) else {
            return Err(Error::new(ErrorKind::UndefinedParameter, format!("there is no parameter {}", placeholder.id)));
        };
        let settled = slot.get_or_insert_with(|| target.clone()).clone();
        drop(shared);
        let typed = parameter(number, &settled);
        if settled == *target { Ok(typed) } else { self.cast(typed, target) }
    }

    fn to_reg(&self, value: Typed, kind: RegKind) -> Result<Typed> {
        match family(&value.sql_type) {
            Family::String => self.reg_in(value.expr, kind),
            Family::Number if value.data_type == DataType::UInt32 => Ok(value.retyped(SqlType::Reg(kind))),
            Family::Number => Ok(plain_cast(value, &SqlType::Reg(kind))),
            _ => Err(cannot_cast(&value.sql_type, &SqlType::Reg(kind))),
        }
    }

    fn reg_in(&self, text: Expr, kind: RegKind) -> Result<Typed> {
        self.call_builtin(&format!("{}in", kind.name()), vec![Typed::new(text, SqlType::Text, true)])
            .map(|oid| oid.retyped(SqlType::Reg(kind)))
    }

    fn reg_text(&self, oid: Expr, kind: RegKind, target: &SqlType) -> Result<Typed> {
        let text = self.call_builtin(&format!("{}out", kind.name()), vec![Typed::new(oid, SqlType::Oid, true)])?;
        Ok(text.retyped(target.clone()))
    }
}

/// A typed `$n`.
pub(super) fn parameter(number: usize, sql_type: &SqlType) -> Typed {
    let field = Arc::new(sql_type.field("", true));
    Typed::new(Expr::Placeholder(Placeholder::new_with_field(format!("${number}"), Some(field))), sql_type.clone(), true)
}

/// A cast that changes the Arrow type only.
pub(super) fn cast_expr(expr: Expr, data_type: &DataType) -> Expr {
    Expr::Cast(Cast::new(Box::new(expr), data_type.clone()))
}

/// `TRY_CAST`: NULL instead of an error.
pub(super) fn try_cast(value: Typed, target: &SqlType) -> Typed {
    Typed::new(Expr::TryCast(TryCast::new(Box::new(value.expr), target.arrow_type())), target.clone(), true)
}

pub(super) fn plain_cast(value: Typed, target: &SqlType) -> Typed {
    let nullable = value.nullable;
    let same_representation = value.data_type == target.arrow_type();
    if same_representation {
        return value.retyped(target.clone());
    }
    Typed::new(cast_expr(value.expr, &target.arrow_type()), target.clone(), nullable)
}

pub(super) fn cannot_cast(from: &SqlType, to: &SqlType) -> Error {
    Error::new(ErrorKind::CannotCoerce, format!("cannot cast type {} to {}", from.unmodified_name(), to.unmodified_name()))
}

fn same_kind(left: &SqlType, right: &SqlType) -> bool {
    left.is_numeric() && right.is_numeric() || matches!((left, right), (SqlType::Reg(_), SqlType::Oid))
}

/// The wider of two types of one family.
fn wider(left: &SqlType, right: &SqlType) -> Option<SqlType> {
    if left == right {
        return Some(left.clone());
    }
    if let (Some(left), Some(right)) = (element_type(left), element_type(right)) {
        return wider(&left, &right).map(|element| SqlType::Array(Box::new(element)));
    }
    if family(left) != family(right) {
        return None;
    }
    Some(match (left, right) {
        // Values of one scale keep it; others have theirs each.
        (SqlType::Numeric { precision: p1, scale: s1 }, SqlType::Numeric { precision: p2, scale: s2 }) if s1 == s2 => {
            SqlType::Numeric { precision: *p1.max(p2), scale: *s1 }
        }
        (SqlType::Numeric { precision, scale: 0 }, integer @ (SqlType::Int2 | SqlType::Int4 | SqlType::Int8))
        | (integer @ (SqlType::Int2 | SqlType::Int4 | SqlType::Int8), SqlType::Numeric { precision, scale: 0 }) => {
            let digits = match integer {
                SqlType::Int2 => 5,
                SqlType::Int4 => 10,
                _ => 19,
            };
            SqlType::Numeric { precision: digits.max(*precision), scale: 0 }
        }
        (numeric, other) | (other, numeric) if numeric.is_numeric() && rank(other) <= rank(numeric) => {
            SqlType::UnconstrainedNumeric
        }
        (SqlType::Varchar(_), SqlType::Varchar(_)) => SqlType::Varchar(None),
        (SqlType::Bpchar(_), SqlType::Bpchar(_)) => SqlType::Bpchar(None),
        // Each converts to the other unasked: the first stays.
        (SqlType::Bpchar(_), SqlType::Varchar(_)) => SqlType::Bpchar(None),
        (SqlType::Varchar(_), SqlType::Bpchar(_)) => SqlType::Varchar(None),
        (SqlType::Uuid, _) | (_, SqlType::Uuid) => SqlType::Text,
        _ if family(left) == Family::Other => return None,
        _ => {
            let winner = if rank(left) >= rank(right) { left } else { right };
            match winner {
                SqlType::Varchar(_) => SqlType::Varchar(None),
                SqlType::Bpchar(_) | SqlType::Name | SqlType::Char => SqlType::Text,
                other => other.clone(),
            }
        }
    })
}
