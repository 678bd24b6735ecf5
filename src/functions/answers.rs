//! What functions answer, as clients ask them.

use datafusion::common::ScalarValue;

use super::world::world;
use crate::error::ErrorKind;

fn text(value: &str) -> ScalarValue {
    ScalarValue::Utf8(Some(value.to_string()))
}

fn int(value: i64) -> ScalarValue {
    ScalarValue::Int64(Some(value))
}

fn oid(id: crate::catalog::securable::ObjectId) -> ScalarValue {
    ScalarValue::UInt32(Some(id.0))
}

#[test]
fn types_are_formatted() {
    let world = world();
    for (type_oid, typmod, expected) in [
        (23, -1, "integer"),
        (1043, 14, "character varying(10)"),
        (1700, 786_438, "numeric(12,2)"),
        (1009, -1, "text[]"),
        (1184, -1, "timestamp with time zone"),
        (0, -1, "-"),
        (99_999, -1, "???"),
    ] {
        assert_eq!(world.text(world.alice, "format_type", &[int(type_oid), int(typmod)]), expected);
    }
    assert_eq!(world.text(world.alice, "format_type", &[int(1042), ScalarValue::Int32(None)]), "character");
}

#[test]
fn object_names_resolve_as_the_principal_sees_them() {
    let world = world();
    let orders = world.orders.0.to_string();
    assert_eq!(world.text(world.alice, "regclassin", &[text("orders")]), orders);
    assert_eq!(world.text(world.alice, "regclassin", &[text("public.\"orders\"")]), orders);
    assert_eq!(world.text(world.alice, "regclassin", &[text("pg_class")]), "1259");
    assert_eq!(world.text(world.alice, "to_regclass", &[text("no_such")]), "NULL");
    assert_eq!(world.text(world.alice, "regclassout", &[oid(world.orders)]), "orders");
    assert_eq!(world.text(world.alice, "regtypeout", &[int(1009)]), "text[]");
    let missing = world.call(world.alice, "regclassin", &[text("vault_secret.secret_table")]).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::UndefinedRelation);
    assert_eq!(world.text(world.admin, "regclassin", &[text("vault_secret.secret_table")]), world.secret.0.to_string());
    // A number is not resolved, and what may not be seen stays a number.
    assert_eq!(world.text(world.alice, "regclassout", &[oid(world.secret)]), world.secret.0.to_string());
}

#[test]
fn privileges_are_the_warehouses_own() {
    let world = world();
    let may = |principal, function: &str, object: &str, privilege: &str| {
        world.text(principal, function, &[text(object), text(privilege)])
    };
    assert_eq!(may(world.alice, "has_table_privilege", "orders", "SELECT"), "t");
    assert_eq!(may(world.alice, "has_table_privilege", "orders", "INSERT"), "f");
    assert_eq!(may(world.alice, "has_table_privilege", "orders", "insert, select"), "t");
    assert_eq!(may(world.alice, "has_schema_privilege", "public", "USAGE"), "t");
    assert_eq!(may(world.alice, "has_schema_privilege", "public", "CREATE"), "f");
    assert_eq!(may(world.alice, "has_database_privilege", "main", "CONNECT"), "t");
    assert_eq!(may(world.alice, "has_table_privilege", "pg_class", "SELECT"), "t");
    assert_eq!(world.text(world.alice, "has_table_privilege", &[oid(world.secret), text("SELECT")]), "NULL");
    assert_eq!(world.text(world.admin, "has_table_privilege", &[text("alice"), oid(world.orders), text("SELECT")]), "t");
    assert_eq!(
        world.call(world.alice, "has_table_privilege", &[text("orders"), text("FLY")]).unwrap_err().kind(),
        ErrorKind::InvalidParameter
    );
    assert_eq!(may(world.alice, "pg_has_role", "Data Analysts", "MEMBER"), "t");
    assert_eq!(world.text(world.alice, "is_account_group_member", &[text("Data Analysts")]), "t");
    assert_eq!(world.text(world.alice, "is_account_group_member", &[text("nobody")]), "f");
}

#[test]
fn visibility_follows_the_search_path() {
    let world = world();
    assert_eq!(world.text(world.alice, "pg_table_is_visible", &[oid(world.orders)]), "t");
    assert_eq!(world.text(world.admin, "pg_table_is_visible", &[oid(world.secret)]), "f");
    assert_eq!(world.text(world.alice, "pg_table_is_visible", &[oid(world.secret)]), "NULL");
    assert_eq!(world.text(world.alice, "current_schemas", &[ScalarValue::Boolean(Some(true))]), "{pg_catalog,public}");
    assert_eq!(world.text(world.alice, "current_schema", &[]), "public");
}

#[test]
fn definitions_are_shown_to_owners_only() {
    let world = world();
    assert_eq!(world.text(world.admin, "pg_get_viewdef", &[oid(world.view)]), " SELECT id FROM main.public.orders;");
    assert_eq!(world.text(world.alice, "pg_get_viewdef", &[oid(world.view)]), "NULL");
    assert_eq!(world.text(world.alice, "obj_description", &[oid(world.orders), text("pg_class")]), "all orders");
    assert_eq!(world.text(world.alice, "obj_description", &[oid(world.secret), text("pg_class")]), "NULL");
    assert_eq!(world.text(world.alice, "col_description", &[oid(world.orders), int(1)]), "the key");
    assert_eq!(world.text(world.alice, "pg_get_userbyid", &[oid(world.analysts)]), "Data Analysts");
}

#[test]
fn the_session_describes_itself() {
    let world = world();
    assert_eq!(world.text(world.alice, "current_user", &[]), "alice");
    assert_eq!(world.text(world.alice, "current_database", &[]), "main");
    assert!(world.text(world.alice, "version", &[]).starts_with("PostgreSQL 17.0 (Lakehold "));
    assert_eq!(world.text(world.alice, "now", &[]), "2024-03-05 14:07:09+00");
    assert_eq!(world.text(world.alice, "current_setting", &[text("TimeZone")]), "UTC");
    assert_eq!(world.call(world.alice, "current_setting", &[text("nothing")]).unwrap_err().kind(), ErrorKind::UndefinedObject);
    assert_eq!(world.text(world.alice, "current_setting", &[text("nothing"), ScalarValue::Boolean(Some(true))]), "NULL");
    // Nothing runs here, so there is no session to change.
    assert_eq!(
        world.call(world.alice, "set_config", &[text("jit"), text("on"), ScalarValue::Boolean(Some(false))]).unwrap_err().kind(),
        ErrorKind::ObjectNotInPrerequisiteState
    );
}

#[test]
fn times_are_taken_apart_in_the_sessions_zone() {
    let world = world();
    // 2024-03-05 23:30 UTC is the 6th in Berlin.
    let instant = ScalarValue::TimestampMicrosecond(Some(1_709_681_400_000_000), Some("UTC".into()));
    assert_eq!(world.text(world.alice, "date_part", &[text("day"), instant.clone()]), "6");
    assert_eq!(world.text(world.alice, "extract", &[text("hour"), instant.clone()]), "0");
    assert_eq!(world.text(world.alice, "extract", &[text("epoch"), instant.clone()]), "1709681400.000000");
    assert_eq!(world.text(world.alice, "date_trunc", &[text("day"), instant.clone()]), "2024-03-05 23:00:00+00");
    assert_eq!(world.text(world.alice, "to_char", &[instant.clone(), text("YYYY-MM-DD HH24:MI TZ")]), "2024-03-06 00:30 CET");
    assert_eq!(world.text(world.alice, "date", &[instant]), "2024-03-06");
    let local = ScalarValue::TimestampMicrosecond(Some(1_709_681_400_000_000), None);
    assert_eq!(world.text(world.alice, "date_part", &[text("day"), local]), "5");
    assert_eq!(
        world.text(world.alice, "to_timestamp", &[text("2024-03-06 00:30"), text("YYYY-MM-DD HH24:MI")]),
        "2024-03-05 23:30:00+00"
    );
}

#[test]
fn a_call_that_fits_nothing_says_so_as_postgresql_does() {
    let world = world();
    let error = world.call(world.alice, "quote_ident", &[int(1)]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UndefinedFunction);
    assert_eq!(error.message(), "function quote_ident(bigint) does not exist");
}

#[test]
fn sets_come_as_lists() {
    let world = world();
    assert_eq!(world.text(world.alice, "generate_series", &[int(1), int(3)]), "{1,2,3}");
    let list =
        ScalarValue::List(ScalarValue::new_list_nullable(&[text("a"), text("b")], &datafusion::arrow::datatypes::DataType::Utf8));
    assert_eq!(world.text(world.alice, "generate_subscripts", &[list.clone(), int(1)]), "{1,2}");
    assert_eq!(world.text(world.alice, "array_upper", &[list.clone(), int(1)]), "2");
    assert_eq!(world.text(world.alice, "_pg_expandarray", &[list]), "{\"(a,1)\",\"(b,2)\"}");
    let acl =
        ScalarValue::List(ScalarValue::new_list_nullable(&[text("alice=r*/admin")], &datafusion::arrow::datatypes::DataType::Utf8));
    assert_eq!(world.text(world.alice, "aclexplode", &[acl]), format!("{{\"({},{},SELECT,t)\"}}", world.admin.0, world.alice.0));
}

#[test]
fn json_is_built_in_order() {
    let world = world();
    assert_eq!(
        world.text(world.alice, "json_build_object", &[text("b"), int(1), text("a"), ScalarValue::Utf8(None)]),
        r#"{"b" : 1, "a" : null}"#
    );
    assert_eq!(world.text(world.alice, "json_extract_path_text", &[text(r#"{"a":{"b":"x"}}"#), text("a"), text("b")]), "x");
}
