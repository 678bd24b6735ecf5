//! Constants that cannot be computed fail the plan, as in PostgreSQL: `1 / 0` is an error before there are columns to describe, also
//! where no row would have asked for it.
//!
//! DataFusion's rules leave a constant that fails where it is, or drop it with the rows that it would have stood in. So constants are
//! computed before them, for their errors. Behind CASE, AND, OR and their kind they are left alone: who writes those may mean that they
//! are never asked for.

use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::Schema;
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::execution_props::ExecutionProps;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Expr, LogicalPlan, Operator, Volatility};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};
use datafusion::physical_expr::create_physical_expr;

/// The optimiser's first rule.
#[derive(Debug)]
pub(super) struct FailingConstants;

impl OptimizerRule for FailingConstants {
    fn name(&self) -> &str {
        "failing_constants"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn rewrite(&self, plan: LogicalPlan, _config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        plan.apply_expressions(|expr| {
            if is_constant(expr)? {
                compute(expr)?;
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(Transformed::no(plan))
    }
}

/// Whether an expression is a constant. Of one that is not, the constants that it always asks for are computed.
#[recursive::recursive]
fn is_constant(expr: &Expr) -> Result<bool> {
    let mut constants = vec![];
    let mut all = true;
    expr.apply_children(|child| {
        if is_constant(child)? {
            constants.push(child);
        } else {
            all = false;
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    let asks = asks_for_all(expr);
    if all && (asks || matches!(expr, Expr::Literal(..) | Expr::Case(_) | Expr::BinaryExpr(_))) {
        return Ok(true);
    }
    if asks {
        constants.into_iter().try_for_each(compute)?;
    }
    Ok(false)
}

/// Whether the value depends on the operands alone, and on every one of them.
fn asks_for_all(expr: &Expr) -> bool {
    match expr {
        Expr::BinaryExpr(binary) => !matches!(binary.op, Operator::And | Operator::Or),
        Expr::ScalarFunction(call) => {
            call.func.signature().volatility == Volatility::Immutable && !call.func.short_circuits() && !call.args.is_empty()
        }
        Expr::Alias(_) | Expr::Cast(_) | Expr::Not(_) | Expr::Negative(_) | Expr::IsNull(_) | Expr::IsNotNull(_) => true,
        _ => false,
    }
}

fn compute(constant: &Expr) -> Result<()> {
    if matches!(constant, Expr::Literal(..)) {
        return Ok(());
    }
    let physical = create_physical_expr(constant, &DFSchema::empty(), &ExecutionProps::new(), &PhysicalPlanningContext::default())?;
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    let row = RecordBatch::try_new_with_options(Schema::empty().into(), vec![], &options)?;
    physical.evaluate(&row).map(drop)
}
