//! FROM: tables, views, subqueries, functions, joins and LATERAL.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::NullHandling;
use datafusion::common::{Column, ScalarValue, TableReference};
use datafusion::functions::core::expr_fn as core;
use datafusion::functions_nested::expr_fn as nested;
use datafusion::logical_expr::{Expr, JoinType, LogicalPlan, LogicalPlanBuilder, Operator, lit};
use datafusion::sql::sqlparser::ast::{
    self, FunctionArg, FunctionArgExpr, Ident, Join, JoinConstraint, JoinOperator, ObjectName, TableAlias, TableFactor,
    TableVersion, TableWithJoins,
};

use super::Binder;
use super::coerce::{cast_expr, element_type};
use super::error::{at, folded, name_parts, name_span, plan_error, undefined_relation};
use super::expression::{Clause, Place};
use super::hidden::{self, hide, system_columns};
use super::names::FoundRelation;
use super::query::renamed;
use super::range::{Environment, Outer, Range, RangeTable, Ranged};
use super::select::unnested_plan;
use super::subquery::projected;
use super::typed::{Output, Typed};
use super::unnest::lateral_join;
use crate::catalog::privilege::Privilege;
use crate::catalog::securable::{Relation, RelationKind};
use crate::error::{Error, ErrorKind, Result};
use crate::lake::AsOf;
use crate::sql::internal_name::is_plain;
use crate::sql::source::{SecurableSource, SourceRelation};
use crate::system::SystemRelation;
use crate::types::SqlType;

/// A relation of FROM, maybe one that depends on those before it.
enum Factor {
    /// Stands for itself.
    Plain(Ranged),
    /// A subquery with references to its left neighbours.
    Lateral(Ranged),
    /// Functions whose arguments are columns of the left neighbours.
    Sets(SetSource),
}

/// Set-returning functions side by side, as one relation.
struct SetSource {
    /// Lists to unnest, under their internal names.
    lists: Vec<(String, Expr)>,
    columns: Vec<Output>,
    alias: String,
}

impl Binder<'_> {
    /// The FROM clause.
    pub(super) fn from(&self, from: &[TableWithJoins], environment: &Environment<'_>) -> Result<Ranged> {
        let mut all: Option<Ranged> = None;
        for item in from {
            all = Some(self.table_with_joins(item, all, environment)?);
        }
        match all {
            Some(ranged) => Ok(ranged),
            None => Ok(Ranged { plan: one_row()?, range: Range::default() }),
        }
    }

    /// `left, item`: a comma is a cross join whose right side may be lateral.
    fn table_with_joins(&self, item: &TableWithJoins, left: Option<Ranged>, environment: &Environment<'_>) -> Result<Ranged> {
        let empty = Range::default();
        let left_range = left.as_ref().map_or(&empty, |left| &left.range);
        let first = self.factor(&item.relation, left_range, environment)?;
        let depends = matches!(first, Factor::Lateral(_) | Factor::Sets(_));
        if item.joins.is_empty() || depends {
            // A lateral first relation is joined to what stands before it at once: its joins then see both.
            let mut current = match left {
                None => self.standing_alone(first)?,
                Some(left) => self.joined(left, first, JoinType::Inner, &JoinConstraint::None, environment)?,
            };
            for join in &item.joins {
                current = self.join(current, join, environment)?;
            }
            return Ok(current);
        }
        let mut current = self.standing_alone(first)?;
        for join in &item.joins {
            current = self.join(current, join, environment)?;
        }
        match left {
            None => Ok(current),
            Some(left) => self.joined(left, Factor::Plain(current), JoinType::Inner, &JoinConstraint::None, environment),
        }
    }

    /// `current JOIN relation`. A lateral relation behind JOIN sees the relations of its own join, not those before a comma.
    fn join(&self, current: Ranged, join: &Join, environment: &Environment<'_>) -> Result<Ranged> {
        let none = JoinConstraint::None;
        let (join_type, constraint) = match &join.join_operator {
            JoinOperator::Join(constraint) | JoinOperator::Inner(constraint) => (JoinType::Inner, constraint),
            JoinOperator::CrossJoin(JoinConstraint::None) => (JoinType::Inner, &none),
            JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) => (JoinType::Left, constraint),
            JoinOperator::Right(constraint) | JoinOperator::RightOuter(constraint) => (JoinType::Right, constraint),
            JoinOperator::FullOuter(constraint) => (JoinType::Full, constraint),
            JoinOperator::Semi(constraint) | JoinOperator::LeftSemi(constraint) => (JoinType::LeftSemi, constraint),
            JoinOperator::Anti(constraint) | JoinOperator::LeftAnti(constraint) => (JoinType::LeftAnti, constraint),
            other => return Err(Error::unsupported(format!("this kind of join ({})", join_words(other)))),
        };
        let right = self.factor(&join.relation, &current.range, environment)?;
        self.joined(current, right, join_type, constraint, environment)
    }

    fn standing_alone(&self, factor: Factor) -> Result<Ranged> {
        match factor {
            Factor::Plain(ranged) | Factor::Lateral(ranged) => Ok(ranged),
            Factor::Sets(sets) => self.sets_alone(sets),
        }
    }

    fn joined(
        &self,
        left: Ranged,
        right: Factor,
        join_type: JoinType,
        constraint: &JoinConstraint,
        environment: &Environment<'_>,
    ) -> Result<Ranged> {
        let lateral = !matches!(right, Factor::Plain(_));
        if lateral && !matches!(join_type, JoinType::Inner | JoinType::Left) {
            return Err(Error::new(
                ErrorKind::InvalidColumnReference,
                "invalid reference to FROM-clause entry of a LATERAL relation",
            )
            .with_detail("The combining JOIN type must be INNER or LEFT for a LATERAL reference."));
        }
        let right = match right {
            Factor::Plain(right) | Factor::Lateral(right) => right,
            Factor::Sets(sets) => return self.apply_sets(left, sets, join_type, constraint, environment),
        };
        let range = Range::joined(&left.range, &right.range)?;
        if let JoinConstraint::Using(names) = constraint {
            let names =
                names.iter().filter_map(|name| name.0.first().and_then(|part| part.as_ident().cloned())).collect::<Vec<_>>();
            return self.join_using(left, right, range, join_type, &names, lateral);
        }
        if matches!(constraint, JoinConstraint::Natural) {
            let shared = natural_columns(&left.range, &right.range);
            return self.join_using(left, right, range, join_type, &shared, lateral);
        }
        let condition = match constraint {
            JoinConstraint::On(condition) => {
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

    /// One relation of FROM. `left` is what LATERAL sees.
    fn factor(&self, factor: &TableFactor, left: &Range, environment: &Environment<'_>) -> Result<Factor> {
        match factor {
            TableFactor::Table { name, alias, args: Some(args), with_ordinality, .. } => {
                let arguments = function_arguments(&args.args)?;
                self.function_factor(&[(name_parts(name), arguments)], *with_ordinality, alias.as_ref(), left, environment)
                    .map_err(|error| at(error, name_span(name)))
            }
            TableFactor::Table { name, alias, args: None, version, .. } => {
                self.named_relation(name, alias.as_ref(), version.as_ref(), environment).map(Factor::Plain)
            }
            TableFactor::Function { name, args, with_ordinality, alias, lateral: _ } => {
                let arguments = function_arguments(args)?;
                self.function_factor(&[(name_parts(name), arguments)], *with_ordinality, alias.as_ref(), left, environment)
                    .map_err(|error| at(error, name_span(name)))
            }
            TableFactor::UNNEST { array_exprs, with_ordinality, alias, with_offset: false, with_offset_alias: None } => {
                let calls: Vec<_> = array_exprs.iter().map(|array| (vec!["unnest".to_string()], vec![array])).collect();
                self.function_factor(&calls, *with_ordinality, alias.as_ref(), left, environment)
            }
            TableFactor::Derived { lateral, subquery, alias, sample: None } => {
                self.derived(subquery, alias.as_ref(), *lateral, left, environment)
            }
            TableFactor::NestedJoin { table_with_joins, alias } => {
                let inner = self.table_with_joins(table_with_joins, None, environment)?;
                let Some(alias) = alias else { return Ok(Factor::Plain(inner)) };
                let columns = renamed(inner.range.visible, alias)?;
                let table = RangeTable { alias: folded(&alias.name), columns, ..RangeTable::default() };
                Ok(Factor::Plain(Ranged { plan: inner.plan, range: Range::of_table(table) }))
            }
            other => Err(Error::unsupported(format!("the relation {}", first_word(&other.to_string())))),
        }
    }

    fn derived(
        &self,
        query: &ast::Query,
        alias: Option<&TableAlias>,
        lateral: bool,
        left: &Range,
        environment: &Environment<'_>,
    ) -> Result<Factor> {
        let name = alias.map(|alias| folded(&alias.name)).unwrap_or_default();
        if !lateral {
            let (plan, outputs) = self.subquery_plan(query, environment)?;
            let outputs = alias.map_or(Ok(outputs.clone()), |alias| renamed(outputs, alias))?;
            return self.aliased(plan, outputs, &name).map(Factor::Plain);
        }
        let outer = Outer { range: left, next: environment.outer };
        let inner = Environment { ctes: environment.ctes, outer: Some(&outer) };
        let (plan, outputs) = self.subquery_plan(query, &inner)?;
        let plan = self.unnested(plan)?;
        let outputs = alias.map_or(Ok(outputs.clone()), |alias| renamed(outputs, alias))?;
        let uses_left = plan.all_out_ref_exprs().iter().any(|reference| {
            let Expr::OuterReferenceColumn(_, column) = reference else { return false };
            left.tables
                .iter()
                .flat_map(|table| &table.columns)
                .chain(&left.visible)
                .any(|output| contains_column(&output.value.expr, column))
        });
        let ranged = self.aliased(plan, outputs, &name)?;
        Ok(if uses_left { Factor::Lateral(ranged) } else { Factor::Plain(ranged) })
    }

    /// A relation by name: a common table expression, a table, a view or a system relation.
    fn named_relation(
        &self,
        name: &ObjectName,
        alias: Option<&TableAlias>,
        version: Option<&TableVersion>,
        environment: &Environment<'_>,
    ) -> Result<Ranged> {
        let parts = name_parts(name);
        let span = name_span(name);
        let own_name = parts.last().cloned().unwrap_or_default();
        let visible_name = alias.map_or_else(|| own_name.clone(), |alias| folded(&alias.name));
        let travels = |kind: &str| -> Result<()> {
            match version {
                None => Ok(()),
                Some(_) => {
                    Err(at(Error::unsupported(format!("time travel on {kind}")).with_hint("Only tables have versions."), span))
                }
            }
        };
        if let ([name], Some(cte)) = (parts.as_slice(), parts.first().and_then(|name| environment.cte(name))) {
            travels(&format!("the common table expression \"{name}\""))?;
            let cte = Arc::clone(cte);
            let columns = alias.map_or(Ok(cte.columns.clone()), |alias| renamed(cte.columns.clone(), alias))?;
            return self.aliased(self.copied_plan(&cte.plan)?, columns, &visible_name);
        }
        let mut ranged = match self.path.relation(&parts) {
            Some(FoundRelation::System(relation)) => {
                travels("a system relation")?;
                self.system_relation(relation, &visible_name)?
            }
            Some(FoundRelation::Relation(relation)) if self.path.may_see(self.reader(), relation.id) => match relation.kind {
                RelationKind::View(_) => {
                    travels("a view")?;
                    self.view(&relation, &visible_name)?
                }
                RelationKind::Table(_) => {
                    let as_of = self.as_of(version)?;
                    self.table(&relation, &as_of, &visible_name).map_err(|error| at(error, span))?
                }
            },
            _ => return Err(undefined_relation(&parts, span)),
        };
        for table in &mut ranged.range.tables {
            match alias {
                None => table.qualifier = self.qualifier_of(&parts),
                Some(alias) => table.columns = renamed(std::mem::take(&mut table.columns), alias)?,
            }
        }
        ranged.range.visible = ranged.range.tables.iter().flat_map(|table| table.columns.clone()).collect();
        Ok(ranged)
    }

    /// Catalog and schema of a relation that is named without an alias: `select s.t.c from s.t`.
    fn qualifier_of(&self, parts: &[String]) -> Option<(String, String)> {
        let catalog = || self.path.catalog().map(|catalog| catalog.name.clone()).unwrap_or_default();
        match (parts, self.path.relation(parts)?) {
            ([catalog, schema, _], _) => Some((catalog.clone(), schema.clone())),
            ([schema, _], _) => Some((catalog(), schema.clone())),
            (_, FoundRelation::System(relation)) => Some((catalog(), relation.schema_name().to_string())),
            (_, FoundRelation::Relation(relation)) => {
                let snapshot = self.world.scope.snapshot();
                let schema = snapshot.schema_by_id(relation.schema)?;
                Some((snapshot.catalog_by_id(schema.catalog)?.name.clone(), schema.name.clone()))
            }
        }
    }

    fn system_relation(&self, relation: &'static SystemRelation, alias: &str) -> Result<Ranged> {
        self.admit_system_relation(relation.name())?;
        let source = SecurableSource { relation: SourceRelation::System(relation), by: self.by, schema: relation.schema() };
        let number = |index: usize| i16::try_from(index + 1).unwrap_or(i16::MAX);
        let id = crate::catalog::securable::ObjectId(relation.oid());
        let mut ranged = self.scan(source, alias, |index, _| Some((id, number(index))))?;
        hide(&mut ranged.range, system_columns(relation.oid()));
        let renamed = hidden::renamed_columns(relation, &ranged.range.visible);
        hide(&mut ranged.range, renamed);
        Ok(ranged)
    }

    fn table(&self, relation: &Arc<Relation>, as_of: &AsOf, alias: &str) -> Result<Ranged> {
        let table = self
            .world
            .resolved
            .tables
            .get(&(relation.id, as_of.clone()))
            .ok_or_else(|| Error::internal(format!("table {} is not resolved", relation.name)))?;
        self.record(relation.id, Privilege::Select);
        let policies = self.policies(table, as_of)?;
        let schema = policies.masked(&table.schema);
        let source = SecurableSource {
            relation: SourceRelation::Table { relation: Arc::clone(&table.relation), snapshot: table.snapshot.clone(), policies },
            by: self.by,
            schema,
        };
        let mut ranged = self.scan(source, alias, |_, name| {
            relation.columns.iter().find(|column| column.name == name).map(|column| (relation.id, column.number))
        })?;
        hide(&mut ranged.range, system_columns(relation.id.0));
        Ok(ranged)
    }

    fn scan(
        &self,
        source: SecurableSource,
        alias: &str,
        origin: impl Fn(usize, &str) -> Option<(crate::catalog::securable::ObjectId, i16)>,
    ) -> Result<Ranged> {
        let reference = TableReference::bare(self.unique(alias));
        let schema = Arc::clone(&source.schema);
        let plan = LogicalPlanBuilder::scan(reference.clone(), Arc::new(source), None)
            .and_then(LogicalPlanBuilder::build)
            .map_err(plan_error)?;
        let (plan, names) = self.with_plain_names(plan, &reference)?;
        let columns = schema
            .fields()
            .iter()
            .zip(names)
            .enumerate()
            .map(|(index, (field, name))| {
                let column = Column::new(Some(reference.clone()), name);
                let mut value = Typed::of_field(Expr::Column(column.clone()), field);
                value.origin = origin(index, field.name());
                value.declared = true;
                self.register(&column, &value);
                Output { name: field.name().clone(), value }
            })
            .collect();
        let table = RangeTable { alias: alias.to_string(), columns, ..RangeTable::default() };
        Ok(Ranged { plan, range: Range::of_table(table) })
    }

    /// A scan, with internal names for those of its columns that DataFusion could mistake for one of its own.
    fn with_plain_names(&self, scan: LogicalPlan, reference: &TableReference) -> Result<(LogicalPlan, Vec<String>)> {
        let stored: Vec<String> = scan.schema().fields().iter().map(|field| field.name().clone()).collect();
        if stored.iter().all(|name| is_plain(name)) {
            return Ok((scan, stored));
        }
        let names: Vec<String> = stored.iter().map(|name| if is_plain(name) { name.clone() } else { self.unique(name) }).collect();
        let columns = stored.iter().zip(&names).map(|(stored, name)| {
            let column = Expr::Column(Column::new(Some(reference.clone()), stored));
            if stored == name { column } else { column.alias_qualified(Some(reference.clone()), name) }
        });
        let plan = projected(scan, columns.collect())?;
        Ok((plan, names))
    }

    /// Functions in FROM: each call is one column (or one for each field of its rows).
    fn function_factor(
        &self,
        calls: &[(Vec<String>, Vec<&ast::Expr>)],
        with_ordinality: bool,
        alias: Option<&TableAlias>,
        left: &Range,
        environment: &Environment<'_>,
    ) -> Result<Factor> {
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
        let place = Place::new(left, environment, Clause::From);
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
            let Some((_, first)) = lists.first() else { return Err(Error::internal("no function before WITH ORDINALITY")) };
            let internal = self.unique("set");
            let numbers = series(cast_expr(nested::array_length(first.clone()), &DataType::Int64));
            let column = Column::new_unqualified(internal.clone());
            let value = Typed::new(Expr::Column(column.clone()), SqlType::Int8, true);
            self.register(&column, &value);
            columns.push(Output { name: "ordinality".to_string(), value });
            lists.push((internal, numbers));
        }
        let columns = alias.map_or(Ok(columns.clone()), |alias| renamed(columns, alias))?;
        let depends = lists.iter().any(|(_, list)| uses_range(list, left));
        let sets = SetSource { lists, columns, alias: visible_name };
        if depends { Ok(Factor::Sets(sets)) } else { self.sets_alone(sets).map(Factor::Plain) }
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

    fn sets_alone(&self, sets: SetSource) -> Result<Ranged> {
        let plan = unnest_lists(one_row()?, &sets.lists, NullHandling::Drop)?;
        Ok(Ranged {
            plan,
            range: Range::of_table(RangeTable { alias: sets.alias, columns: sets.columns, ..RangeTable::default() }),
        })
    }

    /// Functions over columns of the relations to their left: unnested beside these.
    fn apply_sets(
        &self,
        left: Ranged,
        sets: SetSource,
        join_type: JoinType,
        constraint: &JoinConstraint,
        environment: &Environment<'_>,
    ) -> Result<Ranged> {
        let table = RangeTable { alias: sets.alias, columns: sets.columns, ..RangeTable::default() };
        let range = Range::joined(&left.range, &Range::of_table(table))?;
        let null_handling = if join_type == JoinType::Left { NullHandling::PreserveAndExpandEmpty } else { NullHandling::Drop };
        let plan = unnest_lists(left.plan, &sets.lists, null_handling)?;
        let condition = match constraint {
            JoinConstraint::None => None,
            JoinConstraint::On(condition) => {
                Some(self.condition_of(condition, Place::new(&range, environment, Clause::JoinOn))?.expr)
            }
            JoinConstraint::Using(_) | JoinConstraint::Natural => {
                return Err(Error::unsupported("USING with a function over columns of the left side").with_hint("Use ON."));
            }
        };
        let condition = condition.filter(|condition| *condition != lit(true));
        match (condition, join_type) {
            (None, _) => Ok(Ranged { plan, range }),
            (Some(condition), JoinType::Inner) => Ok(Ranged { plan: super::select::filtered(plan, condition)?, range }),
            (Some(_), _) => {
                Err(Error::unsupported("LEFT JOIN LATERAL of a function with a condition").with_hint("Use ON true and WHERE."))
            }
        }
    }

    /// A constant's value.
    ///
    /// # Errors
    /// 42P10 if the expression is not constant.
    pub(super) fn constant(&self, value: Typed) -> Result<ScalarValue> {
        let simplified = super::policy::simplified(value.expr, &datafusion::common::DFSchema::empty())?;
        match simplified {
            Expr::Literal(constant, _) => Ok(constant),
            _ => Err(Error::new(ErrorKind::InvalidColumnReference, "the expression must be constant")),
        }
    }
}

fn one_row() -> Result<LogicalPlan> {
    LogicalPlanBuilder::empty(true).build().map_err(plan_error)
}

/// `1, 2, .., count` as a list.
fn series(count: Expr) -> Expr {
    nested::gen_series(lit(1_i64), count, lit(1_i64))
}

fn unnest_lists(plan: LogicalPlan, lists: &[(String, Expr)], null_handling: NullHandling) -> Result<LogicalPlan> {
    let columns: Vec<Expr> = plan.schema().columns().into_iter().map(Expr::Column).collect();
    let exprs = columns.into_iter().chain(lists.iter().map(|(name, list)| list.clone().alias(name))).collect();
    let plan = projected(plan, exprs)?;
    unnested_plan(plan, lists.iter().map(|(name, _)| name.clone()).collect(), null_handling)
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

fn contains_column(expr: &Expr, column: &Column) -> bool {
    expr.column_refs().contains(column)
}

/// Whether an expression has columns of `range` itself, not of an outer query.
fn uses_range(expr: &Expr, range: &Range) -> bool {
    !range.visible.is_empty() && !expr.column_refs().is_empty()
}

fn function_arguments(arguments: &[FunctionArg]) -> Result<Vec<&ast::Expr>> {
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

fn join_words(operator: &JoinOperator) -> &'static str {
    match operator {
        JoinOperator::RightSemi(_) | JoinOperator::RightAnti(_) => "RIGHT SEMI, RIGHT ANTI",
        JoinOperator::CrossApply | JoinOperator::OuterApply => "APPLY",
        JoinOperator::AsOf { .. } => "ASOF",
        _ => "of another dialect",
    }
}

fn first_word(text: &str) -> &str {
    text.split([' ', '(']).next().unwrap_or(text)
}
