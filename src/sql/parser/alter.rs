//! DROP, ALTER and COMMENT ON.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::account::{self, role};
use super::grant;
use super::reader::{Reader, refused};
use super::session;
use super::table::mask;
use crate::catalog::securable::SecurableKind;
use crate::error::{Error, Result};
use crate::sql::statement::{Command, CommentTarget, Name, SettingTarget};

/// The kind of securable that comes next, in the words of DROP, ALTER, COMMENT and GRANT.
pub(super) fn securable_kind(reader: &mut Reader) -> Option<SecurableKind> {
    let (kind, words) = match reader.peek_word(0) {
        "catalog" | "database" => (SecurableKind::Catalog, 1),
        "schema" => (SecurableKind::Schema, 1),
        "table" => (SecurableKind::Table, 1),
        "view" => (SecurableKind::View, 1),
        "function" => (SecurableKind::Function, 1),
        "storage" if reader.peek_word(1) == "credential" => (SecurableKind::StorageCredential, 2),
        "external" if reader.peek_word(1) == "location" => (SecurableKind::ExternalLocation, 2),
        _ => return None,
    };
    reader.skip(words);
    Some(kind)
}

/// A name of an object of that kind. The argument types of a function are read and dropped: functions are not overloaded.
pub(super) fn securable_name(reader: &mut Reader, kind: SecurableKind) -> Result<Name> {
    let name = reader.name()?;
    if kind == SecurableKind::Function && reader.token(&Token::LParen) && !reader.token(&Token::RParen) {
        reader.list(argument_type)?;
        reader.expect_token(&Token::RParen)?;
    }
    let most_parts = match kind {
        SecurableKind::Schema => 2,
        SecurableKind::Table | SecurableKind::View | SecurableKind::Function => 3,
        SecurableKind::Catalog | SecurableKind::StorageCredential | SecurableKind::ExternalLocation | SecurableKind::Metastore => 1,
    };
    if name.parts.len() <= most_parts {
        return Ok(name);
    }
    let message = format!("improper qualified name (too many dotted names): {}", name.parts.join("."));
    let error = Error::new(crate::error::ErrorKind::Syntax, message);
    Err(match name.position {
        Some(position) => error.with_position(position),
        None => error,
    })
}

/// `int`, or `name int`.
fn argument_type(reader: &mut Reader) -> Result<()> {
    let has_name = matches!(reader.peek_token(1), Token::Word(_))
        && !matches!(reader.peek_word(1), "precision" | "varying" | "with" | "without");
    if has_name {
        reader.skip(1);
    }
    reader.data_type().map(|_| ())
}

fn unknown_kind(reader: &Reader, verb: &str) -> Error {
    let kinds = "The objects are catalogs, schemas, tables, views, functions, roles, storage credentials and external locations.";
    match reader.peek_word(0) {
        "materialized" | "streaming" => refused(format!("{verb} of a materialized view or streaming table"), kinds),
        word @ ("access" | "aggregate" | "cast" | "collation" | "connection" | "conversion" | "domain" | "event" | "extension"
        | "foreign" | "index" | "language" | "large" | "model" | "operator" | "owned" | "policy" | "procedure"
        | "procedural" | "provider" | "publication" | "recipient" | "routine" | "rule" | "sequence" | "server"
        | "share" | "statistics" | "subscription" | "system" | "tablespace" | "temporary" | "text" | "transform"
        | "trigger" | "type" | "variable" | "volume" | "warehouse" | "constraint") => {
            refused(format!("{verb} {}", word.to_uppercase()), kinds)
        }
        _ => reader.unexpected(),
    }
}

/// DROP kind [IF EXISTS] names [CASCADE | RESTRICT].
pub(super) fn drop(reader: &mut Reader) -> Result<Command> {
    reader.expect_word("drop")?;
    if matches!(reader.peek_word(0), "user" | "role" | "group") && reader.peek_word(1) != "mapping" {
        reader.skip(1);
        let if_exists = reader.words(&["if", "exists"]);
        return Ok(Command::DropPrincipal { names: reader.list(role)?, if_exists });
    }
    if reader.word("token") {
        return account::drop_token(reader);
    }
    let Some(kind) = securable_kind(reader) else { return Err(unknown_kind(reader, "DROP")) };
    let if_exists = reader.words(&["if", "exists"]);
    let names = reader.list(|reader| securable_name(reader, kind))?;
    let cascade = reader.one_of(&["cascade", "restrict"]) == Some("cascade");
    if matches!(reader.peek_word(0), "with" | "purge" | "force") || *reader.peek_token(0) == Token::LParen {
        return Err(refused("FORCE or PURGE", "Use CASCADE."));
    }
    Ok(Command::Drop { kind, names, if_exists, cascade })
}

/// A statement that starts with ALTER.
pub(super) fn alter(reader: &mut Reader) -> Result<Command> {
    reader.expect_word("alter")?;
    if matches!(reader.peek_word(0), "user" | "role" | "group") {
        return account::alter(reader);
    }
    if reader.words(&["default", "privileges"]) {
        return Err(grant::default_privileges());
    }
    let Some(kind) = securable_kind(reader) else { return Err(unknown_kind(reader, "ALTER")) };
    if reader.peek_words(&["if", "exists"]) {
        return Err(refused("ALTER .. IF EXISTS", "Leave IF EXISTS out."));
    }
    if kind == SecurableKind::Table && reader.peek_word(0) == "only" {
        reader.skip(1);
    }
    let name = securable_name(reader, kind)?;
    if reader.words(&["rename", "to"]) {
        let to = reader.name()?;
        // `ALTER TABLE a.b RENAME TO a.c` may repeat the parents; it may not move the object.
        let keeps_parents = to
            .parts
            .split_last()
            .is_some_and(|(_, parents)| name.parts.split_last().is_some_and(|(_, own)| own.ends_with(parents)));
        return match to.parts.last() {
            Some(last) if keeps_parents => Ok(Command::Rename { kind, name, to: last.clone() }),
            _ => Err(refused("RENAME into another schema", "Create it there anew.")),
        };
    }
    let sets = reader.peek_word(0) == "set" && !matches!(reader.peek_word(1), "owner" | "tag" | "tags" | "managed");
    if kind == SecurableKind::Catalog && (sets || reader.peek_word(0) == "reset") {
        let on = SettingTarget { role: None, catalog: name.parts.into_iter().next(), of_role: false };
        return Ok(Command::AlterSettings { on, change: session::setting_change(reader)? });
    }
    if reader.words(&["set", "owner", "to"]) || reader.words(&["owner", "to"]) {
        return Ok(Command::SetOwner { kind, name, owner: role(reader)? });
    }
    match kind {
        SecurableKind::Table => alter_table(reader, name),
        _ => Err(match reader.peek_word(0) {
            "as" => refused("ALTER VIEW .. AS", "Use CREATE OR REPLACE VIEW."),
            "set" | "unset" | "reset" | "add" | "drop" | "alter" | "enable" | "disable" | "with" | "default" | "immutable"
            | "stable" | "volatile" | "strict" | "security" | "depends" => {
                refused("this clause of ALTER", "The clauses are RENAME TO and OWNER TO.")
            }
            _ => reader.unexpected(),
        }),
    }
}

fn alter_table(reader: &mut Reader, table: Name) -> Result<Command> {
    if reader.words(&["set", "row", "filter"]) {
        let function = reader.name()?;
        reader.expect_word("on")?;
        let columns = if reader.token(&Token::LParen) {
            let columns = if *reader.peek_token(0) == Token::RParen { vec![] } else { reader.list(Reader::identifier)? };
            reader.expect_token(&Token::RParen)?;
            columns
        } else {
            return Err(reader.unexpected());
        };
        return Ok(Command::SetRowFilter { table, function, columns });
    }
    if reader.words(&["drop", "row", "filter"]) {
        return Ok(Command::DropRowFilter { table });
    }
    if reader.word("alter") {
        reader.word("column");
        return alter_column(reader, table);
    }
    let hint = "Create a new table from a query: CREATE TABLE .. AS SELECT ..";
    Err(match reader.peek_word(0) {
        "add" | "drop" | "replace" | "change" => refused("ALTER TABLE that changes columns or constraints", hint),
        "rename" => refused("RENAME COLUMN", hint),
        "set" if reader.peek_words(&["set", "schema"]) => refused("ALTER TABLE .. SET SCHEMA", hint),
        "enable" | "disable" | "force" | "no" => {
            refused("row level security of PostgreSQL", "Use ALTER TABLE .. SET ROW FILTER function ON (columns).")
        }
        "set" | "unset" | "reset" | "cluster" | "inherit" | "attach" | "detach" | "replica" | "recover" | "of" | "not"
        | "validate" | "partition" => refused(
            "this clause of ALTER TABLE",
            "The clauses are SET and DROP ROW FILTER, ALTER COLUMN .. SET and DROP MASK, RENAME TO and OWNER TO.",
        ),
        _ => reader.unexpected(),
    })
}

fn alter_column(reader: &mut Reader, table: Name) -> Result<Command> {
    let column = reader.identifier()?;
    if reader.words(&["set", "mask"]) {
        let (function, using) = mask(reader)?;
        return Ok(Command::SetMask { table, column, function, using });
    }
    if reader.words(&["drop", "mask"]) {
        return Ok(Command::DropMask { table, column });
    }
    if reader.word("comment") {
        let text = Some(reader.string()?);
        return Ok(Command::Comment { on: CommentTarget::Column(table, column), text });
    }
    Err(match reader.peek_word(0) {
        "set" | "drop" | "type" | "add" | "reset" | "first" | "after" | "restart" => {
            refused("ALTER COLUMN that changes the column", "The clauses are SET MASK, DROP MASK and COMMENT.")
        }
        _ => reader.unexpected(),
    })
}

/// COMMENT ON kind name IS {'text' | NULL}.
pub(super) fn comment(reader: &mut Reader) -> Result<Command> {
    reader.expect_words(&["comment", "on"])?;
    let on = if reader.word("column") {
        column_target(reader)?
    } else if reader.one_of(&["user", "role", "group"]).is_some() {
        CommentTarget::Principal(role(reader)?)
    } else {
        let Some(kind) = securable_kind(reader) else { return Err(unknown_kind(reader, "COMMENT ON")) };
        CommentTarget::Securable(kind, securable_name(reader, kind)?)
    };
    reader.expect_word("is")?;
    let text = if reader.word("null") { None } else { Some(reader.string()?) };
    // PostgreSQL removes the comment when the text is empty.
    Ok(Command::Comment { on, text: text.filter(|text| !text.is_empty()) })
}

fn column_target(reader: &mut Reader) -> Result<CommentTarget> {
    let position = reader.position();
    let mut parts = reader.parts()?;
    let column = parts.pop().unwrap_or_default();
    if parts.is_empty() {
        return Err(Error::new(crate::error::ErrorKind::Syntax, "column name must be qualified").with_position(position));
    }
    if parts.len() > 3 {
        let message = "improper qualified name (too many dotted names)";
        return Err(Error::new(crate::error::ErrorKind::Syntax, message).with_position(position));
    }
    Ok(CommentTarget::Column(Name { parts, position: Some(position) }, column))
}
