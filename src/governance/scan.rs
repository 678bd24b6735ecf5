//! The opaque governed scan.
//!
//! ```text
//!   outer plan:   .. ── GovernedScan: crm.people                       one leaf: no children, prints its name, tells of visible rows only
//!   ─────────────────────────│───────────────────────────────────────────────────────────────────────────────────────
//!   inner plan:   masks ◀─ leakproof predicates ◀─ row filter ◀─ raw scan         planned apart, in isolation
//! ```
//! No rule of the outer plan's optimisers, no EXPLAIN, no metric and no error text reaches the inner plan, and of the caller's expressions only those
//! enter that cannot fail (see `leakproof`). A plain Filter, a view, an analyser rule or a FilterExec below the caller's predicates would
//! leak in DataFusion 55: its rules move expressions across each of them.
//!
//! Not here: `insert_into`, `delete_from`, `update`, `truncate`, `merge_into` (refused by the trait's defaults), column defaults, constraints,
//! `get_logical_plan` (it would inline the inner plan into the outer one), statistics that count what is hidden (see `visible_rows`).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, Statistics, TableReference, internal_err};
use datafusion::datasource::provider_as_source;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_expr::conjunction;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::filter_pushdown::FilterPushdown;
use datafusion::physical_plan::execution_plan::{
    Boundedness, EmissionType, ReplaceChildrenOptions, SchedulingType, reset_plan_states,
};
use datafusion::physical_plan::filter_pushdown::{
    ChildFilterDescription, ChildPushdownResult, FilterDescription, FilterPushdownPhase, FilterPushdownPropagation,
};
use datafusion::physical_plan::limit::LocalLimitExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, EmptyRecordBatchStream, ExecutionPlan, Partitioning, PhysicalExpr, PlanProperties,
};
use futures::StreamExt;

use super::leakproof::Leakproof;
use super::visible_rows::{statistics, visible_rows};
use crate::lake::TableSnapshot;
use crate::sql::BoundPolicies;
use crate::sql::bind::unnested;
use crate::sql::internal_name::Series;

/// Qualifier of the raw scan in the inner plan. Policies are bound to it; no caller can write it.
pub(super) const RAW: &str = "governed scan";

/// The raw scan's qualifier.
pub(super) fn raw_qualifier() -> TableReference {
    TableReference::bare(RAW)
}

/// A table as its policies let the caller see it.
pub(super) struct GovernedTable {
    /// `schema.table`, all that EXPLAIN shows.
    name: String,
    raw: Arc<dyn TableProvider>,
    /// Where visible rows are counted; `None` if nobody should.
    snapshot: Option<Arc<TableSnapshot>>,
    /// Columns as the outer plan sees them.
    schema: SchemaRef,
    /// Over columns qualified by [`RAW`].
    row_filter: Option<Expr>,
    /// By column name, over columns qualified by [`RAW`].
    masks: BTreeMap<String, Expr>,
    leakproof: Arc<Leakproof>,
}

impl fmt::Debug for GovernedTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GovernedTable({})", self.name)
    }
}

impl GovernedTable {
    /// `schema` is what queries were bound to; a masked column is nullable in it.
    pub(super) fn new(
        name: String,
        raw: Arc<dyn TableProvider>,
        snapshot: Option<Arc<TableSnapshot>>,
        schema: &SchemaRef,
        row_filter: Option<Expr>,
        masks: BTreeMap<String, Expr>,
    ) -> Result<Self> {
        let schema = BoundPolicies { row_filter: None, masks: masks.clone() }.masked(schema);
        let leakproof = Arc::new(Leakproof::new(&schema, masks.keys().cloned())?);
        Ok(Self { name, raw, snapshot, schema, row_filter, masks, leakproof })
    }

    /// masks <- leakproof predicates <- row filter <- raw scan.
    fn inner_plan(&self, projection: &[usize], filters: &[Expr]) -> Result<LogicalPlan> {
        let mut plan = LogicalPlanBuilder::scan(raw_qualifier(), provider_as_source(Arc::clone(&self.raw)), None)?;
        if let Some(row_filter) = &self.row_filter {
            plan = plan.filter(row_filter.clone())?;
        }
        for filter in filters {
            if !self.leakproof.admits(filter) {
                return internal_err!("a predicate that is not leakproof was pushed to a governed scan");
            }
            plan = plan.filter(over_raw(filter)?)?;
        }
        let columns = projection.iter().map(|index| self.output_column(*index, &plan)).collect::<Result<Vec<_>>>()?;
        let plan = plan.project(columns)?.build()?;
        // A policy's own subqueries: joined to the raw scan, behind this leaf as well.
        let names = Series::of_scan();
        unnested(plan, &|base| names.next(base)).map_err(|error| DataFusionError::External(Box::new(error)))
    }

    /// The column itself, or what stands in its place.
    fn output_column(&self, index: usize, input: &LogicalPlanBuilder) -> Result<Expr> {
        let field = self.schema.field(index);
        let raw = Expr::Column(Column::new(Some(raw_qualifier()), field.name()));
        let value = self.masks.get(field.name()).cloned().unwrap_or(raw);
        let typed = value.cast_to(field.data_type(), input.schema().as_ref())?;
        Ok(typed.alias(field.name()))
    }
}

/// The caller's predicate over the raw scan's columns.
fn over_raw(filter: &Expr) -> Result<Expr> {
    let moved = filter.clone().transform_up(|node| {
        Ok(match node {
            Expr::Column(column) => Transformed::yes(Expr::Column(Column::new(Some(raw_qualifier()), column.name))),
            other => Transformed::no(other),
        })
    })?;
    Ok(moved.data)
}

#[async_trait]
impl TableProvider for GovernedTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

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
        let projection = match projection {
            Some(projection) => projection.clone(),
            None => (0..self.schema.fields().len()).collect(),
        };
        let schema = Arc::new(self.schema.project(&projection)?);
        let inner = state.create_physical_plan(&self.inner_plan(&projection, filters)?).await?;
        let partitions = state.config().target_partitions();
        let visible = match &self.snapshot {
            Some(snapshot) => visible_rows(snapshot, &self.raw, self.row_filter.as_ref(), state).await,
            None => None,
        };
        let statistics = Arc::new(statistics(visible.as_deref(), &self.masks, !filters.is_empty(), limit, &schema));
        leaf(&self.name, inner, limit, schema, partitions, statistics, &self.leakproof)
    }
}

/// `inner` behind a leaf of `partitions`, cut off after `limit` rows: above the policy, so that hidden rows do not count.
pub(super) fn leaf(
    name: &str,
    inner: Arc<dyn ExecutionPlan>,
    limit: Option<usize>,
    schema: SchemaRef,
    partitions: usize,
    statistics: Arc<Statistics>,
    leakproof: &Arc<Leakproof>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let inner = at_most(partitions, inner)?;
    let inner = match limit {
        Some(limit) => Arc::new(LocalLimitExec::new(inner, limit)),
        None => inner,
    };
    Ok(Arc::new(GovernedScan::new(name.to_string(), inner, schema, partitions, statistics, Arc::clone(leakproof))))
}

/// The leaf that stands for a governed table or a lent view in the outer plan.
pub(super) struct GovernedScan {
    name: String,
    inner: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
    statistics: Arc<Statistics>,
    leakproof: Arc<Leakproof>,
}

impl fmt::Debug for GovernedScan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GovernedScan({})", self.name)
    }
}

impl GovernedScan {
    /// Nothing of the inner plan comes out. Its orderings and equivalences would tell constants of the policy, its number of partitions how
    /// many files are read, and whether it is cooperative that a predicate contradicts the policy. So the leaf always has `partitions` of
    /// them, of which some may be empty, and is cooperative: the inner plan was made so when it was planned.
    fn new(
        name: String,
        inner: Arc<dyn ExecutionPlan>,
        schema: SchemaRef,
        partitions: usize,
        statistics: Arc<Statistics>,
        leakproof: Arc<Leakproof>,
    ) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        )
        .with_scheduling_type(SchedulingType::Cooperative);
        Self { name, inner, properties: Arc::new(properties), statistics, leakproof }
    }

    fn with_inner(&self, inner: Arc<dyn ExecutionPlan>) -> Self {
        Self {
            name: self.name.clone(),
            inner,
            properties: Arc::clone(&self.properties),
            statistics: Arc::clone(&self.statistics),
            leakproof: Arc::clone(&self.leakproof),
        }
    }

    /// The inner plan, for tests of its shape.
    #[cfg(test)]
    pub(super) fn inner(&self) -> &Arc<dyn ExecutionPlan> {
        &self.inner
    }
}

impl DisplayAs for GovernedScan {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GovernedScan: {}", self.name)
    }
}

impl ExecutionPlan for GovernedScan {
    fn name(&self) -> &str {
        "GovernedScan"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    /// Of all partitions together; how visible rows are spread is nobody's business.
    fn statistics_from_inputs(&self, _input: &[Arc<Statistics>], args: &StatisticsArgs) -> Result<Arc<Statistics>> {
        match args.partition() {
            None => Ok(Arc::clone(&self.statistics)),
            Some(_) => Ok(Arc::new(Statistics::new_unknown(&self.schema()))),
        }
    }

    /// None: no rule, no EXPLAIN and no walk over metrics sees the inner plan.
    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![]
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        _children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(self: Arc<Self>, _children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    /// Recursive queries run their plan again and again.
    fn reset_state(self: Arc<Self>) -> Result<Arc<dyn ExecutionPlan>> {
        let inner = reset_plan_states(Arc::clone(&self.inner))?;
        Ok(Arc::new(self.with_inner(inner)))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let schema = self.schema();
        if partition >= partition_count(&self.inner) {
            return Ok(Box::pin(EmptyRecordBatchStream::new(schema)));
        }
        let declared = Arc::clone(&schema);
        let batches = self.inner.execute(partition, context)?.map(move |batch| declare(batch?, &declared));
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches)))
    }

    /// Takes run-time filters that compare plain unmasked columns. They are hints for pruning: whoever made them still checks every row.
    fn handle_child_pushdown_result(
        &self,
        phase: FilterPushdownPhase,
        result: ChildPushdownResult,
        config: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        let schema = self.schema();
        let admitted: Vec<_> = match phase {
            FilterPushdownPhase::Pre => vec![],
            FilterPushdownPhase::Post => result
                .parent_filters
                .iter()
                .map(|filter| &filter.filter)
                .filter(|filter| self.leakproof.admits_dynamic(filter, &schema))
                .map(Arc::clone)
                .collect(),
        };
        let refused = FilterPushdownPropagation::all_unsupported(result);
        // A policy with joins of its own has run-time filters already; planning them twice would detach them from their joins.
        if admitted.is_empty() || makes_dynamic_filters(&self.inner) {
            return Ok(refused);
        }
        let inner = push_into(&self.inner, conjunction(admitted), config)?;
        if partition_count(&inner) > self.properties.output_partitioning().partition_count() {
            return Ok(refused);
        }
        Ok(refused.with_updated_node(Arc::new(self.with_inner(inner))))
    }
}

fn partition_count(plan: &Arc<dyn ExecutionPlan>) -> usize {
    plan.properties().output_partitioning().partition_count()
}

/// `plan` in no more than so many partitions.
fn at_most(partitions: usize, plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    if partition_count(&plan) <= partitions {
        return Ok(plan);
    }
    Ok(Arc::new(RepartitionExec::try_new(plan, Partitioning::RoundRobinBatch(partitions))?))
}

/// The same rows under the declared schema: names, nullability and SQL types as the outer plan was bound to them.
fn declare(batch: RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let columns = batch.columns().to_vec();
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &rows).map_err(DataFusionError::from)
}

fn makes_dynamic_filters(plan: &Arc<dyn ExecutionPlan>) -> bool {
    !plan.dynamic_expressions_produced().is_empty() || plan.children().into_iter().any(makes_dynamic_filters)
}

/// Hands `filter` to `plan` as if it came from a parent node.
fn push_into(
    plan: &Arc<dyn ExecutionPlan>,
    filter: Arc<dyn PhysicalExpr>,
    config: &ConfigOptions,
) -> Result<Arc<dyn ExecutionPlan>> {
    let funnel = Arc::new(Funnel { input: Arc::clone(plan), filter });
    let pushed = FilterPushdown::new_post_optimization().optimize(funnel, config)?;
    match pushed.children().first() {
        Some(inner) => Ok(Arc::clone(inner)),
        None => internal_err!("a filter funnel lost its input"),
    }
}

/// A node that exists while one filter is pushed down and is never executed.
#[derive(Debug)]
struct Funnel {
    input: Arc<dyn ExecutionPlan>,
    filter: Arc<dyn PhysicalExpr>,
}

impl DisplayAs for Funnel {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Funnel")
    }
}

impl ExecutionPlan for Funnel {
    fn name(&self) -> &str {
        "Funnel"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        f(&self.filter)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match children.into_iter().next() {
            Some(input) => Ok(Arc::new(Funnel { input, filter: Arc::clone(&self.filter) })),
            None => internal_err!("a filter funnel has one input"),
        }
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        match children.into_iter().next() {
            Some(input) => Ok(Arc::new(Funnel { input, filter: Arc::clone(&self.filter) })),
            None => internal_err!("a filter funnel has one input"),
        }
    }

    fn execute(&self, _partition: usize, _context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        internal_err!("a filter funnel is not executed")
    }

    fn gather_filters_for_pushdown(
        &self,
        _phase: FilterPushdownPhase,
        parent_filters: Vec<Arc<dyn PhysicalExpr>>,
        _config: &ConfigOptions,
    ) -> Result<FilterDescription> {
        let child = ChildFilterDescription::from_child(&parent_filters, &self.input)?.with_self_filter(Arc::clone(&self.filter));
        Ok(FilterDescription::new().with_child(child))
    }
}
