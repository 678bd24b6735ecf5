//! From a start-up packet to a session.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use metrics::counter;
use pgwire::messages::startup::{Authentication, BackendKeyData, NegotiateProtocolVersion, ParameterStatus, SecretKey};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::parameters::Parameters;
use crate::auth::scram::Exchange;
use crate::auth::verifier::Verifier;
use crate::catalog::securable::Principal;
use crate::error::{Error, ErrorKind};
use crate::wire::backend::{Backend, BackendSession, ConnectRequest};
use crate::wire::cancel::Registration;
use crate::wire::connection::Connection;
use crate::wire::error::{Extent, Halt, error_response};
use crate::wire::frontend::{Malformed, Startup, sasl_initial_response};
use crate::wire::interrupt::shutdown_error;
use crate::wire::limits::{Resident, Visitor};
use crate::wire::listener::Shared;
use crate::wire::options::TlsRequirement;
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
    shared: &'s Arc<Shared>,
    peer: SocketAddr,
    identity: Option<Arc<Identity>>,
    input: Input,
    output: Output,
}

/// A client that has proved who it is.
struct Proved {
    backend: Arc<dyn Backend>,
    principal: Arc<Principal>,
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
    pub(super) fn new(
        shared: &'s Arc<Shared>,
        peer: SocketAddr,
        identity: Option<Arc<Identity>>,
        input: Input,
        output: Output,
    ) -> Self {
        Self { shared, peer, identity, input, output }
    }

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
        let principal = self.authenticate(backend.as_ref(), &parameters.user).await?;
        Ok(Proved { backend, principal, parameters, minor })
    }

    fn check_encryption(&self, parameters: &Parameters) -> Result<(), Error> {
        let required = match self.shared.options.tls.required {
            TlsRequirement::Nobody => false,
            TlsRequirement::Remote => !self.peer.ip().to_canonical().is_loopback(),
            TlsRequirement::Everybody => true,
        };
        if !required || self.identity.is_some() {
            return Ok(());
        }
        let (host, user, database) = (self.peer.ip().to_canonical(), &parameters.user, &parameters.database);
        let message =
            format!("connections from host \"{host}\" must be encrypted, user \"{user}\", database \"{database}\", no encryption");
        Err(Error::new(ErrorKind::InvalidAuthorization, message).with_hint("Connect with sslmode=require."))
    }

    /// SCRAM, with the same messages for users who exist and those who do not.
    async fn authenticate(&mut self, backend: &dyn Backend, user: &str) -> Result<Arc<Principal>, Halt> {
        let address = self.peer.ip().to_canonical();
        let principal = backend.principal(user);
        let verifier = principal.as_ref().and_then(|principal| principal.verifier.as_deref()).and_then(Verifier::parse);
        let end_point = self.identity.as_ref().and_then(|identity| identity.end_point.clone());
        let mut exchange = Exchange::new(user, verifier, &self.shared.mock_secret, end_point)?;
        if !self.shared.lockout.admits(user, address) {
            exchange.doom();
        }
        let mechanisms = exchange.mechanisms().iter().map(ToString::to_string).collect();
        self.send(&Authentication::SASL(mechanisms)).await?;
        let (mechanism, message) =
            sasl_initial_response(self.input.password_message().await?).map_err(|Malformed(message)| Halt::protocol(message))?;
        let challenge = exchange.first(&mechanism, &message)?;
        self.send(&Authentication::SASLContinue(Bytes::from(challenge))).await?;
        let signature = exchange.finish(&self.input.password_message().await?)?;
        match (signature, principal) {
            (Some(signature), Some(principal)) => {
                self.shared.lockout.succeeded(user, address);
                self.output.message(&Authentication::SASLFinal(Bytes::from(signature)))?;
                if !principal.can_login {
                    let message = format!("role \"{user}\" is not permitted to log in");
                    return Err(Error::new(ErrorKind::InvalidAuthorization, message).into());
                }
                self.output.message(&Authentication::Ok)?;
                Ok(principal)
            }
            _ => {
                counter!("lakehold_wire_login_failures_total").increment(1);
                info!(user, %address, "login failed");
                sleep(self.shared.lockout.failed(user, address)).await;
                Err(Error::new(ErrorKind::InvalidPassword, format!("password authentication failed for user \"{user}\"")).into())
            }
        }
    }

    async fn send(&mut self, message: &impl pgwire::messages::Message) -> Result<(), Halt> {
        self.output.message(message)?;
        self.output.flush().await
    }

    async fn connect(&mut self, proved: Proved) -> Result<Session, Halt> {
        let Proved { backend, principal, parameters, minor } = proved;
        let resident = self.shared.limits.admit_session(&principal)?;
        let registration = self.shared.cancels.register(minor >= 2)?;
        let terminate = CancellationToken::new();
        let request = ConnectRequest {
            principal: Arc::clone(&principal),
            database: parameters.database.clone(),
            parameters: parameters.settings()?,
            pid: registration.pid(),
            client_address: self.peer,
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
