//! Many at once: connects, cancels, talkers of one byte, readers that do not read, peers that vanish. Honest clients hardly notice.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::peer::{Peer, bind, cancel, execute, parse, query, startup, sync};
use super::{Honest, at_most_a_little_slower, is_unharmed};
use crate::server::{Server, rows};

/// Rows without end, for a reader that does not read.
const MUCH: &str =
    "SELECT a.n, repeat('x', 100) AS s FROM generate_series(1, 10000) AS a(n) CROSS JOIN generate_series(1, 10000) AS b(n)";

#[test]
fn thousands_of_connects() {
    let server = Server::start();
    let honest = Honest::new(&server);
    let quiet = honest.p99(300);
    let before = server.resident_bytes();
    let (meanwhile, refused) = honest.p99_while(|| {
        let mut refused = 0;
        let mut held = std::collections::VecDeque::new();
        for n in 0..3_000 {
            let mut peer = Peer::open(&server);
            match n % 3 {
                0 => peer.send(&startup(&[("user", "nobody")])),
                1 => peer.send(&[0, 0, 0]),
                _ => {}
            }
            held.push_back(peer);
            // A few hundred at a time; more than the server lets in.
            if held.len() > 200 {
                let mut oldest: Peer = held.pop_front().unwrap();
                oldest.half_close();
                refused += usize::from(String::from_utf8_lossy(&oldest.rest()).contains("53300"));
            }
        }
        refused
    });
    println!("{refused} of 3,000 were refused");
    assert!(refused > 100, "there is a bound on peers that have not logged in: {refused}");
    at_most_a_little_slower(quiet, meanwhile);
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(grown < 64 << 20, "grew by {grown} bytes");
    server.eventually("the places of the refused are free", |server| {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| Peer::login(server))).is_ok()
    });
    is_unharmed(&server);
}

#[test]
fn sessions_beyond_the_bound_are_refused_and_places_come_back() {
    let server = Server::start_with(&["wire.max_connections=8", "wire.reserved_connections=2"]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let admin = server.admin().await;
        crate::server::run(&admin, "CREATE USER ada PASSWORD 'ada-password-1'").await;
        let mut held = vec![];
        let refused = loop {
            match server.connect("ada", "ada-password-1").await {
                Ok(client) => held.push(client),
                Err(error) => break error,
            }
            assert!(held.len() <= 8, "no bound");
        };
        assert_eq!(refused.code().unwrap().code(), "53300");
        assert!(server.connect("admin", crate::server::ADMIN_PASSWORD).await.is_ok(), "an administrator has a place");
        drop(held);
        for _ in 0..200 {
            if server.connect("ada", "ada-password-1").await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the places did not come back");
    });
}

#[test]
fn talkers_of_one_byte_at_a_time() {
    let server = Server::start_with(&["wire.authentication_timeout=2s", "wire.message_timeout=2s"]);
    let honest = Honest::new(&server);
    let quiet = honest.p99(200);
    let (meanwhile, ()) = honest.p99_while(|| {
        let packet = startup(&[("user", "nobody"), ("database", "main"), ("application_name", &"x".repeat(500))]);
        let mut peers: Vec<Peer> = (0..15).map(|_| Peer::open(&server)).collect();
        // After login too: half a query, byte by byte.
        let mut session = Peer::login(&server);
        let slow = query(&"x".repeat(500));
        let started = Instant::now();
        for n in 0.. {
            if started.elapsed() > Duration::from_secs(4) {
                break;
            }
            peers.iter_mut().for_each(|peer| peer.send(&packet[n..=n]));
            session.send(&slow[n..=n]);
            std::thread::sleep(Duration::from_millis(100));
        }
        for mut peer in peers {
            peer.is_let_go(Duration::from_secs(5));
        }
        session.is_let_go(Duration::from_secs(5));
    });
    at_most_a_little_slower(quiet, meanwhile);
    is_unharmed(&server);
}

#[test]
fn cancel_requests_with_guessed_keys() {
    let server = Server::start();
    let honest = Honest::new(&server);
    let quiet = honest.p99(300);
    let mut busy = Peer::login(&server);
    busy.send(&query("SELECT pg_sleep(600)"));
    assert_eq!(busy.receive().map(|(tag, _)| tag), Some(b'T'), "the statement runs");
    let (pid, key) = (busy.pid, busy.key.clone());
    let (meanwhile, ()) = honest.p99_while(|| {
        for n in 0..2_000_u32 {
            let mut peer = Peer::open(&server);
            // The right number with wrong keys, wrong numbers with the right key, and keys of other lengths.
            let bytes = match n % 4 {
                0 => cancel(pid, &n.to_be_bytes()),
                1 => cancel(pid.wrapping_add(1 + n.cast_signed()), &key),
                2 => cancel(pid, &[0; 32]),
                _ => cancel(pid, &[key.as_slice(), &[0; 28]].concat()),
            };
            peer.send(&bytes);
            assert!(peer.rest().is_empty(), "a cancel request has no answer");
        }
    });
    at_most_a_little_slower(quiet, meanwhile);
    busy.stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let mut byte = [0];
    assert!(std::io::Read::read(&mut busy.stream, &mut byte).is_err(), "the statement was stopped by a guess");
    busy.stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    // The flood used up the address's tries of this second; the right key counts in the next one.
    std::thread::sleep(Duration::from_millis(1_100));
    Peer::open(&server).send(&cancel(pid, &key));
    assert_eq!(busy.answer().sqlstates(), ["57014"]);
    is_unharmed(&server);
}

/// Readers that do not read: what each holds is bounded, and they are let go.
#[test]
fn readers_that_do_not_read_hold_little() {
    const READERS: u64 = 8;
    let server = Server::start_with(&["wire.write_timeout=5s"]);
    let honest = Honest::new(&server);
    let quiet = honest.p99(200);
    // Once through, so that what is kept for everybody is there.
    let mut first = Peer::login(&server);
    assert!(first.ask(&query("SELECT n, repeat('x', 100) AS s FROM generate_series(1, 200000) AS g(n)")).sqlstates().is_empty());
    let one = held_while(&server, &honest, 1, quiet);
    let all = held_while(&server, &honest, READERS, quiet);
    let each = all.saturating_sub(one) / (READERS - 1);
    println!("one reader holds {one} bytes, each further one {each}");
    assert!(each <= 8 << 20, "a reader that does not read holds {each} bytes");
    server.eventually("they are let go", |server| server.metric("lakehold_wire_sessions") <= 2.0);
    is_unharmed(&server);
}

/// Bytes that the server holds more while `readers` do not read.
fn held_while(server: &Server, honest: &Honest, readers: u64, quiet: Duration) -> u64 {
    let before = server.resident_bytes();
    let mut peers: Vec<Peer> = (0..readers).map(|_| Peer::login(server)).collect();
    for (n, peer) in peers.iter_mut().enumerate() {
        match n % 2 {
            0 => peer.send(&query(MUCH)),
            _ => peer.send(&[parse("", MUCH), bind("", ""), execute("", 0), sync()].concat()),
        }
    }
    // The first row is there: from then on the server wants to write.
    peers.iter_mut().for_each(|peer| while peer.receive().unwrap().0 != b'D' {});
    let (meanwhile, held) = honest.p99_while(|| {
        let mut most = 0;
        for _ in 0..20 {
            most = most.max(server.resident_bytes().saturating_sub(before));
            std::thread::sleep(Duration::from_millis(100));
        }
        most
    });
    at_most_a_little_slower(quiet, meanwhile);
    held
}

#[test]
fn peers_that_vanish_leave_nothing_behind() {
    let server = Server::start();
    let honest = Honest::new(&server);
    let quiet = honest.p99(200);
    let (meanwhile, ()) = honest.p99_while(|| {
        for n in 0..60 {
            let mut peer = Peer::login(&server);
            match n % 5 {
                0 => peer.send(&query(MUCH)),
                1 => peer.send(&query("BEGIN")),
                2 => peer.send(&[parse("s", MUCH), bind("p", "s"), execute("p", 10)].concat()),
                3 => peer.send(&query(MUCH)[..20]),
                _ => peer.send(&query("SELECT pg_sleep(600)")),
            }
            if n % 10 == 0 {
                // Unread bytes at the close become a reset.
                let _ = peer.receive();
            }
        }
    });
    at_most_a_little_slower(quiet, meanwhile);
    server.eventually("only the honest session is left", |server| server.metric("lakehold_wire_sessions") <= 1.0);
    is_unharmed(&server);
}

#[test]
fn a_pipeline_without_a_reader_is_held_back() {
    let server = Server::start();
    let mut peer = Peer::login(&server);
    let before = server.resident_bytes();
    // Answers are not read, so questions stop being read too.
    let text = format!("SELECT repeat('x', 100000) /* {} */", "x".repeat(2_000));
    let questions = [parse("", &text), bind("", ""), execute("", 0), sync()].concat().repeat(20_000);
    let taken = peer.send_until_refused(&questions, Duration::from_secs(2));
    let grown = server.resident_bytes().saturating_sub(before);
    println!("{taken} of {} bytes were taken, {grown} bytes held", questions.len());
    assert!(taken < questions.len(), "the server took everything");
    assert!(grown < 96 << 20, "grew by {grown} bytes");
    drop(peer);
    server.eventually("the session is gone", |server| server.metric("lakehold_wire_sessions") == 0.0);
    is_unharmed(&server);
}

#[test]
fn the_http_door_answers_while_the_other_is_stormed() {
    let server = Server::start();
    let peers: Vec<TcpStream> = (0..150).filter_map(|_| TcpStream::connect(server.postgres).ok()).collect();
    let started = Instant::now();
    assert_eq!(server.get("/health").0, 200);
    assert_eq!(server.get("/metrics").0, 200);
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    drop(peers);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    server.eventually("places are free", |server| runtime.block_on(server.connect("admin", crate::server::ADMIN_PASSWORD)).is_ok());
    runtime.block_on(async { assert_eq!(rows(&server.admin().await, "SELECT 1").await.len(), 1) });
    is_unharmed(&server);
}
