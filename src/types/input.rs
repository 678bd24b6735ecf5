//! Text to values, as PostgreSQL's input functions read them: one reader for literals, parameters, casts of columns and array elements.
//!
//! ```text
//!  '..' in a statement, a parameter ── parse_scalar ──▶ ScalarValue
//!  a column of texts                ── parse_text ────▶ array         (the same parsers, value by value)
//! ```
//! Absent: arrays of several dimensions from text.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BinaryBuilder, BooleanBuilder, ListArray, PrimitiveBuilder, StringBuilder,
    new_empty_array, new_null_array,
};
use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
    IntervalMonthDayNanoType, Time64MicrosecondType, TimestampMicrosecondType, UInt32Type, i256,
};
use datafusion::common::ScalarValue;

use super::numeric::{NumericBuilder, constant};
use super::values;
use super::values::numeric::{Numeric, NumericLimits, not_finite};
use super::{Form, RegKind, SqlType, to_arrow_interval};
use crate::error::{Error, ErrorKind, Result};

/// Bytes that a `name` holds.
const NAME_BYTES: usize = 63;

/// What becomes of a value that cannot be converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Failure {
    /// The statement fails: CAST.
    Error,
    /// NULL: TRY_CAST.
    Null,
}

impl Failure {
    /// The value; `None` for one that cannot be converted, where NULL stands for it.
    ///
    /// # Errors
    /// The error, where the statement fails.
    pub(super) fn outcome<T>(self, result: Result<T>) -> Result<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) if self == Failure::Error || matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::ProgramLimit) => {
                Err(error)
            }
            Err(_) => Ok(None),
        }
    }
}

/// A value of type `sql_type` from its text. Texts longer than a `varchar(n)` or `char(n)` are cut, as by an explicit cast.
///
/// # Errors
/// 22P02, 22003, 22007, 22008 as PostgreSQL words them; [`ErrorKind::Unsupported`] for what no array can hold.
pub fn parse_scalar(text: &str, sql_type: &SqlType, form: &Form) -> Result<ScalarValue> {
    let input = form.date_time_input();
    Ok(match sql_type {
        SqlType::Bool => ScalarValue::Boolean(Some(values::parse_bool(text)?)),
        SqlType::Int2 => ScalarValue::Int16(Some(values::parse_int2(text)?)),
        SqlType::Int4 => ScalarValue::Int32(Some(values::parse_int4(text)?)),
        SqlType::Int8 => ScalarValue::Int64(Some(values::parse_int8(text)?)),
        SqlType::Oid | SqlType::Xid => ScalarValue::UInt32(Some(values::parse_oid(text)?)),
        SqlType::Reg(kind) => ScalarValue::UInt32(Some(object_identifier(text, *kind, form)?)),
        SqlType::Float4 => ScalarValue::Float32(Some(values::parse_float4(text)?)),
        SqlType::Float8 => ScalarValue::Float64(Some(values::parse_float8(text)?)),
        SqlType::Numeric { precision, scale } => {
            let value = Numeric::parse(text)?;
            match sql_type.arrow_type() {
                DataType::Decimal128(..) => {
                    ScalarValue::Decimal128(Some(fitted_narrow(&value, *precision, *scale)?), *precision, *scale)
                }
                _ => ScalarValue::Decimal256(Some(fitted(&value, *precision, *scale)?), *precision, *scale),
            }
        }
        SqlType::UnconstrainedNumeric => constant(Some(&Numeric::parse(text)?)),
        SqlType::Bytea => ScalarValue::Binary(Some(values::parse_bytea(text)?)),
        SqlType::Date => ScalarValue::Date32(Some(values::parse_date(text, &input)?)),
        SqlType::Time => ScalarValue::Time64Microsecond(Some(values::parse_time(text, &input)?)),
        SqlType::Timestamp => ScalarValue::TimestampMicrosecond(Some(values::parse_timestamp(text, &input)?), None),
        SqlType::Timestamptz => {
            ScalarValue::TimestampMicrosecond(Some(values::parse_timestamptz(text, &input)?), Some("UTC".into()))
        }
        SqlType::Interval => {
            ScalarValue::IntervalMonthDayNano(Some(to_arrow_interval(values::parse_interval(text, form.interval_style)?)?))
        }
        SqlType::Array(element) => array(text, element, sql_type, form)?,
        SqlType::Int2Vector => vector(text, &SqlType::Int2, sql_type, form)?,
        SqlType::OidVector => vector(text, &SqlType::Oid, sql_type, form)?,
        SqlType::Record(_) => return Err(Error::unsupported("input of anonymous composite types")),
        SqlType::Void => return Ok(ScalarValue::Null),
        _ => ScalarValue::Utf8(Some(parse_string(text, sql_type)?)),
    })
}

/// A value of one of the types that travel as strings.
///
/// # Errors
/// 22P02 for a `uuid`, `json` or `jsonb` that is none.
pub fn parse_string(text: &str, sql_type: &SqlType) -> Result<String> {
    Ok(match sql_type {
        SqlType::Uuid => values::format_uuid(&values::parse_uuid(text)?).as_str().to_string(),
        SqlType::Json => {
            values::check_json(text)?;
            text.to_string()
        }
        SqlType::Jsonb => values::canonical_jsonb(text)?,
        SqlType::Varchar(length) | SqlType::Bpchar(length @ None) => cut(text, *length).to_string(),
        // With the spaces that the type adds, as columns hold it: values that are equal are the same text.
        SqlType::Bpchar(Some(length)) => {
            format!("{:<width$}", cut(text, Some(*length)), width = usize::try_from(*length).unwrap_or(0))
        }
        SqlType::Name => text[..text.floor_char_boundary(NAME_BYTES)].to_string(),
        SqlType::Char => values::format_char(values::parse_char(text.as_bytes())),
        _ => text.to_string(),
    })
}

/// The first `length` characters.
pub(super) fn cut(text: &str, length: Option<u32>) -> &str {
    let Some(length) = length.and_then(|length| usize::try_from(length).ok()).filter(|length| text.len() > *length) else {
        return text;
    };
    let end = text.char_indices().nth(length).map_or(text.len(), |(index, _)| index);
    &text[..end]
}

/// A number, or a name where somebody knows it.
fn object_identifier(text: &str, kind: RegKind, form: &Form) -> Result<u32> {
    match (text, values::parse_oid(text), &form.object_names) {
        ("-", _, _) => Ok(0),
        (_, Ok(oid), _) => Ok(oid),
        (_, Err(_), Some(names)) => names.oid(kind, text),
        (_, Err(error), None) => Err(error),
    }
}

/// The number rounded to a `numeric(precision, scale)`, half away from zero.
fn rounded(value: &Numeric, precision: u8, scale: i8) -> Result<Numeric> {
    value.with_limits(NumericLimits { precision: u16::from(precision), scale: i16::from(scale) })
}

/// The unscaled number of a `numeric(precision, scale)`, rounded half away from zero.
///
/// # Errors
/// 22003 `numeric field overflow` with PostgreSQL's detail, 0A000 for `NaN` and the infinities.
pub fn fitted(value: &Numeric, precision: u8, scale: i8) -> Result<i256> {
    let rounded = rounded(value, precision, scale)?;
    rounded.to_i256(i32::from(scale)).ok_or_else(|| not_finite(&rounded.to_string()))
}

/// [`fitted`] for up to 38 digits.
///
/// # Errors
/// As [`fitted`].
pub fn fitted_narrow(value: &Numeric, precision: u8, scale: i8) -> Result<i128> {
    let rounded = rounded(value, precision, scale)?;
    rounded.to_i128(i32::from(scale)).ok_or_else(|| not_finite(&rounded.to_string()))
}

/// A list of constants in the array type's own representation.
///
/// # Errors
/// An internal error if the constants are of several types.
pub fn list(items: &[ScalarValue], array_type: &SqlType) -> Result<ScalarValue> {
    let DataType::List(field) = array_type.arrow_type() else { return Err(Error::internal("array type without elements")) };
    let internal = |error: &dyn std::fmt::Display| Error::internal(format!("array literal: {error}"));
    let elements: ArrayRef = if items.is_empty() {
        new_empty_array(field.data_type())
    } else {
        ScalarValue::iter_to_array(items.iter().cloned()).map_err(|error| internal(&error))?
    };
    let list = ListArray::try_new(field, OffsetBuffer::from_lengths([items.len()]), elements, None);
    Ok(ScalarValue::List(Arc::new(list.map_err(|error| internal(&error))?)))
}

/// The texts of the elements of `{1,2,NULL,"a b"}`: one dimension.
///
/// # Errors
/// 22P02 `malformed array literal`, [`ErrorKind::Unsupported`] for several dimensions.
pub fn element_texts(text: &str) -> Result<Vec<Option<String>>> {
    let array = values::parse_array(text)?;
    if array.dimensions.len() > 1 {
        return Err(Error::unsupported("an array literal of several dimensions").with_hint("Write ARRAY[[..], [..]]."));
    }
    Ok(array.elements)
}

fn array(text: &str, element: &SqlType, array_type: &SqlType, form: &Form) -> Result<ScalarValue> {
    let null = ScalarValue::try_from(&element.arrow_type()).map_err(|error| Error::internal(error.to_string()))?;
    let value = |item: &Option<String>| match item {
        Some(item) => parse_scalar(item, element, form),
        None => Ok(null.clone()),
    };
    let items = element_texts(text)?.iter().map(value).collect::<Result<Vec<_>>>()?;
    list(&items, array_type)
}

/// `1 2 3`.
fn vector(text: &str, element: &SqlType, vector: &SqlType, form: &Form) -> Result<ScalarValue> {
    let items = text.split_ascii_whitespace().map(|word| parse_scalar(word, element, form)).collect::<Result<Vec<_>>>()?;
    list(&items, vector)
}

/// The strings of a column, in whatever representation.
pub(super) fn strings(array: &ArrayRef) -> Result<Box<dyn Iterator<Item = Option<&str>> + '_>> {
    Ok(match array.data_type() {
        DataType::Utf8 => Box::new(array.as_string::<i32>().iter()),
        DataType::LargeUtf8 => Box::new(array.as_string::<i64>().iter()),
        DataType::Utf8View => Box::new(array.as_string_view().iter()),
        // NULL of no type: `UNION` with nothing but NULLs.
        DataType::Null => Box::new(std::iter::repeat_n(None, array.len())),
        other => return Err(Error::internal(format!("a column of texts arrived as {other}"))),
    })
}

/// The array with dictionaries and runs laid out.
pub(super) fn laid_out(array: &ArrayRef) -> Result<ArrayRef> {
    let plain = match array.data_type() {
        DataType::Dictionary(_, values) => values.as_ref().clone(),
        DataType::RunEndEncoded(_, values) => values.data_type().clone(),
        _ => return Ok(Arc::clone(array)),
    };
    cast(array, &plain).map_err(|error| Error::internal(error.to_string()))
}

/// A column of texts as values of type `target`, each read as [`parse_scalar`] reads it.
///
/// # Errors
/// As [`parse_scalar`], for the first value that is none, unless `failure` makes it NULL.
pub fn parse_text(texts: &ArrayRef, target: &SqlType, form: &Form, failure: Failure) -> Result<ArrayRef> {
    let texts = &laid_out(texts)?;
    if *texts.data_type() == DataType::Null {
        return Ok(new_null_array(&target.arrow_type(), texts.len()));
    }
    let input = form.date_time_input();
    let column = Texts { texts, target, failure };
    match target {
        SqlType::Bool => {
            let mut builder = BooleanBuilder::with_capacity(texts.len());
            column.each(values::parse_bool, |value| builder.append_option(value))?;
            Ok(Arc::new(builder.finish()))
        }
        SqlType::Int2 => column.primitives::<Int16Type>(values::parse_int2),
        SqlType::Int4 => column.primitives::<Int32Type>(values::parse_int4),
        SqlType::Int8 => column.primitives::<Int64Type>(values::parse_int8),
        SqlType::Oid | SqlType::Xid => column.primitives::<UInt32Type>(values::parse_oid),
        SqlType::Reg(kind) => column.primitives::<UInt32Type>(|text| object_identifier(text, *kind, form)),
        SqlType::Float4 => column.primitives::<Float32Type>(values::parse_float4),
        SqlType::Float8 => column.primitives::<Float64Type>(values::parse_float8),
        SqlType::Numeric { precision, scale } => {
            let (precision, scale) = (*precision, *scale);
            match target.arrow_type() {
                DataType::Decimal128(..) => {
                    column.primitives::<Decimal128Type>(|text| fitted_narrow(&Numeric::parse(text)?, precision, scale))
                }
                _ => column.primitives::<Decimal256Type>(|text| fitted(&Numeric::parse(text)?, precision, scale)),
            }
        }
        SqlType::UnconstrainedNumeric => {
            let mut builder = NumericBuilder::with_capacity(texts.len());
            column.each(Numeric::parse, |value| builder.append(value.as_ref()))?;
            Ok(builder.finish())
        }
        SqlType::Date => column.primitives::<Date32Type>(|text| values::parse_date(text, &input)),
        SqlType::Time => column.primitives::<Time64MicrosecondType>(|text| values::parse_time(text, &input)),
        SqlType::Timestamp => column.primitives::<TimestampMicrosecondType>(|text| values::parse_timestamp(text, &input)),
        SqlType::Timestamptz => column.primitives::<TimestampMicrosecondType>(|text| values::parse_timestamptz(text, &input)),
        SqlType::Interval => column
            .primitives::<IntervalMonthDayNanoType>(|text| to_arrow_interval(values::parse_interval(text, form.interval_style)?)),
        SqlType::Bytea => {
            let mut builder = BinaryBuilder::new();
            column.each(values::parse_bytea, |value| builder.append_option(value))?;
            Ok(Arc::new(builder.finish()))
        }
        SqlType::Array(element) => column.lists(element, element_texts, form),
        SqlType::Int2Vector => column.lists(&SqlType::Int2, words, form),
        SqlType::OidVector => column.lists(&SqlType::Oid, words, form),
        SqlType::Record(_) => Err(Error::unsupported("input of anonymous composite types")),
        SqlType::Void => Ok(new_null_array(&DataType::Null, texts.len())),
        _ => {
            let mut builder = StringBuilder::new();
            let mut room = Room::new();
            let read = |text: &str| room.take(parse_string(text, target)?);
            column.each(read, |value| builder.append_option(value))?;
            Ok(Arc::new(builder.finish()))
        }
    }
}

/// Bytes that the texts of one batch may take: a `char(n)` is as long as its type says, whatever it was before.
pub(super) struct Room {
    left: usize,
}

impl Room {
    const MOST: usize = 512 << 20;

    pub(super) const fn new() -> Self {
        Room { left: Room::MOST }
    }

    /// The text, if there is room for it.
    ///
    /// # Errors
    /// 54000 when the batch has grown too large.
    pub(super) fn take(&mut self, text: String) -> Result<String> {
        let left = self.left.checked_sub(text.len());
        self.left = left.ok_or_else(|| Error::new(ErrorKind::ProgramLimit, "a value or batch of values is too large"))?;
        Ok(text)
    }
}

#[expect(clippy::unnecessary_wraps, reason = "stands beside element_texts")]
fn words(text: &str) -> Result<Vec<Option<String>>> {
    Ok(text.split_ascii_whitespace().map(|word| Some(word.to_string())).collect())
}

struct Texts<'a> {
    texts: &'a ArrayRef,
    target: &'a SqlType,
    failure: Failure,
}

impl Texts<'_> {
    fn each<T>(&self, mut read: impl FnMut(&str) -> Result<T>, mut append: impl FnMut(Option<T>)) -> Result<()> {
        for text in strings(self.texts)? {
            append(match text {
                None => None,
                Some(text) => self.failure.outcome(read(text))?,
            });
        }
        Ok(())
    }

    fn primitives<T: ArrowPrimitiveType>(&self, read: impl FnMut(&str) -> Result<T::Native>) -> Result<ArrayRef> {
        let mut builder = PrimitiveBuilder::<T>::with_capacity(self.texts.len()).with_data_type(self.target.arrow_type());
        self.each(read, |value| builder.append_option(value))?;
        Ok(Arc::new(builder.finish()))
    }

    /// The elements of all rows are read as one column. A list with an element that is none is none itself.
    fn lists(&self, element: &SqlType, split: impl Fn(&str) -> Result<Vec<Option<String>>>, form: &Form) -> Result<ArrayRef> {
        let DataType::List(field) = self.target.arrow_type() else { return Err(Error::internal("array type without elements")) };
        let mut elements = StringBuilder::new();
        let (mut lengths, mut valid) = (Vec::with_capacity(self.texts.len()), Vec::with_capacity(self.texts.len()));
        let readable = |items: Vec<Option<String>>| match self.failure {
            Failure::Error => Ok(items),
            Failure::Null => {
                items.iter().flatten().try_for_each(|item| parse_scalar(item, element, form).map(drop))?;
                Ok(items)
            }
        };
        self.each(
            |text| split(text).and_then(readable),
            |items| {
                valid.push(items.is_some());
                let items = items.unwrap_or_default();
                lengths.push(items.len());
                items.iter().for_each(|item| elements.append_option(item.as_deref()));
            },
        )?;
        let elements: ArrayRef = Arc::new(elements.finish());
        let elements = parse_text(&elements, element, form, self.failure)?;
        let list = ListArray::try_new(field, OffsetBuffer::from_lengths(lengths), elements, Some(NullBuffer::from(valid)));
        Ok(Arc::new(list.map_err(|error| Error::internal(error.to_string()))?))
    }
}
