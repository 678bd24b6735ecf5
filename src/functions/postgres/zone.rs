//! AT TIME ZONE and the list of zones.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::arrow::datatypes::{IntervalMonthDayNano, TimestampMicrosecondType};
use datafusion::logical_expr::ColumnarValue;

use crate::error::{Error, ErrorKind, Result};
use crate::functions::define::{ArrayCall, Declaration, immutable_arrays, stable};
use crate::functions::moments::{Column, binary, instants, intervals, timestamps, zones};
use crate::types::datum::Datum;
use crate::types::values::{IntervalStyle, IntervalValue, TimeZone, format_interval, moment};

/// The functions of this file: AT TIME ZONE, as PostgreSQL calls it.
pub(crate) fn declarations() -> Vec<Declaration> {
    vec![
        immutable_arrays("timezone(text, timestamptz) -> timestamp", |call| {
            local_times(call, &zones(call, 0)?, &instants(call, 1)?)
        }),
        immutable_arrays("timezone(text, timestamp) -> timestamptz", |call| {
            instants_of(call, &zones(call, 0)?, &timestamps(call, 1)?)
        }),
        immutable_arrays("timezone(interval, timestamptz) -> timestamp", |call| {
            binary::<_, _, TimestampMicrosecondType>(call, &intervals(call, 0)?, &instants(call, 1)?, |offset, utc| {
                moment::local_of_instant(utc, &zone_of(offset)?)
            })
        }),
        immutable_arrays("timezone(interval, timestamp) -> timestamptz", |call| {
            binary::<_, _, TimestampMicrosecondType>(call, &intervals(call, 0)?, &timestamps(call, 1)?, |offset, local| {
                moment::instant_of_local(local, &zone_of(offset)?)
            })
        }),
        immutable_arrays("to_utc_timestamp(timestamp, text) -> timestamp", |call| {
            instants_of(call, &zones(call, 1)?, &timestamps(call, 0)?)
        }),
        immutable_arrays("from_utc_timestamp(timestamp, text) -> timestamp", |call| {
            local_times(call, &zones(call, 1)?, &timestamps(call, 0)?)
        }),
        stable("pg_timezone_names() -> setof (name text, abbrev text, utc_offset interval, is_dst bool)", |call| {
            Ok(Datum::List(zone_rows(call.context()?.statement_time)))
        }),
    ]
}

fn local_times(call: &ArrayCall<'_>, zones: &Column<Arc<TimeZone>>, utc: &Column<i64>) -> Result<ColumnarValue> {
    binary::<_, _, TimestampMicrosecondType>(call, zones, utc, |zone, utc| moment::local_of_instant(utc, &zone))
}

fn instants_of(call: &ArrayCall<'_>, zones: &Column<Arc<TimeZone>>, local: &Column<i64>) -> Result<ColumnarValue> {
    binary::<_, _, TimestampMicrosecondType>(call, zones, local, |zone, local| moment::instant_of_local(local, &zone))
}

/// The zone that stands an interval east of Greenwich.
fn zone_of(offset: IntervalValue) -> Result<TimeZone> {
    if offset.months != 0 || offset.days != 0 {
        let shown = format_interval(offset, IntervalStyle::default());
        let message = format!("interval time zone \"{shown}\" must not include months or days");
        return Err(Error::new(ErrorKind::InvalidParameter, message));
    }
    let seconds = i32::try_from(offset.micros / 1_000_000).map_err(|_| moment::timestamp_out_of_range())?;
    Ok(TimeZone::fixed(seconds))
}

/// Every zone of the IANA database with what it shows now.
pub(crate) fn zone_rows(now: DateTime<Utc>) -> Vec<Datum> {
    use chrono_tz::OffsetComponents as _;
    chrono_tz::TZ_VARIANTS
        .iter()
        .map(|zone| {
            let shown = now.with_timezone(zone);
            let offset = shown.offset();
            let (base, summer) = (offset.base_utc_offset().num_seconds(), offset.dst_offset().num_seconds());
            Datum::Row(vec![
                ("name".to_string(), zone.name().into()),
                ("abbrev".to_string(), shown.format("%Z").to_string().into()),
                ("utc_offset".to_string(), Datum::Interval(IntervalMonthDayNano::new(0, 0, (base + summer) * 1_000_000_000))),
                ("is_dst".to_string(), Datum::Bool(summer != 0)),
            ])
        })
        .collect()
}
