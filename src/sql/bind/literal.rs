//! Text to constants, as PostgreSQL's input functions read them.
//!
//! An untyped literal takes its type from its context and is read here, while the statement is bound, so a wrong one is an error with
//! PostgreSQL's text (`invalid input syntax for type integer: "x"`) and a right one is a plain constant that the optimiser can prune by.
//! The reading itself is [`crate::types::input`]'s, as it is for parameters and for casts of columns. Here are the digits of `numeric`s
//! that nobody has declared.

use datafusion::arrow::datatypes::i256;
use datafusion::common::ScalarValue;

use crate::error::{Error, ErrorKind, Result};
use crate::types::SqlType;
use crate::types::values;

/// Sign, digits without leading zeros, and the number of digits right of the point.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Decimal {
    negative: bool,
    digits: String,
    scale: i32,
}

impl Decimal {
    /// Reads `[+-]digits[.digits][e[+-]digits]`.
    pub(super) fn read(text: &str) -> Option<Decimal> {
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all_digits = whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit());
        if (whole.is_empty() && fraction.is_empty()) || !all_digits {
            return None;
        }
        let digits = format!("{whole}{fraction}").trim_start_matches('0').to_string();
        let scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
        Some(Decimal { negative, digits, scale })
    }

    /// The narrowest `numeric` that holds it: precision and scale, if 76 digits are enough.
    pub(super) fn narrowest(&self) -> Option<(u8, i8)> {
        let scale = self.scale.max(0);
        let length = i32::try_from(self.digits.len()).ok()?.checked_add((-self.scale).max(0))?;
        let precision = length.max(scale).max(1);
        Some((u8::try_from(precision).ok().filter(|precision| *precision <= 76)?, i8::try_from(scale).ok()?))
    }

    /// The value with `scale` digits right of the point, rounded half away from zero.
    fn scaled(&self, scale: i8) -> Option<i256> {
        let shift = i32::from(scale).checked_sub(self.scale)?;
        let mut digits = self.digits.clone();
        let mut round_up = false;
        if shift >= 0 {
            if !digits.is_empty() {
                digits.push_str(&"0".repeat(usize::try_from(shift).ok().filter(|zeros| *zeros <= 80)?));
            }
        } else {
            let cut = usize::try_from(-shift).ok()?;
            if cut > digits.len() {
                digits.clear();
            } else {
                let dropped = digits.split_off(digits.len() - cut);
                round_up = dropped.as_bytes().first().is_some_and(|first| *first >= b'5');
            }
        }
        if digits.is_empty() {
            digits.push('0');
        }
        let value = i256::from_string(&digits)?;
        let value = if round_up { value.checked_add(i256::ONE)? } else { value };
        Some(if self.negative { value.wrapping_neg() } else { value })
    }

    /// The value as `numeric(precision, scale)`, if it fits.
    pub(super) fn constant(&self, precision: u8, scale: i8) -> Option<ScalarValue> {
        let value = self.scaled(scale)?;
        let mut limit = i256::ONE;
        for _ in 0..precision {
            limit = limit.checked_mul(i256::from_i128(10))?;
        }
        if value >= limit || value <= limit.wrapping_neg() {
            return None;
        }
        Some(if precision <= 38 {
            ScalarValue::Decimal128(Some(value.to_i128()?), precision, scale)
        } else {
            ScalarValue::Decimal256(Some(value), precision, scale)
        })
    }
}

/// Why `text` is no decimal: it is no number, or one that no decimal holds.
pub(super) fn not_a_decimal(text: &str) -> Error {
    values::parse_numeric(text).err().unwrap_or_else(|| Error::new(ErrorKind::NumericOutOfRange, "numeric field overflow"))
}

/// The `numeric` that holds all elements of an array with the digits they are written with.
pub(super) fn numeric_of_elements(text: &str) -> Result<SqlType> {
    let (mut whole, mut scale) = (1, 0);
    for element in values::parse_array(text)?.elements.iter().flatten() {
        let number = values::parse_numeric(element)?;
        (whole, scale) = (number.whole_digits().max(whole), number.scale.max(scale));
    }
    match (whole.checked_add(scale), i8::try_from(scale)) {
        (Some(precision @ ..=38), Ok(scale)) => Ok(SqlType::Numeric { precision, scale }),
        _ => Ok(SqlType::UNBOUNDED_NUMERIC),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::world::world;
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
    fn numerics_keep_their_digits() {
        let decimal = Decimal::read("-12.345e1").unwrap();
        assert_eq!(decimal.narrowest(), Some((5, 2)));
        assert_eq!(decimal.constant(5, 2), Some(ScalarValue::Decimal128(Some(-12_345), 5, 2)));
        assert_eq!(decimal.constant(4, 0), Some(ScalarValue::Decimal128(Some(-123), 4, 0)));
        assert_eq!(Decimal::read("0.05").unwrap().narrowest(), Some((2, 2)));
        assert_eq!(Decimal::read("1e3").unwrap().constant(4, 0), Some(ScalarValue::Decimal128(Some(1000), 4, 0)));
        assert_eq!(Decimal::read("1e"), None);
        assert_eq!(read("123.456", SqlType::Numeric { precision: 5, scale: 2 }), "123.46");
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
