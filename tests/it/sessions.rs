//! What sessions share: notifications, locks, signals; and several statements in one text.

use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream::poll_fn;
use tokio::sync::mpsc;
use tokio_postgres::{AsyncMessage, Client, NoTls};

use crate::hostile::peer::{Peer, bind, execute, parse, query, sync};
use crate::server::{ADMIN_PASSWORD, Server, password_of, rows, run, sqlstate};

/// A session, and the notifications that arrive on it.
async fn listener(server: &Server, database: &str) -> (Client, mpsc::UnboundedReceiver<(String, String)>) {
    let port = server.postgres.port();
    let config = format!("host=127.0.0.1 port={port} user=admin password={ADMIN_PASSWORD} dbname={database}");
    let (client, mut connection) = tokio_postgres::connect(&config, NoTls).await.unwrap();
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut messages = poll_fn(move |context| connection.poll_message(context));
        while let Some(Ok(message)) = messages.next().await {
            if let AsyncMessage::Notification(heard) = message {
                let _ = sender.send((heard.channel().to_string(), heard.payload().to_string()));
            }
        }
    });
    (client, receiver)
}

async fn heard(receiver: &mut mpsc::UnboundedReceiver<(String, String)>) -> Option<(String, String)> {
    tokio::time::timeout(Duration::from_secs(5), receiver.recv()).await.ok().flatten()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notification_reaches_an_idle_session_at_commit() {
    let server = Server::start();
    let admin = server.admin().await;
    run(&admin, "CREATE CATALOG other").await;
    let (client, mut inbox) = listener(&server, "main").await;
    let (elsewhere, mut other_inbox) = listener(&server, "other").await;
    run(&client, "LISTEN jobs").await;
    run(&elsewhere, "LISTEN jobs").await;
    assert_eq!(rows(&client, "SELECT pg_listening_channels()").await, [[Some("jobs".to_string())]]);

    run(&admin, "BEGIN").await;
    run(&admin, "NOTIFY jobs, 'undone'").await;
    run(&admin, "ROLLBACK").await;
    run(&admin, "BEGIN").await;
    run(&admin, "NOTIFY jobs, 'first'").await;
    run(&admin, "SELECT pg_notify('jobs', 'second')").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(inbox.try_recv().is_err(), "nothing is heard before the commit");
    run(&admin, "COMMIT").await;
    assert_eq!(heard(&mut inbox).await, Some(("jobs".to_string(), "first".to_string())));
    assert_eq!(heard(&mut inbox).await, Some(("jobs".to_string(), "second".to_string())));

    // A session in a block hears when the block is over.
    run(&client, "BEGIN").await;
    run(&admin, "NOTIFY jobs, 'late'").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(inbox.try_recv().is_err());
    run(&client, "COMMIT").await;
    assert_eq!(heard(&mut inbox).await, Some(("jobs".to_string(), "late".to_string())));

    run(&client, "UNLISTEN *").await;
    run(&admin, "NOTIFY jobs, 'unheard'").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(inbox.try_recv().is_err() && other_inbox.try_recv().is_err());
    assert_eq!(sqlstate(&admin, &format!("NOTIFY jobs, '{}'", "x".repeat(8_000))).await, "22023");
}

#[tokio::test(flavor = "multi_thread")]
async fn advisory_locks_are_waited_for() {
    let server = Server::start();
    let (one, two) = (server.admin().await, server.admin().await);
    run(&one, "SELECT pg_advisory_lock(42)").await;
    assert_eq!(rows(&two, "SELECT pg_try_advisory_lock(42)").await, [[Some("f".to_string())]]);
    assert_eq!(rows(&two, "SELECT pg_try_advisory_lock(4, 2)").await, [[Some("t".to_string())]]);
    run(&two, "SET lock_timeout = '200ms'").await;
    assert_eq!(sqlstate(&two, "SELECT pg_advisory_lock(42)").await, "55P03");
    run(&two, "RESET lock_timeout").await;
    run(&two, "SET statement_timeout = '200ms'").await;
    assert_eq!(sqlstate(&two, "SELECT pg_advisory_lock(42)").await, "57014");
    run(&two, "RESET statement_timeout").await;

    let waiter = tokio::spawn(async move {
        run(&two, "SELECT pg_advisory_lock(42)").await;
        two
    });
    let waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = 42";
    let deadline = Instant::now() + Duration::from_secs(10);
    while rows(&one, waits).await != [[Some("1".to_string())]] {
        assert!(Instant::now() < deadline, "nobody waits");
    }
    assert_eq!(rows(&one, "SELECT pg_advisory_unlock(42)").await, [[Some("t".to_string())]]);
    let two = tokio::time::timeout(Duration::from_secs(5), waiter).await.unwrap().unwrap();
    drop(two);

    // The end of a session gives everything back, and the end of a transaction what was taken for it.
    let deadline = Instant::now() + Duration::from_secs(5);
    while rows(&one, "SELECT count(*) FROM pg_locks").await != [[Some("0".to_string())]] {
        assert!(Instant::now() < deadline, "the locks of a session that is gone are still held");
    }
    run(&one, "BEGIN").await;
    run(&one, "SELECT pg_advisory_xact_lock(7)").await;
    assert_eq!(rows(&one, "SELECT mode FROM pg_locks").await, [[Some("ExclusiveLock".to_string())]]);
    run(&one, "COMMIT").await;
    assert_eq!(rows(&one, "SELECT count(*) FROM pg_locks").await, [[Some("0".to_string())]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn lock_table_keeps_out_lock_table() {
    let server = Server::start();
    let (one, two) = (server.admin().await, server.admin().await);
    run(&one, "CREATE TABLE t (a int)").await;
    assert_eq!(sqlstate(&one, "LOCK TABLE t").await, "25P01");
    run(&one, "BEGIN").await;
    run(&one, "LOCK TABLE t IN SHARE MODE").await;
    run(&two, "BEGIN; LOCK TABLE t IN ACCESS SHARE MODE; COMMIT").await;
    assert_eq!(sqlstate(&two, "BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE NOWAIT").await, "55P03");
    run(&two, "ROLLBACK").await;
    assert_eq!(sqlstate(&two, "BEGIN; LOCK TABLE missing").await, "42P01");
    run(&two, "ROLLBACK").await;
    run(&one, "COMMIT").await;
    run(&two, "BEGIN; LOCK t NOWAIT; COMMIT").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signals_reach_own_sessions_and_those_of_all_for_an_administrator() {
    let server = Server::start();
    let admin = server.admin().await;
    for name in ["ann", "bob"] {
        run(&admin, &format!("CREATE USER {name} PASSWORD '{}'", password_of(name))).await;
    }
    let (ann, second, bob) = (server.user("ann").await, server.user("ann").await, server.user("bob").await);
    let pid = rows(&second, "SELECT pg_backend_pid()").await[0][0].clone().unwrap();
    let sleeper = tokio::spawn(async move {
        let code = sqlstate(&second, "SELECT pg_sleep(30)").await;
        (code, second)
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(rows(&bob, &format!("SELECT pg_cancel_backend({pid})")).await, [[Some("f".to_string())]]);
    assert_eq!(rows(&ann, &format!("SELECT pg_cancel_backend({pid})")).await, [[Some("t".to_string())]]);
    let (code, second) = tokio::time::timeout(Duration::from_secs(5), sleeper).await.unwrap().unwrap();
    assert_eq!(code, "57014");
    assert_eq!(rows(&admin, &format!("SELECT pg_terminate_backend({pid})")).await, [[Some("t".to_string())]]);
    let deadline = Instant::now() + Duration::from_secs(5);
    while !second.is_closed() {
        assert!(Instant::now() < deadline, "the session goes on");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_statements_in_one_text_are_one_transaction() {
    let server = Server::start();
    let admin = server.admin().await;
    run(&admin, "CREATE TABLE t (n int); INSERT INTO t VALUES (1); INSERT INTO t SELECT n + 1 FROM t").await;
    let count = "SELECT count(*) FROM t";
    assert_eq!(rows(&admin, count).await, [[Some("2".to_string())]]);
    assert_eq!(sqlstate(&admin, "INSERT INTO t VALUES (3); SET application_name = 'undone'; SELECT 1/0").await, "22012");
    assert_eq!(rows(&admin, count).await, [[Some("2".to_string())]]);
    assert_ne!(rows(&admin, "SHOW application_name").await, [[Some("undone".to_string())]]);
    assert_eq!(sqlstate(&admin, "CREATE TABLE u (n int); DROP TABLE t; SELECT * FROM t").await, "42P01");
    assert_eq!(rows(&admin, count).await, [[Some("2".to_string())]]);
    assert_eq!(sqlstate(&admin, "SELECT * FROM u").await, "42P01");
    assert_eq!(sqlstate(&admin, "INSERT INTO t VALUES (3); COMMIT; SELECT 1/0").await, "22012");
    assert_eq!(rows(&admin, count).await, [[Some("3".to_string())]]);
    assert_eq!(sqlstate(&admin, "SELECT 1; DISCARD ALL").await, "25001");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_leaves_nothing_of_its_block() {
    let server = Server::start();
    let admin = server.admin().await;
    let gone = server.admin().await;
    run(&gone, "BEGIN").await;
    run(&gone, "CREATE TABLE t AS SELECT 1 AS a").await;
    run(&gone, "CREATE TEMP TABLE mine AS SELECT 1 AS a").await;
    drop(gone);
    let deadline = Instant::now() + Duration::from_secs(5);
    while rows(&admin, "SELECT count(*) FROM pg_stat_activity").await != [[Some("1".to_string())]] {
        assert!(Instant::now() < deadline, "the session is still there");
    }
    assert_eq!(sqlstate(&admin, "SELECT * FROM t").await, "42P01");
    run(&admin, "CREATE TABLE t (b text)").await;
}

/// The SQLSTATE with which the server ends the session of a client that says nothing more.
async fn ending(server: &Server, statements: &[&str]) -> String {
    let config = format!("host=127.0.0.1 port={} user=admin password={ADMIN_PASSWORD} dbname=main", server.postgres.port());
    let (client, connection) = tokio_postgres::connect(&config, NoTls).await.unwrap();
    let ended = tokio::spawn(connection);
    let mut told = None;
    for statement in statements {
        // The last one may be what is ended, and hears of it.
        told = client.simple_query(statement).await.err().and_then(|error| error.code().cloned());
    }
    let ended = tokio::time::timeout(Duration::from_secs(5), ended).await.expect("the session goes on").unwrap();
    let code = ended.err().and_then(|error| error.code().cloned()).or(told);
    code.map_or_else(String::new, |code| code.code().to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_that_last_too_long_end_their_session() {
    let server = Server::start_with(&["wire.idle_in_transaction_timeout=400ms"]);
    let admin = server.admin().await;
    run(&admin, "CREATE TABLE t (a int)").await;
    assert_eq!(rows(&admin, "SHOW idle_in_transaction_session_timeout").await, [[Some("400ms".to_string())]]);
    assert_eq!(ending(&server, &["BEGIN", "INSERT INTO t VALUES (1)"]).await, "25P03", "as the configuration says");
    let at_will = "SET idle_in_transaction_session_timeout = 0";
    run(&admin, at_will).await;
    run(&admin, "BEGIN").await;
    tokio::time::sleep(Duration::from_millis(800)).await;
    run(&admin, "COMMIT").await;
    run(
        &admin,
        "CREATE USER patient PASSWORD 'patient-password-1'; ALTER USER patient SET idle_in_transaction_session_timeout = 0",
    )
    .await;
    let patient = server.user("patient").await;
    assert_eq!(rows(&patient, "SHOW idle_in_transaction_session_timeout").await, [[Some("0".to_string())]]);

    let limit = "SET transaction_timeout = '300ms'";
    assert_eq!(ending(&server, &[at_will, limit, "BEGIN", "INSERT INTO t VALUES (2)"]).await, "25P04", "idle in a block");
    assert_eq!(ending(&server, &[limit, "BEGIN", "SELECT pg_sleep(30)"]).await, "25P04", "running in a block");
    assert_eq!(ending(&server, &[limit, "SELECT pg_sleep(30)"]).await, "25P04", "running by itself");
    assert_eq!(ending(&server, &["BEGIN", limit, "SELECT 1/0"]).await, "25P04", "in a block that has failed");
    run(&admin, limit).await;
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(150)).await;
        run(&admin, "BEGIN; SELECT pg_sleep(0.1); COMMIT").await;
    }
    assert_eq!(rows(&admin, "SELECT count(*) FROM t").await, [[Some("0".to_string())]], "nothing of them is left");
}

/// A pipeline is one transaction up to its Sync, also for temporary tables.
#[test]
fn temporary_tables_go_with_the_pipeline_or_block_that_made_them() {
    let server = Server::start();
    let statement = |text: &str| [parse("", text), bind("", ""), execute("", 0)].concat();
    let mut peer = Peer::login(&server);
    let made = statement("CREATE TEMP TABLE made AS SELECT 1 AS a");
    let (fails, fills) = (statement("SELECT 1/0"), statement("INSERT INTO made VALUES (2)"));
    for (what, rounds) in [
        ("an error behind it", vec![[made.clone(), fails.clone(), sync()].concat()]),
        ("an error of the parser behind it", vec![[made.clone(), parse("", "SELEC"), sync()].concat()]),
        ("in the middle", vec![[statement("SELECT 1"), made.clone(), fails.clone(), sync()].concat()]),
        ("filled", vec![[made.clone(), fills, fails.clone(), sync()].concat()]),
        ("a block around it", vec![[made.clone(), statement("BEGIN"), statement("SELECT 1"), sync()].concat()]),
        ("a block", vec![[statement("BEGIN"), made.clone(), sync()].concat()]),
        ("a failed block", vec![query("BEGIN"), query("CREATE TEMP TABLE made (a int)"), query("SELECT 1/0")]),
        ("several statements in one text", vec![query("CREATE TEMP TABLE made (a int); SELECT 1/0")]),
    ] {
        for messages in rounds.iter().chain([&query("ROLLBACK")]) {
            peer.ask(messages);
        }
        assert_eq!(peer.ask(&query("SELECT * FROM made")).sqlstates(), ["42P01"], "{what}");
    }

    peer.ask(&query("CREATE TEMP TABLE kept AS SELECT 1 AS a"));
    peer.ask(&[statement("DROP TABLE kept"), fails, sync()].concat());
    assert_eq!(peer.ask(&query("SELECT * FROM kept")).tags(), "TDCZ", "a table that was dropped comes back");
    peer.ask(&[made, sync()].concat());
    assert_eq!(peer.ask(&query("SELECT * FROM made")).tags(), "TDCZ", "a pipeline that succeeds keeps it");
}
