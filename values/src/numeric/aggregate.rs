//! Averages and spreads, from what an aggregate gathers.
//!
//! What is gathered may leave a numeric's limits on the way, as in PostgreSQL: [`Numeric::accumulated`] and [`Numeric::squared`] do
//! not check them and the encoding holds their results, so that only the aggregate's answer is refused.

use super::arithmetic::division_scale;
use super::wide::Wide;
use super::{MAX_SCALE, MAX_WHOLE_DIGITS, Numeric, Repr};
use crate::error::Result;

/// Which spread of a set of numbers [`Numeric::spread`] computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Spread {
    /// `var_pop`
    PopulationVariance,
    /// `var_samp`, `variance`
    SampleVariance,
    /// `stddev_pop`
    PopulationDeviation,
    /// `stddev_samp`, `stddev`
    SampleDeviation,
}

impl Spread {
    const fn is_sample(self) -> bool {
        matches!(self, Spread::SampleVariance | Spread::SampleDeviation)
    }

    const fn is_deviation(self) -> bool {
        matches!(self, Spread::PopulationDeviation | Spread::SampleDeviation)
    }
}

impl Numeric {
    /// The sum, whatever its number of digits: for what an aggregate gathers, until [`Numeric::checked`].
    #[must_use]
    pub fn accumulated(&self, other: &Self) -> Self {
        match self.add(other) {
            Ok(sum) => sum,
            Err(_) => match (self.wide(), other.wide()) {
                (Some(left), Some(right)) => Numeric::within_limits(left.plus(&right)),
                _ => Numeric::NAN,
            },
        }
    }

    /// The exact square, whatever its number of digits: for what an aggregate gathers.
    #[must_use]
    pub fn squared(&self) -> Self {
        match self.wide() {
            Some(wide) if wide.scale() * 2 > MAX_SCALE || wide.exponent() * 2 >= MAX_WHOLE_DIGITS - 2 => {
                Numeric::within_limits(wide.times(&wide))
            }
            _ => self.mul(self).unwrap_or(Numeric::NAN),
        }
    }

    /// This number, if it is within a numeric's limits.
    ///
    /// # Errors
    /// 22003 if it is not.
    pub fn checked(&self) -> Result<Self> {
        match &self.repr {
            Repr::Large(wide) => Numeric::from_wide(Wide::clone(wide)),
            _ => Ok(self.clone()),
        }
    }

    /// `avg`: the quotient of the sum and the number of values; `None` where nothing was counted.
    ///
    /// # Errors
    /// 22003 if the sum or the quotient has too many digits.
    pub fn avg(sum: &Self, count: i64) -> Result<Option<Self>> {
        if count <= 0 { Ok(None) } else { sum.checked()?.div(&Numeric::from_i64(count)).map(Some) }
    }

    /// `var_pop`, `stddev` and so on, from the number of values (those that are not finite included), their sum and the sum of their
    /// squares. `None` where PostgreSQL answers NULL: nothing, or for a sample fewer than two.
    ///
    /// # Errors
    /// 22003 if the result has too many digits.
    pub fn spread(count: i64, sum: &Self, squares: &Self, what: Spread) -> Result<Option<Self>> {
        if count < if what.is_sample() { 2 } else { 1 } {
            return Ok(None);
        }
        let (Some(sum), Some(squares)) = (sum.wide(), squares.wide()) else { return Ok(Some(Numeric::NAN)) };
        let number = Wide::from_i128(i128::from(count), 0);
        let scale = sum.scale() * 2;
        let numerator = number.times_to(&squares, scale).minus(&sum.times(&sum));
        if numerator.is_zero() || numerator.is_negative() {
            return Ok(Some(Numeric::ZERO));
        }
        let denominator = i128::from(count) * i128::from(if what.is_sample() { count - 1 } else { count });
        let denominator = Wide::from_i128(denominator, 0);
        let scale = division_scale(&numerator, &denominator);
        let variance = numerator.divided_by(&denominator, scale, true);
        let result = if what.is_deviation() { variance.square_root(scale) } else { variance };
        Numeric::from_wide(result).map(Some)
    }
}
