//! Whether a reader could read by herself what a view or a function reads for her.
//!
//! What is lent out may become part of the reader's plan where that tells her nothing: she owns it, or it shows every row of what she sees of one
//! relation, or she may read every relation beneath, at every depth, and no policy leaves anything out of them. The last is asked here, of bound
//! plans; whether a policy is effective is known when they have been rewritten.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::{Expr, LogicalPlan};

use super::authorize::may_select;
use crate::catalog::CatalogSnapshot;
use crate::catalog::securable::ObjectId;
use crate::error::Result;
use crate::error::datafusion::from_datafusion;
use crate::sql::call::{OwnerCall, callee_of};
use crate::sql::source::{SecurableSource, SourceRelation};

/// Whether `reader` may read every relation of `plan`.
pub(super) fn is_read_by(snapshot: &CatalogSnapshot, reader: ObjectId, plan: &LogicalPlan) -> Result<bool> {
    Question { snapshot, reader }.plan(plan).map_err(|error| from_datafusion(error, false))
}

/// Whether `reader` may read every relation that `expr` asks.
pub(super) fn is_evaluated_by(snapshot: &CatalogSnapshot, reader: ObjectId, expr: &Expr) -> Result<bool> {
    Question { snapshot, reader }.expression(expr).map_err(|error| from_datafusion(error, false))
}

struct Question<'a> {
    snapshot: &'a CatalogSnapshot,
    reader: ObjectId,
}

impl Question<'_> {
    fn plan(&self, plan: &LogicalPlan) -> DataFusionResult<bool> {
        let mut readable = true;
        plan.apply_with_subqueries(|node| {
            readable = self.node(node)?;
            Ok(if readable { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
        })?;
        Ok(readable)
    }

    /// One node; its subqueries are visited as plans of their own.
    fn node(&self, node: &LogicalPlan) -> DataFusionResult<bool> {
        let relation = SecurableSource::of(node).map(|source| &source.relation);
        let mut readable = match relation {
            Some(SourceRelation::Table { relation, .. }) => may_select(self.snapshot, self.reader, relation.id),
            Some(SourceRelation::View { relation, body }) => {
                may_select(self.snapshot, self.reader, relation.id) && self.plan(body)?
            }
            // Their rows are the session's own.
            Some(SourceRelation::System(_) | SourceRelation::Function { .. } | SourceRelation::WorkTable { .. }) | None => true,
        };
        if let Some(call) = OwnerCall::of(node) {
            readable = readable && self.expression(&call.callee.body().value)?;
        }
        node.apply_expressions(|expr| {
            readable = readable && self.calls(expr)?;
            Ok(if readable { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
        })?;
        Ok(readable)
    }

    fn expression(&self, expr: &Expr) -> DataFusionResult<bool> {
        let mut readable = self.calls(expr)?;
        expr.apply(|node| {
            let subquery = match node {
                Expr::ScalarSubquery(subquery) => Some(subquery),
                Expr::Exists(exists) => Some(&exists.subquery),
                Expr::InSubquery(within) => Some(&within.subquery),
                Expr::SetComparison(comparison) => Some(&comparison.subquery),
                _ => None,
            };
            if let Some(subquery) = subquery {
                readable = readable && self.plan(&subquery.subquery)?;
            }
            Ok(if readable { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
        })?;
        Ok(readable)
    }

    /// Calls in an expression that are not nodes yet.
    fn calls(&self, expr: &Expr) -> DataFusionResult<bool> {
        let mut readable = true;
        expr.apply(|node| {
            if let Some((callee, _)) = callee_of(node) {
                readable = readable && self.expression(&callee.body().value)?;
            }
            Ok(if readable { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
        })?;
        Ok(readable)
    }
}
