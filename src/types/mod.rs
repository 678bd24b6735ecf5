//! What a value is: SQL types over Arrow's and Delta's, single values, and their texts.
//!
//! ```text
//!  SqlType ── names, OIDs, modifiers ──▶ clients          Datum ── one value ──▶ functions, system relations
//!     │                                                     │
//!     └────── arrow_type ──▶ arrays ◀── read / write ───────┘
//!        Form + encode / input / convert: one way to text, from text and between types, for casts, functions, COPY and clients
//!                              │
//!                 numeric: numbers with a scale each ── encoded, by which they are equal and in order
//!                              │
//!                 lakehold_values: text, calendar, numbers (a crate of its own, without DataFusion)
//! ```
//! The room stands near the ground because the catalog, the lake, functions, the binder and the wire all speak of types.
//!
//! Absent: which operators and functions there are (`functions`, `sql::bind`), and who may see what.

pub mod convert;
pub mod datum;
pub mod encode;
mod form;
pub mod input;
mod interval;
pub mod numeric;
mod sql_type;
#[cfg(test)]
mod tests;

pub use form::{Form, ObjectNames};
pub use interval::{from_arrow_interval, to_arrow_interval};
pub use lakehold_values as values;
pub use sql_type::{RegKind, SQL_TYPE_KEY, SqlType};
