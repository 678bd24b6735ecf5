//! Non-interference: two servers whose data differ only in hidden rows and masked values answer every statement alike.

use tokio_postgres::Client;

use crate::server::{Server, run, transcript};
use crate::statements::{RELATION, generate};

/// Rows that the restricted user sees; tax ids are masked for it, so they differ between the twins.
const VISIBLE: &[(i64, i64, &str)] = &[(1, 1000, "it"), (2, 2500, "it"), (3, 4000, "hr"), (4, 7000, "ops")];

/// Hidden rows of the first twin: id, salary, department, note.
const HIDDEN_ONE: &[(i64, i64, &str, &str)] =
    &[(5, 9000, "'it'", "not a date"), (6, 9001, "NULL", "2024-01-01"), (7, 9223372036854775, "'hr'", "7")];

/// Hidden rows of the second twin: other values, other number of rows, none that makes an expression fail.
const HIDDEN_TWO: &[(i64, i64, &str, &str)] = &[(8, 5000, "'it'", "2024-01-01")];

/// Joins whose order and sides depend on how many rows a table seems to have.
const JOINS: &[&str] = &[
    "SELECT count(*) FROM ledger l JOIN region r ON l.id = r.id",
    "SELECT r.id FROM region r LEFT JOIN ledger l ON l.id = r.id ORDER BY 1 LIMIT 5",
    "SELECT r.id FROM region r WHERE r.id IN (SELECT id FROM ledger) ORDER BY 1",
    "SELECT l.owner, count(*) FROM ledger l, region r, people p WHERE l.id = r.id AND p.id = l.id GROUP BY 1 ORDER BY 1",
    "SELECT a.id FROM ledger a JOIN ledger b ON a.amount = b.amount WHERE a.amount > 10 ORDER BY 1",
];

/// What stands around a governed scan and shows the same rows: views and functions that read with their owner's rights a table without any
/// policy, and a governed table with columns whose names look like internal ones.
const LENT: &[&str] = &["lent", "lent_joined", "lent_above", "called", "odd"];

/// Relations of [`LENT`] over `raw`, which holds what `people` holds.
async fn lend(admin: &Client) {
    run(admin, "CREATE TABLE raw AS SELECT * FROM people; CREATE TABLE odd (id bigint, owner text, tax_id text, salary bigint, dept text, note text, \"#value\" bigint, \"count(*)\" text)").await;
    run(admin, "INSERT INTO odd SELECT *, salary, tax_id FROM people").await;
    run(admin, "ALTER TABLE odd SET ROW FILTER own_rows ON (owner); ALTER TABLE odd ALTER COLUMN tax_id SET MASK mask_tax_id; ALTER TABLE odd ALTER COLUMN \"count(*)\" SET MASK mask_tax_id").await;
    let masked = |column: &str| format!("CASE WHEN is_account_group_member('officers') THEN {column} ELSE '***' END AS tax_id");
    run(admin, &format!("CREATE VIEW lent AS SELECT id, owner, {}, salary, dept, note FROM raw WHERE owner = 'alice' OR is_account_group_member('officers')", masked("tax_id"))).await;
    run(admin, &format!("CREATE VIEW lent_joined AS SELECT r.id, r.owner, {}, r.salary, r.dept, r.note FROM raw r WHERE is_account_group_member('officers') OR r.owner IN (SELECT a.owner FROM access a WHERE a.login = current_user)", masked("r.tax_id"))).await;
    run(admin, "CREATE VIEW lent_above AS SELECT * FROM lent UNION ALL SELECT * FROM lent_joined WHERE id < 0").await;
    for (column, sql_type) in [("owner", "text"), ("tax_id", "text"), ("salary", "bigint"), ("dept", "text"), ("note", "text")] {
        run(
            admin,
            &format!(
                "CREATE FUNCTION {column}_of(k bigint) RETURNS {sql_type} RETURN (SELECT l.{column} FROM lent l WHERE l.id = k)"
            ),
        )
        .await;
    }
    run(admin, "CREATE TABLE keys AS SELECT id FROM people WHERE owner = 'alice'").await;
    run(admin, "CREATE VIEW called AS SELECT id, owner_of(id) AS owner, tax_id_of(id) AS tax_id, salary_of(id) AS salary, dept_of(id) AS dept, note_of(id) AS note FROM keys").await;
    for relation in LENT {
        run(admin, &format!("GRANT SELECT ON {relation} TO alice")).await;
    }
}

async fn prepare(admin: &Client, salt: &str, hidden: &[(i64, i64, &str, &str)]) {
    run(admin, "CREATE USER alice PASSWORD 'alice-password-1'; CREATE USER officer PASSWORD 'officer-password-1'; CREATE GROUP officers; GRANT officers TO officer").await;
    run(admin, "CREATE TABLE people (id bigint, owner text, tax_id text, salary bigint, dept text, note text)").await;
    run(admin, "CREATE TABLE access (login text, owner text); INSERT INTO access VALUES ('alice', 'alice'), ('carol', 'bob')")
        .await;
    let visible =
        VISIBLE.iter().map(|(id, salary, dept)| format!("({id}, 'alice', '{salt}-{id}', {salary}, '{dept}', '2024-01-0{id}')"));
    let many = if hidden.len() > 1 { 20_000 } else { 1 };
    let hidden = hidden.iter().map(|(id, salary, dept, note)| format!("({id}, 'bob', '{salt}-{id}', {salary}, {dept}, '{note}')"));
    let values: Vec<String> = visible.chain(hidden).collect();
    run(admin, &format!("INSERT INTO people VALUES {}", values.join(", "))).await;
    run(admin, "CREATE FUNCTION own_rows(row_owner text) RETURNS BOOLEAN RETURN is_account_group_member('officers') OR row_owner IN (SELECT a.owner FROM main.public.access a WHERE a.login = current_user)").await;
    run(admin, "CREATE FUNCTION mask_tax_id(tax_id text) RETURNS TEXT RETURN CASE WHEN is_account_group_member('officers') THEN tax_id ELSE '***' END").await;
    run(admin, "ALTER TABLE people SET ROW FILTER own_rows ON (owner)").await;
    run(admin, "ALTER TABLE people ALTER COLUMN tax_id SET MASK mask_tax_id").await;
    // Many hidden rows in one twin and few in the other: plans must not be chosen by them.
    run(
        admin,
        "CREATE TABLE ledger (id bigint, owner text, amount bigint); INSERT INTO ledger VALUES (1, 'alice', 10), (2, 'alice', 20)",
    )
    .await;
    run(admin, &format!("INSERT INTO ledger SELECT g, 'bob', g FROM generate_series(1, {many}) g")).await;
    run(admin, "CREATE FUNCTION own_ledger(row_owner text) RETURNS BOOLEAN RETURN row_owner = current_user").await;
    run(admin, "ALTER TABLE ledger SET ROW FILTER own_ledger ON (owner)").await;
    run(admin, "CREATE TABLE region (id bigint, name text); INSERT INTO region SELECT g, 'r' FROM generate_series(1, 300) g").await;
    run(admin, "CREATE VIEW all_people AS SELECT * FROM people").await;
    for user in ["alice", "officer"] {
        run(admin, &format!("GRANT SELECT ON people TO {user}; GRANT SELECT ON all_people TO {user}; GRANT SELECT ON ledger TO {user}; GRANT SELECT ON region TO {user}; GRANT EXECUTE ON SCHEMA main.public TO {user}")).await;
    }
    lend(admin).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twins_answer_a_restricted_user_alike() {
    let mut statements = generate(RELATION);
    statements.extend(generate("all_people").into_iter().step_by(step()));
    // A plan knows how many rows are visible when it is made for the second time.
    for _ in 0..3 {
        statements.extend(JOINS.iter().flat_map(|join| [format!("EXPLAIN {join}"), (*join).to_string()]));
    }
    answered_alike(statements).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twins_answer_alike_through_what_is_lent_out() {
    answered_alike(LENT.iter().flat_map(|relation| generate(relation)).step_by(step()).collect()).await;
}

/// Every statement of a family, or one of five: `LAKEHOLD_TWIN=all` takes some minutes.
fn step() -> usize {
    if std::env::var("LAKEHOLD_TWIN").is_ok_and(|asked| asked == "all") { 1 } else { 5 }
}

async fn answered_alike(statements: Vec<String>) {
    let (one, two) = (Server::start(), Server::start());
    prepare(&one.admin().await, "secret", HIDDEN_ONE).await;
    prepare(&two.admin().await, "public", HIDDEN_TWO).await;
    let (alice_one, alice_two) = (one.user("alice").await, two.user("alice").await);
    assert!(statements.len() >= 500, "{}", statements.len());
    let mut differences = Vec::new();
    let mut answered = 0;
    for statement in &statements {
        let (first, second) = (transcript(&alice_one, statement).await, transcript(&alice_two, statement).await);
        answered += usize::from(!first.starts_with("error"));
        if first != second {
            differences.push(format!("{statement}\n  one: {first}\n  two: {second}"));
        }
        for secret in ["secret-", "public-", "not a date", "bob"] {
            let own_words = statement.contains(secret);
            if !own_words && first.contains(secret) {
                differences.push(format!("{statement}\n  shows {secret}: {first}"));
            }
        }
    }
    assert!(
        differences.is_empty(),
        "{} of {} differ:\n{}",
        differences.len(),
        statements.len(),
        differences[..differences.len().min(20)].join("\n")
    );
    assert!(answered * 3 > statements.len(), "only {answered} of {} were answered without an error", statements.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_twins_do_differ_for_who_may_see_everything() {
    let (one, two) = (Server::start(), Server::start());
    prepare(&one.admin().await, "secret", HIDDEN_ONE).await;
    prepare(&two.admin().await, "public", HIDDEN_TWO).await;
    let (officer_one, officer_two) = (one.user("officer").await, two.user("officer").await);
    let mut different = 0;
    let statements: Vec<String> = generate(RELATION).into_iter().step_by(7).collect();
    for statement in &statements {
        different += usize::from(transcript(&officer_one, statement).await != transcript(&officer_two, statement).await);
    }
    assert!(different * 2 > statements.len(), "the statements tell too little: {different} of {}", statements.len());
}
