//! Text to intervals.
use super::{IntervalStyle, IntervalValue};
use crate::error::{Error, Result};
/// Reads an interval in any of PostgreSQL's forms.
pub fn parse_interval(_text: &str, _style: IntervalStyle) -> Result<IntervalValue> {
    Err(Error::internal("later"))
}
