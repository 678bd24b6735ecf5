//! Intervals between PostgreSQL's parts, whose smallest is a microsecond, and Arrow's, whose smallest is a nanosecond.
//!
//! Arrow's 64 bits of nanoseconds hold 2,562,047 hours, PostgreSQL's microseconds a thousand times as many: a time beyond is 22008.

use datafusion::arrow::datatypes::IntervalMonthDayNano;

use super::values::IntervalValue;
use super::values::moment::interval_out_of_range;
use crate::error::Result;

/// From Arrow's representation.
pub const fn from_arrow_interval(interval: IntervalMonthDayNano) -> IntervalValue {
    IntervalValue { months: interval.months, days: interval.days, micros: interval.nanoseconds / 1000 }
}

/// To Arrow's representation.
///
/// # Errors
/// 22008 for a time that 64 bits of nanoseconds do not hold.
pub fn to_arrow_interval(interval: IntervalValue) -> Result<IntervalMonthDayNano> {
    let nanoseconds = interval.micros.checked_mul(1000).ok_or_else(interval_out_of_range)?;
    Ok(IntervalMonthDayNano::new(interval.months, interval.days, nanoseconds))
}
