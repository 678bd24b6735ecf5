//! Grouping, sorting and windows by what values go by, where that is not what they are made of.
//!
//! The engine groups, sorts and joins by the parts of a value. For a `numeric` with a scale of its own and for an `interval` that is not
//! PostgreSQL's equality (`1.0 = 1.00`, `1 month = 30 days`), nor, for an interval, its order. Before anything else looks at a plan, its
//! nodes go by [keys](crate::functions::numeric::key) of such values:
//!
//! ```text
//!  GROUP BY x, DISTINCT, UNION        ─▶ GROUP BY key(x), with first_value(x)
//!  ORDER BY x, PARTITION BY x         ─▶ .. key(x)
//!  INTERSECT, EXCEPT (joins on x)     ─▶ on key(x)
//!  count(DISTINCT x), min, max of intervals ─▶ over key(x), or the first value by it
//! ```
//! Comparisons, IN and the conditions of joins have their keys from the binder.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, IntervalUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::functions_aggregate::first_last::first_value_udaf;
use datafusion::logical_expr::expr::{AggregateFunction, AggregateFunctionParams, WindowFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    Aggregate, Case, Distinct, DistinctOn, Expr, ExprSchemable, GroupingSet, Join, LogicalPlan, Projection, Sort, SortExpr, Window,
    lit,
};
use datafusion::optimizer::AnalyzerRule;

use crate::functions::numeric::key::{has_key, key, window_key};
use crate::sql::internal_name::Series;

/// The analyser rule.
#[derive(Debug, Default)]
pub(super) struct ByKeys;

impl AnalyzerRule for ByKeys {
    fn name(&self) -> &str {
        "by_keys"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let rewritten = plan.transform_up_with_subqueries(|node| {
            Ok(match node {
                LogicalPlan::Distinct(Distinct::All(input)) if any_keyed(input.schema()) => Transformed::yes(distinct(input)?),
                LogicalPlan::Distinct(Distinct::On(on)) => distinct_on(on)?,
                LogicalPlan::Aggregate(aggregate) => grouped(aggregate)?,
                LogicalPlan::Window(window) => windowed(window)?,
                LogicalPlan::Sort(sort) => sorted(sort)?,
                LogicalPlan::Join(join) => joined(join)?,
                other => Transformed::no(other),
            })
        })?;
        Ok(rewritten.data)
    }
}

fn any_keyed(schema: &DFSchema) -> bool {
    schema.fields().iter().any(|field| has_key(field.data_type()))
}

fn is_keyed(expr: &Expr, schema: &DFSchema) -> bool {
    expr.get_type(schema).is_ok_and(|data_type| has_key(&data_type))
}

/// The key of an expression that has one, else itself.
fn keyed(expr: Expr, schema: &DFSchema) -> Expr {
    if !is_keyed(&expr, schema) {
        return expr;
    }
    key(expr.unalias())
}

fn keyed_sort(sort: SortExpr, schema: &DFSchema) -> SortExpr {
    SortExpr { expr: keyed(sort.expr, schema), ..sort }
}

fn distinct(input: Arc<LogicalPlan>) -> Result<LogicalPlan> {
    let columns = input.schema().columns().into_iter().map(Expr::Column).collect();
    let aggregate = Aggregate::try_new(input, columns, vec![])?;
    Ok(grouped(aggregate)?.data)
}

fn distinct_on(on: DistinctOn) -> Result<Transformed<LogicalPlan>> {
    let schema = Arc::clone(on.input.schema());
    let sorts = on.sort_expr.iter().flatten().any(|sort| is_keyed(&sort.expr, &schema));
    if !sorts && !on.on_expr.iter().any(|expr| is_keyed(expr, &schema)) {
        return Ok(Transformed::no(LogicalPlan::Distinct(Distinct::On(on))));
    }
    let keys = on.on_expr.into_iter().map(|expr| keyed(expr, &schema)).collect();
    let sort = on.sort_expr.map(|sort| sort.into_iter().map(|sort| keyed_sort(sort, &schema)).collect());
    let on = DistinctOn::try_new(keys, on.select_expr, sort, on.input)?;
    Ok(Transformed::yes(LogicalPlan::Distinct(Distinct::On(on))))
}

fn sorted(sort: Sort) -> Result<Transformed<LogicalPlan>> {
    let schema = Arc::clone(sort.input.schema());
    if !sort.expr.iter().any(|key| is_keyed(&key.expr, &schema)) {
        return Ok(Transformed::no(LogicalPlan::Sort(sort)));
    }
    let expr = sort.expr.into_iter().map(|key| keyed_sort(key, &schema)).collect();
    Ok(Transformed::yes(LogicalPlan::Sort(Sort { expr, ..sort })))
}

fn joined(join: Join) -> Result<Transformed<LogicalPlan>> {
    let (left, right) = (Arc::clone(join.left.schema()), Arc::clone(join.right.schema()));
    if !join.on.iter().any(|(one, two)| is_keyed(one, &left) || is_keyed(two, &right)) {
        return Ok(Transformed::no(LogicalPlan::Join(join)));
    }
    let on = join.on.into_iter().map(|(one, two)| (keyed(one, &left), keyed(two, &right))).collect();
    Ok(Transformed::yes(LogicalPlan::Join(Join { on, ..join })))
}

fn windowed(window: Window) -> Result<Transformed<LogicalPlan>> {
    let schema = Arc::clone(window.input.schema());
    let by_keys = |expr: Expr| -> Result<Transformed<Expr>> {
        expr.transform_up(|node| {
            let Expr::WindowFunction(function) = node else { return Ok(Transformed::no(node)) };
            let needed = function.params.partition_by.iter().any(|expr| is_keyed(expr, &schema))
                || function.params.order_by.iter().any(|sort| is_keyed(&sort.expr, &schema));
            if !needed {
                return Ok(Transformed::no(Expr::WindowFunction(function)));
            }
            let WindowFunction { fun, mut params } = *function;
            params.partition_by = params.partition_by.into_iter().map(|expr| keyed(expr, &schema)).collect();
            let order = |sort: SortExpr| match is_keyed(&sort.expr, &schema) {
                true => SortExpr { expr: window_key(sort.expr.unalias()), ..sort },
                false => sort,
            };
            params.order_by = params.order_by.into_iter().map(order).collect();
            Ok(Transformed::yes(Expr::WindowFunction(Box::new(WindowFunction { fun, params }))))
        })
    };
    let node = LogicalPlan::Window(window);
    let names = NamePreserver::new(&node);
    let rewritten = node.map_expressions(|expr| {
        let name = names.save(&expr);
        Ok(by_keys(expr)?.update_data(|expr| name.restore(expr)))
    })?;
    if rewritten.transformed { rewritten.map_data(LogicalPlan::recompute_schema) } else { Ok(rewritten) }
}

/// Groups by keys, and gives each group the first of its values back under the name that it had.
fn grouped(aggregate: Aggregate) -> Result<Transformed<LogicalPlan>> {
    let input = Arc::clone(aggregate.input.schema());
    let members: Vec<Expr> = aggregate.group_expr.iter().flat_map(members).collect();
    let keys = members.iter().any(|member| is_keyed(member, &input));
    let aggregates = aggregate.aggr_expr.iter().map(|expr| by_keys(expr.clone(), &input)).collect::<Result<Vec<_>>>()?;
    if !keys && !aggregates.iter().any(|expr| expr.transformed) {
        return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)));
    }
    let Aggregate { input: rows, group_expr, aggr_expr, schema, .. } = aggregate;
    let groups: Vec<Expr> = group_expr.into_iter().map(|expr| keyed_group(expr, &input)).collect::<Result<_>>()?;
    // GROUPING(x) names the key that x goes by.
    let mut computed = aggr_expr
        .iter()
        .zip(aggregates)
        .map(|(before, after)| {
            let after = after.data.transform_up(|node| keyed_grouping(node, &input))?.data;
            if after == *before { Ok(after) } else { Ok(after.alias(before.schema_name().to_string())) }
        })
        .collect::<Result<Vec<_>>>()?;
    let names = Series::of_keys();
    let firsts: Vec<Option<(String, Expr)>> = members
        .iter()
        .map(|member| {
            is_keyed(member, &input).then(|| {
                let first =
                    AggregateFunction::new_udf(first_value_udaf(), vec![member.clone().unalias()], false, None, vec![], None);
                let name = names.next("first");
                (name.clone(), Expr::AggregateFunction(first).alias(name))
            })
        })
        .collect();
    computed.extend(firsts.iter().flatten().map(|(_, first)| first.clone()));
    let grouped = LogicalPlan::Aggregate(Aggregate::try_new(rows, groups, computed)?);
    // The columns stay in their places; the first values stand behind them.
    let mut outputs = vec![];
    for (index, column) in schema.columns().into_iter().enumerate() {
        // Nobody refers to it by now, and it is gone when GROUPING() is resolved.
        if column.name == Aggregate::INTERNAL_GROUPING_ID {
            continue;
        }
        let (qualifier, field) = grouped.schema().qualified_field(index);
        let value = Expr::Column(Column::from((qualifier, field)));
        let value = match firsts.get(index) {
            Some(Some((name, _))) => {
                let first = Expr::Column(Column::new_unqualified(name));
                let null = lit(ScalarValue::try_from(schema.field(index).data_type())?);
                let missing = Expr::IsNull(Box::new(value));
                Expr::Case(Case::new(None, vec![(Box::new(missing), Box::new(null))], Some(Box::new(first))))
            }
            _ => value,
        };
        outputs.push(match column.relation {
            Some(relation) => value.alias_qualified(Some(relation), column.name),
            None => value.alias(column.name),
        });
    }
    Ok(Transformed::yes(LogicalPlan::Projection(Projection::try_new(outputs, Arc::new(grouped))?)))
}

fn members(group: &Expr) -> Vec<Expr> {
    match group {
        Expr::GroupingSet(set) => set.distinct_expr().into_iter().cloned().collect(),
        other => vec![other.clone()],
    }
}

fn keyed_group(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    let all = |exprs: Vec<Expr>| exprs.into_iter().map(|expr| keyed(expr, schema)).collect::<Vec<_>>();
    Ok(match expr {
        Expr::GroupingSet(GroupingSet::Rollup(exprs)) => Expr::GroupingSet(GroupingSet::Rollup(all(exprs))),
        Expr::GroupingSet(GroupingSet::Cube(exprs)) => Expr::GroupingSet(GroupingSet::Cube(all(exprs))),
        Expr::GroupingSet(GroupingSet::GroupingSets(sets)) => {
            Expr::GroupingSet(GroupingSet::GroupingSets(sets.into_iter().map(all).collect()))
        }
        other => keyed(other, schema),
    })
}

fn keyed_grouping(node: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match node {
        Expr::AggregateFunction(function) if function.func.name() == "grouping" => {
            let args = function.params.args.into_iter().map(|arg| keyed(arg, schema)).collect();
            let params = AggregateFunctionParams { args, ..function.params };
            Ok(Transformed::yes(Expr::AggregateFunction(AggregateFunction { params, ..function })))
        }
        other => Ok(Transformed::no(other)),
    }
}

/// An aggregate that goes by keys: in its ORDER BY, and where it looks for the least and the greatest interval.
fn by_keys(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    expr.transform_up(|node| {
        let Expr::AggregateFunction(function) = node else { return Ok(Transformed::no(node)) };
        let interval =
            |expr: &Expr| expr.get_type(schema).is_ok_and(|data_type| data_type == DataType::Interval(IntervalUnit::MonthDayNano));
        let least = match (function.func.name(), function.params.args.as_slice()) {
            ("min", [value]) if interval(value) => Some(true),
            ("max", [value]) if interval(value) => Some(false),
            _ => None,
        };
        if let (Some(ascending), Some(value)) = (least, function.params.args.first().cloned()) {
            let order = SortExpr::new(key(value), ascending, false);
            let params = AggregateFunctionParams { distinct: false, order_by: vec![order], ..function.params };
            return Ok(Transformed::yes(Expr::AggregateFunction(AggregateFunction { func: first_value_udaf(), params })));
        }
        if !function.params.order_by.iter().any(|sort| is_keyed(&sort.expr, schema)) {
            return Ok(Transformed::no(Expr::AggregateFunction(function)));
        }
        let order_by = function.params.order_by.into_iter().map(|sort| keyed_sort(sort, schema)).collect();
        let params = AggregateFunctionParams { order_by, ..function.params };
        Ok(Transformed::yes(Expr::AggregateFunction(AggregateFunction { params, ..function })))
    })
}
