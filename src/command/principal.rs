//! Users, groups and memberships.

use super::ddl::created_or_skipped;
use super::{CommandContext, CommandOutcome, groups};
use crate::auth::verifier::{DEFAULT_ITERATIONS, Verifier};
use crate::catalog::securable::{ObjectId, Secret};
use crate::catalog::{Change, NewPrincipal};
use crate::error::{Error, ErrorKind, Result};
use crate::sql::statement::{Command, PrincipalOptions};
use crate::types::values::{DateStyle, DateTimeInput, TimeZone, parse_timestamptz};

pub(super) async fn create(
    command: &Command,
    name: &str,
    if_not_exists: bool,
    options: &PrincipalOptions,
    context: &CommandContext,
) -> Result<CommandOutcome> {
    context.authorize(command)?;
    let verifier = verifier(options, context).await?.flatten();
    let limit = connection_limit(options)?.flatten();
    let valid_until = valid_until(options, context)?.flatten();
    let created = context
        .metastore
        .write(|change| {
            context.authorize_in(command, change.snapshot())?;
            if if_not_exists && change.snapshot().principal(name).is_some() {
                return Ok(false);
            }
            let id = change.create_principal(NewPrincipal {
                name: name.to_string(),
                can_login: options.login.unwrap_or(false),
                is_admin: options.admin.unwrap_or(false),
                verifier,
                connection_limit: limit,
                comment: None,
                valid_until,
            })?;
            change_memberships(change, id, options, context)?;
            Ok(true)
        })
        .await?;
    Ok(created_or_skipped("CREATE ROLE", created, || format!("role \"{name}\" already exists, skipping")))
}

pub(super) async fn alter(
    command: &Command,
    name: &str,
    options: &PrincipalOptions,
    context: &CommandContext,
) -> Result<CommandOutcome> {
    context.authorize(command)?;
    let verifier = verifier(options, context).await?;
    let limit = connection_limit(options)?;
    let valid_until = valid_until(options, context)?;
    context
        .metastore
        .write(|change| {
            context.authorize_in(command, change.snapshot())?;
            let id = context.names_in(change.snapshot()).principal(name)?.id;
            refuse_public(id)?;
            if let Some(verifier) = verifier {
                change.set_verifier(id, verifier)?;
            }
            if let Some(limit) = limit {
                change.set_connection_limit(id, limit)?;
            }
            if let Some(valid_until) = valid_until {
                change.set_valid_until(id, valid_until)?;
            }
            if let Some(is_admin) = options.admin {
                change.set_admin(id, is_admin)?;
            }
            if let Some(can_login) = options.login {
                change.set_login(id, can_login)?;
            }
            change_memberships(change, id, options, context)
        })
        .await?;
    Ok(CommandOutcome::done("ALTER ROLE"))
}

pub(super) async fn rename(command: &Command, name: &str, to: &str, context: &CommandContext) -> Result<CommandOutcome> {
    context
        .metastore
        .write(|change| {
            context.authorize_in(command, change.snapshot())?;
            let id = context.names_in(change.snapshot()).principal(name)?.id;
            refuse_public(id)?;
            groups::check_unnamed(name, "rename", change.snapshot())?;
            change.rename_principal(id, to)
        })
        .await?;
    Ok(CommandOutcome::done("ALTER ROLE"))
}

pub(super) async fn drop(names: &[String], if_exists: bool, context: &CommandContext) -> Result<CommandOutcome> {
    let notices = context
        .metastore
        .write(|change| {
            let mut notices = Vec::new();
            let mut present = Vec::new();
            for name in names {
                match context.names_in(change.snapshot()).principal(name) {
                    Ok(_) => present.push(name.clone()),
                    Err(_) if if_exists => notices.push(format!("role \"{name}\" does not exist, skipping")),
                    Err(error) => return Err(error),
                }
            }
            let command = Command::DropPrincipal { names: present.clone(), if_exists };
            context.authorize_in(&command, change.snapshot())?;
            for name in &present {
                let id = context.names_in(change.snapshot()).principal(name)?.id;
                refuse_public(id)?;
                if id == context.caller() {
                    return Err(Error::new(ErrorKind::ObjectInUse, "current user cannot be dropped"));
                }
                groups::check_unnamed(name, "drop", change.snapshot())?;
                change.drop_principal(id)?;
            }
            Ok(notices)
        })
        .await?;
    Ok(CommandOutcome::noticed("DROP ROLE", notices))
}

pub(super) async fn add_members(
    command: &Command,
    groups: &[String],
    members: &[String],
    context: &CommandContext,
) -> Result<CommandOutcome> {
    let notices = context
        .metastore
        .write(|change| {
            context.authorize_in(command, change.snapshot())?;
            let mut notices = Vec::new();
            for (group, member) in pairs(groups, members) {
                let names = context.names_in(change.snapshot());
                let (group_id, member_id) = (names.principal(group)?.id, names.principal(member)?.id);
                if change.snapshot().memberships().any(|pair| pair == (group_id, member_id)) {
                    notices.push(format!("role \"{member}\" has already been granted membership in role \"{group}\""));
                }
                change.add_member(group_id, member_id)?;
            }
            Ok(notices)
        })
        .await?;
    Ok(CommandOutcome::noticed("GRANT ROLE", notices))
}

pub(super) async fn remove_members(
    command: &Command,
    groups: &[String],
    members: &[String],
    context: &CommandContext,
) -> Result<CommandOutcome> {
    let notices = context
        .metastore
        .write(|change| {
            context.authorize_in(command, change.snapshot())?;
            let mut notices = Vec::new();
            for (group, member) in pairs(groups, members) {
                let names = context.names_in(change.snapshot());
                let (group_id, member_id) = (names.principal(group)?.id, names.principal(member)?.id);
                if !change.remove_member(group_id, member_id) {
                    notices.push(format!("role \"{member}\" is not a member of role \"{group}\""));
                }
            }
            Ok(notices)
        })
        .await?;
    Ok(CommandOutcome::noticed("REVOKE ROLE", notices))
}

fn pairs<'a>(groups: &'a [String], members: &'a [String]) -> impl Iterator<Item = (&'a String, &'a String)> {
    groups.iter().flat_map(move |group| members.iter().map(move |member| (group, member)))
}

fn change_memberships(change: &mut Change, id: ObjectId, options: &PrincipalOptions, context: &CommandContext) -> Result<()> {
    for group in &options.member_of {
        let group = context.names_in(change.snapshot()).principal(group)?.id;
        change.add_member(group, id)?;
    }
    for member in &options.members {
        let member = context.names_in(change.snapshot()).principal(member)?.id;
        change.add_member(id, member)?;
    }
    Ok(())
}

fn refuse_public(id: ObjectId) -> Result<()> {
    if id == crate::catalog::securable::PUBLIC {
        return Err(Error::new(ErrorKind::ReservedName, "role name \"public\" is reserved"));
    }
    Ok(())
}

/// What PASSWORD says, as a verifier; the password itself goes no further.
async fn verifier(options: &PrincipalOptions, context: &CommandContext) -> Result<Option<Option<String>>> {
    let Some(password) = &options.password else { return Ok(None) };
    let Some(password) = password.clone() else { return Ok(Some(None)) };
    let derive = move || derive(&password);
    Ok(Some(Some(context.engine.on_planner(derive).await??)))
}

fn derive(password: &Secret<String>) -> Result<String> {
    Verifier::from_clause(password.expose(), DEFAULT_ITERATIONS).map(|verifier| verifier.to_string())
}

/// CONNECTION LIMIT: `Some(None)` removes the limit.
fn connection_limit(options: &PrincipalOptions) -> Result<Option<Option<u32>>> {
    match options.connection_limit {
        None => Ok(None),
        Some(-1) => Ok(Some(None)),
        Some(limit) => u32::try_from(limit)
            .map(|limit| Some(Some(limit)))
            .map_err(|_| Error::new(ErrorKind::InvalidParameter, format!("invalid connection limit: {limit}"))),
    }
}

/// VALID UNTIL: `Some(None)` for 'infinity', which removes the end.
fn valid_until(options: &PrincipalOptions, context: &CommandContext) -> Result<Option<Option<i64>>> {
    let Some(text) = &options.valid_until else { return Ok(None) };
    if text.trim().eq_ignore_ascii_case("infinity") {
        return Ok(Some(None));
    }
    let functions = &context.scope.functions;
    let zone = TimeZone::parse(&functions.time_zone)?;
    let date_style = functions.settings.get("datestyle").map_or("ISO, MDY", String::as_str);
    let order = DateStyle::parse(date_style, DateStyle::default())?.order;
    let now = Some(functions.statement_time.timestamp_micros());
    parse_timestamptz(text, &DateTimeInput { order, zone: &zone, now }).map(|until| Some(Some(until)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minus_one_removes_the_connection_limit() {
        let limit = |limit| connection_limit(&PrincipalOptions { connection_limit: limit, ..Default::default() });
        assert_eq!(limit(None).unwrap(), None);
        assert_eq!(limit(Some(-1)).unwrap(), Some(None));
        assert_eq!(limit(Some(0)).unwrap(), Some(Some(0)));
        assert!(limit(Some(-2)).is_err());
    }

    #[test]
    fn a_password_becomes_a_verifier_and_a_verifier_stays_one() {
        let made = derive(&Secret::new("correct horse".to_string())).unwrap();
        assert!(made.starts_with("SCRAM-SHA-256$4096:"));
        assert_eq!(derive(&Secret::new(made.clone())).unwrap(), made);
        assert!(derive(&Secret::new(String::new())).is_err());
    }
}
