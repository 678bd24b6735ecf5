//! One pinned version of a table.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{FieldRef, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::datasource::table_schema::TableSchema;

use super::TableRef;
use super::adapt::StoredColumns;
use super::deletion::DeletionVectors;
use super::files::{DataFile, FileTotals};
use super::kernel::load::LoadedTable;
use super::row_counts::RowCounts;
use super::scan::TableScan;
use crate::error::Result;
use crate::storage::RootedStore;

/// One version of a table, immutable: its schema and its files with their statistics.
#[derive(Debug)]
pub struct TableSnapshot {
    pub(super) table: TableRef,
    pub(super) store: Arc<RootedStore>,
    pub(super) loaded: LoadedTable,
    pub(super) deletion_vectors: Arc<DeletionVectors>,
    /// Data columns, then partition columns: the order of a scan.
    pub(super) scan_schema: TableSchema,
    /// Position in the scan's order of each column of the table.
    pub(super) scan_positions: Vec<usize>,
    pub(super) stored_columns: Arc<StoredColumns>,
    pub(super) row_counts: Arc<RowCounts>,
    schema: SchemaRef,
    /// Names in files of the columns of `schema`.
    physical_names: Vec<String>,
    totals: FileTotals,
}

impl TableSnapshot {
    pub(super) fn new(
        table: &TableRef,
        store: Arc<RootedStore>,
        loaded: LoadedTable,
        deletion_vectors: Arc<DeletionVectors>,
        row_counts: Arc<RowCounts>,
    ) -> Result<Self> {
        let columns = &loaded.columns;
        let data: Vec<FieldRef> = columns.data().map(|(field, _)| field).collect();
        let partition: Vec<FieldRef> = columns.partition().map(|(field, _)| field).collect();
        let scan_positions = columns
            .fields
            .iter()
            .map(|field| {
                let in_data = data.iter().position(|other| other.name() == field.name());
                let in_partition =
                    || partition.iter().position(|other| other.name() == field.name()).map(|index| data.len() + index);
                in_data
                    .or_else(in_partition)
                    .ok_or_else(|| crate::error::Error::internal("a column is neither stored nor constant"))
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Self {
            table: table.clone(),
            store,
            scan_schema: TableSchema::builder(Arc::new(Schema::new(data))).with_table_partition_cols(partition).build(),
            scan_positions,
            stored_columns: Arc::new(StoredColumns::new(columns.data().map(|(_, stored)| stored))),
            schema: Arc::new(Schema::new(columns.fields.clone())),
            physical_names: columns.stored.iter().map(|stored| stored.stored_name.clone()).collect(),
            totals: FileTotals::of(&loaded.files),
            loaded,
            deletion_vectors,
            row_counts,
        })
    }

    /// The same version with further files, which its log does not name.
    pub(super) fn with_files(&self, files: impl Iterator<Item = Arc<DataFile>>) -> Result<Self> {
        let mut loaded = self.loaded.clone();
        loaded.files.extend(files);
        // Counts of its own: those of the version are told to others, too.
        Self::new(&self.table, Arc::clone(&self.store), loaded, Arc::clone(&self.deletion_vectors), Arc::default())
    }

    /// The same version without the columns that `shows`, asked with their names in files and in queries, is false for. For reading only.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Internal`] if the version does not fit together.
    pub fn showing(&self, shows: impl Fn(&str, &str) -> bool) -> Result<Self> {
        let loaded = self.loaded.clone();
        let (deletion_vectors, row_counts) = (Arc::clone(&self.deletion_vectors), Arc::clone(&self.row_counts));
        let whole = Self::new(&self.table, Arc::clone(&self.store), loaded, deletion_vectors, row_counts)?;
        let (mut fields, mut scan_positions, mut physical_names) = (Vec::new(), Vec::new(), Vec::new());
        for ((field, position), physical_name) in whole.schema.fields().iter().zip(&whole.scan_positions).zip(&whole.physical_names)
        {
            if shows(physical_name, field.name()) {
                fields.push(Arc::clone(field));
                scan_positions.push(*position);
                physical_names.push(physical_name.clone());
            }
        }
        Ok(Self { schema: Arc::new(Schema::new(fields)), scan_positions, physical_names, ..whole })
    }

    /// Version.
    pub fn version(&self) -> u64 {
        self.loaded.version
    }

    /// Columns as queries see them: in the table's order, SqlType-tagged, strings and bytes as views.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Names in files of the columns of [`TableSnapshot::schema`], in the same order: what a column is called there stays when it is renamed.
    pub fn physical_names(&self) -> &[String] {
        &self.physical_names
    }

    /// Partition columns in order.
    pub fn partition_columns(&self) -> &[String] {
        &self.loaded.columns.partition_columns
    }

    /// Comments of the columns that have one.
    pub fn column_comments(&self) -> &BTreeMap<String, String> {
        &self.loaded.comments
    }

    /// Description of the table.
    pub fn description(&self) -> Option<&str> {
        self.loaded.description.as_deref()
    }

    /// The rows, readable by whoever holds this: only governance may call it.
    pub fn provider(self: &Arc<Self>) -> Arc<dyn TableProvider> {
        Arc::new(TableScan::new(Arc::clone(self)))
    }

    /// Number of rows, if every file says it.
    pub fn num_rows(&self) -> Option<u64> {
        self.totals.rows
    }

    /// Rows by predicate, where somebody has counted them; shared with the versions before and after.
    pub fn row_counts(&self) -> &RowCounts {
        &self.row_counts
    }

    /// Size of the data files in bytes.
    pub fn size_in_bytes(&self) -> u64 {
        self.totals.bytes
    }

    /// Number of data files.
    pub fn num_files(&self) -> usize {
        self.loaded.files.len()
    }

    /// TBLPROPERTIES.
    pub fn properties(&self) -> &BTreeMap<String, String> {
        &self.loaded.properties
    }

    /// When this version was committed, in microseconds since the epoch, UTC.
    pub fn timestamp(&self) -> i64 {
        self.loaded.timestamp_ms.saturating_mul(1000)
    }

    /// The table's own identity: a table made anew at the same place has another.
    pub fn table_id(&self) -> &str {
        &self.loaded.table_id
    }

    pub(super) fn files(&self) -> &[Arc<DataFile>] {
        &self.loaded.files
    }

    /// Bytes in memory, roughly.
    pub(super) fn weight(&self) -> usize {
        self.totals.weight + self.loaded.kernel.estimated_owned_heap_size_bytes() + 8 * self.loaded.files.len() + 4096
    }
}
