//! LOCK TABLE: keeps out other LOCK TABLEs in a conflicting mode until the transaction ends.
//!
//! Reads and writes take no locks, so they are not kept out: reads have their snapshot, and of two conflicting writes one fails.

use super::{CommandContext, CommandOutcome};
use crate::catalog::securable::SecurableKind;
use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::functions::session::LockMode;
use crate::sql::statement::{Command, Name};

pub(super) async fn run(
    command: &Command,
    names: &[Name],
    mode: LockMode,
    no_wait: bool,
    context: &CommandContext,
) -> Result<CommandOutcome> {
    if context.metastore.block().is_none() {
        return Err(Error::new(ErrorKind::NoActiveTransaction, "LOCK TABLE can only be used in transaction blocks"));
    }
    context.authorize(command)?;
    let control = context.scope.functions.control.as_ref().ok_or_else(|| Error::internal("a lock without a session"))?;
    for name in names {
        let relation = context.names().securable(name, SecurableKind::Table)?;
        let locked = Engine::cancellable(&context.cancel, control.lock_relation(relation, mode, no_wait)).await;
        locked.map_err(|error| match error.kind() {
            ErrorKind::LockNotAvailable if no_wait => {
                let name = name.parts.last().map_or("", String::as_str);
                Error::new(ErrorKind::LockNotAvailable, format!("could not obtain lock on relation \"{name}\""))
            }
            _ => error,
        })?;
    }
    Ok(CommandOutcome::done("LOCK TABLE"))
}
