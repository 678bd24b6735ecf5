//! Arrow record batches to PostgreSQL's bytes, and parameters back.
//!
//! ```text
//!  RecordBatch ─▶ one column writer a column ─▶ cells (length + bytes, dense, one buffer a column) ─▶ gather ─▶ DataRow / CopyData
//!  Bind bytes  ─▶ decode_parameter ─▶ ScalarValue
//! ```
//! The writers are [`crate::types::encode`]'s, which casts and functions use as well. The cells of a few hundred rows stay in the
//! processor's cache until they are gathered into rows.

mod copy;
mod parameter;
pub(super) mod parameter_binary;
mod rows;

pub use copy::CopyEncoder;
pub use parameter::decode_parameter;
pub(super) use parameter::text;
pub use rows::RowEncoder;

pub use crate::types::encode::Format;
pub use crate::types::{Form, ObjectNames};

#[cfg(test)]
mod tests;
