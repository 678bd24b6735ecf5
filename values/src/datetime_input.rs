//! Text to dates, times and timestamps, in every form that PostgreSQL accepts and drivers send.
//!
//! ```text
//!  "2024-01-05T10:00:00+02" ── fields: Date "2024-01-05", Word "t", Time "10:00:00", Zone "+02" ──▶ Decoder ──▶ DateTime
//! ```
//! Which number is the day, the month or the year depends on what has been read before it and on `DateStyle`, in PostgreSQL's way.

use super::datetime::utc_micros;
use super::datetime_decoder::{Want, Zone, decode};
use super::moment::{date_of_days, timestamp_in_range};
use super::{DateOrder, TimeZone};
use crate::error::{Error, ErrorKind, Result};

/// What the text does not say.
#[derive(Debug, Clone, Copy)]
pub struct DateTimeInput<'a> {
    /// Order of day, month and year where a text leaves it open.
    pub order: DateOrder,
    /// Zone of times that name none.
    pub zone: &'a TimeZone,
    /// What `now`, `today` and their kind mean, in microseconds since 1970-01-01 UTC; without it they are refused.
    pub now: Option<i64>,
}

/// Reads a date: days since 1970-01-01.
///
/// # Errors
/// 22007 for text that is not a date, 22008 for one that does not exist or lies outside PostgreSQL's range.
pub fn parse_date(text: &str, input: &DateTimeInput<'_>) -> Result<i32> {
    let decoded = decode(text, input, Want::DateTime).map_err(|fault| fault.error("date", text))?;
    date_of_days(decoded.days).map_err(|_| Error::new(ErrorKind::DatetimeOutOfRange, format!("date out of range: \"{text}\"")))
}

/// Reads a time of day: microseconds since midnight. A date before it and a zone behind it are ignored, as in PostgreSQL.
///
/// # Errors
/// 22007 for text that is not a time, 22008 for one that does not exist.
pub fn parse_time(text: &str, input: &DateTimeInput<'_>) -> Result<i64> {
    let decoded = decode(text, input, Want::Time).map_err(|fault| fault.error("time", text))?;
    Ok(decoded.micros)
}

/// Reads a timestamp: microseconds since 1970-01-01 00:00. A zone in the text is ignored, as in PostgreSQL.
///
/// # Errors
/// As [`parse_date`].
pub fn parse_timestamp(text: &str, input: &DateTimeInput<'_>) -> Result<i64> {
    let decoded = decode(text, input, Want::DateTime).map_err(|fault| fault.error("timestamp", text))?;
    in_range(decoded.local(), text)
}

/// Reads an instant: microseconds since 1970-01-01 00:00 UTC.
///
/// # Errors
/// As [`parse_date`].
pub fn parse_timestamptz(text: &str, input: &DateTimeInput<'_>) -> Result<i64> {
    let decoded = decode(text, input, Want::DateTime).map_err(|fault| fault.error("timestamp with time zone", text))?;
    let local = in_range(decoded.local(), text)?;
    let utc = match decoded.zone {
        Some(Zone::Offset(offset)) => local.checked_sub(i64::from(offset) * 1_000_000),
        Some(Zone::Named(zone)) => utc_micros(local, &zone),
        None => utc_micros(local, input.zone),
    };
    in_range(utc, text)
}

fn in_range(micros: Option<i64>, text: &str) -> Result<i64> {
    micros
        .and_then(timestamp_in_range)
        .ok_or_else(|| Error::new(ErrorKind::DatetimeOutOfRange, format!("timestamp out of range: \"{text}\"")))
}
