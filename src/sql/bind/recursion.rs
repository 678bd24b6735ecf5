//! Where a recursive query may name itself: PostgreSQL's rules, over the text before it is bound.
//!
//! | place of the reference | |
//! |---|---|
//! | FROM of the recursive term, inner joins, the kept side of outer joins, subqueries in FROM | once |
//! | non-recursive term, a subquery in an expression, the optional side of an outer join, INTERSECT, right of EXCEPT | 42P19 |
//!
//! The same walk says which queries of one WITH RECURSIVE read which others, so that they are bound in an order that works.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    self, Expr, JoinOperator, Query, Select, SetExpr, SetOperator, Spanned, TableFactor, TableWithJoins, Visit, Visitor,
};
use datafusion::sql::sqlparser::tokenizer::Span;

use super::error::{at, folded};
use crate::error::{Error, ErrorKind, Result};

/// Indices of the queries of a WITH RECURSIVE, each behind those that it reads.
///
/// # Errors
/// 0A000 where two read each other.
pub(super) fn binding_order(with: &ast::With) -> Result<Vec<usize>> {
    let names: Vec<String> = with.cte_tables.iter().map(|cte| folded(&cte.alias.name)).collect();
    let reads: Vec<Vec<usize>> = with
        .cte_tables
        .iter()
        .enumerate()
        .map(|(own, cte)| (0..names.len()).filter(|other| *other != own && reads(&cte.query, &names[*other])).collect())
        .collect();
    let mut order: Vec<usize> = vec![];
    while order.len() < names.len() {
        let next = (0..names.len()).find(|index| !order.contains(index) && reads[*index].iter().all(|other| order.contains(other)));
        match next {
            Some(index) => order.push(index),
            None => {
                let stuck = (0..names.len()).find(|index| !order.contains(index)).unwrap_or_default();
                let error = Error::new(ErrorKind::Unsupported, "mutual recursion between WITH items is not implemented");
                return Err(at(error, with.cte_tables[stuck].alias.name.span));
            }
        }
    }
    Ok(order)
}

/// Whether `query` names the relation `name` anywhere.
pub(super) fn reads(query: &Query, name: &str) -> bool {
    let mut walk = Walk { name, place: Place::Anywhere, found: vec![] };
    walk.query(query).is_err() || !walk.found.is_empty()
}

/// Checks a query that names itself and gives back its two terms.
///
/// # Errors
/// 42P19 for a reference where there may be none, 0A000 for ORDER BY and LIMIT over the whole query.
pub(super) fn terms(cte: &ast::Cte) -> Result<(&SetExpr, ast::SetQuantifier, &SetExpr)> {
    let name = folded(&cte.alias.name);
    let misformed = |message: String| at(Error::new(ErrorKind::InvalidRecursion, message), cte.alias.name.span);
    let SetExpr::SetOperation { op: SetOperator::Union, set_quantifier, left, right } = cte.query.body.as_ref() else {
        return Err(misformed(format!(
            "recursive query \"{name}\" does not have the form non-recursive-term UNION [ALL] recursive-term"
        )));
    };
    let mut walk = Walk { name: &name, place: Place::NonRecursiveTerm, found: vec![] };
    if let Some(with) = &cte.query.with {
        walk.place = Place::Subquery;
        walk.with(with)?;
        walk.place = Place::NonRecursiveTerm;
    }
    walk.set_expression(left)?;
    walk.place = Place::Allowed;
    walk.set_expression(right)?;
    let refused = [
        (cte.query.order_by.is_some(), "ORDER BY"),
        (matches!(&cte.query.limit_clause, Some(ast::LimitClause::LimitOffset { offset: Some(_), .. })), "OFFSET"),
        (cte.query.limit_clause.is_some() || cte.query.fetch.is_some(), "LIMIT"),
    ];
    if let Some((_, clause)) = refused.into_iter().find(|(present, _)| *present) {
        let error = Error::new(ErrorKind::Unsupported, format!("{clause} in a recursive query is not implemented"));
        return Err(at(error, cte.alias.name.span));
    }
    Ok((left.as_ref(), *set_quantifier, right.as_ref()))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Every reference is only looked for.
    Anywhere,
    Allowed,
    NonRecursiveTerm,
    Subquery,
    OuterJoin,
    Intersect,
    Except,
}

struct Walk<'n> {
    name: &'n str,
    place: Place,
    found: Vec<Span>,
}

impl Walk<'_> {
    fn reference(&mut self, span: Span) -> Result<()> {
        let within = match self.place {
            Place::Anywhere => {
                self.found.push(span);
                return Ok(());
            }
            Place::Allowed if self.found.is_empty() => {
                self.found.push(span);
                return Ok(());
            }
            Place::Allowed => "more than once",
            Place::NonRecursiveTerm => "within its non-recursive term",
            Place::Subquery => "within a subquery",
            Place::OuterJoin => "within an outer join",
            Place::Intersect => "within INTERSECT",
            Place::Except => "within EXCEPT",
        };
        let message = format!("recursive reference to query \"{}\" must not appear {within}", self.name);
        Err(at(Error::new(ErrorKind::InvalidRecursion, message), span))
    }

    /// Walks with another place, unless the place forbids already.
    fn inside(&mut self, place: Place, walk: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let before = self.place;
        if before == Place::Allowed {
            self.place = place;
        }
        let result = walk(self);
        self.place = before;
        result
    }

    /// Returns whether the clause gives the name another meaning.
    fn with(&mut self, with: &ast::With) -> Result<bool> {
        let mut shadowed = with.recursive && with.cte_tables.iter().any(|cte| folded(&cte.alias.name) == self.name);
        for cte in &with.cte_tables {
            if !shadowed {
                self.query(&cte.query)?;
            }
            shadowed |= folded(&cte.alias.name) == self.name;
        }
        Ok(shadowed)
    }

    fn query(&mut self, query: &Query) -> Result<()> {
        if let Some(with) = &query.with
            && self.with(with)?
        {
            return Ok(());
        }
        self.set_expression(&query.body)?;
        self.expressions(&query.order_by)?;
        self.expressions(&query.limit_clause)?;
        self.expressions(&query.fetch)
    }

    fn set_expression(&mut self, body: &SetExpr) -> Result<()> {
        match body {
            SetExpr::Select(select) => self.select(select),
            SetExpr::Query(query) => self.query(query),
            SetExpr::SetOperation { op, left, right, .. } => match op {
                SetOperator::Union => {
                    self.set_expression(left)?;
                    self.set_expression(right)
                }
                SetOperator::Intersect => self.inside(Place::Intersect, |walk| {
                    walk.set_expression(left)?;
                    walk.set_expression(right)
                }),
                SetOperator::Except | SetOperator::Minus => {
                    self.set_expression(left)?;
                    self.inside(Place::Except, |walk| walk.set_expression(right))
                }
            },
            other => self.expressions(other),
        }
    }

    fn select(&mut self, select: &Select) -> Result<()> {
        for item in &select.from {
            self.table_with_joins(item)?;
        }
        self.expressions(&select.distinct)?;
        self.expressions(&select.projection)?;
        self.expressions(&select.selection)?;
        self.expressions(&select.group_by)?;
        self.expressions(&select.having)?;
        self.expressions(&select.named_window)?;
        self.expressions(&select.qualify)
    }

    fn table_with_joins(&mut self, item: &TableWithJoins) -> Result<()> {
        // The right arm of the last join decides first: `a JOIN b RIGHT JOIN c` is `(a JOIN b) RIGHT JOIN c`.
        let right_from = item.joins.iter().rposition(|join| {
            matches!(join.join_operator, JoinOperator::Right(_) | JoinOperator::RightOuter(_) | JoinOperator::FullOuter(_))
        });
        let optional = |index: usize| right_from.is_some_and(|last| index <= last);
        let place = |optional: bool| if optional { Place::OuterJoin } else { Place::Allowed };
        self.inside(place(right_from.is_some()), |walk| walk.factor(&item.relation))?;
        for (index, join) in item.joins.iter().enumerate() {
            let own = matches!(join.join_operator, JoinOperator::Left(_) | JoinOperator::LeftOuter(_) | JoinOperator::FullOuter(_));
            // What stands to the left of a later RIGHT or FULL JOIN is its optional side.
            self.inside(place(own || optional(index + 1)), |walk| walk.factor(&join.relation))?;
            self.expressions(&join.join_operator)?;
        }
        Ok(())
    }

    fn factor(&mut self, factor: &TableFactor) -> Result<()> {
        match factor {
            TableFactor::Table { name, args: None, .. } => match name.0.as_slice() {
                [part] if part.as_ident().is_some_and(|ident| folded(ident) == self.name) => self.reference(name.span()),
                _ => Ok(()),
            },
            TableFactor::Derived { subquery, .. } => self.query(subquery),
            TableFactor::NestedJoin { table_with_joins, .. } => self.table_with_joins(table_with_joins),
            other => self.expressions(other),
        }
    }

    /// Every query inside of expressions.
    fn expressions<V: Visit>(&mut self, node: &V) -> Result<()> {
        let mut queries = Subqueries { walk: self, depth: 0 };
        match node.visit(&mut queries) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(error) => Err(error),
        }
    }
}

struct Subqueries<'w, 'n> {
    walk: &'w mut Walk<'n>,
    depth: usize,
}

impl Visitor for Subqueries<'_, '_> {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Error> {
        self.depth += 1;
        if self.depth > 1 {
            return ControlFlow::Continue(());
        }
        match self.walk.inside(Place::Subquery, |walk| walk.query(query)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }

    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<Error> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, _expr: &Expr) -> ControlFlow<Error> {
        ControlFlow::Continue(())
    }
}
