//! GRANT, REVOKE, SHOW GRANTS.

use super::tag::kind_words;
use super::{CommandContext, CommandOutcome, output, rows};
use crate::catalog::privilege::Privilege;
use crate::catalog::securable::{Grant, METASTORE, ObjectId, SecurableKind};
use crate::error::Result;
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
            let securables = targets(on, names)?;
            let grantees = principal_ids(principals, names)?;
            for securable in securables {
                for grantee in &grantees {
                    for privilege in privileges {
                        change.grant(Grant {
                            grantee: *grantee,
                            securable,
                            privilege: *privilege,
                            grantor: context.caller(),
                            grantable: grant_option,
                        })?;
                    }
                }
            }
            Ok(())
        })
        .await?;
    Ok(CommandOutcome::done("GRANT"))
}

pub(super) async fn revoke(
    command: &Command,
    privileges: &[Privilege],
    on: &GrantTarget,
    principals: &[String],
    grant_option_only: bool,
    context: &CommandContext,
) -> Result<CommandOutcome> {
    context
        .metastore
        .write(|change| {
            context.authorize_in(command, change.snapshot())?;
            let names = context.names_in(change.snapshot());
            let securables = targets(on, names)?;
            let grantees = principal_ids(principals, names)?;
            for securable in securables {
                for grantee in &grantees {
                    for privilege in privileges {
                        change.revoke(*grantee, *privilege, securable, grant_option_only)?;
                    }
                }
            }
            Ok(())
        })
        .await?;
    Ok(CommandOutcome::done("REVOKE"))
}

/// The grants on an object and on its containers; those of others are shown to who manages the object only.
pub(super) fn show_grants(on: &GrantTarget, principal: Option<&str>, context: &CommandContext) -> Result<CommandOutcome> {
    let snapshot = context.snapshot();
    let names = context.names();
    let caller = context.caller();
    let of = principal.map(|name| names.principal(name).map(|principal| principal.id)).transpose()?;
    let mut lines: Vec<[Option<String>; 4]> = Vec::new();
    for target in targets(on, names)? {
        let sees_all = snapshot.manages(caller, target);
        for securable in snapshot.containers_of(target) {
            let grants: Vec<&Grant> = snapshot
                .grants_on(securable)
                .filter(|grant| sees_all || snapshot.is_member(caller, grant.grantee))
                .filter(|grant| of.is_none_or(|of| snapshot.is_member(of, grant.grantee)))
                .collect();
            let kind = snapshot.kind_of(securable).unwrap_or(SecurableKind::Metastore);
            for (grantee, action) in actions(&grants) {
                let name = snapshot.principal_by_id(grantee).map(|principal| principal.name.clone());
                lines.push([name, Some(action), Some(kind_words(kind).to_string()), Some(snapshot.full_name(securable))]);
            }
        }
    }
    Ok(CommandOutcome::rows(rows::texts(output::grants(), lines)?, "SHOW"))
}

/// The objects of a target. ALL TABLES IN SCHEMA is the schema itself: what is granted there holds for its tables, later ones included.
fn targets(on: &GrantTarget, names: Names<'_>) -> Result<Vec<ObjectId>> {
    if on.kind == SecurableKind::Metastore {
        return Ok(vec![METASTORE]);
    }
    let kind = if on.all_in_schema { SecurableKind::Schema } else { on.kind };
    on.names.iter().map(|name| names.securable(name, kind)).collect()
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
