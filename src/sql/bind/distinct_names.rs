//! Calls that DataFusion would give one name, told apart.
//!
//! A computed column is called by the text of its expression, in which casts are left out: `sum(i)` and `sum(i::numeric)` are one column to it, and
//! it refuses both (apache/datafusion#18975). So the second gets an operand under another name, which is the operand itself.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::internal_err;
use datafusion::error::Result;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// The expressions in order, each with a name of its own.
pub(super) fn distinctly_named(exprs: &[Expr]) -> Vec<Expr> {
    let mut taken = HashSet::new();
    let distinct = |expr: &Expr| {
        let mut expr = expr.clone();
        for number in 1..=exprs.len() {
            if taken.insert(expr.schema_name().to_string()) {
                break;
            }
            rename_operand(&mut expr, number);
        }
        expr
    };
    exprs.iter().map(distinct).collect()
}

/// Puts the first operand that is no constant behind a function that is called otherwise.
fn rename_operand(expr: &mut Expr, number: usize) {
    let (args, order_by, partition_by) = match expr {
        Expr::AggregateFunction(call) => {
            (call.params.args.as_mut_slice(), call.params.order_by.as_mut_slice(), &mut [] as &mut [Expr])
        }
        Expr::WindowFunction(call) => {
            let params = &mut call.params;
            (params.args.as_mut_slice(), params.order_by.as_mut_slice(), params.partition_by.as_mut_slice())
        }
        _ => return,
    };
    let keys = order_by.iter_mut().map(|sort| &mut sort.expr);
    let operand = args.iter_mut().chain(keys).chain(partition_by).find(|operand| !matches!(operand, Expr::Literal(..)));
    if let Some(operand) = operand {
        let function = Renamed { number, signature: Signature::any(1, Volatility::Immutable) };
        let renamed = ScalarFunction::new_udf(Arc::new(ScalarUDF::new_from_impl(function)), vec![operand.clone()]);
        *operand = Expr::ScalarFunction(renamed);
    }
}

/// A value under another name.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Renamed {
    number: usize,
    signature: Signature,
}

impl ScalarUDFImpl for Renamed {
    fn name(&self) -> &str {
        "same"
    }

    fn display_name(&self, args: &[Expr]) -> Result<String> {
        Ok(args.iter().map(Expr::to_string).collect())
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(args.iter().map(|arg| format!("{}#{}", arg.schema_name(), self.number)).collect())
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(arg_types.first().cloned().unwrap_or(DataType::Null))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        match args.arg_fields {
            [field] => Ok(Arc::clone(field)),
            _ => internal_err!("one value has one name"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.into_iter().next() {
            Some(value) => Ok(value),
            None => internal_err!("one value has one name"),
        }
    }
}
