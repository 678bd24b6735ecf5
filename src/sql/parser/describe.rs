//! SHOW and DESCRIBE of objects.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::account::{self, role};
use super::alter::securable_name;
use super::grant::target;
use super::reader::{Reader, refused};
use crate::catalog::securable::SecurableKind;
use crate::error::Result;
use crate::sql::statement::{Command, Name};

/// SHOW of objects; `None`, and nothing read, if it is SHOW of a setting.
pub(super) fn show(reader: &mut Reader) -> Result<Option<Command>> {
    let command = match reader.peek_word(1) {
        "catalogs" | "databases" => {
            reader.skip(2);
            Command::ShowCatalogs { like: like(reader)? }
        }
        "schemas" => {
            reader.skip(2);
            let catalog = if within(reader) { Some(reader.identifier()?) } else { None };
            Command::ShowSchemas { catalog, like: like(reader)? }
        }
        "tables" => {
            reader.skip(2);
            Command::ShowTables { schema: schema(reader)?, like: like(reader)? }
        }
        "views" => {
            reader.skip(2);
            Command::ShowViews { schema: schema(reader)?, like: like(reader)? }
        }
        "columns" => {
            reader.skip(2);
            show_columns(reader)?
        }
        "grants" | "grant" => {
            reader.skip(2);
            show_grants(reader)?
        }
        "tokens" => {
            reader.skip(2);
            account::show_tokens(reader)?
        }
        "create" => return Err(refused("SHOW CREATE", "Use DESCRIBE TABLE EXTENDED, or pg_get_viewdef(oid) for a view.")),
        word @ ("functions" | "tblproperties" | "partitions" | "users" | "groups" | "roles" | "volumes" | "locations"
        | "external" | "storage" | "credentials" | "policies" | "shares" | "recipients" | "connections" | "procedures"
        | "indexes")
            if *reader.peek_token(2) != Token::Period =>
        {
            return Err(refused(format!("SHOW {}", word.to_uppercase()), "Query information_schema or pg_catalog."));
        }
        _ => return Ok(None),
    };
    Ok(Some(command))
}

fn within(reader: &mut Reader) -> bool {
    reader.one_of(&["in", "from"]).is_some()
}

/// [LIKE] 'pattern'.
fn like(reader: &mut Reader) -> Result<Option<String>> {
    if reader.one_of(&["like", "ilike"]).is_some() {
        return reader.string().map(Some);
    }
    Ok(reader.optional_string())
}

fn schema(reader: &mut Reader) -> Result<Option<Name>> {
    if within(reader) { securable_name(reader, SecurableKind::Schema).map(Some) } else { Ok(None) }
}

/// SHOW COLUMNS IN table [IN schema].
fn show_columns(reader: &mut Reader) -> Result<Command> {
    if !within(reader) {
        return Err(reader.unexpected());
    }
    let table = reader.name()?;
    if !within(reader) {
        return Ok(Command::ShowColumns { table });
    }
    let position = table.position;
    let unexpected = reader.unexpected();
    let mut parts = securable_name(reader, SecurableKind::Schema)?.parts;
    match <[String; 1]>::try_from(table.parts) {
        Ok([table]) => parts.push(table),
        Err(_) => return Err(unexpected),
    }
    Ok(Command::ShowColumns { table: Name { parts, position } })
}

/// SHOW GRANTS [principal] ON target.
fn show_grants(reader: &mut Reader) -> Result<Command> {
    let principal = if reader.peek_word(0) == "on" {
        None
    } else {
        reader.one_of(&["to", "user", "group", "role"]);
        Some(role(reader)?)
    };
    reader.expect_word("on")?;
    Ok(Command::ShowGrants { on: target(reader)?, principal })
}

/// DESCRIBE [TABLE] [EXTENDED] name, DESCRIBE HISTORY name.
pub(super) fn describe(reader: &mut Reader) -> Result<Command> {
    reader.skip(1);
    let is_name = matches!(reader.peek_token(1), Token::EOF | Token::Period);
    if is_name {
        return Ok(Command::DescribeTable { table: reader.name()?, extended: false });
    }
    match reader.peek_word(0) {
        "history" => {
            reader.skip(1);
            return Ok(Command::DescribeHistory { table: reader.name()? });
        }
        "detail" => return Err(refused("DESCRIBE DETAIL", "Use DESCRIBE TABLE EXTENDED.")),
        "catalog" | "database" | "schema" | "function" | "volume" | "storage" | "external" | "query" | "select" | "with"
        | "values" => {
            return Err(refused("DESCRIBE of anything but a table or view", "Query information_schema or pg_catalog."));
        }
        _ => {}
    }
    if reader.peek_word(0) == "table" {
        reader.skip(1);
    }
    let extended = *reader.peek_token(1) != Token::EOF && reader.one_of(&["extended", "formatted"]).is_some();
    let table = reader.name()?;
    if reader.word("as") {
        return Err(refused("DESCRIBE .. AS JSON", "Query information_schema.columns."));
    }
    if matches!(reader.peek_token(0), Token::Word(_)) {
        return Err(refused("DESCRIBE of a column", "Describe the table."));
    }
    Ok(Command::DescribeTable { table, extended })
}
