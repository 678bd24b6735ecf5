//! From columns of queries to columns of files.
//!
//! A file may call a column otherwise (column mapping), have a narrower type for it (type widening), lack it (it was added later), or nest
//! other fields in it. Every expression that a scan evaluates on a file is rewritten here: a column reference becomes the stored column,
//! with a cast or a rebuild of nested values where the types differ, or NULL where the file is older than the column.

use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, ListArray, MapArray, RecordBatch, StructArray, new_null_array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, FieldRef, Fields, Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DataFusionError, Result, ScalarValue, exec_datafusion_err};
use datafusion::logical_expr::ColumnarValue;
use datafusion::parquet::arrow::PARQUET_FIELD_ID_META_KEY;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{CastExpr, Column, Literal};
use datafusion::physical_expr_adapter::{PhysicalExprAdapter, PhysicalExprAdapterFactory};

use super::kernel::schema::StoredField;

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
        Ok(Arc::new(FileColumns { by_name: Arc::clone(&self.by_name), table, file }))
    }
}

#[derive(Debug)]
struct FileColumns {
    by_name: Arc<HashMap<String, StoredField>>,
    table: SchemaRef,
    file: SchemaRef,
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
        let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new(found.name(), index));
        if found.data_type() == wanted.data_type() {
            return Ok(column);
        }
        let wanted = Arc::new(wanted.clone());
        if wanted.data_type().is_nested() || found.data_type().is_nested() {
            return Ok(Arc::new(Rebuilt { column, stored: stored.clone(), wanted }));
        }
        Ok(Arc::new(CastExpr::new_with_target_field(column, wanted, None)))
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

/// A nested column of a file, rebuilt as queries expect it.
#[derive(Debug, Clone)]
struct Rebuilt {
    column: Arc<dyn PhysicalExpr>,
    stored: StoredField,
    wanted: FieldRef,
}

impl PartialEq for Rebuilt {
    fn eq(&self, other: &Self) -> bool {
        self.column.eq(&other.column) && self.stored == other.stored && self.wanted == other.wanted
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
        Ok(ColumnarValue::Array(rebuild(&array, &self.stored, self.wanted.data_type())?))
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
fn rebuild(array: &ArrayRef, stored: &StoredField, wanted: &DataType) -> Result<ArrayRef> {
    if array.data_type() == wanted && stored.children.iter().all(is_plain) {
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
                        Some(position) => rebuild(source.column(position), stored, field.data_type()),
                        None => Ok(new_null_array(field.data_type(), source.len())),
                    }
                })
                .collect::<Result<Vec<_>>>()?;
            Ok(Arc::new(StructArray::try_new_with_length(fields.clone(), columns, source.nulls().cloned(), source.len())?))
        }
        (DataType::List(_), DataType::List(element)) => {
            let source = array.as_list::<i32>();
            let values = rebuild(source.values(), child(0)?, element.data_type())?;
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
            let keys = rebuild(source.keys(), child(0)?, key.data_type())?;
            let values = rebuild(source.values(), child(1)?, value.data_type())?;
            let pairs = StructArray::try_new(pair.clone(), vec![keys, values], None)?;
            Ok(Arc::new(MapArray::try_new(
                Arc::clone(entries),
                source.offsets().clone(),
                pairs,
                source.nulls().cloned(),
                *ordered,
            )?))
        }
        _ => Ok(cast(array, wanted)?),
    }
}

/// True if the field and everything in it is stored under its own name.
fn is_plain(stored: &StoredField) -> bool {
    stored.id.is_none() && stored.name == stored.stored_name && stored.children.iter().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{Int32Array, Int64Array, StringArray};
    use datafusion::arrow::datatypes::Field;
    use datafusion::physical_expr::expressions::binary;

    fn stored(name: &str, stored_name: &str, id: Option<i64>, children: Vec<StoredField>) -> StoredField {
        StoredField { name: name.into(), stored_name: stored_name.into(), id, children }
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
