//! The bytes of a numeric in a column: in the order of the values, and exact to the last shown zero.
//!
//! ```text
//!  encoding = key, display scale (2 bytes)
//!  key      = head, [far exponent (3 bytes)], digits in base 100 plus one, terminator
//! ```
//! Numbers are aligned to the point in base 100; the head says which power of 100 the first digit stands at, for powers near zero by
//! itself. A negative number has the complement of its magnitude's bytes. No key is the beginning of another, so whole encodings
//! compare as the values do, and equal values differ in nothing but the scale behind their keys.

use super::natural::{Natural, POWERS};
use super::wide::Wide;
use super::{MAX_SCALE, MAX_WHOLE_DIGITS, Numeric, Repr, is_small};

/// What an aggregate gathers on its way may have the digits of a sum of many squares.
const MOST_WHOLE_DIGITS: i32 = 2 * MAX_WHOLE_DIGITS + 100;
const LARGEST_SCALE: i32 = 2 * MAX_SCALE;

/// Heads, from the least value; those of negative numbers are the complements of the positive ones'.
const NEGATIVE_INFINITY: u8 = 0x01;
const ZERO: u8 = 0x80;
/// A power of 100 below [`NEAREST`], which follows.
const TINY: u8 = 0x81;
/// The head of the power 0.
const UNIT: i32 = 0xb0;
/// A power of 100 above [`FARTHEST`], which follows.
const HUGE: u8 = 0xfd;
const INFINITY: u8 = 0xfe;
const NAN: u8 = 0xff;

/// Powers that a head says alone.
const NEAREST: i32 = TINY as i32 + 1 - UNIT;
const FARTHEST: i32 = HUGE as i32 - 1 - UNIT;
/// What makes every far power positive.
const BIAS: i32 = 1 << 23;
/// Behind the last digit, which is at least 1.
const TERMINATOR: u8 = 0;
/// Bytes of the display scale.
const SCALE_BYTES: usize = 2;
/// Bytes of the longest encoding of a number of 38 digits: head, far power, 20 digits, terminator, scale.
const LONGEST_SMALL: usize = 1 + 3 + 20 + 1 + SCALE_BYTES;

/// The head and the far power of 100, of a positive number: bytes and their number.
#[inline]
fn head(power: i32) -> ([u8; 4], usize) {
    if (NEAREST..=FARTHEST).contains(&power) {
        return ([u8::try_from(power + UNIT).unwrap_or_default(), 0, 0, 0], 1);
    }
    let [_, high, middle, low] = (power + BIAS).to_be_bytes();
    ([if power < 0 { TINY } else { HUGE }, high, middle, low], 4)
}

impl Numeric {
    /// Appends the encoding.
    #[inline]
    pub fn encode(&self, out: &mut Vec<u8>) {
        match &self.repr {
            Repr::Small { unscaled, scale } => Numeric::encode_i128(*unscaled, *scale, out),
            Repr::Large(wide) => encode_wide(wide, out),
            Repr::NaN => out.extend_from_slice(&[NAN, 0, 0]),
            Repr::Infinity { negative } => out.extend_from_slice(&[if *negative { NEGATIVE_INFINITY } else { INFINITY }, 0, 0]),
        }
    }

    /// Appends the encoding of `unscaled` * 10^-`scale`. The scale is at most 16383.
    #[inline]
    pub fn encode_i128(unscaled: i128, scale: u16, out: &mut Vec<u8>) {
        if !is_small(unscaled) {
            return encode_wide(&Wide::from_i128(unscaled, i32::from(scale)), out);
        }
        if unscaled == 0 {
            out.push(ZERO);
            out.extend_from_slice(&scale.to_be_bytes());
            return;
        }
        let mut bytes = [0_u8; LONGEST_SMALL];
        let end = LONGEST_SMALL - SCALE_BYTES;
        bytes[end..].copy_from_slice(&scale.to_be_bytes());
        bytes[end - 1] = TERMINATOR;
        let (start, stop, lowest) = small_digits(unscaled.unsigned_abs(), scale, &mut bytes[4..end - 1]);
        // Zeros at the end were written but do not count: the terminator and the scale move up.
        let (start, stop) = (start + 4, stop + 4);
        let count = i32::try_from(stop - start).unwrap_or_default();
        let (front, length) = head(lowest + count - 1);
        bytes[start - length..start].copy_from_slice(&front[..length]);
        if stop < end - 1 {
            bytes[stop] = TERMINATOR;
            bytes[stop + 1..stop + 1 + SCALE_BYTES].copy_from_slice(&scale.to_be_bytes());
        }
        if unscaled < 0 {
            bytes[start - length..=stop].iter_mut().for_each(|byte| *byte = !*byte);
        }
        out.extend_from_slice(&bytes[start - length..stop + 1 + SCALE_BYTES]);
    }

    /// Reads an encoding; `None` for bytes that are none.
    #[inline]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        if let Some((unscaled, scale)) = Numeric::decode_i128(bytes) {
            return Some(Numeric::small(unscaled, scale));
        }
        match *bytes {
            [NAN, 0, 0] => Some(Numeric::NAN),
            [INFINITY, 0, 0] => Some(Numeric::INFINITY),
            [NEGATIVE_INFINITY, 0, 0] => Some(Numeric::NEGATIVE_INFINITY),
            _ => decode_wide(bytes),
        }
    }

    /// The encoding without the scale: equal bytes for equal values, ordered as they are.
    #[inline]
    pub fn key(encoded: &[u8]) -> &[u8] {
        encoded.split_last_chunk::<SCALE_BYTES>().map_or(encoded, |(key, _)| key)
    }

    /// Reads the encoding of a number of at most 38 digits: `unscaled` and `scale`. `None` for others, and for what is not finite.
    #[inline]
    pub fn decode_i128(encoded: &[u8]) -> Option<(i128, u16)> {
        let parts = Parts::of(encoded)?;
        let scale = parts.scale;
        if parts.digits.len() > 20 {
            return None;
        }
        // How far the last digit stands above the last shown one: an odd scale leaves half of it unused.
        let shift = parts.lowest() * 2 + i32::from(scale);
        let magnitude = match (shift, parts.digits) {
            (0, digits) => parts.number(digits)?,
            (_, []) => 0,
            (-1, [digits @ .., last]) => {
                let last = parts.digit(*last).filter(|last| last % 10 == 0)?;
                parts.number(digits)?.checked_mul(10)? + u128::from(last / 10)
            }
            (1.., digits) => parts.number(digits)?.checked_mul(*POWERS.get(usize::try_from(shift).ok()?)?)?,
            _ => return None,
        };
        let unscaled = i128::try_from(magnitude).ok().filter(|magnitude| is_small(*magnitude))?;
        Some((if parts.negative { -unscaled } else { unscaled }, scale))
    }
}

/// Writes the digits in base 100 plus one towards the end of `slots`: where they begin and end without the zeros at the end, and the
/// power of 100 of the last one.
#[inline]
fn small_digits(magnitude: u128, scale: u16, slots: &mut [u8]) -> (usize, usize, i32) {
    const CHUNK: u128 = 10_u128.pow(18);
    let mut lowest = -(i32::from(scale) + i32::from(scale % 2)) / 2;
    let mut place = slots.len();
    let mut push = |pair: u64| {
        place -= 1;
        slots[place] = u8::try_from(pair + 1).unwrap_or_default();
    };
    let mut rest = magnitude;
    // An odd scale leaves the lower half of the last digit unused.
    if scale % 2 == 1 {
        let (digit, higher) = match u64::try_from(rest) {
            Ok(short) => (short % 10, u128::from(short / 10)),
            Err(_) => (u64::try_from(rest % 10).unwrap_or_default(), rest / 10),
        };
        push(digit * 10);
        rest = higher;
    }
    while rest > 0 {
        let (mut low, high) = match u64::try_from(rest) {
            Ok(short) => (short, 0),
            Err(_) => (u64::try_from(rest % CHUNK).unwrap_or_default(), rest / CHUNK),
        };
        if high > 0 {
            for _ in 0..9 {
                push(low % 100);
                low /= 100;
            }
        } else {
            while low > 0 {
                push(low % 100);
                low /= 100;
            }
        }
        rest = high;
    }
    let mut end = slots.len();
    while end > place && slots[end - 1] == 1 {
        end -= 1;
        lowest += 1;
    }
    (place, end, lowest)
}

fn encode_wide(wide: &Wide, out: &mut Vec<u8>) {
    let scale = u16::try_from(wide.scale()).unwrap_or_default();
    let mut text = Vec::with_capacity(wide.digits().digits() + 10);
    let power = wide.exponent().div_euclid(2);
    // An even power of ten begins half a digit in base 100 later.
    if wide.exponent().rem_euclid(2) == 0 {
        text.push(b'0');
    }
    wide.digits().write_digits(&mut text);
    text.truncate(text.len() - wide.digits().trailing_zeros());
    if text.len() % 2 == 1 {
        text.push(b'0');
    }
    let (front, length) = head(power);
    let start = out.len();
    out.extend_from_slice(&front[..length]);
    out.extend(text.chunks_exact(2).map(|pair| (pair[0] - b'0') * 10 + (pair[1] - b'0') + 1));
    out.push(TERMINATOR);
    if wide.is_negative() {
        out[start..].iter_mut().for_each(|byte| *byte = !*byte);
    }
    out.extend_from_slice(&scale.to_be_bytes());
}

/// The parts of a finite number's encoding.
struct Parts<'a> {
    negative: bool,
    /// The power of 100 of the first digit.
    power: i32,
    /// As they are written, complemented or not.
    digits: &'a [u8],
    scale: u16,
}

impl<'a> Parts<'a> {
    #[inline]
    fn of(encoded: &'a [u8]) -> Option<Self> {
        let (key, scale) = encoded.split_last_chunk::<SCALE_BYTES>()?;
        let scale = u16::from_be_bytes(*scale);
        let (first, rest) = key.split_first()?;
        if i32::from(scale) > LARGEST_SCALE {
            return None;
        }
        if *first == ZERO {
            return rest.is_empty().then_some(Parts { negative: false, power: 0, digits: rest, scale });
        }
        let negative = *first < ZERO;
        let flip = if negative { 0xff } else { 0 };
        let (power, rest) = match first ^ flip {
            INFINITY | NAN => return None,
            TINY | HUGE => {
                let (power, rest) = rest.split_first_chunk::<3>()?;
                let [high, middle, low] = power.map(|byte| byte ^ flip);
                (i32::from_be_bytes([0, high, middle, low]) - BIAS, rest)
            }
            head => (i32::from(head) - UNIT, rest),
        };
        let (terminator, digits) = rest.split_last()?;
        let well_formed = terminator ^ flip == TERMINATOR && !digits.is_empty();
        well_formed.then_some(Parts { negative, power, digits, scale })
    }

    /// The number that some of the digits spell.
    #[inline]
    fn number(&self, digits: &[u8]) -> Option<u128> {
        /// Digits in base 100 that an `u64` holds, and the power of ten that they stand for.
        const CHUNK: usize = 9;
        const CHUNK_POWER: usize = 18;
        let base = |digits: &[u8]| digits.iter().try_fold(0_u64, |sum, digit| Some(sum * 100 + self.digit(*digit)?));
        if digits.len() <= CHUNK {
            return base(digits).map(u128::from);
        }
        let (high, low) = digits.split_at(digits.len() - CHUNK);
        self.number(high)?.checked_mul(POWERS[CHUNK_POWER])?.checked_add(u128::from(base(low)?))
    }

    /// The power of 100 of the last digit.
    #[inline]
    fn lowest(&self) -> i32 {
        self.power - i32::try_from(self.digits.len()).unwrap_or(i32::MAX / 2) + 1
    }

    #[inline]
    fn digit(&self, byte: u8) -> Option<u64> {
        let byte = if self.negative { !byte } else { byte };
        (1..=100).contains(&byte).then(|| u64::from(byte - 1))
    }
}

fn decode_wide(bytes: &[u8]) -> Option<Numeric> {
    let parts = Parts::of(bytes)?;
    let mut digits = Vec::with_capacity(parts.digits.len() * 2);
    for byte in parts.digits {
        let pair = u8::try_from(parts.digit(*byte)?).ok()?;
        digits.extend([pair / 10, pair % 10]);
    }
    let wide = Wide::new(parts.negative, Natural::from_digits(digits.into_iter()), -parts.lowest().checked_mul(2)?);
    let scale = i32::from(parts.scale);
    if wide.exponent() >= MOST_WHOLE_DIGITS || wide.min_scale() > scale {
        return None;
    }
    Some(Numeric::within_limits(wide.rounded(scale)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_power_of_a_hundred_has_its_head() {
        let last = MOST_WHOLE_DIGITS / 2;
        let heads: Vec<_> = (-MAX_SCALE..=last).map(|power| head(power).0).collect();
        assert!(heads.is_sorted());
    }
}
