//! DESCRIBE HISTORY.
//!
//! Operation parameters hold predicates and metrics count rows: both tell about data. They are shown only to a caller who may change the
//! table and whom no policy of it restricts. Everybody else who may read the table sees versions, times and operations.

use std::collections::BTreeMap;

use super::{CommandContext, CommandOutcome, output, query, rows, table};
use crate::catalog::privilege::Privilege;
use crate::catalog::securable::{ObjectId, Relation};
use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::lake::CommitInfo;
use crate::sql::statement::{Command, Name};
use crate::sql::stored::quoted;

/// Most versions that are shown.
const SHOWN_VERSIONS: usize = 1000;

pub(super) async fn run(command: &Command, name: &Name, context: &CommandContext) -> Result<CommandOutcome> {
    context.authorize(command)?;
    let relation = context.names().relation(name)?;
    if relation.table().is_none() {
        return Err(Error::new(ErrorKind::WrongObjectType, format!("\"{}\" is not a table", relation.name)));
    }
    let shows_details = changes(relation.id, context) && !is_restricted(relation, context).await?;
    let table = table::table_ref(relation, context.snapshot())?;
    let commits = Engine::cancellable(&context.cancel, context.lake.history(&table, SHOWN_VERSIONS)).await?;
    let details = |value: Option<String>| if shows_details { value } else { None };
    let column = |value: &dyn Fn(&CommitInfo) -> Option<String>| rows::Column::Text(commits.iter().map(value).collect());
    let nothing = || rows::Column::Text(commits.iter().map(|_| None).collect());
    let number = |value: u64| i64::try_from(value).ok();
    let columns = vec![
        rows::Column::Int8(commits.iter().map(|commit| number(commit.version)).collect()),
        rows::Column::Timestamptz(commits.iter().map(|commit| Some(commit.timestamp)).collect()),
        nothing(),
        column(&|commit| details(commit.user_name.clone())),
        column(&|commit| commit.operation.clone()),
        column(&|commit| details(Some(json(&commit.operation_parameters)))),
        nothing(),
        nothing(),
        nothing(),
        rows::Column::Int8(commits.iter().map(|commit| commit.read_version.filter(|_| shows_details).and_then(number)).collect()),
        nothing(),
        rows::Column::Bool(commits.iter().map(|commit| commit.is_blind_append.filter(|_| shows_details)).collect()),
        column(&|commit| details(Some(json(&commit.operation_metrics)))),
        nothing(),
        column(&|commit| details(commit.engine_info.clone())),
    ];
    Ok(CommandOutcome::rows(rows::batch(output::history(), columns)?, "DESCRIBE"))
}

fn changes(table: ObjectId, context: &CommandContext) -> bool {
    let (snapshot, caller) = (context.snapshot(), context.caller());
    Privilege::MODIFY.iter().all(|privilege| snapshot.holds(caller, *privilege, table))
}

/// Whether a policy of the table restricts the caller, or the caller may not read it at all.
async fn is_restricted(relation: &Relation, context: &CommandContext) -> Result<bool> {
    let context = &context.reading();
    let snapshot = context.snapshot();
    let path: Vec<String> = snapshot.containers_of(relation.id).filter_map(|id| snapshot.name_of(id)).map(quoted).collect();
    let path: Vec<String> = path.into_iter().rev().collect();
    let bound = query::bind(&query::parse(&format!("SELECT * FROM {}", path.join(".")))?, &[], context).await?;
    match query::govern(bound, context).await {
        Ok(governed) => Ok(governed.is_governed()),
        Err(error) if matches!(error.kind(), ErrorKind::Denied | ErrorKind::UndefinedRelation) => Ok(true),
        Err(error) => Err(error),
    }
}

fn json(map: &BTreeMap<String, String>) -> String {
    serde_json::to_string(map).unwrap_or_default()
}
