//! Prepared statements of one session. Protocol (`Parse`) and SQL (`PREPARE`) share the names, as PostgreSQL does.
//!
//! A prepared statement is text, its parsed form, a description and what it was bound to last; it is no permission and no plan: every
//! execution resolves and governs again, and binds again where anything has changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::outcome::Description;
use crate::error::{Error, ErrorKind, Result};
use crate::sql::statement::Parsed;
use crate::types::SqlType;

/// A prepared statement.
#[derive(Debug)]
pub struct Prepared {
    /// Name; empty for the protocol's unnamed statement.
    pub name: String,
    /// The text it was prepared from.
    pub text: String,
    /// The statement; `None` for an empty text.
    pub parsed: Option<Arc<Parsed>>,
    /// Parameter types that the client declared.
    pub declared_types: Vec<Option<SqlType>>,
    /// What it needs and gives.
    pub description: Description,
    /// Made by SQL PREPARE, not by the protocol.
    pub from_sql: bool,
    /// When.
    pub prepared_at: DateTime<Utc>,
}

/// The prepared statements of a session, bounded in number and in text.
#[derive(Debug)]
pub struct PreparedStatements {
    by_name: BTreeMap<String, Arc<Prepared>>,
    capacity: usize,
}

/// Bytes of text, names included, that all named statements of a session may have together; their parsed forms are some ten times as large.
const MAXIMUM_TEXT: usize = 8 << 20;

/// How many statements a session may hold if nobody says otherwise.
pub const DEFAULT_PREPARED_STATEMENTS: usize = 1_000;

impl Default for PreparedStatements {
    fn default() -> Self {
        Self::new(DEFAULT_PREPARED_STATEMENTS)
    }
}

impl PreparedStatements {
    /// None yet, and at most `capacity`.
    pub fn new(capacity: usize) -> Self {
        Self { by_name: BTreeMap::new(), capacity }
    }

    /// Changes the bound; what is there stays.
    pub fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity;
    }

    /// The statement of that name.
    ///
    /// # Errors
    /// [`ErrorKind::UndefinedStatement`] if there is none.
    pub fn get(&self, name: &str) -> Result<Arc<Prepared>> {
        self.by_name.get(name).map(Arc::clone).ok_or_else(|| Error::new(ErrorKind::UndefinedStatement, missing(name)))
    }

    /// Whether the name is taken.
    pub fn contains(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// Keeps a statement under its name. The unnamed one replaces its predecessor.
    ///
    /// # Errors
    /// [`ErrorKind::DuplicateStatement`] if the name is taken, [`ErrorKind::LimitExceeded`] if there are too many.
    pub fn insert(&mut self, prepared: Prepared) -> Result<Arc<Prepared>> {
        if !prepared.name.is_empty() {
            self.check_free(&prepared.name)?;
            if self.by_name.len() >= self.capacity {
                return Err(Error::new(ErrorKind::LimitExceeded, format!("too many prepared statements: {}", self.capacity))
                    .with_hint("Close or DEALLOCATE those that are no longer needed."));
            }
            let size = |prepared: &Prepared| prepared.name.len() + prepared.text.len();
            let text: usize = self.iter().map(|held| size(held)).sum();
            if text + size(&prepared) > MAXIMUM_TEXT {
                return Err(Error::new(ErrorKind::LimitExceeded, "the prepared statements of the session are too large together")
                    .with_hint("Close or DEALLOCATE those that are no longer needed."));
            }
        }
        let prepared = Arc::new(prepared);
        self.by_name.insert(prepared.name.clone(), Arc::clone(&prepared));
        Ok(prepared)
    }

    /// Whether a statement of that name may be inserted.
    ///
    /// # Errors
    /// [`ErrorKind::DuplicateStatement`] if the name is taken; the unnamed statement's never is.
    pub fn check_free(&self, name: &str) -> Result<()> {
        if name.is_empty() || !self.by_name.contains_key(name) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::DuplicateStatement, format!("prepared statement \"{name}\" already exists")))
    }

    /// Forgets the statement of that name, if there is one. Returns whether there was.
    pub fn remove(&mut self, name: &str) -> bool {
        self.by_name.remove(name).is_some()
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.by_name.clear();
    }

    /// The named statements, in order of their names: `pg_prepared_statements`.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Prepared>> {
        self.by_name.values().filter(|prepared| !prepared.name.is_empty())
    }
}

fn missing(name: &str) -> String {
    if name.is_empty() {
        "unnamed prepared statement does not exist".to_string()
    } else {
        format!("prepared statement \"{name}\" does not exist")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(name: &str) -> Prepared {
        Prepared {
            name: name.into(),
            text: "select 1".into(),
            parsed: None,
            declared_types: vec![],
            description: Description::default(),
            from_sql: false,
            prepared_at: Utc::now(),
        }
    }

    #[test]
    fn names_are_unique_but_for_the_unnamed_one() {
        let mut statements = PreparedStatements::new(2);
        statements.insert(statement("")).unwrap();
        statements.insert(statement("")).unwrap();
        statements.insert(statement("a")).unwrap();
        assert_eq!(statements.insert(statement("a")).unwrap_err().kind(), ErrorKind::DuplicateStatement);
        assert_eq!(statements.insert(statement("b")).unwrap_err().kind(), ErrorKind::LimitExceeded);
        assert_eq!(statements.get("b").unwrap_err().message(), "prepared statement \"b\" does not exist");
        assert_eq!(statements.iter().count(), 1);
    }

    #[test]
    fn texts_are_bounded_together() {
        let mut statements = PreparedStatements::default();
        let large = |name: &str| Prepared { text: "x".repeat(MAXIMUM_TEXT / 2 - name.len()), ..statement(name) };
        statements.insert(large("a")).unwrap();
        statements.insert(large("b")).unwrap();
        assert_eq!(statements.insert(statement("c")).unwrap_err().kind(), ErrorKind::LimitExceeded);
        statements.remove("a");
        statements.insert(statement("c")).unwrap();
    }
}
