//! Set-returning functions of a select list.
//!
//! ```text
//!   SELECT f(g(x)), h(x)      level 1: g(x), h(x) side by side, the shorter filled up with NULL      level 2: f(..) of each row of level 1
//! ```
//! They run behind GROUP BY and windows, unless GROUP BY names them, and behind ORDER BY and DISTINCT ON, unless these name one of them: each sorted row
//! then gives its rows in their order, and LIMIT counts those.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Column, NullHandling, UnnestOptions};
use datafusion::functions::core::expr_fn as core;
use datafusion::functions_nested::expr_fn as nested;
use datafusion::functions_window::row_number::row_number_udwf;
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, SortExpr, WindowFunctionDefinition, lit};
use datafusion::sql::sqlparser::ast;

use super::Binder;
use super::coerce::cast_expr;
use super::error::plan_error;
use super::expression::SetCall;
use super::query::{Block, Key, sort_expr};
use super::select::{Work, distinct_keys, filtered};
use super::subquery::projected;
use crate::error::{Error, Result};

/// Sets whose lists need no other set first, then those over the rows of these, and so on.
fn levels(sets: &[SetCall]) -> Vec<Vec<&SetCall>> {
    let mut levels: Vec<Vec<&SetCall>> = vec![];
    let mut left: Vec<&SetCall> = sets.iter().collect();
    while !left.is_empty() {
        let (now, later): (Vec<&SetCall>, Vec<&SetCall>) =
            left.iter().partition(|set| !left.iter().any(|other| uses(&set.list, &other.column)));
        if now.is_empty() {
            levels.push(later);
            return levels;
        }
        levels.push(now);
        left = later;
    }
    levels
}

fn uses(expr: &Expr, column: &str) -> bool {
    expr.column_refs().iter().any(|used| used.relation.is_none() && used.name == column)
}

/// Whether an expression is computed from one of the sets.
pub(super) fn uses_sets(expr: &Expr, sets: &[SetCall]) -> bool {
    sets.iter().any(|set| uses(expr, &set.column))
}

/// Takes out the sets that `exprs` are computed from.
pub(super) fn needed_for(exprs: &[Expr], sets: &mut Vec<SetCall>) -> Vec<SetCall> {
    let mut needed: Vec<SetCall> = vec![];
    loop {
        let next = sets
            .iter()
            .position(|set| exprs.iter().chain(needed.iter().map(|needed| &needed.list)).any(|expr| uses(expr, &set.column)));
        match next {
            Some(index) => needed.push(sets.remove(index)),
            None => return needed,
        }
    }
}

/// The rows of each row's sets.
pub(super) fn set_stage(plan: LogicalPlan, sets: &[SetCall]) -> Result<LogicalPlan> {
    let mut plan = plan;
    for level in levels(sets) {
        let lists = level.iter().map(|set| (set.column.clone(), set.list.clone())).collect();
        plan = side_by_side(plan, lists)?;
    }
    Ok(plan)
}

fn side_by_side(plan: LogicalPlan, lists: Vec<(String, Expr)>) -> Result<LogicalPlan> {
    let columns: Vec<Expr> = plan.schema().columns().into_iter().map(Expr::Column).collect();
    let names = lists.iter().map(|(name, _)| name.clone()).collect();
    let exprs = columns.into_iter().chain(lists.into_iter().map(|(name, list)| list.alias(name))).collect();
    unnested_plan(projected(plan, exprs)?, names, NullHandling::Drop)
}

/// Unnests list columns side by side.
pub(super) fn unnested_plan(plan: LogicalPlan, columns: Vec<String>, null_handling: NullHandling) -> Result<LogicalPlan> {
    let columns = columns.into_iter().map(Column::new_unqualified).collect();
    LogicalPlanBuilder::from(plan)
        .unnest_columns_with_options(columns, UnnestOptions::new().with_null_handling(null_handling))
        .and_then(LogicalPlanBuilder::build)
        .map_err(plan_error)
}

/// `1, 2, ..` as a list, as long as the longest of `lists`.
pub(super) fn numbers_of<'l>(lists: impl Iterator<Item = &'l Expr>) -> Expr {
    let lengths = lists.map(|list| cast_expr(nested::array_length(list.clone()), &DataType::Int64)).collect();
    nested::gen_series(lit(1_i64), core::greatest(lengths), lit(1_i64))
}

/// The number of each row in the order of `sort`, among those with the same `partition`.
fn numbered(plan: LogicalPlan, name: &str, partition: Vec<Expr>, sort: Vec<SortExpr>) -> Result<LogicalPlan> {
    let columns: Vec<Expr> = plan.schema().columns().into_iter().map(Expr::Column).collect();
    let mut function = WindowFunction::new(WindowFunctionDefinition::WindowUDF(row_number_udwf()), vec![]);
    function.params.partition_by = partition;
    function.params.order_by = sort;
    let number = Expr::WindowFunction(Box::new(function));
    let computed = number.schema_name().to_string();
    let plan = LogicalPlanBuilder::window_plan(plan, [number]).map_err(plan_error)?;
    let number = Expr::Column(Column::new_unqualified(computed)).alias(name);
    projected(plan, columns.into_iter().chain([number]).collect())
}

impl Binder<'_> {
    /// The output of a query whose sets run behind its ORDER BY, and its DISTINCT ON.
    pub(super) fn sets_behind_order(&self, plan: LogicalPlan, work: Work, distinct: Option<&ast::Distinct>) -> Result<Block> {
        let mut exprs: Vec<Expr> = plan.schema().columns().into_iter().map(Expr::Column).collect();
        let mut column = |key: Key| -> Result<Expr> {
            let value = match key {
                Key::Input(value) => value.expr,
                Key::Output(index) => match work.items.get(index) {
                    Some(item) => item.value.expr.clone(),
                    None => return Err(Error::internal("key without output")),
                },
            };
            let name = self.unique("sort");
            exprs.push(value.alias(&name));
            Ok(Expr::Column(Column::new_unqualified(name)))
        };
        // A key of DISTINCT ON that is one of ORDER BY's is the same column.
        let same = |left: &Key, right: &Key| {
            let value = |key: &Key| match key {
                Key::Input(value) => Some(value.expr.clone()),
                Key::Output(index) => work.items.get(*index).map(|item| item.value.expr.clone()),
            };
            value(left) == value(right)
        };
        let places: Vec<Option<usize>> = work.on.iter().map(|on| work.order.iter().position(|(key, _)| same(key, on))).collect();
        let sort = work
            .order
            .into_iter()
            .map(|(key, options)| Ok(sort_expr(column(key)?, &options)))
            .collect::<Result<Vec<SortExpr>>>()?;
        let mut on = vec![];
        for (key, place) in work.on.into_iter().zip(places) {
            on.push(match place.and_then(|place| sort.get(place)) {
                Some(key) => key.expr.clone(),
                None => column(key)?,
            });
        }
        let mut plan = projected(plan, exprs)?;
        if matches!(distinct, Some(ast::Distinct::On(_))) {
            let first = self.unique("number");
            let keys = distinct_keys(on, &sort)?;
            plan = numbered(plan, &first, keys, sort.clone())?;
            plan = filtered(plan, Expr::Column(Column::new_unqualified(first)).eq(lit(1_u64)))?;
        }
        let number = self.unique("number");
        plan = numbered(plan, &number, vec![], sort)?;
        let mut order = vec![number];
        for level in levels(&work.sets) {
            let ordinal = self.unique("number");
            let mut lists: Vec<(String, Expr)> = level.iter().map(|set| (set.column.clone(), set.list.clone())).collect();
            lists.push((ordinal.clone(), numbers_of(level.iter().map(|set| &set.list))));
            order.push(ordinal);
            plan = side_by_side(plan, lists)?;
        }
        let (mut exprs, outputs) = self.named_outputs(work.items, true);
        let order = order.into_iter().map(|name| Expr::Column(Column::new_unqualified(name)));
        exprs.extend(order.clone());
        let sort = order.map(|column| SortExpr::new(column, true, false)).collect();
        Ok(Block { plan: projected(plan, exprs)?, outputs, sort, limit: None, offset: None, ties: false, expanded: true })
    }
}
