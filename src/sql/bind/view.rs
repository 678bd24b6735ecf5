//! Views and SQL functions: stored text, bound anew in every session with its owner's privileges.
//!
//! What reads relations with another's rights stays apart from the plan around it: a view is a source of its own, a call that reads is an
//! [`OwnerCall`](crate::sql::call::OwnerCall). Whether the two may become one plan is governance's to say. A function that reads nothing
//! is its body, with the arguments in the parameters' places.

use std::sync::Arc;

use datafusion::common::{Column, TableReference};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, SortExpr};

use super::Binder;
use super::error::plan_error;
use super::expression::{Clause, Place};
use super::function::undefined_function;
use super::names::SearchPath;
use super::range::{Environment, Range, RangeTable, Ranged};
use super::typed::{Output, Typed};
use crate::catalog::privilege::Privilege;
use crate::catalog::securable::{Function, Relation};
use crate::error::{Error, ErrorKind, Result};
use crate::sql::call::{OwnerBody, bound_call, is_volatile};
use crate::sql::references::References;
use crate::sql::source::{SecurableSource, SourceRelation};

impl Binder<'_> {
    /// A view in FROM. The outer reader reads the view, the view's owner reads what lies beneath.
    pub(super) fn view(&self, view: &Arc<Relation>, alias: &str) -> Result<Ranged> {
        self.count_view()?;
        self.record(view.id, Privilege::Select);
        let inner = self.inside(view.id, view.owner)?;
        let text = self
            .world
            .resolved
            .views
            .get(&view.id)
            .ok_or_else(|| Error::internal(format!("view {} is not resolved", view.name)))?;
        let (order, plan, outputs) = self.without_parameters(|| {
            let block = inner.block(text, &Environment::EMPTY, &[])?;
            let order = block.sort.clone();
            inner.finish(block).map(|(plan, outputs)| (order, plan, outputs))
        })?;
        let body = self.unnested(plan)?;
        if !view.columns.is_empty() && view.columns.len() != outputs.len() {
            return Err(Error::new(
                ErrorKind::InvalidObjectDefinition,
                format!("view \"{}\" no longer has {} columns", view.name, view.columns.len()),
            )
            .with_hint("Create the view again: a table beneath it has changed."));
        }
        let named = outputs
            .into_iter()
            .enumerate()
            .map(|(index, output)| {
                let entry = view.columns.get(index);
                let name = entry.map_or(output.name, |entry| entry.name.clone());
                let origin = entry.map(|entry| (view.id, entry.number));
                Output { name, value: Typed { origin, ..output.value } }
            })
            .collect();
        let source = SecurableSource {
            schema: Arc::clone(body.schema().inner()),
            relation: SourceRelation::View { relation: Arc::clone(view), body: Arc::new(body) },
            by: self.by,
        };
        let reference = TableReference::bare(self.unique(alias));
        let scan = LogicalPlanBuilder::scan(reference.clone(), Arc::new(source), None)
            .and_then(LogicalPlanBuilder::build)
            .map_err(plan_error)?;
        let mut ranged = self.under(scan, &reference, named, alias);
        ranged.range.order = self.order_under(&ranged, order);
        Ok(ranged)
    }

    /// A plan under a name that is unique in the statement.
    pub(super) fn aliased(&self, plan: LogicalPlan, outputs: Vec<Output>, alias: &str) -> Result<Ranged> {
        let reference = TableReference::bare(self.unique(if alias.is_empty() { "subquery" } else { alias }));
        let plan =
            LogicalPlanBuilder::from(plan).alias(reference.clone()).and_then(LogicalPlanBuilder::build).map_err(plan_error)?;
        Ok(self.under(plan, &reference, outputs, alias))
    }

    /// The order of a query's rows, over the columns of the relation that it has become.
    pub(super) fn order_under(&self, ranged: &Ranged, order: Vec<SortExpr>) -> Vec<SortExpr> {
        let schema = ranged.plan.schema();
        let under = order.into_iter().map_while(|key| {
            let Expr::Column(column) = &key.expr else { return None };
            let (qualifier, field) = schema.iter().find(|(_, field)| *field.name() == column.name)?;
            Some(SortExpr::new(Expr::Column(Column::from((qualifier, field))), key.asc, key.nulls_first))
        });
        under.collect()
    }

    /// A plan whose columns are qualified by `reference`, as the relation `alias` of FROM.
    fn under(&self, plan: LogicalPlan, reference: &TableReference, outputs: Vec<Output>, alias: &str) -> Ranged {
        let inner: Vec<String> = plan.schema().fields().iter().map(|field| field.name().clone()).collect();
        let columns = outputs.into_iter().zip(inner).map(|(output, inner)| {
            let column = Column::new(Some(reference.clone()), inner);
            let value = output.value.as_column(column.clone());
            self.register(&column, &value);
            Output { name: output.name, value }
        });
        let table = RangeTable { alias: alias.to_string(), columns: columns.collect(), ..RangeTable::default() };
        Ranged { plan, range: Range::of_table(table) }
    }

    /// A call of a SQL function.
    ///
    /// The caller executes the function; what its body reads is read by the function's owner. Identity functions in the body name
    /// the session's principal all the same.
    pub(super) fn sql_function(&self, function: &Arc<Function>, arguments: Vec<Typed>) -> Result<Typed> {
        self.record(function.id, Privilege::Execute);
        if arguments.len() != function.parameters.len() {
            return Err(undefined_function(&function.name, &arguments));
        }
        let shown = arguments.clone();
        let parameters = arguments
            .into_iter()
            .zip(&function.parameters)
            .map(|(argument, (name, sql_type))| {
                let what = format!("parameter \"{name}\"");
                let value = self.coerce(argument, sql_type, &what).map_err(|_| undefined_function(&function.name, &shown))?;
                Ok(Output { name: name.clone(), value: Typed { origin: None, ..value } })
            })
            .collect::<Result<Vec<_>>>()?;
        if self.reads_relations(function) || parameters.iter().any(|parameter| is_volatile(&parameter.value.expr)) {
            self.owner_call(function, parameters)
        } else {
            self.function_body(function, parameters)
        }
    }

    /// A call that governance decides about, with the body over columns that stand for the parameters.
    fn owner_call(&self, function: &Arc<Function>, arguments: Vec<Output>) -> Result<Typed> {
        let standing_for = |argument: &Output| {
            let column = Column::new_unqualified(self.unique(&argument.name));
            let value = Typed { nullable: true, ..argument.value.as_column(column.clone()) };
            self.register(&column, &value);
            (value.field(&column.name), Output { name: argument.name.clone(), value })
        };
        let (fields, columns) = arguments.iter().map(standing_for).unzip();
        let value = self.function_body(function, columns)?;
        let returns = Typed { nullable: true, ..value.clone() }.field("");
        let body =
            OwnerBody { function: Arc::clone(function), by: self.by, parameters: fields, value: value.expr.clone(), returns };
        let expr = bound_call(body, arguments.into_iter().map(|argument| argument.value.expr).collect());
        Ok(Typed { expr, nullable: true, ..value })
    }

    /// Whether the body of a function, or of one that it calls, names a relation.
    fn reads_relations(&self, function: &Function) -> bool {
        let known = self.world.shared.borrow().reading.get(&function.id).copied();
        if let Some(known) = known {
            return known;
        }
        // A function that calls itself is found out when its body is bound.
        self.world.shared.borrow_mut().reading.insert(function.id, false);
        let Some(body) = self.world.resolved.functions.get(&function.id) else { return false };
        let names = References::of_expression(body);
        let path = SearchPath::empty(&self.world.scope.functions);
        let reads = !names.relations.is_empty()
            || names.functions.iter().any(|parts| path.function(parts).is_some_and(|called| self.reads_relations(&called)));
        self.world.shared.borrow_mut().reading.insert(function.id, reads);
        reads
    }

    /// The body of a function over its (already typed) parameters.
    pub(super) fn function_body(&self, function: &Arc<Function>, parameters: Vec<Output>) -> Result<Typed> {
        let inner = self.inside(function.id, function.owner)?;
        let body = self
            .world
            .resolved
            .functions
            .get(&function.id)
            .ok_or_else(|| Error::internal(format!("function {} is not resolved", function.name)))?;
        let range = Range::of_table(RangeTable { alias: function.name.clone(), columns: parameters, ..RangeTable::default() });
        let place = Place::new(&range, &Environment::EMPTY, Clause::Expression);
        let value = self.without_parameters(|| inner.expression(body, place))?;
        let value = inner.cast(value, &function.returns)?;
        self.check_depth(&value)?;
        Ok(Typed { origin: None, ..value })
    }
}
