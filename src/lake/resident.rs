//! Snapshots kept in memory.
//!
//! Each opened location has one resident snapshot. It is used as it is while it is younger than `freshness`; after that the tail of the log
//! is looked at (one LIST, or two file look-ups on local disks), and only if there is something new the commits after the resident version
//! are read. A log whose newest known commit has changed or gone is another table: everything known about it is dropped.

use std::sync::Arc;
use std::time::Instant;

use futures::TryStreamExt;
use moka::future::Cache;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parking_lot::Mutex;

use super::kernel::error::storage_error;
use super::kernel::load;
use super::snapshot::TableSnapshot;
use super::{Shared, TableRef};
use crate::catalog::securable::ObjectId;
use crate::error::{Error, ErrorKind, Result};
use crate::storage::{RootedStore, Scheme};
use crate::units::{ByteSize, HumanDuration};

/// Resident snapshots by store and table, and older versions by those and the version. Two tables of the metastore at one place share nothing
/// here: a snapshot knows its table's name for messages, and who may see the one name may not see the other.
#[derive(Debug)]
pub(super) struct Residents {
    cache: Cache<Key, Arc<Resident>>,
    freshness: HumanDuration,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Newest(u32, ObjectId),
    Version(u32, ObjectId, u64),
}

#[derive(Debug)]
struct Resident {
    snapshot: Arc<TableSnapshot>,
    checked: Mutex<Instant>,
}

impl Resident {
    fn new(snapshot: TableSnapshot) -> Arc<Self> {
        Arc::new(Self { snapshot: Arc::new(snapshot), checked: Mutex::new(Instant::now()) })
    }
}

/// What the log's tail says about a resident version.
#[derive(Debug, PartialEq, Eq)]
enum Tail {
    /// It is the newest.
    Unchanged,
    /// There are later commits.
    Grown,
    /// Its commit is not there, or is another one.
    Replaced,
}

impl Residents {
    pub(super) fn new(capacity: ByteSize, freshness: HumanDuration) -> Self {
        let cache = Cache::builder()
            .max_capacity(capacity.0)
            .weigher(|_: &Key, resident: &Arc<Resident>| u32::try_from(resident.snapshot.weight()).unwrap_or(u32::MAX))
            .build();
        Self { cache, freshness }
    }

    /// The newest version of `table`.
    pub(super) async fn newest(
        &self,
        shared: &Arc<Shared>,
        table: &TableRef,
        store: &Arc<RootedStore>,
    ) -> Result<Arc<TableSnapshot>> {
        let key = Key::Newest(store.number(), table.id);
        let known = self.cache.get(&key).await;
        let mut drop_known = false;
        if let Some(resident) = &known {
            if resident.checked.lock().elapsed() < self.freshness.0 {
                return Ok(Arc::clone(&resident.snapshot));
            }
            let asked = Instant::now();
            match tail(table, store, &resident.snapshot).await? {
                Tail::Unchanged => {
                    *resident.checked.lock() = asked;
                    return Ok(Arc::clone(&resident.snapshot));
                }
                Tail::Grown => {}
                Tail::Replaced => drop_known = true,
            }
        }
        // One reader of the log at a time for each table; who waited takes what the other has read.
        let computed = self
            .cache
            .entry(key)
            .and_try_compute_with(|entry| async {
                let current = entry.map(moka::Entry::into_value);
                let raced = match (&current, &known) {
                    (Some(current), Some(known)) => !Arc::ptr_eq(current, known),
                    (Some(_), None) => true,
                    (None, _) => false,
                };
                let resident = match current {
                    Some(current) if raced => match tail(table, store, &current.snapshot).await? {
                        Tail::Unchanged => return Ok(moka::ops::compute::Op::Nop),
                        Tail::Grown => advance(shared, table, store, &current.snapshot).await?,
                        Tail::Replaced => load(shared, table, store, None).await?,
                    },
                    Some(current) if !drop_known => advance(shared, table, store, &current.snapshot).await?,
                    _ => load(shared, table, store, None).await?,
                };
                Ok::<_, Error>(moka::ops::compute::Op::Put(Resident::new(resident)))
            })
            .await?;
        match computed {
            moka::ops::compute::CompResult::Inserted(entry)
            | moka::ops::compute::CompResult::ReplacedWith(entry)
            | moka::ops::compute::CompResult::Unchanged(entry)
            | moka::ops::compute::CompResult::Removed(entry) => Ok(Arc::clone(&entry.into_value().snapshot)),
            moka::ops::compute::CompResult::StillNone(_) => Err(Error::internal("a snapshot was read and is not there")),
        }
    }

    /// A version at or before that of `newest`.
    pub(super) async fn version(
        &self,
        shared: &Arc<Shared>,
        table: &TableRef,
        newest: &Arc<TableSnapshot>,
        version: u64,
    ) -> Result<Arc<TableSnapshot>> {
        if version == newest.version() {
            return Ok(Arc::clone(newest));
        }
        if version > newest.version() {
            // Not which one is the newest: that tells a reader of commits with rows that a policy hides.
            return Err(Error::new(
                ErrorKind::InvalidParameter,
                format!("version {version} of table \"{}\" does not exist", table.name),
            )
            .with_hint("DESCRIBE HISTORY shows the versions to those who manage the table."));
        }
        let key = Key::Version(newest.store.number(), table.id, version);
        if let Some(resident) = self.cache.get(&key).await
            && resident.snapshot.table_id() == newest.table_id()
        {
            return Ok(Arc::clone(&resident.snapshot));
        }
        let commit = commit_file(&newest.store, version);
        let is_there = existing(table, newest.store.head(&commit).await)?.is_some();
        let snapshot = load(shared, table, &newest.store, Some(version)).await.map_err(|error| match error.kind() {
            // The commit was not cleaned up with the others, so it should lead to a version.
            ErrorKind::DataCorrupted if is_there => error,
            ErrorKind::DataCorrupted | ErrorKind::UndefinedRelation => {
                let gone = format!("version {version} of table \"{}\" is not available any more", table.name);
                Error::new(ErrorKind::InvalidParameter, gone)
                    .with_detail("Its part of the log was removed or is damaged.")
                    .with_source(error)
            }
            _ => error,
        })?;
        let resident = Resident::new(snapshot);
        self.cache.insert(key, Arc::clone(&resident)).await;
        Ok(Arc::clone(&resident.snapshot))
    }

    /// Forgets the table: its files are gone.
    pub(super) async fn forget(&self, table: &TableRef, store: &RootedStore) {
        self.cache.invalidate(&Key::Newest(store.number(), table.id)).await;
    }
}

async fn load(shared: &Arc<Shared>, table: &TableRef, store: &Arc<RootedStore>, version: Option<u64>) -> Result<TableSnapshot> {
    let (shared, table, store) = (Arc::clone(shared), table.clone(), Arc::clone(store));
    let io = shared.io.clone();
    blocking(&io, move || {
        let loaded = load::load(&table, &store, &shared.io, version)?;
        TableSnapshot::new(&table, store, loaded, Arc::clone(&shared.deletion_vectors), Arc::default())
    })
    .await
}

async fn advance(
    shared: &Arc<Shared>,
    table: &TableRef,
    store: &Arc<RootedStore>,
    base: &Arc<TableSnapshot>,
) -> Result<TableSnapshot> {
    let (shared, table, store, base) = (Arc::clone(shared), table.clone(), Arc::clone(store), Arc::clone(base));
    let io = shared.io.clone();
    blocking(&io, move || {
        let loaded = match load::advance(&table, &store, &base.loaded) {
            Ok(loaded) => loaded,
            // What follows the base may be reachable from a checkpoint only, or a checkpoint is damaged.
            Err(error) if error.kind() == ErrorKind::DataCorrupted => load::load(&table, &store, &shared.io, None)?,
            Err(error) => return Err(error),
        };
        // What was found about a column is told by its name, which may be another column's now.
        let same_columns = loaded.columns == base.loaded.columns;
        let row_counts = if same_columns { Arc::clone(&base.row_counts) } else { Arc::default() };
        TableSnapshot::new(&table, store, loaded, Arc::clone(&shared.deletion_vectors), row_counts)
    })
    .await
}

/// Runs blocking work on the I/O runtime's blocking threads.
pub(super) async fn blocking<T: Send + 'static>(
    io: &tokio::runtime::Handle,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    io.spawn_blocking(work).await.map_err(|error| Error::internal("a task that read a log").with_source(error))?
}

async fn tail(table: &TableRef, store: &Arc<RootedStore>, resident: &TableSnapshot) -> Result<Tail> {
    let Some(newest) = resident.loaded.newest_commit else { return Ok(Tail::Replaced) };
    let (current, next) = (commit_file(store, resident.version()), commit_file(store, resident.version() + 1));
    let found = if store.location().scheme() == Scheme::File {
        let (current, next) = tokio::join!(store.head(&current), store.head(&next));
        (existing(table, current)?.map(identity), existing(table, next)?.is_some())
    } else {
        let log = store.root().clone().join("_delta_log");
        let before = log.clone().join(format!("{:020}", resident.version()));
        let mut files = store.list_with_offset(Some(&log), &before);
        let mut found = (None, false);
        while let Some(file) = files.try_next().await.map_err(|error| storage_error(table, error))? {
            if file.location == current {
                found.0 = Some(identity(file));
            } else if file.location == next {
                found.1 = true;
            } else if !file.location.filename().is_some_and(|name| name.starts_with(|first: char| first.is_ascii_digit())) {
                break;
            }
        }
        found
    };
    Ok(match found {
        (Some(commit), _) if commit != newest => Tail::Replaced,
        (None, _) => Tail::Replaced,
        (Some(_), true) => Tail::Grown,
        (Some(_), false) => Tail::Unchanged,
    })
}

fn commit_file(store: &RootedStore, version: u64) -> Path {
    store.root().clone().join("_delta_log").join(format!("{version:020}.json"))
}

fn identity(commit: object_store::ObjectMeta) -> (i64, u64) {
    (commit.last_modified.timestamp_millis(), commit.size)
}

fn existing(table: &TableRef, found: object_store::Result<object_store::ObjectMeta>) -> Result<Option<object_store::ObjectMeta>> {
    match found {
        Ok(meta) => Ok(Some(meta)),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(storage_error(table, error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake::testing::TestLake;
    use crate::types::SqlType;

    /// Commits version `version` with column `b` in the place of which another writer has `c`.
    fn replace_column(test: &TestLake, version: u64) {
        let first = std::fs::read_to_string(test.commit_file("t", 0)).unwrap();
        let metadata = first.lines().find(|line| line.contains("\"metaData\"")).unwrap();
        let renamed = metadata.replace("\\\"name\\\":\\\"b\\\"", "\\\"name\\\":\\\"c\\\"");
        assert_ne!(renamed, metadata);
        std::fs::write(test.commit_file("t", version), format!("{renamed}\n")).unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_was_found_about_columns_is_forgotten_when_they_change() {
        let test = TestLake::new();
        let table = test.make("t", &[("a", SqlType::Int8), ("b", SqlType::Int8)], &[]).await;
        test.insert(&table, "SELECT 1 AS a, 2 AS b").await.unwrap();
        let first = test.newest(&table).await;
        test.insert(&table, "SELECT 1 AS a, 3 AS b").await.unwrap();
        let second = test.newest(&table).await;
        assert!(std::ptr::eq(first.row_counts(), second.row_counts()));
        replace_column(&test, 3);
        let third = test.newest(&table).await;
        assert_eq!(third.physical_names(), ["a", "c"]);
        assert!(!std::ptr::eq(second.row_counts(), third.row_counts()));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_version_may_be_shown_without_some_of_its_columns() {
        let test = TestLake::new();
        let table = test.make("t", &[("a", SqlType::Int8), ("b", SqlType::Int8), ("c", SqlType::Int8)], &["b"]).await;
        test.insert(&table, "SELECT 1 AS a, 2 AS b, 3 AS c").await.unwrap();
        let whole = test.newest(&table).await;
        for (hidden, shown, row) in [("a", vec!["b", "c"], "2|3"), ("b", vec!["a", "c"], "1|3")] {
            let snapshot = Arc::new(whole.showing(|_, name| name != hidden).unwrap());
            assert_eq!(snapshot.physical_names(), shown);
            assert_eq!(test.query_on(&snapshot, "SELECT * FROM t").await.unwrap(), row);
        }
        let nothing = Arc::new(whole.showing(|_, _| false).unwrap());
        assert_eq!(test.query_on(&nothing, "SELECT count(*) FROM t").await.unwrap(), "1");
    }
}
