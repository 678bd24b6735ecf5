//! Secrets out of statement texts, before anybody logs them.
//!
//! Works on tokens, also of texts that do not parse: a mistyped `CREATE USER .. PASSWORD 'x'` is logged as an error and must not show
//! the password either.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::token::{Lexeme, tokenize};

const REPLACEMENT: &str = "'[redacted]'";

/// The text with every password and every storage credential's option replaced.
pub fn redact(text: &str) -> String {
    let Ok(lexemes) = tokenize(text, usize::MAX) else {
        return if may_hold_secret(text) { "[redacted]".to_string() } else { text.to_string() };
    };
    let mut out = String::with_capacity(text.len());
    let mut copied = 0;
    for statement in lexemes.split(|lexeme| lexeme.token.token == Token::SemiColon) {
        let is_credential = statement.windows(2).any(|pair| words(pair) == ["storage", "credential"]);
        for (at, lexeme) in statement.iter().enumerate() {
            let is_secret = is_constant(lexeme) && (is_credential || follows_password(statement, at));
            if is_secret {
                out.push_str(text.get(copied..lexeme.bytes.start).unwrap_or_default());
                out.push_str(REPLACEMENT);
                copied = lexeme.bytes.end;
            }
        }
    }
    out.push_str(text.get(copied..).unwrap_or_default());
    out
}

fn words(lexemes: &[Lexeme]) -> Vec<&str> {
    lexemes.iter().map(|lexeme| lexeme.word().unwrap_or_default()).collect()
}

fn is_constant(lexeme: &Lexeme) -> bool {
    matches!(lexeme.token.token, Token::SingleQuotedString(_) | Token::HexStringLiteral(_) | Token::Number(_, _))
}

/// `PASSWORD 'x'`, `password = 'x'`, `"password" 'x'`.
fn follows_password(statement: &[Lexeme], at: usize) -> bool {
    let before = |back: usize| at.checked_sub(back).and_then(|index| statement.get(index)).map(|lexeme| &lexeme.token.token);
    let is_password =
        |token: Option<&Token>| matches!(token, Some(Token::Word(word)) if word.value.to_ascii_lowercase().contains("password"));
    match before(1) {
        Some(Token::Eq | Token::Comma) => is_password(before(2)),
        Some(Token::Word(word)) if matches!(word.value.as_str(), "to" | "as" | "is") => is_password(before(2)),
        token => is_password(token),
    }
}

fn may_hold_secret(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["password", "credential", "secret", "scram-"].iter().any(|word| text.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_reach_the_log() {
        for (text, expected) in [
            ("CREATE USER a PASSWORD 'x' LOGIN", "CREATE USER a PASSWORD '[redacted]' LOGIN"),
            ("alter role a with encrypted password E'x\\'y'", "alter role a with encrypted password '[redacted]'"),
            ("ALTER USER a PASSWORD $$x$$; SELECT 'b'", "ALTER USER a PASSWORD '[redacted]'; SELECT 'b'"),
            (
                "CREATE STORAGE CREDENTIAL c WITH (aws_access_key_id = 'AK', aws_secret_access_key = 'SK')",
                "CREATE STORAGE CREDENTIAL c WITH (aws_access_key_id = '[redacted]', aws_secret_access_key = '[redacted]')",
            ),
            ("CREAT USR a PASSWORD 'x'", "CREAT USR a PASSWORD '[redacted]'"),
            ("ALTER USER a PASSWORD 'x", "[redacted]"),
            ("SELECT 'x", "SELECT 'x"),
            ("SELECT 'password', 'x'", "SELECT 'password', 'x'"),
        ] {
            assert_eq!(redact(text), expected, "{text}");
        }
    }
}
