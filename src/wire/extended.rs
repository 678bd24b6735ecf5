//! The extended protocol: Parse, Bind, Describe, Execute, Close.
//!
//! ```text
//!  Parse ─▶ prepared statement ─ Bind ─▶ portal ─ Execute(limit) ─▶ rows ─▶ PortalSuspended | CommandComplete
//! ```
//! Names live in the session, where SQL's PREPARE and DECLARE find them too. Parse binds and authorises; Execute authorises again, and
//! binds again where anything has changed.

use std::sync::Arc;

use bytes::Bytes;
use chrono::Utc;
use datafusion::scalar::ScalarValue;
use pgwire::messages::data::{NoData, ParameterDescription};
use pgwire::messages::extendedquery::{BindComplete, CloseComplete, ParseComplete, PortalSuspended};
use pgwire::messages::response::{CommandComplete, EmptyQueryResponse};

use super::connection::Connection;
use super::encode::{Form, Format, decode_parameter};
use super::error::Halt;
use super::frontend::{Bind, Target};
use super::interrupt::Interrupts;
use super::rows::row_description;
use super::simple::statement_text;
use crate::error::{Error, ErrorKind, Result};
use crate::session::cursor::Cursor;
use crate::session::outcome::{Column, Description, Outcome, RowTag, TransactionStatus};
use crate::session::portal::{Portal, PortalState};
use crate::session::prepared::Prepared;
use crate::types::SqlType;

/// OID of `unknown`: a parameter whose type the client leaves to us.
const UNKNOWN_OID: u32 = 705;

impl Connection {
    /// Parse.
    pub(super) async fn parse(&mut self, name: &Bytes, text: &Bytes, types: &[u32]) -> Result<(), Halt> {
        let (name, text) = (object_name(name)?, statement_text(text)?);
        if name.is_empty() {
            self.session.prepared().remove("");
        }
        let mut statements = self.session.parse(text)?;
        if statements.len() > 1 {
            return Err(Error::new(ErrorKind::Syntax, "cannot insert multiple commands into a prepared statement").into());
        }
        let parsed = statements.pop().map(Arc::new);
        let declared_types = types.iter().map(|oid| declared_type(*oid)).collect::<Result<Vec<_>>>()?;
        let description = match &parsed {
            None => Description::default(),
            Some(parsed) => {
                self.check_block(Some(&parsed.statement))?;
                self.session.prepared().check_free(&name)?;
                let several = self.executed > 0;
                let mut interrupts = self.begin(several);
                interrupts.supervise(&mut self.input, self.session.prepare(parsed, &declared_types)).await?
            }
        };
        let prepared = Prepared {
            name,
            text: text.to_string(),
            parsed,
            declared_types,
            description,
            from_sql: false,
            prepared_at: Utc::now(),
        };
        self.session.prepared().insert(prepared)?;
        self.send_notices()?;
        Ok(self.output.message(&ParseComplete::new())?)
    }

    /// Bind.
    pub(super) fn bind(&mut self, bind: Bind) -> Result<(), Halt> {
        let (portal, statement) = (object_name(&bind.portal)?, object_name(&bind.statement)?);
        let prepared = self.session.prepared().get(&statement)?;
        check_counts(&bind, &prepared)?;
        if let Some(parsed) = &prepared.parsed {
            self.check_block(Some(&parsed.statement))?;
        }
        self.session.portals().check_free(&portal)?;
        let settings = self.form_for(prepared.description.parameters.iter());
        let parameters = parameters(&bind, &portal, &prepared, &settings)?;
        if let Some(columns) = &prepared.description.columns {
            Format::of_columns(&bind.result_formats, columns.len())?;
        }
        self.session.portals().insert(Portal::bound(portal, prepared, parameters, bind.result_formats))?;
        Ok(self.output.message(&BindComplete::new())?)
    }

    /// Describe.
    pub(super) fn describe(&mut self, target: Target, name: &Bytes) -> Result<(), Halt> {
        let name = object_name(name)?;
        let (columns, formats) = match target {
            Target::Statement => {
                let prepared = self.session.prepared().get(&name)?;
                if prepared.description.columns.is_some() {
                    self.check_block(None)?;
                }
                let types = prepared.description.parameters.iter().map(SqlType::oid).collect();
                self.output.message(&ParameterDescription::new(types))?;
                (prepared.description.columns.clone(), vec![])
            }
            Target::Portal => {
                let portal = self.session.portals().get(&name)?;
                let (columns, formats) = (portal.columns.clone(), portal.formats.clone());
                if columns.is_some() {
                    self.check_block(None)?;
                }
                (columns, formats)
            }
        };
        match columns {
            Some(columns) => {
                let formats = Format::of_columns(&formats, columns.len())?;
                self.output.message(&row_description(&columns, &formats))?;
            }
            None => self.output.message(&NoData::new())?,
        }
        Ok(())
    }

    /// Close. A name that is not there is fine.
    pub(super) fn close(&mut self, target: Target, name: &Bytes) -> Result<(), Halt> {
        let name = object_name(name)?;
        match target {
            Target::Statement => self.session.prepared().remove(&name),
            Target::Portal => self.session.portals().remove(&name),
        };
        Ok(self.output.message(&CloseComplete::new())?)
    }

    /// Execute. A limit that is not positive means all rows.
    pub(super) async fn execute(&mut self, name: &Bytes, max_rows: i32) -> Result<(), Halt> {
        let name = object_name(name)?;
        let limit = u64::try_from(max_rows).ok().filter(|limit| *limit > 0);
        self.check_runnable(&name)?;
        let portal = self.session.portals().get(&name)?;
        match std::mem::replace(&mut portal.state, PortalState::Done) {
            PortalState::Bound { prepared, parameters } => self.start(name, prepared, parameters, limit).await,
            PortalState::Open { cursor, tag } => {
                let (columns, formats) = (portal.columns.clone().unwrap_or_default(), portal.formats.clone());
                portal.state = PortalState::Open { cursor: cursor.clone(), tag };
                let mut interrupts = self.begin(true);
                self.send_part(&columns, &formats, &cursor, tag, limit, &mut interrupts).await
            }
            PortalState::Done | PortalState::Failed => Err(cannot_run(&name).into()),
        }
    }

    fn check_runnable(&mut self, name: &str) -> Result<()> {
        let failed = self.session.transaction_status() == TransactionStatus::Failed;
        let prepared = match &self.session.portals().get(name)?.state {
            PortalState::Bound { prepared, .. } => Some(Arc::clone(prepared)),
            PortalState::Done | PortalState::Failed if !failed => return Err(cannot_run(name)),
            PortalState::Open { .. } | PortalState::Done | PortalState::Failed => None,
        };
        match prepared.as_ref().map(|prepared| prepared.parsed.as_ref()) {
            // An empty statement does nothing, also in a failed block.
            Some(None) => Ok(()),
            Some(Some(parsed)) => self.check_block(Some(&parsed.statement)),
            None => self.check_block(None),
        }
    }

    /// Runs a portal for the first time.
    async fn start(
        &mut self,
        name: String,
        prepared: Arc<Prepared>,
        parameters: Vec<ScalarValue>,
        limit: Option<u64>,
    ) -> Result<(), Halt> {
        let Some(parsed) = &prepared.parsed else {
            if let Ok(portal) = self.session.portals().get(&name) {
                portal.state = PortalState::Bound { prepared, parameters };
            }
            return Ok(self.output.message(&EmptyQueryResponse::new())?);
        };
        let described = prepared.description.parameters.iter().zip(&parameters);
        let types: Vec<Option<SqlType>> = described.map(|(sql_type, value)| Some(sql_type.with_value(value))).collect();
        // Alone between two Syncs it commits by itself; what else is on its way shares its transaction.
        let several = self.executed > 0 || !self.input.next_is_sync();
        self.executed += 1;
        let mut interrupts = self.begin(several);
        let outcome = interrupts.supervise(&mut self.input, self.session.execute(parsed, &types, parameters)).await?;
        self.send_notices()?;
        let tag = match outcome {
            Outcome::Rows { columns, stream, tag } => {
                check_columns(prepared.description.columns.as_deref(), &columns)?;
                let cursor = Cursor::new(stream);
                let mut formats = vec![];
                // The statement itself may have dropped its portal.
                if let Ok(portal) = self.session.portals().get(&name) {
                    formats.clone_from(&portal.formats);
                    portal.state = PortalState::Open { cursor: cursor.clone(), tag };
                }
                return self.send_part(&columns, &formats, &cursor, tag, limit, &mut interrupts).await;
            }
            Outcome::CopyOut { columns, stream, layout } => {
                let rows = self.send_copy(&columns, &layout, stream, &mut interrupts).await?;
                format!("COPY {rows}")
            }
            Outcome::CopyIn(target) => format!("COPY {}", self.receive_copy(target, &mut interrupts).await?),
            Outcome::Done { tag } => tag,
            Outcome::Empty => return Ok(self.output.message(&EmptyQueryResponse::new())?),
        };
        self.send_notices()?;
        Ok(self.output.message(&CommandComplete::new(tag))?)
    }

    /// Sends the next rows of a portal.
    async fn send_part(
        &mut self,
        columns: &[Column],
        formats: &[i16],
        cursor: &Cursor,
        tag: RowTag,
        limit: Option<u64>,
        interrupts: &mut Interrupts,
    ) -> Result<(), Halt> {
        let formats = Format::of_columns(formats, columns.len())?;
        let rows = self.send_rows(columns, &formats, false, cursor.take(limit), interrupts).await?;
        self.send_notices()?;
        // A limit that is hit exactly suspends, even if nothing is left.
        if limit == Some(rows) {
            return Ok(self.output.message(&PortalSuspended::new())?);
        }
        Ok(self.output.message(&CommandComplete::new(tag.complete(rows)))?)
    }
}

fn object_name(bytes: &[u8]) -> Result<String> {
    statement_text(bytes).map(ToString::to_string)
}

fn declared_type(oid: u32) -> Result<Option<SqlType>> {
    if matches!(oid, 0 | UNKNOWN_OID) {
        return Ok(None);
    }
    SqlType::from_oid(oid).map(Some).ok_or_else(|| Error::unsupported(format!("a parameter of the type with OID {oid}")))
}

fn cannot_run(name: &str) -> Error {
    Error::new(ErrorKind::ObjectNotInPrerequisiteState, format!("portal \"{name}\" cannot be run"))
}

/// Compares the numbers in a Bind with each other and with the statement.
fn check_counts(bind: &Bind, prepared: &Prepared) -> Result<()> {
    let violation = |message: String| Err(Error::new(ErrorKind::ProtocolViolation, message));
    let (formats, given, required) = (bind.parameter_formats.len(), bind.parameters.len(), prepared.description.parameters.len());
    if formats > 1 && formats != given {
        return violation(format!("bind message has {formats} parameter formats but {given} parameters"));
    }
    if given != required {
        let name = &prepared.name;
        return violation(format!(
            "bind message supplies {given} parameters, but prepared statement \"{name}\" requires {required}"
        ));
    }
    Ok(())
}

/// Reads the parameters of a Bind.
fn parameters(bind: &Bind, portal: &str, prepared: &Prepared, settings: &Form) -> Result<Vec<ScalarValue>, Halt> {
    let mut values = Vec::with_capacity(bind.parameters.len());
    for (index, (bytes, sql_type)) in bind.parameters.iter().zip(&prepared.description.parameters).enumerate() {
        let code = match bind.parameter_formats.as_slice() {
            [] => 0,
            [code] => *code,
            codes => codes.get(index).copied().unwrap_or(0),
        };
        let value = Format::from_code(code).and_then(|format| decode_parameter(bytes.as_deref(), format, sql_type, settings));
        values.push(value.map_err(|error| Halt::Failed { error, context: Some(parameter_context(portal, index + 1, code)) })?);
    }
    Ok(values)
}

fn parameter_context(portal: &str, number: usize, format_code: i16) -> String {
    let portal = if portal.is_empty() { "unnamed portal".to_string() } else { format!("portal \"{portal}\"") };
    let value = if format_code == 0 { " = '...'" } else { "" };
    format!("{portal} parameter ${number}{value}")
}

/// A statement must give what it was described with, or the client misreads its rows.
fn check_columns(described: Option<&[Column]>, given: &[Column]) -> Result<()> {
    let same = described.is_some_and(|described| {
        described.len() == given.len()
            && described.iter().zip(given).all(|(described, given)| described.sql_type.oid() == given.sql_type.oid())
    });
    if same {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Unsupported, "cached plan must not change result type").with_hint("Prepare the statement again."))
}
