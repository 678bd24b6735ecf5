//! Values to columns: one reader a column, chosen once from its type.
//!
//! Numbers and texts, which most data is made of, go straight into an Arrow builder; plain digits do not even pass PostgreSQL's full
//! grammar. Rare types (intervals, arrays, json, ..) go through the scalar values of Bind's parameters.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, ArrowPrimitiveType, BinaryBuilder, BooleanBuilder, PrimitiveBuilder, StringBuilder, new_empty_array,
};
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
    Time64MicrosecondType, TimestampMicrosecondType, UInt32Type, i256,
};
use datafusion::common::ScalarValue;

use crate::error::{Error, ErrorKind, Result};
use crate::types::SqlType;
use crate::types::input::{fitted, fitted_narrow};
use crate::types::numeric::NumericBuilder;
use crate::types::values::numeric::Numeric;
use crate::types::values::{
    self, parse_bool, parse_bytea, parse_date, parse_float4, parse_float8, parse_int2, parse_int4, parse_int8, parse_oid,
    parse_time, parse_timestamp, parse_timestamptz, parse_uuid,
};
use crate::wire::encode::parameter_binary as binary;
use crate::wire::encode::{Form, Format, decode_parameter, text};

/// Gathers the values of one column.
pub(super) trait ColumnReader: Send {
    /// Appends a value in text format. After an error nothing is appended.
    fn text(&mut self, text: &str) -> Result<()>;

    /// Appends a value in binary format. After an error nothing is appended.
    fn binary(&mut self, bytes: &[u8]) -> Result<()>;

    /// Appends NULL.
    fn null(&mut self);

    /// What has been gathered.
    fn finish(&mut self) -> Result<ArrayRef>;
}

/// The reader for a column's type; its arrays have the type's Arrow type.
pub(super) fn column_reader(sql_type: &SqlType, settings: &Form) -> Box<dyn ColumnReader> {
    let data_type = sql_type.arrow_type();
    match (sql_type, &data_type) {
        (SqlType::Bool, _) => Box::new(Booleans(BooleanBuilder::new())),
        (SqlType::Int2, _) => primitive::<Int16Type>(&data_type, settings, integer(parse_int2), fixed(i16::from_be_bytes)),
        (SqlType::Int4, _) => primitive::<Int32Type>(&data_type, settings, integer(parse_int4), fixed(i32::from_be_bytes)),
        (SqlType::Int8, _) => primitive::<Int64Type>(&data_type, settings, integer(parse_int8), fixed(i64::from_be_bytes)),
        (SqlType::Float4, _) => {
            primitive::<Float32Type>(&data_type, settings, |text, _| parse_float4(text), fixed(f32::from_be_bytes))
        }
        (SqlType::Float8, _) => {
            primitive::<Float64Type>(&data_type, settings, |text, _| parse_float8(text), fixed(f64::from_be_bytes))
        }
        (SqlType::Oid | SqlType::Xid, _) => {
            primitive::<UInt32Type>(&data_type, settings, |text, _| parse_oid(text), fixed(u32::from_be_bytes))
        }
        (SqlType::Date, _) => {
            let read = |text: &str, settings: &Form| parse_date(text, &settings.date_time_input());
            let scalar = |bytes: &[u8]| match binary::scalar(bytes, &SqlType::Date)? {
                ScalarValue::Date32(Some(days)) => Ok(days),
                other => Err(unexpected(&other)),
            };
            primitive::<Date32Type>(&data_type, settings, read, scalar)
        }
        (SqlType::Time, _) => {
            let read = |text: &str, settings: &Form| parse_time(text, &settings.date_time_input());
            let scalar = |bytes: &[u8]| match binary::scalar(bytes, &SqlType::Time)? {
                ScalarValue::Time64Microsecond(Some(micros)) => Ok(micros),
                other => Err(unexpected(&other)),
            };
            primitive::<Time64MicrosecondType>(&data_type, settings, read, scalar)
        }
        (SqlType::Timestamp, _) => {
            let read = |text: &str, settings: &Form| parse_timestamp(text, &settings.date_time_input());
            primitive::<TimestampMicrosecondType>(&data_type, settings, read, timestamp)
        }
        (SqlType::Timestamptz, _) => {
            let read = |text: &str, settings: &Form| parse_timestamptz(text, &settings.date_time_input());
            primitive::<TimestampMicrosecondType>(&data_type, settings, read, timestamp)
        }
        (SqlType::Numeric { precision, scale }, DataType::Decimal128(..)) => {
            let size = Size { precision: *precision, scale: *scale };
            let (short, long) = (move |number: Plain| size.plain(number), move |value: &Numeric| size.narrow(value));
            numeric::<Decimal128Type>(&data_type, settings, short, long)
        }
        (SqlType::Numeric { precision, scale }, DataType::Decimal256(..)) => {
            let size = Size { precision: *precision, scale: *scale };
            let short = move |number: Plain| size.plain(number).map(i256::from_i128);
            numeric::<Decimal256Type>(&data_type, settings, short, move |value: &Numeric| size.fit(value))
        }
        (SqlType::UnconstrainedNumeric, _) => Box::new(Numerics(NumericBuilder::with_capacity(0))),
        (SqlType::Text | SqlType::Varchar(_) | SqlType::Bpchar(_), _) => Box::new(Texts::new(sql_type)),
        (SqlType::Uuid, _) => Box::new(Uuids(StringBuilder::new())),
        (SqlType::Bytea, _) => Box::new(Bytes(BinaryBuilder::new())),
        _ => Box::new(Scalars { sql_type: sql_type.clone(), data_type, settings: settings.clone(), values: vec![] }),
    }
}

fn unexpected(value: &ScalarValue) -> Error {
    Error::internal(format!("a {} where another type was read", value.data_type()))
}

/// Values of fixed size.
struct Primitives<T: ArrowPrimitiveType, R, B> {
    builder: PrimitiveBuilder<T>,
    data_type: DataType,
    settings: Form,
    read: R,
    read_binary: B,
}

fn primitive<T: ArrowPrimitiveType>(
    data_type: &DataType,
    settings: &Form,
    read: impl Fn(&str, &Form) -> Result<T::Native> + Send + 'static,
    read_binary: impl Fn(&[u8]) -> Result<T::Native> + Send + 'static,
) -> Box<dyn ColumnReader> {
    let builder = PrimitiveBuilder::<T>::new().with_data_type(data_type.clone());
    Box::new(Primitives { builder, data_type: data_type.clone(), settings: settings.clone(), read, read_binary })
}

impl<T, R, B> ColumnReader for Primitives<T, R, B>
where
    T: ArrowPrimitiveType,
    R: Fn(&str, &Form) -> Result<T::Native> + Send,
    B: Fn(&[u8]) -> Result<T::Native> + Send,
{
    fn text(&mut self, text: &str) -> Result<()> {
        self.builder.append_value((self.read)(text, &self.settings)?);
        Ok(())
    }

    fn binary(&mut self, bytes: &[u8]) -> Result<()> {
        self.builder.append_value((self.read_binary)(bytes)?);
        Ok(())
    }

    fn null(&mut self) {
        self.builder.append_null();
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let builder = PrimitiveBuilder::<T>::new().with_data_type(self.data_type.clone());
        Ok(Arc::new(std::mem::replace(&mut self.builder, builder).finish()))
    }
}

/// Digits with at most a sign in front, so few that they fit; anything else takes the long way.
fn integer<N: TryFrom<i64> + 'static>(long: fn(&str) -> Result<N>) -> impl Fn(&str, &Form) -> Result<N> + Send + 'static {
    move |text, _| match Plain::read(text).filter(|plain| plain.scale == 0 && !plain.has_point) {
        Some(plain) => N::try_from(plain.unscaled).or_else(|_| long(text)),
        None => long(text),
    }
}

/// A binary value of exactly `N` bytes.
fn fixed<const N: usize, V: 'static>(read: fn([u8; N]) -> V) -> impl Fn(&[u8]) -> Result<V> + Send + 'static {
    move |bytes| match bytes.try_into() {
        Ok(bytes) => Ok(read(bytes)),
        Err(_) if bytes.len() < N => Err(Error::new(ErrorKind::ProtocolViolation, "insufficient data left in message")),
        Err(_) => Err(Error::new(ErrorKind::InvalidBinary, "incorrect binary data format")),
    }
}

fn timestamp(bytes: &[u8]) -> Result<i64> {
    match binary::scalar(bytes, &SqlType::Timestamp)? {
        ScalarValue::TimestampMicrosecond(Some(micros), _) => Ok(micros),
        other => Err(unexpected(&other)),
    }
}

/// A decimal number of at most 18 digits, without an exponent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Plain {
    unscaled: i64,
    scale: u8,
    has_point: bool,
}

impl Plain {
    fn read(text: &str) -> Option<Plain> {
        let bytes = text.as_bytes();
        let (negative, digits) = match bytes {
            [b'-', digits @ ..] => (true, digits),
            digits => (false, digits),
        };
        if digits.len() > 18 {
            return None;
        }
        let (mut unscaled, mut scale, mut has_point, mut count) = (0_i64, 0, false, 0);
        for byte in digits {
            match byte {
                b'0'..=b'9' => {
                    unscaled = unscaled * 10 + i64::from(byte - b'0');
                    count += 1;
                    scale += u8::from(has_point);
                }
                b'.' if !has_point => has_point = true,
                _ => return None,
            }
        }
        (count > 0).then_some(Plain { unscaled: if negative { -unscaled } else { unscaled }, scale, has_point })
    }
}

/// Precision and scale of a column.
#[derive(Debug, Clone, Copy)]
struct Size {
    precision: u8,
    scale: i8,
}

impl Size {
    /// The number at the column's scale, if it fits without rounding.
    fn plain(self, number: Plain) -> Option<i128> {
        let shift = u32::try_from(i32::from(self.scale) - i32::from(number.scale)).ok()?;
        let scaled = i128::from(number.unscaled).checked_mul(10_i128.checked_pow(shift)?)?;
        let limit = 10_i128.checked_pow(u32::from(self.precision)).unwrap_or(i128::MAX);
        (scaled.abs() < limit).then_some(scaled)
    }

    /// The number rounded to the column's scale.
    fn fit(self, value: &Numeric) -> Result<i256> {
        fitted(value, self.precision, self.scale)
    }

    fn narrow(self, value: &Numeric) -> Result<i128> {
        fitted_narrow(value, self.precision, self.scale)
    }
}

fn numeric<T: ArrowPrimitiveType>(
    data_type: &DataType,
    settings: &Form,
    short: impl Fn(Plain) -> Option<T::Native> + Send + 'static,
    long: impl Fn(&Numeric) -> Result<T::Native> + Clone + Send + 'static,
) -> Box<dyn ColumnReader> {
    let fit = long.clone();
    let read = move |text: &str, _: &Form| match Plain::read(text).and_then(&short) {
        Some(value) => Ok(value),
        None => long(&Numeric::parse(text)?),
    };
    primitive::<T>(data_type, settings, read, move |bytes| fit(&Numeric::from_binary(bytes)?))
}

/// `numeric` without modifiers.
struct Numerics(NumericBuilder);

impl ColumnReader for Numerics {
    fn text(&mut self, text: &str) -> Result<()> {
        self.0.append(Some(&Numeric::parse(text)?));
        Ok(())
    }

    fn binary(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.append(Some(&Numeric::from_binary(bytes)?));
        Ok(())
    }

    fn null(&mut self) {
        self.0.append(None);
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        Ok(self.0.finish())
    }
}

struct Booleans(BooleanBuilder);

impl ColumnReader for Booleans {
    fn text(&mut self, text: &str) -> Result<()> {
        let value = match text {
            "t" => true,
            "f" => false,
            other => parse_bool(other)?,
        };
        self.0.append_value(value);
        Ok(())
    }

    fn binary(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.append_value(fixed(|[byte]: [u8; 1]| byte != 0)(bytes)?);
        Ok(())
    }

    fn null(&mut self) {
        self.0.append_null();
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        Ok(Arc::new(self.0.finish()))
    }
}

/// `text`, `varchar(n)`, `char(n)`.
struct Texts {
    builder: StringBuilder,
    type_name: &'static str,
    length: Option<usize>,
}

impl Texts {
    fn new(sql_type: &SqlType) -> Self {
        let (type_name, length) = match sql_type {
            SqlType::Varchar(length) => ("character varying", *length),
            SqlType::Bpchar(length) => ("character", *length),
            _ => ("text", None),
        };
        Texts { builder: StringBuilder::new(), type_name, length: length.and_then(|length| usize::try_from(length).ok()) }
    }

    /// Spaces beyond the length are cut, as the SQL standard wants it; anything else beyond it is an error.
    fn fit<'a>(&self, text: &'a str) -> Result<&'a str> {
        let Some(length) = self.length.filter(|length| text.len() > *length) else { return Ok(text) };
        let end = text.char_indices().nth(length).map_or(text.len(), |(index, _)| index);
        let (kept, rest) = text.split_at(end);
        if rest.bytes().any(|byte| byte != b' ') {
            let message = format!("value too long for type {}({length})", self.type_name);
            return Err(Error::new(ErrorKind::StringTooLong, message));
        }
        Ok(kept)
    }
}

impl ColumnReader for Texts {
    fn text(&mut self, text: &str) -> Result<()> {
        let fitting = self.fit(text)?;
        self.builder.append_value(fitting);
        Ok(())
    }

    fn binary(&mut self, bytes: &[u8]) -> Result<()> {
        self.text(text(bytes)?)
    }

    fn null(&mut self) {
        self.builder.append_null();
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        Ok(Arc::new(self.builder.finish()))
    }
}

/// `uuid`, which travels as text.
struct Uuids(StringBuilder);

impl ColumnReader for Uuids {
    fn text(&mut self, text: &str) -> Result<()> {
        self.0.append_value(values::format_uuid(&parse_uuid(text)?).as_str());
        Ok(())
    }

    fn binary(&mut self, bytes: &[u8]) -> Result<()> {
        let uuid = fixed(|bytes: [u8; 16]| bytes)(bytes)?;
        self.0.append_value(values::format_uuid(&uuid).as_str());
        Ok(())
    }

    fn null(&mut self) {
        self.0.append_null();
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        Ok(Arc::new(self.0.finish()))
    }
}

struct Bytes(BinaryBuilder);

impl ColumnReader for Bytes {
    fn text(&mut self, text: &str) -> Result<()> {
        self.0.append_value(parse_bytea(text)?);
        Ok(())
    }

    fn binary(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.append_value(bytes);
        Ok(())
    }

    fn null(&mut self) {
        self.0.append_null();
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        Ok(Arc::new(self.0.finish()))
    }
}

/// Everything else.
struct Scalars {
    sql_type: SqlType,
    data_type: DataType,
    settings: Form,
    values: Vec<ScalarValue>,
}

impl Scalars {
    fn append(&mut self, bytes: Option<&[u8]>, format: Format) -> Result<()> {
        let value = decode_parameter(bytes, format, &self.sql_type, &self.settings)?;
        // An array of numerics comes with the digits of its own elements.
        let value = if value.data_type() == self.data_type {
            value
        } else {
            value.cast_to(&self.data_type).map_err(|error| {
                Error::new(ErrorKind::NumericOutOfRange, "numeric field overflow").with_source(error.to_string())
            })?
        };
        self.values.push(value);
        Ok(())
    }
}

impl ColumnReader for Scalars {
    fn text(&mut self, text: &str) -> Result<()> {
        self.append(Some(text.as_bytes()), Format::Text)
    }

    fn binary(&mut self, bytes: &[u8]) -> Result<()> {
        self.append(Some(bytes), Format::Binary)
    }

    fn null(&mut self) {
        self.values.push(ScalarValue::try_new_null(&self.data_type).unwrap_or(ScalarValue::Null));
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        if self.values.is_empty() {
            return Ok(new_empty_array(&self.data_type));
        }
        ScalarValue::iter_to_array(std::mem::take(&mut self.values))
            .map_err(|error| Error::internal(format!("values of a COPY: {error}")))
    }
}
