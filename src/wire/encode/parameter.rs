//! Bind's parameters to scalar values.
use datafusion::common::ScalarValue;

use super::{EncodeSettings, Format};
use crate::catalog::types::SqlType;
use crate::error::{Error, Result};

/// Reads a parameter of type `sql_type`; `None` is NULL. The value has the type's Arrow type.
pub fn decode_parameter(
    _bytes: Option<&[u8]>,
    _format: Format,
    _sql_type: &SqlType,
    _settings: &EncodeSettings,
) -> Result<ScalarValue> {
    Err(Error::internal("later"))
}
