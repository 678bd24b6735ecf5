//! Row filters and column masks.
//!
//! A policy is checked when it is set: its function exists, the caller may call it, its types are exactly those of the columns (an
//! implicit cast could open a filter), and neither it nor anything that it calls or reads depends on what
//! its caller could choose, by what functions and relations are and not by their names. What fails later fails closed. Each of these
//! statements looks at the newest version of the table first: its columns are those that it is about (`columns`).

use datafusion::sql::sqlparser::ast;

use super::columns::Newest;
use super::{CommandContext, CommandOutcome, groups, query};
use crate::catalog::CatalogSnapshot;
use crate::catalog::privilege::Privilege;
use crate::catalog::securable::{ColumnMask, Function, ObjectId, PolicyArgument, Relation, RowFilter};
use crate::error::{Error, ErrorKind, Result};
use crate::sql;
use crate::sql::statement::{Command, Name};
use crate::types::SqlType;

pub(super) async fn set_row_filter(
    command: &Command,
    table: &Name,
    function: &Name,
    columns: &[String],
    context: &CommandContext,
) -> Result<CommandOutcome> {
    context.authorize(command)?;
    check_fit(function, context).await?;
    let newest = Newest::of(context.names().relation(table)?, context).await;
    context
        .metastore
        .write(|change| {
            context.authorize_in(command, change.snapshot())?;
            let id = context.names_in(change.snapshot()).relation(table)?.id;
            newest.learn(id, change)?;
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
    context.authorize(command)?;
    let newest = Newest::of(context.names().relation(table)?, context).await;
    context
        .metastore
        .write(|change| {
            context.authorize_in(command, change.snapshot())?;
            let relation = context.names_in(change.snapshot()).relation(table)?;
            check_is_table(relation)?;
            let table = relation.id;
            newest.learn(table, change)?;
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
    check_fit(function, context).await?;
    let newest = Newest::of(context.names().relation(table)?, context).await;
    context
        .metastore
        .write(|change| {
            context.authorize_in(command, change.snapshot())?;
            let id = context.names_in(change.snapshot()).relation(table)?.id;
            newest.learn(id, change)?;
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
    context.authorize(command)?;
    let newest = Newest::of(context.names().relation(table)?, context).await;
    context
        .metastore
        .write(|change| {
            context.authorize_in(command, change.snapshot())?;
            let relation = context.names_in(change.snapshot()).relation(table)?;
            check_is_table(relation)?;
            let table = relation.id;
            newest.learn_for_certain(table, change)?;
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

/// Refuses a function whose result the session that it restricts could steer, or that differs from call to call: itself, and everything that it calls
/// and reads. The binder refuses the same when the policy is applied.
///
/// The function is bound in the pinned snapshot; one that is replaced in the meantime makes its tables unreadable.
pub(super) async fn check_fit(name: &Name, context: &CommandContext) -> Result<()> {
    let function = context.names().function(name)?;
    check_executable(function, context.snapshot(), context)?;
    let call = query::parse(&call_of(function, context.snapshot())?)?;
    groups::check_present(&call, context.snapshot())?;
    match query::bind(&call, &[], context).await?.unfit_for_policies {
        Some(what) => Err(sql::unfit_for_policies(&what)),
        None => Ok(()),
    }
}

/// After CREATE OR REPLACE of a function or view: policies that reach it, directly or not, stay sound. `text` is its new text, `unfit` what the binder found
/// in it.
pub(super) fn check_replaced(id: ObjectId, text: &ast::Query, unfit: Option<&str>, snapshot: &CatalogSnapshot) -> Result<()> {
    if !snapshot.is_used_by_policy(id) {
        return Ok(());
    }
    if let Some(what) = unfit {
        let name = snapshot.name_of(id).unwrap_or_default();
        return Err(sql::unfit_for_policies(what).with_detail(format!("\"{name}\" is used by a policy.")));
    }
    groups::check_present(text, snapshot)
}

/// A query that calls a function once, over arguments without values.
fn call_of(function: &Function, snapshot: &CatalogSnapshot) -> Result<String> {
    let gone = || Error::internal("a function without a schema");
    let schema = snapshot.schema_by_id(function.schema).ok_or_else(gone)?;
    let catalog = snapshot.catalog_by_id(schema.catalog).ok_or_else(gone)?;
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let name = [&catalog.name, &schema.name, &function.name].map(|part| quoted(part)).join(".");
    let columns = |column: &dyn Fn(&str, &SqlType) -> String| -> String {
        function.parameters.iter().map(|(name, sql_type)| column(&quoted(name), sql_type)).collect::<Vec<_>>().join(", ")
    };
    if function.parameters.is_empty() {
        return Ok(format!("SELECT {name}()"));
    }
    let (arguments, nulls) = (
        columns(&|name, _| format!("argument.{name}")),
        columns(&|name, sql_type| format!("CAST(NULL AS {}) AS {name}", sql_type.display_name())),
    );
    Ok(format!("SELECT {name}({arguments}) FROM (SELECT {nulls}) AS argument"))
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
