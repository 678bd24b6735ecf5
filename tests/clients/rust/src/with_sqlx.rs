use std::time::Duration;

use futures::TryStreamExt;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgPoolOptions, PgSslMode, Postgres};
use sqlx::types::{BigDecimal, Json};
use sqlx::{AssertSqlSafe, Column, Connection, Decode, Encode, PgConnection, Row, Type};

use crate::matrix::{Matrix, literal, variable};

fn options() -> PgConnectOptions {
    PgConnectOptions::new()
        .host(&variable("PGHOST"))
        .port(variable("PGPORT").parse().unwrap())
        .username(&variable("PGUSER"))
        .password(&variable("PGPASSWORD"))
        .database(&variable("PGDATABASE"))
        .ssl_mode(PgSslMode::Require)
}

fn state(error: &sqlx::Error) -> String {
    error.as_database_error().and_then(|error| error.code()).map_or_else(|| error.to_string(), |code| code.to_string())
}

async fn both_ways<T>(connection: &mut PgConnection, kind: &str, text: &str)
where
    T: for<'a> Decode<'a, Postgres>
        + for<'a> Encode<'a, Postgres>
        + Type<Postgres>
        + Send
        + Unpin
        + Clone
        + PartialEq
        + std::fmt::Debug
        + 'static,
{
    let sql = format!("SELECT {}::{kind}", literal(text));
    let read: T = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut *connection).await.unwrap();
    let sql = format!("SELECT $1::{kind}, $1::{kind}::text, $2::{kind}");
    let row: (T, String, Option<T>) =
        sqlx::query_as(AssertSqlSafe(sql)).bind(read.clone()).bind(None::<T>).fetch_one(connection).await.unwrap();
    assert_eq!(row, (read, text.to_string(), None), "{kind}");
}

async fn values(connection: &mut PgConnection, matrix: &Matrix) {
    for value in &matrix.values {
        let (kind, text) = (value.kind.as_str(), value.text.as_deref().unwrap());
        match kind {
            "boolean" => both_ways::<bool>(connection, kind, text).await,
            "smallint" => both_ways::<i16>(connection, kind, text).await,
            "integer" => both_ways::<i32>(connection, kind, text).await,
            "bigint" => both_ways::<i64>(connection, kind, text).await,
            "real" => both_ways::<f32>(connection, kind, text).await,
            "double precision" => both_ways::<f64>(connection, kind, text).await,
            "text" | "varchar" => both_ways::<String>(connection, kind, text).await,
            "bytea" => both_ways::<Vec<u8>>(connection, kind, text).await,
            "date" => both_ways::<chrono::NaiveDate>(connection, kind, text).await,
            "time" => both_ways::<chrono::NaiveTime>(connection, kind, text).await,
            "timestamp" => both_ways::<chrono::NaiveDateTime>(connection, kind, text).await,
            "timestamptz" => both_ways::<chrono::DateTime<chrono::Utc>>(connection, kind, text).await,
            "uuid" => both_ways::<uuid::Uuid>(connection, kind, text).await,
            "interval" => both_ways::<sqlx::postgres::types::PgInterval>(connection, kind, text).await,
            "integer[]" => both_ways::<Vec<i32>>(connection, kind, text).await,
            "bigint[]" => both_ways::<Vec<i64>>(connection, kind, text).await,
            "text[]" => both_ways::<Vec<String>>(connection, kind, text).await,
            "boolean[]" => both_ways::<Vec<bool>>(connection, kind, text).await,
            "double precision[]" => both_ways::<Vec<f64>>(connection, kind, text).await,
            "jsonb" => {
                let sql = format!("SELECT {}::jsonb", literal(text));
                let read: Json<serde_json::Value> =
                    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut *connection).await.unwrap();
                let again: Json<serde_json::Value> =
                    sqlx::query_scalar("SELECT $1::jsonb").bind(&read).fetch_one(&mut *connection).await.unwrap();
                assert_eq!(again, read);
            }
            "json" => {
                let sql = format!("SELECT {}::json", literal(text));
                let read: Json<serde_json::Value> =
                    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut *connection).await.unwrap();
                assert_eq!(read.0, serde_json::from_str::<serde_json::Value>(text).unwrap());
            }
            numeric => {
                assert!(numeric.starts_with("numeric"), "no value is left out: {numeric}");
                both_ways::<BigDecimal>(connection, kind, text).await;
            }
        }
    }
}

async fn queries(connection: &mut PgConnection, matrix: &Matrix) {
    for query in &matrix.queries {
        let mut bound = sqlx::query::<Postgres>(AssertSqlSafe(query.sql.clone()));
        for parameter in &query.parameters {
            bound = match parameter.kind.as_str() {
                "bigint" => bound.bind(parameter.text.as_ref().unwrap().parse::<i64>().unwrap()),
                _ => bound.bind(parameter.text.clone()),
            };
        }
        let rows = bound.fetch_all(&mut *connection).await.unwrap_or_else(|error| panic!("{}: {error:?}", query.what));
        let read: Vec<Vec<Option<String>>> = rows.iter().map(|row| (0..row.len()).map(|index| row.get(index)).collect()).collect();
        assert_eq!(read, query.rows, "{}", query.what);
    }
}

pub async fn run(matrix: &Matrix) {
    let mut connection = PgConnection::connect_with(&options()).await.unwrap();
    values(&mut connection, matrix).await;
    queries(&mut connection, matrix).await;
    for failure in &matrix.errors {
        let prepared = sqlx::query(AssertSqlSafe(failure.sql.clone())).fetch_all(&mut connection).await.unwrap_err();
        assert_eq!(state(&prepared), failure.sqlstate, "{}", failure.sql);
        let simple = sqlx::raw_sql(AssertSqlSafe(failure.sql.clone())).execute(&mut connection).await.unwrap_err();
        assert_eq!(state(&simple), failure.sqlstate, "{}", failure.sql);
    }
    let described = sqlx::query(AssertSqlSafe(matrix.described.sql.clone())).fetch_all(&mut connection).await.unwrap();
    assert_eq!(described.len(), matrix.described.rows);
    let columns: Vec<(String, u32)> =
        described[0].columns().iter().map(|column| (column.name().to_string(), column.type_info().oid().unwrap().0)).collect();
    assert_eq!(columns, matrix.described.columns);

    let mut block = connection.begin().await.unwrap();
    let failed = sqlx::query("SELECT 1/0").execute(&mut *block).await.unwrap_err();
    assert_eq!(state(&failed), "22012");
    let refused = sqlx::query("SELECT 1").execute(&mut *block).await.unwrap_err();
    assert_eq!(state(&refused), "25P02");
    block.rollback().await.unwrap();

    let count = sqlx::query("SELECT n FROM generate_series(1, 100000) AS g(n)")
        .fetch(&mut connection)
        .try_fold(0, |count, _| async move { Ok(count + 1) })
        .await
        .unwrap();
    assert_eq!(count, 100_000);

    let setup =
        "DROP SCHEMA IF EXISTS matrix_sqlx CASCADE; CREATE SCHEMA matrix_sqlx; CREATE TABLE matrix_sqlx.t (id bigint, name text)";
    sqlx::raw_sql(setup).execute(&mut connection).await.unwrap();
    let written = sqlx::query("INSERT INTO matrix_sqlx.t VALUES ($1, $2), (2, NULL)")
        .bind(1_i64)
        .bind("one")
        .execute(&mut connection)
        .await
        .unwrap();
    assert_eq!(written.rows_affected(), 2);
    sqlx::raw_sql("DROP SCHEMA matrix_sqlx CASCADE").execute(&mut connection).await.unwrap();

    // sqlx sends no cancel requests; a statement ends with its time limit.
    sqlx::raw_sql("SET statement_timeout = '500ms'").execute(&mut connection).await.unwrap();
    let ended = sqlx::query(AssertSqlSafe(matrix.endless.clone())).execute(&mut connection).await.unwrap_err();
    assert_eq!(state(&ended), "57014");
    connection.close().await.unwrap();

    let pool =
        PgPoolOptions::new().max_connections(4).acquire_timeout(Duration::from_secs(20)).connect_with(options()).await.unwrap();
    let sums: Vec<i32> = futures::future::try_join_all((0..40_i32).map(|n| {
        let pool = &pool;
        async move { sqlx::query_scalar_with("SELECT $1 + 1", arguments(n)).fetch_one(pool).await }
    }))
    .await
    .unwrap();
    assert_eq!(sums, (1..=40).collect::<Vec<_>>());
    pool.close().await;
    let wrong = PgConnection::connect_with(&options().password("wrong")).await.unwrap_err();
    assert_eq!(state(&wrong), "28P01");
}

fn arguments(n: i32) -> PgArguments {
    let mut arguments = PgArguments::default();
    sqlx::Arguments::add(&mut arguments, n).unwrap();
    arguments
}
