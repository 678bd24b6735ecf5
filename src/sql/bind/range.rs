//! The names that are visible at one place of a statement.
//!
//! ```text
//!  Environment ── ctes (innermost last) ── outer ranges (innermost first)
//!  Range ── tables: what `alias.column` and `alias.*` find      visible: what `column` and `*` find (USING merges columns)
//! ```
//! Every relation in FROM has an internal qualifier that is unique in the statement, so a column is the same thing at every depth and
//! DataFusion's by-name resolution cannot confuse two of them. The names that the user wrote live here only.

use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::sql::sqlparser::ast::Ident;

use super::error::{at, folded, undefined_column};
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
}

/// What one FROM clause makes visible.
#[derive(Debug, Clone, Default)]
pub(super) struct Range {
    pub(super) tables: Vec<RangeTable>,
    pub(super) visible: Vec<Output>,
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
}

/// A common table expression: bound once, copied at each use.
#[derive(Debug, Clone)]
pub(super) struct Cte {
    pub(super) name: String,
    pub(super) plan: LogicalPlan,
    pub(super) columns: Vec<Output>,
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

    /// The innermost common table expression of that name.
    pub(super) fn cte(&self, name: &str) -> Option<&std::sync::Arc<Cte>> {
        self.ctes.iter().rev().find(|cte| cte.name == name)
    }
}

impl Range {
    /// One relation.
    pub(super) fn of_table(table: RangeTable) -> Self {
        Self { visible: table.columns.clone(), tables: vec![table] }
    }

    /// Columns without a table, such as the parameters of a function.
    pub(super) fn of_columns(columns: Vec<Output>) -> Self {
        Self { visible: columns, tables: vec![] }
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
        Ok(Range {
            tables: left.tables.iter().chain(&right.tables).cloned().collect(),
            visible: left.visible.iter().chain(&right.visible).cloned().collect(),
        })
    }

    /// The column called `idents`, with the identifiers that are left over: fields of a struct.
    ///
    /// # Errors
    /// 42702 if the name is ambiguous.
    pub(super) fn find<'i>(&self, idents: &'i [Ident]) -> Result<Option<(Typed, &'i [Ident])>> {
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
