//! String functions whose PostgreSQL meaning the engine's own do not have.

use crate::error::{Error, ErrorKind, Result};
use crate::functions::define::{Call, Declaration, immutable, zoned_arrays};
use crate::functions::names;
use crate::types::SqlType;
use crate::types::datum::Datum;
use crate::types::input::parse_string;

/// The functions of this file.
pub(crate) fn declarations() -> Vec<Declaration> {
    let mut all = quoting();
    all.extend(casts());
    all.extend(pieces());
    all
}

fn quoting() -> Vec<Declaration> {
    vec![
        immutable("quote_ident(text) -> text", |call| Ok(Datum::from(names::quote_identifier(call.text(0)?)))),
        immutable("levenshtein(text, text) -> int4", |call| distance(call.text(0)?, call.text(1)?)),
        immutable("parse_ident(text) -> text[]", |call| {
            Ok(Datum::from(names::split_name(call.text(0)?).map_err(not_an_identifier)?))
        }),
        immutable("parse_ident(text, bool) -> text[]", |call| {
            Ok(Datum::from(names::split_name(call.text(0)?).map_err(not_an_identifier)?))
        }),
    ]
}

/// fuzzystrmatch's bound: the time is the product of the lengths.
const LONGEST_FOR_DISTANCE: usize = 255;

fn distance(one: &str, other: &str) -> Result<Datum> {
    if one.chars().count().max(other.chars().count()) > LONGEST_FOR_DISTANCE {
        let message = format!("levenshtein argument exceeds maximum length of {LONGEST_FOR_DISTANCE} characters");
        return Err(Error::new(ErrorKind::InvalidParameter, message));
    }
    let distance = datafusion::common::utils::datafusion_strsim::levenshtein(one, other);
    Ok(Datum::Int(i64::try_from(distance).unwrap_or(i64::MAX)))
}

fn not_an_identifier(error: Error) -> Error {
    Error::new(ErrorKind::InvalidParameter, "string is not a valid identifier").with_source(error)
}

/// A string as a literal: quotes doubled, `E'..'` when there is a backslash.
pub(crate) fn quote_literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') { format!("E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}

/// Type names called as functions.
fn casts() -> Vec<Declaration> {
    let text = zoned_arrays("text(any) -> text", |call| {
        let texts = call.cast_to_text(0)?;
        call.each_row(|row| Ok(texts.get(row).map(str::to_string)))
    });
    vec![
        text.also("varchar"),
        text.also("bpchar"),
        text.also("string"),
        immutable("name(text) -> name", |call| {
            let text = call.text(0)?;
            Ok(Datum::from(parse_string(text, &SqlType::Name)?))
        }),
        text,
    ]
}

fn pieces() -> Vec<Declaration> {
    vec![
        immutable("string_to_table(text, text) -> setof text", |call| {
            let Some(text) = call.get(0).as_text() else { return Ok(Datum::Null) };
            Ok(match call.get(1).as_text() {
                None => Datum::from(text.chars().map(String::from).collect::<Vec<_>>()),
                Some("") => Datum::from(vec![text]),
                Some(separator) => Datum::from(text.split(separator).collect::<Vec<_>>()),
            })
        })
        .called_on_null(),
        immutable("startswith(text, text) -> bool", |call| Ok(Datum::Bool(call.text(0)?.starts_with(call.text(1)?)))),
        immutable("endswith(text, text) -> bool", |call| Ok(Datum::Bool(call.text(0)?.ends_with(call.text(1)?)))),
        immutable("locate(text, text) -> int4", |call| Ok(position(call.text(1)?, call.text(0)?, 1))),
        immutable("locate(text, text, int4) -> int4", |call| Ok(position(call.text(1)?, call.text(0)?, call.int(2)?))),
        immutable("charindex(text, text) -> int4", |call| Ok(position(call.text(1)?, call.text(0)?, 1))),
        immutable("space(int4) -> text", |call| repeat(" ", call.int(0)?)),
        immutable("repeat(text, int4) -> text", |call| repeat(call.text(0)?, call.int(1)?)),
        immutable("lpad(text, int4) -> text", |call| pad(call, true)),
        immutable("lpad(text, int4, text) -> text", |call| pad(call, true)),
        immutable("rpad(text, int4) -> text", |call| pad(call, false)),
        immutable("rpad(text, int4, text) -> text", |call| pad(call, false)),
        immutable("soundex(text) -> text", |call| Ok(Datum::from(soundex(call.text(0)?)))),
    ]
}

/// 1-based position of `needle` from character `start` on; 0 if it is not there.
fn position(text: &str, needle: &str, start: i64) -> Datum {
    let skip = usize::try_from(start - 1).unwrap_or(0);
    let from = text.char_indices().nth(skip).map_or(text.len(), |(index, _)| index);
    let found = text.get(from..).and_then(|tail| tail.find(needle));
    let characters = found.and_then(|index| text.get(..from + index)).map_or(0, |before| before.chars().count() + 1);
    Datum::Int(i64::try_from(characters).unwrap_or(0))
}

/// Longest string that a function may make out of a shorter one.
const MAX_STRING_BYTES: usize = 64 << 20;

fn repeat(text: &str, count: i64) -> Result<Datum> {
    let count = usize::try_from(count).unwrap_or(0);
    if text.len().saturating_mul(count) > MAX_STRING_BYTES {
        return Err(Error::new(ErrorKind::ProgramLimit, "requested length too large"));
    }
    Ok(Datum::from(text.repeat(count)))
}

/// `lpad` and `rpad`: cut or filled to a length in characters.
fn pad(call: &Call<'_>, left: bool) -> Result<Datum> {
    let text = call.text(0)?;
    let length = usize::try_from(call.int(1)?).unwrap_or(0);
    let fill = if call.arguments.len() > 2 { call.text(2)? } else { " " };
    if length.saturating_mul(4) > MAX_STRING_BYTES {
        return Err(Error::new(ErrorKind::ProgramLimit, "requested length too large"));
    }
    let count = text.chars().count();
    if count >= length || fill.is_empty() {
        return Ok(Datum::from(text.chars().take(length).collect::<String>()));
    }
    let padding: String = fill.chars().cycle().take(length - count).collect();
    Ok(Datum::from(if left { format!("{padding}{text}") } else { format!("{text}{padding}") }))
}

fn soundex(text: &str) -> String {
    let code = |c: char| match c.to_ascii_uppercase() {
        'B' | 'F' | 'P' | 'V' => '1',
        'C' | 'G' | 'J' | 'K' | 'Q' | 'S' | 'X' | 'Z' => '2',
        'D' | 'T' => '3',
        'L' => '4',
        'M' | 'N' => '5',
        'R' => '6',
        'H' | 'W' => '-',
        _ => '0',
    };
    let mut letters = text.chars().filter(char::is_ascii_alphabetic);
    let Some(first) = letters.next() else { return text.to_string() };
    let mut result = String::from(first.to_ascii_uppercase());
    let mut last = code(first);
    for letter in letters {
        let current = code(letter);
        if current == '-' {
            continue;
        }
        if current != '0' && current != last {
            result.push(current);
        }
        last = current;
    }
    format!("{result:0<4}").chars().take(4).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_double_quotes_and_escape_backslashes() {
        assert_eq!(quote_literal("it's"), "'it''s'");
        assert_eq!(quote_literal("a\\b"), "E'a\\\\b'");
    }

    #[test]
    fn names_that_sound_alike_have_one_code() {
        assert_eq!(soundex("Robert"), "R163");
        assert_eq!(soundex("Rupert"), "R163");
        assert_eq!(soundex("Tymczak"), "T522");
    }
}
