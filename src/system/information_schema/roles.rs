//! The roles that the principal is in.

use crate::error::Result;
use crate::system::context::SystemContext;
use crate::system::rows::Rows;
use crate::system::{Source, visible};

use super::yes;

pub(super) const SOURCES: &[(&str, Source)] =
    &[("enabled_roles", enabled), ("applicable_roles", applicable), ("administrable_role_authorizations", administrable)];

fn enabled(context: &SystemContext, rows: &mut Rows) -> Result<()> {
    let snapshot = visible::snapshot(context);
    for principal in snapshot.principals().filter(|principal| snapshot.is_member(context.functions.principal, principal.id)) {
        rows.row().set("role_name", &principal.name);
    }
    Ok(())
}

fn memberships(context: &SystemContext, rows: &mut Rows, administrators_only: bool) {
    let snapshot = visible::snapshot(context);
    let principal = context.functions.principal;
    for (group, member) in snapshot.memberships().filter(|(_, member)| snapshot.is_member(principal, *member)) {
        let admin = snapshot.is_admin(member);
        if admin || !administrators_only {
            rows.row()
                .set("grantee", visible::role(context, member))
                .set("role_name", visible::role(context, group))
                .set("is_grantable", yes(admin));
        }
    }
}

fn applicable(context: &SystemContext, rows: &mut Rows) -> Result<()> {
    memberships(context, rows, false);
    Ok(())
}

fn administrable(context: &SystemContext, rows: &mut Rows) -> Result<()> {
    memberships(context, rows, true);
    Ok(())
}
