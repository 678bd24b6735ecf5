//! GRANT, REVOKE, SHOW GRANTS.
//!
//! What is granted on a catalog or schema holds for all that is made in it, sooner or later, as in Unity Catalog. What is granted ON ALL
//! TABLES IN SCHEMA is granted on each table that is there, as in PostgreSQL.

use super::tag::kind_words;
use super::{CommandContext, CommandOutcome, output, rows};
use crate::catalog::privilege::Privilege;
use crate::catalog::securable::{Grant, METASTORE, ObjectId, PUBLIC, SecurableKind};
use crate::catalog::{CatalogSnapshot, Revocation};
use crate::error::{Error, ErrorKind, Result};
use crate::sql::statement::{Command, GrantTarget};

use super::names::Names;

pub(super) async fn grant(
    command: &Command,
    privileges: &[Privilege],
    on: &GrantTarget,
    principals: &[String],
    grant_option: bool,
    context: &CommandContext,
) -> Result<CommandOutcome> {
    context
        .metastore
        .write(|change| {
            context.authorize_in(command, change.snapshot())?;
            let names = context.names_in(change.snapshot());
            let pairs = pairs(privileges, on, names, change.snapshot(), context.caller())?;
            let grantees = principal_ids(principals, names)?;
            if grant_option && grantees.contains(&PUBLIC) {
                return Err(Error::new(ErrorKind::InvalidGrant, "grant options can only be granted to roles"));
            }
            for (securable, privilege) in pairs {
                let grantor = grantor(change.snapshot(), context.caller(), privilege, securable)?;
                for grantee in &grantees {
                    change.grant(Grant { grantee: *grantee, securable, privilege, grantor, grantable: grant_option })?;
                }
            }
            Ok(())
        })
        .await?;
    Ok(CommandOutcome::done("GRANT"))
}

pub(super) async fn revoke(command: &Command, context: &CommandContext) -> Result<CommandOutcome> {
    let Command::Revoke { privileges, on, principals, grant_option_only, cascade } = command else {
        return Err(Error::internal("no REVOKE"));
    };
    let warnings = context
        .metastore
        .write(|change| {
            context.authorize_in(command, change.snapshot())?;
            let names = context.names_in(change.snapshot());
            let pairs = pairs(privileges, on, names, change.snapshot(), context.caller())?;
            let grantees = principal_ids(principals, names)?;
            let mut warnings = Vec::new();
            for (securable, privilege) in pairs {
                let grantor = grantor(change.snapshot(), context.caller(), privilege, securable)?;
                for grantee in grantees.iter().copied() {
                    let (grant_option_only, cascade) = (*grant_option_only, *cascade);
                    let revocation = Revocation { grantee, privilege, securable, grantor, grant_option_only, cascade };
                    let revoked = change.revoke(revocation)?;
                    let still = if grant_option_only { None } else { still_held(&revocation, change.snapshot(), context.caller()) };
                    warnings.extend(still.filter(|_| revoked == 0 || change.snapshot().manages(context.caller(), securable)));
                }
            }
            Ok(warnings)
        })
        .await?;
    let warnings = warnings.into_iter().map(|text| (PRIVILEGE_NOT_REVOKED, text)).collect();
    Ok(CommandOutcome::Done { tag: "REVOKE".to_string(), notices: Vec::new(), warnings })
}

/// SQLSTATE of the warning that a REVOKE did not take a privilege away.
const PRIVILEGE_NOT_REVOKED: &str = "01006";

/// Every object with every privilege, less what means nothing on one of ALL TABLES IN SCHEMA, such as INSERT on a view.
fn pairs(
    privileges: &[Privilege],
    on: &GrantTarget,
    names: Names<'_>,
    snapshot: &CatalogSnapshot,
    caller: ObjectId,
) -> Result<Vec<(ObjectId, Privilege)>> {
    let fits = |id: ObjectId, privilege: Privilege| {
        !on.all_in_schema || snapshot.kind_of(id).is_some_and(|kind| privilege.applies_to(kind))
    };
    let targets = targets(on, names, snapshot, caller)?;
    let all = targets.into_iter().flat_map(|id| privileges.iter().map(move |privilege| (id, *privilege)));
    Ok(all.filter(|(id, privilege)| fits(*id, *privilege)).collect())
}

fn grantor(snapshot: &CatalogSnapshot, caller: ObjectId, privilege: Privilege, securable: ObjectId) -> Result<ObjectId> {
    snapshot.grantor_for(caller, privilege, securable).ok_or_else(|| Error::internal("an authorised GRANT without a grantor"))
}

/// From where the grantee has the privilege still, for who manages the object; others learn that it is so.
fn still_held(revoked: &Revocation, snapshot: &CatalogSnapshot, caller: ObjectId) -> Option<String> {
    let kind = snapshot.kind_of(revoked.securable)?;
    let gives = |granted: Privilege| match revoked.privilege {
        Privilege::AllPrivileges => granted != Privilege::Manage && granted.applies_to(kind),
        single => granted == single || (granted == Privilege::AllPrivileges && single != Privilege::Manage),
    };
    let mut sources = snapshot.effective_grants(revoked.grantee, revoked.securable);
    let source = sources.find(|grant| grant.grantee == revoked.grantee && gives(grant.privilege))?;
    let name = |id: ObjectId| snapshot.name_of(id).unwrap_or("?");
    let kind_of = |id: ObjectId| snapshot.kind_of(id).map_or("object", SecurableKind::noun);
    let held = format!(
        "role \"{}\" still has {} on {} {}",
        name(revoked.grantee),
        if revoked.privilege == Privilege::AllPrivileges { source.privilege } else { revoked.privilege },
        kind.noun(),
        name(revoked.securable)
    );
    if !snapshot.manages(caller, revoked.securable) {
        return Some(held);
    }
    Some(if source.securable == revoked.securable && source.privilege != revoked.privilege && source.grantor == revoked.grantor {
        format!("{held}: {} was granted", source.privilege)
    } else if source.securable == revoked.securable {
        format!("{held}: \"{}\" has granted it", name(source.grantor))
    } else {
        format!("{held}: {} was granted on {} {}", source.privilege, kind_of(source.securable), name(source.securable))
    })
}

/// The grants on an object and on its containers; those of others are shown to who manages the object only.
pub(super) fn show_grants(on: &GrantTarget, principal: Option<&str>, context: &CommandContext) -> Result<CommandOutcome> {
    let snapshot = context.snapshot();
    let names = context.names();
    let caller = context.caller();
    let of = principal.map(|name| names.principal(name).map(|principal| principal.id)).transpose()?;
    let mut lines: Vec<[Option<String>; 4]> = Vec::new();
    for target in targets(on, names, snapshot, caller)? {
        let sees_all = snapshot.manages(caller, target);
        for securable in snapshot.containers_of(target) {
            let grants: Vec<&Grant> = snapshot
                .grants_on(securable)
                .filter(|grant| sees_all || snapshot.is_member(caller, grant.grantee))
                .filter(|grant| of.is_none_or(|of| snapshot.is_member(of, grant.grantee)))
                .collect();
            let kind = snapshot.kind_of(securable).unwrap_or(SecurableKind::Metastore);
            let mut actions = actions(&grants);
            // The same from two grantors is held once.
            actions.dedup();
            for (grantee, action) in actions {
                let name = snapshot.principal_by_id(grantee).map(|principal| principal.name.clone());
                lines.push([name, Some(action), Some(kind_words(kind).to_string()), Some(snapshot.full_name(securable))]);
            }
        }
    }
    Ok(CommandOutcome::rows(rows::texts(output::grants(), lines)?, "SHOW"))
}

/// The objects of a target; for ALL TABLES IN SCHEMA each table that is there now and that the caller may know of.
fn targets(on: &GrantTarget, names: Names<'_>, snapshot: &CatalogSnapshot, caller: ObjectId) -> Result<Vec<ObjectId>> {
    if on.kind == SecurableKind::Metastore {
        return Ok(vec![METASTORE]);
    }
    if !on.all_in_schema {
        return on.names.iter().map(|name| names.securable(name, on.kind)).collect();
    }
    let schemas = on.names.iter().map(|name| names.securable(name, SecurableKind::Schema)).collect::<Result<Vec<_>>>()?;
    Ok(schemas.into_iter().flat_map(|schema| snapshot.known_in(caller, schema, on.kind)).collect())
}

fn principal_ids(principals: &[String], names: Names<'_>) -> Result<Vec<ObjectId>> {
    principals.iter().map(|name| names.principal(name).map(|principal| principal.id)).collect()
}

/// Who holds what, with the four privileges of MODIFY shown as one where all are there.
fn actions(grants: &[&Grant]) -> Vec<(ObjectId, String)> {
    let holds = |grantee: ObjectId, privilege: Privilege| {
        grants.iter().any(|grant| grant.grantee == grantee && grant.privilege == privilege)
    };
    let modifies = |grantee: ObjectId| Privilege::MODIFY.iter().all(|privilege| holds(grantee, *privilege));
    let mut actions = Vec::new();
    for grant in grants {
        let part_of_modify = Privilege::MODIFY.contains(&grant.privilege) && modifies(grant.grantee);
        if !part_of_modify {
            actions.push((grant.grantee, grant.privilege.name().to_string()));
        } else if grant.privilege == Privilege::Insert {
            actions.push((grant.grantee, "MODIFY".to_string()));
        }
    }
    actions
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant_of(grantee: u32, privilege: Privilege) -> Grant {
        Grant { grantee: ObjectId(grantee), securable: ObjectId(9), privilege, grantor: ObjectId(1), grantable: false }
    }

    #[test]
    fn modify_is_shown_where_all_four_are_there() {
        let mut grants: Vec<Grant> = Privilege::MODIFY.iter().map(|privilege| grant_of(7, *privilege)).collect();
        grants.push(grant_of(7, Privilege::Select));
        grants.push(grant_of(8, Privilege::Insert));
        let shown = actions(&grants.iter().collect::<Vec<_>>());
        let expected = [(7, "MODIFY"), (7, "SELECT"), (8, "INSERT")].map(|(id, name)| (ObjectId(id), name.to_string()));
        assert_eq!(shown, expected);
    }
}
