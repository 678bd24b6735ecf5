//! Prepared statements: what Parse has bound may serve again, but never for a world that has changed.

use tokio_postgres::{Client, Statement};

use serde_json::json;

use crate::raw::RawClient;
use crate::server::{Server, run};

async fn count(client: &Client, statement: &Statement) -> i64 {
    client.query_one(statement, &[&100_i64]).await.unwrap().get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_policies_and_privileges_are_those_of_the_execution() {
    let server = Server::start();
    let admin = server.admin().await;
    run(&admin, "CREATE TABLE t (n bigint); INSERT INTO t VALUES (1); CREATE USER ada PASSWORD 'ada-password-1'").await;
    run(&admin, "GRANT USE CATALOG ON CATALOG main TO ada; GRANT USE SCHEMA, SELECT ON SCHEMA public TO ada").await;
    let ada = server.user("ada").await;
    let statement = ada.prepare("SELECT count(*) FROM t WHERE n < $1").await.unwrap();
    assert_eq!((count(&ada, &statement).await, count(&ada, &statement).await), (1, 1));
    run(&admin, "INSERT INTO t VALUES (2)").await;
    assert_eq!(count(&ada, &statement).await, 2, "a new version of the table");
    run(&admin, "CREATE FUNCTION keep(n bigint) RETURNS boolean RETURN n < 2; ALTER TABLE t SET ROW FILTER keep ON (n)").await;
    assert_eq!(count(&ada, &statement).await, 1, "a new policy");
    run(&admin, "REVOKE SELECT ON SCHEMA public FROM ada").await;
    let refused = ada.query(&statement, &[&100_i64]).await.unwrap_err();
    // What she may not see does not exist for her.
    assert_eq!(refused.code().map(|code| code.code().to_string()).as_deref(), Some("42P01"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_and_the_clock_are_those_of_the_execution() {
    let server = Server::start();
    let admin = server.admin().await;
    run(&admin, "CREATE SCHEMA other; CREATE TABLE t (n bigint); CREATE TABLE other.t (n bigint); INSERT INTO t VALUES (1)").await;
    let statement = admin.prepare("SELECT count(*) FROM t WHERE n < $1").await.unwrap();
    assert_eq!(count(&admin, &statement).await, 1);
    run(&admin, "SET search_path = other").await;
    assert_eq!(count(&admin, &statement).await, 0, "another table of that name");

    let text = |row: tokio_postgres::Row| row.get::<_, String>(0);
    let hour = admin.prepare("SELECT TIMESTAMPTZ '2024-06-01 12:00:00+00'::text").await.unwrap();
    let utc = text(admin.query_one(&hour, &[]).await.unwrap());
    run(&admin, "SET timezone = 'Asia/Tokyo'").await;
    let tokyo = text(admin.query_one(&hour, &[]).await.unwrap());
    assert_eq!((utc.as_str(), tokyo.as_str()), ("2024-06-01 12:00:00+00", "2024-06-01 21:00:00+09"));

    let clock = admin.prepare("SELECT now()::text").await.unwrap();
    let before = text(admin.query_one(&clock, &[]).await.unwrap());
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    assert_ne!(text(admin.query_one(&clock, &[]).await.unwrap()), before);
}

/// As JDBC calls `{? = call total(?)}`: what the call gives back is its first parameter.
#[tokio::test(flavor = "multi_thread")]
async fn parameters_of_type_void_are_no_arguments() {
    let server = Server::start();
    run(&server.admin().await, "CREATE FUNCTION total(c int) RETURNS int RETURN c + 1").await;
    let mut client = RawClient::connect(server.postgres);
    client.log_in(&json!({"user": "admin", "database": "main"}));
    client.send(&[
        json!(["Parse", "", "SELECT * FROM total($1, $2) AS result", [2278, 23]]),
        json!(["Bind", "", "", [], [null, "41"], []]),
        json!(["Execute", "", 0]),
        json!(["Sync"]),
    ]);
    let answer = client.receive(1, 1);
    assert!(answer.contains(&json!(["DataRow", ["42"]])), "{answer:?}");
}
