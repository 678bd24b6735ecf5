//! Peers that do not keep to the protocol: no panic, no growth, honest clients unharmed.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::server::{Server, rows};

const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

fn startup(user: &str) -> Vec<u8> {
    let mut body = 196_608_i32.to_be_bytes().to_vec();
    body.extend_from_slice(format!("user\0{user}\0database\0main\0\0").as_bytes());
    let mut message = i32::try_from(body.len() + 4).unwrap().to_be_bytes().to_vec();
    message.extend(body);
    message
}

fn message(tag: u8, length: i32, body: &[u8]) -> Vec<u8> {
    let mut message = vec![tag];
    message.extend(length.to_be_bytes());
    message.extend_from_slice(body);
    message
}

fn open(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.postgres).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
    stream
}

/// Everything until the peer closes or is silent for the read timeout.
fn read_all(stream: &mut TcpStream) -> Vec<u8> {
    let mut answer = Vec::new();
    let mut part = [0_u8; 4096];
    while let Ok(length) = stream.read(&mut part) {
        if length == 0 {
            break;
        }
        answer.extend_from_slice(&part[..length]);
    }
    answer
}

/// Reads one backend message: tag and body.
fn read_message(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    let mut head = [0_u8; 5];
    stream.read_exact(&mut head).unwrap();
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
    let mut body = vec![0; length - 4];
    stream.read_exact(&mut body).unwrap();
    (head[0], body)
}

fn honest_clients_are_served(server: &Server) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let admin = server.admin().await;
        assert_eq!(rows(&admin, "SELECT 1").await, [[Some("1".to_string())]]);
    });
}

#[test]
fn bytes_sent_before_the_handshake_are_not_executed_inside_it() {
    let server = Server::start();
    let mut stream = open(&server);
    let mut bytes = SSL_REQUEST.to_vec();
    bytes.extend(startup("injected"));
    stream.write_all(&bytes).unwrap();
    let answer = read_all(&mut stream);
    assert!(!answer.starts_with(b"R"), "the server went on with the clear text: {answer:?}");
    assert!(!answer.starts_with(b"S") || answer.len() == 1 || answer[1] == 0x15, "{answer:?}");
    honest_clients_are_served(&server);
}

#[test]
fn malformed_messages_before_authentication_end_that_connection_only() {
    let server = Server::start();
    let huge = i32::MAX;
    let hostile: Vec<(&str, Vec<u8>)> = vec![
        ("password of length 0", message(b'p', 0, &[1, 2])),
        ("password of length 3", message(b'p', 3, &[1, 2])),
        ("copy data of length 2", message(b'd', 2, &[0, 0])),
        (
            "bind with a huge parameter",
            message(b'B', 20, &[&[0, 0, 0, 0, 0, 1][..], &huge.to_be_bytes()[..], &[0; 6][..]].concat()),
        ),
        ("truncated bind", message(b'B', 6, &[0, 0, 9])),
        ("short execute", message(b'E', 5, &[0, 0])),
        ("describe without a name", message(b'D', 4, &[0])),
        ("negative length", message(b'Q', -1, &[0, 0])),
        ("query of length 0", message(b'Q', 0, b"x")),
        ("unknown tag", message(0xff, 4, &[])),
        ("largest length", message(b'p', huge, &[0; 64])),
        ("SASL without mechanism", message(b'p', 5, &[0])),
    ];
    for (what, bytes) in hostile {
        let mut stream = open(&server);
        stream.write_all(&startup("nobody")).unwrap();
        let (tag, _) = read_message(&mut stream);
        assert_eq!(tag, b'R', "{what}: no authentication request");
        stream.write_all(&bytes).unwrap();
        let answer = read_all(&mut stream);
        assert!(answer.is_empty() || answer[0] == b'E', "{what}: {answer:?}");
        assert!(!String::from_utf8_lossy(&answer).contains("XX000"), "{what}: {}", String::from_utf8_lossy(&answer));
    }
    honest_clients_are_served(&server);
}

#[test]
fn startup_packets_out_of_form_are_refused() {
    let server = Server::start();
    let packets: Vec<(&str, Vec<u8>)> = vec![
        ("length 0", vec![0, 0, 0, 0]),
        ("length 4", vec![0, 0, 0, 4]),
        ("length 7", vec![0, 0, 0, 7, 0, 3, 0]),
        ("negative length", vec![0xff, 0xff, 0xff, 0xff, 0, 3, 0, 0]),
        ("one gibibyte", vec![0x40, 0, 0, 0, 0, 3, 0, 0]),
        ("no terminator", [&[0, 0, 0, 13, 0, 3, 0, 0][..], b"user\0"].concat()),
        ("version 2", vec![0, 0, 0, 8, 0, 2, 0, 0]),
        ("version 4", [&[0, 0, 0, 9, 0, 4, 0, 0][..], &[0]].concat()),
        ("not UTF-8", [&[0, 0, 0, 16, 0, 3, 0, 0][..], b"user\0\xff\0\0"].concat()),
        ("http", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        ("short cancel", vec![0, 0, 0, 12, 0x04, 0xd2, 0x16, 0x2e, 0, 0, 0, 1]),
    ];
    for (what, bytes) in packets {
        let mut stream = open(&server);
        stream.write_all(&bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let answer = read_all(&mut stream);
        assert!(answer.is_empty() || answer[0] == b'E', "{what}: {answer:?}");
    }
    honest_clients_are_served(&server);
}

#[test]
fn unauthenticated_peers_do_not_make_the_server_grow() {
    let server = Server::start();
    honest_clients_are_served(&server);
    let before = server.resident_bytes();
    let chunk = vec![b'x'; 1 << 20];
    let mut streams = Vec::new();
    for _ in 0..4 {
        let mut stream = open(&server);
        stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
        stream.write_all(&startup("nobody")).unwrap();
        read_message(&mut stream);
        let _ = stream.write_all(&message(b'p', 0x3fff_fff0, &[]));
        for _ in 0..32 {
            if stream.write_all(&chunk).is_err() {
                break;
            }
        }
        streams.push(stream);
    }
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(grown < 24 << 20, "grew by {grown} bytes");
    honest_clients_are_served(&server);
}

#[test]
fn a_peer_that_says_nothing_is_let_go() {
    let server = Server::start_with(&["wire.authentication_timeout=1s"]);
    let mut stream = open(&server);
    let waited = Instant::now();
    read_all(&mut stream);
    assert!(waited.elapsed() < Duration::from_secs(8), "{:?}", waited.elapsed());
    honest_clients_are_served(&server);
}
