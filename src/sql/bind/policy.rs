//! Row filters and masks: bound per table and session, ready for governance to apply.
//!
//! ```text
//!  TableEntry ─▶ function by identity ─▶ body over the table's columns ─▶ identity functions are constants now ─▶ simplified
//! ```
//! A policy is bound in a fixed session ([`FunctionContext::fixed`](crate::functions::FunctionContext::fixed)) and with the function owner's
//! privileges. `current_user` and its like name the session's principal. What the session could steer by what it sets, makes or asks is
//! refused, by what a function declares about itself; of relations, tables and views of tables are read and nothing else. What cannot be
//! bound makes the table unreadable (fail closed), and the error says nothing about the policy's text.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{BinaryExpr, Cast, Expr, Operator, lit};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;

use super::Binder;
use super::coerce::cast_expr;
use super::error::plan_error;
use super::typed::{Output, Typed};
use crate::catalog::ColumnIdentity;
use crate::catalog::securable::{ColumnEntry, ColumnMask, Function, PolicyArgument, Relation, RowFilter, TableEntry};
use crate::error::{Error, ErrorKind, Result};
use crate::lake::AsOf;
use crate::sql::call::callee_of;
use crate::sql::resolve::ResolvedTable;
use crate::sql::source::BoundPolicies;
use crate::types::SqlType;

impl Binder<'_> {
    /// The policies of a table for this session.
    pub(super) fn policies(&self, table: &ResolvedTable, as_of: &AsOf) -> Result<Arc<BoundPolicies>> {
        let relation = table.relation.as_ref();
        let Some(entry) = relation.table() else { return Ok(Arc::default()) };
        let masks = masks_of(table, entry);
        if entry.row_filter.is_none() && masks.is_empty() {
            return Ok(Arc::default());
        }
        let key = (relation.id, as_of.clone());
        let known = self.world.shared.borrow().policies.get(&key).map(Arc::clone);
        if let Some(known) = known {
            return Ok(known);
        }
        if self.policy {
            return Err(self.inapplicable(relation, Error::internal("a policy function reads a table that has policies itself")));
        }
        let volatile = self.world.shared.borrow().volatile;
        let path = super::names::SearchPath::empty(&self.world.scope.functions);
        let binder = Binder { world: self.world, by: self.by, path, active: vec![], policy: true, foreign: self.foreign };
        let bound = binder.bind_policies(table, entry, &masks).map_err(|error| self.inapplicable(relation, error))?;
        self.world.shared.borrow_mut().volatile = volatile;
        let bound = Arc::new(bound);
        self.world.shared.borrow_mut().policies.insert(key, Arc::clone(&bound));
        Ok(bound)
    }

    fn bind_policies(&self, table: &ResolvedTable, entry: &TableEntry, masks: &[MaskOf<'_>]) -> Result<BoundPolicies> {
        let columns = PolicyColumns { table, columns: self.range_of_schema(&table.schema).visible };
        let schema = DFSchema::try_from(Arc::clone(&table.schema)).map_err(plan_error)?;
        let row_filter = match &entry.row_filter {
            None => None,
            Some(filter) => self.bind_row_filter(filter, &columns, &schema)?,
        };
        let mut bound = BTreeMap::new();
        for mask in masks {
            let column = columns.at(mask.position)?;
            let expr = match self.bind_mask(mask, &columns, &schema) {
                // Nobody can be asked to repair the mask of a column that is gone: nothing of it is shown.
                Err(_) if mask.is_past => Some(lit(ScalarValue::try_new_null(&column.value.data_type).map_err(plan_error)?)),
                expr => expr?,
            };
            if let Some(expr) = expr {
                bound.insert(column.name.clone(), expr);
            }
        }
        Ok(BoundPolicies { row_filter, masks: bound })
    }

    fn bind_row_filter(&self, filter: &RowFilter, columns: &PolicyColumns<'_>, schema: &DFSchema) -> Result<Option<Expr>> {
        let function = self.policy_function(filter.function)?;
        let arguments = filter.columns.iter().map(|name| columns.called(name)).collect::<Result<Vec<_>>>()?;
        let parameters = policy_parameters(&function, arguments)?;
        if function.returns != SqlType::Bool {
            return Err(Error::internal("a row filter does not return boolean"));
        }
        let condition = self.function_body(&function, parameters)?;
        let condition = simplified(condition.expr, schema)?;
        Ok(if condition == lit(true) { None } else { Some(condition) })
    }

    fn bind_mask(&self, mask: &MaskOf<'_>, columns: &PolicyColumns<'_>, schema: &DFSchema) -> Result<Option<Expr>> {
        let function = self.policy_function(mask.mask.function)?;
        let masked = Typed { origin: None, ..columns.at(mask.position)?.value.clone() };
        let wanted = masked.clone();
        let mut arguments = vec![masked];
        for argument in &mask.mask.using {
            let position = arguments.len();
            arguments.push(match argument {
                PolicyArgument::Column(name) if mask.is_past => columns.found(ColumnIdentity::Physical(name))?,
                PolicyArgument::Column(name) => columns.called(name)?,
                PolicyArgument::Constant(text) => {
                    let parameter =
                        function.parameters.get(position).ok_or_else(|| Error::internal("a mask has too many arguments"))?;
                    self.cast(Typed::unknown(text.clone()), &parameter.1)?
                }
            });
        }
        let parameters = policy_parameters(&function, arguments)?;
        if !same_policy_type(&function.returns, &wanted.sql_type) {
            return Err(Error::internal("a mask returns another type than its column's"));
        }
        let value = self.function_body(&function, parameters)?;
        let value = self.cast(value, &wanted.sql_type)?;
        let expr = if value.data_type == wanted.data_type { value.expr } else { cast_expr(value.expr, &wanted.data_type) };
        let expr = simplified(expr, schema)?;
        Ok(if without_string_casts(&expr) == &wanted.expr { None } else { Some(expr) })
    }

    fn policy_function(&self, id: crate::catalog::securable::ObjectId) -> Result<Arc<Function>> {
        self.world.scope.snapshot().function_by_id(id).map(Arc::clone).ok_or_else(|| Error::internal("a policy function is gone"))
    }

    /// Fail closed: no row of the table is read, and nothing of the policy is told; nor the table, where a view reads it for somebody who
    /// does not know of it.
    fn inapplicable(&self, relation: &Relation, cause: Error) -> Error {
        let known = self.path.may_see(self.world.scope.functions.principal, relation.id);
        let table = if known { format!("table \"{}\"", relation.name) } else { "a table".to_string() };
        Error::new(ErrorKind::InvalidObjectDefinition, format!("a policy of {table} cannot be applied"))
            .with_hint("Ask the owner of the table to look at its row filter and its masks.")
            .with_source(cause)
    }

    /// Whether a call of this built-in may stand here.
    ///
    /// # Errors
    /// 42P17 inside a policy, if whom the policy restricts could steer the answer; 42501 for an effect in text of another owner.
    pub(super) fn admit_call(&self, function: &str) -> Result<()> {
        let behaviour = self.world.scope.registry.behaviour(function);
        let behaviour = behaviour.ok_or_else(|| Error::internal(format!("function {function} does not say what it does")))?;
        if !behaviour.may_decide_policies() {
            self.unfit_for_policies(|| format!("function {function}"))?;
        }
        if behaviour.has_effect() && self.foreign {
            let message = format!("function {function} has an effect and may not be called by a view or function of another owner");
            return Err(Error::new(ErrorKind::Denied, message)
                .with_detail("It would act in your name, with what you may see.")
                .with_hint("Call it in a statement of your own, or in a view or function that you own."));
        }
        Ok(())
    }

    /// As [`Binder::admit_call`], for a relation about the warehouse.
    pub(super) fn admit_system_relation(&self, relation: &str) -> Result<()> {
        self.unfit_for_policies(|| format!("relation {relation}"))
    }

    /// Notes what no policy may depend on; inside a policy it is an error.
    pub(super) fn unfit_for_policies(&self, what: impl FnOnce() -> String) -> Result<()> {
        if self.policy {
            return Err(unfit_for_policies(&what()));
        }
        self.world.shared.borrow_mut().unfit_for_policies.get_or_insert_with(what);
        Ok(())
    }
}

/// 42P17: whom a policy restricts could steer it by `what`.
pub fn unfit_for_policies(what: &str) -> Error {
    Error::new(ErrorKind::InvalidObjectDefinition, format!("a policy cannot depend on {what}"))
        .with_detail("The session that the policy restricts could steer the answer, or it differs from call to call.")
        .with_hint("Use tables, current_user, session_user, is_member, is_account_group_member, the current date and time, and functions of their arguments.")
}

/// A mask and the column of this version that it is for.
struct MaskOf<'a> {
    position: usize,
    mask: &'a ColumnMask,
    /// The newest version has no such column any more: arguments are physical names.
    is_past: bool,
}

/// The masks of the columns that this version has.
fn masks_of<'a>(table: &ResolvedTable, entry: &'a TableEntry) -> Vec<MaskOf<'a>> {
    let known = |name: &str| table.relation.columns.iter().find(|column| column.name == name).map(ColumnEntry::identity);
    let mut masks: Vec<MaskOf<'a>> = Vec::new();
    for (name, mask) in &entry.column_masks {
        let position = table.position(known(name).unwrap_or(ColumnIdentity::Name(name)));
        masks.extend(position.map(|position| MaskOf { position, mask, is_past: false }));
    }
    for column in &entry.past_columns {
        let Some(mask) = &column.mask else { continue };
        let position = table.position(ColumnIdentity::Physical(&column.physical_name));
        let position = position.filter(|position| masks.iter().all(|mask| mask.position != *position));
        masks.extend(position.map(|position| MaskOf { position, mask, is_past: true }));
    }
    masks
}

/// The columns of a version as policies name them.
struct PolicyColumns<'a> {
    table: &'a ResolvedTable,
    columns: Vec<Output>,
}

impl PolicyColumns<'_> {
    fn at(&self, position: usize) -> Result<&Output> {
        self.columns.get(position).ok_or_else(|| Error::internal("a version has fewer columns than its schema"))
    }

    /// The column that a policy of the table calls `name` today, whatever it is called in this version.
    fn called(&self, name: &str) -> Result<Typed> {
        let identity = self.table.relation.policy_column(name);
        self.found(identity.ok_or_else(|| Error::internal(format!("policy column {name} is not known")))?)
    }

    fn found(&self, identity: ColumnIdentity<'_>) -> Result<Typed> {
        let position = self.table.position(identity);
        let position = position
            .ok_or_else(|| Error::internal(format!("policy column {identity:?} is missing in this version of the table")))?;
        Ok(Typed { origin: None, ..self.at(position)?.value.clone() })
    }
}

/// Arguments as parameters: the types must agree, for a cast could open a filter.
fn policy_parameters(function: &Function, arguments: Vec<Typed>) -> Result<Vec<Output>> {
    if arguments.len() != function.parameters.len() {
        return Err(Error::internal("a policy function has another number of parameters"));
    }
    arguments
        .into_iter()
        .zip(&function.parameters)
        .map(|(argument, (name, sql_type))| {
            if !same_policy_type(&argument.sql_type, sql_type) {
                return Err(Error::internal("a policy function has a parameter of another type"));
            }
            Ok(Output { name: name.clone(), value: Typed { sql_type: sql_type.clone(), ..argument } })
        })
        .collect()
}

/// The same type, apart from the length of strings.
fn same_policy_type(left: &SqlType, right: &SqlType) -> bool {
    let text = |sql_type: &SqlType| matches!(sql_type, SqlType::Text | SqlType::Varchar(_) | SqlType::Bpchar(_));
    left == right || text(left) && text(right)
}

/// Casts between representations of strings do not change a value.
fn without_string_casts(expr: &Expr) -> &Expr {
    match expr {
        Expr::Cast(Cast { expr, field }) if field.data_type().is_string() => without_string_casts(expr),
        other => other,
    }
}

/// An expression with everything constant computed. Where subqueries are inside, only boolean logic and CASE are.
pub(super) fn simplified(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    let pruned = expr.transform_up(|expr| Ok(Transformed::yes(pruned(expr)))).map_err(plan_error)?.data;
    if has_subquery(&pruned) {
        return Ok(pruned);
    }
    let context = SimplifyContext::builder().with_schema(Arc::new(schema.clone())).build();
    let simplifier = ExprSimplifier::new(context);
    let coerced = simplifier.coerce(pruned, schema).map_err(|error| crate::error::datafusion::from_datafusion(error, false))?;
    simplifier.simplify(coerced).map_err(|error| crate::error::datafusion::from_datafusion(error, false))
}

fn has_subquery(expr: &Expr) -> bool {
    let reads = |expr: &Expr| {
        matches!(expr, Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_) | Expr::SetComparison(_))
            || callee_of(expr).is_some()
    };
    expr.exists(|expr| Ok(reads(expr))).unwrap_or(true)
}

fn truth(expr: &Expr) -> Option<bool> {
    match expr {
        Expr::Literal(ScalarValue::Boolean(Some(truth)), _) => Some(*truth),
        _ => None,
    }
}

/// One step of boolean logic over constants.
fn pruned(expr: Expr) -> Expr {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => match (truth(&left), truth(&right)) {
            (Some(false), _) | (_, Some(false)) => lit(false),
            (Some(true), _) => *right,
            (_, Some(true)) => *left,
            _ => Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }),
        },
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => match (truth(&left), truth(&right)) {
            (Some(true), _) | (_, Some(true)) => lit(true),
            (Some(false), _) => *right,
            (_, Some(false)) => *left,
            _ => Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }),
        },
        Expr::Not(inner) => match truth(&inner) {
            Some(truth) => lit(!truth),
            None => Expr::Not(inner),
        },
        Expr::Case(mut case) if case.expr.is_none() => {
            let is_never = |condition: &Expr| {
                truth(condition) == Some(false) || matches!(condition, Expr::Literal(value, _) if value.is_null())
            };
            case.when_then_expr.retain(|(condition, _)| !is_never(condition));
            if let Some(always) = case.when_then_expr.iter().position(|(condition, _)| truth(condition) == Some(true)) {
                let (_, result) = case.when_then_expr.swap_remove(always);
                case.when_then_expr.truncate(always);
                case.else_expr = Some(result);
            }
            match (case.when_then_expr.is_empty(), case.else_expr.take()) {
                (true, Some(result)) => *result,
                (true, None) => lit(ScalarValue::Null),
                (false, default) => {
                    case.else_expr = default;
                    Expr::Case(case)
                }
            }
        }
        other => other,
    }
}

/// Whether `function` may be `filter` of `relation`: it returns boolean and its parameters are of exactly the columns' types.
/// An implicit cast could open a filter, so none is made.
///
/// # Errors
/// `UndefinedColumn`, `DatatypeMismatch` or `InvalidObjectDefinition`.
pub fn check_row_filter(filter: &RowFilter, function: &Function, relation: &Relation) -> Result<()> {
    if function.returns != SqlType::Bool {
        let message = format!("row filter function \"{}\" must return boolean, not {}", function.name, function.returns);
        return Err(Error::new(ErrorKind::DatatypeMismatch, message));
    }
    check_duplicates(filter.columns.iter())?;
    let types = filter.columns.iter().map(|column| column_type(relation, column).map(Some)).collect::<Result<Vec<_>>>()?;
    check_parameters(function, &types)
}

/// Whether `function` may be the mask of `column` of `relation`: its first parameter and its result are of the column's type.
///
/// # Errors
/// As [`check_row_filter`].
pub fn check_mask(column: &str, mask: &ColumnMask, function: &Function, relation: &Relation) -> Result<()> {
    let own = column_type(relation, column)?;
    let columns =
        mask.using.iter().filter_map(|argument| if let PolicyArgument::Column(name) = argument { Some(name) } else { None });
    let own_name = column.to_string();
    check_duplicates(std::iter::once(&own_name).chain(columns))?;
    if !same_policy_type(&function.returns, &own) {
        let message = format!(
            "mask function \"{}\" must return {own}, the type of column \"{column}\", not {}",
            function.name, function.returns
        );
        return Err(Error::new(ErrorKind::DatatypeMismatch, message));
    }
    let mut types = vec![Some(own)];
    for argument in &mask.using {
        types.push(match argument {
            PolicyArgument::Column(name) => Some(column_type(relation, name)?),
            PolicyArgument::Constant(_) => None,
        });
    }
    check_parameters(function, &types)
}

fn check_duplicates<'n>(names: impl Iterator<Item = &'n String>) -> Result<()> {
    let mut seen = std::collections::HashSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(Error::new(ErrorKind::InvalidObjectDefinition, format!("column \"{name}\" is named twice in the policy")));
        }
    }
    Ok(())
}

fn column_type(relation: &Relation, column: &str) -> Result<SqlType> {
    relation.columns.iter().find(|entry| entry.name == column).map(|entry| entry.sql_type.clone()).ok_or_else(|| {
        Error::new(ErrorKind::UndefinedColumn, format!("column \"{column}\" of relation \"{}\" does not exist", relation.name))
    })
}

fn check_parameters(function: &Function, types: &[Option<SqlType>]) -> Result<()> {
    if types.len() != function.parameters.len() {
        let message = format!(
            "function \"{}\" has {} parameters, the policy gives {}",
            function.name,
            function.parameters.len(),
            types.len()
        );
        return Err(Error::new(ErrorKind::InvalidObjectDefinition, message));
    }
    for (found, (name, wanted)) in types.iter().zip(&function.parameters) {
        if let Some(found) = found
            && !same_policy_type(found, wanted)
        {
            let message = format!(
                "parameter \"{name}\" of function \"{}\" is of type {wanted}, the column is of type {found}",
                function.name
            );
            return Err(Error::new(ErrorKind::DatatypeMismatch, message)
                .with_hint("A policy's types must agree exactly: a cast could open it."));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::DataType;
    use datafusion::common::Column;

    use super::*;

    #[test]
    fn constant_branches_vanish() {
        let column = Expr::Column(Column::new_unqualified("ssn"));
        let case = Expr::Case(datafusion::logical_expr::Case::new(
            None,
            vec![(Box::new(lit(true)), Box::new(column.clone()))],
            Some(Box::new(lit("***"))),
        ));
        assert_eq!(pruned(case), column);
        assert_eq!(pruned(lit(true).or(column.clone())), lit(true));
        assert_eq!(pruned(lit(true).and(column.clone())), column);
        let cast = cast_expr(cast_expr(column.clone(), &DataType::Utf8), &DataType::Utf8View);
        assert_eq!(without_string_casts(&cast), &column);
    }
}
