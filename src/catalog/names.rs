//! Names that may be given, and how they are written in messages.

use crate::error::{Error, ErrorKind, Result};

/// Longest name of an object, in bytes. PostgreSQL has 63 and cuts silently; Databricks has 255 and refuses.
pub(super) const MAX_NAME_BYTES: usize = 255;

/// Names under which the group of everybody is known: PostgreSQL's and Databricks'.
pub(super) const PUBLIC_NAMES: [&str; 2] = ["public", "account users"];

const RESERVED_CATALOGS: [&str; 1] = ["system"];
const RESERVED_SCHEMAS: [&str; 1] = ["information_schema"];
const RESERVED_ROLES: [&str; 8] =
    ["public", "account users", "none", "current_user", "current_role", "session_user", "user", "system"];

/// Refuses what cannot be the name of anything.
pub(super) fn check_name(name: &str) -> Result<()> {
    if name.is_empty() {
        return Err(Error::new(ErrorKind::InvalidName, "a name may not be empty"));
    }
    if name.len() > MAX_NAME_BYTES {
        return Err(Error::new(ErrorKind::InvalidName, "name is too long")
            .with_detail(format!("It has {} bytes; at most {MAX_NAME_BYTES} are possible.", name.len())));
    }
    if name.chars().any(char::is_control) {
        return Err(Error::new(ErrorKind::InvalidName, "a name may not have control characters"));
    }
    Ok(())
}

/// Refuses names of catalogs that the warehouse keeps for itself.
pub(super) fn check_catalog_name(name: &str) -> Result<()> {
    check_name(name)?;
    if RESERVED_CATALOGS.contains(&name) {
        return Err(Error::new(ErrorKind::ReservedName, format!("unacceptable catalog name \"{name}\""))
            .with_detail("The name is reserved for the warehouse itself."));
    }
    Ok(())
}

/// Refuses names of schemas that the warehouse keeps for itself.
pub(super) fn check_schema_name(name: &str) -> Result<()> {
    check_name(name)?;
    if RESERVED_SCHEMAS.contains(&name) || name.starts_with("pg_") {
        return Err(Error::new(ErrorKind::ReservedName, format!("unacceptable schema name \"{name}\""))
            .with_detail("The prefix \"pg_\" and the name \"information_schema\" are reserved for system schemas."));
    }
    Ok(())
}

/// Refuses names of principals that mean something else in GRANT, or that PostgreSQL keeps for itself.
pub(super) fn check_principal_name(name: &str) -> Result<()> {
    check_name(name)?;
    if RESERVED_ROLES.contains(&name) || name.starts_with("pg_") {
        return Err(Error::new(ErrorKind::ReservedName, format!("role name \"{name}\" is reserved")));
    }
    Ok(())
}

/// The name as a statement would have to write it: in double quotes unless it is plain lower case.
pub fn quote_name(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '$');
    if plain { name.to_string() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// Whether `url` is `prefix` or lies below it, on the border of a path segment.
pub fn url_covers(prefix: &str, url: &str) -> bool {
    let prefix = prefix.trim_end_matches('/');
    url.trim_end_matches('/') == prefix || url.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_at_a_segment() {
        assert!(url_covers("s3://b/data", "s3://b/data"));
        assert!(url_covers("s3://b/data", "s3://b/data/"));
        assert!(url_covers("s3://b/data", "s3://b/data/t"));
        assert!(!url_covers("s3://b/data", "s3://b/database"));
        assert!(!url_covers("s3://b/data", "s3://b"));
        assert!(url_covers("s3://b", "s3://b/x"));
        assert!(!url_covers("s3://b", "s3://bb/x"));
    }

    #[test]
    fn reserved_names_are_refused() {
        for name in ["pg_catalog", "pg_temp", "information_schema"] {
            assert_eq!(check_schema_name(name).unwrap_err().kind(), ErrorKind::ReservedName, "{name}");
        }
        for name in ["public", "account users", "none", "pg_monitor"] {
            assert_eq!(check_principal_name(name).unwrap_err().kind(), ErrorKind::ReservedName, "{name}");
        }
        assert_eq!(check_catalog_name("system").unwrap_err().kind(), ErrorKind::ReservedName);
        assert_eq!(check_name("").unwrap_err().kind(), ErrorKind::InvalidName);
        assert_eq!(check_name("a\0b").unwrap_err().kind(), ErrorKind::InvalidName);
        assert_eq!(check_name(&"x".repeat(256)).unwrap_err().kind(), ErrorKind::InvalidName);
    }

    #[test]
    fn names_are_quoted_when_they_need_it() {
        assert_eq!(quote_name("orders"), "orders");
        assert_eq!(quote_name("Orders"), "\"Orders\"");
        assert_eq!(quote_name("a\"b"), "\"a\"\"b\"");
        assert_eq!(quote_name("1st"), "\"1st\"");
    }
}
