//! Databricks' `if(condition, then, else)`, `iff` and `nvl2`: CASE under other names, so that the branch not taken is never evaluated.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::plan_err;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::type_coercion::binary::type_union_resolution;
use datafusion::logical_expr::{
    Case, ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::define::{external, undefined_function};
use crate::error::Error;

/// `if(condition, then, else)`.
#[derive(Debug)]
pub(super) struct If {
    signature: Signature,
}

impl If {
    /// The function.
    pub(super) fn function() -> Arc<ScalarUDF> {
        Arc::new(ScalarUDF::new_from_impl(Self { signature: Signature::user_defined(Volatility::Immutable) }))
    }
}

impl PartialEq for If {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}
impl Eq for If {}
impl Hash for If {
    fn hash<H: Hasher>(&self, state: &mut H) {
        "if".hash(state);
    }
}

impl ScalarUDFImpl for If {
    fn name(&self) -> &'static str {
        "if"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> DataFusionResult<Vec<DataType>> {
        let [_, then, otherwise] = arguments else { return Ok(arguments.to_vec()) };
        let Some(common) = type_union_resolution(&[then.clone(), otherwise.clone()]) else {
            return plan_err!("the branches of if() have types that do not fit: {then} and {otherwise}");
        };
        Ok(vec![DataType::Boolean, common.clone(), common])
    }

    fn return_type(&self, arguments: &[DataType]) -> DataFusionResult<DataType> {
        Ok(arguments.get(1).cloned().unwrap_or(DataType::Null))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> DataFusionResult<FieldRef> {
        match args.arg_fields {
            [_, then, _] => Ok(Arc::new(then.as_ref().clone().with_name("if").with_nullable(true))),
            other => Err(external(undefined_function("if", other))),
        }
    }

    fn short_circuits(&self) -> bool {
        true
    }

    fn simplify(&self, args: Vec<Expr>, _info: &SimplifyContext) -> DataFusionResult<ExprSimplifyResult> {
        let [condition, then, otherwise]: [Expr; 3] = match args.try_into() {
            Ok(three) => three,
            Err(args) => return Ok(ExprSimplifyResult::Original(args)),
        };
        let case =
            Case { expr: None, when_then_expr: vec![(Box::new(condition), Box::new(then))], else_expr: Some(Box::new(otherwise)) };
        Ok(ExprSimplifyResult::Simplified(Expr::Case(case)))
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        Err(external(Error::internal("if() was not turned into CASE")))
    }
}
