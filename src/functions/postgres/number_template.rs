//! `to_char(number, template)` and `to_number`. The language of the templates is [`crate::types::values`]'.

use datafusion::arrow::datatypes::i256;

use crate::error::Result;
use crate::functions::define::Call;
use crate::types::datum::{Datum, numeric_text, rescale};
use crate::types::values::NumberTemplate;
use crate::types::values::numeric::Numeric;

/// Most digits behind the point.
const MOST_PLACES: usize = 60;
/// Digits of a double that count.
const DOUBLE_DIGITS: usize = 15;

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
    let template = NumberTemplate::parse(call.text(1)?)?;
    let Some((value, scale)) = decimal(call.get(0)) else {
        // NaN and the infinities have no digits: more than any template has room for.
        let is_number = matches!(call.get(0), Datum::Float(_));
        return if is_number {
            Ok(Datum::from(template.write(&"9".repeat(call.text(1)?.len() + 1), false)?))
        } else {
            Ok(Datum::Null)
        };
    };
    if template.has_exponent() {
        return Ok(Datum::from(scientific(value, scale, template.digits_behind())));
    }
    if template.is_roman() {
        return Ok(Datum::from(template.write(&roman(rescale(value, scale, 0)?), false)?));
    }
    let mut behind = template.digits_behind().min(MOST_PLACES);
    if matches!(call.get(0), Datum::Float(_)) {
        let whole = numeric_text(rescale(value, scale, 0)?, 0).trim_start_matches('-').len();
        behind = behind.min(DOUBLE_DIGITS.saturating_sub(whole));
    }
    Ok(Datum::from(fixed(value, scale, &template, behind)?))
}

/// The number with so many digits behind the point, multiplied by the template's shift.
fn fixed(value: i256, scale: i8, template: &NumberTemplate, behind: usize) -> Result<String> {
    let shift = template.shift().min(MOST_PLACES);
    let places = |places: usize| i8::try_from(places).unwrap_or(i8::MAX);
    let rounded = rescale(value, scale, places(behind + shift))?;
    let text = numeric_text(rounded, places(behind));
    let digits = text.strip_prefix('-').unwrap_or(&text);
    template.write(digits, text.starts_with('-'))
}

/// A numeral of capital letters, or what stands for a number that has none.
fn roman(value: i256) -> String {
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
    text
}

fn scientific(value: i256, scale: i8, behind: usize) -> String {
    let number: f64 = numeric_text(value, scale).parse().unwrap_or(0.0);
    let text = format!("{number:.behind$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text.as_str(), "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let lead = if number >= 0.0 { " " } else { "" };
    format!("{lead}{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}

/// `to_number(text, template)`.
pub(super) fn to_number(call: &Call<'_>) -> Result<Datum> {
    let template = NumberTemplate::parse(call.text(1)?)?;
    let read = template.read(call.text(0)?)?;
    let number = Numeric::parse(read.trim_start())?;
    // Each place of the shift divides by ten.
    let places = i32::try_from(template.shift()).unwrap_or(i32::MAX);
    if places == 0 {
        return Ok(Datum::Numeric(number));
    }
    let scale = number.scale().unwrap_or(0).saturating_add(places);
    Ok(Datum::Numeric(number.mul(&Numeric::from_decimal(1, places))?.round(scale)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(number: &str, template: &str) -> String {
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let value = i256::from_string(&format!("{whole}{fraction}")).unwrap();
        let template = NumberTemplate::parse(template).unwrap();
        fixed(value, i8::try_from(fraction.len()).unwrap(), &template, template.digits_behind()).unwrap()
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
        assert_eq!(roman(i256::from_i128(485)), "CDLXXXV");
    }
}
