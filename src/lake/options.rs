//! What an operator can set about Delta tables.

use serde::{Deserialize, Serialize};

use crate::units::{ByteSize, HumanDuration};

/// Options of the lake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LakeOptions {
    /// Age up to which a resident snapshot is used without looking at the log. `0ms` looks at the log's tail with every statement, so
    /// that commits of other programs are seen at once.
    pub freshness: HumanDuration,
    /// Upper bound for resident snapshots (file lists and their statistics) together.
    pub snapshot_cache: ByteSize,
    /// Upper bound for decoded deletion vectors together.
    pub deletion_vector_cache: ByteSize,
    /// Size at which a data file is closed and the next is begun.
    pub target_file_size: ByteSize,
    /// Most partitions that one write keeps open files for; the largest is closed when one more is needed.
    pub max_open_partitions: usize,
    /// Most memory that one write holds for open row groups together.
    pub write_buffer: ByteSize,
    /// A checkpoint is written in the background when this many commits lie behind the newest; `delta.checkpointInterval` of a table wins.
    pub checkpoint_interval: u64,
    /// How often a blind append is tried again on the newest version before it fails with 40001.
    pub commit_retries: usize,
    /// Compression of data files.
    pub compression: FileCompression,
}

/// Compression of the Parquet files that we write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileCompression {
    /// Fast, as other Delta writers do.
    Snappy,
    /// Smaller files for more CPU.
    Zstd,
}

impl Default for LakeOptions {
    fn default() -> Self {
        Self {
            freshness: HumanDuration::millis(0),
            snapshot_cache: ByteSize::mib(512),
            deletion_vector_cache: ByteSize::mib(64),
            target_file_size: ByteSize::mib(128),
            max_open_partitions: 64,
            write_buffer: ByteSize::mib(256),
            checkpoint_interval: 100,
            commit_retries: 100,
            compression: FileCompression::Snappy,
        }
    }
}
