//! String functions whose PostgreSQL meaning the engine's own do not have.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::error::{Error, ErrorKind, Result};
use crate::functions::define::{Call, Declaration, immutable, zoned};
use crate::functions::names;
use crate::functions::output::text_of;
use crate::types::datum::Datum;
use crate::types::values::TimeZone;

/// The functions of this file.
pub(crate) fn declarations() -> Vec<Declaration> {
    let mut all = quoting();
    all.extend(binary());
    all.extend(casts());
    all.extend(pieces());
    all
}

fn quoting() -> Vec<Declaration> {
    vec![
        immutable("quote_ident(text) -> text", |call| Ok(Datum::from(names::quote_identifier(call.text(0)?)))),
        immutable("quote_literal(text) -> text", |call| Ok(Datum::from(quote_literal(call.text(0)?)))),
        zoned("quote_literal(anyelement) -> text", |call| Ok(Datum::from(quote_literal(&text_of(call.get(0), call.zone))))),
        zoned("quote_nullable(anyelement) -> text", |call| {
            let value = call.get(0);
            Ok(Datum::from(if value.is_null() { "NULL".to_string() } else { quote_literal(&text_of(value, call.zone)) }))
        })
        .called_on_null(),
        zoned("format(text, any..) -> text", |call| {
            let Some(template) = call.get(0).as_text() else { return Ok(Datum::Null) };
            Ok(Datum::from(format(template, call.arguments.get(1..).unwrap_or_default(), call.zone)?))
        })
        .called_on_null(),
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

/// `format()`: `%s`, `%I`, `%L`, `%%`, with `n$` positions and widths.
fn format(template: &str, arguments: &[Datum], zone: &TimeZone) -> Result<String> {
    let bad = |message: &str| Error::new(ErrorKind::InvalidParameter, message);
    let mut result = String::with_capacity(template.len());
    let mut characters = template.chars().peekable();
    let mut next = 0;
    while let Some(character) = characters.next() {
        if character != '%' {
            result.push(character);
            continue;
        }
        if characters.next_if_eq(&'%').is_some() {
            result.push('%');
            continue;
        }
        let mut digits = String::new();
        let mut left = false;
        while let Some(part) = characters.next_if(|c| c.is_ascii_digit() || *c == '$' || *c == '-') {
            match part {
                '$' => {
                    next = digits
                        .parse::<usize>()
                        .ok()
                        .and_then(|n| n.checked_sub(1))
                        .ok_or_else(|| bad("format specifies argument 0, but arguments are numbered from 1"))?;
                    digits.clear();
                }
                '-' => left = true,
                digit => digits.push(digit),
            }
        }
        let kind = characters.next().ok_or_else(|| bad("unterminated format() type specifier"))?;
        let argument = arguments.get(next).ok_or_else(|| bad("too few arguments for format()"))?;
        next += 1;
        let text = match kind {
            's' => text_of(argument, zone),
            'I' if argument.is_null() => {
                return Err(Error::new(ErrorKind::DataException, "null values cannot be formatted as an SQL identifier"));
            }
            'I' => names::quote_identifier(&text_of(argument, zone)),
            'L' if argument.is_null() => "NULL".to_string(),
            'L' => quote_literal(&text_of(argument, zone)),
            other => {
                return Err(
                    bad(&format!("unrecognized format() type specifier \"{other}\"")).with_hint("For a single \"%\" use \"%%\".")
                );
            }
        };
        let width = digits.parse::<usize>().unwrap_or(0).min(1 << 20);
        let padding = " ".repeat(width.saturating_sub(text.chars().count()));
        result.push_str(&if left { format!("{text}{padding}") } else { format!("{padding}{text}") });
    }
    Ok(result)
}

fn bytes<'a>(call: &Call<'a>, index: usize) -> Result<&'a [u8]> {
    match call.get(index) {
        Datum::Bytes(bytes) => Ok(bytes),
        _ => Err(Error::internal("a function over bytea got another type")),
    }
}

fn binary() -> Vec<Declaration> {
    vec![
        immutable("encode(bytea, text) -> text", |call| {
            let bytes = bytes(call, 0)?;
            Ok(Datum::from(match call.text(1)?.to_lowercase().as_str() {
                "hex" => hex::encode(bytes),
                "base64" => wrap_lines(&BASE64.encode(bytes)),
                "escape" => bytes.iter().map(|byte| escape_byte(*byte)).collect(),
                other => return Err(unknown_encoding(other)),
            }))
        }),
        immutable("decode(text, text) -> bytea", |call| {
            let text = call.text(0)?;
            let compact = || text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            let decoded = match call.text(1)?.to_lowercase().as_str() {
                "hex" => hex::decode(compact()).map_err(|_| Error::new(ErrorKind::InvalidParameter, "invalid hexadecimal data"))?,
                "base64" => {
                    BASE64.decode(compact()).map_err(|_| Error::new(ErrorKind::InvalidParameter, "invalid base64 sequence"))?
                }
                "escape" => unescape(text)?,
                other => return Err(unknown_encoding(other)),
            };
            Ok(Datum::Bytes(decoded))
        }),
        immutable("convert_from(bytea, name) -> text", |call| {
            require_utf8(call.text(1)?)?;
            let text = std::str::from_utf8(bytes(call, 0)?)
                .map_err(|_| Error::new(ErrorKind::InvalidEncoding, "invalid byte sequence for encoding \"UTF8\""))?;
            Ok(Datum::from(text))
        }),
        immutable("convert_to(text, name) -> bytea", |call| {
            require_utf8(call.text(1)?)?;
            Ok(Datum::Bytes(call.text(0)?.as_bytes().to_vec()))
        }),
        immutable("get_byte(bytea, int4) -> int4", |call| {
            let index = usize::try_from(call.int(1)?).unwrap_or(usize::MAX);
            let byte =
                bytes(call, 0)?.get(index).ok_or_else(|| Error::new(ErrorKind::InvalidParameter, "index is out of range"))?;
            Ok(Datum::Int((*byte).into()))
        }),
        immutable("sha2(bytea, int4) -> text", sha2),
        immutable("sha2(text, int4) -> text", sha2),
        immutable("hex(bytea) -> text", |call| Ok(Datum::from(hex::encode_upper(bytes(call, 0)?)))),
        immutable("hex(text) -> text", |call| Ok(Datum::from(hex::encode_upper(call.text(0)?)))),
        immutable("hex(int8) -> text", |call| Ok(Datum::from(format!("{:X}", call.int(0)?)))),
        immutable("unhex(text) -> bytea", |call| Ok(hex::decode(call.text(0)?).map_or(Datum::Null, Datum::Bytes))),
        immutable("base64(bytea) -> text", |call| Ok(Datum::from(BASE64.encode(bytes(call, 0)?)))),
        immutable("unbase64(text) -> bytea", |call| {
            BASE64
                .decode(call.text(0)?)
                .map(Datum::Bytes)
                .map_err(|_| Error::new(ErrorKind::InvalidParameter, "invalid base64 sequence"))
        }),
    ]
}

/// Databricks' `sha2(value, bits)`: hexadecimal text.
fn sha2(call: &Call<'_>) -> Result<Datum> {
    use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};
    let input = match call.get(0) {
        Datum::Bytes(bytes) => bytes.as_slice(),
        Datum::Text(text) => text.as_bytes(),
        _ => return Ok(Datum::Null),
    };
    Ok(match call.int(1)? {
        224 => Datum::from(hex::encode(Sha224::digest(input))),
        0 | 256 => Datum::from(hex::encode(Sha256::digest(input))),
        384 => Datum::from(hex::encode(Sha384::digest(input))),
        512 => Datum::from(hex::encode(Sha512::digest(input))),
        _ => Datum::Null,
    })
}

fn require_utf8(encoding: &str) -> Result<()> {
    let name: String = encoding.chars().filter(char::is_ascii_alphanumeric).collect();
    if name.eq_ignore_ascii_case("utf8") {
        Ok(())
    } else {
        Err(Error::unsupported(format!("the encoding \"{encoding}\"")).with_hint("Use UTF8."))
    }
}

fn unknown_encoding(name: &str) -> Error {
    Error::new(ErrorKind::InvalidParameter, format!("unrecognized encoding: \"{name}\""))
}

/// PostgreSQL breaks base64 after 76 characters.
fn wrap_lines(text: &str) -> String {
    let chunks: Vec<&str> = (0..text.len()).step_by(76).filter_map(|start| text.get(start..(start + 76).min(text.len()))).collect();
    chunks.join("\n")
}

fn escape_byte(byte: u8) -> String {
    match byte {
        b'\\' => "\\\\".to_string(),
        0 | 128..=255 => format!("\\{byte:03o}"),
        other => char::from(other).to_string(),
    }
}

fn unescape(text: &str) -> Result<Vec<u8>> {
    let invalid = || Error::new(ErrorKind::InvalidText, "invalid input syntax for type bytea");
    let mut result = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            result.push(byte);
            continue;
        }
        match bytes.next().ok_or_else(invalid)? {
            b'\\' => result.push(b'\\'),
            first @ b'0'..=b'3' => {
                let mut value = first - b'0';
                for _ in 0..2 {
                    let digit = bytes.next().filter(|digit| (b'0'..=b'7').contains(digit)).ok_or_else(invalid)?;
                    value = value * 8 + (digit - b'0');
                }
                result.push(value);
            }
            _ => return Err(invalid()),
        }
    }
    Ok(result)
}

/// Type names called as functions.
fn casts() -> Vec<Declaration> {
    let text = zoned("text(any) -> text", |call| Ok(Datum::from(text_of(call.get(0), call.zone))));
    vec![
        text.also("varchar"),
        text.also("bpchar"),
        text.also("string"),
        immutable("name(text) -> name", |call| Ok(call.get(0).clone())),
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
    fn format_fills_its_template() {
        let arguments = [Datum::from("a b"), Datum::from("it's"), Datum::Int(5)];
        assert_eq!(format("%s %I %L %3$s %%", &arguments, &TimeZone::utc()).unwrap(), "a b \"it's\" '5' 5 %");
        assert_eq!(format("%1$L|%2$-6s|", &arguments, &TimeZone::utc()).unwrap(), "'a b'|it's  |");
        assert!(format("%s %s %s %s", &arguments, &TimeZone::utc()).is_err());
        assert!(format("%x", &arguments, &TimeZone::utc()).is_err());
    }

    #[test]
    fn literals_double_quotes_and_escape_backslashes() {
        assert_eq!(quote_literal("it's"), "'it''s'");
        assert_eq!(quote_literal("a\\b"), "E'a\\\\b'");
    }

    #[test]
    fn escaped_bytes_come_back() {
        let bytes = [0, b'a', b'\\', 200];
        let text: String = bytes.iter().map(|byte| escape_byte(*byte)).collect();
        assert_eq!(text, "\\000a\\\\\\310");
        assert_eq!(unescape(&text).unwrap(), bytes);
    }

    #[test]
    fn names_that_sound_alike_have_one_code() {
        assert_eq!(soundex("Robert"), "R163");
        assert_eq!(soundex("Rupert"), "R163");
        assert_eq!(soundex("Tymczak"), "T522");
    }
}
