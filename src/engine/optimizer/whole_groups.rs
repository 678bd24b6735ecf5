//! No limit between the two halves of an aggregate.
//!
//! DataFusion 55 moves a sort with a limit below an aggregate whose groups come out sorted (apache/datafusion#24927). There each group has a row for every
//! partition, so that `SELECT DISTINCT x .. ORDER BY x LIMIT 3` counted duplicates. What stands between the halves is made by the planner alone: no limit of a
//! statement's can be there.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::{ExecutionPlan, limit};

/// The rule.
#[derive(Debug)]
pub(super) struct WholeGroups;

impl PhysicalOptimizerRule for WholeGroups {
    fn name(&self) -> &str {
        "whole_groups"
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        whole(plan, false)
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The plan without limits between the halves of its aggregates; `between` is whether it stands there itself.
#[recursive::recursive]
fn whole(plan: Arc<dyn ExecutionPlan>, between: bool) -> Result<Arc<dyn ExecutionPlan>> {
    let between = match plan.downcast_ref::<AggregateExec>() {
        Some(aggregate) => matches!(aggregate.mode(), AggregateMode::Final | AggregateMode::FinalPartitioned),
        None => between,
    };
    let is_aggregate = plan.is::<AggregateExec>();
    let inputs = plan.children().into_iter().map(|input| whole(Arc::clone(input), between)).collect::<Result<Vec<_>>>()?;
    let plan = if inputs.is_empty() { plan } else { replace_children_if_necessary(plan, inputs)? };
    if !between || is_aggregate || plan.fetch().is_none() {
        return Ok(plan);
    }
    if plan.is::<limit::GlobalLimitExec>() || plan.is::<limit::LocalLimitExec>() {
        return Ok(plan.children().first().map_or_else(|| Arc::clone(&plan), |input| Arc::clone(input)));
    }
    Ok(plan.with_fetch(None).unwrap_or(plan))
}
