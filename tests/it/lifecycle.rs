//! Start, readiness, stop: what an operator relies on.

use std::time::Duration;

use crate::interruption::until_running;
use crate::server::{ADMIN_PASSWORD, Server, binary, rows, run, sqlstate};

#[test]
fn health_readiness_and_metrics_answer() {
    let server = Server::start();
    assert_eq!(server.get("/health").0, 200);
    assert_eq!(server.get("/ready").0, 200);
    assert_eq!(server.get("/metrics").0, 200);
    assert_eq!(server.get("/nothing").0, 404);
    assert_eq!(server.stop(), 0);
}

#[test]
fn a_data_directory_serves_one_process_and_survives_restarts() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start_on(dir.path(), &[]);
    runtime.block_on(async {
        let admin = server.admin().await;
        run(&admin, "CREATE TABLE kept (id bigint, note text); INSERT INTO kept VALUES (1, 'one'), (2, NULL)").await;
    });
    let second = binary()
        .args(["serve", "--data-dir"])
        .arg(dir.path())
        .args(["--set", "listen.postgres=127.0.0.1:0"])
        .args(["--set", "listen.http=127.0.0.1:0"])
        .output()
        .unwrap();
    assert!(!second.status.success());
    assert!(String::from_utf8_lossy(&second.stderr).contains("another process"), "{second:?}");
    assert_eq!(server.stop(), 0);

    let server = Server::start_on(dir.path(), &[]);
    runtime.block_on(async {
        let admin = server.admin().await;
        let kept = rows(&admin, "SELECT id, note FROM kept ORDER BY id").await;
        assert_eq!(kept, [[Some("1".to_string()), Some("one".to_string())], [Some("2".to_string()), None]]);
    });
    assert_eq!(server.stop(), 0);
}

#[test]
fn a_kill_loses_nothing_that_was_acknowledged() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    for round in 0..4 {
        let mut server = Server::start_on(dir.path(), &[]);
        runtime.block_on(async {
            let admin = server.admin().await;
            run(&admin, "CREATE TABLE IF NOT EXISTS log (n bigint)").await;
            for _ in 0..3 {
                run(&admin, &format!("INSERT INTO log VALUES ({acknowledged})")).await;
                acknowledged += 1;
            }
            run(&admin, &format!("CREATE SCHEMA s{round}")).await;
        });
        server.signal("KILL");
        server.wait(Duration::from_secs(10));
    }
    let server = Server::start_on(dir.path(), &[]);
    runtime.block_on(async {
        let admin = server.admin().await;
        assert_eq!(rows(&admin, "SELECT count(*), count(DISTINCT n) FROM log").await, [["12", "12"].map(|n| Some(n.to_string()))]);
        assert_eq!(
            rows(&admin, "SELECT count(*) FROM information_schema.schemata WHERE schema_name LIKE 's_'").await[0][0].as_deref(),
            Some("4")
        );
    });
}

#[test]
fn fifty_starts_and_stops_leave_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..if cfg!(debug_assertions) { 10 } else { 50 } {
        assert_eq!(Server::start_on(dir.path(), &[]).stop(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_lets_a_running_statement_finish_and_tells_idle_sessions() {
    let mut server = Server::start();
    let admin = server.admin().await;
    run(&admin, "CREATE TABLE numbers AS SELECT value AS n FROM generate_series(1, 200000) AS g(value)").await;
    let (busy, idle) = (server.admin().await, server.admin().await);
    let long = "SELECT count(*) FROM numbers a JOIN numbers b ON a.n % 1000 = b.n % 1000 WHERE a.n < 20000";
    let running = tokio::spawn(async move { rows(&busy, long).await });
    until_running(&admin, long, 1).await;
    server.signal("TERM");
    assert_eq!(running.await.unwrap().len(), 1);
    assert!(idle.simple_query("SELECT 1").await.is_err());
    assert_eq!(tokio::task::spawn_blocking(move || server.wait(Duration::from_secs(40))).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_and_an_unknown_user_read_the_same() {
    let server = Server::start();
    let admin = server.admin().await;
    run(&admin, "CREATE USER ada PASSWORD 'ada-password-1'").await;
    let wrong = server.connect("ada", "nonsense").await.err().unwrap();
    let unknown = server.connect("nobody", "nonsense").await.err().unwrap();
    assert_eq!(wrong.code().unwrap().code(), "28P01");
    assert_eq!(
        wrong.as_db_error().unwrap().message().replace("ada", "X"),
        unknown.as_db_error().unwrap().message().replace("nobody", "X")
    );
    assert!(server.connect("ada", "").await.is_err());
    assert!(server.connect("ada", "ada-password-1").await.is_ok());
    run(&admin, "ALTER USER ada PASSWORD 'another-password-1'").await;
    assert!(server.connect("ada", "ada-password-1").await.is_err());
    assert!(server.connect("ada", "another-password-1").await.is_ok());
    let other = format!("host=127.0.0.1 port={} user=admin password={ADMIN_PASSWORD} dbname=nowhere", server.postgres.port());
    let missing = tokio_postgres::connect(&other, tokio_postgres::NoTls).await.err().unwrap();
    assert_eq!(missing.code().unwrap().code(), "3D000");
    assert_eq!(sqlstate(&admin, "SELECT 1/0").await, "22012");
}
