//! COPY FROM STDIN: the client sends data until it says that it is done.
//!
//! ```text
//!  CopyInResponse ─▶ CopyData* ─▶ decode ─▶ batches ─▶ channel of one ─▶ load: files ─┐
//!                    CopyDone ─────────────────────────▶ end ─────────────────────────┴▶ one commit ─▶ COPY n
//! ```
//! Decoding and writing run side by side, and the client is read only as fast as batches are taken. Until the end has gone through the
//! channel nothing can be committed: a failure, a cancellation or a client that is gone drops the load, and its files with it.

use datafusion::arrow::array::RecordBatch;
use futures::StreamExt;
use pgwire::messages::copy::CopyInResponse;
use tokio::sync::mpsc;

use super::backend::BackendSession;
use super::connection::Connection;
use super::decode::{CopyDecoder, Misread};
use super::error::{Extent, Halt, error_response, notice_response};
use super::frontend::{Malformed, Message};
use super::interrupt::Interrupts;
use super::transport::{Frame, Input, Output};
use crate::command::{CopyRows, CopyTarget};
use crate::error::{Error, ErrorKind};
use crate::session::outcome::Notice;
use crate::sql::statement::CopyFormat;

/// Most bytes that one row may have: as much as a message.
const ROW_LIMIT: usize = 64 << 20;

impl From<Misread> for Halt {
    fn from(Misread { error, context }: Misread) -> Self {
        Halt::Failed { error, context }
    }
}

impl Connection {
    /// Receives the rows of COPY FROM STDIN and writes them. Returns how many.
    pub(super) async fn receive_copy(&mut self, target: CopyTarget, interrupts: &mut Interrupts) -> Result<u64, Halt> {
        let settings = self.form_for(std::iter::empty());
        let decoder = CopyDecoder::new(&target, &settings, ROW_LIMIT)?;
        let format: i8 = if target.options.form.format == CopyFormat::Binary { 1 } else { 0 };
        let count = i16::try_from(target.columns.len()).unwrap_or(i16::MAX);
        self.output.message(&CopyInResponse::new(format, count, vec![i16::from(format); target.columns.len()]))?;
        let (sender, receiver) = mpsc::channel(1);
        let mut load = (target.load)(rows_of(receiver));
        let mut feed = Feed {
            input: &mut self.input,
            output: &mut self.output,
            session: self.session.as_mut(),
            interrupts: &mut *interrupts,
            decoder,
            sender,
        };
        let early = tokio::select! {
            biased;
            fed = feed.run() => {
                fed?;
                None
            }
            // It has not seen the end of its rows, so it has failed.
            loaded = &mut load => Some(loaded),
        };
        let summary = feed.decoder.summary();
        let rows = match early {
            Some(loaded) => loaded?,
            None => interrupts.supervise(&mut self.input, load).await?,
        };
        summary.into_iter().for_each(|notice| self.session.notify(notice));
        Ok(rows)
    }
}

/// What a channel brings: rows, and `None` when they are all there. A channel that closes before is a failure, never an end.
fn rows_of(receiver: mpsc::Receiver<Option<RecordBatch>>) -> CopyRows {
    futures::stream::unfold(Some(receiver), |receiver| async {
        let mut receiver = receiver?;
        match receiver.recv().await {
            Some(Some(batch)) => Some((Ok(batch), Some(receiver))),
            Some(None) => None,
            None => Some((Err(Error::new(ErrorKind::Cancelled, "COPY from stdin ended early")), None)),
        }
    })
    .boxed()
}

/// From the client to the load.
struct Feed<'c> {
    input: &'c mut Input,
    output: &'c mut Output,
    session: &'c mut dyn BackendSession,
    interrupts: &'c mut Interrupts,
    decoder: CopyDecoder,
    sender: mpsc::Sender<Option<RecordBatch>>,
}

impl Feed<'_> {
    /// Reads messages up to CopyDone.
    async fn run(&mut self) -> Result<(), Halt> {
        self.interrupts.race_reading(self.output.flush()).await?;
        loop {
            self.interrupts.race_reading(self.input.ready()).await?;
            let (kind, body) = match self.input.message().await? {
                Frame::Whole(kind, body) => (kind, body),
                Frame::TooLarge { length, limit, .. } => {
                    let error = Error::new(ErrorKind::ProgramLimit, format!("message of {length} bytes is too large"))
                        .with_detail(format!("At most {limit} bytes are accepted."));
                    return Err(self.failed(error));
                }
            };
            match kind {
                b'd' => {
                    self.decoder.push(&body);
                    drop(body);
                    self.pass_on().await?;
                }
                b'c' => {
                    self.decoder.end();
                    self.pass_on().await?;
                    return self.send(None).await;
                }
                b'f' => {
                    let reason = Message::copy_fail(body).map_err(|Malformed(message)| Halt::protocol(message))?;
                    let message = format!("COPY from stdin failed: {}", String::from_utf8_lossy(&reason));
                    return Err(self.failed(Error::new(ErrorKind::Cancelled, message)));
                }
                // Drivers of the extended protocol send Sync right behind Execute.
                b'H' | b'S' => {}
                other => return Err(self.out_of_step(other)),
            }
        }
    }

    /// Decodes what there is and passes on what is complete.
    async fn pass_on(&mut self) -> Result<(), Halt> {
        loop {
            let next = self.decoder.next();
            self.send_notices()?;
            match next? {
                Some(batch) => self.send(Some(batch)).await?,
                None => return Ok(()),
            }
        }
    }

    async fn send(&mut self, rows: Option<RecordBatch>) -> Result<(), Halt> {
        let sender = &self.sender;
        let sent = async {
            match sender.send(rows).await {
                Ok(()) => Ok(()),
                // The load has failed, and says why.
                Err(_) => std::future::pending().await,
            }
        };
        self.interrupts.race_reading(sent).await
    }

    fn send_notices(&mut self) -> Result<(), Error> {
        self.decoder.take_notices().into_iter().for_each(|notice: Notice| self.session.notify(notice));
        self.session.take_notices().iter().try_for_each(|notice| self.output.message(&notice_response(notice)))
    }

    /// An error that is not in the data.
    fn failed(&self, error: Error) -> Halt {
        Halt::Failed { error, context: self.decoder.context() }
    }

    /// A message that has no place here: there is no telling what the client takes the next ones for.
    fn out_of_step(&mut self, kind: u8) -> Halt {
        let message = format!("unexpected message type 0x{kind:02X} during COPY from stdin");
        let error = Error::new(ErrorKind::ProtocolViolation, message);
        let context = self.decoder.context();
        if self.output.message(&error_response(&error, Extent::Statement, context.as_deref())).is_err() {
            return Halt::Gone;
        }
        Halt::protocol("terminating connection because protocol synchronization was lost")
    }
}
