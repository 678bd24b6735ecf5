//! Functions that look objects up by OID or name: the ones that clients' catalog queries are made of.

use super::describe;
use crate::catalog::securable::ObjectId;
use crate::error::Result;
use crate::functions::builtin;
use crate::functions::context::FunctionContext;
use crate::functions::define::{Call, Declaration, immutable, stable};
use crate::functions::names;
use crate::types::RegKind;
use crate::types::datum::Datum;

/// The functions of this file.
pub(crate) fn declarations() -> Vec<Declaration> {
    let mut all = object_identifiers();
    all.extend(visibility());
    all.extend(comments());
    all.extend(types());
    all.extend(placeholders());
    all
}

/// Input, output and lookup functions of the `reg*` types.
fn object_identifiers() -> Vec<Declaration> {
    macro_rules! reg {
        ($($kind:ident, $input:literal, $output:literal, $lookup:literal;)*) => {
            vec![$(
                stable($input, |call| Ok(Datum::from(names::require_object(call.context()?, RegKind::$kind, call.text(0)?)?))),
                stable($output, |call| Ok(Datum::from(names::display_object(call.context()?, RegKind::$kind, call.oid(0)?)))),
                stable($lookup, lookup::<{ RegKind::$kind as u8 }>),
            )*]
        };
    }
    let mut all = reg! {
        Class, "regclassin(text) -> regclass", "regclassout(oid) -> text", "to_regclass(text) -> regclass";
        Type, "regtypein(text) -> regtype", "regtypeout(oid) -> text", "to_regtype(text) -> regtype";
        Proc, "regprocin(text) -> regproc", "regprocout(oid) -> text", "to_regproc(text) -> regproc";
        Procedure, "regprocedurein(text) -> regprocedure", "regprocedureout(oid) -> text", "to_regprocedure(text) -> regprocedure";
        Oper, "regoperin(text) -> regoper", "regoperout(oid) -> text", "to_regoper(text) -> regoper";
        Operator, "regoperatorin(text) -> regoperator", "regoperatorout(oid) -> text", "to_regoperator(text) -> regoperator";
        Namespace, "regnamespacein(text) -> regnamespace", "regnamespaceout(oid) -> text", "to_regnamespace(text) -> regnamespace";
        Role, "regrolein(text) -> regrole", "regroleout(oid) -> text", "to_regrole(text) -> regrole";
    };
    all.push(stable("pg_get_userbyid(oid) -> name", |call| Ok(Datum::from(names::role_name(call.context()?, call.oid(0)?)))));
    all
}

/// `to_reg*`: NULL instead of an error.
fn lookup<const KIND: u8>(call: &Call<'_>) -> Result<Datum> {
    let Some(kind) = RegKind::ALL.into_iter().find(|kind| *kind as u8 == KIND) else { return Ok(Datum::Null) };
    Ok(Datum::from(names::find_object(call.context()?, kind, call.text(0)?).unwrap_or(None)))
}

fn visibility() -> Vec<Declaration> {
    let builtin_visible = |signature| stable(signature, |_| Ok(Datum::Bool(true)));
    vec![
        stable("pg_table_is_visible(oid) -> bool", |call| {
            Ok(Datum::from(names::relation_is_visible(call.context()?, call.oid(0)?)))
        }),
        stable("pg_function_is_visible(oid) -> bool", |call| {
            Ok(Datum::from(names::function_is_visible(call.context()?, call.oid(0)?)))
        }),
        stable("pg_type_is_visible(oid) -> bool", |call| Ok(Datum::from(builtin::type_by_oid(call.oid(0)?).map(|_| true)))),
        // All objects of these kinds lie in pg_catalog, which every search path leads to.
        builtin_visible("pg_operator_is_visible(oid) -> bool"),
        builtin_visible("pg_opclass_is_visible(oid) -> bool"),
        builtin_visible("pg_opfamily_is_visible(oid) -> bool"),
        builtin_visible("pg_collation_is_visible(oid) -> bool"),
        builtin_visible("pg_conversion_is_visible(oid) -> bool"),
        builtin_visible("pg_statistics_obj_is_visible(oid) -> bool"),
        builtin_visible("pg_ts_config_is_visible(oid) -> bool"),
        builtin_visible("pg_ts_dict_is_visible(oid) -> bool"),
        builtin_visible("pg_ts_parser_is_visible(oid) -> bool"),
        builtin_visible("pg_ts_template_is_visible(oid) -> bool"),
    ]
}

fn comments() -> Vec<Declaration> {
    vec![
        stable("obj_description(oid) -> text", |call| Ok(object_comment(call.context()?, call.oid(0)?, None))),
        stable("obj_description(oid, name) -> text", |call| Ok(object_comment(call.context()?, call.oid(0)?, Some(call.text(1)?)))),
        stable("shobj_description(oid, name) -> text", |call| {
            Ok(object_comment(call.context()?, call.oid(0)?, Some(call.text(1)?)))
        }),
        stable("col_description(oid, int4) -> text", |call| {
            let context = call.context()?;
            let relation = visible_relation(context, call.oid(0)?);
            let number = call.int(1)?;
            let column = relation.and_then(|relation| relation.columns.iter().find(|column| i64::from(column.number) == number));
            Ok(Datum::text(column.and_then(|column| column.comment.as_deref())))
        }),
    ]
}

/// The relation with this OID, if the principal may see it.
pub(super) fn visible_relation(context: &FunctionContext, oid: u32) -> Option<&crate::catalog::securable::Relation> {
    let relation = context.snapshot.relation_by_id(ObjectId(oid))?;
    context.snapshot.visible(context.principal, relation.id).then_some(relation)
}

/// Comment on an object of the given system relation (`pg_class`, `pg_namespace`, ..), or of any.
fn object_comment(context: &FunctionContext, oid: u32, catalog: Option<&str>) -> Datum {
    let id = ObjectId(oid);
    let snapshot = &context.snapshot;
    if !snapshot.visible(context.principal, id) {
        return Datum::Null;
    }
    let of = |name: &str| catalog.is_none_or(|catalog| catalog == name);
    let comment = None
        .or_else(|| snapshot.relation_by_id(id).filter(|_| of("pg_class")).map(|relation| relation.comment.clone()))
        .or_else(|| snapshot.schema_by_id(id).filter(|_| of("pg_namespace")).map(|schema| schema.comment.clone()))
        .or_else(|| snapshot.function_by_id(id).filter(|_| of("pg_proc")).map(|function| function.comment.clone()))
        .or_else(|| snapshot.catalog_by_id(id).filter(|_| of("pg_database")).map(|catalog| catalog.comment.clone()))
        .or_else(|| {
            snapshot.principal_by_id(id).filter(|_| of("pg_authid") || of("pg_roles")).map(|principal| principal.comment.clone())
        });
    Datum::text(comment.flatten())
}

fn types() -> Vec<Declaration> {
    vec![
        stable("format_type(oid, int4) -> text", |call| {
            let oid = match call.get(0) {
                Datum::Int(oid) => u32::try_from(*oid).unwrap_or(0),
                _ => return Ok(Datum::Null),
            };
            if oid == 0 {
                return Ok(Datum::from("-"));
            }
            let typmod = call.get(1).as_int().and_then(|typmod| i32::try_from(typmod).ok());
            Ok(Datum::from(names::display_type(call.context()?, oid, typmod).unwrap_or_else(|| "???".to_string())))
        })
        .called_on_null(),
        stable("pg_typeof(any) -> regtype", |call| Ok(Datum::from(call.types.first().map_or(0, crate::types::SqlType::oid))))
            .called_on_null(),
        stable("oidvectortypes(oidvector) -> text", |call| {
            let oids = call.list(0)?.iter().filter_map(|oid| oid.as_int().and_then(|oid| u32::try_from(oid).ok()));
            let context = call.context()?;
            let words: Vec<String> =
                oids.map(|oid| names::display_type(context, oid, None).unwrap_or_else(|| "???".to_string())).collect();
            Ok(Datum::from(words.join(", ")))
        }),
        immutable("_pg_char_max_length(oid, int4) -> int4", |call| {
            Ok(describe::character_length(call.oid(0)?, call.int(1)?).into())
        }),
        immutable("_pg_char_octet_length(oid, int4) -> int4", |call| Ok(describe::octet_length(call.oid(0)?, call.int(1)?).into())),
        immutable("_pg_numeric_precision(oid, int4) -> int4", |call| {
            Ok(describe::numeric_precision(call.oid(0)?, call.int(1)?).into())
        }),
        immutable("_pg_numeric_precision_radix(oid, int4) -> int4", |call| Ok(describe::numeric_radix(call.oid(0)?).into())),
        immutable("_pg_numeric_scale(oid, int4) -> int4", |call| Ok(describe::numeric_scale(call.oid(0)?, call.int(1)?).into())),
        immutable("_pg_datetime_precision(oid, int4) -> int4", |call| {
            Ok(describe::datetime_precision(call.oid(0)?, call.int(1)?).into())
        }),
        immutable("_pg_interval_type(oid, int4) -> text", |_| Ok(Datum::Null)),
        // Composite arguments (a row of pg_attribute, a row of pg_type): there are no domains, so the column's own type is the true one.
        immutable("_pg_truetypid(any, any) -> oid", |call| Ok(field(call.get(0), "atttypid"))),
        immutable("_pg_truetypmod(any, any) -> int4", |call| Ok(field(call.get(0), "atttypmod"))),
    ]
}

fn field(row: &Datum, name: &str) -> Datum {
    match row {
        Datum::Row(fields) => fields.iter().find(|(field, _)| field == name).map_or(Datum::Null, |(_, value)| value.clone()),
        _ => Datum::Null,
    }
}

/// Functions about things that the warehouse does not have; true of every object it does have.
fn placeholders() -> Vec<Declaration> {
    let null = |signature| stable(signature, |_| Ok(Datum::Null));
    let no = |signature| stable(signature, |_| Ok(Datum::Bool(false)));
    let none = |signature| stable(signature, |_| Ok(Datum::List(vec![])));
    vec![
        null("pg_get_serial_sequence(text, text) -> text"),
        null("pg_tablespace_location(oid) -> text"),
        null("pg_get_triggerdef(oid) -> text"),
        null("pg_get_triggerdef(oid, bool) -> text"),
        null("pg_get_partkeydef(oid) -> text"),
        null("pg_get_partition_constraintdef(oid) -> text"),
        null("pg_get_statisticsobjdef(oid) -> text"),
        null("pg_get_statisticsobjdef_columns(oid) -> text"),
        null("pg_get_statisticsobjdef_expressions(oid) -> text[]"),
        null("pg_get_replica_identity_index(regclass) -> regclass"),
        null("pg_index_column_has_property(regclass, int4, text) -> bool"),
        null("pg_index_has_property(regclass, text) -> bool"),
        null("pg_indexam_has_property(oid, text) -> bool"),
        null("pg_collation_actual_version(oid) -> text"),
        null("pg_database_collation_actual_version(oid) -> text"),
        null("pg_relation_filenode(regclass) -> oid"),
        null("pg_relation_filepath(regclass) -> text"),
        null("pg_describe_object(oid, oid, int4) -> text"),
        null("currval(regclass) -> int8"),
        null("lastval() -> int8"),
        no("pg_relation_is_publishable(regclass) -> bool"),
        no("row_security_active(object) -> bool"),
        no("pg_relation_has_publication(regclass) -> bool"),
        none("pg_partition_ancestors(regclass) -> setof regclass"),
        none("pg_partition_tree(regclass) -> setof (relid regclass, parentrelid regclass, isleaf bool, level int4)"),
        none("pg_options_to_table(text[]) -> setof (option_name text, option_value text)"),
        none("pg_listening_channels() -> setof text"),
        none("pg_get_publication_tables(text) -> setof (pubid oid, relid oid, attrs int2vector, qual pg_node_tree)"),
        none("pg_lock_status() -> setof (locktype text, pid int4)"),
        stable("pg_relation_is_updatable(regclass, bool) -> int4", |call| {
            let context = call.context()?;
            let table = visible_relation(context, call.oid(0)?).is_some_and(|relation| relation.table().is_some());
            // Only INSERT (bit 3) is possible.
            Ok(Datum::Int(if table { 8 } else { 0 }))
        }),
        no("pg_column_is_updatable(regclass, int2, bool) -> bool"),
        stable("pg_stat_get_numscans(oid) -> int8", |_| Ok(Datum::Int(0))),
        stable("pg_stat_get_last_vacuum_time(oid) -> timestamptz", |_| Ok(Datum::Null)),
        stable("pg_stat_get_last_analyze_time(oid) -> timestamptz", |_| Ok(Datum::Null)),
        stable("pg_stat_get_live_tuples(oid) -> int8", |_| Ok(Datum::Int(0))),
        stable("pg_stat_get_dead_tuples(oid) -> int8", |_| Ok(Datum::Int(0))),
    ]
}
