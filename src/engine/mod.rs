//! Governed to batches: planning, admission, execution.
//!
//! ```text
//!   GovernedQuery ──▶ plan ──▶ PhysicalQuery ──▶ run ──▶ ResultStream
//!                      │                          │
//!              planner threads             slot, then the workers' own runtime
//!              (64 MiB stacks)             (memory account, spill, watchdog)
//! ```
//! [`Engine::plan`] takes a [`GovernedQuery`] and nothing else, so a plan that missed the gate cannot run. The engine knows no table,
//! no catalog, no principal and no policy: what a plan reads stands in the plan.
//!
//! Three sets of threads keep out of each other's way: connections and storage (the server's runtime), planners, workers.

mod admission;
mod condition;
mod explain;
mod fences;
mod memory;
mod optimizer;
mod options;
mod planner;
mod runtime;
mod spool;
mod stream;
mod turn;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, FieldRef, Schema};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::execution::object_store::ObjectStoreRegistry;
use datafusion::execution::{SessionState, TaskContext};
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::{FutureExt, StreamExt};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::error::datafusion::from_datafusion;
use crate::error::{Error, ErrorKind, Result};
use crate::governance::GovernedQuery;
use crate::sql::source::constants;

pub use condition::Condition;
pub use explain::ExplainRequest;
pub use options::{EngineOptions, PlanOptions};
pub use spool::Spool;
pub use stream::ResultStream;

use admission::Admission;
use memory::Memory;
use planner::Planners;
use runtime::Workers;
use stream::{Limits, Outlet, Worker};
use turn::{InTurns, Statement};

/// What one statement may say about its own planning and execution.
#[derive(Debug, Clone)]
pub struct ExecutionSettings {
    /// `TimeZone`.
    pub time_zone: String,
    /// `statement_timeout`: from [`Engine::plan`] to the last row; `None` for no limit.
    pub statement_timeout: Option<Duration>,
}

/// A closure for a planner thread.
type PlannerWork = Box<dyn FnOnce() -> Result<PhysicalQuery> + Send>;

/// Plans and runs governed queries.
#[derive(Debug)]
pub struct Engine {
    state: SessionState,
    planners: Arc<Planners>,
    workers: Workers,
    admission: Arc<Admission>,
    memory: Arc<Memory>,
    output_cap: optimizer::OutputCap,
}

/// A query that is ready to run, once.
#[derive(Debug)]
pub struct PhysicalQuery {
    plan: Arc<dyn ExecutionPlan>,
    /// Kept for the second try with joins that spill.
    logical: Arc<LogicalPlan>,
    state: SessionState,
    columns: Vec<FieldRef>,
    redacted: bool,
    deadline: Option<tokio::time::Instant>,
}

impl PhysicalQuery {
    /// Output columns: names and SQL types as clients read them.
    pub fn columns(&self) -> &[FieldRef] {
        &self.columns
    }
}

impl Engine {
    /// Starts the threads, empties the spill directory.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for options that cannot hold, [`ErrorKind::Io`] when the spill directory cannot be prepared.
    pub fn new(options: &EngineOptions, registry: Arc<dyn ObjectStoreRegistry>) -> Result<Arc<Engine>> {
        let (total, per_query, mark) = runtime::memory_bounds(options);
        let memory = Memory::new(total, per_query);
        memory.watch(mark).map_err(|error| Error::internal(format!("cannot start the watchdog: {error}")))?;
        let spill_directory = runtime::prepare_spill_directory(options.spill_directory.clone())?;
        let environment = runtime::shared_environment(options, &spill_directory, registry, &memory)?;
        let planners = Planners::new(options.planners(), options.slots() + options.queue_length)
            .map_err(|error| Error::internal(format!("cannot start the planners: {error}")))?;
        Ok(Arc::new(Engine {
            state: optimizer::base_state(options, environment)?,
            planners: Arc::new(planners),
            workers: Workers::new(options.workers())?,
            admission: Admission::new(options.slots(), options.queue_length, options.queue_timeout.0),
            memory,
            output_cap: optimizer::OutputCap::new(options.function_output.as_usize()),
        }))
    }

    /// Runs `work` on a planner thread, which has the stack that binding and governing deep statements need, and drops there what the
    /// caller no longer waits for.
    ///
    /// # Errors
    /// [`ErrorKind::LimitExceeded`] when too many statements wait for a planner; an internal error when `work` panicked.
    pub async fn on_planner<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        self.planners.run(work).await
    }

    /// Drops a deep tree (an AST, a plan) where the stack is deep enough.
    pub fn discard<T: Send + 'static>(&self, value: T) {
        self.planners.discard(value);
    }

    /// Runs `future` until it is done or `cancel` is cancelled: 57014 then.
    ///
    /// # Errors
    /// What `future` fails with, or [`ErrorKind::Cancelled`].
    pub async fn cancellable<T>(cancel: &CancellationToken, future: impl Future<Output = Result<T>>) -> Result<T> {
        Limits::new(cancel.clone(), None).bound(future).await
    }

    /// Whether a worker and a planner take new work within `patience`.
    pub async fn answers(&self, patience: Duration) -> bool {
        let planner = tokio::time::timeout(patience, self.planners.run(|| ()));
        let (worker, planner) = tokio::join!(self.workers.answer(patience), planner);
        worker && matches!(planner, Ok(Ok(())))
    }

    /// Queries that wait for a slot.
    pub fn waiting(&self) -> usize {
        self.admission.waiting()
    }

    /// Optimises and plans. `parameters` are the values of `$1`, `$2`, ..; they are cast to the types that binding found.
    ///
    /// # Errors
    /// What planning fails with; [`ErrorKind::Cancelled`] after `statement_timeout`; [`ErrorKind::ProtocolViolation`] for a wrong number of
    /// parameters.
    pub async fn plan(
        &self,
        query: GovernedQuery,
        settings: &ExecutionSettings,
        parameters: &[ScalarValue],
    ) -> Result<PhysicalQuery> {
        let deadline = settings.statement_timeout.and_then(|timeout| tokio::time::Instant::now().checked_add(timeout));
        let parameters = typed_parameters(&query, parameters)?;
        let state = self.statement_state(settings);
        let workers = self.workers.handle()?.clone();
        // Boxed, so that the futures of sessions stay small.
        let work: PlannerWork =
            Box::new(move || workers.block_on(planner::while_awaited(plan_governed(query, state, parameters, deadline))));
        let started = std::time::Instant::now();
        let planned = async { self.planners.run(work).await? };
        let planned = Limits::new(CancellationToken::new(), deadline).bound(planned).await;
        metrics::histogram!("lakehold_planning_seconds").record(started.elapsed());
        planned
    }

    /// The row of a query that is nothing but constants, at once and without a slot; `None` for every other query.
    ///
    /// # Errors
    /// [`ErrorKind::ProtocolViolation`] for a wrong number of parameters; what casting one to the type that binding found fails with.
    pub fn constants(&self, query: &GovernedQuery, parameters: &[ScalarValue]) -> Result<Option<ResultStream>> {
        let Some(columns) = constants(query.plan()).filter(|columns| !columns.is_empty()) else { return Ok(None) };
        let parameters = typed_parameters(query, parameters)?;
        let schema = Arc::clone(query.plan().schema().inner());
        let arrays = columns.iter().map(|column| constant(column, &parameters)?.to_array());
        let row = arrays.collect::<Result<_, _>>().and_then(|arrays| Ok(RecordBatch::try_new(Arc::clone(&schema), arrays)?));
        let row = row.map_err(|error| from_datafusion(error, query.is_governed()))?;
        Ok(Some(ResultStream::ready(schema, query.columns().to_vec(), vec![row])))
    }

    /// Waits for a slot and starts the query on the workers.
    ///
    /// # Errors
    /// [`ErrorKind::LimitExceeded`] when the queue is full or the wait too long; [`ErrorKind::Cancelled`]. What the query itself fails with comes
    /// out of the stream.
    pub async fn run(&self, query: PhysicalQuery, cancel: &CancellationToken) -> Result<ResultStream> {
        let limits = Limits::new(cancel.clone(), query.deadline);
        let queued = std::time::Instant::now();
        let slot = limits.bound(self.admission.enter()).await?;
        metrics::histogram!("lakehold_queue_seconds").record(queued.elapsed());
        let (sender, receiver) = mpsc::channel(stream::ROOM);
        let outlet = Outlet::new(sender, Arc::clone(&self.admission), slot);
        let schema = query.plan.schema();
        let columns = query.columns.clone();
        let account = self.memory.account(limits.ended.clone());
        let execution =
            Execution { environment: runtime::query_environment(&self.state, account), planners: Arc::clone(&self.planners) };
        let workers = self.workers.handle()?;
        let statement = Statement::new(self.workers.busy());
        let driven = Box::pin(execution.drive(query, outlet, workers.clone()));
        let task = workers.spawn(InTurns::new(Arc::clone(&statement), driven));
        Ok(ResultStream::running(schema, columns, receiver, Worker::new(task.abort_handle(), statement), limits))
    }

    /// The value of a constant expression: one without columns, parameters or subqueries.
    ///
    /// # Errors
    /// What evaluating it fails with.
    pub fn evaluate(&self, expr: Expr, settings: &ExecutionSettings) -> Result<ScalarValue> {
        let state = self.statement_state(settings);
        let evaluated = self.output_cap.bound(expr).and_then(|bounded| {
            let empty = DFSchema::empty();
            let checked = optimizer::CheckedArithmetic.check(bounded.data, &empty)?;
            let physical = state.create_physical_expr(checked.data, &empty)?;
            let row = RecordBatch::try_new_with_options(
                Arc::new(Schema::empty()),
                vec![],
                &datafusion::arrow::array::RecordBatchOptions::new().with_row_count(Some(1)),
            )?;
            let value = physical.evaluate(&row)?.into_array(1)?;
            ScalarValue::try_from_array(&value, 0)
        });
        evaluated.map_err(|error| from_datafusion(error, false))
    }

    /// The base state with what the session has set.
    fn statement_state(&self, settings: &ExecutionSettings) -> SessionState {
        let mut state = self.state.clone();
        state.config_mut().options_mut().execution.time_zone = Some(settings.time_zone.clone());
        optimizer::begin(&mut state);
        state
    }
}

/// Parameter values in the types that binding found.
fn typed_parameters(query: &GovernedQuery, parameters: &[ScalarValue]) -> Result<Vec<ScalarValue>> {
    let types = query.parameters();
    if types.len() != parameters.len() {
        return Err(Error::new(
            ErrorKind::ProtocolViolation,
            format!("bind message supplies {} parameters, but the statement requires {}", parameters.len(), types.len()),
        ));
    }
    let cast = |(value, sql_type): (&ScalarValue, &crate::types::SqlType)| {
        let wanted = sql_type.arrow_type();
        if value.data_type() == wanted {
            Ok(value.clone())
        } else {
            value.cast_to(&wanted).map_err(|error| from_datafusion(error, false))
        }
    };
    parameters.iter().zip(types).map(cast).collect()
}

/// Whether a plan does nothing but hand out stored columns of one relation.
fn hands_out(plan: &LogicalPlan) -> bool {
    fn is_column(expr: &Expr) -> bool {
        match expr {
            Expr::Alias(alias) => is_column(&alias.expr),
            expr => matches!(expr, Expr::Column(_)),
        }
    }
    match plan {
        LogicalPlan::TableScan(scan) => scan.filters.is_empty(),
        LogicalPlan::Projection(projection) => projection.expr.iter().all(is_column) && hands_out(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => hands_out(&alias.input),
        LogicalPlan::Limit(limit) => hands_out(&limit.input),
        _ => false,
    }
}

/// The value of a literal or a parameter.
fn constant(expr: &Expr, parameters: &[ScalarValue]) -> Result<ScalarValue, DataFusionError> {
    let parameter = |id: &str| parameters.get(id.strip_prefix('$')?.parse::<usize>().ok()?.checked_sub(1)?).cloned();
    match expr {
        Expr::Alias(alias) => constant(&alias.expr, parameters),
        Expr::Literal(value, _) => Ok(value.clone()),
        Expr::Placeholder(placeholder) => {
            parameter(&placeholder.id).ok_or_else(|| DataFusionError::Internal(format!("no value for {}", placeholder.id)))
        }
        other => Err(DataFusionError::Internal(format!("{} is no constant", other.variant_name()))),
    }
}

async fn plan_governed(
    query: GovernedQuery,
    mut state: SessionState,
    parameters: Vec<ScalarValue>,
    deadline: Option<tokio::time::Instant>,
) -> Result<PhysicalQuery> {
    let columns = query.columns().to_vec();
    let redacted = query.is_governed();
    let logical = query.into_plan();
    let logical = if parameters.is_empty() { Ok(logical) } else { logical.with_param_values(parameters) };
    let logical = Arc::new(logical.map_err(|error| from_datafusion(error, redacted))?);
    // One thread decodes as fast as one connection encodes; more would only hold more row groups. Policies may have to look at many rows
    // for each that they hand out.
    if !redacted && hands_out(&logical) {
        state.config_mut().options_mut().execution.target_partitions = 1;
    }
    let plan = physical_plan(&state, &logical).await.map_err(|error| from_datafusion(error, redacted))?;
    Ok(PhysicalQuery { plan, logical, state, columns, redacted, deadline })
}

#[expect(clippy::disallowed_methods, reason = "the one place that plans; the plan comes out of a GovernedQuery")]
async fn physical_plan(state: &SessionState, logical: &LogicalPlan) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
    state.create_physical_plan(logical).await
}

/// One query on the workers.
struct Execution {
    environment: Arc<datafusion::execution::runtime_env::RuntimeEnv>,
    planners: Arc<Planners>,
}

impl Execution {
    /// Sends every batch, then the error if there is one.
    async fn drive(self, query: PhysicalQuery, mut outlet: Outlet, workers: tokio::runtime::Handle) {
        let redacted = query.redacted;
        let outcome = AssertUnwindSafe(self.drive_to_end(query, &mut outlet, workers)).catch_unwind().await;
        let error = match outcome {
            Ok(Ok(())) => return,
            Ok(Err(error)) => from_datafusion(error, redacted),
            Err(panic) => planner::panicked(if redacted { &"redacted" } else { panic.as_ref() }),
        };
        outlet.send(Err(error)).await;
    }

    async fn drive_to_end(
        &self,
        query: PhysicalQuery,
        outlet: &mut Outlet,
        workers: tokio::runtime::Handle,
    ) -> Result<(), DataFusionError> {
        let PhysicalQuery { plan, logical, state, .. } = query;
        let sent = self.pump(Arc::clone(&plan), &state, outlet).await;
        let exhausted = match sent {
            Err((error, 0)) if is_exhausted(&error) && has_hash_join(&plan) => error,
            Err((error, _)) => return Err(error),
            Ok(()) => {
                self.planners.discard((plan, logical));
                return Ok(());
            }
        };
        tracing::debug!("a hash join ran out of memory, planning again with merge joins");
        drop(plan);
        let merging = optimizer::with_merge_joins(&state);
        let again = move || {
            let plan = workers.block_on(physical_plan(&merging, &logical))?;
            Ok::<_, DataFusionError>((plan, merging))
        };
        let Ok(planned) = self.planners.run(again).await else { return Err(exhausted) };
        let (plan, state) = planned?;
        self.pump(plan, &state, outlet).await.map_err(|(error, _)| error)
    }

    /// Executes `plan`; on an error, tells how many rows had been sent.
    async fn pump(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        state: &SessionState,
        outlet: &mut Outlet,
    ) -> Result<(), (DataFusionError, u64)> {
        let context = TaskContext::from(state).with_runtime(Arc::clone(&self.environment));
        let mut stream = execute_stream(plan, Arc::new(context)).map_err(|error| (error, 0))?;
        let mut rows = 0;
        while let Some(batch) = stream.next().await {
            let batch = batch.map_err(|error| (error, rows))?;
            if batch.num_rows() == 0 {
                continue;
            }
            rows += batch.num_rows() as u64;
            if !outlet.send(Ok(batch)).await {
                return Ok(());
            }
        }
        Ok(())
    }
}

fn is_exhausted(error: &DataFusionError) -> bool {
    matches!(error.find_root(), DataFusionError::ResourcesExhausted(_))
}

/// Whether a hash join stands anywhere in the visible plan.
fn has_hash_join(plan: &Arc<dyn ExecutionPlan>) -> bool {
    plan.is::<HashJoinExec>() || plan.children().into_iter().any(has_hash_join)
}

#[cfg(test)]
mod tests;

/// The Arrow type of EXPLAIN's only column, and of other texts that the engine makes.
const TEXT: DataType = DataType::Utf8;
