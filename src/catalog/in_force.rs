//! What governs the reads of a transaction that edits the catalog: nothing that it has opened, all that it has closed.
//!
//! ```text
//!  committed ─┐   who is who, memberships        as committed
//!             ├─▶ owners, grants, policies       as committed, less what the draft has taken away, with the policies it has added
//!  draft ─────┘   names, columns, new objects    as in the draft
//!                 texts of views and functions   as in the draft, where they read with no more than the reader's own rights
//! ```
//! A draft can be rolled back, and then nothing tells of it. Were its grants, owners, memberships and policies in force for its own
//! statements, whoever manages a table could read it and leave no trace. Where a draft has changed what a committed policy or another's
//! view is made of, there is no sound mixture: such an object is *unsettled*, and reading it waits for the commit.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::dependents::{has_policy, policy_functions, reached_from};
use super::names::url_covers;
use super::privilege::Privilege;
use super::securable::{Catalog, Function, Grant, ObjectId, Relation, RelationKind, Schema, TableEntry};
use super::snapshot::CatalogSnapshot;
use crate::error::{Error, Result};

impl CatalogSnapshot {
    /// This state, a draft that was made on `committed`, as far as it governs what `reader` reads before it is committed.
    ///
    /// `filled` are committed tables that the transaction has put rows into: policies that read them are unsettled.
    ///
    /// Costs a walk over the relations, functions and grants.
    #[must_use]
    pub fn in_force(&self, committed: &CatalogSnapshot, filled: &BTreeSet<ObjectId>, reader: ObjectId) -> CatalogSnapshot {
        let mut merged = self.clone();
        merged.keep_identities(committed);
        merged.keep_owners(committed);
        merged.keep_grants(committed);
        merged.keep_policies(committed);
        let unsettled = Unsettled { committed, draft: self, merged: &merged, filled, reader }.collect();
        merged.unsettled = Arc::new(unsettled);
        merged
    }

    /// Refuses to read what an open transaction has left unsettled. The error names nothing: the object may be one that its reader does
    /// not know of.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Unsupported`].
    pub fn check_settled(&self, id: ObjectId) -> Result<()> {
        if !self.unsettled.contains(&id) {
            return Ok(());
        }
        Err(Error::unsupported("reading this object together with the statements before it in one transaction")
            .with_detail("The transaction has changed a view, a function or a policy that the object depends on, and what it opens is in force once it is committed.")
            .with_hint("COMMIT before you read."))
    }

    /// Whether anything is unsettled.
    pub fn has_unsettled(&self) -> bool {
        !self.unsettled.is_empty()
    }

    fn exists(&self, id: ObjectId) -> bool {
        self.kind_of(id).is_some()
    }

    /// Names and rights of principals, and memberships. A principal that the draft has made is there as an owner and a grantee.
    fn keep_identities(&mut self, committed: &CatalogSnapshot) {
        if !Arc::ptr_eq(&self.principals, &committed.principals) {
            let mut principals = (*committed.principals).clone();
            let made = self.principals.all().filter(|made| committed.principals.get(made.id).is_none());
            for made in made.filter(|made| committed.principal(&made.name).is_none()) {
                principals.put(Arc::clone(made));
            }
            self.principals = Arc::new(principals);
        }
        self.memberships = Arc::clone(&committed.memberships);
        self.groups = Arc::clone(&committed.groups);
    }

    /// Owners of containers and tables: who owns them may enter and read them. Who owns a view or a function may, too, and lends it
    /// rights of his own: see [`Unsettled`].
    fn keep_owners(&mut self, committed: &CatalogSnapshot) {
        if !Arc::ptr_eq(&self.catalogs, &committed.catalogs) {
            let catalogs = Arc::make_mut(&mut self.catalogs);
            for old in committed.catalogs.all() {
                if let Some(new) = catalogs.get(old.id).filter(|new| new.owner != old.owner).cloned() {
                    catalogs.put(Arc::new(Catalog { owner: old.owner, ..Catalog::clone(&new) }));
                }
            }
        }
        if !Arc::ptr_eq(&self.schemas, &committed.schemas) {
            let schemas = Arc::make_mut(&mut self.schemas);
            for old in committed.schemas.all() {
                if let Some(new) = schemas.get(old.id).filter(|new| new.owner != old.owner).cloned() {
                    schemas.put(Arc::new(Schema { owner: old.owner, ..Schema::clone(&new) }));
                }
            }
        }
        if !Arc::ptr_eq(&self.relations, &committed.relations) {
            let relations = Arc::make_mut(&mut self.relations);
            for old in committed.relations.all().filter(|old| old.table().is_some()) {
                if let Some(new) = relations.get(old.id).filter(|new| new.owner != old.owner).cloned() {
                    relations.put(Arc::new(Relation { owner: old.owner, ..Relation::clone(&new) }));
                }
            }
        }
    }

    /// On what is committed, the committed grants that the draft has left.
    fn keep_grants(&mut self, committed: &CatalogSnapshot) {
        if Arc::ptr_eq(&self.grants, &committed.grants) {
            return;
        }
        // The grantor is another when the draft has given the object to another owner.
        let same = |one: &Grant, other: &Grant| (one.grantee, one.privilege) == (other.grantee, other.privilege);
        let grants = self.grants.iter().map(|(id, drafted)| {
            let left = |old: &&Grant| drafted.iter().any(|new| same(old, new));
            let kept = || committed.grants_on(*id).filter(left).cloned().collect::<Vec<_>>();
            (*id, if committed.exists(*id) { kept() } else { drafted.clone() })
        });
        let grants = grants.filter(|(_, grants)| !grants.is_empty()).collect();
        self.grants = Arc::new(grants);
    }

    /// Committed policies, and those that the draft has set where there was none. Where columns have masks, the committed columns with them:
    /// one that the draft has taken over is not seen, and one that it has let go keeps the mask that older versions show it under.
    fn keep_policies(&mut self, committed: &CatalogSnapshot) {
        if Arc::ptr_eq(&self.relations, &committed.relations) {
            return;
        }
        let relations = Arc::make_mut(&mut self.relations);
        let governed = |old: &&Arc<Relation>| has_policy(old) || old.table().is_some_and(TableEntry::has_masks);
        for old in committed.relations.all().filter(governed) {
            let Some(new) = relations.get(old.id).cloned() else { continue };
            let (RelationKind::Table(then), RelationKind::Table(now)) = (&old.kind, &new.kind) else { continue };
            let row_filter = then.row_filter.clone().or_else(|| now.row_filter.clone());
            let mut column_masks = now.column_masks.clone();
            column_masks.extend(then.column_masks.iter().map(|(column, mask)| (column.clone(), mask.clone())));
            let mut entry = TableEntry { row_filter, column_masks, ..now.clone() };
            let mut columns = new.columns.clone();
            if then.has_masks() {
                entry.past_columns.clone_from(&then.past_columns);
                columns.clone_from(&old.columns);
            }
            relations.put(Arc::new(Relation { kind: RelationKind::Table(entry), columns, ..Relation::clone(&new) }));
        }
    }
}

/// Finds what may not be read before the draft is committed.
struct Unsettled<'a> {
    committed: &'a CatalogSnapshot,
    draft: &'a CatalogSnapshot,
    merged: &'a CatalogSnapshot,
    filled: &'a BTreeSet<ObjectId>,
    reader: ObjectId,
}

impl Unsettled<'_> {
    fn collect(&self) -> BTreeSet<ObjectId> {
        let touched = self.touched();
        let mut unsettled = self.lent(&touched);
        let governed = self.merged.all_relations().filter(|relation| has_policy(relation));
        let open: Vec<ObjectId> =
            governed.filter(|table| self.policy_is_open(table, &touched, &unsettled)).map(|table| table.id).collect();
        unsettled.extend(open);
        unsettled.extend(self.over_dropped_files());
        unsettled
    }

    /// What the draft has made, dropped, given another owner or another text.
    fn touched(&self) -> BTreeSet<ObjectId> {
        let mut touched = BTreeSet::new();
        if !Arc::ptr_eq(&self.draft.relations, &self.committed.relations) {
            let now = self.draft.relations.all().filter(|new| match self.committed.relations.get(new.id) {
                Some(old) => new.view().is_some() && !Arc::ptr_eq(old, new) && !same_view(old, new),
                None => true,
            });
            touched.extend(now.map(|relation| relation.id));
            let gone = self.committed.relations.all().filter(|old| self.draft.relations.get(old.id).is_none());
            touched.extend(gone.map(|relation| relation.id));
        }
        if !Arc::ptr_eq(&self.draft.functions, &self.committed.functions) {
            let now = self.draft.functions.all().filter(|new| match self.committed.functions.get(new.id) {
                Some(old) => !Arc::ptr_eq(old, new) && !same_function(old, new),
                None => true,
            });
            touched.extend(now.map(|function| function.id));
            let gone = self.committed.functions.all().filter(|old| self.draft.functions.get(old.id).is_none());
            touched.extend(gone.map(|function| function.id));
        }
        touched
    }

    /// Views and functions that would lend the reader rights of somebody else's, over a text that is not committed.
    fn lent(&self, touched: &BTreeSet<ObjectId>) -> BTreeSet<ObjectId> {
        if touched.is_empty() {
            return BTreeSet::new();
        }
        let views = self.draft.all_relations().filter(|relation| relation.view().is_some()).map(|view| (view.id, view.owner));
        let functions = self.draft.all_functions().map(|function| (function.id, function.owner));
        let lent = views.chain(functions).filter(|(id, owner)| {
            !self.committed.is_member(self.reader, *owner)
                && (touched.contains(id) || !reached_from(self.draft, *id).is_disjoint(touched))
        });
        lent.map(|(id, _)| id).collect()
    }

    /// Whether a policy of the table would be evaluated over a text, or over rows, that are not committed; or lends out a function.
    fn policy_is_open(&self, table: &Relation, touched: &BTreeSet<ObjectId>, lent: &BTreeSet<ObjectId>) -> bool {
        let committed: BTreeSet<ObjectId> =
            self.committed.relation_by_id(table.id).into_iter().flat_map(|old| policy_functions(old)).collect();
        policy_functions(table).any(|function| {
            if !committed.contains(&function) {
                return lent.contains(&function)
                    || !self.merged.holds(self.reader, Privilege::Execute, function)
                    || !self.merged.reaches(self.reader, function);
            }
            let mut reached = reached_from(self.committed, function);
            reached.insert(function);
            !reached.is_disjoint(touched) || !reached.is_disjoint(self.filled)
        })
    }

    /// Tables that the draft has made where the files of a table lie that it has dropped: they would be read without its policies.
    fn over_dropped_files(&self) -> Vec<ObjectId> {
        let location = |relation: &Arc<Relation>| relation.table().map(|table| table.location.clone());
        let dropped: Vec<String> =
            self.committed.relations.all().filter(|old| self.draft.relations.get(old.id).is_none()).filter_map(location).collect();
        if dropped.is_empty() {
            return Vec::new();
        }
        let overlaps = |url: &str| dropped.iter().any(|old| url_covers(old, url) || url_covers(url, old));
        let made = self.draft.relations.all().filter(|new| self.committed.relations.get(new.id).is_none());
        made.filter(|new| location(new).is_some_and(|url| overlaps(&url))).map(|new| new.id).collect()
    }
}

fn same_view(one: &Relation, other: &Relation) -> bool {
    let text = |relation: &Relation| relation.view().map(|view| (view.query.clone(), view.uses.clone()));
    one.owner == other.owner && text(one) == text(other)
}

fn same_function(one: &Function, other: &Function) -> bool {
    one.owner == other.owner
        && one.body == other.body
        && one.uses == other.uses
        && one.parameters == other.parameters
        && one.returns == other.returns
}
