//! Decimal numbers of up to 76 digits.

use arrow_buffer::i256;

use super::Numeric;
use crate::ValueText;
use crate::error::{Error, Result};
use crate::number::trim;

/// Digits that fit Arrow's 256-bit decimals.
pub const MAX_DIGITS: usize = 76;

/// A decimal number: `unscaled` * 10^-`scale`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NumericValue {
    /// All digits as one integer.
    pub unscaled: i256,
    /// Digits right of the point.
    pub scale: u8,
}

impl NumericValue {
    /// The number with all its digits. Zeros at the end of the fraction may go where there is no room for them.
    ///
    /// # Errors
    /// 22003 for one of more than 76 digits, 0A000 for `NaN` and the infinities.
    pub fn from_numeric(number: &Numeric) -> Result<Self> {
        let (Some(shown), Some(needed)) = (number.scale(), number.min_scale()) else { return Err(not_finite(&number.to_string())) };
        let widest = i32::try_from(MAX_DIGITS).unwrap_or_default();
        let fitting =
            (needed..=shown.min(widest)).rev().find_map(|scale| Some((number.to_i256(scale)?, u8::try_from(scale).ok()?)));
        fitting.map(|(unscaled, scale)| NumericValue { unscaled, scale }).ok_or_else(overflow)
    }

    /// Number of digits left of the point; 0 for numbers below one.
    pub fn whole_digits(&self) -> u8 {
        if self.unscaled == i256::ZERO {
            return 0;
        }
        let digits = decimal_digits(self.unscaled).as_bytes().len();
        u8::try_from(digits).unwrap_or(u8::MAX).saturating_sub(self.scale)
    }

    /// The same number with `scale` digits right of the point, rounded half away from zero as PostgreSQL rounds; `None` if it then
    /// has more than 76 digits.
    pub fn rescale(&self, scale: i8) -> Option<i256> {
        let shift = i32::from(scale) - i32::from(self.scale);
        let power = power_of_ten(shift.unsigned_abs())?;
        if shift >= 0 {
            let scaled = self.unscaled.checked_mul(power)?;
            let fits = decimal_digits(scaled).as_bytes().len() <= MAX_DIGITS;
            return fits.then_some(scaled);
        }
        let quotient = self.unscaled.checked_div(power)?;
        let remainder = self.unscaled.checked_rem(power)?.wrapping_abs();
        let rounds_up = remainder >= power.wrapping_sub(remainder);
        let step = if self.unscaled.is_negative() { i256::MINUS_ONE } else { i256::ONE };
        Some(if rounds_up { quotient.wrapping_add(step) } else { quotient })
    }
}

/// 10^`exponent` up to 10^76.
fn power_of_ten(exponent: u32) -> Option<i256> {
    i256::from_i128(10).checked_pow(exponent)
}

/// Reads `numeric` text into one of Arrow's decimals.
///
/// # Errors
/// As [`Numeric::parse`] and [`NumericValue::from_numeric`].
pub fn parse_numeric(text: &str) -> Result<NumericValue> {
    let number = Numeric::parse(text)?;
    if number.is_finite() { NumericValue::from_numeric(&number) } else { Err(not_finite(trim(text))) }
}

/// `NaN` and the infinities, which neither Arrow nor Delta Lake can hold.
pub fn not_finite(text: &str) -> Error {
    Error::unsupported(format!("numeric value \"{text}\"")).with_hint("Use double precision for values that are not finite.")
}

fn overflow() -> Error {
    super::overflow().with_detail("A numeric holds at most 76 digits.")
}

/// The number `whole.fraction` * 10^`exponent`.
///
/// # Errors
/// As [`parse_numeric`].
pub fn from_digits(negative: bool, whole: &str, fraction: &str, exponent: i64) -> Result<NumericValue> {
    let sign = if negative { "-" } else { "" };
    parse_numeric(&format!("{sign}0{whole}.{fraction}e{exponent}"))
}

/// Writes a decimal with its scale, where the digits fit an `i64` and the scale is at most 28: nearly always.
#[inline]
pub fn format_decimal64(unscaled: i64, scale: u8) -> ValueText<32> {
    let mut text = ValueText::new();
    if unscaled < 0 {
        text.push(b'-');
    }
    let magnitude = unscaled.unsigned_abs();
    if scale == 0 {
        text.push_u64(magnitude);
    } else {
        text.push_decimal(magnitude, usize::from(scale));
    }
    text
}

/// Writes a decimal with its scale; a negative scale appends zeros.
pub fn format_decimal(unscaled: i128, scale: i8) -> ValueText<224> {
    format_decimal256(i256::from_i128(unscaled), scale)
}

/// Writes a decimal with its scale; a negative scale appends zeros.
pub fn format_decimal256(unscaled: i256, scale: i8) -> ValueText<224> {
    let digits = decimal_digits(unscaled);
    let digits = digits.as_bytes();
    let mut text = ValueText::new();
    if unscaled.is_negative() {
        text.push(b'-');
    }
    let Ok(scale) = usize::try_from(scale) else {
        text.push_bytes(digits);
        let zeros = if unscaled == i256::ZERO { 0 } else { scale.unsigned_abs() };
        (0..zeros).for_each(|_| text.push(b'0'));
        return text;
    };
    let whole = digits.len().saturating_sub(scale);
    text.push_bytes(if whole == 0 { b"0" } else { &digits[..whole] });
    if scale > 0 {
        text.push(b'.');
        (digits.len()..scale).for_each(|_| text.push(b'0'));
        text.push_bytes(&digits[whole..]);
    }
    text
}

/// The decimal digits of the magnitude, without leading zeros; `0` for zero.
pub fn decimal_digits(value: i256) -> ValueText<80> {
    const CHUNK: u64 = 10_000_000_000_000_000_000;
    const CHUNK_DIGITS: usize = 19;
    let bytes = value.wrapping_abs().to_le_bytes();
    let mut limbs = [0_u64; 4];
    for (limb, chunk) in limbs.iter_mut().zip(bytes.chunks_exact(8)) {
        *limb = chunk.iter().rev().fold(0, |sum, byte| (sum << 8) | u64::from(*byte));
    }
    let mut chunks = [0_u64; 5];
    let mut count = 0;
    while count < chunks.len() && limbs != [0; 4] {
        let mut remainder = 0_u128;
        for limb in limbs.iter_mut().rev() {
            let current = (remainder << 64) | u128::from(*limb);
            #[expect(clippy::cast_possible_truncation, reason = "the remainder is below the divisor, so the quotient fits 64 bits")]
            {
                *limb = (current / u128::from(CHUNK)) as u64;
            }
            remainder = current % u128::from(CHUNK);
        }
        #[expect(clippy::cast_possible_truncation, reason = "below the divisor")]
        {
            chunks[count] = remainder as u64;
        }
        count += 1;
    }
    let mut text = ValueText::new();
    text.push_u64(chunks[count.saturating_sub(1)]);
    for chunk in chunks[..count.saturating_sub(1)].iter().rev() {
        text.push_u64_padded(*chunk, CHUNK_DIGITS);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn read(text: &str) -> String {
        let value = parse_numeric(text).unwrap();
        format_decimal256(value.unscaled, i8::try_from(value.scale).unwrap()).to_string()
    }

    #[test]
    fn numbers_keep_their_digits() {
        assert_eq!(read("1234567.8900"), "1234567.8900");
        assert_eq!(read(" -0.0001 "), "-0.0001");
        assert_eq!(read("1e5"), "100000");
        assert_eq!(read("1.5e-3"), "0.0015");
        assert_eq!(read("-.5"), "-0.5");
        assert_eq!(read("5."), "5");
        assert_eq!(read("0.000"), "0.000");
        assert_eq!(read("-0"), "0");
        let widest = "9".repeat(76);
        assert_eq!(read(&widest), widest);
        assert_eq!(read(&format!("0.{widest}")), format!("0.{widest}"));
        assert_eq!(read(&format!("1{}.{}", "0".repeat(75), "0".repeat(20))), format!("1{}", "0".repeat(75)));
        assert_eq!(parse_numeric(&"9".repeat(77)).unwrap_err().kind(), ErrorKind::NumericOutOfRange);
        assert_eq!(parse_numeric("1e76").unwrap_err().kind(), ErrorKind::NumericOutOfRange);
        assert_eq!(parse_numeric("1e-77").unwrap_err().kind(), ErrorKind::NumericOutOfRange);
        assert_eq!(parse_numeric("1e999999999999").unwrap_err().kind(), ErrorKind::NumericOutOfRange);
        for wrong in ["", ".", "1e", "e1", "1.2.3", "0x", "--1", "1 0"] {
            assert_eq!(parse_numeric(wrong).unwrap_err().kind(), ErrorKind::InvalidText, "{wrong}");
        }
        for refused in ["NaN", "infinity", "-Inf"] {
            assert_eq!(parse_numeric(refused).unwrap_err().kind(), ErrorKind::Unsupported, "{refused}");
        }
    }

    #[test]
    fn rounding_goes_away_from_zero() {
        let rounded = |text: &str, scale| parse_numeric(text).unwrap().rescale(scale).unwrap().to_string();
        assert_eq!(rounded("1.005", 2), "101");
        assert_eq!(rounded("-1.005", 2), "-101");
        assert_eq!(rounded("1.0049", 2), "100");
        assert_eq!(rounded("1.5", 4), "15000");
        assert_eq!(rounded("149", -2), "1");
        assert_eq!(parse_numeric(&"9".repeat(76)).unwrap().rescale(1), None);
    }

    #[test]
    fn small_and_large_decimals_print_alike() {
        for value in [0, 1, -1, 9, 10, -99, 100, 12_345, i64::MAX, i64::MIN] {
            for scale in 0..=28_u8 {
                let small = format_decimal64(value, scale);
                let large = format_decimal(i128::from(value), i8::try_from(scale).unwrap());
                assert_eq!(small.as_str(), large.as_str(), "{value} {scale}");
            }
        }
        assert_eq!(format_decimal(12, -3).as_str(), "12000");
        assert_eq!(format_decimal(i128::MIN, 0).as_str(), "-170141183460469231731687303715884105728");
    }
}
