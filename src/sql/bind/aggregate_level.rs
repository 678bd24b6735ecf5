//! Aggregates: the query that they belong to, and the order of their rows.
//!
//! An aggregate belongs to the innermost query that one of its columns is of. One in a subquery whose columns are all of a query around
//! is computed there, once for each of its groups, and the subquery refers to it as it would to a column.

use datafusion::arrow::compute::SortOptions;
use datafusion::common::Column;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::expr::{AggregateFunction, AggregateFunctionParams};
use datafusion::logical_expr::{AggregateUDF, Expr, SortExpr};
use std::sync::Arc;

use super::Binder;
use super::error::plan_error;
use super::expression::{Clause, Place};
use super::range::Outer;
use super::typed::Typed;
use crate::error::{Error, ErrorKind, Result};
use crate::functions::ordered::{is_order_sensitive, ordered};

/// Aggregates that take an order without a wrapper: the engine's own, whose first or last row it decides.
const ORDERED_BY_ENGINE: [&str; 4] = ["first_value", "last_value", "nth_value", "any_value"];

/// How far out a query is: 0 for the one that an expression stands in.
type Level = usize;

/// The query that an aggregate belongs to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Home {
    level: Level,
}

impl Binder<'_> {
    /// The query that an aggregate over `aggregated` belongs to, at `place`. `direct` are arguments that are not aggregated.
    ///
    /// # Errors
    /// 42803 where that query may have no aggregate.
    pub(super) fn home(&self, aggregated: &[&Expr], direct: &[&Expr], place: Place<'_>) -> Result<Home> {
        let mut levels = vec![];
        for expr in aggregated {
            levels_of(expr, place, &mut levels)?;
        }
        let level = levels.iter().map(|(level, _)| *level).min().unwrap_or_default();
        let mut lower = vec![];
        for expr in direct {
            levels_of(expr, place, &mut lower)?;
        }
        if lower.iter().any(|(lower, _)| *lower < level) {
            return Err(Error::new(
                ErrorKind::Grouping,
                "outer-level aggregate cannot contain a lower-level variable in its direct arguments",
            ));
        }
        let (clause, inside, nested) = match outer_at(place, level) {
            None => (place.clause, place.inside, false),
            Some(outer) => {
                let aggregates = outer.aggregates.map(|own| own.borrow());
                let is_aggregate =
                    |column: &Column| aggregates.as_ref().is_some_and(|own| own.iter().any(|(own, _)| own == column));
                (outer.clause, outer.inside, levels.iter().any(|(at, column)| *at == level && is_aggregate(column)))
            }
        };
        if nested || inside == Some("aggregate") {
            return Err(Error::new(ErrorKind::Grouping, "aggregate function calls cannot be nested"));
        }
        if !clause.allows_aggregates() {
            let place = match clause {
                Clause::From if level > 0 => "FROM clause of their own query level",
                other => other.name(),
            };
            return Err(Error::new(ErrorKind::Grouping, format!("aggregate functions are not allowed in {place}")));
        }
        Ok(Home { level })
    }

    /// An aggregate as the query at `place` sees it: itself, or a reference to a column of the query that it belongs to.
    pub(super) fn at_home(&self, value: Typed, home: Home, place: Place<'_>) -> Result<Typed> {
        let Some(outer) = outer_at(place, home.level) else { return Ok(value) };
        let Some(aggregates) = outer.aggregates else { return Err(Error::internal("no place for an aggregate")) };
        if matches!(&value.expr, Expr::AggregateFunction(call) if call.func.name() == "grouping") {
            return Err(Error::unsupported("GROUPING of an outer query's keys").with_hint("Compute it in a subquery in FROM."));
        }
        let own = value.expr.clone().transform_up(|node| {
            Ok(match node {
                Expr::OuterReferenceColumn(_, column) if outer.owns(&column) => Transformed::yes(Expr::Column(column)),
                other => Transformed::no(other),
            })
        });
        let own = own.map_err(plan_error)?.data;
        let mut aggregates = aggregates.borrow_mut();
        let column = match aggregates.iter().find(|(_, known)| *known == own && !known.is_volatile()) {
            Some((column, _)) => column.clone(),
            None => {
                let column = Column::new_unqualified(self.unique("aggregate"));
                self.register(&column, &value);
                aggregates.push((column.clone(), own));
                column
            }
        };
        self.outer_reference(Typed { expr: Expr::Column(column), ..value })
    }

    /// An aggregate over its rows in order.
    ///
    /// # Errors
    /// 42P10 if DISTINCT leaves several rows for a key.
    pub(super) fn in_order(&self, name: &str, call: AggregateFunction, given: &[Expr]) -> Result<Expr> {
        let AggregateFunction { func, params } = call;
        let beyond = |key: &SortExpr| !params.args.contains(&key.expr) && !given.contains(&key.expr);
        if params.distinct && params.order_by.iter().any(beyond) {
            return Err(Error::new(
                ErrorKind::InvalidColumnReference,
                "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list",
            ));
        }
        if is_order_sensitive(name) {
            return Ok(sorted(func, params));
        }
        let order_by = if ORDERED_BY_ENGINE.contains(&name) { params.order_by } else { vec![] };
        Ok(Expr::AggregateFunction(AggregateFunction { func, params: AggregateFunctionParams { order_by, ..params } }))
    }
}

/// Aggregates without an order of their own meet the rows in that of the subquery which they come from.
pub(super) fn in_inherited_order(expr: Expr, order: &[SortExpr]) -> Result<Expr> {
    if order.is_empty() {
        return Ok(expr);
    }
    let rewritten = expr.transform_up(|node| {
        Ok(match node {
            Expr::AggregateFunction(call) if is_order_sensitive(call.func.name()) => {
                let AggregateFunction { func, params } = call;
                Transformed::yes(sorted(func, AggregateFunctionParams { order_by: order.to_vec(), ..params }))
            }
            other => Transformed::no(other),
        })
    });
    rewritten.map(|rewritten| rewritten.data).map_err(plan_error)
}

/// Window functions without an order of their own number the rows in that order, too. To ranks all rows are equal.
pub(super) fn windows_in_inherited_order(expr: Expr, order: &[SortExpr]) -> Result<Expr> {
    if order.is_empty() {
        return Ok(expr);
    }
    let rewritten = expr.transform_up(|node| {
        let Expr::WindowFunction(mut call) = node else { return Ok(Transformed::no(node)) };
        let ranks = ["rank", "dense_rank", "percent_rank", "cume_dist"].contains(&call.fun.name());
        if ranks || !call.params.order_by.is_empty() || !call.params.partition_by.is_empty() {
            return Ok(Transformed::no(Expr::WindowFunction(call)));
        }
        call.params.order_by = order.to_vec();
        Ok(Transformed::yes(Expr::WindowFunction(call)))
    });
    rewritten.map(|rewritten| rewritten.data).map_err(plan_error)
}

fn sorted(func: Arc<AggregateUDF>, params: AggregateFunctionParams) -> Expr {
    let AggregateFunctionParams { mut args, distinct, filter, order_by, null_treatment } = params;
    let function = if order_by.is_empty() && !distinct {
        func
    } else {
        let options = |key: &SortExpr| SortOptions { descending: !key.asc, nulls_first: key.nulls_first };
        Arc::new(ordered(&func, args.len(), order_by.iter().map(options).collect(), distinct))
    };
    args.extend(order_by.into_iter().map(|key| key.expr));
    Expr::AggregateFunction(AggregateFunction::new_udf(function, args, false, filter, vec![], null_treatment))
}

/// The query `level` steps out.
fn outer_at<'e>(place: Place<'e>, level: Level) -> Option<&'e Outer<'e>> {
    let mut outer = place.environment.outer;
    for _ in 1..level {
        outer = outer?.next;
    }
    if level == 0 { None } else { outer }
}

/// The columns of `expr`, each with the query that it is of. Those of its subqueries' own relations are left out.
fn levels_of(expr: &Expr, place: Place<'_>, found: &mut Vec<(Level, Column)>) -> Result<()> {
    let outer_level = |column: &Column| -> Option<Level> {
        let (mut level, mut outer) = (1, place.environment.outer);
        while let Some(around) = outer {
            if around.owns(column) {
                return Some(level);
            }
            (level, outer) = (level + 1, around.next);
        }
        None
    };
    let in_subquery = |subquery: &datafusion::logical_expr::Subquery, found: &mut Vec<(Level, Column)>| {
        for reference in &subquery.outer_ref_columns {
            if let Expr::OuterReferenceColumn(_, column) = reference {
                let level = if place.range.has(column) { Some(0) } else { outer_level(column) };
                found.extend(level.map(|level| (level, column.clone())));
            }
        }
    };
    expr.apply(|node| {
        match node {
            Expr::Column(column) => found.push((0, column.clone())),
            Expr::OuterReferenceColumn(_, column) => found.extend(outer_level(column).map(|level| (level, column.clone()))),
            Expr::ScalarSubquery(subquery) => in_subquery(subquery, found),
            Expr::Exists(exists) => in_subquery(&exists.subquery, found),
            Expr::InSubquery(within) => in_subquery(&within.subquery, found),
            Expr::SetComparison(comparison) => in_subquery(&comparison.subquery, found),
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    })
    .map_err(plan_error)?;
    Ok(())
}
