//! Names and rules of the warehouse.

pub mod privilege;
pub mod securable;
pub mod types;
