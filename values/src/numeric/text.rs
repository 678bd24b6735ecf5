//! The text of a numeric, and the limits that a type's precision and scale set.
//!
//! Text is read in two passes: the first checks the syntax and counts digits, so that a short number is then summed up without an
//! allocation, and `1e1000000000` is refused before anything is built.

use std::fmt;

use super::natural::Natural;
use super::wide::Wide;
use super::{MAX_SCALE, MAX_WHOLE_DIGITS, Numeric, Repr, SMALL_DIGITS, is_small, overflow, raised};
use crate::error::{Error, ErrorKind, Result};
use crate::input::invalid;
use crate::number::trim;

/// PostgreSQL's limit of an exponent, before which nothing else is looked at.
const MAX_EXPONENT: i64 = 0x3fff_ffff;

/// `numeric(precision, scale)`: at most `precision` digits, of which `scale` stand behind the point. The scale may be negative or
/// above the precision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NumericLimits {
    /// Digits in all, 1 to 1000.
    pub precision: u16,
    /// Digits behind the point, -1000 to 1000.
    pub scale: i16,
}

impl NumericLimits {
    /// Digits before the point; negative where that many zeros must follow it.
    fn whole_digits(self) -> i32 {
        i32::from(self.precision) - i32::from(self.scale)
    }

    fn overflow(self, what: impl fmt::Display) -> Error {
        let detail = format!("A field with precision {}, scale {} {what}", self.precision, self.scale);
        Error::new(ErrorKind::NumericOutOfRange, "numeric field overflow").with_detail(detail)
    }

    /// 22003 for a finite number.
    fn too_large(self) -> Error {
        match self.whole_digits() {
            0 => self.overflow("must round to an absolute value less than 1."),
            digits => self.overflow(format_args!("must round to an absolute value less than 10^{digits}.")),
        }
    }

    /// Rounds a number and checks its size.
    fn apply(self, wide: &Wide) -> Result<Wide> {
        let rounded = wide.rounded(i32::from(self.scale)).displayed();
        if !rounded.is_zero() && rounded.exponent() >= self.whole_digits() {
            return Err(self.too_large());
        }
        Ok(rounded)
    }
}

/// The parts of a number's text. Underscores may stand between the digits.
struct Parts<'a> {
    /// Digits with at most one point.
    mantissa: &'a str,
    /// Digits from the first that is not zero.
    significant: usize,
    /// Digits behind the point.
    fraction: i64,
    exponent: i64,
}

impl Parts<'_> {
    fn digits(&self) -> impl DoubleEndedIterator<Item = u8> {
        let first = self.mantissa.bytes().position(|byte| byte.is_ascii_digit() && byte != b'0').unwrap_or(self.mantissa.len());
        self.mantissa.as_bytes()[first..].iter().filter(|byte| byte.is_ascii_digit()).map(|byte| byte - b'0')
    }

    /// Digits behind the point once the exponent is applied; negative for zeros before it.
    fn scale(&self) -> i64 {
        self.fraction - self.exponent
    }

    /// The power of ten of the first digit that is not zero.
    fn first_place(&self) -> i64 {
        i64::try_from(self.significant).unwrap_or(i64::MAX) - self.scale() - 1
    }

    /// The number, whose size was checked.
    fn wide(&self, negative: bool) -> Wide {
        let scale = i32::try_from(self.scale()).unwrap_or_default();
        Wide::new(negative, Natural::from_digits(self.digits()), scale).displayed()
    }
}

/// A run of digits with underscores between them, which may be empty: its length in bytes and in digits. `None` if an underscore is
/// not followed by a digit.
fn digit_run(text: &str, radix: u32) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    let is_digit = |place: usize| bytes.get(place).is_some_and(|byte| char::from(*byte).is_digit(radix));
    let (mut place, mut digits) = (0, 0);
    loop {
        if is_digit(place) {
            digits += 1;
        } else if bytes.get(place) == Some(&b'_') {
            if !is_digit(place + 1) {
                return None;
            }
        } else {
            return Some((place, digits));
        }
        place += 1;
    }
}

/// The decimal number that `text` is, without sign and space.
///
/// # Errors
/// `Ok(None)` for what is no number, 22003 for an exponent beyond all bounds.
fn parts(text: &str) -> Result<Option<Parts<'_>>> {
    let (whole, rest) = match digit_run(text, 10) {
        Some((length, digits)) if !text.starts_with('_') => (digits, &text[length..]),
        _ => return Ok(None),
    };
    let (fraction, rest) = match rest.strip_prefix('.') {
        None => (0, rest),
        Some(after) => match digit_run(after, 10) {
            Some((length, digits)) if !after.starts_with('_') => (digits, &after[length..]),
            _ => return Ok(None),
        },
    };
    if whole + fraction == 0 {
        return Ok(None);
    }
    let mantissa = &text[..text.len() - rest.len()];
    let zeros = mantissa.bytes().take_while(|byte| !(b'1'..=b'9').contains(byte)).filter(u8::is_ascii_digit).count();
    let Some(exponent) = exponent(rest)? else { return Ok(None) };
    let fraction = i64::try_from(fraction).unwrap_or(i64::MAX);
    Ok(Some(Parts { mantissa, significant: whole + usize::try_from(fraction).unwrap_or_default() - zeros, fraction, exponent }))
}

/// What follows the digits: nothing, or an exponent.
fn exponent(text: &str) -> Result<Option<i64>> {
    let Some(after) = text.strip_prefix(['e', 'E']) else { return Ok(text.is_empty().then_some(0)) };
    let digits = after.strip_prefix(['+', '-']).unwrap_or(after);
    let (length, count) = match digit_run(digits, 10) {
        Some((length, count)) if count > 0 && !digits.starts_with('_') => (length, count),
        _ => return Ok(None),
    };
    let mut exponent = 0_i64;
    for digit in digits.bytes().take(length).filter(u8::is_ascii_digit).take(count) {
        exponent = exponent * 10 + i64::from(digit - b'0');
        if exponent > MAX_EXPONENT {
            return Err(overflow());
        }
    }
    Ok((length == digits.len()).then_some(if after.starts_with('-') { -exponent } else { exponent }))
}

/// An integer after `0x`, `0o` or `0b`; `Ok(None)` for what is no number.
fn prefixed(digits: &str, radix: u32) -> Result<Option<Natural>> {
    match digit_run(digits, radix) {
        Some((length, count)) if count > 0 && length == digits.len() => {}
        _ => return Ok(None),
    }
    // The binary digits, from the lowest: 64 of them in two hexadecimal halves, 63 in octal, 64 in binary.
    let bits = radix.ilog2();
    let per_word = 64 / bits;
    let values: Vec<u64> =
        digits.chars().filter_map(|digit| digit.to_digit(radix)).skip_while(|digit| *digit == 0).map(u64::from).collect();
    // As many bits as the longest number has: log2(10) is less than 3.33.
    if values.len() * usize::try_from(bits).unwrap_or_default() > usize::try_from(MAX_WHOLE_DIGITS).unwrap_or_default() * 333 / 100
    {
        return Err(overflow());
    }
    let mut number = Natural::zero();
    for word in values.chunks(usize::try_from(per_word).unwrap_or(1)) {
        let value = word.iter().fold(0_u64, |sum, digit| (sum << bits) | digit);
        let factor = 1_u128 << (bits * u32::try_from(word.len()).unwrap_or_default());
        number = number.times(&Natural::from_u128(factor)).plus(&Natural::from_u128(u128::from(value)));
    }
    Ok(Some(number))
}

impl Numeric {
    /// Reads numeric text: digits with a point, an exponent and underscores, an integer after `0x`, `0o` or `0b`, or the words for
    /// `NaN` and the infinities.
    ///
    /// # Errors
    /// 22P02 for text that is not a number, 22003 for one with too many digits.
    pub fn parse(text: &str) -> Result<Self> {
        Numeric::parse_with(text, None)
    }

    /// Reads numeric text as a value of a type with limits.
    ///
    /// # Errors
    /// As [`Numeric::parse`] and [`Numeric::with_limits`].
    pub fn parse_with(text: &str, limits: Option<NumericLimits>) -> Result<Self> {
        let trimmed = trim(text);
        let (negative, unsigned) = match trimmed.as_bytes() {
            [b'-', ..] => (true, &trimmed[1..]),
            [b'+', ..] => (false, &trimmed[1..]),
            _ => (false, trimmed),
        };
        let special = match unsigned.as_bytes().first() {
            Some(b'0'..=b'9' | b'.') => None,
            _ if trimmed.eq_ignore_ascii_case("nan") => Some(Numeric::NAN),
            _ if ["inf", "infinity"].iter().any(|word| unsigned.eq_ignore_ascii_case(word)) => Some(Numeric::infinity(negative)),
            _ => return Err(invalid("numeric", text)),
        };
        if let Some(special) = special {
            return limits.map_or_else(|| Ok(special.clone()), |limits| special.with_limits(limits));
        }
        let radix = match unsigned.as_bytes() {
            [b'0', b'x' | b'X', ..] => 16,
            [b'0', b'o' | b'O', ..] => 8,
            [b'0', b'b' | b'B', ..] => 2,
            _ => 10,
        };
        if radix != 10 {
            let number = prefixed(&unsigned[2..], radix)?.ok_or_else(|| invalid("numeric", text))?;
            let number = Wide::new(negative, number, 0);
            return Numeric::from_wide(limits.map_or_else(|| Ok(number.clone()), |limits| limits.apply(&number))?);
        }
        let parts = parts(unsigned)?.ok_or_else(|| invalid("numeric", text))?;
        match limits {
            None => from_parts(&parts, negative),
            Some(limits) => from_parts_within(&parts, negative, limits),
        }
    }

    /// The number rounded to a type's scale.
    ///
    /// # Errors
    /// 22003 `numeric field overflow` if it has too many digits before the point then, or is infinite.
    pub fn with_limits(&self, limits: NumericLimits) -> Result<Self> {
        match &self.repr {
            Repr::NaN => Ok(Numeric::NAN),
            Repr::Infinity { .. } => Err(limits.overflow("cannot hold an infinite value.")),
            Repr::Small { unscaled, scale } => match small_within(*unscaled, *scale, limits) {
                Some(number) => Ok(number),
                None => limits.apply(&Wide::from_i128(*unscaled, i32::from(*scale))).map(Numeric::within_limits),
            },
            Repr::Large(wide) => limits.apply(wide).map(Numeric::within_limits),
        }
    }

    /// Appends the text: the sign, the digits, and as many of them behind the point as the display scale says.
    pub fn write_text(&self, out: &mut Vec<u8>) {
        match &self.repr {
            Repr::NaN => out.extend_from_slice(b"NaN"),
            Repr::Infinity { negative: false } => out.extend_from_slice(b"Infinity"),
            Repr::Infinity { negative: true } => out.extend_from_slice(b"-Infinity"),
            Repr::Small { unscaled, scale } => {
                let (digits, length) = decimal_text(unscaled.unsigned_abs());
                write_scaled(*unscaled < 0, &digits[digits.len() - length..], usize::from(*scale), out);
            }
            Repr::Large(wide) => {
                let mut digits = Vec::with_capacity(wide.digits().digits() + 9);
                wide.digits().write_digits(&mut digits);
                write_scaled(wide.is_negative(), &digits, usize::try_from(wide.scale()).unwrap_or_default(), out);
            }
        }
    }
}

/// The number of text without limits.
fn from_parts(parts: &Parts<'_>, negative: bool) -> Result<Numeric> {
    let scale = parts.scale().max(0);
    let too_long = parts.significant > 0 && parts.first_place() >= i64::from(MAX_WHOLE_DIGITS);
    if too_long || scale > i64::from(MAX_SCALE) {
        return Err(overflow());
    }
    let zeros = u32::try_from(-parts.scale()).unwrap_or_default();
    if parts.significant <= SMALL_DIGITS {
        let unscaled = parts.digits().fold(0, |sum, digit| sum * 10 + i128::from(digit));
        let unscaled = raised(if negative { -unscaled } else { unscaled }, zeros).filter(|number| is_small(*number));
        if let (Some(unscaled), Ok(scale)) = (unscaled, u16::try_from(scale)) {
            return Ok(Numeric::small(unscaled, scale));
        }
    }
    Numeric::from_wide(parts.wide(negative))
}

/// The number of text within limits, which decide before the number's own length does.
fn from_parts_within(parts: &Parts<'_>, negative: bool, limits: NumericLimits) -> Result<Numeric> {
    let place = parts.first_place();
    if parts.significant == 0 || place < -i64::from(limits.scale) - 1 {
        return Ok(Numeric::within_limits(Wide::zero(i32::from(limits.scale).max(0))));
    }
    if place >= i64::from(limits.whole_digits()) {
        return Err(limits.too_large());
    }
    limits.apply(&parts.wide(negative)).map(Numeric::within_limits)
}

/// A short number that need not be rounded; `None` if it must be, or is too large.
fn small_within(unscaled: i128, scale: u16, limits: NumericLimits) -> Option<Numeric> {
    let wanted = u16::try_from(limits.scale).ok()?;
    let limit = super::POWERS.get(usize::from(limits.precision))?;
    let number = raised(unscaled, u32::from(wanted.checked_sub(scale)?))?;
    (number.unsigned_abs() < *limit && is_small(number)).then_some(Numeric::small(number, wanted))
}

/// Writes digits with a point before the last `scale` of them.
fn write_scaled(negative: bool, digits: &[u8], scale: usize, out: &mut Vec<u8>) {
    if negative {
        out.push(b'-');
    }
    let whole = digits.len().saturating_sub(scale);
    out.extend_from_slice(if whole == 0 { b"0" } else { &digits[..whole] });
    if scale > 0 {
        out.push(b'.');
        out.resize(out.len() + scale.saturating_sub(digits.len()), b'0');
        out.extend_from_slice(&digits[whole..]);
    }
}

/// The decimal digits at the end of a buffer, and how many they are: none for zero.
#[inline]
fn decimal_text(value: u128) -> ([u8; 39], usize) {
    const CHUNK: u128 = 10_u128.pow(19);
    let mut digits = [b'0'; 39];
    let mut length = 0;
    let mut rest = value;
    while rest > 0 {
        let (mut low, high) = match u64::try_from(rest) {
            Ok(short) => (short, 0),
            Err(_) => (u64::try_from(rest % CHUNK).unwrap_or_default(), rest / CHUNK),
        };
        let start = length;
        while low > 0 {
            length += 1;
            digits[39 - length] = b'0' + u8::try_from(low % 10).unwrap_or_default();
            low /= 10;
        }
        rest = high;
        if rest > 0 {
            length = start + 19;
        }
    }
    (digits, length)
}

impl fmt::Display for Numeric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::with_capacity(48);
        self.write_text(&mut text);
        f.pad(std::str::from_utf8(&text).unwrap_or_default())
    }
}
