//! A client without a driver: it sends the bytes it is told to and writes down what comes back, message by message.
//!
//! Messages are JSON arrays as in recorded transcripts: `["Bind", portal, statement, [formats], [parameters], [formats]]` goes out,
//! `["DataRow", ["1", {"hex": "00"}]]` comes in. The login is no part of a transcript: whatever it takes, `["Authentication", 0]` is
//! what is written down.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use serde_json::{Value, json};

use crate::server::password_of;

/// How long a server may take for an answer that must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// A server that was silent for this long has nothing more to say.
const SILENCE: Duration = Duration::from_millis(250);

/// What a CancelRequest has in the place of a protocol's version.
const CANCEL_REQUEST: u32 = 80_877_102;

/// A connection.
pub(crate) struct RawClient {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// Formats of the columns that were described last.
    formats: Vec<u16>,
    password: String,
    /// What was sent last holds the whole of a COPY.
    copied: bool,
    /// Behind an error the server says nothing up to the next ReadyForQuery.
    pub(crate) failed: bool,
    /// What a CancelRequest for this connection names: the number of the process, and the secret key.
    key: Vec<u8>,
    closed: bool,
}

impl RawClient {
    pub(crate) fn connect(address: SocketAddr) -> RawClient {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        RawClient {
            stream,
            buffer: vec![],
            formats: vec![],
            password: String::new(),
            copied: false,
            failed: false,
            key: vec![],
            closed: false,
        }
    }

    /// Sends messages in one piece. A server that has closed the connection does not read them.
    pub(crate) fn send(&mut self, messages: &[Value]) {
        let mut bytes = Vec::new();
        self.copied = messages.iter().any(|message| message[0] == "CopyDone" || message[0] == "CopyFail");
        for message in messages {
            if message[0] == "Startup" {
                self.password = password_of(message[2]["user"].as_str().unwrap_or_default());
            }
            bytes.extend(encode(message));
        }
        let _ = self.stream.write_all(&bytes);
    }

    /// A whole start-up, up to the first ReadyForQuery.
    pub(crate) fn log_in(&mut self, parameters: &Value) -> Vec<Value> {
        self.send(&[json!(["Startup", 196_608, parameters])]);
        self.receive(1, 1)
    }

    /// Cancels what this connection runs, over a connection of its own.
    pub(crate) fn cancel(&self) {
        let length = u32::try_from(self.key.len() + 8).unwrap().to_be_bytes();
        let request = [&length[..], &CANCEL_REQUEST.to_be_bytes(), &self.key].concat();
        TcpStream::connect(self.stream.peer_addr().unwrap()).unwrap().write_all(&request).unwrap();
    }

    /// What comes until `ready` ReadyForQuery have come. If `ready` is 0: until `at_least` messages have come and then silence.
    pub(crate) fn receive(&mut self, ready: usize, at_least: usize) -> Vec<Value> {
        let mut messages: Vec<Value> = Vec::new();
        let mut seen = 0;
        while ready == 0 || seen < ready {
            let patience = if ready > 0 || messages.len() < at_least && !self.failed { PATIENCE } else { SILENCE };
            let Some(message) = self.next(patience) else { break };
            seen += usize::from(message[0] == "ReadyForQuery");
            self.failed = message[0] == "ErrorResponse" || self.failed && message[0] != "ReadyForQuery";
            let over = message[0] == "ConnectionClosed";
            messages.push(message);
            // A server that waits for the end of a COPY says nothing more.
            let wants_data = messages.last().is_some_and(|message| message[0] == "CopyInResponse") && !self.copied;
            if over || ready > 0 && wants_data && self.next_is_silence() {
                break;
            }
        }
        messages
    }

    fn next_is_silence(&mut self) -> bool {
        self.buffer.is_empty() && !self.fill(SILENCE)
    }

    /// The next message; `None` after a silence of `patience`.
    pub(crate) fn next(&mut self, patience: Duration) -> Option<Value> {
        let (kind, body) = match self.frame(patience)? {
            Some(frame) => frame,
            None => return Some(json!(["ConnectionClosed"])),
        };
        if kind == b'R' && body[..4] == [0, 0, 0, 10] {
            return self.authenticate();
        }
        Some(self.decode(kind, &body))
    }

    /// One byte: the answer to a request for encryption.
    pub(crate) fn byte(&mut self) -> Option<char> {
        if self.buffer.is_empty() && !self.fill(PATIENCE) {
            return None;
        }
        (!self.buffer.is_empty()).then(|| char::from(self.buffer.remove(0)))
    }

    fn authenticate(&mut self) -> Option<Value> {
        let mut scram = ScramSha256::new(self.password.as_bytes(), ChannelBinding::unsupported());
        let first = scram.message();
        let mut body = [SCRAM_SHA_256.as_bytes(), b"\0", &u32::try_from(first.len()).unwrap().to_be_bytes()].concat();
        body.extend_from_slice(first);
        self.stream.write_all(&frame(b'p', &body)).unwrap();
        loop {
            let Some((kind, body)) = self.frame(PATIENCE)? else { return Some(json!(["ConnectionClosed"])) };
            match (kind, body.get(3)) {
                (b'R', Some(11)) => {
                    scram.update(&body[4..]).unwrap();
                    self.stream.write_all(&frame(b'p', scram.message())).unwrap();
                }
                (b'R', Some(12)) => scram.finish(&body[4..]).unwrap(),
                _ => return Some(self.decode(kind, &body)),
            }
        }
    }

    /// Type and body; `None` inside if the connection is closed, `None` outside if nothing came.
    #[expect(clippy::option_option, reason = "silence and the end are two things")]
    fn frame(&mut self, patience: Duration) -> Option<Option<(u8, Vec<u8>)>> {
        let deadline = Instant::now() + patience;
        loop {
            if let [kind, a, b, c, d, rest @ ..] = self.buffer.as_slice() {
                let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize - 4;
                if rest.len() >= length {
                    let frame = (*kind, rest[..length].to_vec());
                    self.buffer.drain(..5 + length);
                    return Some(Some(frame));
                }
            }
            if self.closed {
                return Some(None);
            }
            let left = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
            if !self.fill(left) && !self.closed {
                return None;
            }
        }
    }

    /// Reads what is there, or waits for it. False if nothing came.
    fn fill(&mut self, patience: Duration) -> bool {
        self.stream.set_read_timeout(Some(patience)).unwrap();
        let mut chunk = [0; 1 << 16];
        match self.stream.read(&mut chunk) {
            Ok(0) => self.closed = true,
            Ok(length) => {
                self.buffer.extend_from_slice(&chunk[..length]);
                return true;
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => self.closed = true,
        }
        false
    }

    fn decode(&mut self, kind: u8, body: &[u8]) -> Value {
        let mut body = Body(body);
        match kind {
            b'R' => json!(["Authentication", body.u32()]),
            b'S' => json!(["ParameterStatus", body.string(), body.string()]),
            b'K' => {
                self.key = body.0.to_vec();
                json!(["BackendKeyData", body.0.len() - 4])
            }
            b'Z' => json!(["ReadyForQuery", char::from(body.0[0]).to_string()]),
            b'T' => self.row_description(body),
            b'D' => self.data_row(body),
            b'C' => json!(["CommandComplete", body.string()]),
            b'E' => json!(["ErrorResponse", body.fields()]),
            b'N' => json!(["NoticeResponse", body.fields()]),
            b't' => json!(["ParameterDescription", body.list(Body::u32)]),
            b'G' => json!(["CopyInResponse", body.u8(), body.list(Body::u16)]),
            b'H' => json!(["CopyOutResponse", body.u8(), body.list(Body::u16)]),
            b'd' => json!(["CopyData", text_or_hex(body.0)]),
            b'A' => {
                body.u32();
                json!(["NotificationResponse", body.string(), body.string()])
            }
            b'v' => {
                let version = body.u32();
                let count = body.u32();
                let options: Vec<String> = (0..count).map(|_| body.string()).collect();
                json!(["NegotiateProtocolVersion", version, options])
            }
            b'V' => json!(["FunctionCallResponse", body.cell(0)]),
            b'1' => json!(["ParseComplete"]),
            b'2' => json!(["BindComplete"]),
            b'3' => json!(["CloseComplete"]),
            b'n' => json!(["NoData"]),
            b'I' => json!(["EmptyQueryResponse"]),
            b's' => json!(["PortalSuspended"]),
            b'c' => json!(["CopyDone"]),
            other => json!([char::from(other).to_string()]),
        }
    }

    fn row_description(&mut self, mut body: Body<'_>) -> Value {
        self.formats.clear();
        let columns = body.list(|body| {
            let name = body.string();
            let (table, attribute, oid, size) = (body.u32(), body.i16(), body.u32(), body.i16());
            let (typmod, format) = (body.u32().cast_signed(), body.u16());
            self.formats.push(format);
            json!({
                "name": name, "table": table != 0, "attnum": attribute, "type": oid, "size": size, "typmod": typmod, "format": format,
            })
        });
        json!(["RowDescription", columns])
    }

    fn data_row(&mut self, mut body: Body<'_>) -> Value {
        let count = usize::from(body.u16());
        let row: Vec<Value> = (0..count).map(|index| body.cell(self.formats.get(index).copied().unwrap_or(0))).collect();
        json!(["DataRow", row])
    }
}

impl Drop for RawClient {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// A body being read; one that is shorter than it should be fails the test.
struct Body<'a>(&'a [u8]);

impl Body<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (taken, rest) = self.0.split_first_chunk::<N>().expect("a message is shorter than it says");
        self.0 = rest;
        *taken
    }

    fn u8(&mut self) -> u8 {
        self.take::<1>()[0]
    }

    fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.take())
    }

    fn i16(&mut self) -> i16 {
        i16::from_be_bytes(self.take())
    }

    fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.take())
    }

    fn string(&mut self) -> String {
        let end = self.0.iter().position(|byte| *byte == 0).expect("a string without its end");
        let text = String::from_utf8_lossy(&self.0[..end]).into_owned();
        self.0 = &self.0[end + 1..];
        text
    }

    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.u16()).map(|_| item(self)).collect()
    }

    /// Fields of an error or a notice, but for the place in the server's source.
    fn fields(&mut self) -> Value {
        let mut fields = serde_json::Map::new();
        while self.0.first().is_some_and(|code| *code != 0) {
            let code = char::from(self.u8());
            let text = self.string();
            if !"FLR".contains(code) {
                fields.insert(code.to_string(), Value::String(text));
            }
        }
        Value::Object(fields)
    }

    fn cell(&mut self, format: u16) -> Value {
        let length = self.u32().cast_signed();
        let Ok(length) = usize::try_from(length) else { return Value::Null };
        let (bytes, rest) = self.0.split_at(length);
        self.0 = rest;
        match (format, bytes) {
            (1, bytes) => json!({ "hex": hex::encode(bytes) }),
            (_, []) => json!(""),
            (_, bytes) => text_or_hex(bytes),
        }
    }
}

fn text_or_hex(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.is_empty() && text.chars().all(|character| character >= '\t') => json!(text),
        _ => json!({ "hex": hex::encode(bytes) }),
    }
}

/// The bytes of a message.
fn encode(message: &Value) -> Vec<u8> {
    let text = |index: usize| message[index].as_str().unwrap_or_default().to_string();
    match message[0].as_str().unwrap() {
        "Query" => frame(b'Q', &zero(&text(1))),
        "Parse" => {
            let types = numbers(&message[3]).into_iter().flat_map(|oid| u32::try_from(oid).unwrap().to_be_bytes());
            let head = [zero(&text(1)), zero(&text(2)), count(&message[3])].concat();
            frame(b'P', &head.into_iter().chain(types).collect::<Vec<_>>())
        }
        "Bind" => {
            let parameters: Vec<u8> = message[4].as_array().unwrap().iter().flat_map(parameter).collect();
            let parts = [zero(&text(1)), zero(&text(2)), shorts(&message[3]), count(&message[4]), parameters, shorts(&message[5])];
            frame(b'B', &parts.concat())
        }
        "Describe" => frame(b'D', &[text(1).into_bytes(), zero(&text(2))].concat()),
        "Close" => frame(b'C', &[text(1).into_bytes(), zero(&text(2))].concat()),
        "Execute" => {
            let limit = message.get(2).and_then(Value::as_i64).unwrap_or(0);
            let limit = u32::try_from(limit.rem_euclid(1 << 32)).unwrap();
            frame(b'E', &[zero(&text(1)), limit.to_be_bytes().to_vec()].concat())
        }
        "Sync" => frame(b'S', &[]),
        "Flush" => frame(b'H', &[]),
        "CopyData" => frame(b'd', &bytes(&message[1])),
        "CopyDone" => frame(b'c', &[]),
        "CopyFail" => frame(b'f', &zero(&text(1))),
        "Terminate" => frame(b'X', &[]),
        "FunctionCall" => {
            let oid = u32::try_from(message[1].as_u64().unwrap()).unwrap().to_be_bytes().to_vec();
            let arguments: Vec<u8> = message[2].as_array().unwrap().iter().flat_map(parameter).collect();
            frame(b'F', &[oid, vec![0, 1, 0, 0], count(&message[2]), arguments, vec![0, 0]].concat())
        }
        "Raw" => hex::decode(text(1)).unwrap(),
        "Startup" => {
            let version = u32::try_from(message[1].as_u64().unwrap()).unwrap();
            let mut body = version.to_be_bytes().to_vec();
            for (name, value) in message[2].as_object().unwrap() {
                body.extend(zero(name));
                body.extend(zero(value.as_str().unwrap()));
            }
            body.push(0);
            [&u32::try_from(body.len() + 4).unwrap().to_be_bytes()[..], &body].concat()
        }
        other => panic!("no such message: {other}"),
    }
}

fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
    [&[kind][..], &length, body].concat()
}

fn zero(text: &str) -> Vec<u8> {
    [text.as_bytes(), b"\0"].concat()
}

fn numbers(list: &Value) -> Vec<i64> {
    list.as_array().map(|list| list.iter().filter_map(Value::as_i64).collect()).unwrap_or_default()
}

fn count(list: &Value) -> Vec<u8> {
    let count = list.as_array().map_or(0, Vec::len);
    u16::try_from(count).unwrap().to_be_bytes().to_vec()
}

fn shorts(list: &Value) -> Vec<u8> {
    let numbers = numbers(list).into_iter().flat_map(|number| u16::try_from(number).unwrap().to_be_bytes());
    count(list).into_iter().chain(numbers).collect()
}

fn parameter(value: &Value) -> Vec<u8> {
    if value.is_null() {
        return vec![0xff; 4];
    }
    let bytes = bytes(value);
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], &bytes].concat()
}

fn bytes(value: &Value) -> Vec<u8> {
    match value.get("hex") {
        Some(hex) => hex::decode(hex.as_str().unwrap()).unwrap(),
        None => value.as_str().unwrap().as_bytes().to_vec(),
    }
}
