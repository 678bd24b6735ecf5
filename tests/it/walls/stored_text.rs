//! Views and functions mean what their author wrote, whatever stands in their quotes.

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};
use tokio_postgres::Client;
use tokio_postgres::error::ErrorPosition;

use crate::server::{Server, rows, run, sqlstate, transcript};

/// A constant as it may be written, and its value.
const CONSTANTS: &[(&str, &str)] = &[
    (r"'\'", r"\"),
    (r"'\'' OR true --'", r"\' OR true --"),
    (r"'\\'", r"\\"),
    (r"'\'' UNION SELECT 1 /*'", r"\' UNION SELECT 1 /*"),
    ("'a''''b'", "a''b"),
    ("''''", "'"),
    ("''''''", "''"),
    ("$$d'q''$$", "d'q''"),
    ("$x$a$$b'$x$", "a$$b'"),
    (r"E'\''", "'"),
    (r"E'x\'\'y\\'", r"x''y\"),
    (r"E'a\nb\\''c'", "a\nb\\'c"),
    (r"'x\''y'", r"x\'y"),
    (r#"'"' || '""'"#, "\"\"\""),
    ("'a'\n  '''b'", "a'b"),
    (r"U&'\00e9\\''' ", r"é\'"),
    (r"U&'!0041!!''' UESCAPE '!'", "A!'"),
    ("N'it''s'", "it's"),
    ("'-- ' /* ' */ || '/*' -- '\n", "-- /*"),
    ("'é''\u{1F4A7}\\'", "é'\u{1F4A7}\\"),
    ("';'", ";"),
];

async fn one(client: &Client, query: &str) -> String {
    rows(client, query).await.remove(0).remove(0).unwrap_or_else(|| "NULL".to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_constant_of_a_stored_text_is_the_one_that_was_written() {
    let server = Server::start();
    let admin = server.admin().await;
    for (constant, value) in CONSTANTS {
        assert_eq!(one(&admin, &format!("SELECT {constant}")).await, *value, "{constant}");
        let quoted = format!("'{}'", value.replace('\'', "''"));
        let tag = if constant.contains("$x$") { "$body$" } else { "$x$" };
        for create in [
            format!("CREATE OR REPLACE VIEW v AS SELECT {constant} AS x"),
            format!("CREATE OR REPLACE VIEW v (x) AS (VALUES ({constant}))"),
            format!("CREATE OR REPLACE VIEW v AS WITH c AS (SELECT {constant} AS x) SELECT x FROM c"),
            format!("CREATE OR REPLACE FUNCTION f() RETURNS text RETURN {constant}"),
            format!("CREATE OR REPLACE FUNCTION f() RETURNS text RETURN SELECT {constant}"),
            format!("CREATE OR REPLACE FUNCTION f() RETURNS text LANGUAGE sql AS {tag}SELECT {constant}{tag}"),
            format!(
                "CREATE OR REPLACE FUNCTION f() RETURNS text LANGUAGE sql AS {tag}SELECT a FROM (SELECT {constant} AS a) AS t{tag}"
            ),
        ] {
            admin.execute(&create, &[]).await.unwrap_or_else(|error| panic!("{create}: {error:?}"));
            let query = if create.contains("VIEW") { "SELECT x FROM v" } else { "SELECT f()" };
            assert_eq!(one(&admin, query).await, *value, "{create}");
            run(&admin, &format!("CREATE OR REPLACE VIEW above AS SELECT * FROM ({query}) AS b(x) WHERE x = {constant}")).await;
            assert_eq!(one(&admin, &format!("SELECT count(*) FROM above WHERE x = {quoted}")).await, "1", "{create}");
            run(&admin, "DROP VIEW above").await;
        }
        // What is shown as SQL says the same.
        let view = one(&admin, "SELECT pg_get_viewdef('v'::regclass)").await;
        run(&admin, &format!("CREATE VIEW shown AS {view}")).await;
        assert_eq!(one(&admin, "SELECT x FROM shown").await, *value, "{view}");
        let function = one(&admin, "SELECT pg_get_functiondef('f'::regproc)").await;
        run(&admin, &format!("DROP FUNCTION f; {function}")).await;
        assert_eq!(one(&admin, "SELECT f()").await, *value, "{function}");
        run(&admin, "DROP VIEW v, shown; DROP FUNCTION f").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_constant_ends_no_condition_of_a_view_or_policy() {
    let server = Server::start();
    let admin = server.admin().await;
    run(&admin, "CREATE TABLE raw (id bigint, owner text); INSERT INTO raw VALUES (1, 'alice'), (2, 'a''''b'), (3, 'a''b')").await;
    run(&admin, "CREATE USER alice PASSWORD 'alice-password-1'; GRANT SELECT ON raw TO alice").await;
    run(&admin, r"CREATE VIEW injected AS SELECT id, owner FROM raw WHERE owner = '\'' OR true --'").await;
    assert_eq!(one(&admin, "SELECT count(*) FROM injected").await, "0");
    run(&admin, r"BEGIN; CREATE VIEW held AS SELECT id FROM raw WHERE owner = '\'' OR true --'; COMMIT").await;
    assert_eq!(one(&admin, "SELECT count(*) FROM held").await, "0");

    run(&admin, "CREATE FUNCTION own(o text) RETURNS boolean RETURN o = 'a''''b'").await;
    run(&admin, "ALTER TABLE raw SET ROW FILTER own ON (owner)").await;
    let alice = server.user("alice").await;
    assert_eq!(rows(&alice, "SELECT id FROM raw").await, [[Some("2".to_string())]]);
    run(&admin, r"CREATE OR REPLACE FUNCTION own(o text) RETURNS boolean RETURN o = '\'' OR true --'").await;
    assert_eq!(one(&alice, "SELECT count(*) FROM raw").await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_with_quotes_and_backslashes_is_one_name() {
    let server = Server::start();
    let admin = server.admin().await;
    run(&admin, "CREATE SCHEMA hr; CREATE TABLE hr.raw (id bigint, ssn text); INSERT INTO hr.raw VALUES (1, 'secret')").await;
    run(&admin, "CREATE USER mallory PASSWORD 'mallory-password-1'; CREATE SCHEMA mal; CREATE SCHEMA pub").await;
    run(&admin, "ALTER SCHEMA mal OWNER TO mallory; GRANT USE SCHEMA ON SCHEMA pub TO mallory").await;
    let mallory = server.user("mallory").await;
    let injection = r#"mal."p\"" UNION ALL SELECT id, ssn FROM main.hr.raw --""#;
    run(&mallory, r#"CREATE TABLE mal."p\" (id bigint, owner text); INSERT INTO mal."p\" VALUES (8, 'short')"#).await;
    run(&mallory, &format!("CREATE TABLE {injection} (id bigint, owner text)")).await;
    run(&mallory, &format!("INSERT INTO {injection} VALUES (7, 'long')")).await;
    run(
        &mallory,
        &format!(
            "GRANT SELECT ON {injection} TO admin; GRANT SELECT ON mal.\"p\\\" TO admin; GRANT USE SCHEMA ON SCHEMA mal TO admin"
        ),
    )
    .await;
    for (create, expected) in [
        (format!("CREATE VIEW pub.evil AS SELECT * FROM {injection}"), "long"),
        (format!("CREATE VIEW pub.quiet AS TABLE {injection}"), "long"),
        (r#"CREATE VIEW pub.short AS SELECT p.* FROM mal."p\" AS p"#.to_string(), "short"),
        (r#"CREATE VIEW pub.ticks AS SELECT id, owner AS `o``w"n\` FROM mal.`p\`"#.to_string(), "short"),
        (r#"CREATE VIEW pub.same AS SELECT * FROM (SELECT "p\".id, "p\".owner FROM mal."p\") AS "q""""\""#.to_string(), "short"),
    ] {
        run(&admin, &create).await;
        let view = create.split_whitespace().nth(2).unwrap();
        run(&admin, &format!("GRANT SELECT ON {view} TO mallory")).await;
        for client in [&admin, &mallory] {
            let found = rows(client, &format!("SELECT * FROM {view}")).await;
            assert_eq!(found.len(), 1, "{create}");
            assert_eq!(found[0][1].as_deref(), Some(expected), "{create}");
        }
    }
    // What a view uses is what its text names.
    assert_eq!(sqlstate(&mallory, &format!("DROP TABLE {injection}")).await, "2BP01");
    run(&admin, "DROP TABLE hr.raw").await;

    run(&admin, r#"CREATE FUNCTION pub."f""\"("a""""b" text) RETURNS text RETURN "a""""b" || '\'"#).await;
    run(&admin, "CREATE FUNCTION pub.n(a int) RETURNS int RETURN a").await;
    run(&admin, r#"CREATE VIEW pub.called AS SELECT pub."f""\"('x') AS "c""""d", u&pub.n(3) AS n FROM (SELECT 5 AS u) AS t"#).await;
    assert_eq!(one(&admin, r#"SELECT "c""""d" FROM pub.called"#).await, r"x\");
    assert_eq!(one(&admin, "SELECT n FROM pub.called").await, "1");
    run(&admin, r#"CREATE FUNCTION pub.g(u int, p int) RETURNS int LANGUAGE sql AS 'SELECT u&$2'"#).await;
    assert_eq!(one(&admin, "SELECT pub.g(5, 3)").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_keep_their_operands() {
    let server = Server::start();
    let admin = server.admin().await;
    run(&admin, "CREATE TABLE t (a int, b int, \"a\"\"\"\"b\" int); INSERT INTO t VALUES (7, 2, 9)").await;
    // What the grammar has is no call, whatever functions there are.
    run(&admin, "CREATE FUNCTION \"row\"(a int, b int) RETURNS int RETURN 1").await;
    run(&admin, "CREATE FUNCTION parts(a int, b int) RETURNS text RETURN a::text || ',' || b::text").await;
    run(&admin, "CREATE FUNCTION numbers(a int, b int) RETURNS int[] RETURN ARRAY[a, b]").await;
    for expression in [
        "- -a",
        "- - -a",
        "a - - - b",
        "a - -b",
        "-(-a)",
        "- (- (a))",
        "a*-b",
        "a OPERATOR(pg_catalog.*) b + 1",
        "a OPERATOR(pg_catalog.-) b - 1",
        "@ -a",
        "~ a + 1",
        "-a ^ 2",
        "(a - b) - (a - b)",
        "a - (b - (a - b))",
        "a /* - */ - /* b */ - b",
        "a - -- - b\n b",
        "\"a\"\"\"\"b\" - a",
        "t.\"a\"\"\"\"b\"",
        "CASE WHEN NOT (a = 7 AND b = 3) THEN 1 ELSE 2 END",
        "CASE WHEN NOT a = 7 AND b = 3 THEN 1 ELSE 2 END",
        "CASE WHEN a BETWEEN SYMMETRIC 9 AND b THEN 1 ELSE 2 END",
        "CASE WHEN (a = 7) IS DISTINCT FROM (b = 2) THEN 1 ELSE 2 END",
        "CASE WHEN 'a%' LIKE 'a\\%' AND 'a%' LIKE 'a''%' ESCAPE '''' THEN 1 ELSE 2 END",
        "a - (SELECT max(x) FROM (SELECT 1 UNION ALL (SELECT 5 EXCEPT SELECT 2)) AS u(x))",
        "(ARRAY[a, b])[1 + 1]",
        "extract(year FROM DATE '2024-02-29' - INTERVAL '1 year')::int",
        "a::bigint::int - b::int",
        "-a::int",
        "CASE WHEN parts(a, b) COLLATE \"C\" < '8' THEN 1 ELSE 2 END",
        "string_to_array(parts(a, b), ',')[1]::int",
        "numbers(a, b)[2]",
        "CASE WHEN ROW(a, b) = ROW(8, 2) THEN 1 ELSE 2 END",
    ] {
        let written = one(&admin, &format!("SELECT {expression} FROM t")).await;
        run(&admin, &format!("CREATE OR REPLACE VIEW v AS SELECT {expression} AS x FROM t")).await;
        assert_eq!(one(&admin, "SELECT x FROM v").await, written, "{expression}");
        let shown = one(&admin, "SELECT pg_get_viewdef('v'::regclass)").await;
        run(&admin, &format!("DROP VIEW v; CREATE VIEW v AS {shown}")).await;
        assert_eq!(one(&admin, "SELECT x FROM v").await, written, "{shown}");
        run(&admin, "DROP VIEW v").await;
        let body = expression.replace("t.", "");
        run(
            &admin,
            &format!("CREATE OR REPLACE FUNCTION f(a int, b int, \"a\"\"\"\"b\" int) RETURNS double precision RETURN {body}"),
        )
        .await;
        let called = one(&admin, "SELECT f(a, b, \"a\"\"\"\"b\")::numeric(10,2) FROM t").await;
        let direct = one(&admin, &format!("SELECT ({expression})::numeric(10,2) FROM t")).await;
        assert_eq!(called, direct, "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_text_is_stored_as_a_short_one() {
    let server = Server::start();
    let admin = server.admin().await;
    let sum = vec!["1"; 200].join(" - -- \n -");
    let conditions = vec!["a = 'x''y'"; 300].join(" OR ");
    let arms = vec!["SELECT 'it''s'"; 100].join(" UNION ALL ");
    run(&admin, &format!("CREATE VIEW sums AS SELECT {sum} AS x; CREATE VIEW arms AS {arms}")).await;
    assert_eq!(one(&admin, "SELECT x FROM sums").await, one(&admin, &format!("SELECT {sum}")).await);
    assert_eq!(one(&admin, "SELECT count(*) FROM arms").await, "100");
    run(&admin, &format!("CREATE FUNCTION f(a text) RETURNS boolean RETURN {conditions}")).await;
    assert_eq!(one(&admin, "SELECT f('x''y')").await, "t");
    run(&admin, &format!("CREATE FUNCTION g() RETURNS bigint LANGUAGE sql AS $$SELECT {sum}$$")).await;
    assert_eq!(one(&admin, "SELECT g()").await, one(&admin, "SELECT x FROM sums").await);
    run(&admin, "CREATE TABLE t (a int); CREATE VIEW only_t AS SELECT a FROM ONLY (t)").await;
    assert_eq!(one(&admin, "SELECT count(*) FROM only_t").await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_a_view_stands_where_its_author_wrote_it() {
    let server = Server::start();
    let admin = server.admin().await;
    run(&admin, "CREATE TABLE t (a int)").await;
    for (statement, code) in [
        ("CREATE VIEW v AS SELECT a, missing FROM t", "42703"),
        ("CREATE VIEW v AS SELECT a FROM t WHERE 'é' = missing", "42703"),
        ("CREATE VIEW v AS SELECT a FROM missing", "42P01"),
    ] {
        let error = admin.simple_query(statement).await.unwrap_err();
        let error = error.as_db_error().unwrap();
        assert_eq!(error.code().code(), code, "{statement}");
        let before = statement.split("missing").next().unwrap().chars().count();
        let expected = ErrorPosition::Original(u32::try_from(before + 1).unwrap());
        assert_eq!(error.position(), Some(&expected), "{statement}");
    }
}

/// The metastore as the release before left it.
async fn make_old(data_dir: &std::path::Path) {
    let mut metastore = SqliteConnectOptions::new().filename(data_dir.join("metastore.db")).connect().await.unwrap();
    sqlx::query("DROP TABLE doubtful_text").execute(&mut metastore).await.unwrap();
    sqlx::query("DELETE FROM _sqlx_migrations WHERE version = 4").execute(&mut metastore).await.unwrap();
    metastore.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_of_an_earlier_release_that_may_say_something_else_is_not_read() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start_on(directory.path(), &[]);
    let admin = server.admin().await;
    run(&admin, "CREATE SCHEMA s; CREATE TABLE s.t (id int, owner text); INSERT INTO s.t VALUES (1, 'alice'), (2, 'bob')").await;
    run(&admin, "CREATE TABLE s.open (id int, owner text); INSERT INTO s.open VALUES (1, 'alice')").await;
    run(&admin, "CREATE USER alice PASSWORD 'alice-password-1'; GRANT SELECT, EXECUTE, USE SCHEMA ON SCHEMA s TO alice").await;
    // As sqlparser has printed them.
    run(&admin, r#"CREATE VIEW s.plain AS SELECT id, owner FROM "main"."s"."t" WHERE owner = 'alice' OR owner LIKE '\d'"#).await;
    run(&admin, r"CREATE VIEW s.injected AS SELECT id, owner FROM s.t WHERE owner = '\' OR true").await;
    run(&admin, "CREATE SCHEMA hidden; CREATE VIEW hidden.beneath AS SELECT id FROM s.t WHERE owner = 'canary''1'").await;
    run(&admin, "CREATE VIEW s.above AS SELECT id FROM \"main\".\"hidden\".\"beneath\"").await;
    run(&admin, "CREATE FUNCTION s.certain(o text) RETURNS boolean RETURN o = 'alice'").await;
    run(&admin, "CREATE FUNCTION s.doubtful(o text) RETURNS boolean RETURN o = 'a''b'").await;
    run(&admin, "ALTER TABLE s.t SET ROW FILTER s.certain ON (owner); ALTER TABLE s.open SET ROW FILTER s.doubtful ON (owner)")
        .await;
    assert_eq!(server.stop(), 0);
    make_old(directory.path()).await;

    let log = directory.path().join("log");
    let server = Server::start_logging(directory.path(), &[], std::fs::File::create(&log).unwrap().into());
    let (admin, alice) = (server.admin().await, server.user("alice").await);
    assert_eq!(one(&alice, "SELECT count(*) FROM s.plain").await, "1");
    assert_eq!(one(&alice, "SELECT count(*) FROM s.t").await, "1");
    for client in [&admin, &alice] {
        for query in [
            "SELECT * FROM s.injected",
            "SELECT * FROM s.above",
            "SELECT s.doubtful('x')",
            "SELECT * FROM s.open",
            "SELECT 1 WHERE EXISTS (SELECT 1 FROM s.injected)",
            "EXPLAIN SELECT * FROM s.open",
            "COPY (SELECT * FROM s.above) TO STDOUT",
            "DECLARE c CURSOR WITH HOLD FOR SELECT * FROM s.injected",
            "CREATE TEMP TABLE copied AS SELECT * FROM s.injected",
        ] {
            assert_eq!(sqlstate(client, query).await, "42P17", "{query}");
        }
        assert!(client.prepare("SELECT * FROM s.injected").await.is_err());
    }
    assert_eq!(sqlstate(&admin, "CREATE VIEW s.more AS SELECT * FROM s.injected").await, "42P17");
    assert_eq!(sqlstate(&admin, "ALTER TABLE s.t SET ROW FILTER s.doubtful ON (owner)").await, "42P17");
    let told = transcript(&admin, "SELECT * FROM s.injected").await;
    assert!(told.contains("main.s.injected") && told.contains("CREATE OR REPLACE VIEW"), "{told}");
    let told = transcript(&alice, "SELECT * FROM s.above").await;
    assert!(!told.contains("hidden") && !told.contains("canary"), "{told}");
    // Their owner still reads what to write anew.
    assert!(one(&admin, "SELECT pg_get_viewdef('hidden.beneath'::regclass)").await.contains("canary"));
    run(&admin, "CREATE OR REPLACE VIEW hidden.beneath AS SELECT id FROM s.t WHERE owner = 'canary''1' OR id = 1").await;
    run(&admin, "CREATE OR REPLACE FUNCTION s.doubtful(o text) RETURNS boolean RETURN o = 'alice'").await;
    assert_eq!(server.stop(), 0);
    let logged = std::fs::read_to_string(&log).unwrap();
    for name in ["main.s.injected", "main.hidden.beneath", "main.s.doubtful"] {
        assert!(logged.contains(name), "{name}: {logged}");
    }
    for text in ["canary", "main.s.plain", "main.s.certain", "OR true"] {
        assert!(!logged.contains(text), "{text}: {logged}");
    }

    let server = Server::start_on(directory.path(), &[]);
    let (admin, alice) = (server.admin().await, server.user("alice").await);
    assert_eq!(one(&alice, "SELECT count(*) FROM s.above").await, "1");
    assert_eq!(one(&alice, "SELECT count(*) FROM s.open").await, "1");
    assert_eq!(sqlstate(&alice, "SELECT * FROM s.injected").await, "42P17");
    run(&admin, r"DROP VIEW s.injected; CREATE VIEW s.injected AS SELECT id, owner FROM s.t WHERE owner = '\'").await;
    assert_eq!(one(&admin, "SELECT count(*) FROM s.injected").await, "0");
}
