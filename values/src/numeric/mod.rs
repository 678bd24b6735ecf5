//! PostgreSQL's `numeric`: exact decimals of up to 131072 digits before and 16383 behind the point, `NaN` and the infinities.
//!
//! ```text
//!  text, i64, f64, i256, wire ──▶ Numeric ─┬─ Small: i128 * 10^-scale   most values, no allocation
//!      (text, convert, wire)               ├─ Large: Wide               natural (base 10^9), sign, scale
//!                                          └─ NaN, infinities
//!  Numeric ── arithmetic, functions, aggregate ──▶ Numeric       Numeric ── key ──▶ bytes in the values' order
//! ```
//! A numeric remembers how many digits it shows behind the point (its display scale): `1.0` equals `1.00` and prints otherwise. What
//! scale a result has, and how many digits a logarithm is computed to, follow PostgreSQL's rules to the digit; so do the errors.
//! [`decimal`] holds the text of Arrow's decimals, which are shorter and know no `NaN`.
//!
//! Absent: templates (`to_char`), random numbers, hashes that equal PostgreSQL's.

mod aggregate;
mod arithmetic;
mod convert;
pub mod decimal;
mod exponential;
mod functions;
mod key;
mod natural;
mod text;
mod wide;
mod wire;

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use natural::POWERS;
use wide::Wide;

use crate::error::{Error, ErrorKind, Result};

pub use aggregate::Spread;
pub use decimal::{
    MAX_DIGITS, NumericValue, decimal_digits, format_decimal, format_decimal64, format_decimal256, from_digits, not_finite,
    parse_numeric,
};
pub use text::NumericLimits;

/// Digits before the point.
pub const MAX_WHOLE_DIGITS: i32 = 131_072;
/// Digits behind the point.
pub const MAX_SCALE: i32 = 16_383;
/// Digits behind the point that a function gives of its own accord, where its argument has no more.
const MAX_RESULT_SCALE: i32 = 1_000;
/// Significant digits that a quotient or a function has at least.
const MIN_SIGNIFICANT_DIGITS: i32 = 16;
/// Digits of a number that is held as an `i128`.
const SMALL_DIGITS: usize = 38;

/// A value of PostgreSQL's type `numeric`.
///
/// `==`, `Ord` and `Hash` follow the value: `1.0` equals `1.00`, and `NaN` equals itself and is greater than everything else.
#[derive(Debug, Clone)]
pub struct Numeric {
    repr: Repr,
}

#[derive(Debug, Clone)]
enum Repr {
    /// `unscaled` * 10^-`scale`, of at most 38 digits.
    Small {
        unscaled: i128,
        scale: u16,
    },
    /// More than 38 digits; the scale is 0 to [`MAX_SCALE`].
    Large(Box<Wide>),
    Infinity {
        negative: bool,
    },
    NaN,
}

/// 22003 `value overflows numeric format`
fn overflow() -> Error {
    Error::new(ErrorKind::NumericOutOfRange, "value overflows numeric format")
}

/// 22012 `division by zero`
fn division_by_zero() -> Error {
    Error::new(ErrorKind::DivisionByZero, "division by zero")
}

/// Whether the number has at most 38 digits.
#[inline]
const fn is_small(unscaled: i128) -> bool {
    unscaled.unsigned_abs() < POWERS[SMALL_DIGITS]
}

/// `unscaled` * 10^`digits`, if that is an `i128`.
#[inline]
fn raised(unscaled: i128, digits: u32) -> Option<i128> {
    if digits == 0 || unscaled == 0 {
        return Some(unscaled);
    }
    let power = POWERS.get(usize::try_from(digits).ok()?)?;
    if let (Ok(short), Ok(power)) = (i64::try_from(unscaled), i64::try_from(*power)) {
        return Some(i128::from(short) * i128::from(power));
    }
    unscaled.checked_mul(i128::try_from(*power).ok()?)
}

impl Numeric {
    /// 0
    pub const ZERO: Numeric = Numeric::small(0, 0);
    /// 1
    pub const ONE: Numeric = Numeric::small(1, 0);
    /// `NaN`
    pub const NAN: Numeric = Numeric { repr: Repr::NaN };
    /// `Infinity`
    pub const INFINITY: Numeric = Numeric { repr: Repr::Infinity { negative: false } };
    /// `-Infinity`
    pub const NEGATIVE_INFINITY: Numeric = Numeric { repr: Repr::Infinity { negative: true } };

    /// A number of at most 38 digits.
    #[inline]
    const fn small(unscaled: i128, scale: u16) -> Self {
        Numeric { repr: Repr::Small { unscaled, scale } }
    }

    /// 0
    pub const fn zero() -> Self {
        Numeric::ZERO
    }

    /// 1
    pub const fn one() -> Self {
        Numeric::ONE
    }

    /// `NaN`
    pub const fn nan() -> Self {
        Numeric::NAN
    }

    /// `Infinity` or `-Infinity`
    pub const fn infinity(negative: bool) -> Self {
        Numeric { repr: Repr::Infinity { negative } }
    }

    /// Whether this is `NaN`.
    pub const fn is_nan(&self) -> bool {
        matches!(self.repr, Repr::NaN)
    }

    /// Whether this is one of the infinities.
    pub const fn is_infinite(&self) -> bool {
        matches!(self.repr, Repr::Infinity { .. })
    }

    /// Whether this is a number: neither `NaN` nor infinite.
    pub const fn is_finite(&self) -> bool {
        matches!(self.repr, Repr::Small { .. } | Repr::Large(_))
    }

    /// Whether this is zero, whatever its scale.
    pub const fn is_zero(&self) -> bool {
        matches!(self.repr, Repr::Small { unscaled: 0, .. })
    }

    /// Whether this is less than zero.
    pub fn is_negative(&self) -> bool {
        match &self.repr {
            Repr::Small { unscaled, .. } => *unscaled < 0,
            Repr::Large(wide) => wide.is_negative(),
            Repr::Infinity { negative } => *negative,
            Repr::NaN => false,
        }
    }

    /// Whether nothing is behind the point; the infinities count as integers, as in PostgreSQL.
    fn is_integral(&self) -> bool {
        match &self.repr {
            Repr::Infinity { .. } => true,
            _ => self.wide().is_some_and(|wide| wide.is_integral()),
        }
    }

    /// -1, 0 or 1; 0 for `NaN`.
    fn signum(&self) -> i32 {
        if self.is_nan() || self.is_zero() {
            0
        } else if self.is_negative() {
            -1
        } else {
            1
        }
    }

    /// The working form of a finite number.
    fn wide(&self) -> Option<Wide> {
        match &self.repr {
            Repr::Small { unscaled, scale } => Some(Wide::from_i128(*unscaled, i32::from(*scale))),
            Repr::Large(wide) => Some(Wide::clone(wide)),
            Repr::Infinity { .. } | Repr::NaN => None,
        }
    }

    /// The value of a working form.
    ///
    /// # Errors
    /// 22003 if it has too many digits before or behind the point.
    fn from_wide(wide: Wide) -> Result<Self> {
        let wide = wide.displayed();
        if wide.scale() > MAX_SCALE || wide.exponent() >= MAX_WHOLE_DIGITS {
            return Err(overflow());
        }
        Ok(Numeric::within_limits(wide))
    }

    /// The value of a working form whose digits are known to be few enough.
    fn within_limits(wide: Wide) -> Self {
        match (wide.to_i128(), u16::try_from(wide.scale())) {
            (Some(unscaled), Ok(scale)) => Numeric::small(unscaled, scale),
            _ => Numeric { repr: Repr::Large(Box::new(wide)) },
        }
    }

    /// Digits behind the point that are shown: PostgreSQL's `scale`. `None` for `NaN` and the infinities.
    pub fn scale(&self) -> Option<i32> {
        match &self.repr {
            Repr::Small { scale, .. } => Some(i32::from(*scale)),
            Repr::Large(wide) => Some(wide.scale()),
            Repr::Infinity { .. } | Repr::NaN => None,
        }
    }

    /// Digits behind the point that the value needs. `None` for `NaN` and the infinities.
    pub fn min_scale(&self) -> Option<i32> {
        self.wide().map(|wide| wide.min_scale())
    }

    /// The same value without zeros at the end of what is behind the point.
    #[must_use]
    pub fn trim_scale(&self) -> Self {
        self.wide().map_or_else(|| self.clone(), |wide| Numeric::within_limits(wide.truncated(wide.min_scale())))
    }

    /// The order of the values: `-Infinity`, the numbers, `Infinity`, `NaN`.
    pub fn compare(&self, other: &Self) -> Ordering {
        match (&self.repr, &other.repr) {
            (Repr::Small { unscaled: left, scale: left_scale }, Repr::Small { unscaled: right, scale: right_scale }) => {
                compare_small((*left, *left_scale), (*right, *right_scale))
            }
            (Repr::Small { .. } | Repr::Large(_), Repr::Small { .. } | Repr::Large(_)) => match (self.wide(), other.wide()) {
                (Some(left), Some(right)) => left.compare(&right),
                (left, right) => left.is_some().cmp(&right.is_some()),
            },
            _ => self.class().cmp(&other.class()),
        }
    }

    /// Where the value stands among those that are not finite.
    const fn class(&self) -> u8 {
        match self.repr {
            Repr::Infinity { negative: true } => 0,
            Repr::Small { .. } | Repr::Large(_) => 1,
            Repr::Infinity { negative: false } => 2,
            Repr::NaN => 3,
        }
    }
}

fn compare_small((left, left_scale): (i128, u16), (right, right_scale): (i128, u16)) -> Ordering {
    if left_scale == right_scale || left.signum() != right.signum() {
        return left.cmp(&right);
    }
    let scale = left_scale.max(right_scale);
    match (raised(left, u32::from(scale - left_scale)), raised(right, u32::from(scale - right_scale))) {
        (Some(left), Some(right)) => left.cmp(&right),
        // The one that is too long for that has the larger magnitude, whatever the other is.
        (None, _) => {
            if left < 0 {
                Ordering::Less
            } else {
                Ordering::Greater
            }
        }
        (_, None) => {
            if right < 0 {
                Ordering::Greater
            } else {
                Ordering::Less
            }
        }
    }
}

impl PartialEq for Numeric {
    fn eq(&self, other: &Self) -> bool {
        self.compare(other) == Ordering::Equal
    }
}

impl Eq for Numeric {}

impl PartialOrd for Numeric {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Numeric {
    fn cmp(&self, other: &Self) -> Ordering {
        self.compare(other)
    }
}

impl Hash for Numeric {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let mut bytes = Vec::with_capacity(32);
        self.encode(&mut bytes);
        Numeric::key(&bytes).hash(state);
    }
}

impl Default for Numeric {
    fn default() -> Self {
        Numeric::ZERO
    }
}
