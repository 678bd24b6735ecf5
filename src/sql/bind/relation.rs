//! FROM: tables, views, subqueries and common table expressions.

use std::sync::Arc;

use datafusion::common::{Column, ScalarValue, TableReference};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::sql::sqlparser::ast::{self, ObjectName, TableAlias, TableFactor, TableVersion};

use super::Binder;
use super::error::{at, folded, name_parts, name_span, plan_error, undefined_relation};
use super::hidden::{self, hide, system_columns};
use super::join::{Before, Factor};
use super::names::FoundRelation;
use super::query::renamed;
use super::range::{Environment, Outer, Range, RangeTable, Ranged};
use super::subquery::projected;
use super::table_function::function_arguments;
use super::typed::{Output, Typed};
use crate::catalog::privilege::Privilege;
use crate::catalog::securable::{Relation, RelationKind};
use crate::error::{Error, ErrorKind, Result};
use crate::lake::AsOf;
use crate::sql::internal_name::is_plain;
use crate::sql::source::{SecurableSource, SourceRelation};
use crate::system::SystemRelation;

impl Binder<'_> {
    /// One relation of FROM. `before` is what LATERAL sees.
    pub(super) fn factor(&self, factor: &TableFactor, before: Before<'_>, environment: &Environment<'_>) -> Result<Factor> {
        match factor {
            TableFactor::Table { name, alias, args: Some(args), with_ordinality, .. } => {
                let arguments = function_arguments(&args.args)?;
                self.function_factor(&[(name_parts(name), arguments)], *with_ordinality, alias.as_ref(), before, environment)
                    .map_err(|error| at(error, name_span(name)))
            }
            TableFactor::Table { name, alias, args: None, version, .. } => {
                self.named_relation(name, alias.as_ref(), version.as_ref(), environment).map(Factor::Plain)
            }
            TableFactor::Function { name, args, with_ordinality, alias, lateral: _ } => {
                let arguments = function_arguments(args)?;
                self.function_factor(&[(name_parts(name), arguments)], *with_ordinality, alias.as_ref(), before, environment)
                    .map_err(|error| at(error, name_span(name)))
            }
            TableFactor::UNNEST { array_exprs, with_ordinality, alias, with_offset: false, with_offset_alias: None } => {
                let calls: Vec<_> = array_exprs.iter().map(|array| (vec!["unnest".to_string()], vec![array])).collect();
                self.function_factor(&calls, *with_ordinality, alias.as_ref(), before, environment)
            }
            TableFactor::Derived { lateral, subquery, alias, sample: None } => {
                self.derived(subquery, alias.as_ref(), *lateral, before, environment)
            }
            TableFactor::NestedJoin { table_with_joins, alias } => {
                let inner = self.nested_join(table_with_joins, before, environment)?;
                let depends = inner.plan.all_out_ref_exprs().iter().any(|reference| before.near.is_referred_to(reference));
                let kind = if depends { Factor::Lateral } else { Factor::Plain };
                let Some(alias) = alias else { return Ok(kind(inner)) };
                let columns = renamed(inner.range.visible, alias)?;
                let table = RangeTable { alias: folded(&alias.name), columns, ..RangeTable::default() };
                Ok(kind(Ranged { plan: inner.plan, range: Range::of_table(table) }))
            }
            other => Err(Error::unsupported(format!("the relation {}", first_word(&other.to_string())))),
        }
    }

    fn derived(
        &self,
        query: &ast::Query,
        alias: Option<&TableAlias>,
        lateral: bool,
        before: Before<'_>,
        environment: &Environment<'_>,
    ) -> Result<Factor> {
        let name = alias.map(|alias| folded(&alias.name)).unwrap_or_default();
        let all = before.all();
        let range = if lateral { all } else { Range { unreachable: all.names(true), ..Range::default() } };
        let outer = Outer::around_from(&range, environment.outer);
        let inner = Environment { ctes: environment.ctes, outer: Some(&outer) };
        let block = self.block(query, &inner, &[])?;
        let order = block.sort.clone();
        let (plan, outputs) = self.finish_ordered(block)?;
        let plan = if lateral { self.unnested(plan)? } else { plan };
        let outputs = alias.map_or(Ok(outputs.clone()), |alias| renamed(outputs, alias))?;
        let depends = lateral && plan.all_out_ref_exprs().iter().any(|reference| before.near.is_referred_to(reference));
        let mut ranged = self.aliased(plan, outputs, &name)?;
        ranged.range.order = self.order_under(&ranged, order);
        Ok(if depends { Factor::Lateral(ranged) } else { Factor::Plain(ranged) })
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
            if cte.read.swap(true, std::sync::atomic::Ordering::Relaxed) && cte.volatile {
                let refused = Error::unsupported(format!("a second reference to the volatile WITH query \"{name}\""));
                return Err(at(refused.with_hint("Store its rows in a table first: each reference would compute others."), span));
            }
            let columns = alias.map_or(Ok(cte.columns.clone()), |alias| renamed(cte.columns.clone(), alias))?;
            let mut ranged = self.aliased(self.copied_plan(&cte.plan)?, columns, &visible_name)?;
            ranged.range.order = self.order_under(&ranged, cte.order.clone());
            ranged.range.tables.iter_mut().for_each(|table| table.working = cte.working);
            return Ok(ranged);
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
                Some(alias) => {
                    table.columns = renamed(std::mem::take(&mut table.columns), alias)?;
                    table.relation = Some(own_name.clone());
                }
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

    pub(super) fn system_relation(&self, relation: &'static SystemRelation, alias: &str) -> Result<Ranged> {
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

fn first_word(text: &str) -> &str {
    text.split([' ', '(']).next().unwrap_or(text)
}
