//! Bytes in, bytes out: frames with checked lengths, and a send buffer with back-pressure.
//!
//! A frame's length is compared with its type's bound before a byte of its body is kept. Memory follows the bytes that have come,
//! not the length that was announced. While a statement runs, a bounded amount is read ahead, to notice that the client is gone.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::time::{Instant, timeout, timeout_at};

use super::error::Halt;
use super::frontend::MESSAGE_TYPES;
use super::options::WireOptions;
use crate::error::Error;

/// A connection, encrypted or not.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A connection whose kind does not matter any more.
pub(super) type Stream = Box<dyn Duplex>;

/// Takes a connection apart into its two directions.
pub(super) fn split(stream: Stream, options: &WireOptions) -> (Input, Output) {
    let (reader, writer) = tokio::io::split(stream);
    let input = Input {
        reader,
        buffer: BytesMut::new(),
        gone: false,
        resting: false,
        query_size: options.query_size.as_usize(),
        bind_size: options.bind_size.as_usize(),
        message_timeout: options.message_timeout.0,
    };
    let flush_size = options.flush_size.as_usize();
    (input, Output { writer, buffer: BytesMut::new(), flush_size, write_timeout: options.write_timeout.0 })
}

/// Bytes that may be read ahead while a statement runs.
const READ_AHEAD: usize = 64 << 10;
/// Room made for one read.
const READ_SIZE: usize = 8 << 10;
/// Room made for the first read after a rest.
const RESTING_SIZE: usize = 512;
/// Largest body of messages that hold names only.
const NAME_SIZE: usize = 64 << 10;
/// Room for the name and the types of a Parse, beside its text.
const PARSE_EXTRA: usize = NAME_SIZE + 4 * 65_536;
/// Largest body that is read and thrown away to save the session; beyond it the connection ends.
const DISCARDED_SIZE: usize = 0x3fff_ffff;
/// Largest send buffer that is kept for the next result.
const KEPT_CAPACITY: usize = 1 << 20;

/// What comes from the client.
pub(super) struct Input {
    reader: ReadHalf<Stream>,
    buffer: BytesMut,
    gone: bool,
    /// The buffer was given up, and the next read makes little room.
    resting: bool,
    query_size: usize,
    bind_size: usize,
    message_timeout: Duration,
}

/// A message's type and body.
pub(super) enum Frame {
    /// All of it.
    Whole(u8, Bytes),
    /// It was larger than its type may be, and is thrown away.
    TooLarge {
        /// Its type.
        kind: u8,
        /// Bytes it had.
        length: usize,
        /// Bytes it may have.
        limit: usize,
    },
}

impl Input {
    /// Waits for the first byte of a message. Loses nothing if it is dropped while waiting.
    pub(super) async fn ready(&mut self) -> Result<(), Halt> {
        while self.buffer.is_empty() {
            self.read().await?;
        }
        Ok(())
    }

    /// Whether a whole message has come already.
    pub(super) fn has_message(&self) -> bool {
        let Some(Ok(length)) = self.buffer.get(1..5).map(|bytes| <[u8; 4]>::try_from(bytes).map(u32::from_be_bytes)) else {
            return false;
        };
        usize::try_from(length).is_ok_and(|length| self.buffer.len() > length)
    }

    /// Whether the next message is a Sync that has come already.
    pub(super) fn next_is_sync(&self) -> bool {
        self.buffer.first() == Some(&b'S')
    }

    /// Reads a message; its first byte should be there already ([`Input::ready`]).
    pub(super) async fn message(&mut self) -> Result<Frame, Halt> {
        let (query_size, bind_size) = (self.query_size, self.bind_size);
        let limit_of = |kind| match kind {
            b'Q' => Some(query_size + 1),
            b'P' => Some(query_size + PARSE_EXTRA),
            b'B' | b'F' | b'd' | b'f' => Some(bind_size),
            b'D' | b'E' | b'C' => Some(NAME_SIZE),
            b'H' | b'S' | b'c' | b'X' => Some(0),
            kind => MESSAGE_TYPES.contains(&kind).then_some(0),
        };
        self.frame(limit_of, true).await
    }

    /// Reads the client's next step of a login, of at most `limit` bytes.
    pub(super) async fn password_message(&mut self, limit: usize) -> Result<Bytes, Halt> {
        match self.frame(|kind| (kind == b'p').then_some(limit), false).await? {
            Frame::Whole(_, body) => Ok(body),
            Frame::TooLarge { .. } => Err(Halt::protocol("invalid password packet size")),
        }
    }

    /// Reads a frame. One that is larger than its type may be is thrown away if `spare` says so, else the connection ends.
    async fn frame(&mut self, limit_of: impl Fn(u8) -> Option<usize>, spare: bool) -> Result<Frame, Halt> {
        let deadline = Instant::now() + self.message_timeout;
        self.fill(1, deadline).await?;
        let kind = self.buffer.first().copied().unwrap_or_default();
        let limit = limit_of(kind).ok_or_else(|| Halt::protocol(format!("invalid frontend message type {kind}")))?;
        self.fill(5, deadline).await?;
        let length = self.buffer.get(1..5).and_then(|bytes| bytes.try_into().ok()).map_or(-1, i32::from_be_bytes);
        // The length counts itself.
        let Some(length) = usize::try_from(length).ok().and_then(|length| length.checked_sub(4)) else {
            return Err(Halt::protocol("invalid message length"));
        };
        let deadline = deadline + Duration::from_secs((length >> 20) as u64);
        if length > limit {
            // Nothing to save for messages without a body, and nothing that can be saved when the length is absurd.
            if !spare || limit == 0 || length > DISCARDED_SIZE {
                return Err(Halt::protocol("invalid message length"));
            }
            self.buffer.advance(5);
            self.discard(length, deadline).await?;
            return Ok(Frame::TooLarge { kind, length, limit });
        }
        self.fill(5 + length, deadline).await?;
        self.buffer.advance(5);
        Ok(Frame::Whole(kind, self.buffer.split_to(length).freeze()))
    }

    /// Reads until `length` bytes are in the buffer.
    async fn fill(&mut self, length: usize, deadline: Instant) -> Result<(), Halt> {
        while self.buffer.len() < length {
            timeout_at(deadline, self.read()).await.map_err(|_| Halt::protocol("message was not completed in time"))??;
        }
        Ok(())
    }

    async fn discard(&mut self, mut length: usize, deadline: Instant) -> Result<(), Halt> {
        loop {
            let here = self.buffer.len().min(length);
            self.buffer.advance(here);
            length -= here;
            if length == 0 {
                return Ok(());
            }
            self.fill(1, deadline).await?;
        }
    }

    async fn read(&mut self) -> Result<(), Halt> {
        if self.gone {
            return Err(Halt::Gone);
        }
        self.buffer.reserve(if self.resting { RESTING_SIZE } else { READ_SIZE });
        let length = self.reader.read_buf(&mut self.buffer).await?;
        self.resting = false;
        if length == 0 {
            self.gone = true;
            return Err(Halt::Gone);
        }
        Ok(())
    }

    /// Gives up the buffer if nothing is in it.
    pub(super) fn rest(&mut self) {
        if self.buffer.is_empty() {
            (self.buffer, self.resting) = (BytesMut::new(), true);
        }
    }

    /// Whether the client is known to be gone.
    pub(super) fn is_gone(&self) -> bool {
        self.gone
    }

    /// Returns when the client is gone; until then reads ahead what it sends, within bounds. Loses nothing if it is dropped.
    pub(super) async fn gone(&mut self) {
        while self.buffer.len() < READ_AHEAD {
            if self.read().await.is_err() {
                self.gone = true;
                return;
            }
        }
        std::future::pending().await
    }
}

/// What goes to the client.
pub(super) struct Output {
    writer: WriteHalf<Stream>,
    buffer: BytesMut,
    flush_size: usize,
    write_timeout: Duration,
}

impl Output {
    /// Appends a message.
    pub(super) fn message(&mut self, message: &impl pgwire::messages::Message) -> Result<(), Error> {
        let before = self.buffer.len();
        message.encode(&mut self.buffer).map_err(|error| {
            // The encoder has written the type before it found the message too long.
            self.buffer.truncate(before);
            Error::internal(format!("cannot encode a message: {error}"))
        })
    }

    /// Where encoders append whole messages.
    pub(super) fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// Whether nothing waits to be sent.
    pub(super) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Whether enough has gathered to be sent.
    pub(super) fn is_full(&self) -> bool {
        self.buffer.len() >= self.flush_size
    }

    /// Sends what has gathered, as fast as the client takes it. Loses nothing if it is dropped: the rest stays for the next call.
    pub(super) async fn flush(&mut self) -> Result<(), Halt> {
        while !self.buffer.is_empty() {
            let written = timeout(self.write_timeout, self.writer.write_buf(&mut self.buffer)).await.map_err(|_| Halt::Gone)??;
            if written == 0 {
                return Err(Halt::Gone);
            }
        }
        timeout(self.write_timeout, self.writer.flush()).await.map_err(|_| Halt::Gone)??;
        if self.buffer.capacity() > KEPT_CAPACITY {
            self.buffer = BytesMut::new();
        }
        Ok(())
    }

    /// Gives up the buffer if nothing is in it.
    pub(super) fn rest(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
    }

    /// Sends what has gathered and says goodbye, without waiting for long.
    pub(super) async fn close(&mut self) {
        let goodbye = async {
            if self.flush().await.is_ok() {
                // The peer may have closed first.
                let _ = self.writer.shutdown().await;
            }
        };
        let _ = timeout(Duration::from_secs(5), goodbye).await;
    }
}

#[cfg(test)]
mod tests {
    use pgwire::messages::response::CommandComplete;

    use super::*;

    fn pair() -> (Input, Output, tokio::io::DuplexStream) {
        let (here, there) = tokio::io::duplex(1 << 16);
        let options = WireOptions { query_size: crate::units::ByteSize::kib(1), ..WireOptions::default() };
        let (input, output) = split(Box::new(here), &options);
        (input, output, there)
    }

    async fn frame(bytes: &[u8]) -> Result<Frame, Halt> {
        let (mut input, _output, mut client) = pair();
        client.write_all(bytes).await.unwrap();
        input.message().await
    }

    #[tokio::test]
    async fn lengths_are_checked_before_bodies_are_read() {
        for bytes in
            [&b"Q\x00\x00\x00\x02"[..], b"Q\xff\xff\xff\xff", b"Q\x7f\xff\xff\xff", b"S\x00\x00\x00\x05", b"z\x00\x00\x00\x04"]
        {
            assert!(matches!(frame(bytes).await, Err(Halt::Fatal(_))), "{bytes:?}");
        }
        assert!(matches!(frame(b"Q\x00\x00\x00\x06;\0").await, Ok(Frame::Whole(b'Q', _))));
    }

    #[tokio::test]
    async fn a_message_that_is_too_large_is_thrown_away_and_the_next_one_read() {
        let (mut input, _output, mut client) = pair();
        let mut bytes = vec![b'Q'];
        bytes.extend(2_004_u32.to_be_bytes());
        bytes.extend(vec![b'x'; 2_000]);
        bytes.extend(b"S\x00\x00\x00\x04");
        client.write_all(&bytes).await.unwrap();
        assert!(matches!(input.message().await, Ok(Frame::TooLarge { kind: b'Q', length: 2_000, limit: 1_025 })));
        assert!(matches!(input.message().await, Ok(Frame::Whole(b'S', _))));
    }

    #[tokio::test]
    async fn reading_ahead_keeps_every_byte_and_stops_at_its_bound() {
        let (mut input, _output, mut client) = pair();
        let message = b"S\x00\x00\x00\x04".repeat(10);
        client.write_all(&message).await.unwrap();
        assert!(timeout(Duration::from_millis(20), input.gone()).await.is_err());
        for _ in 0..10 {
            assert!(input.has_message());
            input.message().await.unwrap();
        }
        let writer = async { client.write_all(&vec![0; 4 * READ_AHEAD]).await };
        let _ = timeout(Duration::from_millis(50), async { tokio::join!(writer, input.gone()) }).await;
        assert!(input.buffer.len() <= READ_AHEAD + READ_SIZE, "{}", input.buffer.len());
    }

    #[tokio::test]
    async fn a_rest_loses_nothing() {
        let (mut input, mut output, mut client) = pair();
        input.rest();
        output.rest();
        let long = [&b"Q\x00\x00\x03\x05"[..], &[b'x'; 768], b"\0"].concat();
        client.write_all(&long).await.unwrap();
        input.ready().await.unwrap();
        input.rest();
        assert!(matches!(input.message().await, Ok(Frame::Whole(b'Q', body)) if body.len() == 769));
        output.message(&CommandComplete::new("DO".into())).unwrap();
        output.rest();
        assert!(!output.is_empty());
    }

    #[tokio::test]
    async fn a_message_that_cannot_be_encoded_leaves_nothing_behind() {
        let (_input, mut output, _client) = pair();
        assert!(output.message(&CommandComplete::new("x".repeat(40_000))).is_err());
        assert!(output.is_empty());
    }
}
