//! Names inside plans that no identifier can be.
//!
//! DataFusion finds columns by name. Relations and computed columns of a bound plan therefore have names of ours, and a name that a client or
//! another program's table can choose must never be one of them: an argument that meant the relation inside a function would read it.
//!
//! ```text
//!   people AS p      p␀1          a relation, always numbered
//!   p.salary         p␀1.salary   a stored column, under its relation's name
//!   p."count(*)"     count(*)␀2   a column whose name DataFusion could give itself
//!   a subquery       value␀3      what is computed
//! ```
//! The separator is U+0000, which neither PostgreSQL's protocol nor its identifiers can carry. [`shown`] takes the numbers off where a plan
//! is printed.

use std::borrow::Cow;
use std::sync::atomic::{AtomicUsize, Ordering};

const SEPARATOR: char = '\0';

/// `ROWS FROM (f(..), g(..))` as a call.
pub(crate) const ROWS_FROM: &str = "\0rows from";

/// GROUPING SETS inside of GROUPING SETS as a call.
pub(crate) const GROUPING_SETS: &str = "\0grouping sets";

/// The key that says `GROUP BY DISTINCT`.
pub(crate) const DISTINCT_SETS: &str = "\0distinct";

/// The only item of an empty select list.
pub(crate) const NO_ITEM: &str = "\0nothing";

const USING_ALIAS: &str = "\0as ";

/// The last column of `USING (..) AS alias`.
pub(crate) fn using_column(alias: &str) -> String {
    format!("{USING_ALIAS}{alias}")
}

/// The alias that such a column stands for.
pub(crate) fn using_alias(column: &str) -> Option<&str> {
    column.strip_prefix(USING_ALIAS)
}

/// Gives out names that differ from each other and from those of every other series of the statement.
#[derive(Debug)]
pub(crate) struct Series {
    /// Stands between the separator and the number. Each stage that makes names has its own.
    stage: &'static str,
    given: AtomicUsize,
}

impl Series {
    /// The names of the binder.
    pub(crate) const fn of_binder() -> Self {
        Self { stage: "", given: AtomicUsize::new(0) }
    }

    /// The names of the gate, which works on plans that the binder has named.
    pub(crate) const fn of_gate() -> Self {
        Self { stage: "g", given: AtomicUsize::new(0) }
    }

    /// The names of one governed scan's inner plan, which holds what the gate has named.
    pub(crate) const fn of_scan() -> Self {
        Self { stage: "s", given: AtomicUsize::new(0) }
    }

    /// The names of one node that goes by keys, for the next node above it only.
    pub(crate) const fn of_keys() -> Self {
        Self { stage: "k", given: AtomicUsize::new(0) }
    }

    /// The next name. Only its end makes it unique; `base` is for those who read plans.
    pub(crate) fn next(&self, base: &str) -> String {
        let number = self.given.fetch_add(1, Ordering::Relaxed) + 1;
        format!("{base}{SEPARATOR}{}{number}", self.stage)
    }
}

/// A text as people read it: internal names without their numbers.
pub(crate) fn shown(text: &str) -> Cow<'_, str> {
    if !text.contains(SEPARATOR) {
        return Cow::Borrowed(text);
    }
    let mut parts = text.split(SEPARATOR);
    let mut shown = parts.next().unwrap_or_default().to_string();
    for part in parts {
        shown.push_str(part.trim_start_matches(['g', 's', 'k']).trim_start_matches(|symbol: char| symbol.is_ascii_digit()));
    }
    Cow::Owned(shown)
}

/// Whether DataFusion gives no column or relation this name by itself, as it does `count(*)`, `a + b`, `__common_expr_1` and `alias1`.
pub(crate) fn is_plain(name: &str) -> bool {
    let word = !name.is_empty() && name.chars().all(|symbol| symbol.is_alphanumeric() || symbol == '_');
    word && !["__", "alias", "group_alias_", "NULL"].iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ_whatever_their_base_is() {
        let (binder, gate) = (Series::of_binder(), Series::of_gate());
        let names = [binder.next("r"), binder.next("r"), gate.next("r"), gate.next("r"), binder.next("r\u{0}1")];
        let distinct: std::collections::HashSet<&String> = names.iter().collect();
        assert_eq!(distinct.len(), names.len());
        assert_eq!(names.each_ref().map(|name| shown(name).into_owned()), ["r"; 5]);
        assert_eq!(shown("sum(p\u{0}12.salary) > value\u{0}g3"), "sum(p.salary) > value");
    }

    #[test]
    fn words_are_plain_and_what_datafusion_may_call_a_column_is_not() {
        assert!(["id", "Größe", "a_1", "_id", "count"].into_iter().all(is_plain));
        let odd = ["", "count(*)", "#value", "__common_expr_1", "alias1", "group_alias_0", "a b", "x#2", "NULL"];
        assert!(!odd.into_iter().any(is_plain));
    }
}
