//! The accept loop, and how the door closes.
//!
//! ```text
//!  accept ─▶ place for a visitor? ─▶ task: startup::open ─▶ Connection::run
//!  shutdown ─▶ no more accepts; idle sessions end (57P01); running statements go on ─▶ grace over ─▶ they are cancelled, sessions end
//! ```
//! The door is open before the warehouse is: until [`Door::backend`] holds one, clients read 57P03.

use std::sync::Arc;
use std::time::Duration;

use metrics::counter;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::time::{interval, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, error, info, warn};

use super::backend::Backend;
use super::cancel::CancelRegistry;
use super::limits::{Limits, Visitor};
use super::local::LocalDoor;
use super::options::WireOptions;
use super::peer::Peer;
use super::startup;
use super::tls::Tls;
use crate::auth::MockSecret;
use crate::auth::lockout::Lockout;
use crate::auth::oidc::Issuers;
use crate::auth::rule::Rules;

/// What the door needs to open.
#[derive(Debug)]
pub struct Door {
    /// How it behaves; checked already.
    pub options: WireOptions,
    /// The certificate, if there is one.
    pub tls: Option<Arc<Tls>>,
    /// The Unix socket, if there is one.
    pub local: Option<LocalDoor>,
    /// How clients prove who they are.
    pub rules: Rules,
    /// Who signs tokens.
    pub issuers: Issuers,
    /// Key of the salts for names that do not exist.
    pub mock_secret: MockSecret,
    /// The warehouse; `None` while it starts.
    pub backend: watch::Receiver<Option<Arc<dyn Backend>>>,
    /// Closes the door: idle sessions end, running statements have the grace period.
    pub shutdown: CancellationToken,
    /// Ends every session at once.
    pub kill: CancellationToken,
    /// Holds every task of the door.
    pub tracker: TaskTracker,
}

impl std::fmt::Debug for dyn Backend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Backend")
    }
}

/// What all connections share.
pub(super) struct Shared {
    pub(super) options: WireOptions,
    pub(super) tls: Option<Arc<Tls>>,
    pub(super) rules: Rules,
    pub(super) issuers: Issuers,
    pub(super) mock_secret: MockSecret,
    pub(super) backend: watch::Receiver<Option<Arc<dyn Backend>>>,
    pub(super) limits: Arc<Limits>,
    pub(super) cancels: Arc<CancelRegistry>,
    pub(super) lockout: Lockout,
    /// Idle sessions end.
    pub(super) shutdown: CancellationToken,
    /// Every session ends.
    pub(super) kill: CancellationToken,
}

/// After the grace period: how long cancelled statements may take to notice.
const LAST_WAIT: Duration = Duration::from_secs(10);
/// Rest after an accept that failed, for instance for want of file descriptors.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// Serves the PostgreSQL protocol until `door.shutdown` is cancelled and the sessions have ended.
///
/// Returns after at most the grace period and a few seconds.
pub async fn serve(listener: TcpListener, door: Door) {
    let shared = Arc::new(Shared {
        limits: Limits::new(&door.options),
        cancels: CancelRegistry::new(door.options.cancels_per_second),
        lockout: Lockout::default(),
        kill: door.kill,
        tls: door.tls,
        rules: door.rules,
        issuers: door.issuers,
        mock_secret: door.mock_secret,
        backend: door.backend,
        shutdown: door.shutdown,
        options: door.options,
    });
    if let Some(tls) = &shared.tls {
        door.tracker.spawn(watch_certificate(Arc::clone(tls), shared.options.tls.reload_interval.0, shared.shutdown.clone()));
    }
    // Counted from the start, so that who watches it can tell "none" from "not watched".
    counter!("lakehold_wire_panics_total").absolute(0);
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = shared.shutdown.cancelled() => break,
            accepted = listener.accept() => accepted.map(|(socket, peer)| Accepted::Network(socket, Peer::Network(peer))),
            accepted = accept_local(door.local.as_ref()) => accepted.map(Accepted::Local),
        };
        match accepted {
            Ok(accepted) => {
                let task = connections.track_future(connection(accepted, Arc::clone(&shared)));
                door.tracker.spawn(task);
            }
            Err(error) => {
                warn!(%error, "cannot accept connections");
                tokio::time::sleep(ACCEPT_REST).await;
            }
        }
    }
    drop((listener, door.local));
    connections.close();
    drain(&connections, &shared).await;
}

/// Waits for the sessions, then stops waiting.
async fn drain(connections: &TaskTracker, shared: &Shared) {
    info!(connections = connections.len(), "closing the PostgreSQL door");
    tokio::select! {
        () = connections.wait() => return,
        () = tokio::time::sleep(shared.options.shutdown_grace.0) => {}
        () = shared.kill.cancelled() => {}
    }
    warn!(connections = connections.len(), "cancelling what runs");
    shared.kill.cancel();
    if timeout(LAST_WAIT, connections.wait()).await.is_err() {
        error!(connections = connections.len(), "sessions did not end");
    }
}

async fn watch_certificate(tls: Arc<Tls>, every: Duration, shutdown: CancellationToken) {
    let mut ticks = interval(every.max(Duration::from_millis(100)));
    while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
        tls.reload_if_changed();
    }
}

/// A connection that nobody has looked at.
enum Accepted {
    Network(TcpStream, Peer),
    Local(UnixStream),
}

async fn accept_local(door: Option<&LocalDoor>) -> std::io::Result<UnixStream> {
    match door {
        Some(door) => door.accept().await,
        None => std::future::pending().await,
    }
}

async fn connection(accepted: Accepted, shared: Arc<Shared>) {
    counter!("lakehold_wire_connections_total").increment(1);
    let configured = match &accepted {
        Accepted::Network(socket, peer) => configure(socket, &shared.options).map(|()| peer.clone()),
        Accepted::Local(socket) => Peer::of(socket),
    };
    let peer = match configured {
        Ok(peer) => peer,
        Err(error) => {
            debug!(%error, "connection was gone at once");
            return;
        }
    };
    let visitor: Visitor = match shared.limits.admit(peer.key()) {
        Ok(visitor) => visitor,
        Err(error) => {
            match accepted {
                Accepted::Network(mut socket, _) => startup::refuse(&mut socket, &error).await,
                Accepted::Local(mut socket) => startup::refuse(&mut socket, &error).await,
            }
            return;
        }
    };
    let open = async {
        match accepted {
            Accepted::Network(socket, peer) => startup::open(socket, peer, &shared, visitor).await,
            Accepted::Local(socket) => startup::open_local(socket, peer, &shared, visitor).await,
        }
    };
    let opening = tokio::select! {
        opened = Box::pin(open) => opened,
        () = shared.kill.cancelled() => None,
    };
    if let Some(connection) = opening {
        Box::pin(connection.run()).await;
    }
}

fn configure(socket: &TcpStream, options: &WireOptions) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new().with_time(options.keepalive_idle.0);
    #[cfg(any(target_os = "linux", target_os = "macos", target_os = "freebsd"))]
    let keepalive = keepalive.with_interval(options.keepalive_interval.0).with_retries(options.keepalive_count);
    SockRef::from(socket).set_tcp_keepalive(&keepalive)
}
