use std::time::Duration;

use futures::{StreamExt, TryStreamExt, future::join_all, pin_mut};
use native_tls::TlsConnector;
use postgres_native_tls::MakeTlsConnector;
use tokio_postgres::types::{FromSql, ToSql};
use tokio_postgres::{Client, Config, config::SslMode};

use crate::matrix::{Matrix, literal, variable};

fn tls() -> MakeTlsConnector {
    let connector = TlsConnector::builder().danger_accept_invalid_certs(true).danger_accept_invalid_hostnames(true).build();
    MakeTlsConnector::new(connector.unwrap())
}

async fn connect(password: &str) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = Config::new()
        .host(variable("PGHOST"))
        .port(variable("PGPORT").parse().unwrap())
        .user(variable("PGUSER"))
        .password(password)
        .dbname(variable("PGDATABASE"))
        .ssl_mode(SslMode::Require)
        .connect(tls())
        .await?;
    tokio::spawn(connection);
    Ok(client)
}

fn state(error: &tokio_postgres::Error) -> String {
    error.code().map_or_else(|| error.to_string(), |code| code.code().to_string())
}

/// Reads the value as `T`, sends it back, and compares it as a value and as text.
async fn both_ways<T>(client: &Client, kind: &str, text: &str)
where
    T: for<'a> FromSql<'a> + ToSql + Sync + PartialEq + std::fmt::Debug,
{
    let read: T = client.query_one(&format!("SELECT {}::{kind}", literal(text)), &[]).await.unwrap().get(0);
    let row = client
        .query_one(&format!("SELECT $1::{kind} AS v, $1::{kind}::text AS t, $2::{kind} AS n"), &[&read, &None::<T>])
        .await
        .unwrap();
    assert_eq!((row.get::<_, T>(0), row.get::<_, &str>(1), row.get::<_, Option<T>>(2)), (read, text, None), "{kind}");
}

async fn values(client: &Client, matrix: &Matrix) {
    for value in &matrix.values {
        let (kind, text) = (value.kind.as_str(), value.text.as_deref().unwrap());
        match kind {
            "boolean" => both_ways::<bool>(client, kind, text).await,
            "smallint" => both_ways::<i16>(client, kind, text).await,
            "integer" => both_ways::<i32>(client, kind, text).await,
            "bigint" => both_ways::<i64>(client, kind, text).await,
            "real" => both_ways::<f32>(client, kind, text).await,
            "double precision" => both_ways::<f64>(client, kind, text).await,
            "text" | "varchar" => both_ways::<String>(client, kind, text).await,
            "bytea" => both_ways::<Vec<u8>>(client, kind, text).await,
            "date" => both_ways::<chrono::NaiveDate>(client, kind, text).await,
            "time" => both_ways::<chrono::NaiveTime>(client, kind, text).await,
            "timestamp" => both_ways::<chrono::NaiveDateTime>(client, kind, text).await,
            "timestamptz" => both_ways::<chrono::DateTime<chrono::Utc>>(client, kind, text).await,
            "uuid" => both_ways::<uuid::Uuid>(client, kind, text).await,
            "json" | "jsonb" => {
                let read: serde_json::Value =
                    client.query_one(&format!("SELECT {}::{kind}", literal(text)), &[]).await.unwrap().get(0);
                let row = client.query_one(&format!("SELECT $1::{kind}"), &[&read]).await.unwrap();
                assert_eq!(row.get::<_, serde_json::Value>(0), read, "{kind}");
            }
            "integer[]" => both_ways::<Vec<i32>>(client, kind, text).await,
            "bigint[]" => both_ways::<Vec<i64>>(client, kind, text).await,
            "text[]" => both_ways::<Vec<String>>(client, kind, text).await,
            "boolean[]" => both_ways::<Vec<bool>>(client, kind, text).await,
            "double precision[]" => both_ways::<Vec<f64>>(client, kind, text).await,
            // The driver has no type of its own for these.
            other => {
                let row = client.query_one(&format!("SELECT {}::{other}::text", literal(text)), &[]).await.unwrap();
                assert_eq!(row.get::<_, &str>(0), text, "{other}");
            }
        }
    }
}

async fn queries(client: &Client, matrix: &Matrix) {
    for query in &matrix.queries {
        let parameters: Vec<Box<dyn ToSql + Sync>> = query
            .parameters
            .iter()
            .map(|parameter| match parameter.kind.as_str() {
                "bigint" => Box::new(parameter.text.as_ref().unwrap().parse::<i64>().unwrap()) as Box<dyn ToSql + Sync>,
                _ => Box::new(parameter.text.clone()),
            })
            .collect();
        let parameters: Vec<&(dyn ToSql + Sync)> = parameters.iter().map(|parameter| &**parameter).collect();
        let rows = client.query(&query.sql, &parameters).await.unwrap_or_else(|error| panic!("{}: {error:?}", query.what));
        let read: Vec<Vec<Option<String>>> = rows.iter().map(|row| (0..row.len()).map(|index| row.get(index)).collect()).collect();
        assert_eq!(read, query.rows, "{}", query.what);
    }
}

async fn fails(client: &Client, sql: &str, sqlstate: &str) {
    for answer in [client.query(sql, &[]).await.map(drop), client.simple_query(sql).await.map(drop)] {
        assert_eq!(state(&answer.expect_err(sql)), sqlstate, "{sql}");
    }
}

async fn transaction(client: &mut Client) {
    let block = client.transaction().await.unwrap();
    let portal = block.bind("SELECT n FROM generate_series(1, 1000) AS g(n)", &[]).await.unwrap();
    assert_eq!(block.query_portal(&portal, 300).await.unwrap().len(), 300);
    assert_eq!(block.query_portal(&portal, 300).await.unwrap().len(), 300);
    assert_eq!(block.query_portal(&portal, 0).await.unwrap().len(), 400);
    assert_eq!(state(&block.query("SELECT 1/0", &[]).await.unwrap_err()), "22012");
    assert_eq!(state(&block.query("SELECT 1", &[]).await.unwrap_err()), "25P02");
    block.rollback().await.unwrap();
    assert_eq!(client.query_one("SELECT 1", &[]).await.unwrap().get::<_, i32>(0), 1);
}

pub async fn run(matrix: &Matrix) {
    let mut client = connect(&variable("PGPASSWORD")).await.unwrap();
    values(&client, matrix).await;
    queries(&client, matrix).await;
    for failure in &matrix.errors {
        fails(&client, &failure.sql, &failure.sqlstate).await;
    }
    let described = client.prepare(&matrix.described.sql).await.unwrap();
    let columns: Vec<(String, u32)> =
        described.columns().iter().map(|column| (column.name().to_string(), column.type_().oid())).collect();
    assert_eq!(columns, matrix.described.columns);
    assert_eq!(client.query(&described, &[]).await.unwrap().len(), matrix.described.rows);

    // All in flight at once: the connection pipelines them.
    let sum = client.prepare("SELECT $1::int + 1").await.unwrap();
    let (client_ref, sum_ref) = (&client, &sum);
    let sums =
        join_all((0..100_i32).map(|n| async move { client_ref.query_one(sum_ref, &[&n]).await.unwrap().get::<_, i32>(0) })).await;
    assert_eq!(sums, (1..=100).collect::<Vec<_>>());
    transaction(&mut client).await;

    client
        .batch_execute("DROP SCHEMA IF EXISTS matrix_rust CASCADE; CREATE SCHEMA matrix_rust; CREATE TABLE matrix_rust.t (id bigint, name text)")
        .await
        .unwrap();
    assert_eq!(client.execute("INSERT INTO matrix_rust.t VALUES ($1, $2), (2, NULL)", &[&1_i64, &"one"]).await.unwrap(), 2);
    assert_eq!(client.query_one("SELECT name FROM matrix_rust.t WHERE id = $1", &[&1_i64]).await.unwrap().get::<_, &str>(0), "one");
    client.batch_execute("DROP SCHEMA matrix_rust CASCADE").await.unwrap();

    let copy = client.copy_out("COPY (SELECT id FROM matrix.kinds ORDER BY id) TO STDOUT").await.unwrap();
    let copied: Vec<u8> = copy.map_ok(|bytes| bytes.to_vec()).try_concat().await.unwrap();
    assert_eq!(copied, b"1\n2\n3\n");
    {
        let rows = client.query_raw("SELECT n FROM generate_series(1, 100000) AS g(n)", Vec::<i32>::new()).await.unwrap();
        pin_mut!(rows);
        assert!(rows.next().await.unwrap().is_ok());
        assert_eq!(rows.try_fold(1, |count, _| async move { Ok(count + 1) }).await.unwrap(), 100_000);
    }

    let token = client.cancel_token();
    let (answer, ()) = tokio::join!(client.query(&matrix.endless, &[]), async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        token.cancel_query(tls()).await.unwrap();
    });
    assert_eq!(state(&answer.unwrap_err()), "57014");
    assert_eq!(client.query_one("SELECT 1", &[]).await.unwrap().get::<_, i32>(0), 1);
    assert_eq!(state(&connect("wrong").await.err().unwrap()), "28P01");
}
