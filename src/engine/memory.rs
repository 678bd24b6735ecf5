//! Who holds how much memory, and who must let go.
//!
//! ```text
//!   query ─ try_grow ─▶ QueryPool ── own limit ──▶ shared greedy pool ── limit ──▶ granted | ResourcesExhausted (spill, or 53200)
//!                          ▲
//!   watchdog ─ every 200 ms: resident memory above the mark? ─ ends the query that holds most
//! ```
//! The pool counts what operators declare. What they do not declare (decoded pages, intermediate arrays) shows in the resident set only,
//! hence the watchdog. The shared pool is greedy: a fair pool starves concurrent queries, and admission bounds their number already.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryLimit, MemoryPool, MemoryReservation};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// How often the watchdog looks.
const WATCH_INTERVAL: Duration = Duration::from_millis(200);

/// The memory of all queries.
#[derive(Debug)]
pub(super) struct Memory {
    shared: Arc<GreedyMemoryPool>,
    per_query: Option<usize>,
    queries: Mutex<BTreeMap<u64, Weak<QueryPool>>>,
    next: AtomicU64,
}

impl Memory {
    /// A pool of `total` bytes, of which one query may have `per_query`.
    pub(super) fn new(total: usize, per_query: Option<usize>) -> Arc<Self> {
        Arc::new(Self {
            shared: Arc::new(GreedyMemoryPool::new(total)),
            per_query,
            queries: Mutex::new(BTreeMap::new()),
            next: AtomicU64::new(0),
        })
    }

    /// The account of one query. `ended` is cancelled when the watchdog picks it.
    pub(super) fn account(self: &Arc<Self>, ended: CancellationToken) -> Arc<QueryPool> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let pool = Arc::new(QueryPool { id, memory: Arc::clone(self), used: AtomicUsize::new(0), ended });
        self.queries.lock().insert(id, Arc::downgrade(&pool));
        pool
    }

    /// Ends the query that holds most; false when no query runs.
    fn end_biggest(&self) -> bool {
        let queries = self.queries.lock();
        let live = queries.values().filter_map(Weak::upgrade).filter(|pool| !pool.ended.is_cancelled());
        let Some(biggest) = live.max_by_key(|pool| pool.used.load(Ordering::Relaxed)) else { return false };
        biggest.ended.cancel();
        true
    }

    /// Watches the resident set until the last handle on the memory is gone.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub(super) fn watch(self: &Arc<Self>, mark: u64) -> std::io::Result<()> {
        let memory = Arc::downgrade(self);
        std::thread::Builder::new().name("memory-watchdog".into()).spawn(move || {
            loop {
                std::thread::sleep(WATCH_INTERVAL);
                let Some(memory) = memory.upgrade() else { return };
                let Some(resident) = resident_bytes() else { return };
                if resident > mark && memory.end_biggest() {
                    warn!(resident, mark, "resident memory above the mark, ended the biggest query");
                }
            }
        })?;
        Ok(())
    }
}

/// The account of one query: a [`MemoryPool`] over the shared one.
#[derive(Debug)]
pub(super) struct QueryPool {
    id: u64,
    memory: Arc<Memory>,
    used: AtomicUsize,
    ended: CancellationToken,
}

impl Drop for QueryPool {
    fn drop(&mut self) {
        self.memory.queries.lock().remove(&self.id);
    }
}

impl fmt::Display for QueryPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "query(used: {})", self.used.load(Ordering::Relaxed))
    }
}

impl MemoryPool for QueryPool {
    fn name(&self) -> &str {
        "query"
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.used.fetch_add(additional, Ordering::Relaxed);
        self.memory.shared.grow(reservation, additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.used.fetch_sub(shrink, Ordering::Relaxed);
        self.memory.shared.shrink(reservation, shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let limit = self.memory.per_query.unwrap_or(usize::MAX);
        let within = |used: usize| used.checked_add(additional).filter(|sum| *sum <= limit);
        if self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, within).is_err() {
            return Err(DataFusionError::ResourcesExhausted("the query's memory is used up".into()));
        }
        let granted = self.memory.shared.try_grow(reservation, additional);
        if granted.is_err() {
            self.used.fetch_sub(additional, Ordering::Relaxed);
        }
        granted
    }

    fn reserved(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    fn memory_limit(&self) -> MemoryLimit {
        match self.memory.per_query {
            Some(limit) => MemoryLimit::Finite(limit),
            None => self.memory.shared.memory_limit(),
        }
    }
}

/// Memory of the machine, or of the container when that is less.
pub(super) fn machine_memory() -> u64 {
    let machine = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
    });
    let container = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
        .into_iter()
        .find_map(|path| std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok());
    let known = machine.into_iter().chain(container).min();
    known.unwrap_or(4 << 30)
}

/// Resident memory of this process.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
}

#[cfg(test)]
mod tests {
    use datafusion::execution::memory_pool::MemoryConsumer;

    use super::*;

    #[test]
    fn a_query_stops_at_its_own_limit_and_all_together_at_the_shared_one() {
        let memory = Memory::new(150, Some(100));
        let one: Arc<dyn MemoryPool> = memory.account(CancellationToken::new());
        let two: Arc<dyn MemoryPool> = memory.account(CancellationToken::new());
        let first = MemoryConsumer::new("one").register(&one);
        let second = MemoryConsumer::new("two").register(&two);
        first.try_grow(100).unwrap();
        assert!(first.try_grow(1).is_err());
        assert!(second.try_grow(60).is_err());
        second.try_grow(50).unwrap();
        drop(first);
        second.try_grow(50).unwrap();
        assert_eq!((one.reserved(), two.reserved()), (0, 100));
    }

    #[test]
    fn the_watchdog_ends_the_biggest_query_first() {
        let memory = Memory::new(1000, None);
        let tokens = [CancellationToken::new(), CancellationToken::new()];
        let pools = tokens.clone().map(|token| memory.account(token) as Arc<dyn MemoryPool>);
        let small = MemoryConsumer::new("small").register(&pools[0]);
        let big = MemoryConsumer::new("big").register(&pools[1]);
        small.grow(10);
        big.grow(500);
        assert!(memory.end_biggest());
        assert_eq!(tokens.clone().map(|token| token.is_cancelled()), [false, true]);
        assert!(memory.end_biggest());
        assert!(tokens[0].is_cancelled());
        assert!(!memory.end_biggest());
    }

    #[test]
    fn the_machine_has_memory_and_we_use_some() {
        assert!(machine_memory() > 64 << 20);
        assert!(resident_bytes().unwrap() > 1 << 20);
    }
}
