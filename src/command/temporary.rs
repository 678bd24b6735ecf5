//! Temporary tables: Delta tables of one session, in a directory of their own, that no catalog names.
//!
//! ```text
//!  CREATE TEMP TABLE ─▶ empty Delta table below the server's temporary directory ─▶ the session's list
//!  a statement       ─▶ its catalog snapshot + the list as schema pg_temp ─▶ resolve, bind, gate: as any table that the user owns
//!  ROLLBACK          ─▶ the list as it was        COMMIT ─▶ ON COMMIT        end of the session ─▶ the files go
//! ```
//! Only the session's own text finds them by name: views and policy functions are stored with every name written out, so a temporary
//! table cannot come between them and what they read. What is stored cannot name one either.
//!
//! Absent: ALTER, COMMENT, GRANT and policies on a temporary table.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use datafusion::arrow::datatypes::Schema as ArrowSchema;
use parking_lot::Mutex;
use tokio_util::task::TaskTracker;

use super::assign::Assignment;
use super::{CommandContext, CommandOutcome, insert, query, table};
use crate::catalog::securable::{ColumnEntry, ObjectId, Relation, Schema, TEMPORARY_SCHEMA};
use crate::catalog::{NewTable, Temporary};
use crate::error::{Error, ErrorKind, Result};
use crate::governance::GovernedQuery;
use crate::lake::{Lake, TableRef, WriteKind};
use crate::sql::statement::{Command, CreateTable, Name, OnCommit};
use crate::types::SqlType;
use crate::units::ByteSize;

/// Ids of temporary objects: far above those that the metastore gives out.
static NEXT_ID: AtomicU32 = AtomicU32::new(0xC000_0000);

fn next_id() -> ObjectId {
    ObjectId(NEXT_ID.fetch_add(1, Ordering::Relaxed))
}

/// What all sessions of each user hold in temporary tables, in bytes before compression.
#[derive(Debug)]
pub struct TemporaryStorage {
    /// URL of the directory for all sessions.
    root: String,
    limit: ByteSize,
    used: Mutex<BTreeMap<ObjectId, u64>>,
}

impl TemporaryStorage {
    /// Storage below `root` of which each user may have `limit`.
    pub fn new(root: String, limit: ByteSize) -> Arc<Self> {
        Arc::new(Self { root, limit, used: Mutex::default() })
    }

    fn take(&self, user: ObjectId, bytes: u64) -> Result<()> {
        let mut used = self.used.lock();
        let held = used.entry(user).or_default();
        let wanted = held.saturating_add(bytes);
        if wanted > self.limit.0 {
            return Err(Error::new(ErrorKind::LimitExceeded, "the temporary tables of the user are too large together")
                .with_detail(format!("At most {} are possible.", self.limit))
                .with_hint("Drop those that are no longer needed, or make a table in a schema."));
        }
        *held = wanted;
        Ok(())
    }

    fn give_back(&self, user: ObjectId, bytes: u64) {
        let mut used = self.used.lock();
        if let Some(held) = used.get_mut(&user) {
            *held = held.saturating_sub(bytes);
            if *held == 0 {
                used.remove(&user);
            }
        }
    }
}

/// The temporary tables of one session.
#[derive(Debug)]
pub struct TemporaryTables {
    storage: Arc<TemporaryStorage>,
    lake: Arc<Lake>,
    tasks: TaskTracker,
    owner: ObjectId,
    schema: ObjectId,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    tables: TableList,
    /// Every table whose files are there, also those that a rollback may bring back.
    made: BTreeMap<ObjectId, Made>,
    /// The list as a schema of a catalog.
    view: Option<(ObjectId, Arc<Temporary>)>,
}

#[derive(Debug)]
struct Made {
    table: TableRef,
    bytes: u64,
}

/// The tables that there are at some moment of a transaction.
#[derive(Debug, Clone, Default)]
pub struct TableList(Vec<Listed>);

#[derive(Debug, Clone)]
struct Listed {
    relation: Arc<Relation>,
    on_commit: OnCommit,
}

impl TableList {
    /// Bytes that keeping it takes.
    pub fn size(&self) -> usize {
        self.0.len() * size_of::<Listed>()
    }
}

/// Temporary tables that one session may have, those included that a rollback may bring back.
const MAXIMUM_TABLES: usize = 1_000;

impl TemporaryTables {
    /// None yet, for a session of `owner`.
    pub fn new(storage: Arc<TemporaryStorage>, lake: Arc<Lake>, tasks: TaskTracker, owner: ObjectId) -> Arc<Self> {
        Arc::new(Self { storage, lake, tasks, owner, schema: next_id(), state: Mutex::default() })
    }

    /// The tables as a schema of `catalog`; `None` if there are none.
    pub fn view(&self, catalog: ObjectId) -> Option<Arc<Temporary>> {
        let mut state = self.state.lock();
        if state.tables.0.is_empty() {
            return None;
        }
        if let Some((of, view)) = &state.view
            && *of == catalog
        {
            return Some(Arc::clone(view));
        }
        let schema = Schema {
            id: self.schema,
            catalog,
            name: TEMPORARY_SCHEMA.to_string(),
            owner: self.owner,
            managed_location: None,
            comment: None,
        };
        let relations = state.tables.0.iter().map(|listed| Arc::clone(&listed.relation)).collect();
        let view = Arc::new(Temporary { schema: Arc::new(schema), relations });
        state.view = Some((catalog, Arc::clone(&view)));
        Some(view)
    }

    /// Whether the table is one of them.
    pub fn contains(&self, table: ObjectId) -> bool {
        self.state.lock().made.contains_key(&table)
    }

    /// The list as it is now, for [`TemporaryTables::restore`].
    pub fn list(&self) -> TableList {
        self.state.lock().tables.clone()
    }

    /// ROLLBACK: the tables that there were. Those made since are still there for other savepoints.
    pub fn restore(&self, list: TableList) {
        let mut state = self.state.lock();
        state.view = None;
        state.tables = list;
    }

    /// The end of a transaction: does what ON COMMIT says if it has committed, then removes what no list has any more.
    ///
    /// # Errors
    /// What making an empty table fails with.
    pub async fn end_transaction(&self, committed: bool) -> Result<()> {
        if committed {
            self.on_commit().await?;
        }
        self.sweep();
        Ok(())
    }

    async fn on_commit(&self) -> Result<()> {
        let listed = self.list().0;
        if listed.iter().all(|listed| listed.on_commit == OnCommit::PreserveRows) {
            return Ok(());
        }
        let mut kept = Vec::with_capacity(listed.len());
        for Listed { relation, on_commit } in listed {
            match on_commit {
                OnCommit::PreserveRows => kept.push(Listed { relation, on_commit }),
                OnCommit::Drop => {}
                OnCommit::DeleteRows => {
                    let relation = self.emptied(&relation).await?;
                    kept.push(Listed { relation, on_commit });
                }
            }
        }
        self.restore(TableList(kept));
        Ok(())
    }

    /// The same table without rows: another one, in its place.
    async fn emptied(&self, relation: &Arc<Relation>) -> Result<Arc<Relation>> {
        let is_empty = self.state.lock().made.get(&relation.id).is_none_or(|made| made.bytes == 0);
        if is_empty {
            return Ok(Arc::clone(relation));
        }
        let partition_columns = relation.table().map(|table| table.partition_columns.clone()).unwrap_or_default();
        self.make(&relation.name, relation.columns.clone(), partition_columns, &[]).await
    }

    /// Makes the files of an empty table.
    async fn make(
        &self,
        name: &str,
        columns: Vec<ColumnEntry>,
        partition_columns: Vec<String>,
        properties: &[(String, String)],
    ) -> Result<Arc<Relation>> {
        let id = next_id();
        let location = format!("{}/{}", self.storage.root.trim_end_matches('/'), uuid::Uuid::now_v7());
        let table = TableRef { id, name: name.to_string(), location: location.clone(), credential: None };
        let fields: Vec<_> = columns.iter().map(|column| column.sql_type.field(&column.name, column.nullable)).collect();
        self.state.lock().made.insert(id, Made { table: table.clone(), bytes: 0 });
        self.lake.create(&table, &ArrowSchema::new(fields), &partition_columns, properties, None).await?;
        let entry = NewTable { location, managed: true, credential: None, partition_columns };
        Ok(Arc::new(Relation {
            id,
            schema: self.schema,
            name: name.to_string(),
            owner: self.owner,
            columns,
            comment: None,
            kind: entry.into(),
        }))
    }

    fn check_room(&self) -> Result<()> {
        if self.state.lock().made.len() < MAXIMUM_TABLES {
            return Ok(());
        }
        Err(Error::new(ErrorKind::LimitExceeded, "too many temporary tables")
            .with_detail(format!("A session may have {MAXIMUM_TABLES}."))
            .with_hint("Drop those that are no longer needed."))
    }

    fn add(&self, relation: Arc<Relation>, on_commit: OnCommit) {
        let mut state = self.state.lock();
        state.view = None;
        state.tables.0.push(Listed { relation, on_commit });
    }

    fn named(&self, name: &str) -> Option<Arc<Relation>> {
        let state = self.state.lock();
        state.tables.0.iter().find(|listed| listed.relation.name == name).map(|listed| Arc::clone(&listed.relation))
    }

    fn drop_table(&self, id: ObjectId) {
        let mut state = self.state.lock();
        state.view = None;
        state.tables.0.retain(|listed| listed.relation.id != id);
    }

    /// DISCARD TEMP.
    pub fn drop_all(&self) {
        self.restore(TableList::default());
    }

    /// Counts rows that are about to be written to one of the tables.
    pub(super) fn reserve(&self, table: ObjectId, bytes: usize) -> Result<()> {
        let bytes = bytes as u64;
        self.storage.take(self.owner, bytes)?;
        match self.state.lock().made.get_mut(&table) {
            Some(made) => made.bytes = made.bytes.saturating_add(bytes),
            None => self.storage.give_back(self.owner, bytes),
        }
        Ok(())
    }

    /// Removes the files of tables that are in no list. For the end of a transaction, when nothing can bring them back.
    fn sweep(&self) {
        let mut state = self.state.lock();
        let live: Vec<ObjectId> = state.tables.0.iter().map(|listed| listed.relation.id).collect();
        let gone: Vec<ObjectId> = state.made.keys().copied().filter(|id| !live.contains(id)).collect();
        let gone: Vec<Made> = gone.iter().filter_map(|id| state.made.remove(id)).collect();
        drop(state);
        self.remove(gone);
    }

    fn remove(&self, made: Vec<Made>) {
        self.storage.give_back(self.owner, made.iter().map(|made| made.bytes).sum());
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if made.is_empty() {
            return;
        }
        let lake = Arc::clone(&self.lake);
        let removal = async move {
            for Made { table, .. } in made {
                if let Err(error) = lake.remove_managed(&table).await {
                    tracing::warn!(%error, "files of a temporary table are still there, the next start removes them");
                }
            }
        };
        self.tasks.spawn_on(removal, &runtime);
    }
}

impl Drop for TemporaryTables {
    fn drop(&mut self) {
        let made = std::mem::take(&mut self.state.get_mut().made);
        self.remove(made.into_values().collect());
    }
}

/// CREATE TEMPORARY TABLE, with the rows of a query if there is one.
pub(super) async fn create(create: &CreateTable, on_commit: OnCommit, context: &CommandContext) -> Result<CommandOutcome> {
    context.authorize(&Command::CreateTable(create.clone()))?;
    let tables = own(context)?;
    let name = table_name(&create.name)?;
    refuse_durable(create)?;
    if tables.named(name).is_some() {
        let text = format!("relation \"{name}\" already exists");
        return if create.if_not_exists {
            Ok(CommandOutcome::noticed(table::tag(create, None), vec![format!("{text}, skipping")]))
        } else {
            Err(Error::new(ErrorKind::DuplicateRelation, text))
        };
    }
    tables.check_room()?;
    let (columns, rows) = match &create.query {
        Some(query) => {
            let reading = context.reading();
            let bound = query::bind(query, &context.parameter_types, &reading).await?;
            let types = bound.columns.iter().map(|field| (field.name().clone(), SqlType::of_field(field)));
            (
                super::view::column_entries(types.map(|(name, sql_type)| (name, sql_type.in_table())))?,
                Some(query::govern(bound, &reading).await?),
            )
        }
        None => (table::defined_columns(&create.columns)?, None),
    };
    table::check_columns(&columns, &create.partitioned_by)?;
    let relation = tables.make(name, columns, create.partitioned_by.clone(), &create.properties).await?;
    let written = match rows {
        Some(rows) => Some(fill(&relation, rows, context).await?),
        None => None,
    };
    tables.add(relation, on_commit);
    Ok(CommandOutcome::done(table::tag(create, written)))
}

async fn fill(relation: &Relation, rows: GovernedQuery, context: &CommandContext) -> Result<u64> {
    let table = table::table_ref(relation, context.snapshot())?;
    let snapshot = context.lake.snapshot(&table, crate::lake::AsOf::Latest).await?;
    let rows = query::run(rows, context).await?;
    let assignment = Assignment::in_order(&snapshot.schema());
    insert::append(&table, &snapshot, rows, assignment, WriteKind::CreateTableAs, context).await
}

fn own(context: &CommandContext) -> Result<&Arc<TemporaryTables>> {
    let refused = || Error::unsupported("a temporary table here").with_hint("Make it in a session of a client.");
    context.temporary.as_ref().ok_or_else(refused)
}

/// The one part of the name, or the one behind `pg_temp`.
fn table_name(name: &Name) -> Result<&str> {
    match name.parts.as_slice() {
        [name] => Ok(name),
        [schema, name] if schema == TEMPORARY_SCHEMA => Ok(name),
        _ => Err(Error::new(ErrorKind::InvalidTableDefinition, "cannot create temporary relation in non-temporary schema")),
    }
}

fn refuse_durable(create: &CreateTable) -> Result<()> {
    let what = if create.location.is_some() {
        "LOCATION of a temporary table"
    } else if create.or_replace {
        "CREATE OR REPLACE TEMPORARY TABLE"
    } else if create.comment.is_some() {
        "COMMENT of a temporary table"
    } else if create.columns.iter().any(|column| column.mask.is_some()) {
        "MASK of a temporary table"
    } else {
        return Ok(());
    };
    Err(Error::unsupported(what).with_hint("Leave it out, or make a table in a schema."))
}

/// Drops those of `names` that are temporary tables of the session; gives back the others.
pub(super) fn drop_tables(names: &[Name], context: &CommandContext) -> Vec<Name> {
    let mut others = Vec::new();
    for name in names {
        match temporary(name, context) {
            Some(relation) => {
                if let Some(tables) = &context.temporary {
                    tables.drop_table(relation.id);
                }
            }
            None => others.push(name.clone()),
        }
    }
    others
}

/// The temporary table that the session means by the name.
pub(super) fn temporary(name: &Name, context: &CommandContext) -> Option<Arc<Relation>> {
    let tables = context.temporary.as_ref()?;
    let relation = context.names().relation(name).ok()?;
    tables.contains(relation.id).then(|| Arc::clone(relation))
}

/// Whether the command writes rows of a temporary table and nothing else: a read-only transaction may do that.
pub fn writes_temporary(command: &Command, context: &CommandContext) -> bool {
    matches!(command, Command::Insert { table, .. } if temporary(table, context).is_some())
}
