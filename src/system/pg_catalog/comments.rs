//! Comments on what the principal may see.

use crate::error::Result;
use crate::functions::builtin;
use crate::system::context::SystemContext;
use crate::system::rows::Rows;
use crate::system::{Source, visible};

pub(super) const SOURCES: &[(&str, Source)] = &[("pg_description", descriptions), ("pg_shdescription", shared_descriptions)];

fn oid_of(relation: &str) -> u32 {
    builtin::relation("pg_catalog", relation).map_or(0, |relation| relation.oid)
}

fn describe(rows: &mut Rows, object: u32, class: &str, number: i16, comment: Option<&String>) {
    if let Some(comment) = comment {
        rows.row().set("objoid", object).set("classoid", oid_of(class)).set("objsubid", number).set("description", comment);
    }
}

fn descriptions(context: &SystemContext, rows: &mut Rows) -> Result<()> {
    for schema in visible::schemas(context) {
        describe(rows, schema.id.0, "pg_namespace", 0, schema.comment.as_ref());
    }
    for (_, relation) in visible::relations(context) {
        describe(rows, relation.id.0, "pg_class", 0, relation.comment.as_ref());
        for column in &relation.columns {
            describe(rows, relation.id.0, "pg_class", column.number, column.comment.as_ref());
        }
    }
    for (_, function) in visible::user_functions(context) {
        describe(rows, function.id.0, "pg_proc", 0, function.comment.as_ref());
    }
    Ok(())
}

fn shared_descriptions(context: &SystemContext, rows: &mut Rows) -> Result<()> {
    let catalogs = visible::catalogs(context).map(|catalog| (catalog.id.0, "pg_database", catalog.comment.as_ref()));
    let principals =
        visible::snapshot(context).principals().map(|principal| (principal.id.0, "pg_authid", principal.comment.as_ref()));
    for (object, class, comment) in catalogs.chain(principals) {
        if let Some(comment) = comment {
            rows.row().set("objoid", object).set("classoid", oid_of(class)).set("description", comment);
        }
    }
    Ok(())
}
