//! The data files of a snapshot.

use std::sync::Arc;

use chrono::Utc;
use datafusion::common::ScalarValue;
use datafusion::datasource::listing::PartitionedFile;
use object_store::ObjectMeta;
use object_store::path::Path;

use super::kernel::files::DeletionVector;

/// One live data file: immutable, and shared by all snapshots that have it.
#[derive(Debug)]
pub(super) struct DataFile {
    /// As the log names it; with the deletion vector's id its identity.
    pub(super) reference: String,
    /// What a scan of DataFusion needs: path, size, partition values, statistics of the live rows.
    pub(super) file: PartitionedFile,
    /// Rows in the file, deleted ones included, if the log says it.
    pub(super) stored_rows: Option<u64>,
    /// Rows that are deleted.
    pub(super) deletion_vector: Option<DeletionVector>,
}

impl DataFile {
    /// A file that was just written and that no log names yet.
    pub(super) fn written(path: Path, size: u64, partition_values: Vec<ScalarValue>, rows: u64) -> Self {
        let mut file = PartitionedFile::new_from_meta(ObjectMeta {
            location: path,
            last_modified: Utc::now(),
            size,
            e_tag: None,
            version: None,
        });
        file.partition_values = partition_values;
        Self { reference: file.object_meta.location.to_string(), file, stored_rows: Some(rows), deletion_vector: None }
    }

    /// Rows that are not deleted, if the log says it.
    pub(super) fn live_rows(&self) -> Option<u64> {
        let deleted = self.deletion_vector.as_ref().map_or(0, |vector| vector.cardinality);
        self.stored_rows.map(|rows| rows.saturating_sub(deleted))
    }

    /// Bytes in memory, roughly.
    pub(super) fn weight(&self) -> usize {
        let columns = self.file.statistics.as_ref().map_or(0, |statistics| statistics.column_statistics.len());
        600 + 2 * self.reference.len() + columns * size_of::<datafusion::common::ColumnStatistics>()
    }
}

/// Facts about all files together.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct FileTotals {
    /// Live rows, if every file says it.
    pub(super) rows: Option<u64>,
    /// Bytes on storage.
    pub(super) bytes: u64,
    /// Bytes that the list itself holds in memory, roughly.
    pub(super) weight: usize,
}

impl FileTotals {
    pub(super) fn of(files: &[Arc<DataFile>]) -> Self {
        Self {
            rows: files.iter().map(|file| file.live_rows()).sum(),
            bytes: files.iter().map(|file| file.file.object_meta.size).sum(),
            weight: files.iter().map(|file| file.weight()).sum(),
        }
    }
}
