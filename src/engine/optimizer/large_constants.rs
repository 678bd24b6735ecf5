//! What is computed from large constants is computed when the statement runs, not while it is planned.
//!
//! DataFusion evaluates a call over constants on the thread that plans, in one piece. Over megabytes, or with a count of millions, that takes seconds in
//! which other statements wait for a planner and nothing can be cancelled; a worker takes turns. A constant behind a function that counts as
//! volatile is one that planning does not look at.

use datafusion::common::ScalarValue;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility};
use datafusion::optimizer::AnalyzerRule;

use super::identity::identity;

/// Bytes of constants that planning computes with.
const LARGE: usize = 65_536;

/// The analyser rule, behind those that look at functions.
#[derive(Debug)]
pub(super) struct LargeConstants;

impl AnalyzerRule for LargeConstants {
    fn name(&self) -> &str {
        "large_constants"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let postponed = plan.transform_up_with_subqueries(|node| {
            let names = NamePreserver::new(&node);
            node.map_expressions(|expr| {
                let name = names.save(&expr);
                Ok(expr.transform_up(|node| Ok(postponed(node)))?.update_data(|expr| name.restore(expr)))
            })
        })?;
        Ok(postponed.data)
    }
}

fn postponed(node: Expr) -> Transformed<Expr> {
    let Expr::ScalarFunction(mut call) = node else { return Transformed::no(node) };
    let constants = || call.args.iter().filter_map(Expr::as_literal);
    let is_large = constants().map(size).sum::<usize>() > LARGE || (makes_many(call.func.name()) && constants().any(is_many));
    if !is_large {
        return Transformed::no(Expr::ScalarFunction(call));
    }
    // One is enough, the largest: other arguments may have to be constants.
    let largest = call.args.iter_mut().filter(|arg| arg.as_literal().is_some()).max_by_key(|arg| arg.as_literal().map(size));
    if let Some(largest) = largest {
        *largest = identity(largest.clone(), Volatility::Volatile);
    }
    Transformed::yes(Expr::ScalarFunction(call))
}

fn size(constant: &ScalarValue) -> usize {
    match constant {
        ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)) | ScalarValue::LargeUtf8(Some(text)) => text.len(),
        ScalarValue::Binary(Some(bytes)) | ScalarValue::BinaryView(Some(bytes)) | ScalarValue::LargeBinary(Some(bytes)) => {
            bytes.len()
        }
        other if other.data_type().is_nested() => other.size(),
        _ => 8,
    }
}

/// Functions whose result has as many parts as an argument says.
fn makes_many(name: &str) -> bool {
    matches!(
        name,
        "repeat" | "lpad" | "rpad" | "space" | "array_repeat" | "list_repeat" | "array_resize" | "list_resize" | "array_fill"
    )
}

fn is_many(count: &ScalarValue) -> bool {
    let most = i64::try_from(LARGE).unwrap_or(i64::MAX);
    match count {
        ScalarValue::Int32(Some(count)) => i64::from(*count) > most,
        ScalarValue::Int64(Some(count)) => *count > most,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use datafusion::functions::expr_fn::{lower, repeat};
    use datafusion::logical_expr::lit;

    use super::*;

    #[test]
    fn only_what_takes_long_is_kept_from_planning() {
        for (call, is_kept) in [
            (lower(lit("A")), false),
            (lower(lit("A".repeat(LARGE))), false),
            (lower(lit("A".repeat(LARGE + 1))), true),
            (repeat(lit("A"), lit(10_i64)), false),
            (repeat(lit("A"), lit(1_000_000_i64)), true),
        ] {
            assert_eq!(postponed(call.clone()).data.is_volatile(), is_kept);
        }
    }
}
