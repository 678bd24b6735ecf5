//! Errors, as [`lakehold_values::error`] defines them for all rooms, and what the libraries underneath report in their terms.

pub mod datafusion;
mod regex;

pub use lakehold_values::error::{Error, ErrorKind, Result};
pub use regex::regex_fault;
