//! Lists are not intersected where NULL would be lost.
//!
//! DataFusion makes one list of two: `i IN (1) AND i IN (2)` is false to it, and `i NOT IN (1) OR i NOT IN (2)` true, for a NULL as well
//! (apache/datafusion#24246); and of `i IN (1, 2) AND i NOT IN (2, NULL)` it leaves `i IN (1)`, although the second is never true. A filter may
//! intersect lists without NULL, since it takes NULL for false. Everywhere else lists over one value are hidden from each other.

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, Operator, Volatility};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

use super::identity::{identity, is_identity};

/// One of the optimiser's first rules.
#[derive(Debug)]
pub(super) struct SeparateLists;

impl OptimizerRule for SeparateLists {
    fn name(&self) -> &str {
        "separate_lists"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn rewrite(&self, plan: LogicalPlan, _config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let is_test = matches!(plan, LogicalPlan::Filter(_) | LogicalPlan::Join(_));
        let names = NamePreserver::new(&plan);
        plan.map_expressions(|expr| {
            if lists(&expr)? < 2 {
                return Ok(Transformed::no(expr));
            }
            let name = names.save(&expr);
            let separated = if is_test { separate_test(expr)? } else { separate(expr)? };
            Ok(separated.update_data(|expr| name.restore(expr)))
        })
    }
}

/// Lists in an expression, and comparisons, which become lists.
fn lists(expr: &Expr) -> Result<usize> {
    let mut count = 0;
    expr.apply(|node| {
        count += usize::from(compared(node).is_some());
        Ok(datafusion::common::tree_node::TreeNodeRecursion::Continue)
    })?;
    Ok(count)
}

fn separate(expr: Expr) -> Result<Transformed<Expr>> {
    expr.transform_up(|node| Ok(separate_operands(node)))
}

/// The conditions of a filter, which takes NULL for false.
fn separate_test(expr: Expr) -> Result<Transformed<Expr>> {
    let mut changed = false;
    let conditions = split_conjunction_owned(expr).into_iter().map(|condition| {
        let has_null = matches!(&condition, Expr::InList(list) if list.list.iter().any(may_be_null));
        let separated = separate(condition)?;
        changed = changed || separated.transformed || has_null;
        Ok(if has_null { hidden(separated.data) } else { separated.data })
    });
    let conditions = conditions.collect::<Result<Vec<_>>>()?;
    let expr = conjunction(conditions).unwrap_or_else(|| datafusion::logical_expr::lit(true));
    Ok(if changed { Transformed::yes(expr) } else { Transformed::no(expr) })
}

fn may_be_null(element: &Expr) -> bool {
    !matches!(element, Expr::Literal(value, _) if !value.is_null())
}

fn separate_operands(node: Expr) -> Transformed<Expr> {
    let Expr::BinaryExpr(BinaryExpr { op: operator @ (Operator::And | Operator::Or), .. }) = &node else {
        return Transformed::no(node);
    };
    let operator = *operator;
    let mut operands = vec![];
    flatten(&node, operator, &mut operands);
    let members: Vec<_> = operands.iter().map(|operand| member(operand)).collect();
    let harmful = |index: usize| {
        let Some((value, negated)) = members[index] else { return false };
        let others = members.iter().enumerate().filter(|(other, _)| *other != index).filter_map(|(_, member)| *member);
        others.filter(|(other, _)| *other == value).any(|(_, other)| match operator {
            // What is in none of two lists is in no list of both, and what is in one of two is in their union.
            Operator::And => !(negated && other),
            _ => negated && other,
        })
    };
    let harmful: Vec<bool> = (0..operands.len()).map(harmful).collect();
    if !harmful.contains(&true) {
        return Transformed::no(node);
    }
    let hide = |(operand, harmful): (&Expr, bool)| if harmful { hidden(operand.clone()) } else { operand.clone() };
    let rebuilt = operands
        .into_iter()
        .zip(harmful)
        .map(hide)
        .reduce(|left, right| Expr::BinaryExpr(BinaryExpr { left: Box::new(left), op: operator, right: Box::new(right) }));
    match rebuilt {
        Some(rebuilt) => Transformed::yes(rebuilt),
        None => Transformed::no(node),
    }
}

#[recursive::recursive]
fn flatten<'e>(expr: &'e Expr, operator: Operator, into: &mut Vec<&'e Expr>) {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if *op == operator => {
            flatten(left, operator, into);
            flatten(right, operator, into);
        }
        other => into.push(other),
    }
}

/// The value that a list is asked about, and whether it must not be in it.
fn compared(expr: &Expr) -> Option<(&Expr, bool)> {
    match expr {
        Expr::InList(InList { expr, negated, .. }) => Some((expr, *negated)),
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) if matches!(right.as_ref(), Expr::Literal(..)) => {
            Some((left, false))
        }
        _ => None,
    }
}

/// The same for what will be a list: `i = 1 OR i = 2`, `NOT (i = 1)`.
fn member(expr: &Expr) -> Option<(&Expr, bool)> {
    match expr {
        Expr::Not(inner) => member(inner).map(|(value, negated)| (value, !negated)),
        Expr::BinaryExpr(BinaryExpr { op: Operator::Or, .. }) => {
            let mut operands = vec![];
            flatten(expr, Operator::Or, &mut operands);
            let mut members = operands.into_iter().map(compared);
            let first = members.next()??;
            members.all(|other| other == Some(first)).then_some(first)
        }
        other => compared(other),
    }
}

fn hidden(condition: Expr) -> Expr {
    if is_identity(&condition) { condition } else { identity(condition, Volatility::Immutable) }
}
