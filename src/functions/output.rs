//! Values as text, as PostgreSQL's output functions write them: for `format`, `quote_literal`, `to_json` and their like.

use crate::types::datum::Datum;
use crate::types::from_arrow_interval;
use crate::types::values::{
    DateStyle, IntervalStyle, TimeZone, format_date, format_interval, format_time, format_timestamp, format_timestamptz,
};

/// The value as text; NULL is the empty string. Times with a zone are shown in `zone`.
pub fn text_of(datum: &Datum, zone: &TimeZone) -> String {
    match datum {
        Datum::Null => String::new(),
        Datum::Bool(value) => if *value { "t" } else { "f" }.to_string(),
        Datum::Int(number) => number.to_string(),
        Datum::Float(number) => float_text(*number),
        Datum::Numeric(value) => value.to_string(),
        Datum::Text(text) => text.clone(),
        Datum::Bytes(bytes) => format!("\\x{}", hex::encode(bytes)),
        Datum::Date(days) => format_date(*days, DateStyle::default()).to_string(),
        Datum::Time(micros) => format_time(*micros).to_string(),
        Datum::Timestamp(local) => format_timestamp(*local, DateStyle::default()).to_string(),
        Datum::Timestamptz(utc) => format_timestamptz(*utc, DateStyle::default(), zone).to_string(),
        Datum::Interval(interval) => format_interval(from_arrow_interval(*interval), IntervalStyle::default()).to_string(),
        Datum::List(items) => {
            let inner: Vec<String> = items.iter().map(|item| array_item(item, zone)).collect();
            format!("{{{}}}", inner.join(","))
        }
        Datum::Row(fields) => {
            let inner: Vec<String> = fields.iter().map(|(_, value)| row_item(value, zone)).collect();
            format!("({})", inner.join(","))
        }
    }
}

fn array_item(item: &Datum, zone: &TimeZone) -> String {
    if item.is_null() {
        return "NULL".to_string();
    }
    let text = text_of(item, zone);
    if matches!(item, Datum::List(_)) {
        return text;
    }
    let special = |c: char| c.is_whitespace() || matches!(c, '{' | '}' | ',' | '"' | '\\');
    if text.is_empty() || text.eq_ignore_ascii_case("null") || text.chars().any(special) {
        return format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    }
    text
}

fn row_item(item: &Datum, zone: &TimeZone) -> String {
    if item.is_null() {
        return String::new();
    }
    let text = text_of(item, zone);
    let special = |c: char| c.is_whitespace() || matches!(c, '(' | ')' | ',' | '"' | '\\');
    if text.is_empty() || text.chars().any(special) {
        return format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\"\""));
    }
    text
}

/// A floating-point number with the fewest digits that read back the same.
pub fn float_text(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_string();
    }
    if number.is_infinite() {
        return if number > 0.0 { "Infinity" } else { "-Infinity" }.to_string();
    }
    let scientific = format!("{number:e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..15).contains(&exponent) {
        return format!("{number}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_written_as_postgresql_does() {
        for (number, text) in [
            (1.0, "1"),
            (1e16, "1e+16"),
            (1e14, "100000000000000"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (-1.5, "-1.5"),
            (f64::INFINITY, "Infinity"),
        ] {
            assert_eq!(float_text(number), text);
        }
    }

    #[test]
    fn arrays_and_rows_quote_what_they_must() {
        let list = Datum::List(vec!["a".into(), "b c".into(), Datum::Null, "".into(), "q\"".into()]);
        assert_eq!(text_of(&list, &TimeZone::utc()), "{a,\"b c\",NULL,\"\",\"q\\\"\"}");
        let row = Datum::Row(vec![("a".into(), Datum::Int(1)), ("b".into(), "x,y".into()), ("c".into(), Datum::Null)]);
        assert_eq!(text_of(&row, &TimeZone::utc()), "(1,\"x,y\",)");
        assert_eq!(text_of(&Datum::Timestamptz(1_500_000), &TimeZone::fixed(3600)), "1970-01-01 01:00:01.5+01");
    }
}
