//! Parameters of a function that its body cannot mean, because a column has their name.
//!
//! In `EXISTS (SELECT 1 FROM acl a WHERE a.owner = owner)` the second `owner` is acl's column, as in PostgreSQL, and the condition always
//! holds. Nothing is wrong with that, but it is hardly meant: CREATE FUNCTION says so.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{self, Expr, visit_expressions};

use super::stored;
use crate::catalog::CatalogSnapshot;
use crate::types::SqlType;

/// A notice for each parameter that a subquery of the body names, and that a column of the subquery's tables hides.
pub(super) fn hidden(call: &ast::Query, parameters: &[(String, SqlType)], snapshot: &CatalogSnapshot) -> Vec<String> {
    let mut hidden: BTreeSet<String> = BTreeSet::new();
    let _: ControlFlow<()> = visit_expressions(call, |expr| {
        if let Expr::Subquery(subquery) | Expr::Exists { subquery, .. } | Expr::InSubquery { subquery, .. } = expr {
            let columns = columns_of(subquery, snapshot);
            let named = bare_names(subquery);
            let is_hidden = |name: &&String| columns.contains(*name) && named.contains(*name);
            hidden.extend(parameters.iter().map(|(name, _)| name).filter(is_hidden).cloned());
        }
        ControlFlow::Continue(())
    });
    let notice =
        |name: String| format!("\"{name}\" in the function's body is a column of a table that it reads, not the parameter");
    hidden.into_iter().map(notice).collect()
}

fn columns_of(query: &ast::Query, snapshot: &CatalogSnapshot) -> BTreeSet<String> {
    let relations = stored::uses(query, snapshot).into_iter().filter_map(|id| snapshot.relation_by_id(id));
    relations.flat_map(|relation| relation.columns.iter().map(|column| column.name.clone())).collect()
}

fn bare_names(query: &ast::Query) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let _: ControlFlow<()> = visit_expressions(query, |expr| {
        if let Expr::Identifier(name) = expr {
            names.insert(if name.quote_style.is_some() { name.value.clone() } else { name.value.to_lowercase() });
        }
        ControlFlow::Continue(())
    });
    names
}
