//! One user's statements do not stop the server for the others.

use std::time::Duration;

use tokio_postgres::{Client, NoTls};

use crate::hostile::peer::{Peer, field, message, query, startup};
use crate::interruption::until_running;
use crate::server::{Server, rows, run, sqlstate};

/// Statements that compute for as long as anybody lets them, most of them without a row, one for each kind of operator and expression.
const ENDLESS: &[&str] = &[
    "SELECT count(*) FROM big a, big b WHERE a.id + b.id = -5",
    "SELECT count(*) FROM big a LEFT JOIN big b ON a.id + b.id < -5",
    "SELECT count(*) FROM big a FULL JOIN big b ON a.id + b.id < -5",
    "SELECT count(*) FROM big a WHERE NOT EXISTS (SELECT 1 FROM big b WHERE a.id + b.id = -5)",
    "SELECT sum(a.id::bigint + b.id + c.id) FROM big a, big b, big c",
    "SELECT count(*) FROM big a JOIN big b ON a.one = b.one AND a.id + b.id < 0",
    "SELECT count(*) FROM big a LEFT JOIN big b ON a.one = b.one AND a.id + b.id < 0",
    "SELECT count(*) FROM big a WHERE EXISTS (SELECT 1 FROM big b WHERE b.one = a.one AND a.id + b.id < 0)",
    "SELECT count(*) FROM big a JOIN big b ON a.one = b.one JOIN big c ON b.one = c.one",
    "SELECT count(DISTINCT md5(a.id::text || b.id::text)) FROM big a, big b WHERE (a.id * b.id) % 3 = 1",
    "SELECT max(m) FROM (SELECT median(id) OVER (ORDER BY id) AS m FROM big) q",
    "SELECT max(m) FROM (SELECT median(id) OVER (ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND 7 FOLLOWING) AS m FROM big) q",
    "SELECT max(x) FROM (SELECT a.id + b.id AS x FROM big a, big b ORDER BY (a.id * 31 + b.id) % 1009, a.id OFFSET 5) q",
    "WITH RECURSIVE t(n) AS (SELECT 1::bigint UNION ALL SELECT n + 1 FROM t WHERE n > 0) SELECT count(*) FROM t",
    "SELECT count(g) FROM big a, generate_series(1, a.id) g",
    "SELECT count(*) FROM big a, big b WHERE repeat(a.id::text, 500) ~ '(a|1|b)*(x+x+)+y'",
    "SELECT count(*) FROM big a, big b WHERE repeat(a.id::text, 500) LIKE '%x%y%1%z%'",
    "SELECT sum(length(regexp_replace(repeat(a.id::text, 500), '(1|2|3)+', 'x', 'g'))) FROM big a, big b",
    "SELECT sum(length(repeat(a.id::text, 500))) FROM big a, big b",
];

async fn serve_big(settings: &[&str]) -> (Server, Client) {
    let server = Server::start_with(&[settings, &["engine.worker_threads=1", "engine.concurrent_queries=40"]].concat());
    let admin = server.admin().await;
    run(&admin, "CREATE TABLE big AS SELECT n AS id, 1 AS one FROM generate_series(1, 30000) g(n)").await;
    (server, admin)
}

/// Runs `text` in several sessions, ends each in each way there is, and waits for the worker.
async fn run_and_end(server: &Server, text: &'static str) {
    const EACH: usize = 4;
    let mut answers = Vec::new();
    let mut tokens = Vec::new();
    for number in 0..2 * EACH {
        let client = server.admin().await;
        if number < EACH {
            tokens.push(client.cancel_token());
        } else {
            run(&client, "SET statement_timeout = '1s'").await;
        }
        answers.push(tokio::spawn(async move { sqlstate(&client, text).await }));
    }
    let mut peers: Vec<Peer> = (0..EACH).map(|_| Peer::login(server)).collect();
    peers.iter_mut().for_each(|peer| peer.send(&query(text)));
    // A cancel request that comes before its statement does nothing to it.
    let observer = server.admin().await;
    until_running(&observer, text, tokens.len() + peers.len()).await;
    server.eventually("the worker is busy", |server| server.metric("lakehold_workers_busy") > 0.0);
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop(peers);
    for token in tokens {
        token.cancel_query(NoTls).await.unwrap();
    }
    for answer in answers {
        assert_eq!(answer.await.unwrap(), "57014", "{text}");
    }
    server.eventually("no worker is busy", |server| server.metric("lakehold_workers_busy") == 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_statement_does_its_worker_is_free_when_it_is_ended() {
    let (server, admin) = serve_big(&[]).await;
    for text in ENDLESS {
        println!("{text}");
        run_and_end(&server, text).await;
        assert_eq!(rows(&admin, "SELECT count(*) FROM big").await, [[Some("30000".to_string())]]);
    }
    server.eventually("it is ready", |server| server.get("/ready").0 == 200);
    server.until_quiet();
}

#[tokio::test(flavor = "multi_thread")]
async fn joins_that_sort_and_merge_leave_their_worker_too() {
    let (server, admin) = serve_big(&["engine.planning.hash_joins=false", "engine.target_partitions=2"]).await;
    for text in ENDLESS.iter().filter(|text| text.contains(".one = ")) {
        println!("{text}");
        run_and_end(&server, text).await;
        assert_eq!(rows(&admin, "SELECT count(*) FROM big").await.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_goes_on_leaves_the_others_their_share() {
    let (server, admin) = serve_big(&[]).await;
    for text in [ENDLESS[0], ENDLESS[4], ENDLESS[5], ENDLESS[15]] {
        println!("{text}");
        let heavy = server.admin().await;
        let token = heavy.cancel_token();
        let running = tokio::spawn(async move { sqlstate(&heavy, text).await });
        server.eventually("the worker is busy", |server| server.metric("lakehold_workers_busy") > 0.0);
        for _ in 0..5 {
            assert_eq!(rows(&admin, "SELECT count(*) FROM big").await.len(), 1);
            server.eventually("it is ready", |server| server.get("/ready").0 == 200);
        }
        assert!(!running.is_finished());
        token.cancel_query(NoTls).await.unwrap();
        assert_eq!(running.await.unwrap(), "57014");
    }
}

/// What one client sends costs it and nobody else: it is refused, and what it has held is free again.
#[tokio::test(flavor = "multi_thread")]
async fn what_one_session_piles_up_is_bounded() {
    let server = Server::start();
    let (admin, other) = (server.admin().await, server.admin().await);
    for (text, code) in [
        ("SELECT count(pg_advisory_lock(g)) FROM generate_series(1, 200000) g", "53200"),
        ("SELECT count(pg_try_advisory_xact_lock_shared(g::int, 7)) FROM generate_series(1, 200000) g", "53200"),
        ("SELECT count(*) FROM generate_series(1, 200000) g WHERE pg_notify('c', g::text) IS NULL", "54000"),
        ("SELECT count(set_config('a.x' || g, 'v', false)) FROM generate_series(1, 200000) g", "54000"),
        ("SELECT set_config('a.long', repeat('x', 2000000), false)", "54000"),
    ] {
        assert_eq!(sqlstate(&admin, text).await, code, "{text}");
        run(&admin, "SELECT pg_advisory_unlock_all()").await;
    }
    run(&other, "SELECT pg_advisory_lock(1), pg_advisory_lock(1, 7)").await;
    for tens in 0..100 {
        let channels: String = (0..10).map(|ones| format!("LISTEN c{tens}_{ones};")).collect();
        run(&admin, &channels).await;
    }
    assert_eq!(sqlstate(&admin, "LISTEN one_more").await, "53400");
    run(&admin, "BEGIN").await;
    // Who saves before each statement needs many.
    for _ in 0..20 {
        run(&admin, &"SAVEPOINT s;".repeat(100)).await;
    }
    run(&admin, "SELECT set_config('a.long', repeat('x', 900000), false)").await;
    assert_eq!(sqlstate(&admin, &"SAVEPOINT s;".repeat(100)).await, "54000");
    run(&admin, "ROLLBACK").await;
    assert_eq!(rows(&admin, "SELECT 1").await.len(), 1);
}

#[test]
fn a_statement_says_so_much_and_no_more() {
    let server = Server::start();
    let mut peer = Peer::login(&server);
    let answer = peer.ask(&query("SELECT count(pg_advisory_unlock(g)) FROM generate_series(1, 50000) g"));
    let notices: Vec<&Vec<u8>> = answer.messages.iter().filter(|(tag, _)| *tag == b'N').map(|(_, body)| body).collect();
    assert_eq!(notices.len(), 1_001, "{answer}");
    assert_eq!(field(notices[1_000], b'M'), "49000 more messages of the statement are not shown");
}

/// Those who share an address with somebody who goes through made-up names log in all the same.
#[tokio::test(flavor = "multi_thread")]
async fn made_up_names_lock_nobody_out() {
    let server = Server::start();
    let admin = server.admin().await;
    run(&admin, "CREATE USER ada PASSWORD 'ada-password-1'; CREATE USER bob PASSWORD 'bob-password-1'").await;
    run(&server.user("ada").await, "SELECT 1").await;
    let mut tries = tokio::task::JoinSet::new();
    for number in 0..120 {
        let port = server.postgres.port();
        tries.spawn(async move {
            let config = format!("host=127.0.0.1 port={port} user=nobody{number} password=guess dbname=main");
            // Too many at a time are told to come again.
            while let Err(error) = tokio_postgres::connect(&config, NoTls).await {
                if error.code().is_some_and(|code| code.code() == "28P01") {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
    }
    while tries.join_next().await.is_some() {}
    run(&server.admin().await, "SELECT 1").await;
    run(&server.user("bob").await, "SELECT 1").await;
    for _ in 0..12 {
        assert!(server.connect("ada", "guess").await.is_err());
    }
    run(&server.user("ada").await, "SELECT 1").await;
}

/// The challenge to a name, as far as it does not depend on chance.
fn challenge(server: &Server, user: &str) -> String {
    let mut peer = Peer::open(server);
    peer.send(&startup(&[("user", user), ("database", "main")]));
    assert_eq!(peer.receive().unwrap().0, b'R');
    let mut first = b"SCRAM-SHA-256\0".to_vec();
    let bare = b"n,,n=,r=abcdefgh";
    first.extend(i32::try_from(bare.len()).unwrap().to_be_bytes());
    first.extend(bare);
    peer.send(&message(b'p', &first));
    let (_, body) = peer.receive().unwrap();
    let text = String::from_utf8_lossy(&body[4..]).into_owned();
    let part = |name: &str| text.split(',').find_map(|part| part.strip_prefix(name)).unwrap().to_string();
    format!("{} iterations, salt of {}", part("i="), part("s=").len())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verifier_that_was_carried_over_does_not_tell_that_its_user_exists() {
    let server = Server::start();
    let admin = server.admin().await;
    let verifier = "SCRAM-SHA-256$15000:MTIzNDU2Nzg5MDEyMzQ1Njc4$OZaH0NWGzrlM0bMe6PwCgfVz2WXGvzNL7nOJpDYqXrY=:UQ3NNGBiHUOIEuwsF5QJ6Jz0dR8A9vrIo5UFN2bsDU8=";
    for number in 0..9 {
        run(&admin, &format!("CREATE USER carried{number} PASSWORD '{verifier}'")).await;
    }
    let carried = challenge(&server, "carried0");
    assert!(carried.starts_with("15000 iterations"), "{carried}");
    let nobody: Vec<String> = (0..30).map(|number| challenge(&server, &format!("nobody{number}"))).collect();
    let alike = nobody.iter().filter(|shape| **shape == carried).count();
    assert!(alike > 10, "{nobody:?}");
    assert_eq!(challenge(&server, "nobody0"), nobody[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_in_a_prepared_statement_is_not_shown() {
    let server = Server::start();
    let admin = server.admin().await;
    run(&admin, "CREATE USER ada PASSWORD 'ada-password-1'").await;
    let _kept = admin.prepare("ALTER USER ada PASSWORD 'new-secret-1'").await.unwrap();
    let shown = rows(&admin, "SELECT statement FROM pg_prepared_statements").await;
    assert_eq!(shown, [[Some("ALTER USER ada PASSWORD '[redacted]'".to_string())]]);
    for view in ["pg_prepared_statements", "pg_stat_activity", "pg_cursors"] {
        let shown = rows(&admin, &format!("SELECT * FROM {view}")).await;
        assert!(!format!("{shown:?}").contains("new-secret"), "{view}: {shown:?}");
    }
}
