//! What differs between two transcripts of one step, in words short enough for a list.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::Value;

/// OIDs of PostgreSQL's own objects are below; those of users' objects differ from database to database.
const FIRST_USER_OID: u64 = 16_384;

/// In which ways `ours` differs from PostgreSQL's answer; empty if it does not.
///
/// - `refused SQLSTATE`: an error where PostgreSQL has none; `accepted`: the other way round
/// - `messages`: other types of messages; `rows`: another number of rows
/// - `error.C`, `notice.M`, `column.typmod`, `row`, `tag`, ..: a field of a message
pub(super) fn differences(postgresql: &[Value], ours: &[Value]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    if types(postgresql) != types(ours) {
        match (error(postgresql), error(ours)) {
            (None, Some(code)) => found.insert(format!("refused {code}")),
            (Some(_), None) => found.insert("accepted".to_string()),
            (Some(expected), Some(code)) if expected != code => found.insert(format!("messages, error {code}")),
            _ => found.insert("messages".to_string()),
        };
        return found;
    }
    if postgresql.len() != ours.len() {
        found.insert("rows".to_string());
        return found;
    }
    for (expected, given) in postgresql.iter().zip(ours) {
        compare(expected, given, &mut found);
    }
    found
}

/// Types of messages, rows counted once.
fn types(messages: &[Value]) -> Vec<&str> {
    let mut types: Vec<&str> = messages.iter().filter_map(|message| message[0].as_str()).collect();
    types.dedup_by(|one, other| one == other && *one == "DataRow");
    types
}

fn error(messages: &[Value]) -> Option<&str> {
    messages.iter().find(|message| message[0] == "ErrorResponse").and_then(|message| message[1]["C"].as_str())
}

fn compare(expected: &Value, given: &Value, found: &mut BTreeSet<String>) {
    match expected[0].as_str().unwrap_or_default() {
        "ErrorResponse" => compare_fields("error", &expected[1], &given[1], found),
        "NoticeResponse" => compare_fields("notice", &expected[1], &given[1], found),
        "RowDescription" => compare_columns(&expected[1], &given[1], found),
        "ParameterStatus" if expected[1] == "server_version" && given[1] == "server_version" => {}
        "DataRow" if expected != given => drop(found.insert("row".to_string())),
        "CommandComplete" if expected != given => drop(found.insert("tag".to_string())),
        kind if expected != given => drop(found.insert(kind.to_string())),
        _ => {}
    }
}

fn compare_columns(expected: &Value, given: &Value, found: &mut BTreeSet<String>) {
    let empty = vec![];
    let (expected, given) = (expected.as_array().unwrap_or(&empty), given.as_array().unwrap_or(&empty));
    if expected.len() != given.len() {
        found.insert("columns".to_string());
        return;
    }
    let of_user = |column: &Value| column["type"].as_u64().is_some_and(|oid| oid >= FIRST_USER_OID);
    for (expected, given) in expected.iter().zip(given) {
        let mut given = given.clone();
        if of_user(expected) && of_user(&given) {
            given["type"] = expected["type"].clone();
        }
        compare_fields("column", expected, &given, found);
    }
}

fn compare_fields(of: &str, expected: &Value, given: &Value, found: &mut BTreeSet<String>) {
    let keys = |fields: &Value| fields.as_object().map(|fields| fields.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
    for key in keys(expected).into_iter().chain(keys(given)) {
        if expected.get(&key) != given.get(&key) {
            found.insert(format!("{of}.{key}"));
        }
    }
}

/// A transcript for people: one line a message.
pub(super) fn compact(messages: &[Value]) -> String {
    let mut text = String::new();
    for message in messages {
        let line = match message[0].as_str().unwrap_or_default() {
            "RowDescription" => {
                let columns = message[1].as_array().map(|columns| columns.iter().map(column).collect::<Vec<_>>());
                format!("RowDescription {}", columns.unwrap_or_default().join(", "))
            }
            _ => message.to_string(),
        };
        let _ = writeln!(text, "    < {line}");
    }
    text
}

fn column(column: &Value) -> String {
    let field = |name: &str| column[name].to_string();
    format!(
        "{}({} size {} typmod {} table {}.{} format {})",
        field("name"),
        field("type"),
        field("size"),
        field("typmod"),
        field("table"),
        field("attnum"),
        field("format")
    )
}

#[test]
fn differences_are_named() {
    use serde_json::json;
    let ready = json!(["ReadyForQuery", "I"]);
    let rows = |count: usize| vec![json!(["DataRow", ["1"]]); count];
    let error = |code: &str| vec![json!(["ErrorResponse", {"C": code, "M": "x"}])];
    let found = |one: &[Value], other: &[Value]| differences(one, other).into_iter().collect::<Vec<_>>().join(",");
    assert_eq!(found(&rows(2), &rows(2)), "");
    assert_eq!(found(&rows(2), &rows(3)), "rows");
    assert_eq!(found(&rows(1), &error("0A000")), "refused 0A000");
    assert_eq!(found(&error("0A000"), &rows(1)), "accepted");
    assert_eq!(found(&error("0A000"), &error("42601")), "error.C");
    assert_eq!(found(&rows(1), &[ready]), "messages");
}
