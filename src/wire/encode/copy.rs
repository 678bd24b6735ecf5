//! Batches to CopyData messages.
use std::ops::Range;

use bytes::BytesMut;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;

use super::EncodeSettings;
use crate::catalog::types::SqlType;
use crate::error::{Error, Result};
use crate::sql::statement::{CopyFormat, CopyOut};

/// How COPY TO STDOUT writes.
#[derive(Debug, Clone)]
pub struct CopyOptions {
    /// FORMAT
    pub format: CopyFormat,
    /// DELIMITER
    pub delimiter: u8,
    /// NULL
    pub null: String,
    /// HEADER
    pub header: bool,
    /// QUOTE (csv)
    pub quote: u8,
    /// ESCAPE (csv)
    pub escape: u8,
}

impl From<&CopyOut> for CopyOptions {
    fn from(copy: &CopyOut) -> Self {
        CopyOptions {
            format: copy.format,
            delimiter: copy.delimiter,
            null: copy.null.clone(),
            header: copy.header,
            quote: b'"',
            escape: b'"',
        }
    }
}

/// Encodes the batches of one COPY TO STDOUT.
#[derive(Debug)]
pub struct CopyEncoder {}

impl CopyEncoder {
    /// Chooses a writer for each column.
    pub fn new(
        _columns: &[(String, SqlType)],
        _arrow: &SchemaRef,
        _options: &CopyOptions,
        _settings: &EncodeSettings,
    ) -> Result<Self> {
        Err(Error::internal("later"))
    }
    /// Appends what comes before the rows: the header line or the binary header.
    pub fn start(&mut self, _out: &mut BytesMut) {}
    /// Appends `rows` of `batch` as whole CopyData messages.
    pub fn encode(&mut self, _batch: &RecordBatch, _rows: Range<usize>, _out: &mut BytesMut) -> Result<()> {
        Err(Error::internal("later"))
    }
    /// As [`CopyEncoder::encode`] for as many of `rows` as fit a chunk; returns their number.
    pub fn encode_some(&mut self, _batch: &RecordBatch, _rows: Range<usize>, _out: &mut BytesMut) -> Result<usize> {
        Err(Error::internal("later"))
    }
    /// Appends what comes after the rows: the binary trailer.
    pub fn finish(&mut self, _out: &mut BytesMut) {}
}
