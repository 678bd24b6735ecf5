//! CREATE: what it creates decides. Catalogs, schemas, views, credentials and locations are read here; tables, functions and roles in
//! their own files.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::reader::{Reader, refused};
use super::{account, function, table};
use crate::catalog::securable::Secret;
use crate::error::Result;
use crate::sql::statement::Command;

/// What stands between CREATE and the kind of object.
#[derive(Default)]
struct Modifiers {
    or_replace: bool,
    temporary: bool,
    external: bool,
}

/// A statement that starts with CREATE.
pub(super) fn create(reader: &mut Reader) -> Result<Command> {
    reader.expect_word("create")?;
    let modifiers = modifiers(reader)?;
    let kind = reader.peek_word(0);
    if modifiers.temporary && matches!(kind, "view" | "function") {
        let hint = "Use a common table expression (WITH), or a temporary table.";
        return Err(refused(format!("a temporary {kind}"), hint));
    }
    if modifiers.or_replace && !matches!(kind, "table" | "view" | "function") {
        return Err(refuse_kind(reader).unwrap_or_else(|| reader.unexpected()));
    }
    let Modifiers { or_replace, external, temporary } = modifiers;
    match kind {
        "table" => table::create_table(reader, or_replace, external, temporary),
        _ if temporary => Err(reader.unexpected()),
        _ if external && kind != "location" => Err(reader.unexpected()),
        "location" if external => create_external_location(reader),
        "view" => create_view(reader, or_replace),
        "function" => function::create_function(reader, or_replace),
        "catalog" | "database" => create_catalog(reader),
        "schema" => create_schema(reader),
        "user" | "role" | "group" => account::create(reader),
        "token" => account::create_token(reader),
        "storage" => create_storage_credential(reader),
        _ => Err(refuse_kind(reader).unwrap_or_else(|| reader.unexpected())),
    }
}

fn modifiers(reader: &mut Reader) -> Result<Modifiers> {
    let mut modifiers = Modifiers { or_replace: reader.words(&["or", "replace"]), ..Modifiers::default() };
    if !modifiers.or_replace && reader.peek_words(&["or", "refresh"]) {
        return Err(refused("a streaming table or materialized view", "Use CREATE VIEW, or CREATE TABLE .. AS SELECT .."));
    }
    while let Some(word) = reader.one_of(&["global", "local", "temp", "temporary", "unlogged", "external"]) {
        match word {
            "external" => modifiers.external = true,
            "unlogged" => return Err(refused("an unlogged table", "Leave UNLOGGED out.")),
            _ => modifiers.temporary = true,
        }
    }
    Ok(modifiers)
}

/// Kinds of objects that PostgreSQL or Databricks has and the warehouse lacks.
fn refuse_kind(reader: &Reader) -> Option<crate::error::Error> {
    Some(match reader.peek_word(0) {
        "index" | "unique" => refused("CREATE INDEX", "Partition the table: PARTITIONED BY (column)."),
        "materialized" | "streaming" | "live" => {
            refused("a streaming table or materialized view", "Use CREATE VIEW, or CREATE TABLE .. AS SELECT ..")
        }
        "recursive" => refused("CREATE RECURSIVE VIEW", "Use CREATE VIEW .. AS WITH RECURSIVE .."),
        "policy" => refused("CREATE POLICY", "Use ALTER TABLE .. SET ROW FILTER and ALTER COLUMN .. SET MASK."),
        "sequence" => refused("CREATE SEQUENCE", "Use uuid values, or row_number() in a query."),
        "type" | "domain" => refused("CREATE TYPE", "Use the built-in types."),
        "foreign" | "server" => refused("a foreign table or server", "Register Delta tables with CREATE TABLE .. LOCATION 'url'."),
        word @ ("access" | "aggregate" | "cast" | "collation" | "connection" | "constraint" | "conversion" | "event"
        | "extension" | "language" | "model" | "operator" | "procedure" | "provider" | "publication" | "recipient"
        | "rule" | "share" | "statistics" | "subscription" | "tablespace" | "text" | "transform" | "trigger"
        | "trusted" | "volume" | "warehouse") => refused(
            format!("CREATE {}", word.to_uppercase()),
            "The objects are catalogs, schemas, tables, views, functions, roles, storage credentials and external locations.",
        ),
        _ => return None,
    })
}

pub(super) fn if_not_exists(reader: &mut Reader) -> bool {
    reader.words(&["if", "not", "exists"])
}

/// COMMENT 'text', with or without `=` or IS.
pub(super) fn comment(reader: &mut Reader) -> Result<Option<String>> {
    if !reader.word("comment") {
        return Ok(None);
    }
    if !reader.token(&Token::Eq) {
        reader.word("is");
    }
    reader.string().map(Some)
}

fn create_catalog(reader: &mut Reader) -> Result<Command> {
    reader.skip(1);
    let if_not_exists = if_not_exists(reader);
    let name = reader.identifier()?;
    let (mut managed_location, mut text) = (None, None);
    while !reader.at_end() {
        if reader.words(&["managed", "location"]) {
            managed_location = Some(reader.string()?);
        } else if let Some(comment) = comment(reader)? {
            text = Some(comment);
        } else {
            let hint = "The clauses are MANAGED LOCATION 'url' and COMMENT 'text'; ALTER CATALOG .. OWNER TO sets the owner.";
            return Err(match reader.peek_word(0) {
                "with" | "owner" | "template" | "encoding" | "locale" | "lc_collate" | "lc_ctype" | "tablespace" | "connection"
                | "allow_connections" | "is_template" | "using" | "options" | "default" => {
                    refused("this clause of CREATE CATALOG", hint)
                }
                _ => reader.unexpected(),
            });
        }
    }
    Ok(Command::CreateCatalog { name, if_not_exists, managed_location, comment: text })
}

fn create_schema(reader: &mut Reader) -> Result<Command> {
    reader.skip(1);
    let if_not_exists = if_not_exists(reader);
    let unnamed = reader.peek_word(0) == "authorization";
    let position = reader.position();
    let mut name = if unnamed { None } else { Some(reader.name()?) };
    let (mut authorization, mut managed_location, mut text) = (None, None, None);
    while !reader.at_end() {
        if reader.word("authorization") {
            authorization = Some(reader.identifier()?);
        } else if reader.words(&["managed", "location"]) {
            managed_location = Some(reader.string()?);
        } else if let Some(comment) = comment(reader)? {
            text = Some(comment);
        } else {
            return Err(match reader.peek_word(0) {
                "location" => refused("LOCATION of a schema", "Use MANAGED LOCATION 'url'."),
                "create" | "grant" => refused("a schema with its elements", "Create them by statements of their own."),
                "with" | "default" => {
                    refused("this clause of CREATE SCHEMA", "The clauses are AUTHORIZATION, MANAGED LOCATION and COMMENT.")
                }
                _ => reader.unexpected(),
            });
        }
    }
    if name.is_none() {
        name = authorization.clone().map(|role| crate::sql::statement::Name { parts: vec![role], position: Some(position) });
    }
    match name {
        Some(name) => Ok(Command::CreateSchema { name, if_not_exists, managed_location, authorization, comment: text }),
        None => Err(reader.unexpected()),
    }
}

fn create_view(reader: &mut Reader, or_replace: bool) -> Result<Command> {
    reader.expect_word("view")?;
    let if_not_exists = if_not_exists(reader);
    let name = reader.name()?;
    let columns = match reader.peek_token(0) {
        Token::LParen => reader.parenthesized(view_column)?,
        _ => vec![],
    };
    let mut text = None;
    while !reader.word("as") {
        match comment(reader)? {
            Some(comment) => text = Some(comment),
            None => {
                return Err(match reader.peek_word(0) {
                    "with" | "tblproperties" | "default" | "using" => {
                        refused("this clause of CREATE VIEW", "The clauses are the column names, COMMENT 'text' and AS.")
                    }
                    _ => reader.unexpected(),
                });
            }
        }
    }
    let (query, query_text) = reader.query_with_text()?;
    if reader.peek_word(0) == "with" {
        return Err(refused("WITH CHECK OPTION", "Views are not written to."));
    }
    Ok(Command::CreateView { name, or_replace, if_not_exists, columns, query, query_text, comment: text })
}

fn view_column(reader: &mut Reader) -> Result<String> {
    let name = reader.identifier()?;
    match reader.peek_word(0) {
        "comment" => Err(refused("COMMENT on a column of CREATE VIEW", "Use COMMENT ON COLUMN view.column IS 'text'.")),
        "mask" => Err(refused("a mask on a view", "Set the mask on the table.")),
        _ => Ok(name),
    }
}

fn create_storage_credential(reader: &mut Reader) -> Result<Command> {
    reader.expect_words(&["storage", "credential"])?;
    let if_not_exists = if_not_exists(reader);
    let name = reader.identifier()?;
    let (mut options, mut text) = (vec![], None);
    while !reader.at_end() {
        if reader.word("with") {
            options = reader.parenthesized(option)?;
        } else if let Some(comment) = comment(reader)? {
            text = Some(comment);
        } else {
            return Err(reader.unexpected());
        }
    }
    Ok(Command::CreateStorageCredential { name, if_not_exists, options: Secret::new(options), comment: text })
}

/// `key = 'value'`; the key is a word with dots, or a string.
pub(super) fn option(reader: &mut Reader) -> Result<(String, String)> {
    let key = match reader.optional_string() {
        Some(key) => key,
        None => {
            let mut parts = vec![reader.label()?];
            while reader.token(&Token::Period) {
                parts.push(reader.label()?);
            }
            parts.join(".")
        }
    };
    reader.token(&Token::Eq);
    let value = match reader.peek_token(0) {
        Token::SingleQuotedString(text) => text.clone(),
        Token::Number(digits, _) => digits.clone(),
        Token::Word(word) if matches!(word.value.as_str(), "true" | "false") => word.value.clone(),
        _ => return Err(reader.unexpected()),
    };
    reader.skip(1);
    Ok((key, value))
}

fn create_external_location(reader: &mut Reader) -> Result<Command> {
    reader.expect_word("location")?;
    let if_not_exists = if_not_exists(reader);
    let name = reader.identifier()?;
    reader.expect_word("url")?;
    let url = reader.string()?;
    let (mut credential, mut text) = (None, None);
    while !reader.at_end() {
        if reader.word("with") {
            let names = reader.parenthesized(|reader| {
                reader.word("storage");
                reader.expect_word("credential")?;
                reader.identifier()
            })?;
            credential = names.into_iter().next_back();
        } else if let Some(comment) = comment(reader)? {
            text = Some(comment);
        } else {
            return Err(reader.unexpected());
        }
    }
    Ok(Command::CreateExternalLocation { name, if_not_exists, url, credential, comment: text })
}
