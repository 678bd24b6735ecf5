//! Averages and spreads, from what an aggregate gathers.

use super::Numeric;
use super::arithmetic::division_scale;
use super::wide::Wide;
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
    /// `avg`: the quotient of the sum and the number of values; `None` where nothing was counted.
    ///
    /// # Errors
    /// 22003 if the quotient has too many digits.
    pub fn avg(sum: &Self, count: i64) -> Result<Option<Self>> {
        if count <= 0 { Ok(None) } else { sum.div(&Numeric::from_i64(count)).map(Some) }
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
