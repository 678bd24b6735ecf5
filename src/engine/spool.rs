//! Rows that are kept to be read again: those of scrolling and of held cursors, in memory as long as they are few, in a temporary file
//! after that.
//!
//! ```text
//!  push ─▶ batches in memory ── more than KEPT_IN_MEMORY, or memory is short ──▶ spill file, one IPC stream a batch
//!  read(row) ─▶ the batch that has the row, from that row on
//! ```
//! Memory is taken from the engine's pool, the file counts against the bound of all temporary files, and both are given back on drop.

use std::fs::File;
use std::io::{BufReader, Seek, SeekFrom, Write};
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::ipc::reader::StreamReader;
use datafusion::arrow::ipc::writer::StreamWriter;
use datafusion::error::DataFusionError;
use datafusion::execution::disk_manager::DiskManager;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use datafusion::execution::{SpillFile, SpillWriter};

use super::Engine;
use crate::error::datafusion::from_datafusion;
use crate::error::{Error, ErrorKind, Result};

/// Bytes that one spool holds in memory.
const KEPT_IN_MEMORY: usize = 1 << 20;

/// An ordered collection of rows that grows at its end and is read anywhere.
pub struct Spool {
    disk: Arc<DiskManager>,
    memory: MemoryReservation,
    /// Rows in the batches so far, after each of them.
    ends: Vec<u64>,
    batches: Batches,
}

enum Batches {
    InMemory(Vec<RecordBatch>),
    OnDisk(SpilledBatches),
}

/// One IPC stream a batch, one behind the other.
struct SpilledBatches {
    file: Arc<dyn SpillFile>,
    writer: Box<dyn SpillWriter>,
    /// Where each batch begins.
    offsets: Vec<u64>,
}

impl std::fmt::Debug for Spool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let on_disk = matches!(self.batches, Batches::OnDisk(_));
        f.debug_struct("Spool").field("rows", &self.rows()).field("on_disk", &on_disk).finish_non_exhaustive()
    }
}

impl Engine {
    /// An empty spool.
    pub fn spool(&self) -> Spool {
        let pool: Arc<dyn MemoryPool> = self.memory.account(tokio_util::sync::CancellationToken::new());
        Spool::new(Arc::clone(&self.state.runtime_env().disk_manager), &pool)
    }
}

impl Spool {
    fn new(disk: Arc<DiskManager>, pool: &Arc<dyn MemoryPool>) -> Self {
        let memory = MemoryConsumer::new("Spool").with_can_spill(true).register(pool);
        Self { disk, memory, ends: Vec::new(), batches: Batches::InMemory(Vec::new()) }
    }

    /// A spool that is no engine's.
    #[cfg(test)]
    pub(crate) fn for_tests(environment: &datafusion::execution::runtime_env::RuntimeEnv) -> Self {
        Self::new(Arc::clone(&environment.disk_manager), &environment.memory_pool)
    }

    /// Number of rows.
    pub fn rows(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }

    /// Whether the batch can be kept in memory beside the others.
    pub fn has_room(&self, batch: &RecordBatch) -> bool {
        matches!(self.batches, Batches::InMemory(_)) && self.memory.size() + batch.get_array_memory_size() <= KEPT_IN_MEMORY
    }

    /// Adds rows behind the others.
    ///
    /// # Errors
    /// [`ErrorKind::DiskFull`] when the bound of temporary files is reached.
    pub fn push(&mut self, batch: RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let end = self.rows() + batch.num_rows() as u64;
        let size = batch.get_array_memory_size();
        if matches!(self.batches, Batches::InMemory(_))
            && (self.memory.size() + size > KEPT_IN_MEMORY || self.memory.try_grow(size).is_err())
        {
            self.move_to_disk()?;
        }
        match &mut self.batches {
            Batches::InMemory(batches) => batches.push(batch),
            Batches::OnDisk(file) => file.append(&batch)?,
        }
        self.ends.push(end);
        Ok(())
    }

    /// The rows from number `row` (0 is the first) to the end of its batch; `None` behind the last.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] when the temporary file cannot be read.
    pub fn read(&self, row: u64) -> Result<Option<RecordBatch>> {
        let Some((batch, offset)) = self.batch_of(row)? else { return Ok(None) };
        Ok(Some(batch.slice(offset, batch.num_rows() - offset)))
    }

    /// The rows from the start of the batch that has number `row`, up to and with it.
    ///
    /// # Errors
    /// As [`Spool::read`].
    pub fn read_up_to(&self, row: u64) -> Result<Option<RecordBatch>> {
        let Some((batch, offset)) = self.batch_of(row)? else { return Ok(None) };
        Ok(Some(batch.slice(0, offset + 1)))
    }

    fn batch_of(&self, row: u64) -> Result<Option<(RecordBatch, usize)>> {
        let index = self.ends.partition_point(|end| *end <= row);
        let first = index.checked_sub(1).and_then(|previous| self.ends.get(previous)).copied().unwrap_or(0);
        let offset = usize::try_from(row - first.min(row)).map_err(|_| Error::internal("a batch of too many rows"))?;
        let batch = match &self.batches {
            Batches::InMemory(batches) => batches.get(index).cloned(),
            Batches::OnDisk(file) => file.load(index)?,
        };
        Ok(batch.map(|batch| (batch, offset)))
    }

    fn move_to_disk(&mut self) -> Result<()> {
        let mut file = SpilledBatches::new(&self.disk)?;
        if let Batches::InMemory(batches) = &self.batches {
            batches.iter().try_for_each(|batch| file.append(batch))?;
        }
        self.batches = Batches::OnDisk(file);
        self.memory.free();
        Ok(())
    }
}

fn disk_error(error: DataFusionError) -> Error {
    from_datafusion(error, true)
}

fn io_error(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(ErrorKind::Io, "a temporary file cannot be used").with_source(error)
}

impl SpilledBatches {
    fn new(disk: &Arc<DiskManager>) -> Result<Self> {
        let file = disk.create_tmp_file("cursor").map_err(disk_error)?;
        let writer = file.open_writer().map_err(disk_error)?;
        Ok(Self { file, writer, offsets: Vec::new() })
    }

    /// Writes a batch at the end of the file.
    fn append(&mut self, batch: &RecordBatch) -> Result<()> {
        let offset = self.file.size().unwrap_or_default();
        let mut bytes = Vec::with_capacity(batch.get_array_memory_size());
        let mut encoder = StreamWriter::try_new(&mut bytes, &batch.schema()).map_err(io_error)?;
        encoder.write(batch).and_then(|()| encoder.finish()).map_err(io_error)?;
        drop(encoder);
        self.writer.write_all(&bytes).map_err(|error| disk_error(DataFusionError::IoError(error)))?;
        self.offsets.push(offset);
        Ok(())
    }

    fn load(&self, index: usize) -> Result<Option<RecordBatch>> {
        let Some(offset) = self.offsets.get(index) else { return Ok(None) };
        let path = self.file.path().ok_or_else(|| Error::internal("a temporary file without a path"))?;
        let mut source = File::open(path).map_err(io_error)?;
        source.seek(SeekFrom::Start(*offset)).map_err(io_error)?;
        let mut batches = StreamReader::try_new(BufReader::new(source), None).map_err(io_error)?;
        batches.next().transpose().map_err(io_error)
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{ArrayRef, AsArray, StringArray};
    use datafusion::execution::runtime_env::RuntimeEnvBuilder;

    use super::*;

    fn batch(number: usize, width: usize) -> RecordBatch {
        let texts: StringArray = (0..100).map(|row| Some(format!("{number}-{row}-{}", "x".repeat(width)))).collect();
        RecordBatch::try_from_iter([("t", Arc::new(texts) as ArrayRef)]).unwrap()
    }

    fn prefix(batch: &RecordBatch, row: usize) -> String {
        let text = batch.column(0).as_string::<i32>().value(row);
        text.trim_end_matches('x').to_string()
    }

    #[test]
    fn rows_are_found_again_in_memory_and_on_disk() {
        for (width, on_disk) in [(1, false), (2_000, true)] {
            let environment = RuntimeEnvBuilder::new().build().unwrap();
            let mut spool = Spool::for_tests(&environment);
            for number in 0..20 {
                spool.push(batch(number, width)).unwrap();
            }
            assert_eq!(spool.rows(), 2_000);
            assert_eq!(matches!(spool.batches, Batches::OnDisk(_)), on_disk);
            assert_eq!(environment.memory_pool.reserved() == 0, on_disk);
            let rest = spool.read(1_234).unwrap().unwrap();
            assert_eq!((rest.num_rows(), prefix(&rest, 0).as_str()), (66, "12-34-"));
            let front = spool.read_up_to(1_234).unwrap().unwrap();
            assert_eq!((front.num_rows(), prefix(&front, 34).as_str()), (35, "12-34-"));
            assert!(spool.read(2_000).unwrap().is_none());
            drop(spool);
            assert_eq!(environment.memory_pool.reserved(), 0);
            assert_eq!(environment.disk_manager.used_disk_space(), 0);
        }
    }

    #[test]
    fn the_bound_of_temporary_files_holds() {
        use datafusion::execution::disk_manager::DiskManagerBuilder;
        let disk = DiskManagerBuilder::default().with_max_temp_directory_size(1 << 20);
        let environment = RuntimeEnvBuilder::new().with_disk_manager_builder(disk).build().unwrap();
        let mut spool = Spool::for_tests(&environment);
        let error = (0..100).find_map(|number| spool.push(batch(number, 1_000)).err()).unwrap();
        assert_eq!(error.kind(), ErrorKind::DiskFull, "{error:?}");
    }
}
