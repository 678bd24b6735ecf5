//! What stands in a line: values, NULL and DEFAULT.

use std::ops::Range;

use crate::error::{Error, ErrorKind, Result};
use crate::sql::statement::{CopyFormat, CopyIn};
use crate::wire::encode::text;

/// Cuts lines into fields.
pub(super) struct Fields {
    is_csv: bool,
    delimiter: u8,
    quote: u8,
    escape: u8,
    null: Vec<u8>,
    default: Option<Vec<u8>>,
    found: Vec<Field>,
    /// Values that do not stand in the line as they are.
    unescaped: Vec<u8>,
}

/// A field of the line that was split last.
#[derive(Debug, Clone)]
enum Field {
    Null,
    Default,
    /// A part of the line.
    Line(Range<usize>),
    /// A part of what was unescaped.
    Unescaped(Range<usize>),
}

/// A field's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Null,
    Default,
    Text(&'a str),
}

impl Fields {
    pub(super) fn new(copy: &CopyIn) -> Self {
        let form = &copy.form;
        Fields {
            is_csv: form.format == CopyFormat::Csv,
            delimiter: form.delimiter,
            quote: form.quote,
            escape: form.escape,
            null: form.null.clone().into_bytes(),
            default: copy.default.clone().map(String::into_bytes),
            found: vec![],
            unescaped: vec![],
        }
    }

    /// Splits a line; returns the number of fields.
    pub(super) fn split(&mut self, line: &str) -> Result<usize> {
        self.found.clear();
        self.unescaped.clear();
        let bytes = line.as_bytes();
        let mut from = 0;
        loop {
            let (to, field) = if self.is_csv { self.csv(bytes, from)? } else { self.text(bytes, from)? };
            self.found.push(field);
            if to >= bytes.len() {
                return Ok(self.found.len());
            }
            from = to + 1;
        }
    }

    /// The value of a field of the line that was split last.
    pub(super) fn value<'a>(&'a self, line: &'a str, index: usize) -> Value<'a> {
        match self.found.get(index) {
            None | Some(Field::Null) => Value::Null,
            Some(Field::Default) => Value::Default,
            Some(Field::Line(range)) => Value::Text(line.get(range.clone()).unwrap_or_default()),
            Some(Field::Unescaped(range)) => {
                // Checked when it was unescaped.
                Value::Text(std::str::from_utf8(self.unescaped.get(range.clone()).unwrap_or_default()).unwrap_or_default())
            }
        }
    }

    /// A field as it is written, before anything is unescaped, may stand for NULL or DEFAULT.
    fn marker(&self, written: &[u8], is_quoted: bool) -> Option<Field> {
        if !is_quoted && written == self.null {
            return Some(Field::Null);
        }
        (self.default.as_deref() == Some(written)).then_some(Field::Default)
    }

    /// The field of text format from `from` on, and where it ends.
    fn text(&mut self, line: &[u8], from: usize) -> Result<(usize, Field)> {
        let rest = line.get(from..).unwrap_or_default();
        let plain = rest.iter().position(|byte| *byte == self.delimiter || *byte == b'\\').unwrap_or(rest.len());
        let to = from + plain;
        if line.get(to) != Some(&b'\\') {
            let written = line.get(from..to).unwrap_or_default();
            return Ok((to, self.marker(written, false).unwrap_or(Field::Line(from..to))));
        }
        let begin = self.unescaped.len();
        self.unescaped.extend_from_slice(line.get(from..to).unwrap_or_default());
        let (to, written_to, needs_check) = self.unescape(line, to);
        if let Some(marker) = self.marker(line.get(from..written_to).unwrap_or_default(), false) {
            return Ok((to, marker));
        }
        if needs_check {
            text(self.unescaped.get(begin..).unwrap_or_default())?;
        }
        Ok((to, Field::Unescaped(begin..self.unescaped.len())))
    }

    /// Takes the backslashes out of the field from `at` on. Returns where it ends, where it ends as written, and whether a byte came out
    /// that must be checked: one of a longer character, or 0.
    fn unescape(&mut self, line: &[u8], mut at: usize) -> (usize, usize, bool) {
        let mut needs_check = false;
        loop {
            let written_to = at;
            let Some(byte) = line.get(at).copied() else { return (at, written_to, needs_check) };
            at += 1;
            if byte == self.delimiter {
                return (at - 1, written_to, needs_check);
            }
            if byte != b'\\' {
                self.unescaped.push(byte);
                continue;
            }
            let Some(escaped) = line.get(at).copied() else { return (at, written_to, needs_check) };
            at += 1;
            let value = match escaped {
                b'0'..=b'7' => self::numeric_escape(line, at - 1, &mut at, 8, 3),
                b'x' if line.get(at).is_some_and(u8::is_ascii_hexdigit) => self::numeric_escape(line, at, &mut at, 16, 2),
                b'b' => 0x08,
                b'f' => 0x0c,
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'v' => 0x0b,
                other => other,
            };
            let is_numeric = matches!(escaped, b'0'..=b'7' | b'x');
            needs_check |= is_numeric && (value == 0 || value >= 0x80);
            self.unescaped.push(value);
        }
    }

    /// The field of CSV from `from` on, and where it ends.
    fn csv(&mut self, line: &[u8], from: usize) -> Result<(usize, Field)> {
        let rest = line.get(from..).unwrap_or_default();
        let plain = rest.iter().position(|byte| *byte == self.delimiter || *byte == self.quote).unwrap_or(rest.len());
        let to = from + plain;
        // The delimiter is looked at first, should the two be the same byte; they cannot.
        if line.get(to) != Some(&self.quote) {
            let written = line.get(from..to).unwrap_or_default();
            return Ok((to, self.marker(written, false).unwrap_or(Field::Line(from..to))));
        }
        let begin = self.unescaped.len();
        self.unescaped.extend_from_slice(line.get(from..to).unwrap_or_default());
        let to = self.unquote(line, to)?;
        let marker = self.marker(line.get(from..to).unwrap_or_default(), true);
        Ok((to, marker.unwrap_or(Field::Unescaped(begin..self.unescaped.len()))))
    }

    /// Takes the quotes out of the field from the quote at `at` on; returns where it ends.
    fn unquote(&mut self, line: &[u8], mut at: usize) -> Result<usize> {
        let mut in_quote = false;
        loop {
            let Some(byte) = line.get(at).copied() else {
                if in_quote {
                    return Err(Error::new(ErrorKind::BadCopyFormat, "unterminated CSV quoted field"));
                }
                return Ok(at);
            };
            if !in_quote {
                match byte {
                    byte if byte == self.delimiter => return Ok(at),
                    byte if byte == self.quote => in_quote = true,
                    byte => self.unescaped.push(byte),
                }
                at += 1;
                continue;
            }
            at += 1;
            let next = line.get(at).copied();
            if byte == self.escape
                && let Some(next) = next.filter(|next| *next == self.escape || *next == self.quote)
            {
                self.unescaped.push(next);
                at += 1;
            } else if byte == self.quote {
                in_quote = false;
            } else {
                self.unescaped.push(byte);
            }
        }
    }
}

/// Reads up to `digits` digits from `from` on and leaves `at` behind them; the value is cut to a byte.
fn numeric_escape(line: &[u8], from: usize, at: &mut usize, radix: u32, digits: usize) -> u8 {
    let mut value = 0_u32;
    *at = from;
    while *at < from + digits
        && let Some(digit) = line.get(*at).and_then(|byte| char::from(*byte).to_digit(radix))
    {
        value = value * radix + digit;
        *at += 1;
    }
    u8::try_from(value & 0xff).unwrap_or_default()
}
