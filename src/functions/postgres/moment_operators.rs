//! The functions behind the operators and casts of dates, times, timestamps and intervals, under PostgreSQL's names for them.
//!
//! ```text
//!  timestamptz + interval  ──▶ timestamptz_pl_interval     date - date           ──▶ date_mi
//!  interval * 1.5          ──▶ interval_mul                timestamp::timestamptz ──▶ timezone(timestamp)
//! ```
//! The engine's own arithmetic is not used for them: it wraps around, moves hours on the wall clock, and knows one zone's rules only as
//! far as its tables go.

use datafusion::arrow::datatypes::{Date32Type, Int32Type, Time64MicrosecondType, TimestampMicrosecondType};
use datafusion::logical_expr::ColumnarValue;

use crate::error::{Error, ErrorKind, Result};
use crate::functions::define::{ArrayCall, Declaration, immutable_arrays, zoned_arrays};
use crate::functions::moments::{
    binary, dates, floats, instants, integers, interval_of_one, interval_of_two, intervals, ternary, times, timestamps, unary,
};
use crate::types::values::calendar::DAY_MICROS;
use crate::types::values::{IntervalModifier, IntervalValue, moment};

/// The functions of this file.
pub(crate) fn declarations() -> Vec<Declaration> {
    let mut all = shifts();
    all.extend(differences());
    all.extend(of_intervals());
    all.extend(casts());
    all
}

fn negated(interval: IntervalValue) -> Result<IntervalValue> {
    interval.negated()
}

/// `timestamp + interval` and its kind.
fn shifted_timestamps(call: &ArrayCall<'_>, sign: fn(IntervalValue) -> Result<IntervalValue>) -> Result<ColumnarValue> {
    binary::<_, _, TimestampMicrosecondType>(call, &timestamps(call, 0)?, &intervals(call, 1)?, |local, interval| {
        moment::timestamp_plus(local, sign(interval)?)
    })
}

fn shifted_instants(call: &ArrayCall<'_>, sign: fn(IntervalValue) -> Result<IntervalValue>) -> Result<ColumnarValue> {
    binary::<_, _, TimestampMicrosecondType>(call, &instants(call, 0)?, &intervals(call, 1)?, |utc, interval| {
        moment::instant_plus(utc, sign(interval)?, call.zone)
    })
}

fn shifted_dates(call: &ArrayCall<'_>, sign: i64) -> Result<ColumnarValue> {
    binary::<_, _, Date32Type>(call, &dates(call, 0)?, &integers(call, 1)?, |days, shift| {
        moment::date_of_days(i64::from(days) + sign * shift)
    })
}

fn shifts() -> Vec<Declaration> {
    let instant_plus =
        zoned_arrays("timestamptz_pl_interval(timestamptz, interval) -> timestamptz", |call| shifted_instants(call, Ok));
    let instant_minus =
        zoned_arrays("timestamptz_mi_interval(timestamptz, interval) -> timestamptz", |call| shifted_instants(call, negated));
    vec![
        immutable_arrays("date_pli(date, int4) -> date", |call| shifted_dates(call, 1)),
        immutable_arrays("date_mii(date, int4) -> date", |call| shifted_dates(call, -1)),
        immutable_arrays("timestamp_pl_interval(timestamp, interval) -> timestamp", |call| shifted_timestamps(call, Ok)),
        immutable_arrays("timestamp_mi_interval(timestamp, interval) -> timestamp", |call| shifted_timestamps(call, negated)),
        immutable_arrays("date_pl_interval(date, interval) -> timestamp", |call| shifted_timestamps(call, Ok)),
        immutable_arrays("date_mi_interval(date, interval) -> timestamp", |call| shifted_timestamps(call, negated)),
        instant_plus.also("date_add"),
        instant_minus.also("date_subtract"),
        instant_plus,
        instant_minus,
        immutable_arrays("time_pl_interval(time, interval) -> time", |call| {
            binary::<_, _, Time64MicrosecondType>(call, &times(call, 0)?, &intervals(call, 1)?, |time, interval| {
                Ok(moment::time_plus(time, interval))
            })
        }),
        immutable_arrays("time_mi_interval(time, interval) -> time", |call| {
            binary::<_, _, Time64MicrosecondType>(call, &times(call, 0)?, &intervals(call, 1)?, |time, interval| {
                Ok(moment::time_plus(time, IntervalValue { micros: -(interval.micros % DAY_MICROS), ..interval }))
            })
        }),
        immutable_arrays("datetime_pl(date, time) -> timestamp", |call| {
            binary::<_, _, TimestampMicrosecondType>(call, &dates(call, 0)?, &times(call, 1)?, |days, time| {
                moment::midnight(days)?.checked_add(time).ok_or_else(moment::timestamp_out_of_range)
            })
        }),
        immutable_arrays("date_bin(interval, timestamp, timestamp) -> timestamp", |call| {
            let (strides, moments, origins) = (intervals(call, 0)?, timestamps(call, 1)?, timestamps(call, 2)?);
            ternary::<_, _, _, TimestampMicrosecondType>(call, (&strides, &moments, &origins), moment::bin)
        }),
        zoned_arrays("date_bin(interval, timestamptz, timestamptz) -> timestamptz", |call| {
            let (strides, moments, origins) = (intervals(call, 0)?, instants(call, 1)?, instants(call, 2)?);
            ternary::<_, _, _, TimestampMicrosecondType>(call, (&strides, &moments, &origins), moment::bin)
        }),
    ]
}

fn differences() -> Vec<Declaration> {
    vec![
        immutable_arrays("date_mi(date, date) -> int4", |call| {
            binary::<_, _, Int32Type>(call, &dates(call, 0)?, &dates(call, 1)?, |left, right| {
                left.checked_sub(right).ok_or_else(|| Error::new(ErrorKind::NumericOutOfRange, "integer out of range"))
            })
        }),
        immutable_arrays("timestamp_mi(timestamp, timestamp) -> interval", |call| {
            interval_of_two(call, &timestamps(call, 0)?, &timestamps(call, 1)?, moment::difference)
        }),
        zoned_arrays("timestamptz_mi(timestamptz, timestamptz) -> interval", |call| {
            interval_of_two(call, &instants(call, 0)?, &instants(call, 1)?, moment::difference)
        }),
        immutable_arrays("time_mi_time(time, time) -> interval", |call| {
            interval_of_two(call, &times(call, 0)?, &times(call, 1)?, |left, right| {
                Ok(IntervalValue { micros: left - right, ..IntervalValue::default() })
            })
        }),
    ]
}

fn of_intervals() -> Vec<Declaration> {
    vec![
        immutable_arrays("interval_pl(interval, interval) -> interval", |call| {
            interval_of_two(call, &intervals(call, 0)?, &intervals(call, 1)?, IntervalValue::plus)
        }),
        immutable_arrays("interval_mi(interval, interval) -> interval", |call| {
            interval_of_two(call, &intervals(call, 0)?, &intervals(call, 1)?, IntervalValue::minus)
        }),
        immutable_arrays("interval_mul(interval, float8) -> interval", |call| {
            interval_of_two(call, &intervals(call, 0)?, &floats(call, 1)?, IntervalValue::times)
        }),
        immutable_arrays("interval_div(interval, float8) -> interval", |call| {
            interval_of_two(call, &intervals(call, 0)?, &floats(call, 1)?, IntervalValue::divided)
        }),
        immutable_arrays("interval_um(interval) -> interval", |call| {
            interval_of_one(call, &intervals(call, 0)?, IntervalValue::negated)
        }),
        immutable_arrays("justify_days(interval) -> interval", |call| {
            interval_of_one(call, &intervals(call, 0)?, IntervalValue::justified_days)
        }),
        immutable_arrays("justify_hours(interval) -> interval", |call| {
            interval_of_one(call, &intervals(call, 0)?, IntervalValue::justified_hours)
        }),
        immutable_arrays("justify_interval(interval) -> interval", |call| {
            interval_of_one(call, &intervals(call, 0)?, IntervalValue::justified)
        }),
    ]
}

fn casts() -> Vec<Declaration> {
    vec![
        // AT LOCAL, and the casts between the two kinds of timestamp.
        zoned_arrays("timezone(timestamptz) -> timestamp", |call| {
            unary::<_, TimestampMicrosecondType>(call, &instants(call, 0)?, |utc| moment::local_of_instant(utc, call.zone))
        }),
        zoned_arrays("timezone(timestamp) -> timestamptz", |call| {
            unary::<_, TimestampMicrosecondType>(call, &timestamps(call, 0)?, |local| moment::instant_of_local(local, call.zone))
        }),
        immutable_arrays("time(time) -> time", |call| unary::<_, Time64MicrosecondType>(call, &times(call, 0)?, Ok)),
        immutable_arrays("time(interval) -> time", |call| {
            unary::<_, Time64MicrosecondType>(call, &intervals(call, 0)?, |interval| Ok(interval.micros.rem_euclid(DAY_MICROS)))
        }),
        immutable_arrays("interval(interval) -> interval", |call| interval_of_one(call, &intervals(call, 0)?, Ok)),
        immutable_arrays("interval(interval, int4) -> interval", |call| {
            interval_of_two(call, &intervals(call, 0)?, &integers(call, 1)?, |interval, typmod| {
                IntervalModifier::of_typmod(i32::try_from(typmod).unwrap_or(-1)).apply(interval)
            })
        }),
        immutable_arrays("interval(time) -> interval", |call| {
            interval_of_one(call, &times(call, 0)?, |micros| Ok(IntervalValue { micros, ..IntervalValue::default() }))
        }),
    ]
}
