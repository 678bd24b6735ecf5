//! Booleans, byte strings and uuids.

use super::input::invalid;
use super::number::trim;
use super::{ByteaOutput, ValueText};
use crate::error::{Error, ErrorKind, Result};

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Reads `boolean` text: `true`, `yes`, `on`, `1` and their opposites, in any case, and what begins only one of them.
///
/// # Errors
/// 22P02 for anything else.
pub fn parse_bool(text: &str) -> Result<bool> {
    let word = trim(text).to_ascii_lowercase();
    let begins = |whole: &str, at_least: usize| word.len() >= at_least && whole.starts_with(&word);
    if begins("true", 1) || begins("yes", 1) || word == "on" || word == "1" {
        Ok(true)
    } else if begins("false", 1) || begins("no", 1) || begins("off", 2) || word == "0" {
        Ok(false)
    } else {
        Err(invalid("boolean", text))
    }
}

/// Reads `bytea` text in hex (`\xdeadbeef`) or escape form (`a\\b\000`).
///
/// # Errors
/// 22P02 for an escape that is none, 22023 for hex digits that are none.
pub fn parse_bytea(text: &str) -> Result<Vec<u8>> {
    match text.strip_prefix("\\x") {
        Some(digits) => parse_hex_bytes(digits),
        None => parse_escaped_bytes(text),
    }
}

/// Reads pairs of hex digits, between which white space may stand.
///
/// # Errors
/// 22023 for digits that are none, and for an odd number of them.
pub fn parse_hex_bytes(digits: &str) -> Result<Vec<u8>> {
    let refuse = |message: String| Error::new(ErrorKind::InvalidParameter, message);
    let mut bytes = Vec::with_capacity(digits.len() / 2);
    let mut characters = digits.chars().filter(|c| !matches!(c, ' ' | '\n' | '\t' | '\r')).peekable();
    while let Some(high) = characters.next() {
        let high_digit = high.to_digit(16).ok_or_else(|| refuse(format!("invalid hexadecimal digit: \"{high}\"")))?;
        let low = characters.next().ok_or_else(|| refuse("invalid hexadecimal data: odd number of digits".to_string()))?;
        let low_digit = low.to_digit(16).ok_or_else(|| refuse(format!("invalid hexadecimal digit: \"{low}\"")))?;
        bytes.push(u8::try_from(high_digit * 16 + low_digit).unwrap_or_default());
    }
    Ok(bytes)
}

/// Reads the escape form: `\\\\` and `\\ooo`, and every other character as itself.
///
/// # Errors
/// 22P02 for an escape that is none.
pub fn parse_escaped_bytes(text: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    loop {
        rest = match rest {
            [] => return Ok(bytes),
            [b'\\', b'\\', rest @ ..] => {
                bytes.push(b'\\');
                rest
            }
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', rest @ ..] => {
                bytes.push(((a - b'0') << 6) | ((b - b'0') << 3) | (c - b'0'));
                rest
            }
            [b'\\', ..] => return Err(Error::new(ErrorKind::InvalidText, "invalid input syntax for type bytea")),
            [byte, rest @ ..] => {
                bytes.push(*byte);
                rest
            }
        };
    }
}

/// Appends `bytea` text.
pub fn format_bytea(bytes: &[u8], output: ByteaOutput, out: &mut Vec<u8>) {
    match output {
        ByteaOutput::Hex => {
            out.reserve(2 + 2 * bytes.len());
            out.extend_from_slice(b"\\x");
            out.extend(bytes.iter().flat_map(|byte| [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]));
        }
        ByteaOutput::Escape => {
            for byte in bytes {
                match byte {
                    b'\\' => out.extend_from_slice(b"\\\\"),
                    0x20..=0x7e => out.push(*byte),
                    _ => out.extend_from_slice(&[b'\\', b'0' + (byte >> 6), b'0' + ((byte >> 3) & 7), b'0' + (byte & 7)]),
                }
            }
        }
    }
}

/// Reads `uuid` text: 32 hex digits, with a hyphen after any group of four, in braces or not.
///
/// # Errors
/// 22P02 for anything else.
pub fn parse_uuid(text: &str) -> Result<[u8; 16]> {
    let refuse = || invalid("uuid", text);
    let inner = match text.strip_prefix('{') {
        Some(inner) => inner.strip_suffix('}').ok_or_else(refuse)?,
        None => text,
    };
    let mut uuid = [0; 16];
    let mut rest = inner.as_bytes();
    for (position, slot) in uuid.iter_mut().enumerate() {
        let [high, low, tail @ ..] = rest else { return Err(refuse()) };
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok()).ok_or_else(refuse);
        *slot = (digit(*high)? << 4) | digit(*low)?;
        rest = match tail {
            [b'-', behind @ ..] if position % 2 == 1 && position < 15 => behind,
            _ => tail,
        };
    }
    if rest.is_empty() { Ok(uuid) } else { Err(refuse()) }
}

/// Writes `uuid` text.
pub fn format_uuid(bytes: &[u8; 16]) -> ValueText<36> {
    let mut text = ValueText::new();
    for (position, byte) in bytes.iter().enumerate() {
        if matches!(position, 4 | 6 | 8 | 10) {
            text.push(b'-');
        }
        text.push_bytes(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    }
    text
}

/// The text of a `"char"`, which is one byte: nothing for NUL, and the octal form beyond ASCII, as the byte alone is not valid UTF-8.
pub fn format_char(byte: u8) -> String {
    match byte {
        0 => String::new(),
        0x80.. => format!("\\{byte:03o}"),
        ascii => char::from(ascii).to_string(),
    }
}

/// Reads a `"char"`: its octal form, or else the first byte of `text`.
pub fn parse_char(text: &[u8]) -> u8 {
    match text {
        [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7'] => (a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'),
        _ => text.first().copied().unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_may_be_abbreviated_while_they_are_plain() {
        for yes in ["t", "tr", "TRUE", " yes ", "y", "on", "1"] {
            assert!(parse_bool(yes).unwrap(), "{yes}");
        }
        for no in ["f", "fals", "False", "n", "NO", "of", "off", "0"] {
            assert!(!parse_bool(no).unwrap(), "{no}");
        }
        for wrong in ["", "o", "2", "yess", "truely", "10", "ja"] {
            assert_eq!(parse_bool(wrong).unwrap_err().message(), format!("invalid input syntax for type boolean: \"{wrong}\""));
        }
    }

    #[test]
    fn bytes_survive_both_forms() {
        let all: Vec<u8> = (0..=255).collect();
        for output in [ByteaOutput::Hex, ByteaOutput::Escape] {
            let mut text = vec![];
            format_bytea(&all, output, &mut text);
            assert_eq!(parse_bytea(std::str::from_utf8(&text).unwrap()).unwrap(), all);
        }
        assert_eq!(parse_bytea("\\xDE ad").unwrap(), [0xde, 0xad]);
        assert_eq!(parse_bytea("\\xabc").unwrap_err().message(), "invalid hexadecimal data: odd number of digits");
        assert_eq!(parse_bytea("\\xzz").unwrap_err().message(), "invalid hexadecimal digit: \"z\"");
        assert_eq!(parse_bytea("a\\b").unwrap_err().kind(), ErrorKind::InvalidText);
    }

    #[test]
    fn uuids_may_have_hyphens_and_braces() {
        let canonical = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
        for form in [
            canonical,
            "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}",
            "A0EEBC999C0B4EF8BB6D6BB9BD380A11",
            "a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11",
        ] {
            assert_eq!(format_uuid(&parse_uuid(form).unwrap()).as_str(), canonical, "{form}");
        }
        for wrong in [
            "",
            "a0eebc99",
            "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "a0-eebc999c0b4ef8bb6d6bb9bd380a11",
            "g0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11-",
        ] {
            assert_eq!(parse_uuid(wrong).unwrap_err().kind(), ErrorKind::InvalidText, "{wrong}");
        }
    }
}
