//! SQL functions: an explicit allow-list.
//!
//! ```text
//!  name ─▶ Functions ─┬─ ours (PostgreSQL's and Databricks' words; may hold the statement's FunctionContext)
//!                     └─ DataFusion's, if the allow-list names them
//! ```
//! A name that stands in neither list does not exist, whatever the engine underneath can do: an upgrade that brings a new function
//! fails a test until somebody has decided about it. Each says what it depends on and what it does ([`Behaviour`]). No function reads files, the network, the environment or the engine's build;
//! nothing a user creates can stand in front of a function named here.

mod aggregate;
#[cfg(test)]
mod answers;
pub mod behaviour;
pub mod builtin;
mod conditional;
mod context;
pub mod conversion;
mod databricks;
pub(crate) mod define;
mod extreme;
mod interval_aggregate;
mod moments;
pub mod names;
pub(crate) mod numeric;
pub mod object_names;
pub(crate) mod ordered;
pub mod output;
pub mod pattern;
pub mod postgres;
pub mod regex;
mod registry;
pub mod session;
mod variance;
#[cfg(test)]
pub(crate) mod world;

pub use behaviour::Behaviour;
pub use context::FunctionContext;
pub use postgres::session::{SERVER_VERSION, SERVER_VERSION_NUMBER};
pub use registry::{Functions, SetReturning};
pub use session::SessionControl;
