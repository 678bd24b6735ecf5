//! Arithmetic of intervals: sums, factors, normal forms, and what the fields and the precision of an interval type leave of a value.

use super::IntervalValue;
use super::calendar::DAY_MICROS;
use super::moment::interval_out_of_range;
use crate::error::{Error, ErrorKind, Result};

const MONTH_DAYS: i32 = 30;
const DAY_SECONDS: f64 = 86_400.0;

impl IntervalValue {
    /// The sum.
    ///
    /// # Errors
    /// 22008 if a part overflows.
    pub fn plus(self, other: IntervalValue) -> Result<IntervalValue> {
        let sum = || {
            Some(IntervalValue {
                months: self.months.checked_add(other.months)?,
                days: self.days.checked_add(other.days)?,
                micros: self.micros.checked_add(other.micros)?,
            })
        };
        sum().ok_or_else(interval_out_of_range)
    }

    /// The difference.
    ///
    /// # Errors
    /// 22008 if a part overflows.
    pub fn minus(self, other: IntervalValue) -> Result<IntervalValue> {
        let difference = || {
            Some(IntervalValue {
                months: self.months.checked_sub(other.months)?,
                days: self.days.checked_sub(other.days)?,
                micros: self.micros.checked_sub(other.micros)?,
            })
        };
        difference().ok_or_else(interval_out_of_range)
    }

    /// The opposite.
    ///
    /// # Errors
    /// 22008 if a part has none.
    pub fn negated(self) -> Result<IntervalValue> {
        IntervalValue::default().minus(self)
    }

    /// The product with a number: fractions of months become days of thirty a month, fractions of days become time.
    ///
    /// # Errors
    /// 22008 if a part overflows.
    pub fn times(self, factor: f64) -> Result<IntervalValue> {
        self.scaled(|part| part * factor)
    }

    /// The quotient by a number, as [`IntervalValue::times`].
    ///
    /// # Errors
    /// 22012 for zero, 22008 if a part overflows.
    pub fn divided(self, divisor: f64) -> Result<IntervalValue> {
        if divisor == 0.0 {
            return Err(Error::new(ErrorKind::DivisionByZero, "division by zero"));
        }
        self.scaled(|part| part / divisor)
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "compared with the limits before")]
    fn scaled(self, scale: impl Fn(f64) -> f64) -> Result<IntervalValue> {
        let whole = |value: f64| {
            let fits = value >= f64::from(i32::MIN) && value <= f64::from(i32::MAX);
            if fits { Ok(value as i32) } else { Err(interval_out_of_range()) }
        };
        let to_micros = |seconds: f64| (seconds * 1e6).round_ties_even() / 1e6;
        let (months, days) = (scale(f64::from(self.months)), scale(f64::from(self.days)));
        let (whole_months, mut whole_days) = (whole(months)?, whole(days)?);
        let spilled_days = to_micros((months - f64::from(whole_months)) * f64::from(MONTH_DAYS));
        let mut seconds = to_micros((days - f64::from(whole_days) + spilled_days - spilled_days.trunc()) * DAY_SECONDS);
        let add_days = |days: i32, more: f64| days.checked_add(more as i32).ok_or_else(interval_out_of_range);
        if seconds.abs() >= DAY_SECONDS {
            let more = (seconds / DAY_SECONDS).trunc();
            whole_days = add_days(whole_days, more)?;
            seconds -= more * DAY_SECONDS;
        }
        whole_days = add_days(whole_days, spilled_days)?;
        let micros = (scale(self.micros as f64) + seconds * 1e6).round_ties_even();
        if !(micros >= i64::MIN as f64 && micros < i64::MAX as f64) {
            return Err(interval_out_of_range());
        }
        Ok(IntervalValue { months: whole_months, days: whole_days, micros: micros as i64 })
    }

    /// Whole days of twenty-four hours moved from the time to the days: `justify_hours`.
    ///
    /// # Errors
    /// 22008 if the days overflow.
    pub fn justified_hours(self) -> Result<IntervalValue> {
        let mut result = self;
        let whole = i32::try_from(self.micros / DAY_MICROS).map_err(|_| interval_out_of_range())?;
        result.micros = self.micros % DAY_MICROS;
        result.days = self.days.checked_add(whole).ok_or_else(interval_out_of_range)?;
        result.align_time();
        Ok(result)
    }

    /// Whole months of thirty days moved from the days to the months: `justify_days`.
    ///
    /// # Errors
    /// 22008 if the months overflow.
    pub fn justified_days(self) -> Result<IntervalValue> {
        let mut result = self.carry_days()?;
        if result.months > 0 && result.days < 0 {
            result.days += MONTH_DAYS;
            result.months -= 1;
        } else if result.months < 0 && result.days > 0 {
            result.days -= MONTH_DAYS;
            result.months += 1;
        }
        Ok(result)
    }

    /// Both, with one sign for all parts: `justify_interval`.
    ///
    /// # Errors
    /// 22008 if a part overflows.
    pub fn justified(self) -> Result<IntervalValue> {
        let mut result = self;
        // First, where days and time of one sign could overflow the days.
        if (self.days > 0 && self.micros > 0) || (self.days < 0 && self.micros < 0) {
            result = result.carry_days()?;
        }
        let whole = i32::try_from(result.micros / DAY_MICROS).map_err(|_| interval_out_of_range())?;
        result.micros %= DAY_MICROS;
        result.days = result.days.checked_add(whole).ok_or_else(interval_out_of_range)?;
        result = result.carry_days()?;
        let below_zero = result.days < 0 || (result.days == 0 && result.micros < 0);
        let above_zero = result.days > 0 || (result.days == 0 && result.micros > 0);
        if result.months > 0 && below_zero {
            result.days += MONTH_DAYS;
            result.months -= 1;
        } else if result.months < 0 && above_zero {
            result.days -= MONTH_DAYS;
            result.months += 1;
        }
        result.align_time();
        Ok(result)
    }

    fn carry_days(self) -> Result<IntervalValue> {
        let months = self.months.checked_add(self.days / MONTH_DAYS).ok_or_else(interval_out_of_range)?;
        Ok(IntervalValue { months, days: self.days % MONTH_DAYS, ..self })
    }

    /// Gives the time of less than a day the sign of the days.
    fn align_time(&mut self) {
        if self.days > 0 && self.micros < 0 {
            self.micros += DAY_MICROS;
            self.days -= 1;
        } else if self.days < 0 && self.micros > 0 {
            self.micros -= DAY_MICROS;
            self.days += 1;
        }
    }

    /// The interval of so many years, months, weeks, days, hours, minutes and seconds: `make_interval`.
    ///
    /// # Errors
    /// 22008 if a part overflows.
    pub fn of_parts(parts: [i32; 6], seconds: f64) -> Result<IntervalValue> {
        let [years, months, weeks, days, hours, minutes] = parts;
        let micros = (seconds * 1e6).round_ties_even();
        #[expect(clippy::cast_precision_loss, reason = "a limit")]
        let fits = micros >= i64::MIN as f64 && micros < i64::MAX as f64;
        let made = || {
            let clock = i64::from(hours) * 3_600_000_000 + i64::from(minutes) * 60_000_000;
            #[expect(clippy::cast_possible_truncation, reason = "compared with the limits above")]
            let micros = fits.then_some(micros as i64)?.checked_add(clock)?;
            Some(IntervalValue {
                months: years.checked_mul(12)?.checked_add(months)?,
                days: weeks.checked_mul(7)?.checked_add(days)?,
                micros,
            })
        };
        made().ok_or_else(interval_out_of_range)
    }

    /// Cut down to the fields of an interval type.
    #[must_use]
    pub fn limited(self, fields: IntervalFields) -> IntervalValue {
        let IntervalValue { months, days, micros } = self;
        match fields.last {
            IntervalField::Year => IntervalValue { months: months / 12 * 12, days: 0, micros: 0 },
            IntervalField::Month => IntervalValue { months, days: 0, micros: 0 },
            IntervalField::Day => IntervalValue { months, days, micros: 0 },
            IntervalField::Hour => IntervalValue { months, days, micros: micros / 3_600_000_000 * 3_600_000_000 },
            IntervalField::Minute => IntervalValue { months, days, micros: micros / 60_000_000 * 60_000_000 },
            IntervalField::Second => self,
        }
    }

    /// Rounded to so many digits of its seconds, half away from zero.
    ///
    /// # Errors
    /// 22008 if the time overflows.
    pub fn rounded(self, digits: u32) -> Result<IntervalValue> {
        let unit = 10_i64.pow(6_u32.saturating_sub(digits));
        let half = self.micros.signum() * (unit / 2);
        let micros = self.micros.checked_add(half).ok_or_else(interval_out_of_range)?;
        Ok(IntervalValue { micros: micros / unit * unit, ..self })
    }
}

/// A field of an interval type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IntervalField {
    /// `year`
    Year,
    /// `month`
    Month,
    /// `day`
    Day,
    /// `hour`
    Hour,
    /// `minute`
    Minute,
    /// `second`
    Second,
}

/// All fields, in a type's modifier.
const ALL_FIELDS: i32 = 0x7fff;
/// All digits, in a type's modifier.
const ALL_DIGITS: i32 = 0xffff;

/// What an interval type's modifier says: its fields, and the digits of its seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct IntervalModifier {
    /// The fields; `None` for all.
    pub fields: Option<IntervalFields>,
    /// Digits of the seconds behind the point; `None` for all.
    pub digits: Option<u32>,
}

impl IntervalModifier {
    /// `atttypmod`: a bit for each field, and the digits.
    pub fn typmod(self) -> i32 {
        let bit = |field: IntervalField| match field {
            IntervalField::Month => 1 << 1,
            IntervalField::Year => 1 << 2,
            IntervalField::Day => 1 << 3,
            IntervalField::Hour => 1 << 10,
            IntervalField::Minute => 1 << 11,
            IntervalField::Second => 1 << 12,
        };
        let between = |fields: IntervalFields| {
            let covered = IntervalField::ALL.into_iter().filter(|field| (fields.first..=fields.last).contains(field));
            covered.map(bit).fold(0, |all, bit| all | bit)
        };
        let digits = self.digits.and_then(|digits| i32::try_from(digits).ok()).unwrap_or(ALL_DIGITS);
        self.fields.map_or(ALL_FIELDS, between) << 16 | digits
    }

    /// The modifier behind `atttypmod`.
    pub fn of_typmod(typmod: i32) -> IntervalModifier {
        let all = IntervalField::ALL.into_iter();
        let mut spans =
            all.clone().flat_map(|first| IntervalField::ALL.into_iter().map(move |last| IntervalFields { first, last }));
        let bits = typmod >> 16 & ALL_FIELDS;
        let fields = spans.find(|fields| {
            fields.first <= fields.last && IntervalModifier { fields: Some(*fields), digits: None }.typmod() >> 16 == bits
        });
        let digits = u32::try_from(typmod & ALL_DIGITS).ok().filter(|digits| *digits <= 6);
        IntervalModifier { fields, digits }
    }

    /// A value of the type.
    ///
    /// # Errors
    /// 22008 if rounding overflows.
    pub fn apply(self, interval: IntervalValue) -> Result<IntervalValue> {
        let limited = self.fields.map_or(interval, |fields| interval.limited(fields));
        self.digits.map_or(Ok(limited), |digits| limited.rounded(digits))
    }
}

impl IntervalField {
    const ALL: [IntervalField; 6] = [
        IntervalField::Year,
        IntervalField::Month,
        IntervalField::Day,
        IntervalField::Hour,
        IntervalField::Minute,
        IntervalField::Second,
    ];
}

/// The fields of an interval type, `day to second`; `first` and `last` are the same for one field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct IntervalFields {
    /// The larger one.
    pub first: IntervalField,
    /// The smaller one, which tells what a value is cut down to.
    pub last: IntervalField,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{IntervalStyle, format_interval, parse_interval};

    fn interval(text: &str) -> IntervalValue {
        parse_interval(text, IntervalStyle::Postgres).unwrap()
    }

    fn text(value: Result<IntervalValue>) -> String {
        match value {
            Ok(value) => format_interval(value, IntervalStyle::Postgres).to_string(),
            Err(error) => error.message().to_string(),
        }
    }

    #[test]
    fn factors_spill_downwards() {
        assert_eq!(text(interval("1 mon").times(1.5)), "1 mon 15 days");
        assert_eq!(text(interval("1 day").times(0.5)), "12:00:00");
        assert_eq!(text(interval("3 days").divided(7.0)), "10:17:08.571429");
        assert_eq!(text(interval("1 mon").divided(3.0)), "10 days");
        assert_eq!(text(interval("1 mon").times(f64::NAN)), "interval out of range");
        assert_eq!(text(interval("1 mon").times(1e20)), "interval out of range");
        assert_eq!(text(interval("1 mon").divided(0.0)), "division by zero");
    }

    #[test]
    fn normal_forms() {
        assert_eq!(text(interval("27 hours").justified_hours()), "1 day 03:00:00");
        assert_eq!(text(interval("35 days").justified_days()), "1 mon 5 days");
        assert_eq!(text(interval("1 mon -1 hour").justified()), "29 days 23:00:00");
        assert_eq!(text(interval("2147483647 days 86400 seconds").justified()), "5965232 years 4 mons 8 days");
        assert_eq!(text(interval("2147483647 days 86400 seconds").justified_hours()), "interval out of range");
    }

    #[test]
    fn modifiers_are_postgresqls() {
        let day_to_second = IntervalFields { first: IntervalField::Day, last: IntervalField::Second };
        let modifier = IntervalModifier { fields: Some(day_to_second), digits: Some(3) };
        assert_eq!(modifier.typmod(), 470_286_339);
        assert_eq!(IntervalModifier::of_typmod(470_286_339), modifier);
        assert_eq!(IntervalModifier::default().typmod(), 0x7fff_ffff);
        assert_eq!(IntervalModifier::of_typmod(0x7fff_ffff), IntervalModifier::default());
        assert_eq!(text(modifier.apply(interval("1 day 00:00:01.23456"))), "1 day 00:00:01.235");
    }

    #[test]
    fn overflow_is_an_error() {
        let least = IntervalValue { months: i32::MIN, days: 0, micros: 0 };
        assert_eq!(text(least.negated()), "interval out of range");
        assert_eq!(text(interval("178956970 years").plus(interval("1 year"))), "interval out of range");
        assert_eq!(text(IntervalValue::of_parts([i32::MAX, 0, 0, 0, 0, 0], 0.0)), "interval out of range");
        assert_eq!(text(IntervalValue::of_parts([0; 6], f64::INFINITY)), "interval out of range");
    }
}
