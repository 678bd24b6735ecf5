//! Every way to text and from text agrees with every other one.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, StringArray};
use datafusion::common::ScalarValue;
use proptest::prelude::*;

use super::convert::convert;
use super::datum::{self, Datum};
use super::encode::text_of;
use super::input::{Failure, parse_scalar, parse_text};
use super::values::numeric::Numeric;
use super::values::{ByteaOutput, DateFormat, DateOrder, DateStyle, IntervalStyle, TimeZone};
use super::{Form, SqlType};
use crate::error::ErrorKind;
use datafusion::arrow::datatypes::IntervalMonthDayNano;

fn array_of(text: SqlType) -> SqlType {
    SqlType::Array(Box::new(text))
}

/// Types whose text reads back as the same value, with some of their values.
fn values() -> impl Strategy<Value = (SqlType, Vec<Datum>)> {
    fn column(sql_type: SqlType, value: impl Strategy<Value = Datum> + 'static) -> BoxedStrategy<(SqlType, Vec<Datum>)> {
        let value = prop_oneof![4 => value, 1 => Just(Datum::Null)];
        proptest::collection::vec(value, 0..8).prop_map(move |values| (sql_type.clone(), values)).boxed()
    }
    let micros = -2_000_000_000_000_000_i64..4_000_000_000_000_000;
    prop_oneof![
        column(SqlType::Bool, any::<bool>().prop_map(Datum::Bool)),
        column(SqlType::Int2, any::<i16>().prop_map(Datum::from)),
        column(SqlType::Int4, any::<i32>().prop_map(Datum::from)),
        column(SqlType::Int8, any::<i64>().prop_map(Datum::from)),
        column(SqlType::Oid, any::<u32>().prop_map(Datum::from)),
        column(SqlType::Float8, any::<f64>().prop_filter("NaN is not itself", |f| !f.is_nan()).prop_map(Datum::Float)),
        column(
            SqlType::Numeric { precision: 18, scale: 4 },
            (-999_999_999_999_999_999_i64..999_999_999_999_999_999)
                .prop_map(|n| Datum::Numeric(Numeric::from_decimal(n.into(), 4)))
        ),
        column(SqlType::Text, ".{0,12}".prop_map(Datum::Text)),
        column(SqlType::Bytea, any::<Vec<u8>>().prop_map(Datum::Bytes)),
        column(SqlType::Date, (-700_000..700_000).prop_map(Datum::Date)),
        column(SqlType::Time, (0..86_400_000_000_i64).prop_map(Datum::Time)),
        column(SqlType::Timestamp, micros.clone().prop_map(Datum::Timestamp)),
        column(SqlType::Timestamptz, micros.prop_map(Datum::Timestamptz)),
        column(
            SqlType::Interval,
            (-1_000..1_000, -1_000..1_000, -1_000_000_000_000_i64..1_000_000_000_000)
                .prop_map(|(months, days, micros)| Datum::Interval(IntervalMonthDayNano::new(months, days, micros * 1000)))
        ),
        column(
            array_of(SqlType::Int4),
            any::<Vec<Option<i32>>>().prop_map(|list| Datum::List(list.into_iter().map(Datum::from).collect()))
        ),
        column(
            array_of(SqlType::Text),
            proptest::collection::vec(proptest::option::of("[a-zA-Z \\\\\"{},é\\t]{0,6}|null|NULL"), 0..5)
                .prop_map(|list| Datum::List(list.into_iter().map(Datum::text).collect()))
        ),
        column(
            array_of(SqlType::Timestamptz),
            proptest::collection::vec(0..4_000_000_000_000_000_i64, 0..3)
                .prop_map(|list| Datum::List(list.into_iter().map(Datum::Timestamptz).collect()))
        ),
    ]
}

fn forms() -> impl Strategy<Value = Form> {
    let orders = prop_oneof![Just(DateOrder::Mdy), Just(DateOrder::Dmy), Just(DateOrder::Ymd)];
    let zones = prop_oneof![Just("UTC"), Just("Asia/Kolkata"), Just("-3"), Just("5.5")];
    let styles = prop_oneof![Just(IntervalStyle::Postgres), Just(IntervalStyle::PostgresVerbose), Just(IntervalStyle::Iso8601)];
    let outputs = prop_oneof![Just(ByteaOutput::Hex), Just(ByteaOutput::Escape)];
    (orders, zones, styles, outputs).prop_map(|(order, zone, interval_style, bytea_output)| Form {
        time_zone: TimeZone::parse(zone).unwrap(),
        date_style: DateStyle { format: DateFormat::Iso, order },
        interval_style,
        bytea_output,
        ..Form::default()
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back_by_every_reader((sql_type, values) in values(), form in forms()) {
        let array = datum::write(&sql_type.arrow_type(), values).unwrap();
        let texts = text_of(&array, &sql_type, &form).unwrap();
        let column: ArrayRef = Arc::new(texts.clone());
        let read = parse_text(&column, &sql_type, &form, Failure::Error).unwrap();
        prop_assert_eq!(&read, &array);
        for row in 0..texts.len() {
            let value = ScalarValue::try_from_array(&array, row).unwrap();
            if texts.is_null(row) {
                prop_assert!(array.is_null(row));
            } else {
                prop_assert_eq!(parse_scalar(texts.value(row), &sql_type, &form).unwrap(), value);
            }
        }
    }

    #[test]
    fn casts_write_what_results_show((sql_type, values) in values(), form in forms()) {
        let array = datum::write(&sql_type.arrow_type(), values).unwrap();
        let shown: ArrayRef = Arc::new(text_of(&array, &sql_type, &form).unwrap());
        let cast = convert(&array, &sql_type, &SqlType::Text, &form, Failure::Error).unwrap();
        // Booleans alone have words of their own.
        if sql_type != SqlType::Bool {
            prop_assert_eq!(&cast, &shown);
        }
        let back = convert(&cast, &SqlType::Text, &sql_type, &form, Failure::Error).unwrap();
        prop_assert_eq!(&back, &array);
    }

    #[test]
    fn text_that_is_no_value_is_null_or_an_error(texts in proptest::collection::vec(".{0,8}", 1..4)) {
        let column: ArrayRef = Arc::new(StringArray::from(texts.clone()));
        for sql_type in [SqlType::Int4, SqlType::Date, SqlType::Uuid, SqlType::Jsonb, array_of(SqlType::Float8)] {
            let tried = match parse_text(&column, &sql_type, &Form::default(), Failure::Null) {
                Ok(tried) => tried,
                Err(error) => {
                    prop_assert_eq!(error.kind(), ErrorKind::Unsupported);
                    continue;
                }
            };
            for (row, text) in texts.iter().enumerate() {
                prop_assert_eq!(tried.is_null(row), parse_scalar(text, &sql_type, &Form::default()).is_err(), "{} {}", sql_type, text);
            }
        }
    }
}

#[test]
fn spaces_of_a_char_are_gone_from_its_text() {
    let array: ArrayRef = Arc::new(StringArray::from(vec![Some("ab  "), Some("  "), None]));
    let text = convert(&array, &SqlType::Bpchar(Some(4)), &SqlType::Text, &Form::default(), Failure::Error).unwrap();
    let expected: ArrayRef = Arc::new(StringArray::from(vec![Some("ab"), Some(""), None]));
    assert_eq!(&text, &expected);
    assert_eq!(
        text_of(&array, &SqlType::Bpchar(Some(4)), &Form::default()).unwrap(),
        StringArray::from(vec![Some("ab  "), Some("    "), None])
    );
}
