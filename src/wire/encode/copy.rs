//! COPY TO STDOUT: batches to CopyData messages in text, CSV and binary.
//!
//! Text and CSV take the cells of text format and put delimiters, quotes and escapes around them; a column whose values cannot
//! contain anything special, such as a number, is copied without a look. Binary takes the cells as they are.

use std::ops::Range;

use bytes::{BufMut as _, BytesMut};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;

use super::rows::{COPY_DATA, Columns, gather};
use super::{Form, Format};
use crate::error::Result;
use crate::session::outcome::CopyLayout;
use crate::sql::statement::{CopyForm, CopyFormat};
use crate::types::SqlType;
use crate::types::encode::cells::{Cells, MAX_LENGTH, too_long};

/// Signature, flags and length of the extension area.
const BINARY_HEADER: &[u8; 19] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const BINARY_TRAILER: [u8; 2] = (-1_i16).to_be_bytes();

/// Encodes the batches of one COPY TO STDOUT as CopyData messages: [`start`](CopyEncoder::start), any number of
/// [`encode`](CopyEncoder::encode), [`finish`](CopyEncoder::finish).
#[derive(Debug)]
pub struct CopyEncoder {
    columns: Columns,
    names: Vec<String>,
    form: CopyForm,
    header: bool,
    force_quote: Vec<bool>,
    /// For each column, whether a value's text may contain what must be quoted or escaped.
    careful: Vec<bool>,
    /// The binary header, until it has gone out in front of the first row as PostgreSQL sends it.
    pending_header: bool,
    line: Vec<u8>,
}

impl CopyEncoder {
    /// Chooses a writer for each column: its name and SQL type, and its field in the batches.
    ///
    /// # Errors
    /// As [`RowEncoder::new`](super::RowEncoder::new).
    pub fn new(columns: &[(String, SqlType)], arrow: &SchemaRef, layout: &CopyLayout, settings: &Form) -> Result<Self> {
        let CopyLayout { form, header, force_quote } = layout;
        let types: Vec<SqlType> = columns.iter().map(|(_, sql_type)| sql_type.clone()).collect();
        let formats = vec![if form.format == CopyFormat::Binary { Format::Binary } else { Format::Text }; columns.len()];
        let forced = force_quote.iter().copied().chain(std::iter::repeat(false));
        let careful = types.iter().zip(forced).map(|(sql_type, forced)| forced || needs_care(sql_type, form)).collect();
        Ok(CopyEncoder {
            columns: Columns::new(&types, arrow, &formats, settings)?,
            names: columns.iter().map(|(name, _)| name.clone()).collect(),
            form: form.clone(),
            header: *header,
            force_quote: force_quote.clone(),
            careful,
            pending_header: false,
            line: vec![],
        })
    }

    /// Format code of the CopyOutResponse message, for the whole and for each column.
    pub fn format(&self) -> Format {
        if self.form.format == CopyFormat::Binary { Format::Binary } else { Format::Text }
    }

    /// Appends what comes before the rows: the line of column names, or the binary header, which goes out with the first row.
    pub fn start(&mut self, out: &mut BytesMut) {
        match self.form.format {
            CopyFormat::Binary => self.pending_header = true,
            CopyFormat::Text | CopyFormat::Csv if self.header => {
                self.line.clear();
                let single = self.names.len() == 1;
                for (position, name) in self.names.iter().enumerate() {
                    if position > 0 {
                        self.line.push(self.form.delimiter);
                    }
                    if self.form.format == CopyFormat::Csv {
                        push_csv(name.as_bytes(), single, false, &self.form, &mut self.line);
                    } else {
                        push_text(name.as_bytes(), self.form.delimiter, &mut self.line);
                    }
                }
                self.line.push(b'\n');
                put_message(&self.line, out);
            }
            CopyFormat::Text | CopyFormat::Csv => {}
        }
    }

    /// Appends `rows` of `batch`, each as one CopyData message.
    ///
    /// # Errors
    /// As [`RowEncoder::encode`](super::RowEncoder::encode).
    pub fn encode(&mut self, batch: &RecordBatch, rows: Range<usize>, out: &mut BytesMut) -> Result<()> {
        let mut rest = rows;
        while !rest.is_empty() {
            rest.start += self.encode_some(batch, rest.clone(), out)?;
        }
        Ok(())
    }

    /// Appends the first rows of `rows`, about 64 KiB and at least one row, and returns their number.
    ///
    /// # Errors
    /// As [`RowEncoder::encode`](super::RowEncoder::encode).
    pub fn encode_some(&mut self, batch: &RecordBatch, rows: Range<usize>, out: &mut BytesMut) -> Result<usize> {
        if rows.is_empty() {
            return Ok(0);
        }
        if self.form.format != CopyFormat::Binary {
            let count = self.columns.write_chunk(batch, rows)?;
            self.lines(count, out)?;
            return Ok(count);
        }
        if std::mem::take(&mut self.pending_header) {
            let count = self.columns.write_chunk(batch, rows.start..rows.start + 1)?;
            let mut message = BytesMut::new();
            gather(self.columns.cells(), count, COPY_DATA, &mut message)?;
            self.line.clear();
            self.line.extend_from_slice(BINARY_HEADER);
            self.line.extend_from_slice(&message[5..]);
            put_message(&self.line, out);
            return Ok(count);
        }
        let count = self.columns.write_chunk(batch, rows)?;
        gather(self.columns.cells(), count, COPY_DATA, out)?;
        Ok(count)
    }

    /// Appends what comes after the rows: the binary trailer.
    pub fn finish(&mut self, out: &mut BytesMut) {
        if self.form.format == CopyFormat::Binary {
            self.line.clear();
            if std::mem::take(&mut self.pending_header) {
                self.line.extend_from_slice(BINARY_HEADER);
            }
            self.line.extend_from_slice(&BINARY_TRAILER);
            put_message(&self.line, out);
        }
    }

    /// One line a row.
    fn lines(&mut self, rows: usize, out: &mut BytesMut) -> Result<()> {
        let cells = self.columns.cells();
        out.reserve(cells.iter().map(Cells::used).sum::<usize>() + rows * 8);
        let single = self.columns.len() == 1;
        let null = self.form.null.as_bytes();
        for row in 0..rows {
            let line = &mut self.line;
            line.clear();
            for (position, (cells, careful)) in cells.iter().zip(&self.careful).enumerate() {
                if position > 0 {
                    line.push(self.form.delimiter);
                }
                match cells.content(row) {
                    None => line.extend_from_slice(null),
                    Some(value) if !careful => line.extend_from_slice(value),
                    Some(value) if self.form.format == CopyFormat::Csv => {
                        let forced = self.force_quote.get(position).copied().unwrap_or(false);
                        push_csv(value, single, forced, &self.form, line);
                    }
                    Some(value) => push_text(value, self.form.delimiter, line),
                }
            }
            line.push(b'\n');
            if line.len() > MAX_LENGTH {
                return Err(too_long(line.len()));
            }
            put_message(line, out);
        }
        Ok(())
    }
}

/// Whether a value of the type may contain a delimiter, a quote, an escape, a line end, or equal the NULL text.
fn needs_care(sql_type: &SqlType, form: &CopyForm) -> bool {
    let is_plain = matches!(
        sql_type,
        SqlType::Bool
            | SqlType::Int2
            | SqlType::Int4
            | SqlType::Int8
            | SqlType::Float4
            | SqlType::Float8
            | SqlType::Numeric { .. }
            | SqlType::UnconstrainedNumeric
            | SqlType::Oid
            | SqlType::Xid
            | SqlType::Uuid
            | SqlType::Date
            | SqlType::Time
            | SqlType::Timestamp
            | SqlType::Timestamptz
    );
    // No number, date or time contains these, in any style.
    let is_outside = |byte: u8| matches!(byte, b'\t' | b',' | b'|' | b';' | b'~' | b'^' | b'#' | b'"' | b'\'' | 0x01..=0x08);
    let csv_is_safe = form.format != CopyFormat::Csv || (is_outside(form.quote) && form.null.is_empty());
    !(is_plain && is_outside(form.delimiter) && csv_is_safe)
}

fn put_message(content: &[u8], out: &mut BytesMut) {
    out.put_u8(b'd');
    out.put_u32(u32::try_from(content.len() + 4).unwrap_or(u32::MAX));
    out.extend_from_slice(content);
}

/// Appends a value with text format's escapes.
fn push_text(value: &[u8], delimiter: u8, line: &mut Vec<u8>) {
    let mut plain = 0;
    for (position, byte) in value.iter().enumerate() {
        let escape = match byte {
            0x08 => b'b',
            0x0c => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x0b => b'v',
            b'\\' => b'\\',
            other if *other == delimiter => delimiter,
            _ => continue,
        };
        line.extend_from_slice(&value[plain..position]);
        line.extend_from_slice(&[b'\\', escape]);
        plain = position + 1;
    }
    line.extend_from_slice(&value[plain..]);
}

/// Appends a value, in quotes where CSV needs them.
fn push_csv(value: &[u8], single_column: bool, forced: bool, form: &CopyForm, line: &mut Vec<u8>) {
    let special = |byte: &u8| *byte == form.delimiter || *byte == form.quote || matches!(byte, b'\n' | b'\r');
    let ends_input = single_column && value == b"\\.";
    if !forced && value != form.null.as_bytes() && !ends_input && !value.iter().any(special) {
        line.extend_from_slice(value);
        return;
    }
    line.push(form.quote);
    for byte in value {
        if *byte == form.quote || *byte == form.escape {
            line.push(form.escape);
        }
        line.push(*byte);
    }
    line.push(form.quote);
}
