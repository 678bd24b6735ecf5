//! A bound for statements that grow while they are planned.
//!
//! DataFusion writes `coalesce(a, b)` as `CASE WHEN a IS NOT NULL THEN a ELSE b END` and BETWEEN as two comparisons: `a` stands there twice. Nested
//! in `a`, they double it again, and a text of a few hundred characters becomes a tree that no memory holds. So the rule counts
//! what the expressions of a plan would grow to, before anything has grown.
//!
//! Projections over projections become one, and their expressions stand in each other then: a hundred common table expressions of a hundred
//! additions each would be ten thousand levels, which overflow the stack of whatever goes through them by recursion.

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Expr, LogicalPlan, Operator};
use datafusion::optimizer::AnalyzerRule;

use crate::error::{Error, ErrorKind};

/// Nodes by which one expression may grow.
const MOST: u64 = 200_000;

/// Levels that the expressions of a plan may have once they stand in each other.
const DEEPEST: usize = 2_000;

/// Conditions joined by AND that the filters of a plan may have once they are one. However they were written, DataFusion makes a chain of them.
const MOST_CONDITIONS: usize = 2_500;

/// The analyser rule.
#[derive(Debug)]
pub(super) struct BoundedGrowth;

impl AnalyzerRule for BoundedGrowth {
    fn name(&self) -> &str {
        "bounded_growth"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let stack = Stack::of(&plan)?;
        if stack.levels > DEEPEST {
            return Err(too_deep());
        }
        if stack.conditions > MOST_CONDITIONS {
            return Err(too_many_conditions());
        }
        plan.apply_with_subqueries(|node| {
            node.apply_expressions(|expr| {
                let size = Size::of(expr)?;
                if size.grown.saturating_sub(size.now) > MOST { Err(too_complex()) } else { Ok(TreeNodeRecursion::Continue) }
            })
        })?;
        Ok(plan)
    }
}

/// What the expressions from a plan down come to, as if each stood in those above it.
#[derive(Debug, Clone, Copy, Default)]
struct Stack {
    levels: usize,
    conditions: usize,
}

impl Stack {
    #[recursive::recursive]
    fn of(plan: &LogicalPlan) -> Result<Stack> {
        let mut below = Stack::default();
        let mut enter = |plan: &LogicalPlan| {
            let Stack { levels, conditions } = Stack::of(plan)?;
            below = Stack { levels: below.levels.max(levels), conditions: below.conditions.max(conditions) };
            Ok(TreeNodeRecursion::Continue)
        };
        plan.inputs().into_iter().try_for_each(|input| enter(input).map(|_| ()))?;
        plan.apply_subqueries(&mut enter)?;
        let mut own = Stack::default();
        plan.apply_expressions(|expr| {
            own = Stack { levels: own.levels.max(levels(expr)?), conditions: own.conditions.max(split_conjunction(expr).len()) };
            Ok(TreeNodeRecursion::Continue)
        })?;
        // An expression that is not joined by AND is no condition.
        let conditions = own.conditions.saturating_sub(1);
        Ok(Stack { levels: own.levels + below.levels, conditions: conditions + below.conditions })
    }
}

/// Operators and calls, one in the other. AND and OR have a bound of their own (`sql::limits`), and chains of them are put together anew
/// wherever filters move.
#[recursive::recursive]
fn levels(expr: &Expr) -> Result<usize> {
    let mut inside = 0;
    expr.apply_children(|child| {
        inside = inside.max(levels(child)?);
        Ok(TreeNodeRecursion::Continue)
    })?;
    let is_level = match expr {
        Expr::Column(_) | Expr::Literal(..) | Expr::Alias(_) => false,
        Expr::BinaryExpr(binary) => !matches!(binary.op, Operator::And | Operator::Or),
        _ => true,
    };
    Ok(inside + usize::from(is_level))
}

fn too_deep() -> DataFusionError {
    let hint = "Queries and views compute on each other's results too often; store the result of one in a table.";
    DataFusionError::External(Box::new(Error::new(ErrorKind::TooComplex, "query is too complex").with_hint(hint)))
}

fn too_many_conditions() -> DataFusionError {
    let hint = "Join a table that holds the values.";
    DataFusionError::External(Box::new(
        Error::new(ErrorKind::TooComplex, "query is too complex")
            .with_detail(format!("More than {MOST_CONDITIONS} conditions are joined by AND."))
            .with_hint(hint),
    ))
}

fn too_complex() -> DataFusionError {
    let hint = "COALESCE and BETWEEN are nested too deeply in each other; compute the inner ones in a subquery.";
    DataFusionError::External(Box::new(Error::new(ErrorKind::TooComplex, "expression is too complex").with_hint(hint)))
}

/// Nodes of an expression.
#[derive(Debug, Clone, Copy)]
struct Size {
    now: u64,
    grown: u64,
}

impl Size {
    #[recursive::recursive]
    fn of(expr: &Expr) -> Result<Size> {
        let mut children = Vec::new();
        expr.apply_children(|child| {
            children.push(Size::of(child)?);
            Ok(TreeNodeRecursion::Continue)
        })?;
        let twice = match expr {
            Expr::Between(_) => 1,
            Expr::ScalarFunction(call) if matches!(call.func.name(), "coalesce" | "nvl") => children.len().saturating_sub(1),
            _ => 0,
        };
        let repeated = children.iter().take(twice);
        let now = children.iter().fold(1, |sum: u64, child| sum.saturating_add(child.now));
        let grown = children.iter().chain(repeated).fold(1, |sum: u64, child| sum.saturating_add(child.grown));
        Ok(Size { now, grown })
    }
}

#[cfg(test)]
mod tests {
    use datafusion::functions::core::expr_fn::coalesce;
    use datafusion::logical_expr::{col, lit};

    use super::*;

    #[test]
    fn what_is_written_twice_counts_twice_at_every_depth() {
        let nested = |depth: usize| (0..depth).fold(col("a"), |inner, _| coalesce(vec![inner, lit(1)]));
        let sizes = [0, 1, 2, 90].map(|depth| Size::of(&nested(depth)).unwrap());
        assert_eq!(sizes.map(|size| size.now), [1, 3, 5, 181]);
        assert_eq!(sizes.map(|size| size.grown), [1, 4, 10, u64::MAX]);
        assert_eq!(Size::of(&col("a").between(lit(1), lit(2))).unwrap().grown, 5);
    }
}
