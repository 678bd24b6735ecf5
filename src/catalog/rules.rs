//! What a principal holds: the privilege rules of Unity Catalog
//! (<https://docs.databricks.com/en/data-governance/unity-catalog/manage-privileges/>).
//!
//! ```text
//!  holds    ownership of the object itself, or a grant on it or on a container, to the principal, a group of it, or PUBLIC
//!  reaches  USE CATALOG and USE SCHEMA on the containers
//!  manages  ownership or MANAGE, on it or on a container; administrators
//!  visible  administrators, who manages, BROWSE, any privilege that means something on it
//! ```
//! Grants inherit downward, also to objects made later. Ownership does not: who owns a schema manages its tables but reads none of
//! them. Grants on the metastore do not inherit. There is no negative grant.

use super::privilege::Privilege;
use super::securable::{Grant, METASTORE, ObjectId, SecurableKind};
use super::snapshot::CatalogSnapshot;

impl CatalogSnapshot {
    /// Whether `principal` owns the object, itself or through a group.
    pub fn owns(&self, principal: ObjectId, securable: ObjectId) -> bool {
        self.owner_of(securable).is_some_and(|owner| self.is_member(principal, owner))
    }

    /// Whether `principal` holds `privilege` on `securable`. Does not look at USE on the containers: see [`Self::reaches`].
    ///
    /// ALL PRIVILEGES, on the object or on a container, gives every privilege but MANAGE.
    pub fn holds(&self, principal: ObjectId, privilege: Privilege, securable: ObjectId) -> bool {
        if securable == METASTORE && self.is_admin(principal) {
            return true;
        }
        if self.owns(principal, securable) {
            return true;
        }
        self.effective_grants(principal, securable).any(|grant| gives(grant.privilege, privilege))
    }

    /// Whether `principal` may grant `privilege` on `securable` to others: who manages it, or holds it WITH GRANT OPTION.
    pub fn may_grant(&self, principal: ObjectId, privilege: Privilege, securable: ObjectId) -> bool {
        self.manages(principal, securable)
            || self.effective_grants(principal, securable).any(|grant| grant.grantable && gives(grant.privilege, privilege))
    }

    /// Whether `principal` may enter the containers of `securable`: USE CATALOG on its catalog and USE SCHEMA on its schema.
    ///
    /// A schema asks for its catalog only; a catalog, and what lies outside catalogs, for nothing.
    pub fn reaches(&self, principal: ObjectId, securable: ObjectId) -> bool {
        self.containers_of(securable).skip(1).all(|container| match self.kind_of(container) {
            Some(SecurableKind::Catalog) => self.holds(principal, Privilege::UseCatalog, container),
            Some(SecurableKind::Schema) => self.holds(principal, Privilege::UseSchema, container),
            _ => false,
        })
    }

    /// Whether `principal` may grant on, alter and drop `securable`: its owner, the owner of a container, a holder of MANAGE on either,
    /// an administrator.
    pub fn manages(&self, principal: ObjectId, securable: ObjectId) -> bool {
        self.is_admin(principal)
            || self.containers_of(securable).any(|id| self.owns(principal, id))
            || self.effective_grants(principal, securable).any(|grant| grant.privilege == Privilege::Manage)
    }

    /// Whether `principal` may know that `securable` exists.
    ///
    /// Names of principals are visible to all, as in PostgreSQL. A catalog or schema shows itself also through anything visible
    /// inside it, which costs a walk over its objects when nothing else shows it.
    pub fn visible(&self, principal: ObjectId, securable: ObjectId) -> bool {
        let Some(kind) = self.kind_of(securable) else { return self.principal_by_id(securable).is_some() };
        if kind == SecurableKind::Metastore || self.manages(principal, securable) {
            return true;
        }
        let shows = |grant: &Grant| grant.privilege == Privilege::Browse || grant.privilege.applies_to(kind);
        if self.effective_grants(principal, securable).any(shows) {
            return true;
        }
        match kind {
            SecurableKind::Catalog => self.schemas(securable).any(|schema| self.visible(principal, schema.id)),
            SecurableKind::Schema => {
                self.relations(securable).any(|relation| self.visible(principal, relation.id))
                    || self.functions(securable).any(|function| self.visible(principal, function.id))
            }
            SecurableKind::Metastore
            | SecurableKind::Table
            | SecurableKind::View
            | SecurableKind::Function
            | SecurableKind::StorageCredential
            | SecurableKind::ExternalLocation => false,
        }
    }

    /// The grants on `securable` and on its containers that `principal` has, itself, through groups or through PUBLIC.
    pub fn effective_grants(&self, principal: ObjectId, securable: ObjectId) -> impl Iterator<Item = &Grant> {
        self.containers_of(securable)
            .flat_map(|id| self.grants_on(id))
            .filter(move |grant| self.is_member(principal, grant.grantee))
    }
}

/// Whether a grant of `granted` satisfies a check for `wanted`.
fn gives(granted: Privilege, wanted: Privilege) -> bool {
    granted == wanted || (granted == Privilege::AllPrivileges && wanted != Privilege::Manage)
}
