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
mod settings;
mod tokens;

use std::sync::Arc;

use super::securable::{
    Catalog, ExternalLocation, Function, Grant, GrantKey, ObjectId, Principal, Relation, Schema, StorageCredential, TableEntry,
    Token,
};
use super::snapshot::{CatalogSnapshot, Orphan, SettingScope};
use crate::catalog::securable::{ColumnEntry, RelationKind};
use crate::error::{Error, ErrorKind, Result};
use crate::types::SqlType;

pub use drop::Dropped;
pub use grants::Revocation;
pub use tokens::NewToken;

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
#[derive(Debug, Clone)]
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
            past_columns: vec![],
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
    /// VALID UNTIL.
    pub valid_until: Option<i64>,
}

/// What makes an edit durable: one row of the store.
#[derive(Debug, Clone)]
pub(super) enum Write {
    PutCatalog(Arc<Catalog>),
    PutSchema(Arc<Schema>),
    PutRelation(Arc<Relation>),
    PutFunction(Arc<Function>),
    PutPrincipal(Arc<Principal>),
    PutToken(Arc<Token>),
    PutStorageCredential(Arc<StorageCredential>),
    PutExternalLocation(Arc<ExternalLocation>),
    PutMember { group: ObjectId, member: ObjectId },
    PutGrant(Grant),
    PutOrphan(Orphan),
    PutSetting { scope: SettingScope, name: String, value: String },
    PutDoubtfulText(ObjectId),
    RemoveCatalog(ObjectId),
    RemoveSchema(ObjectId),
    RemoveRelation(ObjectId),
    RemoveFunction(ObjectId),
    RemovePrincipal(ObjectId),
    RemoveToken(ObjectId),
    RemoveStorageCredential(ObjectId),
    RemoveExternalLocation(ObjectId),
    RemoveMember { group: ObjectId, member: ObjectId },
    RemoveGrant(GrantKey),
    RemoveOrphan(ObjectId),
    RemoveSetting { scope: SettingScope, name: String },
    RemoveDoubtfulText(ObjectId),
}

/// Edits that become durable, and visible to others, together.
#[derive(Debug, Clone)]
pub struct Change {
    snapshot: CatalogSnapshot,
    writes: Vec<Write>,
    first_id: u32,
}

impl Change {
    /// A change that starts from `snapshot`. [`super::Metastore::write`] makes one for its caller; tests may make their own.
    pub fn on(snapshot: &CatalogSnapshot) -> Change {
        let mut snapshot = snapshot.clone();
        snapshot.number += 1;
        Change { first_id: snapshot.next_id, snapshot, writes: Vec::new() }
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
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.snapshot.next_id == self.first_id
    }

    /// Whether the edits were made on that state.
    pub fn is_on(&self, snapshot: &CatalogSnapshot) -> bool {
        self.snapshot.number == snapshot.number + 1
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

impl CatalogSnapshot {
    /// The state that a store's rows make.
    pub(super) fn replay(number: u64, next_id: u32, writes: &[Write]) -> CatalogSnapshot {
        let mut snapshot = CatalogSnapshot { number, next_id, ..CatalogSnapshot::empty() };
        for write in writes {
            match write {
                // The closure over all memberships is worked out once, below.
                Write::PutMember { group, member } => {
                    Arc::make_mut(&mut snapshot.memberships).insert((*group, *member));
                }
                other => snapshot.apply(other),
            }
        }
        snapshot.close_memberships();
        snapshot
    }

    /// Brings one write into the state. A store's rows are replayed through the same function, so that what is read back is what was
    /// written.
    pub(super) fn apply(&mut self, write: &Write) {
        match write {
            Write::PutCatalog(entry) => Arc::make_mut(&mut self.catalogs).put(Arc::clone(entry)),
            Write::PutSchema(entry) => Arc::make_mut(&mut self.schemas).put(Arc::clone(entry)),
            Write::PutRelation(entry) => Arc::make_mut(&mut self.relations).put(Arc::clone(entry)),
            Write::PutFunction(entry) => Arc::make_mut(&mut self.functions).put(Arc::clone(entry)),
            Write::PutPrincipal(entry) => Arc::make_mut(&mut self.principals).put(Arc::clone(entry)),
            Write::PutToken(entry) => {
                Arc::make_mut(&mut self.tokens).insert(entry.public_id.clone(), Arc::clone(entry));
            }
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
                grants.retain(|old| old.key() != grant.key());
                grants.push(grant.clone());
                grants.sort();
            }
            Write::RemoveGrant(key) => {
                let grants = Arc::make_mut(&mut self.grants);
                if let Some(on) = grants.get_mut(&key.securable) {
                    on.retain(|old| old.key() != *key);
                    if on.is_empty() {
                        grants.remove(&key.securable);
                    }
                }
            }
            Write::PutOrphan(orphan) => {
                Arc::make_mut(&mut self.orphans).insert(orphan.id, orphan.clone());
            }
            Write::PutSetting { scope, name, value } => {
                Arc::make_mut(&mut self.settings).entry(*scope).or_default().insert(name.clone(), value.clone());
            }
            Write::RemoveSetting { scope, name } => {
                let settings = Arc::make_mut(&mut self.settings);
                if let Some(of_scope) = settings.get_mut(scope) {
                    of_scope.remove(name);
                    if of_scope.is_empty() {
                        settings.remove(scope);
                    }
                }
            }
            Write::RemoveOrphan(id) => {
                Arc::make_mut(&mut self.orphans).remove(id);
            }
            Write::PutDoubtfulText(id) => {
                Arc::make_mut(&mut self.doubtful_texts).insert(*id);
            }
            Write::RemoveDoubtfulText(id) => {
                Arc::make_mut(&mut self.doubtful_texts).remove(id);
            }
            Write::RemoveCatalog(id) => Arc::make_mut(&mut self.catalogs).remove(*id),
            Write::RemoveSchema(id) => Arc::make_mut(&mut self.schemas).remove(*id),
            Write::RemoveRelation(id) => Arc::make_mut(&mut self.relations).remove(*id),
            Write::RemoveFunction(id) => Arc::make_mut(&mut self.functions).remove(*id),
            Write::RemovePrincipal(id) => Arc::make_mut(&mut self.principals).remove(*id),
            Write::RemoveToken(id) => Arc::make_mut(&mut self.tokens).retain(|_, token| token.id != *id),
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::catalog::metastore::Metastore;
    use crate::catalog::privilege::Privilege;
    use crate::catalog::securable::{ColumnMask, METASTORE, PolicyArgument, RowFilter, ViewEntry};

    struct World {
        change: Change,
        admin: ObjectId,
        bob: ObjectId,
        schema: ObjectId,
    }

    fn user(name: &str, is_admin: bool) -> NewPrincipal {
        NewPrincipal { name: name.to_string(), can_login: true, is_admin, ..NewPrincipal::default() }
    }

    fn world() -> World {
        let mut change = Change::on(&CatalogSnapshot::empty());
        let admin = change.create_principal(user("admin", true)).unwrap();
        let bob = change.create_principal(user("bob", false)).unwrap();
        let catalog = change.create_catalog("main", admin, None, None).unwrap();
        let schema = change.create_schema(catalog, "public", admin, None, None).unwrap();
        World { change, admin, bob, schema }
    }

    fn columns(names: &[&str]) -> Vec<ColumnEntry> {
        let column = |(index, name): (usize, &&str)| ColumnEntry {
            number: i16::try_from(index).unwrap() + 1,
            name: name.to_string(),
            sql_type: SqlType::Text,
            nullable: true,
            comment: None,
            physical_name: None,
        };
        names.iter().enumerate().map(column).collect()
    }

    impl World {
        fn relation(&mut self, name: &str, kind: RelationKind) -> Result<ObjectId> {
            let (schema, owner) = (self.schema, self.admin);
            let new =
                NewRelation { id: None, schema, name: name.to_string(), owner, columns: columns(&["a", "b"]), comment: None, kind };
            self.change.create_relation(new)
        }

        fn table(&mut self, name: &str) -> ObjectId {
            let table =
                NewTable { location: format!("file:///{name}"), managed: true, credential: None, partition_columns: vec![] };
            self.relation(name, table.into()).unwrap()
        }

        fn view(&mut self, name: &str, uses: &[ObjectId]) -> ObjectId {
            self.relation(name, RelationKind::View(ViewEntry { query: "..".to_string(), uses: uses.to_vec() })).unwrap()
        }

        fn new_function(&self, name: &str, uses: &[ObjectId]) -> NewFunction {
            NewFunction {
                schema: self.schema,
                name: name.to_string(),
                owner: self.admin,
                parameters: vec![("x".to_string(), SqlType::Text)],
                returns: SqlType::Bool,
                body: "..".to_string(),
                uses: uses.to_vec(),
                comment: None,
            }
        }

        fn function(&mut self, name: &str, uses: &[ObjectId]) -> ObjectId {
            let new = self.new_function(name, uses);
            self.change.create_function(new).unwrap()
        }

        fn filter(&mut self, table: ObjectId, function: ObjectId) -> Result<()> {
            self.change.set_row_filter(table, Some(RowFilter { function, columns: vec!["a".to_string()] }))
        }
    }

    #[test]
    fn names_are_unique_in_their_container_and_relations_share_one_namespace() {
        let mut world = world();
        world.table("t");
        let error = world.relation("t", RelationKind::View(ViewEntry { query: String::new(), uses: vec![] })).unwrap_err();
        assert_eq!((error.kind(), error.message()), (ErrorKind::DuplicateRelation, "relation \"t\" already exists"));
        world.function("t", &[]);
        let admin = world.admin;
        let kinds = [
            world.change.create_catalog("main", admin, None, None).unwrap_err().kind(),
            world.change.create_principal(user("bob", false)).unwrap_err().kind(),
            world.change.create_principal(user("account users", false)).unwrap_err().kind(),
        ];
        assert_eq!(kinds, [ErrorKind::DuplicateCatalog, ErrorKind::DuplicateObject, ErrorKind::ReservedName]);
    }

    #[test]
    fn a_container_with_contents_needs_cascade() {
        let mut world = world();
        let (schema, admin) = (world.schema, world.admin);
        let table = world.table("t");
        let error = world.change.drop_object(schema, false, admin).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DependentObjects);
        assert_eq!(error.message(), "cannot drop schema public because other objects depend on it");
        assert_eq!(error.detail(), Some("table main.public.t depends on schema public"));
        let dropped = world.change.drop_object(schema, true, admin).unwrap();
        assert_eq!(dropped.relations.len(), 1);
        assert!(world.change.snapshot().relation_by_id(table).is_none());
        assert_eq!(world.change.snapshot().orphans().map(|orphan| orphan.id).collect::<Vec<_>>(), [table]);
    }

    #[test]
    fn the_detail_of_a_refused_drop_names_visible_objects_only() {
        let mut world = world();
        let bob = world.bob;
        let table = world.table("t");
        world.view("secret_view", &[table]);
        let error = world.change.drop_object(table, false, bob).unwrap_err();
        assert_eq!(error.detail(), Some("1 other object depend on it"));
    }

    #[test]
    fn cascade_takes_views_along_but_never_a_policy() {
        let mut world = world();
        let admin = world.admin;
        let table = world.table("t");
        let function = world.function("f", &[]);
        let view = world.view("v", &[table, function]);
        let outer = world.view("w", &[view]);
        world.filter(table, function).unwrap();
        let error = world.change.drop_object(function, true, admin).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DependentObjects);
        world.change.set_row_filter(table, None).unwrap();
        let dropped = world.change.drop_object(function, true, admin).unwrap();
        assert_eq!(dropped.objects, [function, view, outer].into());
        assert!(world.change.snapshot().relation_by_id(table).is_some());
    }

    #[test]
    fn a_mapping_table_of_a_policy_cannot_go_either() {
        let mut world = world();
        let admin = world.admin;
        let (table, mapping) = (world.table("t"), world.table("mapping"));
        let function = world.function("f", &[mapping]);
        world.filter(table, function).unwrap();
        assert_eq!(world.change.drop_object(mapping, true, admin).unwrap_err().kind(), ErrorKind::DependentObjects);
        let schema = world.schema;
        world.change.drop_object(schema, true, admin).unwrap();
    }

    #[test]
    fn policies_do_not_stack() {
        let mut world = world();
        let (table, mapping) = (world.table("t"), world.table("mapping"));
        let inner = world.function("inner", &[]);
        let view = world.view("v", &[mapping]);
        let reader = world.function("reader", &[view]);
        world.filter(mapping, inner).unwrap();
        assert_eq!(world.filter(table, reader).unwrap_err().kind(), ErrorKind::InvalidObjectDefinition);

        // Made in the other order, the table that is read gets its policy: nobody's function keeps its owner from it.
        let mut world = self::world();
        let (table, mapping) = (world.table("t"), world.table("mapping"));
        let inner = world.function("inner", &[]);
        let view = world.view("v", &[mapping]);
        let reader = world.function("reader", &[view]);
        world.filter(table, reader).unwrap();
        world.filter(mapping, inner).unwrap();

        // And by replacing the function, or the view that it reads.
        let mut world = self::world();
        let (table, mapping) = (world.table("t"), world.table("mapping"));
        let inner = world.function("inner", &[]);
        let reader = world.function("reader", &[]);
        world.filter(table, reader).unwrap();
        world.filter(mapping, inner).unwrap();
        let new = world.new_function("reader", &[mapping]);
        assert_eq!(world.change.replace_function(reader, new).unwrap_err().kind(), ErrorKind::InvalidObjectDefinition);
    }

    #[test]
    fn a_reader_keeps_nobody_from_dropping_what_he_reads_by_a_policy() {
        let mut world = world();
        let (bob, admin) = (world.bob, world.admin);
        let (own, read) = (world.table("own"), world.table("read"));
        let function = world.function("f", &[read]);
        world.change.set_owner(own, bob).unwrap();
        world.change.set_owner(function, bob).unwrap();
        world.filter(own, function).unwrap();
        let dropped = world.change.drop_object(read, true, admin).unwrap();
        assert_eq!(dropped.objects, [read, function].into());
        // The policy stays without its function, and can be dropped.
        assert!(world.change.snapshot().relation_by_id(own).unwrap().table().unwrap().row_filter.is_some());
        world.change.set_row_filter(own, None).unwrap();
    }

    #[test]
    fn a_draft_does_not_widen_what_its_own_statements_read() {
        let mut world = world();
        let (bob, admin, schema) = (world.bob, world.admin, world.schema);
        let (table, plain) = (world.table("t"), world.table("plain"));
        let (filter, other) = (world.function("filter", &[]), world.function("other", &[]));
        world.filter(table, filter).unwrap();
        let view = world.view("v", &[table]);
        world.change.set_owner(view, bob).unwrap();
        let grant = |grantee, securable, privilege| Grant { grantee, securable, privilege, grantor: admin, grantable: false };
        world.change.grant(grant(bob, plain, Privilege::Select)).unwrap();
        let committed = world.change.clone().into_snapshot();
        let group = world.change.create_principal(NewPrincipal { name: "g".to_string(), ..Default::default() }).unwrap();
        world.change.add_member(group, bob).unwrap();
        world.change.grant(grant(bob, table, Privilege::Select)).unwrap();
        world.change.set_row_filter(table, None).unwrap();
        world.change.set_owner(table, bob).unwrap();
        world.change.set_owner(schema, bob).unwrap();
        world.change.set_owner(view, admin).unwrap();
        world.filter(plain, other).unwrap();
        world
            .change
            .revoke(Revocation {
                grantee: bob,
                privilege: Privilege::Select,
                securable: plain,
                grantor: admin,
                grant_option_only: false,
                cascade: false,
            })
            .unwrap();
        let new = world.table("new");
        world.change.set_owner(new, bob).unwrap();

        let in_force = world.change.snapshot().in_force(&committed, &std::collections::BTreeSet::new(), bob);
        assert!(!in_force.holds(bob, Privilege::Select, table) && !in_force.holds(bob, Privilege::UseSchema, schema));
        assert!(!in_force.is_member(bob, group) && in_force.holds(bob, Privilege::Select, new));
        let policy = |id| in_force.relation_by_id(id).unwrap().table().unwrap().row_filter.as_ref().map(|filter| filter.function);
        assert_eq!((policy(table), policy(plain)), (Some(filter), Some(other)), "what restricts is kept and added");
        assert!(!in_force.holds(bob, Privilege::Select, plain), "and what is taken away is gone");
        let unsettled = |id| in_force.check_settled(id).is_err();
        assert!(unsettled(view), "it would read with rights that bob has not");
        assert!(unsettled(plain), "its new policy calls what bob may not");
        assert!(!unsettled(table) && !unsettled(new));
    }

    #[test]
    fn what_a_committed_policy_is_made_of_is_not_read_before_the_commit() {
        let committed = |uses_mapping: bool| {
            let mut world = world();
            let (table, mapping) = (world.table("t"), world.table("mapping"));
            let uses = if uses_mapping { vec![mapping] } else { vec![] };
            let function = world.function("f", &uses);
            world.filter(table, function).unwrap();
            let committed = world.change.clone().into_snapshot();
            (world, committed, table, mapping, function)
        };
        let none = std::collections::BTreeSet::new();
        let (mut world, before, table, _, function) = committed(false);
        let new = world.new_function("f", &[]);
        world.change.replace_function(function, NewFunction { body: "true".to_string(), ..new }).unwrap();
        assert!(world.change.snapshot().in_force(&before, &none, world.admin).check_settled(table).is_err());

        let (mut world, before, table, mapping, function) = committed(true);
        world.change.set_row_filter(table, None).unwrap();
        world.change.drop_object(mapping, true, world.admin).unwrap();
        assert!(world.change.snapshot().function_by_id(function).is_none());
        assert!(world.change.snapshot().in_force(&before, &none, world.admin).check_settled(table).is_err());

        let (world, before, table, mapping, _) = committed(true);
        assert!(before.in_force(&before, &[mapping].into(), world.admin).check_settled(table).is_err());
        assert!(!before.in_force(&before, &[table].into(), world.admin).has_unsettled());
    }

    #[test]
    fn grants_are_their_grantors_own() {
        let mut world = world();
        let (table, bob, admin) = (world.table("t"), world.bob, world.admin);
        let mut new = |name| world.change.create_principal(user(name, false)).unwrap();
        let (dave, eve) = (new("dave"), new("eve"));
        let grant =
            |grantee, grantor, grantable| Grant { grantee, securable: table, privilege: Privilege::Select, grantor, grantable };
        for grant in [
            grant(bob, admin, true),
            grant(dave, admin, false),
            grant(dave, bob, true),
            grant(eve, dave, false),
            grant(bob, dave, true),
        ] {
            world.change.grant(grant).unwrap();
        }
        let revoke = |grantee, grantor, grant_option_only, cascade| Revocation {
            grantee,
            privilege: Privilege::Select,
            securable: table,
            grantor,
            grant_option_only,
            cascade,
        };
        let held = |change: &Change| {
            let mut held: Vec<_> =
                change.snapshot().grants_on(table).map(|grant| (grant.grantee, grant.grantor, grant.grantable)).collect();
            held.sort_unstable();
            held
        };
        assert_eq!(world.change.clone().revoke(revoke(dave, eve, false, false)).unwrap(), 0);
        // Bob's is what Eve's depends on, and a circle holds nothing up.
        for only in [true, false] {
            let error = world.change.clone().revoke(revoke(bob, admin, only, false)).unwrap_err();
            assert_eq!((error.kind(), error.message()), (ErrorKind::DependentObjects, "dependent privileges exist"));
        }
        let mut change = world.change.clone();
        change.revoke(revoke(bob, admin, true, true)).unwrap();
        assert_eq!(held(&change), [(bob, admin, false), (dave, admin, false)]);
        world.change.revoke(revoke(dave, admin, false, false)).unwrap();
        assert_eq!(held(&world.change), [(bob, admin, true), (bob, dave, true), (dave, bob, true), (eve, dave, false)]);
        world.change.set_owner(table, eve).unwrap();
        assert!(held(&world.change).contains(&(bob, eve, true)), "what the old owner granted, the new one has granted");
    }

    #[test]
    fn a_policy_reading_its_own_table_is_refused() {
        let mut world = world();
        let table = world.table("t");
        let function = world.function("f", &[table]);
        assert_eq!(world.filter(table, function).unwrap_err().kind(), ErrorKind::InvalidObjectDefinition);
    }

    #[test]
    fn policies_sit_on_tables_and_name_their_columns() {
        let mut world = world();
        let table = world.table("t");
        let view = world.view("v", &[table]);
        let function = world.function("f", &[]);
        assert_eq!(world.filter(view, function).unwrap_err().kind(), ErrorKind::WrongObjectType);
        let mask = |column: &str| ColumnMask { function, using: vec![PolicyArgument::Column(column.to_string())] };
        assert_eq!(world.change.set_mask(table, "z", Some(mask("a"))).unwrap_err().kind(), ErrorKind::UndefinedColumn);
        assert_eq!(world.change.set_mask(table, "a", Some(mask("z"))).unwrap_err().kind(), ErrorKind::InvalidTableDefinition);
        world.change.set_mask(table, "a", Some(mask("b"))).unwrap();
        world.change.rename(table, "renamed").unwrap_err();
    }

    #[test]
    fn rename_keeps_policies_and_grants_and_refuses_when_a_text_names_it() {
        let mut world = world();
        let (table, bob, admin) = (world.table("t"), world.bob, world.admin);
        let function = world.function("f", &[]);
        world.filter(table, function).unwrap();
        let grant = Grant { grantee: bob, securable: table, privilege: Privilege::Select, grantor: admin, grantable: false };
        world.change.grant(grant).unwrap();
        world.change.rename(table, "renamed").unwrap();
        world.change.rename(function, "g").unwrap();
        let snapshot = world.change.snapshot();
        let renamed = snapshot.relation(world.schema, "renamed").unwrap();
        assert!(renamed.table().unwrap().row_filter.is_some());
        assert_eq!(snapshot.grants_on(renamed.id).count(), 1);
        assert!(snapshot.relation(world.schema, "t").is_none());
        world.view("v", &[table]);
        let (schema, catalog) = (world.schema, world.change.snapshot().catalog("main").unwrap().id);
        for id in [table, schema, catalog] {
            assert_eq!(world.change.rename(id, "other").unwrap_err().kind(), ErrorKind::DependentObjects);
        }
    }

    #[test]
    fn a_replaced_view_keeps_its_identity_and_may_not_use_itself() {
        let mut world = world();
        let inner = world.view("v", &[]);
        let outer = world.view("w", &[inner]);
        world.change.replace_view(inner, columns(&["c"]), ViewEntry { query: "new".to_string(), uses: vec![] }, None).unwrap();
        assert_eq!(world.change.snapshot().relation_by_id(inner).unwrap().view().unwrap().query, "new");
        let error = world
            .change
            .replace_view(inner, columns(&["c"]), ViewEntry { query: "loop".to_string(), uses: vec![outer] }, None)
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidObjectDefinition);
    }

    #[test]
    fn a_function_of_a_policy_keeps_its_signature() {
        let mut world = world();
        let table = world.table("t");
        let function = world.function("f", &[]);
        world.filter(table, function).unwrap();
        let new = world.new_function("f", &[]);
        world.change.replace_function(function, NewFunction { body: "other".to_string(), ..new }).unwrap();
        let new = world.new_function("f", &[]);
        let error = world.change.replace_function(function, NewFunction { returns: SqlType::Text, ..new }).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidObjectDefinition);
    }

    #[test]
    fn a_principal_that_owns_objects_stays() {
        let mut world = world();
        let (table, bob, admin) = (world.table("t"), world.bob, world.admin);
        world.change.set_owner(table, bob).unwrap();
        let error = world.change.drop_principal(bob).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DependentObjects);
        assert_eq!(error.message(), "role \"bob\" cannot be dropped because some objects depend on it");
        assert_eq!(error.detail(), Some("owner of table main.public.t"));
        world.change.set_owner(table, admin).unwrap();
        let grant = |grantee, grantor| Grant { grantee, securable: table, privilege: Privilege::Select, grantor, grantable: false };
        let eve = world.change.create_principal(user("eve", false)).unwrap();
        world.change.grant(grant(bob, admin)).unwrap();
        world.change.grant(grant(eve, bob)).unwrap();
        world.change.drop_principal(bob).unwrap();
        let grants: Vec<Grant> = world.change.snapshot().grants_on(table).cloned().collect();
        assert_eq!(grants, [grant(eve, admin)]);
    }

    #[test]
    fn the_last_administrator_stays() {
        let mut world = world();
        let admin = world.admin;
        assert!(world.change.set_login(admin, false).is_err());
        let mut world = self::world();
        assert!(world.change.set_admin(admin, false).is_err());
        let mut world = self::world();
        let bob = world.bob;
        world.change.set_admin(bob, true).unwrap();
        world.change.set_admin(admin, false).unwrap();
    }

    #[test]
    fn groups_contain_no_circle() {
        let mut world = world();
        let mut group =
            |name: &str| world.change.create_principal(NewPrincipal { name: name.to_string(), ..Default::default() }).unwrap();
        let (a, b, c) = (group("a"), group("b"), group("c"));
        world.change.add_member(a, b).unwrap();
        world.change.add_member(b, c).unwrap();
        assert_eq!(world.change.add_member(c, a).unwrap_err().kind(), ErrorKind::InvalidGrant);
        assert_eq!(world.change.add_member(a, a).unwrap_err().kind(), ErrorKind::InvalidGrant);
        assert!(world.change.snapshot().is_member(c, a));
        assert!(world.change.remove_member(a, b));
        assert!(!world.change.snapshot().is_member(c, a));
    }

    #[test]
    fn a_grant_must_mean_something() {
        let mut world = world();
        let (table, bob, admin) = (world.table("t"), world.bob, world.admin);
        let grant = |securable, privilege| Grant { grantee: bob, securable, privilege, grantor: admin, grantable: false };
        let error = world.change.grant(grant(table, Privilege::UseSchema)).unwrap_err();
        assert_eq!((error.kind(), error.message()), (ErrorKind::InvalidGrant, "invalid privilege type USE SCHEMA for table"));
        world.change.grant(grant(METASTORE, Privilege::CreateCatalog)).unwrap();
    }

    #[test]
    fn locations_do_not_overlap_with_each_other_or_with_managed_storage() {
        let mut world = world();
        let admin = world.admin;
        world.change.create_catalog("cloud", admin, Some("s3://b/managed".to_string()), None).unwrap();
        world.change.create_external_location("l", admin, "s3://b/data", None, None).unwrap();
        for url in ["s3://b/data", "s3://b/data/x", "s3://b", "s3://b/managed/x"] {
            let error = world.change.create_external_location("m", admin, url, None, None).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidObjectDefinition, "{url}");
        }
        world.change.create_external_location("m", admin, "s3://b/database", None, None).unwrap();
        let snapshot = world.change.snapshot();
        assert_eq!(snapshot.external_location_of("s3://b/data/t").unwrap().name, "l");
        assert!(snapshot.external_location_of("s3://b/other").is_none());
    }

    #[test]
    fn a_credential_in_use_stays() {
        let mut world = world();
        let admin = world.admin;
        let credential = world.change.create_storage_credential("k", admin, BTreeMap::new(), None).unwrap();
        let location = world.change.create_external_location("l", admin, "s3://b", Some(credential), None).unwrap();
        assert_eq!(world.change.drop_object(credential, true, admin).unwrap_err().kind(), ErrorKind::DependentObjects);
        world.change.drop_object(location, false, admin).unwrap();
        world.change.drop_object(credential, false, admin).unwrap();
    }

    #[test]
    fn a_reserved_table_is_an_orphan_until_it_is_made() {
        let mut world = world();
        let (schema, owner) = (world.schema, world.admin);
        let id = world.change.reserve_table("file:///x", None).unwrap();
        assert_eq!(world.change.snapshot().orphans().count(), 1);
        let kind =
            NewTable { location: "file:///x".to_string(), managed: true, credential: None, partition_columns: vec![] }.into();
        let new = NewRelation { id: Some(id), schema, name: "x".to_string(), owner, columns: vec![], comment: None, kind };
        assert_eq!(world.change.create_relation(new).unwrap(), id);
        assert_eq!(world.change.snapshot().orphans().count(), 0);
    }

    #[tokio::test]
    async fn a_failed_change_leaves_nothing_and_ids_are_not_reused() {
        let metastore = Metastore::in_memory().await.unwrap();
        metastore.initialise("admin", "SCRAM-SHA-256$..".to_string()).await.unwrap();
        let before = metastore.snapshot();
        let failed: Result<()> = metastore
            .write(|change| {
                change.create_principal(user("bob", false))?;
                Err(Error::internal("no"))
            })
            .await;
        assert!(failed.is_err());
        assert_eq!(metastore.snapshot().number(), before.number());
        let first = metastore.write(|change| change.create_principal(user("bob", false))).await.unwrap();
        metastore.write(|change| change.drop_principal(first)).await.unwrap();
        let second = metastore.write(|change| change.create_principal(user("bob", false))).await.unwrap();
        assert!(second > first);
        assert_eq!(metastore.snapshot().number(), before.number() + 3);
    }
}
