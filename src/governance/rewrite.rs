//! Swaps every schema-only source for a readable one, at every depth: inputs, subqueries in expressions, subqueries inside policies.
//!
//! ```text
//!   SecurableSource ─┬ Table, nothing effective ──▶ raw provider
//!                    ├ Table, filter or mask ─────▶ GovernedTable over the raw provider
//!                    ├ View ──────────────────────▶ its body, or GovernedView over the body
//!                    ├ System ────────────────────▶ rows that the caller may see
//!                    └ Function, WorkTable ───────▶ as they are: they read nothing stored
//!   OwnerCall ──────────────────────────────────────▶ the function's body beside its input, or GovernedCall
//! ```
//! What is read with another's rights is put into the plan around it where [`lending`](super::lending) says so, and is an opaque leaf elsewhere.
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
use datafusion::logical_expr::{Expr, LogicalPlan, Subquery, SubqueryAlias, TableScan, TableSource};

use super::Purpose;
use super::authorize::check_access;
use super::call::{Apart, Beside, is_governed_call};
use super::effective::effective;
use super::lending;
use super::scan::{GovernedTable, raw_qualifier};
use super::system_table::{SystemRows, SystemTable};
use super::view::{GovernedView, is_transparent};
use crate::catalog::privilege::Privilege;
use crate::catalog::securable::{ObjectId, Relation};
use crate::error::datafusion::from_datafusion;
use crate::error::{Error, ErrorKind, Result};
use crate::lake::TableSnapshot;
use crate::sql::call::{Callee, OwnerBody, OwnerCall, call_expression, called, callee_of};
use crate::sql::internal_name::Series;
use crate::sql::source::{Access, AccessBy, BoundPolicies, SecurableSource, SourceRelation};
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
pub(super) fn rewrite(plan: LogicalPlan, caller: ObjectId, system: &Arc<SystemContext>, purpose: Purpose) -> Result<Readable> {
    let names = Arc::new(Series::of_gate());
    let mut rewriter =
        Rewriter { caller, system, purpose, names, sources: Vec::new(), system_rows: HashMap::new(), governed: false, depth: 0 };
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

/// A view or a function, and who reads it.
struct Lent {
    id: ObjectId,
    owner: ObjectId,
    reader: ObjectId,
}

struct Rewriter<'a> {
    caller: ObjectId,
    system: &'a Arc<SystemContext>,
    purpose: Purpose,
    names: Arc<Series>,
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
            LogicalPlan::TableScan(scan) => self.scan(scan).map(Transformed::yes),
            LogicalPlan::Extension(_) => self.call(&node).map(Transformed::yes),
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
            | LogicalPlan::Dml(_)
            | LogicalPlan::Ddl(_)
            | LogicalPlan::Copy(_)
            | LogicalPlan::DescribeTable(_) => Err(ours(Error::new(ErrorKind::Denied, "a query may not contain this statement"))),
        }
    }

    fn scan(&mut self, scan: TableScan) -> DataFusionResult<LogicalPlan> {
        let Some(source) = scan.source.downcast_ref::<SecurableSource>() else {
            return Err(internal_datafusion_err!("a scan does not read what the binder hands out"));
        };
        let source = source.clone();
        match &source.relation {
            SourceRelation::View { relation, body } => self.view(scan, relation, body, source.by),
            SourceRelation::Table { .. }
            | SourceRelation::System(_)
            | SourceRelation::Function { .. }
            | SourceRelation::WorkTable { .. } => {
                let provider = self.provider(&source)?;
                self.read(scan, provider).map(LogicalPlan::TableScan)
            }
        }
    }

    /// The scan over something that can be read.
    fn read(&mut self, mut scan: TableScan, provider: Arc<dyn TableProvider>) -> DataFusionResult<TableScan> {
        let (before, schema) = (scan.source.schema(), provider.schema());
        scan.source = self.keep(provider);
        if schema != before {
            scan.projected_schema = projected(&scan, &schema)?;
        }
        Ok(scan)
    }

    /// A view: its body under the scan's name, or a leaf with the body inside.
    fn view(&mut self, scan: TableScan, view: &Relation, body: &LogicalPlan, by: AccessBy) -> DataFusionResult<LogicalPlan> {
        let access = Access { securable: view.id, privilege: Privilege::Select, by };
        check_access(self.system.in_force(), self.caller, &access).map_err(ours)?;
        let lent = Lent { id: view.id, owner: view.owner, reader: self.reader(by) };
        let readable = lending::is_read_by(self.system.in_force(), lent.reader, body).map_err(ours)?;
        let (body, hides) = self.apart(|rewriter| rewriter.plan(body.clone()))?;
        let open = is_transparent(&body) || readable && !hides;
        if self.may_be_opened(&lent, open) {
            self.governed |= hides;
            return SubqueryAlias::try_new(Arc::new(body), scan.table_name).map(LogicalPlan::SubqueryAlias);
        }
        self.governed = true;
        self.sweep(&body)?;
        let provider = GovernedView::new(self.display_name(view.schema, &view.name), body)?;
        self.read(scan, Arc::new(provider)).map(LogicalPlan::TableScan)
    }

    /// A call with its function's owner's rights.
    fn call(&mut self, node: &LogicalPlan) -> DataFusionResult<LogicalPlan> {
        let Some(call) = OwnerCall::of(node) else {
            return Err(ours(Error::new(ErrorKind::Denied, "a query may not contain this statement")));
        };
        called(&self.callee(call.callee.body())?, call.input.clone(), call.arguments.clone(), call.output.clone())
    }

    /// The function with a body that can be read.
    fn callee(&mut self, bound: &OwnerBody) -> DataFusionResult<Arc<dyn Callee>> {
        let function = &bound.function;
        let access = Access { securable: function.id, privilege: Privilege::Execute, by: bound.by };
        check_access(self.system.in_force(), self.caller, &access).map_err(ours)?;
        let lent = Lent { id: function.id, owner: function.owner, reader: self.reader(bound.by) };
        let readable = lending::is_evaluated_by(self.system.in_force(), lent.reader, &bound.value).map_err(ours)?;
        let (value, hides) = self.apart(|rewriter| rewriter.policy(bound.value.clone()))?;
        let body = OwnerBody {
            function: Arc::clone(function),
            by: bound.by,
            parameters: bound.parameters.clone(),
            value,
            returns: Arc::clone(&bound.returns),
        };
        if self.may_be_opened(&lent, readable && !hides) {
            self.governed |= hides;
            return Ok(Arc::new(Beside { body, names: Arc::clone(&self.names) }));
        }
        self.governed = true;
        let (name, names) = (self.display_name(function.schema, &function.name), Arc::clone(&self.names));
        let apart = Apart::new(name, body, &names, &mut |provider| self.keep(provider))?;
        self.sweep(apart.plan())?;
        Ok(apart)
    }

    /// What `rewrite` makes, and whether something governed is in it.
    fn apart<T>(&mut self, rewrite: impl FnOnce(&mut Self) -> DataFusionResult<T>) -> DataFusionResult<(T, bool)> {
        let around = std::mem::replace(&mut self.governed, false);
        let made = rewrite(self);
        let within = std::mem::replace(&mut self.governed, around);
        Ok((made?, within))
    }

    /// Whether the reader's plan may see into it: `open` says that it hides nothing. EXPLAIN shows what it sees, so it sees only what the
    /// caller may know the text of.
    fn may_be_opened(&self, lent: &Lent, open: bool) -> bool {
        let snapshot = self.system.in_force();
        let runs = open || snapshot.is_member(lent.reader, lent.owner);
        let knows = || snapshot.owns(self.caller, lent.id) || snapshot.manages(self.caller, lent.id);
        match self.purpose {
            Purpose::Run => runs,
            Purpose::Explain => knows(),
            Purpose::ExplainAnalyze => runs && knows(),
        }
    }

    fn reader(&self, by: AccessBy) -> ObjectId {
        match by {
            AccessBy::Caller => self.caller,
            AccessBy::Owner(owner) => owner,
        }
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
            SourceRelation::View { .. } => Err(internal_datafusion_err!("a view is no table")),
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
        Ok(Arc::new(GovernedTable::new(
            self.display_name(relation.schema, &relation.name),
            raw,
            counted,
            schema,
            row_filter,
            masks,
        )?))
    }

    fn display_name(&self, schema: ObjectId, name: &str) -> String {
        match self.system.functions.snapshot.schema_by_id(schema) {
            Some(schema) => format!("{}.{name}", schema.name),
            None => name.to_string(),
        }
    }

    /// Subqueries and calls inside an expression read tables as well, with the function owner's privileges and the session's policies.
    fn policy(&mut self, expr: Expr) -> DataFusionResult<Expr> {
        if self.depth == POLICY_DEPTH {
            return Err(ours(Error::new(ErrorKind::TooComplex, "policies are nested too deeply")));
        }
        self.depth += 1;
        let rewritten = rewrite_subqueries(expr, &mut |subquery| self.subquery(subquery)).and_then(|expr| self.calls(expr));
        self.depth -= 1;
        let rewritten = rewritten?;
        self.sweep_subqueries(&rewritten)?;
        Ok(rewritten)
    }

    fn calls(&mut self, expr: Expr) -> DataFusionResult<Expr> {
        let rewritten = expr.transform_up(|node| {
            let Some((callee, arguments)) = callee_of(&node) else { return Ok(Transformed::no(node)) };
            Ok(Transformed::yes(call_expression(self.callee(callee.body())?, arguments.to_vec())))
        })?;
        Ok(rewritten.data)
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
            LogicalPlan::Extension(extension) if is_governed_call(extension.node.as_ref()) => Ok(TreeNodeRecursion::Continue),
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
