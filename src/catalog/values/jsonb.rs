//! `jsonb` as text: what PostgreSQL's own format keeps of a JSON text.
//!
//! White space is one blank behind each comma and colon, the last of several equal keys stays, and keys stand in order of their length
//! and then of their bytes. Two equal values are the same text.

use serde_json::Value;

/// Rewrites a JSON text; `None` if it is none.
#[must_use]
pub fn canonical_jsonb(text: &str) -> Option<String> {
    let value: Value = serde_json::from_str(text).ok()?;
    let mut canonical = String::with_capacity(text.len());
    write(&value, &mut canonical);
    Some(canonical)
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Array(elements) => {
            out.push('[');
            for (index, element) in elements.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { ", " });
                write(element, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            let mut members: Vec<(&String, &Value)> = members.iter().collect();
            members.sort_by_key(|(key, _)| (key.len(), key.as_bytes()));
            out.push('{');
            for (index, (key, member)) in members.into_iter().enumerate() {
                out.push_str(if index == 0 { "" } else { ", " });
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push_str(": ");
                write(member, out);
            }
            out.push('}');
        }
        leaf => out.push_str(&leaf.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_what_postgresql_prints() {
        for (text, expected) in [
            ("{\"a\":[1,null,\"x\"]}", Some("{\"a\": [1, null, \"x\"]}")),
            ("  {\"bb\" : 1,\"a\":{} , \"c\":[ ]}", Some("{\"a\": {}, \"c\": [], \"bb\": 1}")),
            ("{\"a\":1,\"a\":2}", Some("{\"a\": 2}")),
            ("1.50", Some("1.50")),
            ("\"tab\\tand \\u00e9 \\\"q\\\"\"", Some("\"tab\\tand é \\\"q\\\"\"")),
            ("12345678901234567890123456789", Some("12345678901234567890123456789")),
            ("{", None),
            ("", None),
        ] {
            assert_eq!(canonical_jsonb(text).as_deref(), expected, "{text}");
        }
    }
}
