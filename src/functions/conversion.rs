//! CAST of a column as a function of the engine: [`crate::types::convert`] with the form that the statement has chosen.
//!
//! The form is a part of the function's identity, so it depends on its argument only. It can fail on a value: never leakproof.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::define::{constant, external};
use crate::types::convert::convert;
use crate::types::input::Failure;
use crate::types::{Form, SqlType};

/// Labels up to this size show the argument.
const LONGEST_LABEL: usize = 100;

/// One cast in one place of a statement.
#[derive(Debug)]
struct Conversion {
    from: SqlType,
    to: SqlType,
    form: Arc<Form>,
    failure: Failure,
    signature: Signature,
    /// What a column is called that holds the call and was given no name: made once, because the engine asks at every step.
    label: String,
}

impl PartialEq for Conversion {
    fn eq(&self, other: &Self) -> bool {
        (&self.from, &self.to, self.failure) == (&other.from, &other.to, other.failure) && self.form == other.form
    }
}
impl Eq for Conversion {}
impl Hash for Conversion {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.from, &self.to, self.failure).hash(state);
    }
}

/// Whether some value has no such cast; `None` for another function.
pub(crate) fn fails(function: &ScalarUDF) -> Option<bool> {
    let conversion = function.inner().downcast_ref::<Conversion>()?;
    let (from, to) = (&conversion.from, &conversion.to);
    let leaf = |sql_type: &SqlType| !matches!(sql_type, SqlType::Array(_) | SqlType::Int2Vector | SqlType::OidVector);
    let number = |sql_type: &SqlType| {
        matches!(sql_type, SqlType::Int2 | SqlType::Int4 | SqlType::Int8 | SqlType::Numeric { .. } | SqlType::UnconstrainedNumeric)
    };
    let steady = match to {
        SqlType::Text | SqlType::Varchar(_) | SqlType::Name => leaf(from),
        SqlType::UnconstrainedNumeric => number(from),
        SqlType::Time => matches!(from, SqlType::Timestamp | SqlType::Timestamptz | SqlType::Interval),
        _ => false,
    };
    Some(conversion.failure == Failure::Error && !steady)
}

/// `value`, which is of type `from`, as `to`.
pub fn conversion(value: Expr, from: &SqlType, to: &SqlType, form: &Arc<Form>, failure: Failure) -> Expr {
    let label = label(&value, from, to, form, failure);
    let signature = Signature::any(1, Volatility::Immutable);
    let conversion = Conversion { from: from.clone(), to: to.clone(), form: Arc::clone(form), failure, signature, label };
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(ScalarUDF::new_from_impl(conversion)), vec![value]))
}

fn label(value: &Expr, from: &SqlType, to: &SqlType, form: &Form, failure: Failure) -> String {
    let mut hasher = DefaultHasher::new();
    (form, from, failure).hash(&mut hasher);
    let name = value.schema_name().to_string();
    let shown = if name.len() <= LONGEST_LABEL {
        name
    } else {
        name.hash(&mut hasher);
        String::new()
    };
    format!("cast({shown} as {})#{:016x}", to.tag(), hasher.finish())
}

impl ScalarUDFImpl for Conversion {
    fn name(&self) -> &str {
        "cast"
    }

    fn schema_name(&self, _arguments: &[Expr]) -> DataFusionResult<String> {
        Ok(self.label.clone())
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> DataFusionResult<DataType> {
        Ok(self.to.arrow_type())
    }

    fn return_field_from_args(&self, _args: ReturnFieldArgs<'_>) -> DataFusionResult<FieldRef> {
        Ok(Arc::new(self.to.field("cast", true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        let is_constant = args.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let Some(array) = arrays.first() else {
            return Err(external(crate::error::Error::internal("a cast without a value")));
        };
        let result = convert(array, &self.from, &self.to, &self.form, self.failure).map_err(external)?;
        if is_constant && !result.is_empty() {
            let value: ScalarValue = constant(&result).map_err(external)?;
            return Ok(ColumnarValue::Scalar(value));
        }
        Ok(ColumnarValue::Array(result))
    }
}
