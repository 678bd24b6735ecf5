//! Dates and times: fields, truncation, ages, constructors.
//!
//! `date_part`, `extract` and `date_trunc` stand in most dashboard queries, so they work on whole arrays. Times with a zone are taken
//! apart in the session's zone, which is why they depend on the statement's context.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Float64Array, Int64Array, TimestampMicrosecondArray};
use datafusion::arrow::datatypes::{
    DataType, Date32Type, FieldRef, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit, Time64MicrosecondType,
    TimeUnit, TimestampMicrosecondType,
};
use datafusion::common::ScalarValue;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::error::{Error, ErrorKind, Result};
use crate::functions::context::FunctionContext;
use crate::functions::define::{
    ArrayCall, Call, Declaration, external, immutable, immutable_arrays, of_moment, stable, undefined_function, zoned, zoned_arrays,
};
use crate::functions::time::{self, MICROS_PER_DAY, Part, Zone};
use crate::types::SqlType;
use crate::types::datum::Datum;

/// The functions of this file.
pub(crate) fn declarations() -> Vec<Declaration> {
    let mut all = vec![
        zoned_arrays("date_part(text, timestamptz) -> float8", date_part),
        immutable_arrays("date_part(text, timestamp) -> float8", date_part),
        immutable_arrays("date_part(text, date) -> float8", date_part),
        immutable_arrays("date_part(text, time) -> float8", date_part),
        immutable_arrays("date_part(text, interval) -> float8", date_part),
        zoned_arrays("date_trunc(text, timestamptz) -> timestamptz", date_trunc),
        immutable_arrays("date_trunc(text, timestamp) -> timestamp", date_trunc),
        zoned_arrays("date_trunc(text, date) -> timestamptz", date_trunc),
        immutable("date_trunc(text, timestamptz, text) -> timestamptz", |call| {
            let part = Part::parse(call.text(0)?, "timestamp with time zone")?;
            let Datum::Timestamptz(utc) = call.get(1) else { return Ok(Datum::Null) };
            Ok(Datum::Timestamptz(truncate_in(part, Zone::parse(call.text(2)?)?, *utc)?))
        }),
        immutable("date_trunc(text, interval) -> interval", |call| {
            let part = Part::parse(call.text(0)?, "interval")?;
            let Datum::Interval(interval) = call.get(1) else { return Ok(Datum::Null) };
            Ok(Datum::Interval(time::truncate_interval(part, *interval)?))
        }),
    ];
    all.extend(ages());
    all.extend(constructors());
    all.extend(zones());
    all
}

fn constant_text(value: &ColumnarValue) -> Result<Option<String>> {
    match value {
        ColumnarValue::Scalar(ScalarValue::Utf8(text) | ScalarValue::LargeUtf8(text) | ScalarValue::Utf8View(text)) => {
            Ok(text.clone())
        }
        ColumnarValue::Scalar(_) => Ok(None),
        ColumnarValue::Array(array) => {
            // The field may come from a column; all rows must then agree.
            let mut values = (0..array.len()).map(|row| crate::types::datum::read(array, row));
            let first = values.next().transpose()?;
            for value in values {
                if Some(value?) != first {
                    return Err(Error::unsupported("a date field that differs from row to row"));
                }
            }
            Ok(first.and_then(|datum| datum.as_text().map(ToString::to_string)))
        }
    }
}

fn type_words(data_type: &DataType) -> String {
    SqlType::of_arrow(data_type).display_name()
}

/// Zone of the values: the session's for times with a zone, UTC for the others, which are local already.
fn zone_for(session: Zone, data_type: &DataType) -> Zone {
    if matches!(data_type, DataType::Timestamp(_, Some(_))) { session } else { Zone::Utc }
}

/// A field of every value, as integers of 10^-scale.
fn fields(part: Part, array: &ArrayRef, zone: Zone) -> Result<Int64Array> {
    let not_there = || Error::unsupported(format!("unit \"{part:?}\" for type {}", type_words(array.data_type())).to_lowercase());
    Ok(match array.data_type() {
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let values = array.as_primitive::<TimestampMicrosecondType>();
            match zone {
                Zone::Utc => values.unary::<_, Int64Type>(|local| part.of_local(local, 0)),
                zone => values.unary::<_, Int64Type>(|utc| {
                    let offset = zone.offset_at(utc);
                    part.of_local(utc.saturating_add(i64::from(offset) * time::MICROS_PER_SECOND), offset)
                }),
            }
        }
        DataType::Date32 => {
            let field = |days: i32| {
                let midnight = i64::from(days).checked_mul(MICROS_PER_DAY);
                let midnight = midnight.ok_or_else(|| Error::new(ErrorKind::DatetimeOutOfRange, "date out of range"))?;
                Ok::<_, Error>(part.of_local(midnight, 0))
            };
            array.as_primitive::<Date32Type>().try_unary::<_, Int64Type, _>(field)?
        }
        DataType::Time64(TimeUnit::Microsecond) => match part {
            Part::Microseconds | Part::Milliseconds | Part::Second | Part::Minute | Part::Hour | Part::Epoch => {
                array.as_primitive::<Time64MicrosecondType>().unary::<_, Int64Type>(|micros| part.of_local(micros, 0))
            }
            _ => return Err(not_there()),
        },
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            let values = array.as_primitive::<IntervalMonthDayNanoType>();
            part.of_interval(IntervalMonthDayNano::ZERO).ok_or_else(not_there)?;
            values.unary::<_, Int64Type>(|interval| part.of_interval(interval).unwrap_or(0))
        }
        other => return Err(Error::internal(format!("a date field of {other}"))),
    })
}

/// Digits that stand in the values of [`fields`]. Milliseconds are counted in microseconds there.
fn scale_of(part: Part) -> i8 {
    part.scale()
}

fn to_array(value: &ColumnarValue, rows: usize) -> Result<ArrayRef> {
    value.to_array(rows).map_err(|error| Error::internal("a function's argument").with_source(error))
}

fn rows_needed(value: &ColumnarValue, rows: usize) -> usize {
    if matches!(value, ColumnarValue::Scalar(_)) { 1 } else { rows }
}

/// An array back to a constant where the argument was one.
fn shaped(value: &ColumnarValue, array: ArrayRef) -> Result<ColumnarValue> {
    if matches!(value, ColumnarValue::Scalar(_)) {
        let scalar =
            ScalarValue::try_from_array(&array, 0).map_err(|error| Error::internal("a function's result").with_source(error))?;
        return Ok(ColumnarValue::Scalar(scalar));
    }
    Ok(ColumnarValue::Array(array))
}

fn two<'a>(call: &ArrayCall<'a>) -> Result<(&'a ColumnarValue, &'a ColumnarValue)> {
    match call.arguments {
        [first, second] => Ok((first, second)),
        _ => Err(Error::internal("a function of two arguments got another number")),
    }
}

fn date_part(call: &ArrayCall<'_>) -> Result<ColumnarValue> {
    let (field, value) = two(call)?;
    let Some(field) = constant_text(field)? else { return null_of(call.returns) };
    let array = to_array(value, rows_needed(value, call.rows))?;
    let part = Part::parse(&field, &type_words(array.data_type()))?;
    let values = fields(part, &array, zone_for(call.zone, array.data_type()))?;
    let divisor = 10_f64.powi(i32::from(scale_of(part)));
    let floats: Float64Array = values.unary(|value| value as f64 / divisor);
    shaped(value, Arc::new(floats))
}

fn null_of(data_type: &DataType) -> Result<ColumnarValue> {
    let null =
        ScalarValue::try_from(data_type).map_err(|error| Error::internal("a NULL of a function's type").with_source(error))?;
    Ok(ColumnarValue::Scalar(null))
}

/// `date_trunc` of a local time in `zone`.
fn truncate_in(part: Part, zone: Zone, utc: i64) -> Result<i64> {
    if zone == Zone::Utc {
        return time::truncate(part, utc);
    }
    Ok(time::local_to_utc(zone, time::truncate(part, time::utc_to_local(zone, utc))?))
}

fn date_trunc(call: &ArrayCall<'_>) -> Result<ColumnarValue> {
    let (field, value) = two(call)?;
    let Some(field) = constant_text(field)? else { return null_of(call.returns) };
    let array = to_array(value, rows_needed(value, call.rows))?;
    let part = Part::parse(&field, &type_words(array.data_type()))?;
    time::truncate(part, 0)?;
    let truncated: TimestampMicrosecondArray = match array.data_type() {
        DataType::Date32 => {
            // A date becomes the midnight of the session's zone before it is cut.
            let zone = call.zone;
            let cut = |days: i32| {
                time::truncate(part, i64::from(days).saturating_mul(MICROS_PER_DAY))
                    .map_or(0, |local| time::local_to_utc(zone, local))
            };
            array.as_primitive::<Date32Type>().unary(cut)
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let zone = zone_for(call.zone, array.data_type());
            array.as_primitive::<TimestampMicrosecondType>().unary(|micros| truncate_in(part, zone, micros).unwrap_or(micros))
        }
        other => return Err(Error::internal(format!("date_trunc of {other}"))),
    };
    let zone = match call.returns {
        DataType::Timestamp(_, zone) => zone.clone(),
        _ => None,
    };
    shaped(value, Arc::new(truncated.with_timezone_opt(zone)))
}

/// EXTRACT: as `date_part`, but `numeric` with the digits that the field has. Needs to know the field when it is bound.
#[derive(Debug)]
pub(crate) struct Extract {
    zone: Zone,
    signature: Signature,
}

impl Extract {
    /// EXTRACT in a statement.
    pub(crate) fn function(context: &FunctionContext) -> Arc<ScalarUDF> {
        let zone = Zone::parse(&context.time_zone).unwrap_or(Zone::Utc);
        let implementation = Self { zone, signature: Signature::user_defined(Volatility::Immutable) };
        Arc::new(ScalarUDF::new_from_impl(implementation))
    }

    fn call(&self, args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [field, value] = args.args.as_slice() else { return Err(undefined_function("extract", &args.arg_fields)) };
        let DataType::Decimal128(precision, scale) = *args.return_field.data_type() else {
            return Err(Error::internal("EXTRACT is numeric"));
        };
        let Some(field) = constant_text(field)? else { return null_of(args.return_field.data_type()) };
        let array = to_array(value, rows_needed(value, args.number_rows))?;
        let part = Part::parse(&field, &type_words(array.data_type()))?;
        let values = fields(part, &array, zone_for(self.zone, array.data_type()))?;
        let decimals: Decimal128Array = values.unary(i128::from);
        let decimals = decimals.with_precision_and_scale(precision, scale).map_err(crate::types::datum::from_arrow)?;
        shaped(value, Arc::new(decimals))
    }
}

impl PartialEq for Extract {
    fn eq(&self, other: &Self) -> bool {
        self.zone == other.zone
    }
}
impl Eq for Extract {}
impl Hash for Extract {
    fn hash<H: Hasher>(&self, state: &mut H) {
        "extract".hash(state);
    }
}

impl ScalarUDFImpl for Extract {
    fn name(&self) -> &'static str {
        "extract"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> DataFusionResult<DataType> {
        Err(external(Error::internal("EXTRACT has a type only together with its field")))
    }

    fn coerce_types(&self, arguments: &[DataType]) -> DataFusionResult<Vec<DataType>> {
        let [field, value] = arguments else { return Ok(arguments.to_vec()) };
        let value = match value {
            DataType::Timestamp(TimeUnit::Microsecond, _) | DataType::Date32 => value.clone(),
            DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
            DataType::Date64 => DataType::Date32,
            DataType::Time32(_) | DataType::Time64(_) => DataType::Time64(TimeUnit::Microsecond),
            DataType::Interval(_) | DataType::Duration(_) => DataType::Interval(IntervalUnit::MonthDayNano),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => {
                DataType::Timestamp(TimeUnit::Microsecond, None)
            }
            other => other.clone(),
        };
        Ok(vec![field.clone(), value])
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> DataFusionResult<FieldRef> {
        let [_, value] = args.arg_fields else { return Err(external(undefined_function("extract", args.arg_fields))) };
        if !(value.data_type().is_temporal() || matches!(value.data_type(), DataType::Interval(_))) {
            return Err(external(undefined_function("extract", args.arg_fields)));
        }
        let field = match args.scalar_arguments.first() {
            Some(Some(ScalarValue::Utf8(Some(text)) | ScalarValue::LargeUtf8(Some(text)) | ScalarValue::Utf8View(Some(text)))) => {
                text
            }
            _ => return Err(external(Error::new(ErrorKind::InvalidParameter, "EXTRACT needs a constant field"))),
        };
        let scale = scale_of(Part::parse(field, &type_words(value.data_type())).map_err(external)?);
        let precision = if scale == 0 { 19 } else { 20 };
        Ok(Arc::new(SqlType::Numeric { precision, scale }.field("extract", true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        self.call(&args).map_err(external)
    }
}

fn ages() -> Vec<Declaration> {
    vec![
        immutable("age(timestamp, timestamp) -> interval", |call| match (call.get(0), call.get(1)) {
            (Datum::Timestamp(later), Datum::Timestamp(earlier)) => Ok(Datum::Interval(time::age(*later, *earlier))),
            _ => Ok(Datum::Null),
        }),
        zoned("age(timestamptz, timestamptz) -> interval", |call| match (call.get(0), call.get(1)) {
            (Datum::Timestamptz(later), Datum::Timestamptz(earlier)) => {
                Ok(Datum::Interval(time::age(time::utc_to_local(call.zone, *later), time::utc_to_local(call.zone, *earlier))))
            }
            _ => Ok(Datum::Null),
        }),
        of_moment("age(timestamp) -> interval", age_of_today),
        of_moment("age(timestamptz) -> interval", age_of_today),
        immutable("justify_days(interval) -> interval", |call| justified(call, carry_days)),
        immutable("justify_hours(interval) -> interval", |call| justified(call, carry_hours)),
        immutable("justify_interval(interval) -> interval", |call| {
            justified(call, |interval| same_signs(carry_days(carry_hours(interval))))
        }),
        immutable("isfinite(date) -> bool", |_| Ok(Datum::Bool(true))),
        immutable("isfinite(timestamp) -> bool", |_| Ok(Datum::Bool(true))),
        immutable("isfinite(timestamptz) -> bool", |_| Ok(Datum::Bool(true))),
        immutable("isfinite(interval) -> bool", |_| Ok(Datum::Bool(true))),
    ]
}

/// Time since midnight of today.
fn age_of_today(call: &Call<'_>) -> Result<Datum> {
    let context = call.context()?;
    let zone = Zone::parse(&context.time_zone)?;
    let now = time::utc_to_local(zone, time::instant(context.transaction_time));
    let today = now - now.rem_euclid(MICROS_PER_DAY);
    match call.get(0) {
        Datum::Timestamp(local) => Ok(Datum::Interval(time::age(today, *local))),
        Datum::Timestamptz(utc) => Ok(Datum::Interval(time::age(today, time::utc_to_local(zone, *utc)))),
        _ => Ok(Datum::Null),
    }
}

fn justified(call: &Call<'_>, change: fn(IntervalMonthDayNano) -> IntervalMonthDayNano) -> Result<Datum> {
    match call.get(0) {
        Datum::Interval(interval) => Ok(Datum::Interval(change(*interval))),
        _ => Ok(Datum::Null),
    }
}

const NANOS_PER_DAY: i64 = MICROS_PER_DAY * 1000;

fn carry_hours(interval: IntervalMonthDayNano) -> IntervalMonthDayNano {
    let days = i32::try_from(interval.nanoseconds / NANOS_PER_DAY).unwrap_or(0);
    let mut result =
        IntervalMonthDayNano::new(interval.months, interval.days.saturating_add(days), interval.nanoseconds % NANOS_PER_DAY);
    if result.days > 0 && result.nanoseconds < 0 {
        result.nanoseconds += NANOS_PER_DAY;
        result.days -= 1;
    } else if result.days < 0 && result.nanoseconds > 0 {
        result.nanoseconds -= NANOS_PER_DAY;
        result.days += 1;
    }
    result
}

fn carry_days(interval: IntervalMonthDayNano) -> IntervalMonthDayNano {
    let mut result =
        IntervalMonthDayNano::new(interval.months.saturating_add(interval.days / 30), interval.days % 30, interval.nanoseconds);
    if result.months > 0 && result.days < 0 {
        result.days += 30;
        result.months -= 1;
    } else if result.months < 0 && result.days > 0 {
        result.days -= 30;
        result.months += 1;
    }
    result
}

fn same_signs(interval: IntervalMonthDayNano) -> IntervalMonthDayNano {
    let IntervalMonthDayNano { mut months, mut days, mut nanoseconds } = interval;
    if months > 0 && (days < 0 || (days == 0 && nanoseconds < 0)) {
        days += 30;
        months -= 1;
    } else if months < 0 && (days > 0 || (days == 0 && nanoseconds > 0)) {
        days -= 30;
        months += 1;
    }
    if days > 0 && nanoseconds < 0 {
        nanoseconds += NANOS_PER_DAY;
        days -= 1;
    } else if days < 0 && nanoseconds > 0 {
        nanoseconds -= NANOS_PER_DAY;
        days += 1;
    }
    IntervalMonthDayNano::new(months, days, nanoseconds)
}

fn out_of_range(what: &str) -> Error {
    Error::new(ErrorKind::DatetimeOutOfRange, format!("{what} field value out of range"))
}

/// Date and time of `make_*` arguments, from argument 0 on.
fn local_of(call: &Call<'_>) -> Result<i64> {
    let (year, month, day) = (call.int(0)?, call.int(1)?, call.int(2)?);
    let days = date_of(year, month, day)?;
    Ok(i64::from(days) * MICROS_PER_DAY + time_of(call.int(3)?, call.int(4)?, call.float(5)?)?)
}

fn date_of(year: i64, month: i64, day: i64) -> Result<i32> {
    // There is no year 0: -1 is 1 BC.
    let civil = if year < 0 { year + 1 } else { year };
    if year == 0 || !time::is_date(civil, month, day) {
        return Err(out_of_range("date"));
    }
    i32::try_from(time::days_from_civil(civil, month, day)).map_err(|_| out_of_range("date"))
}

fn time_of(hour: i64, minute: i64, second: f64) -> Result<i64> {
    let valid = (0..=24).contains(&hour) && (0..60).contains(&minute) && (0.0..=60.0).contains(&second);
    #[expect(clippy::cast_possible_truncation, reason = "at most 60 million")]
    let micros = (hour * 3600 + minute * 60) * time::MICROS_PER_SECOND + (second * 1e6).round() as i64;
    if valid && micros <= MICROS_PER_DAY { Ok(micros) } else { Err(out_of_range("time")) }
}

fn constructors() -> Vec<Declaration> {
    vec![
        immutable("make_date(int4, int4, int4) -> date", |call| {
            Ok(Datum::Date(date_of(call.int(0)?, call.int(1)?, call.int(2)?)?))
        }),
        immutable("make_time(int4, int4, float8) -> time", |call| {
            Ok(Datum::Time(time_of(call.int(0)?, call.int(1)?, call.float(2)?)?))
        }),
        immutable("make_timestamp(int4, int4, int4, int4, int4, float8) -> timestamp", |call| {
            Ok(Datum::Timestamp(local_of(call)?))
        }),
        zoned("make_timestamptz(int4, int4, int4, int4, int4, float8) -> timestamptz", |call| {
            Ok(Datum::Timestamptz(time::local_to_utc(call.zone, local_of(call)?)))
        }),
        immutable("make_timestamptz(int4, int4, int4, int4, int4, float8, text) -> timestamptz", |call| {
            Ok(Datum::Timestamptz(time::local_to_utc(Zone::parse(call.text(6)?)?, local_of(call)?)))
        }),
        immutable("make_interval(int4) -> interval", make_interval),
        immutable("make_interval(int4, int4) -> interval", make_interval),
        immutable("make_interval(int4, int4, int4) -> interval", make_interval),
        immutable("make_interval(int4, int4, int4, int4) -> interval", make_interval),
        immutable("make_interval(int4, int4, int4, int4, int4) -> interval", make_interval),
        immutable("make_interval(int4, int4, int4, int4, int4, int4) -> interval", make_interval),
        immutable("make_interval(int4, int4, int4, int4, int4, int4, float8) -> interval", make_interval),
        immutable("to_timestamp(float8) -> timestamptz", |call| {
            let seconds = call.float(0)?;
            let micros = (seconds * 1e6).round();
            if !micros.is_finite() || micros.abs() > 9.2e18 {
                return Err(Error::new(ErrorKind::DatetimeOutOfRange, "timestamp out of range"));
            }
            #[expect(clippy::cast_possible_truncation, reason = "checked above")]
            let micros = micros as i64;
            Ok(Datum::Timestamptz(micros))
        }),
        immutable("date(date) -> date", |call| Ok(call.get(0).clone())),
        immutable("date(timestamp) -> date", |call| match call.get(0) {
            Datum::Timestamp(local) => Ok(day_of(*local)),
            _ => Ok(Datum::Null),
        }),
        zoned("date(timestamptz) -> date", |call| match call.get(0) {
            Datum::Timestamptz(utc) => Ok(day_of(time::utc_to_local(call.zone, *utc))),
            _ => Ok(Datum::Null),
        }),
    ]
}

pub(super) fn day_of(local: i64) -> Datum {
    Datum::Date(i32::try_from(local.div_euclid(MICROS_PER_DAY)).unwrap_or(i32::MAX))
}

fn make_interval(call: &Call<'_>) -> Result<Datum> {
    let part = |index| call.get(index).as_int().unwrap_or(0);
    let months = part(0).saturating_mul(12).saturating_add(part(1));
    let days = part(2).saturating_mul(7).saturating_add(part(3));
    let seconds = if call.get(6).is_null() { 0.0 } else { call.float(6)? };
    #[expect(clippy::cast_possible_truncation, reason = "saturates")]
    let nanoseconds = ((part(4) * 3600 + part(5) * 60) as f64 * 1e9 + (seconds * 1e6).round() * 1e3) as i64;
    let fit = |value: i64| i32::try_from(value).map_err(|_| Error::new(ErrorKind::DatetimeOutOfRange, "interval out of range"));
    Ok(Datum::Interval(IntervalMonthDayNano::new(fit(months)?, fit(days)?, nanoseconds)))
}

/// AT TIME ZONE, as PostgreSQL calls it.
fn zones() -> Vec<Declaration> {
    vec![
        immutable("timezone(text, timestamptz) -> timestamp", |call| match call.get(1) {
            Datum::Timestamptz(utc) => Ok(Datum::Timestamp(time::utc_to_local(Zone::parse(call.text(0)?)?, *utc))),
            _ => Ok(Datum::Null),
        }),
        immutable("timezone(text, timestamp) -> timestamptz", |call| match call.get(1) {
            Datum::Timestamp(local) => Ok(Datum::Timestamptz(time::local_to_utc(Zone::parse(call.text(0)?)?, *local))),
            _ => Ok(Datum::Null),
        }),
        immutable("timezone(interval, timestamptz) -> timestamp", |call| match (call.get(0), call.get(1)) {
            (Datum::Interval(offset), Datum::Timestamptz(utc)) => {
                Ok(Datum::Timestamp(utc.saturating_add(offset.nanoseconds / 1000)))
            }
            _ => Ok(Datum::Null),
        }),
        immutable("timezone(interval, timestamp) -> timestamptz", |call| match (call.get(0), call.get(1)) {
            (Datum::Interval(offset), Datum::Timestamp(local)) => {
                Ok(Datum::Timestamptz(local.saturating_sub(offset.nanoseconds / 1000)))
            }
            _ => Ok(Datum::Null),
        }),
        immutable("to_utc_timestamp(timestamp, text) -> timestamp", |call| match call.get(0) {
            Datum::Timestamp(local) => Ok(Datum::Timestamp(time::local_to_utc(Zone::parse(call.text(1)?)?, *local))),
            _ => Ok(Datum::Null),
        }),
        immutable("from_utc_timestamp(timestamp, text) -> timestamp", |call| match call.get(0) {
            Datum::Timestamp(utc) => Ok(Datum::Timestamp(time::utc_to_local(Zone::parse(call.text(1)?)?, *utc))),
            _ => Ok(Datum::Null),
        }),
        stable("pg_timezone_names() -> setof (name text, abbrev text, utc_offset interval, is_dst bool)", |call| {
            Ok(Datum::List(zone_rows(call.context()?.statement_time)))
        }),
    ]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_justified() {
        let nanos = |hours: i64| hours * 3_600_000_000_000;
        assert_eq!(carry_hours(IntervalMonthDayNano::new(0, 0, nanos(27))), IntervalMonthDayNano::new(0, 1, nanos(3)));
        assert_eq!(carry_days(IntervalMonthDayNano::new(0, 35, 0)), IntervalMonthDayNano::new(1, 5, 0));
        let mixed = IntervalMonthDayNano::new(1, 0, nanos(-1));
        assert_eq!(same_signs(carry_days(carry_hours(mixed))), IntervalMonthDayNano::new(0, 29, nanos(23)));
    }

    #[test]
    fn impossible_dates_are_refused() {
        assert_eq!(date_of(2024, 2, 29).unwrap(), 19_782);
        assert!(date_of(2023, 2, 29).is_err());
        assert!(date_of(0, 1, 1).is_err());
        assert!(time_of(25, 0, 0.0).is_err());
    }
}
