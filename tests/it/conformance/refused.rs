//! Messages that are answered otherwise because of a statement of a kind that is refused: `refused.toml` lists the kinds.
//!
//! ```text
//!  0A000 of a listed kind ─▶ skipped up to Sync ─▶ 25P02 up to the end of the block ─▶ names that so were never made
//! ```
//! Each step is looked for in what the server answers, so an error of another cause stays what it is.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;
use serde_json::Value;

/// The list of kinds.
#[derive(Deserialize)]
struct RefusedList {
    refused: Vec<Kind>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Kind {
    kind: String,
    /// Part of our message.
    says: String,
}

/// What refusals have left behind in one recorded session.
#[derive(Default)]
pub(super) struct Aftermath {
    /// Texts that would have made something, and the kinds for which they have not.
    unmade: Vec<(String, String)>,
}

/// What refusals have left behind on one connection.
#[derive(Default)]
pub(super) struct Causes {
    /// What is skipped up to Sync.
    skipped: Option<String>,
    /// What the block has failed of, if it was that.
    block: Option<String>,
    failed: bool,
    /// Statements that were not prepared.
    unprepared: HashMap<String, String>,
}

/// Prints how many messages each kind is the cause of, and gives the listed kinds that are the cause of nothing.
pub(super) fn unneeded(refused: &BTreeMap<String, usize>) -> Vec<String> {
    refused.iter().for_each(|(kind, count)| println!("{count:4} because of what is refused: {kind}"));
    kinds().into_iter().map(|kind| kind.kind).filter(|kind| !refused.contains_key(kind)).collect()
}

fn kinds() -> Vec<Kind> {
    toml::from_str::<RefusedList>(include_str!("refused.toml")).unwrap().refused
}

impl Causes {
    /// The kind that is the cause of this answer to this message, if it is one. Every message is to be shown, in order.
    pub(super) fn of(&mut self, message: &Value, given: &[Value], aftermath: &mut Aftermath) -> Option<String> {
        let code = field(given, "ErrorResponse", "C");
        let name = message[1].as_str().unwrap_or_default().to_string();
        let cause = match code.as_deref() {
            Some("0A000") => listed(&field(given, "ErrorResponse", "M").unwrap_or_default()),
            Some("25P02") => self.block.clone(),
            Some("26000") => self.unprepared.get(message[2].as_str().unwrap_or(&name)).cloned(),
            Some(_) => aftermath.unmade(given),
            None if given.iter().all(|answer| answer[0] == "ReadyForQuery") => self.skipped.clone(),
            None => aftermath.unmade(given),
        };
        self.remember(message, code.is_some(), cause.as_ref(), aftermath);
        given.iter().filter(|answer| answer[0] == "ReadyForQuery").for_each(|ready| self.ready(ready));
        cause
    }

    /// The kind that the block has failed of.
    pub(super) fn of_the_block(&self) -> Option<&str> {
        self.block.as_deref()
    }

    fn remember(&mut self, message: &Value, failed: bool, cause: Option<&String>, aftermath: &mut Aftermath) {
        let kind = message[0].as_str().unwrap_or_default();
        if failed && !self.failed {
            self.block = cause.cloned();
            self.failed = true;
        }
        if failed && kind != "Query" {
            self.skipped = cause.cloned();
        }
        let text = match kind {
            "Query" => message[1].as_str(),
            "Parse" => message[2].as_str(),
            _ => None,
        };
        let name = message[1].as_str().unwrap_or_default();
        match cause {
            Some(cause) if kind == "Parse" => drop(self.unprepared.insert(name.to_string(), cause.clone())),
            None if kind == "Parse" => drop(self.unprepared.remove(name)),
            _ => {}
        }
        let (Some(text), Some(cause)) = (text, cause) else { return };
        let text = text.to_lowercase();
        if text.contains("create") || text.contains("rename") {
            aftermath.unmade.push((text, cause.clone()));
        }
    }

    fn ready(&mut self, ready: &Value) {
        self.skipped = None;
        self.failed = ready[1] == "E";
        if !self.failed {
            self.block = None;
        }
    }
}

impl Aftermath {
    /// The kind for which what an answer misses was never made.
    fn unmade(&self, given: &[Value]) -> Option<String> {
        let says = field(given, "ErrorResponse", "M").or_else(|| field(given, "NoticeResponse", "M"))?;
        let missing = says.split_once("does not exist")?.0.trim_end().strip_suffix('"')?.rsplit(['"', '.']).next()?;
        let names = |text: &str| text.split(|letter: char| !letter.is_alphanumeric() && letter != '_').any(|word| word == missing);
        self.unmade.iter().find(|(text, _)| names(text)).map(|(_, kind)| kind.clone())
    }
}

fn listed(says: &str) -> Option<String> {
    kinds().into_iter().find(|kind| says.contains(&kind.says)).map(|kind| kind.kind)
}

fn field(given: &[Value], kind: &str, field: &str) -> Option<String> {
    given.iter().find(|answer| answer[0] == kind).and_then(|answer| answer[1][field].as_str()).map(ToString::to_string)
}

#[test]
fn a_refusal_is_the_cause_of_what_follows_from_it() {
    use serde_json::json;
    let error = |code: &str, says: &str| vec![json!(["ErrorResponse", { "C": code, "M": says }])];
    let ready = |state: &str| json!(["ReadyForQuery", state]);
    let failed = |code: &str, says: &str| [error(code, says), vec![ready("E")]].concat();
    let (mut causes, mut aftermath) = (Causes::default(), Aftermath::default());
    let mut cause = |message: Value, given: &[Value]| causes.of(&message, given, &mut aftermath);
    let query = |text: &str| json!(["Query", text]);
    let vacuum = Some("VACUUM".to_string());
    assert_eq!(cause(query("vacuum"), &failed("0A000", "VACUUM is not supported")), vacuum);
    assert_eq!(cause(query("create table made(a int)"), &failed("25P02", "aborted")), vacuum);
    assert_eq!(cause(query("rollback"), &[json!(["CommandComplete"]), ready("I")]), None);
    assert_eq!(cause(query("select 1 from s.made"), &failed("42P01", "relation \"s.made\" does not exist")), vacuum);
    assert_eq!(cause(query("select 1"), &failed("25P02", "aborted")), vacuum, "the block has failed of it");
    assert_eq!(cause(query("rollback"), &[json!(["CommandComplete"]), ready("I")]), None);
    assert_eq!(cause(query("select 1 from other"), &failed("42P01", "relation \"other\" does not exist")), None);
    assert_eq!(cause(query("vacuum"), &failed("0A000", "VACUUM is not supported")), vacuum);
    assert_eq!(cause(query("select 1"), &failed("25P02", "aborted")), None, "the block had failed of something else");
    assert_eq!(cause(query("rollback"), &[json!(["CommandComplete"]), ready("I")]), None);
    assert_eq!(cause(json!(["Parse", "s", "vacuum", []]), &error("0A000", "VACUUM is not supported")), vacuum);
    assert_eq!(cause(json!(["Bind", "", "s", [], [], []]), &[]), vacuum);
    assert_eq!(cause(json!(["Sync"]), &[ready("I")]), vacuum);
    assert_eq!(cause(json!(["Bind", "", "s", [], [], []]), &error("26000", "prepared statement \"s\" does not exist")), vacuum);
    assert_eq!(cause(json!(["Sync"]), &[ready("I")]), vacuum);
    assert_eq!(cause(json!(["Bind", "", "t", [], [], []]), &error("26000", "prepared statement \"t\" does not exist")), None);
    assert_eq!(cause(json!(["Execute", "", 0]), &[]), None, "skipped because of something else");
}
