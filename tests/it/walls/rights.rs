//! Grants, takeovers and drafts: what widens access needs the right to and leaves a trace.

use std::sync::Arc;

use futures::{StreamExt, stream};
use parking_lot::Mutex;
use tokio_postgres::{AsyncMessage, Client, NoTls};

use crate::server::{ADMIN_PASSWORD, Server, password_of, rows, run, sqlstate, transcript};

/// `hr.people` under a row filter and a mask that hide all of it from everybody but officers, its ungoverned twin `hr.raw`, `hr.plain` that
/// all may read, and schemas of their own for manager mia and for mallory.
async fn warehouse() -> (Server, Client) {
    let server = Server::start();
    let admin = server.admin().await;
    run(
        &admin,
        "CREATE GROUP officers; CREATE GROUP contractors; CREATE USER mia PASSWORD 'mia-password-1'; \
         CREATE USER mallory PASSWORD 'mallory-password-1'; CREATE USER gina PASSWORD 'gina-password-1'; \
         CREATE USER dave PASSWORD 'dave-password-1'; CREATE SCHEMA hr; CREATE SCHEMA mia AUTHORIZATION mia; \
         CREATE SCHEMA mal AUTHORIZATION mallory; \
         GRANT USE SCHEMA ON SCHEMA hr TO public; GRANT MANAGE ON SCHEMA hr TO mia",
    )
    .await;
    for table in ["people", "raw", "plain"] {
        run(&admin, &format!("CREATE TABLE hr.{table} (id int, ssn text)")).await;
        run(&admin, &format!("INSERT INTO hr.{table} VALUES (1, 'secret-1'), (2, 'secret-2')")).await;
    }
    run(
        &admin,
        "CREATE FUNCTION hr.officer(id int) RETURNS boolean RETURN is_member('officers'); \
         CREATE FUNCTION hr.hide(ssn text) RETURNS text RETURN CASE WHEN is_member('officers') THEN ssn ELSE '***' END; \
         ALTER TABLE hr.people SET ROW FILTER hr.officer ON (id); \
         ALTER TABLE hr.people ALTER COLUMN ssn SET MASK hr.hide; \
         GRANT SELECT ON hr.plain TO public",
    )
    .await;
    (server, admin)
}

/// A session, and what it is told besides answers.
async fn with_notices(server: &Server, user: &str) -> (Client, Arc<Mutex<Vec<String>>>) {
    let password = if user == "admin" { ADMIN_PASSWORD.to_string() } else { password_of(user) };
    let config = format!("host=127.0.0.1 port={} user={user} password={password} dbname=main", server.postgres.port());
    let (client, mut connection) = tokio_postgres::connect(&config, NoTls).await.unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&heard);
    tokio::spawn(async move {
        let mut messages = stream::poll_fn(move |context| connection.poll_message(context));
        while let Some(Ok(message)) = messages.next().await {
            if let AsyncMessage::Notice(notice) = message {
                told.lock().push(format!("{} {} {}", notice.severity(), notice.code().code(), notice.message()));
            }
        }
    });
    (client, heard)
}

/// Everything that the statements answer, without what they count.
async fn answers(client: &Client, statements: &[&str]) -> String {
    let mut all = String::new();
    for statement in statements {
        all += &transcript(client, statement).await;
        all.push('\n');
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_reads_nothing_that_it_has_opened_itself() {
    let (server, admin) = warehouse().await;
    run(
        &admin,
        "CREATE GROUP owners; CREATE TABLE hr.acl (login text); CREATE FUNCTION hr.listed(id int) RETURNS boolean \
         RETURN EXISTS (SELECT 1 FROM hr.acl a WHERE a.login = current_user); \
         CREATE TABLE hr.listed_people (id int, ssn text); \
         ALTER TABLE hr.listed_people SET ROW FILTER hr.listed ON (id); \
         CREATE FUNCTION hr.lend(x int) RETURNS text RETURN (SELECT max(r.ssn) FROM hr.raw r WHERE r.id = x); \
         CREATE VIEW hr.lent AS SELECT id FROM hr.raw;",
    )
    .await;
    run(&admin, "INSERT INTO hr.listed_people VALUES (1, 'secret-1')").await;
    let open = "BEGIN; GRANT SELECT ON hr.people TO {me}; GRANT USAGE ON SCHEMA hr TO {me}";
    let attempts: &[(&str, &[&str])] = &[
        (
            "mia",
            &[
                open,
                "ALTER TABLE hr.people DROP ROW FILTER",
                "ALTER TABLE hr.people ALTER COLUMN ssn DROP MASK",
                "SELECT * FROM hr.people",
            ],
        ),
        ("mia", &["BEGIN; GRANT SELECT ON SCHEMA hr TO {me}", "SELECT * FROM hr.raw", "SELECT * FROM hr.people"]),
        ("mia", &["BEGIN; ALTER TABLE hr.raw OWNER TO {me}", "SELECT * FROM hr.raw"]),
        ("mia", &["BEGIN; ALTER SCHEMA hr OWNER TO {me}; GRANT SELECT ON hr.raw TO {me}", "SELECT * FROM hr.raw"]),
        ("mia", &["BEGIN; GRANT SELECT ON hr.raw TO {me}", "CREATE TEMP TABLE x AS SELECT * FROM hr.raw", "SELECT * FROM x"]),
        ("mia", &["BEGIN; GRANT SELECT ON hr.raw TO {me}", "CREATE TABLE mia.x AS SELECT * FROM hr.raw", "SELECT * FROM mia.x"]),
        (
            "mia",
            &[
                "BEGIN; GRANT SELECT ON hr.raw TO {me}; CREATE TABLE mia.x (id int, ssn text)",
                "INSERT INTO mia.x SELECT * FROM hr.raw",
                "SELECT * FROM mia.x",
            ],
        ),
        ("mia", &["BEGIN; GRANT SELECT ON hr.raw TO {me}", "COPY (SELECT ssn FROM hr.raw) TO STDOUT", "SELECT 1"]),
        ("mia", &["BEGIN; GRANT SELECT ON hr.raw TO {me}", "DECLARE c CURSOR FOR SELECT ssn FROM hr.raw", "FETCH ALL FROM c"]),
        ("mia", &["BEGIN; GRANT SELECT ON hr.raw TO {me}", "PREPARE p AS SELECT ssn FROM hr.raw", "EXECUTE p"]),
        ("mia", &["BEGIN; GRANT SELECT ON hr.raw TO {me}; CREATE VIEW mia.v AS SELECT ssn FROM hr.raw", "SELECT * FROM mia.v"]),
        ("mia", &["BEGIN; GRANT EXECUTE ON FUNCTION hr.lend TO {me}", "SELECT hr.lend(1)"]),
        (
            "mia",
            &[
                "BEGIN; GRANT EXECUTE ON FUNCTION hr.lend TO {me}; CREATE TABLE mia.bait (id int, note text); INSERT INTO mia.bait VALUES (1, '')",
                "CREATE FUNCTION mia.m(note text, id int) RETURNS text RETURN hr.lend(id)",
                "ALTER TABLE mia.bait ALTER COLUMN note SET MASK mia.m USING COLUMNS (id)",
                "SELECT * FROM mia.bait",
            ],
        ),
        ("admin", &["BEGIN; GRANT officers TO admin; GRANT SELECT ON hr.people TO admin", "SELECT * FROM hr.people"]),
        ("admin", &["BEGIN; ALTER GROUP officers ADD USER admin", "SELECT * FROM hr.people"]),
        (
            "admin",
            &[
                "BEGIN; CREATE OR REPLACE FUNCTION hr.officer(id int) RETURNS boolean RETURN true; CREATE OR REPLACE FUNCTION hr.hide(ssn text) RETURNS text RETURN ssn",
                "SELECT * FROM hr.people",
            ],
        ),
        (
            "admin",
            &[
                "BEGIN; CREATE FUNCTION hr.all_rows(id int) RETURNS boolean RETURN true; ALTER TABLE hr.people SET ROW FILTER hr.all_rows ON (id)",
                "SELECT * FROM hr.people",
            ],
        ),
        ("admin", &["BEGIN; ALTER TABLE hr.people DROP ROW FILTER; DROP FUNCTION hr.officer", "SELECT * FROM hr.people"]),
        ("admin", &["BEGIN; INSERT INTO hr.acl VALUES ('admin')", "SELECT * FROM hr.listed_people"]),
        (
            "admin",
            &[
                "BEGIN; ALTER TABLE hr.listed_people DROP ROW FILTER; DROP TABLE hr.acl CASCADE; CREATE TABLE hr.acl (login text); INSERT INTO hr.acl VALUES ('admin')",
                "SELECT * FROM hr.listed_people",
            ],
        ),
        ("admin", &["BEGIN; ALTER ROLE mia RENAME TO other; ALTER TABLE hr.people DROP ROW FILTER", "SELECT * FROM hr.people"]),
    ];
    for (user, statements) in attempts {
        let client = if *user == "admin" { server.admin().await } else { server.user(user).await };
        let statements: Vec<String> = statements.iter().map(|text| text.replace("{me}", user)).collect();
        let texts: Vec<&str> = statements.iter().map(String::as_str).collect();
        let answer = answers(&client, &texts).await;
        assert!(!answer.contains("secret"), "{statements:?}: {answer}");
        run(&client, "ROLLBACK").await;
    }
    // What is on record is in force.
    let mia = server.user("mia").await;
    run(&mia, "BEGIN; GRANT SELECT ON hr.raw TO mia; COMMIT").await;
    assert_eq!(rows(&mia, "SELECT id FROM hr.raw ORDER BY id").await.len(), 2);
    run(&mia, "BEGIN; GRANT SELECT ON hr.people TO mia").await;
    let refused = transcript(&mia, "SELECT * FROM hr.people").await;
    assert!(refused.contains("42501") && refused.contains("in force once it is committed"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_or_function_is_lent_to_nobody_before_the_commit() {
    let (_server, admin) = warehouse().await;
    run(
        &admin,
        "CREATE SCHEMA pub; GRANT USE SCHEMA ON SCHEMA pub TO public; GRANT SELECT ON hr.raw TO gina; \
         CREATE VIEW pub.v AS SELECT 1 AS id, 'x' AS ssn; ALTER VIEW pub.v OWNER TO gina; GRANT SELECT ON pub.v TO admin, mia; \
         CREATE FUNCTION pub.f(i int) RETURNS text RETURN 'x'; ALTER FUNCTION pub.f OWNER TO gina; GRANT EXECUTE ON FUNCTION pub.f TO admin; \
         CREATE USER eve PASSWORD 'eve-password-1'; REVOKE SELECT ON hr.raw FROM admin",
    )
    .await;
    run(&admin, "ALTER TABLE hr.raw OWNER TO eve").await;
    for statements in [
        &[
            "BEGIN; GRANT SELECT ON hr.raw TO admin; CREATE OR REPLACE VIEW pub.v AS SELECT id, ssn FROM hr.raw",
            "SELECT * FROM pub.v",
        ][..],
        &[
            "BEGIN; GRANT SELECT ON hr.raw TO admin; CREATE VIEW pub.w AS SELECT id, ssn FROM hr.raw; ALTER VIEW pub.w OWNER TO gina",
            "SELECT * FROM pub.w",
        ],
        &[
            "BEGIN; GRANT SELECT ON hr.raw TO admin; CREATE OR REPLACE FUNCTION pub.f(i int) RETURNS text RETURN (SELECT max(r.ssn) FROM hr.raw r)",
            "SELECT pub.f(1)",
        ],
    ] {
        let answer = answers(&admin, statements).await;
        assert!(!answer.contains("secret"), "{statements:?}: {answer}");
        run(&admin, "ROLLBACK").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_made_where_a_dropped_ones_files_lie_is_not_read_before_the_commit() {
    let (_server, admin) = warehouse().await;
    let files = tempfile::tempdir().unwrap();
    let url = format!("file://{}/t", files.path().display());
    run(&admin, &format!("CREATE EXTERNAL LOCATION lake URL 'file://{}'", files.path().display())).await;
    run(&admin, &format!("CREATE TABLE hr.outside (id int, ssn text) USING DELTA LOCATION '{url}'")).await;
    run(&admin, "INSERT INTO hr.outside VALUES (1, 'secret-1')").await;
    run(&admin, "ALTER TABLE hr.outside SET ROW FILTER hr.officer ON (id)").await;
    let again = format!("CREATE TABLE hr.again USING DELTA LOCATION '{url}'");
    let answer = answers(&admin, &["BEGIN", "DROP TABLE hr.outside", &again, "SELECT * FROM hr.again"]).await;
    assert!(!answer.contains("secret"), "{answer}");
    run(&admin, "ROLLBACK").await;
    assert!(rows(&admin, "SELECT * FROM hr.outside").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_reads_what_it_has_made() {
    let (server, admin) = warehouse().await;
    run(
        &admin,
        "BEGIN; CREATE SCHEMA app; CREATE TABLE app.t (id int, name text); COMMENT ON TABLE app.t IS 'x'; \
         GRANT USAGE ON SCHEMA app TO mallory; GRANT SELECT ON app.t TO mallory; INSERT INTO app.t VALUES (1, 'a'), (2, 'b'); \
         CREATE FUNCTION app.twice(x int) RETURNS int RETURN x * 2; CREATE VIEW app.v AS SELECT app.twice(id) AS id FROM app.t",
    )
    .await;
    assert_eq!(rows(&admin, "SELECT sum(id) FROM app.v").await[0][0].as_deref(), Some("6"));
    assert_eq!(rows(&admin, "SELECT relacl IS NOT NULL FROM pg_class WHERE relname = 't'").await[0][0].as_deref(), Some("t"));
    run(
        &admin,
        "CREATE FUNCTION app.none(id int) RETURNS boolean RETURN id = 1; ALTER TABLE app.t SET ROW FILTER app.none ON (id)",
    )
    .await;
    assert_eq!(rows(&admin, "SELECT * FROM app.t").await.len(), 1, "what restricts is in force at once");
    run(&admin, "COMMIT").await;
    let mallory = server.user("mallory").await;
    assert_eq!(rows(&mallory, "SELECT name FROM app.t").await.len(), 1);
    // A policy on what was there restricts as well, and a grant taken away is gone.
    run(&admin, "BEGIN; ALTER TABLE hr.plain SET ROW FILTER app.none ON (id)").await;
    assert_eq!(rows(&admin, "SELECT * FROM hr.plain").await.len(), 1);
    run(&admin, "ROLLBACK").await;
    run(&admin, "BEGIN; ALTER TABLE hr.plain RENAME TO plain2").await;
    assert_eq!(rows(&admin, "SELECT * FROM hr.plain2").await.len(), 2);
    run(&admin, "ROLLBACK").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_policy_is_made_of_is_replaced_and_taken_over_by_those_who_manage_its_tables() {
    let (server, admin) = warehouse().await;
    run(
        &admin,
        "CREATE SCHEMA lib; GRANT USE SCHEMA, CREATE FUNCTION, CREATE VIEW, MANAGE ON SCHEMA lib TO mallory; \
         CREATE TABLE hr.acl (login text); CREATE VIEW lib.allowed AS SELECT login FROM hr.acl; \
         CREATE FUNCTION lib.inner(who text) RETURNS boolean RETURN who IN (SELECT a.login FROM lib.allowed a); \
         CREATE FUNCTION lib.outer(id int) RETURNS boolean RETURN lib.inner(current_user); \
         ALTER TABLE hr.plain SET ROW FILTER lib.outer ON (id); CREATE FUNCTION lib.free(id int) RETURNS boolean RETURN true",
    )
    .await;
    let mallory = server.user("mallory").await;
    assert_eq!(rows(&mallory, "SELECT * FROM hr.plain").await.len(), 0);
    run(&mallory, "ALTER FUNCTION lib.free OWNER TO mallory").await;
    for takeover in [
        "ALTER FUNCTION lib.outer OWNER TO mallory",
        "ALTER FUNCTION lib.inner OWNER TO mallory",
        "ALTER VIEW lib.allowed OWNER TO mallory",
        "ALTER TABLE lib.allowed OWNER TO mallory",
    ] {
        assert_eq!(sqlstate(&mallory, takeover).await, "42501", "{takeover}");
    }
    // Its owner changes it no more than others.
    run(&admin, "GRANT EXECUTE ON FUNCTION lib.inner TO admin; ALTER FUNCTION lib.inner OWNER TO mallory; ALTER VIEW lib.allowed OWNER TO mallory").await;
    for replace in [
        "CREATE OR REPLACE FUNCTION lib.inner(who text) RETURNS boolean RETURN true",
        "CREATE OR REPLACE VIEW lib.allowed AS SELECT current_user AS login",
    ] {
        let refused = transcript(&mallory, replace).await;
        assert!(refused.contains("42501") && !refused.contains("plain"), "{refused}");
    }
    for drop in ["DROP FUNCTION lib.inner CASCADE", "DROP FUNCTION lib.outer CASCADE"] {
        assert_eq!(sqlstate(&mallory, drop).await, "2BP01", "{drop}");
    }
    let closed = transcript(&mallory, "SELECT * FROM hr.plain").await;
    assert!(!closed.contains("secret") && !closed.contains("acl"), "{closed}");
    run(&admin, "GRANT MANAGE ON TABLE hr.plain TO mallory").await;
    run(&mallory, "CREATE OR REPLACE FUNCTION lib.inner(who text) RETURNS boolean RETURN true").await;
    assert_eq!(rows(&mallory, "SELECT * FROM hr.plain").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_vetoes_neither_a_policy_nor_a_drop() {
    let (server, admin) = warehouse().await;
    let mallory = server.user("mallory").await;
    run(
        &mallory,
        "CREATE TABLE mal.bait (a int); INSERT INTO mal.bait VALUES (1); \
         CREATE FUNCTION mal.veto(a int) RETURNS boolean RETURN EXISTS (SELECT 1 FROM hr.plain p); \
         ALTER TABLE mal.bait SET ROW FILTER mal.veto ON (a)",
    )
    .await;
    assert_eq!(rows(&mallory, "SELECT * FROM mal.bait").await.len(), 1);
    run(&admin, "ALTER TABLE hr.plain ALTER COLUMN ssn SET MASK hr.hide; ALTER TABLE hr.plain SET ROW FILTER hr.officer ON (id)")
        .await;
    let closed = transcript(&mallory, "SELECT * FROM mal.bait").await;
    assert!(closed.starts_with("error 42P17") && !closed.contains("plain") && !closed.contains("hr."), "{closed}");
    assert_eq!(rows(&mallory, "SELECT * FROM hr.plain").await.len(), 0);
    // Setting it the other way round is refused to who does it.
    run(&mallory, "ALTER TABLE mal.bait DROP ROW FILTER").await;
    assert_eq!(sqlstate(&mallory, "ALTER TABLE mal.bait SET ROW FILTER mal.veto ON (a)").await, "42P17");

    run(&admin, "CREATE TABLE hr.drop_me (a int); GRANT SELECT ON hr.drop_me TO mallory").await;
    run(
        &mallory,
        "CREATE FUNCTION mal.veto3(a int) RETURNS boolean RETURN NOT EXISTS (SELECT 1 FROM hr.drop_me p); \
         ALTER TABLE mal.bait SET ROW FILTER mal.veto3 ON (a)",
    )
    .await;
    run(&admin, "DROP TABLE hr.drop_me CASCADE").await;
    assert_eq!(sqlstate(&mallory, "SELECT * FROM mal.bait").await, "42P17", "its filter is gone, so nobody reads it");
    run(&mallory, "ALTER TABLE mal.bait DROP ROW FILTER").await;
    assert_eq!(rows(&mallory, "SELECT * FROM mal.bait").await.len(), 1);
    // What belongs together is still kept from being torn apart.
    run(&admin, "CREATE TABLE hr.acl (login text); CREATE FUNCTION hr.listed(id int) RETURNS boolean RETURN EXISTS (SELECT 1 FROM hr.acl a)").await;
    run(&admin, "ALTER TABLE hr.raw SET ROW FILTER hr.listed ON (id)").await;
    assert_eq!(sqlstate(&admin, "DROP TABLE hr.acl CASCADE").await, "2BP01");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_revokes_ones_own_grants_only() {
    let (server, admin) = warehouse().await;
    run(&admin, "CREATE USER alice PASSWORD 'alice-password-1'; REVOKE SELECT ON hr.plain FROM public").await;
    run(&admin, "GRANT SELECT ON hr.plain TO alice, dave; GRANT SELECT ON hr.plain TO gina WITH GRANT OPTION").await;
    let (gina, heard) = with_notices(&server, "gina").await;
    run(&gina, "REVOKE SELECT ON hr.plain FROM alice").await;
    let alice = server.user("alice").await;
    assert_eq!(rows(&alice, "SELECT * FROM hr.plain").await.len(), 2, "the administrator granted it");
    assert!(heard.lock()[0].starts_with("WARNING 01006 role \"alice\" still has SELECT on table plain"), "{:?}", heard.lock());
    run(&gina, "GRANT SELECT ON hr.plain TO dave; GRANT SELECT ON hr.plain TO mallory").await;
    let grants = "SELECT grantee, grantor FROM information_schema.role_table_grants \
                  WHERE table_name = 'plain' AND grantee IN ('dave', 'mallory') ORDER BY 1, 2";
    let told: Vec<String> =
        rows(&admin, grants).await.iter().map(|row| row.iter().flatten().cloned().collect::<Vec<_>>().join(" by ")).collect();
    assert_eq!(told, ["dave by admin", "dave by gina", "mallory by gina"]);
    let acl = rows(&admin, "SELECT relacl::text FROM pg_class WHERE relname = 'plain'").await[0][0].clone().unwrap();
    for item in ["gina=r*/admin", "dave=r/admin", "dave=r/gina", "mallory=r/gina"] {
        assert!(acl.contains(item), "{acl}");
    }
    // What an administrator revokes is the owner's; what depends on it keeps it, or goes along.
    let (admin, heard) = with_notices(&server, "admin").await;
    run(&admin, "REVOKE SELECT ON hr.plain FROM mallory").await;
    assert_eq!(*heard.lock(), ["WARNING 01006 role \"mallory\" still has SELECT on table plain: \"gina\" has granted it"]);
    let mallory = server.user("mallory").await;
    assert_eq!(rows(&mallory, "SELECT * FROM hr.plain").await.len(), 2);
    for revoke in ["REVOKE SELECT ON hr.plain FROM gina", "REVOKE GRANT OPTION FOR SELECT ON hr.plain FROM gina RESTRICT"] {
        let refused = transcript(&admin, revoke).await;
        assert!(refused.starts_with("error 2BP01 dependent privileges exist"), "{refused}");
    }
    run(&admin, "REVOKE GRANT OPTION FOR SELECT ON hr.plain FROM gina CASCADE").await;
    assert_eq!(sqlstate(&mallory, "SELECT * FROM hr.plain").await, "42P01");
    assert_eq!(rows(&gina, "SELECT * FROM hr.plain").await.len(), 2);
    let dave = server.user("dave").await;
    assert_eq!(rows(&dave, "SELECT * FROM hr.plain").await.len(), 2, "the administrator granted it, too");
    assert_eq!(sqlstate(&gina, "GRANT SELECT ON hr.plain TO mallory").await, "42501");
    assert_eq!(sqlstate(&admin, "GRANT SELECT ON hr.plain TO public WITH GRANT OPTION").await, "0LP01");
    assert_eq!(sqlstate(&admin, "GRANT SELECT ON hr.plain TO dave GRANTED BY gina").await, "0A000");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_opens_what_it_says_and_a_revoke_without_effect_says_so() {
    let (server, _) = warehouse().await;
    let (admin, heard) = with_notices(&server, "admin").await;
    run(&admin, "CREATE SCHEMA s; CREATE TABLE s.now (a int); CREATE VIEW s.v AS SELECT 1 AS a; GRANT USAGE ON SCHEMA s TO dave")
        .await;
    for refused in [
        "ALTER DEFAULT PRIVILEGES IN SCHEMA s GRANT SELECT ON TABLES TO dave",
        "ALTER DEFAULT PRIVILEGES FOR ROLE mia IN SCHEMA s GRANT SELECT ON TABLES TO dave",
        "ALTER DEFAULT PRIVILEGES REVOKE SELECT ON TABLES FROM dave",
    ] {
        assert_eq!(sqlstate(&admin, refused).await, "0A000", "{refused}");
    }
    run(&admin, "GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA s TO dave; CREATE TABLE s.later (a int)").await;
    let dave = server.user("dave").await;
    run(&dave, "INSERT INTO s.now VALUES (1)").await;
    assert_eq!(rows(&dave, "SELECT * FROM s.v").await.len(), 1);
    assert_eq!(sqlstate(&dave, "SELECT * FROM s.later").await, "42P01");
    run(&admin, "REVOKE ALL ON ALL TABLES IN SCHEMA s FROM dave").await;
    assert_eq!(sqlstate(&dave, "SELECT * FROM s.now").await, "42P01");
    assert!(heard.lock().is_empty(), "{:?}", heard.lock());
    run(&admin, "GRANT SELECT ON SCHEMA s TO dave; REVOKE SELECT ON s.now FROM dave").await;
    assert_eq!(*heard.lock(), ["WARNING 01006 role \"dave\" still has SELECT on table now: SELECT was granted on schema s"]);
    assert_eq!(rows(&dave, "SELECT * FROM s.later").await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_a_policy_names_keeps_its_name() {
    let (server, _) = warehouse().await;
    let (admin, heard) = with_notices(&server, "admin").await;
    run(
        &admin,
        "CREATE GROUP staff; CREATE FUNCTION hr.in_group(g text) RETURNS boolean RETURN is_account_group_member(g); \
         CREATE FUNCTION hr.no_staff(id int) RETURNS boolean RETURN NOT hr.in_group('staff'); \
         CREATE FUNCTION hr.no_contractor(id int) RETURNS boolean RETURN NOT is_member('contractors'); \
         ALTER TABLE hr.plain SET ROW FILTER hr.no_contractor ON (id); ALTER TABLE hr.raw SET ROW FILTER hr.no_staff ON (id)",
    )
    .await;
    for refused in [
        "ALTER GROUP contractors RENAME TO externals",
        "ALTER ROLE contractors RENAME TO externals",
        "DROP GROUP contractors",
        "DROP GROUP IF EXISTS contractors",
        "DROP ROLE dave, staff",
        "ALTER GROUP staff RENAME TO people",
        "DROP GROUP officers",
    ] {
        assert_eq!(sqlstate(&admin, refused).await, "2BP01", "{refused}");
    }
    run(&admin, "CREATE FUNCTION hr.typo(id int) RETURNS boolean RETURN NOT is_member('contractor')").await;
    for set in [
        "ALTER TABLE hr.plain SET ROW FILTER hr.typo ON (id)",
        "CREATE OR REPLACE FUNCTION hr.no_contractor(id int) RETURNS boolean RETURN NOT is_member('nobody')",
    ] {
        assert_eq!(sqlstate(&admin, set).await, "42704", "{set}");
    }
    run(&admin, "ALTER TABLE hr.plain DROP ROW FILTER; ALTER GROUP contractors RENAME TO externals").await;
    // A parameter that a column hides.
    run(&admin, "CREATE TABLE hr.acl (login text, owner text)").await;
    assert!(heard.lock().is_empty(), "{:?}", heard.lock());
    let text = "CREATE OR REPLACE FUNCTION hr.owns(owner text) RETURNS boolean RETURN EXISTS (SELECT 1 FROM hr.acl a WHERE a.login = current_user AND a.owner = {})";
    run(&admin, &text.replace("{}", "owner")).await;
    assert_eq!(
        *heard.lock(),
        ["NOTICE 00000 \"owner\" in the function's body is a column of a table that it reads, not the parameter"]
    );
    run(
        &admin,
        &text.replace("{}", "whose").replace("(owner text)", "(whose text)").replace("OR REPLACE ", "").replace("owns", "owns2"),
    )
    .await;
    assert_eq!(heard.lock().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_lets_nobody_through_for_a_group_that_is_gone() {
    let (_server, admin) = warehouse().await;
    run(&admin, "CREATE GROUP leavers; CREATE TABLE hr.asked (id int, who text); INSERT INTO hr.asked VALUES (1, 'leavers')").await;
    run(&admin, "CREATE FUNCTION hr.no_leaver(id int) RETURNS boolean RETURN NOT is_member('leav' || 'ers')").await;
    run(&admin, "CREATE FUNCTION hr.not_in(who text) RETURNS boolean RETURN NOT is_account_group_member(who)").await;
    for filter in ["hr.no_leaver ON (id)", "hr.not_in ON (who)"] {
        run(&admin, &format!("ALTER TABLE hr.asked SET ROW FILTER {filter}")).await;
        assert_eq!(rows(&admin, "SELECT id FROM hr.asked").await.len(), 1, "{filter}");
        run(&admin, "ALTER GROUP leavers RENAME TO gone").await;
        let answer = transcript(&admin, "SELECT id FROM hr.asked").await;
        assert!(answer.starts_with("error"), "{filter}: {answer}");
        run(&admin, "ALTER GROUP gone RENAME TO leavers").await;
    }
    // Outside of policies nobody is in a group that is not there, as in Databricks.
    assert_eq!(rows(&admin, "SELECT is_member('nowhere')").await[0][0].as_deref(), Some("f"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_hidden_is_told_as_what_is_not_there() {
    let (server, admin) = warehouse().await;
    run(
        &admin,
        "CREATE SCHEMA vault; CREATE TABLE vault.t (a int); CREATE FUNCTION vault.f(a int) RETURNS int RETURN 0; \
         COMMENT ON SCHEMA vault IS 'secret'; CREATE CATALOG hidden; CREATE VIEW vault.v AS SELECT 1 AS a",
    )
    .await;
    let oid = |query: &'static str| async { rows(&admin, query).await[0][0].clone().unwrap() };
    let (schema, catalog) =
        (oid("SELECT 'vault'::regnamespace::oid").await, oid("SELECT oid FROM pg_database WHERE datname = 'hidden'").await);
    let (table, function) = (oid("SELECT 'vault.t'::regclass::oid").await, oid("SELECT 'vault.f'::regproc::oid").await);
    let view = oid("SELECT 'vault.v'::regclass::oid").await;
    let mallory = server.user("mallory").await;
    let missing = "987654";
    for probe in [
        "SELECT {}::int::oid::regnamespace",
        "SELECT {}::int::oid::regclass",
        "SELECT {}::int::oid::regproc",
        "SELECT {}::int::oid::regprocedure",
        "SELECT has_schema_privilege({}::oid, 'USAGE')",
        "SELECT has_database_privilege({}::oid, 'CONNECT')",
        "SELECT has_database_privilege('mallory', {}::oid, 'CONNECT')",
        "SELECT has_table_privilege({}::oid, 'SELECT')",
        "SELECT has_any_column_privilege({}::oid, 'SELECT')",
        "SELECT has_column_privilege({}::oid, 1::smallint, 'SELECT')",
        "SELECT has_function_privilege({}::oid, 'EXECUTE')",
        "SELECT obj_description({}::oid)",
        "SELECT obj_description({}::oid, 'pg_namespace')",
        "SELECT shobj_description({}::oid, 'pg_database')",
        "SELECT col_description({}::oid, 1)",
        "SELECT pg_get_viewdef({}::oid)",
        "SELECT pg_get_ruledef({}::oid)",
        "SELECT pg_get_functiondef({}::oid)",
        "SELECT pg_get_function_arguments({}::oid)",
        "SELECT pg_get_function_result({}::oid)",
        "SELECT pg_get_userbyid({}::oid)",
        "SELECT pg_table_is_visible({}::oid)",
        "SELECT pg_function_is_visible({}::oid)",
        "SELECT pg_relation_is_updatable({}::oid::regclass, true)",
        "SELECT format_type({}::oid, NULL)",
    ] {
        for hidden in [&schema, &catalog, &table, &function, &view] {
            let told = transcript(&mallory, &probe.replace("{}", hidden)).await;
            let of_none = transcript(&mallory, &probe.replace("{}", missing)).await;
            assert_eq!(told.replace(hidden.as_str(), missing), of_none, "{probe}");
        }
    }
    for probe in [
        "SELECT to_regnamespace('{}')",
        "SELECT '{}'::regnamespace",
        "SELECT has_schema_privilege('{}', 'USAGE')",
        "SELECT to_regclass('{}.t')",
        "SELECT '{}.t'::regclass",
        "SELECT to_regproc('{}.f')",
        "SELECT to_regprocedure('{}.f(int)')",
        "SELECT has_table_privilege('{}.t', 'SELECT')",
        "SELECT has_function_privilege('{}.f(int)', 'EXECUTE')",
        "SELECT has_database_privilege('{}', 'CONNECT')",
        "SELECT {}.f(1)",
        "SELECT * FROM {}.t",
        "CREATE TABLE {}.mine (a int)",
    ] {
        let told = transcript(&mallory, &probe.replace("{}", "vault")).await;
        let of_none = transcript(&mallory, &probe.replace("{}", "nowhere")).await;
        assert_eq!(told.replace("vault", "nowhere"), of_none, "{probe}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_search_path_passes_over_what_is_hidden() {
    let (server, admin) = warehouse().await;
    run(
        &admin,
        "CREATE SCHEMA vault; CREATE TABLE vault.t (a int); CREATE FUNCTION vault.f(a int) RETURNS int RETURN 0; CREATE VIEW vault.w AS SELECT 0 AS a",
    )
    .await;
    let mallory = server.user("mallory").await;
    run(
        &mallory,
        "CREATE TABLE mal.t (a int); CREATE FUNCTION mal.f(a int) RETURNS int RETURN a; CREATE VIEW mal.w AS SELECT 7 AS a",
    )
    .await;
    run(&mallory, "SET search_path = vault, mal; INSERT INTO t VALUES (7)").await;
    for query in ["SELECT a FROM t", "SELECT f(7)", "SELECT a FROM w", "SELECT f(a) FROM t", "TABLE t", "SELECT max(t.a) FROM t"] {
        assert_eq!(rows(&mallory, query).await, [[Some("7".to_string())]], "{query}");
    }
    for visible in ["SELECT pg_table_is_visible('mal.t'::regclass)", "SELECT pg_function_is_visible('mal.f'::regproc)"] {
        assert_eq!(rows(&mallory, visible).await, [[Some("t".to_string())]], "{visible}");
    }
    run(&mallory, "CREATE TABLE made (a int); CREATE VIEW v AS SELECT f(a) AS a FROM t").await;
    assert_eq!(rows(&mallory, "SELECT v.a FROM mal.v, mal.made").await.len(), 0);
    // A schema that may not be entered does not take what is made either, as in PostgreSQL.
    run(&admin, "GRANT SELECT ON vault.w TO mallory").await;
    run(&mallory, "CREATE TABLE made2 (a int)").await;
    assert_eq!(rows(&mallory, "SELECT a FROM mal.made2").await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_end_with_their_user() {
    let (server, admin) = warehouse().await;
    let (dave, gina, mia) = (server.user("dave").await, server.user("gina").await, server.user("mia").await);
    let running = tokio::spawn(async move {
        mia.simple_query("SELECT pg_sleep(60)").await.map(|_| ()).map_err(|error| error.code().map(|code| code.code().to_string()))
    });
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let before = std::time::Instant::now();
    run(&admin, "DROP USER dave; ALTER USER gina NOLOGIN").await;
    run(&admin, "BEGIN; ALTER SCHEMA mia OWNER TO admin; REVOKE MANAGE ON SCHEMA hr FROM mia; DROP USER mia; COMMIT").await;
    for session in [&dave, &gina] {
        let answer = transcript(session, "SELECT count(*) FROM hr.plain").await;
        assert!(answer.starts_with("error") && !answer.contains("row"), "{answer}");
        assert!(session.simple_query("SELECT 1").await.is_err());
    }
    assert!(running.await.unwrap().is_err());
    assert!(before.elapsed() < std::time::Duration::from_secs(20));
    let left = "SELECT count(*) FROM pg_stat_activity WHERE usename IN ('dave', 'gina', 'mia') OR usename IS NULL";
    while rows(&admin, left).await[0][0].as_deref() != Some("0") {
        assert!(before.elapsed() < std::time::Duration::from_secs(20), "a session is left");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}
