//! From rows of the log to data files.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int32Array, Int64Array, RecordBatch, StringArray, StructArray, new_empty_array,
};
use datafusion::arrow::compute::{cast, filter_record_batch};
use datafusion::arrow::datatypes::{FieldRef, Int32Type, Int64Type};
use datafusion::common::ScalarValue;
use datafusion::datasource::listing::PartitionedFile;
use delta_kernel::actions::deletion_vector::DeletionVectorDescriptor;
use delta_kernel::engine::arrow_conversion::TryFromArrow;
use delta_kernel::engine::arrow_data::ArrowEngineData;
use delta_kernel::expressions::Scalar;
use delta_kernel::log_replay::FileActionKey;
use delta_kernel::scan::{PartitionValuesOptions, StatsOptions};
use delta_kernel::schema::DataType;
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
#[derive(Debug, Clone, PartialEq, Eq)]
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

/// The live files of `snapshot`, from those of an earlier version and the commits since. `None` if those commits are not at hand. Blocks.
///
/// The table's columns must be the same in both versions.
pub(in crate::lake) fn list_since(
    base_version: u64,
    base: &[Arc<DataFile>],
    snapshot: &SnapshotRef,
    engine: &TableEngine,
    store: &RootedStore,
    columns: &TableColumns,
) -> KernelResult<Option<Vec<Arc<DataFile>>>> {
    if base_version == snapshot.version() {
        return Ok(Some(base.to_vec()));
    }
    let Some(changes) = Arc::clone(snapshot).incremental_scan_builder(base_version).build(engine)? else { return Ok(None) };
    let changes = changes.into_listing()?;
    let is_changed = |file: &Arc<DataFile>| {
        let key = FileActionKey::new(file.reference.clone(), file.deletion_vector.as_ref().map(|vector| vector.id.clone()));
        changes.summary.removes.contains(&key) || changes.summary.live_adds.contains(&key)
    };
    let mut files: Vec<Arc<DataFile>> = base.iter().filter(|file| !is_changed(file)).map(Arc::clone).collect();
    let data: Vec<(FieldRef, &StoredField)> = columns.data().collect();
    for added in changes.add_files {
        let batch = selected(added)?;
        let adds = batch.column_by_name("add").and_then(|column| column.as_struct_opt());
        let adds = adds.ok_or_else(|| KernelError::missing_column("add"))?;
        let statistics = parsed_statistics(snapshot, engine, adds)?;
        let adds_batch = RecordBatch::from(adds);
        let rows = FileRows {
            path: strings(&adds_batch, "path")?,
            size: longs(&adds_batch, "size")?,
            modification_time: longs(&adds_batch, "modificationTime")?,
            deletion_vector: adds.column_by_name("deletionVector").and_then(|column| column.as_struct_opt()),
            statistics: LogStatistics::new(statistics.as_ref(), &data),
            partition: columns
                .partition()
                .map(|(field, stored)| parsed_partition_values(adds, &field, stored))
                .collect::<KernelResult<_>>()?,
        };
        for row in 0..adds.len() {
            files.push(Arc::new(rows.file(row, store)?));
        }
    }
    Ok(Some(files))
}

/// The statistics of added files, from their JSON text.
fn parsed_statistics(snapshot: &SnapshotRef, engine: &TableEngine, adds: &StructArray) -> KernelResult<Option<StructArray>> {
    let schemas = Arc::clone(snapshot).scan_builder().with_stats(StatsOptions::all_struct()).stats_output_schemas()?;
    let (Some(schemas), Some(texts)) = (schemas, adds.column_by_name("stats")) else { return Ok(None) };
    let texts = RecordBatch::try_from_iter([("stats", Arc::clone(texts))])?;
    let parsed = engine.json_handler().parse_json(Box::new(ArrowEngineData::new(texts)), schemas.physical)?;
    Ok(Some(StructArray::from(ArrowEngineData::try_from_engine_data(parsed)?.record_batch().clone())))
}

/// The values of a partition column of added files, from their text.
fn parsed_partition_values(adds: &StructArray, field: &FieldRef, stored: &StoredField) -> KernelResult<ArrayRef> {
    let missing = || KernelError::missing_column("partitionValues");
    let values = adds.column_by_name("partitionValues").and_then(|column| column.as_map_opt()).ok_or_else(missing)?;
    let text = |row: usize| -> KernelResult<Option<String>> {
        let entries = values.value(row);
        let (Some(keys), Some(texts)) = (entries.column(0).as_string_opt::<i32>(), entries.column(1).as_string_opt::<i32>()) else {
            return Err(missing());
        };
        let found = keys.iter().zip(texts).find(|(key, _)| *key == Some(stored.stored_name.as_str()));
        Ok(found.and_then(|(_, text)| text).map(ToString::to_string))
    };
    let primitive = match TryFromArrow::try_from_arrow(field.data_type())? {
        DataType::Primitive(primitive) => primitive,
        other => return Err(KernelError::unsupported(format!("a partition column of type {other}"))),
    };
    let scalars = (0..adds.len())
        .map(|row| match text(row)? {
            Some(text) => scalar_value(primitive.parse_scalar(&text)?, field),
            None => ScalarValue::try_new_null(field.data_type()).map_err(KernelError::generic_err),
        })
        .collect::<KernelResult<Vec<_>>>()?;
    if scalars.is_empty() {
        return Ok(new_empty_array(field.data_type()));
    }
    ScalarValue::iter_to_array(scalars).map_err(KernelError::generic_err)
}

fn scalar_value(scalar: Scalar, field: &FieldRef) -> KernelResult<ScalarValue> {
    let value = match scalar {
        Scalar::Integer(value) => ScalarValue::from(value),
        Scalar::Long(value) => ScalarValue::from(value),
        Scalar::Short(value) => ScalarValue::from(value),
        Scalar::Byte(value) => ScalarValue::from(value),
        Scalar::Float(value) => ScalarValue::from(value),
        Scalar::Double(value) => ScalarValue::from(value),
        Scalar::String(value) => ScalarValue::Utf8(Some(value)),
        Scalar::Boolean(value) => ScalarValue::from(value),
        Scalar::Date(value) => ScalarValue::Date32(Some(value)),
        Scalar::Timestamp(value) => ScalarValue::TimestampMicrosecond(Some(value), Some("UTC".into())),
        Scalar::TimestampNtz(value) => ScalarValue::TimestampMicrosecond(Some(value), None),
        Scalar::Binary(value) => ScalarValue::Binary(Some(value)),
        Scalar::Decimal(value) => {
            let scale = i8::try_from(value.scale()).map_err(KernelError::generic_err)?;
            ScalarValue::Decimal128(Some(value.bits()), value.precision(), scale)
        }
        Scalar::Null(_) => return ScalarValue::try_new_null(field.data_type()).map_err(KernelError::generic_err),
        other => return Err(KernelError::unsupported(format!("a partition value of type {}", other.data_type()))),
    };
    value.cast_to(field.data_type()).map_err(KernelError::generic_err)
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
    let id = offset.map_or_else(|| format!("{storage_type}{path}"), |offset| format!("{storage_type}{path}@{offset}"));
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

#[cfg(test)]
mod tests {
    use crate::lake::kernel::commit::ReadBackCommitter;
    use crate::lake::kernel::testing::delete_rows;
    use crate::lake::testing::TestLake;
    use crate::lake::{AsOf, TableSnapshot};
    use crate::types::SqlType;
    use std::sync::Arc;
    use tokio::runtime::Handle;

    fn described(snapshot: &TableSnapshot) -> Vec<String> {
        let describe = |file: &Arc<super::DataFile>| {
            let vector = file.deletion_vector.as_ref().map(|vector| (vector.id.clone(), vector.cardinality));
            format!("{} {:?} {:?} {:?}", file.reference, vector, file.file.partition_values, file.file.statistics)
        };
        let mut files: Vec<String> = snapshot.files().iter().map(describe).collect();
        files.sort();
        files
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn files_advanced_commit_by_commit_are_the_files_read_at_once() {
        let test = TestLake::new();
        let columns = [
            ("v", SqlType::Int4),
            ("t", SqlType::Text),
            ("n", SqlType::Numeric { precision: 10, scale: 2 }),
            ("ts", SqlType::Timestamp),
            ("p", SqlType::Text),
            ("i", SqlType::Int2),
            ("d", SqlType::Date),
            ("z", SqlType::Timestamptz),
            ("m", SqlType::Numeric { precision: 6, scale: 2 }),
        ];
        let partition_by = ["p", "i", "d", "z", "m"];
        let table = test.make_with("t", &columns, &partition_by, &[("delta.enableDeletionVectors", "true")]).await.unwrap();
        let time = "timestamp '2024-01-02 03:04:05.5'";
        for (number, row) in [
            format!("VALUES (1, 'a', 1.5, {time}, 'x', 7, date '2024-02-29', {time}, 12.25), (2, 'b', 2.5, {time}, 'x', 7, date '2024-02-29', {time}, 12.25)"),
            "VALUES (3, 'c', NULL, NULL, NULL, NULL, NULL, NULL, NULL)".to_string(),
            format!("VALUES (4, NULL, -1.5, {time}, 'a b%/=', -1, date '0001-01-01', {time}, -0.01)"),
        ]
        .into_iter()
        .enumerate()
        {
            test.insert(&table, &row).await.unwrap();
            let fresh = TestLake::new();
            let at_once = fresh.lake.snapshot(&table, AsOf::Latest).await.unwrap();
            assert_eq!(described(&*test.newest(&table).await), described(&at_once), "{number}");
        }
        let snapshot = test.newest(&table).await;
        let committer = ReadBackCommitter { store: Arc::clone(&snapshot.store), io: Handle::current(), description: None };
        let kept = Arc::clone(&snapshot);
        tokio::task::spawn_blocking(move || delete_rows(&snapshot, committer, |row| row == 1)).await.unwrap();
        let fresh = TestLake::new();
        let at_once = fresh.lake.snapshot(&table, AsOf::Latest).await.unwrap();
        let advanced = test.newest(&table).await;
        assert_eq!(described(&advanced), described(&at_once));
        assert_eq!(advanced.num_rows(), Some(3));
        assert_eq!(kept.num_rows(), Some(4));
    }
}
