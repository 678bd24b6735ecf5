//! PostgreSQL's template language for numbers: what `to_char(number, '9,990.99')` and `to_number` make of their template.
//!
//! ```text
//!  "FM9,990.99" ── NumberTemplate::parse ──▶ pieces + what they say together ──┬─ write(digits, sign) ──▶ text
//!                                                                              └─ read(text)          ──▶ digits
//! ```
//! This is NUM_processor of PostgreSQL's formatting.c in the locale C: the sign is anchored to the first or the last digit, a group separator
//! before the first digit is a space, FM leaves out what only pads. Absent: currency symbols and locales.

use super::number_template_input::Reader;
use super::number_template_output::Writer;
use crate::error::{Error, ErrorKind, Result};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keyword {
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
pub(super) enum Piece {
    Field(Keyword),
    Character(char),
}

/// Where an `S` stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SignPlace {
    Before,
    Behind,
}

/// A template of numbers.
#[derive(Debug, Clone)]
pub struct NumberTemplate {
    pub(super) pieces: Vec<Piece>,
    /// Digits before and behind the point, and behind `V`.
    pub(super) before: usize,
    pub(super) behind: usize,
    pub(super) shifted: usize,
    /// The first `0`, counted from 1, and the last.
    pub(super) zero_start: usize,
    pub(super) zero_end: usize,
    pub(super) sign: Option<SignPlace>,
    pub(super) digits_before_sign: usize,
    pub(super) has_point: bool,
    pub(super) has_zero: bool,
    pub(super) is_blank: bool,
    pub(super) unpadded: bool,
    pub(super) has_sign: bool,
    pub(super) has_brackets: bool,
    pub(super) has_minus: bool,
    pub(super) has_plus: bool,
    pub(super) is_roman: bool,
    pub(super) has_shift: bool,
    pub(super) has_exponent: bool,
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
