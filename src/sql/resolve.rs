//! Collects and pins everything that a statement can reach, before anything is bound.
//!
//! ```text
//!  text ─▶ names ─┬─▶ tables ──▶ (table, version) ─▶ lake: one snapshot each, all at once ─▶ Resolved
//!                 │      └─ policy functions ─▶ names ─┐
//!                 ├─▶ views ─▶ text ─▶ names ──────────┤
//!                 └─▶ functions ─▶ body ─▶ names ──────┴─▶ (again)
//! ```
//! This is the only part of `sql` that does I/O, and all of it is in one place: the lake's snapshots. The catalog is pinned already, by
//! the snapshot in the statement's context.
//!
//! A name that its reader may not know of is reported like one that does not exist (42P01), here and in the binder, so that no error of
//! the lake and no column name tells of it. Whether the reader may *read* what it may know of is governance's business.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::ast::{self, TableVersion, Value};
use futures::StreamExt;
use futures::stream::{self, TryStreamExt};

use super::bind::names::{FoundRelation, SearchPath};
use super::bind::{MAX_DEPTH, at, evaluate_moment, is_builtin, too_deep, undefined_relation};
use super::references::{References, RelationReference};
use super::scope::Scope;
use super::stored;
use crate::catalog::securable::{Function, ObjectId, Relation, RelationKind, TableEntry};
use crate::catalog::{CatalogSnapshot, ColumnIdentity};
use crate::error::{Error, ErrorKind, Result};
use crate::lake::{AsOf, Lake, TableRef, TableSnapshot};

/// How many snapshots are asked for at a time.
const PARALLEL_SNAPSHOTS: usize = 16;

/// The pinned world of one statement: every table version, view text and function body that it can reach.
#[derive(Debug, Clone, Default)]
pub struct Resolved {
    pub(crate) tables: HashMap<(ObjectId, AsOf), ResolvedTable>,
    pub(crate) views: HashMap<ObjectId, Arc<ast::Query>>,
    pub(crate) functions: HashMap<ObjectId, Arc<ast::Expr>>,
}

/// A table at its pinned version.
#[derive(Debug, Clone)]
pub(crate) struct ResolvedTable {
    pub(crate) relation: Arc<Relation>,
    pub(crate) schema: SchemaRef,
    /// `None` in tests of pure code only.
    pub(crate) snapshot: Option<Arc<TableSnapshot>>,
}

impl ResolvedTable {
    /// Where a column is in this version.
    pub(crate) fn position(&self, column: ColumnIdentity<'_>) -> Option<usize> {
        let physical_names = self.snapshot.as_ref().map(|snapshot| snapshot.physical_names()).unwrap_or_default();
        self.schema.fields().iter().enumerate().position(|(index, field)| {
            let physical_name = physical_names.get(index).map_or(field.name().as_str(), String::as_str);
            column.is(physical_name, field.name())
        })
    }
}

impl Resolved {
    /// Every pinned table with its version.
    pub fn pinned(&self) -> impl Iterator<Item = (&Arc<Relation>, &AsOf, &Arc<TableSnapshot>)> {
        self.tables.iter().filter_map(|((_, as_of), table)| Some((&table.relation, as_of, table.snapshot.as_ref()?)))
    }
}

/// Pins every table version that the text of `query`, its views and the policies of its tables can reach.
///
/// Costs what the lake's snapshots cost, sixteen at a time; nothing else is read.
///
/// # Errors
/// `UndefinedRelation` for a name that does not exist or that its reader may not know of, and what the lake says about a table.
pub async fn resolve(query: &ast::Query, scope: &Scope, lake: &Lake) -> Result<Resolved> {
    let reached = Reached::from(References::of_query(query), scope)?;
    reached.pin(scope, lake).await
}

/// The same for a single expression, such as the body of a function.
///
/// # Errors
/// As [`resolve`].
pub async fn resolve_expression(expr: &ast::Expr, scope: &Scope, lake: &Lake) -> Result<Resolved> {
    let reached = Reached::from(References::of_expression(expr), scope)?;
    reached.pin(scope, lake).await
}

/// How the lake opens a table of the catalog; `None` for a view.
pub fn table_ref(relation: &Relation, snapshot: &CatalogSnapshot) -> Option<TableRef> {
    let table = relation.table()?;
    let credential =
        table.credential.and_then(|id| snapshot.storage_credential_by_id(id)).map(|credential| Arc::clone(&credential.options));
    Some(TableRef { id: relation.id, name: snapshot.full_name(relation.id), location: table.location.clone(), credential })
}

/// What a statement reaches, by name alone: no I/O yet.
#[derive(Debug, Default)]
pub(super) struct Reached {
    pub(super) tables: Vec<(Arc<Relation>, AsOf)>,
    pub(super) views: HashMap<ObjectId, Arc<ast::Query>>,
    pub(super) functions: HashMap<ObjectId, Arc<ast::Expr>>,
}

/// Names that are to be looked up, and as whom.
struct Task {
    references: References,
    path: SearchPath,
    reader: ObjectId,
    depth: usize,
}

impl Reached {
    /// Follows names through views, functions and policies until there are no new ones.
    pub(super) fn from(references: References, scope: &Scope) -> Result<Reached> {
        let mut reached = Reached::default();
        let mut known = HashSet::new();
        let path = SearchPath::of_session(&scope.functions);
        let mut tasks = vec![Task { references, path, reader: scope.functions.current_user, depth: 0 }];
        while let Some(task) = tasks.pop() {
            if task.depth > MAX_DEPTH {
                return Err(too_deep());
            }
            for reference in &task.references.relations {
                reached.relation(reference, &task, scope, &mut known, &mut tasks)?;
            }
            for parts in &task.references.functions {
                if is_builtin(parts, scope) {
                    continue;
                }
                if let Some(function) = task.path.function(parts).filter(|function| task.path.may_see(task.reader, function.id)) {
                    reached.function(&function, task.depth, scope, &mut tasks)?;
                }
            }
        }
        Ok(reached)
    }

    fn relation(
        &mut self,
        reference: &RelationReference,
        task: &Task,
        scope: &Scope,
        known: &mut HashSet<(ObjectId, AsOf)>,
        tasks: &mut Vec<Task>,
    ) -> Result<()> {
        let relation = match task.path.relation(&reference.parts) {
            Some(FoundRelation::System(_)) => return Ok(()),
            Some(FoundRelation::Relation(relation)) if task.path.may_see(task.reader, relation.id) => relation,
            _ if task.depth == 0 => return Err(undefined_relation(&reference.parts, reference.span)),
            found => return Err(unreadable_for_owner(found.as_ref(), task, scope)),
        };
        scope.snapshot().check_settled(relation.id).map_err(|error| at(error, reference.span))?;
        match &relation.kind {
            RelationKind::View(view) => {
                if scope.snapshot().has_doubtful_text(relation.id) {
                    let error = stored::doubtful(relation.id, scope.snapshot(), scope.functions.current_user);
                    // A place in another view's text is none in the statement.
                    return Err(if task.depth == 0 { at(error, reference.span) } else { error });
                }
                if let Entry::Vacant(entry) = self.views.entry(relation.id) {
                    let query = parsed_query(&view.query)?;
                    tasks.push(Task {
                        references: References::of_query(&query),
                        path: SearchPath::empty(&scope.functions),
                        reader: relation.owner,
                        depth: task.depth + 1,
                    });
                    entry.insert(Arc::new(query));
                }
            }
            RelationKind::Table(table) => {
                let as_of = as_of(reference.version.as_ref(), scope, task.depth > 0).map_err(|error| at(error, reference.span))?;
                if known.insert((relation.id, as_of.clone())) {
                    let filter = table.row_filter.iter().map(|filter| filter.function);
                    let past = table.past_columns.iter().filter_map(|column| column.mask.as_ref());
                    let masks = table.column_masks.values().chain(past).map(|mask| mask.function);
                    for id in filter.chain(masks) {
                        // A function that is gone makes the table unreadable; the binder says so.
                        if let Some(function) = scope.snapshot().function_by_id(id) {
                            self.function(function, task.depth, scope, tasks)?;
                        }
                    }
                    self.tables.push((relation, as_of));
                }
            }
        }
        Ok(())
    }

    fn function(&mut self, function: &Arc<Function>, depth: usize, scope: &Scope, tasks: &mut Vec<Task>) -> Result<()> {
        if self.functions.contains_key(&function.id) {
            return Ok(());
        }
        scope.snapshot().check_settled(function.id)?;
        if scope.snapshot().has_doubtful_text(function.id) {
            return Err(stored::doubtful(function.id, scope.snapshot(), scope.functions.current_user));
        }
        let body = parsed_expression(&function.body)?;
        tasks.push(Task {
            references: References::of_expression(&body),
            path: SearchPath::empty(&scope.functions),
            reader: function.owner,
            depth: depth + 1,
        });
        self.functions.insert(function.id, Arc::new(body));
        Ok(())
    }

    /// Asks the lake for every table, unless the transaction has pinned it.
    async fn pin(self, scope: &Scope, lake: &Lake) -> Result<Resolved> {
        let pinned = stream::iter(self.tables)
            .map(|(relation, as_of)| async move {
                let snapshot = known_columns(&relation, pinned_snapshot(&relation, &as_of, scope, lake).await?)?;
                let table = ResolvedTable { schema: snapshot.schema(), relation, snapshot: Some(snapshot) };
                Ok::<_, Error>(((table.relation.id, as_of), table))
            })
            .buffered(PARALLEL_SNAPSHOTS)
            .try_collect::<HashMap<_, _>>()
            .await?;
        Ok(Resolved { tables: pinned, views: self.views, functions: self.functions })
    }
}

async fn pinned_snapshot(relation: &Relation, as_of: &AsOf, scope: &Scope, lake: &Lake) -> Result<Arc<TableSnapshot>> {
    if let Some(pinned) = scope.pins.as_ref().and_then(|pins| pins.get(relation.id, as_of.clone())) {
        return Ok(pinned);
    }
    let table = table_ref(relation, scope.snapshot()).ok_or_else(|| Error::internal("a view has no snapshot"))?;
    let snapshot = lake.snapshot(&table, as_of.clone()).await?;
    Ok(match &scope.pins {
        Some(pins) => pins.pin(relation.id, as_of.clone(), snapshot),
        None => snapshot,
    })
}

/// A version as readers of the table see it: where columns have masks, those that another writer has added are hidden until somebody who
/// manages the table has looked, since nobody knows yet whether they need one, too.
///
/// # Errors
/// As [`TableSnapshot::showing`].
pub fn known_columns(relation: &Relation, snapshot: Arc<TableSnapshot>) -> Result<Arc<TableSnapshot>> {
    if !relation.table().is_some_and(TableEntry::has_masks) {
        return Ok(snapshot);
    }
    let schema = snapshot.schema();
    let mut names = snapshot.physical_names().iter().zip(schema.fields());
    if names.all(|(physical_name, field)| relation.knows_column(physical_name, field.name())) {
        return Ok(snapshot);
    }
    snapshot.showing(|physical_name, name| relation.knows_column(physical_name, name)).map(Arc::new)
}

/// The version that a time travel clause names, in the session's own text or in stored text.
///
/// # Errors
/// `Unsupported` for parameters, `InvalidParameter` for a version that is no number, what the expression's evaluation says.
pub(super) fn as_of(version: Option<&TableVersion>, scope: &Scope, stored: bool) -> Result<AsOf> {
    match version {
        None => Ok(AsOf::Latest),
        Some(TableVersion::VersionAsOf(ast::Expr::Value(value))) => match &value.value {
            Value::Number(text, _) => text
                .parse()
                .map(AsOf::Version)
                .map_err(|_| at(Error::new(ErrorKind::InvalidParameter, format!("{text} is not a version")), value.span)),
            Value::Placeholder(_) => Err(at(
                Error::unsupported("a parameter as a table's version").with_hint("Write the version into the statement."),
                value.span,
            )),
            other => Err(at(Error::new(ErrorKind::InvalidParameter, format!("{other} is not a version")), value.span)),
        },
        Some(TableVersion::TimestampAsOf(expr) | TableVersion::ForSystemTimeAsOf(expr)) => {
            match evaluate_moment(expr, scope, stored)? {
                ScalarValue::TimestampMicrosecond(Some(micros), _) => Ok(AsOf::Timestamp(micros)),
                _ => Err(Error::new(ErrorKind::InvalidParameter, "TIMESTAMP AS OF needs a moment, not NULL")),
            }
        }
        Some(_) => {
            Err(Error::unsupported("this form of time travel").with_hint("Use VERSION AS OF n or TIMESTAMP AS OF expression."))
        }
    }
}

/// The owner of a stored text may not know of what it names, or it is gone. The session learns its name only if it is no secret to it.
fn unreadable_for_owner(found: Option<&FoundRelation>, task: &Task, scope: &Scope) -> Error {
    let name = match found {
        Some(FoundRelation::Relation(relation)) if task.path.may_see(scope.functions.principal, relation.id) => {
            format!("table {}", relation.name)
        }
        _ => "an object that a view or function reads".to_string(),
    };
    Error::new(ErrorKind::Denied, format!("permission denied for {name}"))
        .with_detail("The owner of the view or function that reads it lacks the privilege.")
}

/// A view's text. What is stored was parsed before: an error is damage.
pub(super) fn parsed_query(text: &str) -> Result<ast::Query> {
    stored::parse_query(text).map_err(|error| Error::internal(format!("stored query: {error}")))
}

/// A function's body.
fn parsed_expression(text: &str) -> Result<ast::Expr> {
    stored::parse_expression(text).map_err(|error| Error::internal(format!("stored body: {error}")))
}
