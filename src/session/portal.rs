//! Portals of one session: bound statements of the protocol and cursors of SQL, under the same names.
//!
//! ```text
//!  Bind ────▶ Bound ── first Execute or FETCH ──▶ Open ── rows handed out in parts ──▶ (finished: gives no more rows)
//!  DECLARE ───────────────────────────────────────▶ Open
//!  transaction fails ─▶ Failed, unless older than its last savepoint
//!  transaction ends ─▶ dropped, but for WITH HOLD after a COMMIT
//! ```
//! What a cursor WITH HOLD has not given yet is read when its transaction commits: a query that nobody reads would keep its place.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::scalar::ScalarValue;

use super::cursor::Cursor;
use super::outcome::{Column, RowTag};
use super::prepared::Prepared;
use crate::engine::Spool;
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
    /// Its place among all portals that the session has made.
    serial: u64,
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
            serial: 0,
        }
    }

    /// Whether it goes backward: `pg_cursors.is_scrollable`.
    pub fn is_scrollable(&self) -> bool {
        matches!(&self.state, PortalState::Open { cursor, .. } if cursor.scrolls())
    }

    /// Bytes of its name, its text and the parameters that it holds.
    fn size(&self) -> usize {
        let parameters = match &self.state {
            PortalState::Bound { parameters, .. } => parameters.iter().map(ScalarValue::size).sum(),
            PortalState::Open { .. } | PortalState::Done | PortalState::Failed => 0,
        };
        self.name.len() + self.text.len() + parameters
    }

    /// A cursor over rows that are already coming.
    pub fn cursor(
        name: impl Into<String>,
        text: impl Into<String>,
        columns: Vec<Column>,
        cursor: Cursor,
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
            state: PortalState::Open { cursor, tag: RowTag::Select },
            kept: false,
            serial: 0,
        }
    }
}

/// The portals of a session, bounded in number and in size.
#[derive(Debug)]
pub struct Portals {
    by_name: BTreeMap<String, Portal>,
    capacity: usize,
    /// Portals made so far.
    made: u64,
}

/// Bytes that all portals of a session may take together, for the most part parameters.
const MAXIMUM_BYTES: usize = 256 << 20;

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
        Self { by_name: BTreeMap::new(), capacity, made: 0 }
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
    pub fn insert(&mut self, mut portal: Portal) -> Result<()> {
        if !portal.name.is_empty() {
            self.check_free(&portal.name)?;
            if self.by_name.len() >= self.capacity {
                return Err(Error::new(ErrorKind::LimitExceeded, format!("too many open portals: {}", self.capacity))
                    .with_hint("Close those that are no longer needed."));
            }
        }
        let held: usize = self.by_name.values().filter(|held| held.name != portal.name).map(Portal::size).sum();
        if held + portal.size() > MAXIMUM_BYTES {
            return Err(Error::new(ErrorKind::LimitExceeded, "the session's portals are too large together")
                .with_hint("Close those that are no longer needed."));
        }
        self.made += 1;
        portal.serial = self.made;
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

    /// Portals made so far: what a savepoint remembers.
    pub fn made(&self) -> u64 {
        self.made
    }

    /// A transaction block has failed: portals made after the first `before` stay by name, but they will give no more rows. Those before
    /// are older than its last savepoint, and the block may go back to that.
    pub fn fail(&mut self, before: u64) {
        for portal in self.by_name.values_mut().filter(|portal| !portal.kept && portal.serial > before) {
            portal.state = PortalState::Failed;
        }
    }

    /// The block goes back to a savepoint that knew the first `before` portals: later ones are gone.
    pub fn rollback_to(&mut self, before: u64) {
        self.by_name.retain(|_, portal| portal.kept || portal.serial <= before);
    }

    /// Reads what is left of the cursors WITH HOLD of a transaction that is about to commit.
    ///
    /// # Errors
    /// What their queries fail with: the transaction cannot commit then.
    pub async fn keep_held(&self, spool: impl Fn() -> Spool) -> Result<()> {
        for portal in self.by_name.values().filter(|portal| portal.hold && !portal.kept) {
            if let PortalState::Open { cursor, .. } = &portal.state {
                cursor.keep_all(spool()).await?;
            }
        }
        Ok(())
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
    use futures::StreamExt;

    use super::*;

    fn empty(name: &str, hold: bool) -> Portal {
        Portal::cursor(name, "", vec![], Cursor::new(futures::stream::empty().boxed()), hold, false)
    }

    #[test]
    fn only_cursors_with_hold_outlive_a_commit() {
        let mut portals = Portals::default();
        portals.insert(empty("h", true)).unwrap();
        portals.insert(empty("c", false)).unwrap();
        assert_eq!(portals.check_free("h").unwrap_err().kind(), ErrorKind::DuplicateCursor);
        portals.end_transaction(true);
        assert!(portals.cursor("h").is_ok() && portals.cursor("c").is_err());
        portals.insert(empty("h2", true)).unwrap();
        portals.fail(0);
        portals.end_transaction(false);
        assert!(portals.cursor("h").is_ok() && portals.cursor("h2").is_err());
    }

    #[test]
    fn what_is_older_than_a_savepoint_survives_the_way_back_to_it() {
        let mut portals = Portals::default();
        portals.insert(empty("before", false)).unwrap();
        let savepoint = portals.made();
        portals.insert(empty("after", false)).unwrap();
        portals.fail(savepoint);
        assert!(matches!(portals.cursor("before").unwrap().state, PortalState::Open { .. }));
        assert!(matches!(portals.cursor("after").unwrap().state, PortalState::Failed));
        portals.rollback_to(savepoint);
        assert!(portals.cursor("before").is_ok() && portals.cursor("after").is_err());
    }
}
