//! CREATE FUNCTION: one expression over its parameters, in Databricks' form (`RETURN expr`) and in PostgreSQL's (`AS 'SELECT expr'`).

use datafusion::sql::sqlparser::ast::Expr;
use datafusion::sql::sqlparser::tokenizer::Token;

use super::create::{comment, if_not_exists};
use super::reader::{Reader, refused};
use crate::error::{Error, ErrorKind, Result};
use crate::sql::dialect::LakeholdDialect;
use crate::sql::limits::Limits;
use crate::sql::rewrite::rewrite;
use crate::sql::statement::Command;
use crate::sql::stored::{quoted, replaced};
use crate::sql::token::{Lexeme, tokenize};
use crate::types::SqlType;

/// What the clauses behind RETURNS say.
#[derive(Default)]
struct Clauses {
    body: Option<(Box<Expr>, String)>,
    comment: Option<String>,
}

/// CREATE [OR REPLACE] FUNCTION, behind the modifiers.
pub(super) fn create_function(reader: &mut Reader, or_replace: bool) -> Result<Command> {
    reader.expect_word("function")?;
    let if_not_exists = if_not_exists(reader);
    let name = reader.name()?;
    let parameters = parameters(reader)?;
    reader.expect_word("returns")?;
    if matches!(reader.peek_word(0), "table" | "setof") {
        return Err(refused("a function that returns a table", "Use a view, or a function that returns one value."));
    }
    let returns = reader.data_type()?;
    let mut clauses = Clauses::default();
    while !reader.at_end() {
        clauses.read(reader, &parameters)?;
    }
    let Some((body, body_text)) = clauses.body else {
        return Err(
            Error::new(ErrorKind::InvalidObjectDefinition, "no function body specified").with_hint("End with RETURN expression.")
        );
    };
    Ok(Command::CreateFunction { name, or_replace, if_not_exists, parameters, returns, body, body_text, comment: clauses.comment })
}

fn parameters(reader: &mut Reader) -> Result<Vec<(String, SqlType)>> {
    if *reader.peek_token(1) == Token::RParen {
        reader.expect_token(&Token::LParen)?;
        reader.expect_token(&Token::RParen)?;
        return Ok(vec![]);
    }
    let parameters = reader.parenthesized(parameter)?;
    for (at, (name, _)) in parameters.iter().enumerate() {
        let is_repeated = parameters.iter().take(at).any(|(other, _)| other == name);
        if is_repeated {
            let message = format!("parameter name \"{name}\" used more than once");
            return Err(Error::new(ErrorKind::InvalidObjectDefinition, message));
        }
    }
    Ok(parameters)
}

fn parameter(reader: &mut Reader) -> Result<(String, SqlType)> {
    if matches!(reader.peek_word(0), "out" | "inout" | "variadic") {
        return Err(refused("an OUT, INOUT or VARIADIC parameter", "A function has IN parameters and one result."));
    }
    if reader.peek_word(0) == "in" {
        reader.skip(1);
    }
    let name = reader.identifier()?;
    if matches!(reader.peek_token(0), Token::Comma | Token::RParen) {
        return Err(refused("a parameter without a name", "Write name and type: f(a int)."));
    }
    let sql_type = reader.data_type()?;
    match reader.peek_token(0) {
        Token::Comma | Token::RParen => Ok((name, sql_type)),
        Token::Eq => Err(refused("DEFAULT of a parameter", "Give every argument in the call.")),
        _ if matches!(reader.peek_word(0), "default" | "comment") => {
            Err(refused("DEFAULT or COMMENT of a parameter", "Give every argument in the call; comment on the function."))
        }
        _ => Err(reader.unexpected()),
    }
}

impl Clauses {
    fn read(&mut self, reader: &mut Reader, parameters: &[(String, SqlType)]) -> Result<()> {
        if let Some(text) = comment(reader)? {
            self.comment = Some(text);
            return Ok(());
        }
        let volatility = reader.one_of(&["immutable", "stable", "volatile", "deterministic"]).is_some()
            || reader.words(&["not", "deterministic"])
            || reader.words(&["contains", "sql"])
            || reader.words(&["reads", "sql", "data"])
            || reader.words(&["called", "on", "null", "input"])
            || reader.words(&["sql", "security", "definer"])
            || reader.words(&["security", "definer"]);
        if volatility {
            // The body is inlined: what it calls decides how volatile it is, and it reads with its owner's privileges.
            return Ok(());
        }
        match reader.peek_word(0) {
            "language" => self.language(reader),
            "return" => self.return_expression(reader),
            "as" => self.quoted_body(reader, parameters),
            "parallel" => {
                reader.skip(2);
                Ok(())
            }
            "cost" => {
                reader.skip(1);
                reader.integer().map(|_| ())
            }
            "strict" | "returns" => Err(refused("STRICT", "Write the NULL case out: CASE WHEN a IS NULL THEN NULL ELSE .. END.")),
            "security" | "sql" => {
                Err(refused("SECURITY INVOKER", "A function reads tables with its owner's privileges; leave the clause out."))
            }
            "begin" => Err(refused("a function with a block", "Use RETURN expression.")),
            "leakproof" | "window" | "set" | "support" | "transform" | "rows" | "environment" | "handler" => {
                Err(refused("this clause of CREATE FUNCTION", "The clauses are LANGUAGE SQL, COMMENT and RETURN expression."))
            }
            "not" if reader.peek_words(&["not", "leakproof"]) => {
                reader.skip(2);
                Ok(())
            }
            _ => Err(reader.unexpected()),
        }
    }

    fn language(&mut self, reader: &mut Reader) -> Result<()> {
        reader.expect_word("language")?;
        let language = match reader.optional_string() {
            Some(language) => language.to_ascii_lowercase(),
            None => reader.label()?,
        };
        if language != "sql" {
            return Err(refused(format!("language {language}"), "Functions are written in SQL."));
        }
        Ok(())
    }

    fn set_body(&mut self, body: Box<Expr>, text: String) -> Result<()> {
        match self.body.replace((body, text)) {
            None => Ok(()),
            Some(_) => Err(Error::new(ErrorKind::InvalidObjectDefinition, "function has more than one body")),
        }
    }

    fn return_expression(&mut self, reader: &mut Reader) -> Result<()> {
        reader.expect_word("return")?;
        let from = reader.index();
        if matches!(reader.peek_word(0), "select" | "with" | "values" | "table") {
            let (query, text) = reader.query_with_text()?;
            return self.set_body(Box::new(Expr::Subquery(query)), format!("({text})"));
        }
        let body = Box::new(reader.expression()?);
        let text = reader.text_since(from);
        self.set_body(body, text)
    }

    /// `AS 'SELECT ..'`: a text of its own, in which `$1` is the first parameter.
    fn quoted_body(&mut self, reader: &mut Reader, parameters: &[(String, SqlType)]) -> Result<()> {
        reader.expect_word("as")?;
        let text = reader.string()?;
        if *reader.peek_token(0) == Token::Comma {
            return Err(refused("a function in an object file", "Functions are written in SQL."));
        }
        let (body, text) = parse_body(&text, parameters).map_err(without_position)?;
        self.set_body(body, text)
    }
}

/// `SELECT expression` is that expression; any other query is a scalar subquery.
fn parse_body(text: &str, parameters: &[(String, SqlType)]) -> Result<(Box<Expr>, String)> {
    let limits = Limits::default();
    let text = name_parameters(text, &tokenize(text, limits.tokens)?, parameters)?;
    let lexemes = rewrite(tokenize(&text, limits.tokens)?);
    let statement = match lexemes.split_last() {
        Some((last, rest)) if last.token.token == Token::SemiColon => rest,
        _ => lexemes.as_slice(),
    };
    limits.check(statement)?;
    let dialect = LakeholdDialect::new(statement.len());
    let mut reader = Reader::new(&dialect, &text, statement, None);
    if reader.word("select")
        && let Ok(body) = reader.expression()
        && reader.at_end()
    {
        return Ok((Box::new(body), reader.text_since(1)));
    }
    let mut reader = Reader::new(&dialect, &text, statement, None);
    let (query, text) = reader.query_with_text()?;
    reader.expect_end()?;
    Ok((Box::new(Expr::Subquery(query)), format!("({text})")))
}

/// The text with the parameters' names in the place of `$1`, `$2`, ..
fn name_parameters(text: &str, lexemes: &[Lexeme], parameters: &[(String, SqlType)]) -> Result<String> {
    let mut places = Vec::new();
    for lexeme in lexemes {
        let Token::Placeholder(placeholder) = &lexeme.token.token else { continue };
        let number = placeholder.trim_start_matches('$').parse::<usize>().ok();
        let Some((name, _)) = number.and_then(|number| parameters.get(number.checked_sub(1)?)) else {
            return Err(Error::new(ErrorKind::UndefinedParameter, format!("there is no parameter {placeholder}")));
        };
        places.push((lexeme.bytes.clone(), quoted(name)));
    }
    Ok(replaced(text, &places))
}

/// The position belongs to the text inside the constant.
fn without_position(error: Error) -> Error {
    let detail = format!("In the function's body: {}.", error.message());
    let outer = Error::new(error.kind(), "function body is not valid").with_detail(detail);
    match error.hint() {
        Some(hint) => outer.with_hint(hint),
        None => outer,
    }
}
