//! What functions may do to the session that runs them, and to others: `set_config`, `pg_notify`, advisory locks, signals.
//!
//! Functions know no session. Whoever runs a statement hands one in as [`SessionControl`]; where there is none (a definition that is only
//! bound, a test), such a function is refused.

use std::fmt;

use async_trait::async_trait;

use crate::catalog::securable::ObjectId;
use crate::error::{Error, ErrorKind, Result};

/// Modes of locks, from the weakest, with PostgreSQL's conflicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LockMode {
    /// ACCESS SHARE
    AccessShare,
    /// ROW SHARE
    RowShare,
    /// ROW EXCLUSIVE
    RowExclusive,
    /// SHARE UPDATE EXCLUSIVE
    ShareUpdateExclusive,
    /// SHARE, and a shared advisory lock
    Share,
    /// SHARE ROW EXCLUSIVE
    ShareRowExclusive,
    /// EXCLUSIVE, and an advisory lock
    Exclusive,
    /// ACCESS EXCLUSIVE
    AccessExclusive,
}

impl LockMode {
    /// Every mode.
    pub const ALL: [LockMode; 8] = [
        LockMode::AccessShare,
        LockMode::RowShare,
        LockMode::RowExclusive,
        LockMode::ShareUpdateExclusive,
        LockMode::Share,
        LockMode::ShareRowExclusive,
        LockMode::Exclusive,
        LockMode::AccessExclusive,
    ];

    /// The name in `pg_locks.mode`.
    pub const fn name(self) -> &'static str {
        match self {
            LockMode::AccessShare => "AccessShareLock",
            LockMode::RowShare => "RowShareLock",
            LockMode::RowExclusive => "RowExclusiveLock",
            LockMode::ShareUpdateExclusive => "ShareUpdateExclusiveLock",
            LockMode::Share => "ShareLock",
            LockMode::ShareRowExclusive => "ShareRowExclusiveLock",
            LockMode::Exclusive => "ExclusiveLock",
            LockMode::AccessExclusive => "AccessExclusiveLock",
        }
    }

    /// Whether two sessions cannot hold the two modes at a time.
    pub fn conflicts_with(self, other: LockMode) -> bool {
        use LockMode::{AccessExclusive, AccessShare, Exclusive, RowExclusive, RowShare, Share, ShareUpdateExclusive};
        let (weaker, stronger) = if self <= other { (self, other) } else { (other, self) };
        match weaker {
            AccessShare => stronger == AccessExclusive,
            RowShare => stronger >= Exclusive,
            RowExclusive => stronger >= Share,
            ShareUpdateExclusive => true,
            Share => stronger != Share,
            _ => true,
        }
    }
}

/// A number, or two, that an advisory lock is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdvisoryKey {
    /// `pg_advisory_lock(bigint)`
    One(i64),
    /// `pg_advisory_lock(int, int)`
    Two(i32, i32),
}

impl AdvisoryKey {
    /// The key of one or two numbers.
    ///
    /// # Errors
    /// 22003 if one of two is no `integer`.
    pub fn of(numbers: &[i64]) -> Result<AdvisoryKey> {
        let small =
            |number: i64| i32::try_from(number).map_err(|_| Error::new(ErrorKind::NumericOutOfRange, "integer out of range"));
        match *numbers {
            [one] => Ok(AdvisoryKey::One(one)),
            [first, second] => Ok(AdvisoryKey::Two(small(first)?, small(second)?)),
            _ => Err(Error::internal("an advisory lock is on one or two numbers")),
        }
    }
}

/// What is asked of an advisory lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdvisoryRequest {
    /// On what.
    pub key: AdvisoryKey,
    /// Shared with others that share it.
    pub shared: bool,
    /// Until the end of the transaction, not of the session.
    pub transaction: bool,
}

/// A session, as functions see it.
#[async_trait]
pub trait SessionControl: fmt::Debug + Send + Sync {
    /// `set_config`: takes effect when the statement is done. The value as `SHOW` will write it.
    fn set_config(&self, name: &str, value: Option<&str>, local: bool) -> Result<String>;

    /// `pg_notify`.
    fn notify(&self, channel: &str, payload: &str) -> Result<()>;

    /// `pg_listening_channels`.
    fn listening(&self) -> Vec<String>;

    /// Takes an advisory lock if nobody else holds it. 53200 if the session holds too many.
    fn try_lock(&self, request: AdvisoryRequest) -> Result<bool>;

    /// Takes an advisory lock, waiting for those who hold it.
    async fn lock(&self, request: AdvisoryRequest) -> Result<()>;

    /// LOCK TABLE; until the end of the transaction.
    async fn lock_relation(&self, relation: ObjectId, mode: LockMode, no_wait: bool) -> Result<()>;

    /// Gives an advisory lock of the session back. False, with a warning, if it holds none.
    fn unlock(&self, key: AdvisoryKey, shared: bool) -> bool;

    /// Gives all advisory locks of the session back.
    fn unlock_all(&self);

    /// `pg_cancel_backend`. False, with a warning, if there is no such session that the caller may know of.
    fn cancel(&self, pid: i32) -> bool;

    /// `pg_terminate_backend`: does not wait for the end. As [`SessionControl::cancel`].
    fn terminate(&self, pid: i32) -> bool;
}
