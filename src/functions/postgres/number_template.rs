//! PostgreSQL's template language for numbers: `to_char(number, '9,990.99')`, `to_number`.

use datafusion::arrow::datatypes::i256;

use crate::error::{Error, ErrorKind, Result};
use crate::functions::define::Call;
use crate::types::datum::{Datum, numeric_text, rescale};
use crate::types::values::numeric::Numeric;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Token {
    Digit { zero: bool },
    Point,
    Group,
    Sign,
    Minus,
    Plus,
    PlusMinus,
    Brackets,
    Currency,
    Shift,
    Ordinal { upper: bool },
    Exponent,
    Roman { upper: bool },
    Literal(char),
}

struct Template {
    tokens: Vec<Token>,
    fill: bool,
}

fn parse(template: &str) -> Template {
    let mut tokens = Vec::new();
    let mut fill = true;
    let mut rest = template;
    while let Some(character) = rest.chars().next() {
        let two = rest.get(..2).unwrap_or_default();
        let (token, length) = match two.to_uppercase().as_str() {
            "FM" => {
                fill = false;
                (None, 2)
            }
            "MI" => (Some(Token::Minus), 2),
            "PL" => (Some(Token::Plus), 2),
            "SG" => (Some(Token::PlusMinus), 2),
            "PR" => (Some(Token::Brackets), 2),
            "TH" => (Some(Token::Ordinal { upper: two == "TH" }), 2),
            "RN" => (Some(Token::Roman { upper: two == "RN" }), 2),
            "EE" if rest.get(..4).is_some_and(|word| word.eq_ignore_ascii_case("EEEE")) => (Some(Token::Exponent), 4),
            _ => match character {
                '9' => (Some(Token::Digit { zero: false }), 1),
                '0' => (Some(Token::Digit { zero: true }), 1),
                '.' | 'D' | 'd' => (Some(Token::Point), 1),
                ',' | 'G' | 'g' => (Some(Token::Group), 1),
                'S' | 's' => (Some(Token::Sign), 1),
                'L' | 'l' => (Some(Token::Currency), 1),
                'V' | 'v' => (Some(Token::Shift), 1),
                '"' => {
                    let quoted = rest.get(1..).unwrap_or_default();
                    let end = quoted.find('"').unwrap_or(quoted.len());
                    tokens.extend(quoted.get(..end).unwrap_or_default().chars().map(Token::Literal));
                    (None, (end + 2).min(rest.len()))
                }
                other => (Some(Token::Literal(other)), other.len_utf8()),
            },
        };
        tokens.extend(token);
        rest = rest.get(length..).unwrap_or_default();
    }
    Template { tokens, fill }
}

/// The number as a decimal.
fn decimal(datum: &Datum) -> Option<(i256, i8)> {
    match datum {
        Datum::Int(number) => Some((i256::from_i128((*number).into()), 0)),
        Datum::Numeric(value) => {
            let scale = value.scale()?.clamp(0, 60);
            Some((value.to_i256(scale)?, i8::try_from(scale).ok()?))
        }
        Datum::Float(number) if number.is_finite() => {
            // Fifteen significant digits, as PostgreSQL prints a double for a template.
            let text = format!("{number:.15}");
            let (whole, fraction) = text.split_once('.').unwrap_or((text.as_str(), ""));
            i256::from_string(&format!("{whole}{fraction}")).map(|value| (value, i8::try_from(fraction.len()).unwrap_or(0)))
        }
        _ => None,
    }
}

/// `to_char(number, template)`.
pub(super) fn to_char(call: &Call<'_>) -> Result<Datum> {
    let template = parse(call.text(1)?);
    let Some((value, scale)) = decimal(call.get(0)) else {
        return Ok(match call.get(0) {
            Datum::Float(_) => Datum::from(
                template
                    .tokens
                    .iter()
                    .map(|token| if matches!(token, Token::Digit { .. }) { '#' } else { ' ' })
                    .collect::<String>(),
            ),
            _ => Datum::Null,
        });
    };
    if let Some(upper) =
        template.tokens.iter().find_map(|token| if let Token::Roman { upper } = token { Some(*upper) } else { None })
    {
        return Ok(Datum::from(roman(rescale(value, scale, 0)?, upper, template.fill)));
    }
    if template.tokens.contains(&Token::Exponent) {
        return Ok(Datum::from(scientific(value, scale, &template)));
    }
    Ok(Datum::from(fixed(value, scale, &template)?))
}

fn roman(value: i256, upper: bool, fill: bool) -> String {
    const NUMERALS: [(i128, &str); 13] = [
        (1000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ];
    let Some(mut number) = value.to_i128().filter(|number| (1..4000).contains(number)) else { return "#".repeat(15) };
    let mut text = String::new();
    for (size, letters) in NUMERALS {
        while number >= size {
            text.push_str(letters);
            number -= size;
        }
    }
    let text = if upper { text } else { text.to_lowercase() };
    if fill { format!("{text:>15}") } else { text }
}

fn scientific(value: i256, scale: i8, template: &Template) -> String {
    let after = template
        .tokens
        .iter()
        .skip_while(|token| **token != Token::Point)
        .filter(|token| matches!(token, Token::Digit { .. }))
        .count();
    let number: f64 = numeric_text(value, scale).parse().unwrap_or(0.0);
    let text = format!("{number:.after$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text.as_str(), "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let lead = if number >= 0.0 && template.fill { " " } else { "" };
    format!("{lead}{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}

struct Digits {
    negative: bool,
    whole: String,
    fraction: String,
}

/// Rounds to the digits that the template has room for.
fn round(value: i256, scale: i8, after: usize, shift: usize) -> Result<Digits> {
    let places = i8::try_from((after + shift).min(60)).unwrap_or(60);
    let rounded = rescale(value, scale, places)?;
    let text = numeric_text(rounded, places - i8::try_from(shift).unwrap_or(0));
    let negative = text.starts_with('-') && rounded != i256::ZERO;
    let (whole, fraction) = text.trim_start_matches('-').split_once('.').map_or((text.trim_start_matches('-'), ""), |parts| parts);
    let whole = whole.trim_start_matches('0');
    Ok(Digits { negative, whole: whole.to_string(), fraction: fraction.to_string() })
}

fn fixed(value: i256, scale: i8, template: &Template) -> Result<String> {
    let tokens = &template.tokens;
    let point = tokens.iter().position(|token| matches!(token, Token::Point));
    let shift_at = tokens.iter().position(|token| *token == Token::Shift);
    let digit = |token: &&Token| matches!(token, Token::Digit { .. });
    let split = point.unwrap_or(tokens.len());
    let before = tokens.iter().take(split).filter(digit).count();
    let after = tokens.iter().skip(split).filter(digit).count();
    let shift = shift_at.map_or(0, |at| tokens.iter().take(split).skip(at).filter(digit).count());
    let digits = round(value, scale, after, shift)?;
    let explicit_sign =
        tokens.iter().any(|token| matches!(token, Token::Sign | Token::Minus | Token::Plus | Token::PlusMinus | Token::Brackets));
    let overflow = digits.whole.len() > before;
    let mut writer = Writer::new(&digits, template, before, overflow);
    for (index, token) in tokens.iter().enumerate() {
        writer.token(*token, index, split);
    }
    let leading_sign = tokens
        .iter()
        .position(|token| *token == Token::Sign)
        .is_some_and(|at| tokens.iter().skip(at).any(|token| matches!(token, Token::Digit { .. })));
    Ok(writer.finish(&digits, template, explicit_sign, leading_sign, tokens.contains(&Token::Brackets)))
}

struct Writer<'a> {
    text: String,
    whole: Vec<char>,
    fraction: std::vec::IntoIter<char>,
    fraction_kept: usize,
    seen_zero: bool,
    started: bool,
    /// Where the first digit stands, for the sign before it.
    first: Option<usize>,
    before: usize,
    position: usize,
    digits: &'a Digits,
    fill: bool,
    overflow: bool,
    has_fraction: bool,
}

impl<'a> Writer<'a> {
    fn new(digits: &'a Digits, template: &Template, before: usize, overflow: bool) -> Self {
        // Without filling, zeros at the end are shown only where the template has a 0.
        let fraction_tokens: Vec<bool> = {
            let after = template.tokens.iter().skip_while(|token| !matches!(token, Token::Point));
            after.filter_map(|token| if let Token::Digit { zero } = token { Some(*zero) } else { None }).collect()
        };
        let significant = digits.fraction.trim_end_matches('0').len();
        let forced = fraction_tokens.iter().rposition(|zero| *zero).map_or(0, |index| index + 1);
        let kept = if template.fill { fraction_tokens.len() } else { significant.max(forced) };
        Self {
            text: String::new(),
            whole: digits.whole.chars().collect(),
            fraction: digits.fraction.chars().collect::<Vec<_>>().into_iter(),
            fraction_kept: kept,
            seen_zero: false,
            started: false,
            first: None,
            before,
            position: 0,
            digits,
            fill: template.fill,
            overflow,
            has_fraction: !fraction_tokens.is_empty(),
        }
    }

    fn token(&mut self, token: Token, index: usize, split: usize) {
        match token {
            Token::Digit { zero } if index < split => self.whole_digit(zero),
            Token::Digit { .. } => self.fraction_digit(),
            Token::Point => {
                self.mark();
                self.text.push('.');
            }
            Token::Group if self.started => self.text.push(','),
            Token::Group => self.blank(),
            Token::Minus => match self.digits.negative {
                true => self.text.push('-'),
                false => self.blank(),
            },
            Token::Plus => match self.digits.negative {
                false => self.text.push('+'),
                true => self.blank(),
            },
            Token::PlusMinus => self.text.push(if self.digits.negative { '-' } else { '+' }),
            Token::Ordinal { upper } if !self.digits.negative && self.digits.fraction.is_empty() => {
                let whole = if self.digits.whole.is_empty() { "0" } else { self.digits.whole.as_str() };
                self.text.push_str(ordinal_suffix(whole, upper));
            }
            Token::Currency => self.blank(),
            Token::Literal(character) => self.text.push(character),
            Token::Sign if self.position > 0 => self.text.push(if self.digits.negative { '-' } else { '+' }),
            Token::Sign | Token::Brackets | Token::Shift | Token::Ordinal { .. } | Token::Exponent | Token::Roman { .. } => {}
        }
    }

    fn mark(&mut self) {
        self.first.get_or_insert(self.text.len());
        self.started = true;
    }

    fn blank(&mut self) {
        if self.fill {
            self.text.push(' ');
        }
    }

    fn whole_digit(&mut self, zero: bool) {
        self.seen_zero |= zero;
        let from_right = self.before - 1 - self.position;
        self.position += 1;
        if self.overflow {
            self.mark();
            self.text.push('#');
            return;
        }
        let shown = self.whole.len().checked_sub(from_right + 1).and_then(|index| self.whole.get(index).copied());
        let last = from_right == 0 && !self.has_fraction;
        match shown {
            Some(character) => {
                self.mark();
                self.text.push(character);
            }
            None if self.seen_zero || last => {
                self.mark();
                self.text.push('0');
            }
            None => self.blank(),
        }
    }

    fn fraction_digit(&mut self) {
        let character = self.fraction.next().unwrap_or('0');
        if self.fraction_kept > 0 {
            self.fraction_kept -= 1;
            self.text.push(if self.overflow { '#' } else { character });
        }
    }

    fn finish(mut self, digits: &Digits, template: &Template, explicit_sign: bool, leading_sign: bool, brackets: bool) -> String {
        let at = self.first.unwrap_or(self.text.len());
        if brackets {
            let (open, close) = if digits.negative {
                ("<", ">")
            } else if template.fill {
                (" ", " ")
            } else {
                ("", "")
            };
            self.text.insert_str(at, open);
            self.text.push_str(close);
        } else if leading_sign {
            self.text.insert(at, if digits.negative { '-' } else { '+' });
        } else if !explicit_sign {
            if digits.negative {
                self.text.insert(at, '-');
            } else if template.fill {
                self.text.insert(0, ' ');
            }
        }
        self.text
    }
}

/// `st`, `nd`, `rd` or `th` for a number's text.
pub(super) fn ordinal_suffix(number: &str, upper: bool) -> &'static str {
    let digits = number.trim();
    let teen = digits.len() >= 2 && digits.get(digits.len() - 2..).is_some_and(|tail| tail.starts_with('1'));
    match (digits.chars().last(), teen, upper) {
        (Some('1'), false, true) => "ST",
        (Some('2'), false, true) => "ND",
        (Some('3'), false, true) => "RD",
        (Some('1'), false, false) => "st",
        (Some('2'), false, false) => "nd",
        (Some('3'), false, false) => "rd",
        (_, _, true) => "TH",
        (_, _, false) => "th",
    }
}

/// `to_number(text, template)`: digits, sign and point count, everything else is skipped.
pub(super) fn to_number(call: &Call<'_>) -> Result<Datum> {
    let invalid = || Error::new(ErrorKind::InvalidText, "invalid input syntax for type numeric");
    let text = call.text(0)?;
    let mut digits = String::new();
    let mut scale: Option<i8> = None;
    let negative = text.contains('-') || text.contains('<');
    for character in text.chars() {
        match character {
            '0'..='9' => {
                digits.push(character);
                scale = scale.map(|scale| scale.saturating_add(1));
            }
            '.' if scale.is_none() => scale = Some(0),
            _ => {}
        }
    }
    if digits.is_empty() {
        return Err(invalid());
    }
    let (whole, fraction) = digits.split_at(digits.len() - usize::try_from(scale.unwrap_or(0)).unwrap_or(0));
    let sign = if negative { "-" } else { "" };
    Ok(Datum::Numeric(Numeric::parse(&format!("{sign}{whole}.{fraction}"))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(number: &str, template: &str) -> String {
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let value = i256::from_string(&format!("{whole}{fraction}")).unwrap();
        fixed(value, i8::try_from(fraction.len()).unwrap(), &parse(template)).unwrap()
    }

    #[test]
    fn numbers_are_shown_by_their_template() {
        for (number, template, text) in [
            ("12", "9999", "   12"),
            ("-12", "9999", "  -12"),
            ("12", "S9999", "  +12"),
            ("12", "0000", " 0012"),
            ("1234567", "9,999,999", " 1,234,567"),
            ("485", "9,999", "   485"),
            ("-485", "999", "-485"),
            ("148.5", "999.999", " 148.500"),
            ("148.5", "FM999.999", "148.5"),
            ("148.5", "FM999.990", "148.500"),
            ("0.1", "0.9", " 0.1"),
            ("0.1", "9.9", "  .1"),
            ("-0.1", "99.99", "  -.10"),
            ("12345", "999", " ###"),
            ("0", "9", " 0"),
            ("485", "999MI", "485 "),
            ("-485", "999MI", "485-"),
            ("-485", "999PR", "<485>"),
            ("485", "999PR", " 485 "),
            ("482", "999th", " 482nd"),
            ("12", "FM99\" items\"", "12 items"),
            ("12.45", "99V9", " 125"),
            ("1234.5", "FM9,999.00", "1,234.50"),
        ] {
            assert_eq!(shown(number, template), text, "{number} {template}");
        }
        assert_eq!(roman(i256::from_i128(485), true, false), "CDLXXXV");
    }
}
