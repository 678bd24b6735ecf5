//! Arrays as text.
use crate::error::{Error, Result};
/// An array read from text: row-major elements, `None` for NULL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArrayText {
    /// Length of each dimension, outermost first; empty for `{}`.
    pub dimensions: Vec<usize>,
    /// Elements, row-major.
    pub elements: Vec<Option<String>>,
}
/// Reads an array's text form.
pub fn parse_array(_text: &str) -> Result<ArrayText> {
    Err(Error::internal("later"))
}
/// Appends an element, quoted where PostgreSQL quotes it.
pub fn write_array_element(_element: &[u8], _out: &mut Vec<u8>) {}
