//! Volatile functions are called for the rows that the statement asks about, and for no others.
//!
//! ```text
//!   SELECT pg_notify(..) ─▶ Projection, volatile        stays above filters, joins and limits: PostponedCalls, Shielded
//!   ORDER BY .. LIMIT      ─▶ Sort
//!   WHERE pg_notify(..)    ─▶ Filter, volatile            stays above what may be tested first, and above joins: VolatileFilters
//!   WHERE id < 6           ─▶ Filter ─▶ ..
//! ```
//! Who calls a function with an effect, or one that draws a number, means each row that comes out once. DataFusion 55 moves a projection below a filter,
//! a sort or into a scan if that makes rows narrower, whatever is computed in it; moves a volatile condition below a join; and looks through
//! a projection for the condition on its result, so that the scan draws a second number. Here such a node stays where it was bound. So does a
//! projection that can fail: `SELECT y, x / y .. WHERE y <> 0` means rows that have passed the filter.
//!
//! Not here: a volatile output column that nobody reads, which is dropped without a call; the order of conditions that are all volatile; WHERE under
//! LIMIT, where rows are tested a batch at a time.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, internal_err};
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{Expr, Filter, Join, JoinType, LogicalPlan, Projection, Sort};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};
use datafusion::physical_expr_common::physical_expr::is_volatile;
use datafusion::physical_optimizer::{PhysicalOptimizerContext, PhysicalOptimizerRule};
use datafusion::physical_plan::execution_plan::{CardinalityEffect, ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PhysicalExpr, PlanProperties};

use super::failing::fails_when_run;

/// DataFusion's rule that moves conditions towards the tables, for conditions that may be tested elsewhere and any number of times.
#[derive(Debug)]
pub(super) struct VolatileFilters(pub(super) Arc<dyn OptimizerRule + Send + Sync>);

impl OptimizerRule for VolatileFilters {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        match plan {
            LogicalPlan::Filter(filter) if filter.predicate.is_volatile() => apart(filter),
            LogicalPlan::Filter(filter) => match filter.input.as_ref() {
                LogicalPlan::Filter(below) if below.predicate.is_volatile() => {
                    let steady = filtered(Some(filter.predicate), Arc::clone(&below.input))?;
                    filtered(Some(below.predicate.clone()), Arc::new(steady)).map(Transformed::yes)
                }
                LogicalPlan::Join(join) if tests_volatile(join) => {
                    if join.join_type != JoinType::Inner {
                        return Ok(Transformed::no(LogicalPlan::Filter(filter)));
                    }
                    let above = lifted(join.clone())?;
                    filtered(Some(filter.predicate), Arc::new(above)).map(Transformed::yes)
                }
                _ => self.0.rewrite(LogicalPlan::Filter(filter), config),
            },
            LogicalPlan::Join(join) if tests_volatile(&join) => {
                if join.join_type == JoinType::Inner {
                    lifted(join).map(Transformed::yes)
                } else {
                    // It decides which rows match, so it cannot stand above.
                    Ok(Transformed::no(LogicalPlan::Join(join)))
                }
            }
            other => self.0.rewrite(other, config),
        }
    }
}

fn tests_volatile(join: &Join) -> bool {
    join.filter.as_ref().is_some_and(Expr::is_volatile)
}

fn filtered(predicate: Option<Expr>, input: Arc<LogicalPlan>) -> Result<LogicalPlan> {
    match predicate {
        Some(predicate) => Filter::try_new(predicate, input).map(LogicalPlan::Filter),
        None => Ok(Arc::unwrap_or_clone(input)),
    }
}

/// The volatile conditions of a conjunction, and the others.
fn sorted_out(predicate: Expr) -> (Option<Expr>, Option<Expr>) {
    let (volatile, steady): (Vec<Expr>, Vec<Expr>) = split_conjunction_owned(predicate).into_iter().partition(Expr::is_volatile);
    (conjunction(volatile), conjunction(steady))
}

/// The volatile conditions of a filter over the others.
fn apart(filter: Filter) -> Result<Transformed<LogicalPlan>> {
    let Filter { predicate, input, .. } = filter;
    let (volatile, steady) = sorted_out(predicate);
    let divided = steady.is_some();
    let plan = filtered(volatile, Arc::new(filtered(steady, input)?))?;
    Ok(if divided { Transformed::yes(plan) } else { Transformed::no(plan) })
}

/// An inner join under its volatile conditions.
fn lifted(mut join: Join) -> Result<LogicalPlan> {
    let (volatile, steady) = join.filter.take().map(sorted_out).unwrap_or_default();
    join.filter = steady;
    filtered(volatile, Arc::new(LogicalPlan::Join(join)))
}

/// Volatile output columns are computed behind ORDER BY, in its order, as in PostgreSQL: with LIMIT only for the rows that are left. Columns that are
/// sorted by are computed before.
#[derive(Debug)]
pub(super) struct PostponedCalls;

impl OptimizerRule for PostponedCalls {
    fn name(&self) -> &str {
        "postponed_calls"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn rewrite(&self, plan: LogicalPlan, _config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        match plan {
            LogicalPlan::Sort(sort) => match sort.input.as_ref() {
                LogicalPlan::Projection(projection) => match postponed(&sort, projection)? {
                    Some(plan) => Ok(Transformed::yes(plan)),
                    None => Ok(Transformed::no(LogicalPlan::Sort(sort))),
                },
                _ => Ok(Transformed::no(LogicalPlan::Sort(sort))),
            },
            other => Ok(Transformed::no(other)),
        }
    }
}

fn postponed(sort: &Sort, projection: &Projection) -> Result<Option<LogicalPlan>> {
    let schema = &projection.schema;
    let mut keys = vec![false; schema.fields().len()];
    for column in sort.expr.iter().flat_map(|key| key.expr.column_refs()) {
        match schema.index_of_column(column) {
            Ok(index) => keys[index] = true,
            Err(_) => return Ok(None),
        }
    }
    let late = |index: usize, expr: &Expr| expr.is_volatile() && !keys[index] && !has_subquery(expr);
    if !projection.expr.iter().enumerate().any(|(index, expr)| late(index, expr)) {
        return Ok(None);
    }
    let mut arguments =
        Arguments { taken: schema.fields().iter().map(|field| field.name().clone()).collect(), names: BTreeMap::new() };
    let (mut early, mut output) = (vec![], vec![]);
    for (index, expr) in projection.expr.iter().enumerate() {
        let (qualifier, field) = schema.qualified_field(index);
        output.push(if late(index, expr) {
            let over = arguments.over(expr.clone().unalias())?;
            over.alias_qualified(qualifier.cloned(), field.name())
        } else {
            early.push(expr.clone());
            Expr::Column(Column::from((qualifier, field)))
        });
    }
    early.extend(arguments.names.into_iter().map(|(column, name)| Expr::Column(column).alias(name)));
    let input = Projection::try_new(early, Arc::clone(&projection.input))?;
    let input = Arc::new(LogicalPlan::Projection(input));
    let sorted = LogicalPlan::Sort(Sort { expr: sort.expr.clone(), input, fetch: sort.fetch });
    Ok(Some(LogicalPlan::Projection(Projection::try_new(output, Arc::new(sorted))?)))
}

/// What postponed calls need of the rows, under names that no other column has.
struct Arguments {
    taken: Vec<String>,
    names: BTreeMap<Column, String>,
}

impl Arguments {
    /// The expression over the names.
    fn over(&mut self, expr: Expr) -> Result<Expr> {
        let renamed = expr.transform_up(|node| {
            Ok(match node {
                Expr::Column(column) => Transformed::yes(Expr::Column(Column::new_unqualified(self.name_of(column)))),
                other => Transformed::no(other),
            })
        })?;
        Ok(renamed.data)
    }

    fn name_of(&mut self, column: Column) -> String {
        if let Some(name) = self.names.get(&column) {
            return name.clone();
        }
        let mut name = format!("#argument{}", self.names.len() + 1);
        while self.taken.contains(&name) {
            name.push('#');
        }
        self.taken.push(name.clone());
        self.names.insert(column, name.clone());
        name
    }
}

fn has_subquery(expr: &Expr) -> bool {
    expr.exists(|node| {
        Ok(matches!(
            node,
            Expr::ScalarSubquery(_)
                | Expr::Exists(_)
                | Expr::InSubquery(_)
                | Expr::SetComparison(_)
                | Expr::OuterReferenceColumn(..)
        ))
    })
    .unwrap_or(true)
}

/// A physical rule that moves projections, or conditions through them, and does not see the volatile ones.
#[derive(Debug)]
pub(super) struct Shielded(pub(super) Arc<dyn PhysicalOptimizerRule + Send + Sync>);

/// The rules of DataFusion that have to be shielded. The first moves projections.
pub(super) const MOVING: [&str; 3] = ["ProjectionPushdown", "FilterPushdown", "FilterPushdown(Post)"];

impl Shielded {
    fn has_to_stay(&self, node: &Arc<dyn ExecutionPlan>) -> Result<bool> {
        let Some(projection) = node.downcast_ref::<ProjectionExec>() else { return Ok(false) };
        let moves_projections = self.0.name() == MOVING[0];
        for column in projection.expr() {
            if is_volatile(&column.expr) || (moves_projections && fails_when_run(&column.expr)?) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn around(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        optimize: impl FnOnce(Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if !plan.exists(|node| self.has_to_stay(node))? {
            return optimize(plan);
        }
        let shielded = plan.transform_up(|node| match node.downcast_ref::<ProjectionExec>() {
            Some(projection) if self.has_to_stay(&node)? => Ok(Transformed::yes(Arc::new(Shield(projection.clone())) as _)),
            _ => Ok(Transformed::no(node)),
        })?;
        let unshielded = optimize(shielded.data)?.transform_up(|node| match node.downcast_ref::<Shield>() {
            Some(shield) => Ok(Transformed::yes(Arc::new(shield.0.clone()) as _)),
            None => Ok(Transformed::no(node)),
        })?;
        Ok(unshielded.data)
    }
}

impl PhysicalOptimizerRule for Shielded {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        self.around(plan, |plan| self.0.optimize(plan, config))
    }

    fn optimize_with_context(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        context: &dyn PhysicalOptimizerContext,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.around(plan, |plan| self.0.optimize_with_context(plan, context))
    }

    fn name(&self) -> &str {
        self.0.name()
    }

    fn schema_check(&self) -> bool {
        self.0.schema_check()
    }
}

/// A volatile projection while a rule is at work that would move it: a node about which nothing is known. It is never executed.
#[derive(Debug)]
struct Shield(ProjectionExec);

impl Shield {
    fn over(&self, children: Vec<Arc<dyn ExecutionPlan>>, options: ReplaceChildrenOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let projection = Arc::new(self.0.clone()).replace_children(children, options)?;
        match projection.downcast_ref::<ProjectionExec>() {
            Some(projection) => Ok(Arc::new(Shield(projection.clone()))),
            None => internal_err!("a projection became something else"),
        }
    }
}

impl DisplayAs for Shield {
    fn fmt_as(&self, format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt_as(format, f)
    }
}

impl ExecutionPlan for Shield {
    fn name(&self) -> &str {
        "Shield"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.0.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        self.0.maintains_input_order()
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::Equal
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![self.0.input()]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.0.apply_expressions(f)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.over(children, options)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.over(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, _partition: usize, _context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        internal_err!("a shield is not executed")
    }
}

#[cfg(test)]
mod tests {
    use datafusion::optimizer::Optimizer;
    use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;

    use super::*;

    #[test]
    fn the_rules_that_move_calls_are_there() {
        let physical: Vec<String> = PhysicalOptimizer::new().rules.iter().map(|rule| rule.name().to_string()).collect();
        assert!(MOVING.iter().all(|name| physical.iter().any(|rule| rule == name)), "{physical:?}");
        assert!(Optimizer::new().rules.iter().any(|rule| rule.name() == "push_down_filter"));
    }
}
