//! Type names of both vocabularies, as the parser leaves them, to [`SqlType`].
//!
//! PostgreSQL's names and Databricks' names stand side by side: `int8` and `long`, `text` and `string`, `bytea` and `binary`. Where one
//! name means two things PostgreSQL wins, in casts and in column definitions alike: `timestamp` is without time zone (Delta's
//! `timestamp_ntz`), `timestamptz` and `timestamp_ltz` are Delta's zoned `timestamp`; `float` is `double precision`.
//!
//! Bounds that Delta sets: `numeric` has at most 38 digits in a table, `numeric` without modifiers is `numeric(38,10)`.
//! Values of `time`, `timestamp` and `interval` keep six digits: only a cast has a smaller precision. What has no counterpart
//! (`timetz`, bit strings, geometric and network types, structs and maps) is refused by name.

use std::borrow::Cow;

use datafusion::sql::sqlparser::ast::{
    ArrayElemTypeDef, CharacterLength, DataType, ExactNumberInfo, ObjectName, ObjectNamePart, TimezoneInfo,
};

use crate::error::{Error, ErrorKind, Result};
use crate::types::values::numeric::NumericLimits;
use crate::types::{RegKind, SqlType};

/// Most digits that a `numeric` may be declared with.
const MAX_PRECISION: u64 = 1000;
/// The least and the greatest scale that may be declared.
const SCALES: std::ops::RangeInclusive<i64> = -1000..=1000;
/// Most digits of a decimal of ours; a `numeric` of more has a scale for each value.
const MAX_DECIMAL: u64 = 76;
/// Most digits of a decimal of Delta Lake's.
const MAX_STORED: u64 = 38;

/// The SQL type that a parsed type name means.
///
/// # Errors
/// [`ErrorKind::UndefinedObject`] for a name that no type has, [`ErrorKind::Unsupported`] for a type of PostgreSQL or Databricks that
/// the warehouse lacks, [`ErrorKind::InvalidParameter`] for modifiers out of range.
pub fn sql_type_of(data_type: &DataType) -> Result<SqlType> {
    match data_type {
        DataType::Boolean | DataType::Bool => Ok(SqlType::Bool),
        DataType::SmallInt(None) | DataType::Int2(None) | DataType::TinyInt(None) => Ok(SqlType::Int2),
        DataType::Int(None) | DataType::Integer(None) | DataType::Int4(None) => Ok(SqlType::Int4),
        DataType::BigInt(None) | DataType::Int8(None) => Ok(SqlType::Int8),
        DataType::Real | DataType::Float4 => Ok(SqlType::Float4),
        DataType::Float(info) => float(info),
        DataType::DoublePrecision | DataType::Double(ExactNumberInfo::None) | DataType::Float8 => Ok(SqlType::Float8),
        DataType::Numeric(info) | DataType::Decimal(info) | DataType::Dec(info) => numeric(info),
        DataType::Text | DataType::String(None) => Ok(SqlType::Text),
        DataType::Varchar(length) | DataType::CharacterVarying(length) | DataType::CharVarying(length) => {
            Ok(SqlType::Varchar(character_length(length.as_ref(), "varchar")?))
        }
        DataType::Character(length) | DataType::Char(length) => {
            Ok(SqlType::Bpchar(Some(character_length(length.as_ref(), "char")?.unwrap_or(1))))
        }
        DataType::Bytea | DataType::Binary(None) => Ok(SqlType::Bytea),
        DataType::Date => Ok(SqlType::Date),
        DataType::Time(precision, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
            fractional_digits(*precision, "TIME")?;
            Ok(SqlType::Time)
        }
        DataType::Timestamp(precision, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) | DataType::TimestampNtz(precision) => {
            fractional_digits(*precision, "TIMESTAMP")?;
            Ok(SqlType::Timestamp)
        }
        DataType::Timestamp(precision, TimezoneInfo::WithTimeZone | TimezoneInfo::Tz) => {
            fractional_digits(*precision, "TIMESTAMP")?;
            Ok(SqlType::Timestamptz)
        }
        DataType::Interval { fields: _, precision } => {
            fractional_digits(*precision, "INTERVAL")?;
            Ok(SqlType::Interval)
        }
        DataType::Uuid => Ok(SqlType::Uuid),
        DataType::JSON => Ok(SqlType::Json),
        DataType::JSONB => Ok(SqlType::Jsonb),
        DataType::Regclass => Ok(SqlType::Reg(RegKind::Class)),
        DataType::Array(ArrayElemTypeDef::SquareBracket(element, _)) => array_of(sql_type_of(element)?),
        DataType::Array(ArrayElemTypeDef::AngleBracket(element)) => match sql_type_of(element)? {
            // Delta's lists of lists may be ragged; PostgreSQL's arrays may not, and `int[][]` is `int[]`.
            SqlType::Array(_) => Err(Error::unsupported("type array of arrays")),
            element => array_of(element),
        },
        DataType::Custom(name, modifiers) => named(name, modifiers),
        DataType::Time(_, _)
        | DataType::Bit(_)
        | DataType::BitVarying(_)
        | DataType::VarBit(_)
        | DataType::TsVector
        | DataType::TsQuery
        | DataType::Struct(_, _)
        | DataType::Map(_, _)
        | DataType::GeometricType(_) => Err(Error::unsupported(format!("type {}", data_type.to_string().to_lowercase()))),
        other => Err(undefined(&other.to_string().to_lowercase())),
    }
}

/// An array's elements are scalars: PostgreSQL's arrays are of one type whatever their dimensions.
fn array_of(element: SqlType) -> Result<SqlType> {
    match element {
        SqlType::Array(_) => Ok(element),
        SqlType::Void | SqlType::Unknown | SqlType::NodeTree => Err(undefined(&format!("{}[]", element.type_name()))),
        scalar => Ok(SqlType::Array(Box::new(scalar))),
    }
}

/// A type that sqlparser has no word for; the name may be qualified with `pg_catalog` or `information_schema`.
fn named(name: &ObjectName, modifiers: &[String]) -> Result<SqlType> {
    let parts: Vec<&str> = name
        .0
        .iter()
        .filter_map(|part| match part {
            ObjectNamePart::Identifier(ident) => Some(ident.value.as_str()),
            ObjectNamePart::Function(_) => None,
        })
        .collect();
    let quoted = matches!(name.0.last(), Some(ObjectNamePart::Identifier(ident)) if ident.quote_style.is_some());
    let folded: Vec<String> = name
        .0
        .iter()
        .zip(&parts)
        .map(|(part, text)| match part {
            ObjectNamePart::Identifier(ident) if ident.quote_style.is_some() => (*text).to_string(),
            _ => text.to_ascii_lowercase(),
        })
        .collect();
    let found = match folded.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["information_schema", local] => information_schema_domain(local),
        ["pg_catalog", local] => pg_type(local, modifiers, true)?,
        [local] => pg_type(local, modifiers, quoted)?,
        _ => None,
    };
    found.ok_or_else(|| undefined(&folded.join(".")))
}

/// Whether a bare word names one of the types that sqlparser has no constants of: `name 'x'`, `oid '5'`, `regtype 'int4'`.
pub(super) fn is_catalog_type_name(word: &str) -> bool {
    use SqlType as T;
    let found = pg_type(word, &[], false);
    matches!(found, Ok(Some(T::Name | T::Oid | T::Xid | T::Reg(_) | T::Int2Vector | T::OidVector | T::NodeTree | T::AclItem)))
}

/// A type by its name in `pg_type`. `exact`: the name was quoted or qualified, so that `char` is the one-byte `"char"`.
fn pg_type(name: &str, modifiers: &[String], exact: bool) -> Result<Option<SqlType>> {
    if let Some(element) = name.strip_prefix('_') {
        return pg_type(element, &[], true)?.map(array_of).transpose();
    }
    let numbers = || {
        modifiers
            .iter()
            .map(|text| text.parse::<u64>())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| Error::new(ErrorKind::InvalidParameter, "type modifiers must be simple constants or identifiers"))
    };
    let length = |type_name: &str| -> Result<Option<u32>> {
        match numbers()?.as_slice() {
            [] => Ok(None),
            [length] => checked_length(*length, type_name).map(Some),
            _ => Err(Error::new(ErrorKind::InvalidParameter, "invalid type modifier")),
        }
    };
    let found = match name {
        "bool" | "boolean" => SqlType::Bool,
        "bytea" | "binary" => SqlType::Bytea,
        "char" if exact => SqlType::Char,
        "name" => SqlType::Name,
        "int8" | "bigint" | "long" => SqlType::Int8,
        "int2" | "smallint" | "tinyint" | "byte" | "short" => SqlType::Int2,
        "int4" | "int" | "integer" => SqlType::Int4,
        "text" | "string" => SqlType::Text,
        "oid" => SqlType::Oid,
        "xid" | "cid" | "xid8" => SqlType::Xid,
        "int2vector" => SqlType::Int2Vector,
        "oidvector" => SqlType::OidVector,
        "json" => SqlType::Json,
        "jsonb" => SqlType::Jsonb,
        "pg_node_tree" => SqlType::NodeTree,
        "aclitem" => SqlType::AclItem,
        "float4" | "real" => SqlType::Float4,
        "float8" | "double" => SqlType::Float8,
        "unknown" => SqlType::Unknown,
        "void" => SqlType::Void,
        "bpchar" => SqlType::Bpchar(length("bpchar")?),
        "char" | "character" => SqlType::Bpchar(Some(length("char")?.unwrap_or(1))),
        "varchar" => SqlType::Varchar(length("varchar")?),
        "date" => SqlType::Date,
        "time" => SqlType::Time,
        "timestamp" | "timestamp_ntz" => SqlType::Timestamp,
        "timestamptz" | "timestamp_ltz" => SqlType::Timestamptz,
        "interval" => SqlType::Interval,
        "uuid" => SqlType::Uuid,
        "numeric" | "decimal" => match numbers()?.as_slice() {
            [] => SqlType::UnconstrainedNumeric,
            [precision] => checked_numeric(*precision, 0)?,
            [precision, scale] => checked_numeric(*precision, i64::try_from(*scale).unwrap_or(i64::MAX))?,
            _ => return Err(Error::new(ErrorKind::InvalidParameter, "invalid NUMERIC type modifier")),
        },
        "timetz" | "money" | "bit" | "varbit" | "xml" | "inet" | "cidr" | "macaddr" | "macaddr8" | "point" | "line" | "lseg"
        | "box" | "path" | "polygon" | "circle" | "tsvector" | "tsquery" | "tid" | "hstore" | "pg_lsn" | "txid_snapshot"
        | "int4range" | "int8range" | "numrange" | "tsrange" | "tstzrange" | "daterange" | "struct" | "map" | "record"
        | "serial" | "smallserial" | "bigserial" | "serial2" | "serial4" | "serial8" | "citext" | "variant" | "regconfig"
        | "regdictionary" | "regcollation" | "geometry" | "geography" => {
            return Err(Error::unsupported(format!("type {name}")));
        }
        other => match RegKind::ALL.into_iter().find(|kind| kind.name() == other) {
            Some(kind) => SqlType::Reg(kind),
            None => return Ok(None),
        },
    };
    Ok(Some(found))
}

/// The domains of `information_schema`, by the type below them.
fn information_schema_domain(name: &str) -> Option<SqlType> {
    match name {
        "cardinal_number" => Some(SqlType::Int4),
        "character_data" => Some(SqlType::Varchar(None)),
        "sql_identifier" => Some(SqlType::Name),
        "time_stamp" => Some(SqlType::Timestamptz),
        "yes_or_no" => Some(SqlType::Varchar(Some(3))),
        _ => None,
    }
}

fn undefined(name: &str) -> Error {
    Error::new(ErrorKind::UndefinedObject, format!("type \"{name}\" does not exist"))
}

/// `float(p)`: 1 to 24 binary digits are `real`, 25 to 53 `double precision`. A bare `float` is `double precision`, as in PostgreSQL.
fn float(info: &ExactNumberInfo) -> Result<SqlType> {
    match info {
        ExactNumberInfo::None => Ok(SqlType::Float8),
        ExactNumberInfo::Precision(1..=24) => Ok(SqlType::Float4),
        ExactNumberInfo::Precision(25..=53) => Ok(SqlType::Float8),
        ExactNumberInfo::Precision(0) => {
            Err(Error::new(ErrorKind::InvalidParameter, "precision for type float must be at least 1 bit"))
        }
        ExactNumberInfo::Precision(_) => {
            Err(Error::new(ErrorKind::InvalidParameter, "precision for type float must be less than 54 bits"))
        }
        ExactNumberInfo::PrecisionAndScale(_, _) => Err(Error::new(ErrorKind::InvalidParameter, "type float takes one modifier")),
    }
}

fn numeric(info: &ExactNumberInfo) -> Result<SqlType> {
    match info {
        ExactNumberInfo::None => Ok(SqlType::UnconstrainedNumeric),
        ExactNumberInfo::Precision(precision) => checked_numeric(*precision, 0),
        ExactNumberInfo::PrecisionAndScale(precision, scale) => checked_numeric(*precision, *scale),
    }
}

fn checked_numeric(precision: u64, scale: i64) -> Result<SqlType> {
    if precision == 0 || precision > MAX_PRECISION {
        let message = format!("NUMERIC precision {precision} must be between 1 and {MAX_PRECISION}");
        return Err(Error::new(ErrorKind::InvalidParameter, message));
    }
    if !SCALES.contains(&scale) {
        let message = format!("NUMERIC scale {scale} must be between {} and {}", SCALES.start(), SCALES.end());
        return Err(Error::new(ErrorKind::InvalidParameter, message));
    }
    match (u8::try_from(precision), i8::try_from(scale)) {
        (Ok(digits), Ok(scale @ 0..)) if precision <= MAX_DECIMAL && u64::from(scale.unsigned_abs()) <= precision => {
            Ok(SqlType::Numeric { precision: digits, scale })
        }
        _ => Ok(SqlType::UnconstrainedNumeric),
    }
}

/// Precision and scale of a `numeric` with modifiers.
fn modifiers(data_type: &DataType) -> Option<(u64, i64)> {
    match data_type {
        DataType::Numeric(info) | DataType::Decimal(info) | DataType::Dec(info) => match info {
            ExactNumberInfo::None => None,
            ExactNumberInfo::Precision(precision) => Some((*precision, 0)),
            ExactNumberInfo::PrecisionAndScale(precision, scale) => Some((*precision, *scale)),
        },
        _ => None,
    }
}

/// What a cast keeps of a number, for a `numeric(p,s)` whose values have a scale each here: more digits than a decimal has, or a scale
/// that none has.
pub(super) fn wide_numeric(data_type: &DataType) -> Option<NumericLimits> {
    let (precision, scale) = modifiers(data_type)?;
    match checked_numeric(precision, scale) {
        Ok(SqlType::UnconstrainedNumeric) => {
            Some(NumericLimits { precision: u16::try_from(precision).ok()?, scale: i16::try_from(scale).ok()? })
        }
        _ => None,
    }
}

/// The type of a table's column: a `numeric` is a decimal of Delta Lake's, with the declared scale.
///
/// # Errors
/// As [`sql_type_of`], and [`ErrorKind::Unsupported`] for a scale that Delta Lake lacks.
pub(super) fn column_type_of(data_type: &DataType) -> Result<SqlType> {
    let Some((precision, scale)) = modifiers(data_type) else { return sql_type_of(data_type).map(stored) };
    let declared = checked_numeric(precision, scale)?;
    if precision <= MAX_STORED && declared != SqlType::UnconstrainedNumeric {
        return Ok(declared);
    }
    match i8::try_from(scale) {
        Ok(scale @ 0..=38) => Ok(SqlType::Numeric { precision: 38, scale }),
        _ => Err(Error::unsupported(format!("a table column of type numeric({precision},{scale})"))
            .with_hint("Delta tables hold numeric(p,s) with at most 38 digits and a scale from 0 to 38.")),
    }
}

fn stored(sql_type: SqlType) -> SqlType {
    match sql_type {
        SqlType::UnconstrainedNumeric => SqlType::STORED_NUMERIC,
        SqlType::Array(element) => SqlType::Array(Box::new(stored(*element))),
        other => other,
    }
}

fn character_length(length: Option<&CharacterLength>, type_name: &str) -> Result<Option<u32>> {
    match length {
        None => Ok(None),
        Some(CharacterLength::IntegerLength { length, unit: _ }) => checked_length(*length, type_name).map(Some),
        Some(CharacterLength::Max) => Err(Error::unsupported(format!("{type_name}(max)"))),
    }
}

fn checked_length(length: u64, type_name: &str) -> Result<u32> {
    match u32::try_from(length) {
        Ok(0) => Err(Error::new(ErrorKind::InvalidParameter, format!("length for type {type_name} must be at least 1"))),
        Ok(length) if length <= 10_485_760 => Ok(length),
        _ => Err(Error::new(ErrorKind::InvalidParameter, format!("length for type {type_name} cannot exceed 10485760"))),
    }
}

/// Digits of seconds behind the point that every value has.
pub(super) const MOST_DIGITS: u32 = 6;

/// A type name without the precision of its seconds, and that precision where values lose digits by it: a cast rounds to it.
pub(super) fn without_fraction(data_type: &DataType) -> (Cow<'_, DataType>, Option<u32>) {
    let (bare, precision) = match data_type {
        DataType::Time(precision, zone) => (DataType::Time(None, *zone), *precision),
        DataType::Timestamp(precision, zone) => (DataType::Timestamp(None, *zone), *precision),
        DataType::TimestampNtz(precision) => (DataType::TimestampNtz(None), *precision),
        DataType::Interval { fields: None, precision } => (DataType::Interval { fields: None, precision: None }, *precision),
        other => return (Cow::Borrowed(other), None),
    };
    (Cow::Owned(bare), precision.and_then(|digits| u32::try_from(digits).ok()).filter(|digits| *digits < MOST_DIGITS))
}

/// PostgreSQL reduces more than six digits to six with a warning; fewer than six are refused where values are kept, because a Delta
/// table cannot say that they are rounded.
fn fractional_digits(precision: Option<u64>, type_name: &str) -> Result<()> {
    match precision {
        None | Some(6) => Ok(()),
        Some(digits) if digits > 6 => Ok(()),
        Some(digits) => Err(Error::unsupported(format!("{type_name}({digits})"))
            .with_hint(format!("Use {type_name} without a precision; values have six fractional digits, and a cast rounds them."))),
    }
}
