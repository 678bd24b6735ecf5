//! Where lines end.
//!
//! The scanner remembers where it stopped and in which state, so that a line may be spread over any number of messages without being
//! looked at twice.

use std::ops::Range;

use crate::error::{Error, ErrorKind, Result};
use crate::sql::statement::{CopyForm, CopyFormat};

/// Bytes of a column's data, cut into lines.
pub(super) struct Lines {
    is_csv: bool,
    quote: u8,
    /// ESCAPE, unless it is the quote itself.
    escape: Option<u8>,
    /// Bytes that the scanner must look at.
    special: [bool; 256],
    limit: usize,
    buffer: Vec<u8>,
    /// Where the line begins.
    start: usize,
    /// How far it is scanned.
    at: usize,
    in_quote: bool,
    /// The byte before is an escape that may protect a quote.
    escaping: bool,
    /// Line ends inside quotes.
    breaks: u64,
    end_of_line: EndOfLine,
    /// `\.` was read: what follows means nothing.
    over: bool,
}

/// How the first line ended, and so all must.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EndOfLine {
    Unknown,
    Newline,
    Return,
    ReturnNewline,
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A line, without its end, and the number of lines that it is spread over beside the first.
    Line { range: Range<usize>, breaks: u64 },
    /// The line is not complete.
    More,
    /// There are no more lines.
    End,
}

/// What a special byte turned out to be.
enum Found {
    /// A part of the line, this many bytes.
    Data(usize),
    /// The end of the line, this many bytes.
    LineEnd(usize),
    /// `\.` with the end of its line: the end of the data.
    DataEnd,
    /// Only the next byte tells.
    Unclear,
}

impl Lines {
    pub(super) fn new(form: &CopyForm, limit: usize) -> Self {
        let is_csv = form.format == CopyFormat::Csv;
        let mut special = [false; 256];
        for byte in [b'\n', b'\r', b'\\'] {
            special[usize::from(byte)] = true;
        }
        if is_csv {
            special[usize::from(form.quote)] = true;
            special[usize::from(form.escape)] = true;
        }
        Lines {
            is_csv,
            quote: form.quote,
            escape: (form.escape != form.quote).then_some(form.escape),
            special,
            limit,
            buffer: vec![],
            start: 0,
            at: 0,
            in_quote: false,
            escaping: false,
            breaks: 0,
            end_of_line: EndOfLine::Unknown,
            over: false,
        }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.over {
            return;
        }
        self.buffer.drain(..self.start);
        self.at -= self.start;
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The bytes of a line, until the next [`push`](Lines::push).
    pub(super) fn line(&self, range: Range<usize>) -> &[u8] {
        self.buffer.get(range).unwrap_or_default()
    }

    /// The next line. `ended`: no more bytes come.
    pub(super) fn next(&mut self, ended: bool) -> Result<Step> {
        if self.over {
            return Ok(Step::End);
        }
        loop {
            let rest = self.buffer.get(self.at..).unwrap_or_default();
            let plain = rest.iter().position(|byte| self.special[usize::from(*byte)]).unwrap_or(rest.len());
            // An escape that stands alone protects nothing.
            self.escaping &= plain == 0;
            self.at += plain;
            if self.at - self.start > self.limit {
                return Err(Error::new(ErrorKind::ProgramLimit, "a row of COPY is too long")
                    .with_detail(format!("At most {} bytes are accepted.", self.limit)));
            }
            let Some(byte) = self.buffer.get(self.at).copied() else {
                return Ok(if ended { self.last() } else { Step::More });
            };
            match self.special(byte, ended)? {
                Found::Data(length) => self.at += length,
                Found::LineEnd(length) => return Ok(self.line_end(length)),
                Found::DataEnd => {
                    self.over = true;
                    return Ok(self.last());
                }
                Found::Unclear => return Ok(Step::More),
            }
        }
    }

    fn line_end(&mut self, length: usize) -> Step {
        let range = self.start..self.at;
        self.at += length;
        self.start = self.at;
        Step::Line { range, breaks: std::mem::take(&mut self.breaks) }
    }

    /// The line before the end of the data, unless there is nothing in it.
    fn last(&mut self) -> Step {
        if self.at == self.start {
            return Step::End;
        }
        self.in_quote = false;
        self.line_end(0)
    }

    fn special(&mut self, byte: u8, ended: bool) -> Result<Found> {
        let next = self.buffer.get(self.at + 1).copied();
        // Whether a line feed follows must be known before a quote changes the state.
        if byte == b'\r' && next.is_none() && !ended {
            return Ok(Found::Unclear);
        }
        if self.is_csv {
            let may_end = byte == b'\\' && self.at == self.start && next.is_none_or(|next| next == b'.');
            let is_known = next.is_some() && self.behind_marker(ended).is_some();
            if may_end && !is_known && !ended {
                return Ok(Found::Unclear);
            }
            self.quoting(byte);
        }
        let is_data = self.is_csv && self.in_quote;
        match byte {
            b'\r' if !is_data => self.carriage_return(next),
            b'\n' if !is_data => self.newline(),
            b'\\' if !self.is_csv => self.backslash(next, ended),
            b'\\' if self.at == self.start && next == Some(b'.') => self.csv_end_marker(ended),
            _ => Ok(Found::Data(1)),
        }
    }

    /// PostgreSQL's rule: an escape counts inside quotes only, and only in front of a quote; a quote that is its own escape toggles.
    fn quoting(&mut self, byte: u8) {
        if self.in_quote && Some(byte) == self.escape {
            self.escaping = !self.escaping;
        }
        if byte == self.quote && !self.escaping {
            self.in_quote = !self.in_quote;
        }
        if Some(byte) != self.escape {
            self.escaping = false;
        }
        let line_break = if self.end_of_line == EndOfLine::Newline { b'\n' } else { b'\r' };
        if self.in_quote && byte == line_break {
            self.breaks += 1;
        }
    }

    fn carriage_return(&mut self, next: Option<u8>) -> Result<Found> {
        match (self.end_of_line, next) {
            (EndOfLine::Unknown | EndOfLine::ReturnNewline, Some(b'\n')) => {
                self.end_of_line = EndOfLine::ReturnNewline;
                Ok(Found::LineEnd(2))
            }
            (EndOfLine::ReturnNewline | EndOfLine::Newline, _) => Err(self.misplaced("carriage return", "\\r")),
            (EndOfLine::Unknown | EndOfLine::Return, _) => {
                self.end_of_line = EndOfLine::Return;
                Ok(Found::LineEnd(1))
            }
        }
    }

    fn newline(&mut self) -> Result<Found> {
        match self.end_of_line {
            EndOfLine::Return | EndOfLine::ReturnNewline => Err(self.misplaced("newline", "\\n")),
            EndOfLine::Unknown | EndOfLine::Newline => {
                self.end_of_line = EndOfLine::Newline;
                Ok(Found::LineEnd(1))
            }
        }
    }

    fn misplaced(&self, what: &str, escape: &str) -> Error {
        let (message, hint) = if self.is_csv {
            (format!("unquoted {what} found in data"), format!("Use quoted CSV field to represent {what}."))
        } else {
            (format!("literal {what} found in data"), format!("Use \"{escape}\" to represent {what}."))
        };
        Error::new(ErrorKind::BadCopyFormat, message).with_hint(hint)
    }

    /// Text format: a backslash protects the byte behind it, or `\.` ends the data.
    fn backslash(&mut self, next: Option<u8>, ended: bool) -> Result<Found> {
        match next {
            None if ended => Ok(Found::Data(1)),
            None => Ok(Found::Unclear),
            Some(b'.') => match self.behind_marker(ended) {
                None => Ok(Found::Unclear),
                Some(behind) => self.end_marker(behind),
            },
            Some(_) => Ok(Found::Data(2)),
        }
    }

    /// The two bytes behind `\.`, 0 for the end of the data; `None` if they have not all come that matter.
    fn behind_marker(&self, ended: bool) -> Option<[u8; 2]> {
        let first = self.buffer.get(self.at + 2).copied();
        let second = self.buffer.get(self.at + 3).copied();
        let wants_two = self.end_of_line == EndOfLine::ReturnNewline && first == Some(b'\r');
        let is_known = ended || (first.is_some() && (!wants_two || second.is_some()));
        is_known.then_some([first.unwrap_or(0), second.unwrap_or(0)])
    }

    fn end_marker(&mut self, [first, second]: [u8; 2]) -> Result<Found> {
        let corrupt = || Err(Error::new(ErrorKind::BadCopyFormat, "end-of-copy marker corrupt"));
        let mismatch = || {
            let message = "end-of-copy marker does not match previous newline style";
            Err(Error::new(ErrorKind::BadCopyFormat, message))
        };
        match (self.end_of_line, first, second) {
            (EndOfLine::ReturnNewline, b'\n', _) => mismatch(),
            (EndOfLine::ReturnNewline, b'\r', b'\n') => Ok(Found::DataEnd),
            (EndOfLine::ReturnNewline, b'\r', b'\r') => mismatch(),
            (EndOfLine::Unknown, b'\r' | b'\n', _) | (EndOfLine::Newline, b'\n', _) | (EndOfLine::Return, b'\r', _) => {
                Ok(Found::DataEnd)
            }
            (EndOfLine::Newline, b'\r', _) | (EndOfLine::Return, b'\n', _) => mismatch(),
            _ => corrupt(),
        }
    }

    /// CSV: `\.` ends the data only where it is a whole line; anything else is a value.
    fn csv_end_marker(&mut self, ended: bool) -> Result<Found> {
        let Some(behind) = self.behind_marker(ended) else { return Ok(Found::Unclear) };
        let is_line = match (self.end_of_line, behind) {
            (EndOfLine::ReturnNewline, [b'\r', second]) => matches!(second, b'\r' | b'\n'),
            (EndOfLine::ReturnNewline, _) => false,
            (_, [first, _]) => matches!(first, b'\r' | b'\n'),
        };
        if is_line { self.end_marker(behind) } else { Ok(Found::Data(1)) }
    }
}
