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
//! Neither can be run: the expression has no implementation, and no planner knows a node whose callee is as the binder made it. Only governance gives it
//! one that can be.

use std::any::Any;
use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::tree_node::TreeNode;
use datafusion::common::{DFSchema, DFSchemaRef, Result, internal_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, Extension, LogicalPlan, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    UserDefinedLogicalNode, UserDefinedLogicalNodeCore, Volatility,
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

/// Who answers a call.
pub trait Callee: Any + fmt::Debug + Send + Sync {
    /// What is called.
    fn body(&self) -> &OwnerBody;

    /// The call as a part of the plan around it, where it may be one: the rows of `input` with the result as last column, named `output`.
    /// `arguments` are over these rows.
    ///
    /// # Errors
    /// If no plan can be made of it.
    fn beside(&self, _input: &LogicalPlan, _arguments: &[Expr], _output: &str) -> Result<Option<LogicalPlan>> {
        Ok(None)
    }
}

/// As the binder makes it: nobody has decided yet.
impl Callee for OwnerBody {
    fn body(&self) -> &OwnerBody {
        self
    }
}

/// The rows of `input` with the result of the call as last column, named `output`. `arguments` are over these rows.
///
/// # Errors
/// If no plan can be made of it.
pub(crate) fn called(callee: &Arc<dyn Callee>, input: LogicalPlan, arguments: Vec<Expr>, output: String) -> Result<LogicalPlan> {
    if let Some(plan) = callee.beside(&input, &arguments, &output)? {
        return Ok(plan);
    }
    let call = OwnerCall::try_new(Arc::clone(callee), input, arguments, output)?;
    Ok(LogicalPlan::Extension(Extension { node: Arc::new(call) }))
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
    call_expression(Arc::new(body), arguments)
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

/// Whether two evaluations may differ. Calls say so of themselves until they are nodes, for another reason.
pub(crate) fn is_volatile(expr: &Expr) -> bool {
    let volatile = |node: &Expr| {
        matches!(node, Expr::ScalarFunction(call) if call.func.signature().volatility == Volatility::Volatile)
            && callee_of(node).is_none()
    };
    expr.exists(|node| Ok(volatile(node))).unwrap_or(true)
}

/// What `expr` itself calls, with the arguments, if it is such a call.
pub(crate) fn callee_of(expr: &Expr) -> Option<(&Arc<dyn Callee>, &[Expr])> {
    let Expr::ScalarFunction(call) = expr else { return None };
    let function = call.func.inner().downcast_ref::<CallFunction>()?;
    Some((&function.callee, &call.args))
}

/// A call as a node: the rows of its input, and the result as their last column. No planner knows it while its callee is as the binder made it.
#[derive(Debug, Clone)]
pub struct OwnerCall {
    /// What is called.
    pub callee: Arc<dyn Callee>,
    /// The rows.
    pub input: LogicalPlan,
    /// One expression a parameter, over the rows.
    pub arguments: Vec<Expr>,
    /// Name of the result's column.
    pub output: String,
    schema: DFSchemaRef,
}

impl OwnerCall {
    fn try_new(callee: Arc<dyn Callee>, input: LogicalPlan, arguments: Vec<Expr>, output: String) -> Result<Self> {
        let result = Arc::new(callee.body().returns.as_ref().clone().with_name(&output).with_nullable(true));
        let fields = input.schema().iter().map(|(relation, field)| (relation.cloned(), Arc::clone(field)));
        let schema = DFSchema::new_with_metadata(fields.chain([(None, result)]).collect(), input.schema().metadata().clone())?;
        Ok(Self { callee, input, arguments, output, schema: Arc::new(schema) })
    }

    /// The call that `plan` is, if it is one.
    pub fn of(plan: &LogicalPlan) -> Option<&OwnerCall> {
        match plan {
            LogicalPlan::Extension(extension) => Self::of_node(extension.node.as_ref()),
            _ => None,
        }
    }

    /// The call that `node` is, if it is one.
    pub fn of_node(node: &dyn UserDefinedLogicalNode) -> Option<&OwnerCall> {
        node.as_any().downcast_ref::<OwnerCall>()
    }
}

impl PartialEq for OwnerCall {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.callee, &other.callee)
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
        write!(f, "OwnerCall: {}", self.callee.body().function.name)
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        match <[LogicalPlan; 1]>::try_from(inputs) {
            Ok([input]) => Self::try_new(Arc::clone(&self.callee), input, exprs, self.output.clone()),
            Err(_) => internal_err!("a call has one input"),
        }
    }

    /// Its own columns that are asked for; those of the arguments are added by the optimiser.
    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let count = self.input.schema().fields().len();
        Some(vec![output_columns.iter().copied().filter(|index| *index < count).collect()])
    }
}
