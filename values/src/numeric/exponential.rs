//! Exponentials, logarithms and powers, as PostgreSQL computes them.
//!
//! Their last digits depend on how many digits the steps between carry, so the scales of every step are PostgreSQL's too: the
//! weight of the result is estimated with a double, the argument is brought near zero (or one), a Taylor series runs until its terms
//! vanish, and the reduction is undone. Each function fails before it starts where its result cannot fit, so none runs for long.

use std::cmp::Ordering;

use super::wide::{GROUP, Wide};
use super::{MAX_RESULT_SCALE, MAX_WHOLE_DIGITS, MIN_SIGNIFICANT_DIGITS, Numeric, division_by_zero, overflow};
use crate::error::{Error, ErrorKind, Result};

/// log10(e), log10(2) and ln(10) with PostgreSQL's digits, since the estimates must fall as its fall.
#[expect(clippy::approx_constant, reason = "PostgreSQL's digits")]
const LOG10_E: f64 = 0.434_294_481_903_252;
#[expect(clippy::approx_constant, reason = "PostgreSQL's digits")]
const LOG10_2: f64 = 0.301_029_995_663_981;
#[expect(clippy::approx_constant, reason = "PostgreSQL's digits")]
const LN_10: f64 = 2.302_585_092_994_046;
/// Digits that a step carries besides those that are wanted.
const SPARE_DIGITS: i32 = 8;
/// e to this power has too many digits, and its inverse none.
const EXPONENT_LIMIT: f64 = 6_000.0;

/// The whole part of a double, as a C cast has it.
#[expect(clippy::cast_possible_truncation, reason = "saturates, which the callers' limits make unreachable")]
const fn whole(value: f64) -> i32 {
    value as i32
}

/// The scale of a result whose first digit stands at 10^`exponent`: 16 significant digits, or the arguments' scale.
fn result_scale(exponent: i32, arguments: i32) -> i32 {
    MIN_SIGNIFICANT_DIGITS.saturating_sub(exponent).max(arguments).clamp(0, MAX_RESULT_SCALE)
}

fn of_zero() -> Error {
    Error::new(ErrorKind::InvalidLogarithm, "cannot take logarithm of zero")
}

fn of_negative() -> Error {
    Error::new(ErrorKind::InvalidLogarithm, "cannot take logarithm of a negative number")
}

fn complex_power() -> Error {
    Error::new(ErrorKind::InvalidPower, "a negative number raised to a non-integer power yields a complex result")
}

impl Numeric {
    /// e to the power of this number.
    ///
    /// # Errors
    /// 22003 if that has too many digits.
    pub fn exp(&self) -> Result<Self> {
        let Some(wide) = self.wide() else {
            return Ok(if self.is_infinite() && self.is_negative() { Numeric::ZERO } else { self.clone() });
        };
        let exponent = (wide.to_f64() * LOG10_E).clamp(-2_000.0, 2_000.0);
        Numeric::from_wide(exponential(&wide, result_scale(whole(exponent), wide.scale()))?)
    }

    /// The natural logarithm.
    ///
    /// # Errors
    /// 2201E for zero and negative numbers.
    pub fn ln(&self) -> Result<Self> {
        let Some(wide) = self.wide() else {
            return if self.is_negative() { Err(of_negative()) } else { Ok(self.clone()) };
        };
        let scale = result_scale(logarithm_exponent(&wide), wide.scale());
        Numeric::from_wide(logarithm(&wide, scale)?)
    }

    /// The logarithm to base 10.
    ///
    /// # Errors
    /// 2201E for zero and negative numbers.
    pub fn log10(&self) -> Result<Self> {
        Numeric::log(&Numeric::from_i64(10), self)
    }

    /// The logarithm of `x` to `base`.
    ///
    /// # Errors
    /// 2201E if either is zero or negative, 22012 for base 1.
    pub fn log(base: &Self, x: &Self) -> Result<Self> {
        if let (Some(base), Some(x)) = (base.wide(), x.wide()) {
            return Numeric::from_wide(logarithm_to_base(&base, &x)?);
        }
        if base.is_nan() || x.is_nan() {
            return Ok(Numeric::NAN);
        }
        if base.is_negative() || x.is_negative() {
            return Err(of_negative());
        }
        if base.is_zero() || x.is_zero() {
            return Err(of_zero());
        }
        Ok(match (base.is_infinite(), x.is_infinite()) {
            (true, true) => Numeric::NAN,
            (true, false) => Numeric::ZERO,
            (false, _) => Numeric::INFINITY,
        })
    }

    /// This number to the power of `exponent`.
    ///
    /// # Errors
    /// 2201F for zero to a negative power and for a negative number to a power that is no integer, 22003 if the result has too many
    /// digits.
    pub fn power(&self, exponent: &Self) -> Result<Self> {
        if self.is_nan() || exponent.is_nan() {
            let one = exponent.is_zero() || (exponent.is_nan() && *self == Numeric::ONE);
            return Ok(if one { Numeric::ONE } else { Numeric::NAN });
        }
        if self.is_zero() && exponent.is_negative() {
            return Err(Error::new(ErrorKind::InvalidPower, "zero raised to a negative power is undefined"));
        }
        match (self.wide(), exponent.wide()) {
            (Some(base), Some(exponent)) => Numeric::from_wide(raise(&base, &exponent)?),
            _ => self.infinite_power(exponent),
        }
    }

    /// The power where one of the numbers is infinite (POSIX's rules for `pow`).
    fn infinite_power(&self, exponent: &Self) -> Result<Self> {
        if self.is_negative() && !exponent.is_integral() {
            return Err(complex_power());
        }
        if *self == Numeric::ONE || exponent.is_zero() {
            return Ok(Numeric::ONE);
        }
        if self.is_zero() {
            return Ok(Numeric::ZERO);
        }
        if exponent.is_infinite() {
            let magnitude = self.abs();
            return Ok(match magnitude.compare(&Numeric::ONE) {
                Ordering::Equal => Numeric::ONE,
                order if (order == Ordering::Greater) != exponent.is_negative() => Numeric::INFINITY,
                _ => Numeric::ZERO,
            });
        }
        if exponent.is_negative() {
            return Ok(Numeric::ZERO);
        }
        let odd = exponent.wide().is_some_and(|wide| wide.is_integral() && wide.is_odd());
        Ok(Numeric::infinity(self.is_negative() && odd))
    }
}

/// e to the power of `x`, at `scale`.
fn exponential(x: &Wide, scale: i32) -> Result<Wide> {
    let mut estimate = x.to_f64();
    if estimate.abs() >= EXPONENT_LIMIT {
        return if estimate > 0.0 { Err(overflow()) } else { Ok(Wide::zero(scale)) };
    }
    let exponent = whole(estimate * LOG10_E);
    let mut halvings = 0;
    while estimate.abs() > 0.01 {
        halvings += 1;
        estimate /= 2.0;
    }
    let x = if halvings > 0 { x.divided_by_limb(1 << halvings, x.scale() + halvings) } else { x.clone() };
    let significant = (1 + exponent + scale + whole(f64::from(halvings) * LOG10_2)).max(0) + SPARE_DIGITS;
    let inner = significant - 1;
    let mut sum = Wide::one().plus(&x);
    let mut divisor = 2;
    let mut term = x.times_to(&x, inner).divided_by_limb(divisor, inner);
    while !term.is_zero() {
        sum = sum.plus(&term);
        divisor += 1;
        term = term.times_to(&x, inner).divided_by_limb(divisor, inner);
    }
    for _ in 0..halvings {
        let inner = (significant - sum.weight() * 2 * GROUP).max(0);
        sum = sum.times_to(&sum, inner);
    }
    Ok(sum.rounded(scale))
}

/// Roughly the power of ten of the first digit of ln(`x`); 0 where there is no logarithm.
fn logarithm_exponent(x: &Wide) -> i32 {
    if x.is_negative() || x.is_zero() {
        return 0;
    }
    let near_one = x.compare(&Wide::from_i128(9, 1)) != Ordering::Less && x.compare(&Wide::from_i128(11, 1)) != Ordering::Greater;
    if near_one {
        return x.minus(&Wide::one()).exponent();
    }
    let groups = x.leading_groups(2);
    let digits = groups.iter().fold(0.0, |sum, group| sum * 10_000.0 + f64::from(*group));
    let below = if groups.len() > 1 { GROUP } else { 0 };
    let estimate = digits.ln() + f64::from(x.weight() * GROUP - below) * LN_10;
    whole(estimate.abs().log10())
}

/// The natural logarithm of `x`, at `scale`.
fn logarithm(x: &Wide, scale: i32) -> Result<Wide> {
    if x.is_zero() {
        return Err(of_zero());
    }
    if x.is_negative() {
        return Err(of_negative());
    }
    let mut x = x.clone();
    let mut roots = 0;
    let near_one =
        |x: &Wide| x.compare(&Wide::from_i128(9, 1)) == Ordering::Greater && x.compare(&Wide::from_i128(11, 1)) == Ordering::Less;
    while !near_one(&x) {
        x = x.square_root(scale - x.weight() * GROUP / 2 + SPARE_DIGITS);
        roots += 1;
    }
    let inner = scale + whole(f64::from(roots + 1) * LOG10_2) + SPARE_DIGITS;
    // ln((1+z)/(1-z)) = 2 (z + z^3/3 + z^5/5 + ..), where z is at most a twentieth.
    let mut sum = x.minus(&Wide::one()).divided_by(&x.plus(&Wide::one()), inner, true);
    let square = sum.times_to(&sum, inner);
    let mut power = sum.clone();
    let mut divisor = 1;
    loop {
        divisor += 2;
        power = power.times_to(&square, inner);
        let term = power.divided_by_limb(divisor, inner);
        if term.is_zero() {
            break;
        }
        sum = sum.plus(&term);
        if term.weight() < sum.weight() - inner * 2 / GROUP {
            break;
        }
    }
    Ok(sum.times_to(&Wide::from_i128(2 << roots, 0), scale))
}

/// The logarithm of `x` to `base`.
fn logarithm_to_base(base: &Wide, x: &Wide) -> Result<Wide> {
    let (base_exponent, x_exponent) = (logarithm_exponent(base), logarithm_exponent(x));
    let exponent = x_exponent - base_exponent;
    let scale = result_scale(exponent, base.scale().max(x.scale()));
    let base = logarithm(base, (scale + exponent - base_exponent + SPARE_DIGITS).max(0))?;
    let x = logarithm(x, (scale + exponent - x_exponent + SPARE_DIGITS).max(0))?;
    if base.is_zero() { Err(division_by_zero()) } else { Ok(x.divided_by(&base, scale, true)) }
}

/// `base` to the power of `exponent`.
fn raise(base: &Wide, exponent: &Wide) -> Result<Wide> {
    let integral = exponent.is_integral();
    if integral && let Some(power) = exponent.truncated(0).to_i128().and_then(|power| i32::try_from(power).ok()) {
        return raise_to_integer(base, power, exponent.scale());
    }
    if base.is_zero() {
        return Ok(Wide::zero(MIN_SIGNIFICANT_DIGITS));
    }
    if base.is_negative() && !integral {
        return Err(complex_power());
    }
    let negative = base.is_negative() && exponent.is_odd();
    let base = base.clone().absolute();

    // The weight of the result comes from a logarithm of eight digits, and with it the digits that the exact one needs.
    let ln_exponent = logarithm_exponent(&base);
    let rough = (SPARE_DIGITS - ln_exponent).max(0);
    let estimate = logarithm(&base, rough)?.times_to(exponent, rough).to_f64();
    if estimate.abs() > EXPONENT_LIMIT / 3.0 * 3.01 {
        return if estimate > 0.0 { Err(overflow()) } else { Ok(Wide::zero(MAX_RESULT_SCALE)) };
    }
    let weight = whole(estimate * LOG10_E);
    let scale = result_scale(weight, base.scale().max(exponent.scale()));
    let significant = (scale + weight).max(0);
    let inner = (significant - ln_exponent + SPARE_DIGITS).max(0);
    let result = exponential(&logarithm(&base, inner)?.times_to(exponent, inner), scale)?;
    Ok(if negative { result.negated() } else { result })
}

/// log10 of the magnitude of a number that is not zero, from its first digits.
fn rough_log10(base: &Wide) -> f64 {
    let groups = base.leading_groups(GROUP);
    let digits = groups.iter().fold(0.0, |sum, group| sum * 10_000.0 + f64::from(*group));
    let below = i32::try_from(groups.len()).unwrap_or_default() - 1;
    digits.log10() + f64::from((base.weight() - below) * GROUP)
}

/// `base` to an integral power, by squaring.
fn raise_to_integer(base: &Wide, exponent: i32, exponent_scale: i32) -> Result<Wide> {
    let estimate = if base.is_zero() { 0.0 } else { f64::from(exponent) * rough_log10(base) };
    if estimate > f64::from(MAX_WHOLE_DIGITS) {
        return Err(overflow());
    }
    if estimate + 1.0 < -f64::from(MAX_RESULT_SCALE) {
        return Ok(Wide::zero(MAX_RESULT_SCALE));
    }
    let scale = result_scale(whole(estimate), base.scale().max(exponent_scale));
    match exponent {
        0 => return Ok(Wide::one().rounded(scale)),
        1 => return Ok(base.rounded(scale)),
        2 => return Ok(base.times(base).rounded(scale)),
        _ if base.is_zero() => return Ok(Wide::zero(scale)),
        -1 => return Ok(Wide::one().divided_by(base, scale, true)),
        _ => {}
    }
    let significant = 1 + scale + whole(estimate) + whole(f64::from(exponent).abs().ln()) + SPARE_DIGITS;
    let Some(power) = power_by_squaring(base, exponent.unsigned_abs(), significant) else {
        return if exponent > 0 { Err(overflow()) } else { Ok(Wide::zero(scale)) };
    };
    if exponent > 0 {
        return Ok(power.rounded(scale));
    }
    if power.is_zero() { Err(division_by_zero()) } else { Ok(Wide::one().divided_by(&power, scale, true)) }
}

/// The power to so many significant digits; `None` once it has more digits than any numeric.
fn power_by_squaring(base: &Wide, exponent: u32, significant: i32) -> Option<Wide> {
    let product = |left: &Wide, right: &Wide| {
        let exact = left.scale() + right.scale();
        let scale = (significant - (left.weight() + right.weight()) * GROUP).min(exact).max(0);
        left.times_to(right, scale)
    };
    let mut square = base.clone();
    let mut result = if exponent % 2 == 1 { base.clone() } else { Wide::one() };
    let mut rest = exponent >> 1;
    while rest > 0 {
        square = product(&square, &square);
        if rest % 2 == 1 {
            result = product(&square, &result);
        }
        if square.weight() >= MAX_WHOLE_DIGITS / GROUP || result.weight() >= MAX_WHOLE_DIGITS / GROUP {
            return None;
        }
        rest >>= 1;
    }
    Some(result)
}
