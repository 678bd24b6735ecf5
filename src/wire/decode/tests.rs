//! Rows, errors and contexts as PostgreSQL 15 and 17 give them, wherever the messages break.

use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use futures::FutureExt;

use super::*;
use crate::sql::statement::{CopyForm, Name};
use crate::types::SqlType;

const CSV: CopyFormat = CopyFormat::Csv;
const TEXT: CopyFormat = CopyFormat::Text;

fn options(format: CopyFormat) -> CopyIn {
    CopyIn::plain(Name { parts: vec!["t".into()], position: None }, format)
}

/// A table of columns a, b, ..
fn target(types: &[&str], options: &CopyIn) -> CopyTarget {
    let column = |(index, tag): (u8, &&str)| CopyColumn {
        name: char::from(b'a' + index).to_string(),
        sql_type: SqlType::from_tag(tag).unwrap(),
        not_null: false,
        force_null: false,
        force_not_null: false,
    };
    CopyTarget {
        relation: "t".into(),
        columns: (0..).zip(types).map(column).collect(),
        unfilled: None,
        options: options.clone(),
        load: Box::new(|_| async { Ok(0) }.boxed()),
    }
}

fn lines_of(batch: &RecordBatch, out: &mut Vec<String>) {
    let format = FormatOptions::default().with_null("NULL");
    let columns: Vec<_> = batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &format).unwrap()).collect();
    for row in 0..batch.num_rows() {
        out.push(columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join("|"));
    }
}

/// All rows of data that comes in these messages, and the error that ends them.
fn read_parts(target: &CopyTarget, parts: &[&[u8]]) -> Vec<String> {
    let mut decoder = CopyDecoder::new(target, &Form::default(), 1 << 20).unwrap();
    let mut out = vec![];
    for part in parts.iter().map(|part| Some(*part)).chain([None]) {
        match part {
            Some(part) => decoder.push(part),
            None => decoder.end(),
        }
        loop {
            match decoder.next() {
                Ok(Some(batch)) => lines_of(&batch, &mut out),
                Ok(None) => break,
                Err(Misread { error, context }) => {
                    let hint = error.hint().map(|hint| format!(" [{hint}]")).unwrap_or_default();
                    out.push(format!("{} {}{hint}", error.kind().sqlstate(), error.message()));
                    out.extend(context);
                    return out;
                }
            }
        }
    }
    out
}

/// As [`read_parts`], in one piece, in two with every split, and byte by byte: all must agree.
fn read(target: &CopyTarget, data: &[u8]) -> Vec<String> {
    let whole = read_parts(target, &[data]);
    for split in 0..=data.len() {
        let (first, second) = data.split_at(split);
        assert_eq!(read_parts(target, &[first, second]), whole, "split at {split}");
    }
    let bytes: Vec<&[u8]> = data.chunks(1).collect();
    assert_eq!(read_parts(target, &bytes), whole, "byte by byte");
    whole
}

fn text(data: &str) -> Vec<String> {
    read(&target(&["text", "text"], &options(TEXT)), data.as_bytes())
}

fn csv(data: &str) -> Vec<String> {
    read(&target(&["text", "text"], &options(CSV)), data.as_bytes())
}

#[test]
fn text_lines_end_alike_and_backslashes_protect() {
    for end in ["\n", "\r", "\r\n"] {
        assert_eq!(text(&["1\tone", "2\t\\N", "\tx"].join(end)), ["1|one", "2|NULL", "|x"], "{end:?}");
        assert_eq!(text(&format!("1\tone{end}2\ttwo{end}\\.{end}ignored")), ["1|one", "2|two"], "{end:?}");
    }
    assert_eq!(text("a\\tb\tc\\\td\n"), ["a\tb|c\td"]);
    assert_eq!(text("\\b\\f\\n\\r\\t\\v\\q\t\\101\\x41\\xzA\\18\n"), ["\u{8}\u{c}\n\r\t\u{b}q|AAxzA\u{1}8"]);
    assert_eq!(text("a\\\nb\tc\n"), ["a\nb|c"], "a protected line end");
    assert_eq!(text("\\\\.\t\\\\N\n"), ["\\.|\\N"]);
    assert_eq!(text("\\303\\244\tä\n"), ["ä|ä"]);
    assert_eq!(text("abc\tdef\\.\n"), ["abc|def"], "data in front of the marker is a line");
    assert_eq!(text("x\ty\\"), ["x|y"], "a backslash at the end protects nothing");
    assert_eq!(text(""), [""; 0]);
}

#[test]
fn text_faults_are_told_with_their_lines() {
    let hint = |letter: char, what: &str| format!("Use \"\\{letter}\" to represent {what}.");
    assert_eq!(
        text("a\tb\nc\td\r\n"),
        [format!("22P04 literal carriage return found in data [{}]", hint('r', "carriage return")), "COPY t, line 2".into()]
    );
    assert_eq!(
        text("a\tb\r\nc\td\n"),
        [format!("22P04 literal newline found in data [{}]", hint('n', "newline")), "COPY t, line 2".into()]
    );
    assert_eq!(text("a\tb\n\\.\r\n")[0], "22P04 end-of-copy marker does not match previous newline style");
    assert_eq!(text("a\tb\n\\.x\n"), ["22P04 end-of-copy marker corrupt", "COPY t, line 2"]);
    assert_eq!(text("a\tb\tc\n"), ["22P04 extra data after last expected column", "COPY t, line 1: \"a\tb\tc\""]);
    assert_eq!(text("a\tb\nc\n"), ["22P04 missing data for column \"b\"", "COPY t, line 2: \"c\""]);
    assert_eq!(text("a\t\\303\n"), ["22021 invalid byte sequence for encoding \"UTF8\": 0xc3", "COPY t, line 1: \"a\t\\303\""]);
    assert_eq!(text("a\t\\0\n")[0], "22021 invalid byte sequence for encoding \"UTF8\": 0x00");
    let invalid = read(&target(&["text"], &options(TEXT)), b"ok\nx\xffy\n");
    assert_eq!(invalid, ["22021 invalid byte sequence for encoding \"UTF8\": 0xff", "COPY t, line 2"]);
}

#[test]
fn csv_quotes_may_stand_anywhere_and_tell_null_from_nothing() {
    assert_eq!(csv("a,\"b,c\"\n,\"\"\n"), ["a|b,c", "NULL|"]);
    assert_eq!(csv("\"x\ny\",\"a\"\"b\"\n"), ["x\ny|a\"b"]);
    assert_eq!(csv("a\"b\"c,\"d\"e\n"), ["abc|de"], "a part may be quoted");
    assert_eq!(csv(" a , b \n"), [" a | b "]);
    assert_eq!(csv("\"a\r\nb\",c\r\nd,e"), ["a\r\nb|c", "d|e"]);
    assert_eq!(csv("a,b\n\\.\nc"), ["a|b"]);
    assert_eq!(csv("\\.x,b\n"), ["\\.x|b"], "more text makes it a value");
    assert_eq!(csv("\"\\.\",b\n"), ["\\.|b"]);
    assert_eq!(csv("a\\nb,c\\\n"), ["a\\nb|c\\"], "a backslash is a letter");
    let mut other = options(CSV);
    other.form = CopyForm { delimiter: b';', quote: b'\'', escape: b'\\', null: "NIL".into(), ..other.form };
    let other = target(&["text", "text"], &other);
    assert_eq!(read(&other, b"'a\\'b\\\\c';NIL\n'NIL';''\n\"x\";y\n"), ["a'b\\c|NULL", "NIL|", "\"x\"|y"]);
    assert_eq!(read(&other, b"'a\\b\\\n';x\n"), ["a\\b\\\n|x"], "an escape in front of anything else is itself");
}

#[test]
fn csv_faults_are_told_with_their_lines() {
    assert_eq!(csv("a,b\n\"c,d\n"), ["22P04 unterminated CSV quoted field", "COPY t, line 3: \"\"c,d\n\""]);
    assert_eq!(
        csv("a,b\nc,d\re,f\n"),
        ["22P04 unquoted carriage return found in data [Use quoted CSV field to represent carriage return.]", "COPY t, line 2"]
    );
    assert_eq!(csv("a,b\n\"1\n2\",c\nd\n"), ["22P04 missing data for column \"b\"", "COPY t, line 4: \"d\""]);
}

#[test]
fn headers_are_skipped_or_matched() {
    let with = |header| target(&["int4", "text"], &CopyIn { header, ..options(CSV) });
    assert_eq!(read(&with(CopyHeader::Skip), b"anything at all\n1,x\n"), ["1|x"]);
    assert_eq!(read(&with(CopyHeader::Skip), b""), [""; 0]);
    assert_eq!(read(&with(CopyHeader::Match), b"a,\"b\"\n1,x\n"), ["1|x"]);
    for (data, message) in [
        ("a\n", "wrong number of fields in header line: got 1, expected 2"),
        ("", "wrong number of fields in header line: got 1, expected 2"),
        ("a,c\n", "column name mismatch in header line field 2: got \"c\", expected \"b\""),
        (",b\n", "column name mismatch in header line field 1: got null value (\"\"), expected \"a\""),
    ] {
        assert_eq!(read(&with(CopyHeader::Match), data.as_bytes())[0], format!("22P04 {message}"));
    }
    assert_eq!(read(&with(CopyHeader::Skip), b"a,b\nx,y\n")[1], "COPY t, line 2, column a: \"x\"");
}

#[test]
fn null_and_default_follow_their_options() {
    let mut target = target(&["text", "text"], &CopyIn { default: Some("\\D".into()), ..options(CSV) });
    target.columns[0].force_not_null = true;
    target.columns[1].force_null = true;
    assert_eq!(read(&target, b",\"\"\n"), ["|NULL"]);
    assert_eq!(read(&target, b"x,\\D\n")[0], "22P04 unexpected default marker in COPY data");
    target.columns[1].not_null = true;
    assert_eq!(
        read(&target, b"x,y\nx,\n"),
        ["23502 null value in column \"b\" of relation \"t\" violates not-null constraint", "COPY t, line 2: \"x,\""]
    );
    target.unfilled = Some("id".into());
    assert_eq!(read(&target, b"")[..], [""; 0]);
    assert_eq!(read(&target, b"x,y\n")[0], "23502 null value in column \"id\" of relation \"t\" violates not-null constraint");
}

#[test]
fn values_are_read_as_their_types() {
    let types = [
        "int2",
        "int4",
        "int8",
        "float8",
        "numeric(6,2)",
        "numeric(50,0)",
        "bool",
        "date",
        "timestamp",
        "timestamptz",
        "time",
        "uuid",
        "bytea",
        "int4[]",
        "varchar(3)",
        "interval",
        "oid",
    ];
    let target = target(&types, &options(TEXT));
    let row = "-1\t 2 \t0x10\t1e3\t12.345\t99999999999999999999\tyes\t2024-02-29\t2024-02-29 12:00:00.5\t2024-02-29 12:00:00+02\t\
               12:30\tA0EEBC999C0B4EF8BB6D6BB9BD380A11\t\\\\x00ff\t{1,NULL,3}\tabc  \t1 day\t7\n";
    assert_eq!(
        read(&target, row.as_bytes()),
        ["-1|2|16|1000.0|12.35|99999999999999999999|true|2024-02-29|2024-02-29T12:00:00.500|2024-02-29T10:00:00Z|12:30:00|\
          a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11|00ff|[1, NULL, 3]|abc|1 days|7"]
    );
    let misread = |tag: &str, value: &str| {
        let out = read(&super::tests::target(&[tag], &options(TEXT)), format!("{value}\n").as_bytes());
        assert_eq!(out[1], format!("COPY t, line 1, column a: \"{value}\""));
        out[0].clone()
    };
    assert_eq!(misread("int4", "x"), "22P02 invalid input syntax for type integer: \"x\"");
    assert_eq!(misread("int4", ""), "22P02 invalid input syntax for type integer: \"\"");
    assert_eq!(misread("int2", "40000"), "22003 value \"40000\" is out of range for type smallint");
    assert_eq!(misread("varchar(3)", "abcd"), "22001 value too long for type character varying(3)");
    assert_eq!(misread("numeric(6,2)", "99999.999"), "22003 numeric field overflow");
    assert_eq!(misread("date", "x"), "22007 invalid input syntax for type date: \"x\"");
    assert_eq!(misread("bool", "maybe"), "22P02 invalid input syntax for type boolean: \"maybe\"");
}

#[test]
fn an_error_shows_the_beginning_of_a_long_value() {
    let long = "é".repeat(80);
    let out = read_parts(&target(&["int4"], &options(TEXT)), &[format!("{long}\n").as_bytes()]);
    assert_eq!(out[1], format!("COPY t, line 1, column a: \"{}...\"", "é".repeat(50)));
}

#[test]
fn rows_that_cannot_be_read_are_left_out_if_that_is_wanted() {
    let target = target(&["int4", "date"], &CopyIn { skip_errors: true, verbose: true, ..options(CSV) });
    let data = b"1,2024-01-01\nx,2024-01-01\n3,nonsense\n4,\n";
    assert_eq!(read(&target, data), ["1|2024-01-01", "4|NULL"]);
    let mut decoder = CopyDecoder::new(&target, &Form::default(), 1 << 20).unwrap();
    decoder.push(data);
    decoder.end();
    assert_eq!(decoder.next().unwrap().unwrap().num_rows(), 2);
    let notices: Vec<String> = decoder.take_notices().into_iter().map(|notice| notice.message).collect();
    assert_eq!(
        notices,
        [
            "skipping row due to data type incompatibility at line 2 for column \"a\": \"x\"",
            "skipping row due to data type incompatibility at line 3 for column \"b\": \"nonsense\""
        ]
    );
    assert_eq!(decoder.summary().unwrap().message, "2 rows were skipped due to data type incompatibility");
    assert_eq!(read(&target, b"1\n")[0], "22P04 missing data for column \"b\"", "the form of a row is not forgiven");
}

fn header() -> Vec<u8> {
    [&b"PGCOPY\n\xff\r\n\0"[..], &[0; 8]].concat()
}

fn row(fields: &[Option<&[u8]>]) -> Vec<u8> {
    let mut bytes = i16::try_from(fields.len()).unwrap().to_be_bytes().to_vec();
    for field in fields {
        match field {
            Some(field) => {
                bytes.extend(i32::try_from(field.len()).unwrap().to_be_bytes());
                bytes.extend(*field);
            }
            None => bytes.extend((-1_i32).to_be_bytes()),
        }
    }
    bytes
}

fn binary(types: &[&str], data: &[u8]) -> Vec<String> {
    read(&target(types, &options(CopyFormat::Binary)), data)
}

#[test]
fn binary_rows_follow_their_header_and_end_with_or_without_a_trailer() {
    let rows = [row(&[Some(&7_i32.to_be_bytes()), Some(b"z")]), row(&[None, None])].concat();
    let types = ["int4", "text"];
    for end in [&b""[..], b"\xff\xff", b"\xff"] {
        assert_eq!(binary(&types, &[&header(), &rows, end].concat()), ["7|z", "NULL|NULL"]);
    }
    let extended = [&b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\x03xyz"[..], &rows].concat();
    assert_eq!(binary(&types, &extended), ["7|z", "NULL|NULL"]);
}

#[test]
fn binary_faults_are_postgresqls() {
    let types = ["int4", "text"];
    let with = |bytes: &[u8]| binary(&types, &[&header(), bytes].concat());
    let good = row(&[Some(&7_i32.to_be_bytes()), Some(b"z")]);
    assert_eq!(binary(&types, b"1\tx\n"), ["22P04 COPY file signature not recognized"]);
    assert_eq!(binary(&types, &header()[..13]), ["22P04 invalid COPY file header (missing flags)"]);
    assert_eq!(with(&[good.clone(), row(&[None])].concat()), ["22P04 row field count is 1, expected 2", "COPY t, line 2"]);
    assert_eq!(with(b"\0\x02\0\0\0\x04\0"), ["22P04 unexpected EOF in COPY data", "COPY t, line 1, column a"]);
    assert_eq!(with(b"\0\x02\xff\xff\xff\xfe"), ["22P04 invalid field size", "COPY t, line 1, column a"]);
    assert_eq!(with(&[&good, &b"\xff\xffx"[..]].concat()), ["22P04 received copy data after EOF marker", "COPY t, line 2"]);
    assert_eq!(with(&row(&[Some(b"12345"), None])), ["22P03 incorrect binary data format", "COPY t, line 1, column a"]);
    assert_eq!(with(&row(&[Some(b"123"), None]))[0], "08P01 insufficient data left in message");
    assert_eq!(
        with(&row(&[None, Some(b"\xff")])),
        ["22021 invalid byte sequence for encoding \"UTF8\": 0xff", "COPY t, line 1, column b"]
    );
}

#[test]
fn a_row_has_its_limit() {
    let target = target(&["text"], &options(TEXT));
    let mut decoder = CopyDecoder::new(&target, &Form::default(), 100).unwrap();
    decoder.push(&[b'x'; 101]);
    assert_eq!(decoder.next().unwrap_err().error.kind(), ErrorKind::ProgramLimit);
}

#[test]
fn batches_are_bounded() {
    let target = target(&["text"], &options(TEXT));
    let mut decoder = CopyDecoder::new(&target, &Form::default(), 1 << 20).unwrap();
    decoder.push("x\n".repeat(BATCH_ROWS * 2 + 5).as_bytes());
    decoder.end();
    let mut sizes = vec![];
    while let Some(batch) = decoder.next().unwrap() {
        sizes.push(batch.num_rows());
    }
    assert_eq!(sizes, [BATCH_ROWS, BATCH_ROWS, 5]);
}
