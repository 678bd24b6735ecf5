//! `ceil`, `floor`, `round`, `trunc`, `sign`, `abs`: over `numeric` they give a `numeric` with the digits that are left, over doubles a double
//! that is rounded half to even, as in PostgreSQL. Decimals of one scale stay such where the number of digits is a constant.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Decimal256Array, Float64Array};
use datafusion::arrow::datatypes::{
    ArrowPrimitiveType, DataType, Decimal128Type, Decimal256Type, FieldRef, Float32Type, Float64Type, Int16Type, Int32Type,
    Int64Type, i256,
};
use datafusion::arrow::error::ArrowError;
use datafusion::common::ScalarValue;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::error::{Error, ErrorKind, Result};
use crate::functions::define::{constant, external, undefined_function};
use crate::types::SqlType;
use crate::types::datum::from_arrow;
use crate::types::numeric::{Numbers, NumericBuilder};
use crate::types::values::numeric::Numeric;

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Rounding {
    /// `ceil`
    Up,
    /// `floor`
    Down,
    /// `round`: half away from zero, half to even for doubles
    Nearest,
    /// `trunc`
    TowardsZero,
    /// `sign`
    Sign,
    /// `abs`
    Absolute,
}

/// One of the functions.
#[derive(Debug)]
pub(crate) struct Round {
    name: &'static str,
    rounding: Rounding,
    signature: Signature,
}

impl Round {
    /// Every function of this file, by name.
    pub(crate) fn functions() -> Vec<(&'static str, Arc<ScalarUDF>)> {
        [
            ("ceil", Rounding::Up),
            ("ceiling", Rounding::Up),
            ("floor", Rounding::Down),
            ("round", Rounding::Nearest),
            ("trunc", Rounding::TowardsZero),
            ("sign", Rounding::Sign),
            ("abs", Rounding::Absolute),
        ]
        .into_iter()
        .map(|(name, rounding)| {
            let signature = Signature::user_defined(Volatility::Immutable);
            (name, Arc::new(ScalarUDF::new_from_impl(Self { name, rounding, signature })))
        })
        .collect()
    }

    /// Whether a number of digits may be given.
    const fn takes_digits(&self) -> bool {
        matches!(self.rounding, Rounding::Nearest | Rounding::TowardsZero)
    }

    fn call(&self, args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (value, digits) = match args.args.as_slice() {
            [value] => (value, None),
            [value, digits] if self.takes_digits() => (value, Some(digits)),
            _ => return Err(undefined_function(self.name, &args.arg_fields)),
        };
        let once = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if once { 1 } else { args.number_rows };
        let array = value.to_array(rows).map_err(|error| Error::internal("a number to round").with_source(error))?;
        let digits = digits
            .map(|digits| digits.to_array(rows))
            .transpose()
            .map_err(|error| Error::internal("digits to keep").with_source(error))?;
        let digits =
            digits.map(|array| datafusion::arrow::compute::cast(&array, &DataType::Int64)).transpose().map_err(from_arrow)?;
        let digits_at = |row: usize| match &digits {
            None => Some(0),
            Some(array) if array.is_null(row) => None,
            Some(array) => Some(array.as_primitive::<datafusion::arrow::datatypes::Int64Type>().value(row)),
        };
        let result: ArrayRef = match (array.data_type(), args.return_field.data_type()) {
            (integer, _) if integer.is_integer() => absolute(&array)?,
            (_, DataType::LargeBinary) => {
                let numbers = Numbers::of(&array)?;
                let mut rounded = NumericBuilder::with_capacity(array.len());
                for row in 0..array.len() {
                    let value = match (numbers.get(row)?, digits_at(row)) {
                        (Some(value), Some(digits)) => Some(self.numeric(&value, digits)?),
                        _ => None,
                    };
                    rounded.append(value.as_ref());
                }
                rounded.finish()
            }
            (DataType::Float32, _) => Arc::new(array.as_primitive::<Float32Type>().unary::<_, Float32Type>(f32::abs)),
            (DataType::Float64, _) => {
                let values = array.as_primitive::<Float64Type>();
                let at = |row| digits_at(row).filter(|_| values.is_valid(row)).map(|digits| self.double(values.value(row), digits));
                Arc::new((0..values.len()).map(at).collect::<Float64Array>())
            }
            (DataType::Decimal128(_, scale), DataType::Decimal128(precision, kept)) => {
                let values = array.as_primitive::<Decimal128Type>();
                let at = |row| {
                    let digits = digits_at(row).filter(|_| values.is_valid(row));
                    digits.map(|digits| self.narrow(values.value(row), *scale, *kept, digits)).transpose()
                };
                let rounded = (0..values.len()).map(at).collect::<Result<Decimal128Array>>()?;
                Arc::new(rounded.with_precision_and_scale(*precision, *kept).map_err(from_arrow)?)
            }
            (DataType::Decimal256(_, scale), DataType::Decimal256(precision, kept)) => {
                let values = array.as_primitive::<Decimal256Type>();
                let at = |row| {
                    let digits = digits_at(row).filter(|_| values.is_valid(row));
                    digits.map(|digits| self.wide(values.value(row), *scale, *kept, digits)).transpose()
                };
                let rounded = (0..values.len()).map(at).collect::<Result<Decimal256Array>>()?;
                Arc::new(rounded.with_precision_and_scale(*precision, *kept).map_err(from_arrow)?)
            }
            _ => return Err(undefined_function(self.name, &args.arg_fields)),
        };
        if once { Ok(ColumnarValue::Scalar(constant(&result)?)) } else { Ok(ColumnarValue::Array(result)) }
    }

    fn numeric(&self, value: &Numeric, digits: i64) -> Result<Numeric> {
        const MOST_DIGITS: i64 = 200_000;
        let digits = i32::try_from(digits.clamp(-MOST_DIGITS, MOST_DIGITS)).unwrap_or(0);
        match self.rounding {
            Rounding::Up => value.ceil(),
            Rounding::Down => value.floor(),
            Rounding::Nearest => value.round(digits),
            Rounding::TowardsZero => Ok(value.trunc(digits)),
            Rounding::Sign => Ok(value.sign()),
            Rounding::Absolute => Ok(value.abs()),
        }
    }

    fn double(&self, value: f64, digits: i64) -> f64 {
        let whole = |value: f64| match self.rounding {
            Rounding::Up => value.ceil(),
            Rounding::Down => value.floor(),
            Rounding::Nearest => value.round_ties_even(),
            Rounding::TowardsZero => value.trunc(),
            Rounding::Sign if value > 0.0 => 1.0,
            Rounding::Sign if value < 0.0 => -1.0,
            Rounding::Sign => 0.0,
            Rounding::Absolute => value.abs(),
        };
        if digits == 0 {
            return whole(value);
        }
        let factor = 10_f64.powi(i32::try_from(digits.clamp(-300, 300)).unwrap_or(0));
        let scaled = value * factor;
        if scaled.is_finite() { whole(scaled) / factor } else { value }
    }

    /// Rounds a decimal at `digits` behind the point, and brings it from `scale` to `kept`.
    fn narrow(&self, value: i128, scale: i8, kept: i8, digits: i64) -> Result<i128> {
        match self.rounding {
            Rounding::Sign => return Ok(value.signum()),
            Rounding::Absolute => return value.checked_abs().ok_or_else(overflow),
            _ => {}
        }
        let places = i8::try_from(digits.clamp(-38, i64::from(kept))).unwrap_or(0);
        let dropped = u32::from((scale.max(places) - places).unsigned_abs());
        let Some(unit) = 10_i128.checked_pow(dropped) else { return Ok(0) };
        let (quotient, remainder) = (value.div_euclid(unit), value.rem_euclid(unit));
        let up = match self.rounding {
            _ if remainder == 0 => false,
            Rounding::Up => true,
            Rounding::Down | Rounding::Sign | Rounding::Absolute => false,
            Rounding::TowardsZero => value < 0,
            Rounding::Nearest if value < 0 => remainder > unit - remainder,
            Rounding::Nearest => remainder >= unit - remainder,
        };
        let rounded = quotient + i128::from(up);
        let back = u32::from((kept - places.min(scale)).unsigned_abs());
        10_i128.checked_pow(back).and_then(|factor| rounded.checked_mul(factor)).ok_or_else(overflow)
    }

    fn wide(&self, value: i256, scale: i8, kept: i8, digits: i64) -> Result<i256> {
        match self.rounding {
            Rounding::Sign => return Ok(value.signum()),
            Rounding::Absolute => return Ok(value.wrapping_abs()),
            _ => {}
        }
        let places = i8::try_from(digits.clamp(-76, i64::from(kept))).unwrap_or(0);
        let dropped = u32::from((scale.max(places) - places).unsigned_abs());
        let ten = i256::from_i128(10);
        let Some(unit) = ten.checked_pow(dropped) else { return Ok(i256::ZERO) };
        let (mut quotient, mut remainder) = (value / unit, value % unit);
        if remainder.is_negative() {
            quotient -= i256::ONE;
            remainder += unit;
        }
        let up = match self.rounding {
            _ if remainder == i256::ZERO => false,
            Rounding::Up => true,
            Rounding::Down | Rounding::Sign | Rounding::Absolute => false,
            Rounding::TowardsZero => value.is_negative(),
            Rounding::Nearest if value.is_negative() => remainder > unit - remainder,
            Rounding::Nearest => remainder >= unit - remainder,
        };
        let rounded = if up { quotient + i256::ONE } else { quotient };
        let back = u32::from((kept - places.min(scale)).unsigned_abs());
        ten.checked_pow(back).and_then(|factor| rounded.checked_mul(factor)).ok_or_else(overflow)
    }
}

/// The magnitudes of integers.
fn absolute(array: &ArrayRef) -> Result<ArrayRef> {
    fn each<T: ArrowPrimitiveType>(array: &ArrayRef, abs: fn(T::Native) -> Option<T::Native>, name: &str) -> Result<ArrayRef> {
        let refused = || ArrowError::ArithmeticOverflow(String::new());
        let absolute = array.as_primitive::<T>().try_unary::<_, T, _>(|value| abs(value).ok_or_else(refused));
        let absolute = absolute.map_err(|_| Error::new(ErrorKind::NumericOutOfRange, format!("{name} out of range")))?;
        Ok(Arc::new(absolute))
    }
    match array.data_type() {
        DataType::Int16 => each::<Int16Type>(array, i16::checked_abs, "smallint"),
        DataType::Int32 => each::<Int32Type>(array, i32::checked_abs, "integer"),
        DataType::Int64 => each::<Int64Type>(array, i64::checked_abs, "bigint"),
        other => Err(Error::internal(format!("the magnitude of {other}"))),
    }
}

fn overflow() -> Error {
    Error::new(ErrorKind::NumericOutOfRange, "numeric field overflow")
}

impl PartialEq for Round {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}
impl Eq for Round {}
impl Hash for Round {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Round {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> DataFusionResult<DataType> {
        Err(external(Error::internal("rounding has a type only together with its digits")))
    }

    fn coerce_types(&self, arguments: &[DataType]) -> DataFusionResult<Vec<DataType>> {
        let number = |data_type: &DataType, with_digits: bool| match data_type {
            DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
                DataType::Decimal128(*precision, *scale)
            }
            decimal @ (DataType::Decimal128(..) | DataType::Decimal256(..) | DataType::LargeBinary) => decimal.clone(),
            number @ (DataType::Int16 | DataType::Int32 | DataType::Int64 | DataType::Float32)
                if self.rounding == Rounding::Absolute =>
            {
                number.clone()
            }
            integer if integer.is_integer() && with_digits => DataType::Decimal128(20, 0),
            _ => DataType::Float64,
        };
        Ok(match arguments {
            [value] => vec![number(value, false)],
            // A constant stays one: the digits that it keeps are part of the result's type, in every stage of a plan.
            [value, digits @ (DataType::Int16 | DataType::Int32)] if self.takes_digits() => {
                vec![number(value, true), digits.clone()]
            }
            [value, _] if self.takes_digits() => vec![number(value, true), DataType::Int64],
            other => other.to_vec(),
        })
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> DataFusionResult<FieldRef> {
        let value = match args.arg_fields {
            [value] => value,
            [value, _] if self.takes_digits() => value,
            other => return Err(external(undefined_function(self.name, other))),
        };
        let (precision, scale) = match value.data_type() {
            DataType::Decimal128(..) | DataType::Decimal256(..) if self.rounding == Rounding::Absolute => {
                return Ok(Arc::new(SqlType::of_arrow(value.data_type()).field(self.name, true)));
            }
            DataType::Int16 | DataType::Int32 | DataType::Int64 | DataType::Float32 if self.rounding == Rounding::Absolute => {
                return Ok(Arc::new(SqlType::of_arrow(value.data_type()).field(self.name, true)));
            }
            DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => (*precision, *scale),
            DataType::LargeBinary => return Ok(Arc::new(SqlType::UnconstrainedNumeric.field(self.name, true))),
            DataType::Float64 => return Ok(Arc::new(SqlType::Float8.field(self.name, true))),
            _ => return Err(external(undefined_function(self.name, args.arg_fields))),
        };
        // How many digits are left behind the point, if all values have as many: that is said by a constant.
        let unconstrained = || Ok(Arc::new(SqlType::UnconstrainedNumeric.field(self.name, true)));
        let kept = match args.scalar_arguments.get(1) {
            None => 0,
            Some(Some(ScalarValue::Int64(Some(digits)))) => (*digits).max(0),
            Some(Some(ScalarValue::Int32(Some(digits)))) => i64::from((*digits).max(0)),
            Some(Some(ScalarValue::Int16(Some(digits)))) => i64::from((*digits).max(0)),
            Some(_) => return unconstrained(),
        };
        let whole = i64::from(precision) - i64::from(scale) + 1;
        let limit = if precision > 38 { 76 } else { 38 };
        match (u8::try_from((whole + kept).max(1)), i8::try_from(kept)) {
            (Ok(digits), Ok(kept)) if digits <= limit => {
                let precision = keep_width(digits, value.data_type());
                Ok(Arc::new(SqlType::Numeric { precision, scale: kept }.field(self.name, true)))
            }
            _ => unconstrained(),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        self.call(&args).map_err(external)
    }
}

/// A 256-bit decimal stays one: its precision is not brought below 39.
fn keep_width(precision: u8, data_type: &DataType) -> u8 {
    if matches!(data_type, DataType::Decimal256(..)) { precision.max(39) } else { precision }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(rounding: Rounding) -> Round {
        Round { name: "x", rounding, signature: Signature::user_defined(Volatility::Immutable) }
    }

    #[test]
    fn decimals_round_each_way() {
        for (rounding, values) in [
            (Rounding::Up, [5, -4, 3]),
            (Rounding::Down, [4, -5, 2]),
            (Rounding::TowardsZero, [4, -4, 2]),
            (Rounding::Nearest, [5, -5, 3]),
            (Rounding::Sign, [1, -1, 1]),
        ] {
            let function = round(rounding);
            for (value, expected) in [450, -450, 250].into_iter().zip(values) {
                assert_eq!(function.narrow(value, 2, 0, 0).unwrap(), expected, "{rounding:?} {value}");
                assert_eq!(
                    function.wide(i256::from_i128(value), 2, 0, 0).unwrap(),
                    i256::from_i128(expected),
                    "{rounding:?} {value}"
                );
            }
        }
        let nearest = round(Rounding::Nearest);
        assert_eq!(nearest.narrow(12_345_678, 4, 2, 2).unwrap(), 123_457);
        assert_eq!(nearest.narrow(12_345_678, 4, 0, -2).unwrap(), 1200);
        assert_eq!(nearest.narrow(5, 0, 2, 2).unwrap(), 500);
        assert_eq!(nearest.narrow(-12_345_678, 4, 2, 2).unwrap(), -123_457);
    }

    #[test]
    fn doubles_round_half_to_even() {
        let nearest = round(Rounding::Nearest);
        assert!((nearest.double(2.5, 0) - 2.0).abs() < f64::EPSILON);
        assert!((nearest.double(3.5, 0) - 4.0).abs() < f64::EPSILON);
        assert!((nearest.double(1.2345, 2) - 1.23).abs() < 1e-12);
    }
}
