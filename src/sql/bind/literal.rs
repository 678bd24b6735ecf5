//! Text to constants, as PostgreSQL's input functions read them.
//!
//! An untyped literal takes its type from its context and is read here, while the statement is bound, so a wrong one is an error with
//! PostgreSQL's text (`invalid input syntax for type integer: "x"`) and a right one is a plain constant that the optimiser can prune by.

use std::str::FromStr;
use std::sync::Arc;

use chrono::{NaiveDate, NaiveDateTime, NaiveTime, TimeZone};
use datafusion::arrow::array::{ArrayRef, ListArray, new_empty_array};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::datatypes::{DataType, i256};
use datafusion::common::ScalarValue;

use crate::catalog::types::SqlType;
use crate::catalog::values::canonical_jsonb;
use crate::error::{Error, ErrorKind, Result};

/// A constant of type `sql_type` from its text form; zoned timestamps without an offset are in `time_zone`.
///
/// # Errors
/// `InvalidText`, `InvalidDatetime`, `DatetimeOutOfRange` or `NumericOutOfRange`.
pub(super) fn parse(text: &str, sql_type: &SqlType, time_zone: &str) -> Result<ScalarValue> {
    let trimmed = text.trim_matches([' ', '\t', '\n', '\r', '\u{b}', '\u{c}']);
    Ok(match sql_type {
        SqlType::Bool => ScalarValue::Boolean(Some(boolean(trimmed).ok_or_else(|| invalid(text, sql_type))?)),
        SqlType::Int2 => ScalarValue::Int16(Some(integer(trimmed, sql_type)?)),
        SqlType::Int4 => ScalarValue::Int32(Some(integer(trimmed, sql_type)?)),
        SqlType::Int8 => ScalarValue::Int64(Some(integer(trimmed, sql_type)?)),
        SqlType::Oid | SqlType::Xid => ScalarValue::UInt32(Some(oid(trimmed, sql_type)?)),
        SqlType::Float4 => ScalarValue::Float32(Some(float(trimmed, sql_type)?)),
        SqlType::Float8 => ScalarValue::Float64(Some(float(trimmed, sql_type)?)),
        SqlType::Numeric { precision, scale } => numeric(trimmed, *precision, *scale)?,
        SqlType::Text | SqlType::NodeTree | SqlType::AclItem | SqlType::Unknown => ScalarValue::Utf8(Some(text.to_string())),
        SqlType::Varchar(length) | SqlType::Bpchar(length) => ScalarValue::Utf8(Some(truncated(text, *length))),
        SqlType::Name => ScalarValue::Utf8(Some(truncated_bytes(text, 63))),
        SqlType::Char => ScalarValue::Utf8(Some(text.chars().take(1).collect())),
        SqlType::Uuid => {
            let bare = trimmed.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(trimmed);
            let parsed = uuid::Uuid::parse_str(bare).map_err(|_| invalid(text, sql_type))?;
            ScalarValue::Utf8(Some(parsed.hyphenated().to_string()))
        }
        SqlType::Json | SqlType::Jsonb => json(text, sql_type)?,
        SqlType::Bytea => ScalarValue::Binary(Some(bytea(text)?)),
        SqlType::Date => ScalarValue::Date32(Some(date(trimmed)?)),
        SqlType::Time => ScalarValue::Time64Microsecond(Some(time(trimmed).ok_or_else(|| invalid_datetime(text, sql_type))?)),
        SqlType::Timestamp => ScalarValue::TimestampMicrosecond(Some(timestamp(trimmed)?), None),
        SqlType::Timestamptz => ScalarValue::TimestampMicrosecond(Some(timestamptz(trimmed, time_zone)?), Some("UTC".into())),
        SqlType::Interval => interval(text)?,
        SqlType::Array(element) => array(text, element, time_zone)?,
        SqlType::Int2Vector => vector(trimmed, &SqlType::Int2, sql_type, time_zone)?,
        SqlType::OidVector => vector(trimmed, &SqlType::Oid, sql_type, time_zone)?,
        SqlType::Reg(_) | SqlType::Void => return Err(Error::internal(format!("literal of type {sql_type}"))),
    })
}

fn invalid(text: &str, sql_type: &SqlType) -> Error {
    let name = match sql_type {
        SqlType::Numeric { .. } => "numeric".to_string(),
        other => other.display_name(),
    };
    Error::new(ErrorKind::InvalidText, format!("invalid input syntax for type {name}: \"{text}\""))
}

fn invalid_datetime(text: &str, sql_type: &SqlType) -> Error {
    Error::new(ErrorKind::InvalidDatetime, format!("invalid input syntax for type {}: \"{text}\"", sql_type.display_name()))
}

fn out_of_range(text: &str, sql_type: &SqlType) -> Error {
    Error::new(ErrorKind::NumericOutOfRange, format!("value \"{text}\" is out of range for type {}", sql_type.display_name()))
}

fn boolean(text: &str) -> Option<bool> {
    let lower = text.to_ascii_lowercase();
    let prefix_of = |word: &str, least: usize| lower.len() >= least && word.starts_with(lower.as_str());
    if lower == "1" || prefix_of("true", 1) || prefix_of("yes", 1) || lower == "on" {
        Some(true)
    } else if lower == "0" || prefix_of("false", 1) || prefix_of("no", 1) || prefix_of("off", 2) {
        Some(false)
    } else {
        None
    }
}

fn integer<T: TryFrom<i128>>(text: &str, sql_type: &SqlType) -> Result<T> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(invalid(text, sql_type));
    }
    let value: i128 = text.parse().map_err(|_| out_of_range(text, sql_type))?;
    T::try_from(value).map_err(|_| out_of_range(text, sql_type))
}

/// An `oid` is an unsigned number; a negative one wraps, as in PostgreSQL.
fn oid(text: &str, sql_type: &SqlType) -> Result<u32> {
    let value: i64 = integer(text, sql_type)?;
    u32::try_from(value).or_else(|_| i32::try_from(value).map(i32::cast_unsigned)).map_err(|_| out_of_range(text, sql_type))
}

fn float<T: FromStr + PartialOrd + Copy>(text: &str, sql_type: &SqlType) -> Result<T> {
    let canonical = match text.to_ascii_lowercase().as_str() {
        "nan" => "NaN".to_string(),
        "infinity" | "inf" | "+infinity" | "+inf" => "inf".to_string(),
        "-infinity" | "-inf" => "-inf".to_string(),
        other if other.chars().next_back().is_some_and(|last| last.is_ascii_digit() || last == '.') => other.to_string(),
        _ => return Err(invalid(text, sql_type)),
    };
    canonical.parse().map_err(|_| invalid(text, sql_type))
}

/// Sign, digits without leading zeros, and the number of digits right of the point.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Decimal {
    negative: bool,
    digits: String,
    scale: i32,
}

impl Decimal {
    /// Reads `[+-]digits[.digits][e[+-]digits]`.
    pub(super) fn read(text: &str) -> Option<Decimal> {
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all_digits = whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit());
        if (whole.is_empty() && fraction.is_empty()) || !all_digits {
            return None;
        }
        let digits = format!("{whole}{fraction}").trim_start_matches('0').to_string();
        let scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
        Some(Decimal { negative, digits, scale })
    }

    /// The narrowest `numeric` that holds it: precision and scale, if 76 digits are enough.
    pub(super) fn narrowest(&self) -> Option<(u8, i8)> {
        let scale = self.scale.max(0);
        let length = i32::try_from(self.digits.len()).ok()?.checked_add((-self.scale).max(0))?;
        let precision = length.max(scale).max(1);
        Some((u8::try_from(precision).ok().filter(|precision| *precision <= 76)?, i8::try_from(scale).ok()?))
    }

    /// The value with `scale` digits right of the point, rounded half away from zero.
    fn scaled(&self, scale: i8) -> Option<i256> {
        let shift = i32::from(scale).checked_sub(self.scale)?;
        let mut digits = self.digits.clone();
        let mut round_up = false;
        if shift >= 0 {
            if !digits.is_empty() {
                digits.push_str(&"0".repeat(usize::try_from(shift).ok().filter(|zeros| *zeros <= 80)?));
            }
        } else {
            let cut = usize::try_from(-shift).ok()?;
            if cut > digits.len() {
                digits.clear();
            } else {
                let dropped = digits.split_off(digits.len() - cut);
                round_up = dropped.as_bytes().first().is_some_and(|first| *first >= b'5');
            }
        }
        if digits.is_empty() {
            digits.push('0');
        }
        let value = i256::from_string(&digits)?;
        let value = if round_up { value.checked_add(i256::ONE)? } else { value };
        Some(if self.negative { value.wrapping_neg() } else { value })
    }

    /// The value as `numeric(precision, scale)`, if it fits.
    pub(super) fn constant(&self, precision: u8, scale: i8) -> Option<ScalarValue> {
        let value = self.scaled(scale)?;
        let mut limit = i256::ONE;
        for _ in 0..precision {
            limit = limit.checked_mul(i256::from_i128(10))?;
        }
        if value >= limit || value <= limit.wrapping_neg() {
            return None;
        }
        Some(if precision <= 38 {
            ScalarValue::Decimal128(Some(value.to_i128()?), precision, scale)
        } else {
            ScalarValue::Decimal256(Some(value), precision, scale)
        })
    }
}

fn numeric(text: &str, precision: u8, scale: i8) -> Result<ScalarValue> {
    let sql_type = SqlType::Numeric { precision, scale };
    let decimal = Decimal::read(text).ok_or_else(|| invalid(text, &sql_type))?;
    decimal.constant(precision, scale).ok_or_else(|| {
        Error::new(ErrorKind::NumericOutOfRange, "numeric field overflow").with_detail(format!(
            "A field with precision {precision}, scale {scale} must round to an absolute value less than 10^{}.",
            i32::from(precision) - i32::from(scale)
        ))
    })
}

fn truncated(text: &str, length: Option<u32>) -> String {
    match length.and_then(|length| usize::try_from(length).ok()) {
        Some(length) => text.chars().take(length).collect(),
        None => text.to_string(),
    }
}

fn truncated_bytes(text: &str, length: usize) -> String {
    let mut end = text.len().min(length);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_string()
}

fn json(text: &str, sql_type: &SqlType) -> Result<ScalarValue> {
    let kept = match sql_type {
        SqlType::Jsonb => canonical_jsonb(text),
        _ => serde_json::from_str::<serde::de::IgnoredAny>(text).ok().map(|_| text.to_string()),
    };
    Ok(ScalarValue::Utf8(Some(kept.ok_or_else(|| invalid(text, sql_type))?)))
}

fn bytea(text: &str) -> Result<Vec<u8>> {
    let bad = || Error::new(ErrorKind::InvalidText, "invalid input syntax for type bytea");
    if let Some(digits) = text.strip_prefix("\\x") {
        let compact: String = digits.chars().filter(|character| !character.is_whitespace()).collect();
        return hex::decode(compact).map_err(|_| bad());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first != b'\\' {
            bytes.push(*first);
            continue;
        }
        match rest {
            [b'\\', tail @ ..] => {
                bytes.push(b'\\');
                rest = tail;
            }
            [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', tail @ ..] => {
                bytes.push(((a - b'0') << 6) | ((b - b'0') << 3) | (c - b'0'));
                rest = tail;
            }
            _ => return Err(bad()),
        }
    }
    Ok(bytes)
}

const EPOCH_DAYS: i32 = 719_163;

/// Days since 1970-01-01. A time or zone behind the date is ignored, as PostgreSQL does (`2024-01-05 +00`).
fn date(text: &str) -> Result<i32> {
    let bad = || invalid_datetime(text, &SqlType::Date);
    let lower = text.to_ascii_lowercase();
    if matches!(lower.as_str(), "epoch") {
        return Ok(0);
    }
    let (day, _) = date_prefix(text).ok_or_else(bad)?;
    let day = day.ok_or_else(|| datetime_out_of_range(text))?;
    use chrono::Datelike;
    Ok(day.num_days_from_ce() - EPOCH_DAYS)
}

fn datetime_out_of_range(text: &str) -> Error {
    Error::new(ErrorKind::DatetimeOutOfRange, format!("date/time field value out of range: \"{text}\""))
}

/// A date at the start of `text` and what stands behind it; the inner `None` is a date that the calendar lacks.
fn date_prefix(text: &str) -> Option<(Option<NaiveDate>, &str)> {
    let end = text.find([' ', 'T', 't']).unwrap_or(text.len());
    let (day, rest) = text.split_at(end);
    let rest = rest.strip_prefix(['T', 't']).unwrap_or(rest).trim_start();
    // '2024-01-05+00' and '2024-01-05Z'
    let (day, zone) = match day.get(8..).and_then(|tail| tail.find(['+', 'Z', 'z'])) {
        Some(at) if day.starts_with(|first: char| first.is_ascii_digit()) => day.split_at(at + 8),
        _ => (day, ""),
    };
    let rest = if zone.is_empty() { rest } else { zone };
    if day.len() == 8 && day.bytes().all(|byte| byte.is_ascii_digit()) {
        let (year, month, number) = (day.get(..4)?.parse().ok()?, day.get(4..6)?.parse().ok()?, day.get(6..)?.parse().ok()?);
        return Some((NaiveDate::from_ymd_opt(year, month, number), rest));
    }
    let parts: Vec<&str> = day.split(['-', '/', '.']).collect();
    let [first, second, third] = parts.as_slice() else { return None };
    let number = |text: &str| if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse::<i32>().ok() } else { None };
    let (year, month, day) = if first.len() >= 3 {
        (number(first)?, month(second)?, number(third)?)
    } else if let Some(month) = number(first) {
        // DateStyle ISO, MDY: 1/18/1999
        if number(second).is_none() {
            (number(third)?, self::month(second)?, month)
        } else {
            (number(third)?, month, number(second)?)
        }
    } else {
        (number(third)?, month(first)?, number(second)?)
    };
    Some((NaiveDate::from_ymd_opt(year, u32::try_from(month).ok()?, u32::try_from(day).ok()?), rest))
}

fn month(text: &str) -> Option<i32> {
    const NAMES: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok();
    }
    let lower = text.to_ascii_lowercase();
    NAMES.iter().position(|name| lower.starts_with(name)).and_then(|index| i32::try_from(index + 1).ok())
}

/// Microseconds since midnight.
fn time(text: &str) -> Option<i64> {
    let lower = text.to_ascii_lowercase();
    let (clock, half) = if let Some(clock) = lower.strip_suffix("am") {
        (clock.trim_end(), Some(0))
    } else if let Some(clock) = lower.strip_suffix("pm") {
        (clock.trim_end(), Some(12))
    } else {
        (lower.as_str(), None)
    };
    let mut parts = clock.splitn(3, ':');
    let (hour, minute, second) = (parts.next()?, parts.next().unwrap_or("0"), parts.next().unwrap_or("0"));
    if !clock.contains(':') && half.is_none() {
        return None;
    }
    let mut hour: i64 = hour.parse().ok()?;
    let minute: i64 = minute.parse().ok()?;
    let (whole, fraction) = second.split_once('.').unwrap_or((second, ""));
    let whole: i64 = whole.parse().ok()?;
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let micros: i64 = format!("{fraction:0<7}").get(..7)?.parse::<i64>().ok().map(|tenths| (tenths + 5) / 10)?;
    if let Some(half) = half {
        if !(1..=12).contains(&hour) {
            return None;
        }
        hour = hour % 12 + half;
    }
    let valid = (0..24).contains(&hour) && (0..60).contains(&minute) && (0..=60).contains(&whole)
        || (hour == 24 && minute == 0 && whole == 0 && micros == 0);
    valid.then(|| ((hour * 60 + minute) * 60 + whole) * 1_000_000 + micros)
}

/// Splits a time of day from the zone behind it.
fn split_zone(text: &str) -> (&str, &str) {
    let end = text.find(|character: char| !(character.is_ascii_digit() || matches!(character, ':' | '.'))).unwrap_or(text.len());
    let (clock, rest) = text.split_at(end);
    let lower = rest.trim_start().to_ascii_lowercase();
    let half_day =
        (lower.starts_with("am") || lower.starts_with("pm")) && !lower[2..].starts_with(|next: char| next.is_alphabetic());
    if half_day {
        let skip = rest.len() - rest.trim_start().len() + 2;
        let (clock, rest) = text.split_at(end + skip);
        return (clock, rest.trim());
    }
    (clock.trim_end(), rest.trim())
}

fn local(text: &str, sql_type: &SqlType) -> Result<(NaiveDateTime, String)> {
    let bad = || invalid_datetime(text, sql_type);
    if text.eq_ignore_ascii_case("epoch") {
        return Ok((NaiveDateTime::default(), "UTC".to_string()));
    }
    let (day, rest) = date_prefix(text).ok_or_else(bad)?;
    let day = day.ok_or_else(|| datetime_out_of_range(text))?;
    let (clock, zone) = if rest.starts_with(|first: char| first.is_ascii_digit()) { split_zone(rest) } else { ("", rest) };
    let micros = if clock.is_empty() { 0 } else { time(clock).ok_or_else(bad)? };
    let moment = day.and_time(NaiveTime::MIN).checked_add_signed(chrono::TimeDelta::microseconds(micros)).ok_or_else(bad)?;
    if !zone.is_empty() && offset_seconds(zone).is_none() && zone.parse::<chrono_tz::Tz>().is_err() {
        return Err(bad());
    }
    Ok((moment, zone.to_string()))
}

/// `+01`, `-05:30`, `+0530`, `Z`, `UTC`: seconds east of Greenwich.
fn offset_seconds(zone: &str) -> Option<i64> {
    if matches!(zone.to_ascii_lowercase().as_str(), "z" | "utc" | "gmt" | "zulu") {
        return Some(0);
    }
    let (sign, digits) = match zone.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, zone.strip_prefix('+')?),
    };
    let parts: Vec<i64> = if digits.contains(':') {
        digits.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?
    } else if digits.len() > 2 {
        let (hours, minutes) = digits.split_at(digits.len() - 2);
        vec![hours.parse().ok()?, minutes.parse().ok()?]
    } else {
        vec![digits.parse().ok()?]
    };
    let hours = *parts.first()?;
    if hours > 15 {
        return None;
    }
    Some(sign * (hours * 3600 + parts.get(1).copied().unwrap_or(0) * 60 + parts.get(2).copied().unwrap_or(0)))
}

/// Microseconds since the epoch on the wall clock; a zone is ignored, as PostgreSQL does.
fn timestamp(text: &str) -> Result<i64> {
    local(text, &SqlType::Timestamp).map(|(moment, _)| moment.and_utc().timestamp_micros())
}

/// Microseconds since the epoch in UTC.
fn timestamptz(text: &str, time_zone: &str) -> Result<i64> {
    let (moment, zone) = local(text, &SqlType::Timestamptz)?;
    let zone = if zone.is_empty() { time_zone } else { zone.as_str() };
    if let Some(seconds) = offset_seconds(zone) {
        return Ok(moment.and_utc().timestamp_micros() - seconds * 1_000_000);
    }
    let zone: chrono_tz::Tz = zone.parse().map_err(|_| invalid_datetime(text, &SqlType::Timestamptz))?;
    // In the hour that a change of clocks skips PostgreSQL uses the offset before it; in the repeated hour, standard time.
    let resolved = match zone.from_local_datetime(&moment) {
        chrono::LocalResult::Single(moment) => moment,
        chrono::LocalResult::Ambiguous(_, later) => later,
        chrono::LocalResult::None => zone
            .from_local_datetime(&(moment - chrono::TimeDelta::hours(1)))
            .latest()
            .map(|moment| moment + chrono::TimeDelta::hours(1))
            .ok_or_else(|| invalid_datetime(text, &SqlType::Timestamptz))?,
    };
    Ok(resolved.timestamp_micros())
}

/// Months, days and microseconds while an interval is read.
#[derive(Default)]
struct Span {
    months: i64,
    days: i64,
    micros: i64,
}

impl Span {
    /// Adds `number` of `unit`; a fraction spills into the next smaller field, as in PostgreSQL.
    fn add(&mut self, number: f64, unit: &str) -> Option<()> {
        let unit = unit.to_ascii_lowercase();
        let unit = if unit.len() > 3 { unit.trim_end_matches('s') } else { unit.as_str() };
        match unit {
            "year" | "y" | "yr" | "yrs" => self.add_months(number * 12.0),
            "decade" | "dec" => self.add_months(number * 120.0),
            "century" | "centurie" | "c" | "cent" => self.add_months(number * 1200.0),
            "millennium" | "millennia" | "mil" | "mils" => self.add_months(number * 12_000.0),
            "month" | "mon" | "mons" => {
                let whole = number.trunc();
                self.months = self.months.checked_add(exact(whole)?)?;
                self.add_days((number - whole) * 30.0)
            }
            "week" | "w" => self.add_days(number * 7.0),
            "day" | "d" => self.add_days(number),
            "hour" | "h" | "hr" | "hrs" => self.add_micros(number * 3_600e6),
            "minute" | "min" | "mins" | "m" => self.add_micros(number * 60e6),
            "second" | "sec" | "secs" | "s" => self.add_micros(number * 1e6),
            "millisecond" | "msec" | "ms" | "msecond" => self.add_micros(number * 1e3),
            "microsecond" | "usec" | "us" | "usecond" => self.add_micros(number),
            _ => None,
        }
    }

    fn add_months(&mut self, months: f64) -> Option<()> {
        self.months = self.months.checked_add(exact(months.round())?)?;
        Some(())
    }

    fn add_days(&mut self, days: f64) -> Option<()> {
        let whole = days.trunc();
        self.days = self.days.checked_add(exact(whole)?)?;
        self.add_micros((days - whole) * 86_400e6)
    }

    fn add_micros(&mut self, micros: f64) -> Option<()> {
        self.micros = self.micros.checked_add(exact(micros.round())?)?;
        Some(())
    }

    fn value(&self, negate: bool) -> Option<datafusion::arrow::datatypes::IntervalMonthDayNano> {
        let sign = if negate { -1 } else { 1 };
        Some(datafusion::arrow::datatypes::IntervalMonthDayNano::new(
            i32::try_from(self.months.checked_mul(sign)?).ok()?,
            i32::try_from(self.days.checked_mul(sign)?).ok()?,
            self.micros.checked_mul(1000)?.checked_mul(sign)?,
        ))
    }
}

fn exact(number: f64) -> Option<i64> {
    if number.is_finite() && number.abs() < 9.2e18 { Some(number as i64) } else { None }
}

/// `1 year 2 mons 3 days 04:05:06.789`, `1-2`, `P1Y2M`, `3 days ago`, `5` (seconds).
fn interval(text: &str) -> Result<ScalarValue> {
    let value = read_interval(text.trim()).ok_or_else(|| invalid_datetime(text, &SqlType::Interval))?;
    Ok(ScalarValue::IntervalMonthDayNano(Some(value)))
}

fn read_interval(text: &str) -> Option<datafusion::arrow::datatypes::IntervalMonthDayNano> {
    let mut span = Span::default();
    if text.starts_with('P') {
        iso_duration(text, &mut span)?;
        return span.value(false);
    }
    let spaced = spaced_words(text.trim_start_matches('@'));
    let mut words: Vec<&str> = spaced.split_whitespace().collect();
    let negate = words.last().is_some_and(|word| word.eq_ignore_ascii_case("ago"));
    if negate {
        words.pop();
    }
    if words.is_empty() {
        return None;
    }
    let mut words = words.into_iter().peekable();
    while let Some(word) = words.next() {
        if word.contains(':') {
            clock(word, &mut span)?;
        } else if let Ok(number) = word.parse::<f64>() {
            match words.next_if(|next| next.starts_with(|first: char| first.is_ascii_alphabetic())) {
                Some(unit) => span.add(number, unit)?,
                // A number before a time of day is days, a number at the end is seconds.
                None if words.peek().is_some() => span.add(number, "day")?,
                None => span.add(number, "second")?,
            }
        } else {
            year_month(word, &mut span)?;
        }
    }
    span.value(negate)
}

/// `1day` as `1 day`.
fn spaced_words(text: &str) -> String {
    let mut spaced = String::with_capacity(text.len() + 8);
    let mut last = ' ';
    for character in text.chars() {
        if character.is_ascii_alphabetic() && last.is_ascii_digit() {
            spaced.push(' ');
        }
        spaced.push(character);
        last = character;
    }
    spaced
}

/// `[-]hh:mm[:ss[.fff]]`.
fn clock(word: &str, span: &mut Span) -> Option<()> {
    let (sign, word) = match word.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, word.strip_prefix('+').unwrap_or(word)),
    };
    let parts: Vec<&str> = word.split(':').collect();
    let number = |text: &str| if text.starts_with(['-', '+']) { None } else { text.parse::<f64>().ok() };
    let (hours, minutes, seconds) = match parts.as_slice() {
        [hours, minutes] if minutes.contains('.') => (0.0, number(hours)?, number(minutes)?),
        [hours, minutes] => (number(hours)?, number(minutes)?, 0.0),
        [hours, minutes, seconds] => (number(hours)?, number(minutes)?, number(seconds)?),
        _ => return None,
    };
    if minutes >= 60.0 || seconds > 60.0 {
        return None;
    }
    span.add_micros(sign * hours * 3_600e6)?;
    span.add_micros(sign * minutes * 60e6)?;
    span.add_micros(sign * seconds * 1e6)
}

/// `[-]years-months`.
fn year_month(word: &str, span: &mut Span) -> Option<()> {
    let (sign, word) = match word.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, word.strip_prefix('+').unwrap_or(word)),
    };
    let (years, months) = word.split_once('-')?;
    let (years, months): (i64, i64) = (years.parse().ok()?, months.parse().ok()?);
    if !(0..12).contains(&months) {
        return None;
    }
    let total = years.checked_mul(12)?.checked_add(months)?.checked_mul(sign)?;
    span.months = span.months.checked_add(total)?;
    Some(())
}

/// `P1Y2M3DT4H5M6S`.
fn iso_duration(text: &str, span: &mut Span) -> Option<()> {
    let mut number = String::new();
    let mut in_time = false;
    for character in text.chars().skip(1) {
        match character {
            'T' => in_time = true,
            '0'..='9' | '.' | '-' | '+' => number.push(character),
            unit => {
                let word = match (unit, in_time) {
                    ('Y', false) => "year",
                    ('M', false) => "month",
                    ('W', false) => "week",
                    ('D', false) => "day",
                    ('H', true) => "hour",
                    ('M', true) => "minute",
                    ('S', true) => "second",
                    _ => return None,
                };
                span.add(std::mem::take(&mut number).parse().ok()?, word)?;
            }
        }
    }
    if number.is_empty() && text.len() > 2 { Some(()) } else { None }
}

/// A list of constants in the array type's own representation.
pub(super) fn list(values: &[ScalarValue], array_type: &SqlType) -> Result<ScalarValue> {
    let DataType::List(field) = array_type.arrow_type() else { return Err(Error::internal("array type without elements")) };
    let items: ArrayRef = if values.is_empty() {
        new_empty_array(field.data_type())
    } else {
        ScalarValue::iter_to_array(values.iter().cloned()).map_err(|error| Error::internal(format!("array literal: {error}")))?
    };
    let list = ListArray::try_new(field, OffsetBuffer::from_lengths([values.len()]), items, None)
        .map_err(|error| Error::internal(format!("array literal: {error}")))?;
    Ok(ScalarValue::List(Arc::new(list)))
}

/// `{1,2,NULL,"a b"}`: one dimension.
fn array(text: &str, element: &SqlType, time_zone: &str) -> Result<ScalarValue> {
    let bad = |detail: &str| {
        Error::new(ErrorKind::InvalidText, format!("malformed array literal: \"{text}\"")).with_detail(detail.to_string())
    };
    let inner = text
        .trim()
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'))
        .ok_or_else(|| bad("Array value must start with \"{\" and end with \"}\"."))?;
    let mut values = vec![];
    let mut item = String::new();
    let (mut quoted, mut in_quotes) = (false, false);
    let mut characters = inner.chars();
    let null = ScalarValue::try_from(&element.arrow_type()).map_err(|error| Error::internal(error.to_string()))?;
    let mut push = |item: &mut String, quoted: &mut bool| -> Result<()> {
        let raw = std::mem::take(item);
        let was_quoted = std::mem::replace(quoted, false);
        let word = if was_quoted { raw.as_str() } else { raw.trim() };
        if word.is_empty() && !was_quoted {
            return Err(bad("Unexpected \",\" character."));
        }
        values.push(if !was_quoted && word.eq_ignore_ascii_case("null") { null.clone() } else { parse(word, element, time_zone)? });
        Ok(())
    };
    while let Some(character) = characters.next() {
        match character {
            '\\' => item.extend(characters.next()),
            '"' => {
                in_quotes = !in_quotes;
                quoted = true;
            }
            ',' if !in_quotes => push(&mut item, &mut quoted)?,
            '{' | '}' if !in_quotes => return Err(Error::unsupported("an array of several dimensions")),
            ' ' if !in_quotes && quoted => {}
            other => item.push(other),
        }
    }
    if in_quotes {
        return Err(bad("Unexpected end of input."));
    }
    if !inner.trim().is_empty() {
        push(&mut item, &mut quoted)?;
    }
    list(&values, &SqlType::Array(Box::new(element.clone())))
}

/// `1 2 3`.
fn vector(text: &str, element: &SqlType, vector: &SqlType, time_zone: &str) -> Result<ScalarValue> {
    let values = text.split_whitespace().map(|word| parse(word, element, time_zone)).collect::<Result<Vec<_>>>()?;
    list(&values, vector)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, sql_type: SqlType) -> String {
        match parse(text, &sql_type, "Europe/Berlin") {
            Ok(value) => value.to_string(),
            Err(error) => format!("{} {}", error.kind().sqlstate(), error.message()),
        }
    }

    #[test]
    fn literals_are_read_as_postgresql_reads_them() {
        assert_eq!(read("t", SqlType::Bool), "true");
        assert_eq!(read(" of ", SqlType::Bool), "false");
        assert_eq!(read("o", SqlType::Bool), "22P02 invalid input syntax for type boolean: \"o\"");
        assert_eq!(read(" 42 ", SqlType::Int4), "42");
        assert_eq!(read("99999999999", SqlType::Int4), "22003 value \"99999999999\" is out of range for type integer");
        assert_eq!(read("-1", SqlType::Oid), "4294967295");
        assert_eq!(read("2024-02-29", SqlType::Date), "2024-02-29");
        assert_eq!(read("2024-01-05 +00", SqlType::Date), "2024-01-05");
        assert_eq!(read("2023-02-29", SqlType::Date), "22008 date/time field value out of range: \"2023-02-29\"");
        assert_eq!(read("Jan 5", SqlType::Date), "22007 invalid input syntax for type date: \"Jan 5\"");
        assert_eq!(read("{A0EEBC999C0B4EF8BB6D6BB9BD380A11}", SqlType::Uuid), "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11");
    }

    #[test]
    fn moments_follow_the_time_zone() {
        let micros = |text: &str| match parse(text, &SqlType::Timestamptz, "Europe/Berlin") {
            Ok(ScalarValue::TimestampMicrosecond(Some(micros), _)) => micros,
            other => panic!("{other:?}"),
        };
        assert_eq!(micros("1970-01-01 01:00:00"), 0);
        assert_eq!(micros("1970-01-01T00:00:00.5Z"), 500_000);
        assert_eq!(micros("1970-01-01 00:00:00-05:30"), 19_800_000_000);
        assert_eq!(micros("1970-01-01 00:00:00 America/New_York"), 18_000_000_000);
        assert_eq!(micros("1970-01-01 1:00 AM"), 0);
    }

    #[test]
    fn numerics_keep_their_digits() {
        let decimal = Decimal::read("-12.345e1").unwrap();
        assert_eq!(decimal.narrowest(), Some((5, 2)));
        assert_eq!(decimal.constant(5, 2), Some(ScalarValue::Decimal128(Some(-12_345), 5, 2)));
        assert_eq!(decimal.constant(4, 0), Some(ScalarValue::Decimal128(Some(-123), 4, 0)));
        assert_eq!(Decimal::read("0.05").unwrap().narrowest(), Some((2, 2)));
        assert_eq!(Decimal::read("1e3").unwrap().constant(4, 0), Some(ScalarValue::Decimal128(Some(1000), 4, 0)));
        assert_eq!(Decimal::read("1e"), None);
        assert_eq!(read("123.456", SqlType::Numeric { precision: 5, scale: 2 }), "123.46");
    }

    #[test]
    fn arrays_and_intervals() {
        assert_eq!(read("{1, 2,NULL}", SqlType::Array(Box::new(SqlType::Int4))), "[1, 2, ]");
        assert_eq!(read("{}", SqlType::Array(Box::new(SqlType::Text))), "[]");
        assert_eq!(read("1 2", SqlType::OidVector), "[1, 2]");
        for text in ["1 day 02:00:00", "P1DT2H", "1day 2hours", "@ 1 day 2 h", "-1 days -2 hours ago", "1 02:00"] {
            assert_eq!(read(text, SqlType::Interval), read("1 day 2 hours", SqlType::Interval), "{text}");
        }
        let months = |text: &str| match parse(text, &SqlType::Interval, "UTC") {
            Ok(ScalarValue::IntervalMonthDayNano(Some(value))) => (value.months, value.days, value.nanoseconds),
            other => panic!("{other:?}"),
        };
        assert_eq!(months("1-2"), (14, 0, 0));
        assert_eq!(months("1.5 months"), (1, 15, 0));
        assert_eq!(months("90"), (0, 0, 90_000_000_000));
        assert_eq!(read("soon", SqlType::Interval), "22007 invalid input syntax for type interval: \"soon\"");
    }
}
