//! Batches to DataRow messages.
use std::ops::Range;

use bytes::BytesMut;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;

use super::{EncodeSettings, Format};
use crate::catalog::types::SqlType;
use crate::error::{Error, Result};

/// Encodes the batches of one portal.
#[derive(Debug)]
pub struct RowEncoder {}

impl RowEncoder {
    /// Chooses a writer for each column.
    pub fn new(_columns: &[SqlType], _arrow: &SchemaRef, _formats: &[Format], _settings: &EncodeSettings) -> Result<Self> {
        Err(Error::internal("later"))
    }
    /// Appends `rows` of `batch` as whole DataRow messages.
    pub fn encode(&mut self, _batch: &RecordBatch, _rows: Range<usize>, _out: &mut BytesMut) -> Result<()> {
        Err(Error::internal("later"))
    }
    /// Appends as many of `rows` as fit a chunk (about 64 KiB, at least one row) and returns their number, so that the caller can flush in between.
    pub fn encode_some(&mut self, _batch: &RecordBatch, _rows: Range<usize>, _out: &mut BytesMut) -> Result<usize> {
        Err(Error::internal("later"))
    }
}
