//! The command line: `serve`, `demo`, `user`, `check-config`.
//!
//! Exit codes: 0 done, 64 wrong usage or configuration (before any port is bound), 1 anything else.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};

use crate::auth::verifier::{DEFAULT_ITERATIONS, Verifier};
use crate::catalog::securable::Secret;
use crate::catalog::{Metastore, NewPrincipal};
use crate::config::Config;
use crate::demo::{self, DemoOptions};
use crate::error::{Error, ErrorKind, Result};
use crate::server::{self, ServerOptions};

/// `EX_USAGE` of sysexits.
const USAGE: u8 = 64;

/// A PostgreSQL-wire SQL warehouse over Delta Lake tables, with row and column governance.
#[derive(Debug, Parser)]
#[command(name = "lakehold", version, about)]
pub struct Arguments {
    #[command(subcommand)]
    mode: Mode,
}

#[derive(Debug, Subcommand)]
enum Mode {
    /// Serve a data directory.
    Serve(ServeArguments),
    /// Serve sample data with users and policies, and say how to try them.
    Demo(DemoArguments),
    /// Manage users of a data directory that no server has open.
    User(UserArguments),
    /// Read the configuration, say what is wrong with it, and exit.
    CheckConfig(Configured),
}

#[derive(Debug, Args)]
struct Configured {
    /// Configuration file (TOML).
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Set one key, over file and environment; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
}

impl Configured {
    fn load(&self) -> Result<Config> {
        Config::load(self.config.as_deref(), &self.settings)
    }
}

#[derive(Debug, Args)]
struct ServeArguments {
    /// Where metastore, managed tables, spill files and certificates live.
    #[arg(long, value_name = "DIR", default_value = "lakehold-data")]
    data_dir: PathBuf,
    #[command(flatten)]
    configured: Configured,
}

#[derive(Debug, Args)]
struct DemoArguments {
    /// Where the sample warehouse is kept for the next start.
    #[arg(long, value_name = "DIR", default_value = "lakehold-data/demo")]
    data_dir: PathBuf,
    /// TPC-H scale factor of the sample data: 1 is six million order lines.
    #[arg(long, default_value_t = 0.1)]
    scale: f64,
    /// PostgreSQL port on 127.0.0.1.
    #[arg(long, default_value_t = 5433)]
    port: u16,
    #[command(flatten)]
    configured: Configured,
}

#[derive(Debug, Args)]
struct UserArguments {
    /// Data directory.
    #[arg(long, value_name = "DIR", default_value = "lakehold-data", global = true)]
    data_dir: PathBuf,
    #[command(subcommand)]
    action: UserAction,
}

#[derive(Debug, Subcommand)]
enum UserAction {
    /// Add a user; the password is read from standard input.
    Add {
        /// Name.
        name: String,
        /// Make the user an administrator.
        #[arg(long)]
        admin: bool,
    },
    /// Set a user's password, read from standard input.
    Password {
        /// Name.
        name: String,
    },
    /// List users and groups.
    List,
}

/// Runs the mode that the arguments name.
pub fn run(arguments: Arguments) -> ExitCode {
    std::panic::set_hook(Box::new(log_panic));
    let outcome = match arguments.mode {
        Mode::Serve(serve) => run_server(serve),
        Mode::Demo(demo) => run_demo(demo),
        Mode::User(user) => manage_users(&user),
        Mode::CheckConfig(configured) => configured.load().map(|_| println!("configuration is valid")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::from(if error.kind() == ErrorKind::Config { USAGE } else { 1 })
        }
    }
}

/// Logs where a panic came from. Its text may hold a value that no log may show, so it is left out.
fn log_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(%place, thread = std::thread::current().name().unwrap_or_default(), "panicked");
}

fn report(error: &Error) {
    eprintln!("lakehold: {error}");
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        eprintln!("  caused by: {cause}");
        source = cause.source();
    }
    if let Some(hint) = error.hint() {
        eprintln!("  hint: {hint}");
    }
}

fn run_server(arguments: ServeArguments) -> Result<()> {
    let config = arguments.configured.load()?;
    let options = ServerOptions { config, data_dir: absolute(&arguments.data_dir)?, admin_password: None };
    runtime()?.block_on(server::run(options, |_| async { Ok(()) }))
}

fn run_demo(arguments: DemoArguments) -> Result<()> {
    let mut config = arguments.configured.load()?;
    if !arguments.configured.settings.iter().any(|setting| setting.starts_with("listen.postgres")) {
        config.listen.postgres.set_port(arguments.port);
    }
    let demo = DemoOptions::new(absolute(&arguments.data_dir)?, arguments.scale)?;
    let options = ServerOptions {
        data_dir: demo.data_dir.clone(),
        admin_password: Some(demo.credentials.password(server::ADMINISTRATOR)?),
        config,
    };
    runtime()?.block_on(server::run(options, |services| async move { demo::prepare(&demo, services).await }))
}

fn manage_users(arguments: &UserArguments) -> Result<()> {
    if !Metastore::exists(&arguments.data_dir) {
        let message = format!("{} holds no metastore", arguments.data_dir.display());
        return Err(Error::new(ErrorKind::Config, message).with_hint("Start `lakehold serve` on it once."));
    }
    runtime()?.block_on(async {
        let metastore = Metastore::open(&arguments.data_dir, &Config::default().catalog).await?;
        let outcome = change_users(&metastore, &arguments.action).await;
        metastore.close().await;
        outcome
    })
}

async fn change_users(metastore: &Arc<Metastore>, action: &UserAction) -> Result<()> {
    match action {
        UserAction::Add { name, admin } => {
            let verifier = Verifier::from_password(password_from_input()?.expose(), DEFAULT_ITERATIONS)?.to_string();
            let user = NewPrincipal {
                name: name.clone(),
                can_login: true,
                is_admin: *admin,
                verifier: Some(verifier),
                ..NewPrincipal::default()
            };
            metastore.write(|change| change.create_principal(user)).await?;
            println!("user {name} added");
        }
        UserAction::Password { name } => {
            let verifier = Verifier::from_password(password_from_input()?.expose(), DEFAULT_ITERATIONS)?.to_string();
            let missing = || Error::new(ErrorKind::UndefinedObject, format!("user \"{name}\" does not exist"));
            let user = metastore.snapshot().principal(name).map(|user| user.id).ok_or_else(missing)?;
            metastore.write(|change| change.set_verifier(user, Some(verifier))).await?;
            println!("password of {name} set");
        }
        UserAction::List => {
            for principal in metastore.snapshot().principals() {
                let kind = if principal.can_login { "user" } else { "group" };
                println!("{kind}\t{}{}", principal.name, if principal.is_admin { "\tadministrator" } else { "" });
            }
        }
    }
    Ok(())
}

/// The first line of standard input.
fn password_from_input() -> Result<Secret<String>> {
    let mut line = String::new();
    std::io::stdin()
        .read_line(&mut line)
        .map_err(|error| Error::new(ErrorKind::Io, "standard input cannot be read").with_source(error))?;
    let password = line.trim_end_matches(['\r', '\n']).to_string();
    if password.is_empty() {
        return Err(Error::new(ErrorKind::Config, "the password is empty").with_hint("Write it on standard input."));
    }
    Ok(Secret::new(password))
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|error| Error::new(ErrorKind::Config, format!("{}: {error}", path.display())))
}

/// Stack of an I/O thread: statements are copied and dropped there, recursively, as deep as the limits let them be. Memory is only
/// taken as it is used.
const IO_STACK: usize = 64 << 20;

/// The I/O runtime: accept, messages, health, object stores. Queries run on the engine's own.
fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .thread_name("lakehold-io")
        .thread_stack_size(IO_STACK)
        .enable_all()
        .build()
        .map_err(|error| Error::new(ErrorKind::Io, "the runtime cannot start").with_source(error))
}
