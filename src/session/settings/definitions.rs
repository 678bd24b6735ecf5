//! The table of settings: name, default, values, who may change it, whether clients are told.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

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

/// Settings that are of one transaction only.
pub(super) const TRANSACTION_MODES: [&str; 3] = ["transaction_isolation", "transaction_read_only", "transaction_deferrable"];

/// Whether the setting is of one transaction only.
pub(in crate::session) fn is_transaction_mode(name: &str) -> bool {
    TRANSACTION_MODES.iter().any(|mode| mode.eq_ignore_ascii_case(name))
}

/// The level of that name.
pub(in crate::session) fn isolation_level(name: &str) -> Option<&'static str> {
    let Kind::Enum(levels) = ISOLATION else { return None };
    levels.iter().copied().find(|level| *level == name)
}

pub(super) static BY_KEY: LazyLock<HashMap<String, &'static Setting>> =
    LazyLock::new(|| SETTINGS.iter().map(|setting| (setting.name.to_lowercase(), setting)).collect());

/// A name in lower case.
pub(super) fn key_of(name: &str) -> Cow<'_, str> {
    if name.bytes().any(|byte| byte.is_ascii_uppercase() || !byte.is_ascii()) { name.to_lowercase().into() } else { name.into() }
}

/// The setting of this key: its name in lower case.
pub(super) fn definition(key: &str) -> Option<&'static Setting> {
    BY_KEY.get(key).copied()
}
