//! Text to intervals: `1 day 02:03:04`, `@ 1 mon -3 days ago`, `1-2`, `P1DT2H`, and what the fields of an interval type make of them.
//!
//! ```text
//!  "1 2:03" day to hour ── fields ── last to first ──▶ Sum { months, days, micros } ── cut to the type ──▶ IntervalValue
//!        "P1DT2H" ── no fields of that kind: ISO 8601 ──▶ Sum
//! ```
//! As in PostgreSQL, fields are read from the last to the first, because a bare number takes its unit from what follows it.

use super::datetime_fields::{Field, Word, split};
use super::input::{infinite, invalid_datetime};
use super::interval_arithmetic::{IntervalField, IntervalFields};
use super::interval_iso;
use super::moment::interval_out_of_range;
use super::{IntervalStyle, IntervalValue};
use crate::error::{Error, ErrorKind, Result};

/// More fields than PostgreSQL reads.
const MAX_FIELDS: usize = 25;

/// Reads an interval in any of PostgreSQL's forms. Under `sql_standard` a leading minus sign counts for the whole text unless
/// another sign follows.
///
/// # Errors
/// 22007 for text that is not an interval, 22015 for a field that is too large, 22008 for a sum that is.
pub fn parse_interval(text: &str, style: IntervalStyle) -> Result<IntervalValue> {
    parse_interval_of(text, style, None)
}

/// As [`parse_interval`], for a type with fields: a bare number counts the last of them, and the value is cut down to it.
///
/// # Errors
/// As [`parse_interval`].
pub fn parse_interval_of(text: &str, style: IntervalStyle, fields: Option<IntervalFields>) -> Result<IntervalValue> {
    let sum = match split(text) {
        Ok(split) if split.len() <= MAX_FIELDS => Reader::new(style, fields).read(&split),
        _ => Err(Fault::Syntax),
    };
    let sum = match sum {
        Err(Fault::Syntax) => interval_iso::read(text),
        other => other,
    };
    let value = sum.and_then(Sum::value).map_err(|fault| match fault {
        Fault::Syntax => invalid_datetime("interval", text),
        Fault::Infinite => infinite("interval"),
        Fault::Total => interval_out_of_range(),
        Fault::Range => Error::new(ErrorKind::IntervalFieldOverflow, format!("interval field value out of range: \"{text}\"")),
    })?;
    Ok(fields.map_or(value, |fields| value.limited(fields)))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    Syntax,
    Infinite,
    /// A field is too large.
    Range,
    /// Each field is fine, their sum is too large.
    Total,
}

pub(super) type Reading<T> = std::result::Result<T, Fault>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Microsecond,
    Millisecond,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Year,
    Decade,
    Century,
    Millennium,
}

impl Unit {
    /// PostgreSQL compares the first ten characters.
    fn of(word: &str) -> Option<Unit> {
        let word = word.get(..10).unwrap_or(word);
        Some(match word {
            "us" | "usec" | "usecs" | "useconds" | "usecond" | "microsecon" => Unit::Microsecond,
            "ms" | "msec" | "msecs" | "mseconds" | "msecond" | "millisecon" => Unit::Millisecond,
            "s" | "sec" | "secs" | "second" | "seconds" => Unit::Second,
            "m" | "min" | "mins" | "minute" | "minutes" => Unit::Minute,
            "h" | "hr" | "hrs" | "hour" | "hours" => Unit::Hour,
            "d" | "day" | "days" => Unit::Day,
            "w" | "week" | "weeks" => Unit::Week,
            "mon" | "mons" | "month" | "months" => Unit::Month,
            "y" | "yr" | "yrs" | "year" | "years" => Unit::Year,
            "dec" | "decs" | "decade" | "decades" => Unit::Decade,
            "c" | "cent" | "century" | "centuries" => Unit::Century,
            "mil" | "mils" | "millennia" | "millennium" => Unit::Millennium,
            _ => return None,
        })
    }

    /// What a number without a unit counts.
    fn of_type(fields: Option<IntervalFields>) -> Unit {
        match fields.map(|fields| fields.last) {
            Some(IntervalField::Year) => Unit::Year,
            Some(IntervalField::Month) => Unit::Month,
            Some(IntervalField::Day) => Unit::Day,
            Some(IntervalField::Hour) => Unit::Hour,
            Some(IntervalField::Minute) => Unit::Minute,
            Some(IntervalField::Second) | None => Unit::Second,
        }
    }

    const fn bit(self) -> u32 {
        1 << (self as u32)
    }
}

/// Hours, minutes, seconds and what is below them.
const CLOCK_BITS: u32 = Unit::Hour.bit() | Unit::Minute.bit() | SECOND_BITS;
const SECOND_BITS: u32 = Unit::Second.bit() | Unit::Millisecond.bit() | Unit::Microsecond.bit();

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
pub(super) const DAY: i64 = 24 * HOUR;

/// What has been read so far.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sum {
    years: i32,
    months: i32,
    days: i32,
    micros: i64,
}

/// A number and its fraction, both with the number's sign.
#[derive(Debug, Clone, Copy)]
pub(super) struct Amount {
    pub(super) whole: i64,
    pub(super) fraction: f64,
}

impl Sum {
    fn value(self) -> Reading<IntervalValue> {
        let months = i64::from(self.years) * 12 + i64::from(self.months);
        let months = i32::try_from(months).map_err(|_| Fault::Total)?;
        Ok(IntervalValue { months, days: self.days, micros: self.micros })
    }

    fn negated(self) -> Reading<Sum> {
        let negated = || {
            Some(Sum {
                years: self.years.checked_neg()?,
                months: self.months.checked_neg()?,
                days: self.days.checked_neg()?,
                micros: self.micros.checked_neg()?,
            })
        };
        negated().ok_or(Fault::Range)
    }

    /// Adds an amount of a unit. Fractions go to the units below: of years to months, of months and weeks to days, of days to time.
    pub(super) fn add(&mut self, amount: Amount, unit: Unit) -> Reading<()> {
        let Amount { whole, fraction } = amount;
        let added = match unit {
            Unit::Microsecond => self.add_micros(amount, 1),
            Unit::Millisecond => self.add_micros(amount, 1000),
            Unit::Second => self.add_micros(amount, SECOND),
            Unit::Minute => self.add_micros(amount, MINUTE),
            Unit::Hour => self.add_micros(amount, HOUR),
            Unit::Day => self.add_days(whole, 1).and_then(|()| self.add_fraction(fraction, DAY)),
            Unit::Week => self.add_days(whole, 7).and_then(|()| self.add_fraction_of_days(fraction, 7.0)),
            Unit::Month => self.add_months(whole).and_then(|()| self.add_fraction_of_days(fraction, 30.0)),
            Unit::Year => self.add_years(amount, 1),
            Unit::Decade => self.add_years(amount, 10),
            Unit::Century => self.add_years(amount, 100),
            Unit::Millennium => self.add_years(amount, 1000),
        };
        added.ok_or(Fault::Range)
    }

    fn add_micros(&mut self, amount: Amount, scale: i64) -> Option<()> {
        self.micros = amount.whole.checked_mul(scale)?.checked_add(self.micros)?;
        self.add_fraction(amount.fraction, scale)
    }

    /// A fraction of `scale` microseconds, rounded to the nearest.
    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "less than a day in microseconds")]
    pub(super) fn add_fraction(&mut self, fraction: f64, scale: i64) -> Option<()> {
        let scaled = fraction * scale as f64;
        let mut micros = scaled as i64;
        let rest = scaled - micros as f64;
        if rest > 0.5 {
            micros += 1;
        } else if rest < -0.5 {
            micros -= 1;
        }
        self.micros = self.micros.checked_add(micros)?;
        Some(())
    }

    pub(super) fn add_days(&mut self, days: i64, scale: i32) -> Option<()> {
        self.days = i32::try_from(days).ok()?.checked_mul(scale)?.checked_add(self.days)?;
        Some(())
    }

    #[expect(clippy::cast_possible_truncation, reason = "less than a month of days")]
    fn add_fraction_of_days(&mut self, fraction: f64, scale: f64) -> Option<()> {
        let scaled = fraction * scale;
        let whole = scaled as i32;
        self.days = self.days.checked_add(whole)?;
        self.add_fraction(scaled - f64::from(whole), DAY)
    }

    pub(super) fn add_months(&mut self, months: i64) -> Option<()> {
        self.months = self.months.checked_add(i32::try_from(months).ok()?)?;
        Some(())
    }

    #[expect(clippy::cast_possible_truncation, reason = "less than a millennium of months")]
    fn add_years(&mut self, amount: Amount, scale: i32) -> Option<()> {
        self.years = i32::try_from(amount.whole).ok()?.checked_mul(scale)?.checked_add(self.years)?;
        let months = (amount.fraction * f64::from(scale) * 12.0).round_ties_even() as i32;
        self.months = self.months.checked_add(months)?;
        Some(())
    }
}

/// Reads fields from the last to the first.
struct Reader {
    fields: Option<IntervalFields>,
    style: IntervalStyle,
    /// The minus sign before the first field counts for all.
    all_negative: bool,
    sum: Sum,
    /// Unit of the next number; `None` if the type says it.
    unit: Option<Unit>,
    /// "ago" stands behind the next field, which must be a unit or a time.
    after_ago: bool,
    /// A unit was read whose number is still to come.
    unit_waits: bool,
    /// Bits of the units that have been given.
    seen: u32,
}

impl Reader {
    fn new(style: IntervalStyle, fields: Option<IntervalFields>) -> Reader {
        let sum = Sum::default();
        Reader { fields, style, all_negative: false, sum, unit: None, after_ago: false, unit_waits: false, seen: 0 }
    }

    fn read(mut self, fields: &[Field]) -> Reading<Sum> {
        if self.style == IntervalStyle::SqlStandard && fields.first().is_some_and(|field| field.text().starts_with('-')) {
            self.all_negative = !fields.iter().skip(1).any(|field| field.text().starts_with(['-', '+']));
        }
        let mut ago = false;
        for (position, field) in fields.iter().enumerate().rev() {
            let after_ago = std::mem::take(&mut self.after_ago);
            let is_last = position + 1 == fields.len();
            match field {
                Field::Time(text) => self.clock(text, false)?,
                // A sign and a time; what is none is no number either.
                Field::Zone(text) if text.contains(':') => {
                    self.clock(&text[1..], text.starts_with('-')).map_err(|_| Fault::Syntax)?;
                }
                Field::Zone(_) | Field::Date(_) | Field::Number(_) | Field::Name(_) if after_ago => return Err(Fault::Syntax),
                Field::Zone(text) | Field::Date(text) | Field::Number(text) | Field::Name(text) => self.number(text)?,
                Field::Word(text) | Field::Special(text) => match text.as_str() {
                    _ if self.unit_waits => return Err(Fault::Syntax),
                    "ago" if is_last => {
                        ago = true;
                        self.after_ago = true;
                    }
                    "infinity" | "+infinity" | "-infinity" if is_last && fields.len() == 1 => return Err(Fault::Infinite),
                    word if Word::of(word) == Some(Word::Noise) => self.unit = None,
                    word => {
                        self.unit = Some(Unit::of(word).ok_or(Fault::Syntax)?);
                        self.unit_waits = true;
                    }
                },
            }
        }
        if self.seen == 0 || self.unit_waits {
            return Err(Fault::Syntax);
        }
        if ago { self.sum.negated() } else { Ok(self.sum) }
    }

    /// A unit may be given once.
    fn claim(&mut self, bits: u32) -> Reading<()> {
        if self.seen & bits != 0 {
            return Err(Fault::Syntax);
        }
        self.seen |= bits;
        Ok(())
    }

    /// `hh:mm[:ss[.fraction]]`, `mm:ss.fraction`, and `mm:ss` of a type of minutes and seconds.
    fn clock(&mut self, text: &str, negative: bool) -> Reading<()> {
        let minutes_first =
            self.fields.is_some_and(|fields| fields.first == IntervalField::Minute && fields.last == IntervalField::Second);
        let micros = read_clock(text, minutes_first)?;
        self.claim(CLOCK_BITS)?;
        self.sum.micros = if negative || self.all_negative { -micros } else { micros };
        self.unit = Some(Unit::Day);
        self.unit_waits = false;
        Ok(())
    }

    /// A number, or years and months: `1-2`.
    fn number(&mut self, text: &str) -> Reading<()> {
        let mut unit = self.unit.unwrap_or_else(|| Unit::of_type(self.fields));
        let (whole, rest) = integer_prefix(text)?;
        let negative = text.starts_with('-');
        let mut amount = if let Some(months) = rest.strip_prefix('-') {
            unit = Unit::Month;
            let months: i64 = match months.bytes().all(|byte| byte.is_ascii_digit()) {
                true if months.is_empty() => 0,
                true => months.parse().map_err(|_| Fault::Range)?,
                false => return Err(Fault::Syntax),
            };
            if months >= 12 {
                return Err(Fault::Range);
            }
            let months = if negative { -months } else { months };
            let whole = whole.checked_mul(12).and_then(|all| all.checked_add(months)).ok_or(Fault::Range)?;
            Amount { whole, fraction: 0.0 }
        } else {
            let fraction = fraction_of(rest)?;
            Amount { whole, fraction: if negative { -fraction } else { fraction } }
        };
        if self.all_negative {
            amount = Amount { whole: -amount.whole.abs(), fraction: -amount.fraction.abs() };
        }
        self.sum.add(amount, unit)?;
        self.claim(if unit == Unit::Second && amount.fraction != 0.0 { SECOND_BITS } else { unit.bit() })?;
        self.unit = Some(if unit == Unit::Hour { Unit::Day } else { unit });
        self.unit_waits = false;
        Ok(())
    }
}

/// A sign and digits before something else; 0 if there are none.
pub(super) fn integer_prefix(text: &str) -> Reading<(i64, &str)> {
    let sign = usize::from(text.starts_with(['+', '-']));
    let digits = text[sign..].bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at(sign + digits);
    if digits == 0 { Ok((0, rest)) } else { Ok((number.parse().map_err(|_| Fault::Range)?, rest)) }
}

/// What stands behind a number's whole part: nothing, or a point and digits.
fn fraction_of(rest: &str) -> Reading<f64> {
    match rest.strip_prefix('.') {
        None if rest.is_empty() => Ok(0.0),
        Some("") => Ok(0.0),
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => rest.parse().map_err(|_| Fault::Syntax),
        _ => Err(Fault::Syntax),
    }
}

fn read_clock(text: &str, minutes_first: bool) -> Reading<i64> {
    let (hours, rest) = integer_prefix(text)?;
    let small = |rest: &str| -> Reading<(i64, usize)> {
        let (number, behind) = integer_prefix(rest)?;
        if i32::try_from(number).is_err() { Err(Fault::Range) } else { Ok((number, rest.len() - behind.len())) }
    };
    let rest = rest.strip_prefix(':').ok_or(Fault::Syntax)?;
    let (minutes, length) = small(rest)?;
    let rest = &rest[length..];
    let (hours, minutes, seconds, fraction) = if rest.is_empty() && !minutes_first {
        (hours, minutes, 0, 0.0)
    } else if let Some(rest) = rest.strip_prefix(':') {
        let (seconds, length) = small(rest)?;
        (hours, minutes, seconds, fraction_of(&rest[length..])?)
    } else if rest.is_empty() || rest.starts_with('.') {
        // Two numbers are minutes and seconds here.
        if i32::try_from(hours).is_err() {
            return Err(Fault::Range);
        }
        (0, hours, minutes, fraction_of(rest)?)
    } else {
        return Err(Fault::Syntax);
    };
    if hours < 0 || !(0..60).contains(&minutes) || !(0..=60).contains(&seconds) {
        return Err(Fault::Range);
    }
    #[expect(clippy::cast_possible_truncation, reason = "a fraction of a second")]
    let fraction = (fraction * 1e6).round_ties_even() as i64;
    let below_hours = minutes * MINUTE + seconds * SECOND + fraction;
    hours.checked_mul(HOUR).and_then(|micros| micros.checked_add(below_hours)).ok_or(Fault::Range)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format_interval;

    fn read(text: &str) -> String {
        format_interval(parse_interval(text, IntervalStyle::Postgres).unwrap(), IntervalStyle::Postgres).to_string()
    }

    #[test]
    fn under_sql_standard_a_leading_sign_counts_for_all() {
        let read = |text: &str| {
            let value = parse_interval(text, IntervalStyle::SqlStandard).unwrap();
            format_interval(value, IntervalStyle::Postgres).to_string()
        };
        assert_eq!(read("-1 2:03:04"), "-1 days -02:03:04");
        assert_eq!(read("-1 +2:03:04"), "-1 days +02:03:04");
        assert_eq!(read("-1-2"), "-1 years -2 mons");
    }

    #[test]
    fn numbers_take_their_unit_from_what_follows() {
        assert_eq!(read("1 day 02:03:04"), "1 day 02:03:04");
        assert_eq!(read("5"), "00:00:05");
        assert_eq!(read("3 04:05"), "3 days 04:05:00");
        assert_eq!(read("1.5 months"), "1 mon 15 days");
        assert_eq!(read("-1-2"), "-1 years -2 mons");
    }

    #[test]
    fn the_fields_of_a_type_name_bare_numbers_and_cut_the_value() {
        use IntervalField::{Day, Hour, Minute, Month, Second, Year};
        let read = |text: &str, first, last| {
            let value = parse_interval_of(text, IntervalStyle::Postgres, Some(IntervalFields { first, last })).unwrap();
            format_interval(value, IntervalStyle::Postgres).to_string()
        };
        assert_eq!(read("1", Year, Month), "1 mon");
        assert_eq!(read("1 2:03", Day, Hour), "1 day 02:00:00");
        assert_eq!(read("2:03", Minute, Second), "00:02:03");
        assert_eq!(read("1 2:03:04", Day, Day), "1 day");
        assert_eq!(read("1", Hour, Minute), "00:01:00");
    }

    #[test]
    fn iso_8601_in_both_forms() {
        for (text, value) in [
            ("P1Y2M3W4DT5H6M7.8S", "1 year 2 mons 25 days 05:06:07.8"),
            ("P0001-02-03T04:05:06", "1 year 2 mons 3 days 04:05:06"),
            ("P00010203T040506", "1 year 2 mons 3 days 04:05:06"),
            ("P-1Y-2M3DT-4H", "-1 years -2 mons +3 days -04:00:00"),
            ("P1.5Y", "1 year 6 mons"),
            ("P0002", "2 years"),
        ] {
            assert_eq!(read(text), value, "{text}");
        }
    }

    #[test]
    fn too_much_is_refused_by_its_own_message() {
        let error = parse_interval("9999999999 years", IntervalStyle::Postgres).unwrap_err();
        assert_eq!(
            (error.kind(), error.message()),
            (ErrorKind::IntervalFieldOverflow, "interval field value out of range: \"9999999999 years\"")
        );
        for wrong in ["", "abc", "1 fortnight", "1 day 2 days", "day", "1 day day", "1-1-4", "P", "ago", " P1Y", "1 day é", "P1H"]
        {
            let error = parse_interval(wrong, IntervalStyle::Postgres).unwrap_err();
            assert_eq!(
                (error.kind(), error.message()),
                (ErrorKind::InvalidDatetime, format!("invalid input syntax for type interval: \"{wrong}\"").as_str())
            );
        }
    }
}
