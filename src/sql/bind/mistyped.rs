//! What was meant by a column that is not there, as PostgreSQL guesses: at most three letters off, and no more than half of the name.

use datafusion::common::utils::datafusion_strsim::levenshtein;

use super::range::Range;
use crate::error::Error;

/// Letters that a guess may be off.
const FARTHEST: usize = 3;

/// Adds PostgreSQL's hint about the nearest column of `ranges`, if one or two are nearer than all others.
pub(super) fn with_guess<'r>(error: Error, ranges: impl Iterator<Item = &'r Range>, parts: &[String]) -> Error {
    let Some((column, qualifiers)) = parts.split_last() else { return error };
    let columns = ranges.flat_map(|range| &range.tables).flat_map(|table| {
        let apart = qualifiers.last().map_or(0, |qualifier| levenshtein(qualifier, &table.alias));
        table.columns.iter().map(move |column| (apart, table.alias.as_str(), column.name.as_str()))
    });
    match nearest(column, columns).as_slice() {
        [one] => error.with_hint(format!("Perhaps you meant to reference the column \"{one}\".")),
        [one, other] => error.with_hint(format!("Perhaps you meant to reference the column \"{one}\" or the column \"{other}\".")),
        _ => error,
    }
}

/// The nearest columns to a name, qualified: none if there are more than two.
fn nearest<'c>(name: &str, columns: impl Iterator<Item = (usize, &'c str, &'c str)>) -> Vec<String> {
    let mut distance = FARTHEST;
    let mut found: Vec<String> = vec![];
    let mut too_many = false;
    for (apart, table, column) in columns {
        let letters = levenshtein(name, column);
        if letters > name.chars().count() / 2 || letters + apart > distance {
            continue;
        }
        if letters + apart < distance {
            (distance, too_many) = (letters + apart, false);
            found.clear();
        }
        too_many = too_many || found.len() == 2;
        found.push(format!("{table}.{column}"));
    }
    if too_many { vec![] } else { found }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_columns_are_guessed_and_no_far_ones() {
        let columns = [(0, "o", "status"), (0, "o", "state"), (0, "o", "amount"), (0, "p", "amounts")];
        let guess = |name: &str| nearest(name, columns.into_iter());
        assert_eq!(guess("statu"), ["o.status", "o.state"]);
        assert_eq!(guess("amont"), ["o.amount"]);
        assert_eq!(guess("amounts"), ["p.amounts"]);
        assert!(guess("x").is_empty());
        assert!(guess("price").is_empty());
    }
}
