//! One client's messages, one after the other.
//!
//! ```text
//!  wait (idle limits, shutdown) ─▶ frame ─▶ simple | extended ─▶ Ok
//!                                              └ error ─▶ ErrorResponse ─▶ simple:   ReadyForQuery
//!                                                                          extended: everything up to Sync is skipped
//! ```
//! A broken message or a panic ends this connection and no other.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use metrics::counter;
use pgwire::messages::response::{NotificationResponse, ReadyForQuery, TransactionStatus as WireStatus};
use pgwire::messages::startup::ParameterStatus;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::backend::BackendSession;
use super::cancel::Registration;
use super::error::{Extent, Halt, error_response, notice_response};
use super::frontend::{Malformed, Message};
use super::interrupt::{Interrupts, shutdown_error, transaction_timeout_error, until};
use super::limits::Resident;
use super::listener::Shared;
use super::transport::{Frame, Input, Output};
use crate::error::{Error, ErrorKind, Result};
use crate::session::channels::Notification;
use crate::session::outcome::TransactionStatus;
use crate::sql::statement::Statement;

/// Silence after which a client counts as idle.
const MOMENT: Duration = Duration::from_secs(1);

/// A client with a session.
pub(super) struct Connection {
    pub(super) session: Box<dyn BackendSession>,
    pub(super) input: Input,
    pub(super) output: Output,
    shared: Arc<Shared>,
    registration: Registration,
    terminate: CancellationToken,
    /// Something failed in the extended protocol: messages up to Sync are skipped.
    skipping: bool,
    /// Statements run since the last Sync.
    pub(super) executed: usize,
    /// The client waits for what has gathered.
    must_flush: bool,
    /// ReadyForQuery was the last word.
    idle: bool,
    /// Given back when the connection is over.
    _resident: Resident,
}

/// Whether there is a next message.
enum Flow {
    Next,
    End,
}

/// What a wait has ended with.
enum Waited {
    Ready,
    Notified,
}

impl Connection {
    pub(super) fn new(
        shared: Arc<Shared>,
        session: Box<dyn BackendSession>,
        input: Input,
        output: Output,
        registration: Registration,
        terminate: CancellationToken,
        resident: Resident,
    ) -> Self {
        Self {
            session,
            input,
            output,
            shared,
            registration,
            terminate,
            skipping: false,
            executed: 0,
            must_flush: false,
            idle: false,
            _resident: resident,
        }
    }

    /// Serves the client until one of the two has enough.
    pub(super) async fn run(mut self) {
        if let Some(error) = self.serve().await
            && self.output.message(&error_response(&error, Extent::Connection, None)).is_err()
        {
            return;
        }
        self.output.close().await;
    }

    async fn serve(&mut self) -> Option<Error> {
        if let Err(error) = self.ready_for_query() {
            return Some(error);
        }
        loop {
            let turn = AssertUnwindSafe(self.turn()).catch_unwind().await;
            match turn {
                Ok(Ok(Flow::Next)) => {}
                Ok(Ok(Flow::End) | Err(Halt::Gone)) => return None,
                Ok(Err(Halt::Fatal(error) | Halt::Failed { error, .. })) => return Some(error),
                Err(panic) => {
                    counter!("lakehold_wire_panics_total").increment(1);
                    return Some(Error::internal(format!("panic: {}", panic_text(panic.as_ref()))));
                }
            }
        }
    }

    async fn turn(&mut self) -> Result<Flow, Halt> {
        let frame = self.next_frame().await?;
        self.step(frame).await
    }

    async fn step(&mut self, frame: Frame) -> Result<Flow, Halt> {
        self.idle = false;
        let kind = match &frame {
            Frame::Whole(kind, _) | Frame::TooLarge { kind, .. } => *kind,
        };
        if self.skipping && !matches!(kind, b'S' | b'X') {
            return Ok(Flow::Next);
        }
        let handled = match frame {
            Frame::TooLarge { kind: b'd' | b'f', .. } => Ok(Flow::Next),
            Frame::TooLarge { length, limit, .. } => Err(too_large(length, limit).into()),
            Frame::Whole(kind, body) => match Message::decode(kind, body) {
                Ok(message) => self.handle(message).await,
                Err(Malformed(message)) => Err(Halt::protocol(message)),
            },
        };
        match handled {
            Err(Halt::Failed { error, context }) => {
                self.recover(kind, &error, context.as_deref()).await?;
                Ok(Flow::Next)
            }
            other => other,
        }
    }

    async fn handle(&mut self, message: Message) -> Result<Flow, Halt> {
        match message {
            // What takes much memory is apart, because most of the time a connection waits for the next message.
            Message::Query { text } => Box::pin(self.simple_query(&text)).await?,
            Message::Parse { name, text, types } => Box::pin(self.parse(&name, &text, &types)).await?,
            Message::Bind(bind) => self.bind(bind)?,
            Message::Describe { target, name } => self.describe(target, &name)?,
            Message::Execute { portal, max_rows } => Box::pin(self.execute(&portal, max_rows)).await?,
            Message::Close { target, name } => self.close(target, &name)?,
            Message::Flush => self.must_flush = true,
            Message::Sync => self.sync().await?,
            Message::FunctionCall => {
                self.check_block(None)?;
                return Err(Error::unsupported("the function call protocol").with_hint("Call the function in a SELECT.").into());
            }
            Message::Copy => {}
            Message::Terminate => return Ok(Flow::End),
        }
        Ok(Flow::Next)
    }

    /// Tells the client about a failed statement, and goes on as the protocol of the message says.
    async fn recover(&mut self, kind: u8, error: &Error, context: Option<&str>) -> Result<(), Halt> {
        self.session.fail_transaction();
        self.send_notices()?;
        self.output.message(&error_response(error, Extent::Statement, context))?;
        self.must_flush = true;
        match kind {
            b'Q' | b'F' => {
                self.end_implicit(false).await?;
                self.ready_for_query()?;
            }
            // The end of the implicit transaction itself failed.
            b'S' => self.ready_for_query()?,
            _ => self.skipping = true,
        }
        Ok(())
    }

    /// Sync: the end of an implicit transaction and of all skipping.
    async fn sync(&mut self) -> Result<(), Halt> {
        let committed = !std::mem::take(&mut self.skipping);
        self.end_implicit(committed).await?;
        Ok(self.ready_for_query()?)
    }

    /// Ends the implicit transaction, if that is what is open.
    pub(super) async fn end_implicit(&mut self, committed: bool) -> Result<()> {
        self.executed = 0;
        self.session.end_implicit(committed).await
    }

    pub(super) fn ready_for_query(&mut self) -> Result<()> {
        self.registration.idle();
        self.send_notices()?;
        for (name, value) in self.session.take_parameter_changes() {
            self.output.message(&ParameterStatus::new(name, value))?;
        }
        self.send_notifications()?;
        let status = match self.session.transaction_status() {
            TransactionStatus::Idle => WireStatus::Idle,
            TransactionStatus::InBlock => WireStatus::Transaction,
            TransactionStatus::Failed => WireStatus::Error,
        };
        self.output.message(&ReadyForQuery::new(status))?;
        self.must_flush = true;
        self.idle = true;
        Ok(())
    }

    pub(super) fn send_notices(&mut self) -> Result<()> {
        for notice in self.session.take_notices() {
            self.output.message(&notice_response(&notice))?;
        }
        Ok(())
    }

    fn send_notifications(&mut self) -> Result<()> {
        for Notification { pid, channel, payload } in self.session.take_notifications() {
            self.output.message(&NotificationResponse::new(pid, channel, payload))?;
        }
        Ok(())
    }

    /// What may stop the statement that begins now.
    pub(super) fn begin(&mut self, several: bool) -> Interrupts {
        let token = self.session.cancel_token();
        self.registration.running(token.clone());
        self.session.begin_implicit(several);
        let limit = self.session.setting("statement_timeout").as_deref().and_then(timeout_setting);
        let opened = self.session.transaction_opened().unwrap_or_else(Instant::now);
        Interrupts::new(token, self.shared.kill.clone(), self.terminate.clone(), limit, self.transaction_end(opened))
    }

    /// When a transaction that began at `opened` has lasted for too long.
    fn transaction_end(&self, opened: Instant) -> Option<Instant> {
        let limit = self.session.setting("transaction_timeout").as_deref().and_then(timeout_setting)?;
        opened.checked_add(limit)
    }

    /// Refuses a statement in a failed block, unless it ends the block.
    pub(super) fn check_block(&self, statement: Option<&Statement>) -> Result<()> {
        let ends_failure = matches!(statement, Some(Statement::Transaction(statement)) if statement.ends_failure());
        if ends_failure || self.session.transaction_status() != TransactionStatus::Failed {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::InFailedTransaction,
            "current transaction is aborted, commands ignored until end of transaction block",
        ))
    }

    async fn next_frame(&mut self) -> Result<Frame, Halt> {
        if !self.input.has_message() {
            if std::mem::take(&mut self.must_flush) || self.output.is_full() {
                self.output.flush().await?;
            }
            self.wait().await?;
        } else if self.output.is_full() {
            self.output.flush().await?;
        }
        tokio::select! {
            frame = self.input.message() => frame,
            () = self.shared.kill.cancelled() => Err(Halt::Fatal(shutdown_error())),
        }
    }

    /// Waits for the next message to begin. A client that only listens is told at once.
    async fn wait(&mut self) -> Result<(), Halt> {
        while let Waited::Notified = self.wait_once().await? {
            self.send_notifications()?;
            self.output.flush().await?;
        }
        Ok(())
    }

    async fn wait_once(&mut self) -> Result<Waited, Halt> {
        let limit = self.idle_limit();
        let listens = self.idle && self.session.transaction_status() == TransactionStatus::Idle;
        let queue = self.session.notifications();
        let notified = async { if listens { queue.arrived().await } else { std::future::pending().await } };
        let too_long = async {
            match limit {
                Some((limit, _)) => sleep(limit).await,
                None => std::future::pending().await,
            }
        };
        let transaction_end = self.session.transaction_opened().and_then(|opened| self.transaction_end(opened));
        let rest = || {
            self.session.rest();
        };
        tokio::select! {
            biased;
            () = self.shared.shutdown.cancelled() => Err(Halt::Fatal(shutdown_error())),
            () = self.terminate.cancelled() => Err(Halt::Fatal(shutdown_error())),
            ready = first_byte(&mut self.input, &mut self.output, rest) => ready.map(|()| Waited::Ready),
            () = notified => Ok(Waited::Notified),
            () = until(transaction_end) => Err(Halt::Fatal(transaction_timeout_error())),
            () = too_long => Err(Halt::Fatal(limit.map_or_else(shutdown_error, |(_, error)| error()))),
        }
    }

    /// How long the client may be silent, and what it reads when it was silent for longer.
    fn idle_limit(&self) -> Option<(Duration, fn() -> Error)> {
        if !self.idle {
            return None;
        }
        if self.session.transaction_status() == TransactionStatus::Idle {
            let limit = self.session.setting("idle_session_timeout").as_deref().and_then(timeout_setting)?;
            return Some((limit, || Error::new(ErrorKind::IdleTimeout, "terminating connection due to idle-session timeout")));
        }
        let limit = self.session.setting("idle_in_transaction_session_timeout").as_deref().and_then(timeout_setting)?;
        Some((limit, || {
            Error::new(ErrorKind::IdleInTransaction, "terminating connection due to idle-in-transaction session timeout")
        }))
    }
}

/// Waits for the first byte of a message. Who is silent for a moment gives up its buffers, so that many idle clients cost little and busy
/// ones allocate nothing.
async fn first_byte(input: &mut Input, output: &mut Output, rest: impl FnOnce()) -> Result<(), Halt> {
    if let Ok(ready) = timeout(MOMENT, input.ready()).await {
        return ready;
    }
    input.rest();
    output.rest();
    rest();
    input.ready().await
}

fn too_large(length: usize, limit: usize) -> Error {
    Error::new(ErrorKind::ProgramLimit, format!("message of {length} bytes is too large"))
        .with_detail(format!("At most {limit} bytes are accepted."))
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("unknown")
}

/// Reads a time setting as PostgreSQL writes it: `5s`, `200ms`, `5000` in milliseconds. `None` for 0, which means no limit.
fn timeout_setting(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let micros_of_unit: u64 = match unit.trim() {
        "us" => 1,
        "" | "ms" => 1_000,
        "s" => 1_000_000,
        "min" => 60_000_000,
        "h" => 3_600_000_000,
        "d" => 86_400_000_000,
        _ => return None,
    };
    number.checked_mul(micros_of_unit).filter(|micros| *micros > 0).map(Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_settings_have_units_and_zero_is_no_limit() {
        for (text, expected) in [
            ("0", None),
            ("0ms", None),
            ("250", Some(Duration::from_millis(250))),
            ("5s", Some(Duration::from_secs(5))),
            ("2 min", Some(Duration::from_secs(120))),
            ("1d", Some(Duration::from_secs(86_400))),
            ("x", None),
        ] {
            assert_eq!(timeout_setting(text), expected, "{text}");
        }
    }
}
