//! The abbreviations of time zones that PostgreSQL's default set knows: `MSK`, `EST`, `CEST`.
//!
//! Most stand for one offset. Some have changed theirs with the years; they name the zone whose history tells what they meant at an instant.
//! The list is PostgreSQL's `timezonesets/Default`.

use chrono_tz::Tz;

/// What an abbreviation means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Abbreviation {
    /// Seconds east of Greenwich, and whether it is daylight saving time.
    Fixed(i32, bool),
    /// What the zone's clocks meant by it.
    InZone(Tz),
}

/// The abbreviation `word`, in any case.
pub(super) fn abbreviation(word: &str) -> Option<Abbreviation> {
    let lines = include_str!("zone_abbreviations.tsv").lines();
    let meaning = lines.filter_map(|line| line.split_once('\t')).find(|(name, _)| name.eq_ignore_ascii_case(word))?.1;
    let (meaning, is_daylight_saving) = meaning.split_once('\t').map_or((meaning, false), |(meaning, _)| (meaning, true));
    match meaning.parse() {
        Ok(offset) => Some(Abbreviation::Fixed(offset, is_daylight_saving)),
        Err(_) => meaning.parse().ok().map(Abbreviation::InZone),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_list_has_a_meaning() {
        let lines = include_str!("zone_abbreviations.tsv").lines();
        for name in lines.filter_map(|line| line.split('\t').next()) {
            assert!(abbreviation(&name.to_lowercase()).is_some(), "{name}");
        }
        assert_eq!(abbreviation("est"), Some(Abbreviation::Fixed(-18_000, false)));
        assert_eq!(abbreviation("MSK"), Some(Abbreviation::InZone(Tz::Europe__Moscow)));
        assert_eq!(abbreviation("foo"), None);
    }
}
