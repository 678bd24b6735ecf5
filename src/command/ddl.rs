//! Catalogs, schemas, and what is the same for every kind of object: DROP, RENAME, OWNER, COMMENT.

use std::sync::Arc;

use super::columns::Newest;
use super::tag;
use super::{CommandContext, CommandOutcome, location, table, temporary};
use crate::catalog::CatalogSnapshot;
use crate::catalog::change::Dropped;
use crate::catalog::securable::{ObjectId, PUBLIC, Relation, SecurableKind};
use crate::error::{Error, ErrorKind, Result};
use crate::sql::statement::{Command, CommentTarget, Name};

pub(super) async fn create_catalog(command: &Command, context: &CommandContext) -> Result<CommandOutcome> {
    let Command::CreateCatalog { name, if_not_exists, managed_location, comment } = command else {
        return Err(Error::internal("no CREATE CATALOG"));
    };
    let created = context
        .metastore
        .write(|change| {
            context.authorize_in(command, change.snapshot())?;
            if *if_not_exists && change.snapshot().catalog(name).is_some() {
                return Ok(false);
            }
            let managed = location::managed_location(managed_location.as_deref(), change.snapshot(), context)?;
            change.create_catalog(name, context.caller(), managed, comment.clone())?;
            Ok(true)
        })
        .await?;
    Ok(created_or_skipped("CREATE CATALOG", created, || format!("catalog \"{name}\" already exists, skipping")))
}

pub(super) async fn create_schema(command: &Command, context: &CommandContext) -> Result<CommandOutcome> {
    let Command::CreateSchema { name, if_not_exists, managed_location, authorization, comment } = command else {
        return Err(Error::internal("no CREATE SCHEMA"));
    };
    let created = context
        .metastore
        .write(|change| {
            context.authorize_in(command, change.snapshot())?;
            let names = context.names_in(change.snapshot());
            let (catalog, schema) = match name.parts.as_slice() {
                [schema] => (names.current_catalog()?.id, schema),
                [catalog, schema] => {
                    let catalog = Name { parts: vec![catalog.clone()], position: name.position };
                    (names.catalog(&catalog)?.id, schema)
                }
                _ => return Err(Error::new(ErrorKind::Syntax, "a schema has a name of one or two parts")),
            };
            let owner = match authorization {
                Some(owner) => names.principal(owner)?.id,
                None => context.caller(),
            };
            if *if_not_exists && change.snapshot().schema(catalog, schema).is_some() {
                return Ok(false);
            }
            let managed = location::managed_location(managed_location.as_deref(), change.snapshot(), context)?;
            change.create_schema(catalog, schema, owner, managed, comment.clone())?;
            Ok(true)
        })
        .await?;
    let text = || format!("schema \"{}\" already exists, skipping", name.parts.last().map_or("", String::as_str));
    Ok(created_or_skipped("CREATE SCHEMA", created, text))
}

/// DROP of any kind but principals. Files of managed tables are removed in the background, after the drop is durable.
pub(super) async fn drop(
    kind: SecurableKind,
    names: &[Name],
    if_exists: bool,
    cascade: bool,
    context: &CommandContext,
) -> Result<CommandOutcome> {
    let others;
    let mut names = names;
    if kind == SecurableKind::Table {
        others = temporary::drop_tables(names, context);
        if others.is_empty() {
            return Ok(CommandOutcome::done(tag::drop(kind)));
        }
        names = &others;
    }
    let (dropped, notices) = context
        .metastore
        .write(|change| {
            let mut notices = Vec::new();
            let mut present = Vec::new();
            for name in names {
                match context.names_in(change.snapshot()).exactly(name, kind) {
                    Ok(_) => present.push(name.clone()),
                    Err(error) if if_exists && is_undefined(error.kind()) => {
                        notices.push(format!("{} \"{}\" does not exist, skipping", kind.noun(), name.parts.join(".")));
                    }
                    Err(error) => return Err(error),
                }
            }
            let command = Command::Drop { kind, names: present.clone(), if_exists, cascade };
            context.authorize_in(&command, change.snapshot())?;
            let mut dropped: Vec<Dropped> = Vec::new();
            for name in &present {
                let id = context.names_in(change.snapshot()).exactly(name, kind);
                match id {
                    Ok(id) => dropped.push(change.drop_object(id, cascade, context.caller())?),
                    // An earlier name of the same statement took it along.
                    Err(error) if cascade && is_undefined(error.kind()) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok((dropped, notices))
        })
        .await?;
    let managed = |relation: &&Arc<Relation>| relation.table().is_some_and(|table| table.managed);
    let files = dropped.iter().flat_map(|dropped| &dropped.relations).filter(managed).map(|relation| relation.id).collect();
    table::remove_dropped(files, context);
    Ok(CommandOutcome::noticed(tag::drop(kind), notices))
}

pub(super) async fn set_owner(
    command: &Command,
    kind: SecurableKind,
    name: &Name,
    owner: &str,
    context: &CommandContext,
) -> Result<CommandOutcome> {
    context
        .metastore
        .write(|change| {
            context.authorize_in(command, change.snapshot())?;
            let names = context.names_in(change.snapshot());
            let (id, owner) = (names.securable(name, kind)?, names.principal(owner)?);
            if owner.id == PUBLIC {
                return Err(Error::new(ErrorKind::InvalidObjectDefinition, "role \"public\" cannot own objects"));
            }
            let owner = owner.id;
            change.set_owner(id, owner)
        })
        .await?;
    Ok(CommandOutcome::done(tag::alter(kind)))
}

pub(super) async fn rename(
    command: &Command,
    kind: SecurableKind,
    name: &Name,
    to: &str,
    context: &CommandContext,
) -> Result<CommandOutcome> {
    context
        .metastore
        .write(|change| {
            context.authorize_in(command, change.snapshot())?;
            let id = context.names_in(change.snapshot()).securable(name, kind)?;
            change.rename(id, to)
        })
        .await?;
    Ok(CommandOutcome::done(tag::alter(kind)))
}

pub(super) async fn comment(
    command: &Command,
    on: &CommentTarget,
    text: Option<&str>,
    context: &CommandContext,
) -> Result<CommandOutcome> {
    // PostgreSQL: an empty comment is none.
    let text = text.filter(|text| !text.is_empty()).map(str::to_string);
    let newest = match on {
        CommentTarget::Column(relation, _) => {
            context.authorize(command)?;
            Some(Newest::of(context.names().relation(relation)?, context).await)
        }
        CommentTarget::Securable(..) | CommentTarget::Principal(_) => None,
    };
    context
        .metastore
        .write(|change| {
            context.authorize_in(command, change.snapshot())?;
            let names = context.names_in(change.snapshot());
            match on {
                CommentTarget::Securable(kind, name) => {
                    let id = names.securable(name, *kind)?;
                    if id == crate::catalog::securable::METASTORE {
                        return Err(Error::unsupported("a comment on the metastore"));
                    }
                    change.set_comment(id, text)
                }
                CommentTarget::Column(relation, column) => {
                    let id = names.relation(relation)?.id;
                    newest.iter().try_for_each(|newest| newest.learn(id, change))?;
                    change.set_column_comment(id, column, text)
                }
                CommentTarget::Principal(name) => {
                    let id = names.principal(name)?.id;
                    change.set_comment(id, text)
                }
            }
        })
        .await?;
    Ok(CommandOutcome::done("COMMENT"))
}

/// The outcome of CREATE .. IF NOT EXISTS.
pub(super) fn created_or_skipped(tag: &'static str, created: bool, text: impl FnOnce() -> String) -> CommandOutcome {
    if created { CommandOutcome::done(tag) } else { CommandOutcome::noticed(tag, vec![text()]) }
}

/// Kinds that IF EXISTS turns into a notice.
pub(super) fn is_undefined(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::UndefinedRelation
            | ErrorKind::UndefinedFunction
            | ErrorKind::UndefinedObject
            | ErrorKind::UndefinedCatalog
            | ErrorKind::UndefinedSchema
    )
}

/// The relation of an id that has just been resolved.
pub(super) fn relation_of(snapshot: &CatalogSnapshot, id: ObjectId) -> Result<Arc<Relation>> {
    snapshot.relation_by_id(id).map(Arc::clone).ok_or_else(|| Error::internal("a resolved relation is gone"))
}
