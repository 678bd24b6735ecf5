//! What the system relations are made from: the statement's own context and what the session layer knows about live sessions.

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use chrono::{DateTime, Utc};

use crate::catalog::CatalogSnapshot;
use crate::catalog::securable::ObjectId;
use crate::functions::FunctionContext;

/// Everything that the rows of a system relation may depend on.
#[derive(Debug, Clone)]
pub struct SystemContext {
    /// The statement's context, with the pinned catalog snapshot.
    pub functions: Arc<FunctionContext>,
    /// The context whose catalog says what may be read, where that is another one.
    in_force: Option<Arc<FunctionContext>>,
    live: Arc<LiveOnDemand>,
}

type LiveOnDemand = LazyLock<LiveState, Box<dyn FnOnce() -> LiveState + Send>>;

impl SystemContext {
    /// `live` is called when a relation asks for it first: most statements read none.
    pub fn new(functions: Arc<FunctionContext>, live: impl FnOnce() -> LiveState + Send + 'static) -> Self {
        Self { functions, in_force: None, live: Arc::new(LazyLock::new(Box::new(live))) }
    }

    /// The same for another context of the statement.
    #[must_use]
    pub fn on(&self, functions: Arc<FunctionContext>) -> Self {
        Self { functions, in_force: None, live: Arc::clone(&self.live) }
    }

    /// The same, with the context whose catalog says what may be read.
    #[must_use]
    pub fn governed_by(&self, in_force: Arc<FunctionContext>) -> Self {
        Self { in_force: Some(in_force), ..self.clone() }
    }

    /// The catalog that says what may be read. In a transaction that edits the catalog it is not the one that the relations tell of.
    pub fn in_force(&self) -> &Arc<CatalogSnapshot> {
        &self.in_force.as_ref().unwrap_or(&self.functions).snapshot
    }

    /// What is going on in the server and in this session.
    pub fn live(&self) -> &LiveState {
        &self.live
    }
}

/// What the session layer knows, as far as the caller may see it.
#[derive(Debug, Clone, Default)]
pub struct LiveState {
    /// Live sessions that the caller may see, its own included.
    pub activity: Vec<Activity>,
    /// Prepared statements of this session.
    pub prepared: Vec<PreparedRow>,
    /// Cursors and named portals of this session.
    pub cursors: Vec<CursorRow>,
    /// Locks of the sessions that the caller may see.
    pub locks: Vec<LockRow>,
    /// Settings, for `pg_settings` and `SHOW ALL`.
    pub settings: Vec<SettingRow>,
}

/// A live session, for `pg_stat_activity`.
#[derive(Debug, Clone)]
pub struct Activity {
    /// The backend's number.
    pub pid: i32,
    /// Who is logged in.
    pub user: ObjectId,
    /// Login name.
    pub user_name: String,
    /// Catalog that the session started in.
    pub catalog: ObjectId,
    /// Name of that catalog.
    pub catalog_name: String,
    /// `application_name`.
    pub application_name: String,
    /// Where the client connected from; `None` for a local socket.
    pub client_address: Option<IpAddr>,
    /// Port of the client; -1 for a local socket.
    pub client_port: i32,
    /// When the session began.
    pub backend_start: DateTime<Utc>,
    /// When the running transaction began.
    pub transaction_start: Option<DateTime<Utc>>,
    /// When the running or last statement began.
    pub query_start: Option<DateTime<Utc>>,
    /// When `state` last changed.
    pub state_change: Option<DateTime<Utc>>,
    /// `active`, `idle`, `idle in transaction`, `idle in transaction (aborted)`.
    pub state: String,
    /// Text of the running or last statement, with secrets redacted.
    pub query: String,
    /// Whether the connection is encrypted.
    pub tls: Option<TlsSession>,
}

/// An encrypted connection, for `pg_stat_ssl`.
#[derive(Debug, Clone)]
pub struct TlsSession {
    /// `TLSv1.3`, for example.
    pub version: String,
    /// Name of the cipher suite.
    pub cipher: String,
    /// Bits of the cipher's key.
    pub bits: i32,
}

/// A prepared statement, for `pg_prepared_statements`.
#[derive(Debug, Clone)]
pub struct PreparedRow {
    /// Name.
    pub name: String,
    /// Text.
    pub statement: String,
    /// When.
    pub prepared_at: DateTime<Utc>,
    /// OIDs of the parameters' types.
    pub parameter_types: Vec<u32>,
    /// OIDs of the columns' types; `None` if it gives no rows.
    pub result_types: Option<Vec<u32>>,
    /// Made by PREPARE, not by the protocol.
    pub from_sql: bool,
}

/// A cursor or a named portal, for `pg_cursors`.
#[derive(Debug, Clone)]
pub struct CursorRow {
    /// Name.
    pub name: String,
    /// Text of its statement.
    pub statement: String,
    /// WITH HOLD.
    pub is_holdable: bool,
    /// BINARY.
    pub is_binary: bool,
    /// SCROLL.
    pub is_scrollable: bool,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// A lock, for `pg_locks`.
#[derive(Debug, Clone)]
pub struct LockRow {
    /// The backend's number.
    pub pid: i32,
    /// `ShareLock`, for example.
    pub mode: &'static str,
    /// Held, not waited for.
    pub granted: bool,
    /// What is locked.
    pub object: LockedObject,
}

/// What is locked.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the fields are the columns of pg_locks")]
pub enum LockedObject {
    /// A number that clients agreed on.
    Advisory { catalog: ObjectId, class: u32, object: u32, numbers: u16 },
    /// A table or view.
    Relation { catalog: ObjectId, relation: ObjectId },
}

/// A setting, for `pg_settings`.
#[derive(Debug, Clone)]
pub struct SettingRow {
    /// Name as PostgreSQL writes it (`TimeZone`).
    pub name: String,
    /// Current value, in `unit`.
    pub setting: String,
    /// Unit of the value: `ms`, `s`, `kB`, ..
    pub unit: Option<&'static str>,
    /// Group of the setting.
    pub category: &'static str,
    /// What it does.
    pub description: &'static str,
    /// Who may change it: `user`, `superuser`, `internal`, ..
    pub context: &'static str,
    /// `bool`, `integer`, `real`, `string` or `enum`.
    pub value_type: &'static str,
    /// Where the value is from: `default`, `client`, `session`, `configuration file`.
    pub source: &'static str,
    /// Smallest value.
    pub minimum: Option<String>,
    /// Greatest value.
    pub maximum: Option<String>,
    /// Values of an enumeration.
    pub choices: Option<Vec<String>>,
    /// Value at the server's start.
    pub boot_value: Option<String>,
    /// Value that RESET brings back.
    pub reset_value: Option<String>,
}
