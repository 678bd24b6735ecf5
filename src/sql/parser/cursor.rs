//! DECLARE, FETCH, MOVE, CLOSE.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::reader::{Reader, refused};
use crate::error::Result;
use crate::sql::statement::{CursorStatement, Statement};

/// A statement that starts with one of those words.
pub(super) fn cursor(reader: &mut Reader) -> Result<Statement> {
    let statement = match reader.one_of(&["declare", "fetch", "move", "close"]) {
        Some("declare") => declare(reader)?,
        Some("fetch") => fetch(reader, false)?,
        Some("move") => fetch(reader, true)?,
        _ => {
            let all = reader.word("all");
            CursorStatement::Close(if all { None } else { Some(reader.identifier()?) })
        }
    };
    Ok(Statement::Cursor(statement))
}

fn declare(reader: &mut Reader) -> Result<CursorStatement> {
    let name = reader.identifier()?;
    let mut binary = false;
    while !reader.word("cursor") {
        if reader.words(&["no", "scroll"]) || reader.one_of(&["insensitive", "asensitive"]).is_some() {
            continue;
        }
        match reader.peek_word(0) {
            "binary" => {
                reader.skip(1);
                binary = true;
            }
            "scroll" => return Err(refused("a SCROLL cursor", "Cursors move forward only; declare it NO SCROLL.")),
            _ => return Err(reader.unexpected()),
        }
    }
    let hold = reader.words(&["with", "hold"]);
    if !hold && reader.word("without") {
        reader.expect_word("hold")?;
    }
    reader.expect_word("for")?;
    let query = reader.query()?;
    Ok(CursorStatement::Declare { name, binary, hold, query })
}

fn fetch(reader: &mut Reader, skip: bool) -> Result<CursorStatement> {
    let count = direction(reader)?;
    reader.one_of(&["from", "in"]);
    let name = reader.identifier()?;
    Ok(CursorStatement::Fetch { name, count, skip })
}

/// Number of rows; `None` for all of them.
fn direction(reader: &mut Reader) -> Result<Option<u64>> {
    let backward = || refused("a cursor that moves backward", "Cursors move forward only.");
    // `FETCH next` fetches from a cursor of that name.
    let names_cursor = *reader.peek_token(1) == Token::EOF;
    match reader.peek_word(0) {
        _ if names_cursor => Ok(Some(1)),
        "next" => {
            reader.skip(1);
            Ok(Some(1))
        }
        "all" => {
            reader.skip(1);
            Ok(None)
        }
        "forward" => {
            reader.skip(1);
            if reader.word("all") {
                Ok(None)
            } else if matches!(reader.peek_token(0), Token::Number(_, _) | Token::Minus | Token::Plus) {
                rows(reader).map(Some)
            } else {
                Ok(Some(1))
            }
        }
        "prior" | "first" | "last" | "absolute" | "relative" | "backward" => Err(backward()),
        _ if matches!(reader.peek_token(0), Token::Number(_, _) | Token::Minus | Token::Plus) => rows(reader).map(Some),
        _ => Ok(Some(1)),
    }
}

fn rows(reader: &mut Reader) -> Result<u64> {
    match u64::try_from(reader.integer()?) {
        Ok(0) => Err(refused("FETCH 0", "Cursors move forward only; a row is sent once.")),
        Ok(count) => Ok(count),
        Err(_) => Err(refused("a cursor that moves backward", "Cursors move forward only.")),
    }
}
