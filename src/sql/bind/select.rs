//! SELECT: from the FROM clause to the select list.
//!
//! ```text
//!  FROM ─▶ WHERE ─▶ [Aggregate ─▶ HAVING] ─▶ [Window] ─▶ [Unnest: sets in the select list] ─▶ select list + hidden sort keys ─▶ DISTINCT
//! ```
//! All expressions of the clause are bound over FROM first; then each stage replaces what it has computed by columns.

use std::cell::RefCell;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema};
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::utils::{expr_as_column_expr, find_aggregate_exprs, find_window_exprs};
use datafusion::logical_expr::{Aggregate, Distinct, DistinctOn, Expr, Filter, LogicalPlan, LogicalPlanBuilder, SortExpr, lit};
use datafusion::sql::sqlparser::ast::{
    self, ExceptSelectItem, ExcludeSelectItem, Ident, SelectItem, SelectItemQualifiedWildcardKind, WildcardAdditionalOptions,
};

use super::Binder;
use super::aggregate_level::{in_inherited_order, windows_in_inherited_order};
use super::error::{at, folded, name_span, plan_error};
use super::expression::{Clause, Place, SetCall, unnested};
use super::grouping::Grouping;
use super::output_name::output_name;
use super::query::{Block, Key, Targets, position_key, sort_expr};
use super::range::{Aggregates, Environment};
use super::sets::{needed_for, set_stage, uses_sets};
use super::subquery::projected;
use super::typed::{Output, Typed};
use crate::error::{Error, ErrorKind, Result};
use crate::sql::internal_name::{NO_ITEM, shown};
use crate::types::SqlType;

/// The expressions of a SELECT that later stages rewrite.
pub(super) struct Work {
    pub(super) items: Vec<Output>,
    having: Option<Expr>,
    pub(super) order: Vec<(Key, ast::OrderByOptions)>,
    pub(super) on: Vec<Key>,
    pub(super) sets: Vec<SetCall>,
    /// Aggregates that subqueries compute with.
    gathered: Vec<(Column, Expr)>,
}

impl Work {
    fn exprs(&self) -> impl Iterator<Item = &Expr> {
        self.items
            .iter()
            .map(|item| &item.value.expr)
            .chain(self.having.iter())
            .chain(self.order.iter().filter_map(|(key, _)| key.input()))
            .chain(self.on.iter().filter_map(Key::input))
            .chain(self.sets.iter().map(|set| &set.list))
            .chain(self.gathered.iter().map(|(_, aggregate)| aggregate))
    }

    fn map(&mut self, mut rewrite: impl FnMut(Expr) -> Result<Expr>) -> Result<()> {
        let mut apply = |expr: &mut Expr| -> Result<()> {
            *expr = rewrite(std::mem::take(expr))?;
            Ok(())
        };
        for item in &mut self.items {
            apply(&mut item.value.expr)?;
        }
        if let Some(having) = &mut self.having {
            apply(having)?;
        }
        let keys = self.order.iter_mut().map(|(key, _)| key).chain(self.on.iter_mut());
        for key in keys {
            if let Key::Input(value) = key {
                apply(&mut value.expr)?;
            }
        }
        for set in &mut self.sets {
            apply(&mut set.list)?;
        }
        for (_, aggregate) in &mut self.gathered {
            apply(aggregate)?;
        }
        Ok(())
    }

    /// Sorts by what the rows were sorted by in FROM.
    fn inherit(&mut self, order: &[SortExpr]) {
        for key in order {
            let options = ast::OrderByOptions { asc: Some(key.asc), nulls_first: Some(key.nulls_first) };
            let item = self.items.iter().position(|item| item.value.expr == key.expr);
            let by = match item {
                Some(item) => Key::Output(item),
                None => Key::Input(Typed::new(key.expr.clone(), SqlType::Unknown, true)),
            };
            self.order.push((by, options));
        }
    }
}

impl Key {
    fn input(&self) -> Option<&Expr> {
        match self {
            Key::Input(value) => Some(&value.expr),
            Key::Output(_) => None,
        }
    }

    /// What it sorts by, over the select list `items`.
    fn value<'k>(&'k self, items: &'k [Output]) -> Option<&'k Expr> {
        match self {
            Key::Input(value) => Some(&value.expr),
            Key::Output(index) => items.get(*index).map(|item| &item.value.expr),
        }
    }
}

/// 42803 for `GROUPING (x)` of an `x` that is no key.
fn check_grouping_calls(aggregates: &[Expr], keys: &[Expr]) -> Result<()> {
    let strange = aggregates.iter().any(|aggregate| match aggregate {
        Expr::AggregateFunction(call) => call.func.name() == "grouping" && call.params.args.iter().any(|key| !keys.contains(key)),
        _ => false,
    });
    if strange {
        let message = "arguments to GROUPING must be grouping expressions of the associated query level";
        return Err(Error::new(ErrorKind::Grouping, message));
    }
    Ok(())
}

impl Binder<'_> {
    /// Binds a SELECT whose untyped output columns become text, or what `targets` say.
    pub(super) fn select(
        &self,
        select: &ast::Select,
        order_by: &[ast::OrderByExpr],
        environment: &Environment<'_>,
        targets: Targets<'_>,
    ) -> Result<Block> {
        self.select_with(select, order_by, environment, |index, value| match targets.get(index) {
            Some(target) => self.assigned(value, target),
            None => self.settled(value),
        })
    }

    /// Binds an arm of a set operation: its untyped output columns stay so.
    pub(super) fn select_untyped(&self, select: &ast::Select, environment: &Environment<'_>) -> Result<Block> {
        self.select_with(select, &[], environment, |_, value| {
            // A parameter must have a type before the plan is made.
            if matches!(value.expr, Expr::Placeholder(_)) { self.settled(value) } else { Ok(value) }
        })
    }

    fn select_with(
        &self,
        select: &ast::Select,
        order_by: &[ast::OrderByExpr],
        environment: &Environment<'_>,
        settle: impl Fn(usize, Typed) -> Result<Typed>,
    ) -> Result<Block> {
        refuse_foreign_clauses(select)?;
        let from = self.from(&select.from, environment)?;
        let range = from.range;
        let mut plan = from.plan;
        if let Some(selection) = &select.selection {
            let condition = self.condition_of(selection, Place::new(&range, environment, Clause::Where))?;
            plan = filtered(plan, condition.expr)?;
        }
        let (sets, aggregates) = (RefCell::new(vec![]), Aggregates::default());
        let place = Place {
            windows: &select.named_window,
            sets: Some(&sets),
            aggregates: Some(&aggregates),
            ..Place::new(&range, environment, Clause::Select)
        };
        let items = self
            .select_list(&select.projection, place)?
            .into_iter()
            .enumerate()
            .map(|(index, item)| {
                let value = settle(index, item.value)?;
                Ok(Output { name: item.name, value })
            })
            .collect::<Result<Vec<_>>>()?;
        let mut grouping = self.group_by(&select.group_by, &items, place)?;
        let having = select
            .having
            .as_ref()
            .map(|having| self.condition_of(having, Place { clause: Clause::Having, sets: None, ..place }))
            .transpose()?;
        let order = order_by
            .iter()
            .map(|key| Ok((self.key(&key.expr, &items, Place { clause: Clause::OrderBy, ..place })?, key.options)))
            .collect::<Result<Vec<_>>>()?;
        let on = match &select.distinct {
            Some(ast::Distinct::On(keys)) => keys
                .iter()
                .map(|key| self.key(key, &items, Place { clause: Clause::DistinctOn, ..place }))
                .collect::<Result<Vec<_>>>()?,
            _ => vec![],
        };
        let qualify = select
            .qualify
            .as_ref()
            .map(|qualify| self.condition_of(qualify, Place { clause: Clause::OrderBy, sets: None, ..place }))
            .transpose()?;
        let mut work = Work {
            items,
            having: having.map(|having| having.expr),
            order,
            on,
            sets: sets.into_inner(),
            gathered: aggregates.into_inner(),
        };
        if let Some(qualify) = qualify {
            // Rides along as a key, so that it is rewritten with the others; taken off after the windows.
            work.on.push(Key::Input(qualify));
        }
        let before = needed_for(&grouping.keys(), &mut work.sets);
        plan = set_stage(plan, &before)?;
        let (keyed, keys) = self.distinguished(plan, &mut grouping, &mut work.items)?;
        plan = keyed;
        work.map(|expr| replaced(expr, &keys))?;
        work.map(|expr| in_inherited_order(expr, &range.order))?;
        let grouped = grouping.present || work.having.is_some() || !find_aggregate_exprs(work.exprs()).is_empty();
        if grouped {
            if let Some(table) = range.tables.iter().find(|table| table.working)
                && !find_aggregate_exprs(work.exprs()).is_empty()
            {
                let message = "aggregate functions are not allowed in a recursive query's recursive term";
                return Err(Error::new(ErrorKind::InvalidRecursion, message).with_detail(format!("It reads \"{}\".", table.alias)));
            }
            plan = self.aggregate_stage(plan, &grouping, &mut work)?;
        } else {
            work.map(|expr| windows_in_inherited_order(expr, &range.order))?;
            if order_by.is_empty() && select.distinct.is_none() && select.qualify.is_none() {
                work.inherit(&range.order);
            }
        }
        let before = needed_for(&find_window_exprs(work.exprs()), &mut work.sets);
        plan = set_stage(plan, &before)?;
        plan = self.window_stage(plan, &mut work)?;
        if select.qualify.is_some()
            && let Some(Key::Input(condition)) = work.on.pop()
        {
            plan = filtered(plan, condition.expr)?;
        }
        let keys = work.order.iter().map(|(key, _)| key).chain(&work.on);
        let by_sets = keys.filter_map(|key| key.value(&work.items)).any(|key| uses_sets(key, &work.sets));
        let all_distinct = matches!(select.distinct, Some(ast::Distinct::Distinct));
        if !work.sets.is_empty() && !work.order.is_empty() && !by_sets && !all_distinct {
            return self.sets_behind_order(plan, work, select.distinct.as_ref());
        }
        plan = set_stage(plan, &work.sets)?;
        self.output_stage(plan, work, select.distinct.as_ref())
    }

    /// GROUP BY and HAVING.
    fn aggregate_stage(&self, plan: LogicalPlan, grouping: &Grouping, work: &mut Work) -> Result<LogicalPlan> {
        let groups = grouping.exprs();
        let mut aggregates = find_aggregate_exprs(work.exprs());
        check_grouping_calls(&aggregates, &grouping.keys())?;
        if aggregates.is_empty() && groups.is_empty() {
            // HAVING alone makes one group of all rows.
            aggregates.push(Expr::AggregateFunction(AggregateFunction::new_udf(
                count_udaf(),
                vec![lit(1_i64)],
                false,
                None,
                vec![],
                None,
            )));
        }
        let input_schema = Arc::clone(plan.schema());
        let (aggregates, mut computed) = self.told_apart(aggregates);
        let plan = Aggregate::try_new(Arc::new(plan), groups.clone(), aggregates.clone())
            .map(LogicalPlan::Aggregate)
            .map_err(plan_error)?;
        let named = aggregates.into_iter().filter(|aggregate| !matches!(aggregate, Expr::Alias(_)));
        computed.extend(computed_columns(groups.iter().flat_map(group_members).chain(named), &plan)?);
        let gathered: Vec<Column> = work.gathered.iter().map(|(column, _)| column.clone()).collect();
        work.map(|expr| {
            let expr = replaced(expr, &computed)?;
            check_grouped(&expr, &input_schema, plan.schema())?;
            Ok(expr)
        })?;
        let plan = if gathered.is_empty() {
            plan
        } else {
            let columns = plan.schema().columns().into_iter().map(Expr::Column);
            let values = work.gathered.drain(..).map(|(column, value)| value.alias(column.name));
            projected(plan, columns.chain(values).collect())?
        };
        match work.having.take() {
            Some(having) => filtered(plan, having),
            None => Ok(plan),
        }
    }

    /// Windows whose columns would be called alike are computed one after the other: DataFusion leaves casts out of names.
    fn window_stage(&self, plan: LogicalPlan, work: &mut Work) -> Result<LogicalPlan> {
        let mut left = find_window_exprs(work.exprs());
        let (mut plan, mut computed) = (plan, vec![]);
        while !left.is_empty() {
            let mut names = std::collections::HashSet::new();
            let (now, later): (Vec<Expr>, Vec<Expr>) =
                left.into_iter().partition(|window| names.insert(window.schema_name().to_string()));
            let before: Vec<Expr> = plan.schema().columns().into_iter().map(Expr::Column).collect();
            plan = LogicalPlanBuilder::window_plan(plan, now.clone()).map_err(plan_error)?;
            let columns = computed_columns(now.into_iter(), &plan)?;
            if later.is_empty() {
                computed.extend(columns);
            } else {
                let mut exprs = before;
                for (window, column) in columns {
                    let name = self.unique("value");
                    exprs.push(column.alias(&name));
                    computed.push((window, Expr::Column(Column::new_unqualified(name))));
                }
                plan = projected(plan, exprs)?;
            }
            left = later;
        }
        work.map(|expr| replaced(expr, &computed))?;
        Ok(plan)
    }

    /// Expressions whose columns would be called alike get names of their own, given back with their columns: DataFusion leaves casts out of
    /// names.
    fn told_apart(&self, exprs: Vec<Expr>) -> (Vec<Expr>, Vec<(Expr, Expr)>) {
        let mut names = std::collections::HashSet::new();
        let mut columns = vec![];
        let exprs = exprs
            .into_iter()
            .map(|expr| {
                if names.insert(expr.schema_name().to_string()) {
                    return expr;
                }
                let name = self.unique("value");
                columns.push((expr.clone(), Expr::Column(Column::new_unqualified(name.clone()))));
                expr.alias(name)
            })
            .collect();
        (exprs, columns)
    }

    fn output_stage(&self, plan: LogicalPlan, work: Work, distinct: Option<&ast::Distinct>) -> Result<Block> {
        // DataFusion takes the columns of correlated conditions through this projection: none of them may be called as an output is.
        let apart = !plan.all_out_ref_exprs().is_empty();
        let (mut exprs, outputs) = self.named_outputs(work.items, apart);
        // An expression that is a key of both is one column.
        let mut computed: Vec<(Expr, Expr)> = vec![];
        let mut hidden = |key: Key, purpose: &str| -> Result<Expr> {
            match key {
                Key::Output(index) => {
                    outputs.get(index).map(|output| output.value.expr.clone()).ok_or_else(|| Error::internal("key without output"))
                }
                Key::Input(value) => {
                    if let Some((_, column)) = computed.iter().find(|(expr, _)| *expr == value.expr && !expr.is_volatile()) {
                        return Ok(column.clone());
                    }
                    let name = self.unique(purpose);
                    let column = Expr::Column(Column::new_unqualified(name.clone()));
                    computed.push((value.expr.clone(), column.clone()));
                    exprs.push(value.expr.alias(name));
                    Ok(column)
                }
            }
        };
        if matches!(distinct, Some(ast::Distinct::Distinct)) && work.order.iter().any(|(key, _)| key.input().is_some()) {
            return Err(Error::new(
                ErrorKind::InvalidColumnReference,
                "for SELECT DISTINCT, ORDER BY expressions must appear in select list",
            ));
        }
        let sort = work
            .order
            .into_iter()
            .map(|(key, options)| Ok(sort_expr(hidden(key, "sort")?, &options)))
            .collect::<Result<Vec<SortExpr>>>()?;
        let on = work.on.into_iter().map(|key| hidden(key, "on")).collect::<Result<Vec<_>>>()?;
        let plan = projected(plan, exprs)?;
        match distinct {
            Some(ast::Distinct::Distinct) => {
                let plan = LogicalPlan::Distinct(Distinct::All(Arc::new(plan)));
                Ok(Block { plan, outputs, sort, limit: None, offset: None, ties: false, expanded: false })
            }
            Some(ast::Distinct::On(_)) => {
                let plan = distinct_on(plan, on, &outputs, sort)?;
                Ok(Block { plan, outputs, sort: vec![], limit: None, offset: None, ties: false, expanded: false })
            }
            Some(ast::Distinct::All) | None => {
                Ok(Block { plan, outputs, sort, limit: None, offset: None, ties: false, expanded: false })
            }
        }
    }

    /// The select list, with wildcards spelled out.
    fn select_list(&self, items: &[SelectItem], place: Place<'_>) -> Result<Vec<Output>> {
        let mut outputs = Vec::with_capacity(items.len());
        for item in items {
            match item {
                SelectItem::UnnamedExpr(ast::Expr::Identifier(marker)) if marker.value == NO_ITEM => {}
                SelectItem::UnnamedExpr(expr) => {
                    outputs.push(Output { name: output_name(expr), value: self.expression(expr, place)? });
                }
                SelectItem::ExprWithAlias { expr, alias } => {
                    outputs.push(Output { name: folded(alias), value: self.expression(expr, place)? });
                }
                SelectItem::ExprWithAliases { .. } => return Err(Error::unsupported("several aliases for one expression")),
                SelectItem::Wildcard(options) => {
                    if place.range.tables.is_empty() && place.range.visible.is_empty() {
                        return Err(Error::new(ErrorKind::Syntax, "SELECT * with no tables specified is not valid"));
                    }
                    outputs.extend(excluding(place.range.visible.clone(), options)?);
                }
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) => {
                    let idents: Vec<Ident> = name.0.iter().filter_map(|part| part.as_ident().cloned()).collect();
                    let columns = match place.range.table(&idents) {
                        Some(table) => table.columns.clone(),
                        None => match place.range.find(&idents)? {
                            Some((value, [])) => struct_outputs(&value)?,
                            _ => {
                                let shown = idents.iter().map(folded).collect::<Vec<_>>().join(".");
                                let message = format!("missing FROM-clause entry for table \"{shown}\"");
                                return Err(at(Error::new(ErrorKind::UndefinedRelation, message), name_span(name)));
                            }
                        },
                    };
                    outputs.extend(excluding(columns, options)?);
                }
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::Expr(expr), options) => {
                    let value = self.expression(expr, place)?;
                    outputs.extend(excluding(struct_outputs(&value)?, options)?);
                }
            }
        }
        Ok(outputs)
    }

    /// A key of ORDER BY or DISTINCT ON: a position, an output name, or an expression over the input.
    fn key(&self, key: &ast::Expr, items: &[Output], place: Place<'_>) -> Result<Key> {
        if let Some(index) = position_key(key, items.len())? {
            return Ok(Key::Output(index));
        }
        if let ast::Expr::Identifier(ident) = unnested(key) {
            let name = folded(ident);
            let named: Vec<usize> =
                items.iter().enumerate().filter(|(_, item)| item.name == name).map(|(index, _)| index).collect();
            if let Some((first, rest)) = named.split_first() {
                if rest.iter().any(|other| items[*other].value.expr != items[*first].value.expr) {
                    let message = format!("ORDER BY \"{name}\" is ambiguous");
                    return Err(at(Error::new(ErrorKind::AmbiguousColumn, message), ident.span));
                }
                return Ok(Key::Output(*first));
            }
        }
        let value = self.expression(key, place)?;
        let value = self.settled(value)?;
        match items.iter().position(|item| item.value.expr == value.expr) {
            Some(index) => Ok(Key::Output(index)),
            None => Ok(Key::Input(value)),
        }
    }
}

/// Clauses of other dialects that the parser may pass; none is ignored.
fn refuse_foreign_clauses(select: &ast::Select) -> Result<()> {
    let foreign = [
        (select.top.is_some(), "TOP"),
        (select.into.is_some(), "SELECT INTO"),
        (select.exclude.is_some(), "SELECT .. EXCLUDE"),
        (!select.lateral_views.is_empty(), "LATERAL VIEW"),
        (select.prewhere.is_some(), "PREWHERE"),
        (!select.connect_by.is_empty(), "CONNECT BY"),
        (!select.cluster_by.is_empty(), "CLUSTER BY"),
        (!select.distribute_by.is_empty(), "DISTRIBUTE BY"),
        (!select.sort_by.is_empty(), "SORT BY"),
        (select.value_table_mode.is_some(), "SELECT AS STRUCT"),
        (select.select_modifiers.is_some(), "a modifier of SELECT"),
    ];
    match foreign.into_iter().find(|(present, _)| *present) {
        Some((_, clause)) => Err(Error::unsupported(clause)),
        None => Ok(()),
    }
}

/// The single keys of a group expression.
fn group_members(group: &Expr) -> Vec<Expr> {
    match group {
        Expr::GroupingSet(set) => set.distinct_expr().into_iter().cloned().collect(),
        other => vec![other.clone()],
    }
}

/// Expressions that a plan has computed, with the columns that hold them.
fn computed_columns(exprs: impl Iterator<Item = Expr>, plan: &LogicalPlan) -> Result<Vec<(Expr, Expr)>> {
    exprs
        .map(|expr| {
            let column = expr_as_column_expr(&expr, plan).map_err(plan_error)?;
            Ok((expr, column))
        })
        .collect()
}

/// Replaces what has been computed by its columns, the largest first.
fn replaced(expr: Expr, computed: &[(Expr, Expr)]) -> Result<Expr> {
    expr.transform_down(|node| {
        Ok(match computed.iter().find(|(known, _)| *known == node) {
            Some((_, column)) => Transformed::new(column.clone(), true, TreeNodeRecursion::Jump),
            None => Transformed::no(node),
        })
    })
    .map(|rewritten| rewritten.data)
    .map_err(plan_error)
}

/// Every column above an aggregate must have come through it.
fn check_grouped(expr: &Expr, input: &DFSchema, grouped: &DFSchema) -> Result<()> {
    let mut missing: Option<Column> = None;
    let mut in_subquery = false;
    let mut check = |column: &Column, inside: bool| {
        if !grouped.has_column(column) && input.has_column(column) && missing.is_none() {
            missing = Some(column.clone());
            in_subquery = inside;
        }
    };
    expr.apply(|node| {
        match node {
            Expr::Column(column) => check(column, false),
            Expr::ScalarSubquery(subquery) => outer_columns(subquery, &mut check),
            Expr::Exists(exists) => outer_columns(&exists.subquery, &mut check),
            Expr::InSubquery(within) => outer_columns(&within.subquery, &mut check),
            Expr::SetComparison(comparison) => outer_columns(&comparison.subquery, &mut check),
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    })
    .map_err(plan_error)?;
    match missing {
        None => Ok(()),
        Some(column) => {
            let table = column.relation.as_ref().map(|relation| shown(relation.table()));
            let column = shown(&column.name);
            let shown = match table {
                Some(table) if !table.is_empty() => format!("{table}.{column}"),
                _ => column.into_owned(),
            };
            let message = if in_subquery {
                format!("subquery uses ungrouped column \"{shown}\" from outer query")
            } else {
                format!("column \"{shown}\" must appear in the GROUP BY clause or be used in an aggregate function")
            };
            Err(Error::new(ErrorKind::Grouping, message))
        }
    }
}

fn outer_columns(subquery: &datafusion::logical_expr::Subquery, check: &mut impl FnMut(&Column, bool)) {
    for reference in &subquery.outer_ref_columns {
        if let Expr::OuterReferenceColumn(_, column) = reference {
            check(column, true);
        }
    }
}

/// A filter.
pub(super) fn filtered(plan: LogicalPlan, condition: Expr) -> Result<LogicalPlan> {
    Filter::try_new(condition, Arc::new(plan)).map(LogicalPlan::Filter).map_err(plan_error)
}

/// DISTINCT ON: the first row of each group in the order of ORDER BY, which must begin with the group's keys.
fn distinct_on(plan: LogicalPlan, on: Vec<Expr>, outputs: &[Output], sort: Vec<SortExpr>) -> Result<LogicalPlan> {
    let keys = distinct_keys(on, &sort)?;
    let sort: Vec<SortExpr> = if sort.is_empty() {
        sort
    } else {
        // DataFusion wants all the keys in front.
        let named = keys.iter().filter(|key| !sort.iter().any(|sorted| sorted.expr == **key)).cloned();
        let named: Vec<SortExpr> = named.map(|key| SortExpr::new(key, true, false)).collect();
        sort.into_iter().chain(named).collect()
    };
    let select = outputs.iter().map(|output| output.value.expr.clone()).collect();
    let sort = if sort.is_empty() { None } else { Some(sort) };
    DistinctOn::try_new(keys, select, sort, Arc::new(plan))
        .map(|distinct| LogicalPlan::Distinct(Distinct::On(distinct)))
        .map_err(plan_error)
}

/// The keys of DISTINCT ON, each once, those of ORDER BY first and in its order.
///
/// # Errors
/// 42P10 if ORDER BY has something else before it has all of them.
pub(super) fn distinct_keys(on: Vec<Expr>, sort: &[SortExpr]) -> Result<Vec<Expr>> {
    let mut unique: Vec<Expr> = vec![];
    for key in on {
        if !unique.contains(&key) {
            unique.push(key);
        }
    }
    let mut leading: Vec<Expr> = vec![];
    let mut skipped = false;
    let mut early = false;
    for key in sort {
        if !unique.contains(&key.expr) {
            skipped = true;
        } else if !leading.contains(&key.expr) {
            early |= skipped;
            leading.push(key.expr.clone());
        }
    }
    let rest: Vec<Expr> = unique.into_iter().filter(|key| !leading.contains(key)).collect();
    if early || skipped && !rest.is_empty() {
        return Err(Error::new(
            ErrorKind::InvalidColumnReference,
            "SELECT DISTINCT ON expressions must match initial ORDER BY expressions",
        ));
    }
    Ok(leading.into_iter().chain(rest).collect())
}

/// `* EXCEPT (..)`.
fn excluding(columns: Vec<Output>, options: &WildcardAdditionalOptions) -> Result<Vec<Output>> {
    if options.opt_ilike.is_some() || options.opt_replace.is_some() || options.opt_rename.is_some() || options.opt_alias.is_some() {
        return Err(Error::unsupported("an option of *").with_hint("* EXCEPT (columns) is supported."));
    }
    let mut excluded: Vec<String> = vec![];
    if let Some(ExceptSelectItem { first_element, additional_elements }) = &options.opt_except {
        excluded.extend(std::iter::once(first_element).chain(additional_elements).map(folded));
    }
    match &options.opt_exclude {
        Some(ExcludeSelectItem::Single(name)) => excluded.extend(super::error::name_parts(name).pop()),
        Some(ExcludeSelectItem::Multiple(names)) => {
            excluded.extend(names.iter().filter_map(|name| super::error::name_parts(name).pop()))
        }
        None => {}
    }
    if let Some(unknown) = excluded.iter().find(|name| !columns.iter().any(|column| column.name == **name)) {
        return Err(Error::new(ErrorKind::UndefinedColumn, format!("column \"{unknown}\" does not exist")));
    }
    Ok(columns.into_iter().filter(|column| !excluded.contains(&column.name)).collect())
}

/// The fields of a struct as columns.
fn struct_outputs(value: &Typed) -> Result<Vec<Output>> {
    let datafusion::arrow::datatypes::DataType::Struct(fields) = &value.data_type else {
        return Err(Error::new(ErrorKind::WrongObjectType, format!("type {} is not composite", value.sql_type)));
    };
    Ok(fields
        .iter()
        .map(|field| {
            let access = datafusion::functions::core::expr_fn::get_field(value.expr.clone(), field.name().as_str());
            let mut typed = Typed::of_field(access, field);
            typed.nullable = true;
            Output { name: field.name().clone(), value: typed }
        })
        .collect())
}
