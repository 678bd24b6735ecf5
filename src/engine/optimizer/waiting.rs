//! Functions that wait (`pg_sleep`, `pg_advisory_lock`) do so only for the rows for which CASE comes to them.
//!
//! DataFusion computes them for all rows, in a node beneath the expression that they stand in. They do nothing for a NULL argument, so what CASE
//! decides is decided for their arguments as well: `CASE WHEN c THEN pg_sleep(x) END` sleeps for `CASE WHEN c THEN x END`.

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Case, Expr, LogicalPlan, lit};
use datafusion::optimizer::AnalyzerRule;

use crate::error::Error;

/// Conditions of one CASE over waiting functions: each is repeated for all that stand behind it.
const MOST_BRANCHES: usize = 50;

/// The analyser rule.
#[derive(Debug)]
pub(super) struct WaitingCalls;

impl AnalyzerRule for WaitingCalls {
    fn name(&self) -> &str {
        "waiting_calls"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let guarded = plan.transform_up_with_subqueries(|node| {
            let names = NamePreserver::new(&node);
            node.map_expressions(|expr| {
                let name = names.save(&expr);
                let guarded = expr.transform_up(|node| match node {
                    Expr::Case(case) if waits_behind_first(&case)? => Ok(Transformed::yes(Expr::Case(guarded(case)?))),
                    other => Ok(Transformed::no(other)),
                })?;
                Ok(guarded.update_data(|expr| name.restore(expr)))
            })
        })?;
        Ok(guarded.data)
    }
}

fn waits(expr: &Expr) -> Result<bool> {
    expr.exists(|node| Ok(matches!(node, Expr::ScalarFunction(call) if call.func.as_async().is_some())))
}

/// Whether a function that waits stands in anything but the operand and the first condition, which are always asked for.
fn waits_behind_first(case: &Case) -> Result<bool> {
    for (index, (condition, result)) in case.when_then_expr.iter().enumerate() {
        if (index > 0 && waits(condition)?) || waits(result)? {
            return Ok(true);
        }
    }
    case.else_expr.as_ref().map_or(Ok(false), |expr| waits(expr))
}

fn guarded(mut case: Case) -> Result<Case> {
    if case.when_then_expr.len() > MOST_BRANCHES {
        return refused("many branches");
    }
    let mut before: Vec<Expr> = vec![];
    for (condition, result) in &mut case.when_then_expr {
        let tested = match &case.expr {
            Some(operand) => operand.as_ref().clone().eq(condition.as_ref().clone()),
            None => condition.as_ref().clone(),
        };
        if !before.is_empty() && waits(condition)? {
            **condition = guard(condition.as_ref().clone(), &before, None)?;
        }
        if waits(result)? {
            **result = guard(result.as_ref().clone(), &before, Some(&tested))?;
        }
        before.push(tested);
    }
    if let Some(result) = &mut case.else_expr
        && waits(result)?
    {
        **result = guard(result.as_ref().clone(), &before, None)?;
    }
    Ok(case)
}

/// `expr` whose waiting functions get NULL unless none of `before` holds and `now` does.
fn guard(expr: Expr, before: &[Expr], now: Option<&Expr>) -> Result<Expr> {
    if before.iter().chain(now).any(Expr::is_volatile) {
        return refused("conditions that are volatile");
    }
    let mut branches: Vec<(Expr, bool)> = before.iter().map(|condition| (condition.clone(), false)).collect();
    branches.extend(now.map(|condition| (condition.clone(), true)));
    let branches = branches.into_iter().map(|(condition, reached)| (Box::new(condition), Box::new(lit(reached)))).collect();
    let reached = Expr::Case(Case::new(None, branches, Some(Box::new(lit(now.is_none())))));
    let guarded = expr.transform_up(|node| {
        let Expr::ScalarFunction(mut call) = node else { return Ok(Transformed::no(node)) };
        if call.func.as_async().is_none() {
            return Ok(Transformed::no(Expr::ScalarFunction(call)));
        }
        if let Some(first) = call.args.first_mut() {
            let argument = Box::new(std::mem::take(first));
            *first = Expr::Case(Case::new(None, vec![(Box::new(reached.clone()), argument)], None));
        }
        Ok(Transformed::yes(Expr::ScalarFunction(call)))
    })?;
    Ok(guarded.data)
}

fn refused<T>(what: &str) -> Result<T> {
    let error = Error::unsupported(format!("a function that waits in a CASE with {what}"))
        .with_hint("Compute the condition in a subquery, and call the function for the rows that it leaves.");
    Err(DataFusionError::External(Box::new(error)))
}
