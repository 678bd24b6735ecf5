//! One pinned version of a table.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;

/// One version of a table, immutable: its schema and its files with their statistics.
#[derive(Debug)]
pub struct TableSnapshot {
    version: u64,
    timestamp: i64,
    schema: SchemaRef,
    partition_columns: Vec<String>,
    properties: BTreeMap<String, String>,
    num_rows: Option<u64>,
    size_in_bytes: u64,
    num_files: usize,
}

impl TableSnapshot {
    /// Version.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Columns as queries see them: in the table's order, SqlType-tagged, strings and bytes as views.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Partition columns in order.
    pub fn partition_columns(&self) -> &[String] {
        &self.partition_columns
    }

    /// The rows, readable by whoever holds this: only governance may call it.
    pub fn provider(self: &Arc<Self>) -> Arc<dyn TableProvider> {
        Arc::new(datafusion::datasource::empty::EmptyTable::new(self.schema()))
    }

    /// Number of rows, if every file says it.
    pub fn num_rows(&self) -> Option<u64> {
        self.num_rows
    }

    /// Size of the data files in bytes.
    pub fn size_in_bytes(&self) -> u64 {
        self.size_in_bytes
    }

    /// Number of data files.
    pub fn num_files(&self) -> usize {
        self.num_files
    }

    /// TBLPROPERTIES.
    pub fn properties(&self) -> &BTreeMap<String, String> {
        &self.properties
    }

    /// When this version was committed, in microseconds since the epoch, UTC.
    pub fn timestamp(&self) -> i64 {
        self.timestamp
    }
}
