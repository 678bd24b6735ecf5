//! Door: the PostgreSQL protocol.
//!
//! ```text
//!  listener ─▶ startup (tls, limits, login) ─▶ connection ─┬─ simple   ─┐
//!      │                                       transport   └─ extended ─┴─▶ backend (the session) ─▶ rows ─▶ encode
//!      └ cancel ─────────────────────────────▶ interrupt ──────────────────────────┘
//! ```
//! `pgwire` encodes the messages of the server; the loop, the login and the decoding of what clients send are ours, because lengths
//! must be checked before they are believed, rows must leave while others are computed, and a cancellation must reach the queue,
//! the planning and the rows. Nothing here knows a table, a privilege or a plan. Replication, the function call protocol
//! and GSSAPI encryption are refused.

pub mod backend;
pub mod encode;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;

mod cancel;
mod connection;
mod copy_in;
mod decode;
#[cfg(any(test, fuzzing))]
mod double;
mod error;
mod extended;
mod frontend;
mod interrupt;
mod limits;
mod listener;
mod local;
#[cfg(test)]
mod loopback;
mod options;
mod peer;
mod rows;
mod simple;
mod startup;
mod tls;
mod transport;
mod warehouse;

pub use listener::{Door, serve};
pub use local::LocalDoor;
pub use options::{TlsOptions, TlsRequirement, WireOptions};
pub use startup::SERVER_VERSION;
pub use tls::{Tls, self_signed};
pub use warehouse::Warehouse;
