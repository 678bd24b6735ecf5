//! Sessions of real clients, recorded with PostgreSQL, replayed against the server: each message of a client is to be answered with
//! the types of messages that PostgreSQL answered it with, and each connection is to end in the same transaction state.
//!
//! ```text
//!  SESSION.wire.jsonl ─▶ rounds: messages up to the next wait ─▶ server ─▶ answers dealt out to the messages ═ PostgreSQL's
//! ```
//! Object identifiers of the recorded database stand in later statements; a map from theirs to ours is learned from the rows that
//! come back. How many rows come back is counted apart: system tables of another product have other rows. So are messages that are
//! answered otherwise because of a statement that is refused.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::refused::{Aftermath, Causes, unneeded};
use crate::corpora::corpus;
use crate::raw::RawClient;
use crate::server::{Server, run};

/// The smallest share of messages that must be answered as PostgreSQL answers them, in per mille.
const FLOOR: usize = 960;

/// The same, of messages that are not answered otherwise because of a statement of a kind that is refused.
const SUPPORTED_FLOOR: usize = 997;

/// How long a statement runs before it is cancelled where the recorded client has cancelled it.
const UNTIL_CANCELLED: Duration = Duration::from_millis(500);

/// What binary data of a COPY begin with: signature, flags, length of the extension.
const COPY_HEADER: &str = "5047434f50590aff0d0a000000000000000000";

/// Prints every message that is answered otherwise.
const VERBOSE_VARIABLE: &str = "LAKEHOLD_REPLAY_VERBOSE";

/// OIDs of PostgreSQL's own objects are below, and the same here.
const FIRST_USER_OID: u64 = 16_384;

#[tokio::test(flavor = "multi_thread")]
async fn recorded_sessions_are_answered_as_postgresql_answered_them() {
    let Some(folder) = corpus("captured-pg18") else { return };
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.to_string_lossy().ends_with(".wire.jsonl"));
    files.sort();
    let server = Server::start();
    run(&server.admin().await, include_str!("captured.sql")).await;
    let replay_all = move || files.iter().map(|file| Session::replay(&server, file)).collect::<Vec<_>>();
    let sessions = tokio::task::spawn_blocking(replay_all).await.unwrap();
    let sum = |count: fn(&Session) -> usize| sessions.iter().map(count).sum::<usize>();
    let (asked, answered, rows) = (sum(|s| s.asked), sum(|s| s.answered), sum(|s| s.rows_alike));
    println!("{answered} of {asked} messages are answered with PostgreSQL's types of messages, {rows} also as to having rows");
    let mut refused = BTreeMap::new();
    for (kind, count) in sessions.iter().flat_map(|session| &session.refused) {
        *refused.entry(kind.clone()).or_default() += count;
    }
    let unneeded = unneeded(&refused);
    let supported = asked - refused.values().sum::<usize>();
    println!("{answered} of {supported} that are not answered otherwise because of what is refused");
    let other: Vec<&String> = sessions.iter().flat_map(|session| &session.other_state).collect();
    assert!(other.is_empty(), "{other:#?}");
    assert!(unneeded.is_empty(), "listed as refused, and no message is answered otherwise because of it: {unneeded:?}");
    assert!(answered * 1000 >= asked * FLOOR, "{answered} of {asked} is below {FLOOR} per mille");
    assert!(answered * 1000 >= supported * SUPPORTED_FLOOR, "{answered} of {supported} is below {SUPPORTED_FLOOR} per mille");
}

/// One recorded file, and how its replay went.
#[derive(Default)]
struct Session {
    name: String,
    /// Messages that PostgreSQL answers.
    asked: usize,
    answered: usize,
    /// Those of them that have rows where PostgreSQL has some, and none where it has none.
    rows_alike: usize,
    /// Those that are answered otherwise because of a statement that is refused, by its kind.
    refused: BTreeMap<String, usize>,
    aftermath: Aftermath,
    /// Connections that ended in another transaction state.
    other_state: Vec<String>,
    /// Their object identifiers, and ours.
    identifiers: HashMap<u64, u64>,
}

/// One recorded connection from its first ReadyForQuery on.
#[derive(Default)]
struct Recorded {
    startup: Value,
    ready: bool,
    sent: Vec<Value>,
    answers: Vec<Value>,
    /// Where rounds begin in `sent`: the client had read an answer before.
    rounds: Vec<usize>,
    answered_last: bool,
}

impl Recorded {
    fn push(&mut self, message: &Value) {
        let kind = message["m"].as_str().unwrap();
        if kind == "Startup" {
            self.startup = message["params"].clone();
        } else if !self.ready {
            self.ready = kind == "ReadyForQuery";
            self.answered_last = true;
        } else if message["d"] == "B" {
            self.answers.push(answer(message));
            self.answered_last = true;
        } else {
            // The data of a COPY belong to the statement that asked for them.
            let copies = matches!(kind, "CopyData" | "CopyDone" | "CopyFail");
            if std::mem::take(&mut self.answered_last) && !copies {
                self.rounds.push(self.sent.len());
            }
            self.sent.push(message.clone());
        }
    }
}

impl Session {
    fn replay(server: &Server, file: &Path) -> Session {
        let name = file.file_name().unwrap().to_string_lossy().trim_end_matches(".wire.jsonl").to_string();
        let mut connections: BTreeMap<u64, Recorded> = BTreeMap::new();
        for line in std::fs::read_to_string(file).unwrap().lines() {
            let message: Value = serde_json::from_str(line).unwrap();
            connections.entry(message["c"].as_u64().unwrap()).or_default().push(&message);
        }
        let mut session = Session { name, ..Session::default() };
        let started = Instant::now();
        for recorded in connections.values().filter(|recorded| recorded.ready) {
            session.connection(server, recorded);
        }
        println!("{:4} of {:4}  {} in {:?}", session.answered, session.asked, session.name, started.elapsed());
        session
    }

    fn connection(&mut self, server: &Server, recorded: &Recorded) {
        let mut client = RawClient::connect(server.postgres);
        let greeting = client.log_in(&recorded.startup);
        assert!(greeting.last().is_some_and(|last| last[0] == "ReadyForQuery"), "{}: {greeting:?}", self.name);
        let expected = deal(&recorded.sent, &recorded.answers, false);
        let mut causes = Causes::default();
        let mut states = ["I".to_string(), "I".to_string()];
        for (index, from) in recorded.rounds.iter().enumerate() {
            let to = recorded.rounds.get(index + 1).copied().unwrap_or(recorded.sent.len());
            let (sent, expected) = (&recorded.sent[*from..to], &expected[*from..to]);
            let given = self.round(&mut client, sent, expected, &mut causes);
            for (state, parts) in states.iter_mut().zip([expected, &given]) {
                let ready = parts.iter().flatten().rfind(|answer| answer[0] == "ReadyForQuery");
                ready.inspect(|ready| *state = ready[1].as_str().unwrap_or_default().to_string());
            }
        }
        let refused = states[1] == "E" && causes.of_the_block().is_some();
        if states[0] != states[1] && !refused {
            self.other_state.push(format!("{}: ends in {} instead of {}", self.name, states[1], states[0]));
        }
    }

    /// Sends what the client sent without waiting, and takes the answers.
    fn round(&mut self, client: &mut RawClient, sent: &[Value], expected: &[Vec<Value>], causes: &mut Causes) -> Vec<Vec<Value>> {
        let messages: Vec<Value> = sent.iter().map(|message| self.translated(message)).collect();
        let skipping = client.failed;
        client.send(&messages);
        let answers = || expected.iter().flatten();
        if answers().any(is_cancelled) {
            sleep(UNTIL_CANCELLED);
            client.cancel();
        }
        let ready = answers().filter(|answer| answer[0] == "ReadyForQuery").count();
        let count = answers().count();
        let received = if count == 0 { vec![] } else { client.receive(ready, count) };
        let given = deal(sent, &received, skipping);
        for ((message, expected), given) in messages.iter().zip(expected).zip(&given) {
            let cause = causes.of(message, given, &mut self.aftermath);
            self.compare(message, expected, given, cause);
            self.learn(expected, given);
        }
        given
    }

    fn compare(&mut self, message: &Value, expected: &[Value], given: &[Value], cause: Option<String>) {
        if ends(message[0].as_str().unwrap()).is_empty() {
            return;
        }
        self.asked += 1;
        if types(expected) == types(given) {
            self.answered += 1;
            let has_rows = |answers: &[Value]| answers.iter().any(|answer| answer[0] == "DataRow");
            self.rows_alike += usize::from(has_rows(expected) == has_rows(given));
        } else if let Some(kind) = cause {
            *self.refused.entry(kind).or_default() += 1;
        } else if std::env::var_os(VERBOSE_VARIABLE).is_some() {
            let error =
                |answers: &[Value]| answers.iter().find(|answer| answer[0] == "ErrorResponse").map(|error| error[1].clone());
            println!("{}: {message}\n  PostgreSQL {:?} {:?}", self.name, types(expected), error(expected));
            println!("  ours       {:?} {:?}", types(given), error(given));
        }
    }

    /// Object identifiers that stand in the same place of the same row.
    fn learn(&mut self, expected: &[Value], given: &[Value]) {
        let rows = |answers: &[Value]| -> Vec<Vec<Value>> {
            answers.iter().filter(|answer| answer[0] == "DataRow").filter_map(|answer| answer[1].as_array().cloned()).collect()
        };
        let (expected, given) = (rows(expected), rows(given));
        for row in &expected {
            let names = |row: &[Value]| -> Vec<Value> { row.iter().filter(|cell| number(cell).is_none()).cloned().collect() };
            let Some(ours) = given.iter().find(|given| given.len() == row.len() && names(given) == names(row)) else { continue };
            for (theirs, ours) in row.iter().zip(ours) {
                if let (Some(theirs), Some(ours)) = (number(theirs), number(ours))
                    && theirs >= FIRST_USER_OID
                    && ours >= FIRST_USER_OID
                {
                    self.identifiers.insert(theirs, ours);
                }
            }
        }
    }

    /// A recorded message as the raw client sends it, with our object identifiers in it.
    fn translated(&self, message: &Value) -> Value {
        let field = |name: &str| message[name].clone();
        match message["m"].as_str().unwrap() {
            "Query" => json!(["Query", self.text(&message["sql"])]),
            "Parse" => json!(["Parse", field("name"), self.text(&message["sql"]), field("oids")]),
            "Bind" => {
                let parameters = message["params"].as_array().unwrap().iter().map(|parameter| self.parameter(parameter));
                let parameters: Vec<Value> = parameters.collect();
                json!(["Bind", field("portal"), field("stmt"), field("pformats"), parameters, field("rformats")])
            }
            kind @ ("Describe" | "Close") => json!([kind, field("kind"), field("name")]),
            "Execute" => json!(["Execute", field("portal"), field("max")]),
            "CopyData" => json!(["CopyData", {"hex": copy_data(message)}]),
            kind => json!([kind]),
        }
    }

    fn text(&self, sql: &Value) -> String {
        let sql = sql.as_str().unwrap();
        let mut text = String::new();
        for part in sql.split_inclusive(|character: char| !character.is_ascii_digit()) {
            let digits = part.trim_end_matches(|character: char| !character.is_ascii_digit());
            match digits.parse::<u64>().ok().and_then(|number| self.identifiers.get(&number)) {
                Some(ours) => text.push_str(&format!("{ours}{}", &part[digits.len()..])),
                None => text.push_str(part),
            }
        }
        text
    }

    fn parameter(&self, parameter: &Value) -> Value {
        let ours = number(parameter).and_then(|number| self.identifiers.get(&number));
        match (ours, parameter.get("hex")) {
            (Some(ours), Some(_)) => json!({ "hex": format!("{ours:08x}") }),
            (Some(ours), None) => json!(ours.to_string()),
            (None, Some(hex)) => json!({ "hex": hex }),
            (None, None) => parameter.clone(),
        }
    }
}

/// Data of a COPY; of binary data that the recording breaks off, the whole rows and an end.
fn copy_data(message: &Value) -> String {
    let head = message["head"].as_str().unwrap();
    let is_whole = message["len"].as_u64() == Some(head.len() as u64 / 2);
    if is_whole || !head.starts_with(COPY_HEADER) {
        return head.to_string();
    }
    let data = hex::decode(head).unwrap();
    let mut end = COPY_HEADER.len() / 2;
    while let Some(next) = end_of_row(&data, end) {
        end = next;
    }
    hex::encode(&data[..end]) + "ffff"
}

/// Where the row that begins at `from` ends, if all of it is there.
fn end_of_row(data: &[u8], from: usize) -> Option<usize> {
    let count = i16::from_be_bytes(data.get(from..from + 2)?.try_into().unwrap());
    (0..count).try_fold(from + 2, |at, _| {
        let length = i32::from_be_bytes(data.get(at..at + 4)?.try_into().unwrap());
        let end = at + 4 + usize::try_from(length).unwrap_or(0);
        (end <= data.len()).then_some(end)
    })
}

/// An answer to a statement that the client has cancelled.
fn is_cancelled(answer: &Value) -> bool {
    answer[0] == "ErrorResponse" && answer[1]["M"] == "canceling statement due to user request"
}

/// A cell or parameter that may be an object identifier.
fn number(cell: &Value) -> Option<u64> {
    match cell.get("hex") {
        Some(hex) => hex.as_str().filter(|hex| hex.len() == 8).and_then(|hex| u64::from_str_radix(hex, 16).ok()),
        None => cell.as_str()?.parse().ok(),
    }
}

/// A recorded answer as the raw client writes it down, as far as it is compared.
fn answer(message: &Value) -> Value {
    match message["m"].as_str().unwrap() {
        "ReadyForQuery" => json!(["ReadyForQuery", message["status"]]),
        "DataRow" => json!(["DataRow", message["row"]]),
        "ErrorResponse" => json!(["ErrorResponse", message["fields"]]),
        kind => json!([kind]),
    }
}

/// Types of messages but for rows, whose number is another matter, and what is sent at the server's leisure.
fn types(answers: &[Value]) -> Vec<&str> {
    let types = answers.iter().filter_map(|answer| answer[0].as_str());
    types.filter(|kind| !matches!(*kind, "DataRow" | "CopyData" | "NotificationResponse")).collect()
}

/// The answers that end the answer to a message; none if it has no answer of its own.
fn ends(message: &str) -> &'static [&'static str] {
    match message {
        "Parse" => &["ParseComplete"],
        "Bind" => &["BindComplete"],
        "Close" => &["CloseComplete"],
        "Describe" => &["RowDescription", "NoData"],
        "Execute" => &["CommandComplete", "PortalSuspended", "EmptyQueryResponse"],
        "Query" | "Sync" | "FunctionCall" => &["ReadyForQuery"],
        _ => &[],
    }
}

/// Deals the answers out to the messages that they answer; `skipping`: behind an error, up to the next Sync.
fn deal(sent: &[Value], answers: &[Value], mut skipping: bool) -> Vec<Vec<Value>> {
    let mut parts = vec![vec![]; sent.len()];
    let mut index = 0;
    for given in answers {
        let kind = |index: usize| sent.get(index).map(|message| message["m"].as_str().unwrap_or_default());
        while kind(index).is_some_and(|kind| ends(kind).is_empty() || skipping && kind != "Sync") {
            index += 1;
        }
        let Some(message) = kind(index) else { break };
        let answer = given[0].as_str().unwrap_or_default();
        parts[index].push(given.clone());
        if answer == "ErrorResponse" && !ends(message).contains(&"ReadyForQuery") {
            skipping = true;
            index += 1;
        } else if ends(message).contains(&answer) {
            skipping = false;
            index += 1;
        }
    }
    parts
}

#[test]
fn answers_are_dealt_out_to_their_messages() {
    let sent = |kinds: &[&str]| kinds.iter().map(|kind| json!({ "m": kind })).collect::<Vec<_>>();
    let answers = |kinds: &[&str]| kinds.iter().map(|kind| json!([kind])).collect::<Vec<_>>();
    let dealt = |messages: &[&str], given: &[&str], skipping| deal(&sent(messages), &answers(given), skipping);
    let counts = |messages: &[&str], given: &[&str]| dealt(messages, given, false).iter().map(Vec::len).collect::<Vec<_>>();
    let whole = ["Parse", "Bind", "Flush", "Execute", "Sync"];
    assert_eq!(counts(&whole, &["ParseComplete", "BindComplete", "DataRow", "CommandComplete", "ReadyForQuery"]), [1, 1, 0, 2, 1]);
    assert_eq!(counts(&whole, &["ErrorResponse", "ReadyForQuery"]), [1, 0, 0, 0, 1]);
    assert_eq!(counts(&["Query", "CopyData", "CopyDone"], &["CopyInResponse", "CommandComplete", "ReadyForQuery"]), [3, 0, 0]);
    assert_eq!(dealt(&whole, &["ReadyForQuery"], true)[4].len(), 1);
}

#[test]
fn binary_data_that_break_off_end_with_a_whole_row() {
    let row = "000200000001aaffffffff";
    let message = |head: String, length: usize| json!({ "head": head, "len": length });
    let whole = format!("{COPY_HEADER}{row}ffff");
    assert_eq!(copy_data(&message(whole.clone(), whole.len() / 2)), whole);
    for cut in [2, 6, 14, row.len() - 2] {
        assert_eq!(copy_data(&message(format!("{COPY_HEADER}{row}{}", &row[..cut]), 99)), whole);
    }
    assert_eq!(copy_data(&message("3109".to_string(), 99)), "3109", "text is broken off by the line");
}
