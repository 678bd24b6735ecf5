//! Functions over `bytea`, byte by byte.
//!
//! Those that share their name with a function over text (`length`, `substr`, `trim`, `overlay`, `position`, `LIKE`, `||`) are declared
//! under the names of PostgreSQL's own procedures, and the binder calls them where the first argument is a `bytea`. An untyped literal is
//! a text there, as in PostgreSQL.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

use crate::error::{Error, ErrorKind, Result};
use crate::functions::define::{Call, Declaration, immutable};
use crate::types::datum::Datum;
use crate::types::values::bytes::{parse_escaped_bytes, parse_hex_bytes};

/// The functions of this file.
pub(crate) fn declarations() -> Vec<Declaration> {
    let mut all = codecs();
    all.extend(parts());
    all.extend(bits());
    all.extend(digests());
    all.extend(databricks());
    all
}

/// Names of functions over text, and what stands for them where the first argument is a `bytea`.
pub(crate) const OVER_BYTES: [(&str, &str); 11] = [
    ("length", "byteaoctetlen"),
    ("octet_length", "byteaoctetlen"),
    ("bit_length", "byteabitlen"),
    ("substr", "bytea_substr"),
    ("substring", "bytea_substr"),
    ("btrim", "byteatrim"),
    ("trim", "byteatrim"),
    ("ltrim", "bytealtrim"),
    ("rtrim", "byteartrim"),
    ("overlay", "byteaoverlay"),
    ("position", "byteapos"),
];

fn bytes<'a>(call: &Call<'a>, index: usize) -> Result<&'a [u8]> {
    match call.get(index) {
        Datum::Bytes(bytes) => Ok(bytes),
        _ => Err(Error::internal("a function over bytea got another type")),
    }
}

fn number(length: usize) -> Datum {
    Datum::Int(i64::try_from(length).unwrap_or(i64::MAX))
}

fn codecs() -> Vec<Declaration> {
    vec![
        immutable("encode(bytea, text) -> text", |call| {
            let bytes = bytes(call, 0)?;
            Ok(Datum::from(match call.text(1)?.to_lowercase().as_str() {
                "hex" => hex::encode(bytes),
                "base64" => wrap_lines(&BASE64.encode(bytes)),
                "escape" => bytes.iter().map(|byte| escape_byte(*byte)).collect(),
                _ => return Err(unknown_encoding(call.text(1)?)),
            }))
        }),
        immutable("decode(text, text) -> bytea", |call| {
            let text = call.text(0)?;
            Ok(Datum::Bytes(match call.text(1)?.to_lowercase().as_str() {
                "hex" => parse_hex_bytes(text)?,
                "base64" => {
                    let compact: String = text.chars().filter(|c| !c.is_whitespace()).collect();
                    BASE64.decode(compact).map_err(|_| {
                        Error::new(ErrorKind::InvalidParameter, "invalid base64 end sequence")
                            .with_hint("Input data is missing padding, is truncated, or is otherwise corrupted.")
                    })?
                }
                "escape" => parse_escaped_bytes(text)?,
                _ => return Err(unknown_encoding(call.text(1)?)),
            }))
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
    ]
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

/// The bytes from `start` (counted from 1, maybe below) on, `length` of them.
fn part(bytes: &[u8], start: i64, length: Option<i64>) -> Result<&[u8]> {
    let end = match length {
        Some(length) if length < 0 => return Err(negative_length()),
        Some(length) => start.saturating_add(length),
        None => i64::MAX,
    };
    let index = |place: i64| usize::try_from(place.max(1) - 1).unwrap_or(usize::MAX).min(bytes.len());
    let (from, to) = (index(start), index(end));
    Ok(bytes.get(from..to.max(from)).unwrap_or_default())
}

fn negative_length() -> Error {
    Error::new(ErrorKind::InvalidSubstring, "negative substring length not allowed")
}

fn trimmed(call: &Call<'_>, left: bool, right: bool) -> Result<Datum> {
    let (mut rest, set) = (bytes(call, 0)?, bytes(call, 1)?);
    while let Some((_, tail)) = rest.split_first().filter(|(first, _)| left && set.contains(first)) {
        rest = tail;
    }
    while let Some((_, head)) = rest.split_last().filter(|(last, _)| right && set.contains(last)) {
        rest = head;
    }
    Ok(Datum::Bytes(rest.to_vec()))
}

fn overlaid(call: &Call<'_>, length: Option<i64>) -> Result<Datum> {
    let (text, new, start) = (bytes(call, 0)?, bytes(call, 1)?, call.int(2)?);
    if start <= 0 {
        return Err(negative_length());
    }
    let length = length.unwrap_or_else(|| i64::try_from(new.len()).unwrap_or(i64::MAX));
    let before = part(text, 1, Some(start - 1))?;
    let behind = part(text, start.saturating_add(length), None)?;
    Ok(Datum::Bytes([before, new, behind].concat()))
}

/// Where `needle` stands, counted from 1; 0 if it does not.
fn place(hay: &[u8], needle: &[u8]) -> usize {
    if needle.is_empty() {
        return 1;
    }
    hay.windows(needle.len()).position(|window| window == needle).map_or(0, |index| index + 1)
}

/// LIKE over bytes: `%`, `_` and the backslash that takes the next byte as it is.
fn is_like(text: &[u8], pattern: &[u8]) -> Result<bool> {
    let dangling = || Error::new(ErrorKind::InvalidEscape, "LIKE pattern must not end with escape character");
    let (mut at, mut next) = (0, 0);
    // Where the last `%` stands, and how far the text had been read then.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        if at == text.len() {
            return Ok(pattern[next..].iter().all(|byte| *byte == b'%'));
        }
        let matched = match pattern.get(next) {
            Some(b'%') => {
                retry = Some((next + 1, at));
                next += 1;
                continue;
            }
            Some(b'_') => Some(1),
            Some(b'\\') => {
                let literal = pattern.get(next + 1).ok_or_else(dangling)?;
                (text.get(at) == Some(literal)).then_some(2)
            }
            Some(byte) => (text.get(at) == Some(byte)).then_some(1),
            None => None,
        };
        match (matched, retry) {
            (Some(length), _) => {
                at += 1;
                next += length;
            }
            (None, Some((behind, from))) if from < text.len() => {
                retry = Some((behind, from + 1));
                (at, next) = (from + 1, behind);
            }
            (None, _) => return Ok(false),
        }
    }
}

fn parts() -> Vec<Declaration> {
    vec![
        immutable("byteaoctetlen(bytea) -> int4", |call| Ok(number(bytes(call, 0)?.len()))),
        immutable("byteabitlen(bytea) -> int4", |call| Ok(number(bytes(call, 0)?.len() * 8))),
        immutable("bytea_substr(bytea, int4) -> bytea", |call| {
            Ok(Datum::Bytes(part(bytes(call, 0)?, call.int(1)?, None)?.to_vec()))
        }),
        immutable("bytea_substr(bytea, int4, int4) -> bytea", |call| {
            Ok(Datum::Bytes(part(bytes(call, 0)?, call.int(1)?, Some(call.int(2)?))?.to_vec()))
        }),
        immutable("byteatrim(bytea, bytea) -> bytea", |call| trimmed(call, true, true)),
        immutable("bytealtrim(bytea, bytea) -> bytea", |call| trimmed(call, true, false)),
        immutable("byteartrim(bytea, bytea) -> bytea", |call| trimmed(call, false, true)),
        immutable("byteaoverlay(bytea, bytea, int4) -> bytea", |call| overlaid(call, None)),
        immutable("byteaoverlay(bytea, bytea, int4, int4) -> bytea", |call| overlaid(call, Some(call.int(3)?))),
        immutable("byteapos(bytea, bytea) -> int4", |call| Ok(number(place(bytes(call, 0)?, bytes(call, 1)?)))),
        immutable("byteacat(bytea, bytea) -> bytea", |call| Ok(Datum::Bytes([bytes(call, 0)?, bytes(call, 1)?].concat()))),
        immutable("bytealike(bytea, bytea) -> bool", |call| Ok(Datum::Bool(is_like(bytes(call, 0)?, bytes(call, 1)?)?))),
        immutable("byteanlike(bytea, bytea) -> bool", |call| Ok(Datum::Bool(!is_like(bytes(call, 0)?, bytes(call, 1)?)?))),
    ]
}

/// The byte that holds what `index` counts in units of 1/`per_byte`.
fn at(call: &Call<'_>, per_byte: i64) -> Result<(usize, i64)> {
    let (bytes, index) = (bytes(call, 0)?, call.int(1)?);
    let count = i64::try_from(bytes.len()).unwrap_or(i64::MAX).saturating_mul(per_byte);
    if !(0..count).contains(&index) {
        let message = format!("index {index} out of valid range, 0..{}", count - 1);
        return Err(Error::new(ErrorKind::ArraySubscript, message));
    }
    Ok((usize::try_from(index / per_byte).unwrap_or(0), index % per_byte))
}

fn bits() -> Vec<Declaration> {
    vec![
        immutable("get_byte(bytea, int4) -> int4", |call| {
            let (index, _) = at(call, 1)?;
            Ok(Datum::Int(bytes(call, 0)?[index].into()))
        }),
        immutable("set_byte(bytea, int4, int4) -> bytea", |call| {
            let (index, _) = at(call, 1)?;
            let mut changed = bytes(call, 0)?.to_vec();
            changed[index] = u8::try_from(call.int(2)? & 0xff).unwrap_or(0);
            Ok(Datum::Bytes(changed))
        }),
        immutable("get_bit(bytea, int8) -> int4", |call| {
            let (index, bit) = at(call, 8)?;
            Ok(Datum::Int(i64::from(bytes(call, 0)?[index]) >> bit & 1))
        }),
        immutable("set_bit(bytea, int8, int4) -> bytea", |call| {
            let (index, bit) = at(call, 8)?;
            let mask = 1_u8 << bit;
            let mut changed = bytes(call, 0)?.to_vec();
            match call.int(2)? {
                0 => changed[index] &= !mask,
                1 => changed[index] |= mask,
                _ => return Err(Error::new(ErrorKind::InvalidParameter, "new bit must be 0 or 1")),
            }
            Ok(Datum::Bytes(changed))
        }),
        immutable("bit_count(bytea) -> int8", |call| {
            Ok(Datum::Int(bytes(call, 0)?.iter().map(|byte| i64::from(byte.count_ones())).sum()))
        }),
    ]
}

fn digests() -> Vec<Declaration> {
    vec![
        immutable("sha224(bytea) -> bytea", |call| Ok(Datum::Bytes(Sha224::digest(bytes(call, 0)?).to_vec()))),
        immutable("sha256(bytea) -> bytea", |call| Ok(Datum::Bytes(Sha256::digest(bytes(call, 0)?).to_vec()))),
        immutable("sha384(bytea) -> bytea", |call| Ok(Datum::Bytes(Sha384::digest(bytes(call, 0)?).to_vec()))),
        immutable("sha512(bytea) -> bytea", |call| Ok(Datum::Bytes(Sha512::digest(bytes(call, 0)?).to_vec()))),
    ]
}

fn databricks() -> Vec<Declaration> {
    vec![
        immutable("sha2(text, int4) -> text", sha2_text),
        immutable("sha2(bytea, int4) -> text", sha2_text),
        immutable("hex(text) -> text", |call| Ok(Datum::from(hex::encode_upper(call.text(0)?)))),
        immutable("hex(bytea) -> text", |call| Ok(Datum::from(hex::encode_upper(bytes(call, 0)?)))),
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
fn sha2_text(call: &Call<'_>) -> Result<Datum> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_bytes_come_back() {
        let bytes = [0, b'a', b'\\', 200];
        let text: String = bytes.iter().map(|byte| escape_byte(*byte)).collect();
        assert_eq!(text, "\\000a\\\\\\310");
        assert_eq!(parse_escaped_bytes(&text).unwrap(), bytes);
    }

    #[test]
    fn like_over_bytes() {
        for (text, pattern, matches) in [
            ("abc", "a%", true),
            ("abc", "a_c", true),
            ("abc", "%b%", true),
            ("abc", "%c%b", false),
            ("", "%", true),
            ("", "_", false),
            ("a%c", "a\\%c", true),
            ("abc", "a\\%c", false),
            ("aab", "%ab", true),
            ("abab", "%ab", true),
            ("ab", "a", false),
        ] {
            assert_eq!(is_like(text.as_bytes(), pattern.as_bytes()).unwrap(), matches, "{text} {pattern}");
        }
        assert!(is_like(b"a", b"a\\").is_ok_and(|matches| !matches));
        assert_eq!(is_like(b"ab", b"a\\").unwrap_err().kind(), ErrorKind::InvalidEscape);
    }

    #[test]
    fn parts_start_before_the_bytes() {
        assert_eq!(part(b"abc", -1, Some(3)).unwrap(), b"a");
        assert_eq!(part(b"abc", 2, None).unwrap(), b"bc");
        assert_eq!(part(b"abc", i64::MAX, Some(i64::MAX)).unwrap(), b"");
        assert_eq!(part(b"abc", 1, Some(-1)).unwrap_err().kind(), ErrorKind::InvalidSubstring);
    }
}
