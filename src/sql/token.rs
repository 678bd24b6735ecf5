//! Text to tokens, once, by PostgreSQL's lexical rules (`src/backend/parser/scan.l`), as tokens of sqlparser.
//!
//! The tokens are ours and not sqlparser's tokenizer's, for four reasons: white space and comments make no tokens (a text of a mebibyte
//! of blanks would otherwise be a hundred mebibytes of them), the limit on tokens holds while they are made, unquoted identifiers are
//! folded here and nowhere else, and operators end where PostgreSQL ends them.
//!
//! What later stages may rely on:
//! - An unquoted word is folded to lower case (ASCII letters, as PostgreSQL folds UTF-8); a quoted one is exact, whether it stood in
//!   double quotes or in backticks, and is marked with `"`.
//! - Every string constant (`'..'`, `E'..'`, `U&'..'`, `N'..'`, `$tag$..$tag$`) is a `SingleQuotedString` with its value unescaped and
//!   continued over line ends.
//! - A span's `line` is always 1 and its `column` is the 1-based position in characters in the whole text: what PostgreSQL's error
//!   field `P` wants. Spans of identifiers and values in the AST carry it on to the binder.

use std::ops::Range;

use datafusion::sql::sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan};

use crate::error::{Error, ErrorKind, Result};

/// A token with the bytes of the text that it was made of.
#[derive(Debug, Clone)]
pub(super) struct Lexeme {
    pub(super) token: TokenWithSpan,
    pub(super) bytes: Range<usize>,
}

impl Lexeme {
    /// The unquoted word, folded.
    pub(super) fn word(&self) -> Option<&str> {
        match &self.token.token {
            Token::Word(word) if word.quote_style.is_none() => Some(&word.value),
            _ => None,
        }
    }

    /// 1-based position in characters.
    pub(super) fn position(&self) -> usize {
        usize::try_from(self.token.span.start.column).unwrap_or(usize::MAX)
    }
}

/// Makes the tokens of `text`, at most `limit` of them.
pub(super) fn tokenize(text: &str, limit: usize) -> Result<Vec<Lexeme>> {
    let mut lexer = Lexer { text, bytes: text.as_bytes(), at: 0, counted_bytes: 0, counted_characters: 0 };
    let mut lexemes = Vec::with_capacity(text.len() / 6);
    while lexer.skip_blank()? {
        let start = lexer.at;
        let token = lexer.token()?;
        if lexemes.len() == limit {
            return Err(Error::new(ErrorKind::ProgramLimit, format!("statement has more than {limit} tokens")));
        }
        let from = lexer.character(start);
        let to = lexer.character(lexer.at);
        let span = Span::new(Location::new(1, from + 1), Location::new(1, to + 1));
        lexemes.push(Lexeme { token: TokenWithSpan::new(token, span), bytes: start..lexer.at });
    }
    Ok(lexemes)
}

struct Lexer<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    counted_bytes: usize,
    counted_characters: u64,
}

/// How the inside of a quoted string is read.
#[derive(Clone, Copy, PartialEq)]
enum Escapes {
    None,
    Backslash,
}

const OPERATOR_BYTES: &[u8] = b"+-*/<>=~!@#%^&|?";
/// An operator may end in `+` or `-` only if it holds one of these.
const SIGN_KEEPERS: &[u8] = b"~!@#%^&|?";

fn is_word_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn is_word_part(byte: u8) -> bool {
    is_word_start(byte) || byte.is_ascii_digit() || byte == b'$'
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> Option<u8> {
        self.bytes.get(self.at + ahead).copied()
    }

    fn rest(&self) -> &[u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Number of characters before `byte`; must be called with growing arguments.
    fn character(&mut self, byte: usize) -> u64 {
        let counted = self.text.get(self.counted_bytes..byte).map_or(0, |text| text.chars().count());
        self.counted_characters += counted as u64;
        self.counted_bytes = byte;
        self.counted_characters
    }

    fn error(&self, message: &str, start: usize, end: usize) -> Error {
        let near = self.text.get(start..end).unwrap_or_default();
        let position = self.text.get(..start).map_or(0, |text| text.chars().count()) + 1;
        Error::new(ErrorKind::Syntax, format!("{message} at or near \"{near}\"")).with_position(position)
    }

    /// Moves to the next token; false at the end of the text.
    fn skip_blank(&mut self) -> Result<bool> {
        while let Some(byte) = self.peek(0) {
            match byte {
                b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => self.at += 1,
                b'-' if self.peek(1) == Some(b'-') => self.skip_line(),
                b'/' if self.peek(1) == Some(b'*') => self.skip_comment()?,
                _ => return Ok(true),
            }
        }
        Ok(false)
    }

    fn skip_line(&mut self) {
        while self.peek(0).is_some_and(|byte| byte != b'\n' && byte != b'\r') {
            self.at += 1;
        }
    }

    fn skip_comment(&mut self) -> Result<()> {
        let start = self.at;
        let mut depth = 0_usize;
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some(b'/'), Some(b'*')) => {
                    depth += 1;
                    self.at += 2;
                }
                (Some(b'*'), Some(b'/')) => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return Ok(());
                    }
                }
                (Some(_), _) => self.at += 1,
                (None, _) => return Err(self.error("unterminated /* comment", start, self.text.len())),
            }
        }
    }

    fn token(&mut self) -> Result<Token> {
        let start = self.at;
        let Some(byte) = self.peek(0) else { return Ok(Token::EOF) };
        let single = |token| Ok((token, 1));
        let (token, length) = match byte {
            b'\'' => return self.string(Escapes::None, 1),
            b'"' | b'`' => return self.quoted_word(byte),
            b'$' => return self.dollar(),
            b'0'..=b'9' => return self.number(),
            b'.' if self.peek(1).is_some_and(|next| next.is_ascii_digit()) => return self.number(),
            b'.' => single(Token::Period),
            b',' => single(Token::Comma),
            b'(' => single(Token::LParen),
            b')' => single(Token::RParen),
            b'[' => single(Token::LBracket),
            b']' => single(Token::RBracket),
            b'{' => single(Token::LBrace),
            b'}' => single(Token::RBrace),
            b';' => single(Token::SemiColon),
            b':' if self.peek(1) == Some(b':') => Ok((Token::DoubleColon, 2)),
            b':' if self.peek(1) == Some(b'=') => Ok((Token::Assignment, 2)),
            b':' => single(Token::Colon),
            _ if is_word_start(byte) => return self.word(),
            _ if OPERATOR_BYTES.contains(&byte) => return Ok(self.operator()),
            _ => {
                let end = start + self.text.get(start..).and_then(|text| text.chars().next()).map_or(1, char::len_utf8);
                Err(self.error("syntax error", start, end))
            }
        }?;
        self.at += length;
        Ok(token)
    }

    /// A word, or one of the strings that start with a letter.
    fn word(&mut self) -> Result<Token> {
        let start = self.at;
        match (self.peek(0), self.peek(1), self.peek(2)) {
            (Some(b'e' | b'E'), Some(b'\''), _) => return self.string(Escapes::Backslash, 2),
            (Some(b'n' | b'N'), Some(b'\''), _) => return self.string(Escapes::None, 2),
            (Some(b'x' | b'X'), Some(b'\''), _) => return self.hexadecimal(),
            (Some(b'b' | b'B'), Some(b'\''), _) => {
                return Err(Error::unsupported("a bit string constant").with_hint("Use X'..' for bytes, or 0b101 for a number."));
            }
            (Some(b'u' | b'U'), Some(b'&'), Some(b'\'')) => return self.unicode_string(),
            (Some(b'u' | b'U'), Some(b'&'), Some(b'"')) => return self.unicode_word(),
            _ => {}
        }
        while self.peek(0).is_some_and(is_word_part) {
            self.at += 1;
        }
        let word = self.text.get(start..self.at).unwrap_or_default();
        Ok(Token::make_word(&word.to_ascii_lowercase(), None))
    }

    fn quoted_word(&mut self, quote: u8) -> Result<Token> {
        let start = self.at;
        self.at += 1;
        let value = self.until_quote(quote, "unterminated quoted identifier", start)?;
        if value.is_empty() {
            return Err(self.error("zero-length delimited identifier", start, self.at));
        }
        Ok(Token::make_word(&value, Some('"')))
    }

    /// Reads up to the closing quote; a doubled quote stands for itself.
    fn until_quote(&mut self, quote: u8, unterminated: &str, start: usize) -> Result<String> {
        let mut value = String::new();
        loop {
            let Some(length) = self.rest().iter().position(|byte| *byte == quote) else {
                return Err(self.error(unterminated, start, self.text.len()));
            };
            value.push_str(self.text.get(self.at..self.at + length).unwrap_or_default());
            self.at += length + 1;
            if self.peek(0) != Some(quote) {
                return Ok(value);
            }
            value.push(char::from(quote));
            self.at += 1;
        }
    }

    /// A quoted string whose opening takes `opening` bytes.
    fn string(&mut self, escapes: Escapes, opening: usize) -> Result<Token> {
        let start = self.at;
        self.at += opening;
        let mut value = Vec::new();
        loop {
            match self.peek(0) {
                None => return Err(self.error("unterminated quoted string", start, self.text.len())),
                Some(b'\'') if self.peek(1) == Some(b'\'') => {
                    value.push(b'\'');
                    self.at += 2;
                }
                Some(b'\'') => {
                    self.at += 1;
                    if !self.continue_string() {
                        break;
                    }
                }
                Some(b'\\') if escapes == Escapes::Backslash => self.escape(&mut value, start)?,
                Some(byte) => {
                    value.push(byte);
                    self.at += 1;
                }
            }
        }
        let invalid = |bytes: &[u8]| {
            let shown: Vec<String> = bytes.iter().map(|byte| format!("0x{byte:02x}")).collect();
            Error::new(ErrorKind::InvalidEncoding, format!("invalid byte sequence for encoding \"UTF8\": {}", shown.join(" ")))
        };
        if value.contains(&0) {
            return Err(invalid(&[0]));
        }
        String::from_utf8(value).map(Token::SingleQuotedString).map_err(|error| {
            let from = error.utf8_error().valid_up_to();
            let length = error.utf8_error().error_len().unwrap_or(1);
            invalid(&error.as_bytes()[from..from + length])
        })
    }

    /// A string goes on in the next line: moves behind the opening quote there.
    fn continue_string(&mut self) -> bool {
        let mut ahead = 0;
        let mut newline = false;
        while let Some(byte @ (b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)) = self.peek(ahead) {
            newline |= byte == b'\n' || byte == b'\r';
            ahead += 1;
        }
        let continues = newline && self.peek(ahead) == Some(b'\'');
        if continues {
            self.at += ahead + 1;
        }
        continues
    }

    /// One backslash escape of an `E'..'` string.
    fn escape(&mut self, value: &mut Vec<u8>, start: usize) -> Result<()> {
        let Some(letter) = self.peek(1) else { return Err(self.error("unterminated quoted string", start, self.text.len())) };
        self.at += 2;
        match letter {
            b'b' => value.push(0x08),
            b'f' => value.push(0x0c),
            b'n' => value.push(b'\n'),
            b'r' => value.push(b'\r'),
            b't' => value.push(b'\t'),
            b'0'..=b'7' => {
                self.at -= 1;
                let code = self.digits(3, 8);
                value.push(u8::try_from(code & 0xff).unwrap_or_default());
            }
            b'x' if self.peek(0).is_some_and(|byte| byte.is_ascii_hexdigit()) => {
                let code = self.digits(2, 16);
                value.push(u8::try_from(code).unwrap_or_default());
            }
            b'u' | b'U' => {
                let length = if letter == b'u' { 4 } else { 8 };
                let character = self.code_point(length, start)?;
                value.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
            other => value.push(other),
        }
        Ok(())
    }

    /// At most `length` digits of `radix`.
    fn digits(&mut self, length: usize, radix: u32) -> u32 {
        let mut code = 0;
        for _ in 0..length {
            let Some(digit) = self.peek(0).and_then(|byte| char::from(byte).to_digit(radix)) else { break };
            code = code * radix + digit;
            self.at += 1;
        }
        code
    }

    /// Exactly `length` hexadecimal digits of a code point, or of the first of a surrogate pair whose second is escaped alike.
    fn code_point(&mut self, length: usize, start: usize) -> Result<char> {
        let invalid = |lexer: &Self| lexer.error("invalid Unicode escape", start, lexer.at.min(lexer.text.len()));
        let begin = self.at;
        let first = self.digits(length, 16);
        if self.at - begin != length {
            return Err(invalid(self));
        }
        if !(0xD800..0xDC00).contains(&first) {
            return char::from_u32(first).filter(|c| *c != '\0').ok_or_else(|| invalid(self));
        }
        let second_follows = self.peek(0) == Some(b'\\') && matches!(self.peek(1), Some(b'u' | b'U'));
        if !second_follows {
            return Err(invalid(self));
        }
        let length = if self.peek(1) == Some(b'u') { 4 } else { 8 };
        self.at += 2;
        let second = self.digits(length, 16);
        if !(0xDC00..0xE000).contains(&second) {
            return Err(invalid(self));
        }
        char::from_u32(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)).ok_or_else(|| invalid(self))
    }

    /// `U&'..'`, with `UESCAPE 'c'` behind it if it is there.
    fn unicode_string(&mut self) -> Result<Token> {
        let start = self.at;
        self.at += 3;
        let raw = self.until_quote(b'\'', "unterminated quoted string", start)?;
        self.unescape_unicode(&raw, start).map(Token::SingleQuotedString)
    }

    /// `U&".."`.
    fn unicode_word(&mut self) -> Result<Token> {
        let start = self.at;
        self.at += 3;
        let raw = self.until_quote(b'"', "unterminated quoted identifier", start)?;
        let value = self.unescape_unicode(&raw, start)?;
        Ok(Token::make_word(&value, Some('"')))
    }

    fn unescape_unicode(&mut self, raw: &str, start: usize) -> Result<String> {
        let escape = self.uescape()?;
        let invalid = |lexer: &Self| lexer.error("invalid Unicode escape", start, lexer.at);
        let mut value = String::with_capacity(raw.len());
        let mut rest = raw.chars();
        while let Some(character) = rest.next() {
            if character != escape {
                value.push(character);
                continue;
            }
            let ahead = rest.as_str();
            if ahead.starts_with(escape) {
                value.push(escape);
                rest.next();
                continue;
            }
            let digits = if ahead.starts_with('+') { ahead.get(1..7) } else { ahead.get(..4) };
            let skip = if ahead.starts_with('+') { 7 } else { 4 };
            let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()).and_then(char::from_u32);
            value.push(code.filter(|c| *c != '\0').ok_or_else(|| invalid(self))?);
            rest = ahead.get(skip..).unwrap_or_default().chars();
        }
        Ok(value)
    }

    /// The escape character that a `UESCAPE 'c'` names, else a backslash.
    fn uescape(&mut self) -> Result<char> {
        let after_string = self.at;
        self.skip_blank()?;
        let is_uescape = self.rest().get(..7).is_some_and(|word| word.eq_ignore_ascii_case(b"uescape"));
        if !is_uescape {
            self.at = after_string;
            return Ok('\\');
        }
        let start = self.at;
        self.at += 7;
        self.skip_blank()?;
        let Token::SingleQuotedString(text) = self.token()? else { return Err(self.error("syntax error", start, self.at)) };
        let mut characters = text.chars();
        match (characters.next(), characters.next()) {
            (Some(c), None) if !c.is_ascii_hexdigit() && !matches!(c, '+' | '\'' | '"') && !c.is_whitespace() => Ok(c),
            _ => Err(self.error("invalid Unicode escape character", start, self.at)),
        }
    }

    /// `X'1F'`: bytes.
    fn hexadecimal(&mut self) -> Result<Token> {
        let start = self.at;
        self.at += 2;
        let digits = self.until_quote(b'\'', "unterminated hexadecimal string literal", start)?;
        let even = digits.len().is_multiple_of(2) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !even {
            return Err(self.error("invalid hexadecimal string literal", start, self.at));
        }
        Ok(Token::HexStringLiteral(digits))
    }

    /// `$1`, or a dollar-quoted string.
    fn dollar(&mut self) -> Result<Token> {
        let start = self.at;
        if self.peek(1).is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
            while self.peek(0).is_some_and(|byte| byte.is_ascii_digit()) {
                self.at += 1;
            }
            if self.peek(0).is_some_and(is_word_start) {
                self.skip_word();
                return Err(self.error("trailing junk after parameter", start, self.at));
            }
            return Ok(Token::Placeholder(self.text.get(start..self.at).unwrap_or_default().to_string()));
        }
        let mut end = start + 1;
        while self.bytes.get(end).is_some_and(|byte| is_word_part(*byte) && *byte != b'$') {
            end += 1;
        }
        if self.bytes.get(end) != Some(&b'$') {
            return Err(self.error("syntax error", start, start + 1));
        }
        let tag = self.text.get(start..=end).unwrap_or_default();
        let body = self.text.get(end + 1..).unwrap_or_default();
        let Some(length) = body.find(tag) else {
            return Err(self.error("unterminated dollar-quoted string", start, self.text.len()));
        };
        self.at = end + 1 + length + tag.len();
        Ok(Token::SingleQuotedString(body.get(..length).unwrap_or_default().to_string()))
    }

    fn skip_word(&mut self) {
        while self.peek(0).is_some_and(is_word_part) {
            self.at += 1;
        }
    }

    fn number(&mut self) -> Result<Token> {
        let start = self.at;
        if self.peek(0) == Some(b'0')
            && let Some(radix) = self.peek(1).and_then(radix_of)
        {
            return self.number_of_radix(radix);
        }
        self.skip_digits();
        if self.peek(0) == Some(b'.') && self.peek(1) != Some(b'.') {
            self.at += 1;
            self.skip_digits();
        }
        if matches!(self.peek(0), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(self.peek(1), Some(b'+' | b'-')));
            if self.peek(1 + sign).is_some_and(|byte| byte.is_ascii_digit()) {
                self.at += 1 + sign;
                self.skip_digits();
            }
        }
        self.refuse_junk(start)?;
        let digits = self.text.get(start..self.at).unwrap_or_default().replace('_', "");
        Ok(Token::Number(digits, false))
    }

    /// Digits, with single underscores between them.
    fn skip_digits(&mut self) {
        let is_digit = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_digit());
        while is_digit(self.peek(0)) || (self.peek(0) == Some(b'_') && is_digit(self.peek(1))) {
            self.at += 1;
        }
    }

    /// `0x1F`, `0o17`, `0b101`.
    fn number_of_radix(&mut self, radix: u32) -> Result<Token> {
        let start = self.at;
        self.at += 2;
        while self.peek(0).is_some_and(|byte| byte == b'_' || char::from(byte).is_digit(radix)) {
            self.at += 1;
        }
        self.refuse_junk(start)?;
        let digits = self.text.get(start + 2..self.at).unwrap_or_default().replace('_', "");
        match u128::from_str_radix(&digits, radix) {
            Ok(number) => Ok(Token::Number(number.to_string(), false)),
            Err(_) => Err(self.error("invalid integer", start, self.at)),
        }
    }

    fn refuse_junk(&mut self, start: usize) -> Result<()> {
        if self.peek(0).is_some_and(is_word_start) {
            self.skip_word();
            return Err(self.error("trailing junk after numeric literal", start, self.at));
        }
        Ok(())
    }

    /// The longest run of operator characters, cut as PostgreSQL cuts it: before a comment, and without a trailing sign.
    fn operator(&mut self) -> Token {
        let run = self.rest();
        let mut length = run.iter().take_while(|byte| OPERATOR_BYTES.contains(byte)).count();
        let comment = (1..length).find(|at| matches!(run.get(*at..at + 2), Some(b"--" | b"/*")));
        length = comment.unwrap_or(length);
        let operator = run.get(..length).unwrap_or_default();
        if !operator.iter().any(|byte| SIGN_KEEPERS.contains(byte)) {
            let signs = operator.iter().rev().take_while(|byte| matches!(byte, b'+' | b'-')).count();
            // A run of signs alone is a run of one-character operators.
            length = (length - signs).max(1);
        }
        if operator.iter().all(|byte| *byte == b'>') {
            // `>>>` closes three type arguments; PostgreSQL has no such operator.
            length = length.min(2);
        }
        let text = self.text.get(self.at..self.at + length).unwrap_or_default();
        self.at += length;
        operator_token(text)
    }
}

fn radix_of(letter: u8) -> Option<u32> {
    match letter {
        b'x' | b'X' => Some(16),
        b'o' | b'O' => Some(8),
        b'b' | b'B' => Some(2),
        _ => None,
    }
}

fn operator_token(operator: &str) -> Token {
    match operator {
        "+" => Token::Plus,
        "-" => Token::Minus,
        "*" => Token::Mul,
        "/" => Token::Div,
        "%" => Token::Mod,
        "^" => Token::Caret,
        "=" => Token::Eq,
        "==" => Token::DoubleEq,
        "<>" | "!=" => Token::Neq,
        "<" => Token::Lt,
        ">" => Token::Gt,
        "<=" => Token::LtEq,
        ">=" => Token::GtEq,
        "<=>" => Token::Spaceship,
        "=>" => Token::RArrow,
        "||" => Token::StringConcat,
        "&" => Token::Ampersand,
        "|" => Token::Pipe,
        "#" => Token::Sharp,
        "##" => Token::DoubleSharp,
        "~" => Token::Tilde,
        "~*" => Token::TildeAsterisk,
        "!~" => Token::ExclamationMarkTilde,
        "!~*" => Token::ExclamationMarkTildeAsterisk,
        "~~" => Token::DoubleTilde,
        "~~*" => Token::DoubleTildeAsterisk,
        "!~~" => Token::ExclamationMarkDoubleTilde,
        "!~~*" => Token::ExclamationMarkDoubleTildeAsterisk,
        "<<" => Token::ShiftLeft,
        ">>" => Token::ShiftRight,
        "&&" => Token::Overlap,
        "@" => Token::AtSign,
        "^@" => Token::CaretAt,
        "|/" => Token::PGSquareRoot,
        "||/" => Token::PGCubeRoot,
        "->" => Token::Arrow,
        "->>" => Token::LongArrow,
        "#>" => Token::HashArrow,
        "#>>" => Token::HashLongArrow,
        "#-" => Token::HashMinus,
        "@>" => Token::AtArrow,
        "<@" => Token::ArrowAt,
        "@?" => Token::AtQuestion,
        "@@" => Token::AtAt,
        "?" => Token::Question,
        "?&" => Token::QuestionAnd,
        "?|" => Token::QuestionPipe,
        other => Token::CustomBinaryOperator(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        match tokenize(text, 1000) {
            Ok(lexemes) => lexemes.iter().map(|lexeme| lexeme.token.token.to_string()).collect::<Vec<_>>().join(" "),
            Err(error) => format!("{}: {} @{:?}", error.kind().sqlstate(), error.message(), error.position()),
        }
    }

    #[test]
    fn words_fold_and_quotes_do_not() {
        for (text, expected) in [
            ("SELECT Foo, \"Foo\", `Foo`", "select foo , \"Foo\" , \"Foo\""),
            ("a\"b\"\"c\"", "a \"b\"c\""),
            ("ÄPFEL Ünder$1", "Äpfel Ünder$1"),
            ("U&\"d\\0061t\\+000061\"", "\"data\""),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn strings_have_one_form() {
        for (text, expected) in [
            ("'a''b'", "a'b"),
            ("E'a\\'b\\n\\x41\\101\\u0041\\U0001F600'", "a'b\nAAA😀"),
            ("E'\\uD83D\\uDE00'", "😀"),
            ("$$it's$$", "it's"),
            ("$a$ $$ $a$", " $$ "),
            ("'a'\n  'b'", "ab"),
            ("U&'d!0061t' UESCAPE '!'", "dat"),
            ("N'x'", "x"),
        ] {
            let lexemes = tokenize(text, 10).unwrap();
            assert!(
                matches!(&lexemes[..], [Lexeme { token, .. }] if token.token == Token::SingleQuotedString(expected.to_string())),
                "{text}: {lexemes:?}"
            );
        }
        assert_eq!(tokenize("'a' 'b'", 10).unwrap().len(), 2);
    }

    #[test]
    fn operators_end_where_postgresql_ends_them() {
        for (text, expected) in [
            ("a<-1", "a < - 1"),
            ("a--b\n+c", "a + c"),
            ("a@-b", "a @- b"),
            ("1-/*x*/-2", "1 - - 2"),
            ("a->>'b'#>>c", "a ->> 'b' #>> c"),
            ("x::int[]", "x :: int [ ]"),
            ("a!~~*b", "a !~~* b"),
            ("1+-+-1", "1 + - + - 1"),
            ("array<array<array<int>>>", "array < array < array < int >> >"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn numbers_and_parameters() {
        for (text, expected) in [
            ("1 1.5 .5 5. 1e10 1.5E-3 1_000 0x1F 0b101 0o17", "1 1.5 .5 5. 1e10 1.5E-3 1000 31 5 15"),
            ("$1 $12::int", "$1 $12 :: int"),
            ("123abc", "42601: trailing junk after numeric literal at or near \"123abc\" @Some(1)"),
            ("1 $1a", "42601: trailing junk after parameter at or near \"$1a\" @Some(3)"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn lexical_errors_read_as_postgresqls() {
        for (text, expected) in [
            ("select 'abc", "42601: unterminated quoted string at or near \"'abc\" @Some(8)"),
            ("select \"abc", "42601: unterminated quoted identifier at or near \"\"abc\" @Some(8)"),
            ("select \"\"", "42601: zero-length delimited identifier at or near \"\"\"\" @Some(8)"),
            ("/* /* */ x", "42601: unterminated /* comment at or near \"/* /* */ x\" @Some(1)"),
            ("select $a$ x", "42601: unterminated dollar-quoted string at or near \"$a$ x\" @Some(8)"),
            ("select é \\", "42601: syntax error at or near \"\\\" @Some(10)"),
            ("E'\\xff'", "22021: invalid byte sequence for encoding \"UTF8\": 0xff @None"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn positions_count_characters() {
        let lexemes = tokenize("é = 'ü'\n, x", 10).unwrap();
        assert_eq!(lexemes.iter().map(Lexeme::position).collect::<Vec<_>>(), [1, 3, 5, 9, 11]);
    }

    #[test]
    fn the_token_limit_holds_while_tokens_are_made() {
        assert_eq!(tokenize(&"1,".repeat(1000), 100).unwrap_err().kind(), ErrorKind::ProgramLimit);
        assert!(tokenize(&" \n".repeat(100_000), 10).unwrap().is_empty());
    }
}
