//! Time zones as the `TimeZone` setting and AT TIME ZONE name them: IANA names in any case, abbreviations, and fixed offsets.
//!
//! PostgreSQL reads `'-3'` as hours east of Greenwich but `'UTC-3'`, `'+05:30'` and `'<+0530>-05:30'` the POSIX way, as hours west;
//! drivers know and depend on it. Absent: POSIX rules with daylight saving (`PST8PDT,M3.2.0,M11.1.0`), which nobody sends.

use chrono::{DateTime, NaiveDateTime, Offset as _, TimeZone as _};
use chrono_tz::{OffsetName as _, TZ_VARIANTS, Tz};

use super::calendar::{DAY_SECONDS, civil_from_days, days_from_civil};
use super::datetime_decoder::{Fault, read_offset};
use super::zone_abbreviation::{Abbreviation, abbreviation};
use crate::error::{Error, ErrorKind, Result};

/// A time zone: where it stands east of Greenwich at each instant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TimeZone {
    rules: Rules,
    name: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Rules {
    Fixed {
        offset: i32,
        abbreviation: String,
    },
    Named(Tz),
    /// What an abbreviation, in upper case, meant in a zone whose offsets under that name have changed.
    Abbreviated {
        zone: Tz,
        abbreviation: String,
    },
}

/// The daylight saving rules of a zone hold on forever; chrono-tz lists their instants up to about 2100. An instant after that is looked
/// up in a listed year that has the same calendar, one of the 28 that end here.
const LAST_REGULAR_YEAR: i64 = 2065;
const CALENDAR_CYCLE: i64 = 28;
/// 2090-01-01: from here on every zone is regular; Morocco's clocks, which follow the moon until 2087, stand still.
const YEAR_2090: i64 = 3_786_912_000;
/// Half a year, in seconds.
const HALF_YEAR: i64 = 15_778_800;
/// How far from an instant an abbreviation's last or first use is looked for, in steps of so many seconds.
const ABBREVIATION_STEP: i64 = 45 * DAY_SECONDS;
/// Long before the first listed instant of any zone: 1700-01-01.
const YEAR_1700: i64 = -8_520_336_000;
const MAX_OFFSET: i32 = 15 * 3600 + 59 * 60 + 59;
/// A POSIX name's hours are below a week.
const MAX_POSIX_HOURS: i32 = 167;

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
    /// offset west of Greenwich (`UTC+3`, `<+0530>-05:30`, `+05:30`). Abbreviations are no settings, unless IANA has a zone of that name.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidParameter`] for anything else.
    pub fn parse(text: &str) -> Result<TimeZone> {
        let refused = || Error::new(ErrorKind::InvalidParameter, format!("invalid value for parameter \"TimeZone\": \"{text}\""));
        let too_far = || refused().with_detail("UTC timezone offset is out of range.");
        if let Ok(hours) = text.parse::<f64>() {
            let seconds = hours * 3600.0;
            if seconds.abs() <= f64::from(MAX_OFFSET) {
                #[expect(clippy::cast_possible_truncation, reason = "bounded by the line above")]
                return Ok(TimeZone::fixed(seconds as i32));
            }
            return Err(too_far());
        }
        let zone = TimeZone::of_iana_or_posix(text).ok_or_else(refused)?;
        match zone.constant_offset() {
            Some(offset) if offset.abs() > MAX_OFFSET => Err(too_far()),
            _ => Ok(zone),
        }
    }

    /// Reads the zone of AT TIME ZONE and of functions: an abbreviation (`MSK`, `EST`), an IANA name in any case, or a POSIX name, whose
    /// offset counts west of Greenwich even where it has no name (`+05:30`).
    ///
    /// # Errors
    /// [`ErrorKind::InvalidParameter`] for anything else.
    pub fn lookup(text: &str) -> Result<TimeZone> {
        TimeZone::abbreviated(text)
            .or_else(|| TimeZone::of_iana_or_posix(text))
            .ok_or_else(|| Error::new(ErrorKind::InvalidParameter, format!("time zone \"{text}\" not recognized")))
    }

    /// Reads the zone argument of `make_timestamptz`: an offset in ISO 8601's sign (`+05:30` is east of Greenwich), or a zone as
    /// [`TimeZone::lookup`] reads it.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidParameter`] for anything else.
    pub fn of_argument(text: &str) -> Result<TimeZone> {
        if text.starts_with(|first: char| first.is_ascii_digit()) {
            return Err(Error::new(
                ErrorKind::InvalidParameter,
                format!("invalid input syntax for type numeric time zone: \"{text}\""),
            )
            .with_hint("Numeric time zones must have \"-\" or \"+\" as first character."));
        }
        if !text.starts_with(['+', '-']) {
            return TimeZone::lookup(text);
        }
        match read_offset(text) {
            Ok(offset) => Ok(TimeZone::fixed(offset)),
            Err(Fault::ZoneOverflow) => {
                Err(Error::new(ErrorKind::InvalidParameter, format!("numeric time zone \"{text}\" out of range")))
            }
            Err(_) => TimeZone::lookup(text),
        }
    }

    /// The meaning of an abbreviation of PostgreSQL's default set, in any case.
    pub fn abbreviated(word: &str) -> Option<TimeZone> {
        let upper = word.to_ascii_uppercase();
        let rules = match abbreviation(word)? {
            Abbreviation::Fixed(offset, _) => Rules::Fixed { offset, abbreviation: upper.clone() },
            Abbreviation::InZone(zone) => Rules::Abbreviated { zone, abbreviation: upper.clone() },
        };
        Some(TimeZone { rules, name: upper })
    }

    /// An IANA name in any case, or a POSIX name with a fixed offset.
    pub(super) fn of_iana_or_posix(text: &str) -> Option<TimeZone> {
        TimeZone::named(text).or_else(|| TimeZone::posix(text))
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
            let (unit, limit) = [(3600, MAX_POSIX_HOURS), (60, 59), (1, 59)].get(position).copied()?;
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
            Rules::Named(_) | Rules::Abbreviated { .. } => None,
        }
    }

    /// Seconds east of Greenwich at an instant, given in seconds since 1970 UTC.
    pub fn offset_at(&self, utc_seconds: i64) -> i32 {
        match &self.rules {
            Rules::Fixed { offset, .. } => *offset,
            Rules::Named(zone) => zone_offset(*zone, utc_seconds),
            Rules::Abbreviated { zone, abbreviation } => {
                abbreviated_offset(*zone, abbreviation, utc_seconds).unwrap_or_else(|| zone_offset(*zone, utc_seconds))
            }
        }
    }

    /// The zone's abbreviation at an instant: `CET`, `CEST`, `-03`.
    pub fn abbreviation_at(&self, utc_seconds: i64) -> String {
        match &self.rules {
            Rules::Fixed { abbreviation, .. } | Rules::Abbreviated { abbreviation, .. } => abbreviation.clone(),
            Rules::Named(zone) => zone_abbreviation(*zone, utc_seconds),
        }
    }

    /// The offset that holds at a local time, given in seconds since 1970 on the zone's clocks.
    ///
    /// As PostgreSQL: a time that the clocks skip counts from before the change, a time that they show twice is the later one.
    pub fn offset_at_local(&self, local_seconds: i64) -> i32 {
        match &self.rules {
            Rules::Fixed { offset, .. } => *offset,
            Rules::Named(zone) => zone_offset_at_local(*zone, local_seconds),
            Rules::Abbreviated { zone, abbreviation } => {
                let offset = zone_offset_at_local(*zone, local_seconds);
                abbreviated_offset(*zone, abbreviation, local_seconds.saturating_sub(i64::from(offset))).unwrap_or(offset)
            }
        }
    }
}

fn zone_offset(zone: Tz, utc_seconds: i64) -> i32 {
    zone.offset_from_utc_datetime(&instant(zone, utc_seconds)).fix().local_minus_utc()
}

fn zone_abbreviation(zone: Tz, utc_seconds: i64) -> String {
    let offset = zone.offset_from_utc_datetime(&instant(zone, utc_seconds));
    offset.abbreviation().map_or_else(|| offset_name(offset.fix().local_minus_utc()).replace(':', ""), str::to_string)
}

fn zone_offset_at_local(zone: Tz, local_seconds: i64) -> i32 {
    let before = zone_offset(zone, local_seconds.saturating_sub(DAY_SECONDS));
    let after = zone_offset(zone, local_seconds.saturating_add(DAY_SECONDS));
    let holds = |offset: i32| zone_offset(zone, local_seconds.saturating_sub(i64::from(offset))) == offset;
    if before != after && holds(after) { after } else { before }
}

/// The offset under which the zone used an abbreviation last before an instant, or first after it.
fn abbreviated_offset(zone: Tz, abbreviation: &str, utc_seconds: i64) -> Option<i32> {
    let uses = |seconds: i64| zone_abbreviation(zone, seconds) == abbreviation;
    let listed = utc_seconds.clamp(YEAR_1700, YEAR_2090);
    let before = (0..).map(|step| listed - step * ABBREVIATION_STEP).take_while(|seconds| *seconds >= YEAR_1700);
    let after = (1..).map(|step| listed + step * ABBREVIATION_STEP).take_while(|seconds| *seconds <= YEAR_2090);
    before.chain(after).find(|seconds| uses(*seconds)).map(|seconds| zone_offset(zone, seconds))
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
fn instant(zone: Tz, utc_seconds: i64) -> NaiveDateTime {
    let at = |seconds: i64| DateTime::from_timestamp(seconds, 0).unwrap_or_default().naive_utc();
    if utc_seconds < YEAR_2090 {
        return at(utc_seconds.max(YEAR_1700));
    }
    let winter = at(YEAR_2090);
    let offset = |time: &NaiveDateTime| zone.offset_from_utc_datetime(time).fix().local_minus_utc();
    if offset(&winter) == offset(&at(YEAR_2090 + HALF_YEAR)) { winter } else { at(same_calendar(utc_seconds)) }
}

/// The same month, day, weekday and time in a listed year.
fn same_calendar(utc_seconds: i64) -> i64 {
    let days = utc_seconds.div_euclid(DAY_SECONDS);
    let (year, month, day) = civil_from_days(days);
    let first = days_from_civil(year, 1, 1);
    let length = days_from_civil(year + 1, 1, 1) - first;
    let twin = (LAST_REGULAR_YEAR - CALENDAR_CYCLE + 1..=LAST_REGULAR_YEAR).find(|listed| {
        let listed_first = days_from_civil(*listed, 1, 1);
        (first - listed_first) % 7 == 0 && days_from_civil(listed + 1, 1, 1) - listed_first == length
    });
    days_from_civil(twin.unwrap_or(LAST_REGULAR_YEAR), month, day) * DAY_SECONDS + utc_seconds.rem_euclid(DAY_SECONDS)
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
    fn abbreviations_mean_what_they_meant_at_the_instant() {
        let zone = |text: &str| TimeZone::lookup(text).unwrap();
        assert_eq!(zone("est").offset_at(0), -18_000);
        assert_eq!(zone("+05:30").offset_at(0), -19_800);
        assert_eq!(zone("msk").offset_at(1_719_792_000), 10_800, "July 2024");
        assert_eq!(zone("MSK").offset_at(1_341_100_800), 14_400, "July 2012");
        assert_eq!(zone("PST8PDT").offset_at(1_719_792_000), -25_200);
        assert_eq!(TimeZone::lookup("UTC ").unwrap_err().message(), "time zone \"UTC \" not recognized");
        assert_eq!(TimeZone::parse("MSK").unwrap_err().kind(), ErrorKind::InvalidParameter);
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
