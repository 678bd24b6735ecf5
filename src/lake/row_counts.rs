//! How many rows of a table satisfy a predicate and between which values their keys lie, as far as somebody has looked.
//!
//! The log says how many rows a table has, but not how many a predicate leaves. Whoever may tell a planner only the latter looks once and
//! leaves what was found here. It outlives the version that it was found in and is looked for anew now and then: these are estimates, never
//! answers. A predicate is looked into when it is asked for a second time, so that one with a moving constant in it (`ts > now()`) costs nothing.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::common::ScalarValue;
use datafusion::logical_expr::Expr;
use parking_lot::Mutex;

/// A count of an earlier version serves for so long before rows are counted again.
const AGE: Duration = Duration::from_secs(60);
/// Predicates of one table that are remembered.
const PREDICATES: usize = 64;

/// Counts by predicate. Predicates are compared whole; one with a subquery must not be asked for, because plans do not compare their sources.
#[derive(Debug, Default)]
pub struct RowCounts {
    known: Mutex<HashMap<Expr, Known>>,
}

/// What was found among the rows that satisfy a predicate.
#[derive(Debug, Default, PartialEq)]
pub struct FoundRows {
    /// How many they are.
    pub rows: usize,
    /// Smallest and largest value of some columns, by name.
    pub bounds: BTreeMap<String, (ScalarValue, ScalarValue)>,
}

#[derive(Debug)]
enum Known {
    Asked,
    Found { found: Option<Arc<FoundRows>>, version: u64, at: Instant },
}

/// What is known about a predicate.
#[derive(Debug, Clone, PartialEq)]
pub enum RowCount {
    /// These rows satisfy it, or did a short while ago; `None` if somebody looked and did not find out in time.
    Known(Option<Arc<FoundRows>>),
    /// Nobody has looked, or not lately: the asker should, and [`RowCounts::learn`] it.
    Wanted,
    /// It was never asked for: not worth a look.
    Unknown,
}

impl RowCounts {
    /// Rows of `version` that satisfy `predicate`.
    pub fn of(&self, predicate: &Expr, version: u64) -> RowCount {
        let mut known = self.known.lock();
        match known.get(predicate) {
            Some(Known::Found { found, version: of, at }) if *of == version || at.elapsed() < AGE => RowCount::Known(found.clone()),
            Some(_) => RowCount::Wanted,
            None => {
                if known.len() >= PREDICATES {
                    known.clear();
                }
                known.insert(predicate.clone(), Known::Asked);
                RowCount::Unknown
            }
        }
    }

    /// Keeps what was found, or that it was not in time.
    pub fn learn(&self, predicate: &Expr, version: u64, found: Option<Arc<FoundRows>>) {
        self.known.lock().insert(predicate.clone(), Known::Found { found, version, at: Instant::now() });
    }
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::{col, lit};

    use super::*;

    #[test]
    fn a_predicate_is_counted_when_it_comes_back() {
        let counts = RowCounts::default();
        let predicate = col("id").gt(lit(5_i64));
        assert_eq!(counts.of(&predicate, 1), RowCount::Unknown);
        assert_eq!(counts.of(&predicate, 1), RowCount::Wanted);
        let found = Some(Arc::new(FoundRows { rows: 7, bounds: BTreeMap::new() }));
        counts.learn(&predicate, 1, found.clone());
        assert_eq!(counts.of(&predicate, 1), RowCount::Known(found.clone()));
        assert_eq!(counts.of(&predicate, 2), RowCount::Known(found));
        assert_eq!(counts.of(&col("id").gt(lit(6_i64)), 2), RowCount::Unknown);
    }

    #[test]
    fn moving_constants_do_not_grow_the_memory() {
        let counts = RowCounts::default();
        for number in 0..1000_i64 {
            assert_eq!(counts.of(&col("id").gt(lit(number)), 1), RowCount::Unknown);
        }
        assert!(counts.known.lock().len() <= PREDICATES);
    }
}
