//! What can be configured about the PostgreSQL door.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::units::{ByteSize, HumanDuration};

/// The PostgreSQL door.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WireOptions {
    /// Sessions at a time, over all users.
    pub max_connections: usize,
    /// Of those, sessions that only administrators get.
    pub reserved_connections: usize,
    /// Sessions at a time of one user, unless CONNECTION LIMIT says otherwise.
    pub connections_per_user: usize,
    /// Connections at a time that have not logged in yet.
    pub unauthenticated_connections: usize,
    /// Of those, connections from one address.
    pub unauthenticated_per_address: usize,
    /// From the first byte to a finished login.
    pub authentication_timeout: HumanDuration,
    /// Of that, for the TLS handshake.
    pub handshake_timeout: HumanDuration,
    /// From the first byte of a message to its last; a second more for each mebibyte of it.
    pub message_timeout: HumanDuration,
    /// How long a client may take no byte of a result.
    pub write_timeout: HumanDuration,
    /// Silence after which TCP asks whether the client is still there.
    pub keepalive_idle: HumanDuration,
    /// Time between such questions.
    pub keepalive_interval: HumanDuration,
    /// Unanswered questions after which the connection is given up.
    pub keepalive_count: u32,
    /// Ends a session that sits in an open transaction, unless `idle_in_transaction_session_timeout` says otherwise; `0s` never.
    pub idle_in_transaction_timeout: HumanDuration,
    /// Largest statement text: 16 MiB at most.
    pub query_size: ByteSize,
    /// Largest Bind message: all parameters of one execution.
    pub bind_size: ByteSize,
    /// Bytes of a result that are gathered before they are sent.
    pub flush_size: ByteSize,
    /// Prepared statements of one session.
    pub prepared_statements: usize,
    /// Open portals of one session.
    pub portals: usize,
    /// Cancel requests a second from one address; more are not looked at.
    pub cancels_per_second: u32,
    /// At shutdown: how long running statements may go on before they are cancelled.
    pub shutdown_grace: HumanDuration,
    /// Encryption.
    pub tls: TlsOptions,
}

impl WireOptions {
    /// What sessions begin with unless anybody says otherwise.
    pub(super) fn session_defaults(&self) -> Vec<(String, String)> {
        let longest = Duration::from_millis(i32::MAX.unsigned_abs().into());
        let idle = self.idle_in_transaction_timeout.0.min(longest);
        vec![("idle_in_transaction_session_timeout".to_string(), format!("{}ms", idle.as_millis()))]
    }
}

impl Default for WireOptions {
    fn default() -> Self {
        Self {
            max_connections: 200,
            reserved_connections: 3,
            connections_per_user: 100,
            unauthenticated_connections: 100,
            unauthenticated_per_address: 20,
            authentication_timeout: HumanDuration::secs(10),
            handshake_timeout: HumanDuration::secs(5),
            message_timeout: HumanDuration::secs(30),
            write_timeout: HumanDuration::secs(60),
            keepalive_idle: HumanDuration::secs(60),
            keepalive_interval: HumanDuration::secs(10),
            keepalive_count: 6,
            idle_in_transaction_timeout: HumanDuration::secs(600),
            query_size: ByteSize::mib(1),
            bind_size: ByteSize::mib(64),
            flush_size: ByteSize::kib(64),
            prepared_statements: 1_000,
            portals: 100,
            cancels_per_second: 5,
            shutdown_grace: HumanDuration::secs(30),
            tls: TlsOptions::default(),
        }
    }
}

/// Encryption of the PostgreSQL door: TLS 1.2 and 1.3.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsOptions {
    /// PEM file with the certificate chain, the server's own first. Without it there is no TLS.
    pub certificate: Option<PathBuf>,
    /// PEM file with the private key; only the server's user may read it.
    pub key: Option<PathBuf>,
    /// PEM file with the authorities whose certificates clients may show; without it no client is asked for one.
    pub client_ca: Option<PathBuf>,
    /// Who must encrypt.
    pub required: TlsRequirement,
    /// How often the files are looked at for a change.
    pub reload_interval: HumanDuration,
}

impl Default for TlsOptions {
    fn default() -> Self {
        Self {
            certificate: None,
            key: None,
            client_ca: None,
            required: TlsRequirement::Remote,
            reload_interval: HumanDuration::secs(10),
        }
    }
}

/// Who must encrypt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TlsRequirement {
    /// Nobody.
    Nobody,
    /// Clients from other machines.
    Remote,
    /// Everybody.
    Everybody,
}

/// Largest statement text that can be configured.
const MAXIMUM_QUERY_SIZE: ByteSize = ByteSize::mib(16);
/// Largest Bind message that can be configured: the protocol's own limit.
const MAXIMUM_BIND_SIZE: ByteSize = ByteSize::mib(1023);

impl WireOptions {
    /// Checks what the types alone do not.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] naming the key.
    pub fn validate(&self) -> Result<()> {
        let wrong = |key: &str, why: &str| Err(Error::new(ErrorKind::Config, format!("wire.{key} {why}")));
        if self.query_size > MAXIMUM_QUERY_SIZE || self.query_size < ByteSize::kib(1) {
            return wrong("query_size", "must be from 1KiB to 16MiB");
        }
        if self.bind_size > MAXIMUM_BIND_SIZE || self.bind_size < ByteSize::kib(1) {
            return wrong("bind_size", "must be from 1KiB to 1023MiB");
        }
        if self.flush_size < ByteSize::kib(1) || self.flush_size > ByteSize::mib(16) {
            return wrong("flush_size", "must be from 1KiB to 16MiB");
        }
        if self.max_connections <= self.reserved_connections {
            return wrong("max_connections", "must be more than wire.reserved_connections");
        }
        if self.unauthenticated_connections == 0 || self.unauthenticated_per_address == 0 {
            return wrong("unauthenticated_connections", "and wire.unauthenticated_per_address must be at least 1");
        }
        if self.tls.certificate.is_some() != self.tls.key.is_some() {
            return wrong("tls", "needs both certificate and key, or neither");
        }
        if self.tls.certificate.is_none() && self.tls.required == TlsRequirement::Everybody {
            return wrong("tls.required", "is \"everybody\", but there is no wire.tls.certificate");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid_and_unknown_keys_are_not() {
        WireOptions::default().validate().unwrap();
        let options: WireOptions = toml::from_str("query_size = \"2MiB\"\n[tls]\nrequired = \"nobody\"").unwrap();
        assert_eq!((options.query_size, options.tls.required), (ByteSize::mib(2), TlsRequirement::Nobody));
        assert!(toml::from_str::<WireOptions>("max_conections = 1").is_err());
    }

    #[test]
    fn contradictions_are_named() {
        let options = WireOptions { query_size: ByteSize::mib(17), ..WireOptions::default() };
        assert_eq!(options.validate().unwrap_err().message(), "wire.query_size must be from 1KiB to 16MiB");
        let tls = TlsOptions { required: TlsRequirement::Everybody, ..TlsOptions::default() };
        assert!(WireOptions { tls, ..WireOptions::default() }.validate().is_err());
    }
}
