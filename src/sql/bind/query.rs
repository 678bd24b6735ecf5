//! Queries: WITH, set operations, VALUES, ORDER BY, LIMIT.
//!
//! Every query is first a [`Block`]: its rows with (maybe) hidden columns to sort by, and order and limit apart from them, because a
//! subquery in an expression needs the parts (see [`subquery`](super::subquery)). Output columns have internal names that are unique
//! within the query; what clients see as names is kept beside them.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::arrow::datatypes::Schema;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, NullEquality, ScalarValue, TableReference};
use datafusion::functions_window::row_number::row_number_udwf;
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::{Expr, JoinType, LogicalPlan, LogicalPlanBuilder, SortExpr, WindowFunctionDefinition};
use datafusion::sql::sqlparser::ast::{self, OrderByKind, SetExpr, SetOperator, SetQuantifier, Spanned};
use datafusion::sql::sqlparser::tokenizer::Span;

use super::Binder;
use super::coerce::{Family, family};
use super::error::{at, folded, plan_error};
use super::expression::{Clause, Place};
use super::range::{Cte, Environment, Range};
use super::subquery::{limited_plan, projected};
use super::typed::{Output, Typed};
use crate::error::{Error, ErrorKind, Result};
use crate::sql::call::callee_of;
use crate::sql::internal_name::is_plain;
use crate::sql::source::{SecurableSource, SourceRelation};
use crate::types::SqlType;

/// The columns that a query's output is assigned to: INSERT's.
pub(super) type Targets<'t> = &'t [(String, SqlType)];

/// A bound query, before order and limit.
#[derive(Debug)]
pub(super) struct Block {
    /// The rows: the output columns, then hidden columns that `sort` uses.
    pub(super) plan: LogicalPlan,
    /// The output columns; each value is an unqualified column of `plan`.
    pub(super) outputs: Vec<Output>,
    pub(super) sort: Vec<SortExpr>,
    pub(super) limit: Option<Expr>,
    pub(super) offset: Option<Expr>,
}

impl Block {
    /// The limit, if it is a constant.
    pub(super) fn limit_value(&self) -> Option<i64> {
        match &self.limit {
            Some(Expr::Literal(ScalarValue::Int64(value), _)) => *value,
            _ => None,
        }
    }
}

/// A key of ORDER BY or DISTINCT ON over a select list.
pub(super) enum Key {
    /// An output column, by position.
    Output(usize),
    /// Another expression over the input.
    Input(Typed),
}

impl Binder<'_> {
    /// A statement's query.
    pub(super) fn statement(&self, query: &ast::Query, targets: Targets<'_>) -> Result<(LogicalPlan, Vec<Output>)> {
        let block = self.block(query, &Environment::EMPTY, targets)?;
        if !targets.is_empty() && targets.len() != block.outputs.len() {
            let more = if block.outputs.len() > targets.len() {
                "expressions than target columns"
            } else {
                "target columns than expressions"
            };
            return Err(Error::new(ErrorKind::Syntax, format!("INSERT has more {more}")));
        }
        let (plan, outputs) = self.finish(block)?;
        let plan = self.unnested(plan)?;
        if targets.is_empty() {
            return Ok((plan, outputs));
        }
        let assigned = outputs
            .into_iter()
            .zip(targets)
            .map(|(output, target)| Ok(Output { name: target.0.clone(), value: self.assigned(output.value, target)? }))
            .collect::<Result<Vec<_>>>()?;
        self.projection(plan, assigned)
    }

    /// A query inside another one: its rows in order, its output columns under internal names.
    pub(super) fn subquery_plan(&self, query: &ast::Query, environment: &Environment<'_>) -> Result<(LogicalPlan, Vec<Output>)> {
        let block = self.block(query, environment, &[])?;
        self.finish(block)
    }

    /// Puts order and limit onto a block and drops its hidden columns.
    pub(super) fn finish(&self, block: Block) -> Result<(LogicalPlan, Vec<Output>)> {
        let hidden = block.plan.schema().fields().len() > block.outputs.len();
        let plan = limited_plan(block.plan, block.sort, block.limit, block.offset)?;
        let plan =
            if hidden { projected(plan, block.outputs.iter().map(|output| output.value.expr.clone()).collect())? } else { plan };
        Ok((plan, block.outputs))
    }

    /// The same where order does not matter, unless there is a limit.
    pub(super) fn finish_unordered(&self, block: Block) -> Result<(LogicalPlan, Vec<Output>)> {
        let ordered = block.limit.is_some() || block.offset.is_some();
        let sort = if ordered { block.sort } else { vec![] };
        self.finish(Block { sort, ..block })
    }

    /// Binds a query.
    pub(super) fn block(&self, query: &ast::Query, environment: &Environment<'_>, targets: Targets<'_>) -> Result<Block> {
        let mut ctes = environment.ctes.to_vec();
        if let Some(with) = &query.with {
            self.with(with, &mut ctes, environment)?;
        }
        let environment = Environment { ctes: &ctes, outer: environment.outer };
        let order_by = order_keys(query)?;
        let mut block = match query.body.as_ref() {
            SetExpr::Select(select) => self.select(select, order_by, &environment, targets)?,
            body => {
                let (plan, outputs) = self.set_expression(body, &environment, targets)?;
                self.ordered(plan, outputs, order_by, &environment)?
            }
        };
        let (limit, offset) = self.limits(query, &environment)?;
        if limit.is_some() || offset.is_some() {
            if block.limit.is_some() || block.offset.is_some() {
                let (plan, outputs) = self.finish(block)?;
                block = Block { plan, outputs, sort: vec![], limit: None, offset: None };
            }
            block.limit = limit;
            block.offset = offset;
        }
        Ok(block)
    }

    fn limits(&self, query: &ast::Query, environment: &Environment<'_>) -> Result<(Option<Expr>, Option<Expr>)> {
        let (mut limit, mut offset) = match &query.limit_clause {
            None => (None, None),
            Some(ast::LimitClause::LimitOffset { limit, offset, limit_by }) => {
                if !limit_by.is_empty() {
                    return Err(Error::unsupported("LIMIT BY"));
                }
                (limit.as_ref(), offset.as_ref().map(|offset| &offset.value))
            }
            Some(ast::LimitClause::OffsetCommaLimit { offset, limit }) => (Some(limit), Some(offset)),
        };
        let one = ast::Expr::Value(ast::Value::Number("1".into(), false).into());
        if let Some(fetch) = &query.fetch {
            if fetch.with_ties || fetch.percent {
                return Err(Error::unsupported("FETCH FIRST with PERCENT or WITH TIES"));
            }
            if limit.is_some() {
                return Err(Error::new(ErrorKind::Syntax, "multiple LIMIT clauses not allowed"));
            }
            limit = Some(fetch.quantity.as_ref().unwrap_or(&one));
        }
        let bound = |expr: Option<&ast::Expr>, clause: &str| -> Result<Option<Expr>> {
            let Some(expr) = expr else { return Ok(None) };
            let range = Range::default();
            let value = self.expression(expr, Place::new(&range, environment, Clause::Limit))?;
            if !value.is_unknown() && family(&value.sql_type) != super::coerce::Family::Number {
                let message = format!("argument of {clause} must be type bigint, not type {}", value.sql_type);
                return Err(at(Error::new(ErrorKind::DatatypeMismatch, message), expr.span()));
            }
            let value = self.cast(value, &SqlType::Int8)?;
            let has_parameter = value.expr.exists(|expr| Ok(matches!(expr, Expr::Placeholder(_)))).map_err(plan_error)?;
            if has_parameter {
                return Ok(Some(value.expr));
            }
            match self.constant(value)? {
                ScalarValue::Int64(Some(count)) if count < 0 => {
                    Err(at(Error::new(ErrorKind::InvalidLimit, format!("{clause} must not be negative")), expr.span()))
                }
                ScalarValue::Int64(Some(count)) => Ok(Some(datafusion::logical_expr::lit(count))),
                _ => Ok(None),
            }
        };
        offset = offset.filter(
            |expr| !matches!(expr, ast::Expr::Value(value) if matches!(&value.value, ast::Value::Number(text, _) if text == "0")),
        );
        let all = |expr: &&ast::Expr| matches!(expr, ast::Expr::Identifier(ident) if folded(ident) == "all");
        Ok((bound(limit.filter(|expr| !all(expr)), "LIMIT")?, bound(offset, "OFFSET")?))
    }

    /// ORDER BY over the output columns of a set operation or VALUES.
    fn ordered(
        &self,
        plan: LogicalPlan,
        outputs: Vec<Output>,
        order_by: &[ast::OrderByExpr],
        environment: &Environment<'_>,
    ) -> Result<Block> {
        if order_by.is_empty() {
            return Ok(Block { plan, outputs, sort: vec![], limit: None, offset: None });
        }
        let (exprs, outputs) = self.named_outputs(outputs, true);
        let plan = projected(plan, exprs)?;
        let range = Range::of_columns(outputs.clone());
        let mut sort = vec![];
        let mut hidden = vec![];
        for key in order_by {
            let place = Place::new(&range, environment, Clause::OrderBy);
            let value = match position_key(&key.expr, outputs.len())? {
                Some(index) => outputs[index].value.clone(),
                None => self.expression(&key.expr, place)?,
            };
            let expr = if matches!(value.expr, Expr::Column(_)) {
                value.expr
            } else {
                let name = self.unique("sort");
                hidden.push(value.expr.alias(&name));
                Expr::Column(Column::new_unqualified(name))
            };
            sort.push(sort_expr(expr, &key.options));
        }
        let plan = if hidden.is_empty() {
            plan
        } else {
            projected(plan, outputs.iter().map(|output| output.value.expr.clone()).chain(hidden).collect())?
        };
        Ok(Block { plan, outputs, sort, limit: None, offset: None })
    }

    /// A projection whose columns have names that are unique among themselves.
    pub(super) fn projection(&self, plan: LogicalPlan, outputs: Vec<Output>) -> Result<(LogicalPlan, Vec<Output>)> {
        let (exprs, outputs) = self.named_outputs(outputs, false);
        Ok((projected(plan, exprs)?, outputs))
    }

    /// Aliased expressions for `outputs`, and the outputs as columns of the projection over them; `apart` from every other name in the
    /// statement, so that subqueries can refer to them.
    pub(super) fn named_outputs(&self, outputs: Vec<Output>, apart: bool) -> (Vec<Expr>, Vec<Output>) {
        let names = self.column_names(&outputs, apart);
        let (exprs, columns) = aliased_outputs(outputs, names);
        if apart {
            for output in &columns {
                let Expr::Column(column) = &output.value.expr else { continue };
                self.register(column, &output.value);
            }
        }
        (exprs, columns)
    }

    /// What the plan calls `outputs`: their own names where those are plain and there once, for whoever reads the plan.
    fn column_names(&self, outputs: &[Output], apart: bool) -> Vec<String> {
        let mut taken = HashSet::new();
        let names = outputs.iter().map(|output| {
            let own = !apart && is_plain(&output.name) && taken.insert(&output.name);
            if own { output.name.clone() } else { self.unique(&output.name) }
        });
        names.collect()
    }

    /// WITH: binds each common table expression in the scope of those before it.
    fn with(&self, with: &ast::With, ctes: &mut Vec<Arc<Cte>>, environment: &Environment<'_>) -> Result<()> {
        let mut names = HashSet::new();
        for cte in &with.cte_tables {
            let name = folded(&cte.alias.name);
            if !names.insert(name.clone()) {
                let message = format!("WITH query name \"{name}\" specified more than once");
                return Err(at(Error::new(ErrorKind::DuplicateAlias, message), cte.alias.name.span));
            }
            let inner = Environment { ctes, outer: environment.outer };
            let bound = if with.recursive {
                self.recursive_cte(&name, cte, &inner)?
            } else {
                let (plan, outputs) = self.subquery_plan(&cte.query, &inner)?;
                Cte { name: name.clone(), plan, columns: renamed(outputs, &cte.alias)? }
            };
            ctes.push(Arc::new(bound));
        }
        Ok(())
    }

    fn recursive_cte(&self, name: &str, cte: &ast::Cte, environment: &Environment<'_>) -> Result<Cte> {
        let SetExpr::SetOperation { op: SetOperator::Union, set_quantifier, left, right } = cte.query.body.as_ref() else {
            let (plan, outputs) = self.subquery_plan(&cte.query, environment)?;
            return Ok(Cte { name: name.to_string(), plan, columns: renamed(outputs, &cte.alias)? });
        };
        let mut ctes = environment.ctes.to_vec();
        if let Some(with) = &cte.query.with {
            self.with(with, &mut ctes, environment)?;
        }
        let inner = Environment { ctes: &ctes, outer: environment.outer };
        let (static_plan, outputs) = self.set_expression(left, &inner, &[])?;
        let (static_plan, outputs) = self.with_own_scales(static_plan, outputs)?;
        let columns = renamed(outputs, &cte.alias)?;
        // The working table has the static term's columns, under the names of the recursive query.
        let work_name = self.unique(name);
        let fields: Vec<_> = static_plan.schema().fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
        let source = SecurableSource {
            relation: SourceRelation::WorkTable { name: work_name.clone() },
            by: self.by,
            schema: Arc::new(Schema::new(fields)),
        };
        let work_plan = LogicalPlanBuilder::scan(TableReference::bare(work_name.clone()), Arc::new(source), None)
            .and_then(LogicalPlanBuilder::build)
            .map_err(plan_error)?;
        let working = Cte { name: name.to_string(), plan: work_plan, columns: columns.clone() };
        let mut with_working = ctes.clone();
        with_working.push(Arc::new(working));
        let recursive = Environment { ctes: &with_working, outer: environment.outer };
        let (recursive_plan, recursive_outputs) = self.set_expression(right, &recursive, &[])?;
        if !refers_to(&recursive_plan, &work_name)? {
            let (plan, outputs) = self.subquery_plan(&cte.query, environment)?;
            return Ok(Cte { name: name.to_string(), plan, columns: renamed(outputs, &cte.alias)? });
        }
        if cte.query.order_by.is_some() || cte.query.limit_clause.is_some() || cte.query.fetch.is_some() {
            return Err(at(Error::unsupported("ORDER BY or LIMIT in a recursive query"), cte.alias.name.span));
        }
        let distinct = !matches!(set_quantifier, SetQuantifier::All);
        let recursive_plan = self.recursive_term(name, &columns, recursive_plan, recursive_outputs, &static_plan)?;
        let plan = LogicalPlanBuilder::from(static_plan)
            .to_recursive_query(work_name, recursive_plan, distinct)
            .and_then(LogicalPlanBuilder::build)
            .map_err(plan_error)?;
        Ok(Cte { name: name.to_string(), plan, columns })
    }

    /// Numerics of a static term in a type that has room for whatever the recursive term makes of them.
    fn with_own_scales(&self, plan: LogicalPlan, outputs: Vec<Output>) -> Result<(LogicalPlan, Vec<Output>)> {
        let fixed = |output: &Output| matches!(output.value.sql_type, SqlType::Numeric { .. });
        if !outputs.iter().any(fixed) {
            return Ok((plan, outputs));
        }
        let outputs = outputs
            .into_iter()
            .map(|output| match fixed(&output) {
                true => Ok(Output { value: self.unconstrained(output.value)?, ..output }),
                false => Ok(output),
            })
            .collect::<Result<_>>()?;
        self.projection(plan, outputs)
    }

    /// The recursive term in the static term's types and names.
    fn recursive_term(
        &self,
        name: &str,
        columns: &[Output],
        plan: LogicalPlan,
        outputs: Vec<Output>,
        static_plan: &LogicalPlan,
    ) -> Result<LogicalPlan> {
        if outputs.len() != columns.len() {
            return Err(Error::new(ErrorKind::Syntax, "each UNION query must have the same number of columns"));
        }
        let exprs = outputs
            .into_iter()
            .zip(columns)
            .zip(static_plan.schema().fields())
            .enumerate()
            .map(|(index, ((output, column), field))| {
                let wanted = &column.value.sql_type;
                let found = output.value.sql_type.clone();
                let overall = self.common_type(&[&column.value, &output.value], "UNION");
                let another = family(wanted) == Family::Number && !overall.is_ok_and(|overall| overall == *wanted);
                if family(&found) != family(wanted) || another {
                    return Err(Error::new(
                        ErrorKind::DatatypeMismatch,
                        format!(
                            "recursive query \"{name}\" column {} has type {wanted} in non-recursive term but type {found} overall",
                            index + 1
                        ),
                    )
                    .with_hint("Cast the output of the non-recursive term to the correct type."));
                }
                let value = self.to_common(output.value, wanted)?;
                let expr = if value.data_type == *field.data_type() {
                    value.expr
                } else {
                    super::coerce::cast_expr(value.expr, field.data_type())
                };
                Ok(expr.alias(field.name()))
            })
            .collect::<Result<Vec<_>>>()?;
        projected(plan, exprs)
    }

    /// An arm of a set operation, or a whole body that is not a SELECT.
    fn set_expression(
        &self,
        body: &SetExpr,
        environment: &Environment<'_>,
        targets: Targets<'_>,
    ) -> Result<(LogicalPlan, Vec<Output>)> {
        match body {
            SetExpr::Select(select) => {
                let block = self.select(select, &[], environment, targets)?;
                self.finish(block)
            }
            SetExpr::Query(query) => {
                let block = self.block(query, environment, targets)?;
                self.finish(block)
            }
            SetExpr::SetOperation { left, op, set_quantifier, right } => {
                self.set_operation(left, *op, *set_quantifier, right, environment)
            }
            SetExpr::Values(values) => self.values(values, environment, targets),
            other => Err(Error::unsupported(format!("the query {other}"))),
        }
    }

    fn set_operation(
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
        let (left_plan, right_plan, outputs) = self.matched(left_plan, left_outputs, right_plan, right_outputs, name)?;
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
        Ok((plan, outputs))
    }

    fn arm(&self, body: &SetExpr, environment: &Environment<'_>) -> Result<(LogicalPlan, Vec<Output>)> {
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

    fn values(
        &self,
        values: &ast::Values,
        environment: &Environment<'_>,
        targets: Targets<'_>,
    ) -> Result<(LogicalPlan, Vec<Output>)> {
        let range = Range::default();
        let place = Place::new(&range, environment, Clause::Values);
        let width = values.rows.first().map_or(0, |row| row.content.len());
        let mut columns: Vec<Vec<Typed>> = (0..width).map(|_| Vec::with_capacity(values.rows.len())).collect();
        for row in &values.rows {
            let row = &row.content;
            if row.len() != width {
                let span = row.first().map_or_else(datafusion::sql::sqlparser::tokenizer::Span::empty, Spanned::span);
                return Err(at(Error::new(ErrorKind::Syntax, "VALUES lists must all be the same length"), span));
            }
            for (index, (expr, column)) in row.iter().zip(&mut columns).enumerate() {
                let value = self.expression(expr, place)?;
                column.push(match targets.get(index) {
                    Some(target) => self.assigned(value, target).map_err(|error| at(error, expr.span()))?,
                    None => value,
                });
            }
        }
        if width == 0 {
            return Err(Error::new(ErrorKind::Syntax, "VALUES without columns"));
        }
        let mut outputs = vec![];
        let mut unified = vec![];
        for (index, column) in columns.into_iter().enumerate() {
            let nullable = column.iter().any(|value| value.nullable);
            let (column, common) = self.unify(column, "VALUES")?;
            let data_type = column.first().map_or_else(|| common.arrow_type(), |value| value.data_type.clone());
            let name = format!("column{}", index + 1);
            let internal = Column::new_unqualified(name.clone());
            let value = Typed { data_type, ..Typed::new(Expr::Column(internal), common, nullable) };
            outputs.push(Output { name, value });
            unified.push(column);
        }
        let rows: Vec<Vec<Expr>> = (0..values.rows.len())
            .map(|row| unified.iter().filter_map(|column| column.get(row)).map(|value| value.expr.clone()).collect())
            .collect();
        Ok((self.values_plan(rows, &outputs)?, outputs))
    }

    /// Constant rows are one node; rows with subqueries or outer columns become projections.
    fn values_plan(&self, rows: Vec<Vec<Expr>>, outputs: &[Output]) -> Result<LogicalPlan> {
        let constant = rows.iter().flatten().all(|expr| !needs_projection(expr));
        if constant {
            return LogicalPlanBuilder::values(rows).and_then(LogicalPlanBuilder::build).map_err(plan_error);
        }
        let mut plan: Option<LogicalPlan> = None;
        for row in rows {
            let exprs = row.into_iter().zip(outputs).map(|(expr, output)| expr.alias(&output.name)).collect();
            let one = projected(LogicalPlanBuilder::empty(true).build().map_err(plan_error)?, exprs)?;
            plan = Some(match plan {
                None => one,
                Some(before) => {
                    LogicalPlanBuilder::from(before).union(one).and_then(LogicalPlanBuilder::build).map_err(plan_error)?
                }
            });
        }
        plan.ok_or_else(|| Error::internal("VALUES without rows"))
    }

    /// A value as a column of INSERT takes it.
    ///
    /// # Errors
    /// 42804 if only an explicit cast would do.
    pub(super) fn assigned(&self, value: Typed, (column, target): &(String, SqlType)) -> Result<Typed> {
        let assignable = value.is_unknown()
            || family(&value.sql_type) == family(target)
            || family(target) == super::coerce::Family::String && !matches!(target, SqlType::Uuid);
        let unassignable = family(&value.sql_type) == super::coerce::Family::String
            && !value.is_unknown()
            && (*target == SqlType::Uuid) != (value.sql_type == SqlType::Uuid)
            && *target == SqlType::Uuid;
        if !assignable || unassignable {
            return Err(Error::new(
                ErrorKind::DatatypeMismatch,
                format!("column \"{column}\" is of type {target} but expression is of type {}", value.sql_type),
            )
            .with_hint("You will need to rewrite or cast the expression."));
        }
        match target {
            // A text that is too long is the table's error, not cut in silence.
            SqlType::Varchar(Some(_)) | SqlType::Bpchar(Some(_)) => Ok(self.cast(value, &SqlType::Text)?.retyped(target.clone())),
            _ => {
                let value = self.cast(value, target)?;
                self.exactly(value, target)
            }
        }
    }

    /// The value in the type's own Arrow representation.
    fn exactly(&self, value: Typed, target: &SqlType) -> Result<Typed> {
        let arrow = target.arrow_type();
        if *target == SqlType::UnconstrainedNumeric {
            return self.unconstrained(value);
        }
        if value.data_type == arrow || value.data_type.is_string() {
            return Ok(Typed { sql_type: target.clone(), ..value });
        }
        Ok(Typed::new(super::coerce::cast_expr(value.expr, &arrow), target.clone(), value.nullable))
    }
}

/// `outputs` under these names: the expressions of a projection, and its columns.
fn aliased_outputs(outputs: Vec<Output>, names: Vec<String>) -> (Vec<Expr>, Vec<Output>) {
    let aliased = outputs.into_iter().zip(names).map(|(output, name)| {
        let value = output.value.as_column(Column::new_unqualified(name.clone()));
        (output.value.expr.alias(name), Output { name: output.name, value })
    });
    aliased.unzip()
}

fn needs_projection(expr: &Expr) -> bool {
    use datafusion::common::tree_node::TreeNode;
    expr.exists(|expr| {
        Ok(matches!(
            expr,
            Expr::ScalarSubquery(_)
                | Expr::Exists(_)
                | Expr::InSubquery(_)
                | Expr::SetComparison(_)
                | Expr::OuterReferenceColumn(_, _)
        ) || callee_of(expr).is_some())
    })
    .unwrap_or(true)
}

/// Whether a plan scans the working table called `name`.
fn refers_to(plan: &LogicalPlan, name: &str) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && scan.table_name.table() == name
        {
            found = true;
            return Ok(TreeNodeRecursion::Stop);
        }
        Ok(TreeNodeRecursion::Continue)
    })
    .map_err(plan_error)?;
    Ok(found)
}

/// The columns of a common table expression under its column list.
pub(super) fn renamed(mut outputs: Vec<Output>, alias: &ast::TableAlias) -> Result<Vec<Output>> {
    if alias.columns.len() > outputs.len() {
        let message = format!(
            "table \"{}\" has {} columns available but {} columns specified",
            folded(&alias.name),
            outputs.len(),
            alias.columns.len()
        );
        return Err(at(Error::new(ErrorKind::InvalidColumnReference, message), alias.name.span));
    }
    for (output, column) in outputs.iter_mut().zip(&alias.columns) {
        output.name = folded(&column.name);
    }
    Ok(outputs)
}

fn order_keys(query: &ast::Query) -> Result<&[ast::OrderByExpr]> {
    match &query.order_by {
        None => Ok(&[]),
        Some(ast::OrderBy { interpolate: Some(_), .. }) => Err(Error::unsupported("ORDER BY .. INTERPOLATE")),
        Some(ast::OrderBy { kind: OrderByKind::All(_), .. }) => {
            Err(Error::unsupported("ORDER BY ALL").with_hint("Name the columns, or their positions."))
        }
        Some(ast::OrderBy { kind: OrderByKind::Expressions(keys), .. }) => Ok(keys),
    }
}

/// PostgreSQL's defaults: ascending, and NULL is greater than everything.
pub(super) fn sort_expr(expr: Expr, options: &ast::OrderByOptions) -> SortExpr {
    let ascending = options.asc.unwrap_or(true);
    SortExpr::new(expr, ascending, options.nulls_first.unwrap_or(!ascending))
}

/// `ORDER BY 2`: the index of the output column.
pub(super) fn position_key(expr: &ast::Expr, outputs: usize) -> Result<Option<usize>> {
    let ast::Expr::Value(value) = super::expression::unnested(expr) else { return Ok(None) };
    let ast::Value::Number(text, _) = &value.value else { return Ok(None) };
    let position = text.parse::<usize>().ok().filter(|position| (1..=outputs).contains(position));
    match position {
        Some(position) => Ok(Some(position - 1)),
        None => Err(at(
            Error::new(ErrorKind::InvalidColumnReference, format!("ORDER BY position {text} is not in select list")),
            value.span,
        )),
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
