//! Tables and views, their columns, and the views that list them.

use crate::catalog::securable::{Relation, TEMPORARY_SCHEMA};
use crate::error::Result;
use crate::functions::builtin::{self, BuiltinRelation, SYSTEM_ROLE, SYSTEM_ROLE_NAME};
use crate::functions::postgres::definition::{sees_policies, sees_view_text};
use crate::functions::postgres::privileges::access_list;
use crate::system::context::SystemContext;
use crate::system::rows::Rows;
use crate::system::{Source, visible};
use crate::types::SqlType;
use crate::types::datum::Datum;

use super::namespaces::for_everybody;

pub(super) const SOURCES: &[(&str, Source)] =
    &[("pg_class", classes), ("pg_attribute", attributes), ("pg_tables", tables), ("pg_views", views)];

/// `pg_class.relkind`.
fn kind(relation: &Relation) -> &'static str {
    if relation.view().is_some() { "v" } else { "r" }
}

/// Whether a row filter is on the table, as far as the principal may know.
fn has_row_filter(context: &SystemContext, relation: &Relation) -> bool {
    relation.table().is_some_and(|table| table.row_filter.is_some()) && sees_policies(&context.functions, relation)
}

fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn classes(context: &SystemContext, rows: &mut Rows) -> Result<()> {
    for relation in builtin::relations() {
        system_class(relation, rows);
    }
    for (schema, relation) in visible::relations(context) {
        let is_view = relation.view().is_some();
        rows.row()
            .set("oid", relation.id.0)
            .set("relname", &relation.name)
            .set("relnamespace", schema.id.0)
            .set("relowner", relation.owner.0)
            .set("relam", if is_view { 0_u32 } else { 2 })
            // No page count: DuckDB and others would ask for ranges of ctid, which the tables do not have.
            .set("relpages", 0_i32)
            .set("reltuples", Datum::Float(-1.0))
            .set("relpersistence", if schema.name == TEMPORARY_SCHEMA { "t" } else { "p" })
            .set("relkind", kind(relation))
            .set("relnatts", count(relation.columns.len()))
            .set("relhasrules", is_view)
            .set("relrowsecurity", has_row_filter(context, relation))
            .set("relforcerowsecurity", has_row_filter(context, relation))
            .set("relispopulated", true)
            .set("relreplident", if is_view { "n" } else { "d" })
            .set("relacl", access_list(&context.functions, relation.id));
    }
    Ok(())
}

fn system_class(relation: &BuiltinRelation, rows: &mut Rows) {
    rows.row()
        .set("oid", relation.oid)
        .set("relname", relation.name)
        .set("relnamespace", relation.schema_oid())
        .set("relowner", SYSTEM_ROLE)
        .set("relam", if relation.kind == 'r' { 2_u32 } else { 0 })
        .set("reltuples", Datum::Float(-1.0))
        .set("relpersistence", "p")
        .set("relkind", relation.kind.to_string())
        .set("relnatts", count(relation.columns.len()))
        .set("relhasrules", relation.kind == 'v')
        .set("relispopulated", true)
        .set("relreplident", "n")
        .set("relacl", for_everybody("r"));
}

/// One column, of a user's relation or of a system relation.
struct Attribute<'a> {
    relation: u32,
    number: i16,
    name: &'a str,
    sql_type: &'a SqlType,
    nullable: bool,
}

fn attributes(context: &SystemContext, rows: &mut Rows) -> Result<()> {
    for relation in builtin::relations() {
        for (number, column) in (1..).zip(&relation.columns) {
            attribute(
                &Attribute {
                    relation: relation.oid,
                    number,
                    name: column.name,
                    sql_type: &column.sql_type,
                    nullable: column.nullable,
                },
                rows,
            );
        }
    }
    for (_, relation) in visible::relations(context) {
        for column in &relation.columns {
            attribute(
                &Attribute {
                    relation: relation.id.0,
                    number: column.number,
                    name: &column.name,
                    sql_type: &column.sql_type,
                    nullable: column.nullable,
                },
                rows,
            );
        }
    }
    Ok(())
}

fn attribute(column: &Attribute<'_>, rows: &mut Rows) {
    let row = builtin::type_by_oid(column.sql_type.oid());
    let dimensions: i16 = i16::from(matches!(column.sql_type, SqlType::Array(_)));
    rows.row()
        .set("attrelid", column.relation)
        .set("attname", column.name)
        .set("atttypid", column.sql_type.oid())
        .set("attlen", column.sql_type.type_len())
        .set("attnum", column.number)
        .set("attcacheoff", -1_i32)
        .set("atttypmod", column.sql_type.typmod())
        .set("attndims", dimensions)
        .set("attbyval", row.is_some_and(|row| row.by_value))
        .set("attalign", row.map_or('i', |row| row.align).to_string())
        .set("attstorage", row.map_or('p', |row| row.storage).to_string())
        .set("attnotnull", !column.nullable)
        .set("attislocal", true)
        .set("attcollation", row.map_or(0, |row| row.collation));
}

fn tables(context: &SystemContext, rows: &mut Rows) -> Result<()> {
    for relation in builtin::relations().iter().filter(|relation| relation.kind == 'r') {
        rows.row()
            .set("schemaname", relation.schema_name)
            .set("tablename", relation.name)
            .set("tableowner", SYSTEM_ROLE_NAME)
            .set("hasindexes", false)
            .set("hasrules", false)
            .set("hastriggers", false)
            .set("rowsecurity", false);
    }
    for (schema, relation) in visible::relations(context).filter(|(_, relation)| relation.table().is_some()) {
        rows.row()
            .set("schemaname", &schema.name)
            .set("tablename", &relation.name)
            .set("tableowner", visible::role(context, relation.owner))
            .set("hasindexes", false)
            .set("hasrules", false)
            .set("hastriggers", false)
            .set("rowsecurity", has_row_filter(context, relation));
    }
    Ok(())
}

fn views(context: &SystemContext, rows: &mut Rows) -> Result<()> {
    for relation in builtin::relations().iter().filter(|relation| relation.kind == 'v') {
        rows.row().set("schemaname", relation.schema_name).set("viewname", relation.name).set("viewowner", SYSTEM_ROLE_NAME);
    }
    for (schema, relation) in visible::relations(context) {
        let Some(view) = relation.view() else { continue };
        let definition =
            sees_view_text(&context.functions, relation).then(|| format!(" {};", view.query.trim().trim_end_matches(';')));
        rows.row()
            .set("schemaname", &schema.name)
            .set("viewname", &relation.name)
            .set("viewowner", visible::role(context, relation.owner))
            .set("definition", definition);
    }
    Ok(())
}
