use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;

use super::Server;
use super::client::{Client, VERSION_3_2, bind, execute, packet, parse, query, startup, sync};
use crate::units::{ByteSize, HumanDuration};
use crate::wire::double::PASSWORD;
use crate::wire::options::WireOptions;

const CANCELLED: &str = "E(ERROR 57014 canceling statement due to user request)";

pub(super) async fn cancel(address: SocketAddr, pid: i32, key: &[u8]) {
    let mut bytes = 80_877_102_u32.to_be_bytes().to_vec();
    bytes.extend(pid.to_be_bytes());
    bytes.extend(key);
    let mut client = Client::connect(address).await;
    client.send(&packet(&bytes)).await;
    assert_eq!(client.until_ready().await, ["closed"]);
}

pub(super) async fn eventually(counter: &AtomicUsize, value: usize) {
    let start = Instant::now();
    while counter.load(Ordering::SeqCst) != value {
        assert!(start.elapsed() < Duration::from_secs(5), "{} is not {value}", counter.load(Ordering::SeqCst));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_cancel_request_reaches_planning_and_rows() {
    let server = Server::with(WireOptions { cancels_per_second: 100, ..WireOptions::default() }, false).await;
    let mut client = server.client().await;
    for (text, before) in [("hang", 0), ("slow", 2), ("endless", 2)] {
        client.send(&query(text)).await;
        client.replies(before).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        cancel(server.address, client.pid, &[0, 0, 0, 0]).await;
        cancel(server.address, client.pid, &client.key).await;
        let replies = client.until_ready().await;
        assert_eq!(replies[replies.len() - 2..], [CANCELLED, "Z(I)"], "{text}");
    }
    // Nothing runs: nothing is cancelled, not even the next statement.
    cancel(server.address, client.pid, &client.key).await;
    assert_eq!(client.query("select 1").await[2], "C(SELECT 1)");
    server.stop().await;
}

#[tokio::test]
async fn a_long_key_cancels_and_a_portal_in_parts_is_cancelled_too() {
    let server = Server::start().await;
    let mut client = Client::connect(server.address).await;
    client.send(&startup(VERSION_3_2, &[("user", "ada")])).await;
    client.authenticate(PASSWORD, None).await;
    client.until_ready().await;
    assert_eq!(client.key.len(), 32);
    client.query("begin").await;
    client.send(&[parse("", "slow", &[]), bind("", "", &[], &[], &[]), execute("", 1), execute("", 1), sync()].concat()).await;
    assert_eq!(client.replies(4).await, ["1", "2", "D(0)", "s"]);
    cancel(server.address, client.pid, &client.key).await;
    assert_eq!(client.until_ready().await, [CANCELLED, "Z(E)"]);
}

#[tokio::test]
async fn statement_timeout_covers_planning_and_rows() {
    let server = Server::start().await;
    let mut client = Client::connect(server.address).await;
    client.send(&startup(VERSION_3_2, &[("user", "ada"), ("options", "-c statement_timeout=100ms")])).await;
    client.authenticate(PASSWORD, None).await;
    client.until_ready().await;
    for text in ["hang", "slow"] {
        let replies = client.query(text).await;
        assert_eq!(replies[replies.len() - 2], "E(ERROR 57014 canceling statement due to statement timeout)", "{text}");
    }
}

#[tokio::test]
async fn a_client_that_is_gone_stops_its_statement_but_not_its_commit() {
    let server = Server::start().await;
    let counters = &server.warehouse.counters;
    for text in ["hang", "slow", "endless"] {
        let mut client = server.client().await;
        client.send(&query(text)).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        drop(client);
        eventually(&counters.sessions, 0).await;
    }
    assert_eq!((counters.cancelled.load(Ordering::SeqCst), counters.dropped.load(Ordering::SeqCst)), (1, 2));
    let mut client = server.client().await;
    client.send(&query("write; write")).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    drop(client);
    eventually(&counters.sessions, 0).await;
    assert_eq!(counters.finished.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_first_row_leaves_before_the_last_is_computed() {
    let server = Server::start().await;
    let mut client = server.client().await;
    client.send(&query("select 7; slow")).await;
    assert_eq!(client.replies(5).await, ["T(n:23:0)", "D(7)", "C(SELECT 1)", "T(n:23:0)", "D(0)"]);
}

#[tokio::test]
async fn messages_sent_ahead_are_kept_while_a_statement_runs() {
    let server = Server::start().await;
    let mut client = server.client().await;
    client.send(&query("write")).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    client.send(&[query("select 1"), query("select 2")].concat()).await;
    assert_eq!(client.until_ready().await, ["C(INSERT 0 1)", "Z(I)"]);
    assert_eq!(client.until_ready().await[1], "D(1)");
    assert_eq!(client.until_ready().await[1], "D(2)");
}

#[tokio::test]
async fn a_slow_reader_holds_the_query_back_and_is_given_up_in_the_end() {
    let options =
        WireOptions { write_timeout: HumanDuration::millis(500), flush_size: ByteSize::kib(64), ..WireOptions::default() };
    let server = Server::with(options, false).await;
    let counters = &server.warehouse.counters;
    let mut client = server.client().await;
    // 8 KiB rows, 64 KiB batches, 640 MiB in all.
    client.send(&query("wide 10000 8192")).await;
    eventually(&counters.sessions, 0).await;
    let batches = counters.batches.load(Ordering::SeqCst);
    assert!(batches < 1_000, "{batches} batches were computed for a client that reads nothing");
    assert_eq!(counters.dropped.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn idle_sessions_end_when_their_time_is_over() {
    let server = Server::start().await;
    for (setting, text, expected) in [
        ("idle_session_timeout", "select 1", "E(FATAL 57P05 terminating connection due to idle-session timeout)"),
        (
            "idle_in_transaction_session_timeout",
            "begin",
            "E(FATAL 25P03 terminating connection due to idle-in-transaction session timeout)",
        ),
    ] {
        let mut client = Client::connect(server.address).await;
        client.send(&startup(VERSION_3_2, &[("user", "ada"), (setting, "100")])).await;
        client.authenticate(PASSWORD, None).await;
        client.until_ready().await;
        client.query(text).await;
        assert_eq!(client.until_ready().await, [expected, "closed"]);
    }
}

#[tokio::test]
async fn an_administrator_ends_a_connection() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let replies = client.query("terminate").await;
    assert!(replies.contains(&"C(SELECT 1)".to_string()) || replies.len() == 2, "{replies:?}");
    let last = client.until_ready().await;
    assert_eq!(last, ["E(FATAL 57P01 terminating connection due to administrator command)", "closed"]);
}

#[tokio::test]
async fn shutdown_ends_idle_sessions_and_lets_statements_finish() {
    let server = Server::start().await;
    let (mut idle, mut busy) = (server.client().await, server.client().await);
    busy.send(&query("write")).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    server.shutdown.cancel();
    let goodbye = ["E(FATAL 57P01 terminating connection due to administrator command)", "closed"];
    assert_eq!(idle.until_ready().await, goodbye);
    assert_eq!(busy.until_ready().await, ["C(INSERT 0 1)", "Z(I)"]);
    assert_eq!(busy.until_ready().await, goodbye);
    server.stop().await;
}

#[tokio::test]
async fn shutdown_cancels_what_runs_when_its_grace_is_over() {
    let server = Server::with(WireOptions { shutdown_grace: HumanDuration::millis(100), ..WireOptions::default() }, false).await;
    let mut clients = Vec::new();
    for text in ["hang", "slow"] {
        let mut client = server.client().await;
        client.send(&query(text)).await;
        clients.push(client);
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    let counters = std::sync::Arc::clone(&server.warehouse.counters);
    server.stop().await;
    for mut client in clients {
        let replies = client.until_ready().await;
        assert_eq!(replies[replies.len() - 2], "E(FATAL 57P01 terminating connection due to administrator command)");
    }
    assert_eq!(counters.sessions.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn the_door_opens_and_closes_fifty_times() {
    for _ in 0..50 {
        let server = Server::start().await;
        let mut client = server.client().await;
        client.stream.write_all(&query("select 1")).await.unwrap();
        server.stop().await;
    }
}
