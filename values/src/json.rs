//! JSON as text: what is valid, and the one form in which `jsonb` shows a document.

use serde_json::Value;

use super::{format_decimal256, parse_numeric};
use crate::error::{Error, ErrorKind, Result};

/// Checks a `json` value, which keeps its text.
///
/// # Errors
/// 22P02 for text that is not JSON.
pub fn check_json(text: &str) -> Result<()> {
    serde_json::from_str::<serde::de::IgnoredAny>(text).map(drop).map_err(|error| invalid_json(text, &error))
}

/// The text of a `jsonb` value: blanks behind commas and colons, short keys before long ones, the last of several equal keys.
///
/// # Errors
/// 22P02 for text that is not JSON.
pub fn canonical_jsonb(text: &str) -> Result<String> {
    let document: Value = serde_json::from_str(text).map_err(|error| invalid_json(text, &error))?;
    let mut canonical = String::with_capacity(text.len() + 8);
    write(&document, &mut canonical);
    Ok(canonical)
}

/// The depth is bounded by the parser.
fn write(value: &Value, out: &mut String) {
    match value {
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                write(item, out);
            }
            out.push(']');
        }
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(key, _)| (key.len(), *key));
            out.push('{');
            for (index, (key, value)) in fields.into_iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                out.push_str(&Value::String(key.clone()).to_string());
                out.push_str(": ");
                write(value, out);
            }
            out.push('}');
        }
        // `numeric` has no exponent.
        Value::Number(number) => {
            let text = number.to_string();
            match parse_numeric(&text) {
                Ok(value) if text.contains(['e', 'E']) => {
                    let scale = i8::try_from(value.scale).unwrap_or(i8::MAX);
                    out.push_str(format_decimal256(value.unscaled, scale).as_str());
                }
                _ => out.push_str(&text),
            }
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}

fn invalid_json(text: &str, error: &serde_json::Error) -> Error {
    let invalid = Error::new(ErrorKind::InvalidText, "invalid input syntax for type json");
    if error.is_eof() {
        return invalid.with_detail("The input string ended unexpectedly.");
    }
    match word_at(text, error.line(), error.column()) {
        Some(word) => invalid.with_detail(format!("Token \"{word}\" is invalid.")),
        None => invalid,
    }
}

/// The word that ends or begins where the parser stopped, if it is none that JSON knows.
fn word_at(text: &str, line: usize, column: usize) -> Option<&str> {
    let line = text.split('\n').nth(line.checked_sub(1)?)?;
    let part_of_word = |character: char| character.is_alphanumeric() || character == '_';
    let at = line.floor_char_boundary(column.checked_sub(1)?);
    let start =
        line[..at].rfind(|character: char| !part_of_word(character)).map_or(0, |before| line.ceil_char_boundary(before + 1));
    let word = &line[start..];
    let word = &word[..word.find(|character: char| !part_of_word(character)).unwrap_or(word.len())];
    let known = matches!(word, "true" | "false" | "null") || word.starts_with(|first: char| first.is_ascii_digit());
    (!word.is_empty() && !known).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jsonb_has_one_form() {
        let text = r#"{"long": 1.50 ,"a":null,"b":[1,{"x":"y\n"}],"a" : {}}"#;
        assert_eq!(canonical_jsonb(text).unwrap(), r#"{"a": {}, "b": [1, {"x": "y\n"}], "long": 1.50}"#);
        assert_eq!(canonical_jsonb(" [ ] ").unwrap(), "[]");
    }

    #[test]
    fn faults_are_told_without_the_document() {
        for (text, detail) in [
            ("{bad json", Some("Token \"bad\" is invalid.")),
            ("[1,", Some("The input string ended unexpectedly.")),
            ("{1:2}", None),
        ] {
            let error = check_json(text).unwrap_err();
            assert_eq!(error.message(), "invalid input syntax for type json");
            assert_eq!(error.detail(), detail, "{text}");
        }
        assert!(check_json("{\"a\": [1, 2]}").is_ok());
    }
}
