//! Text of one value, built without an allocation.

use std::fmt;

/// Up to `N` bytes of ASCII text on the stack. The formatters know their longest text and choose `N` accordingly.
#[derive(Clone, Copy)]
pub struct ValueText<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

/// Two decimal digits for each number below 100.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[b'0'; 2]; 100];
    let mut number = 0;
    while number < 100 {
        #[expect(clippy::cast_possible_truncation, reason = "below 10")]
        {
            pairs[number] = [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
        }
        number += 1;
    }
    pairs
};

/// Number of decimal digits of `value`; 1 for 0.
pub(super) fn digits_of(value: u64) -> usize {
    // An estimate from the number of bits (1233/4096 is a little more than log10 2), corrected by one comparison.
    const POWERS: [u64; 20] = {
        let mut powers = [1_u64; 20];
        let mut exponent = 1;
        while exponent < 20 {
            powers[exponent] = powers[exponent - 1] * 10;
            exponent += 1;
        }
        powers
    };
    let bits = 64 - (value | 1).leading_zeros() as usize;
    let estimate = (bits * 1233) >> 12;
    estimate + usize::from((value | 1) >= POWERS[estimate])
}

/// Fills `slot` from its end with the last digits of `value` and returns the digits that are left.
#[inline]
fn write_backwards(slot: &mut [u8], mut value: u64) -> u64 {
    let mut pairs = slot.rchunks_exact_mut(2);
    for pair in pairs.by_ref() {
        pair.copy_from_slice(&PAIRS[(value % 100) as usize]);
        value /= 100;
    }
    if let [first] = pairs.into_remainder() {
        *first = PAIRS[(value % 10) as usize][1];
        value /= 10;
    }
    value
}

impl<const N: usize> ValueText<N> {
    /// No text yet.
    #[inline]
    pub const fn new() -> Self {
        ValueText { bytes: [0; N], length: 0 }
    }

    /// The text's bytes.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// The whole buffer and the length of the text in it, for copies of constant size.
    #[inline]
    pub fn parts(&self) -> (&[u8; N], usize) {
        (&self.bytes, self.length)
    }

    /// Appends one byte; text beyond `N` is dropped.
    #[inline]
    pub fn push(&mut self, byte: u8) {
        if let Some(slot) = self.bytes.get_mut(self.length) {
            *slot = byte;
            self.length += 1;
        }
    }

    /// Appends `text`; text beyond `N` is dropped.
    #[inline]
    pub fn push_bytes(&mut self, text: &[u8]) {
        let room = N - self.length;
        let text = &text[..text.len().min(room)];
        self.bytes[self.length..self.length + text.len()].copy_from_slice(text);
        self.length += text.len();
    }

    /// Appends a number below 100 as two digits.
    #[inline]
    pub(super) fn push_pair(&mut self, number: u32) {
        let pair = PAIRS[(number % 100) as usize];
        if let Some(slot) = self.bytes.get_mut(self.length..self.length + 2) {
            slot.copy_from_slice(&pair);
            self.length += 2;
        }
    }

    /// Appends `2024-02-29`; the year is below 10,000.
    #[inline]
    pub(super) fn push_iso_date(&mut self, year: u32, month: u32, day: u32) {
        let Some(slot) = self.bytes.get_mut(self.length..self.length + 10) else { return };
        let pair = |number: u32| PAIRS[(number % 100) as usize];
        slot[..2].copy_from_slice(&pair(year / 100));
        slot[2..4].copy_from_slice(&pair(year));
        slot[4] = b'-';
        slot[5..7].copy_from_slice(&pair(month));
        slot[7] = b'-';
        slot[8..].copy_from_slice(&pair(day));
        self.length += 10;
    }

    /// Appends `23:59:59`.
    #[inline]
    pub(super) fn push_clock(&mut self, hours: u32, minutes: u32, seconds: u32) {
        let Some(slot) = self.bytes.get_mut(self.length..self.length + 8) else { return };
        let pair = |number: u32| PAIRS[(number % 100) as usize];
        slot[..2].copy_from_slice(&pair(hours));
        slot[2] = b':';
        slot[3..5].copy_from_slice(&pair(minutes));
        slot[5] = b':';
        slot[6..].copy_from_slice(&pair(seconds));
        self.length += 8;
    }

    /// Appends `value` in decimal.
    #[inline]
    pub fn push_u64(&mut self, value: u64) {
        self.push_u64_padded(value, digits_of(value));
    }

    /// Appends `value` in decimal with leading zeros up to `width` digits, of which there must be enough.
    #[inline]
    pub(super) fn push_u64_padded(&mut self, value: u64, width: usize) {
        let width = width.max(digits_of(value));
        let Some(slot) = self.bytes.get_mut(self.length..self.length + width) else { return };
        self.length += width;
        write_backwards(slot, value);
    }

    /// Appends `magnitude` with a point before its last `scale` digits (1 or more), and a zero before a leading point.
    #[inline]
    pub(super) fn push_decimal(&mut self, magnitude: u64, scale: usize) {
        let digits = digits_of(magnitude).max(scale + 1);
        let Some(slot) = self.bytes.get_mut(self.length..self.length + digits + 1) else { return };
        self.length += digits + 1;
        let (whole, fraction) = slot.split_at_mut(digits - scale);
        fraction[0] = b'.';
        let rest = write_backwards(&mut fraction[1..], magnitude);
        write_backwards(whole, rest);
    }

    /// Appends `value` in decimal.
    #[inline]
    pub fn push_i64(&mut self, value: i64) {
        if value < 0 {
            self.push(b'-');
        }
        self.push_u64(value.unsigned_abs());
    }

    /// Drops the last `count` bytes.
    #[inline]
    pub(super) fn truncate_by(&mut self, count: usize) {
        self.length = self.length.saturating_sub(count);
    }
}

impl<const N: usize> Default for ValueText<N> {
    fn default() -> Self {
        ValueText::new()
    }
}

/// Text beyond `N` is dropped; writing never fails.
impl<const N: usize> fmt::Write for ValueText<N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push_bytes(text.as_bytes());
        Ok(())
    }
}

impl<const N: usize> fmt::Debug for ValueText<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl<const N: usize> fmt::Display for ValueText<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_have_their_digits() {
        let mut edges = vec![0, 1, 9, 10, 11, 99, 100, u64::MAX, i64::MAX as u64];
        edges.extend((0..20).flat_map(|exponent| [10_u64.pow(exponent) - 1, 10_u64.pow(exponent), 10_u64.pow(exponent) + 1]));
        edges.extend((0..64).flat_map(|bit| [(1_u64 << bit) - 1, 1 << bit]));
        for value in edges {
            let mut text = ValueText::<32>::new();
            text.push_u64(value);
            assert_eq!(text.as_str(), value.to_string());
        }
        let mut text = ValueText::<32>::new();
        text.push_i64(i64::MIN);
        assert_eq!(text.as_str(), "-9223372036854775808");
    }
}
