//! Values as PostgreSQL reads and writes them as text: numbers, dates, times, intervals, booleans, bytes, uuids, arrays.
//!
//! ```text
//!  text ── parse_* ──▶ value in Arrow's representation ── format_* ──▶ ValueText / String
//! ```
//! One implementation for literals, casts, parameters and result columns, so that `x::text`, a bound parameter and a DataRow agree
//! to the byte. It stands on a low floor because functions, the binder and the wire all need it. Dates count days and timestamps
//! microseconds from 1970-01-01, as in Arrow; times count microseconds from midnight.
//!
//! The arithmetic of moments and intervals and the template languages of `to_char` stand here too: there is one calendar and one reader of
//! zones, whoever asks.
//!
//! Absent: infinite dates and timestamps (neither Arrow nor Delta Lake can hold them: refused by name),
//! `time with time zone`, and the locale.

pub mod array;
pub mod bytes;
pub mod calendar;
pub mod datetime;
mod datetime_decoder;
mod datetime_fields;
pub mod datetime_input;
pub mod datetime_part;
pub mod error;
pub mod input;
pub mod interval;
pub mod interval_arithmetic;
pub mod interval_input;
mod interval_iso;
mod json;
pub mod moment;
pub mod number;
mod number_template;
mod number_template_input;
mod number_template_output;
pub mod numeric;
mod style;
mod template;
mod template_input;
mod template_output;
mod text;
mod zone;
mod zone_abbreviation;

pub use array::{ArrayText, parse_array, write_array_element, write_record_field};
pub use bytes::{format_bytea, format_char, format_uuid, parse_bool, parse_bytea, parse_char, parse_uuid};
pub use datetime::{format_date, format_time, format_timestamp, format_timestamptz};
pub use datetime_input::{DateTimeInput, parse_date, parse_time, parse_timestamp, parse_timestamptz};
pub use datetime_part::{DatetimePart, PartOf, PartSource};
pub use interval::{IntervalValue, format_interval};
pub use interval_arithmetic::{IntervalField, IntervalFields, IntervalModifier};
pub use interval_input::{parse_interval, parse_interval_of};
pub use json::{canonical_jsonb, check_json, compare_jsonb, jsonb_text, parse_json};
pub use number::{format_float4, format_float8, parse_float4, parse_float8, parse_int2, parse_int4, parse_int8, parse_oid};
pub use number_template::NumberTemplate;
pub use numeric::{Numeric, NumericValue, format_decimal, format_decimal64, format_decimal256, parse_numeric};
pub use style::{ByteaOutput, DateFormat, DateOrder, DateStyle, IntervalStyle};
pub use template_input::{date_by_template, timestamptz_by_template};
pub use template_output::{instant_by_template, interval_by_template, timestamp_by_template};
pub use text::ValueText;
pub use zone::TimeZone;
