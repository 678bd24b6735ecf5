//! CREATE VIEW and CREATE FUNCTION: text with every name written out, bound once to learn its columns and to refuse what cannot work.
//!
//! The text is what is kept. It is bound anew in every session, so that row filters and masks are those of whoever asks; the privileges
//! on what it names are checked as the owner's. Binding at creation goes through the gate as the creator, so nobody can learn the columns
//! of a table by making a view of it. What is bound, checked and searched for uses is what the text reads as, not what came in.

use datafusion::sql::sqlparser::ast;

use super::ddl::created_or_skipped;
use super::{CommandContext, CommandOutcome, assign, parameters, policy, query, stored};
use crate::catalog::securable::{ColumnEntry, RelationKind, ViewEntry};
use crate::catalog::{NewFunction, NewRelation};
use crate::error::{Error, ErrorKind, Result};
use crate::sql::statement::Command;
use crate::sql::stored::{StoredExpression, StoredQuery, reads_differently};
use crate::sql::{self, BoundQuery};
use crate::types::SqlType;

pub(super) async fn create_view(command: &Command, context: &CommandContext) -> Result<CommandOutcome> {
    let Command::CreateView { name, or_replace, if_not_exists, columns, query, query_text, comment } = command else {
        return Err(Error::internal("no CREATE VIEW"));
    };
    context.authorize(command)?;
    let StoredQuery { text, query: stored } = stored_query(query_text, query, context).await?;
    let bound = bind_stored(&stored, query, context).await?;
    refuse_parameters(&bound)?;
    let entries = view_columns(columns, &bound)?;
    let unfit = bound.unfit_for_policies.clone();
    query::govern(bound, context).await?;

    let created = context
        .metastore
        .write(|change| {
            context.authorize_in(command, change.snapshot())?;
            let view = ViewEntry { query: text, uses: stored::lasting_uses(&stored, context.snapshot(), change.snapshot())? };
            let (schema, view_name) = context.names_in(change.snapshot()).place(name)?;
            let (schema, view_name) = (schema.id, view_name.to_string());
            let existing = change.snapshot().relation(schema, &view_name).map(|relation| relation.id);
            match existing {
                Some(_) if *if_not_exists => Ok(false),
                Some(id) if *or_replace => {
                    let existing = change.snapshot().relation_by_id(id);
                    let comment = comment.clone().or_else(|| existing.and_then(|existing| existing.comment.clone()));
                    change.replace_view(id, entries, view, comment)?;
                    policy::check_replaced(id, &stored, unfit.as_deref(), change.snapshot())?;
                    Ok(true)
                }
                _ => {
                    change.create_relation(NewRelation {
                        id: None,
                        schema,
                        name: view_name,
                        owner: context.caller(),
                        columns: entries,
                        comment: comment.clone(),
                        kind: RelationKind::View(view),
                    })?;
                    Ok(true)
                }
            }
        })
        .await?;
    let text = || format!("relation \"{}\" already exists, skipping", name.parts.last().map_or("", String::as_str));
    Ok(created_or_skipped("CREATE VIEW", created, text))
}

pub(super) async fn create_function(command: &Command, context: &CommandContext) -> Result<CommandOutcome> {
    let Command::CreateFunction { name, or_replace, if_not_exists, parameters, returns, body, body_text, comment } = command else {
        return Err(Error::internal("no CREATE FUNCTION"));
    };
    context.authorize(command)?;
    check_parameters(parameters)?;
    let function = name.parts.last().map_or("", String::as_str);
    let (body, call) = stored_body(function, body_text, body, parameters, context).await?;
    let bound = query::bind(&call, &[], context).await.map_err(Error::without_position)?;
    refuse_parameters(&bound)?;
    let actual =
        bound.columns.first().map(|field| SqlType::of_field(field)).ok_or_else(|| Error::internal("a body without a value"))?;
    check_result(&actual, returns)?;
    let unfit = bound.unfit_for_policies.clone();
    query::govern(bound, context).await?;
    let hidden = parameters::hidden(&call, parameters, context.snapshot());

    let created = context
        .metastore
        .write(|change| {
            context.authorize_in(command, change.snapshot())?;
            let (schema, function_name) = context.names_in(change.snapshot()).place(name)?;
            let new = NewFunction {
                schema: schema.id,
                name: function_name.to_string(),
                owner: context.caller(),
                parameters: parameters.clone(),
                returns: returns.clone(),
                body,
                uses: stored::lasting_uses(&call, context.snapshot(), change.snapshot())?,
                comment: comment.clone(),
            };
            let existing = change.snapshot().function(schema.id, function_name).map(|function| function.id);
            match existing {
                Some(_) if *if_not_exists => Ok(false),
                Some(id) if *or_replace => {
                    let previous = change.snapshot().function_by_id(id).and_then(|function| function.comment.clone());
                    change.replace_function(id, NewFunction { comment: new.comment.clone().or(previous), ..new })?;
                    policy::check_replaced(id, &call, unfit.as_deref(), change.snapshot())?;
                    Ok(true)
                }
                _ => {
                    change.create_function(new)?;
                    Ok(true)
                }
            }
        })
        .await?;
    let text = || format!("function \"{}\" already exists, skipping", name.parts.last().map_or("", String::as_str));
    if created {
        return Ok(CommandOutcome::noticed("CREATE FUNCTION", hidden));
    }
    Ok(created_or_skipped("CREATE FUNCTION", created, text))
}

async fn stored_query(text: &str, query: &ast::Query, context: &CommandContext) -> Result<StoredQuery> {
    let (text, query, scope) = (text.to_string(), query.clone(), context.scope.clone());
    context.engine.on_planner(move || sql::qualify_query(&text, &query, &scope)).await?
}

/// The stored text of a function's body, and a query that calls it.
async fn stored_body(
    function: &str,
    text: &str,
    body: &ast::Expr,
    parameters: &[(String, SqlType)],
    context: &CommandContext,
) -> Result<(String, ast::Query)> {
    let (function, text, body) = (function.to_string(), text.to_string(), body.clone());
    let (parameters, scope) = (parameters.to_vec(), context.scope.clone());
    let stored = move || {
        let StoredExpression { text, expression } = sql::qualify_expression(&text, &body, &scope)?;
        let call = query::parse(&stored::body_query(&function, &text, &parameters))?;
        let is_called = stored::called_body(&call) == Some(&expression);
        if is_called { Ok((text, call)) } else { Err(reads_differently()) }
    };
    context.engine.on_planner(stored).await?
}

/// Binds what is stored. Positions in its text are none in the statement, so errors are told of what was written.
async fn bind_stored(stored: &ast::Query, written: &ast::Query, context: &CommandContext) -> Result<BoundQuery> {
    match query::bind(stored, &[], context).await {
        Ok(bound) => Ok(bound),
        Err(error) => Err(query::bind(written, &[], context).await.err().unwrap_or_else(|| error.without_position())),
    }
}

fn refuse_parameters(bound: &BoundQuery) -> Result<()> {
    if bound.parameters.is_empty() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::UndefinedParameter, "there is no parameter $1")
        .with_detail("A definition that is stored takes no parameters."))
}

/// The columns of a view: those of its query, the first of them renamed by the column list.
fn view_columns(names: &[String], bound: &BoundQuery) -> Result<Vec<ColumnEntry>> {
    if names.len() > bound.columns.len() {
        return Err(Error::new(ErrorKind::Syntax, "CREATE VIEW specifies more column names than columns"));
    }
    let given = names.iter().map(String::as_str);
    let rest = bound.columns.iter().skip(names.len()).map(|field| field.name().as_str());
    let types = bound.columns.iter().map(|field| SqlType::of_field(field));
    column_entries(given.chain(rest).map(str::to_string).zip(types))
}

/// Columns from names and types; an untyped literal becomes text.
pub(super) fn column_entries(columns: impl Iterator<Item = (String, SqlType)>) -> Result<Vec<ColumnEntry>> {
    let mut entries: Vec<ColumnEntry> = Vec::new();
    for (index, (name, sql_type)) in columns.enumerate() {
        if entries.iter().any(|entry| entry.name == name) {
            return Err(Error::new(ErrorKind::DuplicateColumn, format!("column \"{name}\" specified more than once")));
        }
        let sql_type = if matches!(sql_type, SqlType::Unknown | SqlType::Void) { SqlType::Text } else { sql_type };
        let number = i16::try_from(index + 1)
            .map_err(|_| Error::new(ErrorKind::ProgramLimit, format!("relations have at most {} columns", i16::MAX)))?;
        entries.push(ColumnEntry { number, name, sql_type, nullable: true, comment: None, physical_name: None });
    }
    Ok(entries)
}

fn check_parameters(parameters: &[(String, SqlType)]) -> Result<()> {
    for (index, (name, sql_type)) in parameters.iter().enumerate() {
        if parameters.iter().take(index).any(|(other, _)| other == name) {
            return Err(Error::new(ErrorKind::InvalidObjectDefinition, format!("parameter name \"{name}\" used more than once")));
        }
        if matches!(sql_type, SqlType::Void | SqlType::Unknown) {
            return Err(Error::new(ErrorKind::InvalidObjectDefinition, format!("a parameter cannot have type {sql_type}")));
        }
    }
    Ok(())
}

/// A body gives what PostgreSQL would assign to the declared type; the binder converts it at each call.
fn check_result(actual: &SqlType, returns: &SqlType) -> Result<()> {
    if actual == returns || assign::assignable(actual, returns) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::DatatypeMismatch, format!("return type mismatch in function declared to return {returns}"))
        .with_detail(format!("Actual return type is {actual}."))
        .with_hint("Cast the body to the declared type."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_gives_what_could_be_assigned() {
        check_result(&SqlType::Bool, &SqlType::Bool).unwrap();
        check_result(&SqlType::Int4, &SqlType::Int8).unwrap();
        assert_eq!(check_result(&SqlType::Text, &SqlType::Bool).unwrap_err().kind(), ErrorKind::DatatypeMismatch);
    }

    #[test]
    fn columns_of_a_view_are_named_once() {
        let twice = [("a".to_string(), SqlType::Int4), ("a".to_string(), SqlType::Unknown)];
        assert_eq!(column_entries(twice.clone().into_iter()).unwrap_err().kind(), ErrorKind::DuplicateColumn);
        let entries = column_entries([twice[0].clone(), ("b".to_string(), SqlType::Unknown)].into_iter()).unwrap();
        assert_eq!((entries[1].number, entries[1].sql_type.clone()), (2, SqlType::Text));
    }

    #[test]
    fn parameters_are_named_once() {
        let parameters = vec![("a".to_string(), SqlType::Int4), ("a".to_string(), SqlType::Int4)];
        assert_eq!(check_parameters(&parameters).unwrap_err().kind(), ErrorKind::InvalidObjectDefinition);
    }
}
