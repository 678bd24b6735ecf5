//! Protocol scenarios and PostgreSQL's answers to them, replayed against the server message by message.
//!
//! ```text
//!  scenarios.jsonl ─▶ messages ─▶ server ─▶ transcript ─┐
//!                └──▶ PostgreSQL's transcript ──────────┴─▶ what differs, step by step ═ conformance/allowed.toml
//! ```
//! A step that differs must stand in the list of allowed differences with what differs and why; an entry of that list that does not
//! differ, or differs otherwise, fails as well. The corpus is no part of the repository: without it the test prints so and passes.

mod captured;
mod difference;
mod refused;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::{Value, json};

use self::difference::{compact, differences};
use crate::corpora::corpus;
use crate::raw::RawClient;
use crate::server::{Server, run};

/// A recorded scenario.
#[derive(Deserialize)]
struct Scenario {
    name: String,
    startup: Option<Vec<Step>>,
    steps: Vec<Step>,
}

/// Messages that are sent together, and PostgreSQL's answer.
#[derive(Deserialize)]
struct Step {
    send: Vec<Value>,
    recv: Vec<Value>,
}

/// The list of allowed differences.
#[derive(Deserialize)]
struct AllowedList {
    allowed: Vec<Allowed>,
}

/// Steps that differ in the same way for the same reason.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Allowed {
    why: String,
    what: Vec<String>,
    steps: Vec<String>,
}

/// A step that did not answer as PostgreSQL does.
struct Deviation {
    what: Vec<String>,
    report: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn scenarios_are_answered_as_postgresql_answers_them() {
    let Some(folder) = corpus("wire-conformance-pg18") else { return };
    let text = std::fs::read_to_string(folder.join("scenarios.jsonl")).unwrap();
    let scenarios: Vec<Scenario> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let server = Server::start();
    run(&server.admin().await, include_str!("conformance/scenarios.sql")).await;
    let (steps, deviations) = tokio::task::spawn_blocking(move || replay_all(&server, &scenarios)).await.unwrap();
    println!("{} of {steps} steps are answered as PostgreSQL answers them", steps - deviations.len());
    let complaints = compare_with_allowed(&deviations);
    assert!(complaints.is_empty(), "{complaints}");
}

/// Number of steps, and those that deviate.
fn replay_all(server: &Server, scenarios: &[Scenario]) -> (usize, BTreeMap<String, Deviation>) {
    let mut deviations = BTreeMap::new();
    let mut count = 0;
    for scenario in scenarios {
        for (step, what, report) in replay(server, scenario) {
            count += 1;
            if !what.is_empty() {
                deviations.insert(step, Deviation { what, report });
            }
        }
    }
    (count, deviations)
}

fn replay(server: &Server, scenario: &Scenario) -> Vec<(String, Vec<String>, String)> {
    if scenario.steps.iter().flat_map(|step| &step.send).any(|message| message.to_string().contains("wt.")) {
        restore_rows(server);
    }
    let mut client = RawClient::connect(server.postgres);
    if scenario.startup.is_none() {
        let greeting = client.log_in(&of_the_user(&json!({"user": "wiretest", "database": "warehouse"})));
        assert!(greeting.last().is_some_and(|last| last[0] == "ReadyForQuery"), "{}: {greeting:?}", scenario.name);
    }
    let startup = scenario.startup.iter().flatten().enumerate().map(|(index, step)| (format!("startup{}", index + 1), step));
    let steps = scenario.steps.iter().enumerate().map(|(index, step)| ((index + 1).to_string(), step));
    let mut results = Vec::new();
    for (label, step) in startup.chain(steps) {
        let ours = answer(&mut client, step);
        let what = differences(&step.recv, &ours);
        let sent: String = step.send.iter().map(|message| format!("    > {message}\n")).collect();
        let report = format!("{sent}  PostgreSQL\n{}  ours\n{}", compact(&step.recv), compact(&ours));
        results.push((format!("{}/{label}", scenario.name), what.into_iter().collect(), report));
    }
    results
}

/// What one scenario has written, the next one does not read.
fn restore_rows(server: &Server) {
    let mut administrator = RawClient::connect(server.postgres);
    let greeting = administrator.log_in(&json!({"user": "owner", "database": "warehouse"}));
    administrator.send(&[json!(["Query", include_str!("conformance/rows.sql")])]);
    let answer = administrator.receive(1, 1);
    let failed = answer.iter().chain(&greeting).any(|message| message[0] == "ErrorResponse");
    assert!(!failed, "{greeting:?} {answer:?}");
}

/// The recorded user has a search path of its own, which it brings along here.
fn of_the_user(parameters: &Value) -> Value {
    let mut parameters = parameters.clone();
    let options = parameters["options"].as_str().unwrap_or_default();
    parameters["options"] = json!(format!("-c search_path=wt,\\ public {options}"));
    parameters
}

fn answer(client: &mut RawClient, step: &Step) -> Vec<Value> {
    let mut send = step.send.clone();
    for message in send.iter_mut().filter(|message| message[0] == "Startup") {
        message[2] = of_the_user(&message[2]);
    }
    client.send(&send);
    if step.recv.first().is_some_and(|first| first[0] == "Byte") {
        return client.byte().map(|byte| json!(["Byte", byte.to_string()])).into_iter().collect();
    }
    let ready = step.recv.iter().filter(|message| message[0] == "ReadyForQuery").count();
    client.receive(ready, step.recv.len())
}

/// What stands against the list of allowed differences, in both directions.
fn compare_with_allowed(deviations: &BTreeMap<String, Deviation>) -> String {
    let list: AllowedList = toml::from_str(include_str!("conformance/allowed.toml")).unwrap();
    let mut allowed: BTreeMap<&str, &Allowed> = BTreeMap::new();
    for entry in &list.allowed {
        assert!(!entry.why.trim().is_empty(), "an allowed difference without a reason: {:?}", entry.steps);
        for step in &entry.steps {
            assert!(allowed.insert(step, entry).is_none(), "{step} is allowed twice");
        }
    }
    let mut complaints = String::new();
    for (step, deviation) in deviations {
        match allowed.remove(step.as_str()) {
            Some(entry) if entry.what == deviation.what => {}
            other => {
                let listed = other.map_or(String::new(), |entry| format!(", allowed is {:?}", entry.what));
                let _ = writeln!(complaints, "\n{step} differs in {:?}{listed}\n{}", deviation.what, deviation.report);
            }
        }
    }
    for step in allowed.keys() {
        let _ = writeln!(complaints, "\n{step} is listed as an allowed difference and does not differ: remove it");
    }
    complaints
}
