//! Settings of one session: PostgreSQL's parameters that mean something here, and those that clients set without harm.
//!
//! ```text
//!  SHOW ◀── local (until the transaction ends) ◀── session (SET, start-up packet) ◀── default
//! ```
//! SET inside a transaction that rolls back is undone, also to a savepoint. There is no way to a planner or memory setting from here:
//! a name outside the table is refused with 42704, unless it has PostgreSQL's two-part custom form (`app.user`), which nothing reads.
//! Identity is not a setting: `role` and `session_authorization` can only be set to what they are.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock, OnceLock};

use crate::error::{Error, ErrorKind, Result};
use crate::types::values::TimeZone;

/// The server version that clients see; psql, Npgsql, pgjdbc and SQLAlchemy read the leading number.
pub const SERVER_VERSION: &str = concat!("17.0 (Lakehold ", env!("CARGO_PKG_VERSION"), ")");

/// What values a setting takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `on` or `off`.
    Bool,
    /// A whole number within bounds.
    Integer {
        /// Smallest.
        min: i64,
        /// Largest.
        max: i64,
    },
    /// A span of time in milliseconds; text may carry a unit. 0 turns it off.
    Milliseconds,
    /// An amount of memory in kB; text may carry a unit.
    Kilobytes,
    /// One of some words, compared without case.
    Enum(&'static [&'static str]),
    /// A time zone.
    TimeZone,
    /// Style and order of dates.
    DateStyle,
    /// UTF8 and its spellings.
    Encoding,
    /// A list of schemas.
    SearchPath,
    /// Any text.
    Text,
}

/// Who may change a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everybody, at any time.
    User,
    /// Nobody: a fact about the server.
    Fixed,
}

/// One setting.
#[derive(Debug)]
pub struct Setting {
    /// Name as `SHOW ALL` and `ParameterStatus` write it.
    pub name: &'static str,
    /// Value of a new session.
    pub default: &'static str,
    /// Values it takes.
    pub kind: Kind,
    /// Who may change it.
    pub access: Access,
    /// Sent to the client as `ParameterStatus` at the start and on change.
    pub reported: bool,
    /// `pg_settings.short_desc`.
    pub description: &'static str,
}

const fn user(name: &'static str, default: &'static str, kind: Kind, description: &'static str) -> Setting {
    Setting { name, default, kind, access: Access::User, reported: false, description }
}

const fn reported(name: &'static str, default: &'static str, kind: Kind, description: &'static str) -> Setting {
    Setting { name, default, kind, access: Access::User, reported: true, description }
}

const fn fixed(name: &'static str, default: &'static str, reported: bool, description: &'static str) -> Setting {
    Setting { name, default, kind: Kind::Text, access: Access::Fixed, reported, description }
}

const ISOLATION: Kind = Kind::Enum(&["serializable", "repeatable read", "read committed", "read uncommitted"]);
const MESSAGES: Kind = Kind::Enum(&[
    "debug5", "debug4", "debug3", "debug2", "debug1", "debug", "log", "notice", "warning", "error", "info", "fatal", "panic",
]);

/// Every setting, in the order of `SHOW ALL`.
pub const SETTINGS: &[Setting] = &[
    reported("application_name", "", Kind::Text, "Sets the application name to be reported in statistics and logs."),
    user("array_nulls", "on", Kind::Bool, "Enables input of NULL elements in arrays."),
    user("bytea_output", "hex", Kind::Enum(&["hex", "escape"]), "Sets the output format for bytea."),
    user("check_function_bodies", "on", Kind::Bool, "Checks routine bodies when they are created."),
    reported("client_encoding", "UTF8", Kind::Encoding, "Sets the client's character set encoding."),
    user("client_min_messages", "notice", MESSAGES, "Sets the message levels that are sent to the client."),
    reported("DateStyle", "ISO, MDY", Kind::DateStyle, "Sets the display format for date and time values."),
    reported("default_transaction_read_only", "off", Kind::Bool, "Sets the default read-only status of new transactions."),
    user("default_transaction_deferrable", "off", Kind::Bool, "Sets the default deferrable status of new transactions."),
    user("default_transaction_isolation", "repeatable read", ISOLATION, "Sets the isolation level of new transactions."),
    user(
        "default_table_access_method",
        "delta",
        Kind::Enum(&["delta", "heap"]),
        "Sets the default table access method for new tables.",
    ),
    user("default_tablespace", "", Kind::Text, "Sets the default tablespace to create tables in."),
    user(
        "extra_float_digits",
        "1",
        Kind::Integer { min: -15, max: 3 },
        "Sets the number of digits displayed for floating-point values.",
    ),
    user("geqo", "on", Kind::Bool, "Accepted for clients that set it; has no effect."),
    user(
        "idle_in_transaction_session_timeout",
        "0",
        Kind::Milliseconds,
        "Sets the allowed idle time between queries in a transaction.",
    ),
    user("idle_session_timeout", "0", Kind::Milliseconds, "Sets the allowed idle time between queries outside a transaction."),
    fixed("in_hot_standby", "off", true, "Shows whether hot standby is active."),
    fixed("integer_datetimes", "on", true, "Shows whether datetimes are integer based."),
    reported(
        "IntervalStyle",
        "postgres",
        Kind::Enum(&["postgres", "postgres_verbose", "sql_standard", "iso_8601"]),
        "Sets the display format for interval values.",
    ),
    reported("is_superuser", "off", Kind::Bool, "Shows whether the current user is an administrator."),
    user("jit", "off", Kind::Bool, "Accepted for clients that set it; has no effect."),
    user("lc_messages", "C", Kind::Text, "Sets the language in which messages are displayed."),
    user("lc_monetary", "C", Kind::Text, "Sets the locale for formatting monetary amounts."),
    user("lc_numeric", "C", Kind::Text, "Sets the locale for formatting numbers."),
    user("lc_time", "C", Kind::Text, "Sets the locale for formatting date and time values."),
    user("lock_timeout", "0", Kind::Milliseconds, "Sets the maximum allowed duration of any wait for a lock."),
    fixed("max_identifier_length", "63", false, "Shows the maximum identifier length."),
    fixed("max_index_keys", "32", false, "Shows the maximum number of index keys."),
    fixed("password_encryption", "scram-sha-256", false, "Shows the algorithm for encrypting passwords."),
    user("plan_cache_mode", "auto", Kind::Enum(&["auto", "force_generic_plan", "force_custom_plan"]), "Accepted; has no effect."),
    user("quote_all_identifiers", "off", Kind::Bool, "Quotes all identifiers when generating SQL fragments."),
    user("role", "none", Kind::Text, "Sets the current role."),
    user("row_security", "on", Kind::Bool, "Policies always apply; cannot be turned off."),
    fixed("scram_iterations", "4096", true, "Shows the iteration count of SCRAM verifiers."),
    reported(
        "search_path",
        "\"$user\", public",
        Kind::SearchPath,
        "Sets the schema search order for names that are not schema-qualified.",
    ),
    fixed("server_encoding", "UTF8", true, "Shows the server's character set encoding."),
    fixed("server_version", SERVER_VERSION, true, "Shows the server version."),
    fixed("server_version_num", "170000", false, "Shows the server version as an integer."),
    reported("session_authorization", "", Kind::Text, "Shows the session user name."),
    fixed("ssl", "on", false, "Shows whether TLS is available."),
    user("standard_conforming_strings", "on", Kind::Enum(&["on"]), "Causes '...' strings to treat backslashes literally."),
    user("statement_timeout", "0", Kind::Milliseconds, "Sets the maximum allowed duration of any statement."),
    user("synchronize_seqscans", "on", Kind::Bool, "Accepted for clients that set it; has no effect."),
    user("temp_tablespaces", "", Kind::Text, "Sets the tablespaces to use for temporary tables."),
    reported("TimeZone", "UTC", Kind::TimeZone, "Sets the time zone for displaying and interpreting time stamps."),
    user("transaction_deferrable", "off", Kind::Bool, "Shows the deferrable status of the transaction."),
    user("transaction_isolation", "repeatable read", ISOLATION, "Shows the current transaction's isolation level."),
    user("transaction_read_only", "off", Kind::Bool, "Sets the current transaction's read-only status."),
    user("transaction_timeout", "0", Kind::Milliseconds, "Sets the maximum allowed duration of any transaction."),
    user("work_mem", "4096", Kind::Kilobytes, "Accepted for clients that set it; memory is governed by the server."),
    user("xmlbinary", "base64", Kind::Enum(&["base64", "hex"]), "Accepted for clients that set it; has no effect."),
    user("xmloption", "content", Kind::Enum(&["content", "document"]), "Accepted for clients that set it; has no effect."),
];

/// Settings whose standard value is the only one we serve although the type would allow others.
const ONLY_VALUE: &[(&str, &str)] = &[("row_security", "on"), ("standard_conforming_strings", "on")];

/// Settings that are of one transaction only.
const TRANSACTION_MODES: [&str; 3] = ["transaction_isolation", "transaction_read_only", "transaction_deferrable"];

/// Whether the setting is of one transaction only.
pub(super) fn is_transaction_mode(name: &str) -> bool {
    TRANSACTION_MODES.iter().any(|mode| mode.eq_ignore_ascii_case(name))
}

/// The level of that name.
pub(super) fn isolation_level(name: &str) -> Option<&'static str> {
    let Kind::Enum(levels) = ISOLATION else { return None };
    levels.iter().copied().find(|level| *level == name)
}

static BY_KEY: LazyLock<HashMap<String, &'static Setting>> =
    LazyLock::new(|| SETTINGS.iter().map(|setting| (setting.name.to_lowercase(), setting)).collect());

/// A name in lower case.
fn key_of(name: &str) -> Cow<'_, str> {
    if name.bytes().any(|byte| byte.is_ascii_uppercase() || !byte.is_ascii()) { name.to_lowercase().into() } else { name.into() }
}

/// The setting of this key: its name in lower case.
fn definition(key: &str) -> Option<&'static Setting> {
    BY_KEY.get(key).copied()
}

type Values = BTreeMap<String, String>;

/// The settings of one session. What nobody has set is nowhere but in [`SETTINGS`], so that a session that sits idle costs little; a copy
/// shares all values until it changes them, because every statement has one.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What a new session has beside the defaults: its identity and the start-up packet. RESET goes back to it.
    initial: Arc<Values>,
    /// SET.
    session: Arc<Values>,
    /// SET LOCAL.
    local: Arc<Values>,
    /// State at BEGIN and at each savepoint, innermost last.
    saved: Vec<(Arc<Values>, Arc<Values>)>,
    /// What the client was told last, where it is not the default.
    reported: Arc<Values>,
    /// Something may have changed since the client was told.
    unreported: bool,
    /// All values, since the last change.
    current: OnceLock<Arc<Values>>,
}

/// Names that a session may have set, and bytes that they and their values may take together.
const MAXIMUM_NAMES: usize = 1_000;
const MAXIMUM_SIZE: usize = 1 << 20;

impl Settings {
    /// Settings of a session of `user`.
    pub fn new(user: &str, is_admin: bool) -> Self {
        let is_superuser = if is_admin { "on" } else { "off" };
        let identity = [("session_authorization", user), ("is_superuser", is_superuser)];
        let initial: Values = identity.map(|(name, value)| (name.to_string(), value.to_string())).into();
        Self {
            initial: Arc::new(initial),
            session: Arc::default(),
            local: Arc::default(),
            saved: Vec::new(),
            reported: Arc::default(),
            unreported: true,
            current: OnceLock::new(),
        }
    }

    /// Forgets what [`Settings::current`] has gathered.
    pub fn rest(&mut self) {
        self.current = OnceLock::new();
    }

    fn changed(&mut self) {
        self.unreported = true;
        self.current = OnceLock::new();
    }

    /// Takes a setting from the start-up packet: it becomes the value that RESET restores.
    ///
    /// # Errors
    /// As [`Settings::set`].
    pub fn start_with(&mut self, name: &str, value: &str) -> Result<()> {
        let (key, value) = checked(name, &[value.to_string()], self)?;
        Arc::make_mut(&mut self.session).remove(&key);
        Arc::make_mut(&mut self.initial).insert(key, value);
        self.changed();
        Ok(())
    }

    /// Whether [`Settings::set`] would take the values.
    ///
    /// # Errors
    /// As [`Settings::set`].
    pub fn check(&self, name: &str, values: &[String]) -> Result<()> {
        if values.is_empty() { known(name).map(drop) } else { checked(name, values, self).map(drop) }
    }

    /// SET; an empty list is DEFAULT.
    ///
    /// # Errors
    /// 42704 unknown setting, 55P02 not changeable, 22023 value not accepted, 54000 too many or too large settings.
    pub fn set(&mut self, name: &str, values: &[String], local: bool) -> Result<()> {
        if values.is_empty() {
            return self.reset(name, local);
        }
        let (key, value) = checked(name, values, self)?;
        self.check_room(&key, &value)?;
        if local {
            Arc::make_mut(&mut self.local).insert(key, value);
        } else {
            Arc::make_mut(&mut self.local).remove(&key);
            Arc::make_mut(&mut self.session).insert(key, value);
        }
        self.changed();
        Ok(())
    }

    /// What `set_config` does: the value as one text, `None` for the default.
    ///
    /// # Errors
    /// As [`Settings::set`].
    pub fn assign(&mut self, name: &str, value: Option<&str>, local: bool) -> Result<()> {
        let values: Vec<String> = value.map(str::to_string).into_iter().collect();
        self.set(name, &values, local || is_transaction_mode(name))
    }

    /// Whether the values can be what a session begins with.
    ///
    /// # Errors
    /// As [`Settings::set`]; [`ErrorKind::CannotChangeNow`] for what is of one transaction or one identity only.
    pub fn check_stored(&self, name: &str, values: &[String]) -> Result<()> {
        if is_transaction_mode(name) || matches!(name, "role" | "session_authorization") {
            return Err(cannot_change(name));
        }
        self.check(name, values)
    }

    /// Bytes of what the session has set.
    pub fn size(&self) -> usize {
        let sizes =
            [&self.session, &self.local].map(|values| values.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>());
        sizes.iter().sum()
    }

    /// Names of the custom form are whatever a client says, and values as long as it likes.
    fn check_room(&self, key: &str, value: &str) -> Result<()> {
        let is_new = !self.session.contains_key(key) && !self.local.contains_key(key);
        let names = self.session.len() + self.local.len();
        if (is_new && names >= MAXIMUM_NAMES) || self.size() + key.len() + value.len() > MAXIMUM_SIZE {
            return Err(Error::new(ErrorKind::ProgramLimit, "the settings of the session are too many or too large")
                .with_detail(format!("At most {MAXIMUM_NAMES} settings of {MAXIMUM_SIZE} bytes together are possible."))
                .with_hint("RESET those that are no longer needed."));
        }
        Ok(())
    }

    fn reset(&mut self, name: &str, local: bool) -> Result<()> {
        let key = known(name)?;
        if definition(&key).is_some_and(|setting| setting.access == Access::Fixed) {
            return Err(cannot_change(&key));
        }
        match self.initial(&key).map(str::to_string) {
            Some(value) if local => drop(Arc::make_mut(&mut self.local).insert(key, value)),
            _ => {
                Arc::make_mut(&mut self.local).remove(&key);
                Arc::make_mut(&mut self.session).remove(&key);
            }
        }
        self.changed();
        Ok(())
    }

    /// RESET name; `None` resets all.
    ///
    /// # Errors
    /// 42704 unknown setting.
    pub fn reset_to_initial(&mut self, name: Option<&str>) -> Result<()> {
        match name {
            Some(name) => self.reset(name, false),
            None => {
                self.session = Arc::default();
                Arc::make_mut(&mut self.local).retain(|name, _| is_transaction_mode(name));
                self.changed();
                Ok(())
            }
        }
    }

    /// Current value by name, in any case; `None` for a name that is not set.
    pub fn get(&self, name: &str) -> Option<&str> {
        let key = key_of(name);
        let outside = || match key.as_ref() {
            // What nobody has said of this transaction is said of all.
            "transaction_isolation" | "transaction_read_only" | "transaction_deferrable" => self.get(&format!("default_{key}")),
            _ => self.session.get(key.as_ref()).map(String::as_str).or_else(|| self.initial(&key)),
        };
        self.local.get(key.as_ref()).map(String::as_str).or_else(outside)
    }

    /// SHOW: the value with its unit.
    ///
    /// # Errors
    /// 42704 unknown setting.
    pub fn show(&self, name: &str) -> Result<String> {
        self.get(name).map(|value| with_unit(&name.to_lowercase(), value)).ok_or_else(|| unknown(name))
    }

    /// Current values by lower-case name, as SHOW writes them: the same object until something changes.
    pub fn current(&self) -> Arc<BTreeMap<String, String>> {
        Arc::clone(self.current.get_or_init(|| Arc::new(self.collect())))
    }

    fn collect(&self) -> Values {
        let mut all: Values = BY_KEY.iter().map(|(key, setting)| (key.clone(), setting.default.to_string())).collect();
        for values in [&self.initial, &self.session, &self.local] {
            all.extend(values.iter().map(|(name, value)| (name.clone(), value.clone())));
        }
        for mode in TRANSACTION_MODES {
            all.insert(mode.to_string(), self.get(mode).unwrap_or_default().to_string());
        }
        for (name, value) in &mut all {
            *value = with_unit(name, value);
        }
        all
    }

    /// The value that RESET restores.
    pub fn initial(&self, name: &str) -> Option<&str> {
        let key = key_of(name);
        self.initial.get(key.as_ref()).map(String::as_str).or_else(|| definition(&key).map(|setting| setting.default))
    }

    /// A span of time; zero is off.
    pub fn milliseconds(&self, name: &str) -> Option<std::time::Duration> {
        let millis: u64 = self.get(name)?.parse().ok()?;
        (millis > 0).then(|| std::time::Duration::from_millis(millis))
    }

    /// The session's time zone by its IANA name.
    pub fn time_zone(&self) -> String {
        self.get("timezone").unwrap_or("UTC").to_string()
    }

    /// Schemas of the search path, with `$user` replaced.
    pub fn search_path(&self, user: &str) -> Vec<String> {
        split_identifiers(self.get("search_path").unwrap_or_default())
            .into_iter()
            .map(|schema| if schema == "$user" { user.to_string() } else { schema })
            .collect()
    }

    /// Remembers the state at BEGIN or SAVEPOINT; returns the depth for [`Settings::restore`] and [`Settings::release`].
    pub fn save(&mut self) -> usize {
        self.saved.push((Arc::clone(&self.session), Arc::clone(&self.local)));
        self.saved.len() - 1
    }

    /// Goes back to the state saved at `depth`, which stays saved.
    pub fn restore(&mut self, depth: usize) {
        if let Some((session, local)) = self.saved.get(depth).cloned() {
            self.session = session;
            self.local = local;
            self.saved.truncate(depth + 1);
            self.changed();
        }
    }

    /// Forgets the states saved at `depth` and deeper.
    pub fn release(&mut self, depth: usize) {
        self.saved.truncate(depth);
    }

    /// Ends a transaction: SET LOCAL ends, and SET too if it rolled back.
    pub fn end_transaction(&mut self, committed: bool) {
        if !committed {
            self.restore(0);
        }
        if !self.local.is_empty() {
            self.local = Arc::default();
            self.changed();
        }
        self.saved.clear();
    }

    /// Reported settings that changed since the last call, as (name, value) for `ParameterStatus`.
    pub fn take_reported_changes(&mut self) -> Vec<(String, String)> {
        let mut changes = Vec::new();
        if !std::mem::take(&mut self.unreported) {
            return changes;
        }
        for setting in SETTINGS.iter().filter(|setting| setting.reported) {
            let value = self.get(setting.name).unwrap_or_default().to_string();
            if self.reported.get(setting.name).map_or(setting.default, String::as_str) != value {
                Arc::make_mut(&mut self.reported).insert(setting.name.to_string(), value.clone());
                changes.push((setting.name.to_string(), value));
            }
        }
        changes
    }
}

/// The key of a setting that exists or has the custom two-part form.
fn known(name: &str) -> Result<String> {
    let key = name.to_lowercase();
    let custom = key.split_once('.').is_some_and(|(prefix, rest)| !prefix.is_empty() && !rest.is_empty() && prefix != "datafusion");
    if definition(&key).is_some() || custom { Ok(key) } else { Err(unknown(name)) }
}

fn unknown(name: &str) -> Error {
    Error::new(ErrorKind::UndefinedObject, format!("unrecognized configuration parameter \"{name}\""))
}

fn cannot_change(name: &str) -> Error {
    Error::new(ErrorKind::CannotChangeNow, format!("parameter \"{name}\" cannot be changed"))
}

fn invalid(name: &str, value: &str) -> Error {
    Error::new(ErrorKind::InvalidParameter, format!("invalid value for parameter \"{name}\": \"{value}\""))
}

fn checked(name: &str, values: &[String], current: &Settings) -> Result<(String, String)> {
    let key = known(name)?;
    let joined = values.join(", ");
    let Some(setting) = definition(&key) else { return Ok((key, joined)) };
    if setting.access == Access::Fixed {
        return Err(cannot_change(setting.name));
    }
    check_identity(setting, &joined, &current.initial)?;
    let value = match setting.kind {
        Kind::DateStyle => {
            let style = current.get(setting.name).unwrap_or(setting.default);
            date_style(values, style).ok_or_else(|| invalid(setting.name, &joined))?
        }
        _ => canonical(setting, values, &joined)?,
    };
    if let Some((_, only)) = ONLY_VALUE.iter().find(|(only, _)| *only == setting.name)
        && value != *only
    {
        return Err(invalid(setting.name, &joined).with_detail(format!("Only \"{only}\" is supported.")));
    }
    Ok((key, value))
}

/// Identity is fixed at login: the statements that would change it succeed only where they change nothing.
fn check_identity(setting: &Setting, value: &str, initial: &Values) -> Result<()> {
    let user = initial.get("session_authorization").map(String::as_str).unwrap_or_default();
    match setting.name {
        "role" if value.eq_ignore_ascii_case("none") || value == user => Ok(()),
        "role" => Err(Error::new(ErrorKind::Denied, format!("permission denied to set role \"{value}\""))
            .with_detail("SET ROLE to a group is not supported; groups apply to their members without it.")),
        "session_authorization" if value == user || value.eq_ignore_ascii_case("default") => Ok(()),
        "session_authorization" => Err(Error::new(ErrorKind::Denied, "permission denied to set session authorization")),
        "is_superuser" => Err(cannot_change("is_superuser")),
        _ => Ok(()),
    }
}

fn canonical(setting: &Setting, values: &[String], joined: &str) -> Result<String> {
    let refused = || invalid(setting.name, joined);
    match setting.kind {
        Kind::Bool => boolean(joined).map(|on| if on { "on" } else { "off" }.to_string()).ok_or_else(|| {
            Error::new(ErrorKind::InvalidParameter, format!("parameter \"{}\" requires a Boolean value", setting.name))
        }),
        Kind::Integer { min, max } => {
            let number: i64 = joined.trim().parse().map_err(|_| refused())?;
            if (min..=max).contains(&number) {
                return Ok(number.to_string());
            }
            let message = format!("{number} is outside the valid range for parameter \"{}\" ({min} .. {max})", setting.name);
            Err(Error::new(ErrorKind::InvalidParameter, message))
        }
        Kind::Kilobytes => {
            let number = integer_with_memory_unit(joined).ok_or_else(refused)?;
            if (0..=i64::from(i32::MAX)).contains(&number) { Ok(number.to_string()) } else { Err(refused()) }
        }
        Kind::Milliseconds => milliseconds(joined).map(|millis| millis.to_string()).ok_or_else(refused),
        Kind::Enum(words) => {
            let word = words.iter().find(|word| word.eq_ignore_ascii_case(joined.trim()));
            word.map(|word| (*word).to_string())
                .ok_or_else(|| refused().with_hint(format!("Available values: {}.", words.join(", "))))
        }
        Kind::TimeZone => time_zone(joined),
        Kind::Encoding => encoding(joined)
            .ok_or_else(|| invalid(setting.name, joined).with_hint("Use UTF8: text is sent and stored as UTF-8 only.")),
        Kind::SearchPath => Ok(values.iter().map(|value| search_path_entry(value)).collect::<Vec<_>>().join(", ")),
        Kind::Text | Kind::DateStyle => Ok(joined.to_string()),
    }
}

/// Words that PostgreSQL takes as booleans, and their unique prefixes.
fn boolean(text: &str) -> Option<bool> {
    match text.trim().to_lowercase().as_str() {
        "on" | "true" | "tru" | "tr" | "t" | "yes" | "ye" | "y" | "1" => Some(true),
        "off" | "of" | "false" | "fals" | "fal" | "fa" | "f" | "no" | "n" | "0" => Some(false),
        _ => None,
    }
}

fn integer_with_memory_unit(text: &str) -> Option<i64> {
    let text = text.trim();
    let digits_end = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let number: i64 = text[..digits_end].trim().parse().ok()?;
    let factor = match text[digits_end..].trim() {
        "" | "kB" => 1,
        "MB" => 1024,
        "GB" => 1024 * 1024,
        _ => return None,
    };
    number.checked_mul(factor)
}

/// A number in the largest unit of which it is a multiple.
fn with_unit(key: &str, value: &str) -> String {
    let units: &[(&str, u64)] = match definition(key).map(|setting| setting.kind) {
        Some(Kind::Milliseconds) => &[("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000), ("ms", 1)],
        Some(Kind::Kilobytes) => &[("TB", 1 << 30), ("GB", 1 << 20), ("MB", 1 << 10), ("kB", 1)],
        _ => return value.to_string(),
    };
    let Some(number) = value.parse::<u64>().ok().filter(|number| *number > 0) else { return value.to_string() };
    match units.iter().find(|(_, size)| number % size == 0) {
        Some((unit, size)) => format!("{}{unit}", number / size),
        None => value.to_string(),
    }
}

fn milliseconds(text: &str) -> Option<i64> {
    let text = text.trim();
    let digits_end = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let number: f64 = text[..digits_end].trim().parse().ok()?;
    let factor = match text[digits_end..].trim() {
        "" | "ms" => 1.0,
        "us" => 0.001,
        "s" => 1000.0,
        "min" => 60_000.0,
        "h" => 3_600_000.0,
        "d" => 86_400_000.0,
        _ => return None,
    };
    let millis = (number * factor).round();
    (millis >= 0.0 && millis <= f64::from(i32::MAX)).then_some(millis as i64)
}

/// Canonical name of a time zone, as PostgreSQL shows the setting.
fn time_zone(text: &str) -> Result<String> {
    let text = text.trim_matches('"');
    if text.eq_ignore_ascii_case("default") || text.eq_ignore_ascii_case("local") {
        return Ok("UTC".into());
    }
    Ok(TimeZone::parse(text)?.name().to_string())
}

/// What is not said stays as it is in `current`.
fn date_style(values: &[String], current: &str) -> Option<String> {
    let (mut style, mut order) = current.split_once(", ").unwrap_or(("ISO", "MDY"));
    let mut has_order = false;
    let words: Vec<String> = values.iter().flat_map(|value| value.split(',')).map(|word| word.trim().to_lowercase()).collect();
    for word in &words {
        match word.as_str() {
            "iso" => style = "ISO",
            "sql" => style = "SQL",
            "german" => {
                style = "German";
                order = if has_order { order } else { "DMY" };
            }
            "mdy" | "us" | "noneuro" | "noneuropean" => (order, has_order) = ("MDY", true),
            "dmy" | "euro" | "european" => (order, has_order) = ("DMY", true),
            "ymd" => (order, has_order) = ("YMD", true),
            "default" => (style, order) = ("ISO", "MDY"),
            postgres if postgres.starts_with("postgres") => style = "Postgres",
            _ => return None,
        }
    }
    (!words.is_empty()).then(|| format!("{style}, {order}"))
}

fn encoding(text: &str) -> Option<String> {
    let name: String = text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_uppercase();
    matches!(name.as_str(), "UTF8" | "UNICODE").then(|| "UTF8".to_string())
}

/// Quotes a schema name for `search_path` where it is not a plain lower-case word.
fn search_path_entry(value: &str) -> String {
    let plain = value.split(',').all(|part| {
        let part = part.trim().trim_matches('"');
        part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    });
    if plain || value.contains('"') || value.contains(',') { value.to_string() } else { format!("\"{value}\"") }
}

/// Splits a list of identifiers: unquoted ones fold to lower case.
fn split_identifiers(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    for part in text.split(',') {
        let part = part.trim();
        match part.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
            Some(quoted) => names.push(quoted.replace("\"\"", "\"")),
            None if part.is_empty() => {}
            None => names.push(part.to_lowercase()),
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(settings: &mut Settings, name: &str, value: &str) -> Result<String> {
        settings.set(name, &[value.to_string()], false)?;
        settings.show(name)
    }

    #[test]
    fn values_are_shown_as_postgresql_shows_them() {
        let mut settings = Settings::new("ada", false);
        for (name, given, shown) in [
            ("timezone", "europe/berlin", "Europe/Berlin"),
            ("timezone", "+02", "<+02>-02"),
            ("timezone", "+05:30", "+05:30"),
            ("timezone", "-3.5", "<-03:30>+03:30"),
            ("timezone", "utc", "UTC"),
            ("statement_timeout", "2s", "2s"),
            ("statement_timeout", "1500", "1500ms"),
            ("statement_timeout", "60000", "1min"),
            ("statement_timeout", "0", "0"),
            ("work_mem", "64MB", "64MB"),
            ("work_mem", "4097", "4097kB"),
            ("datestyle", "german", "German, DMY"),
            ("datestyle", "iso, ymd", "ISO, YMD"),
            ("datestyle", "sql", "SQL, YMD"),
            ("client_encoding", "'utf-8'", "UTF8"),
            ("extra_float_digits", "3", "3"),
            ("jit", "no", "off"),
            ("intervalstyle", "ISO_8601", "iso_8601"),
            ("app.user", "x", "x"),
        ] {
            assert_eq!(set(&mut settings, name, given).unwrap(), shown, "{name} = {given}");
        }
    }

    #[test]
    fn what_is_not_a_setting_or_not_a_value_is_refused() {
        let mut settings = Settings::new("ada", false);
        for (name, value, kind) in [
            ("datafusion.execution.target_partitions", "1000", ErrorKind::UndefinedObject),
            ("no_such_setting", "1", ErrorKind::UndefinedObject),
            ("server_version", "9", ErrorKind::CannotChangeNow),
            ("is_superuser", "on", ErrorKind::CannotChangeNow),
            ("role", "admin", ErrorKind::Denied),
            ("session_authorization", "admin", ErrorKind::Denied),
            ("extra_float_digits", "4", ErrorKind::InvalidParameter),
            ("timezone", "Mars/Base", ErrorKind::InvalidParameter),
            ("client_encoding", "LATIN1", ErrorKind::InvalidParameter),
            ("row_security", "off", ErrorKind::InvalidParameter),
            ("statement_timeout", "-1", ErrorKind::InvalidParameter),
        ] {
            assert_eq!(set(&mut settings, name, value).unwrap_err().kind(), kind, "{name} = {value}");
        }
    }

    #[test]
    fn rollback_undoes_and_local_ends() {
        let mut settings = Settings::new("ada", false);
        settings.save();
        set(&mut settings, "timezone", "Asia/Tokyo").unwrap();
        let savepoint = settings.save();
        set(&mut settings, "timezone", "Asia/Seoul").unwrap();
        settings.restore(savepoint);
        assert_eq!(settings.show("timezone").unwrap(), "Asia/Tokyo");
        settings.end_transaction(false);
        assert_eq!(settings.show("timezone").unwrap(), "UTC");

        settings.save();
        settings.set("timezone", &["Asia/Tokyo".into()], true).unwrap();
        assert_eq!(settings.show("timezone").unwrap(), "Asia/Tokyo");
        settings.end_transaction(true);
        assert_eq!(settings.show("timezone").unwrap(), "UTC");
    }

    #[test]
    fn all_values_are_one_object_until_one_changes() {
        let mut settings = Settings::new("ada", false);
        let first = settings.current();
        assert!(Arc::ptr_eq(&first, &settings.current()));
        assert!(Arc::ptr_eq(&first, &settings.clone().current()));
        settings.save();
        settings.set("timezone", &["Asia/Tokyo".into()], true).unwrap();
        assert_eq!(settings.current()["timezone"], "Asia/Tokyo");
        settings.end_transaction(true);
        assert_eq!((first["timezone"].as_str(), settings.current()["timezone"].as_str()), ("UTC", "UTC"));
        settings.set("timezone", &["Asia/Seoul".into()], false).unwrap();
        assert!(settings.take_reported_changes().contains(&("TimeZone".to_string(), "Asia/Seoul".to_string())));
        assert_eq!(settings.take_reported_changes(), []);
        settings.reset_to_initial(None).unwrap();
        assert_eq!(settings.current()["timezone"], "UTC");
        assert_eq!(settings.take_reported_changes(), [("TimeZone".to_string(), "UTC".to_string())]);
    }

    #[test]
    fn the_search_path_is_split_and_knows_the_user() {
        let mut settings = Settings::new("ada", false);
        assert_eq!(settings.search_path("ada"), ["ada", "public"]);
        settings.set("search_path", &["Sales".into(), "public".into()], false).unwrap();
        assert_eq!(settings.search_path("ada"), ["Sales", "public"]);
    }
}
