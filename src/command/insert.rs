//! INSERT: a query, brought into the form of a table, appended in one commit.
//!
//! ```text
//!  query ─ literals and parameters take the columns' types ─▶ bind ─▶ SELECT cast.. FROM (query) ─▶ bind ─▶ gate ─▶ run
//!                                                            types                                               │
//!                            one commit ◀── lake.append ◀── lengths checked ◀───────────────────────────────────┘
//! ```
//! A column that is not named becomes NULL: there are no column defaults. A row filter of the target does not filter what is inserted.

use std::sync::Arc;

use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::sql::sqlparser::ast::{self, Expr, SelectItem, SetExpr, TableFactor, Value};
use futures::StreamExt;

use super::assign::{self, Assignment};
use super::{CommandContext, CommandOutcome, describe, query, table};
use crate::catalog::securable::Relation;
use crate::catalog::types::SqlType;
use crate::engine::{Engine, ResultStream};
use crate::error::{Error, ErrorKind, Result};
use crate::lake::{Appended, AsOf, TableRef, TableSnapshot, WriteKind, WriteOperation};
use crate::sql::BoundQuery;
use crate::sql::statement::Name;

pub(super) async fn run(
    table: &Name,
    columns: &[String],
    by_name: bool,
    query: &ast::Query,
    context: &CommandContext,
) -> Result<CommandOutcome> {
    let target = Target::find(table, context).await?;
    let bound = target.bind(columns, by_name, query, context).await?.into_table_order(&target, context).await?;
    let rows = query::run(query::govern(bound, context).await?, context).await?;
    let appended = append(&target.table, &target.snapshot, rows, WriteKind::Insert, context).await?;
    target.advance(context).await;
    Ok(CommandOutcome::done(format!("INSERT 0 {}", appended.rows)))
}

/// Types of the parameters of an INSERT.
pub(super) async fn parameters(
    table: &Name,
    columns: &[String],
    by_name: bool,
    query: &ast::Query,
    context: &CommandContext,
) -> Result<Vec<SqlType>> {
    let target = Target::find(table, context).await?;
    let source = target.bind(columns, by_name, query, context).await?;
    let parameters = source.bound.parameters.clone();
    query::govern(source.bound, context).await?;
    Ok(parameters)
}

/// Writes the rows of a query, in the table's column order, with one commit.
///
/// A cancelled query ends its stream with an error, which ends the write. The commit itself is waited for: its outcome is never unknown.
pub(super) async fn append(
    table: &TableRef,
    snapshot: &Arc<TableSnapshot>,
    rows: ResultStream,
    kind: WriteKind,
    context: &CommandContext,
) -> Result<Appended> {
    let assignment = Assignment::to(&snapshot.schema());
    let schema = assignment.schema();
    let batches = rows.map(move |batch| {
        batch.and_then(|batch| assignment.apply(&batch)).map_err(|error| DataFusionError::External(Box::new(error)))
    });
    let input: SendableRecordBatchStream = Box::pin(RecordBatchStreamAdapter::new(schema, batches));
    let user_name = context.snapshot().principal_by_id(context.caller()).map(|principal| principal.name.clone());
    context.lake.append(table, snapshot, input, WriteOperation { kind, user_name }).await
}

/// The table that rows go into.
struct Target {
    relation: Arc<Relation>,
    table: TableRef,
    snapshot: Arc<TableSnapshot>,
    /// Columns in the table's order.
    columns: Vec<(String, SqlType)>,
}

/// A bound query and the column of the table that each of its columns goes into.
struct Source {
    query: ast::Query,
    types: Vec<Option<SqlType>>,
    bound: BoundQuery,
    targets: Vec<usize>,
}

impl Target {
    async fn find(name: &Name, context: &CommandContext) -> Result<Self> {
        let relation = Arc::clone(context.names().relation(name)?);
        if relation.table().is_none() {
            return Err(Error::new(
                ErrorKind::ObjectNotInPrerequisiteState,
                format!("cannot insert into view \"{}\"", relation.name),
            )
            .with_hint("Insert into the table that the view reads."));
        }
        let table = table::table_ref(&relation, context.snapshot())?;
        let snapshot = Engine::cancellable(&context.cancel, context.lake.snapshot(&table, AsOf::Latest)).await?;
        let columns = snapshot.schema().fields().iter().map(|field| (field.name().clone(), SqlType::of_field(field))).collect();
        Ok(Self { relation, table, snapshot, columns })
    }

    /// Binds the query with literals and parameters in the types of their columns, and settles which column goes where.
    async fn bind(&self, columns: &[String], by_name: bool, query: &ast::Query, context: &CommandContext) -> Result<Source> {
        let named = columns.iter().map(|column| self.column(column)).collect::<Result<Vec<_>>>()?;
        refuse_repeated(columns)?;
        let mut query = query.clone();
        let mut types = context.parameter_types.clone();
        let mut literals = Literals { target: self, named: &named, by_name, types: &mut types };
        literals.type_query(&mut query)?;
        let bound = query::bind(&query, &types, context).await?;
        let targets = if by_name { self.by_name(&bound)? } else { self.by_position(named, columns.is_empty(), &bound)? };
        self.check_types(&targets, &bound)?;
        Ok(Source { query, types, bound, targets })
    }

    fn column(&self, name: &str) -> Result<usize> {
        self.columns.iter().position(|(column, _)| column == name).ok_or_else(|| {
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

    fn by_position(&self, named: Vec<usize>, all: bool, bound: &BoundQuery) -> Result<Vec<usize>> {
        let targets = if all { (0..self.columns.len()).collect() } else { named };
        let given = bound.columns.len();
        if given > targets.len() {
            return Err(Error::new(ErrorKind::Syntax, "INSERT has more expressions than target columns"));
        }
        if given < targets.len() && !all {
            return Err(Error::new(ErrorKind::Syntax, "INSERT has more target columns than expressions"));
        }
        Ok(targets.into_iter().take(given).collect())
    }

    fn check_types(&self, targets: &[usize], bound: &BoundQuery) -> Result<()> {
        for (field, target) in bound.columns.iter().zip(targets) {
            let Some((name, sql_type)) = self.columns.get(*target) else {
                return Err(Error::internal("a column beyond the table"));
            };
            let actual = SqlType::of_field(field);
            if !assign::assignable(&actual, sql_type) {
                return Err(assign::mismatch(name, sql_type, &actual));
            }
        }
        Ok(())
    }

    /// After the commit: an open transaction reads what it wrote, and the metastore learns of columns that others have changed.
    async fn advance(&self, context: &CommandContext) {
        if let Some(pins) = &context.scope.pins {
            match context.lake.snapshot(&self.table, AsOf::Latest).await {
                Ok(snapshot) => pins.advance(self.relation.id, snapshot),
                Err(error) => tracing::warn!(table = %self.table.name, %error, "a transaction cannot read its own INSERT"),
            }
        }
        let entries = describe::entries(&self.snapshot.schema(), &self.relation.columns);
        if entries == self.relation.columns {
            return;
        }
        let id = self.relation.id;
        if let Err(error) = context.metastore.write(move |change| change.set_columns(id, entries)).await {
            tracing::warn!(table = %self.table.name, %error, "the metastore keeps an older list of columns");
        }
    }
}

fn refuse_repeated(columns: &[String]) -> Result<()> {
    let repeated = columns.iter().enumerate().find(|(index, name)| columns.iter().take(*index).any(|other| other == *name));
    match repeated {
        Some((_, name)) => Err(Error::new(ErrorKind::DuplicateColumn, format!("column \"{name}\" specified more than once"))),
        None => Ok(()),
    }
}

impl Source {
    /// The query with its columns in the table's order and types, NULL where it has none.
    async fn into_table_order(self, target: &Target, context: &CommandContext) -> Result<BoundQuery> {
        let actual: Vec<SqlType> = self.bound.columns.iter().map(|field| SqlType::of_field(field)).collect();
        let fits = |(index, (_, sql_type)): (usize, &(String, SqlType))| {
            self.targets.get(index) == Some(&index) && actual.get(index).is_some_and(|actual| fits_as_it_is(actual, sql_type))
        };
        if actual.len() == target.columns.len() && target.columns.iter().enumerate().all(fits) {
            return Ok(self.bound);
        }
        let types: Vec<Option<SqlType>> = self.bound.parameters.iter().cloned().map(Some).collect();
        let types = if types.is_empty() { self.types } else { types };
        let wrapped = wrap(self.query, &target.columns, &self.targets, &actual)?;
        query::bind(&wrapped, &types, context).await
    }
}

fn fits_as_it_is(actual: &SqlType, target: &SqlType) -> bool {
    assign::unsized_type(actual) == assign::unsized_type(target)
}

/// `SELECT CAST("c0" AS type), CAST(NULL AS type), .. FROM (query) AS "source"("c0", ..)`
fn wrap(query: ast::Query, columns: &[(String, SqlType)], targets: &[usize], actual: &[SqlType]) -> Result<ast::Query> {
    let items: Vec<String> = columns
        .iter()
        .enumerate()
        .map(|(index, (_, sql_type))| {
            let plain = assign::unsized_type(sql_type);
            match targets.iter().position(|target| *target == index) {
                Some(source) if actual.get(source).is_some_and(|actual| fits_as_it_is(actual, sql_type)) => {
                    format!("\"c{source}\"")
                }
                Some(source) => format!("CAST(\"c{source}\" AS {})", plain.display_name()),
                None => format!("CAST(NULL AS {})", plain.display_name()),
            }
        })
        .collect();
    let names: Vec<String> = (0..actual.len()).map(|index| format!("\"c{index}\"")).collect();
    let text = format!("SELECT {} FROM (SELECT 1) AS \"source\"({})", items.join(", "), names.join(", "));
    let mut wrapper = query::parse(&text)?;
    if let SetExpr::Select(select) = wrapper.body.as_mut()
        && let Some(from) = select.from.first_mut()
        && let TableFactor::Derived { subquery, .. } = &mut from.relation
    {
        **subquery = query;
        return Ok(wrapper);
    }
    Err(Error::internal("the wrapper of an INSERT has another form"))
}

/// Gives string literals, NULL, DEFAULT and parameters of VALUES and of a select list the types of the columns that they go into:
/// PostgreSQL resolves literals of unknown type by their target.
struct Literals<'a> {
    target: &'a Target,
    named: &'a [usize],
    by_name: bool,
    types: &'a mut Vec<Option<SqlType>>,
}

impl Literals<'_> {
    fn type_query(&mut self, query: &mut ast::Query) -> Result<()> {
        match query.body.as_mut() {
            SetExpr::Values(values) if !self.by_name => {
                for row in &mut values.rows {
                    for (position, expr) in row.content.iter_mut().enumerate() {
                        self.type_at(position, expr)?;
                    }
                }
                Ok(())
            }
            SetExpr::Select(select) => {
                for (position, item) in select.projection.iter_mut().enumerate() {
                    match item {
                        SelectItem::UnnamedExpr(expr) if !self.by_name => self.type_at(position, expr)?,
                        SelectItem::ExprWithAlias { expr, alias } => match self.by_name {
                            true => {
                                if let Ok(column) = self.target.column(&alias.value) {
                                    self.type_as(column, expr)?;
                                }
                            }
                            false => self.type_at(position, expr)?,
                        },
                        // A wildcard moves what follows it to places that are not known yet.
                        SelectItem::UnnamedExpr(_)
                        | SelectItem::ExprWithAliases { .. }
                        | SelectItem::QualifiedWildcard(..)
                        | SelectItem::Wildcard(_) => return Ok(()),
                    }
                }
                Ok(())
            }
            SetExpr::Query(inner) => self.type_query(inner),
            _ => Ok(()),
        }
    }

    fn type_at(&mut self, position: usize, expr: &mut Expr) -> Result<()> {
        let column = if self.named.is_empty() { Some(position) } else { self.named.get(position).copied() };
        match column {
            Some(column) => self.type_as(column, expr),
            None => Ok(()),
        }
    }

    fn type_as(&mut self, column: usize, expr: &mut Expr) -> Result<()> {
        let Some((_, sql_type)) = self.target.columns.get(column) else { return Ok(()) };
        let sql_type = assign::unsized_type(sql_type);
        match expr {
            Expr::Nested(inner) => self.type_as(column, inner),
            Expr::Value(value) => match &value.value {
                Value::Placeholder(name) => {
                    self.type_parameter(&name.clone(), sql_type);
                    Ok(())
                }
                Value::Null | Value::SingleQuotedString(_) | Value::EscapedStringLiteral(_) | Value::DollarQuotedString(_) => {
                    *expr = cast(expr.clone(), &sql_type)?;
                    Ok(())
                }
                _ => Ok(()),
            },
            Expr::Identifier(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case("default") => {
                *expr = cast(Expr::value(Value::Null), &sql_type)?;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn type_parameter(&mut self, name: &str, sql_type: SqlType) {
        let Some(index) =
            name.strip_prefix('$').and_then(|number| number.parse::<usize>().ok()).and_then(|number| number.checked_sub(1))
        else {
            return;
        };
        if self.types.len() <= index {
            self.types.resize(index + 1, None);
        }
        if let Some(slot @ None) = self.types.get_mut(index) {
            *slot = Some(sql_type);
        }
    }
}

/// `CAST(expr AS type)`
fn cast(expr: Expr, sql_type: &SqlType) -> Result<Expr> {
    let template = query::parse(&format!("SELECT CAST(NULL AS {})", sql_type.display_name()))?;
    let item = match *template.body {
        SetExpr::Select(select) => select.projection.into_iter().next(),
        _ => None,
    };
    match item {
        Some(SelectItem::UnnamedExpr(Expr::Cast { kind, data_type, array, format, .. })) => {
            Ok(Expr::Cast { kind, expr: Box::new(expr), data_type, array, format })
        }
        _ => Err(Error::internal("a cast has another form")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(types: &[SqlType]) -> Vec<(String, SqlType)> {
        types.iter().enumerate().map(|(index, sql_type)| (format!("col{index}"), sql_type.clone())).collect()
    }

    #[test]
    fn a_query_is_wrapped_into_the_tables_order() {
        let table = columns(&[SqlType::Int8, SqlType::Varchar(Some(3)), SqlType::Date, SqlType::Array(Box::new(SqlType::Int4))]);
        let query = query::parse("SELECT a, b FROM t").unwrap();
        let wrapped = wrap(query, &table, &[1, 0], &[SqlType::Text, SqlType::Int4]).unwrap();
        let text = wrapped.to_string().to_lowercase();
        assert!(text.contains("(select a, b from t) as \"source\""), "{text}");
        assert!(text.starts_with("select cast(\"c1\" as bigint), \"c0\", cast(null as date)"), "{text}");
    }

    #[test]
    fn every_type_of_a_column_can_be_cast_to() {
        for sql_type in [
            SqlType::Bool,
            SqlType::Int2,
            SqlType::Int4,
            SqlType::Int8,
            SqlType::Float4,
            SqlType::Float8,
            SqlType::Numeric { precision: 38, scale: 10 },
            SqlType::Text,
            SqlType::Bytea,
            SqlType::Date,
            SqlType::Time,
            SqlType::Timestamp,
            SqlType::Timestamptz,
            SqlType::Interval,
            SqlType::Uuid,
            SqlType::Json,
            SqlType::Jsonb,
            SqlType::Array(Box::new(SqlType::Timestamptz)),
        ] {
            let Expr::Cast { data_type, .. } = cast(Expr::value(Value::Null), &sql_type).unwrap() else { panic!("{sql_type}") };
            assert_eq!(crate::sql::sql_type_of(&data_type).unwrap(), sql_type);
        }
    }

    #[test]
    fn a_column_is_named_once() {
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        refuse_repeated(&names(&["a", "b"])).unwrap();
        assert_eq!(refuse_repeated(&names(&["a", "b", "a"])).unwrap_err().kind(), ErrorKind::DuplicateColumn);
    }
}
