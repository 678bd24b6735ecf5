//! GRANT and REVOKE, in PostgreSQL's and Databricks' vocabularies, and membership in groups.
//!
//! | written | stored |
//! |---|---|
//! | CONNECT, USE CATALOG, USAGE on a catalog | USE CATALOG |
//! | USAGE, USE SCHEMA | USE SCHEMA |
//! | MODIFY | INSERT, UPDATE, DELETE, TRUNCATE |
//! | CREATE | every CREATE .. that the object takes |
//! | ALL, ALL PRIVILEGES | ALL PRIVILEGES |
//! | `account users` | PUBLIC |

use datafusion::sql::sqlparser::tokenizer::Token;

use super::account::{self, role};
use super::alter::{securable_kind, securable_name};
use super::reader::{Reader, refused};
use crate::catalog::privilege::Privilege;
use crate::catalog::securable::SecurableKind;
use crate::error::{Error, ErrorKind, Result};
use crate::sql::statement::{Command, GrantTarget};

/// GRANT privileges ON target TO principals, or GRANT groups TO members.
pub(super) fn grant(reader: &mut Reader) -> Result<Command> {
    reader.expect_word("grant")?;
    let names = phrases(reader, "to")?;
    if reader.word("to") {
        let members = reader.list(role)?;
        if reader.peek_word(0) == "with" {
            return Err(refused("an option of membership", "Groups are changed by administrators."));
        }
        refuse_granted_by(reader)?;
        return Ok(Command::AddMember { groups: groups(names)?, members });
    }
    reader.expect_word("on")?;
    let on = target(reader)?;
    reader.expect_word("to")?;
    let principals = reader.list(grantee)?;
    let grant_option = reader.words(&["with", "grant", "option"]);
    refuse_granted_by(reader)?;
    Ok(Command::Grant { privileges: privileges(names, on.kind)?, on, principals, grant_option })
}

/// REVOKE [GRANT OPTION FOR] privileges ON target FROM principals, or REVOKE groups FROM members.
pub(super) fn revoke(reader: &mut Reader) -> Result<Command> {
    reader.expect_word("revoke")?;
    // A group called token is revoked from somebody: `REVOKE token FROM`.
    if reader.peek_word(0) == "token" && !matches!(reader.peek_word(1), "from" | "on") && *reader.peek_token(1) != Token::Comma {
        reader.skip(1);
        return account::drop_token(reader);
    }
    if reader.peek_words(&["admin", "option", "for"]) {
        return Err(refused("ADMIN OPTION", "Groups are changed by administrators."));
    }
    let grant_option_only = reader.words(&["grant", "option", "for"]);
    let names = phrases(reader, "from")?;
    if !grant_option_only && reader.word("from") {
        let members = reader.list(role)?;
        refuse_granted_by(reader)?;
        refuse_cascade(reader)?;
        return Ok(Command::RemoveMember { groups: groups(names)?, members });
    }
    reader.expect_word("on")?;
    let on = target(reader)?;
    reader.expect_word("from")?;
    let principals = reader.list(grantee)?;
    refuse_granted_by(reader)?;
    let cascade = reader.one_of(&["cascade", "restrict"]) == Some("cascade");
    Ok(Command::Revoke { privileges: privileges(names, on.kind)?, on, principals, grant_option_only, cascade })
}

/// ALTER DEFAULT PRIVILEGES would hold for future objects only, and for those of one role; what is nearest here, a grant on the schema, holds
/// for all that is there already, too. So it is not taken for that.
pub(super) fn default_privileges() -> Error {
    refused(
        "ALTER DEFAULT PRIVILEGES",
        "GRANT .. ON SCHEMA name holds for the objects that are made in the schema later, and for those that are there already.",
    )
}

/// A privilege or a group as written: words, or one quoted name.
struct Phrase {
    words: Vec<String>,
    quoted: bool,
    position: usize,
}

/// The phrases in front of ON, or of the word `end`.
fn phrases(reader: &mut Reader, end: &str) -> Result<Vec<Phrase>> {
    reader.list(|reader| {
        let position = reader.position();
        let mut phrase = Phrase { words: vec![], quoted: false, position };
        while let Token::Word(word) = reader.peek_token(0) {
            let ends = word.quote_style.is_none() && !phrase.words.is_empty() && (word.value == "on" || word.value == end);
            if ends {
                break;
            }
            phrase.quoted |= word.quote_style.is_some();
            phrase.words.push(word.value.clone());
            reader.skip(1);
        }
        if *reader.peek_token(0) == Token::LParen && !phrase.words.is_empty() {
            return Err(refused("a privilege on columns", "Use a column mask, or a view of the columns."));
        }
        if phrase.words.is_empty() { Err(reader.unexpected()) } else { Ok(phrase) }
    })
}

fn groups(phrases: Vec<Phrase>) -> Result<Vec<String>> {
    phrases
        .into_iter()
        .map(|phrase| match <[String; 1]>::try_from(phrase.words) {
            Ok([group]) => Ok(group),
            Err(words) => {
                let near = words.get(1).cloned().unwrap_or_default();
                Err(Error::new(ErrorKind::Syntax, format!("syntax error at or near \"{near}\"")).with_position(phrase.position))
            }
        })
        .collect()
}

fn privileges(phrases: Vec<Phrase>, kind: SecurableKind) -> Result<Vec<Privilege>> {
    let mut privileges = Vec::new();
    for phrase in phrases {
        for privilege in meaning(&phrase, kind)? {
            if !privileges.contains(&privilege) {
                privileges.push(privilege);
            }
        }
    }
    Ok(privileges)
}

/// What a phrase stands for on an object of that kind.
fn meaning(phrase: &Phrase, kind: SecurableKind) -> Result<Vec<Privilege>> {
    let words = phrase.words.join(" ");
    if phrase.quoted {
        return Err(unknown_privilege(&words, phrase.position));
    }
    let privileges = match words.as_str() {
        "all" | "all privileges" => vec![Privilege::AllPrivileges],
        "connect" | "use catalog" | "use database" | "use_catalog" => vec![Privilege::UseCatalog],
        "usage" if kind == SecurableKind::Catalog => vec![Privilege::UseCatalog],
        "usage" | "use schema" | "use_schema" => vec![Privilege::UseSchema],
        "modify" => Privilege::MODIFY.to_vec(),
        "create" => creates(kind),
        "temp" | "temporary" => return Err(refused("the privilege TEMPORARY", "There are no temporary tables.")),
        "references"
        | "trigger"
        | "maintain"
        | "set"
        | "alter system"
        | "apply tag"
        | "assign"
        | "refresh"
        | "read files"
        | "write files"
        | "read volume"
        | "write volume"
        | "create volume"
        | "create model"
        | "create materialized view"
        | "create external location"
        | "create storage credential"
        | "create connection"
        | "create share"
        | "create recipient"
        | "create provider"
        | "external use schema"
        | "external use location"
        | "create managed storage"
        | "read metadata"
        | "any file" => {
            let hint = "The privileges are those that SHOW GRANTS shows: USE, SELECT, MODIFY, EXECUTE, CREATE .., BROWSE, MANAGE.";
            return Err(refused(format!("the privilege {}", words.to_uppercase()), hint));
        }
        other => match Privilege::from_name(&other.replace('_', " ").to_uppercase()) {
            Some(privilege) => vec![privilege],
            None => return Err(unknown_privilege(other, phrase.position)),
        },
    };
    match privileges.iter().find(|privilege| !privilege.applies_to(kind)) {
        None if !privileges.is_empty() => Ok(privileges),
        _ => {
            let message = format!("privilege {} does not apply to a {}", words.to_uppercase(), kind.noun());
            Err(Error::new(ErrorKind::WrongObjectType, message).with_position(phrase.position))
        }
    }
}

fn unknown_privilege(words: &str, position: usize) -> Error {
    Error::new(ErrorKind::Syntax, format!("unrecognized privilege type \"{words}\"")).with_position(position)
}

fn creates(kind: SecurableKind) -> Vec<Privilege> {
    let creating = [
        Privilege::CreateCatalog,
        Privilege::CreateSchema,
        Privilege::CreateTable,
        Privilege::CreateView,
        Privilege::CreateFunction,
        Privilege::CreateExternalTable,
    ];
    creating.into_iter().filter(|privilege| privilege.applies_to(kind)).collect()
}

/// What stands behind ON.
pub(super) fn target(reader: &mut Reader) -> Result<GrantTarget> {
    if reader.word("metastore") {
        return Ok(GrantTarget { kind: SecurableKind::Metastore, names: vec![], all_in_schema: false });
    }
    if reader.word("all") {
        let kind = match reader.one_of(&["tables", "views", "functions", "routines"]) {
            Some("tables") => SecurableKind::Table,
            Some("views") => SecurableKind::View,
            Some(_) => SecurableKind::Function,
            None => return Err(refused("a grant on all objects of this kind", "The kinds are TABLES, VIEWS and FUNCTIONS.")),
        };
        reader.expect_words(&["in", "schema"])?;
        let names = reader.list(|reader| securable_name(reader, SecurableKind::Schema))?;
        return Ok(GrantTarget { kind, names, all_in_schema: true });
    }
    refuse_kind(reader)?;
    let is_bare_name = matches!(reader.peek_word(1), "to" | "from") || *reader.peek_token(1) == Token::Period;
    let kind = if is_bare_name { None } else { securable_kind(reader) };
    let kind = kind.unwrap_or(SecurableKind::Table);
    let names = reader.list(|reader| securable_name(reader, kind))?;
    Ok(GrantTarget { kind, names, all_in_schema: false })
}

fn refuse_kind(reader: &Reader) -> Result<()> {
    match reader.peek_word(0) {
        word @ ("sequence" | "domain" | "foreign" | "language" | "large" | "parameter" | "tablespace" | "type" | "volume"
        | "share" | "connection" | "procedure" | "routine" | "model" | "anonymous" | "any")
            if matches!(reader.peek_token(1), Token::Word(_)) && !matches!(reader.peek_word(1), "to" | "from") =>
        {
            let hint = "The kinds are METASTORE, CATALOG, SCHEMA, TABLE, VIEW, FUNCTION, STORAGE CREDENTIAL and EXTERNAL LOCATION.";
            Err(refused(format!("a grant on a {word}"), hint))
        }
        _ => Ok(()),
    }
}

/// [GROUP | USER | ROLE] name.
fn grantee(reader: &mut Reader) -> Result<String> {
    if matches!(reader.peek_token(1), Token::Word(_) | Token::SingleQuotedString(_)) && reader.peek_word(1) != "with" {
        reader.one_of(&["group", "user", "role"]);
    }
    role(reader)
}

fn refuse_granted_by(reader: &Reader) -> Result<()> {
    match reader.peek_word(0) {
        "granted" => Err(refused(
            "GRANTED BY",
            "The grantor is the owner of the object, for all who manage it, or who holds the privilege WITH GRANT OPTION.",
        )),
        _ => Ok(()),
    }
}

fn refuse_cascade(reader: &mut Reader) -> Result<()> {
    match reader.one_of(&["cascade", "restrict"]) {
        Some("cascade") => Err(refused("REVOKE group .. CASCADE", "Nothing depends on a membership: leave CASCADE out.")),
        _ => Ok(()),
    }
}
