//! SET, SHOW, RESET, USE, DISCARD, LISTEN, UNLISTEN, NOTIFY, LOCK.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::describe;
use super::reader::{Reader, refused};
use super::transaction::modes;
use crate::error::Result;
use crate::functions::session::LockMode;
use crate::sql::statement::{Command, Discarded, Name, SessionStatement, SettingChange, Statement, TransactionModes};

/// A statement that starts with one of those words.
pub(super) fn session(reader: &mut Reader) -> Result<Statement> {
    let statement = match reader.peek_word(0) {
        "set" => set(reader)?,
        "reset" => reset(reader)?,
        "use" => use_name(reader)?,
        "discard" => discard(reader)?,
        "listen" => listen(reader)?,
        "unlisten" => unlisten(reader)?,
        "notify" => notify(reader)?,
        _ => return show(reader),
    };
    Ok(Statement::Session(statement))
}

fn set(reader: &mut Reader) -> Result<SessionStatement> {
    reader.expect_word("set")?;
    if reader.words(&["session", "characteristics", "as", "transaction"]) {
        let settings = transaction_settings(reader, "default_transaction_")?;
        return Ok(several(false, settings));
    }
    let local = scope_is_local(reader);
    let named = |name: &str, values: Vec<String>| SessionStatement::Set { local, name: name.into(), values };
    match (reader.peek_word(0), reader.peek_word(1)) {
        ("transaction", word) if !matches!(word, "to" | "") => {
            reader.skip(1);
            let settings = transaction_settings(reader, "transaction_")?;
            Ok(several(true, settings))
        }
        ("time", "zone") => {
            reader.skip(2);
            Ok(named("timezone", time_zone(reader)?))
        }
        ("names", _) if !is_assignment(reader) => {
            reader.skip(1);
            let values = if reader.word("default") || reader.at_end() { vec![] } else { vec![value(reader)?] };
            if reader.word("collate") {
                return Err(refused("SET NAMES with COLLATE", "Leave COLLATE out."));
            }
            Ok(named("client_encoding", values))
        }
        ("session", "authorization") => {
            reader.skip(2);
            Ok(named("session_authorization", value_or_default(reader)?))
        }
        ("role", _) if !is_assignment(reader) => {
            reader.skip(1);
            Ok(named("role", value_or_default(reader)?))
        }
        ("schema", _) if !is_assignment(reader) => {
            reader.skip(1);
            Ok(named("search_path", vec![value(reader)?]))
        }
        ("catalog", _) if !is_assignment(reader) => {
            reader.skip(1);
            let name = reader.name()?;
            Ok(SessionStatement::Use { catalog: true, name })
        }
        ("constraints", _) => Err(refused("SET CONSTRAINTS", "Constraints are checked at once.")),
        _ => {
            let name = setting_name(reader)?;
            if !reader.token(&Token::Eq) {
                reader.expect_word("to")?;
            }
            let values = if reader.word("default") { vec![] } else { reader.list(value)? };
            Ok(SessionStatement::Set { local, name, values })
        }
    }
}

/// SET setting {TO | =} values | SET setting FROM CURRENT | RESET {setting | ALL}, of ALTER ROLE and ALTER DATABASE.
pub(super) fn setting_change(reader: &mut Reader) -> Result<SettingChange> {
    if reader.peek_word(0) == "reset" {
        return reset_name(reader).map(SettingChange::Reset);
    }
    match set(reader)? {
        SessionStatement::Set { local: false, name, values } if values.is_empty() => Ok(SettingChange::Reset(Some(name))),
        SessionStatement::Set { local: false, name, values } => Ok(SettingChange::Set { name, values }),
        _ => Err(refused("this form of SET in ALTER", "Write SET setting TO value.")),
    }
}

/// Reads LOCAL or SESSION, unless it is the setting itself or SESSION AUTHORIZATION.
fn scope_is_local(reader: &mut Reader) -> bool {
    let is_name = is_assignment(reader) || reader.peek_words(&["session", "authorization"]);
    !is_name && reader.one_of(&["local", "session"]) == Some("local")
}

/// The next word is a setting's name: `=` or TO stands behind it.
fn is_assignment(reader: &Reader) -> bool {
    *reader.peek_token(1) == Token::Eq || *reader.peek_token(1) == Token::Period || reader.peek_word(1) == "to"
}

fn several(local: bool, mut settings: Vec<(String, Vec<String>)>) -> SessionStatement {
    match settings.pop() {
        Some((name, values)) if settings.is_empty() => SessionStatement::Set { local, name, values },
        Some(last) => {
            settings.push(last);
            SessionStatement::SetSeveral { local, settings }
        }
        None => SessionStatement::SetSeveral { local, settings },
    }
}

/// `custom.setting`, lower case.
fn setting_name(reader: &mut Reader) -> Result<String> {
    let mut parts = vec![reader.label()?];
    while reader.token(&Token::Period) {
        parts.push(reader.label()?);
    }
    Ok(parts.join(".").to_lowercase())
}

fn value_or_default(reader: &mut Reader) -> Result<Vec<String>> {
    if reader.word("default") { Ok(vec![]) } else { Ok(vec![value(reader)?]) }
}

/// A constant, or a word that stands for itself.
fn value(reader: &mut Reader) -> Result<String> {
    match reader.peek_token(0) {
        Token::SingleQuotedString(text) => {
            reader.skip(1);
            Ok(text.clone())
        }
        Token::Word(word) => {
            reader.skip(1);
            Ok(word.value.clone())
        }
        _ => number(reader),
    }
}

fn number(reader: &mut Reader) -> Result<String> {
    let negative = reader.token(&Token::Minus);
    if !negative {
        reader.token(&Token::Plus);
    }
    let Token::Number(digits, _) = reader.peek_token(0) else { return Err(reader.unexpected()) };
    reader.skip(1);
    Ok(if negative { format!("-{digits}") } else { digits.clone() })
}

/// Behind SET TIME ZONE. An interval becomes the number of hours that it is east of Greenwich, which `timezone` takes as well.
fn time_zone(reader: &mut Reader) -> Result<Vec<String>> {
    if reader.word("local") || reader.word("default") {
        return Ok(vec![]);
    }
    if !reader.word("interval") {
        return Ok(vec![value(reader)?]);
    }
    let invalid = reader.unexpected();
    let hours = hours_of(&reader.string()?).ok_or(invalid)?;
    if reader.word("hour") && reader.word("to") {
        reader.expect_word("minute")?;
    }
    Ok(vec![hours])
}

/// `+05:30` is 5.5 hours.
fn hours_of(text: &str) -> Option<String> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1.0, digits),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    let mut parts = digits.split(':').map(|part| part.parse::<u32>().ok());
    let hours = f64::from(parts.next()??);
    let minutes = f64::from(parts.next().unwrap_or(Some(0))?);
    let seconds = f64::from(parts.next().unwrap_or(Some(0))?);
    let total = sign * (hours + minutes / 60.0 + seconds / 3600.0);
    let is_zone = parts.next().is_none() && hours < 24.0 && minutes < 60.0 && seconds < 60.0;
    is_zone.then(|| if total == 0.0 { "0".to_string() } else { total.to_string() })
}

/// The modes behind SET TRANSACTION, as settings whose names start with `prefix`.
fn transaction_settings(reader: &mut Reader, prefix: &str) -> Result<Vec<(String, Vec<String>)>> {
    if reader.peek_word(0) == "snapshot" {
        return Err(refused("SET TRANSACTION SNAPSHOT", "Name the version: SELECT .. FROM t VERSION AS OF n."));
    }
    if reader.at_end() {
        return Err(reader.unexpected());
    }
    let TransactionModes { read_only, isolation, deferrable } = modes(reader)?;
    let word = |on: bool| if on { "on" } else { "off" };
    let settings = [("isolation", isolation), ("read_only", read_only.map(word)), ("deferrable", deferrable.map(word))];
    let said = settings.into_iter().filter_map(|(name, value)| Some((format!("{prefix}{name}"), vec![value?.to_string()])));
    Ok(said.collect())
}

/// The level behind ISOLATION LEVEL, as `SHOW transaction_isolation` writes it.
pub(super) fn isolation_level(reader: &mut Reader) -> Result<&'static str> {
    if reader.word("serializable") {
        Ok("serializable")
    } else if reader.words(&["repeatable", "read"]) {
        Ok("repeatable read")
    } else if reader.words(&["read", "committed"]) {
        Ok("read committed")
    } else if reader.words(&["read", "uncommitted"]) {
        Ok("read uncommitted")
    } else {
        Err(reader.unexpected())
    }
}

/// The setting that SHOW and RESET name in several words, or in one.
fn shown_setting(reader: &mut Reader) -> Result<Option<String>> {
    let name = if reader.word("all") {
        return Ok(None);
    } else if reader.words(&["time", "zone"]) {
        "timezone".to_string()
    } else if reader.words(&["transaction", "isolation", "level"]) {
        "transaction_isolation".to_string()
    } else if reader.words(&["session", "authorization"]) {
        "session_authorization".to_string()
    } else {
        setting_name(reader)?
    };
    Ok(Some(name))
}

fn show(reader: &mut Reader) -> Result<Statement> {
    if let Some(command) = describe::show(reader)? {
        return Ok(Statement::Command(command));
    }
    reader.expect_word("show")?;
    let name = shown_setting(reader)?;
    Ok(Statement::Session(SessionStatement::Show { name }))
}

fn reset(reader: &mut Reader) -> Result<SessionStatement> {
    Ok(SessionStatement::Reset { name: reset_name(reader)? })
}

fn reset_name(reader: &mut Reader) -> Result<Option<String>> {
    reader.expect_word("reset")?;
    shown_setting(reader)
}

/// USE DATABASE means the catalog, as CREATE DATABASE does.
fn use_name(reader: &mut Reader) -> Result<SessionStatement> {
    reader.expect_word("use")?;
    let kind = if *reader.peek_token(1) == Token::EOF { None } else { reader.one_of(&["catalog", "database", "schema"]) };
    let name: Name = reader.name()?;
    Ok(SessionStatement::Use { catalog: matches!(kind, Some("catalog" | "database")), name })
}

fn discard(reader: &mut Reader) -> Result<SessionStatement> {
    reader.expect_word("discard")?;
    Ok(SessionStatement::Discard(match reader.one_of(&["all", "plans", "sequences", "temp", "temporary"]) {
        Some("all") => Discarded::All,
        Some("plans") => Discarded::Plans,
        Some("sequences") => Discarded::Sequences,
        Some(_) => Discarded::Temp,
        None => return Err(reader.unexpected()),
    }))
}

fn listen(reader: &mut Reader) -> Result<SessionStatement> {
    reader.expect_word("listen")?;
    reader.identifier().map(SessionStatement::Listen)
}

fn unlisten(reader: &mut Reader) -> Result<SessionStatement> {
    reader.expect_word("unlisten")?;
    let channel = if reader.token(&Token::Mul) { None } else { Some(reader.identifier()?) };
    Ok(SessionStatement::Unlisten(channel))
}

fn notify(reader: &mut Reader) -> Result<SessionStatement> {
    reader.expect_word("notify")?;
    let channel = reader.identifier()?;
    let payload = if reader.token(&Token::Comma) { reader.string()? } else { String::new() };
    Ok(SessionStatement::Notify { channel, payload })
}

/// LOCK [TABLE] [ONLY] name [, ..] [IN mode MODE] [NOWAIT]
pub(super) fn lock(reader: &mut Reader) -> Result<Command> {
    reader.expect_word("lock")?;
    reader.word("table");
    let names = reader.list(|reader| {
        reader.word("only");
        let name = reader.name()?;
        reader.token(&Token::Mul);
        Ok(name)
    })?;
    let mode = if reader.word("in") {
        let mode = lock_mode(reader)?;
        reader.expect_word("mode")?;
        mode
    } else {
        LockMode::AccessExclusive
    };
    let no_wait = reader.word("nowait");
    Ok(Command::Lock { names, mode, no_wait })
}

fn lock_mode(reader: &mut Reader) -> Result<LockMode> {
    let modes: [(&[&str], LockMode); 8] = [
        (&["access", "share"], LockMode::AccessShare),
        (&["row", "share"], LockMode::RowShare),
        (&["row", "exclusive"], LockMode::RowExclusive),
        (&["share", "update", "exclusive"], LockMode::ShareUpdateExclusive),
        (&["share", "row", "exclusive"], LockMode::ShareRowExclusive),
        (&["share"], LockMode::Share),
        (&["exclusive"], LockMode::Exclusive),
        (&["access", "exclusive"], LockMode::AccessExclusive),
    ];
    match modes.into_iter().find(|(words, _)| reader.words(words)) {
        Some((_, mode)) => Ok(mode),
        None => Err(reader.unexpected()),
    }
}
