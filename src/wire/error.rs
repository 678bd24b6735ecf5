//! Errors and notices in the protocol's fields.

use pgwire::messages::response::{ErrorResponse, NoticeResponse};
use tracing::{error, warn};
use uuid::Uuid;

use crate::error::{Error, ErrorKind};
use crate::session::outcome::Notice;

/// Why handling a message stopped.
#[derive(Debug)]
pub(super) enum Halt {
    /// The statement failed; the session goes on.
    Failed {
        /// Why.
        error: Error,
        /// Where, for the `W` field.
        context: Option<String>,
    },
    /// The connection ends with this error.
    Fatal(Error),
    /// The client is gone, or its connection cannot be used any more.
    Gone,
}

impl Halt {
    /// Breaks the connection off because the client broke the protocol.
    pub(super) fn protocol(message: impl Into<String>) -> Self {
        Halt::Fatal(Error::new(ErrorKind::ProtocolViolation, message))
    }
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Halt::Failed { error, context: None }
    }
}

impl From<std::io::Error> for Halt {
    fn from(_: std::io::Error) -> Self {
        // There is nobody left to tell, and nothing is broken on our side.
        Halt::Gone
    }
}

/// How much an error ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// The statement.
    Statement,
    /// The connection.
    Connection,
}

/// The error as a message. A bug of ours, or a cause that the client may not see, is logged with an id; the client reads the id of
/// a bug.
pub(super) fn error_response(error: &Error, extent: Extent, context: Option<&str>) -> ErrorResponse {
    let severity = match extent {
        Extent::Statement => "ERROR",
        Extent::Connection => "FATAL",
    };
    let mut fields = vec![
        (b'S', severity.to_string()),
        (b'V', severity.to_string()),
        (b'C', error.kind().sqlstate().to_string()),
        (b'M', without_nul(error.message())),
    ];
    let mut detail = error.detail().map(without_nul);
    if let Some(id) = logged(error) {
        detail.get_or_insert_with(|| format!("The server's log has the cause under the id {id}."));
    }
    fields.extend(detail.map(|detail| (b'D', detail)));
    fields.extend(error.hint().map(|hint| (b'H', without_nul(hint))));
    fields.extend(error.position().map(|position| (b'P', position.to_string())));
    fields.extend(context.map(|context| (b'W', without_nul(context))));
    ErrorResponse::new(fields)
}

/// Writes what the client does not read to the log. Returns the id of a bug's entry.
fn logged(error: &Error) -> Option<Uuid> {
    let cause = std::error::Error::source(error).map(chain);
    match error.kind() {
        ErrorKind::Internal => {
            let id = Uuid::new_v4();
            error!(%id, cause = cause.as_deref().unwrap_or("unknown"), "internal error");
            Some(id)
        }
        ErrorKind::Io | ErrorKind::DataCorrupted => {
            warn!(cause = cause.as_deref().unwrap_or("unknown"), message = error.message(), "statement failed on storage");
            None
        }
        _ => None,
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}

/// The notice as a message.
pub(super) fn notice_response(notice: &Notice) -> NoticeResponse {
    let severity = notice.severity.name().to_string();
    let mut fields =
        vec![(b'S', severity.clone()), (b'V', severity), (b'C', notice.sqlstate.to_string()), (b'M', without_nul(&notice.message))];
    fields.extend(notice.detail.as_deref().map(|detail| (b'D', without_nul(detail))));
    fields.extend(notice.hint.as_deref().map(|hint| (b'H', without_nul(hint))));
    NoticeResponse::new(fields)
}

/// Fields end with a NUL, so none may stand inside: a client would lose its place.
fn without_nul(text: &str) -> String {
    text.replace('\0', "\\0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_postgresqls() {
        let error = Error::new(ErrorKind::UndefinedColumn, "column \"x\" does not exist").with_hint("Look again.").with_position(8);
        let fields = error_response(&error, Extent::Statement, Some("SQL function f")).fields;
        let text: Vec<String> = fields.iter().map(|(code, value)| format!("{}={value}", *code as char)).collect();
        assert_eq!(
            text,
            ["S=ERROR", "V=ERROR", "C=42703", "M=column \"x\" does not exist", "H=Look again.", "P=8", "W=SQL function f"]
        );
    }

    #[test]
    fn a_bug_shows_its_id_and_not_its_cause() {
        let fields = error_response(&Error::internal("secret path"), Extent::Connection, None).fields;
        assert!(fields.iter().all(|(_, value)| !value.contains("secret")));
        assert!(fields.iter().any(|(code, value)| *code == b'D' && value.contains("id")));
        assert_eq!(fields[0], (b'S', "FATAL".to_string()));
    }

    #[test]
    fn a_nul_does_not_cut_a_field() {
        let error = Error::new(ErrorKind::Syntax, "a\0b");
        assert_eq!(error_response(&error, Extent::Statement, None).fields[3], (b'M', "a\\0b".to_string()));
    }
}
