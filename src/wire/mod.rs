//! Door: the PostgreSQL protocol.

pub mod backend;
pub mod encode;
