//! Logs and metrics.
//!
//! Logs are lines on standard error, for people or as JSON. Metrics are counters and gauges without labels that a caller could fill,
//! read over HTTP in Prometheus' text form. Query history, audit records and traces are not here yet.

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

use crate::error::{Error, ErrorKind, Result};

/// How the server logs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetryOptions {
    /// Filter of the form `info,lakehold::wire=debug`.
    pub log_filter: String,
    /// Lines for people (`text`) or for machines (`json`).
    pub log_format: LogFormat,
}

/// Form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for TelemetryOptions {
    fn default() -> Self {
        Self {
            log_filter: "info,delta_kernel=warn,delta_kernel_default_engine=warn,datafusion_common=error,rustls=error".into(),
            log_format: LogFormat::Text,
        }
    }
}

/// Starts logging to standard error and collecting metrics; once a process.
///
/// # Errors
/// [`ErrorKind::Config`] if the filter cannot be read.
pub fn start(options: &TelemetryOptions) -> Result<PrometheusHandle> {
    let filter = EnvFilter::try_new(&options.log_filter)
        .map_err(|error| Error::new(ErrorKind::Config, format!("telemetry.log_filter: {error}")))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(true);
    let started = match options.log_format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
    started.map_err(|error| Error::internal(format!("logging was started twice: {error}")))?;
    PrometheusBuilder::new().install_recorder().map_err(|error| Error::internal(format!("metrics: {error}")))
}
