//! PostgreSQL's binary format: a header, then rows of fields with lengths, then -1.

use std::ops::Range;

use crate::error::{Error, ErrorKind};

const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";
/// Signature, flags, length of the extension.
const HEADER_LENGTH: usize = 19;

/// Bytes of binary data, cut into rows.
pub(super) struct BinaryRows {
    limit: usize,
    buffer: Vec<u8>,
    start: usize,
    state: State,
    fields: Vec<Option<Range<usize>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Header,
    /// So many bytes of the header's extension are still to be skipped.
    Extension(usize),
    Rows,
    /// -1 was read.
    Over,
}

/// An error, and the column in which it stands.
type Failure = (Error, Option<usize>);

fn bad(message: impl Into<String>) -> Failure {
    (Error::new(ErrorKind::BadCopyFormat, message), None)
}

impl BinaryRows {
    pub(super) fn new(limit: usize) -> Self {
        BinaryRows { limit, buffer: vec![], start: 0, state: State::Header, fields: vec![] }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// Whether the header has been read.
    pub(super) fn has_begun(&self) -> bool {
        matches!(self.state, State::Rows | State::Over)
    }

    /// The fields of the row that was read last: NULL, or where it stands.
    pub(super) fn fields(&self) -> &[Option<Range<usize>>] {
        &self.fields
    }

    pub(super) fn bytes(&self, range: &Range<usize>) -> &[u8] {
        self.buffer.get(range.clone()).unwrap_or_default()
    }

    /// The next row of `columns` fields; `None` if that takes more bytes, or there is none. `ended`: no more bytes come.
    pub(super) fn next(&mut self, columns: usize, ended: bool) -> Result<Option<Range<usize>>, Failure> {
        loop {
            match self.state {
                State::Header => {
                    if !self.header(ended)? {
                        return Ok(None);
                    }
                }
                State::Extension(length) => {
                    let here = length.min(self.buffer.len() - self.start);
                    self.start += here;
                    if here < length && ended {
                        return Err(bad("invalid COPY file header (wrong length)"));
                    }
                    self.state = if here < length { State::Extension(length - here) } else { State::Rows };
                    if here < length {
                        return Ok(None);
                    }
                }
                State::Rows => return self.row(columns, ended),
                State::Over => {
                    let is_clean = self.start == self.buffer.len();
                    return if is_clean { Ok(None) } else { Err(bad("received copy data after EOF marker")) };
                }
            }
        }
    }

    /// Reads the header; false if it is not complete.
    fn header(&mut self, ended: bool) -> Result<bool, Failure> {
        let rest = self.buffer.get(self.start..).unwrap_or_default();
        if rest.len() < HEADER_LENGTH && !ended {
            return Ok(false);
        }
        if rest.get(..SIGNATURE.len()) != Some(SIGNATURE.as_slice()) {
            return Err(bad("COPY file signature not recognized"));
        }
        let number = |at: usize| rest.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
        let flags = number(11).ok_or_else(|| bad("invalid COPY file header (missing flags)"))?;
        if flags & (1 << 16) != 0 {
            return Err(bad("invalid COPY file header (WITH OIDS)"));
        }
        if flags >> 17 != 0 {
            return Err(bad("unrecognized critical flags in COPY file header"));
        }
        let length = number(15).and_then(|length| i32::try_from(length).ok()).and_then(|length| usize::try_from(length).ok());
        let length = length.ok_or_else(|| bad("invalid COPY file header (missing length)"))?;
        self.start += HEADER_LENGTH;
        self.state = State::Extension(length);
        Ok(true)
    }

    fn row(&mut self, columns: usize, ended: bool) -> Result<Option<Range<usize>>, Failure> {
        let mut at = self.start;
        // An end without the trailer is an end.
        let Some(count) = self.number::<2>(&mut at).map(i16::from_be_bytes) else { return Ok(None) };
        if count == -1 {
            self.start = at;
            self.state = State::Over;
            return self.next(columns, ended);
        }
        if usize::try_from(count) != Ok(columns) {
            return Err(bad(format!("row field count is {count}, expected {columns}")));
        }
        self.fields.clear();
        for column in 0..columns {
            let at_column = |(error, _): Failure| (error, Some(column));
            let incomplete = || if ended { Err(at_column(bad("unexpected EOF in COPY data"))) } else { Ok(None) };
            let Some(length) = self.number::<4>(&mut at).map(i32::from_be_bytes) else { return incomplete() };
            if length == -1 {
                self.fields.push(None);
                continue;
            }
            let Ok(length) = usize::try_from(length) else { return Err(at_column(bad("invalid field size"))) };
            if at - self.start + length > self.limit {
                let error = Error::new(ErrorKind::ProgramLimit, "a row of COPY is too long")
                    .with_detail(format!("At most {} bytes are accepted.", self.limit));
                return Err((error, Some(column)));
            }
            if self.buffer.len() - at < length {
                return incomplete();
            }
            self.fields.push(Some(at..at + length));
            at += length;
        }
        let row = self.start..at;
        self.start = at;
        Ok(Some(row))
    }

    fn number<const N: usize>(&self, at: &mut usize) -> Option<[u8; N]> {
        let bytes = self.buffer.get(*at..*at + N)?.try_into().ok()?;
        *at += N;
        Some(bytes)
    }
}
