//! Text to bound statement.

pub mod bind;
pub mod call;
mod dialect;
pub(crate) mod internal_name;
pub mod limits;
pub mod parser;
pub mod redact;
mod references;
mod remembered;
pub mod resolve;
mod rewrite;
pub mod scope;
pub mod source;
pub mod statement;
pub mod stored;
mod token;
pub mod type_name;

pub use bind::names::{FoundRelation, SearchPath};
pub use bind::{
    bind, bind_expression, bind_to, check_mask, check_row_filter, qualify_expression, qualify_query, type_of_expression,
    unfit_for_policies,
};
pub use limits::Limits;
pub use parser::parse;
pub use redact::redact;
pub use remembered::Remembered;
pub use resolve::{Resolved, known_columns, resolve, resolve_expression, table_ref};
pub use scope::{Pins, Scope};
pub use source::{Access, AccessBy, BoundPolicies, BoundQuery, SecurableSource, SourceRelation};
pub use type_name::sql_type_of;
