//! From columns of queries to columns of files.
//!
//! A file may call a column otherwise (column mapping), have a narrower type for it (type widening), lack it (it was added later), or nest
//! other fields in it. Every expression that a scan evaluates on a file is rewritten here: a column reference becomes the stored column,
//! with a cast or a rebuild of nested values where the types differ, or NULL where the file is older than the column. Values that files may
//! have in several forms become one here: NaN is one number to PostgreSQL, and files have it with either sign; a day is its name in today's
//! calendar (`legacy_calendar.rs`).
//!
//! Absent: DataFusion asks for no rewriting where a scan has no condition and a file's schema is the table's. A NaN with other bits than ours
//! passes there as it is.

use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, ListArray, MapArray, RecordBatch, StructArray, new_null_array};
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::{DataType, FieldRef, Fields, Float32Type, Float64Type, Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DataFusionError, Result, ScalarValue, exec_datafusion_err};
use datafusion::logical_expr::ColumnarValue;
use datafusion::parquet::arrow::PARQUET_FIELD_ID_META_KEY;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{CastExpr, Column, Literal};
use datafusion::physical_expr_adapter::{PhysicalExprAdapter, PhysicalExprAdapterFactory};

use super::kernel::schema::StoredField;
use super::legacy_calendar::LegacyCalendar;
use super::stored_types::{is_readable, mismatch};
use crate::error::Error;

/// Rewrites expressions over a table's columns for each of its files.
#[derive(Debug)]
pub(super) struct StoredColumns {
    by_name: Arc<HashMap<String, StoredField>>,
}

impl StoredColumns {
    /// For the data columns of a table.
    pub(super) fn new<'a>(stored: impl IntoIterator<Item = &'a StoredField>) -> Self {
        let by_name = stored.into_iter().map(|field| (field.name.clone(), field.clone())).collect();
        Self { by_name: Arc::new(by_name) }
    }

    /// What files that have no field ids call the data column `name`.
    pub(super) fn stored_name(&self, name: &str) -> Option<&str> {
        self.by_name.get(name).map(|stored| stored.stored_name.as_str())
    }
}

impl PhysicalExprAdapterFactory for StoredColumns {
    fn create(&self, table: SchemaRef, file: SchemaRef) -> Result<Arc<dyn PhysicalExprAdapter>> {
        let calendar = LegacyCalendar::of_footer(file.metadata());
        Ok(Arc::new(FileColumns { by_name: Arc::clone(&self.by_name), table, file, calendar }))
    }
}

#[derive(Debug)]
struct FileColumns {
    by_name: Arc<HashMap<String, StoredField>>,
    table: SchemaRef,
    file: SchemaRef,
    calendar: LegacyCalendar,
}

impl PhysicalExprAdapter for FileColumns {
    fn rewrite(&self, expr: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
        // A column that was rewritten must not be looked up again under its stored name: children are not visited after a change.
        expr.transform_down(|node| match node.downcast_ref::<Column>() {
            Some(column) => {
                let stored = self.stored_column(column)?;
                Ok(Transformed::new(stored, true, datafusion::common::tree_node::TreeNodeRecursion::Jump))
            }
            None => Ok(Transformed::no(node)),
        })
        .data()
    }
}

impl FileColumns {
    fn stored_column(&self, column: &Column) -> Result<Arc<dyn PhysicalExpr>> {
        let Some(stored) = self.by_name.get(column.name()) else {
            // Not a column of the table: one that the reader makes, such as the row number.
            return Ok(Arc::new(Column::new_with_schema(column.name(), &self.file)?));
        };
        let wanted = self.table.field_with_name(column.name())?;
        let Some(index) = find(self.file.fields(), stored) else {
            let null = ScalarValue::try_new_null(wanted.data_type())?;
            return Ok(Arc::new(Literal::new_with_metadata(null, Some(wanted.into()))));
        };
        let found = self.file.field(index);
        if stored.is_variant {
            let refused = Error::unsupported(format!("column \"{}\" of type variant", stored.name));
            let refused = refused.with_hint("The other columns of the table can be read: name them instead of \"*\".");
            return Err(DataFusionError::External(Box::new(refused)));
        }
        if found.data_type().is_nested() != wanted.data_type().is_nested()
            || !found.data_type().is_nested() && !is_readable(found.data_type(), wanted.data_type())
        {
            let mismatch = mismatch(&stored.name, found.data_type(), wanted.data_type());
            return Err(DataFusionError::External(Box::new(mismatch)));
        }
        let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new(found.name(), index));
        if has_forms(found.data_type(), self.calendar) || wanted.data_type().is_nested() && found.data_type() != wanted.data_type()
        {
            let wanted = Arc::new(wanted.clone());
            return Ok(Arc::new(Rebuilt { column, stored: stored.clone(), wanted, calendar: self.calendar }));
        }
        if found.data_type() == wanted.data_type() {
            return Ok(column);
        }
        Ok(Arc::new(CastExpr::new_with_target_field(column, Arc::new(wanted.clone()), None)))
    }
}

/// True if equal values may be stored in several forms in this type, or in one that is nested in it.
fn has_forms(data_type: &DataType, calendar: LegacyCalendar) -> bool {
    match data_type {
        DataType::Float16 | DataType::Float32 | DataType::Float64 => true,
        DataType::Struct(fields) => fields.iter().any(|field| has_forms(field.data_type(), calendar)),
        DataType::List(element) | DataType::Map(element, _) => has_forms(element.data_type(), calendar),
        other => calendar.moves(other),
    }
}

/// Where among `fields` the stored field is: by identity if the table says so and the file has identities, else by name.
fn find(fields: &Fields, stored: &StoredField) -> Option<usize> {
    let id_of = |field: &FieldRef| field.metadata().get(PARQUET_FIELD_ID_META_KEY).and_then(|id| id.parse::<i64>().ok());
    match stored.id {
        Some(id) if fields.iter().any(|field| id_of(field).is_some()) => fields.iter().position(|field| id_of(field) == Some(id)),
        _ => fields.iter().position(|field| *field.name() == stored.stored_name),
    }
}

/// A column of a file, rebuilt as queries expect it.
#[derive(Debug, Clone)]
struct Rebuilt {
    column: Arc<dyn PhysicalExpr>,
    stored: StoredField,
    wanted: FieldRef,
    calendar: LegacyCalendar,
}

impl PartialEq for Rebuilt {
    fn eq(&self, other: &Self) -> bool {
        let same = self.stored == other.stored && self.wanted == other.wanted && self.calendar == other.calendar;
        same && self.column.eq(&other.column)
    }
}

impl Eq for Rebuilt {}

impl Hash for Rebuilt {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.column.hash(state);
        self.wanted.hash(state);
    }
}

impl fmt::Display for Rebuilt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.column, f)
    }
}

impl PhysicalExpr for Rebuilt {
    fn return_field(&self, _input_schema: &Schema) -> Result<FieldRef> {
        Ok(Arc::clone(&self.wanted))
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let array = self.column.evaluate(batch)?.into_array(batch.num_rows())?;
        Ok(ColumnarValue::Array(rebuild(&array, &self.stored, self.wanted.data_type(), self.calendar)?))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.column]
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        let [column] = children.as_slice() else {
            return Err(DataFusionError::Internal("a rebuilt column has one child".into()));
        };
        Ok(Arc::new(Rebuilt { column: Arc::clone(column), ..self.as_ref().clone() }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.column.fmt_sql(f)
    }
}

/// `array` as `wanted`: nested fields found by identity or stored name, missing ones NULL, leaves cast.
fn rebuild(array: &ArrayRef, stored: &StoredField, wanted: &DataType, calendar: LegacyCalendar) -> Result<ArrayRef> {
    if array.data_type() == wanted && stored.children.iter().all(is_plain) && !has_forms(wanted, calendar) {
        return Ok(Arc::clone(array));
    }
    let child =
        |index: usize| stored.children.get(index).ok_or_else(|| exec_datafusion_err!("column \"{}\" is not nested", stored.name));
    match (array.data_type(), wanted) {
        (DataType::Struct(found), DataType::Struct(fields)) => {
            let source = array.as_struct();
            let columns = fields
                .iter()
                .enumerate()
                .map(|(index, field)| {
                    let stored = child(index)?;
                    match find(found, stored) {
                        Some(position) => rebuild(source.column(position), stored, field.data_type(), calendar),
                        None => Ok(new_null_array(field.data_type(), source.len())),
                    }
                })
                .collect::<Result<Vec<_>>>()?;
            Ok(Arc::new(StructArray::try_new_with_length(fields.clone(), columns, source.nulls().cloned(), source.len())?))
        }
        (DataType::List(_), DataType::List(element)) => {
            let source = array.as_list::<i32>();
            let values = rebuild(source.values(), child(0)?, element.data_type(), calendar)?;
            Ok(Arc::new(ListArray::try_new(Arc::clone(element), source.offsets().clone(), values, source.nulls().cloned())?))
        }
        (DataType::Map(_, _), DataType::Map(entries, ordered)) => {
            let source = array.as_map();
            let DataType::Struct(pair) = entries.data_type() else {
                return Err(exec_datafusion_err!("column \"{}\" is a map without entries", stored.name));
            };
            let (Some(key), Some(value)) = (pair.first(), pair.get(1)) else {
                return Err(exec_datafusion_err!("column \"{}\" is a map without entries", stored.name));
            };
            let keys = rebuild(source.keys(), child(0)?, key.data_type(), calendar)?;
            let values = rebuild(source.values(), child(1)?, value.data_type(), calendar)?;
            let pairs = StructArray::try_new(pair.clone(), vec![keys, values], None)?;
            Ok(Arc::new(MapArray::try_new(
                Arc::clone(entries),
                source.offsets().clone(),
                pairs,
                source.nulls().cloned(),
                *ordered,
            )?))
        }
        (found, _) if !found.is_nested() && is_readable(found, wanted) => leaf(array, wanted, calendar),
        (found, _) => Err(DataFusionError::External(Box::new(mismatch(&stored.name, found, wanted)))),
    }
}

/// Values that are not nested, each in the one form that queries know.
fn leaf(array: &ArrayRef, wanted: &DataType, calendar: LegacyCalendar) -> Result<ArrayRef> {
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    let values = cast_with_options(array, wanted, &strict)?;
    match wanted {
        DataType::Float32 => {
            let floats = values.as_primitive::<Float32Type>();
            let is_odd = |value: &f32| value.is_nan() && value.to_bits() != f32::NAN.to_bits();
            if !floats.values().iter().fold(false, |odd, value| odd | is_odd(value)) {
                return Ok(values);
            }
            Ok(Arc::new(floats.unary::<_, Float32Type>(|value| if value.is_nan() { f32::NAN } else { value })))
        }
        DataType::Float64 => {
            let floats = values.as_primitive::<Float64Type>();
            let is_odd = |value: &f64| value.is_nan() && value.to_bits() != f64::NAN.to_bits();
            if !floats.values().iter().fold(false, |odd, value| odd | is_odd(value)) {
                return Ok(values);
            }
            Ok(Arc::new(floats.unary::<_, Float64Type>(|value| if value.is_nan() { f64::NAN } else { value })))
        }
        _ => calendar.moved(values, array.data_type()),
    }
}

/// True if the field and everything in it is stored under its own name.
fn is_plain(stored: &StoredField) -> bool {
    stored.id.is_none() && stored.name == stored.stored_name && stored.children.iter().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{Float32Array, Int32Array, Int64Array, StringArray};
    use datafusion::arrow::datatypes::Field;
    use datafusion::physical_expr::expressions::binary;

    fn stored(name: &str, stored_name: &str, id: Option<i64>, children: Vec<StoredField>) -> StoredField {
        StoredField { name: name.into(), stored_name: stored_name.into(), id, is_variant: false, children }
    }

    fn read(table: Field, stored: StoredField, file: Field, array: ArrayRef) -> ArrayRef {
        let table = Arc::new(Schema::new(vec![table]));
        let file = Arc::new(Schema::new(vec![file]));
        let batch = RecordBatch::try_new(Arc::clone(&file), vec![array]).unwrap();
        let adapter = StoredColumns::new([&stored]).create(Arc::clone(&table), file).unwrap();
        let expr = adapter.rewrite(Arc::new(Column::new(table.field(0).name(), 0))).unwrap();
        expr.evaluate(&batch).unwrap().into_array(batch.num_rows()).unwrap()
    }

    #[test]
    fn a_renamed_and_widened_column_is_found() {
        let read = read(
            Field::new("a", DataType::Int64, true),
            stored("a", "col-1", None, vec![]),
            Field::new("col-1", DataType::Int32, true),
            Arc::new(Int32Array::from(vec![1, 2])),
        );
        assert_eq!(read.as_ref(), &Int64Array::from(vec![1, 2]) as &dyn Array);
    }

    #[test]
    fn a_nan_is_one_number_whatever_its_bits() {
        let field = |data_type| Field::new("x", data_type, true);
        let odd = f32::from_bits(0xFFC0_0001);
        let stored = || stored("x", "x", None, vec![]);
        let array: ArrayRef = Arc::new(Float32Array::from(vec![Some(odd), None, Some(-0.0), Some(f32::NAN)]));
        let widened = read(field(DataType::Float64), stored(), field(DataType::Float32), Arc::clone(&array));
        let bits: Vec<_> = widened.as_primitive::<Float64Type>().iter().map(|value| value.map(f64::to_bits)).collect();
        assert_eq!(bits, [Some(f64::NAN.to_bits()), None, Some((-0.0_f64).to_bits()), Some(f64::NAN.to_bits())]);
        let same = read(field(DataType::Float32), stored(), field(DataType::Float32), array);
        assert_eq!(same.as_primitive::<Float32Type>().value(0).to_bits(), f32::NAN.to_bits());
    }

    #[test]
    fn a_column_of_another_type_is_an_error() {
        let table = Arc::new(Schema::new(vec![Field::new("a", DataType::Int32, true)]));
        for data_type in [DataType::Int64, DataType::Utf8View, DataType::Struct(Fields::empty())] {
            let file = Arc::new(Schema::new(vec![Field::new("a", data_type, true)]));
            let adapter = StoredColumns::new([&stored("a", "a", None, vec![])]).create(Arc::clone(&table), file).unwrap();
            let error = adapter.rewrite(Arc::new(Column::new("a", 0))).unwrap_err();
            let error = crate::error::datafusion::from_datafusion(error, true);
            assert_eq!(error.kind(), crate::error::ErrorKind::DataCorrupted);
            assert!(error.message().contains("column \"a\"") && error.message().ends_with("not integer"), "{error}");
        }
    }

    #[test]
    fn identity_wins_over_name() {
        let file = Field::new("other", DataType::Int32, true)
            .with_metadata([(PARQUET_FIELD_ID_META_KEY.to_string(), "7".to_string())].into());
        let read = read(
            Field::new("a", DataType::Int32, true),
            stored("a", "a", Some(7), vec![]),
            file,
            Arc::new(Int32Array::from(vec![5])),
        );
        assert_eq!(read.as_ref(), &Int32Array::from(vec![5]) as &dyn Array);
    }

    #[test]
    fn a_column_that_the_file_lacks_is_null() {
        let read = read(
            Field::new("b", DataType::Utf8View, true),
            stored("b", "b", None, vec![]),
            Field::new("a", DataType::Int32, true),
            Arc::new(Int32Array::from(vec![5])),
        );
        assert_eq!((read.null_count(), read.data_type()), (1, &DataType::Utf8View));
    }

    #[test]
    fn nested_fields_are_renamed_widened_and_filled() {
        let file_fields = Fields::from(vec![Field::new("col-x", DataType::Int32, true)]);
        let inner = StructArray::new(file_fields.clone(), vec![Arc::new(Int32Array::from(vec![1, 2])) as ArrayRef], None);
        let wanted = Fields::from(vec![Field::new("y", DataType::Utf8, true), Field::new("x", DataType::Int64, true)]);
        let read = read(
            Field::new("s", DataType::Struct(wanted.clone()), true),
            stored("s", "col-s", None, vec![stored("y", "col-y", None, vec![]), stored("x", "col-x", None, vec![])]),
            Field::new("col-s", DataType::Struct(file_fields), true),
            Arc::new(inner),
        );
        let columns: Vec<ArrayRef> = vec![Arc::new(StringArray::new_null(2)), Arc::new(Int64Array::from(vec![1, 2]))];
        assert_eq!(read.as_struct(), &StructArray::new(wanted, columns, None));
    }

    #[test]
    fn a_column_stored_under_the_name_of_another_is_not_confused_with_it() {
        // a is stored as "b" and b as "a": swapped by two renames.
        let table = Arc::new(Schema::new(vec![Field::new("a", DataType::Int32, true), Field::new("b", DataType::Int32, true)]));
        let columns = StoredColumns::new([&stored("a", "b", None, vec![]), &stored("b", "a", None, vec![])]);
        let adapter = columns.create(Arc::clone(&table), Arc::clone(&table)).unwrap();
        let column = |name: &str| Arc::new(Column::new_with_schema(name, &table).unwrap()) as Arc<dyn PhysicalExpr>;
        let sum = binary(column("a"), datafusion::logical_expr::Operator::Plus, column("b"), &table).unwrap();
        assert_eq!(adapter.rewrite(sum).unwrap().to_string(), "b@1 + a@0");
    }
}
