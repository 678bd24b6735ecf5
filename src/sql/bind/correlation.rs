//! Predicates between a subquery and its outer query, in the one form that DataFusion can take out from under an aggregate:
//! `inner column = outer expression`.
//!
//! ```text
//!  a.flag                                   ─▶  "#true" = a.flag         over a projection that adds the constant column "#true"
//!  t.x = a.x AND a.x <> t.y                 ─▶  t.x = a.x AND t.x <> t.y
//! ```
//! Both sides select the same rows. Other predicates stay as they are, and the planner refuses them.

use std::sync::Arc;

use datafusion::common::Column;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, Filter, LogicalPlan, Operator, Projection, lit};

use super::error::plan_error;
use super::operator::binary_expr;
use super::subquery::projected;
use crate::error::Result;

/// Brings the correlated predicates of the plan's own WHERE into that form.
pub(super) fn eased(plan: LogicalPlan, constant: impl FnOnce() -> String) -> Result<LogicalPlan> {
    if plan.all_out_ref_exprs().is_empty() {
        return Ok(plan);
    }
    match plan {
        LogicalPlan::Filter(filter) => eased_filter(filter, constant),
        LogicalPlan::Projection(Projection { expr, input, .. }) => projected(eased(Arc::unwrap_or_clone(input), constant)?, expr),
        other => Ok(other),
    }
}

fn eased_filter(filter: Filter, constant: impl FnOnce() -> String) -> Result<LogicalPlan> {
    let mut input = filter.input;
    let conjuncts = split_conjunction_owned(filter.predicate);
    let equalities: Vec<(Expr, Column)> = conjuncts.iter().filter_map(|conjunct| equality(conjunct, &input)).collect();
    let mut constant = Some(constant);
    let mut true_column = None;
    let mut eased = Vec::with_capacity(conjuncts.len());
    for conjunct in conjuncts {
        if !conjunct.contains_outer() || equality(&conjunct, &input).is_some() {
            eased.push(conjunct);
        } else if conjunct.column_refs().is_empty() {
            if let Some(name) = constant.take() {
                let name = name();
                let mut columns: Vec<Expr> = input.schema().columns().into_iter().map(Expr::Column).collect();
                columns.push(lit(true).alias(&name));
                input = Arc::new(projected(Arc::unwrap_or_clone(input), columns)?);
                true_column = Some(Column::new_unqualified(name));
            }
            let column = true_column.clone().map_or_else(|| lit(true), Expr::Column);
            eased.push(binary_expr(column, Operator::Eq, conjunct));
        } else {
            eased.push(substituted(conjunct, &equalities)?);
        }
    }
    let predicate = conjunction(eased).unwrap_or_else(|| lit(true));
    Filter::try_new(predicate, input).map(LogicalPlan::Filter).map_err(plan_error)
}

/// The outer reference and the inner column of `inner = outer`, if both have one type.
fn equality(conjunct: &Expr, input: &LogicalPlan) -> Option<(Expr, Column)> {
    let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = conjunct else { return None };
    let (column, outer) = match (left.as_ref(), right.as_ref()) {
        (Expr::Column(column), outer @ Expr::OuterReferenceColumn(..))
        | (outer @ Expr::OuterReferenceColumn(..), Expr::Column(column)) => (column, outer),
        _ => return None,
    };
    let inner = Expr::Column(column.clone()).get_type(input.schema()).ok()?;
    let same = matches!(outer, Expr::OuterReferenceColumn(field, _) if *field.data_type() == inner);
    same.then(|| (outer.clone(), column.clone()))
}

/// The conjunct with inner columns in place of the outer ones that equal them.
fn substituted(conjunct: Expr, equalities: &[(Expr, Column)]) -> Result<Expr> {
    let replace = |expr: Expr| {
        let inner = equalities.iter().find(|(outer, _)| *outer == expr).map(|(_, column)| Expr::Column(column.clone()));
        Ok(inner.map_or_else(|| Transformed::no(expr), Transformed::yes))
    };
    conjunct.transform_up(replace).map(|replaced| replaced.data).map_err(plan_error)
}
