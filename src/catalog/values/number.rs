//! Integers and floats.
use super::ValueText;
use crate::error::{Error, Result};
/// Reads smallint.
pub fn parse_int2(_text: &str) -> Result<i16> {
    Err(Error::internal("later"))
}
/// Reads integer.
pub fn parse_int4(_text: &str) -> Result<i32> {
    Err(Error::internal("later"))
}
/// Reads bigint.
pub fn parse_int8(_text: &str) -> Result<i64> {
    Err(Error::internal("later"))
}
/// Reads oid.
pub fn parse_oid(_text: &str) -> Result<u32> {
    Err(Error::internal("later"))
}
/// Reads real.
pub fn parse_float4(_text: &str) -> Result<f32> {
    Err(Error::internal("later"))
}
/// Reads double precision.
pub fn parse_float8(_text: &str) -> Result<f64> {
    Err(Error::internal("later"))
}
/// Writes real under `extra_float_digits`.
pub fn format_float4(_value: f32, _extra_float_digits: i32) -> ValueText<32> {
    ValueText::new()
}
/// Writes double precision under `extra_float_digits`.
pub fn format_float8(_value: f64, _extra_float_digits: i32) -> ValueText<32> {
    ValueText::new()
}
