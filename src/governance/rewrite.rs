//! Swaps every schema-only source for a readable one, at every depth: inputs, subqueries in expressions, subqueries inside policies.
//!
//! ```text
//!   SecurableSource ─┬ Table, nothing effective ──▶ raw provider
//!                    ├ Table, filter or mask ─────▶ GovernedTable over the raw provider
//!                    ├ System ────────────────────▶ rows that the caller may see
//!                    └ Function, WorkTable ───────▶ as they are: they read nothing stored
//! ```
//! The match over plan nodes has no wildcard, and nodes that do something are refused. A last sweep asserts that every scan reads a source that was made
//! here. Row filters and masks count for the session's principal at every depth; only privileges change hands in views and functions.
#![deny(clippy::wildcard_enum_match_arm)]

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, internal_datafusion_err};
use datafusion::datasource::cte_worktable::CteWorkTable;
use datafusion::datasource::provider_as_source;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::logical_expr::{Expr, LogicalPlan, Subquery, TableScan, TableSource};

use super::authorize::check_access;
use super::effective::effective;
use super::scan::{GovernedTable, raw_qualifier};
use super::system_table::{SystemRows, SystemTable};
use crate::catalog::privilege::Privilege;
use crate::catalog::securable::{ObjectId, Relation};
use crate::error::datafusion::from_datafusion;
use crate::error::{Error, ErrorKind, Result};
use crate::lake::TableSnapshot;
use crate::sql::source::{Access, BoundPolicies, SecurableSource, SourceRelation};
use crate::system::{SystemContext, SystemRelation};

/// Policies whose subqueries read tables with policies, and so on: so deep and no deeper.
const POLICY_DEPTH: usize = 16;

/// A plan whose sources can be read.
pub(super) struct Readable {
    pub(super) plan: LogicalPlan,
    /// Whether a filter or a mask is in it.
    pub(super) governed: bool,
}

/// Makes `plan` readable for `caller`.
pub(super) fn rewrite(plan: LogicalPlan, caller: ObjectId, system: &Arc<SystemContext>) -> Result<Readable> {
    let mut rewriter = Rewriter { caller, system, sources: Vec::new(), system_rows: HashMap::new(), governed: false, depth: 0 };
    let plan = rewriter.plan(plan).map_err(unwrap_ours)?;
    rewriter.sweep(&plan).map_err(unwrap_ours)?;
    Ok(Readable { plan, governed: rewriter.governed })
}

/// Our own errors travel through DataFusion's tree walks as external ones.
fn unwrap_ours(error: DataFusionError) -> Error {
    from_datafusion(error, false)
}

fn ours(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

struct Rewriter<'a> {
    caller: ObjectId,
    system: &'a Arc<SystemContext>,
    /// Every source made here.
    sources: Vec<Arc<dyn TableSource>>,
    /// Rows of a system relation are made once a statement, however often it is scanned.
    system_rows: HashMap<u32, Arc<SystemRows>>,
    governed: bool,
    depth: usize,
}

impl Rewriter<'_> {
    fn plan(&mut self, plan: LogicalPlan) -> DataFusionResult<LogicalPlan> {
        let rewritten = plan.transform_up_with_subqueries(|node| self.node(node))?;
        Ok(rewritten.data)
    }

    fn node(&mut self, node: LogicalPlan) -> DataFusionResult<Transformed<LogicalPlan>> {
        match node {
            LogicalPlan::TableScan(scan) => Ok(Transformed::yes(LogicalPlan::TableScan(self.scan(scan)?))),
            // Masks may make a column nullable: types are settled again from the scans upward.
            node @ (LogicalPlan::Projection(_)
            | LogicalPlan::Filter(_)
            | LogicalPlan::Window(_)
            | LogicalPlan::Aggregate(_)
            | LogicalPlan::Sort(_)
            | LogicalPlan::Join(_)
            | LogicalPlan::Repartition(_)
            | LogicalPlan::Union(_)
            | LogicalPlan::Subquery(_)
            | LogicalPlan::SubqueryAlias(_)
            | LogicalPlan::Limit(_)
            | LogicalPlan::Distinct(_)
            | LogicalPlan::Unnest(_)) => {
                if self.governed {
                    node.recompute_schema().map(Transformed::yes)
                } else {
                    Ok(Transformed::no(node))
                }
            }
            node @ (LogicalPlan::EmptyRelation(_) | LogicalPlan::Values(_) | LogicalPlan::RecursiveQuery(_)) => {
                Ok(Transformed::no(node))
            }
            LogicalPlan::Statement(_)
            | LogicalPlan::Explain(_)
            | LogicalPlan::Analyze(_)
            | LogicalPlan::Extension(_)
            | LogicalPlan::Dml(_)
            | LogicalPlan::Ddl(_)
            | LogicalPlan::Copy(_)
            | LogicalPlan::DescribeTable(_) => Err(ours(Error::new(ErrorKind::Denied, "a query may not contain this statement"))),
        }
    }

    fn scan(&mut self, mut scan: TableScan) -> DataFusionResult<TableScan> {
        let Some(source) = scan.source.downcast_ref::<SecurableSource>() else {
            return Err(internal_datafusion_err!("a scan does not read what the binder hands out"));
        };
        let source = source.clone();
        let provider = self.provider(&source)?;
        let schema = provider.schema();
        scan.source = self.keep(provider);
        if schema != source.schema {
            scan.projected_schema = projected(&scan, &schema)?;
        }
        Ok(scan)
    }

    fn keep(&mut self, provider: Arc<dyn TableProvider>) -> Arc<dyn TableSource> {
        let source = provider_as_source(provider);
        self.sources.push(Arc::clone(&source));
        source
    }

    fn provider(&mut self, source: &SecurableSource) -> DataFusionResult<Arc<dyn TableProvider>> {
        match &source.relation {
            SourceRelation::Table { relation, snapshot, policies } => {
                let access = Access { securable: relation.id, privilege: Privilege::Select, by: source.by };
                // Checked with the query's accesses already; here a second time, so that no scan depends on the binder's list.
                check_access(self.system.in_force(), self.caller, &access).map_err(ours)?;
                let Some(snapshot) = snapshot else { return Err(internal_datafusion_err!("a table without a pinned version")) };
                self.table(relation, snapshot, policies, &source.schema)
            }
            SourceRelation::System(relation) => Ok(self.system_table(relation)),
            SourceRelation::Function { name: _, provider } => Ok(Arc::clone(provider)),
            SourceRelation::WorkTable { name } => Ok(Arc::new(CteWorkTable::new(name, Arc::clone(&source.schema)))),
        }
    }

    fn system_table(&mut self, relation: &'static SystemRelation) -> Arc<dyn TableProvider> {
        let rows = self.system_rows.entry(relation.oid()).or_insert_with(|| SystemRows::new(relation, Arc::clone(self.system)));
        Arc::new(SystemTable::new(Arc::clone(rows)))
    }

    /// The raw provider, or a governed table over it.
    fn table(
        &mut self,
        relation: &Relation,
        snapshot: &Arc<TableSnapshot>,
        policies: &BoundPolicies,
        schema: &SchemaRef,
    ) -> DataFusionResult<Arc<dyn TableProvider>> {
        let raw = snapshot.provider();
        if policies.is_empty() {
            return Ok(raw);
        }
        let qualifier = raw_qualifier();
        let bound = policies.qualified(&qualifier).map_err(ours)?;
        let columns = DFSchema::try_from_qualified_schema(qualifier.clone(), &raw.schema())?;
        let BoundPolicies { row_filter, masks } = effective(bound, &columns, &qualifier);
        if row_filter.is_none() && masks.is_empty() {
            return Ok(raw);
        }
        self.governed = true;
        let row_filter = row_filter.map(|filter| self.policy(filter)).transpose()?;
        let masks = masks.into_iter().map(|(column, mask)| Ok((column, self.policy(mask)?))).collect::<DataFusionResult<_>>()?;
        let counted = Some(Arc::clone(snapshot));
        Ok(Arc::new(GovernedTable::new(self.display_name(relation), raw, counted, schema, row_filter, masks)?))
    }

    fn display_name(&self, relation: &Relation) -> String {
        match self.system.functions.snapshot.schema_by_id(relation.schema) {
            Some(schema) => format!("{}.{}", schema.name, relation.name),
            None => relation.name.clone(),
        }
    }

    /// A policy's own subqueries read tables as well, with the function owner's privileges and the session's policies.
    fn policy(&mut self, expr: Expr) -> DataFusionResult<Expr> {
        if self.depth == POLICY_DEPTH {
            return Err(ours(Error::new(ErrorKind::TooComplex, "policies are nested too deeply")));
        }
        self.depth += 1;
        let rewritten = rewrite_subqueries(expr, &mut |subquery| self.subquery(subquery));
        self.depth -= 1;
        let rewritten = rewritten?;
        self.sweep_subqueries(&rewritten)?;
        Ok(rewritten)
    }

    fn subquery(&mut self, subquery: Subquery) -> DataFusionResult<Subquery> {
        let plan = self.plan(Arc::unwrap_or_clone(subquery.subquery))?;
        Ok(Subquery { subquery: Arc::new(plan), ..subquery })
    }

    /// Asserts that every scan reads a source that was made here.
    fn sweep(&self, plan: &LogicalPlan) -> DataFusionResult<()> {
        plan.apply_with_subqueries(|node| match node {
            LogicalPlan::TableScan(scan) => {
                if self.sources.iter().any(|source| Arc::ptr_eq(source, &scan.source)) {
                    Ok(TreeNodeRecursion::Continue)
                } else {
                    Err(internal_datafusion_err!("a scan was not governed"))
                }
            }
            LogicalPlan::Projection(_)
            | LogicalPlan::Filter(_)
            | LogicalPlan::Window(_)
            | LogicalPlan::Aggregate(_)
            | LogicalPlan::Sort(_)
            | LogicalPlan::Join(_)
            | LogicalPlan::Repartition(_)
            | LogicalPlan::Union(_)
            | LogicalPlan::EmptyRelation(_)
            | LogicalPlan::Subquery(_)
            | LogicalPlan::SubqueryAlias(_)
            | LogicalPlan::Limit(_)
            | LogicalPlan::Values(_)
            | LogicalPlan::Distinct(_)
            | LogicalPlan::Unnest(_)
            | LogicalPlan::RecursiveQuery(_) => Ok(TreeNodeRecursion::Continue),
            LogicalPlan::Statement(_)
            | LogicalPlan::Explain(_)
            | LogicalPlan::Analyze(_)
            | LogicalPlan::Extension(_)
            | LogicalPlan::Dml(_)
            | LogicalPlan::Ddl(_)
            | LogicalPlan::Copy(_)
            | LogicalPlan::DescribeTable(_) => Err(internal_datafusion_err!("a node that does something came through the gate")),
        })?;
        Ok(())
    }

    fn sweep_subqueries(&self, expr: &Expr) -> DataFusionResult<()> {
        let mut failed = Ok(());
        rewrite_subqueries(expr.clone(), &mut |subquery| {
            if failed.is_ok() {
                failed = self.sweep(&subquery.subquery);
            }
            Ok(subquery)
        })?;
        failed
    }
}

/// Applies `change` to every subquery that stands directly in `expr`.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "only four kinds of expressions hold plans; the sweep and the planner refuse what is missed"
)]
fn rewrite_subqueries(expr: Expr, change: &mut dyn FnMut(Subquery) -> DataFusionResult<Subquery>) -> DataFusionResult<Expr> {
    let rewritten = expr.transform_up(|node| {
        Ok(match node {
            Expr::ScalarSubquery(subquery) => Transformed::yes(Expr::ScalarSubquery(change(subquery)?)),
            Expr::Exists(mut exists) => {
                exists.subquery = change(exists.subquery)?;
                Transformed::yes(Expr::Exists(exists))
            }
            Expr::InSubquery(mut within) => {
                within.subquery = change(within.subquery)?;
                Transformed::yes(Expr::InSubquery(within))
            }
            Expr::SetComparison(mut comparison) => {
                comparison.subquery = change(comparison.subquery)?;
                Transformed::yes(Expr::SetComparison(comparison))
            }
            other => Transformed::no(other),
        })
    })?;
    Ok(rewritten.data)
}

/// The scan's output columns over another schema of the same columns.
fn projected(scan: &TableScan, schema: &SchemaRef) -> DataFusionResult<Arc<DFSchema>> {
    let columns = match &scan.projection {
        Some(projection) => Arc::new(schema.project(projection)?),
        None => Arc::clone(schema),
    };
    Ok(Arc::new(DFSchema::try_from_qualified_schema(scan.table_name.clone(), &columns)?))
}
