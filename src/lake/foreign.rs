//! Tests of tables that other programs write, or damage.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BinaryArray, Date32Array, Int32Array, Int64Array, RecordBatch, StructArray, TimestampMicrosecondArray,
};
use datafusion::arrow::datatypes::{DataType, Field, Fields};
use datafusion::parquet::file::metadata::KeyValue;
use datafusion::parquet::file::properties::WriterProperties;
use serde_json::{Value, json};

use super::AsOf;
use super::testing::{Foreign, TestLake, schema};
use crate::error::{Error, ErrorKind};

fn ids(values: &[i32]) -> RecordBatch {
    RecordBatch::try_from_iter([("id", Arc::new(Int32Array::from(values.to_vec())) as ArrayRef)]).unwrap()
}

fn plain() -> WriterProperties {
    WriterProperties::builder().build()
}

/// What a query over table `t` answers, by somebody who knows nothing of the table.
async fn query(test: &TestLake, query: &str) -> Result<String, Error> {
    let fresh = TestLake::new();
    let snapshot = fresh.lake.snapshot(&test.table("t"), AsOf::Latest).await?;
    fresh.query_on(&snapshot, query).await.map_err(|error| crate::error::datafusion::from_datafusion(error, true))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_in_two_spellings_is_one_file() {
    let test = TestLake::new();
    let mut foreign = Foreign::new(&test, "t", &schema(&[("id", "integer")]), &[]);
    let mut add = foreign.file("a b.parquet", &ids(&[1, 2]), plain());
    add["add"]["path"] = json!("a%20b.parquet");
    foreign.commit(&[add.clone()]);
    assert_eq!(test.query(&test.table("t"), "SELECT count(*), sum(id) FROM t").await, "2|3");
    add["add"]["path"] = json!("%61%20b.parquet");
    foreign.commit(&[add]);
    assert_eq!(test.query(&test.table("t"), "SELECT count(*), sum(id) FROM t").await, "2|3");
    assert_eq!(query(&test, "SELECT count(*), sum(id) FROM t").await.unwrap(), "2|3");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_no_data_are_damage() {
    for path in [
        "_delta_log/00000000000000000000.json",
        "%5Fdelta_log/00000000000000000000.json",
        "x/deletion_vector_1.bin",
        "_delta_log/x.parquet",
    ] {
        let test = TestLake::new();
        let mut foreign = Foreign::new(&test, "t", &schema(&[("id", "integer")]), &[]);
        let mut add = foreign.file("f.parquet", &ids(&[1, 2]), plain());
        add["add"]["path"] = json!(path);
        foreign.commit(&[add]);
        let error = query(&test, "SELECT count(*) FROM t").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DataCorrupted, "{path}: {error:?}");
        assert!(error.detail().is_some(), "{path}: {error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_vector_of_an_unknown_kind_is_named() {
    let test = TestLake::new();
    let features = json!({"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["deletionVectors"], "writerFeatures": ["deletionVectors"]});
    let mut foreign = Foreign::with_protocol(&test, "t", &schema(&[("id", "integer")]), &[], features);
    let mut add = foreign.file("f.parquet", &ids(&[1, 2]), plain());
    add["add"]["deletionVector"] =
        json!({"storageType": "z", "pathOrInlineDv": "x", "offset": 1, "sizeInBytes": 4, "cardinality": 1});
    foreign.commit(&[add]);
    let error = query(&test, "SELECT count(*) FROM t").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DataCorrupted, "{error:?}");
    assert!(error.detail().is_some_and(|detail| detail.contains("\"z\"")), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_of_another_type_is_an_error_where_it_is_read() {
    let test = TestLake::new();
    let mut foreign = Foreign::new(&test, "t", &schema(&[("id", "integer"), ("k", "integer")]), &[]);
    let columns: [(&str, ArrayRef); 2] =
        [("id", Arc::new(Int32Array::from(vec![1, 2]))), ("k", Arc::new(Int64Array::from(vec![5, 1 << 40])))];
    let add = foreign.file("f.parquet", &RecordBatch::try_from_iter(columns).unwrap(), plain());
    foreign.commit(&[add]);
    assert_eq!(query(&test, "SELECT count(*), sum(id) FROM t").await.unwrap(), "2|3");
    for reading in ["SELECT k FROM t", "SELECT id FROM t WHERE k = 5", "SELECT max(k) FROM t"] {
        let error = query(&test, reading).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.message()),
            (ErrorKind::DataCorrupted, "a data file has column \"k\" as bigint, not integer")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn days_of_the_julian_calendar_keep_their_names() {
    let test = TestLake::new();
    let mut foreign = Foreign::new(&test, "t", &schema(&[("id", "integer"), ("d", "date"), ("ts", "timestamp")]), &[]);
    let days = vec![-719_164, -141_428, -141_427, 0];
    let moments = days.iter().map(|day| i64::from(*day) * 86_400_000_000 + 1).collect::<Vec<_>>();
    let columns: [(&str, ArrayRef); 3] = [
        ("id", Arc::new(Int32Array::from(vec![1, 2, 3, 4]))),
        ("d", Arc::new(Date32Array::from(days))),
        ("ts", Arc::new(TimestampMicrosecondArray::from(moments).with_timezone("UTC"))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let keys = |zone: &str| {
        let keys =
            [("org.apache.spark.version", "3.5.0"), ("org.apache.spark.legacyDateTime", ""), ("org.apache.spark.timeZone", zone)];
        let keys = keys.map(|(key, value)| KeyValue::new(key.to_string(), value.to_string()));
        WriterProperties::builder().set_key_value_metadata(Some(keys.to_vec())).build()
    };
    let add = foreign.file("f.parquet", &batch, keys("UTC"));
    foreign.commit(&[add]);
    let rows = query(&test, "SELECT d, ts FROM t ORDER BY id").await.unwrap();
    let expected = "0001-01-01|0001-01-01T00:00:00.000001Z\n1582-10-04|1582-10-04T00:00:00.000001Z\n1582-10-15|1582-10-15T00:00:00.000001Z\n1970-01-01|1970-01-01T00:00:00.000001Z";
    assert_eq!(rows, expected);
    assert_eq!(query(&test, "SELECT id FROM t WHERE d = date '0001-01-01'").await.unwrap(), "1");
    assert_eq!(query(&test, "SELECT id FROM t WHERE d = date '1582-10-04'").await.unwrap(), "2");
    let add = foreign.file("g.parquet", &batch, keys("Europe/Berlin"));
    foreign.commit(&[add]);
    assert_eq!(query(&test, "SELECT count(*) FROM t WHERE d < date '1500-01-01'").await.unwrap(), "2");
    let error = query(&test, "SELECT max(ts) FROM t").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_variant_does_not_hide_the_other_columns() {
    let test = TestLake::new();
    let features = ["variantType"];
    let features = json!({"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": features, "writerFeatures": features});
    let mut foreign = Foreign::with_protocol(&test, "t", &schema(&[("id", "integer"), ("v", "variant")]), &[], features);
    let fields = Fields::from(vec![Field::new("metadata", DataType::Binary, false), Field::new("value", DataType::Binary, false)]);
    let part: ArrayRef = Arc::new(BinaryArray::from_vec(vec![b"\x01\x00\x00"]));
    let variant = StructArray::new(fields, vec![Arc::clone(&part), part], None);
    let columns: [(&str, ArrayRef); 2] = [("id", Arc::new(Int32Array::from(vec![7]))), ("v", Arc::new(variant))];
    let add = foreign.file("f.parquet", &RecordBatch::try_from_iter(columns).unwrap(), plain());
    foreign.commit(&[add]);
    assert_eq!(query(&test, "SELECT id FROM t").await.unwrap(), "7");
    assert_eq!(query(&test, "SELECT count(*) FROM t WHERE id = 7").await.unwrap(), "1");
    let error = query(&test, "SELECT v FROM t").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
    assert!(error.message().contains("\"v\""), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn partition_values_have_the_digits_that_their_writer_gave_them() {
    let test = TestLake::new();
    let columns = [("id", "integer"), ("m", "decimal(10,2)"), ("z", "timestamp"), ("n", "timestamp_ntz")];
    let features = json!({"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["timestampNtz"], "writerFeatures": ["timestampNtz"]});
    let mut foreign = Foreign::with_protocol(&test, "t", &schema(&columns), &["m", "z", "n"], features);
    let table = test.table("t");
    let values = [
        (Some("0.5"), Some("2024-01-01 10:00:00"), Some("2024-01-01 10:00:00")),
        (Some("-2"), Some("2024-01-01T10:00:00.000000Z"), Some("2024-01-01T10:00:00")),
        (Some("1.50"), Some("2024-01-01 10:00:00.123"), None),
        (Some("5E-2"), None, None),
        (Some("1E+3"), None, None),
        (Some("-0.250"), None, None),
        (None, None, Some("")),
        (Some(""), None, None),
    ];
    for (number, (m, z, n)) in values.into_iter().enumerate() {
        let name = format!("f{number}.parquet");
        let mut add = foreign.file(&name, &ids(&[i32::try_from(number).unwrap()]), plain());
        add["add"]["partitionValues"] = json!({"m": m, "z": z, "n": n});
        foreign.commit(&[add]);
        test.newest(&table).await;
    }
    let expected = "0|0.50|2024-01-01T10:00:00Z|2024-01-01T10:00:00\n1|-2.00|2024-01-01T10:00:00Z|2024-01-01T10:00:00\n2|1.50|2024-01-01T10:00:00.123Z|\n3|0.05||\n4|1000.00||\n5|-0.25||\n6|||\n7|||";
    let every_row = "SELECT id, m, z, n FROM t ORDER BY id";
    assert_eq!(test.query(&table, every_row).await, expected);
    assert_eq!(query(&test, every_row).await.unwrap(), expected);
    assert_eq!(query(&test, "SELECT id FROM t WHERE m = 0.5").await.unwrap(), "0");
    for damaged in ["1.234", "x", "--1", "1e", "123456789012", "."] {
        let test = TestLake::new();
        let mut foreign = Foreign::new(&test, "t", &schema(&[("id", "integer"), ("m", "decimal(10,2)")]), &["m"]);
        let mut add = foreign.file("f.parquet", &ids(&[1]), plain());
        add["add"]["partitionValues"] = json!({"m": damaged});
        foreign.commit(&[add]);
        assert_eq!(query(&test, "SELECT id FROM t").await.unwrap_err().kind(), ErrorKind::DataCorrupted, "{damaged}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_may_lie_anywhere_and_its_files_have_any_name() {
    for place in ["a b", "ü", "100%", "a%20b", "a#b", "a?b", "a+b", "a'b\"c", "[x]{y}", "a=b", "a&b", "a,b;c", "~a", "a:b"] {
        let test = TestLake::new();
        let name = format!("{place}/t");
        let mut foreign = Foreign::new(&test, &name, &schema(&[("id", "integer")]), &[]);
        let table = test.table(&name);
        for (number, (file, reference)) in [
            ("x y.parquet", "x%20y.parquet"),
            ("p=a%2Fb/f.parquet", "p=a%252Fb/f.parquet"),
            ("ä.parquet", "%C3%A4.parquet"),
            ("é:+&.parquet", "./é:+&.parquet"),
        ]
        .into_iter()
        .enumerate()
        {
            let mut add = foreign.file(file, &ids(&[i32::try_from(number).unwrap()]), plain());
            add["add"]["path"] = json!(reference);
            foreign.commit(&[add]);
        }
        let fresh = TestLake::new();
        let read = async {
            let snapshot = fresh.lake.snapshot(&table, AsOf::Latest).await.map_err(|error| format!("{error:?}"))?;
            fresh.query_on(&snapshot, "SELECT count(*), sum(id) FROM t").await.map_err(|error| error.to_string())
        };
        assert_eq!(read.await, Ok("4|6".to_string()), "{place}");
        test.insert(&table, "SELECT 10 AS id").await.unwrap();
        assert_eq!(test.query(&table, "SELECT sum(id) FROM t").await, "16", "{place}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bounds_that_json_cannot_say_are_texts() {
    for (min, max) in [("\"NaN\"", "\"NaN\""), ("\"-Infinity\"", "\"Infinity\""), ("null", "null"), ("\"NaN\"", "5.0")] {
        let test = TestLake::new();
        let mut foreign = Foreign::new(&test, "t", &schema(&[("id", "integer"), ("x", "double")]), &[]);
        let mut add: Value = foreign.file("f.parquet", &ids(&[1, 2]), plain());
        add["add"]["stats"] = json!(format!(
            "{{\"numRecords\":2,\"minValues\":{{\"x\":{min}}},\"maxValues\":{{\"x\":{max}}},\"nullCount\":{{\"id\":0}}}}"
        ));
        foreign.commit(&[add]);
        assert_eq!(query(&test, "SELECT count(*) FROM t WHERE x IS NULL").await.unwrap(), "2", "{min}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_without_columns_is_empty_or_refused_by_name() {
    let test = TestLake::new();
    Foreign::new(&test, "t", &schema(&[]), &[]);
    let snapshot = test.lake.snapshot(&test.table("t"), AsOf::Latest).await.unwrap();
    assert_eq!(snapshot.schema().fields().len(), 0);
    assert_eq!(test.query_on(&snapshot, "SELECT count(*) FROM t").await.unwrap(), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_of_floats_are_found_by_every_condition() {
    let test = TestLake::new();
    let mut foreign = Foreign::new(&test, "t", &schema(&[("id", "integer"), ("x", "double")]), &["x"]);
    let values = [json!("-0.0"), json!("0.0"), json!("NaN"), json!("1.0"), json!("Infinity"), json!("-Infinity"), json!(null)];
    for (number, value) in values.into_iter().enumerate() {
        let mut add = foreign.file(&format!("f{number}.parquet"), &ids(&[i32::try_from(number).unwrap()]), plain());
        add["add"]["partitionValues"] = json!({"x": value});
        foreign.commit(&[add]);
    }
    let table = test.table("t");
    let rows = "SELECT string_agg(CAST(id AS varchar), ' ' ORDER BY id) FROM";
    for condition in [
        "x > 100",
        "x = 'NaN'",
        "x >= 'NaN'",
        "x < 'NaN'",
        "x <> 'NaN'",
        "NOT x <= 100",
        "x = 0",
        "x = -0.0",
        "x < 0",
        "x <= -0.0",
        "x > -0.0",
        "x >= 0",
        "x IN ('NaN', 0)",
        "x NOT IN (0, 1)",
        "x IS NULL",
        "x IS NOT NULL",
        "x BETWEEN 1 AND 'NaN'",
    ] {
        let found = test.query(&table, &format!("{rows} t WHERE {condition}")).await;
        let all = test.query(&table, &format!("{rows} (SELECT * FROM t LIMIT 1000000) WHERE {condition}")).await;
        assert_eq!(found, all, "{condition}");
    }
    assert_eq!(test.query(&table, "SELECT max(x), min(x), count(x), count(*) FROM t").await, "NaN|-inf|6|7");
    assert_eq!(test.query(&table, "SELECT id FROM t ORDER BY x DESC NULLS LAST LIMIT 2").await, "2\n4");
}
