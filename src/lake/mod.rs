//! Delta tables: snapshots, scans, commits, time travel.
//!
//! ```text
//!  TableRef + AsOf ──▶ Lake::snapshot ──▶ TableSnapshot ──▶ provider() ──▶ Parquet scan of DataFusion
//!                       (resident, advanced by the log's tail)
//!  batches ──▶ Lake::append ──▶ Parquet files ──▶ one commit, put-if-absent, read back when in doubt
//! ```
//! The Delta kernel reads and writes the log; it is named in `kernel` and its submodules only. This room knows tables by location, not
//! by name, and no principal: whoever holds a [`TableSnapshot`] may read it, which is why only governance calls
//! [`TableSnapshot::provider`].

mod adapt;
mod append;
mod conform;
mod deletion;
mod files;
mod footers;
#[cfg(test)]
mod foreign;
mod history;
mod kernel;
mod legacy_calendar;
mod options;
mod resident;
mod row_counts;
mod scan;
mod slices;
mod snapshot;
mod staged;
mod statistics;
mod stored_types;
#[cfg(test)]
mod testing;

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::Schema;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::object_store::ObjectStoreRegistry;
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStore;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio_util::task::TaskTracker;

use crate::catalog::securable::{ObjectId, Secret};
use crate::error::{Error, ErrorKind, Result};
use crate::storage::{RootedStore, Storage};

use deletion::DeletionVectors;
use kernel::commit::ReadBackCommitter;
use kernel::engine::{LogView, TableEngine};
use resident::Residents;

pub use options::LakeOptions;
pub use row_counts::{FoundRows, RowCount, RowCounts};
pub use snapshot::TableSnapshot;
pub use staged::Staged;

/// A table as the metastore knows it: where it is and how to open it.
#[derive(Debug, Clone)]
pub struct TableRef {
    /// Identity, key of the caches.
    pub id: ObjectId,
    /// Name for messages.
    pub name: String,
    /// URL of the table's root.
    pub location: String,
    /// Options that open the location; `None` for local files and public buckets.
    pub credential: Option<Arc<Secret<BTreeMap<String, String>>>>,
}

/// Which version of a table.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AsOf {
    /// The newest.
    Latest,
    /// That one.
    Version(u64),
    /// The newest that was committed at or before this time, in microseconds since the epoch, UTC.
    Timestamp(i64),
}

/// What a write does, for the history of the table.
#[derive(Clone, Debug, Default)]
pub struct WriteOperation {
    /// Kind of statement.
    pub kind: WriteKind,
    /// Who wrote, as the history shows it.
    pub user_name: Option<String>,
}

/// Statements that append rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WriteKind {
    /// INSERT.
    #[default]
    Insert,
    /// CREATE TABLE AS.
    CreateTableAs,
    /// COPY .. FROM STDIN.
    Copy,
}

/// A committed append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Version it made; the version read if there was nothing to write.
    pub version: u64,
    /// Rows written.
    pub rows: u64,
    /// Bytes of the files written.
    pub bytes: u64,
    /// Number of files written.
    pub files: u64,
}

/// One line of a table's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitInfo {
    /// Version.
    pub version: u64,
    /// When it was committed, in microseconds since the epoch, UTC.
    pub timestamp: i64,
    /// Who committed it, if the writer said so.
    pub user_name: Option<String>,
    /// What was done: `WRITE`, `CREATE TABLE`, ..
    pub operation: Option<String>,
    /// Its parameters.
    pub operation_parameters: BTreeMap<String, String>,
    /// Its metrics.
    pub operation_metrics: BTreeMap<String, String>,
    /// Version that the writer had read.
    pub read_version: Option<u64>,
    /// True if nothing that was there before was read.
    pub is_blind_append: Option<bool>,
    /// Program that wrote it.
    pub engine_info: Option<String>,
}

/// The Delta tables of the warehouse.
#[derive(Debug)]
pub struct Lake {
    shared: Arc<Shared>,
    residents: Residents,
    options: LakeOptions,
}

/// What every snapshot needs to be read.
#[derive(Debug)]
struct Shared {
    storage: Arc<Storage>,
    io: Handle,
    deletion_vectors: Arc<DeletionVectors>,
    /// Work that no statement waits for.
    background: TaskTracker,
}

impl Lake {
    /// A lake over `storage`, whose log reads and background work run on `io`.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if `io` is not a multi-threaded runtime: the kernel's blocking calls would wait for themselves.
    pub fn new(options: &LakeOptions, storage: Arc<Storage>, io: Handle) -> Result<Arc<Lake>> {
        if io.runtime_flavor() != RuntimeFlavor::MultiThread {
            return Err(Error::new(ErrorKind::Config, "the lake needs a multi-threaded I/O runtime"));
        }
        let deletion_vectors = Arc::new(DeletionVectors::new(options.deletion_vector_cache, io.clone()));
        let shared = Arc::new(Shared { storage, io, deletion_vectors, background: TaskTracker::new() });
        let residents = Residents::new(options.snapshot_cache, options.freshness);
        Ok(Arc::new(Self { shared, residents, options: options.clone() }))
    }

    /// Pins a version of `table`.
    ///
    /// Costs a look at the log's tail if the resident version is older than `options.freshness` (one LIST), otherwise no I/O; an older
    /// version is read from the log when it is first asked for.
    ///
    /// # Errors
    /// [`ErrorKind::UndefinedRelation`] if there is no log, [`ErrorKind::Unsupported`] if the table needs a reader feature we lack,
    /// [`ErrorKind::DataCorrupted`] if the log is damaged, [`ErrorKind::InvalidParameter`] if `as_of` is outside of the history.
    pub async fn snapshot(&self, table: &TableRef, as_of: AsOf) -> Result<Arc<TableSnapshot>> {
        let store = self.open(table)?;
        let newest = self.residents.newest(&self.shared, table, &store).await?;
        let version = match as_of {
            AsOf::Latest => return Ok(newest),
            AsOf::Version(version) => version,
            AsOf::Timestamp(micros) => {
                let (table, newest) = (table.clone(), Arc::clone(&newest));
                resident::blocking(&self.shared.io, move || kernel::travel::version_at(&table, &newest, micros)).await?
            }
        };
        self.residents.version(&self.shared, table, &newest, version).await
    }

    fn open(&self, table: &TableRef) -> Result<Arc<RootedStore>> {
        self.shared.storage.open(&table.location, table.credential.as_ref().map(|credential| credential.expose()))
    }

    /// Makes an empty table: version 0.
    ///
    /// `schema` is SqlType-tagged, a field's metadata `comment` becomes the column's comment; `comment` is the table's description. Column
    /// mapping is turned on if a name has characters that Delta allows with it only.
    ///
    /// # Errors
    /// [`ErrorKind::DuplicateRelation`] if there is a table at the location, [`ErrorKind::ObjectInUse`] if there is something else,
    /// [`ErrorKind::Unsupported`] for a type or property that Delta does not have, [`ErrorKind::InvalidTableDefinition`].
    pub async fn create(
        &self,
        table: &TableRef,
        schema: &Schema,
        partition_by: &[String],
        properties: &[(String, String)],
        comment: Option<&str>,
    ) -> Result<Arc<TableSnapshot>> {
        let store = self.open(table)?;
        check_vacant(table, &store).await?;
        self.residents.forget(table, &store).await;
        let (shared, created, schema) = (Arc::clone(&self.shared), table.clone(), schema.clone());
        let (partition_by, properties) = (partition_by.to_vec(), properties.to_vec());
        let committer = self.committer(&store, comment);
        // On a thread of its own, so that a cancelled statement does not stop half-way through the commit.
        resident::blocking(&self.shared.io, move || {
            let engine = TableEngine::new(&committer.store, &shared.io, LogView::WHOLE);
            kernel::create::create(&created, &engine, committer, &schema, &partition_by, &properties)
        })
        .await?;
        self.residents.newest(&self.shared, table, &store).await
    }

    /// Appends rows: Parquet files, then one commit. Input columns are in the table's order.
    ///
    /// Dropping the future before the commit leaves the table as it was; the commit itself runs to its end on the I/O runtime. Without
    /// rows nothing is committed.
    ///
    /// # Errors
    /// [`ErrorKind::NotNullViolation`] naming the column, [`ErrorKind::StringTooLong`], [`ErrorKind::SerializationFailure`] if others commit
    /// too fast or altered the table, [`ErrorKind::Unsupported`] if the table needs a writer feature we lack, what `input` fails with.
    pub async fn append(
        &self,
        table: &TableRef,
        snapshot: &Arc<TableSnapshot>,
        input: SendableRecordBatchStream,
        operation: WriteOperation,
    ) -> Result<Appended> {
        let staged = self.stage(table, snapshot, input, operation).await?;
        self.commit(vec![staged]).await
    }

    /// How query plans find the stores of this lake: each opened location has a private URL.
    pub fn object_store_registry(&self) -> Arc<dyn ObjectStoreRegistry> {
        self.shared.storage.object_store_registry()
    }

    /// Removes every file of a managed table. Idempotent; a missing table is no error.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] if a file could not be removed; the rest was tried.
    pub async fn remove_managed(&self, table: &TableRef) -> Result<()> {
        let store = self.open(table)?;
        self.residents.forget(table, &store).await;
        let files = store.list(None).map_ok(|file| file.location).boxed();
        let mut removed = store.delete_stream(files);
        let mut failed = None;
        while let Some(outcome) = removed.next().await {
            match outcome {
                Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => failed = Some(error),
            }
        }
        if let Some(error) = failed {
            return Err(kernel::error::storage_error(table, error));
        }
        store.remove_empty_directories().await.map_err(|error| kernel::error::storage_error(table, error))
    }

    /// The newest `limit` commits, newest first.
    ///
    /// # Errors
    /// [`ErrorKind::UndefinedRelation`] if there is no log, [`ErrorKind::DataCorrupted`] if a commit is damaged, [`ErrorKind::Io`].
    pub async fn history(&self, table: &TableRef, limit: usize) -> Result<Vec<CommitInfo>> {
        history::history(table, &self.open(table)?, limit).await
    }

    /// Waits for checkpoints that are being written.
    pub async fn close(&self) {
        self.shared.background.close();
        self.shared.background.wait().await;
    }

    fn committer(&self, store: &Arc<RootedStore>, description: Option<&str>) -> ReadBackCommitter {
        ReadBackCommitter {
            store: Arc::clone(store),
            io: self.shared.io.clone(),
            description: description.map(ToString::to_string),
        }
    }
}

/// Refuses a location where something is.
async fn check_vacant(table: &TableRef, store: &RootedStore) -> Result<()> {
    let log = store.root().clone().join("_delta_log");
    let mut files = store.list(None);
    let mut occupied = false;
    while let Some(file) = files.next().await {
        match file {
            Ok(file) if file.location.prefix_matches(&log) => {
                let exists = format!("there is a Delta table at the location of \"{}\" already", table.name);
                return Err(Error::new(ErrorKind::DuplicateRelation, exists));
            }
            Ok(_) => occupied = true,
            Err(object_store::Error::NotFound { .. }) => break,
            Err(error) => return Err(kernel::error::storage_error(table, error)),
        }
        if occupied {
            break;
        }
    }
    if !occupied {
        return Ok(());
    }
    match store.list(Some(&log)).next().await {
        Some(Ok(_)) => {
            let exists = format!("there is a Delta table at the location of \"{}\" already", table.name);
            Err(Error::new(ErrorKind::DuplicateRelation, exists))
        }
        _ => Err(Error::new(ErrorKind::ObjectInUse, format!("the location of table \"{}\" is not empty", table.name))),
    }
}

#[cfg(test)]
mod tests {
    use super::testing::TestLake;
    use super::*;
    use crate::types::SqlType;

    const ID: (&str, SqlType) = ("id", SqlType::Int4);
    const NAME: (&str, SqlType) = ("name", SqlType::Text);

    #[tokio::test(flavor = "multi_thread")]
    async fn rows_written_are_rows_read() {
        let test = TestLake::new();
        let table = test.make("t", &[ID, NAME], &[]).await;
        assert_eq!(test.newest(&table).await.version(), 0);
        assert_eq!(test.query(&table, "SELECT count(*) FROM t").await, "0");
        let appended = test.insert(&table, "VALUES (1, 'one'), (2, NULL)").await.unwrap();
        assert_eq!((appended.version, appended.rows, appended.files), (1, 2, 1));
        test.insert(&table, "VALUES (3, 'three')").await.unwrap();
        assert_eq!(test.query(&table, "SELECT id, name FROM t ORDER BY id").await, "1|one\n2|\n3|three");
        assert_eq!(test.query(&table, "SELECT count(*), min(id), max(id), count(name) FROM t").await, "3|1|3|2");
        assert_eq!(test.query(&table, "SELECT name FROM t WHERE id > 2").await, "three");
        let newest = test.newest(&table).await;
        assert_eq!((newest.num_rows(), newest.num_files(), newest.description()), (Some(3), 2, Some("made by a test")));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn nothing_written_is_no_version() {
        let test = TestLake::new();
        let table = test.make("t", &[ID], &[]).await;
        assert_eq!(test.insert(&table, "SELECT 1 WHERE false").await.unwrap().version, 0);
        assert_eq!(test.newest(&table).await.version(), 0);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn partitions_with_null_and_odd_values_count_right() {
        let test = TestLake::new();
        // The partition column stands first, between nothing and the data columns.
        let table = test.make("t", &[("p", SqlType::Text), ID, ("d", SqlType::Date)], &["d", "p"]).await;
        test.insert(
            &table,
            "VALUES ('a/b', 1, date '2024-02-29'), (NULL, 2, date '2024-02-29'), ('x y%=', 3, NULL), (NULL, 4, NULL)",
        )
        .await
        .unwrap();
        assert_eq!(
            test.query(&table, "SELECT p, id, d FROM t ORDER BY id").await,
            "a/b|1|2024-02-29\n|2|2024-02-29\nx y%=|3|\n|4|"
        );
        assert_eq!(test.query(&table, "SELECT count(*), count(p), count(d), min(p), max(d) FROM t").await, "4|2|2|a/b|2024-02-29");
        assert_eq!(test.query(&table, "SELECT id FROM t WHERE p IS NULL ORDER BY id").await, "2\n4");
        assert_eq!(test.query(&table, "SELECT id FROM t WHERE p = 'x y%='").await, "3");
        assert_eq!(test.query(&table, "SELECT id FROM t WHERE d IS NOT NULL AND p IS NOT NULL").await, "1");
        assert_eq!(test.newest(&table).await.num_files(), 4);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn every_type_comes_back() {
        let test = TestLake::new();
        let columns = [
            ("b", SqlType::Bool),
            ("i2", SqlType::Int2),
            ("i8", SqlType::Int8),
            ("f4", SqlType::Float4),
            ("f8", SqlType::Float8),
            ("n", SqlType::Numeric { precision: 12, scale: 2 }),
            ("t", SqlType::Text),
            ("v", SqlType::Varchar(Some(5))),
            ("y", SqlType::Bytea),
            ("d", SqlType::Date),
            ("ts", SqlType::Timestamp),
            ("tz", SqlType::Timestamptz),
            ("a", SqlType::Array(Box::new(SqlType::Int4))),
            ("u", SqlType::Uuid),
        ];
        let table = test.make("t", &columns, &[]).await;
        let row = "VALUES (true, 7, 8, 1.5, 2.5, 3.25, 'text', 'short', X'0102', date '2024-01-02',
            timestamp '2024-01-02 03:04:05.123456', timestamp '2024-01-02 03:04:05.123456', make_array(1, NULL, 3), '0191')";
        test.insert(&table, row).await.unwrap();
        assert_eq!(
            test.query(&table, "SELECT * FROM t").await,
            "true|7|8|1.5|2.5|3.25|text|short|0102|2024-01-02|2024-01-02T03:04:05.123456|2024-01-02T03:04:05.123456Z|[1, , 3]|0191"
        );
        let schema = test.newest(&table).await.schema();
        for ((name, sql_type), field) in columns.iter().zip(schema.fields()) {
            assert_eq!(&SqlType::of_field(field), sql_type, "{name}");
        }
        // Microseconds beyond the millisecond that the log keeps must not be pruned away.
        assert_eq!(test.query(&table, "SELECT count(*) FROM t WHERE ts > timestamp '2024-01-02 03:04:05.1234'").await, "1");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn promises_of_the_table_are_checked_and_nothing_is_left_behind() {
        let test = TestLake::new();
        let table = test.make("t", &[("id!", SqlType::Int4), ("v", SqlType::Varchar(Some(3)))], &[]).await;
        let error = test.insert(&table, "VALUES (1, 'a'), (NULL, 'b')").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotNullViolation);
        assert!(error.message().contains("\"id\""), "{error}");
        assert_eq!(test.insert(&table, "VALUES (1, 'abcd')").await.unwrap_err().kind(), ErrorKind::StringTooLong);
        assert_eq!(test.insert(&table, "VALUES (99999999999, 'abc')").await.unwrap_err().kind(), ErrorKind::NumericOutOfRange);
        test.insert(&table, "VALUES (1, 'äöü')").await.unwrap();
        assert_eq!(test.query(&table, "SELECT id, v FROM t").await, "1|äöü");
        let error = test.insert(&table, "SELECT v / (v - 20000), 'x' FROM generate_series(1, 30000) AS g(v)").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DivisionByZero);
        for _ in 0..50 {
            let files = std::fs::read_dir(test.directory.path().join("t")).unwrap().count();
            if files == 2 {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        panic!("files of failed writes are still there");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_location_in_use_is_refused() {
        let test = TestLake::new();
        test.make("t", &[ID], &[]).await;
        let error = test.make_with("t", &[ID], &[], &[]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DuplicateRelation);
        std::fs::create_dir_all(test.directory.path().join("u")).unwrap();
        std::fs::write(test.directory.path().join("u/data.csv"), "x").unwrap();
        assert_eq!(test.make_with("u", &[ID], &[], &[]).await.unwrap_err().kind(), ErrorKind::ObjectInUse);
        let missing = test.lake.snapshot(&test.table("v"), AsOf::Latest).await.unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::UndefinedRelation);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn names_that_delta_maps_are_mapped() {
        let test = TestLake::new();
        let columns = [("Total Amount", SqlType::Int4), ("p(1)", SqlType::Text)];
        let table = test.make("t", &columns, &["p(1)"]).await;
        test.insert(&table, "VALUES (1, 'a'), (2, NULL)").await.unwrap();
        assert_eq!(
            test.query(&table, "SELECT \"Total Amount\", \"p(1)\" FROM t WHERE \"Total Amount\" < 5 ORDER BY 1").await,
            "1|a\n2|"
        );
        assert_eq!(test.query(&table, "SELECT max(\"Total Amount\"), count(*) FROM t WHERE \"p(1)\" IS NULL").await, "2|1");
        assert_eq!(test.newest(&table).await.properties().get("delta.columnMapping.mode").map(String::as_str), Some("name"));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn column_identities_are_written_and_read() {
        let test = TestLake::new();
        let columns = [ID, ("s", SqlType::Array(Box::new(SqlType::Text)))];
        let table = test.make_with("t", &columns, &[], &[("delta.columnMapping.mode", "id")]).await.unwrap();
        test.insert(&table, "VALUES (1, make_array('x', 'y'))").await.unwrap();
        assert_eq!(test.query(&table, "SELECT id, s[2] FROM t WHERE id = 1").await, "1|y");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn many_partitions_need_few_open_files() {
        let options = LakeOptions { max_open_partitions: 3, ..LakeOptions::default() };
        let test = TestLake::with_options(options);
        let table = test.make("t", &[("p", SqlType::Int4), ("v", SqlType::Int8)], &["p"]).await;
        let appended = test.insert(&table, "SELECT v % 10, v FROM generate_series(1, 20000) AS g(v)").await.unwrap();
        assert_eq!(appended.rows, 20000);
        assert_eq!(test.query(&table, "SELECT count(*), count(distinct p), sum(v) FROM t").await, "20000|10|200010000");
        assert_eq!(test.query(&table, "SELECT count(*) FROM t WHERE p = 3").await, "2000");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn files_are_closed_at_their_size() {
        let options = LakeOptions { target_file_size: crate::units::ByteSize::kib(64), ..LakeOptions::default() };
        let test = TestLake::with_options(options);
        let table = test.make("t", &[("v", SqlType::Int8)], &[]).await;
        let appended = test.insert(&table, "SELECT v * 7919 FROM generate_series(1, 100000) AS g(v)").await.unwrap();
        assert!(appended.files > 3, "{appended:?}");
        assert_eq!(test.query(&table, "SELECT count(*), min(v), max(v) FROM t").await, "100000|7919|791900000");
        // One file of several is read for a selective predicate, and limits stop early.
        assert_eq!(test.query(&table, "SELECT v FROM t WHERE v = 7919 * 99999").await, "791892081");
        assert_eq!(test.query(&table, "SELECT count(*) FROM (SELECT v FROM t LIMIT 10)").await, "10");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn concurrent_appends_lose_and_double_nothing() {
        let test = Arc::new(TestLake::with_options(LakeOptions { checkpoint_interval: 25, ..LakeOptions::default() }));
        let table = test.make("t", &[("w", SqlType::Int4), ("i", SqlType::Int4)], &[]).await;
        let writers = (0..8).map(|writer| {
            let (test, table) = (Arc::clone(&test), table.clone());
            async move {
                for i in 0..20 {
                    test.insert(&table, &format!("VALUES ({writer}, {i})")).await.unwrap();
                }
            }
        });
        futures::future::join_all(writers.map(|writer| Handle::current().spawn(writer))).await;
        assert_eq!(test.query(&table, "SELECT count(*), count(DISTINCT w * 100 + i) FROM t").await, "160|160");
        assert_eq!(test.newest(&table).await.version(), 160);
        test.lake.close().await;
        assert!(test.log_file("t", &format!("{:020}.checkpoint.parquet", 150)).exists());
        // Read from the checkpoint by somebody who has nothing resident.
        let fresh = TestLake::new();
        let snapshot = fresh.lake.snapshot(&table, AsOf::Latest).await.unwrap();
        assert_eq!(fresh.query_on(&snapshot, "SELECT count(*), count(DISTINCT w * 100 + i) FROM t").await.unwrap(), "160|160");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_blind_append_goes_after_other_commits() {
        let test = TestLake::new();
        let table = test.make("t", &[ID], &[]).await;
        let old = test.newest(&table).await;
        test.insert(&table, "VALUES (1)").await.unwrap();
        let appended = test.insert_on(&table, &old, "VALUES (2)").await.unwrap();
        assert_eq!(appended.version, 2);
        assert_eq!(test.query(&table, "SELECT id FROM t ORDER BY id").await, "1\n2");
        assert_eq!(test.query_on(&old, "SELECT count(*) FROM t").await.unwrap(), "0");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn history_names_statement_and_writer() {
        let test = TestLake::new();
        let table = test.make("t", &[ID], &[]).await;
        test.insert(&table, "VALUES (1), (2)").await.unwrap();
        let history = test.lake.history(&table, 10).await.unwrap();
        assert_eq!(history.iter().map(|commit| commit.version).collect::<Vec<_>>(), [1, 0]);
        assert_eq!(history[0].operation.as_deref(), Some("WRITE"));
        assert_eq!(history[0].operation_metrics.get("numOutputRows").map(String::as_str), Some("2"));
        assert_eq!(history[1].operation.as_deref(), Some("CREATE TABLE"));
        assert!(history[0].timestamp >= history[1].timestamp);
        assert_eq!(test.lake.history(&table, 1).await.unwrap().len(), 1);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_removed_table_leaves_nothing() {
        let test = TestLake::new();
        let table = test.make("t", &[ID, NAME], &["name"]).await;
        test.insert(&table, "VALUES (1, 'a'), (2, 'b')").await.unwrap();
        test.lake.remove_managed(&table).await.unwrap();
        assert!(!test.directory.path().join("t").exists());
        test.lake.remove_managed(&table).await.unwrap();
        assert_eq!(test.lake.snapshot(&table, AsOf::Latest).await.unwrap_err().kind(), ErrorKind::UndefinedRelation);
        // The same place can be used again, and the old table is not remembered.
        let table = test.make("t", &[NAME], &[]).await;
        assert_eq!(test.query(&table, "SELECT count(*) FROM t").await, "0");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn time_travel_has_ends() {
        let test = TestLake::new();
        let table = test.make("t", &[ID], &[]).await;
        for id in 1..=2 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            test.insert(&table, &format!("VALUES ({id})")).await.unwrap();
        }
        let at =
            async |as_of: AsOf| test.lake.snapshot(&table, as_of).await.map(|snapshot| (snapshot.version(), snapshot.num_rows()));
        assert_eq!(at(AsOf::Version(1)).await.unwrap(), (1, Some(1)));
        assert_eq!(at(AsOf::Version(0)).await.unwrap(), (0, Some(0)));
        assert_eq!(at(AsOf::Version(3)).await.unwrap_err().kind(), ErrorKind::InvalidParameter);
        let first = test.lake.snapshot(&table, AsOf::Version(1)).await.unwrap().timestamp();
        let newest = test.newest(&table).await.timestamp();
        assert_eq!(at(AsOf::Timestamp(first)).await.unwrap().0, 1);
        assert_eq!(at(AsOf::Timestamp(first - 1)).await.unwrap().0, 0);
        assert_eq!(at(AsOf::Timestamp(newest)).await.unwrap().0, 2);
        assert_eq!(at(AsOf::Timestamp(newest + 1)).await.unwrap_err().kind(), ErrorKind::InvalidParameter);
        assert_eq!(at(AsOf::Timestamp(0)).await.unwrap_err().kind(), ErrorKind::InvalidParameter);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn in_commit_timestamps_are_used_for_travel() {
        let test = TestLake::new();
        let table = test.make_with("t", &[ID], &[], &[("delta.enableInCommitTimestamps", "true")]).await.unwrap();
        test.insert(&table, "VALUES (1)").await.unwrap();
        let first = test.lake.snapshot(&table, AsOf::Version(0)).await.unwrap().timestamp();
        // The files' times say otherwise, and do not count.
        let file = std::fs::File::options().append(true).open(test.commit_file("t", 0)).unwrap();
        file.set_modified(std::time::SystemTime::now() + std::time::Duration::from_secs(3600)).unwrap();
        let found = test.lake.snapshot(&table, AsOf::Timestamp(first)).await.unwrap();
        assert_eq!(found.version(), 0);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn commits_of_others_are_seen_and_a_table_made_anew_is_noticed() {
        let test = TestLake::new();
        let table = test.make("t", &[ID], &[]).await;
        test.insert(&table, "VALUES (1)").await.unwrap();
        let other = TestLake::new();
        let theirs = other.lake.snapshot(&table, AsOf::Latest).await.unwrap();
        other.insert_on(&table, &theirs, "VALUES (2)").await.unwrap();
        assert_eq!(test.query(&table, "SELECT count(*) FROM t").await, "2");
        other.lake.remove_managed(&table).await.unwrap();
        other.lake.create(&table, &Schema::new(vec![SqlType::Text.field("other", true)]), &[], &[], None).await.unwrap();
        let anew = test.newest(&table).await;
        assert_eq!((anew.version(), anew.schema().field(0).name().as_str()), (0, "other"));
    }
}
