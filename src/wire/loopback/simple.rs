use super::Server;
use super::client::{execute, message, query, sync};

#[tokio::test]
async fn statements_run_one_after_the_other_up_to_the_first_error() {
    let server = Server::start().await;
    let mut client = server.client().await;
    assert_eq!(
        client.query("select 1; select 2").await,
        ["T(n:23:0)", "D(1)", "C(SELECT 1)", "T(n:23:0)", "D(2)", "C(SELECT 1)", "Z(I)"]
    );
    assert_eq!(
        client.query("select 1; fail; select 3").await,
        ["T(n:23:0)", "D(1)", "C(SELECT 1)", "E(ERROR 22012 division by zero)", "Z(I)"]
    );
    assert_eq!(client.query("breaks").await, ["T(n:23:0)", "D(0)", "E(ERROR 22012 division by zero)", "Z(I)"]);
    for nothing in ["", ";", " ; ;; "] {
        assert_eq!(client.query(nothing).await, ["I", "Z(I)"]);
    }
    assert_eq!(client.query("rows 0").await, ["T(n:23:0)", "C(SELECT 0)", "Z(I)"]);
}

#[tokio::test]
async fn a_failed_block_takes_nothing_but_its_end() {
    let server = Server::start().await;
    let mut client = server.client().await;
    assert_eq!(client.query("begin; fail").await, ["C(BEGIN)", "E(ERROR 22012 division by zero)", "Z(E)"]);
    let aborted = "E(ERROR 25P02 current transaction is aborted, commands ignored until end of transaction block)";
    assert_eq!(client.query("select 1").await, [aborted, "Z(E)"]);
    assert_eq!(client.query("commit").await, ["C(ROLLBACK)", "Z(I)"]);
    assert_eq!(client.query("select 1; begin").await, ["T(n:23:0)", "D(1)", "C(SELECT 1)", "C(BEGIN)", "Z(T)"]);
}

#[tokio::test]
async fn notices_come_before_and_settings_after_the_tag() {
    let server = Server::start().await;
    let mut client = server.client().await;
    assert_eq!(
        client.query("notice; set TimeZone Asia/Tokyo").await,
        ["N(NOTICE 00000 hello)", "C(DO)", "C(SET)", "S(TimeZone=Asia/Tokyo)", "Z(I)"]
    );
}

#[tokio::test]
async fn copies_have_a_protocol_of_their_own() {
    let server = Server::start().await;
    let mut client = server.client().await;
    assert_eq!(
        client.query("copy text; select 2").await,
        ["H(0 1)", "d(1\\n)", "d(2\\n)", "c", "C(COPY 2)", "T(n:23:0)", "D(2)", "C(SELECT 1)", "Z(I)"]
    );
    let binary = client.query("copy binary").await;
    assert_eq!((binary[0].as_str(), &binary[binary.len() - 3..]), ("H(1 1)", &["c", "C(COPY 2)", "Z(I)"].map(String::from)[..]));
    let stray = [message(b'd', b"x"), message(b'c', b""), message(b'f', b"y\0"), query("select 1")];
    assert_eq!(client.ask(&stray).await, ["T(n:23:0)", "D(1)", "C(SELECT 1)", "Z(I)"]);
}

#[tokio::test]
async fn function_calls_are_refused_and_the_session_stays() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let call = message(b'F', b"\0\0\0\xb1\0\0\0\0\0\0");
    let refused = "E(ERROR 0A000 the function call protocol is not supported)";
    assert_eq!(client.ask(std::slice::from_ref(&call)).await, [refused, "Z(I)"]);
    assert_eq!(client.ask(&[sync()]).await, ["Z(I)"]);
    // Behind an error of the extended protocol it is skipped as everything is up to Sync.
    let failed = [execute("none", 0), call.clone(), sync()];
    assert_eq!(client.ask(&failed).await, ["E(ERROR 34000 portal \"none\" does not exist)", "Z(I)"]);
    client.query("begin; fail").await;
    let aborted = "E(ERROR 25P02 current transaction is aborted, commands ignored until end of transaction block)";
    assert_eq!(client.ask(&[call]).await, [aborted, "Z(E)"]);
}

#[tokio::test]
async fn broken_messages_end_the_connection_and_nothing_else() {
    let server = Server::start().await;
    for (broken, expected) in [
        (b"z\0\0\0\x04".to_vec(), "E(FATAL 08P01 invalid frontend message type 122)"),
        (message(b'p', b""), "E(FATAL 08P01 invalid frontend message type 112)"),
        (b"Q\0\0\0\x02".to_vec(), "E(FATAL 08P01 invalid message length)"),
        (b"Q\0\0\0\0".to_vec(), "E(FATAL 08P01 invalid message length)"),
        (b"Q\xff\xff\xff\xff".to_vec(), "E(FATAL 08P01 invalid message length)"),
        (message(b'Q', b""), "E(FATAL 08P01 invalid string in message)"),
        (message(b'Q', b"select 1"), "E(FATAL 08P01 invalid string in message)"),
        (message(b'Q', b"select 1\0x"), "E(FATAL 08P01 invalid message format)"),
        (message(b'E', b"\0\0\0"), "E(FATAL 08P01 insufficient data left in message)"),
        (message(b'B', b"\0\0\0\0\0\x01\x7f\xff\xff\xff\0\0"), "E(FATAL 08P01 insufficient data left in message)"),
        (message(b'P', b"\0select 1\0\xff\xff"), "E(FATAL 08P01 insufficient data left in message)"),
        (message(b'D', b"X\0"), "E(FATAL 08P01 invalid DESCRIBE or CLOSE message subtype)"),
    ] {
        let mut client = server.client().await;
        assert_eq!(client.ask(std::slice::from_ref(&broken)).await, [expected, "closed"], "{broken:?}");
    }
    server.client().await;
}

#[tokio::test]
async fn text_that_is_not_utf8_is_an_error_of_the_statement() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let reply = client.ask(&[message(b'Q', b"select \xff\0")]).await;
    assert_eq!(reply, ["E(ERROR 22021 invalid byte sequence for encoding \"UTF8\": 0xff)", "Z(I)"]);
}

#[tokio::test]
async fn a_panic_ends_one_connection() {
    let server = Server::start().await;
    let (mut victim, mut other) = (server.client().await, server.client().await);
    assert_eq!(victim.query("panic").await, ["E(FATAL XX000 internal error)", "closed"]);
    assert_eq!(other.query("bug").await, ["E(ERROR XX000 internal error)", "Z(I)"]);
    server.stop().await;
}

#[tokio::test]
async fn goodbye_is_heard() {
    let server = Server::start().await;
    let mut client = server.client().await;
    assert_eq!(client.ask(&[message(b'X', b"")]).await, ["closed"]);
    server.stop().await;
}
