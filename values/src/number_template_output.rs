//! Numbers by a template: `to_char`.

use super::number_template::{Keyword, NumberTemplate, Piece, SignPlace};
use crate::error::{Error, ErrorKind, Result};

/// Writes the pieces of a template.
pub(super) struct Writer<'a> {
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
    pub(super) fn new(template: &'a NumberTemplate, digits: &str, negative: bool) -> Writer<'a> {
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

    pub(super) fn write(mut self) -> Result<String> {
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
