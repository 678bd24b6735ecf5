//! DESCRIBE TABLE and SHOW COLUMNS.
//!
//! Columns are those of the newest version of the table; the log has the last word. Where the files lie, the text of a view and the
//! functions of policies are shown to those who manage the object only.

use datafusion::arrow::datatypes::SchemaRef;

use super::names::FoundRelation;
use super::{CommandContext, CommandOutcome, output, rows, table};
use crate::catalog::securable::{ColumnEntry, PolicyArgument, Relation, RelationKind, TableEntry};
use crate::engine::Engine;
use crate::error::Result;
use crate::lake::AsOf;
use crate::sql;
use crate::sql::statement::{Command, Name};
use crate::types::SqlType;

type Line = [Option<String>; 3];

pub(super) async fn columns(command: &Command, name: &Name, context: &CommandContext) -> Result<CommandOutcome> {
    let columns = match context.names().any_relation(name)? {
        FoundRelation::System(system) => entries(&system.schema(), &[]),
        FoundRelation::Relation(relation) => {
            context.authorize(command)?;
            current_columns(relation, context).await?
        }
    };
    let lines = columns.into_iter().map(|column| [Some(column.name)]).collect();
    Ok(CommandOutcome::rows(rows::texts(output::column_names(), lines)?, "SHOW"))
}

pub(super) async fn table(command: &Command, name: &Name, extended: bool, context: &CommandContext) -> Result<CommandOutcome> {
    let lines = match context.names().any_relation(name)? {
        FoundRelation::System(system) => entries(&system.schema(), &[]).iter().map(column_line).collect(),
        FoundRelation::Relation(relation) => {
            context.authorize(command)?;
            let columns = current_columns(relation, context).await?;
            let mut lines: Vec<Line> = columns.iter().map(column_line).collect();
            if let Some(table) = relation.table() {
                lines.extend(partition_lines(table, &columns));
            }
            if extended {
                lines.extend(detail_lines(relation, context));
            }
            lines
        }
    };
    Ok(CommandOutcome::rows(rows::texts(output::description(), lines)?, "DESCRIBE"))
}

/// The columns of a relation as they are now, with the comments that the metastore keeps.
async fn current_columns(relation: &Relation, context: &CommandContext) -> Result<Vec<ColumnEntry>> {
    if relation.table().is_none() {
        return Ok(relation.columns.clone());
    }
    let table = table::table_ref(relation, context.snapshot())?;
    let snapshot = Engine::cancellable(&context.cancel, context.lake.snapshot(&table, AsOf::Latest)).await?;
    // Whoever manages the table sees what readers do not see yet.
    let manages = context.snapshot().manages(context.caller(), relation.id);
    let shown = if manages { snapshot } else { sql::known_columns(relation, snapshot)? };
    Ok(entries(&shown.schema(), &relation.columns))
}

/// Columns of an Arrow schema, to be shown; numbers and comments are those of `known`.
pub(super) fn entries(schema: &SchemaRef, known: &[ColumnEntry]) -> Vec<ColumnEntry> {
    let mut next = known.iter().map(|column| column.number).max().unwrap_or(0);
    schema
        .fields()
        .iter()
        .map(|field| {
            let old = known.iter().find(|column| column.name == *field.name());
            let number = old.map_or_else(
                || {
                    next = next.saturating_add(1);
                    next
                },
                |old| old.number,
            );
            ColumnEntry {
                number,
                name: field.name().clone(),
                sql_type: SqlType::of_field(field),
                nullable: field.is_nullable(),
                comment: old.and_then(|old| old.comment.clone()),
                physical_name: None,
            }
        })
        .collect()
}

fn column_line(column: &ColumnEntry) -> Line {
    [Some(column.name.clone()), Some(column.sql_type.delta_name()), column.comment.clone()]
}

fn partition_lines(table: &TableEntry, columns: &[ColumnEntry]) -> Vec<Line> {
    if table.partition_columns.is_empty() {
        return vec![];
    }
    let mut lines = vec![heading("# Partition Information"), line("# col_name", "data_type", Some("comment"))];
    let of = |name: &String| columns.iter().find(|column| column.name == *name);
    lines.extend(table.partition_columns.iter().filter_map(of).map(column_line));
    lines
}

fn detail_lines(relation: &Relation, context: &CommandContext) -> Vec<Line> {
    let snapshot = context.snapshot();
    let manages = snapshot.manages(context.caller(), relation.id);
    let name_of = |id| snapshot.name_of(id).unwrap_or_default().to_string();
    let schema = snapshot.schema_by_id(relation.schema);
    let mut lines = vec![heading(""), heading("# Detailed Table Information")];
    lines.push(line("Catalog", &schema.map(|schema| name_of(schema.catalog)).unwrap_or_default(), None));
    lines.push(line("Database", &name_of(relation.schema), None));
    lines.push(line("Table", &relation.name, None));
    lines.push(line("Owner", &name_of(relation.owner), None));
    if let Some(comment) = &relation.comment {
        lines.push(line("Comment", comment, None));
    }
    match &relation.kind {
        RelationKind::View(view) => {
            lines.push(line("Type", "VIEW", None));
            if manages {
                lines.push(line("View Text", &view.query, None));
            }
        }
        RelationKind::Table(table) => {
            lines.push(line("Type", if table.managed { "MANAGED" } else { "EXTERNAL" }, None));
            lines.push(line("Provider", "delta", None));
            if manages {
                lines.push(line("Location", &table.location, None));
                lines.extend(policy_lines(table, context));
            }
        }
    }
    lines
}

fn policy_lines(table: &TableEntry, context: &CommandContext) -> Vec<Line> {
    let snapshot = context.snapshot();
    let mut lines = Vec::new();
    if let Some(filter) = &table.row_filter {
        let text = format!("{} ON ({})", snapshot.full_name(filter.function), filter.columns.join(", "));
        lines.push(line("Row Filter", &text, None));
    }
    if table.has_masks() {
        lines.push(heading("# Column Masks"));
    }
    for (column, mask) in &table.column_masks {
        let using: Vec<String> = mask
            .using
            .iter()
            .map(|argument| match argument {
                PolicyArgument::Column(name) => name.clone(),
                PolicyArgument::Constant(value) => format!("'{}'", value.replace('\'', "''")),
            })
            .collect();
        let function = snapshot.full_name(mask.function);
        let text = if using.is_empty() { function } else { format!("{function} USING COLUMNS ({})", using.join(", ")) };
        lines.push(line(column, &text, None));
    }
    for column in &table.past_columns {
        let Some(mask) = &column.mask else { continue };
        let function =
            snapshot.function_by_id(mask.function).map_or_else(|| "NULL".to_string(), |function| snapshot.full_name(function.id));
        lines.push(line(&column.name, &format!("{function} in versions that have the column"), None));
    }
    lines
}

fn line(name: &str, value: &str, comment: Option<&str>) -> Line {
    [Some(name.to_string()), Some(value.to_string()), comment.map(str::to_string)]
}

fn heading(text: &str) -> Line {
    line(text, "", Some(""))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::datatypes::Schema;

    use super::*;

    #[test]
    fn columns_keep_their_number_and_comment() {
        let known = [
            ColumnEntry {
                number: 1,
                name: "a".into(),
                sql_type: SqlType::Int4,
                nullable: false,
                comment: Some("first".into()),
                physical_name: None,
            },
            ColumnEntry {
                number: 2,
                name: "b".into(),
                sql_type: SqlType::Int4,
                nullable: true,
                comment: None,
                physical_name: None,
            },
        ];
        let schema =
            Schema::new(vec![SqlType::Int8.field("b", true), SqlType::Text.field("c", true), SqlType::Int4.field("a", false)]);
        let entries = entries(&Arc::new(schema), &known);
        let numbers: Vec<(i16, &str)> = entries.iter().map(|entry| (entry.number, entry.name.as_str())).collect();
        assert_eq!(numbers, [(2, "b"), (3, "c"), (1, "a")]);
        assert_eq!(entries[0].sql_type, SqlType::Int8);
        assert_eq!(entries[2].comment.as_deref(), Some("first"));
    }
}
