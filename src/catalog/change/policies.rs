//! Row filters and column masks, and the rules that keep them sound.
//!
//! A policy names its function by identity, so a rename changes nothing. A policy function may read tables (a mapping table), with the
//! privileges of the function's owner, but none that has a policy itself: the two could not be evaluated in any order. That is checked
//! where a table gets a policy and where a text of its policies changes, for this table alone: who reads a table with a function of his
//! own must not keep its owner from protecting it. His policy then cannot be applied, and his table is unreadable (`sql::bind::policy`).

use std::collections::BTreeSet;
use std::sync::Arc;

use super::objects::undefined_column;
use super::{Change, Write};
use crate::catalog::columns::{NewColumns, SeenColumns, learned};
use crate::catalog::dependents::{Dependents, has_policy, policy_functions, reached_from};
use crate::catalog::securable::{
    ColumnMask, ObjectId, PolicyArgument, Relation, RelationKind, RowFilter, SecurableKind, TableEntry,
};
use crate::error::{Error, ErrorKind, Result};

impl Change {
    /// SET ROW FILTER (`Some`) and DROP ROW FILTER (`None`). Types are the caller's to check.
    ///
    /// # Errors
    /// [`ErrorKind::WrongObjectType`] on a view, [`ErrorKind::UndefinedColumn`], [`ErrorKind::InvalidObjectDefinition`] if the function
    /// reads a table with a policy.
    pub fn set_row_filter(&mut self, table: ObjectId, filter: Option<RowFilter>) -> Result<()> {
        let names: Vec<String> = filter.iter().flat_map(|filter| &filter.columns).cloned().collect();
        self.edit_table(table, &names, |entry| entry.row_filter = filter)
    }

    /// SET MASK (`Some`) and DROP MASK (`None`). Types are the caller's to check.
    ///
    /// # Errors
    /// As [`Change::set_row_filter`].
    pub fn set_mask(&mut self, table: ObjectId, column: &str, mask: Option<ColumnMask>) -> Result<()> {
        let relation = self.relation(table)?;
        let Some(known) = relation.columns.iter().find(|entry| entry.name == column) else {
            return Err(undefined_column(column, &relation.name));
        };
        let physical_name = known.physical_name.as_deref().unwrap_or(column);
        let names: Vec<String> = mask.iter().flat_map(mask_columns).cloned().collect();
        self.edit_table(table, &names, |entry| {
            // What is decided of a column that is there holds in every version that has it.
            entry.past_columns.retain(|past| past.physical_name != physical_name);
            match mask {
                Some(mask) => entry.column_masks.insert(column.to_string(), mask),
                None => entry.column_masks.remove(column),
            };
        })
    }

    /// `names` are the further columns that the edited policy is made for: those of today.
    fn edit_table(&mut self, id: ObjectId, names: &[String], edit: impl FnOnce(&mut TableEntry)) -> Result<()> {
        let relation = self.relation(id)?;
        let RelationKind::Table(mut entry) = relation.kind.clone() else {
            return Err(Error::new(ErrorKind::WrongObjectType, format!("\"{}\" is not a table", relation.name))
                .with_detail("Row filters and column masks are set on tables; they hold in every view of the table."));
        };
        let old: BTreeSet<ObjectId> = policy_functions(&relation).collect();
        edit(&mut entry);
        for past in entry.past_columns.iter_mut().filter(|past| names.contains(&past.name)) {
            past.wanted = false;
        }
        let relation = Relation { kind: RelationKind::Table(entry), ..relation };
        self.check_policy_columns(&relation, names)?;
        let new: Vec<ObjectId> = policy_functions(&relation).filter(|function| !old.contains(function)).collect();
        self.record(Write::PutRelation(Arc::new(relation)));
        self.check_policy_functions(new)
    }

    /// The policies of a table name columns that are there, and functions that are there; a mask's further arguments are not masked
    /// themselves.
    pub(super) fn check_column_policies(&self, relation: &Relation) -> Result<()> {
        let Some(table) = relation.table() else { return Ok(()) };
        let filter_columns = table.row_filter.iter().flat_map(|filter| &filter.columns);
        let mask_columns = table.column_masks.iter().flat_map(|(column, mask)| std::iter::once(column).chain(mask_columns(mask)));
        self.check_policy_columns(relation, filter_columns.chain(mask_columns))
    }

    /// A policy that is made for columns called `names` can be, and functions of policies are there. Of a policy that has lost a column
    /// to another writer only that is said when its table is read: it must not be in the way of a better one.
    fn check_policy_columns<'n>(&self, relation: &Relation, names: impl IntoIterator<Item = &'n String>) -> Result<()> {
        let has_column = |name: &str| relation.columns.iter().any(|column| column.name == name);
        if let Some(missing) = names.into_iter().find(|name| !has_column(name)) {
            return Err(Error::new(
                ErrorKind::InvalidTableDefinition,
                format!("a policy of table \"{}\" needs column \"{missing}\"", relation.name),
            ));
        }
        Ok(())
    }

    /// Takes over what the newest version of a table says about its columns; nothing for a view. Policies follow their columns.
    ///
    /// # Errors
    /// If the table is gone.
    pub fn learn_columns(&mut self, id: ObjectId, seen: &SeenColumns, new: NewColumns) -> Result<()> {
        if let Some(relation) = learned(&self.relation(id)?, seen, new) {
            self.record(Write::PutRelation(Arc::new(relation)));
        }
        Ok(())
    }

    /// The functions, which policies now call, are there and read no table that has a policy itself.
    pub(super) fn check_policy_functions(&self, functions: impl IntoIterator<Item = ObjectId>) -> Result<()> {
        for function in functions {
            let name = &self.snapshot.function_by_id(function).ok_or_else(Change::gone)?.name;
            if self.reads_governed(function) {
                return Err(Error::new(
                    ErrorKind::InvalidObjectDefinition,
                    format!("policy function {name} reads a table that has a policy"),
                )
                .with_detail("A row filter or column mask may only read tables without policies."));
            }
        }
        Ok(())
    }

    /// After the text of `id` has changed: the policies that use it still read no table that has a policy itself.
    pub(super) fn check_policies_over(&self, id: ObjectId) -> Result<()> {
        if !self.reads_governed(id) || !self.snapshot.is_used_by_policy(id) {
            return Ok(());
        }
        let name = self.snapshot.name_of(id).unwrap_or_default();
        Err(Error::new(
            ErrorKind::InvalidObjectDefinition,
            format!("\"{name}\" is used by a policy, and would read a table that has a policy"),
        )
        .with_detail("A row filter or column mask may only read tables without policies."))
    }

    fn reads_governed(&self, id: ObjectId) -> bool {
        let governed = |id: &ObjectId| self.snapshot.relation_by_id(*id).is_some_and(|relation| has_policy(relation));
        reached_from(&self.snapshot, id).iter().any(governed)
    }

    /// The text of `id` does not lead back to `id`.
    pub(super) fn check_no_cycle(&self, id: ObjectId) -> Result<()> {
        if reached_from(&self.snapshot, id).contains(&id) {
            let name = self.snapshot.name_of(id).unwrap_or_default();
            return Err(Error::new(ErrorKind::InvalidObjectDefinition, format!("\"{name}\" would use itself")));
        }
        Ok(())
    }

    /// No text names the object, or anything that lies in it: a text holds names, which a rename would make wrong.
    pub(super) fn check_unnamed_by_texts(&self, id: ObjectId, kind: SecurableKind) -> Result<()> {
        let dependents = Dependents::of(&self.snapshot);
        let mut named = dependents.contents_of(id);
        named.push(id);
        if named.iter().any(|id| dependents.users_of(*id).next().is_some()) {
            let name = self.snapshot.name_of(id).unwrap_or_default();
            return Err(Error::new(
                ErrorKind::DependentObjects,
                format!("cannot rename {} {name} because other objects depend on it", kind.noun()),
            )
            .with_detail("The text of a view or function names it.")
            .with_hint("Drop the view or function, rename, and create it again."));
        }
        Ok(())
    }
}

/// The columns that a mask reads besides its own.
fn mask_columns(mask: &ColumnMask) -> impl Iterator<Item = &String> {
    mask.using.iter().filter_map(|argument| match argument {
        PolicyArgument::Column(name) => Some(name),
        PolicyArgument::Constant(_) => None,
    })
}
