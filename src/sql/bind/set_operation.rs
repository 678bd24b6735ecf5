//! UNION, INTERSECT and EXCEPT.

use datafusion::common::{Column, NullEquality, TableReference};
use datafusion::functions_window::row_number::row_number_udwf;
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::{Expr, JoinType, LogicalPlan, LogicalPlanBuilder, WindowFunctionDefinition, lit};
use datafusion::sql::sqlparser::ast::{SetExpr, SetOperator, SetQuantifier, Spanned};
use datafusion::sql::sqlparser::tokenizer::Span;

use super::Binder;
use super::error::{at, plan_error};
use super::query::aliased_outputs;
use super::range::Environment;
use super::subquery::projected;
use super::typed::Output;
use crate::error::{Error, ErrorKind, Result};

impl Binder<'_> {
    pub(super) fn set_operation(
        &self,
        left: &SetExpr,
        op: SetOperator,
        quantifier: SetQuantifier,
        right: &SetExpr,
        environment: &Environment<'_>,
    ) -> Result<(LogicalPlan, Vec<Output>)> {
        let all = match quantifier {
            SetQuantifier::All => true,
            SetQuantifier::Distinct | SetQuantifier::None => false,
            SetQuantifier::ByName | SetQuantifier::AllByName | SetQuantifier::DistinctByName => {
                return Err(Error::unsupported("a set operation BY NAME"));
            }
        };
        let name = match op {
            SetOperator::Union => "UNION",
            SetOperator::Intersect => "INTERSECT",
            SetOperator::Except | SetOperator::Minus => "EXCEPT",
        };
        // A chain `a UNION b UNION c` is as deep as it is long, to the left; the planner's stack is made for that.
        let (left_plan, left_outputs) = self.arm(left, environment)?;
        let (right_plan, right_outputs) = self.arm(right, environment)?;
        if left_outputs.len() != right_outputs.len() {
            let message = format!("each {name} query must have the same number of columns");
            return Err(at(Error::new(ErrorKind::Syntax, message), first_output(right)));
        }
        let (mut left_plan, mut right_plan, outputs) = self.matched(left_plan, left_outputs, right_plan, right_outputs, name)?;
        if outputs.is_empty() {
            // Rows without columns are all equal.
            let marker = self.unique("row");
            left_plan = projected(left_plan, vec![lit(true).alias(&marker)])?;
            right_plan = projected(right_plan, vec![lit(true).alias(&marker)])?;
        }
        let plan = match (op, all) {
            (SetOperator::Union, true) => {
                LogicalPlanBuilder::from(left_plan).union(right_plan).and_then(LogicalPlanBuilder::build).map_err(plan_error)?
            }
            (SetOperator::Union, false) => LogicalPlanBuilder::from(left_plan)
                .union_distinct(right_plan)
                .and_then(LogicalPlanBuilder::build)
                .map_err(plan_error)?,
            (SetOperator::Intersect, _) => self.filtered_set(left_plan, right_plan, JoinType::LeftSemi, all)?,
            (SetOperator::Except | SetOperator::Minus, _) => self.filtered_set(left_plan, right_plan, JoinType::LeftAnti, all)?,
        };
        let plan = if outputs.is_empty() { projected(plan, vec![])? } else { plan };
        Ok((plan, outputs))
    }

    pub(super) fn arm(&self, body: &SetExpr, environment: &Environment<'_>) -> Result<(LogicalPlan, Vec<Output>)> {
        match body {
            // Untyped literals of an arm take the other arm's type.
            SetExpr::Select(select) => {
                let block = self.select_untyped(select, environment)?;
                self.finish(block)
            }
            other => self.set_expression(other, environment, &[]),
        }
    }

    /// Both arms with the same types and the left one's names.
    fn matched(
        &self,
        left_plan: LogicalPlan,
        left: Vec<Output>,
        right_plan: LogicalPlan,
        right: Vec<Output>,
        name: &str,
    ) -> Result<(LogicalPlan, LogicalPlan, Vec<Output>)> {
        let mut left_values = vec![];
        let mut right_values = vec![];
        for (left, right) in left.iter().zip(right) {
            let common = self.common_type(&[&left.value, &right.value], name)?;
            let mut left_value = self.to_common(left.value.clone(), &common)?;
            let mut right_value = self.to_common(right.value, &common)?;
            left_value.nullable |= right_value.nullable;
            if left_value.origin != right_value.origin {
                left_value.origin = None;
            }
            right_value.nullable = left_value.nullable;
            left_values.push(Output { name: left.name.clone(), value: left_value });
            right_values.push(Output { name: left.name.clone(), value: right_value });
        }
        let names = self.column_names(&left_values, false);
        let (left_exprs, outputs) = aliased_outputs(left_values, names.clone());
        let (right_exprs, _) = aliased_outputs(right_values, names);
        Ok((projected(left_plan, left_exprs)?, projected(right_plan, right_exprs)?, outputs))
    }

    /// INTERSECT and EXCEPT as joins on all columns. For ALL each row is numbered among its equals, so that the numbers decide how
    /// many of them are left.
    fn filtered_set(&self, left: LogicalPlan, right: LogicalPlan, join_type: JoinType, all: bool) -> Result<LogicalPlan> {
        let names: Vec<String> = left.schema().fields().iter().map(|field| field.name().clone()).collect();
        let (left, right) = if all {
            (self.numbered(left)?, self.numbered(right)?)
        } else {
            (LogicalPlanBuilder::from(left).distinct().and_then(LogicalPlanBuilder::build).map_err(plan_error)?, right)
        };
        let (left_name, right_name) = (TableReference::bare(self.unique("left")), TableReference::bare(self.unique("right")));
        let keys = |reference: &TableReference, plan: &LogicalPlan| -> Vec<Column> {
            plan.schema().fields().iter().map(|field| Column::new(Some(reference.clone()), field.name())).collect()
        };
        let (left_keys, right_keys) = (keys(&left_name, &left), keys(&right_name, &right));
        let right = LogicalPlanBuilder::from(right).alias(right_name).and_then(LogicalPlanBuilder::build).map_err(plan_error)?;
        let joined = LogicalPlanBuilder::from(left)
            .alias(left_name.clone())
            .and_then(|left| left.join_detailed(right, join_type, (left_keys, right_keys), None, NullEquality::NullEqualsNull))
            .and_then(LogicalPlanBuilder::build)
            .map_err(plan_error)?;
        let exprs =
            names.into_iter().map(|name| Expr::Column(Column::new(Some(left_name.clone()), name.clone())).alias(name)).collect();
        projected(joined, exprs)
    }

    fn numbered(&self, plan: LogicalPlan) -> Result<LogicalPlan> {
        let columns: Vec<Expr> = plan.schema().columns().into_iter().map(Expr::Column).collect();
        let mut function = WindowFunction::new(WindowFunctionDefinition::WindowUDF(row_number_udwf()), vec![]);
        function.params.partition_by = columns.clone();
        let number = Expr::WindowFunction(Box::new(function));
        let name = number.schema_name().to_string();
        let plan = LogicalPlanBuilder::window_plan(plan, [number]).map_err(plan_error)?;
        let number = Expr::Column(Column::new_unqualified(name)).alias(self.unique("number"));
        projected(plan, columns.into_iter().chain([number]).collect())
    }
}

/// Where the first output column of a query stands, which is where PostgreSQL points.
fn first_output(body: &SetExpr) -> Span {
    match body {
        SetExpr::Select(select) => select.projection.first().map_or_else(|| body.span(), Spanned::span),
        SetExpr::Query(query) => first_output(&query.body),
        SetExpr::SetOperation { left, .. } => first_output(left),
        _ => body.span(),
    }
}
