//! Statements that change this session only: settings, prepared statements, cursors.

use std::sync::Arc;

use chrono::Utc;
use datafusion::arrow::array::{ArrayRef, StringArray};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast;
use futures::{StreamExt, TryStreamExt};

use super::channels;
use super::outcome::{Column, Description, Notice, Outcome, RowTag};
use super::prepared::Prepared;
use super::settings::{self, SETTINGS};
use super::{Session, enter_catalog};
use crate::error::{Error, ErrorKind, Result};
use crate::sql::statement::{Discarded, Name, Parsed, PreparedStatement, SessionStatement, Statement};
use crate::types::SqlType;

impl Session {
    /// In a failed block only its end may run, and nothing in the session of a user who is gone.
    pub(super) fn check_alive(&self, statement: &Statement) -> Result<()> {
        if !self.services.metastore.snapshot().may_log_in(self.principal) {
            let message = "terminating connection due to administrator command";
            return Err(Error::new(ErrorKind::AdminShutdown, message)
                .with_detail(format!("Role \"{}\" is not permitted to log in any more.", self.user)));
        }
        match statement {
            Statement::Transaction(statement) if statement.ends_failure() => Ok(()),
            _ => self.transaction.check_alive(),
        }
    }

    pub(super) fn change_session(&mut self, statement: &SessionStatement) -> Result<Outcome> {
        match statement {
            SessionStatement::Set { local, name, values } => self.set(name, values, *local),
            SessionStatement::SetSeveral { local, settings } => {
                let before = self.settings.clone();
                for (name, values) in settings {
                    if let Err(error) = self.set(name, values, *local) {
                        self.settings = before;
                        return Err(error);
                    }
                }
                Ok(Outcome::done("SET"))
            }
            SessionStatement::Reset { name } => {
                self.settings.reset_to_initial(name.as_deref())?;
                Ok(Outcome::done("RESET"))
            }
            SessionStatement::Show { name: Some(name) } => self.show(name),
            SessionStatement::Show { name: None } => self.show_all(),
            SessionStatement::Use { catalog, name } => self.use_namespace(*catalog, name),
            SessionStatement::Discard(discarded) => self.discard(*discarded),
            SessionStatement::Listen(channel) => {
                channels::check(channel, "")?;
                self.mailbox.lock().listen(self.catalog_id(), channel)?;
                Ok(Outcome::done("LISTEN"))
            }
            SessionStatement::Unlisten(channel) => {
                self.mailbox.lock().unlisten(self.catalog_id(), channel.as_deref())?;
                Ok(Outcome::done("UNLISTEN"))
            }
            SessionStatement::Notify { channel, payload } => {
                self.mailbox.lock().notify(self.catalog_id(), channel, payload)?;
                Ok(Outcome::done("NOTIFY"))
            }
        }
    }

    fn set(&mut self, name: &str, values: &[String], local: bool) -> Result<Outcome> {
        let is_mode = settings::is_transaction_mode(name);
        if !self.transaction.in_transaction() && (local || is_mode) {
            // A mode that is set by its own name is one of the transaction that the statement itself is.
            if local {
                let what = if is_mode { "SET TRANSACTION" } else { "SET LOCAL" };
                self.notices.push(Notice::warning("25P01", format!("{what} can only be used in transaction blocks")));
            }
            self.settings.check(name, values)?;
            return Ok(Outcome::done("SET"));
        }
        self.check_mode(name, values)?;
        self.settings.set(name, values, local || is_mode)?;
        Ok(Outcome::done("SET"))
    }

    fn show(&self, name: &str) -> Result<Outcome> {
        let value = self.settings.show(name)?;
        rows(vec![(setting_column(name), vec![Some(value)])], RowTag::Plain("SHOW"))
    }

    fn show_all(&self) -> Result<Outcome> {
        let value = |name: &str| Some(self.settings.show(name).unwrap_or_default());
        let columns = vec![
            ("name".to_string(), SETTINGS.iter().map(|setting| Some(setting.name.to_string())).collect()),
            ("setting".to_string(), SETTINGS.iter().map(|setting| value(setting.name)).collect()),
            ("description".to_string(), SETTINGS.iter().map(|setting| Some(setting.description.to_string())).collect()),
        ];
        rows(columns, RowTag::Plain("SHOW"))
    }

    /// USE CATALOG c; USE [SCHEMA] [c.]s.
    fn use_namespace(&mut self, is_catalog: bool, name: &Name) -> Result<Outcome> {
        let snapshot = self.services.metastore.snapshot();
        let (catalog, schema) = match (is_catalog, name.parts.as_slice()) {
            (true, [catalog]) => (catalog.clone(), None),
            (false, [schema]) => (self.catalog.clone(), Some(schema.clone())),
            (false, [catalog, schema]) => (catalog.clone(), Some(schema.clone())),
            _ => return Err(Error::new(ErrorKind::Syntax, format!("improper qualified name: {}", name.parts.join(".")))),
        };
        enter_catalog(&snapshot, self.principal, &catalog)?;
        if let Some(schema) = &schema {
            let known = snapshot
                .catalog(&catalog)
                .and_then(|catalog| snapshot.schema(catalog.id, schema))
                .is_some_and(|schema| snapshot.visible(self.principal, schema.id));
            if !known {
                return Err(Error::new(ErrorKind::UndefinedSchema, format!("schema \"{schema}\" does not exist")));
            }
            self.settings.set("search_path", std::slice::from_ref(schema), false)?;
        }
        self.catalog = catalog;
        Ok(Outcome::done("USE"))
    }

    fn discard(&mut self, discarded: Discarded) -> Result<Outcome> {
        match discarded {
            Discarded::All => {
                self.discard_all()?;
                Ok(Outcome::done("DISCARD ALL"))
            }
            Discarded::Plans => Ok(Outcome::done("DISCARD PLANS")),
            Discarded::Sequences => Ok(Outcome::done("DISCARD SEQUENCES")),
            Discarded::Temp => {
                self.temporary.drop_all();
                Ok(Outcome::done("DISCARD TEMP"))
            }
        }
    }

    fn discard_all(&mut self) -> Result<()> {
        if self.transaction.in_transaction() {
            return Err(Error::new(ErrorKind::ActiveTransaction, "DISCARD ALL cannot run inside a transaction block"));
        }
        self.settings.reset_to_initial(None)?;
        self.prepared.clear();
        self.portals.clear();
        self.mailbox.lock().clear();
        self.temporary.drop_all();
        self.services.locks.release_session(self.pid);
        Ok(())
    }

    pub(super) async fn prepared_statement(&mut self, statement: &PreparedStatement) -> Result<Outcome> {
        match statement {
            PreparedStatement::Prepare { name, types, statement } => {
                self.prepared.check_free(name)?;
                let parsed = Arc::new(statement.as_ref().clone());
                let declared_types: Vec<_> = types.iter().cloned().map(Some).collect();
                let description = self.describe(&parsed, &declared_types).await?;
                self.prepared.insert(Prepared {
                    name: name.clone(),
                    text: statement.text.clone(),
                    parsed: Some(parsed),
                    declared_types,
                    description,
                    from_sql: true,
                    prepared_at: Utc::now(),
                })?;
                Ok(Outcome::done("PREPARE"))
            }
            PreparedStatement::Execute { name, arguments } => self.execute_prepared(name, arguments).await,
            PreparedStatement::Deallocate(Some(name)) => {
                self.prepared.get(name)?;
                self.prepared.remove(name);
                Ok(Outcome::done("DEALLOCATE"))
            }
            PreparedStatement::Deallocate(None) => {
                self.prepared.clear();
                Ok(Outcome::done("DEALLOCATE ALL"))
            }
        }
    }

    async fn execute_prepared(&mut self, name: &str, arguments: &[ast::Expr]) -> Result<Outcome> {
        match self.prepared_call(name, arguments).await? {
            (Some(parsed), types, parameters) => Box::pin(self.dispatch(&parsed, &types, parameters)).await,
            (None, ..) => Ok(Outcome::Empty),
        }
    }

    /// The statement behind EXECUTE, `None` if it is an empty one, with the types and values of its parameters.
    pub(super) async fn prepared_call(
        &mut self,
        name: &str,
        arguments: &[ast::Expr],
    ) -> Result<(Option<Arc<Parsed>>, Vec<Option<SqlType>>, Vec<ScalarValue>)> {
        let prepared = self.prepared.get(name)?;
        let expected = prepared.description.parameters.len();
        if arguments.len() != expected {
            return Err(Error::new(ErrorKind::Syntax, format!("wrong number of parameters for prepared statement \"{name}\""))
                .with_detail(format!("Expected {expected} parameters but got {}.", arguments.len())));
        }
        let parameters = self.evaluate(arguments, &prepared.description.parameters).await?;
        let types = prepared.description.parameters.iter().zip(&parameters);
        let types = types.map(|(described, value)| Some(described.with_value(value))).collect();
        Ok((prepared.parsed.as_ref().map(Arc::clone), types, parameters))
    }

    /// Values of constant expressions: one row of a query without tables.
    async fn evaluate(&mut self, expressions: &[ast::Expr], types: &[SqlType]) -> Result<Vec<ScalarValue>> {
        if expressions.is_empty() {
            return Ok(vec![]);
        }
        let query = self.constants_query(expressions, types)?;
        let (_, stream) = self.run_query(&query, &[], &[]).await?;
        let batches: Vec<RecordBatch> = stream.try_collect().await?;
        let row = batches.iter().find(|batch| batch.num_rows() == 1).ok_or_else(|| Error::internal("constants gave no row"))?;
        let value = |column: &ArrayRef| {
            ScalarValue::try_from_array(column, 0).map_err(|error| Error::internal(format!("argument value: {error}")))
        };
        row.columns().iter().map(value).collect()
    }

    /// `SELECT CAST(expression AS type), ..`
    fn constants_query(&self, expressions: &[ast::Expr], types: &[SqlType]) -> Result<ast::Query> {
        let nulls: Vec<_> = types.iter().map(|sql_type| format!("CAST(NULL AS {})", sql_type.display_name())).collect();
        let template = self.parse(&format!("SELECT {}", nulls.join(", ")))?.pop().map(|parsed| parsed.statement);
        let Some(Statement::Query(mut query)) = template else { return Err(Error::internal("constants are no query")) };
        let ast::SetExpr::Select(select) = query.body.as_mut() else { return Err(Error::internal("constants are no select")) };
        for (item, expression) in select.projection.iter_mut().zip(expressions) {
            if let ast::SelectItem::UnnamedExpr(ast::Expr::Cast { expr, .. }) = item {
                **expr = expression.clone();
            }
        }
        Ok(*query)
    }

    pub(super) fn describe_prepared(&self, statement: &PreparedStatement) -> Result<Description> {
        match statement {
            PreparedStatement::Execute { name, .. } => {
                Ok(Description { parameters: vec![], columns: self.prepared.get(name)?.description.columns.clone() })
            }
            PreparedStatement::Prepare { .. } | PreparedStatement::Deallocate(_) => Ok(Description::default()),
        }
    }

    pub(super) fn session_columns(statement: &SessionStatement) -> Option<Vec<Column>> {
        let text = |name: &str| Column::computed(name, SqlType::Text);
        match statement {
            SessionStatement::Show { name: Some(name) } => Some(vec![text(&setting_column(name))]),
            SessionStatement::Show { name: None } => Some(["name", "setting", "description"].map(text).to_vec()),
            _ => None,
        }
    }
}

/// The column of SHOW carries the setting's own spelling.
fn setting_column(name: &str) -> String {
    SETTINGS.iter().find(|setting| setting.name.eq_ignore_ascii_case(name)).map_or(name, |setting| setting.name).to_string()
}

fn rows(columns: Vec<(String, Vec<Option<String>>)>, tag: RowTag) -> Result<Outcome> {
    let described = columns.iter().map(|(name, _)| Column::computed(name, SqlType::Text)).collect();
    let arrays = columns.into_iter().map(|(name, values)| (name, Arc::new(StringArray::from(values)) as ArrayRef, true));
    let batch = RecordBatch::try_from_iter_with_nullable(arrays).map_err(|error| Error::internal(error.to_string()))?;
    Ok(Outcome::Rows { columns: described, stream: futures::stream::iter([Ok(batch)]).boxed(), tag })
}
