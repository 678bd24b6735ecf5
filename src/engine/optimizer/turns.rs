//! Operators take turns: the last rule, which puts yields where an operator would compute for long without one.
//!
//! ```text
//!   every operator that makes, multiplies or holds back rows      ─▶ Turns::Between    yields between its batches
//!   what a join, a sort, an aggregate, a window reads first       ─▶ Turns::Gathered   hands the worker on before much is worked on at once
//!   what a join probes with, what is unnested or computed with    ─▶ Turns::Pieces     is cut into pieces that take a short time each
//! ```
//! A join goes through all pairs of a batch and its other side in one go, with no end of its turn in it. The time that it took for one piece
//! tells the size of the next; a nested loop join, which leaves out nothing, is told from the number of rows. Projections, filters and
//! limits do not yield: what they read does.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, UInt64Array};
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Statistics, internal_err};
use datafusion::error::Result;
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{BinaryExpr, LikeExpr};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::filter_pushdown::{
    ChildPushdownResult, FilterDescription, FilterPushdownPhase, FilterPushdownPropagation,
};
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, NestedLoopJoinExec, PiecewiseMergeJoinExec, SortMergeJoinExec,
};
use datafusion::physical_plan::limit::{GlobalLimitExec, LocalLimitExec};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::unnest::UnnestExec;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};
use datafusion::physical_plan::{
    ChildStats, ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions,
    StatisticsArgs, replace_children_if_necessary,
};
use futures::{Stream, StreamExt};

use crate::engine::turn;

/// A piece that took longer is followed by a smaller one.
const LONG: Duration = Duration::from_millis(8);

/// A piece that took less is followed by a larger one.
const SHORT: Duration = Duration::from_millis(2);

/// Rows of a first piece, of which nothing is known yet.
const FIRST: usize = 64;

/// Pairs of rows that a join is given to look at before it has shown how long it takes.
const FIRST_PAIRS: usize = 65_536;

/// Pairs of rows that a join which looks at all of them is given at most.
const MOST_PAIRS: usize = 2_000_000;

/// Gathered rows whose sorting, hashing or copying takes longer than a turn.
const MANY: usize = 50_000;

/// The rule.
#[derive(Debug)]
pub(super) struct TakeTurns;

impl PhysicalOptimizerRule for TakeTurns {
    fn name(&self) -> &str {
        "take_turns"
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        in_turns(plan)
    }

    fn schema_check(&self) -> bool {
        true
    }
}

#[recursive::recursive]
fn in_turns(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    if plan.is::<Turns>() {
        return Ok(plan);
    }
    let mut inputs = plan.children().into_iter().cloned().map(in_turns).collect::<Result<Vec<_>>>()?;
    prepare(plan.as_ref(), &mut inputs);
    let yields_below = passes_on(plan.as_ref());
    let plan = if inputs.is_empty() { plan } else { replace_children_if_necessary(plan, inputs)? };
    Ok(if yields_below { plan } else { Turns::around(plan, Role::Between) })
}

/// Whether an operator gives one batch at most for each that it reads, or works in tasks of its own.
fn passes_on(plan: &dyn ExecutionPlan) -> bool {
    plan.is::<ProjectionExec>()
        || plan.is::<FilterExec>()
        || plan.is::<GlobalLimitExec>()
        || plan.is::<LocalLimitExec>()
        || plan.is::<CooperativeExec>()
        || plan.is::<RepartitionExec>()
        || plan.is::<CoalescePartitionsExec>()
}

/// Wraps what an operator reads as it works on it.
fn prepare(plan: &dyn ExecutionPlan, inputs: &mut [Arc<dyn ExecutionPlan>]) {
    let wrap = |input: &mut Arc<dyn ExecutionPlan>, role| *input = Turns::around(Arc::clone(input), role);
    if computes(plan) {
        inputs.iter_mut().for_each(|input| wrap(input, Role::Pieces { beside: None, every_pair: false }));
    }
    match inputs {
        [left, right] if plan.is::<NestedLoopJoinExec>() || plan.is::<HashJoinExec>() || plan.is::<PiecewiseMergeJoinExec>() => {
            let size = Arc::new(Size::default());
            wrap(left, Role::Gathered(Arc::clone(&size)));
            wrap(right, Role::Pieces { beside: Some(size), every_pair: plan.is::<NestedLoopJoinExec>() });
        }
        [left, right] if plan.is::<SortMergeJoinExec>() => {
            for input in [left, right] {
                wrap(input, Role::Pieces { beside: None, every_pair: false });
            }
        }
        [left, _] if plan.is::<CrossJoinExec>() => wrap(left, Role::Gathered(Arc::default())),
        [input] if plan.is::<UnnestExec>() => wrap(input, Role::Pieces { beside: None, every_pair: false }),
        [input]
            if plan.is::<SortExec>()
                || plan.is::<AggregateExec>()
                || plan.is::<WindowAggExec>()
                || plan.is::<BoundedWindowAggExec>() =>
        {
            wrap(input, Role::Gathered(Arc::default()));
        }
        _ => {}
    }
}

/// Whether an operator's expressions may take long over one row: functions and patterns.
fn computes(plan: &dyn ExecutionPlan) -> bool {
    let is_pattern = |binary: &BinaryExpr| {
        use Operator::{RegexIMatch, RegexMatch, RegexNotIMatch, RegexNotMatch};
        matches!(binary.op(), RegexMatch | RegexNotMatch | RegexIMatch | RegexNotIMatch)
    };
    let mut found = false;
    let visited = plan.apply_expressions(&mut |expr| {
        expr.apply(|node| {
            found |= node.is::<ScalarFunctionExpr>()
                || node.is::<LikeExpr>()
                || node.downcast_ref::<BinaryExpr>().is_some_and(is_pattern);
            Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        })
    });
    found || visited.is_err()
}

/// How many rows one side of a join has. A side that is read anew, as in a recursive query, counts as the mean of its runs.
#[derive(Debug, Default)]
struct Size {
    rows: AtomicUsize,
    runs: AtomicUsize,
}

impl Size {
    fn rows(&self) -> usize {
        self.rows.load(Ordering::Relaxed) / self.runs.load(Ordering::Relaxed).max(1)
    }
}

#[derive(Debug, Clone)]
enum Role {
    Between,
    Gathered(Arc<Size>),
    Pieces { beside: Option<Arc<Size>>, every_pair: bool },
}

/// An operator whose rows come in turns. EXPLAIN does not show it.
#[derive(Debug, Clone)]
pub(in crate::engine) struct Turns {
    input: Arc<dyn ExecutionPlan>,
    role: Role,
}

impl Turns {
    fn around(input: Arc<dyn ExecutionPlan>, role: Role) -> Arc<dyn ExecutionPlan> {
        Arc::new(Self { input, role })
    }

    /// The operator itself.
    pub(in crate::engine) fn input(&self) -> &Arc<dyn ExecutionPlan> {
        &self.input
    }
}

impl DisplayAs for Turns {
    fn fmt_as(&self, _form: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl ExecutionPlan for Turns {
    fn name(&self) -> &str {
        "Turns"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match children.pop() {
            Some(input) if children.is_empty() => Ok(Turns::around(input, self.role.clone())),
            _ => internal_err!("Turns has one input"),
        }
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if let (Role::Gathered(size), 0) = (&self.role, partition) {
            size.runs.fetch_add(1, Ordering::Relaxed);
        }
        let input = self.input.execute(partition, context)?;
        Ok(match self.role.clone() {
            Role::Between => Box::pin(Between { input }),
            Role::Gathered(size) => Box::pin(Gathered { input, size, rows: 0 }),
            Role::Pieces { beside, every_pair } => {
                Box::pin(Pieces { input, rest: None, allowance: None, handed: None, beside, every_pair })
            }
        })
    }

    /// The inner plan of a governed scan has its turns before the filters of the joins around it come.
    fn gather_filters_for_pushdown(
        &self,
        _phase: FilterPushdownPhase,
        parent_filters: Vec<Arc<dyn PhysicalExpr>>,
        _config: &ConfigOptions,
    ) -> Result<FilterDescription> {
        FilterDescription::from_children(parent_filters, &self.children())
    }

    fn handle_child_pushdown_result(
        &self,
        _phase: FilterPushdownPhase,
        result: ChildPushdownResult,
        _config: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        Ok(FilterPushdownPropagation::if_all(result))
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        vec![ChildStats::At(partition)]
    }

    fn statistics_from_inputs(&self, inputs: &[Arc<Statistics>], _args: &StatisticsArgs) -> Result<Arc<Statistics>> {
        match inputs {
            [input] => Ok(Arc::clone(input)),
            _ => internal_err!("Turns has one input"),
        }
    }
}

/// Pending, and called again at once after the others.
fn end_turn<T>(context: &Context<'_>) -> Poll<T> {
    context.waker().wake_by_ref();
    Poll::Pending
}

struct Between {
    input: SendableRecordBatchStream,
}

impl Stream for Between {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if turn::is_over() { end_turn(context) } else { self.input.poll_next_unpin(context) }
    }
}

struct Gathered {
    input: SendableRecordBatchStream,
    size: Arc<Size>,
    rows: usize,
}

impl Stream for Gathered {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if turn::is_over() {
            return end_turn(context);
        }
        let item = ready!(self.input.poll_next_unpin(context));
        match &item {
            Some(Ok(batch)) => {
                self.rows += batch.num_rows();
                self.size.rows.fetch_add(batch.num_rows(), Ordering::Relaxed);
            }
            None if self.rows > MANY => turn::hand_on(),
            Some(Err(_)) | None => {}
        }
        Poll::Ready(item)
    }
}

struct Pieces {
    input: SendableRecordBatchStream,
    rest: Option<RecordBatch>,
    /// Rows of the next piece, once the other side's size is known.
    allowance: Option<usize>,
    /// Beginning of the turn in which the last piece was handed out, and when.
    handed: Option<(Option<Instant>, Instant)>,
    beside: Option<Arc<Size>>,
    every_pair: bool,
}

impl Pieces {
    /// Most rows of a piece.
    fn bound(&self) -> usize {
        match &self.beside {
            Some(size) if self.every_pair => (MOST_PAIRS / size.rows().max(1)).max(1),
            _ => usize::MAX,
        }
    }

    fn first(&self) -> usize {
        let unknown = self.beside.as_ref().map_or(FIRST, |size| FIRST.min(FIRST_PAIRS / size.rows().max(1)));
        unknown.max(1)
    }

    /// Learns from the time that passed since the last piece. A time in which others had their turns says nothing.
    fn learn(&mut self) {
        let Some((turn, at)) = self.handed.take() else { return };
        let Some(allowance) = self.allowance.as_mut().filter(|_| turn == turn::beginning()) else { return };
        let took = at.elapsed();
        if took > LONG {
            *allowance = (*allowance / 2).max(1);
        } else if took < SHORT {
            *allowance = allowance.saturating_mul(2);
        }
    }

    fn next_piece(&mut self) -> Result<Option<RecordBatch>> {
        let Some(batch) = self.rest.take() else { return Ok(None) };
        let rows = self.allowance.unwrap_or_else(|| self.first()).min(self.bound());
        self.allowance = Some(rows);
        self.handed = Some((turn::beginning(), Instant::now()));
        if rows >= batch.num_rows() {
            return Ok(Some(batch));
        }
        self.rest = Some(batch.slice(rows, batch.num_rows() - rows));
        compact(&batch, rows).map(Some)
    }
}

/// A copy of the first rows. A slice would be counted with the memory of all rows, over and over.
fn compact(batch: &RecordBatch, rows: usize) -> Result<RecordBatch> {
    let first = UInt64Array::from_iter_values(0..rows as u64);
    let piece = |column: &ArrayRef| Ok(without_surplus(&take(column, &first, None)?));
    let columns = batch.columns().iter().map(piece).collect::<Result<_>>()?;
    // There may be rows without a column, such as those for which a number is drawn.
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(batch.schema(), columns, &options)?)
}

fn without_surplus(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::Utf8View => Arc::new(column.as_string_view().gc()),
        DataType::BinaryView => Arc::new(column.as_binary_view().gc()),
        _ => Arc::clone(column),
    }
}

impl Stream for Pieces {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.learn();
        if turn::is_over() {
            return end_turn(context);
        }
        if self.rest.is_none() {
            match ready!(self.input.poll_next_unpin(context)) {
                Some(Ok(batch)) if batch.num_rows() > 1 => self.rest = Some(batch),
                other => return Poll::Ready(other),
            }
        }
        Poll::Ready(self.next_piece().transpose())
    }
}

macro_rules! with_schema_of_input {
    ($($stream:ty),*) => {$(
        impl RecordBatchStream for $stream {
            fn schema(&self) -> SchemaRef {
                self.input.schema()
            }
        }
    )*};
}

with_schema_of_input!(Between, Gathered, Pieces);
