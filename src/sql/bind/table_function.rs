//! Functions in FROM: sets of rows.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Column, NullHandling};
use datafusion::functions::core::expr_fn as core;
use datafusion::functions_nested::expr_fn as nested;
use datafusion::logical_expr::{Expr, JoinType, LogicalPlan, LogicalPlanBuilder};
use datafusion::sql::sqlparser::ast::{self, FunctionArg, FunctionArgExpr, Ident, JoinConstraint, ObjectName, TableAlias};

use super::Binder;
use super::coerce::element_type;
use super::error::{folded, name_parts, plan_error};
use super::expression::{Clause, Place};
use super::join::{Before, Factor};
use super::query::renamed;
use super::range::{Environment, Range, RangeTable, Ranged};
use super::sets::{numbers_of, unnested_plan};
use super::subquery::projected;
use super::typed::{Output, Typed};
use crate::error::{Error, ErrorKind, Result};
use crate::sql::internal_name::ROWS_FROM;
use crate::system::SystemRelation;
use crate::types::SqlType;

/// Set-returning functions side by side, as one relation.
pub(super) struct SetSource {
    /// Lists to unnest, under their internal names.
    pub(super) lists: Vec<(String, Expr)>,
    columns: Vec<Output>,
    alias: String,
}

impl SetSource {
    /// Whether they can be unnested beside the rows that their arguments come from.
    pub(super) fn is_beside(&self, join_type: JoinType, constraint: &JoinConstraint) -> bool {
        let unconditional = match constraint {
            JoinConstraint::None => true,
            JoinConstraint::On(ast::Expr::Value(value)) => value.value == ast::Value::Boolean(true),
            JoinConstraint::On(_) | JoinConstraint::Using(_) | JoinConstraint::Natural => false,
        };
        unconditional && matches!(join_type, JoinType::Inner | JoinType::Left)
    }
}

impl Binder<'_> {
    /// Functions in FROM: each call is one column (or one for each field of its rows).
    pub(super) fn function_factor(
        &self,
        calls: &[(Vec<String>, Vec<&ast::Expr>)],
        with_ordinality: bool,
        alias: Option<&TableAlias>,
        before: Before<'_>,
        environment: &Environment<'_>,
    ) -> Result<Factor> {
        let several;
        let calls = match calls {
            [(parts, members)] if parts.first().is_some_and(|name| name == ROWS_FROM) => {
                several = members.iter().map(|member| function_of(member)).collect::<Result<Vec<_>>>()?;
                several.as_slice()
            }
            calls => calls,
        };
        let name = calls.first().and_then(|(parts, _)| parts.last()).cloned().unwrap_or_default();
        let visible_name = alias.map_or_else(|| name.clone(), |alias| folded(&alias.name));
        if let ([(parts, arguments)], false) = (calls, with_ordinality)
            && let Some(relation) = system_function(parts, arguments)
        {
            let mut ranged = self.system_relation(relation, &visible_name)?;
            if let Some(alias) = alias {
                let columns = renamed(std::mem::take(&mut ranged.range.visible), alias)?;
                ranged.range = Range::of_table(RangeTable { alias: visible_name, columns, ..RangeTable::default() });
            }
            return Ok(Factor::Plain(ranged));
        }
        let left = before.all();
        let place = Place::new(&left, environment, Clause::From);
        let mut lists = vec![];
        let mut columns = vec![];
        for (parts, arguments) in calls {
            let (list, names) = self.set_of(parts, arguments, place)?;
            let single = calls.len() == 1 && names.len() == 1;
            let internal = self.unique("set");
            columns.extend(self.set_columns(
                &list,
                &internal,
                &names,
                if single { alias.map(|alias| folded(&alias.name)) } else { None },
            )?);
            lists.push((internal, list.expr));
        }
        if with_ordinality {
            let internal = self.unique("set");
            let numbers = numbers_of(lists.iter().map(|(_, list)| list));
            let column = Column::new_unqualified(internal.clone());
            let value = Typed::new(Expr::Column(column.clone()), SqlType::Int8, true);
            self.register(&column, &value);
            columns.push(Output { name: "ordinality".to_string(), value });
            lists.push((internal, numbers));
        }
        let columns = alias.map_or(Ok(columns.clone()), |alias| renamed(columns, alias))?;
        let refers = |range: &Range| lists.iter().any(|(_, list)| list.column_refs().into_iter().any(|column| range.has(column)));
        let (near, far) = (refers(before.near), refers(before.far));
        let sets = SetSource { lists, columns, alias: visible_name };
        match (near, far) {
            (true, false) => Ok(Factor::Sets(sets)),
            (true, true) => self.lateral_sets(sets).map(Factor::Lateral),
            (false, true) => self.lateral_sets(sets).map(Factor::Plain),
            (false, false) => self.sets_alone(sets).map(Factor::Plain),
        }
    }

    /// The list that a function in FROM returns, and the names of its columns.
    fn set_of(&self, parts: &[String], arguments: &[&ast::Expr], place: Place<'_>) -> Result<(Typed, Vec<String>)> {
        let name = parts.last().cloned().unwrap_or_default();
        let builtin = Self::builtin_name(parts).map(str::to_lowercase);
        let set = builtin.and_then(|name| {
            let set = self.world.scope.registry.table(&name, self.context())?;
            Some((name, set))
        });
        if let Some((builtin, set)) = set {
            let arguments = arguments.iter().map(|argument| self.expression(argument, place)).collect::<Result<Vec<_>>>()?;
            let list = self.scalar_call(&builtin, &set.list, arguments)?;
            return Ok((list, set.columns));
        }
        // A scalar function in FROM is a relation of one row.
        let call = ast::Function {
            name: ObjectName(parts.iter().map(|part| ast::ObjectNamePart::Identifier(Ident::new(part.clone()))).collect()),
            uses_odbc_syntax: false,
            parameters: ast::FunctionArguments::None,
            args: ast::FunctionArguments::List(ast::FunctionArgumentList {
                duplicate_treatment: None,
                args: arguments.iter().map(|argument| FunctionArg::Unnamed(FunctionArgExpr::Expr((*argument).clone()))).collect(),
                clauses: vec![],
            }),
            filter: None,
            null_treatment: None,
            over: None,
            within_group: vec![],
        };
        let value = self.function(&call, place)?;
        let value = self.settled(value)?;
        let element = Arc::new(datafusion::arrow::datatypes::Field::new_list_field(value.data_type.clone(), true));
        let expr = nested::make_array(vec![value.expr]);
        let array_type = SqlType::Array(Box::new(value.sql_type));
        Ok((Typed { data_type: DataType::List(element), ..Typed::new(expr, array_type, false) }, vec![name]))
    }

    /// The columns of an unnested list: its elements, or the fields of its rows.
    fn set_columns(&self, list: &Typed, internal: &str, names: &[String], alias: Option<String>) -> Result<Vec<Output>> {
        let DataType::List(element) = &list.data_type else {
            return Err(Error::new(ErrorKind::DatatypeMismatch, format!("type {} cannot be unnested", list.sql_type)));
        };
        let column = Column::new_unqualified(internal.to_string());
        let mut value = Typed::of_field(Expr::Column(column.clone()), element);
        if let Some(sql_type) = element_type(&list.sql_type) {
            value.sql_type = sql_type;
        }
        value.nullable = true;
        self.register(&column, &value);
        if let DataType::Struct(fields) = element.data_type() {
            return Ok(fields
                .iter()
                .enumerate()
                .map(|(index, field)| {
                    let access = core::get_field(value.expr.clone(), field.name().as_str());
                    let mut typed = Typed::of_field(access, field);
                    typed.nullable = true;
                    Output { name: names.get(index).unwrap_or(field.name()).clone(), value: typed }
                })
                .collect());
        }
        let name = alias.or_else(|| names.first().cloned()).unwrap_or_else(|| "unnest".to_string());
        Ok(vec![Output { name, value }])
    }

    /// The elements of a list as rows, and the column that holds them.
    pub(super) fn elements_of(&self, list: Typed) -> Result<(LogicalPlan, Typed)> {
        let internal = self.unique("set");
        let columns = self.set_columns(&list, &internal, &[], None)?;
        let plan = unnest_lists(one_row()?, &[(internal, list.expr)], NullHandling::Drop)?;
        let element = columns.into_iter().next().map(|column| column.value);
        Ok((plan, element.ok_or_else(|| Error::internal("a list without elements"))?))
    }

    pub(super) fn sets_alone(&self, sets: SetSource) -> Result<Ranged> {
        let plan = unnest_lists(one_row()?, &sets.lists, NullHandling::Drop)?;
        Ok(Ranged {
            plan,
            range: Range::of_table(RangeTable { alias: sets.alias, columns: sets.columns, ..RangeTable::default() }),
        })
    }

    /// Functions over columns of the relations to their left: unnested beside these.
    pub(super) fn beside_sets(&self, left: Ranged, sets: SetSource, join_type: JoinType) -> Result<Ranged> {
        let table = RangeTable { alias: sets.alias, columns: sets.columns, ..RangeTable::default() };
        let range = Range::joined(&left.range, &Range::of_table(table))?;
        let null_handling = if join_type == JoinType::Left { NullHandling::PreserveAndExpandEmpty } else { NullHandling::Drop };
        Ok(Ranged { plan: unnest_lists(left.plan, &sets.lists, null_handling)?, range })
    }

    /// The same as a LATERAL subquery.
    pub(super) fn lateral_sets(&self, sets: SetSource) -> Result<Ranged> {
        let lists = sets.lists.into_iter().map(|(name, list)| Ok((name, self.outer_expression(list)?))).collect::<Result<_>>()?;
        self.sets_alone(SetSource { lists, ..sets })
    }
}

pub(super) fn one_row() -> Result<LogicalPlan> {
    LogicalPlanBuilder::empty(true).build().map_err(plan_error)
}

fn unnest_lists(plan: LogicalPlan, lists: &[(String, Expr)], null_handling: NullHandling) -> Result<LogicalPlan> {
    let columns: Vec<Expr> = plan.schema().columns().into_iter().map(Expr::Column).collect();
    let exprs = columns.into_iter().chain(lists.iter().map(|(name, list)| list.clone().alias(name))).collect();
    let plan = projected(plan, exprs)?;
    unnested_plan(plan, lists.iter().map(|(name, _)| name.clone()).collect(), null_handling)
}

pub(super) fn function_arguments(arguments: &[FunctionArg]) -> Result<Vec<&ast::Expr>> {
    arguments
        .iter()
        .map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Ok(expr),
            other => Err(Error::unsupported(format!("the argument {other}")).with_hint("Give the arguments by position.")),
        })
        .collect()
}

/// Functions of PostgreSQL that are relations here: `pg_show_all_settings()` and functions named like a system relation.
fn system_function(parts: &[String], arguments: &[&ast::Expr]) -> Option<&'static SystemRelation> {
    if !arguments.is_empty() {
        return None;
    }
    let name = Binder::builtin_name(parts)?;
    let relation = if name == "pg_show_all_settings" { "pg_settings" } else { return None };
    crate::system::relation(super::names::PG_CATALOG, relation)
}

/// A member of ROWS FROM (..).
fn function_of(member: &ast::Expr) -> Result<(Vec<String>, Vec<&ast::Expr>)> {
    let ast::Expr::Function(function) = member else {
        return Err(Error::new(ErrorKind::Syntax, "ROWS FROM takes functions"));
    };
    let arguments = match &function.args {
        ast::FunctionArguments::List(list) if list.clauses.is_empty() && list.duplicate_treatment.is_none() => {
            function_arguments(&list.args)?
        }
        _ => return Err(Error::unsupported("this form of a function in ROWS FROM")),
    };
    Ok((name_parts(&function.name), arguments))
}
