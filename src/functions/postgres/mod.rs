//! PostgreSQL's functions that the engine does not have, or has with another meaning.

pub(crate) mod advisory;
mod array;
pub(crate) mod bytes;
pub mod catalog;
mod compose;
mod datetime;
pub mod definition;
pub mod describe;
pub(crate) mod json;
mod number;
mod number_template;
pub mod privileges;
mod rounding;
pub mod session;
pub mod sleep;
mod template;
mod text;

pub(crate) use datetime::{Extract, zone_rows};
pub(crate) use rounding::Round;
pub(crate) use text::quote_literal;

use super::define::Declaration;

/// Every declaration of this room.
pub(super) fn declarations() -> Vec<Declaration> {
    [
        session::declarations(),
        catalog::declarations(),
        privileges::declarations(),
        definition::declarations(),
        text::declarations(),
        compose::declarations(),
        bytes::declarations(),
        datetime::declarations(),
        template::declarations(),
        number::declarations(),
        array::declarations(),
        json::declarations(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
