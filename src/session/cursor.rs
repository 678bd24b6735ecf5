//! Rows that are handed out in parts, forward and, where they are kept, backward.
//!
//! ```text
//!  before the first ◀─▶ on row 1 ◀─▶ .. ◀─▶ on row n ◀─▶ behind the last
//! ```
//! A part that comes back shorter than it was asked for has gone off the end. A cursor that only goes forward keeps no rows; one that
//! scrolls keeps those that it has read, and one that outlives its transaction reads the rest when that commits. One of which SCROLL was
//! not said, and which PostgreSQL would let go backward, keeps what fits into memory: who reads a whole table through it pays nothing.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use datafusion::arrow::array::UInt32Array;
use datafusion::arrow::compute::take_record_batch;
use datafusion::arrow::record_batch::RecordBatch;
use futures::{StreamExt, TryStreamExt};
use tokio::sync::Mutex;

use super::outcome::RowStream;
use crate::engine::Spool;
use crate::error::{Error, ErrorKind, Result};
use crate::sql::statement::FetchDirection;

/// Rows that are handed out in parts. Clones share the position.
#[derive(Clone)]
pub struct Cursor {
    rows: Arc<Mutex<Rows>>,
    scrolls: bool,
    failed: Arc<AtomicBool>,
}

struct Rows {
    stream: Option<RowStream>,
    /// Rest of a batch of which a part is out.
    rest: Option<RecordBatch>,
    /// Rows that were read.
    kept: Option<Kept>,
    /// Rows in front of the next one.
    position: u64,
    /// Behind the last row, not on it.
    at_end: bool,
    failed: Arc<AtomicBool>,
}

struct Kept {
    spool: Spool,
    /// Rows that were out before the spool began.
    skipped: u64,
    /// Only as long as they fit into memory.
    in_memory: bool,
}

impl Cursor {
    /// All of `stream`, nothing handed out yet; forward only.
    pub fn new(stream: RowStream) -> Self {
        Self::over(stream, None)
    }

    /// As [`Cursor::new`], but rows that were read are kept in `spool`, to be read again.
    pub fn scrolling(stream: RowStream, spool: Spool) -> Self {
        Self::over(stream, Some(Kept { spool, skipped: 0, in_memory: false }))
    }

    /// As [`Cursor::scrolling`] as long as the rows fit into the memory of `spool`; forward only after that.
    pub fn remembering(stream: RowStream, spool: Spool) -> Self {
        Self::over(stream, Some(Kept { spool, skipped: 0, in_memory: true }))
    }

    fn over(stream: RowStream, kept: Option<Kept>) -> Self {
        let scrolls = kept.is_some();
        let failed = Arc::new(AtomicBool::new(false));
        let rows = Rows { stream: Some(stream), rest: None, kept, position: 0, at_end: false, failed: Arc::clone(&failed) };
        Self { rows: Arc::new(Mutex::new(rows)), scrolls, failed }
    }

    /// Whether its query has failed: it gives no more rows.
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// Whether it goes backward.
    pub fn scrolls(&self) -> bool {
        self.scrolls
    }

    /// The next rows, at most `limit` of them; `None` for all that are left.
    ///
    /// Parts must be read one after the other: a second part waits until the first is read or dropped.
    pub fn take(&self, limit: Option<u64>) -> RowStream {
        let left = limit.unwrap_or(u64::MAX);
        futures::stream::try_unfold((Arc::clone(&self.rows), left), |(shared, left)| async move {
            if left == 0 {
                return Ok(None);
            }
            let mut rows = shared.lock().await;
            let next = rows.next(left).await?;
            drop(rows);
            Ok(next.map(|batch| {
                let length = batch.num_rows() as u64;
                (batch, (shared, left - length))
            }))
        })
        .boxed()
    }

    /// The rows that FETCH in that direction gives.
    ///
    /// # Errors
    /// 55000 where a cursor that only goes forward would go backward.
    pub async fn fetch(&self, direction: FetchDirection) -> Result<RowStream> {
        match direction {
            FetchDirection::Forward(rows) => Ok(self.take(rows)),
            FetchDirection::Backward(rows) => self.take_back(rows),
            FetchDirection::Relative(0) => self.again().await,
            FetchDirection::Relative(rows) if rows > 0 => {
                self.skip(rows.unsigned_abs() - 1).await?;
                Ok(self.take(Some(1)))
            }
            FetchDirection::Relative(rows) => {
                self.skip_back(Some(rows.unsigned_abs() - 1)).await?;
                self.take_back(Some(1))
            }
            FetchDirection::Absolute(row) if row >= 0 => {
                self.go_to(row.unsigned_abs().saturating_sub(1)).await?;
                Ok(self.take(Some(u64::from(row > 0))))
            }
            FetchDirection::Absolute(row) => {
                self.skip(u64::MAX).await?;
                self.skip_back(Some(row.unsigned_abs() - 1)).await?;
                self.take_back(Some(1))
            }
        }
    }

    /// How many rows MOVE in that direction passes.
    ///
    /// # Errors
    /// As [`Cursor::fetch`].
    pub async fn pass(&self, direction: FetchDirection) -> Result<u64> {
        if direction == FetchDirection::Relative(0) {
            let rows = self.rows.lock().await;
            return Ok(u64::from(rows.is_on_row()));
        }
        let passed = self.fetch(direction).await?;
        passed.try_fold(0, |rows, batch| async move { Ok(rows + batch.num_rows() as u64) }).await
    }

    /// The current row once more.
    async fn again(&self) -> Result<RowStream> {
        if !self.rows.lock().await.is_on_row() {
            return Ok(futures::stream::empty().boxed());
        }
        self.skip_back(Some(0)).await?;
        self.rows.lock().await.position -= 1;
        Ok(self.take(Some(1)))
    }

    async fn skip(&self, rows: u64) -> Result<()> {
        self.take(Some(rows)).try_for_each(|_| async { Ok(()) }).await
    }

    async fn skip_back(&self, rows: Option<u64>) -> Result<()> {
        self.take_back(rows)?.try_for_each(|_| async { Ok(()) }).await
    }

    /// Stands so that `row` rows are in front of the next one.
    async fn go_to(&self, row: u64) -> Result<()> {
        let mut rows = self.rows.lock().await;
        if rows.at_end && row > rows.position {
            return Ok(());
        }
        match row.checked_sub(rows.position).filter(|_| !rows.at_end) {
            Some(missing) => {
                drop(rows);
                self.skip(missing).await
            }
            None => {
                let kept = rows.kept.as_ref().filter(|_| self.scrolls).ok_or_else(forward_only)?;
                rows.position = row.min(kept.spool.rows());
                rows.at_end = false;
                Ok(())
            }
        }
    }

    /// The rows in front of the current one, the nearest first.
    fn take_back(&self, limit: Option<u64>) -> Result<RowStream> {
        if !self.scrolls {
            return Err(forward_only());
        }
        let left = limit.unwrap_or(u64::MAX);
        let parts = futures::stream::try_unfold((Arc::clone(&self.rows), left), |(shared, left)| async move {
            if left == 0 {
                return Ok(None);
            }
            let mut rows = shared.lock().await;
            let previous = rows.previous(left)?;
            drop(rows);
            Ok(previous.map(|batch| {
                let length = batch.num_rows() as u64;
                (batch, (shared, left - length))
            }))
        });
        Ok(parts.boxed())
    }

    /// Reads all rows that are left into `spool`, so that nothing of the query is needed any more.
    ///
    /// # Errors
    /// What the query fails with; [`ErrorKind::DiskFull`].
    pub async fn keep_all(&self, spool: Spool) -> Result<()> {
        let mut rows = self.rows.lock().await;
        let skipped = rows.position;
        let mut kept = rows.kept.take().unwrap_or(Kept { spool, skipped, in_memory: false });
        if let Some(rest) = rows.rest.take() {
            kept.spool.push(rest)?;
        }
        if let Some(mut stream) = rows.stream.take() {
            while let Some(batch) = stream.try_next().await? {
                kept.spool.push(batch)?;
            }
        }
        rows.kept = Some(kept);
        Ok(())
    }
}

impl Rows {
    fn is_on_row(&self) -> bool {
        self.position > 0 && !self.at_end
    }

    /// The next rows, at most `limit`.
    async fn next(&mut self, limit: u64) -> Result<Option<RecordBatch>> {
        let batch = match self.next_batch().await {
            Ok(Some(batch)) => batch,
            Ok(None) => {
                self.at_end = true;
                return Ok(None);
            }
            Err(error) => {
                self.stream = None;
                self.failed.store(true, Ordering::Relaxed);
                return Err(error);
            }
        };
        let taken = usize::try_from(limit).unwrap_or(usize::MAX).min(batch.num_rows());
        if self.kept.is_none() && taken < batch.num_rows() {
            self.rest = Some(batch.slice(taken, batch.num_rows() - taken));
        }
        self.position += taken as u64;
        Ok(Some(batch.slice(0, taken)))
    }

    async fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        if let Some(kept) = &self.kept
            && let Some(batch) = kept.spool.read(self.position.saturating_sub(kept.skipped))?
        {
            return Ok(Some(batch));
        }
        if let Some(rest) = self.rest.take() {
            return Ok(Some(rest));
        }
        loop {
            let Some(stream) = self.stream.as_mut() else { return Ok(None) };
            match stream.try_next().await? {
                Some(batch) if batch.num_rows() == 0 => {}
                Some(batch) => {
                    self.keep(&batch)?;
                    return Ok(Some(batch));
                }
                None => self.stream = None,
            }
        }
    }

    fn keep(&mut self, batch: &RecordBatch) -> Result<()> {
        let Some(kept) = &mut self.kept else { return Ok(()) };
        if kept.in_memory && !kept.spool.has_room(batch) {
            self.kept = None;
            return Ok(());
        }
        kept.spool.push(batch.clone())
    }

    /// The rows in front of the current one, at most `limit`, the nearest first.
    fn previous(&mut self, limit: u64) -> Result<Option<RecordBatch>> {
        let current = if self.at_end { self.position + 1 } else { self.position };
        if self.kept.is_none() {
            return Err(forward_only());
        }
        self.at_end = false;
        // Rows are counted from 1 here, and from 0 in the spool.
        let Some(nearest) = current.checked_sub(2) else {
            self.position = 0;
            return Ok(None);
        };
        let kept = self.kept.as_ref().ok_or_else(forward_only)?;
        let batch = kept.spool.read_up_to(nearest)?.ok_or_else(|| Error::internal("a kept row is missing"))?;
        let taken = usize::try_from(limit).unwrap_or(usize::MAX).min(batch.num_rows());
        let last = u32::try_from(batch.num_rows()).map_err(|_| Error::internal("a batch of too many rows"))?;
        let first = last - u32::try_from(taken).unwrap_or(last);
        let reversed: UInt32Array = (first..last).rev().collect();
        self.position = current - taken as u64;
        take_record_batch(&batch, &reversed).map(Some).map_err(|error| Error::internal(error.to_string()))
    }
}

fn forward_only() -> Error {
    Error::new(ErrorKind::ObjectNotInPrerequisiteState, "cursor can only scan forward")
        .with_hint("Declare it with SCROLL option to enable backward scan.")
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cursor").field("scrolls", &self.scrolls).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{ArrayRef, AsArray, Int32Array};
    use datafusion::arrow::datatypes::Int32Type;
    use datafusion::execution::runtime_env::RuntimeEnv;

    use super::*;
    use FetchDirection::{Absolute, Backward, Forward, Relative};

    /// The numbers 1 to 7 in uneven batches.
    fn numbers() -> RowStream {
        let batch = |values: &[i32]| {
            Ok(RecordBatch::try_from_iter([("n", Arc::new(Int32Array::from(values.to_vec())) as ArrayRef)]).unwrap())
        };
        futures::stream::iter([batch(&[1, 2, 3]), batch(&[]), batch(&[4]), batch(&[5, 6, 7])]).boxed()
    }

    async fn fetch(cursor: &Cursor, direction: FetchDirection) -> Vec<i32> {
        let batches: Vec<RecordBatch> = cursor.fetch(direction).await.unwrap().try_collect().await.unwrap();
        batches.iter().flat_map(|batch| batch.column(0).as_primitive::<Int32Type>().values().to_vec()).collect()
    }

    fn spool() -> Spool {
        Spool::for_tests(&RuntimeEnv::default())
    }

    #[tokio::test]
    async fn a_cursor_hands_out_parts_across_batches() {
        let cursor = Cursor::new(numbers());
        assert_eq!(fetch(&cursor, Forward(Some(2))).await, [1, 2]);
        assert_eq!(fetch(&cursor, Forward(Some(3))).await, [3, 4, 5]);
        assert_eq!(fetch(&cursor, Forward(Some(i32::MAX as u64))).await, [6, 7]);
        assert_eq!(fetch(&cursor, Forward(None)).await, Vec::<i32>::new());
    }

    #[tokio::test]
    async fn positions_are_those_of_postgresql() {
        let cursor = Cursor::scrolling(numbers(), spool());
        for (direction, rows) in [
            (Backward(Some(1)), vec![]),
            (Relative(0), vec![]),
            (Forward(Some(3)), vec![1, 2, 3]),
            (Relative(0), vec![3]),
            (Backward(Some(1)), vec![2]),
            (Forward(Some(2)), vec![3, 4]),
            (Absolute(6), vec![6]),
            (Absolute(-1), vec![7]),
            (Forward(Some(1)), vec![]),
            (Relative(0), vec![]),
            (Backward(Some(2)), vec![7, 6]),
            (Absolute(-7), vec![1]),
            (Backward(Some(1)), vec![]),
            (Forward(Some(1)), vec![1]),
            (Relative(3), vec![4]),
            (Relative(-2), vec![2]),
            (Absolute(99), vec![]),
            (Backward(None), vec![7, 6, 5, 4, 3, 2, 1]),
            (Forward(None), vec![1, 2, 3, 4, 5, 6, 7]),
            (Absolute(0), vec![]),
            (Forward(Some(1)), vec![1]),
            (Absolute(-99), vec![]),
            (Forward(Some(1)), vec![1]),
        ] {
            assert_eq!(fetch(&cursor, direction).await, rows, "{direction:?}");
        }
        assert_eq!(cursor.pass(Forward(Some(2))).await.unwrap(), 2);
        assert_eq!(cursor.pass(Relative(0)).await.unwrap(), 1);
        assert_eq!(cursor.pass(Forward(None)).await.unwrap(), 4);
        assert_eq!(cursor.pass(Absolute(2)).await.unwrap(), 1);
        assert_eq!(fetch(&cursor, Forward(Some(1))).await, [3]);
    }

    #[tokio::test]
    async fn a_cursor_that_does_not_scroll_goes_forward_only() {
        let cursor = Cursor::new(numbers());
        assert_eq!(fetch(&cursor, Absolute(2)).await, [2]);
        assert_eq!(fetch(&cursor, Relative(2)).await, [4]);
        for direction in [Backward(Some(1)), Relative(0), Relative(-1), Absolute(1), Absolute(0)] {
            let error = cursor.fetch(direction).await.err().unwrap();
            assert_eq!(error.kind(), ErrorKind::ObjectNotInPrerequisiteState, "{direction:?}");
        }
        assert_eq!(fetch(&cursor, Forward(None)).await, [5, 6, 7]);
        assert_eq!(fetch(&cursor, Absolute(99)).await, Vec::<i32>::new());
    }

    #[tokio::test]
    async fn a_cursor_that_remembers_goes_backward_while_its_rows_fit_into_memory() {
        let cursor = Cursor::remembering(numbers(), spool());
        assert_eq!(fetch(&cursor, Forward(Some(5))).await, [1, 2, 3, 4, 5]);
        assert_eq!(fetch(&cursor, Backward(Some(2))).await, [4, 3]);
        assert_eq!(fetch(&cursor, Forward(None)).await, [4, 5, 6, 7]);

        let wide =
            |n: i32| Ok(RecordBatch::try_from_iter([("n", Arc::new(Int32Array::from(vec![n; 200_000])) as ArrayRef)]).unwrap());
        let cursor = Cursor::remembering(futures::stream::iter([wide(1), wide(2)]).boxed(), spool());
        assert_eq!(fetch(&cursor, Forward(Some(2))).await, [1, 1]);
        assert_eq!(fetch(&cursor, Backward(Some(1))).await, [1]);
        assert_eq!(fetch(&cursor, Forward(Some(200_000))).await.last(), Some(&2));
        assert_eq!(fetch(&cursor, Forward(Some(1))).await, [2]);
        assert!(cursor.pass(Backward(Some(1))).await.is_err());
        assert_eq!(fetch(&cursor, Forward(None)).await.len(), 199_998);
    }

    #[tokio::test]
    async fn what_is_kept_for_hold_goes_on_where_it_was() {
        for cursor in [Cursor::new(numbers()), Cursor::scrolling(numbers(), spool())] {
            assert_eq!(fetch(&cursor, Forward(Some(2))).await, [1, 2]);
            cursor.keep_all(spool()).await.unwrap();
            assert_eq!(fetch(&cursor, Forward(Some(2))).await, [3, 4]);
            assert_eq!(cursor.fetch(Backward(Some(1))).await.is_ok(), cursor.scrolls());
            assert_eq!(fetch(&cursor, Absolute(7)).await, [7]);
        }
    }
}
