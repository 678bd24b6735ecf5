//! From an accepted socket to a session: encryption, protocol version, login, start-up parameters.
//!
//! ```text
//!  socket ─▶ [TLS at once | SSLRequest ─▶ S ─▶ TLS | N] ─▶ [CancelRequest ─▶ over] ─▶ start-up packet
//!         ─▶ [NegotiateProtocolVersion] ─▶ rule ─▶ proof ─▶ AuthenticationOk ─▶ Backend::connect ─▶ ParameterStatus.. BackendKeyData ReadyForQuery
//! ```
//! Packets before encryption are read as long as they say they are and not a byte more, so nothing sent in clear is ever taken for
//! something sent encrypted. Everything up to the login has one deadline, and is small.

mod login;
mod parameters;
mod prove;

use std::io::ErrorKind as IoErrorKind;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::FutureExt;
use pgwire::messages::Message as _;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, timeout, timeout_at};
use tracing::debug;

use self::login::Login;
pub use self::login::SERVER_VERSION;
use super::connection::Connection;
use super::error::{Extent, Halt, error_response};
use super::frontend::{Malformed, Opening, Startup};
use super::limits::Visitor;
use super::listener::Shared;
use super::peer::Peer;
use super::tls::{ALPN, Identity, Tls, names_of};
use super::transport::{Stream, split};
use crate::error::Error;

/// Largest first packet, PostgreSQL's own bound.
const STARTUP_SIZE: usize = 10_000;
/// First byte of a TLS handshake.
const TLS_HANDSHAKE: u8 = 0x16;

/// Brings a connection from its first byte to its session. `None` if it was over before that.
pub(super) async fn open(socket: TcpStream, peer: Peer, shared: &Arc<Shared>, visitor: Visitor) -> Option<Connection> {
    let deadline = Instant::now() + shared.options.authentication_timeout.0;
    // A peer that does not finish its first packet reads nothing either: no error for it.
    let opened = timeout_at(deadline, negotiate(socket, &peer, shared)).await.ok()??;
    Box::pin(log_in(opened, peer, shared, deadline, visitor)).await
}

/// The same over the Unix socket, which is never encrypted.
pub(super) async fn open_local(mut socket: UnixStream, peer: Peer, shared: &Arc<Shared>, visitor: Visitor) -> Option<Connection> {
    let deadline = Instant::now() + shared.options.authentication_timeout.0;
    // What comes early does no harm where there is no encryption to be slipped into.
    let negotiated = timeout_at(deadline, in_clear(&mut socket, &peer, shared, None, |_| Ok(()))).await.ok()?;
    let startup = told(&mut socket, negotiated).await.and_then(|step| match step {
        Step::Startup(startup) => Some(startup),
        Step::Encrypt { .. } | Step::Over => None,
    })?;
    let opened = Opened { stream: Box::new(socket), identity: None, certificate_names: None, startup };
    Box::pin(log_in(opened, peer, shared, deadline, visitor)).await
}

async fn log_in(opened: Opened, peer: Peer, shared: &Arc<Shared>, deadline: Instant, visitor: Visitor) -> Option<Connection> {
    let Opened { stream, identity, certificate_names, startup } = opened;
    let (input, output) = split(stream, &shared.options);
    let login = Login { shared, peer, identity, certificate_names, counted_as: None, input, output };
    login.run(startup, deadline, visitor).await
}

/// A connection whose start-up packet has come.
struct Opened {
    stream: Stream,
    /// The certificate that encrypts it.
    identity: Option<Arc<Identity>>,
    /// Names in the client's certificate, if it has shown one.
    certificate_names: Option<Vec<String>>,
    startup: Startup,
}

/// What the packets in clear led to.
enum Step {
    Startup(Startup),
    /// `direct`: without an SSLRequest, which ALPN must make up for.
    Encrypt {
        direct: bool,
        identity: Arc<Identity>,
    },
    Over,
}

async fn negotiate(mut socket: TcpStream, peer: &Peer, shared: &Shared) -> Option<Opened> {
    let step = first_step(&mut socket, peer, shared).await;
    match told(&mut socket, step).await? {
        Step::Startup(startup) => Some(Opened { stream: Box::new(socket), identity: None, certificate_names: None, startup }),
        Step::Encrypt { direct, identity } => encrypted(socket, identity, direct, peer, shared).await,
        Step::Over => None,
    }
}

/// Tells the peer why there is no next step.
async fn told(socket: &mut (impl AsyncRead + AsyncWrite + Unpin), step: Result<Step, Halt>) -> Option<Step> {
    match step {
        Ok(step) => Some(step),
        Err(Halt::Gone) => None,
        Err(Halt::Fatal(error) | Halt::Failed { error, .. }) => {
            refuse(socket, &error).await;
            None
        }
    }
}

async fn first_step(socket: &mut TcpStream, peer: &Peer, shared: &Shared) -> Result<Step, Halt> {
    let mut first = [0];
    if socket.peek(&mut first).await? == 0 {
        return Err(Halt::Gone);
    }
    if first == [TLS_HANDSHAKE] {
        let tls = shared.tls.as_ref().ok_or(Halt::Gone)?;
        return Ok(Step::Encrypt { direct: true, identity: tls.current() });
    }
    in_clear(socket, peer, shared, shared.tls.as_deref(), refuse_early_bytes).await
}

/// The packets in clear. `check_early` looks for what has come before our answer.
async fn in_clear<S: AsyncRead + AsyncWrite + Unpin>(
    socket: &mut S,
    peer: &Peer,
    shared: &Shared,
    tls: Option<&Tls>,
    check_early: impl Fn(&S) -> Result<(), Halt>,
) -> Result<Step, Halt> {
    let (mut asked_tls, mut asked_gss) = (false, false);
    loop {
        match read_opening(socket).await? {
            Opening::Tls if !asked_tls => {
                asked_tls = true;
                check_early(socket)?;
                if let Some(tls) = tls {
                    socket.write_all(b"S").await?;
                    return Ok(Step::Encrypt { direct: false, identity: tls.current() });
                }
                socket.write_all(b"N").await?;
            }
            Opening::Gss if !asked_gss => {
                asked_gss = true;
                check_early(socket)?;
                socket.write_all(b"N").await?;
            }
            Opening::Tls | Opening::Gss => return Err(Halt::protocol("encryption was asked for twice")),
            Opening::Cancel { pid, key } => {
                shared.cancels.cancel(pid, &key, peer.key());
                return Ok(Step::Over);
            }
            Opening::Startup(startup) => return Ok(Step::Startup(startup)),
        }
    }
}

/// Whoever sends more before our answer has not waited for it: it may be somebody in the middle.
fn refuse_early_bytes(socket: &TcpStream) -> Result<(), Halt> {
    match socket.peek(&mut [0]).now_or_never() {
        Some(Ok(0)) => Err(Halt::Gone),
        Some(Ok(_)) => Err(Halt::protocol("received unencrypted data after SSL request")),
        Some(Err(error)) if error.kind() != IoErrorKind::WouldBlock => Err(Halt::Gone),
        Some(Err(_)) | None => Ok(()),
    }
}

async fn encrypted(socket: TcpStream, identity: Arc<Identity>, direct: bool, peer: &Peer, shared: &Shared) -> Option<Opened> {
    let handshake = timeout(shared.options.handshake_timeout.0, identity.acceptor.accept(socket)).await.ok()?;
    let mut stream = match handshake {
        Ok(stream) => stream,
        Err(error) => {
            debug!(%peer, %error, "TLS handshake failed");
            return None;
        }
    };
    if direct && stream.get_ref().1.alpn_protocol() != Some(ALPN) {
        debug!(%peer, "direct TLS without ALPN refused");
        return None;
    }
    let error = match read_opening(&mut stream).await {
        Ok(Opening::Startup(startup)) => {
            let certificate_names = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first()).map(names_of);
            return Some(Opened { stream: Box::new(stream), identity: Some(identity), certificate_names, startup });
        }
        Ok(Opening::Cancel { pid, key }) => {
            shared.cancels.cancel(pid, &key, peer.key());
            // The peer may be gone already.
            let _ = stream.shutdown().await;
            return None;
        }
        Ok(Opening::Tls | Opening::Gss) => Halt::protocol("encryption was asked for twice"),
        Err(halt) => halt,
    };
    if let Halt::Fatal(error) | Halt::Failed { error, .. } = error {
        let (_, mut output) = split(Box::new(stream), &shared.options);
        if output.message(&error_response(&error, Extent::Connection, None)).is_ok() {
            output.close().await;
        }
    }
    None
}

/// Reads one packet without a type, and not a byte more.
async fn read_opening(stream: &mut (impl AsyncRead + Unpin)) -> Result<Opening, Halt> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).await?;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if !(8..=STARTUP_SIZE).contains(&length) {
        return Err(Halt::protocol("invalid length of startup packet"));
    }
    let mut body = vec![0; length - 4];
    stream.read_exact(&mut body).await?;
    Opening::decode(Bytes::from(body)).map_err(|Malformed(message)| Halt::protocol(message))
}

/// Writes an error to a connection in clear that has no session, and closes it in a way that lets the peer read it.
pub(super) async fn refuse(socket: &mut (impl AsyncRead + AsyncWrite + Unpin), error: &Error) {
    let mut bytes = BytesMut::new();
    if error_response(error, Extent::Connection, None).encode(&mut bytes).is_err() {
        return;
    }
    let farewell = async {
        socket.write_all(&bytes).await?;
        socket.shutdown().await?;
        // Closing with unread bytes would reset the connection and take the error with it.
        let mut rest = [0; 1024];
        for _ in 0..64 {
            if socket.read(&mut rest).await? == 0 {
                break;
            }
        }
        std::io::Result::Ok(())
    };
    let _ = timeout(Duration::from_secs(1), farewell).await;
}
