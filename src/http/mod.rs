//! Door: health and metrics over HTTP.
//!
//! ```text
//! GET /health   200 while the process lives
//! GET /ready    200 when the PostgreSQL port serves sessions, 503 before that and while draining
//! GET /metrics  Prometheus text
//! ```
//! Knows no table and no principal: nothing here needs a login, so nothing here says what the warehouse holds. The handlers run on the
//! I/O runtime and answer while every core is busy with queries.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::error::{Error, ErrorKind, Result};

#[derive(Clone)]
struct Doors {
    ready: watch::Receiver<bool>,
    metrics: PrometheusHandle,
}

/// Serves until `stop` is cancelled.
///
/// # Errors
/// [`ErrorKind::Io`] if the listener fails.
pub async fn serve(
    listener: TcpListener,
    ready: watch::Receiver<bool>,
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
    if *doors.ready.borrow() { (StatusCode::OK, "ready\n") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready\n") }
}
