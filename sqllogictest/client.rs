//! A client of the PostgreSQL protocol that chooses how it asks: tokio-postgres always takes binary results, and text has to be tested
//! too. Blocking, one query at a time, made of `postgres_protocol`'s messages.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use bytes::BytesMut;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::backend::{ErrorFields, Message};
use postgres_protocol::message::frontend;
use sqllogictest::{ColumnType, DB, DBOutput};

use super::binary;

/// How statements are sent and results are asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Mode {
    Simple,
    Extended,
    Binary,
}

impl Mode {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Mode::Simple => "simple",
            Mode::Extended => "extended",
            Mode::Binary => "binary",
        }
    }
}

/// Kind of a result column, by its type's OID: the same in all modes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Column {
    /// `B`: boolean
    Boolean,
    /// `I`: int2, int4, int8, oid
    Integer,
    /// `R`: float4, float8, numeric
    Number,
    /// `D`: date, time, timestamp, timestamptz, interval
    Datetime,
    /// `T`: text, varchar, char, name, unknown
    Text,
    /// `A`: an array
    Array,
    /// `?`: any other
    Other,
}

impl Column {
    fn of(oid: u32) -> Self {
        match oid {
            16 => Self::Boolean,
            20 | 21 | 23 | 26 => Self::Integer,
            700 | 701 | 1700 => Self::Number,
            1082 | 1083 | 1114 | 1184 | 1186 => Self::Datetime,
            18 | 19 | 25 | 705 | 1042 | 1043 => Self::Text,
            oid if binary::element_of(oid).is_some() => Self::Array,
            _ => Self::Other,
        }
    }
}

impl ColumnType for Column {
    fn from_char(value: char) -> Option<Self> {
        Some(match value {
            'B' => Self::Boolean,
            'I' => Self::Integer,
            'R' => Self::Number,
            'D' => Self::Datetime,
            'T' => Self::Text,
            'A' => Self::Array,
            _ => Self::Other,
        })
    }

    fn to_char(&self) -> char {
        match self {
            Self::Boolean => 'B',
            Self::Integer => 'I',
            Self::Number => 'R',
            Self::Datetime => 'D',
            Self::Text => 'T',
            Self::Array => 'A',
            Self::Other => '?',
        }
    }
}

/// An ErrorResponse, or a fault of the connection.
#[derive(Debug)]
pub(crate) struct ClientError {
    sqlstate: String,
    message: String,
}

impl std::fmt::Display for ClientError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.sqlstate, self.message)
    }
}

impl std::error::Error for ClientError {}

impl From<std::io::Error> for ClientError {
    fn from(error: std::io::Error) -> Self {
        Self { sqlstate: "connection".into(), message: error.to_string() }
    }
}

fn fault(message: impl Into<String>) -> ClientError {
    ClientError { sqlstate: "protocol".into(), message: message.into() }
}

/// A session.
pub(crate) struct Client {
    stream: TcpStream,
    input: BytesMut,
    mode: Mode,
}

impl Client {
    /// Logs in as `principal`, with the password that the files give it.
    pub(crate) fn connect(address: &str, principal: &str, mode: Mode) -> Result<Self, ClientError> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        let mut client = Self { stream, input: BytesMut::new(), mode };
        let parameters = [
            ("user", principal),
            ("database", "main"),
            ("application_name", "sqllogictest"),
            ("client_encoding", "UTF8"),
            ("TimeZone", "UTC"),
        ];
        client.send(|out| frontend::startup_message(parameters, out))?;
        client.authenticate(&format!("{principal}-password-1"))?;
        loop {
            match client.receive()? {
                Message::ReadyForQuery(_) => return Ok(client),
                Message::ErrorResponse(body) => return Err(error_of(body.fields())),
                _ => {}
            }
        }
    }

    fn authenticate(&mut self, password: &str) -> Result<(), ClientError> {
        let mut scram = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
        loop {
            match self.receive()? {
                Message::AuthenticationOk => return Ok(()),
                Message::AuthenticationSasl(_) => {
                    self.send(|out| frontend::sasl_initial_response(SCRAM_SHA_256, scram.message(), out))?;
                }
                Message::AuthenticationSaslContinue(body) => {
                    scram.update(body.data())?;
                    self.send(|out| frontend::sasl_response(scram.message(), out))?;
                }
                Message::AuthenticationSaslFinal(body) => scram.finish(body.data())?,
                Message::ErrorResponse(body) => return Err(error_of(body.fields())),
                _ => return Err(fault("unexpected message while logging in")),
            }
        }
    }

    fn send(&mut self, write: impl FnOnce(&mut BytesMut) -> std::io::Result<()>) -> Result<(), ClientError> {
        let mut out = BytesMut::new();
        write(&mut out)?;
        self.stream.write_all(&out)?;
        Ok(())
    }

    fn receive(&mut self) -> Result<Message, ClientError> {
        loop {
            if let Some(message) = Message::parse(&mut self.input)? {
                return Ok(message);
            }
            let mut chunk = [0; 16 << 10];
            match self.stream.read(&mut chunk)? {
                0 => return Err(fault("the server closed the connection")),
                length => self.input.extend_from_slice(chunk.get(..length).unwrap_or_default()),
            }
        }
    }

    fn ask(&mut self, sql: &str) -> Result<(), ClientError> {
        let format = match self.mode {
            Mode::Simple => return self.send(|out| frontend::query(sql, out)),
            Mode::Extended => 0,
            Mode::Binary => 1,
        };
        self.send(|out| {
            frontend::parse("", sql, [], out)?;
            let no_parameters = |(): (), _: &mut BytesMut| Ok(postgres_protocol::IsNull::Yes);
            frontend::bind("", "", [], [(); 0], no_parameters, [format], out).map_err(|_| std::io::Error::other("bind"))?;
            frontend::describe(b'P', "", out)?;
            frontend::execute("", 0, out)?;
            frontend::sync(out);
            Ok(())
        })
    }

    /// Everything up to ReadyForQuery. Of several results the last one counts.
    fn answer(&mut self) -> Result<Answer, ClientError> {
        let mut answer = Answer::default();
        let mut failure = None;
        loop {
            match self.receive()? {
                Message::RowDescription(body) => {
                    answer.rows.clear();
                    answer.columns = type_oids(&body)?;
                }
                Message::DataRow(body) => {
                    let row = self.row(&answer.columns, &body)?;
                    answer.rows.push(row);
                }
                Message::CopyOutResponse(_) => answer.columns = vec![25],
                Message::CopyData(body) => {
                    let line = String::from_utf8_lossy(body.data()).trim_end_matches('\n').to_string();
                    answer.rows.push(vec![line]);
                }
                Message::CommandComplete(body) => answer.tag = body.tag()?.to_string(),
                Message::ErrorResponse(body) => failure = Some(error_of(body.fields())),
                Message::ReadyForQuery(_) => return failure.map_or(Ok(answer), Err),
                _ => {}
            }
        }
    }

    fn row(&self, columns: &[u32], body: &postgres_protocol::message::backend::DataRowBody) -> Result<Vec<String>, ClientError> {
        use tokio_postgres::fallible_iterator::FallibleIterator as _;
        let ranges: Vec<_> = body.ranges().collect()?;
        if ranges.len() != columns.len() {
            return Err(fault("a row with another number of columns than its description"));
        }
        let values = ranges.into_iter().zip(columns).map(|(range, oid)| {
            let Some(bytes) = range.and_then(|range| body.buffer().get(range)) else { return Ok("NULL".to_string()) };
            let text = match self.mode {
                Mode::Binary => binary::text_of(*oid, bytes).ok_or_else(|| fault(format!("cannot read a value of type {oid}")))?,
                Mode::Simple | Mode::Extended => String::from_utf8(bytes.to_vec()).map_err(|_| fault("a value is not UTF-8"))?,
            };
            Ok(if text.is_empty() { "(empty)".to_string() } else { text })
        });
        values.collect()
    }
}

fn type_oids(body: &postgres_protocol::message::backend::RowDescriptionBody) -> Result<Vec<u32>, ClientError> {
    use tokio_postgres::fallible_iterator::FallibleIterator as _;
    Ok(body.fields().map(|field| Ok(field.type_oid())).collect()?)
}

#[derive(Default)]
struct Answer {
    columns: Vec<u32>,
    rows: Vec<Vec<String>>,
    tag: String,
}

fn error_of(mut fields: ErrorFields<'_>) -> ClientError {
    use tokio_postgres::fallible_iterator::FallibleIterator as _;
    let mut error = ClientError { sqlstate: String::new(), message: String::new() };
    while let Ok(Some(field)) = fields.next() {
        let value = String::from_utf8_lossy(field.value_bytes()).into_owned();
        match field.type_() {
            b'C' => error.sqlstate = value,
            b'M' => error.message = value,
            _ => {}
        }
    }
    error
}

impl DB for Client {
    type Error = ClientError;
    type ColumnType = Column;

    fn run(&mut self, sql: &str) -> Result<DBOutput<Column>, ClientError> {
        self.ask(sql)?;
        let answer = self.answer()?;
        if answer.columns.is_empty() && !answer.tag.starts_with("SELECT") {
            let count = answer.tag.rsplit(' ').next().and_then(|count| count.parse().ok()).unwrap_or(0);
            return Ok(DBOutput::StatementComplete(count));
        }
        Ok(DBOutput::Rows { types: answer.columns.into_iter().map(Column::of).collect(), rows: answer.rows })
    }

    fn shutdown(&mut self) {
        // The server may be gone already.
        drop(self.send(|out| {
            frontend::terminate(out);
            Ok(())
        }));
    }

    fn error_sql_state(error: &ClientError) -> Option<String> {
        Some(error.sqlstate.clone())
    }
}
