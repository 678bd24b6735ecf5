//! `information_schema`: PostgreSQL's column sets, filled from the same walk as `pg_catalog`; then Databricks' own relations.

mod databricks;
mod privileges;
mod relations;
mod roles;
mod routines;
mod standard;

use crate::functions::builtin;
use crate::functions::postgres::describe;
use crate::types::SqlType;
use crate::types::datum::Datum;

use super::Source;
use super::rows::Row;

/// Who makes the rows of which relation.
pub(super) fn sources() -> Vec<(&'static str, Source)> {
    [relations::SOURCES, privileges::SOURCES, roles::SOURCES, routines::SOURCES, standard::SOURCES, databricks::SOURCES].concat()
}

/// Relations about things that the warehouse does not have: they have no rows.
#[cfg(test)]
pub(super) const EMPTY: &[&str] = &[
    // No keys, no constraints but NOT NULL.
    "key_column_usage",
    "referential_constraints",
    "constraint_column_usage",
    "constraint_table_usage",
    "check_constraint_routine_usage",
    "column_column_usage",
    // No domains, user-defined types, sequences, triggers, foreign data.
    "attributes",
    "column_domain_usage",
    "domain_constraints",
    "domain_udt_usage",
    "domains",
    "sequences",
    "triggers",
    "triggered_update_columns",
    "transforms",
    "udt_privileges",
    "user_defined_types",
    "role_udt_grants",
    "usage_privileges",
    "role_usage_grants",
    "column_options",
    "foreign_data_wrapper_options",
    "foreign_data_wrappers",
    "foreign_server_options",
    "foreign_servers",
    "foreign_table_options",
    "foreign_tables",
    "user_mapping_options",
    "user_mappings",
    "_pg_foreign_data_wrappers",
    "_pg_foreign_servers",
    "_pg_foreign_table_columns",
    "_pg_foreign_tables",
    "_pg_user_mappings",
    // A function is one expression; what it names is in pg_depend.
    "routine_column_usage",
    "routine_routine_usage",
    "routine_sequence_usage",
    "routine_table_usage",
    "view_column_usage",
    "view_routine_usage",
    // PostgreSQL's list of SQL features is not ours.
    "sql_features",
];

/// YES or NO, as information_schema writes booleans.
fn yes(value: bool) -> &'static str {
    if value { "YES" } else { "NO" }
}

/// `data_type`: the type in words, `ARRAY` for arrays.
fn data_type(sql_type: &SqlType) -> String {
    match sql_type {
        SqlType::Array(_) | SqlType::Int2Vector | SqlType::OidVector => "ARRAY".to_string(),
        SqlType::Numeric { .. } | SqlType::UnconstrainedNumeric => "numeric".to_string(),
        SqlType::Varchar(_) => "character varying".to_string(),
        SqlType::Bpchar(_) => "character".to_string(),
        other => other.display_name(),
    }
}

/// `udt_name`: `pg_type.typname`.
fn udt_name(sql_type: &SqlType) -> &'static str {
    builtin::type_by_oid(sql_type.oid()).map_or("", |row| row.name)
}

/// The columns about lengths and precisions that `columns`, `parameters` and `element_types` share.
fn type_columns<'a>(row: Row<'a>, sql_type: &SqlType, catalog: &str, modifiers: bool) -> Row<'a> {
    let (oid, typmod) = (sql_type.oid(), if modifiers { i64::from(sql_type.typmod()) } else { -1 });
    let described = !matches!(sql_type, SqlType::Array(_));
    let when = |value: Option<i32>| if described { Datum::from(value) } else { Datum::Null };
    row.set("data_type", data_type(sql_type))
        .set("character_maximum_length", when(describe::character_length(oid, typmod)))
        .set("character_octet_length", when(describe::octet_length(oid, typmod)))
        .set("numeric_precision", when(describe::numeric_precision(oid, typmod)))
        .set("numeric_precision_radix", when(describe::numeric_radix(oid)))
        .set("numeric_scale", when(describe::numeric_scale(oid, typmod)))
        .set("datetime_precision", when(describe::datetime_precision(oid, typmod)))
        .set("udt_catalog", catalog)
        .set("udt_schema", "pg_catalog")
        .set("udt_name", udt_name(sql_type))
}
