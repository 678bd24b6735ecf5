//! Black-box tests: they start the real binary, speak the PostgreSQL protocol to it, and link none of the engine.

mod cli;
mod differential;
mod fuzz;
mod governance;
mod hostile;
mod layers;
mod lifecycle;
mod lock_file;
mod queries;
mod server;
mod statements;
mod twin;
