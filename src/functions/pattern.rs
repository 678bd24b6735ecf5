//! Patterns of LIKE, whose escape character the engine wants to be a backslash.

use crate::error::{Error, ErrorKind, Result};

/// A LIKE pattern with `escape` as its escape character, rewritten to backslash.
///
/// # Errors
/// 22000 for a pattern that ends with its escape character, and as [`single_escape`].
pub fn escaped_pattern(pattern: &str, escape: &str) -> Result<String> {
    let escape = single_escape(escape)?;
    let mut rewritten = String::with_capacity(pattern.len());
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        if Some(character) == escape {
            let Some(next) = characters.next() else {
                return Err(Error::new(ErrorKind::DataException, "LIKE pattern must not end with escape character"));
            };
            if matches!(next, '%' | '_' | '\\') {
                rewritten.push('\\');
            }
            rewritten.push(next);
        } else {
            if character == '\\' {
                rewritten.push('\\');
            }
            rewritten.push(character);
        }
    }
    Ok(rewritten)
}

/// The one escape character, or none.
///
/// # Errors
/// 22000 for more than one.
pub fn single_escape(escape: &str) -> Result<Option<char>> {
    let mut characters = escape.chars();
    match (characters.next(), characters.next()) {
        (first, None) => Ok(first),
        _ => Err(Error::new(ErrorKind::DataException, "invalid escape string")
            .with_hint("Escape string must be empty or one character.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_escape_character_becomes_a_backslash() {
        assert_eq!(escaped_pattern("a!%b\\%", "!").unwrap(), "a\\%b\\\\%");
        assert_eq!(escaped_pattern("a\\%", "").unwrap(), "a\\\\%");
        assert!(escaped_pattern("a!", "!").is_err());
    }
}
