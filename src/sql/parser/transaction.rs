//! Transaction control, and SQL-level prepared statements.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::reader::{Reader, refused};
use super::session::isolation_level;
use super::{insert, query};
use crate::error::Result;
use crate::sql::statement::{Parsed, PreparedStatement, Statement, TransactionStatement};

/// BEGIN and what belongs to it.
pub(super) fn transaction(reader: &mut Reader) -> Result<Statement> {
    let statement = match reader.one_of(&["begin", "start", "commit", "end", "rollback", "abort", "savepoint", "release"]) {
        Some("begin") => {
            skip_noise(reader);
            begin(reader)?
        }
        Some("start") => {
            reader.expect_word("transaction")?;
            begin(reader)?
        }
        Some("commit" | "end") => {
            refuse_two_phases(reader)?;
            skip_noise(reader);
            refuse_chain(reader)?;
            TransactionStatement::Commit
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
    refuse_chain(reader)?;
    Ok(TransactionStatement::Rollback)
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

fn refuse_chain(reader: &mut Reader) -> Result<()> {
    if reader.words(&["and", "no", "chain"]) {
        return Ok(());
    }
    match reader.peek_words(&["and", "chain"]) {
        true => Err(refused("AND CHAIN", "Send BEGIN for the next transaction.")),
        false => Ok(()),
    }
}

fn begin(reader: &mut Reader) -> Result<TransactionStatement> {
    let mut read_only = None;
    let mut isolation = None;
    while !reader.at_end() {
        if reader.words(&["isolation", "level"]) {
            isolation = Some(isolation_level(reader)?.to_string());
        } else if reader.words(&["read", "only"]) {
            read_only = Some(true);
        } else if reader.words(&["read", "write"]) {
            read_only = Some(false);
        } else if !reader.word("deferrable") {
            // Snapshots are read without waiting: a transaction has nothing to defer.
            reader.expect_words(&["not", "deferrable"])?;
        }
        if reader.token(&Token::Comma) && reader.at_end() {
            return Err(reader.unexpected());
        }
    }
    Ok(TransactionStatement::Begin { read_only, isolation })
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
    Ok(PreparedStatement::Prepare {
        name,
        types,
        statement: Box::new(Parsed { statement, text: reader.text_since(from), parameters }),
    })
}

fn execute(reader: &mut Reader) -> Result<PreparedStatement> {
    let name = reader.identifier()?;
    let arguments = match reader.peek_token(0) {
        Token::LParen => reader.parenthesized(Reader::expression)?,
        _ => vec![],
    };
    Ok(PreparedStatement::Execute { name, arguments })
}
