//! The whole door over a real socket, with a warehouse that only knows the statements of these tests.

mod auth;
mod client;
mod copy_in;
mod extended;
mod interruption;
mod limits;
mod simple;
mod startup;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::client::Client;
use super::backend::Backend;
use super::double::Warehouse;
use super::listener::{Door, serve};
use super::local::LocalDoor;
use super::options::WireOptions;
use super::tls::{Tls, self_signed};
use crate::auth::oidc::Issuers;
use crate::auth::rule::Rules;
use crate::auth::{AuthOptions, MockSecret};

/// A door that is open for one test.
struct Server {
    address: SocketAddr,
    warehouse: Arc<Warehouse>,
    ready: watch::Sender<Option<Arc<dyn Backend>>>,
    shutdown: CancellationToken,
    tracker: TaskTracker,
    certificate: Option<PathBuf>,
    directory: tempfile::TempDir,
}

impl Server {
    async fn start() -> Self {
        Self::with(WireOptions::default(), false).await
    }

    async fn with(options: WireOptions, encrypt: bool) -> Self {
        Self::with_rules(options, encrypt, AuthOptions::default()).await
    }

    /// Also listens on a Unix socket, below the server's directory.
    async fn with_rules(mut options: WireOptions, encrypt: bool, auth: AuthOptions) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut certificate = None;
        if encrypt {
            let (chain, key) = self_signed(directory.path(), &["localhost".into()]).unwrap();
            certificate = Some(chain.clone());
            (options.tls.certificate, options.tls.key) = (Some(chain), Some(key));
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let warehouse = Arc::new(Warehouse::default());
        let (ready, backend) = watch::channel(Some(Arc::clone(&warehouse) as Arc<dyn Backend>));
        let (shutdown, tracker) = (CancellationToken::new(), TaskTracker::new());
        let door = Door {
            tls: Tls::load(&options.tls).unwrap(),
            options,
            local: Some(LocalDoor::open(&directory.path().join("run"), address.port()).unwrap()),
            rules: Rules::new(&auth).unwrap(),
            issuers: Issuers::new(&auth.issuer).unwrap(),
            mock_secret: MockSecret::random().unwrap(),
            backend,
            shutdown: shutdown.clone(),
            kill: CancellationToken::new(),
            tracker: tracker.clone(),
        };
        tracker.spawn(serve(listener, door));
        Self { address, warehouse, ready, shutdown, tracker, certificate, directory }
    }

    /// A client that is logged in.
    async fn client(&self) -> Client {
        Client::login(self.address, "ada").await
    }

    /// Closes the door and waits for every task.
    async fn stop(self) {
        self.shutdown.cancel();
        self.tracker.close();
        tokio::time::timeout(Duration::from_secs(5), self.tracker.wait()).await.unwrap();
    }
}
