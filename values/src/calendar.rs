//! Days since 1970-01-01 to year, month and day and back, in the proleptic Gregorian calendar, for every year an `i64` of days holds.
//!
//! Years are astronomical: 0 is 1 BC. The arithmetic is the well-known one that starts years in March and counts in eras of 400 years; what
//! every row of a result goes through is Neri's and Schneider's form of it ("Euclidean affine functions and their application to calendar
//! algorithms", 2022), whose divisions are 32-bit multiplications.

/// Seconds of a day.
pub const DAY_SECONDS: i64 = 86_400;
/// Microseconds of a day.
pub const DAY_MICROS: i64 = 86_400_000_000;
/// Days from 1970-01-01 to 2000-01-01, where PostgreSQL's binary dates begin.
pub const POSTGRES_EPOCH_DAYS: i32 = 10_957;
/// Microseconds from 1970-01-01 to 2000-01-01, where PostgreSQL's binary timestamps begin.
pub const POSTGRES_EPOCH_MICROS: i64 = 946_684_800_000_000;

const ERA_DAYS: i64 = 146_097;

/// Year, month (1-12) and day (1-31) of a day counted from 1970-01-01.
pub fn civil_from_days(days: i64) -> (i64, u32, u32) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(ERA_DAYS);
    #[expect(clippy::cast_possible_truncation, reason = "below the days of an era")]
    let quarters = 4 * shifted.rem_euclid(ERA_DAYS) as u32 + 3;
    let (century, day_of_century) = (quarters / 146_097, quarters % 146_097 / 4);
    let scaled = 2_939_745 * u64::from(4 * day_of_century + 3);
    #[expect(clippy::cast_possible_truncation, reason = "the two halves are meant")]
    let (year_of_century, day_of_year) = ((scaled >> 32) as u32, (scaled as u32) / 2_939_745 / 4);
    let months = 2_141 * day_of_year + 197_913;
    let (month, day) = (months >> 16, (months & 0xffff) / 2_141 + 1);
    // The year of this arithmetic ends with February.
    let is_next_year = day_of_year >= 306;
    let year = era * 400 + i64::from(century * 100 + year_of_century) + i64::from(is_next_year);
    (year, if is_next_year { month - 12 } else { month }, day)
}

/// The day counted from 1970-01-01.
pub fn days_from_civil(year: i64, month: u32, day: u32) -> i64 {
    let shifted_year = if month <= 2 { year - 1 } else { year };
    let era = shifted_year.div_euclid(400);
    let year_of_era = shifted_year.rem_euclid(400);
    let shifted_month = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * i64::from(shifted_month) + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * ERA_DAYS + day_of_era - 719_468
}

/// Whether the year has a 29 February.
pub fn is_leap_year(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// Days of a month (1-12).
pub fn days_of_month(year: i64, month: u32) -> u32 {
    match month {
        2 if is_leap_year(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// ISO 8601's year and week of a day counted from 1970-01-01.
pub fn iso_week(days: i64) -> (i64, i64) {
    let thursday = days - (days + 3).rem_euclid(7) + 3;
    let (year, ..) = civil_from_days(thursday);
    (year, (thursday - days_from_civil(year, 1, 1)) / 7 + 1)
}

/// The Monday of a week of ISO 8601.
pub fn day_of_iso_week(year: i64, week: i64) -> i64 {
    let fourth = days_from_civil(year, 1, 4);
    fourth - (fourth + 3).rem_euclid(7) + (week - 1) * 7
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_are_inverse() {
        for days in (-3_000_000_i64..3_000_000).step_by(37).chain([i64::from(i32::MIN), i64::from(i32::MAX), 106_751_991]) {
            let (year, month, day) = civil_from_days(days);
            assert_eq!(days_from_civil(year, month, day), days);
            assert!(day <= days_of_month(year, month));
        }
        assert_eq!(civil_from_days(0), (1970, 1, 1));
        assert_eq!(civil_from_days(19_782), (2024, 2, 29));
        assert_eq!(civil_from_days(-719_528), (0, 1, 1));
    }
}
