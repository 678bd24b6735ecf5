//! Time zones as the `TimeZone` setting names them: IANA names in any case, and fixed offsets.
//!
//! PostgreSQL reads `'-3'` as hours east of Greenwich but `'UTC-3'`, `'+05:30'` and `'<+0530>-05:30'` the POSIX way, as hours west;
//! drivers know and depend on it. Absent: POSIX rules with daylight saving (`PST8PDT,M3.2.0,M11.1.0`), which nobody sends.

use chrono::{DateTime, NaiveDateTime, Offset as _, TimeZone as _};
use chrono_tz::{OffsetName as _, TZ_VARIANTS, Tz};

use super::calendar::{DAY_SECONDS, civil_from_days, days_from_civil};
use crate::error::{Error, ErrorKind, Result};

/// A time zone: where it stands east of Greenwich at each instant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TimeZone {
    rules: Rules,
    name: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Rules {
    Fixed { offset: i32, abbreviation: String },
    Named(Tz),
}

/// The daylight saving rules of a zone hold on forever; chrono-tz lists their instants up to about 2100. An instant after this year
/// is looked up in a year of the 28 before it that has the same calendar.
const LAST_LISTED_YEAR: i64 = 2065;
const CALENDAR_CYCLE: i64 = 28;
const YEAR_2066: i64 = 3_029_529_600;
/// Long before the first listed instant of any zone: 1700-01-01.
const YEAR_1700: i64 = -8_520_336_000;
const MAX_OFFSET: i32 = 15 * 3600 + 59 * 60 + 59;

impl TimeZone {
    /// UTC.
    pub fn utc() -> TimeZone {
        TimeZone { rules: Rules::Fixed { offset: 0, abbreviation: "UTC".to_string() }, name: "UTC".to_string() }
    }

    /// A zone that always stands `offset` seconds east of Greenwich.
    pub fn fixed(offset: i32) -> TimeZone {
        let east = offset_name(offset);
        TimeZone { name: format!("<{east}>{}", offset_name(-offset)), rules: Rules::Fixed { offset, abbreviation: east } }
    }

    /// Reads a `TimeZone` setting: an IANA name in any case, hours east of Greenwich (`-3`, `5.5`), or a POSIX name with a fixed
    /// offset west of Greenwich (`UTC+3`, `<+0530>-05:30`, `+05:30`).
    ///
    /// # Errors
    /// [`ErrorKind::InvalidParameter`] for anything else.
    pub fn parse(text: &str) -> Result<TimeZone> {
        let trimmed = text.trim();
        if let Some(zone) = TimeZone::named(trimmed) {
            return Ok(zone);
        }
        if let Ok(hours) = trimmed.parse::<f64>() {
            let seconds = hours * 3600.0;
            if seconds.abs() <= f64::from(MAX_OFFSET) {
                #[expect(clippy::cast_possible_truncation, reason = "bounded by the line above")]
                return Ok(TimeZone::fixed(seconds as i32));
            }
        } else if let Some(zone) = TimeZone::posix(trimmed) {
            return Ok(zone);
        }
        Err(Error::new(ErrorKind::InvalidParameter, format!("invalid value for parameter \"TimeZone\": \"{text}\"")))
    }

    /// The zone with this IANA name, in any case.
    pub fn named(name: &str) -> Option<TimeZone> {
        if name.eq_ignore_ascii_case("utc") {
            return Some(TimeZone::utc());
        }
        let tz = name.parse::<Tz>().ok().or_else(|| TZ_VARIANTS.into_iter().find(|tz| tz.name().eq_ignore_ascii_case(name)))?;
        Some(TimeZone { rules: Rules::Named(tz), name: tz.name().to_string() })
    }

    /// `NAME[+-]hh[:mm[:ss]]` or `<NAME>[+-]hh[:mm[:ss]]`, counted west of Greenwich.
    fn posix(text: &str) -> Option<TimeZone> {
        let (abbreviation, offset) = match text.strip_prefix('<') {
            Some(rest) => rest.split_once('>')?,
            None => text.split_at(text.find(|c: char| !c.is_ascii_alphabetic())?),
        };
        let (sign, digits) = match offset.strip_prefix('-') {
            Some(digits) => (1, digits),
            None => (-1, offset.strip_prefix('+').unwrap_or(offset)),
        };
        let mut seconds = 0;
        for (position, part) in digits.split(':').enumerate() {
            let number: i32 = part.parse().ok().filter(|_| part.len() <= 3 && part.bytes().all(|b| b.is_ascii_digit()))?;
            let (unit, limit) = [(3600, 15), (60, 59), (1, 59)].get(position).copied()?;
            if number > limit {
                return None;
            }
            seconds += number * unit;
        }
        let name = if text.starts_with('<') { text.to_string() } else { text.to_ascii_uppercase() };
        Some(TimeZone { rules: Rules::Fixed { offset: sign * seconds, abbreviation: abbreviation.to_ascii_uppercase() }, name })
    }

    /// The setting's canonical text.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The offset in seconds east of Greenwich if it is the same at every instant.
    pub fn constant_offset(&self) -> Option<i32> {
        match self.rules {
            Rules::Fixed { offset, .. } => Some(offset),
            Rules::Named(_) => None,
        }
    }

    /// Seconds east of Greenwich at an instant, given in seconds since 1970 UTC.
    pub fn offset_at(&self, utc_seconds: i64) -> i32 {
        match self.rules {
            Rules::Fixed { offset, .. } => offset,
            Rules::Named(tz) => tz.offset_from_utc_datetime(&instant(utc_seconds)).fix().local_minus_utc(),
        }
    }

    /// The zone's abbreviation at an instant: `CET`, `CEST`, `-03`.
    pub fn abbreviation_at(&self, utc_seconds: i64) -> String {
        match &self.rules {
            Rules::Fixed { abbreviation, .. } => abbreviation.clone(),
            Rules::Named(tz) => {
                let offset = tz.offset_from_utc_datetime(&instant(utc_seconds));
                offset.abbreviation().map_or_else(|| offset_name(offset.fix().local_minus_utc()).replace(':', ""), str::to_string)
            }
        }
    }

    /// The offset that holds at a local time, given in seconds since 1970 on the zone's clocks.
    ///
    /// As PostgreSQL: a time that the clocks skip counts from before the change, a time that they show twice is the later one.
    pub fn offset_at_local(&self, local_seconds: i64) -> i32 {
        let Rules::Named(_) = self.rules else { return self.offset_at(local_seconds) };
        let before = self.offset_at(local_seconds.saturating_sub(DAY_SECONDS));
        let after = self.offset_at(local_seconds.saturating_add(DAY_SECONDS));
        let holds = |offset: i32| self.offset_at(local_seconds.saturating_sub(i64::from(offset))) == offset;
        if before != after && holds(after) {
            return after;
        }
        before
    }
}

impl Default for TimeZone {
    fn default() -> Self {
        TimeZone::utc()
    }
}

/// `+03`, `-03:30`, `+05:30:15`
fn offset_name(offset: i32) -> String {
    let sign = if offset < 0 { '-' } else { '+' };
    let seconds = offset.unsigned_abs();
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (minutes, rest) {
        (0, 0) => format!("{sign}{hours:02}"),
        (_, 0) => format!("{sign}{hours:02}:{minutes:02}"),
        _ => format!("{sign}{hours:02}:{minutes:02}:{rest:02}"),
    }
}

/// The instant to look up in chrono-tz's lists for an instant of any year.
fn instant(utc_seconds: i64) -> NaiveDateTime {
    let listed = if utc_seconds < YEAR_2066 { utc_seconds.max(YEAR_1700) } else { same_calendar(utc_seconds) };
    DateTime::from_timestamp(listed, 0).unwrap_or_default().naive_utc()
}

/// The same month, day, weekday and time in a listed year.
fn same_calendar(utc_seconds: i64) -> i64 {
    let days = utc_seconds.div_euclid(DAY_SECONDS);
    let (year, month, day) = civil_from_days(days);
    let first = days_from_civil(year, 1, 1);
    let length = days_from_civil(year + 1, 1, 1) - first;
    let twin = (LAST_LISTED_YEAR - CALENDAR_CYCLE + 1..=LAST_LISTED_YEAR).find(|listed| {
        let listed_first = days_from_civil(*listed, 1, 1);
        (first - listed_first) % 7 == 0 && days_from_civil(listed + 1, 1, 1) - listed_first == length
    });
    days_from_civil(twin.unwrap_or(LAST_LISTED_YEAR), month, day) * DAY_SECONDS + utc_seconds.rem_euclid(DAY_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offset(zone: &str, utc_seconds: i64) -> i32 {
        TimeZone::parse(zone).unwrap().offset_at(utc_seconds)
    }

    #[test]
    fn signs_are_read_as_postgresql_reads_them() {
        assert_eq!(offset("-3", 0), -3 * 3600);
        assert_eq!(offset("5.5", 0), 19_800);
        assert_eq!(offset("+05:30", 0), -19_800);
        assert_eq!(offset("GMT-05:30", 0), 19_800);
        assert_eq!(offset("<+0530>-05:30", 0), 19_800);
        assert_eq!(TimeZone::parse("5.5").unwrap().name(), "<+05:30>-05:30");
        assert_eq!(TimeZone::parse("-3").unwrap().name(), "<-03>+03");
        assert_eq!(TimeZone::parse("foo5").unwrap().name(), "FOO5");
        assert_eq!(TimeZone::parse("europe/berlin").unwrap().name(), "Europe/Berlin");
        assert_eq!(TimeZone::parse("utc").unwrap().name(), "UTC");
        for wrong in ["foo", "Z", "", "99", "Europe/Nowhere", "UTC+3:75", "nan"] {
            assert_eq!(TimeZone::parse(wrong).unwrap_err().kind(), ErrorKind::InvalidParameter, "{wrong}");
        }
    }

    #[test]
    fn rules_hold_before_and_after_the_listed_years() {
        assert_eq!(offset("Europe/Berlin", -5_364_662_400), 3208, "1800: local mean time");
        assert_eq!(offset("Europe/Berlin", 1_719_792_000), 7200, "July 2024");
        assert_eq!(offset("Europe/Berlin", 5_695_920_000), 7200, "July 2150");
        assert_eq!(offset("Europe/Berlin", 5_680_281_600), 3600, "January 2150");
        assert_eq!(offset("Europe/Berlin", 9_223_371_331_200), 3600, "January 294247");
    }

    #[test]
    fn skipped_and_repeated_local_times() {
        let berlin = TimeZone::parse("Europe/Berlin").unwrap();
        assert_eq!(berlin.offset_at_local(1_711_852_200), 3600, "2024-03-31 02:30 does not exist");
        assert_eq!(berlin.offset_at_local(1_711_855_800), 7200, "2024-03-31 03:30");
        assert_eq!(berlin.offset_at_local(1_729_996_200), 3600, "2024-10-27 02:30 comes twice");
        assert_eq!(berlin.offset_at_local(1_729_992_600), 7200, "2024-10-27 01:30");
        assert_eq!(berlin.offset_at_local(1_730_000_000), 3600, "2024-10-27 03:33");
        assert_eq!(berlin.abbreviation_at(1_719_792_000), "CEST");
        assert_eq!(TimeZone::parse("America/Sao_Paulo").unwrap().abbreviation_at(1_719_792_000), "-03");
    }
}
