//! SHOW CATALOGS, SCHEMAS, TABLES, VIEWS: what the caller may know of.

use super::{CommandContext, CommandOutcome, output, rows};
use crate::catalog::securable::{ObjectId, Relation};
use crate::error::{Error, Result};
use crate::sql::statement::{Command, Name};

pub(super) fn catalogs(command: &Command, like: Option<&str>, context: &CommandContext) -> Result<CommandOutcome> {
    context.authorize(command)?;
    let names = context.snapshot().catalogs().filter(|catalog| sees(context, catalog.id)).map(|catalog| catalog.name.clone());
    let lines = names.filter(|name| matches(like, name)).map(|name| [Some(name)]).collect();
    Ok(CommandOutcome::rows(rows::texts(output::catalogs(), lines)?, "SHOW"))
}

pub(super) fn schemas(
    command: &Command,
    catalog: Option<&str>,
    like: Option<&str>,
    context: &CommandContext,
) -> Result<CommandOutcome> {
    context.authorize(command)?;
    let catalog = match catalog {
        Some(name) => context.names().catalog(&Name { parts: vec![name.to_string()], position: None })?.id,
        None => context.names().current_catalog()?.id,
    };
    let own = context.snapshot().schemas(catalog).filter(|schema| sees(context, schema.id)).map(|schema| schema.name.clone());
    let mut names: Vec<String> = own.chain(["information_schema".to_string(), "pg_catalog".to_string()]).collect();
    names.sort();
    let lines = names.into_iter().filter(|name| matches(like, name)).map(|name| [Some(name)]).collect();
    Ok(CommandOutcome::rows(rows::texts(output::schemas(), lines)?, "SHOW"))
}

pub(super) fn tables(
    command: &Command,
    schema: Option<&Name>,
    like: Option<&str>,
    context: &CommandContext,
) -> Result<CommandOutcome> {
    let (schema, found) = relations(command, schema, like, |_| true, context)?;
    let columns = vec![
        rows::Column::Text(found.iter().map(|_| Some(schema.clone())).collect()),
        rows::Column::Text(found.iter().map(|name| Some(name.clone())).collect()),
        rows::Column::Bool(found.iter().map(|_| Some(false)).collect()),
    ];
    Ok(CommandOutcome::rows(rows::batch(output::tables(), columns)?, "SHOW"))
}

pub(super) fn views(
    command: &Command,
    schema: Option<&Name>,
    like: Option<&str>,
    context: &CommandContext,
) -> Result<CommandOutcome> {
    let (schema, found) = relations(command, schema, like, |relation| relation.view().is_some(), context)?;
    let columns = vec![
        rows::Column::Text(found.iter().map(|_| Some(schema.clone())).collect()),
        rows::Column::Text(found.iter().map(|name| Some(name.clone())).collect()),
        rows::Column::Bool(found.iter().map(|_| Some(false)).collect()),
        rows::Column::Bool(found.iter().map(|_| Some(false)).collect()),
    ];
    Ok(CommandOutcome::rows(rows::batch(output::views(), columns)?, "SHOW"))
}

/// Name of the schema and names of the relations in it that the caller may know of.
fn relations(
    command: &Command,
    schema: Option<&Name>,
    like: Option<&str>,
    wanted: impl Fn(&Relation) -> bool,
    context: &CommandContext,
) -> Result<(String, Vec<String>)> {
    let snapshot = context.snapshot();
    let schema = match schema {
        // Everybody may list what describes the warehouse.
        Some(name) if is_system(name) => {
            let schema = name.parts.last().cloned().unwrap_or_default();
            let found = crate::system::relations().filter(|relation| relation.schema_name() == schema);
            let mut names: Vec<String> =
                found.map(|relation| relation.name().to_string()).filter(|name| matches(like, name)).collect();
            names.sort();
            return Ok((schema, names));
        }
        other => {
            context.authorize(command)?;
            match other {
                Some(name) => context.names().schema(name)?.id,
                None => context.names().creation_schema()?.id,
            }
        }
    };
    let names = snapshot
        .relations(schema)
        .filter(|relation| wanted(relation) && sees(context, relation.id))
        .map(|relation| relation.name.clone())
        .filter(|name| matches(like, name))
        .collect();
    let schema = snapshot.schema_by_id(schema).ok_or_else(|| Error::internal("a resolved schema is gone"))?;
    Ok((schema.name.clone(), names))
}

fn is_system(name: &Name) -> bool {
    matches!(name.parts.as_slice(), [schema] if schema == "pg_catalog" || schema == "information_schema")
}

fn sees(context: &CommandContext, id: ObjectId) -> bool {
    context.snapshot().visible(context.caller(), id)
}

/// Databricks' pattern: `*` (and SQL's `%`) is any text, `|` separates alternatives, case does not matter.
fn matches(like: Option<&str>, name: &str) -> bool {
    let Some(pattern) = like else { return true };
    let name: Vec<char> = name.to_lowercase().chars().collect();
    pattern.to_lowercase().split('|').any(|alternative| glob(&alternative.trim().chars().collect::<Vec<_>>(), &name))
}

/// Matches with one place to go back to, so the cost is at most the product of the lengths.
fn glob(pattern: &[char], text: &[char]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*' | '%') => {
                retry = Some((p, t));
                p += 1;
            }
            Some(c) if text.get(t) == Some(c) => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((star, matched)) = retry else { return false };
                retry = Some((star, matched + 1));
                p = star + 1;
                t = matched + 1;
            }
        }
    }
    pattern.iter().skip(p).all(|c| matches!(c, '*' | '%'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_databricks_says() {
        for (pattern, name, expected) in [
            ("*", "orders", true),
            ("ord*", "orders", true),
            ("ORD%", "orders", true),
            ("o*s", "orders", true),
            ("o*x", "orders", false),
            ("orders", "orders", true),
            ("order", "orders", false),
            ("a*|or*", "orders", true),
            ("a|b", "orders", false),
            ("*d*r*", "orders", true),
            ("", "orders", false),
            ("a_b", "aXb", false),
        ] {
            assert_eq!(matches(Some(pattern), name), expected, "{pattern} {name}");
        }
        assert!(matches(None, "x"));
    }
}
