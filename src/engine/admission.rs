//! A turn for each query: slots, a bounded queue before them, a longest wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{Error, ErrorKind, Result};

/// Slots and the queue before them, first come first served.
#[derive(Debug)]
pub(super) struct Admission {
    slots: Arc<Semaphore>,
    waiting: AtomicUsize,
    queue_length: usize,
    queue_timeout: Duration,
}

/// A slot; dropping it lets the next query in.
#[derive(Debug)]
pub(super) struct Slot {
    _permit: OwnedSemaphorePermit,
}

/// A place in the queue; left when the wait ends in whatever way, cancellation included.
struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Admission {
    pub(super) fn new(slots: usize, queue_length: usize, queue_timeout: Duration) -> Arc<Self> {
        Arc::new(Self { slots: Arc::new(Semaphore::new(slots)), waiting: AtomicUsize::new(0), queue_length, queue_timeout })
    }

    /// Queries that wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Waits for a slot. Dropping the future leaves the queue.
    ///
    /// # Errors
    /// [`ErrorKind::LimitExceeded`] when the queue is full or the wait took too long.
    pub(super) async fn enter(&self) -> Result<Slot> {
        if let Ok(permit) = Arc::clone(&self.slots).try_acquire_owned() {
            return Ok(Slot { _permit: permit });
        }
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let _place = Place(&self.waiting);
        if before >= self.queue_length {
            return Err(Error::new(ErrorKind::LimitExceeded, "too many queries are waiting")
                .with_detail(format!("{before} queries wait for their turn."))
                .with_hint("Try again later."));
        }
        match tokio::time::timeout(self.queue_timeout, Arc::clone(&self.slots).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Slot { _permit: permit }),
            Ok(Err(_)) => Err(Error::new(ErrorKind::AdminShutdown, "terminating connection due to administrator command")),
            Err(_) => Err(Error::new(ErrorKind::LimitExceeded, "canceling statement because no query slot became free in time")
                .with_hint("Try again later.")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_queue_refuses_and_a_left_place_is_free_again() {
        let admission = Admission::new(1, 1, Duration::from_secs(60));
        let slot = admission.enter().await.unwrap();
        let waiting = Box::pin(admission.enter());
        let mut waiting = Some(waiting);
        assert!(futures::poll!(waiting.as_mut().unwrap()).is_pending());
        assert_eq!(admission.enter().await.unwrap_err().kind().sqlstate(), "53400");
        waiting = None;
        assert!(waiting.is_none());
        assert_eq!(admission.waiting(), 0);
        let mut next = Box::pin(admission.enter());
        assert!(futures::poll!(&mut next).is_pending());
        drop(slot);
        next.await.unwrap();
    }

    #[tokio::test]
    async fn a_wait_ends_after_the_queue_timeout() {
        let admission = Admission::new(1, 5, Duration::from_millis(30));
        let _slot = admission.enter().await.unwrap();
        assert_eq!(admission.enter().await.unwrap_err().kind().sqlstate(), "53400");
    }
}
