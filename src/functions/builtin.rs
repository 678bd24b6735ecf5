//! PostgreSQL's own objects with PostgreSQL's own OIDs: relations, types, functions, operators.
//!
//! Clients know many of these numbers by heart (`pg_class` is 1259, `int4` is 23), and join system relations through them, so they are
//! data, not code: tab-separated files taken from a fresh PostgreSQL 17 database, read once. They stand on this floor because the
//! `reg*` functions resolve names of system relations and types as well as the user's; the rows of `pg_catalog` are made from the same
//! lists one floor up.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use datafusion::arrow::datatypes::{Schema, SchemaRef};

use crate::catalog::types::SqlType;

/// OID of the schema `pg_catalog`.
pub const PG_CATALOG: u32 = 11;
/// OID of the schema `information_schema`.
pub const INFORMATION_SCHEMA: u32 = 12411;
/// OID of the role that owns PostgreSQL's own objects.
pub const SYSTEM_ROLE: u32 = 10;
/// Name of the role that owns PostgreSQL's own objects. Nobody logs in as it.
pub const SYSTEM_ROLE_NAME: &str = "pg_lakehold";

/// A relation of `pg_catalog` or `information_schema`.
#[derive(Debug)]
pub struct BuiltinRelation {
    /// `pg_catalog` or `information_schema`.
    pub schema_name: &'static str,
    /// Name.
    pub name: &'static str,
    /// OID.
    pub oid: u32,
    /// `pg_class.relkind`: `r` or `v`.
    pub kind: char,
    /// Columns in order.
    pub columns: Vec<BuiltinColumn>,
    /// The columns as an Arrow schema whose fields carry their SQL types.
    pub schema: SchemaRef,
}

/// A column of a [`BuiltinRelation`].
#[derive(Debug)]
pub struct BuiltinColumn {
    /// Name.
    pub name: &'static str,
    /// Type.
    pub sql_type: SqlType,
    /// False for NOT NULL.
    pub nullable: bool,
}

impl BuiltinRelation {
    /// OID of the schema it lies in.
    pub fn schema_oid(&self) -> u32 {
        if self.schema_name == "pg_catalog" { PG_CATALOG } else { INFORMATION_SCHEMA }
    }
}

/// Lines of a data file that carry data, split at tabs.
pub(crate) fn data_lines(text: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(|line| line.split('\t').collect())
}

struct Relations {
    all: Vec<BuiltinRelation>,
    by_name: HashMap<(&'static str, &'static str), usize>,
    by_oid: HashMap<u32, usize>,
}

static RELATIONS: LazyLock<Relations> = LazyLock::new(|| {
    let all: Vec<BuiltinRelation> =
        data_lines(include_str!("postgresql17/relations.tsv")).filter_map(|line| parse_relation(&line)).collect();
    let by_name = all.iter().enumerate().map(|(index, relation)| ((relation.schema_name, relation.name), index)).collect();
    let by_oid = all.iter().enumerate().map(|(index, relation)| (relation.oid, index)).collect();
    Relations { all, by_name, by_oid }
});

fn parse_relation(line: &[&'static str]) -> Option<BuiltinRelation> {
    let [schema_name, name, oid, kind, columns] = line else { return None };
    let columns = columns.split(", ").map(parse_column).collect::<Option<Vec<_>>>()?;
    let fields = columns.iter().map(|column| column.sql_type.field(column.name, column.nullable)).collect::<Vec<_>>();
    Some(BuiltinRelation {
        schema_name,
        name,
        oid: oid.parse().ok()?,
        kind: kind.chars().next()?,
        columns,
        schema: Arc::new(Schema::new(fields)),
    })
}

fn parse_column(text: &'static str) -> Option<BuiltinColumn> {
    let (name, tag) = text.split_once(' ')?;
    let (tag, nullable) = tag.strip_suffix('!').map_or((tag, true), |tag| (tag, false));
    Some(BuiltinColumn { name, sql_type: SqlType::from_tag(tag)?, nullable })
}

/// Every system relation.
pub fn relations() -> &'static [BuiltinRelation] {
    &RELATIONS.all
}

/// The system relation `schema.name`.
pub fn relation(schema: &str, name: &str) -> Option<&'static BuiltinRelation> {
    RELATIONS.by_name.get(&(schema, name)).and_then(|index| RELATIONS.all.get(*index))
}

/// The system relation with this OID.
pub fn relation_by_oid(oid: u32) -> Option<&'static BuiltinRelation> {
    RELATIONS.by_oid.get(&oid).and_then(|index| RELATIONS.all.get(*index))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_relation_list_is_read() {
        let lines = data_lines(include_str!("postgresql17/relations.tsv")).count();
        assert_eq!(relations().len(), lines);
        assert_eq!(relation("pg_catalog", "pg_class").map(|relation| relation.oid), Some(1259));
        assert_eq!(relation_by_oid(1247).map(|relation| relation.name), Some("pg_type"));
    }

    #[test]
    fn oids_are_unique() {
        assert_eq!(RELATIONS.by_oid.len(), relations().len());
        assert!(relations().iter().all(|relation| relation.oid < 16384));
    }
}
