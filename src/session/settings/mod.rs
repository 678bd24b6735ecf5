//! Settings of one session: PostgreSQL's parameters that mean something here, and those that clients set without harm.
//!
//! ```text
//!  SHOW ◀── local (until the transaction ends) ◀── session (SET, start-up packet) ◀── default
//! ```
//! SET inside a transaction that rolls back is undone, also to a savepoint. There is no way to a planner or memory setting from here:
//! a name outside the table is refused with 42704, unless it has PostgreSQL's two-part custom form (`app.user`), which nothing reads.
//! Identity is not a setting: `role` and `session_authorization` can only be set to what they are.

mod definitions;
mod values;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use self::definitions::{BY_KEY, TRANSACTION_MODES, definition, key_of};
use self::values::{cannot_change, checked, known, unknown, with_unit};
use crate::error::{Error, ErrorKind, Result};
use crate::types::Form;
use crate::types::values::TimeZone;

pub use self::definitions::{Access, Kind, SERVER_VERSION, SETTINGS, Setting};
pub(super) use self::definitions::{is_transaction_mode, isolation_level};

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
    /// How values are read and written, since the last change.
    form: OnceLock<Arc<Form>>,
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
            form: OnceLock::new(),
        }
    }

    /// Forgets what [`Settings::current`] has gathered.
    pub fn rest(&mut self) {
        self.current = OnceLock::new();
        self.form = OnceLock::new();
    }

    fn changed(&mut self) {
        self.unreported = true;
        self.current = OnceLock::new();
        self.form = OnceLock::new();
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

    /// How values are read and written: the same object until something changes. The values were checked when they were set.
    pub fn form(&self) -> Arc<Form> {
        Arc::clone(self.form.get_or_init(|| Arc::new(Form::from_settings(|name| self.get(name)).unwrap_or_default())))
    }

    /// The session's time zone by its IANA name; a fixed offset as `<+02>-02`.
    pub fn time_zone(&self) -> String {
        let zone = &self.form().time_zone;
        match zone.constant_offset() {
            None | Some(0) => zone.name().to_string(),
            Some(offset) => TimeZone::fixed(offset).name().to_string(),
        }
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
            ("timezone", "5.5", "<+05:30>-05:30"),
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
