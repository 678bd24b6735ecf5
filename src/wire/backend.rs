//! What the wire needs from the warehouse behind it: a way to look up who logs in, and one session a connection.
//!
//! The order of calls on a session:
//! ```text
//!  token = cancel_token() ─▶ begin_implicit ─▶ parse / prepare / execute ─▶ take_notices ─▶ rows ─▶ .. ─▶ end_implicit ─▶ take_parameter_changes
//!                                                      └ error ─▶ fail_transaction ───────────────────┘
//! ```
//! `wire` never drops a running `execute`: it cancels the token and waits, so that a commit is not torn in half. An implementation
//! returns soon after its token is cancelled, unless it is committing.

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::scalar::ScalarValue;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::encode::{Form, ObjectNames};
use crate::catalog::CatalogSnapshot;
use crate::catalog::securable::Principal;
use crate::error::Result;
use crate::session::channels::{Notification, Queue};
use crate::session::outcome::{Description, Notice, Outcome, TransactionStatus};
use crate::session::portal::Portals;
use crate::session::prepared::PreparedStatements;
use crate::sql::statement::Parsed;
use crate::types::SqlType;

/// The warehouse, as a door sees it.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// The newest catalog snapshot: who there is, and what proves it.
    fn catalog(&self) -> Arc<CatalogSnapshot>;

    /// Opens a session for a client that has proved who it is.
    ///
    /// # Errors
    /// Unknown catalog (3D000), unknown or wrong start-up parameters (42704, 22023): the client reads them as FATAL.
    async fn connect(&self, request: ConnectRequest) -> Result<Box<dyn BackendSession>>;
}

/// A client that has proved who it is.
#[derive(Debug, Clone)]
pub struct ConnectRequest {
    /// Who.
    pub principal: Arc<Principal>,
    /// The catalog it asked for; the user's name if it asked for none, as PostgreSQL does.
    pub database: String,
    /// Settings that the configuration gives to every session.
    pub defaults: Vec<(String, String)>,
    /// Start-up parameters in order, those inside `options` included. Names as the client wrote them; `client_encoding` is
    /// already `UTF8`.
    pub parameters: Vec<(String, String)>,
    /// Number of the connection, for `pg_backend_pid()` and `pg_stat_activity`.
    pub pid: i32,
    /// Where it comes from; `None` over the Unix socket.
    pub client_address: Option<IpAddr>,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// Cancelled by whoever ends this connection from elsewhere: `pg_terminate_backend`.
    pub terminate: CancellationToken,
}

/// One client's session.
#[async_trait]
pub trait BackendSession: Send {
    /// Text into statements; empty if there is none in it.
    fn parse(&self, text: &str) -> Result<Vec<Parsed>>;

    /// Binds and authorises a statement without running it.
    async fn prepare(&mut self, parsed: &Arc<Parsed>, parameter_types: &[Option<SqlType>]) -> Result<Description>;

    /// Runs a statement up to its first row.
    async fn execute(
        &mut self,
        parsed: &Arc<Parsed>,
        parameter_types: &[Option<SqlType>],
        parameters: Vec<ScalarValue>,
    ) -> Result<Outcome>;

    /// Where the session stands, as ReadyForQuery tells it: an implicit transaction counts as idle.
    fn transaction_status(&self) -> TransactionStatus;

    /// When the open transaction began; `None` if there is none, or nobody keeps its time.
    fn transaction_opened(&self) -> Option<Instant> {
        None
    }

    /// A statement failed, wherever that was noticed. Fails the transaction block, if there is one, and its portals.
    fn fail_transaction(&mut self);

    /// Called before each statement; opens an implicit transaction if no transaction is open. `several`: more statements share
    /// it, so that statements which need a block may run.
    fn begin_implicit(&mut self, several: bool);

    /// Ends the implicit transaction, if that is what is open, and drops its portals ([`Portals::end_transaction`]).
    async fn end_implicit(&mut self, committed: bool) -> Result<()>;

    /// Something the client should know about the statement that runs.
    fn notify(&mut self, notice: Notice);

    /// Notices since the last call, those below `client_min_messages` left out.
    fn take_notices(&mut self) -> Vec<Notice>;

    /// Reported settings that changed since the last call: name in PostgreSQL's spelling, and value.
    fn take_parameter_changes(&mut self) -> Vec<(String, String)>;

    /// Notifications since the last call; none in a transaction block.
    fn take_notifications(&mut self) -> Vec<Notification>;

    /// Where notifications arrive.
    fn notifications(&self) -> Arc<Queue>;

    /// Value of a setting by its lower-case name.
    fn setting(&self, name: &str) -> Option<String>;

    /// How values are read and written, as the settings say now.
    fn form(&self) -> Arc<Form>;

    /// The client is silent: gives up what is quickly made again.
    fn rest(&mut self) {}

    /// The names behind `regclass` and its kind, as this session may see them now. Asked only where a result has such values.
    fn object_names(&self) -> Option<Arc<dyn ObjectNames>> {
        None
    }

    /// A fresh token for the statement that comes next.
    fn cancel_token(&mut self) -> CancellationToken;

    /// Prepared statements of the session.
    fn prepared(&mut self) -> &mut PreparedStatements;

    /// Portals of the session.
    fn portals(&mut self) -> &mut Portals;
}
