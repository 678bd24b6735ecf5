//! Threads, memory, temporary files and caches of the engine.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use datafusion::execution::SessionState;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::execution::object_store::ObjectStoreRegistry;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use tokio::runtime::{Handle, Runtime};

use super::memory::{Memory, QueryPool, machine_memory};
use super::options::EngineOptions;
use crate::error::{Error, ErrorKind, Result};

/// Stack of a worker: expressions are evaluated recursively.
const WORKER_STACK: usize = 16 << 20;

/// The runtime that executes queries, apart from the one that serves connections and storage.
#[derive(Debug)]
pub(super) struct Workers {
    runtime: Option<Runtime>,
    busy: metrics::Gauge,
}

impl Workers {
    /// Starts `threads` workers.
    pub(super) fn new(threads: usize) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("worker")
            .thread_stack_size(WORKER_STACK)
            .enable_all()
            .build()
            .map_err(|error| Error::internal(format!("cannot start the workers: {error}")))?;
        super::turn::install();
        Ok(Self { runtime: Some(runtime), busy: metrics::gauge!("lakehold_workers_busy") })
    }

    /// Tasks of statements that compute at this moment.
    pub(super) fn busy(&self) -> metrics::Gauge {
        self.busy.clone()
    }

    /// Whether a worker takes a new task within `patience`.
    pub(super) async fn answer(&self, patience: Duration) -> bool {
        let Ok(handle) = self.handle() else { return false };
        matches!(tokio::time::timeout(patience, handle.spawn(async {})).await, Ok(Ok(())))
    }

    /// Where queries are spawned.
    pub(super) fn handle(&self) -> Result<&Handle> {
        self.runtime
            .as_ref()
            .map(Runtime::handle)
            .ok_or_else(|| Error::new(ErrorKind::AdminShutdown, "the server is shutting down"))
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        // Waiting for threads is not allowed on the connections' runtime, where the last handle may be dropped.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// What all queries share.
pub(super) fn shared_environment(
    options: &EngineOptions,
    spill_directory: &Path,
    registry: Arc<dyn ObjectStoreRegistry>,
    memory: &Arc<Memory>,
) -> Result<Arc<RuntimeEnv>> {
    let pool: Arc<dyn MemoryPool> = memory.account(tokio_util::sync::CancellationToken::new());
    let disk = DiskManagerBuilder::default()
        .with_mode(DiskManagerMode::Directories(vec![spill_directory.to_path_buf()]))
        .with_max_temp_directory_size(options.spill.0);
    RuntimeEnvBuilder::new()
        .with_memory_pool(pool)
        .with_disk_manager_builder(disk)
        .with_metadata_cache_limit(options.footer_cache.as_usize())
        .with_object_list_cache_limit(0)
        .with_file_statistics_cache_limit(0)
        .with_object_store_registry(registry)
        .build_arc()
        .map_err(|error| crate::error::datafusion::from_datafusion(error, false))
}

/// The shared environment with a query's own memory account.
pub(super) fn query_environment(state: &SessionState, pool: Arc<QueryPool>) -> Arc<RuntimeEnv> {
    let shared = state.runtime_env();
    Arc::new(RuntimeEnv { memory_pool: pool, ..shared.as_ref().clone() })
}

/// The memory that options or machine give: all queries together, one query, resident mark.
pub(super) fn memory_bounds(options: &EngineOptions) -> (usize, Option<usize>, u64) {
    let machine = machine_memory();
    let total = if options.memory.0 == 0 { machine / 10 * 6 } else { options.memory.0 };
    let per_query = (options.memory_per_query.0 != 0).then(|| options.memory_per_query.as_usize());
    let mark = if options.resident_memory.0 == 0 { machine / 100 * 85 } else { options.resident_memory.0 };
    (usize::try_from(total).unwrap_or(usize::MAX), per_query, mark)
}

/// Makes the spill directory and removes what an earlier process left there.
pub(super) fn prepare_spill_directory(directory: PathBuf) -> Result<PathBuf> {
    let failed =
        |error: std::io::Error| Error::new(ErrorKind::Io, "cannot prepare the directory for temporary files").with_source(error);
    create_private(&directory).map_err(failed)?;
    for entry in std::fs::read_dir(&directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        // Only what DataFusion itself makes there: an operator may have named a directory with other things in it.
        if entry.file_name().to_string_lossy().starts_with("datafusion-") {
            std::fs::remove_dir_all(entry.path()).map_err(failed)?;
        }
    }
    Ok(directory)
}

/// Temporary files hold table data: the directory is for the server's own user.
#[cfg(unix)]
fn create_private(directory: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o700))
}

#[cfg(not(unix))]
fn create_private(directory: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leftovers_of_an_earlier_process_are_removed_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let spill = directory.path().join("spill");
        std::fs::create_dir_all(spill.join("datafusion-abc")).unwrap();
        std::fs::write(spill.join("notes.txt"), "keep").unwrap();
        prepare_spill_directory(spill.clone()).unwrap();
        assert!(!spill.join("datafusion-abc").exists() && spill.join("notes.txt").exists());
    }
}
