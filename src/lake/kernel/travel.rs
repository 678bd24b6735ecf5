//! Time travel by timestamp.
//!
//! The kernel resolves a timestamp by in-commit timestamps where the table has them, else by modification times made monotone. What it
//! leaves open is decided here: a time after the newest commit is an error, as it is for Delta, and not the newest version.

use std::sync::Arc;

use chrono::DateTime;
use delta_kernel::history_manager::error::LogHistoryError;
use delta_kernel::history_manager::{HistoryCommitType, latest_version_as_of};

use super::error::translate;
use crate::error::{Error, ErrorKind, Result};
use crate::lake::TableRef;
use crate::lake::snapshot::TableSnapshot;

/// The version that was the newest at `micros` since the epoch. Blocks.
pub(in crate::lake) fn version_at(table: &TableRef, newest: &Arc<TableSnapshot>, micros: i64) -> Result<u64> {
    if micros > newest.timestamp() {
        // Not when the newest one was committed: that tells a reader of commits with rows that a policy hides.
        return Err(out_of_range(table, micros).with_detail("It is after the newest version."));
    }
    let millis = micros.div_euclid(1000);
    let found = latest_version_as_of(&newest.loaded.kernel, newest.loaded.engine.as_ref(), millis, HistoryCommitType::Recreatable);
    match found {
        Ok(commit) => Ok(commit.version),
        Err(error) => Err(match history_error(&error) {
            Some(LogHistoryError::TimestampOutOfRange { .. }) => out_of_range(table, micros)
                .with_detail("It is before the oldest version that the log can still give.")
                .with_source(error),
            _ => translate(table, error),
        }),
    }
}

fn history_error(error: &delta_kernel::KernelError) -> Option<&LogHistoryError> {
    match error {
        delta_kernel::KernelError::LogHistory(history) => Some(history),
        delta_kernel::KernelError::Backtraced { source, .. } => history_error(source),
        _ => None,
    }
}

fn out_of_range(table: &TableRef, micros: i64) -> Error {
    Error::new(ErrorKind::InvalidParameter, format!("table \"{}\" has no version for {}", table.name, shown(micros)))
}

fn shown(micros: i64) -> String {
    DateTime::from_timestamp_micros(micros)
        .map_or_else(|| micros.to_string(), |time| time.format("%Y-%m-%d %H:%M:%S%.3f UTC").to_string())
}
