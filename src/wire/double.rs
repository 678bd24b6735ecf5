//! A double of the warehouse, for tests of the door alone: its statements are a few words, its rows are counted up.

#![expect(clippy::unwrap_used, reason = "a double that cannot be made fails its test")]
#![cfg_attr(not(test), expect(dead_code, reason = "what fuzzing does not ask is there for the tests"))]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use datafusion::arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use datafusion::scalar::ScalarValue;
use futures::{FutureExt, StreamExt};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::auth::verifier::Verifier;
use crate::catalog::{CatalogSnapshot, Change, NewPrincipal};
use crate::command::{CopyColumn, CopyRows, CopyTarget};
use crate::error::{Error, ErrorKind, Result};
use crate::session::channels::{Notification, Queue};
use crate::session::outcome::{Column, CopyLayout, Description, Notice, Outcome, RowStream, RowTag, TransactionStatus};
use crate::session::portal::Portals;
use crate::session::prepared::PreparedStatements;
use crate::sql::statement::{
    CopyForm, CopyFormat, CopyIn, Name, Parsed, SessionStatement, Statement, TransactionModes, TransactionStatement,
};
use crate::types::{Form, SqlType};
use crate::wire::backend::{Backend, BackendSession, ConnectRequest};

/// Counts what tests ask about.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// Batches that streams have given.
    pub(super) batches: AtomicUsize,
    /// Statements that ran to their end although they were cancelled.
    pub(super) finished: AtomicUsize,
    /// Statements that noticed that they were cancelled.
    pub(super) cancelled: AtomicUsize,
    /// Streams that were dropped.
    pub(super) dropped: AtomicUsize,
    /// Sessions that are open.
    pub(super) sessions: AtomicUsize,
}

#[derive(Debug)]
pub(super) struct Warehouse {
    pub(super) counters: Arc<Counters>,
    catalog: Mutex<Arc<CatalogSnapshot>>,
}

impl Default for Warehouse {
    /// Users ada and root, who is an administrator, and the group readers; ada is in it.
    fn default() -> Self {
        let mut change = Change::on(&CatalogSnapshot::empty());
        let verifier = Verifier::from_password(PASSWORD, 16).unwrap().to_string();
        let ids = [("root", true, true), ("ada", true, false), ("readers", false, false)].map(|(name, can_login, is_admin)| {
            let verifier = Some(verifier.clone());
            change
                .create_principal(NewPrincipal { name: name.into(), can_login, is_admin, verifier, ..NewPrincipal::default() })
                .unwrap()
        });
        change.add_member(ids[2], ids[1]).unwrap();
        Self { counters: Arc::default(), catalog: Mutex::new(Arc::new(change.into_snapshot())) }
    }
}

impl Warehouse {
    /// Changes the catalog, as a statement of another session would.
    pub(super) fn change<T>(&self, edit: impl FnOnce(&mut Change) -> T) -> T {
        let mut catalog = self.catalog.lock();
        let mut change = Change::on(&catalog);
        let value = edit(&mut change);
        *catalog = Arc::new(change.into_snapshot());
        value
    }
}

pub(super) const PASSWORD: &str = "correct horse";

#[async_trait]
impl Backend for Warehouse {
    fn catalog(&self) -> Arc<CatalogSnapshot> {
        Arc::clone(&self.catalog.lock())
    }

    async fn connect(&self, request: ConnectRequest) -> Result<Box<dyn BackendSession>> {
        if request.database == "nosuchdb" {
            return Err(Error::new(ErrorKind::UndefinedCatalog, "database \"nosuchdb\" does not exist"));
        }
        if let Some((name, _)) = request.parameters.iter().find(|(name, _)| name == "nosuchguc") {
            return Err(Error::new(ErrorKind::UndefinedObject, format!("unrecognized configuration parameter \"{name}\"")));
        }
        self.counters.sessions.fetch_add(1, Ordering::SeqCst);
        Ok(Box::new(Session {
            counters: Arc::clone(&self.counters),
            request,
            token: CancellationToken::new(),
            status: TransactionStatus::Idle,
            implicit: false,
            notices: vec![],
            changes: vec![],
            prepared: PreparedStatements::default(),
            portals: Portals::default(),
            queue: Arc::default(),
        }))
    }
}

struct Session {
    counters: Arc<Counters>,
    request: ConnectRequest,
    token: CancellationToken,
    status: TransactionStatus,
    implicit: bool,
    notices: Vec<Notice>,
    changes: Vec<(String, String)>,
    prepared: PreparedStatements,
    portals: Portals,
    queue: Arc<Queue>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.counters.sessions.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Counts batches, and its own end.
struct Counted {
    stream: RowStream,
    counters: Arc<Counters>,
}

impl futures::Stream for Counted {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: std::pin::Pin<&mut Self>, context: &mut std::task::Context<'_>) -> std::task::Poll<Option<Self::Item>> {
        let polled = self.stream.poll_next_unpin(context);
        if let std::task::Poll::Ready(Some(_)) = &polled {
            self.counters.batches.fetch_add(1, Ordering::SeqCst);
        }
        polled
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.counters.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

fn integers(range: std::ops::Range<i32>) -> Result<RecordBatch> {
    Ok(RecordBatch::try_from_iter([("n", Arc::new(Int32Array::from_iter_values(range)) as ArrayRef)]).unwrap())
}

fn one(value: i32) -> Result<RecordBatch> {
    Ok(RecordBatch::try_from_iter([("n", Arc::new(Int32Array::from_value(value, 1)) as ArrayRef)]).unwrap())
}

fn text(rows: usize, length: usize) -> Result<RecordBatch> {
    let value = "x".repeat(length);
    Ok(RecordBatch::try_from_iter([("t", Arc::new(StringArray::from_iter_values((0..rows).map(|_| &value))) as ArrayRef)]).unwrap())
}

impl Session {
    fn rows(&self, name: &str, sql_type: SqlType, stream: RowStream) -> Outcome {
        let counted = Counted { stream, counters: Arc::clone(&self.counters) };
        Outcome::Rows { columns: vec![Column::computed(name, sql_type)], stream: counted.boxed(), tag: RowTag::Select }
    }

    /// A table of one column, which counts its rows; a broken one fails at the first.
    fn copy_target(&self, broken: bool) -> CopyTarget {
        let counters = Arc::clone(&self.counters);
        let load = move |mut rows: CopyRows| async move {
            let mut count = 0;
            while let Some(batch) = rows.next().await {
                if broken {
                    return Err(Error::new(ErrorKind::DiskFull, "no space left"));
                }
                count += batch?.num_rows() as u64;
            }
            counters.finished.fetch_add(1, Ordering::SeqCst);
            Ok(count)
        };
        let options = CopyIn::plain(Name { parts: vec!["t".into()], position: None }, CopyFormat::Text);
        let column =
            CopyColumn { name: "n".into(), sql_type: SqlType::Int4, not_null: false, force_null: false, force_not_null: false };
        CopyTarget {
            relation: "t".into(),
            columns: vec![column],
            unfilled: None,
            options,
            load: Box::new(move |rows| load(rows).boxed()),
        }
    }

    fn end(&mut self, committed: bool) {
        self.status = TransactionStatus::Idle;
        self.implicit = false;
        self.portals.end_transaction(committed);
    }

    fn transaction(&mut self, statement: &TransactionStatement) -> Outcome {
        let tag = match statement {
            TransactionStatement::Begin { .. } => {
                self.status = TransactionStatus::InBlock;
                self.implicit = false;
                "BEGIN"
            }
            TransactionStatement::Commit { .. } => {
                let committed = self.status != TransactionStatus::Failed;
                self.end(committed);
                if committed { "COMMIT" } else { "ROLLBACK" }
            }
            _ => {
                self.end(false);
                "ROLLBACK"
            }
        };
        Outcome::Done { tag: tag.into() }
    }
}

#[async_trait]
impl BackendSession for Session {
    fn parse(&self, text: &str) -> Result<Vec<Parsed>> {
        let words = text.split(';').map(str::trim).filter(|text| !text.is_empty());
        words
            .map(|text| {
                let statement = match text {
                    "begin" => {
                        Statement::Transaction(TransactionStatement::Begin { tag: "BEGIN", modes: TransactionModes::default() })
                    }
                    "commit" => Statement::Transaction(TransactionStatement::Commit { chain: false }),
                    "rollback" => Statement::Transaction(TransactionStatement::Rollback { chain: false }),
                    "selec" => return Err(Error::new(ErrorKind::Syntax, "syntax error at or near \"selec\"").with_position(1)),
                    _ => Statement::Session(SessionStatement::Unlisten(None)),
                };
                Ok(Parsed::new(statement, text.into(), 0))
            })
            .collect()
    }

    async fn prepare(&mut self, parsed: &Arc<Parsed>, types: &[Option<SqlType>]) -> Result<Description> {
        let integer = || Some(vec![Column::computed("n", SqlType::Int4)]);
        let (first, _) = parsed.text.split_once(' ').unwrap_or((&parsed.text, ""));
        let columns = match first {
            "select" | "rows" | "parameter" | "slow" | "endless" => integer(),
            "changes" => Some(vec![Column::computed("n", SqlType::Text)]),
            "wide" => Some(vec![Column::computed("t", SqlType::Text)]),
            _ => None,
        };
        let parameters = match first {
            "parameter" => vec![types.first().cloned().flatten().unwrap_or(SqlType::Int4)],
            _ => vec![],
        };
        Ok(Description { parameters, columns })
    }

    async fn execute(&mut self, parsed: &Arc<Parsed>, _types: &[Option<SqlType>], parameters: Vec<ScalarValue>) -> Result<Outcome> {
        if let Statement::Transaction(statement) = &parsed.statement {
            return Ok(self.transaction(statement));
        }
        let words: Vec<&str> = parsed.text.split(' ').collect();
        let number = |index: usize| words.get(index).and_then(|word| word.parse::<i32>().ok()).unwrap_or(0);
        let done = |tag: &str| Ok(Outcome::Done { tag: tag.into() });
        match words[0] {
            "select" => Ok(self.rows("n", SqlType::Int4, futures::stream::iter([one(number(1))]).boxed())),
            "changes" => Ok(self.rows("n", SqlType::Int4, futures::stream::iter([integers(1..2)]).boxed())),
            "rows" => {
                let all = number(1);
                let starts = futures::stream::iter((0..all).step_by(3));
                Ok(self.rows(
                    "n",
                    SqlType::Int4,
                    starts.map(move |start| integers(start..start.saturating_add(3).min(all))).boxed(),
                ))
            }
            "parameter" => {
                let [ScalarValue::Int32(Some(value))] = parameters[..] else {
                    return Err(Error::new(ErrorKind::DatatypeMismatch, "not an integer"));
                };
                Ok(self.rows("n", SqlType::Int4, futures::stream::iter([one(value)]).boxed()))
            }
            "wide" => {
                let (batches, length) = (number(1), usize::try_from(number(2)).unwrap_or(0).min(1 << 20));
                Ok(self.rows("t", SqlType::Text, futures::stream::iter(0..batches).map(move |_| text(8, length)).boxed()))
            }
            // One row, and then silence.
            "slow" => {
                Ok(self.rows("n", SqlType::Int4, futures::stream::iter([integers(0..1)]).chain(futures::stream::pending()).boxed()))
            }
            "endless" => Ok(self.rows("n", SqlType::Int4, futures::stream::repeat_with(|| integers(0..1000)).boxed())),
            "breaks" => {
                let error = Error::new(ErrorKind::DivisionByZero, "division by zero");
                Ok(self.rows("n", SqlType::Int4, futures::stream::iter([integers(0..1), Err(error)]).boxed()))
            }
            "hang" => {
                self.token.cancelled().await;
                self.counters.cancelled.fetch_add(1, Ordering::SeqCst);
                Err(Error::new(ErrorKind::Cancelled, "query cancelled"))
            }
            // A commit: cancellation does not reach it.
            "write" => {
                tokio::time::sleep(Duration::from_millis(200)).await;
                self.counters.finished.fetch_add(1, Ordering::SeqCst);
                done("INSERT 0 1")
            }
            "fail" => Err(Error::new(ErrorKind::DivisionByZero, "division by zero")),
            // Fuzzing takes them for faults of the door.
            "bug" if cfg!(test) => Err(Error::internal("the secret cause")),
            #[cfg(test)]
            "panic" => panic!("a bug"),
            "terminate" => {
                self.request.terminate.cancel();
                done("SELECT 1")
            }
            "notice" => {
                self.notices.push(Notice::notice("hello"));
                done("DO")
            }
            "set" => {
                let [_, name, value] = words[..] else { return Err(Error::new(ErrorKind::Syntax, "set name value")) };
                self.changes.push((name.into(), value.into()));
                done("SET")
            }
            "discard" => {
                self.prepared.clear();
                self.portals.clear();
                done("DISCARD ALL")
            }
            "copy" => {
                let format = if words.get(1) == Some(&"binary") { CopyFormat::Binary } else { CopyFormat::Text };
                let layout = CopyLayout { form: CopyForm::of(format), header: false, force_quote: vec![false] };
                let stream = futures::stream::iter([integers(1..3)]).boxed();
                Ok(Outcome::CopyOut { columns: vec![Column::computed("n", SqlType::Int4)], stream, layout })
            }
            "copyin" => Ok(Outcome::CopyIn(self.copy_target(words.get(1) == Some(&"broken")))),
            "user" => done(&format!("{} {}", self.request.principal.name, self.request.database)),
            other => Err(Error::new(ErrorKind::Syntax, format!("unknown statement {other}"))),
        }
    }

    fn transaction_status(&self) -> TransactionStatus {
        self.status
    }

    fn fail_transaction(&mut self) {
        if self.status == TransactionStatus::InBlock {
            self.status = TransactionStatus::Failed;
        }
        self.portals.fail(0);
    }

    fn begin_implicit(&mut self, _several: bool) {
        self.implicit |= self.status == TransactionStatus::Idle;
    }

    async fn end_implicit(&mut self, committed: bool) -> Result<()> {
        if self.status == TransactionStatus::Idle {
            self.end(committed);
        }
        Ok(())
    }

    fn notify(&mut self, notice: Notice) {
        self.notices.push(notice);
    }

    fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    fn take_parameter_changes(&mut self) -> Vec<(String, String)> {
        std::mem::take(&mut self.changes)
    }

    fn take_notifications(&mut self) -> Vec<Notification> {
        self.queue.take()
    }

    fn notifications(&self) -> Arc<Queue> {
        Arc::clone(&self.queue)
    }

    fn setting(&self, name: &str) -> Option<String> {
        let mut known = self.request.parameters.iter().chain(&self.request.defaults);
        let given = known.find(|(given, _)| given.eq_ignore_ascii_case(name));
        given.map(|(_, value)| value.clone())
    }

    fn form(&self) -> Arc<Form> {
        let given = |name: &str| self.request.parameters.iter().find(|(given, _)| given.eq_ignore_ascii_case(name));
        Arc::new(Form::from_settings(|name| given(name).map(|(_, value)| value.as_str())).unwrap_or_default())
    }

    fn cancel_token(&mut self) -> CancellationToken {
        self.token = CancellationToken::new();
        self.token.clone()
    }

    fn prepared(&mut self) -> &mut PreparedStatements {
        &mut self.prepared
    }

    fn portals(&mut self) -> &mut Portals {
        &mut self.portals
    }
}
