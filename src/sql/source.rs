//! What the binder hands out: plans over sources that nobody can read.
//!
//! ```text
//!  text ─ parse ─ resolve ─ bind ─▶ BoundQuery { plan over SecurableSource, accesses, .. } ─ governance ─▶ readable plan
//! ```
//! A [`SecurableSource`] knows its schema, the pinned snapshot behind it and the policies of its table, but it is not a
//! `DefaultTableSource`: DataFusion's physical planner refuses it. Only governance swaps a readable source in, after it has
//! authorised every [`Access`]. Nothing here knows a privilege rule.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::{FieldRef, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, TableReference};
use datafusion::logical_expr::{Expr, LogicalPlan, TableSource, TableType};

use crate::catalog::privilege::Privilege;
use crate::catalog::securable::{ObjectId, Relation};
use crate::error::{Error, Result};
use crate::lake::TableSnapshot;
use crate::system::SystemRelation;
use crate::types::SqlType;

/// Whose privileges an access is checked with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AccessBy {
    /// The principal that runs the statement.
    Caller,
    /// The owner of the view or function through which the access happens.
    Owner(ObjectId),
}

/// One thing that must be authorised before the plan may be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Access {
    /// Table, view or function.
    pub securable: ObjectId,
    /// What is done with it.
    pub privilege: Privilege,
    /// Whose privileges count.
    pub by: AccessBy,
}

/// The columns of a plan that is one row of literals and parameters: it reads nothing, computes nothing, and needs no optimiser.
pub fn constants(plan: &LogicalPlan) -> Option<&[Expr]> {
    fn is_constant(expr: &Expr) -> bool {
        match expr {
            Expr::Alias(alias) => is_constant(&alias.expr),
            Expr::Literal(..) | Expr::Placeholder(_) => true,
            _ => false,
        }
    }
    let LogicalPlan::Projection(projection) = plan else { return None };
    let LogicalPlan::EmptyRelation(source) = projection.input.as_ref() else { return None };
    (source.produce_one_row && projection.expr.iter().all(is_constant)).then_some(projection.expr.as_slice())
}

/// The policies of a table, bound over its columns (unqualified), with every function inlined and the identity functions of the
/// session folded to literals. Empty where the policies are constant for this session: `TRUE` filters and identity masks vanish.
///
/// Subquery plans inside are over [`SecurableSource`]s with [`AccessBy::Owner`] of the policy function's owner; their outer
/// references are to the unqualified columns of the table. [`BoundPolicies::qualified`] ties both to the scan's qualifier.
#[derive(Debug, Clone, Default)]
pub struct BoundPolicies {
    /// Rows for which this is true are there, no others.
    pub row_filter: Option<Expr>,
    /// Expressions that stand in the columns' places.
    pub masks: BTreeMap<String, Expr>,
}

impl BoundPolicies {
    /// Whether nothing restricts the session.
    pub fn is_empty(&self) -> bool {
        self.row_filter.is_none() && self.masks.is_empty()
    }

    /// The columns of a table as the session sees them: a mask may give NULL where the column itself never does.
    pub fn masked(&self, schema: &SchemaRef) -> SchemaRef {
        let is_masked = |field: &FieldRef| !field.is_nullable() && self.masks.contains_key(field.name());
        if !schema.fields().iter().any(is_masked) {
            return Arc::clone(schema);
        }
        let seen = |field: &FieldRef| {
            if is_masked(field) { Arc::new(field.as_ref().clone().with_nullable(true)) } else { Arc::clone(field) }
        };
        let fields = schema.fields().iter().map(seen).collect::<Vec<_>>();
        Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
    }

    /// The same policies over the columns of the scan called `relation`, inside nested subqueries as well.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Internal`] if a subquery plan cannot be rebuilt.
    pub fn qualified(&self, relation: &TableReference) -> Result<BoundPolicies> {
        let row_filter = self.row_filter.as_ref().map(|filter| qualify_expr(filter, relation)).transpose()?;
        let masks = self
            .masks
            .iter()
            .map(|(column, mask)| Ok((column.clone(), qualify_expr(mask, relation)?)))
            .collect::<Result<BTreeMap<_, _>>>()?;
        Ok(BoundPolicies { row_filter, masks })
    }
}

/// Ties the unqualified columns of a policy to a scan; subqueries are entered for their outer references only.
fn qualify_expr(expr: &Expr, relation: &TableReference) -> Result<Expr> {
    let rebuilt = expr.clone().transform_up(|expr| {
        Ok(match expr {
            Expr::Column(column) if column.relation.is_none() => {
                Transformed::yes(Expr::Column(Column::new(Some(relation.clone()), column.name)))
            }
            Expr::ScalarSubquery(mut subquery) => {
                subquery = qualify_subquery(subquery, relation)?;
                Transformed::yes(Expr::ScalarSubquery(subquery))
            }
            Expr::Exists(mut exists) => {
                exists.subquery = qualify_subquery(exists.subquery, relation)?;
                Transformed::yes(Expr::Exists(exists))
            }
            Expr::InSubquery(mut within) => {
                within.subquery = qualify_subquery(within.subquery, relation)?;
                Transformed::yes(Expr::InSubquery(within))
            }
            Expr::SetComparison(mut comparison) => {
                comparison.subquery = qualify_subquery(comparison.subquery, relation)?;
                Transformed::yes(Expr::SetComparison(comparison))
            }
            Expr::OuterReferenceColumn(field, column) if column.relation.is_none() => {
                Transformed::yes(Expr::OuterReferenceColumn(field, Column::new(Some(relation.clone()), column.name)))
            }
            other => Transformed::no(other),
        })
    });
    rebuilt.map(|rebuilt| rebuilt.data).map_err(|error| Error::internal(format!("policy columns: {error}")))
}

fn qualify_subquery(
    mut subquery: datafusion::logical_expr::Subquery,
    relation: &TableReference,
) -> datafusion::common::Result<datafusion::logical_expr::Subquery> {
    let plan = Arc::unwrap_or_clone(subquery.subquery).transform_up_with_subqueries(|plan: LogicalPlan| {
        plan.map_expressions(|expr| {
            expr.transform_up(|expr| {
                Ok(match expr {
                    Expr::OuterReferenceColumn(field, column) if column.relation.is_none() => {
                        Transformed::yes(Expr::OuterReferenceColumn(field, Column::new(Some(relation.clone()), column.name)))
                    }
                    other => Transformed::no(other),
                })
            })
        })
    })?;
    subquery.outer_ref_columns = plan.data.all_out_ref_exprs();
    subquery.subquery = Arc::new(plan.data);
    Ok(subquery)
}

/// What stands behind a source.
#[derive(Clone)]
pub enum SourceRelation {
    /// A Delta table.
    Table {
        /// Its entry in the catalog.
        relation: Arc<Relation>,
        /// The pinned version. `None` only in tests of pure code, which never read; governance refuses such a source.
        snapshot: Option<Arc<TableSnapshot>>,
        /// Its policies for this session.
        policies: Arc<BoundPolicies>,
    },
    /// A view with its body bound. Its owner reads what lies beneath.
    View {
        /// Its entry in the catalog.
        relation: Arc<Relation>,
        /// The body. Its columns are the source's, in order and by name; it refers to nothing outside.
        body: Arc<LogicalPlan>,
    },
    /// A table about the warehouse.
    System(&'static SystemRelation),
    /// The output of a table function over constants, such as `generate_series(1, 10)`: computed, not stored; it needs no privilege.
    Function {
        /// Name of the function, for EXPLAIN.
        name: String,
        /// The rows.
        provider: Arc<dyn TableProvider>,
    },
    /// The working table inside the recursive term of a recursive query: governance puts DataFusion's `CteWorkTable` of this name
    /// and of the source's schema in its place. It needs no privilege.
    WorkTable {
        /// Name of the enclosing `RecursiveQuery` node.
        name: String,
    },
}

impl fmt::Debug for SourceRelation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SourceRelation::Table { relation, .. } => write!(f, "Table({})", relation.name),
            SourceRelation::View { relation, .. } => write!(f, "View({})", relation.name),
            SourceRelation::System(_) => f.write_str("System"),
            SourceRelation::Function { name, .. } => write!(f, "Function({name})"),
            SourceRelation::WorkTable { name } => write!(f, "WorkTable({name})"),
        }
    }
}

/// A schema-only source: it can be planned over and authorised, but not read.
#[derive(Debug, Clone)]
pub struct SecurableSource {
    /// What stands behind it.
    pub relation: SourceRelation,
    /// Whose privileges the read is checked with.
    pub by: AccessBy,
    /// Columns as queries see them.
    pub schema: SchemaRef,
}

impl SecurableSource {
    /// What `plan` scans, if it is a scan of such a source.
    pub fn of(plan: &LogicalPlan) -> Option<&SecurableSource> {
        match plan {
            LogicalPlan::TableScan(scan) => scan.source.downcast_ref::<SecurableSource>(),
            _ => None,
        }
    }

    /// The body of the view that `plan` scans.
    pub fn view_body(plan: &LogicalPlan) -> Option<&Arc<LogicalPlan>> {
        match &Self::of(plan)?.relation {
            SourceRelation::View { body, .. } => Some(body),
            _ => None,
        }
    }
}

impl TableSource for SecurableSource {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }
}

/// A query with every name and type settled, over sources that nobody can read yet.
#[derive(Debug, Clone)]
pub struct BoundQuery {
    /// The plan. Its output has as many columns as `columns`, under internal unique names.
    pub plan: LogicalPlan,
    /// Output columns: names as PostgreSQL gives them (duplicates allowed), SQL types in the metadata.
    pub columns: Vec<FieldRef>,
    /// Table and attribute number of each output column that is a plain column of a table.
    pub origins: Vec<Option<(ObjectId, i16)>>,
    /// Type modifier of each output column, as clients are told.
    pub typmods: Vec<i32>,
    /// Types of `$1`, `$2`, ..
    pub parameters: Vec<SqlType>,
    /// Everything that must be authorised: tables, views, functions.
    pub accesses: Vec<Access>,
    /// A volatile function is called: the result must not be cached.
    pub volatile: bool,
    /// Something in it was answered for this execution alone, such as `now()` or `current_setting('..')`.
    pub of_the_moment: bool,
    /// The first thing in it, at whatever depth, that no policy may depend on, in words: `function current_setting`.
    pub unfit_for_policies: Option<String>,
}

impl BoundQuery {
    /// Whether PostgreSQL's executor would go backward through its rows (`ExecSupportsBackwardScan`): not through joins, groups, windows,
    /// duplicates left out, and recursion.
    pub fn scans_backward(&self) -> bool {
        let forward_only = |plan: &LogicalPlan| {
            Ok(matches!(
                plan,
                LogicalPlan::Join(_)
                    | LogicalPlan::Aggregate(_)
                    | LogicalPlan::Window(_)
                    | LogicalPlan::Distinct(_)
                    | LogicalPlan::RecursiveQuery(_)
            ))
        };
        !self.plan.exists(forward_only).unwrap_or(true)
    }
}
