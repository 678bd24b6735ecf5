//! GROUP BY: keys and grouping sets.
//!
//! ```text
//!   GROUP BY a, ROLLUP (b, (c, d))   =   the sets (a, b, c, d), (a, b), (a)
//!   GROUPING SETS (ROLLUP (a), b)    =   (a), (), (b)
//! ```
//! Every element stands for a list of sets; the sets of the clause are all combinations of one from each element, and a key counts once in each.
//! A key is an output column, or an expression that is none: two output columns with the same expression are two keys, as in PostgreSQL.

use datafusion::common::Column;
use datafusion::logical_expr::utils::{find_aggregate_exprs, find_window_exprs};
use datafusion::logical_expr::{Expr, GroupingSet, LogicalPlan};
use datafusion::sql::sqlparser::ast::{self, FunctionArguments, GroupByExpr, Spanned};

use super::Binder;
use super::error::{at, folded, name_parts};
use super::expression::{Clause, Place, unnested};
use super::query::position_key;
use super::subquery::projected;
use super::typed::Output;
use crate::error::{Error, ErrorKind, Result};
use crate::sql::internal_name::{DISTINCT_SETS, GROUPING_SETS};

/// PostgreSQL's bounds.
const MOST_SETS: usize = 4096;
const MOST_CUBED: usize = 12;

/// A bound GROUP BY.
#[derive(Debug, Default)]
pub(super) struct Grouping {
    /// Whether there is a clause.
    pub(super) present: bool,
    keys: Vec<GroupKey>,
    /// Keys of each set, by position; one for a GROUP BY without grouping sets.
    sets: Vec<Vec<usize>>,
    /// Whether the clause speaks of sets at all.
    several: bool,
}

#[derive(Debug, Clone)]
struct GroupKey {
    expr: Expr,
    /// The output column that it is.
    item: Option<usize>,
}

impl Grouping {
    /// The keys.
    pub(super) fn keys(&self) -> Vec<Expr> {
        self.keys.iter().map(|key| key.expr.clone()).collect()
    }

    /// The group expressions of an aggregate.
    pub(super) fn exprs(&self) -> Vec<Expr> {
        let set = |set: &Vec<usize>| set.iter().filter_map(|index| self.keys.get(*index)).map(|key| key.expr.clone()).collect();
        if !self.several {
            return self.sets.first().map(set).unwrap_or_default();
        }
        vec![Expr::GroupingSet(GroupingSet::GroupingSets(self.sets.iter().map(set).collect()))]
    }
}

impl Binder<'_> {
    /// GROUP BY over the output columns `items` and the input.
    pub(super) fn group_by(&self, group_by: &GroupByExpr, items: &[Output], place: Place<'_>) -> Result<Grouping> {
        let place = Place { clause: Clause::GroupBy, ..place };
        let elements = match group_by {
            GroupByExpr::All(modifiers) | GroupByExpr::Expressions(_, modifiers) if !modifiers.is_empty() => {
                return Err(Error::unsupported("a modifier of GROUP BY")
                    .with_hint("Use GROUP BY ROLLUP (..), CUBE (..) or GROUPING SETS (..)."));
            }
            GroupByExpr::All(_) => return Ok(of_all(items)),
            GroupByExpr::Expressions(elements, _) => elements.as_slice(),
        };
        let (distinct, elements) = match elements.split_first() {
            Some((ast::Expr::Identifier(marker), rest)) if marker.value == DISTINCT_SETS => (true, rest),
            _ => (false, elements),
        };
        let mut grouping = Grouping { present: !elements.is_empty(), sets: vec![vec![]], ..Grouping::default() };
        for element in elements {
            let own = self.element(element, items, place, &mut grouping)?;
            if own.len().saturating_mul(grouping.sets.len()) > MOST_SETS {
                let message = format!("too many grouping sets present (maximum {MOST_SETS})");
                return Err(at(Error::new(ErrorKind::TooComplex, message), element.span()));
            }
            grouping.sets = grouping
                .sets
                .iter()
                .flat_map(|before| own.iter().map(|set| before.iter().chain(set).copied().collect::<Vec<_>>()))
                .map(without_repeats)
                .collect();
        }
        if distinct {
            let mut seen: Vec<Vec<usize>> = vec![];
            grouping.sets.retain(|set| {
                let mut sorted = set.clone();
                sorted.sort_unstable();
                let new = !seen.contains(&sorted);
                seen.push(sorted);
                new
            });
        }
        Ok(grouping)
    }

    /// The sets of one element.
    fn element(&self, element: &ast::Expr, items: &[Output], place: Place<'_>, grouping: &mut Grouping) -> Result<Vec<Vec<usize>>> {
        match element {
            ast::Expr::Rollup(rows) => self.rollup(rows, items, place, grouping),
            ast::Expr::Cube(rows) => self.cube(rows, items, place, grouping),
            ast::Expr::GroupingSets(sets) => {
                grouping.several = true;
                let mut all = vec![];
                for set in sets {
                    match set.as_slice() {
                        [one] => all.extend(self.element(one, items, place, grouping)?),
                        row => all.push(self.row_of_keys(row, items, place, grouping)?),
                    }
                }
                Ok(all)
            }
            ast::Expr::Function(function) => match (name_parts(&function.name).as_slice(), function_rows(function)) {
                ([name], Some(rows)) if name == "rollup" => self.rollup(&rows, items, place, grouping),
                ([name], Some(rows)) if name == "cube" => self.cube(&rows, items, place, grouping),
                ([name], Some(rows)) if name == GROUPING_SETS => {
                    self.element(&ast::Expr::GroupingSets(rows), items, place, grouping)
                }
                ([name], Some(rows)) if name == "row" => {
                    let keys: Vec<ast::Expr> = rows.into_iter().flatten().collect();
                    Ok(vec![self.row_of_keys(&keys, items, place, grouping)?])
                }
                _ => Ok(vec![vec![self.group_key(element, items, place, grouping)?]]),
            },
            ast::Expr::Tuple(keys) => Ok(vec![self.row_of_keys(keys, items, place, grouping)?]),
            _ => Ok(vec![vec![self.group_key(element, items, place, grouping)?]]),
        }
    }

    fn rollup(
        &self,
        rows: &[Vec<ast::Expr>],
        items: &[Output],
        place: Place<'_>,
        grouping: &mut Grouping,
    ) -> Result<Vec<Vec<usize>>> {
        grouping.several = true;
        let rows = self.rows_of_keys(rows, items, place, grouping)?;
        Ok((0..=rows.len()).rev().map(|length| rows.iter().take(length).flatten().copied().collect()).collect())
    }

    fn cube(
        &self,
        rows: &[Vec<ast::Expr>],
        items: &[Output],
        place: Place<'_>,
        grouping: &mut Grouping,
    ) -> Result<Vec<Vec<usize>>> {
        grouping.several = true;
        if rows.len() > MOST_CUBED {
            return Err(Error::new(ErrorKind::TooComplex, format!("CUBE is limited to {MOST_CUBED} elements")));
        }
        let rows = self.rows_of_keys(rows, items, place, grouping)?;
        let count = rows.len();
        let chosen = |subset: usize| -> Vec<usize> {
            let row = rows.iter().enumerate().filter(|(index, _)| subset & (1 << (count - 1 - index)) != 0);
            row.flat_map(|(_, row)| row).copied().collect()
        };
        Ok((0..1_usize << count).rev().map(chosen).collect())
    }

    fn rows_of_keys(
        &self,
        rows: &[Vec<ast::Expr>],
        items: &[Output],
        place: Place<'_>,
        grouping: &mut Grouping,
    ) -> Result<Vec<Vec<usize>>> {
        rows.iter().map(|row| self.row_of_keys(row, items, place, grouping)).collect()
    }

    fn row_of_keys(&self, row: &[ast::Expr], items: &[Output], place: Place<'_>, grouping: &mut Grouping) -> Result<Vec<usize>> {
        let mut keys = vec![];
        for key in row {
            match key {
                ast::Expr::Tuple(inner) => keys.extend(self.row_of_keys(inner, items, place, grouping)?),
                key => keys.push(self.group_key(key, items, place, grouping)?),
            }
        }
        Ok(keys)
    }

    /// The position of a key among those of the clause.
    fn group_key(&self, key: &ast::Expr, items: &[Output], place: Place<'_>, grouping: &mut Grouping) -> Result<usize> {
        let found = self.bound_key(key, items, place)?;
        let same = |known: &GroupKey| match (known.item, found.item) {
            (Some(known), Some(found)) => known == found,
            _ => known.expr == found.expr,
        };
        if let Some(index) = grouping.keys.iter().position(same) {
            return Ok(index);
        }
        grouping.keys.push(found);
        Ok(grouping.keys.len() - 1)
    }

    fn bound_key(&self, key: &ast::Expr, items: &[Output], place: Place<'_>) -> Result<GroupKey> {
        let of_item = |index: usize| (items[index].value.clone(), Some(index));
        let (value, item) = match unnested(key) {
            ast::Expr::Value(value) => match (&value.value, position_key(key, items.len())) {
                (ast::Value::Number(..), Ok(Some(index))) => of_item(index),
                (ast::Value::Number(..), Err(error)) => {
                    let message = error.message().replace("ORDER BY", "GROUP BY");
                    return Err(at(Error::new(error.kind(), message), key.span()));
                }
                (ast::Value::Placeholder(_), _) => (self.expression(key, place)?, None),
                _ => return Err(at(Error::new(ErrorKind::Syntax, "non-integer constant in GROUP BY"), value.span)),
            },
            ast::Expr::Identifier(ident) => match place.range.find(std::slice::from_ref(ident))? {
                Some((value, _)) => (value, None),
                None => match items.iter().position(|item| item.name == folded(ident)) {
                    Some(index) => of_item(index),
                    None => (self.expression(key, place)?, None),
                },
            },
            _ => (self.expression(key, place)?, None),
        };
        if !find_aggregate_exprs([&value.expr]).is_empty() {
            return Err(at(Error::new(ErrorKind::Grouping, "aggregate functions are not allowed in GROUP BY"), key.span()));
        }
        if !find_window_exprs([&value.expr]).is_empty() {
            return Err(at(Error::new(ErrorKind::Windowing, "window functions are not allowed in GROUP BY"), key.span()));
        }
        let expr = self.settled(value)?.expr;
        let item = item.or_else(|| items.iter().position(|item| item.value.expr == expr));
        Ok(GroupKey { expr, item })
    }

    /// Keys that compute the same get columns of their own, and the output columns that they are refer to those. So do keys whose columns would be
    /// called alike; what they compute is given back with the columns.
    pub(super) fn distinguished(
        &self,
        plan: LogicalPlan,
        grouping: &mut Grouping,
        items: &mut [Output],
    ) -> Result<(LogicalPlan, Vec<(Expr, Expr)>)> {
        let (mut computed, mut replaced) = (vec![], vec![]);
        for index in 1..grouping.keys.len() {
            let (before, rest) = grouping.keys.split_at_mut(index);
            let Some(key) = rest.first_mut() else { break };
            let same = before.iter().any(|other| other.expr == key.expr);
            let name = key.expr.schema_name().to_string();
            if !same && !before.iter().any(|other| other.expr.schema_name().to_string() == name) {
                continue;
            }
            let internal = self.unique("key");
            let column = Column::new_unqualified(internal.clone());
            computed.push(key.expr.clone().alias(internal));
            let expr = std::mem::replace(&mut key.expr, Expr::Column(column));
            if !same {
                replaced.push((expr, key.expr.clone()));
            } else if let Some(item) = key.item.and_then(|item| items.get_mut(item)) {
                item.value.expr = key.expr.clone();
            }
        }
        if computed.is_empty() {
            return Ok((plan, replaced));
        }
        let columns: Vec<Expr> = plan.schema().columns().into_iter().map(Expr::Column).collect();
        Ok((projected(plan, columns.into_iter().chain(computed).collect())?, replaced))
    }
}

/// GROUP BY ALL: every output column without an aggregate.
fn of_all(items: &[Output]) -> Grouping {
    let plain =
        |item: &Output| find_aggregate_exprs([&item.value.expr]).is_empty() && find_window_exprs([&item.value.expr]).is_empty();
    let keys: Vec<GroupKey> = items
        .iter()
        .enumerate()
        .filter(|(_, item)| plain(item))
        .map(|(index, item)| GroupKey { expr: item.value.expr.clone(), item: Some(index) })
        .collect();
    Grouping { present: !keys.is_empty(), sets: vec![(0..keys.len()).collect()], keys, several: false }
}

fn without_repeats(set: Vec<usize>) -> Vec<usize> {
    let mut once = vec![];
    for key in set {
        if !once.contains(&key) {
            once.push(key);
        }
    }
    once
}

/// The arguments of a call, each as a row.
fn function_rows(function: &ast::Function) -> Option<Vec<Vec<ast::Expr>>> {
    let FunctionArguments::List(list) = &function.args else { return None };
    let row = |argument: &ast::FunctionArg| match argument {
        ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(ast::Expr::Tuple(row))) => Some(row.clone()),
        ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(expr)) => Some(vec![expr.clone()]),
        _ => None,
    };
    list.args.iter().map(row).collect()
}
