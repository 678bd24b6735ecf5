//! Bind's parameters to scalar values: text in every form PostgreSQL reads, and the binary forms.
//!
//! A value has the Arrow type of its SQL type, with one exception: a `numeric` keeps the digits it came with. PostgreSQL's parameters
//! have no precision; a comparison with a rounded value would find other rows, and `12.50` is not shown as `12.5000000000`.

use std::borrow::Cow;
use std::sync::Arc;

use datafusion::arrow::array::{ListArray, new_empty_array};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::datatypes::{DataType, Field, IntervalMonthDayNano};
use datafusion::common::ScalarValue;

use super::parameter_binary as binary;
use super::{EncodeSettings, Format};
use crate::error::{Error, ErrorKind, Result};
use crate::types::numeric::{constant, exact_decimal};
use crate::types::values::numeric::Numeric;
use crate::types::values::{
    self, IntervalValue, parse_bool, parse_bytea, parse_date, parse_float4, parse_float8, parse_int2, parse_int4, parse_int8,
    parse_interval, parse_oid, parse_time, parse_timestamp, parse_timestamptz, parse_uuid,
};
use crate::types::{RegKind, SqlType};

/// Reads a parameter of type `sql_type` from Bind; `None` is NULL.
///
/// # Errors
/// Text: 22P02, 22003, 22007, 22008, 22021 as PostgreSQL words them. Binary: 22P03, and 08P01 for bytes that end too early.
/// [`ErrorKind::Unsupported`] for `NaN` and infinities of `numeric` and the date types, and for arrays of several dimensions.
pub fn decode_parameter(
    bytes: Option<&[u8]>,
    format: Format,
    sql_type: &SqlType,
    settings: &EncodeSettings,
) -> Result<ScalarValue> {
    let data_type = sql_type.arrow_type();
    let Some(bytes) = bytes else { return null(&data_type) };
    match sql_type {
        SqlType::Array(element) => array(bytes, format, element, &data_type, settings),
        SqlType::Int2Vector => vector(bytes, format, &SqlType::Int2, &data_type, settings),
        SqlType::OidVector => vector(bytes, format, &SqlType::Oid, &data_type, settings),
        SqlType::Numeric { precision, scale } => decimal(&numeric(bytes, format)?, *precision, *scale),
        SqlType::UnconstrainedNumeric => Ok(own_decimal(&numeric(bytes, format)?)),
        scalar_type => scalar(bytes, format, scalar_type, settings),
    }
}

fn null(data_type: &DataType) -> Result<ScalarValue> {
    ScalarValue::try_new_null(data_type).map_err(|error| Error::internal(error.to_string()))
}

/// The bytes as text, which holds neither NUL nor anything but UTF-8.
pub(in crate::wire) fn text(bytes: &[u8]) -> Result<&str> {
    let refuse = |sequence: &[u8]| {
        let bytes: Vec<String> = sequence.iter().map(|byte| format!("0x{byte:02x}")).collect();
        Error::new(ErrorKind::InvalidEncoding, format!("invalid byte sequence for encoding \"UTF8\": {}", bytes.join(" ")))
    };
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let (valid, rest) = bytes.split_at(error.valid_up_to());
        if valid.contains(&0) {
            return refuse(&[0]);
        }
        let length = match rest.first() {
            Some(0xc0..=0xdf) => 2,
            Some(0xe0..=0xef) => 3,
            Some(0xf0..=0xf7) => 4,
            _ => 1,
        };
        refuse(&rest[..length.min(rest.len())])
    })?;
    if text.contains('\0') { Err(refuse(&[0])) } else { Ok(text) }
}

/// Everything but arrays and numerics, which need to know their neighbours.
fn scalar(bytes: &[u8], format: Format, sql_type: &SqlType, settings: &EncodeSettings) -> Result<ScalarValue> {
    match format {
        Format::Text => scalar_text(text(bytes)?, sql_type, settings),
        Format::Binary => binary::scalar(bytes, sql_type),
    }
}

fn scalar_text(text: &str, sql_type: &SqlType, settings: &EncodeSettings) -> Result<ScalarValue> {
    let input = settings.date_time_input();
    Ok(match sql_type {
        SqlType::Bool => ScalarValue::Boolean(Some(parse_bool(text)?)),
        SqlType::Int2 => ScalarValue::Int16(Some(parse_int2(text)?)),
        SqlType::Int4 => ScalarValue::Int32(Some(parse_int4(text)?)),
        SqlType::Int8 => ScalarValue::Int64(Some(parse_int8(text)?)),
        SqlType::Float4 => ScalarValue::Float32(Some(parse_float4(text)?)),
        SqlType::Float8 => ScalarValue::Float64(Some(parse_float8(text)?)),
        SqlType::Bytea => ScalarValue::Binary(Some(parse_bytea(text)?)),
        SqlType::Date => ScalarValue::Date32(Some(parse_date(text, &input)?)),
        SqlType::Time => ScalarValue::Time64Microsecond(Some(parse_time(text, &input)?)),
        SqlType::Timestamp => ScalarValue::TimestampMicrosecond(Some(parse_timestamp(text, &input)?), None),
        SqlType::Timestamptz => ScalarValue::TimestampMicrosecond(Some(parse_timestamptz(text, &input)?), Some("UTC".into())),
        SqlType::Interval => interval(parse_interval(text, settings.interval_style)?)?,
        SqlType::Oid | SqlType::Xid => ScalarValue::UInt32(Some(parse_oid(text)?)),
        SqlType::Reg(kind) => ScalarValue::UInt32(Some(object_identifier(text, *kind, settings)?)),
        other => string(text, other)?,
    })
}

/// The types that travel as strings.
pub(super) fn string(text: &str, sql_type: &SqlType) -> Result<ScalarValue> {
    /// `name` holds 63 bytes.
    const NAME_LENGTH: usize = 63;
    let value = match sql_type {
        SqlType::Uuid => values::format_uuid(&parse_uuid(text)?).to_string(),
        SqlType::Json => {
            values::check_json(text)?;
            text.to_string()
        }
        SqlType::Jsonb => values::canonical_jsonb(text)?,
        SqlType::Name => text[..text.floor_char_boundary(NAME_LENGTH)].to_string(),
        SqlType::Char => values::format_char(values::parse_char(text.as_bytes())),
        SqlType::Void => return Ok(ScalarValue::Null),
        _ => text.to_string(),
    };
    Ok(ScalarValue::Utf8(Some(value)))
}

/// A number, or a name where somebody knows it.
fn object_identifier(text: &str, kind: RegKind, settings: &EncodeSettings) -> Result<u32> {
    match (text, parse_oid(text), &settings.object_names) {
        ("-", _, _) => Ok(0),
        (_, Ok(oid), _) => Ok(oid),
        (_, Err(_), Some(names)) => names.oid(kind, text),
        (_, Err(error), None) => Err(error),
    }
}

/// PostgreSQL's interval as Arrow's.
pub(super) fn interval(value: IntervalValue) -> Result<ScalarValue> {
    let nanoseconds =
        value.micros.checked_mul(1000).ok_or_else(|| Error::new(ErrorKind::DatetimeOutOfRange, "interval out of range"))?;
    Ok(ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano::new(value.months, value.days, nanoseconds))))
}

fn numeric(bytes: &[u8], format: Format) -> Result<Numeric> {
    match format {
        Format::Text => Numeric::parse(text(bytes)?),
        Format::Binary => Numeric::from_binary(bytes),
    }
}

/// A number as it was written: a decimal of its digits, by which files can be pruned, if they are not too many.
fn own_decimal(value: &Numeric) -> ScalarValue {
    let decimal = value.scale().and_then(|scale| {
        let unscaled = value.to_i256(scale)?;
        let digits = u8::try_from(unscaled.wrapping_abs().to_string().len()).ok()?;
        let scale = i8::try_from(scale).ok()?;
        exact_decimal(value, digits.max(scale.unsigned_abs()).max(1), scale)
    });
    decimal.unwrap_or_else(|| constant(Some(value)))
}

/// A number as the declared type if it fits that exactly, else as it was written: PostgreSQL's parameters have no precision, and a
/// comparison with a rounded value would find other rows.
fn decimal(value: &Numeric, precision: u8, scale: i8) -> Result<ScalarValue> {
    Ok(exact_decimal(value, precision, scale).unwrap_or_else(|| own_decimal(value)))
}

fn array(bytes: &[u8], format: Format, element: &SqlType, data_type: &DataType, settings: &EncodeSettings) -> Result<ScalarValue> {
    let (dimensions, raw): (usize, Vec<Option<Cow<'_, [u8]>>>) = match format {
        Format::Text => {
            let array = values::parse_array(text(bytes)?)?;
            let elements = array.elements.into_iter().map(|element| element.map(|text| Cow::Owned(text.into_bytes()))).collect();
            (array.dimensions.len(), elements)
        }
        Format::Binary => binary::array(bytes, element)?,
    };
    if dimensions > 1 {
        return Err(Error::unsupported("an array parameter of several dimensions"));
    }
    elements(&raw, format, element, data_type, settings)
}

fn vector(bytes: &[u8], format: Format, element: &SqlType, data_type: &DataType, settings: &EncodeSettings) -> Result<ScalarValue> {
    match format {
        Format::Text => {
            let raw: Vec<_> = text(bytes)?.split_ascii_whitespace().map(|number| Some(Cow::Borrowed(number.as_bytes()))).collect();
            elements(&raw, format, element, data_type, settings)
        }
        Format::Binary => array(bytes, format, element, data_type, settings),
    }
}

/// A list value of `data_type` from its elements' bytes.
fn elements(
    raw: &[Option<Cow<'_, [u8]>>],
    format: Format,
    element: &SqlType,
    data_type: &DataType,
    settings: &EncodeSettings,
) -> Result<ScalarValue> {
    let DataType::List(field) = data_type else { return Err(Error::internal(format!("{data_type} is no list"))) };
    let read = |raw: &Option<Cow<'_, [u8]>>| match (raw.as_deref(), element.is_numeric()) {
        (Some(bytes), true) => Ok(constant(Some(&numeric(bytes, format)?))),
        (None, true) => Ok(constant(None)),
        (bytes, false) => decode_parameter(bytes, format, element, settings),
    };
    let scalars: Vec<ScalarValue> = raw.iter().map(read).collect::<Result<_>>()?;
    let values = if scalars.is_empty() {
        new_empty_array(field.data_type())
    } else {
        ScalarValue::iter_to_array(scalars).map_err(|error| Error::internal(error.to_string()))?
    };
    let field: Arc<Field> = Arc::new(field.as_ref().clone().with_data_type(values.data_type().clone()));
    let list = ListArray::try_new(field, OffsetBuffer::from_lengths([values.len()]), values, None);
    Ok(ScalarValue::List(Arc::new(list.map_err(|error| Error::internal(error.to_string()))?)))
}
