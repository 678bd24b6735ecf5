//! The names in the text under which views and functions are stored: every one with its catalog and schema.
//!
//! So a view means the same in every session, whatever its search path, and nobody can put another table in a name's way. The text is
//! made once, when the object is created ([`crate::sql::stored`]).

use datafusion::sql::sqlparser::ast;

use super::names::{FoundRelation, SearchPath};
use super::{at, undefined_relation};
use crate::catalog::CatalogSnapshot;
use crate::catalog::securable::ObjectId;
use crate::error::{Error, Result};
use crate::sql::references::{CteScopes, Renamer};
use crate::sql::scope::Scope;
use crate::sql::stored::{self, StoredExpression, StoredQuery};

/// A view's query as it is stored; `text` is what its author wrote.
///
/// # Errors
/// `UndefinedRelation` for names that do not exist or that the creator may not know of, `Unsupported` for a text that would read
/// differently once it is stored.
pub fn qualify_query(text: &str, query: &ast::Query, scope: &Scope) -> Result<StoredQuery> {
    // A name that does not exist is told by its place in the statement, which has other positions than the text alone.
    renamer(scope).query(&mut query.clone())?;
    stored::store_query(text, query, |query| renamer(scope).query(query))
}

/// A function's body as it is stored. Its parameters are columns, not relations, and stay as they are.
///
/// # Errors
/// As [`qualify_query`].
pub fn qualify_expression(text: &str, body: &ast::Expr, scope: &Scope) -> Result<StoredExpression> {
    stored::store_expression(text, body, |query| renamer(scope).query(query)).map_err(Error::without_position)
}

fn renamer(
    scope: &Scope,
) -> Renamer<
    impl FnMut(&[String], datafusion::sql::sqlparser::tokenizer::Span) -> Result<Option<Vec<String>>>,
    impl FnMut(&[String]) -> Option<Vec<String>>,
> {
    let path = SearchPath::of_session(&scope.functions);
    let function_path = path.clone();
    let caller = scope.functions.current_user;
    let snapshot = scope.snapshot();
    Renamer {
        scopes: CteScopes::default(),
        renamed: Vec::new(),
        relation: move |parts: &[String], span| match path.relation(parts) {
            Some(FoundRelation::System(relation)) => {
                Ok(Some(vec![relation.schema_name().to_string(), relation.name().to_string()]))
            }
            Some(FoundRelation::Relation(relation)) if path.may_see(caller, relation.id) => {
                if scope.functions.temporary.as_ref().is_some_and(|temporary| temporary.schema.id == relation.schema) {
                    return Err(at(
                        Error::unsupported("a temporary table in a view or function")
                            .with_hint("Make a table in a schema for what is stored."),
                        span,
                    ));
                }
                Ok(full_name(snapshot, relation.schema, &relation.name))
            }
            _ => Err(undefined_relation(parts, span)),
        },
        function: move |parts: &[String]| {
            if is_builtin(parts, scope) {
                return None;
            }
            let function = function_path.function(parts)?;
            if !function_path.may_see(caller, function.id) {
                return None;
            }
            full_name(snapshot, function.schema, &function.name)
        },
    }
}

/// Whether a call is of a built-in function: those cannot be shadowed.
pub(crate) fn is_builtin(parts: &[String], scope: &Scope) -> bool {
    let Some(name) = super::Binder::builtin_name(parts) else { return false };
    let registry = &scope.registry;
    registry.scalar(name, &scope.functions).is_some()
        || registry.aggregate(name).is_some()
        || registry.window(name).is_some()
        || registry.table(name, &scope.functions).is_some()
        || matches!(name, "coalesce" | "nullif" | "greatest" | "least" | "pg_typeof" | "array" | "row" | "substring")
}

fn full_name(snapshot: &CatalogSnapshot, schema: ObjectId, name: &str) -> Option<Vec<String>> {
    let schema = snapshot.schema_by_id(schema)?;
    let catalog = snapshot.catalog_by_id(schema.catalog)?;
    Some(vec![catalog.name.clone(), schema.name.clone(), name.to_string()])
}
