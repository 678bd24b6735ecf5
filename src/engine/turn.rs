//! Turns: how long a task of a statement computes before others have theirs, and how it hears that nobody waits for it.
//!
//! ```text
//!   worker ── polls ──▶ InTurns ── begins a turn ──▶ operators ─┬─ is_over()   between batches: yield, the worker takes another task
//!                          │                                    └─ look_up()   inside of one piece of work that has no end in sight:
//!                          └─▶ every task that it spawns                        stop if given up, else hand the worker on
//! ```
//! A task cannot be interrupted from outside: it is ended when it yields. DataFusion's operators yield where they wait for input, and some of them
//! compute for hours between two batches of it. So `optimizer::turns` gives such operators small pieces and yields in between, and
//! what computes long within a piece looks up. Tasks that DataFusion spawns belong to the statement of the task that spawned them.

use std::any::Any;
use std::cell::RefCell;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use datafusion::common::runtime::{JoinSetTracer, set_join_set_tracer};
use datafusion::error::DataFusionError;
use futures::future::BoxFuture;

use super::planner;
use super::stream::cancelled;

/// How long a task computes before it lets the next one. Long beside what changing tasks costs, short beside what a small query takes.
const LENGTH: Duration = Duration::from_millis(2);

/// How long a task computes within one piece of work before it hands its worker on, which costs more than yielding.
const PATIENCE: Duration = Duration::from_millis(20);

/// How long a worker's new thread may take to begin.
const HANDOVER: Duration = Duration::from_micros(200);

/// What all tasks of one statement share.
#[derive(Debug)]
pub(super) struct Statement {
    given_up: AtomicBool,
    busy: metrics::Gauge,
}

impl Statement {
    /// A statement that somebody waits for. `busy` counts tasks while they compute.
    pub(super) fn new(busy: metrics::Gauge) -> Arc<Self> {
        Arc::new(Self { given_up: AtomicBool::new(false), busy })
    }

    /// Nobody waits any more.
    pub(super) fn give_up(&self) {
        self.given_up.store(true, Ordering::Relaxed);
    }
}

/// What the current thread is doing.
#[derive(Debug)]
struct Turn {
    statement: Arc<Statement>,
    began: Instant,
    /// On a worker, which others wait for; not on a thread for blocking work.
    on_worker: bool,
}

thread_local! {
    static TURN: RefCell<Option<Turn>> = const { RefCell::new(None) };
}

/// A turn of this thread; ends when dropped.
struct Begun(Option<Turn>);

impl Begun {
    fn now(statement: &Arc<Statement>, on_worker: bool) -> Self {
        if on_worker {
            statement.busy.increment(1.0);
        }
        let turn = Turn { statement: Arc::clone(statement), began: Instant::now(), on_worker };
        Self(TURN.replace(Some(turn)))
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if let Some(turn) = TURN.replace(self.0.take())
            && turn.on_worker
        {
            turn.statement.busy.decrement(1.0);
        }
    }
}

/// Whether the task should yield, as soon as it can.
pub(super) fn is_over() -> bool {
    has_lasted(LENGTH)
}

fn has_lasted(span: Duration) -> bool {
    TURN.with_borrow(|turn| turn.as_ref().is_some_and(|turn| turn.on_worker && turn.began.elapsed() >= span))
}

/// When the turn began, which tells two turns apart; `None` outside of a statement's tasks.
pub(super) fn beginning() -> Option<Instant> {
    TURN.with_borrow(|turn| turn.as_ref().map(|turn| turn.began))
}

/// Called from time to time by work that cannot yield.
///
/// # Errors
/// 57014 if nobody waits for the statement; nobody reads it.
pub(super) fn look_up() -> Result<(), DataFusionError> {
    let given_up = TURN.with_borrow(|turn| match turn {
        Some(turn) => turn.statement.given_up.load(Ordering::Relaxed),
        None => planner::check_awaited().is_err(),
    });
    if given_up {
        return Err(DataFusionError::External(Box::new(cancelled())));
    }
    if has_lasted(PATIENCE) {
        hand_on();
    }
    Ok(())
}

/// Gives the worker's other tasks a thread of their own. This one goes on until the task yields and is the operating system's to share out.
pub(super) fn hand_on() {
    let on_worker = TURN.with_borrow(|turn| turn.as_ref().is_some_and(|turn| turn.on_worker));
    if !on_worker {
        return;
    }
    // A thread that comes too late finds that the worker goes on here; the next turn tries again.
    tokio::task::block_in_place(|| std::thread::sleep(HANDOVER));
    TURN.with_borrow_mut(|turn| {
        if let Some(turn) = turn {
            turn.began = Instant::now();
        }
    });
}

/// A task of a statement on a worker.
pub(super) struct InTurns<T> {
    statement: Arc<Statement>,
    task: BoxFuture<'static, T>,
}

impl<T> InTurns<T> {
    /// `task` as one of `statement`'s. It must run on a runtime of several threads.
    pub(super) fn new(statement: Arc<Statement>, task: BoxFuture<'static, T>) -> Self {
        Self { statement, task }
    }
}

impl<T> Future for InTurns<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let _turn = Begun::now(&self.statement, true);
        self.task.as_mut().poll(context)
    }
}

/// Puts what a statement's task spawns into the same statement.
struct Inherit;

impl Inherit {
    fn statement() -> Option<Arc<Statement>> {
        TURN.with_borrow(|turn| turn.as_ref().map(|turn| Arc::clone(&turn.statement)))
    }
}

type Anything = Box<dyn Any + Send>;

impl JoinSetTracer for Inherit {
    fn trace_future(&self, task: BoxFuture<'static, Anything>) -> BoxFuture<'static, Anything> {
        match Inherit::statement() {
            Some(statement) => Box::pin(InTurns::new(statement, task)),
            None => task,
        }
    }

    fn trace_block(&self, work: Box<dyn FnOnce() -> Anything + Send>) -> Box<dyn FnOnce() -> Anything + Send> {
        let Some(statement) = Inherit::statement() else { return work };
        Box::new(move || {
            let _turn = Begun::now(&statement, false);
            work()
        })
    }
}

/// Has DataFusion's tasks inherit their statement, in the whole process.
pub(super) fn install() {
    // A second engine in one process finds it done.
    let _ = set_join_set_tracer(&Inherit);
}

#[cfg(test)]
mod tests {
    use datafusion::common::runtime::SpawnedTask;

    use super::*;

    fn statement() -> Arc<Statement> {
        Statement::new(metrics::Gauge::noop())
    }

    fn workers(threads: usize) -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build().unwrap()
    }

    #[test]
    fn work_that_only_looks_up_leaves_the_worker_to_others_and_ends_when_it_is_given_up() {
        let (runtime, statement) = (workers(1), statement());
        let endless = Box::pin(async {
            loop {
                if let Err(error) = look_up() {
                    return error;
                }
            }
        });
        let endless = runtime.spawn(InTurns::new(Arc::clone(&statement), endless));
        runtime.block_on(async {
            for _ in 0..20 {
                tokio::runtime::Handle::current().spawn(async {}).await.unwrap();
            }
            assert!(!endless.is_finished());
            statement.give_up();
            endless.await.unwrap();
        });
    }

    #[test]
    fn spawned_tasks_belong_to_the_statement_of_the_task_that_spawns_them() {
        install();
        let (runtime, statement) = (workers(1), statement());
        assert!(beginning().is_none() && look_up().is_ok());
        let outer = Box::pin(async {
            let future = SpawnedTask::spawn(async { Inherit::statement() }).join().await.unwrap();
            let blocking = SpawnedTask::spawn_blocking(Inherit::statement).join().await.unwrap();
            [future, blocking]
        });
        let found = runtime.block_on(runtime.spawn(InTurns::new(Arc::clone(&statement), outer))).unwrap();
        assert!(found.into_iter().all(|found| Arc::ptr_eq(&found.unwrap(), &statement)));
    }
}
