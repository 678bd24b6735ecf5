//! Threads for binding and planning.
//!
//! Expression trees recurse deeply, in our binder, in DataFusion's rules and in every `Drop` of a tree, so all of that runs on threads with
//! stacks of 64 MiB. A thread cannot be interrupted: work whose caller has given up ends where it looks up next ([`check_awaited`]), and what
//! it returns is dropped there. The optimiser's rules look up, and so does whoever waits for something ([`while_awaited`]).

use std::any::Any;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::stream::cancelled;
use crate::error::{Error, ErrorKind, Result};

/// Stack of one planner.
const STACK: usize = 64 << 20;

type Job = Box<dyn FnOnce() + Send>;

thread_local! {
    /// Cancelled when nobody waits any more for what this thread works on.
    static GIVEN_UP: RefCell<CancellationToken> = RefCell::new(CancellationToken::new());
}

/// Called from time to time by long work on a planner.
///
/// # Errors
/// [`ErrorKind::Cancelled`] if the caller has given up. It does not read it.
pub(super) fn check_awaited() -> Result<()> {
    if GIVEN_UP.with_borrow(CancellationToken::is_cancelled) { Err(cancelled()) } else { Ok(()) }
}

/// Waits for `future` on a planner for as long as the caller waits for the planner.
///
/// # Errors
/// What `future` fails with; [`ErrorKind::Cancelled`] if the caller has given up.
pub(super) async fn while_awaited<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    let given_up = GIVEN_UP.with_borrow(CancellationToken::clone);
    tokio::select! {
        biased;
        () = given_up.cancelled() => Err(cancelled()),
        outcome = future => outcome,
    }
}

/// The planner threads and the queue before them.
#[derive(Debug)]
pub(super) struct Planners {
    queue: Arc<Queue>,
    queue_length: usize,
}

struct Queue {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    closed: bool,
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").field("waiting", &self.state.lock().jobs.len()).finish()
    }
}

impl Planners {
    /// Starts `threads` planners.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub(super) fn new(threads: usize, queue_length: usize) -> std::io::Result<Self> {
        let queue = Arc::new(Queue { state: Mutex::new(State::default()), wake: Condvar::new() });
        for number in 0..threads {
            let queue = Arc::clone(&queue);
            std::thread::Builder::new().name(format!("planner-{number}")).stack_size(STACK).spawn(move || queue.work())?;
        }
        Ok(Self { queue, queue_length })
    }

    /// Runs `work` on a planner and gives back what it returned. Dropping the future gives the work up; see the module's text.
    ///
    /// # Errors
    /// [`ErrorKind::LimitExceeded`] when too many statements wait for a planner; an internal error when `work` panicked.
    pub(super) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let (sender, receiver) = oneshot::channel();
        let given_up = CancellationToken::new();
        let _waiting = given_up.clone().drop_guard();
        let job = move || {
            if given_up.is_cancelled() {
                return;
            }
            GIVEN_UP.set(given_up);
            let outcome = catch_unwind(AssertUnwindSafe(work));
            // Nobody waits any more: the outcome is dropped here, on the big stack.
            let _ = sender.send(outcome);
        };
        self.submit(Box::new(job), self.queue_length)?;
        match receiver.await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(panic)) => Err(panicked(panic.as_ref())),
            Err(_) => Err(Error::new(ErrorKind::AdminShutdown, "the server is shutting down")),
        }
    }

    /// Drops `value` on a planner, because its tree may be too deep for the caller's stack.
    pub(super) fn discard<T: Send + 'static>(&self, value: T) {
        // A closed queue drops it here; that happens at shutdown only.
        let _ = self.submit(Box::new(move || drop(value)), usize::MAX);
    }

    fn submit(&self, job: Job, limit: usize) -> Result<()> {
        let mut state = self.queue.state.lock();
        if state.closed {
            return Err(Error::new(ErrorKind::AdminShutdown, "the server is shutting down"));
        }
        if state.jobs.len() >= limit {
            return Err(
                Error::new(ErrorKind::LimitExceeded, "too many statements are waiting to be planned").with_hint("Try again later.")
            );
        }
        state.jobs.push_back(job);
        drop(state);
        self.queue.wake.notify_one();
        Ok(())
    }
}

impl Drop for Planners {
    fn drop(&mut self) {
        self.queue.state.lock().closed = true;
        self.queue.wake.notify_all();
    }
}

impl Queue {
    fn work(&self) {
        loop {
            let mut state = self.state.lock();
            let job = loop {
                if let Some(job) = state.jobs.pop_front() {
                    break job;
                }
                if state.closed {
                    return;
                }
                self.wake.wait(&mut state);
            };
            drop(state);
            // A panic in a destructor must not cost the pool a thread.
            if catch_unwind(AssertUnwindSafe(job)).is_err() {
                tracing::error!("a planner's clean-up panicked");
            }
        }
    }
}

/// A panic as an error with an id that stands in the log too. The panic's text stays in the log.
pub(super) fn panicked(panic: &(dyn Any + Send)) -> Error {
    let text =
        panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("panic");
    let id = uuid::Uuid::new_v4();
    tracing::error!(error_id = %id, "a statement panicked");
    Error::internal(format!("panic {id}: {text}")).with_detail(format!("error id: {id}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_has_a_deep_stack_and_a_panic_is_an_error() {
        fn descend(depth: usize) -> usize {
            let padding = std::hint::black_box([depth; 64]);
            if depth == 0 { 0 } else { descend(depth - 1) + padding[0] / depth }
        }
        let planners = Planners::new(1, 10).unwrap();
        assert_eq!(planners.run(|| descend(40_000)).await.unwrap(), 40_000);
        let error = planners.run(|| assert_eq!(1, 2)).await.unwrap_err();
        assert_eq!((error.kind().sqlstate(), error.message()), ("XX000", "internal error"));
        assert_eq!(planners.run(|| 7).await.unwrap(), 7);
    }

    /// Gives up on `work` once it has begun, on the only planner.
    async fn give_up<T: Send + 'static>(planners: &Planners, work: impl FnOnce() -> T + Send + 'static) {
        let mut future = Box::pin(planners.run(work));
        assert!(futures::poll!(&mut future).is_pending());
        while !planners.queue.state.lock().jobs.is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }

    #[tokio::test]
    async fn given_up_work_keeps_its_thread_until_it_looks_up_and_later_work_waits() {
        let planners = Planners::new(1, 1).unwrap();
        let (release, blocked) = std::sync::mpsc::channel::<()>();
        give_up(&planners, move || blocked.recv()).await;
        let mut second = Box::pin(planners.run(|| 2));
        assert!(futures::poll!(&mut second).is_pending());
        assert_eq!(planners.run(|| 3).await.unwrap_err().kind().sqlstate(), "53400");
        release.send(()).unwrap();
        assert_eq!(second.await.unwrap(), 2);

        give_up(&planners, || while check_awaited().is_ok() {}).await;
        assert!(planners.run(|| check_awaited().is_ok()).await.unwrap(), "the next work has a caller of its own");
        let runtime = tokio::runtime::Handle::current();
        give_up(&planners, move || runtime.block_on(while_awaited(std::future::pending::<Result<()>>()))).await;
        assert_eq!(planners.run(|| 4).await.unwrap(), 4);
    }
}
