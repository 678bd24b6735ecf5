//! What a real PostgreSQL read and wrote (`testdata/values.tsv`, made by `tests/clients/value_texts.py`), and what it has no type for.

use std::ops::Range;
use std::sync::Arc;

use bytes::BytesMut;
use datafusion::arrow::array::{
    Array, ArrayRef, BooleanArray, Date64Array, Decimal32Array, Decimal64Array, Decimal256Array, DictionaryArray,
    DurationMillisecondArray, DurationSecondArray, FixedSizeBinaryArray, FixedSizeListArray, Float16Array, Float64Array, Int8Array,
    Int32Array, Int64Array, IntervalDayTimeArray, IntervalYearMonthArray, ListArray, ListViewArray, MapBuilder, NullArray,
    RecordBatch, RunArray, StringArray, StringBuilder, StructArray, Time32MillisecondArray, Time32SecondArray,
    Time64NanosecondArray, TimestampMillisecondArray, TimestampNanosecondArray, TimestampSecondArray, UInt8Array, UInt16Array,
    UInt32Array, UInt64Array,
};
use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Int32Type, IntervalDayTime, Schema, TimeUnit, i256};
use datafusion::common::ScalarValue;
use proptest::prelude::*;

use super::{CopyEncoder, Form, Format, ObjectNames, RowEncoder, decode_parameter};
use crate::error::{Error, ErrorKind, Result};
use crate::session::outcome::CopyLayout;
use crate::sql::statement::{CopyForm, CopyFormat};
use crate::types::numeric::Numbers;
use crate::types::{RegKind, SqlType};

/// A row as its cells, `None` for NULL.
type Row = Vec<Option<Vec<u8>>>;

/// Reads DataRow messages back.
fn rows_of(mut bytes: &[u8]) -> Vec<Row> {
    fn take<'a>(bytes: &mut &'a [u8], length: usize) -> &'a [u8] {
        let (taken, rest) = bytes.split_at(length);
        *bytes = rest;
        taken
    }
    fn number(bytes: &mut &[u8]) -> i32 {
        i32::from_be_bytes(take(bytes, 4).try_into().unwrap())
    }
    let mut rows = vec![];
    while !bytes.is_empty() {
        assert_eq!(take(&mut bytes, 1), b"D");
        let length = usize::try_from(number(&mut bytes)).unwrap() - 4;
        let mut message = take(&mut bytes, length);
        let columns = u16::from_be_bytes(take(&mut message, 2).try_into().unwrap());
        let mut row = vec![];
        for _ in 0..columns {
            row.push(match number(&mut message) {
                -1 => None,
                length => Some(take(&mut message, usize::try_from(length).unwrap()).to_vec()),
            });
        }
        assert!(message.is_empty());
        rows.push(row);
    }
    rows
}

fn encode_rows(
    sql_type: &SqlType,
    field: Field,
    array: ArrayRef,
    format: Format,
    settings: &Form,
    rows: Range<usize>,
) -> Result<Vec<Option<Vec<u8>>>> {
    let schema = Arc::new(Schema::new(vec![field]));
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![array]).unwrap();
    let mut encoder = RowEncoder::new(std::slice::from_ref(sql_type), &schema, &[format], settings)?;
    let mut out = BytesMut::new();
    encoder.encode(&batch, rows, &mut out)?;
    Ok(rows_of(&out).into_iter().map(|mut row| row.remove(0)).collect())
}

/// Encodes all rows of an array under its field's SQL type.
fn encode_field(field: Field, array: ArrayRef, format: Format, settings: &Form) -> Result<Vec<Option<Vec<u8>>>> {
    let length = array.len();
    encode_rows(&SqlType::of_field(&field), field, array, format, settings, 0..length)
}

fn shown(cells: Vec<Option<Vec<u8>>>) -> Vec<String> {
    cells.into_iter().map(|cell| cell.map_or_else(|| "<null>".to_string(), |cell| String::from_utf8(cell).unwrap())).collect()
}

fn text_of(array: impl Array + 'static) -> Vec<String> {
    let field = Field::new("c", array.data_type().clone(), true);
    shown(encode_field(field, Arc::new(array), Format::Text, &Form::default()).unwrap())
}

fn binary_of(array: impl Array + 'static) -> Vec<String> {
    let field = Field::new("c", array.data_type().clone(), true);
    let cells = encode_field(field, Arc::new(array), Format::Binary, &Form::default()).unwrap();
    cells.into_iter().map(|cell| cell.map_or_else(|| "<null>".to_string(), hex::encode)).collect()
}

fn tagged(sql_type: &SqlType, array: impl Array + 'static, format: Format) -> Result<Vec<Option<Vec<u8>>>> {
    let field = Field::new("c", array.data_type().clone(), true).with_metadata(sql_type.metadata());
    encode_field(field, Arc::new(array), format, &Form::default())
}

/// One scalar through the encoder.
fn encode_scalar(sql_type: &SqlType, value: &ScalarValue, format: Format, settings: &Form) -> Result<Option<Vec<u8>>> {
    let array = value.to_array().unwrap();
    let field = Field::new("c", array.data_type().clone(), true).with_metadata(sql_type.metadata());
    Ok(encode_rows(sql_type, field, array, format, settings, 0..1)?.remove(0))
}

struct Case {
    settings: String,
    kind: String,
    literal: String,
    text: String,
    binary: String,
}

/// COPY's text format.
fn cases() -> Vec<Case> {
    let unescape = |field: &str| {
        let mut characters = field.chars();
        let mut text = String::new();
        while let Some(c) = characters.next() {
            text.push(if c != '\\' {
                c
            } else {
                match characters.next().unwrap() {
                    't' => '\t',
                    'n' => '\n',
                    'r' => '\r',
                    other => other,
                }
            });
        }
        text
    };
    let read = |line: &str| {
        let mut fields = line.split('\t').map(unescape);
        let mut next = || fields.next().unwrap();
        Case { settings: next(), kind: next(), literal: next(), text: next(), binary: next() }
    };
    include_str!("testdata/values.tsv").lines().map(read).collect()
}

fn settings_of(text: &str) -> Form {
    let setting = |name: &str| text.split(';').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    Form::from_settings(setting).unwrap()
}

/// Arrow counts an interval's time in nanoseconds, which end after 292 years.
fn is_beyond_arrow(case: &Case) -> bool {
    case.literal == "2562047788:00:54"
}

/// A parameter has no modifiers: the elements keep their own digits.
fn is_rounded_by_its_column(case: &Case) -> bool {
    case.kind == "numeric(12,2)[]" && case.literal == "{1.10,2,NULL}"
}

fn check(case: &Case) -> std::result::Result<(), String> {
    let settings = settings_of(&case.settings);
    // The record's name of a numeric without modifiers, which is what a parameter is.
    let kind = case.kind.replace("numeric(38,10)", "numeric").replace("numeric(12,2)[]", "numeric[]");
    let sql_type = SqlType::from_tag(&kind).ok_or("unknown type")?;
    let decoded = decode_parameter(Some(case.literal.as_bytes()), Format::Text, &sql_type, &settings);
    if let Some(sqlstate) = case.text.strip_prefix('!') {
        let error = decoded.err().ok_or("was accepted")?;
        let same = error.kind().sqlstate() == sqlstate && error.message() == case.binary;
        return if same {
            Ok(())
        } else {
            Err(format!("{} {} instead of {sqlstate} {}", error.kind().sqlstate(), error.message(), case.binary))
        };
    }
    let value = decoded.map_err(|error| format!("refused: {error}"))?;
    let text =
        encode_scalar(&sql_type, &value, Format::Text, &settings).map_err(|error| format!("text: {error}"))?.unwrap_or_default();
    if text != case.text.as_bytes() {
        return Err(format!("text {} instead of {}", String::from_utf8_lossy(&text), case.text));
    }
    let binary = encode_scalar(&sql_type, &value, Format::Binary, &settings)
        .map_err(|error| format!("binary: {error}"))?
        .unwrap_or_default();
    if hex::encode(&binary) != case.binary {
        return Err(format!("binary {} instead of {}", hex::encode(&binary), case.binary));
    }
    let again = decode_parameter(Some(&binary), Format::Binary, &sql_type, &settings)
        .map_err(|error| format!("binary refused: {error}"))?;
    // Padding has become part of the value.
    let is_padded = case.kind.starts_with("bpchar(");
    if again == value || is_padded { Ok(()) } else { Err(format!("binary read as {again} instead of {value}")) }
}

#[test]
fn values_are_read_and_written_as_postgresql_does() {
    let cases = cases();
    assert!(cases.len() > 3000, "{} cases", cases.len());
    let failures: Vec<String> = cases
        .iter()
        .filter(|case| !is_beyond_arrow(case) && !is_rounded_by_its_column(case))
        .filter_map(|case| check(case).err().map(|why| format!("[{}] {} {:?}: {why}", case.settings, case.kind, case.literal)))
        .collect();
    assert!(failures.is_empty(), "{} of {} cases\n{}", failures.len(), cases.len(), failures.join("\n"));
}

#[test]
fn integers_of_every_width() {
    assert_eq!(text_of(Int8Array::from(vec![Some(-128), None, Some(127)])), ["-128", "<null>", "127"]);
    assert_eq!(binary_of(Int8Array::from(vec![Some(-128), None])), ["ff80", "<null>"]);
    assert_eq!(text_of(UInt8Array::from(vec![255])), ["255"]);
    assert_eq!(binary_of(UInt8Array::from(vec![255])), ["00ff"]);
    assert_eq!(binary_of(UInt16Array::from(vec![65535])), ["0000ffff"]);
    assert_eq!(binary_of(UInt32Array::from(vec![u32::MAX])), ["00000000ffffffff"]);
    assert_eq!(text_of(UInt64Array::from(vec![u64::MAX])), ["18446744073709551615"]);
    assert_eq!(binary_of(UInt64Array::from(vec![u64::MAX])), ["000500040000000007341a5802e103bb064f"]);
    let error = tagged(&SqlType::Int4, Int64Array::from(vec![1 << 40]), Format::Binary).unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::NumericOutOfRange, "integer out of range"));
}

#[test]
fn floats_and_decimals_of_every_width() {
    let halves = cast(&Float64Array::from(vec![1.5, f64::NAN, f64::INFINITY]), &DataType::Float16).unwrap();
    let halves = halves.as_any().downcast_ref::<Float16Array>().unwrap();
    assert_eq!(text_of(halves.clone()), ["1.5", "NaN", "Infinity"]);
    assert_eq!(binary_of(halves.slice(0, 1)), ["3fc00000"]);
    let small = Decimal32Array::from(vec![Some(-12345), None]).with_precision_and_scale(9, 2).unwrap();
    assert_eq!(text_of(small.clone()), ["-123.45", "<null>"]);
    assert_eq!(binary_of(small), ["0002000040000002007b1194", "<null>"]);
    let medium = Decimal64Array::from(vec![i64::from(i32::MAX) * 1000]).with_precision_and_scale(18, 3).unwrap();
    assert_eq!(text_of(medium), ["2147483647.000"]);
    let wide = Decimal256Array::from(vec![i256::from_string(&"9".repeat(76)).unwrap()]).with_precision_and_scale(76, 0).unwrap();
    assert_eq!(text_of(wide), ["9".repeat(76)]);
    let hundreds = Decimal64Array::from(vec![12, 0]).with_precision_and_scale(10, -2).unwrap();
    assert_eq!(text_of(hundreds.clone()), ["1200", "0"]);
    assert_eq!(binary_of(hundreds), ["000100000000000004b0", "0000000000000000"]);
}

#[test]
fn strings_and_bytes_of_every_kind() {
    let strings = Arc::new(StringArray::from(vec![Some("short"), None, Some("longer than the twelve bytes of a view"), Some("")]))
        as ArrayRef;
    for data_type in [DataType::Utf8, DataType::LargeUtf8, DataType::Utf8View] {
        let array = cast(&strings, &data_type).unwrap();
        let field = Field::new("c", data_type, true);
        for format in [Format::Text, Format::Binary] {
            let cells = encode_field(field.clone(), Arc::clone(&array), format, &Form::default()).unwrap();
            assert_eq!(shown(cells), ["short", "<null>", "longer than the twelve bytes of a view", ""]);
        }
    }
    for data_type in [DataType::Binary, DataType::BinaryView] {
        let array = cast(&strings, &data_type).unwrap();
        let field = Field::new("c", data_type, true);
        let cells = encode_field(field.clone(), Arc::clone(&array), Format::Text, &Form::default()).unwrap();
        assert_eq!(shown(cells)[0], "\\x73686f7274");
        let cells = encode_field(field, array, Format::Binary, &Form::default()).unwrap();
        assert_eq!(cells[0].as_deref(), Some(&b"short"[..]));
    }
    let fixed = FixedSizeBinaryArray::try_from_iter([[1_u8, 2], [3, 255]].into_iter()).unwrap();
    assert_eq!(text_of(fixed.clone()), ["\\x0102", "\\x03ff"]);
    assert_eq!(binary_of(fixed), ["0102", "03ff"]);
}

#[test]
fn uuids_arrive_as_strings_and_as_bytes() {
    let text = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
    let bytes = hex::decode(text.replace('-', "")).unwrap();
    let array = FixedSizeBinaryArray::try_from_iter([bytes.clone()].into_iter()).unwrap();
    assert_eq!(tagged(&SqlType::Uuid, array.clone(), Format::Text).unwrap(), [Some(text.as_bytes().to_vec())]);
    assert_eq!(tagged(&SqlType::Uuid, array, Format::Binary).unwrap(), [Some(bytes.clone())]);
    assert_eq!(tagged(&SqlType::Uuid, StringArray::from(vec![text.to_uppercase()]), Format::Binary).unwrap(), [Some(bytes)]);
    let error = tagged(&SqlType::Uuid, StringArray::from(vec!["nonsense"]), Format::Binary).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidText);
}

#[test]
fn times_in_every_unit() {
    assert_eq!(text_of(Date64Array::from(vec![Some(1_704_412_800_000), None])), ["2024-01-05", "<null>"]);
    assert_eq!(text_of(Date64Array::from(vec![-1])), ["1969-12-31"]);
    assert_eq!(text_of(Time32SecondArray::from(vec![86_399])), ["23:59:59"]);
    assert_eq!(text_of(Time32MillisecondArray::from(vec![1_500])), ["00:00:01.5"]);
    assert_eq!(text_of(Time64NanosecondArray::from(vec![1_999])), ["00:00:00.000001"]);
    assert_eq!(text_of(TimestampSecondArray::from(vec![-1])), ["1969-12-31 23:59:59"]);
    assert_eq!(text_of(TimestampMillisecondArray::from(vec![-1])), ["1969-12-31 23:59:59.999"]);
    assert_eq!(text_of(TimestampNanosecondArray::from(vec![-1])), ["1969-12-31 23:59:59.999999"]);
    let zoned = TimestampNanosecondArray::from(vec![Some(1_704_448_800_120_000_000), None]).with_timezone("Europe/Berlin");
    assert_eq!(text_of(zoned.clone()), ["2024-01-05 10:00:00.12+00", "<null>"]);
    assert_eq!(binary_of(zoned).len(), 2);
    let field = Field::new("c", DataType::Timestamp(TimeUnit::Second, None), true);
    let error =
        encode_field(field, Arc::new(TimestampSecondArray::from(vec![i64::MAX])), Format::Text, &Form::default()).unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::DatetimeOutOfRange, "timestamp out of range"));
}

#[test]
fn intervals_of_every_kind() {
    assert_eq!(text_of(IntervalYearMonthArray::from(vec![Some(14), None, Some(-1)])), ["1 year 2 mons", "<null>", "-1 mons"]);
    assert_eq!(text_of(IntervalDayTimeArray::from(vec![IntervalDayTime::new(-1, 1_500)])), ["-1 days +00:00:01.5"]);
    assert_eq!(text_of(DurationSecondArray::from(vec![93_784, -93_784])), ["1 day 02:03:04", "-1 days -02:03:04"]);
    assert_eq!(binary_of(DurationMillisecondArray::from(vec![86_400_001])), ["00000000000003e80000000100000000"]);
}

fn int_lists(rows: &[Option<&[Option<i32>]>]) -> ListArray {
    ListArray::from_iter_primitive::<Int32Type, _, _>(rows.iter().map(|row| row.map(|row| row.to_vec())))
}

#[test]
fn lists_of_every_kind_are_arrays() {
    let list = int_lists(&[Some(&[Some(1), None, Some(3)]), None, Some(&[]), Some(&[Some(-7)])]);
    let expected_text = ["{1,NULL,3}", "<null>", "{}", "{-7}"];
    let expected_binary = [
        "00000001000000010000001700000003000000010000000400000001ffffffff0000000400000003",
        "<null>",
        "000000000000000000000017",
        "0000000100000000000000170000000100000001 00000004fffffff9",
    ]
    .map(|hex| hex.replace(' ', ""));
    let element = || Arc::new(Field::new_list_field(DataType::Int32, true));
    assert_eq!(text_of(list.clone()), expected_text);
    assert_eq!(binary_of(list.clone()), expected_binary);
    for data_type in [DataType::LargeList(element()), DataType::ListView(element()), DataType::LargeListView(element())] {
        let array = cast(&list, &data_type).unwrap();
        let field = Field::new("c", data_type.clone(), true);
        let settings = Form::default();
        assert_eq!(
            shown(
                encode_rows(
                    &SqlType::Array(Box::new(SqlType::Int4)),
                    field.clone(),
                    Arc::clone(&array),
                    Format::Text,
                    &settings,
                    0..4
                )
                .unwrap()
            ),
            expected_text
        );
        let binary = encode_rows(&SqlType::Array(Box::new(SqlType::Int4)), field, array, Format::Binary, &settings, 0..4).unwrap();
        assert_eq!(
            binary.into_iter().map(|cell| cell.map_or_else(|| "<null>".to_string(), hex::encode)).collect::<Vec<_>>(),
            expected_binary
        );
    }
    let fixed = FixedSizeListArray::new(
        element(),
        2,
        Arc::new(Int32Array::from(vec![1, 2, 3, 4])),
        Some(NullBuffer::from(vec![true, false])),
    );
    assert_eq!(text_of(fixed), ["{1,2}", "<null>"]);
    let backwards = ListViewArray::new(
        element(),
        ScalarBuffer::from(vec![2, 0]),
        ScalarBuffer::from(vec![1, 2]),
        Arc::new(Int32Array::from(vec![1, 2, 3])),
        None,
    );
    assert_eq!(text_of(backwards), ["{3}", "{1,2}"]);
}

fn nested(inner: ListArray, lengths: &[usize]) -> ListArray {
    let field = Arc::new(Field::new_list_field(inner.data_type().clone(), true));
    ListArray::new(field, OffsetBuffer::from_lengths(lengths.iter().copied()), Arc::new(inner), None)
}

#[test]
fn lists_of_lists_are_arrays_of_several_dimensions() {
    let one = |n| Some(n);
    let matrix = nested(int_lists(&[Some(&[one(1), one(2)]), Some(&[one(3), one(4)]), Some(&[]), Some(&[])]), &[2, 2]);
    assert_eq!(text_of(matrix.clone()), ["{{1,2},{3,4}}", "{}"]);
    assert_eq!(
        binary_of(matrix.clone()),
        [
            "000000020000000000000017000000020000000100000002000000010000000400000001000000040000000200000004000000030000000400000004",
            "000000000000000000000017"
        ]
    );
    let cube = nested(matrix.slice(0, 1), &[1]);
    assert_eq!(text_of(cube), ["{{{1,2},{3,4}}}"]);
    let ragged = nested(int_lists(&[Some(&[one(1), one(2)]), Some(&[one(3)]), None]), &[2, 1]);
    assert_eq!(text_of(ragged.clone()), ["{{1,2},{3}}", "{NULL}"]);
    let field = Field::new("c", ragged.data_type().clone(), true);
    let error = encode_field(field, Arc::new(ragged), Format::Binary, &Form::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DataException);
}

fn people() -> StructArray {
    let scores = int_lists(&[Some(&[Some(1), None]), None]);
    StructArray::try_new(
        vec![
            Field::new("na\"me", DataType::Utf8, true),
            Field::new("age", DataType::Int32, true),
            Field::new("ok", DataType::Boolean, true),
            Field::new("ratio", DataType::Float64, true),
            Field::new("scores", scores.data_type().clone(), true),
            Field::new("at", DataType::Timestamp(TimeUnit::Second, Some("UTC".into())), true),
        ]
        .into(),
        vec![
            Arc::new(StringArray::from(vec![Some("Ada \"A\"\n\u{1}é"), None])),
            Arc::new(Int32Array::from(vec![Some(36), None])),
            Arc::new(BooleanArray::from(vec![Some(true), Some(false)])),
            Arc::new(Float64Array::from(vec![1.5, f64::NAN])),
            Arc::new(scores),
            Arc::new(TimestampSecondArray::from(vec![Some(0), None]).with_timezone("UTC")),
        ],
        None,
    )
    .unwrap()
}

#[test]
fn structs_and_maps_are_json() {
    let expected = [
        "{\"na\\\"me\":\"Ada \\\"A\\\"\\n\\u0001é\",\"age\":36,\"ok\":true,\"ratio\":1.5,\"scores\":[1,null],\"at\":\"1970-01-01T00:00:00+00:00\"}",
        "{\"na\\\"me\":null,\"age\":null,\"ok\":false,\"ratio\":\"NaN\",\"scores\":null,\"at\":null}",
    ];
    assert_eq!(text_of(people()), expected);
    for row in text_of(people()) {
        serde_json::from_str::<serde_json::Value>(&row).unwrap();
    }
    assert_eq!(text_of(people().slice(1, 1)), [expected[1]]);
    let binary = tagged(&SqlType::Jsonb, people().slice(1, 1), Format::Binary).unwrap().remove(0).unwrap();
    assert_eq!(
        binary,
        b"\x01{\"na\\\"me\": null, \"age\": null, \"ok\": false, \"ratio\": \"NaN\", \"scores\": null, \"at\": null}"
    );

    let mut map = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    map.keys().append_value("a");
    map.values().append_value("x\\y");
    map.keys().append_value("b");
    map.values().append_null();
    map.append(true).unwrap();
    map.append(false).unwrap();
    map.append(true).unwrap();
    let map = map.finish();
    assert_eq!(text_of(map.clone()), [r#"{"a":"x\\y","b":null}"#, "<null>", "{}"]);
    assert_eq!(text_of(map.slice(2, 1)), ["{}"]);

    let field = Arc::new(Field::new_list_field(people().data_type().clone(), true));
    let list = ListArray::new(field, OffsetBuffer::from_lengths([1]), Arc::new(people().slice(1, 1)), None);
    assert_eq!(
        text_of(list),
        [r#"{"{\"na\\\"me\":null,\"age\":null,\"ok\":false,\"ratio\":\"NaN\",\"scores\":null,\"at\":null}"}"#]
    );
}

#[test]
fn dictionaries_and_runs_repeat_their_values() {
    let dictionary: DictionaryArray<Int32Type> = vec![Some("a"), None, Some("bb"), Some("a")].into_iter().collect();
    assert_eq!(text_of(dictionary.clone()), ["a", "<null>", "bb", "a"]);
    assert_eq!(text_of(dictionary.slice(2, 2)), ["bb", "a"]);
    let wide = Arc::new(StringArray::from_iter_values((0..2000).map(|n| n.to_string())));
    let sparse = DictionaryArray::new(Int32Array::from(vec![Some(1999), None, Some(7)]), wide);
    assert_eq!(text_of(sparse), ["1999", "<null>", "7"]);
    let all_null = DictionaryArray::new(Int32Array::from(vec![None::<i32>]), Arc::new(StringArray::from(Vec::<&str>::new())));
    assert_eq!(text_of(all_null), ["<null>"]);
    let runs =
        RunArray::<Int32Type>::try_new(&Int32Array::from(vec![2, 3, 6]), &StringArray::from(vec![Some("x"), None, Some("y")]))
            .unwrap();
    assert_eq!(text_of(runs.clone()), ["x", "x", "<null>", "y", "y", "y"]);
    assert_eq!(text_of(runs.slice(1, 3)), ["x", "<null>", "y"]);
}

#[test]
fn types_without_an_arrow_type() {
    assert_eq!(text_of(NullArray::new(2)), ["<null>", "<null>"]);
    assert_eq!(tagged(&SqlType::Void, NullArray::new(1), Format::Text).unwrap(), [Some(vec![])]);
    assert_eq!(tagged(&SqlType::Int4, NullArray::new(1), Format::Binary).unwrap(), [None]);
    assert_eq!(tagged(&SqlType::Jsonb, StringArray::from(vec!["[]"]), Format::Binary).unwrap(), [Some(b"\x01[]".to_vec())]);
    assert_eq!(
        tagged(&SqlType::Char, StringArray::from(vec!["é", "", "x"]), Format::Text).unwrap(),
        [Some(b"\\303".to_vec()), Some(vec![]), Some(b"x".to_vec())]
    );
    assert_eq!(tagged(&SqlType::Unknown, StringArray::from(vec!["?"]), Format::Text).unwrap(), [Some(b"?".to_vec())]);
    assert_eq!(
        tagged(&SqlType::AclItem, StringArray::from(vec!["a=r/b"]), Format::Binary).unwrap_err().kind(),
        ErrorKind::UndefinedFunction
    );
    assert_eq!(tagged(&SqlType::Text, Int32Array::from(vec![5]), Format::Binary).unwrap(), [Some(b"5".to_vec())]);
    assert_eq!(
        tagged(&SqlType::Date, TimestampSecondArray::from(vec![86_400]), Format::Text).unwrap(),
        [Some(b"1970-01-02".to_vec())]
    );
    assert_eq!(tagged(&SqlType::Date, BooleanArray::from(vec![true]), Format::Text).unwrap_err().kind(), ErrorKind::Unsupported);
}

#[derive(Debug)]
struct OneName;

impl ObjectNames for OneName {
    fn name(&self, kind: RegKind, oid: u32) -> Option<String> {
        (kind == RegKind::Class && oid == 1259).then(|| "pg_class".to_string())
    }

    fn oid(&self, _: RegKind, text: &str) -> Result<u32> {
        if text == "pg_class" { Ok(1259) } else { Err(Error::new(ErrorKind::UndefinedRelation, "no such relation")) }
    }
}

#[test]
fn object_identifiers_print_their_names() {
    let settings = Form { object_names: Some(Arc::new(OneName)), ..Form::default() };
    let sql_type = SqlType::Reg(RegKind::Class);
    let array = || Arc::new(UInt32Array::from(vec![Some(1259), Some(0), Some(99), None])) as ArrayRef;
    assert_eq!(
        shown(encode_field(sql_type.field("c", true), array(), Format::Text, &settings).unwrap()),
        ["pg_class", "-", "99", "<null>"]
    );
    let binary = encode_field(sql_type.field("c", true), array(), Format::Binary, &settings).unwrap();
    assert_eq!(binary[0], Some(1259_u32.to_be_bytes().to_vec()));
}

#[test]
fn rows_of_many_columns_and_widths_are_gathered_in_order() {
    let long = "x".repeat(70_000);
    let texts: Vec<Option<String>> =
        (0..3000).map(|n| (n % 7 != 0).then(|| if n == 1234 { long.clone() } else { "y".repeat(n % 50) })).collect();
    let numbers: Vec<Option<i64>> = (0..3000).map(|n| (n % 5 != 0).then_some(n * 1_000_003)).collect();
    let schema = Arc::new(Schema::new(vec![
        Field::new("a", DataType::Utf8, true),
        Field::new("b", DataType::Int64, true),
        Field::new("c", DataType::Int64, true),
    ]));
    let array = Arc::new(Int64Array::from(numbers.clone()));
    let batch = RecordBatch::try_new(
        Arc::clone(&schema),
        vec![Arc::new(StringArray::from(texts.clone())), Arc::clone(&array) as ArrayRef, array],
    )
    .unwrap();
    let mut encoder = RowEncoder::new(
        &[SqlType::Text, SqlType::Int8, SqlType::Int8],
        &schema,
        &[Format::Text, Format::Text, Format::Binary],
        &Form::default(),
    )
    .unwrap();
    let mut out = BytesMut::from(&b"D\0\0\0\x06\0\0"[..]);
    encoder.encode(&batch, 10..2990, &mut out).unwrap();
    let rows = rows_of(&out);
    assert_eq!(rows.len(), 2981);
    for (row, n) in rows[1..].iter().zip(10..2990) {
        assert_eq!(row[0], texts[n].clone().map(String::into_bytes), "{n}");
        assert_eq!(row[1], numbers[n].map(|number| number.to_string().into_bytes()), "{n}");
        assert_eq!(row[2], numbers[n].map(|number| number.to_be_bytes().to_vec()), "{n}");
    }
    let mut some = BytesMut::new();
    let count = encoder.encode_some(&batch, 0..3000, &mut some).unwrap();
    assert!(count > 0 && count < 3000 && some.len() < 200_000, "{count} rows, {} bytes", some.len());
    assert_eq!(encoder.encode_some(&batch, 5..5, &mut some).unwrap(), 0);
}

#[test]
fn a_result_without_columns_has_rows() {
    let schema = Arc::new(Schema::empty());
    let options = datafusion::arrow::array::RecordBatchOptions::new().with_row_count(Some(2));
    let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), vec![], &options).unwrap();
    let mut out = BytesMut::new();
    RowEncoder::new(&[], &schema, &[], &Form::default()).unwrap().encode(&batch, 0..2, &mut out).unwrap();
    assert_eq!(rows_of(&out), [vec![], vec![]] as [Row; 2]);
}

fn copy(layout: &CopyLayout) -> Vec<Vec<u8>> {
    let schema = Arc::new(Schema::new(vec![Field::new("id", DataType::Int32, true), Field::new("te,xt", DataType::Utf8, true)]));
    let ids = Int32Array::from(vec![Some(1), None, Some(3), Some(4)]);
    let texts = StringArray::from(vec![Some("a,b|\"c\"\\\n\t"), Some(""), None, Some("plain")]);
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(ids), Arc::new(texts)]).unwrap();
    let columns = [("id".to_string(), SqlType::Int4), ("te,xt".to_string(), SqlType::Text)];
    let mut encoder = CopyEncoder::new(&columns, &schema, layout, &Form::default()).unwrap();
    let mut out = BytesMut::new();
    encoder.start(&mut out);
    encoder.encode(&batch, 0..4, &mut out).unwrap();
    encoder.finish(&mut out);
    let mut messages = vec![];
    let mut rest = &out[..];
    while !rest.is_empty() {
        assert_eq!(rest[0], b'd');
        let length = u32::from_be_bytes(rest[1..5].try_into().unwrap()) as usize;
        messages.push(rest[5..=length].to_vec());
        rest = &rest[length + 1..];
    }
    messages
}

fn layout(format: CopyFormat, delimiter: u8, null: &str, header: bool) -> CopyLayout {
    CopyLayout { form: CopyForm { delimiter, null: null.to_string(), ..CopyForm::of(format) }, header, force_quote: vec![false; 2] }
}

#[test]
fn copy_text_escapes() {
    let lines = copy(&layout(CopyFormat::Text, b'\t', "\\N", true));
    assert_eq!(lines, [&b"id\tte,xt\n"[..], b"1\ta,b|\"c\"\\\\\\n\\t\n", b"\\N\t\n", b"3\t\\N\n", b"4\tplain\n"]);
    let lines = copy(&layout(CopyFormat::Text, b'|', "", false));
    assert_eq!(lines, [&b"1|a,b\\|\"c\"\\\\\\n\\t\n"[..], b"|\n", b"3|\n", b"4|plain\n"]);
    let lines = copy(&layout(CopyFormat::Text, b'-', "\\N", false));
    assert_eq!(lines[3], b"4-plain\n");
}

#[test]
fn copy_csv_quotes() {
    let lines = copy(&layout(CopyFormat::Csv, b',', "", true));
    assert_eq!(lines, [&b"id,\"te,xt\"\n"[..], b"1,\"a,b|\"\"c\"\"\\\n\t\"\n", b",\"\"\n", b"3,\n", b"4,plain\n"]);
    let lines = copy(&layout(CopyFormat::Csv, b';', "4", false));
    assert_eq!(lines, [&b"1;\"a,b|\"\"c\"\"\\\n\t\"\n"[..], b"4;\n", b"3;4\n", b"\"4\";plain\n"]);
}

#[test]
fn copy_csv_quotes_what_it_is_told_to_but_never_null() {
    let mut forced = layout(CopyFormat::Csv, b',', "", true);
    forced.force_quote = vec![true, false];
    let lines = copy(&forced);
    assert_eq!(lines, [&b"id,\"te,xt\"\n"[..], b"\"1\",\"a,b|\"\"c\"\"\\\n\t\"\n", b",\"\"\n", b"\"3\",\n", b"\"4\",plain\n"]);
    forced.form = CopyForm { quote: b'\'', escape: b'\\', ..forced.form };
    assert_eq!(copy(&forced)[1], b"'1','a,b|\"c\"\\\\\n\t'\n");
}

#[test]
fn copy_binary_has_its_header_with_the_first_row_and_a_trailer() {
    let messages = copy(&layout(CopyFormat::Binary, b'\t', "", false));
    assert_eq!(messages.len(), 5);
    assert_eq!(messages[0][..19], *b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0");
    assert_eq!(messages[0][19..], *b"\0\x02\0\0\0\x04\0\0\0\x01\0\0\0\x0aa,b|\"c\"\\\n\t");
    assert_eq!(messages[1], b"\0\x02\xff\xff\xff\xff\0\0\0\0");
    assert_eq!(messages[4], [0xff, 0xff]);
}

fn decode(bytes: &[u8], format: Format, tag: &str) -> Result<ScalarValue> {
    decode_parameter(Some(bytes), format, &SqlType::from_tag(tag).unwrap(), &Form::default())
}

fn refusal(result: Result<ScalarValue>) -> (&'static str, String) {
    let error: Error = result.unwrap_err();
    (error.kind().sqlstate(), error.message().to_string())
}

#[test]
fn null_parameters_have_their_type() {
    for sql_type in SqlType::scalars() {
        let value = decode_parameter(None, Format::Binary, &sql_type, &Form::default()).unwrap();
        assert!(value.is_null());
        assert_eq!(value.data_type(), sql_type.arrow_type());
        let list = SqlType::Array(Box::new(sql_type));
        let value = decode_parameter(None, Format::Text, &list, &Form::default()).unwrap();
        assert!(value.is_null() && value.data_type() == list.arrow_type());
    }
}

#[test]
fn a_numeric_parameter_keeps_all_its_digits() {
    assert_eq!(decode(b"1.5", Format::Text, "numeric(12,2)").unwrap(), ScalarValue::Decimal128(Some(150), 12, 2));
    assert_eq!(decode(b"1.500", Format::Text, "numeric(12,2)").unwrap(), ScalarValue::Decimal128(Some(150), 12, 2));
    assert_eq!(decode(b"1.005", Format::Text, "numeric(12,2)").unwrap(), ScalarValue::Decimal128(Some(1005), 4, 3));
    assert_eq!(
        decode(b"12345678901", Format::Text, "numeric(12,2)").unwrap(),
        ScalarValue::Decimal128(Some(12_345_678_901), 11, 0)
    );
    assert_eq!(decode(b"1e40", Format::Text, "numeric").unwrap().data_type(), DataType::Decimal256(41, 0));
    assert_eq!(decode(b"12.50", Format::Text, "numeric").unwrap(), ScalarValue::Decimal128(Some(1250), 4, 2));
    assert_eq!(decode("9".repeat(76).as_bytes(), Format::Text, "numeric").unwrap().data_type(), DataType::Decimal256(76, 0));
    let shown = |value: ScalarValue| Numbers::of(&value.to_array().unwrap()).unwrap().get(0).unwrap().unwrap().to_string();
    let long = "9".repeat(500);
    assert_eq!(shown(decode(long.as_bytes(), Format::Text, "numeric").unwrap()), long);
    assert_eq!(shown(decode(b"NaN", Format::Text, "numeric").unwrap()), "NaN");
    assert_eq!(shown(decode(&hex::decode("00000000c0000000").unwrap(), Format::Binary, "numeric").unwrap()), "NaN");
    let ScalarValue::List(list) = decode(b"{1.5,2.25,NULL}", Format::Text, "numeric[]").unwrap() else { panic!("no list") };
    let items = list.value(0);
    let numbers = Numbers::of(&items).unwrap();
    let items: Vec<_> = (0..3).map(|row| numbers.get(row).unwrap().map(|number| number.to_string())).collect();
    assert_eq!(items, [Some("1.5".to_string()), Some("2.25".to_string()), None]);
}

#[test]
fn wrong_bytes_are_refused_as_postgresql_refuses_them() {
    assert_eq!(refusal(decode(b"\0\0", Format::Binary, "int4")), ("08P01", "insufficient data left in message".into()));
    assert_eq!(
        refusal(decode(b"\0\0\0\0\0", Format::Binary, "int4")),
        ("22P03", "incorrect binary data format in bind parameter".into())
    );
    assert_eq!(
        refusal(decode(b"a\xffb", Format::Text, "text")),
        ("22021", "invalid byte sequence for encoding \"UTF8\": 0xff".into())
    );
    assert_eq!(
        refusal(decode(b"a\xc3(", Format::Binary, "text")),
        ("22021", "invalid byte sequence for encoding \"UTF8\": 0xc3 0x28".into())
    );
    assert_eq!(
        refusal(decode(b"a\0b", Format::Text, "text")),
        ("22021", "invalid byte sequence for encoding \"UTF8\": 0x00".into())
    );
    assert_eq!(refusal(decode(b"\x02{}", Format::Binary, "jsonb")).0, "22P03");
    assert_eq!(refusal(decode(&i64::MAX.to_be_bytes(), Format::Binary, "timestamp")).0, "0A000");
    assert_eq!(refusal(decode(b"infinity", Format::Text, "date")).0, "0A000");
    assert_eq!(refusal(decode(b"now", Format::Text, "timestamptz")).0, "0A000");
    assert_eq!(refusal(decode(b"pg_class", Format::Text, "regclass")).0, "22P02");
    let named = Form { object_names: Some(Arc::new(OneName)), ..Form::default() };
    let by_name = |name: &[u8]| decode_parameter(Some(name), Format::Text, &SqlType::Reg(RegKind::Class), &named);
    assert_eq!(by_name(b"pg_class").unwrap(), ScalarValue::UInt32(Some(1259)));
    assert_eq!(refusal(by_name(b"nothing")).0, "42P01");
    assert_eq!(decode(b"1259", Format::Text, "regclass").unwrap(), ScalarValue::UInt32(Some(1259)));
    assert_eq!(refusal(decode(b"{{1},{2}}", Format::Text, "int4[]")).0, "0A000");
    let text_array = hex::decode("000000010000000000000019000000010000000100000001 61".replace(' ', "")).unwrap();
    assert_eq!(
        refusal(decode(&text_array, Format::Binary, "int4[]")),
        ("42804", "binary data has array element type 25 (text) instead of expected 23 (integer)".into())
    );
    assert_eq!(decode(&text_array, Format::Binary, "varchar[]").unwrap().to_string(), "[a]");
    let endless = hex::decode("0000000100000000000000177fffffff00000001").unwrap();
    assert_eq!(refusal(decode(&endless, Format::Binary, "int4[]")).0, "08P01");
    assert_eq!(refusal(decode(b"\xff\xff\xff\xff\0\0\0\0\0\0\0\x17", Format::Binary, "int4[]")).0, "22P03");
}

/// Encodes and reads back.
fn round_trip(sql_type: &SqlType, value: &ScalarValue, settings: &Form) {
    for format in [Format::Text, Format::Binary] {
        let bytes = encode_scalar(sql_type, value, format, settings).unwrap();
        let again = decode_parameter(bytes.as_deref(), format, sql_type, settings).unwrap();
        // A numeric without modifiers comes back with as many digits as it has.
        let again = if matches!(value, ScalarValue::Decimal128(..)) { again.cast_to(&value.data_type()).unwrap() } else { again };
        assert_eq!(again, *value, "{sql_type} {format:?} {:?}", bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()));
    }
}

fn any_settings() -> impl Strategy<Value = Form> {
    let zones = prop::sample::select(vec!["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "<-0330>+03:30"]);
    let styles =
        prop::sample::select(vec!["ISO, MDY", "ISO, DMY", "SQL, MDY", "SQL, DMY", "Postgres, MDY", "Postgres, DMY", "German, DMY"]);
    let intervals = prop::sample::select(vec!["postgres", "postgres_verbose", "sql_standard", "iso_8601"]);
    let outputs = prop::sample::select(vec!["hex", "escape"]);
    (zones, styles, intervals, outputs).prop_map(|(zone, style, interval, output)| {
        Form::from_settings(|name| {
            Some(match name {
                "timezone" => zone,
                "datestyle" => style,
                "intervalstyle" => interval,
                "bytea_output" => output,
                _ => return None,
            })
        })
        .unwrap()
    })
}

proptest! {
    #[test]
    fn what_is_written_reads_back(
        settings in any_settings(),
        (int, float, small_float) in (any::<i64>(), any::<f64>(), any::<f32>()),
        (days, micros) in (-2_440_588..=2_145_042_905_i32, -210_866_803_200_000_000..=9_000_000_000_000_000_000_i64),
        (digits, precision, scale) in (any::<i128>(), 1..=38_u8, 0..=38_i8),
        bytes in prop::collection::vec(any::<u8>(), 0..40),
        text in "[^\0]{0,30}",
    ) {
        round_trip(&SqlType::Int8, &ScalarValue::Int64(Some(int)), &settings);
        if !float.is_nan() {
            round_trip(&SqlType::Float8, &ScalarValue::Float64(Some(float)), &settings);
        }
        if !small_float.is_nan() {
            round_trip(&SqlType::Float4, &ScalarValue::Float32(Some(small_float)), &settings);
        }
        round_trip(&SqlType::Date, &ScalarValue::Date32(Some(days)), &settings);
        round_trip(&SqlType::Timestamp, &ScalarValue::TimestampMicrosecond(Some(micros), None), &settings);
        let scale = scale.min(i8::try_from(precision).unwrap());
        let digits = digits % 10_i128.pow(u32::from(precision));
        round_trip(&SqlType::Numeric { precision, scale }, &ScalarValue::Decimal128(Some(digits), precision, scale), &settings);
        round_trip(&SqlType::Bytea, &ScalarValue::Binary(Some(bytes)), &settings);
        round_trip(&SqlType::Text, &ScalarValue::Utf8(Some(text.clone())), &settings);
        let list = ScalarValue::List(ScalarValue::new_list_nullable(&[ScalarValue::Utf8(Some(text)), ScalarValue::Utf8(None)], &DataType::Utf8));
        round_trip(&SqlType::Array(Box::new(SqlType::Text)), &list, &settings);
    }

    #[test]
    fn intervals_read_back(settings in any_settings(), months in any::<i32>(), days in any::<i32>(), micros in -9_000_000_000_000_000..9_000_000_000_000_000_i64) {
        // The verbose style and the standard leave a sign to be guessed where the parts' signs differ.
        let same_sign = (months >= 0) == (days >= 0) && (days >= 0) == (micros >= 0);
        let value = super::parameter::interval(crate::types::values::IntervalValue { months, days, micros }).unwrap();
        if same_sign {
            round_trip(&SqlType::Interval, &value, &settings);
        }
        round_trip(&SqlType::Interval, &value, &Form::default());
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..60), text in "[-+:./0-9a-zA-Z {}\\[\\]=\",\\\\]{0,30}", settings in any_settings()) {
        for scalar in SqlType::scalars() {
            let list = SqlType::Array(Box::new(scalar.clone()));
            for sql_type in [&scalar, &list] {
                for format in [Format::Text, Format::Binary] {
                    let _ = decode_parameter(Some(&bytes), format, sql_type, &settings);
                    let _ = decode_parameter(Some(text.as_bytes()), format, sql_type, &settings);
                }
            }
        }
    }
}

#[test]
fn records_are_written_with_their_fields() {
    let fields = vec![SqlType::Int4, SqlType::Unknown, SqlType::Text, SqlType::Bool];
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int32Array::from(vec![Some(1)])),
        Arc::new(StringArray::from(vec![Some("a \"b\\")])),
        Arc::new(StringArray::from(vec![None::<&str>])),
        Arc::new(BooleanArray::from(vec![Some(true)])),
    ];
    let record = SqlType::Record(fields);
    let DataType::Struct(struct_fields) = record.arrow_type() else { panic!("a record is a struct") };
    let array = || StructArray::new(struct_fields.clone(), columns.clone(), None);
    assert_eq!(tagged(&record, array(), Format::Text).unwrap(), [Some(br#"(1,"a ""b\\",,t)"#.to_vec())]);
    let binary = tagged(&record, array(), Format::Binary).unwrap();
    let expected = ["00000004", "000000170000000400000001", "000002c100000005612022625c", "00000019ffffffff", "000000100000000101"];
    assert_eq!(binary[0].as_ref().map(hex::encode), Some(expected.concat()));
}
