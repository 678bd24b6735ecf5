//! Catalogs, schemas, tables, views, columns, and the NOT NULL constraints.

use crate::catalog::securable::TEMPORARY_SCHEMA;
use crate::error::Result;
use crate::functions::builtin::{self, SYSTEM_ROLE_NAME};
use crate::functions::postgres::definition::sees_view_text;
use crate::system::context::SystemContext;
use crate::system::rows::Rows;
use crate::system::{Source, visible};
use crate::types::SqlType;

use super::{type_columns, yes};

pub(super) const SOURCES: &[(&str, Source)] = &[
    ("information_schema_catalog_name", catalog_name),
    ("schemata", schemata),
    ("tables", tables),
    ("views", views),
    ("view_table_usage", view_table_usage),
    ("columns", columns),
    ("column_udt_usage", column_udt_usage),
    ("element_types", element_types),
    ("data_type_privileges", data_type_privileges),
    ("table_constraints", table_constraints),
    ("check_constraints", check_constraints),
];

fn catalog_name(context: &SystemContext, rows: &mut Rows) -> Result<()> {
    rows.row().set("catalog_name", visible::catalog_name(context));
    Ok(())
}

fn schemata(context: &SystemContext, rows: &mut Rows) -> Result<()> {
    let catalog = visible::catalog_name(context);
    for name in ["information_schema", "pg_catalog"] {
        rows.row().set("catalog_name", catalog).set("schema_name", name).set("schema_owner", SYSTEM_ROLE_NAME);
    }
    for schema in visible::schemas(context) {
        rows.row()
            .set("catalog_name", catalog)
            .set("schema_name", &schema.name)
            .set("schema_owner", visible::role(context, schema.owner));
    }
    Ok(())
}

fn tables(context: &SystemContext, rows: &mut Rows) -> Result<()> {
    let catalog = visible::catalog_name(context);
    let mut table = |schema: &str, name: &str, is_view: bool, insertable: bool| {
        let kind = match schema {
            TEMPORARY_SCHEMA => "LOCAL TEMPORARY",
            _ if is_view => "VIEW",
            _ => "BASE TABLE",
        };
        rows.row()
            .set("table_catalog", catalog)
            .set("table_schema", schema)
            .set("table_name", name)
            .set("table_type", kind)
            .set("is_insertable_into", yes(insertable))
            .set("is_typed", "NO");
    };
    for relation in builtin::relations() {
        table(relation.schema_name, relation.name, relation.kind == 'v', false);
    }
    for (schema, relation) in visible::relations(context) {
        let is_view = relation.view().is_some();
        table(&schema.name, &relation.name, is_view, !is_view);
    }
    Ok(())
}

fn views(context: &SystemContext, rows: &mut Rows) -> Result<()> {
    let catalog = visible::catalog_name(context);
    let mut view = |schema: &str, name: &str, definition: Option<String>| {
        rows.row()
            .set("table_catalog", catalog)
            .set("table_schema", schema)
            .set("table_name", name)
            .set("view_definition", definition)
            .set("check_option", "NONE")
            .set("is_updatable", "NO")
            .set("is_insertable_into", "NO")
            .set("is_trigger_updatable", "NO")
            .set("is_trigger_deletable", "NO")
            .set("is_trigger_insertable_into", "NO");
    };
    for relation in builtin::relations().iter().filter(|relation| relation.kind == 'v') {
        view(relation.schema_name, relation.name, None);
    }
    for (schema, relation) in visible::relations(context) {
        let Some(entry) = relation.view() else { continue };
        let text = sees_view_text(&context.functions, relation).then(|| format!(" {};", entry.query.trim().trim_end_matches(';')));
        view(&schema.name, &relation.name, text);
    }
    Ok(())
}

fn view_table_usage(context: &SystemContext, rows: &mut Rows) -> Result<()> {
    let catalog = visible::catalog_name(context);
    let snapshot = visible::snapshot(context);
    for (schema, relation) in visible::relations(context) {
        let Some(view) = relation.view().filter(|_| sees_view_text(&context.functions, relation)) else { continue };
        for used in view.uses.iter().filter(|used| visible::sees(context, **used)).filter_map(|used| snapshot.relation_by_id(*used))
        {
            let Some(used_schema) = snapshot.schema_by_id(used.schema) else { continue };
            rows.row()
                .set("view_catalog", catalog)
                .set("view_schema", &schema.name)
                .set("view_name", &relation.name)
                .set("table_catalog", snapshot.catalog_by_id(used_schema.catalog).map_or("", |catalog| catalog.name.as_str()))
                .set("table_schema", &used_schema.name)
                .set("table_name", &used.name);
        }
    }
    Ok(())
}

/// A column of a relation of the current catalog, of the user's or of the system's.
pub(super) struct Column<'a> {
    pub(super) schema: &'a str,
    pub(super) relation: &'a str,
    pub(super) name: &'a str,
    pub(super) number: i16,
    pub(super) sql_type: &'a SqlType,
    pub(super) nullable: bool,
    /// Of a table that takes rows.
    updatable: bool,
}

fn each_column(context: &SystemContext, mut with: impl FnMut(&Column<'_>)) {
    for relation in builtin::relations() {
        for (number, column) in (1..).zip(&relation.columns) {
            with(&Column {
                schema: relation.schema_name,
                relation: relation.name,
                name: column.name,
                number,
                sql_type: &column.sql_type,
                nullable: column.nullable,
                updatable: false,
            });
        }
    }
    for (schema, relation) in visible::relations(context) {
        for column in &relation.columns {
            with(&Column {
                schema: &schema.name,
                relation: &relation.name,
                name: &column.name,
                number: column.number,
                sql_type: &column.sql_type,
                nullable: column.nullable,
                updatable: relation.table().is_some(),
            });
        }
    }
}

fn columns(context: &SystemContext, rows: &mut Rows) -> Result<()> {
    let catalog = visible::catalog_name(context);
    each_column(context, |column| {
        let row = rows
            .row()
            .set("table_catalog", catalog)
            .set("table_schema", column.schema)
            .set("table_name", column.relation)
            .set("column_name", column.name)
            .set("ordinal_position", column.number)
            .set("is_nullable", yes(column.nullable));
        type_columns(row, column.sql_type, catalog, true)
            .set("dtd_identifier", column.number.to_string())
            .set("is_self_referencing", "NO")
            .set("is_identity", "NO")
            .set("identity_cycle", "NO")
            .set("is_generated", "NEVER")
            .set("is_updatable", yes(column.updatable));
    });
    Ok(())
}

fn column_udt_usage(context: &SystemContext, rows: &mut Rows) -> Result<()> {
    let catalog = visible::catalog_name(context);
    each_column(context, |column| {
        rows.row()
            .set("udt_catalog", catalog)
            .set("udt_schema", "pg_catalog")
            .set("udt_name", super::udt_name(column.sql_type))
            .set("table_catalog", catalog)
            .set("table_schema", column.schema)
            .set("table_name", column.relation)
            .set("column_name", column.name);
    });
    Ok(())
}

fn element_types(context: &SystemContext, rows: &mut Rows) -> Result<()> {
    let catalog = visible::catalog_name(context);
    each_column(context, |column| {
        let SqlType::Array(element) = column.sql_type else { return };
        let row = rows
            .row()
            .set("object_catalog", catalog)
            .set("object_schema", column.schema)
            .set("object_name", column.relation)
            .set("object_type", "TABLE")
            .set("collection_type_identifier", column.number.to_string())
            .set("dtd_identifier", format!("a{}", column.number));
        // PostgreSQL says nothing about an element but its type.
        row.set("data_type", super::data_type(element))
            .set("udt_catalog", catalog)
            .set("udt_schema", "pg_catalog")
            .set("udt_name", super::udt_name(element));
    });
    Ok(())
}

fn data_type_privileges(context: &SystemContext, rows: &mut Rows) -> Result<()> {
    let catalog = visible::catalog_name(context);
    each_column(context, |column| {
        rows.row()
            .set("object_catalog", catalog)
            .set("object_schema", column.schema)
            .set("object_name", column.relation)
            .set("object_type", "TABLE")
            .set("dtd_identifier", column.number.to_string());
    });
    Ok(())
}

/// Calls `with` for every NOT NULL column of the user's tables: constraint's name, schema, table, column.
fn each_not_null(context: &SystemContext, mut with: impl FnMut(String, &str, &str, &str)) {
    for (schema, relation) in visible::relations(context) {
        for column in relation.columns.iter().filter(|column| !column.nullable) {
            let name = format!("{}_{}_{}_not_null", schema.id.0, relation.id.0, column.number);
            with(name, &schema.name, &relation.name, &column.name);
        }
    }
}

fn table_constraints(context: &SystemContext, rows: &mut Rows) -> Result<()> {
    let catalog = visible::catalog_name(context);
    each_not_null(context, |name, schema, table, _| {
        rows.row()
            .set("constraint_catalog", catalog)
            .set("constraint_schema", schema)
            .set("constraint_name", name)
            .set("table_catalog", catalog)
            .set("table_schema", schema)
            .set("table_name", table)
            .set("constraint_type", "CHECK")
            .set("is_deferrable", "NO")
            .set("initially_deferred", "NO")
            .set("enforced", "YES");
    });
    Ok(())
}

fn check_constraints(context: &SystemContext, rows: &mut Rows) -> Result<()> {
    let catalog = visible::catalog_name(context);
    each_not_null(context, |name, schema, _, column| {
        rows.row()
            .set("constraint_catalog", catalog)
            .set("constraint_schema", schema)
            .set("constraint_name", name)
            .set("check_clause", format!("{column} IS NOT NULL"));
    });
    Ok(())
}
