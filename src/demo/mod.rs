//! `lakehold demo`: a warehouse to try, made on the first start and kept for the next.
//!
//! ```text
//!  credentials.toml ─▶ users alice, bob, carol and admin
//!  tpchgen ─▶ main.tpch.* (Delta)          statements.sql ─▶ main.crm.* with a row filter and two masks
//! ```
//! Everything goes the public way: statements through [`Session`], rows through [`Lake::append`](crate::lake::Lake::append). Each step
//! looks at what is there, so that a start that was interrupted goes on where it stopped.

mod credentials;
mod tpch;

use std::path::PathBuf;
use std::sync::Arc;

use crate::auth::verifier::{DEFAULT_ITERATIONS, Verifier};
use crate::catalog::NewPrincipal;
use crate::error::{Error, ErrorKind, Result};
use crate::server::ADMINISTRATOR;
use crate::session::{Services, Session};

pub use credentials::Credentials;

/// The sample users besides the administrator.
const USERS: [&str; 3] = ["alice", "bob", "carol"];

/// The statements that make the `crm` schema, its users' groups, its policies and its grants.
const STATEMENTS: &str = include_str!("statements.sql");

/// What to make and where.
#[derive(Debug)]
pub struct DemoOptions {
    /// Data directory of the sample warehouse.
    pub data_dir: PathBuf,
    /// TPC-H scale factor.
    pub scale: f64,
    /// Passwords, generated once.
    pub credentials: Credentials,
}

impl DemoOptions {
    /// Reads the passwords of an earlier start, or generates them.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if the scale is out of range or the directory cannot be written.
    pub fn new(data_dir: PathBuf, scale: f64) -> Result<Self> {
        if !(0.001..=100.0).contains(&scale) {
            return Err(Error::new(ErrorKind::Config, format!("--scale {scale} is not between 0.001 and 100")));
        }
        let credentials = Credentials::load_or_generate(&data_dir, &[ADMINISTRATOR, "alice", "bob", "carol"])?;
        Ok(Self { data_dir, scale, credentials })
    }
}

/// Makes what is missing and prints how to try it.
///
/// # Errors
/// Whatever a statement or a write answers.
pub async fn prepare(options: &DemoOptions, services: Arc<Services>) -> Result<()> {
    let mut administrator = Session::internal(Arc::clone(&services), ADMINISTRATOR)?;
    let snapshot = services.metastore.snapshot();
    for user in USERS.iter().filter(|user| snapshot.principal(user).is_none()) {
        let verifier = Verifier::from_password(options.credentials.password(user)?.expose(), DEFAULT_ITERATIONS)?.to_string();
        let user = NewPrincipal { name: (*user).to_string(), can_login: true, verifier: Some(verifier), ..NewPrincipal::default() };
        services.metastore.write(|change| change.create_principal(user)).await?;
    }
    tpch::load(&mut administrator, &services, options.scale).await?;
    let has_crm = |snapshot: &crate::catalog::CatalogSnapshot| {
        let catalog = snapshot.catalog("main")?;
        snapshot.schema(catalog.id, "crm").and_then(|crm| crm.comment.clone())
    };
    if has_crm(&services.metastore.snapshot()).is_none() {
        println!("crm: tables, groups, a row filter and two masks");
        administrator.run_script(STATEMENTS).await?;
    }
    print_welcome(options, &services);
    Ok(())
}

fn print_welcome(options: &DemoOptions, services: &Services) {
    let port = services.postgres_port();
    println!("\nTry it (the certificate is self-signed; TLS is on):");
    for (user, statement) in [
        (ADMINISTRATOR, "\\dt tpch.*"),
        ("alice", "select * from crm.customers order by id"),
        ("bob", "select * from crm.customers order by id"),
        ("carol", "select * from crm.customers order by id"),
        ("alice", "select l_returnflag, sum(l_extendedprice) from tpch.lineitem group by 1 order by 1"),
    ] {
        if let Ok(password) = options.credentials.password(user) {
            println!(
                "  PGPASSWORD={} psql \"host=127.0.0.1 port={port} dbname=main user={user} sslmode=require\" -c '{statement}'",
                password.expose()
            );
        }
    }
    println!(
        "alice reads customers of EMEA only, with e-mail and tax id masked; bob those of AMER; carol, a data officer, everything."
    );
    println!("Passwords are kept in {}\n", options.data_dir.join(credentials::FILE).display());
}
