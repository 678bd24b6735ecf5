//! Schemas, catalogs (PostgreSQL's databases) and where they lie.

use crate::error::Result;
use crate::functions::builtin::{INFORMATION_SCHEMA, PG_CATALOG, SYSTEM_ROLE, SYSTEM_ROLE_NAME};
use crate::functions::postgres::privileges::access_list;
use crate::system::context::SystemContext;
use crate::system::rows::Rows;
use crate::system::{Source, visible};
use crate::types::datum::Datum;

pub(super) const SOURCES: &[(&str, Source)] = &[
    ("pg_namespace", namespaces),
    ("pg_database", databases),
    ("pg_tablespace", tablespaces),
    ("pg_timezone_names", zones),
    ("pg_timezone_abbrevs", abbreviations),
];

/// `=U/owner`: everybody may use the system schemas.
pub(super) fn for_everybody(letters: &str) -> Datum {
    Datum::List(vec![Datum::Text(format!("={letters}/{SYSTEM_ROLE_NAME}"))])
}

fn namespaces(context: &SystemContext, rows: &mut Rows) -> Result<()> {
    for (oid, name) in [(PG_CATALOG, "pg_catalog"), (INFORMATION_SCHEMA, "information_schema")] {
        rows.row().set("oid", oid).set("nspname", name).set("nspowner", SYSTEM_ROLE).set("nspacl", for_everybody("U"));
    }
    for schema in visible::schemas(context) {
        rows.row()
            .set("oid", schema.id.0)
            .set("nspname", &schema.name)
            .set("nspowner", schema.owner.0)
            .set("nspacl", access_list(&context.functions, schema.id));
    }
    Ok(())
}

fn databases(context: &SystemContext, rows: &mut Rows) -> Result<()> {
    for catalog in visible::catalogs(context) {
        rows.row()
            .set("oid", catalog.id.0)
            .set("datname", &catalog.name)
            .set("datdba", catalog.owner.0)
            .set("encoding", 6_i32)
            .set("datlocprovider", "c")
            .set("datallowconn", true)
            .set("datconnlimit", -1_i32)
            .set("dattablespace", 1663_u32)
            .set("datcollate", "C.UTF-8")
            .set("datctype", "C.UTF-8")
            .set("datacl", access_list(&context.functions, catalog.id));
    }
    Ok(())
}

fn tablespaces(_context: &SystemContext, rows: &mut Rows) -> Result<()> {
    rows.row().set("oid", 1663_u32).set("spcname", "pg_default").set("spcowner", SYSTEM_ROLE);
    rows.row().set("oid", 1664_u32).set("spcname", "pg_global").set("spcowner", SYSTEM_ROLE);
    Ok(())
}

fn zones(context: &SystemContext, rows: &mut Rows) -> Result<()> {
    for zone in crate::functions::postgres::zone_rows(context.functions.statement_time) {
        if let Datum::Row(fields) = zone {
            rows.push(fields.into_iter().map(|(_, value)| value).collect());
        }
    }
    Ok(())
}

/// The abbreviations that mean one thing all over the world.
fn abbreviations(_context: &SystemContext, rows: &mut Rows) -> Result<()> {
    let hours = [
        ("UTC", 0, false),
        ("GMT", 0, false),
        ("Z", 0, false),
        ("CET", 1, false),
        ("CEST", 2, true),
        ("EET", 2, false),
        ("EEST", 3, true),
        ("MSK", 3, false),
        ("JST", 9, false),
        ("EST", -5, false),
        ("EDT", -4, true),
        ("CST", -6, false),
        ("CDT", -5, true),
        ("MST", -7, false),
        ("MDT", -6, true),
        ("PST", -8, false),
        ("PDT", -7, true),
    ];
    for (name, offset, summer) in hours {
        let offset = datafusion::arrow::datatypes::IntervalMonthDayNano::new(0, 0, offset * 3_600_000_000_000);
        rows.push(vec![name.into(), Datum::Interval(offset), summer.into()]);
    }
    Ok(())
}
