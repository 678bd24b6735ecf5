//! Arrow arrays to the texts and bytes that PostgreSQL writes for their values.
//!
//! ```text
//!  array + SqlType + Form ── column_writer ──▶ cells (length + bytes, dense, one buffer a column) ──┬─▶ DataRow, COPY   (wire)
//!                                                                                                   └─▶ text_of ─▶ casts, functions
//! ```
//! A column is written as a whole: its writer is chosen once, from the column's Arrow type, SQL type and format, so no value pays
//! for a match, a downcast or an allocation. What clients see and what `x::text` gives is written by the same code.

pub(crate) mod cells;
pub(crate) mod column;
mod format;
mod json;
mod list;
mod numeric;
mod record;
mod repeated;
mod scalar;
mod temporal;

use datafusion::arrow::array::{Array, ArrayRef, StringArray, StringBuilder};
use datafusion::arrow::datatypes::Field;

use self::cells::Cells;
use self::column::column_writer;
use super::{Form, SqlType};
use crate::error::{Error, ErrorKind, Result};

pub use format::Format;
pub(crate) use list::{ListRows, is_list};

/// The text that PostgreSQL's output function writes for each value; NULL stays NULL.
///
/// # Errors
/// [`ErrorKind::Unsupported`] if the array cannot hold values of the type; 22008 and their kind for values outside of it.
pub fn text_of(array: &ArrayRef, sql_type: &SqlType, form: &Form) -> Result<StringArray> {
    let field = Field::new("", array.data_type().clone(), true);
    texts(column_writer(sql_type, &field, Format::Text, form)?, array)
}

/// Each value as JSON text, as `to_json` gives it: numbers, booleans and JSON as they are, the rest as strings, structs as objects.
///
/// # Errors
/// As [`text_of`].
pub fn json_of(array: &ArrayRef, field: &Field, form: &Form) -> Result<StringArray> {
    texts(json::value_writer(field, form)?, array)
}

fn texts(mut writer: Box<dyn column::ColumnWriter>, array: &ArrayRef) -> Result<StringArray> {
    let mut cells = Cells::default();
    cells.clear();
    writer.write(array, 0..array.len(), &mut cells)?;
    let too_large = || Error::new(ErrorKind::ProgramLimit, "a value or batch of values is too large");
    if i32::try_from(cells.used()).is_err() {
        return Err(too_large());
    }
    let mut texts = StringBuilder::with_capacity(array.len(), cells.used());
    for row in 0..array.len() {
        match cells.content(row) {
            None => texts.append_null(),
            Some(content) => texts.append_value(
                std::str::from_utf8(content)
                    .map_err(|_| Error::new(ErrorKind::InvalidEncoding, "invalid byte sequence for encoding \"UTF8\""))?,
            ),
        }
    }
    Ok(texts.finish())
}
