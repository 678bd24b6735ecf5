//! Queries: WITH, set operations, VALUES, ORDER BY, LIMIT.
//!
//! Every query is first a [`Block`]: its rows with (maybe) hidden columns to sort by, and order and limit apart from them, because a
//! subquery in an expression needs the parts (see [`subquery`](super::subquery)). Output columns have internal names that are unique
//! within the query; what clients see as names is kept beside them.

use std::collections::HashSet;

use datafusion::common::tree_node::TreeNode;
use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, SortExpr};
use datafusion::sql::sqlparser::ast::{self, OrderByKind, SetExpr, Spanned};

use super::Binder;
use super::coerce::family;
use super::error::{at, folded, plan_error};
use super::expression::{Clause, Place};
use super::range::{Environment, Range};
use super::subquery::{limited_plan, projected};
use super::typed::{Output, Typed};
use crate::error::{Error, ErrorKind, Result};
use crate::sql::call::callee_of;
use crate::sql::internal_name::is_plain;
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
    /// Rows that are equal to the last one under `sort` are within the limit.
    pub(super) ties: bool,
    /// Each sorted row has become the rows of its sets: `sort` counts them and has no key of ORDER BY.
    pub(super) expanded: bool,
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

    /// Puts order and limit onto a block and drops its hidden columns.
    pub(super) fn finish(&self, block: Block) -> Result<(LogicalPlan, Vec<Output>)> {
        let hidden = block.plan.schema().fields().len() > block.outputs.len();
        let plan = limited_plan(&|base| self.unique(base), block.plan, block.sort, block.limit, block.offset, block.ties)?;
        let plan =
            if hidden { projected(plan, block.outputs.iter().map(|output| output.value.expr.clone()).collect())? } else { plan };
        Ok((plan, block.outputs))
    }

    /// The same with the hidden columns, behind the others: whoever reads the rows may have to keep their order.
    pub(super) fn finish_ordered(&self, block: Block) -> Result<(LogicalPlan, Vec<Output>)> {
        let plan = limited_plan(&|base| self.unique(base), block.plan, block.sort, block.limit, block.offset, block.ties)?;
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
                let computed = matches!(body, SetExpr::Values(_));
                self.ordered(plan, outputs, order_by, computed, &environment)?
            }
        };
        let (limit, offset) = self.limits(query, &environment)?;
        if limit.is_some() || offset.is_some() {
            if block.limit.is_some() || block.offset.is_some() {
                let (plan, outputs) = self.finish(block)?;
                block = Block { plan, outputs, sort: vec![], limit: None, offset: None, ties: false, expanded: false };
            }
            block.limit = limit;
            block.offset = offset;
            block.ties = query.fetch.as_ref().is_some_and(|fetch| fetch.with_ties);
            if block.ties && order_by.is_empty() {
                return Err(Error::new(ErrorKind::Syntax, "WITH TIES cannot be specified without ORDER BY clause"));
            }
            if block.ties && block.expanded {
                return Err(Error::unsupported("WITH TIES over set-returning functions").with_hint("Move the functions into FROM."));
            }
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
            if fetch.percent {
                return Err(Error::unsupported("FETCH FIRST with PERCENT"));
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
            let computed = |expr: &Expr| {
                let known = matches!(expr, Expr::Placeholder(_) | Expr::OuterReferenceColumn(..));
                known || matches!(expr, Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_) | Expr::SetComparison(_))
            };
            if value.expr.exists(|expr| Ok(computed(expr))).map_err(plan_error)? {
                return Ok(Some(value.expr));
            }
            let kind = if clause == "LIMIT" { ErrorKind::InvalidLimit } else { ErrorKind::InvalidOffset };
            match self.constant(value)? {
                ScalarValue::Int64(Some(count)) if count < 0 => {
                    Err(at(Error::new(kind, format!("{clause} must not be negative")), expr.span()))
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
        computed: bool,
        environment: &Environment<'_>,
    ) -> Result<Block> {
        if order_by.is_empty() {
            return Ok(Block { plan, outputs, sort: vec![], limit: None, offset: None, ties: false, expanded: false });
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
                None if !computed && !matches!(super::expression::unnested(&key.expr), ast::Expr::Identifier(_)) => {
                    let error = Error::new(ErrorKind::Unsupported, "invalid UNION/INTERSECT/EXCEPT ORDER BY clause")
                        .with_detail("Only result column names can be used, not expressions or functions.")
                        .with_hint("Add the expression/function to every SELECT, or move the UNION into a FROM clause.");
                    return Err(at(error, key.expr.span()));
                }
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
        Ok(Block { plan, outputs, sort, limit: None, offset: None, ties: false, expanded: false })
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
    pub(super) fn column_names(&self, outputs: &[Output], apart: bool) -> Vec<String> {
        let mut taken = HashSet::new();
        let names = outputs.iter().map(|output| {
            let own = !apart && is_plain(&output.name) && taken.insert(&output.name);
            if own { output.name.clone() } else { self.unique(&output.name) }
        });
        names.collect()
    }

    /// An arm of a set operation, or a whole body that is not a SELECT.
    pub(super) fn set_expression(
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
pub(super) fn aliased_outputs(outputs: Vec<Output>, names: Vec<String>) -> (Vec<Expr>, Vec<Output>) {
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
    let text = match &value.value {
        ast::Value::Number(text, _) if text.bytes().all(|digit| digit.is_ascii_digit()) => text,
        ast::Value::Placeholder(_) => return Ok(None),
        _ => return Err(at(Error::new(ErrorKind::Syntax, "non-integer constant in ORDER BY"), value.span)),
    };
    let position = text.parse::<usize>().ok().filter(|position| (1..=outputs).contains(position));
    match position {
        Some(position) => Ok(Some(position - 1)),
        None => Err(at(
            Error::new(ErrorKind::InvalidColumnReference, format!("ORDER BY position {text} is not in select list")),
            value.span,
        )),
    }
}
