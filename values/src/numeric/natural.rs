//! Natural numbers of any length, in base 10^9: every power of ten is a shift, so scales and rounding cost one pass.
//!
//! Multiplication and division are the schoolbook's: a numeric has at most some 16,000 limbs, and nearly always fewer than ten.

use std::cmp::Ordering;

/// The base of the limbs.
const BASE: u64 = 1_000_000_000;
/// Decimal digits of one limb.
pub(super) const LIMB_DIGITS: usize = 9;
/// Rows of products that a column of 64 bits holds besides a normalized limb: 18 * (10^9 - 1)^2 < 2^64.
const ROWS: usize = 16;

/// 10^n for every n that an `u128` holds.
pub(super) const POWERS: [u128; 39] = {
    let mut powers = [1_u128; 39];
    let mut exponent = 1;
    while exponent < 39 {
        powers[exponent] = powers[exponent - 1] * 10;
        exponent += 1;
    }
    powers
};

/// 10^n for every n below [`LIMB_DIGITS`].
const LIMB_POWERS: [u32; LIMB_DIGITS] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

/// Decimal digits of `value`: 0 for 0.
#[inline]
pub(super) const fn digits_of_u128(value: u128) -> usize {
    // An estimate from the number of bits (1233/4096 is a little more than log10 2), corrected by one comparison.
    let bits = (128 - value.leading_zeros()) as usize;
    let estimate = (bits * 1233) >> 12;
    if estimate < POWERS.len() && value >= POWERS[estimate] { estimate + 1 } else { estimate }
}

/// A natural number: limbs from the lowest, the highest not zero, none for zero.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Natural {
    limbs: Vec<u32>,
}

/// The lower part of a number below [`BASE`] squared, and the rest.
#[inline]
const fn split(value: u64) -> (u32, u64) {
    ((value % BASE) as u32, value / BASE)
}

impl Natural {
    pub(super) fn zero() -> Self {
        Natural::default()
    }

    fn from_limbs(mut limbs: Vec<u32>) -> Self {
        while limbs.last() == Some(&0) {
            limbs.pop();
        }
        Natural { limbs }
    }

    pub(super) fn from_u128(mut value: u128) -> Self {
        let mut limbs = Vec::with_capacity(5);
        while let Ok(short) = u64::try_from(value)
            && short > 0
        {
            let (low, high) = split(short);
            limbs.push(low);
            value = u128::from(high);
        }
        if value > 0 {
            let low = Natural::from_u128(value % u128::from(BASE * BASE));
            let high = Natural::from_u128(value / u128::from(BASE * BASE));
            limbs = low.limbs;
            limbs.resize(2, 0);
            limbs.extend(high.limbs);
        }
        Natural::from_limbs(limbs)
    }

    /// The number with these binary digits, 64 at a time from the lowest.
    pub(super) fn from_binary(words: &[u64]) -> Self {
        let mut words = words.to_vec();
        let mut limbs = Vec::with_capacity(words.len() * 3);
        while words.iter().any(|word| *word != 0) {
            let mut remainder = 0_u64;
            for word in words.iter_mut().rev() {
                let upper = (remainder << 32) | (*word >> 32);
                let lower = ((upper % BASE) << 32) | (*word & 0xffff_ffff);
                *word = ((upper / BASE) << 32) | (lower / BASE);
                remainder = lower % BASE;
            }
            limbs.push(split(remainder).0);
        }
        Natural::from_limbs(limbs)
    }

    /// The binary digits, 64 at a time from the lowest; `None` if there are more than fit.
    pub(super) fn to_binary<const N: usize>(&self) -> Option<[u64; N]> {
        let mut words = [0_u64; N];
        for limb in self.limbs.iter().rev() {
            let mut carry = u128::from(*limb);
            for word in &mut words {
                let value = u128::from(*word) * u128::from(BASE) + carry;
                #[expect(clippy::cast_possible_truncation, reason = "the upper half is carried")]
                {
                    *word = value as u64;
                }
                carry = value >> 64;
            }
            if carry != 0 {
                return None;
            }
        }
        Some(words)
    }

    /// The number that these decimal digits (values, not characters) spell, the highest first.
    pub(super) fn from_digits(digits: impl DoubleEndedIterator<Item = u8>) -> Self {
        let mut limbs = Vec::new();
        let mut limb = 0;
        let mut place = 0;
        for digit in digits.rev() {
            limb += u32::from(digit) * LIMB_POWERS[place];
            place += 1;
            if place == LIMB_DIGITS {
                limbs.push(limb);
                (limb, place) = (0, 0);
            }
        }
        limbs.push(limb);
        Natural::from_limbs(limbs)
    }

    /// The number as `u128`, if it has at most 38 digits.
    pub(super) fn to_u128(&self) -> Option<u128> {
        (self.digits() <= 38).then(|| self.limbs.iter().rev().fold(0, |sum, limb| sum * u128::from(BASE) + u128::from(*limb)))
    }

    pub(super) fn is_zero(&self) -> bool {
        self.limbs.is_empty()
    }

    pub(super) fn is_odd(&self) -> bool {
        self.limbs.first().is_some_and(|limb| limb % 2 == 1)
    }

    /// Number of decimal digits: 0 for 0.
    pub(super) fn digits(&self) -> usize {
        let Some(top) = self.limbs.last() else { return 0 };
        (self.limbs.len() - 1) * LIMB_DIGITS + digits_of_u128(u128::from(*top))
    }

    /// Zeros at the end of the decimal digits: 0 for 0.
    pub(super) fn trailing_zeros(&self) -> usize {
        let zeros = self.limbs.iter().take_while(|limb| **limb == 0).count();
        let Some(limb) = self.limbs.get(zeros) else { return 0 };
        zeros * LIMB_DIGITS + LIMB_POWERS.iter().skip(1).take_while(|power| limb % **power == 0).count()
    }

    /// Multiplies by 10^`exponent`.
    pub(super) fn shifted(&self, exponent: usize) -> Natural {
        if self.is_zero() || exponent == 0 {
            return self.clone();
        }
        let mut limbs = vec![0; exponent / LIMB_DIGITS];
        limbs.reserve(self.limbs.len() + 1);
        let power = u64::from(LIMB_POWERS[exponent % LIMB_DIGITS]);
        let mut carry = 0;
        for limb in &self.limbs {
            let low;
            (low, carry) = split(u64::from(*limb) * power + carry);
            limbs.push(low);
        }
        limbs.push(split(carry).0);
        Natural::from_limbs(limbs)
    }

    /// Divides by 10^`exponent`, without what is behind the point.
    pub(super) fn truncated(&self, exponent: usize) -> Natural {
        let Some(kept) = self.limbs.get(exponent / LIMB_DIGITS..) else { return Natural::zero() };
        let power = LIMB_POWERS[exponent % LIMB_DIGITS];
        Natural { limbs: kept.to_vec() }.divided_by_limb(power).0
    }

    /// Divides by 10^`exponent` and rounds half up.
    pub(super) fn rounded(&self, exponent: usize) -> Natural {
        let quotient = self.truncated(exponent);
        if exponent > 0 && self.digit(exponent - 1) >= 5 { quotient.plus(&Natural::from_u128(1)) } else { quotient }
    }

    /// The decimal digit at 10^`place`.
    pub(super) fn digit(&self, place: usize) -> u32 {
        let limb = self.limbs.get(place / LIMB_DIGITS).copied().unwrap_or_default();
        limb / LIMB_POWERS[place % LIMB_DIGITS] % 10
    }

    pub(super) fn plus(&self, other: &Natural) -> Natural {
        let (long, short) = if self.limbs.len() >= other.limbs.len() { (self, other) } else { (other, self) };
        let mut limbs = Vec::with_capacity(long.limbs.len() + 1);
        let mut carry = 0;
        for (place, limb) in long.limbs.iter().enumerate() {
            let low;
            (low, carry) = split(u64::from(*limb) + short.limbs.get(place).map_or(0, |limb| u64::from(*limb)) + carry);
            limbs.push(low);
        }
        limbs.push(split(carry).0);
        Natural::from_limbs(limbs)
    }

    /// The difference from a number that is not greater.
    pub(super) fn minus(&self, other: &Natural) -> Natural {
        let mut borrow = 0;
        let mut limbs = Vec::with_capacity(self.limbs.len());
        for (place, limb) in self.limbs.iter().enumerate() {
            let value = u64::from(*limb) + BASE - other.limbs.get(place).map_or(0, |limb| u64::from(*limb)) - borrow;
            borrow = u64::from(value < BASE);
            limbs.push(split(value).0);
        }
        Natural::from_limbs(limbs)
    }

    pub(super) fn times(&self, other: &Natural) -> Natural {
        let (long, short) = if self.limbs.len() >= other.limbs.len() { (self, other) } else { (other, self) };
        let mut columns = vec![0_u64; long.limbs.len() + short.limbs.len() + 1];
        for (block, rows) in short.limbs.chunks(ROWS).enumerate() {
            let start = block * ROWS;
            for (row, factor) in rows.iter().enumerate() {
                let factor = u64::from(*factor);
                for (column, limb) in columns[start + row..].iter_mut().zip(&long.limbs) {
                    *column += factor * u64::from(*limb);
                }
            }
            let mut carry = 0;
            for column in columns[start..].iter_mut().take(long.limbs.len() + ROWS + 2) {
                let (low, high) = split(*column + carry);
                *column = u64::from(low);
                carry = high;
            }
        }
        Natural::from_limbs(columns.into_iter().map(|column| split(column).0).collect())
    }

    /// Multiplies by a number below 10^9.
    pub(super) fn times_limb(&mut self, factor: u32) {
        let mut carry = 0;
        for limb in &mut self.limbs {
            (*limb, carry) = split(u64::from(*limb) * u64::from(factor) + carry);
        }
        if carry > 0 {
            self.limbs.push(split(carry).0);
        }
    }

    /// Quotient and remainder of the division by a number below 2^32 that is not zero.
    pub(super) fn divided_by_limb(&self, divisor: u32) -> (Natural, u32) {
        if divisor == 1 {
            return (self.clone(), 0);
        }
        let divisor = u64::from(divisor.max(1));
        let mut remainder = 0;
        let mut limbs = self.limbs.clone();
        for limb in limbs.iter_mut().rev() {
            let value = remainder * BASE + u64::from(*limb);
            *limb = split(value / divisor).0;
            remainder = value % divisor;
        }
        (Natural::from_limbs(limbs), u32::try_from(remainder).unwrap_or_default())
    }

    /// Quotient and remainder of the division by a number that is not zero (Knuth, volume 2, algorithm D).
    pub(super) fn divided_by(&self, divisor: &Natural) -> (Natural, Natural) {
        if self.compare(divisor) == Ordering::Less {
            return (Natural::zero(), self.clone());
        }
        if let (Some(dividend), Some(divisor)) = (self.to_u128(), divisor.to_u128().filter(|divisor| *divisor > 0)) {
            return (Natural::from_u128(dividend / divisor), Natural::from_u128(dividend % divisor));
        }
        match divisor.limbs.as_slice() {
            [] => (Natural::zero(), Natural::zero()),
            [limb] => {
                let (quotient, remainder) = self.divided_by_limb(*limb);
                (quotient, Natural::from_u128(u128::from(remainder)))
            }
            [.., top] => {
                // The highest limb of the divisor must be at least half the base, so that guesses are off by two at most.
                let factor = u32::try_from(BASE / (u64::from(*top) + 1)).unwrap_or(1);
                let (mut dividend, mut scaled) = (self.clone(), divisor.clone());
                dividend.times_limb(factor);
                scaled.times_limb(factor);
                dividend.limbs.resize(self.limbs.len() + 1, 0);
                let quotient = long_division(&mut dividend.limbs, &scaled.limbs);
                let remainder = Natural::from_limbs(dividend.limbs).divided_by_limb(factor).0;
                (Natural::from_limbs(quotient), remainder)
            }
        }
    }

    /// The integer square root.
    pub(super) fn square_root(&self) -> Natural {
        if let Some(short) = self.to_u128() {
            return Natural::from_u128(short.isqrt());
        }
        // The root of the upper half of the digits is a guess from above with half of the root's digits, and Newton's iteration
        // falls from there until it is exact.
        let lower = (self.limbs.len() / 4).max(1);
        let upper = Natural { limbs: self.limbs.get(2 * lower..).unwrap_or_default().to_vec() };
        let mut root = upper.square_root().plus(&Natural::from_u128(1)).shifted(lower * LIMB_DIGITS);
        loop {
            let next = root.plus(&self.divided_by(&root).0).divided_by_limb(2).0;
            if next.compare(&root) != Ordering::Less {
                return root;
            }
            root = next;
        }
    }

    pub(super) fn compare(&self, other: &Natural) -> Ordering {
        self.limbs.len().cmp(&other.limbs.len()).then_with(|| self.limbs.iter().rev().cmp(other.limbs.iter().rev()))
    }

    /// Writes the decimal digits as ASCII, without leading zeros; nothing for zero.
    pub(super) fn write_digits(&self, out: &mut Vec<u8>) {
        let mut limbs = self.limbs.iter().rev();
        let Some(top) = limbs.next() else { return };
        let start = out.len();
        for limb in std::iter::once(top).chain(limbs) {
            let mut digits = [0; LIMB_DIGITS];
            let mut rest = *limb;
            for digit in digits.iter_mut().rev() {
                *digit = b'0' + u8::try_from(rest % 10).unwrap_or_default();
                rest /= 10;
            }
            out.extend_from_slice(&digits);
        }
        let zeros = LIMB_DIGITS - digits_of_u128(u128::from(*top));
        out.drain(start..start + zeros);
    }
}

/// Divides in place: the quotient is returned, the remainder stays in `dividend`. Both are scaled so that the divisor's highest limb
/// is at least half the base, and the dividend has a limb more than its digits need.
fn long_division(dividend: &mut [u32], divisor: &[u32]) -> Vec<u32> {
    let length = divisor.len();
    let (top, second) = (u64::from(divisor[length - 1]), u64::from(divisor[length - 2]));
    let mut quotient = vec![0; dividend.len() - length];
    for place in (0..quotient.len()).rev() {
        let window = &mut dividend[place..=place + length];
        let head = u64::from(window[length]) * BASE + u64::from(window[length - 1]);
        let (mut guess, mut rest) = (head / top, head % top);
        while guess >= BASE || guess * second > rest * BASE + u64::from(window[length - 2]) {
            guess -= 1;
            rest += top;
            if rest >= BASE {
                break;
            }
        }
        if subtract_product(window, divisor, guess) {
            guess -= 1;
            add_back(window, divisor);
        }
        quotient[place] = split(guess).0;
    }
    quotient
}

/// Subtracts `divisor` * `factor`; true if the result is negative (and wrapped).
fn subtract_product(window: &mut [u32], divisor: &[u32], factor: u64) -> bool {
    let mut carry = 0;
    let mut borrow = 0;
    for (place, slot) in window.iter_mut().enumerate() {
        let (low, high) = split(divisor.get(place).map_or(0, |limb| u64::from(*limb)) * factor + carry);
        carry = high;
        let value = u64::from(*slot) + BASE - u64::from(low) - borrow;
        borrow = u64::from(value < BASE);
        *slot = split(value).0;
    }
    borrow > 0
}

/// Adds `divisor`; the carry out of the window undoes the wrap.
fn add_back(window: &mut [u32], divisor: &[u32]) {
    let mut carry = 0;
    for (place, slot) in window.iter_mut().enumerate() {
        (*slot, carry) = split(u64::from(*slot) + divisor.get(place).map_or(0, |limb| u64::from(*limb)) + carry);
    }
}
