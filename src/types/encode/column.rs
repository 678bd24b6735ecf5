//! Column writers: for each pair of Arrow type and SQL type, how one column becomes cells.
//!
//! [`column_writer`] chooses once a portal; what it returns is a loop over one concrete array type with one concrete formatter
//! inside. Where an Arrow type has no writer of its own for the SQL type, the column is cast to the type's own Arrow type first.

use std::ops::Range;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::arrow::compute::{can_cast_types, cast};
use datafusion::arrow::datatypes::{DataType, Field};

use super::cells::Cells;
use super::json::json_writer;
use super::list::{array_writer, is_list, vector_writer};
use super::record::record_writer;
use super::repeated::{dictionary_writer, run_writer};
use super::{Format, scalar, temporal};
use crate::error::{Error, ErrorKind, Result};
use crate::types::{Form, SqlType};

/// Writes rows of one column as cells.
pub(crate) trait ColumnWriter: Send {
    /// Appends the cells of `rows` of `array`, whose type is the one that the writer was made for.
    ///
    /// # Errors
    /// If a value does not fit the SQL type, or is too long for the protocol.
    fn write(&mut self, array: &ArrayRef, rows: Range<usize>, cells: &mut Cells) -> Result<()>;
}

/// The writer for a column of `sql_type` that arrives as `field`.
///
/// # Errors
/// [`ErrorKind::Unsupported`] if there is no way from the Arrow type to the SQL type, [`ErrorKind::UndefinedFunction`] if the type
/// has no binary form.
pub(crate) fn column_writer(sql_type: &SqlType, field: &Field, format: Format, settings: &Form) -> Result<Box<dyn ColumnWriter>> {
    let data_type = field.data_type();
    match data_type {
        DataType::Dictionary(_, value) => {
            let value = Field::new(field.name(), value.as_ref().clone(), true);
            return dictionary_writer(data_type, column_writer(sql_type, &value, format, settings)?);
        }
        DataType::RunEndEncoded(_, values) => return run_writer(data_type, column_writer(sql_type, values, format, settings)?),
        DataType::Null if *sql_type != SqlType::Void => return Ok(Box::new(NullWriter)),
        _ => {}
    }
    refuse_binary(sql_type, format)?;
    if let Some(writer) = direct_writer(sql_type, field, format, settings)? {
        return Ok(writer);
    }
    let target = sql_type.arrow_type();
    // The engine knows no cast between numbers and encoded ones, but one of texts to their bytes.
    let encoded = DataType::LargeBinary == target || DataType::LargeBinary == *data_type;
    let cast_helps = target != *data_type && !encoded && can_cast_types(data_type, &target);
    if !cast_helps {
        return Err(Error::unsupported(format!("a result column of type {sql_type} computed as {data_type}")));
    }
    let inner = direct_writer(sql_type, &sql_type.field(field.name(), true), format, settings)?;
    let inner = inner.ok_or_else(|| Error::internal(format!("no writer for {sql_type} from its own Arrow type")))?;
    Ok(Box::new(CastWriter { target, inner }))
}

/// Types that PostgreSQL itself cannot send in binary.
fn refuse_binary(sql_type: &SqlType, format: Format) -> Result<()> {
    let scalar = match sql_type {
        SqlType::Array(element) => element.as_ref(),
        other => other,
    };
    if format == Format::Binary && *scalar == SqlType::AclItem {
        let message = format!("no binary output function available for type {scalar}");
        return Err(Error::new(ErrorKind::UndefinedFunction, message));
    }
    Ok(())
}

/// A writer that needs no cast.
fn direct_writer(sql_type: &SqlType, field: &Field, format: Format, settings: &Form) -> Result<Option<Box<dyn ColumnWriter>>> {
    let data_type = field.data_type();
    Ok(match sql_type {
        SqlType::Bool => scalar::boolean(data_type, format),
        SqlType::Int2 | SqlType::Int4 | SqlType::Int8 | SqlType::Oid | SqlType::Xid => scalar::integer(sql_type, data_type, format),
        SqlType::Reg(kind) => scalar::object_identifier(*kind, data_type, format, settings),
        SqlType::Float4 | SqlType::Float8 => scalar::float(sql_type, data_type, format, settings),
        SqlType::Numeric { scale, .. } => scalar::numeric(Some(*scale), data_type, format),
        SqlType::UnconstrainedNumeric => scalar::numeric(None, data_type, format),
        SqlType::Json | SqlType::Jsonb => Some(json_writer(sql_type, field, format, settings)?),
        SqlType::Text
        | SqlType::Varchar(_)
        | SqlType::Bpchar(_)
        | SqlType::Name
        | SqlType::Char
        | SqlType::NodeTree
        | SqlType::AclItem
        | SqlType::Unknown => match scalar::text(sql_type, data_type, format) {
            Some(writer) => Some(writer),
            // Text of a value that is not text is the value's own text.
            None => match SqlType::of_field(&Field::new(field.name(), data_type.clone(), true)) {
                SqlType::Text => None,
                natural => Some(column_writer(&natural, &untagged(field), Format::Text, settings)?),
            },
        },
        SqlType::Bytea => scalar::bytea(data_type, format, settings),
        SqlType::Uuid => scalar::uuid(data_type, format),
        SqlType::Date => temporal::date(data_type, format, settings),
        SqlType::Time => temporal::time(data_type, format),
        SqlType::Timestamp => temporal::timestamp(data_type, format, settings),
        SqlType::Timestamptz => temporal::timestamptz(data_type, format, settings),
        SqlType::Interval => temporal::interval(data_type, format, settings),
        SqlType::Int2Vector => vector_writer(&SqlType::Int2, data_type, format, settings)?,
        SqlType::OidVector => vector_writer(&SqlType::Oid, data_type, format, settings)?,
        SqlType::Array(element) if is_list(data_type) => Some(array_writer(element, data_type, format, settings)?),
        SqlType::Array(_) => None,
        SqlType::Record(fields) => record_writer(fields, data_type, format, settings)?,
        SqlType::Void => Some(Box::new(VoidWriter)),
    })
}

/// The field without the tag that names its SQL type.
fn untagged(field: &Field) -> Field {
    Field::new(field.name(), field.data_type().clone(), field.is_nullable())
}

/// The array as the concrete type that its data type promises.
pub(crate) fn downcast<A: Array + 'static>(array: &ArrayRef) -> Result<&A> {
    array.as_any().downcast_ref::<A>().ok_or_else(|| Error::internal(format!("a column arrived as {}", array.data_type())))
}

/// Calls `cell` for each row that is not NULL.
pub(crate) fn each_row(
    array: &dyn Array,
    rows: Range<usize>,
    cells: &mut Cells,
    mut cell: impl FnMut(usize, &mut Cells) -> Result<()>,
) -> Result<()> {
    match array.nulls().filter(|nulls| nulls.null_count() > 0) {
        None => rows.into_iter().try_for_each(|row| cell(row, cells)),
        Some(nulls) => {
            for row in rows {
                if nulls.is_null(row) {
                    cells.null();
                } else {
                    cell(row, cells)?;
                }
            }
            Ok(())
        }
    }
}

/// A column without a value.
struct NullWriter;

impl ColumnWriter for NullWriter {
    fn write(&mut self, _array: &ArrayRef, rows: Range<usize>, cells: &mut Cells) -> Result<()> {
        rows.for_each(|_| cells.null());
        Ok(())
    }
}

/// `void`: a value without content.
struct VoidWriter;

impl ColumnWriter for VoidWriter {
    fn write(&mut self, _array: &ArrayRef, rows: Range<usize>, cells: &mut Cells) -> Result<()> {
        rows.for_each(|_| cells.fixed([]));
        Ok(())
    }
}

/// Casts the rows, then writes them.
struct CastWriter {
    target: DataType,
    inner: Box<dyn ColumnWriter>,
}

impl ColumnWriter for CastWriter {
    fn write(&mut self, array: &ArrayRef, rows: Range<usize>, cells: &mut Cells) -> Result<()> {
        let length = rows.len();
        let slice = array.slice(rows.start, length);
        let cast = cast(&slice, &self.target).map_err(|error| {
            Error::new(ErrorKind::NumericOutOfRange, "a value does not fit the type of its result column").with_source(error)
        })?;
        self.inner.write(&Arc::clone(&cast), 0..length, cells)
    }
}
