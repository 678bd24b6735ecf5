//! What a session chooses about the form of its values.

use std::fmt;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::types::RegKind;
use crate::types::values::{ByteaOutput, DateStyle, DateTimeInput, IntervalStyle, TimeZone};

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

/// Names behind `regclass`, `regtype` and their kind, which print as names in text format.
pub trait ObjectNames: fmt::Debug + Send + Sync {
    /// The text of `oid` as a value of the alias type `kind`, quoted and qualified as needed; `None` prints the number.
    fn name(&self, kind: RegKind, oid: u32) -> Option<String>;

    /// The OID of the object that `text` names, for a parameter of the alias type `kind`.
    ///
    /// # Errors
    /// 42P01, 42704, 42883 and their kind for a name that there is not.
    fn oid(&self, kind: RegKind, text: &str) -> Result<u32>;
}

/// The settings of a session that choose the form of its values.
#[derive(Debug, Clone, Default)]
pub struct EncodeSettings {
    /// `TimeZone`: of `timestamptz` output, and of input without a zone.
    pub time_zone: TimeZone,
    /// `DateStyle`
    pub date_style: DateStyle,
    /// `IntervalStyle`
    pub interval_style: IntervalStyle,
    /// `extra_float_digits`: -15 to 3; above 0 prints the shortest text that reads back as the same number.
    pub extra_float_digits: i32,
    /// `bytea_output`
    pub bytea_output: ByteaOutput,
    /// Resolves object identifiers in text format; without it they print as numbers.
    pub object_names: Option<Arc<dyn ObjectNames>>,
}

impl EncodeSettings {
    /// PostgreSQL's defaults, in UTC.
    pub fn new() -> Self {
        EncodeSettings { extra_float_digits: 1, ..EncodeSettings::default() }
    }

    /// Reads the settings by their lower-case names; one that is not there has its default.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidParameter`] if a setting's value is not valid.
    pub fn from_settings(setting: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let mut settings = EncodeSettings::new();
        if let Some(zone) = setting("timezone") {
            settings.time_zone = TimeZone::parse(&zone)?;
        }
        if let Some(style) = setting("datestyle") {
            settings.date_style = DateStyle::parse(&style, DateStyle::default())?;
        }
        if let Some(style) = setting("intervalstyle") {
            settings.interval_style = IntervalStyle::parse(&style)?;
        }
        if let Some(output) = setting("bytea_output") {
            settings.bytea_output = ByteaOutput::parse(&output)?;
        }
        if let Some(digits) = setting("extra_float_digits") {
            let invalid = || {
                Error::new(ErrorKind::InvalidParameter, format!("invalid value for parameter \"extra_float_digits\": \"{digits}\""))
            };
            let number: i32 = digits.trim().parse().map_err(|_| invalid())?;
            if !(-15..=3).contains(&number) {
                return Err(Error::new(
                    ErrorKind::InvalidParameter,
                    format!("{number} is outside the valid range for parameter \"extra_float_digits\" (-15 .. 3)"),
                ));
            }
            settings.extra_float_digits = number;
        }
        Ok(settings)
    }

    /// How text input is read under these settings.
    pub fn date_time_input(&self) -> DateTimeInput<'_> {
        DateTimeInput { order: self.date_style.order, zone: &self.time_zone, now: None }
    }
}
