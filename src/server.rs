//! Composition root: builds the rooms bottom-up, opens the doors, drains.
//!
//! ```text
//!  bind both ports ──▶ open rooms ──▶ prepare (first start, sample data) ──▶ ready ──▶ SIGTERM ──▶ drain ──▶ close the metastore
//!        │ answers 57P03, /ready 503                                          │          │ second SIGTERM: cancel at once
//! ```
//! Every task is spawned through [`Tasks`]; none outlives it.

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::auth::verifier::DEFAULT_ITERATIONS;
use crate::catalog::Metastore;
use crate::command::TemporaryStorage;
use crate::config::Config;
use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::functions::Functions;
use crate::lake::Lake;
use crate::session::Services;
use crate::storage::Storage;
use crate::wire::Warehouse;
use crate::wire::backend::Backend;
use crate::{auth, config, http, telemetry, wire};

/// Every task of the process, and the two ways to end them.
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    /// Counts what runs.
    pub tracker: TaskTracker,
    /// Cancelled when no new work is taken.
    pub stop: CancellationToken,
    /// Cancelled when running work is to end at once.
    pub abort: CancellationToken,
}

impl Tasks {
    /// Spawns a task that [`Tasks::drain`] waits for.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tracker.spawn(task);
    }

    /// Takes no new work, waits for what runs, at most `grace`, then cancels it.
    pub async fn drain(&self, grace: Duration) {
        self.stop.cancel();
        self.tracker.close();
        let finished = tokio::select! {
            () = self.tracker.wait() => true,
            () = tokio::time::sleep(grace) => false,
            () = self.abort.cancelled() => false,
        };
        if !finished {
            self.abort.cancel();
            if tokio::time::timeout(ABORT_GRACE, self.tracker.wait()).await.is_err() {
                tracing::warn!("{} tasks did not end in time", self.tracker.len());
            }
        }
    }
}

/// How long cancelled tasks may take to end.
const ABORT_GRACE: Duration = Duration::from_secs(5);

/// What to serve.
#[derive(Debug)]
pub struct ServerOptions {
    /// Configuration.
    pub config: Config,
    /// Where metastore, managed tables, spill files and certificates live.
    pub data_dir: PathBuf,
    /// Password of the administrator, if the data directory is empty.
    pub admin_password: Option<crate::catalog::securable::Secret<String>>,
}

/// Runs a server until it is told to stop.
///
/// `prepare` runs once the rooms are open and before the first session; clients read 57P03 meanwhile.
///
/// # Errors
/// Whatever keeps the server from starting.
pub async fn run<F, P>(options: ServerOptions, prepare: F) -> Result<()>
where
    F: FnOnce(Arc<Services>) -> P,
    P: Future<Output = Result<()>>,
{
    let metrics = telemetry::start(&options.config.telemetry)?;
    let tasks = Tasks::default();
    watch_signals(&tasks)?;
    let postgres = listen(options.config.listen.postgres).await?;
    let http = listen(options.config.listen.http).await?;
    let addresses = (local_address(&postgres)?, local_address(&http)?);
    let (ready, ready_watch) = watch::channel(None);
    let (services_slot, services_watch) = watch::channel(None);
    let local = options.config.listen.unix_socket.as_deref().map(|directory| wire::LocalDoor::open(directory, addresses.0.port()));
    let door = door(&options, &tasks, local.transpose()?, services_watch)?;
    tasks.spawn(wire::serve(postgres, door));
    let http_stop = CancellationToken::new();
    let http_task = http::serve(http, ready_watch, metrics, http_stop.clone());
    let http_task = TaskTracker::new().spawn(http_task);

    let outcome = serve(&options, &tasks, prepare, services_slot, &ready, addresses).await;
    let _ = ready.send(None);
    tasks.drain(options.config.wire.shutdown_grace.0).await;
    http_stop.cancel();
    let _ = http_task.await;
    if let Ok(services) = &outcome {
        services.lake.close().await;
        services.metastore.close().await;
    }
    outcome.map(|_| ())
}

async fn serve<F, P>(
    options: &ServerOptions,
    tasks: &Tasks,
    prepare: F,
    slot: watch::Sender<Option<Arc<dyn Backend>>>,
    ready: &watch::Sender<Option<Arc<Engine>>>,
    (postgres, http): (SocketAddr, SocketAddr),
) -> Result<Arc<Services>>
where
    F: FnOnce(Arc<Services>) -> P,
    P: Future<Output = Result<()>>,
{
    let services = open(options, tasks).await?;
    let _ = services.postgres.set(postgres);
    tokio::select! {
        prepared = prepare(Arc::clone(&services)) => prepared?,
        () = tasks.stop.cancelled() => return Ok(services),
    }
    let _ = slot.send(Some(Arc::new(Warehouse(Arc::clone(&services)))));
    let _ = ready.send(Some(Arc::clone(&services.engine)));
    println!("lakehold ready: postgres={postgres} http={http}");
    tasks.stop.cancelled().await;
    Ok(services)
}

/// The PostgreSQL door. Without a configured certificate it makes one for this data directory, so that TLS is always there.
fn door(
    options: &ServerOptions,
    tasks: &Tasks,
    local: Option<wire::LocalDoor>,
    backend: watch::Receiver<Option<Arc<dyn Backend>>>,
) -> Result<wire::Door> {
    let mut wire_options = options.config.wire.clone();
    create_private_dir(&options.data_dir)?;
    if wire_options.tls.certificate.is_none() {
        let names = ["localhost".to_string(), "127.0.0.1".to_string()];
        let (certificate, key) = wire::self_signed(&options.data_dir.join("tls"), &names)?;
        (wire_options.tls.certificate, wire_options.tls.key) = (Some(certificate), Some(key));
    }
    wire_options.validate()?;
    Ok(wire::Door {
        tls: wire::Tls::load(&wire_options.tls)?,
        local,
        rules: auth::rule::Rules::new(&options.config.auth)?,
        issuers: auth::oidc::Issuers::new(&options.config.auth.issuer)?,
        mock_secret: auth::MockSecret::load_or_create(&options.data_dir.join("mock-secret"))?,
        options: wire_options,
        backend,
        shutdown: tasks.stop.clone(),
        kill: tasks.abort.clone(),
        tracker: tasks.tracker.clone(),
    })
}

/// Opens the rooms on a data directory, which is created and given its administrator if it is empty.
///
/// # Errors
/// [`ErrorKind::Config`] if the administrator's first password is missing or too short, [`ErrorKind::ObjectInUse`] if another process
/// has the data directory.
pub async fn open(options: &ServerOptions, tasks: &Tasks) -> Result<Arc<Services>> {
    let config = &options.config;
    let data_dir = options.data_dir.as_path();
    let metastore = Metastore::open(data_dir, &config.catalog).await?;
    if !metastore.is_initialised() {
        initialise(&metastore, options).await?;
    }
    crate::command::settle_doubtful_texts(&metastore).await;
    let io = tokio::runtime::Handle::current();
    let storage = Storage::new(&config.storage, io.clone())?;
    let lake = Lake::new(&config.lake, storage, io)?;
    let mut engine_options = config.engine.clone();
    engine_options.spill_directory = data_dir.join(&engine_options.spill_directory);
    let engine = Engine::new(&engine_options, lake.object_store_registry())?;
    crate::command::remove_orphans(&metastore, &lake).await;
    Ok(Arc::new(Services {
        metastore,
        lake,
        engine,
        functions: Functions::new(),
        limits: config.limits.clone(),
        managed_root: format!("file://{}", data_dir.join("tables").display()),
        temporary: temporary_storage(data_dir, &config.session)?,
        tracker: tasks.tracker.clone(),
        sessions: crate::session::registry::Sessions::default(),
        locks: crate::session::locks::Locks::default(),
        channels: crate::session::channels::Channels::default(),
        postgres: std::sync::OnceLock::new(),
    }))
}

/// An empty directory for temporary tables: what an earlier process left there is nobody's.
fn temporary_storage(data_dir: &std::path::Path, options: &crate::session::SessionOptions) -> Result<Arc<TemporaryStorage>> {
    let directory = data_dir.join("temporary");
    match std::fs::remove_dir_all(&directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(Error::new(ErrorKind::Io, "cannot empty the directory for temporary tables").with_source(error));
        }
        _ => create_private_dir(&directory)?,
    }
    Ok(TemporaryStorage::new(format!("file://{}", directory.display()), options.temporary_tables))
}

/// The name of the first administrator.
pub const ADMINISTRATOR: &str = "admin";

async fn initialise(metastore: &Metastore, options: &ServerOptions) -> Result<()> {
    let missing = || {
        Error::new(ErrorKind::Config, "the data directory is empty and no administrator password is given")
            .with_hint("Set LAKEHOLD_ADMIN_PASSWORD, or bootstrap.admin_password_file, to at least 12 characters.")
    };
    let password = match &options.admin_password {
        Some(password) => password.clone(),
        None => config::admin_password(&options.config.bootstrap)?.ok_or_else(missing)?,
    };
    if password.expose().chars().count() < 12 {
        return Err(Error::new(ErrorKind::Config, "the administrator password is shorter than 12 characters"));
    }
    let verifier = auth::verifier::Verifier::from_password(password.expose(), DEFAULT_ITERATIONS)?.to_string();
    metastore.initialise(ADMINISTRATOR, verifier).await
}

fn create_private_dir(path: &std::path::Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| Error::new(ErrorKind::Config, format!("cannot create {}: {error}", path.display())))
}

async fn listen(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| Error::new(ErrorKind::Config, format!("cannot listen on {address}: {error}")))
}

fn local_address(listener: &TcpListener) -> Result<SocketAddr> {
    listener.local_addr().map_err(|error| Error::new(ErrorKind::Io, "a listener has no address").with_source(error))
}

/// SIGTERM or SIGINT drains; a second one cancels at once.
fn watch_signals(tasks: &Tasks) -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let unavailable = |error| Error::new(ErrorKind::Io, "signals cannot be watched").with_source(error);
    let mut terminate = signal(SignalKind::terminate()).map_err(unavailable)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(unavailable)?;
    let (stop, abort) = (tasks.stop.clone(), tasks.abort.clone());
    // Not tracked: it waits for signals for as long as the process lives.
    let watcher = TaskTracker::new();
    watcher.spawn(async move {
        for token in [stop, abort] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            token.cancel();
        }
    });
    Ok(())
}
