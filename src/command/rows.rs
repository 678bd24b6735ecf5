//! Small result sets, built row by row.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray, Int64Array, StringArray, TimestampMicrosecondArray};
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::arrow::record_batch::RecordBatch;

use crate::error::{Error, Result};
use crate::types::SqlType;

/// A schema of nullable columns.
pub(super) fn schema(columns: &[(&str, SqlType)]) -> SchemaRef {
    Arc::new(Schema::new(columns.iter().map(|(name, sql_type)| sql_type.field(*name, true)).collect::<Vec<_>>()))
}

/// A column of a result.
pub(super) enum Column {
    Text(Vec<Option<String>>),
    Bool(Vec<Option<bool>>),
    Int8(Vec<Option<i64>>),
    Timestamptz(Vec<Option<i64>>),
}

impl Column {
    fn into_array(self) -> ArrayRef {
        match self {
            Column::Text(values) => Arc::new(StringArray::from(values)),
            Column::Bool(values) => Arc::new(BooleanArray::from(values)),
            Column::Int8(values) => Arc::new(Int64Array::from(values)),
            Column::Timestamptz(values) => Arc::new(TimestampMicrosecondArray::from(values).with_timezone("UTC")),
        }
    }
}

/// The columns as one batch.
pub(super) fn batch(schema: SchemaRef, columns: Vec<Column>) -> Result<RecordBatch> {
    let arrays = columns.into_iter().map(Column::into_array).collect();
    RecordBatch::try_new(schema, arrays).map_err(|error| Error::internal(format!("rows of a command: {error}")))
}

/// Rows of texts as one batch.
pub(super) fn texts<const N: usize>(schema: SchemaRef, rows: Vec<[Option<String>; N]>) -> Result<RecordBatch> {
    let mut columns: Vec<Vec<Option<String>>> = (0..N).map(|_| Vec::with_capacity(rows.len())).collect();
    for row in rows {
        for (column, value) in columns.iter_mut().zip(row) {
            column.push(value);
        }
    }
    batch(schema, columns.into_iter().map(Column::Text).collect())
}
