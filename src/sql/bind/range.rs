//! The names that are visible at one place of a statement.
//!
//! ```text
//!  Environment ── ctes (innermost last) ── outer ranges (innermost first)
//!  Range ── tables: what `alias.column` and `alias.*` find      visible: what `column` and `*` find (USING merges columns)
//! ```
//! Every relation in FROM has an internal qualifier that is unique in the statement, so a column is the same thing at every depth and
//! DataFusion's by-name resolution cannot confuse two of them. The names that the user wrote live here only.

use std::cell::RefCell;

use datafusion::common::Column;
use datafusion::logical_expr::{Expr, LogicalPlan, SortExpr};
use datafusion::sql::sqlparser::ast::Ident;

use super::error::{at, folded, undefined_column};
use super::expression::{Clause, Place};
use super::mistyped::with_guess;
use super::typed::{Output, Typed};
use crate::error::{Error, ErrorKind, Result};

/// Whether a relation of FROM has a row in every row of the join.
#[derive(Debug, Clone, Default)]
pub(super) enum Presence {
    #[default]
    Always,
    /// Not where this column, which is never NULL in the relation itself, is NULL.
    Unless(Expr),
    /// Outer joins may have filled it up, and no column tells.
    Unknown,
}

impl Presence {
    /// On the side of an outer join that is filled up; `columns` are as they were before.
    pub(super) fn become_optional(&mut self, columns: &[Output]) {
        if matches!(self, Presence::Always) {
            let witness = columns.iter().find(|column| !column.value.nullable && matches!(column.value.expr, Expr::Column(_)));
            *self = witness.map_or(Presence::Unknown, |column| Presence::Unless(column.value.expr.clone()));
        }
    }
}

/// A relation in FROM, under the name that the user gave it.
#[derive(Debug, Clone, Default)]
pub(super) struct RangeTable {
    pub(super) alias: String,
    /// Catalog and schema, if the relation was named without an alias.
    pub(super) qualifier: Option<(String, String)>,
    pub(super) columns: Vec<Output>,
    /// Columns that can be named but are not part of `*`: PostgreSQL's system columns, and older names of renamed ones.
    pub(super) hidden: Vec<Output>,
    pub(super) presence: Presence,
    /// What is called otherwise here.
    pub(super) relation: Option<String>,
    /// The rows of the last step of a recursive query, in its recursive term.
    pub(super) working: bool,
}

/// A relation of FROM that cannot be named where a range is looked at.
#[derive(Debug, Clone)]
pub(super) struct Unreachable {
    alias: String,
    relation: Option<String>,
    columns: Vec<String>,
    /// LATERAL would make it visible.
    lateral: bool,
}

/// What one FROM clause makes visible.
#[derive(Debug, Clone, Default)]
pub(super) struct Range {
    pub(super) tables: Vec<RangeTable>,
    pub(super) visible: Vec<Output>,
    /// For what errors say.
    pub(super) unreachable: Vec<Unreachable>,
    /// The order of the rows, if they come from one subquery with ORDER BY. PostgreSQL's aggregates and outer queries meet them so.
    pub(super) order: Vec<SortExpr>,
}

/// A plan with the names over it.
#[derive(Debug, Clone)]
pub(super) struct Ranged {
    pub(super) plan: LogicalPlan,
    pub(super) range: Range,
}

/// The ranges around a subquery.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outer<'e> {
    pub(super) range: &'e Range,
    pub(super) next: Option<&'e Outer<'e>>,
    /// The clause of the outer query that the subquery stands in.
    pub(super) clause: Clause,
    /// Inside the arguments of an aggregate or window function.
    pub(super) inside: Option<&'static str>,
    /// The outer query's aggregates that subqueries compute with.
    pub(super) aggregates: Option<&'e Aggregates>,
}

/// Aggregates that stand in subqueries and belong to the query around: the columns that the subqueries use, and the values.
pub(super) type Aggregates = RefCell<Vec<(Column, Expr)>>;

impl<'e> Outer<'e> {
    /// Around a subquery in FROM.
    pub(super) fn around_from(range: &'e Range, next: Option<&'e Outer<'e>>) -> Self {
        Self { range, next, clause: Clause::From, inside: None, aggregates: None }
    }

    /// Around a subquery in an expression.
    pub(super) fn around(place: &Place<'e>) -> Self {
        let Place { range, environment, clause, inside, aggregates, .. } = *place;
        Self { range, next: environment.outer, clause, inside, aggregates }
    }

    /// Whether `column` is one of this query's.
    pub(super) fn owns(&self, column: &Column) -> bool {
        self.range.has(column) || self.aggregates.is_some_and(|own| own.borrow().iter().any(|(own, _)| own == column))
    }
}

/// A common table expression: bound once, copied at each use.
#[derive(Debug)]
pub(super) struct Cte {
    pub(super) name: String,
    pub(super) plan: LogicalPlan,
    pub(super) columns: Vec<Output>,
    /// The rows of the last step, in the recursive term of its own query.
    pub(super) working: bool,
    /// The order of its rows, over columns of `plan`.
    pub(super) order: Vec<SortExpr>,
    /// It would not give the same rows twice.
    pub(super) volatile: bool,
    /// Whether something reads it already.
    pub(super) read: std::sync::atomic::AtomicBool,
}

/// What surrounds a query: common table expressions and outer ranges.
#[derive(Debug, Clone, Copy)]
pub(super) struct Environment<'e> {
    pub(super) ctes: &'e [std::sync::Arc<Cte>],
    pub(super) outer: Option<&'e Outer<'e>>,
}

impl Environment<'_> {
    /// Nothing around.
    pub(super) const EMPTY: Environment<'static> = Environment { ctes: &[], outer: None };

    /// `own` and the ranges around it, from the inside out.
    pub(super) fn ranges<'r>(&'r self, own: &'r Range) -> Vec<&'r Range> {
        let mut ranges = vec![own];
        let mut outer = self.outer;
        while let Some(level) = outer {
            ranges.push(level.range);
            outer = level.next;
        }
        ranges
    }

    /// The innermost common table expression of that name.
    pub(super) fn cte(&self, name: &str) -> Option<&std::sync::Arc<Cte>> {
        self.ctes.iter().rev().find(|cte| cte.name == name)
    }
}

impl Range {
    /// One relation.
    pub(super) fn of_table(table: RangeTable) -> Self {
        Self { visible: table.columns.clone(), tables: vec![table], ..Self::default() }
    }

    /// Columns without a table, such as the parameters of a function.
    pub(super) fn of_columns(columns: Vec<Output>) -> Self {
        Self { visible: columns, ..Self::default() }
    }

    /// Both sides of a join, before USING.
    ///
    /// # Errors
    /// 42712 if an alias is used twice.
    pub(super) fn joined(left: &Range, right: &Range) -> Result<Range> {
        for table in &right.tables {
            let twice = left.tables.iter().any(|other| {
                !table.alias.is_empty()
                    && other.alias == table.alias
                    && (other.qualifier.is_none() || table.qualifier.is_none() || other.qualifier == table.qualifier)
            });
            if twice {
                return Err(Error::new(
                    ErrorKind::DuplicateAlias,
                    format!("table name \"{}\" specified more than once", table.alias),
                ));
            }
        }
        Ok(left.beside(right))
    }

    /// Both, whatever they are called.
    pub(super) fn beside(&self, right: &Range) -> Range {
        Range {
            tables: self.tables.iter().chain(&right.tables).cloned().collect(),
            visible: self.visible.iter().chain(&right.visible).cloned().collect(),
            ..Range::default()
        }
    }

    /// The relation that has `column`.
    pub(super) fn table_of(&self, column: &Column) -> Option<String> {
        let table = self
            .tables
            .iter()
            .find(|table| table.columns.iter().chain(&table.hidden).any(|output| output.value.expr.column_refs().contains(column)));
        table.map(|table| table.alias.clone())
    }

    /// Whether `column` is one of this range's.
    pub(super) fn has(&self, column: &Column) -> bool {
        self.table_of(column).is_some() || self.visible.iter().any(|output| output.value.expr.column_refs().contains(column))
    }

    /// Whether a reference to an outer query is one to this range.
    pub(super) fn is_referred_to(&self, reference: &Expr) -> bool {
        matches!(reference, Expr::OuterReferenceColumn(_, column) if self.has(column))
    }

    /// The relations, as ones that cannot be named.
    pub(super) fn names(&self, lateral: bool) -> Vec<Unreachable> {
        let names = self.tables.iter().map(|table| Unreachable {
            alias: table.alias.clone(),
            relation: table.relation.clone(),
            columns: table.columns.iter().map(|column| column.name.clone()).collect(),
            lateral,
        });
        names.collect()
    }

    /// Whether there is a relation of that name that cannot be named here.
    pub(super) fn forbids(&self, name: &Ident) -> bool {
        self.unreachable.iter().any(|there| same(&there.alias, name))
    }

    /// Why there is no relation `name` here, if PostgreSQL has more to say than that it is missing.
    pub(super) fn invalid_reference(&self, name: &str) -> Option<Error> {
        let message = format!("invalid reference to FROM-clause entry for table \"{name}\"");
        let error = Error::new(ErrorKind::UndefinedRelation, message);
        if let Some(there) = self.unreachable.iter().find(|there| there.alias == name) {
            let detail =
                format!("There is an entry for table \"{name}\", but it cannot be referenced from this part of the query.");
            let error = error.with_detail(detail);
            let hint = "To reference that table, you must mark this subquery with LATERAL.";
            return Some(if there.lateral { error.with_hint(hint) } else { error });
        }
        let aliases = self.tables.iter().map(|table| (&table.alias, &table.relation));
        let mut aliases = aliases.chain(self.unreachable.iter().map(|there| (&there.alias, &there.relation)));
        let (alias, _) = aliases.find(|(alias, relation)| relation.as_deref() == Some(name) && *alias != name)?;
        Some(error.with_hint(format!("Perhaps you meant to reference the table alias \"{alias}\".")))
    }

    /// Why there is no column `name` here, if a relation that cannot be named has it.
    pub(super) fn unreachable_column(&self, name: &str) -> Option<Error> {
        let there = self.unreachable.iter().find(|there| there.columns.iter().any(|column| column == name))?;
        let table = &there.alias;
        let detail = format!(
            "There is a column named \"{name}\" in table \"{table}\", but it cannot be referenced from this part of the query."
        );
        let error = Error::new(ErrorKind::UndefinedColumn, format!("column \"{name}\" does not exist")).with_detail(detail);
        let hint = "To reference that column, you must mark this subquery with LATERAL.";
        Some(if there.lateral { error.with_hint(hint) } else { error })
    }

    /// The column called `idents`, with the identifiers that are left over: fields of a struct.
    ///
    /// # Errors
    /// 42702 if the name is ambiguous.
    pub(super) fn find<'i>(&self, idents: &'i [Ident]) -> Result<Option<(Typed, &'i [Ident])>> {
        match self.find_qualified(idents)? {
            Some(found) => Ok(Some(found)),
            None => self.find_bare(idents),
        }
    }

    /// The same, where the column is named with its relation.
    pub(super) fn find_qualified<'i>(&self, idents: &'i [Ident]) -> Result<Option<(Typed, &'i [Ident])>> {
        // Longest qualifier first: catalog.schema.table.column down to a bare column with struct fields behind it.
        for qualifiers in (1..idents.len().min(4)).rev() {
            let (prefix, rest) = idents.split_at(qualifiers);
            let Some((column, fields)) = rest.split_first() else { continue };
            let tables: Vec<&RangeTable> = self.tables.iter().filter(|table| table.is_called(prefix)).collect();
            if tables.len() > 1 && prefix.len() == 1 {
                return Err(at(
                    Error::new(ErrorKind::DuplicateAlias, format!("table reference \"{}\" is ambiguous", folded(&prefix[0]))),
                    prefix[0].span,
                ));
            }
            if let Some(table) = tables.first() {
                return match pick(&table.columns, column)?.map_or_else(|| pick(&table.hidden, column), |found| Ok(Some(found)))? {
                    Some(found) => Ok(Some((found, fields))),
                    None => {
                        let parts: Vec<String> = idents.iter().map(folded).collect();
                        Err(with_guess(undefined_column(&parts, idents[0].span), std::iter::once(self), &parts))
                    }
                };
            }
        }
        Ok(None)
    }

    /// The same, where the first identifier is the column.
    pub(super) fn find_bare<'i>(&self, idents: &'i [Ident]) -> Result<Option<(Typed, &'i [Ident])>> {
        let Some((column, fields)) = idents.split_first() else { return Ok(None) };
        let found = match pick(&self.visible, column)? {
            Some(found) => Some(found),
            None => {
                let hidden: Vec<Output> = self.tables.iter().flat_map(|table| &table.hidden).cloned().collect();
                pick(&hidden, column)?
            }
        };
        Ok(found.map(|found| (found, fields)))
    }

    /// The relation called `idents`.
    pub(super) fn table(&self, idents: &[Ident]) -> Option<&RangeTable> {
        self.tables.iter().find(|table| table.is_called(idents))
    }
}

impl RangeTable {
    fn is_called(&self, idents: &[Ident]) -> bool {
        match idents {
            [table] => !self.alias.is_empty() && same(&self.alias, table),
            [schema, table] => same(&self.alias, table) && self.qualifier.as_ref().is_some_and(|(_, own)| same(own, schema)),
            [catalog, schema, table] => {
                same(&self.alias, table)
                    && self.qualifier.as_ref().is_some_and(|(own_catalog, own)| same(own, schema) && same(own_catalog, catalog))
            }
            _ => false,
        }
    }
}

/// An exact match; the parser has folded what was not quoted.
fn same(name: &str, ident: &Ident) -> bool {
    name == ident.value
}

/// The column among `columns` that `ident` names: exactly, or without regard to case if it is not quoted and only one fits.
fn pick(columns: &[Output], ident: &Ident) -> Result<Option<Typed>> {
    let exact: Vec<&Output> = columns.iter().filter(|column| same(&column.name, ident)).collect();
    let found = if exact.is_empty() && ident.quote_style.is_none() {
        columns.iter().filter(|column| column.name.to_lowercase() == ident.value).collect()
    } else {
        exact
    };
    match found.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(one.value.clone())),
        _ => Err(at(
            Error::new(ErrorKind::AmbiguousColumn, format!("column reference \"{}\" is ambiguous", folded(ident))),
            ident.span,
        )),
    }
}
