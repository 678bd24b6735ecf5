//! Reads one statement: words, names and constants by hand, queries and expressions by sqlparser, both over the same tokens.

use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;

use super::check;
use crate::error::{Error, ErrorKind, Result};
use crate::sql::dialect::{LakeholdDialect, RESERVED, TYPE_OR_FUNCTION};
use crate::sql::statement::Name;
use crate::sql::token::Lexeme;
use crate::sql::type_name::{column_type_of, sql_type_of};
use crate::types::SqlType;

/// Most nested calls in sqlparser. The tokens were checked before; this is the second line, and its stack grows on the heap.
const RECURSION_LIMIT: usize = 4000;

/// The tokens of one statement, and how far they are read.
pub(super) struct Reader<'a> {
    parser: Parser<'a>,
    text: &'a str,
    lexemes: &'a [Lexeme],
    /// The semicolon behind, if there is one.
    semicolon: Option<&'a Lexeme>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(dialect: &'a LakeholdDialect, text: &'a str, lexemes: &'a [Lexeme], semicolon: Option<&'a Lexeme>) -> Self {
        let tokens = lexemes.iter().map(|lexeme| lexeme.token.clone()).collect();
        let parser = Parser::new(dialect).with_recursion_limit(RECURSION_LIMIT).with_tokens_with_locations(tokens);
        Self { parser, text, lexemes, semicolon }
    }

    /// Number of tokens read.
    pub(super) fn index(&self) -> usize {
        self.parser.index()
    }

    fn peek(&self, ahead: usize) -> Option<&'a Lexeme> {
        self.lexemes.get(self.index() + ahead)
    }

    /// The token `ahead` of the next one.
    pub(super) fn peek_token(&self, ahead: usize) -> &'a Token {
        self.peek(ahead).map_or(&Token::EOF, |lexeme| &lexeme.token.token)
    }

    /// The unquoted word `ahead` of the next token, or an empty string.
    pub(super) fn peek_word(&self, ahead: usize) -> &'a str {
        self.peek(ahead).and_then(Lexeme::word).unwrap_or_default()
    }

    /// Whether these words come next.
    pub(super) fn peek_words(&self, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(ahead, word)| self.peek_word(ahead) == *word)
    }

    /// 1-based position of the next token in the text.
    pub(super) fn position(&self) -> usize {
        match self.peek(0).or(self.semicolon) {
            Some(lexeme) => lexeme.position(),
            None => self.text.chars().count() + 1,
        }
    }

    pub(super) fn at_end(&self) -> bool {
        self.index() >= self.lexemes.len()
    }

    pub(super) fn skip(&mut self, count: usize) {
        for _ in 0..count {
            self.parser.advance_token();
        }
    }

    /// Reads the word if it comes next.
    pub(super) fn word(&mut self, word: &str) -> bool {
        self.words(&[word])
    }

    /// Reads the words if all of them come next.
    pub(super) fn words(&mut self, words: &[&str]) -> bool {
        let found = self.peek_words(words);
        if found {
            self.skip(words.len());
        }
        found
    }

    /// Reads the first of the words that comes next.
    pub(super) fn one_of(&mut self, words: &[&'static str]) -> Option<&'static str> {
        let found = words.iter().copied().find(|word| self.peek_word(0) == *word)?;
        self.skip(1);
        Some(found)
    }

    pub(super) fn expect_word(&mut self, word: &str) -> Result<()> {
        if self.word(word) { Ok(()) } else { Err(self.unexpected()) }
    }

    pub(super) fn expect_words(&mut self, words: &[&str]) -> Result<()> {
        words.iter().try_for_each(|word| self.expect_word(word))
    }

    /// Reads the token if it comes next.
    pub(super) fn token(&mut self, token: &Token) -> bool {
        let found = self.peek_token(0) == token;
        if found {
            self.skip(1);
        }
        found
    }

    pub(super) fn expect_token(&mut self, token: &Token) -> Result<()> {
        if self.token(token) { Ok(()) } else { Err(self.unexpected()) }
    }

    /// Nothing may follow.
    pub(super) fn expect_end(&self) -> Result<()> {
        if self.at_end() { Ok(()) } else { Err(self.unexpected()) }
    }

    /// PostgreSQL's error for the next token.
    pub(super) fn unexpected(&self) -> Error {
        self.unexpected_at(self.index())
    }

    fn unexpected_at(&self, index: usize) -> Error {
        match self.lexemes.get(index).or(self.semicolon) {
            Some(lexeme) => {
                let near = self.text.get(lexeme.bytes.clone()).unwrap_or_default();
                Error::new(ErrorKind::Syntax, format!("syntax error at or near \"{near}\"")).with_position(lexeme.position())
            }
            None => Error::new(ErrorKind::Syntax, "syntax error at end of input").with_position(self.text.chars().count() + 1),
        }
    }

    /// sqlparser's error as PostgreSQL's: the token that it names is found again by its position.
    fn translate(&self, error: ParserError) -> Error {
        let message = match error {
            ParserError::RecursionLimitExceeded => {
                return Error::new(ErrorKind::TooComplex, "statement is too complex").with_position(self.position());
            }
            ParserError::ParserError(message) | ParserError::TokenizerError(message) => message,
        };
        let column = message.rsplit_once("Column: ").and_then(|(_, column)| column.trim().parse::<u64>().ok());
        let index = match column {
            Some(column) => self.lexemes.partition_point(|lexeme| lexeme.token.span.start.column < column),
            None if message.ends_with("found: EOF") => self.lexemes.len(),
            None => self.index(),
        };
        let previous = index.checked_sub(1).and_then(|previous| self.lexemes.get(previous)).and_then(Lexeme::word);
        match (previous, self.lexemes.get(index).and_then(Lexeme::word)) {
            (Some("for"), Some("no" | "key")) => check::row_locks(),
            (Some("variadic"), _) => refused("a VARIADIC argument", "Give the arguments one by one."),
            _ => self.unexpected_at(index).with_source(message),
        }
    }

    /// A string constant in the place of a name has lost its position in the AST; it is found by its text.
    fn locate(&self, error: Error) -> Error {
        let is_lost = error.kind() == ErrorKind::Syntax && error.position().is_none();
        let near = error.message().split_once('"').and_then(|(_, near)| near.strip_suffix('"'));
        let found = self.lexemes.iter().find(|lexeme| self.text.get(lexeme.bytes.clone()) == near);
        match found {
            Some(lexeme) if is_lost => error.with_position(lexeme.position()),
            _ => error,
        }
    }

    /// A name of one part: a quoted word, or one that PostgreSQL does not reserve.
    pub(super) fn identifier(&mut self) -> Result<String> {
        match self.peek_token(0) {
            Token::Word(word) if word.quote_style.is_some() || !is_reserved(word.keyword) => {
                self.skip(1);
                Ok(word.value.clone())
            }
            _ => Err(self.unexpected()),
        }
    }

    /// Any word: what may stand behind a dot or AS.
    pub(super) fn label(&mut self) -> Result<String> {
        match self.peek_token(0) {
            Token::Word(word) => {
                self.skip(1);
                Ok(word.value.clone())
            }
            _ => Err(self.unexpected()),
        }
    }

    /// A name of any number of parts.
    pub(super) fn parts(&mut self) -> Result<Vec<String>> {
        let mut parts = vec![self.identifier()?];
        while self.token(&Token::Period) {
            parts.push(self.label()?);
        }
        Ok(parts)
    }

    /// A name of at most three parts.
    pub(super) fn name(&mut self) -> Result<Name> {
        let position = self.position();
        let parts = self.parts()?;
        if parts.len() > 3 {
            let message = format!("improper qualified name (too many dotted names): {}", parts.join("."));
            return Err(Error::new(ErrorKind::Syntax, message).with_position(position));
        }
        Ok(Name { parts, position: Some(position) })
    }

    pub(super) fn string(&mut self) -> Result<String> {
        match self.peek_token(0) {
            Token::SingleQuotedString(text) => {
                self.skip(1);
                Ok(text.clone())
            }
            _ => Err(self.unexpected()),
        }
    }

    /// A string if one comes next.
    pub(super) fn optional_string(&mut self) -> Option<String> {
        self.string().ok()
    }

    /// A whole number, with a sign if it has one.
    pub(super) fn integer(&mut self) -> Result<i64> {
        let position = self.position();
        let negative = self.token(&Token::Minus);
        if !negative {
            self.token(&Token::Plus);
        }
        let Token::Number(digits, _) = self.peek_token(0) else { return Err(self.unexpected()) };
        let text = if negative { format!("-{digits}") } else { digits.clone() };
        let Ok(number) = text.parse() else {
            return Err(self.unexpected().with_position(position));
        };
        self.skip(1);
        Ok(number)
    }

    /// Items between parentheses, separated by commas; at least one.
    pub(super) fn parenthesized<T>(&mut self, item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        self.expect_token(&Token::LParen)?;
        let items = self.list(item)?;
        self.expect_token(&Token::RParen)?;
        Ok(items)
    }

    /// Items separated by commas; at least one.
    pub(super) fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut items = vec![item(self)?];
        while self.token(&Token::Comma) {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// A query that the warehouse can take.
    pub(super) fn query(&mut self) -> Result<Box<ast::Query>> {
        let query = self.parser.parse_query().map_err(|error| self.translate(error))?;
        check::query(&query).map_err(|error| self.locate(error))?;
        Ok(query)
    }

    /// A query that may say into which new table its rows go.
    pub(super) fn query_into(&mut self) -> Result<(Box<ast::Query>, Option<ast::SelectInto>)> {
        let mut query = self.parser.parse_query().map_err(|error| self.translate(error))?;
        let into = match query.body.as_mut() {
            ast::SetExpr::Select(select) => select.into.take(),
            _ => None,
        };
        check::query(&query).map_err(|error| self.locate(error))?;
        Ok((query, into))
    }

    /// A query with its text.
    pub(super) fn query_with_text(&mut self) -> Result<(Box<ast::Query>, String)> {
        let from = self.index();
        let query = self.query()?;
        Ok((query, self.text_since(from)))
    }

    /// An expression.
    pub(super) fn expression(&mut self) -> Result<ast::Expr> {
        let expr = self.parser.parse_expr().map_err(|error| self.translate(error))?;
        check::expression(&expr).map_err(|error| self.locate(error))?;
        Ok(expr)
    }

    /// A type name.
    pub(super) fn data_type(&mut self) -> Result<SqlType> {
        let position = self.position();
        let data_type = self.parser.parse_data_type().map_err(|error| self.translate(error))?;
        sql_type_of(&data_type).map_err(|error| error.with_position(position))
    }

    /// The type name of a table's column.
    pub(super) fn column_type(&mut self) -> Result<SqlType> {
        let position = self.position();
        let data_type = self.parser.parse_data_type().map_err(|error| self.translate(error))?;
        column_type_of(&data_type).map_err(|error| error.with_position(position))
    }

    /// The text of the tokens read since `from`.
    pub(super) fn text_since(&self, from: usize) -> String {
        let first = self.lexemes.get(from).map(|lexeme| lexeme.bytes.start);
        let last = self.index().checked_sub(1).and_then(|last| self.lexemes.get(last)).map(|lexeme| lexeme.bytes.end);
        match (first, last) {
            (Some(first), Some(last)) => self.text.get(first..last).unwrap_or_default().to_string(),
            _ => String::new(),
        }
    }

    /// The highest `$n` among the tokens from `from` on.
    pub(super) fn parameters_since(&self, from: usize) -> Result<usize> {
        highest_parameter(self.lexemes.get(from..).unwrap_or_default())
    }
}

/// The highest `$n`; PostgreSQL's protocol counts them in 16 bits.
pub(super) fn highest_parameter(lexemes: &[Lexeme]) -> Result<usize> {
    let mut highest = 0;
    for lexeme in lexemes {
        let Token::Placeholder(placeholder) = &lexeme.token.token else { continue };
        match placeholder.trim_start_matches('$').parse::<usize>() {
            Ok(number @ 1..=65535) => highest = highest.max(number),
            _ => {
                let message = format!("there is no parameter {placeholder}");
                return Err(Error::new(ErrorKind::UndefinedParameter, message).with_position(lexeme.position()));
            }
        }
    }
    Ok(highest)
}

/// PostgreSQL's ColId: what may name a table, column or role without quotes.
fn is_reserved(keyword: Keyword) -> bool {
    keyword != Keyword::NoKeyword && (RESERVED.contains(&keyword) || TYPE_OR_FUNCTION.contains(&keyword))
}

/// A statement or clause that is refused by name, with what to do instead.
pub(super) fn refused(what: impl std::fmt::Display, hint: impl Into<String>) -> Error {
    Error::unsupported(what).with_hint(hint)
}
