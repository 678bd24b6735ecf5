//! Fields to a day, a time of it and a zone, as PostgreSQL's DecodeDateTime and DecodeTimeOnly decide: which number is the day, the month
//! or the year depends on what has been read before it and on `DateStyle`.
//!
//! What has been read is a set of bits. Each field says which bits it adds, and one that adds a bit again is an error; so the order of
//! fields is free as far as PostgreSQL leaves it free, and no further.

use super::calendar::{DAY_MICROS, civil_from_days, days_from_civil, days_of_month};
use super::datetime::local_micros;
use super::datetime_fields::{Field, Word, split};
use super::datetime_input::DateTimeInput;
use super::input::{infinite, invalid_datetime};
use super::zone_abbreviation::{Abbreviation, abbreviation};
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

/// More fields than PostgreSQL reads.
const MAX_FIELDS: usize = 25;
const UNIX_EPOCH_JULIAN: i64 = 2_440_588;

/// Bits of what has been read.
mod bit {
    pub(super) const YEAR: u32 = 1;
    pub(super) const MONTH: u32 = 1 << 1;
    pub(super) const DAY: u32 = 1 << 2;
    pub(super) const DATE: u32 = YEAR | MONTH | DAY;
    pub(super) const TIME: u32 = 1 << 3;
    pub(super) const ZONE: u32 = 1 << 4;
    pub(super) const DAYLIGHT: u32 = 1 << 5;
    pub(super) const DYNAMIC: u32 = 1 << 6;
    pub(super) const MODIFIER: u32 = 1 << 7;
    pub(super) const YEAR_DAY: u32 = 1 << 8;
    pub(super) const HALF_DAY: u32 = 1 << 9;
    pub(super) const ERA: u32 = 1 << 10;
    pub(super) const WEEKDAY: u32 = 1 << 11;
    pub(super) const WORD: u32 = 1 << 12;
}

pub(super) fn decode(text: &str, input: &DateTimeInput<'_>, want: Want) -> Decoding<Decoded> {
    let fields = split(text)?;
    if fields.len() > MAX_FIELDS {
        return Err(Fault::Syntax);
    }
    let mut decoder = Decoder::new(input, want);
    for (position, field) in fields.iter().enumerate() {
        let added = decoder.field(position, &fields, field)?;
        if decoder.seen & added != 0 {
            return Err(Fault::Syntax);
        }
        decoder.seen |= added;
    }
    decoder.finish()
}

/// What the last field said about the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Prefix {
    None,
    Time,
    Julian,
}

#[derive(Debug, Clone, Copy, Default)]
struct Clock {
    hour: i64,
    minute: i64,
    second: i64,
    micros: i64,
}

impl Clock {
    fn of_micros(micros: i64) -> Clock {
        Clock {
            hour: micros / 3_600_000_000,
            minute: micros / 60_000_000 % 60,
            second: micros / 1_000_000 % 60,
            micros: micros % 1_000_000,
        }
    }

    const fn total(&self) -> i64 {
        (self.hour * 3600 + self.minute * 60 + self.second) * 1_000_000 + self.micros
    }

    fn overflows(&self) -> bool {
        let fits = (0..=24).contains(&self.hour) && (0..60).contains(&self.minute) && (0..=60).contains(&self.second);
        !fits || self.total() > DAY_MICROS
    }
}

/// Collects fields until a date and time stand.
struct Decoder<'a> {
    input: &'a DateTimeInput<'a>,
    want: Want,
    prefix: Prefix,
    seen: u32,
    year: i64,
    month: i64,
    day: i64,
    year_day: i64,
    month_is_text: bool,
    two_digit_year: bool,
    is_julian: bool,
    before_christ: bool,
    clock: Clock,
    afternoon: Option<bool>,
    /// Seconds east of Greenwich, of zones that have one offset.
    offset: i32,
    zone: Option<TimeZone>,
    is_epoch: bool,
    is_infinite: bool,
}

impl<'a> Decoder<'a> {
    fn new(input: &'a DateTimeInput<'a>, want: Want) -> Decoder<'a> {
        Decoder {
            input,
            want,
            prefix: Prefix::None,
            seen: 0,
            year: 0,
            month: 0,
            day: 0,
            year_day: 0,
            month_is_text: false,
            two_digit_year: false,
            is_julian: false,
            before_christ: false,
            clock: Clock::default(),
            afternoon: None,
            offset: 0,
            zone: None,
            is_epoch: false,
            is_infinite: false,
        }
    }

    /// Reads a field and says which bits it adds.
    fn field(&mut self, position: usize, fields: &[Field], field: &Field) -> Decoding<u32> {
        match field {
            Field::Date(text) | Field::Name(text) => match self.want {
                Want::DateTime => self.date_field(text),
                Want::Time => self.date_field_of_time(text, position, fields),
            },
            Field::Time(text) => {
                if std::mem::replace(&mut self.prefix, Prefix::None) == Prefix::Julian {
                    return Err(Fault::Syntax);
                }
                self.clock = read_clock(text)?;
                if self.want == Want::DateTime && self.clock.overflows() { Err(Fault::Overflow) } else { Ok(bit::TIME) }
            }
            Field::Zone(text) => {
                self.offset = read_offset(text)?;
                Ok(bit::ZONE)
            }
            Field::Number(text) => self.number_field(text, position, fields),
            Field::Word(text) | Field::Special(text) => self.word(text),
        }
    }

    fn date_field(&mut self, text: &str) -> Decoding<u32> {
        let starts_with_digit = text.starts_with(|first: char| first.is_ascii_digit());
        match self.prefix {
            Prefix::Julian => {
                let digits = text.bytes().take_while(u8::is_ascii_digit).count();
                self.set_julian(text[..digits].parse().map_err(|_| Fault::Overflow)?);
                self.offset = read_offset(&text[digits..])?;
                self.prefix = Prefix::None;
                Ok(bit::DATE | bit::TIME | bit::ZONE)
            }
            Prefix::None if self.seen & (bit::MONTH | bit::DAY) != bit::MONTH | bit::DAY => self.date(text),
            // Behind a date: a time with its zone, or the name of a zone.
            prefix if starts_with_digit || prefix == Prefix::Time => {
                self.prefix = Prefix::None;
                if self.seen & bit::TIME != 0 {
                    return Err(Fault::Syntax);
                }
                self.time_with_zone(text, self.seen)
            }
            _ => self.zone_name(text, Fault::UnknownZone(text.to_string())),
        }
    }

    fn date_field_of_time(&mut self, text: &str, position: usize, fields: &[Field]) -> Decoding<u32> {
        let is_date = |field: Option<&Field>| matches!(field, Some(Field::Date(_) | Field::Name(_)));
        if position == 0 && fields.len() >= 2 && (is_date(fields.last()) || matches!(fields.get(1), Some(Field::Time(_)))) {
            return self.date(text);
        }
        if text.starts_with(|first: char| first.is_ascii_digit()) {
            if self.seen & bit::TIME != 0 {
                return Err(Fault::Syntax);
            }
            return self.time_with_zone(text, self.seen | bit::DATE);
        }
        self.zone_name(text, Fault::UnknownZone(text.to_string()))
    }

    /// `040506-08`
    fn time_with_zone(&mut self, text: &str, seen: u32) -> Decoding<u32> {
        let dash = text.find('-').ok_or(Fault::Syntax)?;
        self.offset = read_offset(&text[dash..])?;
        Ok(self.run_together(&text[..dash], seen)? | bit::ZONE)
    }

    fn set_julian(&mut self, julian: i64) {
        let (year, month, day) = civil_from_days(julian - UNIX_EPOCH_JULIAN);
        (self.year, self.month, self.day) = (year, month.into(), day.into());
        self.is_julian = true;
    }

    fn number_field(&mut self, text: &str, position: usize, fields: &[Field]) -> Decoding<u32> {
        let point = text.find('.');
        match std::mem::replace(&mut self.prefix, Prefix::None) {
            Prefix::Julian => return self.julian(text),
            Prefix::Time => {
                let added = self.run_together(text, self.seen | bit::DATE)?;
                return if added == bit::TIME { Ok(added) } else { Err(Fault::Syntax) };
            }
            Prefix::None => {}
        }
        if self.want == Want::Time {
            let date_ends = matches!(fields.last(), Some(Field::Date(_) | Field::Name(_)));
            return match point {
                Some(_) if position == 0 && fields.len() >= 2 && date_ends => self.date(text),
                Some(point) if point > 2 => self.run_together(text, self.seen | bit::DATE),
                Some(_) => Err(Fault::Syntax),
                None if text.len() > 4 => self.run_together(text, self.seen | bit::DATE),
                None => self.number(text, self.seen | bit::DATE),
            };
        }
        match point {
            Some(_) if self.seen & bit::DATE == 0 => self.date(text),
            Some(point) if point > 2 => self.run_together(text, self.seen),
            None if text.len() >= 6 && (self.seen & bit::DATE == 0 || self.seen & bit::TIME == 0) => {
                self.run_together(text, self.seen)
            }
            _ => self.number(text, self.seen),
        }
    }

    fn julian(&mut self, text: &str) -> Decoding<u32> {
        let (digits, fraction) = text.split_once('.').map_or((text, None), |(digits, fraction)| (digits, Some(fraction)));
        let julian: i32 = digits.parse().map_err(|_| Fault::Overflow)?;
        self.set_julian(julian.into());
        let Some(fraction) = fraction else { return Ok(bit::DATE) };
        let of_day: f64 = if fraction.is_empty() { 0.0 } else { format!("0.{fraction}").parse().map_err(|_| Fault::Syntax)? };
        #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "a fraction of a day in microseconds")]
        let micros = (of_day * DAY_MICROS as f64) as i64;
        self.clock = Clock::of_micros(micros);
        Ok(bit::DATE | bit::TIME)
    }

    /// `yyyymmdd`, `yymmdd`, `hhmmss`, `hhmm`, each time perhaps with a fraction of a second. The parts of a time are not compared with
    /// their ranges, as in PostgreSQL.
    fn run_together(&mut self, text: &str, seen: u32) -> Decoding<u32> {
        let (digits, fraction) = text.split_once('.').map_or((text, None), |(digits, fraction)| (digits, Some(fraction)));
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Fault::Syntax);
        }
        let part = |from: usize, to: usize| digits[from..to].parse::<i32>().map(i64::from).map_err(|_| Fault::Overflow);
        let length = digits.len();
        match fraction {
            Some(fraction) => self.clock.micros = read_fraction(fraction)?,
            None if seen & bit::DATE != bit::DATE && length >= 6 => {
                self.year = part(0, length - 4)?;
                self.month = part(length - 4, length - 2)?;
                self.day = part(length - 2, length)?;
                self.two_digit_year |= length == 6;
                return Ok(bit::DATE);
            }
            None => {}
        }
        let second = match length {
            6 => part(4, 6)?,
            4 => 0,
            _ => return Err(Fault::Syntax),
        };
        if seen & bit::TIME != 0 {
            return Err(Fault::Syntax);
        }
        self.clock = Clock { hour: part(0, 2)?, minute: part(2, 4)?, second, ..self.clock };
        Ok(bit::TIME)
    }

    /// Digits and month names between separators.
    fn date(&mut self, text: &str) -> Decoding<u32> {
        let parts = date_parts(text)?;
        let (mut seen, mut added) = (self.seen, 0);
        let mut add = |seen: &mut u32, bits: u32| {
            if *seen & bits != 0 {
                return Err(Fault::Syntax);
            }
            *seen |= bits;
            added |= bits;
            Ok(())
        };
        // Names first: they leave less to guess for the numbers.
        let (names, numbers): (Vec<&str>, Vec<&str>) =
            parts.into_iter().partition(|part| part.starts_with(|first: char| first.is_ascii_alphabetic()));
        let mut text_month = false;
        for name in names {
            match Word::of(name) {
                Some(Word::Month(month)) => {
                    self.month = month.into();
                    text_month = true;
                    add(&mut seen, bit::MONTH)?;
                }
                Some(Word::Noise) => {}
                _ => return Err(Fault::Syntax),
            }
        }
        let before = std::mem::replace(&mut self.month_is_text, text_month);
        for number in numbers {
            let bits = self.number(number, seen)?;
            add(&mut seen, bits)?;
        }
        self.month_is_text = before;
        if seen & !(bit::YEAR_DAY | bit::ZONE) == bit::DATE { Ok(added) } else { Err(Fault::Syntax) }
    }

    /// One number of a date, whose meaning depends on what is known.
    fn number(&mut self, text: &str, seen: u32) -> Decoding<u32> {
        let point = text.find('.');
        let digits = &text[..point.unwrap_or(text.len())];
        let value: i64 = if digits.is_empty() { return Err(Fault::Syntax) } else { digits.parse().map_err(|_| Fault::Overflow)? };
        if i32::try_from(value).is_err() {
            return Err(Fault::Overflow);
        }
        if let Some(point) = point {
            if point > 2 {
                return self.run_together(text, seen | bit::DATE);
            }
            self.clock.micros = read_fraction(&text[point + 1..])?;
        }
        let length = text.len();
        let date = seen & bit::DATE;
        if length == 3 && date == bit::YEAR && (1..=366).contains(&value) {
            self.year_day = value;
            return Ok(bit::YEAR_DAY | bit::MONTH | bit::DAY);
        }
        let (by_length, order) = (length >= 3, self.input.order);
        let added = match date {
            0 if by_length || order == DateOrder::Ymd => bit::YEAR,
            0 if order == DateOrder::Dmy => bit::DAY,
            0 | bit::YEAR | bit::DAY => bit::MONTH,
            bit::MONTH if self.month_is_text && (by_length || order == DateOrder::Ymd) => bit::YEAR,
            bit::MONTH => bit::DAY,
            // The first number was taken for the year, but only this one can be it: the first is the day.
            _ if date == bit::YEAR | bit::MONTH && self.month_is_text && by_length && self.two_digit_year => {
                self.day = self.year;
                self.year = value;
                self.two_digit_year = false;
                return Ok(bit::DAY);
            }
            _ if date == bit::YEAR | bit::MONTH => bit::DAY,
            _ if date == bit::MONTH | bit::DAY => bit::YEAR,
            bit::DATE => return self.run_together(text, seen),
            _ => return Err(Fault::Syntax),
        };
        match added {
            bit::YEAR => {
                self.year = value;
                self.two_digit_year = length <= 2;
            }
            bit::MONTH => self.month = value,
            _ => self.day = value,
        }
        Ok(added)
    }

    fn word(&mut self, text: &str) -> Decoding<u32> {
        match abbreviation(text) {
            Some(Abbreviation::Fixed(offset, is_daylight_saving)) => {
                self.offset = offset;
                return Ok(if is_daylight_saving { bit::ZONE | bit::DAYLIGHT } else { bit::ZONE });
            }
            Some(Abbreviation::InZone(_)) => {
                self.zone = TimeZone::abbreviated(text);
                return Ok(bit::ZONE | bit::DYNAMIC);
            }
            None => {}
        }
        let of_date = self.want == Want::DateTime;
        match Word::of(text.strip_prefix(['+', '-']).unwrap_or(text)) {
            Some(Word::Infinity) if of_date => {
                self.is_infinite = true;
                return Ok(bit::DATE | bit::TIME | bit::ZONE | bit::WORD);
            }
            _ if text.starts_with(['+', '-']) => return Err(Fault::Syntax),
            _ => {}
        }
        match Word::of(text) {
            Some(Word::Noise) => Ok(0),
            Some(Word::Month(_)) if !of_date => Err(Fault::Syntax),
            Some(Word::Month(month)) => Ok(self.text_month(month)),
            Some(Word::Weekday) if of_date => Ok(bit::WEEKDAY),
            Some(Word::BeforeChrist) => {
                self.before_christ = true;
                Ok(bit::ERA)
            }
            Some(Word::AnnoDomini) => Ok(bit::ERA),
            Some(Word::Am) => {
                self.afternoon = Some(false);
                Ok(bit::HALF_DAY)
            }
            Some(Word::Pm) => {
                self.afternoon = Some(true);
                Ok(bit::HALF_DAY)
            }
            Some(Word::TimeMark) => {
                if self.prefix != Prefix::None || (of_date && self.seen & bit::DATE != bit::DATE) {
                    return Err(Fault::Syntax);
                }
                self.prefix = Prefix::Time;
                Ok(0)
            }
            Some(Word::JulianMark) => {
                if self.prefix != Prefix::None {
                    return Err(Fault::Syntax);
                }
                self.prefix = Prefix::Julian;
                Ok(0)
            }
            Some(Word::Epoch) if of_date => {
                self.is_epoch = true;
                Ok(bit::DATE | bit::TIME | bit::ZONE | bit::WORD)
            }
            Some(Word::MidnightUtc) => {
                (self.clock, self.offset) = (Clock::default(), 0);
                Ok(bit::TIME | bit::ZONE)
            }
            Some(Word::Now) => {
                let local = self.local_now(text)?;
                self.clock = Clock::of_micros(local.rem_euclid(DAY_MICROS));
                if !of_date {
                    return Ok(bit::TIME);
                }
                self.set_julian(local.div_euclid(DAY_MICROS) + UNIX_EPOCH_JULIAN);
                self.zone = Some(self.input.zone.clone());
                Ok(bit::DATE | bit::TIME | bit::ZONE)
            }
            Some(Word::Day(distance)) if of_date => {
                let local = self.local_now(text)?;
                self.set_julian(local.div_euclid(DAY_MICROS) + distance + UNIX_EPOCH_JULIAN);
                Ok(bit::DATE)
            }
            Some(Word::DaylightSaving) => {
                self.offset += 3600;
                Ok(bit::MODIFIER | bit::DAYLIGHT)
            }
            Some(_) => Err(Fault::Syntax),
            None => self.zone_name(text, Fault::Syntax),
        }
    }

    /// A month's name; a number that was taken for the month before was the day.
    fn text_month(&mut self, month: u32) -> u32 {
        let swap =
            self.seen & bit::MONTH != 0 && !self.month_is_text && self.seen & bit::DAY == 0 && (1..=31).contains(&self.month);
        if swap {
            self.day = self.month;
        }
        self.month_is_text = true;
        self.month = month.into();
        if swap { bit::DAY } else { bit::MONTH }
    }

    fn zone_name(&mut self, text: &str, unknown: Fault) -> Decoding<u32> {
        self.zone = Some(TimeZone::of_iana_or_posix(text).ok_or(unknown)?);
        Ok(bit::ZONE)
    }

    fn local_now(&self, word: &str) -> Decoding<i64> {
        let now = self.input.now.ok_or_else(|| Fault::NoClock(word.to_string()))?;
        local_micros(now, self.input.zone).ok_or(Fault::Overflow)
    }

    fn finish(mut self) -> Decoding<Decoded> {
        if self.prefix != Prefix::None {
            return Err(Fault::Syntax);
        }
        if self.is_infinite {
            return Err(Fault::Infinite);
        }
        if self.is_epoch {
            return Ok(Decoded { days: 0, micros: 0, zone: Some(Zone::Offset(0)) });
        }
        let days = self.day_number()?;
        if let Some(afternoon) = self.afternoon {
            if self.clock.hour > 12 {
                return Err(Fault::Overflow);
            }
            self.clock.hour = match (self.clock.hour, afternoon) {
                (12, false) => 0,
                (12, true) | (_, false) => self.clock.hour,
                (hour, true) => hour + 12,
            };
        }
        match self.want {
            Want::Time if self.clock.overflows() => return Err(Fault::Overflow),
            Want::Time if self.seen & bit::TIME == 0 => return Err(Fault::Syntax),
            Want::DateTime if days.is_none() => return Err(Fault::Syntax),
            _ => {}
        }
        let has_zone = self.seen & bit::ZONE != 0;
        // A modifier needs a zone of one offset.
        if self.seen & bit::MODIFIER != 0 && (self.zone.is_some() || !has_zone) {
            return Err(Fault::Syntax);
        }
        let zone = match self.zone.take() {
            // Which offset a zone has depends on the day.
            Some(zone)
                if self.want == Want::Time
                    && days.is_none()
                    && zone.constant_offset().is_none()
                    && self.seen & bit::DYNAMIC == 0 =>
            {
                return Err(Fault::Syntax);
            }
            Some(zone) => Some(Zone::Named(zone)),
            None => has_zone.then_some(Zone::Offset(self.offset)),
        };
        Ok(Decoded { days: days.unwrap_or_default(), micros: self.clock.total(), zone })
    }

    /// The day, if year, month and day are known.
    fn day_number(&mut self) -> Decoding<Option<i64>> {
        if self.seen & bit::YEAR != 0 && !self.is_julian {
            self.year = match (self.before_christ, self.two_digit_year) {
                // There is no year zero.
                (true, _) if self.year > 0 => 1 - self.year,
                (false, true) if self.year < 70 => self.year + 2000,
                (false, true) if self.year < 100 => self.year + 1900,
                (false, false) if self.year > 0 => self.year,
                _ => return Err(Fault::Overflow),
            };
        }
        if self.seen & bit::YEAR_DAY != 0 {
            let (year, month, day) = civil_from_days(days_from_civil(self.year, 1, 1) + self.year_day - 1);
            (self.year, self.month, self.day) = (year, month.into(), day.into());
        }
        let month = u32::try_from(self.month).ok().filter(|month| (1..=12).contains(month));
        let day = u32::try_from(self.day).ok().filter(|day| (1..=31).contains(day));
        if (self.seen & bit::MONTH != 0 && month.is_none()) || (self.seen & bit::DAY != 0 && day.is_none()) {
            return Err(Fault::MonthDayOverflow);
        }
        match (month, day) {
            (Some(month), Some(day)) if self.seen & bit::DATE == bit::DATE => {
                if day > days_of_month(self.year, month) {
                    Err(Fault::Overflow)
                } else {
                    Ok(Some(days_from_civil(self.year, month, day)))
                }
            }
            _ => Ok(None),
        }
    }
}

/// Runs of digits and of letters. One character behind each is dropped, whatever it is, as PostgreSQL does.
fn date_parts(text: &str) -> Decoding<Vec<&str>> {
    let mut parts = vec![];
    let mut rest = text;
    while !rest.is_empty() {
        rest = rest.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
        let is_digit = rest.starts_with(|c: char| c.is_ascii_digit());
        let same = |c: char| if is_digit { c.is_ascii_digit() } else { c.is_ascii_alphabetic() };
        let end = rest.find(|c| !same(c)).unwrap_or(rest.len());
        if end == 0 {
            return Err(Fault::Syntax);
        }
        parts.push(&rest[..end]);
        let mut behind = rest[end..].chars();
        behind.next();
        rest = behind.as_str();
    }
    Ok(parts)
}

/// `hh:mm[:ss[.fraction]]`, `mm:ss.fraction`
fn read_clock(text: &str) -> Decoding<Clock> {
    let whole = |part: &str| {
        let valid = part.bytes().all(|b| b.is_ascii_digit());
        match (valid, part) {
            (true, "") => Ok(0),
            (true, digits) => digits.parse::<i32>().map(i64::from).map_err(|_| Fault::Overflow),
            (false, _) => Err(Fault::Syntax),
        }
    };
    let (clock, fraction) = text.split_once('.').map_or((text, None), |(clock, fraction)| (clock, Some(fraction)));
    let micros = fraction.map_or(Ok(0), read_fraction)?;
    let parts: Vec<&str> = clock.split(':').collect();
    let clock = match parts.as_slice() {
        [minute, second] if fraction.is_some() => Clock { hour: 0, minute: whole(minute)?, second: whole(second)?, micros },
        [hour, minute] => Clock { hour: whole(hour)?, minute: whole(minute)?, second: 0, micros },
        [hour, minute, second] => Clock { hour: whole(hour)?, minute: whole(minute)?, second: whole(second)?, micros },
        _ => return Err(Fault::Syntax),
    };
    if clock.minute > 59 || clock.second > 60 { Err(Fault::Overflow) } else { Ok(clock) }
}

/// Microseconds of a fraction's digits, rounded as the double of them is.
fn read_fraction(digits: &str) -> Decoding<i64> {
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Fault::Syntax);
    }
    let fraction: f64 = if digits.is_empty() { 0.0 } else { format!("0.{digits}").parse().map_err(|_| Fault::Syntax)? };
    #[expect(clippy::cast_possible_truncation, reason = "at most a million")]
    let micros = (fraction * 1e6).round_ties_even() as i64;
    Ok(micros)
}

/// `+hh`, `+hhmm`, `+hh:mm`, `+hh:mm:ss`: seconds east of Greenwich.
pub(super) fn read_offset(text: &str) -> Decoding<i32> {
    let digits = text.strip_prefix(['+', '-']).ok_or(Fault::Syntax)?;
    let mut parts = digits.split(':');
    let whole = |part: &str| match part {
        "" => Ok(0),
        part if part.bytes().all(|b| b.is_ascii_digit()) => part.parse::<i32>().map_err(|_| Fault::ZoneOverflow),
        _ => Err(Fault::Syntax),
    };
    let first = parts.next().unwrap_or_default();
    let (hours, minutes, seconds) = match (parts.next(), parts.next(), parts.next()) {
        (None, ..) if first.len() > 2 => (whole(first)? / 100, whole(first)? % 100, 0),
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
