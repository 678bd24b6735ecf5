//! CREATE and ALTER of users, roles and groups, and their tokens.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::create::{comment, if_not_exists};
use super::reader::{Reader, refused};
use super::session;
use crate::catalog::securable::Secret;
use crate::error::{Error, ErrorKind, Result};
use crate::sql::statement::{Command, PrincipalOptions, SettingTarget};
use crate::types::values::{IntervalStyle, parse_interval};

/// CREATE {USER | ROLE | GROUP} name [WITH] options.
pub(super) fn create(reader: &mut Reader) -> Result<Command> {
    let kind = reader.label()?;
    if reader.peek_word(0) == "mapping" {
        return Err(refused("CREATE USER MAPPING", "There are no foreign servers."));
    }
    let if_not_exists = if_not_exists(reader);
    let name = role(reader)?;
    let mut options = options(reader)?;
    options.login.get_or_insert(kind == "user");
    Ok(Command::CreatePrincipal { name, if_not_exists, options })
}

/// ALTER {USER | ROLE | GROUP} name .., behind ALTER.
pub(super) fn alter(reader: &mut Reader) -> Result<Command> {
    let kind = reader.label()?;
    if reader.peek_word(0) == "mapping" {
        return Err(refused("ALTER USER MAPPING", "There are no foreign servers."));
    }
    if reader.word("all") {
        return settings(reader, None);
    }
    let sets = matches!(reader.peek_word(1), "set" | "reset" | "in");
    if sets && let Some(own) = reader.one_of(&["current_user", "current_role", "session_user"]) {
        return settings(reader, Some(own.to_string()));
    }
    let name = role(reader)?;
    if reader.words(&["rename", "to"]) {
        return Ok(Command::RenamePrincipal { name, to: role(reader)? });
    }
    if matches!(reader.peek_word(0), "set" | "reset") || (reader.peek_word(0) == "in" && reader.peek_word(1) == "database") {
        return settings(reader, Some(name));
    }
    if kind == "group" && matches!(reader.peek_word(0), "add" | "drop") {
        let adds = reader.one_of(&["add", "drop"]) == Some("add");
        reader.expect_word("user")?;
        let members = reader.list(role)?;
        let groups = vec![name];
        return Ok(if adds { Command::AddMember { groups, members } } else { Command::RemoveMember { groups, members } });
    }
    if reader.at_end() {
        return Err(reader.unexpected());
    }
    let options = options(reader)?;
    if !options.member_of.is_empty() || !options.members.is_empty() {
        return Err(refused("membership in ALTER ROLE", "Use GRANT group TO member and REVOKE group FROM member."));
    }
    Ok(Command::AlterPrincipal { name, options })
}

/// [IN DATABASE name] SET .. | RESET .., behind the role.
fn settings(reader: &mut Reader, role: Option<String>) -> Result<Command> {
    let catalog = if reader.words(&["in", "database"]) { Some(reader.identifier()?) } else { None };
    let change = session::setting_change(reader)?;
    Ok(Command::AlterSettings { on: SettingTarget { role, catalog, of_role: true }, change })
}

/// The name of a role, in any statement; PUBLIC and `account users` are `public`.
pub(super) fn role(reader: &mut Reader) -> Result<String> {
    if matches!(reader.peek_word(0), "current_user" | "current_role" | "session_user" | "user") {
        return Err(refused("CURRENT_USER as the name of a role", "Write the role's name."));
    }
    if reader.words(&["account", "users"]) {
        return Ok("public".to_string());
    }
    let name = match reader.optional_string() {
        Some(name) => name,
        None => reader.identifier()?,
    };
    Ok(if name.eq_ignore_ascii_case("account users") { "public".to_string() } else { name })
}

/// CREATE TOKEN [FOR role] [COMMENT 'text'] [LIFETIME 'interval'], from TOKEN on.
pub(super) fn create_token(reader: &mut Reader) -> Result<Command> {
    reader.skip(1);
    let role = if reader.word("for") { Some(role(reader)?) } else { None };
    let (mut text, mut lifetime) = (None, None);
    while !reader.at_end() {
        if reader.word("lifetime") {
            let position = reader.position();
            let interval = reader.string()?;
            let interval = parse_interval(&interval, IntervalStyle::Postgres).map_err(|error| error.with_position(position))?;
            set(&mut lifetime, interval)?;
        } else if let Some(comment) = comment(reader)? {
            set(&mut text, comment)?;
        } else {
            return Err(reader.unexpected());
        }
    }
    Ok(Command::CreateToken { role, comment: text, lifetime })
}

/// DROP TOKEN [IF EXISTS] 'id', behind TOKEN; REVOKE TOKEN is the same.
pub(super) fn drop_token(reader: &mut Reader) -> Result<Command> {
    let if_exists = reader.words(&["if", "exists"]);
    Ok(Command::DropToken { id: reader.string()?, if_exists })
}

/// SHOW TOKENS [FOR role], behind TOKENS.
pub(super) fn show_tokens(reader: &mut Reader) -> Result<Command> {
    let role = if reader.word("for") { Some(role(reader)?) } else { None };
    Ok(Command::ShowTokens { role })
}

fn options(reader: &mut Reader) -> Result<PrincipalOptions> {
    let mut options = PrincipalOptions::default();
    reader.word("with");
    while !reader.at_end() {
        option(reader, &mut options)?;
    }
    Ok(options)
}

fn set<T>(slot: &mut Option<T>, value: T) -> Result<()> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Error::new(ErrorKind::Syntax, "conflicting or redundant options")),
    }
}

fn option(reader: &mut Reader, options: &mut PrincipalOptions) -> Result<()> {
    let unexpected = reader.unexpected();
    let word = reader.label().map_err(|_| unexpected)?;
    let every_role_can = |what: &str, hint: &str| Err(refused(what, hint));
    match word.as_str() {
        "login" => set(&mut options.login, true),
        "nologin" => set(&mut options.login, false),
        "superuser" => set(&mut options.admin, true),
        "nosuperuser" => set(&mut options.admin, false),
        // What a role has by default, and cannot lose or gain.
        "inherit" | "nocreatedb" | "nocreaterole" | "noreplication" | "nobypassrls" => Ok(()),
        "noinherit" => every_role_can("NOINHERIT", "A member has the privileges of its groups."),
        "createdb" => every_role_can("CREATEDB", "Use GRANT CREATE CATALOG ON METASTORE TO role."),
        "createrole" => every_role_can("CREATEROLE", "Roles are created by administrators."),
        "replication" => every_role_can("REPLICATION", "There is no replication protocol."),
        "bypassrls" => every_role_can("BYPASSRLS", "Row filters hold for everybody; exempt a group in the filter's function."),
        "connection" => {
            reader.expect_word("limit")?;
            let invalid = reader.unexpected();
            let limit = i32::try_from(reader.integer()?).map_err(|_| invalid)?;
            if limit < -1 {
                return Err(Error::new(ErrorKind::InvalidParameter, format!("invalid connection limit: {limit}")));
            }
            set(&mut options.connection_limit, limit)
        }
        "encrypted" => {
            reader.expect_word("password")?;
            password(reader, options)
        }
        "password" => password(reader, options),
        "unencrypted" => every_role_can("UNENCRYPTED PASSWORD", "Passwords are always stored encrypted."),
        "valid" => {
            reader.expect_word("until")?;
            set(&mut options.valid_until, reader.string()?)
        }
        "in" => match reader.one_of(&["role", "group"]) {
            Some(_) => {
                options.member_of = reader.list(role)?;
                Ok(())
            }
            None => Err(reader.unexpected()),
        },
        "role" | "user" => {
            options.members = reader.list(role)?;
            Ok(())
        }
        "admin" => every_role_can("ADMIN", "Groups are changed by administrators."),
        "sysid" => every_role_can("SYSID", "Leave it out."),
        _ => Err(Error::new(ErrorKind::Syntax, format!("unrecognized role option \"{word}\""))),
    }
}

fn password(reader: &mut Reader, options: &mut PrincipalOptions) -> Result<()> {
    let password = match reader.peek_token(0) {
        Token::Word(word) if word.value == "null" && word.quote_style.is_none() => {
            reader.skip(1);
            None
        }
        _ => Some(Secret::new(reader.string()?)),
    };
    set(&mut options.password, password)
}
