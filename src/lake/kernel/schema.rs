//! Delta's schema as queries see it, and where its columns lie in files.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType as ArrowType, Field, FieldRef, Fields, TimeUnit};
use delta_kernel::schema::{DataType, MetadataValue, PrimitiveType, StructField, StructType};
use delta_kernel::table_features::ColumnMappingMode;

use crate::error::{Error, ErrorKind, Result};
use crate::types::{SQL_TYPE_KEY, SqlType};

/// Field metadata in which Delta and Spark keep `varchar(n)` and `char(n)`.
pub(in crate::lake) const CHAR_VARCHAR_KEY: &str = "__CHAR_VARCHAR_TYPE_STRING";

/// Field metadata in which Delta keeps a column's comment.
pub(in crate::lake) const COMMENT_KEY: &str = "comment";

/// How a column, and what is nested in it, is called in files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::lake) struct StoredField {
    /// Name in queries.
    pub(in crate::lake) name: String,
    /// Name in files.
    pub(in crate::lake) stored_name: String,
    /// Identity in files, if columns are found by it.
    pub(in crate::lake) id: Option<i64>,
    /// A variant, which is not read.
    pub(in crate::lake) is_variant: bool,
    /// Fields of a struct; element of a list; key and value of a map.
    pub(in crate::lake) children: Vec<StoredField>,
}

/// The columns of a table in order: for queries, and for files.
pub(in crate::lake) fn columns(schema: &StructType, mode: ColumnMappingMode) -> Result<(Vec<FieldRef>, Vec<StoredField>)> {
    let fields = schema.fields().map(|field| column(field).map(Arc::new)).collect::<Result<Vec<_>>>()?;
    Ok((fields, schema.fields().map(|field| stored_field(field, mode)).collect()))
}

/// The comment of each column that has one.
pub(in crate::lake) fn comments(schema: &StructType) -> impl Iterator<Item = (String, String)> {
    schema.fields().filter_map(|field| text(field, COMMENT_KEY).map(|comment| (field.name().to_string(), comment.to_string())))
}

fn text<'a>(field: &'a StructField, key: &str) -> Option<&'a str> {
    match field.metadata().get(key) {
        Some(MetadataValue::String(text)) => Some(text),
        _ => None,
    }
}

/// A whole number in a field's metadata. The kernel leaves numbers of a JSON parser with arbitrary precision unread.
fn number(field: &StructField, key: &str) -> Option<i64> {
    match field.metadata().get(key)? {
        MetadataValue::Number(number) => Some(*number),
        MetadataValue::Other(value) => value.as_i64(),
        _ => None,
    }
}

fn column(field: &StructField) -> Result<Field> {
    let data_type = match field.data_type() {
        DataType::Primitive(PrimitiveType::String) | DataType::Variant(_) => ArrowType::Utf8View,
        DataType::Primitive(PrimitiveType::Binary) => ArrowType::BinaryView,
        other => arrow_type(field.name(), other)?,
    };
    let column = Field::new(field.name(), data_type, field.is_nullable());
    if matches!(field.data_type(), DataType::Variant(_)) {
        return Ok(column.with_metadata(SqlType::Jsonb.metadata()));
    }
    let declared = text(field, CHAR_VARCHAR_KEY)
        .and_then(char_varchar)
        .or_else(|| text(field, SQL_TYPE_KEY).and_then(SqlType::from_tag))
        .filter(|declared| declared.arrow_type().equals_datatype(&plain(column.data_type())));
    Ok(match declared {
        Some(declared) if declared != SqlType::of_field(&column) => column.with_metadata(declared.metadata()),
        _ => column,
    })
}

/// Views as the plain types that [`SqlType::arrow_type`] names.
fn plain(data_type: &ArrowType) -> ArrowType {
    match data_type {
        ArrowType::Utf8View => ArrowType::Utf8,
        ArrowType::BinaryView => ArrowType::Binary,
        other => other.clone(),
    }
}

/// Reads `varchar(10)` and `char(10)`.
fn char_varchar(declared: &str) -> Option<SqlType> {
    let (name, length) = declared.strip_suffix(')')?.split_once('(')?;
    let length = length.trim().parse().ok()?;
    match name.trim() {
        "varchar" => Some(SqlType::Varchar(Some(length))),
        "char" => Some(SqlType::Bpchar(Some(length))),
        _ => None,
    }
}

fn arrow_type(column: &str, data_type: &DataType) -> Result<ArrowType> {
    Ok(match data_type {
        DataType::Primitive(primitive) => primitive_type(column, primitive)?,
        DataType::Array(array) => {
            let element = arrow_type(column, &array.element_type)?;
            ArrowType::List(Arc::new(Field::new_list_field(element, true)))
        }
        DataType::Struct(fields) => ArrowType::Struct(
            fields
                .fields()
                .map(|field| Ok(Field::new(field.name(), arrow_type(column, field.data_type())?, field.is_nullable())))
                .collect::<Result<Fields>>()?,
        ),
        DataType::Map(map) => {
            let key = Field::new("key", arrow_type(column, &map.key_type)?, false);
            let value = Field::new("value", arrow_type(column, &map.value_type)?, true);
            ArrowType::Map(Arc::new(Field::new("entries", ArrowType::Struct(vec![key, value].into()), false)), false)
        }
        // Its rows are refused when they are read: the other columns of the table are as good as ever.
        DataType::Variant(_) => ArrowType::Utf8,
    })
}

fn primitive_type(column: &str, primitive: &PrimitiveType) -> Result<ArrowType> {
    Ok(match primitive {
        PrimitiveType::String => ArrowType::Utf8,
        PrimitiveType::Long => ArrowType::Int64,
        PrimitiveType::Integer => ArrowType::Int32,
        // PostgreSQL has no one-byte integer: arithmetic on a byte column shall not overflow at 127.
        PrimitiveType::Short | PrimitiveType::Byte => ArrowType::Int16,
        PrimitiveType::Float => ArrowType::Float32,
        PrimitiveType::Double => ArrowType::Float64,
        PrimitiveType::Boolean => ArrowType::Boolean,
        PrimitiveType::Binary => ArrowType::Binary,
        PrimitiveType::Date => ArrowType::Date32,
        PrimitiveType::Timestamp => ArrowType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        PrimitiveType::TimestampNtz => ArrowType::Timestamp(TimeUnit::Microsecond, None),
        PrimitiveType::Decimal(decimal) => {
            let scale = i8::try_from(decimal.scale()).map_err(|_| Error::internal("a decimal's scale exceeds its precision"))?;
            ArrowType::Decimal128(decimal.precision(), scale)
        }
        other => return Err(Error::unsupported(format!("column \"{column}\" of type {other}"))),
    })
}

fn stored_field(field: &StructField, mode: ColumnMappingMode) -> StoredField {
    let (stored_name, id) = match mode {
        ColumnMappingMode::None => (field.name().to_string(), None),
        ColumnMappingMode::Name => (text(field, "delta.columnMapping.physicalName").unwrap_or(field.name()).to_string(), None),
        ColumnMappingMode::Id => (
            text(field, "delta.columnMapping.physicalName").unwrap_or(field.name()).to_string(),
            number(field, "delta.columnMapping.id"),
        ),
    };
    let is_variant = matches!(field.data_type(), DataType::Variant(_));
    StoredField { name: field.name().to_string(), stored_name, id, is_variant, children: children(field.data_type(), mode) }
}

fn children(data_type: &DataType, mode: ColumnMappingMode) -> Vec<StoredField> {
    let unnamed = |name: &str, data_type: &DataType| StoredField {
        name: name.to_string(),
        stored_name: name.to_string(),
        id: None,
        is_variant: matches!(data_type, DataType::Variant(_)),
        children: children(data_type, mode),
    };
    match data_type {
        DataType::Struct(fields) => fields.fields().map(|field| stored_field(field, mode)).collect(),
        DataType::Array(array) => vec![unnamed("element", &array.element_type)],
        DataType::Map(map) => vec![unnamed("key", &map.key_type), unnamed("value", &map.value_type)],
        DataType::Primitive(_) | DataType::Variant(_) => vec![],
    }
}

/// The Delta column for a SqlType-tagged Arrow field.
///
/// # Errors
/// [`ErrorKind::Unsupported`] for types that Delta cannot hold.
pub(in crate::lake) fn delta_column(field: &Field) -> Result<StructField> {
    let sql_type = SqlType::of_field(field);
    let mut column = StructField::new(field.name(), delta_type(field)?, field.is_nullable());
    let mut metadata: Vec<(&str, String)> = Vec::new();
    match &sql_type {
        SqlType::Varchar(Some(length)) => metadata.push((CHAR_VARCHAR_KEY, format!("varchar({length})"))),
        SqlType::Bpchar(Some(length)) => metadata.push((CHAR_VARCHAR_KEY, format!("char({length})"))),
        SqlType::Varchar(None)
        | SqlType::Bpchar(None)
        | SqlType::Uuid
        | SqlType::Json
        | SqlType::Jsonb
        | SqlType::Name
        | SqlType::Char
            if !field.data_type().is_nested() =>
        {
            metadata.push((SQL_TYPE_KEY, sql_type.tag()));
        }
        SqlType::Array(element) if **element != SqlType::of_arrow(&element.arrow_type()) => {
            metadata.push((SQL_TYPE_KEY, sql_type.tag()));
        }
        _ => {}
    }
    if let Some(comment) = field.metadata().get(COMMENT_KEY) {
        metadata.push((COMMENT_KEY, comment.clone()));
    }
    column = column.add_metadata(metadata);
    Ok(column)
}

fn delta_type(field: &Field) -> Result<DataType> {
    use delta_kernel::schema::{ArrayType, MapType};
    let refuse = |what: &str| {
        Err(Error::unsupported(format!("a table column \"{}\" of type {what}", field.name()))
            .with_hint("Delta tables hold booleans, numbers, text, bytes, dates, timestamps, arrays, structs and maps; store other values as text."))
    };
    Ok(match field.data_type() {
        ArrowType::Boolean => DataType::BOOLEAN,
        ArrowType::Int8 => DataType::BYTE,
        ArrowType::Int16 => DataType::SHORT,
        ArrowType::Int32 => DataType::INTEGER,
        ArrowType::Int64 => DataType::LONG,
        ArrowType::Float32 => DataType::FLOAT,
        ArrowType::Float64 => DataType::DOUBLE,
        ArrowType::Utf8 | ArrowType::LargeUtf8 | ArrowType::Utf8View => DataType::STRING,
        ArrowType::Binary | ArrowType::BinaryView => DataType::BINARY,
        ArrowType::Date32 => DataType::DATE,
        ArrowType::Timestamp(_, Some(_)) => DataType::TIMESTAMP,
        ArrowType::Timestamp(_, None) => DataType::TIMESTAMP_NTZ,
        ArrowType::Decimal128(precision, scale) if *precision <= 38 && *scale >= 0 => {
            let scale = u8::try_from(*scale).map_err(|_| Error::internal("a negative scale"))?;
            DataType::decimal(*precision, scale)
                .map_err(|error| Error::internal("a decimal without a Delta type").with_source(error))?
        }
        ArrowType::Decimal128(..) | ArrowType::Decimal256(..) => {
            return Err(Error::unsupported(format!("a table column \"{}\" of type {}", field.name(), SqlType::of_field(field)))
                .with_hint("Delta tables hold numeric(p,s) with at most 38 digits and a scale from 0 to p."));
        }
        ArrowType::List(element) | ArrowType::LargeList(element) => {
            DataType::Array(Box::new(ArrayType::new(delta_type(&nested(field, element))?, element.is_nullable())))
        }
        ArrowType::Struct(fields) => {
            let fields = fields
                .iter()
                .map(|child| Ok(StructField::new(child.name(), delta_type(&nested(field, child))?, child.is_nullable())))
                .collect::<Result<Vec<_>>>()?;
            let fields = StructType::try_new(fields).map_err(|_| {
                Error::new(ErrorKind::DuplicateColumn, format!("a field of column \"{}\" is named twice", field.name()))
            })?;
            DataType::Struct(Box::new(fields))
        }
        ArrowType::Map(entries, _) => match entries.data_type() {
            ArrowType::Struct(pair) if pair.len() == 2 => DataType::Map(Box::new(MapType::new(
                delta_type(&nested(field, &pair[0]))?,
                delta_type(&nested(field, &pair[1]))?,
                pair[1].is_nullable(),
            ))),
            _ => return refuse("map without key and value"),
        },
        _ => return refuse(&SqlType::of_field(field).to_string()),
    })
}

/// The nested field under the column's name, so that errors name the column.
fn nested(column: &Field, child: &Field) -> Field {
    Field::new(column.name(), child.data_type().clone(), child.is_nullable())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(sql_type: &SqlType) -> SqlType {
        let delta = delta_column(&sql_type.field("c", true)).unwrap();
        let json = serde_json::to_string(&StructType::try_new([delta]).unwrap()).unwrap();
        let read: StructType = serde_json::from_str(&json).unwrap();
        SqlType::of_field(&columns(&read, ColumnMappingMode::None).unwrap().0[0])
    }

    #[test]
    fn types_survive_the_log() {
        for sql_type in [
            SqlType::Bool,
            SqlType::Int2,
            SqlType::Int4,
            SqlType::Int8,
            SqlType::Float4,
            SqlType::Float8,
            SqlType::Numeric { precision: 12, scale: 2 },
            SqlType::Text,
            SqlType::Varchar(Some(10)),
            SqlType::Varchar(None),
            SqlType::Bpchar(Some(3)),
            SqlType::Bytea,
            SqlType::Date,
            SqlType::Timestamp,
            SqlType::Timestamptz,
            SqlType::Uuid,
            SqlType::Json,
            SqlType::Jsonb,
            SqlType::Array(Box::new(SqlType::Int4)),
            SqlType::Array(Box::new(SqlType::Varchar(Some(5)))),
            SqlType::Array(Box::new(SqlType::Uuid)),
        ] {
            assert_eq!(round_trip(&sql_type), sql_type);
        }
    }

    #[test]
    fn types_that_delta_lacks_are_refused_by_name() {
        for sql_type in [SqlType::Time, SqlType::Interval, SqlType::Oid, SqlType::Numeric { precision: 50, scale: 0 }] {
            let error = delta_column(&sql_type.field("c", true)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            assert!(error.message().contains("\"c\""), "{error}");
        }
    }

    #[test]
    fn column_mapping_is_read_from_the_schema() {
        let json = r#"{"type":"struct","fields":[{"name":"a","type":"long","nullable":true,
            "metadata":{"delta.columnMapping.id":7,"delta.columnMapping.physicalName":"col-7"}}]}"#;
        let schema: StructType = serde_json::from_str(json).unwrap();
        let (_, stored) = columns(&schema, ColumnMappingMode::Id).unwrap();
        assert_eq!((stored[0].stored_name.as_str(), stored[0].id), ("col-7", Some(7)));
    }
}
