//! Commits: put-if-absent of the next version, read back when the answer is in doubt.
//!
//! ```text
//!  PUT if absent ─ ok ───────────────────────────▶ committed
//!        │ "exists" or no clear answer
//!        ▼
//!  GET that version ─ our bytes ─────────────────▶ committed (an earlier try of ours arrived)
//!        │          ─ other bytes ───────────────▶ conflict: rebase on the newest version, or give up
//!        └ not there ──▶ PUT again, a few times ─▶ outcome unknown: the files stay, the caller is told
//! ```
//! Every commit carries a transaction id of its own, so equal bytes are our own commit. Only a blind append is rebased: it read nothing, so
//! that it goes after whatever others committed, as long as schema, partitioning and protocol are the same.

use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::array::{RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType as ArrowType, Field, Schema};
use delta_kernel::committer::{CommitMetadata, CommitResponse, Committer, PublishMetadata};
use delta_kernel::engine::arrow_data::ArrowEngineData;
use delta_kernel::engine::arrow_utils::to_json_bytes;
use delta_kernel::schema::{DataType, StructField, StructType};
use delta_kernel::snapshot::{Snapshot, SnapshotRef};
use delta_kernel::transaction::{CommitResult, UpdateTableOperation};
use delta_kernel::{Engine, FileMeta, FilteredEngineData, KernelError, KernelResult, KernelResultIterator};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use tokio::runtime::Handle;

use super::engine::TableEngine;
use super::error::translate;
use crate::error::{Error, ErrorKind, Result};
use crate::lake::TableRef;
use crate::storage::RootedStore;

/// Who wrote, in the log's words.
pub(in crate::lake) const ENGINE_INFO: &str = concat!("Lakehold/", env!("CARGO_PKG_VERSION"));

/// Times that a PUT without a clear answer is sent.
const TRIES: u32 = 5;

/// Writes commit files.
#[derive(Debug, Clone)]
pub(in crate::lake) struct ReadBackCommitter {
    pub(in crate::lake) store: Arc<RootedStore>,
    pub(in crate::lake) io: Handle,
    /// Description to write into the table's metadata, which the kernel leaves empty.
    pub(in crate::lake) description: Option<String>,
}

/// What became of a PUT.
#[derive(Debug, PartialEq, Eq)]
enum Put {
    Ours,
    Theirs,
}

impl Committer for ReadBackCommitter {
    fn commit(
        &self,
        _engine: &dyn Engine,
        actions: KernelResultIterator<'_, FilteredEngineData>,
        metadata: CommitMetadata,
    ) -> KernelResult<CommitResponse> {
        let version = metadata.version();
        let url = metadata.published_commit_path()?;
        let mut bytes = to_json_bytes(actions)?;
        if let Some(description) = &self.description {
            bytes = describe(&bytes, description)?;
        }
        let size = u64::try_from(bytes.len()).map_err(KernelError::generic_err)?;
        let path = self.store.resolve(&url)?;
        match self.io.block_on(put_and_read_back(self.store.as_ref(), &path, bytes.into()))? {
            Put::Ours => Ok(CommitResponse::Committed { file_meta: FileMeta::new(url, metadata.in_commit_timestamp(), size) }),
            Put::Theirs => Ok(CommitResponse::Conflict { version }),
        }
    }

    fn is_catalog_committer(&self) -> bool {
        false
    }

    fn publish(&self, _engine: &dyn Engine, metadata: PublishMetadata) -> KernelResult<()> {
        if metadata.commits_to_publish().is_empty() {
            return Ok(());
        }
        Err(KernelError::unsupported("commits of a catalog-managed table"))
    }
}

async fn put_and_read_back(store: &dyn ObjectStore, path: &Path, bytes: PutPayload) -> object_store::Result<Put> {
    let mut pause = Duration::from_millis(50);
    let mut tries = 1;
    loop {
        let put = store.put_opts(path, bytes.clone(), PutOptions::from(PutMode::Create)).await;
        let Err(error) = put else { return Ok(Put::Ours) };
        match store.get(path).await {
            Ok(found) => match found.bytes().await {
                Ok(found) if found == bytes::Bytes::from(bytes.clone()) => return Ok(Put::Ours),
                Ok(_) => return Ok(Put::Theirs),
                Err(unread) if tries == TRIES => return Err(unread),
                Err(_) => {}
            },
            Err(_) if tries == TRIES => return Err(error),
            Err(_) => {}
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
        tries += 1;
    }
}

/// Puts a description into the `metaData` line of a commit.
fn describe(commit: &[u8], description: &str) -> KernelResult<Vec<u8>> {
    let mut described = Vec::with_capacity(commit.len() + description.len());
    for line in commit.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let mut action: serde_json::Value = serde_json::from_slice(line).map_err(KernelError::generic_err)?;
        if let Some(metadata) = action.get_mut("metaData").and_then(serde_json::Value::as_object_mut) {
            metadata.insert("description".into(), description.into());
        }
        serde_json::to_writer(&mut described, &action).map_err(KernelError::generic_err)?;
        described.push(b'\n');
    }
    Ok(described)
}

/// A blind append that is ready to be committed.
#[derive(Debug)]
pub(in crate::lake) struct Append {
    /// Rows of the log that add files.
    pub(in crate::lake) added: Vec<RecordBatch>,
    /// What the history shows of the statement.
    pub(in crate::lake) parameters: Vec<(String, String)>,
    /// What the history shows of its effect.
    pub(in crate::lake) metrics: Vec<(String, String)>,
    /// Who wrote.
    pub(in crate::lake) user_name: Option<String>,
}

/// A failed commit, and whether its files may be removed.
#[derive(Debug)]
pub(in crate::lake) struct CommitFailed {
    pub(in crate::lake) error: Error,
    /// True if no version of the table can have the files.
    pub(in crate::lake) certainly_not_committed: bool,
}

/// Commits an append on `base` or, if others were faster, on the newest version. Blocks, and must run to its end.
pub(in crate::lake) fn commit_append(
    table: &TableRef,
    base: &SnapshotRef,
    engine: &TableEngine,
    committer: &ReadBackCommitter,
    append: &Append,
    retries: usize,
) -> Result<SnapshotRef, CommitFailed> {
    let not_committed = |error: Error| CommitFailed { error, certainly_not_committed: true };
    let mut snapshot = Arc::clone(base);
    for attempt in 0..=retries {
        let built = Arc::clone(&snapshot)
            .update_table(UpdateTableOperation::Write, ENGINE_INFO, true)
            .with_blind_append()
            .with_operation_parameters(append.parameters.iter().map(|(key, value)| (key.clone(), Some(value.clone()))))
            .with_operation_metrics(append.metrics.iter().map(|(key, value)| (key.clone(), Some(value.clone()))))
            .build(engine, Box::new(committer.clone()));
        let mut transaction = built.map_err(|error| not_committed(translate(table, error)))?;
        if let Some(user_name) = &append.user_name {
            let (data, schema) = commit_info(user_name).map_err(|error| not_committed(translate(table, error)))?;
            transaction = transaction.with_commit_info(Box::new(data), Arc::new(schema));
        }
        for added in &append.added {
            transaction.add_files(Box::new(ArrowEngineData::new(added.clone())));
        }
        match transaction.commit(engine) {
            Ok(CommitResult::Committed(committed)) => {
                return Ok(committed.post_commit_snapshot().cloned().unwrap_or(snapshot));
            }
            Ok(CommitResult::Conflicted(_)) => {}
            Ok(CommitResult::Retryable(retryable)) => return Err(in_doubt(table, retryable.error)),
            Err(error) => return Err(in_doubt(table, error)),
        }
        std::thread::sleep(pause(attempt));
        let newest =
            Snapshot::builder_from(Arc::clone(&snapshot)).build(engine).map_err(|error| not_committed(translate(table, error)))?;
        check_unchanged(table, base, &newest).map_err(not_committed)?;
        snapshot = newest;
    }
    Err(not_committed(Error::new(
        ErrorKind::SerializationFailure,
        format!("could not commit to table \"{}\": others were faster {} times", table.name, retries + 1),
    )))
}

/// An error in the middle of a commit: some are before anything was sent, but none is certain enough to remove files.
fn in_doubt(table: &TableRef, error: KernelError) -> CommitFailed {
    let error =
        translate(table, error).with_hint("The outcome of the commit is not known; look at the table before you try again.");
    CommitFailed { error, certainly_not_committed: false }
}

/// Pause before the next try: random, so that writers do not meet again, and growing up to a quarter of a second.
fn pause(attempt: usize) -> Duration {
    let most = 5_u64 << attempt.min(6);
    Duration::from_millis(rand::random_range(1..=most.min(250)))
}

/// A blind append may go after any commit that left the table's shape as it was.
fn check_unchanged(table: &TableRef, base: &SnapshotRef, newest: &SnapshotRef) -> Result<()> {
    let (before, after) = (base.table_configuration(), newest.table_configuration());
    let same = before.metadata().id() == after.metadata().id()
        && base.schema() == newest.schema()
        && before.metadata().partition_columns() == after.metadata().partition_columns()
        && before.protocol() == after.protocol()
        && before.column_mapping_mode() == after.column_mapping_mode();
    if same {
        return Ok(());
    }
    Err(Error::new(ErrorKind::SerializationFailure, format!("table \"{}\" was altered while rows were written to it", table.name))
        .with_hint("Run the statement again."))
}

fn commit_info(user_name: &str) -> KernelResult<(ArrowEngineData, StructType)> {
    let schema = Schema::new(vec![Field::new("userName", ArrowType::Utf8, true)]);
    let batch = RecordBatch::try_new(Arc::new(schema), vec![Arc::new(StringArray::from(vec![user_name]))])?;
    Ok((ArrowEngineData::new(batch), StructType::try_new([StructField::nullable("userName", DataType::STRING)])?))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;
    use futures::stream::BoxStream;
    use object_store::memory::InMemory;
    use object_store::{
        CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, PutMultipartOptions, PutResult,
    };

    use super::*;

    /// A store whose first PUTs are answered with an error: before or after they were applied.
    #[derive(Debug)]
    struct FaultyStore {
        inner: InMemory,
        faults: AtomicUsize,
        applies: bool,
    }

    impl FaultyStore {
        fn new(faults: usize, applies: bool) -> Self {
            Self { inner: InMemory::new(), faults: AtomicUsize::new(faults), applies }
        }
    }

    impl std::fmt::Display for FaultyStore {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("FaultyStore")
        }
    }

    #[async_trait]
    impl ObjectStore for FaultyStore {
        async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> object_store::Result<PutResult> {
            let fails = self.faults.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
            if fails && !self.applies {
                return Err(object_store::Error::Generic { store: "faulty", source: "500 before".into() });
            }
            let put = self.inner.put_opts(path, payload, options).await;
            if fails { Err(object_store::Error::Generic { store: "faulty", source: "500 after".into() }) } else { put }
        }

        async fn put_multipart_opts(
            &self,
            path: &Path,
            options: PutMultipartOptions,
        ) -> object_store::Result<Box<dyn MultipartUpload>> {
            self.inner.put_multipart_opts(path, options).await
        }

        async fn get_opts(&self, path: &Path, options: GetOptions) -> object_store::Result<GetResult> {
            self.inner.get_opts(path, options).await
        }

        fn delete_stream(
            &self,
            paths: BoxStream<'static, object_store::Result<Path>>,
        ) -> BoxStream<'static, object_store::Result<Path>> {
            self.inner.delete_stream(paths)
        }

        fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
            self.inner.list(prefix)
        }

        async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
            self.inner.list_with_delimiter(prefix).await
        }

        async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> object_store::Result<()> {
            self.inner.copy_opts(from, to, options).await
        }
    }

    async fn put(store: &FaultyStore, bytes: &'static str) -> object_store::Result<Put> {
        put_and_read_back(store, &Path::from("t/_delta_log/1.json"), bytes.into()).await
    }

    #[tokio::test]
    async fn a_put_that_was_applied_and_failed_is_ours() {
        let store = FaultyStore::new(1, true);
        assert_eq!(put(&store, "one").await.unwrap(), Put::Ours);
        assert_eq!(put(&store, "two").await.unwrap(), Put::Theirs);
    }

    #[tokio::test]
    async fn a_put_that_was_not_applied_is_sent_again() {
        let store = FaultyStore::new(2, false);
        assert_eq!(put(&store, "one").await.unwrap(), Put::Ours);
        assert_eq!(store.inner.get(&Path::from("t/_delta_log/1.json")).await.unwrap().bytes().await.unwrap(), "one");
    }

    #[tokio::test]
    async fn a_put_that_fails_for_good_says_so() {
        let store = FaultyStore::new(100, false);
        assert!(put(&store, "one").await.is_err());
    }

    #[test]
    fn a_description_reaches_the_metadata_only() {
        let commit = b"{\"protocol\":{\"minReaderVersion\":1}}\n{\"metaData\":{\"id\":\"x\",\"createdTime\":1}}\n";
        let described = String::from_utf8(describe(commit, "what it is").unwrap()).unwrap();
        assert_eq!(
            described,
            "{\"protocol\":{\"minReaderVersion\":1}}\n{\"metaData\":{\"createdTime\":1,\"description\":\"what it is\",\"id\":\"x\"}}\n"
        );
    }
}
