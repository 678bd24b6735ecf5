//! Databricks' words for what PostgreSQL says differently.

use super::define::{Call, Declaration, immutable, of_moment, zoned};
use crate::error::{Error, ErrorKind, Result};
use crate::types::datum::Datum;
use crate::types::from_arrow_interval;
use crate::types::values::calendar::{DAY_MICROS, civil_from_days, days_from_civil, days_of_month};
use crate::types::values::{DatetimePart, IntervalValue, PartOf, PartSource, TimeZone, moment};

/// The functions of this file.
pub(super) fn declarations() -> Vec<Declaration> {
    let mut all = parts();
    all.extend(arithmetic());
    all.extend(epochs());
    all.extend(tests());
    all
}

const MICROS_PER_SECOND: i64 = 1_000_000;

/// The local time of argument `index`, whatever its type.
fn local(call: &Call<'_>, index: usize) -> Result<Option<i64>> {
    Ok(match call.get(index) {
        Datum::Date(days) => Some(moment::midnight(*days)?),
        Datum::Timestamp(local) => Some(*local),
        Datum::Timestamptz(utc) => Some(moment::local_of_instant(*utc, call.zone)?),
        _ => None,
    })
}

fn date(local: i64) -> Result<Datum> {
    Ok(Datum::Date(moment::day_of(local)?))
}

fn part(part: DatetimePart, local: i64) -> i64 {
    i64::try_from(part.of(PartSource { local, offset: 0 }, PartOf::Timestamp)).unwrap_or_default()
}

/// Year, month and day of a local time, and the microseconds of its day.
fn civil(local: i64) -> Civil {
    let (year, month, day) = civil_from_days(local.div_euclid(DAY_MICROS));
    Civil { year, month, day, micros: local.rem_euclid(DAY_MICROS) }
}

#[derive(Debug, Clone, Copy)]
struct Civil {
    year: i64,
    month: u32,
    day: u32,
    micros: i64,
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
        Ok(Datum::from(local(call, 0)?.map(body)))
    }
    part! {
        "year", |local| part(DatetimePart::Year, local);
        "quarter", |local| part(DatetimePart::Quarter, local);
        "month", |local| part(DatetimePart::Month, local);
        "day", |local| part(DatetimePart::Day, local);
        "dayofmonth", |local| part(DatetimePart::Day, local);
        "dayofyear", |local| part(DatetimePart::DayOfYear, local);
        "dayofweek", |local| part(DatetimePart::DayOfWeek, local) + 1;
        "weekday", |local| part(DatetimePart::IsoDayOfWeek, local) - 1;
        "weekofyear", |local| part(DatetimePart::Week, local);
        "hour", |local| part(DatetimePart::Hour, local);
        "minute", |local| part(DatetimePart::Minute, local);
        "second", |local| part(DatetimePart::Second, local) / MICROS_PER_SECOND;
    }
}

fn add_days(call: &Call<'_>, sign: i64) -> Result<Datum> {
    let days = call.int(1)?;
    match call.get(0) {
        Datum::Date(date) => Ok(Datum::Date(moment::date_of_days(i64::from(*date) + sign * days)?)),
        _ => Ok(Datum::Null),
    }
}

fn arithmetic() -> Vec<Declaration> {
    let difference = immutable("datediff(date, date) -> int4", |call| match (call.get(0), call.get(1)) {
        (Datum::Date(end), Datum::Date(start)) => Ok(Datum::Int(i64::from(*end) - i64::from(*start))),
        _ => Ok(Datum::Null),
    });
    vec![
        immutable("date_add(date, int4) -> date", |call| add_days(call, 1)),
        immutable("date_sub(date, int4) -> date", |call| add_days(call, -1)),
        // Of a zone's clocks. Those of the session's zone are operators' functions.
        zoned("date_add(timestamptz, interval, text) -> timestamptz", |call| shift(call, Ok)),
        zoned("date_subtract(timestamptz, interval, text) -> timestamptz", |call| shift(call, IntervalValue::negated)),
        difference.also("date_diff"),
        zoned("datediff(timestamp, timestamp) -> int4", day_difference),
        zoned("datediff(timestamptz, timestamptz) -> int4", day_difference),
        zoned("datediff(text, timestamptz, timestamptz) -> int8", unit_difference),
        zoned("timestampdiff(text, timestamptz, timestamptz) -> int8", unit_difference),
        zoned("dateadd(text, int4, timestamptz) -> timestamptz", |call| {
            let (unit, count) = (call.text(0)?, call.int(1)?);
            let interval = interval_of(unit, count)?;
            match call.get(2) {
                Datum::Timestamptz(utc) => Ok(Datum::Timestamptz(moment::instant_plus(*utc, interval, call.zone)?)),
                _ => Ok(Datum::Null),
            }
        }),
        difference,
        immutable("add_months(date, int4) -> date", |call| {
            let months = i32::try_from(call.int(1)?).map_err(|_| moment::interval_out_of_range())?;
            let shift = IntervalValue { months, ..IntervalValue::default() };
            local(call, 0)?.map_or(Ok(Datum::Null), |local| date(moment::timestamp_plus(local, shift)?))
        }),
        immutable("last_day(date) -> date", |call| {
            local(call, 0)?.map_or(Ok(Datum::Null), |local| {
                let Civil { year, month, .. } = civil(local);
                Ok(Datum::Date(moment::date_of_days(days_from_civil(year, month, days_of_month(year, month)))?))
            })
        }),
        immutable("months_between(timestamp, timestamp) -> float8", |call| {
            let (Some(end), Some(start)) = (local(call, 0)?, local(call, 1)?) else { return Ok(Datum::Null) };
            Ok(Datum::Float(months_between(civil(end), civil(start))))
        }),
        immutable("next_day(date, text) -> date", |call| {
            let names = ["su", "mo", "tu", "we", "th", "fr", "sa"];
            let wanted = call.text(1)?.to_lowercase();
            let Some(target) = names.iter().position(|name| wanted.starts_with(name)).and_then(|index| i64::try_from(index).ok())
            else {
                return Ok(Datum::Null);
            };
            local(call, 0)?.map_or(Ok(Datum::Null), |local| {
                let days = local.div_euclid(DAY_MICROS);
                let ahead = (target - (days + 4)).rem_euclid(7);
                Ok(Datum::Date(moment::date_of_days(days + if ahead == 0 { 7 } else { ahead })?))
            })
        }),
    ]
}

fn shift(call: &Call<'_>, sign: fn(IntervalValue) -> Result<IntervalValue>) -> Result<Datum> {
    let zone = TimeZone::lookup(call.text(2)?)?;
    match (call.get(0), call.get(1)) {
        (Datum::Timestamptz(utc), Datum::Interval(interval)) => {
            Ok(Datum::Timestamptz(moment::instant_plus(*utc, sign(from_arrow_interval(*interval))?, &zone)?))
        }
        _ => Ok(Datum::Null),
    }
}

fn day_difference(call: &Call<'_>) -> Result<Datum> {
    let (Some(end), Some(start)) = (local(call, 0)?, local(call, 1)?) else { return Ok(Datum::Null) };
    Ok(Datum::Int(end.div_euclid(DAY_MICROS) - start.div_euclid(DAY_MICROS)))
}

/// `datediff(unit, start, end)`: whole units between the two.
fn unit_difference(call: &Call<'_>) -> Result<Datum> {
    let (Some(start), Some(end)) = (local(call, 1)?, local(call, 2)?) else { return Ok(Datum::Null) };
    let part = DatetimePart::parse(call.text(0)?, PartOf::Timestamp)?;
    let micros = end.saturating_sub(start);
    let months = || i64::from(moment::age(end, start, end < start).months);
    Ok(Datum::Int(match part {
        DatetimePart::Microseconds => micros,
        DatetimePart::Milliseconds => micros / 1000,
        DatetimePart::Second => micros / MICROS_PER_SECOND,
        DatetimePart::Minute => micros / (60 * MICROS_PER_SECOND),
        DatetimePart::Hour => micros / (3600 * MICROS_PER_SECOND),
        DatetimePart::Day => micros / DAY_MICROS,
        DatetimePart::Week => micros / (7 * DAY_MICROS),
        DatetimePart::Month => months(),
        DatetimePart::Quarter => months() / 3,
        DatetimePart::Year => months() / 12,
        _ => return Err(Error::new(ErrorKind::InvalidParameter, "unit not supported for datediff")),
    }))
}

fn interval_of(unit: &str, count: i64) -> Result<IntervalValue> {
    let small = |scale: i32| i32::try_from(count).ok().and_then(|count| count.checked_mul(scale));
    let time = |unit: i64| count.checked_mul(unit).map(|micros| IntervalValue { micros, ..IntervalValue::default() });
    let days = |scale: i32| small(scale).map(|days| IntervalValue { days, ..IntervalValue::default() });
    let months = |scale: i32| small(scale).map(|months| IntervalValue { months, ..IntervalValue::default() });
    let interval = match DatetimePart::parse(unit, PartOf::Timestamp)? {
        DatetimePart::Microseconds => time(1),
        DatetimePart::Milliseconds => time(1000),
        DatetimePart::Second => time(MICROS_PER_SECOND),
        DatetimePart::Minute => time(60 * MICROS_PER_SECOND),
        DatetimePart::Hour => time(3600 * MICROS_PER_SECOND),
        DatetimePart::Day => days(1),
        DatetimePart::Week => days(7),
        DatetimePart::Month => months(1),
        DatetimePart::Quarter => months(3),
        DatetimePart::Year => months(12),
        _ => return Err(Error::new(ErrorKind::InvalidParameter, "unit not supported for dateadd")),
    };
    interval.ok_or_else(moment::interval_out_of_range)
}

/// Months of 31 days, whole when both are the same day or both the last of their months.
fn months_between(end: Civil, start: Civil) -> f64 {
    let months = ((end.year - start.year) * 12 + i64::from(end.month) - i64::from(start.month)) as f64;
    let last = |civil: Civil| civil.day == days_of_month(civil.year, civil.month);
    if end.day == start.day || (last(end) && last(start)) {
        return months;
    }
    let days = f64::from(end.day) - f64::from(start.day) + (end.micros - start.micros) as f64 / DAY_MICROS as f64;
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
            Ok(Datum::Timestamptz(moment::instant_of_units(call.int(0)?, MICROS_PER_SECOND)?))
        }),
        immutable("timestamp_millis(int8) -> timestamptz", |call| {
            Ok(Datum::Timestamptz(moment::instant_of_units(call.int(0)?, 1000)?))
        }),
        immutable("timestamp_micros(int8) -> timestamptz", |call| {
            Ok(Datum::Timestamptz(moment::instant_of_units(call.int(0)?, 1)?))
        }),
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
