//! One client.

pub mod outcome;
pub mod portal;
pub mod prepared;
