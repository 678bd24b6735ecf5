//! The four operations and what needs no more than them. Two short numbers are worked out as `i128`, if the result fits.

use super::natural::Natural;
use super::wide::{GROUP, Wide, head};
use super::{
    MAX_RESULT_SCALE, MAX_SCALE, MAX_WHOLE_DIGITS, MIN_SIGNIFICANT_DIGITS, Numeric, Repr, division_by_zero, is_small, overflow,
    raised,
};
use crate::error::{Error, ErrorKind, Result};

/// PostgreSQL's scale of a quotient of numbers with these first digits, weights and scales: at least 16 significant digits.
fn quotient_scale((left, left_weight): (u32, i32), (right, right_weight): (u32, i32), scale: i32) -> i32 {
    let weight = left_weight - right_weight - i32::from(left <= right);
    (MIN_SIGNIFICANT_DIGITS - weight * GROUP).max(scale).clamp(0, MAX_RESULT_SCALE)
}

/// [`quotient_scale`] of two working forms.
pub(super) fn division_scale(left: &Wide, right: &Wide) -> i32 {
    let head = |wide: &Wide| (wide.leading_groups(1).first().map_or(0, |group| u32::from(*group)), wide.weight());
    quotient_scale(head(left), head(right), left.scale().max(right.scale()))
}

/// Both numbers as integers at the larger scale.
#[inline]
fn aligned(left: (i128, u16), right: (i128, u16)) -> Option<(i128, i128, u16)> {
    let scale = left.1.max(right.1);
    Some((raised(left.0, u32::from(scale - left.1))?, raised(right.0, u32::from(scale - right.1))?, scale))
}

fn add_small(left: (i128, u16), right: (i128, u16)) -> Option<Numeric> {
    let (left, right, scale) = aligned(left, right)?;
    left.checked_add(right).filter(|sum| is_small(*sum)).map(|sum| Numeric::small(sum, scale))
}

fn multiply_small(left: (i128, u16), right: (i128, u16)) -> Option<Numeric> {
    let scale = left.1 + right.1;
    if i32::from(scale) > MAX_SCALE {
        return None;
    }
    left.0.checked_mul(right.0).filter(|product| is_small(*product)).map(|product| Numeric::small(product, scale))
}

/// The quotient of two numbers, the second not zero.
fn divide_small(left: (i128, u16), right: (i128, u16)) -> Option<Numeric> {
    let heads = (head(left.0.unsigned_abs(), i32::from(left.1)), head(right.0.unsigned_abs(), i32::from(right.1)));
    let scale = quotient_scale(heads.0, heads.1, i32::from(left.1.max(right.1)));
    // A scale limited to 1000 may be less than the dividend's.
    let shift = u32::try_from(scale - i32::from(left.1) + i32::from(right.1)).ok()?;
    let numerator = raised(left.0, shift)?.unsigned_abs();
    let denominator = right.0.unsigned_abs();
    let (quotient, remainder) = (numerator / denominator, numerator % denominator);
    let quotient = i128::try_from(quotient + u128::from(remainder >= denominator - remainder)).ok()?;
    let quotient = if (left.0 < 0) == (right.0 < 0) { quotient } else { -quotient };
    is_small(quotient).then_some(Numeric::small(quotient, u16::try_from(scale).ok()?))
}

impl Numeric {
    /// Both numbers, if both are short.
    #[inline]
    fn both_small(&self, other: &Self) -> Option<((i128, u16), (i128, u16))> {
        match (&self.repr, &other.repr) {
            (Repr::Small { unscaled, scale }, Repr::Small { unscaled: other, scale: other_scale }) => {
                Some(((*unscaled, *scale), (*other, *other_scale)))
            }
            _ => None,
        }
    }

    /// `self + other`
    ///
    /// # Errors
    /// 22003 if the sum has too many digits.
    pub fn add(&self, other: &Self) -> Result<Self> {
        if let Some(sum) = self.both_small(other).and_then(|(left, right)| add_small(left, right)) {
            return Ok(sum);
        }
        match (self.wide(), other.wide()) {
            (Some(left), Some(right)) => Numeric::from_wide(left.plus(&right)),
            _ if self.is_nan() || other.is_nan() => Ok(Numeric::NAN),
            _ if self.is_infinite() && other.is_infinite() && self.is_negative() != other.is_negative() => Ok(Numeric::NAN),
            _ => Ok(if self.is_infinite() { self.clone() } else { other.clone() }),
        }
    }

    /// `self - other`
    ///
    /// # Errors
    /// 22003 if the difference has too many digits.
    pub fn sub(&self, other: &Self) -> Result<Self> {
        self.add(&other.neg())
    }

    /// `self * other`, whose scale is the sum of the scales.
    ///
    /// # Errors
    /// 22003 if the product has too many digits.
    pub fn mul(&self, other: &Self) -> Result<Self> {
        if let Some(product) = self.both_small(other).and_then(|(left, right)| multiply_small(left, right)) {
            return Ok(product);
        }
        match (self.wide(), other.wide()) {
            (Some(left), Some(right)) => {
                if !left.is_zero() && !right.is_zero() && left.exponent() + right.exponent() > MAX_WHOLE_DIGITS {
                    return Err(overflow());
                }
                let product = left.times(&right);
                Numeric::from_wide(if product.scale() > MAX_SCALE { product.rounded(MAX_SCALE) } else { product })
            }
            _ if self.is_nan() || other.is_nan() || self.is_zero() || other.is_zero() => Ok(Numeric::NAN),
            _ => Ok(Numeric::infinity(self.is_negative() != other.is_negative())),
        }
    }

    /// The quotient where one of the numbers is not finite; `None` if both are.
    fn divided_specially(&self, other: &Self) -> Result<Option<Self>> {
        if self.is_finite() && other.is_finite() {
            return if other.is_zero() { Err(division_by_zero()) } else { Ok(None) };
        }
        if self.is_nan() || other.is_nan() || (self.is_infinite() && other.is_infinite()) {
            return Ok(Some(Numeric::NAN));
        }
        if other.is_infinite() {
            return Ok(Some(Numeric::ZERO));
        }
        if other.is_zero() {
            Err(division_by_zero())
        } else {
            Ok(Some(Numeric::infinity(self.is_negative() != other.is_negative())))
        }
    }

    /// `self / other`, with at least 16 significant digits and no fewer behind the point than either number has.
    ///
    /// # Errors
    /// 22012 for a division by zero, 22003 if the quotient has too many digits.
    pub fn div(&self, other: &Self) -> Result<Self> {
        if let Some(quotient) = self.divided_specially(other)? {
            return Ok(quotient);
        }
        if let Some(quotient) = self.both_small(other).and_then(|(left, right)| divide_small(left, right)) {
            return Ok(quotient);
        }
        let (Some(left), Some(right)) = (self.wide(), other.wide()) else { return Ok(Numeric::NAN) };
        Numeric::from_wide(left.divided_by(&right, division_scale(&left, &right), true))
    }

    /// The quotient as an integer, rounded towards zero: PostgreSQL's `div`.
    ///
    /// # Errors
    /// As [`Numeric::div`].
    pub fn div_trunc(&self, other: &Self) -> Result<Self> {
        if let Some(quotient) = self.divided_specially(other)? {
            return Ok(quotient);
        }
        if let Some((left, right, _)) = self.both_small(other).and_then(|(left, right)| aligned(left, right)) {
            return Ok(Numeric::from_i128(left / right));
        }
        let (Some(left), Some(right)) = (self.wide(), other.wide()) else { return Ok(Numeric::NAN) };
        Numeric::from_wide(left.divided_by(&right, 0, false))
    }

    /// `self % other`, with the sign of `self` and the larger scale of the two.
    ///
    /// # Errors
    /// 22012 for a division by zero.
    pub fn rem(&self, other: &Self) -> Result<Self> {
        if self.is_nan() || other.is_nan() {
            return Ok(Numeric::NAN);
        }
        if other.is_zero() {
            return Err(division_by_zero());
        }
        if let Some((left, right, scale)) = self.both_small(other).and_then(|(left, right)| aligned(left, right)) {
            return Ok(Numeric::small(left % right, scale));
        }
        match (self.wide(), other.wide()) {
            (Some(left), Some(right)) => Numeric::from_wide(left.remainder(&right)),
            (None, _) => Ok(Numeric::NAN),
            (Some(_), None) => Ok(self.clone()),
        }
    }

    /// `-self`
    #[must_use]
    pub fn neg(&self) -> Self {
        match &self.repr {
            Repr::Small { unscaled, scale } => Numeric::small(-unscaled, *scale),
            Repr::Large(wide) => Numeric { repr: Repr::Large(Box::new(Wide::clone(wide).negated())) },
            Repr::Infinity { negative } => Numeric::infinity(!negative),
            Repr::NaN => Numeric::NAN,
        }
    }

    /// The magnitude.
    #[must_use]
    pub fn abs(&self) -> Self {
        if self.is_negative() { self.neg() } else { self.clone() }
    }

    /// -1, 0 or 1; `NaN` for `NaN`.
    #[must_use]
    pub fn sign(&self) -> Self {
        if self.is_nan() { Numeric::NAN } else { Numeric::from_i64(i64::from(self.signum())) }
    }

    /// The least integer that is not less.
    ///
    /// # Errors
    /// 22003 if that has too many digits.
    pub fn ceil(&self) -> Result<Self> {
        self.toward(false)
    }

    /// The greatest integer that is not greater.
    ///
    /// # Errors
    /// 22003 if that has too many digits.
    pub fn floor(&self) -> Result<Self> {
        self.toward(true)
    }

    /// The next integer upwards or downwards, if this is not one.
    fn toward(&self, down: bool) -> Result<Self> {
        let whole = self.trunc(0);
        if self.is_negative() != down || whole == *self {
            return Ok(whole);
        }
        whole.add(&Numeric::from_i64(if down { -1 } else { 1 }))
    }

    /// A short number at a scale that is not negative, which remains short; `fewer` takes digits away.
    #[inline]
    fn small_at(&self, scale: i32, fewer: fn(i128, u32) -> i128) -> Option<Self> {
        let Repr::Small { unscaled, scale: own } = self.repr else { return None };
        let scale = u16::try_from(scale).ok()?;
        let unscaled = match scale.checked_sub(own) {
            Some(more) => raised(unscaled, u32::from(more))?,
            None => fewer(unscaled, u32::from(own - scale)),
        };
        is_small(unscaled).then_some(Numeric::small(unscaled, scale))
    }

    /// Rounded half away from zero at `scale` digits behind the point; a negative scale rounds before it.
    ///
    /// # Errors
    /// 22003 if that has too many digits.
    pub fn round(&self, scale: i32) -> Result<Self> {
        let scale = scale.clamp(-MAX_WHOLE_DIGITS - 1, MAX_SCALE);
        if let Some(number) = self.small_at(scale, super::convert::lowered) {
            return Ok(number);
        }
        self.wide().map_or_else(|| Ok(self.clone()), |wide| Numeric::from_wide(wide.rounded(scale)))
    }

    /// Rounded towards zero at `scale` digits behind the point; a negative scale rounds before it.
    #[must_use]
    pub fn trunc(&self, scale: i32) -> Self {
        let scale = scale.clamp(-MAX_WHOLE_DIGITS, MAX_SCALE);
        if let Some(number) = self.small_at(scale, super::convert::cut) {
            return number;
        }
        self.wide().map_or_else(|| self.clone(), |wide| Numeric::within_limits(wide.truncated(scale).displayed()))
    }

    /// The greatest common divisor, never negative, at the larger scale of the two.
    ///
    /// # Errors
    /// None at present.
    pub fn gcd(&self, other: &Self) -> Result<Self> {
        let (Some(left), Some(right)) = (self.wide(), other.wide()) else { return Ok(Numeric::NAN) };
        Numeric::from_wide(common_divisor(&left, &right))
    }

    /// The least common multiple, never negative, at the larger scale of the two.
    ///
    /// # Errors
    /// 22003 if it has too many digits.
    pub fn lcm(&self, other: &Self) -> Result<Self> {
        let (Some(left), Some(right)) = (self.wide(), other.wide()) else { return Ok(Numeric::NAN) };
        let scale = left.scale().max(right.scale());
        if left.is_zero() || right.is_zero() {
            return Numeric::from_wide(Wide::zero(scale));
        }
        let divisor = common_divisor(&left, &right);
        Numeric::from_wide(left.divided_by(&divisor, 0, false).times(&right).absolute().rounded(scale))
    }

    /// The product of the numbers from 1 to `n`.
    ///
    /// # Errors
    /// 22003 for a negative number, and for a product with too many digits.
    pub fn factorial(n: i64) -> Result<Self> {
        /// 32177! is the last one that fits.
        const LAST: u32 = 32_177;
        if n < 0 {
            return Err(Error::new(ErrorKind::NumericOutOfRange, "factorial of a negative number is undefined"));
        }
        let last = u32::try_from(n).ok().filter(|last| *last <= LAST).ok_or_else(overflow)?;
        let mut product = Natural::from_u128(1);
        let mut pending = 1_u32;
        for factor in 2..=last {
            if u64::from(pending) * u64::from(factor) >= 1_000_000_000 {
                product.times_limb(pending);
                pending = 1;
            }
            pending *= factor;
        }
        product.times_limb(pending);
        Numeric::from_wide(Wide::new(false, product, 0))
    }
}

/// Euclid's greatest common divisor at the larger scale of the two.
fn common_divisor(left: &Wide, right: &Wide) -> Wide {
    let scale = left.scale().max(right.scale());
    let (mut left, mut right) = (left.rounded(scale), right.rounded(scale));
    while !right.is_zero() {
        (left, right) = (right.clone(), left.remainder(&right));
    }
    left.absolute()
}
