//! A view that its owner lends out: an opaque leaf with the body of the view inside.
//!
//! ```text
//!   outer plan:   .. ── GovernedScan: pub.mine
//!   ──────────────────────────│─────────────────────────────────────────────────────
//!   inner plan:   columns ◀─ leakproof predicates ◀─ body of the view       planned apart, in isolation
//! ```
//! Rows that the body leaves out are as hidden from its reader as those of a row filter, so the leaf is the governed scan's. Predicates go in if they
//! cannot fail, and only over columns that the body hands through as they are stored: what it computes could fail on rows that it leaves
//! out. Inside they go as far down as DataFusion takes them, so a comparison still prunes files.
//!
//! Not here: statistics, since those of the inner plan count what is hidden.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, JoinType, Statistics, internal_err};
use datafusion::error::Result;
use datafusion::logical_expr::{
    Distinct, Expr, LogicalPlan, LogicalPlanBuilder, Projection, TableProviderFilterPushDown, TableType,
};
use datafusion::physical_plan::ExecutionPlan;

use super::leakproof::Leakproof;
use super::scan::leaf;

/// A view as its reader may see it.
pub(super) struct GovernedView {
    /// `schema.view`, all that EXPLAIN shows.
    name: String,
    /// Readable. It refers to nothing outside.
    body: LogicalPlan,
    schema: SchemaRef,
    leakproof: Arc<Leakproof>,
}

impl fmt::Debug for GovernedView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GovernedView({})", self.name)
    }
}

impl GovernedView {
    pub(super) fn new(name: String, body: LogicalPlan) -> Result<Self> {
        let schema = Arc::clone(body.schema().inner());
        let computed = computed_columns(&body);
        let leakproof = Arc::new(Leakproof::new(&schema, computed)?);
        Ok(Self { name, body, schema, leakproof })
    }

    /// columns <- leakproof predicates <- body.
    fn inner_plan(&self, projection: &[usize], filters: &[Expr]) -> Result<LogicalPlan> {
        let columns = self.body.schema().columns();
        let mut plan = LogicalPlanBuilder::from(self.body.clone());
        for filter in filters {
            if !self.leakproof.admits(filter) {
                return internal_err!("a predicate that is not leakproof was pushed into a view");
            }
            plan = plan.filter(over_body(filter, &self.schema, &columns)?)?;
        }
        let exprs = projection.iter().map(|index| Expr::Column(columns[*index].clone()).alias(self.schema.field(*index).name()));
        Projection::try_new(exprs.collect(), Arc::new(plan.build()?)).map(LogicalPlan::Projection)
    }
}

/// The caller's predicate over the body's columns.
fn over_body(filter: &Expr, schema: &Schema, columns: &[Column]) -> Result<Expr> {
    let moved = filter.clone().transform_up(|node| {
        let Expr::Column(column) = &node else { return Ok(Transformed::no(node)) };
        Ok(Transformed::yes(Expr::Column(columns[schema.index_of(&column.name)?].clone())))
    })?;
    Ok(moved.data)
}

/// Names of the columns that `body` computes.
fn computed_columns(body: &LogicalPlan) -> Vec<String> {
    let fields = body.schema().fields().iter().enumerate();
    fields.filter(|(index, _)| !is_stored(body, *index)).map(|(_, field)| field.name().clone()).collect()
}

/// Whether the column at `index` of `plan` holds values as a relation beneath hands them out.
fn is_stored(plan: &LogicalPlan, index: usize) -> bool {
    match plan {
        LogicalPlan::TableScan(_) => true,
        LogicalPlan::Projection(over) => over.expr.get(index).is_some_and(|expr| is_stored_expr(&over.input, expr)),
        LogicalPlan::SubqueryAlias(over) => is_stored(&over.input, index),
        LogicalPlan::Filter(over) => is_stored(&over.input, index),
        LogicalPlan::Sort(over) => is_stored(&over.input, index),
        LogicalPlan::Limit(over) => is_stored(&over.input, index),
        LogicalPlan::Repartition(over) => is_stored(&over.input, index),
        LogicalPlan::Distinct(Distinct::All(input)) => is_stored(input, index),
        LogicalPlan::Union(over) => over.inputs.iter().all(|input| is_stored(input, index)),
        LogicalPlan::Window(over) => index < over.input.schema().fields().len() && is_stored(&over.input, index),
        LogicalPlan::Aggregate(over) => {
            let plain = !matches!(over.group_expr.as_slice(), [Expr::GroupingSet(_)]);
            plain && over.group_expr.get(index).is_some_and(|key| is_stored_expr(&over.input, key))
        }
        LogicalPlan::Join(join) => {
            let left = join.left.schema().fields().len();
            match join.join_type {
                JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => {
                    if index < left {
                        is_stored(&join.left, index)
                    } else {
                        is_stored(&join.right, index - left)
                    }
                }
                JoinType::LeftSemi | JoinType::LeftAnti => is_stored(&join.left, index),
                JoinType::RightSemi | JoinType::RightAnti => is_stored(&join.right, index),
                JoinType::LeftMark | JoinType::RightMark => false,
            }
        }
        _ => false,
    }
}

fn is_stored_expr(input: &LogicalPlan, expr: &Expr) -> bool {
    match expr {
        Expr::Alias(alias) => is_stored_expr(input, &alias.expr),
        Expr::Column(column) => input.schema().maybe_index_of_column(column).is_some_and(|index| is_stored(input, index)),
        _ => false,
    }
}

/// Whether `body` hands out stored columns of one relation for each of its rows, so that it hides nothing of what it shows.
pub(super) fn is_transparent(body: &LogicalPlan) -> bool {
    match body {
        LogicalPlan::TableScan(scan) => scan.filters.is_empty() && scan.fetch.is_none(),
        LogicalPlan::SubqueryAlias(over) => is_transparent(&over.input),
        LogicalPlan::Projection(over) => {
            over.expr.iter().all(|expr| is_stored_expr(&over.input, expr)) && is_transparent(&over.input)
        }
        _ => false,
    }
}

#[async_trait]
impl TableProvider for GovernedView {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    /// As of a governed table.
    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(self.leakproof.pushdown(filters))
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let projection = projection.cloned().unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        let schema = Arc::new(self.schema.project(&projection)?);
        let inner = state.create_physical_plan(&self.inner_plan(&projection, filters)?).await?;
        let statistics = Arc::new(Statistics::new_unknown(&schema));
        leaf(&self.name, inner, limit, schema, state.config().target_partitions(), statistics, &self.leakproof)
    }
}
