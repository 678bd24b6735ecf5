//! The advisory locks that are waited for, without holding a thread: `pg_advisory_lock` and its kin.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{Array, AsArray, new_null_array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Int64Type};
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::logical_expr::async_udf::{AsyncScalarUDF, AsyncScalarUDFImpl};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};

use crate::error::{Error, ErrorKind};
use crate::functions::context::FunctionContext;
use crate::functions::define::external;
use crate::functions::session::{AdvisoryKey, AdvisoryRequest};
use crate::types::SqlType;

/// The functions: name, whether the lock is shared, whether it ends with the transaction.
pub(crate) const WAITING: [(&str, bool, bool); 4] = [
    ("pg_advisory_lock", false, false),
    ("pg_advisory_lock_shared", true, false),
    ("pg_advisory_xact_lock", false, true),
    ("pg_advisory_xact_lock_shared", true, true),
];

/// One of [`WAITING`], in one statement.
#[derive(Debug)]
struct AdvisoryLock {
    name: &'static str,
    shared: bool,
    transaction: bool,
    context: Arc<FunctionContext>,
    signature: Signature,
}

/// Whether `name` is one of [`WAITING`].
pub(crate) fn is_waiting(name: &str) -> bool {
    WAITING.iter().any(|(waiting, ..)| *waiting == name)
}

/// The function of that name for a statement, if it is one of [`WAITING`].
pub(crate) fn function(name: &str, context: &Arc<FunctionContext>) -> Option<Arc<ScalarUDF>> {
    let (name, shared, transaction) = WAITING.into_iter().find(|(waiting, ..)| *waiting == name)?;
    let signature = Signature::one_of(
        vec![TypeSignature::Exact(vec![DataType::Int64]), TypeSignature::Exact(vec![DataType::Int64, DataType::Int64])],
        Volatility::Volatile,
    );
    let lock = AdvisoryLock { name, shared, transaction, context: Arc::clone(context), signature };
    Some(Arc::new(AsyncScalarUDF::new(Arc::new(lock)).into_scalar_udf()))
}

impl PartialEq for AdvisoryLock {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && Arc::ptr_eq(&self.context, &other.context)
    }
}
impl Eq for AdvisoryLock {}
impl Hash for AdvisoryLock {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for AdvisoryLock {
    fn name(&self) -> &'static str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> DataFusionResult<DataType> {
        Ok(DataType::Null)
    }

    fn return_field_from_args(&self, _args: ReturnFieldArgs<'_>) -> DataFusionResult<FieldRef> {
        Ok(Arc::new(Field::new(self.name, DataType::Null, true).with_metadata(SqlType::Void.metadata())))
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        Err(external(Error::internal("an advisory lock was taken without waiting")))
    }
}

#[async_trait]
impl AsyncScalarUDFImpl for AdvisoryLock {
    async fn invoke_async_with_args(&self, args: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        let refused = || Error::new(ErrorKind::ObjectNotInPrerequisiteState, "there is no session here that could hold a lock");
        let control = self.context.control.as_ref().ok_or_else(|| external(refused()))?;
        let columns = args
            .args
            .iter()
            .map(|argument| cast(&argument.to_array(args.number_rows)?, &DataType::Int64).map_err(DataFusionError::from))
            .collect::<DataFusionResult<Vec<_>>>()?;
        for row in 0..args.number_rows {
            if columns.iter().any(|column| column.is_null(row)) {
                continue;
            }
            let numbers: Vec<i64> = columns.iter().map(|column| column.as_primitive::<Int64Type>().value(row)).collect();
            let key = AdvisoryKey::of(&numbers).map_err(external)?;
            let request = AdvisoryRequest { key, shared: self.shared, transaction: self.transaction };
            control.lock(request).await.map_err(external)?;
        }
        Ok(ColumnarValue::Array(new_null_array(&DataType::Null, args.number_rows)))
    }
}
