//! JSON: strings that are JSON already, and structs, maps and lists written as JSON.
//!
//! Each part of a nested value is written as one column of JSON texts, then the rows are put together from their parts. Numbers,
//! booleans and JSON stand as they are, everything else is a JSON string of its text; times are written as ISO 8601, as in
//! PostgreSQL's `to_json`.

use std::ops::Range;

use datafusion::arrow::array::{Array, ArrayRef, MapArray, StructArray};
use datafusion::arrow::datatypes::{DataType, Field};

use super::Format;
use super::cells::Cells;
use super::column::{ColumnWriter, column_writer, downcast};
use super::list::{ListRows, list_element};
use crate::error::{Error, Result};
use crate::types::values::{DateFormat, DateOrder, DateStyle};
use crate::types::{Form, SqlType};

/// What stands between the parts: `json` is compact, `jsonb` prints spaces.
#[derive(Clone, Copy)]
struct Punctuation {
    comma: &'static [u8],
    colon: &'static [u8],
}

const COMPACT: Punctuation = Punctuation { comma: b",", colon: b":" };
const SPACED: Punctuation = Punctuation { comma: b", ", colon: b": " };
/// First byte of a binary `jsonb`.
const JSONB_VERSION: u8 = 1;

/// The writer for a `json` or `jsonb` column.
pub(crate) fn json_writer(sql_type: &SqlType, field: &Field, format: Format, settings: &Form) -> Result<Box<dyn ColumnWriter>> {
    let punctuation = if *sql_type == SqlType::Jsonb { SPACED } else { COMPACT };
    let settings = inside(settings);
    // The column itself is JSON; only what lies inside is judged by its own type.
    let writer = match super::scalar::strings(field.data_type(), |text, cells| cells.bytes(text)) {
        Some(writer) => writer,
        None => part_writer(&Field::new(field.name(), field.data_type().clone(), true), punctuation, &settings)?,
    };
    Ok(match (sql_type, format) {
        (SqlType::Jsonb, Format::Binary) => Box::new(VersionWriter { json: writer, cells: Cells::default(), bytes: vec![] }),
        _ => writer,
    })
}

/// The form of the texts inside JSON: moments as ISO 8601 writes them.
fn inside(settings: &Form) -> Form {
    let date_style = DateStyle { format: DateFormat::Xsd, order: DateOrder::Ymd };
    Form { date_style, ..settings.clone() }
}

/// The writer of a value of any type as JSON.
pub(crate) fn value_writer(field: &Field, form: &Form) -> Result<Box<dyn ColumnWriter>> {
    part_writer(field, COMPACT, &inside(form))
}

/// A writer of JSON texts for any Arrow type.
fn part_writer(field: &Field, punctuation: Punctuation, settings: &Form) -> Result<Box<dyn ColumnWriter>> {
    match field.data_type() {
        DataType::Struct(fields) => {
            let parts = fields.iter().map(|field| part_writer(field, punctuation, settings)).collect::<Result<Vec<_>>>()?;
            let labels = fields.iter().map(|field| label(field.name(), punctuation)).collect();
            let cells = fields.iter().map(|_| Cells::default()).collect();
            Ok(Box::new(StructWriter { parts, labels, cells, punctuation, json: vec![] }))
        }
        DataType::Map(entries, _) => {
            let DataType::Struct(fields) = entries.data_type() else { return Err(Error::internal("a map without entries")) };
            let [key, value] = fields.as_ref() else { return Err(Error::internal("a map's entry is not a pair")) };
            let key_type = SqlType::of_field(key);
            Ok(Box::new(MapWriter {
                keys: column_writer(&key_type, key, Format::Text, settings)?,
                values: part_writer(value, punctuation, settings)?,
                cells: (Cells::default(), Cells::default()),
                punctuation,
                json: vec![],
            }))
        }
        data_type if list_element(data_type).is_some() && is_plain_list(field) => {
            let element = list_element(data_type).ok_or_else(|| Error::internal("a list without elements"))?;
            let element = part_writer(element, punctuation, settings)?;
            Ok(Box::new(ListWriter { element, cells: Cells::default(), punctuation, json: vec![] }))
        }
        DataType::Union(_, _) => Err(Error::unsupported(format!("a result column computed as {}", field.data_type()))),
        _ => {
            let sql_type = SqlType::of_field(field);
            let kind = LeafKind::of(&sql_type);
            let text = column_writer(&sql_type, field, Format::Text, settings)?;
            Ok(match kind {
                LeafKind::Json => text,
                _ => Box::new(LeafWriter { text, kind, cells: Cells::default(), json: vec![] }),
            })
        }
    }
}

/// Vectors have a text of their own.
fn is_plain_list(field: &Field) -> bool {
    !matches!(SqlType::of_field(field), SqlType::Int2Vector | SqlType::OidVector)
}

/// `"name":`
fn label(name: &str, punctuation: Punctuation) -> Vec<u8> {
    let mut label = vec![];
    push_string(name.as_bytes(), &mut label);
    label.extend_from_slice(punctuation.colon);
    label
}

/// Appends a JSON string.
fn push_string(text: &[u8], json: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    json.push(b'"');
    for byte in text {
        match byte {
            b'"' => json.extend_from_slice(b"\\\""),
            b'\\' => json.extend_from_slice(b"\\\\"),
            b'\n' => json.extend_from_slice(b"\\n"),
            b'\r' => json.extend_from_slice(b"\\r"),
            b'\t' => json.extend_from_slice(b"\\t"),
            0x08 => json.extend_from_slice(b"\\b"),
            0x0c => json.extend_from_slice(b"\\f"),
            0x00..=0x1f => {
                json.extend_from_slice(&[b'\\', b'u', b'0', b'0', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]])
            }
            _ => json.push(*byte),
        }
    }
    json.push(b'"');
}

/// How a scalar's text becomes JSON.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LeafKind {
    Boolean,
    /// A number, unless it is not finite.
    Number,
    Json,
    String,
}

impl LeafKind {
    fn of(sql_type: &SqlType) -> LeafKind {
        match sql_type {
            SqlType::Bool => LeafKind::Boolean,
            SqlType::Int2
            | SqlType::Int4
            | SqlType::Int8
            | SqlType::Float4
            | SqlType::Float8
            | SqlType::Numeric { .. }
            | SqlType::UnconstrainedNumeric => LeafKind::Number,
            SqlType::Json | SqlType::Jsonb => LeafKind::Json,
            _ => LeafKind::String,
        }
    }
}

struct LeafWriter {
    text: Box<dyn ColumnWriter>,
    kind: LeafKind,
    cells: Cells,
    json: Vec<u8>,
}

impl ColumnWriter for LeafWriter {
    fn write(&mut self, array: &ArrayRef, rows: Range<usize>, cells: &mut Cells) -> Result<()> {
        self.cells.clear();
        self.text.write(array, rows, &mut self.cells)?;
        for index in 0..self.cells.len() {
            match self.cells.content(index) {
                None => cells.null(),
                Some(text) if self.kind == LeafKind::Boolean => cells.bytes(if text == b"t" { b"true" } else { b"false" })?,
                Some(text) if self.kind == LeafKind::Number && text.last().is_some_and(u8::is_ascii_digit) => cells.bytes(text)?,
                Some(text) => {
                    self.json.clear();
                    push_string(text, &mut self.json);
                    cells.bytes(&self.json)?;
                }
            }
        }
        Ok(())
    }
}

struct StructWriter {
    parts: Vec<Box<dyn ColumnWriter>>,
    labels: Vec<Vec<u8>>,
    cells: Vec<Cells>,
    punctuation: Punctuation,
    json: Vec<u8>,
}

impl ColumnWriter for StructWriter {
    fn write(&mut self, array: &ArrayRef, rows: Range<usize>, cells: &mut Cells) -> Result<()> {
        let array: &StructArray = downcast(array)?;
        for ((part, column), part_cells) in self.parts.iter_mut().zip(array.columns()).zip(&mut self.cells) {
            part_cells.clear();
            part.write(column, rows.clone(), part_cells)?;
        }
        let start = rows.start;
        for row in rows {
            if array.is_null(row) {
                cells.null();
                continue;
            }
            self.json.clear();
            self.json.push(b'{');
            for (position, (label, part)) in self.labels.iter().zip(&self.cells).enumerate() {
                if position > 0 {
                    self.json.extend_from_slice(self.punctuation.comma);
                }
                self.json.extend_from_slice(label);
                self.json.extend_from_slice(part.content(row - start).unwrap_or(b"null"));
            }
            self.json.push(b'}');
            cells.bytes(&self.json)?;
        }
        Ok(())
    }
}

struct MapWriter {
    keys: Box<dyn ColumnWriter>,
    values: Box<dyn ColumnWriter>,
    cells: (Cells, Cells),
    punctuation: Punctuation,
    json: Vec<u8>,
}

impl ColumnWriter for MapWriter {
    fn write(&mut self, array: &ArrayRef, rows: Range<usize>, cells: &mut Cells) -> Result<()> {
        let array: &MapArray = downcast(array)?;
        let offsets = array.value_offsets();
        let entries = |row: usize| {
            let end = offsets.get(row + 1).copied().unwrap_or_default();
            let start = offsets.get(row).copied().unwrap_or_default();
            usize::try_from(start).unwrap_or_default()..usize::try_from(end).unwrap_or_default()
        };
        let cover = entries(rows.start).start..rows.clone().next_back().map_or(0, |last| entries(last).end);
        let cover = cover.start..cover.end.max(cover.start);
        let first = cover.start;
        self.cells.0.clear();
        self.keys.write(array.keys(), cover.clone(), &mut self.cells.0)?;
        self.cells.1.clear();
        self.values.write(array.values(), cover, &mut self.cells.1)?;
        for row in rows {
            if array.is_null(row) {
                cells.null();
                continue;
            }
            self.json.clear();
            self.json.push(b'{');
            for (position, entry) in entries(row).enumerate() {
                if position > 0 {
                    self.json.extend_from_slice(self.punctuation.comma);
                }
                push_string(self.cells.0.content(entry - first).unwrap_or_default(), &mut self.json);
                self.json.extend_from_slice(self.punctuation.colon);
                self.json.extend_from_slice(self.cells.1.content(entry - first).unwrap_or(b"null"));
            }
            self.json.push(b'}');
            cells.bytes(&self.json)?;
        }
        Ok(())
    }
}

struct ListWriter {
    element: Box<dyn ColumnWriter>,
    cells: Cells,
    punctuation: Punctuation,
    json: Vec<u8>,
}

impl ColumnWriter for ListWriter {
    fn write(&mut self, array: &ArrayRef, rows: Range<usize>, cells: &mut Cells) -> Result<()> {
        let list = ListRows::of(array)?;
        let cover = list.cover(rows.clone());
        let first = cover.start;
        self.cells.clear();
        self.element.write(list.values(), cover, &mut self.cells)?;
        for row in rows {
            let Some(elements) = list.row(row) else {
                cells.null();
                continue;
            };
            self.json.clear();
            self.json.push(b'[');
            for (position, element) in elements.enumerate() {
                if position > 0 {
                    self.json.extend_from_slice(self.punctuation.comma);
                }
                self.json.extend_from_slice(self.cells.content(element - first).unwrap_or(b"null"));
            }
            self.json.push(b']');
            cells.bytes(&self.json)?;
        }
        Ok(())
    }
}

/// Puts the version before each binary `jsonb`.
struct VersionWriter {
    json: Box<dyn ColumnWriter>,
    cells: Cells,
    bytes: Vec<u8>,
}

impl ColumnWriter for VersionWriter {
    fn write(&mut self, array: &ArrayRef, rows: Range<usize>, cells: &mut Cells) -> Result<()> {
        self.cells.clear();
        self.json.write(array, rows, &mut self.cells)?;
        for index in 0..self.cells.len() {
            match self.cells.content(index) {
                None => cells.null(),
                Some(json) => {
                    self.bytes.clear();
                    self.bytes.push(JSONB_VERSION);
                    self.bytes.extend_from_slice(json);
                    cells.bytes(&self.bytes)?;
                }
            }
        }
        Ok(())
    }
}
