//! Joins: lists, JOIN and LATERAL.
//!
//! ```text
//!   FROM a, b JOIN c ON .., LATERAL (..) d RIGHT JOIN e ON ..
//!        a × (b ⋈ c) × (d ⟖ e)        JOIN binds tighter than the comma
//! ```
//! The condition of a join names its two sides only. A LATERAL relation sees the left side of its own joins, whose rows are at hand
//! ([`Before::near`]), and what stands before the commas of the lists around ([`Before::far`]): references to that make the whole tree
//! of joins depend on it, and it is joined to it as a LATERAL subquery would be. Where the tree begins with such a relation and only keeps its rows (inner and left
//! joins), it grows on the rows of the list instead, which comes to the same and costs no second evaluation.

use datafusion::functions::core::expr_fn as core;
use datafusion::logical_expr::{Expr, JoinType, LogicalPlan, LogicalPlanBuilder, Operator, lit};
use datafusion::sql::sqlparser::ast::{Ident, Join, JoinConstraint, JoinOperator, TableWithJoins};

use super::Binder;
use super::error::{at, folded, plan_error};
use super::expression::{Clause, Place};
use super::hidden;
use super::range::{Environment, Range, RangeTable, Ranged};
use super::table_function::{SetSource, one_row};
use super::typed::{Output, Typed};
use super::unnest::lateral_join;
use crate::error::{Error, ErrorKind, Result};
use crate::sql::internal_name::using_alias;

/// A relation of FROM, maybe one that depends on those before it.
pub(super) enum Factor {
    /// Stands for itself.
    Plain(Ranged),
    /// A subquery with references to its left neighbours.
    Lateral(Ranged),
    /// Functions whose arguments are columns of the left neighbours.
    Sets(SetSource),
}

/// What stands to the left of a relation, for LATERAL.
#[derive(Debug, Clone, Copy)]
pub(super) struct Before<'r> {
    /// Relations whose rows it is joined to.
    pub(super) near: &'r Range,
    /// Relations of the lists around, which are joined later.
    pub(super) far: &'r Range,
}

impl Before<'_> {
    /// All of them.
    pub(super) fn all(&self) -> Range {
        self.far.beside(self.near)
    }
}

/// A tree of joins that grows to the right.
struct Tree {
    plan: LogicalPlan,
    /// The relations of the tree itself.
    range: Range,
    /// Relations before the comma, if the tree grows on their rows.
    base: Range,
}

impl Binder<'_> {
    /// The FROM clause.
    pub(super) fn from(&self, from: &[TableWithJoins], environment: &Environment<'_>) -> Result<Ranged> {
        let mut all: Option<Ranged> = None;
        for item in from {
            all = Some(self.list_item(item, all, &Range::default(), environment)?);
        }
        match all {
            Some(ranged) => Ok(ranged),
            None => Ok(Ranged { plan: one_row()?, range: Range::default() }),
        }
    }

    /// `left, item`.
    fn list_item(&self, item: &TableWithJoins, left: Option<Ranged>, far: &Range, environment: &Environment<'_>) -> Result<Ranged> {
        let empty = Range::default();
        let before = Before { near: left.as_ref().map_or(&empty, |left| &left.range), far };
        let first = self.factor(&item.relation, before, environment)?;
        let depends = matches!(first, Factor::Lateral(_) | Factor::Sets(_));
        let keeps_rows = item.joins.iter().all(|join| join_parts(join).is_ok_and(|(join_type, _)| keeps_left(join_type)));
        let Some(left) = left else {
            let first = self.standing_alone(first)?;
            let tree = Tree { plan: first.plan, range: first.range, base: Range::default() };
            return self.tree(tree, item, far, environment).map(|tree| Ranged { plan: tree.plan, range: tree.range });
        };
        if item.joins.is_empty() {
            return self.crossed(left, first, environment);
        }
        if depends && keeps_rows {
            let (base, count) = (left.range.clone(), left.range.tables.len());
            let visible = left.range.visible.len();
            let grown = self.crossed(left, first, environment)?;
            let own = Range {
                tables: grown.range.tables.get(count..).unwrap_or_default().to_vec(),
                visible: grown.range.visible.get(visible..).unwrap_or_default().to_vec(),
                ..Range::default()
            };
            let tree = self.tree(Tree { plan: grown.plan, range: own, base }, item, far, environment)?;
            return Ok(Ranged { plan: tree.plan, range: Range::joined(&tree.base, &tree.range)? });
        }
        let outside = far.beside(&left.range);
        let first = if depends {
            // Bound again, as what refers to rows that are not there yet.
            self.factor(&item.relation, Before { near: &empty, far: &outside }, environment)?
        } else {
            first
        };
        let first = self.standing_alone(first)?;
        let tree = Tree { plan: first.plan, range: first.range, base: Range::default() };
        let tree = self.tree(tree, item, &outside, environment)?;
        let refers = tree.plan.all_out_ref_exprs().iter().any(|reference| left.range.is_referred_to(reference));
        let ranged = Ranged { plan: tree.plan, range: tree.range };
        self.crossed(left, if refers { Factor::Lateral(ranged) } else { Factor::Plain(ranged) }, environment)
    }

    fn crossed(&self, left: Ranged, right: Factor, environment: &Environment<'_>) -> Result<Ranged> {
        let none = (JoinType::Inner, &JoinConstraint::None);
        self.joined(left, right, none, &Range::default(), environment)
    }

    fn tree(&self, mut tree: Tree, item: &TableWithJoins, far: &Range, environment: &Environment<'_>) -> Result<Tree> {
        for join in &item.joins {
            let near = tree.base.beside(&tree.range);
            let right = self.factor(&join.relation, Before { near: &near, far }, environment)?;
            let left = Ranged { plan: tree.plan, range: tree.range };
            let joined = self.joined(left, right, join_parts(join)?, &far.beside(&tree.base), environment)?;
            tree = Tree { plan: joined.plan, range: joined.range, base: tree.base };
        }
        Ok(tree)
    }

    /// A tree of joins in parentheses.
    pub(super) fn nested_join(&self, item: &TableWithJoins, before: Before<'_>, environment: &Environment<'_>) -> Result<Ranged> {
        self.list_item(item, None, &before.all(), environment)
    }

    fn standing_alone(&self, factor: Factor) -> Result<Ranged> {
        match factor {
            Factor::Plain(ranged) | Factor::Lateral(ranged) => Ok(ranged),
            Factor::Sets(sets) => self.sets_alone(sets),
        }
    }

    /// A join; `others` are relations of the same FROM that its condition cannot name.
    fn joined(
        &self,
        left: Ranged,
        right: Factor,
        (join_type, constraint): (JoinType, &JoinConstraint),
        others: &Range,
        environment: &Environment<'_>,
    ) -> Result<Ranged> {
        if !keeps_left(join_type)
            && let Some(table) = referred_table(&left.range, &right)
        {
            let message = format!("invalid reference to FROM-clause entry for table \"{table}\"");
            return Err(Error::new(ErrorKind::InvalidColumnReference, message)
                .with_detail("The combining JOIN type must be INNER or LEFT for a LATERAL reference."));
        }
        let (right, lateral) = match right {
            Factor::Plain(right) => (right, false),
            Factor::Lateral(right) => (right, true),
            Factor::Sets(sets) if sets.is_beside(join_type, constraint) => return self.beside_sets(left, sets, join_type),
            Factor::Sets(sets) => (self.lateral_sets(sets)?, true),
        };
        let range = Range::joined(&left.range, &right.range)?;
        if let JoinConstraint::Using(names) = constraint {
            let mut names: Vec<Ident> =
                names.iter().filter_map(|name| name.0.first().and_then(|part| part.as_ident().cloned())).collect();
            let alias = names.last().and_then(|last| using_alias(&last.value)).map(str::to_string);
            if alias.is_some() {
                names.pop();
            }
            let mut joined = self.join_using(left, right, range, join_type, &names, lateral)?;
            if let Some(alias) = alias {
                let columns = joined.range.visible.iter().take(names.len()).cloned().collect();
                let table = Range { tables: vec![RangeTable { alias, columns, ..RangeTable::default() }], ..Range::default() };
                joined.range = Range::joined(&joined.range, &table)?;
            }
            return Ok(joined);
        }
        if matches!(constraint, JoinConstraint::Natural) {
            let shared = natural_columns(&left.range, &right.range);
            return self.join_using(left, right, range, join_type, &shared, lateral);
        }
        let condition = match constraint {
            JoinConstraint::On(condition) => {
                let range = Range { unreachable: others.names(false), ..range.clone() };
                Some(self.condition_of(condition, Place::new(&range, environment, Clause::JoinOn))?.expr)
            }
            _ => None,
        };
        let plan = self.join_plan(left.plan, right.plan, join_type, condition, lateral)?;
        Ok(Ranged { plan, range: after_join(range, &left.range, join_type) })
    }

    fn join_plan(
        &self,
        left: LogicalPlan,
        right: LogicalPlan,
        join_type: JoinType,
        condition: Option<Expr>,
        lateral: bool,
    ) -> Result<LogicalPlan> {
        if lateral {
            return lateral_join(left, right, join_type, condition, &|base| self.unique(base));
        }
        let builder = LogicalPlanBuilder::from(left);
        let builder = match (condition, join_type) {
            (None, JoinType::Inner) => builder.cross_join(right),
            (condition, join_type) => builder.join_on(right, join_type, condition.or_else(|| Some(lit(true)))),
        };
        builder.and_then(LogicalPlanBuilder::build).map_err(plan_error)
    }

    /// USING and NATURAL: equal columns appear once, first.
    fn join_using(
        &self,
        left: Ranged,
        right: Ranged,
        range: Range,
        join_type: JoinType,
        names: &[Ident],
        lateral: bool,
    ) -> Result<Ranged> {
        let mut condition: Option<Expr> = None;
        let mut merged = vec![];
        for name in names {
            let side = |range: &Range, side: &str| -> Result<Typed> {
                range.find(std::slice::from_ref(name))?.map(|(value, _)| value).ok_or_else(|| {
                    let message = format!("column \"{}\" specified in USING clause does not exist in {side} table", folded(name));
                    at(Error::new(ErrorKind::UndefinedColumn, message), name.span)
                })
            };
            let (left_value, right_value) = (side(&left.range, "left")?, side(&right.range, "right")?);
            let equal =
                self.compare(Operator::Eq, left_value.clone(), right_value.clone()).map_err(|error| at(error, name.span))?;
            condition = Some(match condition {
                None => equal.expr,
                Some(before) => before.and(equal.expr),
            });
            let value = match join_type {
                JoinType::Right => right_value,
                JoinType::Full => {
                    let (values, common) = self.unify(vec![left_value, right_value], "JOIN/USING")?;
                    let data_type = values.first().map_or_else(|| common.arrow_type(), |value| value.data_type.clone());
                    let expr = core::coalesce(values.into_iter().map(|value| value.expr).collect());
                    Typed { data_type, ..Typed::new(expr, common, true) }
                }
                _ => left_value,
            };
            merged.push(Output { name: folded(name), value });
        }
        let plan = self.join_plan(left.plan, right.plan, join_type, condition, lateral)?;
        let mut range = after_join(range, &left.range, join_type);
        let is_merged = |output: &Output| names.iter().any(|name| folded(name) == output.name);
        range.visible.retain(|output| !is_merged(output));
        range.visible = merged.into_iter().chain(range.visible).collect();
        Ok(Ranged { plan, range })
    }
}

/// Joins whose left rows all take part.
fn keeps_left(join_type: JoinType) -> bool {
    matches!(join_type, JoinType::Inner | JoinType::Left)
}

fn join_parts(join: &Join) -> Result<(JoinType, &JoinConstraint)> {
    Ok(match &join.join_operator {
        JoinOperator::Join(constraint) | JoinOperator::Inner(constraint) => (JoinType::Inner, constraint),
        JoinOperator::CrossJoin(constraint @ JoinConstraint::None) => (JoinType::Inner, constraint),
        JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) => (JoinType::Left, constraint),
        JoinOperator::Right(constraint) | JoinOperator::RightOuter(constraint) => (JoinType::Right, constraint),
        JoinOperator::FullOuter(constraint) => (JoinType::Full, constraint),
        JoinOperator::Semi(constraint) | JoinOperator::LeftSemi(constraint) => (JoinType::LeftSemi, constraint),
        JoinOperator::Anti(constraint) | JoinOperator::LeftAnti(constraint) => (JoinType::LeftAnti, constraint),
        other => return Err(Error::unsupported(format!("this kind of join ({})", join_words(other)))),
    })
}

/// The first relation of `range` that a LATERAL relation refers to.
fn referred_table(range: &Range, right: &Factor) -> Option<String> {
    match right {
        Factor::Plain(_) => None,
        Factor::Lateral(ranged) => {
            let references = ranged.plan.all_out_ref_exprs();
            references.iter().find_map(|reference| match reference {
                Expr::OuterReferenceColumn(_, column) => range.table_of(column),
                _ => None,
            })
        }
        Factor::Sets(sets) => sets.lists.iter().flat_map(|(_, list)| list.column_refs()).find_map(|column| range.table_of(column)),
    }
}

/// What is visible after a join: the filled-up side's columns may be NULL, semi and anti joins show the left side only.
fn after_join(range: Range, left: &Range, join_type: JoinType) -> Range {
    if matches!(join_type, JoinType::LeftSemi | JoinType::LeftAnti) {
        return left.clone();
    }
    let (left_nullable, right_nullable) =
        (matches!(join_type, JoinType::Right | JoinType::Full), matches!(join_type, JoinType::Left | JoinType::Full));
    let (left_tables, left_columns) = (left.tables.len(), left.visible.len());
    let mut range = range;
    for (index, table) in range.tables.iter_mut().enumerate() {
        let nullable = if index < left_tables { left_nullable } else { right_nullable };
        if nullable {
            table.presence.become_optional(&table.columns);
            hidden::make_optional(&mut table.hidden, &table.presence);
        }
        table.columns.iter_mut().for_each(|column| column.value.nullable |= nullable);
    }
    for (index, column) in range.visible.iter_mut().enumerate() {
        column.value.nullable |= if index < left_columns { left_nullable } else { right_nullable };
    }
    range
}

fn natural_columns(left: &Range, right: &Range) -> Vec<Ident> {
    left.visible
        .iter()
        .filter(|column| right.visible.iter().any(|other| other.name == column.name))
        .map(|column| Ident::with_quote('"', column.name.clone()))
        .collect()
}

fn join_words(operator: &JoinOperator) -> &'static str {
    match operator {
        JoinOperator::RightSemi(_) | JoinOperator::RightAnti(_) => "RIGHT SEMI, RIGHT ANTI",
        JoinOperator::CrossApply | JoinOperator::OuterApply => "APPLY",
        JoinOperator::AsOf { .. } => "ASOF",
        _ => "of another dialect",
    }
}
