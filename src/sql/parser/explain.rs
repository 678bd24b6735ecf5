//! EXPLAIN, with PostgreSQL's two option lists and Databricks' words.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::reader::{Reader, refused};
use super::statement;
use crate::error::{Error, ErrorKind, Result};
use crate::sql::statement::{Command, CursorStatement, Explain, ExplainFormat, PreparedStatement, Statement};

/// EXPLAIN [ANALYZE] [VERBOSE] statement, EXPLAIN (options) statement, EXPLAIN {EXTENDED | FORMATTED} statement.
pub(super) fn explain(reader: &mut Reader) -> Result<Statement> {
    reader.expect_word("explain")?;
    let mut explain = Options { analyze: false, verbose: false, format: ExplainFormat::Text };
    let has_list = *reader.peek_token(0) == Token::LParen && is_option(reader.peek_word(1));
    if has_list {
        reader.parenthesized(|reader| explain.option(reader))?;
    } else {
        explain.analyze = reader.one_of(&["analyze", "analyse"]).is_some();
        explain.verbose = reader.one_of(&["verbose", "extended"]).is_some();
        if !explain.verbose && matches!(reader.peek_word(0), "codegen" | "cost") {
            return Err(refused("EXPLAIN CODEGEN or COST", "Use EXPLAIN VERBOSE."));
        }
        reader.word("formatted");
    }
    if reader.peek_word(0) == "explain" {
        return Err(reader.unexpected());
    }
    let unexpected = reader.unexpected();
    let statement = statement(reader)?;
    let explainable = matches!(
        &statement,
        Statement::Query(_)
            | Statement::Prepared(PreparedStatement::Execute { .. })
            | Statement::Cursor(CursorStatement::Declare { .. })
            | Statement::Command(Command::Insert { .. } | Command::CreateTable(_) | Command::CreateView { .. })
    );
    if !explainable {
        return Err(unexpected);
    }
    let Options { analyze, verbose, format } = explain;
    Ok(Statement::Explain(Explain { analyze, verbose, format, statement: Box::new(statement) }))
}

struct Options {
    analyze: bool,
    verbose: bool,
    format: ExplainFormat,
}

fn is_option(word: &str) -> bool {
    matches!(
        word,
        "analyze"
            | "analyse"
            | "verbose"
            | "costs"
            | "settings"
            | "generic_plan"
            | "buffers"
            | "serialize"
            | "wal"
            | "timing"
            | "summary"
            | "memory"
            | "format"
    )
}

impl Options {
    fn option(&mut self, reader: &mut Reader) -> Result<()> {
        match reader.label()?.as_str() {
            "analyze" | "analyse" => self.analyze = boolean(reader)?,
            "verbose" => self.verbose = boolean(reader)?,
            // They choose what PostgreSQL's text shows of its costs and buffers; ours has neither.
            "costs" | "settings" | "buffers" | "wal" | "timing" | "summary" | "memory" => {
                boolean(reader)?;
            }
            "format" => self.format = format(reader)?,
            "generic_plan" | "serialize" => return Err(refused("this option of EXPLAIN", "Leave it out.")),
            option => {
                let message = format!("unrecognized EXPLAIN option \"{option}\"");
                return Err(Error::new(ErrorKind::Syntax, message));
            }
        }
        Ok(())
    }
}

fn format(reader: &mut Reader) -> Result<ExplainFormat> {
    let name = match reader.optional_string() {
        Some(name) => name,
        None => reader.label()?,
    };
    match name.to_ascii_lowercase().as_str() {
        "text" => Ok(ExplainFormat::Text),
        "json" => Ok(ExplainFormat::Json),
        "xml" | "yaml" => Err(refused("EXPLAIN in XML or YAML", "Use FORMAT JSON.")),
        other => {
            let message = format!("unrecognized value for EXPLAIN option \"format\": \"{other}\"");
            Err(Error::new(ErrorKind::InvalidParameter, message))
        }
    }
}

/// An optional boolean; true when it is not there.
fn boolean(reader: &mut Reader) -> Result<bool> {
    let value = match reader.peek_token(0) {
        Token::SingleQuotedString(text) => text.to_ascii_lowercase(),
        Token::Word(word) => word.value.clone(),
        Token::Number(digits, _) => digits.clone(),
        _ => return Ok(true),
    };
    let value = match value.as_str() {
        "true" | "on" | "1" => true,
        "false" | "off" | "0" => false,
        _ => return Err(reader.unexpected()),
    };
    reader.skip(1);
    Ok(value)
}
