//! What values go by where they are compared, grouped, joined or sorted, if that is not what they are made of.
//!
//! | type | equal | key |
//! |---|---|---|
//! | `numeric` without modifiers | `1.0 = 1.00` | the encoding without its scale |
//! | `interval` | `1 month = 30 days` | its length: a month has thirty days, a day twenty-four hours |
//! | arrays of them | element by element | the array of keys |

use std::hash::{Hash, Hasher};
use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, StringArray};
use datafusion::arrow::datatypes::{DataType, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit};
use datafusion::common::ScalarValue;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use crate::error::{Error, Result};
use crate::functions::define::{constant, external};
use crate::types::datum::from_arrow;
use crate::types::numeric::{innermost, keys, map_elements, mapped_type};

const LENGTH: DataType = DataType::Decimal128(38, 0);

/// Whether values of the type go by a key.
pub(crate) fn has_key(data_type: &DataType) -> bool {
    matches!(innermost(data_type), DataType::LargeBinary | DataType::Interval(IntervalUnit::MonthDayNano))
}

/// The Arrow type of the keys of values of `data_type`.
pub(crate) fn key_type(data_type: &DataType) -> DataType {
    match innermost(data_type) {
        DataType::LargeBinary => mapped_type(data_type, &DataType::Binary),
        DataType::Interval(_) => mapped_type(data_type, &LENGTH),
        _ => data_type.clone(),
    }
}

static KEY: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Arc::new(ScalarUDF::new_from_impl(Key::new(false))));
static TEXT_KEY: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Arc::new(ScalarUDF::new_from_impl(Key::new(true))));

/// The key of a value whose type [has one](has_key).
pub(crate) fn key(value: Expr) -> Expr {
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(&KEY), vec![value]))
}

/// The key of a value in the ORDER BY of a window: the engine's frames look for peers among numbers and texts, not among bytes. A byte
/// becomes the character of its number, which keeps the order.
pub(crate) fn window_key(value: Expr) -> Expr {
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(&TEXT_KEY), vec![value]))
}

/// The key of a constant.
///
/// # Errors
/// An internal error for a value without a key.
pub(crate) fn constant_key(value: &ScalarValue) -> Result<ScalarValue> {
    let array = value.to_array().map_err(|error| Error::internal("a constant without an array").with_source(error))?;
    constant(&map_elements(&array, &keys_of)?)
}

#[derive(Debug)]
struct Key {
    as_text: bool,
    signature: Signature,
}

impl Key {
    fn new(as_text: bool) -> Self {
        Self { as_text, signature: Signature::any(1, Volatility::Immutable) }
    }

    fn of(&self, array: &ArrayRef) -> Result<ArrayRef> {
        let keys = map_elements(array, &keys_of)?;
        match (self.as_text, keys.as_binary_opt::<i32>()) {
            (true, Some(keys)) => {
                let text = |key: &[u8]| key.iter().map(|byte| char::from(*byte)).collect::<String>();
                Ok(Arc::new(keys.iter().map(|key| key.map(text)).collect::<StringArray>()))
            }
            _ => Ok(keys),
        }
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.as_text == other.as_text
    }
}
impl Eq for Key {}
impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl ScalarUDFImpl for Key {
    fn name(&self) -> &str {
        if self.as_text { "window_key" } else { "key" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> DataFusionResult<DataType> {
        Ok(match arguments.first() {
            None => DataType::Null,
            Some(DataType::LargeBinary) if self.as_text => DataType::Utf8,
            Some(data_type) => key_type(data_type),
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        match args.args.as_slice() {
            [ColumnarValue::Array(array)] => self.of(array).map(ColumnarValue::Array).map_err(external),
            [ColumnarValue::Scalar(value)] => {
                self.of(&value.to_array()?).and_then(|key| constant(&key)).map(ColumnarValue::Scalar).map_err(external)
            }
            _ => Err(external(Error::internal("the key of several values"))),
        }
    }
}

fn keys_of(values: &ArrayRef) -> Result<ArrayRef> {
    Ok(match values.data_type() {
        DataType::LargeBinary => keys(values.as_binary()),
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            let lengths = values.as_primitive::<IntervalMonthDayNanoType>().iter().map(|interval| interval.map(interval_length));
            Arc::new(lengths.collect::<Decimal128Array>().with_precision_and_scale(38, 0).map_err(from_arrow)?)
        }
        _ => Arc::clone(values),
    })
}

/// What an interval compares by, in nanoseconds.
pub(crate) fn interval_length(interval: IntervalMonthDayNano) -> i128 {
    const DAY_NANOS: i128 = 86_400_000_000_000;
    let days = i128::from(interval.months) * 30 + i128::from(interval.days);
    days * DAY_NANOS + i128::from(interval.nanoseconds)
}
