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
mod deletion;
mod files;
mod kernel;
mod options;
mod resident;
mod scan;
mod snapshot;
mod statistics;

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::Schema;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::object_store::ObjectStoreRegistry;
use tokio::runtime::{Handle, RuntimeFlavor};

use crate::catalog::securable::{ObjectId, Secret};
use crate::error::{Error, ErrorKind, Result};
use crate::storage::{RootedStore, Storage};

use deletion::DeletionVectors;
use resident::Residents;

pub use options::LakeOptions;
pub use snapshot::TableSnapshot;

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
}

/// What every snapshot needs to be read.
#[derive(Debug)]
struct Shared {
    storage: Arc<Storage>,
    io: Handle,
    deletion_vectors: Arc<DeletionVectors>,
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
        let shared = Arc::new(Shared { storage, io, deletion_vectors });
        Ok(Arc::new(Self { shared, residents: Residents::new(options.snapshot_cache, options.freshness) }))
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
    /// `schema` is SqlType-tagged; `comment` is the table's description.
    ///
    /// # Errors
    /// `DuplicateRelation` if there is a table at the location, `ObjectInUse` if there is something else, `Unsupported` for a type that
    /// Delta does not have.
    pub async fn create(
        &self,
        table: &TableRef,
        schema: &Schema,
        partition_by: &[String],
        properties: &[(String, String)],
        comment: Option<&str>,
    ) -> Result<Arc<TableSnapshot>> {
        let _ = (table, schema, partition_by, properties, comment);
        Err(Error::internal("not landed yet"))
    }

    /// Appends rows: Parquet files, then one commit. Input columns are in the table's order.
    ///
    /// Dropping the future before the commit leaves the table as it was; the commit itself runs to its end on the I/O runtime.
    ///
    /// # Errors
    /// `NotNullViolation` naming the column; `SerializationFailure` if others commit too fast or changed the schema; what `input` fails with.
    pub async fn append(
        &self,
        table: &TableRef,
        snapshot: &Arc<TableSnapshot>,
        input: SendableRecordBatchStream,
        operation: WriteOperation,
    ) -> Result<Appended> {
        let _ = (table, snapshot, input, operation);
        Err(Error::internal("not landed yet"))
    }

    /// How query plans find the stores of this lake: each opened location has a private URL.
    pub fn object_store_registry(&self) -> Arc<dyn ObjectStoreRegistry> {
        self.shared.storage.object_store_registry()
    }

    /// Removes every file of a managed table. Idempotent; a missing table is no error.
    ///
    /// # Errors
    /// `Io` if a file could not be removed; the rest was tried.
    pub async fn remove_managed(&self, table: &TableRef) -> Result<()> {
        let _ = table;
        Err(Error::internal("not landed yet"))
    }

    /// The newest `limit` commits, newest first.
    ///
    /// # Errors
    /// As [`Lake::snapshot`].
    pub async fn history(&self, table: &TableRef, limit: usize) -> Result<Vec<CommitInfo>> {
        let _ = (table, limit);
        Err(Error::internal("not landed yet"))
    }
}
