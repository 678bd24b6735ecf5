//! Text to statements.
//!
//! ```text
//! text ─▶ token (once) ─▶ rewrite ─▶ split at `;` ─▶ limits ─▶ first word ─┬─▶ hand parsers: session, transaction, DDL, DCL, ..
//!                                                                          └─▶ sqlparser: queries and expressions
//!                                                                                   └─▶ check: nothing is ignored in silence
//! ```
//! Statements are parsed by hand because sqlparser's own statement parser knows neither half of the grammar (Unity Catalog's GRANT,
//! row filters, PostgreSQL's cursors) and keeps what it does not know in free-form variants. Queries and expressions inside them are
//! handed to sqlparser over the same tokens; nothing is printed and parsed again.
//!
//! The whole text is parsed before any of it runs, so a text with one refused statement runs none.
//!
//! # For the binder
//! - Identifiers in the AST are folded: compare `value` exactly. `quote_style` is `None` or `"`.
//! - `span.start.column` of an identifier or value is its 1-based character position in the text of the message, ready for
//!   [`Error::with_position`]; 0 means unknown.
//! - Time travel is `TableFactor::Table.version`: `VersionAsOf(number or $n)` or `TimestampAsOf(expression)`.
//! - AND and OR trees are balanced: an arm may be a chain itself, in order.
//! - `TABLE t` has become `SELECT * FROM t`; `OPERATOR(pg_catalog.~)` is the plain operator; string constants of every kind are
//!   `SingleQuotedString`, `X'..'` is a `HexStringLiteral` (bytes).
//! - Refused before the binder: FOR UPDATE, TABLESAMPLE, SELECT INTO, LATERAL VIEW, FETCH .. WITH TIES, DML in WITH, PIVOT.
//!   Passed on, to be honoured or refused: QUALIFY, `* EXCEPT (..)`, GROUP BY ALL, GROUPING SETS, SEMI and ANTI joins, `TRY_CAST`,
//!   WITH ORDINALITY, `FETCH FIRST`, named windows, `<=>`.

mod account;
mod alter;
mod check;
mod copy;
mod copy_options;
mod create;
mod cursor;
mod describe;
mod explain;
mod function;
mod grant;
mod insert;
mod reader;
mod session;
mod table;
mod transaction;

#[cfg(test)]
mod tests;

use super::dialect::LakeholdDialect;
use super::limits::Limits;
use super::rewrite::rewrite;
use super::statement::{Command, Parsed, Statement};
use super::token::{Lexeme, tokenize};
use crate::error::{Error, ErrorKind, Result};
use datafusion::sql::sqlparser::tokenizer::Token;
use reader::{Reader, highest_parameter, refused};

/// Parses the statements of one text; a text without any gives an empty list.
///
/// Costs time linear in the text. Nothing is executed, nothing is looked up.
///
/// # Errors
/// [`ErrorKind::Syntax`] with a position for what the grammar does not accept, [`ErrorKind::Unsupported`] with a hint for what it
/// knows and refuses, [`ErrorKind::ProgramLimit`] and [`ErrorKind::TooComplex`] above the limits.
pub fn parse(text: &str, limits: &Limits) -> Result<Vec<Parsed>> {
    limits.check_text(text)?;
    reserve_stack();
    let lexemes = rewrite(tokenize(text, limits.tokens)?);
    let mut statements = Vec::new();
    for (part, semicolon) in split(&lexemes) {
        if part.is_empty() {
            continue;
        }
        if statements.len() == limits.statements {
            let message = format!("text has more than {} statements", limits.statements);
            return Err(Error::new(ErrorKind::ProgramLimit, message));
        }
        limits.check(part)?;
        statements.push(parse_one(text, part, semicolon)?);
    }
    Ok(statements)
}

/// sqlparser and DataFusion move to a new stack when little is left of the one they run on. "Little" is 128 KiB by default, less than
/// some of their frames need together in a debug build.
fn reserve_stack() {
    recursive::set_minimum_stack_size(512 << 10);
    recursive::set_stack_allocation_size(4 << 20);
}

/// The statements between the semicolons, each with the semicolon behind it.
fn split(lexemes: &[Lexeme]) -> impl Iterator<Item = (&[Lexeme], Option<&Lexeme>)> {
    lexemes.split_inclusive(|lexeme| lexeme.token.token == Token::SemiColon).map(|part| match part.split_last() {
        Some((last, rest)) if last.token.token == Token::SemiColon => (rest, Some(last)),
        _ => (part, None),
    })
}

fn parse_one(text: &str, lexemes: &[Lexeme], semicolon: Option<&Lexeme>) -> Result<Parsed> {
    let dialect = LakeholdDialect::new(lexemes.len());
    let mut reader = Reader::new(&dialect, text, lexemes, semicolon);
    let parsed = statement(&mut reader)?;
    reader.expect_end()?;
    // The parameters of PREPARE's statement are its own.
    let parameters = if matches!(parsed, Statement::Prepared(_)) { 0 } else { highest_parameter(lexemes)? };
    Ok(Parsed::new(parsed, reader.text_since(0), parameters))
}

/// One statement, by its first word.
fn statement(reader: &mut Reader) -> Result<Statement> {
    match reader.peek_word(0) {
        "select" | "with" | "values" | "table" => query(reader),
        "explain" => explain::explain(reader),
        "set" | "show" | "reset" | "use" | "discard" | "unlisten" | "listen" | "notify" => session::session(reader),
        "begin" | "start" | "commit" | "end" | "rollback" | "abort" | "savepoint" | "release" => transaction::transaction(reader),
        "prepare" | "execute" | "deallocate" => transaction::prepared(reader),
        "declare" | "fetch" | "move" | "close" => cursor::cursor(reader),
        "copy" => copy::copy(reader),
        "create" => create::create(reader).map(Statement::Command),
        "drop" => alter::drop(reader).map(Statement::Command),
        "alter" => alter::alter(reader).map(Statement::Command),
        "comment" => alter::comment(reader).map(Statement::Command),
        "insert" => insert::insert(reader).map(Statement::Command),
        "grant" => grant::grant(reader).map(Statement::Command),
        "revoke" => grant::revoke(reader).map(Statement::Command),
        "lock" => session::lock(reader).map(Statement::Command),
        "describe" | "desc" => describe::describe(reader).map(Statement::Command),
        "" if *reader.peek_token(0) == Token::LParen => query(reader),
        word => match refusal(word) {
            Some(error) => Err(error),
            None => Err(reader.unexpected()),
        },
    }
}

/// A query, or SELECT .. INTO, which is another way to write CREATE TABLE AS.
fn query(reader: &mut Reader) -> Result<Statement> {
    let (query, into) = reader.query_into()?;
    Ok(match into {
        Some(into) => Statement::Command(table::select_into(into, query)?),
        None => Statement::Query(query),
    })
}

/// Statements of PostgreSQL and Databricks that are known by name and not (yet) there.
fn refusal(first_word: &str) -> Option<Error> {
    let rewrite_table = "Create a new table from a query: CREATE TABLE .. AS SELECT ..";
    let (what, hint) = match first_word {
        "update" => ("UPDATE", rewrite_table),
        "delete" => ("DELETE", rewrite_table),
        "merge" => ("MERGE", rewrite_table),
        "truncate" => ("TRUNCATE", "Drop the table and create it again."),
        "optimize" => ("OPTIMIZE", "Run it with another engine on the same Delta table."),
        "vacuum" => ("VACUUM", "Run it with another engine on the same Delta table."),
        "analyze" | "analyse" => ("ANALYZE", "Statistics are read from the Delta log; there is nothing to collect."),
        "restore" => ("RESTORE", "Read the old version with SELECT .. FROM t VERSION AS OF n."),
        "refresh" => ("REFRESH", "Tables are read at their newest version; nothing needs a refresh."),
        "undrop" => ("UNDROP", "Register the table again: CREATE TABLE .. LOCATION 'url'."),
        "msck" | "repair" | "fsck" | "reorg" | "convert" | "generate" => {
            ("this maintenance statement", "Run it with another engine on the same Delta table.")
        }
        "deny" => ("DENY", "Privileges are granted, never denied: REVOKE what was granted."),
        "call" => ("CALL", "There are no procedures; call a function with SELECT."),
        "do" => ("DO", "There are no anonymous code blocks."),
        "cluster" | "reindex" | "checkpoint" => ("this maintenance statement", "There are no indexes and no heap to maintain."),
        "security" => ("SECURITY LABEL", "Use row filters and column masks."),
        "reassign" => ("REASSIGN OWNED", "Use ALTER .. OWNER TO for each object."),
        "import" => ("IMPORT FOREIGN SCHEMA", "Register tables with CREATE TABLE .. LOCATION 'url'."),
        "load" => ("LOAD", "The server loads no libraries and no files."),
        "cache" | "uncache" => ("CACHE", "Results are cached by the server itself."),
        "replace" => ("REPLACE", "Use CREATE OR REPLACE."),
        _ => return None,
    };
    Some(refused(what, hint))
}

impl Command {
    /// Whether the statement changes nothing: it may run in a read-only transaction.
    pub fn is_read_only(&self) -> bool {
        match self {
            Command::ShowGrants { .. }
            | Command::ShowTokens { .. }
            | Command::ShowCatalogs { .. }
            | Command::ShowSchemas { .. }
            | Command::ShowTables { .. }
            | Command::ShowViews { .. }
            | Command::ShowColumns { .. }
            | Command::DescribeTable { .. }
            | Command::Lock { .. }
            | Command::DescribeHistory { .. } => true,
            Command::CreateCatalog { .. }
            | Command::CreateSchema { .. }
            | Command::Drop { .. }
            | Command::CreateTable(_)
            | Command::CreateView { .. }
            | Command::CreateFunction { .. }
            | Command::Insert { .. }
            | Command::CopyIn(_)
            | Command::CreatePrincipal { .. }
            | Command::AlterPrincipal { .. }
            | Command::AlterSettings { .. }
            | Command::RenamePrincipal { .. }
            | Command::DropPrincipal { .. }
            | Command::CreateToken { .. }
            | Command::DropToken { .. }
            | Command::AddMember { .. }
            | Command::RemoveMember { .. }
            | Command::CreateStorageCredential { .. }
            | Command::CreateExternalLocation { .. }
            | Command::Grant { .. }
            | Command::Revoke { .. }
            | Command::SetOwner { .. }
            | Command::SetRowFilter { .. }
            | Command::DropRowFilter { .. }
            | Command::SetMask { .. }
            | Command::DropMask { .. }
            | Command::Rename { .. }
            | Command::Comment { .. } => false,
        }
    }
}
