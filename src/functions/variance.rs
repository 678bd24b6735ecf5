//! `var_pop`, `var_samp`, `stddev_pop`, `stddev_samp` over doubles, as PostgreSQL computes them.
//!
//! The engine's say 0 of one value, whatever it is; of an infinity or NaN the answer is NaN. Sums are kept as in PostgreSQL (Youngs and Cramer), so
//! that the last digits are the same as well.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Float64Type};
use datafusion::common::{ScalarValue, internal_err, not_impl_err, plan_err};
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};

use super::define::external;
use crate::error::{Error, ErrorKind};

/// The aggregates of this file.
pub(super) fn aggregates() -> Vec<AggregateUDF> {
    [
        ("var_pop", false, false),
        ("var_samp", true, false),
        ("stddev_pop", false, true),
        ("stddev_samp", true, true),
        ("stddev", true, true),
    ]
    .into_iter()
    .map(|(name, of_sample, is_root)| {
        let signature = Signature::user_defined(Volatility::Immutable);
        AggregateUDF::new_from_impl(Variance { name, of_sample, is_root, signature })
    })
    .collect()
}

#[derive(Debug)]
struct Variance {
    name: &'static str,
    of_sample: bool,
    is_root: bool,
    signature: Signature,
}

impl PartialEq for Variance {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}
impl Eq for Variance {}
impl Hash for Variance {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl AggregateUDFImpl for Variance {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> DataFusionResult<Vec<DataType>> {
        match arguments {
            [number] if number.is_numeric() || number.is_null() => Ok(vec![DataType::Float64]),
            _ => plan_err!("{} takes a number", self.name),
        }
    }

    fn return_type(&self, _arguments: &[DataType]) -> DataFusionResult<DataType> {
        Ok(DataType::Float64)
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> DataFusionResult<Box<dyn Accumulator>> {
        if args.is_distinct {
            return not_impl_err!("{}(DISTINCT) beside other aggregates", self.name);
        }
        Ok(Box::new(Spread { of_sample: self.of_sample, is_root: self.is_root, sums: Sums::default() }))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> DataFusionResult<Vec<FieldRef>> {
        let field = |part: &str| Arc::new(Field::new(format!("{}[{part}]", args.name), DataType::Float64, true));
        Ok(vec![field("count"), field("sum"), field("squares")])
    }
}

/// The number of values, their sum, and the sum of the squares of their distances from the mean.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Sums {
    count: f64,
    sum: f64,
    squares: f64,
}

impl Sums {
    fn add(&mut self, value: f64) -> Result<(), Error> {
        let (before, sum_before) = (self.count, self.sum);
        self.count += 1.0;
        self.sum += value;
        if before == 0.0 {
            self.squares = if value.is_finite() { 0.0 } else { f64::NAN };
            return Ok(());
        }
        let distance = value * self.count - self.sum;
        self.squares += distance * distance / (self.count * before);
        if self.sum.is_infinite() || self.squares.is_infinite() {
            if !sum_before.is_infinite() && !value.is_infinite() {
                return Err(overflow());
            }
            self.squares = f64::NAN;
        }
        Ok(())
    }

    fn merge(&mut self, other: Sums) -> Result<(), Error> {
        if other.count == 0.0 {
            return Ok(());
        }
        if self.count == 0.0 {
            *self = other;
            return Ok(());
        }
        let (count, sum) = (self.count + other.count, self.sum + other.sum);
        let apart = self.sum / self.count - other.sum / other.count;
        let squares = self.squares + other.squares + self.count * other.count * apart * apart / count;
        if (sum.is_infinite() && !self.sum.is_infinite() && !other.sum.is_infinite())
            || (squares.is_infinite() && !self.squares.is_infinite() && !other.squares.is_infinite())
        {
            return Err(overflow());
        }
        *self = Sums { count, sum, squares };
        Ok(())
    }
}

fn overflow() -> Error {
    Error::new(ErrorKind::NumericOutOfRange, "value out of range: overflow")
}

#[derive(Debug)]
struct Spread {
    of_sample: bool,
    is_root: bool,
    sums: Sums,
}

impl Accumulator for Spread {
    fn update_batch(&mut self, values: &[ArrayRef]) -> DataFusionResult<()> {
        let [values] = values else { return internal_err!("a variance is of one value") };
        values.as_primitive::<Float64Type>().iter().flatten().try_for_each(|value| self.sums.add(value)).map_err(external)
    }

    fn evaluate(&mut self) -> DataFusionResult<ScalarValue> {
        let Sums { count, squares, .. } = self.sums;
        let divisor = if self.of_sample { count - 1.0 } else { count };
        let variance = (divisor > 0.0).then(|| squares / divisor);
        Ok(ScalarValue::Float64(if self.is_root { variance.map(f64::sqrt) } else { variance }))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }

    fn state(&mut self) -> DataFusionResult<Vec<ScalarValue>> {
        Ok(vec![self.sums.count.into(), self.sums.sum.into(), self.sums.squares.into()])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> DataFusionResult<()> {
        let [count, sum, squares] = states else { return internal_err!("three sums make a variance") };
        let part = |array: &ArrayRef, row: usize| array.as_primitive::<Float64Type>().value(row);
        for row in (0..count.len()).filter(|row| count.is_valid(*row)) {
            let other = Sums { count: part(count, row), sum: part(sum, row), squares: part(squares, row) };
            self.sums.merge(other).map_err(external)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(values: &[f64]) -> Sums {
        let mut sums = Sums::default();
        for value in values {
            sums.add(*value).unwrap();
        }
        sums
    }

    #[test]
    fn parts_come_to_the_same_as_the_whole() {
        let mut merged = sums(&[1.0, 2.0]);
        merged.merge(sums(&[3.0, 4.0])).unwrap();
        merged.merge(Sums::default()).unwrap();
        assert_eq!(merged, sums(&[1.0, 2.0, 3.0, 4.0]));
    }

    #[test]
    fn what_is_not_finite_has_no_spread() {
        for values in [&[f64::INFINITY][..], &[f64::NAN], &[1.0, f64::INFINITY], &[f64::INFINITY, 1.0]] {
            assert!(sums(values).squares.is_nan(), "{values:?}");
        }
        assert_eq!(sums(&[1e308]).add(1e308).unwrap_err().kind(), ErrorKind::NumericOutOfRange);
    }
}
