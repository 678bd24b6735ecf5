//! A subquery for all values of D at once.
//!
//! [`Dependent::push`] gives a plan with the columns of the one it gets and the keys of D, whose rows are, for each value of D, those of the
//! subquery with that value in its outer references:
//!
//! | node | becomes |
//! |---|---|
//! | without outer references | D × node |
//! | projection | the keys beside its columns |
//! | filter, sort, alias, unnest, DISTINCT | the same over both |
//! | aggregate | the keys as further group keys; one without group keys has a row for every value of D |
//! | window | the keys as partition keys |
//! | limit | row numbers for each value of D |
//! | call | the same over both |
//! | join | D on the sides that need it; where both do, they are joined on the keys as well |
//! | set operation | each arm by itself |
//! | recursive query | the working table carries the keys |

use std::cell::RefCell;
use std::sync::Arc;

use datafusion::arrow::datatypes::Schema;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, ScalarValue, TableReference};
use datafusion::error::Result;
use datafusion::functions::core::expr_fn::coalesce;
use datafusion::functions_window::row_number::row_number_udwf;
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::{
    Aggregate, Case, Distinct, DistinctOn, Expr, ExprSchemable, Filter, GroupingSet, Join, JoinType, Limit, LogicalPlan,
    LogicalPlanBuilder, Operator, RecursiveQuery, Sort, SortExpr, TableScan, Union, Window, WindowFunctionDefinition, cast, lit,
};

use super::domain::{Domain, crossed, same};
use super::{Names, binary_expr, columns_of, named_as, projection, refused};
use crate::sql::source::{SecurableSource, SourceRelation};

/// Pushes one D through a subquery.
pub(super) struct Dependent<'d> {
    domain: &'d Domain,
    names: Names<'d>,
    /// Working tables that carry the keys.
    working: RefCell<Vec<String>>,
}

impl<'d> Dependent<'d> {
    pub(super) fn new(domain: &'d Domain, names: Names<'d>) -> Self {
        Self { domain, names, working: RefCell::default() }
    }

    /// `plan` for every value of D. The columns come in the plan's order, then the keys.
    pub(super) fn push(&self, plan: LogicalPlan) -> Result<LogicalPlan> {
        if !self.depends(&plan) {
            return crossed(self.domain, plan);
        }
        match plan {
            LogicalPlan::Projection(over) => {
                let exprs = over.expr.iter().map(|old| Ok(named_as(self.bound(old.clone())?, old)));
                let exprs = exprs.chain(self.domain.keys().into_iter().map(Ok)).collect::<Result<Vec<_>>>()?;
                projection(self.input(over.input)?, exprs)
            }
            LogicalPlan::Filter(filter) => {
                let predicate = self.bound(filter.predicate)?;
                Filter::try_new(predicate, Arc::new(self.input(filter.input)?)).map(LogicalPlan::Filter)
            }
            LogicalPlan::Sort(sort) => {
                let keys = self.bound_keys(sort.expr)?;
                let input = self.input(sort.input)?;
                Ok(LogicalPlan::Sort(Sort { expr: keys, input: Arc::new(input), fetch: sort.fetch }))
            }
            LogicalPlan::SubqueryAlias(alias) => self.alias(self.input(alias.input)?, alias.alias),
            LogicalPlan::Aggregate(aggregate) => self.aggregate(aggregate),
            LogicalPlan::Window(window) => self.window(window),
            LogicalPlan::Limit(limit) => self.limit(limit),
            LogicalPlan::Distinct(Distinct::All(input)) => Ok(LogicalPlan::Distinct(Distinct::All(Arc::new(self.input(input)?)))),
            LogicalPlan::Distinct(Distinct::On(distinct)) => self.distinct_on(distinct),
            LogicalPlan::Union(union) => self.union(union),
            LogicalPlan::Join(join) => self.join(join),
            LogicalPlan::Unnest(unnest) => {
                let columns = columns_of(&LogicalPlan::Unnest(unnest.clone()));
                let input = self.input(unnest.input)?;
                let plan =
                    LogicalPlanBuilder::from(input).unnest_columns_with_options(unnest.exec_columns, unnest.options)?.build()?;
                projection(plan, columns.into_iter().chain(self.domain.keys()).collect())
            }
            LogicalPlan::RecursiveQuery(recursive) => self.recursive(recursive),
            LogicalPlan::TableScan(scan) => self.working_table(&scan),
            LogicalPlan::Extension(_) => self.call(&plan),
            _ => Err(refused("a reference to an outer query in this form of subquery", "Write the subquery as a join.")),
        }
    }

    /// A call has one input and its rows.
    fn call(&self, plan: &LogicalPlan) -> Result<LogicalPlan> {
        let arguments = plan.expressions().into_iter().map(|argument| self.bound(argument)).collect::<Result<_>>()?;
        let inputs = plan.inputs().into_iter().map(|input| self.push(input.clone())).collect::<Result<_>>()?;
        let called = plan.with_new_exprs(arguments, inputs)?;
        projection(called, columns_of(plan).into_iter().chain(self.domain.keys()).collect())
    }

    fn input(&self, input: Arc<LogicalPlan>) -> Result<LogicalPlan> {
        self.push(Arc::unwrap_or_clone(input))
    }

    /// Whether the plan's rows depend on the value of D.
    fn depends(&self, plan: &LogicalPlan) -> bool {
        let own = match plan {
            LogicalPlan::TableScan(scan) => self.working.borrow().iter().any(|name| name == scan.table_name.table()),
            other => other.contains_outer_reference(),
        };
        own || plan.inputs().into_iter().any(|input| self.depends(input))
    }

    /// Outer references as columns of D.
    fn bound(&self, expr: Expr) -> Result<Expr> {
        let bound = expr.transform_up(|node| {
            let Expr::OuterReferenceColumn(_, column) = &node else { return Ok(Transformed::no(node)) };
            match self.domain.keys.iter().find(|key| key.outer == *column) {
                Some(key) => Ok(Transformed::yes(key.column())),
                None => Ok(Transformed::no(node)),
            }
        })?;
        Ok(bound.data)
    }

    fn bound_keys(&self, keys: Vec<SortExpr>) -> Result<Vec<SortExpr>> {
        keys.into_iter().map(|key| Ok(SortExpr::new(self.bound(key.expr)?, key.asc, key.nulls_first))).collect()
    }

    /// `columns` of `plan` under their old names, then the keys.
    fn restored(&self, plan: LogicalPlan, columns: Vec<(Expr, Column)>) -> Result<LogicalPlan> {
        let exprs = columns.into_iter().map(|(new, old)| named_as(new, &Expr::Column(old)));
        projection(plan, exprs.chain(self.domain.keys()).collect())
    }

    fn alias(&self, input: LogicalPlan, alias: TableReference) -> Result<LogicalPlan> {
        let plan = LogicalPlanBuilder::from(input).alias(alias.clone())?.build()?;
        self.unqualified(plan, &alias)
    }

    /// The keys without the qualifier that a scan or an alias gave them.
    fn unqualified(&self, plan: LogicalPlan, qualifier: &TableReference) -> Result<LogicalPlan> {
        let mut exprs = columns_of(&plan);
        let first = exprs.len().saturating_sub(self.domain.keys.len());
        exprs.truncate(first);
        for key in &self.domain.keys {
            exprs.push(Expr::Column(Column::new(Some(qualifier.clone()), &key.name)).alias(&key.name));
        }
        projection(plan, exprs)
    }

    fn aggregate(&self, aggregate: Aggregate) -> Result<LogicalPlan> {
        let old = aggregate.schema.columns();
        let input = self.input(aggregate.input)?;
        let groups = aggregate.group_expr.into_iter().map(|group| self.bound(group)).collect::<Result<Vec<_>>>()?;
        if groups.iter().any(has_empty_set) {
            return Err(refused("GROUPING SETS, ROLLUP or CUBE in a correlated subquery", "Use UNION ALL of several GROUP BY."));
        }
        let functions = aggregate.aggr_expr.into_iter().map(|function| self.bound(function)).collect::<Result<Vec<_>>>()?;
        let over_all = groups.is_empty();
        let mut keys = self.domain.keys();
        // A group key that is one of the outer columns is among the keys already.
        let mut places = vec![];
        for group in groups {
            let known = keys.iter().position(|key| *key == group);
            places.push(known.unwrap_or(keys.len()));
            if known.is_none() {
                keys.push(group);
            }
        }
        let count = keys.len();
        let sets = keys.iter().any(|key| matches!(key, Expr::GroupingSet(_)));
        let grouped = LogicalPlan::Aggregate(Aggregate::try_new(Arc::new(input), keys, functions.clone())?);
        let columns = columns_of(&grouped);
        let new: Vec<Expr> = if sets {
            columns.into_iter().skip(self.domain.keys.len()).collect()
        } else {
            let groups = places.into_iter().filter_map(|place| columns.get(place)).cloned();
            groups.chain(columns.iter().skip(count).cloned()).collect()
        };
        if over_all && !self.domain.is_empty() {
            return self.one_row_each(grouped, functions, new, old);
        }
        self.restored(grouped, new.into_iter().zip(old).collect())
    }

    /// An aggregate over everything has a row even where there is nothing: `count(*)` is 0 then.
    fn one_row_each(&self, grouped: LogicalPlan, functions: Vec<Expr>, new: Vec<Expr>, old: Vec<Column>) -> Result<LogicalPlan> {
        let types = new.iter().map(|column| column.get_type(grouped.schema())).collect::<Result<Vec<_>>>()?;
        let found = (self.names)("found");
        let inner: Vec<String> = self.domain.keys.iter().map(|_| (self.names)("outer")).collect();
        let values: Vec<String> = new.iter().map(|_| (self.names)("value")).collect();
        let keys = self.domain.keys().into_iter().zip(&inner).map(|(key, name)| key.alias(name));
        let exprs = new.into_iter().zip(&values).map(|(value, name)| value.alias(name)).chain(keys);
        let grouped = projection(grouped, exprs.chain([lit(true).alias(&found)]).collect())?;
        let on = self.domain.keys.iter().zip(&inner).map(|(key, name)| {
            let inner = Expr::Column(Column::new_unqualified(name));
            same(key, key.column(), inner)
        });
        let joined = LogicalPlanBuilder::from(self.domain.plan.clone()).join_on(grouped, JoinType::Left, on)?.build()?;
        let missing = Expr::IsNull(Box::new(Expr::Column(Column::new_unqualified(found))));
        let mut columns = vec![];
        for (((name, data_type), function), old) in values.iter().zip(types).zip(functions).zip(old) {
            let value = Expr::Column(Column::new_unqualified(name));
            let default = match function.unalias() {
                Expr::AggregateFunction(function) => function.func.default_value(&data_type)?,
                _ => ScalarValue::try_from(&data_type)?,
            };
            let value = if default.is_null() {
                value
            } else {
                let when = vec![(Box::new(missing.clone()), Box::new(lit(default)))];
                Expr::Case(Case::new(None, when, Some(Box::new(value))))
            };
            columns.push((value, old));
        }
        self.restored(joined, columns)
    }

    fn window(&self, window: Window) -> Result<LogicalPlan> {
        let old = window.schema.columns();
        let before = window.input.schema().fields().len();
        let input = self.input(window.input)?;
        let functions = window.window_expr.into_iter().map(|function| self.partitioned(self.bound(function)?));
        let functions = functions.collect::<Result<Vec<_>>>()?;
        let plan = LogicalPlan::Window(Window::try_new(functions, Arc::new(input))?);
        let mut new = columns_of(&plan);
        new.drain(before..before + self.domain.keys.len());
        self.restored(plan, new.into_iter().zip(old).collect())
    }

    fn partitioned(&self, function: Expr) -> Result<Expr> {
        let partitioned = function.transform_up(|node| {
            let Expr::WindowFunction(mut window) = node else { return Ok(Transformed::no(node)) };
            window.params.partition_by.extend(self.domain.keys());
            Ok(Transformed::yes(Expr::WindowFunction(window)))
        })?;
        Ok(partitioned.data)
    }

    fn limit(&self, limit: Limit) -> Result<LogicalPlan> {
        let columns = limit.input.schema().columns();
        let (order, input) = match Arc::unwrap_or_clone(limit.input) {
            LogicalPlan::Sort(sort) => (self.bound_keys(sort.expr)?, self.input(sort.input)?),
            other => (vec![], self.push(other)?),
        };
        if self.domain.is_empty() {
            return Err(refused("LIMIT in this form of subquery", "Write the subquery as a join."));
        }
        let mut function = WindowFunction::new(WindowFunctionDefinition::WindowUDF(row_number_udwf()), vec![]);
        function.params.partition_by = self.domain.keys();
        function.params.order_by = order;
        let number = Expr::WindowFunction(Box::new(function));
        let column = Expr::Column(Column::new_unqualified(number.schema_name().to_string()));
        let column = cast(column, datafusion::arrow::datatypes::DataType::Int64);
        let numbered = LogicalPlan::Window(Window::try_new(vec![number], Arc::new(input))?);
        // A parameter may be NULL: no limit, no offset.
        let skipped = limit.skip.map(|skip| coalesce(vec![*skip, lit(0_i64)]));
        let mut conditions = vec![];
        if let Some(fetch) = limit.fetch {
            let last = match &skipped {
                Some(skipped) => binary_expr(skipped.clone(), Operator::Plus, *fetch),
                None => *fetch,
            };
            conditions.push(Expr::IsNotFalse(Box::new(column.clone().lt_eq(last))));
        }
        if let Some(skipped) = skipped {
            conditions.push(column.gt(skipped));
        }
        let condition = conditions.into_iter().reduce(Expr::and).unwrap_or_else(|| lit(true));
        let kept = LogicalPlan::Filter(Filter::try_new(condition, Arc::new(numbered))?);
        self.restored(kept, columns.into_iter().map(|column| (Expr::Column(column.clone()), column)).collect())
    }

    fn distinct_on(&self, distinct: DistinctOn) -> Result<LogicalPlan> {
        let old = distinct.schema.columns();
        let bound = |exprs: Vec<Expr>| exprs.into_iter().map(|expr| self.bound(expr)).collect::<Result<Vec<_>>>();
        let input = self.input(distinct.input)?;
        let on = self.domain.keys().into_iter().chain(bound(distinct.on_expr)?).collect();
        let select = bound(distinct.select_expr)?.into_iter().chain(self.domain.keys()).collect();
        let sort = match distinct.sort_expr {
            None => None,
            Some(sort) => {
                let keys = self.domain.keys().into_iter().map(|key| SortExpr::new(key, true, false));
                Some(keys.chain(self.bound_keys(sort)?).collect())
            }
        };
        let plan = LogicalPlan::Distinct(Distinct::On(DistinctOn::try_new(on, select, sort, Arc::new(input))?));
        let new = columns_of(&plan);
        self.restored(plan, new.into_iter().zip(old).collect())
    }

    fn union(&self, union: Union) -> Result<LogicalPlan> {
        let old = union.schema.columns();
        let mut all: Option<LogicalPlanBuilder> = None;
        for input in union.inputs {
            let input = self.input(input)?;
            let columns = columns_of(&input).into_iter().zip(old.iter().cloned()).collect();
            let arm = self.restored(input, columns)?;
            all = Some(match all {
                None => LogicalPlanBuilder::from(arm),
                Some(before) => before.union(arm)?,
            });
        }
        match all {
            Some(all) => all.build(),
            None => Err(refused("a set operation without arms", "Write the subquery as a join.")),
        }
    }

    fn join(&self, join: Join) -> Result<LogicalPlan> {
        let columns = columns_of(&LogicalPlan::Join(join.clone()));
        let condition = join.on.iter().map(|(left, right)| left.clone().eq(right.clone())).chain(join.filter.clone());
        let condition = condition.map(|condition| self.bound(condition)).collect::<Result<Vec<_>>>()?;
        let (left_depends, right_depends) = (self.depends(&join.left), self.depends(&join.right));
        let needs_left = match join.join_type {
            JoinType::Inner => left_depends || !right_depends,
            JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark | JoinType::Full => true,
            JoinType::Right | JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => left_depends,
        };
        let needs_right = match join.join_type {
            JoinType::Inner | JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => right_depends,
            JoinType::Right | JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark | JoinType::Full => true,
        };
        let mut left = Arc::unwrap_or_clone(join.left);
        let mut right = Arc::unwrap_or_clone(join.right);
        if needs_left {
            left = self.push(left)?;
        }
        let mut keys: Vec<Expr> = self.domain.keys();
        let mut on = condition;
        if needs_right {
            right = self.push(right)?;
        }
        if needs_left && needs_right {
            let (renamed, names) = self.renamed(right)?;
            right = renamed;
            let right_keys = names.iter().map(|name| Expr::Column(Column::new_unqualified(name)));
            on.extend(self.domain.keys.iter().zip(right_keys.clone()).map(|(key, right)| same(key, key.column(), right)));
            keys = match join.join_type {
                JoinType::Right | JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => right_keys.collect(),
                JoinType::Full => keys.into_iter().zip(right_keys).map(|(left, right)| coalesce(vec![left, right])).collect(),
                JoinType::Inner | JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => keys,
            };
        }
        if on.is_empty() {
            on.push(lit(true));
        }
        let plan = LogicalPlanBuilder::from(left).join_on(right, join.join_type, on)?.build()?;
        let keys = keys.into_iter().zip(&self.domain.keys).map(|(expr, key)| named_as(expr, &key.column()));
        projection(plan, columns.into_iter().chain(keys).collect())
    }

    /// The same plan with new names for its keys.
    fn renamed(&self, plan: LogicalPlan) -> Result<(LogicalPlan, Vec<String>)> {
        let names: Vec<String> = self.domain.keys.iter().map(|_| (self.names)("outer")).collect();
        let mut exprs = columns_of(&plan);
        exprs.truncate(exprs.len().saturating_sub(names.len()));
        exprs.extend(self.domain.keys().into_iter().zip(&names).map(|(key, name)| key.alias(name)));
        Ok((projection(plan, exprs)?, names))
    }

    fn recursive(&self, recursive: RecursiveQuery) -> Result<LogicalPlan> {
        let static_term = self.input(recursive.static_term)?;
        self.working.borrow_mut().push(recursive.name.clone());
        let recursive_term = self.input(recursive.recursive_term);
        self.working.borrow_mut().pop();
        LogicalPlanBuilder::from(static_term).to_recursive_query(recursive.name, recursive_term?, recursive.is_distinct)?.build()
    }

    fn working_table(&self, scan: &TableScan) -> Result<LogicalPlan> {
        let Some(source) = scan.source.downcast_ref::<SecurableSource>() else {
            return Err(refused("a recursive query over this relation", "Write the subquery as a join."));
        };
        let SourceRelation::WorkTable { name } = &source.relation else {
            return Err(refused("a recursive query over this relation", "Write the subquery as a join."));
        };
        let keys = self.domain.keys.iter().map(|key| Arc::new(key.field.as_ref().clone().with_nullable(true)));
        let fields: Vec<_> = source.schema.fields().iter().map(Arc::clone).chain(keys).collect();
        let source = SecurableSource {
            relation: SourceRelation::WorkTable { name: name.clone() },
            by: source.by,
            schema: Arc::new(Schema::new(fields)),
        };
        let plan = LogicalPlanBuilder::scan(scan.table_name.clone(), Arc::new(source), None)?.build()?;
        self.unqualified(plan, &scan.table_name)
    }
}

/// Whether a group expression has a row where there is no input.
fn has_empty_set(group: &Expr) -> bool {
    match group {
        Expr::GroupingSet(GroupingSet::GroupingSets(sets)) => sets.iter().any(Vec::is_empty),
        Expr::GroupingSet(GroupingSet::Rollup(_) | GroupingSet::Cube(_)) => true,
        _ => false,
    }
}
