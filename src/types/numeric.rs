//! `numeric` values in Arrow arrays.
//!
//! ```text
//!  numeric(p,s), and results whose values all have one scale ── Decimal128 / Decimal256    arithmetic of the engine's own
//!  numeric without modifiers: a scale for each value ────────── LargeBinary, encoded       [`Numeric::encode`]
//! ```
//! Nothing else is a `LargeBinary` in a plan (`bytea` is a `Binary`), so that the Arrow type alone tells it. The encoding orders as the
//! numbers do; two numbers are equal if their encodings are without the scale that stands at the end ([`keys`]).
//!
//! Absent: arithmetic on decimals of one scale, which is Arrow's.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BinaryBuilder, Decimal128Array, Decimal256Array, Float32Array, Float64Array, Int8Array, Int16Array,
    Int32Array, Int64Array, LargeBinaryArray, LargeBinaryBuilder, LargeStringArray, ListArray, StringArray, StringViewArray,
    UInt8Array, UInt16Array, UInt32Array, UInt64Array,
};
use datafusion::arrow::datatypes::{DataType, Decimal128Type, Decimal256Type, Field, i256};
use datafusion::common::ScalarValue;

use super::datum::from_arrow;
use super::values::numeric::Numeric;
use crate::error::{Error, Result};

/// An array of numbers of any type, or of texts that are numbers, to be read as numerics.
#[derive(Debug)]
pub enum Numbers<'a> {
    /// No value at all.
    Null,
    /// Integers.
    Int8(&'a Int8Array),
    /// Integers.
    Int16(&'a Int16Array),
    /// Integers.
    Int32(&'a Int32Array),
    /// Integers.
    Int64(&'a Int64Array),
    /// Integers.
    UInt8(&'a UInt8Array),
    /// Integers.
    UInt16(&'a UInt16Array),
    /// Integers.
    UInt32(&'a UInt32Array),
    /// Integers.
    UInt64(&'a UInt64Array),
    /// Decimals of one scale.
    Decimal128(&'a Decimal128Array, i32),
    /// Decimals of one scale.
    Decimal256(&'a Decimal256Array, i32),
    /// Numbers with a scale each.
    Encoded(&'a LargeBinaryArray),
    /// Converted with six significant digits, as PostgreSQL does.
    Float32(&'a Float32Array),
    /// Converted with fifteen significant digits, as PostgreSQL does.
    Float64(&'a Float64Array),
    /// Texts.
    Utf8(&'a StringArray),
    /// Texts.
    LargeUtf8(&'a LargeStringArray),
    /// Texts.
    Utf8View(&'a StringViewArray),
}

impl<'a> Numbers<'a> {
    /// The numbers of `array`.
    ///
    /// # Errors
    /// An internal error for an array of something else.
    pub fn of(array: &'a dyn Array) -> Result<Self> {
        Ok(match array.data_type() {
            DataType::Null => Numbers::Null,
            DataType::Int8 => Numbers::Int8(array.as_primitive()),
            DataType::Int16 => Numbers::Int16(array.as_primitive()),
            DataType::Int32 => Numbers::Int32(array.as_primitive()),
            DataType::Int64 => Numbers::Int64(array.as_primitive()),
            DataType::UInt8 => Numbers::UInt8(array.as_primitive()),
            DataType::UInt16 => Numbers::UInt16(array.as_primitive()),
            DataType::UInt32 => Numbers::UInt32(array.as_primitive()),
            DataType::UInt64 => Numbers::UInt64(array.as_primitive()),
            DataType::Decimal128(_, scale) => Numbers::Decimal128(array.as_primitive::<Decimal128Type>(), i32::from(*scale)),
            DataType::Decimal256(_, scale) => Numbers::Decimal256(array.as_primitive::<Decimal256Type>(), i32::from(*scale)),
            DataType::LargeBinary => Numbers::Encoded(array.as_binary()),
            DataType::Float32 => Numbers::Float32(array.as_primitive()),
            DataType::Float64 => Numbers::Float64(array.as_primitive()),
            DataType::Utf8 => Numbers::Utf8(array.as_string()),
            DataType::LargeUtf8 => Numbers::LargeUtf8(array.as_string()),
            DataType::Utf8View => Numbers::Utf8View(array.as_string_view()),
            other => return Err(Error::internal(format!("numbers of the Arrow type {other}"))),
        })
    }

    fn is_null(&self, row: usize) -> bool {
        match self {
            Numbers::Null => true,
            Numbers::Int8(array) => array.is_null(row),
            Numbers::Int16(array) => array.is_null(row),
            Numbers::Int32(array) => array.is_null(row),
            Numbers::Int64(array) => array.is_null(row),
            Numbers::UInt8(array) => array.is_null(row),
            Numbers::UInt16(array) => array.is_null(row),
            Numbers::UInt32(array) => array.is_null(row),
            Numbers::UInt64(array) => array.is_null(row),
            Numbers::Decimal128(array, _) => array.is_null(row),
            Numbers::Decimal256(array, _) => array.is_null(row),
            Numbers::Encoded(array) => array.is_null(row),
            Numbers::Float32(array) => array.is_null(row),
            Numbers::Float64(array) => array.is_null(row),
            Numbers::Utf8(array) => array.is_null(row),
            Numbers::LargeUtf8(array) => array.is_null(row),
            Numbers::Utf8View(array) => array.is_null(row),
        }
    }

    /// The number at `row`; `None` is NULL.
    ///
    /// # Errors
    /// 22P02 for a text that is no number.
    #[inline]
    pub fn get(&self, row: usize) -> Result<Option<Numeric>> {
        if self.is_null(row) {
            return Ok(None);
        }
        Ok(Some(match self {
            Numbers::Null => return Ok(None),
            Numbers::Int8(array) => Numeric::from_i64(array.value(row).into()),
            Numbers::Int16(array) => Numeric::from_i64(array.value(row).into()),
            Numbers::Int32(array) => Numeric::from_i64(array.value(row).into()),
            Numbers::Int64(array) => Numeric::from_i64(array.value(row)),
            Numbers::UInt8(array) => Numeric::from_i64(array.value(row).into()),
            Numbers::UInt16(array) => Numeric::from_i64(array.value(row).into()),
            Numbers::UInt32(array) => Numeric::from_i64(array.value(row).into()),
            Numbers::UInt64(array) => Numeric::from_i128(array.value(row).into()),
            Numbers::Decimal128(array, scale) => Numeric::from_decimal(array.value(row), *scale),
            Numbers::Decimal256(array, scale) => from_wide(array.value(row), *scale),
            Numbers::Encoded(array) => decode(array.value(row))?,
            Numbers::Float32(array) => Numeric::from_f32(array.value(row)),
            Numbers::Float64(array) => Numeric::from_f64(array.value(row)),
            Numbers::Utf8(array) => Numeric::parse(array.value(row))?,
            Numbers::LargeUtf8(array) => Numeric::parse(array.value(row))?,
            Numbers::Utf8View(array) => Numeric::parse(array.value(row))?,
        }))
    }
}

/// Most numbers of 256 bits fit into 128.
fn from_wide(unscaled: i256, scale: i32) -> Numeric {
    match unscaled.to_i128() {
        Some(unscaled) => Numeric::from_decimal(unscaled, scale),
        None => Numeric::from_i256(unscaled, scale),
    }
}

/// The number behind an encoding.
///
/// # Errors
/// An internal error for bytes that [`Numeric::encode`] did not write.
pub fn decode(encoded: &[u8]) -> Result<Numeric> {
    Numeric::decode(encoded).ok_or_else(|| Error::internal("bytes that encode no numeric"))
}

/// Gathers numerics with a scale each.
#[derive(Debug)]
pub struct NumericBuilder {
    array: LargeBinaryBuilder,
    bytes: Vec<u8>,
}

impl NumericBuilder {
    /// For about `rows` values.
    pub fn with_capacity(rows: usize) -> Self {
        Self { array: LargeBinaryBuilder::with_capacity(rows, rows * 16), bytes: Vec::with_capacity(32) }
    }

    /// Appends a number, or NULL.
    #[inline]
    pub fn append(&mut self, value: Option<&Numeric>) {
        match value {
            None => self.array.append_null(),
            Some(value) => {
                self.bytes.clear();
                value.encode(&mut self.bytes);
                self.array.append_value(&self.bytes);
            }
        }
    }

    /// What has been gathered.
    pub fn finish(&mut self) -> ArrayRef {
        Arc::new(self.array.finish())
    }
}

/// One number as a constant of the type `numeric` without modifiers.
pub fn constant(value: Option<&Numeric>) -> ScalarValue {
    ScalarValue::LargeBinary(value.map(|value| {
        let mut bytes = vec![];
        value.encode(&mut bytes);
        bytes
    }))
}

/// The number that a constant is, if it is one; floating-point numbers are none.
pub fn of_constant(value: &ScalarValue) -> Option<Numeric> {
    Some(match value {
        ScalarValue::Int8(Some(value)) => Numeric::from_i64((*value).into()),
        ScalarValue::Int16(Some(value)) => Numeric::from_i64((*value).into()),
        ScalarValue::Int32(Some(value)) => Numeric::from_i64((*value).into()),
        ScalarValue::Int64(Some(value)) => Numeric::from_i64(*value),
        ScalarValue::UInt32(Some(value)) => Numeric::from_i64((*value).into()),
        ScalarValue::UInt64(Some(value)) => Numeric::from_i128((*value).into()),
        ScalarValue::Decimal128(Some(value), _, scale) => Numeric::from_decimal(*value, i32::from(*scale)),
        ScalarValue::Decimal256(Some(value), _, scale) => from_wide(*value, i32::from(*scale)),
        ScalarValue::LargeBinary(Some(bytes)) => Numeric::decode(bytes)?,
        _ => return None,
    })
}

/// A number as a decimal constant of `precision` and `scale`; `None` if it does not fit exactly.
pub fn exact_decimal(value: &Numeric, precision: u8, scale: i8) -> Option<ScalarValue> {
    if *value != value.trunc(i32::from(scale)) || !value.is_finite() {
        return None;
    }
    if precision <= 38 {
        let unscaled = value.to_i128(i32::from(scale))?;
        let limit = 10_i128.checked_pow(u32::from(precision))?;
        return (unscaled > -limit && unscaled < limit).then_some(ScalarValue::Decimal128(Some(unscaled), precision, scale));
    }
    let unscaled = value.to_i256(i32::from(scale))?;
    let limit = i256::from_i128(10).checked_pow(u32::from(precision))?;
    (unscaled > limit.wrapping_neg() && unscaled < limit).then_some(ScalarValue::Decimal256(Some(unscaled), precision, scale))
}

/// The encodings without their scales: equal bytes for equal numbers, ordered as they are.
pub fn keys(numerics: &LargeBinaryArray) -> ArrayRef {
    let mut keys = BinaryBuilder::with_capacity(numerics.len(), numerics.value_data().len());
    for row in 0..numerics.len() {
        if numerics.is_null(row) {
            keys.append_null();
        } else {
            keys.append_value(Numeric::key(numerics.value(row)));
        }
    }
    Arc::new(keys.finish())
}

/// Applies `map` to the values of an array, and to the elements of lists of them at whatever depth.
///
/// # Errors
/// What `map` says.
pub fn map_elements(array: &ArrayRef, map: &dyn Fn(&ArrayRef) -> Result<ArrayRef>) -> Result<ArrayRef> {
    let DataType::List(field) = array.data_type() else { return map(array) };
    let list = array.as_list::<i32>();
    let values = map_elements(list.values(), map)?;
    let field = Field::new(field.name(), values.data_type().clone(), true);
    let mapped = ListArray::try_new(Arc::new(field), list.offsets().clone(), values, list.nulls().cloned());
    Ok(Arc::new(mapped.map_err(from_arrow)?))
}

/// The Arrow type of what [`map_elements`] makes of `from`, if `map` makes `to` of its innermost elements.
pub fn mapped_type(from: &DataType, to: &DataType) -> DataType {
    match from {
        DataType::List(field) => DataType::List(Arc::new(Field::new(field.name(), mapped_type(field.data_type(), to), true))),
        _ => to.clone(),
    }
}

/// The innermost element type of lists; the type itself of anything else.
pub fn innermost(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::List(field) => innermost(field.data_type()),
        other => other,
    }
}
