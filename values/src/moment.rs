//! Arithmetic of dates, timestamps and instants: shifts by intervals, differences, ages, bins.
//!
//! Months and days of an interval move on a clock: a timestamp's own, or for an instant the clocks of a zone, so that a day is a day even
//! where clocks change. Hours, minutes and seconds are time that passes. Every result is checked against the range of its type, as
//! PostgreSQL checks it.

use super::calendar::{DAY_MICROS, civil_from_days, days_from_civil, days_of_month};
use super::datetime::{local_micros, utc_micros};
use super::{IntervalValue, TimeZone};
use crate::error::{Error, ErrorKind, Result};

/// PostgreSQL's first day, 4714-11-24 BC: Julian day 0.
pub(super) const FIRST_DAY: i64 = -2_440_588;
/// PostgreSQL's last day is before 5874898-01-01.
pub(super) const DATE_END: i64 = 2_145_042_906;
/// Timestamps begin with the first day, and end in the year 294247, where microseconds since 1970 outgrow an `i64`; PostgreSQL, which
/// counts from 2000, goes on until 294276.
const FIRST_TIMESTAMP: i64 = FIRST_DAY * DAY_MICROS;

fn out_of_range(what: &str) -> Error {
    Error::new(ErrorKind::DatetimeOutOfRange, format!("{what} out of range"))
}

/// 22008 `interval out of range`
pub fn interval_out_of_range() -> Error {
    out_of_range("interval")
}

/// 22008 `timestamp out of range`
pub fn timestamp_out_of_range() -> Error {
    out_of_range("timestamp")
}

/// 22008 `date out of range`
pub fn date_out_of_range() -> Error {
    out_of_range("date")
}

/// A timestamp or instant, if PostgreSQL has it.
pub(super) fn timestamp_in_range(micros: i64) -> Option<i64> {
    (micros >= FIRST_TIMESTAMP).then_some(micros)
}

/// Microseconds since 1970 of midnight of a day.
///
/// # Errors
/// 22008 for a day that is no date, or one beyond the timestamps.
pub fn midnight(days: i32) -> Result<i64> {
    let micros = i64::from(days).checked_mul(DAY_MICROS).and_then(timestamp_in_range);
    micros.ok_or_else(|| Error::new(ErrorKind::DatetimeOutOfRange, "date out of range for timestamp"))
}

/// A number of days since 1970 as a date.
///
/// # Errors
/// 22008 outside PostgreSQL's dates.
pub fn date_of_days(days: i64) -> Result<i32> {
    let days = Some(days).filter(|days| (FIRST_DAY..DATE_END).contains(days));
    days.and_then(|days| i32::try_from(days).ok()).ok_or_else(date_out_of_range)
}

/// The day of a local time.
///
/// # Errors
/// Never for a timestamp in range.
pub fn day_of(local: i64) -> Result<i32> {
    date_of_days(local.div_euclid(DAY_MICROS))
}

/// What the clocks of `zone` show at an instant.
///
/// # Errors
/// 22008 outside the timestamps.
pub fn local_of_instant(utc: i64, zone: &TimeZone) -> Result<i64> {
    local_micros(utc, zone).and_then(timestamp_in_range).ok_or_else(timestamp_out_of_range)
}

/// The instant at which the clocks of `zone` show a local time: the later one of two, the one before a change of two that never were.
///
/// # Errors
/// 22008 outside the timestamps.
pub fn instant_of_local(local: i64, zone: &TimeZone) -> Result<i64> {
    utc_micros(local, zone).and_then(timestamp_in_range).ok_or_else(timestamp_out_of_range)
}

/// A local time moved by months, clipped to the month's end.
fn plus_months(local: i64, months: i32) -> Option<i64> {
    let (year, month, day) = civil_from_days(local.div_euclid(DAY_MICROS));
    let months = year * 12 + i64::from(month) - 1 + i64::from(months);
    let (year, month) = (months.div_euclid(12), u32::try_from(months.rem_euclid(12)).ok()? + 1);
    let days = days_from_civil(year, month, day.min(days_of_month(year, month)));
    days.checked_mul(DAY_MICROS)?.checked_add(local.rem_euclid(DAY_MICROS)).and_then(timestamp_in_range)
}

fn plus_days(local: i64, days: i32) -> Option<i64> {
    local.checked_add(i64::from(days).checked_mul(DAY_MICROS)?).and_then(timestamp_in_range)
}

/// A timestamp moved by an interval.
///
/// # Errors
/// 22008 outside the timestamps, also on the way.
pub fn timestamp_plus(local: i64, interval: IntervalValue) -> Result<i64> {
    let shift = |mut local: i64| {
        if interval.months != 0 {
            local = plus_months(local, interval.months)?;
        }
        local = plus_days(local, interval.days)?;
        local.checked_add(interval.micros).and_then(timestamp_in_range)
    };
    shift(local).ok_or_else(timestamp_out_of_range)
}

/// An instant moved by an interval: months and days on the clocks of `zone`, the rest as time that passes.
///
/// # Errors
/// 22008 outside the timestamps, also on the way.
pub fn instant_plus(utc: i64, interval: IntervalValue, zone: &TimeZone) -> Result<i64> {
    let on_clock = |utc: i64, shift: &dyn Fn(i64) -> Option<i64>| {
        let local = local_micros(utc, zone).and_then(timestamp_in_range)?;
        utc_micros(shift(local)?, zone).and_then(timestamp_in_range)
    };
    let shift = |mut utc: i64| {
        if interval.months != 0 {
            utc = on_clock(utc, &|local| plus_months(local, interval.months))?;
        }
        if interval.days != 0 {
            utc = on_clock(utc, &|local| plus_days(local, interval.days))?;
        }
        utc.checked_add(interval.micros).and_then(timestamp_in_range)
    };
    shift(utc).ok_or_else(timestamp_out_of_range)
}

/// `left - right` of two timestamps or instants: days and time of day, both of one sign.
///
/// # Errors
/// 22008 for a difference that no interval holds.
pub fn difference(left: i64, right: i64) -> Result<IntervalValue> {
    let micros = left.checked_sub(right).ok_or_else(interval_out_of_range)?;
    let days = i32::try_from(micros / DAY_MICROS).map_err(|_| interval_out_of_range())?;
    Ok(IntervalValue { months: 0, days, micros: micros % DAY_MICROS })
}

/// The symbolic difference of two local times, counted in months, days and time: `age()`. `reversed` where the first is the earlier one.
pub fn age(first: i64, second: i64, reversed: bool) -> IntervalValue {
    let sign = if reversed { -1 } else { 1 };
    let fields = |local: i64| {
        let (year, month, day) = civil_from_days(local.div_euclid(DAY_MICROS));
        (year * 12 + i64::from(month) - 1, i64::from(day), local.rem_euclid(DAY_MICROS))
    };
    let ((months1, day1, micros1), (months2, day2, micros2)) = (fields(first), fields(second));
    let (mut months, mut days, mut micros) = ((months1 - months2) * sign, (day1 - day2) * sign, (micros1 - micros2) * sign);
    while micros < 0 {
        micros += DAY_MICROS;
        days -= 1;
    }
    // What is borrowed is the length of the earlier one's month.
    let borrowed = if reversed { months1 } else { months2 };
    let month = u32::try_from(borrowed.rem_euclid(12)).unwrap_or_default() + 1;
    while days < 0 {
        days += i64::from(days_of_month(borrowed.div_euclid(12), month));
        months -= 1;
    }
    let narrow = |value: i64| i32::try_from(value * sign).unwrap_or_default();
    IntervalValue { months: narrow(months), days: narrow(days), micros: micros * sign }
}

/// The start of the bin of length `stride` that a timestamp falls into, counted from `origin`.
///
/// # Errors
/// 0A000 for a stride of months, 22008 for one that is not positive and for a bin outside the timestamps.
pub fn bin(stride: IntervalValue, timestamp: i64, origin: i64) -> Result<i64> {
    if stride.months != 0 {
        let message = "timestamps cannot be binned into intervals containing months or years";
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    let days = i64::from(stride.days) * DAY_MICROS;
    let stride = days.checked_add(stride.micros).ok_or_else(interval_out_of_range)?;
    if stride <= 0 {
        return Err(Error::new(ErrorKind::DatetimeOutOfRange, "stride must be greater than zero"));
    }
    let distance = timestamp.checked_sub(origin).ok_or_else(interval_out_of_range)?;
    let past = distance % stride;
    let mut start = distance - past;
    if past < 0 {
        start = start.checked_sub(stride).ok_or_else(interval_out_of_range)?;
    }
    origin.checked_add(start).and_then(timestamp_in_range).ok_or_else(timestamp_out_of_range)
}

/// A time of day moved by an interval's time, around the clock.
pub fn time_plus(time: i64, interval: IntervalValue) -> i64 {
    (time + interval.micros % DAY_MICROS).rem_euclid(DAY_MICROS)
}

/// A number of units of `unit` microseconds since 1970.
///
/// # Errors
/// 22008 outside the timestamps.
pub fn instant_of_units(count: i64, unit: i64) -> Result<i64> {
    count.checked_mul(unit).and_then(timestamp_in_range).ok_or_else(timestamp_out_of_range)
}

/// Seconds since 1970, rounded to microseconds: `to_timestamp(double precision)`.
///
/// # Errors
/// 22008 outside the timestamps and for NaN.
#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "compared with the limits before")]
pub fn instant_of_epoch(seconds: f64) -> Result<i64> {
    const SECONDS_TO_2000: f64 = 946_684_800.0;
    const MICROS_TO_2000: i64 = 946_684_800_000_000;
    if seconds.is_nan() {
        return Err(Error::new(ErrorKind::DatetimeOutOfRange, "timestamp cannot be NaN"));
    }
    let refused = || Error::new(ErrorKind::DatetimeOutOfRange, format!("timestamp out of range: \"{seconds}\""));
    // PostgreSQL counts from 2000, and so does its rounding.
    let since_2000 = ((seconds - SECONDS_TO_2000) * 1e6).round_ties_even();
    if since_2000.abs() >= i64::MAX as f64 {
        return Err(refused());
    }
    (since_2000 as i64).checked_add(MICROS_TO_2000).and_then(timestamp_in_range).ok_or_else(refused)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        DateOrder, DateStyle, DateTimeInput, IntervalStyle, format_interval, format_timestamp, format_timestamptz, parse_interval,
        parse_timestamp, parse_timestamptz,
    };

    fn berlin() -> TimeZone {
        TimeZone::parse("Europe/Berlin").unwrap()
    }

    fn local(text: &str) -> i64 {
        let zone = TimeZone::utc();
        parse_timestamp(text, &DateTimeInput { order: DateOrder::Mdy, zone: &zone, now: None }).unwrap()
    }

    fn interval(text: &str) -> IntervalValue {
        parse_interval(text, IntervalStyle::Postgres).unwrap()
    }

    #[test]
    fn hours_pass_and_days_move_the_clock() {
        let zone = berlin();
        let input = DateTimeInput { order: DateOrder::Mdy, zone: &zone, now: None };
        for (start, shift, end) in [
            ("2026-03-29 00:00+01", "3 hours", "2026-03-29 04:00:00+02"),
            ("2026-10-25 02:30+02", "1 hour", "2026-10-25 02:30:00+01"),
            ("2026-03-29 04:00+02", "-3 hours", "2026-03-29 00:00:00+01"),
            ("2026-03-29 00:00+01", "1 day", "2026-03-30 00:00:00+02"),
            ("2026-03-28 02:30+01", "1 day", "2026-03-29 03:30:00+02"),
            ("2026-10-01 00:00+02", "1 month", "2026-11-01 00:00:00+01"),
        ] {
            let start = parse_timestamptz(start, &input).unwrap();
            let moved = instant_plus(start, interval(shift), &zone).unwrap();
            assert_eq!(format_timestamptz(moved, DateStyle::default(), &zone).as_str(), end);
        }
    }

    #[test]
    fn what_leaves_the_range_is_refused() {
        let years = IntervalValue { months: 999_999 * 12, ..IntervalValue::default() };
        assert_eq!(timestamp_plus(0, years).unwrap_err().message(), "timestamp out of range");
        assert_eq!(timestamp_plus(FIRST_TIMESTAMP, interval("-1 us")).unwrap_err().kind(), ErrorKind::DatetimeOutOfRange);
        assert_eq!(instant_plus(i64::MAX, interval("1 us"), &berlin()).unwrap_err().kind(), ErrorKind::DatetimeOutOfRange);
        assert_eq!(difference(i64::MIN, 1).unwrap_err().message(), "interval out of range");
        assert_eq!(date_of_days(DATE_END).unwrap_err().message(), "date out of range");
        assert_eq!(midnight(i32::MAX).unwrap_err().message(), "date out of range for timestamp");
        assert_eq!(instant_of_epoch(f64::MAX).unwrap_err().kind(), ErrorKind::DatetimeOutOfRange);
    }

    #[test]
    fn bins_begin_before_their_origin_too() {
        let of = |stride: &str, time: &str, origin: &str| {
            let start = bin(interval(stride), local(time), local(origin)).unwrap();
            format_timestamp(start, DateStyle::default()).to_string()
        };
        assert_eq!(of("15 min", "2019-12-31 23:59:59", "2020-01-01"), "2019-12-31 23:45:00");
        assert_eq!(of("1 day", "9999-12-31 23:59", "2020-01-01 06:00"), "9999-12-31 06:00:00");
        assert_eq!(of("15 min", "2020-01-01", "2020-01-01"), "2020-01-01 00:00:00");
        assert_eq!(bin(interval("1 mon"), 0, 0).unwrap_err().kind(), ErrorKind::Unsupported);
        assert_eq!(bin(interval("0"), 0, 0).unwrap_err().kind(), ErrorKind::DatetimeOutOfRange);
    }

    #[test]
    fn ages_are_symbolic() {
        let of = |first: &str, second: &str| {
            let (first, second) = (local(first), local(second));
            format_interval(age(first, second, first < second), IntervalStyle::Postgres).to_string()
        };
        assert_eq!(of("2001-04-10", "1957-06-13"), "43 years 9 mons 27 days");
        assert_eq!(of("2024-03-01", "2024-01-31"), "1 mon 1 day");
        assert_eq!(of("2024-01-31", "2024-03-01 00:00:01"), "-1 mons -1 days -00:00:01");
    }

    #[test]
    fn seconds_since_1970_are_rounded_as_since_2000() {
        assert_eq!(instant_of_epoch(1_262_349_296.789_012_3).unwrap(), 1_262_349_296_789_012);
        assert_eq!(instant_of_epoch(0.0).unwrap(), 0);
    }
}
