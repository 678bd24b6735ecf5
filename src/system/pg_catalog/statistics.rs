//! Statistics views, as far as there is something to say. Row counts are not told: they would tell about rows that a policy hides.

use crate::error::Result;
use crate::functions::builtin;
use crate::system::context::SystemContext;
use crate::system::rows::Rows;
use crate::system::{Source, visible};

pub(super) const SOURCES: &[(&str, Source)] = &[
    ("pg_stat_all_tables", all_tables),
    ("pg_stat_user_tables", user_tables),
    ("pg_stat_sys_tables", system_tables),
    ("pg_stat_database", databases),
];

fn table(rows: &mut Rows, oid: u32, schema: &str, name: &str) {
    let counters = ["seq_scan", "seq_tup_read", "n_tup_ins", "n_tup_upd", "n_tup_del", "n_tup_hot_upd", "n_live_tup", "n_dead_tup"];
    let counters = counters.into_iter().chain([
        "n_mod_since_analyze",
        "n_ins_since_vacuum",
        "vacuum_count",
        "autovacuum_count",
        "analyze_count",
        "autoanalyze_count",
    ]);
    let mut row = rows.row().set("relid", oid).set("schemaname", schema).set("relname", name);
    for counter in counters {
        row = row.set(counter, 0_i64);
    }
}

fn user_tables(context: &SystemContext, rows: &mut Rows) -> Result<()> {
    for (schema, relation) in visible::relations(context).filter(|(_, relation)| relation.table().is_some()) {
        table(rows, relation.id.0, &schema.name, &relation.name);
    }
    Ok(())
}

fn system_tables(_context: &SystemContext, rows: &mut Rows) -> Result<()> {
    for relation in builtin::relations().iter().filter(|relation| relation.kind == 'r') {
        table(rows, relation.oid, relation.schema_name, relation.name);
    }
    Ok(())
}

fn all_tables(context: &SystemContext, rows: &mut Rows) -> Result<()> {
    system_tables(context, rows)?;
    user_tables(context, rows)
}

fn databases(context: &SystemContext, rows: &mut Rows) -> Result<()> {
    for catalog in visible::catalogs(context) {
        let sessions = context.live().activity.iter().filter(|session| session.catalog == catalog.id).count();
        rows.row()
            .set("datid", catalog.id.0)
            .set("datname", &catalog.name)
            .set("numbackends", i32::try_from(sessions).unwrap_or(i32::MAX));
    }
    Ok(())
}
