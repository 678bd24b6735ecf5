//! Values of settings: what SET is given, checked and in the one form in which SHOW writes it.

use super::Settings;
use super::definitions::{Access, Kind, Setting, definition};
use crate::error::{Error, ErrorKind, Result};
use crate::types::values::{DateStyle, TimeZone};

/// Settings whose standard value is the only one we serve although the type would allow others.
const ONLY_VALUE: &[(&str, &str)] = &[("row_security", "on"), ("standard_conforming_strings", "on")];

type Values = std::collections::BTreeMap<String, String>;

/// The key of a setting that exists or has the custom two-part form.
pub(super) fn known(name: &str) -> Result<String> {
    let key = name.to_lowercase();
    let custom = key.split_once('.').is_some_and(|(prefix, rest)| !prefix.is_empty() && !rest.is_empty() && prefix != "datafusion");
    if definition(&key).is_some() || custom { Ok(key) } else { Err(unknown(name)) }
}

pub(super) fn unknown(name: &str) -> Error {
    Error::new(ErrorKind::UndefinedObject, format!("unrecognized configuration parameter \"{name}\""))
}

pub(super) fn cannot_change(name: &str) -> Error {
    Error::new(ErrorKind::CannotChangeNow, format!("parameter \"{name}\" cannot be changed"))
}

pub(super) fn invalid(name: &str, value: &str) -> Error {
    Error::new(ErrorKind::InvalidParameter, format!("invalid value for parameter \"{name}\": \"{value}\""))
}

pub(super) fn checked(name: &str, values: &[String], current: &Settings) -> Result<(String, String)> {
    let key = known(name)?;
    let joined = values.join(", ");
    let Some(setting) = definition(&key) else { return Ok((key, joined)) };
    if setting.access == Access::Fixed {
        return Err(cannot_change(setting.name));
    }
    check_identity(setting, &joined, &current.initial)?;
    let value = match setting.kind {
        // What is not said stays as it is.
        Kind::DateStyle => DateStyle::parse(&joined, current.form().date_style)?.to_string(),
        _ => canonical(setting, values, &joined)?,
    };
    if let Some((_, only)) = ONLY_VALUE.iter().find(|(only, _)| *only == setting.name)
        && value != *only
    {
        return Err(invalid(setting.name, &joined).with_detail(format!("Only \"{only}\" is supported.")));
    }
    Ok((key, value))
}

/// Identity is fixed at login: the statements that would change it succeed only where they change nothing.
fn check_identity(setting: &Setting, value: &str, initial: &Values) -> Result<()> {
    let user = initial.get("session_authorization").map(String::as_str).unwrap_or_default();
    match setting.name {
        "role" if value.eq_ignore_ascii_case("none") || value == user => Ok(()),
        "role" => Err(Error::new(ErrorKind::Denied, format!("permission denied to set role \"{value}\""))
            .with_detail("SET ROLE to a group is not supported; groups apply to their members without it.")),
        "session_authorization" if value == user || value.eq_ignore_ascii_case("default") => Ok(()),
        "session_authorization" => Err(Error::new(ErrorKind::Denied, "permission denied to set session authorization")),
        "is_superuser" => Err(cannot_change("is_superuser")),
        _ => Ok(()),
    }
}

fn canonical(setting: &Setting, values: &[String], joined: &str) -> Result<String> {
    let refused = || invalid(setting.name, joined);
    match setting.kind {
        Kind::Bool => boolean(joined).map(|on| if on { "on" } else { "off" }.to_string()).ok_or_else(|| {
            Error::new(ErrorKind::InvalidParameter, format!("parameter \"{}\" requires a Boolean value", setting.name))
        }),
        Kind::Integer { min, max } => {
            let number: i64 = joined.trim().parse().map_err(|_| refused())?;
            if (min..=max).contains(&number) {
                return Ok(number.to_string());
            }
            let message = format!("{number} is outside the valid range for parameter \"{}\" ({min} .. {max})", setting.name);
            Err(Error::new(ErrorKind::InvalidParameter, message))
        }
        Kind::Kilobytes => {
            let number = integer_with_memory_unit(joined).ok_or_else(refused)?;
            if (0..=i64::from(i32::MAX)).contains(&number) { Ok(number.to_string()) } else { Err(refused()) }
        }
        Kind::Milliseconds => milliseconds(joined).map(|millis| millis.to_string()).ok_or_else(refused),
        Kind::Enum(words) => {
            let word = words.iter().find(|word| word.eq_ignore_ascii_case(joined.trim()));
            word.map(|word| (*word).to_string())
                .ok_or_else(|| refused().with_hint(format!("Available values: {}.", words.join(", "))))
        }
        Kind::TimeZone => time_zone(joined),
        Kind::Encoding => encoding(joined)
            .ok_or_else(|| invalid(setting.name, joined).with_hint("Use UTF8: text is sent and stored as UTF-8 only.")),
        Kind::SearchPath => Ok(values.iter().map(|value| search_path_entry(value)).collect::<Vec<_>>().join(", ")),
        Kind::Text | Kind::DateStyle => Ok(joined.to_string()),
    }
}

/// Words that PostgreSQL takes as booleans, and their unique prefixes.
fn boolean(text: &str) -> Option<bool> {
    match text.trim().to_lowercase().as_str() {
        "on" | "true" | "tru" | "tr" | "t" | "yes" | "ye" | "y" | "1" => Some(true),
        "off" | "of" | "false" | "fals" | "fal" | "fa" | "f" | "no" | "n" | "0" => Some(false),
        _ => None,
    }
}

fn integer_with_memory_unit(text: &str) -> Option<i64> {
    let text = text.trim();
    let digits_end = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let number: i64 = text[..digits_end].trim().parse().ok()?;
    let factor = match text[digits_end..].trim() {
        "" | "kB" => 1,
        "MB" => 1024,
        "GB" => 1024 * 1024,
        _ => return None,
    };
    number.checked_mul(factor)
}

/// A number in the largest unit of which it is a multiple.
pub(super) fn with_unit(key: &str, value: &str) -> String {
    let units: &[(&str, u64)] = match definition(key).map(|setting| setting.kind) {
        Some(Kind::Milliseconds) => &[("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000), ("ms", 1)],
        Some(Kind::Kilobytes) => &[("TB", 1 << 30), ("GB", 1 << 20), ("MB", 1 << 10), ("kB", 1)],
        _ => return value.to_string(),
    };
    let Some(number) = value.parse::<u64>().ok().filter(|number| *number > 0) else { return value.to_string() };
    match units.iter().find(|(_, size)| number % size == 0) {
        Some((unit, size)) => format!("{}{unit}", number / size),
        None => value.to_string(),
    }
}

fn milliseconds(text: &str) -> Option<i64> {
    let text = text.trim();
    let digits_end = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let number: f64 = text[..digits_end].trim().parse().ok()?;
    let factor = match text[digits_end..].trim() {
        "" | "ms" => 1.0,
        "us" => 0.001,
        "s" => 1000.0,
        "min" => 60_000.0,
        "h" => 3_600_000.0,
        "d" => 86_400_000.0,
        _ => return None,
    };
    let millis = (number * factor).round();
    (millis >= 0.0 && millis <= f64::from(i32::MAX)).then_some(millis as i64)
}

/// Canonical name of a time zone, as PostgreSQL shows the setting.
fn time_zone(text: &str) -> Result<String> {
    let text = text.trim_matches('"');
    if text.eq_ignore_ascii_case("default") || text.eq_ignore_ascii_case("local") {
        return Ok("UTC".into());
    }
    Ok(TimeZone::parse(text)?.name().to_string())
}

fn encoding(text: &str) -> Option<String> {
    let name: String = text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_uppercase();
    matches!(name.as_str(), "UTF8" | "UNICODE").then(|| "UTF8".to_string())
}

/// Quotes a schema name for `search_path` where it is not a plain lower-case word.
fn search_path_entry(value: &str) -> String {
    let plain = value.split(',').all(|part| {
        let part = part.trim().trim_matches('"');
        part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    });
    if plain || value.contains('"') || value.contains(',') { value.to_string() } else { format!("\"{value}\"") }
}
