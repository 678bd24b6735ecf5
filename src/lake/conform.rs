//! Arrays in the exact types that a table's files have.
//!
//! Column for column and field for field by position: names differ where a table maps its columns, and what is nested in a column must
//! carry the stored names.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, ListArray, MapArray, StructArray};
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::error::{ArrowError, Result};

/// `array` as `wanted`.
///
/// # Errors
/// If a value is out of range, a NULL stands where none may be, or the shapes differ.
pub(super) fn conform(array: &ArrayRef, wanted: &DataType) -> Result<ArrayRef> {
    if array.data_type() == wanted {
        return Ok(Arc::clone(array));
    }
    match (array.data_type(), wanted) {
        (DataType::Struct(found), DataType::Struct(fields)) if found.len() == fields.len() => {
            let source = array.as_struct();
            let columns = fields
                .iter()
                .zip(source.columns())
                .map(|(field, column)| conform(column, field.data_type()))
                .collect::<Result<Vec<_>>>()?;
            Ok(Arc::new(StructArray::try_new_with_length(fields.clone(), columns, source.nulls().cloned(), source.len())?))
        }
        (DataType::List(_), DataType::List(element)) => {
            let source = array.as_list::<i32>();
            let values = conform(source.values(), element.data_type())?;
            Ok(Arc::new(ListArray::try_new(Arc::clone(element), source.offsets().clone(), values, source.nulls().cloned())?))
        }
        (DataType::Map(_, _), DataType::Map(entries, ordered)) => {
            let source = array.as_map();
            let pairs: ArrayRef = Arc::new(source.entries().clone());
            let pairs = conform(&pairs, entries.data_type())?;
            let pairs = pairs.as_struct().clone();
            Ok(Arc::new(MapArray::try_new(
                Arc::clone(entries),
                source.offsets().clone(),
                pairs,
                source.nulls().cloned(),
                *ordered,
            )?))
        }
        (found, wanted) if found.is_nested() && matches!(wanted, DataType::Struct(_) | DataType::Map(_, _)) => {
            Err(ArrowError::CastError(format!("{found} is not {wanted}")))
        }
        _ => cast_with_options(array, wanted, &CastOptions { safe: false, ..CastOptions::default() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{Int32Array, StringArray, StringViewArray};
    use datafusion::arrow::datatypes::{Field, Fields};

    #[test]
    fn nested_names_and_types_become_the_stored_ones() {
        let found = Fields::from(vec![Field::new("a", DataType::Utf8View, true), Field::new("b", DataType::Int32, true)]);
        let wanted = Fields::from(vec![Field::new("col-1", DataType::Utf8, true), Field::new("col-2", DataType::Int32, true)]);
        let numbers: ArrayRef = Arc::new(Int32Array::from(vec![1]));
        let array: ArrayRef =
            Arc::new(StructArray::new(found, vec![Arc::new(StringViewArray::from(vec!["x"])), Arc::clone(&numbers)], None));
        let stored = conform(&array, &DataType::Struct(wanted.clone())).unwrap();
        assert_eq!(stored.as_struct(), &StructArray::new(wanted, vec![Arc::new(StringArray::from(vec!["x"])), numbers], None));
    }

    #[test]
    fn a_value_out_of_range_is_an_error_and_not_null() {
        let array: ArrayRef = Arc::new(Int32Array::from(vec![300]));
        assert!(conform(&array, &DataType::Int8).is_err());
    }
}
