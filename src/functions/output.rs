//! Single values as text, for functions that work value by value over the catalog and over JSON. The texts are [`crate::types::values`]'.

use datafusion::arrow::datatypes::IntervalMonthDayNano;

use super::time::{self, Zone};
use crate::types::datum::{Datum, numeric_text};
use crate::types::values::{self, ByteaOutput, DateStyle, IntervalStyle, IntervalValue, write_array_element, write_record_field};

/// The value as text; NULL is the empty string. Times with a zone are shown in `zone`.
pub fn text_of(datum: &Datum, zone: Zone) -> String {
    match datum {
        Datum::Null => String::new(),
        Datum::Bool(value) => if *value { "t" } else { "f" }.to_string(),
        Datum::Int(number) => number.to_string(),
        Datum::Float(number) => float_text(*number),
        Datum::Numeric(value, scale) => numeric_text(*value, *scale),
        Datum::Text(text) => text.clone(),
        Datum::Bytes(bytes) => {
            let mut text = vec![];
            values::format_bytea(bytes, ByteaOutput::Hex, &mut text);
            String::from_utf8_lossy(&text).into_owned()
        }
        Datum::Date(days) => values::format_date(*days, DateStyle::default()).as_str().to_string(),
        Datum::Time(micros) => values::format_time(*micros).as_str().to_string(),
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
    let mut quoted = vec![];
    write_array_element(text.as_bytes(), &mut quoted);
    String::from_utf8_lossy(&quoted).into_owned()
}

fn row_item(item: &Datum, zone: Zone) -> String {
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
    values::format_float8(number, 1).as_str().to_string()
}

/// A local time with `separator` between date and time and `zone` behind it.
pub fn timestamp_text(local: i64, separator: char, zone: &str) -> String {
    let text = values::format_timestamp(local, DateStyle::default());
    let (text, era) = text.as_str().strip_suffix(" BC").map_or((text.as_str(), ""), |text| (text, " BC"));
    format!("{}{zone}{era}", text.replacen(' ', separator.encode_utf8(&mut [0; 4]), 1))
}

/// An interval in the style `postgres`: `1 year 2 mons -3 days 04:05:06.7`.
pub fn interval_text(interval: IntervalMonthDayNano) -> String {
    let value = IntervalValue { months: interval.months, days: interval.days, micros: interval.nanoseconds / 1000 };
    values::format_interval(value, IntervalStyle::Postgres).as_str().to_string()
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
