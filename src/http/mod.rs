//! Door: health and metrics over HTTP.
//!
//! ```text
//! GET /health   200 while the process lives
//! GET /ready    200 when the PostgreSQL port serves sessions and a worker and a planner take work; 503 before that, while draining and
//!               when none of them has answered in time
//! GET /metrics  Prometheus text
//! ```
//! Knows no table and no principal: nothing here needs a login, so nothing here says what the warehouse holds. The handlers run on the
//! I/O runtime and answer while every core is busy with queries; `/ready` does so within [`PATIENCE`].

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};

/// How long an engine that serves may take for nothing at all.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Clone)]
struct Doors {
    ready: watch::Receiver<Option<Arc<Engine>>>,
    metrics: PrometheusHandle,
}

/// Serves until `stop` is cancelled. `ready` holds the engine while sessions are served.
///
/// # Errors
/// [`ErrorKind::Io`] if the listener fails.
pub async fn serve(
    listener: TcpListener,
    ready: watch::Receiver<Option<Arc<Engine>>>,
    metrics: PrometheusHandle,
    stop: CancellationToken,
) -> Result<()> {
    let routes = Router::new()
        .route("/health", get(|| async { "ok\n" }))
        .route("/ready", get(is_ready))
        .route("/metrics", get(|State(doors): State<Doors>| async move { doors.metrics.render() }))
        .with_state(Doors { ready, metrics });
    axum::serve(listener, routes)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
        .map_err(|error| Error::new(ErrorKind::Io, "the HTTP listener failed").with_source(error))
}

async fn is_ready(State(doors): State<Doors>) -> (StatusCode, &'static str) {
    let engine = doors.ready.borrow().clone();
    match engine {
        None => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
        Some(engine) if engine.answers(PATIENCE).await => (StatusCode::OK, "ready\n"),
        Some(_) => (StatusCode::SERVICE_UNAVAILABLE, "busy\n"),
    }
}
