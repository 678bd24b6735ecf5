//! One client and the path of its statements.
//!
//! ```text
//!  text ─ parse ─▶ statement ─┬─ query ────▶ resolve ─▶ bind ─▶ govern ─▶ plan ─▶ run ─▶ rows        (path.rs)
//!                             ├─ command ──▶ command::run                                            (path.rs)
//!                             └─ SET, BEGIN, PREPARE, DECLARE, .. change this session only           (statements.rs)
//! ```
//! Every door calls [`Session::execute`]. A prepared statement is text, not permission: each execution resolves and governs again, so
//! that a grant or policy that changed is in force at the next Execute.

pub mod channels;
pub mod cursor;
pub mod locks;
pub mod outcome;
pub mod portal;
pub mod prepared;
pub mod registry;
pub mod settings;

mod control;
mod cursors;
mod live;
mod options;
mod path;
mod services;
mod statements;
mod transaction;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::scalar::ScalarValue;
use futures::TryStreamExt;
use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::catalog::privilege::Privilege;
use crate::catalog::securable::{METASTORE, ObjectId};
use crate::catalog::{CatalogSnapshot, Temporary};
use crate::command::{TableList, TemporaryTables};
use crate::error::{Error, ErrorKind, Result};
use crate::sql::statement::Parsed;
use crate::types::{Form, SqlType};

pub use options::SessionOptions;
pub use services::Services;

use channels::{Mailbox, Notification, Queue};
use control::Deferred;
use outcome::{Description, Notice, Notices, Outcome, Severity, TransactionStatus};
use portal::Portals;
use prepared::PreparedStatements;
use registry::{Registration, SessionActivity};
use settings::Settings;
use transaction::Transaction;

/// What a session is opened with.
#[derive(Debug, Clone)]
pub struct SessionRequest {
    /// Who has logged in.
    pub user: String,
    /// Catalog asked for.
    pub database: String,
    /// Settings that the server's configuration gives; the role's, the catalog's and the start-up packet's go before them.
    pub defaults: Vec<(String, String)>,
    /// Settings of the start-up packet, in order.
    pub parameters: Vec<(String, String)>,
    /// Process id that the client was told.
    pub pid: i32,
    /// Where the client is.
    pub client_address: Option<IpAddr>,
    /// Cancelled to end the connection from elsewhere.
    pub terminate: CancellationToken,
}

/// A state of the catalog, temporary tables, and both together.
#[derive(Debug)]
struct Overlay {
    base: Arc<CatalogSnapshot>,
    temporary: Arc<Temporary>,
    snapshot: Arc<CatalogSnapshot>,
}

/// One client's session.
#[derive(Debug)]
pub struct Session {
    services: Arc<Services>,
    user: String,
    principal: ObjectId,
    catalog: String,
    pid: i32,
    client_address: Option<IpAddr>,
    settings: Settings,
    transaction: Transaction,
    prepared: PreparedStatements,
    portals: Portals,
    notices: Notices,
    deferred: Arc<Mutex<Deferred>>,
    mailbox: Arc<Mutex<Mailbox>>,
    temporary: Arc<TemporaryTables>,
    /// Temporary tables before the first statement since the last end of a transaction.
    before: Option<TableList>,
    /// The newest state of the catalog with the session's temporary tables.
    overlay: Mutex<Option<Overlay>>,
    cancel: CancellationToken,
    statement_started: DateTime<Utc>,
    registration: Registration,
}

impl Session {
    /// Opens a session for a principal that has proved who it is.
    ///
    /// # Errors
    /// 3D000 if the catalog does not exist or is not visible, 42501 if it may not be entered, 42704 and 22023 for start-up settings.
    pub fn open(services: Arc<Services>, request: SessionRequest) -> Result<Session> {
        let snapshot = services.metastore.snapshot();
        let principal = snapshot.principal(&request.user).filter(|principal| principal.can_login).ok_or_else(|| {
            Error::new(ErrorKind::InvalidAuthorization, format!("role \"{}\" is not permitted to log in", request.user))
        })?;
        enter_catalog(&snapshot, principal.id, &request.database)?;
        let mut settings = Settings::new(&request.user, principal.is_admin);
        for (name, value) in &request.defaults {
            settings.start_with(name, value)?;
        }
        let mut notices = Notices::default();
        let catalog = snapshot.catalog(&request.database).map_or(METASTORE, |catalog| catalog.id);
        for (name, value) in snapshot.initial_settings(principal.id, catalog) {
            // A later release may take fewer values: that must not lock anybody out.
            if let Err(error) = settings.start_with(name, value) {
                notices.push(Notice::warning(error.kind().sqlstate(), error.message()));
            }
        }
        for (name, value) in &request.parameters {
            settings.start_with(name, value)?;
        }
        let now = Utc::now();
        let registration = services.sessions.register(SessionActivity {
            pid: request.pid,
            principal: principal.id,
            catalog: request.database.clone(),
            application_name: settings.get("application_name").unwrap_or_default().to_string(),
            client_address: request.client_address,
            started: now,
            statement_started: None,
            statement: Arc::from(""),
            state: "idle",
            cancel: CancellationToken::new(),
            terminate: request.terminate,
        });
        Ok(Session {
            principal: principal.id,
            user: request.user,
            catalog: request.database,
            pid: request.pid,
            client_address: request.client_address,
            settings,
            transaction: Transaction::new(),
            prepared: PreparedStatements::default(),
            portals: Portals::default(),
            notices,
            deferred: Arc::default(),
            temporary: TemporaryTables::new(
                Arc::clone(&services.temporary),
                Arc::clone(&services.lake),
                services.tracker.clone(),
                principal.id,
            ),
            before: None,
            overlay: Mutex::default(),
            mailbox: Arc::new(Mutex::new(Mailbox::new(services.channels.clone(), request.pid))),
            cancel: CancellationToken::new(),
            statement_started: now,
            registration,
            services,
        })
    }

    /// A session that the server itself holds as `user`, on catalog `main`: set-up scripts go the way of every other statement.
    ///
    /// # Errors
    /// As [`Session::open`].
    pub fn internal(services: Arc<Services>, user: &str) -> Result<Session> {
        let request = SessionRequest {
            user: user.to_string(),
            database: "main".to_string(),
            defaults: vec![],
            parameters: vec![("application_name".to_string(), "lakehold".to_string())],
            pid: 0,
            client_address: None,
            terminate: CancellationToken::new(),
        };
        Session::open(services, request)
    }

    /// Runs the statements of `text` one after the other and drops their rows.
    ///
    /// # Errors
    /// The first error of a statement.
    pub async fn run_script(&mut self, text: &str) -> Result<()> {
        for parsed in self.parse(text)? {
            let outcome = Box::pin(self.execute(&Arc::new(parsed), &[], vec![])).await?;
            match outcome {
                Outcome::Rows { stream, .. } | Outcome::CopyOut { stream, .. } => stream.try_for_each(|_| async { Ok(()) }).await?,
                Outcome::CopyIn(_) => return Err(Error::unsupported("COPY FROM STDIN in a script")),
                Outcome::Done { .. } | Outcome::Empty => {}
            }
        }
        Ok(())
    }

    /// Text into statements; empty if there is none in it.
    ///
    /// # Errors
    /// 42601 with position, 54000 and 54001 where the limits are passed.
    pub fn parse(&self, text: &str) -> Result<Vec<Parsed>> {
        crate::sql::parse(text, &self.services.limits)
    }

    /// Binds and authorises a statement without running it.
    ///
    /// # Errors
    /// What running it would answer before the first row.
    pub async fn prepare(&mut self, parsed: &Arc<Parsed>, parameter_types: &[Option<SqlType>]) -> Result<Description> {
        self.check_alive(&parsed.statement)?;
        self.refresh().await?;
        self.describe(parsed, parameter_types).await
    }

    /// Runs a statement up to its first row.
    ///
    /// # Errors
    /// Whatever the statement answers; the caller then calls [`Session::fail_transaction`].
    pub async fn execute(
        &mut self,
        parsed: &Arc<Parsed>,
        parameter_types: &[Option<SqlType>],
        parameters: Vec<ScalarValue>,
    ) -> Result<Outcome> {
        self.check_alive(&parsed.statement)?;
        self.take_deferred();
        self.statement_started = Utc::now();
        let (started, text) = (self.statement_started, parsed.log_text());
        self.registration.update(|activity| {
            activity.state = "active";
            activity.statement_started = Some(started);
            activity.statement = text;
        });
        let outcome = Box::pin(self.dispatch(parsed, parameter_types, parameters)).await;
        let application_name = self.settings.get("application_name").unwrap_or_default();
        self.registration.update(|activity| {
            if activity.catalog != self.catalog {
                activity.catalog.clone_from(&self.catalog);
            }
            if activity.application_name != application_name {
                application_name.clone_into(&mut activity.application_name);
            }
        });
        outcome
    }

    /// Where the session stands, as ReadyForQuery tells it: an implicit transaction counts as idle.
    pub fn transaction_status(&self) -> TransactionStatus {
        self.transaction.status()
    }

    /// When the open transaction began.
    pub fn transaction_opened(&self) -> Option<Instant> {
        self.transaction.opened()
    }

    /// A statement failed, wherever that was noticed: a block fails until it is rolled back, with its portals.
    pub fn fail_transaction(&mut self) {
        self.forget_deferred();
        if self.transaction.in_block() {
            self.transaction.fail();
            self.portals.fail(self.transaction.portals_before());
        }
    }

    /// Adds a notice about the statement that runs.
    pub fn notify(&mut self, notice: Notice) {
        self.notices.push(notice);
    }

    /// Notices since the last call, those below `client_min_messages` left out.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        self.take_deferred();
        let least = match self.settings.get("client_min_messages").unwrap_or_default() {
            "debug" | "debug1" | "debug2" | "debug3" | "debug4" | "debug5" => Severity::Debug,
            "log" => Severity::Log,
            "warning" => Severity::Warning,
            "error" | "fatal" | "panic" => {
                self.notices = Notices::default();
                return Vec::new();
            }
            _ => Severity::Notice,
        };
        self.notices.take(least)
    }

    /// Reported settings that changed since the last call: name in PostgreSQL's spelling, and value.
    pub fn take_parameter_changes(&mut self) -> Vec<(String, String)> {
        self.take_deferred();
        self.settings.take_reported_changes()
    }

    /// What other sessions have notified this one of, unless it is in a block.
    pub fn take_notifications(&mut self) -> Vec<Notification> {
        if self.transaction.in_block() { Vec::new() } else { self.mailbox.lock().queue().take() }
    }

    /// Where notifications arrive.
    pub fn notifications(&self) -> Arc<Queue> {
        Arc::clone(self.mailbox.lock().queue())
    }

    /// Value of a setting by its name.
    pub fn setting(&self, name: &str) -> Option<String> {
        self.settings.get(name).map(str::to_string)
    }

    /// Values of all settings by lower-case name: the same object until one changes.
    pub fn settings(&self) -> Arc<BTreeMap<String, String>> {
        self.settings.current()
    }

    /// How values are read and written: the same object until a setting changes.
    pub fn form(&self) -> Arc<Form> {
        self.settings.form()
    }

    /// The client is silent: gives up what is quickly made again.
    pub fn rest(&mut self) {
        self.settings.rest();
    }

    /// A fresh token for the statement that comes next.
    pub fn cancel_token(&mut self) -> CancellationToken {
        self.cancel = CancellationToken::new();
        let token = self.cancel.clone();
        self.registration.update(|activity| activity.cancel = token.clone());
        token
    }

    /// Prepared statements of the session.
    pub fn prepared(&mut self) -> &mut PreparedStatements {
        &mut self.prepared
    }

    /// Portals of the session.
    pub fn portals(&mut self) -> &mut Portals {
        &mut self.portals
    }

    /// The current catalog.
    fn catalog_id(&self) -> ObjectId {
        let snapshot = self.services.metastore.snapshot();
        snapshot.catalog(&self.catalog).map_or(METASTORE, |catalog| catalog.id)
    }

    fn idle_state(&self) -> &'static str {
        match self.transaction.status() {
            TransactionStatus::Idle => "idle",
            TransactionStatus::InBlock => "idle in transaction",
            TransactionStatus::Failed => "idle in transaction (aborted)",
        }
    }
}

/// Checks that a session of `principal` may be on `catalog`.
fn enter_catalog(snapshot: &CatalogSnapshot, principal: ObjectId, catalog: &str) -> Result<()> {
    let missing = || Error::new(ErrorKind::UndefinedCatalog, format!("database \"{catalog}\" does not exist"));
    let entry = snapshot.catalog(catalog).filter(|entry| snapshot.visible(principal, entry.id)).ok_or_else(missing)?;
    if snapshot.holds(principal, Privilege::UseCatalog, entry.id) || snapshot.manages(principal, entry.id) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Denied, format!("permission denied for database \"{catalog}\""))
        .with_detail("User does not have the USE CATALOG (CONNECT) privilege."))
}

impl Drop for Session {
    fn drop(&mut self) {
        self.services.locks.release_all(self.pid);
    }
}
