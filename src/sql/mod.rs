//! Text to bound statement.

pub mod limits;
pub mod parser;
pub mod statement;
pub mod type_name;

pub use limits::Limits;
pub use parser::parse;
pub use type_name::sql_type_of;
