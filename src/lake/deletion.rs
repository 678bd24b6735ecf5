//! Deleted rows as row selections.
//!
//! A deletion vector is decoded once and kept by its id; what a scan gets is the rows to read, which DataFusion's Parquet reader splits
//! over row groups and byte ranges itself. Decoding happens on a blocking thread, for files that survived pruning only.

use std::sync::Arc;

use datafusion::datasource::physical_plan::parquet::ParquetRowSelection;
use datafusion::parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use moka::future::Cache;
use tokio::runtime::Handle;

use super::TableRef;
use super::files::DataFile;
use super::kernel::engine::TableEngine;
use super::kernel::error::translate;
use crate::error::{Error, ErrorKind, Result};
use crate::storage::RootedStore;
use crate::units::ByteSize;

/// Decoded deletion vectors by store and id.
#[derive(Debug)]
pub(super) struct DeletionVectors {
    cache: Cache<(u32, String), Arc<ParquetRowSelection>>,
    io: Handle,
}

impl DeletionVectors {
    pub(super) fn new(capacity: ByteSize, io: Handle) -> Self {
        let cache = Cache::builder()
            .max_capacity(capacity.0)
            .weigher(|key: &(u32, String), rows: &Arc<ParquetRowSelection>| {
                let selectors = rows.selection().iter().count() * size_of::<RowSelector>();
                u32::try_from(selectors + key.1.len() + 128).unwrap_or(u32::MAX)
            })
            .build();
        Self { cache, io }
    }

    /// The rows of `file` that are not deleted; `None` if none is.
    pub(super) async fn live_rows(
        &self,
        table: &TableRef,
        store: &Arc<RootedStore>,
        engine: &Arc<TableEngine>,
        file: &DataFile,
    ) -> Result<Option<Arc<ParquetRowSelection>>> {
        let Some(vector) = file.deletion_vector.clone() else { return Ok(None) };
        let Some(stored_rows) = file.stored_rows else {
            return Err(damaged(table).with_detail("A file with deleted rows does not say how many rows it has."));
        };
        let (name, store, engine) = (table.clone(), Arc::clone(store), Arc::clone(engine));
        let key = (store.number(), format!("{}\n{}", vector.id, file.reference));
        let decode = async move {
            let decoded =
                self.io.spawn_blocking(move || vector.read(&engine, &store).map_err(|error| translate(&name, error))).await;
            let deleted = decoded.map_err(|error| Error::internal("deletion vector task").with_source(error))??;
            select(&deleted, stored_rows)
                .map(Arc::new)
                .ok_or_else(|| damaged(table).with_detail("A deleted row lies behind its file's end."))
        };
        let rows = self.cache.try_get_with(key, decode).await.map_err(|error: Arc<Error>| copy(&error))?;
        Ok(Some(rows))
    }
}

fn damaged(table: &TableRef) -> Error {
    Error::new(ErrorKind::DataCorrupted, format!("a deletion vector of table \"{}\" is damaged", table.name))
}

/// An error that several waiters share, for one of them.
fn copy(error: &Arc<Error>) -> Error {
    let copied = Error::new(error.kind(), error.message());
    match error.detail() {
        Some(detail) => copied.with_detail(detail),
        None => copied,
    }
    .with_source(Arc::clone(error))
}

/// The rows of `0..stored_rows` that are not in `deleted`, which ascends; `None` if a deleted row is not a row.
fn select(deleted: &[u64], stored_rows: u64) -> Option<ParquetRowSelection> {
    let length = |rows: u64| usize::try_from(rows).ok();
    let mut selectors = Vec::new();
    let mut position = 0;
    for run in deleted.chunk_by(|row, next| row + 1 == *next) {
        let (first, end) = (*run.first()?, run.last()? + 1);
        if first > position {
            selectors.push(RowSelector::select(length(first - position)?));
        }
        selectors.push(RowSelector::skip(length(end - first)?));
        position = end;
    }
    if position > stored_rows {
        return None;
    }
    if stored_rows > position {
        selectors.push(RowSelector::select(length(stored_rows - position)?));
    }
    Some(ParquetRowSelection::new(RowSelection::from(selectors)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake::AsOf;
    use crate::lake::kernel::commit::ReadBackCommitter;
    use crate::lake::kernel::testing::delete_rows;
    use crate::lake::testing::TestLake;
    use crate::types::SqlType;

    #[test]
    fn a_selection_covers_every_row_of_the_file() {
        for (deleted, rows, live) in
            [(vec![], 3, 3), (vec![0], 3, 2), (vec![2], 3, 2), (vec![0, 1, 2], 3, 0), (vec![1, 2, 5], 9, 6)]
        {
            let selection = select(&deleted, rows).unwrap().into_inner();
            assert_eq!(selection.row_count(), live, "{deleted:?}");
            assert_eq!(selection.iter().map(|selector| selector.row_count as u64).sum::<u64>(), rows, "{deleted:?}");
        }
        assert!(select(&[3], 3).is_none());
    }

    /// A table of two files whose rows at every tenth position are deleted.
    async fn table_with_deleted_rows(test: &TestLake) -> TableRef {
        let columns = [("v", SqlType::Int8), ("t", SqlType::Text)];
        let table = test.make_with("t", &columns, &[], &[("delta.enableDeletionVectors", "true")]).await.unwrap();
        test.insert(&table, "SELECT v, concat('text ', v) FROM generate_series(0, 49999) AS g(v) ORDER BY v").await.unwrap();
        test.insert(&table, "SELECT v, concat('text ', v) FROM generate_series(50000, 99999) AS g(v) ORDER BY v").await.unwrap();
        let snapshot = test.newest(&table).await;
        let committer = ReadBackCommitter { store: Arc::clone(&snapshot.store), io: Handle::current(), description: None };
        tokio::task::spawn_blocking(move || delete_rows(&snapshot, committer, |row| row % 10 == 0)).await.unwrap();
        table
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn deleted_rows_are_gone_from_every_answer() {
        let test = TestLake::new();
        let table = table_with_deleted_rows(&test).await;
        assert_eq!(test.newest(&table).await.num_rows(), Some(90_000));
        // From statistics, from rows, and through row group pruning.
        assert_eq!(test.query(&table, "SELECT count(*) FROM t").await, "90000");
        assert_eq!(test.query(&table, "SELECT min(v), max(v) FROM t").await, "1|99999");
        assert_eq!(test.query(&table, "SELECT count(t), sum(v % 10) FROM t").await, "90000|450000");
        assert_eq!(test.query(&table, "SELECT count(*) FROM t WHERE v BETWEEN 100 AND 119").await, "18");
        assert_eq!(test.query(&table, "SELECT t FROM t WHERE v IN (50000, 50001)").await, "text 50001");
        assert_eq!(test.query(&table, "SELECT v FROM t ORDER BY v LIMIT 2").await, "1\n2");
        let before = test.lake.snapshot(&table, AsOf::Version(2)).await.unwrap();
        assert_eq!(test.query_on(&before, "SELECT count(*), min(v) FROM t").await.unwrap(), "100000|0");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_vector_outside_of_the_table_or_of_wrong_size_is_refused() {
        for (change, of) in [
            (
                Box::new(|commit: &str| commit.replace("\"cardinality\":5000", "\"cardinality\":5001"))
                    as Box<dyn Fn(&str) -> String>,
                "size",
            ),
            (
                Box::new(|commit: &str| {
                    let (before, after) = commit.split_once("\"storageType\":\"u\",\"pathOrInlineDv\":\"").unwrap();
                    let (_, after) = after.split_once('"').unwrap();
                    format!("{before}\"storageType\":\"p\",\"pathOrInlineDv\":\"file:///etc/passwd\"{after}")
                }),
                "place",
            ),
            (
                Box::new(|commit: &str| {
                    let (before, after) = commit.split_once("\"storageType\":\"u\",\"pathOrInlineDv\":\"").unwrap();
                    let (_, after) = after.split_once('"').unwrap();
                    let signed = "https://127.0.0.1:1/x?X-Amz-Signature=1";
                    format!("{before}\"storageType\":\"p\",\"pathOrInlineDv\":\"{signed}\"{after}")
                }),
                "server",
            ),
        ] {
            let test = TestLake::new();
            let table = table_with_deleted_rows(&test).await;
            let file = test.commit_file("t", 3);
            let commit = std::fs::read_to_string(&file).unwrap();
            let changed = change(&commit);
            assert_ne!(changed, commit, "{of}");
            std::fs::write(&file, changed).unwrap();
            let snapshot = test.newest(&table).await;
            let error = test.query_on(&snapshot, "SELECT count(t) FROM t").await.unwrap_err();
            assert!(error.to_string().contains("damaged"), "{of}: {error}");
        }
    }
}
