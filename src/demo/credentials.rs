//! Generated passwords of the sample users, kept in a private file so that the next start prints the same lines.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use rand::Rng;
use rand::distr::Alphanumeric;

use crate::catalog::securable::Secret;
use crate::error::{Error, ErrorKind, Result};

/// The file in the data directory.
pub(super) const FILE: &str = "demo-credentials.toml";

const PASSWORD_LENGTH: usize = 20;

/// Passwords by user.
#[derive(Debug)]
pub struct Credentials {
    passwords: BTreeMap<String, Secret<String>>,
}

impl Credentials {
    /// Reads the file, or generates a password for each user and writes it.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if the file cannot be read or written.
    pub fn load_or_generate(data_dir: &Path, users: &[&str]) -> Result<Self> {
        let path = data_dir.join(FILE);
        let failed = |error: String| Error::new(ErrorKind::Config, format!("{}: {error}", path.display()));
        let stored: BTreeMap<String, String> = match std::fs::read_to_string(&path) {
            Ok(text) => toml::from_str(&text).map_err(|error| failed(error.message().to_string()))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let generated = users.iter().map(|user| ((*user).to_string(), generate())).collect();
                write(data_dir, &path, &generated).map_err(|error| failed(error.to_string()))?;
                generated
            }
            Err(error) => return Err(failed(error.to_string())),
        };
        Ok(Self { passwords: stored.into_iter().map(|(user, password)| (user, Secret::new(password))).collect() })
    }

    /// The password of a user.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if the file does not hold it.
    pub fn password(&self, user: &str) -> Result<Secret<String>> {
        self.passwords
            .get(user)
            .cloned()
            .ok_or_else(|| Error::new(ErrorKind::Config, format!("{FILE} holds no password for {user}")))
    }
}

fn generate() -> String {
    rand::rng().sample_iter(Alphanumeric).take(PASSWORD_LENGTH).map(char::from).collect()
}

fn write(data_dir: &Path, path: &Path, passwords: &BTreeMap<String, String>) -> std::io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(data_dir)?;
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    for (user, password) in passwords {
        writeln!(file, "{user} = \"{password}\"")?;
    }
    file.sync_all()
}
