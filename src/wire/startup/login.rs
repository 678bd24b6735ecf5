//! From a start-up packet to a session.

use std::sync::Arc;

use bytes::Bytes;
use pgwire::messages::startup::{BackendKeyData, NegotiateProtocolVersion, ParameterStatus, SecretKey};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::parameters::Parameters;
use crate::catalog::securable::Principal;
use crate::error::{Error, ErrorKind};
use crate::wire::backend::{Backend, BackendSession, ConnectRequest};
use crate::wire::cancel::Registration;
use crate::wire::connection::Connection;
use crate::wire::error::{Extent, Halt, error_response};
use crate::wire::frontend::Startup;
use crate::wire::interrupt::shutdown_error;
use crate::wire::limits::{Resident, Visitor};
use crate::wire::listener::Shared;
use crate::wire::options::TlsRequirement;
use crate::wire::peer::Peer;
use crate::wire::tls::Identity;
use crate::wire::transport::{Input, Output};

/// The newest protocol that we speak: 3.2.
const NEWEST_MINOR: u16 = 2;

/// Settings that clients are told at the start, in PostgreSQL's spelling.
const REPORTED: [&str; 15] = [
    "in_hot_standby",
    "integer_datetimes",
    "TimeZone",
    "IntervalStyle",
    "search_path",
    "is_superuser",
    "application_name",
    "default_transaction_read_only",
    "scram_iterations",
    "DateStyle",
    "standard_conforming_strings",
    "session_authorization",
    "client_encoding",
    "server_version",
    "server_encoding",
];

/// The version that clients read: PostgreSQL's whose catalogs we show, then ours.
pub const SERVER_VERSION: &str = concat!("17.0 (Lakehold ", env!("CARGO_PKG_VERSION"), ")");

/// A connection that is logging in.
pub(super) struct Login<'s> {
    pub(super) shared: &'s Arc<Shared>,
    pub(super) peer: Peer,
    pub(super) identity: Option<Arc<Identity>>,
    /// Names in the client's certificate, if it has shown one.
    pub(super) certificate_names: Option<Vec<String>>,
    /// What failures are counted for beside the address, where it is not the name asked for.
    pub(super) counted_as: Option<String>,
    pub(super) input: Input,
    pub(super) output: Output,
}

/// A client that has proved who it is.
struct Proved {
    backend: Arc<dyn Backend>,
    principal: Arc<Principal>,
    /// An administrator, itself or through a group.
    is_admin: bool,
    parameters: Parameters,
    /// The protocol's minor version that is spoken from now on.
    minor: u16,
}

/// All that a connection needs.
struct Session {
    session: Box<dyn BackendSession>,
    registration: Registration,
    terminate: CancellationToken,
    resident: Resident,
}

impl<'s> Login<'s> {
    /// Goes all the way, or tells the client why not.
    pub(super) async fn run(mut self, startup: Startup, deadline: Instant, visitor: Visitor) -> Option<Connection> {
        let timed_out = || Err(Halt::Fatal(Error::new(ErrorKind::Cancelled, "canceling authentication due to timeout")));
        let proved = timeout_at(deadline, self.prove(startup)).await.unwrap_or_else(|_| timed_out());
        let opened = match proved {
            // The place of a visitor is free as soon as the client has proved who it is.
            Ok(proved) => {
                drop(visitor);
                self.connect(proved).await
            }
            Err(halt) => Err(halt),
        };
        match opened {
            Ok(Session { session, registration, terminate, resident }) => {
                let shared = Arc::clone(self.shared);
                Some(Connection::new(shared, session, self.input, self.output, registration, terminate, resident))
            }
            Err(Halt::Gone) => None,
            Err(Halt::Fatal(error) | Halt::Failed { error, .. }) => {
                if self.output.message(&error_response(&error, Extent::Connection, None)).is_ok() {
                    self.output.close().await;
                }
                None
            }
        }
    }

    async fn prove(&mut self, startup: Startup) -> Result<Proved, Halt> {
        if startup.major != 3 {
            let (major, minor) = (startup.major, startup.minor);
            let message = format!("unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.{NEWEST_MINOR}");
            return Err(Error::new(ErrorKind::Unsupported, message).into());
        }
        let parameters = Parameters::new(startup.parameters);
        let minor = startup.minor.min(NEWEST_MINOR);
        if minor != startup.minor || !parameters.extensions.is_empty() {
            let version = (3 << 16) | i32::from(minor);
            self.output.message(&NegotiateProtocolVersion::new(version, parameters.extensions.clone()))?;
        }
        parameters.check()?;
        if self.shared.shutdown.is_cancelled() {
            return Err(Error::new(ErrorKind::CannotConnectNow, "the database system is shutting down").into());
        }
        let Some(backend) = self.shared.backend.borrow().as_ref().map(Arc::clone) else {
            return Err(Error::new(ErrorKind::CannotConnectNow, "the database system is starting up").into());
        };
        self.check_encryption(&parameters)?;
        let snapshot = backend.catalog();
        let principal = self.authenticate(&snapshot, &parameters).await?;
        let is_admin = snapshot.is_admin(principal.id);
        Ok(Proved { backend, principal, is_admin, parameters, minor })
    }

    fn check_encryption(&self, parameters: &Parameters) -> Result<(), Error> {
        let required = match self.shared.options.tls.required {
            TlsRequirement::Nobody => false,
            TlsRequirement::Remote => !self.peer.is_here(),
            // Encryption would add nothing to the Unix socket.
            TlsRequirement::Everybody => self.peer.address().is_some(),
        };
        if !required || self.identity.is_some() {
            return Ok(());
        }
        let (host, user, database) = (self.peer.host(), &parameters.user, &parameters.database);
        let message =
            format!("connections from host \"{host}\" must be encrypted, user \"{user}\", database \"{database}\", no encryption");
        Err(Error::new(ErrorKind::InvalidAuthorization, message).with_hint("Connect with sslmode=require."))
    }

    pub(super) async fn send(&mut self, message: &impl pgwire::messages::Message) -> Result<(), Halt> {
        self.output.message(message)?;
        self.output.flush().await
    }

    async fn connect(&mut self, proved: Proved) -> Result<Session, Halt> {
        let Proved { backend, principal, is_admin, parameters, minor } = proved;
        let resident = self.shared.limits.admit_session(&principal, is_admin)?;
        let registration = self.shared.cancels.register(minor >= 2)?;
        let terminate = CancellationToken::new();
        let request = ConnectRequest {
            principal: Arc::clone(&principal),
            database: parameters.database.clone(),
            defaults: self.shared.options.session_defaults(),
            parameters: parameters.settings()?,
            pid: registration.pid(),
            client_address: self.peer.address(),
            tls: self.identity.is_some(),
            terminate: terminate.clone(),
        };
        let connecting = backend.connect(request);
        let mut session = tokio::select! {
            session = connecting => session?,
            () = self.shared.kill.cancelled() => return Err(Halt::Fatal(shutdown_error())),
        };
        session.prepared().set_capacity(self.shared.options.prepared_statements);
        session.portals().set_capacity(self.shared.options.portals);
        for name in REPORTED {
            let value = session.setting(&name.to_ascii_lowercase()).unwrap_or_else(|| default_value(name, &principal));
            self.output.message(&ParameterStatus::new(name.to_string(), value))?;
        }
        // Whatever changed while the session was opened has just been told.
        session.take_parameter_changes();
        let key = SecretKey::Bytes(Bytes::copy_from_slice(registration.key()));
        self.output.message(&BackendKeyData::new(registration.pid(), key))?;
        Ok(Session { session, registration, terminate, resident })
    }
}

/// What a reported setting says if the session does not know it.
fn default_value(name: &str, principal: &Principal) -> String {
    let on_off = |on: bool| if on { "on" } else { "off" };
    match name {
        "server_version" => SERVER_VERSION,
        "server_encoding" | "client_encoding" => "UTF8",
        "integer_datetimes" | "standard_conforming_strings" => "on",
        "in_hot_standby" | "default_transaction_read_only" => "off",
        "is_superuser" => on_off(principal.is_admin),
        "session_authorization" => &principal.name,
        "scram_iterations" => "4096",
        "DateStyle" => "ISO, MDY",
        "IntervalStyle" => "postgres",
        "TimeZone" => "UTC",
        _ => "",
    }
    .to_string()
}
