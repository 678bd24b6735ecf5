//! PostgreSQL's template language for dates and times: what `to_char`, `to_date` and `to_timestamp` make of `'YYYY-MM-DD HH24:MI'`.
//!
//! ```text
//!  "FMDDth Mon" ── Template::parse ──▶ [Field DD fm th, Space, Field Mon] ──┬─ template_output ──▶ text
//!                                                                           └─ template_input  ──▶ moment
//! ```
//! This is `parse_format` of PostgreSQL's formatting.c: a keyword is found by its first letters in the order of the list, with FM and TM
//! before it and TH or th behind it; everything else is a separator, a space or a character.

/// A keyword of the language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keyword {
    AmDotted,
    Am,
    AdDotted,
    Ad,
    Century,
    Day,
    DayShort,
    DayOfYear,
    IsoDayOfYear,
    DayOfMonth,
    DayOfWeek,
    IsoDayOfWeek,
    Fraction(u8),
    Exact,
    Hour24,
    Hour12,
    Minute,
    Second,
    Milliseconds,
    Microseconds,
    SecondOfDay,
    Week,
    IsoWeek,
    WeekOfMonth,
    Year(u8),
    YearWithComma,
    IsoYear(u8),
    Julian,
    MonthNumber,
    Month,
    MonthShort,
    MonthRoman,
    Quarter,
    Zone,
    ZoneHour,
    ZoneMinute,
    Offset,
}

/// Which calendar a keyword belongs to: the two must not be mixed in input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Calendar {
    Gregorian,
    IsoWeek,
}

impl Keyword {
    /// Whether its text is digits, so that a number before it must have its full width.
    pub(super) const fn is_digits(self) -> bool {
        !matches!(
            self,
            Keyword::AmDotted
                | Keyword::Am
                | Keyword::AdDotted
                | Keyword::Ad
                | Keyword::Day
                | Keyword::DayShort
                | Keyword::Exact
                | Keyword::Month
                | Keyword::MonthShort
                | Keyword::MonthRoman
                | Keyword::Zone
                | Keyword::ZoneHour
                | Keyword::Offset
        )
    }

    pub(super) const fn calendar(self) -> Option<Calendar> {
        match self {
            Keyword::IsoDayOfYear | Keyword::IsoDayOfWeek | Keyword::IsoWeek | Keyword::IsoYear(_) => Some(Calendar::IsoWeek),
            Keyword::DayOfYear
            | Keyword::DayOfMonth
            | Keyword::DayOfWeek
            | Keyword::MonthNumber
            | Keyword::Month
            | Keyword::MonthShort
            | Keyword::MonthRoman
            | Keyword::Week
            | Keyword::WeekOfMonth
            | Keyword::Year(_)
            | Keyword::YearWithComma => Some(Calendar::Gregorian),
            _ => None,
        }
    }
}

/// The keywords, which may be written in lower case as well. One that begins with another stands before it.
const KEYWORDS: [(&str, Keyword); 54] = [
    ("A.D.", Keyword::AdDotted),
    ("A.M.", Keyword::AmDotted),
    ("AD", Keyword::Ad),
    ("AM", Keyword::Am),
    ("B.C.", Keyword::AdDotted),
    ("BC", Keyword::Ad),
    ("CC", Keyword::Century),
    ("DAY", Keyword::Day),
    ("DDD", Keyword::DayOfYear),
    ("DD", Keyword::DayOfMonth),
    ("DY", Keyword::DayShort),
    ("D", Keyword::DayOfWeek),
    ("FF1", Keyword::Fraction(1)),
    ("FF2", Keyword::Fraction(2)),
    ("FF3", Keyword::Fraction(3)),
    ("FF4", Keyword::Fraction(4)),
    ("FF5", Keyword::Fraction(5)),
    ("FF6", Keyword::Fraction(6)),
    ("FX", Keyword::Exact),
    ("HH24", Keyword::Hour24),
    ("HH12", Keyword::Hour12),
    ("HH", Keyword::Hour12),
    ("IDDD", Keyword::IsoDayOfYear),
    ("ID", Keyword::IsoDayOfWeek),
    ("IW", Keyword::IsoWeek),
    ("IYYY", Keyword::IsoYear(4)),
    ("IYY", Keyword::IsoYear(3)),
    ("IY", Keyword::IsoYear(2)),
    ("I", Keyword::IsoYear(1)),
    ("J", Keyword::Julian),
    ("MI", Keyword::Minute),
    ("MM", Keyword::MonthNumber),
    ("MONTH", Keyword::Month),
    ("MON", Keyword::MonthShort),
    ("MS", Keyword::Milliseconds),
    ("OF", Keyword::Offset),
    ("P.M.", Keyword::AmDotted),
    ("PM", Keyword::Am),
    ("Q", Keyword::Quarter),
    ("RM", Keyword::MonthRoman),
    ("SSSSS", Keyword::SecondOfDay),
    ("SSSS", Keyword::SecondOfDay),
    ("SS", Keyword::Second),
    ("TZH", Keyword::ZoneHour),
    ("TZM", Keyword::ZoneMinute),
    ("TZ", Keyword::Zone),
    ("US", Keyword::Microseconds),
    ("WW", Keyword::Week),
    ("W", Keyword::WeekOfMonth),
    ("Y,YYY", Keyword::YearWithComma),
    ("YYYY", Keyword::Year(4)),
    ("YYY", Keyword::Year(3)),
    ("YY", Keyword::Year(2)),
    ("Y", Keyword::Year(1)),
];
const MIXED_CASE: [(&str, Keyword); 4] =
    [("Day", Keyword::Day), ("Dy", Keyword::DayShort), ("Month", Keyword::Month), ("Mon", Keyword::MonthShort)];

/// A keyword with its modifiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Field<'a> {
    pub(super) keyword: Keyword,
    /// As it is written, which chooses the case of what is shown.
    pub(super) name: &'a str,
    /// FM: no padding.
    pub(super) unpadded: bool,
    /// TM: names in the locale's language, which is English here, without padding.
    pub(super) localized: bool,
    /// TH or th: an ordinal's ending.
    pub(super) ordinal: Option<&'a str>,
}

/// A piece of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    Field(Field<'a>),
    Separator(char),
    Space(char),
    Character(char),
}

/// The pieces of a template.
pub(super) fn pieces(template: &str) -> Vec<Piece<'_>> {
    let mut pieces = vec![];
    let mut rest = template;
    while !rest.is_empty() {
        let prefix = rest.get(..2).filter(|prefix| matches!(*prefix, "FM" | "fm" | "TM" | "tm"));
        if let Some(prefix) = prefix {
            rest = &rest[prefix.len()..];
        }
        if let Some((name, keyword)) = keyword_at(rest) {
            rest = &rest[name.len()..];
            let suffix = rest.get(..2).filter(|suffix| matches!(*suffix, "TH" | "th" | "SP"));
            if let Some(suffix) = suffix {
                rest = &rest[suffix.len()..];
            }
            pieces.push(Piece::Field(Field {
                keyword,
                name,
                unpadded: matches!(prefix, Some("FM" | "fm")),
                localized: matches!(prefix, Some("TM" | "tm")),
                ordinal: suffix.filter(|suffix| *suffix != "SP"),
            }));
        } else if let Some(quoted) = rest.strip_prefix('"') {
            rest = quoted_characters(quoted, &mut pieces);
        } else {
            let unescaped = rest.strip_prefix('\\').filter(|rest| rest.starts_with('"')).unwrap_or(rest);
            let mut characters = unescaped.chars();
            if let Some(character) = characters.next() {
                pieces.push(match character {
                    separator if is_separator(separator) => Piece::Separator(separator),
                    space if is_space(space) => Piece::Space(space),
                    other => Piece::Character(other),
                });
            }
            rest = characters.as_str();
        }
    }
    pieces
}

/// The characters up to a closing quote; a backslash takes the next one as it is. What follows.
fn quoted_characters<'a>(quoted: &'a str, pieces: &mut Vec<Piece<'_>>) -> &'a str {
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => break,
            '\\' => pieces.push(Piece::Character(characters.next().unwrap_or('\\'))),
            other => pieces.push(Piece::Character(other)),
        }
    }
    characters.as_str()
}

fn keyword_at(text: &str) -> Option<(&str, Keyword)> {
    let mixed = MIXED_CASE.iter().find(|(name, _)| text.starts_with(name));
    let found = mixed.map(|(name, keyword)| (name.len(), *keyword)).or_else(|| {
        let of_case = |name: &str| {
            let head = text.get(..name.len())?;
            let is_lower = head.starts_with(|first: char| first.is_ascii_lowercase());
            let same = if is_lower { head.bytes().eq(name.bytes().map(|byte| byte.to_ascii_lowercase())) } else { head == name };
            same.then_some(name.len())
        };
        KEYWORDS.iter().find_map(|(name, keyword)| of_case(name).map(|length| (length, *keyword)))
    });
    found.map(|(length, keyword)| (&text[..length], keyword))
}

/// A printable character that is neither letter nor digit.
pub(super) const fn is_separator(character: char) -> bool {
    character.is_ascii_graphic() && !character.is_ascii_alphanumeric()
}

/// White space of C's `isspace`.
pub(super) const fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

pub(super) const MONTHS: [&str; 12] =
    ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
pub(super) const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
/// December first, so that a longer numeral stands before one that it begins with.
pub(super) const ROMAN: [&str; 12] = ["XII", "XI", "X", "IX", "VIII", "VII", "VI", "V", "IV", "III", "II", "I"];

/// PostgreSQL's Julian day of a date whose month and day may lie outside their ranges.
pub(super) const fn julian_day(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year + 4800, month + 1) } else { (year + 4799, month + 13) };
    let century = year / 100;
    year * 365 - 32_167 + year / 4 - century + century / 4 + 7834 * month / 256 + day
}

/// Julian day of the Monday of a year's first week of ISO 8601.
pub(super) const fn first_iso_week(year: i64) -> i64 {
    let fourth = julian_day(year, 1, 4);
    fourth - fourth.rem_euclid(7)
}
