//! Dictionary and run-end encoded columns: each distinct value is encoded once a batch and its cell repeated.

use std::ops::Range;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray as _, RunArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int16Type, Int32Type, Int64Type, RunEndIndexType};

use super::cells::Cells;
use super::column::{ColumnWriter, downcast};
use crate::error::{Error, Result};

/// The cells of the distinct values of the batch that is being written.
struct Values {
    writer: Box<dyn ColumnWriter>,
    cells: Cells,
    /// What `cells` holds; kept alive so that its address stays its own.
    of: Option<ArrayRef>,
}

impl Values {
    fn new(writer: Box<dyn ColumnWriter>) -> Values {
        Values { writer, cells: Cells::default(), of: None }
    }

    fn encode(&mut self, values: &ArrayRef) -> Result<()> {
        if self.of.as_ref().is_some_and(|of| Arc::ptr_eq(of, values)) {
            return Ok(());
        }
        self.of = None;
        self.cells.clear();
        self.writer.write(values, 0..values.len(), &mut self.cells)?;
        self.of = Some(Arc::clone(values));
        Ok(())
    }
}

struct DictionaryWriter {
    value_type: DataType,
    values: Values,
}

/// A writer of dictionary columns of `data_type`, whose values `writer` writes.
pub(crate) fn dictionary_writer(data_type: &DataType, writer: Box<dyn ColumnWriter>) -> Result<Box<dyn ColumnWriter>> {
    let DataType::Dictionary(_, value_type) = data_type else {
        return Err(Error::internal(format!("{data_type} is no dictionary")));
    };
    Ok(Box::new(DictionaryWriter { value_type: value_type.as_ref().clone(), values: Values::new(writer) }))
}

impl ColumnWriter for DictionaryWriter {
    fn write(&mut self, array: &ArrayRef, rows: Range<usize>, cells: &mut Cells) -> Result<()> {
        let length = rows.len();
        let slice = array.slice(rows.start, length);
        let dictionary =
            slice.as_any_dictionary_opt().ok_or_else(|| Error::internal("a dictionary column arrived as another array"))?;
        let values = dictionary.values();
        let mostly_unused = values.len() > 4 * array.len() + 1024;
        if mostly_unused {
            let unpacked = cast(&slice, &self.value_type).map_err(|error| Error::internal(error.to_string()))?;
            return self.values.writer.write(&unpacked, 0..length, cells);
        }
        self.values.encode(values)?;
        let keys = dictionary.keys();
        if values.is_empty() {
            (0..length).for_each(|_| cells.null());
            return Ok(());
        }
        for (row, key) in dictionary.normalized_keys().into_iter().enumerate() {
            if keys.is_null(row) {
                cells.null();
            } else {
                cells.repeat(self.values.cells.cells(key, key + 1))?;
            }
        }
        Ok(())
    }
}

struct RunWriter<R> {
    values: Values,
    run_ends: std::marker::PhantomData<fn(R)>,
}

/// A writer of run-end encoded columns of `data_type`, whose values `writer` writes.
pub(crate) fn run_writer(data_type: &DataType, writer: Box<dyn ColumnWriter>) -> Result<Box<dyn ColumnWriter>> {
    fn make<R: RunEndIndexType>(writer: Box<dyn ColumnWriter>) -> Box<dyn ColumnWriter> {
        Box::new(RunWriter::<R> { values: Values::new(writer), run_ends: std::marker::PhantomData })
    }
    match data_type {
        DataType::RunEndEncoded(run_ends, _) => match run_ends.data_type() {
            DataType::Int16 => Ok(make::<Int16Type>(writer)),
            DataType::Int32 => Ok(make::<Int32Type>(writer)),
            DataType::Int64 => Ok(make::<Int64Type>(writer)),
            other => Err(Error::internal(format!("run ends of type {other}"))),
        },
        other => Err(Error::internal(format!("{other} is not run-end encoded"))),
    }
}

impl<R: RunEndIndexType> ColumnWriter for RunWriter<R> {
    fn write(&mut self, array: &ArrayRef, rows: Range<usize>, cells: &mut Cells) -> Result<()> {
        let array: &RunArray<R> = downcast(array)?;
        self.values.encode(array.values())?;
        for row in rows {
            let physical = array.get_physical_index(row);
            cells.repeat(self.values.cells.cells(physical, physical + 1))?;
        }
        Ok(())
    }
}
