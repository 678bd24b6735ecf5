//! Live sessions and their locks, and what this one holds: prepared statements, cursors, settings.

use chrono::{DateTime, Utc};

use crate::error::Result;
use crate::system::context::{Activity, LockedObject, SystemContext};
use crate::system::rows::Rows;
use crate::system::{Source, visible};
use crate::types::datum::Datum;

pub(super) const SOURCES: &[(&str, Source)] = &[
    ("pg_stat_activity", sessions),
    ("pg_stat_ssl", encryption),
    ("pg_stat_gssapi", gss),
    ("pg_prepared_statements", prepared),
    ("pg_cursors", cursors),
    ("pg_locks", locks),
    ("pg_settings", settings),
];

fn moment(time: DateTime<Utc>) -> Datum {
    Datum::Timestamptz(time.timestamp_micros())
}

fn optional(time: Option<DateTime<Utc>>) -> Datum {
    time.map_or(Datum::Null, moment)
}

/// Whether the principal may read what the session runs: its own, or an administrator.
fn sees_query(context: &SystemContext, session: &Activity) -> bool {
    session.user == context.functions.principal || visible::snapshot(context).is_admin(context.functions.principal)
}

fn sessions(context: &SystemContext, rows: &mut Rows) -> Result<()> {
    for session in &context.live().activity {
        let row = rows
            .row()
            .set("datid", session.catalog.0)
            .set("datname", &session.catalog_name)
            .set("pid", session.pid)
            .set("usesysid", session.user.0)
            .set("usename", &session.user_name)
            .set("application_name", &session.application_name)
            .set("backend_type", "client backend");
        if !sees_query(context, session) {
            row.set("query", "<insufficient privilege>");
            continue;
        }
        row.set("client_addr", session.client_address.map(|address| address.to_string()))
            .set("client_port", session.client_port)
            .set("backend_start", moment(session.backend_start))
            .set("xact_start", optional(session.transaction_start))
            .set("query_start", optional(session.query_start))
            .set("state_change", optional(session.state_change))
            .set("state", &session.state)
            .set("query", &session.query);
    }
    Ok(())
}

fn encryption(context: &SystemContext, rows: &mut Rows) -> Result<()> {
    for session in &context.live().activity {
        let row = rows.row().set("pid", session.pid).set("ssl", session.tls.is_some());
        if let Some(tls) = session.tls.as_ref().filter(|_| sees_query(context, session)) {
            row.set("version", &tls.version).set("cipher", &tls.cipher).set("bits", tls.bits);
        }
    }
    Ok(())
}

fn gss(context: &SystemContext, rows: &mut Rows) -> Result<()> {
    for session in &context.live().activity {
        rows.row()
            .set("pid", session.pid)
            .set("gss_authenticated", false)
            .set("encrypted", false)
            .set("credentials_delegated", false);
    }
    Ok(())
}

fn prepared(context: &SystemContext, rows: &mut Rows) -> Result<()> {
    let types = |oids: &[u32]| Datum::List(oids.iter().map(|oid| Datum::from(*oid)).collect());
    for prepared in &context.live().prepared {
        rows.row()
            .set("name", &prepared.name)
            .set("statement", &prepared.statement)
            .set("prepare_time", moment(prepared.prepared_at))
            .set("parameter_types", types(&prepared.parameter_types))
            .set("result_types", prepared.result_types.as_deref().map_or(Datum::Null, types))
            .set("from_sql", prepared.from_sql)
            .set("generic_plans", 0_i64)
            .set("custom_plans", 0_i64);
    }
    Ok(())
}

fn cursors(context: &SystemContext, rows: &mut Rows) -> Result<()> {
    for cursor in &context.live().cursors {
        rows.row()
            .set("name", &cursor.name)
            .set("statement", &cursor.statement)
            .set("is_holdable", cursor.is_holdable)
            .set("is_binary", cursor.is_binary)
            .set("is_scrollable", cursor.is_scrollable)
            .set("creation_time", moment(cursor.created_at));
    }
    Ok(())
}

fn locks(context: &SystemContext, rows: &mut Rows) -> Result<()> {
    for lock in &context.live().locks {
        let row = rows.row();
        let row = match lock.object {
            LockedObject::Relation { catalog, relation } => {
                row.set("locktype", "relation").set("database", catalog.0).set("relation", relation.0)
            }
            LockedObject::Advisory { catalog, class, object, numbers } => row
                .set("locktype", "advisory")
                .set("database", catalog.0)
                .set("classid", class)
                .set("objid", object)
                .set("objsubid", i32::from(numbers)),
        };
        row.set("pid", lock.pid).set("mode", lock.mode).set("granted", lock.granted).set("fastpath", false);
    }
    Ok(())
}

fn settings(context: &SystemContext, rows: &mut Rows) -> Result<()> {
    for setting in &context.live().settings {
        rows.row()
            .set("name", &setting.name)
            .set("setting", &setting.setting)
            .set("unit", setting.unit)
            .set("category", setting.category)
            .set("short_desc", setting.description)
            .set("context", setting.context)
            .set("vartype", setting.value_type)
            .set("source", setting.source)
            .set("min_val", setting.minimum.clone())
            .set("max_val", setting.maximum.clone())
            .set("enumvals", setting.choices.clone())
            .set("boot_val", setting.boot_value.clone())
            .set("reset_val", setting.reset_value.clone())
            .set("pending_restart", false);
    }
    Ok(())
}
