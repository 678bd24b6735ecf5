//! Who holds how much memory, and who must let go.
//!
//! ```text
//!   query ─ try_grow ─▶ QueryPool ── own limit ──▶ shared greedy pool ── limit ──▶ granted | ResourcesExhausted (spill, or 53200)
//!                          ▲
//!   watchdog ─ every 200 ms: resident memory above the mark? ─ ends the query that holds most
//! ```
//! The pool counts what operators declare. What they do not declare (decoded pages, intermediate arrays) shows in the resident set only,
//! hence the watchdog. Between queries the pool is greedy: a fair pool starves concurrent queries, and admission bounds their number already.
//! Within a query it is fair, or its first sort would leave nothing to the second. Whoever can spill leaves some room, because merging
//! what was spilled takes memory of its own.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// How often the watchdog looks.
const WATCH_INTERVAL: Duration = Duration::from_millis(200);

/// How long an ended query has to give its memory back before another one is looked for.
const RELEASE_TIME: Duration = Duration::from_secs(2);

/// The memory of all queries.
#[derive(Debug)]
pub(super) struct Memory {
    shared: GreedyMemoryPool,
    total: usize,
    per_query: Option<usize>,
    queries: Mutex<BTreeMap<u64, Weak<QueryPool>>>,
    next: AtomicU64,
}

impl Memory {
    /// A pool of `total` bytes, of which one query may have `per_query`.
    pub(super) fn new(total: usize, per_query: Option<usize>) -> Arc<Self> {
        Arc::new(Self {
            shared: GreedyMemoryPool::new(total),
            total,
            per_query,
            queries: Mutex::new(BTreeMap::new()),
            next: AtomicU64::new(0),
        })
    }

    /// The account of one query. `ended` is cancelled when the watchdog picks it.
    pub(super) fn account(self: &Arc<Self>, ended: CancellationToken) -> Arc<QueryPool> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let limit = self.per_query.unwrap_or(self.total).min(self.total);
        let pool = Arc::new(QueryPool { id, memory: Arc::clone(self), limit, held: Mutex::default(), ended });
        self.queries.lock().insert(id, Arc::downgrade(&pool));
        pool
    }

    /// Ends the query that holds most; false when no query runs.
    fn end_biggest(&self) -> bool {
        let queries = self.queries.lock();
        let live = queries.values().filter_map(Weak::upgrade).filter(|pool| !pool.ended.is_cancelled());
        let Some(biggest) = live.max_by_key(|pool| pool.used()) else { return false };
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
                    drop(memory);
                    std::thread::sleep(RELEASE_TIME);
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
    limit: usize,
    held: Mutex<Held>,
    ended: CancellationToken,
}

/// What the operators of one query hold.
#[derive(Debug, Default)]
struct Held {
    /// Operators that share fairly among them.
    sharers: usize,
    /// Bytes of all operators.
    total: usize,
}

/// Sorts and aggregates share; exchanges can spill too, but are many and hold little.
fn shares(consumer: &MemoryConsumer) -> bool {
    consumer.can_spill() && !consumer.name().starts_with("RepartitionExec")
}

/// What operators that can spill share of `limit`.
const fn shareable(limit: usize) -> usize {
    limit / 10 * 7
}

/// What `reservation` may bring the whole query to. A sort merges as many of its runs at once as memory allows, so it leaves some to sorts that
/// begin later, and to the merge of the sorted partitions above it. Whoever holds nothing yet may go further than who wants more.
fn ceiling(reservation: &MemoryReservation, limit: usize) -> usize {
    let consumer = reservation.consumer();
    let begins = reservation.size() == 0;
    if consumer.name().starts_with("ExternalSorterMerge") {
        if begins { limit / 20 * 19 } else { limit / 10 * 9 }
    } else if shares(consumer) && !begins {
        limit / 20 * 19
    } else {
        limit
    }
}

impl QueryPool {
    /// Bytes held now.
    fn used(&self) -> usize {
        self.held.lock().total
    }

    /// Takes `additional` from the query's own limit.
    fn take(&self, reservation: &MemoryReservation, additional: usize) -> bool {
        let consumer = reservation.consumer();
        let mut held = self.held.lock();
        let share = shareable(self.limit) / held.sharers.max(1);
        let fair = !shares(consumer) || reservation.size().saturating_add(additional) <= share;
        let granted = fair && held.total.saturating_add(additional) <= ceiling(reservation, self.limit);
        if granted {
            held.total += additional;
        }
        granted
    }

    fn give_back(&self, bytes: usize) {
        let mut held = self.held.lock();
        held.total = held.total.saturating_sub(bytes);
    }

    fn exhausted(&self, reservation: &MemoryReservation, additional: usize) -> DataFusionError {
        let (consumer, used) = (reservation.consumer().name(), self.used());
        DataFusionError::ResourcesExhausted(format!(
            "{consumer} asks for {additional} bytes more, its query has {used} of {}",
            self.limit
        ))
    }
}

impl Drop for QueryPool {
    fn drop(&mut self) {
        self.memory.queries.lock().remove(&self.id);
    }
}

impl fmt::Display for QueryPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "query(used: {})", self.used())
    }
}

impl MemoryPool for QueryPool {
    fn name(&self) -> &str {
        "query"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        if shares(consumer) {
            self.held.lock().sharers += 1;
        }
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        if shares(consumer) {
            let mut held = self.held.lock();
            held.sharers = held.sharers.saturating_sub(1);
        }
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.held.lock().total += additional;
        self.memory.shared.grow(reservation, additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.give_back(shrink);
        self.memory.shared.shrink(reservation, shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        if !self.take(reservation, additional) {
            return Err(self.exhausted(reservation, additional));
        }
        let shared = &self.memory.shared;
        let room = !shares(reservation.consumer()) || shared.reserved().saturating_add(additional) <= shareable(self.memory.total);
        let granted = if room { shared.try_grow(reservation, additional) } else { Err(self.exhausted(reservation, additional)) };
        if granted.is_err() {
            self.give_back(additional);
        }
        granted
    }

    fn reserved(&self) -> usize {
        self.used()
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.limit)
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
    fn what_can_spill_shares_and_leaves_room_for_merging() {
        let memory = Memory::new(1000, Some(100));
        let pool: Arc<dyn MemoryPool> = memory.account(CancellationToken::new());
        let sort = |name: &str| MemoryConsumer::new(name).with_can_spill(true).register(&pool);
        let (one, two) = (sort("one"), sort("two"));
        one.try_grow(35).unwrap();
        assert!(one.try_grow(1).is_err());
        two.try_grow(35).unwrap();
        let merge = MemoryConsumer::new("merge").register(&pool);
        merge.try_grow(30).unwrap();
        assert!(merge.try_grow(1).is_err());
        drop(two);
        drop(merge);
        one.try_grow(35).unwrap();
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
