//! Personal access tokens: made, listed, dropped. The secret is in the one row that CREATE TOKEN answers with, and nowhere else.

use super::{CommandContext, CommandOutcome, output, rows};
use crate::auth::token::NewSecret;
use crate::catalog::NewToken;
use crate::catalog::securable::{ObjectId, PUBLIC};
use crate::error::{Error, ErrorKind, Result};
use crate::sql::statement::Command;
use crate::types::values::IntervalValue;

const DAY_MICROS: i64 = 86_400_000_000;
/// How long a token lives if nobody says otherwise.
const DEFAULT_LIFETIME: i64 = 90 * DAY_MICROS;
/// How long a token may live.
const MAXIMUM_LIFETIME: i64 = 730 * DAY_MICROS;

pub(super) async fn create(
    command: &Command,
    role: Option<&str>,
    comment: Option<&str>,
    lifetime: Option<IntervalValue>,
    context: &CommandContext,
) -> Result<CommandOutcome> {
    context.authorize(command)?;
    let secret = NewSecret::generate()?;
    let created_at = context.scope.functions.statement_time.timestamp_micros();
    let expires_at = created_at + lifetime.map_or(Ok(DEFAULT_LIFETIME), checked)?;
    context
        .metastore
        .write(|change| {
            context.authorize_in(command, change.snapshot())?;
            let owner = match role {
                Some(role) => context.names_in(change.snapshot()).principal(role)?.id,
                None => context.caller(),
            };
            let principal = change.snapshot().principal_by_id(owner).filter(|principal| principal.can_login && owner != PUBLIC);
            if principal.is_none() {
                return Err(Error::new(ErrorKind::WrongObjectType, "a token stands for a role that can log in")
                    .with_hint("Name a user: CREATE TOKEN FOR user."));
            }
            change.create_token(NewToken {
                public_id: secret.public_id.clone(),
                owner,
                digest: secret.digest,
                created_by: context.caller(),
                created_at,
                expires_at,
                comment: comment.map(str::to_string),
            })
        })
        .await?;
    let columns = vec![
        rows::Column::Text(vec![Some(secret.text.expose().clone())]),
        rows::Column::Text(vec![Some(secret.public_id.clone())]),
        rows::Column::Timestamptz(vec![Some(expires_at)]),
    ];
    Ok(CommandOutcome::rows(rows::batch(output::new_token(), columns)?, "CREATE TOKEN"))
}

/// A lifetime in microseconds, months counted as 30 days.
fn checked(lifetime: IntervalValue) -> Result<i64> {
    let days = i64::from(lifetime.months) * 30 + i64::from(lifetime.days);
    let micros = days.checked_mul(DAY_MICROS).and_then(|micros| micros.checked_add(lifetime.micros));
    micros.filter(|micros| (1..=MAXIMUM_LIFETIME).contains(micros)).ok_or_else(|| {
        Error::new(ErrorKind::InvalidParameter, "the lifetime of a token must be more than nothing and at most 730 days")
    })
}

pub(super) async fn drop(command: &Command, id: &str, if_exists: bool, context: &CommandContext) -> Result<CommandOutcome> {
    let notices = context
        .metastore
        .write(|change| match context.authorize_in(command, change.snapshot()) {
            Err(error) if if_exists && error.kind() == ErrorKind::UndefinedObject => {
                Ok(vec![format!("token \"{id}\" does not exist, skipping")])
            }
            Err(error) => Err(error),
            Ok(()) => change.drop_token(id).map(|()| vec![]),
        })
        .await?;
    Ok(CommandOutcome::noticed("DROP TOKEN", notices))
}

pub(super) fn show(command: &Command, role: Option<&str>, context: &CommandContext) -> Result<CommandOutcome> {
    context.authorize(command)?;
    let (snapshot, caller) = (context.snapshot(), context.caller());
    let of = role.map(|role| context.names().principal(role).map(|principal| principal.id)).transpose()?;
    let shown = |owner: ObjectId| match of {
        Some(of) => owner == of,
        None => owner == caller || snapshot.is_admin(caller),
    };
    let tokens: Vec<_> = snapshot.tokens().filter(|token| shown(token.owner)).collect();
    let name = |id: ObjectId| snapshot.principal_by_id(id).map(|principal| principal.name.clone());
    let columns = vec![
        rows::Column::Text(tokens.iter().map(|token| Some(token.public_id.clone())).collect()),
        rows::Column::Text(tokens.iter().map(|token| name(token.owner)).collect()),
        rows::Column::Text(tokens.iter().map(|token| token.comment.clone()).collect()),
        rows::Column::Text(tokens.iter().map(|token| name(token.created_by)).collect()),
        rows::Column::Timestamptz(tokens.iter().map(|token| Some(token.created_at)).collect()),
        rows::Column::Timestamptz(tokens.iter().map(|token| Some(token.expires_at)).collect()),
    ];
    Ok(CommandOutcome::rows(rows::batch(output::tokens(), columns)?, "SHOW"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_have_bounds() {
        let of = |months, days, micros| checked(IntervalValue { months, days, micros });
        assert_eq!(of(1, 1, 1).unwrap(), 31 * DAY_MICROS + 1);
        assert_eq!(of(0, 730, 0).unwrap(), MAXIMUM_LIFETIME);
        for (months, days, micros) in [(0, 0, 0), (0, -1, 0), (0, 730, 1), (i32::MAX, i32::MAX, i64::MAX)] {
            assert_eq!(of(months, days, micros).unwrap_err().kind(), ErrorKind::InvalidParameter);
        }
    }
}
