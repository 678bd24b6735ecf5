//! Transaction state of one session.
//!
//! ```text
//!            BEGIN                    error
//!   Idle ──────────▶ InBlock ──────────────────▶ Failed
//!    ▲                  │ COMMIT, ROLLBACK          │ COMMIT (answers ROLLBACK), ROLLBACK
//!    └──────────────────┴──────────────────────────┘            ROLLBACK TO: back to InBlock
//! ```
//! A block reads: the version of every table is pinned when the block first touches it, so that reads repeat across statements and
//! tables. Grants and policies are never pinned. Statements with an effect commit by themselves and are refused inside BEGIN .. COMMIT,
//! where ROLLBACK could not take them back.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::error::{Error, ErrorKind, Result};
use crate::session::outcome::TransactionStatus;
use crate::session::settings::Settings;
use crate::sql::Pins;

/// A transaction, or none.
#[derive(Debug)]
pub(super) struct Transaction {
    status: TransactionStatus,
    started: DateTime<Utc>,
    read_only: bool,
    pins: Option<Arc<Pins>>,
    savepoints: Vec<Savepoint>,
    /// Several statements of one text share an implicit transaction.
    implicit: Option<DateTime<Utc>>,
}

#[derive(Debug)]
struct Savepoint {
    name: String,
    settings_depth: usize,
}

impl Transaction {
    pub(super) fn new() -> Self {
        Self {
            status: TransactionStatus::Idle,
            started: Utc::now(),
            read_only: false,
            pins: None,
            savepoints: Vec::new(),
            implicit: None,
        }
    }

    pub(super) fn status(&self) -> TransactionStatus {
        self.status
    }

    pub(super) fn in_block(&self) -> bool {
        self.status != TransactionStatus::Idle
    }

    /// In a block, or among several statements that share an implicit transaction.
    pub(super) fn in_transaction(&self) -> bool {
        self.in_block() || self.implicit.is_some()
    }

    /// When the transaction began: `now()` of all its statements.
    pub(super) fn started(&self) -> DateTime<Utc> {
        if self.in_block() { self.started } else { self.implicit.unwrap_or_else(Utc::now) }
    }

    /// Statements that follow share `now()`; one that has an effect still commits by itself.
    pub(super) fn begin_implicit(&mut self, several: bool) {
        if !self.in_block() && several && self.implicit.is_none() {
            self.implicit = Some(Utc::now());
        }
    }

    pub(super) fn end_implicit(&mut self) {
        self.implicit = None;
    }

    /// Versions that statements of the block must read.
    pub(super) fn pins(&self) -> Option<Arc<Pins>> {
        self.pins.clone()
    }

    /// BEGIN. False if there was a block already, which PostgreSQL warns of.
    pub(super) fn begin(&mut self, read_only: bool, settings: &mut Settings) -> bool {
        if self.in_block() {
            return false;
        }
        settings.save();
        *self = Self { status: TransactionStatus::InBlock, read_only, pins: Some(Arc::default()), ..Self::new() };
        true
    }

    /// COMMIT or ROLLBACK: the tag's word, or `None` if there was no block.
    pub(super) fn end(&mut self, commit: bool, settings: &mut Settings) -> Option<&'static str> {
        if !self.in_block() {
            return None;
        }
        let committed = commit && self.status == TransactionStatus::InBlock;
        settings.end_transaction(committed);
        *self = Self::new();
        Some(if committed { "COMMIT" } else { "ROLLBACK" })
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

    /// Refuses a statement with an effect inside a block.
    pub(super) fn check_effect_allowed(&self, tag: &str) -> Result<()> {
        if self.read_only {
            let message = format!("cannot execute {tag} in a read-only transaction");
            return Err(Error::new(ErrorKind::ReadOnlyTransaction, message));
        }
        if self.in_block() {
            return Err(Error::unsupported(format!("{tag} inside a transaction block"))
                .with_detail("It would commit at once, and ROLLBACK could not take it back.")
                .with_hint("Run it outside of BEGIN .. COMMIT; in a driver, turn autocommit on."));
        }
        Ok(())
    }

    pub(super) fn savepoint(&mut self, name: String, settings: &mut Settings) -> Result<()> {
        self.check_block("SAVEPOINT")?;
        self.savepoints.push(Savepoint { name, settings_depth: settings.save() });
        Ok(())
    }

    pub(super) fn release(&mut self, name: &str, settings: &mut Settings) -> Result<()> {
        self.check_block("RELEASE SAVEPOINT")?;
        let index = self.find(name)?;
        settings.release(self.savepoints[index].settings_depth);
        self.savepoints.truncate(index);
        Ok(())
    }

    pub(super) fn rollback_to(&mut self, name: &str, settings: &mut Settings) -> Result<()> {
        self.check_block("ROLLBACK TO SAVEPOINT")?;
        let index = self.find(name)?;
        settings.restore(self.savepoints[index].settings_depth);
        self.savepoints.truncate(index + 1);
        self.status = TransactionStatus::InBlock;
        Ok(())
    }

    fn check_block(&self, what: &str) -> Result<()> {
        if self.in_block() {
            return Ok(());
        }
        Err(Error::new(ErrorKind::NoActiveTransaction, format!("{what} can only be used in transaction blocks")))
    }

    fn find(&self, name: &str) -> Result<usize> {
        self.savepoints
            .iter()
            .rposition(|savepoint| savepoint.name == name)
            .ok_or_else(|| Error::new(ErrorKind::UndefinedSavepoint, format!("savepoint \"{name}\" does not exist")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings::new("ada", false)
    }

    #[test]
    fn a_failed_block_answers_rollback_to_commit() {
        let (mut transaction, mut settings) = (Transaction::new(), settings());
        assert!(transaction.begin(false, &mut settings));
        assert!(!transaction.begin(false, &mut settings));
        transaction.fail();
        assert_eq!(transaction.check_alive().unwrap_err().kind(), ErrorKind::InFailedTransaction);
        assert_eq!(transaction.end(true, &mut settings), Some("ROLLBACK"));
        assert_eq!(transaction.end(true, &mut settings), None);
    }

    #[test]
    fn rollback_to_a_savepoint_heals_and_restores_settings() {
        let (mut transaction, mut settings) = (Transaction::new(), settings());
        assert_eq!(transaction.savepoint("s".into(), &mut settings).unwrap_err().kind(), ErrorKind::NoActiveTransaction);
        transaction.begin(false, &mut settings);
        transaction.savepoint("s".into(), &mut settings).unwrap();
        settings.set("timezone", &["Asia/Tokyo".into()], false).unwrap();
        transaction.fail();
        transaction.rollback_to("s", &mut settings).unwrap();
        assert_eq!(transaction.status(), TransactionStatus::InBlock);
        assert_eq!(settings.show("timezone").unwrap(), "UTC");
        assert_eq!(transaction.release("other", &mut settings).unwrap_err().kind(), ErrorKind::UndefinedSavepoint);
    }

    #[test]
    fn effects_are_refused_where_they_could_not_be_taken_back() {
        let (mut transaction, mut settings) = (Transaction::new(), settings());
        assert!(transaction.check_effect_allowed("INSERT").is_ok());
        transaction.begin(true, &mut settings);
        assert_eq!(transaction.check_effect_allowed("INSERT").unwrap_err().kind(), ErrorKind::ReadOnlyTransaction);
        transaction.end(false, &mut settings);
        transaction.begin(false, &mut settings);
        assert_eq!(transaction.check_effect_allowed("INSERT").unwrap_err().kind(), ErrorKind::Unsupported);
    }
}
