//! Damaged tables, strange places, full disks: each a clear error, and the server goes on.

use std::path::Path;

use crate::server::{Server, rows, run, sqlstate, transcript};

/// A Delta table without rows, written by hand.
fn table(lake: &Path, name: &str, protocol: &str) {
    let log = lake.join(name).join("_delta_log");
    std::fs::create_dir_all(&log).unwrap();
    let schema = r#"{\"type\":\"struct\",\"fields\":[{\"name\":\"id\",\"type\":\"long\",\"nullable\":true,\"metadata\":{}}]}"#;
    let commit = format!(
        "{{\"protocol\":{protocol}}}\n{{\"metaData\":{{\"id\":\"5fba94ed-9794-4965-ba6e-6ee3c0d22af9\",\"format\":{{\"provider\":\"parquet\",\
         \"options\":{{}}}},\"schemaString\":\"{schema}\",\"partitionColumns\":[],\"configuration\":{{}},\"createdTime\":0}}}}\n"
    );
    std::fs::write(log.join("00000000000000000000.json"), commit).unwrap();
}

const PLAIN: &str = r#"{"minReaderVersion":1,"minWriterVersion":2}"#;
const FUTURE: &str =
    r#"{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["timeMachine"],"writerFeatures":["timeMachine"]}"#;

#[tokio::test(flavor = "multi_thread")]
async fn damaged_tables_are_told_apart_and_the_server_goes_on() {
    let lake = tempfile::tempdir().unwrap();
    for (name, protocol) in [("gone", PLAIN), ("empty_commit", PLAIN), ("torn_commit", PLAIN), ("future", FUTURE)] {
        table(lake.path(), name, protocol);
    }
    let server = Server::start();
    let admin = server.admin().await;
    let root = lake.path().display();
    run(&admin, &format!("CREATE EXTERNAL LOCATION lake URL 'file://{root}'")).await;
    for name in ["gone", "empty_commit", "torn_commit"] {
        run(&admin, &format!("CREATE TABLE {name} USING DELTA LOCATION 'file://{root}/{name}'")).await;
        assert_eq!(rows(&admin, &format!("SELECT count(*) FROM {name}")).await, [[Some("0".to_string())]]);
    }
    let future = transcript(&admin, &format!("CREATE TABLE future USING DELTA LOCATION 'file://{root}/future'")).await;
    assert!(future.contains("0A000") && future.contains("timeMachine"), "{future}");

    std::fs::remove_dir_all(lake.path().join("gone")).unwrap();
    let commit = |table: &str| lake.path().join(table).join("_delta_log/00000000000000000001.json");
    std::fs::write(commit("empty_commit"), "").unwrap();
    std::fs::write(commit("torn_commit"), r#"{"add": {"path""#).unwrap();
    assert_eq!(sqlstate(&admin, "SELECT count(*) FROM gone").await, "42P01");
    assert_eq!(sqlstate(&admin, "SELECT count(*) FROM empty_commit").await, "XX001");
    assert_eq!(sqlstate(&admin, "SELECT count(*) FROM torn_commit").await, "XX001");
    assert_eq!(rows(&admin, "SELECT 1").await, [[Some("1".to_string())]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn places_outside_of_every_external_location_are_refused() {
    let lake = tempfile::tempdir().unwrap();
    table(&lake.path().join("inside"), "t", PLAIN);
    table(&lake.path().join("outside"), "t", PLAIN);
    let server = Server::start();
    let admin = server.admin().await;
    let root = lake.path().display();
    run(&admin, &format!("CREATE EXTERNAL LOCATION inside URL 'file://{root}/inside'")).await;
    for (place, expected) in [("outside/t", "42501"), ("inside/../outside/t", "22023"), ("inside/nothing", "42704")] {
        let statement = format!("CREATE TABLE t USING DELTA LOCATION 'file://{root}/{place}'");
        assert_eq!(sqlstate(&admin, &statement).await, expected, "{place}");
    }
    run(&admin, &format!("CREATE TABLE t USING DELTA LOCATION 'file://{root}/inside/t'")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_spill_directory_ends_the_statement_only() {
    let server = Server::start_with(&["engine.spill=1MiB", "engine.memory=32MiB"]);
    let admin = server.admin().await;
    run(&admin, "CREATE TABLE big AS SELECT g AS id, repeat(md5(g::text), 4) AS t FROM generate_series(1, 300000) g").await;
    assert_eq!(sqlstate(&admin, "SELECT id, t FROM big ORDER BY t DESC, id").await, "53100");
    assert_eq!(rows(&admin, "SELECT count(*) FROM big").await, [[Some("300000".to_string())]]);
}

/// Everything that goes through an expression by recursion needs a stack, and its end would be everybody's.
#[tokio::test(flavor = "multi_thread")]
async fn what_stacks_too_many_levels_is_refused_and_the_server_goes_on() {
    let server = Server::start();
    let admin = server.admin().await;
    run(&admin, "SET statement_timeout = '60s'").await;
    run(&admin, "CREATE VIEW v0 AS SELECT 1 AS x").await;
    for view in 1..30 {
        run(&admin, &format!("CREATE VIEW v{view} AS SELECT x{} AS x FROM v{}", "+1".repeat(100), view - 1)).await;
    }
    run(&admin, &format!("CREATE FUNCTION f(x int) RETURNS int RETURN x{}", "+1".repeat(400))).await;
    let stacked = |query: &dyn Fn(usize) -> String| (1..100).map(|n| format!(", c{n} AS ({})", query(n))).collect::<String>();
    let subqueries =
        (0..60).fold("(SELECT 1 AS x) q".to_string(), |inner, _| format!("(SELECT x{} AS x FROM {inner}) q", "+x".repeat(100)));
    for (what, statement) in [
        ("sums in sums", format!("SELECT {}x{} FROM v0", "(".repeat(90), format!("{})", "+1".repeat(400)).repeat(90))),
        ("functions", format!("SELECT {}x{} FROM v0", "f(".repeat(40), ")".repeat(40))),
        ("a function of functions", format!("CREATE FUNCTION g(x int) RETURNS int RETURN {}x{}", "f(".repeat(40), ")".repeat(40))),
        ("views", "SELECT max(x) FROM v29".to_string()),
        ("subqueries", format!("SELECT max(x) FROM {subqueries}")),
        ("CTEs", {
            let sums = stacked(&|n| format!("SELECT x{} AS x FROM c{}", "+1".repeat(100), n - 1));
            format!("WITH c0 AS (SELECT 1 AS x){sums} SELECT max(x) FROM c99")
        }),
    ] {
        assert_eq!(sqlstate(&admin, &statement).await, "54001", "{what}");
    }
    let pairs: Vec<String> = (0..20_000).map(|n| format!("({n}, {n})")).collect();
    assert_eq!(rows(&admin, &format!("SELECT x FROM v0 WHERE (x, x) IN ({})", pairs.join(", "))).await.len(), 1);
    let numbers: Vec<String> = (1..1_500).map(|n| n.to_string()).collect();
    assert_eq!(rows(&admin, &format!("SELECT x FROM v0 WHERE x < ALL ('{{{}}}')", numbers.join(","))).await.len(), 0);
    let count = |connect: &str, number: usize| {
        let conditions: Vec<String> = (0..number).map(|n| format!("x <> {n}")).collect();
        format!("SELECT count(*) FROM (VALUES (-1), (-2)) v (x) WHERE {}", conditions.join(connect))
    };
    assert_eq!(sqlstate(&admin, &count(" AND ", 9_000)).await, "54001");
    for (connect, number) in [(" AND ", 1_500), (" OR ", 9_000)] {
        assert_eq!(rows(&admin, &count(connect, number)).await, [[Some("2".to_string())]]);
    }
    assert_eq!(rows(&admin, "SELECT f(f(x)) FROM v9").await, [[Some("1701".to_string())]]);
}

/// What each level of an expression costs must not grow with its depth.
#[tokio::test(flavor = "multi_thread")]
async fn long_chains_of_operators_are_planned_in_time() {
    let server = Server::start();
    let admin = server.admin().await;
    run(&admin, "CREATE TABLE t AS SELECT 1 AS x, 'a' AS s, 1.5::float8 AS f").await;
    let chain = |term: &str, operator: &str| vec![term; 400].join(operator);
    run(&admin, "SET statement_timeout = '20s'").await;
    for statement in [
        format!("SELECT {} FROM t", chain("x", " + ")),
        format!("SELECT x FROM t WHERE 0 < {}", chain("x", " - ")),
        format!("SELECT sum({}) FROM t", chain("x", " + ")),
        format!("SELECT count(*) FROM t GROUP BY {}", chain("x", " + ")),
        format!("SELECT x FROM t ORDER BY {}", chain("x", " + ")),
        format!("SELECT {} FROM t", chain("f", " / ")),
        format!("SELECT {} FROM t WHERE x = 1", chain("s", " || ")),
        format!("SELECT now() {}", " - interval '1 day'".repeat(100)),
        format!("SELECT count(*) FROM t WHERE {}", chain("(x = 1 AND f < 2)", " OR ")),
        format!("SELECT count(*) FROM t WHERE {}", chain("(x = 1 OR f < 2)", " AND ")),
        format!("SELECT CASE {} END FROM t", "WHEN x = 2 THEN x + 1 ".repeat(400)),
        format!("SELECT count(*) FROM t WHERE x IN ({})", chain("x + 1", ", ")),
    ] {
        let began = std::time::Instant::now();
        rows(&admin, &statement).await;
        println!("{:?} {}", began.elapsed(), &statement[..60]);
    }
}

/// Expressions that are written twice in the plan double at every level of nesting.
#[tokio::test(flavor = "multi_thread")]
async fn statements_that_would_grow_without_bound_are_refused() {
    let server = Server::start();
    let admin = server.admin().await;
    run(&admin, "CREATE TABLE t AS SELECT 1 AS x, true AS b").await;
    run(&admin, "SET statement_timeout = '20s'").await;
    let nested = |open: &str, inner: &str, close: &str| format!("SELECT {}{inner}{} FROM t", open.repeat(90), close.repeat(90));
    for statement in [
        nested("coalesce(", "x", ", 1)"),
        nested("nullif(", "x", ", 1)"),
        nested("(", "b", " BETWEEN false AND true)"),
        nested("(", "b", " BETWEEN SYMMETRIC false AND true)"),
        nested("CASE ", "x", " WHEN 1 THEN 2 WHEN 3 THEN 4 END"),
    ] {
        assert_eq!(sqlstate(&admin, &statement).await, "54001", "{statement}");
    }
    run(&admin, "CREATE VIEW v0 AS SELECT 1 AS x").await;
    for n in 1..30 {
        let view = format!("CREATE VIEW v{n} AS SELECT l.x FROM v{m} l, v{m} r", m = n - 1);
        // Making it binds it, so the larger ones cannot be made.
        if admin.batch_execute(&view).await.is_err() {
            assert_eq!(sqlstate(&admin, &view).await, "54001");
            break;
        }
        assert!(n < 29, "a view over 2^29 others was made");
    }
    let lateral = (0..40).map(|n| format!(", LATERAL (SELECT u.x FROM t u WHERE u.x >= a{n}.x ORDER BY u.x LIMIT 1) a{}", n + 1));
    let doubled = (0..60).map(|n| format!(", c{} AS (SELECT l.x FROM c{n} l, c{n} r)", n + 1));
    for statement in [
        format!("SELECT count(*) FROM t a0{}", lateral.collect::<String>()),
        format!("WITH c0 AS (SELECT 1 AS x){} SELECT count(*) FROM c60", doubled.collect::<String>()),
    ] {
        assert_eq!(sqlstate(&admin, &statement).await, "54001", "{statement}");
    }
    let few = format!("SELECT {}x{} FROM t", "coalesce(nullif(".repeat(4), ", 2), 1)".repeat(4));
    assert_eq!(rows(&admin, &few).await, [[Some("1".to_string())]]);
}
