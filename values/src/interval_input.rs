//! Text to intervals: `1 day 02:03:04`, `@ 1 mon -3 days ago`, `1-2`, `P1DT2H`.
//!
//! As in PostgreSQL, fields are read from the last to the first, because a bare number takes its unit from what follows it.

use super::input::{infinite, invalid_datetime};
use super::{IntervalStyle, IntervalValue};
use crate::error::{Error, ErrorKind, Result};

/// Reads an interval in any of PostgreSQL's forms. Under `sql_standard` a leading minus sign counts for the whole text unless
/// another sign follows.
///
/// # Errors
/// 22007 for text that is not an interval, 22015 for a field that is too large, 22008 for a sum that is.
pub fn parse_interval(text: &str, style: IntervalStyle) -> Result<IntervalValue> {
    if matches!(text.trim().trim_start_matches(['+', '-']).to_ascii_lowercase().as_str(), "infinity" | "inf") {
        return Err(infinite("interval"));
    }
    let fields = split(text).ok_or_else(|| invalid_datetime("interval", text))?;
    let words = Sum::default().words(&fields, style);
    let sum = match words {
        Err(Fault::Syntax) => iso_8601(text.trim()),
        other => other,
    };
    sum.and_then(Sum::value).map_err(|fault| match fault {
        Fault::Syntax => invalid_datetime("interval", text),
        Fault::Total => Error::new(ErrorKind::DatetimeOutOfRange, "interval out of range"),
        Fault::Range => Error::new(ErrorKind::IntervalFieldOverflow, format!("interval field value out of range: \"{text}\"")),
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Syntax,
    /// A field is too large.
    Range,
    /// Each field is fine, their sum is too large.
    Total,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
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
}

/// One field of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Field {
    /// Digits with a sign, a point, colons and inner minus signs: `1`, `-1.5`, `04:05:06`, `1-2`.
    Number(String),
    Word(String),
}

/// Splits into fields; `None` for a character that has no place in an interval.
fn split(text: &str) -> Option<Vec<Field>> {
    let characters: Vec<char> = text.to_ascii_lowercase().chars().collect();
    let mut fields = vec![];
    let mut position = 0;
    while let Some(&first) = characters.get(position) {
        let mut field = String::new();
        if first.is_ascii_digit() || matches!(first, '+' | '-' | '.') {
            if matches!(first, '+' | '-') {
                field.push(first);
                position += 1;
                while characters.get(position).is_some_and(|c| c.is_ascii_whitespace()) {
                    position += 1;
                }
            }
            while let Some(&c) = characters.get(position).filter(|c| c.is_ascii_digit() || matches!(c, '.' | ':' | '-')) {
                field.push(c);
                position += 1;
            }
            fields.push(Field::Number(field));
        } else if first.is_ascii_alphabetic() {
            while let Some(&c) = characters.get(position).filter(|c| c.is_ascii_alphabetic()) {
                field.push(c);
                position += 1;
            }
            fields.push(Field::Word(field));
        } else if first.is_ascii_whitespace() || first.is_ascii_punctuation() {
            position += 1;
        } else {
            return None;
        }
    }
    Some(fields)
}

/// What has been read so far.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    years: i64,
    months: i64,
    days: i64,
    micros: i128,
    /// Bits of the units that have been given.
    seen: u32,
}

/// A number with its fraction in billionths, both with the number's sign.
#[derive(Debug, Clone, Copy)]
struct Amount {
    whole: i64,
    billionths: i64,
}

const BILLION: i64 = 1_000_000_000;
const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

impl Amount {
    fn read(text: &str) -> std::result::Result<Amount, Fault> {
        let (negative, unsigned) = match text.as_bytes() {
            [b'-', ..] => (true, &text[1..]),
            [b'+', ..] => (false, &text[1..]),
            _ => (false, text),
        };
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let digits_only = whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit());
        if !digits_only || (whole.is_empty() && fraction.is_empty()) {
            return Err(Fault::Syntax);
        }
        let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| Fault::Range)? };
        let mut billionths = 0;
        let mut place = BILLION / 10;
        for digit in fraction.bytes().take(9) {
            billionths += i64::from(digit - b'0') * place;
            place /= 10;
        }
        Ok(if negative { Amount { whole: -whole, billionths: -billionths } } else { Amount { whole, billionths } })
    }
}

/// `numerator / denominator`, rounded half to even as C's `rint` rounds.
fn round_div(numerator: i128, denominator: i128) -> i128 {
    let quotient = numerator.div_euclid(denominator);
    let twice = numerator.rem_euclid(denominator) * 2;
    let rounds_up = twice > denominator || (twice == denominator && quotient % 2 != 0);
    if rounds_up { quotient + 1 } else { quotient }
}

impl Sum {
    fn value(self) -> std::result::Result<IntervalValue, Fault> {
        let years = i32::try_from(self.years).map_err(|_| Fault::Range)?;
        let months = i32::try_from(self.months).map_err(|_| Fault::Range)?;
        Ok(IntervalValue {
            months: i32::try_from(i64::from(years) * 12 + i64::from(months)).map_err(|_| Fault::Total)?,
            days: i32::try_from(self.days).map_err(|_| Fault::Range)?,
            micros: i64::try_from(self.micros).map_err(|_| Fault::Range)?,
        })
    }

    fn negate(&mut self) {
        self.years = -self.years;
        self.months = -self.months;
        self.days = -self.days;
        self.micros = -self.micros;
    }

    fn words(mut self, fields: &[Field], style: IntervalStyle) -> std::result::Result<Sum, Fault> {
        let mut unit = None;
        let mut ago = false;
        for (position, field) in fields.iter().enumerate().rev() {
            match field {
                Field::Word(word) if word == "ago" => {
                    if position + 1 != fields.len() {
                        return Err(Fault::Syntax);
                    }
                    ago = true;
                }
                Field::Word(word) => unit = Some(Unit::of(word).ok_or(Fault::Syntax)?),
                Field::Number(number) if number.contains(':') => {
                    self.claim(&[Unit::Hour, Unit::Minute, Unit::Second])?;
                    self.micros += clock(number)?;
                    unit = Some(Unit::Day);
                }
                Field::Number(number) => match number.get(1..).and_then(|rest| rest.find('-')) {
                    Some(dash) => {
                        self.claim(&[Unit::Month])?;
                        self.months = self.months.checked_add(years_months(number, dash + 1)?).ok_or(Fault::Range)?;
                        unit = Some(Unit::Month);
                    }
                    None => {
                        let unit = unit.unwrap_or(Unit::Second);
                        self.claim(&[unit])?;
                        self.add(Amount::read(number)?, unit)?;
                    }
                },
            }
        }
        if self.seen == 0 {
            return Err(Fault::Syntax);
        }
        let signs = fields.iter().filter(|field| matches!(field, Field::Number(n) if n.starts_with(['-', '+']))).count();
        let leading_minus = matches!(fields.first(), Some(Field::Number(number)) if number.starts_with('-'));
        if style == IntervalStyle::SqlStandard && leading_minus && signs == 1 {
            // The fields that carry the sign themselves have it already.
            self.negate_unsigned(fields)?;
        }
        if ago {
            self.negate();
        }
        Ok(self)
    }

    /// Reads again with the first field's minus sign on every field.
    fn negate_unsigned(&mut self, fields: &[Field]) -> std::result::Result<(), Fault> {
        let unsigned: Vec<Field> = fields
            .iter()
            .filter(|field| !matches!(field, Field::Word(word) if word == "ago"))
            .map(|field| match field {
                Field::Number(number) => Field::Number(number.trim_start_matches('-').to_string()),
                Field::Word(word) => Field::Word(word.clone()),
            })
            .collect();
        *self = Sum::default().words(&unsigned, IntervalStyle::Postgres)?;
        self.negate();
        Ok(())
    }

    /// A unit may be given once.
    fn claim(&mut self, units: &[Unit]) -> std::result::Result<(), Fault> {
        for unit in units {
            let bit = 1 << (*unit as u32);
            if self.seen & bit != 0 {
                return Err(Fault::Syntax);
            }
            self.seen |= bit;
        }
        Ok(())
    }

    fn add(&mut self, amount: Amount, unit: Unit) -> std::result::Result<(), Fault> {
        match unit {
            Unit::Microsecond => self.add_micros(amount, 1),
            Unit::Millisecond => self.add_micros(amount, 1000),
            Unit::Second => self.add_micros(amount, SECOND),
            Unit::Minute => self.add_micros(amount, 60 * SECOND),
            Unit::Hour => self.add_micros(amount, 3600 * SECOND),
            Unit::Day => self.add_days(amount, 1)?,
            Unit::Week => self.add_days(amount, 7)?,
            Unit::Month => {
                self.months = self.months.checked_add(amount.whole).ok_or(Fault::Range)?;
                self.add_days(Amount { whole: 0, billionths: amount.billionths }, 30)?;
            }
            Unit::Year => self.add_years(amount, 1)?,
            Unit::Decade => self.add_years(amount, 10)?,
            Unit::Century => self.add_years(amount, 100)?,
            Unit::Millennium => self.add_years(amount, 1000)?,
        }
        Ok(())
    }

    fn add_micros(&mut self, amount: Amount, scale: i64) {
        self.micros += i128::from(amount.whole) * i128::from(scale);
        self.micros += round_div(i128::from(amount.billionths) * i128::from(scale), i128::from(BILLION));
    }

    fn add_days(&mut self, amount: Amount, scale: i64) -> std::result::Result<(), Fault> {
        let whole = amount.whole.checked_mul(scale).ok_or(Fault::Range)?;
        let billionths = amount.billionths * scale;
        let days = whole.checked_add(billionths / BILLION).ok_or(Fault::Range)?;
        self.days = self.days.checked_add(days).ok_or(Fault::Range)?;
        self.add_micros(Amount { whole: 0, billionths: billionths % BILLION }, DAY);
        Ok(())
    }

    fn add_years(&mut self, amount: Amount, scale: i64) -> std::result::Result<(), Fault> {
        let years = amount.whole.checked_mul(scale).ok_or(Fault::Range)?;
        self.years = self.years.checked_add(years).ok_or(Fault::Range)?;
        let months = round_div(i128::from(amount.billionths) * i128::from(scale * 12), i128::from(BILLION));
        let months = i64::try_from(months).map_err(|_| Fault::Range)?;
        self.months = self.months.checked_add(months).ok_or(Fault::Range)?;
        Ok(())
    }
}

/// `[-]hh:mm[:ss[.fraction]]`, and `mm:ss.fraction`
fn clock(text: &str) -> std::result::Result<i128, Fault> {
    let (negative, unsigned) = match text.as_bytes() {
        [b'-', ..] => (true, &text[1..]),
        [b'+', ..] => (false, &text[1..]),
        _ => (false, text),
    };
    let parts: Vec<&str> = unsigned.split(':').collect();
    let (hours, minutes, seconds) = match parts.as_slice() {
        [minutes, seconds] if seconds.contains('.') => ("0", *minutes, *seconds),
        [hours, minutes] => (*hours, *minutes, "0"),
        [hours, minutes, seconds] => (*hours, *minutes, *seconds),
        _ => return Err(Fault::Syntax),
    };
    let whole = |part: &str| {
        let digits = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if digits { part.parse::<i64>().map_err(|_| Fault::Range) } else { Err(Fault::Syntax) }
    };
    let (hours, minutes) = (whole(hours)?, whole(minutes)?);
    let amount = if seconds.is_empty() { return Err(Fault::Syntax) } else { Amount::read(seconds)? };
    if minutes > 59 || amount.whole > 60 {
        return Err(Fault::Range);
    }
    let mut sum = Sum::default();
    sum.add_micros(Amount { whole: hours, billionths: 0 }, 3600 * SECOND);
    sum.add_micros(Amount { whole: minutes, billionths: 0 }, 60 * SECOND);
    sum.add_micros(amount, SECOND);
    Ok(if negative { -sum.micros } else { sum.micros })
}

/// SQL's `years-months`; the dash stands at byte `dash`.
fn years_months(text: &str, dash: usize) -> std::result::Result<i64, Fault> {
    let (years, months) = (Amount::read(&text[..dash])?, &text[dash + 1..]);
    let months: i64 = months.bytes().all(|b| b.is_ascii_digit()).then(|| months.parse().ok()).flatten().ok_or(Fault::Syntax)?;
    if months >= 12 {
        return Err(Fault::Range);
    }
    let months = if text.starts_with('-') { -months } else { months };
    years.whole.checked_mul(12).and_then(|sum| sum.checked_add(months)).ok_or(Fault::Range)
}

/// `P1Y2M3W4DT5H6M7.8S` and `P0001-02-03T04:05:06`
fn iso_8601(text: &str) -> std::result::Result<Sum, Fault> {
    let body = text.strip_prefix('P').filter(|body| !body.is_empty()).ok_or(Fault::Syntax)?;
    let (date, time) = match body.split_once('T') {
        Some((_, "")) => return Err(Fault::Syntax),
        Some((date, time)) => (date, time),
        None => (body, ""),
    };
    let mut sum = Sum::default();
    let inner_dash = date.get(1..).is_some_and(|rest| rest.contains('-') && !rest.contains(|c: char| c.is_ascii_alphabetic()));
    if inner_dash {
        let mut parts = date.splitn(3, '-');
        for unit in [Unit::Year, Unit::Month, Unit::Day] {
            let Some(part) = parts.next() else { break };
            sum.add(Amount::read(part)?, unit)?;
        }
    } else {
        designated(&mut sum, date, false)?;
    }
    if time.contains(':') {
        sum.micros += clock(time)?;
    } else {
        designated(&mut sum, time, true)?;
    }
    Ok(sum)
}

/// Numbers, each with its unit letter behind it.
fn designated(sum: &mut Sum, text: &str, is_time: bool) -> std::result::Result<(), Fault> {
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c: char| c.is_ascii_alphabetic()).ok_or(Fault::Syntax)?;
        let unit = match (rest.as_bytes()[end], is_time) {
            (b'Y', false) => Unit::Year,
            (b'M', false) => Unit::Month,
            (b'W', false) => Unit::Week,
            (b'D', false) => Unit::Day,
            (b'H', true) => Unit::Hour,
            (b'M', true) => Unit::Minute,
            (b'S', true) => Unit::Second,
            _ => return Err(Fault::Syntax),
        };
        sum.add(Amount::read(&rest[..end])?, unit)?;
        rest = &rest[end + 1..];
    }
    Ok(())
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
    }

    #[test]
    fn too_much_is_refused_by_its_own_message() {
        let error = parse_interval("9999999999 years", IntervalStyle::Postgres).unwrap_err();
        assert_eq!(
            (error.kind(), error.message()),
            (ErrorKind::IntervalFieldOverflow, "interval field value out of range: \"9999999999 years\"")
        );
        for wrong in ["", "abc", "1 fortnight", "1 day 2 days", "day", "1-13-4", "P", "PT", "ago", "1 day é", "P1H"] {
            let error = parse_interval(wrong, IntervalStyle::Postgres).unwrap_err();
            assert_eq!(
                (error.kind(), error.message()),
                (ErrorKind::InvalidDatetime, format!("invalid input syntax for type interval: \"{wrong}\"").as_str())
            );
        }
    }
}
