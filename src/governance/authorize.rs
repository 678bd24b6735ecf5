//! Who may do what: every access of a query, every command.
//!
//! The match over [`Command`] has no wildcard, and neither has any other here: a new statement cannot be added without a decision, and
//! its row in the printed matrix (`snapshots/privileges.txt`) shows the decision.
//!
//! Rules that are not plain from Unity Catalog's documentation:
//! - A view or a function reads with its owner's rights. So replacing its text takes ownership, not just MANAGE, and giving it to somebody takes
//!   membership in that somebody; otherwise either would be a way to read with another's rights.
//! - The text of a function or view that a policy uses is part of the policy: replacing it, or giving it to another owner, takes MANAGE on
//!   every table whose policies use it, too.
//! - Administrators manage everything and read nothing by it; they can grant themselves what they need, which is on record: what a
//!   transaction grants does not govern its own reads.
#![deny(clippy::wildcard_enum_match_arm)]

use super::visibility::{denied, refused, refused_as_written, undefined};
use crate::catalog::CatalogSnapshot;
use crate::catalog::privilege::Privilege;
use crate::catalog::securable::{METASTORE, ObjectId, SecurableKind};
use crate::error::{Error, ErrorKind, Result};
use crate::functions::session::LockMode;
use crate::sql::source::{Access, AccessBy};
use crate::sql::statement::{Command, CommentTarget, CopyIn, CopyTable, CreateTable, GrantTarget, Name, PrincipalOptions};

/// Finds objects by name. An empty name stands for the current catalog or, for schemas, the first schema of the search path.
pub type NameResolver<'a> = &'a dyn Fn(&Name, SecurableKind) -> Result<ObjectId>;

/// Checks one access of a bound query.
pub(super) fn check_access(snapshot: &CatalogSnapshot, caller: ObjectId, access: &Access) -> Result<()> {
    snapshot.check_settled(access.securable)?;
    match access.by {
        AccessBy::Caller => check_privilege(snapshot, caller, access.privilege, access.securable),
        AccessBy::Owner(owner) => match check_privilege(snapshot, owner, access.privilege, access.securable) {
            Ok(()) => Ok(()),
            // The caller learns the name of what the owner may not read only if it is no secret.
            Err(_) if snapshot.visible(caller, access.securable) => Err(denied_by_name(snapshot, access.securable)
                .with_detail("The owner of the view or function that reads it lacks the privilege.")),
            Err(_) => Err(Error::new(ErrorKind::Denied, "permission denied for an object that a view or function reads")
                .with_detail("The owner of the view or function lacks the privilege.")),
        },
    }
}

/// Whether `principal` may read the relation `id`.
pub(super) fn may_select(snapshot: &CatalogSnapshot, principal: ObjectId, id: ObjectId) -> bool {
    check_privilege(snapshot, principal, Privilege::Select, id).is_ok()
}

fn denied_by_name(snapshot: &CatalogSnapshot, id: ObjectId) -> Error {
    denied(snapshot.kind_of(id).unwrap_or(SecurableKind::Table), snapshot.name_of(id).unwrap_or("?"))
}

/// USE on the containers, then the privilege itself; the error names the first that is missing.
fn check_privilege(snapshot: &CatalogSnapshot, principal: ObjectId, privilege: Privilege, id: ObjectId) -> Result<()> {
    if snapshot.kind_of(id).is_none() || !snapshot.visible(principal, id) {
        return Err(refused(snapshot, principal, id));
    }
    check_use(snapshot, principal, id)?;
    if snapshot.holds(principal, privilege, id) { Ok(()) } else { Err(denied_by_name(snapshot, id)) }
}

/// USE CATALOG and USE SCHEMA on what holds `id`, from the outside in.
fn check_use(snapshot: &CatalogSnapshot, principal: ObjectId, id: ObjectId) -> Result<()> {
    if snapshot.reaches(principal, id) {
        return Ok(());
    }
    let containers: Vec<ObjectId> = snapshot.containers_of(id).skip(1).collect();
    let missing = containers.into_iter().rev().find(|container| !may_enter(snapshot, principal, *container));
    Err(denied_by_name(snapshot, missing.unwrap_or(id)))
}

fn may_enter(snapshot: &CatalogSnapshot, principal: ObjectId, container: ObjectId) -> bool {
    match snapshot.kind_of(container) {
        Some(SecurableKind::Catalog) => snapshot.holds(principal, Privilege::UseCatalog, container),
        Some(SecurableKind::Schema) => snapshot.holds(principal, Privilege::UseSchema, container),
        Some(
            SecurableKind::Metastore
            | SecurableKind::Table
            | SecurableKind::View
            | SecurableKind::Function
            | SecurableKind::StorageCredential
            | SecurableKind::ExternalLocation,
        )
        | None => false,
    }
}

/// Checks that `caller` may run `command`. Queries inside it (INSERT .. SELECT, CREATE TABLE AS, CREATE VIEW) pass `govern` as well.
///
/// A name that does not exist, or that the caller may not know of, is the resolver's undefined-object error; for `IF EXISTS` the command
/// turns that into a notice.
///
/// # Errors
/// [`ErrorKind::Denied`], or what `names` says.
pub fn authorize_command(command: &Command, caller: ObjectId, snapshot: &CatalogSnapshot, names: NameResolver<'_>) -> Result<()> {
    Check { snapshot, caller, names }.command(command)
}

struct Check<'a> {
    snapshot: &'a CatalogSnapshot,
    caller: ObjectId,
    names: NameResolver<'a>,
}

impl Check<'_> {
    fn command(&self, command: &Command) -> Result<()> {
        match command {
            Command::CreateCatalog { managed_location, .. } => {
                self.privilege(Privilege::CreateCatalog, METASTORE)?;
                self.location(managed_location.as_deref())
            }
            Command::CreateSchema { name, managed_location, authorization, .. } => {
                self.create_in(name, SecurableKind::Catalog, Privilege::CreateSchema)?;
                self.location(managed_location.as_deref())?;
                authorization.as_deref().map_or(Ok(()), |role| self.acts_as(role))
            }
            Command::Drop { kind, names, if_exists: _, cascade: _ } => names.iter().try_for_each(|name| self.manages(*kind, name)),
            Command::CreateTable(table) => self.create_table(table),
            Command::CreateView { name, or_replace, .. } => {
                self.create_in(name, SecurableKind::Schema, Privilege::CreateView)?;
                if *or_replace { self.replaces(SecurableKind::View, name) } else { Ok(()) }
            }
            Command::CreateFunction { name, or_replace, .. } => {
                self.create_in(name, SecurableKind::Schema, Privilege::CreateFunction)?;
                if *or_replace { self.replaces(SecurableKind::Function, name) } else { Ok(()) }
            }
            Command::Insert { table, .. } | Command::CopyIn(CopyIn { table: CopyTable { name: table, .. }, .. }) => {
                let id = self.find(SecurableKind::Table, table)?;
                self.privilege(Privilege::Insert, id)?;
                self.privilege(Privilege::Select, id)
            }
            Command::Lock { names, mode, no_wait: _ } => names.iter().try_for_each(|name| {
                let id = self.find(SecurableKind::Table, name)?;
                // What keeps out writers takes the right to write.
                if *mode > LockMode::RowShare {
                    self.privilege(Privilege::Insert, id)?;
                }
                self.privilege(Privilege::Select, id)
            }),
            Command::CreatePrincipal { .. }
            | Command::RenamePrincipal { .. }
            | Command::DropPrincipal { .. }
            | Command::AddMember { .. }
            | Command::RemoveMember { .. }
            | Command::CreateStorageCredential { .. } => self.administrator(),
            Command::AlterSettings { on, change: _ } => match (&on.role, &on.catalog) {
                (Some(role), _) if matches!(role.as_str(), "current_user" | "current_role" | "session_user") => Ok(()),
                (Some(role), _) if self.snapshot.principal(role).is_some_and(|principal| principal.id == self.caller) => Ok(()),
                (None, Some(catalog)) if !on.of_role => {
                    self.manages(SecurableKind::Catalog, &Name { parts: vec![catalog.clone()], position: None })
                }
                _ => self.administrator(),
            },
            Command::AlterPrincipal { name, options } => self.alter_principal(name, options),
            Command::CreateToken { role, .. } | Command::ShowTokens { role } => {
                role.as_deref().map_or(Ok(()), |role| self.own_or_administrator(role))
            }
            Command::DropToken { id, .. } => self.drop_token(id),
            Command::CreateExternalLocation { credential, .. } => self.create_external_location(credential.as_deref()),
            Command::Grant { privileges, on, principals: _, grant_option: _ }
            | Command::Revoke { privileges, on, principals: _, grant_option_only: _, cascade: _ } => self.grant(privileges, on),
            Command::ShowGrants { on, principal } => self.show_grants(on, principal.as_deref()),
            Command::SetOwner { kind, name, owner } => self.set_owner(*kind, name, owner),
            Command::SetRowFilter { table, function, .. } | Command::SetMask { table, function, .. } => {
                self.manages(SecurableKind::Table, table)?;
                self.execute(function)
            }
            Command::DropRowFilter { table } | Command::DropMask { table, .. } => self.manages(SecurableKind::Table, table),
            // The new name is in the same container.
            Command::Rename { kind, name, to: _ } => self.manages(*kind, name),
            Command::Comment { on, .. } => match on {
                CommentTarget::Securable(kind, name) => self.manages(*kind, name),
                CommentTarget::Column(table, _) => self.manages(SecurableKind::Table, table),
                CommentTarget::Principal(_) => self.administrator(),
            },
            // Their rows are what the caller may see.
            Command::ShowCatalogs { .. } => Ok(()),
            Command::ShowSchemas { catalog, .. } => match catalog {
                Some(catalog) => self.knows(SecurableKind::Catalog, &Name { parts: vec![catalog.clone()], position: None }),
                None => Ok(()),
            },
            Command::ShowTables { schema, .. } | Command::ShowViews { schema, .. } => match schema {
                Some(schema) => self.knows(SecurableKind::Schema, schema),
                None => Ok(()),
            },
            Command::ShowColumns { table } | Command::DescribeTable { table, .. } => self.knows(SecurableKind::Table, table),
            Command::DescribeHistory { table } => self.history(table),
        }
    }

    /// The object, if the caller may know of it.
    fn find(&self, kind: SecurableKind, name: &Name) -> Result<ObjectId> {
        let id = (self.names)(name, kind)?;
        if self.snapshot.visible(self.caller, id) { Ok(id) } else { Err(undefined(kind, name)) }
    }

    fn knows(&self, kind: SecurableKind, name: &Name) -> Result<()> {
        self.find(kind, name).map(|_| ())
    }

    fn privilege(&self, privilege: Privilege, id: ObjectId) -> Result<()> {
        check_privilege(self.snapshot, self.caller, privilege, id)
    }

    fn manages(&self, kind: SecurableKind, name: &Name) -> Result<()> {
        let id = self.find(kind, name)?;
        if self.snapshot.manages(self.caller, id) { Ok(()) } else { Err(must_manage(self.snapshot, id)) }
    }

    fn is_admin(&self) -> bool {
        self.snapshot.is_admin(self.caller)
    }

    fn administrator(&self) -> Result<()> {
        if self.is_admin() {
            Ok(())
        } else {
            Err(Error::new(ErrorKind::Denied, "permission denied").with_detail("Only administrators may do this."))
        }
    }

    /// USE on the way to the container that `name` names, and `privilege` on it.
    fn create_in(&self, name: &Name, container: SecurableKind, privilege: Privilege) -> Result<()> {
        let outer = name.parts.split_last().map(|(_, outer)| outer.to_vec()).unwrap_or_default();
        let written = Name { parts: outer, position: name.position };
        let id = (self.names)(&written, container)?;
        if !self.snapshot.visible(self.caller, id) {
            return Err(refused_as_written(self.snapshot, self.caller, id, container, &written));
        }
        self.privilege(privilege, id)?;
        if may_enter(self.snapshot, self.caller, id) { Ok(()) } else { Err(denied_by_name(self.snapshot, id)) }
    }

    /// What is there under the name, if anything, is replaced by its owner only.
    fn replaces(&self, kind: SecurableKind, name: &Name) -> Result<()> {
        let Ok(id) = (self.names)(name, kind) else { return Ok(()) };
        if !self.snapshot.owns(self.caller, id) && !self.is_admin() {
            return Err(must_own(self.snapshot, id));
        }
        self.manages_governed_by(id)
    }

    /// What policies are made of is changed by those who manage the tables.
    fn manages_governed_by(&self, id: ObjectId) -> Result<()> {
        if self.snapshot.governed_by(id).into_iter().all(|table| self.snapshot.manages(self.caller, table)) {
            return Ok(());
        }
        Err(denied_by_name(self.snapshot, id)
            .with_detail("A row filter or column mask uses it.")
            .with_hint("It takes ownership of the tables whose policies use it, or MANAGE on them."))
    }

    fn create_table(&self, table: &CreateTable) -> Result<()> {
        // In no schema, seen by nobody else: its query passes the gate as any other.
        if table.temporary.is_some() {
            return Ok(());
        }
        self.create_in(&table.name, SecurableKind::Schema, Privilege::CreateTable)?;
        self.location(table.location.as_deref())?;
        if table.or_replace
            && let Ok(id) = (self.names)(&table.name, SecurableKind::Table)
            && !self.snapshot.manages(self.caller, id)
        {
            return Err(must_own(self.snapshot, id));
        }
        let masks = table.columns.iter().filter_map(|column| column.mask.as_ref());
        masks.map(|(function, _)| function).try_for_each(|function| self.execute(function))
    }

    /// Tables may lie under an external location that the caller may use; administrators may name any.
    fn location(&self, url: Option<&str>) -> Result<()> {
        let Some(url) = url else { return Ok(()) };
        if self.is_admin() {
            return Ok(());
        }
        let allowed = self.snapshot.external_location_of(url).is_some_and(|location| {
            self.snapshot.holds(self.caller, Privilege::CreateExternalTable, location.id)
                || self.snapshot.manages(self.caller, location.id)
        });
        if allowed {
            Ok(())
        } else {
            // The same for a location that is not registered and for one that the caller may not use.
            Err(Error::new(ErrorKind::Denied, "permission denied for the location")
                .with_hint("It takes CREATE EXTERNAL TABLE on an external location that covers it."))
        }
    }

    fn execute(&self, function: &Name) -> Result<()> {
        let id = self.find(SecurableKind::Function, function)?;
        self.privilege(Privilege::Execute, id)
    }

    /// Administrators change every role; everybody changes their own password.
    fn alter_principal(&self, name: &str, options: &PrincipalOptions) -> Result<()> {
        let PrincipalOptions { password: _, login, admin, connection_limit, valid_until, member_of, members } = options;
        let password_only = login.is_none()
            && admin.is_none()
            && connection_limit.is_none()
            && valid_until.is_none()
            && member_of.is_empty()
            && members.is_empty();
        if password_only { self.own_or_administrator(name) } else { self.administrator() }
    }

    fn own_or_administrator(&self, role: &str) -> Result<()> {
        let own = self.snapshot.principal(role).is_some_and(|principal| principal.id == self.caller);
        if own { Ok(()) } else { self.administrator() }
    }

    /// Everybody drops their own tokens, administrators all; a token of somebody else reads like one that is not there.
    fn drop_token(&self, id: &str) -> Result<()> {
        let sees = |owner: ObjectId| owner == self.caller || self.is_admin();
        if self.snapshot.token(id).is_some_and(|token| sees(token.owner)) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::UndefinedObject, format!("token \"{id}\" does not exist")))
    }

    fn create_external_location(&self, credential: Option<&str>) -> Result<()> {
        if self.is_admin() {
            return Ok(());
        }
        // Without a credential the server's own access would be lent out.
        let Some(credential) = credential else { return self.administrator() };
        self.manages(SecurableKind::StorageCredential, &Name { parts: vec![credential.to_string()], position: None })
    }

    fn targets(&self, on: &GrantTarget) -> Result<Vec<ObjectId>> {
        if on.kind == SecurableKind::Metastore {
            return Ok(vec![METASTORE]);
        }
        if !on.all_in_schema {
            return on.names.iter().map(|name| self.find(on.kind, name)).collect();
        }
        let schemas = on.names.iter().map(|name| self.find(SecurableKind::Schema, name)).collect::<Result<Vec<_>>>()?;
        Ok(schemas.into_iter().flat_map(|schema| self.snapshot.known_in(self.caller, schema, on.kind)).collect())
    }

    /// One revokes one's own grants only, so revoking takes what granting takes.
    fn grant(&self, privileges: &[Privilege], on: &GrantTarget) -> Result<()> {
        self.targets(on)?.into_iter().try_for_each(|id| {
            let may = privileges.iter().all(|privilege| self.snapshot.may_grant(self.caller, *privilege, id));
            if may { Ok(()) } else { Err(refused(self.snapshot, self.caller, id)) }
        })
    }

    /// Who manages an object sees all grants on it; others see their own, which takes naming themselves or a group of theirs.
    fn show_grants(&self, on: &GrantTarget, principal: Option<&str>) -> Result<()> {
        let about_self = principal
            .and_then(|name| self.snapshot.principal(name))
            .is_some_and(|principal| self.snapshot.is_member(self.caller, principal.id));
        self.targets(on)?.into_iter().try_for_each(|id| {
            if about_self || self.snapshot.manages(self.caller, id) { Ok(()) } else { Err(must_manage(self.snapshot, id)) }
        })
    }

    fn set_owner(&self, kind: SecurableKind, name: &Name, owner: &str) -> Result<()> {
        self.manages(kind, name)?;
        match kind {
            // They read with their owner's rights.
            SecurableKind::View | SecurableKind::Function => {
                self.manages_governed_by(self.find(kind, name)?)?;
                self.acts_as(owner)
            }
            // ALTER TABLE is accepted for views too.
            SecurableKind::Table => {
                let id = self.find(kind, name)?;
                match self.snapshot.kind_of(id) {
                    Some(SecurableKind::View) => {
                        self.manages_governed_by(id)?;
                        self.acts_as(owner)
                    }
                    Some(
                        SecurableKind::Metastore
                        | SecurableKind::Catalog
                        | SecurableKind::Schema
                        | SecurableKind::Table
                        | SecurableKind::Function
                        | SecurableKind::StorageCredential
                        | SecurableKind::ExternalLocation,
                    )
                    | None => Ok(()),
                }
            }
            SecurableKind::Metastore
            | SecurableKind::Catalog
            | SecurableKind::Schema
            | SecurableKind::StorageCredential
            | SecurableKind::ExternalLocation => Ok(()),
        }
    }

    /// The caller is `role`, a member of it, or an administrator.
    fn acts_as(&self, role: &str) -> Result<()> {
        let Some(principal) = self.snapshot.principal(role) else {
            return Err(Error::new(ErrorKind::UndefinedObject, format!("role \"{role}\" does not exist")));
        };
        if self.is_admin() || self.snapshot.is_member(self.caller, principal.id) {
            Ok(())
        } else {
            Err(Error::new(ErrorKind::Denied, format!("must be a member of role \"{role}\"")))
        }
    }

    /// A history holds predicates of past statements, so a policy hides it from everybody who does not manage the table.
    fn history(&self, table: &Name) -> Result<()> {
        let id = self.find(SecurableKind::Table, table)?;
        if self.snapshot.manages(self.caller, id) {
            return Ok(());
        }
        let has_policy = self
            .snapshot
            .relation_by_id(id)
            .and_then(|relation| relation.table())
            .is_some_and(|table| table.row_filter.is_some() || table.has_masks());
        if has_policy {
            return Err(must_manage(self.snapshot, id));
        }
        self.privilege(Privilege::Select, id)?;
        self.privilege(Privilege::Insert, id)
    }
}

/// `must be owner of table x`, which is what PostgreSQL says; MANAGE does as well.
fn must_manage(snapshot: &CatalogSnapshot, id: ObjectId) -> Error {
    denied_by_name(snapshot, id).with_hint("It takes ownership or MANAGE.")
}

/// The caller named it and may create there: that the name is taken is no secret.
fn must_own(snapshot: &CatalogSnapshot, id: ObjectId) -> Error {
    denied_by_name(snapshot, id).with_hint("It takes ownership of what is replaced.")
}

#[cfg(test)]
mod tests;
