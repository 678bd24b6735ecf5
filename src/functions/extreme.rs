//! `min` and `max` over doubles and reals, in PostgreSQL's order: NaN is greater than every number.
//!
//! The engine's compare with `<`, in which NaN is neither less nor greater: what they answer depends on the order of the rows.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Float32Type, Float64Type};
use datafusion::common::{ScalarValue, internal_err};
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};

/// `min` or `max` over floats.
pub(super) fn over_floats(name: &str) -> Option<Arc<AggregateUDF>> {
    let greatest = match name {
        "min" => false,
        "max" => true,
        _ => return None,
    };
    let signature = Signature::any(1, Volatility::Immutable);
    Some(Arc::new(AggregateUDF::new_from_impl(Extreme { greatest, signature })))
}

#[derive(Debug)]
struct Extreme {
    greatest: bool,
    signature: Signature,
}

impl PartialEq for Extreme {
    fn eq(&self, other: &Self) -> bool {
        self.greatest == other.greatest
    }
}
impl Eq for Extreme {}
impl Hash for Extreme {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl AggregateUDFImpl for Extreme {
    fn name(&self) -> &str {
        if self.greatest { "max" } else { "min" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(arguments.first().cloned().unwrap_or(DataType::Float64))
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let real = *args.return_field.data_type() == DataType::Float32;
        Ok(Box::new(Best { greatest: self.greatest, real, value: None }))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        Ok(vec![Arc::new(Field::new(format!("{}[best]", args.name), args.return_field.data_type().clone(), true))])
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

/// The best value so far. Reals are kept as doubles, which hold them all.
#[derive(Debug)]
struct Best {
    greatest: bool,
    real: bool,
    value: Option<f64>,
}

impl Best {
    fn see(&mut self, value: f64) {
        let order = |one: f64, other: f64| one.partial_cmp(&other).unwrap_or_else(|| one.is_nan().cmp(&other.is_nan()));
        let wanted = if self.greatest { Ordering::Greater } else { Ordering::Less };
        if self.value.is_none_or(|best| order(value, best) == wanted) {
            self.value = Some(value);
        }
    }
}

impl Accumulator for Best {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        match values.first().map(|values| (values, values.data_type())) {
            Some((values, DataType::Float64)) => {
                values.as_primitive::<Float64Type>().iter().flatten().for_each(|value| self.see(value));
            }
            Some((values, DataType::Float32)) => {
                values.as_primitive::<Float32Type>().iter().flatten().for_each(|value| self.see(value.into()));
            }
            _ => return internal_err!("the extreme of doubles over another type"),
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        #[expect(clippy::cast_possible_truncation, reason = "it was a real")]
        let real = self.value.map(|value| value as f32);
        Ok(if self.real { ScalarValue::Float32(real) } else { ScalarValue::Float64(self.value) })
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}
