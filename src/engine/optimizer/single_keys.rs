//! No sort key twice.
//!
//! A key that stands behind itself decides nothing. DataFusion drops it where it sorts, and does not where an aggregate keeps the keys
//! of its rows: `first_value(b ORDER BY a, b, b)`, which DISTINCT ON becomes, counts three keys in one place and two in another, and panics. The
//! rule runs after those that make expressions equal.

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, LogicalPlan, SortExpr};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

/// The rule.
#[derive(Debug)]
pub(super) struct SingleKeys;

impl OptimizerRule for SingleKeys {
    fn name(&self) -> &str {
        "single_sort_keys"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(&self, plan: LogicalPlan, _config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        if !matches!(plan, LogicalPlan::Aggregate(_) | LogicalPlan::Window(_)) {
            return Ok(Transformed::no(plan));
        }
        let names = NamePreserver::new(&plan);
        plan.map_expressions(|expr| {
            let name = names.save(&expr);
            Ok(expr.transform_up(|node| Ok(single(node)))?.update_data(|expr| name.restore(expr)))
        })
    }
}

fn single(mut node: Expr) -> Transformed<Expr> {
    let keys = match &mut node {
        Expr::AggregateFunction(call) => &mut call.params.order_by,
        Expr::WindowFunction(call) => &mut call.params.order_by,
        _ => return Transformed::no(node),
    };
    let before = keys.len();
    let mut seen: Vec<Expr> = Vec::new();
    keys.retain(|SortExpr { expr, .. }| {
        let is_new = expr.is_volatile() || !seen.contains(expr);
        seen.push(expr.clone());
        is_new
    });
    let changed = keys.len() < before;
    if changed { Transformed::yes(node) } else { Transformed::no(node) }
}
