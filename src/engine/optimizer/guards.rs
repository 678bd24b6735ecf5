//! What stands behind a guard is evaluated for the rows that the guard lets through, and for no others.
//!
//! ```text
//!   WHERE y <> 0 AND x / y > 1      ─▶  y <> 0 AND CASE WHEN y <> 0 IS NOT TRUE THEN false ELSE x / y > 1 END
//!   SELECT y <> 0 AND x / y > 1     ─▶  CASE y <> 0 WHEN false THEN false WHEN true THEN x / y > 1 ELSE NULL AND x / y > 1 END
//!   sum(x / y) FILTER (WHERE y <> 0) ─▶  sum(CASE WHEN y <> 0 THEN x / y END) FILTER (WHERE y <> 0)
//! ```
//! PostgreSQL tests in written order and stops when the answer is known; its users write `y <> 0 AND x / y > 1` and get an answer. DataFusion evaluates
//! both sides of AND and OR over whole batches (apache/datafusion#8927), and the arguments of an aggregate for rows that its FILTER leaves
//! out. Only CASE evaluates its branches for the rows that come to them. So where a right side can fail (`failing`), AND and OR become
//! CASE; where it cannot, they stay as they are, which is faster.
//!
//! This is done last, over the optimised plan: what rules have merged, moved and taken apart until then is in the order that it will be run in.
//! A condition that guards itself may be moved on by physical rules, alone or with others. In a filter the guards stand before it
//! as well, since scans look at them to leave out files.
//!
//! Not here: conditions over different tables, which are tested where their tables are read, as in PostgreSQL; subqueries without columns of the
//! outer query, which are run first; calls of functions that read tables.

use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{AggregateFunction, WindowFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{BinaryExpr, Case, Expr, Filter, LogicalPlan, Operator, and, binary_expr, lit};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

use super::failing::fails;

/// The plan, with guards that hold.
pub(super) fn guarded(plan: LogicalPlan) -> Result<LogicalPlan> {
    let guarded = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Filter(filter) => {
            let before = filter.predicate.clone();
            let predicate = filter_condition(filter.predicate)?;
            let changed = predicate != before;
            let filter = LogicalPlan::Filter(Filter::try_new(predicate, filter.input)?);
            Ok(if changed { Transformed::yes(filter) } else { Transformed::no(filter) })
        }
        LogicalPlan::Join(mut join) => {
            let Some(filter) = join.filter.take() else { return in_expressions(LogicalPlan::Join(join)) };
            let changed = fails(&filter)?;
            join.filter = Some(if changed { lowered(filter, Place::Test)? } else { filter });
            let node = LogicalPlan::Join(join);
            Ok(if changed { Transformed::yes(node) } else { Transformed::no(node) })
        }
        // What a scan is told of filters it uses to leave out files.
        LogicalPlan::TableScan(_) => Ok(Transformed::no(node)),
        other => in_expressions(other),
    })?;
    Ok(guarded.data)
}

/// A condition that is asked of rows apart from any plan.
pub(in crate::engine) fn guarded_condition(predicate: Expr) -> Result<Expr> {
    filter_condition(predicate)
}

fn in_expressions(node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let mut needed = false;
    node.apply_expressions(|expr| {
        needed = needed || (has_guard(expr)? && fails(expr)?);
        Ok(datafusion::common::tree_node::TreeNodeRecursion::Continue)
    })?;
    if !needed {
        return Ok(Transformed::no(node));
    }
    let names = NamePreserver::new(&node);
    node.map_expressions(|expr| {
        let name = names.save(&expr);
        Ok(Transformed::yes(name.restore(lowered(expr, Place::Value)?)))
    })
}

/// Whether anything in it could be a guard: most expressions have none, and are not copied.
fn has_guard(expr: &Expr) -> Result<bool> {
    expr.exists(|node| {
        Ok(match node {
            Expr::BinaryExpr(BinaryExpr { op: Operator::And | Operator::Or, .. }) => true,
            other => has_filter(other),
        })
    })
}

/// Whether the expression has been put behind the condition.
fn is_behind(expr: &Expr, condition: &Expr) -> bool {
    match expr {
        Expr::Case(Case { expr: None, when_then_expr, else_expr: None }) => {
            matches!(when_then_expr.as_slice(), [(when, _)] if when.as_ref() == condition)
        }
        _ => false,
    }
}

/// Puts the arguments of aggregates behind their FILTER before common subexpressions are looked for among them, which takes those of two aggregates
/// for such that are always computed.
#[derive(Debug)]
pub(super) struct FilteredArguments;

impl OptimizerRule for FilteredArguments {
    fn name(&self) -> &str {
        "filtered_arguments"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn rewrite(&self, plan: LogicalPlan, _config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        if !matches!(plan, LogicalPlan::Aggregate(_) | LogicalPlan::Window(_)) {
            return Ok(Transformed::no(plan));
        }
        let names = NamePreserver::new(&plan);
        plan.map_expressions(|expr| {
            let is_filtered = expr.exists(|node| Ok(has_filter(node)))?;
            if !is_filtered || !fails(&expr)? {
                return Ok(Transformed::no(expr));
            }
            let (name, before) = (names.save(&expr), expr.clone());
            let guarded = name.restore(lowered(expr, Place::Value)?);
            Ok(if guarded == before { Transformed::no(guarded) } else { Transformed::yes(guarded) })
        })
    }
}

fn has_filter(node: &Expr) -> bool {
    match node {
        Expr::AggregateFunction(call) => call.params.filter.is_some(),
        Expr::WindowFunction(call) => call.params.filter.is_some(),
        _ => false,
    }
}

/// What a truth value is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Rows are kept for which it is true: NULL counts as false.
    Test,
    Value,
}

/// The condition of a filter: what cannot fail, then what can, for the rows that are left.
fn filter_condition(predicate: Expr) -> Result<Expr> {
    if !fails(&predicate)? {
        return Ok(predicate);
    }
    // A volatile condition is asked once a row, where it stands.
    let is_volatile = predicate.is_volatile();
    let mut steady = vec![];
    let mut shaky = vec![];
    for condition in split_conjunction_owned(predicate) {
        let condition = lowered(condition, Place::Test)?;
        if is_volatile || fails(&condition)? { shaky.push(condition) } else { steady.push(condition) }
    }
    let (steady, shaky) = (conjunction(steady), chain(shaky, Operator::And)?);
    Ok(match (steady, shaky) {
        (Some(steady), Some(shaky)) => {
            let guarded = test_behind(vec![steady.clone()], shaky, Operator::And);
            and(steady, guarded)
        }
        (Some(only), None) | (None, Some(only)) => only,
        (None, None) => lit(true),
    })
}

/// Conditions joined by AND or OR, for a test: each is asked only where those before it have not decided. One CASE for all of them, so that many
/// conditions are no deep tree.
fn chain(conditions: Vec<Expr>, operator: Operator) -> Result<Option<Expr>> {
    let failing = conditions.iter().map(fails).collect::<Result<Vec<_>>>()?;
    let join = |left: Expr, right: Expr| binary_expr(left, operator, right);
    let Some(last) = failing.iter().rposition(|fails| *fails).filter(|last| *last > 0) else {
        return Ok(conditions.into_iter().reduce(join));
    };
    let mut guards: Vec<Expr> = vec![];
    let mut behind = vec![];
    let mut joinable = false;
    for (index, (condition, fails)) in conditions.into_iter().zip(failing).enumerate() {
        if index >= last {
            behind.push(condition);
            continue;
        }
        match guards.pop() {
            // What cannot fail is asked at once.
            Some(before) if joinable && !fails => guards.push(join(before, condition)),
            Some(before) => guards.extend([before, condition]),
            None => guards.push(condition),
        }
        joinable = !fails;
    }
    let Some(behind) = behind.into_iter().reduce(join) else { return Ok(None) };
    Ok(Some(test_behind(guards, behind, operator)))
}

/// `guards AND behind` or `guards OR behind`, for a test.
fn test_behind(guards: Vec<Expr>, behind: Expr, operator: Operator) -> Expr {
    let decided = |guard: Expr| match operator {
        Operator::And => (Box::new(Expr::IsNotTrue(Box::new(guard))), Box::new(lit(false))),
        _ => (Box::new(guard), Box::new(lit(true))),
    };
    let when_then_expr = guards.into_iter().map(decided).collect();
    Expr::Case(Case { expr: None, when_then_expr, else_expr: Some(Box::new(behind)) })
}

/// `guard AND behind` or `guard OR behind` with all of its three values.
fn behind_value(guard: Expr, behind: Expr, operator: Operator) -> Expr {
    let decisive = operator == Operator::Or;
    let unknown = binary_expr(lit(ScalarValue::Boolean(None)), operator, behind.clone());
    Expr::Case(Case {
        expr: Some(Box::new(guard)),
        when_then_expr: vec![(Box::new(lit(decisive)), Box::new(lit(decisive))), (Box::new(lit(!decisive)), Box::new(behind))],
        else_expr: Some(Box::new(unknown)),
    })
}

/// The expression, with guards that hold.
#[recursive::recursive]
fn lowered(expr: Expr, place: Place) -> Result<Expr> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: operator @ (Operator::And | Operator::Or), right }) => {
            let mut conditions = vec![];
            operands(*left, operator, &mut conditions);
            operands(*right, operator, &mut conditions);
            let conditions = conditions.into_iter().map(|part| lowered(part, place)).collect::<Result<Vec<_>>>()?;
            joined(conditions, operator, place)
        }
        Expr::Case(Case { expr: None, when_then_expr, else_expr }) => {
            let branches = when_then_expr
                .into_iter()
                .map(|(when, then)| Ok((Box::new(lowered(*when, Place::Test)?), Box::new(lowered(*then, place)?))));
            let when_then_expr = branches.collect::<Result<Vec<_>>>()?;
            let else_expr = else_expr.map(|otherwise| lowered(*otherwise, place).map(Box::new)).transpose()?;
            Ok(Expr::Case(Case { expr: None, when_then_expr, else_expr }))
        }
        Expr::IsTrue(inner) => Ok(Expr::IsTrue(Box::new(lowered(*inner, Place::Test)?))),
        Expr::IsNotTrue(inner) => Ok(Expr::IsNotTrue(Box::new(lowered(*inner, Place::Test)?))),
        Expr::Alias(mut alias) => {
            alias.expr = Box::new(lowered(*alias.expr, place)?);
            Ok(Expr::Alias(alias))
        }
        Expr::AggregateFunction(AggregateFunction { func, mut params }) => {
            filtered(&mut params.filter, &mut params.args)?;
            Ok(Expr::AggregateFunction(AggregateFunction { func, params }))
        }
        Expr::WindowFunction(call) => {
            let WindowFunction { fun, mut params } = *call;
            filtered(&mut params.filter, &mut params.args)?;
            Ok(Expr::WindowFunction(Box::new(WindowFunction { fun, params })))
        }
        other => Ok(other.map_children(|child| Ok(Transformed::yes(lowered(child, Place::Value)?)))?.data),
    }
}

/// The operands of nested ANDs or ORs, in order.
#[recursive::recursive]
fn operands(expr: Expr, operator: Operator, into: &mut Vec<Expr>) {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if op == operator => {
            operands(*left, operator, into);
            operands(*right, operator, into);
        }
        other => into.push(other),
    }
}

fn joined(conditions: Vec<Expr>, operator: Operator, place: Place) -> Result<Expr> {
    if place == Place::Test {
        return Ok(chain(conditions, operator)?.unwrap_or_else(|| lit(operator == Operator::And)));
    }
    let mut conditions = conditions.into_iter();
    let mut all = conditions.next().unwrap_or_else(|| lit(operator == Operator::And));
    for condition in conditions {
        all = if fails(&condition)? { behind_value(all, condition, operator) } else { binary_expr(all, operator, condition) };
    }
    Ok(all)
}

/// An aggregate's arguments are computed for the rows that its FILTER lets through.
fn filtered(filter: &mut Option<Box<Expr>>, args: &mut [Expr]) -> Result<()> {
    for arg in args.iter_mut() {
        *arg = lowered(arg.clone(), Place::Value)?;
    }
    let Some(condition) = filter.take() else { return Ok(()) };
    let condition = lowered(*condition, Place::Test)?;
    for arg in args.iter_mut() {
        if fails(arg)? && !is_behind(arg, &condition) {
            *arg = Expr::Case(Case {
                expr: None,
                when_then_expr: vec![(Box::new(condition.clone()), Box::new(arg.clone()))],
                else_expr: None,
            });
        }
    }
    *filter = Some(Box::new(condition));
    Ok(())
}
