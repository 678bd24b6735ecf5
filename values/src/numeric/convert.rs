//! From and to PostgreSQL's other numbers, and Arrow's decimals.

use arrow_buffer::i256;

use super::natural::{Natural, POWERS};
use super::wide::Wide;
use super::{MAX_DIGITS, MAX_SCALE, Numeric, Repr, is_small, raised};
use crate::error::{Error, ErrorKind, Result};

/// Significant digits of the casts from floating-point numbers.
const DOUBLE_DIGITS: usize = 15;
const SINGLE_DIGITS: usize = 6;

impl Numeric {
    /// The integer, at scale 0.
    #[inline]
    pub const fn from_i64(value: i64) -> Self {
        Numeric::small(value as i128, 0)
    }

    /// The integer, at scale 0.
    pub fn from_i128(value: i128) -> Self {
        Numeric::from_decimal(value, 0)
    }

    /// `unscaled` * 10^-`scale`. A negative scale appends zeros; digits beyond the last place that a numeric has are rounded away.
    #[inline]
    pub fn from_decimal(unscaled: i128, scale: i32) -> Self {
        match u16::try_from(scale) {
            Ok(short) if scale <= MAX_SCALE && is_small(unscaled) => Numeric::small(unscaled, short),
            _ => Numeric::from_scaled(Wide::from_i128(unscaled, scale)),
        }
    }

    /// As [`Numeric::from_decimal`], of up to 76 digits.
    pub fn from_i256(unscaled: i256, scale: i32) -> Self {
        if let Some(short) = unscaled.to_i128() {
            return Numeric::from_decimal(short, scale);
        }
        let bytes = unscaled.wrapping_abs().to_le_bytes();
        let mut words = [0_u64; 4];
        for (word, chunk) in words.iter_mut().zip(bytes.chunks_exact(8)) {
            *word = chunk.iter().rev().fold(0, |sum, byte| (sum << 8) | u64::from(*byte));
        }
        Numeric::from_scaled(Wide::new(unscaled.is_negative(), Natural::from_binary(&words), scale))
    }

    fn from_scaled(wide: Wide) -> Self {
        // A scale below that of the shortest number with too many digits is no decimal's: it is cut, not followed into memory.
        let wide = if wide.is_zero() { Wide::zero(wide.scale().clamp(0, MAX_SCALE)) } else { wide };
        if wide.exponent() >= super::MAX_WHOLE_DIGITS {
            return Numeric::infinity(wide.is_negative());
        }
        Numeric::within_limits(wide.rounded(wide.scale().clamp(0, MAX_SCALE)))
    }

    /// The number with 15 significant digits, as PostgreSQL casts `double precision`.
    pub fn from_f64(value: f64) -> Self {
        Numeric::from_float(value, DOUBLE_DIGITS)
    }

    /// The number with 6 significant digits, as PostgreSQL casts `real`.
    pub fn from_f32(value: f32) -> Self {
        Numeric::from_float(f64::from(value), SINGLE_DIGITS)
    }

    fn from_float(value: f64, digits: usize) -> Self {
        if value.is_nan() {
            return Numeric::NAN;
        }
        if value.is_infinite() {
            return Numeric::infinity(value < 0.0);
        }
        let text = format!("{value:.*e}", digits - 1);
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        // Zeros at the end count for nothing, neither behind the point nor before it.
        let mantissa = mantissa.trim_end_matches('0');
        let unscaled = mantissa.bytes().filter(u8::is_ascii_digit).fold(0, |sum, digit| sum * 10 + i128::from(digit - b'0'));
        let fraction = mantissa.split_once('.').map_or(0, |(_, fraction)| fraction.len());
        let scale = i32::try_from(fraction).unwrap_or_default() - exponent.parse::<i32>().unwrap_or_default();
        if unscaled == 0 {
            return Numeric::ZERO;
        }
        Numeric::from_decimal(if value < 0.0 { -unscaled } else { unscaled }, scale)
    }

    /// The nearest `double precision`.
    ///
    /// # Errors
    /// 22003 if there is none: too large, or too near to zero.
    pub fn to_f64(&self) -> Result<f64> {
        let value = self.to_f64_lossy();
        let lost = (value == 0.0 && !self.is_zero()) || (value.is_infinite() && !self.is_infinite());
        if lost { Err(self.not_a_float("double precision")) } else { Ok(value) }
    }

    /// The nearest `real`.
    ///
    /// # Errors
    /// 22003 if there is none: too large, or too near to zero.
    pub fn to_f32(&self) -> Result<f32> {
        if !self.is_finite() {
            #[expect(clippy::cast_possible_truncation, reason = "NaN and the infinities stay what they are")]
            return Ok(self.to_f64_lossy() as f32);
        }
        let value: f32 = self.to_string().parse().unwrap_or(f32::NAN);
        let lost = (value == 0.0 && !self.is_zero()) || value.is_infinite();
        if lost { Err(self.not_a_float("real")) } else { Ok(value) }
    }

    fn not_a_float(&self, type_name: &str) -> Error {
        Error::new(ErrorKind::NumericOutOfRange, format!("\"{self}\" is out of range for type {type_name}"))
    }

    /// The nearest `double precision`: infinite for what is too large, zero for what is too small.
    pub fn to_f64_lossy(&self) -> f64 {
        /// Integers up to 2^53 and powers of ten up to 10^22 are exact as doubles, and so is one rounding of their quotient.
        const EXACT: u64 = 1 << 53;
        const EXACT_POWERS: [f64; 23] = [
            1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
            1e21, 1e22,
        ];
        match &self.repr {
            Repr::NaN => f64::NAN,
            Repr::Infinity { negative: false } => f64::INFINITY,
            Repr::Infinity { negative: true } => f64::NEG_INFINITY,
            Repr::Large(wide) => wide.to_f64(),
            Repr::Small { unscaled, scale } => {
                let exact = unscaled.unsigned_abs() <= u128::from(EXACT);
                match EXACT_POWERS.get(usize::from(*scale)) {
                    #[expect(clippy::cast_precision_loss, reason = "at most 2^53")]
                    Some(power) if exact => *unscaled as f64 / power,
                    _ => Wide::from_i128(*unscaled, i32::from(*scale)).to_f64(),
                }
            }
        }
    }

    /// The nearest integer, half away from zero; `None` for what has more than 38 digits.
    fn to_integer(&self, type_name: &str) -> Result<Option<i128>> {
        let finite = |what: &str| Error::new(ErrorKind::Unsupported, format!("cannot convert {what} to {type_name}"));
        match &self.repr {
            Repr::NaN => Err(finite("NaN")),
            Repr::Infinity { .. } => Err(finite("infinity")),
            _ => Ok(self.to_i128(0)),
        }
    }

    /// The nearest `bigint`, half away from zero.
    ///
    /// # Errors
    /// 22003 outside the range, 0A000 for `NaN` and the infinities.
    pub fn to_i64(&self) -> Result<i64> {
        let integer = self.to_integer("bigint")?.and_then(|integer| i64::try_from(integer).ok());
        integer.ok_or_else(|| Error::new(ErrorKind::NumericOutOfRange, "bigint out of range"))
    }

    /// The nearest `integer`; errors as [`Numeric::to_i64`].
    ///
    /// # Errors
    /// 22003 outside the range, 0A000 for `NaN` and the infinities.
    pub fn to_i32(&self) -> Result<i32> {
        let integer = self.to_integer("integer")?.and_then(|integer| i32::try_from(integer).ok());
        integer.ok_or_else(|| Error::new(ErrorKind::NumericOutOfRange, "integer out of range"))
    }

    /// The nearest `smallint`; errors as [`Numeric::to_i64`].
    ///
    /// # Errors
    /// 22003 outside the range, 0A000 for `NaN` and the infinities.
    pub fn to_i16(&self) -> Result<i16> {
        let integer = self.to_integer("smallint")?.and_then(|integer| i16::try_from(integer).ok());
        integer.ok_or_else(|| Error::new(ErrorKind::NumericOutOfRange, "smallint out of range"))
    }

    /// The number times 10^`scale`, rounded half away from zero; `None` if it is not finite or has more than 38 digits then.
    pub fn to_i128(&self, scale: i32) -> Option<i128> {
        if let Repr::Small { unscaled, scale: own } = self.repr {
            let distance = scale.saturating_sub(i32::from(own));
            if let Ok(distance) = u32::try_from(distance) {
                return raised(unscaled, distance).filter(|number| is_small(*number));
            }
            return Some(lowered(unscaled, distance.unsigned_abs()));
        }
        self.rounded_within(scale, super::SMALL_DIGITS)?.to_i128()
    }

    /// The number times 10^`scale`, rounded half away from zero; `None` if it is not finite or has more than 76 digits then.
    pub fn to_i256(&self, scale: i32) -> Option<i256> {
        if let Some(short) = self.to_i128(scale) {
            return Some(i256::from_i128(short));
        }
        let rounded = self.rounded_within(scale, MAX_DIGITS)?;
        let words: [u64; 4] = rounded.digits().to_binary()?;
        let mut bytes = [0; 32];
        for (chunk, word) in bytes.chunks_exact_mut(8).zip(words) {
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        let magnitude = i256::from_le_bytes(bytes);
        Some(if rounded.is_negative() { magnitude.wrapping_neg() } else { magnitude })
    }

    /// The number rounded at `scale`, if it has at most `digits` digits then.
    fn rounded_within(&self, scale: i32, digits: usize) -> Option<Wide> {
        let wide = self.wide()?;
        let expected = i64::from(wide.exponent()) + 1 + i64::from(scale);
        if wide.is_zero() || expected > i64::try_from(digits).unwrap_or_default() {
            return wide.is_zero().then(|| Wide::zero(0));
        }
        Some(wide.rounded(scale)).filter(|rounded| rounded.digits().digits() <= digits)
    }
}

/// 10^`digits`, if it has at most 38 digits.
fn power_of_ten(digits: u32) -> Option<i128> {
    i128::try_from(*POWERS.get(usize::try_from(digits).ok()?)?).ok()
}

/// `unscaled` / 10^`digits`, rounded half away from zero.
pub(super) fn lowered(unscaled: i128, digits: u32) -> i128 {
    let Some(power) = power_of_ten(digits) else { return 0 };
    let (quotient, remainder) = divide(unscaled, power);
    let away = remainder.abs() >= power - remainder.abs();
    quotient + if away { unscaled.signum() } else { 0 }
}

/// `unscaled` / 10^`digits`, rounded towards zero.
pub(super) fn cut(unscaled: i128, digits: u32) -> i128 {
    power_of_ten(digits).map_or(0, |power| divide(unscaled, power).0)
}

/// Quotient and remainder by a positive number, at the machine's speed where both are short.
#[inline]
fn divide(number: i128, divisor: i128) -> (i128, i128) {
    match (i64::try_from(number), i64::try_from(divisor)) {
        (Ok(number), Ok(divisor)) => (i128::from(number / divisor), i128::from(number % divisor)),
        _ => (number / divisor, number % divisor),
    }
}
