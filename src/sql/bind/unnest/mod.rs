//! Subqueries that refer to outer columns, as joins.
//!
//! DataFusion turns the plain forms into joins by itself (see [`planned`]); everything else is unnested here, in one way:
//!
//! ```text
//!   outer plan I ── distinct values of the outer columns ──▶ D                      domain
//!   subquery S   ── bound over D, for all its rows at once ─▶ S(D), D's columns kept  dependent
//!   I ⟕ S(D) on the outer columns, NULL equal to NULL ──────▶ one column in the subquery's place
//!
//!   scalar    its value
//!   EXISTS    a marker over the distinct keys of S(D)
//!   IN, ANY   EXISTS of an equal row, then EXISTS of a row that leaves it open: the NULLs of three-valued logic
//!   LATERAL   the rows of S(D) themselves
//! ```
//! Bound queries go through from the inside out, so a subquery never holds one that is still to be unnested. The plan keeps to nodes that
//! governance walks: a table read twice is two governed scans.
//!
//! Absent: correlation to volatile values (D would be computed from other values than the join), and conditions of outer joins that need
//! both sides.

use std::sync::Arc;

use datafusion::arrow::datatypes::FieldRef;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, ScalarValue};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::{Exists, InSubquery, SetComparison, SetQuantifier};
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{
    Case, Distinct, Expr, ExprSchemable, Filter, Join, JoinType, LogicalPlan, LogicalPlanBuilder, Operator, Projection, lit,
};

use self::domain::Domain;
pub(super) use self::domain::is_volatile;
use super::operator::binary_expr;
use super::subquery::subquery;
use crate::error::{Error, ErrorKind};
use crate::sql::call::{Callee, called, callee_of};
use crate::sql::source::SecurableSource;

mod dependent;
mod domain;
mod planned;

/// Gives out an internal name that nothing else in the statement has.
pub(crate) type Names<'n> = &'n dyn Fn(&str) -> String;

/// The plan with every subquery in a form that DataFusion plans.
///
/// # Errors
/// 0A000 for what is absent; see the module.
pub(crate) fn unnested(plan: LogicalPlan, names: Names<'_>) -> crate::error::Result<LogicalPlan> {
    let unnesting = Unnesting { names };
    plan.transform_up(|node| unnesting.node(node)).map(|plan| plan.data).map_err(told)
}

/// `left JOIN LATERAL right`: `right` refers to columns of `left`.
///
/// # Errors
/// As [`unnested`].
pub(super) fn lateral_join(
    left: LogicalPlan,
    right: LogicalPlan,
    join_type: JoinType,
    condition: Option<Expr>,
    names: Names<'_>,
) -> crate::error::Result<LogicalPlan> {
    let join = || -> Result<LogicalPlan> {
        let columns: Vec<Column> = left.schema().columns().into_iter().chain(right.schema().columns()).collect();
        let domain = Domain::over(&left, &right.all_out_ref_exprs(), names)?;
        let right = domain.dependent(right, names)?;
        let on = domain.joined_to(&left).into_iter().chain(condition.clone());
        let joined = LogicalPlanBuilder::from(left.clone()).join_on(right, join_type, on)?.build()?;
        check_size(&joined)?;
        projection(joined, columns.into_iter().map(Expr::Column).collect())
    };
    join().map_err(told)
}

/// Our own errors travel through DataFusion's tree walks as external ones.
fn told(error: DataFusionError) -> Error {
    match error {
        DataFusionError::External(source) => match source.downcast::<Error>() {
            Ok(ours) => *ours,
            Err(source) => Error::internal(source.to_string()),
        },
        other => super::error::plan_error(other),
    }
}

fn refused(what: &str, hint: &str) -> DataFusionError {
    DataFusionError::External(Box::new(Error::new(ErrorKind::Unsupported, format!("{what} is not supported")).with_hint(hint)))
}

/// Most nodes of a plan into which a subquery was joined.
const MOST_NODES: usize = 20_000;

/// D is made over a copy of the outer plan, so that subqueries whose outer plans hold subqueries double it again and again.
fn check_size(plan: &LogicalPlan) -> Result<()> {
    let mut nodes = 0;
    count_nodes(plan, &mut nodes)?;
    if nodes <= MOST_NODES {
        return Ok(());
    }
    let hint = "Correlated subqueries build upon each other too often; store the result of one in a table.";
    Err(DataFusionError::External(Box::new(Error::new(ErrorKind::TooComplex, "query is too complex").with_hint(hint))))
}

fn count_nodes(plan: &LogicalPlan, nodes: &mut usize) -> Result<()> {
    plan.apply(|node| {
        *nodes += 1;
        if let Some(body) = SecurableSource::view_body(node) {
            count_nodes(body, nodes)?;
        }
        Ok(if *nodes > MOST_NODES { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(())
}

fn projection(plan: LogicalPlan, exprs: Vec<Expr>) -> Result<LogicalPlan> {
    Projection::try_new(exprs, Arc::new(plan)).map(LogicalPlan::Projection)
}

fn columns_of(plan: &LogicalPlan) -> Vec<Expr> {
    plan.schema().columns().into_iter().map(Expr::Column).collect()
}

/// `expr` under the name that `old` had.
fn named_as(expr: Expr, old: &Expr) -> Expr {
    let (relation, name) = old.qualified_name();
    if expr.qualified_name() == (relation.clone(), name.clone()) { expr } else { expr.alias_qualified(relation, name) }
}

/// Replaces whole expressions, the largest first.
fn replaced(expr: Expr, known: &[(Expr, Expr)]) -> Result<Expr> {
    let rewritten = expr.transform_down(|node| {
        Ok(match known.iter().find(|(from, _)| *from == node) {
            Some((_, to)) => Transformed::new(to.clone(), true, TreeNodeRecursion::Jump),
            None => Transformed::no(node),
        })
    })?;
    Ok(rewritten.data)
}

/// An input to which subqueries have been joined, and the expressions that stand for them.
struct Attached {
    input: LogicalPlan,
    known: Vec<(Expr, Expr)>,
}

struct Unnesting<'n> {
    names: Names<'n>,
}

impl Unnesting<'_> {
    fn node(&self, node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
        let node = match node {
            LogicalPlan::Filter(filter) => with_certain_conditions(filter)?,
            other => other,
        };
        let open = planned::left_over(&node)?;
        if open.is_empty() {
            return Ok(Transformed::no(node));
        }
        let unnested = match node {
            LogicalPlan::Filter(filter) => {
                let columns = columns_of(&filter.input);
                let attached = self.attach(Arc::unwrap_or_clone(filter.input), open)?;
                let predicate = replaced(filter.predicate, &attached.known)?;
                projection(Filter::try_new(predicate, Arc::new(attached.input)).map(LogicalPlan::Filter)?, columns)
            }
            LogicalPlan::Projection(over) => {
                let attached = self.attach(Arc::unwrap_or_clone(over.input), open)?;
                let exprs = over.expr.into_iter().map(|old| {
                    let new = replaced(old.clone(), &attached.known)?;
                    Ok(named_as(new, &old))
                });
                let exprs = exprs.collect::<Result<Vec<_>>>()?;
                projection(attached.input, exprs)
            }
            LogicalPlan::Join(join) => self.join(join, open),
            other => self.computed_before(other, open),
        }?;
        Ok(Transformed::yes(unnested))
    }

    /// Any node of one input: the subqueries' values are computed below it. Names that come from its expressions are restored.
    fn computed_before(&self, node: LogicalPlan, open: Vec<Expr>) -> Result<LogicalPlan> {
        let Some(input) = node.inputs().first().map(|input| (*input).clone()) else {
            return Err(refused("a subquery in this place", "Compute it in a subquery in FROM."));
        };
        let (before, old) = (input.schema().fields().len(), node.schema().columns());
        let attached = self.attach(input, open)?;
        let computed = attached.input.schema().fields().len() - before;
        let exprs = node.expressions().into_iter().map(|expr| replaced(expr, &attached.known)).collect::<Result<Vec<_>>>()?;
        let rebuilt = node.with_new_exprs(exprs, vec![attached.input])?.recompute_schema()?;
        let mut new = rebuilt.schema().columns();
        if !matches!(node, LogicalPlan::Aggregate(_)) {
            // The input's columns come through; what was computed stands behind them.
            new.drain(before..before + computed);
        }
        let exprs = new.into_iter().zip(old).map(|(new, old)| named_as(Expr::Column(new), &Expr::Column(old))).collect();
        projection(rebuilt, exprs)
    }

    /// Subqueries in ON: computed on the side whose columns they need.
    fn join(&self, join: Join, open: Vec<Expr>) -> Result<LogicalPlan> {
        let columns = columns_of(&LogicalPlan::Join(join.clone()));
        let needs =
            |side: &LogicalPlan| open.iter().filter(|expr| outer_columns(expr).iter().any(|column| has(side, column))).count();
        let (left_needs, right_needs) = (needs(&join.left), needs(&join.right));
        if left_needs > 0 && right_needs > 0 {
            if join.join_type != JoinType::Inner {
                return Err(refused(
                    "a subquery over columns of both sides in the condition of an outer join",
                    "Join with a subquery in FROM.",
                ));
            }
            let condition = join.on.into_iter().map(|(left, right)| left.eq(right)).chain(join.filter).reduce(Expr::and);
            let crossed = LogicalPlanBuilder::from(Arc::unwrap_or_clone(join.left))
                .cross_join(Arc::unwrap_or_clone(join.right))?
                .filter(condition.unwrap_or_else(|| lit(true)))?
                .build()?;
            return self.node(crossed).map(|node| node.data);
        }
        let (mut left, mut right) = (Arc::unwrap_or_clone(join.left), Arc::unwrap_or_clone(join.right));
        let side = if right_needs > 0 { &mut right } else { &mut left };
        let attached = self.attach(std::mem::replace(side, LogicalPlanBuilder::empty(false).build()?), open)?;
        *side = attached.input;
        let filter = join.filter.map(|filter| replaced(filter, &attached.known)).transpose()?;
        let mut on = vec![];
        for (left, right) in join.on {
            on.push((replaced(left, &attached.known)?, replaced(right, &attached.known)?));
        }
        let joined = Join::try_new(
            Arc::new(left),
            Arc::new(right),
            on,
            filter,
            join.join_type,
            join.join_constraint,
            join.null_equality,
            join.null_aware,
        )?;
        projection(LogicalPlan::Join(joined), columns)
    }

    /// Joins the values of `open` to `input`.
    fn attach(&self, input: LogicalPlan, open: Vec<Expr>) -> Result<Attached> {
        // D is always made over the input as it was: over the growing one it would double with each subquery.
        let mut domain_input = input.clone();
        let mut attached = Attached { input, known: vec![] };
        // From the inside out: a call that is the argument of another, a subquery on the left side of IN.
        for expr in open {
            if let Some((callee, arguments)) = callee_of(&expr) {
                let result = self.called(&mut attached, callee, arguments)?;
                attached.known.push((expr, result));
                continue;
            }
            let stands_for = match &expr {
                Expr::ScalarSubquery(scalar) => self.value(&mut attached, &domain_input, &scalar.subquery)?,
                Expr::Exists(exists) => self.existence(&mut attached, &domain_input, exists)?,
                Expr::InSubquery(_) | Expr::SetComparison(_) => {
                    let comparison = self.comparison(&mut attached, &mut domain_input, &expr)?;
                    let exists = planned::exists_in(&comparison)?;
                    let mut known = vec![];
                    for exists in exists {
                        let marker = self.existence(&mut attached, &domain_input, &exists)?;
                        known.push((Expr::Exists(exists), marker));
                    }
                    replaced(comparison, &known)?
                }
                _ => continue,
            };
            attached.known.push((expr, stands_for));
        }
        Ok(attached)
    }

    /// A call, which adds its result to every row.
    fn called(&self, attached: &mut Attached, callee: &Arc<dyn Callee>, arguments: &[Expr]) -> Result<Expr> {
        let arguments = arguments.iter().map(|argument| replaced(argument.clone(), &attached.known)).collect::<Result<_>>()?;
        let name = (self.names)("value");
        attached.input = called(callee, attached.input.clone(), arguments, name.clone())?;
        Ok(Expr::Column(Column::new_unqualified(name)))
    }

    /// A scalar subquery, which has at most one row for each outer row.
    fn value(&self, attached: &mut Attached, over: &LogicalPlan, plan: &LogicalPlan) -> Result<Expr> {
        let name = (self.names)("value");
        let domain = Domain::over(over, &plan.all_out_ref_exprs(), self.names)?;
        let value = columns_of(plan).into_iter().next().unwrap_or_else(|| lit(ScalarValue::Null));
        let rows = domain.dependent(plan.clone(), self.names)?;
        let rows = projection(rows, std::iter::once(value.alias(&name)).chain(domain.keys()).collect())?;
        self.beside(attached, rows, &domain)?;
        Ok(Expr::Column(Column::new_unqualified(name)))
    }

    /// Whether a subquery has rows.
    fn existence(&self, attached: &mut Attached, over: &LogicalPlan, exists: &Exists) -> Result<Expr> {
        let plan = exists.subquery.subquery.as_ref();
        let name = (self.names)("exists");
        let domain = Domain::over(over, &plan.all_out_ref_exprs(), self.names)?;
        let marker = lit(true).alias(&name);
        let rows = if domain.is_empty() {
            let first = LogicalPlanBuilder::from(plan.clone()).limit(0, Some(1))?.build()?;
            projection(first, vec![marker])?
        } else {
            let keys = projection(domain.dependent(plan.clone(), self.names)?, domain.keys())?;
            let keys = LogicalPlan::Distinct(Distinct::All(Arc::new(keys)));
            projection(keys, domain.keys().into_iter().chain([marker]).collect())?
        };
        self.beside(attached, rows, &domain)?;
        let column = Box::new(Expr::Column(Column::new_unqualified(name)));
        Ok(if exists.negated { Expr::IsNull(column) } else { Expr::IsNotNull(column) })
    }

    fn beside(&self, attached: &mut Attached, rows: LogicalPlan, domain: &Domain) -> Result<()> {
        let mut on = domain.joined_to(&attached.input);
        if on.is_empty() {
            on.push(lit(true));
        }
        let input = LogicalPlanBuilder::from(attached.input.clone()).join_on(rows, JoinType::Left, on)?.build()?;
        check_size(&input)?;
        attached.input = input;
        Ok(())
    }

    /// `x IN S`, `x op ANY S`, `x op ALL S` over EXISTS, with the NULLs of three-valued logic.
    fn comparison(&self, attached: &mut Attached, over: &mut LogicalPlan, expr: &Expr) -> Result<Expr> {
        let (value, operator, plan, all, negated) = match expr {
            Expr::InSubquery(InSubquery { expr, subquery, negated }) => (expr, Operator::Eq, subquery, false, *negated),
            Expr::SetComparison(SetComparison { expr, subquery, op, quantifier }) => {
                (expr, *op, subquery, matches!(quantifier, SetQuantifier::All), false)
            }
            other => return Ok(other.clone()),
        };
        let value = replaced(value.as_ref().clone(), &attached.known)?;
        let (operand, field) = self.as_column(attached, over, value)?;
        let reference = Expr::OuterReferenceColumn(Arc::clone(&field), operand.clone());
        let plan = plan.subquery.as_ref();
        let Some(probe) = columns_of(plan).into_iter().next() else { return Ok(lit(false)) };
        let among = |condition: Option<Expr>| -> Result<Expr> {
            let rows = LogicalPlanBuilder::from(plan.clone());
            let rows = match condition {
                Some(condition) => rows.filter(condition)?,
                None => rows,
            };
            Ok(Expr::Exists(Exists::new(subquery(rows.build()?), false)))
        };
        let found = binary_expr(reference, operator, probe.clone());
        let deciding = if all { Expr::Not(Box::new(found)) } else { found };
        let mut branches = vec![(Box::new(among(Some(deciding))?), Box::new(lit(!all)))];
        let mut open = vec![];
        if probe.nullable(plan.schema())? {
            open.push(among(Some(Expr::IsNull(Box::new(probe))))?);
        }
        if field.is_nullable() {
            open.push(Expr::IsNull(Box::new(Expr::Column(operand))).and(among(None)?));
        }
        if let Some(open) = open.into_iter().reduce(Expr::or) {
            branches.push((Box::new(open), Box::new(lit(ScalarValue::Boolean(None)))));
        }
        let case = Expr::Case(Case::new(None, branches, Some(Box::new(lit(all)))));
        Ok(if negated { Expr::Not(Box::new(case)) } else { case })
    }

    /// A column that holds `expr`, in the input and under D alike.
    fn as_column(&self, attached: &mut Attached, over: &mut LogicalPlan, expr: Expr) -> Result<(Column, FieldRef)> {
        let (_, field) = expr.to_field(attached.input.schema())?;
        if let Expr::Column(column) = &expr
            && has(over, column)
        {
            return Ok((column.clone(), field));
        }
        let name = (self.names)("operand");
        let with = |plan: &LogicalPlan| -> Result<LogicalPlan> {
            let exprs = columns_of(plan).into_iter().chain([expr.clone().alias(&name)]).collect();
            projection(plan.clone(), exprs)
        };
        // An operand that is a subquery itself is known to the grown input only.
        let known = expr.column_refs().into_iter().all(|column| has(over, column));
        attached.input = with(&attached.input)?;
        *over = if known { with(over)? } else { attached.input.clone() };
        Ok((Column::new_unqualified(name), field))
    }
}

/// Whether the plan has exactly this column.
fn has(plan: &LogicalPlan, column: &Column) -> bool {
    plan.schema().iter().any(|(relation, field)| relation == column.relation.as_ref() && *field.name() == column.name)
}

/// The columns of the surrounding plan that a subquery or a call needs.
fn outer_columns(expr: &Expr) -> Vec<Column> {
    if let Some((_, arguments)) = callee_of(expr) {
        return arguments.iter().flat_map(Expr::column_refs).cloned().collect();
    }
    let (operand, plan) = match expr {
        Expr::ScalarSubquery(scalar) => (None, &scalar.subquery),
        Expr::Exists(exists) => (None, &exists.subquery.subquery),
        Expr::InSubquery(within) => (Some(&within.expr), &within.subquery.subquery),
        Expr::SetComparison(comparison) => (Some(&comparison.expr), &comparison.subquery.subquery),
        _ => return vec![],
    };
    let references = plan.all_out_ref_exprs().into_iter().filter_map(|reference| match reference {
        Expr::OuterReferenceColumn(_, column) => Some(column),
        _ => None,
    });
    references.chain(operand.into_iter().flat_map(|operand| operand.column_refs().into_iter().cloned())).collect()
}

/// In a condition of its own NULL is as good as false: `CASE WHEN a THEN true WHEN .. THEN NULL ELSE false END` is `a`.
fn with_certain_conditions(filter: Filter) -> Result<LogicalPlan> {
    let conditions = split_conjunction_owned(filter.predicate).into_iter().map(|condition| match condition {
        Expr::Case(case) if is_three_valued_exists(&case) => match case.when_then_expr.into_iter().next() {
            Some((exists, _)) => *exists,
            None => lit(false),
        },
        other => other,
    });
    let predicate = conjunction(conditions).unwrap_or_else(|| lit(true));
    Filter::try_new(predicate, filter.input).map(LogicalPlan::Filter)
}

fn is_three_valued_exists(case: &Case) -> bool {
    let truth = |expr: &Expr| match expr {
        Expr::Literal(ScalarValue::Boolean(value), _) => Some(*value),
        _ => None,
    };
    let Some(((first, result), rest)) = case.when_then_expr.split_first() else { return false };
    case.expr.is_none()
        && matches!(first.as_ref(), Expr::Exists(_))
        && truth(result) == Some(Some(true))
        && rest.iter().all(|(_, result)| matches!(truth(result), Some(None | Some(false))))
        && case.else_expr.as_ref().is_some_and(|last| matches!(truth(last), Some(None | Some(false))))
}
