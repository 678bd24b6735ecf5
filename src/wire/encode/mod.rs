//! Arrow record batches to PostgreSQL's bytes, and parameters back.
//!
//! ```text
//!  RecordBatch ─▶ one column writer a column ─▶ cells (length + bytes, dense, one buffer a column) ─▶ gather ─▶ DataRow / CopyData
//!  Bind bytes  ─▶ decode_parameter ─▶ ScalarValue
//! ```
//! A column is written as a whole: its writer is chosen once, from the column's Arrow type, SQL type and format, so no value pays
//! for a match, a downcast or an allocation. The cells of a few hundred rows stay in the processor's cache until they are gathered
//! into rows.

mod cells;
mod column;
mod copy;
mod json;
mod list;
mod names;
mod numeric;
mod parameter;
pub(super) mod parameter_binary;
mod record;
mod repeated;
mod rows;
mod scalar;
mod settings;
mod temporal;

pub use copy::CopyEncoder;
pub use names::ContextNames;
pub use parameter::decode_parameter;
pub(super) use parameter::text;
pub use rows::RowEncoder;
pub use settings::{EncodeSettings, Format, ObjectNames};

#[cfg(test)]
mod tests;
