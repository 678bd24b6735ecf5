//! The session as functions inside its queries see it: `set_config`, `pg_notify`, advisory locks, signals.
//!
//! ```text
//!  query on the workers ─▶ Control ─┬─ settings, warnings ─▶ Deferred ─▶ taken in by the session when the statement is done
//!                                   ├─ notifications ──────▶ mailbox, until COMMIT
//!                                   └─ locks, signals ─────▶ at once
//! ```
//! A query runs while its session waits, so a control shares with the session only what has a lock of its own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;

use super::Session;
use super::channels::Mailbox;
use super::locks::{LockScope, LockTarget, Locks};
use super::outcome::{Notice, Notices};
use super::registry::{SessionActivity, Sessions};
use super::settings::Settings;
use crate::catalog::securable::ObjectId;
use crate::error::{Error, ErrorKind, Result};
use crate::functions::session::{AdvisoryKey, AdvisoryRequest, LockMode, SessionControl};

/// What functions have left for the session to do.
#[derive(Debug, Default)]
pub(super) struct Deferred {
    /// The last for each name, in and outside of the transaction. The names are bounded by the settings that have taken them.
    settings: BTreeMap<(String, bool), Option<String>>,
    notices: Notices,
}

/// A session in the hands of one statement's functions.
#[derive(Debug)]
pub(super) struct Control {
    pid: i32,
    principal: ObjectId,
    is_admin: bool,
    catalog: ObjectId,
    lock_timeout: Option<Duration>,
    /// The settings as the statement's own functions have changed them.
    settings: Mutex<Settings>,
    deferred: Arc<Mutex<Deferred>>,
    mailbox: Arc<Mutex<Mailbox>>,
    locks: Locks,
    sessions: Sessions,
}

impl Control {
    fn target(&self, key: AdvisoryKey) -> LockTarget {
        let (class, object, numbers) = match key {
            AdvisoryKey::One(number) => ((number >> 32) as u32, number as u32, 1),
            AdvisoryKey::Two(first, second) => (first.cast_unsigned(), second.cast_unsigned(), 2),
        };
        LockTarget::Advisory { catalog: self.catalog, class, object, numbers }
    }

    /// A session that the caller may signal: its own, or any for an administrator.
    fn signalled(&self, pid: i32) -> Option<SessionActivity> {
        let found = self.sessions.get(pid).filter(|session| self.is_admin || session.principal == self.principal);
        if found.is_none() {
            self.warn(Notice::warning("01000", format!("PID {pid} is not a PostgreSQL backend process")));
        }
        found
    }

    fn warn(&self, notice: Notice) {
        self.deferred.lock().notices.push(notice);
    }
}

const fn mode(shared: bool) -> LockMode {
    if shared { LockMode::Share } else { LockMode::Exclusive }
}

const fn scope(transaction: bool) -> LockScope {
    if transaction { LockScope::Transaction } else { LockScope::Session }
}

#[async_trait]
impl SessionControl for Control {
    fn set_config(&self, name: &str, value: Option<&str>, local: bool) -> Result<String> {
        let mut settings = self.settings.lock();
        settings.assign(name, value, local)?;
        let shown = settings.show(name).unwrap_or_default();
        drop(settings);
        let (name, mut deferred) = (name.to_lowercase(), self.deferred.lock());
        if !local {
            deferred.settings.remove(&(name.clone(), true));
        }
        deferred.settings.insert((name, local), value.map(str::to_string));
        Ok(shown)
    }

    fn notify(&self, channel: &str, payload: &str) -> Result<()> {
        self.mailbox.lock().notify(self.catalog, channel, payload)
    }

    fn listening(&self) -> Vec<String> {
        self.mailbox.lock().listening(self.catalog)
    }

    fn try_lock(&self, request: AdvisoryRequest) -> Result<bool> {
        self.locks.try_acquire(self.pid, self.target(request.key), mode(request.shared), scope(request.transaction))
    }

    async fn lock(&self, request: AdvisoryRequest) -> Result<()> {
        let (target, mode, scope) = (self.target(request.key), mode(request.shared), scope(request.transaction));
        self.locks.acquire(self.pid, target, mode, scope, self.lock_timeout).await
    }

    async fn lock_relation(&self, relation: ObjectId, mode: LockMode, no_wait: bool) -> Result<()> {
        let target = LockTarget::Relation { catalog: self.catalog, relation };
        if !no_wait {
            return self.locks.acquire(self.pid, target, mode, LockScope::Transaction, self.lock_timeout).await;
        }
        if self.locks.try_acquire(self.pid, target, mode, LockScope::Transaction)? {
            return Ok(());
        }
        Err(Error::new(ErrorKind::LockNotAvailable, "could not obtain lock on relation"))
    }

    fn unlock(&self, key: AdvisoryKey, shared: bool) -> bool {
        let released = self.locks.release(self.pid, self.target(key), mode(shared));
        if !released {
            self.warn(Notice::warning("01000", format!("you don't own a lock of type {}", mode(shared).name())));
        }
        released
    }

    fn unlock_all(&self) {
        self.locks.release_session(self.pid);
    }

    fn cancel(&self, pid: i32) -> bool {
        self.signalled(pid).map(|session| session.cancel.cancel()).is_some()
    }

    fn terminate(&self, pid: i32) -> bool {
        self.signalled(pid).map(|session| session.terminate.cancel()).is_some()
    }
}

impl Session {
    /// The session for the functions of the next statement.
    pub(super) fn control(&self, catalog: ObjectId) -> Arc<dyn SessionControl> {
        Arc::new(Control {
            pid: self.pid,
            principal: self.principal,
            is_admin: self.services.metastore.snapshot().is_admin(self.principal),
            catalog,
            lock_timeout: self.settings.milliseconds("lock_timeout"),
            settings: Mutex::new(self.settings.clone()),
            deferred: Arc::clone(&self.deferred),
            mailbox: Arc::clone(&self.mailbox),
            locks: self.services.locks.clone(),
            sessions: self.services.sessions.clone(),
        })
    }

    /// Takes in what functions have left.
    pub(super) fn take_deferred(&mut self) {
        let Deferred { settings, notices } = std::mem::take(&mut *self.deferred.lock());
        self.notices.extend(notices);
        for ((name, local), value) in settings {
            if local && !self.transaction.in_transaction() {
                continue;
            }
            if let Err(error) = self.settings.assign(&name, value.as_deref(), local) {
                tracing::warn!(setting = name, %error, "a setting that was accepted is refused");
            }
        }
    }

    /// Forgets what functions of a failed statement have left, but for what they had to say.
    pub(super) fn forget_deferred(&mut self) {
        let Deferred { settings: _, notices } = std::mem::take(&mut *self.deferred.lock());
        self.notices.extend(notices);
    }
}
