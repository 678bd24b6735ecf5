//! Fields to a day, a time of it and a zone, in PostgreSQL's way: which number is the day, the month or the year depends on what has
//! been read before it and on `DateStyle`.

use super::calendar::{DAY_MICROS, days_from_civil, days_of_month};
use super::datetime::local_micros;
use super::datetime_fields::{Field, Word, split};
use super::datetime_input::DateTimeInput;
use super::input::{infinite, invalid_datetime};
use super::{DateOrder, TimeZone};
use crate::error::{Error, ErrorKind};

/// Why a text is not a date or time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    Syntax,
    /// A field that cannot have this value.
    Overflow,
    /// A month or day that another `DateStyle` might explain.
    MonthDayOverflow,
    ZoneOverflow,
    UnknownZone(String),
    Infinite,
    /// `now` and its kind where there is no clock.
    NoClock(String),
}

impl Fault {
    pub(super) fn error(self, type_name: &str, text: &str) -> Error {
        let overflow = || Error::new(ErrorKind::DatetimeOutOfRange, format!("date/time field value out of range: \"{text}\""));
        match self {
            Fault::Syntax => invalid_datetime(type_name, text),
            Fault::Overflow => overflow(),
            Fault::MonthDayOverflow => overflow().with_hint("Perhaps you need a different \"DateStyle\" setting."),
            Fault::ZoneOverflow => {
                Error::new(ErrorKind::InvalidTimeZone, format!("time zone displacement out of range: \"{text}\""))
            }
            Fault::UnknownZone(zone) => Error::new(ErrorKind::InvalidParameter, format!("time zone \"{zone}\" not recognized")),
            Fault::Infinite => infinite(type_name),
            Fault::NoClock(word) => Error::unsupported(format!("\"{word}\" as a {type_name} value here"))
                .with_hint("Use a function such as now() or current_date."),
        }
    }
}

pub(super) type Decoding<T> = std::result::Result<T, Fault>;

/// What has been read: a day, a time of it, and the zone that the text names.
pub(super) struct Decoded {
    pub(super) days: i64,
    pub(super) micros: i64,
    pub(super) zone: Option<Zone>,
}

impl Decoded {
    pub(super) fn local(&self) -> Option<i64> {
        self.days.checked_mul(DAY_MICROS)?.checked_add(self.micros)
    }
}

pub(super) enum Zone {
    Offset(i32),
    Named(TimeZone),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    DateTime,
    Time,
}

pub(super) fn decode(text: &str, input: &DateTimeInput<'_>, want: Want) -> Decoding<Decoded> {
    let fields = split(text)?;
    let mut decoder = Decoder::new(input, want);
    let mut position = 0;
    while let Some(field) = fields.get(position) {
        position += 1;
        decoder.field(field, fields.get(position))?;
    }
    decoder.finish()
}

/// What the next field must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expect {
    Anything,
    Time,
    Julian,
}

/// Collects fields until a date and time stand.
struct Decoder<'a> {
    input: &'a DateTimeInput<'a>,
    want: Want,
    expect: Expect,
    year: Option<i64>,
    month: Option<u32>,
    day: Option<u32>,
    /// Day of the year, given instead of month and day.
    year_day: Option<i64>,
    /// A date that was given as a whole, in days.
    whole_day: Option<i64>,
    month_is_text: bool,
    two_digit_year: bool,
    before_christ: bool,
    /// Seconds and microseconds are in `micros`; the hour may still change by am and pm.
    time: Option<Clock>,
    afternoon: Option<bool>,
    zone: Option<Zone>,
    daylight_saving: bool,
}

#[derive(Debug, Clone, Copy)]
struct Clock {
    hour: i64,
    minute: i64,
    second: i64,
    micros: i64,
}

impl<'a> Decoder<'a> {
    fn new(input: &'a DateTimeInput<'a>, want: Want) -> Decoder<'a> {
        Decoder {
            input,
            want,
            expect: Expect::Anything,
            year: None,
            month: None,
            day: None,
            year_day: None,
            whole_day: None,
            month_is_text: false,
            two_digit_year: false,
            before_christ: false,
            time: None,
            afternoon: None,
            zone: None,
            daylight_saving: false,
        }
    }

    fn has_date(&self) -> bool {
        self.whole_day.is_some() || self.year_day.is_some() || (self.year.is_some() && self.month.is_some() && self.day.is_some())
    }

    fn has_date_part(&self) -> bool {
        self.has_date() || self.year.is_some() || self.month.is_some() || self.day.is_some()
    }

    fn field(&mut self, field: &Field, next: Option<&Field>) -> Decoding<()> {
        let expect = std::mem::replace(&mut self.expect, Expect::Anything);
        match (field, expect) {
            (Field::Number(digits), Expect::Julian) => self.julian(digits),
            (Field::Number(digits), Expect::Time) => self.run_together(digits, true),
            (Field::Time(_), Expect::Time) | (_, Expect::Anything) => self.plain_field(field, next),
            (Field::Date(digits), Expect::Time) => self.time_with_zone(digits),
            _ => Err(Fault::Syntax),
        }
    }

    fn plain_field(&mut self, field: &Field, next: Option<&Field>) -> Decoding<()> {
        match field {
            // A date in full already: digits with a minus sign are a time with its zone, `040506-08`.
            Field::Date(text) if self.has_date() => self.time_with_zone(text),
            Field::Date(text) => self.date(text),
            Field::Time(text) => self.set_time(read_clock(text)?),
            Field::Zone(text) => self.set_zone(Zone::Offset(read_offset(text)?)),
            Field::Number(text) => self.number_field(text),
            Field::Word(text) => self.word(text, next),
            Field::Name(text) => self.name(text),
            Field::Special(text) if text == "-infinity" || text == "+infinity" => Err(Fault::Infinite),
            Field::Special(_) => Err(Fault::Syntax),
        }
    }

    fn number_field(&mut self, text: &str) -> Decoding<()> {
        let point = text.find('.');
        if self.want == Want::Time && !self.has_date_part() && text.len() >= 4 {
            return self.run_together(text, true);
        }
        match point {
            Some(_) if !self.has_date_part() => self.date(text),
            Some(point) if point > 2 => self.run_together(text, self.has_date()),
            None if text.len() >= 6 && (!self.has_date_part() || self.time.is_none()) => self.run_together(text, self.has_date()),
            _ => self.number(text),
        }
    }

    /// `yyyymmdd`, `yymmdd`, `hhmmss`, `hhmm`, each perhaps with a fraction of a second.
    fn run_together(&mut self, text: &str, is_time: bool) -> Decoding<()> {
        let (digits, fraction) = match text.split_once('.') {
            Some((digits, fraction)) => (digits, Some(fraction)),
            None => (text, None),
        };
        if !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Fault::Syntax);
        }
        let part = |from: usize, to: usize| digits[from..to].parse::<i64>().map_err(|_| Fault::Overflow);
        if !is_time && fraction.is_none() && digits.len() >= 6 {
            let (month_at, day_at) = (digits.len() - 4, digits.len() - 2);
            self.set_year(part(0, month_at)?, month_at)?;
            self.set_month(part(month_at, day_at)?)?;
            return self.set_day(part(day_at, digits.len())?);
        }
        let micros = fraction.map_or(Ok(0), read_fraction)?;
        match digits.len() {
            6 => self.set_time(Clock { hour: part(0, 2)?, minute: part(2, 4)?, second: part(4, 6)?, micros }),
            4 => self.set_time(Clock { hour: part(0, 2)?, minute: part(2, 4)?, second: 0, micros }),
            _ => Err(Fault::Syntax),
        }
    }

    /// `040506-08`, `04:05-08` without its colon, behind a date.
    fn time_with_zone(&mut self, text: &str) -> Decoding<()> {
        let dash = text.find('-').ok_or(Fault::Syntax)?;
        self.set_zone(Zone::Offset(read_offset(&text[dash..])?))?;
        self.run_together(&text[..dash], true)
    }

    fn julian(&mut self, text: &str) -> Decoding<()> {
        const UNIX_EPOCH: i64 = 2_440_588;
        let (digits, fraction) = text.split_once('.').unwrap_or((text, ""));
        let day: i64 = digits.parse().map_err(|_| Fault::Overflow)?;
        self.set_whole_day(day.checked_sub(UNIX_EPOCH).filter(|_| day <= i64::from(i32::MAX)).ok_or(Fault::Overflow)?)?;
        if fraction.is_empty() {
            return Ok(());
        }
        let of_day: f64 = format!("0.{fraction}").parse().map_err(|_| Fault::Syntax)?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "a fraction of a day in microseconds")]
        let micros = (of_day * DAY_MICROS as f64).round() as i64;
        self.set_time(Clock {
            hour: micros / 3_600_000_000,
            minute: micros / 60_000_000 % 60,
            second: micros / 1_000_000 % 60,
            micros: micros % 1_000_000,
        })
    }

    /// Digits and month names between separators.
    fn date(&mut self, text: &str) -> Decoding<()> {
        let mut parts: Vec<String> = vec![];
        let mut last_was_digit = None;
        for c in text.chars() {
            if !c.is_ascii_alphanumeric() {
                last_was_digit = None;
                continue;
            }
            let is_digit = c.is_ascii_digit();
            if last_was_digit != Some(is_digit) {
                parts.push(String::new());
            }
            if let Some(part) = parts.last_mut() {
                part.push(c);
            }
            last_was_digit = Some(is_digit);
        }
        if parts.len() > 3 {
            return Err(Fault::Syntax);
        }
        // Names first: they leave less to guess for the numbers.
        for part in parts.iter().filter(|part| part.starts_with(|c: char| c.is_ascii_alphabetic())) {
            match Word::of(part) {
                Some(Word::Month(month)) => self.text_month(month)?,
                Some(Word::Noise) => {}
                _ => return Err(Fault::Syntax),
            }
        }
        for part in parts.iter().filter(|part| part.starts_with(|c: char| c.is_ascii_digit())) {
            self.number(part)?;
        }
        if self.has_date() { Ok(()) } else { Err(Fault::Syntax) }
    }

    /// One number of a date, whose meaning depends on what is known.
    fn number(&mut self, text: &str) -> Decoding<()> {
        if let Some(point) = text.find('.') {
            if point > 2 {
                return self.run_together(text, self.has_date());
            }
            return Err(Fault::Syntax);
        }
        let length = text.len();
        let value: i64 = text.parse().map_err(|_| Fault::Overflow)?;
        let only_year = self.year.is_some() && self.month.is_none() && self.day.is_none();
        if length == 3 && only_year && (1..=366).contains(&value) {
            self.year_day = Some(value);
            return Ok(());
        }
        match (self.year.is_some(), self.month.is_some(), self.day.is_some()) {
            (false, false, false) if length >= 3 || self.input.order == DateOrder::Ymd => self.set_year(value, length),
            (false, false, false) if self.input.order == DateOrder::Dmy => self.set_day(value),
            (false, false, false) => self.set_month(value),
            (true, false, _) => self.set_month(value),
            (false, true, false) if self.month_is_text && (length >= 3 || self.input.order == DateOrder::Ymd) => {
                self.set_year(value, length)
            }
            (false, true, false) => self.set_day(value),
            // The first number was taken for the year, but only this one can be it: the first is the day.
            (true, true, false) if self.month_is_text && length >= 3 && self.two_digit_year => {
                let day = self.year.take().unwrap_or_default();
                self.two_digit_year = false;
                self.set_day(day)?;
                self.set_year(value, length)
            }
            (true, true, false) => self.set_day(value),
            (false, false, true) => self.set_month(value),
            (false, true, true) => self.set_year(value, length),
            (true, true, true) => self.run_together(text, true),
        }
    }

    fn word(&mut self, text: &str, next: Option<&Field>) -> Decoding<()> {
        if let Some(zone) = TimeZone::abbreviated(text) {
            return self.set_zone_of(zone);
        }
        match Word::of(text) {
            Some(Word::Month(month)) => self.text_month(month),
            Some(Word::Weekday | Word::Noise) => Ok(()),
            Some(Word::BeforeChrist) => {
                self.before_christ = true;
                Ok(())
            }
            Some(Word::AnnoDomini) => Ok(()),
            Some(Word::Am) => self.set_afternoon(false),
            Some(Word::Pm) => self.set_afternoon(true),
            Some(Word::TimeMark) => {
                let time_follows = matches!(next, Some(Field::Time(_) | Field::Number(_) | Field::Date(_)));
                let date_before = self.has_date() || self.want == Want::Time;
                self.expect = Expect::Time;
                if time_follows && date_before { Ok(()) } else { Err(Fault::Syntax) }
            }
            Some(Word::JulianMark) => {
                self.expect = Expect::Julian;
                if matches!(next, Some(Field::Number(_))) { Ok(()) } else { Err(Fault::Syntax) }
            }
            Some(Word::Epoch) => {
                self.set_whole_day(0)?;
                self.set_zone(Zone::Offset(0))?;
                self.set_time(Clock { hour: 0, minute: 0, second: 0, micros: 0 })
            }
            Some(Word::MidnightUtc) => {
                self.set_zone(Zone::Offset(0))?;
                self.set_time(Clock { hour: 0, minute: 0, second: 0, micros: 0 })
            }
            Some(Word::Infinity) => Err(Fault::Infinite),
            Some(Word::Now) => {
                let local = self.local_now(text)?;
                self.set_whole_day(local.div_euclid(DAY_MICROS))?;
                let micros = local.rem_euclid(DAY_MICROS);
                self.set_time(Clock { hour: 0, minute: 0, second: 0, micros })
            }
            Some(Word::Day(distance)) => {
                let local = self.local_now(text)?;
                self.set_whole_day(local.div_euclid(DAY_MICROS) + distance)
            }
            Some(Word::DaylightSaving) => {
                self.daylight_saving = true;
                Ok(())
            }
            None => self.zone_name(text, Fault::Syntax),
        }
    }

    /// `jan-05-2024`, `america/new_york`, `utc+3`
    fn name(&mut self, text: &str) -> Decoding<()> {
        if !self.has_date()
            && text.bytes().any(|b| b.is_ascii_digit())
            && !text.contains(['+', '_', ':'])
            && self.date(text).is_ok()
        {
            return Ok(());
        }
        self.zone_name(text, Fault::UnknownZone(text.to_string()))
    }

    fn zone_name(&mut self, text: &str, unknown: Fault) -> Decoding<()> {
        self.set_zone_of(TimeZone::of_iana_or_posix(text).ok_or(unknown)?)
    }

    fn set_zone_of(&mut self, zone: TimeZone) -> Decoding<()> {
        match zone.constant_offset() {
            Some(offset) => self.set_zone(Zone::Offset(offset)),
            None => self.set_zone(Zone::Named(zone)),
        }
    }

    fn local_now(&self, word: &str) -> Decoding<i64> {
        let now = self.input.now.ok_or_else(|| Fault::NoClock(word.to_string()))?;
        local_micros(now, self.input.zone).ok_or(Fault::Overflow)
    }

    fn set_year(&mut self, year: i64, digits: usize) -> Decoding<()> {
        self.two_digit_year = digits <= 2;
        if self.year.replace(year).is_some() { Err(Fault::Syntax) } else { Ok(()) }
    }

    fn set_month(&mut self, month: i64) -> Decoding<()> {
        let month = u32::try_from(month).map_err(|_| Fault::MonthDayOverflow)?;
        if self.month.replace(month).is_some() { Err(Fault::Syntax) } else { Ok(()) }
    }

    /// A month's name; a number that was taken for the month before was the day.
    fn text_month(&mut self, month: u32) -> Decoding<()> {
        if let Some(number) = self.month.take() {
            if self.month_is_text || self.day.is_some() {
                return Err(Fault::Syntax);
            }
            self.day = Some(number);
        }
        self.month_is_text = true;
        self.month = Some(month);
        Ok(())
    }

    fn set_day(&mut self, day: i64) -> Decoding<()> {
        let day = u32::try_from(day).map_err(|_| Fault::MonthDayOverflow)?;
        if self.day.replace(day).is_some() { Err(Fault::Syntax) } else { Ok(()) }
    }

    fn set_whole_day(&mut self, days: i64) -> Decoding<()> {
        if self.has_date_part() {
            return Err(Fault::Syntax);
        }
        self.whole_day = Some(days);
        Ok(())
    }

    fn set_time(&mut self, time: Clock) -> Decoding<()> {
        if self.time.replace(time).is_some() { Err(Fault::Syntax) } else { Ok(()) }
    }

    fn set_zone(&mut self, zone: Zone) -> Decoding<()> {
        if self.zone.replace(zone).is_some() { Err(Fault::Syntax) } else { Ok(()) }
    }

    fn set_afternoon(&mut self, afternoon: bool) -> Decoding<()> {
        if self.afternoon.replace(afternoon).is_some() { Err(Fault::Syntax) } else { Ok(()) }
    }

    fn finish(mut self) -> Decoding<Decoded> {
        let micros = self.micros_of_day()?;
        if self.want == Want::Time && self.time.is_none() {
            return Err(Fault::Syntax);
        }
        let days = if self.has_date() {
            self.day_number()?
        } else if self.want == Want::Time && !self.has_date_part() {
            0
        } else {
            return Err(Fault::Syntax);
        };
        let zone = match self.zone.take() {
            Some(Zone::Offset(offset)) if self.daylight_saving => Some(Zone::Offset(offset + 3600)),
            None if self.daylight_saving => return Err(Fault::Syntax),
            zone => zone,
        };
        Ok(Decoded { days, micros, zone })
    }

    fn micros_of_day(&self) -> Decoding<i64> {
        let Some(mut time) = self.time else {
            return if self.afternoon.is_some() { Err(Fault::Syntax) } else { Ok(0) };
        };
        if let Some(afternoon) = self.afternoon {
            if time.hour > 12 {
                return Err(Fault::Overflow);
            }
            time.hour = time.hour % 12 + if afternoon { 12 } else { 0 };
        }
        let micros = (time.hour * 3600 + time.minute * 60 + time.second) * 1_000_000 + time.micros;
        let fields_fit = time.minute <= 59 && time.second <= 60;
        if !fields_fit || micros > DAY_MICROS { Err(Fault::Overflow) } else { Ok(micros) }
    }

    fn day_number(&self) -> Decoding<i64> {
        if let Some(days) = self.whole_day {
            return Ok(days);
        }
        let year = self.astronomical_year()?;
        if let Some(year_day) = self.year_day {
            let days = days_from_civil(year, 1, 1) + year_day - 1;
            return if days < days_from_civil(year + 1, 1, 1) { Ok(days) } else { Err(Fault::Overflow) };
        }
        let (month, day) = (self.month.unwrap_or(1), self.day.unwrap_or(1));
        if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return Err(Fault::MonthDayOverflow);
        }
        if day > days_of_month(year, month) {
            return Err(Fault::Overflow);
        }
        Ok(days_from_civil(year, month, day))
    }

    fn astronomical_year(&self) -> Decoding<i64> {
        let year = self.year.unwrap_or_default();
        if year > 99_999_999 {
            return Err(Fault::Overflow);
        }
        match (self.before_christ, self.two_digit_year) {
            // There is no year zero.
            (true, _) if year > 0 => Ok(1 - year),
            (false, true) => Ok(if year < 70 { year + 2000 } else { year + 1900 }),
            (false, false) if year > 0 => Ok(year),
            _ => Err(Fault::Overflow),
        }
    }
}

/// `hh:mm[:ss[.fraction]]`
fn read_clock(text: &str) -> Decoding<Clock> {
    let mut parts = text.split(':');
    let mut next = || parts.next();
    let whole = |part: &str| {
        let valid = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if valid { part.parse::<i64>().ok().filter(|n| *n <= 999_999).ok_or(Fault::Overflow) } else { Err(Fault::Syntax) }
    };
    let hour = whole(next().unwrap_or_default())?;
    let minute = whole(next().unwrap_or_default())?;
    let (second, micros) = match next() {
        None => (0, 0),
        Some(seconds) => match seconds.split_once('.') {
            None => (whole(seconds)?, 0),
            Some((seconds, fraction)) => (whole(seconds)?, read_fraction(fraction)?),
        },
    };
    if next().is_some() { Err(Fault::Syntax) } else { Ok(Clock { hour, minute, second, micros }) }
}

/// Microseconds of a fraction's digits, rounded to nearest.
fn read_fraction(digits: &str) -> Decoding<i64> {
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Fault::Syntax);
    }
    let mut micros = 0;
    for place in 0..6 {
        micros = micros * 10 + digits.as_bytes().get(place).map_or(0, |digit| i64::from(digit - b'0'));
    }
    let rounds_up = digits.as_bytes().get(6).is_some_and(|digit| *digit >= b'5');
    Ok(micros + i64::from(rounds_up))
}

/// `+hh`, `+hhmm`, `+hh:mm`, `+hh:mm:ss`: seconds east of Greenwich.
fn read_offset(text: &str) -> Decoding<i32> {
    let digits = &text[1..];
    let mut parts = digits.split(':');
    let whole = |part: &str| {
        let valid = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if valid { part.parse::<i32>().map_err(|_| Fault::ZoneOverflow) } else { Err(Fault::Syntax) }
    };
    let first = parts.next().unwrap_or_default();
    let (hours, minutes, seconds) = match (parts.next(), parts.next(), parts.next()) {
        (None, ..) if first.len() > 3 => (whole(first)? / 100, whole(first)? % 100, 0),
        (None, ..) => (whole(first)?, 0, 0),
        (Some(minutes), None, _) => (whole(first)?, whole(minutes)?, 0),
        (Some(minutes), Some(seconds), None) => (whole(first)?, whole(minutes)?, whole(seconds)?),
        _ => return Err(Fault::Syntax),
    };
    if hours > 15 || minutes > 59 || seconds > 59 {
        return Err(Fault::ZoneOverflow);
    }
    let offset = hours * 3600 + minutes * 60 + seconds;
    Ok(if text.starts_with('-') { -offset } else { offset })
}
