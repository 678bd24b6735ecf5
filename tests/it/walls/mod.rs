//! What stands around the governed scan: each of these got past it once, or could have.

mod columns;
mod effects;
mod names;
mod policies;
mod rights;
mod serving;
mod stored_text;
mod views;
