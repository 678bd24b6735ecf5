//! A condition without columns stays above an aggregate that has a row for no input.
//!
//! DataFusion 55 moves a condition below an aggregate if all of its columns are group keys, so one without columns too (no issue upstream yet). But `count(*)` over
//! nothing, and the set `()` of a ROLLUP, have a row: `SELECT .. FROM (.. GROUP BY ROLLUP (a)) WHERE false` gained one.

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{Aggregate, Expr, Filter, GroupingSet, LogicalPlan};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

/// DataFusion's rule that moves conditions towards the tables, for others than those.
#[derive(Debug)]
pub(super) struct GroupFilters(pub(super) Arc<dyn OptimizerRule + Send + Sync>);

impl OptimizerRule for GroupFilters {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Filter(filter) = plan else { return self.0.rewrite(plan, config) };
        let (conditions, input) = stacked(filter);
        let has_row = matches!(input.as_ref(), LogicalPlan::Aggregate(aggregate) if has_row_for_nothing(aggregate));
        let (above, below): (Vec<Expr>, Vec<Expr>) =
            conditions.into_iter().partition(|condition| has_row && condition.column_refs().is_empty());
        let Some(above) = conjunction(above) else {
            return match conjunction(below) {
                Some(below) => self.0.rewrite(LogicalPlan::Filter(Filter::try_new(below, input)?), config),
                None => Ok(Transformed::no(Arc::unwrap_or_clone(input))),
            };
        };
        let moved = match conjunction(below) {
            Some(below) => self.0.rewrite(LogicalPlan::Filter(Filter::try_new(below, input)?), config)?,
            None => Transformed::no(Arc::unwrap_or_clone(input)),
        };
        moved.map_data(|plan| Filter::try_new(above, Arc::new(plan)).map(LogicalPlan::Filter))
    }
}

/// The conditions of filters that stand upon each other.
fn stacked(filter: Filter) -> (Vec<Expr>, Arc<LogicalPlan>) {
    let mut conditions = split_conjunction_owned(filter.predicate);
    let mut input = filter.input;
    while let LogicalPlan::Filter(below) = input.as_ref() {
        if below.predicate.is_volatile() {
            break;
        }
        for condition in split_conjunction_owned(below.predicate.clone()) {
            if !conditions.contains(&condition) {
                conditions.push(condition);
            }
        }
        input = Arc::clone(&below.input);
    }
    (conditions, input)
}

fn has_row_for_nothing(aggregate: &Aggregate) -> bool {
    match aggregate.group_expr.as_slice() {
        [] => true,
        [Expr::GroupingSet(GroupingSet::GroupingSets(sets))] => sets.iter().any(Vec::is_empty),
        [Expr::GroupingSet(GroupingSet::Rollup(_) | GroupingSet::Cube(_))] => true,
        _ => false,
    }
}
