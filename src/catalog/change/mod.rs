//! Typed edits of the metastore over a private copy of a snapshot.
//!
//! Every edit checks its own rules (names are free, containers exist, nothing depends on what goes) and is visible to the next edit
//! of the same change. It also notes the [`Write`] that makes it durable. An edit that fails leaves the change unusable: the whole
//! change is dropped, all or nothing.
//!
//! Who may make an edit is not checked here.

mod drop;
mod grants;
mod objects;
mod policies;
mod principals;

use std::sync::Arc;

use super::securable::{
    Catalog, ExternalLocation, Function, Grant, ObjectId, Principal, Relation, Schema, SecurableKind, StorageCredential, TableEntry,
};
use super::snapshot::{CatalogSnapshot, Orphan};
use super::types::SqlType;
use crate::catalog::privilege::Privilege;
use crate::catalog::securable::{ColumnEntry, RelationKind};
use crate::error::{Error, ErrorKind, Result};

pub use drop::Dropped;

/// A relation to be made.
#[derive(Debug)]
pub struct NewRelation {
    /// An id from [`Change::reserve_table`]; a fresh one when `None`.
    pub id: Option<ObjectId>,
    /// Schema it lies in.
    pub schema: ObjectId,
    /// Name.
    pub name: String,
    /// Owner.
    pub owner: ObjectId,
    /// Columns in order.
    pub columns: Vec<ColumnEntry>,
    /// COMMENT.
    pub comment: Option<String>,
    /// What it is.
    pub kind: RelationKind,
}

/// Where a table lies, for [`RelationKind::Table`] without policies.
#[derive(Debug)]
pub struct NewTable {
    /// URL of the root, without a trailing slash.
    pub location: String,
    /// Whether its files belong to the warehouse.
    pub managed: bool,
    /// Credential that opens it.
    pub credential: Option<ObjectId>,
    /// Partition columns.
    pub partition_columns: Vec<String>,
}

impl From<NewTable> for RelationKind {
    fn from(table: NewTable) -> Self {
        RelationKind::Table(TableEntry {
            location: table.location,
            managed: table.managed,
            credential: table.credential,
            partition_columns: table.partition_columns,
            row_filter: None,
            column_masks: std::collections::BTreeMap::new(),
        })
    }
}

/// A function to be made.
#[derive(Debug)]
pub struct NewFunction {
    /// Schema it lies in.
    pub schema: ObjectId,
    /// Name.
    pub name: String,
    /// Owner.
    pub owner: ObjectId,
    /// Parameters: name and type.
    pub parameters: Vec<(String, SqlType)>,
    /// Result type.
    pub returns: SqlType,
    /// The expression, with three-part names.
    pub body: String,
    /// The tables, views and functions that the body names.
    pub uses: Vec<ObjectId>,
    /// COMMENT.
    pub comment: Option<String>,
}

/// A principal to be made.
#[derive(Debug, Default)]
pub struct NewPrincipal {
    /// Name.
    pub name: String,
    /// A user, not a group.
    pub can_login: bool,
    /// Administrator.
    pub is_admin: bool,
    /// SCRAM verifier.
    pub verifier: Option<String>,
    /// Most sessions at a time.
    pub connection_limit: Option<u32>,
    /// COMMENT.
    pub comment: Option<String>,
}

/// What makes an edit durable: one row of the store.
#[derive(Debug, Clone)]
pub(super) enum Write {
    PutCatalog(Arc<Catalog>),
    PutSchema(Arc<Schema>),
    PutRelation(Arc<Relation>),
    PutFunction(Arc<Function>),
    PutPrincipal(Arc<Principal>),
    PutStorageCredential(Arc<StorageCredential>),
    PutExternalLocation(Arc<ExternalLocation>),
    PutMember { group: ObjectId, member: ObjectId },
    PutGrant(Grant),
    PutOrphan(Orphan),
    RemoveCatalog(ObjectId),
    RemoveSchema(ObjectId),
    RemoveRelation(ObjectId),
    RemoveFunction(ObjectId),
    RemovePrincipal(ObjectId),
    RemoveStorageCredential(ObjectId),
    RemoveExternalLocation(ObjectId),
    RemoveMember { group: ObjectId, member: ObjectId },
    RemoveGrant { grantee: ObjectId, securable: ObjectId, privilege: Privilege },
    RemoveOrphan(ObjectId),
}

/// Edits that become durable, and visible to others, together.
#[derive(Debug)]
pub struct Change {
    snapshot: CatalogSnapshot,
    writes: Vec<Write>,
}

impl Change {
    /// A change that starts from `snapshot`. [`super::Metastore::write`] makes one for its caller; tests may make their own.
    pub fn on(snapshot: &CatalogSnapshot) -> Change {
        let mut snapshot = snapshot.clone();
        snapshot.number += 1;
        Change { snapshot, writes: Vec::new() }
    }

    /// The state with the edits so far.
    pub fn snapshot(&self) -> &CatalogSnapshot {
        &self.snapshot
    }

    /// The state that the change leads to, for tests that need no store.
    pub fn into_snapshot(self) -> CatalogSnapshot {
        self.snapshot
    }

    /// Whether there is nothing to write.
    pub(super) fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    pub(super) fn into_parts(self) -> (CatalogSnapshot, Vec<Write>) {
        (self.snapshot, self.writes)
    }

    /// Applies a write to the private copy and notes it.
    fn record(&mut self, write: Write) {
        self.snapshot.apply(&write);
        self.writes.push(write);
    }

    fn next_id(&mut self) -> Result<ObjectId> {
        let id = ObjectId(self.snapshot.next_id);
        self.snapshot.next_id = self
            .snapshot
            .next_id
            .checked_add(1)
            .ok_or_else(|| Error::new(ErrorKind::ProgramLimit, "no object identifiers are left"))?;
        Ok(id)
    }

    /// The object is gone: it was dropped after the statement resolved its name.
    fn gone() -> Error {
        Error::new(ErrorKind::UndefinedObject, "the object was dropped by another session").with_hint("Run the statement again.")
    }
}

/// How messages name a kind of object.
pub(super) const fn noun(kind: SecurableKind) -> &'static str {
    match kind {
        SecurableKind::Metastore => "metastore",
        SecurableKind::Catalog => "catalog",
        SecurableKind::Schema => "schema",
        SecurableKind::Table => "table",
        SecurableKind::View => "view",
        SecurableKind::Function => "function",
        SecurableKind::StorageCredential => "storage credential",
        SecurableKind::ExternalLocation => "external location",
    }
}

impl CatalogSnapshot {
    /// Brings one write into the state. The store replays its rows through the same function, so that what is read back is what was
    /// written.
    pub(super) fn apply(&mut self, write: &Write) {
        match write {
            Write::PutCatalog(entry) => Arc::make_mut(&mut self.catalogs).put(Arc::clone(entry)),
            Write::PutSchema(entry) => Arc::make_mut(&mut self.schemas).put(Arc::clone(entry)),
            Write::PutRelation(entry) => Arc::make_mut(&mut self.relations).put(Arc::clone(entry)),
            Write::PutFunction(entry) => Arc::make_mut(&mut self.functions).put(Arc::clone(entry)),
            Write::PutPrincipal(entry) => Arc::make_mut(&mut self.principals).put(Arc::clone(entry)),
            Write::PutStorageCredential(entry) => Arc::make_mut(&mut self.storage_credentials).put(Arc::clone(entry)),
            Write::PutExternalLocation(entry) => Arc::make_mut(&mut self.external_locations).put(Arc::clone(entry)),
            Write::PutMember { group, member } => {
                Arc::make_mut(&mut self.memberships).insert((*group, *member));
                self.close_memberships();
            }
            Write::RemoveMember { group, member } => {
                Arc::make_mut(&mut self.memberships).remove(&(*group, *member));
                self.close_memberships();
            }
            Write::PutGrant(grant) => {
                let grants = Arc::make_mut(&mut self.grants).entry(grant.securable).or_default();
                grants.retain(|old| (old.grantee, old.privilege) != (grant.grantee, grant.privilege));
                grants.push(grant.clone());
                grants.sort();
            }
            Write::RemoveGrant { grantee, securable, privilege } => {
                let grants = Arc::make_mut(&mut self.grants);
                if let Some(on) = grants.get_mut(securable) {
                    on.retain(|old| (old.grantee, old.privilege) != (*grantee, *privilege));
                    if on.is_empty() {
                        grants.remove(securable);
                    }
                }
            }
            Write::PutOrphan(orphan) => {
                Arc::make_mut(&mut self.orphans).insert(orphan.id, orphan.clone());
            }
            Write::RemoveOrphan(id) => {
                Arc::make_mut(&mut self.orphans).remove(id);
            }
            Write::RemoveCatalog(id) => Arc::make_mut(&mut self.catalogs).remove(*id),
            Write::RemoveSchema(id) => Arc::make_mut(&mut self.schemas).remove(*id),
            Write::RemoveRelation(id) => Arc::make_mut(&mut self.relations).remove(*id),
            Write::RemoveFunction(id) => Arc::make_mut(&mut self.functions).remove(*id),
            Write::RemovePrincipal(id) => Arc::make_mut(&mut self.principals).remove(*id),
            Write::RemoveStorageCredential(id) => Arc::make_mut(&mut self.storage_credentials).remove(*id),
            Write::RemoveExternalLocation(id) => Arc::make_mut(&mut self.external_locations).remove(*id),
        }
    }

    /// Works out for every member all the groups it is in.
    fn close_memberships(&mut self) {
        use std::collections::{BTreeMap, BTreeSet};
        let mut direct: BTreeMap<ObjectId, Vec<ObjectId>> = BTreeMap::new();
        for (group, member) in self.memberships.iter() {
            direct.entry(*member).or_default().push(*group);
        }
        let closure = direct.keys().map(|member| {
            let mut groups = BTreeSet::new();
            let mut open = vec![*member];
            while let Some(id) = open.pop() {
                let above = direct.get(&id).into_iter().flatten();
                open.extend(above.copied().filter(|group| groups.insert(*group)));
            }
            (*member, groups)
        });
        self.groups = Arc::new(closure.collect());
    }
}
