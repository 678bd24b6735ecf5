//! The arguments of a call as a table, which is empty until the call is run.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, ReplaceChildrenOptions};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PhysicalExpr, PlanProperties};
use futures::stream;

/// One column a parameter, and the number of the row.
#[derive(Debug)]
pub(super) struct ArgumentsTable {
    pub(super) schema: SchemaRef,
}

#[async_trait]
impl TableProvider for ArgumentsTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let projection = projection.cloned().unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        let schema = Arc::new(self.schema.project(&projection)?);
        Ok(Arc::new(ArgumentsExec::new(projection, RecordBatch::new_empty(schema))))
    }
}

/// Arguments that are known when the plan is run.
#[derive(Debug)]
pub(super) struct ArgumentsExec {
    projection: Vec<usize>,
    rows: RecordBatch,
    properties: Arc<PlanProperties>,
}

impl ArgumentsExec {
    fn new(projection: Vec<usize>, rows: RecordBatch) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(rows.schema()),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self { projection, rows, properties: Arc::new(properties) }
    }

    pub(super) fn filled(&self, columns: &[ArrayRef]) -> Result<Self> {
        let count = columns.last().map_or(0, |numbers| numbers.len());
        let columns = self.projection.iter().map(|index| Arc::clone(&columns[*index])).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        let rows = RecordBatch::try_new_with_options(self.schema(), columns, &options)?;
        Ok(Self::new(self.projection.clone(), rows))
    }
}

impl DisplayAs for ArgumentsExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Arguments")
    }
}

impl ExecutionPlan for ArgumentsExec {
    fn name(&self) -> &str {
        "Arguments"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![]
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        _children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(self: Arc<Self>, _children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, _partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let size = context.session_config().batch_size();
        let (rows, count) = (self.rows.clone(), self.rows.num_rows());
        let slices = (0..count).step_by(size.max(1)).map(move |start| Ok(rows.slice(start, size.min(count - start))));
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), stream::iter(slices))))
    }
}
