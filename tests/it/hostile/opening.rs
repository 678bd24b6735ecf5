//! Before login: packets out of form, encryption out of order, passwords that are none.

use std::time::Duration;

use super::is_unharmed;
use super::peer::{Answer, GSS_REQUEST, Peer, SSL_REQUEST, lying, message, prefixed, query, startup};
use crate::server::{ADMIN_PASSWORD, Server};

/// A peer may read one error and must be let go; what it reads is no fault of ours.
fn is_refused(what: &str, answer: &[u8]) {
    assert!(answer.is_empty() || answer[0] == b'E', "{what}: {:?}", String::from_utf8_lossy(answer));
    assert!(!String::from_utf8_lossy(answer).contains("XX000"), "{what}: {}", String::from_utf8_lossy(answer));
}

#[test]
fn first_packets_out_of_form_are_refused() {
    let server = Server::start();
    let packet = |version: [u8; 4], rest: &[u8]| prefixed(&[&version[..], rest].concat());
    let v3 = [0, 3, 0, 0];
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("nothing at all", vec![]),
        ("half a length", vec![0, 0]),
        ("length 0", vec![0, 0, 0, 0]),
        ("length 4", vec![0, 0, 0, 4]),
        ("length 7", vec![0, 0, 0, 7, 0, 3, 0]),
        ("negative length", vec![0xff, 0xff, 0xff, 0xff, 0, 3, 0, 0]),
        ("one gibibyte", vec![0x40, 0, 0, 0, 0, 3, 0, 0]),
        ("one byte more than allowed", [&10_001_i32.to_be_bytes()[..], &v3, &[b'x'; 9_993]].concat()),
        ("as long as allowed, without an end", [&10_000_i32.to_be_bytes()[..], &v3, &[b'x'; 9_992]].concat()),
        ("no parameters", packet(v3, b"")),
        ("no terminator", packet(v3, b"user\0admin\0")),
        ("a name without a value", packet(v3, b"user\0admin\0database\0\0")),
        ("bytes behind the terminator", packet(v3, b"user\0admin\0\0database\0main\0\0")),
        ("NULs only", packet(v3, &[0; 64])),
        ("a user with a NUL inside", packet(v3, b"user\0ad\0min\0\0")),
        ("no user", packet(v3, b"database\0main\0\0")),
        ("an empty user", packet(v3, b"user\0\0database\0main\0\0")),
        ("not UTF-8", packet(v3, b"user\0\xff\xfe\0\0")),
        ("version 2", packet([0, 2, 0, 0], &[0; 288])),
        ("version 4", packet([0, 4, 0, 0], b"user\0admin\0\0")),
        ("version 0", packet([0, 0, 0, 0], b"user\0admin\0\0")),
        ("replication", startup(&[("user", "admin"), ("replication", "true")])),
        ("http", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()),
        ("ssh", b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()),
        ("a short cancel", vec![0, 0, 0, 12, 0x04, 0xd2, 0x16, 0x2e, 0, 0, 0, 1]),
        ("a cancel with a key of 257 bytes", prefixed(&[&[0x04, 0xd2, 0x16, 0x2e, 0, 0, 0, 1][..], &[7; 257]].concat())),
        ("a cancel without a connection", prefixed(&[0x04, 0xd2, 0x16, 0x2e, 0, 0, 0, 1, 0, 0, 0, 1])),
        ("an SSLRequest with a body", prefixed(&[0x04, 0xd2, 0x16, 0x2f, 1])),
    ];
    for (what, bytes) in cases {
        let mut peer = Peer::open(&server);
        peer.send(&bytes);
        peer.half_close();
        is_refused(what, &peer.rest());
    }
    is_unharmed(&server);
}

#[test]
fn parameters_that_come_twice_or_mean_nothing() {
    let server = Server::start();
    let many: Vec<(String, String)> = (0..300).map(|n| (format!("custom.parameter_{n}"), "x".into())).collect();
    let mut many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    many.push(("user", "admin"));
    // The login comes first: nobody learns about settings without a password.
    for (what, parameters) in [
        ("two users", vec![("user", "nobody"), ("user", "admin"), ("database", "main")]),
        ("options that are none", vec![("user", "admin"), ("options", "--nonsense"), ("database", "main")]),
        ("options with a lonely backslash", vec![("user", "admin"), ("options", "-c \\")]),
        ("an encoding that is none", vec![("user", "admin"), ("client_encoding", "KLINGON")]),
        ("hundreds of parameters", many),
    ] {
        let mut peer = Peer::open(&server);
        peer.send(&startup(&parameters));
        let (tag, body) = peer.receive().unwrap_or_else(|| panic!("{what}: hung up"));
        assert_eq!((tag, &body[..4]), (b'R', &10_i32.to_be_bytes()[..]), "{what}");
    }
    is_unharmed(&server);
}

#[test]
fn bytes_sent_before_the_handshake_are_not_executed_inside_it() {
    let server = Server::start();
    for first in [SSL_REQUEST, GSS_REQUEST] {
        let mut peer = Peer::open(&server);
        peer.send(&[&first[..], &startup(&[("user", "injected")])].concat());
        let answer = peer.rest();
        assert!(!answer.starts_with(b"R"), "the server went on with the clear text: {answer:?}");
        // Either an error at once, or the answer to the request and a failed handshake.
        assert!(!answer.starts_with(b"S") || answer.len() == 1 || answer[1] == 0x15, "{answer:?}");
        assert!(!answer.windows(2).any(|part| part == b"R\0"), "{answer:?}");
    }
    is_unharmed(&server);
}

#[test]
fn encryption_asked_for_out_of_order() {
    let server = Server::start();
    let mut gss_first = Peer::open(&server);
    gss_first.send(&GSS_REQUEST);
    assert_eq!(read_byte(&mut gss_first), b'N');
    gss_first.send(&GSS_REQUEST);
    is_refused("GSS twice", &gss_first.rest());

    let mut gss_then_tls = Peer::open(&server);
    gss_then_tls.send(&GSS_REQUEST);
    assert_eq!(read_byte(&mut gss_then_tls), b'N');
    gss_then_tls.send(&SSL_REQUEST);
    assert_eq!(read_byte(&mut gss_then_tls), b'S');

    // What comes instead of a handshake, and a handshake without the protocol's name.
    let hello = include_bytes!("client_hello.bin");
    for (what, request, bytes) in [
        ("a start-up packet instead of a handshake", true, startup(&[("user", "admin")])),
        ("noise instead of a handshake", true, (0..2_000_u32).map(|n| (n * 7919 % 251) as u8).collect()),
        ("a record that is too long", true, [&[0x16, 3, 1, 0xff, 0xff][..], &[0; 5_000]].concat()),
        ("an alert", true, vec![0x15, 3, 3, 0, 2, 2, 40]),
        ("half a handshake", true, hello[..hello.len() / 2].to_vec()),
        ("direct TLS without ALPN", false, hello.to_vec()),
        ("direct TLS that is noise", false, [&[0x16][..], &[0xaa; 500]].concat()),
    ] {
        let mut peer = Peer::open(&server);
        if request {
            peer.send(&SSL_REQUEST);
            assert_eq!(read_byte(&mut peer), b'S', "{what}");
        }
        peer.send(&bytes);
        peer.half_close();
        let answer = peer.rest();
        assert!(answer.is_empty() || matches!(answer[0], 0x15 | 0x16), "{what}: {answer:?}");
        assert!(!answer.windows(4).any(|part| part == b"SCRA"), "{what}: {answer:?}");
    }
    is_unharmed(&server);
}

fn read_byte(peer: &mut Peer) -> u8 {
    use std::io::Read;
    let mut byte = [0];
    peer.stream.read_exact(&mut byte).unwrap();
    byte[0]
}

/// A peer that has asked for a login and has been asked for its password.
fn asked_for_a_password(server: &Server) -> Peer {
    let mut peer = Peer::open(server);
    peer.send(&startup(&[("user", "nobody"), ("database", "main")]));
    assert_eq!(peer.receive().unwrap().0, b'R');
    peer
}

#[test]
fn whatever_comes_instead_of_a_password_ends_that_connection_only() {
    let server = Server::start();
    let sasl = |mechanism: &str, length: i32, data: &[u8]| {
        message(b'p', &[mechanism.as_bytes(), b"\0", &length.to_be_bytes(), data].concat())
    };
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("length 0", lying(b'p', 0, &[1, 2])),
        ("length 3", lying(b'p', 3, &[1, 2])),
        ("largest length", lying(b'p', i32::MAX, &[0; 64])),
        ("negative length", lying(b'p', i32::MIN, &[0; 64])),
        ("an empty password", message(b'p', b"\0")),
        ("a password in clear", message(b'p', b"admin-password-1\0")),
        ("an md5 password", message(b'p', b"md5d41d8cd98f00b204e9800998ecf8427e\0")),
        ("SASL without a mechanism", message(b'p', &[0])),
        ("SASL with an unknown mechanism", sasl("PLAIN", 4, b"\0a\0b")),
        ("channel binding without TLS", sasl("SCRAM-SHA-256-PLUS", 22, b"p=tls-server-end-point")),
        ("a negative length of data", sasl("SCRAM-SHA-256", -2, b"n,,n=,r=abc")),
        ("data longer than the message", sasl("SCRAM-SHA-256", i32::MAX, b"n,,n=,r=abc")),
        ("no data", sasl("SCRAM-SHA-256", -1, b"")),
        ("SCRAM without a nonce", sasl("SCRAM-SHA-256", 5, b"n,,n=")),
        ("SCRAM that is not UTF-8", sasl("SCRAM-SHA-256", 4, &[0xff; 4])),
        ("SCRAM with an extension", sasl("SCRAM-SHA-256", 17, b"n,,m=x,n=,r=abcde")),
        ("a password of 9 KiB", message(b'p', &[b'x'; 9 << 10])),
        ("copy data", lying(b'd', 2, &[0, 0])),
        ("a query", query("SELECT 1")),
        ("a Bind with a huge parameter", message(b'B', &[&[0, 0, 0, 0, 0, 1][..], &i32::MAX.to_be_bytes(), &[0; 6]].concat())),
        ("a short Execute", message(b'E', &[0])),
        ("a Sync", message(b'S', b"")),
        ("a Terminate", message(b'X', b"")),
        ("an unknown tag", message(0xff, b"")),
        ("a second start-up packet", startup(&[("user", "admin")])),
    ];
    for (what, bytes) in cases {
        let mut peer = asked_for_a_password(&server);
        peer.send(&bytes);
        peer.half_close();
        let answer = peer.answer();
        assert!(answer.closed, "{what}: {answer}");
        let allowed = ["08P01", "28P01", "28000", "0A000"];
        assert!(answer.sqlstates().iter().all(|state| allowed.contains(&state.as_str())), "{what}: {answer}");
    }
    is_unharmed(&server);
}

#[test]
fn a_proof_that_does_not_fit_is_refused() {
    let server = Server::start();
    let first = b"n,,n=,r=abcdefghijklmnop";
    let begin = |server: &Server| -> (Peer, String) {
        let mut peer = Peer::open(server);
        peer.send(&startup(&[("user", "admin"), ("database", "main")]));
        peer.receive().unwrap();
        let length = i32::try_from(first.len()).unwrap().to_be_bytes();
        peer.send(&message(b'p', &[b"SCRAM-SHA-256\0", &length[..], first].concat()));
        let (_, body) = peer.receive().unwrap();
        (peer, String::from_utf8(body[4..].to_vec()).unwrap())
    };
    let mut answers: Vec<(&str, Answer)> = Vec::new();
    for what in ["nothing", "another nonce", "a proof of zeros", "a proof that is not base64", "a short proof", "16 KiB"] {
        let (mut peer, challenge) = begin(&server);
        let nonce = challenge.split(',').next().unwrap().strip_prefix("r=").unwrap().to_string();
        let reply = match what {
            "nothing" => String::new(),
            "another nonce" => "c=biws,r=another,p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".into(),
            "a proof of zeros" => format!("c=biws,r={nonce},p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
            "a proof that is not base64" => format!("c=biws,r={nonce},p=!!!!"),
            "a short proof" => format!("c=biws,r={nonce},p=AAAA"),
            _ => "x".repeat(16 << 10),
        };
        peer.send(&message(b'p', reply.as_bytes()));
        peer.half_close();
        answers.push((what, peer.answer()));
    }
    for (what, answer) in answers {
        assert!(answer.closed && !answer.tags().contains('Z'), "{what}: {answer}");
        let states = answer.sqlstates();
        assert!(states.len() == 1 && ["28P01", "08P01"].contains(&states[0].as_str()), "{what}: {answer}");
    }
    is_unharmed(&server);
}

#[test]
fn unauthenticated_peers_do_not_make_the_server_grow() {
    let server = Server::start();
    is_unharmed(&server);
    let before = server.resident_bytes();
    let flood = vec![b'x'; 32 << 20];
    let mut peers = Vec::new();
    for tag in [b'p', b'Q', b'B', b'd'] {
        let mut peer = asked_for_a_password(&server);
        peer.send(&lying(tag, 0x3fff_fff0, &[]));
        peer.send_until_refused(&flood, Duration::from_millis(300));
        peers.push(peer);
    }
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(grown < 24 << 20, "grew by {grown} bytes");
    drop(peers);
    is_unharmed(&server);
}

#[test]
fn a_peer_that_says_nothing_or_little_is_let_go() {
    let server = Server::start_with(&["wire.authentication_timeout=1s", "wire.handshake_timeout=1s"]);
    let openings: [(&str, Vec<u8>); 5] = [
        ("nothing", vec![]),
        ("half a length", vec![0, 0]),
        ("half a packet", vec![0, 0, 1, 0, 0, 3, 0, 0]),
        ("a request for TLS", SSL_REQUEST.to_vec()),
        ("a start-up packet and no password", startup(&[("user", "admin")])),
    ];
    for (what, bytes) in openings {
        let mut peer = Peer::open(&server);
        peer.send(&bytes);
        println!("{what}");
        peer.is_let_go(Duration::from_secs(8));
    }
    is_unharmed(&server);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_passwords_in_a_row_do_not_lock_out_who_has_the_right_one_for_long() {
    let server = Server::start();
    for _ in 0..3 {
        let error = server.connect("admin", "wrong").await.err().unwrap();
        assert_eq!(error.code().unwrap().code(), "28P01");
    }
    assert!(server.connect("admin", ADMIN_PASSWORD).await.is_ok());
    tokio::task::spawn_blocking(move || is_unharmed(&server)).await.unwrap();
}
