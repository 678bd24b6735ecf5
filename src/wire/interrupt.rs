//! What stops a statement: its client asks, its client is gone, its time is over, the connection or the server ends.
//!
//! A statement is never dropped in the middle of its work: its token is cancelled and it is waited for. Rows that are only being
//! read are dropped at once.

use std::pin::pin;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::error::Halt;
use super::transport::Input;
use crate::error::{Error, ErrorKind, Result};

/// Why a statement was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// Somebody asked for it.
    Request,
    /// `statement_timeout`
    Timeout,
    /// `transaction_timeout`
    TransactionTimeout,
    /// The server or an administrator ends the connection.
    Shutdown,
    /// The client is gone.
    Gone,
}

impl Cause {
    fn halt(self) -> Halt {
        match self {
            Cause::Request => Error::new(ErrorKind::Cancelled, "canceling statement due to user request").into(),
            Cause::Timeout => Error::new(ErrorKind::Cancelled, "canceling statement due to statement timeout").into(),
            Cause::TransactionTimeout => Halt::Fatal(transaction_timeout_error()),
            Cause::Shutdown => Halt::Fatal(shutdown_error()),
            Cause::Gone => Halt::Gone,
        }
    }
}

/// The connection ends though the client did nothing wrong.
pub(super) fn shutdown_error() -> Error {
    Error::new(ErrorKind::AdminShutdown, "terminating connection due to administrator command")
}

/// The connection ends because its transaction has lasted for too long.
pub(super) fn transaction_timeout_error() -> Error {
    Error::new(ErrorKind::TransactionTimeout, "terminating connection due to transaction timeout")
}

/// Waits for a moment, if there is one.
pub(super) async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// Everything that may stop one statement.
pub(super) struct Interrupts {
    token: CancellationToken,
    server: CancellationToken,
    connection: CancellationToken,
    deadline: Option<Instant>,
    transaction_end: Option<Instant>,
    cause: Option<Cause>,
}

impl Interrupts {
    /// `token` is the statement's own; `server`, `connection` and `transaction_end` end the connection as well.
    pub(super) fn new(
        token: CancellationToken,
        server: CancellationToken,
        connection: CancellationToken,
        limit: Option<Duration>,
        transaction_end: Option<Instant>,
    ) -> Self {
        let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
        Self { token, server, connection, deadline, transaction_end, cause: None }
    }

    /// Waits until something stops the statement, and cancels its token. `gone` ends when the client is gone.
    async fn raised(&mut self, gone: impl Future<Output = ()>) -> Cause {
        if let Some(cause) = self.cause {
            return cause;
        }
        let cause = tokio::select! {
            biased;
            () = self.token.cancelled() => Cause::Request,
            () = self.server.cancelled() => Cause::Shutdown,
            () = self.connection.cancelled() => Cause::Shutdown,
            () = until(self.deadline) => Cause::Timeout,
            () = until(self.transaction_end) => Cause::TransactionTimeout,
            () = gone => Cause::Gone,
        };
        self.cause = Some(cause);
        self.token.cancel();
        cause
    }

    /// Runs `work` to its end, telling it to stop if need be.
    pub(super) async fn supervise<T>(&mut self, input: &mut Input, work: impl Future<Output = Result<T>>) -> Result<T, Halt> {
        if let Some(cause) = self.at_once(input) {
            return Err(cause.halt());
        }
        let mut work = pin!(work);
        let result = tokio::select! {
            biased;
            result = &mut work => result,
            _ = self.raised(input.gone()) => work.await,
        };
        match self.cause {
            // Nobody is there to read it, and nobody wants what comes after it.
            Some(Cause::Gone) => Err(Halt::Gone),
            _ => self.settle(result),
        }
    }

    /// What stops the statement before it has begun.
    fn at_once(&self, input: &Input) -> Option<Cause> {
        if input.is_gone() {
            return Some(Cause::Gone);
        }
        (self.server.is_cancelled() || self.connection.is_cancelled()).then_some(Cause::Shutdown)
    }

    /// Waits for `next` and drops it if the statement is stopped.
    pub(super) async fn race<T>(&mut self, input: &mut Input, next: impl Future<Output = Result<T, Halt>>) -> Result<T, Halt> {
        self.race_with(input.gone(), next).await
    }

    /// As [`Interrupts::race`], where `next` itself reads from the client and so notices that it is gone.
    pub(super) async fn race_reading<T>(&mut self, next: impl Future<Output = Result<T, Halt>>) -> Result<T, Halt> {
        self.race_with(std::future::pending(), next).await
    }

    async fn race_with<T>(
        &mut self,
        gone: impl Future<Output = ()>,
        next: impl Future<Output = Result<T, Halt>>,
    ) -> Result<T, Halt> {
        tokio::select! {
            biased;
            cause = self.raised(gone) => Err(cause.halt()),
            result = next => match result {
                Err(Halt::Failed { error, .. }) => self.settle(Err(error)),
                other => other,
            },
        }
    }

    /// Says why, where a result only says that the statement was stopped.
    fn settle<T>(&self, result: Result<T>) -> Result<T, Halt> {
        result.map_err(|error| match self.cause {
            _ if error.kind() != ErrorKind::Cancelled => error.into(),
            Some(cause) => cause.halt(),
            // The work has noticed before we have.
            None if self.token.is_cancelled() => Cause::Request.halt(),
            None => error.into(),
        })
    }
}
