use super::Server;
use super::client::{bind, execute, message, parse, query, sync};
use crate::wire::options::WireOptions;

fn data(text: &str) -> Vec<u8> {
    message(b'd', text.as_bytes())
}

fn done() -> Vec<u8> {
    message(b'c', b"")
}

#[tokio::test]
async fn rows_are_received_wherever_messages_break_and_sync_is_ignored() {
    let server = Server::start().await;
    let mut client = server.client().await;
    client.send(&query("copyin")).await;
    assert_eq!(client.replies(1).await, ["G(0 1)"]);
    let messages = [data("1"), message(b'H', b""), data("2\n3"), message(b'S', b""), data("\n4"), done()];
    assert_eq!(client.ask(&messages).await, ["C(COPY 3)", "Z(I)"]);
    let messages = [query("copyin; select 5"), data("1\n\\.\n"), data("ignored"), done()];
    assert_eq!(client.ask(&messages).await, ["G(0 1)", "C(COPY 1)", "T(n:23:0)", "D(5)", "C(SELECT 1)", "Z(I)"]);
    // Outside of COPY the messages mean nothing.
    assert_eq!(client.ask(&[data("x"), done(), message(b'f', b"y\0"), query("select 1")]).await.len(), 4);
    server.stop().await;
}

#[tokio::test]
async fn the_extended_protocol_copies_too() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let start = [parse("", "copyin", &[]), bind("", "", &[], &[], &[]), execute("", 0), sync()];
    assert_eq!(client.ask(&[&start[..], &[data("5\n"), done(), sync()]].concat()).await, ["1", "2", "G(0 1)", "C(COPY 1)", "Z(I)"]);
    let wrong = [&start[..], &[data("x\n"), done(), sync()]].concat();
    let expected = "E(ERROR 22P02 invalid input syntax for type integer: \"x\")";
    assert_eq!(client.ask(&wrong).await, ["1", "2", "G(0 1)", expected, "Z(I)"]);
    assert_eq!(client.query("select 1").await[1], "D(1)");
    server.stop().await;
}

#[tokio::test]
async fn what_fails_is_dropped_and_the_session_goes_on() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let failed = client.ask(&[query("copyin"), data("1\n"), message(b'f', b"client gave up\0")]).await;
    assert_eq!(failed, ["G(0 1)", "E(ERROR 57014 COPY from stdin failed: client gave up)", "Z(I)"]);
    let failed = client.ask(&[query("copyin"), data("1\nx\n"), data("2\n"), done(), query("select 1")]).await;
    assert_eq!(failed, ["G(0 1)", "E(ERROR 22P02 invalid input syntax for type integer: \"x\")", "Z(I)"]);
    assert_eq!(client.until_ready().await[1], "D(1)");
    // The load fails before the client is done.
    let failed = client.ask(&[query("copyin broken"), data(&"1\n".repeat(200_000)), done(), query("select 1")]).await;
    assert_eq!(failed, ["G(0 1)", "E(ERROR 53100 no space left)", "Z(I)"]);
    assert_eq!(client.until_ready().await[1], "D(1)");
    assert_eq!(server.warehouse.counters.finished.load(std::sync::atomic::Ordering::SeqCst), 0);
    server.stop().await;
}

#[tokio::test]
async fn another_message_ends_the_connection() {
    let server = Server::start().await;
    let mut client = server.client().await;
    assert_eq!(
        client.ask(&[query("copyin"), data("5\n"), query("select 1")]).await,
        ["G(0 1)", "E(ERROR 08P01 unexpected message type 0x51 during COPY from stdin)"]
            .into_iter()
            .chain(["E(FATAL 08P01 terminating connection because protocol synchronization was lost)", "closed"])
            .collect::<Vec<_>>()
    );
    assert_eq!(server.warehouse.counters.finished.load(std::sync::atomic::Ordering::SeqCst), 0);
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_stops_or_is_gone_commits_nothing() {
    let server = Server::with(WireOptions { cancels_per_second: 100, ..WireOptions::default() }, false).await;
    let counters = &server.warehouse.counters;
    let mut client = server.client().await;
    client.send(&[query("copyin"), data("1\n")].concat()).await;
    client.replies(1).await;
    super::interruption::cancel(server.address, client.pid, &client.key).await;
    assert_eq!(client.until_ready().await, ["E(ERROR 57014 canceling statement due to user request)", "Z(I)"]);
    client.send(&[query("copyin"), data("1\n")].concat()).await;
    client.replies(1).await;
    drop(client);
    super::interruption::eventually(&counters.sessions, 0).await;
    assert_eq!(counters.finished.load(std::sync::atomic::Ordering::SeqCst), 0);
    server.stop().await;
}
