//! INSERT: a query, brought into the form of a table, appended in one commit.
//!
//! ```text
//!  query ─▶ bound to the target columns ─▶ gate ─▶ run ─▶ table order, lengths checked ─▶ lake.append: one commit
//! ```
//! In a transaction block the commit waits for the block's own (`block`). A column that is not named becomes NULL: there are no column defaults. A row filter of the target does not filter what is inserted.

use std::sync::Arc;

use datafusion::arrow::record_batch::RecordBatch;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::sql::sqlparser::ast::{self, SelectItem, SetExpr};
use futures::{Stream, StreamExt};

use super::assign::Assignment;
use super::{CommandContext, CommandOutcome, columns, query, table};
use crate::catalog::NewColumns;
use crate::catalog::securable::Relation;
use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::lake::{AsOf, TableRef, TableSnapshot, WriteKind, WriteOperation};
use crate::sql::statement::Name;
use crate::sql::{self, BoundQuery};
use crate::types::SqlType;

pub(super) async fn run(
    table: &Name,
    columns: &[String],
    by_name: bool,
    query: &ast::Query,
    context: &CommandContext,
) -> Result<CommandOutcome> {
    let context = &context.reading();
    let target = Target::find(table, context).await?;
    let temporary = context.temporary.as_ref().is_some_and(|tables| tables.contains(target.relation.id));
    if let Some(block) = context.metastore.block().filter(|_| !temporary) {
        block.check_append(target.relation.id)?;
    }
    let Source { bound, columns } = target.bind(columns, by_name, query, context).await?;
    let rows = query::run(query::govern(bound, context).await?, context).await?;
    let assignment = Assignment::new(&target.snapshot.schema(), columns);
    let written = append(&target.table, &target.snapshot, rows, assignment, WriteKind::Insert, context).await?;
    if context.metastore.block().is_none() && !temporary {
        target.learn_columns(context).await;
    }
    Ok(CommandOutcome::done(format!("INSERT 0 {written}")))
}

/// Types of the parameters of an INSERT.
pub(super) async fn parameters(
    table: &Name,
    columns: &[String],
    by_name: bool,
    query: &ast::Query,
    context: &CommandContext,
) -> Result<Vec<SqlType>> {
    let context = &context.reading();
    let target = Target::find(table, context).await?;
    let source = target.bind(columns, by_name, query, context).await?;
    let parameters = source.bound.parameters.clone();
    query::govern(source.bound, context).await?;
    Ok(parameters)
}

/// Writes the rows of a query with one commit, which a transaction block puts off until its own. Returns how many.
///
/// A cancelled query ends its stream with an error, which ends the write. The commit itself is waited for: its outcome is never unknown.
pub(super) async fn append(
    table: &TableRef,
    snapshot: &Arc<TableSnapshot>,
    rows: impl Stream<Item = Result<RecordBatch>> + Send + 'static,
    assignment: Assignment,
    kind: WriteKind,
    context: &CommandContext,
) -> Result<u64> {
    let schema = assignment.schema();
    let own = context.temporary.as_ref().filter(|tables| tables.contains(table.id)).map(Arc::clone);
    let (own_rows, id) = (own.clone(), table.id);
    let batches = rows.map(move |batch| {
        let assigned = batch.and_then(|batch| assignment.apply(&batch)).and_then(|batch| {
            if let Some(own) = &own_rows {
                own.reserve(id, batch.get_array_memory_size())?;
            }
            Ok(batch)
        });
        assigned.map_err(|error| DataFusionError::External(Box::new(error)))
    });
    let input: SendableRecordBatchStream = Box::pin(RecordBatchStreamAdapter::new(schema, batches));
    let user_name = context.snapshot().principal_by_id(context.caller()).map(|principal| principal.name.clone());
    let operation = WriteOperation { kind, user_name };
    match context.metastore.block() {
        // A table that is being made is nobody's yet, and its block removes it if it fails.
        Some(block) if kind != WriteKind::CreateTableAs => {
            let staged = context.lake.stage(table, snapshot, input, operation).await?;
            let rows = staged.rows();
            block.stage(staged, own.is_some())?;
            Ok(rows)
        }
        _ => Ok(context.lake.append(table, snapshot, input, operation).await?.rows),
    }
}

/// The table that rows go into.
pub(super) struct Target {
    pub(super) relation: Arc<Relation>,
    pub(super) table: TableRef,
    pub(super) snapshot: Arc<TableSnapshot>,
    /// Columns in the table's order.
    columns: Vec<(String, SqlType)>,
    /// Positions of the columns that the caller may know of.
    known: Vec<usize>,
}

/// A bound query and, for each column of the table, the column of the query that goes into it.
struct Source {
    bound: BoundQuery,
    columns: Vec<Option<usize>>,
}

impl Target {
    pub(super) async fn find(name: &Name, context: &CommandContext) -> Result<Self> {
        let relation = Arc::clone(context.names().relation(name)?);
        if relation.table().is_none() {
            return Err(Error::new(
                ErrorKind::ObjectNotInPrerequisiteState,
                format!("cannot insert into view \"{}\"", relation.name),
            )
            .with_hint("Insert into the table that the view reads."));
        }
        let table = table::table_ref(&relation, context.snapshot())?;
        let pinned = context.scope.pins.as_ref().and_then(|pins| pins.get(relation.id, AsOf::Latest));
        let snapshot = match pinned {
            Some(pinned) => pinned,
            None => Engine::cancellable(&context.cancel, context.lake.snapshot(&table, AsOf::Latest)).await?,
        };
        let columns = snapshot.schema().fields().iter().map(|field| (field.name().clone(), SqlType::of_field(field))).collect();
        let known = sql::known_columns(&relation, Arc::clone(&snapshot))?;
        let is_known = |column: &usize| known.physical_names().contains(&snapshot.physical_names()[*column]);
        let known = (0..snapshot.physical_names().len()).filter(is_known).collect();
        Ok(Self { relation, table, snapshot, columns, known })
    }

    /// Binds the query to the columns that its own go into: literals and parameters take their types, and what may be assigned is
    /// converted.
    async fn bind(&self, columns: &[String], by_name: bool, query: &ast::Query, context: &CommandContext) -> Result<Source> {
        let chosen = if by_name {
            self.by_name(&query::bind(query, &context.parameter_types, context).await?)?
        } else if columns.is_empty() {
            self.known.iter().copied().take(self.given(query, context).await?).collect()
        } else {
            refuse_repeated(columns)?;
            columns.iter().map(|column| self.column(column)).collect::<Result<Vec<_>>>()?
        };
        let targets: Vec<(String, SqlType)> = chosen.iter().filter_map(|column| self.columns.get(*column)).cloned().collect();
        let bound = query::bind_to(query, &context.parameter_types, &targets, context).await?;
        let columns = (0..self.columns.len()).map(|column| chosen.iter().position(|other| *other == column)).collect();
        Ok(Source { bound, columns })
    }

    /// How many columns a query without a column list fills: the first ones, as many as it has itself.
    async fn given(&self, query: &ast::Query, context: &CommandContext) -> Result<usize> {
        let given = match width(query.body.as_ref()) {
            Some(width) => width,
            None => query::bind(query, &context.parameter_types, context).await?.columns.len(),
        };
        if given > self.known.len() {
            return Err(Error::new(ErrorKind::Syntax, "INSERT has more expressions than target columns"));
        }
        Ok(given)
    }

    pub(super) fn column(&self, name: &str) -> Result<usize> {
        let is_called = |column: &usize| self.columns.get(*column).is_some_and(|(column, _)| column == name);
        self.known.iter().copied().find(is_called).ok_or_else(|| {
            Error::new(
                ErrorKind::UndefinedColumn,
                format!("column \"{name}\" of relation \"{}\" does not exist", self.relation.name),
            )
        })
    }

    fn by_name(&self, bound: &BoundQuery) -> Result<Vec<usize>> {
        let names: Vec<String> = bound.columns.iter().map(|field| field.name().clone()).collect();
        refuse_repeated(&names)?;
        names.iter().map(|name| self.column(name)).collect()
    }

    /// Positions of the columns that rows fill which name none.
    pub(super) fn known(&self) -> &[usize] {
        &self.known
    }

    /// After the commit the metastore learns of columns that others have changed; of new ones beside masked ones, if the caller may let them
    /// be seen.
    pub(super) async fn learn_columns(&self, context: &CommandContext) {
        let manages = context.snapshot().manages(context.caller(), self.relation.id);
        let new = if manages { NewColumns::Take } else { NewColumns::TakeUnlessMasked };
        columns::learn(&self.relation, columns::seen(&self.snapshot), new, context.metastore.metastore()).await;
    }
}

pub(super) fn refuse_repeated(columns: &[String]) -> Result<()> {
    let repeated = columns.iter().enumerate().find(|(index, name)| columns.iter().take(*index).any(|other| other == *name));
    match repeated {
        Some((_, name)) => Err(Error::new(ErrorKind::DuplicateColumn, format!("column \"{name}\" specified more than once"))),
        None => Ok(()),
    }
}

/// Number of columns, where the text alone tells it.
fn width(body: &SetExpr) -> Option<usize> {
    match body {
        SetExpr::Values(values) => values.rows.first().map(|row| row.content.len()),
        SetExpr::Select(select) => {
            let single = |item: &SelectItem| matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. });
            select.projection.iter().all(single).then_some(select.projection.len())
        }
        SetExpr::Query(inner) => width(inner.body.as_ref()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_tells_the_number_of_columns_unless_it_has_a_star() {
        let width = |text: &str| width(query::parse(text).unwrap().body.as_ref());
        assert_eq!(width("VALUES (1, 2), (3, 4)"), Some(2));
        assert_eq!(width("SELECT 1, 2 AS b, 3"), Some(3));
        assert_eq!(width("(SELECT 1)"), Some(1));
        assert_eq!(width("SELECT *, 1 FROM t"), None);
        assert_eq!(width("SELECT 1 UNION SELECT 2"), None);
    }

    #[test]
    fn a_column_is_named_once() {
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        refuse_repeated(&names(&["a", "b"])).unwrap();
        assert_eq!(refuse_repeated(&names(&["a", "b", "a"])).unwrap_err().kind(), ErrorKind::DuplicateColumn);
    }
}
