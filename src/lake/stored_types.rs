//! From which stored types a column may be read.
//!
//! Parquet files say what their values are, and a log may be wrong about it. A column is read from the type that its table has, from
//! narrower ones (type widening, and writers that do not know the table), and from other forms of the same values. Everything else would
//! be a guess, and is an error of the file.

use datafusion::arrow::datatypes::{DataType, Field, TimeUnit};

use crate::error::{Error, ErrorKind};
use crate::types::SqlType;

/// True if every value stored as `found` that can be read as `wanted` at all is the same value there; the cast checks ranges.
pub(super) fn is_readable(found: &DataType, wanted: &DataType) -> bool {
    use DataType::*;
    if found == wanted {
        return true;
    }
    match (found, wanted) {
        (Null, _) => true,
        (Dictionary(_, values), _) => is_readable(values, wanted),
        // A smallint is stored in 32 bits, with or without a word about it.
        (Int8 | Int16 | Int32 | UInt8 | UInt16, Int16 | Int32 | Int64) => true,
        (UInt32, Int64) => true,
        (Int8 | Int16 | Int32 | UInt8 | UInt16 | Float16 | Float32, Float64) | (Float16, Float32) => true,
        (Int8 | Int16 | Int32 | Int64, Decimal128(_, scale)) => *scale >= 0,
        (Decimal32(_, found) | Decimal64(_, found) | Decimal128(_, found) | Decimal256(_, found), Decimal128(_, wanted)) => {
            found <= wanted
        }
        (Date64, Date32) | (Date32 | Date64, Timestamp(_, None)) => true,
        (Timestamp(_, _), Timestamp(TimeUnit::Microsecond, _)) => true,
        // Older writers leave out that bytes are a text.
        (Utf8 | LargeUtf8 | Utf8View | Binary | LargeBinary | BinaryView, Utf8 | Utf8View | Binary | BinaryView) => true,
        (FixedSizeBinary(_), Binary | BinaryView) => true,
        _ => false,
    }
}

/// Why a column is not read.
pub(super) fn mismatch(column: &str, found: &DataType, wanted: &DataType) -> Error {
    let name = |data_type: &DataType| SqlType::of_field(&Field::new("", data_type.clone(), true)).display_name();
    let text = format!("a data file has column \"{column}\" as {}, not {}", name(found), name(wanted));
    Error::new(ErrorKind::DataCorrupted, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn narrower_types_are_read_and_others_are_not() {
        use DataType::*;
        for (found, wanted) in [
            (Int32, Int64),
            (Int32, Int16),
            (Float32, Float64),
            (Int32, Float64),
            (Decimal128(10, 2), Decimal128(12, 4)),
            (Date32, Timestamp(TimeUnit::Microsecond, None)),
            (Timestamp(TimeUnit::Nanosecond, None), Timestamp(TimeUnit::Microsecond, Some("UTC".into()))),
            (Binary, Utf8View),
            (Utf8, Utf8View),
        ] {
            assert!(is_readable(&found, &wanted), "{found} {wanted}");
        }
        for (found, wanted) in [
            (Int64, Int32),
            (Utf8View, Int32),
            (Int32, Utf8View),
            (Float64, Float32),
            (Float64, Int64),
            (Decimal128(10, 4), Decimal128(10, 2)),
            (Int32, Date32),
            (Int64, Timestamp(TimeUnit::Microsecond, None)),
            (Boolean, Int32),
            (Int64, Float64),
            (Int32, Boolean),
            (FixedSizeBinary(16), Utf8View),
            (Timestamp(TimeUnit::Microsecond, None), Date32),
        ] {
            assert!(!is_readable(&found, &wanted), "{found} {wanted}");
        }
    }
}
