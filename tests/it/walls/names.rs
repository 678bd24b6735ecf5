//! Names that look like internal ones, and arguments of functions that have their owner's rights.

use crate::server::{Server, rows, run, transcript};

async fn values(client: &tokio_postgres::Client, query: &str) -> String {
    let answer = rows(client, query).await;
    let line = |row: Vec<Option<String>>| row.into_iter().map(|cell| cell.unwrap_or("NULL".into())).collect::<Vec<_>>().join("|");
    answer.into_iter().map(line).collect::<Vec<_>>().join(",")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_argument_never_means_a_column_of_the_function() {
    let server = Server::start();
    let admin = server.admin().await;
    run(&admin, "CREATE USER alice PASSWORD 'alice-password-1'; CREATE SCHEMA hr; CREATE SCHEMA ali AUTHORIZATION alice").await;
    run(
        &admin,
        "CREATE TABLE hr.creds (login text, pass text); INSERT INTO hr.creds VALUES ('bob', 'canary-bob'), ('alice', 'hers')",
    )
    .await;
    run(&admin, "CREATE TABLE hr.raw (id bigint, owner text, salary bigint, note text); INSERT INTO hr.raw VALUES (1, 'bob', 9000, 'canary-1'), (2, 'alice', 100, 'hers')").await;
    run(&admin, "CREATE FUNCTION public.login_ok(u text, p text) RETURNS boolean RETURN EXISTS (SELECT 1 FROM hr.creds r WHERE r.login = u AND r.pass = p)").await;
    run(&admin, "CREATE FUNCTION public.bare_ok(u text, p text) RETURNS boolean RETURN EXISTS (SELECT 1 FROM hr.creds WHERE login = u AND pass = p)").await;
    run(&admin, "CREATE FUNCTION public.sal_of(k bigint) RETURNS bigint RETURN (SELECT max(r.salary) FROM hr.raw r WHERE r.id = k AND r.owner = current_user)").await;
    run(&admin, "GRANT EXECUTE ON SCHEMA main.public TO alice; GRANT USAGE ON SCHEMA main.public TO alice").await;
    let alice = server.user("alice").await;
    run(&alice, "CREATE TABLE ali.own (login text, pass text, id bigint, note text, owner text, salary bigint); INSERT INTO ali.own VALUES ('x', 'wrong', 1, 'mine', 'alice', 1)").await;
    run(&alice, "LISTEN loot").await;
    for alias in ["r", "r#2", "r#1", "r\u{1}2", "creds", "creds#2", "creds#1", "r2", "raw", "arguments", "governed scan"] {
        for function in ["login_ok", "bare_ok"] {
            for other in ["r", "creds", "zz"] {
                if other == alias {
                    continue;
                }
                let query = format!(
                    "SELECT 1 FROM ali.own AS {other}, ali.own AS \"{alias}\" WHERE public.{function}('bob', \"{alias}\".pass)"
                );
                assert_eq!(values(&alice, &query).await, "", "{query}");
                let query = format!(
                    "SELECT 1 FROM ali.own AS {other}, ali.own AS \"{alias}\" WHERE public.{function}('bob', (\"{alias}\".id + 1)::text)"
                );
                assert_eq!(values(&alice, &query).await, "", "{query}");
            }
        }
        let query = format!(
            "SELECT public.sal_of(CASE WHEN \"{alias}\".note = 'mine' THEN \"{alias}\".id END) FROM ali.own AS zz, ali.own AS \"{alias}\""
        );
        assert_eq!(values(&alice, &query).await, "NULL", "{query}");
        let query = format!(
            "SELECT 1 FROM ali.own AS zz, ali.own AS \"{alias}\" WHERE public.login_ok('bob', CAST(\"{alias}\".pass AS int)::text)"
        );
        let answer = transcript(&alice, &query).await;
        assert!(answer.starts_with("error 22P02") && !answer.contains("canary"), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_name_that_a_column_or_an_alias_can_have_works() {
    let server = Server::start();
    let admin = server.admin().await;
    let names = [
        "#value",
        "#exists",
        "#found",
        "#outer",
        "#sort",
        "#number",
        "#set",
        "#on",
        "#row",
        "#operand",
        "value#1",
        "x#2",
        "a.b",
        "a b",
        "count(*)",
        "count(Int64(1))",
        "Int64(1)",
        "max(x)",
        "__common_expr_1",
        "__correlated_sq_1",
        "__scalar_sq_1",
        "alias1",
        "group_alias_0",
        "NULL",
        "*",
        "\"\"",
        "?column?",
        "sum(t.k)",
        "row_number() ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING",
        "__grouping_id",
        "tableoid2",
        "Größe",
        "'",
        "\\",
    ];
    for (index, name) in names.iter().enumerate() {
        let table = format!("t{index}");
        run(&admin, &format!("CREATE TABLE {table} (k bigint, \"{name}\" bigint, b bigint); INSERT INTO {table} VALUES (1, 10, 1), (2, 20, 1), (3, 30, NULL), (3, 30, 7)")).await;
        for (query, expected) in [
            ("SELECT \"N\" FROM T WHERE \"N\" > 10 ORDER BY k, b", "20,30,30"),
            ("SELECT \"N\", count(*), count(DISTINCT k) FROM T GROUP BY \"N\" ORDER BY 1", "10|1|1,20|1|1,30|2|1"),
            ("SELECT x.\"N\", (SELECT count(*) FROM T y WHERE y.\"N\" <= x.\"N\") FROM T x ORDER BY 1, 2", "10|1,20|2,30|4,30|4"),
            ("SELECT x.\"N\" FROM T x WHERE x.\"N\" IN (SELECT y.\"N\" + 10 FROM T y WHERE y.k < x.k) ORDER BY 1", "20,30,30"),
            ("SELECT x.\"N\", EXISTS (SELECT 1 FROM T y WHERE y.\"N\" > x.\"N\") FROM T x ORDER BY 1", "10|t,20|t,30|f,30|f"),
            (
                "SELECT x.\"N\", y.s FROM T x, LATERAL (SELECT sum(z.\"N\") AS s FROM T z WHERE z.k = x.k) y ORDER BY 1",
                "10|10,20|20,30|60,30|60",
            ),
            ("SELECT \"N\", row_number() OVER (ORDER BY \"N\", b) FROM T ORDER BY 2", "10|1,20|2,30|3,30|4"),
            ("SELECT DISTINCT ON (\"N\") \"N\", k FROM T ORDER BY \"N\", k", "10|1,20|2,30|3"),
            ("SELECT \"N\" FROM T INTERSECT ALL SELECT \"N\" FROM T ORDER BY 1", "10,20,30,30"),
            ("SELECT \"N\" FROM (SELECT \"N\" FROM T EXCEPT SELECT 20) e ORDER BY \"N\" + 1", "10,30"),
            ("SELECT \"N\", u FROM T, unnest(ARRAY[\"N\", k]) u WHERE k = 1 ORDER BY 2", "10|1,10|10"),
            ("SELECT s.\"N\" FROM (SELECT k AS \"N\", count(*) AS c FROM T GROUP BY k) s ORDER BY s.c, 1", "1,2,3"),
            ("WITH \"N\" AS (SELECT \"N\" AS k FROM T) SELECT \"N\".k FROM \"N\" ORDER BY \"N\".k + 0", "10,20,30,30"),
            ("SELECT \"N\".k, v.k FROM T AS \"N\", (SELECT k FROM T \"N\" WHERE k < 2) v WHERE \"N\".k = v.k", "1|1"),
            (
                "SELECT \"N\" + b, \"N\" + b + 1, (\"N\" + b) * 2 FROM T WHERE \"N\" + b > 10 AND (\"N\" + b) * 2 > 0 ORDER BY 1",
                "11|12|22,21|22|42,37|38|74",
            ),
            ("SELECT array_agg(\"N\" ORDER BY \"N\"), max(\"N\") FROM T", "{10,20,30,30}|30"),
            (
                "SELECT k, \"N\" FROM T GROUP BY GROUPING SETS ((k), (\"N\")) ORDER BY k, \"N\"",
                "1|NULL,2|NULL,3|NULL,NULL|10,NULL|20,NULL|30",
            ),
        ] {
            let query = query.replace("\"N\"", &format!("\"{name}\"")).replace(" T", &format!(" {table}"));
            assert_eq!(values(&admin, &query).await, expected, "{query}");
        }
        let plan =
            transcript(&admin, &format!("EXPLAIN SELECT (SELECT max(y.\"{name}\") FROM {table} y WHERE y.k < x.k) FROM {table} x"))
                .await;
        assert!(plan.starts_with("columns QUERY PLAN") && !plan.contains('\0'), "{plan}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alias_with_a_number_is_a_relation_of_its_own() {
    let server = Server::start();
    let admin = server.admin().await;
    run(
        &admin,
        "CREATE TABLE t1 (id bigint); INSERT INTO t1 VALUES (1), (2); CREATE TABLE t2 (id bigint); INSERT INTO t2 VALUES (2), (5)",
    )
    .await;
    let query = "SELECT \"x#2\".id, (SELECT sum(x.id) FROM t2 x WHERE x.id >= \"x#2\".id), (SELECT max(x.id) FROM t2 x WHERE x.id <> \"x#2\".id) FROM t1 AS \"x#2\" ORDER BY 1";
    assert_eq!(values(&admin, query).await, "1|7|5,2|7|5");
    // Outputs of a set operation and columns inside a subquery may have one name and two types.
    let query = "SELECT a FROM (SELECT 1 AS a UNION ALL SELECT 2) u ORDER BY (SELECT max(a) FROM (VALUES ('x'), ('y')) v(a)) || a::text DESC";
    assert_eq!(values(&admin, query).await, "2,1");
    let query = "VALUES (1), (2) ORDER BY (SELECT count(*) FROM (VALUES ('a'), ('b')) v WHERE v.column1 <> 'a') - column1";
    assert_eq!(values(&admin, query).await, "2,1");
}
