//! How the files of a table are written, as its log demands: names, columns, statistics.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::ScalarValue;
use delta_kernel::engine::arrow_conversion::TryIntoArrow;
use delta_kernel::engine::arrow_data::ArrowEngineData;
use delta_kernel::expressions::Scalar;
use delta_kernel::snapshot::SnapshotRef;
use delta_kernel::transaction::{BoundWriteContext, UpdateTableOperation, WriteState};
use delta_kernel::{FileMeta, KernelError, KernelResult};
use delta_kernel_default_engine::build_add_file_metadata;
use delta_kernel_default_engine::parquet::DataFileMetadata;
use delta_kernel_default_engine::stats::FileStatsAccumulator;
use url::Url;
use uuid::Uuid;

use super::commit::ReadBackCommitter;
use super::engine::TableEngine;

/// What all files of one write have in common.
#[derive(Debug, Clone)]
pub(in crate::lake) struct WritePlan {
    state: Arc<WriteState>,
}

impl WritePlan {
    /// For appending to `snapshot`.
    ///
    /// # Errors
    /// If the table has a writer feature that the kernel lacks.
    pub(in crate::lake) fn new(snapshot: &SnapshotRef, engine: &TableEngine, committer: ReadBackCommitter) -> KernelResult<Self> {
        let builder = Arc::clone(snapshot).update_table(UpdateTableOperation::Write, super::commit::ENGINE_INFO, true);
        let transaction = builder.with_blind_append().build(engine, Box::new(committer))?;
        Ok(Self { state: transaction.write_state()? })
    }

    /// For the files of one partition.
    pub(in crate::lake) fn partition(&self, values: &[(String, ScalarValue)]) -> KernelResult<FilePlan> {
        let mut builder = self.state.write_context_builder();
        if !values.is_empty() {
            let values = values.iter().map(|(name, value)| Ok((name.clone(), scalar(value)?)));
            builder = builder.with_partition_values(values.collect::<KernelResult<HashMap<_, _>>>()?);
        }
        let context = builder.build()?;
        let schema: Schema = context.physical_data_schema().as_ref().try_into_arrow()?;
        Ok(FilePlan { schema: Arc::new(schema), context: Arc::new(context) })
    }
}

/// How the files of one partition are written.
#[derive(Debug, Clone)]
pub(in crate::lake) struct FilePlan {
    context: Arc<BoundWriteContext>,
    schema: SchemaRef,
}

impl FilePlan {
    /// Columns in the files: the table's data columns in order, under their stored names.
    pub(in crate::lake) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// A name that no other file has.
    pub(in crate::lake) fn new_file(&self, extension: &str) -> KernelResult<Url> {
        Ok(self.context.write_dir().join(&format!("part-{}.{extension}", Uuid::new_v4()))?)
    }

    /// Gathers the statistics of one file.
    pub(in crate::lake) fn statistics(&self) -> FileStatistics {
        FileStatistics(FileStatsAccumulator::new(self.context.stats_columns(), self.context.physical_data_schema()))
    }

    /// The row of the log that adds a finished file.
    pub(in crate::lake) fn added(&self, file: Url, size: u64, statistics: FileStatistics) -> KernelResult<RecordBatch> {
        let statistics = statistics.0.finish()?.ok_or_else(|| KernelError::generic("a file without rows"))?;
        let modified = chrono::Utc::now().timestamp_millis();
        let metadata = DataFileMetadata::new(FileMeta::new(file, modified, size), statistics);
        let added = build_add_file_metadata(metadata, &self.context)?;
        Ok(ArrowEngineData::try_from_engine_data(added)?.record_batch().clone())
    }
}

/// Statistics of a file that is being written.
#[derive(Debug)]
pub(in crate::lake) struct FileStatistics(FileStatsAccumulator);

impl FileStatistics {
    /// Takes in rows of the file.
    pub(in crate::lake) fn add(&mut self, schema: &SchemaRef, columns: &[ArrayRef]) -> KernelResult<()> {
        self.0.merge(&RecordBatch::try_new(Arc::clone(schema), columns.to_vec())?)
    }
}

pub(super) fn scalar(value: &ScalarValue) -> KernelResult<Scalar> {
    use delta_kernel::schema::DataType;
    let unsupported = || KernelError::unsupported(format!("a partition column of type {}", value.data_type()));
    Ok(match value {
        ScalarValue::Boolean(value) => value.map_or(Scalar::Null(DataType::BOOLEAN), Scalar::Boolean),
        ScalarValue::Int8(value) => value.map_or(Scalar::Null(DataType::BYTE), Scalar::Byte),
        ScalarValue::Int16(value) => value.map_or(Scalar::Null(DataType::SHORT), Scalar::Short),
        ScalarValue::Int32(value) => value.map_or(Scalar::Null(DataType::INTEGER), Scalar::Integer),
        ScalarValue::Int64(value) => value.map_or(Scalar::Null(DataType::LONG), Scalar::Long),
        ScalarValue::Float32(value) => value.map_or(Scalar::Null(DataType::FLOAT), Scalar::Float),
        ScalarValue::Float64(value) => value.map_or(Scalar::Null(DataType::DOUBLE), Scalar::Double),
        ScalarValue::Utf8(value) | ScalarValue::Utf8View(value) | ScalarValue::LargeUtf8(value) => {
            value.clone().map_or(Scalar::Null(DataType::STRING), Scalar::String)
        }
        ScalarValue::Binary(value) | ScalarValue::BinaryView(value) | ScalarValue::LargeBinary(value) => {
            value.clone().map_or(Scalar::Null(DataType::BINARY), Scalar::Binary)
        }
        ScalarValue::Date32(value) => value.map_or(Scalar::Null(DataType::DATE), Scalar::Date),
        ScalarValue::TimestampMicrosecond(value, Some(_)) => value.map_or(Scalar::Null(DataType::TIMESTAMP), Scalar::Timestamp),
        ScalarValue::TimestampMicrosecond(value, None) => value.map_or(Scalar::Null(DataType::TIMESTAMP_NTZ), Scalar::TimestampNtz),
        ScalarValue::Decimal128(value, precision, scale) => {
            let scale = u8::try_from(*scale).map_err(|_| unsupported())?;
            match value {
                Some(value) => Scalar::decimal(*value, *precision, scale)?,
                None => Scalar::Null(DataType::decimal(*precision, scale)?),
            }
        }
        _ => return Err(unsupported()),
    })
}
