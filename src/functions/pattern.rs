//! Patterns of LIKE and of SIMILAR TO.
//!
//! The engine matches constant patterns of LIKE, and wants a backslash as their escape character. Patterns that a column gives are matched here,
//! because a fault in one is an error only where the match comes to it (PostgreSQL's `like_match.c`).

use super::define::{Call, Declaration, immutable};
use crate::error::{Error, ErrorKind, Result};
use crate::types::datum::Datum;

/// The functions of this file: the operators `~~`, `!~~`, `~~*`, `!~~*`, and what SIMILAR TO is made of.
pub(super) fn declarations() -> Vec<Declaration> {
    vec![
        immutable("textlike(text, text) -> bool", |call| like(call, false)),
        immutable("textnlike(text, text) -> bool", |call| like(call, false).map(negated)),
        immutable("texticlike(text, text) -> bool", |call| like(call, true)),
        immutable("texticnlike(text, text) -> bool", |call| like(call, true).map(negated)),
        immutable("like_escape(text, text) -> text", |call| Ok(Datum::from(escaped_pattern(call.text(0)?, call.text(1)?)?))),
        immutable("similar_to_escape(text) -> text", |call| Ok(Datum::from(similar_pattern(call.text(0)?, "\\")?))),
        immutable("similar_to_escape(text, text) -> text", |call| Ok(Datum::from(similar_pattern(call.text(0)?, call.text(1)?)?))),
    ]
}

fn like(call: &Call<'_>, ignore_case: bool) -> Result<Datum> {
    let (text, pattern) = (call.text(0)?, call.text(1)?);
    let characters =
        |text: &str| if ignore_case { text.to_lowercase().chars().collect() } else { text.chars().collect::<Vec<_>>() };
    Ok(Datum::Bool(matches(&characters(text), &characters(pattern))?))
}

fn negated(matched: Datum) -> Datum {
    matched.as_bool().map_or(Datum::Null, |matched| Datum::Bool(!matched))
}

/// Whether the whole text matches: `%` is any characters, `_` one, a backslash makes what follows itself.
fn matches(text: &[char], pattern: &[char]) -> Result<bool> {
    let (mut at, mut in_pattern) = (0, 0);
    // Where the last `%` stands, and up to where it has taken the text: only that one has to be tried again.
    let mut any: Option<(usize, usize)> = None;
    loop {
        let step = match pattern.get(in_pattern) {
            Some('%') => {
                any = Some((in_pattern, at));
                in_pattern += 1;
                continue;
            }
            None if at == text.len() => return Ok(true),
            _ if at == text.len() => return Ok(false),
            None => None,
            Some('_') => Some(1),
            Some('\\') => match pattern.get(in_pattern + 1) {
                None => return Err(ends_with_escape()),
                Some(escaped) => (*escaped == text[at]).then_some(2),
            },
            Some(character) => (*character == text[at]).then_some(1),
        };
        match (step, any) {
            (Some(step), _) => {
                in_pattern += step;
                at += 1;
            }
            (None, Some((percent, taken))) => {
                any = Some((percent, taken + 1));
                (in_pattern, at) = (percent + 1, taken + 1);
            }
            (None, None) => return Ok(false),
        }
    }
}

fn ends_with_escape() -> Error {
    Error::new(ErrorKind::InvalidEscape, "LIKE pattern must not end with escape character")
}

/// A SIMILAR TO pattern as a regular expression over the whole string.
///
/// # Errors
/// As [`single_escape`].
pub fn similar_pattern(pattern: &str, escape: &str) -> Result<String> {
    let escape = single_escape(escape)?;
    let mut regex = String::from("^(?:");
    let mut in_class = false;
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        if Some(character) == escape {
            if let Some(next) = characters.next() {
                regex.push('\\');
                regex.push(next);
            }
            continue;
        }
        match character {
            '[' => in_class = true,
            ']' => in_class = false,
            _ => {}
        }
        match character {
            '\\' => regex.push_str("\\\\"),
            '%' if !in_class => regex.push_str(".*"),
            '_' if !in_class => regex.push('.'),
            '(' if !in_class => regex.push_str("(?:"),
            '.' | '^' | '$' if !in_class => {
                regex.push('\\');
                regex.push(character);
            }
            other => regex.push(other),
        }
    }
    regex.push_str(")$");
    Ok(regex)
}

/// A LIKE pattern with `escape` as its escape character, rewritten to backslash.
///
/// # Errors
/// 22025 for a pattern that ends with its escape character, and as [`single_escape`].
pub fn escaped_pattern(pattern: &str, escape: &str) -> Result<String> {
    let escape = single_escape(escape)?;
    let mut rewritten = String::with_capacity(pattern.len());
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        if Some(character) == escape {
            let Some(next) = characters.next() else {
                return Err(ends_with_escape());
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
/// 22025 for more than one.
pub fn single_escape(escape: &str) -> Result<Option<char>> {
    let mut characters = escape.chars();
    match (characters.next(), characters.next()) {
        (first, None) => Ok(first),
        _ => Err(Error::new(ErrorKind::InvalidEscape, "invalid escape string")
            .with_hint("Escape string must be empty or one character.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_texts() {
        let matched = |text: &str, pattern: &str| matches(&text.chars().collect::<Vec<_>>(), &pattern.chars().collect::<Vec<_>>());
        for (text, pattern, expected) in [
            ("abc", "a%", true),
            ("abc", "%b_", true),
            ("a\nb", "a_b", true),
            ("%abc", "\\%%", true),
            ("aXbXc", "%X_", true),
            ("aXbX", "%X_", false),
            ("", "%", true),
            ("", "_", false),
            ("a", "a\\", false),
            ("mississippi", "%iss%ip%i", true),
        ] {
            assert_eq!(matched(text, pattern).unwrap(), expected, "{text} {pattern}");
        }
        assert_eq!(matched("ab", "a\\").unwrap_err().kind(), ErrorKind::InvalidEscape);
    }

    #[test]
    fn similar_patterns_become_anchored_regexes() {
        assert_eq!(similar_pattern("a%(b|c)_.", "\\").unwrap(), "^(?:a.*(?:b|c).\\.)$");
    }

    #[test]
    fn another_escape_character_becomes_a_backslash() {
        assert_eq!(escaped_pattern("a!%b\\%", "!").unwrap(), "a\\%b\\\\%");
        assert_eq!(escaped_pattern("a\\%", "").unwrap(), "a\\\\%");
        assert!(escaped_pattern("a!", "!").is_err());
    }
}
