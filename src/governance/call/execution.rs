//! The call at work: rows come in, their arguments are handed over, the results stand behind them.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, UInt64Array};
use datafusion::arrow::compute::{cast, concat, concat_batches, take};
use datafusion::arrow::datatypes::{FieldRef, Int64Type, Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{ScalarValue, internal_err};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::execution_plan::{ReplaceChildrenOptions, reset_plan_states};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning, PhysicalExpr,
    PlanProperties, execute_stream,
};
use futures::{StreamExt, TryStreamExt, stream};

use super::arguments::ArgumentsExec;

/// Most rows whose arguments are handed over at once.
const MOST_ROWS: usize = 1 << 18;
/// Rows of the first time, when nobody knows how large the results are.
const FIRST_ROWS: usize = 1 << 14;
/// Bytes of such rows, and of their results.
const MOST_BYTES: usize = 64 << 20;

/// A call that is ready to be run, over and over.
#[derive(Debug, Clone)]
pub(super) struct Callable {
    /// `schema.function`.
    pub(super) name: String,
    pub(super) parameters: Vec<FieldRef>,
    /// One a parameter, over the rows of the input.
    pub(super) arguments: Vec<Arc<dyn PhysicalExpr>>,
    /// Number of the arguments' row and result, over an [`ArgumentsExec`].
    pub(super) inner: Arc<dyn ExecutionPlan>,
    pub(super) result: FieldRef,
}

/// The rows of its input, with the results of the call behind them.
#[derive(Debug)]
pub(super) struct GovernedCallExec {
    call: Callable,
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
}

impl GovernedCallExec {
    pub(super) fn new(call: Callable, input: Arc<dyn ExecutionPlan>) -> Self {
        let fields = input.schema().fields().iter().map(Arc::clone).chain([Arc::clone(&call.result)]).collect::<Vec<_>>();
        let schema = Arc::new(Schema::new_with_metadata(fields, input.schema().metadata().clone()));
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(input.output_partitioning().partition_count()),
            input.pipeline_behavior(),
            input.boundedness(),
        );
        Self { call, input, properties: Arc::new(properties) }
    }
}

impl DisplayAs for GovernedCallExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GovernedCall: {}", self.call.name)
    }
}

impl ExecutionPlan for GovernedCallExec {
    fn name(&self) -> &str {
        "GovernedCall"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    /// The input alone: no rule, no EXPLAIN and no walk over metrics sees the inner plan.
    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        for argument in &self.call.arguments {
            if f(argument)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match children.into_iter().next() {
            Some(input) => Ok(Arc::new(Self::new(self.call.clone(), input))),
            None => internal_err!("a call has one input"),
        }
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let schema = self.schema();
        let rows = self.input.execute(partition, Arc::clone(&context))?;
        let reservation = MemoryConsumer::new("GovernedCall").register(context.memory_pool());
        let (call, schema_of_rows) = (self.call.clone(), Arc::clone(&schema));
        let run = Run { rows, call, schema: schema_of_rows, reservation, context, most_rows: FIRST_ROWS };
        let chunks = stream::try_unfold(run, |mut run| async move {
            let batches = run.next().await?;
            Ok::<_, DataFusionError>(batches.map(|batches| (stream::iter(batches.into_iter().map(Ok)), run)))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, chunks.try_flatten())))
    }
}

/// One partition's way through its input.
struct Run {
    rows: SendableRecordBatchStream,
    call: Callable,
    schema: SchemaRef,
    reservation: MemoryReservation,
    context: Arc<TaskContext>,
    /// Told from the results of the time before.
    most_rows: usize,
}

impl Run {
    /// The next rows with their results; `None` behind the last.
    async fn next(&mut self) -> Result<Option<Vec<RecordBatch>>> {
        let (mut gathered, mut count, mut bytes) = (vec![], 0, 0);
        while count < self.most_rows && bytes < MOST_BYTES {
            let Some(batch) = self.rows.next().await else { break };
            let batch = batch?;
            let size = batch.get_array_memory_size();
            self.reservation.try_grow(size)?;
            count += batch.num_rows();
            bytes += size;
            gathered.push(batch);
        }
        if gathered.is_empty() {
            return Ok(None);
        }
        let results = self.results(&gathered, count).await?;
        let mut offset = 0;
        let mut finished = Vec::with_capacity(gathered.len());
        for batch in gathered {
            let mut columns = batch.columns().to_vec();
            columns.push(results.slice(offset, batch.num_rows()));
            offset += batch.num_rows();
            finished.push(RecordBatch::try_new(Arc::clone(&self.schema), columns)?);
        }
        self.reservation.free();
        Ok(Some(finished))
    }

    /// The results for `count` rows, in their order.
    async fn results(&mut self, rows: &[RecordBatch], count: usize) -> Result<ArrayRef> {
        if count == 0 {
            return ScalarValue::try_from(self.call.result.data_type())?.to_array_of_size(0);
        }
        let arguments = self.arguments_of(rows, count)?;
        let filled = Arc::clone(&self.call.inner).transform_up(|node| {
            let Some(empty) = node.downcast_ref::<ArgumentsExec>() else { return Ok(Transformed::no(node)) };
            Ok(Transformed::yes(Arc::new(empty.filled(&arguments)?) as _))
        })?;
        let mut found = execute_stream(reset_plan_states(filled.data)?, Arc::clone(&self.context))?;
        let mut positions: Vec<Option<u64>> = vec![None; count];
        let (mut batches, mut seen, mut bytes) = (vec![], 0, 0);
        while let Some(batch) = found.next().await {
            let batch = batch?;
            let size = batch.get_array_memory_size();
            // It is put together with the others, and into order.
            self.reservation.try_grow(2 * size)?;
            bytes += size;
            for number in batch.column(0).as_primitive::<Int64Type>().values() {
                let place = usize::try_from(*number).ok().and_then(|number| positions.get_mut(number));
                match place {
                    Some(place) if place.is_none() => *place = Some(seen),
                    _ => return internal_err!("a call has not one result for each row"),
                }
                seen += 1;
            }
            batches.push(batch);
        }
        self.most_rows = (MOST_BYTES / (bytes / count).max(1)).clamp(1, MOST_ROWS);
        let values = concat_batches(&found.schema(), &batches)?;
        Ok(take(values.column(1), &UInt64Array::from(positions), None)?)
    }

    /// The arguments of all rows, then their numbers.
    fn arguments_of(&self, rows: &[RecordBatch], count: usize) -> Result<Vec<ArrayRef>> {
        let mut columns = Vec::with_capacity(self.call.arguments.len() + 1);
        for (argument, parameter) in self.call.arguments.iter().zip(&self.call.parameters) {
            let evaluate = |batch: &RecordBatch| {
                let values = argument.evaluate(batch)?.into_array(batch.num_rows())?;
                if values.data_type() == parameter.data_type() { Ok(values) } else { Ok(cast(&values, parameter.data_type())?) }
            };
            let parts = rows.iter().map(evaluate).collect::<Result<Vec<ArrayRef>>>()?;
            let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
            columns.push(concat(&parts)?);
        }
        columns.push(Arc::new(Int64Array::from_iter_values((0_i64..).take(count))));
        Ok(columns)
    }
}
