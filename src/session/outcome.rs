//! What a statement gives back, before any protocol has seen it.
//!
//! ```text
//!  Session::execute ─▶ Outcome ─┬─ Rows     columns + batches + tag      SELECT, SHOW, FETCH, EXPLAIN
//!                               ├─ CopyOut  columns + batches + layout   COPY .. TO STDOUT
//!                               ├─ CopyIn   columns + a sink of batches  COPY .. FROM STDIN
//!                               ├─ Done     tag                          everything else
//!                               └─ Empty                                 no statement at all
//! ```
//! Batches come lazily: an [`Outcome`] that is dropped stops its query. Nothing here knows bytes or formats.

use std::collections::BTreeMap;
use std::fmt;

use datafusion::arrow::record_batch::RecordBatch;
use futures::stream::BoxStream;

use crate::command::CopyTarget;
use crate::error::Result;
use crate::sql::statement::CopyForm;
use crate::types::SqlType;

/// Rows on their way, a batch at a time. Dropping it cancels the query behind it.
pub type RowStream = BoxStream<'static, Result<RecordBatch>>;

/// A column of a result, as RowDescription tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Name; names may repeat.
    pub name: String,
    /// Type.
    pub sql_type: SqlType,
    /// Type modifier, -1 for none.
    pub typmod: i32,
    /// OID of the table it comes from, 0 for an expression.
    pub table: u32,
    /// `pg_attribute.attnum` in that table, 0 for an expression.
    pub attribute: i16,
}

impl Column {
    /// A column that comes from no table.
    pub fn computed(name: impl Into<String>, sql_type: SqlType) -> Self {
        Self { name: name.into(), sql_type, typmod: -1, table: 0, attribute: 0 }
    }
}

/// What a statement needs and gives, before it runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Description {
    /// Types of `$1`, `$2`, ..
    pub parameters: Vec<SqlType>,
    /// Columns of its rows; `None` if it gives none.
    pub columns: Option<Vec<Column>>,
}

/// The command tag of a statement that gives rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowTag {
    /// `SELECT n`
    Select,
    /// `FETCH n`
    Fetch {
        /// The cursor was declared BINARY: its rows go out in binary form even in the simple protocol.
        binary: bool,
    },
    /// A tag without a number: `SHOW`, `EXPLAIN`.
    Plain(&'static str),
}

impl RowTag {
    /// The tag after `rows` rows.
    pub fn complete(self, rows: u64) -> String {
        match self {
            RowTag::Select => format!("SELECT {rows}"),
            RowTag::Fetch { .. } => format!("FETCH {rows}"),
            RowTag::Plain(tag) => tag.to_string(),
        }
    }
}

/// How COPY .. TO STDOUT writes rows.
#[derive(Debug, Clone)]
pub struct CopyLayout {
    /// The form of a row.
    pub form: CopyForm,
    /// Whether the names of the columns come first.
    pub header: bool,
    /// For each column, whether its values are quoted always (csv).
    pub force_quote: Vec<bool>,
}

/// What a statement gave.
pub enum Outcome {
    /// Rows.
    Rows {
        /// Their columns.
        columns: Vec<Column>,
        /// The rows.
        stream: RowStream,
        /// The tag when they are all out.
        tag: RowTag,
    },
    /// It is done.
    Done {
        /// Its tag: `INSERT 0 5`, `CREATE TABLE`, `BEGIN`.
        tag: String,
    },
    /// Rows for COPY .. TO STDOUT.
    CopyOut {
        /// Their columns.
        columns: Vec<Column>,
        /// The rows.
        stream: RowStream,
        /// How they are written.
        layout: CopyLayout,
    },
    /// A table that waits for the rows of COPY .. FROM STDIN.
    CopyIn(CopyTarget),
    /// There was no statement.
    Empty,
}

impl Outcome {
    /// It is done, and this is its tag.
    pub fn done(tag: impl Into<String>) -> Self {
        Outcome::Done { tag: tag.into() }
    }
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Rows { columns, tag, .. } => {
                f.debug_struct("Rows").field("columns", columns).field("tag", tag).finish_non_exhaustive()
            }
            Outcome::Done { tag } => f.debug_struct("Done").field("tag", tag).finish(),
            Outcome::CopyOut { columns, layout, .. } => {
                f.debug_struct("CopyOut").field("columns", columns).field("layout", layout).finish_non_exhaustive()
            }
            Outcome::CopyIn(target) => f.debug_tuple("CopyIn").field(target).finish(),
            Outcome::Empty => f.write_str("Empty"),
        }
    }
}

/// Where a session stands, as ReadyForQuery tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransactionStatus {
    /// Outside of a transaction block.
    Idle,
    /// In a block.
    InBlock,
    /// In a block that has failed: only ROLLBACK helps.
    Failed,
}

/// How serious a notice is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// `DEBUG`
    Debug,
    /// `LOG`
    Log,
    /// `INFO`
    Info,
    /// `NOTICE`
    Notice,
    /// `WARNING`
    Warning,
}

impl Severity {
    /// The word that clients read.
    pub const fn name(self) -> &'static str {
        match self {
            Severity::Debug => "DEBUG",
            Severity::Log => "LOG",
            Severity::Info => "INFO",
            Severity::Notice => "NOTICE",
            Severity::Warning => "WARNING",
        }
    }
}

/// Messages that wait for the client, the first of them: a statement may have one to say for each of its rows.
#[derive(Debug, Default)]
pub struct Notices {
    kept: Vec<Notice>,
    /// How many more there were of each severity.
    left_out: BTreeMap<Severity, usize>,
}

/// Messages that wait for the client at most.
const MAXIMUM_NOTICES: usize = 1_000;

impl Notices {
    /// Adds one.
    pub fn push(&mut self, notice: Notice) {
        if self.kept.len() < MAXIMUM_NOTICES {
            self.kept.push(notice);
        } else {
            *self.left_out.entry(notice.severity).or_default() += 1;
        }
    }

    /// Adds those of another list.
    pub fn extend(&mut self, others: Notices) {
        others.kept.into_iter().for_each(|notice| self.push(notice));
        for (severity, count) in others.left_out {
            *self.left_out.entry(severity).or_default() += count;
        }
    }

    /// Takes all, those below `least` left out; the last says how many were too many.
    pub fn take(&mut self, least: Severity) -> Vec<Notice> {
        let Notices { kept, left_out } = std::mem::take(self);
        let mut all: Vec<Notice> = kept.into_iter().filter(|notice| notice.severity >= least).collect();
        let surplus: usize = left_out.range(least..).map(|(_, count)| count).sum();
        if surplus > 0 {
            let message = format!("{surplus} more messages of the statement are not shown");
            all.push(Notice::warning("01000", message));
        }
        all
    }
}

impl FromIterator<Notice> for Notices {
    fn from_iter<I: IntoIterator<Item = Notice>>(notices: I) -> Self {
        let mut all = Notices::default();
        notices.into_iter().for_each(|notice| all.push(notice));
        all
    }
}

/// Something the client should know, though nothing failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// How serious.
    pub severity: Severity,
    /// SQLSTATE; `00000` for a plain notice.
    pub sqlstate: &'static str,
    /// Primary message.
    pub message: String,
    /// Facts behind it.
    pub detail: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Notice {
    /// A NOTICE with SQLSTATE 00000.
    #[expect(clippy::self_named_constructors, reason = "NOTICE is PostgreSQL's word for this severity")]
    pub fn notice(message: impl Into<String>) -> Self {
        Self { severity: Severity::Notice, sqlstate: "00000", message: message.into(), detail: None, hint: None }
    }

    /// A WARNING with its SQLSTATE.
    pub fn warning(sqlstate: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, sqlstate, message: message.into(), detail: None, hint: None }
    }

    /// Another SQLSTATE.
    #[must_use]
    pub fn with_sqlstate(mut self, sqlstate: &'static str) -> Self {
        self.sqlstate = sqlstate;
        self
    }

    /// Adds what the caller can do.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
