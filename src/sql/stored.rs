//! The text of views and functions: as its author wrote it, with every name of an object written out.
//!
//! ```text
//!  CREATE VIEW ── query ──▶ names written out ─────────────────────────┐
//!            └──── text ──▶ the same names replaced in it ──▶ parsed ──┴─▶ equal? ──▶ stored: text; checked: what it was parsed to
//! ```
//! Nothing prints a syntax tree here. The author's own tokens are kept, comments and line ends included, and only the tokens of names are
//! replaced, so constants, operators and parentheses cannot come out as something else. That the text means what was checked is not left
//! to that: it is parsed again, and what does not come out as the tree with its names written out is refused.
//!
//! Texts of earlier releases were printed by sqlparser, which doubles no quote that stands behind a backslash or another quote: the
//! constant `\' OR true --` became the end of a constant and a condition. What was written cannot be told from such a text any more.
//! [`is_certain_query`] and [`is_certain_expression`] say of which texts it can.

use std::ops::Range;

use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::tokenizer::Token;

use super::limits::Limits;
use super::parser::parse;
use super::references::Renamed;
use super::statement::Statement;
use super::token::{Lexeme, tokenize};
use crate::catalog::CatalogSnapshot;
use crate::catalog::securable::{ObjectId, SecurableKind};
use crate::error::{Error, ErrorKind, Result};

/// A query as it is stored.
#[derive(Debug, Clone)]
pub struct StoredQuery {
    /// What is stored.
    pub text: String,
    /// What it reads as: this is to be bound, checked and searched for uses.
    pub query: ast::Query,
}

/// An expression as it is stored.
#[derive(Debug, Clone)]
pub struct StoredExpression {
    /// What is stored.
    pub text: String,
    /// What it reads as.
    pub expression: ast::Expr,
}

/// A name in double quotes, whatever it holds.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Parses a text of our own making, or one that is stored.
///
/// # Errors
/// What [`parse`] says; an internal error if the text is not one query.
pub fn parse_query(text: &str) -> Result<ast::Query> {
    let mut statements = parse(text, &limits())?.into_iter();
    match (statements.next().map(|parsed| parsed.statement), statements.next()) {
        (Some(Statement::Query(query)), None) => Ok(*query),
        _ => Err(Error::internal("a stored text is not one query")),
    }
}

/// Parses the body of a function.
///
/// # Errors
/// As [`parse_query`].
pub fn parse_expression(text: &str) -> Result<ast::Expr> {
    let query = parse_query(&format!("{SELECT}{text}"))?;
    let plain = |select: &ast::Select| select.distinct.is_none() && select.from.is_empty() && select.selection.is_none();
    if let ast::SetExpr::Select(select) = *query.body
        && plain(&select)
        && let Ok([ast::SelectItem::UnnamedExpr(expr)]) = <[ast::SelectItem; 1]>::try_from(select.projection)
    {
        return Ok(expr);
    }
    Err(Error::internal("a stored function is not one expression"))
}

/// What makes an expression a query.
const SELECT: &str = "SELECT ";

/// Stored text was within the limits when it came; names written out in full make it longer.
fn limits() -> Limits {
    let limits = Limits::default();
    Limits { text: Limits::MAX_TEXT, tokens: limits.tokens.saturating_mul(10), nesting: limits.nesting + 10, ..limits }
}

/// The stored form of `query`, whose text is `text`. `rename` writes out the names of what it is given and tells which ones.
///
/// # Errors
/// What `rename` says; [`ErrorKind::Unsupported`] if the text would read as something else.
pub(super) fn store_query(
    text: &str,
    query: &ast::Query,
    rename: impl FnOnce(&mut ast::Query) -> Result<Vec<Renamed>>,
) -> Result<StoredQuery> {
    let mut named = parse_query(text)?;
    if named != *query {
        return Err(reads_differently());
    }
    let renamed = rename(&mut named)?;
    let text = with_names(text, &renamed)?;
    let query = parse_query(&text)?;
    if query != named {
        return Err(reads_differently());
    }
    Ok(StoredQuery { text, query })
}

/// As [`store_query`], for the body of a function.
///
/// # Errors
/// As [`store_query`].
pub(super) fn store_expression(
    text: &str,
    expression: &ast::Expr,
    rename: impl FnOnce(&mut ast::Query) -> Result<Vec<Renamed>>,
) -> Result<StoredExpression> {
    if parse_expression(text)? != *expression {
        return Err(reads_differently());
    }
    let text = format!("{SELECT}{text}");
    let stored = store_query(&text, &parse_query(&text)?, rename)?;
    let text = stored.text.strip_prefix(SELECT).ok_or_else(reads_differently)?.to_string();
    let expression = parse_expression(&text)?;
    Ok(StoredExpression { text, expression })
}

/// A text must never say anything else than what was checked.
pub fn reads_differently() -> Error {
    Error::unsupported("a definition that would not read the same when it is stored")
        .with_hint("Write it in another way: other quotes, or parentheses around its operators.")
}

/// The text of a view or function may not say what its author wrote (42P17). Its name is told to those who may know of it.
pub fn doubtful(id: ObjectId, snapshot: &CatalogSnapshot, reader: ObjectId) -> Error {
    let kind = snapshot.kind_of(id).map_or("object", SecurableKind::noun);
    let name = if snapshot.visible(reader, id) { snapshot.full_name(id) } else { "beneath".to_string() };
    Error::new(ErrorKind::InvalidObjectDefinition, format!("{kind} {name} has to be created again"))
        .with_detail("An earlier release has stored its text with quotes from which it cannot be told what was written.")
        .with_hint(format!(
            "Let its owner read what pg_get_{kind}def shows, and write it anew with CREATE OR REPLACE {}.",
            kind.to_uppercase()
        ))
}

/// The text with the names in their places.
fn with_names(text: &str, renamed: &[Renamed]) -> Result<String> {
    let lexemes = tokenize(text, limits().tokens)?;
    let mut places = renamed
        .iter()
        .map(|name| {
            let bytes = bytes_of(&lexemes, &name.columns).ok_or_else(reads_differently)?;
            let parts: Vec<String> = name.parts.iter().map(|part| quoted(part)).collect();
            Ok((bytes, parts.join(".")))
        })
        .collect::<Result<Vec<_>>>()?;
    places.sort_by_key(|(bytes, _)| bytes.start);
    // BETWEEN SYMMETRIC has its operands twice in the tree.
    places.dedup();
    let is_overlapping = places.windows(2).any(|pair| matches!(pair, [(left, _), (right, _)] if left.end > right.start));
    if is_overlapping { Err(reads_differently()) } else { Ok(replaced(text, &places)) }
}

/// The bytes of the tokens that stand in these columns: 1-based, in characters.
fn bytes_of(lexemes: &[Lexeme], columns: &Range<u64>) -> Option<Range<usize>> {
    let first = lexemes.binary_search_by_key(&columns.start, |lexeme| lexeme.token.span.start.column).ok()?;
    let last = lexemes.binary_search_by_key(&columns.end, |lexeme| lexeme.token.span.end.column).ok()?;
    let (first, last) = (lexemes.get(first)?, lexemes.get(last)?);
    (first.bytes.start < last.bytes.end).then_some(first.bytes.start..last.bytes.end)
}

/// The text with quoted names in the places of the bytes, which are in order, set apart from what they would become one token with:
/// `u&f(x)` is an operator, `u&"f"` a name.
pub(super) fn replaced(text: &str, places: &[(Range<usize>, String)]) -> String {
    let mut out = String::with_capacity(text.len() + places.iter().map(|(_, name)| name.len() + 2).sum::<usize>());
    let mut copied = 0;
    for (bytes, name) in places {
        out.push_str(text.get(copied..bytes.start).unwrap_or_default());
        if out.ends_with(|last: char| !last.is_whitespace() && !matches!(last, '(' | ',' | '[')) {
            out.push(' ');
        }
        out.push_str(name);
        copied = bytes.end;
        if text.get(copied..).is_some_and(|rest| rest.starts_with('"')) {
            out.push(' ');
        }
    }
    out.push_str(text.get(copied..).unwrap_or_default());
    out
}

/// Whether a query that sqlparser printed can have been printed of one query only.
pub fn is_certain_query(text: &str) -> bool {
    is_certain_text(text) && parse_query(text).is_ok_and(|query| query.to_string() == text)
}

/// As [`is_certain_query`], for the body of a function.
pub fn is_certain_expression(text: &str) -> bool {
    is_certain_text(text) && parse_expression(text).is_ok_and(|expression| expression.to_string() == text)
}

/// Whether no quote and no comment of a printed text may have been made by printing.
///
/// What was printed wrongly has a quote behind a backslash or behind another quote. Up to the first such place the text reads as it was
/// meant, so its tokens show it: one of them holds a quote, or ends in a backslash. sqlparser prints neither comments nor other kinds of
/// constants.
fn is_certain_text(text: &str) -> bool {
    let Ok(lexemes) = tokenize(text, usize::MAX) else { return false };
    let is_certain = |lexeme: &Lexeme| {
        let (quote, value) = match &lexeme.token.token {
            Token::SingleQuotedString(value) => ('\'', value),
            Token::Word(word) => match word.quote_style {
                Some(quote) => (quote, &word.value),
                None => return true,
            },
            _ => return true,
        };
        let is_plain = text.get(lexeme.bytes.clone()).is_some_and(|written| written.starts_with(quote));
        is_plain && !value.contains(quote) && !value.ends_with('\\')
    };
    let mut end = 0;
    let gaps_are_blank = lexemes.iter().all(|lexeme| {
        let gap = text.get(end..lexeme.bytes.start);
        end = lexeme.bytes.end;
        gap.is_some_and(is_blank)
    });
    gaps_are_blank && text.get(end..).is_some_and(is_blank) && lexemes.iter().all(is_certain)
}

fn is_blank(gap: &str) -> bool {
    gap.chars().all(char::is_whitespace)
}

#[cfg(test)]
mod tests;
