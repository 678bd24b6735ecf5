//! Integers and floating-point numbers: PostgreSQL's spelling of infinities, exponents and precision.

use std::fmt::Write as _;

use super::ValueText;
use super::input::{invalid, out_of_range};
use crate::error::Result;

/// Significant digits that `extra_float_digits` adds to.
const DOUBLE_DIGITS: i32 = 15;
const SINGLE_DIGITS: i32 = 6;
/// From this decimal exponent on, the shortest form is scientific.
const DOUBLE_FIXED_BELOW: i32 = 15;
const SINGLE_FIXED_BELOW: i32 = 6;

/// Reads `smallint` text.
///
/// # Errors
/// 22P02 for text that is not an integer, 22003 for one outside the range.
pub fn parse_int2(text: &str) -> Result<i16> {
    let number = integer(text, "smallint")?;
    number.and_then(|number| i16::try_from(number).ok()).ok_or_else(|| out_of_range(text, "smallint"))
}

/// Reads `integer` text; errors as [`parse_int2`].
pub fn parse_int4(text: &str) -> Result<i32> {
    let number = integer(text, "integer")?;
    number.and_then(|number| i32::try_from(number).ok()).ok_or_else(|| out_of_range(text, "integer"))
}

/// Reads `bigint` text; errors as [`parse_int2`].
pub fn parse_int8(text: &str) -> Result<i64> {
    let number = integer(text, "bigint")?;
    number.and_then(|number| i64::try_from(number).ok()).ok_or_else(|| out_of_range(text, "bigint"))
}

/// Reads `oid` text: unsigned, where PostgreSQL lets -1 mean the largest; errors as [`parse_int2`].
pub fn parse_oid(text: &str) -> Result<u32> {
    let number = integer(text, "oid")?.filter(|number| (i128::from(i32::MIN)..=i128::from(u32::MAX)).contains(number));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "negative numbers wrap, as in PostgreSQL")]
    number.map(|number| number as u32).ok_or_else(|| out_of_range(text, "oid"))
}

/// Digits with a sign, white space around, `0x`/`0o`/`0b` and `_` between digits; `None` if the number is very large.
fn integer(text: &str, type_name: &str) -> Result<Option<i128>> {
    let trimmed = trim(text);
    let (negative, unsigned) = match trimmed.as_bytes() {
        [b'-', ..] => (true, &trimmed[1..]),
        [b'+', ..] => (false, &trimmed[1..]),
        _ => (false, trimmed),
    };
    let (radix, digits) = match unsigned.get(..2) {
        Some("0x" | "0X") => (16, unsigned.get(2..).unwrap_or_default()),
        Some("0o" | "0O") => (8, unsigned.get(2..).unwrap_or_default()),
        Some("0b" | "0B") => (2, unsigned.get(2..).unwrap_or_default()),
        _ => (10, unsigned),
    };
    let prefixed = radix != 10;
    let mut number: i128 = 0;
    let mut too_large = false;
    let mut separator_allowed = prefixed;
    let mut ends_with_digit = false;
    for byte in digits.bytes() {
        if byte == b'_' && separator_allowed {
            separator_allowed = false;
            ends_with_digit = false;
            continue;
        }
        let Some(digit) = char::from(byte).to_digit(radix) else { return Err(invalid(type_name, text)) };
        number = number * i128::from(radix) + i128::from(digit);
        too_large |= number > i128::from(u64::MAX);
        number = number.min(i128::from(u64::MAX) + 1);
        separator_allowed = true;
        ends_with_digit = true;
    }
    if !ends_with_digit {
        return Err(invalid(type_name, text));
    }
    Ok((!too_large).then_some(if negative { -number } else { number }))
}

/// Reads `real` text.
///
/// # Errors
/// 22P02 for text that is not a number, 22003 for one that a `real` cannot hold, not even nearly.
pub fn parse_float4(text: &str) -> Result<f32> {
    let trimmed = float_text(text, "real")?;
    let number: f32 = trimmed.parse().map_err(|_| invalid("real", text))?;
    let lost = (number.is_infinite() || number == 0.0) && is_nonzero_number(trimmed);
    if lost { Err(out_of_float_range(trimmed, "real")) } else { Ok(number) }
}

/// Reads `double precision` text; errors as [`parse_float4`].
pub fn parse_float8(text: &str) -> Result<f64> {
    let trimmed = float_text(text, "double precision")?;
    let number: f64 = trimmed.parse().map_err(|_| invalid("double precision", text))?;
    let lost = (number.is_infinite() || number == 0.0) && is_nonzero_number(trimmed);
    if lost { Err(out_of_float_range(trimmed, "double precision")) } else { Ok(number) }
}

/// What both C and Rust read as a number: digits with a point and an exponent, or a word.
fn float_text<'a>(text: &'a str, type_name: &str) -> Result<&'a str> {
    let trimmed = trim(text);
    let unsigned = trimmed.strip_prefix(['+', '-']).unwrap_or(trimmed);
    let is_word = ["nan", "inf", "infinity"].iter().any(|word| unsigned.eq_ignore_ascii_case(word));
    let is_number = unsigned.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
    if is_word || is_number { Ok(trimmed) } else { Err(invalid(type_name, text)) }
}

fn is_nonzero_number(text: &str) -> bool {
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    mantissa.bytes().any(|b| (b'1'..=b'9').contains(&b))
}

fn out_of_float_range(text: &str, type_name: &str) -> crate::error::Error {
    crate::error::Error::new(crate::error::ErrorKind::NumericOutOfRange, format!("\"{text}\" is out of range for type {type_name}"))
}

/// Without the white space that C's `isspace` knows.
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c'])
}

/// Writes `real` under `extra_float_digits`: above 0 the shortest text that reads back as the same number.
pub fn format_float4(value: f32, extra_float_digits: i32) -> ValueText<32> {
    if !value.is_finite() {
        return special(f64::from(value));
    }
    if extra_float_digits > 0 {
        shortest4(value).write(SINGLE_FIXED_BELOW)
    } else {
        rounded(f64::from(value), SINGLE_DIGITS + extra_float_digits)
    }
}

/// Writes `double precision` under `extra_float_digits`, as [`format_float4`].
pub fn format_float8(value: f64, extra_float_digits: i32) -> ValueText<32> {
    if !value.is_finite() {
        return special(value);
    }
    if extra_float_digits > 0 {
        shortest8(value).write(DOUBLE_FIXED_BELOW)
    } else {
        rounded(value, DOUBLE_DIGITS + extra_float_digits)
    }
}

fn special(value: f64) -> ValueText<32> {
    let mut text = ValueText::new();
    text.push_bytes(if value.is_nan() {
        b"NaN"
    } else if value > 0.0 {
        b"Infinity"
    } else {
        b"-Infinity"
    });
    text
}

/// The shortest digits that lie between the middles to both neighbours.
///
/// Ryu as published also takes digits that lie exactly on such a middle if reading rounds them back; PostgreSQL's does not, so 1e23
/// prints as 9.999999999999999e+22. Only numbers in a small range can have a middle with so few digits.
fn shortest8(value: f64) -> Decimal {
    let mut buffer = ryu::Buffer::new();
    let decimal = Decimal::read(buffer.format_finite(value).as_bytes());
    if !(9e14..1e41).contains(&value.abs()) {
        return decimal;
    }
    let bits = value.to_bits();
    let mantissa = bits & ((1 << 52) - 1) | (1 << 52);
    let exponent = i32::try_from((bits >> 52) & 0x7ff).unwrap_or_default() - 1075;
    if !decimal.is_middle(mantissa, exponent, mantissa == 1 << 52) {
        return decimal;
    }
    let reads_back = |text: &str| text.parse() == Ok(value);
    Decimal::inside(value, 17, |text, decimal| reads_back(text) && !decimal.is_middle(mantissa, exponent, mantissa == 1 << 52))
}

/// As [`shortest8`].
fn shortest4(value: f32) -> Decimal {
    let mut buffer = ryu::Buffer::new();
    let decimal = Decimal::read(buffer.format_finite(value).as_bytes());
    if !(1e5..1e20).contains(&value.abs()) {
        return decimal;
    }
    let bits = value.to_bits();
    let mantissa = u64::from(bits & ((1 << 23) - 1) | (1 << 23));
    let exponent = i32::try_from((bits >> 23) & 0xff).unwrap_or_default() - 150;
    if !decimal.is_middle(mantissa, exponent, mantissa == 1 << 23) {
        return decimal;
    }
    let reads_back = |text: &str| text.parse() == Ok(value);
    Decimal::inside(f64::from(value), 9, |text, decimal| {
        reads_back(text) && !decimal.is_middle(mantissa, exponent, mantissa == 1 << 23)
    })
}

/// C's `%.*g`.
fn rounded(value: f64, digits: i32) -> ValueText<32> {
    let digits = digits.max(1);
    let mut scientific = ValueText::<32>::new();
    let precision = usize::try_from(digits - 1).unwrap_or_default();
    // A ValueText drops what does not fit instead of failing, and 15 digits with sign, point and exponent fit.
    let _ = write!(scientific, "{value:.precision$e}");
    Decimal::read(scientific.as_bytes()).write(digits)
}

/// Significant digits without trailing zeros: d.ddd * 10^exponent.
struct Decimal {
    negative: bool,
    digits: [u8; 24],
    count: usize,
    exponent: i32,
}

impl Decimal {
    fn read(number: &[u8]) -> Decimal {
        let mut decimal = Decimal { negative: false, digits: [b'0'; 24], count: 0, exponent: 0 };
        let mut before_point = true;
        let mut position = 0;
        while let Some(byte) = number.get(position) {
            position += 1;
            match byte {
                b'-' => decimal.negative = true,
                b'.' => before_point = false,
                b'e' | b'E' => {
                    decimal.exponent += exponent_of(&number[position..]);
                    break;
                }
                // A leading zero is no digit; behind the point it moves the first digit to the right.
                b'0' if decimal.count == 0 => decimal.exponent -= i32::from(!before_point),
                digit => {
                    decimal.exponent += i32::from(before_point && decimal.count > 0);
                    decimal.exponent -= i32::from(!before_point && decimal.count == 0);
                    if let Some(slot) = decimal.digits.get_mut(decimal.count) {
                        *slot = *digit;
                        decimal.count += 1;
                    }
                }
            }
        }
        while decimal.count > 0 && decimal.digits[decimal.count - 1] == b'0' {
            decimal.count -= 1;
        }
        if decimal.count == 0 {
            decimal.count = 1;
            decimal.exponent = 0;
        }
        decimal
    }

    /// The fewest digits, rounded correctly, that `fits` accepts.
    fn inside(value: f64, most_digits: usize, fits: impl Fn(&str, &Decimal) -> bool) -> Decimal {
        let mut decimal = Decimal { negative: false, digits: [b'0'; 24], count: 1, exponent: 0 };
        for precision in 0..most_digits {
            let mut text = ValueText::<32>::new();
            // 17 digits with sign, point and exponent fit.
            let _ = write!(text, "{value:.precision$e}");
            decimal = Decimal::read(text.as_bytes());
            if fits(text.as_str(), &decimal) {
                break;
            }
        }
        decimal
    }

    /// Whether the number lies in the middle between `mantissa` * 2^`exponent` and the number below or above it. Below a power of
    /// two the numbers lie twice as close.
    fn is_middle(&self, mantissa: u64, exponent: i32, is_power_of_two: bool) -> bool {
        let number = self.digits[..self.count].iter().fold(0_u128, |sum, digit| sum * 10 + u128::from(digit - b'0'));
        let power = self.exponent - i32::try_from(self.count).unwrap_or_default() + 1;
        let fives = |exponent: i32| {
            u32::try_from(exponent.max(0)).ok().filter(|exponent| *exponent <= 23).map(|exponent| 5_u128.pow(exponent))
        };
        let (Some(above), Some(below)) = (fives(power), fives(-power)) else { return false };
        let scaled = number * above;
        let twos = scaled.trailing_zeros();
        let matches = |middle: u64, exponent: i32| {
            u128::from(middle).checked_mul(below) == scaled.checked_shr(twos)
                && i32::try_from(twos).ok().map(|twos| twos + power) == Some(exponent)
        };
        let lower = if is_power_of_two { matches(4 * mantissa - 1, exponent - 2) } else { matches(2 * mantissa - 1, exponent - 1) };
        lower || matches(2 * mantissa + 1, exponent - 1)
    }

    /// Fixed notation for exponents from -4 up to `fixed_below`, else scientific with two exponent digits at least.
    fn write(&self, fixed_below: i32) -> ValueText<32> {
        let mut text = ValueText::new();
        if self.negative {
            text.push(b'-');
        }
        let digits = &self.digits[..self.count];
        if !(-4..fixed_below).contains(&self.exponent) {
            self.write_scientific(&mut text);
        } else if let Ok(exponent) = usize::try_from(self.exponent) {
            let whole = digits.len().min(exponent + 1);
            text.push_bytes(&digits[..whole]);
            text.push_bytes(&b"000000000000000"[..(exponent + 1 - whole).min(15)]);
            if digits.len() > whole {
                text.push(b'.');
                text.push_bytes(&digits[whole..]);
            }
        } else {
            text.push_bytes(b"0.");
            for _ in 1..-self.exponent {
                text.push(b'0');
            }
            text.push_bytes(digits);
        }
        text
    }

    fn write_scientific(&self, text: &mut ValueText<32>) {
        text.push(self.digits[0]);
        if self.count > 1 {
            text.push(b'.');
            text.push_bytes(&self.digits[1..self.count]);
        }
        text.push(b'e');
        text.push(if self.exponent < 0 { b'-' } else { b'+' });
        let magnitude = self.exponent.unsigned_abs();
        text.push_u64_padded(u64::from(magnitude), 2);
    }
}

fn exponent_of(digits: &[u8]) -> i32 {
    let (negative, digits) = match digits {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let magnitude = digits.iter().fold(0, |sum, digit| sum * 10 + i32::from(digit - b'0'));
    if negative { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn integers_are_read_as_postgresql_reads_them() {
        assert_eq!(parse_int4(" 42\n").unwrap(), 42);
        assert_eq!(parse_int4("+7").unwrap(), 7);
        assert_eq!(parse_int8("-9223372036854775808").unwrap(), i64::MIN);
        assert_eq!(parse_int4("0x1F").unwrap(), 31);
        assert_eq!(parse_int4("1_000").unwrap(), 1000);
        assert_eq!(parse_oid("-1").unwrap(), u32::MAX);
        assert_eq!(parse_oid("4294967295").unwrap(), u32::MAX);
        for wrong in ["", " ", "-", "1.5", "abc", "1_", "_1", "1__0", "0x", "1 2", "--1"] {
            let error = parse_int4(wrong).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidText, "{wrong}");
            assert_eq!(error.message(), format!("invalid input syntax for type integer: \"{wrong}\""));
        }
        let error = parse_int2("32768").unwrap_err();
        assert_eq!(
            (error.kind(), error.message()),
            (ErrorKind::NumericOutOfRange, "value \"32768\" is out of range for type smallint")
        );
        assert_eq!(parse_int8("99999999999999999999999999999999999999999999").unwrap_err().kind(), ErrorKind::NumericOutOfRange);
    }

    #[test]
    fn floats_are_read_as_postgresql_reads_them() {
        assert_eq!(parse_float8(" 1e3 ").unwrap(), 1000.0);
        assert_eq!(parse_float8("-infinity").unwrap(), f64::NEG_INFINITY);
        assert!(parse_float8("NaN").unwrap().is_nan());
        assert_eq!(parse_float8(".5").unwrap(), 0.5);
        assert_eq!(parse_float8("0e-999").unwrap(), 0.0);
        assert_eq!(parse_float8("1e400").unwrap_err().message(), "\"1e400\" is out of range for type double precision");
        assert_eq!(parse_float8("1e-400").unwrap_err().kind(), ErrorKind::NumericOutOfRange);
        assert_eq!(parse_float4("1e39").unwrap_err().message(), "\"1e39\" is out of range for type real");
        for wrong in ["", "x", "1e", "1..2", "infinit", "1 2", "e5"] {
            assert_eq!(parse_float8(wrong).unwrap_err().kind(), ErrorKind::InvalidText, "{wrong}");
        }
    }
}
