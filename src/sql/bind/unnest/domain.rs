//! The distinct outer values that a subquery refers to: D.

use std::sync::Arc;

use datafusion::arrow::datatypes::FieldRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Column, ScalarValue};
use datafusion::error::Result;
use datafusion::functions::core::expr_fn::coalesce;
use datafusion::logical_expr::{Distinct, Expr, Filter, JoinType, LogicalPlan, LogicalPlanBuilder, Projection, lit};

use super::dependent::Dependent;
use super::{Names, columns_of, has, projection, refused};
use crate::sql::call;
use crate::sql::source::{SecurableSource, SourceRelation};

/// One outer value.
pub(super) struct Key {
    /// What the subquery calls it.
    pub(super) outer: Column,
    /// What it is outside: a column there, or a reference further out.
    reference: Expr,
    /// Its column in D.
    pub(super) name: String,
    pub(super) field: FieldRef,
}

impl Key {
    pub(super) fn column(&self) -> Expr {
        Expr::Column(Column::new_unqualified(&self.name))
    }
}

/// D, as a plan with one column a key.
pub(super) struct Domain {
    pub(super) plan: LogicalPlan,
    pub(super) keys: Vec<Key>,
}

impl Domain {
    /// The values of `references` in the rows of `outer`.
    ///
    /// # Errors
    /// 0A000 if they are volatile.
    pub(super) fn over(outer: &LogicalPlan, references: &[Expr], names: Names<'_>) -> Result<Domain> {
        let mut keys = vec![];
        for reference in references {
            let Expr::OuterReferenceColumn(field, column) = reference else { continue };
            keys.push(Key { outer: column.clone(), reference: reference.clone(), name: names("outer"), field: Arc::clone(field) });
        }
        if keys.is_empty() {
            return Ok(Domain { plan: LogicalPlanBuilder::empty(true).build()?, keys });
        }
        let source = unlimited(outer.clone())?;
        let exprs = keys.iter().map(|key| value_in(outer, key).alias(&key.name)).collect();
        let values = projection(source, exprs)?;
        if is_volatile(&values) {
            return Err(refused(
                "a correlated subquery over the result of a volatile function",
                "Store the result in a table first.",
            ));
        }
        for (key, field) in keys.iter_mut().zip(values.schema().fields()) {
            key.field = Arc::clone(field);
        }
        Ok(Domain { plan: LogicalPlan::Distinct(Distinct::All(Arc::new(values))), keys })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The keys as columns.
    pub(super) fn keys(&self) -> Vec<Expr> {
        self.keys.iter().map(Key::column).collect()
    }

    /// The subquery for all of D at once.
    pub(super) fn dependent(&self, plan: LogicalPlan, names: Names<'_>) -> Result<LogicalPlan> {
        Dependent::new(self, names).push(plan)
    }

    /// Conditions that tie the keys to the rows of `outer`.
    pub(super) fn joined_to(&self, outer: &LogicalPlan) -> Vec<Expr> {
        self.keys.iter().map(|key| same(key, value_in(outer, key), key.column())).collect()
    }
}

fn value_in(outer: &LogicalPlan, key: &Key) -> Expr {
    if has(outer, &key.outer) { Expr::Column(key.outer.clone()) } else { key.reference.clone() }
}

/// `left IS NOT DISTINCT FROM right` in plain equalities. DataFusion makes the keys of a join whose NULLs are equal from the operator itself, and
/// then treats every equality that its rules push into that join in the same way.
pub(super) fn same(key: &Key, left: Expr, right: Expr) -> Expr {
    if !key.field.is_nullable() {
        return left.eq(right);
    }
    let Ok(default) = ScalarValue::new_default(key.field.data_type()) else {
        return super::binary_expr(left, datafusion::logical_expr::Operator::IsNotDistinctFrom, right);
    };
    let or_default = |expr: &Expr| coalesce(vec![expr.clone(), lit(default.clone())]);
    let is_null = |expr: &Expr| Expr::IsNull(Box::new(expr.clone()));
    or_default(&left).eq(or_default(&right)).and(is_null(&left).eq(is_null(&right)))
}

/// At least the rows of `plan`: without the limits that could choose other rows when they are evaluated a second time.
fn unlimited(plan: LogicalPlan) -> Result<LogicalPlan> {
    let inner = |input: Arc<LogicalPlan>| unlimited(Arc::unwrap_or_clone(input)).map(Arc::new);
    Ok(match plan {
        LogicalPlan::Limit(limit) => unlimited(Arc::unwrap_or_clone(limit.input))?,
        LogicalPlan::Sort(sort) => unlimited(Arc::unwrap_or_clone(sort.input))?,
        LogicalPlan::Filter(filter) if call::is_volatile(&filter.predicate) => unlimited(Arc::unwrap_or_clone(filter.input))?,
        LogicalPlan::Filter(filter) => LogicalPlan::Filter(Filter::try_new(filter.predicate, inner(filter.input)?)?),
        LogicalPlan::Projection(over) => LogicalPlan::Projection(Projection::try_new(over.expr, inner(over.input)?)?),
        LogicalPlan::SubqueryAlias(alias) => {
            LogicalPlanBuilder::from(unlimited(Arc::unwrap_or_clone(alias.input))?).alias(alias.alias)?.build()?
        }
        LogicalPlan::Join(mut join) => {
            if join.join_type == JoinType::Inner {
                join.right = inner(join.right)?;
            }
            if matches!(join.join_type, JoinType::Inner | JoinType::Left | JoinType::LeftSemi) {
                join.left = inner(join.left)?;
            }
            LogicalPlan::Join(join)
        }
        LogicalPlan::TableScan(mut scan) => {
            if let Some(source) = scan.source.downcast_ref::<SecurableSource>()
                && let SourceRelation::View { relation, body } = &source.relation
            {
                let (relation, body) = (Arc::clone(relation), inner(Arc::clone(body))?);
                scan.source = Arc::new(SecurableSource { relation: SourceRelation::View { relation, body }, ..source.clone() });
            }
            LogicalPlan::TableScan(scan)
        }
        // A call adds a column to the rows of its input.
        LogicalPlan::Extension(call) => {
            let inputs = call.node.inputs().into_iter().map(|input| unlimited(input.clone())).collect::<Result<_>>()?;
            LogicalPlan::Extension(call.clone()).with_new_exprs(call.node.expressions(), inputs)?
        }
        other => other,
    })
}

/// Whether the plan may give other rows when it is evaluated a second time.
pub(in crate::sql::bind) fn is_volatile(plan: &LogicalPlan) -> bool {
    let mut own = plan.expressions().iter().any(call::is_volatile);
    let inside = plan.apply_subqueries(|subquery| {
        own |= is_volatile(subquery);
        Ok(TreeNodeRecursion::Continue)
    });
    own || inside.is_err() || plan.inputs().into_iter().chain(SecurableSource::view_body(plan).map(AsRef::as_ref)).any(is_volatile)
}

/// `plan` beside every value of D.
pub(super) fn crossed(domain: &Domain, plan: LogicalPlan) -> Result<LogicalPlan> {
    if domain.is_empty() {
        return Ok(plan);
    }
    match plan {
        LogicalPlan::EmptyRelation(empty) if empty.produce_one_row && empty.schema.fields().is_empty() => Ok(domain.plan.clone()),
        other => {
            let columns = columns_of(&other).into_iter().chain(domain.keys()).collect();
            let crossed = LogicalPlanBuilder::from(domain.plan.clone()).cross_join(other)?.build()?;
            projection(crossed, columns)
        }
    }
}
