//! What an operator can set about sessions.

use serde::{Deserialize, Serialize};

use crate::units::ByteSize;

/// Options of sessions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SessionOptions {
    /// What a user may hold in temporary tables, in all sessions together, in bytes before compression.
    pub temporary_tables: ByteSize,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self { temporary_tables: ByteSize(16 << 30) }
    }
}
