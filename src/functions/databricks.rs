//! Databricks' words for what PostgreSQL says differently.

use datafusion::arrow::datatypes::IntervalMonthDayNano;

use super::define::{Call, Declaration, immutable, of_moment, zoned};
use super::time::{self, Civil, MICROS_PER_DAY, MICROS_PER_SECOND, Part};
use crate::error::{Error, ErrorKind, Result};
use crate::types::datum::Datum;

/// The functions of this file.
pub(super) fn declarations() -> Vec<Declaration> {
    let mut all = parts();
    all.extend(arithmetic());
    all.extend(epochs());
    all.extend(tests());
    all
}

/// The local time of argument `index`, whatever its type.
fn local(call: &Call<'_>, index: usize) -> Option<i64> {
    match call.get(index) {
        Datum::Date(days) => Some(i64::from(*days) * MICROS_PER_DAY),
        Datum::Timestamp(local) => Some(*local),
        Datum::Timestamptz(utc) => Some(time::utc_to_local(call.zone, *utc)),
        _ => None,
    }
}

fn date(local: i64) -> Datum {
    Datum::Date(i32::try_from(local.div_euclid(MICROS_PER_DAY)).unwrap_or(i32::MAX))
}

/// `year(x)` and its like: a field as an integer.
fn parts() -> Vec<Declaration> {
    macro_rules! part {
        ($($name:literal, $body:expr;)*) => {
            vec![$(
                zoned(concat!($name, "(timestamptz) -> int4"), |call| field(call, $body)),
                immutable(concat!($name, "(timestamp) -> int4"), |call| field(call, $body)),
                immutable(concat!($name, "(date) -> int4"), |call| field(call, $body)),
            )*]
        };
    }
    fn field(call: &Call<'_>, body: fn(i64) -> i64) -> Result<Datum> {
        Ok(Datum::from(local(call, 0).map(body)))
    }
    part! {
        "year", |local| Part::Year.of_local(local, 0);
        "quarter", |local| Part::Quarter.of_local(local, 0);
        "month", |local| Part::Month.of_local(local, 0);
        "day", |local| Part::Day.of_local(local, 0);
        "dayofmonth", |local| Part::Day.of_local(local, 0);
        "dayofyear", |local| Part::DayOfYear.of_local(local, 0);
        "dayofweek", |local| Part::DayOfWeek.of_local(local, 0) + 1;
        "weekday", |local| Part::IsoDayOfWeek.of_local(local, 0) - 1;
        "weekofyear", |local| Part::Week.of_local(local, 0);
        "hour", |local| Part::Hour.of_local(local, 0);
        "minute", |local| Part::Minute.of_local(local, 0);
        "second", |local| Part::Second.of_local(local, 0) / MICROS_PER_SECOND;
    }
}

fn add_days(call: &Call<'_>, sign: i64) -> Result<Datum> {
    let days = call.int(1)?;
    Ok(local(call, 0)
        .map_or(Datum::Null, |local| date(local.saturating_add(sign.saturating_mul(days).saturating_mul(MICROS_PER_DAY)))))
}

fn arithmetic() -> Vec<Declaration> {
    let difference = immutable("datediff(date, date) -> int4", |call| match (call.get(0), call.get(1)) {
        (Datum::Date(end), Datum::Date(start)) => Ok(Datum::Int(i64::from(*end) - i64::from(*start))),
        _ => Ok(Datum::Null),
    });
    vec![
        immutable("date_add(date, int4) -> date", |call| add_days(call, 1)),
        immutable("date_sub(date, int4) -> date", |call| add_days(call, -1)),
        // date_add and date_subtract of an interval are PostgreSQL 16's.
        zoned("date_add(timestamptz, interval) -> timestamptz", |call| shift(call, false)),
        zoned("date_subtract(timestamptz, interval) -> timestamptz", |call| shift(call, true)),
        difference.also("date_diff"),
        zoned("datediff(timestamp, timestamp) -> int4", day_difference),
        zoned("datediff(timestamptz, timestamptz) -> int4", day_difference),
        zoned("datediff(text, timestamptz, timestamptz) -> int8", unit_difference),
        zoned("timestampdiff(text, timestamptz, timestamptz) -> int8", unit_difference),
        zoned("dateadd(text, int4, timestamptz) -> timestamptz", |call| {
            let (unit, count) = (call.text(0)?, call.int(1)?);
            let interval = interval_of(unit, count)?;
            Ok(local(call, 2).map_or(Datum::Null, |local| {
                Datum::Timestamptz(time::local_to_utc(call.zone, time::add_interval(local, interval)))
            }))
        }),
        difference,
        immutable("add_months(date, int4) -> date", |call| {
            let months = i32::try_from(call.int(1)?).unwrap_or(0);
            Ok(local(call, 0).map_or(Datum::Null, |local| date(time::add_interval(local, IntervalMonthDayNano::new(months, 0, 0)))))
        }),
        immutable("last_day(date) -> date", |call| {
            Ok(local(call, 0).map_or(Datum::Null, |local| {
                let civil = Civil::of(local);
                date(Civil { day: time::days_in_month(civil.year, civil.month), ..civil }.local())
            }))
        }),
        immutable("months_between(timestamp, timestamp) -> float8", |call| {
            let (Some(end), Some(start)) = (local(call, 0), local(call, 1)) else { return Ok(Datum::Null) };
            Ok(Datum::Float(months_between(Civil::of(end), Civil::of(start))))
        }),
        immutable("next_day(date, text) -> date", |call| {
            let names = ["su", "mo", "tu", "we", "th", "fr", "sa"];
            let wanted = call.text(1)?.to_lowercase();
            let Some(target) = names.iter().position(|name| wanted.starts_with(name)).and_then(|index| i64::try_from(index).ok())
            else {
                return Ok(Datum::Null);
            };
            Ok(local(call, 0).map_or(Datum::Null, |local| {
                let days = local.div_euclid(MICROS_PER_DAY);
                let ahead = (target - (days + 4)).rem_euclid(7);
                date((days + if ahead == 0 { 7 } else { ahead }) * MICROS_PER_DAY)
            }))
        }),
    ]
}

fn shift(call: &Call<'_>, back: bool) -> Result<Datum> {
    let Datum::Interval(interval) = call.get(1) else { return Ok(Datum::Null) };
    let IntervalMonthDayNano { months, days, nanoseconds } = *interval;
    let interval = if back { IntervalMonthDayNano::new(-months, -days, -nanoseconds) } else { *interval };
    Ok(local(call, 0)
        .map_or(Datum::Null, |local| Datum::Timestamptz(time::local_to_utc(call.zone, time::add_interval(local, interval)))))
}

fn day_difference(call: &Call<'_>) -> Result<Datum> {
    let (Some(end), Some(start)) = (local(call, 0), local(call, 1)) else { return Ok(Datum::Null) };
    Ok(Datum::Int(end.div_euclid(MICROS_PER_DAY) - start.div_euclid(MICROS_PER_DAY)))
}

/// `datediff(unit, start, end)`: whole units between the two.
fn unit_difference(call: &Call<'_>) -> Result<Datum> {
    let (Some(start), Some(end)) = (local(call, 1), local(call, 2)) else { return Ok(Datum::Null) };
    let part = Part::parse(call.text(0)?, "timestamp")?;
    let micros = end.saturating_sub(start);
    let months = || {
        let interval = time::age(end, start);
        i64::from(interval.months)
    };
    Ok(Datum::Int(match part {
        Part::Microseconds => micros,
        Part::Milliseconds => micros / 1000,
        Part::Second => micros / MICROS_PER_SECOND,
        Part::Minute => micros / (60 * MICROS_PER_SECOND),
        Part::Hour => micros / (3600 * MICROS_PER_SECOND),
        Part::Day => micros / MICROS_PER_DAY,
        Part::Week => micros / (7 * MICROS_PER_DAY),
        Part::Month => months(),
        Part::Quarter => months() / 3,
        Part::Year => months() / 12,
        _ => return Err(Error::new(ErrorKind::InvalidParameter, "unit not supported for datediff")),
    }))
}

fn interval_of(unit: &str, count: i64) -> Result<IntervalMonthDayNano> {
    let small = i32::try_from(count).map_err(|_| Error::new(ErrorKind::DatetimeOutOfRange, "interval out of range"))?;
    let time = |micros: i64| IntervalMonthDayNano::new(0, 0, count.saturating_mul(micros).saturating_mul(1000));
    Ok(match Part::parse(unit, "timestamp")? {
        Part::Microseconds => time(1),
        Part::Milliseconds => time(1000),
        Part::Second => time(MICROS_PER_SECOND),
        Part::Minute => time(60 * MICROS_PER_SECOND),
        Part::Hour => time(3600 * MICROS_PER_SECOND),
        Part::Day => IntervalMonthDayNano::new(0, small, 0),
        Part::Week => IntervalMonthDayNano::new(0, small.saturating_mul(7), 0),
        Part::Month => IntervalMonthDayNano::new(small, 0, 0),
        Part::Quarter => IntervalMonthDayNano::new(small.saturating_mul(3), 0, 0),
        Part::Year => IntervalMonthDayNano::new(small.saturating_mul(12), 0, 0),
        _ => return Err(Error::new(ErrorKind::InvalidParameter, "unit not supported for dateadd")),
    })
}

/// Months of 31 days, whole when both are the same day or both the last of their months.
fn months_between(end: Civil, start: Civil) -> f64 {
    let months = ((end.year - start.year) * 12 + end.month - start.month) as f64;
    let last = |civil: Civil| civil.day == time::days_in_month(civil.year, civil.month);
    if end.day == start.day || (last(end) && last(start)) {
        return months;
    }
    let days = (end.day - start.day) as f64 + (end.micros - start.micros) as f64 / MICROS_PER_DAY as f64;
    ((months + days / 31.0) * 1e8).round() / 1e8
}

fn epochs() -> Vec<Declaration> {
    let seconds = zoned("to_unix_timestamp(timestamptz) -> int8", |call| {
        Ok(match call.get(0) {
            Datum::Timestamptz(utc) => Datum::Int(utc.div_euclid(MICROS_PER_SECOND)),
            _ => Datum::Null,
        })
    });
    vec![
        seconds.also("unix_timestamp"),
        seconds.also("to_unixtime"),
        seconds,
        of_moment("unix_timestamp() -> int8", |call| Ok(Datum::Int(call.context()?.transaction_time.timestamp()))),
        immutable("timestamp_seconds(int8) -> timestamptz", |call| {
            Ok(Datum::Timestamptz(call.int(0)?.saturating_mul(MICROS_PER_SECOND)))
        }),
        immutable("timestamp_millis(int8) -> timestamptz", |call| Ok(Datum::Timestamptz(call.int(0)?.saturating_mul(1000)))),
        immutable("timestamp_micros(int8) -> timestamptz", |call| Ok(Datum::Timestamptz(call.int(0)?))),
        immutable("unix_micros(timestamptz) -> int8", |call| {
            Ok(match call.get(0) {
                Datum::Timestamptz(utc) => Datum::Int(*utc),
                _ => Datum::Null,
            })
        }),
        immutable("unix_millis(timestamptz) -> int8", |call| {
            Ok(match call.get(0) {
                Datum::Timestamptz(utc) => Datum::Int(utc.div_euclid(1000)),
                _ => Datum::Null,
            })
        }),
    ]
}

fn tests() -> Vec<Declaration> {
    vec![
        immutable("isnull(any) -> bool", |call| Ok(Datum::Bool(call.get(0).is_null()))).called_on_null(),
        immutable("isnotnull(any) -> bool", |call| Ok(Datum::Bool(!call.get(0).is_null()))).called_on_null(),
        immutable("typeof(any) -> text", |call| Ok(Datum::text(call.types.first().map(crate::types::SqlType::delta_name))))
            .called_on_null(),
        immutable("num_nulls(any..) -> int4", |call| {
            Ok(Datum::from(call.arguments.iter().filter(|value| value.is_null()).count() as i64))
        })
        .called_on_null(),
        immutable("num_nonnulls(any..) -> int4", |call| {
            Ok(Datum::from(call.arguments.iter().filter(|value| !value.is_null()).count() as i64))
        })
        .called_on_null(),
    ]
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn months_between_is_whole_at_the_same_day() {
        let civil = |year, month, day| Civil { year, month, day, micros: 0 };
        assert!((months_between(civil(2024, 3, 31), civil(2024, 2, 29)) - 1.0).abs() < 1e-9);
        assert!((months_between(civil(2024, 3, 15), civil(2024, 2, 15)) - 1.0).abs() < 1e-9);
        assert!((months_between(civil(1997, 2, 28), civil(1996, 10, 30)) - 3.935_483_87).abs() < 1e-6);
    }
}
