//! Transaction control, and SQL-level prepared statements.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::reader::{Reader, refused};
use super::session::isolation_level;
use super::{insert, query};
use crate::error::Result;
use crate::sql::statement::{Parsed, PreparedStatement, Statement, TransactionModes, TransactionStatement};

/// BEGIN and what belongs to it.
pub(super) fn transaction(reader: &mut Reader) -> Result<Statement> {
    let statement = match reader.one_of(&["begin", "start", "commit", "end", "rollback", "abort", "savepoint", "release"]) {
        Some("begin") => {
            skip_noise(reader);
            TransactionStatement::Begin { tag: "BEGIN", modes: modes(reader)? }
        }
        Some("start") => {
            reader.expect_word("transaction")?;
            TransactionStatement::Begin { tag: "START TRANSACTION", modes: modes(reader)? }
        }
        Some("commit" | "end") => {
            refuse_two_phases(reader)?;
            skip_noise(reader);
            TransactionStatement::Commit { chain: chain(reader)? }
        }
        Some("savepoint") => TransactionStatement::Savepoint(reader.identifier()?),
        Some("release") => {
            if *reader.peek_token(1) != Token::EOF {
                reader.expect_word("savepoint")?;
            }
            TransactionStatement::Release(reader.identifier()?)
        }
        _ => rollback(reader)?,
    };
    Ok(Statement::Transaction(statement))
}

fn rollback(reader: &mut Reader) -> Result<TransactionStatement> {
    refuse_two_phases(reader)?;
    skip_noise(reader);
    if reader.word("to") {
        if *reader.peek_token(1) != Token::EOF {
            reader.expect_word("savepoint")?;
        }
        return Ok(TransactionStatement::RollbackTo(reader.identifier()?));
    }
    Ok(TransactionStatement::Rollback { chain: chain(reader)? })
}

fn skip_noise(reader: &mut Reader) {
    reader.one_of(&["work", "transaction"]);
}

fn refuse_two_phases(reader: &Reader) -> Result<()> {
    match reader.peek_word(0) {
        "prepared" => Err(refused("two-phase commit", "Use COMMIT or ROLLBACK.")),
        _ => Ok(()),
    }
}

/// AND [NO] CHAIN.
fn chain(reader: &mut Reader) -> Result<bool> {
    if !reader.word("and") {
        return Ok(false);
    }
    let no = reader.word("no");
    reader.expect_word("chain")?;
    Ok(!no)
}

/// The modes of a transaction, with or without commas between them.
pub(super) fn modes(reader: &mut Reader) -> Result<TransactionModes> {
    let mut modes = TransactionModes::default();
    while !reader.at_end() {
        if reader.words(&["isolation", "level"]) {
            modes.isolation = Some(isolation_level(reader)?);
        } else if reader.words(&["read", "only"]) {
            modes.read_only = Some(true);
        } else if reader.words(&["read", "write"]) {
            modes.read_only = Some(false);
        } else if reader.word("deferrable") {
            modes.deferrable = Some(true);
        } else {
            reader.expect_words(&["not", "deferrable"])?;
            modes.deferrable = Some(false);
        }
        if reader.token(&Token::Comma) && reader.at_end() {
            return Err(reader.unexpected());
        }
    }
    Ok(modes)
}

/// PREPARE, EXECUTE, DEALLOCATE.
pub(super) fn prepared(reader: &mut Reader) -> Result<Statement> {
    let statement = match reader.one_of(&["prepare", "execute", "deallocate"]) {
        Some("prepare") => prepare(reader)?,
        Some("execute") => execute(reader)?,
        _ => {
            if !matches!(reader.peek_token(1), Token::EOF) {
                reader.word("prepare");
            }
            let all = reader.word("all");
            PreparedStatement::Deallocate(if all { None } else { Some(reader.identifier()?) })
        }
    };
    Ok(Statement::Prepared(statement))
}

fn prepare(reader: &mut Reader) -> Result<PreparedStatement> {
    if reader.peek_word(0) == "transaction" {
        return Err(refused("two-phase commit", "Use COMMIT or ROLLBACK."));
    }
    let name = reader.identifier()?;
    let types = match reader.peek_token(0) {
        Token::LParen => reader.parenthesized(Reader::data_type)?,
        _ => vec![],
    };
    reader.expect_word("as")?;
    let from = reader.index();
    let statement = match reader.peek_word(0) {
        "select" | "with" | "values" | "table" => query(reader)?,
        "" if *reader.peek_token(0) == Token::LParen => query(reader)?,
        "insert" => Statement::Command(insert::insert(reader)?),
        word => return Err(super::refusal(word).unwrap_or_else(|| reader.unexpected())),
    };
    let parameters = reader.parameters_since(from)?;
    Ok(PreparedStatement::Prepare { name, types, statement: Box::new(Parsed::new(statement, reader.text_since(from), parameters)) })
}

fn execute(reader: &mut Reader) -> Result<PreparedStatement> {
    let name = reader.identifier()?;
    let arguments = match reader.peek_token(0) {
        Token::LParen => reader.parenthesized(Reader::expression)?,
        _ => vec![],
    };
    Ok(PreparedStatement::Execute { name, arguments })
}
