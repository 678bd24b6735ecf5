//! COPY .. TO STDOUT, with PostgreSQL's option list and the older one. Everything that would read or write a file is refused.

use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::tokenizer::Token;

use super::explain::boolean;
use super::reader::{Reader, refused};
use crate::error::{Error, ErrorKind, Result};
use crate::sql::statement::{CopyFormat, CopyOut, Name, Statement};

/// COPY {(query) | table [(columns)]} TO STDOUT [options].
pub(super) fn copy(reader: &mut Reader) -> Result<Statement> {
    reader.expect_word("copy")?;
    if reader.peek_word(0) == "into" {
        return Err(refused(
            "COPY INTO",
            "Register the files' table with CREATE TABLE .. LOCATION 'url', or use INSERT INTO .. SELECT ..",
        ));
    }
    let mut options = Options::default();
    if reader.peek_word(0) == "binary" && *reader.peek_token(1) != Token::Period {
        reader.skip(1);
        options.format = Some(CopyFormat::Binary);
    }
    let query = if reader.token(&Token::LParen) {
        let query = reader.query()?;
        reader.expect_token(&Token::RParen)?;
        query
    } else {
        table_query(reader)?
    };
    match reader.one_of(&["to", "from"]) {
        Some("to") => {}
        Some(_) => return Err(refused("COPY FROM", "Use INSERT INTO .. VALUES .. or INSERT INTO .. SELECT ..")),
        None => return Err(reader.unexpected()),
    }
    if !reader.word("stdout") {
        return Err(match reader.peek_token(0) {
            Token::SingleQuotedString(_) | Token::Word(_) => refused("COPY to a file or a program", "Use COPY .. TO STDOUT."),
            _ => reader.unexpected(),
        });
    }
    options.read(reader)?;
    options.finish(query).map(Statement::CopyOut)
}

/// COPY of a table is COPY of a query over it.
fn table_query(reader: &mut Reader) -> Result<Box<ast::Query>> {
    let table = reader.name()?;
    let columns = match reader.peek_token(0) {
        Token::LParen => reader.parenthesized(Reader::identifier)?,
        _ => vec![],
    };
    Ok(select_columns(&table, &columns))
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

#[derive(Default)]
struct Options {
    format: Option<CopyFormat>,
    header: bool,
    delimiter: Option<String>,
    null: Option<String>,
    quote: Option<String>,
    escape: Option<String>,
}

impl Options {
    fn read(&mut self, reader: &mut Reader) -> Result<()> {
        let with = reader.word("with");
        if *reader.peek_token(0) == Token::LParen {
            reader.parenthesized(|reader| self.option(reader))?;
            return Ok(());
        }
        if with && reader.at_end() {
            return Err(reader.unexpected());
        }
        while !reader.at_end() {
            self.older_option(reader)?;
        }
        Ok(())
    }

    /// FORMAT csv, HEADER true, ..
    fn option(&mut self, reader: &mut Reader) -> Result<()> {
        match reader.label()?.as_str() {
            "format" => {
                let name = text_or_word(reader)?;
                self.format = Some(match name.to_ascii_lowercase().as_str() {
                    "text" => CopyFormat::Text,
                    "csv" => CopyFormat::Csv,
                    "binary" => CopyFormat::Binary,
                    other => {
                        return Err(Error::new(ErrorKind::InvalidParameter, format!("COPY format \"{other}\" not recognized")));
                    }
                });
            }
            "header" => self.header = boolean(reader)?,
            "delimiter" => self.delimiter = Some(reader.string()?),
            "null" => self.null = Some(reader.string()?),
            "quote" => self.quote = Some(reader.string()?),
            "escape" => self.escape = Some(reader.string()?),
            "encoding" => utf8_only(&text_or_word(reader)?)?,
            "freeze" | "oids" | "force_not_null" | "force_null" | "default" | "on_error" | "log_verbosity" => {
                return Err(
                    Error::new(ErrorKind::Unsupported, "this option of COPY is not supported").with_hint("It is for COPY FROM.")
                );
            }
            "force_quote" => return Err(refused("FORCE_QUOTE", "Values are quoted where CSV needs it.")),
            option => return Err(Error::new(ErrorKind::Syntax, format!("option \"{option}\" not recognized"))),
        }
        Ok(())
    }

    /// CSV HEADER DELIMITER AS ',', ..
    fn older_option(&mut self, reader: &mut Reader) -> Result<()> {
        match reader.peek_word(0) {
            "binary" => self.format = Some(CopyFormat::Binary),
            "csv" => self.format = Some(CopyFormat::Csv),
            "header" => self.header = true,
            "delimiter" | "null" | "quote" | "escape" | "encoding" | "force" => {
                return self.older_option_with_value(reader);
            }
            _ => return Err(reader.unexpected()),
        }
        reader.skip(1);
        Ok(())
    }

    fn older_option_with_value(&mut self, reader: &mut Reader) -> Result<()> {
        let option = reader.label()?;
        if option == "force" {
            return Err(refused("FORCE QUOTE", "Values are quoted where CSV needs it."));
        }
        reader.word("as");
        let value = reader.string()?;
        match option.as_str() {
            "delimiter" => self.delimiter = Some(value),
            "null" => self.null = Some(value),
            "quote" => self.quote = Some(value),
            "escape" => self.escape = Some(value),
            _ => utf8_only(&value)?,
        }
        Ok(())
    }

    fn finish(self, query: Box<ast::Query>) -> Result<CopyOut> {
        let format = self.format.unwrap_or(CopyFormat::Text);
        let invalid = |message: &str| Err(Error::new(ErrorKind::Syntax, message));
        if format == CopyFormat::Binary {
            if self.delimiter.is_some() {
                return invalid("cannot specify DELIMITER in BINARY mode");
            }
            if self.null.is_some() {
                return invalid("cannot specify NULL in BINARY mode");
            }
            if self.header {
                return invalid("cannot specify HEADER in BINARY mode");
            }
        }
        if format != CopyFormat::Csv && self.quote.is_some() {
            return invalid("COPY quote available only in CSV mode");
        }
        if format != CopyFormat::Csv && self.escape.is_some() {
            return invalid("COPY escape available only in CSV mode");
        }
        if self.quote.is_some_and(|quote| quote != "\"") || self.escape.is_some_and(|escape| escape != "\"") {
            return Err(refused("a QUOTE or ESCAPE other than the double quote", "Leave it out."));
        }
        let delimiter = match self.delimiter.as_deref().map(str::as_bytes) {
            None if format == CopyFormat::Csv => b',',
            None => b'\t',
            Some([byte]) => checked_delimiter(*byte, format)?,
            Some(_) => return invalid("COPY delimiter must be a single one-byte character"),
        };
        let null = self.null.unwrap_or_else(|| if format == CopyFormat::Csv { String::new() } else { "\\N".to_string() });
        if null.contains(['\n', '\r']) {
            return Err(Error::new(ErrorKind::InvalidParameter, "COPY null representation cannot use newline or carriage return"));
        }
        if null.as_bytes().contains(&delimiter) {
            return Err(Error::new(
                ErrorKind::InvalidParameter,
                "COPY delimiter character must not appear in the NULL specification",
            ));
        }
        Ok(CopyOut { query, format, header: self.header, delimiter, null })
    }
}

fn checked_delimiter(byte: u8, format: CopyFormat) -> Result<u8> {
    let invalid = |message: &str| Err(Error::new(ErrorKind::InvalidParameter, message));
    match (format, byte) {
        (_, b'\n' | b'\r') => invalid("COPY delimiter cannot be newline or carriage return"),
        (CopyFormat::Csv, b'"') => invalid("COPY delimiter and quote must be different"),
        (CopyFormat::Text, b'\\' | b'.' | b'a'..=b'z' | b'0'..=b'9') => {
            invalid(&format!("COPY delimiter cannot be \"{}\"", char::from(byte)))
        }
        _ => Ok(byte),
    }
}

fn text_or_word(reader: &mut Reader) -> Result<String> {
    match reader.optional_string() {
        Some(text) => Ok(text),
        None => reader.label(),
    }
}

fn utf8_only(encoding: &str) -> Result<()> {
    match encoding.to_ascii_lowercase().as_str() {
        "utf8" | "utf-8" | "unicode" => Ok(()),
        _ => Err(refused(format!("COPY in encoding {encoding}"), "Use UTF8.")),
    }
}
