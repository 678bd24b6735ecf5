//! Door: the PostgreSQL protocol.

pub mod encode;
