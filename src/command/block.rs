//! What a transaction block has changed so far, and how that becomes durable: all at once, or not at all.
//!
//! ```text
//!  command ─▶ Block::run ─┬─ edits of the catalog ─▶ draft: a private state on the newest one, which the block's statements read
//!                         └─ rows for a table ─────▶ files without a commit, which the block's statements read, too
//!  COMMIT ──▶ the draft is brought onto the newest state (its commands run again on it) ─▶ one transaction of the metastore
//!             or one version of one table
//!  ROLLBACK, an error, a client that is gone ─▶ the draft is forgotten, the files are removed
//! ```
//! Catalog and log are two places, and no commit spans both. So a block either edits the catalog and fills tables that it has made itself
//! (nobody else can see those before the catalog names them), or it appends to one table that was there before. More is refused before
//! it has done anything.
//!
//! Before each statement the draft is brought onto the newest state of the catalog: grants and policies that others change are in force at
//! once. A command that cannot run again there fails the block with 40001.
//!
//! A draft may be rolled back without a trace, so what it opens does not govern its own reads: see [`Block::in_force`].
//!
//! Absent: commands that commit to a log at once and for good; [`in_block`] names what each one may do.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio_util::task::TaskTracker;

use super::{CommandContext, CommandOutcome, table, tag};
use crate::catalog::securable::{ColumnEntry, ObjectId};
use crate::catalog::{CatalogSnapshot, Change, Metastore, NewTable};
use crate::error::{Error, ErrorKind, Result};
use crate::lake::{Lake, Staged, TableSnapshot};
use crate::sql::Pins;
use crate::sql::statement::Command;

/// Most statements with an effect in one block.
const MAXIMUM_STEPS: usize = 10_000;

/// How often a COMMIT is tried on a state that moves.
const TRIES: usize = 20;

/// Where the edits of a command go.
#[derive(Debug, Clone)]
pub struct CatalogWriter {
    metastore: Arc<Metastore>,
    block: Option<Arc<Block>>,
}

impl CatalogWriter {
    /// Edits are durable and visible when `write` comes back, or when `block` commits.
    pub fn new(metastore: Arc<Metastore>, block: Option<Arc<Block>>) -> Self {
        Self { metastore, block }
    }

    /// The metastore itself: for what a rollback need not undo, such as ids that are given out.
    pub(super) fn metastore(&self) -> &Arc<Metastore> {
        &self.metastore
    }

    fn outside(&self) -> Self {
        Self { metastore: Arc::clone(&self.metastore), block: None }
    }

    pub(super) fn block(&self) -> Option<&Arc<Block>> {
        self.block.as_ref()
    }

    /// Runs `change` on the newest state; all of its edits or none.
    ///
    /// # Errors
    /// What `change` returns; outside of a block those of [`Metastore::write`].
    pub(super) async fn write<T: Send>(&self, change: impl FnOnce(&mut Change) -> Result<T> + Send) -> Result<T> {
        match &self.block {
            Some(block) => block.edit(change),
            None => self.metastore.write(change).await,
        }
    }
}

/// A table whose files are there and whose catalog entry is not durable yet.
#[derive(Debug, Clone)]
pub struct MadeTable {
    pub(super) id: ObjectId,
    pub(super) columns: Vec<ColumnEntry>,
    pub(super) entry: NewTable,
    /// Rows of CREATE TABLE AS.
    pub(super) rows: Option<u64>,
}

/// One statement of a block that has changed something.
#[derive(Debug)]
enum Step {
    /// It edited the catalog.
    Edit { command: Box<Command>, context: Box<CommandContext> },
    /// It wrote rows.
    Append {
        rows: Box<Staged>,
        /// To a temporary table.
        temporary: bool,
    },
}

/// The effects of one transaction block.
#[derive(Debug)]
pub struct Block {
    metastore: Arc<Metastore>,
    lake: Arc<Lake>,
    tasks: TaskTracker,
    /// Versions that the block reads.
    pins: Arc<Pins>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    draft: Option<Draft>,
    steps: Vec<Step>,
    /// What was last worked out to govern the block's reads.
    in_force: Option<InForce>,
}

/// A state that governs reads, and what it was made from.
#[derive(Debug)]
struct InForce {
    committed: Arc<CatalogSnapshot>,
    draft: Arc<CatalogSnapshot>,
    filled: BTreeSet<ObjectId>,
    snapshot: Arc<CatalogSnapshot>,
}

/// The catalog as the block sees it.
#[derive(Debug, Clone)]
struct Draft {
    /// The state that it was made on.
    base: Arc<CatalogSnapshot>,
    change: Change,
    snapshot: Arc<CatalogSnapshot>,
    /// Managed tables that were dropped, whose files go after the commit.
    dropped: Vec<ObjectId>,
}

impl Draft {
    fn on(base: Arc<CatalogSnapshot>) -> Self {
        let change = Change::on(&base);
        Self { base, snapshot: Arc::new(change.snapshot().clone()), change, dropped: Vec::new() }
    }
}

/// What a command may do in a transaction block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InBlock {
    /// It tells, or changes the session only.
    Reads,
    /// It edits the catalog.
    Edits,
    /// It appends rows to a table.
    Appends,
    /// Nothing: it tells what it could not tell again if it had to run anew.
    Refused,
}

/// What a command may do in a block: whoever adds one decides it here.
fn in_block(command: &Command) -> InBlock {
    match command {
        Command::ShowGrants { .. }
        | Command::ShowTokens { .. }
        | Command::ShowCatalogs { .. }
        | Command::ShowSchemas { .. }
        | Command::ShowTables { .. }
        | Command::ShowViews { .. }
        | Command::ShowColumns { .. }
        | Command::DescribeTable { .. }
        | Command::Lock { .. }
        | Command::DescribeHistory { .. } => InBlock::Reads,
        Command::Insert { .. } | Command::CopyIn(_) => InBlock::Appends,
        // The list of temporary tables has its own way back.
        Command::CreateTable(create) if create.temporary.is_some() => InBlock::Reads,
        Command::CreateCatalog { .. }
        | Command::CreateSchema { .. }
        | Command::Drop { .. }
        | Command::CreateTable(_)
        | Command::CreateView { .. }
        | Command::CreateFunction { .. }
        | Command::CreatePrincipal { .. }
        | Command::AlterPrincipal { .. }
        | Command::AlterSettings { .. }
        | Command::RenamePrincipal { .. }
        | Command::DropPrincipal { .. }
        | Command::DropToken { .. }
        | Command::AddMember { .. }
        | Command::RemoveMember { .. }
        | Command::CreateStorageCredential { .. }
        | Command::CreateExternalLocation { .. }
        | Command::Grant { .. }
        | Command::Revoke { .. }
        | Command::SetOwner { .. }
        | Command::SetRowFilter { .. }
        | Command::DropRowFilter { .. }
        | Command::SetMask { .. }
        | Command::DropMask { .. }
        | Command::Rename { .. }
        | Command::Comment { .. } => InBlock::Edits,
        Command::CreateToken { .. } => InBlock::Refused,
    }
}

impl Block {
    /// A block without effects, whose statements read the versions in `pins`.
    pub fn new(metastore: Arc<Metastore>, lake: Arc<Lake>, tasks: TaskTracker, pins: Arc<Pins>) -> Arc<Self> {
        Arc::new(Self { metastore, lake, tasks, pins, state: Mutex::default() })
    }

    /// The catalog as statements of the block see it; `None` as long as it is everybody's.
    pub fn catalog(&self) -> Option<Arc<CatalogSnapshot>> {
        self.state.lock().draft.as_ref().map(|draft| Arc::clone(&draft.snapshot))
    }

    /// The catalog that governs what `reader`, the block's own principal, reads: privileges, memberships, owners and policies are the
    /// committed ones, and the block may have narrowed them. `None` as long as that is everybody's.
    pub fn in_force(&self, reader: ObjectId) -> Option<Arc<CatalogSnapshot>> {
        let mut state = self.state.lock();
        let filled: BTreeSet<ObjectId> = state.foreign_append().into_iter().collect();
        if state.draft.is_none() && filled.is_empty() {
            return None;
        }
        let (committed, draft) = match &state.draft {
            Some(draft) => (Arc::clone(&draft.base), Arc::clone(&draft.snapshot)),
            None => {
                let newest = self.metastore.snapshot();
                (Arc::clone(&newest), newest)
            }
        };
        if let Some(known) = state.in_force.as_ref()
            && Arc::ptr_eq(&known.committed, &committed)
            && (state.draft.is_none() || Arc::ptr_eq(&known.draft, &draft))
            && known.filled == filled
        {
            return Some(Arc::clone(&known.snapshot));
        }
        let merged = draft.in_force(&committed, &filled, reader);
        // Rows alone change nothing but what reads them.
        let snapshot = if state.draft.is_some() || merged.has_unsettled() { Arc::new(merged) } else { Arc::clone(&committed) };
        state.in_force = Some(InForce { committed, draft, filled, snapshot: Arc::clone(&snapshot) });
        Some(snapshot)
    }

    /// Number of statements that have changed something: what [`Block::rollback_to`] goes back to.
    pub fn steps(&self) -> usize {
        self.state.lock().steps.len()
    }

    /// Brings the draft onto the newest state of the catalog.
    ///
    /// # Errors
    /// [`ErrorKind::SerializationFailure`] if a statement of the block could not run on it any more.
    pub async fn refresh(self: &Arc<Self>) -> Result<()> {
        let newest = self.metastore.snapshot();
        let stale = self.state.lock().draft.as_ref().is_some_and(|draft| !draft.change.is_on(&newest));
        if stale { self.rebuild(&newest).await } else { Ok(()) }
    }

    /// Runs a command of the block.
    pub(super) async fn run(self: &Arc<Self>, command: &Command, context: &CommandContext) -> Result<CommandOutcome> {
        match in_block(command) {
            InBlock::Reads => super::perform(command, context).await,
            InBlock::Refused => {
                let tag = tag::effect(command).unwrap_or("this statement");
                Err(Error::unsupported(format!("{tag} inside a transaction block"))
                    .with_hint("Run it outside of BEGIN .. COMMIT; in a driver, turn autocommit on."))
            }
            InBlock::Appends => {
                self.check_room()?;
                super::perform(command, context).await
            }
            InBlock::Edits => {
                self.check_room()?;
                self.check_edit(command)?;
                let before = self.catalog();
                let outcome = super::perform(command, context).await?;
                let mut state = self.state.lock();
                let after = state.draft.as_ref().map(|draft| &draft.snapshot);
                let unchanged = match (&before, after) {
                    (Some(before), Some(after)) => Arc::ptr_eq(before, after),
                    (None, None) => true,
                    _ => false,
                };
                if !unchanged {
                    // Kept without the block, which keeps it.
                    let context = CommandContext { metastore: context.metastore.outside(), ..context.clone() };
                    state.steps.push(Step::Edit { command: Box::new(command.clone()), context: Box::new(context) });
                }
                Ok(outcome)
            }
        }
    }

    fn edit<T>(&self, change: impl FnOnce(&mut Change) -> Result<T>) -> Result<T> {
        let mut state = self.state.lock();
        let mut draft = state.draft.clone().unwrap_or_else(|| Draft::on(self.metastore.snapshot()));
        let value = change(&mut draft.change)?;
        if !draft.change.is_empty() {
            draft.snapshot = Arc::new(draft.change.snapshot().clone());
            state.draft = Some(draft);
        }
        Ok(value)
    }

    /// The files of managed tables go once their drop is durable.
    pub(super) fn remove_after_commit(&self, tables: Vec<ObjectId>) {
        if let Some(draft) = &mut self.state.lock().draft {
            draft.dropped.extend(tables);
        }
    }

    fn check_room(&self) -> Result<()> {
        if self.steps() < MAXIMUM_STEPS {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::ProgramLimit,
            format!("a transaction has more than {MAXIMUM_STEPS} statements that change something"),
        )
        .with_hint("COMMIT more often."))
    }

    fn check_edit(&self, command: &Command) -> Result<()> {
        match self.state.lock().foreign_append() {
            None => Ok(()),
            Some(_) => Err(mixed(tag::effect(command).unwrap_or("this statement"))),
        }
    }

    /// Refuses rows for `table` before anything is read or written for them.
    pub(super) fn check_append(&self, table: ObjectId) -> Result<()> {
        let state = self.state.lock();
        if state.made().any(|made| made.id == table) {
            return Ok(());
        }
        if state.steps.iter().any(|step| matches!(step, Step::Edit { .. })) {
            return Err(mixed("INSERT"));
        }
        match state.foreign_append() {
            Some(other) if other != table => Err(Error::unsupported("writing to two tables in one transaction")
                .with_detail("Each table has a log of its own, and no commit spans two of them.")
                .with_hint("COMMIT between the statements.")),
            _ => Ok(()),
        }
    }

    /// Takes in rows that a statement has written, and lets the statements after it see them.
    pub(super) fn stage(&self, rows: Staged, temporary: bool) -> Result<()> {
        let mut state = self.state.lock();
        let table = rows.table();
        state.steps.push(Step::Append { rows: Box::new(rows), temporary });
        let overlay = state.overlay(table)?;
        drop(state);
        if let Some(overlay) = overlay {
            self.pins.advance(table, overlay);
        }
        Ok(())
    }

    /// Takes back all statements after the first `steps`.
    ///
    /// # Errors
    /// As [`Block::refresh`].
    pub async fn rollback_to(self: &Arc<Self>, steps: usize) -> Result<()> {
        let undone = {
            let mut state = self.state.lock();
            let kept = steps.min(state.steps.len());
            state.steps.split_off(kept)
        };
        for step in undone.iter().rev() {
            let Step::Append { rows, .. } = step else { continue };
            let left = self.state.lock().overlay(rows.table())?;
            self.pins.advance(rows.table(), left.unwrap_or_else(|| Arc::clone(rows.base())));
        }
        self.remove_made(&undone);
        let edited = self.state.lock().draft.is_some();
        // What failed half-way is undone as well.
        if edited { self.rebuild(&self.metastore.snapshot()).await } else { Ok(()) }
    }

    /// Makes everything durable.
    ///
    /// # Errors
    /// [`ErrorKind::SerializationFailure`] if others were faster. Nothing of the block is durable then.
    pub async fn commit(self: &Arc<Self>) -> Result<()> {
        self.commit_appends(false).await?;
        for _ in 0..TRIES {
            self.refresh().await?;
            let Some(draft) = self.state.lock().draft.clone() else { return self.commit_appends(true).await };
            if self.metastore.commit(draft.change).await? {
                // From here on the tables that the block has made are no orphans.
                self.state.lock().forget_edits();
                table::remove_later(draft.dropped, &self.metastore, &self.lake, &self.tasks);
                return self.commit_appends(true).await;
            }
        }
        Err(Error::new(ErrorKind::SerializationFailure, "could not serialize access due to concurrent changes of the catalog")
            .with_hint("Run the transaction again."))
    }

    /// Rows of tables that the block has made go first: nobody can see those tables yet. At most one other table has rows, and then there
    /// is nothing else. Temporary tables come last: they are the session's own, and must not have what did not happen.
    async fn commit_appends(&self, temporary: bool) -> Result<()> {
        loop {
            let staged = self.state.lock().take_appends(temporary);
            if staged.is_empty() {
                return Ok(());
            }
            self.lake.commit(staged).await?;
        }
    }

    /// Runs the edits of the block again, on `snapshot`.
    async fn rebuild(self: &Arc<Self>, snapshot: &Arc<CatalogSnapshot>) -> Result<()> {
        let (stale, edits): (Option<Draft>, Vec<(Command, CommandContext)>) = {
            let mut state = self.state.lock();
            let stale = state.draft.take();
            let edits = state.steps.iter().filter_map(|step| match step {
                Step::Edit { command, context } => Some((Command::clone(command), CommandContext::clone(context))),
                Step::Append { .. } => None,
            });
            (stale, edits.collect())
        };
        for (command, context) in edits {
            let catalog = self.catalog().unwrap_or_else(|| Arc::clone(snapshot));
            let metastore = CatalogWriter::new(Arc::clone(&self.metastore), Some(Arc::clone(self)));
            let context = CommandContext { scope: context.scope.on(catalog), metastore, ..context };
            if let Err(error) = Box::pin(super::perform(&command, &context)).await {
                // The block keeps its state, which can only be rolled back.
                self.state.lock().draft = stale;
                let message = "could not serialize access due to concurrent changes of the catalog";
                return Err(Error::new(ErrorKind::SerializationFailure, message)
                    .with_detail(format!("{}: {}", tag::effect(&command).unwrap_or("A statement"), error.message()))
                    .with_hint("Run the transaction again."));
            }
        }
        Ok(())
    }

    /// Removes the files of tables that were made by `steps`.
    fn remove_made(&self, steps: &[Step]) {
        let managed = steps.iter().filter_map(Step::made).filter(|made| made.entry.managed);
        table::remove_later(managed.map(|made| made.id).collect(), &self.metastore, &self.lake, &self.tasks);
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        let steps = std::mem::take(&mut self.state.get_mut().steps);
        self.remove_made(&steps);
    }
}

impl Step {
    fn made(&self) -> Option<&MadeTable> {
        match self {
            Step::Edit { context, .. } => context.made.get(),
            Step::Append { .. } => None,
        }
    }
}

impl State {
    fn made(&self) -> impl Iterator<Item = &MadeTable> {
        self.steps.iter().filter_map(Step::made)
    }

    fn appends(&self) -> impl Iterator<Item = (&Staged, bool)> {
        self.steps.iter().filter_map(|step| match step {
            Step::Append { rows, temporary } => Some((rows.as_ref(), *temporary)),
            Step::Edit { .. } => None,
        })
    }

    fn forget_edits(&mut self) {
        self.draft = None;
        self.steps.retain(|step| matches!(step, Step::Append { .. }));
    }

    /// A table with rows of this block that others can see, too.
    fn foreign_append(&self) -> Option<ObjectId> {
        let mut durable = self.appends().filter(|(_, temporary)| !temporary).map(|(rows, _)| rows.table());
        durable.find(|table| !self.made().any(|made| made.id == *table))
    }

    /// The pinned version of a table with the block's own rows.
    fn overlay(&self, table: ObjectId) -> Result<Option<Arc<TableSnapshot>>> {
        let own = || self.appends().map(|(rows, _)| rows).filter(|rows| rows.table() == table);
        let Some(first) = own().next() else { return Ok(None) };
        Staged::overlay(first.base(), own()).map(Some)
    }

    /// All rows of one table.
    fn take_appends(&mut self, temporary: bool) -> Vec<Staged> {
        let first = self.appends().find(|(_, other)| *other == temporary).map(|(rows, _)| rows.table());
        let Some(table) = first else { return Vec::new() };
        let is_own = |step: &mut Step| matches!(step, Step::Append { rows, .. } if rows.table() == table);
        let taken: Vec<Step> = self.steps.extract_if(.., is_own).collect();
        taken
            .into_iter()
            .filter_map(|step| match step {
                Step::Append { rows, .. } => Some(*rows),
                Step::Edit { .. } => None,
            })
            .collect()
    }
}

fn mixed(tag: &str) -> Error {
    Error::unsupported(format!("{tag} together with the statements before it in one transaction"))
        .with_detail("Rows of a table and the catalog's entries are committed in two places, and no commit spans both.")
        .with_hint("COMMIT between the statements.")
}
