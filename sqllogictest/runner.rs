//! Runs `sqllogictest/*.slt` against the real server, each file in three modes, each file and mode against a server of its own.
//!
//! ```text
//! file ─┬─▶ simple    Query
//!       ├─▶ extended  Parse, Bind (text results), Execute
//!       └─▶ binary    Parse, Bind (binary results), Execute; values are rendered here as PostgreSQL prints them
//! ```
//! So a value has three ways from the engine to the file, and all must agree. A file starts with an empty warehouse and the session of
//! the administrator. `connection alice` continues as principal `alice`, whose password is `alice-password-1` by convention; `alice.2`
//! is a second session of hers. Records for one mode only stand behind `onlyif simple`, `skipif binary` and the like. A record behind
//! `onlyif known-difference` holds PostgreSQL's answer where the server gives another one, and is skipped; remove the line with the bug.
//!
//! `cargo test --test sqllogictest -- --complete [filter]` writes the server's answers into the files instead of comparing them, and
//! `--complete=HOST:PORT` those of another server: PostgreSQL, for what must be as in PostgreSQL. Read the difference before you commit.
//! `--against=HOST:PORT` compares with another server: so the files, and this client, are checked against PostgreSQL itself.
//! This binary links nothing of the engine.

mod binary;
mod client;
mod server;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use sqllogictest::{
    Connection, ExpectedError, Record, Runner, StatementExpect, default_normalizer, default_validator, strict_column_validator,
};

use client::{Client, ClientError, Column, Mode};
use server::Server;

const MODES: [Mode; 3] = [Mode::Simple, Mode::Extended, Mode::Binary];

fn main() -> ExitCode {
    let (complete, rest): (Vec<String>, Vec<String>) = std::env::args().partition(|argument| argument.starts_with("--complete"));
    let files = match slt_files() {
        Ok(files) => files,
        Err(error) => {
            eprintln!("cannot list the .slt files: {error}");
            return ExitCode::FAILURE;
        }
    };
    if let Some(argument) = complete.first() {
        let address = argument.strip_prefix("--complete=");
        let filter = rest.get(1).map_or("", String::as_str);
        return complete_files(&files, address, filter);
    }
    let (against, rest): (Vec<String>, Vec<String>) = rest.into_iter().partition(|argument| argument.starts_with("--against="));
    let against = against.first().and_then(|argument| argument.strip_prefix("--against=")).map(str::to_string);
    let mut arguments = Arguments::from_iter(rest);
    // Two servers at a time are enough for the machines that this runs on.
    arguments.test_threads.get_or_insert(2);
    let trials = files.iter().flat_map(|file| MODES.map(|mode| trial(file, mode, against.clone()))).collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn slt_files() -> std::io::Result<Vec<PathBuf>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sqllogictest");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "slt"));
    files.sort();
    Ok(files)
}

fn topic(file: &Path) -> String {
    file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

fn trial(file: &Path, mode: Mode, against: Option<String>) -> Trial {
    let path = file.to_path_buf();
    Trial::test(format!("{}::{}", topic(file), mode.name()), move || {
        run_file(&path, mode, against.as_deref()).map_err(Failed::from)
    })
}

/// One session of a file, with sqllogictest's comparison around it.
type Session = Runner<Client, Box<dyn FnMut() -> std::future::Ready<Result<Client, ClientError>> + Send>>;

/// The sessions of one file, by the names behind `connection`.
struct Sessions {
    address: String,
    mode: Mode,
    open: HashMap<String, Session>,
}

impl Sessions {
    fn new(address: &str, mode: Mode) -> Self {
        Self { address: address.to_string(), mode, open: HashMap::new() }
    }

    /// The session of that name, opened at its first use.
    fn get(&mut self, name: &str) -> &mut Session {
        let (address, mode) = (self.address.clone(), self.mode);
        self.open.entry(name.to_string()).or_insert_with(|| {
            let principal = name.split('.').next().unwrap_or_default().to_string();
            let make: Box<dyn FnMut() -> _ + Send> =
                Box::new(move || std::future::ready(Client::connect(&address, &principal, mode)));
            let mut session = Runner::new(make);
            session.add_label(mode.name());
            session.with_column_validator(strict_column_validator);
            session
        })
    }
}

/// The session that a record names, and the record for that session's only connection.
fn for_session(mut record: Record<Column>) -> (String, Record<Column>) {
    let name = match &mut record {
        Record::Statement { connection, .. } | Record::Query { connection, .. } | Record::Let { connection, .. } => {
            std::mem::take(connection)
        }
        _ => Connection::Default,
    };
    match name {
        Connection::Default => ("admin".to_string(), record),
        Connection::Named(name) => (name, record),
    }
}

/// Runs a file; all of its failures are reported, not the first alone.
fn run_file(file: &Path, mode: Mode, against: Option<&str>) -> Result<(), String> {
    let records = sqllogictest::parse_file::<Column>(file).map_err(|error| error.to_string())?;
    let server = if against.is_none() { Some(Server::start()?) } else { None };
    let address = against.or(server.as_ref().map(Server::address)).unwrap_or_default();
    let mut sessions = Sessions::new(address, mode);
    let mut failures = Vec::new();
    for record in records {
        if matches!(record, Record::Halt { .. }) {
            break;
        }
        let (name, record) = for_session(record);
        if let Err(error) = sessions.get(&name).run(record) {
            failures.push(error.display(false).to_string());
        }
    }
    drop(sessions);
    let last_words = server.map_or(Ok(()), Server::stop);
    match failures.len() {
        0 => last_words,
        count => Err(format!("{count} records failed\n\n{}", failures.join("\n"))),
    }
}

/// Writes a server's answers into the files.
fn complete_files(files: &[PathBuf], address: Option<&str>, filter: &str) -> ExitCode {
    for file in files.iter().filter(|file| topic(file).contains(filter)) {
        if let Err(error) = complete_file(file, address) {
            eprintln!("{}: {error}", file.display());
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// `statement error` without a message takes any; completed, it names the one that came.
fn asking_for_the_error(mut record: Record<Column>) -> Record<Column> {
    if let Record::Statement { expected, .. } = &mut record
        && matches!(expected, StatementExpect::Error(ExpectedError::Empty))
    {
        *expected = StatementExpect::Error(ExpectedError::SqlState("?????".into()));
    }
    record
}

fn complete_file(file: &Path, address: Option<&str>) -> Result<(), String> {
    let records = sqllogictest::parse_file::<Column>(file).map_err(|error| error.to_string())?;
    let server = if address.is_none() { Some(Server::start()?) } else { None };
    let address = address.or(server.as_ref().map(Server::address)).unwrap_or_default();
    let mut sessions = Sessions::new(address, Mode::Simple);
    let mut out = String::new();
    for record in records {
        let shown = asking_for_the_error(record.clone());
        let (name, for_one) = for_session(record);
        let session = sessions.get(&name);
        let output = futures::executor::block_on(session.apply_record(for_one));
        let updated = sqllogictest::update_record_with_output(
            &shown,
            &output,
            "  ",
            default_validator,
            default_normalizer,
            strict_column_validator,
        );
        match updated.unwrap_or(shown) {
            Record::Injected(_) => {}
            record => out.push_str(&format!("{record}\n")),
        }
    }
    std::fs::write(file, format!("{}\n", out.trim_end())).map_err(|error| error.to_string())
}
