//! Joins over `IS NOT DISTINCT FROM`, made into joins by key at the very end.
//!
//! DataFusion makes a key of `a.k IS NOT DISTINCT FROM b.k` early and marks the whole join: NULL equals NULL in it. Rules that run later do not
//! look at the mark. They put `a.x = b.x` of a WHERE among the keys, and they merge the join with its neighbours under one mark for
//! the keys of all, so that NULLs match where they must not. So the optimiser sees such a test as a condition like any other, and
//! [`NullEqualKeys`] makes a key of it when no rule is left that could add another.
//!
//! INTERSECT and EXCEPT are bound to joins with the mark. They have no other condition, and no rule merges semi and anti joins.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::NullEquality;
use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::execution::context::QueryPlanner;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{BinaryExpr, Expr, Join, LogicalPlan, Operator};
use datafusion::optimizer::extract_equijoin_predicate::ExtractEquijoinPredicate;
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerContext, OptimizerRule};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{DefaultPhysicalPlanner, PhysicalPlanner};

use super::equal_keys::keyed_join;
use super::guards::guarded;
use crate::governance::GovernedCalls;

/// DataFusion's rule that makes keys of conditions, for plain equality only.
#[derive(Debug, Default)]
pub(super) struct PlainKeys(ExtractEquijoinPredicate);

impl OptimizerRule for PlainKeys {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let before = match &plan {
            LogicalPlan::Join(join) if matches_nulls(join) => plan.clone(),
            _ => return self.0.rewrite(plan, config),
        };
        let keyed = self.0.rewrite(plan, config)?;
        let marked = matches!(&keyed.data, LogicalPlan::Join(join) if join.null_equality == NullEquality::NullEqualsNull);
        Ok(if marked { Transformed::no(before) } else { keyed })
    }
}

/// Plans what the optimiser has left, with guards that hold and with keys of `IS NOT DISTINCT FROM` where a join has no others.
#[derive(Debug)]
pub(super) struct NullEqualKeys;

#[async_trait]
impl QueryPlanner for NullEqualKeys {
    async fn create_physical_plan(&self, plan: &LogicalPlan, session: &dyn Session) -> Result<Arc<dyn ExecutionPlan>> {
        let planner = DefaultPhysicalPlanner::with_extension_planners(vec![Arc::new(GovernedCalls)]);
        let plan = guarded(plan.clone())?.transform_up_with_subqueries(|node| match node {
            LogicalPlan::Join(join) => keyed_join(join),
            other => Ok(Transformed::no(other)),
        })?;
        let plan = plan.data;
        if !has_null_equal_test(&plan)? {
            return planner.create_physical_plan(&plan, session).await;
        }
        let (rule, context) = (ExtractEquijoinPredicate::new(), OptimizerContext::new());
        let keyed = plan.transform_up_with_subqueries(|node| match &node {
            LogicalPlan::Join(join) if matches_nulls(join) => rule.rewrite(node, &context),
            _ => Ok(Transformed::no(node)),
        })?;
        planner.create_physical_plan(&keyed.data, session).await
    }
}

fn has_null_equal_test(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        found = matches!(node, LogicalPlan::Join(join) if matches_nulls(join));
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}

/// Whether a condition of the join is `IS NOT DISTINCT FROM`.
fn matches_nulls(join: &Join) -> bool {
    let is_null_equal = |expr: &Expr| matches!(expr, Expr::BinaryExpr(BinaryExpr { op: Operator::IsNotDistinctFrom, .. }));
    join.filter.as_ref().is_some_and(|filter| split_conjunction(filter).into_iter().any(is_null_equal))
}
