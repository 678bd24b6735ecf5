//! What stops a statement that runs: a cancel request, a time limit, another session's word, the end of its client. `bench/cancel.py`
//! measures how soon.

use std::time::{Duration, Instant};

use tokio_postgres::{Client, NoTls};

use crate::hostile::peer::{Peer, bind, cancel, execute, parse, query, sync};
use crate::server::{Server, rows, run, sqlstate};

/// Computes for as long as anybody lets it, without a row.
pub(crate) const ENDLESS: &str = "SELECT count(*) FROM generate_series(1, 100000) a(n), generate_series(1, 100000) b(n), generate_series(1, 100000) c(n) \
     WHERE (a.n + b.n + c.n) % 7 = 8";
/// Is long in the making: its tables are made while it is planned.
const PLANNED: &str =
    "SELECT count(*) FROM generate_series(1, 3000000) a(n) JOIN generate_series(1, 3000000) b(n) ON a.n % 7 = b.n % 7";
/// Sends rows for as long as anybody lets it.
const STREAM: &str = "SELECT a.n, b.n FROM generate_series(1, 100000) a(n) CROSS JOIN generate_series(1, 100000) b(n)";

/// Waits until `count` sessions run `text`, as `pg_stat_activity` shows them.
pub(crate) async fn until_running(observer: &Client, text: &str, count: usize) {
    let sql = format!("SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query = '{}'", text.replace('\'', "''"));
    for _ in 0..1_500 {
        if rows(observer, &sql).await.len() == count {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("not {count} sessions run {text}");
}

/// Runs a statement that only an interruption ends; returns its SQLSTATE and the session.
fn start(client: Client, text: &'static str) -> tokio::task::JoinHandle<(String, Client)> {
    tokio::spawn(async move {
        let code = sqlstate(&client, text).await;
        (code, client)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_request_ends_what_runs_and_nothing_else() {
    let server = Server::start();
    let observer = server.admin().await;
    for text in [ENDLESS, STREAM, "SELECT pg_sleep(600)", PLANNED] {
        let client = server.admin().await;
        let token = client.cancel_token();
        let running = start(client, text);
        until_running(&observer, text, 1).await;
        token.cancel_query(NoTls).await.unwrap();
        let (code, client) = running.await.unwrap();
        assert_eq!(code, "57014", "{text}");
        assert_eq!(rows(&client, "SELECT 1").await.len(), 1, "the session lives on");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_statement_fails_its_block() {
    let server = Server::start();
    let (observer, client) = (server.admin().await, server.admin().await);
    run(&client, "BEGIN").await;
    let token = client.cancel_token();
    let running = start(client, ENDLESS);
    until_running(&observer, ENDLESS, 1).await;
    token.cancel_query(NoTls).await.unwrap();
    let (code, client) = running.await.unwrap();
    assert_eq!(code, "57014");
    assert_eq!(sqlstate(&client, "SELECT 1").await, "25P02");
    run(&client, "ROLLBACK").await;
    assert_eq!(rows(&client, "SELECT 1").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn statement_timeout_ends_what_runs() {
    let server = Server::start();
    let admin = server.admin().await;
    run(&admin, "SET statement_timeout = '300ms'").await;
    for text in [ENDLESS, STREAM, "SELECT pg_sleep(600)"] {
        assert_eq!(sqlstate(&admin, text).await, "57014", "{text}");
    }
    let extended = admin.query(STREAM, &[]).await.unwrap_err();
    assert_eq!(extended.code().unwrap().code(), "57014");
    run(&admin, "RESET statement_timeout").await;
    assert_eq!(rows(&admin, "SELECT 1").await.len(), 1);
}

#[test]
fn a_cancel_request_with_nothing_to_cancel_does_nothing_to_what_comes_next() {
    let server = Server::start();
    let mut peer = Peer::login(&server);
    for _ in 0..3 {
        let mut canceller = Peer::open(&server);
        canceller.send(&cancel(peer.pid, &peer.key));
        // The server hangs up when it has done what it was asked for.
        assert!(canceller.rest().is_empty());
        assert_eq!(peer.ask(&query("SELECT 1")).tags(), "TDCZ");
    }
}

/// However its client speaks and whatever it was doing, a statement does not outlive it.
#[test]
fn a_client_that_is_gone_ends_what_runs() {
    let server = Server::start();
    let extended = |text: &str| [parse("", text), bind("", ""), execute("", 0), sync()].concat();
    for (what, bytes) in [
        ("a query that computes", query(ENDLESS)),
        ("a query that sends", query(STREAM)),
        ("a query that sleeps", query("SELECT pg_sleep(600)")),
        ("an extended query that computes", extended(ENDLESS)),
        ("a COPY", query(&format!("COPY ({STREAM}) TO STDOUT"))),
        ("a query with more behind it", [query(ENDLESS), query("SELECT 1")].concat()),
    ] {
        let mut peer = Peer::login(&server);
        peer.send(&bytes);
        let pid = peer.pid;
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let observer = server.admin().await;
            let sql = format!("SELECT 1 FROM pg_stat_activity WHERE pid = {pid} AND state = 'active'");
            while rows(&observer, &sql).await.is_empty() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        drop(peer);
        println!("{what}");
        server.eventually("its session is gone", |server| server.metric("lakehold_wire_sessions") == 0.0);
    }
    server.until_quiet();
}

/// A client cannot keep the planners from others by sending what is long in the planning and giving up on it.
#[tokio::test(flavor = "multi_thread")]
async fn plannings_that_were_given_up_leave_their_planners_to_others() {
    let server = Server::start_with(&["engine.planner_threads=2"]);
    let observer = server.admin().await;
    run(&observer, "CREATE TABLE t AS SELECT 1 AS x").await;
    let long = format!("({})", vec!["x"; 100].join(" + "));
    let (mut text, mut alone) = (String::new(), Duration::ZERO);
    // As long as it must be on this machine to show anything.
    for columns in [200, 400, 800] {
        text = format!("SELECT {} FROM t", vec![long.as_str(); columns].join(", "));
        let began = Instant::now();
        assert_eq!(rows(&observer, &text).await.len(), 1);
        alone = began.elapsed();
        if alone > Duration::from_secs(3) {
            break;
        }
    }
    assert!(alone > Duration::from_secs(2), "it must be long in the planning to show anything: {alone:?}");

    let mut sessions = Vec::new();
    for _ in 0..12 {
        let (client, text) = (server.admin().await, text.clone());
        run(&client, "SET statement_timeout = '1s'").await;
        sessions.push(tokio::spawn(async move { sqlstate(&client, &text).await }));
    }
    for session in sessions {
        assert_eq!(session.await.unwrap(), "57014");
    }
    let began = Instant::now();
    assert_eq!(rows(&observer, "SELECT 1").await.len(), 1);
    assert!(began.elapsed() < alone, "{:?} for SELECT 1 behind plannings of {alone:?}", began.elapsed());
}
