//! The working form of a finite numeric: a sign, all digits as one natural number, and a scale that may be negative.
//!
//! Every operation here takes the scale that its result has, as in PostgreSQL, which chooses scales by rules of its own: they count
//! digits in base 10000 ([`Wide::weight`]), which is why that base appears in a representation that does not use it.

use std::cmp::Ordering;

use super::natural::{Natural, POWERS, digits_of_u128};

/// Decimal digits of one of PostgreSQL's digits.
pub(super) const GROUP: i32 = 4;
/// Digits behind the wanted ones that a rounded product takes into account.
const GUARD_DIGITS: i32 = 9;

/// (-1)^`negative` * `digits` * 10^-`scale`. Zero is not negative.
#[derive(Debug, Clone)]
pub(super) struct Wide {
    negative: bool,
    digits: Natural,
    scale: i32,
}

/// Difference of two scales as a number of digits: 0 if negative.
fn gap(from: i32, to: i32) -> usize {
    usize::try_from(i64::from(to) - i64::from(from)).unwrap_or_default()
}

impl Wide {
    pub(super) fn new(negative: bool, digits: Natural, scale: i32) -> Self {
        Wide { negative: negative && !digits.is_zero(), digits, scale }
    }

    pub(super) fn zero(scale: i32) -> Self {
        Wide::new(false, Natural::zero(), scale)
    }

    pub(super) fn from_i128(value: i128, scale: i32) -> Self {
        Wide::new(value < 0, Natural::from_u128(value.unsigned_abs()), scale)
    }

    pub(super) fn one() -> Self {
        Wide::from_i128(1, 0)
    }

    /// The number and its scale, if it has at most 38 digits.
    pub(super) fn to_i128(&self) -> Option<i128> {
        let magnitude = i128::try_from(self.digits.to_u128()?).ok()?;
        Some(if self.negative { -magnitude } else { magnitude })
    }

    pub(super) fn is_zero(&self) -> bool {
        self.digits.is_zero()
    }

    pub(super) fn is_negative(&self) -> bool {
        self.negative
    }

    pub(super) fn digits(&self) -> &Natural {
        &self.digits
    }

    pub(super) fn scale(&self) -> i32 {
        self.scale
    }

    /// The power of ten of the first digit; 0 for zero.
    pub(super) fn exponent(&self) -> i32 {
        if self.is_zero() {
            return 0;
        }
        let digits = i64::try_from(self.digits.digits()).unwrap_or(i64::MAX);
        let exponent = digits - i64::from(self.scale) - 1;
        i32::try_from(exponent).unwrap_or(if exponent < 0 { i32::MIN / 2 } else { i32::MAX / 2 })
    }

    /// The power of 10000 of the first digit in that base; 0 for zero.
    pub(super) fn weight(&self) -> i32 {
        self.exponent().div_euclid(GROUP)
    }

    /// The first `count` digits in base 10000, fewer if only zeros follow; none for zero.
    pub(super) fn leading_groups(&self, count: i32) -> Vec<u16> {
        if self.is_zero() {
            return Vec::new();
        }
        let mut groups = Vec::new();
        // How far the lowest digit of the group stands above the lowest digit of all.
        let mut place = i64::from(self.weight()) * i64::from(GROUP) + i64::from(self.scale);
        let zeros = i64::try_from(self.digits.trailing_zeros()).unwrap_or(i64::MAX);
        for _ in 0..count {
            if place + i64::from(GROUP) <= zeros {
                break;
            }
            let digit = |above: i64| usize::try_from(place + above).map_or(0, |place| self.digits.digit(place));
            let group = digit(3) * 1000 + digit(2) * 100 + digit(1) * 10 + digit(0);
            groups.push(u16::try_from(group).unwrap_or_default());
            place -= i64::from(GROUP);
        }
        groups
    }

    /// Whether nothing is behind the point.
    pub(super) fn is_integral(&self) -> bool {
        self.is_zero() || i64::try_from(self.digits.trailing_zeros()).unwrap_or(i64::MAX) >= i64::from(self.scale)
    }

    /// Whether an integral number is odd.
    pub(super) fn is_odd(&self) -> bool {
        self.scale >= 0 && self.digits.truncated(gap(0, self.scale)).is_odd()
    }

    /// Digits behind the point that are needed.
    pub(super) fn min_scale(&self) -> i32 {
        let zeros = i32::try_from(self.digits.trailing_zeros()).unwrap_or(i32::MAX);
        if self.is_zero() { 0 } else { self.scale.saturating_sub(zeros).max(0) }
    }

    #[must_use]
    pub(super) fn negated(self) -> Self {
        Wide::new(!self.negative, self.digits, self.scale)
    }

    #[must_use]
    pub(super) fn absolute(self) -> Self {
        Wide::new(false, self.digits, self.scale)
    }

    /// Rounded half away from zero.
    #[must_use]
    pub(super) fn rounded(&self, scale: i32) -> Self {
        let digits = if scale < self.scale {
            self.digits.rounded(gap(scale, self.scale))
        } else {
            self.digits.shifted(gap(self.scale, scale))
        };
        Wide::new(self.negative, digits, scale)
    }

    /// Rounded towards zero.
    #[must_use]
    pub(super) fn truncated(&self, scale: i32) -> Self {
        if scale >= self.scale {
            return self.rounded(scale);
        }
        Wide::new(self.negative, self.digits.truncated(gap(scale, self.scale)), scale)
    }

    /// A scale below zero becomes zero.
    #[must_use]
    pub(super) fn displayed(self) -> Self {
        if self.scale < 0 { self.rounded(0) } else { self }
    }

    pub(super) fn compare(&self, other: &Wide) -> Ordering {
        match (self.negative, other.negative) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, false) => self.compare_magnitudes(other),
            (true, true) => other.compare_magnitudes(self),
        }
    }

    pub(super) fn compare_magnitudes(&self, other: &Wide) -> Ordering {
        if self.is_zero() || other.is_zero() {
            return other.is_zero().cmp(&self.is_zero());
        }
        self.exponent().cmp(&other.exponent()).then_with(|| {
            let scale = self.scale.max(other.scale);
            self.digits.shifted(gap(self.scale, scale)).compare(&other.digits.shifted(gap(other.scale, scale)))
        })
    }

    /// The exact sum.
    #[must_use]
    pub(super) fn plus(&self, other: &Wide) -> Self {
        let scale = self.scale.max(other.scale);
        let (left, right) = (self.digits.shifted(gap(self.scale, scale)), other.digits.shifted(gap(other.scale, scale)));
        if self.negative == other.negative {
            return Wide::new(self.negative, left.plus(&right), scale);
        }
        match left.compare(&right) {
            Ordering::Less => Wide::new(other.negative, right.minus(&left), scale),
            _ => Wide::new(self.negative, left.minus(&right), scale),
        }
    }

    /// The exact difference.
    #[must_use]
    pub(super) fn minus(&self, other: &Wide) -> Self {
        self.plus(&other.clone().negated())
    }

    /// The exact product.
    #[must_use]
    pub(super) fn times(&self, other: &Wide) -> Self {
        Wide::new(self.negative != other.negative, self.digits.times(&other.digits), self.scale.saturating_add(other.scale))
    }

    /// The product rounded to `scale`. Digits of the factors that can matter only far behind it are left out.
    #[must_use]
    pub(super) fn times_to(&self, other: &Wide, scale: i32) -> Self {
        let (left, right) = (self.significant(other, scale), other.significant(self, scale));
        left.as_ref().unwrap_or(self).times(right.as_ref().unwrap_or(other)).rounded(scale)
    }

    /// This factor without the digits that do not matter to the product with `other` at `scale`; `None` if all do.
    fn significant(&self, other: &Wide, scale: i32) -> Option<Wide> {
        let enough = i64::from(scale) + i64::from(other.exponent()) + 1 + i64::from(GUARD_DIGITS);
        let enough = i32::try_from(enough).ok()?;
        (enough < self.scale).then(|| self.truncated(enough))
    }

    /// The quotient by a number that is not zero, at `scale`: rounded half away from zero, or towards it.
    #[must_use]
    pub(super) fn divided_by(&self, divisor: &Wide, scale: i32, round: bool) -> Self {
        let shift = i64::from(scale) - i64::from(self.scale) + i64::from(divisor.scale);
        let distance = usize::try_from(shift.unsigned_abs()).unwrap_or_default();
        let (numerator, denominator) = if shift >= 0 {
            (self.digits.shifted(distance), divisor.digits.clone())
        } else {
            (self.digits.clone(), divisor.digits.shifted(distance))
        };
        let (mut quotient, mut remainder) = numerator.divided_by(&denominator);
        if round {
            remainder.times_limb(2);
            if remainder.compare(&denominator) != Ordering::Less {
                quotient = quotient.plus(&Natural::from_u128(1));
            }
        }
        Wide::new(self.negative != divisor.negative, quotient, scale)
    }

    /// The quotient by a small number that is not zero, rounded half away from zero at `scale`.
    #[must_use]
    pub(super) fn divided_by_limb(&self, divisor: u32, scale: i32) -> Self {
        if scale < self.scale {
            return self.divided_by(&Wide::from_i128(i128::from(divisor), 0), scale, true);
        }
        let (mut quotient, remainder) = self.digits.shifted(gap(self.scale, scale)).divided_by_limb(divisor);
        if u64::from(remainder) * 2 >= u64::from(divisor) {
            quotient = quotient.plus(&Natural::from_u128(1));
        }
        Wide::new(self.negative, quotient, scale)
    }

    /// The remainder of the division by a number that is not zero, with this number's sign.
    #[must_use]
    pub(super) fn remainder(&self, divisor: &Wide) -> Self {
        let scale = self.scale.max(divisor.scale);
        let (left, right) = (self.digits.shifted(gap(self.scale, scale)), divisor.digits.shifted(gap(divisor.scale, scale)));
        Wide::new(self.negative, left.divided_by(&right).1, scale)
    }

    /// The square root of a number that is not negative, rounded at `scale`, which may be negative.
    #[must_use]
    pub(super) fn square_root(&self, scale: i32) -> Self {
        // One digit more than wanted decides the rounding: the root is truncated there, and half rounds up.
        let finer = scale + 1;
        let digits = self.truncated(2 * finer).digits;
        Wide::new(false, digits.square_root(), finer).rounded(scale)
    }

    /// The nearest double; infinite if there is none.
    pub(super) fn to_f64(&self) -> f64 {
        let mut text = Vec::new();
        // More digits than decide the rounding of a double.
        let surplus = self.digits.digits().saturating_sub(800);
        self.digits.truncated(surplus).write_digits(&mut text);
        let mut exponent = i64::try_from(surplus).unwrap_or_default() - i64::from(self.scale);
        if self.digits.trailing_zeros() < surplus {
            text.push(b'1');
            exponent -= 1;
        }
        text.extend_from_slice(format!("e{exponent}").as_bytes());
        let magnitude = std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok()).unwrap_or(0.0);
        if self.negative { -magnitude } else { magnitude }
    }
}

/// The first digit in base 10000 and its weight: what the scale of a quotient depends on.
pub(super) fn head(magnitude: u128, scale: i32) -> (u32, i32) {
    if magnitude == 0 {
        return (0, 0);
    }
    let digits = digits_of_u128(magnitude);
    let exponent = i32::try_from(digits).unwrap_or_default() - scale - 1;
    let kept = usize::try_from(exponent.rem_euclid(GROUP)).unwrap_or_default() + 1;
    let group = if digits > kept { magnitude / POWERS[digits - kept] } else { magnitude * POWERS[kept - digits] };
    (u32::try_from(group).unwrap_or_default(), exponent.div_euclid(GROUP))
}
