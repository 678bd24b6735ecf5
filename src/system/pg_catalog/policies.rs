//! Row filters in the shape of PostgreSQL's policies, for those who may know of them.

use crate::catalog::securable::{PolicyArgument, Relation, RowFilter, Schema};
use crate::error::Result;
use crate::functions::names::quote_identifier;
use crate::functions::postgres::definition::sees_policies;
use crate::functions::postgres::quote_literal;
use crate::system::context::SystemContext;
use crate::system::rows::Rows;
use crate::system::{Source, visible};

pub(super) const SOURCES: &[(&str, Source)] = &[("pg_policy", policies), ("pg_policies", policy_views)];

/// What a row filter is called; a table has at most one.
const NAME: &str = "row filter";

fn filters(context: &SystemContext) -> impl Iterator<Item = (&Schema, &Relation, &RowFilter)> {
    visible::relations(context).filter_map(|(schema, relation)| {
        let filter = relation.table()?.row_filter.as_ref()?;
        sees_policies(&context.functions, relation).then_some((schema.as_ref(), relation.as_ref(), filter))
    })
}

/// The filter as an expression: `main.public.only_mine(region)`.
fn expression(context: &SystemContext, filter: &RowFilter) -> String {
    let columns: Vec<String> = filter.columns.iter().map(|column| quote_identifier(column)).collect();
    format!("{}({})", visible::snapshot(context).full_name(filter.function), columns.join(", "))
}

/// Further arguments of a mask, as a statement writes them.
pub(in crate::system) fn arguments_text(arguments: &[PolicyArgument]) -> String {
    let shown = arguments.iter().map(|argument| match argument {
        PolicyArgument::Column(column) => quote_identifier(column),
        PolicyArgument::Constant(text) => quote_literal(text),
    });
    shown.collect::<Vec<_>>().join(", ")
}

fn policies(context: &SystemContext, rows: &mut Rows) -> Result<()> {
    for (_, relation, filter) in filters(context) {
        rows.row()
            .set("oid", relation.id.0)
            .set("polname", NAME)
            .set("polrelid", relation.id.0)
            .set("polcmd", "r")
            .set("polpermissive", false)
            .set("polroles", vec![0_u32])
            .set("polqual", expression(context, filter));
    }
    Ok(())
}

fn policy_views(context: &SystemContext, rows: &mut Rows) -> Result<()> {
    for (schema, relation, filter) in filters(context) {
        rows.row()
            .set("schemaname", &schema.name)
            .set("tablename", &relation.name)
            .set("policyname", NAME)
            .set("permissive", "RESTRICTIVE")
            .set("roles", vec!["public"])
            .set("cmd", "SELECT")
            .set("qual", expression(context, filter));
    }
    Ok(())
}
