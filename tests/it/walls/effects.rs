//! Functions with effects: not in somebody else's name through text that he stored, and once for each row that comes out.

use std::time::Duration;

use futures::StreamExt;
use futures::stream::poll_fn;
use tokio::sync::mpsc;
use tokio_postgres::{AsyncMessage, Client, NoTls};

use crate::server::{Server, password_of, rows, run, sqlstate, transcript};

/// A session, and the payloads of the notifications that arrive on it.
async fn listener(server: &Server, user: &str) -> (Client, mpsc::UnboundedReceiver<String>) {
    let (port, password) = (server.postgres.port(), password_of(user));
    let config = format!("host=127.0.0.1 port={port} user={user} password={password} dbname=main");
    let (client, mut connection) = tokio_postgres::connect(&config, NoTls).await.unwrap();
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut messages = poll_fn(move |context| connection.poll_message(context));
        while let Some(Ok(message)) = messages.next().await {
            if let AsyncMessage::Notification(heard) = message {
                let _ = sender.send(heard.payload().to_string());
            }
        }
    });
    (client, receiver)
}

/// What has been heard up to now: the payloads before one of the test's own.
async fn heard(client: &Client, inbox: &mut mpsc::UnboundedReceiver<String>) -> Vec<String> {
    run(client, "NOTIFY loot, 'so far'").await;
    let mut payloads = vec![];
    while let Some(payload) = tokio::time::timeout(Duration::from_secs(10), inbox.recv()).await.expect("a notification") {
        if payload == "so far" {
            return payloads;
        }
        payloads.push(payload);
    }
    payloads
}

/// `hr.people` with a mask that does not hold for the officer; mallory has a schema of her own.
async fn warehouse() -> (Server, Client) {
    let server = Server::start();
    let admin = server.admin().await;
    for user in ["mallory", "officer"] {
        run(&admin, &format!("CREATE USER {user} PASSWORD '{user}-password-1'")).await;
    }
    run(&admin, "CREATE GROUP officers; GRANT officers TO officer; CREATE SCHEMA hr; CREATE SCHEMA mal; CREATE SCHEMA off").await;
    run(&admin, "CREATE TABLE hr.people (id bigint, ssn text, note text); INSERT INTO hr.people SELECT g, 'ssn-' || g, 'n' || g FROM generate_series(1, 20) g").await;
    run(&admin, "CREATE FUNCTION hr.mask(ssn text) RETURNS text RETURN CASE WHEN is_member('officers') THEN ssn ELSE '***' END")
        .await;
    run(&admin, "ALTER TABLE hr.people ALTER COLUMN ssn SET MASK hr.mask").await;
    run(&admin, "GRANT USE CATALOG ON CATALOG main TO mallory; GRANT USE CATALOG ON CATALOG main TO officer").await;
    run(
        &admin,
        "GRANT USE SCHEMA, SELECT, EXECUTE ON SCHEMA hr TO mallory; GRANT USE SCHEMA, SELECT, EXECUTE ON SCHEMA hr TO officer",
    )
    .await;
    run(&admin, "ALTER SCHEMA mal OWNER TO mallory; ALTER SCHEMA off OWNER TO officer").await;
    (server, admin)
}

/// Every function that does something, called with what its author would like to know.
const EFFECTS: &[&str] = &[
    "pg_notify('loot', ssn || note)",
    "pg_catalog.pg_notify('loot', ssn)",
    "set_config('search_path', 'mal', false)",
    "set_config('app.loot', ssn, true)",
    "pg_try_advisory_lock(id)",
    "pg_try_advisory_lock(id::int, 1)",
    "pg_try_advisory_lock_shared(id)",
    "pg_try_advisory_xact_lock(id)",
    "pg_try_advisory_xact_lock_shared(id)",
    "pg_advisory_lock(id)",
    "pg_advisory_lock(id::int, 1)",
    "pg_advisory_lock_shared(id)",
    "pg_advisory_xact_lock(id)",
    "pg_advisory_xact_lock_shared(id)",
    "pg_advisory_unlock(id)",
    "pg_advisory_unlock_shared(id)",
    "pg_advisory_unlock_all()",
    "pg_cancel_backend(pg_backend_pid())",
    "pg_terminate_backend(-1)",
    "pg_sleep(0.001)",
    "CASE WHEN id > 0 THEN pg_notify('loot', ssn) END",
    "(SELECT count(pg_notify('loot', h.ssn)) FROM hr.people h)",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_view_of_another_owner_has_no_effect_and_ones_own_has() {
    let (server, _admin) = warehouse().await;
    let (mallory, mut inbox) = listener(&server, "mallory").await;
    let officer = server.user("officer").await;
    run(&mallory, "LISTEN loot").await;
    for (index, effect) in EFFECTS.iter().enumerate() {
        run(&mallory, &format!("CREATE VIEW mal.v{index} AS SELECT id, {effect} AS effect FROM hr.people")).await;
        run(&mallory, &format!("GRANT USE SCHEMA ON SCHEMA mal TO officer; GRANT SELECT ON mal.v{index} TO officer")).await;
        let answer = transcript(&officer, &format!("SELECT * FROM mal.v{index}")).await;
        assert!(answer.starts_with("error 42501 function ") && answer.contains("has an effect"), "{effect}: {answer}");
        // What a reader does not ask for is refused as well: the planner decides what is called.
        assert_eq!(sqlstate(&officer, &format!("SELECT id FROM mal.v{index}")).await, "42501", "{effect}");
        if !effect.contains("cancel") {
            let own = transcript(&mallory, &format!("SELECT * FROM mal.v{index}")).await;
            assert!(!own.contains("error 42501"), "{effect}: {own}");
        }
    }
    let payloads = heard(&mallory, &mut inbox).await;
    assert!(!payloads.is_empty() && payloads.iter().all(|payload| payload.starts_with("***")), "{payloads:?}");
    // A function that changes nothing may be called in anybody's view.
    run(
        &mallory,
        "CREATE VIEW mal.harmless AS SELECT id, random() AS r, now() AS t, current_setting('TimeZone') AS z FROM hr.people",
    )
    .await;
    run(&mallory, "GRANT SELECT ON mal.harmless TO officer").await;
    assert_eq!(rows(&officer, "SELECT * FROM mal.harmless").await.len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_way_to_read_anothers_text_has_its_effects() {
    let (server, _admin) = warehouse().await;
    let (mallory, mut inbox) = listener(&server, "mallory").await;
    let officer = server.user("officer").await;
    run(&mallory, "LISTEN loot; GRANT USE SCHEMA, SELECT, EXECUTE ON SCHEMA mal TO officer").await;
    run(&mallory, "CREATE VIEW mal.v AS SELECT id, pg_notify('loot', ssn) AS effect FROM hr.people").await;
    run(&mallory, "CREATE VIEW mal.over AS SELECT count(effect) AS n FROM mal.v").await;
    run(&mallory, "CREATE VIEW mal.filtered AS SELECT id FROM hr.people WHERE pg_notify('loot', ssn) IS NULL").await;
    run(&mallory, "CREATE VIEW mal.sorted AS SELECT id FROM hr.people ORDER BY pg_notify('loot', ssn)").await;
    run(&mallory, "CREATE VIEW mal.grouped AS SELECT count(*) AS n FROM hr.people GROUP BY pg_notify('loot', ssn)").await;
    run(
        &mallory,
        "CREATE VIEW mal.joined AS SELECT a.id FROM hr.people a LEFT JOIN hr.people b ON pg_notify('loot', b.ssn) IS NULL",
    )
    .await;
    run(&mallory, "CREATE VIEW mal.called AS SELECT a.id FROM hr.people a, LATERAL pg_notify('loot', a.ssn) AS n").await;
    run(&mallory, "CREATE FUNCTION mal.tell(x text) RETURNS boolean RETURN pg_notify('loot', x) IS NULL").await;
    run(&mallory, "CREATE FUNCTION mal.read() RETURNS bigint RETURN (SELECT count(v.effect) FROM mal.v v)").await;
    run(&mallory, "CREATE VIEW mal.through AS SELECT id, mal.tell(ssn) AS t FROM hr.people").await;
    // Hers to call with her own text, and a tool in another's.
    run(&officer, "CREATE FUNCTION off.tell(x text) RETURNS boolean RETURN x IS NULL").await;
    run(&officer, "GRANT USE SCHEMA, EXECUTE ON SCHEMA off TO mallory").await;
    run(&mallory, "CREATE VIEW mal.deputy AS SELECT id, off.tell(ssn) AS t FROM hr.people").await;
    run(&officer, "CREATE OR REPLACE FUNCTION off.tell(x text) RETURNS boolean RETURN pg_notify('loot', x) IS NULL").await;
    assert_eq!(sqlstate(&mallory, "CREATE VIEW mal.tool AS SELECT off.tell('x') AS t").await, "42501");
    run(&officer, "CREATE TABLE off.sink (id bigint)").await;
    for reading in [
        "SELECT * FROM mal.over",
        "SELECT * FROM mal.filtered",
        "SELECT * FROM mal.sorted",
        "SELECT * FROM mal.grouped",
        "SELECT * FROM mal.joined",
        "SELECT * FROM mal.called",
        "SELECT * FROM mal.through",
        "SELECT * FROM mal.deputy",
        "SELECT mal.tell(ssn) FROM hr.people",
        "SELECT * FROM mal.tell('x')",
        "SELECT mal.read()",
        "SELECT 1 WHERE EXISTS (SELECT 1 FROM mal.v)",
        "WITH c AS (SELECT * FROM mal.v) SELECT * FROM c",
        "SELECT * FROM hr.people p, LATERAL (SELECT * FROM mal.v v WHERE v.id = p.id) x",
        "SELECT id FROM hr.people UNION ALL SELECT id FROM mal.v",
        "EXPLAIN SELECT * FROM mal.v",
        "EXPLAIN ANALYZE SELECT * FROM mal.v",
        "COPY (SELECT * FROM mal.v) TO STDOUT",
        "CREATE TABLE off.copy AS SELECT * FROM mal.v",
        "INSERT INTO off.sink SELECT id FROM mal.v",
        "INSERT INTO off.sink SELECT id FROM mal.v LIMIT 0",
        "CREATE TEMP TABLE copy AS SELECT * FROM mal.v",
        "CREATE VIEW off.over AS SELECT * FROM mal.v",
        "CREATE FUNCTION off.f() RETURNS bigint RETURN (SELECT count(*) FROM mal.v)",
        "PREPARE p AS SELECT * FROM mal.v; EXECUTE p",
        "BEGIN; DECLARE c CURSOR FOR SELECT * FROM mal.v; FETCH ALL FROM c; COMMIT",
        "BEGIN; SELECT * FROM mal.v; COMMIT",
    ] {
        assert_eq!(sqlstate(&officer, reading).await, "42501", "{reading}");
        run(&officer, "ROLLBACK").await;
    }
    assert_eq!(officer.prepare("SELECT * FROM mal.v").await.unwrap_err().code().unwrap().code(), "42501");
    // A statement that was prepared before the view got its effect.
    run(&mallory, "CREATE VIEW mal.later AS SELECT id, ssn AS effect FROM hr.people").await;
    let prepared = officer.prepare("SELECT id FROM mal.later").await.unwrap();
    assert_eq!(officer.query(&prepared, &[]).await.unwrap().len(), 20);
    run(&mallory, "CREATE OR REPLACE VIEW mal.later AS SELECT id, CASE WHEN pg_notify('loot', ssn) IS NULL THEN ssn END AS effect FROM hr.people").await;
    assert_eq!(officer.query(&prepared, &[]).await.unwrap_err().code().unwrap().code(), "42501");
    assert_eq!(heard(&mallory, &mut inbox).await, [""; 0], "nothing was told");
    // What is one's own at every level does what it says.
    run(
        &officer,
        "CREATE VIEW off.own AS SELECT id, off.tell(ssn) AS t FROM hr.people; CREATE VIEW off.over AS SELECT * FROM off.own",
    )
    .await;
    assert_eq!(rows(&officer, "SELECT * FROM off.over WHERE id < 3").await.len(), 2);
    assert_eq!(heard(&mallory, &mut inbox).await, ["ssn-1", "ssn-2"]);
}

/// The payloads are sent once each, so that calls for rows that are not there show.
const CALLS: &[(&str, &[u32])] = &[
    ("SELECT id, pg_notify('loot', note) FROM t WHERE id < 6", &[1, 2, 3, 4, 5]),
    ("SELECT pg_notify('loot', note) FROM t WHERE id < 6", &[1, 2, 3, 4, 5]),
    ("SELECT id, upper(note), pg_notify('loot', note) FROM t WHERE id < 6 AND more <> '3'", &[1, 2, 4, 5]),
    ("SELECT n FROM (SELECT id, pg_notify('loot', note) AS n FROM t) s WHERE id < 6", &[1, 2, 3, 4, 5]),
    ("SELECT id FROM (SELECT id, pg_notify('loot', note) AS n FROM t) s WHERE id < 6 AND n IS NULL", &[1, 2, 3, 4, 5]),
    ("SELECT id FROM (SELECT id, pg_notify('loot', note) AS n FROM t WHERE id < 6) s WHERE n IS NULL", &[1, 2, 3, 4, 5]),
    ("WITH c AS (SELECT id, note FROM t WHERE id < 4) SELECT id, pg_notify('loot', note) FROM c", &[1, 2, 3]),
    ("SELECT pg_notify('loot', note) FROM t WHERE id > 17 AND id IN (SELECT id FROM t WHERE id < 20)", &[18, 19]),
    ("SELECT pg_notify('loot', a.note) FROM t a WHERE EXISTS (SELECT 1 FROM t b WHERE b.id = a.id + 18)", &[1, 2]),
    ("SELECT count(*) FROM (SELECT pg_notify('loot', note) AS n FROM t LIMIT 3) s WHERE n IS NULL", &[1, 2, 3]),
    ("SELECT pg_notify('loot', note) FROM t LIMIT 3", &[1, 2, 3]),
    ("SELECT pg_notify('loot', note) FROM t ORDER BY id DESC LIMIT 3", &[20, 19, 18]),
    ("SELECT more, pg_notify('loot', note), id FROM t ORDER BY id DESC LIMIT 3", &[20, 19, 18]),
    ("SELECT id, note, more, pg_notify('loot', note) FROM t ORDER BY note || more DESC, id LIMIT 2", &[9, 8]),
    ("SELECT pg_notify('loot', note) FROM t WHERE id < 5 ORDER BY id DESC", &[4, 3, 2, 1]),
    ("SELECT id, pg_notify('loot', note) AS note FROM t WHERE id < 5 ORDER BY t.note DESC", &[4, 3, 2, 1]),
    ("SELECT a.id, pg_notify('loot', b.note) FROM t a JOIN t b ON a.id = b.id AND a.id < 4", &[1, 2, 3]),
    ("SELECT pg_notify('loot', b.note) FROM t a JOIN t b ON a.id < b.id WHERE a.id = 17", &[18, 19, 20]),
    ("SELECT pg_notify('loot', a.note) FROM t a LEFT JOIN t b ON a.id = b.id AND b.id < 3 WHERE a.id < 5", &[1, 2, 3, 4]),
    ("SELECT id FROM t WHERE id < 6 AND pg_notify('loot', note) IS NULL", &[1, 2, 3, 4, 5]),
    ("SELECT id FROM t WHERE pg_notify('loot', note) IS NULL AND id < 6", &[1, 2, 3, 4, 5]),
    ("SELECT id FROM (SELECT * FROM t WHERE pg_notify('loot', note) IS NULL) s WHERE id < 6", &[1, 2, 3, 4, 5]),
    ("SELECT id FROM t WHERE pg_notify('loot', note) IS NULL AND length(more) = 1 AND id > 7", &[8, 9]),
    ("SELECT a.id FROM t a JOIN t b ON a.id = b.id WHERE pg_notify('loot', b.note) IS NULL AND a.id < 4", &[1, 2, 3]),
    ("SELECT a.id FROM t a JOIN t b ON a.id = b.id AND pg_notify('loot', b.note) IS NULL WHERE a.id < 4", &[1, 2, 3]),
    ("SELECT a.id FROM t a, t b WHERE a.id = b.id AND pg_notify('loot', a.note) IS NULL AND b.more < '13'", &[1, 10, 11, 12]),
    ("SELECT CASE WHEN id < 6 THEN pg_notify('loot', note) END FROM t", &[1, 2, 3, 4, 5]),
    ("SELECT CASE WHEN id >= 3 THEN NULL ELSE pg_notify('loot', note) END FROM t WHERE id < 9", &[1, 2]),
    ("SELECT DISTINCT pg_notify('loot', note) FROM t WHERE id < 3", &[1, 2]),
    ("SELECT count(pg_notify('loot', note)) FROM t WHERE id < 3", &[1, 2]),
    ("SELECT sum(id) FROM t GROUP BY note HAVING pg_notify('loot', note) IS NULL AND sum(id) < 3", &[1, 2]),
    ("SELECT row_number() OVER (ORDER BY id), pg_notify('loot', note) FROM t WHERE id < 3", &[1, 2]),
    (
        "SELECT r FROM (SELECT row_number() OVER (ORDER BY id DESC) AS r, note FROM t) s WHERE r < 3 AND pg_notify('loot', note) IS NULL",
        &[20, 19],
    ),
    ("SELECT id, pg_notify('loot', note) FROM (SELECT * FROM t UNION ALL SELECT * FROM t WHERE id > 30) s WHERE id < 3", &[1, 2]),
    ("SELECT g, pg_notify('loot', 'n' || g) FROM generate_series(1, 20) g WHERE g < 4", &[1, 2, 3]),
    ("CREATE TABLE made AS SELECT id, pg_notify('loot', note) IS NULL AS n FROM t WHERE id < 3", &[1, 2]),
    ("INSERT INTO made SELECT id, pg_notify('loot', note) IS NULL FROM t WHERE id < 3", &[1, 2]),
    ("SELECT id, pg_notify('loot', note) FROM own_rows WHERE id < 3", &[1, 2]),
    ("SELECT id FROM own_rows WHERE id < 3 AND pg_notify('loot', note) IS NULL", &[1, 2]),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_volatile_function_is_called_for_the_rows_that_come_out() {
    let (server, admin) = warehouse().await;
    let (officer, mut inbox) = listener(&server, "officer").await;
    run(&officer, "SET search_path = off; LISTEN loot").await;
    run(
        &officer,
        "CREATE TABLE t (id bigint, note text, more text); INSERT INTO t SELECT g, 'n' || g, g::text FROM generate_series(1, 20) g",
    )
    .await;
    run(&officer, "CREATE TABLE own_rows (id bigint, note text); INSERT INTO own_rows SELECT id, note FROM t").await;
    run(&admin, "CREATE FUNCTION hr.few(id bigint) RETURNS boolean RETURN id < 15").await;
    run(&officer, "ALTER TABLE own_rows SET ROW FILTER hr.few ON (id)").await;
    for (query, expected) in CALLS {
        let answer = transcript(&officer, query).await;
        assert!(!answer.starts_with("error"), "{query}: {answer}");
        let mut payloads = heard(&officer, &mut inbox).await;
        let mut expected: Vec<String> = expected.iter().map(|number| format!("n{number}")).collect();
        if !query.contains("ORDER BY id DESC") {
            payloads.sort();
            expected.sort();
        }
        assert_eq!(payloads, expected, "{query}");
    }
    let statement = officer.prepare("SELECT id, pg_notify('loot', note) FROM t WHERE id < $1").await.unwrap();
    assert_eq!(officer.query(&statement, &[&3_i64]).await.unwrap().len(), 2);
    assert_eq!(heard(&officer, &mut inbox).await, ["n1", "n2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn locks_are_taken_for_the_rows_that_come_out() {
    let (_server, admin) = warehouse().await;
    run(
        &admin,
        "CREATE TABLE t (id bigint, note text, more text); INSERT INTO t SELECT g, 'n' || g, g::text FROM generate_series(1, 20) g",
    )
    .await;
    for (query, expected) in [
        ("SELECT id, pg_advisory_lock(id) FROM t WHERE id < 6", "1,2,3,4,5"),
        ("SELECT id FROM t WHERE id < 6 AND pg_advisory_lock(id) IS NULL", "1,2,3,4,5"),
        ("SELECT id FROM t WHERE pg_advisory_lock(id) IS NULL AND id < 6", "1,2,3,4,5"),
        ("SELECT pg_advisory_lock(id) FROM t ORDER BY id DESC LIMIT 3", "18,19,20"),
        ("SELECT pg_advisory_lock(id) FROM t LIMIT 3", "1,2,3"),
        ("SELECT pg_try_advisory_lock(id) FROM t ORDER BY id LIMIT 3", "1,2,3"),
        ("SELECT a.id FROM t a JOIN t b ON a.id = b.id WHERE pg_try_advisory_lock(b.id) AND a.id < 4", "1,2,3"),
        ("SELECT CASE WHEN id < 6 THEN pg_advisory_lock(id) END FROM t", "1,2,3,4,5"),
        (
            "SELECT CASE WHEN id > 3 THEN 1 WHEN id > 1 THEN CASE WHEN pg_advisory_lock(id) IS NULL THEN 2 END ELSE 3 END FROM t",
            "2,3",
        ),
        ("SELECT CASE WHEN id > 3 THEN NULL ELSE pg_advisory_lock(id) END FROM t", "1,2,3"),
    ] {
        run(&admin, query).await;
        let held = "SELECT string_agg(objid::bigint::text, ',' ORDER BY objid::bigint) FROM pg_locks WHERE locktype = 'advisory'";
        assert_eq!(rows(&admin, held).await, [[Some(expected.to_string())]], "{query}");
        run(&admin, "SELECT pg_advisory_unlock_all()").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_was_drawn_is_drawn_once() {
    let (_server, admin) = warehouse().await;
    run(&admin, "CREATE TABLE t (id bigint, note text); INSERT INTO t SELECT g, 'n' || g FROM generate_series(1, 5000) g").await;
    for query in [
        "SELECT count(*) FROM (SELECT id, random() AS r FROM t) s WHERE r < 0.5 AND NOT r < 0.5",
        "SELECT count(*) FROM (SELECT r, r + 1 AS q FROM (SELECT id, random() AS r FROM t) i) s WHERE r < 0.5 AND r >= 0.5",
        "SELECT count(*) FROM (SELECT * FROM (SELECT id, random() AS r FROM t) s WHERE r < 0.3) q WHERE r >= 0.3",
        "SELECT count(*) FROM (SELECT id, random() AS r FROM t ORDER BY id LIMIT 4000) s WHERE r < 0.5 AND r >= 0.5",
    ] {
        assert_eq!(rows(&admin, query).await, [[Some("0".to_string())]], "{query}");
    }
    let kept = "SELECT bool_and(r < 0.5), count(*) BETWEEN 2000 AND 3000 FROM (SELECT id, random() AS r FROM t) s WHERE r < 0.5";
    assert_eq!(rows(&admin, kept).await, [[Some("t".to_string()), Some("t".to_string())]]);
}
