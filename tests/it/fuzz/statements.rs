//! Sentences of SQL words at random: answered, and never with a fault of ours.

use super::Budget;
use crate::server::{Server, transcript};

const WORDS: &[&str] = &[
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP BY",
    "ORDER BY",
    "LIMIT",
    "OFFSET",
    "HAVING",
    "WITH",
    "RECURSIVE",
    "AS",
    "JOIN",
    "LEFT JOIN",
    "ON",
    "USING",
    "UNION ALL",
    "EXCEPT",
    "INTERSECT",
    "(",
    ")",
    "(",
    ")",
    ",",
    ",",
    "*",
    "+",
    "-",
    "/",
    "%",
    "||",
    "=",
    "<",
    ">",
    "<>",
    "::int",
    "::text",
    "::regclass",
    "::date",
    "::interval",
    "::numeric(10,2)",
    "::int[]",
    "CAST(",
    "CASE WHEN",
    "THEN",
    "ELSE",
    "END",
    "NOT",
    "AND",
    "OR",
    "IN (",
    "EXISTS (",
    "ANY(",
    "ALL(",
    "BETWEEN",
    "LIKE",
    "IS NULL",
    "NULL",
    "true",
    "1",
    "0",
    "-1",
    "2147483647",
    "9223372036854775808",
    "1.5",
    "1e308",
    "'a'",
    "'1'",
    "'2024-01-01'",
    "''",
    "t",
    "t.id",
    "id",
    "name",
    "t",
    "pg_class",
    "information_schema.tables",
    "generate_series(1,3)",
    "count(*)",
    "sum(",
    "max(",
    "array_agg(",
    "row_number() OVER (",
    "PARTITION BY",
    "coalesce(",
    "length(",
    "substr(",
    "now()",
    "current_user",
    "ARRAY[",
    "]",
    "[1]",
    "interval '1 day'",
    "date '2024-01-01'",
    "EXPLAIN",
    "VALUES (",
    "$1",
    ";",
    "DISTINCT",
    "LATERAL",
    "VERSION AS OF",
    "\"",
    "$$",
    "CREATE TABLE",
    "DROP TABLE IF EXISTS x",
    "INSERT INTO t",
    "SET",
    "SHOW",
    "GRANT",
    "ALTER TABLE t",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "PREPARE p AS",
    "EXECUTE p",
    "DECLARE c CURSOR FOR",
    "FETCH 1 FROM c",
    "COPY (",
    "TO STDOUT",
];

#[tokio::test(flavor = "multi_thread")]
async fn random_statements_are_answered_without_a_fault_of_ours() {
    let server = Server::start();
    let admin = server.admin().await;
    crate::server::run(
        &admin,
        "CREATE TABLE t (id bigint, name text); INSERT INTO t VALUES (1, 'a'), (2, NULL); SET statement_timeout = '5s'",
    )
    .await;
    let mut faults = Vec::new();
    let mut budget = Budget::new();
    while let Some((seed, mut random)) = budget.next() {
        let length = 2 + random.below(14);
        let mut words: Vec<&str> = (0..length).map(|_| WORDS[random.below(WORDS.len())]).collect();
        if random.below(3) > 0 {
            words.insert(0, "SELECT");
        }
        let statement = words.join(" ");
        let answer = transcript(&admin, &statement).await;
        if answer.starts_with("error XX") || answer.starts_with("error without answer") {
            faults.push(format!("seed {seed}: {statement}\n  {answer}"));
        }
        assert!(!admin.is_closed(), "seed {seed} ended the session: {statement}");
        let _ = transcript(&admin, "ROLLBACK").await;
    }
    println!("{} statements", budget.done());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
