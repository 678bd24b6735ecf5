//! PostgreSQL's template language for numbers: what `to_char(number, '9,990.99')` and `to_number` make of their template.
//!
//! ```text
//!  "FM9,990.99" ── NumberTemplate::parse ──▶ pieces + what they say together ──┬─ write(digits, sign) ──▶ text
//!                                                                              └─ read(text)          ──▶ digits
//! ```
//! This is NUM_processor of PostgreSQL's formatting.c in the locale C: the sign is anchored to the first or the last digit, a group separator
//! before the first digit is a space, FM leaves out what only pads. Absent: currency symbols and locales.

use crate::error::{Error, ErrorKind, Result};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keyword {
    Comma,
    Point,
    Zero,
    Nine,
    Blank,
    Exponent,
    Unpadded,
    Group,
    Currency,
    Minus,
    Plus,
    Brackets,
    Roman {
        upper: bool,
    },
    PlusMinus,
    Sign,
    Ordinal {
        upper: bool,
    },
    Shift,
    /// `C` and `SP`, which mean nothing.
    Nothing,
}

/// The keywords, which may be written in lower case as well; one that begins with another stands before it.
const KEYWORDS: [(&str, Keyword); 20] = [
    (",", Keyword::Comma),
    (".", Keyword::Point),
    ("0", Keyword::Zero),
    ("9", Keyword::Nine),
    ("B", Keyword::Blank),
    ("C", Keyword::Nothing),
    ("D", Keyword::Point),
    ("EEEE", Keyword::Exponent),
    ("FM", Keyword::Unpadded),
    ("G", Keyword::Group),
    ("L", Keyword::Currency),
    ("MI", Keyword::Minus),
    ("PL", Keyword::Plus),
    ("PR", Keyword::Brackets),
    ("RN", Keyword::Roman { upper: true }),
    ("SG", Keyword::PlusMinus),
    ("SP", Keyword::Nothing),
    ("S", Keyword::Sign),
    ("TH", Keyword::Ordinal { upper: true }),
    ("V", Keyword::Shift),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    Field(Keyword),
    Character(char),
}

/// Where an `S` stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SignPlace {
    Before,
    Behind,
}

/// A template of numbers.
#[derive(Debug, Clone)]
pub struct NumberTemplate {
    pieces: Vec<Piece>,
    /// Digits before and behind the point, and behind `V`.
    before: usize,
    behind: usize,
    shifted: usize,
    /// The first `0`, counted from 1, and the last.
    zero_start: usize,
    zero_end: usize,
    sign: Option<SignPlace>,
    digits_before_sign: usize,
    has_point: bool,
    has_zero: bool,
    is_blank: bool,
    unpadded: bool,
    has_sign: bool,
    has_brackets: bool,
    has_minus: bool,
    has_plus: bool,
    is_roman: bool,
    has_shift: bool,
    has_exponent: bool,
}

fn wrong(message: &str) -> Error {
    Error::new(ErrorKind::Syntax, message)
}

impl NumberTemplate {
    /// Reads a template.
    ///
    /// # Errors
    /// 42601 for keywords that exclude each other.
    pub fn parse(template: &str) -> Result<NumberTemplate> {
        let mut parsed = NumberTemplate {
            pieces: vec![],
            before: 0,
            behind: 0,
            shifted: 0,
            zero_start: 0,
            zero_end: 0,
            sign: None,
            digits_before_sign: 0,
            has_point: false,
            has_zero: false,
            is_blank: false,
            unpadded: false,
            has_sign: false,
            has_brackets: false,
            has_minus: false,
            has_plus: false,
            is_roman: false,
            has_shift: false,
            has_exponent: false,
        };
        let mut rest = template;
        while let Some(first) = rest.chars().next() {
            if let Some((length, keyword)) = keyword_at(rest) {
                rest = &rest[length..];
                parsed.prepare(keyword)?;
                parsed.pieces.push(Piece::Field(keyword));
            } else if first == '"' {
                let mut characters = rest[1..].chars();
                while let Some(character) = characters.next() {
                    match character {
                        '"' => break,
                        '\\' => parsed.pieces.push(Piece::Character(characters.next().unwrap_or('\\'))),
                        other => parsed.pieces.push(Piece::Character(other)),
                    }
                }
                rest = characters.as_str();
            } else {
                let unescaped = rest.strip_prefix('\\').filter(|rest| rest.starts_with('"')).unwrap_or(rest);
                let mut characters = unescaped.chars();
                parsed.pieces.extend(characters.next().map(Piece::Character));
                rest = characters.as_str();
            }
        }
        Ok(parsed)
    }

    fn prepare(&mut self, keyword: Keyword) -> Result<()> {
        if self.has_exponent && keyword != Keyword::Exponent {
            return Err(wrong("\"EEEE\" must be the last pattern used"));
        }
        match keyword {
            Keyword::Nine => {
                if self.has_brackets {
                    return Err(wrong("\"9\" must be ahead of \"PR\""));
                }
                match (self.has_shift, self.has_point) {
                    (true, _) => self.shifted += 1,
                    (false, true) => self.behind += 1,
                    (false, false) => self.before += 1,
                }
            }
            Keyword::Zero => {
                if self.has_brackets {
                    return Err(wrong("\"0\" must be ahead of \"PR\""));
                }
                if !self.has_zero && !self.has_point {
                    self.has_zero = true;
                    self.zero_start = self.before + 1;
                }
                if self.has_point {
                    self.behind += 1
                } else {
                    self.before += 1
                }
                self.zero_end = self.before + self.behind;
            }
            Keyword::Blank => self.is_blank |= self.before == 0 && self.behind == 0 && !self.has_zero,
            Keyword::Point => {
                if self.has_point {
                    return Err(wrong("multiple decimal points"));
                }
                if self.has_shift {
                    return Err(wrong("cannot use \"V\" and decimal point together"));
                }
                self.has_point = true;
            }
            Keyword::Unpadded => self.unpadded = true,
            Keyword::Roman { .. } => self.is_roman = true,
            Keyword::Shift => {
                if self.has_point {
                    return Err(wrong("cannot use \"V\" and decimal point together"));
                }
                self.has_shift = true;
            }
            Keyword::Exponent => self.prepare_exponent()?,
            Keyword::Sign | Keyword::Minus | Keyword::Plus | Keyword::PlusMinus | Keyword::Brackets => {
                self.prepare_sign(keyword)?
            }
            Keyword::Comma | Keyword::Group | Keyword::Currency | Keyword::Ordinal { .. } | Keyword::Nothing => {}
        }
        Ok(())
    }

    fn prepare_exponent(&mut self) -> Result<()> {
        if self.has_exponent {
            return Err(wrong("cannot use \"EEEE\" twice"));
        }
        let others = [
            self.is_blank,
            self.unpadded,
            self.has_sign,
            self.has_brackets,
            self.has_minus,
            self.has_plus,
            self.is_roman,
            self.has_shift,
        ];
        if others.contains(&true) {
            return Err(wrong("\"EEEE\" is incompatible with other formats")
                .with_detail("\"EEEE\" may only be used together with digit and decimal point patterns."));
        }
        self.has_exponent = true;
        Ok(())
    }

    fn prepare_sign(&mut self, keyword: Keyword) -> Result<()> {
        let beside_sign = |name: &str| wrong(&format!("cannot use \"S\" and \"{name}\" together"));
        match keyword {
            Keyword::Sign if self.has_sign => return Err(wrong("cannot use \"S\" twice")),
            Keyword::Sign if self.has_plus || self.has_minus || self.has_brackets => {
                return Err(wrong("cannot use \"S\" and \"PL\"/\"MI\"/\"SG\"/\"PR\" together"));
            }
            Keyword::Sign => {
                self.has_sign = true;
                if self.has_point {
                    self.sign = self.sign.or(Some(SignPlace::Behind));
                } else {
                    self.sign = Some(SignPlace::Before);
                    self.digits_before_sign = self.before;
                }
            }
            Keyword::Minus if self.has_sign => return Err(beside_sign("MI")),
            Keyword::Minus => self.has_minus = true,
            Keyword::Plus if self.has_sign => return Err(beside_sign("PL")),
            Keyword::Plus => self.has_plus = true,
            Keyword::PlusMinus if self.has_sign => return Err(beside_sign("SG")),
            Keyword::PlusMinus => (self.has_minus, self.has_plus) = (true, true),
            _ if self.has_sign || self.has_plus || self.has_minus => {
                return Err(wrong("cannot use \"PR\" and \"S\"/\"PL\"/\"MI\"/\"SG\" together"));
            }
            _ => self.has_brackets = true,
        }
        Ok(())
    }

    /// Digits behind the point.
    pub const fn digits_behind(&self) -> usize {
        self.behind
    }

    /// Digits behind `V`: the number is multiplied by ten for each.
    pub const fn shift(&self) -> usize {
        self.shifted
    }

    /// Whether the number is written with an exponent, without any of the pieces.
    pub const fn has_exponent(&self) -> bool {
        self.has_exponent
    }

    /// Whether the number is written in Roman numerals.
    pub const fn is_roman(&self) -> bool {
        self.is_roman
    }

    /// Writes a number: its digits, rounded to those behind the point of the template and multiplied by its shift, or a Roman numeral.
    ///
    /// # Errors
    /// 22P02 for an ordinal of no number.
    pub fn write(&self, digits: &str, negative: bool) -> Result<String> {
        Writer::new(self, digits, negative).write()
    }

    /// Reads a number: its text in PostgreSQL's form, before it is divided by the shift.
    ///
    /// # Errors
    /// 0A000 for templates that only `to_char` knows.
    pub fn read(&self, text: &str) -> Result<String> {
        if self.has_exponent {
            return Err(Error::new(ErrorKind::Unsupported, "\"EEEE\" not supported for input"));
        }
        if self.is_roman {
            return Err(Error::new(ErrorKind::Unsupported, "\"RN\" not supported for input"));
        }
        Ok(Reader::new(self, text).read())
    }
}

fn keyword_at(text: &str) -> Option<(usize, Keyword)> {
    let of_case = |name: &str| {
        let head = text.get(..name.len())?;
        let lower = head.bytes().eq(name.bytes().map(|byte| byte.to_ascii_lowercase()));
        (head == name || lower).then_some((name.len(), head != name))
    };
    KEYWORDS.iter().find_map(|(name, keyword)| {
        let (length, lower) = of_case(name)?;
        let keyword = match keyword {
            Keyword::Roman { .. } => Keyword::Roman { upper: !lower },
            Keyword::Ordinal { .. } => Keyword::Ordinal { upper: !lower },
            other => *other,
        };
        Some((length, keyword))
    })
}

/// Writes the pieces of a template.
struct Writer<'a> {
    template: &'a NumberTemplate,
    number: Vec<u8>,
    /// Next digit of the number.
    at: usize,
    negative: bool,
    sign_written: bool,
    sign: Option<SignPlace>,
    has_brackets: bool,
    /// Places of the template before the number's first digit.
    spaces: usize,
    places: usize,
    /// The last digit that FM leaves.
    last_relevant: Option<usize>,
    in_number: bool,
    place: usize,
    text: String,
    /// Where the number had no more digits for the template: the text ends there.
    end: Option<usize>,
}

impl<'a> Writer<'a> {
    fn new(template: &'a NumberTemplate, digits: &str, negative: bool) -> Writer<'a> {
        let before = template.before + template.shifted;
        let whole = digits.find('.').unwrap_or(digits.len());
        let mut number = digits.as_bytes().to_vec();
        if whole > before && !template.is_roman {
            number = vec![b'#'; before + template.behind + 1];
            number[before] = b'.';
        }
        let spaces = if template.is_roman { 0 } else { before.saturating_sub(whole) };
        let mut sign = template.sign;
        let mut has_brackets = template.has_brackets;
        let sign_written = if template.is_roman {
            true
        } else if template.has_plus || template.has_minus {
            !template.has_plus || template.has_minus
        } else {
            has_brackets &= negative || !template.unpadded;
            if sign == Some(SignPlace::Before) && before == template.digits_before_sign {
                sign = Some(SignPlace::Behind);
            }
            !negative && template.unpadded && !template.has_sign
        };
        let places = (template.behind + before).wrapping_sub(1);
        let mut writer = Writer {
            template,
            number,
            at: 0,
            negative,
            sign_written,
            sign,
            has_brackets,
            spaces,
            places,
            last_relevant: None,
            in_number: false,
            place: 0,
            text: String::new(),
            end: None,
        };
        if template.unpadded && template.has_point {
            writer.last_relevant = writer.last_relevant_digit();
        }
        if !writer.sign_written && spaces == 0 {
            writer.places = writer.places.wrapping_add(1);
        }
        writer
    }

    /// The last digit behind the point that is not 0, or the point; not before the last `0` of the template.
    fn last_relevant_digit(&self) -> Option<usize> {
        let point = self.number.iter().position(|byte| *byte == b'.')?;
        let behind = self.number.iter().rposition(|byte| !matches!(byte, b'0'))?;
        let mut last = behind.max(point);
        if self.template.zero_end > self.spaces {
            let zero = (self.template.zero_end - self.spaces).min(self.number.len() - 1);
            last = last.max(zero);
        }
        Some(last)
    }

    fn zero_start(&self) -> usize {
        self.template.zero_start.saturating_sub(1)
    }

    /// `9.9` shows `.1` for 0.1.
    fn hides_zero(&self) -> bool {
        !self.template.has_zero && self.at == 0 && self.number.first() == Some(&b'0') && self.template.behind != 0
    }

    fn point_is_last(&self) -> bool {
        self.last_relevant.is_some_and(|last| self.number.get(last) == Some(&b'.'))
    }

    fn write(mut self) -> Result<String> {
        let unpadded = self.template.unpadded;
        for piece in &self.template.pieces {
            match piece {
                Piece::Character(character) => self.text.push(*character),
                Piece::Field(Keyword::Nine | Keyword::Zero | Keyword::Point) if self.template.is_roman => {}
                Piece::Field(keyword @ (Keyword::Nine | Keyword::Zero | Keyword::Point)) => self.digit(*keyword == Keyword::Zero),
                Piece::Field(Keyword::Comma | Keyword::Group) => match (self.in_number, unpadded) {
                    (true, _) => self.text.push(','),
                    (false, false) => self.text.push(' '),
                    (false, true) => {}
                },
                Piece::Field(Keyword::Currency) => self.text.push(' '),
                Piece::Field(Keyword::Roman { upper }) => {
                    let numeral = String::from_utf8_lossy(&self.number).into_owned();
                    let numeral = if *upper { numeral } else { numeral.to_lowercase() };
                    let shown = if unpadded { numeral } else { format!("{numeral:>15}") };
                    self.text.push_str(&shown);
                }
                Piece::Field(Keyword::Ordinal { upper }) => {
                    let skipped =
                        self.template.is_roman || self.number.first() == Some(&b'#') || self.negative || self.template.has_point;
                    if !skipped {
                        self.text.push_str(ending(&self.number, *upper)?);
                    }
                }
                Piece::Field(Keyword::Minus) if self.negative => self.text.push('-'),
                Piece::Field(Keyword::Plus) if !self.negative && !self.template.is_roman => self.text.push('+'),
                Piece::Field(Keyword::Minus | Keyword::Plus) if unpadded => {}
                Piece::Field(Keyword::Minus | Keyword::Plus) => self.text.push(' '),
                Piece::Field(Keyword::PlusMinus) => self.text.push(if self.negative { '-' } else { '+' }),
                Piece::Field(
                    Keyword::Blank
                    | Keyword::Exponent
                    | Keyword::Unpadded
                    | Keyword::Brackets
                    | Keyword::Sign
                    | Keyword::Shift
                    | Keyword::Nothing,
                ) => {}
            }
        }
        if let Some(end) = self.end {
            self.text.truncate(end);
        }
        Ok(self.text)
    }

    fn digit(&mut self, is_zero: bool) {
        let template = self.template;
        self.in_number = false;
        let begins = self.place >= self.spaces || (template.has_zero && self.zero_start() == self.place);
        if !self.sign_written && begins && (!self.hides_zero() || self.point_is_last()) {
            self.sign_before();
        }
        if self.place < self.spaces && (self.zero_start() > self.place || !template.has_zero) {
            if !template.unpadded {
                self.text.push(' ');
            }
        } else if template.has_zero && self.place < self.spaces {
            self.text.push('0');
            self.in_number = true;
        } else {
            self.own_digit(is_zero);
        }
        let mut end = self.places.wrapping_add(usize::from(self.spaces > 0)).wrapping_add(usize::from(template.has_point));
        if self.last_relevant.is_some_and(|last| last == self.at) {
            end = self.place;
        }
        if self.place + 1 == end {
            if self.sign_written && self.has_brackets {
                self.text.push(if self.negative { '>' } else { ' ' });
            } else if template.has_sign && self.sign == Some(SignPlace::Behind) {
                self.text.push(if self.negative { '-' } else { '+' });
            }
        }
        self.place += 1;
    }

    fn sign_before(&mut self) {
        let template = self.template;
        if template.has_sign {
            if self.sign == Some(SignPlace::Before) {
                self.text.push(if self.negative { '-' } else { '+' });
                self.sign_written = true;
            }
        } else if self.has_brackets {
            self.text.push(if self.negative { '<' } else { ' ' });
            self.sign_written = true;
        } else {
            match (self.negative, template.unpadded) {
                (true, _) => self.text.push('-'),
                (false, false) => self.text.push(' '),
                (false, true) => {}
            }
            self.sign_written = true;
        }
    }

    /// A digit of the number, or its point.
    fn own_digit(&mut self, is_zero: bool) {
        let unpadded = self.template.unpadded;
        match self.number.get(self.at).copied() {
            Some(b'.') => {
                if !self.point_is_last() || unpadded {
                    self.text.push('.');
                }
            }
            _ if self.last_relevant.is_some_and(|last| self.at > last) && !is_zero => {}
            _ if self.hides_zero() => {
                if !unpadded {
                    self.text.push(' ');
                } else if self.point_is_last() {
                    self.text.push('0');
                }
            }
            Some(digit) => {
                self.text.push(char::from(digit));
                self.in_number = true;
            }
            None => {
                self.in_number = true;
                self.end.get_or_insert(self.text.len());
            }
        }
        if self.at < self.number.len() {
            self.at += 1;
        }
    }
}

/// `st`, `nd`, `rd` or `th` behind a number.
fn ending(number: &[u8], upper: bool) -> Result<&'static str> {
    let Some(last) = number.last().filter(|byte| byte.is_ascii_digit()) else {
        let message = format!("\"{}\" is not a number", String::from_utf8_lossy(number));
        return Err(Error::new(ErrorKind::InvalidText, message));
    };
    let is_teen = number.len() > 1 && number[number.len() - 2] == b'1';
    Ok(match (last, is_teen, upper) {
        (b'1', false, true) => "ST",
        (b'1', false, false) => "st",
        (b'2', false, true) => "ND",
        (b'2', false, false) => "nd",
        (b'3', false, true) => "RD",
        (b'3', false, false) => "rd",
        (_, _, true) => "TH",
        (_, _, false) => "th",
    })
}

/// Reads text along the pieces of a template.
struct Reader<'a> {
    template: &'a NumberTemplate,
    text: Vec<char>,
    at: usize,
    sign: char,
    number: String,
    read_before: usize,
    read_behind: usize,
    read_point: bool,
}

impl<'a> Reader<'a> {
    fn new(template: &'a NumberTemplate, text: &str) -> Reader<'a> {
        let text = text.chars().collect();
        Reader { template, text, at: 0, sign: ' ', number: String::new(), read_before: 0, read_behind: 0, read_point: false }
    }

    fn next(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    /// Skips up to `count` characters that cannot belong to a number.
    fn skip_strangers(&mut self, count: usize) {
        for _ in 0..count {
            match self.next() {
                Some(next) if !next.is_ascii_digit() && !matches!(next, '.' | ',' | '+' | '-') => self.at += 1,
                _ => break,
            }
        }
    }

    fn read(mut self) -> String {
        for piece in &self.template.pieces {
            let Some(next) = self.next() else { break };
            match piece {
                Piece::Character(_) => self.at += 1,
                Piece::Field(Keyword::Nine | Keyword::Zero) => {
                    self.digit(true);
                    self.at += 1;
                }
                Piece::Field(Keyword::Point) => {
                    self.digit(false);
                    self.at += 1;
                }
                Piece::Field(Keyword::Comma | Keyword::Group) => {
                    if !self.template.unpadded && next == ',' {
                        self.at += 1;
                    }
                }
                Piece::Field(Keyword::Currency) => self.skip_strangers(1),
                Piece::Field(Keyword::Ordinal { .. }) => self.skip_strangers(2),
                Piece::Field(keyword @ (Keyword::Minus | Keyword::Plus | Keyword::PlusMinus)) => match (next, keyword) {
                    ('-', Keyword::Minus | Keyword::PlusMinus) | ('+', Keyword::Plus | Keyword::PlusMinus) => {
                        self.sign = next;
                        self.at += 1;
                    }
                    _ => self.skip_strangers(1),
                },
                Piece::Field(_) => {}
            }
        }
        let digits = self.number.strip_suffix('.').unwrap_or(&self.number);
        format!("{}{digits}", self.sign)
    }

    /// A digit or the point, with the sign that is anchored to it. The cursor stays on what was read.
    fn digit(&mut self, may_have_sign: bool) {
        if self.next() == Some(' ') {
            self.at += 1;
        }
        let Some(mut next) = self.next() else { return };
        let template = self.template;
        if self.sign == ' ' && may_have_sign && self.read_before + self.read_behind == 0 {
            let anchored = template.has_sign && template.sign == Some(SignPlace::Before);
            match next {
                '-' | '+' => (self.sign, self.at) = (next, self.at + 1),
                '<' if !anchored && template.has_brackets => (self.sign, self.at) = ('-', self.at + 1),
                _ => {}
            }
            let Some(behind) = self.next() else { return };
            next = behind;
        }
        let mut is_read = false;
        if next.is_ascii_digit() {
            if self.read_point && self.read_behind == template.behind {
                return;
            }
            self.number.push(next);
            if self.read_point {
                self.read_behind += 1
            } else {
                self.read_before += 1
            }
            is_read = true;
        } else if template.has_point && !self.read_point && next == '.' {
            self.number.push('.');
            self.read_point = true;
            is_read = true;
        }
        if self.sign != ' ' || self.read_before + self.read_behind == 0 {
            return;
        }
        if template.has_sign && is_read {
            if let Some(sign @ ('-' | '+')) = self.text.get(self.at + 1).copied() {
                self.at += 1;
                self.sign = sign;
            }
        } else if !is_read && !template.has_sign && (template.has_plus || template.has_minus) && matches!(next, '-' | '+') {
            self.sign = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(digits: &str, negative: bool, template: &str) -> String {
        match NumberTemplate::parse(template).and_then(|template| template.write(digits, negative)) {
            Ok(text) => text,
            Err(error) => error.message().to_string(),
        }
    }

    fn read(text: &str, template: &str) -> String {
        NumberTemplate::parse(template).unwrap().read(text).unwrap()
    }

    #[test]
    fn numbers_are_written_by_their_template() {
        for (digits, negative, template, text) in [
            ("1234.50", false, "9,999.99", " 1,234.50"),
            ("5", false, "000", " 005"),
            ("12", true, "9999", "  -12"),
            ("12", true, "9999PR", "  <12>"),
            ("12", true, "9999MI", "  12-"),
            ("12", false, "S9999", "  +12"),
            ("12", false, "9999S", "  12+"),
            ("0.1", false, "9.9", "  .1"),
            ("0.10", false, "FM9.99", ".1"),
            ("0.00", false, "FM9.99", "0."),
            ("12345", false, "999", " ###"),
            ("482", false, "999th", " 482nd"),
        ] {
            assert_eq!(write(digits, negative, template), text, "{digits} {template}");
        }
        assert_eq!(write("1", false, "9.9.9"), "multiple decimal points");
    }

    #[test]
    fn numbers_are_read_by_their_template() {
        assert_eq!(read("1,234.56", "9,999.99"), " 1234.56");
        assert_eq!(read("-12", "999"), "-12");
        assert_eq!(read("12-", "99MI"), "-12");
        assert_eq!(read("<12>", "999PR"), "-12");
        assert_eq!(read("123rd", "999th"), " 123");
        assert_eq!(read("$123", "L999"), " 123");
    }
}
