//! Rows of one relation on their way into a batch.
//!
//! A row names only the columns that it knows. The others take the column's default: NULL, or the zero of a NOT NULL column (false, 0,
//! the empty string or array), which is what PostgreSQL stores there for objects that do not have the thing.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatchOptions;
use datafusion::arrow::record_batch::RecordBatch;

use crate::error::{Error, Result};
use crate::functions::builtin::BuiltinRelation;
use crate::types::SqlType;
use crate::types::datum::{self, Datum};

/// Rows of a relation.
#[derive(Debug)]
pub(super) struct Rows {
    relation: &'static BuiltinRelation,
    defaults: Vec<Datum>,
    columns: Vec<Vec<Datum>>,
    count: usize,
    /// A column that some row named and the relation does not have.
    unknown: Option<&'static str>,
}

/// The row that is being written.
#[derive(Debug)]
pub(super) struct Row<'a> {
    rows: &'a mut Rows,
    next: usize,
}

impl Rows {
    /// No rows yet.
    pub(super) fn new(relation: &'static BuiltinRelation) -> Self {
        let defaults = relation.columns.iter().map(|column| if column.nullable { Datum::Null } else { zero(&column.sql_type) });
        Self {
            relation,
            defaults: defaults.collect(),
            columns: relation.columns.iter().map(|_| Vec::new()).collect(),
            count: 0,
            unknown: None,
        }
    }

    /// The relation that the rows are of.
    pub(super) const fn relation(&self) -> &'static BuiltinRelation {
        self.relation
    }

    /// Begins a row with every column at its default.
    pub(super) fn row(&mut self) -> Row<'_> {
        for (column, default) in self.columns.iter_mut().zip(&self.defaults) {
            column.push(default.clone());
        }
        self.count += 1;
        Row { rows: self, next: 0 }
    }

    /// A row of values in column order.
    pub(super) fn push(&mut self, values: Vec<Datum>) {
        for (column, value) in self.columns.iter_mut().zip(values) {
            column.push(value);
        }
        self.count += 1;
    }

    /// A row of text values in column order, as data files have them.
    pub(super) fn push_text(&mut self, values: &[&str]) -> Result<()> {
        let parse = |(value, column): (&&str, &crate::functions::builtin::BuiltinColumn)| parse(value, &column.sql_type);
        let values = values.iter().zip(&self.relation.columns).map(parse).collect::<Result<Vec<_>>>()?;
        if values.len() != self.columns.len() {
            return Err(Error::internal(format!("a row of {} has {} values", self.relation.name, values.len())));
        }
        self.push(values);
        Ok(())
    }

    /// The batch.
    pub(super) fn finish(self) -> Result<RecordBatch> {
        if let Some(column) = self.unknown {
            return Err(Error::internal(format!("{} has no column {column}", self.relation.name)));
        }
        let fields = self.relation.schema.fields();
        let arrays = fields
            .iter()
            .zip(self.columns)
            .map(|(field, column)| datum::write(field.data_type(), column))
            .collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(self.count));
        RecordBatch::try_new_with_options(Arc::clone(&self.relation.schema), arrays, &options).map_err(datum::from_arrow)
    }
}

impl Row<'_> {
    /// Sets a column. Columns are found fastest in the relation's order.
    pub(super) fn set(mut self, column: &'static str, value: impl Into<Datum>) -> Self {
        let columns = &self.rows.relation.columns;
        let found = columns.iter().skip(self.next).position(|known| known.name == column).map(|offset| offset + self.next);
        let found = found.or_else(|| columns.iter().position(|known| known.name == column));
        let cell = found.and_then(|index| self.rows.columns.get_mut(index)).and_then(|values| values.last_mut());
        match (cell, found) {
            (Some(cell), Some(index)) => {
                *cell = value.into();
                self.next = index + 1;
            }
            _ => self.rows.unknown = Some(column),
        }
        self
    }
}

fn zero(sql_type: &SqlType) -> Datum {
    match sql_type {
        SqlType::Bool => Datum::Bool(false),
        SqlType::Int2 | SqlType::Int4 | SqlType::Int8 | SqlType::Oid | SqlType::Xid | SqlType::Reg(_) => Datum::Int(0),
        SqlType::Float4 | SqlType::Float8 => Datum::Float(0.0),
        SqlType::Array(_) | SqlType::Int2Vector | SqlType::OidVector => Datum::List(vec![]),
        SqlType::Timestamptz => Datum::Timestamptz(0),
        SqlType::Bytea => Datum::Bytes(vec![]),
        _ => Datum::Text(String::new()),
    }
}

/// Reads a value of a data file: PostgreSQL's COPY text format.
fn parse(text: &str, sql_type: &SqlType) -> Result<Datum> {
    let broken = || Error::internal(format!("{text:?} in a data file is not of the type {sql_type}"));
    if text == "\\N" {
        return Ok(Datum::Null);
    }
    Ok(match sql_type {
        SqlType::Bool => Datum::Bool(text == "t"),
        SqlType::Int2 | SqlType::Int4 | SqlType::Int8 | SqlType::Oid | SqlType::Xid | SqlType::Reg(_) => {
            Datum::Int(text.parse().map_err(|_| broken())?)
        }
        SqlType::Float4 | SqlType::Float8 => Datum::Float(text.parse().map_err(|_| broken())?),
        SqlType::Int2Vector | SqlType::OidVector => Datum::List(
            text.split_whitespace().map(|item| item.parse().map(Datum::Int)).collect::<Result<_, _>>().map_err(|_| broken())?,
        ),
        SqlType::Array(element) => {
            let inner = text.strip_prefix('{').and_then(|open| open.strip_suffix('}')).ok_or_else(broken)?;
            let items = inner.split(',').filter(|item| !item.is_empty()).map(|item| parse(item.trim_matches('"'), element));
            Datum::List(items.collect::<Result<_>>()?)
        }
        _ => Datum::from(text),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::builtin;

    #[test]
    fn columns_that_are_not_named_take_their_default() {
        let mut rows = Rows::new(builtin::relation("pg_catalog", "pg_am").unwrap());
        rows.row().set("oid", 2_u32).set("amname", "heap");
        rows.row().set("amname", "btree").set("oid", 403_u32);
        let batch = rows.finish().unwrap();
        assert_eq!(batch.num_rows(), 2);
        assert_eq!(datum::read(batch.column(0), 1).unwrap(), Datum::Int(403));
        assert_eq!(datum::read(batch.column(3), 0).unwrap(), Datum::from(""));
    }

    #[test]
    fn a_column_that_is_not_there_is_an_error() {
        let mut rows = Rows::new(builtin::relation("pg_catalog", "pg_am").unwrap());
        rows.row().set("nothing", 1_u32);
        assert!(rows.finish().is_err());
    }
}
