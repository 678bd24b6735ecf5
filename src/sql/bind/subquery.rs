//! Subqueries in expressions.
//!
//! DataFusion plans some forms as joins and refuses the rest, so each form is brought to one that it plans:
//!
//! | form | in a filter | elsewhere |
//! |---|---|---|
//! | scalar, correlated, maybe several rows | `single_value(x)` over it: fails at the second row | same |
//! | scalar, correlated, LIMIT 1 | `first_value(x ORDER BY ..)` over it | same |
//! | EXISTS | EXISTS | `count(*) > 0` |
//! | IN | IN | over an array of the values |
//! | ARRAY(..) | `array_agg(x ORDER BY ..)` over it, empty instead of NULL | same |

use std::sync::Arc;

use datafusion::arrow::array::{ListArray, new_empty_array};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Column, ScalarValue, Spans};
use datafusion::functions::core::expr_fn as core;
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::functions_aggregate::first_last::first_value_udaf;
use datafusion::functions_nested::expr_fn as nested;
use datafusion::logical_expr::expr::{AggregateFunction, Exists, InSubquery, SetComparison, SetQuantifier};
use datafusion::logical_expr::{Aggregate, Case, Expr, Limit, LogicalPlan, Operator, Projection, Sort, Subquery, lit};
use datafusion::sql::sqlparser::ast::{self, Spanned};

use super::Binder;
use super::correlation::eased;
use super::error::{at, plan_error};
use super::expression::{Place, unnested};
use super::kernels;
use super::operator::{BinaryOp, binary_expr};
use super::query::Block;
use super::range::{Environment, Outer};
use super::typed::{Output, Typed};
use crate::catalog::types::SqlType;
use crate::error::{Error, ErrorKind, Result};

/// Wraps a plan as a subquery, with the columns of the outer query that it uses.
pub(super) fn subquery(plan: LogicalPlan) -> Subquery {
    Subquery { outer_ref_columns: plan.all_out_ref_exprs(), subquery: Arc::new(plan), spans: Spans::new() }
}

impl Binder<'_> {
    fn inner_block(&self, query: &ast::Query, place: Place<'_>) -> Result<Block> {
        let outer = Outer { range: place.range, next: place.environment.outer };
        let environment = Environment { ctes: place.environment.ctes, outer: Some(&outer) };
        self.block(query, &environment, &[])
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
        let plan = if correlated { self.one_row(block, &output)? } else { self.finish(block)?.0 };
        let expr = Expr::ScalarSubquery(subquery(plan));
        Ok(Typed { expr, nullable: true, origin: None, ..output.value })
    }

    /// A correlated subquery in a form that has one row for each outer row.
    fn one_row(&self, block: Block, output: &Output) -> Result<LogicalPlan> {
        let limited = match block.limit_value() {
            None => block.limit.is_some(),
            Some(limit) => {
                if limit == 0 {
                    let null = ScalarValue::try_from(&output.value.data_type).unwrap_or(ScalarValue::Null);
                    let empty = LogicalPlan::EmptyRelation(datafusion::logical_expr::EmptyRelation {
                        produce_one_row: true,
                        schema: Arc::new(datafusion::common::DFSchema::empty()),
                    });
                    return projected(empty, vec![lit(null).alias(self.unique("#value"))]);
                }
                limit > 1
            }
        };
        if limited || block.offset.is_some() {
            return Err(Error::unsupported("LIMIT above one or OFFSET in a correlated subquery"));
        }
        if block.plan.max_rows() == Some(1) {
            return self.finish(Block { limit: None, ..block }).map(|(plan, _)| plan);
        }
        let column = output.value.expr.clone();
        let aggregate = if block.limit.is_some() {
            Expr::AggregateFunction(AggregateFunction::new_udf(first_value_udaf(), vec![column], false, None, block.sort, None))
        } else {
            kernels::single_value(column)
        };
        self.aggregated(block.plan, aggregate)
    }

    /// One aggregate over all rows of a plan, under a new internal name.
    fn aggregated(&self, plan: LogicalPlan, aggregate: Expr) -> Result<LogicalPlan> {
        let name = aggregate.schema_name().to_string();
        let plan = eased(plan, || self.unique("#true"))?;
        let plan = Aggregate::try_new(Arc::new(plan), vec![], vec![aggregate]).map(LogicalPlan::Aggregate).map_err(plan_error)?;
        projected(plan, vec![Expr::Column(Column::new_unqualified(name)).alias(self.unique("#value"))])
    }

    fn counted(&self, plan: LogicalPlan) -> Result<LogicalPlan> {
        let count = AggregateFunction::new_udf(count_udaf(), vec![lit(1_i64)], false, None, vec![], None);
        self.aggregated(plan, Expr::AggregateFunction(count))
    }

    /// `[NOT] EXISTS (SELECT ..)`.
    pub(super) fn exists(&self, query: &ast::Query, negated: bool, place: Place<'_>) -> Result<Typed> {
        let block = self.inner_block(query, place)?;
        if block.limit_value() == Some(0) {
            return Ok(Typed::constant(ScalarValue::Boolean(Some(negated)), SqlType::Bool));
        }
        // Neither order nor a limit above zero changes whether there is a row.
        let plan = if block.offset.is_none() { block.plan } else { self.finish(block)?.0 };
        self.exists_plan(plan, negated, place)
    }

    fn exists_plan(&self, plan: LogicalPlan, negated: bool, place: Place<'_>) -> Result<Typed> {
        if place.filter && place.inside.is_none() {
            // Only whether there is a row counts. Output columns beside the correlated ones that the planner adds would make names ambiguous.
            let rows = match plan {
                LogicalPlan::Projection(projection) => Arc::unwrap_or_clone(projection.input),
                other => other,
            };
            let plan = projected(rows, vec![lit(1_i64).alias(self.unique("#row"))])?;
            let exists = Exists::new(subquery(plan), negated);
            return Ok(Typed::new(Expr::Exists(exists), SqlType::Bool, false));
        }
        let count = Expr::ScalarSubquery(subquery(self.counted(plan)?));
        let operator = if negated { Operator::Eq } else { Operator::Gt };
        Ok(Typed::new(binary_expr(count, operator, lit(0_i64)), SqlType::Bool, false))
    }

    /// `value [NOT] IN (SELECT ..)`.
    pub(super) fn in_subquery(&self, left: &ast::Expr, query: &ast::Query, negated: bool, place: Place<'_>) -> Result<Typed> {
        if let ast::Expr::Tuple(row) = unnested(left) {
            return self.row_in_subquery(row, query, negated, place);
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
        let plan = if changed { projected(plan, vec![probe.expr.clone().alias(self.unique("#value"))])? } else { plan };
        if place.filter && place.inside.is_none() {
            let within = InSubquery::new(Box::new(value.expr), subquery(plan), negated);
            return Ok(Typed::new(Expr::InSubquery(within), SqlType::Bool, true));
        }
        if !plan.all_out_ref_exprs().is_empty() {
            return Err(at(
                Error::unsupported("IN with a correlated subquery outside of WHERE")
                    .with_hint("Use EXISTS, or move the condition to WHERE."),
                query.span(),
            ));
        }
        let member = self.in_values(value, plan, &probe)?;
        if negated { self.unary(ast::UnaryOperator::Not, member) } else { Ok(member) }
    }

    /// Membership as a value, with the NULLs of three-valued logic.
    fn in_values(&self, value: Typed, plan: LogicalPlan, probe: &Typed) -> Result<Typed> {
        let column = first_column(&plan);
        let rows = Expr::ScalarSubquery(subquery(self.counted(plan.clone())?));
        let nulls_plan = LogicalPlan::Filter(
            datafusion::logical_expr::Filter::try_new(Expr::IsNull(Box::new(column.clone())), Arc::new(plan.clone()))
                .map_err(plan_error)?,
        );
        let nulls = Expr::ScalarSubquery(subquery(self.counted(nulls_plan)?));
        let aggregate = self.array_agg(column, vec![])?;
        let values = Expr::ScalarSubquery(subquery(self.aggregated(plan, aggregate)?));
        let _ = probe;
        let found = nested::array_has(values, value.expr.clone());
        let some_rows = binary_expr(rows, Operator::Gt, lit(0_i64));
        let some_null = binary_expr(nulls, Operator::Gt, lit(0_i64));
        let undecided = some_rows.and(Expr::IsNull(Box::new(value.expr)).or(some_null));
        let case = Case::new(
            None,
            vec![(
                Box::new(undecided.clone().and(Expr::IsNotTrue(Box::new(found.clone())))),
                Box::new(lit(ScalarValue::Boolean(None))),
            )],
            Some(Box::new(Expr::IsTrue(Box::new(found)))),
        );
        Ok(Typed::new(Expr::Case(case), SqlType::Bool, true))
    }

    /// `(a, b) IN (SELECT x, y ..)`.
    fn row_in_subquery(&self, row: &[ast::Expr], query: &ast::Query, negated: bool, place: Place<'_>) -> Result<Typed> {
        if negated {
            return Err(at(Error::unsupported("NOT IN with a row").with_hint("Use NOT EXISTS."), query.span()));
        }
        let block = self.inner_block(query, place)?;
        let (plan, outputs) = self.finish_unordered(block)?;
        if outputs.len() != row.len() {
            let message = if outputs.len() > row.len() { "subquery has too many columns" } else { "subquery has too few columns" };
            return Err(at(Error::new(ErrorKind::Syntax, message), query.span()));
        }
        let mut pairs = vec![];
        for (element, output) in row.iter().zip(&outputs) {
            let value = self.expression(element, place)?;
            pairs.push((output.value.clone(), self.outer_reference(value)?));
        }
        let equal = self.compare_rows(Operator::Eq, pairs)?;
        let filtered =
            datafusion::logical_expr::Filter::try_new(equal.expr, Arc::new(plan)).map(LogicalPlan::Filter).map_err(plan_error)?;
        self.exists_plan(filtered, false, place)
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
        let BinaryOp::Compare(compare) = operator else {
            return Err(at(Error::unsupported("this operator with ANY or ALL over a subquery"), query.span()));
        };
        if !place.filter || place.inside.is_some() {
            return Err(at(Error::unsupported("ANY or ALL over a subquery outside of WHERE"), query.span()));
        }
        let value = self.expression(left, place)?;
        let block = self.inner_block(query, place)?;
        let output = self.single_column(&block, query)?;
        let (plan, _) = self.finish_unordered(block)?;
        let (value, probe) = self.typed_beside(value, &output.value).map_err(|error| at(error, left.span()))?;
        let plan =
            if probe.expr == output.value.expr { plan } else { projected(plan, vec![probe.expr.alias(self.unique("#value"))])? };
        let quantifier = if all { SetQuantifier::All } else { SetQuantifier::Any };
        let comparison = SetComparison::new(Box::new(value.expr), subquery(plan), *compare, quantifier);
        Ok(Typed::new(Expr::SetComparison(comparison), SqlType::Bool, true))
    }

    /// `ARRAY(SELECT ..)`.
    pub(super) fn array_subquery(&self, query: &ast::Query, place: Place<'_>) -> Result<Typed> {
        let block = self.inner_block(query, place)?;
        let output = self.single_column(&block, query)?;
        let limited = block.limit.is_some() || block.offset.is_some();
        let plan = if limited { limited_plan(block.plan, block.sort.clone(), block.limit, block.offset)? } else { block.plan };
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

/// The only column of a plan.
fn first_column(plan: &LogicalPlan) -> Expr {
    let (qualifier, field) = plan.schema().qualified_field(0);
    Expr::Column(Column::from((qualifier, field)))
}

/// A projection.
pub(super) fn projected(plan: LogicalPlan, exprs: Vec<Expr>) -> Result<LogicalPlan> {
    Projection::try_new(exprs, Arc::new(plan)).map(LogicalPlan::Projection).map_err(plan_error)
}

/// Order, then limit.
pub(super) fn limited_plan(
    plan: LogicalPlan,
    sort: Vec<datafusion::logical_expr::SortExpr>,
    limit: Option<Expr>,
    offset: Option<Expr>,
) -> Result<LogicalPlan> {
    let plan = if sort.is_empty() { plan } else { LogicalPlan::Sort(Sort { expr: sort, input: Arc::new(plan), fetch: None }) };
    if limit.is_none() && offset.is_none() {
        return Ok(plan);
    }
    Ok(LogicalPlan::Limit(Limit { skip: offset.map(Box::new), fetch: limit.map(Box::new), input: Arc::new(plan) }))
}
