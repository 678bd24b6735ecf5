//! The command line: arguments, configuration, one of four modes.

use std::process::ExitCode;

use clap::Parser;
use lakehold::cli::{self, Arguments};

fn main() -> ExitCode {
    cli::run(Arguments::parse())
}
