//! Grants on tables, columns and functions of the current catalog.
//!
//! Who manages an object sees all grants on it, others those that reach them. Inherited grants stand at the object they were given on:
//! `catalog_privileges` and `schema_privileges` show those.

use crate::catalog::privilege::Privilege;
use crate::catalog::securable::{Grant, ObjectId, PUBLIC};
use crate::error::Result;
use crate::system::context::SystemContext;
use crate::system::rows::Rows;
use crate::system::{Source, visible};

use super::yes;

pub(super) const SOURCES: &[(&str, Source)] = &[
    ("table_privileges", tables),
    ("role_table_grants", tables),
    ("column_privileges", columns),
    ("role_column_grants", columns),
    ("routine_privileges", routines),
    ("role_routine_grants", routines),
];

/// A privilege that somebody holds on an object.
pub(super) struct Held {
    pub(super) grantor: String,
    pub(super) grantee: String,
    pub(super) privilege: &'static str,
    pub(super) grantable: bool,
}

fn grantee_name(context: &SystemContext, id: ObjectId) -> String {
    if id == PUBLIC { "PUBLIC".to_string() } else { visible::role(context, id) }
}

/// The grants given on the object itself, as far as the principal may see them.
pub(super) fn grants(context: &SystemContext, id: ObjectId) -> impl Iterator<Item = &Grant> {
    let snapshot = visible::snapshot(context);
    let principal = context.functions.principal;
    let all = snapshot.manages(principal, id);
    snapshot.grants_on(id).filter(move |grant| all || snapshot.is_member(principal, grant.grantee))
}

/// Who holds what on the object: the owner everything in `owned`, others what was granted, with ALL PRIVILEGES spelt out.
fn held(context: &SystemContext, id: ObjectId, owned: &[Privilege]) -> Vec<Held> {
    let snapshot = visible::snapshot(context);
    let mut result = Vec::new();
    if let Some(owner) = snapshot.owner_of(id) {
        let shown = snapshot.manages(context.functions.principal, id) || snapshot.is_member(context.functions.principal, owner);
        let name = visible::role(context, owner);
        for privilege in owned.iter().filter(|_| shown) {
            result.push(Held { grantor: name.clone(), grantee: name.clone(), privilege: privilege.name(), grantable: true });
        }
    }
    for grant in grants(context, id) {
        let single = [grant.privilege];
        let privileges = if grant.privilege == Privilege::AllPrivileges { owned } else { &single };
        for privilege in privileges.iter().filter(|privilege| owned.contains(privilege)) {
            result.push(Held {
                grantor: visible::role(context, grant.grantor),
                grantee: grantee_name(context, grant.grantee),
                privilege: privilege.name(),
                grantable: grant.grantable,
            });
        }
    }
    result
}

const ON_TABLES: [Privilege; 5] = [Privilege::Insert, Privilege::Select, Privilege::Update, Privilege::Delete, Privilege::Truncate];
const ON_VIEWS: [Privilege; 1] = [Privilege::Select];
const ON_COLUMNS: [Privilege; 3] = [Privilege::Insert, Privilege::Select, Privilege::Update];

/// `role_*` relations leave out what is granted to PUBLIC.
fn for_roles(rows: &Rows) -> bool {
    rows.relation().name.starts_with("role_")
}

fn tables(context: &SystemContext, rows: &mut Rows) -> Result<()> {
    let catalog = visible::catalog_name(context);
    let only_roles = for_roles(rows);
    for (schema, relation) in visible::relations(context) {
        let owned: &[Privilege] = if relation.view().is_some() { &ON_VIEWS } else { &ON_TABLES };
        for held in held(context, relation.id, owned).into_iter().filter(|held| !(only_roles && held.grantee == "PUBLIC")) {
            rows.row()
                .set("grantor", held.grantor)
                .set("grantee", held.grantee)
                .set("table_catalog", catalog)
                .set("table_schema", &schema.name)
                .set("table_name", &relation.name)
                .set("privilege_type", held.privilege)
                .set("is_grantable", yes(held.grantable))
                .set("with_hierarchy", yes(held.privilege == "SELECT"));
        }
    }
    Ok(())
}

fn columns(context: &SystemContext, rows: &mut Rows) -> Result<()> {
    let catalog = visible::catalog_name(context);
    let only_roles = for_roles(rows);
    for (schema, relation) in visible::relations(context) {
        let owned: &[Privilege] = if relation.view().is_some() { &ON_VIEWS } else { &ON_COLUMNS };
        let held = held(context, relation.id, owned);
        for column in &relation.columns {
            for held in held.iter().filter(|held| !(only_roles && held.grantee == "PUBLIC")) {
                rows.row()
                    .set("grantor", &held.grantor)
                    .set("grantee", &held.grantee)
                    .set("table_catalog", catalog)
                    .set("table_schema", &schema.name)
                    .set("table_name", &relation.name)
                    .set("column_name", &column.name)
                    .set("privilege_type", held.privilege)
                    .set("is_grantable", yes(held.grantable));
            }
        }
    }
    Ok(())
}

fn routines(context: &SystemContext, rows: &mut Rows) -> Result<()> {
    let catalog = visible::catalog_name(context);
    let only_roles = for_roles(rows);
    for (schema, function) in visible::user_functions(context) {
        for held in
            held(context, function.id, &[Privilege::Execute]).into_iter().filter(|held| !(only_roles && held.grantee == "PUBLIC"))
        {
            rows.row()
                .set("grantor", held.grantor)
                .set("grantee", held.grantee)
                .set("specific_catalog", catalog)
                .set("specific_schema", &schema.name)
                .set("specific_name", format!("{}_{}", function.name, function.id.0))
                .set("routine_catalog", catalog)
                .set("routine_schema", &schema.name)
                .set("routine_name", &function.name)
                .set("privilege_type", held.privilege)
                .set("is_grantable", yes(held.grantable));
        }
    }
    Ok(())
}
