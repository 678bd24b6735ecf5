//! A peer that says exactly what a test wants, rightly or wrongly, and hears what comes back.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};

use crate::server::{ADMIN_PASSWORD, Server};

/// SSLRequest.
pub(crate) const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
/// GSSENCRequest.
pub(crate) const GSS_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x30];

/// Longest wait for an answer: a server that says nothing for so long hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// A start-up packet with these parameters.
pub(crate) fn startup(parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = 196_608_i32.to_be_bytes().to_vec();
    for (name, value) in parameters {
        body.extend_from_slice(format!("{name}\0{value}\0").as_bytes());
    }
    body.push(0);
    prefixed(&body)
}

/// A body behind its length, which counts itself.
pub(crate) fn prefixed(body: &[u8]) -> Vec<u8> {
    let mut bytes = i32::try_from(body.len() + 4).unwrap().to_be_bytes().to_vec();
    bytes.extend_from_slice(body);
    bytes
}

/// A message that says the truth about its length.
pub(crate) fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    [&[tag][..], &prefixed(body)].concat()
}

/// A message that says what it likes about its length.
pub(crate) fn lying(tag: u8, length: i32, body: &[u8]) -> Vec<u8> {
    [&[tag][..], &length.to_be_bytes(), body].concat()
}

pub(crate) fn query(text: &str) -> Vec<u8> {
    message(b'Q', format!("{text}\0").as_bytes())
}

pub(crate) fn parse(name: &str, text: &str) -> Vec<u8> {
    message(b'P', format!("{name}\0{text}\0\0\0").as_bytes())
}

/// A Bind without parameters and formats.
pub(crate) fn bind(portal: &str, statement: &str) -> Vec<u8> {
    message(b'B', format!("{portal}\0{statement}\0\0\0\0\0\0\0").as_bytes())
}

pub(crate) fn execute(portal: &str, max_rows: i32) -> Vec<u8> {
    message(b'E', &[portal.as_bytes(), b"\0", &max_rows.to_be_bytes()].concat())
}

/// A request to stop what another connection runs.
pub(crate) fn cancel(pid: i32, key: &[u8]) -> Vec<u8> {
    prefixed(&[&80_877_102_i32.to_be_bytes()[..], &pid.to_be_bytes(), key].concat())
}

pub(crate) fn sync() -> Vec<u8> {
    message(b'S', b"")
}

/// What the server said in one go.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// Tags and bodies of its messages.
    pub(crate) messages: Vec<(u8, Vec<u8>)>,
    /// It hung up at the end.
    pub(crate) closed: bool,
}

impl Answer {
    /// SQLSTATEs of its errors.
    pub(crate) fn sqlstates(&self) -> Vec<String> {
        self.messages.iter().filter(|(tag, _)| *tag == b'E').map(|(_, body)| field(body, b'C')).collect()
    }

    pub(crate) fn tags(&self) -> String {
        self.messages.iter().map(|(tag, _)| char::from(*tag)).collect()
    }

    /// The texts of its errors, for a failure's report.
    fn errors(&self) -> String {
        let texts = self.messages.iter().filter(|(tag, _)| *tag == b'E').map(|(_, body)| field(body, b'M'));
        texts.collect::<Vec<_>>().join("; ")
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let tags = self.tags();
        let shown: String = tags.chars().take(60).collect();
        write!(f, "{shown} {:?} closed={} {}", self.sqlstates(), self.closed, self.errors())
    }
}

/// A field of an error: `C` is the SQLSTATE, `M` the message.
pub(crate) fn field(body: &[u8], code: u8) -> String {
    let found = body.split(|byte| *byte == 0).find(|part| part.first() == Some(&code));
    found.map_or(String::new(), |part| String::from_utf8_lossy(&part[1..]).into_owned())
}

/// A connection in clear.
pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
    pub(crate) pid: i32,
    pub(crate) key: Vec<u8>,
}

impl Peer {
    /// Connects and says nothing.
    pub(crate) fn open(server: &Server) -> Peer {
        Peer::to(server.postgres)
    }

    pub(crate) fn to(address: SocketAddr) -> Peer {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Peer { stream, pid: 0, key: vec![] }
    }

    /// A session of the administrator, ready for its first query.
    pub(crate) fn login(server: &Server) -> Peer {
        let mut peer = Peer::open(server);
        peer.send(&startup(&[("user", "admin"), ("database", "main")]));
        assert_eq!(peer.receive().unwrap().0, b'R');
        let mut scram = ScramSha256::new(ADMIN_PASSWORD.as_bytes(), ChannelBinding::unsupported());
        let mut first = b"SCRAM-SHA-256\0".to_vec();
        first.extend(prefixed_data(scram.message()));
        peer.send(&message(b'p', &first));
        let (_, body) = peer.receive().unwrap();
        scram.update(&body[4..]).unwrap();
        peer.send(&message(b'p', scram.message()));
        let (tag, body) = peer.receive().unwrap();
        assert_eq!(tag, b'R', "{}", field(&body, b'M'));
        scram.finish(&body[4..]).unwrap();
        let answer = peer.answer();
        assert!(answer.tags().ends_with('Z'), "{answer}");
        let (_, key) = answer.messages.iter().find(|(tag, _)| *tag == b'K').unwrap();
        peer.pid = i32::from_be_bytes(key[..4].try_into().unwrap());
        peer.key = key[4..].to_vec();
        peer
    }

    /// Sends bytes; a server that has hung up already is no fault.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Sends until the server takes no more for `patience`; returns how many bytes it took.
    pub(crate) fn send_until_refused(&mut self, bytes: &[u8], patience: Duration) -> usize {
        self.stream.set_write_timeout(Some(patience)).unwrap();
        let mut sent = 0;
        while let Ok(count) = self.stream.write(&bytes[sent..]) {
            sent += count;
            if sent == bytes.len() {
                break;
            }
        }
        self.stream.set_write_timeout(Some(PATIENCE)).unwrap();
        sent
    }

    /// No more will be said.
    pub(crate) fn half_close(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// The next message; `None` if the server hung up.
    pub(crate) fn receive(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut head = [0_u8; 5];
        read_or_closed(&mut self.stream, &mut head)?;
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        let mut body = vec![0; length.checked_sub(4).expect("a length that counts itself")];
        read_or_closed(&mut self.stream, &mut body)?;
        Some((head[0], body))
    }

    /// Everything up to the next ReadyForQuery, or to the end of the connection.
    pub(crate) fn answer(&mut self) -> Answer {
        let mut answer = Answer::default();
        loop {
            match self.receive() {
                None => {
                    answer.closed = true;
                    return answer;
                }
                Some((tag, body)) => {
                    answer.messages.push((tag, body));
                    if tag == b'Z' {
                        return answer;
                    }
                }
            }
        }
    }

    /// Sends, then hears.
    pub(crate) fn ask(&mut self, bytes: &[u8]) -> Answer {
        self.send(bytes);
        self.answer()
    }

    /// Everything until the server hangs up.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self.stream.read_to_end(&mut bytes) {
            Err(error) if is_timeout(&error) => panic!("the server neither answered nor hung up: {bytes:?}"),
            _ => bytes,
        }
    }

    /// Waits until the server hangs up, which must happen within `at_most`.
    pub(crate) fn is_let_go(&mut self, at_most: Duration) {
        let started = Instant::now();
        self.stream.set_read_timeout(Some(at_most)).unwrap();
        self.rest();
        assert!(started.elapsed() < at_most, "let go after {:?}", started.elapsed());
    }
}

fn prefixed_data(data: &[u8]) -> Vec<u8> {
    [&i32::try_from(data.len()).unwrap().to_be_bytes(), data].concat()
}

fn is_timeout(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
}

fn read_or_closed(stream: &mut TcpStream, buffer: &mut [u8]) -> Option<()> {
    match stream.read_exact(buffer) {
        Ok(()) => Some(()),
        Err(error) if is_timeout(&error) => panic!("the server neither answered nor hung up"),
        Err(_) => None,
    }
}
