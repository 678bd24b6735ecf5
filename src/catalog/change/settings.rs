//! Settings that sessions begin with.

use super::{Change, Write};
use crate::catalog::snapshot::SettingScope;
use crate::error::Result;

impl Change {
    /// Sets a setting for the sessions of `scope`, or forgets it.
    ///
    /// # Errors
    /// If the role or the catalog is gone.
    pub fn set_setting(&mut self, scope: SettingScope, name: &str, value: Option<&str>) -> Result<()> {
        let gone = scope.principal.is_some_and(|id| self.snapshot.principal_by_id(id).is_none())
            || scope.catalog.is_some_and(|id| self.snapshot.catalog_by_id(id).is_none());
        if gone {
            return Err(Change::gone());
        }
        match value {
            Some(value) => self.record(Write::PutSetting { scope, name: name.to_string(), value: value.to_string() }),
            None if self.snapshot.settings_of(scope).any(|(known, _)| known == name) => {
                self.record(Write::RemoveSetting { scope, name: name.to_string() });
            }
            None => {}
        }
        Ok(())
    }

    /// Forgets all settings for the sessions of `scope`.
    pub fn reset_settings(&mut self, scope: SettingScope) {
        let names: Vec<String> = self.snapshot.settings_of(scope).map(|(name, _)| name.to_string()).collect();
        for name in names {
            self.record(Write::RemoveSetting { scope, name });
        }
    }

    /// Forgets the settings of scopes for which `is_gone` holds: their role or catalog is being dropped.
    pub(super) fn forget_settings(&mut self, is_gone: impl Fn(SettingScope) -> bool) {
        let scopes: Vec<SettingScope> = self.snapshot.setting_scopes().filter(|scope| is_gone(*scope)).collect();
        for scope in scopes {
            self.reset_settings(scope);
        }
    }
}
