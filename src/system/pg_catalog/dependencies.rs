//! Who uses whom: a view depends on what its text names, through its rule, as in PostgreSQL. The rule has the view's OID.

use crate::catalog::securable::ObjectId;
use crate::error::Result;
use crate::functions::builtin;
use crate::functions::postgres::definition::{sees_function_text, sees_view_text};
use crate::system::context::SystemContext;
use crate::system::rows::Rows;
use crate::system::{Source, visible};

pub(super) const SOURCES: &[(&str, Source)] = &[("pg_depend", dependencies), ("pg_rewrite", rules)];

/// OIDs of `pg_class`, `pg_proc`, `pg_rewrite` and `pg_namespace`.
const CLASS: u32 = 1259;
const PROC: u32 = 1255;
const REWRITE: u32 = 2618;
const NAMESPACE: u32 = 2615;

/// The system relation that the object is a row of, if the principal may see the object.
fn class_of(context: &SystemContext, id: ObjectId) -> Option<u32> {
    if !visible::sees(context, id) {
        return None;
    }
    let snapshot = visible::snapshot(context);
    if snapshot.relation_by_id(id).is_some() { Some(CLASS) } else { snapshot.function_by_id(id).map(|_| PROC) }
}

fn depend(rows: &mut Rows, class: u32, object: u32, on_class: u32, on: u32, kind: &'static str) {
    rows.row().set("classid", class).set("objid", object).set("refclassid", on_class).set("refobjid", on).set("deptype", kind);
}

fn dependencies(context: &SystemContext, rows: &mut Rows) -> Result<()> {
    for (schema, relation) in visible::relations(context) {
        depend(rows, CLASS, relation.id.0, NAMESPACE, schema.id.0, "n");
        let Some(view) = relation.view() else { continue };
        depend(rows, REWRITE, relation.id.0, CLASS, relation.id.0, "i");
        if sees_view_text(&context.functions, relation) {
            for used in &view.uses {
                if let Some(class) = class_of(context, *used) {
                    depend(rows, REWRITE, relation.id.0, class, used.0, "n");
                }
            }
        }
    }
    for (schema, function) in visible::user_functions(context) {
        depend(rows, PROC, function.id.0, NAMESPACE, schema.id.0, "n");
        if sees_function_text(&context.functions, function) {
            for used in &function.uses {
                if let Some(class) = class_of(context, *used) {
                    depend(rows, PROC, function.id.0, class, used.0, "n");
                }
            }
        }
    }
    Ok(())
}

fn rules(context: &SystemContext, rows: &mut Rows) -> Result<()> {
    let system = builtin::relations().iter().filter(|relation| relation.kind == 'v').map(|relation| relation.oid);
    let user = visible::relations(context).filter(|(_, relation)| relation.view().is_some()).map(|(_, relation)| relation.id.0);
    for oid in system.chain(user) {
        rows.row()
            .set("oid", oid)
            .set("rulename", "_RETURN")
            .set("ev_class", oid)
            .set("ev_type", "1")
            .set("ev_enabled", "O")
            .set("is_instead", true);
    }
    Ok(())
}
