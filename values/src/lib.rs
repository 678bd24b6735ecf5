//! Values as PostgreSQL reads and writes them as text: numbers, dates, times, intervals, booleans, bytes, uuids, arrays.
//!
//! ```text
//!  text ── parse_* ──▶ value in Arrow's representation ── format_* ──▶ ValueText / String
//! ```
//! One implementation for literals, casts, parameters and result columns, so that `x::text`, a bound parameter and a DataRow agree
//! to the byte. It stands on a low floor because functions, the binder and the wire all need it. Dates count days and timestamps
//! microseconds from 1970-01-01, as in Arrow; times count microseconds from midnight.
//!
//! Absent: infinite dates and timestamps, `NaN` and infinite numerics (neither Arrow nor Delta Lake can hold them: refused by name),
//! `time with time zone`, and the locale.

pub mod array;
pub mod bytes;
pub mod calendar;
pub mod datetime;
mod datetime_decoder;
mod datetime_fields;
pub mod datetime_input;
pub mod error;
pub mod input;
pub mod interval;
pub mod interval_input;
mod json;
pub mod number;
pub mod numeric;
mod style;
mod text;
mod zone;

pub use array::{ArrayText, parse_array, write_array_element, write_record_field};
pub use bytes::{format_bytea, format_char, format_uuid, parse_bool, parse_bytea, parse_char, parse_uuid};
pub use datetime::{format_date, format_time, format_timestamp, format_timestamptz};
pub use datetime_input::{DateTimeInput, parse_date, parse_time, parse_timestamp, parse_timestamptz};
pub use interval::{IntervalValue, format_interval};
pub use interval_input::parse_interval;
pub use json::{canonical_jsonb, check_json};
pub use number::{format_float4, format_float8, parse_float4, parse_float8, parse_int2, parse_int4, parse_int8, parse_oid};
pub use numeric::{NumericValue, format_decimal, format_decimal64, format_decimal256, parse_numeric};
pub use style::{ByteaOutput, DateFormat, DateOrder, DateStyle, IntervalStyle};
pub use text::ValueText;
pub use zone::TimeZone;
