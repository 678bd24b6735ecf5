//! Views and SQL functions: stored text, bound anew in every session with its owner's privileges.

use std::sync::Arc;

use datafusion::common::Column;

use super::Binder;
use super::expression::{Clause, Place};
use super::function::undefined_function;
use super::range::{Environment, Range, RangeTable, Ranged};
use super::typed::{Output, Typed};
use crate::catalog::privilege::Privilege;
use crate::catalog::securable::{Function, Relation};
use crate::error::{Error, ErrorKind, Result};

impl Binder<'_> {
    /// A view in FROM. The outer reader reads the view, the view's owner reads what lies beneath.
    pub(super) fn view(&self, view: &Arc<Relation>, alias: &str) -> Result<(Ranged, String)> {
        self.count_view()?;
        self.record(view.id, Privilege::Select);
        let inner = self.inside(view.id, view.owner)?;
        let text = self
            .world
            .resolved
            .views
            .get(&view.id)
            .ok_or_else(|| Error::internal(format!("view {} is not resolved", view.name)))?;
        let (plan, outputs) = self.without_parameters(|| inner.subquery_plan(text, &Environment::EMPTY))?;
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
        self.aliased(plan, named, alias)
    }

    /// A plan under a name that is unique in the statement.
    pub(super) fn aliased(
        &self,
        plan: datafusion::logical_expr::LogicalPlan,
        outputs: Vec<Output>,
        alias: &str,
    ) -> Result<(Ranged, String)> {
        let qualifier = self.unique(if alias.is_empty() { "subquery" } else { alias });
        let reference = datafusion::common::TableReference::bare(qualifier.clone());
        let inner: Vec<String> = plan.schema().fields().iter().map(|field| field.name().clone()).collect();
        let plan = datafusion::logical_expr::LogicalPlanBuilder::from(plan)
            .alias(reference.clone())
            .and_then(datafusion::logical_expr::LogicalPlanBuilder::build)
            .map_err(super::error::plan_error)?;
        let columns = outputs
            .into_iter()
            .zip(inner)
            .map(|(output, inner)| {
                let column = Column::new(Some(reference.clone()), inner);
                let value = output.value.as_column(column.clone());
                self.register(&column, &value);
                Output { name: output.name, value }
            })
            .collect();
        let table = RangeTable { alias: alias.to_string(), columns, ..RangeTable::default() };
        Ok((Ranged { plan, range: Range::of_table(table) }, qualifier))
    }

    /// A call of a SQL function: its body, with the arguments in the parameters' places.
    ///
    /// The caller executes the function; what its body reads is read by the function's owner. Identity functions in the body name
    /// the session's principal all the same.
    pub(super) fn inline(&self, function: &Arc<Function>, arguments: Vec<Typed>) -> Result<Typed> {
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
        self.function_body(function, parameters)
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
