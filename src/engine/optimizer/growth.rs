//! A bound for statements that grow while they are planned.
//!
//! DataFusion writes `coalesce(a, b)` as `CASE WHEN a IS NOT NULL THEN a ELSE b END` and BETWEEN as two comparisons: `a` stands there twice. Nested
//! in `a`, they double it again, and a text of a few hundred characters becomes a tree that no memory holds. So the rule counts
//! what the expressions of a plan would grow to, before anything has grown.

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;

use crate::error::{Error, ErrorKind};

/// Nodes by which one expression may grow.
const MOST: u64 = 200_000;

/// The analyser rule.
#[derive(Debug)]
pub(super) struct BoundedGrowth;

impl AnalyzerRule for BoundedGrowth {
    fn name(&self) -> &str {
        "bounded_growth"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.apply_with_subqueries(|node| {
            node.apply_expressions(|expr| {
                let size = Size::of(expr)?;
                if size.grown.saturating_sub(size.now) > MOST { Err(too_complex()) } else { Ok(TreeNodeRecursion::Continue) }
            })
        })?;
        Ok(plan)
    }
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
