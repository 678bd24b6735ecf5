//! Text to bound statement.

pub mod statement;
