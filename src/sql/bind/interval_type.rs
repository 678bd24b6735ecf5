//! Interval types with fields and digits: `interval day to second(3)`, `INTERVAL '1' HOUR`.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::Expr;
use datafusion::sql::sqlparser::ast::{self, DataType, DateTimeField, Spanned};

use super::Binder;
use super::error::at;
use super::expression::Place;
use super::literal;
use super::typed::Typed;
use crate::error::{Error, ErrorKind, Result};
use crate::sql::type_name::MOST_DIGITS;
use crate::types::SqlType;
use crate::types::values::{IntervalField, IntervalFields, IntervalModifier};

/// The modifier of a parsed interval type that has one; `None` for other types and for plain intervals.
///
/// # Errors
/// 42601 for digits without seconds.
pub(super) fn interval_modifier(data_type: &DataType) -> Result<Option<IntervalModifier>> {
    let DataType::Interval { fields, precision } = data_type else { return Ok(None) };
    let modifier = IntervalModifier { fields: fields.as_ref().map(span), digits: digits(*precision) };
    if precision.is_some() && modifier.fields.is_some_and(|fields| fields.last != IntervalField::Second) {
        return Err(Error::new(ErrorKind::Syntax, "syntax error at or near \"(\"")
            .with_detail("Only seconds have digits behind the point."));
    }
    Ok(Some(modifier).filter(|modifier| *modifier != IntervalModifier::default()))
}

/// Six digits are all there are.
fn digits(precision: Option<u64>) -> Option<u32> {
    precision.and_then(|digits| u32::try_from(digits).ok()).filter(|digits| *digits < MOST_DIGITS)
}

fn span(fields: &ast::IntervalFields) -> IntervalFields {
    use IntervalField::{Day, Hour, Minute, Month, Second, Year};
    let (first, last) = match fields {
        ast::IntervalFields::Year => (Year, Year),
        ast::IntervalFields::Month => (Month, Month),
        ast::IntervalFields::Day => (Day, Day),
        ast::IntervalFields::Hour => (Hour, Hour),
        ast::IntervalFields::Minute => (Minute, Minute),
        ast::IntervalFields::Second => (Second, Second),
        ast::IntervalFields::YearToMonth => (Year, Month),
        ast::IntervalFields::DayToHour => (Day, Hour),
        ast::IntervalFields::DayToMinute => (Day, Minute),
        ast::IntervalFields::DayToSecond => (Day, Second),
        ast::IntervalFields::HourToMinute => (Hour, Minute),
        ast::IntervalFields::HourToSecond => (Hour, Second),
        ast::IntervalFields::MinuteToSecond => (Minute, Second),
    };
    IntervalFields { first, last }
}

/// The field behind a constant; `None` for one that only other dialects have.
fn field(field: &DateTimeField) -> Option<IntervalField> {
    Some(match field {
        DateTimeField::Year => IntervalField::Year,
        DateTimeField::Month => IntervalField::Month,
        DateTimeField::Day => IntervalField::Day,
        DateTimeField::Hour => IntervalField::Hour,
        DateTimeField::Minute => IntervalField::Minute,
        DateTimeField::Second => IntervalField::Second,
        _ => return None,
    })
}

impl Binder<'_> {
    /// `INTERVAL '1 2:03' DAY TO HOUR`, and the words of Databricks: `INTERVAL 3 DAYS`.
    pub(super) fn interval(&self, interval: &ast::Interval, place: Place<'_>) -> Result<Typed> {
        let value = self.expression(&interval.value, place)?;
        let (text, is_number) = match (value.literal_text(), &value.expr) {
            (Some(text), _) => (text.to_string(), false),
            (None, Expr::Literal(scalar, _)) if !scalar.is_null() => (scalar.to_string(), true),
            _ => return Err(Error::unsupported("INTERVAL of an expression").with_hint("Multiply: n * interval '1 day'.")),
        };
        let leading = interval.leading_field.as_ref();
        let first = leading.and_then(field);
        // A number before its unit, or before a unit that is no field of a type.
        let (text, fields) = match (leading, first) {
            (Some(unit), _) if is_number => (format!("{} {}", text.trim(), unit.to_string().to_lowercase()), None),
            (Some(unit), None) => (format!("{} {}", text.trim(), unit.to_string().to_lowercase()), None),
            (_, first) => {
                let last = interval.last_field.as_ref().map(|last| {
                    field(last).ok_or_else(|| Error::new(ErrorKind::Syntax, format!("syntax error at or near \"{last}\"")))
                });
                let last = last.transpose()?.or(first);
                (text, first.zip(last).map(|(first, last)| IntervalFields { first, last }))
            }
        };
        let precision = match interval.leading_field {
            Some(DateTimeField::Second) => interval.leading_precision,
            _ => interval.fractional_seconds_precision,
        };
        let modifier = IntervalModifier { fields, digits: digits(precision) };
        self.interval_constant(&text, modifier).map_err(|error| at(error, interval.value.span()))
    }

    /// A constant of an interval type with a modifier.
    pub(super) fn interval_constant(&self, text: &str, modifier: IntervalModifier) -> Result<Typed> {
        let constant = literal::interval_of(text, modifier, &self.literal_form(&SqlType::Interval))?;
        Ok(Typed { fraction: modifier.digits, ..Typed::constant(constant, SqlType::Interval) })
    }

    /// A cast to an interval type with a modifier.
    pub(super) fn cast_to_interval(&self, value: Typed, modifier: IntervalModifier) -> Result<Typed> {
        if value.is_unknown()
            && let Some(text) = value.literal_text()
        {
            return self.interval_constant(text, modifier);
        }
        let value = self.cast(value, &SqlType::Interval)?;
        let nullable = value.nullable;
        let typmod = Typed::constant(ScalarValue::Int32(Some(modifier.typmod())), SqlType::Int4);
        let limited = self.call_builtin("interval", vec![value, typmod])?;
        Ok(Typed { fraction: modifier.digits, nullable, ..limited })
    }
}
