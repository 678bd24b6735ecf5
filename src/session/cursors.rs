//! DECLARE, FETCH, MOVE and CLOSE. They find the portals of the protocol, too.

use std::sync::Arc;

use datafusion::scalar::ScalarValue;

use super::Session;
use super::cursor::Cursor;
use super::outcome::{Description, Outcome, RowTag};
use super::portal::{Portal, PortalState};
use super::prepared::Prepared;
use crate::error::{Error, ErrorKind, Result};
use crate::sql::statement::{CursorStatement, FetchDirection, Parsed, Statement};
use crate::types::SqlType;

impl Session {
    pub(super) async fn cursor_statement(
        &mut self,
        statement: &CursorStatement,
        parsed: &Parsed,
        types: &[Option<SqlType>],
        parameters: &[ScalarValue],
    ) -> Result<Outcome> {
        match statement {
            CursorStatement::Declare { name, binary, scroll, hold, query } => {
                if !hold && !self.transaction.in_transaction() {
                    return Err(Error::new(
                        ErrorKind::NoActiveTransaction,
                        "DECLARE CURSOR can only be used in transaction blocks",
                    ));
                }
                self.portals.check_free(name)?;
                let ((columns, stream), scans_backward) = self.run_query_in_parts(query, types, parameters).await?;
                let spool = || self.services.engine.spool();
                let cursor = match scroll {
                    Some(true) => Cursor::scrolling(stream, spool()),
                    None if scans_backward => Cursor::remembering(stream, spool()),
                    None | Some(false) => Cursor::new(stream),
                };
                self.portals.insert(Portal::cursor(name, &parsed.text, columns, cursor, *hold, *binary))?;
                Ok(Outcome::done("DECLARE CURSOR"))
            }
            CursorStatement::Fetch { name, direction, skip } => self.fetch(name, *direction, *skip).await,
            CursorStatement::Close(Some(name)) => {
                self.portals.cursor(name)?;
                self.portals.remove(name);
                Ok(Outcome::done("CLOSE CURSOR"))
            }
            CursorStatement::Close(None) => {
                self.portals.clear();
                Ok(Outcome::done("CLOSE CURSOR ALL"))
            }
        }
    }

    async fn fetch(&mut self, name: &str, direction: FetchDirection, skip: bool) -> Result<Outcome> {
        let cursor = self.open_cursor(name).await?;
        if skip {
            return Ok(Outcome::done(format!("MOVE {}", cursor.pass(direction).await?)));
        }
        let portal = self.portals.cursor(name)?;
        let (columns, binary) = (portal.columns.clone().unwrap_or_default(), portal.binary);
        let stream = cursor.fetch(direction).await?;
        Ok(Outcome::Rows { columns, stream, tag: RowTag::Fetch { binary } })
    }

    /// The rows of a portal. One that was bound by the protocol and never executed begins here.
    async fn open_cursor(&mut self, name: &str) -> Result<Cursor> {
        let cannot_run = || Error::new(ErrorKind::ObjectNotInPrerequisiteState, format!("portal \"{name}\" cannot be run"));
        let (prepared, parameters): (Arc<Prepared>, Vec<ScalarValue>) = match &self.portals.cursor(name)?.state {
            PortalState::Open { cursor, .. } if cursor.has_failed() => return Err(cannot_run()),
            PortalState::Open { cursor, .. } => return Ok(cursor.clone()),
            PortalState::Bound { prepared, parameters } => (Arc::clone(prepared), parameters.clone()),
            PortalState::Done | PortalState::Failed => return Err(cannot_run()),
        };
        let Some(Statement::Query(query)) = prepared.parsed.as_ref().map(|parsed| &parsed.statement) else {
            return Err(cannot_run());
        };
        let types: Vec<_> = prepared.description.parameters.iter().cloned().map(Some).collect();
        let ((_, stream), _) = self.run_query_in_parts(query, &types, &parameters).await?;
        let cursor = Cursor::new(stream);
        self.portals.cursor(name)?.state = PortalState::Open { cursor: cursor.clone(), tag: RowTag::Select };
        Ok(cursor)
    }

    pub(super) async fn describe_cursor(&mut self, statement: &CursorStatement, types: &[Option<SqlType>]) -> Result<Description> {
        match statement {
            CursorStatement::Declare { query, .. } => Ok(Description { columns: None, ..self.describe_query(query, types).await? }),
            CursorStatement::Fetch { name, skip: false, .. } => {
                Ok(Description { parameters: vec![], columns: self.portals.cursor(name)?.columns.clone() })
            }
            CursorStatement::Fetch { skip: true, .. } | CursorStatement::Close(_) => Ok(Description::default()),
        }
    }
}
