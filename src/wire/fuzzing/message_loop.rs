//! All that a client may say after its login.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::Case;
use crate::auth::lockout::Lockout;
use crate::auth::oidc::Issuers;
use crate::auth::rule::Rules;
use crate::auth::{AuthOptions, MockSecret};
use crate::wire::backend::{Backend, ConnectRequest};
use crate::wire::cancel::CancelRegistry;
use crate::wire::connection::Connection;
use crate::wire::double::Warehouse;
use crate::wire::frontend::MESSAGE_TYPES;
use crate::wire::limits::Limits;
use crate::wire::listener::Shared;
use crate::wire::options::WireOptions;
use crate::wire::transport::split;

/// Bytes that the pipe holds: small, so that the server also waits for a client that is slow to read.
const PIPE: usize = 1 << 10;
/// A connection whose client has gone ends at once; this long is a hang.
const HANG: Duration = Duration::from_secs(5);

thread_local! {
    static HOUSE: House = House::new();
}

/// Serves a client that is logged in, says `input` and hangs up. `input` is a list of messages: a type, a length of one byte, a body; what
/// follows the type 0 is sent as it is.
///
/// # Panics
/// If the server does not end the connection, or answers with anything but whole messages.
pub fn message_loop(input: &[u8]) {
    let answers = HOUSE.with(|house| house.runtime.block_on(house.answers(&messages(Case(input)))));
    check_frames(&answers);
}

/// Puts lengths into messages, which no mutation would get right.
fn messages(mut case: Case<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(kind) = case.byte() {
        let length = usize::from(case.byte().unwrap_or(0));
        let body = case.bytes(length);
        if kind != 0 {
            // A byte that is no type stands for one.
            let known = MESSAGE_TYPES.contains(&kind);
            bytes.push(if known { kind } else { MESSAGE_TYPES[usize::from(kind) % MESSAGE_TYPES.len()] });
            bytes.extend(u32::try_from(body.len() + 4).unwrap_or(u32::MAX).to_be_bytes());
        }
        bytes.extend(body);
    }
    bytes
}

fn check_frames(mut answers: &[u8]) {
    while let [kind, a, b, c, d, rest @ ..] = answers {
        let length = usize::try_from(u32::from_be_bytes([*a, *b, *c, *d])).unwrap() - 4;
        assert!(kind.is_ascii_alphanumeric() && length <= rest.len(), "a message {kind} of {length} bytes, {} left", rest.len());
        answers = &rest[length..];
    }
    assert!(answers.is_empty(), "{answers:?}");
}

/// All that a connection needs.
struct House {
    runtime: Runtime,
    shared: Arc<Shared>,
    warehouse: Arc<Warehouse>,
}

impl House {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (options, auth) = (WireOptions::default(), AuthOptions::default());
        let warehouse = Arc::new(Warehouse::default());
        let shared = Shared {
            limits: Limits::new(&options),
            cancels: CancelRegistry::new(options.cancels_per_second),
            lockout: Lockout::default(),
            kill: CancellationToken::new(),
            tls: None,
            rules: Rules::new(&auth).unwrap(),
            issuers: Issuers::new(&auth.issuer).unwrap(),
            mock_secret: MockSecret::random().unwrap(),
            backend: watch::channel(None).1,
            shutdown: CancellationToken::new(),
            options,
        };
        Self { runtime, shared: Arc::new(shared), warehouse }
    }

    async fn connection(&self, pipe: DuplexStream) -> Connection {
        let principal = self.warehouse.catalog().principal("ada").map(Arc::clone).unwrap();
        let registration = self.shared.cancels.register(false).unwrap();
        let resident = self.shared.limits.admit_session(&principal, false).unwrap();
        let terminate = CancellationToken::new();
        let request = ConnectRequest {
            principal,
            database: "main".into(),
            defaults: vec![],
            parameters: vec![],
            pid: registration.pid(),
            client_address: None,
            tls: false,
            terminate: terminate.clone(),
        };
        let session = self.warehouse.connect(request).await.unwrap();
        let (input, output) = split(Box::new(pipe), &self.shared.options);
        Connection::new(Arc::clone(&self.shared), session, input, output, registration, terminate, resident)
    }

    /// All that the server answers until it hangs up.
    async fn answers(&self, messages: &[u8]) -> Vec<u8> {
        let (here, there) = tokio::io::duplex(PIPE);
        let connection = self.connection(there).await;
        let (mut reader, mut writer) = tokio::io::split(here);
        let talk = async {
            // The server may hang up first.
            let _ = writer.write_all(messages).await;
            let _ = writer.shutdown().await;
        };
        let mut answers = Vec::new();
        let all = async { tokio::join!(connection.run(), talk, reader.read_to_end(&mut answers)) };
        let (.., read) = timeout(HANG, all).await.expect("the connection ends with its client");
        read.unwrap();
        answers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Types of the server's messages.
    fn kinds(input: &[u8]) -> String {
        let answers = HOUSE.with(|house| house.runtime.block_on(house.answers(&messages(Case(input)))));
        check_frames(&answers);
        let (mut kinds, mut rest) = (String::new(), answers.as_slice());
        while let [kind, a, b, c, d, ..] = rest {
            kinds.push(char::from(*kind));
            rest = &rest[1 + usize::try_from(u32::from_be_bytes([*a, *b, *c, *d])).unwrap()..];
        }
        kinds
    }

    #[test]
    fn a_client_that_is_logged_in_is_served_until_it_hangs_up() {
        assert_eq!(kinds(b""), "Z");
        assert_eq!(kinds(b"Q\x09select 5\0"), "ZTDCZ");
        assert_eq!(kinds(b"P\x0c\0select 5\0\0\0B\x08\0\0\0\0\0\0\0\0E\x05\0\0\0\0\0S\0X\0"), "Z12DCZ");
        assert_eq!(kinds(b"B\x02\0\0S\0"), "ZE");
        assert_eq!(kinds(b"Q\x08endless\0\0\x01Q").chars().take(3).collect::<String>(), "ZTD");
        assert_eq!(kinds(b"\0\x05Q\0\0\0\x01"), "ZE");
    }

    #[test]
    fn copy_data_is_taken_until_it_ends() {
        assert_eq!(kinds(b"Q\x07copyin\0d\x041\n2\nc\0S\0"), "ZGCZZ");
        assert_eq!(kinds(b"Q\x07copyin\0d\x02x\nc\0"), "ZGEZ");
        assert_eq!(kinds(b"Q\x07copyin\0d\x021\n"), "ZG");
    }
}
