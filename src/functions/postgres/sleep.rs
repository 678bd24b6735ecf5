//! `pg_sleep`: waits without holding a thread, so that cancelling the statement ends it at once.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Float64Type};
use datafusion::common::ScalarValue;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::async_udf::{AsyncScalarUDF, AsyncScalarUDFImpl};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::error::Error;
use crate::functions::define::external;
use crate::types::SqlType;

/// `pg_sleep(seconds)`.
#[derive(Debug)]
pub(crate) struct Sleep {
    signature: Signature,
}

impl Sleep {
    /// The function.
    pub(crate) fn function() -> Arc<ScalarUDF> {
        let implementation = Self { signature: Signature::exact(vec![DataType::Float64], Volatility::Volatile) };
        Arc::new(AsyncScalarUDF::new(Arc::new(implementation)).into_scalar_udf())
    }
}

impl PartialEq for Sleep {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}
impl Eq for Sleep {}
impl Hash for Sleep {
    fn hash<H: Hasher>(&self, state: &mut H) {
        "pg_sleep".hash(state);
    }
}

impl ScalarUDFImpl for Sleep {
    fn name(&self) -> &'static str {
        "pg_sleep"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> DataFusionResult<DataType> {
        Ok(DataType::Null)
    }

    fn return_field_from_args(&self, _args: ReturnFieldArgs<'_>) -> DataFusionResult<FieldRef> {
        Ok(Arc::new(Field::new("pg_sleep", DataType::Null, true).with_metadata(SqlType::Void.metadata())))
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        Err(external(Error::internal("pg_sleep was called without waiting")))
    }
}

#[async_trait]
impl AsyncScalarUDFImpl for Sleep {
    async fn invoke_async_with_args(&self, args: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        let seconds = match args.args.first() {
            Some(value) => value.to_array(args.number_rows)?,
            None => return Ok(ColumnarValue::Scalar(ScalarValue::Null)),
        };
        let values = seconds.as_primitive::<Float64Type>();
        for row in 0..values.len() {
            if values.is_valid(row) && values.value(row) > 0.0 {
                tokio::time::sleep(Duration::from_secs_f64(values.value(row).min(1e9))).await;
            }
        }
        Ok(ColumnarValue::Array(datafusion::arrow::array::new_null_array(&DataType::Null, args.number_rows)))
    }
}
