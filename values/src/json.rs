//! JSON as text: what is valid, and the one form in which `jsonb` shows a document.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use crate::error::{Error, ErrorKind, Result};
use crate::numeric::Numeric;

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
    parse_json(text).map(|document| jsonb_text(&document))
}

/// A document taken apart; of several equal keys the last.
///
/// # Errors
/// 22P02 for text that is not JSON.
pub fn parse_json(text: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(|error| invalid_json(text, &error))
}

/// The one form in which `jsonb` shows a document.
pub fn jsonb_text(document: &Value) -> String {
    let mut canonical = String::new();
    write(document, &mut canonical);
    canonical
}

/// How `jsonb` orders documents (PostgreSQL 8.14.4): null, strings, numbers, booleans, arrays, objects; longer ones behind shorter ones; an empty
/// array in front of all.
pub fn compare_jsonb(one: &Value, other: &Value) -> Ordering {
    let rank = |value: &Value| match value {
        Value::Array(items) if items.is_empty() => 0,
        Value::Null => 1,
        Value::String(_) => 2,
        Value::Number(_) => 3,
        Value::Bool(_) => 4,
        Value::Array(_) => 5,
        Value::Object(_) => 6,
    };
    match (one, other) {
        (Value::String(one), Value::String(other)) => one.cmp(other),
        (Value::Number(one), Value::Number(other)) => {
            match (Numeric::parse(&one.to_string()), Numeric::parse(&other.to_string())) {
                (Ok(one), Ok(other)) => one.compare(&other),
                _ => one.to_string().cmp(&other.to_string()),
            }
        }
        (Value::Bool(one), Value::Bool(other)) => one.cmp(other),
        (Value::Array(one), Value::Array(other)) => one.len().cmp(&other.len()).then_with(|| {
            one.iter()
                .zip(other)
                .map(|(one, other)| compare_jsonb(one, other))
                .find(|order| order.is_ne())
                .unwrap_or(Ordering::Equal)
        }),
        (Value::Object(one), Value::Object(other)) => one.len().cmp(&other.len()).then_with(|| compare_fields(one, other)),
        _ => rank(one).cmp(&rank(other)),
    }
}

fn compare_fields(one: &Map<String, Value>, other: &Map<String, Value>) -> Ordering {
    let sorted = |fields: &Map<String, Value>| {
        let mut keys: Vec<String> = fields.keys().cloned().collect();
        keys.sort_by(|one, other| (one.len(), one).cmp(&(other.len(), other)));
        keys
    };
    let (left, right) = (sorted(one), sorted(other));
    for (left, right) in left.iter().zip(&right) {
        let by_key = (left.len(), left).cmp(&(right.len(), right));
        let by_value = || match (one.get(left), other.get(right)) {
            (Some(one), Some(other)) => compare_jsonb(one, other),
            _ => Ordering::Equal,
        };
        let order = by_key.then_with(by_value);
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
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
        // A number of jsonb is a numeric: without an exponent, and without the sign of zero.
        Value::Number(number) => match Numeric::parse(&number.to_string()) {
            Ok(number) => out.push_str(&number.to_string()),
            Err(_) => out.push_str(&number.to_string()),
        },
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
        assert_eq!(canonical_jsonb("[1e3, -0, 1.50e1]").unwrap(), "[1000, 0, 15.0]");
        assert_eq!(canonical_jsonb(" [ ] ").unwrap(), "[]");
    }

    #[test]
    fn jsonb_is_ordered_as_postgresql_orders_it() {
        let ordered = [
            "[]",
            "null",
            "\"a\"",
            "\"b\"",
            "-2",
            "-1e-3",
            "0",
            "1",
            "2",
            "10",
            "1e2",
            "false",
            "true",
            "[1]",
            "[1, 2]",
            "{}",
            "{\"b\": 1}",
            "{\"a\": 1, \"b\": 2}",
        ];
        for (at, one) in ordered.iter().enumerate() {
            for (other_at, other) in ordered.iter().enumerate() {
                let order = compare_jsonb(&parse_json(one).unwrap(), &parse_json(other).unwrap());
                assert_eq!(order, at.cmp(&other_at), "{one} {other}");
            }
        }
        let equal = |one: &str, other: &str| compare_jsonb(&parse_json(one).unwrap(), &parse_json(other).unwrap()).is_eq();
        assert!(
            equal("1.0", "1") && equal("100", "1e2") && equal("-0.0", "0") && equal("{\"a\":1,\"b\":[2]}", "{\"b\":[2.0],\"a\":1}")
        );
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
