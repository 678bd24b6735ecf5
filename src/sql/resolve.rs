//! Collects and pins everything that a statement can reach, before anything is bound.
use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::sql::sqlparser::ast;

use crate::catalog::securable::{ObjectId, Relation};
use crate::error::{Error, Result};
use crate::lake::{AsOf, Lake, TableSnapshot};

use super::scope::Scope;

/// The pinned world of one statement: every table version, view text and function body that it can reach.
#[derive(Debug, Clone, Default)]
pub struct Resolved {
    pub(crate) tables: HashMap<(ObjectId, AsOf), ResolvedTable>,
    pub(crate) views: HashMap<ObjectId, Arc<ast::Query>>,
    pub(crate) functions: HashMap<ObjectId, Arc<ast::Expr>>,
}

/// A table at its pinned version.
#[derive(Debug, Clone)]
pub(crate) struct ResolvedTable {
    pub(crate) relation: Arc<Relation>,
    pub(crate) schema: SchemaRef,
    /// `None` in tests of pure code only.
    pub(crate) snapshot: Option<Arc<TableSnapshot>>,
}

impl Resolved {
    /// Every pinned table with its version.
    pub fn pinned(&self) -> impl Iterator<Item = (&Arc<Relation>, &AsOf, &Arc<TableSnapshot>)> {
        self.tables.iter().filter_map(|((_, as_of), table)| Some((&table.relation, as_of, table.snapshot.as_ref()?)))
    }
}

/// Pins every table version that the text of `query`, its views and the policies of its tables can reach.
///
/// # Errors
/// `UndefinedRelation` for a name that does not exist or that its reader may not know of, and what the lake says about a table.
pub async fn resolve(query: &ast::Query, scope: &Scope, lake: &Lake) -> Result<Resolved> {
    let _ = (query, scope, lake);
    Err(Error::internal("not landed"))
}

/// The same for a single expression, such as the body of a function.
///
/// # Errors
/// As [`resolve`].
pub async fn resolve_expression(expr: &ast::Expr, scope: &Scope, lake: &Lake) -> Result<Resolved> {
    let _ = (expr, scope, lake);
    Err(Error::internal("not landed"))
}
