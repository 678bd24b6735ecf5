//! Texts that are stored: views and function bodies, with every name written out, and what they use.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{self, Expr, ObjectName, visit_expressions, visit_relations};

use crate::catalog::CatalogSnapshot;
use crate::catalog::securable::ObjectId;
use crate::error::{Error, ErrorKind, Result};

/// The relations and functions of the metastore that a stored query names. Its names have three parts; others are the query's own.
pub(super) fn uses(query: &ast::Query, snapshot: &CatalogSnapshot) -> Vec<ObjectId> {
    let mut used = BTreeSet::new();
    let _: ControlFlow<()> = visit_relations(query, |name| {
        used.extend(lookup(name, snapshot, |schema, name| snapshot.relation(schema, name).map(|relation| relation.id)));
        ControlFlow::Continue(())
    });
    let _: ControlFlow<()> = visit_expressions(query, |expr| {
        if let Expr::Function(call) = expr {
            used.extend(lookup(&call.name, snapshot, |schema, name| snapshot.function(schema, name).map(|function| function.id)));
        }
        ControlFlow::Continue(())
    });
    used.into_iter().collect()
}

/// As [`uses`], for a text whose names were resolved in `pinned` and that is stored in `current`.
///
/// # Errors
/// [`ErrorKind::ObjectInUse`] if a name of it stands for something else by now.
pub(super) fn lasting_uses(query: &ast::Query, pinned: &CatalogSnapshot, current: &CatalogSnapshot) -> Result<Vec<ObjectId>> {
    let used = uses(query, current);
    if used == uses(query, pinned) {
        return Ok(used);
    }
    Err(Error::new(ErrorKind::ObjectInUse, "an object of the definition was changed by another session")
        .with_hint("Run the statement again."))
}

fn lookup(name: &ObjectName, snapshot: &CatalogSnapshot, find: impl Fn(ObjectId, &str) -> Option<ObjectId>) -> Option<ObjectId> {
    let parts = parts(name);
    let [catalog, schema, object] = parts.as_slice() else { return None };
    let schema = snapshot.schema(snapshot.catalog(catalog)?.id, schema)?;
    find(schema.id, object)
}

fn parts(name: &ObjectName) -> Vec<&str> {
    name.0.iter().filter_map(|part| part.as_ident()).map(|ident| ident.value.as_str()).collect()
}

/// A query that calls a body once, over parameters without values: `SELECT (body) FROM (SELECT CAST(NULL AS type) AS name, ..) AS function`.
pub(super) fn body_query(function: &str, body: &str, parameters: &[(String, crate::catalog::types::SqlType)]) -> String {
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    if parameters.is_empty() {
        return format!("SELECT ({body})");
    }
    let columns: Vec<String> = parameters
        .iter()
        .map(|(name, sql_type)| format!("CAST(NULL AS {}) AS {}", sql_type.display_name(), quoted(name)))
        .collect();
    format!("SELECT ({body}) FROM (SELECT {}) AS {}", columns.join(", "), quoted(function))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::securable::{RelationKind, ViewEntry};
    use crate::catalog::types::SqlType;
    use crate::catalog::{Change, NewFunction, NewPrincipal, NewRelation};
    use crate::command::query;

    fn world() -> CatalogSnapshot {
        let mut change = Change::on(&CatalogSnapshot::empty());
        let owner = change.create_principal(NewPrincipal { name: "admin".into(), ..Default::default() }).unwrap();
        let catalog = change.create_catalog("Main", owner, None, None).unwrap();
        let schema = change.create_schema(catalog, "s", owner, None, None).unwrap();
        for name in ["a", "b", "c", "cte"] {
            let kind = RelationKind::View(ViewEntry { query: "SELECT 1".into(), uses: vec![] });
            change
                .create_relation(NewRelation { id: None, schema, name: name.into(), owner, columns: vec![], comment: None, kind })
                .unwrap();
        }
        change
            .create_function(NewFunction {
                schema,
                name: "f".into(),
                owner,
                parameters: vec![],
                returns: SqlType::Bool,
                body: "true".into(),
                uses: vec![],
                comment: None,
            })
            .unwrap();
        change.into_snapshot()
    }

    #[test]
    fn uses_are_found_wherever_they_stand() {
        let snapshot = world();
        let query = query::parse(
            "WITH cte AS (SELECT 1 AS x) SELECT \"Main\".s.f(), lower('X') FROM \"Main\".s.a, cte \
             WHERE EXISTS (SELECT 1 FROM \"Main\".s.b) AND x IN (SELECT 1 FROM \"Main\".s.c UNION SELECT 2)",
        )
        .unwrap();
        let used: Vec<&str> = uses(&query, &snapshot).into_iter().filter_map(|id| snapshot.name_of(id)).collect();
        assert_eq!(used, ["a", "b", "c", "f"]);
    }

    #[test]
    fn a_body_is_called_over_its_parameters() {
        let parameters = [("region".to_string(), SqlType::Text), ("N".to_string(), SqlType::Numeric { precision: 12, scale: 2 })];
        let text = body_query("f", "region = 'EU' AND \"N\" > 1", &parameters);
        assert_eq!(
            text,
            "SELECT (region = 'EU' AND \"N\" > 1) FROM (SELECT CAST(NULL AS text) AS \"region\", CAST(NULL AS numeric(12,2)) AS \"N\") AS \"f\""
        );
        query::parse(&text).unwrap();
        query::parse(&body_query("f", "1", &[])).unwrap();
    }
}
