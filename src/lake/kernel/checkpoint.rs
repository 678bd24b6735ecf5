//! Checkpoints, written in the background: a failure costs time later and never the commit.

use std::collections::BTreeMap;
use std::sync::Arc;

use delta_kernel::snapshot::SnapshotRef;
use tracing::warn;

use super::engine::TableEngine;
use crate::lake::{Shared, TableRef};

/// Property that sets the number of commits from one checkpoint to the next.
const INTERVAL: &str = "delta.checkpointInterval";

/// True if `version` is one that a checkpoint is written for.
pub(in crate::lake) fn is_due(properties: &BTreeMap<String, String>, default_interval: u64, version: u64) -> bool {
    let interval = properties.get(INTERVAL).and_then(|interval| interval.parse().ok()).unwrap_or(default_interval);
    version > 0 && interval > 0 && version.is_multiple_of(interval)
}

/// Starts writing a checkpoint of `snapshot`; [`crate::lake::Lake::close`] waits for it.
pub(in crate::lake) fn write_in_background(
    shared: &Arc<Shared>,
    table: &TableRef,
    engine: Arc<TableEngine>,
    snapshot: SnapshotRef,
) {
    let name = table.name.clone();
    shared.background.spawn_blocking_on(
        move || {
            let version = snapshot.version();
            if let Err(error) = snapshot.checkpoint(engine.as_ref(), None) {
                warn!(table = %name, version, %error, "checkpoint was not written");
            }
        },
        &shared.io,
    );
}
