//! Which column is which, over the versions of a table.
//!
//! ```text
//!  newest version: physical names, names, types ──learned──▶ columns of today, columns of the past, policies that follow both
//! ```
//! Others write to a table, too: a column is renamed, dropped, added or retyped in its log without the metastore. A policy is meant for a
//! column and not for its name, so it follows the physical name, which Delta keeps for as long as the column lives (without column mapping
//! that is the name itself). A column that goes keeps the mask that was in force: versions that have it stay readable. A new column that has
//! the name of a masked one takes its mask over, because whoever overwrites a whole table makes every column anew.
//!
//! Nothing here decides who may see a column or let one be seen.

use std::collections::BTreeMap;

use super::securable::{ColumnEntry, ColumnMask, PastColumn, PolicyArgument, Relation, RelationKind, RowFilter, TableEntry};
use crate::types::SqlType;

/// How a column is found in a version of its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnIdentity<'a> {
    /// By its name in the files.
    Physical(&'a str),
    /// By its name: no version of the table was seen that tells the physical one.
    Name(&'a str),
}

impl ColumnIdentity<'_> {
    /// Whether a column with these names is it.
    pub fn is(self, physical_name: &str, name: &str) -> bool {
        match self {
            ColumnIdentity::Physical(own) => own == physical_name,
            ColumnIdentity::Name(own) => own == name,
        }
    }
}

/// The columns of a version of a table.
#[derive(Debug, Clone)]
pub struct SeenColumns {
    /// In order.
    pub columns: Vec<SeenColumn>,
    /// Names of the partition columns in order.
    pub partition_columns: Vec<String>,
}

/// A column of a version of a table.
#[derive(Debug, Clone)]
pub struct SeenColumn {
    /// Name in the files.
    pub physical_name: String,
    /// Name.
    pub name: String,
    /// Type.
    pub sql_type: SqlType,
    /// False for NOT NULL.
    pub nullable: bool,
}

/// What becomes of columns that the metastore has not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewColumns {
    /// They are taken over: somebody who manages the table has looked.
    Take,
    /// They are taken over unless the table has masks: whether they need one, too, is not decided yet.
    TakeUnlessMasked,
}

impl ColumnEntry {
    /// How it is found in a version.
    pub fn identity(&self) -> ColumnIdentity<'_> {
        match &self.physical_name {
            Some(physical_name) => ColumnIdentity::Physical(physical_name),
            None => ColumnIdentity::Name(&self.name),
        }
    }
}

impl TableEntry {
    /// Whether a column has a mask, or had one when it went.
    pub fn has_masks(&self) -> bool {
        !self.column_masks.is_empty() || self.past_columns.iter().any(|column| column.mask.is_some())
    }
}

impl Relation {
    /// Whether the table has or had the column with these names, as far as the metastore knows.
    pub fn knows_column(&self, physical_name: &str, name: &str) -> bool {
        let past = self.table().into_iter().flat_map(|table| &table.past_columns);
        self.columns.iter().any(|column| column.identity().is(physical_name, name))
            || past.into_iter().any(|column| column.physical_name == physical_name)
    }

    /// The column that a policy of the table calls `name`.
    pub fn policy_column(&self, name: &str) -> Option<ColumnIdentity<'_>> {
        let past = self.table().into_iter().flat_map(|table| &table.past_columns);
        let wanted = past.into_iter().find(|column| column.wanted && column.name == name);
        match wanted {
            Some(column) => Some(ColumnIdentity::Physical(&column.physical_name)),
            None => self.columns.iter().find(|column| column.name == name).map(ColumnEntry::identity),
        }
    }
}

/// `relation` with the columns of its newest version; `None` if nothing changes, and for a view.
pub fn learned(relation: &Relation, seen: &SeenColumns, new: NewColumns) -> Option<Relation> {
    let RelationKind::Table(table) = &relation.kind else { return None };
    let columns = learned_columns(relation, table, seen, new == NewColumns::Take || !table.has_masks());
    let policies = Learner { relation, table, columns: &columns }.table();
    let partition_columns: Vec<String> =
        seen.partition_columns.iter().filter(|name| columns.iter().any(|column| column.name == **name)).cloned().collect();
    let entry = TableEntry { partition_columns, ..policies };
    if columns == relation.columns && entry == *table {
        return None;
    }
    Some(Relation { columns, kind: RelationKind::Table(entry), ..relation.clone() })
}

/// Columns keep their number and comment, also those that come back.
fn learned_columns(relation: &Relation, table: &TableEntry, seen: &SeenColumns, takes_new: bool) -> Vec<ColumnEntry> {
    let numbers = relation.columns.iter().map(|column| column.number).chain(table.past_columns.iter().map(|column| column.number));
    let mut last = numbers.max().unwrap_or(0);
    let mut columns: Vec<ColumnEntry> = Vec::with_capacity(seen.columns.len());
    for column in &seen.columns {
        let known = relation.columns.iter().find(|known| known.identity().is(&column.physical_name, &column.name));
        let past = table.past_columns.iter().find(|past| past.physical_name == column.physical_name);
        let number = match (known, past) {
            (Some(known), _) => known.number,
            (None, Some(past)) if !columns.iter().any(|other| other.number == past.number) => past.number,
            (None, Some(_)) => next(&mut last),
            (None, None) if takes_new => next(&mut last),
            (None, None) => continue,
        };
        columns.push(ColumnEntry {
            number,
            name: column.name.clone(),
            sql_type: column.sql_type.clone(),
            nullable: column.nullable,
            comment: known.and_then(|known| known.comment.clone()),
            physical_name: Some(column.physical_name.clone()),
        });
    }
    columns
}

fn next(last: &mut i16) -> i16 {
    *last = last.saturating_add(1);
    *last
}

/// Takes the policies of a table over to its columns of today.
struct Learner<'a> {
    relation: &'a Relation,
    table: &'a TableEntry,
    columns: &'a [ColumnEntry],
}

impl Learner<'_> {
    fn table(&self) -> TableEntry {
        let row_filter = self.table.row_filter.as_ref().map(|filter| RowFilter {
            function: filter.function,
            columns: filter.columns.iter().map(|name| self.renamed(name)).collect(),
        });
        let mut masks = BTreeMap::new();
        let mut lost = BTreeMap::new();
        for (name, mask) in &self.table.column_masks {
            let today = self.relation.columns.iter().find(|column| column.name == *name).and_then(|column| self.today(column));
            match today {
                Some(column) => masks.insert(column.name.clone(), self.with_names(mask, |name| Some(self.renamed(name)))),
                None => lost.insert(name.clone(), self.with_names(mask, |name| Some(self.physical(name)))),
            };
        }
        let mut past = self.gone(lost);
        self.restore(&mut masks, &mut past);
        let is_named = |name: &str| {
            let arguments = masks.values().flatten().flat_map(|mask| &mask.using).filter_map(|argument| match argument {
                PolicyArgument::Column(name) => Some(name),
                PolicyArgument::Constant(_) => None,
            });
            row_filter.iter().flat_map(|filter| &filter.columns).chain(arguments).any(|other| other == name)
        };
        for column in &mut past {
            let went_now = self.table.past_columns.iter().all(|known| known.physical_name != column.physical_name);
            let replaced = self.new_columns().any(|new| new.name == column.name);
            column.wanted = is_named(&column.name) && !replaced && (column.wanted || went_now && !self.is_back(column));
        }
        let column_masks = masks.into_iter().filter_map(|(name, mask)| Some((name, mask?))).collect();
        TableEntry { row_filter, column_masks, past_columns: past, ..self.table.clone() }
    }

    /// Columns of the past and those that have gone since.
    fn gone(&self, mut lost: BTreeMap<String, Option<ColumnMask>>) -> Vec<PastColumn> {
        let mut past = self.table.past_columns.clone();
        for column in self.relation.columns.iter().filter(|column| self.today(column).is_none()) {
            let physical_name = column.physical_name.as_ref().unwrap_or(&column.name).clone();
            let behind = past.iter().position(|other| other.physical_name == physical_name).map(|index| past.remove(index));
            let mask = lost.remove(&column.name).flatten().or_else(|| behind.and_then(|behind| behind.mask));
            past.push(PastColumn { number: column.number, physical_name, name: column.name.clone(), mask, wanted: false });
        }
        past
    }

    /// Masks of columns that have come back, or that others of their name have replaced.
    fn restore(&self, masks: &mut BTreeMap<String, Option<ColumnMask>>, past: &mut Vec<PastColumn>) {
        for column in self.new_columns() {
            let physical_name = column.physical_name.as_ref().unwrap_or(&column.name);
            let own = past.iter().position(|other| other.physical_name == *physical_name).map(|index| past.remove(index));
            let namesake = past.iter().rev().find(|other| other.name == column.name && other.mask.is_some());
            let Some(mask) = own.and_then(|own| own.mask).or_else(|| namesake?.mask.clone()) else { continue };
            match self.with_names(&mask, |physical| self.called(physical)) {
                Some(mask) => {
                    masks.entry(column.name.clone()).or_insert(Some(mask));
                }
                // An argument is gone: the column stays behind the mask, which shows nothing of it.
                None => past.push(PastColumn {
                    number: column.number,
                    physical_name: physical_name.clone(),
                    name: column.name.clone(),
                    mask: Some(mask),
                    wanted: false,
                }),
            }
        }
    }

    /// Columns that were not among the known ones.
    fn new_columns(&self) -> impl Iterator<Item = &ColumnEntry> {
        self.columns.iter().filter(|column| !self.relation.columns.iter().any(|known| self.today(known) == Some(*column)))
    }

    /// What has become of a column that was known.
    fn today(&self, known: &ColumnEntry) -> Option<&ColumnEntry> {
        self.columns.iter().find(|column| {
            column.physical_name.as_deref().is_some_and(|physical_name| known.identity().is(physical_name, &column.name))
        })
    }

    /// Today's name of the column that a policy calls `name`.
    fn renamed(&self, name: &str) -> String {
        let column = match self.relation.policy_column(name) {
            Some(identity) => self.columns.iter().find(|column| {
                column.physical_name.as_deref().is_some_and(|physical_name| identity.is(physical_name, &column.name))
            }),
            None => None,
        };
        column.map_or(name, |column| &column.name).to_string()
    }

    fn physical(&self, name: &str) -> String {
        match self.relation.policy_column(name) {
            Some(ColumnIdentity::Physical(physical_name)) => physical_name.to_string(),
            Some(ColumnIdentity::Name(_)) | None => name.to_string(),
        }
    }

    fn called(&self, physical_name: &str) -> Option<String> {
        let column = self.columns.iter().find(|column| column.physical_name.as_deref() == Some(physical_name))?;
        Some(column.name.clone())
    }

    fn is_back(&self, past: &PastColumn) -> bool {
        self.called(&past.physical_name).is_some()
    }

    /// The mask with other names of its arguments; `None` if one has none.
    fn with_names(&self, mask: &ColumnMask, name: impl Fn(&str) -> Option<String>) -> Option<ColumnMask> {
        let using = mask.using.iter().map(|argument| {
            Some(match argument {
                PolicyArgument::Column(column) => PolicyArgument::Column(name(column)?),
                PolicyArgument::Constant(text) => PolicyArgument::Constant(text.clone()),
            })
        });
        Some(ColumnMask { function: mask.function, using: using.collect::<Option<Vec<_>>>()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::securable::ObjectId;

    const MASK: ObjectId = ObjectId(20001);

    fn seen(columns: &[(&str, &str)]) -> SeenColumns {
        let column = |(physical_name, name): &(&str, &str)| SeenColumn {
            physical_name: physical_name.to_string(),
            name: name.to_string(),
            sql_type: SqlType::Text,
            nullable: true,
        };
        SeenColumns { columns: columns.iter().map(column).collect(), partition_columns: vec![] }
    }

    fn mask(using: &[&str]) -> ColumnMask {
        ColumnMask { function: MASK, using: using.iter().map(|name| PolicyArgument::Column(name.to_string())).collect() }
    }

    /// `id`, `ssn` and `who`, stored under their first letters; `ssn` is masked by a function of `ssn` and `who`, rows are filtered by `who`.
    fn table() -> Relation {
        let entry = TableEntry {
            location: "file:///t".to_string(),
            managed: true,
            credential: None,
            partition_columns: vec![],
            row_filter: Some(RowFilter { function: MASK, columns: vec!["who".to_string()] }),
            column_masks: BTreeMap::from([("ssn".to_string(), mask(&["who"]))]),
            past_columns: vec![],
        };
        let column = |number, name: &str| ColumnEntry {
            number,
            name: name.to_string(),
            sql_type: SqlType::Text,
            nullable: true,
            comment: Some(format!("about {name}")),
            physical_name: Some(name[..1].to_string()),
        };
        Relation {
            id: ObjectId(20000),
            schema: ObjectId(1),
            name: "t".to_string(),
            owner: ObjectId(2),
            columns: vec![column(1, "id"), column(2, "ssn"), column(3, "who")],
            comment: None,
            kind: RelationKind::Table(entry),
        }
    }

    /// What is learned, which is nothing new when it is seen again.
    fn learn(relation: &Relation, columns: &[(&str, &str)], new: NewColumns) -> Relation {
        let relation = learned(relation, &seen(columns), new).unwrap();
        assert!(learned(&relation, &seen(columns), new).is_none(), "{relation:?}");
        relation
    }

    fn names(relation: &Relation) -> Vec<(i16, &str)> {
        relation.columns.iter().map(|column| (column.number, column.name.as_str())).collect()
    }

    fn masks(relation: &Relation) -> Vec<(&str, &ColumnMask)> {
        relation.table().unwrap().column_masks.iter().map(|(name, mask)| (name.as_str(), mask)).collect()
    }

    fn past(relation: &Relation) -> Vec<(&str, Option<&ColumnMask>, bool)> {
        let past = relation.table().unwrap().past_columns.iter();
        past.map(|column| (column.physical_name.as_str(), column.mask.as_ref(), column.wanted)).collect()
    }

    #[test]
    fn policies_follow_a_column_that_is_renamed() {
        let relation = learn(&table(), &[("i", "id"), ("s", "who"), ("w", "ssn")], NewColumns::TakeUnlessMasked);
        assert_eq!(names(&relation), [(1, "id"), (2, "who"), (3, "ssn")]);
        assert_eq!(masks(&relation), [("who", &mask(&["ssn"]))]);
        assert_eq!(relation.table().unwrap().row_filter.as_ref().unwrap().columns, ["ssn"]);
        assert_eq!(relation.columns[1].comment.as_deref(), Some("about ssn"));
        assert!(past(&relation).is_empty());
    }

    #[test]
    fn a_column_that_goes_keeps_its_mask_and_has_it_again_when_it_comes_back() {
        let relation = learn(&table(), &[("i", "id"), ("w", "owner")], NewColumns::TakeUnlessMasked);
        assert!(masks(&relation).is_empty() && relation.table().unwrap().has_masks());
        assert_eq!(past(&relation), [("s", Some(&mask(&["w"])), false)]);
        assert!(relation.knows_column("s", "ssn") && !relation.knows_column("x", "ssn"));
        let relation = learn(&relation, &[("i", "id"), ("w", "owner"), ("s", "tax")], NewColumns::TakeUnlessMasked);
        assert_eq!(names(&relation), [(1, "id"), (3, "owner"), (2, "tax")]);
        assert_eq!(masks(&relation), [("tax", &mask(&["owner"]))]);
        assert!(past(&relation).is_empty());
    }

    #[test]
    fn a_new_column_waits_where_others_are_masked_and_takes_over_the_mask_of_its_name() {
        let replaced = [("i2", "id"), ("s2", "ssn"), ("w2", "who")];
        let relation = learn(&table(), &replaced, NewColumns::TakeUnlessMasked);
        assert!(relation.columns.is_empty());
        assert_eq!(past(&relation), [("i", None, false), ("s", Some(&mask(&["w"])), false), ("w", None, true)]);
        assert_eq!(relation.policy_column("who"), Some(ColumnIdentity::Physical("w")));
        let relation = learn(&relation, &replaced, NewColumns::Take);
        assert_eq!(names(&relation), [(4, "id"), (5, "ssn"), (6, "who")]);
        assert_eq!(relation.policy_column("who"), Some(ColumnIdentity::Physical("w2")));
        // The mask's further argument was the column `w`, which is gone: nothing is shown.
        assert_eq!(past(&relation).last(), Some(&("s2", Some(&mask(&["w"])), false)));
        let unmasked = Relation {
            kind: RelationKind::Table(TableEntry { column_masks: BTreeMap::new(), ..table().table().unwrap().clone() }),
            ..table()
        };
        let relation = learn(&unmasked, &[("i", "id"), ("n", "note")], NewColumns::TakeUnlessMasked);
        assert_eq!(names(&relation), [(1, "id"), (4, "note")]);
    }

    #[test]
    fn a_policy_does_not_take_another_column_that_is_renamed_to_the_name_of_its_own() {
        let relation = learn(&table(), &[("i", "who"), ("s", "ssn")], NewColumns::Take);
        assert_eq!(relation.policy_column("who"), Some(ColumnIdentity::Physical("w")));
        let relation = learn(&relation, &[("i", "id"), ("s", "ssn"), ("w", "maker")], NewColumns::Take);
        assert_eq!(relation.policy_column("maker"), Some(ColumnIdentity::Physical("w")));
        assert_eq!(relation.table().unwrap().row_filter.as_ref().unwrap().columns, ["maker"]);
        assert_eq!(masks(&relation), [("ssn", &mask(&["maker"]))]);
    }
}
