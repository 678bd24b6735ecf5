//! Row filters and column masks.
//!
//! A policy is checked when it is set: its function exists, the caller may call it, its types are exactly those of the columns (an
//! implicit cast could open a filter), and it depends on nothing that its caller could choose. What fails later fails closed.

use datafusion::sql::sqlparser::ast;

use super::{CommandContext, CommandOutcome, query, stored};
use crate::catalog::CatalogSnapshot;
use crate::catalog::privilege::Privilege;
use crate::catalog::securable::{ColumnMask, Function, ObjectId, PolicyArgument, Relation, RowFilter};
use crate::error::{Error, ErrorKind, Result};
use crate::sql;
use crate::sql::statement::{Command, Name};

/// Built-in functions whose answer the session chooses for itself: by SET, by USE, by how it connects.
const CHOSEN_BY_THE_SESSION: &[&str] = &[
    "current_setting",
    "set_config",
    "current_schema",
    "current_schemas",
    "current_catalog",
    "current_database",
    "current_query",
    "pg_backend_pid",
    "inet_client_addr",
    "inet_client_port",
    "current_date",
    "current_time",
    "localtime",
    "localtimestamp",
    "timeofday",
];

pub(super) async fn set_row_filter(
    command: &Command,
    table: &Name,
    function: &Name,
    columns: &[String],
    context: &CommandContext,
) -> Result<CommandOutcome> {
    context.authorize(command)?;
    check_constant_for_the_session(function, context).await?;
    context
        .metastore
        .write(|change| {
            context.authorize_in(command, change.snapshot())?;
            let names = context.names_in(change.snapshot());
            let (relation, function) = (names.relation(table)?, names.function(function)?);
            check_is_table(relation)?;
            check_executable(function, change.snapshot(), context)?;
            let filter = RowFilter { function: function.id, columns: columns.to_vec() };
            sql::check_row_filter(&filter, function, relation)?;
            let table = relation.id;
            change.set_row_filter(table, Some(filter))
        })
        .await?;
    Ok(CommandOutcome::done("ALTER TABLE"))
}

pub(super) async fn drop_row_filter(command: &Command, table: &Name, context: &CommandContext) -> Result<CommandOutcome> {
    context
        .metastore
        .write(|change| {
            context.authorize_in(command, change.snapshot())?;
            let relation = context.names_in(change.snapshot()).relation(table)?;
            check_is_table(relation)?;
            let table = relation.id;
            change.set_row_filter(table, None)
        })
        .await?;
    Ok(CommandOutcome::done("ALTER TABLE"))
}

pub(super) async fn set_mask(
    command: &Command,
    table: &Name,
    column: &str,
    function: &Name,
    using: &[PolicyArgument],
    context: &CommandContext,
) -> Result<CommandOutcome> {
    context.authorize(command)?;
    check_constant_for_the_session(function, context).await?;
    context
        .metastore
        .write(|change| {
            context.authorize_in(command, change.snapshot())?;
            let names = context.names_in(change.snapshot());
            let (relation, function) = (names.relation(table)?, names.function(function)?);
            let mask = checked_mask(relation, column, function, using, change.snapshot(), context)?;
            let table = relation.id;
            change.set_mask(table, column, Some(mask))
        })
        .await?;
    Ok(CommandOutcome::done("ALTER TABLE"))
}

pub(super) async fn drop_mask(command: &Command, table: &Name, column: &str, context: &CommandContext) -> Result<CommandOutcome> {
    context
        .metastore
        .write(|change| {
            context.authorize_in(command, change.snapshot())?;
            let relation = context.names_in(change.snapshot()).relation(table)?;
            check_is_table(relation)?;
            let table = relation.id;
            change.set_mask(table, column, None)
        })
        .await?;
    Ok(CommandOutcome::done("ALTER TABLE"))
}

/// A mask that may stand on a column of a table.
pub(super) fn checked_mask(
    relation: &Relation,
    column: &str,
    function: &Function,
    using: &[PolicyArgument],
    snapshot: &CatalogSnapshot,
    context: &CommandContext,
) -> Result<ColumnMask> {
    check_is_table(relation)?;
    check_executable(function, snapshot, context)?;
    let repeated = |name: &String| {
        using.iter().filter(|argument| matches!(argument, PolicyArgument::Column(other) if other == name)).count() > 1
    };
    for argument in using {
        let PolicyArgument::Column(name) = argument else { continue };
        if name == column || repeated(name) {
            return Err(Error::new(
                ErrorKind::InvalidObjectDefinition,
                format!("column \"{name}\" stands twice in the mask's arguments"),
            ));
        }
    }
    let mask = ColumnMask { function: function.id, using: using.to_vec() };
    sql::check_mask(column, &mask, function, relation)?;
    Ok(mask)
}

/// Refuses a function whose result the session that it restricts could choose, or that differs from call to call.
///
/// The body is bound by the pinned snapshot; a function that is replaced in the meantime is checked by its own CREATE OR REPLACE.
pub(super) async fn check_constant_for_the_session(name: &Name, context: &CommandContext) -> Result<()> {
    let function = context.names().function(name)?;
    let call = query::parse(&stored::call_query(function))?;
    check_calls(&call, context.snapshot())?;
    let bound = query::bind(&call, &[], context).await?;
    if bound.volatile {
        return Err(Error::new(ErrorKind::InvalidObjectDefinition, format!("function {} cannot be a policy", function.name))
            .with_detail("Its result differs from call to call."));
    }
    Ok(())
}

/// After CREATE OR REPLACE of a function or view: policies that reach it, directly or not, stay sound. `text` is its new text.
pub(super) fn check_replaced(id: ObjectId, text: &ast::Query, volatile: bool, snapshot: &CatalogSnapshot) -> Result<()> {
    if !snapshot.is_used_by_policy(id) {
        return Ok(());
    }
    if volatile {
        let name = snapshot.name_of(id).unwrap_or_default();
        return Err(Error::new(
            ErrorKind::InvalidObjectDefinition,
            format!("{name} is used by a policy, so it cannot be volatile"),
        ));
    }
    check_calls(text, snapshot)
}

/// No built-in function that the session steers, in the text or in any function or view that it reaches.
fn check_calls(call: &ast::Query, snapshot: &CatalogSnapshot) -> Result<()> {
    let mut open = vec![call.clone()];
    let mut seen = std::collections::BTreeSet::new();
    while let Some(text) = open.pop() {
        let calls = stored::builtin_calls(&text);
        if let Some(name) = CHOSEN_BY_THE_SESSION.iter().find(|name| calls.contains(**name)) {
            return Err(Error::new(ErrorKind::InvalidObjectDefinition, format!("a policy cannot call {name}"))
                .with_detail("The session that the policy restricts could choose the answer.")
                .with_hint("Use current_user, session_user, is_member or is_account_group_member."));
        }
        for used in stored::uses(&text, snapshot) {
            if !seen.insert(used) {
                continue;
            }
            if let Some(function) = snapshot.function_by_id(used) {
                open.push(query::parse(&stored::call_query(function))?);
            } else if let Some(view) = snapshot.relation_by_id(used).and_then(|relation| relation.view()) {
                open.push(query::parse(&view.query)?);
            }
        }
    }
    Ok(())
}

fn check_is_table(relation: &Relation) -> Result<()> {
    if relation.table().is_some() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::WrongObjectType, format!("\"{}\" is not a table", relation.name))
        .with_detail("Row filters and column masks are set on tables; they hold in every view of the table."))
}

fn check_executable(function: &Function, snapshot: &CatalogSnapshot, context: &CommandContext) -> Result<()> {
    let caller = context.caller();
    if snapshot.has_doubtful_text(function.id) {
        return Err(sql::stored::doubtful(function.id, snapshot, caller));
    }
    if snapshot.holds(caller, Privilege::Execute, function.id) && snapshot.reaches(caller, function.id) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Denied, format!("permission denied for function {}", function.name)))
}
