//! COPY: what COPY TO may read, and the table that COPY FROM fills.
//!
//! ```text
//!  COPY t FROM STDIN ─▶ authorised ─▶ CopyTarget ─ the door reads lines ─▶ batches ─▶ load: table order, WHERE ─▶ lake.append: one commit
//! ```
//! The rows come long after the statement was authorised, so the target holds what it was authorised for: the table by its id and the
//! version that it was checked against. A stream of rows that ends with an error, or is dropped, leaves the table as it was. In a
//! transaction block the commit waits for the block's own (`block`).

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::FieldRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::sql::sqlparser::ast::{self, SetExpr};
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use tokio_util::sync::CancellationToken;

use super::CommandContext;
use super::assign::Assignment;
use super::insert::{self, Target, refuse_repeated};
use super::names::FoundRelation;
use super::query;
use crate::catalog::securable::Relation;
use crate::engine::Condition;
use crate::error::{Error, ErrorKind, Result};
use crate::lake::WriteKind;
use crate::sql::statement::{CopyIn, CopyOut};
use crate::sql::stored::quoted;
use crate::types::SqlType;

/// Rows for a table, with the columns of its [`CopyTarget`].
pub type CopyRows = BoxStream<'static, Result<RecordBatch>>;

/// Writes rows and commits them when their stream ends; gives their number.
pub type CopyLoad = Box<dyn FnOnce(CopyRows) -> BoxFuture<'static, Result<u64>> + Send>;

/// A table that waits for the rows of COPY FROM STDIN.
pub struct CopyTarget {
    /// Its name, without a schema.
    pub relation: String,
    /// The columns that a row fills, in order.
    pub columns: Vec<CopyColumn>,
    /// A column that is not filled though NULL is refused there.
    pub unfilled: Option<String>,
    /// How rows are written.
    pub options: CopyIn,
    /// Where they go.
    pub load: CopyLoad,
}

/// A column that a row of COPY FROM fills.
#[derive(Debug, Clone)]
pub struct CopyColumn {
    /// Name.
    pub name: String,
    /// Type.
    pub sql_type: SqlType,
    /// NULL is refused.
    pub not_null: bool,
    /// FORCE_NULL
    pub force_null: bool,
    /// FORCE_NOT_NULL
    pub force_not_null: bool,
}

impl fmt::Debug for CopyTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CopyTarget")
            .field("relation", &self.relation)
            .field("columns", &self.columns)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// The target of an authorised COPY FROM.
pub(super) async fn target(copy: &CopyIn, context: &CommandContext) -> Result<CopyTarget> {
    let relation = context.names().relation(&copy.table.name)?;
    if relation.view().is_some() {
        return Err(Error::new(ErrorKind::WrongObjectType, format!("cannot copy to view \"{}\"", relation.name))
            .with_hint("Copy into the table that the view reads."));
    }
    let target = Target::find(&copy.table.name, context).await?;
    if let Some(block) = context.metastore.block() {
        block.check_append(target.relation.id)?;
    }
    let schema = target.snapshot.schema();
    let chosen: Vec<usize> = if copy.table.columns.is_empty() {
        target.known().to_vec()
    } else {
        let chosen = copy.table.columns.iter().map(|column| target.column(column)).collect::<Result<_>>()?;
        refuse_repeated(&copy.table.columns)?;
        chosen
    };
    let name = |column: &usize| schema.field(*column).name().as_str();
    let all: Vec<&str> = target.known().iter().map(name).collect();
    let copied: Vec<&str> = chosen.iter().map(name).collect();
    let of_table = Some((target.relation.name.as_str(), all.as_slice()));
    let force_not_null = copy.force_not_null.flags("FORCE_NOT_NULL", &copied, of_table)?;
    let force_null = copy.force_null.flags("FORCE_NULL", &copied, of_table)?;
    let columns = chosen.iter().zip(force_null).zip(force_not_null).map(|((column, force_null), force_not_null)| {
        let field = schema.field(*column);
        CopyColumn {
            name: field.name().clone(),
            sql_type: SqlType::of_field(field),
            // What the condition leaves out may be NULL; what it keeps is checked where it is written.
            not_null: !field.is_nullable() && copy.condition.is_none(),
            force_null,
            force_not_null,
        }
    });
    let columns = columns.collect();
    let is_unfilled =
        |(index, field): &(usize, &FieldRef)| copy.condition.is_none() && !field.is_nullable() && !chosen.contains(index);
    let unfilled = schema.fields().iter().enumerate().find(is_unfilled).map(|(_, field)| field.name().clone());
    let sources = (0..schema.fields().len()).map(|column| chosen.iter().position(|other| *other == column)).collect();
    let assignment = Assignment::new(&schema, sources);
    let condition = match &copy.condition {
        Some(condition) => Some(bind_condition(condition, &target, context).await?),
        None => None,
    };
    let relation = target.relation.name.clone();
    let context = context.clone();
    let load: CopyLoad = Box::new(move |rows| load(rows, target, assignment, condition, context).boxed());
    Ok(CopyTarget { relation, columns, unfilled, options: copy.clone(), load })
}

/// The WHERE of COPY FROM, over rows in the form of the table. It may call what the caller may call, and reads nothing but the row.
async fn bind_condition(condition: &ast::Expr, target: &Target, context: &CommandContext) -> Result<Condition> {
    let null = |field: &FieldRef| format!("CAST(NULL AS {}) AS {}", SqlType::of_field(field).display_name(), quoted(field.name()));
    let row: Vec<String> = target.snapshot.schema().fields().iter().map(null).collect();
    let mut query = query::parse(&format!("SELECT true FROM (SELECT {}) AS {}", row.join(", "), quoted(&target.relation.name)))?;
    if let SetExpr::Select(select) = query.body.as_mut() {
        select.selection = Some(condition.clone());
    }
    let context = &context.reading();
    let bound = query::bind(&query, &[], context).await?;
    if !bound.parameters.is_empty() {
        return Err(Error::new(ErrorKind::UndefinedParameter, "there is no parameter $1"));
    }
    let governed = query::govern(bound, context).await?;
    context.engine.condition(governed, &context.settings).await
}

async fn load(
    rows: CopyRows,
    target: Target,
    assignment: Assignment,
    condition: Option<Condition>,
    context: CommandContext,
) -> Result<u64> {
    let rows = until_cancelled(rows, context.cancel.clone());
    let (rows, assignment) = match condition {
        Some(condition) => {
            let kept = rows.map(move |batch| condition.keep(&assignment.apply(&batch?)?));
            (kept.boxed(), Assignment::in_order(&target.snapshot.schema()))
        }
        None => (rows, assignment),
    };
    let written = insert::append(&target.table, &target.snapshot, rows, assignment, WriteKind::Copy, &context).await?;
    if context.metastore.block().is_none() {
        target.learn_columns(&context).await;
    }
    Ok(written)
}

/// Ends with an error when the statement is cancelled: what has been written is then never committed.
fn until_cancelled(rows: CopyRows, cancel: CancellationToken) -> CopyRows {
    let cancelled = || Error::new(ErrorKind::Cancelled, "canceling statement due to user request");
    futures::stream::unfold((rows, cancel), move |(mut rows, cancel)| async move {
        let next = tokio::select! {
            biased;
            () = cancel.cancelled() => Some(Err(cancelled())),
            next = rows.next() => next,
        };
        next.map(|next| (next, (rows, cancel)))
    })
    .boxed()
}

/// What COPY .. TO STDOUT reads.
#[derive(Debug)]
pub struct CopySource<'a> {
    copy: &'a CopyOut,
    /// The table, if it is one of the metastore's.
    relation: Option<Arc<Relation>>,
}

impl<'a> CopySource<'a> {
    /// Finds out what is read. That it exists, and that the caller may read it, is told by the query over it.
    ///
    /// # Errors
    /// [`ErrorKind::WrongObjectType`] for a view, [`ErrorKind::DuplicateColumn`].
    pub fn find(copy: &'a CopyOut, context: &CommandContext) -> Result<Self> {
        let Some(table) = &copy.table else { return Ok(CopySource { copy, relation: None }) };
        let relation = match context.names().any_relation(&table.name) {
            Ok(FoundRelation::Relation(relation)) => Some(Arc::clone(relation)),
            Ok(FoundRelation::System(_)) | Err(_) => None,
        };
        if let Some(view) = relation.as_ref().filter(|relation| relation.view().is_some()) {
            return Err(Error::new(ErrorKind::WrongObjectType, format!("cannot copy from view \"{}\"", view.name))
                .with_hint("Try the COPY (SELECT ...) TO variant."));
        }
        refuse_repeated(&table.columns)?;
        Ok(CopySource { copy, relation })
    }

    /// An error of the query over a table, in the words of COPY.
    pub fn explain(&self, error: Error) -> Error {
        let (Some(relation), Some(table)) = (&self.relation, &self.copy.table) else { return error };
        let is_missing = |name: &&String| relation.columns.iter().all(|column| column.name != **name);
        match table.columns.iter().find(is_missing) {
            Some(name) if error.kind() == ErrorKind::UndefinedColumn => Error::new(
                ErrorKind::UndefinedColumn,
                format!("column \"{name}\" of relation \"{}\" does not exist", relation.name),
            ),
            _ => error,
        }
    }

    /// For each of the columns that are read, whether its values are quoted always.
    ///
    /// # Errors
    /// As [`CopyColumns::flags`](crate::sql::statement::CopyColumns::flags).
    pub fn force_quote(&self, columns: &[&str]) -> Result<Vec<bool>> {
        let all = self.relation.as_ref().map(|relation| {
            let names: Vec<&str> = relation.columns.iter().map(|column| column.name.as_str()).collect();
            (relation.name.as_str(), names)
        });
        let all = all.as_ref().map(|(name, columns)| (*name, columns.as_slice()));
        self.copy.force_quote.flags("FORCE_QUOTE", columns, all)
    }
}
