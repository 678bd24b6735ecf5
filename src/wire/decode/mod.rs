//! COPY FROM STDIN: PostgreSQL's text, CSV and binary formats to record batches.
//!
//! ```text
//!  CopyData ─▶ lines (may break anywhere) ─▶ fields ─┐
//!           └▶ binary rows ──────────────────────────┴▶ one column reader a column ─▶ RecordBatch
//! ```
//! Lines and fields follow PostgreSQL's own scanner, not the csv crate: a quote may stand inside an unquoted field, NULL is told by the
//! text before the quotes are taken away, all lines end as the first one does, and `\.` ends the data. A value is read into its column
//! by the decoders of Bind's parameters; no value becomes a `String` on its way.

mod binary;
mod column;
mod fields;
mod lines;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use datafusion::arrow::array::{BooleanArray, RecordBatch, RecordBatchOptions};
use datafusion::arrow::compute::filter_record_batch;
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};

use self::binary::BinaryRows;
use self::column::{ColumnReader, column_reader};
use self::fields::{Fields, Value};
use self::lines::{Lines, Step};
use super::encode::{Form, text};
use crate::command::{CopyColumn, CopyTarget};
use crate::error::{Error, ErrorKind, Result};
use crate::session::outcome::Notice;
use crate::sql::statement::{CopyFormat, CopyHeader, CopyIn};

/// Input of a batch, about: more rows at a time gain nothing.
const BATCH_BYTES: usize = 4 << 20;
const BATCH_ROWS: usize = 64 << 10;
/// Bytes of a value that an error shows.
const SHOWN_BYTES: usize = 100;

/// An error with where it stands, as PostgreSQL's `W` field tells it.
#[derive(Debug)]
pub(super) struct Misread {
    pub(super) error: Error,
    pub(super) context: Option<String>,
}

/// Reads the data of one COPY FROM STDIN: any number of [`push`](CopyDecoder::push) with [`next`](CopyDecoder::next) until there is
/// nothing more, then [`end`](CopyDecoder::end) and the last of `next`.
pub(super) struct CopyDecoder {
    rows: Rows,
    source: Source,
    /// The data is complete.
    ended: bool,
}

/// Where rows come from.
enum Source {
    Text { lines: Box<Lines>, fields: Fields },
    Binary(BinaryRows),
}

/// Rows on their way into a batch.
struct Rows {
    relation: String,
    columns: Vec<CopyColumn>,
    unfilled: Option<String>,
    options: CopyIn,
    schema: SchemaRef,
    readers: Vec<Box<dyn ColumnReader>>,
    /// Rows read since the last batch.
    count: usize,
    /// Bytes of them.
    bytes: usize,
    /// For each row, whether it is good; only kept when bad rows are left out.
    good: Vec<bool>,
    /// Number of the line, or binary row, that was read last.
    line: u64,
    /// Rows left out.
    skipped: u64,
    notices: Vec<Notice>,
    /// The line of column names is still to come.
    header: CopyHeader,
}

impl CopyDecoder {
    /// `limit`: the most bytes that a row may have.
    pub(super) fn new(target: &CopyTarget, settings: &Form, limit: usize) -> Result<Self> {
        let options = target.options.clone();
        let columns = target.columns.clone();
        let fields = columns.iter().map(|column| Field::new(&column.name, column.sql_type.arrow_type(), true)).collect::<Vec<_>>();
        let readers = columns.iter().map(|column| column_reader(&column.sql_type, settings)).collect();
        let source = match options.form.format {
            CopyFormat::Binary => Source::Binary(BinaryRows::new(limit)),
            CopyFormat::Text | CopyFormat::Csv => {
                Source::Text { lines: Box::new(Lines::new(&options.form, limit)), fields: Fields::new(&options) }
            }
        };
        Ok(CopyDecoder {
            source,
            rows: Rows {
                relation: target.relation.clone(),
                columns,
                unfilled: target.unfilled.clone(),
                header: options.header,
                options,
                schema: Arc::new(Schema::new(fields)),
                readers,
                count: 0,
                bytes: 0,
                good: vec![],
                line: 0,
                skipped: 0,
                notices: vec![],
            },
            ended: false,
        })
    }

    /// Takes the next bytes. A row may begin and end anywhere in them.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        match &mut self.source {
            Source::Text { lines, .. } => lines.push(bytes),
            Source::Binary(rows) => rows.push(bytes),
        }
    }

    /// No more bytes come.
    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    /// The next batch, or `None` if that takes more bytes. After the end of the data the last batch comes even if it is small.
    pub(super) fn next(&mut self) -> Result<Option<RecordBatch>, Misread> {
        let more = match &mut self.source {
            Source::Text { lines, fields } => self.rows.read_text(lines, fields, self.ended)?,
            Source::Binary(binary) => self.rows.read_binary(binary, self.ended)?,
        };
        let is_full = more || (self.ended && self.rows.count > 0);
        if is_full { self.rows.batch().map_err(|error| Misread { error, context: None }) } else { Ok(None) }
    }

    /// Where the data stands, for an error that is not in it.
    pub(super) fn context(&self) -> Option<String> {
        match &self.source {
            Source::Binary(binary) if !binary.has_begun() => None,
            _ => Some(format!("COPY {}, line {}", self.rows.relation, self.rows.line + 1)),
        }
    }

    /// Notices since the last call.
    pub(super) fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.rows.notices)
    }

    /// What is said about rows left out when all is done.
    pub(super) fn summary(&self) -> Option<Notice> {
        let text = match self.rows.skipped {
            0 => return None,
            1 => "1 row was skipped due to data type incompatibility".to_string(),
            count => format!("{count} rows were skipped due to data type incompatibility"),
        };
        Some(Notice::notice(text))
    }
}

impl Rows {
    fn is_full(&self) -> bool {
        self.count >= BATCH_ROWS || self.bytes >= BATCH_BYTES
    }

    /// Reads lines until a batch is full: true, or there are no more: false.
    fn read_text(&mut self, lines: &mut Lines, fields: &mut Fields, ended: bool) -> Result<bool, Misread> {
        while !self.is_full() {
            let step = lines.next(ended);
            let (range, breaks) = match step.map_err(|error| self.at_next_line(error))? {
                Step::Line { range, breaks } => (range, breaks),
                Step::End if self.header == CopyHeader::Match => {
                    // No line at all is a line without names.
                    self.header = CopyHeader::None;
                    self.line += 1;
                    self.check_header("", fields)?;
                    return Ok(false);
                }
                Step::More | Step::End => return Ok(false),
            };
            self.line += 1 + breaks;
            let line = text(lines.line(range)).map_err(|error| self.at_line(error, None))?;
            match std::mem::replace(&mut self.header, CopyHeader::None) {
                CopyHeader::None => self.line(line, fields)?,
                CopyHeader::Skip => {}
                CopyHeader::Match => self.check_header(line, fields)?,
            }
        }
        Ok(true)
    }

    /// The names of the columns, which must be those that are filled.
    fn check_header(&self, line: &str, fields: &mut Fields) -> Result<(), Misread> {
        let refuse = |message: String| Err(self.at_line(Error::new(ErrorKind::BadCopyFormat, message), Some(line)));
        let expected = self.columns.len();
        let found = fields.split(line).map_err(|error| self.at_line(error, Some(line)))?;
        if found != expected {
            return refuse(format!("wrong number of fields in header line: got {found}, expected {expected}"));
        }
        for (index, column) in self.columns.iter().enumerate() {
            let (number, name) = (index + 1, &column.name);
            match fields.value(line, index) {
                Value::Text(text) if text == name => {}
                Value::Text(text) => {
                    return refuse(format!(
                        "column name mismatch in header line field {number}: got \"{text}\", expected \"{name}\""
                    ));
                }
                Value::Null | Value::Default => {
                    let null = &self.options.form.null;
                    return refuse(format!(
                        "column name mismatch in header line field {number}: got null value (\"{null}\"), expected \"{name}\""
                    ));
                }
            }
        }
        Ok(())
    }

    /// One line of values.
    fn line(&mut self, line: &str, fields: &mut Fields) -> Result<(), Misread> {
        let found = fields.split(line).map_err(|error| self.at_line(error, Some(line)))?;
        let bad = |message: String| Error::new(ErrorKind::BadCopyFormat, message);
        if found > self.columns.len() {
            return Err(self.at_line(bad("extra data after last expected column".to_string()), Some(line)));
        }
        self.bytes += line.len() + 1;
        self.count += 1;
        let null = self.options.form.null.as_str();
        let mut missing = None;
        let mut misfit = None;
        for (index, (column, reader)) in self.columns.iter().zip(&mut self.readers).enumerate() {
            if index >= found {
                let error = bad(format!("missing data for column \"{}\"", column.name));
                return Err(self.at_line(error, Some(line)));
            }
            match input(column, fields.value(line, index), null) {
                Value::Text(value) => {
                    if let Err(error) = reader.text(value) {
                        if !(self.options.skip_errors && is_skippable(&error)) {
                            return Err(self.at_value(error, index, value));
                        }
                        misfit = Some((index, value));
                        break;
                    }
                }
                Value::Null => {
                    reader.null();
                    missing = missing.or(column.not_null.then_some(index));
                }
                Value::Default => {
                    let error = bad("unexpected default marker in COPY data".to_string())
                        .with_detail(format!("Column \"{}\" has no default value.", column.name));
                    return Err(self.at_line(error, Some(line)));
                }
            }
        }
        if let Some((index, value)) = misfit {
            let shown = shown(value);
            self.skip_row(index, &shown);
            return Ok(());
        }
        if self.options.skip_errors {
            self.good.push(true);
        }
        self.not_null(missing).map_err(|error| self.at_line(error, Some(line)))
    }

    /// Leaves out a row, of which the columns before `index` have been read.
    fn skip_row(&mut self, index: usize, shown: &str) {
        for reader in self.readers.iter_mut().skip(index) {
            reader.null();
        }
        self.good.push(false);
        self.skipped += 1;
        if self.options.verbose {
            let name = self.columns.get(index).map(|column| column.name.as_str()).unwrap_or_default();
            self.notices.push(Notice::notice(format!(
                "skipping row due to data type incompatibility at line {} for column \"{name}\": \"{shown}\"",
                self.line
            )));
        }
    }

    /// Reads binary rows until a batch is full: true, or there are no more: false.
    fn read_binary(&mut self, binary: &mut BinaryRows, ended: bool) -> Result<bool, Misread> {
        let count = self.columns.len();
        while !self.is_full() {
            let row = match binary.next(count, ended) {
                Ok(Some(row)) => row,
                Ok(None) => return Ok(false),
                Err((error, column)) => {
                    let context = binary.has_begun().then(|| self.binary_context(self.line + 1, column));
                    return Err(Misread { error, context });
                }
            };
            self.line += 1;
            self.count += 1;
            self.bytes += row.len();
            let mut missing = None;
            for (index, field) in binary.fields().iter().enumerate() {
                let (Some(reader), Some(column)) = (self.readers.get_mut(index), self.columns.get(index)) else { break };
                match field {
                    None => {
                        reader.null();
                        missing = missing.or(column.not_null.then_some(index));
                    }
                    Some(range) => reader.binary(binary.bytes(range)).map_err(|error| Misread {
                        context: Some(self.binary_context(self.line, Some(index))),
                        error: copy_words(error),
                    })?,
                }
            }
            self.not_null(missing).map_err(|error| Misread { error, context: Some(self.binary_context(self.line, None)) })?;
        }
        Ok(true)
    }

    /// Refuses a row with a NULL in the column `missing`, or in one that is not filled.
    fn not_null(&self, missing: Option<usize>) -> Result<()> {
        let column = missing.and_then(|index| self.columns.get(index)).map(|column| &column.name);
        let Some(name) = self.unfilled.as_ref().or(column) else { return Ok(()) };
        let message = format!("null value in column \"{name}\" of relation \"{}\" violates not-null constraint", self.relation);
        Err(Error::new(ErrorKind::NotNullViolation, message))
    }

    fn binary_context(&self, line: u64, column: Option<usize>) -> String {
        let column = column.and_then(|index| self.columns.get(index)).map(|column| format!(", column {}", column.name));
        format!("COPY {}, line {line}{}", self.relation, column.unwrap_or_default())
    }

    /// An error of a line that is not complete.
    fn at_next_line(&self, error: Error) -> Misread {
        Misread { error, context: Some(format!("COPY {}, line {}", self.relation, self.line + 1)) }
    }

    fn at_line(&self, error: Error, line: Option<&str>) -> Misread {
        let line = line.map(|line| format!(": \"{}\"", shown(line))).unwrap_or_default();
        Misread { error, context: Some(format!("COPY {}, line {}{line}", self.relation, self.line)) }
    }

    fn at_value(&self, error: Error, index: usize, value: &str) -> Misread {
        let name = self.columns.get(index).map(|column| column.name.as_str()).unwrap_or_default();
        let context = format!("COPY {}, line {}, column {name}: \"{}\"", self.relation, self.line, shown(value));
        Misread { error, context: Some(context) }
    }

    /// What has been read, as a batch.
    fn batch(&mut self) -> Result<Option<RecordBatch>> {
        let arrays = self.readers.iter_mut().map(|reader| reader.finish()).collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(std::mem::take(&mut self.count)));
        self.bytes = 0;
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options);
        let batch = batch.map_err(|error| Error::internal(format!("rows of a COPY: {error}")))?;
        let good = BooleanArray::from(std::mem::take(&mut self.good));
        if good.false_count() == 0 {
            return Ok(Some(batch));
        }
        filter_record_batch(&batch, &good).map(Some).map_err(|error| Error::internal(format!("rows of a COPY: {error}")))
    }
}

/// A field as the column's options want it.
fn input<'a>(column: &CopyColumn, value: Value<'a>, null: &'a str) -> Value<'a> {
    match value {
        Value::Null if column.force_not_null => Value::Text(null),
        Value::Text(text) if column.force_null && text == null => Value::Null,
        other => other,
    }
}

/// Whether ON_ERROR ignore leaves out the row: for a value that is none of its type, not for bytes that are no text.
fn is_skippable(error: &Error) -> bool {
    error.kind().sqlstate().starts_with("22") && error.kind() != ErrorKind::InvalidEncoding
}

/// A parameter's error, in the words of COPY.
fn copy_words(error: Error) -> Error {
    match error.message() {
        "incorrect binary data format in bind parameter" => Error::new(error.kind(), "incorrect binary data format"),
        _ => error,
    }
}

/// A value as an error shows it.
fn shown(value: &str) -> String {
    if value.len() <= SHOWN_BYTES {
        return value.to_string();
    }
    format!("{}...", &value[..value.floor_char_boundary(SHOWN_BYTES)])
}
