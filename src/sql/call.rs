//! Calls of functions that read relations with their owner's rights.
//!
//! ```text
//!   f(a, g(b))   an expression:  CallFunction(f)(a, CallFunction(g)(b))
//!        │ unnest
//!        ▼       a node:         OwnerCall f ── OwnerCall g ── input       each adds one column to its input's
//!        │ governance
//!        ▼                       the body beside the input, or run apart where the caller may not look into it
//! ```
//! Arguments are expressions of whoever calls, the body is its owner's. Put into each other, the caller's predicates would be run on rows that the
//! body hides, and the names of one could mean the other's columns. So the body is bound over columns that stand for the parameters,
//! and the node keeps both apart: its arguments and its input are part of the plan around it, its body is not.
//!
//! Neither can be run: the expression has no implementation, and no planner knows the node. Only governance makes something of it that can.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{DFSchema, DFSchemaRef, Result, internal_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, Extension, LogicalPlan, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    UserDefinedLogicalNodeCore, Volatility,
};

use super::source::AccessBy;
use crate::catalog::securable::Function;

/// A function with its body bound.
#[derive(Debug)]
pub struct OwnerBody {
    /// The function.
    pub function: Arc<Function>,
    /// Who calls it: whose privilege to execute it counts.
    pub by: AccessBy,
    /// The parameters, as columns without qualifier that nothing else in the statement is called.
    pub parameters: Vec<FieldRef>,
    /// The result over the parameters; its subqueries read with the owner's rights.
    pub value: Expr,
    /// Type of the result.
    pub returns: FieldRef,
}

/// What a call becomes when it is unnested.
pub trait Callee: fmt::Debug + Send + Sync {
    /// What is called.
    fn body(&self) -> &Arc<OwnerBody>;

    /// The rows of `input` with the result of the call as last column, named `output`. `arguments` are over these rows.
    ///
    /// # Errors
    /// If no plan can be made of it.
    fn call(&self, input: LogicalPlan, arguments: Vec<Expr>, output: String) -> Result<LogicalPlan>;
}

/// A call as the binder makes it.
#[derive(Debug)]
struct Bound(Arc<OwnerBody>);

impl Callee for Bound {
    fn body(&self) -> &Arc<OwnerBody> {
        &self.0
    }

    fn call(&self, input: LogicalPlan, arguments: Vec<Expr>, output: String) -> Result<LogicalPlan> {
        let schema = with_result(&input, &self.0.returns, &output)?;
        let call = OwnerCall { body: Arc::clone(&self.0), input, arguments, output, schema };
        Ok(LogicalPlan::Extension(Extension { node: Arc::new(call) }))
    }
}

/// A call as an expression, until it is unnested. Two are equal if function and arguments are.
#[derive(Debug)]
struct CallFunction {
    callee: Arc<dyn Callee>,
    signature: Signature,
}

impl CallFunction {
    fn identity(&self) -> impl Eq + Hash {
        (self.callee.body().function.id, self.callee.body().by)
    }
}

impl PartialEq for CallFunction {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for CallFunction {}

impl Hash for CallFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

impl ScalarUDFImpl for CallFunction {
    fn name(&self) -> &str {
        &self.callee.body().function.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(self.callee.body().returns.data_type().clone())
    }

    fn return_field_from_args(&self, _arguments: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        Ok(Arc::clone(&self.callee.body().returns))
    }

    fn invoke_with_args(&self, _arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        internal_err!("a call of {} was not unnested", self.name())
    }
}

/// The call of a bound body as an expression.
pub(crate) fn bound_call(body: OwnerBody, arguments: Vec<Expr>) -> Expr {
    call_expression(Arc::new(Bound(Arc::new(body))), arguments)
}

/// A call as an expression.
pub(crate) fn call_expression(callee: Arc<dyn Callee>, arguments: Vec<Expr>) -> Expr {
    // Volatile, so that no rule evaluates it before it is a node.
    let types: Vec<DataType> = callee.body().parameters.iter().map(|parameter| parameter.data_type().clone()).collect();
    let signature =
        if types.is_empty() { Signature::nullary(Volatility::Volatile) } else { Signature::exact(types, Volatility::Volatile) };
    let function = ScalarUDF::from(CallFunction { callee, signature });
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(function), arguments))
}

/// What `expr` itself calls, with the arguments, if it is such a call.
pub(crate) fn callee_of(expr: &Expr) -> Option<(&Arc<dyn Callee>, &[Expr])> {
    let Expr::ScalarFunction(call) = expr else { return None };
    let function = call.func.inner().downcast_ref::<CallFunction>()?;
    Some((&function.callee, &call.args))
}

/// A call as a node: the rows of its input, and the result as their last column. It cannot be planned.
#[derive(Debug, Clone)]
pub struct OwnerCall {
    /// What is called.
    pub body: Arc<OwnerBody>,
    /// The rows.
    pub input: LogicalPlan,
    /// One expression a parameter, over the rows.
    pub arguments: Vec<Expr>,
    /// Name of the result's column.
    pub output: String,
    schema: DFSchemaRef,
}

impl OwnerCall {
    /// The call that `plan` is, if it is one.
    pub fn of(plan: &LogicalPlan) -> Option<&OwnerCall> {
        match plan {
            LogicalPlan::Extension(extension) => extension.node.as_any().downcast_ref::<OwnerCall>(),
            _ => None,
        }
    }
}

/// The columns of `input` and a result's.
///
/// # Errors
/// If the input has a column of that name already.
pub(crate) fn with_result(input: &LogicalPlan, returns: &FieldRef, output: &str) -> Result<DFSchemaRef> {
    let result = Arc::new(returns.as_ref().clone().with_name(output).with_nullable(true));
    let fields = input.schema().iter().map(|(relation, field)| (relation.cloned(), Arc::clone(field)));
    let schema = DFSchema::new_with_metadata(fields.chain([(None, result)]).collect(), input.schema().metadata().clone())?;
    Ok(Arc::new(schema))
}

impl PartialEq for OwnerCall {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.body, &other.body)
            && self.output == other.output
            && self.arguments == other.arguments
            && self.input == other.input
    }
}

impl Eq for OwnerCall {}

impl Hash for OwnerCall {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.output, &self.arguments, &self.input).hash(state);
    }
}

impl PartialOrd for OwnerCall {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (self == other).then_some(Ordering::Equal)
    }
}

impl UserDefinedLogicalNodeCore for OwnerCall {
    fn name(&self) -> &str {
        "OwnerCall"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        self.arguments.clone()
    }

    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        HashSet::from([self.output.clone()])
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OwnerCall: {}", self.body.function.name)
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        let Ok([input]) = <[LogicalPlan; 1]>::try_from(inputs) else { return internal_err!("a call has one input") };
        let schema = with_result(&input, &self.body.returns, &self.output)?;
        Ok(Self { input, arguments: exprs, schema, body: Arc::clone(&self.body), output: self.output.clone() })
    }
}
