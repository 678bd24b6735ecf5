//! Text to dates and times.
use super::{DateOrder, TimeZone};
use crate::error::{Error, Result};
/// What the text does not say.
#[derive(Debug, Clone, Copy)]
pub struct DateTimeInput<'a> {
    /// Order of ambiguous dates.
    pub order: DateOrder,
    /// Zone of times without one.
    pub zone: &'a TimeZone,
    /// `now` in microseconds since 1970 UTC; without it `now`, `today`, .. are refused.
    pub now: Option<i64>,
}
/// Days since 1970-01-01.
pub fn parse_date(_text: &str, _input: &DateTimeInput<'_>) -> Result<i32> {
    Err(Error::internal("later"))
}
/// Microseconds since midnight.
pub fn parse_time(_text: &str, _input: &DateTimeInput<'_>) -> Result<i64> {
    Err(Error::internal("later"))
}
/// Microseconds since 1970-01-01 00:00; a zone in the text is ignored, as in PostgreSQL.
pub fn parse_timestamp(_text: &str, _input: &DateTimeInput<'_>) -> Result<i64> {
    Err(Error::internal("later"))
}
/// Microseconds since 1970-01-01 00:00 UTC.
pub fn parse_timestamptz(_text: &str, _input: &DateTimeInput<'_>) -> Result<i64> {
    Err(Error::internal("later"))
}
