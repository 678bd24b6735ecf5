//! Transaction state of one session.
//!
//! ```text
//!            BEGIN                    error
//!   Idle ──────────▶ InBlock ──────────────────▶ Failed
//!    ▲                  │ COMMIT, ROLLBACK          │ COMMIT (answers ROLLBACK), ROLLBACK
//!    └──────────────────┴──────────────────────────┘            ROLLBACK TO: back to InBlock
//! ```
//! Several statements of one text share an implicit transaction, which is a block that no statement has to open or to end.
//!
//! The version of every table is pinned when a block first touches it, so that reads repeat across statements and tables. Grants and
//! policies are never pinned. What the block changes is kept in its [`Block`] until COMMIT; a statement outside of any block commits by
//! itself. Isolation is always that of a snapshot, whatever level was asked for.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::Session;
use super::outcome::{Notice, Outcome, TransactionStatus};
use super::settings::Settings;
use crate::command::{Block, TableList};
use crate::error::{Error, ErrorKind, Result};
use crate::sql::Pins;
use crate::sql::statement::{TransactionModes, TransactionStatement};

/// A transaction, or none.
#[derive(Debug)]
pub(super) struct Transaction {
    status: TransactionStatus,
    /// `None` between transactions; a statement by itself is none.
    open: Option<Open>,
}

/// What an explicit or implicit block holds.
#[derive(Debug)]
struct Open {
    started: DateTime<Utc>,
    /// The same moment on the clock that goes on steadily.
    opened: Instant,
    pins: Arc<Pins>,
    effects: Arc<Block>,
    savepoints: Vec<Savepoint>,
    /// Temporary tables at its start.
    temporary: TableList,
    /// A statement has read or changed something: its modes are fixed.
    queried: bool,
}

#[derive(Debug)]
struct Savepoint {
    name: String,
    settings_depth: usize,
    steps: usize,
    /// Pending notifications.
    said: usize,
    /// Portals made before it.
    portals: u64,
    temporary: TableList,
    /// Bytes that it and those before it take.
    bytes: usize,
}

/// Bytes that the savepoints of a transaction may take: a quarter of a million, where nothing else has changed.
const MAXIMUM_SAVEPOINTS: usize = 64 << 20;

impl Transaction {
    pub(super) fn new() -> Self {
        Self { status: TransactionStatus::Idle, open: None }
    }

    pub(super) fn status(&self) -> TransactionStatus {
        self.status
    }

    pub(super) fn in_block(&self) -> bool {
        self.status != TransactionStatus::Idle
    }

    /// In a block, or among several statements that share an implicit transaction.
    pub(super) fn in_transaction(&self) -> bool {
        self.open.is_some()
    }

    /// When the transaction began: `now()` of all its statements.
    pub(super) fn started(&self) -> DateTime<Utc> {
        self.open.as_ref().map_or_else(Utc::now, |open| open.started)
    }

    /// When the block began, for its time limit.
    pub(super) fn opened(&self) -> Option<Instant> {
        self.open.as_ref().map(|open| open.opened)
    }

    /// Versions that statements of the block must read.
    pub(super) fn pins(&self) -> Option<Arc<Pins>> {
        self.open.as_ref().map(|open| Arc::clone(&open.pins))
    }

    /// Where statements of the block put their effects.
    pub(super) fn effects(&self) -> Option<&Arc<Block>> {
        self.open.as_ref().map(|open| &open.effects)
    }

    /// A statement reads or changes something.
    pub(super) fn note_query(&mut self) {
        if let Some(open) = &mut self.open {
            open.queried = true;
        }
    }

    pub(super) fn has_queried(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.queried)
    }

    /// After an error: a block fails until it is rolled back.
    pub(super) fn fail(&mut self) {
        if self.in_block() {
            self.status = TransactionStatus::Failed;
        }
    }

    /// Refuses everything but the end of a failed block.
    pub(super) fn check_alive(&self) -> Result<()> {
        if self.status != TransactionStatus::Failed {
            return Ok(());
        }
        let message = "current transaction is aborted, commands ignored until end of transaction block";
        Err(Error::new(ErrorKind::InFailedTransaction, message))
    }

    fn open(&mut self, pins: Arc<Pins>, effects: Arc<Block>, temporary: TableList, settings: &mut Settings) {
        if self.open.is_none() {
            settings.save();
            let (started, opened) = (Utc::now(), Instant::now());
            self.open = Some(Open { started, opened, pins, effects, savepoints: Vec::new(), temporary, queried: false });
        }
    }

    /// Portals that were made before the last savepoint.
    pub(super) fn portals_before(&self) -> u64 {
        self.open.as_ref().and_then(|open| open.savepoints.last()).map_or(0, |savepoint| savepoint.portals)
    }

    fn savepoint(
        &mut self,
        name: String,
        settings: &mut Settings,
        (said, portals): (usize, u64),
        temporary: TableList,
    ) -> Result<()> {
        let open = self.block("SAVEPOINT")?;
        let own = 256 + name.len() + settings.size() + temporary.size();
        let bytes = own + open.savepoints.last().map_or(0, |last| last.bytes);
        if bytes > MAXIMUM_SAVEPOINTS {
            return Err(Error::new(ErrorKind::ProgramLimit, "too many savepoints in the transaction")
                .with_hint("RELEASE those that are no longer needed."));
        }
        let (settings_depth, steps) = (settings.save(), open.effects.steps());
        open.savepoints.push(Savepoint { name, settings_depth, steps, said, portals, temporary, bytes });
        Ok(())
    }

    fn release(&mut self, name: &str, settings: &mut Settings) -> Result<()> {
        let open = self.block("RELEASE SAVEPOINT")?;
        let index = open.find(name)?;
        settings.release(open.savepoints[index].settings_depth);
        open.savepoints.truncate(index);
        Ok(())
    }

    /// Goes back to a savepoint; what the block has changed and said since is still to be undone, to what comes back.
    fn rollback_to(&mut self, name: &str, settings: &mut Settings) -> Result<(usize, usize, u64, TableList)> {
        let open = self.block("ROLLBACK TO SAVEPOINT")?;
        let index = open.find(name)?;
        settings.restore(open.savepoints[index].settings_depth);
        open.savepoints.truncate(index + 1);
        let Savepoint { steps, said, portals, temporary, .. } = &open.savepoints[index];
        let undone_to = (*steps, *said, *portals, temporary.clone());
        self.status = TransactionStatus::InBlock;
        Ok(undone_to)
    }

    fn block(&mut self, what: &str) -> Result<&mut Open> {
        let in_block = self.in_block();
        self.open
            .as_mut()
            .filter(|_| in_block)
            .ok_or_else(|| Error::new(ErrorKind::NoActiveTransaction, format!("{what} can only be used in transaction blocks")))
    }
}

impl Open {
    fn find(&self, name: &str) -> Result<usize> {
        self.savepoints
            .iter()
            .rposition(|savepoint| savepoint.name == name)
            .ok_or_else(|| Error::new(ErrorKind::UndefinedSavepoint, format!("savepoint \"{name}\" does not exist")))
    }
}

impl Session {
    pub(super) async fn control_transaction(&mut self, statement: &TransactionStatement) -> Result<Outcome> {
        match statement {
            TransactionStatement::Begin { tag, modes } => self.begin(tag, modes),
            TransactionStatement::Commit { chain } => self.end_block(true, *chain).await,
            TransactionStatement::Rollback { chain } => self.end_block(false, *chain).await,
            TransactionStatement::Savepoint(name) => {
                let said = self.mailbox.lock().steps();
                let known = (said, self.portals.made());
                self.transaction.savepoint(name.clone(), &mut self.settings, known, self.temporary.list())?;
                Ok(Outcome::done("SAVEPOINT"))
            }
            TransactionStatement::Release(name) => {
                self.transaction.release(name, &mut self.settings)?;
                Ok(Outcome::done("RELEASE"))
            }
            TransactionStatement::RollbackTo(name) => {
                let (steps, said, portals, temporary) = self.transaction.rollback_to(name, &mut self.settings)?;
                self.portals.rollback_to(portals);
                self.temporary.restore(temporary);
                self.mailbox.lock().rollback_to(said);
                if let Some(effects) = self.transaction.effects() {
                    Arc::clone(effects).rollback_to(steps).await?;
                }
                Ok(Outcome::done("ROLLBACK"))
            }
        }
    }

    fn begin(&mut self, tag: &'static str, modes: &TransactionModes) -> Result<Outcome> {
        if self.transaction.in_block() {
            self.notices.push(Notice::warning("25001", "there is already a transaction in progress"));
        } else {
            self.open_transaction();
            self.transaction.status = TransactionStatus::InBlock;
        }
        self.set_modes(modes)?;
        Ok(Outcome::done(tag))
    }

    fn open_transaction(&mut self) {
        let services = &self.services;
        let pins: Arc<Pins> = Arc::default();
        let effects =
            Block::new(Arc::clone(&services.metastore), Arc::clone(&services.lake), services.tracker.clone(), Arc::clone(&pins));
        let temporary = self.before.clone().unwrap_or_else(|| self.temporary.list());
        self.transaction.open(pins, effects, temporary, &mut self.settings);
    }

    fn set_modes(&mut self, modes: &TransactionModes) -> Result<()> {
        let word = |on: bool| if on { "on" } else { "off" };
        let TransactionModes { read_only, isolation, deferrable } = modes;
        let settings = [
            ("transaction_isolation", *isolation),
            ("transaction_read_only", read_only.map(word)),
            ("transaction_deferrable", deferrable.map(word)),
        ];
        for (name, value) in settings {
            if let Some(value) = value {
                self.settings.set(name, &[value.to_string()], true)?;
            }
        }
        Ok(())
    }

    /// Opens an implicit transaction for `several` statements that share it, if no transaction is open. The first of a pipeline does not
    /// know that others follow: it has none, but a temporary table that it makes goes when they fail.
    pub fn begin_implicit(&mut self, several: bool) {
        if self.before.is_none() && !self.transaction.in_transaction() {
            self.before = Some(self.temporary.list());
        }
        if several {
            self.open_transaction();
        }
    }

    /// Ends the implicit transaction, if that is what is open, and drops its portals. The client has all that it asked for: from now
    /// on the session waits.
    ///
    /// # Errors
    /// As COMMIT; nothing of the transaction is left then.
    pub async fn end_implicit(&mut self, committed: bool) -> Result<()> {
        let ended = if self.transaction.in_block() { Ok(()) } else { self.end_transaction(committed).await };
        let state = self.idle_state();
        self.registration.update(|activity| activity.state = state);
        ended
    }

    /// COMMIT and ROLLBACK.
    async fn end_block(&mut self, commit: bool, chain: bool) -> Result<Outcome> {
        let status = self.transaction.status;
        let word = |commit: bool| if commit { "COMMIT" } else { "ROLLBACK" };
        if status == TransactionStatus::Idle {
            if chain {
                let message = format!("{} AND CHAIN can only be used in transaction blocks", word(commit));
                return Err(Error::new(ErrorKind::NoActiveTransaction, message));
            }
            self.notices.push(Notice::warning("25P01", "there is no transaction in progress"));
            self.end_transaction(commit).await?;
            return Ok(Outcome::done(word(commit)));
        }
        let modes = self.modes();
        let commit = commit && status == TransactionStatus::InBlock;
        self.end_transaction(commit).await?;
        if chain {
            self.begin("BEGIN", &modes)?;
        }
        Ok(Outcome::done(word(commit)))
    }

    /// The modes of the open transaction, for the one that is chained to it.
    fn modes(&self) -> TransactionModes {
        let is_on = |name: &str| self.settings.get(name).map(|value| value == "on");
        let isolation = self.settings.get("transaction_isolation").and_then(super::settings::isolation_level);
        TransactionModes { read_only: is_on("transaction_read_only"), isolation, deferrable: is_on("transaction_deferrable") }
    }

    /// Ends whatever transaction is open. After an error it is over as well, and nothing of it is left.
    async fn end_transaction(&mut self, commit: bool) -> Result<()> {
        if commit {
            self.take_deferred()
        } else {
            self.forget_deferred()
        }
        let Transaction { open, .. } = std::mem::replace(&mut self.transaction, Transaction::new());
        let ended = match &open {
            _ if !commit => Ok(()),
            _ => self.commit(open.as_ref()).await,
        };
        let committed = commit && ended.is_ok();
        let before = self.before.take();
        if let (false, Some(list)) = (committed, open.as_ref().map(|open| open.temporary.clone()).or(before)) {
            self.temporary.restore(list);
        }
        let ended = ended.and(self.temporary.end_transaction(committed).await);
        if open.is_some() {
            self.settings.end_transaction(committed);
        }
        self.portals.end_transaction(committed);
        if committed {
            self.services.sessions.end_without_login(&self.services.metastore.snapshot());
            self.mailbox.lock().commit();
        } else {
            self.mailbox.lock().rollback_to(0);
        }
        self.services.locks.release_transaction(self.pid);
        ended
    }

    async fn commit(&mut self, open: Option<&Open>) -> Result<()> {
        self.mailbox.lock().check_room()?;
        let engine = &self.services.engine;
        self.portals.keep_held(|| engine.spool()).await?;
        match open {
            Some(open) => open.effects.commit().await,
            None => Ok(()),
        }
    }

    /// Refuses a statement with an effect where nothing may be changed.
    pub(super) fn check_writable(&self, tag: &str) -> Result<()> {
        if self.settings.get("transaction_read_only") != Some("on") {
            return Ok(());
        }
        let message = format!("cannot execute {tag} in a read-only transaction");
        Err(Error::new(ErrorKind::ReadOnlyTransaction, message))
    }

    /// Checks what a mode may still become, before SET changes it.
    pub(super) fn check_mode(&self, name: &str, values: &[String]) -> Result<()> {
        let message = match (name, values) {
            ("transaction_isolation", _) => "SET TRANSACTION ISOLATION LEVEL must be called before any query",
            ("transaction_deferrable", _) => "SET TRANSACTION [NOT] DEFERRABLE must be called before any query",
            ("transaction_read_only", [value]) if value == "off" && self.settings.get(name) == Some("on") => {
                "transaction read-write mode must be set before any query"
            }
            _ => return Ok(()),
        };
        if self.transaction.has_queried() { Err(Error::new(ErrorKind::ActiveTransaction, message)) } else { Ok(()) }
    }
}
