//! Values of one type as values of another: what CAST does to a column.
//!
//! ```text
//!  text  ── input::parse_text ──▶ anything          anything ── encode::text_of ──▶ text, varchar(n), char(n), name
//!  float ── rint, range ────────▶ integers          moments  ── the session's zone ──▶ moments, days, times of day
//!  array ── element by element ─▶ array             the rest: Arrow's cast between numbers, checked
//! ```
//! Which casts there are at all is the binder's knowledge. Most of these can fail on a value, so none of them may run before a row filter.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, GenericListArray, PrimitiveArray, StringArray, StringBuilder,
};
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
    IntervalMonthDayNano, IntervalMonthDayNanoType, Time64MicrosecondType, TimestampMicrosecondType, UInt32Type,
};

use super::encode::text_of;
use super::input::{Failure, Room, cut, fitted, fitted_narrow, laid_out, parse_string, parse_text, strings};
use super::numeric::{Numbers, NumericBuilder};
use super::values::calendar::DAY_MICROS;
use super::values::numeric::Numeric;
use super::values::{self, moment};
use super::{Form, SqlType};
use crate::error::datafusion::from_arrow;
use crate::error::{Error, ErrorKind, Result};

/// Whether values of the type are strings that mean themselves.
pub fn is_text(sql_type: &SqlType) -> bool {
    matches!(
        sql_type,
        SqlType::Text
            | SqlType::Varchar(_)
            | SqlType::Bpchar(_)
            | SqlType::Name
            | SqlType::Char
            | SqlType::NodeTree
            | SqlType::AclItem
            | SqlType::Unknown
    )
}

/// `array`, whose values are of type `from`, as values of type `to`.
///
/// # Errors
/// PostgreSQL's for a value that the type cannot hold, unless `failure` makes it NULL.
pub fn convert(array: &ArrayRef, from: &SqlType, to: &SqlType, form: &Form, failure: Failure) -> Result<ArrayRef> {
    let array = &laid_out(array)?;
    match (from, to) {
        (SqlType::Char, SqlType::Int4) => char_codes(array),
        (SqlType::Int4, SqlType::Char) => chars(array, failure),
        (SqlType::Unknown, to) if is_text(to) && *array.data_type() == DataType::Null => {
            Ok(datafusion::arrow::array::new_null_array(&to.arrow_type(), array.len()))
        }
        (from, to) if is_text(from) && !is_text(to) => parse_text(array, to, form, failure),
        (from, to) if is_text(to) => to_text(array, from, to, form),
        (SqlType::Json | SqlType::Jsonb, SqlType::Json | SqlType::Jsonb) => {
            let texts: ArrayRef = Arc::new(text_of(array, from, form)?);
            if *to == SqlType::Json { Ok(texts) } else { parse_text(&texts, to, form, failure) }
        }
        (SqlType::Jsonb, to) => json_scalars(array, to, form, failure),
        (SqlType::Uuid | SqlType::Bytea, _) => Err(Error::internal(format!("a cast from {from} to {to}"))),
        (from, SqlType::UnconstrainedNumeric) if is_number(from) => to_numeric(array),
        (SqlType::UnconstrainedNumeric, to) if is_number(to) => of_numeric(array, to, failure),
        (SqlType::Float4 | SqlType::Float8, SqlType::Numeric { .. }) => of_numeric(array, to, failure),
        (SqlType::Numeric { .. }, SqlType::Float8) => of_numeric(array, to, failure),
        (SqlType::Float4 | SqlType::Float8, SqlType::Int2 | SqlType::Int4 | SqlType::Int8) => float_to_integer(array, to, failure),
        (SqlType::Numeric { .. }, SqlType::Int2 | SqlType::Int4 | SqlType::Int8) => of_numeric(array, to, failure),
        (SqlType::Float8, SqlType::Float4) => narrow_floats(array, failure),
        (SqlType::Bool, _) => arrow(array, to, Failure::Error),
        (
            SqlType::Int2 | SqlType::Int4 | SqlType::Int8 | SqlType::Oid,
            SqlType::Int2 | SqlType::Int4 | SqlType::Oid | SqlType::Reg(_),
        ) => narrow_integers(array, to, failure),
        (SqlType::Int4, SqlType::Bool) => {
            let numbers = array.as_primitive::<Int32Type>();
            Ok(Arc::new(numbers.iter().map(|number| number.map(|number| number != 0)).collect::<BooleanArray>()))
        }
        (SqlType::Date | SqlType::Timestamp | SqlType::Timestamptz | SqlType::Time | SqlType::Interval, _) => {
            moments(array, from, to, form, failure)
        }
        (SqlType::Array(from), SqlType::Array(to)) => elements(array, from, to, form, failure),
        (SqlType::Int2Vector, SqlType::Array(to)) => elements(array, &SqlType::Int2, to, form, failure),
        (SqlType::OidVector, SqlType::Array(to)) => elements(array, &SqlType::Oid, to, form, failure),
        _ => arrow(array, to, failure),
    }
}

/// Between numbers, where Arrow's cast is PostgreSQL's.
fn arrow(array: &ArrayRef, to: &SqlType, failure: Failure) -> Result<ArrayRef> {
    let options = CastOptions { safe: failure == Failure::Null, ..CastOptions::default() };
    cast_with_options(array, &to.arrow_type(), &options).map_err(|error| from_arrow(error, false))
}

/// The text of a value as a cast gives it: `true` for a boolean, no spaces behind a `char(n)`.
fn to_text(array: &ArrayRef, from: &SqlType, to: &SqlType, form: &Form) -> Result<ArrayRef> {
    let written;
    let texts = match from {
        SqlType::Bool => {
            let words = array.as_boolean().iter().map(|value| value.map(|value| if value { "true" } else { "false" }));
            written = Arc::new(words.collect::<StringArray>()) as ArrayRef;
            &written
        }
        from if is_text(from) && *from != SqlType::Char => array,
        from => {
            written = Arc::new(text_of(array, from, form)?) as ArrayRef;
            &written
        }
    };
    let stripped = matches!(from, SqlType::Bpchar(_)) && !matches!(to, SqlType::Bpchar(_));
    let (mut result, mut room) = (StringBuilder::new(), Room::new());
    for text in strings(texts)? {
        let text = text.map(|text| if stripped { text.trim_end_matches(' ') } else { text });
        match (text, to) {
            (None, _) => result.append_null(),
            (Some(text), SqlType::Varchar(length)) => result.append_value(cut(text, *length)),
            (Some(text), SqlType::Bpchar(_) | SqlType::Name | SqlType::Char) => {
                result.append_value(room.take(parse_string(text, to)?)?);
            }
            (Some(text), _) => result.append_value(text),
        }
    }
    Ok(Arc::new(result.finish()))
}

/// `'a'::"char"::int4`: the byte, signed.
fn char_codes(array: &ArrayRef) -> Result<ArrayRef> {
    let codes = strings(array)?.map(|text| text.map(|text| i32::from(values::parse_char(text.as_bytes()).cast_signed())));
    Ok(Arc::new(codes.collect::<PrimitiveArray<Int32Type>>()))
}

fn chars(array: &ArrayRef, failure: Failure) -> Result<ArrayRef> {
    let mut result = StringBuilder::new();
    for number in array.as_primitive::<Int32Type>().iter() {
        let byte = |number: i32| i8::try_from(number).map(i8::cast_unsigned).map_err(|_| out_of_range("\"char\""));
        let byte = match number {
            None => None,
            Some(number) => failure.outcome(byte(number))?,
        };
        result.append_option(byte.map(values::format_char));
    }
    Ok(Arc::new(result.finish()))
}

fn out_of_range(what: &str) -> Error {
    Error::new(ErrorKind::NumericOutOfRange, format!("{what} out of range"))
}

/// Maps the values of one primitive array.
fn mapped<A: ArrowPrimitiveType, B: ArrowPrimitiveType>(
    array: &ArrayRef,
    to: &SqlType,
    failure: Failure,
    map: impl Fn(A::Native) -> Result<B::Native>,
) -> Result<ArrayRef> {
    let values =
        array.as_primitive_opt::<A>().ok_or_else(|| Error::internal(format!("a column arrived as {}", array.data_type())))?;
    let mut result = PrimitiveArray::<B>::builder(values.len()).with_data_type(to.arrow_type());
    for value in values.iter() {
        result.append_option(match value {
            None => None,
            Some(value) => failure.outcome(map(value))?,
        });
    }
    Ok(Arc::new(result.finish()))
}

/// Rounded half to even, as PostgreSQL's `rint`.
fn float_to_integer(array: &ArrayRef, to: &SqlType, failure: Failure) -> Result<ArrayRef> {
    /// 2^63 has no neighbour below it that is not an `i64`.
    const TOO_LARGE: f64 = 9_223_372_036_854_775_808.0;
    let name = to.display_name();
    let whole = |value: f64| {
        let rounded = value.round_ties_even();
        #[expect(clippy::cast_possible_truncation, reason = "within the range of i64")]
        let fits = (-TOO_LARGE..TOO_LARGE).contains(&rounded).then_some(rounded as i64);
        fits.ok_or_else(|| out_of_range(&name))
    };
    let narrow = |value: i64| i32::try_from(value).map_err(|_| out_of_range(&name));
    let narrower = |value: i64| i16::try_from(value).map_err(|_| out_of_range(&name));
    let wide = matches!(array.data_type(), DataType::Float64);
    match (to, wide) {
        (SqlType::Int2, true) => mapped::<Float64Type, Int16Type>(array, to, failure, |value| narrower(whole(value)?)),
        (SqlType::Int2, false) => mapped::<Float32Type, Int16Type>(array, to, failure, |value| narrower(whole(value.into())?)),
        (SqlType::Int4, true) => mapped::<Float64Type, Int32Type>(array, to, failure, |value| narrow(whole(value)?)),
        (SqlType::Int4, false) => mapped::<Float32Type, Int32Type>(array, to, failure, |value| narrow(whole(value.into())?)),
        (_, true) => mapped::<Float64Type, Int64Type>(array, to, failure, whole),
        (_, false) => mapped::<Float32Type, Int64Type>(array, to, failure, |value| whole(value.into())),
    }
}

fn is_number(sql_type: &SqlType) -> bool {
    matches!(
        sql_type,
        SqlType::Int2 | SqlType::Int4 | SqlType::Int8 | SqlType::Oid | SqlType::Float4 | SqlType::Float8 | SqlType::Numeric { .. }
    )
}

/// Numbers of any kind as `numeric` with a scale each.
fn to_numeric(array: &ArrayRef) -> Result<ArrayRef> {
    let numbers = Numbers::of(array)?;
    let mut builder = NumericBuilder::with_capacity(array.len());
    for row in 0..array.len() {
        builder.append(numbers.get(row)?.as_ref());
    }
    Ok(builder.finish())
}

/// Numbers of any kind, by way of `numeric`, which rounds half away from zero.
fn of_numeric(array: &ArrayRef, to: &SqlType, failure: Failure) -> Result<ArrayRef> {
    match *to {
        SqlType::Numeric { precision, scale } => match to.arrow_type() {
            DataType::Decimal128(..) => {
                each_number::<Decimal128Type>(array, to, failure, |number| fitted_narrow(number, precision, scale))
            }
            _ => each_number::<Decimal256Type>(array, to, failure, |number| fitted(number, precision, scale)),
        },
        SqlType::Int2 => each_number::<Int16Type>(array, to, failure, Numeric::to_i16),
        SqlType::Int4 => each_number::<Int32Type>(array, to, failure, Numeric::to_i32),
        SqlType::Float4 => each_number::<Float32Type>(array, to, failure, Numeric::to_f32),
        SqlType::Float8 => each_number::<Float64Type>(array, to, failure, Numeric::to_f64),
        SqlType::Oid => {
            each_number::<UInt32Type>(array, to, failure, |number| u32::try_from(number.to_i64()?).map_err(|_| out_of_range("OID")))
        }
        _ => each_number::<Int64Type>(array, to, failure, Numeric::to_i64),
    }
}

fn each_number<B: ArrowPrimitiveType>(
    array: &ArrayRef,
    to: &SqlType,
    failure: Failure,
    map: impl Fn(&Numeric) -> Result<B::Native>,
) -> Result<ArrayRef> {
    let numbers = Numbers::of(array)?;
    let mut result = PrimitiveArray::<B>::builder(array.len()).with_data_type(to.arrow_type());
    for row in 0..array.len() {
        result.append_option(match numbers.get(row)? {
            None => None,
            // What an integer or a decimal has no room for is no missing feature where NULL stands for it.
            Some(number) if failure == Failure::Null => map(&number).ok(),
            Some(number) => Some(map(&number)?),
        });
    }
    Ok(Arc::new(result.finish()))
}

fn narrow_floats(array: &ArrayRef, failure: Failure) -> Result<ArrayRef> {
    mapped::<Float64Type, Float32Type>(array, &SqlType::Float4, failure, |value| {
        #[expect(clippy::cast_possible_truncation, reason = "what is lost is checked below")]
        let narrow = value as f32;
        let range = |what: &str| Err(Error::new(ErrorKind::NumericOutOfRange, format!("value out of range: {what}")));
        match (narrow.is_infinite() && !value.is_infinite(), narrow == 0.0 && value != 0.0) {
            (true, _) => range("overflow"),
            (_, true) => range("underflow"),
            _ => Ok(narrow),
        }
    })
}

fn narrow_integers(array: &ArrayRef, to: &SqlType, failure: Failure) -> Result<ArrayRef> {
    let wide = cast_with_options(array, &DataType::Int64, &CastOptions { safe: false, ..CastOptions::default() })
        .map_err(|error| from_arrow(error, false))?;
    let name = if matches!(to, SqlType::Reg(_) | SqlType::Oid) { "OID".to_string() } else { to.display_name() };
    // A negative `int4` or `int2` is the OID of the same bits.
    let short = !matches!(array.data_type(), DataType::Int64);
    match to {
        SqlType::Int2 => {
            mapped::<Int64Type, Int16Type>(&wide, to, failure, |value| value.try_into().map_err(|_| out_of_range(&name)))
        }
        SqlType::Int4 if matches!(array.data_type(), DataType::UInt32) => {
            mapped::<UInt32Type, Int32Type>(array, to, failure, |value| Ok(value.cast_signed()))
        }
        SqlType::Int4 => {
            mapped::<Int64Type, Int32Type>(&wide, to, failure, |value| value.try_into().map_err(|_| out_of_range(&name)))
        }
        _ => mapped::<Int64Type, UInt32Type>(&wide, to, failure, |value| match i32::try_from(value) {
            Ok(negative) if short && negative < 0 => Ok(negative.cast_unsigned()),
            _ => value.try_into().map_err(|_| out_of_range(&name)),
        }),
    }
}

/// Days, moments, times of day and intervals. Moments with a zone are seen on the clock of the session's.
fn moments(array: &ArrayRef, from: &SqlType, to: &SqlType, form: &Form, failure: Failure) -> Result<ArrayRef> {
    let local = |utc: i64| moment::local_of_instant(utc, &form.time_zone);
    let instant = |local: i64| moment::instant_of_local(local, &form.time_zone);
    let (midnight, day) = (moment::midnight, moment::day_of);
    let clock = |micros: i64| micros.rem_euclid(DAY_MICROS);
    let array = &in_microseconds(array)?;
    match (from, to) {
        (SqlType::Date, SqlType::Timestamp) => mapped::<Date32Type, TimestampMicrosecondType>(array, to, failure, midnight),
        (SqlType::Date, SqlType::Timestamptz) => {
            mapped::<Date32Type, TimestampMicrosecondType>(array, to, failure, |days| instant(midnight(days)?))
        }
        (SqlType::Timestamp, SqlType::Timestamptz) => {
            mapped::<TimestampMicrosecondType, TimestampMicrosecondType>(array, to, failure, instant)
        }
        (SqlType::Timestamptz, SqlType::Timestamp) => {
            mapped::<TimestampMicrosecondType, TimestampMicrosecondType>(array, to, failure, local)
        }
        (SqlType::Timestamp, SqlType::Date) => mapped::<TimestampMicrosecondType, Date32Type>(array, to, failure, day),
        (SqlType::Timestamptz, SqlType::Date) => {
            mapped::<TimestampMicrosecondType, Date32Type>(array, to, failure, |utc| day(local(utc)?))
        }
        (SqlType::Timestamp, SqlType::Time) => {
            mapped::<TimestampMicrosecondType, Time64MicrosecondType>(array, to, failure, |micros| Ok(clock(micros)))
        }
        (SqlType::Timestamptz, SqlType::Time) => {
            mapped::<TimestampMicrosecondType, Time64MicrosecondType>(array, to, failure, |utc| Ok(clock(local(utc)?)))
        }
        (SqlType::Time, SqlType::Interval) => {
            mapped::<Time64MicrosecondType, IntervalMonthDayNanoType>(array, to, failure, |micros| {
                Ok(IntervalMonthDayNano::new(0, 0, micros * 1000))
            })
        }
        (SqlType::Interval, SqlType::Time) => {
            mapped::<IntervalMonthDayNanoType, Time64MicrosecondType>(array, to, failure, |interval| {
                Ok(clock(interval.nanoseconds.div_euclid(1000)))
            })
        }
        _ => arrow(array, to, failure),
    }
}

/// Moments of other units, durations and days of milliseconds in PostgreSQL's representation.
fn in_microseconds(array: &ArrayRef) -> Result<ArrayRef> {
    use datafusion::arrow::datatypes::{IntervalUnit, TimeUnit};
    let wanted = match array.data_type() {
        DataType::Date64 => DataType::Date32,
        DataType::Time32(_) | DataType::Time64(TimeUnit::Nanosecond) => DataType::Time64(TimeUnit::Microsecond),
        DataType::Timestamp(TimeUnit::Microsecond, _) => return Ok(Arc::clone(array)),
        DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
        DataType::Interval(IntervalUnit::YearMonth | IntervalUnit::DayTime) | DataType::Duration(_) => {
            DataType::Interval(IntervalUnit::MonthDayNano)
        }
        _ => return Ok(Arc::clone(array)),
    };
    let options = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(array, &wanted, &options).map_err(|error| from_arrow(error, false))
}

/// The scalar in a `jsonb` as a boolean or a number.
fn json_scalars(array: &ArrayRef, to: &SqlType, form: &Form, failure: Failure) -> Result<ArrayRef> {
    let texts = text_of(array, &SqlType::Jsonb, form)?;
    let wants_truth = *to == SqlType::Bool;
    let mut scalars = StringBuilder::new();
    for json in texts.iter() {
        let scalar = |json: &str| {
            let kind = match json.as_bytes().first() {
                Some(b'n') => "null",
                Some(b't' | b'f') if wants_truth => return Ok(json.to_string()),
                Some(b'-' | b'0'..=b'9') if !wants_truth => return Ok(json.to_string()),
                Some(b't' | b'f') => "boolean",
                Some(b'"') => "string",
                Some(b'[') => "array",
                Some(b'{') => "object",
                _ => "numeric",
            };
            let name = if to.is_numeric() { "numeric".to_string() } else { to.display_name() };
            Err(Error::new(ErrorKind::InvalidParameter, format!("cannot cast jsonb {kind} to type {name}")))
        };
        scalars.append_option(match json {
            None => None,
            Some(json) => failure.outcome(scalar(json))?,
        });
    }
    let scalars: ArrayRef = Arc::new(scalars.finish());
    match to {
        // By way of numeric, which rounds.
        SqlType::Int2 | SqlType::Int4 | SqlType::Int8 => {
            let numbers = parse_text(&scalars, &SqlType::UnconstrainedNumeric, form, failure)?;
            of_numeric(&numbers, to, failure)
        }
        _ => parse_text(&scalars, to, form, failure),
    }
}

/// An array, element by element.
fn elements(array: &ArrayRef, from: &SqlType, to: &SqlType, form: &Form, failure: Failure) -> Result<ArrayRef> {
    let wanted = SqlType::Array(Box::new(to.clone())).arrow_type();
    let list = match array.data_type() {
        DataType::List(_) => Arc::clone(array),
        DataType::LargeList(element)
        | DataType::FixedSizeList(element, _)
        | DataType::ListView(element)
        | DataType::LargeListView(element) => {
            let options = CastOptions { safe: false, ..CastOptions::default() };
            cast_with_options(array, &DataType::List(Arc::clone(element)), &options).map_err(|error| from_arrow(error, false))?
        }
        other => return Err(Error::internal(format!("a column of arrays arrived as {other}"))),
    };
    let list: &GenericListArray<i32> = list.as_list();
    let (field, offsets, values, nulls) = list.clone().into_parts();
    let nested = matches!(field.data_type(), DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..))
        && !matches!(from, SqlType::Int2Vector | SqlType::OidVector);
    let values = if nested { elements(&values, from, to, form, failure)? } else { convert(&values, from, to, form, failure)? };
    let DataType::List(wanted) = wanted else { return Err(Error::internal("array type without elements")) };
    let field = if nested { Arc::new(field.as_ref().clone().with_data_type(values.data_type().clone())) } else { wanted };
    let list = GenericListArray::<i32>::try_new(field, offsets, values, nulls);
    Ok(Arc::new(list.map_err(|error| Error::internal(error.to_string()))?))
}
