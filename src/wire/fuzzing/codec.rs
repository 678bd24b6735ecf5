//! What clients send, read without a connection.

use bytes::{Bytes, BytesMut};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{Field, Schema};
use std::sync::Arc;

use super::Case;
use crate::command::{CopyColumn, CopyTarget};
use crate::sql::statement::{CopyFormat, CopyHeader, CopyIn, Name};
use crate::types::SqlType;
use crate::wire::decode::CopyDecoder;
use crate::wire::encode::{Form, Format, RowEncoder, decode_parameter};
use crate::wire::frontend::{MESSAGE_TYPES, Message, Opening};

/// Types whose values are read and written without a catalog.
const TYPES: [&str; 22] = [
    "bool",
    "int2",
    "int4",
    "int8",
    "float4",
    "float8",
    "numeric(12,2)",
    "numeric(38,10)",
    "text",
    "varchar(7)",
    "char(3)",
    "bytea",
    "date",
    "time",
    "timestamp",
    "timestamptz",
    "interval",
    "uuid",
    "json",
    "jsonb",
    "int4[]",
    "text[]",
];
/// Most bytes of a row of COPY.
const ROW_LIMIT: usize = 1 << 16;

/// Reads a message, a parameter or the data of a COPY, as the first byte says.
///
/// # Panics
/// If a value that was read is not read again from what is written for it, or if rows depend on where their data breaks.
pub fn codec(input: &[u8]) {
    let mut case = Case(input);
    let read = match case.byte() {
        Some(0..64) => message(case),
        Some(64..160) => parameter(case),
        _ => copy(case),
    };
    // Too short for a case is no fault.
    let _ = read;
}

fn message(mut case: Case<'_>) -> Option<()> {
    let kind = case.one(MESSAGE_TYPES)?;
    let body = Bytes::copy_from_slice(case.rest());
    let _ = Opening::decode(body.clone());
    let _ = Message::copy_fail(body.clone());
    let _ = Message::decode(kind, body);
    Some(())
}

/// What is read must be written as something that reads the same.
fn parameter(mut case: Case<'_>) -> Option<()> {
    let sql_type = SqlType::from_tag(case.one(&TYPES)?)?;
    let format = case.one(&[Format::Text, Format::Binary])?;
    let settings = Form::default();
    let value = decode_parameter(Some(case.rest()), format, &sql_type, &settings).ok()?;
    // A numeric without modifiers keeps its own digits, and is not a column of its type.
    let array = value.to_array().ok().filter(|array| *array.data_type() == sql_type.arrow_type())?;
    let schema = Arc::new(Schema::new(vec![Field::new("v", array.data_type().clone(), true)]));
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![array]).ok()?;
    let mut written = BytesMut::new();
    let mut encoder =
        RowEncoder::new(std::slice::from_ref(&sql_type), &schema, &[format], &settings).expect("a type that was read");
    encoder.encode(&batch, 0..1, &mut written).expect("a value that was read");
    // Type, length, number of columns, length of the cell.
    let cell = &written[11..];
    let again = decode_parameter(Some(cell), format, &sql_type, &settings).expect("what was written");
    assert!(again == value, "{sql_type:?}: {value:?} was written as {cell:?}, which is {again:?}");
    Some(())
}

/// Rows and the error at their end are the same when the data comes at once and when it comes in pieces.
fn copy(mut case: Case<'_>) -> Option<()> {
    let format = case.one(&[CopyFormat::Text, CopyFormat::Csv, CopyFormat::Binary])?;
    let header = case.one(&[CopyHeader::None, CopyHeader::Skip, CopyHeader::Match])?;
    let skip_errors = case.one(&[false, true])? && format != CopyFormat::Binary;
    let columns = [case.one(&TYPES)?, case.one(&TYPES)?];
    let piece = usize::from(case.byte()?) + 1;
    let data = case.rest();
    let target = target(format, header, skip_errors, columns)?;
    let (whole, pieces) = (rows(&target, data, data.len().max(1)), rows(&target, data, piece));
    assert!(whole == pieces, "at once: {whole:?}, in pieces of {piece}: {pieces:?}");
    Some(())
}

fn rows(target: &CopyTarget, data: &[u8], piece: usize) -> (Vec<String>, Option<String>) {
    let mut decoder = CopyDecoder::new(target, &Form::default(), ROW_LIMIT).expect("a target that can be read into");
    let mut rows = vec![];
    for part in data.chunks(piece).map(Some).chain([None]) {
        match part {
            Some(part) => decoder.push(part),
            None => decoder.end(),
        }
        loop {
            match decoder.next() {
                Ok(Some(batch)) => rows.extend((0..batch.num_rows()).map(|row| format!("{:?}", batch.slice(row, 1).columns()))),
                Ok(None) => break,
                Err(misread) => return (rows, Some(format!("{} {:?}", misread.error.message(), misread.context))),
            }
        }
    }
    (rows, decoder.summary().map(|notice| format!("{notice:?}")))
}

fn target(format: CopyFormat, header: CopyHeader, skip_errors: bool, columns: [&str; 2]) -> Option<CopyTarget> {
    let options = CopyIn {
        header: if format == CopyFormat::Binary { CopyHeader::None } else { header },
        skip_errors,
        ..CopyIn::plain(Name { parts: vec!["t".into()], position: None }, format)
    };
    let column = |(name, tag): (&str, &str)| {
        let sql_type = SqlType::from_tag(tag)?;
        Some(CopyColumn { name: name.into(), sql_type, not_null: false, force_null: false, force_not_null: false })
    };
    let columns = ["a", "b"].into_iter().zip(columns).map(column).collect::<Option<Vec<_>>>()?;
    let load = Box::new(|_| -> futures::future::BoxFuture<'static, _> { Box::pin(async { Ok(0) }) });
    Some(CopyTarget { relation: "t".into(), columns, unfilled: None, options, load })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_all_types_are_read_and_written() {
        for (index, text) in
            ["t", "-7", "2147483647", "-9223372036854775808", "1.5", "-0", "12.50", "1e3", "ä", "abc", "y", "\\x00ff"]
                .into_iter()
                .chain([
                    "2024-02-29",
                    "23:59:59.5",
                    "1999-12-31 01:02:03.000004",
                    "2024-02-29 12:00:00+02",
                    "1 mon -2 days 00:00:03",
                ])
                .chain([
                    "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
                    "{\"a\": 1}",
                    "{\"a\": [1, null]}",
                    "{1,NULL,3}",
                    "{a,\"b c\",NULL}",
                ])
                .enumerate()
        {
            let index = u8::try_from(index).unwrap();
            assert!(parameter(Case(&[&[index, 0], text.as_bytes()].concat())).is_some() || index == 7, "{text}");
        }
    }

    #[test]
    fn rows_are_told_apart_wherever_they_break() {
        let target = target(CopyFormat::Text, CopyHeader::None, false, ["int4", "text"]).unwrap();
        let (read, error) = rows(&target, b"1\tone\n2\ttwo\n\\.\n", 1);
        assert_eq!((read.len(), error), (2, None));
        let (_, error) = rows(&target, b"1\tone\nx\n", 3);
        assert!(error.is_some());
        assert!(copy(Case(b"\x00\x00\x00\x02\x08\x001\tone\n2\ttwo\n")).is_some());
    }
}
