//! Days and moments that were written by the calendar of old programs.
//!
//! Spark before version 3 counted days before 1582-10-15 by the Julian calendar, and newer ones do it when they are told to. Such a file
//! says so in its footer (`org.apache.spark.legacyDateTime`, `org.apache.spark.legacyINT96`, or an old `org.apache.spark.version`). Its days
//! are moved to the day of the same name in the proleptic Gregorian calendar, which PostgreSQL, Delta and today's Spark have.
//!
//! Moments were converted by the clocks of the writer's time zone, which the footer names: those of UTC are moved day by day, those of other
//! zones are refused where the two calendars, or old local times, would tell them apart.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray};
use datafusion::arrow::datatypes::{DataType, Date32Type, TimeUnit, TimestampMicrosecondType};
use datafusion::common::{DataFusionError, Result};

use crate::error::Error;

const VERSION: &str = "org.apache.spark.version";
const ZONE: &str = "org.apache.spark.timeZone";
const DATES: &str = "org.apache.spark.legacyDateTime";
const INT96: &str = "org.apache.spark.legacyINT96";

/// 1582-10-15, in days since 1970-01-01: from here on there is one calendar.
const GREGORIAN: i32 = -141_427;
/// Day of the Julian period that is 1970-01-01.
const EPOCH: i64 = 2_440_588;
const MICROS_OF_DAY: i64 = 86_400_000_000;
/// 1900-01-01 in microseconds since 1970: from here on local times are those of today's rules in all zones.
const KNOWN_ZONES: i64 = -2_208_988_800_000_000;

/// Which values of a file are counted by the old calendar.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct LegacyCalendar {
    /// Days, and moments that are stored as 64-bit numbers.
    dates: bool,
    /// Moments that are stored as INT96.
    int96: bool,
    /// The writer's clocks were not those of UTC.
    other_zone: bool,
}

impl LegacyCalendar {
    /// As the footer of a file says it in its key-value metadata.
    pub(super) fn of_footer(metadata: &HashMap<String, String>) -> Self {
        let before = |major: u32, minor: u32| {
            let mut numbers = metadata.get(VERSION)?.split('.').map(|number| number.parse::<u32>().ok());
            Some((numbers.next()??, numbers.next()??) < (major, minor))
        };
        let is_utc = |zone: &String| matches!(zone.as_str(), "UTC" | "GMT" | "Z" | "Etc/UTC" | "Etc/GMT" | "+00:00");
        Self {
            dates: metadata.contains_key(DATES) || before(3, 0).unwrap_or(false),
            int96: metadata.contains_key(INT96) || before(3, 1).unwrap_or(false),
            other_zone: !metadata.get(ZONE).is_none_or(is_utc),
        }
    }

    /// True if a value stored as `data_type` may have to be moved. Moments that were INT96 come without a zone.
    pub(super) fn moves(self, data_type: &DataType) -> bool {
        match data_type {
            DataType::Date32 | DataType::Timestamp(_, Some(_)) => self.dates,
            DataType::Timestamp(_, None) => self.int96,
            _ => false,
        }
    }

    /// `array`, in microseconds if it has moments, with its days moved. It was stored as `stored`.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Unsupported`] for an old moment of a writer whose clocks were not those of UTC.
    pub(super) fn moved(self, array: ArrayRef, stored: &DataType) -> Result<ArrayRef> {
        if !self.moves(stored) {
            return Ok(array);
        }
        Ok(match array.data_type() {
            DataType::Date32 => Arc::new(array.as_primitive::<Date32Type>().unary::<_, Date32Type>(gregorian_day)),
            DataType::Timestamp(TimeUnit::Microsecond, zone) => {
                let moments = array.as_primitive::<TimestampMicrosecondType>();
                if self.other_zone && moments.iter().flatten().any(|moment| moment < KNOWN_ZONES) {
                    return Err(DataFusionError::External(Box::new(self.refused(stored))));
                }
                let moved = moments.unary::<_, TimestampMicrosecondType>(gregorian_moment);
                Arc::new(moved.with_timezone_opt(zone.clone()))
            }
            _ => array,
        })
    }

    fn refused(self, stored: &DataType) -> Error {
        let key = if matches!(stored, DataType::Timestamp(_, None)) { INT96 } else { DATES };
        Error::unsupported("timestamps before 1900 that were written by the legacy calendar in another time zone than UTC")
            .with_detail(format!("A data file says so by the keys {key} and {ZONE} of its footer."))
            .with_hint("Rewrite the table with Spark 3 or later, with spark.sql.parquet.datetimeRebaseModeInWrite = CORRECTED.")
    }
}

/// The proleptic Gregorian day that has the name of the Julian day `day`, both in days since 1970-01-01.
fn gregorian_day(day: i32) -> i32 {
    if day >= GREGORIAN {
        return day;
    }
    let count = i64::from(day) + EPOCH + 32_082;
    let century = (4 * count + 3).div_euclid(1461);
    let rest = count - (1461 * century).div_euclid(4);
    let month_of_year = (5 * rest + 2).div_euclid(153);
    let day_of_month = rest - (153 * month_of_year + 2).div_euclid(5) + 1;
    let month = month_of_year + 3 - 12 * (month_of_year / 10);
    let year = century - 4800 + month_of_year / 10;
    // A 29th of February that the Gregorian calendar lacks becomes the 1st of March.
    i32::try_from(first_of_month(year, month) + day_of_month - 1).unwrap_or(day)
}

/// Days since 1970-01-01 of the first day of a month of the proleptic Gregorian calendar.
fn first_of_month(year: i64, month: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year - era * 400;
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn gregorian_moment(moment: i64) -> i64 {
    let (day, rest) = (moment.div_euclid(MICROS_OF_DAY), moment.rem_euclid(MICROS_OF_DAY));
    match i32::try_from(day) {
        Ok(day) if day < GREGORIAN => i64::from(gregorian_day(day)) * MICROS_OF_DAY + rest,
        _ => moment,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_keep_their_names() {
        // Spark's table: the first Julian days from which on the calendars differ by so many days.
        let switches = [
            (-719_164, 2),
            (-682_945, 1),
            (-646_420, 0),
            (-609_895, -1),
            (-536_845, -2),
            (-500_320, -3),
            (-463_795, -4),
            (-390_745, -5),
            (-354_220, -6),
            (-317_695, -7),
            (-244_645, -8),
            (-208_120, -9),
            (-171_595, -10),
            (-141_427, 0),
        ];
        for (number, (day, difference)) in switches.into_iter().enumerate() {
            assert_eq!(gregorian_day(day) - day, difference, "{day}");
            if let Some((next, _)) = switches.get(number + 1) {
                // The 29th of February that the Gregorian calendar lacks stands before a switch; it and the day after share a name.
                assert_eq!(gregorian_day(next - 2) - (next - 2), difference, "{next}");
            }
        }
        assert_eq!(gregorian_day(0), 0);
        assert_eq!(gregorian_moment(-719_164 * MICROS_OF_DAY + 5), -719_162 * MICROS_OF_DAY + 5);
        assert_eq!(gregorian_moment(-1), -1);
    }

    #[test]
    fn a_footer_says_which_calendar_it_has() {
        let of = |keys: &[(&str, &str)]| {
            LegacyCalendar::of_footer(&keys.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect())
        };
        assert_eq!(of(&[]), LegacyCalendar::default());
        assert_eq!(of(&[(VERSION, "3.5.1")]), LegacyCalendar::default());
        assert_eq!(of(&[(VERSION, "2.4.8")]), LegacyCalendar { dates: true, int96: true, other_zone: false });
        assert_eq!(of(&[(VERSION, "3.0.3"), (ZONE, "UTC")]), LegacyCalendar { dates: false, int96: true, other_zone: false });
        let of = of(&[(VERSION, "4.0.0"), (DATES, ""), (ZONE, "Europe/Berlin")]);
        assert_eq!(of, LegacyCalendar { dates: true, int96: false, other_zone: true });
    }
}
