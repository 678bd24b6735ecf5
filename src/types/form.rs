//! How values look as text: what a session chooses, read once, when it is set.
//!
//! ```text
//!  SET TimeZone, DateStyle, .. ──▶ Form ──┬─▶ result columns, COPY, parameters
//!                                         └─▶ casts and functions of the statement
//!  policies, stored text       ──▶ Form::default()
//! ```
//! One form for a statement: `SELECT x`, `x::text`, `concat(x)` and COPY cannot differ.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::RegKind;
use super::values::{ByteaOutput, DateStyle, DateTimeInput, IntervalStyle, TimeZone};
use crate::error::{Error, ErrorKind, Result};

/// Names behind `regclass`, `regtype` and their kind, which print as names in text format.
pub trait ObjectNames: fmt::Debug + Send + Sync {
    /// The text of `oid` as a value of the alias type `kind`, quoted and qualified as needed; `None` prints the number.
    fn name(&self, kind: RegKind, oid: u32) -> Option<String>;

    /// The OID of the object that `text` names, for a value of the alias type `kind`.
    ///
    /// # Errors
    /// 42P01, 42704, 42883 and their kind for a name that there is not.
    fn oid(&self, kind: RegKind, text: &str) -> Result<u32>;
}

/// The settings of a session that choose the form of its values. Two are equal if the settings are; who knows names does not count.
#[derive(Debug, Clone)]
pub struct Form {
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
    /// What `now`, `today` and their kind mean as input, in microseconds since 1970 UTC; without it they are refused.
    pub now: Option<i64>,
    /// Resolves object identifiers in text format; without it they print as numbers.
    pub object_names: Option<Arc<dyn ObjectNames>>,
}

impl Default for Form {
    /// PostgreSQL's defaults, in UTC.
    fn default() -> Self {
        Form {
            time_zone: TimeZone::default(),
            date_style: DateStyle::default(),
            interval_style: IntervalStyle::default(),
            extra_float_digits: 1,
            bytea_output: ByteaOutput::default(),
            now: None,
            object_names: None,
        }
    }
}

impl PartialEq for Form {
    fn eq(&self, other: &Self) -> bool {
        self.time_zone == other.time_zone
            && self.date_style == other.date_style
            && self.interval_style == other.interval_style
            && self.extra_float_digits == other.extra_float_digits
            && self.bytea_output == other.bytea_output
            && self.now == other.now
    }
}
impl Eq for Form {}
impl Hash for Form {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.time_zone, self.date_style, self.interval_style).hash(state);
        (self.extra_float_digits, self.bytea_output, self.now).hash(state);
    }
}

impl Form {
    /// Reads the settings by their lower-case names; one that is not there has its default.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidParameter`] if a setting's value is not valid.
    pub fn from_settings<'s>(setting: impl Fn(&str) -> Option<&'s str>) -> Result<Self> {
        let mut form = Form::default();
        if let Some(zone) = setting("timezone") {
            form.time_zone = TimeZone::parse(zone)?;
        }
        if let Some(style) = setting("datestyle") {
            form.date_style = DateStyle::parse(style, DateStyle::default())?;
        }
        if let Some(style) = setting("intervalstyle") {
            form.interval_style = IntervalStyle::parse(style)?;
        }
        if let Some(output) = setting("bytea_output") {
            form.bytea_output = ByteaOutput::parse(output)?;
        }
        if let Some(digits) = setting("extra_float_digits") {
            form.extra_float_digits = float_digits(digits)?;
        }
        Ok(form)
    }

    /// How text input is read under these settings.
    pub fn date_time_input(&self) -> DateTimeInput<'_> {
        DateTimeInput { order: self.date_style.order, zone: &self.time_zone, now: self.now }
    }
}

fn float_digits(text: &str) -> Result<i32> {
    let name = "extra_float_digits";
    let number: i32 = text
        .trim()
        .parse()
        .map_err(|_| Error::new(ErrorKind::InvalidParameter, format!("invalid value for parameter \"{name}\": \"{text}\"")))?;
    if (-15..=3).contains(&number) {
        return Ok(number);
    }
    let message = format!("{number} is outside the valid range for parameter \"{name}\" (-15 .. 3)");
    Err(Error::new(ErrorKind::InvalidParameter, message))
}
