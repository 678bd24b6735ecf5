//! SQL types: the one table between PostgreSQL's names and OIDs, Arrow's data types and Delta's type names.
//!
//! Arrow has no `uuid`, `json`, `oid` or `name`; those travel as Arrow strings or integers whose field carries the SQL type in its
//! metadata under [`SQL_TYPE_KEY`]. A field without that key has the type that its Arrow data type implies.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef, IntervalUnit, TimeUnit};
use datafusion::common::ScalarValue;

/// Key of the field metadata that names a SQL type which the Arrow data type alone does not imply.
pub const SQL_TYPE_KEY: &str = "lakehold.sql_type";

/// A SQL type as PostgreSQL clients see it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SqlType {
    /// `boolean`
    Bool,
    /// `smallint`; Delta `byte` and `short`
    Int2,
    /// `integer`
    Int4,
    /// `bigint`
    Int8,
    /// `real`
    Float4,
    /// `double precision`
    Float8,
    /// `numeric(precision, scale)`: 1 to 76 digits
    Numeric {
        /// Number of digits.
        precision: u8,
        /// Digits right of the point.
        scale: i8,
    },
    /// `numeric` without modifiers: a scale for each value, any number of digits, `NaN` and the infinities
    UnconstrainedNumeric,
    /// `text`
    Text,
    /// `character varying`, with its length in characters
    Varchar(Option<u32>),
    /// `character(n)`
    Bpchar(Option<u32>),
    /// `bytea`
    Bytea,
    /// `date`
    Date,
    /// `time without time zone`
    Time,
    /// `timestamp without time zone`
    Timestamp,
    /// `timestamp with time zone`
    Timestamptz,
    /// `interval`
    Interval,
    /// `uuid`
    Uuid,
    /// `json`: also how structs and maps are shown
    Json,
    /// `jsonb`
    Jsonb,
    /// `oid`
    Oid,
    /// `xid`
    Xid,
    /// `name`
    Name,
    /// `"char"`: one byte
    Char,
    /// `regclass`, `regtype`, `regproc`, ..: an object identifier that prints as a name
    Reg(RegKind),
    /// `int2vector`
    Int2Vector,
    /// `oidvector`
    OidVector,
    /// `pg_node_tree`: an expression as text
    NodeTree,
    /// `aclitem`
    AclItem,
    /// `unknown`: an untyped literal
    Unknown,
    /// `void`
    Void,
    /// An array of one element type.
    Array(Box<SqlType>),
    /// `record`: an anonymous row, with the types of its fields `f1`, `f2`, ..
    Record(Vec<SqlType>),
}

/// The object identifier alias types of PostgreSQL 8.19.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RegKind {
    /// `regclass`
    Class,
    /// `regtype`
    Type,
    /// `regproc`
    Proc,
    /// `regprocedure`
    Procedure,
    /// `regoper`
    Oper,
    /// `regoperator`
    Operator,
    /// `regnamespace`
    Namespace,
    /// `regrole`
    Role,
}

impl RegKind {
    /// Every kind.
    pub const ALL: [RegKind; 8] = [
        RegKind::Class,
        RegKind::Type,
        RegKind::Proc,
        RegKind::Procedure,
        RegKind::Oper,
        RegKind::Operator,
        RegKind::Namespace,
        RegKind::Role,
    ];

    /// The type's name.
    pub const fn name(self) -> &'static str {
        match self {
            RegKind::Class => "regclass",
            RegKind::Type => "regtype",
            RegKind::Proc => "regproc",
            RegKind::Procedure => "regprocedure",
            RegKind::Oper => "regoper",
            RegKind::Operator => "regoperator",
            RegKind::Namespace => "regnamespace",
            RegKind::Role => "regrole",
        }
    }

    const fn oids(self) -> (u32, u32) {
        match self {
            RegKind::Class => (2205, 2210),
            RegKind::Type => (2206, 2211),
            RegKind::Proc => (24, 1008),
            RegKind::Procedure => (2202, 2207),
            RegKind::Oper => (2203, 2208),
            RegKind::Operator => (2204, 2209),
            RegKind::Namespace => (4089, 4090),
            RegKind::Role => (4096, 4097),
        }
    }
}

impl SqlType {
    /// `numeric` without modifiers, as a column of a table holds it.
    pub const STORED_NUMERIC: SqlType = SqlType::Numeric { precision: 38, scale: 10 };

    /// The type of a table's column for computed values of this one. What Delta Lake's decimals have no room for is refused when it is
    /// written; a quotient or an average has its digits in twenty behind the point.
    pub fn in_table(&self) -> SqlType {
        match self {
            SqlType::UnconstrainedNumeric => SqlType::Numeric { precision: 38, scale: 20 },
            SqlType::Numeric { precision: 39.., scale: scale @ 0..=38 } => SqlType::Numeric { precision: 38, scale: *scale },
            SqlType::Array(element) => SqlType::Array(Box::new(element.in_table())),
            other => other.clone(),
        }
    }

    /// The type of a parameter with its value: a `numeric` has the digits that came, and is bound as what it is.
    pub fn with_value(&self, value: &ScalarValue) -> SqlType {
        match self {
            numeric if numeric.is_numeric() && !value.is_null() => SqlType::of_arrow(&value.data_type()),
            SqlType::Array(element) if element.is_numeric() && !value.is_null() => SqlType::of_arrow(&value.data_type()),
            other => other.clone(),
        }
    }

    /// Whether it is `numeric`, with modifiers or without.
    pub const fn is_numeric(&self) -> bool {
        matches!(self, SqlType::Numeric { .. } | SqlType::UnconstrainedNumeric)
    }

    /// The type's OID in `pg_type`.
    pub fn oid(&self) -> u32 {
        match self {
            SqlType::Array(element) => element.array_oid(),
            scalar => scalar.oids().0,
        }
    }

    /// OID of the array over this type; an array's elements share their array's OID, as in PostgreSQL.
    pub fn array_oid(&self) -> u32 {
        match self {
            SqlType::Array(element) => element.array_oid(),
            scalar => scalar.oids().1,
        }
    }

    const fn oids(&self) -> (u32, u32) {
        match self {
            SqlType::Bool => (16, 1000),
            SqlType::Bytea => (17, 1001),
            SqlType::Char => (18, 1002),
            SqlType::Name => (19, 1003),
            SqlType::Int8 => (20, 1016),
            SqlType::Int2 => (21, 1005),
            SqlType::Int2Vector => (22, 1006),
            SqlType::Int4 => (23, 1007),
            SqlType::Reg(kind) => kind.oids(),
            SqlType::Text => (25, 1009),
            SqlType::Oid => (26, 1028),
            SqlType::Xid => (28, 1011),
            SqlType::OidVector => (30, 1013),
            SqlType::Json => (114, 199),
            SqlType::NodeTree => (194, 1009),
            SqlType::Float4 => (700, 1021),
            SqlType::Float8 => (701, 1022),
            SqlType::Unknown => (705, 1009),
            SqlType::AclItem => (1033, 1034),
            SqlType::Bpchar(_) => (1042, 1014),
            SqlType::Varchar(_) => (1043, 1015),
            SqlType::Date => (1082, 1182),
            SqlType::Time => (1083, 1183),
            SqlType::Timestamp => (1114, 1115),
            SqlType::Timestamptz => (1184, 1185),
            SqlType::Interval => (1186, 1187),
            SqlType::Numeric { .. } | SqlType::UnconstrainedNumeric => (1700, 1231),
            SqlType::Record(_) => (2249, 2287),
            SqlType::Void => (2278, 2278),
            SqlType::Uuid => (2950, 2951),
            SqlType::Jsonb => (3802, 3807),
            SqlType::Array(_) => (2277, 2277),
        }
    }

    /// `pg_type.typlen`: bytes of a fixed-length type, -1 for others.
    pub const fn type_len(&self) -> i16 {
        match self {
            SqlType::Bool | SqlType::Char => 1,
            SqlType::Int2 => 2,
            SqlType::Int4 | SqlType::Float4 | SqlType::Date | SqlType::Oid | SqlType::Xid | SqlType::Reg(_) | SqlType::Void => 4,
            SqlType::Int8 | SqlType::Float8 | SqlType::Time | SqlType::Timestamp | SqlType::Timestamptz => 8,
            SqlType::Interval | SqlType::Uuid | SqlType::AclItem => 16,
            SqlType::Name => 64,
            SqlType::Unknown => -2,
            SqlType::Numeric { .. }
            | SqlType::UnconstrainedNumeric
            | SqlType::Text
            | SqlType::Varchar(_)
            | SqlType::Bpchar(_)
            | SqlType::Bytea
            | SqlType::Json
            | SqlType::Jsonb
            | SqlType::Int2Vector
            | SqlType::OidVector
            | SqlType::NodeTree
            | SqlType::Record(_)
            | SqlType::Array(_) => -1,
        }
    }

    /// `atttypmod` of a column of this type, -1 where the type has none.
    pub fn typmod(&self) -> i32 {
        match self {
            SqlType::Numeric { precision, scale } => ((i32::from(*precision) << 16) | (i32::from(*scale) & 0x7ff)) + 4,
            SqlType::Varchar(Some(length)) | SqlType::Bpchar(Some(length)) => {
                i32::try_from(*length).map_or(-1, |length| length + 4)
            }
            SqlType::Array(element) => element.typmod(),
            _ => -1,
        }
    }

    /// `pg_type.typname`.
    pub fn type_name(&self) -> String {
        match self {
            SqlType::Bool => "bool".into(),
            SqlType::Int2 => "int2".into(),
            SqlType::Int4 => "int4".into(),
            SqlType::Int8 => "int8".into(),
            SqlType::Float4 => "float4".into(),
            SqlType::Float8 => "float8".into(),
            SqlType::Numeric { .. } | SqlType::UnconstrainedNumeric => "numeric".into(),
            SqlType::Text => "text".into(),
            SqlType::Varchar(_) => "varchar".into(),
            SqlType::Bpchar(_) => "bpchar".into(),
            SqlType::Bytea => "bytea".into(),
            SqlType::Date => "date".into(),
            SqlType::Time => "time".into(),
            SqlType::Timestamp => "timestamp".into(),
            SqlType::Timestamptz => "timestamptz".into(),
            SqlType::Interval => "interval".into(),
            SqlType::Uuid => "uuid".into(),
            SqlType::Json => "json".into(),
            SqlType::Jsonb => "jsonb".into(),
            SqlType::Oid => "oid".into(),
            SqlType::Xid => "xid".into(),
            SqlType::Name => "name".into(),
            SqlType::Char => "char".into(),
            SqlType::Reg(kind) => kind.name().into(),
            SqlType::Int2Vector => "int2vector".into(),
            SqlType::OidVector => "oidvector".into(),
            SqlType::NodeTree => "pg_node_tree".into(),
            SqlType::AclItem => "aclitem".into(),
            SqlType::Unknown => "unknown".into(),
            SqlType::Void => "void".into(),
            SqlType::Record(_) => "record".into(),
            SqlType::Array(element) => format!("_{}", element.type_name()),
        }
    }

    /// What `format_type(oid, typmod)` prints: `numeric(12,2)`, `character varying(10)`, `text[]`.
    pub fn display_name(&self) -> String {
        match self {
            SqlType::Bool => "boolean".into(),
            SqlType::Int2 => "smallint".into(),
            SqlType::Int4 => "integer".into(),
            SqlType::Int8 => "bigint".into(),
            SqlType::Float4 => "real".into(),
            SqlType::Float8 => "double precision".into(),
            SqlType::Numeric { precision, scale } => format!("numeric({precision},{scale})"),
            SqlType::Varchar(None) => "character varying".into(),
            SqlType::Varchar(Some(length)) => format!("character varying({length})"),
            SqlType::Bpchar(None) => "character".into(),
            SqlType::Bpchar(Some(length)) => format!("character({length})"),
            SqlType::Time => "time without time zone".into(),
            SqlType::Timestamp => "timestamp without time zone".into(),
            SqlType::Timestamptz => "timestamp with time zone".into(),
            SqlType::Char => "\"char\"".into(),
            SqlType::Array(element) => format!("{}[]", element.display_name()),
            other => other.type_name(),
        }
    }

    /// [`SqlType::display_name`] without modifiers: how errors name types.
    pub fn unmodified_name(&self) -> String {
        match self {
            SqlType::Numeric { .. } | SqlType::UnconstrainedNumeric => "numeric".into(),
            SqlType::Varchar(_) => SqlType::Varchar(None).display_name(),
            SqlType::Bpchar(_) => SqlType::Bpchar(None).display_name(),
            SqlType::Array(element) => format!("{}[]", element.unmodified_name()),
            other => other.display_name(),
        }
    }

    /// The SQL type of an Arrow field: its metadata if it names one, else what its data type implies.
    ///
    /// Structs, maps and other Arrow types without a SQL counterpart are shown as `json`.
    pub fn of_field(field: &Field) -> SqlType {
        field.metadata().get(SQL_TYPE_KEY).and_then(|tag| SqlType::from_tag(tag)).unwrap_or_else(|| match field.data_type() {
            DataType::List(element)
            | DataType::LargeList(element)
            | DataType::FixedSizeList(element, _)
            | DataType::ListView(element) => match SqlType::of_field(element) {
                array @ SqlType::Array(_) => array,
                scalar => SqlType::Array(Box::new(scalar)),
            },
            data_type => SqlType::of_arrow(data_type),
        })
    }

    /// The SQL type that an Arrow data type implies.
    pub fn of_arrow(data_type: &DataType) -> SqlType {
        match data_type {
            DataType::Null | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => SqlType::Text,
            DataType::Boolean => SqlType::Bool,
            DataType::Int8 | DataType::Int16 | DataType::UInt8 => SqlType::Int2,
            DataType::Int32 | DataType::UInt16 => SqlType::Int4,
            DataType::Int64 | DataType::UInt32 => SqlType::Int8,
            DataType::UInt64 => SqlType::Numeric { precision: 20, scale: 0 },
            DataType::Float16 | DataType::Float32 => SqlType::Float4,
            DataType::Float64 => SqlType::Float8,
            DataType::Decimal32(precision, scale)
            | DataType::Decimal64(precision, scale)
            | DataType::Decimal128(precision, scale)
            | DataType::Decimal256(precision, scale) => SqlType::Numeric { precision: *precision, scale: *scale },
            DataType::Binary | DataType::BinaryView | DataType::FixedSizeBinary(_) => SqlType::Bytea,
            // Nothing else has this representation in a plan: see `types::numeric`.
            DataType::LargeBinary => SqlType::UnconstrainedNumeric,
            DataType::Date32 | DataType::Date64 => SqlType::Date,
            DataType::Time32(_) | DataType::Time64(_) => SqlType::Time,
            DataType::Timestamp(_, None) => SqlType::Timestamp,
            DataType::Timestamp(_, Some(_)) => SqlType::Timestamptz,
            DataType::Interval(_) | DataType::Duration(_) => SqlType::Interval,
            DataType::Dictionary(_, value) => SqlType::of_arrow(value),
            DataType::RunEndEncoded(_, values) => SqlType::of_field(values),
            DataType::List(_)
            | DataType::LargeList(_)
            | DataType::FixedSizeList(_, _)
            | DataType::ListView(_)
            | DataType::LargeListView(_) => SqlType::of_field(&Field::new("element", data_type.clone(), true)),
            DataType::Struct(_) | DataType::Map(_, _) | DataType::Union(_, _) => SqlType::Json,
        }
    }

    /// The Arrow data type that holds values of this type in query plans.
    pub fn arrow_type(&self) -> DataType {
        match self {
            SqlType::Bool => DataType::Boolean,
            SqlType::Int2 => DataType::Int16,
            SqlType::Int4 => DataType::Int32,
            SqlType::Int8 => DataType::Int64,
            SqlType::Float4 => DataType::Float32,
            SqlType::Float8 => DataType::Float64,
            SqlType::Numeric { precision, scale } if *precision <= 38 => DataType::Decimal128(*precision, *scale),
            SqlType::Numeric { precision, scale } => DataType::Decimal256(*precision, *scale),
            SqlType::UnconstrainedNumeric => DataType::LargeBinary,
            SqlType::Bytea => DataType::Binary,
            SqlType::Date => DataType::Date32,
            SqlType::Time => DataType::Time64(TimeUnit::Microsecond),
            SqlType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            SqlType::Timestamptz => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            SqlType::Interval => DataType::Interval(IntervalUnit::MonthDayNano),
            SqlType::Oid | SqlType::Xid | SqlType::Reg(_) => DataType::UInt32,
            SqlType::Int2Vector => DataType::List(Arc::new(Field::new_list_field(DataType::Int16, true))),
            SqlType::OidVector => DataType::List(SqlType::Oid.list_element()),
            SqlType::Array(element) => DataType::List(element.list_element()),
            SqlType::Record(fields) => DataType::Struct(
                fields.iter().enumerate().map(|(index, field)| field.field(format!("f{}", index + 1), true)).collect(),
            ),
            SqlType::Void => DataType::Null,
            SqlType::Text
            | SqlType::Varchar(_)
            | SqlType::Bpchar(_)
            | SqlType::Uuid
            | SqlType::Json
            | SqlType::Jsonb
            | SqlType::Name
            | SqlType::Char
            | SqlType::NodeTree
            | SqlType::AclItem
            | SqlType::Unknown => DataType::Utf8,
        }
    }

    /// Whether the type, or one that it is made of, is such a scalar.
    pub fn has_leaf(&self, is: &dyn Fn(&SqlType) -> bool) -> bool {
        match self {
            SqlType::Array(element) => element.has_leaf(is),
            SqlType::Record(fields) => fields.iter().any(|field| field.has_leaf(is)),
            scalar => is(scalar),
        }
    }

    fn list_element(&self) -> FieldRef {
        Arc::new(self.field(Field::LIST_FIELD_DEFAULT_NAME, true))
    }

    /// An Arrow field of this type, tagged where the Arrow data type alone would not tell it.
    pub fn field(&self, name: impl Into<String>, nullable: bool) -> Field {
        let field = Field::new(name, self.arrow_type(), nullable);
        if SqlType::of_field(&field) == *self { field } else { field.with_metadata(self.metadata()) }
    }

    /// Field metadata that names this type.
    pub fn metadata(&self) -> HashMap<String, String> {
        HashMap::from([(SQL_TYPE_KEY.to_string(), self.tag())])
    }

    /// Text form for field metadata and the metastore: the type's name, with arguments in brackets.
    pub fn tag(&self) -> String {
        match self {
            SqlType::Varchar(Some(length)) => format!("varchar({length})"),
            SqlType::Bpchar(Some(length)) => format!("bpchar({length})"),
            SqlType::Numeric { precision, scale } => format!("numeric({precision},{scale})"),
            SqlType::Array(element) => format!("{}[]", element.tag()),
            SqlType::Record(fields) => format!("record({})", fields.iter().map(SqlType::tag).collect::<Vec<_>>().join(",")),
            other => other.type_name(),
        }
    }

    /// Reads what [`SqlType::tag`] wrote; `None` for any other text.
    pub fn from_tag(tag: &str) -> Option<SqlType> {
        if let Some(element) = tag.strip_suffix("[]") {
            return Some(SqlType::Array(Box::new(SqlType::from_tag(element)?)));
        }
        if let Some(fields) = tag.strip_prefix("record(").and_then(|rest| rest.strip_suffix(')')) {
            return split_tags(fields).into_iter().map(SqlType::from_tag).collect::<Option<_>>().map(SqlType::Record);
        }
        let (name, arguments) = match tag.strip_suffix(')').and_then(|open| open.split_once('(')) {
            Some((name, arguments)) => {
                (name, arguments.split(',').map(|n| n.trim().parse::<i64>().ok()).collect::<Option<Vec<_>>>()?)
            }
            None => (tag, vec![]),
        };
        let length = || match arguments.as_slice() {
            [] => Some(None),
            [length] => Some(Some(u32::try_from(*length).ok()?)),
            _ => None,
        };
        Some(match name {
            "bool" => SqlType::Bool,
            "int2" => SqlType::Int2,
            "int4" => SqlType::Int4,
            "int8" => SqlType::Int8,
            "float4" => SqlType::Float4,
            "float8" => SqlType::Float8,
            "numeric" => match arguments.as_slice() {
                [] => SqlType::UnconstrainedNumeric,
                [precision, scale] => {
                    SqlType::Numeric { precision: u8::try_from(*precision).ok()?, scale: i8::try_from(*scale).ok()? }
                }
                _ => return None,
            },
            "text" => SqlType::Text,
            "varchar" => SqlType::Varchar(length()?),
            "bpchar" => SqlType::Bpchar(length()?),
            "bytea" => SqlType::Bytea,
            "date" => SqlType::Date,
            "time" => SqlType::Time,
            "timestamp" => SqlType::Timestamp,
            "timestamptz" => SqlType::Timestamptz,
            "interval" => SqlType::Interval,
            "uuid" => SqlType::Uuid,
            "json" => SqlType::Json,
            "jsonb" => SqlType::Jsonb,
            "oid" => SqlType::Oid,
            "xid" => SqlType::Xid,
            "name" => SqlType::Name,
            "char" => SqlType::Char,
            "int2vector" => SqlType::Int2Vector,
            "oidvector" => SqlType::OidVector,
            "pg_node_tree" => SqlType::NodeTree,
            "aclitem" => SqlType::AclItem,
            "unknown" => SqlType::Unknown,
            "void" => SqlType::Void,
            other => SqlType::Reg(RegKind::ALL.into_iter().find(|kind| kind.name() == other)?),
        })
    }

    /// The scalar types that clients may meet, one of each, for tables about types.
    pub fn scalars() -> Vec<SqlType> {
        let mut all = vec![
            SqlType::Bool,
            SqlType::Bytea,
            SqlType::Char,
            SqlType::Name,
            SqlType::Int8,
            SqlType::Int2,
            SqlType::Int2Vector,
            SqlType::Int4,
            SqlType::Text,
            SqlType::Oid,
            SqlType::Xid,
            SqlType::OidVector,
            SqlType::Json,
            SqlType::NodeTree,
            SqlType::Float4,
            SqlType::Float8,
            SqlType::Unknown,
            SqlType::AclItem,
            SqlType::Bpchar(None),
            SqlType::Varchar(None),
            SqlType::Date,
            SqlType::Time,
            SqlType::Timestamp,
            SqlType::Timestamptz,
            SqlType::Interval,
            SqlType::UnconstrainedNumeric,
            SqlType::Void,
            SqlType::Uuid,
            SqlType::Jsonb,
        ];
        all.extend(RegKind::ALL.map(SqlType::Reg));
        all
    }

    /// The type whose OID is `oid`, without modifiers.
    pub fn from_oid(oid: u32) -> Option<SqlType> {
        SqlType::scalars().into_iter().find_map(|scalar| {
            if scalar.oid() == oid {
                Some(scalar)
            } else if scalar.array_oid() == oid && !matches!(scalar, SqlType::Void | SqlType::NodeTree | SqlType::Unknown) {
                Some(SqlType::Array(Box::new(scalar)))
            } else {
                None
            }
        })
    }

    /// Delta Lake's and Databricks' name of the type: `string`, `bigint`, `decimal(12,2)`, `array<int>`.
    pub fn delta_name(&self) -> String {
        match self {
            SqlType::Bool => "boolean".into(),
            SqlType::Int2 => "smallint".into(),
            SqlType::Int4 => "int".into(),
            SqlType::Int8 => "bigint".into(),
            SqlType::Float4 => "float".into(),
            SqlType::Float8 => "double".into(),
            SqlType::Numeric { precision, scale } => format!("decimal({precision},{scale})"),
            SqlType::UnconstrainedNumeric => SqlType::STORED_NUMERIC.delta_name(),
            SqlType::Bytea => "binary".into(),
            SqlType::Date => "date".into(),
            SqlType::Timestamp => "timestamp_ntz".into(),
            SqlType::Timestamptz => "timestamp".into(),
            SqlType::Array(element) => format!("array<{}>", element.delta_name()),
            _ => "string".into(),
        }
    }
}

/// The tags of a list, at the commas outside of brackets.
fn split_tags(list: &str) -> Vec<&str> {
    let mut tags = vec![];
    let (mut start, mut depth) = (0, 0_usize);
    for (at, character) in list.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                tags.push(&list[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    tags.push(&list[start..]);
    tags
}

impl fmt::Display for SqlType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.display_name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_survives_its_tag_and_its_field() {
        assert_eq!(SqlType::from_oid(1231), Some(SqlType::Array(Box::new(SqlType::UnconstrainedNumeric))));
        for scalar in SqlType::scalars() {
            assert_eq!(SqlType::from_tag(&scalar.tag()), Some(scalar.clone()), "{scalar}");
            assert_eq!(SqlType::of_field(&scalar.field("c", true)), scalar, "{scalar}");
            if matches!(scalar, SqlType::Void) {
                continue;
            }
            let array = SqlType::Array(Box::new(scalar.clone()));
            assert_eq!(SqlType::of_field(&array.field("c", true)), array, "{scalar}[]");
        }
    }

    #[test]
    fn a_record_keeps_the_types_of_its_fields() {
        let inner = SqlType::Record(vec![SqlType::Numeric { precision: 12, scale: 2 }, SqlType::Unknown]);
        let record = SqlType::Record(vec![SqlType::Int4, inner, SqlType::Array(Box::new(SqlType::Varchar(Some(3))))]);
        assert_eq!(record.tag(), "record(int4,record(numeric(12,2),unknown),varchar(3)[])");
        assert_eq!(SqlType::from_tag(&record.tag()), Some(record.clone()));
        let array = SqlType::Array(Box::new(record.clone()));
        assert_eq!(SqlType::of_field(&array.field("c", true)), array);
        assert_eq!((record.oid(), array.oid()), (2249, 2287));
    }

    #[test]
    fn modifiers_are_encoded_as_postgresql_does() {
        assert_eq!(SqlType::Numeric { precision: 12, scale: 2 }.typmod(), 786_438);
        assert_eq!(SqlType::Varchar(Some(10)).typmod(), 14);
        assert_eq!(SqlType::Int4.typmod(), -1);
    }
}
