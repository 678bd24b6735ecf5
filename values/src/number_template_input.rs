//! Text by a template of numbers: `to_number`.

use super::number_template::{Keyword, NumberTemplate, Piece, SignPlace};

/// Reads text along the pieces of a template.
pub(super) struct Reader<'a> {
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
    pub(super) fn new(template: &'a NumberTemplate, text: &str) -> Reader<'a> {
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

    pub(super) fn read(mut self) -> String {
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
