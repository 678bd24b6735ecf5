//! ALTER ROLE .. SET and ALTER DATABASE .. SET: what the next sessions begin with.
//!
//! Whether a value can be one of the setting is the session's to say, before the command and again at login.

use super::{CommandContext, CommandOutcome};
use crate::catalog::SettingScope;
use crate::error::Result;
use crate::sql::statement::{Command, Name, SettingChange, SettingTarget};

pub(super) async fn alter(
    command: &Command,
    on: &SettingTarget,
    change_to: &SettingChange,
    context: &CommandContext,
) -> Result<CommandOutcome> {
    context
        .metastore
        .write(|change| {
            context.authorize_in(command, change.snapshot())?;
            let names = context.names_in(change.snapshot());
            let principal = on.role.as_deref().map(|role| names.principal(role)).transpose()?.map(|found| found.id);
            let catalog = match &on.catalog {
                Some(name) => Some(names.catalog(&Name { parts: vec![name.clone()], position: None })?.id),
                None => None,
            };
            let scope = SettingScope { principal, catalog };
            match change_to {
                SettingChange::Set { name, values } => change.set_setting(scope, name, Some(&values.join(", "))),
                SettingChange::Reset(Some(name)) => change.set_setting(scope, name, None),
                SettingChange::Reset(None) => {
                    change.reset_settings(scope);
                    Ok(())
                }
            }
        })
        .await?;
    Ok(CommandOutcome::done(on.tag()))
}
