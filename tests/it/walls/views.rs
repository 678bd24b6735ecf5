//! Views and functions that are read with their owner's rights tell their reader what they return and nothing else.

use tokio_postgres::Client;

use crate::server::{Server, rows, run, sqlstate, transcript};

/// Views of `raw` that show alice's rows and no others, each written in another way.
const VIEWS: &[(&str, &str)] = &[
    ("constant", "SELECT id, note, salary FROM raw WHERE owner = 'alice'"),
    ("reader", "SELECT id, note, salary FROM raw WHERE owner = current_user"),
    ("listed", "SELECT id, note, salary FROM raw WHERE owner IN (SELECT owner FROM access WHERE login = 'alice')"),
    (
        "both",
        "SELECT id, note, salary FROM raw WHERE owner = 'alice' AND id < 1000 UNION ALL SELECT id, note, salary FROM raw WHERE owner = 'alice' AND id >= 1000",
    ),
    ("numbered", "SELECT id, note, salary, row_number() OVER (ORDER BY id) AS n FROM raw WHERE owner = 'alice'"),
    ("joined", "SELECT r.id, r.note, r.salary FROM raw r JOIN access a ON a.owner = r.owner WHERE a.login = 'alice'"),
    ("limited", "SELECT id, note, salary FROM raw WHERE owner = 'alice' ORDER BY id LIMIT 1000"),
    ("distinct_rows", "SELECT DISTINCT id, note, salary FROM raw WHERE owner = 'alice'"),
    ("above", "SELECT * FROM constant"),
    ("shown", "SELECT id, CASE WHEN owner = 'alice' THEN note ELSE '0' END AS note, salary FROM raw WHERE owner = 'alice'"),
];

/// Predicates that fail on hidden rows only, or print what they hold. `VIEW` stands for the view's name.
const PROBES: &[&str] = &[
    "SELECT id FROM VIEW WHERE CAST(CASE WHEN salary >= 5000 THEN note ELSE '1' END AS int) = 7",
    "SELECT id FROM VIEW WHERE 1 / (salary - 5005) > -5",
    "SELECT v.id FROM VIEW v JOIN region r ON 1 / (v.salary - 5005) > -5 AND r.id = v.id",
    "SELECT id FROM VIEW WHERE id IN (SELECT r.id FROM region r, VIEW w WHERE 1 / (w.salary - 5005) > -5)",
    "WITH v AS (SELECT * FROM VIEW) SELECT id FROM v WHERE sqrt(5004 - salary) >= 0",
    "SELECT x.n FROM VIEW v, LATERAL (SELECT 1 / (v.salary - 5005) AS n) x WHERE x.n < 100",
    "SELECT id, 1 / (salary - 5005) FROM VIEW ORDER BY 2, 1",
    "SELECT sum(1 / (salary - 5005)) FROM VIEW",
    "SELECT count(*) FILTER (WHERE CAST(CASE WHEN salary >= 5000 THEN note ELSE '1' END AS int) = 1) FROM VIEW",
    "SELECT DISTINCT CAST(CASE WHEN salary >= 5000 THEN note ELSE '1' END AS int) FROM VIEW",
    "SELECT id FROM VIEW WHERE CASE WHEN salary = 5005 THEN 1 / (salary - 5005) ELSE 1 END = 1",
    "SELECT id FROM VIEW WHERE note ~ '(' IS NULL OR salary::smallint * 7 > 0",
];

async fn prepare(server: &Server) -> Client {
    let admin = server.admin().await;
    run(&admin, "CREATE USER alice PASSWORD 'alice-password-1'; CREATE SCHEMA hr; CREATE SCHEMA pub; SET search_path = hr").await;
    run(&admin, "CREATE TABLE raw (id bigint, owner text, note text, salary bigint)").await;
    run(&admin, "INSERT INTO raw SELECT g, 'alice', g::text, 1000 + g FROM generate_series(1, 20) g").await;
    run(&admin, "INSERT INTO raw SELECT g, 'bob', 'canary-' || g, 5000 + g FROM generate_series(1, 300) g").await;
    run(&admin, "CREATE TABLE access (login text, owner text); INSERT INTO access VALUES ('alice', 'alice'), ('bob', 'bob')").await;
    run(&admin, "CREATE TABLE region AS SELECT g AS id FROM generate_series(1, 30) g").await;
    run(&admin, "GRANT USAGE ON SCHEMA hr TO alice; GRANT SELECT ON region TO alice").await;
    run(&admin, "GRANT USAGE ON SCHEMA pub TO alice; GRANT SELECT ON SCHEMA pub TO alice; GRANT EXECUTE ON SCHEMA pub TO alice")
        .await;
    run(&admin, "SET search_path = pub, hr").await;
    for (name, query) in VIEWS {
        run(&admin, &format!("CREATE VIEW pub.{name} AS {query}")).await;
    }
    admin
}

async fn reader(server: &Server) -> Client {
    let alice = server.user("alice").await;
    run(&alice, "SET search_path = pub, hr").await;
    alice
}

#[tokio::test(flavor = "multi_thread")]
async fn a_predicate_meets_the_rows_that_a_view_shows_and_no_others() {
    let server = Server::start();
    let admin = prepare(&server).await;
    let alice = reader(&server).await;
    for (view, _) in VIEWS {
        let copy = format!("hr.copy_of_{view}");
        let columns = if *view == "numbered" {
            "g AS id, g::text AS note, 1000 + g AS salary, g AS n"
        } else {
            "g AS id, g::text AS note, 1000 + g AS salary"
        };
        run(&admin, &format!("CREATE TABLE {copy} AS SELECT {columns} FROM generate_series(1::bigint, 20::bigint) g; GRANT SELECT ON {copy} TO alice")).await;
        for probe in PROBES {
            let order = if probe.contains("ORDER BY") { "" } else { " ORDER BY 1" };
            let seen = transcript(&alice, &format!("{}{order}", probe.replace("VIEW", view))).await;
            let expected = transcript(&alice, &format!("{}{order}", probe.replace("VIEW", &copy))).await;
            // A row of the reader's own may fail as well, and then says less than it does over a table of hers.
            let (seen_code, expected_code) = (seen.get(..11), expected.get(..11));
            if expected.starts_with("error") {
                assert_eq!(seen_code, expected_code, "{view}: {probe}: {seen} instead of {expected}");
            } else {
                assert_eq!(seen, expected, "{view}: {probe}");
            }
            assert!(!seen.contains("canary"), "{view}: {probe}: {seen}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_of_its_owner_answers_for_the_keys_that_are_asked_for() {
    let server = Server::start();
    let admin = prepare(&server).await;
    run(&admin, "CREATE FUNCTION pub.note_of(k bigint) RETURNS text RETURN (SELECT r.note FROM hr.raw r WHERE r.id = k AND r.owner = current_user)").await;
    run(
        &admin,
        "CREATE FUNCTION pub.salary_of(k bigint) RETURNS bigint RETURN (SELECT max(r.salary) FROM hr.raw r WHERE r.id = k)",
    )
    .await;
    run(&admin, "CREATE FUNCTION pub.twice(k bigint) RETURNS bigint RETURN pub.salary_of(k) * 2").await;
    run(&admin, "CREATE FUNCTION pub.has(k bigint) RETURNS boolean RETURN EXISTS (SELECT 1 FROM hr.raw r WHERE r.id = k AND r.owner = current_user)").await;
    let alice = reader(&server).await;
    let text = |answer: Vec<Vec<Option<String>>>| {
        answer
            .into_iter()
            .map(|row| row.into_iter().map(Option::unwrap_or_default).collect::<Vec<_>>().join("|"))
            .collect::<Vec<_>>()
            .join(",")
    };
    for (query, expected) in [
        ("SELECT g, note_of(g) FROM generate_series(19::bigint, 22) g ORDER BY 1", "19|19,20|20,21|,22|"),
        ("SELECT g FROM generate_series(1::bigint, 3) g WHERE CAST(note_of(g) AS int) > 1 ORDER BY 1", "2,3"),
        ("SELECT salary_of(7), salary_of(NULL), note_of(8)", "5007||8"),
        ("SELECT g FROM generate_series(1::bigint, 40) g WHERE has(g) AND g > 18 ORDER BY 1", "19,20"),
        ("SELECT twice(g) FROM generate_series(1::bigint, 2) g ORDER BY 1", "10002,10004"),
        ("SELECT salary_of(max(g)) FROM generate_series(1::bigint, 9) g", "5009"),
        ("SELECT note_of(g), count(*) FROM (VALUES (1::bigint), (1), (2)) v(g) GROUP BY note_of(g) ORDER BY 1", "1|2,2|1"),
        (
            "SELECT a.g FROM generate_series(1::bigint, 3) a(g) JOIN generate_series(1::bigint, 3) b(g) ON note_of(a.g) = note_of(b.g) ORDER BY 1",
            "1,2,3",
        ),
        ("SELECT (SELECT note_of(v.g)) FROM (VALUES (3::bigint)) v(g)", "3"),
        (
            "SELECT g FROM generate_series(1::bigint, 3) g WHERE EXISTS (SELECT 1 FROM region r WHERE r.id = salary_of(g) - 5000) ORDER BY 1",
            "1,2,3",
        ),
        ("SELECT note_of(salary_of(g) - 5000) FROM generate_series(4::bigint, 5) g ORDER BY 1", "4,5"),
        ("SELECT g FROM generate_series(1::bigint, 4) g ORDER BY salary_of(g) DESC LIMIT 2", "4,3"),
        ("SELECT sum(salary_of(id)) FROM region", "150465"),
        ("SELECT DISTINCT has(id) FROM region ORDER BY 1", "f,t"),
        ("VALUES (salary_of(1)), (2) ORDER BY 1", "2,5001"),
        ("SELECT CASE WHEN has(g) THEN note_of(g) ELSE 'none' END FROM generate_series(20::bigint, 21) g ORDER BY 1", "20,none"),
        ("SELECT salary_of(g), note_of(salary_of(g) - 5000) FROM generate_series(1::bigint, 2) g ORDER BY 1", "5001|1,5002|2"),
        ("SELECT id FROM region WHERE (salary_of(id), id) IN (SELECT 5000 + id, id FROM region WHERE id < 3) ORDER BY 1", "1,2"),
        ("SELECT id FROM region WHERE note_of(id) LIKE ANY (SELECT id::text FROM region WHERE id < 3) ORDER BY 1", "1,2"),
        (
            "SELECT salary_of((SELECT max(o.id) FROM region o WHERE o.id <= r.id)) FROM region r WHERE id < 3 ORDER BY 1",
            "5001,5002",
        ),
        (
            "SELECT z.x FROM (SELECT salary_of(id) AS s FROM region WHERE id < 3) q, LATERAL (SELECT q.s + 1 AS x) z ORDER BY 1",
            "5002,5003",
        ),
        ("SELECT count(note_of(g % 20 + 1)), max(salary_of(g % 300 + 1)) FROM generate_series(1::bigint, 50000) g", "50000|5300"),
        ("SELECT g, row_number() OVER (ORDER BY salary_of(g) DESC) FROM generate_series(1::bigint, 2) g ORDER BY 1", "1|2,2|1"),
    ] {
        assert_eq!(text(rows(&alice, query).await), expected, "{query}");
    }
    // Values of keys that were not asked for are neither printed nor told by an error.
    for query in [
        "SELECT g FROM generate_series(1::bigint, 20) g WHERE CAST(note_of(g) AS int) > 100",
        "SELECT g FROM generate_series(1::bigint, 20) g WHERE 1 / (salary_of(g) - 5100) > 5",
        "SELECT g FROM generate_series(1::bigint, 20) g WHERE g = 500 AND 1 / (salary_of(g) - 5005) > 5",
    ] {
        let answer = transcript(&alice, query).await;
        assert!(answer.ends_with("done 0"), "{query}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_stops_at_the_name_of_what_is_lent_out() {
    let server = Server::start();
    let admin = prepare(&server).await;
    run(&admin, "CREATE VIEW pub.secret AS SELECT id FROM hr.raw WHERE salary <> 424242").await;
    run(&admin, "CREATE FUNCTION pub.knows(k bigint) RETURNS boolean RETURN EXISTS (SELECT 1 FROM hr.raw r WHERE r.id = k AND r.salary <> 424242)").await;
    run(&admin, "CREATE USER keeper PASSWORD 'keeper-password-1'; GRANT USAGE ON SCHEMA pub TO keeper; GRANT SELECT, MANAGE ON pub.secret TO keeper").await;
    let alice = reader(&server).await;
    for form in ["EXPLAIN", "EXPLAIN ANALYZE", "EXPLAIN (FORMAT json)"] {
        let plan = transcript(&alice, &format!("{form} SELECT * FROM pub.secret WHERE id > 3")).await;
        assert!(plan.contains("pub.secret") && !plan.contains("424242"), "{plan}");
        let plan = transcript(&alice, &format!("{form} SELECT id FROM hr.region WHERE pub.knows(id)")).await;
        assert!(plan.contains("pub.knows") && !plan.contains("424242"), "{plan}");
    }
    assert!(transcript(&admin, "EXPLAIN SELECT * FROM pub.secret").await.contains("424242"));
    let keeper = server.user("keeper").await;
    assert!(transcript(&keeper, "EXPLAIN SELECT * FROM pub.secret").await.contains("424242"));
    // Who may read what lies beneath may have it as one plan, but reads the text of nobody's view.
    run(&admin, "GRANT SELECT ON hr.raw TO alice").await;
    let plan = transcript(&alice, "EXPLAIN SELECT * FROM pub.secret").await;
    assert!(!plan.contains("424242"), "{plan}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_hides_nothing_becomes_part_of_the_plan() {
    let server = Server::start();
    let admin = prepare(&server).await;
    run(&admin, "CREATE VIEW pub.everything AS SELECT id, salary FROM hr.raw").await;
    let alice = reader(&server).await;
    // Errors say what they found where every row may be seen.
    let answer = transcript(&alice, "SELECT note::int FROM constant WHERE id = 1").await;
    assert!(answer.contains("row 1"), "{answer}");
    assert_eq!(sqlstate(&alice, "SELECT 1 / (salary - 5005) FROM everything").await, "22012");
    assert_eq!(sqlstate(&alice, "SELECT note FROM everything").await, "42703");
    assert_eq!(sqlstate(&alice, "SELECT id FROM hr.raw").await, "42P01");
}
