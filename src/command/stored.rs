//! Texts that are stored: views and function bodies, with every name written out, what they use, and whether they can be read.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{self, Expr, ObjectName, visit_expressions, visit_relations};

use tracing::warn;

use crate::catalog::securable::{Function, ObjectId, SecurableKind};
use crate::catalog::{CatalogSnapshot, Change, Metastore};
use crate::error::{Error, ErrorKind, Result};
use crate::sql::stored::{is_certain_expression, is_certain_query, quoted};

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
pub(super) fn body_query(function: &str, body: &str, parameters: &[(String, crate::types::SqlType)]) -> String {
    if parameters.is_empty() {
        return format!("SELECT ({body})");
    }
    let columns: Vec<String> = parameters
        .iter()
        .map(|(name, sql_type)| format!("CAST(NULL AS {}) AS {}", sql_type.display_name(), quoted(name)))
        .collect();
    format!("SELECT ({body}) FROM (SELECT {}) AS {}", columns.join(", "), quoted(function))
}

/// The body inside a [`body_query`].
pub(super) fn called_body(call: &ast::Query) -> Option<&Expr> {
    let ast::SetExpr::Select(select) = call.body.as_ref() else { return None };
    match select.projection.as_slice() {
        [ast::SelectItem::UnnamedExpr(Expr::Nested(body))] => Some(body),
        _ => None,
    }
}

/// As [`body_query`], for a function of the metastore.
pub(super) fn call_query(function: &Function) -> String {
    body_query(&function.name, &function.body, &function.parameters)
}

/// At the start: looks through the texts that earlier releases have stored, trusts those that can be read in one way only, and names the
/// others in the log. Those are refused when they are used.
pub async fn settle_doubtful_texts(metastore: &Metastore) {
    let snapshot = metastore.snapshot();
    let is_certain = |id: &ObjectId| {
        let view = snapshot.relation_by_id(*id).and_then(|relation| relation.view());
        let function = snapshot.function_by_id(*id);
        view.is_some_and(|view| is_certain_query(&view.query))
            || function.is_some_and(|function| is_certain_expression(&function.body))
    };
    let (certain, doubtful): (Vec<ObjectId>, Vec<ObjectId>) = snapshot.doubtful_texts().partition(is_certain);
    for id in doubtful {
        let kind = snapshot.kind_of(id).map_or("object", SecurableKind::noun);
        warn!(name = %snapshot.full_name(id), "a {kind} of an earlier release cannot be read for certain, create it again");
    }
    let trust = |change: &mut Change| {
        certain.iter().for_each(|id| change.trust_text(*id));
        Ok(())
    };
    if let Err(error) = metastore.write(trust).await {
        warn!(%error, "the views and functions of an earlier release are refused until the next start");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::securable::{RelationKind, ViewEntry};
    use crate::catalog::{Change, NewFunction, NewPrincipal, NewRelation};
    use crate::command::query;
    use crate::types::SqlType;

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
