//! The meaning of a policy: the same statement over a physically filtered and masked copy gives the same answer.

use crate::server::{Server, run, transcript};
use crate::statements::generate;

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_answers_as_a_filtered_copy_does() {
    let server = Server::start();
    let admin = server.admin().await;
    run(&admin, "CREATE USER alice PASSWORD 'alice-password-1'").await;
    run(&admin, "CREATE TABLE people (id bigint, owner text, tax_id text, salary bigint, dept text, note text)").await;
    run(&admin, "INSERT INTO people SELECT n, CASE WHEN n % 3 = 0 THEN 'alice' ELSE 'bob' END, 'secret-' || n::text, n * 1000, CASE WHEN n % 4 = 0 THEN NULL ELSE 'd' || (n % 4)::text END, CASE WHEN n % 3 = 0 THEN '2024-01-01' ELSE 'bad' END FROM generate_series(1, 40) AS g(n)").await;
    run(&admin, "CREATE TABLE copied AS SELECT id, owner, CASE WHEN owner = 'alice' THEN '***' END AS tax_id, salary, dept, note FROM people WHERE owner = 'alice' AND salary <> 9000 ORDER BY id").await;
    run(
        &admin,
        "CREATE FUNCTION visible(row_owner text, salary bigint) RETURNS BOOLEAN RETURN row_owner = session_user AND salary <> 9000",
    )
    .await;
    run(
        &admin,
        "CREATE FUNCTION hide(tax_id text, row_owner text) RETURNS TEXT RETURN CASE WHEN row_owner = current_user THEN '***' END",
    )
    .await;
    run(&admin, "ALTER TABLE people SET ROW FILTER visible ON (owner, salary)").await;
    run(&admin, "ALTER TABLE people ALTER COLUMN tax_id SET MASK hide USING COLUMNS (owner)").await;
    run(&admin, "GRANT SELECT ON people TO alice; GRANT SELECT ON copied TO alice; GRANT EXECUTE ON SCHEMA main.public TO alice")
        .await;
    let alice = server.user("alice").await;
    let about_the_table = ["EXPLAIN", "DESCRIBE", "pg_", "information_schema", "VERSION AS OF", "UPDATE", "DELETE"];
    let mut differences = Vec::new();
    let mut compared = 0;
    for (governed, plain) in generate("people").into_iter().zip(generate("copied")) {
        if about_the_table.iter().any(|word| governed.contains(word)) {
            continue;
        }
        compared += 1;
        let (under_policy, over_copy) = (transcript(&alice, &governed).await, transcript(&alice, &plain).await);
        let same_error = under_policy.starts_with("error ")
            && over_copy.starts_with("error ")
            && sqlstate(&under_policy) == sqlstate(&over_copy);
        if under_policy != over_copy && !same_error {
            differences.push(format!("{governed}\n  policy: {under_policy}\n  copy:   {over_copy}"));
        }
    }
    assert!(compared > 500, "{compared}");
    assert!(differences.is_empty(), "{} differ:\n{}", differences.len(), differences[..differences.len().min(20)].join("\n"));
}

fn sqlstate(line: &str) -> Option<&str> {
    line.split(' ').nth(1)
}
