//! Results on their way from the workers to the client.
//!
//! ```text
//!   worker: drive ── a few batches of room ──▶ ResultStream (polled by the connection)
//!              ▲                                   │ statement_timeout, cancel request, watchdog, drop
//!              └────────────── aborted ◀───────────┘
//! ```
//! The connection's side watches the clock and the tokens, because a worker can be busy inside a batch for a while: the client reads its error
//! at once, the worker stops at the end of its turn (`turn`). A slow reader blocks its own query and nobody else's: after a second it lends its slot.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{FieldRef, SchemaRef};
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{Stream, StreamExt};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::admission::{Admission, Slot};
use super::turn::Statement;
use crate::error::{Error, ErrorKind, Result};

/// Batches that may wait for a slow reader.
pub(super) const ROOM: usize = 3;

/// A reader that takes nothing for this long lends its slot to others.
const PATIENCE: Duration = Duration::from_secs(1);

/// What may end a statement before its time.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    /// User request: CancelRequest, disconnect, shutdown.
    pub(super) cancel: CancellationToken,
    /// The memory watchdog.
    pub(super) ended: CancellationToken,
    /// statement_timeout.
    pub(super) deadline: Option<tokio::time::Instant>,
}

impl Limits {
    pub(super) fn new(cancel: CancellationToken, deadline: Option<tokio::time::Instant>) -> Self {
        Self { cancel, ended: CancellationToken::new(), deadline }
    }

    /// Runs `future` until it is done or one of the limits is reached.
    pub(super) async fn bound<T>(&self, future: impl Future<Output = Result<T>>) -> Result<T> {
        let timeout = async {
            match self.deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => futures::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(cancelled()),
            () = self.ended.cancelled() => Err(evicted()),
            () = timeout => Err(timed_out()),
            outcome = future => outcome,
        }
    }
}

pub(super) fn cancelled() -> Error {
    Error::new(ErrorKind::Cancelled, "canceling statement due to user request")
}

pub(super) fn timed_out() -> Error {
    Error::new(ErrorKind::Cancelled, "canceling statement due to statement timeout")
}

fn evicted() -> Error {
    Error::new(ErrorKind::OutOfMemory, "out of memory")
        .with_detail("The server ended the statement that held most memory.")
        .with_hint("The statement needs more memory than it may use; read fewer rows or columns.")
}

/// The worker's end: hands over batches and lends its slot while the reader is slow.
pub(super) struct Outlet {
    sender: mpsc::Sender<Result<RecordBatch>>,
    admission: Arc<Admission>,
    slot: Option<Slot>,
}

impl Outlet {
    pub(super) fn new(sender: mpsc::Sender<Result<RecordBatch>>, admission: Arc<Admission>, slot: Slot) -> Self {
        Self { sender, admission, slot: Some(slot) }
    }

    /// False when the reader is gone.
    pub(super) async fn send(&mut self, item: Result<RecordBatch>) -> bool {
        match self.sender.send_timeout(item, PATIENCE).await {
            Ok(()) => true,
            Err(mpsc::error::SendTimeoutError::Closed(_)) => false,
            Err(mpsc::error::SendTimeoutError::Timeout(item)) => {
                self.slot = None;
                if self.sender.send(item).await.is_err() {
                    return false;
                }
                self.return_to_slot().await
            }
        }
    }

    async fn return_to_slot(&mut self) -> bool {
        match self.admission.enter().await {
            Ok(slot) => {
                self.slot = Some(slot);
                true
            }
            Err(error) => {
                // The reader learns why; if it is gone, nobody needs to.
                let _ = self.sender.send(Err(error)).await;
                false
            }
        }
    }
}

/// The rows of a query. Dropping it ends the query.
pub struct ResultStream {
    schema: SchemaRef,
    columns: Vec<FieldRef>,
    source: Source,
    done: bool,
}

enum Source {
    Running(Box<Running>),
    Ready(std::vec::IntoIter<RecordBatch>),
}

struct Running {
    receiver: mpsc::Receiver<Result<RecordBatch>>,
    _worker: Worker,
    cancel: Pin<Box<WaitForCancellationFutureOwned>>,
    ended: Pin<Box<WaitForCancellationFutureOwned>>,
    timeout: Option<Pin<Box<tokio::time::Sleep>>>,
}

/// A statement's work; dropping it ends the work.
pub(super) struct Worker {
    task: AbortHandle,
    statement: Arc<Statement>,
}

impl Worker {
    pub(super) fn new(task: AbortHandle, statement: Arc<Statement>) -> Self {
        Self { task, statement }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.statement.give_up();
        self.task.abort();
    }
}

impl ResultStream {
    pub(super) fn running(
        schema: SchemaRef,
        columns: Vec<FieldRef>,
        receiver: mpsc::Receiver<Result<RecordBatch>>,
        worker: Worker,
        limits: Limits,
    ) -> Self {
        let running = Running {
            receiver,
            _worker: worker,
            timeout: limits.deadline.map(|deadline| Box::pin(tokio::time::sleep_until(deadline))),
            cancel: Box::pin(limits.cancel.cancelled_owned()),
            ended: Box::pin(limits.ended.cancelled_owned()),
        };
        Self { schema, columns, source: Source::Running(Box::new(running)), done: false }
    }

    /// Rows that are there already: constants, EXPLAIN.
    pub fn ready(schema: SchemaRef, columns: Vec<FieldRef>, batches: Vec<RecordBatch>) -> Self {
        Self { schema, columns, source: Source::Ready(batches.into_iter()), done: false }
    }

    /// Arrow schema of the batches. Names and tags are those of the plan; [`ResultStream::columns`] has what clients read.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Names and SQL types as clients read them, in the order of the batches' columns.
    pub fn columns(&self) -> &[FieldRef] {
        &self.columns
    }

    /// The same rows as input of a write. Errors travel as they are and come out of the write again.
    pub fn into_input(self) -> SendableRecordBatchStream {
        let schema = self.schema();
        let batches = self.map(|batch| batch.map_err(|error| DataFusionError::External(Box::new(error))));
        Box::pin(RecordBatchStreamAdapter::new(schema, batches))
    }

    /// All batches at once, for results that are known to be small.
    ///
    /// # Errors
    /// What the query fails with.
    pub async fn collect_all(mut self) -> Result<Vec<RecordBatch>> {
        let mut batches = Vec::new();
        while let Some(batch) = self.next().await {
            batches.push(batch?);
        }
        Ok(batches)
    }
}

impl std::fmt::Debug for ResultStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResultStream").field("columns", &self.columns.len()).field("done", &self.done).finish_non_exhaustive()
    }
}

impl Running {
    fn poll_limits(&mut self, context: &mut Context<'_>) -> Option<Error> {
        if self.cancel.as_mut().poll(context).is_ready() {
            return Some(cancelled());
        }
        if self.ended.as_mut().poll(context).is_ready() {
            return Some(evicted());
        }
        let timeout = self.timeout.as_mut()?;
        timeout.as_mut().poll(context).is_ready().then(timed_out)
    }
}

impl Stream for ResultStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.done {
            return Poll::Ready(None);
        }
        let item = match &mut self.source {
            Source::Ready(batches) => Poll::Ready(batches.next().map(Ok)),
            Source::Running(running) => match running.poll_limits(context) {
                Some(error) => Poll::Ready(Some(Err(error))),
                None => running.receiver.poll_recv(context),
            },
        };
        if matches!(item, Poll::Ready(None | Some(Err(_)))) {
            self.done = true;
            self.source = Source::Ready(Vec::new().into_iter());
        }
        item
    }
}
