//! The two formats of the protocol.

use crate::error::{Error, ErrorKind, Result};

/// A format code of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Format {
    /// 0
    #[default]
    Text,
    /// 1
    Binary,
}

impl Format {
    /// Reads a format code.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidParameter`] for a code other than 0 and 1.
    pub fn from_code(code: i16) -> Result<Format> {
        match code {
            0 => Ok(Format::Text),
            1 => Ok(Format::Binary),
            _ => Err(Error::new(ErrorKind::InvalidParameter, format!("unsupported format code: {code}"))),
        }
    }

    /// The format code.
    pub const fn code(self) -> i16 {
        match self {
            Format::Text => 0,
            Format::Binary => 1,
        }
    }

    /// The format of each of `columns` columns from a Bind message's list: none means text, one is for all.
    ///
    /// # Errors
    /// [`ErrorKind::ProtocolViolation`] for another number of codes, [`ErrorKind::InvalidParameter`] for an unknown code.
    pub fn of_columns(codes: &[i16], columns: usize) -> Result<Vec<Format>> {
        match codes {
            [] => Ok(vec![Format::Text; columns]),
            [code] => Ok(vec![Format::from_code(*code)?; columns]),
            codes if codes.len() == columns => codes.iter().map(|code| Format::from_code(*code)).collect(),
            codes => Err(Error::new(
                ErrorKind::ProtocolViolation,
                format!("bind message has {} result formats but query has {columns} columns", codes.len()),
            )),
        }
    }
}
