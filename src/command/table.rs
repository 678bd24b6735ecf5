//! CREATE TABLE in its three forms, and the removal of files that no table needs any more.
//!
//! ```text
//!  managed    reserve id and directory (an orphan until the end) ▸ version 0 ▸ rows of AS SELECT ▸ catalog entry takes the id
//!  external   version 0 at a location under an external location ▸ rows ▸ catalog entry
//!  register   the log that lies at the location is read ▸ catalog entry
//! ```
//! The catalog entry comes last, so nobody sees a half-made table, and a crash before it leaves an orphan that the next start removes. DROP
//! goes the other way: the entry goes first and leaves an orphan in the same transaction. Queries that still read a dropped managed table
//! may fail. Files at an external location are never removed, those of a CREATE TABLE that failed half-way included.

use std::sync::Arc;

use datafusion::arrow::datatypes::Schema;
use tokio_util::task::TaskTracker;

use super::assign::Assignment;
use super::block::MadeTable;
use super::insert;
use super::view::column_entries;
use super::{CommandContext, CommandOutcome, describe, location, policy, query, temporary};
use crate::catalog::securable::{ColumnEntry, ObjectId, Relation};
use crate::catalog::{CatalogSnapshot, Metastore, NewRelation, NewTable, Orphan};
use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::governance::GovernedQuery;
use crate::lake::{AsOf, Lake, TableRef, TableSnapshot, WriteKind};
use crate::sql::statement::{ColumnDefinition, Command, CreateTable};
use crate::types::SqlType;

pub(super) async fn create(command: &Command, create: &CreateTable, context: &CommandContext) -> Result<CommandOutcome> {
    if let Some(on_commit) = create.temporary {
        return temporary::create(create, on_commit, context).await;
    }
    context.authorize(command)?;
    if create.or_replace {
        return Err(Error::unsupported("CREATE OR REPLACE TABLE").with_hint("DROP TABLE and CREATE TABLE."));
    }
    let (schema, name) = context.names().place(&create.name)?;
    if context.snapshot().relation(schema.id, name).is_some() {
        let text = format!("relation \"{name}\" already exists");
        return if create.if_not_exists {
            Ok(CommandOutcome::noticed(tag(create, None), vec![format!("{text}, skipping")]))
        } else {
            Err(Error::new(ErrorKind::DuplicateRelation, text))
        };
    }
    for (function, _) in create.columns.iter().filter_map(|column| column.mask.as_ref()) {
        policy::check_fit(function, context).await?;
    }
    match (&create.query, &create.location) {
        (Some(query), _) => {
            if !create.columns.is_empty() {
                return Err(Error::new(ErrorKind::Syntax, "CREATE TABLE AS takes its columns from the query")
                    .with_hint("Name and cast the columns in the query."));
            }
            let reading = context.reading();
            let bound = query::bind(query, &context.parameter_types, &reading).await?;
            let types = bound.columns.iter().map(|field| (field.name().clone(), SqlType::of_field(field)));
            let columns = column_entries(types.map(|(name, sql_type)| (name, sql_type.in_table())))?;
            let rows = query::govern(bound, &reading).await?;
            make(command, create, columns, Some(rows), context).await
        }
        (None, Some(url)) if create.columns.is_empty() => register(command, create, url, context).await,
        (None, _) => {
            let columns = defined_columns(&create.columns)?;
            make(command, create, columns, None, context).await
        }
    }
}

/// Makes a new Delta table, with the rows of a query if there is one.
async fn make(
    command: &Command,
    create: &CreateTable,
    columns: Vec<ColumnEntry>,
    rows: Option<GovernedQuery>,
    context: &CommandContext,
) -> Result<CommandOutcome> {
    if let Some(made) = context.made.get() {
        return finish(command, create, made, context).await;
    }
    check_columns(&columns, &create.partitioned_by)?;
    let arrow = Schema::new(columns.iter().map(|column| column.sql_type.field(&column.name, column.nullable)).collect::<Vec<_>>());
    let (new, id) = place(create, context).await?;
    let unfinished = Unfinished::new(new.managed.then_some(id), context);
    let table = TableRef {
        id,
        name: create.name.parts.join("."),
        location: new.location.clone(),
        credential: credential(new.credential, context.snapshot())?,
    };
    let snapshot =
        context.lake.create(&table, &arrow, &create.partitioned_by, &create.properties, create.comment.as_deref()).await?;
    let written = match rows {
        Some(rows) => {
            let rows = query::run(rows, context).await?;
            let assignment = Assignment::in_order(&snapshot.schema());
            Some(insert::append(&table, &snapshot, rows, assignment, WriteKind::CreateTableAs, context).await?)
        }
        None => None,
    };
    let columns = with_physical_names(columns, &snapshot);
    let made = context.made.get_or_init(|| MadeTable { id, columns, entry: new, rows: written });
    let entered = enter(command, create, made, context).await?;
    if entered {
        unfinished.finish();
        Ok(CommandOutcome::done(tag(create, written)))
    } else {
        Ok(skipped(create))
    }
}

/// The catalog entry of a table whose files are there already: its transaction block has moved to a newer state of the catalog.
async fn finish(command: &Command, create: &CreateTable, made: &MadeTable, context: &CommandContext) -> Result<CommandOutcome> {
    if enter(command, create, made, context).await? {
        return Ok(CommandOutcome::done(tag(create, made.rows)));
    }
    let name = create.name.parts.last().map_or("", String::as_str);
    Err(Error::new(ErrorKind::DuplicateRelation, format!("relation \"{name}\" already exists")))
}

/// Enters the table that lies at a location already.
async fn register(command: &Command, create: &CreateTable, url: &str, context: &CommandContext) -> Result<CommandOutcome> {
    if let Some(made) = context.made.get() {
        return finish(command, create, made, context).await;
    }
    if !create.properties.is_empty() {
        return Err(Error::unsupported("TBLPROPERTIES for a table that exists already")
            .with_hint("Leave them out: the table keeps its own."));
    }
    let place = location::real_location(url)?;
    let (location, credential_id) = location::external_table_location(&place, context.snapshot(), context)?;
    let id = context.metastore.metastore().write(|change| change.reserve_id()).await?;
    let table = TableRef {
        id,
        name: create.name.parts.join("."),
        location: location.clone(),
        credential: credential(credential_id, context.snapshot())?,
    };
    let snapshot = Engine::cancellable(&context.cancel, context.lake.snapshot(&table, AsOf::Latest)).await.map_err(|error| {
        if error.kind() == ErrorKind::UndefinedRelation {
            Error::new(ErrorKind::UndefinedObject, "there is no Delta table at the location")
                .with_hint("Name columns to make a new table there.")
        } else {
            error
        }
    })?;
    let partition_columns = snapshot.partition_columns().to_vec();
    if !create.partitioned_by.is_empty() && create.partitioned_by != partition_columns {
        return Err(Error::new(ErrorKind::InvalidTableDefinition, "the table at the location is partitioned by other columns")
            .with_detail(format!("Its partition columns are ({}).", partition_columns.join(", "))));
    }
    let columns = with_physical_names(describe::entries(&snapshot.schema(), &[]), &snapshot);
    let new = NewTable { location, managed: false, credential: credential_id, partition_columns };
    let made = context.made.get_or_init(|| MadeTable { id, columns, entry: new, rows: None });
    match enter(command, create, made, context).await? {
        true => Ok(CommandOutcome::done(tag(create, None))),
        false => Ok(skipped(create)),
    }
}

/// The columns of a table's first version, by which they are found in the later ones.
fn with_physical_names(columns: Vec<ColumnEntry>, snapshot: &TableSnapshot) -> Vec<ColumnEntry> {
    let physical_names = snapshot.physical_names().iter().map(|physical_name| Some(physical_name.clone()));
    columns.into_iter().zip(physical_names).map(|(column, physical_name)| ColumnEntry { physical_name, ..column }).collect()
}

/// Where the new table lies, and its id.
async fn place(create: &CreateTable, context: &CommandContext) -> Result<(NewTable, ObjectId)> {
    let partition_columns = create.partitioned_by.clone();
    if let Some(url) = &create.location {
        let place = location::real_location(url)?;
        let (location, credential) = location::external_table_location(&place, context.snapshot(), context)?;
        let id = context.metastore.metastore().write(|change| change.reserve_id()).await?;
        return Ok((NewTable { location, managed: false, credential, partition_columns }, id));
    }
    let (schema, _) = context.names().place(&create.name)?;
    let (root, credential) = location::managed_root(schema.id, context.snapshot(), context)?;
    let location = format!("{}/{}", root.trim_end_matches('/'), uuid::Uuid::now_v7());
    let id = context.metastore.metastore().write(|change| change.reserve_table(&location, credential)).await?;
    Ok((NewTable { location, managed: true, credential, partition_columns }, id))
}

/// Makes the catalog entry. False if a table of the name has appeared in the meantime and IF NOT EXISTS was said.
async fn enter(command: &Command, create: &CreateTable, made: &MadeTable, context: &CommandContext) -> Result<bool> {
    let MadeTable { id, columns, entry, rows: _ } = made.clone();
    context
        .metastore
        .write(|change| {
            context.authorize_in(command, change.snapshot())?;
            let (schema, name) = context.names_in(change.snapshot()).place(&create.name)?;
            let (schema, name) = (schema.id, name.to_string());
            if create.if_not_exists && change.snapshot().relation(schema, &name).is_some() {
                return Ok(false);
            }
            if !entry.managed {
                let place = location::real_location(&entry.location)?;
                location::external_table_location(&place, change.snapshot(), context)?;
            }
            change.create_relation(NewRelation {
                id: Some(id),
                schema,
                name,
                owner: context.caller(),
                columns,
                comment: create.comment.clone(),
                kind: entry.into(),
            })?;
            for column in &create.columns {
                let Some((function, using)) = &column.mask else { continue };
                let snapshot = change.snapshot();
                let function = context.names_in(snapshot).function(function)?;
                let relation = super::ddl::relation_of(snapshot, id)?;
                let mask = policy::checked_mask(&relation, &column.name, function, using, snapshot, context)?;
                change.set_mask(id, &column.name, Some(mask))?;
            }
            Ok(true)
        })
        .await
}

fn skipped(create: &CreateTable) -> CommandOutcome {
    let name = create.name.parts.last().map_or("", String::as_str);
    CommandOutcome::noticed(tag(create, None), vec![format!("relation \"{name}\" already exists, skipping")])
}

/// PostgreSQL's tag: `SELECT n` for CREATE TABLE AS that made the table, `CREATE TABLE AS` where it was skipped.
pub(super) fn tag(create: &CreateTable, rows: Option<u64>) -> String {
    match rows {
        Some(rows) => format!("SELECT {rows}"),
        None if create.query.is_some() => "CREATE TABLE AS".to_string(),
        None => "CREATE TABLE".to_string(),
    }
}

pub(super) fn defined_columns(definitions: &[ColumnDefinition]) -> Result<Vec<ColumnEntry>> {
    for definition in definitions {
        let is_pseudo = matches!(definition.sql_type, SqlType::Unknown | SqlType::Void);
        if is_pseudo {
            let message = format!("column \"{}\" has pseudo-type {}", definition.name, definition.sql_type);
            return Err(Error::new(ErrorKind::InvalidTableDefinition, message));
        }
    }
    let mut entries = column_entries(definitions.iter().map(|definition| (definition.name.clone(), definition.sql_type.clone())))?;
    for (entry, definition) in entries.iter_mut().zip(definitions) {
        entry.nullable = definition.nullable;
        entry.comment = definition.comment.clone();
    }
    Ok(entries)
}

pub(super) fn check_columns(columns: &[ColumnEntry], partitioned_by: &[String]) -> Result<()> {
    if columns.is_empty() {
        return Err(Error::new(ErrorKind::InvalidTableDefinition, "a table needs at least one column"));
    }
    for (index, name) in partitioned_by.iter().enumerate() {
        if !columns.iter().any(|column| column.name == *name) {
            return Err(Error::new(ErrorKind::UndefinedColumn, format!("column \"{name}\" named in partition key does not exist")));
        }
        if partitioned_by.iter().take(index).any(|other| other == name) {
            return Err(Error::new(ErrorKind::DuplicateColumn, format!("column \"{name}\" appears twice in partition key")));
        }
    }
    if partitioned_by.len() == columns.len() {
        return Err(Error::new(ErrorKind::InvalidTableDefinition, "a table cannot be partitioned by all of its columns"));
    }
    Ok(())
}

/// The table behind a relation, for the lake.
pub(super) fn table_ref(relation: &Relation, snapshot: &CatalogSnapshot) -> Result<TableRef> {
    let Some(table) = relation.table() else {
        return Err(Error::new(ErrorKind::WrongObjectType, format!("\"{}\" is not a table", relation.name)));
    };
    Ok(TableRef {
        id: relation.id,
        name: snapshot.full_name(relation.id),
        location: table.location.clone(),
        credential: credential(table.credential, snapshot)?,
    })
}

type Options = crate::catalog::securable::Secret<std::collections::BTreeMap<String, String>>;

fn credential(id: Option<ObjectId>, snapshot: &CatalogSnapshot) -> Result<Option<Arc<Options>>> {
    let Some(id) = id else { return Ok(None) };
    let found = snapshot.storage_credential_by_id(id).map(|credential| Arc::clone(&credential.options));
    found.map(Some).ok_or_else(|| Error::new(ErrorKind::UndefinedObject, "the storage credential of the table has been dropped"))
}

/// Removes every orphan. For the start of the server, when no table is being made.
pub async fn remove_orphans(metastore: &Metastore, lake: &Lake) {
    let snapshot = metastore.snapshot();
    for orphan in snapshot.orphans() {
        remove_orphan(metastore, lake, orphan, &snapshot).await;
    }
}

/// Removes the files of tables that a statement has dropped, once the drop is durable.
pub(super) fn remove_dropped(ids: Vec<ObjectId>, context: &CommandContext) {
    match context.metastore.block() {
        Some(block) => block.remove_after_commit(ids),
        None => remove_later(ids, context.metastore.metastore(), &context.lake, &context.tasks),
    }
}

/// Removes the files of orphans in the background.
pub(super) fn remove_later(ids: Vec<ObjectId>, metastore: &Arc<Metastore>, lake: &Arc<Lake>, tasks: &TaskTracker) {
    if ids.is_empty() {
        return;
    }
    let (metastore, lake) = (Arc::clone(metastore), Arc::clone(lake));
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
    let removal = async move {
        let snapshot = metastore.snapshot();
        for orphan in snapshot.orphans().filter(|orphan| ids.contains(&orphan.id)) {
            remove_orphan(&metastore, &lake, orphan, &snapshot).await;
        }
    };
    tasks.spawn_on(removal, &runtime);
}

async fn remove_orphan(metastore: &Metastore, lake: &Lake, orphan: &Orphan, snapshot: &CatalogSnapshot) {
    let removed = async {
        let table = TableRef {
            id: orphan.id,
            name: format!("dropped table {}", orphan.id.0),
            location: orphan.location.clone(),
            credential: credential(orphan.credential, snapshot)?,
        };
        lake.remove_managed(&table).await?;
        let id = orphan.id;
        metastore
            .write(move |change| {
                change.remove_orphan(id);
                Ok(())
            })
            .await
    };
    if let Err(error) = removed.await {
        tracing::warn!(table = orphan.id.0, %error, "files of a dropped table are still there, the next start tries again");
    }
}

/// A managed table that is being made. Dropped before [`Unfinished::finish`], by an error or because the client has gone, it removes
/// the files that were made so far.
struct Unfinished<'a> {
    id: Option<ObjectId>,
    context: &'a CommandContext,
}

impl<'a> Unfinished<'a> {
    fn new(id: Option<ObjectId>, context: &'a CommandContext) -> Self {
        Self { id, context }
    }

    fn finish(mut self) {
        self.id = None;
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            remove_later(vec![id], self.context.metastore.metastore(), &self.context.lake, &self.context.tasks);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str) -> ColumnDefinition {
        ColumnDefinition {
            name: name.to_string(),
            sql_type: SqlType::Int4,
            nullable: false,
            comment: Some("c".to_string()),
            mask: None,
        }
    }

    #[test]
    fn columns_and_partitions_are_checked() {
        let columns = defined_columns(&[column("a"), column("b")]).unwrap();
        assert!(!columns[0].nullable);
        assert_eq!(columns[1].comment.as_deref(), Some("c"));
        let check = |names: &[&str]| check_columns(&columns, &names.iter().map(ToString::to_string).collect::<Vec<_>>());
        check(&[]).unwrap();
        check(&["b"]).unwrap();
        assert_eq!(check(&["z"]).unwrap_err().kind(), ErrorKind::UndefinedColumn);
        assert_eq!(check(&["a", "a"]).unwrap_err().kind(), ErrorKind::DuplicateColumn);
        assert_eq!(check(&["a", "b"]).unwrap_err().kind(), ErrorKind::InvalidTableDefinition);
        assert_eq!(defined_columns(&[column("a"), column("a")]).unwrap_err().kind(), ErrorKind::DuplicateColumn);
        assert_eq!(check_columns(&[], &[]).unwrap_err().kind(), ErrorKind::InvalidTableDefinition);
    }
}
