//! The simple protocol: one Query message, any number of statements, one after the other.
//!
//! All statements of a message share an implicit transaction, unless they open a block themselves. Each one runs, and its result
//! leaves, before the next is looked at; the first error ends the message.

use std::sync::Arc;

use bytes::Bytes;
use pgwire::messages::response::{CommandComplete, EmptyQueryResponse};

use super::connection::Connection;
use super::encode::Format;
use super::error::Halt;
use crate::error::{Error, ErrorKind, Result};
use crate::session::outcome::{Outcome, RowTag};
use crate::sql::statement::Parsed;

impl Connection {
    /// Query.
    pub(super) async fn simple_query(&mut self, text: &Bytes) -> Result<(), Halt> {
        // The unnamed statement and portal do not outlive a Query.
        self.session.prepared().remove("");
        self.session.portals().remove("");
        let statements = self.session.parse(statement_text(text)?)?;
        if statements.is_empty() {
            self.output.message(&EmptyQueryResponse::new())?;
            self.end_implicit(true).await?;
        }
        let several = statements.len() > 1;
        let mut left = statements.len();
        for parsed in statements {
            left -= 1;
            self.simple_statement(&Arc::new(parsed), several, left == 0).await?;
        }
        Ok(self.ready_for_query()?)
    }

    async fn simple_statement(&mut self, parsed: &Arc<Parsed>, several: bool, last: bool) -> Result<(), Halt> {
        self.check_block(Some(&parsed.statement))?;
        let mut interrupts = self.begin(several);
        let outcome = interrupts.supervise(&mut self.input, self.session.execute(parsed, &[], vec![])).await?;
        self.send_notices()?;
        let tag = match outcome {
            Outcome::Rows { columns, stream, tag } => {
                let binary = matches!(tag, RowTag::Fetch { binary: true });
                let formats = vec![if binary { Format::Binary } else { Format::Text }; columns.len()];
                let rows = self.send_rows(&columns, &formats, true, stream, &mut interrupts).await?;
                Some(tag.complete(rows))
            }
            Outcome::CopyOut { columns, stream, layout } => {
                let rows = self.send_copy(&columns, &layout, stream, &mut interrupts).await?;
                Some(format!("COPY {rows}"))
            }
            Outcome::CopyIn(target) => Some(format!("COPY {}", self.receive_copy(target, &mut interrupts).await?)),
            Outcome::Done { tag } => Some(tag),
            Outcome::Empty => None,
        };
        if last {
            // Before its tag: a commit that fails is the statement's own failure.
            self.end_implicit(true).await?;
        }
        self.send_notices()?;
        match tag {
            Some(tag) => Ok(self.output.message(&CommandComplete::new(tag))?),
            None => Ok(self.output.message(&EmptyQueryResponse::new())?),
        }
    }
}

/// The text of a statement, which must be UTF-8.
pub(super) fn statement_text(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|error| {
        let from = error.valid_up_to();
        let wrong: Vec<String> =
            bytes.iter().skip(from).take(error.error_len().unwrap_or(1)).map(|byte| format!("0x{byte:02x}")).collect();
        Error::new(ErrorKind::InvalidEncoding, format!("invalid byte sequence for encoding \"UTF8\": {}", wrong.join(" ")))
    })
}
