//! GRANT and REVOKE.
//!
//! ```text
//!  owner ──▶ ann, WITH GRANT OPTION ──▶ bob, WITH GRANT OPTION ──▶ eve
//!    └─────────────────────────────────────────────────────────────▶ eve
//! ```
//! A grant is its grantor's: the owner's, as whom all act who manage the object, or that of somebody who holds the privilege WITH GRANT
//! OPTION. Nobody revokes another's. A grant whose grantor loses the option goes with it (CASCADE), or keeps it from going (RESTRICT).

use std::collections::{BTreeMap, BTreeSet};

use super::{Change, Write};
use crate::catalog::CatalogSnapshot;
use crate::catalog::privilege::Privilege;
use crate::catalog::rules::gives;
use crate::catalog::securable::{Grant, GrantKey, METASTORE, ObjectId};
use crate::error::{Error, ErrorKind, Result};

/// What REVOKE takes away.
#[derive(Debug, Clone, Copy)]
pub struct Revocation {
    /// From whom.
    pub grantee: ObjectId,
    /// What.
    pub privilege: Privilege,
    /// On what.
    pub securable: ObjectId,
    /// Whose grant it is: see [`CatalogSnapshot::grantor_for`].
    pub grantor: ObjectId,
    /// GRANT OPTION FOR: the privilege stays.
    pub grant_option_only: bool,
    /// Grants that depend on it go, too.
    pub cascade: bool,
}

impl Change {
    /// Grants a privilege; granting it again WITH GRANT OPTION adds the option, without leaves the option as it is.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidGrant`] if the privilege means nothing on that kind of object.
    pub fn grant(&mut self, grant: Grant) -> Result<()> {
        let kind = self.snapshot.kind_of(grant.securable).ok_or_else(Change::gone)?;
        self.snapshot.principal_by_id(grant.grantee).ok_or_else(Change::gone)?;
        if !grant.privilege.applies_to(kind) {
            return Err(Error::new(
                ErrorKind::InvalidGrant,
                format!("invalid privilege type {} for {}", grant.privilege, kind.noun()),
            ));
        }
        let held = self.snapshot.grants_on(grant.securable).find(|held| held.key() == grant.key());
        match held {
            Some(held) if held.grantable || !grant.grantable => {}
            Some(_) | None => self.record(Write::PutGrant(grant)),
        }
        Ok(())
    }

    /// Revokes a privilege, or only its grant option. What was not granted stays not granted. Returns how many grants have changed.
    ///
    /// Revoking ALL PRIVILEGES also removes the single privileges that it implies: all but MANAGE.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidGrant`] if the privilege means nothing on that kind of object, [`ErrorKind::DependentObjects`] if grants of
    /// others depend on it and may not go along.
    pub fn revoke(&mut self, revocation: Revocation) -> Result<usize> {
        let Revocation { grantee, privilege, securable, grantor, grant_option_only, cascade } = revocation;
        let kind = self.snapshot.kind_of(securable).ok_or_else(Change::gone)?;
        if !privilege.applies_to(kind) {
            return Err(Error::new(ErrorKind::InvalidGrant, format!("invalid privilege type {privilege} for {}", kind.noun())));
        }
        let implied = |granted: Privilege| match privilege {
            Privilege::AllPrivileges => granted != Privilege::Manage,
            single => granted == single,
        };
        let affected: Vec<Grant> = self
            .snapshot
            .grants_on(securable)
            .filter(|grant| grant.grantee == grantee && grant.grantor == grantor && implied(grant.privilege))
            .filter(|grant| !grant_option_only || grant.grantable)
            .cloned()
            .collect();
        let passes_on = affected.iter().any(|grant| grant.grantable);
        let before = if passes_on { founded(&self.snapshot) } else { BTreeSet::new() };
        for grant in &affected {
            self.record(match grant_option_only {
                false => Write::RemoveGrant(grant.key()),
                true => Write::PutGrant(Grant { grantable: false, ..grant.clone() }),
            });
        }
        if passes_on {
            let after = founded(&self.snapshot);
            let left: Vec<GrantKey> = self.snapshot.grants.values().flatten().map(Grant::key).collect();
            let orphaned: Vec<GrantKey> = left.into_iter().filter(|key| before.contains(key) && !after.contains(key)).collect();
            if !orphaned.is_empty() && !cascade {
                return Err(Error::new(ErrorKind::DependentObjects, "dependent privileges exist")
                    .with_hint("Use CASCADE to revoke them too."));
            }
            orphaned.into_iter().for_each(|key| self.record(Write::RemoveGrant(key)));
        }
        Ok(affected.len())
    }

    /// What the old owner of the object has granted, the new one has granted then.
    pub(super) fn take_over_grants(&mut self, securable: ObjectId, owner: ObjectId) -> Result<()> {
        let old = self.snapshot.owner_of(securable).ok_or_else(Change::gone)?;
        let granted: Vec<Grant> = self.snapshot.grants_on(securable).filter(|grant| grant.grantor == old).cloned().collect();
        if old != owner {
            granted.into_iter().for_each(|grant| self.pass_on(grant, owner));
        }
        Ok(())
    }

    /// Gives a grant another grantor, who may have granted the same before.
    pub(super) fn pass_on(&mut self, grant: Grant, grantor: ObjectId) {
        self.record(Write::RemoveGrant(grant.key()));
        let grant = Grant { grantor, ..grant };
        let same = self.snapshot.grants_on(grant.securable).find(|held| held.key() == grant.key());
        if !same.is_some_and(|held| held.grantable) {
            self.record(Write::PutGrant(grant));
        }
    }
}

/// The grants that lead back to an owner, from grantor to grantor.
fn founded(snapshot: &CatalogSnapshot) -> BTreeSet<GrantKey> {
    let owner = |id: ObjectId| snapshot.owner_of(id).unwrap_or(METASTORE);
    let (owned, mut open): (Vec<&Grant>, Vec<&Grant>) =
        snapshot.grants.values().flatten().partition(|grant| grant.grantor == owner(grant.securable));
    let mut founded: BTreeSet<GrantKey> = owned.iter().map(|grant| grant.key()).collect();
    let mut options: BTreeMap<ObjectId, Vec<&Grant>> = BTreeMap::new();
    for grant in owned.into_iter().filter(|grant| grant.grantable) {
        options.entry(grant.grantee).or_default().push(grant);
    }
    loop {
        let holds = |grant: &&Grant| {
            let held = options.get(&grant.grantor).into_iter().flatten();
            held.into_iter().any(|option| {
                gives(option.privilege, grant.privilege) && snapshot.containers_of(grant.securable).any(|id| id == option.securable)
            })
        };
        let (next, rest): (Vec<&Grant>, Vec<&Grant>) = open.into_iter().partition(holds);
        if next.is_empty() {
            return founded;
        }
        founded.extend(next.iter().map(|grant| grant.key()));
        for grant in next.into_iter().filter(|grant| grant.grantable) {
            options.entry(grant.grantee).or_default().push(grant);
        }
        open = rest;
    }
}
