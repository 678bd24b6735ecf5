//! Numerics.
use super::ValueText;
use crate::error::{Error, Result};
use datafusion::arrow::datatypes::i256;
/// A decimal number: `unscaled` * 10^-`scale`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NumericValue {
    /// All digits.
    pub unscaled: i256,
    /// Digits right of the point.
    pub scale: u8,
}
/// Reads a numeric of up to 76 digits; `NaN` and infinities are refused.
pub fn parse_numeric(_text: &str) -> Result<NumericValue> {
    Err(Error::internal("later"))
}
/// Writes a decimal with its scale.
pub fn format_decimal(_unscaled: i128, _scale: i8) -> ValueText<224> {
    ValueText::new()
}
/// Writes a decimal with its scale.
pub fn format_decimal256(_unscaled: i256, _scale: i8) -> ValueText<224> {
    ValueText::new()
}
