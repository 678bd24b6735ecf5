//! Subqueries in expressions.
//!
//! | form | becomes |
//! |---|---|
//! | scalar, correlated, maybe several rows | `single_value(x)` over it: fails at the second row |
//! | scalar, correlated, LIMIT 1 | `first_value(x ORDER BY ..)` over it |
//! | EXISTS, IN, op ANY, op ALL | DataFusion's expressions of these names |
//! | a row IN, LIKE ANY, .. | EXISTS of a row that fits, else NULL if one leaves it open |
//! | ARRAY(..) | `array_agg(x ORDER BY ..)` over it, empty instead of NULL |
//!
//! What of this DataFusion cannot make a join of is [unnested](super::unnest) when the plan around it is known.

use std::sync::Arc;

use datafusion::arrow::array::{ListArray, new_empty_array};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::TreeNode;
use datafusion::common::{Column, ScalarValue, Spans};
use datafusion::functions::core::expr_fn as core;
use datafusion::functions_aggregate::first_last::first_value_udaf;
use datafusion::functions_window::rank::rank_udwf;
use datafusion::functions_window::row_number::row_number_udwf;
use datafusion::logical_expr::expr::{AggregateFunction, Exists, InSubquery, SetComparison, SetQuantifier, WindowFunction};
use datafusion::logical_expr::{
    Aggregate, Case, Expr, JoinType, Limit, LogicalPlan, LogicalPlanBuilder, Operator, Projection, Sort, SortExpr, Subquery,
    WindowFunctionDefinition, WindowUDF, lit,
};
use datafusion::sql::sqlparser::ast::{self, Spanned};

use super::Binder;
use super::error::{at, plan_error};
use super::expression::{Place, row};
use super::kernels;
use super::operator::BinaryOp;
use super::query::Block;
use super::range::{Environment, Outer};
use super::select::filtered;
use super::typed::{Output, Typed};
use super::unnest::{Names, unnested};
use crate::error::{Error, ErrorKind, Result};
use crate::types::SqlType;

/// Wraps a plan as a subquery, with the columns of the outer query that it uses.
pub(super) fn subquery(plan: LogicalPlan) -> Subquery {
    Subquery { outer_ref_columns: plan.all_out_ref_exprs(), subquery: Arc::new(plan), spans: Spans::new() }
}

impl Binder<'_> {
    fn inner_block(&self, query: &ast::Query, place: Place<'_>) -> Result<Block> {
        let outer = Outer::around(&place);
        let environment = Environment { ctes: place.environment.ctes, outer: Some(&outer) };
        let block = self.block(query, &environment, &[])?;
        Ok(Block { plan: self.unnested(block.plan)?, ..block })
    }

    /// The plan with its own subqueries in a form that can be planned; only references to outer queries are left in it.
    pub(super) fn unnested(&self, plan: LogicalPlan) -> Result<LogicalPlan> {
        unnested(plan, &|base| self.unique(base))
    }

    fn single_column(&self, block: &Block, query: &ast::Query) -> Result<Output> {
        match block.outputs.as_slice() {
            [one] => Ok(one.clone()),
            _ => Err(at(Error::new(ErrorKind::Syntax, "subquery must return only one column"), query.span())),
        }
    }

    /// `(SELECT ..)` as a value.
    pub(super) fn scalar_subquery(&self, query: &ast::Query, place: Place<'_>) -> Result<Typed> {
        let block = self.inner_block(query, place)?;
        let output = self.single_column(&block, query)?;
        let correlated = !block.plan.all_out_ref_exprs().is_empty();
        let plan = if correlated { self.one_row(block, &output)? } else { self.maybe_missing(self.finish(block)?.0)? };
        let expr = Expr::ScalarSubquery(subquery(plan));
        Ok(Typed { expr, nullable: true, origin: None, ..output.value })
    }

    /// The only column of `plan` as one that may be NULL: DataFusion takes a scalar subquery without rows for its column's type.
    fn maybe_missing(&self, plan: LogicalPlan) -> Result<LogicalPlan> {
        let always = matches!(&plan, LogicalPlan::Aggregate(aggregate) if aggregate.group_expr.is_empty())
            || matches!(&plan, LogicalPlan::Projection(over)
                if matches!(over.input.as_ref(), LogicalPlan::Aggregate(aggregate) if aggregate.group_expr.is_empty()));
        let (column, field) = plan.schema().qualified_field(0);
        if always || field.is_nullable() {
            return Ok(plan);
        }
        let value = Expr::Column(Column::from((column, field))).alias(self.unique("value"));
        let joined = LogicalPlanBuilder::empty(true)
            .join_on(plan, JoinType::Left, [lit(true)])
            .and_then(LogicalPlanBuilder::build)
            .map_err(plan_error)?;
        projected(joined, vec![value])
    }

    /// A correlated subquery in a form that has one row for each outer row.
    fn one_row(&self, block: Block, output: &Output) -> Result<LogicalPlan> {
        let first = block.limit_value() == Some(1) && block.offset.is_none() && !block.ties;
        if block.plan.max_rows() == Some(1) && block.limit.is_none() && block.offset.is_none() {
            return self.finish(block).map(|(plan, _)| plan);
        }
        let column = output.value.expr.clone();
        if first {
            let function = AggregateFunction::new_udf(first_value_udaf(), vec![column], false, None, block.sort, None);
            return self.aggregated(block.plan, Expr::AggregateFunction(function));
        }
        let (plan, _) = self.finish_unordered(block)?;
        self.aggregated(plan, kernels::single_value(column))
    }

    /// One aggregate over all rows of a plan, under a new internal name.
    fn aggregated(&self, plan: LogicalPlan, aggregate: Expr) -> Result<LogicalPlan> {
        let name = aggregate.schema_name().to_string();
        let plan = Aggregate::try_new(Arc::new(plan), vec![], vec![aggregate]).map(LogicalPlan::Aggregate).map_err(plan_error)?;
        projected(plan, vec![Expr::Column(Column::new_unqualified(name)).alias(self.unique("value"))])
    }

    /// `[NOT] EXISTS (SELECT ..)`.
    pub(super) fn exists(&self, query: &ast::Query, negated: bool, place: Place<'_>) -> Result<Typed> {
        let block = self.inner_block(query, place)?;
        // Neither order nor a limit above zero changes whether there is a row.
        let harmless = block.offset.is_none() && (block.limit.is_none() || block.limit_value().is_some_and(|limit| limit > 0));
        let plan = if harmless { block.plan } else { self.finish_unordered(block)?.0 };
        self.exists_plan(plan, negated)
    }

    fn exists_plan(&self, plan: LogicalPlan, negated: bool) -> Result<Typed> {
        // Only whether there is a row counts. Output columns beside the correlated ones that the planner adds would make names ambiguous.
        let rows = match plan {
            LogicalPlan::Projection(projection) => Arc::unwrap_or_clone(projection.input),
            other => other,
        };
        // Its conditions may hold calls of the outer query's, which nobody has gone through yet.
        let plan = projected(self.unnested(rows)?, vec![lit(1_i64).alias(self.unique("row"))])?;
        Ok(Typed::new(Expr::Exists(Exists::new(subquery(plan), negated)), SqlType::Bool, false))
    }

    /// Whether `condition` holds for a row of `plan`: NULL if it is not known.
    fn holds_for_a_row(&self, plan: LogicalPlan, condition: Expr) -> Result<Typed> {
        let unknown = filtered(plan.clone(), Expr::IsNull(Box::new(condition.clone())))?;
        let (found, open) = (self.exists_plan(filtered(plan, condition)?, false)?, self.exists_plan(unknown, false)?);
        let branches =
            vec![(Box::new(found.expr), Box::new(lit(true))), (Box::new(open.expr), Box::new(lit(ScalarValue::Boolean(None))))];
        Ok(Typed::boolean(Expr::Case(Case::new(None, branches, Some(Box::new(lit(false)))))))
    }

    /// `value [NOT] IN (SELECT ..)`.
    pub(super) fn in_subquery(&self, left: &ast::Expr, query: &ast::Query, negated: bool, place: Place<'_>) -> Result<Typed> {
        if let Some(row) = row(left) {
            return self.row_in_subquery(&row, query, negated, place);
        }
        let value = self.expression(left, place)?;
        let block = self.inner_block(query, place)?;
        let output = match block.outputs.as_slice() {
            [one] => one.clone(),
            outputs => {
                let message = if outputs.len() > 1 { "subquery has too many columns" } else { "subquery has too few columns" };
                return Err(at(Error::new(ErrorKind::Syntax, message), query.span()));
            }
        };
        let (plan, _) = self.finish_unordered(block)?;
        let probe = output.value.clone();
        let (value, probe) = self.typed_beside(value, &probe).map_err(|error| at(error, left.span()))?;
        let changed = probe.expr != output.value.expr;
        let plan = if changed { projected(plan, vec![probe.expr.clone().alias(self.unique("value"))])? } else { plan };
        let within = InSubquery::new(Box::new(value.expr), subquery(plan), negated);
        Ok(Typed::new(Expr::InSubquery(within), SqlType::Bool, true))
    }

    /// `(a, b) IN (SELECT x, y ..)`.
    fn row_in_subquery(&self, row: &[&ast::Expr], query: &ast::Query, negated: bool, place: Place<'_>) -> Result<Typed> {
        let (plan, equal) = self.row_beside(row, Operator::Eq, query, place)?;
        let member = self.holds_for_a_row(plan, equal.expr)?;
        if negated { self.unary(ast::UnaryOperator::Not, member) } else { Ok(member) }
    }

    /// The rows of a subquery, and the comparison of `row` with one of them.
    fn row_beside(
        &self,
        row: &[&ast::Expr],
        operator: Operator,
        query: &ast::Query,
        place: Place<'_>,
    ) -> Result<(LogicalPlan, Typed)> {
        let values = row.iter().map(|element| self.expression(element, place)).collect::<Result<Vec<_>>>()?;
        let block = self.inner_block(query, place)?;
        let (plan, outputs) = self.finish_unordered(block)?;
        if outputs.len() != row.len() {
            let message = if outputs.len() > row.len() { "subquery has too many columns" } else { "subquery has too few columns" };
            return Err(at(Error::new(ErrorKind::Syntax, message), query.span()));
        }
        let pairs = values.into_iter().zip(outputs).map(|(value, output)| Ok((self.outer_reference(value)?, output.value)));
        let compared = self.compare_rows(operator, pairs.collect::<Result<_>>()?)?;
        Ok((plan, compared))
    }

    /// `(a, b) op (SELECT x, y ..)`: NULL without a row, an error for several.
    pub(super) fn row_against_subquery(
        &self,
        row: &[&ast::Expr],
        operator: &BinaryOp,
        query: &ast::Query,
        place: Place<'_>,
    ) -> Result<Typed> {
        let BinaryOp::Compare(operator) = operator else { return Err(Error::unsupported("this operator between rows")) };
        let (plan, compared) = self.row_beside(row, *operator, query, place)?;
        let value = compared.expr.alias(self.unique("value"));
        let plan = projected(plan, vec![value])?;
        let column = plan.schema().columns().into_iter().next().ok_or_else(|| Error::internal("a comparison without a column"))?;
        let plan = self.aggregated(plan, kernels::single_value(Expr::Column(column)))?;
        Ok(Typed::new(Expr::ScalarSubquery(subquery(plan)), SqlType::Bool, true))
    }

    /// `(a, b) op ANY (SELECT x, y ..)`, `(a, b) op ALL (SELECT x, y ..)`.
    fn quantified_row(
        &self,
        row: &[&ast::Expr],
        operator: Operator,
        query: &ast::Query,
        all: bool,
        place: Place<'_>,
    ) -> Result<Typed> {
        let (plan, compared) = self.row_beside(row, operator, query, place)?;
        if !all {
            return self.holds_for_a_row(plan, compared.expr);
        }
        let against = self.holds_for_a_row(plan, Expr::Not(Box::new(compared.expr)))?;
        self.unary(ast::UnaryOperator::Not, against)
    }

    /// `value op ANY (SELECT ..)`, `value op ALL (SELECT ..)`.
    pub(super) fn quantified_subquery(
        &self,
        left: &ast::Expr,
        operator: &BinaryOp,
        query: &ast::Query,
        all: bool,
        place: Place<'_>,
    ) -> Result<Typed> {
        match (operator, all) {
            (BinaryOp::Compare(Operator::Eq), false) => return self.in_subquery(left, query, false, place),
            (BinaryOp::Compare(Operator::NotEq), true) => return self.in_subquery(left, query, true, place),
            _ => {}
        }
        if let Some(row) = row(left) {
            let BinaryOp::Compare(operator) = operator else { return Err(Error::unsupported("this operator between rows")) };
            return self.quantified_row(&row, *operator, query, all, place);
        }
        let value = self.expression(left, place)?;
        let block = self.inner_block(query, place)?;
        let output = self.single_column(&block, query)?;
        let (plan, _) = self.finish_unordered(block)?;
        let BinaryOp::Compare(compare) = operator else {
            return self.quantified_rows(value, operator, plan, output.value, all).map_err(|error| at(error, left.span()));
        };
        let (value, probe) = self.typed_beside(value, &output.value).map_err(|error| at(error, left.span()))?;
        let plan =
            if probe.expr == output.value.expr { plan } else { projected(plan, vec![probe.expr.alias(self.unique("value"))])? };
        let quantifier = if all { SetQuantifier::All } else { SetQuantifier::Any };
        let comparison = SetComparison::new(Box::new(value.expr), subquery(plan), *compare, quantifier);
        Ok(Typed::new(Expr::SetComparison(comparison), SqlType::Bool, true))
    }

    /// Any operator that gives a boolean, between `value` and each `element` of the rows of `plan`.
    fn quantified_rows(&self, value: Typed, operator: &BinaryOp, plan: LogicalPlan, element: Typed, all: bool) -> Result<Typed> {
        let value = self.outer_reference(value)?;
        let condition = self.binary(operator, value, element)?;
        let condition = self.condition(condition, if all { "ALL" } else { "ANY" })?.expr;
        if !all {
            return self.holds_for_a_row(plan, condition);
        }
        let against = self.holds_for_a_row(plan, Expr::Not(Box::new(condition)))?;
        self.unary(ast::UnaryOperator::Not, against)
    }

    /// The same over the elements of an array: NULL for NULL.
    pub(super) fn quantified_elements(&self, value: Typed, operator: &BinaryOp, array: Typed, all: bool) -> Result<Typed> {
        let missing = Expr::IsNull(Box::new(array.expr.clone()));
        let inner = self.outer_reference(array)?;
        let (sets, element) = self.elements_of(inner)?;
        let decided = self.quantified_rows(value, operator, sets, element, all)?;
        let branches = vec![(Box::new(missing), Box::new(lit(ScalarValue::Boolean(None))))];
        Ok(Typed::boolean(Expr::Case(Case::new(None, branches, Some(Box::new(decided.expr))))))
    }

    /// `ARRAY(SELECT ..)`.
    pub(super) fn array_subquery(&self, query: &ast::Query, place: Place<'_>) -> Result<Typed> {
        let block = self.inner_block(query, place)?;
        let output = self.single_column(&block, query)?;
        let limited = block.limit.is_some() || block.offset.is_some();
        let plan = if limited {
            limited_plan(&|base| self.unique(base), block.plan, block.sort.clone(), block.limit, block.offset, block.ties)?
        } else {
            block.plan
        };
        let aggregate = self.array_agg(output.value.expr.clone(), block.sort)?;
        let element = Arc::new(datafusion::arrow::datatypes::Field::new_list_field(output.value.data_type.clone(), true));
        let values = Expr::ScalarSubquery(subquery(self.aggregated(plan, aggregate)?));
        let empty =
            ListArray::try_new(Arc::clone(&element), OffsetBuffer::from_lengths([0]), new_empty_array(element.data_type()), None)
                .map_err(|error| Error::internal(error.to_string()))?;
        let expr = core::coalesce(vec![values, lit(ScalarValue::List(Arc::new(empty)))]);
        let array_type = match output.value.sql_type {
            array @ SqlType::Array(_) => array,
            scalar => SqlType::Array(Box::new(scalar)),
        };
        Ok(Typed { data_type: DataType::List(element), ..Typed::new(expr, array_type, false) })
    }

    fn array_agg(&self, column: Expr, order_by: Vec<datafusion::logical_expr::SortExpr>) -> Result<Expr> {
        let function = datafusion::functions_aggregate::array_agg::array_agg_udaf();
        Ok(Expr::AggregateFunction(AggregateFunction::new_udf(function, vec![column], false, None, order_by, None)))
    }
}

/// A projection.
pub(super) fn projected(plan: LogicalPlan, exprs: Vec<Expr>) -> Result<LogicalPlan> {
    Projection::try_new(exprs, Arc::new(plan)).map(LogicalPlan::Projection).map_err(plan_error)
}

/// Order, then limit.
pub(super) fn limited_plan(
    names: Names<'_>,
    plan: LogicalPlan,
    sort: Vec<SortExpr>,
    limit: Option<Expr>,
    offset: Option<Expr>,
    ties: bool,
) -> Result<LogicalPlan> {
    let counted =
        |bound: &Option<Expr>| matches!(bound, None | Some(Expr::Literal(..))) || bound.as_ref().is_some_and(is_parameter);
    if ties || !counted(&limit) || !counted(&offset) {
        return numbered_limit(names, plan, sort, limit, offset, ties);
    }
    let plan = if sort.is_empty() { plan } else { LogicalPlan::Sort(Sort { expr: sort, input: Arc::new(plan), fetch: None }) };
    if limit.is_none() && offset.is_none() {
        return Ok(plan);
    }
    Ok(LogicalPlan::Limit(Limit { skip: offset.map(Box::new), fetch: limit.map(Box::new), input: Arc::new(plan) }))
}

/// Parameters are constants when the query runs.
fn is_parameter(bound: &Expr) -> bool {
    !bound.contains_outer()
        && !bound
            .exists(|node| {
                Ok(matches!(node, Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_) | Expr::SetComparison(_)))
            })
            .unwrap_or(true)
}

/// A limit that is computed from rows, or that goes on among equal rows: conditions on the rows' numbers.
fn numbered_limit(
    names: Names<'_>,
    plan: LogicalPlan,
    sort: Vec<SortExpr>,
    limit: Option<Expr>,
    offset: Option<Expr>,
    ties: bool,
) -> Result<LogicalPlan> {
    let columns: Vec<Expr> = plan.schema().columns().into_iter().map(Expr::Column).collect();
    let window = |function: Arc<WindowUDF>| {
        let mut function = WindowFunction::new(WindowFunctionDefinition::WindowUDF(function), vec![]);
        function.params.order_by.clone_from(&sort);
        Expr::WindowFunction(Box::new(function))
    };
    let mut functions = vec![window(row_number_udwf())];
    if ties {
        functions.push(window(rank_udwf()));
    }
    let computed: Vec<String> = functions.iter().map(|function| function.schema_name().to_string()).collect();
    let plan = LogicalPlanBuilder::window_plan(plan, functions).map_err(plan_error)?;
    let named: Vec<String> = computed.iter().map(|_| names("number")).collect();
    let numbers =
        computed.iter().zip(&named).map(|(from, to)| number_of(Expr::Column(Column::new_unqualified(from.clone()))).alias(to));
    let mut plan = projected(plan, columns.iter().cloned().chain(numbers).collect())?;
    let column = |index: usize| named.get(index).map(|name| Expr::Column(Column::new_unqualified(name.clone())));
    let (Some(number), last) = (column(0), column(1)) else { return Err(Error::internal("a limit without numbers")) };
    let skipped = offset.map(|offset| kernels::bound_of(offset, false));
    if let Some(limit) = limit {
        let limit = kernels::bound_of(limit, true);
        let end = match &skipped {
            Some(skipped) => kernels::add(core::coalesce(vec![skipped.clone(), lit(0_i64)]), limit.clone()),
            None => limit.clone(),
        };
        let mut within = Expr::IsNotFalse(Box::new(last.unwrap_or_else(|| number.clone()).lt_eq(end)));
        if ties {
            within = within.and(Expr::IsNotFalse(Box::new(limit.gt(lit(0_i64)))));
        }
        plan = filtered(plan, within)?;
    }
    if let Some(skipped) = skipped {
        plan = filtered(plan, Expr::IsNotFalse(Box::new(number.clone().gt(skipped))))?;
    }
    let in_order = LogicalPlan::Sort(Sort { expr: vec![SortExpr::new(number, true, false)], input: Arc::new(plan), fetch: None });
    projected(in_order, columns)
}

fn number_of(number: Expr) -> Expr {
    super::coerce::cast_expr(number, &DataType::Int64)
}
