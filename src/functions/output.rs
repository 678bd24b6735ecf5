//! Values as text, as PostgreSQL's output functions write them: for `format`, `quote_literal`, `to_json` and their like.

use datafusion::arrow::datatypes::IntervalMonthDayNano;

use super::time::{self, Civil, Zone};
use crate::types::datum::Datum;

/// The value as text; NULL is the empty string. Times with a zone are shown in `zone`.
pub fn text_of(datum: &Datum, zone: Zone) -> String {
    match datum {
        Datum::Null => String::new(),
        Datum::Bool(value) => if *value { "t" } else { "f" }.to_string(),
        Datum::Int(number) => number.to_string(),
        Datum::Float(number) => float_text(*number),
        Datum::Numeric(value) => value.to_string(),
        Datum::Text(text) => text.clone(),
        Datum::Bytes(bytes) => format!("\\x{}", hex::encode(bytes)),
        Datum::Date(days) => date_text(i64::from(*days) * time::MICROS_PER_DAY),
        Datum::Time(micros) => time_text(*micros),
        Datum::Timestamp(local) => timestamp_text(*local, ' ', ""),
        Datum::Timestamptz(utc) => timestamp_text(time::utc_to_local(zone, *utc), ' ', &time::offset_text(zone.offset_at(*utc))),
        Datum::Interval(interval) => interval_text(*interval),
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

fn array_item(item: &Datum, zone: Zone) -> String {
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

fn row_item(item: &Datum, zone: Zone) -> String {
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

fn date_text(local: i64) -> String {
    let Civil { year, month, day, .. } = Civil::of(local);
    if year > 0 { format!("{year:04}-{month:02}-{day:02}") } else { format!("{:04}-{month:02}-{day:02} BC", 1 - year) }
}

fn time_text(micros: i64) -> String {
    let seconds = micros / time::MICROS_PER_SECOND;
    format!("{:02}:{:02}:{:02}{}", seconds / 3600, seconds / 60 % 60, seconds % 60, fraction_text(micros % time::MICROS_PER_SECOND))
}

fn fraction_text(micros: i64) -> String {
    if micros == 0 {
        return String::new();
    }
    format!(".{micros:06}").trim_end_matches('0').to_string()
}

/// A local time with `separator` between date and time and `zone` behind it.
pub fn timestamp_text(local: i64, separator: char, zone: &str) -> String {
    let date = date_text(local);
    let time = time_text(local.rem_euclid(time::MICROS_PER_DAY));
    match date.strip_suffix(" BC") {
        Some(date) => format!("{date}{separator}{time}{zone} BC"),
        None => format!("{date}{separator}{time}{zone}"),
    }
}

/// An interval in the style `postgres`: `1 year 2 mons -3 days 04:05:06.7`.
pub fn interval_text(interval: IntervalMonthDayNano) -> String {
    let mut parts = Vec::new();
    let mut negative_before = false;
    let mut push = |value: i32, unit: &str| {
        if value != 0 {
            let plus = if negative_before && value > 0 { "+" } else { "" };
            let plural = if value == 1 { "" } else { "s" };
            parts.push(format!("{plus}{value} {unit}{plural}"));
            negative_before = value < 0;
        }
    };
    push(interval.months / 12, "year");
    push(interval.months % 12, "mon");
    push(interval.days, "day");
    let micros = interval.nanoseconds / 1000;
    if micros != 0 || parts.is_empty() {
        let sign = if micros < 0 {
            "-"
        } else if negative_before {
            "+"
        } else {
            ""
        };
        parts.push(format!("{sign}{}", time_text(micros.abs())));
    }
    parts.join(" ")
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
    fn intervals_are_written_in_the_postgres_style() {
        for (months, days, seconds, text) in [
            (14, 3, 14_706.0, "1 year 2 mons 3 days 04:05:06"),
            (0, 0, 0.0, "00:00:00"),
            (-1, 2, 0.0, "-1 mons +2 days"),
            (0, -1, 1.5, "-1 days +00:00:01.5"),
            (0, 0, -60.0, "-00:01:00"),
        ] {
            #[expect(clippy::cast_possible_truncation, reason = "whole halves of seconds")]
            let nanos = (seconds * 1e9) as i64;
            assert_eq!(interval_text(IntervalMonthDayNano::new(months, days, nanos)), text);
        }
    }

    #[test]
    fn arrays_and_rows_quote_what_they_must() {
        let list = Datum::List(vec!["a".into(), "b c".into(), Datum::Null, "".into(), "q\"".into()]);
        assert_eq!(text_of(&list, Zone::Utc), "{a,\"b c\",NULL,\"\",\"q\\\"\"}");
        let row = Datum::Row(vec![("a".into(), Datum::Int(1)), ("b".into(), "x,y".into()), ("c".into(), Datum::Null)]);
        assert_eq!(text_of(&row, Zone::Utc), "(1,\"x,y\",)");
        assert_eq!(text_of(&Datum::Timestamptz(1_500_000), Zone::Fixed(3600)), "1970-01-01 01:00:01.5+01");
    }
}
