//! Text to constants, as PostgreSQL's input functions read them.
//!
//! An untyped literal takes its type from its context and is read here, while the statement is bound, so a wrong one is an error with
//! PostgreSQL's text (`invalid input syntax for type integer: "x"`) and a right one is a plain constant that the optimiser can prune by.
//! The reading itself is [`crate::types::values`]', as it is for parameters.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, ListArray, new_empty_array};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;

use crate::error::{Error, Result};
use crate::functions::FunctionContext;
use crate::functions::numeric::{Operation, fold};
use crate::types::values::numeric::Numeric;
use crate::types::values::{self, DateStyle, DateTimeInput, IntervalModifier, IntervalStyle, TimeZone};
use crate::types::{SqlType, numeric, to_arrow_interval};

/// Whose settings tell how dates and intervals are read.
#[derive(Debug, Clone, Copy)]
pub(super) enum Reading<'a> {
    /// The session's own text.
    Session(&'a FunctionContext),
    /// The text of a view, a function or a policy: whoever uses it must not change what it says, so the defaults hold, in UTC.
    Stored(&'a FunctionContext),
}

/// How text is read, as [`Reading`] says.
struct Styles {
    zone: TimeZone,
    style: DateStyle,
    interval_style: IntervalStyle,
    /// What `now`, `today` and their kind mean.
    now: i64,
}

impl Reading<'_> {
    fn styles(self) -> Result<Styles> {
        let (Reading::Session(context) | Reading::Stored(context)) = self;
        let now = context.transaction_time.timestamp_micros();
        let (style, interval_style) = (DateStyle::default(), IntervalStyle::default());
        let Reading::Session(context) = self else {
            return Ok(Styles { zone: TimeZone::utc(), style, interval_style, now });
        };
        let setting = |name: &str| context.settings.get(name);
        Ok(Styles {
            zone: TimeZone::parse(&context.time_zone)?,
            style: setting("datestyle").map_or(Ok(style), |chosen| DateStyle::parse(chosen, style))?,
            interval_style: setting("intervalstyle").map_or(Ok(interval_style), |chosen| IntervalStyle::parse(chosen))?,
            now,
        })
    }
}

impl Styles {
    fn date_time(&self) -> DateTimeInput<'_> {
        DateTimeInput { order: self.style.order, zone: &self.zone, now: Some(self.now) }
    }
}

/// A constant of type `sql_type` from its text form.
///
/// # Errors
/// `InvalidText`, `InvalidDatetime`, `DatetimeOutOfRange` or `NumericOutOfRange`.
pub(super) fn parse(text: &str, sql_type: &SqlType, reading: Reading<'_>) -> Result<ScalarValue> {
    Ok(match sql_type {
        SqlType::Bool => ScalarValue::Boolean(Some(values::parse_bool(text)?)),
        SqlType::Int2 => ScalarValue::Int16(Some(values::parse_int2(text)?)),
        SqlType::Int4 => ScalarValue::Int32(Some(values::parse_int4(text)?)),
        SqlType::Int8 => ScalarValue::Int64(Some(values::parse_int8(text)?)),
        SqlType::Oid | SqlType::Xid => ScalarValue::UInt32(Some(values::parse_oid(text)?)),
        SqlType::Float4 => ScalarValue::Float32(Some(values::parse_float4(text)?)),
        SqlType::Float8 => ScalarValue::Float64(Some(values::parse_float8(text)?)),
        SqlType::Numeric { precision, scale } => decimal(text, *precision, *scale)?,
        SqlType::UnconstrainedNumeric => numeric::constant(Some(&Numeric::parse(text)?)),
        SqlType::Text | SqlType::NodeTree | SqlType::AclItem | SqlType::Unknown => ScalarValue::Utf8(Some(text.to_string())),
        SqlType::Varchar(length) | SqlType::Bpchar(length) => ScalarValue::Utf8(Some(truncated(text, *length))),
        SqlType::Name => ScalarValue::Utf8(Some(truncated_bytes(text, 63))),
        SqlType::Char => ScalarValue::Utf8(Some(values::format_char(values::parse_char(text.as_bytes())))),
        SqlType::Uuid => ScalarValue::Utf8(Some(values::format_uuid(&values::parse_uuid(text)?).to_string())),
        SqlType::Json => {
            values::check_json(text)?;
            ScalarValue::Utf8(Some(text.to_string()))
        }
        SqlType::Jsonb => ScalarValue::Utf8(Some(values::canonical_jsonb(text)?)),
        SqlType::Bytea => ScalarValue::Binary(Some(values::parse_bytea(text)?)),
        SqlType::Date => ScalarValue::Date32(Some(values::parse_date(text, &reading.styles()?.date_time())?)),
        SqlType::Time => ScalarValue::Time64Microsecond(Some(values::parse_time(text, &reading.styles()?.date_time())?)),
        SqlType::Timestamp => {
            ScalarValue::TimestampMicrosecond(Some(values::parse_timestamp(text, &reading.styles()?.date_time())?), None)
        }
        SqlType::Timestamptz => {
            let micros = values::parse_timestamptz(text, &reading.styles()?.date_time())?;
            ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into()))
        }
        SqlType::Interval => interval_of(text, IntervalModifier::default(), reading)?,
        SqlType::Array(element) => array(text, element, reading)?,
        SqlType::Int2Vector => vector(text, &SqlType::Int2, sql_type, reading)?,
        SqlType::OidVector => vector(text, &SqlType::Oid, sql_type, reading)?,
        SqlType::Record(_) => return Err(Error::unsupported("input of anonymous composite types")),
        SqlType::Reg(_) | SqlType::Void => return Err(Error::internal(format!("literal of type {sql_type}"))),
    })
}

fn decimal(text: &str, precision: u8, scale: i8) -> Result<ScalarValue> {
    fold(Operation::Decimal(precision, scale), &[ScalarValue::from(text)])
}

/// A constant interval of a type with fields and digits, from its text form.
///
/// # Errors
/// 22007, 22008, 22015.
pub(super) fn interval_of(text: &str, modifier: IntervalModifier, reading: Reading<'_>) -> Result<ScalarValue> {
    let value = values::parse_interval_of(text, reading.styles()?.interval_style, modifier.fields)?;
    Ok(ScalarValue::IntervalMonthDayNano(Some(to_arrow_interval(modifier.apply(value)?)?)))
}

fn truncated(text: &str, length: Option<u32>) -> String {
    match length.and_then(|length| usize::try_from(length).ok()) {
        Some(length) => text.chars().take(length).collect(),
        None => text.to_string(),
    }
}

fn truncated_bytes(text: &str, length: usize) -> String {
    let mut end = text.len().min(length);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_string()
}

/// A list of constants in the array type's own representation.
pub(super) fn list(values: &[ScalarValue], array_type: &SqlType) -> Result<ScalarValue> {
    let DataType::List(field) = array_type.arrow_type() else { return Err(Error::internal("array type without elements")) };
    let items: ArrayRef = if values.is_empty() {
        new_empty_array(field.data_type())
    } else {
        ScalarValue::iter_to_array(values.iter().cloned()).map_err(|error| Error::internal(format!("array literal: {error}")))?
    };
    let list = ListArray::try_new(field, OffsetBuffer::from_lengths([values.len()]), items, None)
        .map_err(|error| Error::internal(format!("array literal: {error}")))?;
    Ok(ScalarValue::List(Arc::new(list)))
}

/// `{1,2,NULL,"a b"}`: one dimension.
fn array(text: &str, element: &SqlType, reading: Reading<'_>) -> Result<ScalarValue> {
    let array = values::parse_array(text)?;
    if array.dimensions.len() > 1 {
        return Err(Error::unsupported("an array literal of several dimensions").with_hint("Write ARRAY[[..], [..]]."));
    }
    let null = ScalarValue::try_from(&element.arrow_type()).map_err(|error| Error::internal(error.to_string()))?;
    let value = |item: &Option<String>| match item {
        Some(item) => parse(item, element, reading),
        None => Ok(null.clone()),
    };
    let items = array.elements.iter().map(value).collect::<Result<Vec<_>>>()?;
    list(&items, &SqlType::Array(Box::new(element.clone())))
}

/// `1 2 3`.
fn vector(text: &str, element: &SqlType, vector: &SqlType, reading: Reading<'_>) -> Result<ScalarValue> {
    let values = text.split_whitespace().map(|word| parse(word, element, reading)).collect::<Result<Vec<_>>>()?;
    list(&values, vector)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::world::world;

    /// A session in Berlin.
    fn parse_in_berlin(text: &str, sql_type: &SqlType) -> Result<ScalarValue> {
        let world = world();
        parse(text, sql_type, Reading::Session(&world.context(world.alice)))
    }

    fn read(text: &str, sql_type: SqlType) -> String {
        match parse_in_berlin(text, &sql_type) {
            Ok(value) => value.to_string(),
            Err(error) => format!("{} {}", error.kind().sqlstate(), error.message()),
        }
    }

    #[test]
    fn literals_are_read_as_postgresql_reads_them() {
        assert_eq!(read("t", SqlType::Bool), "true");
        assert_eq!(read(" of ", SqlType::Bool), "false");
        assert_eq!(read("o", SqlType::Bool), "22P02 invalid input syntax for type boolean: \"o\"");
        assert_eq!(read(" 42 ", SqlType::Int4), "42");
        assert_eq!(read("99999999999", SqlType::Int4), "22003 value \"99999999999\" is out of range for type integer");
        assert_eq!(read("-1", SqlType::Oid), "4294967295");
        assert_eq!(read("2024-02-29", SqlType::Date), "2024-02-29");
        assert_eq!(read("2024-01-05 +00", SqlType::Date), "2024-01-05");
        assert_eq!(read("2023-02-29", SqlType::Date), "22008 date/time field value out of range: \"2023-02-29\"");
        assert_eq!(read("Jan 5", SqlType::Date), "22007 invalid input syntax for type date: \"Jan 5\"");
        assert_eq!(read("{A0EEBC999C0B4EF8BB6D6BB9BD380A11}", SqlType::Uuid), "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11");
    }

    #[test]
    fn moments_follow_the_time_zone() {
        let micros = |text: &str| match parse_in_berlin(text, &SqlType::Timestamptz) {
            Ok(ScalarValue::TimestampMicrosecond(Some(micros), _)) => micros,
            other => panic!("{other:?}"),
        };
        assert_eq!(micros("1970-01-01 01:00:00"), 0);
        assert_eq!(micros("1970-01-01T00:00:00.5Z"), 500_000);
        assert_eq!(micros("1970-01-01 00:00:00-05:30"), 19_800_000_000);
        assert_eq!(micros("1970-01-01 00:00:00 America/New_York"), 18_000_000_000);
        assert_eq!(micros("1970-01-01 1:00 AM"), 0);
    }

    #[test]
    fn numerics_are_rounded_to_their_scale() {
        assert_eq!(read("123.456", SqlType::Numeric { precision: 5, scale: 2 }), "123.46");
        assert_eq!(read("123.456", SqlType::Numeric { precision: 4, scale: 2 }), "22003 numeric field overflow");
        assert_eq!(read("1e", SqlType::UnconstrainedNumeric), "22P02 invalid input syntax for type numeric: \"1e\"");
    }

    #[test]
    fn arrays_and_intervals() {
        assert_eq!(read("{1, 2,NULL}", SqlType::Array(Box::new(SqlType::Int4))), "[1, 2, ]");
        assert_eq!(read("{}", SqlType::Array(Box::new(SqlType::Text))), "[]");
        assert_eq!(read("1 2", SqlType::OidVector), "[1, 2]");
        for text in ["1 day 02:00:00", "P1DT2H", "1day 2hours", "@ 1 day 2 h", "-1 days -2 hours ago", "1 02:00"] {
            assert_eq!(read(text, SqlType::Interval), read("1 day 2 hours", SqlType::Interval), "{text}");
        }
        let months = |text: &str| match parse_in_berlin(text, &SqlType::Interval) {
            Ok(ScalarValue::IntervalMonthDayNano(Some(value))) => (value.months, value.days, value.nanoseconds),
            other => panic!("{other:?}"),
        };
        assert_eq!(months("1-2"), (14, 0, 0));
        assert_eq!(months("1.5 months"), (1, 15, 0));
        assert_eq!(months("90"), (0, 0, 90_000_000_000));
        assert_eq!(read("soon", SqlType::Interval), "22007 invalid input syntax for type interval: \"soon\"");
    }
}
