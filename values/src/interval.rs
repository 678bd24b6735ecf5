//! Intervals to text in PostgreSQL's four styles.

use std::fmt::Write as _;

use super::datetime::push_fraction;
use super::{IntervalStyle, ValueText};

/// An interval as PostgreSQL stores it: three parts that are not converted into each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct IntervalValue {
    /// Months, which carry the years.
    pub months: i32,
    /// Days.
    pub days: i32,
    /// Microseconds, which carry the hours.
    pub micros: i64,
}

/// The parts that are printed, all with the sign of the part they come from.
#[derive(Clone, Copy)]
struct Fields {
    years: i64,
    months: i64,
    days: i64,
    hours: i64,
    minutes: i64,
    seconds: i64,
    micros: i64,
}

impl Fields {
    fn of(interval: IntervalValue) -> Fields {
        let (months, micros) = (i64::from(interval.months), interval.micros);
        Fields {
            years: months / 12,
            months: months % 12,
            days: i64::from(interval.days),
            hours: micros / 3_600_000_000,
            minutes: micros / 60_000_000 % 60,
            seconds: micros / 1_000_000 % 60,
            micros: micros % 1_000_000,
        }
    }

    fn time(&self) -> [i64; 4] {
        [self.hours, self.minutes, self.seconds, self.micros]
    }

    fn all(&self) -> [i64; 7] {
        [self.years, self.months, self.days, self.hours, self.minutes, self.seconds, self.micros]
    }

    fn negated(self) -> Fields {
        let [years, months, days, hours, minutes, seconds, micros] = self.all().map(|field| -field);
        Fields { years, months, days, hours, minutes, seconds, micros }
    }
}

type Text = ValueText<128>;

/// Writes an interval.
pub fn format_interval(interval: IntervalValue, style: IntervalStyle) -> ValueText<128> {
    let fields = Fields::of(interval);
    let mut text = ValueText::new();
    match style {
        IntervalStyle::Postgres => postgres(&mut text, &fields),
        IntervalStyle::PostgresVerbose => postgres_verbose(&mut text, &fields),
        IntervalStyle::SqlStandard => sql_standard(&mut text, &fields),
        IntervalStyle::Iso8601 => iso_8601(&mut text, &fields),
    }
    text
}

/// Writing into a [`ValueText`] never fails: the longest interval is shorter than the buffer.
macro_rules! put {
    ($text:expr, $($argument:tt)*) => { let _ = write!($text, $($argument)*); };
}

/// `06.7` or `6.7`
fn push_seconds(text: &mut Text, fields: &Fields, two_digits: bool) {
    let seconds = fields.seconds.unsigned_abs();
    text.push_u64_padded(seconds, if two_digits { 2 } else { 1 });
    push_fraction(text, fields.micros.unsigned_abs());
}

/// `1 year 2 mons -3 days +04:05:06.7`
fn postgres(text: &mut Text, fields: &Fields) {
    let mut is_zero = true;
    let mut is_before = false;
    for (value, unit) in [(fields.years, "year"), (fields.months, "mon"), (fields.days, "day")] {
        if value != 0 {
            let space = if is_zero { "" } else { " " };
            let plus = if is_before && value > 0 { "+" } else { "" };
            let plural = if value == 1 { "" } else { "s" };
            put!(text, "{space}{plus}{value} {unit}{plural}");
            is_before = value < 0;
            is_zero = false;
        }
    }
    let time = fields.time();
    if is_zero || time != [0; 4] {
        let negative = time.iter().any(|field| *field < 0);
        let space = if is_zero { "" } else { " " };
        let sign = match (negative, is_before) {
            (true, _) => "-",
            (false, true) => "+",
            (false, false) => "",
        };
        put!(text, "{space}{sign}{:02}:{:02}:", fields.hours.unsigned_abs(), fields.minutes.unsigned_abs());
        push_seconds(text, fields, true);
    }
}

/// `@ 1 year 2 mons -3 days 4 hours 5 mins 6.7 secs ago`
fn postgres_verbose(text: &mut Text, fields: &Fields) {
    let mut is_zero = true;
    let mut is_before = false;
    text.push(b'@');
    let parts =
        [(fields.years, "year"), (fields.months, "mon"), (fields.days, "day"), (fields.hours, "hour"), (fields.minutes, "min")];
    for (mut value, unit) in parts {
        if value != 0 {
            if is_zero {
                is_before = value < 0;
                value = value.abs();
            } else if is_before {
                value = -value;
            }
            let plural = if value == 1 { "" } else { "s" };
            put!(text, " {value} {unit}{plural}");
            is_zero = false;
        }
    }
    if fields.seconds != 0 || fields.micros != 0 {
        text.push(b' ');
        if fields.seconds < 0 || fields.micros < 0 {
            if is_zero {
                is_before = true;
            } else if !is_before {
                text.push(b'-');
            }
        } else if is_before {
            text.push(b'-');
        }
        push_seconds(text, fields, false);
        let plural = if fields.seconds.abs() == 1 && fields.micros == 0 { "" } else { "s" };
        put!(text, " sec{plural}");
        is_zero = false;
    }
    if is_zero {
        text.push_bytes(b" 0");
    }
    if is_before {
        text.push_bytes(b" ago");
    }
}

/// `1-2`, `-3 4:05:06`, and `+1-2 -3 +4:05:06` where the standard has no form
fn sql_standard(text: &mut Text, fields: &Fields) {
    let has_negative = fields.all().iter().any(|field| *field < 0);
    let has_positive = fields.all().iter().any(|field| *field > 0);
    let has_year_month = fields.years != 0 || fields.months != 0;
    let has_day_time = fields.days != 0 || fields.time() != [0; 4];
    let in_standard = !(has_negative && has_positive || has_year_month && has_day_time);
    if !has_negative && !has_positive {
        text.push(b'0');
        return;
    }
    if !in_standard {
        let sign = |negative: bool| if negative { '-' } else { '+' };
        let year_sign = sign(fields.years < 0 || fields.months < 0);
        let day_sign = sign(fields.days < 0);
        let time_sign = sign(fields.time().iter().any(|field| *field < 0));
        put!(text, "{year_sign}{}-{} ", fields.years.unsigned_abs(), fields.months.unsigned_abs());
        put!(text, "{day_sign}{} ", fields.days.unsigned_abs());
        put!(text, "{time_sign}{}:{:02}:", fields.hours.unsigned_abs(), fields.minutes.unsigned_abs());
        push_seconds(text, fields, true);
        return;
    }
    let positive = if has_negative { fields.negated() } else { *fields };
    if has_negative {
        text.push(b'-');
    }
    if has_year_month {
        put!(text, "{}-{}", positive.years, positive.months);
        return;
    }
    if positive.days != 0 {
        put!(text, "{} ", positive.days);
    }
    put!(text, "{}:{:02}:", positive.hours, positive.minutes);
    push_seconds(text, &positive, true);
}

/// `P1Y2M-3DT4H5M6.7S`
fn iso_8601(text: &mut Text, fields: &Fields) {
    if fields.all() == [0; 7] {
        text.push_bytes(b"PT0S");
        return;
    }
    text.push(b'P');
    for (value, unit) in [(fields.years, 'Y'), (fields.months, 'M'), (fields.days, 'D')] {
        if value != 0 {
            put!(text, "{value}{unit}");
        }
    }
    if fields.time() != [0; 4] {
        text.push(b'T');
    }
    for (value, unit) in [(fields.hours, 'H'), (fields.minutes, 'M')] {
        if value != 0 {
            put!(text, "{value}{unit}");
        }
    }
    if fields.seconds != 0 || fields.micros != 0 {
        if fields.seconds < 0 || fields.micros < 0 {
            text.push(b'-');
        }
        push_seconds(text, fields, false);
        text.push(b'S');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_interval_fits() {
        let longest = IntervalValue { months: i32::MIN, days: i32::MIN, micros: i64::MIN };
        assert_eq!(
            format_interval(longest, IntervalStyle::PostgresVerbose).as_str(),
            "@ 178956970 years 8 mons 2147483648 days 2562047788 hours 54.775808 secs ago"
        );
        assert_eq!(
            format_interval(longest, IntervalStyle::SqlStandard).as_str(),
            "-178956970-8 -2147483648 -2562047788:00:54.775808"
        );
    }
}
