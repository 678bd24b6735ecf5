//! Tokens to tokens: spellings that sqlparser does not know become spellings that it knows, before anything is parsed.
//!
//! | written | becomes |
//! |---|---|
//! | `t FOR VERSION AS OF 12`, `t FOR SYSTEM_VERSION AS OF 12`, `t VERSION AS OF '12'`, `t@v12` | `t VERSION AS OF 12` |
//! | `t FOR TIMESTAMP AS OF e`, `t FOR SYSTEM_TIME AS OF e` | `t TIMESTAMP AS OF e` |
//! | `t@20240131235959000` (`yyyyMMddHHmmssSSS`) | `t TIMESTAMP AS OF '2024-01-31 23:59:59.000'` |
//! | `TABLE t` as a query | `SELECT * FROM t` |
//! | `(expression).*` | `(expression)."*"`: a field of that name, for the binder to expand |
//! | `interval(3) '1 day'` | `'1 day'::interval(3)` |
//! | `e AT LOCAL` | `e AT TIME ZONE` the session's |
//! | `FROM ONLY t` | `FROM t`: tables have no children here |
//!
//! What [`shapes`] does, too.
//!
//! So time travel has one form in the AST: `TableFactor::Table.version` is `VersionAsOf(number or $n)` or `TimestampAsOf(expression)`.
//!
//! And words that are keywords of other dialects, but plain names in PostgreSQL, lose their keyword here (`SELECT top, sample FROM
//! path`), so that the grammar behind does not stumble over columns of that name.

use datafusion::sql::sqlparser::ast::Expr;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Span, Token, TokenWithSpan};

use super::dialect::RESERVED;
use super::token::Lexeme;

mod shapes;

/// What AT LOCAL becomes the zone of; no name that somebody can write.
const LOCAL_ZONE: &str = "\0local";

/// Whether the zone behind AT TIME ZONE stands for AT LOCAL.
pub(super) fn is_local_zone(zone: &Expr) -> bool {
    matches!(zone, Expr::Identifier(name) if name.value == LOCAL_ZONE)
}

/// The string of `interval(3) '1 day'`, and the type that is cast to.
fn interval_with_digits(lexemes: &[Lexeme]) -> Option<Vec<Lexeme>> {
    let [interval, open, digits, close, text, ..] = lexemes else { return None };
    let matches = matches!(
        (&open.token.token, &digits.token.token, &close.token.token, &text.token.token),
        (Token::LParen, Token::Number(..), Token::RParen, Token::SingleQuotedString(_))
    );
    matches.then(|| [text, interval, open, digits, close].into_iter().cloned().collect())
}

/// Applies the rewrites above.
pub(super) fn rewrite(lexemes: Vec<Lexeme>) -> Vec<Lexeme> {
    let lexemes = shapes::rewrite(lexemes);
    let mut out = Vec::with_capacity(lexemes.len() + 8);
    let mut at = 0;
    while let Some(lexeme) = lexemes.get(at) {
        let ahead = |n: usize| lexemes.get(at + n);
        let word_ahead = |n: usize| ahead(n).and_then(Lexeme::word).unwrap_or_default();
        let as_of_ahead = |n: usize| word_ahead(n) == "as" && word_ahead(n + 1) == "of";
        match lexeme.word() {
            Some("for") if as_of_ahead(2) => {
                if let Some(point) = point_in_time(word_ahead(1)) {
                    out.push(word_like(lexeme, point));
                    at += 2;
                    continue;
                }
            }
            Some("of") if previous_words(&out) == ["version", "as"] => {
                if let Some(next) = ahead(1)
                    && let Token::SingleQuotedString(text) = &next.token.token
                    && text.bytes().all(|byte| byte.is_ascii_digit())
                {
                    out.push(lexeme.clone());
                    out.push(with_token(next, Token::Number(text.clone(), false)));
                    at += 2;
                    continue;
                }
            }
            Some("table") if starts_query(&out) && names_table(ahead(1)) => {
                out.extend([word_like(lexeme, "select"), with_token(lexeme, Token::Mul), word_like(lexeme, "from")]);
                at += 1;
                continue;
            }
            Some("interval")
                if let Some([text, digits @ ..]) = interval_with_digits(lexemes.get(at..).unwrap_or_default()).as_deref() =>
            {
                out.extend([text.clone(), with_token(lexeme, Token::DoubleColon)]);
                out.extend(digits.iter().cloned());
                at += 5;
                continue;
            }
            Some("local") if previous_words(&out)[1] == "at" => {
                let zone = with_token(lexeme, Token::make_word(LOCAL_ZONE, Some('"')));
                out.extend([word_like(lexeme, "time"), word_like(lexeme, "zone"), zone]);
                at += 1;
                continue;
            }
            Some("only") if follows_from(&out) && starts_table(ahead(1)) => {
                let name = lexemes.get(at + 2..).unwrap_or_default().iter().take_while(|part| is_name_part(part)).count();
                let in_parentheses = ahead(1).is_some_and(|next| next.token.token == Token::LParen)
                    && ahead(2 + name).is_some_and(|next| next.token.token == Token::RParen);
                if in_parentheses {
                    out.extend(lexemes.get(at + 2..at + 2 + name).unwrap_or_default().iter().cloned());
                    // The text of what ends here ends behind the parenthesis.
                    if let (Some(last), Some(closing)) = (out.last_mut(), ahead(2 + name)) {
                        last.bytes.end = closing.bytes.end;
                    }
                    at += 3 + name;
                } else {
                    at += 1;
                }
                continue;
            }
            _ => {}
        }
        let is_fields = lexeme.token.token == Token::Period
            && out.last().is_some_and(|last| last.token.token == Token::RParen)
            && ahead(1).is_some_and(|next| next.token.token == Token::Mul);
        if is_fields && let Some(star) = ahead(1) {
            out.extend([lexeme.clone(), with_token(star, Token::make_word("*", Some('"')))]);
            at += 2;
            continue;
        }
        if lexeme.token.token == Token::AtSign
            && touches(out.last(), lexeme)
            && matches!(out.last().map(|l| &l.token.token), Some(Token::Word(_)))
            && let Some(version) = ahead(1).filter(|version| touches(Some(lexeme), version))
            && let Some(tokens) = version_suffix(version)
        {
            out.extend(tokens);
            at += 2;
            continue;
        }
        out.push(neutral(lexeme, ahead(1), out.last()));
        at += 1;
    }
    out
}

/// `version` or `timestamp`, as the word between FOR and AS OF says.
fn point_in_time(word: &str) -> Option<&'static str> {
    match word {
        "version" | "system_version" => Some("version"),
        "timestamp" | "system_time" => Some("timestamp"),
        _ => None,
    }
}

/// The tokens that stand for the part of `t@v12` or `t@20240131235959000` behind the `@`.
fn version_suffix(suffix: &Lexeme) -> Option<Vec<Lexeme>> {
    let as_of = |point: &str, value: Token| {
        vec![word_like(suffix, point), word_like(suffix, "as"), word_like(suffix, "of"), with_token(suffix, value)]
    };
    match &suffix.token.token {
        Token::Word(word) if word.quote_style.is_none() => {
            let digits = word.value.strip_prefix('v')?;
            let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| as_of("version", Token::Number(digits.to_string(), false)))
        }
        Token::Number(digits, _) if digits.len() == 17 && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
            let timestamp = format!(
                "{}-{}-{} {}:{}:{}.{}",
                part(0, 4),
                part(4, 6),
                part(6, 8),
                part(8, 10),
                part(10, 12),
                part(12, 14),
                part(14, 17)
            );
            Some(as_of("timestamp", Token::SingleQuotedString(timestamp)))
        }
        _ => None,
    }
}

fn previous_words(out: &[Lexeme]) -> [&str; 2] {
    let word = |back: usize| out.len().checked_sub(back).and_then(|at| out.get(at)).and_then(Lexeme::word).unwrap_or_default();
    [word(2), word(1)]
}

/// Whether a table may start behind these tokens. ONLY is reserved in PostgreSQL, so nothing else can be meant by it.
fn follows_from(out: &[Lexeme]) -> bool {
    out.last()
        .is_some_and(|last| matches!(last.word(), Some("from" | "join" | "table" | "into")) || last.token.token == Token::Comma)
}

/// Whether a query may start behind these tokens.
fn starts_query(out: &[Lexeme]) -> bool {
    let Some(last) = out.last() else { return true };
    let before = out.len().checked_sub(2).and_then(|at| out.get(at)).and_then(Lexeme::word).unwrap_or_default();
    match last.word() {
        Some("union" | "intersect" | "except" | "as" | "for" | "explain" | "verbose") => true,
        Some("analyze") => before == "explain",
        Some("all" | "distinct") => matches!(before, "union" | "intersect" | "except"),
        _ => matches!(last.token.token, Token::LParen | Token::RParen | Token::SemiColon),
    }
}

/// Whether TABLE is followed by a table, and is no alias itself (`AS table FROM t`).
fn names_table(next: Option<&Lexeme>) -> bool {
    matches!(next.map(|next| &next.token.token), Some(Token::Word(word)) if word.quote_style.is_some() || !RESERVED.contains(&word.keyword))
}

fn is_name_part(lexeme: &Lexeme) -> bool {
    matches!(lexeme.token.token, Token::Word(_) | Token::Period)
}

fn starts_table(next: Option<&Lexeme>) -> bool {
    next.is_some_and(|next| matches!(next.token.token, Token::Word(_) | Token::LParen))
}

fn touches(left: Option<&Lexeme>, right: &Lexeme) -> bool {
    left.is_some_and(|left| left.bytes.end == right.bytes.start)
}

fn with_token(lexeme: &Lexeme, token: Token) -> Lexeme {
    let span: Span = lexeme.token.span;
    Lexeme { token: TokenWithSpan::new(token, span), bytes: lexeme.bytes.clone() }
}

fn word_like(lexeme: &Lexeme, word: &str) -> Lexeme {
    with_token(lexeme, Token::make_word(word, None))
}

/// The lexeme, without its keyword if PostgreSQL knows none there.
fn neutral(lexeme: &Lexeme, next: Option<&Lexeme>, previous: Option<&Lexeme>) -> Lexeme {
    let mut lexeme = lexeme.clone();
    let next_word = next.and_then(Lexeme::word).unwrap_or_default();
    let previous_word = previous.and_then(Lexeme::word).unwrap_or_default();
    if let Token::Word(word) = &mut lexeme.token.token {
        let behind_dot = previous.is_some_and(|previous| previous.token.token == Token::Period);
        let foreign = match word.keyword {
            // Any word behind a dot is a name: pg_catalog.substring(..), t.date.
            _ if behind_dot => true,
            // Joins of Databricks: LEFT SEMI JOIN, LEFT ANTI JOIN.
            Keyword::SEMI | Keyword::ANTI => next_word != "join" || !matches!(previous_word, "left" | "right"),
            Keyword::MINUS => !matches!(next_word, "select" | "all" | "distinct" | "values"),
            // AT TIME ZONE stays; Snowflake's AT(..), BEFORE(..) and CHANGES go.
            Keyword::AT => next_word != "time",
            keyword => FOREIGN.contains(&keyword),
        };
        if foreign {
            word.keyword = Keyword::NoKeyword;
        }
    }
    lexeme
}

/// Keywords that sqlparser acts on in queries and that PostgreSQL does not have.
const FOREIGN: &[Keyword] = &[
    Keyword::TOP,
    Keyword::SAMPLE,
    Keyword::PIVOT,
    Keyword::UNPIVOT,
    Keyword::MATCH_RECOGNIZE,
    Keyword::MATCH_CONDITION,
    Keyword::MATCH,
    Keyword::MEMBER,
    Keyword::PREWHERE,
    Keyword::SETTINGS,
    Keyword::FORMAT,
    Keyword::CLUSTER,
    Keyword::DISTRIBUTE,
    Keyword::SORT,
    Keyword::GLOBAL,
    Keyword::ASOF,
    Keyword::CONNECT,
    Keyword::CONNECT_BY_ROOT,
    Keyword::START,
    Keyword::OPEN,
    Keyword::OUTPUT,
    Keyword::VIEW,
    Keyword::BEFORE,
    Keyword::CHANGES,
    Keyword::XOR,
    Keyword::DIV,
    Keyword::REGEXP,
    Keyword::RLIKE,
    Keyword::CONVERT,
    Keyword::TRY_CONVERT,
    Keyword::SAFE_CAST,
    Keyword::CEIL,
    Keyword::FLOOR,
    Keyword::SUBSTR,
    Keyword::STRUCT,
    Keyword::MAP,
    Keyword::LAMBDA,
    Keyword::PRIOR,
    Keyword::STRAIGHT_JOIN,
    Keyword::APPLY,
    Keyword::JSON_TABLE,
    Keyword::OPENJSON,
    Keyword::XMLTABLE,
    Keyword::SEMANTIC_VIEW,
    Keyword::EXCLUDE,
    Keyword::RENAME,
    Keyword::INTERPOLATE,
    Keyword::FILL,
    Keyword::INT16,
    Keyword::INT32,
    Keyword::INT64,
    Keyword::INT128,
    Keyword::INT256,
    Keyword::UINT8,
    Keyword::UINT16,
    Keyword::UINT32,
    Keyword::UINT64,
    Keyword::UINT128,
    Keyword::UINT256,
    Keyword::FLOAT32,
    Keyword::FLOAT64,
    Keyword::DATE32,
    Keyword::DATETIME,
    Keyword::DATETIME64,
    Keyword::HUGEINT,
    Keyword::UHUGEINT,
    Keyword::UBIGINT,
    Keyword::USMALLINT,
    Keyword::UTINYINT,
    Keyword::MEDIUMINT,
    Keyword::BIGNUMERIC,
    Keyword::BIGDECIMAL,
    Keyword::NVARCHAR,
    Keyword::CLOB,
    Keyword::BLOB,
    Keyword::TINYBLOB,
    Keyword::MEDIUMBLOB,
    Keyword::LONGBLOB,
    Keyword::TINYTEXT,
    Keyword::MEDIUMTEXT,
    Keyword::LONGTEXT,
    Keyword::BYTES,
    Keyword::ENUM,
    Keyword::ENUM8,
    Keyword::ENUM16,
    Keyword::FIXEDSTRING,
    Keyword::NULLABLE,
    Keyword::NESTED,
    Keyword::TUPLE,
    Keyword::SIGNED,
    Keyword::UNSIGNED,
    Keyword::TRIGGER,
    Keyword::VALUE,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::token::tokenize;

    fn rewritten(text: &str) -> String {
        let lexemes = rewrite(tokenize(text, 100).unwrap());
        lexemes.iter().map(|lexeme| lexeme.token.token.to_string()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn time_travel_has_one_form() {
        for (text, expected) in [
            ("from t for version as of 3", "from t version as of 3"),
            ("from t FOR SYSTEM_VERSION AS OF 3", "from t version as of 3"),
            ("from t version as of '3' x", "from t version as of 3 x"),
            ("from t for system_time as of now()", "from t timestamp as of now ( )"),
            ("from t@v12 a", "from t version as of 12 a"),
            ("from `T`@v12", "from \"T\" version as of 12"),
            ("from t@20240131235959123", "from t timestamp as of '2024-01-31 23:59:59.123'"),
            ("select a @ v1", "select a @ v1"),
            ("select @v1", "select @ v1"),
            ("from only t, only (s.u) x", "from t , s . u x"),
            ("fetch first row only", "fetch first row only"),
            ("table a.b union all table c", "select * from a . b union all select * from c"),
            ("select 1 as table from t", "select 1 as table from t"),
            ("create table t as table u", "create table t as select * from u"),
            ("grant select on table t to u", "grant select on table t to u"),
        ] {
            assert_eq!(rewritten(text), expected, "{text}");
        }
    }

    #[test]
    fn foreign_keywords_become_names() {
        for (text, keyword) in [("top", Keyword::NoKeyword), ("select", Keyword::SELECT), ("minus", Keyword::NoKeyword)] {
            let lexemes = rewrite(tokenize(text, 10).unwrap());
            assert!(matches!(&lexemes[0].token.token, Token::Word(word) if word.keyword == keyword), "{text}");
        }
    }
}
