//! `numeric` in binary: digits to the base of 10,000, with the weight of the first and the number of decimal digits to show.

use datafusion::arrow::datatypes::i256;

use crate::types::values::ValueText;
use crate::types::values::numeric::decimal_digits;

const NEGATIVE: u16 = 0x4000;
const DIGIT_WIDTH: usize = 4;

/// The content of a binary numeric: at most 8 bytes and 2 for each of 21 digits.
pub(crate) type NumericBytes = ValueText<64>;

/// Writes `unscaled` * 10^-`scale`.
pub(crate) fn numeric_binary(unscaled: i256, scale: i8) -> NumericBytes {
    let magnitude = unscaled.wrapping_abs().to_i128().and_then(|magnitude| u64::try_from(magnitude).ok());
    match (magnitude, u8::try_from(scale)) {
        (Some(magnitude), Ok(scale)) if scale <= 16 => short(magnitude, unscaled.is_negative(), scale),
        _ => long(unscaled, scale),
    }
}

/// Up to 64 bits: arithmetic on the parts left and right of the point.
fn short(magnitude: u64, negative: bool, scale: u8) -> NumericBytes {
    const POWERS: [u64; 17] = {
        let mut powers = [1; 17];
        let mut exponent = 1;
        while exponent < 17 {
            powers[exponent] = powers[exponent - 1] * 10;
            exponent += 1;
        }
        powers
    };
    let power = POWERS[usize::from(scale) % 17];
    let fraction_digits = usize::from(scale).div_ceil(DIGIT_WIDTH);
    let padding = fraction_digits * DIGIT_WIDTH - usize::from(scale);
    let mut whole = magnitude / power;
    let mut fraction = magnitude % power * POWERS[padding];
    // Up to five digits left of the point and four right of it, filled from the right.
    let mut digits = [0_u16; 9];
    let mut weight = -1;
    for slot in digits[5..5 + fraction_digits].iter_mut().rev() {
        *slot = (fraction % 10_000) as u16;
        fraction /= 10_000;
    }
    for slot in digits[..5].iter_mut().rev() {
        if whole == 0 {
            break;
        }
        *slot = (whole % 10_000) as u16;
        whole /= 10_000;
        weight += 1;
    }
    #[expect(clippy::cast_sign_loss, reason = "from -1 to 4")]
    let first = (4 - weight) as usize;
    assemble(&digits[first..5 + fraction_digits], weight, negative, u16::from(scale))
}

/// Any width, by way of decimal digits.
fn long(unscaled: i256, scale: i8) -> NumericBytes {
    let text = decimal_digits(unscaled);
    let decimal = if unscaled == i256::ZERO { &[] } else { text.as_bytes() };
    let scale = i32::from(scale);
    // Decimal digits left of the point; negative if zeros stand between the point and the first digit.
    let whole = i32::try_from(decimal.len()).unwrap_or(i32::MAX) - scale;
    let weight = whole.div_euclid(4) + i32::from(whole.rem_euclid(4) != 0) - 1;
    let first = (weight + 1) * 4 - whole;
    let mut digits = [0_u16; 24];
    let mut count = 0;
    for (place, byte) in (first..).zip(decimal) {
        let index = usize::try_from(place / 4).unwrap_or_default();
        if let Some(slot) = digits.get_mut(index) {
            let power = [1000, 100, 10, 1][usize::try_from(place % 4).unwrap_or_default()];
            *slot += u16::from(byte - b'0') * power;
            count = index + 1;
        }
    }
    assemble(&digits[..count], weight, unscaled.is_negative(), u16::try_from(scale.max(0)).unwrap_or_default())
}

/// Header and digits, without zeros at either end.
fn assemble(digits: &[u16], weight: i32, negative: bool, display_scale: u16) -> NumericBytes {
    let leading = digits.iter().take_while(|digit| **digit == 0).count();
    let digits = &digits[leading..];
    let trailing = digits.iter().rev().take_while(|digit| **digit == 0).count();
    let digits = &digits[..digits.len() - trailing];
    let (weight, sign) = match digits {
        [] => (0, 0),
        _ => (weight - i32::try_from(leading).unwrap_or_default(), if negative { NEGATIVE } else { 0 }),
    };
    let mut bytes = NumericBytes::new();
    bytes.push_bytes(&u16::try_from(digits.len()).unwrap_or_default().to_be_bytes());
    bytes.push_bytes(&i16::try_from(weight).unwrap_or_default().to_be_bytes());
    bytes.push_bytes(&sign.to_be_bytes());
    bytes.push_bytes(&display_scale.to_be_bytes());
    digits.iter().for_each(|digit| bytes.push_bytes(&digit.to_be_bytes()));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_forms_agree() {
        for magnitude in [0, 1, 9, 10, 9999, 10_000, 10_001, 12_345_678_900, 100_000_000, u64::MAX, u64::MAX - 7, 10_u64.pow(19)] {
            for scale in 0..=16_u8 {
                for negative in [false, true] {
                    let unscaled = i256::from_i128(if negative { -i128::from(magnitude) } else { i128::from(magnitude) });
                    let long = long(unscaled, i8::try_from(scale).unwrap());
                    assert_eq!(short(magnitude, negative, scale).as_bytes(), long.as_bytes(), "{magnitude} {scale}");
                }
            }
        }
    }

    #[test]
    fn the_widest_number_fits() {
        let widest = i256::from_string(&"9".repeat(76)).unwrap();
        for scale in [0, 1, 2, 3, 75, 76] {
            let bytes = numeric_binary(widest, scale);
            let digits = u16::from_be_bytes([bytes.as_bytes()[0], bytes.as_bytes()[1]]);
            assert_eq!(bytes.as_bytes().len(), 8 + 2 * usize::from(digits), "{scale}");
        }
    }
}
