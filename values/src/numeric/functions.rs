//! The square root and the buckets of histograms.

use std::cmp::Ordering;

use super::wide::{GROUP, Wide};
use super::{MAX_RESULT_SCALE, MIN_SIGNIFICANT_DIGITS, Numeric};
use crate::error::{Error, ErrorKind, Result};

impl Numeric {
    /// The square root, with at least 16 significant digits and no fewer behind the point than this number has.
    ///
    /// # Errors
    /// 2201F for a negative number.
    pub fn sqrt(&self) -> Result<Self> {
        if self.is_negative() {
            return Err(Error::new(ErrorKind::InvalidPower, "cannot take square root of a negative number"));
        }
        let Some(wide) = self.wide() else { return Ok(self.clone()) };
        let whole_digits = wide.weight() * GROUP / 2 + 1;
        let scale = (MIN_SIGNIFICANT_DIGITS - whole_digits).max(wide.scale()).clamp(0, MAX_RESULT_SCALE);
        Numeric::from_wide(wide.square_root(scale))
    }

    /// Which of `count` buckets of equal width between `low` and `high` holds this number: 0 before the first, `count` + 1 behind
    /// the last. The bounds may be the wrong way round; then the buckets run downwards.
    ///
    /// # Errors
    /// 2201G for a count that is not positive, bounds that are equal or not finite, and `NaN`; 22003 for a bucket that is no
    /// `integer`.
    pub fn width_bucket(&self, low: &Self, high: &Self, count: i32) -> Result<i32> {
        let invalid = |message: &str| Err(Error::new(ErrorKind::InvalidWidthBucket, message));
        if count <= 0 {
            return invalid("count must be greater than zero");
        }
        if self.is_nan() || low.is_nan() || high.is_nan() {
            return invalid("operand, lower bound, and upper bound cannot be NaN");
        }
        let (Some(low_wide), Some(high_wide)) = (low.wide(), high.wide()) else {
            return invalid("lower and upper bounds must be finite");
        };
        let direction = low.compare(high);
        if direction == Ordering::Equal {
            return invalid("lower bound cannot equal upper bound");
        }
        if self.compare(low) == direction {
            return Ok(0);
        }
        let beyond = || count.checked_add(1).ok_or_else(|| Error::new(ErrorKind::NumericOutOfRange, "integer out of range"));
        if self.compare(high) != direction {
            return beyond();
        }
        let Some(operand) = self.wide() else { return beyond() };
        let distance = operand.minus(&low_wide).times(&Wide::from_i128(i128::from(count), 0));
        let before = distance.divided_by(&high_wide.minus(&low_wide), 0, false);
        let bucket = before.to_i128().and_then(|before| i32::try_from(before + 1).ok());
        bucket.ok_or_else(|| Error::new(ErrorKind::NumericOutOfRange, "integer out of range"))
    }

    /// How many of the ascending `thresholds` are not greater than this number.
    pub fn width_bucket_in(&self, thresholds: &[Self]) -> i32 {
        let bucket = thresholds.partition_point(|threshold| threshold.compare(self) != Ordering::Greater);
        i32::try_from(bucket).unwrap_or(i32::MAX)
    }
}
