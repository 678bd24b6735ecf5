//! Writers for booleans, numbers, strings, bytes and uuids.

use std::marker::PhantomData;
use std::ops::Range;

use datafusion::arrow::array::{
    Array, ArrayAccessor, ArrayRef, BinaryArray, BinaryViewArray, BooleanArray, FixedSizeBinaryArray, LargeBinaryArray,
    LargeStringArray, PrimitiveArray, StringArray, StringViewArray,
};
use datafusion::arrow::datatypes::{
    ArrowPrimitiveType, DataType, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, Float16Type, Float32Type,
    Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type, i256,
};

use super::Format;
use super::cells::Cells;
use super::column::{ColumnWriter, downcast, each_row};
use super::numeric::numeric_binary;
use crate::error::{Error, ErrorKind, Result};
use crate::types::numeric::decode;
use crate::types::values::{
    ValueText, format_bytea, format_decimal, format_decimal64, format_decimal256, format_float4, format_float8, format_uuid,
    parse_char, parse_uuid,
};
use crate::types::{Form, RegKind, SqlType};

/// Writes a primitive array by one formatter.
pub(crate) struct PrimitiveWriter<T, F> {
    cell: F,
    array: PhantomData<fn(T)>,
}

impl<T, F> ColumnWriter for PrimitiveWriter<T, F>
where
    T: ArrowPrimitiveType,
    F: FnMut(T::Native, &mut Cells) -> Result<()> + Send,
{
    fn write(&mut self, array: &ArrayRef, rows: Range<usize>, cells: &mut Cells) -> Result<()> {
        let array: &PrimitiveArray<T> = downcast(array)?;
        let values = array.values();
        if array.null_count() == 0 {
            return values[rows].iter().try_for_each(|value| (self.cell)(*value, cells));
        }
        each_row(array, rows, cells, |row, cells| (self.cell)(values[row], cells))
    }
}

/// A writer of `T`'s values by `cell`.
pub(crate) fn primitive<T: ArrowPrimitiveType>(
    cell: impl FnMut(T::Native, &mut Cells) -> Result<()> + Send + 'static,
) -> Box<dyn ColumnWriter> {
    Box::new(PrimitiveWriter::<T, _> { cell, array: PhantomData })
}

/// Writes an array of strings or byte strings by one formatter.
struct BytesWriter<A, F> {
    cell: F,
    array: PhantomData<fn(A)>,
}

impl<A, F> ColumnWriter for BytesWriter<A, F>
where
    A: Array + 'static,
    for<'a> &'a A: ArrayAccessor<Item: AsRef<[u8]>>,
    F: FnMut(&[u8], &mut Cells) -> Result<()> + Send,
{
    fn write(&mut self, array: &ArrayRef, rows: Range<usize>, cells: &mut Cells) -> Result<()> {
        let array: &A = downcast(array)?;
        each_row(array, rows, cells, |row, cells| (self.cell)(array.value(row).as_ref(), cells))
    }
}

fn bytes_of<A>(cell: impl FnMut(&[u8], &mut Cells) -> Result<()> + Send + 'static) -> Box<dyn ColumnWriter>
where
    A: Array + 'static,
    for<'a> &'a A: ArrayAccessor<Item: AsRef<[u8]>>,
{
    Box::new(BytesWriter::<A, _> { cell, array: PhantomData })
}

/// A writer by `cell` over any array of strings.
pub(crate) fn strings(
    data_type: &DataType,
    cell: impl FnMut(&[u8], &mut Cells) -> Result<()> + Send + 'static,
) -> Option<Box<dyn ColumnWriter>> {
    Some(match data_type {
        DataType::Utf8 => bytes_of::<StringArray>(cell),
        DataType::LargeUtf8 => bytes_of::<LargeStringArray>(cell),
        DataType::Utf8View => bytes_of::<StringViewArray>(cell),
        _ => return None,
    })
}

/// A writer by `cell` over any array of byte strings.
fn binaries(
    data_type: &DataType,
    cell: impl FnMut(&[u8], &mut Cells) -> Result<()> + Send + 'static,
) -> Option<Box<dyn ColumnWriter>> {
    Some(match data_type {
        DataType::Binary => bytes_of::<BinaryArray>(cell),
        DataType::LargeBinary => bytes_of::<LargeBinaryArray>(cell),
        DataType::BinaryView => bytes_of::<BinaryViewArray>(cell),
        DataType::FixedSizeBinary(_) => bytes_of::<FixedSizeBinaryArray>(cell),
        _ => return None,
    })
}

/// Writes a boolean array as one of two cells.
struct BooleanWriter {
    yes: u8,
    no: u8,
}

impl ColumnWriter for BooleanWriter {
    fn write(&mut self, array: &ArrayRef, rows: Range<usize>, cells: &mut Cells) -> Result<()> {
        let array: &BooleanArray = downcast(array)?;
        each_row(array, rows, cells, |row, cells| {
            cells.fixed([if array.value(row) { self.yes } else { self.no }]);
            Ok(())
        })
    }
}

pub(crate) fn boolean(data_type: &DataType, format: Format) -> Option<Box<dyn ColumnWriter>> {
    let (yes, no) = match format {
        Format::Text => (b't', b'f'),
        Format::Binary => (1, 0),
    };
    (*data_type == DataType::Boolean).then(|| Box::new(BooleanWriter { yes, no }) as Box<dyn ColumnWriter>)
}

/// Calls a macro-like block with `T` for each integer type.
macro_rules! for_integer_type {
    ($data_type:expr, $writer:ident) => {
        match $data_type {
            DataType::Int8 => Some($writer!(Int8Type)),
            DataType::Int16 => Some($writer!(Int16Type)),
            DataType::Int32 => Some($writer!(Int32Type)),
            DataType::Int64 => Some($writer!(Int64Type)),
            DataType::UInt8 => Some($writer!(UInt8Type)),
            DataType::UInt16 => Some($writer!(UInt16Type)),
            DataType::UInt32 => Some($writer!(UInt32Type)),
            DataType::UInt64 => Some($writer!(UInt64Type)),
            _ => None,
        }
    };
}

/// Text of an integer of any width.
trait IntegerText: Copy + Send {
    fn write(self, cells: &mut Cells);
}

macro_rules! integer_text {
    ($($signed:ty)*; $($unsigned:ty)*) => {
        $(impl IntegerText for $signed {
            #[inline]
            fn write(self, cells: &mut Cells) {
                let mut text = ValueText::<24>::new();
                text.push_i64(i64::from(self));
                cells.text(&text);
            }
        })*
        $(impl IntegerText for $unsigned {
            #[inline]
            fn write(self, cells: &mut Cells) {
                let mut text = ValueText::<24>::new();
                text.push_u64(u64::from(self));
                cells.text(&text);
            }
        })*
    };
}
integer_text!(i8 i16 i32 i64; u8 u16 u32 u64);

fn integer_text<T: ArrowPrimitiveType<Native: IntegerText>>() -> Box<dyn ColumnWriter> {
    primitive::<T>(|value, cells| {
        value.write(cells);
        Ok(())
    })
}

/// An integer as `N` big-endian bytes of `W`, range-checked.
fn integer_binary<T, W, const N: usize>(type_name: &'static str, to_bytes: fn(W) -> [u8; N]) -> Box<dyn ColumnWriter>
where
    T: ArrowPrimitiveType,
    W: TryFrom<T::Native> + 'static,
{
    primitive::<T>(move |value, cells| {
        let value =
            W::try_from(value).map_err(|_| Error::new(ErrorKind::NumericOutOfRange, format!("{type_name} out of range")))?;
        cells.fixed(to_bytes(value));
        Ok(())
    })
}

pub(crate) fn integer(sql_type: &SqlType, data_type: &DataType, format: Format) -> Option<Box<dyn ColumnWriter>> {
    macro_rules! text {
        ($t:ty) => {
            integer_text::<$t>()
        };
    }
    macro_rules! int2 {
        ($t:ty) => {
            integer_binary::<$t, i16, 2>("smallint", i16::to_be_bytes)
        };
    }
    macro_rules! int4 {
        ($t:ty) => {
            integer_binary::<$t, i32, 4>("integer", i32::to_be_bytes)
        };
    }
    macro_rules! int8 {
        ($t:ty) => {
            integer_binary::<$t, i64, 8>("bigint", i64::to_be_bytes)
        };
    }
    macro_rules! oid {
        ($t:ty) => {
            integer_binary::<$t, u32, 4>("OID", u32::to_be_bytes)
        };
    }
    match (format, sql_type) {
        (Format::Text, _) => for_integer_type!(data_type, text),
        (Format::Binary, SqlType::Int2) => for_integer_type!(data_type, int2),
        (Format::Binary, SqlType::Int4) => for_integer_type!(data_type, int4),
        (Format::Binary, SqlType::Int8) => for_integer_type!(data_type, int8),
        (Format::Binary, _) => for_integer_type!(data_type, oid),
    }
}

/// `regclass` and its kind: a name in text where somebody knows it, an OID in binary. A string is taken for the name.
pub(crate) fn object_identifier(
    kind: RegKind,
    data_type: &DataType,
    format: Format,
    settings: &Form,
) -> Option<Box<dyn ColumnWriter>> {
    let names = match (format, &settings.object_names) {
        (Format::Binary, _) => {
            return strings(data_type, move |text, cells| {
                let oid = std::str::from_utf8(text).ok().and_then(|text| text.parse::<u32>().ok());
                let oid = oid
                    .ok_or_else(|| Error::unsupported(format!("binary output of a {} that is known by name only", kind.name())))?;
                cells.fixed(oid.to_be_bytes());
                Ok(())
            })
            .or_else(|| integer(&SqlType::Oid, data_type, format));
        }
        (Format::Text, names) => names.clone(),
    };
    match data_type {
        DataType::UInt32 => Some(primitive::<UInt32Type>(move |oid, cells| {
            match names.as_ref().and_then(|names| names.name(kind, oid)) {
                Some(name) => cells.bytes(name.as_bytes())?,
                None if oid == 0 => cells.fixed(*b"-"),
                None => oid.write(cells),
            }
            Ok(())
        })),
        other => strings(other, |text, cells| cells.bytes(text)).or_else(|| integer(&SqlType::Oid, other, format)),
    }
}

pub(crate) fn float(sql_type: &SqlType, data_type: &DataType, format: Format, settings: &Form) -> Option<Box<dyn ColumnWriter>> {
    let digits = settings.extra_float_digits;
    Some(match (format, data_type, sql_type) {
        (Format::Text, DataType::Float16, _) => primitive::<Float16Type>(move |value, cells| {
            cells.text(&format_float4(value.to_f32(), digits));
            Ok(())
        }),
        (Format::Text, DataType::Float32, _) => primitive::<Float32Type>(move |value, cells| {
            cells.text(&format_float4(value, digits));
            Ok(())
        }),
        (Format::Text, DataType::Float64, SqlType::Float8) => primitive::<Float64Type>(move |value, cells| {
            cells.text(&format_float8(value, digits));
            Ok(())
        }),
        (Format::Binary, DataType::Float16, SqlType::Float4) => primitive::<Float16Type>(|value, cells| {
            cells.fixed(value.to_f32().to_be_bytes());
            Ok(())
        }),
        (Format::Binary, DataType::Float32, SqlType::Float4) => primitive::<Float32Type>(|value, cells| {
            cells.fixed(value.to_be_bytes());
            Ok(())
        }),
        (Format::Binary, DataType::Float64, SqlType::Float8) => primitive::<Float64Type>(|value, cells| {
            cells.fixed(value.to_be_bytes());
            Ok(())
        }),
        _ => return None,
    })
}

/// Up to this scale, and while the digits fit an `i64`, a decimal's text has at most 32 characters.
const SHORT_SCALE: u8 = 28;

/// A decimal of 128 bits or fewer.
fn decimal<T: ArrowPrimitiveType<Native: Into<i128>>>(scale: i8, format: Format) -> Box<dyn ColumnWriter> {
    let short_scale = u8::try_from(scale).ok().filter(|scale| *scale <= SHORT_SCALE);
    match (format, short_scale) {
        (Format::Text, Some(short_scale)) => primitive::<T>(move |value, cells| {
            let value: i128 = value.into();
            match i64::try_from(value) {
                Ok(value) => cells.text(&format_decimal64(value, short_scale)),
                Err(_) => cells.text(&format_decimal(value, scale)),
            }
            Ok(())
        }),
        (Format::Text, None) => primitive::<T>(move |value, cells| {
            cells.text(&format_decimal(value.into(), scale));
            Ok(())
        }),
        (Format::Binary, _) => primitive::<T>(move |value, cells| {
            cells.text(&numeric_binary(i256::from_i128(value.into()), scale));
            Ok(())
        }),
    }
}

/// `sql_scale` is that of the type, if it has one.
pub(crate) fn numeric(sql_scale: Option<i8>, data_type: &DataType, format: Format) -> Option<Box<dyn ColumnWriter>> {
    macro_rules! text {
        ($t:ty) => {
            integer_text::<$t>()
        };
    }
    macro_rules! binary {
        ($t:ty) => {
            primitive::<$t>(|value, cells| {
                cells.text(&numeric_binary(i256::from_i128(i128::from(value)), 0));
                Ok(())
            })
        };
    }
    match data_type {
        DataType::Decimal32(_, scale) => Some(decimal::<Decimal32Type>(*scale, format)),
        DataType::Decimal64(_, scale) => Some(decimal::<Decimal64Type>(*scale, format)),
        DataType::Decimal128(_, scale) => Some(decimal::<Decimal128Type>(*scale, format)),
        DataType::Decimal256(_, scale) => {
            let scale = *scale;
            Some(primitive::<Decimal256Type>(move |value, cells| {
                match format {
                    Format::Text => cells.text(&format_decimal256(value, scale)),
                    Format::Binary => cells.text(&numeric_binary(value, scale)),
                }
                Ok(())
            }))
        }
        DataType::LargeBinary => {
            let mut bytes = vec![];
            binaries(data_type, move |encoded, cells| {
                let number = decode(encoded)?;
                bytes.clear();
                match format {
                    Format::Text => number.write_text(&mut bytes),
                    Format::Binary => number.to_binary(&mut bytes),
                }
                cells.bytes(&bytes)
            })
        }
        other if sql_scale.is_none_or(|scale| scale == 0) => match format {
            Format::Text => for_integer_type!(other, text),
            Format::Binary => for_integer_type!(other, binary),
        },
        _ => None,
    }
}

/// Strings, which are the same bytes in text and binary.
pub(crate) fn text(sql_type: &SqlType, data_type: &DataType, format: Format) -> Option<Box<dyn ColumnWriter>> {
    match sql_type {
        SqlType::Bpchar(Some(length)) => {
            let length = *length as usize;
            let mut padded = vec![];
            strings(data_type, move |text, cells| {
                let characters = text.iter().filter(|byte| (**byte & 0xc0) != 0x80).count();
                if characters >= length {
                    return cells.bytes(text);
                }
                padded.clear();
                padded.extend_from_slice(text);
                padded.resize(text.len() + length - characters, b' ');
                cells.bytes(&padded)
            })
        }
        SqlType::Char => strings(data_type, move |text, cells| {
            let byte = parse_char(text);
            match (byte, format) {
                (_, Format::Binary) => cells.fixed([byte]),
                (0, Format::Text) => cells.fixed([]),
                (1..0x80, Format::Text) => cells.fixed([byte]),
                (0x80.., Format::Text) => {
                    cells.fixed([b'\\', b'0' + (byte >> 6), b'0' + ((byte >> 3) & 7), b'0' + (byte & 7)]);
                }
            }
            Ok(())
        }),
        _ => strings(data_type, |text, cells| cells.bytes(text)),
    }
}

pub(crate) fn bytea(data_type: &DataType, format: Format, settings: &Form) -> Option<Box<dyn ColumnWriter>> {
    let output = settings.bytea_output;
    match format {
        Format::Binary => binaries(data_type, |bytes, cells| cells.bytes(bytes)),
        Format::Text => {
            let mut text = vec![];
            binaries(data_type, move |bytes, cells| {
                text.clear();
                format_bytea(bytes, output, &mut text);
                cells.bytes(&text)
            })
        }
    }
}

pub(crate) fn uuid(data_type: &DataType, format: Format) -> Option<Box<dyn ColumnWriter>> {
    let write = move |uuid: [u8; 16], cells: &mut Cells| match format {
        Format::Text => cells.text(&format_uuid(&uuid)),
        Format::Binary => cells.fixed(uuid),
    };
    let from_text = strings(data_type, move |text, cells| {
        write(parse_uuid(&String::from_utf8_lossy(text))?, cells);
        Ok(())
    });
    from_text.or_else(|| {
        binaries(data_type, move |bytes, cells| {
            let uuid = <[u8; 16]>::try_from(bytes).map_err(|_| Error::new(ErrorKind::InvalidBinary, "a uuid has 16 bytes"))?;
            write(uuid, cells);
            Ok(())
        })
    })
}
