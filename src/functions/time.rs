//! Calendar arithmetic: zones, fields of a date, truncation. Instants are microseconds since 1970-01-01, as in Arrow and on the wire.

use std::str::FromStr;

use chrono::{DateTime, NaiveDateTime, Offset, TimeZone, Utc};
use datafusion::arrow::datatypes::IntervalMonthDayNano;

use crate::error::{Error, ErrorKind, Result};

/// Microseconds of a day.
pub const MICROS_PER_DAY: i64 = 86_400_000_000;
/// Microseconds of a second.
pub const MICROS_PER_SECOND: i64 = 1_000_000;

/// A time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zone {
    /// UTC, without any rule.
    Utc,
    /// Seconds east of UTC.
    Fixed(i32),
    /// A zone of the IANA database.
    Named(chrono_tz::Tz),
}

impl Zone {
    /// Reads a zone as `SET TIME ZONE` and `AT TIME ZONE` take it: an IANA name in any case, `UTC`, hours such as `+2` or `-03:30`
    /// (east positive, as ISO 8601 writes it), or PostgreSQL's own form `<+02>-02`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidParameter`] if there is no such zone.
    pub fn parse(text: &str) -> Result<Zone> {
        let text = text.trim();
        if ["utc", "gmt", "z", "zulu", "etc/utc", "universal"].iter().any(|name| text.eq_ignore_ascii_case(name)) {
            return Ok(Zone::Utc);
        }
        if let Some(zone) = chrono_tz::Tz::from_str(text).ok().or_else(|| find_ignoring_case(text)) {
            return Ok(Zone::Named(zone));
        }
        let unknown = || Error::new(ErrorKind::InvalidParameter, format!("time zone \"{text}\" not recognized"));
        let offset = match text.strip_prefix('<').and_then(|open| open.split_once('>')) {
            Some((_, posix)) => -parse_offset(posix).ok_or_else(unknown)?,
            None => parse_offset(text).ok_or_else(unknown)?,
        };
        Ok(if offset == 0 { Zone::Utc } else { Zone::Fixed(offset) })
    }

    /// Seconds east of UTC at an instant.
    pub fn offset_at(self, utc: i64) -> i32 {
        match self {
            Zone::Utc => 0,
            Zone::Fixed(offset) => offset,
            Zone::Named(zone) => DateTime::<Utc>::from_timestamp_micros(utc)
                .map_or(0, |instant| zone.offset_from_utc_datetime(&instant.naive_utc()).fix().local_minus_utc()),
        }
    }

    /// Abbreviation of the zone at an instant, `UTC` or `CEST`.
    pub fn abbreviation_at(self, utc: i64) -> String {
        match self {
            Zone::Utc => "UTC".to_string(),
            Zone::Fixed(offset) => offset_text(offset),
            Zone::Named(zone) => DateTime::<Utc>::from_timestamp_micros(utc)
                .map_or_else(String::new, |instant| instant.with_timezone(&zone).format("%Z").to_string()),
        }
    }
}

fn find_ignoring_case(text: &str) -> Option<chrono_tz::Tz> {
    chrono_tz::TZ_VARIANTS.iter().copied().find(|zone| zone.name().eq_ignore_ascii_case(text))
}

/// `+02:30` for seconds east of UTC.
pub fn offset_text(offset: i32) -> String {
    let sign = if offset < 0 { '-' } else { '+' };
    let (hours, minutes, seconds) = (offset.abs() / 3600, offset.abs() / 60 % 60, offset.abs() % 60);
    match (minutes, seconds) {
        (0, 0) => format!("{sign}{hours:02}"),
        (_, 0) => format!("{sign}{hours:02}:{minutes:02}"),
        _ => format!("{sign}{hours:02}:{minutes:02}:{seconds:02}"),
    }
}

fn parse_offset(text: &str) -> Option<i32> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let mut parts = digits.split(':');
    let hours: f64 = parts.next()?.parse().ok()?;
    let minutes: i32 = parts.next().map_or(Some(0), |part| part.parse().ok())?;
    let seconds: i32 = parts.next().map_or(Some(0), |part| part.parse().ok())?;
    let in_range =
        (0.0..=15.99).contains(&hours) && (0..60).contains(&minutes) && (0..60).contains(&seconds) && parts.next().is_none();
    #[expect(clippy::cast_possible_truncation, reason = "at most 16 hours")]
    let whole = (hours * 3600.0).round() as i32;
    in_range.then_some(sign * (whole + minutes * 60 + seconds))
}

/// The local time in `zone` at an instant.
pub fn utc_to_local(zone: Zone, utc: i64) -> i64 {
    utc.saturating_add(i64::from(zone.offset_at(utc)) * MICROS_PER_SECOND)
}

/// The instant of a local time. Where clocks are set back the later of the two, where they are set forward the time that clocks which
/// were not set would show, as PostgreSQL does.
pub fn local_to_utc(zone: Zone, local: i64) -> i64 {
    let shifted = |offset: i32| local.saturating_sub(i64::from(offset) * MICROS_PER_SECOND);
    match zone {
        Zone::Utc => local,
        Zone::Fixed(offset) => shifted(offset),
        Zone::Named(named) => {
            let Some(naive) = DateTime::<Utc>::from_timestamp_micros(local).map(|instant| instant.naive_utc()) else {
                return local;
            };
            match named.offset_from_local_datetime(&naive) {
                chrono::LocalResult::Single(offset) | chrono::LocalResult::Ambiguous(_, offset) => {
                    shifted(offset.fix().local_minus_utc())
                }
                chrono::LocalResult::None => shifted(zone.offset_at(local - MICROS_PER_DAY)),
            }
        }
    }
}

/// A calendar date and the microseconds of its day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Civil {
    /// Proleptic Gregorian year; 0 is 1 BC.
    pub year: i64,
    /// 1 to 12.
    pub month: i64,
    /// 1 to 31.
    pub day: i64,
    /// Microseconds since midnight.
    pub micros: i64,
}

impl Civil {
    /// From microseconds since 1970-01-01.
    pub fn of(local: i64) -> Civil {
        let days = local.div_euclid(MICROS_PER_DAY);
        let (year, month, day) = civil_from_days(days);
        Civil { year, month, day, micros: local.rem_euclid(MICROS_PER_DAY) }
    }

    /// Microseconds since 1970-01-01.
    pub fn local(self) -> i64 {
        days_from_civil(self.year, self.month, self.day).saturating_mul(MICROS_PER_DAY).saturating_add(self.micros)
    }
}

/// Days since 1970-01-01 of a date.
pub fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Year, month and day of a number of days since 1970-01-01.
pub fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted_month + 2) / 5 + 1)
}

/// Days of a month.
pub fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Whether a date exists.
pub fn is_date(year: i64, month: i64, day: i64) -> bool {
    (1..=12).contains(&month) && day >= 1 && day <= days_in_month(year, month)
}

/// ISO 8601 year and week of a number of days since 1970-01-01.
pub fn iso_week(days: i64) -> (i64, i64) {
    let weekday = (days + 3).rem_euclid(7);
    let thursday = days - weekday + 3;
    let (year, ..) = civil_from_days(thursday);
    (year, (thursday - days_from_civil(year, 1, 1)) / 7 + 1)
}

/// A field of a date, time or interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// `microseconds`
    Microseconds,
    /// `milliseconds`
    Milliseconds,
    /// `second`
    Second,
    /// `minute`
    Minute,
    /// `hour`
    Hour,
    /// `day`
    Day,
    /// `week`: of ISO 8601
    Week,
    /// `month`
    Month,
    /// `quarter`
    Quarter,
    /// `year`
    Year,
    /// `decade`
    Decade,
    /// `century`
    Century,
    /// `millennium`
    Millennium,
    /// `dow`: 0 for Sunday
    DayOfWeek,
    /// `isodow`: 7 for Sunday
    IsoDayOfWeek,
    /// `doy`
    DayOfYear,
    /// `isoyear`
    IsoYear,
    /// `epoch`
    Epoch,
    /// `julian`
    Julian,
    /// `timezone`: seconds east of UTC
    Timezone,
    /// `timezone_hour`
    TimezoneHour,
    /// `timezone_minute`
    TimezoneMinute,
}

impl Part {
    /// Reads the name of a field with PostgreSQL's abbreviations.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidParameter`] for other words.
    pub fn parse(text: &str, of: &str) -> Result<Part> {
        let word = text.trim().to_lowercase();
        Ok(match word.as_str() {
            "microseconds" | "microsecond" | "us" | "usec" | "usecs" | "usecond" | "useconds" => Part::Microseconds,
            "milliseconds" | "millisecond" | "ms" | "msec" | "msecs" | "msecond" | "mseconds" => Part::Milliseconds,
            "second" | "seconds" | "s" | "sec" | "secs" => Part::Second,
            "minute" | "minutes" | "m" | "min" | "mins" => Part::Minute,
            "hour" | "hours" | "h" | "hr" | "hrs" => Part::Hour,
            "day" | "days" | "d" | "dayofmonth" => Part::Day,
            "week" | "weeks" | "w" | "weekofyear" => Part::Week,
            "month" | "months" | "mon" | "mons" => Part::Month,
            "quarter" | "quarters" | "qtr" => Part::Quarter,
            "year" | "years" | "y" | "yr" | "yrs" => Part::Year,
            "decade" | "decades" | "dec" | "decs" => Part::Decade,
            "century" | "centuries" | "c" | "cent" => Part::Century,
            "millennium" | "millennia" | "mil" | "mils" => Part::Millennium,
            "dow" => Part::DayOfWeek,
            "isodow" => Part::IsoDayOfWeek,
            "doy" => Part::DayOfYear,
            "isoyear" => Part::IsoYear,
            "epoch" => Part::Epoch,
            "julian" | "jd" | "j" => Part::Julian,
            "timezone" => Part::Timezone,
            "timezone_hour" | "timezone_h" => Part::TimezoneHour,
            "timezone_minute" | "timezone_m" => Part::TimezoneMinute,
            _ => return Err(Error::new(ErrorKind::InvalidParameter, format!("unit \"{word}\" not recognized for type {of}"))),
        })
    }

    /// Decimal digits of the field's value: EXTRACT gives `numeric` with so many.
    pub const fn scale(self) -> i8 {
        match self {
            Part::Second | Part::Epoch | Part::Julian => 6,
            Part::Milliseconds => 3,
            _ => 0,
        }
    }

    /// The field of a local time, as an integer of 10^-`scale`. `offset` is the zone's offset in seconds, for `timezone`; the epoch
    /// is counted from UTC.
    pub fn of_local(self, local: i64, offset: i32) -> i64 {
        let micros = local.rem_euclid(MICROS_PER_DAY);
        match self {
            Part::Microseconds => return micros % (60 * MICROS_PER_SECOND),
            Part::Milliseconds => return micros % (60 * MICROS_PER_SECOND),
            Part::Second => return micros % (60 * MICROS_PER_SECOND),
            Part::Minute => return micros / (60 * MICROS_PER_SECOND) % 60,
            Part::Hour => return micros / (3600 * MICROS_PER_SECOND),
            Part::Epoch => return local - i64::from(offset) * MICROS_PER_SECOND,
            Part::Timezone => return offset.into(),
            Part::TimezoneHour => return (offset / 3600).into(),
            Part::TimezoneMinute => return (offset / 60 % 60).into(),
            _ => {}
        }
        let days = local.div_euclid(MICROS_PER_DAY);
        match self {
            Part::DayOfWeek => return (days + 4).rem_euclid(7),
            Part::IsoDayOfWeek => return (days + 3).rem_euclid(7) + 1,
            Part::Week => return iso_week(days).1,
            Part::IsoYear => return shown_year(iso_week(days).0),
            // The fraction of the day counts, to six digits.
            Part::Julian => return (days + 2_440_588).saturating_mul(MICROS_PER_SECOND).saturating_add(micros / 86_400),
            _ => {}
        }
        let (year, month, day) = civil_from_days(days);
        match self {
            Part::Day => day,
            Part::Month => month,
            Part::Quarter => (month - 1) / 3 + 1,
            Part::Year => shown_year(year),
            Part::Decade => year.div_euclid(10),
            Part::Century => ordinal_of_years(year, 100),
            Part::Millennium => ordinal_of_years(year, 1000),
            Part::DayOfYear => days - days_from_civil(year, 1, 1) + 1,
            _ => 0,
        }
    }

    /// The field of an interval, as an integer of 10^-`scale`; `None` where an interval has no such field.
    pub fn of_interval(self, interval: IntervalMonthDayNano) -> Option<i64> {
        let micros = interval.nanoseconds / 1000;
        let months = i64::from(interval.months);
        Some(match self {
            Part::Microseconds | Part::Milliseconds | Part::Second => micros % (60 * MICROS_PER_SECOND),
            Part::Minute => micros / (60 * MICROS_PER_SECOND) % 60,
            Part::Hour => micros / (3600 * MICROS_PER_SECOND),
            Part::Day => interval.days.into(),
            Part::Month => months % 12,
            Part::Quarter => months % 12 / 3 + 1,
            Part::Year => months / 12,
            Part::Decade => months / 120,
            Part::Century => months / 1200,
            Part::Millennium => months / 12_000,
            Part::Epoch => {
                let days = months / 12 * 1461 * MICROS_PER_DAY / 4 + months % 12 * 30 * MICROS_PER_DAY;
                days + i64::from(interval.days) * MICROS_PER_DAY + micros
            }
            _ => return None,
        })
    }
}

fn shown_year(year: i64) -> i64 {
    if year > 0 { year } else { year - 1 }
}

/// First century is 1 to 100; before it comes the first before Christ.
fn ordinal_of_years(year: i64, length: i64) -> i64 {
    if year > 0 { (year + length - 1) / length } else { -((length - 1 - (year - 1)) / length) }
}

/// Cuts a local time down to a field.
///
/// # Errors
/// [`ErrorKind::Unsupported`] for fields that cannot be cut to, as in PostgreSQL.
pub fn truncate(part: Part, local: i64) -> Result<i64> {
    let unit = match part {
        Part::Microseconds => return Ok(local),
        Part::Milliseconds => 1000,
        Part::Second => MICROS_PER_SECOND,
        Part::Minute => 60 * MICROS_PER_SECOND,
        Part::Hour => 3600 * MICROS_PER_SECOND,
        Part::Day => MICROS_PER_DAY,
        _ => 0,
    };
    if unit > 0 {
        return Ok(local - local.rem_euclid(unit));
    }
    let days = local.div_euclid(MICROS_PER_DAY);
    if part == Part::Week {
        return Ok((days - (days + 3).rem_euclid(7)) * MICROS_PER_DAY);
    }
    let (year, month, _) = civil_from_days(days);
    let (year, month) = match part {
        Part::Month => (year, month),
        Part::Quarter => (year, month - (month - 1) % 3),
        Part::Year => (year, 1),
        Part::Decade => (year - year.rem_euclid(10), 1),
        Part::Century => (year - (year - 1).rem_euclid(100), 1),
        Part::Millennium => (year - (year - 1).rem_euclid(1000), 1),
        _ => {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("unit {part:?} is not supported for date_trunc").to_lowercase(),
            ));
        }
    };
    Ok(days_from_civil(year, month, 1) * MICROS_PER_DAY)
}

/// Cuts an interval down to a field.
///
/// # Errors
/// [`ErrorKind::Unsupported`] for fields that an interval cannot be cut to.
pub fn truncate_interval(part: Part, interval: IntervalMonthDayNano) -> Result<IntervalMonthDayNano> {
    let IntervalMonthDayNano { months, days, nanoseconds } = interval;
    let of_time = |unit: i64| IntervalMonthDayNano::new(months, days, nanoseconds - nanoseconds % unit);
    let of_months = |unit: i32| IntervalMonthDayNano::new(months - months % unit, 0, 0);
    Ok(match part {
        Part::Microseconds => of_time(1000),
        Part::Milliseconds => of_time(1_000_000),
        Part::Second => of_time(1_000_000_000),
        Part::Minute => of_time(60_000_000_000),
        Part::Hour => of_time(3_600_000_000_000),
        Part::Day => IntervalMonthDayNano::new(months, days, 0),
        Part::Month => of_months(1),
        Part::Quarter => of_months(3),
        Part::Year => of_months(12),
        Part::Decade => of_months(120),
        Part::Century => of_months(1200),
        Part::Millennium => of_months(12_000),
        _ => {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("unit {part:?} is not supported for type interval").to_lowercase(),
            ));
        }
    })
}

/// Adds an interval to a local time: months first, clipped to the month's end, then days, then time.
pub fn add_interval(local: i64, interval: IntervalMonthDayNano) -> i64 {
    let mut civil = Civil::of(local);
    if interval.months != 0 {
        let months = civil.year * 12 + civil.month - 1 + i64::from(interval.months);
        civil.year = months.div_euclid(12);
        civil.month = months.rem_euclid(12) + 1;
        civil.day = civil.day.min(days_in_month(civil.year, civil.month));
    }
    civil.local().saturating_add(i64::from(interval.days) * MICROS_PER_DAY).saturating_add(interval.nanoseconds / 1000)
}

/// The symbolic difference `later - earlier` of two local times: `age()`.
pub fn age(later: i64, earlier: i64) -> IntervalMonthDayNano {
    if later < earlier {
        let IntervalMonthDayNano { months, days, nanoseconds } = age(earlier, later);
        return IntervalMonthDayNano::new(-months, -days, -nanoseconds);
    }
    let (to, from) = (Civil::of(later), Civil::of(earlier));
    let mut months = (to.year - from.year) * 12 + to.month - from.month;
    let mut days = to.day - from.day;
    let mut micros = to.micros - from.micros;
    if micros < 0 {
        micros += MICROS_PER_DAY;
        days -= 1;
    }
    if days < 0 {
        days += days_in_month(from.year, from.month);
        months -= 1;
    }
    IntervalMonthDayNano::new(i32::try_from(months).unwrap_or(i32::MAX), i32::try_from(days).unwrap_or(i32::MAX), micros * 1000)
}

/// Microseconds since 1970-01-01 UTC of a point in time.
pub fn instant(time: DateTime<Utc>) -> i64 {
    time.timestamp_micros()
}

/// A local time as a chrono value, for formatting.
pub fn naive(local: i64) -> Option<NaiveDateTime> {
    DateTime::<Utc>::from_timestamp_micros(local).map(|instant| instant.naive_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(text: &str) -> i64 {
        NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").unwrap().and_utc().timestamp_micros()
    }

    #[test]
    fn days_and_dates_are_inverse() {
        for days in (-1_000_000..1_000_000).step_by(997) {
            let (year, month, day) = civil_from_days(days);
            assert!(is_date(year, month, day));
            assert_eq!(days_from_civil(year, month, day), days);
        }
        assert_eq!(civil_from_days(0), (1970, 1, 1));
        assert_eq!(civil_from_days(-1), (1969, 12, 31));
    }

    #[test]
    fn zones_are_read_and_move_instants() {
        let berlin = Zone::parse("europe/berlin").unwrap();
        let summer = local("2024-07-01 12:00:00");
        assert_eq!(local_to_utc(berlin, summer), local("2024-07-01 10:00:00"));
        assert_eq!(utc_to_local(berlin, local("2024-07-01 10:00:00")), summer);
        // 02:30 happened twice: the later one, in winter time.
        assert_eq!(local_to_utc(berlin, local("2024-10-27 02:30:00")), local("2024-10-27 01:30:00"));
        // 02:30 did not happen.
        assert_eq!(local_to_utc(berlin, local("2024-03-31 02:30:00")), local("2024-03-31 01:30:00"));
        assert_eq!(Zone::parse("+05:30").unwrap(), Zone::Fixed(19_800));
        assert_eq!(Zone::parse("<-03>+03").unwrap(), Zone::Fixed(-10_800));
        assert_eq!(Zone::parse("UTC").unwrap(), Zone::Utc);
        assert!(Zone::parse("Middle/Earth").is_err());
    }

    #[test]
    fn fields_are_postgresqls() {
        let time = local("2024-12-30 13:45:30");
        for (word, value) in [
            ("year", 2024),
            ("month", 12),
            ("day", 30),
            ("hour", 13),
            ("minute", 45),
            ("second", 30_000_000),
            ("week", 1),
            ("isoyear", 2025),
            ("dow", 1),
            ("isodow", 1),
            ("doy", 365),
            ("quarter", 4),
            ("decade", 202),
            ("century", 21),
            ("millennium", 3),
        ] {
            assert_eq!(Part::parse(word, "timestamp").unwrap().of_local(time, 0), value, "{word}");
        }
        assert_eq!(Part::Century.of_local(local("2000-06-01 00:00:00"), 0), 20);
    }

    #[test]
    fn truncation_keeps_the_field() {
        let time = local("2024-08-14 13:45:30");
        for (part, text) in [
            (Part::Hour, "2024-08-14 13:00:00"),
            (Part::Week, "2024-08-12 00:00:00"),
            (Part::Quarter, "2024-07-01 00:00:00"),
            (Part::Decade, "2020-01-01 00:00:00"),
            (Part::Century, "2001-01-01 00:00:00"),
        ] {
            assert_eq!(truncate(part, time).unwrap(), local(text), "{part:?}");
        }
        assert!(truncate(Part::Epoch, time).is_err());
    }

    #[test]
    fn ages_are_symbolic() {
        let of = |later: &str, earlier: &str| age(local(later), local(earlier));
        assert_eq!(of("2001-04-10 00:00:00", "1957-06-13 00:00:00"), IntervalMonthDayNano::new(43 * 12 + 9, 27, 0));
        assert_eq!(of("2024-03-01 00:00:00", "2024-01-31 00:00:00"), IntervalMonthDayNano::new(1, 1, 0));
        assert_eq!(of("2024-01-31 00:00:00", "2024-03-01 00:00:00"), IntervalMonthDayNano::new(-1, -1, 0));
    }

    #[test]
    fn months_are_clipped_to_their_end() {
        assert_eq!(add_interval(local("2024-01-31 10:00:00"), IntervalMonthDayNano::new(1, 0, 0)), local("2024-02-29 10:00:00"));
    }
}
