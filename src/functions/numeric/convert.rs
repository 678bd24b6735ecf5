//! Numbers and texts as numerics, and numerics as other numbers.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, Decimal128Array, Decimal256Array, Float32Array, Float64Array, Int16Array, Int32Array, Int64Array, StringArray,
};
use datafusion::common::ScalarValue;

use super::Operation;
use crate::error::{Error, ErrorKind, Result};
use crate::types::datum::from_arrow;
use crate::types::numeric::{Numbers, NumericBuilder, exact_decimal, map_elements};
use crate::types::values::numeric::{Numeric, NumericLimits, not_finite};

/// The values of `array` in the type that `conversion` stands for.
///
/// # Errors
/// 22P02 for a text that is no number, 22003 for a number outside the type's range, 0A000 for `NaN` as a decimal.
pub(super) fn convert(conversion: Operation, array: &ArrayRef) -> Result<ArrayRef> {
    let numbers = Numbers::of(array)?;
    let rows = 0..array.len();
    let each = |row: usize| numbers.get(row);
    Ok(match conversion {
        Operation::Numeric(limits) => {
            let mut builder = NumericBuilder::with_capacity(array.len());
            for row in rows {
                let value = each(row)?;
                match (value, limits) {
                    (Some(value), Some(limits)) => builder.append(Some(&value.with_limits(limits)?)),
                    (value, _) => builder.append(value.as_ref()),
                }
            }
            builder.finish()
        }
        Operation::Decimal(precision, scale) if precision <= 38 => {
            let decimals = rows
                .map(|row| each(row)?.map(|value| narrow(&value, precision, scale)).transpose())
                .collect::<Result<Decimal128Array>>()?;
            Arc::new(decimals.with_precision_and_scale(precision, scale).map_err(from_arrow)?)
        }
        Operation::Decimal(precision, scale) => {
            let wide = |value: Numeric| {
                let value = limited(&value, precision, scale)?;
                value.to_i256(i32::from(scale)).ok_or_else(|| not_finite(&value.to_string()))
            };
            let decimals = rows.map(|row| each(row)?.map(wide).transpose()).collect::<Result<Decimal256Array>>()?;
            Arc::new(decimals.with_precision_and_scale(precision, scale).map_err(from_arrow)?)
        }
        Operation::Int2 => Arc::new(rows.map(|row| each(row)?.map(|v| v.to_i16()).transpose()).collect::<Result<Int16Array>>()?),
        Operation::Int4 => Arc::new(rows.map(|row| each(row)?.map(|v| v.to_i32()).transpose()).collect::<Result<Int32Array>>()?),
        Operation::Int8 => Arc::new(rows.map(|row| each(row)?.map(|v| v.to_i64()).transpose()).collect::<Result<Int64Array>>()?),
        Operation::Float4 => {
            Arc::new(rows.map(|row| each(row)?.map(|v| v.to_f32()).transpose()).collect::<Result<Float32Array>>()?)
        }
        Operation::Float8 => {
            Arc::new(rows.map(|row| each(row)?.map(|v| v.to_f64()).transpose()).collect::<Result<Float64Array>>()?)
        }
        Operation::Text => {
            Arc::new(rows.map(|row| Ok(each(row)?.map(|value| value.to_string()))).collect::<Result<StringArray>>()?)
        }
        other => return Err(Error::internal(format!("{} is no conversion", other.name()))),
    })
}

fn limited(value: &Numeric, precision: u8, scale: i8) -> Result<Numeric> {
    value.with_limits(NumericLimits { precision: u16::from(precision), scale: i16::from(scale) })
}

fn narrow(value: &Numeric, precision: u8, scale: i8) -> Result<i128> {
    let value = limited(value, precision, scale)?;
    value.to_i128(i32::from(scale)).ok_or_else(|| not_finite(&value.to_string()))
}

/// Numbers with scales of their own, and lists of them, as decimals for a table that nobody has declared: none may lose a digit.
///
/// # Errors
/// 22003 for a number with more digits than fit.
pub(crate) fn exactly(array: &ArrayRef, precision: u8, scale: i8) -> Result<ArrayRef> {
    map_elements(array, &|values| {
        let numbers = Numbers::of(values)?;
        let exact = |value: Numeric| match exact_decimal(&value, precision, scale) {
            Some(ScalarValue::Decimal128(Some(unscaled), ..)) => Ok(unscaled),
            _ => Err(Error::new(ErrorKind::NumericOutOfRange, "numeric field overflow")
                .with_detail(format!("A number has more digits than a column of type numeric({precision},{scale}) holds."))
                .with_hint("Cast it to a numeric(p,s) with at most 38 digits, or to text.")),
        };
        let decimals =
            (0..values.len()).map(|row| numbers.get(row)?.map(exact).transpose()).collect::<Result<Decimal128Array>>()?;
        Ok(Arc::new(decimals.with_precision_and_scale(precision, scale).map_err(from_arrow)?))
    })
}
