//! After login: lengths, names and counts that lie, and messages in an order that makes no sense.

use super::is_unharmed;
use super::peer::{Answer, Peer, bind, execute, lying, message, parse, query, sync};
use crate::server::Server;

/// What must come of a case.
#[derive(Clone, Copy)]
enum Expected {
    /// FATAL with this SQLSTATE, then the end of the connection.
    Fatal(&'static str),
    /// An error with this SQLSTATE, and the session lives.
    Error(&'static str),
    /// No error, and the session lives.
    Fine,
    /// The end of the connection.
    Closed,
}

use Expected::{Closed, Error, Fatal, Fine};

fn holds(what: &str, expected: Expected, answer: &Answer) {
    let states = answer.sqlstates();
    let right = match expected {
        Fatal(state) => answer.closed && states == [state],
        Error(state) => !answer.closed && states == [state],
        Fine => !answer.closed && states.is_empty(),
        Closed => answer.closed && states.is_empty(),
    };
    assert!(right, "{what}: {answer}");
}

/// Each case has a session of its own; a session that lives must still work.
fn each(server: &Server, cases: Vec<(&str, Vec<u8>, Expected)>) {
    for (what, bytes, expected) in cases {
        let mut peer = Peer::login(server);
        let answer = peer.ask(&bytes);
        holds(what, expected, &answer);
        if !answer.closed {
            assert_eq!(peer.ask(&query("SELECT 1")).tags(), "TDCZ", "{what}: the session afterwards");
        }
    }
    is_unharmed(server);
}

#[test]
fn lengths_that_lie_end_the_connection() {
    let server = Server::start();
    let violation = Fatal("08P01");
    let mut cases = Vec::new();
    for tag in b"QPBDECHSFdcfX".iter().chain(b"p") {
        for length in [0, 3, -1, i32::MIN, i32::MAX] {
            cases.push((format!("{} of length {length}", *tag as char), lying(*tag, length, b"abc\0\0\0\0\0"), violation));
        }
    }
    // A body where there may be none, and none where there must be one.
    for tag in *b"HSc" {
        cases.push((format!("{} with a body", tag as char), message(tag, b"x"), violation));
    }
    for tag in *b"QPBDEC" {
        cases.push((format!("{} without a body", tag as char), message(tag, b""), violation));
    }
    for tag in [0, 0xff, b'q', b'p', b'R', b'v', b'!'] {
        cases.push((format!("tag {tag}"), message(tag, b""), violation));
    }
    each(&server, cases.iter().map(|(what, bytes, expected)| (what.as_str(), bytes.clone(), *expected)).collect());
}

#[test]
fn bodies_that_lie_end_the_connection() {
    let server = Server::start();
    let violation = Fatal("08P01");
    let counted = |parts: &[&[u8]]| message(b'B', &parts.concat());
    let max = i32::MAX.to_be_bytes();
    each(
        &server,
        vec![
            ("a query without its NUL", message(b'Q', b"SELECT 1"), violation),
            ("a query with bytes behind its NUL", message(b'Q', b"SELECT 1\0SELECT 2\0"), violation),
            ("a Parse without its text", message(b'P', b"name\0"), violation),
            ("a Parse with 65535 types that are not there", message(b'P', b"\0SELECT 1\0\xff\xff"), violation),
            ("a Parse with half a type", message(b'P', b"\0SELECT $1\0\0\x01\0\0"), violation),
            ("a Bind with 65535 formats that are not there", counted(&[b"\0\0\xff\xff"]), violation),
            ("a Bind with 65535 parameters that are not there", counted(&[b"\0\0\0\0\xff\xff"]), violation),
            ("a Bind with a parameter of two gibibytes", counted(&[b"\0\0\0\0\0\x01", &max, b"x\0\0"]), violation),
            ("a Bind with a parameter of length -2", counted(&[b"\0\0\0\0\0\x01\xff\xff\xff\xfe\0\0"]), violation),
            ("a Bind that ends too soon", counted(&[b"\0\0\0\0\0\0"]), violation),
            ("a Bind with bytes left over", counted(&[b"\0\0\0\0\0\0\0\0more"]), violation),
            ("a Describe of neither a statement nor a portal", message(b'D', b"X\0"), violation),
            ("a Describe without a name", message(b'D', b"S"), violation),
            ("a Close of neither", message(b'C', b"\xff\0"), violation),
            ("an Execute without a limit", message(b'E', b"\0"), violation),
            ("an Execute with half a limit", message(b'E', b"\0\0\0"), violation),
            ("a Terminate with a body", message(b'X', b"bye"), violation),
        ],
    );
}

#[test]
fn names_and_numbers_that_mean_nothing_are_errors() {
    let server = Server::start();
    let then_sync = |messages: &[Vec<u8>]| [messages.concat(), sync()].concat();
    let one = || parse("", "SELECT 1");
    each(
        &server,
        vec![
            ("a query that is not UTF-8", message(b'Q', b"SELECT '\xff\xfe'\0"), Error("22021")),
            ("a Parse that is not UTF-8", then_sync(&[message(b'P', b"\0SELECT '\xc3'\0\0\0")]), Error("22021")),
            ("a name that is not UTF-8", then_sync(&[message(b'P', b"\xff\0SELECT 1\0\0\0")]), Error("22021")),
            ("a Bind of an unknown statement", then_sync(&[bind("", "nothing")]), Error("26000")),
            ("a Describe of an unknown statement", then_sync(&[message(b'D', b"Snothing\0")]), Error("26000")),
            ("a Describe of an unknown portal", then_sync(&[message(b'D', b"Pnothing\0")]), Error("34000")),
            ("an Execute of an unknown portal", then_sync(&[execute("nothing", 0)]), Error("34000")),
            ("an Execute of the unnamed portal before any Bind", then_sync(&[execute("", 0)]), Error("34000")),
            ("a Close of what is not there", then_sync(&[message(b'C', b"Snothing\0"), message(b'C', b"Pnothing\0")]), Fine),
            ("one name for two statements", then_sync(&[parse("s", "SELECT 1"), parse("s", "SELECT 2")]), Error("42P05")),
            ("one name for two portals", then_sync(&[one(), bind("p", ""), bind("p", "")]), Error("42P03")),
            ("several statements in a Parse", then_sync(&[parse("", "SELECT 1; SELECT 2")]), Error("42601")),
            ("too few parameters", then_sync(&[parse("", "SELECT $1::int"), bind("", "")]), Error("08P01")),
            ("too many parameters", then_sync(&[one(), message(b'B', b"\0\0\0\0\0\x01\0\0\0\x01x\0\0")]), Error("08P01")),
            ("more formats than parameters", then_sync(&[one(), message(b'B', b"\0\0\0\x03\0\0\0\0\0\0\0\0\0\0")]), Error("08P01")),
            ("more result formats than columns", then_sync(&[one(), message(b'B', b"\0\0\0\0\0\0\0\x02\0\0\0\0")]), Error("08P01")),
            ("a result format that is none", then_sync(&[one(), message(b'B', b"\0\0\0\0\0\0\0\x01\0\x07")]), Error("22023")),
            ("a type that is none", then_sync(&[message(b'P', b"\0SELECT $1\0\0\x01\x7f\xff\xff\xff")]), Error("0A000")),
            ("a parameter number of zero", then_sync(&[parse("", "SELECT $0")]), Error("42P02")),
            ("a parameter number beyond all", then_sync(&[parse("", "SELECT $65536")]), Error("42P02")),
            ("a parameter number beyond all numbers", then_sync(&[parse("", "SELECT $99999999999999999999")]), Error("42P02")),
            (
                "a binary parameter that is too short",
                then_sync(&[parse("", "SELECT $1::int8"), message(b'B', b"\0\0\0\x01\0\x01\0\x01\0\0\0\x02\0\0\0\0")]),
                Error("08P01"),
            ),
            (
                "a binary array whose header lies",
                then_sync(&[
                    parse("", "SELECT $1::int4[]"),
                    message(
                        b'B',
                        &[
                            &b"\0\0\0\x01\0\x01\0\x01\0\0\0\x14\0\0\0\x01\0\0\0\0\0\0\0\x17"[..],
                            &i32::MAX.to_be_bytes(),
                            b"\0\0\0\x01\0\0",
                        ]
                        .concat(),
                    ),
                ]),
                Error("08P01"),
            ),
            ("the function call protocol", message(b'F', b"\0\0\0\x01\0\0\0\0\0\0"), Error("0A000")),
        ],
    );
}

#[test]
fn messages_out_of_order_and_empty_ones() {
    let server = Server::start();
    let then_sync = |messages: &[Vec<u8>]| [messages.concat(), sync()].concat();
    each(
        &server,
        vec![
            ("an empty query", query(""), Fine),
            ("a query of semicolons", query(";;; ; ;"), Fine),
            ("a query of a comment", query("-- nothing"), Fine),
            ("everything empty", then_sync(&[parse("", ""), bind("", ""), message(b'D', b"P\0"), execute("", 0)]), Fine),
            ("copy data outside of COPY", then_sync(&[message(b'd', b"1\n"), message(b'd', b""), message(b'c', b"")]), Fine),
            ("a CopyFail outside of COPY", then_sync(&[message(b'f', b"because\0")]), Fine),
            ("Flush before anything", then_sync(&[message(b'H', b"")]), Fine),
            (
                "Execute of what is finished",
                then_sync(&[parse("", "SELECT 1"), bind("", ""), execute("", 0), execute("", 0)]),
                Fine,
            ),
            ("Terminate", message(b'X', b""), Closed),
        ],
    );
}

#[test]
fn row_limits_at_their_ends() {
    let server = Server::start();
    let mut peer = Peer::login(&server);
    for (limit, tags) in
        [(i32::MAX, "12DDDCZ"), (-1, "12DDDCZ"), (i32::MIN, "12DDDCZ"), (0, "12DDDCZ"), (3, "12DDDsZ"), (2, "12DDsZ")]
    {
        let text = "SELECT n FROM generate_series(1, 3) AS g(n)";
        let answer = peer.ask(&[parse("", text), bind("", ""), execute("", limit), sync()].concat());
        assert_eq!(answer.tags(), tags, "limit {limit}: {answer}");
    }
    // A portal in slices of one row, far beyond its end.
    let mut messages = [parse("", "SELECT n FROM generate_series(1, 3) AS g(n)"), bind("p", "")].concat();
    (0..6).for_each(|_| messages.extend(execute("p", 1)));
    let answer = peer.ask(&[messages, sync()].concat());
    assert_eq!(answer.tags(), "12DsDsDsCCCZ", "{answer}");
    is_unharmed(&server);
}

#[test]
fn after_an_error_everything_up_to_sync_is_skipped() {
    let server = Server::start();
    let mut peer = Peer::login(&server);
    let mut messages = parse("", "SELEC");
    for _ in 0..1_000 {
        messages.extend([parse("s", "SELECT 1"), bind("p", "s"), execute("p", 0), query("SELECT 1"), message(b'H', b"")].concat());
    }
    let answer = peer.ask(&[messages, sync()].concat());
    assert_eq!((answer.tags().as_str(), answer.sqlstates().as_slice()), ("EZ", &["42601".to_string()][..]));
    // Nothing of what was skipped is there.
    assert_eq!(peer.ask(&[bind("", "s"), sync()].concat()).sqlstates(), ["26000"]);
    // As many ReadyForQuery as Syncs.
    peer.send(&sync().repeat(500));
    for n in 0..500 {
        assert_eq!(peer.answer().tags(), "Z", "sync {n}");
    }
    is_unharmed(&server);
}

#[test]
fn half_closed_connections_end_and_leave_nothing() {
    let server = Server::start();
    let halves: [(&str, Vec<u8>); 4] = [
        ("between messages", vec![]),
        ("within a message", query("SELECT 1")[..7].to_vec()),
        ("behind a query", query("SELECT 1")),
        ("behind a Parse without Sync", parse("", "SELECT 1")),
    ];
    for (what, bytes) in halves {
        let mut peer = Peer::login(&server);
        peer.send(&bytes);
        peer.half_close();
        let answer = peer.rest();
        assert!(!String::from_utf8_lossy(&answer).contains("XX000"), "{what}: {}", String::from_utf8_lossy(&answer));
    }
    server.eventually("no session is left", |server| server.metric("lakehold_wire_sessions") == 0.0);
    is_unharmed(&server);
}
