//! PostgreSQL's words for text that is not a value.

use crate::error::{Error, ErrorKind};

/// 22P02 `invalid input syntax for type integer: "abc"`
pub fn invalid(type_name: &str, text: &str) -> Error {
    Error::new(ErrorKind::InvalidText, format!("invalid input syntax for type {type_name}: \"{text}\""))
}

/// 22003 `value "99999" is out of range for type smallint`
pub(super) fn out_of_range(text: &str, type_name: &str) -> Error {
    Error::new(ErrorKind::NumericOutOfRange, format!("value \"{text}\" is out of range for type {type_name}"))
}

/// The infinities of days and moments, which neither Arrow nor Delta Lake can hold.
pub fn infinite(type_name: &str) -> Error {
    Error::unsupported(format!("an infinite {type_name}")).with_hint("Use NULL, or a bound that no value reaches: '9999-12-31'.")
}

/// 22007 `invalid input syntax for type date: "abc"`
pub(super) fn invalid_datetime(type_name: &str, text: &str) -> Error {
    Error::new(ErrorKind::InvalidDatetime, format!("invalid input syntax for type {type_name}: \"{text}\""))
}
