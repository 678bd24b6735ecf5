//! Moments and intervals by a template: `to_char`.

use std::fmt::Write as _;

use super::calendar::{DAY_MICROS, civil_from_days};
use super::template::{DAYS, Field, Keyword, MONTHS, Piece, ROMAN, first_iso_week, julian_day, pieces};
use super::{IntervalValue, TimeZone};
use crate::error::{Error, ErrorKind, Result};

/// What a template shows.
struct Shown {
    year: i64,
    month: i64,
    day: i64,
    /// Day of the year; of an interval all of its days.
    year_day: i64,
    /// Sunday is 0.
    weekday: i64,
    hour: i64,
    minute: i64,
    second: i64,
    micros: i64,
    is_interval: bool,
    /// Seconds east of Greenwich and the zone's abbreviation, of an instant.
    zone: Option<(i32, String)>,
}

/// A timestamp by a template; `None` for an empty one.
///
/// # Errors
/// 22P02 for an ordinal of something that is no number.
pub fn timestamp_by_template(local: i64, template: &str) -> Result<Option<String>> {
    write(&shown(local, None), template)
}

/// An instant by a template, on the clocks of `zone`; `None` for an empty one.
///
/// # Errors
/// As [`timestamp_by_template`].
pub fn instant_by_template(utc: i64, zone: &TimeZone, template: &str) -> Result<Option<String>> {
    let seconds = utc.div_euclid(1_000_000);
    let offset = zone.offset_at(seconds);
    let local = utc.saturating_add(i64::from(offset) * 1_000_000);
    write(&shown(local, Some((offset, zone.abbreviation_at(seconds)))), template)
}

/// An interval by a template; `None` for an empty one.
///
/// # Errors
/// 22007 for fields that only days of a calendar have; as [`timestamp_by_template`].
pub fn interval_by_template(interval: IntervalValue, template: &str) -> Result<Option<String>> {
    let months = i64::from(interval.months);
    let (year, month, day) = (months / 12, months % 12, i64::from(interval.days));
    let micros = interval.micros;
    let shown = Shown {
        year,
        month,
        day,
        year_day: months * 30 + day,
        weekday: 0,
        hour: micros / 3_600_000_000,
        minute: micros / 60_000_000 % 60,
        second: micros / 1_000_000 % 60,
        micros: micros % 1_000_000,
        is_interval: true,
        zone: None,
    };
    write(&shown, template)
}

fn shown(local: i64, zone: Option<(i32, String)>) -> Shown {
    let (days, micros) = (local.div_euclid(DAY_MICROS), local.rem_euclid(DAY_MICROS));
    let (year, month, day) = civil_from_days(days);
    let (month, day) = (i64::from(month), i64::from(day));
    Shown {
        year,
        month,
        day,
        year_day: julian_day(year, month, day) - julian_day(year, 1, 1) + 1,
        weekday: (days + 4).rem_euclid(7),
        hour: micros / 3_600_000_000,
        minute: micros / 60_000_000 % 60,
        second: micros / 1_000_000 % 60,
        micros: micros % 1_000_000,
        is_interval: false,
        zone,
    }
}

fn write(shown: &Shown, template: &str) -> Result<Option<String>> {
    if template.is_empty() {
        return Ok(None);
    }
    let mut text = String::with_capacity(template.len() + 16);
    for piece in pieces(template) {
        match piece {
            Piece::Separator(character) | Piece::Space(character) | Piece::Character(character) => text.push(character),
            Piece::Field(field) => shown.write(&field, &mut text)?,
        }
    }
    Ok(Some(text))
}

/// `number` with at least `width` characters, the sign among them; as it is without a width.
fn number(number: i64, width: usize) -> String {
    format!("{number:0width$}")
}

impl Shown {
    fn write(&self, field: &Field<'_>, text: &mut String) -> Result<()> {
        if let Some(words) = self.words(field)? {
            text.push_str(&words);
            return Ok(());
        }
        let Some(digits) = self.digits(field) else { return Ok(()) };
        text.push_str(&digits);
        if let Some(ordinal) = field.ordinal {
            text.push_str(ending(&digits, ordinal == "TH")?);
        }
        Ok(())
    }

    /// The years that are shown: those before Christ count from 1.
    fn shown_year(&self, year: i64) -> i64 {
        if self.is_interval || year > 0 { year } else { 1 - year }
    }

    /// Year and week of ISO 8601.
    fn iso_week(&self) -> (i64, i64) {
        let day = julian_day(self.year, self.month, self.day);
        let mut year = self.year;
        let mut start = first_iso_week(year);
        if day < start {
            year -= 1;
            start = first_iso_week(year);
        }
        let mut week = (day - start) / 7 + 1;
        if week >= 52 {
            let next = first_iso_week(self.year + 1);
            if day >= next {
                (year, week) = (self.year + 1, (day - next) / 7 + 1);
            }
        }
        (year, week)
    }

    /// Fields that are shown as digits. `None` where an interval has nothing to show.
    fn digits(&self, field: &Field<'_>) -> Option<String> {
        let width = |width: usize, signed: i64| match (field.unpadded, signed < 0) {
            (true, _) => 0,
            (false, false) => width,
            (false, true) => width + 1,
        };
        let fixed = |width: usize| if field.unpadded { 0 } else { width };
        Some(match field.keyword {
            Keyword::Hour12 => {
                let hour = if self.hour % 12 == 0 { 12 } else { self.hour % 12 };
                number(hour, width(2, self.hour))
            }
            Keyword::Hour24 => number(self.hour, width(2, self.hour)),
            Keyword::Minute => number(self.minute, width(2, self.minute)),
            Keyword::Second => number(self.second, width(2, self.second)),
            Keyword::Fraction(digits) => number(self.micros / 10_i64.pow(6 - u32::from(digits)), usize::from(digits)),
            Keyword::Milliseconds => number(self.micros / 1000, 3),
            Keyword::Microseconds => number(self.micros, 6),
            Keyword::SecondOfDay => (self.hour * 3600 + self.minute * 60 + self.second).to_string(),
            Keyword::MonthNumber => number(self.month, width(2, self.month)),
            Keyword::DayOfYear => number(self.year_day, fixed(3)),
            Keyword::IsoDayOfYear => {
                let day = julian_day(self.year, self.month, self.day) - first_iso_week(self.iso_week().0) + 1;
                number(day, fixed(3))
            }
            Keyword::DayOfMonth => number(self.day, fixed(2)),
            Keyword::DayOfWeek => (self.weekday + 1).to_string(),
            Keyword::IsoDayOfWeek => (if self.weekday == 0 { 7 } else { self.weekday }).to_string(),
            Keyword::Week => number((self.year_day - 1) / 7 + 1, fixed(2)),
            Keyword::IsoWeek => number(self.iso_week().1, fixed(2)),
            Keyword::WeekOfMonth => ((self.day - 1) / 7 + 1).to_string(),
            Keyword::Quarter if self.month == 0 => return None,
            Keyword::Quarter => ((self.month - 1) / 3 + 1).to_string(),
            Keyword::Century => {
                let century = match (self.is_interval, self.year > 0) {
                    (true, _) => self.year / 100,
                    (false, true) => (self.year - 1) / 100 + 1,
                    (false, false) => self.year / 100 - 1,
                };
                number(century, if century.abs() <= 99 { width(2, century) } else { 0 })
            }
            Keyword::YearWithComma => {
                let year = self.shown_year(self.year);
                format!("{},{:03}", year / 1000, year % 1000)
            }
            Keyword::Year(1) => (self.shown_year(self.year) % 10).to_string(),
            Keyword::IsoYear(1) => (self.shown_year(self.iso_week().0) % 10).to_string(),
            Keyword::Year(digits) | Keyword::IsoYear(digits) => {
                let of_calendar = self.shown_year(self.year);
                let year = match field.keyword {
                    Keyword::IsoYear(_) => self.shown_year(self.iso_week().0),
                    _ => of_calendar,
                };
                let year = if digits < 4 { year % 10_i64.pow(digits.into()) } else { year };
                number(year, width(digits.into(), of_calendar))
            }
            Keyword::Julian => julian_day(self.year, self.month, self.day).to_string(),
            _ => String::new(),
        })
    }

    /// Fields that are shown as words or with a sign. `None` for those that are digits.
    fn words(&self, field: &Field<'_>) -> Result<Option<String>> {
        let unpadded = field.unpadded || field.localized;
        let padded = |word: &str, width: usize| {
            let word = cased(word, field.name);
            if unpadded { word } else { format!("{word:<width$}") }
        };
        let name_of = |names: &[&'static str], index: i64| {
            usize::try_from(index).ok().and_then(|index| names.get(index)).copied().unwrap_or_default()
        };
        let short = |name: &str| cased(name.get(..3).unwrap_or_default(), field.name);
        let offset = self.zone.as_ref().map_or(0, |(offset, _)| *offset);
        let (sign, seconds) = (if offset < 0 { '-' } else { '+' }, offset.unsigned_abs());
        let is_afternoon = self.hour % 24 >= 12;
        let words = match field.keyword {
            Keyword::Am => cased(if is_afternoon { "PM" } else { "AM" }, field.name),
            Keyword::AmDotted => cased(if is_afternoon { "P.M." } else { "A.M." }, field.name),
            Keyword::MonthRoman => match (self.month, self.year) {
                (0, 0) => String::new(),
                (0, year) => self.roman(if year >= 0 { 0 } else { 11 }, field),
                (month @ ..0, _) => self.roman(-month - 1, field),
                (month, _) => self.roman(12 - month, field),
            },
            Keyword::Exact => String::new(),
            Keyword::Zone
            | Keyword::ZoneHour
            | Keyword::ZoneMinute
            | Keyword::Offset
            | Keyword::Ad
            | Keyword::AdDotted
            | Keyword::Month
            | Keyword::MonthShort
            | Keyword::Day
            | Keyword::DayShort
            | Keyword::DayOfWeek
            | Keyword::IsoDayOfWeek
                if self.is_interval =>
            {
                let message = "invalid format specification for an interval value";
                let hint = "Intervals are not tied to specific calendar dates.";
                return Err(Error::new(ErrorKind::InvalidDatetime, message).with_hint(hint));
            }
            Keyword::Zone => self.zone.as_ref().map_or_else(String::new, |(_, abbreviation)| cased(abbreviation, field.name)),
            Keyword::ZoneHour => format!("{sign}{:02}", seconds / 3600),
            Keyword::ZoneMinute => format!("{:02}", seconds / 60 % 60),
            Keyword::Offset => {
                let width = if field.unpadded { 0 } else { 2 };
                let mut text = format!("{sign}{:0width$}", seconds / 3600);
                if seconds % 3600 != 0 {
                    let _ = write!(text, ":{:02}", seconds / 60 % 60);
                }
                text
            }
            Keyword::Ad => cased(if self.year > 0 { "AD" } else { "BC" }, field.name),
            Keyword::AdDotted => cased(if self.year > 0 { "A.D." } else { "B.C." }, field.name),
            Keyword::Month => padded(name_of(&MONTHS, self.month - 1), 9),
            Keyword::MonthShort => short(name_of(&MONTHS, self.month - 1)),
            Keyword::Day => padded(name_of(&DAYS, self.weekday), 9),
            Keyword::DayShort => short(name_of(&DAYS, self.weekday)),
            _ => return Ok(None),
        };
        Ok(Some(words))
    }

    fn roman(&self, index: i64, field: &Field<'_>) -> String {
        let numeral = usize::try_from(index).ok().and_then(|index| ROMAN.get(index)).copied().unwrap_or_default();
        let numeral = cased(numeral, field.name);
        if field.unpadded { numeral } else { format!("{numeral:<4}") }
    }
}

/// `name` in the case of `like`: all upper, all lower, or as it is.
fn cased(name: &str, like: &str) -> String {
    let letters = || like.chars().filter(char::is_ascii_alphabetic);
    if letters().all(|letter| letter.is_ascii_lowercase()) {
        name.to_ascii_lowercase()
    } else if letters().all(|letter| letter.is_ascii_uppercase()) {
        name.to_ascii_uppercase()
    } else {
        name.to_string()
    }
}

/// `st`, `nd`, `rd` or `th` behind a number.
fn ending(digits: &str, upper: bool) -> Result<&'static str> {
    let bytes = digits.as_bytes();
    let last = bytes.last().copied().filter(u8::is_ascii_digit);
    let Some(last) = last else {
        return Err(Error::new(ErrorKind::InvalidText, format!("\"{digits}\" is not a number")));
    };
    let is_teen = bytes.len() > 1 && bytes[bytes.len() - 2] == b'1';
    Ok(match (last, is_teen, upper) {
        (b'1', false, true) => "ST",
        (b'1', false, false) => "st",
        (b'2', false, true) => "ND",
        (b'2', false, false) => "nd",
        (b'3', false, true) => "RD",
        (b'3', false, false) => "rd",
        (_, _, true) => "TH",
        (_, _, false) => "th",
    })
}
