//! Text by a template: `to_date`, `to_timestamp`.
//!
//! ```text
//!  text + pieces ── Scanner ──▶ Fields { year, month, week, .. } ── finish ──▶ TemplateValue { days, micros, zone, digits }
//! ```
//! Fields that contradict each other are an error, ISO 8601's weeks do not mix with Gregorian months, and what is missing is the first of
//! its kind. A separator of the template stands for one separator of the text or for none, unless FX asks for the very width.

use super::calendar::DAY_MICROS;
use super::datetime_decoder::Fault;
use super::moment::{date_of_days, instant_of_local, timestamp_in_range, timestamp_out_of_range};
use super::template::{
    Calendar, DAYS, Field, Keyword, MONTHS, Piece, ROMAN, first_iso_week, is_separator, is_space, julian_day, pieces,
};
use super::{TimeZone, calendar};
use crate::error::{Error, ErrorKind, Result};

const JULIAN_OF_1970: i64 = 2_440_588;

/// Reads a date by a template: days since 1970.
///
/// # Errors
/// 22007 for text that does not fit the template, 22008 for a date that does not exist.
pub fn date_by_template(text: &str, template: &str) -> Result<i32> {
    let value = read(text, template)?;
    date_of_days(value.days).map_err(|_| Error::new(ErrorKind::DatetimeOutOfRange, format!("date out of range: \"{text}\"")))
}

/// Reads an instant by a template, on the clocks of `zone` if the text names none.
///
/// # Errors
/// As [`date_by_template`].
pub fn timestamptz_by_template(text: &str, template: &str, zone: &TimeZone) -> Result<i64> {
    let value = read(text, template)?;
    let local = value.days.checked_mul(DAY_MICROS).and_then(|micros| micros.checked_add(value.micros));
    let local = local.and_then(timestamp_in_range).ok_or_else(timestamp_out_of_range)?;
    let utc = instant_of_local(local, value.zone.as_ref().unwrap_or(zone))?;
    let Some(digits) = value.digits else { return Ok(utc) };
    // Rounded half away from 2000, from where PostgreSQL counts.
    let unit = 10_i64.pow(6_u32.saturating_sub(digits));
    let since_2000 = utc - calendar::POSTGRES_EPOCH_MICROS;
    let rounded = (since_2000 + since_2000.signum() * (unit / 2)) / unit * unit;
    rounded.checked_add(calendar::POSTGRES_EPOCH_MICROS).ok_or_else(timestamp_out_of_range)
}

/// What a template has read.
struct TemplateValue {
    days: i64,
    micros: i64,
    /// The zone that the text names.
    zone: Option<TimeZone>,
    /// Digits of seconds that FF1 to FF6 asked for.
    digits: Option<u32>,
}

/// What the fields have said; 0 for what has not been said, as in PostgreSQL.
#[derive(Debug, Default)]
struct Fields {
    calendar: Option<Calendar>,
    year: i64,
    year_digits: u8,
    century: i64,
    before_christ: i64,
    month: i64,
    day: i64,
    year_day: i64,
    week: i64,
    week_of_month: i64,
    /// Sunday is 1.
    weekday: i64,
    julian: i64,
    quarter: i64,
    hour: i64,
    twelve_hours: bool,
    afternoon: i64,
    minute: i64,
    second: i64,
    second_of_day: i64,
    millis: i64,
    micros: i64,
    digits: Option<u32>,
    zone_sign: i64,
    zone_hour: i64,
    zone_minute: i64,
    zone: Option<TimeZone>,
}

/// Reads text along a template.
struct Scanner<'a> {
    rest: &'a str,
    /// Whether the character before `rest` is a minus sign.
    after_minus: bool,
    /// Characters skipped beyond those that the template has.
    skipped: i64,
    exact: bool,
}

fn refused(message: String) -> Error {
    Error::new(ErrorKind::InvalidDatetime, message)
}

const UNPAD_HINT: &str = "If your source string is not fixed-width, try using the \"FM\" modifier.";

impl<'a> Scanner<'a> {
    fn first(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn skip(&mut self) {
        let mut characters = self.rest.chars();
        if let Some(skipped) = characters.next() {
            self.after_minus = skipped == '-';
        }
        self.rest = characters.as_str();
    }

    fn skip_spaces(&mut self) {
        while self.first().is_some_and(is_space) {
            self.skip();
            self.skipped += 1;
        }
    }

    fn separator(&mut self) {
        if self.exact {
            return self.skip();
        }
        self.skipped -= 1;
        if self.first().is_some_and(|next| is_space(next) || is_separator(next)) {
            self.skip();
            self.skipped += 1;
        }
    }

    fn character(&mut self) {
        if !self.exact && self.skipped > 0 {
            self.skipped -= 1;
        } else {
            self.skip();
        }
    }

    /// An integer of `width` characters, or of any length where no digits can follow. The number and how many characters it took.
    fn integer(&mut self, field: &Field<'_>, width: usize, open: bool) -> Result<(i64, usize)> {
        let start = self.rest;
        let trimmed = start.trim_start_matches(is_space);
        let copied: String = trimmed.chars().take(width).collect();
        let name = field.name;
        let taken = |text: &str| {
            let spaces = text.len() - text.trim_start_matches(is_space).len();
            let sign = usize::from(text[spaces..].starts_with(['+', '-']));
            let digits = text[spaces + sign..].bytes().take_while(u8::is_ascii_digit).count();
            if digits == 0 { 0 } else { spaces + sign + digits }
        };
        let (source, used) = if open || field.unpadded {
            (start, taken(start))
        } else {
            let remaining = trimmed.len();
            if remaining < width {
                return Err(refused(format!("source string too short for \"{name}\" formatting field"))
                    .with_detail(format!("Field requires {width} characters, but only {remaining} remain."))
                    .with_hint(UNPAD_HINT));
            }
            let used = taken(&copied);
            if used > 0 && used < width {
                return Err(refused(format!("invalid value \"{copied}\" for \"{name}\""))
                    .with_detail(format!("Field requires {width} characters, but only {used} could be parsed."))
                    .with_hint(UNPAD_HINT));
            }
            (trimmed, used)
        };
        if used == 0 {
            let shown: String = copied;
            return Err(refused(format!("invalid value \"{shown}\" for \"{name}\"")).with_detail("Value must be an integer."));
        }
        let number = source[..used].trim_start_matches(is_space).parse::<i32>().map_err(|_| {
            Error::new(ErrorKind::DatetimeOutOfRange, format!("value for \"{name}\" in source string is out of range"))
                .with_detail(format!("Value must be in the range {} to {}.", i32::MIN, i32::MAX))
        })?;
        self.rest = &source[used..];
        self.after_minus = false;
        Ok((number.into(), start.len() - self.rest.len()))
    }

    /// Which of the words the text begins with, in any case.
    fn word(&mut self, words: &[&str], field: &Field<'_>) -> Result<i64> {
        let begins = |word: &&str| self.rest.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word));
        let Some(index) = words.iter().position(begins) else {
            let shown = self.rest.split(is_space).next().unwrap_or_default();
            return Err(refused(format!("invalid value \"{shown}\" for \"{}\"", field.name))
                .with_detail("The given value did not match any of the allowed values for this field."));
        };
        self.rest = &self.rest[words[index].len()..];
        self.after_minus = false;
        Ok(i64::try_from(index).unwrap_or_default())
    }

    /// The sign before a zone's hours; one that a separator has swallowed counts.
    fn zone_sign(&mut self) -> i64 {
        match self.first() {
            Some('-') => {
                self.skip();
                -1
            }
            Some('+' | ' ') => {
                self.skip();
                1
            }
            _ if self.skipped > 0 && self.after_minus => -1,
            _ => 1,
        }
    }
}

/// Gives a field its value once.
fn set(target: &mut i64, value: i64, name: &str) -> Result<()> {
    if *target != 0 && *target != value {
        return Err(refused(format!("conflicting values for \"{name}\" field in formatting string"))
            .with_detail("This value contradicts a previous setting for the same field type."));
    }
    *target = value;
    Ok(())
}

/// Whether what follows a field cannot be a digit, so that a number may be as long as it is.
fn ends_number(pieces: &[Piece<'_>], index: usize) -> bool {
    if matches!(pieces.get(index), Some(Piece::Field(field)) if field.ordinal.is_some()) {
        return true;
    }
    match pieces.get(index + 1) {
        Some(Piece::Field(next)) => !next.keyword.is_digits(),
        Some(Piece::Character(character)) => !character.is_ascii_digit(),
        Some(Piece::Separator(_) | Piece::Space(_)) | None => true,
    }
}

fn read(text: &str, template: &str) -> Result<TemplateValue> {
    let pieces = pieces(template);
    let mut fields = Fields::default();
    let mut scanner = Scanner { rest: text, after_minus: false, skipped: 0, exact: false };
    for (index, piece) in pieces.iter().enumerate() {
        if scanner.rest.is_empty() {
            break;
        }
        let is_exact_mark = matches!(piece, Piece::Field(Field { keyword: Keyword::Exact, .. }));
        if !scanner.exact && !is_exact_mark && (matches!(piece, Piece::Field(_)) || index == 0) {
            scanner.skip_spaces();
        }
        match piece {
            Piece::Separator(_) | Piece::Space(_) => scanner.separator(),
            Piece::Character(_) => scanner.character(),
            Piece::Field(field) => {
                fields.read(field, &mut scanner, ends_number(&pieces, index))?;
                if !scanner.exact {
                    scanner.skipped = 0;
                    scanner.skip_spaces();
                }
            }
        }
    }
    fields.finish(text)
}

impl Fields {
    fn read(&mut self, field: &Field<'_>, scanner: &mut Scanner<'_>, open: bool) -> Result<()> {
        if let Some(calendar) = field.keyword.calendar()
            && *self.calendar.get_or_insert(calendar) != calendar
        {
            return Err(refused("invalid combination of date conventions".to_string())
                .with_hint("Do not mix Gregorian and ISO week date conventions in a formatting template."));
        }
        let name = field.name;
        let plain = |scanner: &mut Scanner<'_>, width: usize| scanner.integer(field, width, open).map(|(number, _)| number);
        let mut takes_ordinal = true;
        match field.keyword {
            Keyword::Hour12 => {
                set(&mut self.hour, plain(scanner, 2)?, name)?;
                self.twelve_hours = true;
            }
            Keyword::Hour24 => set(&mut self.hour, plain(scanner, 2)?, name)?,
            Keyword::Minute => set(&mut self.minute, plain(scanner, 2)?, name)?,
            Keyword::Second => set(&mut self.second, plain(scanner, 2)?, name)?,
            Keyword::SecondOfDay => set(&mut self.second_of_day, plain(scanner, name.len())?, name)?,
            Keyword::MonthNumber => set(&mut self.month, plain(scanner, 2)?, name)?,
            Keyword::DayOfYear | Keyword::IsoDayOfYear => set(&mut self.year_day, plain(scanner, 3)?, name)?,
            Keyword::DayOfMonth => set(&mut self.day, plain(scanner, 2)?, name)?,
            Keyword::DayOfWeek => set(&mut self.weekday, plain(scanner, 1)?, name)?,
            Keyword::IsoDayOfWeek => {
                set(&mut self.weekday, plain(scanner, 1)?, name)?;
                self.weekday = if self.weekday >= 7 { 1 } else { self.weekday + 1 };
            }
            Keyword::Week | Keyword::IsoWeek => set(&mut self.week, plain(scanner, 2)?, name)?,
            Keyword::WeekOfMonth => set(&mut self.week_of_month, plain(scanner, 1)?, name)?,
            Keyword::Julian => set(&mut self.julian, plain(scanner, 1)?, name)?,
            Keyword::Century => set(&mut self.century, plain(scanner, 2)?, name)?,
            // Read and forgotten: a quarter says no day.
            Keyword::Quarter => self.quarter = plain(scanner, 1)?,
            Keyword::Year(4) | Keyword::IsoYear(4) => {
                set(&mut self.year, plain(scanner, 4)?, name)?;
                self.year_digits = 4;
            }
            Keyword::Year(digits) | Keyword::IsoYear(digits) => {
                let (year, length) = scanner.integer(field, digits.into(), open)?;
                set(&mut self.year, year, name)?;
                if length < 4 {
                    self.year = near_2020(self.year);
                }
                self.year_digits = digits;
            }
            Keyword::YearWithComma => self.year_with_comma(scanner, name)?,
            Keyword::Milliseconds => {
                let (number, length) = scanner.integer(field, 3, open)?;
                set(&mut self.millis, number, name)?;
                self.millis *= [1, 100, 10].get(length).copied().unwrap_or(1);
            }
            Keyword::Microseconds => self.fraction(field, scanner, 6, open)?,
            Keyword::Fraction(digits) => {
                self.digits = Some(digits.into());
                self.fraction(field, scanner, digits.into(), open)?;
            }
            _ => {
                takes_ordinal = false;
                self.read_words(field, scanner, open)?;
            }
        }
        if takes_ordinal && field.ordinal.is_some() {
            scanner.skip();
            scanner.skip();
        }
        Ok(())
    }

    /// Fields that are not plain numbers.
    fn read_words(&mut self, field: &Field<'_>, scanner: &mut Scanner<'_>, open: bool) -> Result<()> {
        let name = field.name;
        match field.keyword {
            Keyword::Exact => scanner.exact = true,
            Keyword::Am | Keyword::AmDotted => {
                let words = if field.keyword == Keyword::Am { ["AM", "PM"] } else { ["A.M.", "P.M."] };
                set(&mut self.afternoon, scanner.word(&words, field)?, name)?;
                self.twelve_hours = true;
            }
            Keyword::Ad | Keyword::AdDotted => {
                let words = if field.keyword == Keyword::Ad { ["AD", "BC"] } else { ["A.D.", "B.C."] };
                set(&mut self.before_christ, scanner.word(&words, field)?, name)?;
            }
            Keyword::Month => set(&mut self.month, scanner.word(&MONTHS, field)? + 1, name)?,
            Keyword::MonthShort => set(&mut self.month, scanner.word(&MONTHS.map(short), field)? + 1, name)?,
            Keyword::MonthRoman => set(&mut self.month, 12 - scanner.word(&ROMAN, field)?, name)?,
            Keyword::Day | Keyword::DayShort => {
                let words = if field.keyword == Keyword::Day { DAYS } else { DAYS.map(short) };
                set(&mut self.weekday, scanner.word(&words, field)?, name)?;
                self.weekday += 1;
            }
            Keyword::ZoneHour => {
                self.zone_sign = scanner.zone_sign();
                set(&mut self.zone_hour, scanner.integer(field, 2, open)?.0, name)?;
            }
            Keyword::ZoneMinute => {
                if self.zone_sign == 0 {
                    self.zone_sign = 1;
                }
                set(&mut self.zone_minute, scanner.integer(field, 2, open)?.0, name)?;
            }
            Keyword::Zone if self.abbreviation(field, scanner)? => {}
            _ => {
                self.zone_sign = scanner.zone_sign();
                set(&mut self.zone_hour, scanner.integer(field, 2, open)?.0, name)?;
                if scanner.rest.starts_with(':') {
                    scanner.skip();
                    set(&mut self.zone_minute, scanner.integer(field, 2, open)?.0, name)?;
                }
            }
        }
        Ok(())
    }

    /// The longest abbreviation of a zone that the text begins with.
    fn abbreviation(&mut self, field: &Field<'_>, scanner: &mut Scanner<'_>) -> Result<bool> {
        let letters = scanner.rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let longest = (1..=letters).rev().find_map(|length| Some((length, TimeZone::abbreviated(&scanner.rest[..length])?)));
        match longest {
            Some((length, zone)) => {
                self.zone = Some(zone);
                self.zone_sign = 0;
                scanner.rest = &scanner.rest[length..];
                Ok(true)
            }
            None if letters > 0 => Err(refused(format!("invalid value \"{}\" for \"{}\"", scanner.rest, field.name))
                .with_detail("Time zone abbreviation is not recognized.")),
            None => Ok(false),
        }
    }

    /// `2,024`
    fn year_with_comma(&mut self, scanner: &mut Scanner<'_>, name: &str) -> Result<()> {
        let invalid = || refused("invalid input string for \"Y,YYY\"".to_string());
        let text = scanner.rest;
        let end = text.find(',').ok_or_else(invalid)?;
        let millennia: i64 = text[..end].trim_start_matches(is_space).parse::<i32>().map_err(|_| invalid())?.into();
        let digits = text[end + 1..].bytes().take(3).take_while(u8::is_ascii_digit).count();
        let years: i64 = text[end + 1..end + 1 + digits].parse().map_err(|_| invalid())?;
        let year = i32::try_from(millennia * 1000 + years)
            .map_err(|_| Error::new(ErrorKind::DatetimeOutOfRange, "value for \"Y,YYY\" in source string is out of range"))?;
        set(&mut self.year, year.into(), name)?;
        self.year_digits = 4;
        scanner.rest = &text[end + 1 + digits..];
        Ok(())
    }

    /// Digits behind a point that the text need not have: `25` of two digits are 250,000 microseconds.
    fn fraction(&mut self, field: &Field<'_>, scanner: &mut Scanner<'_>, width: usize, open: bool) -> Result<()> {
        let (number, length) = scanner.integer(field, width, open)?;
        set(&mut self.micros, number, field.name)?;
        let missing = u32::try_from(6_usize.saturating_sub(length)).unwrap_or_default();
        self.micros *= if length == 0 { 1 } else { 10_i64.pow(missing) };
        Ok(())
    }

    fn finish(mut self, text: &str) -> Result<TemplateValue> {
        let overflow = || Error::new(ErrorKind::DatetimeOutOfRange, format!("date/time field value out of range: \"{text}\""));
        let micros = self.time().and_then(|micros| micros.ok_or_else(overflow))?;
        let julian = self.day_number().and_then(|day| day.ok_or_else(overflow))?;
        let zone = if self.zone_sign == 0 {
            self.zone
        } else {
            let fits = (0..=15).contains(&self.zone_hour) && (0..60).contains(&self.zone_minute);
            let seconds = self.zone_sign * (self.zone_hour * 60 + self.zone_minute) * 60;
            let offset = i32::try_from(seconds).ok().filter(|_| fits);
            Some(TimeZone::fixed(offset.ok_or_else(|| Fault::ZoneOverflow.error("timestamp", text))?))
        };
        Ok(TemplateValue { days: julian - JULIAN_OF_1970, micros, zone, digits: self.digits })
    }

    /// Microseconds of the day; `None` if there is no such time.
    fn time(&self) -> Result<Option<i64>> {
        let of_day = self.second_of_day;
        let or = |given: i64, default: i64| if given == 0 { default } else { given };
        let mut hour = or(self.hour, of_day / 3600);
        let minute = or(self.minute, of_day / 60 % 60);
        let second = or(self.second, of_day % 60);
        if self.twelve_hours {
            if !(1..=12).contains(&hour) {
                return Err(refused(format!("hour \"{hour}\" is invalid for the 12-hour clock"))
                    .with_hint("Use the 24-hour clock, or give an hour between 1 and 12."));
            }
            hour = hour % 12 + if self.afternoon == 0 { 0 } else { 12 };
        }
        let micros = self.millis * 1000 + self.micros;
        let fits =
            (0..24).contains(&hour) && (0..60).contains(&minute) && (0..60).contains(&second) && (0..1_000_000).contains(&micros);
        Ok(fits.then_some((hour * 3600 + minute * 60 + second) * 1_000_000 + micros))
    }

    /// The year, counted so that 0 is 1 BC; `None` if nothing tells it.
    fn year(&mut self) -> Option<i64> {
        if self.before_christ != 0 && (self.year == 0 || self.year_digits <= 2) {
            self.century = -self.century;
        }
        let (year, century) = (self.year, self.century);
        if year != 0 && century != 0 && self.year_digits <= 2 {
            let of_century = year % 100;
            return Some(match (of_century, century >= 0) {
                (0, true) => century * 100,
                (0, false) => century * 100 + 1,
                (_, true) => of_century + (century - 1) * 100,
                (_, false) => (century + 1) * 100 - of_century + 1,
            });
        }
        if year != 0 {
            let year = if self.before_christ != 0 { -year } else { year };
            return Some(if year < 0 { year + 1 } else { year });
        }
        // The first year of the century.
        (century != 0).then_some(if century >= 0 { (century - 1) * 100 + 1 } else { century * 100 + 1 })
    }

    /// The Julian day; `None` if there is no such date.
    fn day_number(&mut self) -> Result<Option<i64>> {
        let given_year = self.year();
        let (mut year, mut month, mut day) = (given_year.unwrap_or_default(), 1, 1);
        let (mut has_year, mut has_month, mut has_day) = (given_year.is_some(), false, false);
        let mut whole = |julian: i64| {
            let (y, m, d) = calendar::civil_from_days(julian - JULIAN_OF_1970);
            (has_year, has_month, has_day) = (true, true, true);
            (y, i64::from(m), i64::from(d))
        };
        if self.julian != 0 {
            (year, month, day) = whole(self.julian);
        }
        if self.week != 0 {
            if self.calendar == Some(Calendar::IsoWeek) {
                let monday = first_iso_week(year) + (self.week - 1) * 7;
                let weekday = match self.weekday {
                    0 => 0,
                    1 => 6,
                    weekday => weekday - 2,
                };
                (year, month, day) = whole(monday + weekday);
            } else {
                self.year_day = (self.week - 1) * 7 + 1;
            }
        }
        if self.week_of_month != 0 {
            self.day = (self.week_of_month - 1) * 7 + 1;
        }
        if self.day != 0 {
            (day, has_day) = (self.day, true);
        }
        if self.month != 0 {
            (month, has_month) = (self.month, true);
        }
        if self.year_day != 0 && (month <= 1 || day <= 1) {
            if year == 0 && self.before_christ == 0 {
                return Err(refused("cannot calculate day of year without year information".to_string()));
            }
            let start = match self.calendar {
                Some(Calendar::IsoWeek) => first_iso_week(year),
                _ => julian_day(year, 1, 1),
            };
            let (y, m, d) = calendar::civil_from_days(start + self.year_day - 1 - JULIAN_OF_1970);
            if self.calendar == Some(Calendar::IsoWeek) {
                (year, month, day) = (y, m.into(), d.into());
                has_year = true;
            } else {
                let length = if calendar::is_leap_year(year) { 366 } else { 365 };
                if !(1..=length).contains(&self.year_day) {
                    return Ok(None);
                }
                if month <= 1 {
                    month = m.into();
                }
                if day <= 1 {
                    day = d.into();
                }
            }
            (has_month, has_day) = (true, true);
        }
        let month_fits = (1..=12).contains(&month);
        if (has_month && !month_fits) || (has_day && !(1..=31).contains(&day)) {
            return Ok(None);
        }
        let length = u32::try_from(month).map_or(31, |month| calendar::days_of_month(year, month));
        if has_year && has_month && has_day && day > length.into() {
            return Ok(None);
        }
        Ok(Some(julian_day(year, month, day)))
    }
}

fn short(name: &'static str) -> &'static str {
    name.get(..3).unwrap_or(name)
}

/// A year of fewer than four digits is the one nearest to 2020.
const fn near_2020(year: i64) -> i64 {
    match year {
        ..70 => year + 2000,
        70..100 => year + 1900,
        100..520 => year + 2000,
        520..1000 => year + 1000,
        _ => year,
    }
}
