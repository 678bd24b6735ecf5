//! Dates and times: fields, truncation, ages, constructors.
//!
//! `date_part`, `extract` and `date_trunc` stand in most dashboard queries, so they work on whole arrays. Times with a zone are taken
//! apart in the session's zone.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::datatypes::{
    DataType, Decimal128Type, FieldRef, Float64Type, IntervalUnit, TimeUnit, TimestampMicrosecondType,
};
use datafusion::common::ScalarValue;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::error::{Error, ErrorKind, Result};
use crate::functions::context::FunctionContext;
use crate::functions::define::{
    ArrayCall, Call, Declaration, external, immutable, immutable_arrays, of_moment, undefined_function, zoned, zoned_arrays,
};
use crate::functions::moments::{
    Column, binary, dates, instants, interval_of_two, intervals, ternary, times, timestamps, words, zones,
};
use crate::types::datum::Datum;
use crate::types::values::calendar::{DAY_MICROS, days_from_civil, days_of_month};
use crate::types::values::{DatetimePart, IntervalValue, PartOf, PartSource, TimeZone, moment};
use crate::types::{Form, SqlType, to_arrow_interval};

/// The functions of this file.
pub(crate) fn declarations() -> Vec<Declaration> {
    let mut all = vec![
        zoned_arrays("date_part(text, timestamptz) -> float8", |call| date_part(call, PartOf::Timestamptz)),
        immutable_arrays("date_part(text, timestamp) -> float8", |call| date_part(call, PartOf::Timestamp)),
        immutable_arrays("date_part(text, date) -> float8", |call| date_part(call, PartOf::Timestamp)),
        immutable_arrays("date_part(text, time) -> float8", |call| date_part(call, PartOf::Time)),
        immutable_arrays("date_part(text, interval) -> float8", |call| date_part(call, PartOf::Interval)),
        zoned_arrays("date_trunc(text, timestamptz) -> timestamptz", truncate_instants),
        immutable_arrays("date_trunc(text, timestamp) -> timestamp", |call| {
            binary::<_, _, TimestampMicrosecondType>(
                call,
                &unit_words(call, PartOf::Timestamp)?,
                &timestamps(call, 1)?,
                |part, local| part.truncate(local),
            )
        }),
        zoned_arrays("date_trunc(text, date) -> timestamptz", truncate_instants),
        zoned_arrays("date_trunc(text, timestamptz, text) -> timestamptz", |call| {
            let (units, moments, zones) = (unit_words(call, PartOf::Timestamptz)?, instants(call, 1)?, zones(call, 2)?);
            ternary::<_, _, _, TimestampMicrosecondType>(call, (&units, &moments, &zones), |part, utc, zone| {
                truncate_in(part, utc, &zone)
            })
        }),
        immutable_arrays("date_trunc(text, interval) -> interval", truncate_intervals),
        immutable_arrays("date_trunc(text, time) -> interval", |call| {
            interval_of_two(call, &unit_words(call, PartOf::Interval)?, &times(call, 1)?, |part, micros| {
                Ok(part.truncate_interval(IntervalValue { micros, ..IntervalValue::default() }))
            })
        }),
    ];
    all.extend(ages());
    all.extend(constructors());
    all
}

/// What is taken apart.
fn kind_of(data_type: DataType) -> Result<PartOf> {
    Ok(match data_type {
        DataType::Date32 => PartOf::Date,
        DataType::Time64(_) => PartOf::Time,
        DataType::Timestamp(_, None) => PartOf::Timestamp,
        DataType::Timestamp(_, Some(_)) => PartOf::Timestamptz,
        DataType::Interval(_) => PartOf::Interval,
        other => return Err(Error::internal(format!("a date field of {other}"))),
    })
}

/// The fields that the first argument names.
fn part_words(call: &ArrayCall<'_>, kind: PartOf) -> Result<Column<DatetimePart>> {
    words(call, 0, |word| {
        let part = DatetimePart::parse(word, kind)?;
        part.require(kind, word)?;
        Ok(part)
    })
}

/// The units that the first argument names, to cut down to.
fn unit_words(call: &ArrayCall<'_>, kind: PartOf) -> Result<Column<DatetimePart>> {
    words(call, 0, |word| {
        let part = DatetimePart::parse(word, kind)?;
        part.require_unit(kind, word)?;
        Ok(part)
    })
}

/// The second argument on the clock that its fields are read from.
fn sources(call: &ArrayCall<'_>, kind: PartOf) -> Result<Column<PartSource>> {
    let on_clock = |local: i64| PartSource { local, offset: 0 };
    Ok(match kind {
        PartOf::Date => dates(call, 1)?.map(|days| on_clock(i64::from(days).saturating_mul(DAY_MICROS))),
        PartOf::Time => times(call, 1)?.map(on_clock),
        PartOf::Timestamptz => instants(call, 1)?.map(|utc| {
            let offset = call.zone.offset_at(utc.div_euclid(1_000_000));
            PartSource { local: utc.saturating_add(i64::from(offset) * 1_000_000), offset }
        }),
        PartOf::Timestamp | PartOf::Interval => timestamps(call, 1)?.map(on_clock),
    })
}

fn date_part(call: &ArrayCall<'_>, kind: PartOf) -> Result<ColumnarValue> {
    let words = part_words(call, kind)?;
    if kind == PartOf::Interval {
        return binary::<_, _, Float64Type>(call, &words, &intervals(call, 1)?, |part, interval| {
            Ok(part.float_of_interval(interval))
        });
    }
    binary::<_, _, Float64Type>(call, &words, &sources(call, kind)?, |part, source| Ok(part.float_of(source)))
}

/// An instant cut down on the clocks of a zone. Hours and less keep the offset that they had, so that of an hour that comes twice each
/// has its own beginning.
fn truncate_in(part: DatetimePart, utc: i64, zone: &TimeZone) -> Result<i64> {
    let local = moment::local_of_instant(utc, zone)?;
    let cut = part.truncate(local)?;
    if part.is_day_or_longer() { moment::instant_of_local(cut, zone) } else { Ok(utc - (local - cut)) }
}

fn truncate_instants(call: &ArrayCall<'_>) -> Result<ColumnarValue> {
    binary::<_, _, TimestampMicrosecondType>(call, &unit_words(call, PartOf::Timestamptz)?, &instants(call, 1)?, |part, utc| {
        truncate_in(part, utc, call.zone)
    })
}

fn truncate_intervals(call: &ArrayCall<'_>) -> Result<ColumnarValue> {
    interval_of_two(call, &unit_words(call, PartOf::Interval)?, &intervals(call, 1)?, |part, interval| {
        Ok(part.truncate_interval(interval))
    })
}

/// EXTRACT: as `date_part`, but `numeric` with the digits that the field has. Needs to know the field when it is bound.
#[derive(Debug)]
pub(crate) struct Extract {
    zone: TimeZone,
    signature: Signature,
}

impl Extract {
    /// EXTRACT in a statement.
    pub(crate) fn function(context: &FunctionContext) -> Arc<ScalarUDF> {
        let zone = TimeZone::parse(&context.time_zone).unwrap_or_default();
        let implementation = Self { zone, signature: Signature::user_defined(Volatility::Immutable) };
        Arc::new(ScalarUDF::new_from_impl(implementation))
    }

    fn call(&self, args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [_, value] = args.args.as_slice() else { return Err(undefined_function("extract", &args.arg_fields)) };
        let form = Form { time_zone: self.zone.clone(), ..Form::default() };
        let types: Vec<SqlType> = args.arg_fields.iter().map(|field| SqlType::of_field(field)).collect();
        let call = ArrayCall {
            zone: &self.zone,
            form: &form,
            arguments: &args.args,
            fields: &args.arg_fields,
            types: &types,
            rows: args.number_rows,
            returns: args.return_field.data_type(),
        };
        let kind = kind_of(value.data_type())?;
        let words = part_words(&call, kind)?;
        match kind {
            PartOf::Interval => {
                binary::<_, _, Decimal128Type>(
                    &call,
                    &words,
                    &intervals(&call, 1)?,
                    |part, interval| Ok(part.of_interval(interval)),
                )
            }
            _ => binary::<_, _, Decimal128Type>(&call, &words, &sources(&call, kind)?, |part, source| Ok(part.of(source, kind))),
        }
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
        let kind = kind_of(value.data_type().clone()).map_err(external)?;
        let part = DatetimePart::parse(field, kind).map_err(external)?;
        part.require(kind, field).map_err(external)?;
        let scale = part.scale(kind);
        let precision = match (scale, kind) {
            (0, _) => 19,
            // A day's number with twenty digits of its fraction, and the seconds of the longest interval.
            (7.., _) => 28,
            (_, PartOf::Interval) => 24,
            _ => 20,
        };
        Ok(Arc::new(SqlType::Numeric { precision, scale }.field("extract", true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        self.call(&args).map_err(external)
    }
}

fn ages() -> Vec<Declaration> {
    vec![
        immutable_arrays("age(timestamp, timestamp) -> interval", |call| {
            interval_of_two(call, &timestamps(call, 0)?, &timestamps(call, 1)?, |first, second| {
                Ok(moment::age(first, second, first < second))
            })
        }),
        zoned_arrays("age(timestamptz, timestamptz) -> interval", |call| {
            interval_of_two(call, &instants(call, 0)?, &instants(call, 1)?, |first, second| {
                let local = |utc: i64| moment::local_of_instant(utc, call.zone);
                Ok(moment::age(local(first)?, local(second)?, first < second))
            })
        }),
        of_moment("age(timestamp) -> interval", age_of_today),
        of_moment("age(timestamptz) -> interval", age_of_today),
        immutable("isfinite(date) -> bool", |_| Ok(Datum::Bool(true))),
        immutable("isfinite(timestamp) -> bool", |_| Ok(Datum::Bool(true))),
        immutable("isfinite(timestamptz) -> bool", |_| Ok(Datum::Bool(true))),
        immutable("isfinite(interval) -> bool", |_| Ok(Datum::Bool(true))),
        immutable("overlaps(timestamp, timestamp, timestamp, timestamp) -> bool", overlaps).called_on_null(),
        zoned("overlaps(timestamptz, timestamptz, timestamptz, timestamptz) -> bool", overlaps).called_on_null(),
        immutable("overlaps(time, time, time, time) -> bool", overlaps).called_on_null(),
    ]
}

/// Time since midnight of today.
fn age_of_today(call: &Call<'_>) -> Result<Datum> {
    let context = call.context()?;
    let zone = TimeZone::parse(&context.time_zone)?;
    let now = moment::local_of_instant(context.transaction_time.timestamp_micros(), &zone)?;
    let today = now - now.rem_euclid(DAY_MICROS);
    let local = match call.get(0) {
        Datum::Timestamp(local) => *local,
        Datum::Timestamptz(utc) => moment::local_of_instant(*utc, &zone)?,
        _ => return Ok(Datum::Null),
    };
    Ok(Datum::Interval(to_arrow_interval(moment::age(today, local, today < local))?))
}

/// Whether two spans have a moment in common: the start of each, not its end, belongs to it. An unknown end leaves some answers open.
fn overlaps(call: &Call<'_>) -> Result<Datum> {
    let moment = |index: usize| match call.get(index) {
        Datum::Time(micros) | Datum::Timestamp(micros) | Datum::Timestamptz(micros) => Some(*micros),
        _ => None,
    };
    let span = |from: Option<i64>, to: Option<i64>| match (from, to) {
        (Some(from), Some(to)) => Some((from.min(to), Some(from.max(to)))),
        (Some(start), None) | (None, Some(start)) => Some((start, None)),
        (None, None) => None,
    };
    let (Some(one), Some(other)) = (span(moment(0), moment(1)), span(moment(2), moment(3))) else { return Ok(Datum::Null) };
    let ((_, first_end), (later, later_end)) = if one.0 <= other.0 { (one, other) } else { (other, one) };
    if one.0 == other.0 {
        let known = first_end.is_some() && later_end.is_some();
        return Ok(if known { Datum::Bool(true) } else { Datum::Null });
    }
    Ok(match (first_end, later_end) {
        (None, _) => Datum::Null,
        (Some(end), _) if later < end => Datum::Bool(true),
        (Some(_), None) => Datum::Null,
        (Some(_), Some(_)) => Datum::Bool(false),
    })
}

/// Date and time of `make_*` arguments, from argument 0 on.
fn local_of(call: &Call<'_>) -> Result<i64> {
    let days = date_of(call.int(0)?, call.int(1)?, call.int(2)?)?;
    let time = time_of(call.int(3)?, call.int(4)?, call.float(5)?)?;
    moment::midnight(days)?.checked_add(time).ok_or_else(moment::timestamp_out_of_range)
}

fn date_of(year: i64, month: i64, day: i64) -> Result<i32> {
    let refused = |what: &str| Error::new(ErrorKind::DatetimeOutOfRange, format!("{what}: {year}-{month:02}-{day:02}"));
    // There is no year 0: -1 is 1 BC.
    let civil = if year < 0 { year + 1 } else { year };
    let (Ok(month), Ok(day)) = (u32::try_from(month), u32::try_from(day)) else {
        return Err(refused("date field value out of range"));
    };
    if year == 0 || !(1..=12).contains(&month) || day == 0 || day > days_of_month(civil, month) {
        return Err(refused("date field value out of range"));
    }
    moment::date_of_days(days_from_civil(civil, month, day)).map_err(|_| refused("date out of range"))
}

fn time_of(hour: i64, minute: i64, second: f64) -> Result<i64> {
    let valid = (0..=24).contains(&hour) && (0..60).contains(&minute) && (0.0..=60.0).contains(&second);
    #[expect(clippy::cast_possible_truncation, reason = "at most 60 million where it counts")]
    let micros = (second * 1e6).round_ties_even() as i64;
    let micros = valid.then(|| (hour * 3600 + minute * 60) * 1_000_000 + micros).filter(|micros| *micros <= DAY_MICROS);
    micros.ok_or_else(|| {
        Error::new(ErrorKind::DatetimeOutOfRange, format!("time field value out of range: {hour}:{minute:02}:{second:02}"))
    })
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
            Ok(Datum::Timestamptz(moment::instant_of_local(local_of(call)?, call.zone)?))
        }),
        immutable("make_timestamptz(int4, int4, int4, int4, int4, float8, text) -> timestamptz", |call| {
            Ok(Datum::Timestamptz(moment::instant_of_local(local_of(call)?, &TimeZone::of_argument(call.text(6)?)?)?))
        }),
        immutable("make_interval() -> interval", make_interval),
        immutable("make_interval(int4) -> interval", make_interval),
        immutable("make_interval(int4, int4) -> interval", make_interval),
        immutable("make_interval(int4, int4, int4) -> interval", make_interval),
        immutable("make_interval(int4, int4, int4, int4) -> interval", make_interval),
        immutable("make_interval(int4, int4, int4, int4, int4) -> interval", make_interval),
        immutable("make_interval(int4, int4, int4, int4, int4, int4) -> interval", make_interval),
        immutable("make_interval(int4, int4, int4, int4, int4, int4, float8) -> interval", make_interval),
        immutable("to_timestamp(float8) -> timestamptz", |call| Ok(Datum::Timestamptz(moment::instant_of_epoch(call.float(0)?)?))),
        immutable("date(date) -> date", |call| Ok(call.get(0).clone())),
        immutable("date(timestamp) -> date", |call| match call.get(0) {
            Datum::Timestamp(local) => Ok(Datum::Date(moment::day_of(*local)?)),
            _ => Ok(Datum::Null),
        }),
        zoned("date(timestamptz) -> date", |call| match call.get(0) {
            Datum::Timestamptz(utc) => Ok(Datum::Date(moment::day_of(moment::local_of_instant(*utc, call.zone)?)?)),
            _ => Ok(Datum::Null),
        }),
    ]
}

fn make_interval(call: &Call<'_>) -> Result<Datum> {
    let mut parts = [0_i32; 6];
    for (index, part) in parts.iter_mut().enumerate() {
        let given = call.get(index).as_int().unwrap_or(0);
        *part = i32::try_from(given).map_err(|_| Error::new(ErrorKind::NumericOutOfRange, "integer out of range"))?;
    }
    let seconds = if call.get(6).is_null() { 0.0 } else { call.float(6)? };
    Ok(Datum::Interval(to_arrow_interval(IntervalValue::of_parts(parts, seconds)?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_dates_are_refused() {
        assert_eq!(date_of(2024, 2, 29).unwrap(), 19_782);
        assert_eq!(date_of(2023, 2, 29).unwrap_err().message(), "date field value out of range: 2023-02-29");
        assert!(date_of(0, 1, 1).is_err());
        assert!(time_of(25, 0, 0.0).is_err());
        assert!(time_of(24, 0, 0.1).is_err());
    }
}
