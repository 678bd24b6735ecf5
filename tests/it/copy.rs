//! COPY .. FROM STDIN with a condition.

use bytes::Bytes;
use futures::SinkExt;
use tokio_postgres::Client;

use crate::server::{Server, error_line, rows, run, sqlstate};

/// How many rows went in, or the error.
async fn copy(client: &Client, statement: &str, data: &'static str) -> String {
    let sink = match client.copy_in::<_, Bytes>(statement).await {
        Ok(sink) => sink,
        Err(error) => return error_line(&error),
    };
    let mut sink = Box::pin(sink);
    sink.send(Bytes::from_static(data.as_bytes())).await.unwrap();
    match sink.as_mut().finish().await {
        Ok(rows) => rows.to_string(),
        Err(error) => error_line(&error),
    }
}

async fn contents(client: &Client) -> Vec<Vec<Option<String>>> {
    rows(client, "SELECT a, b FROM t ORDER BY a, b").await
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_do_not_meet_the_condition_are_left_out() {
    let server = Server::start();
    let admin = server.admin().await;
    run(&admin, "CREATE TABLE t (a int, b text NOT NULL, n numeric(12,2), v varchar(3), ts timestamp)").await;
    run(&admin, "CREATE FUNCTION above(x int) RETURNS boolean RETURN x > 0").await;
    assert_eq!(copy(&admin, "COPY t (a, b) FROM STDIN WHERE a > 1", "1\tx\n2\ty\n3\tz\n\\N\tw\n").await, "2");
    // A row that is left out may lack what the table needs.
    let csv = "COPY t (a, b) FROM STDIN WITH (FORMAT csv) WHERE above(a) AND t.b <> 'q'";
    assert_eq!(copy(&admin, csv, "4,x\n5,q\n-3,\n").await, "1");
    assert_eq!(copy(&admin, "COPY t (a) FROM STDIN WHERE b IS NOT NULL", "1\n").await, "0");
    assert!(copy(&admin, "COPY t (a) FROM STDIN WHERE b IS NULL", "1\n").await.contains("23502"));
    let kinds = "COPY t FROM STDIN WHERE n > 1.5 AND v = 'abc' AND ts < now()";
    assert_eq!(copy(&admin, kinds, "6\tx\t1.51\tabc\t2020-01-01\n7\tx\t1.5\tabc\t2020-01-01\n").await, "1");
    assert_eq!(copy(&admin, "COPY t (a, b) FROM STDIN WHERE NULL", "8\tx\n").await, "0");
    assert_eq!(copy(&admin, "COPY t (a, b) FROM STDIN WHERE true", "9\tx\n").await, "1");
    assert!(copy(&admin, "COPY t (a, b) FROM STDIN WHERE 10 / a > 1", "1\tx\n0\tz\n").await.contains("22012"));
    let either = "COPY t (a, b) FROM STDIN WHERE coalesce(a, 7) > 8 AND nvl(b, 'x') BETWEEN 'x' AND 'y'";
    assert_eq!(copy(&admin, either, "10\tx\n11\tz\n\\N\tx\n").await, "1");
    let kept: Vec<String> = contents(&admin).await.into_iter().map(|row| row[0].clone().unwrap()).collect();
    assert_eq!(kept, ["2", "3", "4", "6", "9", "10"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_condition_sees_nothing_but_the_row() {
    let server = Server::start();
    let admin = server.admin().await;
    run(&admin, "CREATE TABLE t (a int, b text); CREATE TABLE secret (a int); INSERT INTO secret VALUES (1)").await;
    run(&admin, "CREATE FUNCTION known(x int) RETURNS boolean RETURN EXISTS (SELECT 1 FROM secret s WHERE s.a = x)").await;
    for (condition, code) in [
        ("a > (SELECT 1)", "0A000"),
        ("a IN (SELECT a FROM secret)", "0A000"),
        ("known(a)", "0A000"),
        ("sum(a) > 1", "42803"),
        ("row_number() OVER () > 1", "42P20"),
        ("generate_series(1, 2) > 1", "0A000"),
        ("a", "42804"),
        ("c > 1", "42703"),
        ("secret.a > 1", "42P01"),
        ("$1 > 1", "42P02"),
    ] {
        assert_eq!(sqlstate(&admin, &format!("COPY t FROM STDIN WHERE {condition}")).await, code, "{condition}");
    }
    let doubling = (0..90).fold("a".to_string(), |inner, _| format!("coalesce({inner}, 1)"));
    assert_eq!(sqlstate(&admin, &format!("COPY t FROM STDIN WHERE {doubling} > 0")).await, "54001");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_condition_calls_what_its_caller_may_call() {
    let server = Server::start();
    let admin = server.admin().await;
    run(&admin, "CREATE USER alice PASSWORD 'alice-password-1'; CREATE TABLE t (a int, b text)").await;
    run(&admin, "CREATE FUNCTION above(x int) RETURNS boolean RETURN x > 0; GRANT INSERT, SELECT ON t TO alice").await;
    run(&admin, "CREATE FUNCTION none(b text) RETURNS boolean RETURN false; ALTER TABLE t SET ROW FILTER none ON (b)").await;
    let alice = server.user("alice").await;
    let statement = "COPY t FROM STDIN WHERE above(a)";
    assert_eq!(sqlstate(&alice, statement).await, "42883");
    run(&admin, "GRANT EXECUTE ON FUNCTION above TO alice").await;
    // A row filter of the table does not filter what is inserted.
    assert_eq!(copy(&alice, statement, "1\tx\n-1\ty\n").await, "1");
    assert_eq!(contents(&alice).await.len(), 0);
}
