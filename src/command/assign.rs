//! Assignment: values of a query into the columns of a table.
//!
//! PostgreSQL assigns what it would cast without being told, and nothing else; the binder does that. A text that is too long is an error,
//! where an explicit cast would cut it: the binder leaves the length alone, and it is checked here, on the rows.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, StringArray, new_null_array};
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::record_batch::RecordBatch;

use crate::error::{Error, ErrorKind, Result};
use crate::functions::numeric::convert::exactly;
use crate::types::SqlType;
use crate::types::numeric::innermost;

/// Whether PostgreSQL assigns values of `from` to a column of `to` without an explicit cast (`pg_cast`, contexts `i` and `a`).
pub(super) fn assignable(from: &SqlType, to: &SqlType) -> bool {
    use SqlType as T;
    match (from, to) {
        (T::Unknown | T::Void, _) => true,
        (_, to) if is_text(to) => true,
        (from, to) if is_number(from) && is_number(to) => true,
        (T::Int2 | T::Int4 | T::Int8, T::Oid | T::Reg(_)) | (T::Oid | T::Reg(_), T::Int4 | T::Int8 | T::Oid | T::Reg(_)) => true,
        (T::Date, T::Timestamp | T::Timestamptz) => true,
        (T::Timestamp, T::Date | T::Time | T::Timestamptz) => true,
        (T::Timestamptz, T::Date | T::Time | T::Timestamp) => true,
        (T::Time, T::Interval) | (T::Interval, T::Time) => true,
        (T::Json, T::Jsonb) | (T::Jsonb, T::Json) => true,
        (T::Int2Vector | T::OidVector, T::Array(_)) => true,
        (T::Array(from), T::Array(to)) => from == to || assignable(from, to),
        (from, to) => unsized_type(from) == unsized_type(to),
    }
}

fn is_number(sql_type: &SqlType) -> bool {
    matches!(sql_type, SqlType::Int2 | SqlType::Int4 | SqlType::Int8 | SqlType::Float4 | SqlType::Float8) || sql_type.is_numeric()
}

fn is_text(sql_type: &SqlType) -> bool {
    matches!(sql_type, SqlType::Text | SqlType::Varchar(_) | SqlType::Bpchar(_) | SqlType::Name)
}

fn unsized_type(sql_type: &SqlType) -> SqlType {
    match sql_type {
        SqlType::Varchar(_) | SqlType::Bpchar(_) => SqlType::Text,
        SqlType::Array(element) => SqlType::Array(Box::new(unsized_type(element))),
        other => other.clone(),
    }
}

/// Brings batches into the form of a table: its columns in order, in their Arrow types, texts no longer than they may be.
#[derive(Debug)]
pub(super) struct Assignment {
    schema: SchemaRef,
    types: Vec<SqlType>,
    /// For each column of the table, the column of the batch that goes into it.
    sources: Vec<Option<usize>>,
}

impl Assignment {
    /// For a query with the columns of the table in order.
    pub(super) fn in_order(table: &Schema) -> Self {
        Self::new(table, (0..table.fields().len()).map(Some).collect())
    }

    /// For a table with the columns of `table`, NULL where there is no source. NULLs pass: whether a column takes them is checked where
    /// the rows are written.
    pub(super) fn new(table: &Schema, sources: Vec<Option<usize>>) -> Self {
        let fields: Vec<Field> = table.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
        let types = table.fields().iter().map(|field| SqlType::of_field(field)).collect();
        Self { schema: Arc::new(Schema::new(fields)), types, sources }
    }

    /// Schema of the batches that come out.
    pub(super) fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// One batch.
    ///
    /// # Errors
    /// [`ErrorKind::StringTooLong`] for a text longer than its column.
    pub(super) fn apply(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let columns = self.sources.iter().zip(&self.types).zip(self.schema.fields());
        let columns = columns
            .map(|((source, sql_type), field)| {
                let Some(source) = source else { return Ok(new_null_array(field.data_type(), batch.num_rows())) };
                let array =
                    batch.columns().get(*source).ok_or_else(|| Error::internal("an INSERT has fewer columns than its targets"))?;
                match sized(sql_type) {
                    Some(size) => convert(&size.apply(array)?, field.data_type()),
                    None => convert(array, field.data_type()),
                }
            })
            .collect::<Result<Vec<_>>>()?;
        RecordBatch::try_new(self.schema(), columns).map_err(|error| Error::internal(format!("rows of an INSERT: {error}")))
    }
}

fn convert(array: &ArrayRef, data_type: &DataType) -> Result<ArrayRef> {
    if array.data_type() == data_type {
        return Ok(Arc::clone(array));
    }
    if let (DataType::LargeBinary, DataType::Decimal128(precision, scale)) = (innermost(array.data_type()), innermost(data_type)) {
        let decimals = exactly(array, *precision, *scale)?;
        // A list has its field's name and tags from the table.
        return if decimals.data_type() == data_type { Ok(decimals) } else { convert(&decimals, data_type) };
    }
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(array, data_type, &strict).map_err(|error| crate::error::datafusion::from_arrow(error, true))
}

/// A text type with a length.
#[derive(Debug, Clone, Copy)]
struct Sized {
    length: usize,
    padded: bool,
}

fn sized(sql_type: &SqlType) -> Option<Sized> {
    match sql_type {
        SqlType::Varchar(Some(length)) => Some(Sized { length: usize::try_from(*length).ok()?, padded: false }),
        SqlType::Bpchar(length) => Some(Sized { length: usize::try_from(length.unwrap_or(1)).ok()?, padded: length.is_some() }),
        _ => None,
    }
    .filter(|sized| sized.padded || !matches!(sql_type, SqlType::Bpchar(None)))
}

impl Sized {
    fn apply(self, array: &ArrayRef) -> Result<ArrayRef> {
        let texts = convert(array, &DataType::Utf8)?;
        let Some(texts) = texts.as_any().downcast_ref::<StringArray>() else { return Err(Error::internal("texts that are none")) };
        let fits = texts.iter().flatten().all(|text| text.len() <= self.length && (!self.padded || text.len() == self.length));
        if fits {
            return Ok(Arc::clone(array));
        }
        let sized: StringArray = texts.iter().map(|text| text.map(|text| self.fit(text)).transpose()).collect::<Result<_>>()?;
        Ok(Arc::new(sized))
    }

    /// Spaces beyond the length are cut, as the SQL standard wants it; anything else beyond it is an error.
    fn fit(self, text: &str) -> Result<String> {
        let end = text.char_indices().nth(self.length).map_or(text.len(), |(index, _)| index);
        let (kept, rest) = text.split_at(end);
        if rest.chars().any(|c| c != ' ') {
            let name = if self.padded { "character" } else { "character varying" };
            return Err(Error::new(ErrorKind::StringTooLong, format!("value too long for type {name}({})", self.length)));
        }
        let missing = if self.padded { self.length.saturating_sub(kept.chars().count()) } else { 0 };
        Ok(format!("{kept}{}", " ".repeat(missing)))
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn assignments_are_those_of_postgresql() {
        let types = [
            SqlType::Bool,
            SqlType::Int4,
            SqlType::Float8,
            SqlType::Numeric { precision: 12, scale: 2 },
            SqlType::Text,
            SqlType::Varchar(Some(3)),
            SqlType::Bytea,
            SqlType::Date,
            SqlType::Time,
            SqlType::Timestamp,
            SqlType::Timestamptz,
            SqlType::Interval,
            SqlType::Uuid,
            SqlType::Json,
            SqlType::Jsonb,
            SqlType::Array(Box::new(SqlType::Int4)),
            SqlType::Unknown,
        ];
        let mut table = String::new();
        for from in &types {
            let to: Vec<String> = types.iter().filter(|to| assignable(from, to)).map(SqlType::type_name).collect();
            table += &format!("{:<11} {}\n", from.type_name(), to.join(" "));
        }
        expect![[r#"
            bool        bool text varchar
            int4        int4 float8 numeric text varchar
            float8      int4 float8 numeric text varchar
            numeric     int4 float8 numeric text varchar
            text        text varchar
            varchar     text varchar
            bytea       text varchar bytea
            date        text varchar date timestamp timestamptz
            time        text varchar time interval
            timestamp   text varchar date time timestamp timestamptz
            timestamptz text varchar date time timestamp timestamptz
            interval    text varchar time interval
            uuid        text varchar uuid
            json        text varchar json jsonb
            jsonb       text varchar json jsonb
            _int4       text varchar _int4
            unknown     bool int4 float8 numeric text varchar bytea date time timestamp timestamptz interval uuid json jsonb _int4 unknown
        "#]].assert_eq(&table);
    }

    fn batch(texts: &[Option<&str>]) -> RecordBatch {
        let array: ArrayRef = Arc::new(StringArray::from(texts.to_vec()));
        RecordBatch::try_from_iter([("c", array)]).unwrap()
    }

    fn assigned(sql_type: &SqlType, texts: &[Option<&str>]) -> Result<Vec<Option<String>>> {
        let schema = Schema::new(vec![sql_type.field("c", false)]);
        let batch = Assignment::in_order(&schema).apply(&batch(texts))?;
        let column = batch.column(0).as_any().downcast_ref::<StringArray>().unwrap();
        Ok(column.iter().map(|text| text.map(str::to_string)).collect())
    }

    #[test]
    fn a_text_that_is_too_long_is_refused_and_spaces_are_cut() {
        let varchar = SqlType::Varchar(Some(3));
        assert_eq!(assigned(&varchar, &[Some("äöü"), None, Some("a")]).unwrap(), [Some("äöü".into()), None, Some("a".into())]);
        assert_eq!(assigned(&varchar, &[Some("abc  ")]).unwrap(), [Some("abc".into())]);
        let error = assigned(&varchar, &[Some("abcd")]).unwrap_err();
        assert_eq!((error.kind(), error.message()), (ErrorKind::StringTooLong, "value too long for type character varying(3)"));
    }

    #[test]
    fn columns_come_in_the_tables_order_and_null_where_there_is_none() {
        let schema = Schema::new(vec![SqlType::Int4.field("a", false), SqlType::Text.field("b", true)]);
        let out = Assignment::new(&schema, vec![None, Some(0)]).apply(&batch(&[Some("x"), Some("y")])).unwrap();
        assert_eq!(out.column(0).null_count(), 2);
        assert_eq!(out.column(1).null_count(), 0);
        assert_eq!(out.schema().field(0).data_type(), &DataType::Int32);
    }

    #[test]
    fn a_character_column_is_padded() {
        let bpchar = SqlType::Bpchar(Some(3));
        assert_eq!(assigned(&bpchar, &[Some("a"), Some("ä")]).unwrap(), [Some("a  ".into()), Some("ä  ".into())]);
        assert_eq!(assigned(&bpchar, &[Some("abcd")]).unwrap_err().message(), "value too long for type character(3)");
        assert_eq!(assigned(&SqlType::Text, &[Some("abcd")]).unwrap(), [Some("abcd".into())]);
    }
}
