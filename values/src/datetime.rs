//! Dates, times and timestamps to text, under `DateStyle` and `TimeZone`.

use super::calendar::{DAY_MICROS, DAY_SECONDS, civil_from_days};
use super::{DateFormat, DateOrder, DateStyle, TimeZone, ValueText};

const MONTHS: [&[u8; 3]; 12] = [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
const WEEKDAYS: [&[u8; 3]; 7] = [b"Sun", b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat"];
/// 1970-01-01 was a Thursday.
const EPOCH_WEEKDAY: i64 = 4;

/// Writes a date, given in days since 1970-01-01.
#[inline]
pub fn format_date(days: i32, style: DateStyle) -> ValueText<32> {
    let date = Date::of(i64::from(days));
    let mut text = ValueText::new();
    match (style.format, style.order) {
        (DateFormat::Iso | DateFormat::Xsd, _) => date.push_iso(&mut text),
        (DateFormat::German, _) => date.push_numeric(&mut text, b'.', true),
        (DateFormat::Sql, order) => date.push_numeric(&mut text, b'/', order == DateOrder::Dmy),
        (DateFormat::Postgres, order) => date.push_numeric(&mut text, b'-', order == DateOrder::Dmy),
    }
    date.push_era(&mut text);
    text
}

/// Writes a time of day, given in microseconds since midnight; 24:00:00 is one.
#[inline]
pub fn format_time(micros: i64) -> ValueText<32> {
    let mut text = ValueText::new();
    push_time(&mut text, micros);
    text
}

/// Writes a timestamp, given in microseconds since 1970-01-01 00:00.
#[inline]
pub fn format_timestamp(micros: i64, style: DateStyle) -> ValueText<64> {
    let mut text = ValueText::new();
    let date = push_date_time(&mut text, i128::from(micros), style);
    date.push_era(&mut text);
    text
}

/// Writes an instant, given in microseconds since 1970-01-01 00:00 UTC, as the clocks of `zone` show it.
#[inline]
pub fn format_timestamptz(micros: i64, style: DateStyle, zone: &TimeZone) -> ValueText<64> {
    let offset = zone.offset_at(micros.div_euclid(1_000_000));
    let mut text = ValueText::new();
    let date = push_date_time(&mut text, i128::from(micros) + i128::from(offset) * 1_000_000, style);
    match style.format {
        DateFormat::Iso | DateFormat::Xsd => push_offset(&mut text, offset, style.format == DateFormat::Xsd),
        DateFormat::Sql | DateFormat::German | DateFormat::Postgres => {
            text.push(b' ');
            text.push_bytes(zone.abbreviation_at(micros.div_euclid(1_000_000)).as_bytes());
        }
    }
    date.push_era(&mut text);
    text
}

/// Date and time up to where the zone stands.
#[inline]
fn push_date_time<const N: usize>(text: &mut ValueText<N>, local_micros: i128, style: DateStyle) -> Date {
    let (days, micros) = split_days(local_micros);
    let date = Date::of(days);
    match style.format {
        DateFormat::Iso | DateFormat::Xsd => {
            date.push_iso(text);
            text.push(if style.format == DateFormat::Iso { b' ' } else { b'T' });
            push_time(text, micros);
        }
        DateFormat::Sql | DateFormat::German => {
            let german = style.format == DateFormat::German;
            date.push_numeric(text, if german { b'.' } else { b'/' }, german || style.order == DateOrder::Dmy);
            text.push(b' ');
            push_time(text, micros);
        }
        DateFormat::Postgres => {
            date.push_words(text, style.order == DateOrder::Dmy);
            push_time(text, micros);
            text.push(b' ');
            date.push_year(text);
        }
    }
    date
}

/// Days since 1970-01-01 and microseconds of the day. An `i64` with an offset may need one bit more than 64.
#[inline]
fn split_days(micros: i128) -> (i64, i64) {
    match i64::try_from(micros) {
        Ok(micros) => (micros.div_euclid(DAY_MICROS), micros.rem_euclid(DAY_MICROS)),
        Err(_) => {
            let day = i128::from(DAY_MICROS);
            (i64::try_from(micros.div_euclid(day)).unwrap_or_default(), i64::try_from(micros.rem_euclid(day)).unwrap_or_default())
        }
    }
}

struct Date {
    days: i64,
    /// Astronomical: 0 is 1 BC.
    year: i64,
    month: u32,
    day: u32,
}

impl Date {
    #[inline]
    fn of(days: i64) -> Date {
        let (year, month, day) = civil_from_days(days);
        Date { days, year, month, day }
    }

    #[inline]
    fn push_year<const N: usize>(&self, text: &mut ValueText<N>) {
        let year = if self.year > 0 { self.year } else { 1 - self.year };
        text.push_u64_padded(year.unsigned_abs(), 4);
    }

    #[inline]
    fn push_iso<const N: usize>(&self, text: &mut ValueText<N>) {
        if let Ok(year @ 1..=9999) = u32::try_from(self.year) {
            return text.push_iso_date(year, self.month, self.day);
        }
        self.push_year(text);
        text.push(b'-');
        text.push_pair(self.month);
        text.push(b'-');
        text.push_pair(self.day);
    }

    fn push_numeric<const N: usize>(&self, text: &mut ValueText<N>, separator: u8, day_first: bool) {
        let (first, second) = if day_first { (self.day, self.month) } else { (self.month, self.day) };
        text.push_pair(first);
        text.push(separator);
        text.push_pair(second);
        text.push(separator);
        self.push_year(text);
    }

    /// `Fri Jan 05 `
    fn push_words<const N: usize>(&self, text: &mut ValueText<N>, day_first: bool) {
        let weekday = usize::try_from((self.days + EPOCH_WEEKDAY).rem_euclid(7)).unwrap_or_default();
        let month = MONTHS.get(self.month.saturating_sub(1) as usize).copied().unwrap_or(MONTHS[0]);
        text.push_bytes(WEEKDAYS[weekday]);
        text.push(b' ');
        if day_first {
            text.push_pair(self.day);
            text.push(b' ');
            text.push_bytes(month);
        } else {
            text.push_bytes(month);
            text.push(b' ');
            text.push_pair(self.day);
        }
        text.push(b' ');
    }

    #[inline]
    fn push_era<const N: usize>(&self, text: &mut ValueText<N>) {
        if self.year <= 0 {
            text.push_bytes(b" BC");
        }
    }
}

/// `10:00:00.5`
#[inline]
fn push_time<const N: usize>(text: &mut ValueText<N>, micros: i64) {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a day has 86,400 seconds")]
    let (seconds, fraction) = (micros.div_euclid(1_000_000) as u32, micros.rem_euclid(1_000_000) as u64);
    text.push_clock(seconds / 3600, seconds / 60 % 60, seconds % 60);
    push_fraction(text, fraction);
}

/// A point and up to six digits without trailing zeros; nothing for 0.
#[inline]
pub(super) fn push_fraction<const N: usize>(text: &mut ValueText<N>, micros: u64) {
    if micros == 0 {
        return;
    }
    text.push(b'.');
    text.push_u64_padded(micros, 6);
    let mut rest = micros;
    while rest.is_multiple_of(10) {
        text.truncate_by(1);
        rest /= 10;
    }
}

/// `+01`, `+05:30`, `-00:44:30`
fn push_offset<const N: usize>(text: &mut ValueText<N>, offset: i32, always_minutes: bool) {
    text.push(if offset < 0 { b'-' } else { b'+' });
    let seconds = offset.unsigned_abs();
    text.push_pair(seconds / 3600);
    let (minutes, rest) = (seconds / 60 % 60, seconds % 60);
    if minutes != 0 || rest != 0 || always_minutes {
        text.push(b':');
        text.push_pair(minutes);
    }
    if rest != 0 {
        text.push(b':');
        text.push_pair(rest);
    }
}

/// The local time of an instant: microseconds since 1970-01-01 00:00 on the clocks of `zone`.
pub fn local_micros(micros: i64, zone: &TimeZone) -> Option<i64> {
    micros.checked_add(i64::from(zone.offset_at(micros.div_euclid(1_000_000))) * 1_000_000)
}

/// The instant of a local time: microseconds since 1970-01-01 00:00 UTC.
pub fn utc_micros(local: i64, zone: &TimeZone) -> Option<i64> {
    local.checked_sub(i64::from(zone.offset_at_local(local.div_euclid(1_000_000))) * 1_000_000)
}

const _: () = assert!(DAY_MICROS == DAY_SECONDS * 1_000_000);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extremes_print_without_overflow() {
        let style = DateStyle::default();
        assert_eq!(format_date(i32::MAX, style).as_str(), "5881580-07-11");
        assert_eq!(format_date(i32::MIN, style).as_str(), "5877642-06-23 BC");
        assert_eq!(format_timestamp(i64::MAX, style).as_str(), "294247-01-10 04:00:54.775807");
        assert_eq!(format_timestamp(i64::MIN, style).as_str(), "290309-12-21 19:59:05.224192 BC");
        let east = TimeZone::fixed(15 * 3600 + 59 * 60 + 59);
        assert_eq!(format_timestamptz(i64::MAX, style, &east).as_str(), "294247-01-10 20:00:53.775807+15:59:59");
        let words = DateStyle { format: DateFormat::Postgres, order: DateOrder::Mdy };
        let west = TimeZone::fixed(-57_599);
        assert_eq!(format_timestamptz(i64::MIN, words, &west).as_str(), "Sun Dec 21 03:59:06.224192 290309 -15:59:59 BC");
    }
}
