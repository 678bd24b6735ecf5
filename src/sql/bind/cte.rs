//! WITH: common table expressions, recursive ones too.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::arrow::datatypes::Schema;
use datafusion::common::TableReference;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::sql::sqlparser::ast::{self, SetQuantifier};

use super::Binder;
use super::error::{at, folded, plan_error};
use super::range::{Cte, Environment};
use super::recursion::{binding_order, reads, terms};
use super::subquery::projected;
use super::typed::Output;
use super::unnest::is_volatile;
use crate::error::{Error, ErrorKind, Result};
use crate::sql::source::{SecurableSource, SourceRelation};
use crate::types::SqlType;

impl Binder<'_> {
    /// WITH: binds each common table expression in the scope of those before it, or, if the clause is recursive, of all that it reads.
    pub(super) fn with(&self, with: &ast::With, ctes: &mut Vec<Arc<Cte>>, environment: &Environment<'_>) -> Result<()> {
        let mut names = HashSet::new();
        for cte in &with.cte_tables {
            let name = folded(&cte.alias.name);
            if !names.insert(name.clone()) {
                let message = format!("WITH query name \"{name}\" specified more than once");
                return Err(at(Error::new(ErrorKind::DuplicateAlias, message), cte.alias.name.span));
            }
        }
        let order = if with.recursive { binding_order(with)? } else { (0..with.cte_tables.len()).collect() };
        for cte in order.into_iter().filter_map(|index| with.cte_tables.get(index)) {
            let inner = Environment { ctes, outer: environment.outer };
            let bound = if with.recursive && reads(&cte.query, &folded(&cte.alias.name)) {
                self.recursive_cte(cte, &inner)?
            } else {
                let block = self.block(&cte.query, &inner, &[])?;
                let order = block.sort.clone();
                let (plan, outputs) = self.finish_ordered(block)?;
                Cte { order, ..self.cte(cte, plan, outputs)? }
            };
            ctes.push(Arc::new(bound));
        }
        Ok(())
    }

    fn cte(&self, cte: &ast::Cte, plan: LogicalPlan, outputs: Vec<Output>) -> Result<Cte> {
        let columns = with_column_list(outputs, &cte.alias)?;
        let volatile = is_volatile(&plan);
        Ok(Cte {
            name: folded(&cte.alias.name),
            plan,
            columns,
            order: vec![],
            working: false,
            volatile,
            read: std::sync::atomic::AtomicBool::new(false),
        })
    }

    fn recursive_cte(&self, cte: &ast::Cte, environment: &Environment<'_>) -> Result<Cte> {
        let name = folded(&cte.alias.name);
        let (left, quantifier, right) = terms(cte)?;
        let mut ctes = environment.ctes.to_vec();
        if let Some(with) = &cte.query.with {
            self.with(with, &mut ctes, environment)?;
        }
        let inner = Environment { ctes: &ctes, outer: environment.outer };
        let (static_plan, outputs) = self.set_expression(left, &inner, &[])?;
        let (static_plan, outputs) = self.with_own_scales(static_plan, outputs)?;
        let columns = with_column_list(outputs, &cte.alias)?;
        // The working table has the static term's columns, under the names of the recursive query.
        let work_name = self.unique(&name);
        let fields: Vec<_> = static_plan.schema().fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
        let source = SecurableSource {
            relation: SourceRelation::WorkTable { name: work_name.clone() },
            by: self.by,
            schema: Arc::new(Schema::new(fields)),
        };
        let work_plan = LogicalPlanBuilder::scan(TableReference::bare(work_name.clone()), Arc::new(source), None)
            .and_then(LogicalPlanBuilder::build)
            .map_err(plan_error)?;
        let working = self.cte(cte, work_plan, columns.clone())?;
        let mut with_working = ctes.clone();
        with_working.push(Arc::new(Cte { working: true, ..working }));
        let recursive = Environment { ctes: &with_working, outer: environment.outer };
        let (recursive_plan, recursive_outputs) = self.arm(right, &recursive)?;
        let distinct = !matches!(quantifier, SetQuantifier::All);
        let recursive_plan = self.recursive_term(&name, &columns, recursive_plan, recursive_outputs, &static_plan)?;
        let plan = LogicalPlanBuilder::from(static_plan)
            .to_recursive_query(work_name, recursive_plan, distinct)
            .and_then(LogicalPlanBuilder::build)
            .map_err(plan_error)?;
        self.cte(cte, plan, columns)
    }

    /// Numerics of a static term in a type that has room for whatever the recursive term makes of them.
    fn with_own_scales(&self, plan: LogicalPlan, outputs: Vec<Output>) -> Result<(LogicalPlan, Vec<Output>)> {
        let fixed = |output: &Output| matches!(output.value.sql_type, SqlType::Numeric { .. });
        if !outputs.iter().any(fixed) {
            return Ok((plan, outputs));
        }
        let outputs = outputs
            .into_iter()
            .map(|output| match fixed(&output) {
                true => Ok(Output { value: self.unconstrained(output.value)?, ..output }),
                false => Ok(output),
            })
            .collect::<Result<_>>()?;
        self.projection(plan, outputs)
    }

    /// The recursive term in the static term's types and names.
    fn recursive_term(
        &self,
        name: &str,
        columns: &[Output],
        plan: LogicalPlan,
        outputs: Vec<Output>,
        static_plan: &LogicalPlan,
    ) -> Result<LogicalPlan> {
        if outputs.len() != columns.len() {
            return Err(Error::new(ErrorKind::Syntax, "each UNION query must have the same number of columns"));
        }
        let exprs = outputs
            .into_iter()
            .zip(columns)
            .zip(static_plan.schema().fields())
            .enumerate()
            .map(|(index, ((output, column), field))| {
                let wanted = &column.value.sql_type;
                let overall = self.common_type(&[&column.value, &output.value], "UNION")?;
                if overall.type_name() != wanted.type_name() {
                    let shown = |sql_type: &SqlType| if sql_type.is_numeric() { "numeric".to_string() } else { sql_type.display_name() };
                    let (wanted, overall) = (shown(wanted), shown(&overall));
                    return Err(Error::new(
                        ErrorKind::DatatypeMismatch,
                        format!(
                            "recursive query \"{name}\" column {} has type {wanted} in non-recursive term but type {overall} overall",
                            index + 1
                        ),
                    )
                    .with_hint("Cast the output of the non-recursive term to the correct type."));
                }
                let value = self.to_common(output.value, wanted)?;
                let expr = if value.data_type == *field.data_type() {
                    value.expr
                } else {
                    super::coerce::cast_expr(value.expr, field.data_type())
                };
                Ok(expr.alias(field.name()))
            })
            .collect::<Result<Vec<_>>>()?;
        projected(plan, exprs)
    }
}

/// The columns of a common table expression under its column list.
fn with_column_list(mut outputs: Vec<Output>, alias: &ast::TableAlias) -> Result<Vec<Output>> {
    let (available, specified) = (outputs.len(), alias.columns.len());
    if specified > available {
        let name = folded(&alias.name);
        let message = format!("WITH query \"{name}\" has {available} columns available but {specified} columns specified");
        return Err(at(Error::new(ErrorKind::InvalidColumnReference, message), alias.name.span));
    }
    for (output, column) in outputs.iter_mut().zip(&alias.columns) {
        output.name = folded(&column.name);
    }
    Ok(outputs)
}
