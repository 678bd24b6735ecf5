//! Single values as text, for functions that work value by value over the catalog and over JSON. The texts are [`crate::types::values`]'.

use crate::types::datum::Datum;
use crate::types::from_arrow_interval;
use crate::types::values::{
    ByteaOutput, DateStyle, IntervalStyle, TimeZone, format_bytea, format_date, format_float8, format_interval, format_time,
    format_timestamp, format_timestamptz, write_array_element, write_record_field,
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
        Datum::Bytes(bytes) => {
            let mut text = vec![];
            format_bytea(bytes, ByteaOutput::Hex, &mut text);
            String::from_utf8_lossy(&text).into_owned()
        }
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
    let mut quoted = vec![];
    write_array_element(text.as_bytes(), &mut quoted);
    String::from_utf8_lossy(&quoted).into_owned()
}

fn row_item(item: &Datum, zone: &TimeZone) -> String {
    if item.is_null() {
        return String::new();
    }
    let text = text_of(item, zone);
    let mut quoted = vec![];
    write_record_field(text.as_bytes(), &mut quoted);
    String::from_utf8_lossy(&quoted).into_owned()
}

/// A floating-point number with the fewest digits that read back the same.
pub fn float_text(number: f64) -> String {
    format_float8(number, 1).to_string()
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
