//! Conditions that are asked of rows from elsewhere: the WHERE of COPY FROM.
//!
//! ```text
//!  SELECT true FROM (one row of NULLs) WHERE condition ─ bound, governed ─▶ its filter ─ analysed ─▶ predicate ─▶ kept rows of each batch
//! ```
//! The query has the names and types of the rows and passes the gate as any other, and the filter passes the rules of the analyser; the query is
//! never optimised or run itself, which would find out that its row is NULL.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{AsArray, RecordBatch, RecordBatchOptions, new_null_array};
use datafusion::arrow::compute::{cast, filter_record_batch};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::internal_err;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::DataFusionError;
use datafusion::execution::SessionState;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{Filter, LogicalPlan};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_plan::PhysicalExpr;

use super::optimizer::guarded_condition;
use super::{Engine, ExecutionSettings};
use crate::error::datafusion::from_datafusion;
use crate::error::{Error, Result};
use crate::governance::GovernedQuery;

/// A condition over rows of one schema.
pub struct Condition {
    predicate: Arc<dyn PhysicalExpr>,
    schema: SchemaRef,
    /// The columns that it asks for.
    asked: HashSet<usize>,
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condition").field("predicate", &self.predicate.to_string()).finish_non_exhaustive()
    }
}

impl Engine {
    /// The condition of a query `SELECT .. FROM (one row) WHERE condition`, for other rows with the columns of the one.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`](crate::error::ErrorKind::Unsupported) if it reads more than the row.
    pub async fn condition(&self, query: GovernedQuery, settings: &ExecutionSettings) -> Result<Condition> {
        let state = self.statement_state(settings);
        let plan = move || {
            let filter = only_filter(query.plan())?;
            Condition::new(filter, &state).map_err(|error| from_datafusion(error, query.is_governed()))
        };
        self.planners.run(plan).await?
    }
}

/// The filter of a plan that has nothing else to it.
fn only_filter(plan: &LogicalPlan) -> Result<Filter> {
    let mut filter = None;
    let mut reads_more = false;
    let walked = plan.apply_with_subqueries(|node| {
        match node {
            LogicalPlan::Filter(found) if filter.is_none() => filter = Some(found.clone()),
            LogicalPlan::Projection(_) | LogicalPlan::SubqueryAlias(_) | LogicalPlan::EmptyRelation(_) => {}
            _ => reads_more = true,
        }
        Ok(TreeNodeRecursion::Continue)
    });
    walked.map_err(|error| from_datafusion(error, false))?;
    filter.filter(|_| !reads_more).ok_or_else(|| {
        Error::unsupported("a condition that reads tables here")
            .with_hint("COPY into a table of its own, then INSERT INTO .. SELECT .. WHERE .. from there.")
    })
}

impl Condition {
    fn new(filter: Filter, state: &SessionState) -> Result<Self, DataFusionError> {
        let options = state.config_options();
        let analysed = state.analyzer().execute_and_check(LogicalPlan::Filter(filter), options, |_, _| {})?;
        let LogicalPlan::Filter(Filter { predicate, input, .. }) = analysed else {
            return internal_err!("the analyser has made another plan of a filter");
        };
        let schema = input.schema();
        let context = SimplifyContext::builder()
            .with_schema(Arc::clone(schema))
            .with_config_options(Arc::clone(options))
            .with_query_execution_start_time(state.execution_props().query_execution_start_time)
            .build();
        // Some functions have no other form than the simplified one.
        let predicate = ExprSimplifier::new(context).simplify(predicate)?;
        let predicate = state.create_physical_expr(guarded_condition(predicate)?, schema)?;
        let asked = collect_columns(&predicate).iter().map(|column| column.index()).collect();
        Ok(Self { predicate, schema: Arc::clone(schema.inner()), asked })
    }

    /// The rows of `batch` that meet the condition. Its columns are those of the query's row, in order.
    ///
    /// # Errors
    /// What the condition fails with.
    pub fn keep(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        self.kept(batch).map_err(|error| from_datafusion(error, false))
    }

    fn kept(&self, batch: &RecordBatch) -> Result<RecordBatch, DataFusionError> {
        let columns = batch.columns().iter().zip(self.schema.fields()).enumerate().map(|(index, (column, field))| {
            let data_type = field.data_type();
            if self.asked.contains(&index) { cast(column, data_type) } else { Ok(new_null_array(data_type, batch.num_rows())) }
        });
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let row = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns.collect::<Result<_, _>>()?, &options)?;
        let meets = self.predicate.evaluate(&row)?.into_array(batch.num_rows())?;
        // NULL is not true.
        Ok(filter_record_batch(batch, meets.as_boolean())?)
    }
}
