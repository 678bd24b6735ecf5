//! Lakehold: a PostgreSQL-wire SQL warehouse over Delta Lake tables, with row and column governance.
//!
//! ```text
//!  bytes ─ wire ─▶ session ─▶ sql ─▶ governance ─▶ engine ─▶ lake ─▶ storage
//!                     │        │         │
//!                     ▼        ▼         ▼
//!                  command   system ── catalog
//! ```
//! Read the rooms from the ground up; a room knows the rooms below it only (`tests/it/layers.rs` holds the floors).

/// Kinds, texts and protocol codes of everything that can go wrong.
pub mod error;
/// Sizes and durations with their unit in the type.
pub mod units;

/// What a value is: SQL types, single values, their texts.
pub mod types;

/// Logs and metrics.
pub mod telemetry;

/// Names and rules: securables, principals, privileges, grants, policies; numbered snapshots over a durable store.
pub mod catalog;
/// Object stores, each rooted at one location.
pub mod storage;

/// Who are you: passwords and the SCRAM exchange.
pub mod auth;
/// SQL functions: an explicit allow-list.
pub mod functions;
/// Delta tables: snapshots, scans, commits, time travel.
pub mod lake;

/// Tables about the warehouse: `pg_catalog`, `information_schema`.
pub mod system;

/// Text to bound statement: parser, name resolution, binder. Knows names and types, not privileges.
pub mod sql;

/// Bound to governed: the one gate. Knows principals and policies; does no I/O.
pub mod governance;

/// Governed to batches: planning, admission, execution.
pub mod engine;

/// Statements that change or describe the warehouse.
pub mod command;

/// One client and the path of its statements.
pub mod session;

/// Door: health and metrics over HTTP.
pub mod http;
/// Door: the PostgreSQL protocol.
pub mod wire;

/// Composes, loads and checks the rooms' options.
pub mod config;

/// Composition root: builds the rooms bottom-up, opens the doors, drains.
pub mod server;

/// A warehouse to try.
pub mod demo;

/// The command line.
pub mod cli;
