//! The live sessions of this server, for `pg_stat_activity`.
//!
//! A statement's text is kept as the parser's log text, where passwords and credential options are redacted. Who may read which entry
//! is decided where the table is built: callers see their own sessions, administrators all.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::catalog::CatalogSnapshot;
use crate::catalog::securable::ObjectId;

/// What is known of one session.
#[derive(Debug, Clone)]
pub struct SessionActivity {
    /// Process id that the client was told.
    pub pid: i32,
    /// Who.
    pub principal: ObjectId,
    /// Current catalog.
    pub catalog: String,
    /// What the client calls itself.
    pub application_name: String,
    /// Where from.
    pub client_address: Option<IpAddr>,
    /// Login time.
    pub started: DateTime<Utc>,
    /// Start of the running or last statement.
    pub statement_started: Option<DateTime<Utc>>,
    /// Text of the running or last statement, redacted.
    pub statement: Arc<str>,
    /// `active`, `idle`, `idle in transaction`, ..
    pub state: &'static str,
    /// Cancelled to stop the running statement.
    pub cancel: CancellationToken,
    /// Cancelled to end the connection.
    pub terminate: CancellationToken,
}

/// All live sessions by pid.
#[derive(Debug, Clone, Default)]
pub struct Sessions {
    live: Arc<Mutex<BTreeMap<i32, SessionActivity>>>,
    /// The newest state of the catalog that the sessions were held against.
    checked: Arc<AtomicU64>,
}

impl Sessions {
    /// Adds a session; it is removed when the registration is dropped.
    pub fn register(&self, activity: SessionActivity) -> Registration {
        let pid = activity.pid;
        self.live.lock().insert(pid, activity);
        Registration { pid, sessions: self.clone() }
    }

    /// The session with this process id.
    pub fn get(&self, pid: i32) -> Option<SessionActivity> {
        self.live.lock().get(&pid).cloned()
    }

    /// Ends the sessions of users who are gone, or may not log in any more: running statements end, connections are closed.
    ///
    /// Costs a walk over the live sessions for each new state of the catalog.
    pub fn end_without_login(&self, snapshot: &CatalogSnapshot) {
        if self.checked.fetch_max(snapshot.number(), Ordering::AcqRel) >= snapshot.number() {
            return;
        }
        for session in self.live.lock().values().filter(|session| !snapshot.may_log_in(session.principal)) {
            session.terminate.cancel();
        }
    }

    /// A copy of all entries.
    pub fn list(&self) -> Vec<SessionActivity> {
        self.live.lock().values().cloned().collect()
    }
}

/// Keeps a session listed.
#[derive(Debug)]
pub struct Registration {
    pid: i32,
    sessions: Sessions,
}

impl Registration {
    /// Changes the session's entry.
    pub fn update(&self, change: impl FnOnce(&mut SessionActivity)) {
        if let Some(activity) = self.sessions.live.lock().get_mut(&self.pid) {
            change(activity);
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.sessions.live.lock().remove(&self.pid);
    }
}
