//! From rows of the log to data files.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int32Array, Int64Array, MapArray, RecordBatch, StringArray, StructArray,
    new_empty_array,
};
use datafusion::arrow::compute::filter_record_batch;
use datafusion::arrow::datatypes::{FieldRef, Int32Type, Int64Type};
use datafusion::common::ScalarValue;
use datafusion::datasource::listing::PartitionedFile;
use delta_kernel::actions::deletion_vector::DeletionVectorDescriptor;
use delta_kernel::engine::arrow_conversion::TryFromArrow;
use delta_kernel::engine::arrow_data::ArrowEngineData;
use delta_kernel::expressions::Scalar;
use delta_kernel::log_replay::FileActionKey;
use delta_kernel::scan::StatsOptions;
use delta_kernel::schema::{DataType, PrimitiveType};
use delta_kernel::snapshot::SnapshotRef;
use delta_kernel::{Engine, FilteredEngineData, KernelError, KernelResult};
use object_store::ObjectMeta;
use object_store::path::Path;
use url::Url;

use super::engine::TableEngine;
use super::error::ours;
use super::load::LoadedTable;
use super::schema::StoredField;
use crate::error::{Error, ErrorKind};
use crate::lake::TableRef;
use crate::lake::files::DataFile;
use crate::lake::statistics::LogStatistics;
use crate::storage::{RootedStore, is_outside};

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
    table: &TableRef,
    snapshot: &SnapshotRef,
    engine: &TableEngine,
    store: &RootedStore,
    columns: &TableColumns,
) -> KernelResult<Vec<Arc<DataFile>>> {
    let scan = Arc::clone(snapshot).scan_builder().with_stats(StatsOptions::all_struct()).without_row_transforms().build()?;
    let data: Vec<(FieldRef, &StoredField)> = columns.data().collect();
    let mut files = Vec::new();
    for metadata in scan.scan_metadata(engine)? {
        let batch = selected(metadata?.scan_files)?;
        let constants = batch.column_by_name("fileConstantValues").and_then(|column| column.as_struct_opt());
        let partition = partition_columns(constants.and_then(|constants| constants.column_by_name("partitionValues")), columns)?;
        let rows = FileRows {
            table,
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
    // Later commits come first: a file that a log names in two spellings is what was said of it last.
    let mut seen = HashSet::with_capacity(files.len());
    files.retain(|file| seen.insert(file.file.object_meta.location.clone()));
    Ok(files)
}

/// The live files of `snapshot`, from those of an earlier version and the commits since. `None` if those commits are not at hand. Blocks.
///
/// The table's columns must be the same in both versions.
pub(in crate::lake) fn list_since(
    table: &TableRef,
    base: &LoadedTable,
    snapshot: &SnapshotRef,
    store: &RootedStore,
    columns: &TableColumns,
) -> KernelResult<Option<Vec<Arc<DataFile>>>> {
    if base.version == snapshot.version() {
        return Ok(Some(base.files.clone()));
    }
    let engine = base.engine.as_ref();
    let Some(changes) = Arc::clone(snapshot).incremental_scan_builder(base.version).build(engine)? else { return Ok(None) };
    let changes = changes.into_listing()?;
    let is_changed = |file: &Arc<DataFile>| {
        let key = FileActionKey::new(file.reference.clone(), file.deletion_vector.as_ref().map(|vector| vector.id.clone()));
        changes.summary.removes.contains(&key) || changes.summary.live_adds.contains(&key)
    };
    let mut added_files: HashMap<Path, Arc<DataFile>> = HashMap::new();
    let data: Vec<(FieldRef, &StoredField)> = columns.data().collect();
    for added in changes.add_files {
        let batch = selected(added)?;
        let adds = batch.column_by_name("add").and_then(|column| column.as_struct_opt());
        let adds = adds.ok_or_else(|| KernelError::missing_column("add"))?;
        let statistics = parsed_statistics(snapshot, engine, adds)?;
        let adds_batch = RecordBatch::from(adds);
        let rows = FileRows {
            table,
            path: strings(&adds_batch, "path")?,
            size: longs(&adds_batch, "size")?,
            modification_time: longs(&adds_batch, "modificationTime")?,
            deletion_vector: adds.column_by_name("deletionVector").and_then(|column| column.as_struct_opt()),
            statistics: LogStatistics::new(statistics.as_ref(), &data),
            partition: partition_columns(adds.column_by_name("partitionValues"), columns)?,
        };
        for row in 0..adds.len() {
            let file = Arc::new(rows.file(row, store)?);
            added_files.entry(file.file.object_meta.location.clone()).or_insert(file);
        }
    }
    let is_kept = |file: &&Arc<DataFile>| !is_changed(file) && !added_files.contains_key(&file.file.object_meta.location);
    let kept = base.files.iter().filter(is_kept).map(Arc::clone);
    Ok(Some(kept.chain(added_files.values().map(Arc::clone)).collect()))
}

/// The statistics of added files, from their JSON text.
fn parsed_statistics(snapshot: &SnapshotRef, engine: &TableEngine, adds: &StructArray) -> KernelResult<Option<StructArray>> {
    let schemas = Arc::clone(snapshot).scan_builder().with_stats(StatsOptions::all_struct()).stats_output_schemas()?;
    let (Some(schemas), Some(texts)) = (schemas, adds.column_by_name("stats")) else { return Ok(None) };
    let texts = RecordBatch::try_from_iter([("stats", Arc::clone(texts))])?;
    let parsed = engine.json_handler().parse_json(Box::new(ArrowEngineData::new(texts)), schemas.physical)?;
    Ok(Some(StructArray::from(ArrowEngineData::try_from_engine_data(parsed)?.record_batch().clone())))
}

/// The values of the partition columns of files, from the texts that the log has of them.
fn partition_columns(values: Option<&ArrayRef>, columns: &TableColumns) -> KernelResult<Vec<ArrayRef>> {
    let mut partition = columns.partition().peekable();
    if partition.peek().is_none() {
        return Ok(vec![]);
    }
    let values = values.and_then(|column| column.as_map_opt()).ok_or_else(|| KernelError::missing_column("partitionValues"))?;
    partition.map(|(field, stored)| partition_column(values, &field, stored)).collect()
}

fn partition_column(values: &MapArray, field: &FieldRef, stored: &StoredField) -> KernelResult<ArrayRef> {
    let texts = values.keys().as_string_opt::<i32>().zip(values.values().as_string_opt::<i32>());
    let (keys, texts) = texts.ok_or_else(|| KernelError::missing_column("partitionValues"))?;
    let primitive = match TryFromArrow::try_from_arrow(field.data_type())? {
        DataType::Primitive(primitive) => primitive,
        other => return Err(KernelError::unsupported(format!("a partition column of type {other}"))),
    };
    let null = ScalarValue::try_new_null(field.data_type()).map_err(KernelError::generic_err)?;
    let mut known: HashMap<&str, ScalarValue> = HashMap::new();
    let mut scalars = Vec::with_capacity(values.len());
    for row in values.value_offsets().windows(2) {
        let (start, end) = (row[0] as usize, row[1] as usize);
        let entry = (start..end).find(|entry| keys.is_valid(*entry) && keys.value(*entry) == stored.stored_name);
        let Some(text) = entry.filter(|entry| texts.is_valid(*entry)).map(|entry| texts.value(entry)) else {
            scalars.push(null.clone());
            continue;
        };
        let scalar = match known.get(text) {
            Some(scalar) => scalar.clone(),
            None => {
                let scalar = scalar_value(partition_value(&primitive, text)?, field)?;
                known.insert(text, scalar.clone());
                scalar
            }
        };
        scalars.push(scalar);
    }
    if scalars.is_empty() {
        return Ok(new_empty_array(field.data_type()));
    }
    ScalarValue::iter_to_array(scalars).map_err(KernelError::generic_err)
}

/// A partition value from its text. The kernel takes decimals with all digits of their scale only, and timestamps in Spark's form.
fn partition_value(primitive: &PrimitiveType, text: &str) -> KernelResult<Scalar> {
    match primitive {
        PrimitiveType::Decimal(decimal) if !text.is_empty() => {
            let digits = decimal_digits(text, i64::from(decimal.scale())).ok_or_else(|| damaged_value(text))?;
            Scalar::decimal(digits, decimal.precision(), decimal.scale()).map_err(|_| damaged_value(text))
        }
        PrimitiveType::TimestampNtz if text.contains('T') => primitive.parse_scalar(&text.replacen('T', " ", 1)),
        other => other.parse_scalar(text),
    }
}

fn damaged_value(text: &str) -> KernelError {
    KernelError::generic(format!("the partition value {text:?} is not a number of its column"))
}

/// `0.5` or `5E-1` as a whole number of units of 10^-scale; `None` if it is not a number, or not a whole one.
fn decimal_digits(text: &str, scale: i64) -> Option<i128> {
    let (number, exponent) = match text.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, exponent.parse::<i64>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = whole.strip_prefix(['-', '+']).unwrap_or(whole);
    if digits.is_empty() && fraction.is_empty() || !digits.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let unscaled: i128 = format!("{whole}{fraction}").parse().ok()?;
    let shift = scale.checked_add(exponent)?.checked_sub(i64::try_from(fraction.len()).ok()?)?;
    let power = 10_i128.checked_pow(u32::try_from(shift.unsigned_abs()).ok()?);
    match power {
        _ if unscaled == 0 => Some(0),
        Some(power) if shift >= 0 => unscaled.checked_mul(power),
        Some(power) => (unscaled % power == 0).then(|| unscaled / power),
        None => None,
    }
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
    table: &'a TableRef,
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
        let location = self.location(reference, store)?;
        let deletion_vector = self
            .deletion_vector
            .filter(|vectors| vectors.is_valid(row))
            .map(|vectors| vector(self.table, vectors, row))
            .transpose()?;
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

impl FileRows<'_> {
    /// Where a data file is.
    fn location(&self, reference: &str, store: &RootedStore) -> KernelResult<Path> {
        let location = match store.resolve_reference(reference) {
            Err(error) if is_outside(&error) && is_absolute(reference) => {
                let name = &self.table.name;
                let refused = Error::unsupported(format!("table \"{name}\" with data files outside of its location"))
                    .with_detail("Its log names files by absolute paths that do not lie below the table, as a shallow clone does.")
                    .with_hint("Copy the table's rows (a deep clone, or CREATE TABLE AS), so that the table has files of its own.");
                return Err(ours(refused));
            }
            other => other?,
        };
        let is_of_log = location.prefix_matches(&store.root().clone().join("_delta_log"));
        let is_other = [".json", ".crc", ".bin"].iter().any(|extension| location.as_ref().ends_with(extension));
        if is_of_log || is_other {
            let damaged = Error::new(ErrorKind::DataCorrupted, format!("the log of table \"{}\" is damaged", self.table.name));
            return Err(ours(damaged.with_detail("It names a file as data that is none.")));
        }
        Ok(location)
    }
}

/// True for a path or URL that does not start at the table.
fn is_absolute(reference: &str) -> bool {
    reference.starts_with('/') || Url::parse(reference).is_ok()
}

/// The modification time of a file, made distinct by store. DataFusion's footer cache knows a file by path, size and this time only, and
/// all three can be alike in two buckets; what sets the stores apart must not come from the log.
fn distinct_time(millis: i64, store: u32) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(millis).unwrap_or_default() + TimeDelta::nanoseconds(i64::from(store) % 1_000_000)
}

fn vector(table: &TableRef, vectors: &StructArray, row: usize) -> KernelResult<DeletionVector> {
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
        storage_type.parse().map_err(|_| {
            let damaged = Error::new(ErrorKind::DataCorrupted, format!("a deletion vector of table \"{}\" is damaged", table.name));
            ours(damaged.with_detail(format!("Its storage type \"{storage_type}\" is not known.")))
        })?,
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
