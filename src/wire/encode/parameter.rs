//! Bind's parameters to scalar values: text in every form PostgreSQL reads, and the binary forms.
//!
//! A value has the Arrow type of its SQL type, with one exception: a `numeric` keeps the digits it came with. PostgreSQL's parameters
//! have no precision; a comparison with a rounded value would find other rows, and `12.50` is not shown as `12.5000000000`.

use std::borrow::Cow;
use std::sync::Arc;

use datafusion::arrow::array::{ListArray, new_empty_array};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::ScalarValue;

use super::parameter_binary as binary;
use super::{Form, Format};
use crate::error::{Error, ErrorKind, Result};
use crate::types::input::{element_texts, parse_scalar, parse_string};
use crate::types::numeric::{constant, exact_decimal};
use crate::types::values::IntervalValue;
use crate::types::values::numeric::Numeric;
use crate::types::{SqlType, to_arrow_interval};

/// Reads a parameter of type `sql_type` from Bind; `None` is NULL.
///
/// # Errors
/// Text: 22P02, 22003, 22007, 22008, 22021 as PostgreSQL words them. Binary: 22P03, and 08P01 for bytes that end too early.
/// [`ErrorKind::Unsupported`] for `NaN` and infinities of `numeric` and the date types, and for arrays of several dimensions.
pub fn decode_parameter(bytes: Option<&[u8]>, format: Format, sql_type: &SqlType, settings: &Form) -> Result<ScalarValue> {
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
fn scalar(bytes: &[u8], format: Format, sql_type: &SqlType, settings: &Form) -> Result<ScalarValue> {
    match format {
        Format::Text if matches!(sql_type, SqlType::Varchar(_) | SqlType::Bpchar(_)) => string(text(bytes)?, sql_type),
        Format::Text => parse_scalar(text(bytes)?, sql_type, settings),
        Format::Binary => binary::scalar(bytes, sql_type),
    }
}

/// The types that travel as strings.
pub(super) fn string(text: &str, sql_type: &SqlType) -> Result<ScalarValue> {
    match sql_type {
        SqlType::Void => Ok(ScalarValue::Null),
        // Not cut: a parameter has no length, and a column that has one says so itself.
        SqlType::Varchar(_) | SqlType::Bpchar(_) => Ok(ScalarValue::Utf8(Some(text.to_string()))),
        _ => parse_string(text, sql_type).map(|value| ScalarValue::Utf8(Some(value))),
    }
}

/// PostgreSQL's interval as Arrow's.
pub(super) fn interval(value: IntervalValue) -> Result<ScalarValue> {
    to_arrow_interval(value).map(|value| ScalarValue::IntervalMonthDayNano(Some(value)))
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

fn array(bytes: &[u8], format: Format, element: &SqlType, data_type: &DataType, settings: &Form) -> Result<ScalarValue> {
    let (dimensions, raw): (usize, Vec<Option<Cow<'_, [u8]>>>) = match format {
        Format::Text => {
            let elements = element_texts(text(bytes)?)?;
            (1, elements.into_iter().map(|element| element.map(|text| Cow::Owned(text.into_bytes()))).collect())
        }
        Format::Binary => binary::array(bytes, element)?,
    };
    if dimensions > 1 {
        return Err(Error::unsupported("an array parameter of several dimensions"));
    }
    elements(&raw, format, element, data_type, settings)
}

fn vector(bytes: &[u8], format: Format, element: &SqlType, data_type: &DataType, settings: &Form) -> Result<ScalarValue> {
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
    settings: &Form,
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
