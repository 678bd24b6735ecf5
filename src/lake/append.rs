//! Appends: a stream of rows becomes Parquet files, then one commit.
//!
//! ```text
//!  batches ─▶ NOT NULL, lengths ─▶ split by partition ─▶ open files (bounded) ─▶ finished files ─▶ commit
//!                                                                  │ error or drop before the commit
//!                                                                  └▶ files are removed, best effort
//! ```
//! A file that a commit may have named is never removed here: after a doubtful answer it is left to VACUUM.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt32Array};
use datafusion::arrow::compute::{CastOptions, cast_with_options, take};
use datafusion::arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use datafusion::arrow::row::{OwnedRow, RowConverter, SortField};
use datafusion::common::ScalarValue;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::parquet::arrow::arrow_writer::ArrowWriterOptions;
use datafusion::parquet::arrow::{ArrowSchemaConverter, AsyncArrowWriter};
use datafusion::parquet::basic::{Compression, Type as PhysicalType, ZstdLevel};
use datafusion::parquet::errors::Result as ParquetResult;
use datafusion::parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use datafusion::parquet::schema::types::ColumnDescPtr;
use futures::StreamExt;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use tokio::runtime::Handle;
use tracing::warn;
use url::Url;

use super::TableRef;
use super::conform::conform;
use super::files::DataFile;
use super::kernel::error::{storage_error, translate};
use super::kernel::write::{FilePlan, FileStatistics, WritePlan};
use super::options::{FileCompression, LakeOptions};
use super::snapshot::TableSnapshot;
use crate::error::{Error, ErrorKind, Result};
use crate::storage::RootedStore;
use crate::types::SqlType;

/// Rows of a row group at most.
const ROW_GROUP_ROWS: usize = 1 << 20;
/// Bytes of a row group at most.
const ROW_GROUP_BYTES: usize = 128 << 20;
/// Bytes of one part of an upload: the least that S3 takes.
const UPLOAD_PART: usize = 5 << 20;

/// Files that are written and not committed yet; dropped, they are removed.
#[derive(Debug)]
pub(super) struct WrittenFiles {
    /// Rows of the log that add them.
    pub(super) added: Vec<RecordBatch>,
    /// Rows in them.
    pub(super) rows: u64,
    /// Their size.
    pub(super) bytes: u64,
    /// The same files, as a scan finds them.
    pub(super) files: Vec<Arc<DataFile>>,
    paths: Vec<Path>,
    store: Arc<RootedStore>,
    io: Handle,
}

impl WrittenFiles {
    fn new(store: Arc<RootedStore>, io: Handle) -> Self {
        Self { added: vec![], rows: 0, bytes: 0, files: vec![], paths: vec![], store, io }
    }

    /// Leaves the files where they are, whatever happens.
    pub(super) fn keep(&mut self) {
        self.paths.clear();
    }
}

impl Drop for WrittenFiles {
    fn drop(&mut self) {
        if self.paths.is_empty() {
            return;
        }
        let (paths, store) = (std::mem::take(&mut self.paths), Arc::clone(&self.store));
        self.io.spawn(async move {
            for path in paths {
                match store.delete(&path).await {
                    Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                    Err(error) => warn!(%error, %path, "file of an abandoned write was not removed"),
                }
            }
        });
    }
}

/// Writes `input` to files beside those of `snapshot`.
pub(super) async fn write_files(
    snapshot: &TableSnapshot,
    plan: WritePlan,
    options: &LakeOptions,
    io: &Handle,
    mut input: SendableRecordBatchStream,
) -> Result<WrittenFiles> {
    let mut writer = TableWriter::new(snapshot, plan, options, io)?;
    while let Some(batch) = input.next().await {
        writer.write(&batch.map_err(input_error)?).await?;
    }
    writer.finish().await
}

/// An error of ours that passed through the input, or one of the libraries, of which nothing is shown that may be hidden from the caller.
fn input_error(error: DataFusionError) -> Error {
    match error {
        DataFusionError::External(source) => match source.downcast::<Error>() {
            Ok(ours) => *ours,
            Err(source) => crate::error::datafusion::from_datafusion(DataFusionError::External(source), true),
        },
        other => crate::error::datafusion::from_datafusion(other, true),
    }
}

struct TableWriter<'a> {
    table: &'a TableRef,
    schema: SchemaRef,
    plan: WritePlan,
    properties: WriterProperties,
    options: &'a LakeOptions,
    /// Positions of the data columns.
    data: Vec<usize>,
    /// Positions and names of the partition columns.
    partition: Vec<(usize, String)>,
    rows: Option<RowConverter>,
    open: HashMap<Option<OwnedRow>, OpenFile>,
    written: WrittenFiles,
}

struct OpenFile {
    plan: FilePlan,
    url: Url,
    path: Path,
    /// Values of the partition columns, in their order.
    partition: Vec<ScalarValue>,
    writer: AsyncArrowWriter<BufWriter>,
    statistics: FileStatistics,
    rows: u64,
}

impl<'a> TableWriter<'a> {
    fn new(snapshot: &'a TableSnapshot, plan: WritePlan, options: &'a LakeOptions, io: &Handle) -> Result<Self> {
        if let Some(variant) = snapshot.loaded.columns.stored.iter().find(|stored| stored.is_variant) {
            return Err(Error::unsupported(format!("writing to column \"{}\" of type variant", variant.name)));
        }
        let schema = snapshot.schema();
        let partition = snapshot
            .partition_columns()
            .iter()
            .map(|name| Ok((schema.index_of(name).map_err(|error| Error::internal(error.to_string()))?, name.clone())))
            .collect::<Result<Vec<_>>>()?;
        let data = (0..schema.fields().len()).filter(|index| partition.iter().all(|(other, _)| other != index)).collect();
        let fields =
            partition.iter().map(|(index, _)| SortField::new(schema.field(*index).data_type().clone())).collect::<Vec<_>>();
        let rows = if fields.is_empty() {
            None
        } else {
            Some(RowConverter::new(fields).map_err(|error| Error::internal(error.to_string()))?)
        };
        Ok(Self {
            table: &snapshot.table,
            properties: properties(options),
            written: WrittenFiles::new(Arc::clone(&snapshot.store), io.clone()),
            open: HashMap::new(),
            schema,
            plan,
            options,
            data,
            partition,
            rows,
        })
    }

    async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let columns = self.checked_columns(batch)?;
        let data: Vec<ArrayRef> = self.data.iter().map(|index| Arc::clone(&columns[*index])).collect();
        let Some(rows) = &self.rows else { return self.write_partition(None, &[], data).await };
        let keys: Vec<ArrayRef> = self.partition.iter().map(|(index, _)| Arc::clone(&columns[*index])).collect();
        let converted = rows.convert_columns(&keys).map_err(|error| Error::internal(error.to_string()))?;
        let mut groups: HashMap<OwnedRow, Vec<u32>> = HashMap::new();
        for (row, position) in converted.iter().zip(0_u32..) {
            groups.entry(row.owned()).or_default().push(position);
        }
        for (key, positions) in groups {
            let first = positions.first().map_or(0, |first| *first as usize);
            let values = self
                .partition
                .iter()
                .zip(&keys)
                .map(|((_, name), column)| Ok((name.clone(), ScalarValue::try_from_array(column, first)?)))
                .collect::<datafusion::error::Result<Vec<_>>>()
                .map_err(|error| Error::internal(error.to_string()))?;
            let positions = UInt32Array::from(positions);
            let part = data
                .iter()
                .map(|column| take(column, &positions, None))
                .collect::<Result<Vec<_>, _>>()
                .map_err(|error| Error::internal(error.to_string()))?;
            self.write_partition(Some(key), &values, part).await?;
        }
        Ok(())
    }

    /// The columns of `batch` in the table's types, with the table's promises checked.
    fn checked_columns(&self, batch: &RecordBatch) -> Result<Vec<ArrayRef>> {
        if batch.num_columns() != self.schema.fields().len() {
            return Err(Error::internal(format!("{} columns for a table of {}", batch.num_columns(), self.schema.fields().len())));
        }
        self.schema
            .fields()
            .iter()
            .zip(batch.columns())
            .map(|(field, column)| {
                let column = cast_column(field, column)?;
                self.check_column(field, &column)?;
                Ok(column)
            })
            .collect()
    }

    fn check_column(&self, field: &FieldRef, column: &ArrayRef) -> Result<()> {
        if !field.is_nullable() && column.null_count() > 0 {
            return Err(Error::new(
                ErrorKind::NotNullViolation,
                format!(
                    "null value in column \"{}\" of relation \"{}\" violates not-null constraint",
                    field.name(),
                    self.table.name
                ),
            ));
        }
        let sql_type = SqlType::of_field(field);
        let (SqlType::Varchar(Some(length)) | SqlType::Bpchar(Some(length))) = sql_type else { return Ok(()) };
        let Some(strings) = column.as_string_view_opt() else { return Ok(()) };
        let length = length as usize;
        let too_long = strings.iter().flatten().any(|text| text.len() > length && text.chars().count() > length);
        if too_long {
            return Err(Error::new(ErrorKind::StringTooLong, format!("value too long for type {sql_type}")));
        }
        Ok(())
    }

    async fn write_partition(
        &mut self,
        key: Option<OwnedRow>,
        values: &[(String, ScalarValue)],
        data: Vec<ArrayRef>,
    ) -> Result<()> {
        if !self.open.contains_key(&key) {
            if self.open.len() >= self.options.max_open_partitions.max(1) {
                self.close_largest().await?;
            }
            let file = self.open_file(values)?;
            self.open.insert(key.clone(), file);
        }
        let Some(file) = self.open.get_mut(&key) else { return Err(Error::internal("a file that was just opened")) };
        file.write(self.table, data).await?;
        if file.size() >= self.options.target_file_size.as_usize() {
            self.close(&key).await?;
        }
        let buffered: usize = self.open.values().map(|file| file.writer.memory_size()).sum();
        if buffered > self.options.write_buffer.as_usize() {
            self.flush_largest().await?;
        }
        Ok(())
    }

    fn open_file(&mut self, values: &[(String, ScalarValue)]) -> Result<OpenFile> {
        let failed = |error| translate(self.table, error);
        let plan = self.plan.partition(values).map_err(failed)?;
        let extension = match self.options.compression {
            FileCompression::Snappy => "snappy.parquet",
            FileCompression::Zstd => "zstd.parquet",
        };
        let url = plan.new_file(extension).map_err(failed)?;
        let path = self.written.store.resolve(&url).map_err(|error| storage_error(self.table, error))?;
        self.written.paths.push(path.clone());
        let store = Arc::clone(&self.written.store) as Arc<dyn ObjectStore>;
        let upload = BufWriter::with_capacity(store, path.clone(), UPLOAD_PART).with_max_concurrency(4);
        let properties =
            without_float_bounds(self.properties.clone(), plan.schema()).map_err(|error| write_error(self.table, error))?;
        let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
        let writer = AsyncArrowWriter::try_new_with_options(upload, Arc::clone(plan.schema()), options)
            .map_err(|error| write_error(self.table, error))?;
        let partition = values.iter().map(|(_, value)| value.clone()).collect();
        Ok(OpenFile { statistics: plan.statistics(), plan, url, path, partition, writer, rows: 0 })
    }

    /// Ends the row group of the file that holds the most memory.
    async fn flush_largest(&mut self) -> Result<()> {
        match self.open.values_mut().max_by_key(|file| file.writer.memory_size()) {
            Some(file) => file.writer.flush().await.map_err(|error| write_error(self.table, error)),
            None => Ok(()),
        }
    }

    async fn close_largest(&mut self) -> Result<()> {
        match self.open.iter().max_by_key(|(_, file)| file.size()).map(|(key, _)| key.clone()) {
            Some(largest) => self.close(&largest).await,
            None => Ok(()),
        }
    }

    async fn close(&mut self, key: &Option<OwnedRow>) -> Result<()> {
        let Some(mut file) = self.open.remove(key) else { return Ok(()) };
        file.writer.finish().await.map_err(|error| write_error(self.table, error))?;
        let size = file.writer.bytes_written() as u64;
        let written = DataFile::written(file.path, size, file.partition, file.rows);
        let added = file.plan.added(file.url, size, file.statistics).map_err(|error| translate(self.table, error))?;
        self.written.files.push(Arc::new(written));
        self.written.added.push(added);
        self.written.rows += file.rows;
        self.written.bytes += size;
        Ok(())
    }

    async fn finish(mut self) -> Result<WrittenFiles> {
        let keys: Vec<_> = self.open.keys().cloned().collect();
        for key in keys {
            self.close(&key).await?;
        }
        Ok(self.written)
    }
}

impl OpenFile {
    async fn write(&mut self, table: &TableRef, data: Vec<ArrayRef>) -> Result<()> {
        let schema = self.plan.schema();
        let columns = schema
            .fields()
            .iter()
            .zip(&data)
            .map(|(field, column)| conform(column, field.data_type()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| Error::new(ErrorKind::DatatypeMismatch, "a value does not fit its column").with_source(error))?;
        self.statistics.add(schema, &columns).map_err(|error| translate(table, error))?;
        let batch = RecordBatch::try_new(Arc::clone(schema), columns).map_err(|error| Error::internal(error.to_string()))?;
        self.rows += batch.num_rows() as u64;
        self.writer.write(&batch).await.map_err(|error| write_error(table, error))
    }

    fn size(&self) -> usize {
        self.writer.bytes_written() + self.writer.in_progress_size()
    }
}

fn cast_column(field: &FieldRef, column: &ArrayRef) -> Result<ArrayRef> {
    if column.data_type() == field.data_type() || column.data_type().is_nested() {
        return Ok(Arc::clone(column));
    }
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(column, field.data_type(), &strict).map_err(|error| {
        let kind = if is_number(field.data_type()) { ErrorKind::NumericOutOfRange } else { ErrorKind::DatatypeMismatch };
        Error::new(kind, format!("a value is not in the range of column \"{}\" of type {}", field.name(), SqlType::of_field(field)))
            .with_source(error)
    })
}

fn is_number(data_type: &DataType) -> bool {
    data_type.is_numeric()
}

fn properties(options: &LakeOptions) -> WriterProperties {
    let compression = match options.compression {
        FileCompression::Snappy => Compression::SNAPPY,
        FileCompression::Zstd => Compression::ZSTD(ZstdLevel::default()),
    };
    WriterProperties::builder()
        .set_compression(compression)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
        .set_created_by(super::kernel::commit::ENGINE_INFO.to_string())
        .build()
}

/// Writes no statistics of floats into footers: readers that do not know that bounds leave NaN out would miss rows. The log has the bounds of
/// a file's floats if none of them is a NaN.
fn without_float_bounds(properties: WriterProperties, schema: &Schema) -> ParquetResult<WriterProperties> {
    let columns = ArrowSchemaConverter::new().convert(schema)?;
    let is_float = |column: &&ColumnDescPtr| matches!(column.physical_type(), PhysicalType::FLOAT | PhysicalType::DOUBLE);
    let floats = columns.columns().iter().filter(is_float);
    let without = |properties: WriterPropertiesBuilder, float: &ColumnDescPtr| {
        properties.set_column_statistics_enabled(float.path().clone(), EnabledStatistics::None)
    };
    Ok(floats.fold(properties.into_builder(), without).build())
}

fn write_error(table: &TableRef, error: datafusion::parquet::errors::ParquetError) -> Error {
    let kind = if is_storage_full(&error) { ErrorKind::DiskFull } else { ErrorKind::Io };
    let text = match kind {
        ErrorKind::DiskFull => format!("no space is left for table \"{}\"", table.name),
        _ => format!("rows could not be written to the storage of table \"{}\"", table.name),
    };
    Error::new(kind, text).with_source(error)
}

fn is_storage_full(error: &(dyn std::error::Error + 'static)) -> bool {
    let full = error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::StorageFull);
    full || error.source().is_some_and(is_storage_full)
}
