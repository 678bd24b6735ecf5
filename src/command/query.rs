//! Queries inside commands, on the same way as a SELECT: resolve, bind, pass the gate, plan, run.

use std::sync::Arc;

use datafusion::sql::sqlparser::ast;

use super::{CommandContext, columns};
use crate::engine::{Engine, ResultStream};
use crate::error::Result;
use crate::governance::{self, GovernedQuery, Purpose};
use crate::sql::{self, BoundQuery};
use crate::types::SqlType;

/// Names and types; not yet authorised.
pub(super) async fn bind(query: &ast::Query, types: &[Option<SqlType>], context: &CommandContext) -> Result<BoundQuery> {
    bind_to(query, types, &[], context).await
}

/// As [`bind`], with the output assigned to columns of these names and types.
pub(super) async fn bind_to(
    query: &ast::Query,
    types: &[Option<SqlType>],
    targets: &[(String, SqlType)],
    context: &CommandContext,
) -> Result<BoundQuery> {
    let scope = &context.scope;
    let resolved = Engine::cancellable(&context.cancel, sql::resolve(query, scope, &context.lake)).await?;
    columns::learn_read(&resolved, context.metastore.metastore(), &context.lake).await;
    let (query, scope, types, targets) = (query.clone(), scope.clone(), types.to_vec(), targets.to_vec());
    let bind = move || sql::bind_to(&query, &resolved, &scope, &types, &targets);
    context.engine.on_planner(bind).await?
}

/// The gate: refuses what the caller may not read.
pub(super) async fn govern(bound: BoundQuery, context: &CommandContext) -> Result<GovernedQuery> {
    let (caller, system) = (context.caller(), Arc::clone(&context.scope.system));
    context.engine.on_planner(move || governance::govern(bound, caller, &system, Purpose::Run)).await?
}

/// Runs a governed query with the statement's parameters.
pub(super) async fn run(governed: GovernedQuery, context: &CommandContext) -> Result<ResultStream> {
    let planned = context.engine.plan(governed, &context.settings, &context.parameters);
    let physical = Engine::cancellable(&context.cancel, planned).await?;
    context.engine.run(physical, &context.cancel).await
}

/// Parses text of our own making, or text that was stored after it had been parsed.
pub(super) fn parse(text: &str) -> Result<ast::Query> {
    sql::stored::parse_query(text)
}
