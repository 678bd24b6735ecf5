//! SELECT: from the FROM clause to the select list.
//!
//! ```text
//!  FROM ─▶ WHERE ─▶ [Aggregate ─▶ HAVING] ─▶ [Window] ─▶ [Unnest: sets in the select list] ─▶ select list + hidden sort keys ─▶ DISTINCT
//! ```
//! All expressions of the clause are bound over FROM first; then each stage replaces what it has computed by columns.

use std::cell::RefCell;
use std::sync::Arc;

use datafusion::common::NullHandling;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, UnnestOptions};
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::utils::{expr_as_column_expr, find_aggregate_exprs, find_window_exprs};
use datafusion::logical_expr::{
    Aggregate, Distinct, DistinctOn, Expr, Filter, GroupingSet, LogicalPlan, LogicalPlanBuilder, SortExpr, lit,
};
use datafusion::sql::sqlparser::ast::{
    self, ExceptSelectItem, ExcludeSelectItem, GroupByExpr, Ident, SelectItem, SelectItemQualifiedWildcardKind, Spanned,
    WildcardAdditionalOptions,
};

use super::Binder;
use super::distinct_names::distinctly_named;
use super::error::{at, folded, name_span, plan_error};
use super::expression::{Clause, Place, SetCall, unnested};
use super::output_name::output_name;
use super::query::{Block, Key, Targets, position_key, sort_expr};
use super::range::Environment;
use super::subquery::projected;
use super::typed::{Output, Typed};
use crate::error::{Error, ErrorKind, Result};
use crate::sql::internal_name::shown;

/// The expressions of a SELECT that later stages rewrite.
struct Work {
    items: Vec<Output>,
    having: Option<Expr>,
    order: Vec<(Key, ast::OrderByOptions)>,
    on: Vec<Key>,
    sets: Vec<SetCall>,
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
        Ok(())
    }
}

impl Key {
    fn input(&self) -> Option<&Expr> {
        match self {
            Key::Input(value) => Some(&value.expr),
            Key::Output(_) => None,
        }
    }
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
        let sets = RefCell::new(vec![]);
        let place = Place { windows: &select.named_window, sets: Some(&sets), ..Place::new(&range, environment, Clause::Select) };
        let items = self
            .select_list(&select.projection, place)?
            .into_iter()
            .enumerate()
            .map(|(index, item)| {
                let value = settle(index, item.value)?;
                Ok(Output { name: item.name, value })
            })
            .collect::<Result<Vec<_>>>()?;
        let groups = self.group_by(&select.group_by, &items, place)?;
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
        let mut work = Work { items, having: having.map(|having| having.expr), order, on, sets: sets.into_inner() };
        if let Some(qualify) = qualify {
            // Rides along as a key, so that it is rewritten with the others; taken off after the windows.
            work.on.push(Key::Input(qualify));
        }
        plan = self.aggregate_stage(plan, groups, &mut work)?;
        plan = window_stage(plan, &mut work)?;
        if select.qualify.is_some()
            && let Some(Key::Input(condition)) = work.on.pop()
        {
            plan = filtered(plan, condition.expr)?;
        }
        plan = set_stage(plan, &work.sets)?;
        self.output_stage(plan, work, select.distinct.as_ref())
    }

    /// GROUP BY and HAVING.
    fn aggregate_stage(&self, plan: LogicalPlan, groups: Vec<Expr>, work: &mut Work) -> Result<LogicalPlan> {
        let has_aggregates = !find_aggregate_exprs(work.exprs()).is_empty();
        if groups.is_empty() && !has_aggregates && work.having.is_none() {
            return Ok(plan);
        }
        let mut aggregates = find_aggregate_exprs(work.exprs());
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
        let named = distinctly_named(&aggregates);
        let plan =
            Aggregate::try_new(Arc::new(plan), groups.clone(), named.clone()).map(LogicalPlan::Aggregate).map_err(plan_error)?;
        let keys = groups.iter().flat_map(group_members).map(|key| (key.clone(), key));
        let computed = computed_columns(keys.chain(aggregates.into_iter().zip(named)), &plan)?;
        work.map(|expr| {
            let expr = replaced(expr, &computed)?;
            check_grouped(&expr, &input_schema, plan.schema())?;
            Ok(expr)
        })?;
        match work.having.take() {
            Some(having) => filtered(plan, having),
            None => Ok(plan),
        }
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
                Ok(Block { plan, outputs, sort, limit: None, offset: None })
            }
            Some(ast::Distinct::On(_)) => {
                let plan = distinct_on(plan, on, &outputs, sort)?;
                Ok(Block { plan, outputs, sort: vec![], limit: None, offset: None })
            }
            Some(ast::Distinct::All) | None => Ok(Block { plan, outputs, sort, limit: None, offset: None }),
        }
    }

    /// The select list, with wildcards spelled out.
    fn select_list(&self, items: &[SelectItem], place: Place<'_>) -> Result<Vec<Output>> {
        let mut outputs = Vec::with_capacity(items.len());
        for item in items {
            match item {
                SelectItem::UnnamedExpr(expr) => {
                    outputs.push(Output { name: output_name(expr), value: self.expression(expr, place)? });
                }
                SelectItem::ExprWithAlias { expr, alias } => {
                    outputs.push(Output { name: folded(alias), value: self.expression(expr, place)? });
                }
                SelectItem::ExprWithAliases { .. } => return Err(Error::unsupported("several aliases for one expression")),
                SelectItem::Wildcard(options) => {
                    if place.range.visible.is_empty() {
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

    fn group_by(&self, group_by: &GroupByExpr, items: &[Output], place: Place<'_>) -> Result<Vec<Expr>> {
        let place = Place { clause: Clause::GroupBy, sets: None, ..place };
        match group_by {
            GroupByExpr::All(modifiers) | GroupByExpr::Expressions(_, modifiers) if !modifiers.is_empty() => {
                Err(Error::unsupported("a modifier of GROUP BY")
                    .with_hint("Use GROUP BY ROLLUP (..), CUBE (..) or GROUPING SETS (..)."))
            }
            GroupByExpr::All(_) => Ok(items
                .iter()
                .filter(|item| {
                    find_aggregate_exprs([&item.value.expr]).is_empty() && find_window_exprs([&item.value.expr]).is_empty()
                })
                .map(|item| item.value.expr.clone())
                .collect()),
            GroupByExpr::Expressions(keys, _) => {
                keys.iter().filter(|key| !is_empty_row(key)).map(|key| self.group_key(key, items, place)).collect()
            }
        }
    }

    fn group_key(&self, key: &ast::Expr, items: &[Output], place: Place<'_>) -> Result<Expr> {
        let rows = |rows: &[Vec<ast::Expr>]| -> Result<Vec<Vec<Expr>>> {
            rows.iter().map(|row| row.iter().map(|key| self.group_key(key, items, place)).collect()).collect()
        };
        match key {
            ast::Expr::Rollup(keys) => return Ok(Expr::GroupingSet(GroupingSet::Rollup(single_keys(rows(keys)?, "ROLLUP")?))),
            ast::Expr::Cube(keys) => return Ok(Expr::GroupingSet(GroupingSet::Cube(single_keys(rows(keys)?, "CUBE")?))),
            ast::Expr::GroupingSets(sets) => return Ok(Expr::GroupingSet(GroupingSet::GroupingSets(rows(sets)?))),
            _ => {}
        }
        let value = match unnested(key) {
            ast::Expr::Value(value) if matches!(value.value, ast::Value::Number(..)) => match position_key(key, items.len()) {
                Ok(Some(index)) => items[index].value.clone(),
                Ok(None) => self.expression(key, place)?,
                Err(error) => {
                    let message = error.message().replace("ORDER BY", "GROUP BY");
                    return Err(at(Error::new(error.kind(), message), key.span()));
                }
            },
            ast::Expr::Identifier(ident) => match place.range.find(std::slice::from_ref(ident))? {
                Some((value, _)) => value,
                None => match items.iter().find(|item| item.name == folded(ident)) {
                    Some(item) => item.value.clone(),
                    None => self.expression(key, place)?,
                },
            },
            _ => self.expression(key, place)?,
        };
        if !find_aggregate_exprs([&value.expr]).is_empty() {
            return Err(at(Error::new(ErrorKind::Grouping, "aggregate functions are not allowed in GROUP BY"), key.span()));
        }
        if !find_window_exprs([&value.expr]).is_empty() {
            return Err(at(Error::new(ErrorKind::Windowing, "window functions are not allowed in GROUP BY"), key.span()));
        }
        Ok(self.settled(value)?.expr)
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

/// `GROUP BY ()`: one group of all rows.
fn is_empty_row(key: &ast::Expr) -> bool {
    matches!(key, ast::Expr::Tuple(elements) if elements.is_empty())
}

fn single_keys(rows: Vec<Vec<Expr>>, what: &str) -> Result<Vec<Expr>> {
    rows.into_iter()
        .map(|mut row| match (row.pop(), row.is_empty()) {
            (Some(key), true) => Ok(key),
            _ => Err(Error::unsupported(format!("{what} over rows of several columns")).with_hint("Use GROUPING SETS.")),
        })
        .collect()
}

/// The single keys of a group expression.
fn group_members(group: &Expr) -> Vec<Expr> {
    match group {
        Expr::GroupingSet(set) => set.distinct_expr().into_iter().cloned().collect(),
        other => vec![other.clone()],
    }
}

/// Expressions that a plan has computed as others, with the columns that hold them.
fn computed_columns(exprs: impl Iterator<Item = (Expr, Expr)>, plan: &LogicalPlan) -> Result<Vec<(Expr, Expr)>> {
    exprs
        .map(|(expr, named)| {
            let column = expr_as_column_expr(&named, plan).map_err(plan_error)?;
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
    let mut check = |column: &Column| {
        if !grouped.has_column(column) && input.has_column(column) && missing.is_none() {
            missing = Some(column.clone());
        }
    };
    expr.apply(|node| {
        match node {
            Expr::Column(column) => check(column),
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
            let message = format!("column \"{shown}\" must appear in the GROUP BY clause or be used in an aggregate function");
            Err(Error::new(ErrorKind::Grouping, message))
        }
    }
}

fn outer_columns(subquery: &datafusion::logical_expr::Subquery, check: &mut impl FnMut(&Column)) {
    for reference in &subquery.outer_ref_columns {
        if let Expr::OuterReferenceColumn(_, column) = reference {
            check(column);
        }
    }
}

fn window_stage(plan: LogicalPlan, work: &mut Work) -> Result<LogicalPlan> {
    let windows = find_window_exprs(work.exprs());
    if windows.is_empty() {
        return Ok(plan);
    }
    let named = distinctly_named(&windows);
    let plan = LogicalPlanBuilder::window_plan(plan, named.clone()).map_err(plan_error)?;
    let computed = computed_columns(windows.into_iter().zip(named), &plan)?;
    work.map(|expr| replaced(expr, &computed))?;
    Ok(plan)
}

/// Set-returning functions of the select list run in step; the shorter ones are filled up with NULL.
fn set_stage(plan: LogicalPlan, sets: &[SetCall]) -> Result<LogicalPlan> {
    if sets.is_empty() {
        return Ok(plan);
    }
    let columns: Vec<Expr> = plan.schema().columns().into_iter().map(Expr::Column).collect();
    let lists = sets.iter().map(|set| set.list.clone().alias(&set.column));
    let plan = projected(plan, columns.into_iter().chain(lists).collect())?;
    unnested_plan(plan, sets.iter().map(|set| set.column.clone()).collect(), NullHandling::Drop)
}

/// Unnests list columns side by side.
pub(super) fn unnested_plan(plan: LogicalPlan, columns: Vec<String>, null_handling: NullHandling) -> Result<LogicalPlan> {
    let columns = columns.into_iter().map(Column::new_unqualified).collect();
    LogicalPlanBuilder::from(plan)
        .unnest_columns_with_options(columns, UnnestOptions::new().with_null_handling(null_handling))
        .and_then(LogicalPlanBuilder::build)
        .map_err(plan_error)
}

/// A filter.
pub(super) fn filtered(plan: LogicalPlan, condition: Expr) -> Result<LogicalPlan> {
    Filter::try_new(condition, Arc::new(plan)).map(LogicalPlan::Filter).map_err(plan_error)
}

/// DISTINCT ON: the first row of each group in the order of ORDER BY, which must begin with the group's keys.
fn distinct_on(plan: LogicalPlan, on: Vec<Expr>, outputs: &[Output], sort: Vec<SortExpr>) -> Result<LogicalPlan> {
    let mut unique: Vec<Expr> = vec![];
    for key in on {
        if !unique.contains(&key) {
            unique.push(key);
        }
    }
    let keys = if sort.is_empty() {
        unique
    } else {
        let mut leading: Vec<Expr> = vec![];
        for key in &sort {
            if leading.len() < unique.len() && !leading.contains(&key.expr) {
                leading.push(key.expr.clone());
            }
        }
        if leading.len() != unique.len() || !leading.iter().all(|key| unique.contains(key)) {
            return Err(Error::new(
                ErrorKind::InvalidColumnReference,
                "SELECT DISTINCT ON expressions must match initial ORDER BY expressions",
            ));
        }
        leading
    };
    let select = outputs.iter().map(|output| output.value.expr.clone()).collect();
    let sort = if sort.is_empty() { None } else { Some(sort) };
    DistinctOn::try_new(keys, select, sort, Arc::new(plan))
        .map(|distinct| LogicalPlan::Distinct(Distinct::On(distinct)))
        .map_err(plan_error)
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
