//! CREATE TABLE in PostgreSQL's and Databricks' clauses.

use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::tokenizer::Token;

use super::create::{comment, if_not_exists, option};
use super::reader::{Reader, refused};
use crate::catalog::securable::{PolicyArgument, TEMPORARY_SCHEMA};
use crate::error::{Error, ErrorKind, Result};
use crate::sql::statement::{ColumnDefinition, Command, CreateTable, Name, OnCommit};

/// CREATE [OR REPLACE] [EXTERNAL] TABLE, behind the modifiers.
pub(super) fn create_table(reader: &mut Reader, or_replace: bool, external: bool, temporary: bool) -> Result<Command> {
    reader.expect_word("table")?;
    let if_not_exists = if_not_exists(reader);
    let name = reader.name()?;
    let columns = match reader.peek_token(0) {
        Token::LParen => columns(reader)?,
        _ => vec![],
    };
    let temporary = temporary || matches!(name.parts.as_slice(), [schema, _] if schema == TEMPORARY_SCHEMA);
    let mut table = CreateTable {
        name,
        temporary: temporary.then_some(OnCommit::PreserveRows),
        if_not_exists,
        or_replace,
        columns,
        query: None,
        partitioned_by: vec![],
        location: None,
        properties: vec![],
        comment: None,
    };
    while !reader.at_end() {
        clause(reader, &mut table)?;
    }
    if external && table.location.is_none() {
        return Err(
            Error::new(ErrorKind::InvalidTableDefinition, "an external table needs a location").with_hint("Add LOCATION 'url'.")
        );
    }
    if table.columns.is_empty() && table.query.is_none() && table.location.is_none() {
        let hint = "Give a column list, AS SELECT .., or the LOCATION of an existing Delta table.";
        return Err(Error::new(ErrorKind::InvalidTableDefinition, "table has no columns").with_hint(hint));
    }
    if !table.columns.is_empty() && table.query.is_some() {
        let hint = "Name and cast the columns in the query: AS SELECT a::bigint AS b ..";
        return Err(refused("a column list together with AS SELECT", hint));
    }
    Ok(Command::CreateTable(table))
}

/// SELECT .. INTO [TEMPORARY] [TABLE] name.
pub(super) fn select_into(into: ast::SelectInto, query: Box<ast::Query>) -> Result<Command> {
    if into.unlogged {
        return Err(refused("an unlogged table", "Leave UNLOGGED out."));
    }
    let parts: Vec<String> =
        into.name.0.iter().filter_map(|part| part.as_ident()).map(|identifier| identifier.value.clone()).collect();
    let temporary = into.temporary || matches!(parts.as_slice(), [schema, _] if schema == TEMPORARY_SCHEMA);
    Ok(Command::CreateTable(CreateTable {
        name: Name { parts, position: None },
        temporary: temporary.then_some(OnCommit::PreserveRows),
        if_not_exists: false,
        or_replace: false,
        columns: vec![],
        query: Some(query),
        partitioned_by: vec![],
        location: None,
        properties: vec![],
        comment: None,
    }))
}

fn clause(reader: &mut Reader, table: &mut CreateTable) -> Result<()> {
    if reader.word("as") {
        let (query, _) = reader.query_with_text()?;
        table.query = Some(query);
        if reader.peek_words(&["with", "no", "data"]) {
            return Err(refused("WITH NO DATA", "Add LIMIT 0 to the query."));
        }
        if reader.words(&["with", "data"]) || reader.at_end() {
            return reader.expect_end();
        }
        return Err(reader.unexpected());
    }
    if let Some(text) = comment(reader)? {
        table.comment = Some(text);
        return Ok(());
    }
    match reader.peek_word(0) {
        "using" => {
            reader.skip(1);
            let format = reader.label()?;
            if format != "delta" {
                return Err(refused(format!("table format {format}"), "Tables are Delta tables: USING DELTA."));
            }
        }
        "partitioned" => {
            reader.skip(1);
            reader.expect_word("by")?;
            table.partitioned_by = reader.parenthesized(partition_column)?;
        }
        "location" => {
            reader.skip(1);
            table.location = Some(reader.string()?);
            if reader.peek_words(&["with"]) {
                return Err(refused(
                    "a credential in LOCATION",
                    "CREATE EXTERNAL LOCATION .. WITH (STORAGE CREDENTIAL name) covers the url.",
                ));
            }
        }
        "tblproperties" => {
            reader.skip(1);
            table.properties = reader.parenthesized(option)?;
        }
        "on" if reader.peek_word(1) == "commit" => {
            let position = reader.position();
            reader.skip(2);
            let on_commit = on_commit(reader)?;
            if table.temporary.is_none() {
                let message = "ON COMMIT can only be used on temporary tables";
                return Err(Error::new(ErrorKind::InvalidTableDefinition, message).with_position(position));
            }
            table.temporary = Some(on_commit);
        }
        "select" | "values" if table.query.is_none() => {
            return Err(reader.unexpected());
        }
        _ => return Err(refuse_clause(reader)),
    }
    Ok(())
}

fn on_commit(reader: &mut Reader) -> Result<OnCommit> {
    if reader.words(&["preserve", "rows"]) {
        Ok(OnCommit::PreserveRows)
    } else if reader.words(&["delete", "rows"]) {
        Ok(OnCommit::DeleteRows)
    } else {
        reader.expect_word("drop")?;
        Ok(OnCommit::Drop)
    }
}

fn partition_column(reader: &mut Reader) -> Result<String> {
    let name = reader.identifier()?;
    match reader.peek_token(0) {
        Token::Comma | Token::RParen => Ok(name),
        _ => Err(refused("a partition expression or a typed partition column", "Name columns of the column list.")),
    }
}

/// Clauses of CREATE TABLE that are known and refused.
fn refuse_clause(reader: &Reader) -> Error {
    match reader.peek_word(0) {
        "cluster" | "clustered" => refused("CLUSTER BY", "Use PARTITIONED BY (columns)."),
        "partition" => refused("PARTITION BY", "Use PARTITIONED BY (columns)."),
        "shallow" | "deep" | "clone" => refused("CLONE", "Use CREATE TABLE .. AS SELECT .."),
        "like" => refused("CREATE TABLE .. LIKE", "Use CREATE TABLE .. AS SELECT .. LIMIT 0."),
        "with" if reader.peek_words(&["with", "row", "filter"]) => {
            refused("WITH ROW FILTER in CREATE TABLE", "Use ALTER TABLE .. SET ROW FILTER once the table is there.")
        }
        "with" => refused("a list of storage parameters", "Use TBLPROPERTIES ('key' = 'value')."),
        "options" => refused("OPTIONS", "Use TBLPROPERTIES ('key' = 'value')."),
        "inherits" => refused("INHERITS", "Tables have no parents."),
        "on" => refused("ON COMMIT", "There are no temporary tables."),
        "tablespace" => refused("TABLESPACE", "Use LOCATION 'url', or a MANAGED LOCATION of the schema."),
        "of" => refused("a typed table", "List the columns."),
        "default" => refused("DEFAULT COLLATION", "Strings compare by their bytes."),
        "stored" | "row" => refused("a Hive table", "Tables are Delta tables: USING DELTA."),
        _ => reader.unexpected(),
    }
}

fn columns(reader: &mut Reader) -> Result<Vec<ColumnDefinition>> {
    if *reader.peek_token(1) == Token::RParen {
        reader.skip(2);
        return Ok(vec![]);
    }
    reader.parenthesized(column)
}

fn column(reader: &mut Reader) -> Result<ColumnDefinition> {
    refuse_table_constraint(reader)?;
    let name = reader.identifier()?;
    if matches!(reader.peek_token(0), Token::Comma | Token::RParen) {
        return Err(refused("a column without a type", "In CREATE TABLE .. AS SELECT, name the columns in the query."));
    }
    let mut column = ColumnDefinition { name, sql_type: reader.column_type()?, nullable: true, comment: None, mask: None };
    while !matches!(reader.peek_token(0), Token::Comma | Token::RParen) {
        column_option(reader, &mut column)?;
    }
    Ok(column)
}

fn column_option(reader: &mut Reader, column: &mut ColumnDefinition) -> Result<()> {
    if reader.words(&["not", "null"]) {
        column.nullable = false;
    } else if reader.word("null") {
        if !column.nullable {
            let message = format!("conflicting NULL/NOT NULL declarations for column \"{}\"", column.name);
            return Err(Error::new(ErrorKind::Syntax, message));
        }
    } else if let Some(text) = comment(reader)? {
        column.comment = Some(text);
    } else if reader.word("mask") {
        column.mask = Some(mask(reader)?);
    } else {
        return Err(match reader.peek_word(0) {
            "default" => refused("DEFAULT of a column", "Give the value in INSERT."),
            "check" => refused("CHECK", "Only NOT NULL is enforced."),
            "primary" | "unique" | "references" | "constraint" => {
                refused("a key or named constraint", "Delta tables do not enforce keys; leave the constraint out.")
            }
            "generated" => refused("a generated or identity column", "Compute the value in INSERT .. SELECT."),
            "collate" => refused("COLLATE of a column", "Strings compare by their bytes."),
            "storage" | "compression" => refused("a storage option of a column", "Leave it out."),
            _ => reader.unexpected(),
        });
    }
    Ok(())
}

/// Table constraints start with words that a column may bear too, if a type follows.
fn refuse_table_constraint(reader: &Reader) -> Result<()> {
    let behind = |word: &str| reader.peek_word(1) == word || *reader.peek_token(1) == Token::LParen;
    let is_constraint = match reader.peek_word(0) {
        "primary" | "foreign" => behind("key"),
        "unique" | "check" | "exclude" => *reader.peek_token(1) == Token::LParen || reader.peek_word(1) == "using",
        "constraint" => true,
        "like" => return Err(refused("CREATE TABLE .. LIKE", "Use CREATE TABLE .. AS SELECT .. LIMIT 0.")),
        _ => false,
    };
    if is_constraint { Err(refused("a table constraint", "Only NOT NULL is enforced; leave the constraint out.")) } else { Ok(()) }
}

/// What stands behind MASK: a function and its further arguments.
pub(super) fn mask(reader: &mut Reader) -> Result<(Name, Vec<PolicyArgument>)> {
    let function = reader.name()?;
    let using = if reader.words(&["using", "columns"]) { reader.parenthesized(policy_argument)? } else { vec![] };
    Ok((function, using))
}

fn policy_argument(reader: &mut Reader) -> Result<PolicyArgument> {
    match reader.optional_string() {
        Some(constant) => Ok(PolicyArgument::Constant(constant)),
        None => reader.identifier().map(PolicyArgument::Column),
    }
}
