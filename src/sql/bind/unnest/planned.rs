//! Which subqueries DataFusion makes joins of by itself: those are left to it, since its plans for them are better than ours.
//!
//! | form | in | shape |
//! |---|---|---|
//! | scalar | Filter, Projection | one aggregate over rows whose correlated conditions are `inner column = outer expression` |
//! | EXISTS | Filter | rows with any correlated conditions |
//! | IN | Filter; under NOT only as a condition of its own, of a column and without correlation | as EXISTS |
//! | ANY, ALL | Filter | without correlation |
//!
//! "Rows" are filters, projections and inner joins. What DataFusion would take out from under an outer join, a limit or an inner
//! aggregate changes its meaning there, and from inside a derived table it does not find its way out, so those are ours.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{Exists, InSubquery};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{BinaryExpr, Cast, Expr, JoinType, LogicalPlan, Operator};

use super::has;
use crate::sql::call::callee_of;

/// Where in a node an expression stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Position {
    /// A condition of a filter.
    Condition,
    /// NOT of it is a condition of a filter.
    Denied,
    /// Under AND and OR of a filter's condition: NULL is as good as false.
    Alternative,
    /// Elsewhere in a filter.
    Filter,
    Projection,
    Elsewhere,
}

/// The subqueries of a node that DataFusion does not plan, and the calls that are nodes of their own, from the inside out, each once.
pub(super) fn left_over(node: &LogicalPlan) -> Result<Vec<Expr>> {
    let mut found = vec![];
    let inputs = node.inputs();
    match node {
        LogicalPlan::Filter(filter) => {
            for condition in split_conjunction(&filter.predicate) {
                collect(condition, Position::Condition, &inputs, &mut found)?;
            }
        }
        LogicalPlan::Projection(projection) => {
            for expr in &projection.expr {
                collect(expr, Position::Projection, &inputs, &mut found)?;
            }
        }
        other => {
            other.apply_expressions(|expr| {
                collect(expr, Position::Elsewhere, &inputs, &mut found)?;
                Ok(TreeNodeRecursion::Continue)
            })?;
        }
    }
    Ok(found)
}

/// EXISTS expressions inside `expr`.
pub(super) fn exists_in(expr: &Expr) -> Result<Vec<Exists>> {
    let mut found = vec![];
    expr.apply(|node| {
        if let Expr::Exists(exists) = node {
            found.push(exists.clone());
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}

fn collect(expr: &Expr, position: Position, inputs: &[&LogicalPlan], found: &mut Vec<Expr>) -> Result<()> {
    let inner = match (expr, position) {
        // Its arguments go into a node of which DataFusion knows nothing.
        _ if callee_of(expr).is_some() => Position::Elsewhere,
        (Expr::Not(inner), Position::Condition) if matches!(**inner, Expr::InSubquery(_)) => Position::Denied,
        (Expr::BinaryExpr(BinaryExpr { op: Operator::And | Operator::Or, .. }), Position::Condition | Position::Alternative) => {
            Position::Alternative
        }
        (_, Position::Condition | Position::Alternative | Position::Denied) => Position::Filter,
        (_, other) => other,
    };
    expr.apply_children(|child| {
        collect(child, inner, inputs, found)?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    if is_open(expr, position, inputs) && !found.contains(expr) {
        found.push(expr.clone());
    }
    Ok(())
}

/// Whether somebody has to make a plan of the expression itself, and DataFusion does not.
fn is_open(expr: &Expr, position: Position, inputs: &[&LogicalPlan]) -> bool {
    callee_of(expr).is_some() || is_subquery(expr) && !is_planned(expr, position, inputs)
}

fn is_subquery(expr: &Expr) -> bool {
    matches!(expr, Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_) | Expr::SetComparison(_))
}

fn is_planned(expr: &Expr, position: Position, inputs: &[&LogicalPlan]) -> bool {
    let in_filter = matches!(position, Position::Condition | Position::Alternative | Position::Filter);
    match expr {
        Expr::ScalarSubquery(scalar) => {
            let plan = scalar.subquery.as_ref();
            !is_correlated(plan) || (in_filter || position == Position::Projection) && is_aggregate(plan, inputs)
        }
        Expr::Exists(exists) => in_filter && are_rows(&exists.subquery.subquery, inputs, false),
        Expr::InSubquery(InSubquery { subquery, negated, expr: value }) => {
            let plan = subquery.subquery.as_ref();
            match position {
                // Only a key of the join tells it of the NULLs, and a value without columns is none.
                Position::Denied => !is_correlated(plan) && is_column(value),
                Position::Condition if *negated => !is_correlated(plan) && is_column(value),
                Position::Condition => !is_correlated(plan) || are_rows(plan, inputs, false),
                Position::Alternative => !*negated && are_rows(plan, inputs, false),
                Position::Filter | Position::Projection | Position::Elsewhere => false,
            }
        }
        Expr::SetComparison(comparison) => in_filter && !is_correlated(&comparison.subquery.subquery),
        _ => true,
    }
}

fn is_correlated(plan: &LogicalPlan) -> bool {
    !plan.all_out_ref_exprs().is_empty()
}

fn is_aggregate(plan: &LogicalPlan, inputs: &[&LogicalPlan]) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => {
            !projection.expr.iter().any(Expr::contains_outer) && is_aggregate(&projection.input, inputs)
        }
        LogicalPlan::Aggregate(aggregate) => {
            aggregate.group_expr.is_empty()
                && !aggregate.aggr_expr.iter().any(Expr::contains_outer)
                && are_rows(&aggregate.input, inputs, true)
        }
        _ => false,
    }
}

fn are_rows(plan: &LogicalPlan, inputs: &[&LogicalPlan], equalities_only: bool) -> bool {
    if !is_correlated(plan) {
        return true;
    }
    match plan {
        LogicalPlan::Filter(filter) => {
            let conditions = split_conjunction(&filter.predicate);
            let correlated: Vec<&Expr> = conditions.into_iter().filter(|condition| condition.contains_outer()).collect();
            correlated.iter().all(|condition| refers_to(condition, inputs) && (!equalities_only || is_equality(condition)))
                && are_rows(&filter.input, inputs, equalities_only)
        }
        LogicalPlan::Projection(projection) => {
            !projection.expr.iter().any(Expr::contains_outer) && are_rows(&projection.input, inputs, equalities_only)
        }
        LogicalPlan::SubqueryAlias(_) => false,
        LogicalPlan::Join(join) => {
            let uncorrelated = !join.filter.iter().any(Expr::contains_outer)
                && !join.on.iter().any(|(left, right)| left.contains_outer() || right.contains_outer());
            join.join_type == JoinType::Inner
                && uncorrelated
                && are_rows(&join.left, inputs, equalities_only)
                && are_rows(&join.right, inputs, equalities_only)
        }
        _ => false,
    }
}

/// Whether the condition's outer columns are those of the node itself, and it holds no subquery.
fn refers_to(condition: &Expr, inputs: &[&LogicalPlan]) -> bool {
    let strange = condition.exists(|node| {
        Ok(match node {
            Expr::OuterReferenceColumn(_, column) => !inputs.iter().any(|input| has(input, column)),
            other => is_subquery(other),
        })
    });
    !strange.unwrap_or(true)
}

/// `inner column = outer expression`.
fn is_equality(condition: &Expr) -> bool {
    let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = condition else { return false };
    is_column(left) && !right.any_column_refs() || is_column(right) && !left.any_column_refs()
}

fn is_column(expr: &Expr) -> bool {
    match expr {
        Expr::Column(_) => true,
        Expr::Cast(Cast { expr, .. }) => matches!(expr.as_ref(), Expr::Column(_)),
        _ => false,
    }
}
