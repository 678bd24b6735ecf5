//! Streaming and pinning: what needs two connections or a look at the process.

use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, pin_mut};

use crate::interruption::{ENDLESS, until_running};
use crate::server::{Server, rows, run};

#[tokio::test(flavor = "multi_thread")]
async fn the_first_row_leaves_before_the_last_is_computed() {
    let server = Server::start();
    let admin = server.admin().await;
    let parameters: [i64; 0] = [];
    let stream = admin.query_raw("SELECT n, repeat('x', 200) FROM generate_series(1, 2000000) AS g(n)", parameters).await.unwrap();
    pin_mut!(stream);
    let before = server.resident_bytes();
    assert!(stream.next().await.unwrap().is_ok());
    let server = tokio::task::spawn_blocking(move || server.until_quiet()).await.unwrap();
    let held = server.resident_bytes().saturating_sub(before);
    assert!(held < 192 << 20, "a reader that waits holds {held} bytes");
    let rest: usize = stream.try_fold(1, |count, _| async move { Ok(count + 1) }).await.unwrap();
    assert_eq!(rest, 2_000_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_reads_one_version_of_each_table() {
    let server = Server::start();
    let (reader, writer) = (server.admin().await, server.admin().await);
    run(&writer, "CREATE TABLE t (n bigint); INSERT INTO t VALUES (1)").await;
    run(&reader, "BEGIN").await;
    assert_eq!(rows(&reader, "SELECT count(*) FROM t").await[0][0].as_deref(), Some("1"));
    run(&writer, "INSERT INTO t VALUES (2)").await;
    assert_eq!(rows(&reader, "SELECT count(*) FROM t").await[0][0].as_deref(), Some("1"));
    run(&reader, "INSERT INTO t VALUES (3)").await;
    assert_eq!(rows(&reader, "SELECT sum(n) FROM t").await[0][0].as_deref(), Some("4"), "its own rows, not those of others");
    assert_eq!(rows(&writer, "SELECT sum(n) FROM t").await[0][0].as_deref(), Some("3"));
    run(&reader, "COMMIT").await;
    assert_eq!(rows(&writer, "SELECT sum(n) FROM t").await[0][0].as_deref(), Some("6"));
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_inserts_lose_and_double_nothing() {
    let server = Server::start();
    run(&server.admin().await, "CREATE TABLE t (n bigint)").await;
    let mut writers = Vec::new();
    for writer in 0..4 {
        let client = server.admin().await;
        writers.push(tokio::spawn(async move {
            for n in 0..5 {
                run(&client, &format!("INSERT INTO t VALUES ({})", writer * 5 + n)).await;
            }
        }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let counted = rows(&server.admin().await, "SELECT count(*), count(DISTINCT n), sum(n) FROM t").await;
    assert_eq!(counted, [["20", "20", "190"].map(|n| Some(n.to_string()))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_answers_while_every_core_is_busy() {
    let server = Server::start();
    let other = server.admin().await;
    let mut tokens = Vec::new();
    for _ in 0..3 {
        let busy = server.admin().await;
        tokens.push(busy.cancel_token());
        tokio::spawn(async move {
            let _ = busy.simple_query(ENDLESS).await;
        });
    }
    until_running(&other, ENDLESS, 3).await;
    let started = Instant::now();
    assert_eq!(server.get("/health").0, 200);
    let newcomer = server.admin().await;
    let answered = started.elapsed();
    assert!(answered < Duration::from_secs(5), "{answered:?}");
    for token in tokens {
        token.cancel_query(tokio_postgres::NoTls).await.unwrap();
    }
    assert_eq!(rows(&newcomer, "SELECT 1").await.len(), 1);
}
