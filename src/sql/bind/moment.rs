//! Operators of dates, times, timestamps and intervals: which of PostgreSQL's functions stands behind each.

use datafusion::logical_expr::Operator;
use datafusion::sql::sqlparser::ast;

use super::Binder;
use super::coerce::{Family, cast_expr, family};
use super::expression::{Place, row};
use super::operator::{is_integer, no_operator};
use super::typed::Typed;
use crate::error::{Error, ErrorKind, Result};
use crate::types::SqlType;

impl Binder<'_> {
    /// `+ - * /` where one side is a date, a time, a timestamp or an interval.
    pub(super) fn moment_arithmetic(&self, operator: Operator, left: Typed, right: Typed) -> Result<Typed> {
        let (from, to) = (family(&left.sql_type), family(&right.sql_type));
        // Addition and the product with a number are the same from both sides.
        let swapped = matches!(
            (operator, from, to),
            (Operator::Plus, Family::Number, Family::DateTime)
                | (Operator::Plus, Family::Interval, Family::DateTime | Family::Time)
                | (Operator::Plus, Family::Time, Family::DateTime)
                | (Operator::Multiply, Family::Number, Family::Interval | Family::Time)
        );
        let (left, right) = if swapped { (right, left) } else { (left, right) };
        let is_integral = is_integer(&right);
        let name = match (&left.sql_type, operator, &right.sql_type) {
            (SqlType::Date, Operator::Plus, _) if is_integral => "date_pli",
            (SqlType::Date, Operator::Minus, _) if is_integral => "date_mii",
            (SqlType::Date, Operator::Plus, SqlType::Time) => "datetime_pl",
            (SqlType::Date, Operator::Plus, SqlType::Interval) => "date_pl_interval",
            (SqlType::Date, Operator::Minus, SqlType::Interval | SqlType::Time) => "date_mi_interval",
            (SqlType::Date, Operator::Minus, SqlType::Date) => "date_mi",
            (SqlType::Timestamp, Operator::Plus, SqlType::Interval | SqlType::Time) => "timestamp_pl_interval",
            (SqlType::Timestamp, Operator::Minus, SqlType::Interval | SqlType::Time) => "timestamp_mi_interval",
            (SqlType::Timestamptz, Operator::Plus, SqlType::Interval | SqlType::Time) => "timestamptz_pl_interval",
            (SqlType::Timestamptz, Operator::Minus, SqlType::Interval | SqlType::Time) => "timestamptz_mi_interval",
            (SqlType::Timestamptz, Operator::Minus, SqlType::Date | SqlType::Timestamp | SqlType::Timestamptz)
            | (SqlType::Date | SqlType::Timestamp, Operator::Minus, SqlType::Timestamptz) => "timestamptz_mi",
            (SqlType::Date | SqlType::Timestamp, Operator::Minus, SqlType::Date | SqlType::Timestamp) => "timestamp_mi",
            (SqlType::Time, Operator::Plus, SqlType::Interval) => "time_pl_interval",
            (SqlType::Time, Operator::Minus, SqlType::Interval) => "time_mi_interval",
            (SqlType::Time, Operator::Minus, SqlType::Time) => "time_mi_time",
            (SqlType::Interval | SqlType::Time, Operator::Plus, SqlType::Interval | SqlType::Time)
                if left.sql_type == SqlType::Interval || right.sql_type == SqlType::Interval =>
            {
                "interval_pl"
            }
            (SqlType::Interval, Operator::Minus, SqlType::Interval | SqlType::Time) => "interval_mi",
            (SqlType::Interval | SqlType::Time, Operator::Multiply, _) if family(&right.sql_type) == Family::Number => {
                "interval_mul"
            }
            (SqlType::Interval | SqlType::Time, Operator::Divide, _) if family(&right.sql_type) == Family::Number => "interval_div",
            _ => {
                let (left, right) = if swapped { (&right, &left) } else { (&left, &right) };
                return Err(no_operator(left, &operator.to_string(), right));
            }
        };
        let right = match name {
            "interval_mul" | "interval_div" => self.cast(right, &SqlType::Float8)?,
            "date_pli" | "date_mii" => self.cast(right, &SqlType::Int4)?,
            "timestamp_pl_interval"
            | "timestamp_mi_interval"
            | "timestamptz_pl_interval"
            | "timestamptz_mi_interval"
            | "date_mi_interval"
            | "interval_pl"
            | "interval_mi" => self.cast(right, &SqlType::Interval)?,
            _ => right,
        };
        let left = if name.starts_with("interval_") { self.cast(left, &SqlType::Interval)? } else { left };
        let nullable = left.nullable || right.nullable;
        Ok(Typed { nullable, ..self.call_builtin(name, vec![left, right])? })
    }

    /// `(start, end) OVERLAPS (start, end)`, where an end may be a length.
    pub(super) fn overlaps(&self, left: &ast::Expr, right: &ast::Expr, place: Place<'_>) -> Result<Typed> {
        let wrong =
            |side: &str| Error::new(ErrorKind::Syntax, format!("wrong number of parameters on {side} side of OVERLAPS expression"));
        let mut ends = vec![];
        for (side, expr) in [("left", left), ("right", right)] {
            let elements = row(expr).filter(|elements| elements.len() == 2).ok_or_else(|| wrong(side))?;
            let start = self.expression(elements[0], place)?;
            let end = self.expression(elements[1], place)?;
            let end = if end.sql_type == SqlType::Interval && !start.is_unknown() {
                self.arithmetic(Operator::Plus, self.copied(&start)?, end)?
            } else {
                end
            };
            ends.extend([start, end]);
        }
        let known: Vec<&Typed> = ends.iter().filter(|end| !end.is_unknown()).collect();
        let common = match self.common_type(&known, "OVERLAPS")? {
            // Dates overlap as instants do; PostgreSQL prefers those where nothing has a type.
            SqlType::Date | SqlType::Text => SqlType::Timestamptz,
            common => common,
        };
        let ends = ends.into_iter().map(|end| self.cast(end, &common)).collect::<Result<Vec<_>>>()?;
        self.call_builtin("overlaps", ends)
    }

    /// A side of a comparison as the type of both. A date becomes a timestamp by the engine's own cast, which files can be pruned by and
    /// which a row filter may come after.
    pub(super) fn widened(&self, value: Typed, wider: &SqlType) -> Result<Typed> {
        if value.sql_type == SqlType::Date && *wider == SqlType::Timestamp {
            return Ok(Typed::new(cast_expr(value.expr, &wider.arrow_type()), wider.clone(), value.nullable));
        }
        self.cast(value, wider)
    }
}
