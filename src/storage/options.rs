//! What an operator can set about object stores.

use serde::{Deserialize, Serialize};

use crate::units::HumanDuration;

/// Options of object storage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StorageOptions {
    /// Longest time to open a connection to a store.
    pub connect_timeout: HumanDuration,
    /// Longest time for one request, answer included.
    pub request_timeout: HumanDuration,
    /// How often a failed request is sent again. Commits are read back after a doubtful answer, so a repeated PUT is safe.
    pub max_retries: usize,
    /// Longest time for one request and its repetitions together.
    pub retry_timeout: HumanDuration,
    /// Flush files and directories to the disk before a local commit counts. Off: a power loss can lose acknowledged commits.
    pub fsync: bool,
    /// Allow unencrypted HTTP where a credential's options ask for it (`allow_http = true`), as local S3 servers need.
    pub allow_http: bool,
}

impl Default for StorageOptions {
    fn default() -> Self {
        Self {
            connect_timeout: HumanDuration::secs(5),
            request_timeout: HumanDuration::secs(30),
            max_retries: 5,
            retry_timeout: HumanDuration::secs(60),
            fsync: true,
            allow_http: false,
        }
    }
}
