//! Policies that their subject could steer: refused when they are set, or they say the same whatever she does to her session.

use tokio_postgres::Client;

use crate::server::{Server, rows, run, sqlstate, transcript};

/// A warehouse with a schema of alice's own, in which she may make what she likes.
async fn warehouse() -> (Server, Client) {
    let server = Server::start();
    let admin = server.admin().await;
    run(&admin, "CREATE USER alice PASSWORD 'alice-password-1'; CREATE GROUP staff; GRANT staff TO alice").await;
    run(&admin, "CREATE SCHEMA hr; CREATE SCHEMA ali; ALTER SCHEMA ali OWNER TO alice").await;
    run(&admin, "GRANT USE CATALOG ON CATALOG main TO alice; GRANT USE SCHEMA, SELECT, EXECUTE ON SCHEMA hr TO alice").await;
    run(&admin, "CREATE TABLE hr.acl (login text); INSERT INTO hr.acl VALUES ('alice')").await;
    (server, admin)
}

/// A table of moments around midnight in UTC, with the filter `hr.f` over both of its columns.
async fn guarded_table(admin: &Client, body: &str) -> String {
    run(admin, "DROP TABLE IF EXISTS hr.t; DROP FUNCTION IF EXISTS hr.f").await;
    run(admin, "CREATE TABLE hr.t (id bigint, at timestamptz)").await;
    run(
        admin,
        "INSERT INTO hr.t SELECT g, timestamptz '2024-03-05 12:00:00+00' + g * interval '1 hour' FROM generate_series(1, 24) g",
    )
    .await;
    run(admin, &format!("CREATE FUNCTION hr.f(id bigint, at timestamptz) RETURNS boolean RETURN {body}")).await;
    transcript(admin, "ALTER TABLE hr.t SET ROW FILTER hr.f ON (id, at)").await
}

/// A moment at which `hr.acl` had only its first version, by the clock of UTC; now it has two.
async fn two_versions(admin: &Client) -> String {
    let pause = std::time::Duration::from_millis(30);
    tokio::time::sleep(pause).await;
    let moment = rows(admin, "SELECT (clock_timestamp() AT TIME ZONE 'UTC')::text").await[0][0].clone().unwrap();
    tokio::time::sleep(pause).await;
    run(admin, "INSERT INTO hr.acl VALUES ('bob')").await;
    moment
}

/// What a policy cannot depend on, as the body of a filter over `id` and `at`.
const REFUSED: &[&str] = &[
    // Settings, by whatever name they are read.
    "current_setting('application_name') = 'x'",
    "pg_catalog.current_setting('application_name', true) = 'x'",
    "\"current_setting\"('application_name') = 'x'",
    "coalesce(current_setting('app.all', true), 'f') = 't'",
    "EXISTS (SELECT 1 FROM pg_settings s WHERE s.name = 'application_name' AND s.setting = 'open')",
    "EXISTS (SELECT 1 FROM pg_show_all_settings() s WHERE s.name = 'application_name' AND s.setting = 'open')",
    "EXISTS (SELECT 1 FROM hr.settings s WHERE s.setting = 'open')",
    "hr.setting() = 'open'",
    "set_config('application_name', 'open', false) = 'open'",
    // The session.
    "EXISTS (SELECT 1 FROM pg_stat_activity a WHERE a.application_name = 'open')",
    "EXISTS (SELECT 1 FROM pg_prepared_statements p WHERE p.name = 'o1')",
    "EXISTS (SELECT 1 FROM pg_cursors c WHERE c.name = 'o1')",
    "EXISTS (SELECT 1 FROM pg_locks l WHERE l.locktype = 'advisory')",
    "pg_try_advisory_lock(id)",
    "EXISTS (SELECT 1 FROM pg_listening_channels() c)",
    "pg_backend_pid() > 0",
    "inet_client_addr() IS NULL",
    "current_timezone() = 'UTC'",
    "pg_my_temp_schema() <> 0",
    // The catalog, and names in it.
    "EXISTS (SELECT 1 FROM pg_class c WHERE c.relname = 'opened')",
    "EXISTS (SELECT 1 FROM pg_catalog.pg_namespace n WHERE n.nspname = 'opened')",
    "EXISTS (SELECT 1 FROM information_schema.tables i WHERE i.table_name = 'opened')",
    "id IN (SELECT count(*) FROM pg_proc)",
    "to_regclass('opened') IS NOT NULL",
    "to_regnamespace('ali') IS NOT NULL",
    "'hr.t'::regclass::oid > 0",
    "1259::regclass::text = 'pg_class'",
    "CAST(1259::oid::regclass AS text) = 'pg_class'",
    "pg_table_is_visible(1259)",
    "pg_function_is_visible(id::oid)",
    "current_schema() = 'hr'",
    "current_schema = 'hr'",
    "'ali' = ANY (current_schemas(true))",
    "current_database() = 'main'",
    "current_catalog = 'main'",
    "has_table_privilege('hr.acl', 'SELECT')",
    "has_schema_privilege(current_user, 'ali', 'CREATE')",
    "has_function_privilege('hr.setting', 'EXECUTE')",
    "obj_description(id::oid, 'pg_class') IS NULL",
    "col_description(id::oid, 1) IS NULL",
    "pg_get_userbyid(id::oid) = 'alice'",
    "txid_current() > 5",
    // What differs from call to call.
    "random() < 0.5",
    "clock_timestamp() > at",
    "gen_random_uuid()::text > 'a'",
    "pg_sleep(0) IS NULL",
    "pg_notify('loot', id::text) IS NULL",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_cannot_depend_on_what_the_session_steers() {
    let (server, admin) = warehouse().await;
    run(&admin, "CREATE VIEW hr.settings AS SELECT name, setting FROM pg_settings").await;
    run(&admin, "CREATE FUNCTION hr.setting() RETURNS text RETURN current_setting('application_name')").await;
    for body in REFUSED {
        let answer = guarded_table(&admin, body).await;
        assert!(answer.starts_with("error 42P17 a policy cannot depend on "), "{body}: {answer}");
        // A mask is judged alike.
        run(
            &admin,
            "CREATE OR REPLACE FUNCTION hr.m(v bigint, at timestamptz) RETURNS bigint RETURN CASE WHEN hr.f(v, at) THEN v END",
        )
        .await;
        assert_eq!(sqlstate(&admin, "ALTER TABLE hr.t ALTER COLUMN id SET MASK hr.m USING COLUMNS (at)").await, "42P17", "{body}");
        run(&admin, "DROP FUNCTION hr.m").await;
    }
    drop(server);
}

/// Filters that stay what they are, and how many of the 24 rows they leave.
const KEPT: &[(&str, &str)] = &[
    ("at::text LIKE '2024-03-05%'", "11"),
    ("CAST(at AS varchar(10)) = '2024-03-05'", "11"),
    ("date_trunc('day', at) = timestamptz '2024-03-05 00:00:00+00'", "11"),
    ("date_trunc('day', at) = '2024-03-05'", "11"),
    ("to_char(at, 'YYYY-MM-DD') = '2024-03-05'", "11"),
    ("day(at) = 5", "11"),
    ("hour(at) < 12", "12"),
    ("extract(day FROM at) = 5", "11"),
    ("date_part('day', at) = 5", "11"),
    ("at::date = '2024-03-05'", "11"),
    ("at::date = date '2024-03-05'", "11"),
    ("at::time < time '12:00'", "12"),
    ("at < '2024-03-06'", "11"),
    ("at < date '2024-03-06'", "11"),
    ("at < timestamp '2024-03-06 00:00'", "11"),
    ("at < '2024-03-06'::date + 0", "11"),
    ("at < make_timestamptz(2024, 3, 6, 0, 0, 0)", "11"),
    ("at < to_timestamp('2024-03-06', 'YYYY-MM-DD')", "11"),
    ("date_trunc('day', at) + interval '1 day' = '2024-03-06'", "11"),
    ("dateadd('day', 1, date_trunc('day', at)) = '2024-03-06'", "11"),
    ("format('%s', at) LIKE '2024-03-05%'", "11"),
    ("quote_literal(at) LIKE '''2024-03-05%'", "11"),
    ("to_json(at)::text LIKE '\"2024-03-05%'", "11"),
    ("ARRAY[at]::text LIKE '%2024-03-05%'", "11"),
    ("concat(at::text, '') LIKE '2024-03-05%'", "11"),
    ("current_date::text = (now() AT TIME ZONE 'UTC')::date::text AND id < 5", "4"),
    ("current_timestamp::text = now()::text AND now()::text LIKE '%+00' AND id < 5", "4"),
    ("localtimestamp = now() AT TIME ZONE 'UTC' AND id < 5", "4"),
    (
        "'1 day'::interval::text = '1 day' AND '\\x41'::bytea::text = '\\x41' AND (0.1::float8 + 0.2::float8)::text > '0.3' AND id < 5",
        "4",
    ),
    ("current_user = 'alice' AND session_user() = 'alice' AND user = current_user() AND id < 5", "4"),
    ("(is_member('staff') AND is_account_group_member('staff') AND pg_has_role('staff', 'MEMBER')) AND id < 5", "4"),
    ("EXISTS (SELECT 1 FROM hr.acl a WHERE a.login = current_user) AND id < 5", "4"),
    ("EXISTS (SELECT 1 FROM hr.days d WHERE d.day = '2024-03-05' AND d.id = id) AND id < 5", "4"),
    ("hr.day(at) = '2024-03-05'", "11"),
    ("id IN (SELECT g FROM generate_series(1, 4) g)", "4"),
    ("EXISTS (SELECT 1 FROM hr.acl_first a WHERE a.login = current_user) AND id < 5", "4"),
    ("EXISTS (SELECT 1 FROM hr.acl_then a WHERE a.login = current_user) AND id < 5", "4"),
    ("at IN (SELECT m.at::timestamptz FROM hr.moments m)", "1"),
];

/// What alice may do to her own session and schema.
const STEERING: &[&str] = &[
    "SET TimeZone = 'Pacific/Kiritimati'",
    "SET TimeZone = 'Etc/GMT+12'",
    "SET DateStyle = 'German, DMY'",
    "SET IntervalStyle = 'iso_8601'",
    "SET bytea_output = 'escape'",
    "SET extra_float_digits = -10",
    "SET search_path = ali",
    "SET application_name = 'open'",
    "CREATE TEMP TABLE acl (login text)",
    "CREATE TEMP TABLE IF NOT EXISTS opened (x int)",
    "CREATE VIEW ali.opened AS SELECT 1 AS x",
    "CREATE TABLE ali.acl (login text)",
    "PREPARE o1 AS SELECT 1",
    "SELECT pg_advisory_lock(1)",
    "LISTEN o1",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_says_the_same_whatever_the_session_has_set() {
    let (server, admin) = warehouse().await;
    run(&admin, "CREATE TABLE hr.moments (at text); INSERT INTO hr.moments VALUES ('2024-03-05 13:00:00')").await;
    run(&admin, "CREATE TABLE hr.raw (id bigint, at timestamptz); INSERT INTO hr.raw VALUES (1, '2024-03-05 22:00:00+00'), (2, '2024-03-06 10:00:00+00')").await;
    run(&admin, "CREATE VIEW hr.days AS SELECT id, at::text AS text, to_char(at, 'YYYY-MM-DD') AS day FROM hr.raw").await;
    run(&admin, "CREATE FUNCTION hr.day(at timestamptz) RETURNS text RETURN left(at::text, 10)").await;
    let moment = two_versions(&admin).await;
    run(&admin, "CREATE VIEW hr.acl_first AS SELECT login FROM hr.acl VERSION AS OF 1").await;
    run(&admin, &format!("CREATE VIEW hr.acl_then AS SELECT login FROM hr.acl TIMESTAMP AS OF '{moment}'")).await;
    let steered = server.user("alice").await;
    for steering in STEERING {
        run(&steered, steering).await;
    }
    let count = "SELECT count(*) FROM hr.t";
    for (body, expected) in KEPT {
        let answer = guarded_table(&admin, body).await;
        assert!(answer.starts_with("done"), "{body}: {answer}");
        let plain = server.user("alice").await;
        assert_eq!(rows(&plain, count).await, [[Some((*expected).to_string())]], "{body}");
        for zone in ["Pacific/Kiritimati", "Etc/GMT+12", "Asia/Kathmandu"] {
            run(&steered, &format!("SET TimeZone = '{zone}'")).await;
            assert_eq!(rows(&steered, count).await, [[Some((*expected).to_string())]], "{body} in {zone}");
        }
        let prepared = steered.prepare(count).await.unwrap();
        run(&steered, "SET TimeZone = 'UTC'").await;
        let row = steered.query_one(&prepared, &[]).await.unwrap();
        assert_eq!(row.get::<_, i64>(0).to_string(), *expected, "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mask_says_the_same_whatever_the_session_has_set() {
    let (server, admin) = warehouse().await;
    run(
        &admin,
        "CREATE TABLE hr.m (id bigint, at timestamptz, note text); INSERT INTO hr.m VALUES (1, '2024-03-05 23:30:00+00', 'open')",
    )
    .await;
    run(&admin, "CREATE FUNCTION hr.shown(note text, at timestamptz) RETURNS text RETURN CASE WHEN at::text LIKE '2024-03-06%' THEN note ELSE at::text END").await;
    run(&admin, "ALTER TABLE hr.m ALTER COLUMN note SET MASK hr.shown USING COLUMNS (at)").await;
    let alice = server.user("alice").await;
    for setting in ["SET TimeZone = 'UTC'", "SET TimeZone = 'Asia/Kathmandu'", "SET DateStyle = 'SQL, DMY'"] {
        run(&alice, setting).await;
        assert_eq!(rows(&alice, "SELECT note FROM hr.m").await, [[Some("2024-03-05 23:30:00+00".to_string())]], "{setting}");
        assert_eq!(rows(&alice, "SELECT count(*) FROM hr.m WHERE note = 'open'").await, [[Some("0".to_string())]], "{setting}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_transaction_does_not_hold_a_policys_moment_back() {
    let (server, admin) = warehouse().await;
    run(&admin, "CREATE TABLE hr.leased (id bigint, until timestamptz)").await;
    run(&admin, "CREATE FUNCTION hr.lasts(until timestamptz) RETURNS boolean RETURN until > now()").await;
    run(&admin, "ALTER TABLE hr.leased SET ROW FILTER hr.lasts ON (until)").await;
    run(&admin, "INSERT INTO hr.leased SELECT 1, now() + interval '3 seconds'").await;
    let alice = server.user("alice").await;
    run(&alice, "BEGIN").await;
    assert_eq!(rows(&alice, "SELECT count(*) FROM hr.leased").await, [[Some("1".to_string())]]);
    tokio::time::sleep(std::time::Duration::from_millis(3500)).await;
    assert_eq!(rows(&alice, "SELECT count(*) FROM hr.leased").await, [[Some("0".to_string())]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_policy_reaches_stays_fit_for_it() {
    let (server, admin) = warehouse().await;
    run(&admin, "CREATE VIEW hr.logins AS SELECT login FROM hr.acl").await;
    run(&admin, "CREATE FUNCTION hr.knows(who text) RETURNS boolean RETURN EXISTS (SELECT 1 FROM hr.logins l WHERE l.login = who)")
        .await;
    assert!(guarded_table(&admin, "hr.knows(current_user) AND id < 5").await.starts_with("done"));
    for replacement in [
        "CREATE OR REPLACE VIEW hr.logins AS SELECT current_setting('application_name') AS login",
        "CREATE OR REPLACE VIEW hr.logins AS SELECT setting AS login FROM pg_settings",
        "CREATE OR REPLACE VIEW hr.logins AS SELECT name AS login FROM pg_show_all_settings()",
        "CREATE OR REPLACE FUNCTION hr.knows(who text) RETURNS boolean RETURN to_regclass(who) IS NOT NULL",
        "CREATE OR REPLACE FUNCTION hr.knows(who text) RETURNS boolean RETURN random() < 0.5",
        "CREATE OR REPLACE FUNCTION hr.f(id bigint, at timestamptz) RETURNS boolean RETURN pg_my_temp_schema() <> 0",
    ] {
        let answer = transcript(&admin, replacement).await;
        assert!(answer.starts_with("error 42P17 a policy cannot depend on "), "{replacement}: {answer}");
    }
    run(&admin, "CREATE OR REPLACE VIEW hr.logins AS SELECT login || '' AS login FROM hr.acl").await;
    let alice = server.user("alice").await;
    assert_eq!(rows(&alice, "SELECT count(*) FROM hr.t").await, [[Some("4".to_string())]]);
    let masked = "CREATE TABLE hr.made (id bigint, note text MASK hr.leaky)";
    run(&admin, "CREATE FUNCTION hr.leaky(note text) RETURNS text RETURN coalesce(current_setting('app.open', true), '***')").await;
    assert_eq!(sqlstate(&admin, masked).await, "42P17");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_the_principal_may_be_written_with_parentheses() {
    let (server, admin) = warehouse().await;
    assert!(
        guarded_table(&admin, "current_user() = 'alice' AND is_member('staff') AND session_user() = user()")
            .await
            .starts_with("done")
    );
    run(&admin, "CREATE VIEW hr.who AS SELECT current_user() AS a, session_user() AS b, user() AS c, current_catalog() AS d, current_schema() AS e").await;
    let alice = server.user("alice").await;
    let who = |name: &str| vec![Some(name.to_string()); 3];
    assert_eq!(rows(&alice, "SELECT a, b, c FROM hr.who").await, [who("alice")]);
    assert_eq!(rows(&alice, "SELECT current_user(), session_user(), user( )").await, [who("alice")]);
    assert_eq!(rows(&admin, "SELECT a, b, c FROM hr.who").await, [who("admin")]);
    assert_eq!(rows(&alice, "SELECT count(*) FROM hr.t").await, [[Some("24".to_string())]]);
    assert_eq!(rows(&admin, "SELECT count(*) FROM hr.t").await, [[Some("0".to_string())]]);
    let statement =
        alice.prepare("SELECT current_user()::text, current_catalog()::text, $1::text || session_user()").await.unwrap();
    let row = alice.query_one(&statement, &[&"I am "]).await.unwrap();
    assert_eq!((row.get::<_, &str>(0), row.get::<_, &str>(1), row.get::<_, &str>(2)), ("alice", "main", "I am alice"));
}
