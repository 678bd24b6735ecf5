//! Black-box tests: they start the real binary, speak the PostgreSQL protocol to it, and link none of the engine.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test that cannot go on fails; its tasks end with it"
)]

mod bad_input;
mod cli;
mod conformance;
mod copy;
mod corpora;
mod differential;
mod fuzz;
mod governance;
mod hostile;
mod interruption;
mod layers;
mod lifecycle;
mod lock_file;
mod login;
mod prepared;
mod queries;
mod raw;
mod server;
mod sessions;
mod statements;
mod twin;
mod walls;
