//! DECLARE, FETCH, MOVE, CLOSE.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::reader::Reader;
use crate::error::{Error, ErrorKind, Result};
use crate::sql::statement::{CursorStatement, FetchDirection, Statement};

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
    let (mut binary, mut scroll, mut sensitivity) = (false, None, None);
    while !reader.word("cursor") {
        if reader.words(&["no", "scroll"]) {
            once(&mut scroll, false, ("SCROLL", "NO SCROLL"))?;
        } else if reader.word("scroll") {
            once(&mut scroll, true, ("SCROLL", "NO SCROLL"))?;
        } else if let Some(word) = reader.one_of(&["insensitive", "asensitive"]) {
            once(&mut sensitivity, word == "insensitive", ("INSENSITIVE", "ASENSITIVE"))?;
        } else {
            reader.expect_word("binary")?;
            binary = true;
        }
    }
    let hold = reader.words(&["with", "hold"]);
    if !hold && reader.word("without") {
        reader.expect_word("hold")?;
    }
    reader.expect_word("for")?;
    let query = reader.query()?;
    Ok(CursorStatement::Declare { name, binary, scroll, hold, query })
}

/// Two words of which only one may be said.
fn once(said: &mut Option<bool>, now: bool, (one, other): (&str, &str)) -> Result<()> {
    if said.is_some_and(|before| before != now) {
        let message = format!("cannot specify both {one} and {other}");
        return Err(Error::new(ErrorKind::InvalidCursorDefinition, message));
    }
    *said = Some(now);
    Ok(())
}

fn fetch(reader: &mut Reader, skip: bool) -> Result<CursorStatement> {
    let direction = direction(reader)?;
    reader.one_of(&["from", "in"]);
    let name = reader.identifier()?;
    Ok(CursorStatement::Fetch { name, direction, skip })
}

fn direction(reader: &mut Reader) -> Result<FetchDirection> {
    let one = FetchDirection::Forward(Some(1));
    // `FETCH next` fetches from a cursor of that name.
    if *reader.peek_token(1) == Token::EOF {
        return Ok(one);
    }
    if is_number(reader) {
        return Ok(forward(reader.integer()?));
    }
    let words = ["next", "prior", "first", "last", "absolute", "relative", "all", "forward", "backward"];
    Ok(match reader.one_of(&words) {
        Some("prior") => FetchDirection::Backward(Some(1)),
        Some("first") => FetchDirection::Absolute(1),
        Some("last") => FetchDirection::Absolute(-1),
        Some("absolute") => FetchDirection::Absolute(reader.integer()?),
        Some("relative") => FetchDirection::Relative(reader.integer()?),
        Some("all") => FetchDirection::Forward(None),
        Some("forward") if reader.word("all") => FetchDirection::Forward(None),
        Some("forward") if is_number(reader) => forward(reader.integer()?),
        Some("backward") if reader.word("all") => FetchDirection::Backward(None),
        Some("backward") if is_number(reader) => forward(reader.integer()?.saturating_neg()),
        Some("backward") => FetchDirection::Backward(Some(1)),
        _ => one,
    })
}

fn is_number(reader: &Reader) -> bool {
    matches!(reader.peek_token(0), Token::Number(_, _) | Token::Minus | Token::Plus)
}

/// That many rows; none of them is the current one again, fewer are those behind.
fn forward(rows: i64) -> FetchDirection {
    match rows {
        0 => FetchDirection::Relative(0),
        1.. => FetchDirection::Forward(Some(rows.unsigned_abs())),
        _ => FetchDirection::Backward(Some(rows.unsigned_abs())),
    }
}
