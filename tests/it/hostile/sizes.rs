//! Too much of everything: text, terms, depth, statements, portals, parameters, values. The bounds of `config/lakehold.toml` hold.

use std::time::{Duration, Instant};

use super::is_unharmed;
use super::peer::{Peer, bind, execute, message, parse, query, sync};
use crate::server::Server;

#[test]
fn statements_that_are_too_complex_are_refused_quickly() {
    let server = Server::start();
    let mut peer = Peer::login(&server);
    let many = |n: usize, text: &str, separator: &str| vec![text; n].join(separator);
    let nested = |n: usize, open: &str, inner: &str, close: &str| format!("{}{inner}{}", open.repeat(n), close.repeat(n));
    let cases: Vec<(&str, String, &str)> = vec![
        ("20,000 sums", format!("SELECT {}", many(20_000, "1", "+")), "54001"),
        ("20,000 concatenations", format!("SELECT {}", many(20_000, "'a'", "||")), "54001"),
        ("20,000 ANDs", format!("SELECT 1 WHERE {}", many(20_000, "true", " AND ")), "54001"),
        ("20,000 ORs", format!("SELECT 1 WHERE {}", many(20_000, "1=2", " OR ")), "54001"),
        ("20,000 NOTs", format!("SELECT {}true", "NOT ".repeat(20_000)), "54001"),
        ("20,000 minus signs", format!("SELECT {}1", "- ".repeat(20_000)), "54001"),
        ("20,000 casts", format!("SELECT 1{}", "::int".repeat(20_000)), "54001"),
        ("20,000 subscripts", format!("SELECT a{}", "[1]".repeat(20_000)), "54001"),
        ("20,000 parentheses", format!("SELECT {}", nested(20_000, "(", "1", ")")), "54001"),
        ("20,000 open parentheses", format!("SELECT {}", "(".repeat(20_000)), "54001"),
        ("5,000 subqueries", nested(5_000, "SELECT (", "SELECT 1", ")"), "54001"),
        ("5,000 derived tables", format!("SELECT * FROM {}", nested(5_000, "(SELECT * FROM ", "pg_class", ") t")), "54001"),
        ("5,000 CASEs", format!("SELECT {}", nested(5_000, "CASE WHEN true THEN ", "1", " END")), "54001"),
        ("5,000 function calls", format!("SELECT {}", nested(5_000, "abs(", "1", ")")), "54001"),
        ("5,000 arrays", format!("SELECT {}", nested(5_000, "ARRAY[", "1", "]")), "54001"),
        ("5,000 EXISTS", format!("SELECT {}", nested(5_000, "EXISTS (SELECT ", "1", ")")), "54001"),
        ("1,001 and more UNIONs", many(3_000, "SELECT 1", " UNION ALL "), "54001"),
        ("joins without end", format!("SELECT 1 FROM {}", many(1_000, "pg_class", " CROSS JOIN ")), "54001"),
        ("commas without end", format!("SELECT 1 FROM {}", many(1_000, "pg_class", ", ")), "54001"),
        ("200,000 elements of IN", format!("SELECT 1 WHERE 1 IN ({})", many(200_000, "1", ",")), "54001"),
        ("10,000 statements", many(10_000, "SELECT 1", ";"), "54001"),
        (
            "WITH without end",
            format!("WITH {} SELECT 1", (0..1_000).map(|n| format!("c{n} AS (SELECT 1)")).collect::<Vec<_>>().join(",")),
            "54001",
        ),
    ];
    for (what, text, state) in cases {
        let started = Instant::now();
        let answer = peer.ask(&query(&text));
        assert!(!answer.closed, "{what}: {answer}");
        let states = answer.sqlstates();
        // Whether a bound counts as a limit of the program or as depth is PostgreSQL's own distinction, and not a sharp one.
        assert!(states == [state] || states == ["54000"], "{what}: {answer}");
        let prepared = peer.ask(&[parse("", &text), sync()].concat());
        assert!(!prepared.closed && ["54000", "54001", "42601"].contains(&prepared.sqlstates()[0].as_str()), "{what}: {prepared}");
        assert!(started.elapsed() < Duration::from_secs(10), "{what} took {:?}", started.elapsed());
    }
    assert_eq!(peer.ask(&query("SELECT 1")).tags(), "TDCZ");
    is_unharmed(&server);
}

#[test]
fn just_below_the_bounds_a_statement_runs() {
    let server = Server::start();
    let mut peer = Peer::login(&server);
    for (what, text) in [
        ("100 sums", format!("SELECT {}", vec!["1"; 100].join("+"))),
        ("450 casts", format!("SELECT 1{}", "::int".repeat(450))),
        ("4,000 ORs", format!("SELECT 1 WHERE {} OR true", vec!["1=2"; 4_000].join(" OR "))),
        ("90 parentheses", format!("SELECT {}1{}", "(".repeat(90), ")".repeat(90))),
        (
            "5,000 elements of IN",
            format!("SELECT 1 WHERE 1 IN ({})", (0..5_000).map(|n| n.to_string()).collect::<Vec<_>>().join(",")),
        ),
        ("a literal of 900 KiB", format!("SELECT length('{}')", "x".repeat(900 << 10))),
    ] {
        let answer = peer.ask(&query(&text));
        assert_eq!(answer.tags(), "TDCZ", "{what}: {answer}");
    }
    is_unharmed(&server);
}

#[test]
fn messages_above_their_bounds_are_refused_and_the_session_lives() {
    let server = Server::start_with(&["wire.bind_size=4MiB"]);
    let mut peer = Peer::login(&server);
    let before = server.resident_bytes();
    let long = "x".repeat(80 << 10);
    let huge = vec![b'x'; 48 << 20];
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("a query of 2 MiB", query(&format!("SELECT '{}'", "x".repeat(2 << 20)))),
        ("a query of 48 MiB", message(b'Q', &huge)),
        ("a Parse of 2 MiB", [parse("", &format!("SELECT '{}'", "x".repeat(2 << 20))), sync()].concat()),
        ("a Bind of 48 MiB", [message(b'B', &huge), sync()].concat()),
        ("a Describe of 80 KiB", [message(b'D', format!("S{long}\0").as_bytes()), sync()].concat()),
        ("an Execute of 80 KiB", [execute(&long, 0), sync()].concat()),
        ("a Close of 80 KiB", [message(b'C', format!("P{long}\0").as_bytes()), sync()].concat()),
    ];
    for (what, bytes) in cases {
        let answer = peer.ask(&bytes);
        assert!(!answer.closed && answer.sqlstates() == ["54000"], "{what}: {answer}");
    }
    assert_eq!(peer.ask(&query("SELECT 1")).tags(), "TDCZ");
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(grown < 48 << 20, "grew by {grown} bytes");
    is_unharmed(&server);
}

#[test]
fn giant_binds_within_the_bound_are_served_and_given_back() {
    let server = Server::start();
    let mut peer = Peer::login(&server);
    let size = 8 << 20;
    let body = [&b"\0\0\0\0\0\x01"[..], &i32::try_from(size).unwrap().to_be_bytes(), &vec![b'x'; size], b"\0\0"].concat();
    let round = |peer: &mut Peer| {
        let answer = peer.ask(&[parse("", "SELECT length($1::text)"), message(b'B', &body), execute("", 0), sync()].concat());
        assert_eq!(answer.tags(), "12DCZ", "{answer}");
        assert!(answer.messages[2].1.ends_with(size.to_string().as_bytes()), "{answer}");
    };
    // Each thread's heap grows to its own measure once; what kept a copy of every Bind would grow by 96 MiB a batch for ever.
    let batch = |peer: &mut Peer| {
        let before = server.resident_bytes();
        (0..12).for_each(|_| round(peer));
        server.resident_bytes().saturating_sub(before)
    };
    let mut grown = vec![];
    while grown.last().is_none_or(|bytes| *bytes > 64 << 20) {
        assert!(grown.len() < 8, "dozens of Binds of 8 MiB left {grown:?} bytes");
        grown.push(batch(&mut peer));
    }
    is_unharmed(&server);
}

#[test]
fn statements_and_portals_are_bounded_in_number() {
    let server = Server::start_with(&["wire.prepared_statements=50", "wire.portals=20"]);
    let mut peer = Peer::login(&server);
    let count = |peer: &mut Peer, messages: Vec<Vec<u8>>| -> (usize, Vec<String>) {
        let mut done = 0;
        let mut states = vec![];
        for bytes in messages {
            // A block keeps what is made in it from Sync to Sync.
            let answer = peer.ask(&[bytes, sync()].concat());
            assert!(!answer.closed, "{answer}");
            done += usize::from(answer.sqlstates().is_empty());
            states.extend(answer.sqlstates());
        }
        (done, states)
    };
    let (statements, states) = count(&mut peer, (0..200).map(|n| parse(&format!("s{n}"), "SELECT 1")).collect());
    assert_eq!((statements, states.len()), (50, 150));
    assert!(states.iter().all(|state| state == "53400"), "{states:?}");
    assert_eq!(peer.ask(&query("DEALLOCATE ALL")).tags(), "CZ");
    assert!(peer.ask(&[parse("s", "SELECT 1"), sync()].concat()).sqlstates().is_empty());

    let mut messages = vec![];
    (0..200).for_each(|n| messages.extend(bind(&format!("p{n}"), "s")));
    let answer = peer.ask(&[messages, sync()].concat());
    assert_eq!(answer.tags(), format!("{}EZ", "2".repeat(20)), "{answer}");
    assert_eq!(answer.sqlstates(), ["53400"]);
    // Sync ended the transaction, and its portals with it.
    assert!(peer.ask(&[bind("p0", "s"), sync()].concat()).sqlstates().is_empty());
    is_unharmed(&server);
}

#[test]
fn parses_without_an_end_hold_no_memory() {
    let server = Server::start();
    let mut peer = Peer::login(&server);
    let before = server.resident_bytes();
    // 40 MiB of statements, each replacing the unnamed one; nobody ever says Sync.
    let text = format!("SELECT '{}'", "x".repeat(20 << 10));
    let reader = peer.stream.try_clone().unwrap();
    let writer = std::thread::spawn(move || {
        let bytes = parse("", &text);
        (0..2_000).for_each(|_| peer.send(&bytes));
        peer.send(&sync());
        peer
    });
    let mut heard = Peer { stream: reader, pid: 0, key: vec![] };
    let answer = heard.answer();
    assert_eq!((answer.messages.len(), answer.closed), (2_001, false), "{answer}");
    drop(writer.join().unwrap());
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(grown < 64 << 20, "grew by {grown} bytes");
    is_unharmed(&server);
}

#[test]
fn values_without_measure_are_refused() {
    let server = Server::start();
    let mut peer = Peer::login(&server);
    let before = server.resident_bytes();
    for text in [
        "SELECT repeat('x', 2000000000)",
        "SELECT lpad('x', 2000000000, 'y')",
        "SELECT rpad('x', 2000000000, 'y')",
        "SELECT length(repeat(repeat('x', 1000000), 1000000))",
        "SELECT array_fill(1, ARRAY[2000000000])",
        "SELECT repeat('x', n::int) FROM generate_series(2000000000, 2000000010) AS g(n)",
    ] {
        let answer = peer.ask(&query(text));
        assert!(!answer.closed && answer.sqlstates().len() == 1, "{text}: {answer}");
        assert!(!answer.sqlstates()[0].starts_with("XX"), "{text}: {answer}");
    }
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(grown < 256 << 20, "grew by {grown} bytes");
    is_unharmed(&server);
}
