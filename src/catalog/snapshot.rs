//! One numbered, immutable state of the metastore, and the ways to find things in it.
//!
//! A snapshot is cheap to copy: each kind of object lies in its own shared [`Registry`], and a change copies the registries it
//! touches only. Lookups by id and by (container, name) are O(log n).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use super::names::{PUBLIC_NAMES, quote_name, url_covers};
use super::securable::{
    Catalog, ExternalLocation, FIRST_OBJECT_ID, Function, Grant, METASTORE, ObjectId, PUBLIC, Principal, Relation, Schema,
    SecurableKind, StorageCredential, Token,
};

/// What a [`Registry`] needs to know of its entries.
pub(super) trait Entry {
    /// Identity.
    fn id(&self) -> ObjectId;
    /// The container within which the name is unique.
    fn parent(&self) -> ObjectId;
    /// Name.
    fn name(&self) -> &str;
}

macro_rules! entries {
    ($($kind:ty => |$entry:ident| $parent:expr;)*) => {
        $(impl Entry for $kind {
            fn id(&self) -> ObjectId {
                self.id
            }
            fn parent(&self) -> ObjectId {
                let $entry = self;
                $parent
            }
            fn name(&self) -> &str {
                &self.name
            }
        })*
    };
}

entries! {
    Catalog => |_entry| METASTORE;
    Schema => |entry| entry.catalog;
    Relation => |entry| entry.schema;
    Function => |entry| entry.schema;
    Principal => |_entry| METASTORE;
    StorageCredential => |_entry| METASTORE;
    ExternalLocation => |_entry| METASTORE;
}

/// The objects of one kind, by identity and by name within their container.
#[derive(Debug)]
pub(super) struct Registry<T> {
    by_id: BTreeMap<ObjectId, Arc<T>>,
    by_name: BTreeMap<ObjectId, BTreeMap<String, Arc<T>>>,
}

impl<T> Default for Registry<T> {
    fn default() -> Self {
        Self { by_id: BTreeMap::new(), by_name: BTreeMap::new() }
    }
}

impl<T> Clone for Registry<T> {
    fn clone(&self) -> Self {
        Self { by_id: self.by_id.clone(), by_name: self.by_name.clone() }
    }
}

impl<T: Entry> Registry<T> {
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<T>> {
        self.by_id.values()
    }

    fn within(&self, parent: ObjectId) -> impl Iterator<Item = &Arc<T>> {
        self.by_name.get(&parent).into_iter().flat_map(BTreeMap::values)
    }

    fn named(&self, parent: ObjectId, name: &str) -> Option<&Arc<T>> {
        self.by_name.get(&parent)?.get(name)
    }

    pub(super) fn get(&self, id: ObjectId) -> Option<&Arc<T>> {
        self.by_id.get(&id)
    }

    /// Adds `entry`, or puts it in the place of the one with the same id.
    pub(super) fn put(&mut self, entry: Arc<T>) {
        self.remove(entry.id());
        self.by_name.entry(entry.parent()).or_default().insert(entry.name().to_string(), Arc::clone(&entry));
        self.by_id.insert(entry.id(), entry);
    }

    /// Removes the entry with this id, if it is there.
    pub(super) fn remove(&mut self, id: ObjectId) {
        let Some(old) = self.by_id.remove(&id) else { return };
        if let Some(siblings) = self.by_name.get_mut(&old.parent()) {
            siblings.remove(old.name());
            if siblings.is_empty() {
                self.by_name.remove(&old.parent());
            }
        }
    }
}

/// Files of a managed table that no catalog entry points to: of a table that is being created, or that was dropped.
///
/// It is recorded in the transaction that takes the table away and removed when the files are gone, so that a crash in between
/// leaves nothing behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    /// The id that the table had, or will have.
    pub id: ObjectId,
    /// URL of the table's root.
    pub location: String,
    /// Credential that opens it.
    pub credential: Option<ObjectId>,
}

/// Whose sessions begin with a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SettingScope {
    /// Those of a role; `None` for all.
    pub principal: Option<ObjectId>,
    /// Those on a catalog; `None` for all.
    pub catalog: Option<ObjectId>,
}

/// One state of the metastore. Immutable; see [`super::Change`] for the next one.
#[derive(Debug, Clone)]
pub struct CatalogSnapshot {
    pub(super) number: u64,
    pub(super) next_id: u32,
    pub(super) catalogs: Arc<Registry<Catalog>>,
    pub(super) schemas: Arc<Registry<Schema>>,
    pub(super) relations: Arc<Registry<Relation>>,
    pub(super) functions: Arc<Registry<Function>>,
    pub(super) principals: Arc<Registry<Principal>>,
    /// By public id.
    pub(super) tokens: Arc<BTreeMap<String, Arc<Token>>>,
    pub(super) storage_credentials: Arc<Registry<StorageCredential>>,
    pub(super) external_locations: Arc<Registry<ExternalLocation>>,
    /// (group, member)
    pub(super) memberships: Arc<BTreeSet<(ObjectId, ObjectId)>>,
    /// For each principal with memberships: every group it is in, however deep.
    pub(super) groups: Arc<BTreeMap<ObjectId, BTreeSet<ObjectId>>>,
    pub(super) grants: Arc<BTreeMap<ObjectId, Vec<Grant>>>,
    pub(super) orphans: Arc<BTreeMap<ObjectId, Orphan>>,
    pub(super) settings: Arc<BTreeMap<SettingScope, BTreeMap<String, String>>>,
    /// What may not be read before the transaction that this state belongs to is committed.
    pub(super) unsettled: Arc<BTreeSet<ObjectId>>,
    /// Views and functions whose text may not say what its author wrote.
    pub(super) doubtful_texts: Arc<BTreeSet<ObjectId>>,
}

/// Tables of one session that nobody else sees, in a schema of their own.
#[derive(Debug)]
pub struct Temporary {
    /// The schema.
    pub schema: Arc<Schema>,
    /// Its tables.
    pub relations: Vec<Arc<Relation>>,
}

static PUBLIC_PRINCIPAL: LazyLock<Arc<Principal>> = LazyLock::new(|| {
    Arc::new(Principal {
        id: PUBLIC,
        name: PUBLIC_NAMES[0].to_string(),
        can_login: false,
        is_admin: false,
        verifier: None,
        connection_limit: None,
        comment: None,
        valid_until: None,
    })
});

impl Default for CatalogSnapshot {
    fn default() -> Self {
        Self {
            number: 0,
            next_id: FIRST_OBJECT_ID.0,
            catalogs: Arc::default(),
            schemas: Arc::default(),
            relations: Arc::default(),
            functions: Arc::default(),
            principals: Arc::default(),
            tokens: Arc::default(),
            storage_credentials: Arc::default(),
            external_locations: Arc::default(),
            memberships: Arc::default(),
            groups: Arc::default(),
            grants: Arc::default(),
            orphans: Arc::default(),
            settings: Arc::default(),
            unsettled: Arc::default(),
            doubtful_texts: Arc::default(),
        }
    }
}

impl CatalogSnapshot {
    /// A metastore with nothing in it: no catalog, no principal.
    pub fn empty() -> Self {
        Self::default()
    }

    /// The same state with the temporary tables of a session, for that session's statements.
    #[must_use]
    pub fn with_temporary(&self, temporary: &Temporary) -> Self {
        let mut own = self.clone();
        Arc::make_mut(&mut own.schemas).put(Arc::clone(&temporary.schema));
        let relations = Arc::make_mut(&mut own.relations);
        temporary.relations.iter().for_each(|relation| relations.put(Arc::clone(relation)));
        own
    }

    /// The snapshot's number; every change adds one.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Every catalog, by name.
    pub fn catalogs(&self) -> impl Iterator<Item = &Arc<Catalog>> {
        self.catalogs.within(METASTORE)
    }

    /// The catalog of this name.
    pub fn catalog(&self, name: &str) -> Option<&Arc<Catalog>> {
        self.catalogs.named(METASTORE, name)
    }

    /// The catalog of this id.
    pub fn catalog_by_id(&self, id: ObjectId) -> Option<&Arc<Catalog>> {
        self.catalogs.get(id)
    }

    /// The schemas of a catalog, by name.
    pub fn schemas(&self, catalog: ObjectId) -> impl Iterator<Item = &Arc<Schema>> {
        self.schemas.within(catalog)
    }

    /// The schema of this name in a catalog.
    pub fn schema(&self, catalog: ObjectId, name: &str) -> Option<&Arc<Schema>> {
        self.schemas.named(catalog, name)
    }

    /// The schema of this id.
    pub fn schema_by_id(&self, id: ObjectId) -> Option<&Arc<Schema>> {
        self.schemas.get(id)
    }

    /// The tables and views of a schema, by name.
    pub fn relations(&self, schema: ObjectId) -> impl Iterator<Item = &Arc<Relation>> {
        self.relations.within(schema)
    }

    /// Every table and view of the metastore, by id.
    pub fn all_relations(&self) -> impl Iterator<Item = &Arc<Relation>> {
        self.relations.all()
    }

    /// The table or view of this name in a schema.
    pub fn relation(&self, schema: ObjectId, name: &str) -> Option<&Arc<Relation>> {
        self.relations.named(schema, name)
    }

    /// Every scope that has settings.
    pub fn setting_scopes(&self) -> impl Iterator<Item = SettingScope> {
        self.settings.keys().copied()
    }

    /// The settings of a scope: name and value.
    pub fn settings_of(&self, scope: SettingScope) -> impl Iterator<Item = (&str, &str)> {
        self.settings.get(&scope).into_iter().flatten().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// What a session of `principal` on `catalog` begins with. The closer a scope, the later it comes.
    pub fn initial_settings(&self, principal: ObjectId, catalog: ObjectId) -> impl Iterator<Item = (&str, &str)> {
        let (principal, catalog) = (Some(principal), Some(catalog));
        let scopes = [
            SettingScope { principal: None, catalog: None },
            SettingScope { principal: None, catalog },
            SettingScope { principal, catalog: None },
            SettingScope { principal, catalog },
        ];
        scopes.into_iter().flat_map(|scope| self.settings_of(scope))
    }

    /// The table or view of this id.
    pub fn relation_by_id(&self, id: ObjectId) -> Option<&Arc<Relation>> {
        self.relations.get(id)
    }

    /// Whether the text of a view or function may say something else than its author wrote: it is not to be read then.
    pub fn has_doubtful_text(&self, id: ObjectId) -> bool {
        self.doubtful_texts.contains(&id)
    }

    /// Every view and function with a doubtful text.
    pub fn doubtful_texts(&self) -> impl Iterator<Item = ObjectId> {
        self.doubtful_texts.iter().copied()
    }

    /// The functions of a schema, by name.
    pub fn functions(&self, schema: ObjectId) -> impl Iterator<Item = &Arc<Function>> {
        self.functions.within(schema)
    }

    /// Every function of the metastore, by id.
    pub fn all_functions(&self) -> impl Iterator<Item = &Arc<Function>> {
        self.functions.all()
    }

    /// The function of this name in a schema; functions are not overloaded.
    pub fn function(&self, schema: ObjectId, name: &str) -> Option<&Arc<Function>> {
        self.functions.named(schema, name)
    }

    /// The function of this id.
    pub fn function_by_id(&self, id: ObjectId) -> Option<&Arc<Function>> {
        self.functions.get(id)
    }

    /// Every user and group, by name, without [`PUBLIC`].
    pub fn principals(&self) -> impl Iterator<Item = &Arc<Principal>> {
        self.principals.within(METASTORE)
    }

    /// The principal of this name; `public` and `account users` are [`PUBLIC`].
    pub fn principal(&self, name: &str) -> Option<&Arc<Principal>> {
        if PUBLIC_NAMES.contains(&name) { Some(&PUBLIC_PRINCIPAL) } else { self.principals.named(METASTORE, name) }
    }

    /// The principal of this id, [`PUBLIC`] included.
    pub fn principal_by_id(&self, id: ObjectId) -> Option<&Arc<Principal>> {
        if id == PUBLIC { Some(&PUBLIC_PRINCIPAL) } else { self.principals.get(id) }
    }

    /// Whether the principal is there and may log in.
    pub fn may_log_in(&self, principal: ObjectId) -> bool {
        self.principals.get(principal).is_some_and(|principal| principal.can_login)
    }

    /// Every personal access token, by its public id.
    pub fn tokens(&self) -> impl Iterator<Item = &Arc<Token>> {
        self.tokens.values()
    }

    /// The personal access token of this public id.
    pub fn token(&self, public_id: &str) -> Option<&Arc<Token>> {
        self.tokens.get(public_id)
    }

    /// Direct memberships as (group, member). Membership in [`PUBLIC`] is not listed.
    pub fn memberships(&self) -> impl Iterator<Item = (ObjectId, ObjectId)> {
        self.memberships.iter().copied()
    }

    /// Whether `principal` is in `group`, however deep. Everybody is a member of [`PUBLIC`] and of itself.
    pub fn is_member(&self, principal: ObjectId, group: ObjectId) -> bool {
        principal == group || group == PUBLIC || self.groups.get(&principal).is_some_and(|groups| groups.contains(&group))
    }

    /// Whether `principal` is an administrator, itself or through a group.
    pub fn is_admin(&self, principal: ObjectId) -> bool {
        let admin = |id: &ObjectId| self.principals.get(*id).is_some_and(|principal| principal.is_admin);
        admin(&principal) || self.groups.get(&principal).is_some_and(|groups| groups.iter().any(admin))
    }

    /// Every storage credential, by name.
    pub fn storage_credentials(&self) -> impl Iterator<Item = &Arc<StorageCredential>> {
        self.storage_credentials.within(METASTORE)
    }

    /// The storage credential of this name.
    pub fn storage_credential(&self, name: &str) -> Option<&Arc<StorageCredential>> {
        self.storage_credentials.named(METASTORE, name)
    }

    /// The storage credential of this id.
    pub fn storage_credential_by_id(&self, id: ObjectId) -> Option<&Arc<StorageCredential>> {
        self.storage_credentials.get(id)
    }

    /// Every external location, by name.
    pub fn external_locations(&self) -> impl Iterator<Item = &Arc<ExternalLocation>> {
        self.external_locations.within(METASTORE)
    }

    /// The external location of this name.
    pub fn external_location(&self, name: &str) -> Option<&Arc<ExternalLocation>> {
        self.external_locations.named(METASTORE, name)
    }

    /// The external location of this id.
    pub fn external_location_by_id(&self, id: ObjectId) -> Option<&Arc<ExternalLocation>> {
        self.external_locations.get(id)
    }

    /// The external location that covers `url`: the longest prefix that ends at the border of a path segment.
    pub fn external_location_of(&self, url: &str) -> Option<&Arc<ExternalLocation>> {
        self.external_locations().filter(|location| url_covers(&location.url, url)).max_by_key(|location| location.url.len())
    }

    /// The grants on an object itself, without those it inherits.
    pub fn grants_on(&self, securable: ObjectId) -> impl Iterator<Item = &Grant> {
        self.grants.get(&securable).into_iter().flatten()
    }

    /// Files that wait for their removal.
    pub fn orphans(&self) -> impl Iterator<Item = &Orphan> {
        self.orphans.values()
    }

    /// Kind of the object with this id; `None` for principals and for ids that are not there.
    pub fn kind_of(&self, id: ObjectId) -> Option<SecurableKind> {
        if id == METASTORE {
            Some(SecurableKind::Metastore)
        } else if let Some(relation) = self.relations.get(id) {
            Some(relation.securable_kind())
        } else if self.schemas.get(id).is_some() {
            Some(SecurableKind::Schema)
        } else if self.functions.get(id).is_some() {
            Some(SecurableKind::Function)
        } else if self.catalogs.get(id).is_some() {
            Some(SecurableKind::Catalog)
        } else if self.external_locations.get(id).is_some() {
            Some(SecurableKind::ExternalLocation)
        } else {
            self.storage_credentials.get(id).map(|_| SecurableKind::StorageCredential)
        }
    }

    /// The container whose grants the object inherits: the schema of a relation or function, the catalog of a schema.
    pub fn parent_of(&self, id: ObjectId) -> Option<ObjectId> {
        let relation = || self.relations.get(id).map(|relation| relation.schema);
        let schema = || self.schemas.get(id).map(|schema| schema.catalog);
        let function = || self.functions.get(id).map(|function| function.schema);
        relation().or_else(schema).or_else(function)
    }

    /// The object itself and its containers, from the inside out.
    pub fn containers_of(&self, id: ObjectId) -> impl Iterator<Item = ObjectId> {
        std::iter::successors(Some(id), |id| self.parent_of(*id))
    }

    /// Owner of the object with this id; the metastore and principals have none.
    pub fn owner_of(&self, id: ObjectId) -> Option<ObjectId> {
        let relation = || self.relations.get(id).map(|relation| relation.owner);
        let schema = || self.schemas.get(id).map(|schema| schema.owner);
        let function = || self.functions.get(id).map(|function| function.owner);
        let catalog = || self.catalogs.get(id).map(|catalog| catalog.owner);
        let location = || self.external_locations.get(id).map(|location| location.owner);
        let credential = || self.storage_credentials.get(id).map(|credential| credential.owner);
        relation().or_else(schema).or_else(function).or_else(catalog).or_else(location).or_else(credential)
    }

    /// Name of the object without its containers.
    pub fn name_of(&self, id: ObjectId) -> Option<&str> {
        let relation = || self.relations.get(id).map(|relation| relation.name.as_str());
        let schema = || self.schemas.get(id).map(|schema| schema.name.as_str());
        let function = || self.functions.get(id).map(|function| function.name.as_str());
        let catalog = || self.catalogs.get(id).map(|catalog| catalog.name.as_str());
        let location = || self.external_locations.get(id).map(|location| location.name.as_str());
        let credential = || self.storage_credentials.get(id).map(|credential| credential.name.as_str());
        let principal = || self.principal_by_id(id).map(|principal| principal.name.as_str());
        if id == METASTORE {
            return Some("metastore");
        }
        relation().or_else(schema).or_else(function).or_else(catalog).or_else(location).or_else(credential).or_else(principal)
    }

    /// The name with its containers, quoted where a statement would have to: `main.public.orders`.
    ///
    /// An id that is not there is written as a number, so that a message can always be made.
    pub fn full_name(&self, id: ObjectId) -> String {
        let mut parts: Vec<String> =
            self.containers_of(id).map(|id| self.name_of(id).map_or_else(|| id.0.to_string(), quote_name)).collect();
        parts.reverse();
        parts.join(".")
    }
}
