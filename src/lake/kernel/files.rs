//! From rows of the log to data files.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int32Array, Int64Array, RecordBatch, StringArray, StructArray,
};
use datafusion::arrow::compute::{cast, filter_record_batch};
use datafusion::arrow::datatypes::{FieldRef, Int32Type, Int64Type};
use datafusion::common::ScalarValue;
use datafusion::datasource::listing::PartitionedFile;
use delta_kernel::actions::deletion_vector::DeletionVectorDescriptor;
use delta_kernel::engine::arrow_data::ArrowEngineData;
use delta_kernel::scan::{PartitionValuesOptions, StatsOptions};
use delta_kernel::snapshot::SnapshotRef;
use delta_kernel::{Engine, FilteredEngineData, KernelError, KernelResult};
use object_store::ObjectMeta;

use super::engine::TableEngine;
use super::schema::StoredField;
use crate::lake::files::DataFile;
use crate::lake::statistics::LogStatistics;
use crate::storage::RootedStore;

/// Rows of one file that are deleted, stored apart from it.
#[derive(Debug, Clone)]
pub(in crate::lake) struct DeletionVector {
    descriptor: DeletionVectorDescriptor,
    /// Identity, unique in the table.
    pub(in crate::lake) id: String,
    /// Number of deleted rows.
    pub(in crate::lake) cardinality: u64,
}

impl DeletionVector {
    /// Reads the positions of the deleted rows, ascending. Blocks.
    pub(in crate::lake) fn read(&self, engine: &TableEngine, store: &RootedStore) -> KernelResult<Vec<u64>> {
        let mut rows = self.descriptor.row_indexes(engine.storage_handler(), store.root_url())?;
        rows.sort_unstable();
        rows.dedup();
        if rows.len() as u64 == self.cardinality {
            Ok(rows)
        } else {
            Err(KernelError::deletion_vector(format!("{} rows instead of {}", rows.len(), self.cardinality)))
        }
    }
}

/// The columns of a table, as the list of files needs them.
#[derive(Debug, Clone)]
pub(in crate::lake) struct TableColumns {
    /// Columns for queries, in the table's order.
    pub(in crate::lake) fields: Vec<FieldRef>,
    /// The same columns in files.
    pub(in crate::lake) stored: Vec<StoredField>,
    /// Names of the partition columns in order.
    pub(in crate::lake) partition_columns: Vec<String>,
}

impl TableColumns {
    /// Columns that are in files.
    pub(in crate::lake) fn data(&self) -> impl Iterator<Item = (FieldRef, &StoredField)> {
        let is_partition = |field: &FieldRef| self.partition_columns.contains(field.name());
        self.fields.iter().cloned().zip(&self.stored).filter(move |(field, _)| !is_partition(field))
    }

    /// Columns that are constant in a file.
    pub(in crate::lake) fn partition(&self) -> impl Iterator<Item = (FieldRef, &StoredField)> {
        self.partition_columns
            .iter()
            .filter_map(|name| self.fields.iter().cloned().zip(&self.stored).find(|(field, _)| field.name() == name))
    }
}

/// Lists the live files of a snapshot. Blocks.
pub(in crate::lake) fn list(
    snapshot: &SnapshotRef,
    engine: &TableEngine,
    store: &RootedStore,
    columns: &TableColumns,
) -> KernelResult<Vec<Arc<DataFile>>> {
    let scan = Arc::clone(snapshot)
        .scan_builder()
        .with_stats(StatsOptions::all_struct())
        .with_partition_values(PartitionValuesOptions::with_struct())
        .without_row_transforms()
        .build()?;
    let data: Vec<(FieldRef, &StoredField)> = columns.data().collect();
    let mut files = Vec::new();
    for metadata in scan.scan_metadata(engine)? {
        let batch = selected(metadata?.scan_files)?;
        let partition = columns
            .partition()
            .map(|(field, stored)| {
                let values = batch.column_by_name("partitionValues_parsed").and_then(|column| column.as_struct_opt());
                let values = values.and_then(|values| values.column_by_name(&stored.stored_name));
                let values = values.ok_or_else(|| KernelError::missing_column(field.name()))?;
                Ok(cast(values, field.data_type())?)
            })
            .collect::<KernelResult<Vec<ArrayRef>>>()?;
        let rows = FileRows {
            path: strings(&batch, "path")?,
            size: longs(&batch, "size")?,
            modification_time: longs(&batch, "modificationTime")?,
            deletion_vector: batch.column_by_name("deletionVector").and_then(|column| column.as_struct_opt()),
            statistics: LogStatistics::new(batch.column_by_name("stats_parsed").and_then(|column| column.as_struct_opt()), &data),
            partition,
        };
        for row in 0..batch.num_rows() {
            files.push(Arc::new(rows.file(row, store)?));
        }
    }
    Ok(files)
}

/// The rows of a batch that are selected.
fn selected(data: FilteredEngineData) -> KernelResult<RecordBatch> {
    let (data, mut selection) = data.into_parts();
    let batch = ArrowEngineData::try_from_engine_data(data)?.record_batch().clone();
    selection.resize(batch.num_rows(), true);
    Ok(filter_record_batch(&batch, &BooleanArray::from(selection))?)
}

/// Columns of a batch of added files.
struct FileRows<'a> {
    path: &'a StringArray,
    size: &'a Int64Array,
    modification_time: &'a Int64Array,
    deletion_vector: Option<&'a StructArray>,
    statistics: LogStatistics,
    partition: Vec<ArrayRef>,
}

impl FileRows<'_> {
    fn file(&self, row: usize, store: &RootedStore) -> KernelResult<DataFile> {
        let reference = self.path.value(row);
        let location = store.resolve_reference(reference)?;
        let deletion_vector =
            self.deletion_vector.filter(|vectors| vectors.is_valid(row)).map(|vectors| vector(vectors, row)).transpose()?;
        let deleted = deletion_vector.as_ref().map_or(0, |vector| vector.cardinality);
        let size = u64::try_from(self.size.value(row)).map_err(|_| KernelError::generic("a file with a negative size"))?;
        let mut file = PartitionedFile::new_from_meta(ObjectMeta {
            location,
            last_modified: distinct_time(self.modification_time.value(row), store.number()),
            size,
            e_tag: None,
            version: None,
        });
        file.partition_values = self
            .partition
            .iter()
            .map(|values| ScalarValue::try_from_array(values, row).map_err(KernelError::generic_err))
            .collect::<KernelResult<_>>()?;
        file.statistics = Some(Arc::new(self.statistics.of_file(row, deleted, &file.partition_values)));
        Ok(DataFile { reference: reference.to_string(), file, stored_rows: self.statistics.stored_rows(row), deletion_vector })
    }
}

/// The modification time of a file, made distinct by store. DataFusion's footer cache knows a file by path, size and this time only, and
/// all three can be alike in two buckets; what sets the stores apart must not come from the log.
fn distinct_time(millis: i64, store: u32) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(millis).unwrap_or_default() + TimeDelta::nanoseconds(i64::from(store) % 1_000_000)
}

fn vector(vectors: &StructArray, row: usize) -> KernelResult<DeletionVector> {
    let missing = |name: &str| KernelError::missing_column(format!("deletionVector.{name}"));
    let text = |name: &str| {
        let column = vectors.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
        column.filter(|column| column.is_valid(row)).map(|column| column.value(row).to_string()).ok_or_else(|| missing(name))
    };
    let int = |name: &str| -> Option<i32> {
        let column: &Int32Array = vectors.column_by_name(name)?.as_primitive_opt::<Int32Type>()?;
        column.is_valid(row).then(|| column.value(row))
    };
    let cardinality = vectors.column_by_name("cardinality").and_then(|column| column.as_primitive_opt::<Int64Type>());
    let cardinality = cardinality.filter(|column| column.is_valid(row)).map(|column| column.value(row));
    let cardinality = cardinality.ok_or_else(|| missing("cardinality"))?;
    let (storage_type, path, offset) = (text("storageType")?, text("pathOrInlineDv")?, int("offset"));
    let id = format!("{storage_type}{path}@{}", offset.unwrap_or(0));
    let descriptor = DeletionVectorDescriptor::try_new(
        storage_type.parse()?,
        path,
        offset,
        int("sizeInBytes").ok_or_else(|| missing("sizeInBytes"))?,
        cardinality,
    )?;
    Ok(DeletionVector {
        id,
        cardinality: u64::try_from(cardinality).map_err(|_| KernelError::deletion_vector("negative cardinality"))?,
        descriptor,
    })
}

fn strings<'a>(batch: &'a RecordBatch, name: &str) -> KernelResult<&'a StringArray> {
    let column = batch.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
    column.ok_or_else(|| KernelError::missing_column(name))
}

fn longs<'a>(batch: &'a RecordBatch, name: &str) -> KernelResult<&'a Int64Array> {
    let column = batch.column_by_name(name).and_then(|column| column.as_primitive_opt::<Int64Type>());
    column.ok_or_else(|| KernelError::missing_column(name))
}
