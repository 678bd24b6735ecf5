//! The options of COPY in PostgreSQL's two spellings, and what goes together.

use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::tokenizer::Token;

use super::reader::{Reader, refused};
use crate::error::{Error, ErrorKind, Result};
use crate::sql::statement::{CopyColumns, CopyForm, CopyFormat, CopyHeader, CopyIn, CopyOut, CopyTable};

/// Which way rows go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// TO STDOUT.
    To,
    /// FROM STDIN.
    From,
}

impl Direction {
    const fn words(self) -> &'static str {
        match self {
            Direction::To => "COPY TO",
            Direction::From => "COPY FROM",
        }
    }
}

/// Options as they were written.
pub(super) struct Options {
    direction: Direction,
    format: Option<CopyFormat>,
    freeze: Option<bool>,
    delimiter: Option<String>,
    null: Option<String>,
    default: Option<String>,
    header: Option<CopyHeader>,
    quote: Option<String>,
    escape: Option<String>,
    force_quote: Option<CopyColumns>,
    force_not_null: Option<CopyColumns>,
    force_null: Option<CopyColumns>,
    encoding: Option<String>,
    skip_errors: Option<bool>,
    verbose: Option<bool>,
}

/// The argument of an option in parentheses.
enum Value {
    Missing,
    Text(String),
    Star,
    List(Vec<String>),
}

impl Options {
    pub(super) fn new(direction: Direction, format: Option<CopyFormat>) -> Self {
        Options {
            direction,
            format,
            freeze: None,
            delimiter: None,
            null: None,
            default: None,
            header: None,
            quote: None,
            escape: None,
            force_quote: None,
            force_not_null: None,
            force_null: None,
            encoding: None,
            skip_errors: None,
            verbose: None,
        }
    }

    /// Reads [WITH] (option value, ..) or the older [WITH] CSV HEADER ..
    pub(super) fn read(&mut self, reader: &mut Reader) -> Result<()> {
        if reader.word("using") {
            reader.expect_word("delimiters")?;
            self.delimiter = Some(reader.string()?);
        }
        reader.word("with");
        if *reader.peek_token(0) == Token::LParen {
            reader.parenthesized(|reader| {
                let position = reader.position();
                self.option(reader).map_err(|error| if error.position().is_some() { error } else { error.with_position(position) })
            })?;
            return Ok(());
        }
        while !reader.at_end() && reader.peek_word(0) != "where" {
            let position = reader.position();
            self.older_option(reader)
                .map_err(|error| if error.position().is_some() { error } else { error.with_position(position) })?;
        }
        Ok(())
    }

    /// FORMAT csv, HEADER true, ..
    fn option(&mut self, reader: &mut Reader) -> Result<()> {
        let name = reader.label()?;
        let value = Value::read(reader)?;
        match name.as_str() {
            "format" => once(&mut self.format, format(&value.text(&name)?)?),
            "freeze" => once(&mut self.freeze, value.boolean(&name)?),
            "delimiter" => once(&mut self.delimiter, value.text(&name)?),
            "null" => once(&mut self.null, value.text(&name)?),
            "default" => once(&mut self.default, value.text(&name)?),
            "header" => once(&mut self.header, self.direction.header(value)?),
            "quote" => once(&mut self.quote, value.text(&name)?),
            "escape" => once(&mut self.escape, value.text(&name)?),
            "force_quote" => once(&mut self.force_quote, value.columns(&name)?),
            "force_not_null" => once(&mut self.force_not_null, value.columns(&name)?),
            "force_null" => once(&mut self.force_null, value.columns(&name)?),
            "encoding" => once(&mut self.encoding, value.text(&name)?),
            "on_error" if self.direction == Direction::To => Err(self.misplaced("ON_ERROR")),
            "on_error" => once(&mut self.skip_errors, choice("ON_ERROR", &value.text(&name)?, "stop", "ignore")?),
            "log_verbosity" => once(&mut self.verbose, choice("LOG_VERBOSITY", &value.text(&name)?, "default", "verbose")?),
            _ => Err(Error::new(ErrorKind::Syntax, format!("option \"{name}\" not recognized"))),
        }
    }

    /// CSV HEADER DELIMITER AS ',' FORCE QUOTE *, ..
    fn older_option(&mut self, reader: &mut Reader) -> Result<()> {
        let Some(option) =
            reader.one_of(&["binary", "freeze", "csv", "header", "delimiter", "null", "quote", "escape", "encoding", "force"])
        else {
            return Err(reader.unexpected());
        };
        match option {
            "binary" => once(&mut self.format, CopyFormat::Binary),
            "csv" => once(&mut self.format, CopyFormat::Csv),
            "freeze" => once(&mut self.freeze, true),
            "header" => once(&mut self.header, CopyHeader::Skip),
            "encoding" => once(&mut self.encoding, reader.string()?),
            "force" if reader.word("quote") => once(&mut self.force_quote, older_columns(reader)?),
            "force" if reader.words(&["not", "null"]) => once(&mut self.force_not_null, older_columns(reader)?),
            "force" if reader.word("null") => once(&mut self.force_null, older_columns(reader)?),
            "force" => Err(reader.unexpected()),
            _ => {
                reader.word("as");
                let value = reader.string()?;
                match option {
                    "delimiter" => once(&mut self.delimiter, value),
                    "null" => once(&mut self.null, value),
                    "quote" => once(&mut self.quote, value),
                    _ => once(&mut self.escape, value),
                }
            }
        }
    }

    /// COPY .. TO STDOUT with these options.
    pub(super) fn copy_out(self, query: Box<ast::Query>, table: Option<CopyTable>) -> Result<CopyOut> {
        let form = self.checked()?;
        let header = matches!(self.header, Some(CopyHeader::Skip));
        Ok(CopyOut { query, table, form, header, force_quote: self.force_quote.unwrap_or_default() })
    }

    /// COPY .. FROM STDIN with these options.
    pub(super) fn copy_in(self, table: CopyTable, condition: Option<Box<ast::Expr>>) -> Result<CopyIn> {
        let form = self.checked()?;
        Ok(CopyIn {
            table,
            form,
            header: self.header.unwrap_or(CopyHeader::None),
            default: self.default,
            force_null: self.force_null.unwrap_or_default(),
            force_not_null: self.force_not_null.unwrap_or_default(),
            skip_errors: self.skip_errors.unwrap_or(false),
            verbose: self.verbose.unwrap_or(false),
            condition,
        })
    }

    /// What goes together, in the order in which PostgreSQL looks at it.
    fn checked(&self) -> Result<CopyForm> {
        let format = self.format.unwrap_or(CopyFormat::Text);
        if format == CopyFormat::Binary {
            self.check_binary()?;
        }
        let defaults = CopyForm::of(format);
        let null = self.null.clone().unwrap_or(defaults.null);
        let delimiter = match self.delimiter.as_deref() {
            None => defaults.delimiter,
            Some(text) => single_byte(text, "delimiter")?,
        };
        if matches!(delimiter, b'\r' | b'\n') {
            return Err(invalid("COPY delimiter cannot be newline or carriage return"));
        }
        for (text, what) in [(Some(&null), "null"), (self.default.as_ref(), "default")] {
            if text.is_some_and(|text| text.contains(['\r', '\n'])) {
                return Err(invalid(format!("COPY {what} representation cannot use newline or carriage return")));
            }
        }
        if format != CopyFormat::Csv && matches!(delimiter, b'\\' | b'.' | b'a'..=b'z' | b'0'..=b'9') {
            return Err(invalid(format!("COPY delimiter cannot be \"{}\"", char::from(delimiter))));
        }
        if format == CopyFormat::Binary && !matches!(self.header, None | Some(CopyHeader::None)) {
            return Err(Error::new(ErrorKind::Unsupported, "cannot specify HEADER in BINARY mode").with_hint("Leave it out."));
        }
        let (quote, escape) = self.quoting(format, delimiter)?;
        self.check_direction(format)?;
        self.check_texts(format, &null, delimiter, quote)?;
        if format == CopyFormat::Binary && self.skip_errors == Some(true) {
            return Err(Error::new(ErrorKind::Syntax, "only ON_ERROR STOP is allowed in BINARY mode"));
        }
        self.check_encoding()?;
        Ok(CopyForm { format, delimiter, null, quote, escape })
    }

    fn check_binary(&self) -> Result<()> {
        let given = [("DELIMITER", &self.delimiter), ("NULL", &self.null), ("DEFAULT", &self.default)];
        match given.iter().find(|(_, value)| value.is_some()) {
            Some((option, _)) => Err(Error::new(ErrorKind::Syntax, format!("cannot specify {option} in BINARY mode"))),
            None => Ok(()),
        }
    }

    /// QUOTE and ESCAPE.
    fn quoting(&self, format: CopyFormat, delimiter: u8) -> Result<(u8, u8)> {
        if format != CopyFormat::Csv {
            for (option, value) in [("QUOTE", &self.quote), ("ESCAPE", &self.escape)] {
                if value.is_some() {
                    return Err(needs_csv(option));
                }
            }
            return Ok((b'"', b'"'));
        }
        let quote = self.quote.as_deref().map_or(Ok(b'"'), |text| single_byte(text, "quote"))?;
        if quote == delimiter {
            return Err(invalid("COPY delimiter and quote must be different"));
        }
        let escape = self.escape.as_deref().map_or(Ok(quote), |text| single_byte(text, "escape"))?;
        Ok((quote, escape))
    }

    /// Options that are for CSV, or for one direction.
    fn check_direction(&self, format: CopyFormat) -> Result<()> {
        let forced = [
            ("FORCE_QUOTE", &self.force_quote, Direction::To),
            ("FORCE_NOT_NULL", &self.force_not_null, Direction::From),
            ("FORCE_NULL", &self.force_null, Direction::From),
        ];
        for (option, columns, direction) in forced {
            if columns.is_none() {
                continue;
            }
            if format != CopyFormat::Csv {
                return Err(needs_csv(option));
            }
            if direction != self.direction {
                return Err(self.misplaced(option));
            }
        }
        if self.direction == Direction::To && self.freeze == Some(true) {
            return Err(self.misplaced("FREEZE"));
        }
        if self.direction == Direction::To && self.default.is_some() {
            return Err(self.misplaced("DEFAULT"));
        }
        Ok(())
    }

    fn misplaced(&self, option: &str) -> Error {
        let kind = if matches!(option, "FORCE_QUOTE" | "DEFAULT") { ErrorKind::Unsupported } else { ErrorKind::InvalidParameter };
        Error::new(kind, format!("COPY {option} cannot be used with {}", self.direction.words())).with_hint("Leave it out.")
    }

    /// NULL and DEFAULT must be told from values, and from each other.
    fn check_texts(&self, format: CopyFormat, null: &str, delimiter: u8, quote: u8) -> Result<()> {
        if format == CopyFormat::Binary {
            return Ok(());
        }
        // PostgreSQL's classes for DEFAULT differ from those for NULL.
        let texts =
            [(Some(null), "NULL", ErrorKind::InvalidParameter), (self.default.as_deref(), "DEFAULT", ErrorKind::Unsupported)];
        let refuse = |kind, message| Err(Error::new(kind, message).with_hint("Choose another text."));
        for (text, option, kind) in texts {
            let Some(bytes) = text.map(str::as_bytes) else { continue };
            if bytes.contains(&delimiter) {
                return refuse(kind, format!("COPY delimiter character must not appear in the {option} specification"));
            }
            if format == CopyFormat::Csv && bytes.contains(&quote) {
                return refuse(kind, format!("CSV quote character must not appear in the {option} specification"));
            }
        }
        if self.default.as_deref() == Some(null) {
            let message = "NULL specification and DEFAULT specification cannot be the same";
            return Err(Error::new(ErrorKind::Unsupported, message).with_hint("Choose two different texts."));
        }
        Ok(())
    }

    fn check_encoding(&self) -> Result<()> {
        match self.encoding.as_ref().map(|encoding| encoding.to_ascii_lowercase()).as_deref() {
            None | Some("utf8" | "utf-8" | "unicode") => Ok(()),
            Some(encoding) => Err(refused(format!("COPY in encoding {encoding}"), "Use UTF8.")),
        }
    }
}

impl Direction {
    fn header(self, value: Value) -> Result<CopyHeader> {
        let text = match value {
            Value::Missing => return Ok(CopyHeader::Skip),
            Value::Text(text) => text.to_ascii_lowercase(),
            Value::Star | Value::List(_) => String::new(),
        };
        match text.as_str() {
            "true" | "on" | "1" => Ok(CopyHeader::Skip),
            "false" | "off" | "0" => Ok(CopyHeader::None),
            "match" if self == Direction::From => Ok(CopyHeader::Match),
            "match" => {
                Err(Error::new(ErrorKind::Unsupported, "cannot use \"match\" with HEADER in COPY TO").with_hint("Use HEADER true."))
            }
            _ => Err(Error::new(ErrorKind::Syntax, "header requires a Boolean value or \"match\"")),
        }
    }
}

impl Value {
    fn read(reader: &mut Reader) -> Result<Self> {
        match reader.peek_token(0) {
            Token::Mul => {
                reader.skip(1);
                Ok(Value::Star)
            }
            Token::LParen => reader.parenthesized(text_or_word).map(Value::List),
            Token::SingleQuotedString(_) | Token::Word(_) => text_or_word(reader).map(Value::Text),
            Token::Number(..) | Token::Minus | Token::Plus => reader.integer().map(|number| Value::Text(number.to_string())),
            _ => Ok(Value::Missing),
        }
    }

    fn text(self, option: &str) -> Result<String> {
        match self {
            Value::Text(text) => Ok(text),
            Value::Star => Ok("*".to_string()),
            Value::Missing | Value::List(_) => Err(Error::new(ErrorKind::Syntax, format!("{option} requires a parameter"))),
        }
    }

    fn boolean(self, option: &str) -> Result<bool> {
        let text = match self {
            Value::Missing => return Ok(true),
            Value::Text(text) => text.to_ascii_lowercase(),
            Value::Star | Value::List(_) => String::new(),
        };
        match text.as_str() {
            "true" | "on" | "1" => Ok(true),
            "false" | "off" | "0" => Ok(false),
            _ => Err(Error::new(ErrorKind::Syntax, format!("{option} requires a Boolean value"))),
        }
    }

    fn columns(self, option: &str) -> Result<CopyColumns> {
        match self {
            Value::Star => Ok(CopyColumns::All),
            Value::List(names) => Ok(CopyColumns::Named(names)),
            Value::Missing | Value::Text(_) => {
                Err(invalid(format!("argument to option \"{option}\" must be a list of column names")))
            }
        }
    }
}

fn older_columns(reader: &mut Reader) -> Result<CopyColumns> {
    if reader.token(&Token::Mul) {
        return Ok(CopyColumns::All);
    }
    reader.list(Reader::identifier).map(CopyColumns::Named)
}

/// An option may be given once.
fn once<T>(slot: &mut Option<T>, value: T) -> Result<()> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Error::new(ErrorKind::Syntax, "conflicting or redundant options")),
    }
}

fn format(name: &str) -> Result<CopyFormat> {
    match name {
        "text" => Ok(CopyFormat::Text),
        "csv" => Ok(CopyFormat::Csv),
        "binary" => Ok(CopyFormat::Binary),
        _ => Err(invalid(format!("COPY format \"{name}\" not recognized"))),
    }
}

/// An option with two values; whether it is the second.
fn choice(option: &str, value: &str, first: &str, second: &str) -> Result<bool> {
    if value.eq_ignore_ascii_case(second) {
        return Ok(true);
    }
    if value.eq_ignore_ascii_case(first) {
        return Ok(false);
    }
    Err(invalid(format!("COPY {option} \"{value}\" not recognized")))
}

fn single_byte(text: &str, option: &str) -> Result<u8> {
    match text.as_bytes() {
        [byte] => Ok(*byte),
        _ => Err(Error::new(ErrorKind::Unsupported, format!("COPY {option} must be a single one-byte character"))
            .with_hint("Give one character of ASCII.")),
    }
}

fn needs_csv(option: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("COPY {option} requires CSV mode")).with_hint("Add FORMAT csv.")
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidParameter, message)
}

fn text_or_word(reader: &mut Reader) -> Result<String> {
    match reader.optional_string() {
        Some(text) => Ok(text),
        None => reader.label(),
    }
}
