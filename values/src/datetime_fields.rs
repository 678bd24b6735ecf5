//! The fields of a date or time in text, and what its words mean.

use super::datetime_decoder::{Decoding, Fault};

/// A piece of the text, in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Field {
    /// Digits with two `-`, `/` or `.`, or with a month's name between them.
    Date(String),
    /// Digits with colons.
    Time(String),
    /// Digits, perhaps with one point.
    Number(String),
    /// A sign and digits.
    Zone(String),
    /// Letters.
    Word(String),
    /// A name that begins with letters: `america/new_york`, `utc+3`, `jan-05-2024`.
    Name(String),
    /// A sign and letters: `-infinity`.
    Special(String),
}

impl Field {
    /// What stands in the text.
    pub(super) fn text(&self) -> &str {
        match self {
            Field::Date(text)
            | Field::Time(text)
            | Field::Number(text)
            | Field::Zone(text)
            | Field::Word(text)
            | Field::Name(text)
            | Field::Special(text) => text,
        }
    }
}

/// Reads the text's fields.
struct Scanner<'a> {
    rest: &'a str,
}

impl<'a> Scanner<'a> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn take_while(&mut self, accept: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !accept(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }
}

pub(super) fn split(text: &str) -> Decoding<Vec<Field>> {
    let lower = text.to_ascii_lowercase();
    let mut scanner = Scanner { rest: &lower };
    let mut fields = vec![];
    while let Some(first) = scanner.peek() {
        if first.is_ascii_digit() {
            fields.push(digits_field(&mut scanner));
        } else if first == '.' {
            let digits = scanner.rest[1..].bytes().take_while(u8::is_ascii_digit).count();
            fields.push(Field::Number(scanner.rest[..=digits].to_string()));
            scanner.rest = &scanner.rest[digits + 1..];
        } else if first.is_ascii_alphabetic() {
            fields.push(letters_field(&mut scanner));
        } else if matches!(first, '+' | '-') {
            scanner.rest = scanner.rest[1..].trim_start_matches(|c: char| c.is_ascii_whitespace());
            match scanner.peek() {
                Some(c) if c.is_ascii_digit() => {
                    let digits = scanner.take_while(|c| c.is_ascii_digit() || matches!(c, ':' | '.' | '-'));
                    fields.push(Field::Zone(format!("{first}{digits}")));
                }
                Some(c) if c.is_ascii_alphabetic() => {
                    let letters = scanner.take_while(|c| c.is_ascii_alphabetic());
                    fields.push(Field::Special(format!("{first}{letters}")));
                }
                _ => return Err(Fault::Syntax),
            }
        } else if first.is_ascii_whitespace() || first.is_ascii_punctuation() || first == '\x0b' {
            scanner.rest = &scanner.rest[1..];
        } else {
            return Err(Fault::Syntax);
        }
    }
    Ok(fields)
}

fn digits_field(scanner: &mut Scanner<'_>) -> Field {
    let whole = scanner.rest;
    let taken = |scanner: &Scanner<'_>| whole[..whole.len() - scanner.rest.len()].to_string();
    scanner.take_while(|c| c.is_ascii_digit());
    match scanner.peek() {
        Some(':') => {
            scanner.take_while(|c| c.is_ascii_digit() || matches!(c, ':' | '.'));
            Field::Time(taken(scanner))
        }
        Some(separator @ ('-' | '/' | '.')) => {
            scanner.rest = &scanner.rest[1..];
            if scanner.peek().is_some_and(|c| c.is_ascii_digit()) {
                scanner.take_while(|c| c.is_ascii_digit());
                if scanner.peek() == Some(separator) {
                    scanner.take_while(|c| c.is_ascii_digit() || c == separator);
                    return Field::Date(taken(scanner));
                }
                return if separator == '.' { Field::Number(taken(scanner)) } else { Field::Date(taken(scanner)) };
            }
            scanner.take_while(|c| c.is_ascii_alphanumeric() || c == separator);
            Field::Date(taken(scanner))
        }
        _ => Field::Number(taken(scanner)),
    }
}

fn letters_field(scanner: &mut Scanner<'_>) -> Field {
    let whole = scanner.rest;
    let word = scanner.take_while(|c| c.is_ascii_alphabetic());
    let is_name = match scanner.peek() {
        Some('-' | '/' | '.') => true,
        Some(c) if c == '+' || c.is_ascii_digit() => Word::of(word).is_none(),
        _ => false,
    };
    if is_name {
        scanner.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '/' | '_' | '.' | ':'));
        return Field::Name(whole[..whole.len() - scanner.rest.len()].to_string());
    }
    Field::Word(word.to_string())
}

/// What a word means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    Month(u32),
    Weekday,
    BeforeChrist,
    AnnoDomini,
    Am,
    Pm,
    /// `t` between date and time.
    TimeMark,
    /// `j` before a Julian day.
    JulianMark,
    /// `at`, `on` and other words without meaning.
    Noise,
    Epoch,
    Infinity,
    Now,
    /// Days from today.
    Day(i64),
    /// `allballs`: midnight UTC.
    MidnightUtc,
    /// `dst` behind a zone: one hour more.
    DaylightSaving,
    /// A unit that PostgreSQL lists among the words of dates, and that no date has.
    Unit,
}

impl Word {
    pub(super) fn of(word: &str) -> Option<Word> {
        Some(match word {
            "jan" | "january" => Word::Month(1),
            "feb" | "february" => Word::Month(2),
            "mar" | "march" => Word::Month(3),
            "apr" | "april" => Word::Month(4),
            "may" => Word::Month(5),
            "jun" | "june" => Word::Month(6),
            "jul" | "july" => Word::Month(7),
            "aug" | "august" => Word::Month(8),
            "sep" | "sept" | "september" => Word::Month(9),
            "oct" | "october" => Word::Month(10),
            "nov" | "november" => Word::Month(11),
            "dec" | "december" => Word::Month(12),
            "sun" | "sunday" | "mon" | "monday" | "tue" | "tues" | "tuesday" | "wed" | "weds" | "wednesday" | "thu" | "thur"
            | "thurs" | "thursday" | "fri" | "friday" | "sat" | "saturday" => Word::Weekday,
            "bc" => Word::BeforeChrist,
            "ad" => Word::AnnoDomini,
            "am" => Word::Am,
            "pm" => Word::Pm,
            "t" => Word::TimeMark,
            "j" | "jd" | "julian" => Word::JulianMark,
            "at" | "on" => Word::Noise,
            "epoch" => Word::Epoch,
            "infinity" => Word::Infinity,
            "now" => Word::Now,
            "today" => Word::Day(0),
            "tomorrow" => Word::Day(1),
            "yesterday" => Word::Day(-1),
            "allballs" => Word::MidnightUtc,
            "dst" => Word::DaylightSaving,
            "y" | "d" | "h" | "m" | "s" | "dow" | "doy" | "isodow" | "isoyear" => Word::Unit,
            _ => return None,
        })
    }
}
