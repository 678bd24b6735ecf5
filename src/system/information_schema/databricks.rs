//! Databricks' additions: catalogs, policies, privileges above tables, external locations.

use crate::catalog::securable::ObjectId;
use crate::error::Result;
use crate::functions::postgres::definition::sees_policies;
use crate::system::context::SystemContext;
use crate::system::pg_catalog::arguments_text;
use crate::system::rows::{Row, Rows};
use crate::system::{Source, visible};

use super::privileges::grants;
use super::yes;

pub(super) const SOURCES: &[(&str, Source)] = &[
    ("catalogs", catalogs),
    ("row_filters", row_filters),
    ("column_masks", column_masks),
    ("catalog_privileges", catalog_privileges),
    ("schema_privileges", schema_privileges),
    ("external_locations", external_locations),
    ("external_location_privileges", external_location_privileges),
    ("storage_credentials", storage_credentials),
];

fn catalogs(context: &SystemContext, rows: &mut Rows) -> Result<()> {
    for catalog in visible::catalogs(context) {
        rows.row()
            .set("catalog_name", &catalog.name)
            .set("catalog_owner", visible::role(context, catalog.owner))
            .set("comment", catalog.comment.clone());
    }
    Ok(())
}

/// Catalog, schema and name of a function.
fn function_parts(context: &SystemContext, id: ObjectId) -> Option<(String, String, String)> {
    let snapshot = visible::snapshot(context);
    let function = snapshot.function_by_id(id)?;
    let schema = snapshot.schema_by_id(function.schema)?;
    let catalog = snapshot.catalog_by_id(schema.catalog)?;
    Some((catalog.name.clone(), schema.name.clone(), function.name.clone()))
}

fn row_filters(context: &SystemContext, rows: &mut Rows) -> Result<()> {
    let catalog = visible::catalog_name(context);
    for (schema, relation) in visible::relations(context).filter(|(_, relation)| sees_policies(&context.functions, relation)) {
        let Some(filter) = relation.table().and_then(|table| table.row_filter.as_ref()) else { continue };
        let Some((function_catalog, function_schema, function)) = function_parts(context, filter.function) else { continue };
        rows.row()
            .set("table_catalog", catalog)
            .set("table_schema", &schema.name)
            .set("table_name", &relation.name)
            .set("filter_catalog", function_catalog)
            .set("filter_schema", function_schema)
            .set("filter_name", function)
            .set("target_columns", filter.columns.join(", "));
    }
    Ok(())
}

fn column_masks(context: &SystemContext, rows: &mut Rows) -> Result<()> {
    let catalog = visible::catalog_name(context);
    for (schema, relation) in visible::relations(context).filter(|(_, relation)| sees_policies(&context.functions, relation)) {
        for (column, mask) in relation.table().into_iter().flat_map(|table| &table.column_masks) {
            let Some((function_catalog, function_schema, function)) = function_parts(context, mask.function) else { continue };
            rows.row()
                .set("table_catalog", catalog)
                .set("table_schema", &schema.name)
                .set("table_name", &relation.name)
                .set("column_name", column)
                .set("mask_catalog", function_catalog)
                .set("mask_schema", function_schema)
                .set("mask_name", function)
                .set("using_columns", arguments_text(&mask.using));
        }
    }
    Ok(())
}

/// One row for every grant on the object; `name` sets the columns that name it.
fn privileges(context: &SystemContext, rows: &mut Rows, id: ObjectId, name: impl for<'a> Fn(Row<'a>) -> Row<'a>) {
    for grant in grants(context, id) {
        let grantee = visible::snapshot(context).principal_by_id(grant.grantee).map(|principal| principal.name.clone());
        let row = rows.row().set("grantor", visible::role(context, grant.grantor)).set("grantee", grantee);
        name(row)
            .set("privilege_type", grant.privilege.name())
            .set("is_grantable", yes(grant.grantable))
            .set("inherited_from", "NONE");
    }
}

fn catalog_privileges(context: &SystemContext, rows: &mut Rows) -> Result<()> {
    for catalog in visible::catalogs(context) {
        privileges(context, rows, catalog.id, |row| row.set("catalog_name", &catalog.name));
    }
    Ok(())
}

fn schema_privileges(context: &SystemContext, rows: &mut Rows) -> Result<()> {
    let catalog = visible::catalog_name(context);
    for schema in visible::schemas(context) {
        privileges(context, rows, schema.id, |row| row.set("catalog_name", catalog).set("schema_name", &schema.name));
    }
    Ok(())
}

fn external_locations(context: &SystemContext, rows: &mut Rows) -> Result<()> {
    let snapshot = visible::snapshot(context);
    for location in snapshot.external_locations().filter(|location| visible::sees(context, location.id)) {
        let credential =
            location.credential.and_then(|id| snapshot.storage_credential_by_id(id)).map(|credential| credential.name.clone());
        rows.row()
            .set("external_location_name", &location.name)
            .set("external_location_owner", visible::role(context, location.owner))
            .set("url", &location.url)
            .set("storage_credential_name", credential)
            .set("comment", location.comment.clone());
    }
    Ok(())
}

fn external_location_privileges(context: &SystemContext, rows: &mut Rows) -> Result<()> {
    for location in visible::snapshot(context).external_locations().filter(|location| visible::sees(context, location.id)) {
        privileges(context, rows, location.id, |row| row.set("external_location_name", &location.name));
    }
    Ok(())
}

/// Names and owners only: what opens the door is shown to nobody.
fn storage_credentials(context: &SystemContext, rows: &mut Rows) -> Result<()> {
    for credential in visible::snapshot(context).storage_credentials().filter(|credential| visible::sees(context, credential.id)) {
        rows.row()
            .set("storage_credential_name", &credential.name)
            .set("storage_credential_owner", visible::role(context, credential.owner))
            .set("comment", credential.comment.clone());
    }
    Ok(())
}
