//! Intervals.
use super::{IntervalStyle, ValueText};
/// An interval as PostgreSQL stores it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IntervalValue {
    /// Months.
    pub months: i32,
    /// Days.
    pub days: i32,
    /// Microseconds.
    pub micros: i64,
}
/// Writes an interval.
pub fn format_interval(_interval: IntervalValue, _style: IntervalStyle) -> ValueText<128> {
    ValueText::new()
}
