//! Booleans, bytes and uuids.
use super::{ByteaOutput, ValueText};
use crate::error::{Error, Result};
/// Reads a boolean.
pub fn parse_bool(_text: &str) -> Result<bool> {
    Err(Error::internal("later"))
}
/// Reads bytea.
pub fn parse_bytea(_text: &str) -> Result<Vec<u8>> {
    Err(Error::internal("later"))
}
/// Reads a uuid.
pub fn parse_uuid(_text: &str) -> Result<[u8; 16]> {
    Err(Error::internal("later"))
}
/// Writes bytea.
pub fn format_bytea(_bytes: &[u8], _output: ByteaOutput, _out: &mut Vec<u8>) {}
/// Writes a uuid.
pub fn format_uuid(_bytes: &[u8; 16]) -> ValueText<36> {
    ValueText::new()
}
