//! DROP, with everything that depends on the object.
//!
//! ```text
//!  contents of a container      CASCADE takes them along
//!  views and functions whose
//!    text names it              CASCADE takes them along
//!  policies that call it        never taken along: a table would lose its protection. Refused, unless the table goes too
//! ```
//! But who reads a table by a policy function of his own must not keep its owner from dropping it: where a function goes only because its
//! text names what goes, and the tables with its policies belong to somebody who does not manage that, their policies stay without their
//! function. Such tables are unreadable until the policy is dropped or set anew.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Change, Write};
use crate::catalog::dependents::Dependents;
use crate::catalog::names::url_covers;
use crate::catalog::securable::{Grant, ObjectId, PUBLIC, Relation, SecurableKind};
use crate::catalog::snapshot::Orphan;
use crate::error::{Error, ErrorKind, Result};

/// Most objects that a message lists.
const LISTED_OBJECTS: usize = 20;

/// What a DROP took away.
#[derive(Debug, Default)]
pub struct Dropped {
    /// Every object, the named one included.
    pub objects: BTreeSet<ObjectId>,
    /// The tables and views among them, as they were.
    pub relations: Vec<Arc<Relation>>,
}

impl Change {
    /// DROP. The files of managed tables become orphans, to be removed when the drop is durable.
    ///
    /// `caller` sees in the error only the names of those dependants that it may see.
    ///
    /// # Errors
    /// [`ErrorKind::DependentObjects`] if something depends on the object and `cascade` is not set, or if a policy does.
    pub fn drop_object(&mut self, id: ObjectId, cascade: bool, caller: ObjectId) -> Result<Dropped> {
        let kind = self.snapshot.kind_of(id).ok_or_else(Change::gone)?;
        match kind {
            SecurableKind::Metastore => return Err(Error::unsupported("dropping the metastore")),
            SecurableKind::StorageCredential => self.check_credential_unused(id)?,
            SecurableKind::ExternalLocation => self.check_location_unused(id)?,
            SecurableKind::Catalog
            | SecurableKind::Schema
            | SecurableKind::Table
            | SecurableKind::View
            | SecurableKind::Function => {}
        }
        let objects = self.collect(id);
        if objects.len() > 1 && !cascade {
            let others: Vec<ObjectId> = objects.iter().copied().filter(|other| *other != id).collect();
            return Err(self
                .depended_on(id, kind, &others, caller)
                .with_hint("Use DROP ... CASCADE to drop the dependent objects too."));
        }
        let mut guarded = self.policies_outside(&objects);
        if kind != SecurableKind::Function {
            guarded.retain(|table| self.belongs_together(*table, id, caller));
        }
        if !guarded.is_empty() {
            return Err(self
                .depended_on(id, kind, &guarded, caller)
                .with_hint("Drop the row filters and column masks that use the function first."));
        }
        let relations: Vec<Arc<Relation>> = objects.iter().filter_map(|id| self.snapshot.relation_by_id(*id)).cloned().collect();
        for object in &objects {
            self.remove(*object);
        }
        Ok(Dropped { objects, relations })
    }

    /// The object, what lies in it, and every view and function that would lose something it names.
    fn collect(&self, id: ObjectId) -> BTreeSet<ObjectId> {
        let dependents = Dependents::of(&self.snapshot);
        let mut objects = BTreeSet::from([id]);
        let mut open = vec![id];
        while let Some(id) = open.pop() {
            let next = dependents.contents_of(id).into_iter().chain(dependents.users_of(id));
            open.extend(next.filter(|other| objects.insert(*other)));
        }
        objects
    }

    /// Tables that stay, but whose policies call a function that goes.
    fn policies_outside(&self, objects: &BTreeSet<ObjectId>) -> Vec<ObjectId> {
        let dependents = Dependents::of(&self.snapshot);
        let tables: BTreeSet<ObjectId> = objects.iter().flat_map(|id| dependents.policies_on(*id)).collect();
        tables.difference(objects).copied().collect()
    }

    /// Whether who owns the table, and reads the object by its policies, has a say in what becomes of the object; or is the caller.
    fn belongs_together(&self, table: ObjectId, object: ObjectId, caller: ObjectId) -> bool {
        let owner = self.snapshot.owner_of(table).unwrap_or(PUBLIC);
        self.snapshot.is_member(caller, owner) || self.snapshot.manages(owner, object)
    }

    fn depended_on(&self, id: ObjectId, kind: SecurableKind, others: &[ObjectId], caller: ObjectId) -> Error {
        let name = self.snapshot.name_of(id).unwrap_or_default();
        let (seen, hidden): (Vec<ObjectId>, Vec<ObjectId>) =
            others.iter().partition(|other| self.snapshot.visible(caller, **other));
        let mut lines: Vec<String> = seen
            .iter()
            .take(LISTED_OBJECTS)
            .map(|other| {
                let other_kind = self.snapshot.kind_of(*other).map_or("object", SecurableKind::noun);
                format!("{other_kind} {} depends on {} {name}", self.snapshot.full_name(*other), kind.noun())
            })
            .collect();
        let unlisted = hidden.len() + seen.len().saturating_sub(LISTED_OBJECTS);
        if unlisted > 0 {
            lines.push(format!("{unlisted} other object{} depend on it", if unlisted == 1 { "" } else { "s" }));
        }
        let message = format!("cannot drop {} {name} because other objects depend on it", kind.noun());
        Error::new(ErrorKind::DependentObjects, message).with_detail(lines.join("\n"))
    }

    fn remove(&mut self, id: ObjectId) {
        let grants: Vec<Grant> = self.snapshot.grants_on(id).cloned().collect();
        for grant in grants {
            self.record(Write::RemoveGrant(grant.key()));
        }
        self.trust_text(id);
        if let Some(relation) = self.snapshot.relation_by_id(id).cloned() {
            if let Some(table) = relation.table().filter(|table| table.managed) {
                self.record(Write::PutOrphan(Orphan { id, location: table.location.clone(), credential: table.credential }));
            }
            self.record(Write::RemoveRelation(id));
        } else if self.snapshot.function_by_id(id).is_some() {
            self.record(Write::RemoveFunction(id));
        } else if self.snapshot.schema_by_id(id).is_some() {
            self.record(Write::RemoveSchema(id));
        } else if self.snapshot.catalog_by_id(id).is_some() {
            self.forget_settings(|scope| scope.catalog == Some(id));
            self.record(Write::RemoveCatalog(id));
        } else if self.snapshot.external_location_by_id(id).is_some() {
            self.record(Write::RemoveExternalLocation(id));
        } else if self.snapshot.storage_credential_by_id(id).is_some() {
            self.record(Write::RemoveStorageCredential(id));
        }
    }

    fn check_credential_unused(&self, id: ObjectId) -> Result<()> {
        let locations = self.snapshot.external_locations().filter(|location| location.credential == Some(id)).count();
        let tables = self
            .snapshot
            .all_relations()
            .filter_map(|relation| relation.table())
            .filter(|table| table.credential == Some(id))
            .count();
        let orphans = self.snapshot.orphans().filter(|orphan| orphan.credential == Some(id)).count();
        if locations + tables + orphans == 0 {
            return Ok(());
        }
        let name = self.snapshot.name_of(id).unwrap_or_default();
        Err(Error::new(
            ErrorKind::DependentObjects,
            format!("cannot drop storage credential {name} because other objects depend on it"),
        )
        .with_detail(format!("It opens {locations} external locations and {} tables.", tables + orphans)))
    }

    fn check_location_unused(&self, id: ObjectId) -> Result<()> {
        let Some(location) = self.snapshot.external_location_by_id(id) else { return Err(Change::gone()) };
        let under = |relation: &&Arc<Relation>| {
            relation.table().is_some_and(|table| !table.managed && url_covers(&location.url, &table.location))
        };
        let tables = self.snapshot.all_relations().filter(under).count();
        if tables == 0 {
            return Ok(());
        }
        let message = format!("cannot drop external location {} because other objects depend on it", location.name);
        Err(Error::new(ErrorKind::DependentObjects, message).with_detail(format!("{tables} tables lie under it.")))
    }
}
