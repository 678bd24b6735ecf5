//! Functions: PostgreSQL's own that the warehouse has, and the user's.

use crate::error::Result;
use crate::functions::builtin::static_rows;
use crate::functions::postgres::definition::sees_function_text;
use crate::functions::postgres::privileges::access_list;
use crate::system::context::SystemContext;
use crate::system::rows::Rows;
use crate::system::{Source, visible};
use crate::types::datum::Datum;

pub(super) const SOURCES: &[(&str, Source)] = &[("pg_proc", procedures)];

/// OID of the language `sql`.
const LANGUAGE_SQL: u32 = 14;

fn procedures(context: &SystemContext, rows: &mut Rows) -> Result<()> {
    for row in static_rows("pg_proc") {
        rows.push_text(row)?;
    }
    for (schema, function) in visible::user_functions(context) {
        let types: Vec<u32> = function.parameters.iter().map(|(_, sql_type)| sql_type.oid()).collect();
        let names: Vec<String> = function.parameters.iter().map(|(name, _)| name.clone()).collect();
        let body = if sees_function_text(&context.functions, function) { function.body.as_str() } else { "" };
        rows.row()
            .set("oid", function.id.0)
            .set("proname", &function.name)
            .set("pronamespace", schema.id.0)
            .set("proowner", function.owner.0)
            .set("prolang", LANGUAGE_SQL)
            .set("procost", Datum::Float(100.0))
            .set("prokind", "f")
            .set("provolatile", "s")
            .set("proparallel", "s")
            .set("pronargs", i32::try_from(types.len()).unwrap_or(i32::MAX))
            .set("prorettype", function.returns.oid())
            .set("proargtypes", types)
            .set("proargnames", if names.is_empty() { Datum::Null } else { Datum::from(names) })
            .set("prosrc", body)
            .set("proacl", access_list(&context.functions, function.id));
    }
    Ok(())
}
