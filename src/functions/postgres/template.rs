//! PostgreSQL's template language for dates: `to_char`, `to_date`, `to_timestamp` (section 9.8 of its manual). Numbers: `number_template`.

use datafusion::arrow::datatypes::IntervalMonthDayNano;

use super::datetime::day_of;
use super::number_template;
use crate::error::{Error, ErrorKind, Result};
use crate::functions::define::{Call, Declaration, immutable, zoned};
use crate::functions::time::{self, Civil, MICROS_PER_DAY, MICROS_PER_SECOND, Zone};
use crate::types::datum::Datum;

/// The functions of this file.
pub(crate) fn declarations() -> Vec<Declaration> {
    vec![
        zoned("to_char(timestamptz, text) -> text", |call| match call.get(0) {
            Datum::Timestamptz(utc) => {
                let moment = Moment { local: time::utc_to_local(call.zone, *utc), zone: Some((call.zone, *utc)), interval: None };
                Ok(Datum::from(format(&moment, call.text(1)?)))
            }
            _ => Ok(Datum::Null),
        }),
        immutable("to_char(timestamp, text) -> text", |call| match call.get(0) {
            Datum::Timestamp(local) => {
                Ok(Datum::from(format(&Moment { local: *local, zone: None, interval: None }, call.text(1)?)))
            }
            _ => Ok(Datum::Null),
        }),
        immutable("to_char(interval, text) -> text", |call| match call.get(0) {
            Datum::Interval(interval) => {
                Ok(Datum::from(format(&Moment { local: 0, zone: None, interval: Some(*interval) }, call.text(1)?)))
            }
            _ => Ok(Datum::Null),
        }),
        immutable("to_char(numeric, text) -> text", number_template::to_char),
        immutable("to_char(float8, text) -> text", number_template::to_char),
        immutable("to_char(int8, text) -> text", number_template::to_char),
        immutable("to_number(text, text) -> numeric", number_template::to_number),
        immutable("to_date(text, text) -> date", |call| Ok(day_of(parse(call.text(0)?, call.text(1)?)?.local))),
        immutable("to_date(text) -> date", |call| {
            let days = parse(call.text(0)?.get(..10).unwrap_or(call.text(0)?), "YYYY-MM-DD")?.local;
            Ok(day_of(days))
        }),
        zoned("to_timestamp(text, text) -> timestamptz", to_timestamp),
    ]
}

fn to_timestamp(call: &Call<'_>) -> Result<Datum> {
    let parsed = parse(call.text(0)?, call.text(1)?)?;
    Ok(Datum::Timestamptz(match parsed.offset {
        Some(offset) => parsed.local - i64::from(offset) * MICROS_PER_SECOND,
        None => time::local_to_utc(call.zone, parsed.local),
    }))
}

/// What a template shows.
struct Moment {
    local: i64,
    zone: Option<(Zone, i64)>,
    interval: Option<IntervalMonthDayNano>,
}

const MONTHS: [&str; 12] =
    ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const ROMAN: [&str; 12] = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"];

/// The words of the language, longest first where one begins with another.
const WORDS: [&str; 86] = [
    "A.D.", "B.C.", "A.M.", "P.M.", "a.d.", "b.c.", "a.m.", "p.m.", "Y,YYY", "y,yyy", "MONTH", "Month", "month", "SSSSS", "SSSS",
    "HH24", "HH12", "hh24", "hh12", "YYYY", "yyyy", "IYYY", "iyyy", "IDDD", "iddd", "DAY", "Day", "day", "MON", "Mon", "mon",
    "YYY", "yyy", "IYY", "iyy", "DDD", "ddd", "TZH", "TZM", "FF1", "FF2", "FF3", "FF4", "FF5", "FF6", "HH", "hh", "MI", "mi", "SS",
    "ss", "MS", "ms", "US", "us", "AM", "am", "PM", "pm", "AD", "ad", "BC", "bc", "YY", "yy", "IY", "iy", "MM", "mm", "DY", "Dy",
    "dy", "DD", "dd", "ID", "id", "WW", "ww", "IW", "iw", "CC", "cc", "RM", "rm", "TZ", "tz",
];
const SHORT_WORDS: [&str; 13] = ["OF", "Y", "y", "I", "i", "D", "d", "W", "w", "Q", "q", "J", "j"];

#[derive(Debug, PartialEq)]
enum Piece<'a> {
    /// A word with its modifiers: FM before it, TH behind it.
    Word {
        word: &'static str,
        fill: bool,
        ordinal: Option<&'a str>,
    },
    Literal(String),
}

fn pieces(template: &str) -> Vec<Piece<'_>> {
    let mut result = Vec::new();
    let mut rest = template;
    let mut fill = true;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("FM").or_else(|| rest.strip_prefix("fm")) {
            fill = false;
            rest = after;
            continue;
        }
        if let Some(after) = ["FX", "fx", "TM", "tm"].iter().find_map(|modifier| rest.strip_prefix(modifier)) {
            rest = after;
            continue;
        }
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut literal = String::new();
            let mut characters = quoted.char_indices();
            let mut end = quoted.len();
            while let Some((index, character)) = characters.next() {
                match character {
                    '"' => {
                        end = index + 1;
                        break;
                    }
                    '\\' => literal.extend(characters.next().map(|(_, next)| next)),
                    other => literal.push(other),
                }
            }
            result.push(Piece::Literal(literal));
            rest = quoted.get(end..).unwrap_or_default();
            continue;
        }
        if let Some(word) = WORDS.iter().chain(&SHORT_WORDS).find(|word| rest.starts_with(**word)) {
            rest = rest.get(word.len()..).unwrap_or_default();
            let ordinal = rest.get(..2).filter(|suffix| matches!(*suffix, "TH" | "th"));
            if ordinal.is_some() {
                rest = rest.get(2..).unwrap_or_default();
            }
            result.push(Piece::Word { word, fill, ordinal });
            fill = true;
            continue;
        }
        let mut characters = rest.chars();
        if let Some(character) = characters.next() {
            let shown = if character == '\\' { characters.next().unwrap_or('\\') } else { character };
            match result.last_mut() {
                Some(Piece::Literal(text)) => text.push(shown),
                _ => result.push(Piece::Literal(shown.to_string())),
            }
        }
        rest = characters.as_str();
    }
    result
}

fn format(moment: &Moment, template: &str) -> String {
    pieces(template)
        .into_iter()
        .map(|piece| match piece {
            Piece::Literal(text) => text,
            Piece::Word { word, fill, ordinal } => {
                let shown = show(moment, word, fill);
                match ordinal {
                    Some(case) => format!("{shown}{}", number_template::ordinal_suffix(&shown, case == "TH")),
                    None => shown,
                }
            }
        })
        .collect()
}

/// Fields of what is shown; an interval shows its own numbers.
struct Shown {
    civil: Civil,
    days: i64,
    hours: i64,
    micros: i64,
}

fn fields(moment: &Moment) -> Shown {
    match moment.interval {
        None => {
            let civil = Civil::of(moment.local);
            Shown {
                civil,
                days: moment.local.div_euclid(MICROS_PER_DAY),
                hours: civil.micros / (3600 * MICROS_PER_SECOND),
                micros: civil.micros,
            }
        }
        Some(interval) => {
            let micros = interval.nanoseconds / 1000;
            let months = i64::from(interval.months);
            let civil = Civil { year: months / 12, month: months % 12, day: interval.days.into(), micros };
            Shown { civil, days: interval.days.into(), hours: micros / (3600 * MICROS_PER_SECOND), micros }
        }
    }
}

fn show(moment: &Moment, word: &str, fill: bool) -> String {
    let shown = fields(moment);
    let Civil { year, month, day, .. } = shown.civil;
    let number = |value: i64, width: usize| {
        if !fill {
            return value.to_string();
        }
        if value < 0 { format!("-{:0width$}", -value) } else { format!("{value:0width$}") }
    };
    let name = |name: &str, width: usize, like: &str| {
        let cased = cased(name, like);
        if fill && width > 0 { format!("{cased:<width$}") } else { cased }
    };
    let month_name = || usize::try_from(month - 1).ok().and_then(|index| MONTHS.get(index)).copied().unwrap_or("");
    let weekday = (shown.days + 4).rem_euclid(7);
    let day_name = || usize::try_from(weekday).ok().and_then(|index| DAYS.get(index)).copied().unwrap_or("");
    let shown_year = if moment.interval.is_some() || year > 0 { year } else { 1 - year };
    let (iso_year, iso_week) = time::iso_week(shown.days);
    let day_of_year = shown.days - time::days_from_civil(year, 1, 1) + 1;
    let iso_day = (shown.days + 3).rem_euclid(7) + 1;
    let minutes = shown.micros / (60 * MICROS_PER_SECOND) % 60;
    let seconds = shown.micros / MICROS_PER_SECOND % 60;
    let fraction = shown.micros % MICROS_PER_SECOND;
    let twelve = |hours: i64| if hours % 12 == 0 { 12 } else { hours % 12 };
    let offset = moment.zone.map_or(0, |(zone, utc)| zone.offset_at(utc));
    match word {
        "HH" | "hh" | "HH12" | "hh12" => number(twelve(shown.hours), 2),
        "HH24" | "hh24" => number(shown.hours, 2),
        "MI" | "mi" => number(minutes, 2),
        "SS" | "ss" => number(seconds, 2),
        "MS" | "ms" | "FF3" => format!("{:03}", fraction / 1000),
        "US" | "us" | "FF6" => format!("{fraction:06}"),
        "FF1" => format!("{:01}", fraction / 100_000),
        "FF2" => format!("{:02}", fraction / 10_000),
        "FF4" => format!("{:04}", fraction / 100),
        "FF5" => format!("{:05}", fraction / 10),
        "SSSS" | "SSSSS" => (shown.micros / MICROS_PER_SECOND).to_string(),
        "AM" | "PM" | "am" | "pm" => cased(if shown.hours % 24 < 12 { "AM" } else { "PM" }, word),
        "A.M." | "P.M." | "a.m." | "p.m." => cased(if shown.hours % 24 < 12 { "A.M." } else { "P.M." }, word),
        "AD" | "BC" | "ad" | "bc" => cased(if year > 0 { "AD" } else { "BC" }, word),
        "A.D." | "B.C." | "a.d." | "b.c." => cased(if year > 0 { "A.D." } else { "B.C." }, word),
        "Y,YYY" | "y,yyy" => format!("{},{:03}", shown_year / 1000, shown_year % 1000),
        "YYYY" | "yyyy" => number(shown_year, 4),
        "YYY" | "yyy" => number(shown_year % 1000, 3),
        "YY" | "yy" => number(shown_year % 100, 2),
        "Y" | "y" => number(shown_year % 10, 1),
        "IYYY" | "iyyy" => number(iso_year, 4),
        "IYY" | "iyy" => number(iso_year % 1000, 3),
        "IY" | "iy" => number(iso_year % 100, 2),
        "I" | "i" => number(iso_year % 10, 1),
        "MONTH" | "Month" | "month" => name(month_name(), 9, word),
        "MON" | "Mon" | "mon" => name(month_name().get(..3).unwrap_or_default(), 0, word),
        "MM" | "mm" => number(month, 2),
        "DAY" | "Day" | "day" => name(day_name(), 9, word),
        "DY" | "Dy" | "dy" => name(day_name().get(..3).unwrap_or_default(), 0, word),
        "DDD" | "ddd" => number(day_of_year, 3),
        "IDDD" | "iddd" => number((iso_week - 1) * 7 + iso_day, 3),
        "DD" | "dd" => number(day, 2),
        "D" | "d" => (weekday + 1).to_string(),
        "ID" | "id" => iso_day.to_string(),
        "W" | "w" => ((day - 1) / 7 + 1).to_string(),
        "WW" | "ww" => number((day_of_year - 1) / 7 + 1, 2),
        "IW" | "iw" => number(iso_week, 2),
        "CC" | "cc" => number(time::Part::Century.of_local(moment.local, 0), 2),
        "J" | "j" => (shown.days + 2_440_588).to_string(),
        "Q" | "q" => ((month - 1) / 3 + 1).to_string(),
        "RM" | "rm" => name(usize::try_from(month - 1).ok().and_then(|index| ROMAN.get(index)).copied().unwrap_or(""), 4, word),
        "TZ" | "tz" => cased(&moment.zone.map_or_else(String::new, |(zone, utc)| zone.abbreviation_at(utc)), word),
        "TZH" => format!("{}{:02}", if offset < 0 { '-' } else { '+' }, offset.abs() / 3600),
        "TZM" => format!("{:02}", offset.abs() / 60 % 60),
        "OF" => time::offset_text(offset),
        other => other.to_string(),
    }
}

/// `name` in the case of `like`: all upper, all lower, or as it is.
fn cased(name: &str, like: &str) -> String {
    let letters = || like.chars().filter(|c| c.is_alphabetic());
    if letters().all(char::is_lowercase) {
        name.to_lowercase()
    } else if letters().all(char::is_uppercase) {
        name.to_uppercase()
    } else {
        name.to_string()
    }
}

/// What a template read.
struct Parsed {
    local: i64,
    offset: Option<i32>,
}

#[derive(Default)]
struct Read {
    year: Option<i64>,
    before_christ: bool,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    iso_year: Option<i64>,
    iso_week: Option<i64>,
    iso_day: Option<i64>,
    hour: i64,
    afternoon: Option<bool>,
    minute: i64,
    second: i64,
    micros: i64,
    seconds_of_day: Option<i64>,
    julian: Option<i64>,
    epoch_offset: Option<i32>,
}

/// Reads `text` by a template.
fn parse(text: &str, template: &str) -> Result<Parsed> {
    let pieces = pieces(template);
    let mut read = Read::default();
    let mut rest = text;
    let mut index = 0;
    while let Some(piece) = pieces.get(index) {
        // Digits run together only when the next piece is digits too: then each word takes its own width.
        let next_is_number = matches!(pieces.get(index + 1), Some(Piece::Word { .. }));
        match piece {
            Piece::Literal(literal) => {
                // A separator of the template matches any separator or none; letters are skipped one for one.
                for character in literal.chars() {
                    if character.is_whitespace() {
                        rest = rest.trim_start();
                    } else if character.is_alphanumeric() {
                        let mut characters = rest.chars();
                        characters.next();
                        rest = characters.as_str();
                    } else {
                        rest = rest.trim_start();
                        rest = rest
                            .strip_prefix(|c: char| !c.is_alphanumeric() && c != '-' && c != '+' || c == character)
                            .unwrap_or(rest);
                    }
                }
            }
            Piece::Word { word, ordinal, .. } => {
                rest = rest.trim_start();
                rest = read_word(&mut read, word, rest, next_is_number)?;
                if ordinal.is_some() {
                    rest = rest.get(2..).unwrap_or_default();
                }
            }
        }
        index += 1;
    }
    finish(&read)
}

fn invalid(word: &str, text: &str) -> Error {
    let shown: String = text.chars().take(10).collect();
    Error::new(ErrorKind::InvalidDatetime, format!("invalid value \"{shown}\" for \"{word}\""))
        .with_detail("Value must be an integer.")
}

/// Reads up to `width` digits (any number when `open`), with a sign for years.
fn digits<'a>(word: &str, text: &'a str, width: usize, open: bool) -> Result<(i64, usize, &'a str)> {
    let (sign, unsigned) = match text.strip_prefix('-') {
        Some(rest) if word.to_lowercase().contains('y') => (-1, rest),
        _ => (1, text),
    };
    let limit = if open { 18 } else { width };
    let end = unsigned.bytes().take(limit).take_while(u8::is_ascii_digit).count();
    let (number, rest) = unsigned.split_at(end);
    let value: i64 = number.parse().map_err(|_| invalid(word, text))?;
    Ok((sign * value, end, rest))
}

fn read_word<'a>(read: &mut Read, word: &str, text: &'a str, next_is_number: bool) -> Result<&'a str> {
    let upper = word.to_uppercase();
    let open = !next_is_number;
    macro_rules! number {
        ($width:expr, $target:expr) => {{
            let (value, _, rest) = digits(word, text, $width, open)?;
            $target = value.into();
            rest
        }};
    }
    Ok(match upper.as_str() {
        "HH" | "HH12" => {
            let rest = number!(2, read.hour);
            if !(0..=12).contains(&read.hour) {
                return Err(Error::new(
                    ErrorKind::InvalidDatetime,
                    format!("hour \"{}\" is invalid for the 12-hour clock", read.hour),
                )
                .with_hint("Use the 24-hour clock, or give an hour between 1 and 12."));
            }
            read.afternoon.get_or_insert(false);
            rest
        }
        "HH24" => number!(2, read.hour),
        "MI" => number!(2, read.minute),
        "SS" => number!(2, read.second),
        "SSSS" | "SSSSS" => number!(5, read.seconds_of_day),
        "MS" => fraction(read, word, text, 3)?,
        "US" => fraction(read, word, text, 6)?,
        "FF1" | "FF2" | "FF3" | "FF4" | "FF5" | "FF6" => {
            let width = upper.get(2..).and_then(|digit| digit.parse().ok()).unwrap_or(6);
            fraction(read, word, text, width)?
        }
        "AM" | "PM" => half_day(read, text, 2)?,
        "A.M." | "P.M." => half_day(read, text, 4)?,
        "AD" | "BC" => era(read, text, 2)?,
        "A.D." | "B.C." => era(read, text, 4)?,
        "YYYY" => number!(4, read.year),
        "Y,YYY" => {
            let (thousands, _, rest) = digits(word, text, 4, false)?;
            let (hundreds, _, rest) = digits(word, rest.trim_start_matches(','), 3, false)?;
            read.year = Some(thousands * 1000 + hundreds);
            rest
        }
        "YYY" | "YY" | "Y" => {
            let (value, length, rest) = digits(word, text, upper.len(), open)?;
            read.year = Some(if length > upper.len() { value } else { near_2020(value) });
            rest
        }
        "IYYY" | "IYY" | "IY" | "I" => {
            let (value, length, rest) = digits(word, text, upper.len(), open)?;
            read.iso_year = Some(if length > 3 { value } else { near_2020(value) });
            rest
        }
        "MONTH" | "MON" => {
            let (month, rest) = named(&MONTHS, text).ok_or_else(|| {
                invalid(word, text).with_detail("The given value did not match any of the allowed values for this field.")
            })?;
            read.month = Some(month + 1);
            rest
        }
        "MM" => number!(2, read.month),
        "DAY" | "DY" => {
            named(&DAYS, text)
                .ok_or_else(|| {
                    invalid(word, text).with_detail("The given value did not match any of the allowed values for this field.")
                })?
                .1
        }
        "DDD" => number!(3, read.day_of_year),
        "DD" => number!(2, read.day),
        "D" => digits(word, text, 1, false)?.2,
        "ID" => number!(1, read.iso_day),
        "IW" => number!(2, read.iso_week),
        "WW" | "W" | "Q" | "CC" => digits(word, text, 2, open)?.2,
        "J" => number!(9, read.julian),
        "TZH" => {
            let sign = if text.starts_with('-') { -1 } else { 1 };
            let (hours, _, rest) = digits(word, text.trim_start_matches(['+', '-']), 2, false)?;
            read.epoch_offset = Some(sign * i32::try_from(hours).unwrap_or(0) * 3600);
            rest
        }
        "TZM" => {
            let (minutes, _, rest) = digits(word, text, 2, false)?;
            let hours = read.epoch_offset.unwrap_or(0);
            let minutes = i32::try_from(minutes).unwrap_or(0) * 60;
            read.epoch_offset = Some(if hours < 0 { hours - minutes } else { hours + minutes });
            rest
        }
        "RM" => {
            let end = text.bytes().take_while(|byte| matches!(byte.to_ascii_uppercase(), b'I' | b'V' | b'X')).count();
            let (roman, rest) = text.split_at(end);
            let month = ROMAN.iter().position(|name| name.eq_ignore_ascii_case(roman)).ok_or_else(|| invalid(word, text))?;
            read.month = i64::try_from(month + 1).ok();
            rest
        }
        _ => return Err(Error::new(ErrorKind::Unsupported, format!("formatting field \"{word}\" is only supported in to_char"))),
    })
}

fn fraction<'a>(read: &mut Read, word: &str, text: &'a str, width: u32) -> Result<&'a str> {
    let (value, length, rest) = digits(word, text, width as usize, false)?;
    let length = u32::try_from(length).unwrap_or(0);
    read.micros = value * 10_i64.pow(6_u32.saturating_sub(length));
    Ok(rest)
}

fn half_day<'a>(read: &mut Read, text: &'a str, length: usize) -> Result<&'a str> {
    let word = text.get(..length).ok_or_else(|| invalid("AM", text))?;
    read.afternoon = Some(word.to_uppercase().starts_with('P'));
    Ok(text.get(length..).unwrap_or_default())
}

fn era<'a>(read: &mut Read, text: &'a str, length: usize) -> Result<&'a str> {
    let word = text.get(..length).ok_or_else(|| invalid("BC", text))?;
    read.before_christ = word.to_uppercase().starts_with('B');
    Ok(text.get(length..).unwrap_or_default())
}

/// A year of fewer than four digits is the one nearest to 2020.
const fn near_2020(year: i64) -> i64 {
    match year {
        0..=69 => year + 2000,
        70..=99 => year + 1900,
        100..=519 => year + 2000,
        520..=999 => year + 1000,
        _ => year,
    }
}

/// Which of the names the text begins with, whole or by its first three letters.
fn named<'a>(names: &[&str], text: &'a str) -> Option<(i64, &'a str)> {
    let starts = |name: &str| text.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name));
    let find = |length: Option<usize>| {
        names.iter().enumerate().find_map(|(index, name)| {
            let name = length.map_or(*name, |length| name.get(..length).unwrap_or(name));
            starts(name).then(|| (i64::try_from(index).unwrap_or(0), text.get(name.len()..).unwrap_or_default()))
        })
    };
    find(None).or_else(|| find(Some(3)))
}

fn finish(read: &Read) -> Result<Parsed> {
    let out_of_range = || Error::new(ErrorKind::DatetimeOutOfRange, "date/time field value out of range");
    let mut hour = read.hour;
    if let Some(afternoon) = read.afternoon {
        hour = hour % 12 + if afternoon { 12 } else { 0 };
    }
    if !(0..=24).contains(&hour) || !(0..60).contains(&read.minute) || !(0..=60).contains(&read.second) {
        return Err(out_of_range());
    }
    let seconds = read.seconds_of_day.unwrap_or(hour * 3600 + read.minute * 60 + read.second);
    let days = if let Some(julian) = read.julian {
        julian - 2_440_588
    } else if let (Some(year), Some(week)) = (read.iso_year, read.iso_week) {
        let january_fourth = time::days_from_civil(year, 1, 4);
        january_fourth - (january_fourth + 3).rem_euclid(7) + (week - 1) * 7 + read.iso_day.unwrap_or(1) - 1
    } else {
        let year = read.year.or(read.iso_year).unwrap_or(0);
        let year = if read.before_christ {
            1 - year
        } else if year < 0 {
            year + 1
        } else {
            year
        };
        match read.day_of_year {
            Some(day) if (1..=366).contains(&day) => time::days_from_civil(year, 1, 1) + day - 1,
            Some(_) => return Err(out_of_range()),
            None => {
                let (month, day) = (read.month.unwrap_or(1), read.day.unwrap_or(1));
                if !time::is_date(year, month, day) {
                    return Err(out_of_range());
                }
                time::days_from_civil(year, month, day)
            }
        }
    };
    Ok(Parsed { local: days * MICROS_PER_DAY + seconds * MICROS_PER_SECOND + read.micros, offset: read.epoch_offset })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(text: &str) -> i64 {
        chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").unwrap().and_utc().timestamp_micros()
    }

    #[test]
    fn times_are_shown_by_their_template() {
        let moment = Moment { local: local("2024-03-05 14:07:09.123456"), zone: None, interval: None };
        for (template, text) in [
            ("YYYY-MM-DD HH24:MI:SS", "2024-03-05 14:07:09"),
            ("DD Mon YYYY", "05 Mar 2024"),
            ("Day, DD Month", "Tuesday  , 05 March    "),
            ("FMDay, FMDD FMMonth", "Tuesday, 5 March"),
            ("HH12:MI am", "02:07 pm"),
            ("MS US", "123 123456"),
            ("\"Q\"Q YYYY", "Q1 2024"),
            ("DDth", "05th"),
            ("IYYY-\"W\"IW-ID", "2024-W10-2"),
            ("DDD J D WW W", "065 2460375 3 10 1"),
            ("YYYYMMDD", "20240305"),
            ("Y,YYY RM CC", "2,024 III  21"),
        ] {
            assert_eq!(format(&moment, template), text, "{template}");
        }
    }

    #[test]
    fn times_are_read_by_their_template() {
        for (text, template, expected) in [
            ("2024-03-05 14:07:09.5", "YYYY-MM-DD HH24:MI:SS.MS", "2024-03-05 14:07:09.5"),
            ("20240305", "YYYYMMDD", "2024-03-05 00:00:00"),
            ("05 Mar 2024", "DD Mon YYYY", "2024-03-05 00:00:00"),
            ("March 5, 24", "Month DD, YY", "2024-03-05 00:00:00"),
            ("2:07 pm", "HH12:MI AM", "-0001-01-01 14:07:00"),
            ("2024-065", "YYYY-DDD", "2024-03-05 00:00:00"),
            ("2024-10-2", "IYYY-IW-ID", "2024-03-05 00:00:00"),
            ("2024-03-05T14:07:09Z", "YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"", "2024-03-05 14:07:09"),
            ("2024/3/5", "YYYY-MM-DD", "2024-03-05 00:00:00"),
        ] {
            let parsed = parse(text, template).unwrap().local;
            if expected.starts_with('-') {
                assert_eq!(parsed.rem_euclid(MICROS_PER_DAY), local("1970-01-01 14:07:00"));
            } else {
                assert_eq!(parsed, local(expected), "{text} {template}");
            }
        }
        assert!(parse("2024-13-01", "YYYY-MM-DD").is_err());
        assert!(parse("x", "YYYY").is_err());
        assert!(parse("2023-02-29", "YYYY-MM-DD").is_err());
    }

    #[test]
    fn zones_are_read_and_shown() {
        assert_eq!(parse("2024-01-01 10:00 +0230", "YYYY-MM-DD HH24:MI TZHTZM").unwrap().offset, Some(9000));
        let moment = Moment { local: 0, zone: Some((Zone::Fixed(-12_600), 0)), interval: None };
        assert_eq!(format(&moment, "TZH:TZM OF"), "-03:30 -03:30");
    }
}
