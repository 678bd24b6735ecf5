//! Fields of dates, times, timestamps and intervals: EXTRACT, `date_part`, `date_trunc`.
//!
//! ```text
//!  "hour" ── DatetimePart ──┬─ of(value)     an integer of 10^-scale, for EXTRACT's numeric
//!                           ├─ float_of(..)  for date_part's double precision
//!                           └─ truncate(..)  for date_trunc
//! ```
//! Which kind of value has which field, and with how many digits, is PostgreSQL's; what a kind does not have is 0A000, a word that names
//! no field is 22023.

use super::IntervalValue;
use super::calendar::{DAY_MICROS, civil_from_days, days_from_civil, iso_week};
use super::moment::{timestamp_in_range, timestamp_out_of_range};
use crate::error::{Error, ErrorKind, Result};

/// What is taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PartOf {
    /// `date`
    Date,
    /// `time without time zone`
    Time,
    /// `timestamp without time zone`
    Timestamp,
    /// `timestamp with time zone`
    Timestamptz,
    /// `interval`
    Interval,
}

impl PartOf {
    /// The type's name.
    pub const fn type_name(self) -> &'static str {
        match self {
            PartOf::Date => "date",
            PartOf::Time => "time without time zone",
            PartOf::Timestamp => "timestamp without time zone",
            PartOf::Timestamptz => "timestamp with time zone",
            PartOf::Interval => "interval",
        }
    }
}

/// A field of a date, time or interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DatetimePart {
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

/// A local time, or with the zone's offset at that moment an instant: what fields are taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartSource {
    /// Microseconds since 1970 on the clock.
    pub local: i64,
    /// Seconds east of Greenwich; 0 for what has no zone.
    pub offset: i32,
}

use DatetimePart::{
    Century, Day, DayOfWeek, DayOfYear, Decade, Epoch, Hour, IsoDayOfWeek, IsoYear, Julian, Microseconds, Millennium, Milliseconds,
    Minute, Month, Quarter, Second, Timezone, TimezoneHour, TimezoneMinute, Week, Year,
};

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const JULIAN_OF_1970: i64 = 2_440_588;
/// Digits of a Julian day with its time of day.
const JULIAN_SCALE: i8 = 20;

impl DatetimePart {
    /// Reads the name of a field with PostgreSQL's abbreviations; as there, ten characters count.
    ///
    /// # Errors
    /// 22023 for other words.
    pub fn parse(text: &str, of: PartOf) -> Result<DatetimePart> {
        let lower = text.to_lowercase();
        let word = lower.get(..10).unwrap_or(&lower);
        Ok(match word {
            "microsecon" | "us" | "usec" | "usecs" | "usecond" | "useconds" => Microseconds,
            "millisecon" | "ms" | "msec" | "msecs" | "msecond" | "mseconds" => Milliseconds,
            "second" | "seconds" | "s" | "sec" | "secs" => Second,
            "minute" | "minutes" | "m" | "min" | "mins" => Minute,
            "hour" | "hours" | "h" | "hr" | "hrs" => Hour,
            "day" | "days" | "d" => Day,
            "week" | "weeks" | "w" => Week,
            "month" | "months" | "mon" | "mons" => Month,
            "quarter" | "qtr" => Quarter,
            "year" | "years" | "y" | "yr" | "yrs" => Year,
            "decade" | "decades" | "dec" | "decs" => Decade,
            "century" | "centuries" | "c" | "cent" => Century,
            "millennium" | "millennia" | "mil" | "mils" => Millennium,
            "dow" => DayOfWeek,
            "isodow" => IsoDayOfWeek,
            "doy" => DayOfYear,
            "isoyear" => IsoYear,
            "epoch" => Epoch,
            "julian" | "jd" | "j" => Julian,
            "timezone" => Timezone,
            "timezone_h" => TimezoneHour,
            "timezone_m" => TimezoneMinute,
            _ => return Err(unknown(&lower, of)),
        })
    }

    /// Fields that PostgreSQL's list of special words has, not its list of units.
    const fn is_special(self) -> bool {
        matches!(self, DayOfWeek | IsoDayOfWeek | DayOfYear | IsoYear | Epoch | Julian)
    }

    const fn is_clock(self) -> bool {
        matches!(self, Microseconds | Milliseconds | Second | Minute | Hour)
    }

    /// Whether values of a kind have the field.
    ///
    /// # Errors
    /// 0A000 if not. `word` is how the field was written.
    pub fn require(self, of: PartOf, word: &str) -> Result<()> {
        let has = match of {
            PartOf::Timestamptz => true,
            PartOf::Timestamp => !matches!(self, Timezone | TimezoneHour | TimezoneMinute),
            PartOf::Date => !self.is_clock() && !matches!(self, Timezone | TimezoneHour | TimezoneMinute),
            PartOf::Time => self.is_clock() || self == Epoch,
            PartOf::Interval => {
                self.is_clock() || matches!(self, Day | Month | Quarter | Year | Decade | Century | Millennium | Epoch)
            }
        };
        if has { Ok(()) } else { Err(unsupported(word, of)) }
    }

    /// Decimal digits of the field's value behind the point: EXTRACT gives `numeric` with so many.
    pub const fn scale(self, of: PartOf) -> i8 {
        match (self, of) {
            (Julian | Epoch, PartOf::Date) => 0,
            (Julian, _) => JULIAN_SCALE,
            (Second | Epoch, _) => 6,
            (Milliseconds, _) => 3,
            _ => 0,
        }
    }

    /// The field of a moment, as an integer of 10^-`scale`.
    pub fn of(self, source: PartSource, of: PartOf) -> i128 {
        let micros = source.local.rem_euclid(DAY_MICROS);
        let days = source.local.div_euclid(DAY_MICROS);
        match (self, of) {
            (Julian, PartOf::Date) => (days + JULIAN_OF_1970).into(),
            (Julian, _) => {
                let ten = |power: i8| 10_i128.pow(power.unsigned_abs().into());
                // A fraction of the day, rounded half up to the digits that are shown.
                let (numerator, day) = (i128::from(micros) * ten(JULIAN_SCALE), i128::from(DAY_MICROS));
                i128::from(days + JULIAN_OF_1970) * ten(JULIAN_SCALE) + (numerator + day / 2) / day
            }
            (Epoch, PartOf::Date) => i128::from(days) * 86_400,
            (Epoch, _) => i128::from(source.local) - i128::from(source.offset) * i128::from(SECOND),
            _ => self.small(source).into(),
        }
    }

    /// The field of a moment as `date_part` gives it.
    #[expect(clippy::cast_precision_loss, reason = "a double has the precision that it has")]
    pub fn float_of(self, source: PartSource) -> f64 {
        let micros = source.local.rem_euclid(DAY_MICROS);
        let (second, fraction) = ((micros / SECOND % 60) as f64, (micros % SECOND) as f64);
        match self {
            Milliseconds => second * 1000.0 + fraction / 1000.0,
            Second => second + fraction / 1e6,
            Epoch => (i128::from(source.local) - i128::from(source.offset) * i128::from(SECOND)) as f64 / 1e6,
            Julian => {
                let days = source.local.div_euclid(DAY_MICROS) + JULIAN_OF_1970;
                days as f64 + ((micros / SECOND) as f64 + fraction / 1e6) / 86_400.0
            }
            _ => self.small(source) as f64,
        }
    }

    /// Fields that fit an `i64`, fractions of seconds in microseconds.
    fn small(self, source: PartSource) -> i64 {
        let offset = i64::from(source.offset);
        let micros = source.local.rem_euclid(DAY_MICROS);
        match self {
            Microseconds | Milliseconds | Second => return micros % MINUTE,
            Minute => return micros / MINUTE % 60,
            Hour => return micros / HOUR,
            Timezone => return offset,
            TimezoneHour => return offset / 3600,
            TimezoneMinute => return offset / 60 % 60,
            _ => {}
        }
        let days = source.local.div_euclid(DAY_MICROS);
        match self {
            DayOfWeek => return (days + 4).rem_euclid(7),
            IsoDayOfWeek => return (days + 3).rem_euclid(7) + 1,
            Week => return iso_week(days).1,
            IsoYear => return shown_year(iso_week(days).0),
            _ => {}
        }
        let (year, month, day) = civil_from_days(days);
        let month = i64::from(month);
        match self {
            Day => day.into(),
            Month => month,
            Quarter => (month - 1) / 3 + 1,
            Year => shown_year(year),
            Decade => year.div_euclid(10),
            Century => ordinal_of_years(year, 100),
            Millennium => ordinal_of_years(year, 1000),
            _ => days - days_from_civil(year, 1, 1) + 1,
        }
    }

    /// The field of an interval, as an integer of 10^-`scale`; 0 where an interval has none.
    pub fn of_interval(self, interval: IntervalValue) -> i128 {
        let (months, micros) = (i64::from(interval.months), interval.micros);
        let small = match self {
            Microseconds | Milliseconds | Second => micros % MINUTE,
            Minute => micros / MINUTE % 60,
            Hour => micros / HOUR,
            Day => interval.days.into(),
            Month => months % 12,
            Quarter => months % 12 / 3 + 1,
            Year => months / 12,
            Decade => months / 120,
            Century => months / 1200,
            Millennium => months / 12_000,
            Epoch => {
                // A year has 365.25 days.
                let quarter_days = 1461 * (months / 12) + 120 * (months % 12) + 4 * i64::from(interval.days);
                return i128::from(quarter_days) * i128::from(DAY_MICROS / 4) + i128::from(micros);
            }
            _ => 0,
        };
        small.into()
    }

    /// The field of an interval as `date_part` gives it.
    #[expect(clippy::cast_precision_loss, reason = "a double has the precision that it has")]
    pub fn float_of_interval(self, interval: IntervalValue) -> f64 {
        let micros = interval.micros;
        let (second, fraction) = ((micros / SECOND % 60) as f64, (micros % SECOND) as f64);
        match self {
            Milliseconds => second * 1000.0 + fraction / 1000.0,
            Second => second + fraction / 1e6,
            Epoch => {
                let (years, months) = (f64::from(interval.months / 12), f64::from(interval.months % 12));
                micros as f64 / 1e6 + 365.25 * 86_400.0 * years + 30.0 * 86_400.0 * months + 86_400.0 * f64::from(interval.days)
            }
            _ => self.of_interval(interval) as f64,
        }
    }

    /// Whether values of a kind can be cut down to the field; `word` is how it was written.
    ///
    /// # Errors
    /// 22023 for a word that names no unit, 0A000 for one that the kind does not have.
    pub fn require_unit(self, of: PartOf, word: &str) -> Result<()> {
        if self.is_special() {
            return Err(unknown(&word.to_lowercase(), of));
        }
        match (self, of) {
            (Timezone | TimezoneHour | TimezoneMinute, _) => Err(unsupported(word, of)),
            (Week, PartOf::Interval) => Err(unsupported(word, of).with_detail("Months usually have fractional weeks.")),
            _ => Ok(()),
        }
    }

    /// Whether cutting down to it changes the day, so that the zone's offset has to be looked up again.
    pub const fn is_day_or_longer(self) -> bool {
        matches!(self, Day | Week | Month | Quarter | Year | Decade | Century | Millennium)
    }

    /// A local time cut down to the field.
    ///
    /// # Errors
    /// 22008 if the beginning of the field is before the first timestamp.
    pub fn truncate(self, local: i64) -> Result<i64> {
        let down = |unit: i64| local.checked_sub(local.rem_euclid(unit));
        let cut = match self {
            Milliseconds => down(1000),
            Second => down(SECOND),
            Minute => down(MINUTE),
            Hour => down(HOUR),
            Day => down(DAY_MICROS),
            Week => {
                let days = local.div_euclid(DAY_MICROS);
                (days - (days + 3).rem_euclid(7)).checked_mul(DAY_MICROS)
            }
            Month | Quarter | Year | Decade | Century | Millennium => {
                let (year, month, _) = civil_from_days(local.div_euclid(DAY_MICROS));
                let (year, month) = match self {
                    Month => (year, month),
                    Quarter => (year, month - (month - 1) % 3),
                    Decade => (year - year.rem_euclid(10), 1),
                    Century => (year - (year - 1).rem_euclid(100), 1),
                    Millennium => (year - (year - 1).rem_euclid(1000), 1),
                    _ => (year, 1),
                };
                days_from_civil(year, month, 1).checked_mul(DAY_MICROS)
            }
            _ => Some(local),
        };
        cut.and_then(timestamp_in_range).ok_or_else(timestamp_out_of_range)
    }

    /// An interval cut down to the field.
    #[must_use]
    pub fn truncate_interval(self, interval: IntervalValue) -> IntervalValue {
        let IntervalValue { months, days, micros } = interval;
        let of_time = |unit: i64| IntervalValue { months, days, micros: micros - micros % unit };
        let of_months = |unit: i32| IntervalValue { months: months - months % unit, days: 0, micros: 0 };
        match self {
            Milliseconds => of_time(1000),
            Second => of_time(SECOND),
            Minute => of_time(MINUTE),
            Hour => of_time(HOUR),
            Day => IntervalValue { months, days, micros: 0 },
            Month => of_months(1),
            Quarter => of_months(3),
            Year => of_months(12),
            Decade => of_months(120),
            Century => of_months(1200),
            Millennium => of_months(12_000),
            _ => interval,
        }
    }
}

fn unknown(word: &str, of: PartOf) -> Error {
    Error::new(ErrorKind::InvalidParameter, format!("unit \"{word}\" not recognized for type {}", of.type_name()))
}

fn unsupported(word: &str, of: PartOf) -> Error {
    let message = format!("unit \"{}\" not supported for type {}", word.to_lowercase(), of.type_name());
    Error::new(ErrorKind::Unsupported, message)
}

fn shown_year(year: i64) -> i64 {
    if year > 0 { year } else { year - 1 }
}

/// The first century is 1 to 100; before it comes the first before Christ.
fn ordinal_of_years(year: i64, length: i64) -> i64 {
    if year > 0 { (year + length - 1) / length } else { -((length - 1 - (year - 1)) / length) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DateOrder, DateStyle, DateTimeInput, TimeZone, format_timestamp, parse_timestamp};

    fn local(text: &str) -> i64 {
        let zone = TimeZone::utc();
        parse_timestamp(text, &DateTimeInput { order: DateOrder::Mdy, zone: &zone, now: None }).unwrap()
    }

    fn source(text: &str) -> PartSource {
        PartSource { local: local(text), offset: 0 }
    }

    #[test]
    fn fields_are_postgresqls() {
        let time = source("2024-12-30 13:45:30");
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
            ("MICROSECONDS", 30_000_000),
        ] {
            assert_eq!(DatetimePart::parse(word, PartOf::Timestamp).unwrap().of(time, PartOf::Timestamp), value, "{word}");
        }
        assert_eq!(Century.of(source("2000-06-01"), PartOf::Timestamp), 20);
        assert_eq!(Year.of(source("0044-03-15 BC"), PartOf::Timestamp), -44);
        assert_eq!(Julian.of(source("2024-01-01 12:00"), PartOf::Timestamp), 246_031_150_000_000_000_000_000_000);
        assert_eq!(Julian.of(source("2024-01-01"), PartOf::Date), 2_460_311);
    }

    #[test]
    fn what_a_type_does_not_have_is_said() {
        let refused = |word: &str, of: PartOf| {
            let error = DatetimePart::parse(word, of).and_then(|part| part.require(of, word)).unwrap_err();
            format!("{} {}", error.kind().sqlstate(), error.message())
        };
        assert_eq!(refused("foo", PartOf::Date), "22023 unit \"foo\" not recognized for type date");
        assert_eq!(refused("hour", PartOf::Date), "0A000 unit \"hour\" not supported for type date");
        assert_eq!(refused("dow", PartOf::Time), "0A000 unit \"dow\" not supported for type time without time zone");
        assert_eq!(
            refused("timezone", PartOf::Timestamp),
            "0A000 unit \"timezone\" not supported for type timestamp without time zone"
        );
        assert_eq!(Epoch.require_unit(PartOf::Timestamp, "epoch").unwrap_err().kind(), ErrorKind::InvalidParameter);
        assert_eq!(
            Week.require_unit(PartOf::Interval, "week").unwrap_err().detail(),
            Some("Months usually have fractional weeks.")
        );
    }

    #[test]
    fn large_intervals_have_their_seconds() {
        let days = IntervalValue { days: 1_000_000_000, ..IntervalValue::default() };
        assert_eq!(Epoch.of_interval(days), 86_400_000_000_000_000_000);
        assert_eq!(Epoch.of_interval(IntervalValue { months: 14, ..IntervalValue::default() }), 36_741_600_000_000);
    }

    #[test]
    fn truncation_keeps_the_field() {
        let time = local("2024-08-14 13:45:30");
        for (part, text) in [
            (Hour, "2024-08-14 13:00:00"),
            (Week, "2024-08-12 00:00:00"),
            (Quarter, "2024-07-01 00:00:00"),
            (Decade, "2020-01-01 00:00:00"),
            (Century, "2001-01-01 00:00:00"),
            (Millennium, "2001-01-01 00:00:00"),
        ] {
            assert_eq!(format_timestamp(part.truncate(time).unwrap(), DateStyle::default()).as_str(), text, "{part:?}");
        }
        assert_eq!(Millennium.truncate(local("4714-11-24 BC")).unwrap_err().kind(), ErrorKind::DatetimeOutOfRange);
    }
}
