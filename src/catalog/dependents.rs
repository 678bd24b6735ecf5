//! Who uses whom: views and functions name objects in their texts, tables name functions in their policies.

use std::collections::{BTreeMap, BTreeSet};

use super::securable::{ObjectId, Relation};
use super::snapshot::CatalogSnapshot;

/// The uses of one snapshot, in both directions.
#[derive(Debug)]
pub(super) struct Dependents<'a> {
    snapshot: &'a CatalogSnapshot,
    users: BTreeMap<ObjectId, Vec<ObjectId>>,
    policies: BTreeMap<ObjectId, Vec<ObjectId>>,
}

impl<'a> Dependents<'a> {
    /// Collects the uses: one walk over every relation and function.
    pub(super) fn of(snapshot: &'a CatalogSnapshot) -> Self {
        let mut users: BTreeMap<ObjectId, Vec<ObjectId>> = BTreeMap::new();
        let mut policies: BTreeMap<ObjectId, Vec<ObjectId>> = BTreeMap::new();
        for relation in snapshot.all_relations() {
            for used in relation.view().into_iter().flat_map(|view| &view.uses) {
                users.entry(*used).or_default().push(relation.id);
            }
            for function in policy_functions(relation) {
                policies.entry(function).or_default().push(relation.id);
            }
        }
        for function in snapshot.all_functions() {
            for used in &function.uses {
                users.entry(*used).or_default().push(function.id);
            }
        }
        Self { snapshot, users, policies }
    }

    /// The views and functions whose text names the object.
    pub(super) fn users_of(&self, id: ObjectId) -> impl Iterator<Item = ObjectId> {
        self.users.get(&id).into_iter().flatten().copied()
    }

    /// The tables whose row filter or masks call the function.
    pub(super) fn policies_on(&self, function: ObjectId) -> impl Iterator<Item = ObjectId> {
        self.policies.get(&function).into_iter().flatten().copied()
    }

    /// Everything that lies in the object: schemas of a catalog, relations and functions of a schema.
    pub(super) fn contents_of(&self, id: ObjectId) -> Vec<ObjectId> {
        let schemas: Vec<ObjectId> = self.snapshot.schemas(id).map(|schema| schema.id).collect();
        let relations = self.snapshot.relations(id).map(|relation| relation.id);
        let functions = self.snapshot.functions(id).map(|function| function.id);
        let mut contents: Vec<ObjectId> = relations.chain(functions).collect();
        for schema in schemas {
            contents.push(schema);
            contents.extend(self.contents_of(schema));
        }
        contents
    }
}

/// The functions that the policies of a table call.
pub(super) fn policy_functions(relation: &Relation) -> impl Iterator<Item = ObjectId> {
    let table = relation.table();
    let filter = table.and_then(|table| table.row_filter.as_ref()).map(|filter| filter.function);
    let masks = table.into_iter().flat_map(|table| table.column_masks.values()).map(|mask| mask.function);
    filter.into_iter().chain(masks)
}

/// The functions that masked columns which are gone. They may be dropped: nothing of such a column is shown without its function.
fn past_mask_functions(relation: &Relation) -> impl Iterator<Item = ObjectId> {
    let past = relation.table().into_iter().flat_map(|table| &table.past_columns);
    past.filter_map(|column| column.mask.as_ref()).map(|mask| mask.function)
}

/// Whether a table has a row filter or a mask.
pub(super) fn has_policy(relation: &Relation) -> bool {
    policy_functions(relation).next().is_some()
}

/// Everything that the text of `id` reaches, through views and functions; `id` itself only if it reaches itself.
pub(super) fn reached_from(snapshot: &CatalogSnapshot, id: ObjectId) -> BTreeSet<ObjectId> {
    let uses = |id: ObjectId| -> &[ObjectId] {
        let view = snapshot.relation_by_id(id).and_then(|relation| relation.view()).map(|view| view.uses.as_slice());
        let function = || snapshot.function_by_id(id).map(|function| function.uses.as_slice());
        view.or_else(function).unwrap_or_default()
    };
    let mut reached = BTreeSet::new();
    let mut open = vec![id];
    while let Some(id) = open.pop() {
        open.extend(uses(id).iter().copied().filter(|used| reached.insert(*used)));
    }
    reached
}

impl CatalogSnapshot {
    /// Whether a row filter or column mask calls the object, directly or through functions and views; masks of columns that are gone count,
    /// as older versions have them. Costs a walk over every policy.
    pub fn is_used_by_policy(&self, id: ObjectId) -> bool {
        !self.governed_by(id).is_empty()
    }

    /// The tables whose row filters or column masks call the object, directly or through functions and views; masks of columns that are
    /// gone count. Costs a walk over every policy.
    pub fn governed_by(&self, id: ObjectId) -> BTreeSet<ObjectId> {
        let mut known: BTreeMap<ObjectId, bool> = BTreeMap::new();
        let mut uses = |function: ObjectId| {
            *known.entry(function).or_insert_with(|| function == id || reached_from(self, function).contains(&id))
        };
        self.all_relations()
            .filter(|relation| policy_functions(relation).chain(past_mask_functions(relation)).any(&mut uses))
            .map(|relation| relation.id)
            .collect()
    }
}
