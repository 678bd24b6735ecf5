//! No limit between the two halves of an aggregate.
//!
//! DataFusion moves the limit of `SELECT DISTINCT x .. ORDER BY x LIMIT 3` below the half that brings groups together, where the same group stands
//! once for each partition (apache/datafusion#24927): three rows of one group fill it. The rule takes limits away there, before run-time filters
//! are made of them.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::{ExecutionPlan, replace_children_if_necessary};

/// The rule that makes run-time filters, before which this has to be done.
pub(super) const BEFORE: &str = "FilterPushdown(Post)";

/// The rule.
#[derive(Debug)]
pub(super) struct WholeGroups;

impl PhysicalOptimizerRule for WholeGroups {
    fn name(&self) -> &str {
        "whole_groups"
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let whole = plan.transform_up(|node| {
            let Some(aggregate) = node.downcast_ref::<AggregateExec>() else { return Ok(Transformed::no(node)) };
            if !matches!(aggregate.mode(), AggregateMode::Final | AggregateMode::FinalPartitioned) {
                return Ok(Transformed::no(node));
            }
            match unlimited(aggregate.input())? {
                Some(input) => Ok(Transformed::yes(replace_children_if_necessary(node, vec![input])?)),
                None => Ok(Transformed::no(node)),
            }
        })?;
        Ok(whole.data)
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The plan down to the first half without limits; `None` if it has none.
fn unlimited(plan: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    if plan.is::<AggregateExec>() {
        return Ok(None);
    }
    let children = plan.children();
    let [child] = children.as_slice() else { return Ok(None) };
    let below = unlimited(child)?;
    let has_limit = plan.fetch().is_some();
    let plan = match below {
        Some(child) => replace_children_if_necessary(Arc::clone(plan), vec![child])?,
        None if has_limit => Arc::clone(plan),
        None => return Ok(None),
    };
    Ok(Some(if has_limit { plan.with_fetch(None).unwrap_or(plan) } else { plan }))
}

#[cfg(test)]
mod tests {
    use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;

    use super::*;

    #[test]
    fn the_rule_that_makes_filters_of_limits_is_there() {
        assert!(PhysicalOptimizer::new().rules.iter().any(|rule| rule.name() == BEFORE));
    }
}
