//! Structs as PostgreSQL's anonymous rows: `(1,"a b",)` in text; number of fields, then type and value of each in binary.

use std::ops::Range;

use datafusion::arrow::array::{Array, ArrayRef, StructArray};
use datafusion::arrow::datatypes::DataType;

use super::Format;
use super::cells::Cells;
use super::column::{ColumnWriter, column_writer, downcast};
use crate::error::Result;
use crate::types::values::write_record_field;
use crate::types::{Form, SqlType};

/// The writer for a `record` of `fields`; `None` if the column is no struct of as many.
pub(crate) fn record_writer(
    fields: &[SqlType],
    data_type: &DataType,
    format: Format,
    settings: &Form,
) -> Result<Option<Box<dyn ColumnWriter>>> {
    let DataType::Struct(columns) = data_type else { return Ok(None) };
    if columns.len() != fields.len() {
        return Ok(None);
    }
    let parts = fields.iter().zip(columns).map(|(sql_type, column)| column_writer(sql_type, column, format, settings));
    Ok(Some(Box::new(RecordWriter {
        parts: parts.collect::<Result<_>>()?,
        oids: fields.iter().map(SqlType::oid).collect(),
        cells: fields.iter().map(|_| Cells::default()).collect(),
        format,
        record: vec![],
    })))
}

struct RecordWriter {
    parts: Vec<Box<dyn ColumnWriter>>,
    oids: Vec<u32>,
    cells: Vec<Cells>,
    format: Format,
    record: Vec<u8>,
}

impl RecordWriter {
    fn write_text(&mut self, row: usize) {
        self.record.push(b'(');
        for (position, cells) in self.cells.iter().enumerate() {
            if position > 0 {
                self.record.push(b',');
            }
            if let Some(text) = cells.content(row) {
                write_record_field(text, &mut self.record);
            }
        }
        self.record.push(b')');
    }

    fn write_binary(&mut self, row: usize) {
        let count = u32::try_from(self.oids.len()).unwrap_or(u32::MAX);
        self.record.extend_from_slice(&count.to_be_bytes());
        for (oid, cells) in self.oids.iter().zip(&self.cells) {
            self.record.extend_from_slice(&oid.to_be_bytes());
            self.record.extend_from_slice(cells.cells(row, row + 1));
        }
    }
}

impl ColumnWriter for RecordWriter {
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
            self.record.clear();
            match self.format {
                Format::Text => self.write_text(row - start),
                Format::Binary => self.write_binary(row - start),
            }
            cells.bytes(&self.record)?;
        }
        Ok(())
    }
}
