//! The path of a query and of a command, from statement to rows.
//!
//! [`Session::run_query`] is the one place where text becomes data: simple and extended protocol, cursors, COPY and EXPLAIN all go
//! through it.

use std::sync::Arc;

use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast;
use futures::StreamExt;

use super::outcome::{Column, CopyLayout, Description, Notice, Outcome, RowStream, RowTag};
use super::{Overlay, Session};
use crate::catalog::{CatalogSnapshot, Temporary};
use crate::command::{self, CatalogWriter, CommandContext, CommandOutcome, CopySource};
use crate::engine::{ExecutionSettings, ExplainRequest};
use crate::error::{Error, ErrorKind, Result};
use crate::functions::FunctionContext;
use crate::governance::{self, GovernedQuery, Purpose};
use crate::sql::statement::{
    Command, CopyOut, CursorStatement, Explain, ExplainFormat, Parsed, PreparedStatement, SettingChange, Statement,
};
use crate::sql::{self, BoundQuery, Remembered, Resolved, Scope};
use crate::system::SystemContext;
use crate::types::SqlType;

/// Columns and rows of a query.
pub(super) type Rows = (Vec<Column>, RowStream);

impl Session {
    pub(super) async fn dispatch(
        &mut self,
        parsed: &Arc<Parsed>,
        types: &[Option<SqlType>],
        parameters: Vec<ScalarValue>,
    ) -> Result<Outcome> {
        self.refresh().await?;
        match &parsed.statement {
            Statement::Query(query) => {
                self.transaction.note_query();
                let scope = self.scope();
                let bound = self.bind_again(query, &parsed.remembered, &scope, types).await?;
                let settings = self.execution_settings();
                let (columns, stream) = self.run_bound(bound, &scope, &parameters, settings).await?;
                Ok(Outcome::Rows { columns, stream, tag: RowTag::Select })
            }
            Statement::CopyOut(copy) => self.copy_out(copy, types, &parameters).await,
            Statement::Explain(explain) => self.explain(explain, types, &parameters).await,
            Statement::Command(command) => self.run_command(command, types, &parameters).await,
            Statement::Session(statement) => self.change_session(statement),
            Statement::Transaction(statement) => self.control_transaction(statement).await,
            Statement::Prepared(statement) => self.prepared_statement(statement).await,
            Statement::Cursor(statement) => self.cursor_statement(statement, parsed, types, &parameters).await,
        }
    }

    /// Text to rows: resolve what it names, bind it, pass the gate, plan, run.
    pub(super) async fn run_query(
        &mut self,
        query: &ast::Query,
        types: &[Option<SqlType>],
        parameters: &[ScalarValue],
    ) -> Result<Rows> {
        let settings = self.execution_settings();
        self.transaction.note_query();
        let scope = self.scope();
        let bound = self.bind(query, &scope, types).await?;
        self.run_bound(bound, &scope, parameters, settings).await
    }

    /// As [`Session::run_query`], for rows that later statements read: the time of each is counted by itself. Tells as well whether
    /// PostgreSQL would read them backward unasked.
    pub(super) async fn run_query_in_parts(
        &mut self,
        query: &ast::Query,
        types: &[Option<SqlType>],
        parameters: &[ScalarValue],
    ) -> Result<(Rows, bool)> {
        let settings = ExecutionSettings { statement_timeout: None, ..self.execution_settings() };
        self.transaction.note_query();
        let scope = self.scope();
        let bound = self.bind(query, &scope, types).await?;
        let scans_backward = bound.scans_backward();
        let rows = self.run_bound(bound, &scope, parameters, settings).await?;
        Ok((rows, scans_backward))
    }

    /// From names and types to rows: the gate stands in every execution's way.
    async fn run_bound(
        &mut self,
        bound: BoundQuery,
        scope: &Scope,
        parameters: &[ScalarValue],
        settings: ExecutionSettings,
    ) -> Result<Rows> {
        let columns = columns_of(&bound);
        let governed = self.govern(bound, scope, Purpose::Run).await?;
        if let Some(row) = self.services.engine.constants(&governed, parameters)? {
            return Ok((columns, row.boxed()));
        }
        let physical = self.unless_cancelled(self.services.engine.plan(governed, &settings, parameters)).await?;
        let stream = self.services.engine.run(physical, &self.cancel).await?;
        Ok((columns, stream.boxed()))
    }

    /// Grants and policies are those of now, also where a block has a private state of the catalog.
    pub(super) async fn refresh(&self) -> Result<()> {
        match self.transaction.effects() {
            Some(effects) if self.transaction.check_alive().is_ok() => effects.refresh().await,
            _ => Ok(()),
        }
    }

    /// Names and types; outside world first, then pure on a thread with a deep stack.
    async fn bind(&self, query: &ast::Query, scope: &Scope, types: &[Option<SqlType>]) -> Result<BoundQuery> {
        let resolved = self.unless_cancelled(sql::resolve(query, scope, &self.services.lake)).await?;
        command::learn_read(&resolved, &self.services.metastore, &self.services.lake).await;
        self.bind_resolved(query, resolved, scope, types).await
    }

    async fn bind_resolved(
        &self,
        query: &ast::Query,
        resolved: Resolved,
        scope: &Scope,
        types: &[Option<SqlType>],
    ) -> Result<BoundQuery> {
        let (query, scope, types) = (query.clone(), scope.clone(), types.to_vec());
        let bind = move || sql::bind(&query, &resolved, &scope, &types);
        self.unless_cancelled(async { self.services.engine.on_planner(bind).await? }).await
    }

    /// As [`Session::bind`], for a statement that may have been bound before.
    async fn bind_again(
        &self,
        query: &ast::Query,
        remembered: &Remembered,
        scope: &Scope,
        types: &[Option<SqlType>],
    ) -> Result<BoundQuery> {
        let resolved = self.unless_cancelled(sql::resolve(query, scope, &self.services.lake)).await?;
        if let Some(bound) = remembered.get(scope, &resolved, types) {
            return Ok(bound);
        }
        command::learn_read(&resolved, &self.services.metastore, &self.services.lake).await;
        let bound = self.bind_resolved(query, resolved.clone(), scope, types).await?;
        remembered.put(scope, &resolved, &bound);
        Ok(bound)
    }

    /// The gate.
    async fn govern(&self, bound: BoundQuery, scope: &Scope, purpose: Purpose) -> Result<GovernedQuery> {
        let (caller, system) = (self.principal, Arc::clone(&scope.system));
        if sql::source::constants(&bound.plan).is_some() {
            // Nothing deep, so nothing for the planners' stacks.
            return governance::govern(bound, caller, &system, purpose);
        }
        self.services.engine.on_planner(move || governance::govern(bound, caller, &system, purpose)).await?
    }

    async fn copy_out(&mut self, copy: &CopyOut, types: &[Option<SqlType>], parameters: &[ScalarValue]) -> Result<Outcome> {
        let context = self.command_context(types, &[]);
        let source = CopySource::find(copy, &context)?;
        let (columns, stream) = self.run_query(&copy.query, types, parameters).await.map_err(|error| source.explain(error))?;
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        let force_quote = source.force_quote(&names)?;
        let layout = CopyLayout { form: copy.form.clone(), header: copy.header, force_quote };
        Ok(Outcome::CopyOut { columns, stream, layout })
    }

    async fn explain(&mut self, explain: &Explain, types: &[Option<SqlType>], parameters: &[ScalarValue]) -> Result<Outcome> {
        let (prepared, types, parameters) = match explain.statement.as_ref() {
            Statement::Prepared(PreparedStatement::Execute { name, arguments }) => self.prepared_call(name, arguments).await?,
            _ => (None, types.to_vec(), parameters.to_vec()),
        };
        let explained = prepared.as_ref().map_or(explain.statement.as_ref(), |parsed| &parsed.statement);
        let (Statement::Query(query) | Statement::Cursor(CursorStatement::Declare { query, .. })) = explained else {
            return Err(Error::unsupported("EXPLAIN of this statement").with_hint("Explain a query: EXPLAIN SELECT ..."));
        };
        let scope = self.scope();
        let bound = self.bind(query, &scope, &types).await?;
        let purpose = if explain.analyze { Purpose::ExplainAnalyze } else { Purpose::Explain };
        let governed = self.govern(bound, &scope, purpose).await?;
        let settings = self.execution_settings();
        let request = ExplainRequest { analyze: explain.analyze, format: explain.format };
        let stream = self.services.engine.explain(governed, &settings, &parameters, request, &self.cancel).await?;
        Ok(Outcome::Rows { columns: explain_columns(explain), stream: stream.boxed(), tag: RowTag::Plain("EXPLAIN") })
    }

    async fn run_command(&mut self, command: &Command, types: &[Option<SqlType>], parameters: &[ScalarValue]) -> Result<Outcome> {
        if let Command::AlterSettings { change: SettingChange::Set { name, values }, .. } = command {
            self.settings.check_stored(name, values)?;
        }
        let context = self.command_context(types, parameters);
        if let Some(tag) = command::effect(command).filter(|_| !command::writes_temporary(command, &context)) {
            self.check_writable(tag)?;
        }
        self.transaction.note_query();
        match command::run(command, &context).await? {
            CommandOutcome::Done { tag, notices, warnings } => {
                self.notices.extend(notices.into_iter().map(Notice::notice).collect());
                self.notices.extend(warnings.into_iter().map(|(sqlstate, text)| Notice::warning(sqlstate, text)).collect());
                Ok(Outcome::Done { tag })
            }
            CommandOutcome::CopyIn(target) => Ok(Outcome::CopyIn(target)),
            CommandOutcome::Rows { columns, batch, tag } => {
                let stream = futures::stream::iter([Ok(batch)]).boxed();
                Ok(Outcome::Rows {
                    columns: columns.iter().map(|field| computed(field)).collect(),
                    stream,
                    tag: RowTag::Plain(tag),
                })
            }
        }
    }

    fn command_context(&self, types: &[Option<SqlType>], parameters: &[ScalarValue]) -> CommandContext {
        CommandContext {
            metastore: CatalogWriter::new(Arc::clone(&self.services.metastore), self.transaction.effects().map(Arc::clone)),
            lake: Arc::clone(&self.services.lake),
            engine: Arc::clone(&self.services.engine),
            limits: self.services.limits.clone(),
            scope: self.command_scope(),
            settings: self.execution_settings(),
            parameter_types: types.to_vec(),
            parameters: parameters.to_vec(),
            cancel: self.cancel.clone(),
            managed_root: self.services.managed_root.clone(),
            tasks: self.services.tracker.clone(),
            temporary: Some(Arc::clone(&self.temporary)),
            made: Arc::default(),
        }
    }

    /// Binds and authorises a statement, and says what it needs and gives.
    pub(super) async fn describe(&mut self, parsed: &Arc<Parsed>, types: &[Option<SqlType>]) -> Result<Description> {
        match &parsed.statement {
            Statement::Query(query) => {
                let scope = self.scope();
                let bound = self.bind_again(query, &parsed.remembered, &scope, types).await?;
                self.describe_bound(bound, &scope).await
            }
            Statement::CopyOut(copy) => Ok(Description { columns: None, ..self.describe_query(&copy.query, types).await? }),
            Statement::Explain(explain) => {
                let parameters = match explain.statement.as_ref() {
                    Statement::Query(query) => self.describe_query(query, types).await?.parameters,
                    _ => vec![],
                };
                Ok(Description { parameters, columns: Some(explain_columns(explain)) })
            }
            Statement::Command(command) => {
                let context = self.command_context(types, &[]);
                let description = command::describe(command, &context).await?;
                let columns = description.columns.map(|columns| columns.iter().map(|field| computed(field)).collect());
                Ok(Description { parameters: description.parameters, columns })
            }
            Statement::Session(statement) => Ok(Description { parameters: vec![], columns: Self::session_columns(statement) }),
            Statement::Transaction(_) => Ok(Description::default()),
            Statement::Prepared(statement) => self.describe_prepared(statement),
            Statement::Cursor(statement) => self.describe_cursor(statement, types).await,
        }
    }

    pub(super) async fn describe_query(&mut self, query: &ast::Query, types: &[Option<SqlType>]) -> Result<Description> {
        let scope = self.scope();
        let bound = self.bind(query, &scope, types).await?;
        self.describe_bound(bound, &scope).await
    }

    async fn describe_bound(&self, bound: BoundQuery, scope: &Scope) -> Result<Description> {
        let description = Description { parameters: bound.parameters.clone(), columns: Some(columns_of(&bound)) };
        self.govern(bound, scope, Purpose::Run).await?;
        Ok(description)
    }

    /// What a statement may ask about itself: one catalog snapshot, one clock reading, this session's settings.
    pub fn function_context(&self) -> Arc<FunctionContext> {
        let own = self.transaction.effects().and_then(|effects| effects.catalog());
        let snapshot = own.unwrap_or_else(|| self.services.metastore.snapshot());
        let catalog = snapshot.catalog(&self.catalog).map_or(crate::catalog::securable::METASTORE, |catalog| catalog.id);
        let temporary = self.temporary.view(catalog);
        let snapshot = self.with_temporary(snapshot, temporary.as_ref());
        Arc::new(FunctionContext {
            principal: self.principal,
            current_user: self.principal,
            catalog,
            search_path: self.settings.search_path(&self.user),
            settings: self.settings.current(),
            time_zone: self.settings.time_zone(),
            form: self.settings.form(),
            fixed: false,
            statement_time: self.statement_started,
            transaction_time: self.transaction.started(),
            pid: self.pid,
            application_name: self.settings.get("application_name").unwrap_or_default().to_string(),
            client_address: self.client_address,
            control: Some(self.control(catalog)),
            temporary,
            snapshot,
        })
    }

    /// What a query may know while it is bound, and what governs it: a transaction block does not widen its own reads.
    pub(super) fn scope(&self) -> Scope {
        let scope = self.command_scope();
        match self.transaction.effects().and_then(|effects| effects.in_force(self.principal)) {
            Some(in_force) => scope.governed_by(in_force),
            None => scope,
        }
    }

    /// What a command may know: the catalog with all that the block has changed.
    fn command_scope(&self) -> Scope {
        let functions = self.function_context();
        let live = self.live(&functions);
        let system = Arc::new(SystemContext::new(Arc::clone(&functions), move || live.collect()));
        Scope { functions, registry: Arc::clone(&self.services.functions), system, pins: self.transaction.pins() }
    }

    /// The catalog with the session's temporary tables. Made once for each state of either.
    fn with_temporary(&self, base: Arc<CatalogSnapshot>, temporary: Option<&Arc<Temporary>>) -> Arc<CatalogSnapshot> {
        let Some(temporary) = temporary else { return base };
        let mut overlay = self.overlay.lock();
        if let Some(known) = overlay.as_ref()
            && Arc::ptr_eq(&known.base, &base)
            && Arc::ptr_eq(&known.temporary, temporary)
        {
            return Arc::clone(&known.snapshot);
        }
        let snapshot = Arc::new(base.with_temporary(temporary));
        *overlay = Some(Overlay { base, temporary: Arc::clone(temporary), snapshot: Arc::clone(&snapshot) });
        snapshot
    }

    fn execution_settings(&self) -> ExecutionSettings {
        ExecutionSettings {
            time_zone: self.settings.time_zone(),
            statement_timeout: self.settings.milliseconds("statement_timeout"),
        }
    }

    /// Ends early when the client cancels or the statement's time is over. For work that may be dropped at any point.
    async fn unless_cancelled<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let timeout = self.settings.milliseconds("statement_timeout");
        let elapsed = async {
            match timeout {
                Some(timeout) => tokio::time::sleep(timeout).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(Error::new(ErrorKind::Cancelled, "canceling statement due to user request")),
            done = work => done,
            () = elapsed => Err(Error::new(ErrorKind::Cancelled, "canceling statement due to statement timeout")),
        }
    }
}

/// Columns as RowDescription tells them.
fn columns_of(bound: &BoundQuery) -> Vec<Column> {
    let origins = bound.origins.iter().copied().chain(std::iter::repeat(None));
    let typmods = bound.typmods.iter().copied().chain(std::iter::repeat(-1));
    bound
        .columns
        .iter()
        .zip(origins.zip(typmods))
        .map(|(field, (origin, typmod))| Column {
            name: field.name().clone(),
            sql_type: SqlType::of_field(field),
            typmod,
            table: origin.map_or(0, |(table, _)| table.0),
            attribute: origin.map_or(0, |(_, attribute)| attribute),
        })
        .collect()
}

fn computed(field: &datafusion::arrow::datatypes::Field) -> Column {
    Column::computed(field.name(), SqlType::of_field(field))
}

fn explain_columns(explain: &Explain) -> Vec<Column> {
    let sql_type = match explain.format {
        ExplainFormat::Text => SqlType::Text,
        ExplainFormat::Json => SqlType::Json,
    };
    vec![Column::computed("QUERY PLAN", sql_type)]
}
