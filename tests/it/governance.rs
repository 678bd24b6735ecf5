//! Grants and policies over the wire: what changes, and when.

use crate::server::{Server, rows, run, sqlstate, transcript};

async fn with_alice() -> (Server, tokio_postgres::Client, tokio_postgres::Client) {
    let server = Server::start();
    let admin = server.admin().await;
    run(&admin, "CREATE USER alice PASSWORD 'alice-password-1'").await;
    run(&admin, "CREATE TABLE t (n bigint, who text); INSERT INTO t VALUES (1, 'alice'), (2, 'bob')").await;
    let alice = server.user("alice").await;
    (server, admin, alice)
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_and_forbidden_answer_alike_and_unreadable_says_so() {
    let (_server, admin, alice) = with_alice().await;
    let forbidden = transcript(&alice, "SELECT * FROM t").await;
    let unknown = transcript(&alice, "SELECT * FROM u").await;
    assert_eq!(forbidden.replace("\"t\"", "X"), unknown.replace("\"u\"", "X"));
    assert!(forbidden.starts_with("error 42P01"), "{forbidden}");
    run(&admin, "GRANT INSERT ON t TO alice").await;
    assert_eq!(sqlstate(&alice, "SELECT * FROM t").await, "42501");
    run(&admin, "GRANT SELECT ON t TO alice").await;
    assert_eq!(rows(&alice, "SELECT count(*) FROM t").await[0][0].as_deref(), Some("2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoke_and_a_policy_take_effect_at_the_next_execute_of_a_prepared_statement() {
    let (_server, admin, alice) = with_alice().await;
    run(&admin, "GRANT SELECT ON t TO alice").await;
    let statement = alice.prepare("SELECT n FROM t ORDER BY n").await.unwrap();
    assert_eq!(alice.query(&statement, &[]).await.unwrap().len(), 2);
    run(&admin, "CREATE FUNCTION own(who text) RETURNS BOOLEAN RETURN who = current_user").await;
    run(&admin, "ALTER TABLE t SET ROW FILTER own ON (who)").await;
    assert_eq!(alice.query(&statement, &[]).await.unwrap().len(), 1);
    run(&admin, "ALTER TABLE t DROP ROW FILTER").await;
    assert_eq!(alice.query(&statement, &[]).await.unwrap().len(), 2);
    run(&admin, "REVOKE SELECT ON t FROM alice").await;
    let error = alice.query(&statement, &[]).await.unwrap_err();
    assert!(["42501", "42P01"].contains(&error.code().unwrap().code()), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn views_read_as_their_owner_and_filter_as_the_session() {
    let (_server, admin, alice) = with_alice().await;
    run(&admin, "CREATE VIEW v AS SELECT n, who FROM t; CREATE VIEW vv AS SELECT * FROM v; GRANT SELECT ON vv TO alice").await;
    assert_eq!(rows(&alice, "SELECT n FROM vv ORDER BY n").await.len(), 2);
    assert_eq!(sqlstate(&alice, "SELECT n FROM t").await, "42P01");
    run(&admin, "CREATE FUNCTION own(who text) RETURNS BOOLEAN RETURN who = current_user").await;
    run(&admin, "ALTER TABLE t SET ROW FILTER own ON (who)").await;
    assert_eq!(rows(&alice, "SELECT n FROM vv").await, [[Some("1".to_string())]]);
    assert_eq!(rows(&admin, "SELECT count(*) FROM t").await[0][0].as_deref(), Some("0"), "owners are not exempt");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_without_privilege_are_not_listed() {
    let (_server, admin, alice) = with_alice().await;
    run(&admin, "CREATE SCHEMA hidden; CREATE TABLE hidden.secret_table (secret_column int); CREATE CATALOG elsewhere").await;
    for query in [
        "SELECT nspname FROM pg_namespace",
        "SELECT relname FROM pg_class",
        "SELECT attname FROM pg_attribute",
        "SELECT datname FROM pg_database",
        "SELECT table_name FROM information_schema.tables",
        "SELECT column_name FROM information_schema.columns",
        "SELECT schema_name FROM information_schema.schemata",
        "SHOW CATALOGS",
        "SHOW SCHEMAS",
        "SHOW TABLES",
    ] {
        let listed = transcript(&alice, query).await;
        for name in ["hidden", "secret", "elsewhere"] {
            assert!(!listed.contains(name), "{query} lists {name}");
        }
    }
    assert!(transcript(&admin, "SELECT relname FROM pg_class").await.contains("secret_table"));
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_stand_in_no_catalog_and_no_activity() {
    let (_server, admin, _alice) = with_alice().await;
    run(&admin, "CREATE USER carol PASSWORD 'canary-7f3a9c-password'").await;
    for query in
        ["SELECT * FROM pg_roles", "SELECT * FROM pg_user", "SELECT query FROM pg_stat_activity", "SELECT * FROM pg_shadow"]
    {
        assert!(!transcript(&admin, query).await.contains("canary-7f3a9c"), "{query}");
    }
}
