//! What a start-up packet asks for, beside the login itself.

use crate::error::{Error, ErrorKind, Result};

/// A start-up packet, sorted.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parameters {
    pub(super) user: String,
    pub(super) database: String,
    /// `replication` asked for.
    pub(super) replication: bool,
    /// `_pq_.*`: extensions of the protocol, of which we have none.
    pub(super) extensions: Vec<String>,
    options: Option<String>,
    settings: Vec<(String, String)>,
}

impl Parameters {
    /// Sorts the parameters of a packet. An absent user is an empty one, which [`Parameters::check`] refuses.
    pub(super) fn new(parameters: Vec<(String, String)>) -> Self {
        let mut sorted = Self {
            user: String::new(),
            database: String::new(),
            replication: false,
            extensions: vec![],
            options: None,
            settings: vec![],
        };
        for (name, value) in parameters {
            match name.as_str() {
                "user" => sorted.user = value,
                "database" => sorted.database = value,
                "options" => sorted.options = Some(value),
                "replication" => sorted.replication = !matches!(value.as_str(), "false" | "off" | "no" | "0"),
                _ if name.starts_with("_pq_.") => sorted.extensions.push(name),
                _ => sorted.settings.push((name, value)),
            }
        }
        if sorted.database.is_empty() {
            sorted.database.clone_from(&sorted.user);
        }
        sorted
    }

    /// Refuses what no login can mend.
    pub(super) fn check(&self) -> Result<()> {
        if self.user.is_empty() {
            return Err(Error::new(ErrorKind::InvalidAuthorization, "no PostgreSQL user name specified in startup packet"));
        }
        if self.replication {
            return Err(Error::unsupported("replication").with_hint("Connect without the \"replication\" parameter."));
        }
        Ok(())
    }

    /// Settings in the order in which they take effect: those inside `options` first.
    pub(super) fn settings(&self) -> Result<Vec<(String, String)>> {
        let mut settings = self.options.as_deref().map_or(Ok(vec![]), command_line)?;
        settings.extend(self.settings.iter().cloned());
        for (name, value) in &mut settings {
            if name.eq_ignore_ascii_case("client_encoding") {
                *value = encoding(value)?;
            }
        }
        Ok(settings)
    }
}

/// `-c name=value`, `-cname=value` and `--name=value`, separated by spaces; a backslash takes the next character as it is.
fn command_line(options: &str) -> Result<Vec<(String, String)>> {
    let invalid = |word: &str| Error::new(ErrorKind::Syntax, format!("invalid command-line argument for server process: {word}"));
    let mut settings = Vec::new();
    let mut words = split_words(options).into_iter();
    while let Some(word) = words.next() {
        let assignment = if word == "-c" {
            words.next().ok_or_else(|| invalid(&word))?
        } else if let Some(rest) = word.strip_prefix("--").or_else(|| word.strip_prefix("-c")) {
            rest.to_string()
        } else {
            return Err(invalid(&word));
        };
        let Some((name, value)) = assignment.split_once('=') else {
            let dashes = if word.starts_with("--") { "--" } else { "-c " };
            return Err(Error::new(ErrorKind::Syntax, format!("{dashes}{assignment} requires a value")));
        };
        settings.push((name.replace('-', "_"), value.to_string()));
    }
    Ok(settings)
}

fn split_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character.is_ascii_whitespace() {
            words.extend(word.take());
            continue;
        }
        let taken = if character == '\\' { characters.next() } else { Some(character) };
        word.get_or_insert_default().extend(taken);
    }
    words.extend(word);
    words
}

/// The one encoding we speak, however it is spelled: `UTF8`, `utf-8`, `Unicode`, and asyncpg's `'utf-8'` with its quotes.
fn encoding(value: &str) -> Result<String> {
    let plain: String = value.trim_matches('\'').chars().filter(char::is_ascii_alphanumeric).collect();
    if plain.eq_ignore_ascii_case("utf8") || plain.eq_ignore_ascii_case("unicode") {
        return Ok("UTF8".into());
    }
    Err(Error::new(ErrorKind::InvalidParameter, format!("invalid value for parameter \"client_encoding\": \"{value}\"")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(pairs: &[(&str, &str)]) -> Parameters {
        Parameters::new(pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect())
    }

    fn settings(pairs: &[(&str, &str)]) -> Result<Vec<(String, String)>> {
        parameters(pairs).settings()
    }

    #[test]
    fn options_come_before_the_rest() {
        let settings =
            settings(&[("TimeZone", "Asia/Tokyo"), ("options", "-c work_mem=8MB --statement-timeout=5s -cdatestyle=iso,\\ dmy")])
                .unwrap();
        let text: Vec<String> = settings.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(text, ["work_mem=8MB", "statement_timeout=5s", "datestyle=iso, dmy", "TimeZone=Asia/Tokyo"]);
    }

    #[test]
    fn options_out_of_form_are_refused() {
        for options in ["-B 100", "-c", "-c work_mem", "--work_mem", "x"] {
            assert_eq!(settings(&[("options", options)]).unwrap_err().kind(), ErrorKind::Syntax, "{options}");
        }
        assert!(settings(&[("options", "  ")]).unwrap().is_empty());
    }

    #[test]
    fn utf8_has_many_spellings_and_nothing_else_is_spoken() {
        for value in ["UTF8", "utf-8", "'utf-8'", "UNICODE"] {
            assert_eq!(settings(&[("client_encoding", value)]).unwrap()[0].1, "UTF8");
        }
        for value in ["LATIN1", "nosuch", ""] {
            assert_eq!(settings(&[("client_encoding", value)]).unwrap_err().kind(), ErrorKind::InvalidParameter);
        }
    }

    #[test]
    fn the_database_is_the_users_name_if_none_is_given() {
        let parameters = parameters(&[("user", "ada"), ("_pq_.foo", "1"), ("replication", "off")]);
        assert_eq!((parameters.database.as_str(), parameters.replication), ("ada", false));
        assert_eq!(parameters.extensions, ["_pq_.foo"]);
        assert!(parameters.check().is_ok());
    }

    #[test]
    fn what_no_login_can_mend_is_refused() {
        assert_eq!(parameters(&[]).check().unwrap_err().kind(), ErrorKind::InvalidAuthorization);
        assert_eq!(parameters(&[("user", "ada"), ("replication", "database")]).check().unwrap_err().kind(), ErrorKind::Unsupported);
    }
}
