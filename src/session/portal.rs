//! Portals of one session: bound statements of the protocol and cursors of SQL, under the same names.
//!
//! ```text
//!  Bind ────▶ Bound ── first Execute or FETCH ──▶ Open ── rows handed out in parts ──▶ (finished: gives no more rows)
//!  DECLARE ───────────────────────────────────────▶ Open
//!  transaction fails ─▶ Failed      transaction ends ─▶ dropped, but for WITH HOLD after a COMMIT
//! ```
//! A cursor WITH HOLD is not copied at COMMIT: its stream reads table versions that its statement pinned, so it stays valid.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, Utc};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::scalar::ScalarValue;
use futures::StreamExt;
use tokio::sync::Mutex;

use super::outcome::{Column, RowStream, RowTag};
use super::prepared::Prepared;
use crate::error::{Error, ErrorKind, Result};

/// A portal.
#[derive(Debug)]
pub struct Portal {
    /// Name; empty for the protocol's unnamed portal.
    pub name: String,
    /// Text of its statement.
    pub text: String,
    /// Columns of its rows; `None` if it gives none.
    pub columns: Option<Vec<Column>>,
    /// Result format codes as `Bind` gave them: none, one for all, or one a column. 0 is text, 1 is binary.
    pub formats: Vec<i16>,
    /// DECLARE .. WITH HOLD.
    pub hold: bool,
    /// DECLARE .. BINARY.
    pub binary: bool,
    /// Made by DECLARE, not by `Bind`.
    pub from_sql: bool,
    /// When.
    pub created_at: DateTime<Utc>,
    /// Where it stands.
    pub state: PortalState,
    /// Its transaction has committed: WITH HOLD.
    kept: bool,
}

/// Where a portal stands.
#[derive(Debug)]
pub enum PortalState {
    /// Not run yet.
    Bound {
        /// Its statement.
        prepared: Arc<Prepared>,
        /// Its parameters.
        parameters: Vec<ScalarValue>,
    },
    /// Rows are handed out in parts.
    Open {
        /// The rows.
        cursor: Cursor,
        /// The tag after each part.
        tag: RowTag,
    },
    /// Ran, and gives no rows: it cannot run again.
    Done,
    /// Its transaction failed.
    Failed,
}

impl Portal {
    /// A portal that `Bind` made.
    pub fn bound(name: impl Into<String>, prepared: Arc<Prepared>, parameters: Vec<ScalarValue>, formats: Vec<i16>) -> Self {
        Self {
            name: name.into(),
            text: prepared.text.clone(),
            columns: prepared.description.columns.clone(),
            formats,
            hold: false,
            binary: false,
            from_sql: false,
            created_at: Utc::now(),
            state: PortalState::Bound { prepared, parameters },
            kept: false,
        }
    }

    /// Bytes of the parameters it holds.
    fn parameter_size(&self) -> usize {
        match &self.state {
            PortalState::Bound { parameters, .. } => parameters.iter().map(ScalarValue::size).sum(),
            PortalState::Open { .. } | PortalState::Done | PortalState::Failed => 0,
        }
    }

    /// A cursor over rows that are already coming.
    pub fn cursor(
        name: impl Into<String>,
        text: impl Into<String>,
        columns: Vec<Column>,
        stream: RowStream,
        hold: bool,
        binary: bool,
    ) -> Self {
        Self {
            name: name.into(),
            text: text.into(),
            columns: Some(columns),
            formats: if binary { vec![1] } else { vec![] },
            hold,
            binary,
            from_sql: true,
            created_at: Utc::now(),
            state: PortalState::Open { cursor: Cursor::new(stream), tag: RowTag::Select },
            kept: false,
        }
    }
}

/// Rows that are handed out in parts. Clones share the position.
#[derive(Clone)]
pub struct Cursor {
    shared: Arc<Shared>,
}

struct Shared {
    finished: AtomicBool,
    rows: Mutex<Rows>,
}

struct Rows {
    stream: Option<RowStream>,
    /// Rest of a batch of which a part is out.
    rest: Option<RecordBatch>,
}

impl Cursor {
    /// All of `stream`, nothing handed out yet.
    pub fn new(stream: RowStream) -> Self {
        Self {
            shared: Arc::new(Shared {
                finished: AtomicBool::new(false),
                rows: Mutex::new(Rows { stream: Some(stream), rest: None }),
            }),
        }
    }

    /// The next rows, at most `limit` of them; `None` for all that are left.
    ///
    /// Parts must be read one after the other: a second part waits until the first is read or dropped.
    pub fn take(&self, limit: Option<u64>) -> RowStream {
        let shared = Arc::clone(&self.shared);
        let left = limit.unwrap_or(u64::MAX);
        futures::stream::try_unfold((shared, left), |(shared, left)| async move {
            if left == 0 {
                return Ok(None);
            }
            let mut rows = shared.rows.lock().await;
            let Some(batch) = rows.next(&shared.finished).await? else { return Ok(None) };
            let length = batch.num_rows() as u64;
            if length <= left {
                drop(rows);
                return Ok(Some((batch, (shared, left - length))));
            }
            let taken = usize::try_from(left).unwrap_or(usize::MAX).min(batch.num_rows());
            rows.rest = Some(batch.slice(taken, batch.num_rows() - taken));
            drop(rows);
            Ok(Some((batch.slice(0, taken), (shared, 0))))
        })
        .boxed()
    }

    /// Whether all rows are out. A cursor whose last row was just handed out may not know yet.
    pub fn is_finished(&self) -> bool {
        self.shared.finished.load(Ordering::Acquire)
    }
}

impl Rows {
    async fn next(&mut self, finished: &AtomicBool) -> Result<Option<RecordBatch>> {
        if let Some(rest) = self.rest.take() {
            return Ok(Some(rest));
        }
        loop {
            let Some(stream) = self.stream.as_mut() else { return Ok(None) };
            match stream.next().await {
                Some(Ok(batch)) if batch.num_rows() == 0 => {}
                Some(Ok(batch)) => return Ok(Some(batch)),
                Some(Err(error)) => {
                    self.stream = None;
                    finished.store(true, Ordering::Release);
                    return Err(error);
                }
                None => {
                    self.stream = None;
                    finished.store(true, Ordering::Release);
                    return Ok(None);
                }
            }
        }
    }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cursor").field("finished", &self.is_finished()).finish()
    }
}

/// The portals of a session, bounded in number and in the size of their parameters.
#[derive(Debug)]
pub struct Portals {
    by_name: BTreeMap<String, Portal>,
    capacity: usize,
}

/// Bytes that the parameters of all portals of a session may take together.
const MAXIMUM_PARAMETERS: usize = 256 << 20;

/// How many portals a session may hold if nobody says otherwise.
pub const DEFAULT_PORTALS: usize = 100;

impl Default for Portals {
    fn default() -> Self {
        Self::new(DEFAULT_PORTALS)
    }
}

impl Portals {
    /// None yet, and at most `capacity`.
    pub fn new(capacity: usize) -> Self {
        Self { by_name: BTreeMap::new(), capacity }
    }

    /// Changes the bound; what is there stays.
    pub fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity;
    }

    /// The portal of that name, in the protocol's words.
    ///
    /// # Errors
    /// [`ErrorKind::UndefinedCursor`] if there is none.
    pub fn get(&mut self, name: &str) -> Result<&mut Portal> {
        self.by_name
            .get_mut(name)
            .ok_or_else(|| Error::new(ErrorKind::UndefinedCursor, format!("portal \"{name}\" does not exist")))
    }

    /// The portal of that name, in SQL's words: FETCH, MOVE, CLOSE.
    ///
    /// # Errors
    /// [`ErrorKind::UndefinedCursor`] if there is none.
    pub fn cursor(&mut self, name: &str) -> Result<&mut Portal> {
        self.by_name
            .get_mut(name)
            .ok_or_else(|| Error::new(ErrorKind::UndefinedCursor, format!("cursor \"{name}\" does not exist")))
    }

    /// Keeps a portal under its name. The unnamed one replaces its predecessor.
    ///
    /// # Errors
    /// [`ErrorKind::DuplicateCursor`] if the name is taken, [`ErrorKind::LimitExceeded`] if there are too many.
    pub fn insert(&mut self, portal: Portal) -> Result<()> {
        if !portal.name.is_empty() {
            self.check_free(&portal.name)?;
            if self.by_name.len() >= self.capacity {
                return Err(Error::new(ErrorKind::LimitExceeded, format!("too many open portals: {}", self.capacity))
                    .with_hint("Close those that are no longer needed."));
            }
        }
        let held: usize = self.by_name.values().filter(|held| held.name != portal.name).map(Portal::parameter_size).sum();
        if held + portal.parameter_size() > MAXIMUM_PARAMETERS {
            return Err(Error::new(ErrorKind::LimitExceeded, "the parameters of the session's portals are too large together")
                .with_hint("Close those that are no longer needed."));
        }
        self.by_name.insert(portal.name.clone(), portal);
        Ok(())
    }

    /// Whether a portal of that name may be inserted.
    ///
    /// # Errors
    /// [`ErrorKind::DuplicateCursor`] if the name is taken; the unnamed portal's never is.
    pub fn check_free(&self, name: &str) -> Result<()> {
        if name.is_empty() || !self.by_name.contains_key(name) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::DuplicateCursor, format!("cursor \"{name}\" already exists")))
    }

    /// Drops the portal of that name, if there is one. Returns whether there was.
    pub fn remove(&mut self, name: &str) -> bool {
        self.by_name.remove(name).is_some()
    }

    /// Drops all: CLOSE ALL, DISCARD ALL.
    pub fn clear(&mut self) {
        self.by_name.clear();
    }

    /// A transaction block has failed: its portals stay by name, but they will give no more rows.
    pub fn fail(&mut self) {
        for portal in self.by_name.values_mut().filter(|portal| !portal.kept) {
            portal.state = PortalState::Failed;
        }
    }

    /// A transaction, explicit or implicit, has ended: only cursors WITH HOLD outlive it, and only if theirs committed.
    pub fn end_transaction(&mut self, committed: bool) {
        self.by_name.retain(|_, portal| {
            portal.kept |= committed && portal.hold && !matches!(portal.state, PortalState::Failed);
            portal.kept
        });
    }

    /// The named portals, in order of their names: `pg_cursors`.
    pub fn iter(&self) -> impl Iterator<Item = &Portal> {
        self.by_name.values().filter(|portal| !portal.name.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{ArrayRef, Int32Array};
    use futures::TryStreamExt;

    use super::*;

    fn numbers(batches: &[&[i32]]) -> RowStream {
        let batches: Vec<Result<RecordBatch>> = batches
            .iter()
            .map(|values| Ok(RecordBatch::try_from_iter([("n", Arc::new(Int32Array::from(values.to_vec())) as ArrayRef)]).unwrap()))
            .collect();
        futures::stream::iter(batches).boxed()
    }

    async fn rows(stream: RowStream) -> usize {
        stream.try_collect::<Vec<_>>().await.unwrap().iter().map(RecordBatch::num_rows).sum()
    }

    #[tokio::test]
    async fn a_cursor_hands_out_parts_across_batches() {
        let cursor = Cursor::new(numbers(&[&[1, 2, 3], &[], &[4, 5]]));
        assert_eq!(rows(cursor.take(Some(2))).await, 2);
        assert_eq!(rows(cursor.take(Some(2))).await, 2);
        assert!(!cursor.is_finished());
        assert_eq!(rows(cursor.take(Some(i32::MAX as u64))).await, 1);
        assert!(cursor.is_finished());
        assert_eq!(rows(cursor.take(None)).await, 0);
    }

    #[test]
    fn only_cursors_with_hold_outlive_a_commit() {
        let mut portals = Portals::default();
        portals.insert(Portal::cursor("h", "", vec![], numbers(&[]), true, false)).unwrap();
        portals.insert(Portal::cursor("c", "", vec![], numbers(&[]), false, false)).unwrap();
        assert_eq!(portals.check_free("h").unwrap_err().kind(), ErrorKind::DuplicateCursor);
        portals.end_transaction(true);
        assert!(portals.cursor("h").is_ok() && portals.cursor("c").is_err());
        portals.insert(Portal::cursor("h2", "", vec![], numbers(&[]), true, false)).unwrap();
        portals.fail();
        portals.end_transaction(false);
        assert!(portals.cursor("h").is_ok() && portals.cursor("h2").is_err());
    }
}
