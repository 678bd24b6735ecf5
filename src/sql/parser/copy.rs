//! COPY .. TO STDOUT and COPY .. FROM STDIN. Everything that would read or write a file is refused.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{self, Visit as _, Visitor};
use datafusion::sql::sqlparser::tokenizer::Token;

use super::copy_options::{Direction, Options};
use super::reader::{Reader, refused};
use crate::error::{Error, ErrorKind, Result};
use crate::sql::statement::{Command, CopyFormat, CopyTable, Name, Statement};

/// COPY {(query) | table [(columns)]} TO STDOUT [options], COPY table [(columns)] FROM STDIN [options] [WHERE condition].
pub(super) fn copy(reader: &mut Reader) -> Result<Statement> {
    reader.expect_word("copy")?;
    if reader.peek_word(0) == "into" {
        return Err(refused(
            "COPY INTO",
            "Register the files' table with CREATE TABLE .. LOCATION 'url', or use INSERT INTO .. SELECT ..",
        ));
    }
    let is_binary = reader.peek_word(0) == "binary" && *reader.peek_token(1) != Token::Period;
    if is_binary {
        reader.skip(1);
    }
    if reader.token(&Token::LParen) {
        let query = reader.query()?;
        reader.expect_token(&Token::RParen)?;
        reader.expect_word("to")?;
        let options = behind(reader, Direction::To, is_binary)?;
        return options.copy_out(query, None).map(Statement::CopyOut);
    }
    let name = reader.name()?;
    let columns = match reader.peek_token(0) {
        Token::LParen => reader.parenthesized(Reader::identifier)?,
        _ => vec![],
    };
    let table = CopyTable { name, columns };
    match reader.one_of(&["to", "from"]) {
        Some("to") => {
            let options = behind(reader, Direction::To, is_binary)?;
            // COPY of a table is COPY of a query over it.
            let query = select_columns(&table.name, &table.columns);
            options.copy_out(query, Some(table)).map(Statement::CopyOut)
        }
        Some(_) => {
            let options = behind(reader, Direction::From, is_binary)?;
            let condition = if reader.word("where") { Some(condition(reader)?) } else { None };
            options.copy_in(table, condition).map(|copy| Statement::Command(Command::CopyIn(copy)))
        }
        None => Err(reader.unexpected()),
    }
}

/// What stands behind TO or FROM.
fn behind(reader: &mut Reader, direction: Direction, is_binary: bool) -> Result<Options> {
    let what = if direction == Direction::From { "COPY from" } else { "COPY to" };
    let hint =
        "COPY .. TO STDOUT and COPY .. FROM STDIN go over the connection; psql's \\copy reads and writes files of the client.";
    // PostgreSQL takes either word for either direction.
    if reader.one_of(&["stdin", "stdout"]).is_none() {
        return Err(match reader.peek_token(0) {
            Token::SingleQuotedString(_) => refused(format!("{what} a file"), hint),
            _ if reader.peek_word(0) == "program" => refused(format!("{what} a program"), hint),
            _ => reader.unexpected(),
        });
    }
    let mut options = Options::new(direction, is_binary.then_some(CopyFormat::Binary));
    options.read(reader)?;
    if direction == Direction::To && reader.peek_word(0) == "where" {
        let position = reader.position();
        return Err(Error::new(ErrorKind::Syntax, "WHERE clause not allowed with COPY TO").with_position(position));
    }
    Ok(options)
}

/// What stands behind WHERE: an expression over the row that is read, and nothing else.
fn condition(reader: &mut Reader) -> Result<Box<ast::Expr>> {
    let condition = reader.expression()?;
    if condition.visit(&mut Queries).is_break() {
        return Err(Error::new(ErrorKind::Unsupported, "cannot use subquery in COPY FROM WHERE condition")
            .with_hint("COPY into a table of its own, then INSERT INTO .. SELECT .. WHERE .. from there."));
    }
    Ok(Box::new(condition))
}

/// Finds a query inside an expression.
struct Queries;

impl Visitor for Queries {
    type Break = ();

    fn pre_visit_query(&mut self, _: &ast::Query) -> ControlFlow<()> {
        ControlFlow::Break(())
    }
}

/// `SELECT columns FROM table`.
pub(super) fn select_columns(table: &Name, columns: &[String]) -> Box<ast::Query> {
    let quoted = |part: &String| ast::Ident::with_quote('"', part);
    let projection = match columns {
        [] => vec![ast::SelectItem::Wildcard(ast::WildcardAdditionalOptions::default())],
        columns => columns.iter().map(|column| ast::SelectItem::UnnamedExpr(ast::Expr::Identifier(quoted(column)))).collect(),
    };
    let relation = ast::TableFactor::Table {
        name: ast::ObjectName::from(table.parts.iter().map(quoted).collect::<Vec<_>>()),
        alias: None,
        args: None,
        with_hints: vec![],
        version: None,
        with_ordinality: false,
        partitions: vec![],
        json_path: None,
        sample: None,
        index_hints: vec![],
    };
    let select = ast::Select {
        select_token: ast::helpers::attached_token::AttachedToken::empty(),
        optimizer_hints: vec![],
        distinct: None,
        select_modifiers: None,
        top: None,
        top_before_distinct: false,
        projection,
        exclude: None,
        into: None,
        from: vec![ast::TableWithJoins { relation, joins: vec![] }],
        lateral_views: vec![],
        prewhere: None,
        selection: None,
        connect_by: vec![],
        group_by: ast::GroupByExpr::Expressions(vec![], vec![]),
        cluster_by: vec![],
        distribute_by: vec![],
        sort_by: vec![],
        having: None,
        named_window: vec![],
        qualify: None,
        window_before_qualify: false,
        value_table_mode: None,
        flavor: ast::SelectFlavor::Standard,
    };
    Box::new(ast::Query {
        with: None,
        body: Box::new(ast::SetExpr::Select(Box::new(select))),
        order_by: None,
        limit_clause: None,
        fetch: None,
        locks: vec![],
        for_clause: None,
        settings: None,
        format_clause: None,
        pipe_operators: vec![],
    })
}
