//! The history of a table, from the commit information of its log.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use serde_json::Value;

use super::kernel::error::storage_error;
use super::{CommitInfo, TableRef};
use crate::error::{Error, ErrorKind, Result};
use crate::storage::RootedStore;

/// Commit files that are read at a time.
const READS_AT_ONCE: usize = 16;

/// The newest `limit` commits that the log still has, newest first.
pub(super) async fn history(table: &TableRef, store: &Arc<RootedStore>, limit: usize) -> Result<Vec<CommitInfo>> {
    let log = store.root().clone().join("_delta_log");
    let mut files = store.list_with_delimiter(Some(&log)).await.map_err(|error| storage_error(table, error))?.objects;
    files.retain(|file| version_of(file).is_some());
    if files.is_empty() {
        return Err(Error::new(
            ErrorKind::UndefinedRelation,
            format!("there is no Delta table at the location of \"{}\"", table.name),
        ));
    }
    files.sort_by_key(|file| std::cmp::Reverse(version_of(file)));
    files.truncate(limit);
    stream::iter(files)
        .map(|file| async move {
            let bytes = match store.get(&file.location).await {
                Ok(found) => found.bytes().await,
                Err(error) => Err(error),
            };
            let bytes = bytes.map_err(|error| storage_error(table, error))?;
            commit_info(&file, &bytes)
                .ok_or_else(|| Error::new(ErrorKind::DataCorrupted, format!("the log of table \"{}\" is damaged", table.name)))
        })
        .buffered(READS_AT_ONCE)
        .try_collect()
        .await
}

fn version_of(file: &ObjectMeta) -> Option<u64> {
    let version = file.location.filename()?.strip_suffix(".json")?;
    (version.len() == 20).then(|| version.parse().ok())?
}

fn commit_info(file: &ObjectMeta, commit: &Bytes) -> Option<CommitInfo> {
    let mut found = None;
    for line in commit.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let mut action: Value = serde_json::from_slice(line).ok()?;
        if let Some(info) = action.get_mut("commitInfo") {
            found = Some(info.take());
            break;
        }
    }
    let info = found.unwrap_or(Value::Null);
    let text = |key: &str| info.get(key).and_then(Value::as_str).map(ToString::to_string);
    let texts = |key: &str| -> BTreeMap<String, String> {
        let entries = info.get(key).and_then(Value::as_object).into_iter().flatten();
        entries.map(|(key, value)| (key.clone(), value.as_str().map_or_else(|| value.to_string(), ToString::to_string))).collect()
    };
    let committed = info.get("inCommitTimestamp").and_then(Value::as_i64).unwrap_or_else(|| file.last_modified.timestamp_millis());
    Some(CommitInfo {
        version: version_of(file)?,
        timestamp: committed.saturating_mul(1000),
        user_name: text("userName"),
        operation: text("operation"),
        operation_parameters: texts("operationParameters"),
        operation_metrics: texts("operationMetrics"),
        read_version: info.get("readVersion").and_then(Value::as_u64),
        is_blind_append: info.get("isBlindAppend").and_then(Value::as_bool),
        engine_info: text("engineInfo"),
    })
}
