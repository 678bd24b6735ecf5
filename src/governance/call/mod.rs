//! Calls of functions whose bodies read with their owner's rights.
//!
//! ```text
//!   beside   input ▶ arguments as columns ▶ body                    one plan: the caller may look into it
//!   apart    input ▶ GovernedCall ──────────────────▶ one column     the outer plan ends at the call
//!                        │ arguments      ▲ results
//!            ────────────▼────────────────│─────────────────────────────────────────────
//!            inner plan: body over a table of arguments               planned apart, in isolation
//! ```
//! Nothing crosses but values: the inner plan is made over a table that has the parameters for columns, so no expression of the caller is in it,
//! and what the outer plan does with the results it does above. The arguments of many rows are handed over together and the body is run once for
//! them. How many is bounded in rows and bytes, and their memory is the query's.

use std::any::Any;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Column, TableReference, internal_err};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{
    Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Projection, TableSource, UserDefinedLogicalNode,
};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{ExtensionPlanner, PhysicalPlanner};

use self::arguments::ArgumentsTable;
use self::execution::{Callable, GovernedCallExec};
use crate::sql::bind::unnested;
use crate::sql::call::{Callee, OwnerBody, OwnerCall};
use crate::sql::internal_name::Series;

mod arguments;
mod execution;

/// A body whose subqueries can be read, run beside the rows of the caller.
#[derive(Debug)]
pub(super) struct Beside {
    pub(super) body: OwnerBody,
    pub(super) names: Arc<Series>,
}

impl Callee for Beside {
    fn body(&self) -> &OwnerBody {
        &self.body
    }

    fn beside(&self, input: &LogicalPlan, arguments: &[Expr], output: &str) -> Result<Option<LogicalPlan>> {
        let columns = || input.schema().columns().into_iter().map(Expr::Column);
        let arguments = arguments.iter().zip(&self.body.parameters);
        let arguments = arguments.map(|(argument, parameter)| argument.clone().alias(parameter.name()));
        let below = columns().chain(arguments).collect();
        let above = columns().chain([self.body.value.clone().alias(output)]).collect();
        let arguments = LogicalPlan::Projection(Projection::try_new(below, Arc::new(input.clone()))?);
        let plan = LogicalPlan::Projection(Projection::try_new(above, Arc::new(arguments))?);
        unnested_here(plan, &self.names).map(Some)
    }
}

fn unnested_here(plan: LogicalPlan, names: &Series) -> Result<LogicalPlan> {
    unnested(plan, &|base| names.next(base)).map_err(|error| DataFusionError::External(Box::new(error)))
}

/// A body that is run behind a leaf.
#[derive(Debug)]
pub(super) struct Apart {
    /// `schema.function`, all that EXPLAIN shows.
    name: String,
    body: OwnerBody,
    /// Number of the arguments' row and result, over an [`ArgumentsTable`].
    plan: LogicalPlan,
}

impl Apart {
    /// `body` can be read. The table of arguments that the plan reads is told to `made`.
    pub(super) fn new(
        name: String,
        body: OwnerBody,
        names: &Series,
        made: &mut dyn FnMut(Arc<dyn TableProvider>) -> Arc<dyn TableSource>,
    ) -> Result<Arc<Self>> {
        let number = names.next("number");
        let nullable = |field: &FieldRef| Arc::new(field.as_ref().clone().with_nullable(true));
        let mut fields: Vec<FieldRef> = body.parameters.iter().map(nullable).collect();
        fields.push(Arc::new(Field::new(&number, DataType::Int64, false)));
        let schema = Arc::new(Schema::new(fields));
        let qualifier = TableReference::bare("arguments");
        let bare = |name: &String| Expr::Column(Column::new(Some(qualifier.clone()), name)).alias(name);
        let columns: Vec<Expr> = schema.fields().iter().map(|field| bare(field.name())).collect();
        let source = made(Arc::new(ArgumentsTable { schema }));
        let arguments = LogicalPlanBuilder::scan(qualifier.clone(), source, None)?.build()?;
        let arguments = LogicalPlan::Projection(Projection::try_new(columns, Arc::new(arguments))?);
        let value = body.value.clone().cast_to(body.returns.data_type(), arguments.schema())?;
        let exprs = vec![Expr::Column(Column::new_unqualified(number)), value.alias(names.next("value"))];
        let plan = LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(arguments))?);
        let plan = unnested_here(plan, names)?;
        Ok(Arc::new(Self { name, body, plan }))
    }

    /// The plan behind the leaf.
    pub(super) fn plan(&self) -> &LogicalPlan {
        &self.plan
    }
}

impl Callee for Apart {
    fn body(&self) -> &OwnerBody {
        &self.body
    }
}

fn apart(node: &dyn UserDefinedLogicalNode) -> Option<(&OwnerCall, &Apart)> {
    let call = OwnerCall::of_node(node)?;
    let callee: &dyn Any = call.callee.as_ref();
    Some((call, callee.downcast_ref::<Apart>()?))
}

/// Whether a node is a call that is run apart.
pub(super) fn is_governed_call(node: &dyn UserDefinedLogicalNode) -> bool {
    apart(node).is_some()
}

/// Plans calls that are run apart.
#[derive(Debug)]
pub(crate) struct GovernedCalls;

#[async_trait]
impl ExtensionPlanner for GovernedCalls {
    async fn plan_extension(
        &self,
        planner: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        logical_inputs: &[&LogicalPlan],
        physical_inputs: &[Arc<dyn ExecutionPlan>],
        session: &dyn Session,
        context: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let Some((call, callee)) = apart(node) else { return Ok(None) };
        let ([rows], [input]) = (logical_inputs, physical_inputs) else { return internal_err!("a call has one input") };
        let argument = |expr: &Expr| planner.create_physical_expr(expr, rows.schema(), session, context);
        let arguments = call.arguments.iter().map(argument).collect::<Result<_>>()?;
        let inner = plan_for_many_runs(&callee.plan, session).await?;
        let result = Arc::new(callee.body.returns.as_ref().clone().with_name(&call.output).with_nullable(true));
        let (name, parameters) = (callee.name.clone(), callee.body.parameters.clone());
        Ok(Some(Arc::new(GovernedCallExec::new(Callable { name, parameters, arguments, inner, result }, Arc::clone(input)))))
    }
}

/// A run-time filter belongs to one run, and each run has other arguments.
#[expect(clippy::disallowed_methods, reason = "the plan was made by the gate")]
async fn plan_for_many_runs(plan: &LogicalPlan, session: &dyn Session) -> Result<Arc<dyn ExecutionPlan>> {
    let Some(state) = session.as_any().downcast_ref::<SessionState>() else {
        return internal_err!("a call is planned in a session of the engine's");
    };
    let mut state = state.clone();
    let optimizer = &mut state.config_mut().options_mut().optimizer;
    optimizer.enable_dynamic_filter_pushdown = false;
    optimizer.enable_join_dynamic_filter_pushdown = false;
    optimizer.enable_topk_dynamic_filter_pushdown = false;
    optimizer.enable_aggregate_dynamic_filter_pushdown = false;
    let options = Arc::clone(state.config_options());
    state.execution_props_mut().config_options = Some(options);
    state.create_physical_plan(plan).await
}
