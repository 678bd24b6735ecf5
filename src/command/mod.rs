//! Statements that change or describe the warehouse.
//!
//! ```text
//!  Command ──▶ authorise ──▶ outside world ──▶ Metastore::write { names ▸ authorise again ▸ edits } ──▶ tag
//!              (pinned        (bind a body,      one transaction on the newest state
//!               snapshot)      write files)
//! ```
//! Names are resolved and the caller is authorised inside the metastore's transaction, on the state that the edits change: nothing can
//! happen in between. Where work outside of the metastore comes first (CREATE TABLE AS, a view that is bound to learn its columns), the
//! caller is authorised before it too, so that nobody learns or writes anything by a statement that is refused in the end.
//!
//! Reading is never done here by other means than a query: [`query::run`] goes the same way through binder and governance as a SELECT.
//!
//! Inside a transaction block the edits go into the block's draft instead (`block`).
//!
//! Absent: ALTER TABLE of columns, UPDATE, DELETE, MERGE, TRUNCATE, CREATE OR REPLACE TABLE.

mod assign;
mod block;
mod columns;
mod copy;
mod dcl;
mod ddl;
mod describe;
mod groups;
mod history;
mod insert;
mod location;
mod lock;
mod names;
mod output;
mod parameters;
mod policy;
mod principal;
mod query;
mod rows;
mod setting;
mod show;
mod stored;
mod table;
mod tag;
mod temporary;
#[cfg(test)]
mod tests;
mod token;
mod view;

use std::sync::{Arc, OnceLock};

use datafusion::arrow::datatypes::FieldRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::scalar::ScalarValue;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::catalog::CatalogSnapshot;
use crate::catalog::securable::ObjectId;
use crate::engine::{Engine, ExecutionSettings};
use crate::error::{Error, ErrorKind, Result};
use crate::governance;
use crate::lake::Lake;
use crate::sql::statement::{Command, Name};
use crate::sql::{Limits, Scope};
use crate::types::SqlType;

use names::Names;

pub use block::{Block, CatalogWriter, MadeTable};
pub use columns::learn_read;
pub use copy::{CopyColumn, CopyLoad, CopyRows, CopySource, CopyTarget};
pub use stored::settle_doubtful_texts;
pub use table::remove_orphans;
pub use tag::effect;
pub use temporary::{TableList, TemporaryStorage, TemporaryTables, writes_temporary};

/// What a command may use.
#[derive(Debug, Clone)]
pub struct CommandContext {
    /// Names and rules.
    pub metastore: CatalogWriter,
    /// Delta tables.
    pub lake: Arc<Lake>,
    /// Runs the queries of INSERT and CREATE TABLE AS.
    pub engine: Arc<Engine>,
    /// Limits on statement text.
    pub limits: Limits,
    /// Who asks, where, and with which pinned snapshot.
    pub scope: Scope,
    /// Time zone and timeout.
    pub settings: ExecutionSettings,
    /// Declared types of `$1`, `$2`, ..
    pub parameter_types: Vec<Option<SqlType>>,
    /// Values of `$1`, `$2`, ..
    pub parameters: Vec<ScalarValue>,
    /// Cancels the command, up to its commit.
    pub cancel: CancellationToken,
    /// URL below which managed tables lie if their catalog and schema name no other place.
    pub managed_root: String,
    /// Where background work is counted.
    pub tasks: TaskTracker,
    /// The session's temporary tables; `None` where there are none to be made.
    pub temporary: Option<Arc<TemporaryTables>>,
    /// The table that the command has made, once it has.
    pub made: Arc<OnceLock<MadeTable>>,
}

impl CommandContext {
    /// Who runs the command.
    fn caller(&self) -> ObjectId {
        self.scope.functions.principal
    }

    /// The same for what the command reads: a transaction block's own grants and policies govern its edits, not its reads.
    fn reading(&self) -> CommandContext {
        let in_force = self.metastore.block().and_then(|block| block.in_force(self.caller()));
        let scope = in_force.map_or_else(|| self.scope.clone(), |in_force| self.scope.governed_by(in_force));
        CommandContext { scope, ..self.clone() }
    }

    /// The snapshot that the statement is pinned to.
    fn snapshot(&self) -> &CatalogSnapshot {
        self.scope.snapshot()
    }

    /// Names as this session resolves them in the pinned snapshot.
    fn names(&self) -> Names<'_> {
        Names::new(self.snapshot(), &self.scope.functions)
    }

    /// Names as this session resolves them in another state of the catalog.
    fn names_in<'a>(&'a self, snapshot: &'a CatalogSnapshot) -> Names<'a> {
        Names::new(snapshot, &self.scope.functions)
    }

    /// Refuses what the caller may not do, by the pinned snapshot.
    fn authorize(&self, command: &Command) -> Result<()> {
        self.authorize_in(command, self.snapshot())
    }

    /// Refuses what the caller may not do, by `snapshot`.
    fn authorize_in(&self, command: &Command, snapshot: &CatalogSnapshot) -> Result<()> {
        let names = self.names_in(snapshot);
        let resolve = |name: &Name, kind| {
            let found = names.securable(name, kind);
            match found {
                // The metastore does not know of it, so the command does not mean temporary tables.
                Err(error)
                    if matches!(error.kind(), ErrorKind::UndefinedRelation | ErrorKind::UndefinedSchema)
                        && temporary::temporary(name, self).is_some() =>
                {
                    Err(Error::unsupported("this statement on a temporary table")
                        .with_hint("Make a table in a schema, or make the temporary table anew."))
                }
                found => found,
            }
        };
        governance::authorize_command(command, self.caller(), snapshot, &resolve)
    }
}

/// What a command gives.
#[derive(Debug)]
pub enum CommandOutcome {
    /// It is done.
    Done {
        /// PostgreSQL's command tag: `CREATE TABLE`, `INSERT 0 5`.
        tag: String,
        /// Texts for the client that are no errors: `relation "t" already exists, skipping`.
        notices: Vec<String>,
        /// The same with severity WARNING: SQLSTATE and text.
        warnings: Vec<(&'static str, String)>,
    },
    /// It waits for rows.
    CopyIn(CopyTarget),
    /// It describes something.
    Rows {
        /// Columns with their SQL types.
        columns: Vec<FieldRef>,
        /// The rows.
        batch: RecordBatch,
        /// Command tag.
        tag: &'static str,
    },
}

impl CommandOutcome {
    fn done(tag: impl Into<String>) -> Self {
        CommandOutcome::noticed(tag, Vec::new())
    }

    fn noticed(tag: impl Into<String>, notices: Vec<String>) -> Self {
        CommandOutcome::Done { tag: tag.into(), notices, warnings: Vec::new() }
    }

    fn rows(batch: RecordBatch, tag: &'static str) -> Self {
        CommandOutcome::Rows { columns: batch.schema().fields().iter().map(Arc::clone).collect(), batch, tag }
    }
}

/// What a command needs and gives, before it runs.
#[derive(Debug, Clone, Default)]
pub struct CommandDescription {
    /// Types of `$1`, `$2`, ..
    pub parameters: Vec<SqlType>,
    /// Columns of its rows; `None` if it gives none.
    pub columns: Option<Vec<FieldRef>>,
}

/// Authorises a command and says what it needs and gives, without running it.
///
/// # Errors
/// What authorising and, for INSERT and CREATE TABLE AS, binding refuses.
pub async fn describe(command: &Command, context: &CommandContext) -> Result<CommandDescription> {
    let command = location::canonical(command)?;
    let command = command.as_ref();
    let parameters = match command {
        Command::Insert { table, columns, by_name, query } => {
            context.authorize(command)?;
            insert::parameters(table, columns, *by_name, query, context).await?
        }
        Command::CreateTable(create) => match &create.query {
            Some(query) => {
                context.authorize(command)?;
                query::bind(query, &context.parameter_types, &context.reading()).await?.parameters
            }
            None => vec![],
        },
        // Authorised when it runs: an earlier statement of the same pipeline may make what it names.
        _ => vec![],
    };
    let columns = output::columns(command).map(|schema| schema.fields().iter().map(Arc::clone).collect());
    Ok(CommandDescription { parameters, columns })
}

/// Runs a command.
///
/// # Errors
/// PostgreSQL's, by name of the object; what authorising refuses; storage errors.
pub async fn run(command: &Command, context: &CommandContext) -> Result<CommandOutcome> {
    let command = location::canonical(command)?;
    match context.metastore.block() {
        Some(block) => block.run(&command, context).await,
        None => perform(&command, context).await,
    }
}

async fn perform(command: &Command, context: &CommandContext) -> Result<CommandOutcome> {
    match command {
        Command::CreateCatalog { .. } => ddl::create_catalog(command, context).await,
        Command::CreateSchema { .. } => ddl::create_schema(command, context).await,
        Command::Drop { kind, names, if_exists, cascade } => ddl::drop(*kind, names, *if_exists, *cascade, context).await,
        Command::SetOwner { kind, name, owner } => ddl::set_owner(command, *kind, name, owner, context).await,
        Command::Rename { kind, name, to } => ddl::rename(command, *kind, name, to, context).await,
        Command::Comment { on, text } => ddl::comment(command, on, text.as_deref(), context).await,
        Command::CreateTable(create) => table::create(command, create, context).await,
        Command::CreateView { .. } => view::create_view(command, context).await,
        Command::CreateFunction { .. } => view::create_function(command, context).await,
        Command::Insert { table, columns, by_name, query } => {
            context.authorize(command)?;
            insert::run(table, columns, *by_name, query, context).await
        }
        Command::CopyIn(copy) => {
            context.authorize(command)?;
            copy::target(copy, context).await.map(CommandOutcome::CopyIn)
        }
        Command::CreatePrincipal { name, if_not_exists, options } => {
            principal::create(command, name, *if_not_exists, options, context).await
        }
        Command::AlterPrincipal { name, options } => principal::alter(command, name, options, context).await,
        Command::AlterSettings { on, change } => setting::alter(command, on, change, context).await,
        Command::RenamePrincipal { name, to } => principal::rename(command, name, to, context).await,
        Command::DropPrincipal { names, if_exists } => principal::drop(names, *if_exists, context).await,
        Command::CreateToken { role, comment, lifetime } => {
            token::create(command, role.as_deref(), comment.as_deref(), *lifetime, context).await
        }
        Command::DropToken { id, if_exists } => token::drop(command, id, *if_exists, context).await,
        Command::ShowTokens { role } => token::show(command, role.as_deref(), context),
        Command::AddMember { groups, members } => principal::add_members(command, groups, members, context).await,
        Command::RemoveMember { groups, members } => principal::remove_members(command, groups, members, context).await,
        Command::CreateStorageCredential { .. } => location::create_credential(command, context).await,
        Command::CreateExternalLocation { .. } => location::create_location(command, context).await,
        Command::Grant { privileges, on, principals, grant_option } => {
            dcl::grant(command, privileges, on, principals, *grant_option, context).await
        }
        Command::Revoke { .. } => dcl::revoke(command, context).await,
        Command::ShowGrants { on, principal } => {
            context.authorize(command)?;
            dcl::show_grants(on, principal.as_deref(), context)
        }
        Command::SetRowFilter { table, function, columns } => {
            policy::set_row_filter(command, table, function, columns, context).await
        }
        Command::DropRowFilter { table } => policy::drop_row_filter(command, table, context).await,
        Command::SetMask { table, column, function, using } => {
            policy::set_mask(command, table, column, function, using, context).await
        }
        Command::DropMask { table, column } => policy::drop_mask(command, table, column, context).await,
        Command::ShowCatalogs { like } => show::catalogs(command, like.as_deref(), context),
        Command::ShowSchemas { catalog, like } => show::schemas(command, catalog.as_deref(), like.as_deref(), context),
        Command::ShowTables { schema, like } => show::tables(command, schema.as_ref(), like.as_deref(), context),
        Command::ShowViews { schema, like } => show::views(command, schema.as_ref(), like.as_deref(), context),
        Command::ShowColumns { table } => describe::columns(command, table, context).await,
        Command::DescribeTable { table, extended } => describe::table(command, table, *extended, context).await,
        Command::Lock { names, mode, no_wait } => lock::run(command, names, *mode, *no_wait, context).await,
        Command::DescribeHistory { table } => history::run(command, table, context).await,
    }
}
