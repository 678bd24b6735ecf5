//! What can be set about planning and execution.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::units::{ByteSize, HumanDuration};

/// Options of the engine. `0` and `0B` mean "from the machine", where a key says so.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EngineOptions {
    /// Threads that execute queries. `0`: one for each core. They do nothing else, so that accepting, cancelling and answering stay quick.
    pub worker_threads: usize,
    /// Threads that bind and plan, each with a stack of 64 MiB. `0`: one for each core, at least two. A planner that was given up has its thread
    /// back when it next looks up.
    pub planner_threads: usize,
    /// Partitions of one query. `0`: as many as worker threads.
    pub target_partitions: usize,
    /// Queries that execute at the same time. `0`: two for each core.
    pub concurrent_queries: usize,
    /// Queries that may wait for their turn; one more is refused with 53400.
    pub queue_length: usize,
    /// Longest wait for a turn; refused with 53400 afterwards.
    pub queue_timeout: HumanDuration,
    /// Memory for all queries together: sorts, joins, aggregates. `0B`: 60 % of the machine's or the container's memory.
    pub memory: ByteSize,
    /// Memory for one query. `0B`: no bound of its own.
    pub memory_per_query: ByteSize,
    /// Resident memory of the process above which the query that holds most is ended. `0B`: 85 % of the machine's or the container's memory.
    pub resident_memory: ByteSize,
    /// Directory for what does not fit into memory; it is emptied at start. The server resolves a relative path below its data directory.
    pub spill_directory: PathBuf,
    /// Upper bound for all temporary files together.
    pub spill: ByteSize,
    /// Upper bound for cached Parquet footers.
    pub footer_cache: ByteSize,
    /// Largest value that a function such as `repeat` or `array_repeat` may build.
    pub function_output: ByteSize,
    /// How plans are made.
    pub planning: PlanOptions,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            worker_threads: 0,
            planner_threads: 0,
            target_partitions: 0,
            concurrent_queries: 0,
            queue_length: 200,
            queue_timeout: HumanDuration::secs(300),
            memory: ByteSize(0),
            memory_per_query: ByteSize(0),
            resident_memory: ByteSize(0),
            spill_directory: PathBuf::from("spill"),
            spill: ByteSize(16 << 30),
            footer_cache: ByteSize::mib(128),
            function_output: ByteSize::mib(64),
            planning: PlanOptions::default(),
        }
    }
}

/// How plans are made. The defaults are measured on TPC-H; change them to measure again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PlanOptions {
    /// Rows of one batch.
    pub batch_size: usize,
    /// Evaluate predicates while Parquet is decoded. Helps selective joins, hurts plain filters; off is better on the whole.
    pub filter_while_decoding: bool,
    /// Let joins, TopK and aggregates tell scans at run time what cannot match.
    pub dynamic_filters: bool,
    /// Use the statistics of the Delta log to choose join sides.
    pub statistics: bool,
    /// Read the page index of Parquet files.
    pub page_index: bool,
    /// Prefer hash joins to sort-merge joins.
    pub hash_joins: bool,
    /// A join side below this size is built once instead of being partitioned.
    pub broadcast_threshold: ByteSize,
    /// Reserved for each sort that may have to spill; less where a query has little memory.
    pub sort_spill_reservation: ByteSize,
}

impl Default for PlanOptions {
    fn default() -> Self {
        Self {
            batch_size: 8192,
            filter_while_decoding: false,
            dynamic_filters: true,
            statistics: true,
            page_index: true,
            hash_joins: true,
            broadcast_threshold: ByteSize::mib(1),
            sort_spill_reservation: ByteSize::mib(10),
        }
    }
}

impl EngineOptions {
    /// Cores of the machine.
    fn cores() -> usize {
        std::thread::available_parallelism().map_or(1, usize::from)
    }

    /// Worker threads, resolved.
    pub fn workers(&self) -> usize {
        if self.worker_threads == 0 { Self::cores() } else { self.worker_threads }
    }

    /// Planner threads, resolved.
    pub fn planners(&self) -> usize {
        if self.planner_threads == 0 { Self::cores().max(2) } else { self.planner_threads }
    }

    /// Partitions of one query, resolved.
    pub fn partitions(&self) -> usize {
        if self.target_partitions == 0 { self.workers() } else { self.target_partitions }
    }

    /// Queries at the same time, resolved.
    pub fn slots(&self) -> usize {
        if self.concurrent_queries == 0 { 2 * Self::cores() } else { self.concurrent_queries }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_what_an_empty_section_says() {
        let empty: EngineOptions = toml::from_str("").unwrap();
        assert_eq!(empty, EngineOptions::default());
        assert!(toml::from_str::<EngineOptions>("unknown_key = 1").is_err());
    }

    #[test]
    fn zero_means_from_the_machine() {
        let options = EngineOptions::default();
        assert!(options.workers() >= 1 && options.planners() >= 2 && options.slots() >= 2);
        let fixed = EngineOptions { worker_threads: 3, ..options };
        assert_eq!((fixed.workers(), fixed.partitions()), (3, 3));
    }
}
