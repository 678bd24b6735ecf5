//! Batches to DataRow messages.

use std::fmt;
use std::ops::Range;

use bytes::BytesMut;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;

use super::{Form, Format};
use crate::error::{Error, ErrorKind, Result};
use crate::types::SqlType;
use crate::types::encode::cells::{Cells, CellsView, MAX_LENGTH, SLACK, too_long};
use crate::types::encode::column::{ColumnWriter, column_writer};

/// How many bytes a chunk aims at: one flush of the connection.
const CHUNK_BYTES: usize = 64 << 10;
/// Rows of the first chunk, before the width of a row is known.
const FIRST_CHUNK_ROWS: usize = 64;
/// More rows than this gain nothing: the cells should stay in the processor's cache.
const MAX_CHUNK_ROWS: usize = 1024;

/// The column writers of one result and their cells.
pub(super) struct Columns {
    writers: Vec<Box<dyn ColumnWriter>>,
    cells: Vec<Cells>,
    chunk_rows: usize,
}

impl Columns {
    pub(super) fn new(columns: &[SqlType], arrow: &SchemaRef, formats: &[Format], settings: &Form) -> Result<Columns> {
        if columns.len() != arrow.fields().len() || columns.len() != formats.len() {
            let counts = (columns.len(), arrow.fields().len(), formats.len());
            return Err(Error::internal(format!("columns, fields and formats differ in number: {counts:?}")));
        }
        if u16::try_from(columns.len()).is_err() {
            return Err(Error::new(ErrorKind::ProgramLimit, "a result can have at most 65535 columns"));
        }
        let writers = columns
            .iter()
            .zip(arrow.fields())
            .zip(formats)
            .map(|((sql_type, field), format)| column_writer(sql_type, field, *format, settings))
            .collect::<Result<Vec<_>>>()?;
        let cells = writers.iter().map(|_| Cells::default()).collect();
        Ok(Columns { writers, cells, chunk_rows: FIRST_CHUNK_ROWS })
    }

    pub(super) fn len(&self) -> usize {
        self.writers.len()
    }

    /// Writes the cells of the first rows of `rows`, as many as make a chunk; returns their number.
    pub(super) fn write_chunk(&mut self, batch: &RecordBatch, rows: Range<usize>) -> Result<usize> {
        if batch.num_columns() != self.writers.len() || rows.end > batch.num_rows() {
            return Err(Error::internal(format!(
                "rows {rows:?} of a batch of {} rows, {} columns",
                batch.num_rows(),
                batch.num_columns()
            )));
        }
        let count = rows.len().min(self.chunk_rows);
        match self.write(batch, rows.start..rows.start + count) {
            // Rows that are far wider than the ones before may pass what cells can hold together; one of them alone does not.
            Err(error) if error.kind() == ErrorKind::ProgramLimit && count > 1 => {
                self.write(batch, rows.start..rows.start + 1)?;
                self.chunk_rows = 1;
                Ok(1)
            }
            Err(error) => Err(error),
            Ok(()) => {
                let bytes: usize = self.cells.iter().map(Cells::used).sum();
                let row_bytes = bytes / count.max(1);
                self.chunk_rows = (CHUNK_BYTES / row_bytes.max(1)).clamp(1, MAX_CHUNK_ROWS);
                Ok(count)
            }
        }
    }

    fn write(&mut self, batch: &RecordBatch, rows: Range<usize>) -> Result<()> {
        for ((writer, cells), array) in self.writers.iter_mut().zip(&mut self.cells).zip(batch.columns()) {
            cells.clear();
            writer.write(array, rows.clone(), cells)?;
        }
        Ok(())
    }

    pub(super) fn cells(&self) -> &[Cells] {
        &self.cells
    }
}

impl fmt::Debug for Columns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Columns").field("columns", &self.writers.len()).field("chunk_rows", &self.chunk_rows).finish()
    }
}

/// Encodes the batches of one portal as DataRow messages.
#[derive(Debug)]
pub struct RowEncoder {
    columns: Columns,
}

impl RowEncoder {
    /// Chooses a writer for each column: its SQL type as described to the client, its field in the batches, its format.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if a field cannot become its SQL type, [`ErrorKind::UndefinedFunction`] for a type that has no
    /// binary form.
    pub fn new(columns: &[SqlType], arrow: &SchemaRef, formats: &[Format], settings: &Form) -> Result<Self> {
        Ok(RowEncoder { columns: Columns::new(columns, arrow, formats, settings)? })
    }

    /// Appends `rows` of `batch` as whole DataRow messages.
    ///
    /// # Errors
    /// [`ErrorKind::ProgramLimit`] for a value or row of 1 GiB or more, and the range errors of the SQL types. Rows before the faulty
    /// one may have been appended.
    pub fn encode(&mut self, batch: &RecordBatch, rows: Range<usize>, out: &mut BytesMut) -> Result<()> {
        let mut rest = rows;
        while !rest.is_empty() {
            rest.start += self.encode_some(batch, rest.clone(), out)?;
        }
        Ok(())
    }

    /// Appends the first rows of `rows`, about 64 KiB and at least one row, and returns their number: the caller can flush in
    /// between.
    ///
    /// # Errors
    /// As [`RowEncoder::encode`].
    pub fn encode_some(&mut self, batch: &RecordBatch, rows: Range<usize>, out: &mut BytesMut) -> Result<usize> {
        if rows.is_empty() {
            return Ok(0);
        }
        let count = self.columns.write_chunk(batch, rows)?;
        gather(self.columns.cells(), count, DATA_ROW, out)?;
        Ok(count)
    }
}

/// What stands before each row's cells.
#[derive(Debug, Clone, Copy)]
pub(super) struct RowHead {
    /// The message's type byte.
    pub(super) message: u8,
}

pub(super) const DATA_ROW: RowHead = RowHead { message: b'D' };
pub(super) const COPY_DATA: RowHead = RowHead { message: b'd' };

/// Bytes that are copied for each cell in one go; a longer cell takes a second copy. Less than the slack of cells.
const COPY_STEP: usize = 32;
const _: () = assert!(COPY_STEP < SLACK);
/// Message type, message length, number of columns.
const HEAD_LENGTH: usize = 7;

/// Appends one message a row: type, length, number of columns, cells.
///
/// Cells are copied [`COPY_STEP`] bytes at a time, also beyond their end: the next cell is written over the surplus.
pub(super) fn gather(columns: &[Cells], rows: usize, head: RowHead, out: &mut BytesMut) -> Result<()> {
    let views: Vec<CellsView<'_>> = columns.iter().map(Cells::view).collect();
    if views.iter().any(|view| view.ends.len() <= rows) {
        return Err(Error::internal("a column has fewer cells than rows"));
    }
    let number = u16::try_from(columns.len()).unwrap_or(u16::MAX).to_be_bytes();
    let total: usize = columns.iter().map(Cells::used).sum::<usize>() + rows * HEAD_LENGTH;
    let start = out.len();
    out.resize(start + total + COPY_STEP, 0);
    let target = &mut out[start..];
    let mut at = 0;
    for row in 0..rows {
        let row_start = at;
        at += HEAD_LENGTH;
        for view in &views {
            let (from, to) = (view.ends[row] as usize, view.ends[row + 1] as usize);
            let length = to - from;
            target[at..at + COPY_STEP].copy_from_slice(&view.bytes[from..from + COPY_STEP]);
            if length > COPY_STEP {
                target[at + COPY_STEP..at + length].copy_from_slice(&view.bytes[from + COPY_STEP..to]);
            }
            at += length;
        }
        let length = at - row_start - 1;
        if length > MAX_LENGTH {
            out.truncate(start);
            return Err(too_long(length));
        }
        let row_head = &mut target[row_start..row_start + HEAD_LENGTH];
        row_head[0] = head.message;
        #[expect(clippy::cast_possible_truncation, reason = "checked above")]
        row_head[1..5].copy_from_slice(&(length as u32).to_be_bytes());
        row_head[5..].copy_from_slice(&number);
    }
    out.truncate(start + at);
    Ok(())
}
