//! String functions whose PostgreSQL meaning the engine's own do not have.

use std::cell::RefCell;
use std::collections::HashMap;

use regex::{Regex, RegexBuilder};

use crate::error::{Error, ErrorKind, Result, regex_fault};
use crate::functions::define::{Call, Declaration, immutable, zoned_arrays};
use crate::functions::names;
use crate::functions::pattern::escaped_pattern;
use crate::types::SqlType;
use crate::types::datum::Datum;
use crate::types::input::parse_string;

/// The functions of this file.
pub(crate) fn declarations() -> Vec<Declaration> {
    let mut all = quoting();
    all.extend(patterns());
    all.extend(casts());
    all.extend(pieces());
    all
}

fn quoting() -> Vec<Declaration> {
    vec![
        immutable("quote_ident(text) -> text", |call| Ok(Datum::from(names::quote_identifier(call.text(0)?)))),
        immutable("levenshtein(text, text) -> int4", |call| distance(call.text(0)?, call.text(1)?)),
        immutable("like_escape(text, text) -> text", |call| Ok(Datum::from(escaped_pattern(call.text(0)?, call.text(1)?)?))),
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

thread_local! {
    static PATTERNS: RefCell<HashMap<(String, String), Regex>> = RefCell::new(HashMap::new());
}

/// A compiled pattern with PostgreSQL's flags; the last few are kept.
fn pattern(text: &str, flags: &str) -> Result<Regex> {
    let key = (text.to_string(), flags.to_string());
    PATTERNS.with_borrow_mut(|patterns| {
        if let Some(regex) = patterns.get(&key) {
            return Ok(regex.clone());
        }
        if patterns.len() > 64 {
            patterns.clear();
        }
        let regex = compile(text, flags)?;
        patterns.insert(key, regex.clone());
        Ok(regex)
    })
}

/// Compiles a pattern. A dot matches a newline unless the flags say otherwise, as in PostgreSQL.
///
/// # Errors
/// [`ErrorKind::InvalidRegex`] for patterns that do not compile, [`ErrorKind::InvalidParameter`] for unknown flags.
fn compile(text: &str, flags: &str) -> Result<Regex> {
    let mut builder = RegexBuilder::new(text);
    builder.dot_matches_new_line(true).size_limit(1 << 20);
    for flag in flags.chars() {
        match flag {
            'i' => builder.case_insensitive(true),
            'c' => builder.case_insensitive(false),
            'm' | 'n' => builder.multi_line(true).dot_matches_new_line(false),
            'w' => builder.multi_line(true),
            'p' => builder.dot_matches_new_line(false),
            'x' => builder.ignore_whitespace(true),
            's' => builder.multi_line(false).dot_matches_new_line(true),
            'g' | 'e' | 't' => &mut builder,
            other => {
                return Err(Error::new(ErrorKind::InvalidParameter, format!("invalid regular expression option: \"{other}\"")));
            }
        };
    }
    builder.build().map_err(|error| {
        let fault = regex_fault(&error.to_string());
        Error::new(ErrorKind::InvalidRegex, format!("invalid regular expression: {fault}")).with_source(error)
    })
}

fn flags_of<'a>(call: &Call<'a>, index: usize) -> &'a str {
    call.get(index).as_text().unwrap_or("")
}

fn split(call: &Call<'_>) -> Result<Datum> {
    let (text, flags) = (call.text(0)?, flags_of(call, 2));
    if flags.contains('g') {
        return Err(Error::new(ErrorKind::InvalidParameter, "regexp_split_to_array() does not support the \"global\" option"));
    }
    let regex = pattern(call.text(1)?, flags)?;
    // An empty match splits between characters, never at the ends.
    let mut pieces = Vec::new();
    let mut start = 0;
    for found in regex.find_iter(text) {
        if found.is_empty() && (found.start() == start || found.start() >= text.len()) {
            continue;
        }
        pieces.push(text.get(start..found.start()).unwrap_or_default().to_string());
        start = found.end();
    }
    pieces.push(text.get(start..).unwrap_or_default().to_string());
    Ok(Datum::from(pieces))
}

fn groups(captures: &regex::Captures<'_>) -> Datum {
    let group = |index| Datum::text(captures.get(index).map(|found| found.as_str()));
    if captures.len() == 1 { Datum::List(vec![group(0)]) } else { Datum::List((1..captures.len()).map(group).collect()) }
}

fn matches(call: &Call<'_>) -> Result<Datum> {
    let (text, flags) = (call.text(0)?, flags_of(call, 2));
    let regex = pattern(call.text(1)?, flags)?;
    let limit = if flags.contains('g') { usize::MAX } else { 1 };
    Ok(Datum::List(regex.captures_iter(text).take(limit).map(|captures| groups(&captures)).collect()))
}

/// `substring(text from pattern)`: the first group, or the whole match.
fn substring(call: &Call<'_>) -> Result<Datum> {
    let regex = pattern(call.text(1)?, "")?;
    let captures = regex.captures(call.text(0)?);
    let found = captures.as_ref().and_then(|captures| if captures.len() > 1 { captures.get(1) } else { captures.get(0) });
    Ok(Datum::text(found.map(|found| found.as_str())))
}

/// Where character `start` (from 1) begins, in bytes.
fn byte_of(text: &str, start: i64) -> usize {
    let skip = usize::try_from(start.max(1) - 1).unwrap_or(usize::MAX);
    text.char_indices().nth(skip).map_or(text.len(), |(index, _)| index)
}

fn regexp_count(call: &Call<'_>) -> Result<Datum> {
    let text = call.text(0)?;
    let from = byte_of(text, call.get(2).as_int().unwrap_or(1));
    let regex = pattern(call.text(1)?, flags_of(call, 3))?;
    Ok(Datum::Int(i64::try_from(regex.find_iter(text.get(from..).unwrap_or_default()).count()).unwrap_or(i64::MAX)))
}

/// Position of the nth match or of a group in it; behind it when the fifth argument is 1.
fn regexp_instr(call: &Call<'_>) -> Result<Datum> {
    let text = call.text(0)?;
    let from = byte_of(text, call.get(2).as_int().unwrap_or(1));
    let nth = usize::try_from(call.get(3).as_int().unwrap_or(1).max(1) - 1).unwrap_or(0);
    let behind = call.get(4).as_int() == Some(1);
    let group = usize::try_from(call.get(6).as_int().unwrap_or(0)).unwrap_or(0);
    let regex = pattern(call.text(1)?, flags_of(call, 5))?;
    let tail = text.get(from..).unwrap_or_default();
    let found = regex
        .captures_iter(tail)
        .nth(nth)
        .and_then(|captures| captures.get(group).map(|found| if behind { found.end() } else { found.start() }));
    let characters = found.and_then(|index| text.get(..from + index)).map_or(0, |before| before.chars().count() + 1);
    Ok(Datum::Int(i64::try_from(characters).unwrap_or(0)))
}

fn regexp_substr(call: &Call<'_>) -> Result<Datum> {
    let (text, start) = (call.text(0)?, call.get(2).as_int().unwrap_or(1).max(1));
    let nth = call.get(3).as_int().unwrap_or(1).max(1);
    let regex = pattern(call.text(1)?, flags_of(call, 4))?;
    let from = text.char_indices().nth(usize::try_from(start - 1).unwrap_or(0)).map_or(text.len(), |(index, _)| index);
    let group = usize::try_from(call.get(5).as_int().unwrap_or(0)).unwrap_or(0);
    let tail = text.get(from..).unwrap_or_default();
    let captures = regex.captures_iter(tail).nth(usize::try_from(nth - 1).unwrap_or(0));
    Ok(Datum::text(captures.and_then(|captures| captures.get(group).map(|found| found.as_str().to_string()))))
}

fn patterns() -> Vec<Declaration> {
    let to_array = immutable("regexp_split_to_array(text, text) -> text[]", split);
    vec![
        to_array,
        immutable("regexp_split_to_array(text, text, text) -> text[]", split),
        immutable("regexp_split_to_table(text, text) -> setof text", split),
        immutable("regexp_split_to_table(text, text, text) -> setof text", split),
        immutable("regexp_matches(text, text) -> setof text[]", matches),
        immutable("regexp_matches(text, text, text) -> setof text[]", matches),
        immutable("regexp_count(text, text) -> int4", regexp_count),
        immutable("regexp_count(text, text, int4) -> int4", regexp_count),
        immutable("regexp_count(text, text, int4, text) -> int4", regexp_count),
        immutable("regexp_instr(text, text) -> int4", regexp_instr),
        immutable("regexp_instr(text, text, int4) -> int4", regexp_instr),
        immutable("regexp_instr(text, text, int4, int4) -> int4", regexp_instr),
        immutable("regexp_instr(text, text, int4, int4, int4) -> int4", regexp_instr),
        immutable("regexp_instr(text, text, int4, int4, int4, text) -> int4", regexp_instr),
        immutable("regexp_instr(text, text, int4, int4, int4, text, int4) -> int4", regexp_instr),
        immutable("regexp_substr(text, text) -> text", regexp_substr),
        immutable("regexp_substr(text, text, int4) -> text", regexp_substr),
        immutable("regexp_substr(text, text, int4, int4) -> text", regexp_substr),
        immutable("regexp_substr(text, text, int4, int4, text) -> text", regexp_substr),
        immutable("regexp_substr(text, text, int4, int4, text, int4) -> text", regexp_substr),
        immutable("regexp_extract(text, text) -> text", |call| group_of(call, 1)),
        immutable("regexp_extract(text, text, int4) -> text", |call| group_of(call, usize::try_from(call.int(2)?).unwrap_or(0))),
        immutable("substring_pattern(text, text) -> text", substring),
        immutable("rlike(text, text) -> bool", |call| Ok(Datum::Bool(pattern(call.text(1)?, "")?.is_match(call.text(0)?)))),
    ]
}

/// Databricks' `regexp_extract`: the empty string where nothing matches.
fn group_of(call: &Call<'_>, group: usize) -> Result<Datum> {
    let regex = pattern(call.text(1)?, "")?;
    let found = regex.captures(call.text(0)?).and_then(|captures| captures.get(group).map(|found| found.as_str().to_string()));
    Ok(Datum::from(found.unwrap_or_default()))
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
