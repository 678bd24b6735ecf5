//! Configuration: one value, put together from the rooms' own options.
//!
//! ```text
//!  defaults ◀─ config file (TOML) ◀─ LAKEHOLD__ROOM__KEY=value ◀─ --set room.key=value
//! ```
//! Later sources win, key by key. Unknown keys are errors in every source. `config/lakehold.toml` shows every key with its default
//! and the reason for it; a test keeps it equal to [`Config::default`]. This is the only place that reads the environment.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::auth::oidc::Issuers;
use crate::auth::rule::Rules;
use crate::catalog::securable::Secret;
use crate::error::{Error, ErrorKind, Result};

/// Prefix of environment variables that set configuration keys: `LAKEHOLD__LISTEN__HTTP=127.0.0.1:8080`.
const ENVIRONMENT_PREFIX: &str = "LAKEHOLD__";

/// Environment variable with the administrator's first password.
const ADMIN_PASSWORD: &str = "LAKEHOLD_ADMIN_PASSWORD";

/// Everything that can be configured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where the server listens.
    pub listen: ListenOptions,
    /// How the first administrator is made.
    pub bootstrap: BootstrapOptions,
    /// How clients prove who they are.
    pub auth: crate::auth::AuthOptions,
    /// The PostgreSQL door.
    pub wire: crate::wire::WireOptions,
    /// Limits on statement text, checked before it is parsed.
    pub limits: crate::sql::Limits,
    /// Planning and execution.
    pub engine: crate::engine::EngineOptions,
    /// Sessions.
    pub session: crate::session::SessionOptions,
    /// Delta tables.
    pub lake: crate::lake::LakeOptions,
    /// Object stores.
    pub storage: crate::storage::StorageOptions,
    /// The metastore.
    pub catalog: crate::catalog::CatalogOptions,
    /// Logs.
    pub telemetry: crate::telemetry::TelemetryOptions,
}

/// Addresses of the two doors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ListenOptions {
    /// PostgreSQL protocol; port 0 picks a free one.
    pub postgres: SocketAddr,
    /// Health and metrics; port 0 picks a free one.
    pub http: SocketAddr,
    /// Directory of the Unix socket, `.s.PGSQL.PORT` in it; none without it. If it has to be made, only the server's user may enter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unix_socket: Option<PathBuf>,
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self {
            postgres: SocketAddr::from(([127, 0, 0, 1], 5433)),
            http: SocketAddr::from(([127, 0, 0, 1], 8433)),
            unix_socket: None,
        }
    }
}

/// How an empty data directory gets its administrator.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BootstrapOptions {
    /// File whose first line is the administrator's first password; `LAKEHOLD_ADMIN_PASSWORD` wins over it.
    pub admin_password_file: Option<PathBuf>,
}

impl Config {
    /// Loads `file` if given, then the environment, then `settings` of the form `room.key=value`.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] naming the key or the place in the file.
    pub fn load(file: Option<&Path>, settings: &[String]) -> Result<Config> {
        let mut table = match file {
            Some(path) => read_file(path)?,
            None => toml::Table::new(),
        };
        for (key, value) in environment_settings() {
            insert(&mut table, &key, &value)?;
        }
        for setting in settings {
            let (key, value) = setting
                .split_once('=')
                .ok_or_else(|| invalid(format!("--set {setting}: expected key=value, such as listen.http=127.0.0.1:0")))?;
            insert(&mut table, key.trim(), value.trim())?;
        }
        let config = Config::deserialize(toml::Value::Table(table)).map_err(|error| invalid(error.message().to_string()))?;
        config.check()?;
        Ok(config)
    }

    /// Checks what the types alone cannot say.
    fn check(&self) -> Result<()> {
        if self.listen.postgres == self.listen.http && self.listen.postgres.port() != 0 {
            return Err(invalid("listen.postgres and listen.http are the same address"));
        }
        self.wire.validate()?;
        Issuers::new(&self.auth.issuer)?;
        if Rules::new(&self.auth)?.ask_for_certificates() && self.wire.tls.client_ca.is_none() {
            return Err(invalid("auth.rule: the method certificate needs wire.tls.client_ca"));
        }
        Ok(())
    }
}

/// The administrator's first password: from the environment, else from the configured file.
///
/// # Errors
/// [`ErrorKind::Config`] if the file cannot be read.
pub fn admin_password(options: &BootstrapOptions) -> Result<Option<Secret<String>>> {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    let from_environment = std::env::var(ADMIN_PASSWORD).ok();
    match (from_environment, &options.admin_password_file) {
        (Some(password), _) => Ok(Some(Secret::new(password))),
        (None, Some(path)) => {
            let text = std::fs::read_to_string(path).map_err(|error| invalid(format!("bootstrap.admin_password_file: {error}")))?;
            Ok(text.lines().next().map(|line| Secret::new(line.to_string())))
        }
        (None, None) => Ok(None),
    }
}

fn read_file(path: &Path) -> Result<toml::Table> {
    let text = std::fs::read_to_string(path).map_err(|error| invalid(format!("{}: {error}", path.display())))?;
    text.parse::<toml::Table>().map_err(|error| invalid(format!("{}: {error}", path.display())))
}

fn environment_settings() -> Vec<(String, String)> {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    let variables = std::env::vars();
    let mut settings: Vec<_> = variables
        .filter_map(|(name, value)| Some((name.strip_prefix(ENVIRONMENT_PREFIX)?.to_lowercase().replace("__", "."), value)))
        .collect();
    settings.sort();
    settings
}

/// Puts `value` at the dotted `key`. The value is read as TOML where that gives a number, a boolean or a list, else as text.
fn insert(table: &mut toml::Table, key: &str, value: &str) -> Result<()> {
    let mut parts: Vec<&str> = key.split('.').collect();
    let last = parts.pop().filter(|last| !last.is_empty()).ok_or_else(|| invalid(format!("{key:?} is not a key")))?;
    let mut inner = table;
    for part in parts {
        let entry = inner.entry(part).or_insert_with(|| toml::Value::Table(toml::Table::new()));
        inner = entry.as_table_mut().ok_or_else(|| invalid(format!("{key}: {part} is a value, not a section")))?;
    }
    inner.insert(last.to_string(), toml_value(value));
    Ok(())
}

fn toml_value(text: &str) -> toml::Value {
    format!("value = {text}")
        .parse::<toml::Table>()
        .ok()
        .and_then(|mut table| table.remove("value"))
        .filter(|value| !matches!(value, toml::Value::Datetime(_)))
        .unwrap_or_else(|| toml::Value::String(text.to_string()))
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_file_holds_every_key_with_its_default() {
        let documented = include_str!("../config/lakehold.toml").parse::<toml::Table>().unwrap();
        let defaults = toml::Table::try_from(Config::default()).unwrap();
        assert_eq!(toml::to_string(&documented).unwrap(), toml::to_string(&defaults).unwrap());
    }

    #[test]
    fn later_sources_win_and_unknown_keys_are_refused() {
        let config = Config::load(None, &["listen.http=127.0.0.1:0".into(), "listen.postgres=127.0.0.1:1".into()]).unwrap();
        assert_eq!(config.listen.postgres.port(), 1);
        let error = Config::load(None, &["listen.htp=127.0.0.1:0".into()]).unwrap_err();
        assert!(error.message().contains("htp"), "{error}");
        assert!(Config::load(None, &["listen.postgres=nowhere".into()]).is_err());
    }
}
