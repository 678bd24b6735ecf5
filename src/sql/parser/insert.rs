//! INSERT.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::copy::select_columns;
use super::reader::{Reader, refused};
use crate::error::Result;
use crate::sql::statement::Command;

/// INSERT INTO [TABLE] name [(columns) | BY NAME] query.
pub(super) fn insert(reader: &mut Reader) -> Result<Command> {
    reader.expect_word("insert")?;
    if reader.peek_word(0) == "overwrite" {
        return Err(refused("INSERT OVERWRITE", "Create the table anew: CREATE OR REPLACE TABLE .. AS SELECT .."));
    }
    reader.expect_word("into")?;
    if reader.peek_word(0) == "table" && matches!(reader.peek_token(1), Token::Word(_)) {
        reader.skip(1);
    }
    let table = reader.name()?;
    refuse_clause(reader)?;
    let starts_query =
        matches!(reader.peek_word(1), "select" | "with" | "values" | "table") || *reader.peek_token(1) == Token::LParen;
    let columns = match reader.peek_token(0) {
        Token::LParen if !starts_query => reader.parenthesized(column)?,
        _ => vec![],
    };
    refuse_clause(reader)?;
    let by_name = reader.words(&["by", "name"]);
    if by_name && !columns.is_empty() {
        return Err(refused("BY NAME together with a column list", "Leave one of them out."));
    }
    let query = match reader.peek_word(0) {
        "table" => {
            reader.skip(1);
            select_columns(&reader.name()?, &[])
        }
        _ => reader.query()?,
    };
    refuse_clause(reader)?;
    Ok(Command::Insert { table, columns, by_name, query })
}

fn column(reader: &mut Reader) -> Result<String> {
    let name = reader.identifier()?;
    match reader.peek_token(0) {
        Token::LBracket | Token::Period => Err(refused("INSERT into a part of a column", "Insert whole values.")),
        _ => Ok(name),
    }
}

fn refuse_clause(reader: &Reader) -> Result<()> {
    Err(match reader.peek_word(0) {
        "as" => refused("an alias in INSERT", "Leave it out."),
        "default" => refused("DEFAULT VALUES", "Columns have no defaults; insert NULL."),
        "overriding" => refused("OVERRIDING", "There are no identity columns."),
        "on" => refused("ON CONFLICT", "Tables have no unique keys."),
        "returning" => refused("RETURNING", "Query the table after the INSERT."),
        "replace" => refused("REPLACE WHERE", "Create the table anew: CREATE OR REPLACE TABLE .. AS SELECT .."),
        "partition" => refused("PARTITION in INSERT", "Give the partition columns their values as any other column."),
        _ => return Ok(()),
    })
}
