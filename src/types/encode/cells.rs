//! The encoded cells of one column: what the protocol and COPY BINARY put into a row, one after the other.
//!
//! A cell is its length as a 32-bit integer (-1 for NULL) and its bytes. Short values are appended by copies of a constant size that
//! may run beyond the cell into [`SLACK`] spare bytes: a few register moves instead of a call to copy a few bytes.

use crate::error::{Error, ErrorKind, Result};
use crate::types::values::ValueText;

/// Spare bytes behind the last cell.
pub(crate) const SLACK: usize = 256;

/// PostgreSQL's largest value and message: one byte less than 1 GiB.
pub(crate) const MAX_LENGTH: usize = 0x3fff_ffff;

/// Length field of NULL.
pub(crate) const NULL_LENGTH: [u8; 4] = (-1_i32).to_be_bytes();

/// Cells of consecutive rows.
#[derive(Debug, Default)]
pub(crate) struct Cells {
    /// Cells, then at least [`SLACK`] bytes without meaning.
    bytes: Vec<u8>,
    used: usize,
    /// Where each cell ends; the first entry is 0.
    ends: Vec<u32>,
}

impl Cells {
    /// Forgets all cells and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.used = 0;
        self.ends.clear();
        self.ends.push(0);
        self.reserve(0);
    }

    /// Number of cells.
    pub(crate) fn len(&self) -> usize {
        self.ends.len().saturating_sub(1)
    }

    /// Bytes of all cells.
    pub(crate) fn used(&self) -> usize {
        self.used
    }

    /// The cells' bytes with the slack, and where each cell ends.
    pub(crate) fn view(&self) -> CellsView<'_> {
        CellsView { bytes: &self.bytes, ends: &self.ends }
    }

    /// A cell's content, `None` for NULL.
    pub(crate) fn content(&self, index: usize) -> Option<&[u8]> {
        let cell = self.cells(index, index + 1);
        let (length, content) = cell.split_at_checked(4)?;
        (length != NULL_LENGTH).then_some(content)
    }

    /// The cells from `from` up to `to`, with their lengths.
    pub(crate) fn cells(&self, from: usize, to: usize) -> &[u8] {
        let start = self.ends.get(from).map_or(0, |end| *end as usize);
        let end = self.ends.get(to).map_or(start, |end| *end as usize);
        self.bytes.get(start..end).unwrap_or_default()
    }

    #[inline]
    fn reserve(&mut self, more: usize) {
        let needed = self.used + more + SLACK;
        if self.bytes.len() < needed {
            self.grow(needed);
        }
    }

    #[cold]
    fn grow(&mut self, needed: usize) {
        self.bytes.resize(needed.max(self.bytes.len() * 2).max(16 << 10), 0);
    }

    #[inline]
    fn finish(&mut self, length: usize) {
        self.used += length;
        #[expect(clippy::cast_possible_truncation, reason = "bytes() refuses what would pass 4 GiB; the other cells are short")]
        self.ends.push(self.used as u32);
    }

    /// Appends NULL.
    #[inline]
    pub(crate) fn null(&mut self) {
        self.reserve(4);
        self.bytes[self.used..self.used + 4].copy_from_slice(&NULL_LENGTH);
        self.finish(4);
    }

    /// Appends a value of constant size.
    #[inline]
    pub(crate) fn fixed<const N: usize>(&mut self, value: [u8; N]) {
        self.reserve(4 + N);
        let cell = &mut self.bytes[self.used..self.used + 4 + N];
        #[expect(clippy::cast_possible_truncation, reason = "at most 16")]
        cell[..4].copy_from_slice(&(N as u32).to_be_bytes());
        cell[4..].copy_from_slice(&value);
        self.finish(4 + N);
    }

    /// Appends a short text.
    #[inline]
    pub(crate) fn text<const N: usize>(&mut self, text: &ValueText<N>) {
        const { assert!(N < SLACK) };
        let (buffer, length) = text.parts();
        self.reserve(4 + N);
        let cell = &mut self.bytes[self.used..self.used + 4 + N];
        #[expect(clippy::cast_possible_truncation, reason = "at most N")]
        cell[..4].copy_from_slice(&(length as u32).to_be_bytes());
        cell[4..].copy_from_slice(buffer);
        self.finish(4 + length);
    }

    /// Appends a whole cell, with its length, from other cells.
    ///
    /// # Errors
    /// As [`Cells::bytes`].
    #[inline]
    pub(crate) fn repeat(&mut self, cell: &[u8]) -> Result<()> {
        if self.used > u32::MAX as usize - MAX_LENGTH - 8 {
            return Err(too_long(self.used));
        }
        self.reserve(cell.len());
        self.bytes[self.used..self.used + cell.len()].copy_from_slice(cell);
        self.finish(cell.len());
        Ok(())
    }

    /// Appends bytes of any length.
    ///
    /// # Errors
    /// [`ErrorKind::ProgramLimit`] for a value that is longer than the protocol allows.
    #[inline]
    pub(crate) fn bytes(&mut self, value: &[u8]) -> Result<()> {
        if value.len() > MAX_LENGTH || self.used > u32::MAX as usize - MAX_LENGTH - 8 {
            return Err(too_long(value.len()));
        }
        self.reserve(4 + value.len());
        let cell = &mut self.bytes[self.used..self.used + 4 + value.len()];
        #[expect(clippy::cast_possible_truncation, reason = "at most MAX_LENGTH")]
        cell[..4].copy_from_slice(&(value.len() as u32).to_be_bytes());
        cell[4..].copy_from_slice(value);
        self.finish(4 + value.len());
        Ok(())
    }
}

/// Borrowed cells, for the loop that gathers rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CellsView<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) ends: &'a [u32],
}

/// A value or row beyond what a message can carry.
pub(crate) fn too_long(length: usize) -> Error {
    Error::new(ErrorKind::ProgramLimit, "a value or row is too long for the protocol")
        .with_detail(format!("It has {length} bytes; at most {MAX_LENGTH} fit."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_lie_one_after_the_other() {
        let mut cells = Cells::default();
        cells.clear();
        cells.null();
        cells.fixed([7, 8]);
        cells.bytes(b"").unwrap();
        cells.bytes(b"abc").unwrap();
        assert_eq!(cells.len(), 4);
        assert_eq!(
            (0..4).map(|index| cells.content(index)).collect::<Vec<_>>(),
            [None, Some(&[7, 8][..]), Some(&[][..]), Some(&b"abc"[..])]
        );
        assert_eq!(cells.cells(0, 2), [255, 255, 255, 255, 0, 0, 0, 2, 7, 8]);
        assert_eq!(cells.content(9), None);
        cells.clear();
        assert_eq!((cells.len(), cells.used()), (0, 0));
    }
}
