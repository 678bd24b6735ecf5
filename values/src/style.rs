//! The settings that choose a value's text form: `DateStyle`, `IntervalStyle`, `bytea_output`.

use std::fmt;

use crate::error::{Error, ErrorKind, Result};

/// Which fields of a date come first, in which dress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum DateFormat {
    /// `2024-01-05 10:00:00+01`
    #[default]
    Iso,
    /// `01/05/2024 10:00:00 CET`
    Sql,
    /// `Fri Jan 05 10:00:00 2024 CET`
    Postgres,
    /// `05.01.2024 10:00:00 CET`
    German,
    /// `2024-01-05T10:00:00+01:00`: inside JSON; no session can choose it.
    Xsd,
}

/// Order of day, month and year: how ambiguous input is read, and how the non-ISO formats print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum DateOrder {
    /// month, day, year
    #[default]
    Mdy,
    /// day, month, year
    Dmy,
    /// year, month, day
    Ymd,
}

/// The `DateStyle` setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct DateStyle {
    /// Output format.
    pub format: DateFormat,
    /// Field order.
    pub order: DateOrder,
}

impl DateStyle {
    /// Reads what SET DateStyle gives, such as `ISO, DMY` or `German`; what is not named stays as in `current`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidParameter`] for an unknown word, or for two that contradict each other.
    pub fn parse(text: &str, current: DateStyle) -> Result<DateStyle> {
        let mut format = None;
        let mut order = None;
        let refuse = |detail: String| {
            Err(Error::new(ErrorKind::InvalidParameter, format!("invalid value for parameter \"DateStyle\": \"{text}\""))
                .with_detail(detail))
        };
        for word in text.split(',') {
            let lower = word.trim().trim_matches(['"', '\'']).to_ascii_lowercase();
            let named_format = match lower.as_str() {
                "iso" => Some(DateFormat::Iso),
                "sql" => Some(DateFormat::Sql),
                "german" => Some(DateFormat::German),
                other if other.starts_with("postgres") => Some(DateFormat::Postgres),
                _ => None,
            };
            let named_order = match lower.as_str() {
                "ymd" => Some(DateOrder::Ymd),
                "mdy" | "us" | "default" => Some(DateOrder::Mdy),
                "dmy" => Some(DateOrder::Dmy),
                other if other.starts_with("euro") => Some(DateOrder::Dmy),
                other if other.starts_with("noneuro") => Some(DateOrder::Mdy),
                _ => None,
            };
            if lower == "default" {
                format = format.or(Some(DateFormat::Iso));
                order = order.or(Some(DateOrder::Mdy));
                continue;
            }
            match (named_format, named_order) {
                (Some(named), _) if format.is_none_or(|earlier| earlier == named) => format = Some(named),
                (_, Some(named)) if order.is_none_or(|earlier| earlier == named) => order = Some(named),
                (None, None) => return refuse(format!("Unrecognized key word: \"{lower}\".")),
                _ => return refuse("Conflicting \"datestyle\" specifications.".to_string()),
            }
        }
        let implied_order = if format == Some(DateFormat::German) { DateOrder::Dmy } else { current.order };
        Ok(DateStyle { format: format.unwrap_or(current.format), order: order.unwrap_or(implied_order) })
    }
}

impl fmt::Display for DateStyle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let format = match self.format {
            DateFormat::Iso | DateFormat::Xsd => "ISO",
            DateFormat::Sql => "SQL",
            DateFormat::Postgres => "Postgres",
            DateFormat::German => "German",
        };
        let order = match self.order {
            DateOrder::Mdy => "MDY",
            DateOrder::Dmy => "DMY",
            DateOrder::Ymd => "YMD",
        };
        write!(f, "{format}, {order}")
    }
}

/// The `IntervalStyle` setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum IntervalStyle {
    /// `1 year 2 mons -3 days +04:05:06`
    #[default]
    Postgres,
    /// `@ 1 year 2 mons -3 days 4 hours 5 mins 6 secs`
    PostgresVerbose,
    /// `+1-2 -3 +4:05:06`
    SqlStandard,
    /// `P1Y2M-3DT4H5M6S`
    Iso8601,
}

impl IntervalStyle {
    /// Reads the setting's value.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidParameter`] for an unknown name.
    pub fn parse(text: &str) -> Result<IntervalStyle> {
        match text.trim().to_ascii_lowercase().as_str() {
            "postgres" => Ok(IntervalStyle::Postgres),
            "postgres_verbose" => Ok(IntervalStyle::PostgresVerbose),
            "sql_standard" => Ok(IntervalStyle::SqlStandard),
            "iso_8601" => Ok(IntervalStyle::Iso8601),
            _ => Err(Error::new(ErrorKind::InvalidParameter, format!("invalid value for parameter \"IntervalStyle\": \"{text}\""))
                .with_hint("Available values: postgres, postgres_verbose, sql_standard, iso_8601.")),
        }
    }
}

impl fmt::Display for IntervalStyle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            IntervalStyle::Postgres => "postgres",
            IntervalStyle::PostgresVerbose => "postgres_verbose",
            IntervalStyle::SqlStandard => "sql_standard",
            IntervalStyle::Iso8601 => "iso_8601",
        })
    }
}

/// The `bytea_output` setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ByteaOutput {
    /// `\xdeadbeef`
    #[default]
    Hex,
    /// `abc\000\\`
    Escape,
}

impl ByteaOutput {
    /// Reads the setting's value.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidParameter`] for an unknown name.
    pub fn parse(text: &str) -> Result<ByteaOutput> {
        match text.trim().to_ascii_lowercase().as_str() {
            "hex" => Ok(ByteaOutput::Hex),
            "escape" => Ok(ByteaOutput::Escape),
            _ => Err(Error::new(ErrorKind::InvalidParameter, format!("invalid value for parameter \"bytea_output\": \"{text}\""))
                .with_hint("Available values: escape, hex.")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_style_keeps_what_is_not_named() {
        let dmy = DateStyle::parse("DMY", DateStyle::default()).unwrap();
        assert_eq!(dmy.to_string(), "ISO, DMY");
        assert_eq!(DateStyle::parse("SQL", dmy).unwrap().to_string(), "SQL, DMY");
        assert_eq!(DateStyle::parse("German", DateStyle::default()).unwrap().to_string(), "German, DMY");
        assert_eq!(DateStyle::parse("postgresql, european", dmy).unwrap().to_string(), "Postgres, DMY");
        assert_eq!(DateStyle::parse("iso, mdy", dmy).unwrap().to_string(), "ISO, MDY");
        assert_eq!(DateStyle::parse("default", dmy).unwrap().to_string(), "ISO, MDY");
        assert_eq!(DateStyle::parse("iso, sql", dmy).unwrap_err().kind(), ErrorKind::InvalidParameter);
        assert_eq!(DateStyle::parse("unix", dmy).unwrap_err().detail(), Some("Unrecognized key word: \"unix\"."));
    }
}
