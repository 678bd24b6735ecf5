//! Principals as PostgreSQL's roles. Names and memberships are visible to all, verifiers to nobody.

use crate::catalog::privilege::Privilege;
use crate::catalog::securable::{METASTORE, ObjectId, Principal};
use crate::error::Result;
use crate::functions::builtin::{SYSTEM_ROLE, SYSTEM_ROLE_NAME};
use crate::system::context::SystemContext;
use crate::system::rows::Rows;
use crate::system::{Source, visible};
use crate::types::datum::Datum;

pub(super) const SOURCES: &[(&str, Source)] = &[
    ("pg_roles", roles),
    ("pg_authid", roles),
    ("pg_auth_members", memberships),
    ("pg_user", users),
    ("pg_shadow", users),
    ("pg_group", groups),
    ("pg_db_role_setting", settings),
];

/// What sessions begin with: that of all, one's own, and everything for administrators.
fn settings(context: &SystemContext, rows: &mut Rows) -> Result<()> {
    let snapshot = visible::snapshot(context);
    let caller = context.functions.principal;
    for scope in snapshot.setting_scopes() {
        let of_others = scope.principal.is_some_and(|principal| principal != caller);
        let hidden = scope.catalog.is_some_and(|catalog| !snapshot.visible(caller, catalog));
        if (of_others || hidden) && !snapshot.is_admin(caller) {
            continue;
        }
        let texts: Vec<String> = snapshot.settings_of(scope).map(|(name, value)| format!("{name}={value}")).collect();
        rows.row()
            .set("setdatabase", scope.catalog.map_or(0, |id| id.0))
            .set("setrole", scope.principal.map_or(0, |id| id.0))
            .set("setconfig", texts);
    }
    Ok(())
}

/// What PostgreSQL shows in place of a password.
const HIDDEN: &str = "********";

fn creates_catalogs(context: &SystemContext, principal: &Principal) -> bool {
    visible::snapshot(context).holds(principal.id, Privilege::CreateCatalog, METASTORE)
}

/// `pg_roles` and `pg_authid`: the same but for the place of `oid` and the columns that only one has.
fn roles(context: &SystemContext, rows: &mut Rows) -> Result<()> {
    let password = if rows.relation().name == "pg_roles" { Datum::from(HIDDEN) } else { Datum::Null };
    rows.row()
        .set("oid", SYSTEM_ROLE)
        .set("rolname", SYSTEM_ROLE_NAME)
        .set("rolsuper", true)
        .set("rolinherit", true)
        .set("rolcreaterole", true)
        .set("rolcreatedb", true)
        .set("rolcanlogin", false)
        .set("rolreplication", false)
        .set("rolbypassrls", false)
        .set("rolconnlimit", -1_i32)
        .set("rolpassword", password.clone());
    for principal in visible::snapshot(context).principals() {
        rows.row()
            .set("oid", principal.id.0)
            .set("rolname", &principal.name)
            .set("rolsuper", principal.is_admin)
            .set("rolinherit", true)
            .set("rolcreaterole", principal.is_admin)
            .set("rolcreatedb", creates_catalogs(context, principal))
            .set("rolcanlogin", principal.can_login)
            .set("rolreplication", false)
            .set("rolbypassrls", false)
            .set("rolconnlimit", principal.connection_limit.map_or(-1, i64::from))
            .set("rolvaliduntil", principal.valid_until.map_or(Datum::Null, Datum::Timestamptz))
            .set("rolpassword", password.clone());
    }
    Ok(())
}

fn memberships(context: &SystemContext, rows: &mut Rows) -> Result<()> {
    let snapshot = visible::snapshot(context);
    for (number, (group, member)) in (1_u32..).zip(snapshot.memberships()) {
        rows.row()
            .set("oid", number)
            .set("roleid", group.0)
            .set("member", member.0)
            .set("grantor", SYSTEM_ROLE)
            .set("admin_option", snapshot.is_admin(member))
            .set("inherit_option", true)
            .set("set_option", true);
    }
    Ok(())
}

/// `pg_user` and `pg_shadow`: who may log in.
fn users(context: &SystemContext, rows: &mut Rows) -> Result<()> {
    let password = if rows.relation().name == "pg_user" { Datum::from(HIDDEN) } else { Datum::Null };
    for principal in visible::snapshot(context).principals().filter(|principal| principal.can_login) {
        rows.row()
            .set("usename", &principal.name)
            .set("usesysid", principal.id.0)
            .set("usecreatedb", creates_catalogs(context, principal))
            .set("usesuper", principal.is_admin)
            .set("userepl", false)
            .set("usebypassrls", false)
            .set("passwd", password.clone())
            .set("valuntil", principal.valid_until.map_or(Datum::Null, Datum::Timestamptz));
    }
    Ok(())
}

fn groups(context: &SystemContext, rows: &mut Rows) -> Result<()> {
    let snapshot = visible::snapshot(context);
    let members =
        |group: ObjectId| snapshot.memberships().filter(|(of, _)| *of == group).map(|(_, member)| member.0).collect::<Vec<_>>();
    for principal in snapshot.principals().filter(|principal| !principal.can_login) {
        rows.row().set("groname", &principal.name).set("grosysid", principal.id.0).set("grolist", members(principal.id));
    }
    Ok(())
}
