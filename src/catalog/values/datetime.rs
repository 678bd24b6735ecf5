//! Dates and times to text.
use super::{DateStyle, TimeZone, ValueText};
/// Days since 1970-01-01.
pub fn format_date(_days: i32, _style: DateStyle) -> ValueText<32> {
    ValueText::new()
}
/// Microseconds since midnight.
pub fn format_time(_micros: i64) -> ValueText<32> {
    ValueText::new()
}
/// Microseconds since 1970-01-01 00:00.
pub fn format_timestamp(_micros: i64, _style: DateStyle) -> ValueText<64> {
    ValueText::new()
}
/// Microseconds since 1970-01-01 00:00 UTC.
pub fn format_timestamptz(_micros: i64, _style: DateStyle, _zone: &TimeZone) -> ValueText<64> {
    ValueText::new()
}
