//! Governed to batches.
