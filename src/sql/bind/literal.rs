//! Text to constants, as PostgreSQL's input functions read it.
//!
//! An untyped literal takes its type from its context and is read here, while the statement is bound, so a wrong one is an error with
//! PostgreSQL's text (`invalid input syntax for type integer: "x"`) and a right one is a plain constant that the optimiser can prune by.
//! The reading itself is [`crate::types::input`]'s, as it is for parameters and for casts of columns. Here are intervals of a type with
//! fields and digits.

use datafusion::common::ScalarValue;

use crate::error::Result;
use crate::types::values::{self, IntervalModifier};
use crate::types::{Form, to_arrow_interval};

/// A constant interval of a type with fields and digits, from its text form.
///
/// # Errors
/// 22007, 22008, 22015.
pub(super) fn interval_of(text: &str, modifier: IntervalModifier, form: &Form) -> Result<ScalarValue> {
    let value = values::parse_interval_of(text, form.interval_style, modifier.fields)?;
    Ok(ScalarValue::IntervalMonthDayNano(Some(to_arrow_interval(modifier.apply(value)?)?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::world::world;
    use crate::types::SqlType;
    use crate::types::input::parse_scalar;

    /// A session in Berlin.
    fn parse_in_berlin(text: &str, sql_type: &SqlType) -> Result<ScalarValue> {
        let world = world();
        parse_scalar(text, sql_type, &world.context(world.alice).form)
    }

    fn read(text: &str, sql_type: SqlType) -> String {
        match parse_in_berlin(text, &sql_type) {
            Ok(value) => value.to_string(),
            Err(error) => format!("{} {}", error.kind().sqlstate(), error.message()),
        }
    }

    #[test]
    fn literals_are_read_as_postgresql_reads_them() {
        assert_eq!(read("t", SqlType::Bool), "true");
        assert_eq!(read(" of ", SqlType::Bool), "false");
        assert_eq!(read("o", SqlType::Bool), "22P02 invalid input syntax for type boolean: \"o\"");
        assert_eq!(read(" 42 ", SqlType::Int4), "42");
        assert_eq!(read("99999999999", SqlType::Int4), "22003 value \"99999999999\" is out of range for type integer");
        assert_eq!(read("-1", SqlType::Oid), "4294967295");
        assert_eq!(read("2024-02-29", SqlType::Date), "2024-02-29");
        assert_eq!(read("2024-01-05 +00", SqlType::Date), "2024-01-05");
        assert_eq!(read("2023-02-29", SqlType::Date), "22008 date/time field value out of range: \"2023-02-29\"");
        assert_eq!(read("Jan 5", SqlType::Date), "22007 invalid input syntax for type date: \"Jan 5\"");
        assert_eq!(read("{A0EEBC999C0B4EF8BB6D6BB9BD380A11}", SqlType::Uuid), "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11");
    }

    #[test]
    fn moments_follow_the_time_zone() {
        let micros = |text: &str| match parse_in_berlin(text, &SqlType::Timestamptz) {
            Ok(ScalarValue::TimestampMicrosecond(Some(micros), _)) => micros,
            other => panic!("{other:?}"),
        };
        assert_eq!(micros("1970-01-01 01:00:00"), 0);
        assert_eq!(micros("1970-01-01T00:00:00.5Z"), 500_000);
        assert_eq!(micros("1970-01-01 00:00:00-05:30"), 19_800_000_000);
        assert_eq!(micros("1970-01-01 00:00:00 America/New_York"), 18_000_000_000);
        assert_eq!(micros("1970-01-01 1:00 AM"), 0);
    }

    #[test]
    fn numerics_are_rounded_to_their_scale() {
        assert_eq!(read("123.456", SqlType::Numeric { precision: 5, scale: 2 }), "123.46");
        assert_eq!(read("123.456", SqlType::Numeric { precision: 4, scale: 2 }), "22003 numeric field overflow");
        assert_eq!(read("1e", SqlType::UnconstrainedNumeric), "22P02 invalid input syntax for type numeric: \"1e\"");
    }

    #[test]
    fn arrays_and_intervals() {
        assert_eq!(read("{1, 2,NULL}", SqlType::Array(Box::new(SqlType::Int4))), "[1, 2, ]");
        assert_eq!(read("{}", SqlType::Array(Box::new(SqlType::Text))), "[]");
        assert_eq!(read("1 2", SqlType::OidVector), "[1, 2]");
        for text in ["1 day 02:00:00", "P1DT2H", "1day 2hours", "@ 1 day 2 h", "-1 days -2 hours ago", "1 02:00"] {
            assert_eq!(read(text, SqlType::Interval), read("1 day 2 hours", SqlType::Interval), "{text}");
        }
        let months = |text: &str| match parse_in_berlin(text, &SqlType::Interval) {
            Ok(ScalarValue::IntervalMonthDayNano(Some(value))) => (value.months, value.days, value.nanoseconds),
            other => panic!("{other:?}"),
        };
        assert_eq!(months("1-2"), (14, 0, 0));
        assert_eq!(months("1.5 months"), (1, 15, 0));
        assert_eq!(months("90"), (0, 0, 90_000_000_000));
        assert_eq!(read("soon", SqlType::Interval), "22007 invalid input syntax for type interval: \"soon\"");
    }
}
