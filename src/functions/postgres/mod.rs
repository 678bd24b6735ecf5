//! PostgreSQL's functions that the engine does not have, or has with another meaning.

pub(crate) mod advisory;
mod array;
pub(crate) mod bytes;
pub mod catalog;
mod compose;
mod datetime;
pub mod definition;
pub mod describe;
mod float;
mod integer;
pub(crate) mod json;
mod moment_operators;
mod number;
mod number_template;
mod numeric;
pub mod privileges;
mod rounding;
pub mod session;
pub mod sleep;
mod template;
mod text;
mod zone;

pub(crate) use datetime::Extract;
pub(crate) use rounding::Round;
pub(crate) use text::quote_literal;
pub(crate) use zone::zone_rows;

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
        super::regex::declarations(),
        super::pattern::declarations(),
        datetime::declarations(),
        moment_operators::declarations(),
        zone::declarations(),
        template::declarations(),
        number::declarations(),
        integer::declarations(),
        float::declarations(),
        numeric::declarations(),
        array::declarations(),
        json::declarations(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
