//! One value between Arrow arrays and the functions that work row by row, and between catalog objects and the rows of system relations.
//!
//! A [`Datum`] is wide on purpose (every integer is an `i64`, every string a `String`): functions that are called a few times a row of
//! a catalog query need plain code, not speed. Functions over table data work on arrays instead.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Decimal256Builder, Float32Builder,
    Float64Builder, Int16Builder, Int32Builder, Int64Builder, IntervalMonthDayNanoBuilder, LargeListArray, LargeStringBuilder,
    ListArray, NullArray, StringBuilder, StringViewBuilder, StructArray, Time64MicrosecondBuilder, TimestampMicrosecondBuilder,
    UInt32Builder, UInt64Builder,
};
use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer};
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, Float16Type, Float32Type,
    Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit,
    Time64MicrosecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type, i256,
};

use super::numeric::{NumericBuilder, decode};
use super::values::numeric::Numeric;
use crate::error::{Error, Result};

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Datum {
    /// NULL of any type.
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer of any width, or an OID.
    Int(i64),
    /// A floating-point number of either width.
    Float(f64),
    /// A `numeric`, with modifiers or without.
    Numeric(Numeric),
    /// A string, also of the types that travel as strings.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Days since 1970-01-01.
    Date(i32),
    /// Microseconds since midnight.
    Time(i64),
    /// Microseconds since 1970-01-01, without a zone.
    Timestamp(i64),
    /// Microseconds since 1970-01-01 UTC.
    Timestamptz(i64),
    /// Months, days, nanoseconds.
    Interval(IntervalMonthDayNano),
    /// An array.
    List(Vec<Datum>),
    /// A row: field names and values.
    Row(Vec<(String, Datum)>),
}

impl Datum {
    /// A string, or NULL.
    pub fn text(value: Option<impl Into<String>>) -> Datum {
        value.map_or(Datum::Null, |text| Datum::Text(text.into()))
    }

    /// Whether it is NULL.
    pub const fn is_null(&self) -> bool {
        matches!(self, Datum::Null)
    }

    /// The string in it, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Datum::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The integer in it, if it is one.
    pub const fn as_int(&self) -> Option<i64> {
        match self {
            Datum::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// The boolean in it, if it is one.
    pub const fn as_bool(&self) -> Option<bool> {
        match self {
            Datum::Bool(value) => Some(*value),
            _ => None,
        }
    }
}

impl From<bool> for Datum {
    fn from(value: bool) -> Self {
        Datum::Bool(value)
    }
}
impl From<i16> for Datum {
    fn from(value: i16) -> Self {
        Datum::Int(value.into())
    }
}
impl From<i32> for Datum {
    fn from(value: i32) -> Self {
        Datum::Int(value.into())
    }
}
impl From<u32> for Datum {
    fn from(value: u32) -> Self {
        Datum::Int(value.into())
    }
}
impl From<i64> for Datum {
    fn from(value: i64) -> Self {
        Datum::Int(value)
    }
}
impl From<f64> for Datum {
    fn from(value: f64) -> Self {
        Datum::Float(value)
    }
}
impl From<&str> for Datum {
    fn from(value: &str) -> Self {
        Datum::Text(value.to_string())
    }
}
impl From<String> for Datum {
    fn from(value: String) -> Self {
        Datum::Text(value)
    }
}
impl From<&String> for Datum {
    fn from(value: &String) -> Self {
        Datum::Text(value.clone())
    }
}
impl<T: Into<Datum>> From<Option<T>> for Datum {
    fn from(value: Option<T>) -> Self {
        value.map_or(Datum::Null, Into::into)
    }
}
impl<T: Into<Datum>> From<Vec<T>> for Datum {
    fn from(values: Vec<T>) -> Self {
        Datum::List(values.into_iter().map(Into::into).collect())
    }
}

/// Reads the value at `row`.
///
/// # Errors
/// An internal error for Arrow types that no SQL value has.
pub fn read(array: &dyn Array, row: usize) -> Result<Datum> {
    if array.is_null(row) || matches!(array.data_type(), DataType::Null) {
        return Ok(Datum::Null);
    }
    Ok(match array.data_type() {
        DataType::Boolean => Datum::Bool(array.as_boolean().value(row)),
        DataType::Int8 => Datum::Int(array.as_primitive::<Int8Type>().value(row).into()),
        DataType::Int16 => Datum::Int(array.as_primitive::<Int16Type>().value(row).into()),
        DataType::Int32 => Datum::Int(array.as_primitive::<Int32Type>().value(row).into()),
        DataType::Int64 => Datum::Int(array.as_primitive::<Int64Type>().value(row)),
        DataType::UInt8 => Datum::Int(array.as_primitive::<UInt8Type>().value(row).into()),
        DataType::UInt16 => Datum::Int(array.as_primitive::<UInt16Type>().value(row).into()),
        DataType::UInt32 => Datum::Int(array.as_primitive::<UInt32Type>().value(row).into()),
        DataType::UInt64 => read_u64(array.as_primitive::<UInt64Type>().value(row)),
        DataType::Float16 => Datum::Float(array.as_primitive::<Float16Type>().value(row).into()),
        DataType::Float32 => Datum::Float(array.as_primitive::<Float32Type>().value(row).into()),
        DataType::Float64 => Datum::Float(array.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal32(_, scale) => {
            Datum::Numeric(Numeric::from_decimal(array.as_primitive::<Decimal32Type>().value(row).into(), i32::from(*scale)))
        }
        DataType::Decimal64(_, scale) => {
            Datum::Numeric(Numeric::from_decimal(array.as_primitive::<Decimal64Type>().value(row).into(), i32::from(*scale)))
        }
        DataType::Decimal128(_, scale) => {
            Datum::Numeric(Numeric::from_decimal(array.as_primitive::<Decimal128Type>().value(row), i32::from(*scale)))
        }
        DataType::Decimal256(_, scale) => {
            Datum::Numeric(Numeric::from_i256(array.as_primitive::<Decimal256Type>().value(row), i32::from(*scale)))
        }
        DataType::Utf8 => Datum::Text(array.as_string::<i32>().value(row).to_string()),
        DataType::LargeUtf8 => Datum::Text(array.as_string::<i64>().value(row).to_string()),
        DataType::Utf8View => Datum::Text(array.as_string_view().value(row).to_string()),
        DataType::Binary => Datum::Bytes(array.as_binary::<i32>().value(row).to_vec()),
        DataType::LargeBinary => Datum::Numeric(decode(array.as_binary::<i64>().value(row))?),
        DataType::BinaryView => Datum::Bytes(array.as_binary_view().value(row).to_vec()),
        DataType::FixedSizeBinary(_) => Datum::Bytes(array.as_fixed_size_binary().value(row).to_vec()),
        DataType::Date32 => Datum::Date(array.as_primitive::<Date32Type>().value(row)),
        DataType::Date64 => {
            Datum::Date(i32::try_from(array.as_primitive::<Date64Type>().value(row).div_euclid(86_400_000)).unwrap_or(i32::MAX))
        }
        DataType::Time64(TimeUnit::Microsecond) => Datum::Time(array.as_primitive::<Time64MicrosecondType>().value(row)),
        DataType::Timestamp(unit, zone) => {
            let micros = match unit {
                TimeUnit::Second => array.as_primitive::<TimestampSecondType>().value(row).saturating_mul(1_000_000),
                TimeUnit::Millisecond => array.as_primitive::<TimestampMillisecondType>().value(row).saturating_mul(1000),
                TimeUnit::Microsecond => array.as_primitive::<TimestampMicrosecondType>().value(row),
                TimeUnit::Nanosecond => array.as_primitive::<TimestampNanosecondType>().value(row).div_euclid(1000),
            };
            if zone.is_some() { Datum::Timestamptz(micros) } else { Datum::Timestamp(micros) }
        }
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            Datum::Interval(array.as_primitive::<IntervalMonthDayNanoType>().value(row))
        }
        DataType::List(_) => read_list(&array.as_list::<i32>().value(row))?,
        DataType::LargeList(_) => read_list(&array.as_list::<i64>().value(row))?,
        DataType::FixedSizeList(_, _) => read_list(&array.as_fixed_size_list().value(row))?,
        DataType::Struct(fields) => {
            let columns = array.as_struct();
            let read_field = |(index, name): (usize, &String)| Ok((name.clone(), read(columns.column(index), row)?));
            Datum::Row(fields.iter().map(|field| field.name()).enumerate().map(read_field).collect::<Result<_>>()?)
        }
        DataType::Map(_, _) => {
            let entries = array.as_map().value(row);
            let pair = |index| Ok((display_key(&read(entries.column(0), index)?), read(entries.column(1), index)?));
            Datum::Row((0..entries.len()).map(pair).collect::<Result<_>>()?)
        }
        DataType::Dictionary(_, _) => {
            let dictionary = array.as_any_dictionary();
            let key = dictionary.normalized_keys().get(row).copied().unwrap_or_default();
            read(dictionary.values(), key)?
        }
        other => return Err(Error::internal(format!("a function met a value of the Arrow type {other}"))),
    })
}

fn read_u64(value: u64) -> Datum {
    i64::try_from(value).map_or_else(|_| Datum::Numeric(Numeric::from_i128(value.into())), Datum::Int)
}

fn read_list(values: &ArrayRef) -> Result<Datum> {
    Ok(Datum::List((0..values.len()).map(|index| read(values, index)).collect::<Result<_>>()?))
}

fn display_key(key: &Datum) -> String {
    match key {
        Datum::Text(text) => text.clone(),
        Datum::Int(number) => number.to_string(),
        other => format!("{other:?}"),
    }
}

fn mismatch(data_type: &DataType, datum: &Datum) -> Error {
    Error::internal(format!("{datum:?} does not fit a column of the Arrow type {data_type}"))
}

/// Builds one primitive column: a builder, and which [`Datum`] variants it takes.
macro_rules! column {
    ($builder:expr, $values:expr, $data_type:expr, $($pattern:pat => $value:expr),+) => {{
        let mut builder = $builder;
        for datum in $values {
            match datum {
                Datum::Null => builder.append_null(),
                $($pattern => builder.append_value($value),)+
                other => return Err(mismatch($data_type, &other)),
            }
        }
        Arc::new(builder.finish()) as ArrayRef
    }};
}

fn narrow<T: TryFrom<i64>>(number: i64) -> Result<T> {
    T::try_from(number).map_err(|_| Error::internal(format!("{number} is outside the range of its column")))
}

/// Writes values into an array of `data_type`.
///
/// # Errors
/// An internal error if a value does not fit the type.
pub fn write(data_type: &DataType, values: Vec<Datum>) -> Result<ArrayRef> {
    let count = values.len();
    Ok(match data_type {
        DataType::Null => Arc::new(NullArray::new(count)),
        DataType::Boolean => column!(BooleanBuilder::with_capacity(count), values, data_type, Datum::Bool(value) => value),
        DataType::Int16 => column!(Int16Builder::with_capacity(count), values, data_type, Datum::Int(value) => narrow(value)?),
        DataType::Int32 => column!(Int32Builder::with_capacity(count), values, data_type, Datum::Int(value) => narrow(value)?),
        DataType::Int64 => column!(Int64Builder::with_capacity(count), values, data_type, Datum::Int(value) => value),
        DataType::UInt32 => column!(UInt32Builder::with_capacity(count), values, data_type, Datum::Int(value) => narrow(value)?),
        DataType::UInt64 => column!(UInt64Builder::with_capacity(count), values, data_type, Datum::Int(value) => narrow(value)?),
        #[expect(clippy::cast_possible_truncation, reason = "real has the precision that it has")]
        DataType::Float32 => {
            column!(Float32Builder::with_capacity(count), values, data_type, Datum::Float(value) => value as f32, Datum::Int(value) => value as f32)
        }
        DataType::Float64 => {
            column!(Float64Builder::with_capacity(count), values, data_type, Datum::Float(value) => value, Datum::Int(value) => value as f64)
        }
        DataType::Utf8 => column!(StringBuilder::new(), values, data_type, Datum::Text(value) => value),
        DataType::LargeUtf8 => column!(LargeStringBuilder::new(), values, data_type, Datum::Text(value) => value),
        DataType::Utf8View => column!(StringViewBuilder::new(), values, data_type, Datum::Text(value) => value),
        DataType::Binary => column!(BinaryBuilder::new(), values, data_type, Datum::Bytes(value) => value),
        DataType::Date32 => column!(Date32Builder::with_capacity(count), values, data_type, Datum::Date(value) => value),
        DataType::Time64(TimeUnit::Microsecond) => {
            column!(Time64MicrosecondBuilder::with_capacity(count), values, data_type, Datum::Time(value) => value)
        }
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            let builder = TimestampMicrosecondBuilder::with_capacity(count).with_timezone_opt(zone.clone());
            column!(builder, values, data_type, Datum::Timestamp(value) | Datum::Timestamptz(value) => value)
        }
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            column!(IntervalMonthDayNanoBuilder::with_capacity(count), values, data_type, Datum::Interval(value) => value)
        }
        DataType::Decimal128(precision, scale) => {
            let builder = Decimal128Builder::with_capacity(count).with_data_type(DataType::Decimal128(*precision, *scale));
            let scale = i32::from(*scale);
            column!(builder, values, data_type, Datum::Numeric(value) => value.to_i128(scale).ok_or_else(numeric_overflow)?,
                Datum::Int(value) => Numeric::from_i64(value).to_i128(scale).ok_or_else(numeric_overflow)?)
        }
        DataType::Decimal256(precision, scale) => {
            let builder = Decimal256Builder::with_capacity(count).with_data_type(DataType::Decimal256(*precision, *scale));
            let scale = i32::from(*scale);
            column!(builder, values, data_type, Datum::Numeric(value) => value.to_i256(scale).ok_or_else(numeric_overflow)?,
                Datum::Int(value) => Numeric::from_i64(value).to_i256(scale).ok_or_else(numeric_overflow)?)
        }
        DataType::LargeBinary => {
            let mut builder = NumericBuilder::with_capacity(count);
            for datum in values {
                match datum {
                    Datum::Null => builder.append(None),
                    Datum::Numeric(value) => builder.append(Some(&value)),
                    Datum::Int(value) => builder.append(Some(&Numeric::from_i64(value))),
                    other => return Err(mismatch(data_type, &other)),
                }
            }
            builder.finish()
        }
        DataType::List(element) => {
            let (offsets, nulls, items) = flatten(data_type, values)?;
            let offsets = offsets.into_iter().map(i32::try_from).collect::<Result<Vec<_>, _>>().map_err(|_| too_long())?;
            let items = write(element.data_type(), items)?;
            Arc::new(
                ListArray::try_new(Arc::clone(element), OffsetBuffer::new(offsets.into()), items, Some(nulls))
                    .map_err(from_arrow)?,
            )
        }
        DataType::LargeList(element) => {
            let (offsets, nulls, items) = flatten(data_type, values)?;
            let offsets = offsets.into_iter().map(i64::try_from).collect::<Result<Vec<_>, _>>().map_err(|_| too_long())?;
            let items = write(element.data_type(), items)?;
            Arc::new(
                LargeListArray::try_new(Arc::clone(element), OffsetBuffer::new(offsets.into()), items, Some(nulls))
                    .map_err(from_arrow)?,
            )
        }
        DataType::Struct(fields) => write_rows(data_type, fields, values)?,
        other => return Err(Error::internal(format!("no column of the Arrow type {other} can be written"))),
    })
}

type Flat = (Vec<usize>, NullBuffer, Vec<Datum>);

fn flatten(data_type: &DataType, values: Vec<Datum>) -> Result<Flat> {
    let mut offsets = Vec::with_capacity(values.len() + 1);
    let mut valid = Vec::with_capacity(values.len());
    let mut items = Vec::new();
    offsets.push(0);
    for datum in values {
        match datum {
            Datum::Null => valid.push(false),
            Datum::List(list) => {
                valid.push(true);
                items.extend(list);
            }
            other => return Err(mismatch(data_type, &other)),
        }
        offsets.push(items.len());
    }
    Ok((offsets, NullBuffer::from(valid), items))
}

fn write_rows(data_type: &DataType, fields: &datafusion::arrow::datatypes::Fields, values: Vec<Datum>) -> Result<ArrayRef> {
    let mut columns: Vec<Vec<Datum>> = fields.iter().map(|_| Vec::with_capacity(values.len())).collect();
    let mut valid = Vec::with_capacity(values.len());
    for datum in values {
        match datum {
            Datum::Null => {
                valid.push(false);
                columns.iter_mut().for_each(|column| column.push(Datum::Null));
            }
            Datum::Row(row) if row.len() == columns.len() => {
                valid.push(true);
                columns.iter_mut().zip(row).for_each(|(column, (_, value))| column.push(value));
            }
            other => return Err(mismatch(data_type, &other)),
        }
    }
    let arrays = fields.iter().zip(columns).map(|(field, column)| write(field.data_type(), column)).collect::<Result<Vec<_>>>()?;
    Ok(Arc::new(StructArray::try_new(fields.clone(), arrays, Some(NullBuffer::from(valid))).map_err(from_arrow)?))
}

/// Moves a decimal to another scale; digits that fall away are rounded half away from zero.
///
/// # Errors
/// [`crate::error::ErrorKind::NumericOutOfRange`] if the result has more than 76 digits.
pub fn rescale(value: i256, from: i8, to: i8) -> Result<i256> {
    let ten = i256::from_i128(10);
    if to >= from {
        let factor = ten.checked_pow(u32::from((to - from).unsigned_abs())).ok_or_else(numeric_overflow)?;
        return value.checked_mul(factor).ok_or_else(numeric_overflow);
    }
    let divisor = ten.checked_pow(u32::from((from - to).unsigned_abs())).ok_or_else(numeric_overflow)?;
    let (quotient, remainder) = (value / divisor, value % divisor);
    let twice = remainder.wrapping_abs().checked_mul(i256::from_i128(2)).ok_or_else(numeric_overflow)?;
    let round_away = twice >= divisor;
    Ok(match (round_away, value.is_negative()) {
        (false, _) => quotient,
        (true, false) => quotient + i256::ONE,
        (true, true) => quotient - i256::ONE,
    })
}

/// A decimal as PostgreSQL prints it.
pub fn numeric_text(value: i256, scale: i8) -> String {
    let digits = value.to_string();
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits.as_str()), |rest| ("-", rest));
    let Ok(scale) = usize::try_from(scale) else {
        return format!("{sign}{digits}{}", "0".repeat(usize::from(scale.unsigned_abs())));
    };
    if scale == 0 {
        return format!("{sign}{digits}");
    }
    let padded = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = padded.split_at(padded.len() - scale);
    format!("{sign}{whole}.{fraction}")
}

fn numeric_overflow() -> Error {
    Error::new(crate::error::ErrorKind::NumericOutOfRange, "numeric field overflow")
}

fn too_long() -> Error {
    Error::new(crate::error::ErrorKind::ProgramLimit, "array size exceeds the maximum allowed")
}

pub(crate) fn from_arrow(error: datafusion::arrow::error::ArrowError) -> Error {
    Error::internal("an array could not be built").with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::SqlType;

    #[test]
    fn values_of_every_type_come_back_as_they_went_in() {
        let samples = [
            (SqlType::Bool, Datum::Bool(true)),
            (SqlType::Int2, Datum::Int(-7)),
            (SqlType::Int8, Datum::Int(i64::MAX)),
            (SqlType::Oid, Datum::Int(4_000_000_000)),
            (SqlType::Float8, Datum::Float(1.5)),
            (SqlType::Numeric { precision: 12, scale: 2 }, Datum::Numeric(Numeric::from_decimal(12345, 2))),
            (SqlType::UnconstrainedNumeric, Datum::Numeric(Numeric::from_decimal(10, 1))),
            (SqlType::Text, Datum::from("x")),
            (SqlType::Bytea, Datum::Bytes(vec![0, 255])),
            (SqlType::Date, Datum::Date(-1)),
            (SqlType::Timestamptz, Datum::Timestamptz(5)),
            (SqlType::Array(Box::new(SqlType::Oid)), Datum::List(vec![Datum::Int(1), Datum::Null])),
            (SqlType::Int2Vector, Datum::List(vec![Datum::Int(3)])),
        ];
        for (sql_type, datum) in samples {
            let array = write(&sql_type.arrow_type(), vec![Datum::Null, datum.clone()]).unwrap();
            assert_eq!(read(&array, 0).unwrap(), Datum::Null);
            assert_eq!(read(&array, 1).unwrap(), datum, "{sql_type}");
        }
    }

    #[test]
    fn decimals_round_half_away_from_zero_and_print_their_scale() {
        let rescaled = |value: i128, from, to| rescale(i256::from_i128(value), from, to).unwrap();
        assert_eq!(rescaled(125, 2, 1), i256::from_i128(13));
        assert_eq!(rescaled(-125, 2, 1), i256::from_i128(-13));
        assert_eq!(numeric_text(i256::from_i128(-5), 2), "-0.05");
        assert_eq!(numeric_text(i256::from_i128(120), 0), "120");
    }
}
