//! Users, groups and memberships.

use std::sync::Arc;

use super::{Change, NewPrincipal, Write};
use crate::catalog::names;
use crate::catalog::securable::{Grant, METASTORE, ObjectId, PUBLIC, Principal, SecurableKind};
use crate::error::{Error, ErrorKind, Result};

/// Most objects that a message lists.
const LISTED_OBJECTS: usize = 20;

impl Change {
    /// CREATE USER, ROLE, GROUP.
    ///
    /// # Errors
    /// [`ErrorKind::DuplicateObject`], [`ErrorKind::ReservedName`].
    pub fn create_principal(&mut self, new: NewPrincipal) -> Result<ObjectId> {
        names::check_principal_name(&new.name)?;
        self.principal_name_is_free(&new.name)?;
        let id = self.next_id()?;
        self.record(Write::PutPrincipal(Arc::new(Principal {
            id,
            name: new.name,
            can_login: new.can_login,
            is_admin: new.is_admin,
            verifier: new.verifier,
            connection_limit: new.connection_limit,
            comment: new.comment,
            valid_until: new.valid_until,
        })));
        Ok(id)
    }

    /// ALTER ROLE .. RENAME TO. Grants, ownership and memberships stay: they are bound to the identity.
    pub fn rename_principal(&mut self, id: ObjectId, to: &str) -> Result<()> {
        names::check_principal_name(to)?;
        self.principal_name_is_free(to)?;
        self.edit_principal(id, |principal| principal.name = to.to_string())
    }

    /// ALTER ROLE .. PASSWORD; `None` takes the password away.
    pub fn set_verifier(&mut self, id: ObjectId, verifier: Option<String>) -> Result<()> {
        self.edit_principal(id, |principal| principal.verifier = verifier)
    }

    /// ALTER ROLE .. LOGIN, NOLOGIN.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidObjectDefinition`] for the last administrator who can log in.
    pub fn set_login(&mut self, id: ObjectId, can_login: bool) -> Result<()> {
        self.edit_principal(id, |principal| principal.can_login = can_login)?;
        self.check_administrator_left()
    }

    /// ALTER ROLE .. SUPERUSER, NOSUPERUSER.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidObjectDefinition`] for the last administrator who can log in.
    pub fn set_admin(&mut self, id: ObjectId, is_admin: bool) -> Result<()> {
        self.edit_principal(id, |principal| principal.is_admin = is_admin)?;
        self.check_administrator_left()
    }

    /// ALTER ROLE .. CONNECTION LIMIT.
    pub fn set_connection_limit(&mut self, id: ObjectId, limit: Option<u32>) -> Result<()> {
        self.edit_principal(id, |principal| principal.connection_limit = limit)
    }

    /// ALTER ROLE .. VALID UNTIL.
    pub fn set_valid_until(&mut self, id: ObjectId, until: Option<i64>) -> Result<()> {
        self.edit_principal(id, |principal| principal.valid_until = until)
    }

    /// Makes `member` a member of `group`; it may be one already.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidGrant`] if the group would contain itself.
    pub fn add_member(&mut self, group: ObjectId, member: ObjectId) -> Result<()> {
        let name =
            |id: ObjectId| self.snapshot.principal_by_id(id).map(|principal| principal.name.clone()).ok_or_else(Change::gone);
        let (group_name, member_name) = (name(group)?, name(member)?);
        if group == PUBLIC || member == PUBLIC {
            return Err(Error::new(ErrorKind::InvalidGrant, "everybody is a member of \"public\", and it is a member of nothing"));
        }
        if self.snapshot.is_member(group, member) {
            return Err(Error::new(
                ErrorKind::InvalidGrant,
                format!("role \"{group_name}\" is a member of role \"{member_name}\""),
            ));
        }
        if !self.snapshot.memberships.contains(&(group, member)) {
            self.record(Write::PutMember { group, member });
        }
        Ok(())
    }

    /// Takes `member` out of `group`. Returns whether it was in.
    pub fn remove_member(&mut self, group: ObjectId, member: ObjectId) -> bool {
        let was_member = self.snapshot.memberships.contains(&(group, member));
        if was_member {
            self.record(Write::RemoveMember { group, member });
        }
        was_member
    }

    /// DROP USER, ROLE, GROUP. Its grants, memberships and tokens go with it; grants that it gave count as the owner's.
    ///
    /// # Errors
    /// [`ErrorKind::DependentObjects`] while it owns anything; [`ErrorKind::InvalidObjectDefinition`] for the last administrator.
    pub fn drop_principal(&mut self, id: ObjectId) -> Result<()> {
        let principal = Arc::clone(self.snapshot.principals.get(id).ok_or_else(Change::gone)?);
        self.check_owns_nothing(&principal)?;
        let memberships: Vec<_> = self.snapshot.memberships().filter(|(group, member)| *group == id || *member == id).collect();
        for (group, member) in memberships {
            self.record(Write::RemoveMember { group, member });
        }
        let grants: Vec<Grant> =
            self.snapshot.grants.values().flatten().filter(|grant| grant.grantee == id || grant.grantor == id).cloned().collect();
        for grant in grants {
            if grant.grantee == id {
                self.record(Write::RemoveGrant(grant.key()));
            } else {
                let grantor = self.snapshot.owner_of(grant.securable).unwrap_or(METASTORE);
                self.pass_on(grant, grantor);
            }
        }
        for token in self.tokens_of(id) {
            self.record(Write::RemoveToken(token));
        }
        self.forget_settings(|scope| scope.principal == Some(id));
        self.record(Write::RemovePrincipal(id));
        self.check_administrator_left()
    }

    fn check_owns_nothing(&self, principal: &Principal) -> Result<()> {
        let id = principal.id;
        let mut owned: Vec<ObjectId> = Vec::new();
        owned.extend(self.snapshot.catalogs().filter(|entry| entry.owner == id).map(|entry| entry.id));
        owned.extend(self.snapshot.schemas.all().filter(|entry| entry.owner == id).map(|entry| entry.id));
        owned.extend(self.snapshot.all_relations().filter(|entry| entry.owner == id).map(|entry| entry.id));
        owned.extend(self.snapshot.all_functions().filter(|entry| entry.owner == id).map(|entry| entry.id));
        owned.extend(self.snapshot.storage_credentials().filter(|entry| entry.owner == id).map(|entry| entry.id));
        owned.extend(self.snapshot.external_locations().filter(|entry| entry.owner == id).map(|entry| entry.id));
        if owned.is_empty() {
            return Ok(());
        }
        let line = |id: &ObjectId| {
            let kind = self.snapshot.kind_of(*id).map_or("object", SecurableKind::noun);
            format!("owner of {kind} {}", self.snapshot.full_name(*id))
        };
        let mut lines: Vec<String> = owned.iter().take(LISTED_OBJECTS).map(line).collect();
        if owned.len() > LISTED_OBJECTS {
            lines.push(format!("and {} other objects", owned.len() - LISTED_OBJECTS));
        }
        let message = format!("role \"{}\" cannot be dropped because some objects depend on it", principal.name);
        Err(Error::new(ErrorKind::DependentObjects, message)
            .with_detail(lines.join("\n"))
            .with_hint("Give the objects another owner with ALTER .. OWNER TO, or drop them."))
    }

    /// A warehouse that has administrators keeps at least one who can log in.
    fn check_administrator_left(&self) -> Result<()> {
        let left = self.snapshot.principals().any(|principal| principal.can_login && self.snapshot.is_admin(principal.id));
        if left {
            return Ok(());
        }
        Err(Error::new(ErrorKind::InvalidObjectDefinition, "the last administrator cannot be taken away")
            .with_hint("Make another user an administrator first: ALTER ROLE .. SUPERUSER."))
    }

    fn edit_principal(&mut self, id: ObjectId, edit: impl FnOnce(&mut Principal)) -> Result<()> {
        let mut principal = Principal::clone(self.snapshot.principals.get(id).ok_or_else(Change::gone)?);
        edit(&mut principal);
        self.record(Write::PutPrincipal(Arc::new(principal)));
        Ok(())
    }

    fn principal_name_is_free(&self, name: &str) -> Result<()> {
        match self.snapshot.principal(name) {
            Some(_) => Err(Error::new(ErrorKind::DuplicateObject, format!("role \"{name}\" already exists"))),
            None => Ok(()),
        }
    }
}
