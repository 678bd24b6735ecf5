//! A client that says exactly what a test wants, and writes what it hears in a few words.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::auth::scram::tests::Client as Scram;
use crate::wire::double::PASSWORD;
use crate::wire::transport::Stream;

pub(super) const VERSION_3_0: u32 = 196_608;
pub(super) const VERSION_3_2: u32 = 196_610;

pub(super) struct Client {
    pub(super) stream: Stream,
    pub(super) pid: i32,
    pub(super) key: Vec<u8>,
}

/// A message from the server.
pub(super) struct Reply {
    pub(super) kind: u8,
    pub(super) body: Vec<u8>,
}

/// Bytes of a frontend message.
pub(super) fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend(u32::try_from(body.len() + 4).unwrap().to_be_bytes());
    bytes.extend(body);
    bytes
}

pub(super) fn query(text: &str) -> Vec<u8> {
    message(b'Q', format!("{text}\0").as_bytes())
}

pub(super) fn parse(name: &str, text: &str, types: &[u32]) -> Vec<u8> {
    let mut body = format!("{name}\0{text}\0").into_bytes();
    body.extend(u16::try_from(types.len()).unwrap().to_be_bytes());
    types.iter().for_each(|oid| body.extend(oid.to_be_bytes()));
    message(b'P', &body)
}

pub(super) fn bind(portal: &str, statement: &str, formats: &[i16], parameters: &[&[u8]], results: &[i16]) -> Vec<u8> {
    let mut body = format!("{portal}\0{statement}\0").into_bytes();
    let codes = |body: &mut Vec<u8>, codes: &[i16]| {
        body.extend(u16::try_from(codes.len()).unwrap().to_be_bytes());
        codes.iter().for_each(|code| body.extend(code.to_be_bytes()));
    };
    codes(&mut body, formats);
    body.extend(u16::try_from(parameters.len()).unwrap().to_be_bytes());
    for parameter in parameters {
        body.extend(u32::try_from(parameter.len()).unwrap().to_be_bytes());
        body.extend(*parameter);
    }
    codes(&mut body, results);
    message(b'B', &body)
}

pub(super) fn describe(target: char, name: &str) -> Vec<u8> {
    message(b'D', format!("{target}{name}\0").as_bytes())
}

pub(super) fn close(target: char, name: &str) -> Vec<u8> {
    message(b'C', format!("{target}{name}\0").as_bytes())
}

pub(super) fn execute(portal: &str, max_rows: i32) -> Vec<u8> {
    let mut body = format!("{portal}\0").into_bytes();
    body.extend(max_rows.to_be_bytes());
    message(b'E', &body)
}

pub(super) fn sync() -> Vec<u8> {
    message(b'S', b"")
}

pub(super) fn flush() -> Vec<u8> {
    message(b'H', b"")
}

/// A first packet: its length and its body.
pub(super) fn packet(body: &[u8]) -> Vec<u8> {
    [&u32::try_from(body.len() + 4).unwrap().to_be_bytes()[..], body].concat()
}

pub(super) fn startup(version: u32, parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = version.to_be_bytes().to_vec();
    for (name, value) in parameters {
        body.extend(format!("{name}\0{value}\0").as_bytes());
    }
    body.push(0);
    packet(&body)
}

impl Client {
    pub(super) fn over(stream: Stream) -> Self {
        Self { stream, pid: 0, key: vec![] }
    }

    /// A connection that has not said anything.
    pub(super) async fn connect(address: SocketAddr) -> Self {
        Self::over(Box::new(TcpStream::connect(address).await.unwrap()))
    }

    pub(super) async fn login(address: SocketAddr, user: &str) -> Self {
        let mut client = Self::connect(address).await;
        client.send(&startup(VERSION_3_0, &[("user", user), ("database", "warehouse")])).await;
        client.authenticate(PASSWORD, None).await;
        let replies = client.until_ready().await;
        assert_eq!(replies.last().map(String::as_str), Some("Z(I)"), "{replies:?}");
        client
    }

    /// The client's side of SCRAM, up to and without the answer to the proof.
    pub(super) async fn authenticate(&mut self, password: &str, end_point: Option<&[u8]>) {
        let offer = self.reply().await.unwrap();
        assert_eq!((offer.kind, &offer.body[..4]), (b'R', &10_u32.to_be_bytes()[..]), "{}", offer.words());
        let scram = Scram::new(end_point);
        let mechanism = if end_point.is_some() { "SCRAM-SHA-256-PLUS" } else { "SCRAM-SHA-256" };
        let first = scram.first();
        let mut body = format!("{mechanism}\0").into_bytes();
        body.extend(u32::try_from(first.len()).unwrap().to_be_bytes());
        body.extend(first.as_bytes());
        self.send(&message(b'p', &body)).await;
        let challenge = self.reply().await.unwrap();
        assert_eq!((challenge.kind, &challenge.body[..4]), (b'R', &11_u32.to_be_bytes()[..]), "{}", challenge.words());
        let last = scram.last(password, std::str::from_utf8(&challenge.body[4..]).unwrap());
        self.send(&message(b'p', last.as_bytes())).await;
    }

    /// The client's side of a password in clear.
    pub(super) async fn password(&mut self, password: &str) -> Vec<String> {
        assert_eq!(self.replies(1).await, ["R(3)"]);
        self.ask(&[message(b'p', format!("{password}\0").as_bytes())]).await
    }

    /// The client's side of OAUTHBEARER, up to the server's answer.
    pub(super) async fn oauth(&mut self, token: &str) -> Reply {
        assert_eq!(self.replies(1).await, ["R(10)"]);
        let first = format!("n,,\x01auth={}\x01\x01", if token.is_empty() { String::new() } else { format!("Bearer {token}") });
        let mut body = b"OAUTHBEARER\0".to_vec();
        body.extend(u32::try_from(first.len()).unwrap().to_be_bytes());
        body.extend(first.as_bytes());
        self.send(&message(b'p', &body)).await;
        self.reply().await.unwrap()
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// The next message; `None` if the server has closed the connection.
    pub(super) async fn reply(&mut self) -> Option<Reply> {
        timeout(Duration::from_secs(10), async {
            let mut head = [0; 5];
            self.stream.read_exact(&mut head).await.ok()?;
            let length = u32::from_be_bytes(head[1..].try_into().unwrap());
            let mut body = vec![0; usize::try_from(length).unwrap() - 4];
            self.stream.read_exact(&mut body).await.ok()?;
            let reply = Reply { kind: head[0], body };
            if reply.kind == b'K' {
                self.pid = i32::from_be_bytes(reply.body[..4].try_into().unwrap());
                self.key = reply.body[4..].to_vec();
            }
            Some(reply)
        })
        .await
        .expect("the server is silent")
    }

    /// Replies up to ReadyForQuery or the end of the connection, which shows as `closed`.
    pub(super) async fn until_ready(&mut self) -> Vec<String> {
        let mut replies = Vec::new();
        loop {
            let Some(reply) = self.reply().await else {
                replies.push("closed".to_string());
                return replies;
            };
            replies.push(reply.words());
            if reply.kind == b'Z' {
                return replies;
            }
        }
    }

    /// `count` replies.
    pub(super) async fn replies(&mut self, count: usize) -> Vec<String> {
        let mut replies = Vec::new();
        for _ in 0..count {
            replies.push(self.reply().await.map_or("closed".to_string(), |reply| reply.words()));
        }
        replies
    }

    /// Sends messages and reads up to ReadyForQuery.
    pub(super) async fn ask(&mut self, messages: &[Vec<u8>]) -> Vec<String> {
        self.send(&messages.concat()).await;
        self.until_ready().await
    }

    pub(super) async fn query(&mut self, text: &str) -> Vec<String> {
        self.ask(&[query(text)]).await
    }
}

impl Reply {
    /// The message in a few words.
    pub(super) fn words(&self) -> String {
        let body = &self.body;
        let short = |from: usize| i16::from_be_bytes(body[from..from + 2].try_into().unwrap());
        let strings = |from: usize| {
            body[from..].split(|byte| *byte == 0).map(|text| String::from_utf8_lossy(text).into_owned()).collect::<Vec<_>>()
        };
        match self.kind {
            b'R' => format!("R({})", u32::from_be_bytes(body[..4].try_into().unwrap())),
            b'S' => format!("S({}={})", strings(0)[0], strings(0)[1]),
            b'K' => format!("K({})", body.len() - 4),
            b'v' => {
                let options: Vec<String> = strings(8).into_iter().filter(|text| !text.is_empty()).collect();
                format!("v({} {})", u32::from_be_bytes(body[..4].try_into().unwrap()) & 0xffff, options.join(" "))
            }
            b'Z' => format!("Z({})", body[0] as char),
            b'C' => format!("C({})", strings(0)[0]),
            b'E' | b'N' => {
                let field =
                    |code: char| strings(0).iter().find_map(|field| field.strip_prefix(code)).unwrap_or_default().to_string();
                format!("{}({} {} {})", self.kind as char, field('S'), field('C'), field('M'))
            }
            b'T' => {
                let mut at = 2;
                let mut columns = Vec::new();
                for _ in 0..short(0) {
                    let name = strings(at)[0].clone();
                    at += name.len() + 1;
                    let oid = u32::from_be_bytes(body[at + 6..at + 10].try_into().unwrap());
                    columns.push(format!("{name}:{oid}:{}", short(at + 16)));
                    at += 18;
                }
                format!("T({})", columns.join(" "))
            }
            b't' => {
                let oids = body[2..].chunks(4).map(|oid| u32::from_be_bytes(oid.try_into().unwrap()).to_string());
                format!("t({})", oids.collect::<Vec<_>>().join(" "))
            }
            b'D' => {
                let length = i32::from_be_bytes(body[2..6].try_into().unwrap());
                let value = if length < 0 { "NULL".into() } else { String::from_utf8_lossy(&body[6..]).escape_debug().to_string() };
                format!("D({value})")
            }
            b'H' | b'G' => format!("{}({} {})", self.kind as char, body[0], short(1)),
            b'd' => format!("d({})", String::from_utf8_lossy(body).escape_debug()),
            kind => (kind as char).to_string(),
        }
    }
}
