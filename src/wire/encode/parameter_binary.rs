//! The binary forms of parameters.

use std::borrow::Cow;

use datafusion::common::ScalarValue;

use super::parameter::{interval, string, text};
use crate::error::{Error, ErrorKind, Result};
use crate::types::SqlType;
use crate::types::values::calendar::{DAY_MICROS, POSTGRES_EPOCH_DAYS, POSTGRES_EPOCH_MICROS};
use crate::types::values::input::infinite;
use crate::types::values::{IntervalValue, format_char, format_uuid};

/// PostgreSQL's largest number of dimensions.
const MAX_DIMENSIONS: usize = 6;

/// Bytes that are read from the front.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let short = || Error::new(ErrorKind::ProtocolViolation, "insufficient data left in message");
        let (taken, rest) = self.rest.split_at_checked(length).ok_or_else(short)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N)?);
        Ok(bytes)
    }

    fn i16(&mut self) -> Result<i16> {
        self.array().map(i16::from_be_bytes)
    }

    fn i32(&mut self) -> Result<i32> {
        self.array().map(i32::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn i64(&mut self) -> Result<i64> {
        self.array().map(i64::from_be_bytes)
    }

    fn finish(&self) -> Result<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(incorrect()) }
    }
}

fn incorrect() -> Error {
    Error::new(ErrorKind::InvalidBinary, "incorrect binary data format in bind parameter")
}

fn out_of_range(what: &str) -> Error {
    Error::new(ErrorKind::DatetimeOutOfRange, format!("{what} out of range"))
}

/// A value of any type but arrays and numerics.
pub(in crate::wire) fn scalar(bytes: &[u8], sql_type: &SqlType) -> Result<ScalarValue> {
    let mut reader = Reader { rest: bytes };
    let value = match sql_type {
        SqlType::Bool => ScalarValue::Boolean(Some(reader.array::<1>()? != [0])),
        SqlType::Int2 => ScalarValue::Int16(Some(reader.i16()?)),
        SqlType::Int4 => ScalarValue::Int32(Some(reader.i32()?)),
        SqlType::Int8 => ScalarValue::Int64(Some(reader.i64()?)),
        SqlType::Float4 => ScalarValue::Float32(Some(f32::from_be_bytes(reader.array()?))),
        SqlType::Float8 => ScalarValue::Float64(Some(f64::from_be_bytes(reader.array()?))),
        SqlType::Oid | SqlType::Xid | SqlType::Reg(_) => ScalarValue::UInt32(Some(reader.u32()?)),
        SqlType::Date => ScalarValue::Date32(Some(date(reader.i32()?)?)),
        SqlType::Time => {
            let micros = reader.i64()?;
            if !(0..=DAY_MICROS).contains(&micros) {
                return Err(out_of_range("time"));
            }
            ScalarValue::Time64Microsecond(Some(micros))
        }
        SqlType::Timestamp => ScalarValue::TimestampMicrosecond(Some(timestamp(reader.i64()?, sql_type)?), None),
        SqlType::Timestamptz => ScalarValue::TimestampMicrosecond(Some(timestamp(reader.i64()?, sql_type)?), Some("UTC".into())),
        SqlType::Interval => {
            let (micros, days, months) = (reader.i64()?, reader.i32()?, reader.i32()?);
            interval(IntervalValue { months, days, micros })?
        }
        SqlType::Uuid => ScalarValue::Utf8(Some(format_uuid(&reader.array()?).to_string())),
        SqlType::Bytea => ScalarValue::Binary(Some(reader.take(bytes.len())?.to_vec())),
        SqlType::Jsonb => {
            let [version] = reader.array()?;
            if version != 1 {
                return Err(Error::new(ErrorKind::InvalidBinary, format!("unsupported jsonb version number {version}")));
            }
            string(text(reader.take(bytes.len() - 1)?)?, sql_type)?
        }
        SqlType::Char => {
            let [byte] = reader.array()?;
            ScalarValue::Utf8(Some(format_char(byte)))
        }
        SqlType::Void => ScalarValue::Null,
        SqlType::AclItem => {
            let message = "no binary input function available for type aclitem";
            return Err(Error::new(ErrorKind::UndefinedFunction, message));
        }
        other => string(text(reader.take(bytes.len())?)?, other)?,
    };
    reader.finish()?;
    Ok(value)
}

fn date(days: i32) -> Result<i32> {
    if days == i32::MAX || days == i32::MIN {
        return Err(infinite("date"));
    }
    days.checked_add(POSTGRES_EPOCH_DAYS).ok_or_else(|| out_of_range("date"))
}

fn timestamp(micros: i64, sql_type: &SqlType) -> Result<i64> {
    if micros == i64::MAX || micros == i64::MIN {
        return Err(infinite(&sql_type.display_name()));
    }
    micros.checked_add(POSTGRES_EPOCH_MICROS).ok_or_else(|| out_of_range("timestamp"))
}

/// The elements of a binary array, and its number of dimensions.
pub(super) fn array<'a>(bytes: &'a [u8], element: &SqlType) -> Result<(usize, Vec<Option<Cow<'a, [u8]>>>)> {
    let mut reader = Reader { rest: bytes };
    let dimensions =
        usize::try_from(reader.i32()?).ok().filter(|dimensions| *dimensions <= MAX_DIMENSIONS).ok_or_else(incorrect)?;
    let flags = reader.i32()?;
    if flags != 0 && flags != 1 {
        return Err(Error::new(ErrorKind::InvalidBinary, "invalid array flags"));
    }
    let element_oid = reader.u32()?;
    if element_oid != element.oid() && !(is_text(element_oid) && is_text(element.oid())) {
        let found = SqlType::from_oid(element_oid).map_or_else(|| "unknown".to_string(), |found| found.display_name());
        let message = format!(
            "binary data has array element type {element_oid} ({found}) instead of expected {} ({})",
            element.oid(),
            element.display_name()
        );
        return Err(Error::new(ErrorKind::DatatypeMismatch, message));
    }
    let mut count = usize::from(dimensions > 0);
    for _ in 0..dimensions {
        let length = usize::try_from(reader.i32()?).map_err(|_| incorrect())?;
        reader.i32()?;
        count = count.checked_mul(length).ok_or_else(incorrect)?;
    }
    // Each element has a length at least, so a count beyond the bytes is a lie.
    if count > reader.rest.len() / 4 {
        return Err(Error::new(ErrorKind::ProtocolViolation, "insufficient data left in message"));
    }
    let mut elements = Vec::with_capacity(count);
    for _ in 0..count {
        elements.push(match reader.i32()? {
            -1 => None,
            length => Some(Cow::Borrowed(reader.take(usize::try_from(length).map_err(|_| incorrect())?)?)),
        });
    }
    reader.finish()?;
    Ok((dimensions, elements))
}

/// Types whose binary form is the text: clients send one for the other.
fn is_text(oid: u32) -> bool {
    [SqlType::Text, SqlType::Varchar(None), SqlType::Bpchar(None), SqlType::Name, SqlType::Unknown]
        .iter()
        .any(|text| text.oid() == oid)
}
