//! GRANT and REVOKE.

use super::{Change, Write};
use crate::catalog::privilege::Privilege;
use crate::catalog::securable::{Grant, ObjectId};
use crate::error::{Error, ErrorKind, Result};

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
        let held = self.find_grant(grant.grantee, grant.privilege, grant.securable);
        match held {
            Some(held) if held.grantable || !grant.grantable => {}
            Some(_) | None => self.record(Write::PutGrant(grant)),
        }
        Ok(())
    }

    /// Revokes a privilege, or only its grant option. What was not granted stays not granted.
    ///
    /// Revoking ALL PRIVILEGES also removes the single privileges that it implies: all but MANAGE.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidGrant`] if the privilege means nothing on that kind of object.
    pub fn revoke(&mut self, grantee: ObjectId, privilege: Privilege, securable: ObjectId, grant_option_only: bool) -> Result<()> {
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
            .filter(|grant| grant.grantee == grantee && implied(grant.privilege))
            .cloned()
            .collect();
        for grant in affected {
            if !grant_option_only {
                self.record(Write::RemoveGrant { grantee, securable, privilege: grant.privilege });
            } else if grant.grantable {
                self.record(Write::PutGrant(Grant { grantable: false, ..grant }));
            }
        }
        Ok(())
    }

    fn find_grant(&self, grantee: ObjectId, privilege: Privilege, securable: ObjectId) -> Option<&Grant> {
        self.snapshot.grants_on(securable).find(|grant| grant.grantee == grantee && grant.privilege == privilege)
    }
}
