//! Names and rules of the warehouse: what exists, who owns it, who may do what with it.
//!
//! ```text
//!            write(|change| ..)                          commit                       swap
//!  caller ──▶ Change: a private copy of the snapshot ──▶ Store: one transaction ──▶ CatalogSnapshot number n + 1
//!                                                         SQLite | memory                    │
//!  everybody else ◀── snapshot(): an Arc, never waits, never changes ◀─────────────────────┘
//! ```
//! A statement pins one [`CatalogSnapshot`] and decides by it alone. Nothing here knows a query plan, a session or a clock, and
//! nothing here decides whether a statement is allowed: it answers what a principal holds, `governance` decides.

pub mod change;
pub mod metastore;
pub mod privilege;
pub mod securable;
pub mod snapshot;

mod columns;
mod dependents;
mod in_force;
mod names;
mod rules;
mod store;

pub use change::{Change, NewFunction, NewPrincipal, NewRelation, NewTable, NewToken, Revocation};
pub use columns::{ColumnIdentity, NewColumns, SeenColumn, SeenColumns, learned};
pub use metastore::{CatalogOptions, DEFAULT_CATALOG, DEFAULT_SCHEMA, Metastore};
pub use names::{quote_name, url_covers};
pub use snapshot::{CatalogSnapshot, Orphan, SettingScope, Temporary};
