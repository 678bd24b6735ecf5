//! PostgreSQL's own objects with PostgreSQL's own OIDs: relations, types, functions, operators.
//!
//! Clients know many of these numbers by heart (`pg_class` is 1259, `int4` is 23), and join system relations through them, so they are
//! data, not code: tab-separated files taken from a fresh PostgreSQL 17 database, read once. They stand on this floor because the
//! `reg*` functions resolve names of system relations and types as well as the user's; the rows of `pg_catalog` are made from the same
//! lists one floor up.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use datafusion::arrow::datatypes::{Schema, SchemaRef};

use crate::types::SqlType;

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

/// A type of `pg_type`: what names and casts need of it. The whole row is in [`static_rows`].
#[derive(Debug)]
pub struct BuiltinType {
    /// OID.
    pub oid: u32,
    /// `typname`.
    pub name: &'static str,
    /// OID of the element of an array, else 0.
    pub element: u32,
    /// OID of the array over it, else 0.
    pub array: u32,
    /// `typtype`: `b` or `p`.
    pub kind: char,
    /// `typcategory`.
    pub category: char,
    /// `typlen`.
    pub length: i16,
    /// `typcollation`.
    pub collation: u32,
    /// `typalign`.
    pub align: char,
    /// `typstorage`.
    pub storage: char,
    /// `typbyval`.
    pub by_value: bool,
}

static TYPES: LazyLock<Vec<BuiltinType>> = LazyLock::new(|| {
    let column = |row: &[&'static str], index: usize| row.get(index).copied().unwrap_or("");
    let letter = |text: &'static str| text.chars().next().unwrap_or('-');
    static_rows("pg_type")
        .iter()
        .map(|row| BuiltinType {
            oid: column(row, 0).parse().unwrap_or(0),
            name: column(row, 1),
            length: column(row, 4).parse().unwrap_or(-1),
            by_value: column(row, 5) == "t",
            kind: letter(column(row, 6)),
            category: letter(column(row, 7)),
            element: column(row, 13).parse().unwrap_or(0),
            array: column(row, 14).parse().unwrap_or(0),
            align: letter(column(row, 22)),
            storage: letter(column(row, 23)),
            collation: column(row, 28).parse().unwrap_or(0),
        })
        .collect()
});

/// Every type of `pg_type`.
pub fn types() -> &'static [BuiltinType] {
    &TYPES
}

/// The type with this OID.
pub fn type_by_oid(oid: u32) -> Option<&'static BuiltinType> {
    TYPES.iter().find(|row| row.oid == oid)
}

/// The type with this `typname`.
pub fn type_by_name(name: &str) -> Option<&'static BuiltinType> {
    TYPES.iter().find(|row| row.name == name)
}

/// A function of `pg_proc`.
#[derive(Debug)]
pub struct BuiltinFunction {
    /// OID.
    pub oid: u32,
    /// `proname`.
    pub name: &'static str,
    /// `proargtypes`.
    pub arguments: Vec<u32>,
    /// `prorettype`.
    pub returns: u32,
    /// `proretset`.
    pub set: bool,
    /// `prokind`.
    pub kind: char,
    /// `provariadic`.
    pub variadic: u32,
    /// `pronargdefaults`.
    pub defaults: usize,
    /// `proallargtypes`: with the output arguments.
    pub all_arguments: Vec<u32>,
    /// `proargmodes`.
    pub modes: Vec<char>,
    /// `proargnames`.
    pub argument_names: Vec<&'static str>,
}

struct Procedures {
    all: Vec<BuiltinFunction>,
    by_oid: HashMap<u32, usize>,
}

static FUNCTIONS: LazyLock<Procedures> = LazyLock::new(|| {
    let column = |row: &[&'static str], index: usize| row.get(index).copied().unwrap_or("");
    let letter = |text: &'static str| text.chars().next().unwrap_or('-');
    let all: Vec<BuiltinFunction> = static_rows("pg_proc")
        .iter()
        .map(|row| BuiltinFunction {
            oid: column(row, 0).parse().unwrap_or(0),
            name: column(row, 1),
            variadic: column(row, 7).parse().unwrap_or(0),
            kind: letter(column(row, 9)),
            set: column(row, 13) == "t",
            defaults: column(row, 17).parse().unwrap_or(0),
            returns: column(row, 18).parse().unwrap_or(0),
            arguments: column(row, 19).split(' ').filter_map(|oid| oid.parse().ok()).collect(),
            all_arguments: array_items(column(row, 20)).filter_map(|oid| oid.parse().ok()).collect(),
            modes: array_items(column(row, 21)).map(letter).collect(),
            argument_names: array_items(column(row, 22)).collect(),
        })
        .collect();
    let by_oid = all.iter().enumerate().map(|(index, function)| (function.oid, index)).collect();
    Procedures { all, by_oid }
});

/// Items of an array of plain words, `{a,b}`; nothing for NULL.
fn array_items(text: &'static str) -> impl Iterator<Item = &'static str> {
    let items = text.strip_prefix('{').and_then(|open| open.strip_suffix('}')).unwrap_or("");
    items.split(',').map(|item| item.trim_matches('"')).take(if items.is_empty() { 0 } else { usize::MAX })
}

/// Every function of `pg_proc` that is PostgreSQL's own.
pub fn functions() -> &'static [BuiltinFunction] {
    &FUNCTIONS.all
}

/// The function with this OID.
pub fn function_by_oid(oid: u32) -> Option<&'static BuiltinFunction> {
    FUNCTIONS.by_oid.get(&oid).and_then(|index| FUNCTIONS.all.get(*index))
}

/// Rows of a system relation that are the same in every database, as text by column, `\N` for NULL.
pub fn static_rows(relation: &str) -> &'static [Vec<&'static str>] {
    static ROWS: LazyLock<HashMap<&'static str, Vec<Vec<&'static str>>>> = LazyLock::new(|| {
        [
            ("pg_type", include_str!("postgresql17/pg_type.tsv")),
            ("pg_proc", include_str!("postgresql17/pg_proc.tsv")),
            ("pg_operator", include_str!("postgresql17/pg_operator.tsv")),
            ("pg_cast", include_str!("postgresql17/pg_cast.tsv")),
            ("pg_aggregate", include_str!("postgresql17/pg_aggregate.tsv")),
            ("pg_am", include_str!("postgresql17/pg_am.tsv")),
            ("pg_language", include_str!("postgresql17/pg_language.tsv")),
            ("pg_collation", include_str!("postgresql17/pg_collation.tsv")),
            ("pg_opclass", include_str!("postgresql17/pg_opclass.tsv")),
            ("pg_opfamily", include_str!("postgresql17/pg_opfamily.tsv")),
            ("pg_amop", include_str!("postgresql17/pg_amop.tsv")),
        ]
        .into_iter()
        .map(|(name, text)| (name, data_lines(text).collect()))
        .collect()
    });
    ROWS.get(relation).map_or(&[], Vec::as_slice)
}

/// A key word, as `pg_get_keywords()` gives it.
#[derive(Debug)]
pub struct Keyword {
    /// The word.
    pub word: &'static str,
    /// `U`, `C`, `T` or `R`.
    pub category: &'static str,
    /// Whether it may be a label without AS.
    pub bare_label: bool,
    /// The category in words.
    pub category_text: &'static str,
    /// The label rule in words.
    pub bare_label_text: &'static str,
}

/// PostgreSQL's key words, sorted.
pub fn keywords() -> &'static [Keyword] {
    static KEYWORDS: LazyLock<Vec<Keyword>> = LazyLock::new(|| {
        data_lines(include_str!("postgresql17/keywords.tsv"))
            .filter_map(|line| match line.as_slice() {
                [word, category, bare, category_text, bare_label_text] => {
                    Some(Keyword { word, category, bare_label: *bare == "t", category_text, bare_label_text })
                }
                _ => None,
            })
            .collect()
    });
    &KEYWORDS
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

    #[test]
    fn the_types_of_the_warehouse_are_postgresqls() {
        for scalar in SqlType::scalars() {
            let Some(row) = type_by_oid(scalar.oid()) else { panic!("{scalar} is not in pg_type") };
            assert_eq!(row.name, scalar.type_name());
            if !matches!(scalar, SqlType::Void | SqlType::NodeTree | SqlType::Unknown) {
                assert_eq!(row.array, scalar.array_oid(), "{scalar}");
                assert_eq!(row.length, scalar.type_len(), "{scalar}");
            }
        }
    }

    #[test]
    fn static_rows_have_as_many_values_as_their_relation_has_columns() {
        for name in
            ["pg_type", "pg_proc", "pg_operator", "pg_cast", "pg_aggregate", "pg_am", "pg_opclass", "pg_opfamily", "pg_amop"]
        {
            let columns = relation("pg_catalog", name).unwrap().columns.len();
            assert!(!static_rows(name).is_empty(), "{name}");
            assert!(static_rows(name).iter().all(|row| row.len() == columns), "{name}");
        }
    }
}
