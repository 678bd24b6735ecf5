//! Commands over real rooms: a metastore in memory, Delta tables in a temporary directory, the binder, the gate, the engine.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use chrono::Utc;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::arrow::util::display::array_value_to_string;
use datafusion::scalar::ScalarValue;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Block, CatalogWriter, CommandContext, CommandOutcome, describe, query, remove_orphans, run};
use crate::catalog::{CatalogOptions, Metastore};
use crate::engine::{Engine, EngineOptions, ExecutionSettings};
use crate::error::{Error, ErrorKind, Result};
use crate::functions::{FunctionContext, Functions};
use crate::lake::{Lake, LakeOptions};
use crate::sql::statement::Statement;
use crate::sql::{self, Limits, Pins, Scope};
use crate::storage::{Storage, StorageOptions};
use crate::system::{LiveState, SystemContext};

struct Warehouse {
    metastore: Arc<Metastore>,
    lake: Arc<Lake>,
    engine: Arc<Engine>,
    functions: Arc<Functions>,
    tasks: TaskTracker,
    directory: tempfile::TempDir,
}

impl Warehouse {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let storage = Storage::new(&StorageOptions { fsync: false, ..StorageOptions::default() }, Handle::current()).unwrap();
        let lake = Lake::new(&LakeOptions::default(), storage, Handle::current()).unwrap();
        let options = EngineOptions { spill_directory: directory.path().join("spill"), ..EngineOptions::default() };
        let engine = Engine::new(&options, lake.object_store_registry()).unwrap();
        let metastore = Metastore::open(&directory.path().join("metastore"), &CatalogOptions::default()).await.unwrap();
        metastore.initialise("admin", "SCRAM-SHA-256$4096:x$y:z".to_string()).await.unwrap();
        let warehouse = Self { metastore, lake, engine, functions: Functions::new(), tasks: TaskTracker::new(), directory };
        warehouse.done("admin", "CREATE USER ann PASSWORD 'correct horse'").await;
        warehouse.done("admin", "CREATE USER bob PASSWORD 'battery staple'").await;
        warehouse
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn context(&self, user: &str) -> CommandContext {
        let snapshot = self.metastore.snapshot();
        let principal = snapshot.principal(user).unwrap().id;
        let now = Utc::now();
        let functions = Arc::new(FunctionContext {
            catalog: snapshot.catalog("main").unwrap().id,
            snapshot,
            principal,
            current_user: principal,
            search_path: vec!["public".into()],
            settings: Arc::new(BTreeMap::new()),
            time_zone: "UTC".into(),
            form: Arc::default(),
            fixed: false,
            statement_time: now,
            transaction_time: now,
            pid: 1,
            application_name: String::new(),
            client_address: None,
            control: None,
            temporary: None,
        });
        let system = SystemContext::new(Arc::clone(&functions), LiveState::default);
        CommandContext {
            metastore: CatalogWriter::new(Arc::clone(&self.metastore), None),
            lake: Arc::clone(&self.lake),
            engine: Arc::clone(&self.engine),
            limits: Limits::default(),
            scope: Scope { functions, registry: Arc::clone(&self.functions), system: Arc::new(system), pins: None },
            settings: ExecutionSettings { time_zone: "UTC".into(), statement_timeout: None },
            parameter_types: vec![],
            parameters: vec![],
            cancel: CancellationToken::new(),
            managed_root: self.path().join("managed").to_str().unwrap().to_string(),
            tasks: self.tasks.clone(),
            temporary: None,
            made: Arc::default(),
        }
    }

    fn block(&self) -> (Arc<Block>, Arc<Pins>) {
        let pins: Arc<Pins> = Arc::default();
        let block = Block::new(Arc::clone(&self.metastore), Arc::clone(&self.lake), self.tasks.clone(), Arc::clone(&pins));
        (block, pins)
    }

    /// The context of a statement in a transaction block.
    fn context_of_block(&self, user: &str, block: &Arc<Block>, pins: &Arc<Pins>) -> CommandContext {
        let context = self.context(user);
        let catalog = block.catalog().unwrap_or_else(|| self.metastore.snapshot());
        let scope = Scope { pins: Some(Arc::clone(pins)), ..context.scope.on(catalog) };
        let metastore = CatalogWriter::new(Arc::clone(&self.metastore), Some(Arc::clone(block)));
        CommandContext { scope, metastore, ..context }
    }

    async fn run_in(&self, context: &CommandContext, text: &str) -> Result<CommandOutcome> {
        let parsed = sql::parse(text, &Limits::default())?.remove(0);
        match parsed.statement {
            Statement::Command(command) => run(&command, context).await,
            Statement::Query(query) => {
                let bound = query::bind(&query, &[], context).await?;
                let rows = query::run(query::govern(bound, context).await?, context).await?;
                let schema = rows.schema();
                let batches = rows.collect_all().await?;
                let batch = datafusion::arrow::compute::concat_batches(&schema, &batches).unwrap();
                Ok(CommandOutcome::rows(batch, "SELECT"))
            }
            other => panic!("{other:?}"),
        }
    }

    async fn run(&self, user: &str, text: &str) -> Result<CommandOutcome> {
        self.run_in(&self.context(user), text).await
    }

    /// The tag of a statement that succeeds, with its notices.
    async fn done(&self, user: &str, text: &str) -> String {
        match self.run(user, text).await {
            Ok(CommandOutcome::Done { tag, notices, .. }) if notices.is_empty() => tag,
            Ok(CommandOutcome::Done { tag, notices, .. }) => format!("{tag} [{}]", notices.join("; ")),
            Ok(CommandOutcome::Rows { .. } | CommandOutcome::CopyIn(_)) => panic!("{text}: rows"),
            Err(error) => panic!("{text}: {} {error:?}", error.kind().sqlstate()),
        }
    }

    /// The rows of a statement, `|` between columns.
    async fn rows(&self, user: &str, text: &str) -> Vec<String> {
        match self.run(user, text).await {
            Ok(CommandOutcome::Rows { batch, .. }) => lines(&batch),
            Ok(other) => panic!("{text}: {other:?}"),
            Err(error) => panic!("{text}: {} {error:?}", error.kind().sqlstate()),
        }
    }

    async fn error(&self, user: &str, text: &str) -> Error {
        match self.run(user, text).await {
            Ok(outcome) => panic!("{text}: {outcome:?}"),
            Err(error) => error,
        }
    }

    async fn refused(&self, user: &str, text: &str) -> ErrorKind {
        self.error(user, text).await.kind()
    }

    /// Number of directories of managed tables.
    async fn managed_tables(&self) -> usize {
        self.tasks.close();
        self.tasks.wait().await;
        self.tasks.reopen();
        let Ok(entries) = std::fs::read_dir(self.path().join("managed")) else { return 0 };
        entries.filter(|entry| contains_file(&entry.as_ref().unwrap().path())).count()
    }
}

fn contains_file(path: &Path) -> bool {
    path.is_file() || path.is_dir() && std::fs::read_dir(path).unwrap().any(|entry| contains_file(&entry.unwrap().path()))
}

fn lines(batch: &RecordBatch) -> Vec<String> {
    let cell = |column: usize, row: usize| {
        let array = batch.column(column);
        if array.is_null(row) { "NULL".to_string() } else { array_value_to_string(array, row).unwrap() }
    };
    (0..batch.num_rows())
        .map(|row| (0..batch.num_columns()).map(|column| cell(column, row)).collect::<Vec<_>>().join("|"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_made_filled_and_dropped() {
    let w = Warehouse::new().await;
    assert_eq!(w.done("admin", "CREATE TABLE t (a int NOT NULL, b varchar(3), c date, d numeric(5,2))").await, "CREATE TABLE");
    assert_eq!(
        w.done("admin", "CREATE TABLE IF NOT EXISTS t (a int)").await,
        "CREATE TABLE [relation \"t\" already exists, skipping]"
    );
    assert_eq!(w.refused("admin", "CREATE TABLE t (a int)").await, ErrorKind::DuplicateRelation);
    assert_eq!(w.done("admin", "INSERT INTO t VALUES (1, 'x', '2024-02-29', 1.005), (2, NULL, NULL, '7')").await, "INSERT 0 2");
    assert_eq!(w.done("admin", "INSERT INTO t (c, a) SELECT timestamp '2020-01-02 03:04:05', 3").await, "INSERT 0 1");
    assert_eq!(w.done("admin", "INSERT INTO t SELECT 4, 'abc  '").await, "INSERT 0 1");
    assert_eq!(
        w.rows("admin", "SELECT a, b, c, d FROM t ORDER BY a").await,
        ["1|x|2024-02-29|1.01", "2|NULL|NULL|7.00", "3|NULL|2020-01-02|NULL", "4|abc|NULL|NULL"]
    );
    for (text, kind) in [
        ("INSERT INTO t VALUES (5, 'abcd')", ErrorKind::StringTooLong),
        ("INSERT INTO t (b) VALUES ('x')", ErrorKind::NotNullViolation),
        ("INSERT INTO t VALUES (9999999999)", ErrorKind::NumericOutOfRange),
        ("INSERT INTO t (a, d) VALUES (1, 12345)", ErrorKind::NumericOutOfRange),
        ("INSERT INTO t VALUES ('x')", ErrorKind::InvalidText),
        ("INSERT INTO t (a, a) VALUES (1, 1)", ErrorKind::DuplicateColumn),
        ("INSERT INTO t (z) VALUES (1)", ErrorKind::UndefinedColumn),
        ("INSERT INTO t VALUES (1, 'x', NULL, 1, 5)", ErrorKind::Syntax),
        ("INSERT INTO t (a, b) VALUES (1)", ErrorKind::Syntax),
        ("INSERT INTO t (c) SELECT a FROM t", ErrorKind::DatatypeMismatch),
        ("INSERT INTO missing VALUES (1)", ErrorKind::UndefinedRelation),
        ("INSERT INTO pg_class VALUES (1)", ErrorKind::Denied),
    ] {
        assert_eq!(w.refused("admin", text).await, kind, "{text}");
    }
    assert!(w.error("admin", "INSERT INTO t (b) VALUES ('x')").await.message().contains("\"a\""));
    assert_eq!(w.rows("admin", "SELECT count(*) FROM t").await, ["4"]);

    assert_eq!(w.done("admin", "CREATE TABLE u AS SELECT a, b || '!' AS bang, 'lit' AS text FROM t").await, "SELECT 4");
    assert_eq!(w.rows("admin", "SELECT bang, text FROM u WHERE a = 1").await, ["x!|lit"]);
    assert_eq!(w.refused("admin", "CREATE TABLE v AS SELECT 1 AS a, 2 AS a").await, ErrorKind::DuplicateColumn);
    assert_eq!(w.refused("admin", "CREATE TABLE v AS SELECT 1 / (a - a) AS x FROM t").await, ErrorKind::DivisionByZero);
    assert_eq!(w.managed_tables().await, 2);
    assert_eq!(w.done("admin", "DROP TABLE t").await, "DROP TABLE");
    assert_eq!(w.done("admin", "DROP TABLE IF EXISTS t, u").await, "DROP TABLE [table \"t\" does not exist, skipping]");
    assert_eq!(w.managed_tables().await, 0);
    assert_eq!(w.metastore.snapshot().orphans().count(), 0);
    assert_eq!(w.refused("admin", "SELECT * FROM t").await, ErrorKind::UndefinedRelation);
}

#[tokio::test(flavor = "multi_thread")]
async fn orphans_of_a_crash_are_removed_at_the_next_start() {
    let w = Warehouse::new().await;
    let lost = w.path().join("managed").join("lost");
    std::fs::create_dir_all(lost.join("_delta_log")).unwrap();
    std::fs::write(lost.join("_delta_log").join("00000000000000000000.json"), "{}").unwrap();
    let location = format!("file://{}", lost.canonicalize().unwrap().display());
    w.metastore.write(|change| change.reserve_table(&location, None)).await.unwrap();
    assert_eq!(w.managed_tables().await, 1);
    remove_orphans(&w.metastore, &w.lake).await;
    assert_eq!(w.managed_tables().await, 0);
    assert_eq!(w.metastore.snapshot().orphans().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_take_the_types_of_their_columns() {
    let w = Warehouse::new().await;
    w.done("admin", "CREATE TABLE t (a bigint, b date, c text)").await;
    let text = "INSERT INTO t (b, a, c) VALUES ($1, $2, $3)";
    let Statement::Command(command) = sql::parse(text, &Limits::default()).unwrap().remove(0).statement else {
        panic!("no command")
    };
    let mut context = w.context("admin");
    let description = describe(&command, &context).await.unwrap();
    let names: Vec<String> = description.parameters.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["date", "bigint", "text"]);
    context.parameter_types = description.parameters.into_iter().map(Some).collect();
    context.parameters = vec![ScalarValue::Date32(Some(0)), ScalarValue::Int64(Some(7)), ScalarValue::Utf8(Some("x".into()))];
    let outcome = run(&command, &context).await.unwrap();
    assert!(matches!(outcome, CommandOutcome::Done { ref tag, .. } if tag == "INSERT 0 1"), "{outcome:?}");
    assert_eq!(w.rows("admin", "SELECT a, b, c FROM t").await, ["7|1970-01-01|x"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_granted_is_not_there() {
    let w = Warehouse::new().await;
    w.done("admin", "CREATE TABLE t (a int)").await;
    w.done("admin", "INSERT INTO t VALUES (1), (2)").await;
    for text in [
        "SELECT * FROM t",
        "INSERT INTO t VALUES (1)",
        "DESCRIBE TABLE t",
        "DROP TABLE t",
        "SHOW GRANTS ON TABLE t",
        "COMMENT ON TABLE t IS 'x'",
    ] {
        assert_eq!(w.refused("ann", text).await, ErrorKind::UndefinedRelation, "{text}");
    }
    assert_eq!(w.done("admin", "GRANT SELECT ON t TO ann").await, "GRANT");
    assert_eq!(w.rows("ann", "SELECT sum(a) FROM t").await, ["3"]);
    for text in [
        "INSERT INTO t VALUES (1)",
        "DROP TABLE t",
        "GRANT SELECT ON t TO bob",
        "ALTER TABLE t OWNER TO ann",
        "CREATE TABLE mine (a int)",
    ] {
        assert_eq!(w.refused("ann", text).await, ErrorKind::Denied, "{text}");
    }
    w.done("admin", "GRANT MODIFY ON TABLE t TO ann").await;
    assert_eq!(w.done("ann", "INSERT INTO t SELECT a + 10 FROM t").await, "INSERT 0 2");
    assert_eq!(
        w.rows("admin", "SHOW GRANTS ON TABLE t").await,
        [
            "ann|SELECT|TABLE|main.public.t",
            "ann|MODIFY|TABLE|main.public.t",
            "public|USE SCHEMA|SCHEMA|main.public",
            "public|USE CATALOG|CATALOG|main"
        ]
    );
    w.done("admin", "REVOKE SELECT ON t FROM ann").await;
    assert_eq!(w.refused("ann", "SELECT * FROM t").await, ErrorKind::Denied);
    assert_eq!(w.refused("admin", "GRANT SELECT ON t TO nobody").await, ErrorKind::UndefinedObject);
    assert_eq!(w.refused("admin", "GRANT EXECUTE ON TABLE t TO ann").await, ErrorKind::WrongObjectType);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_reads_with_its_owners_rights() {
    let w = Warehouse::new().await;
    w.done("admin", "CREATE TABLE t (a int, b text)").await;
    w.done("admin", "INSERT INTO t VALUES (1, 'x'), (2, 'y')").await;
    assert_eq!(w.done("admin", "CREATE VIEW v (n, word) AS SELECT a, b FROM t WHERE a > 1").await, "CREATE VIEW");
    w.done("admin", "GRANT SELECT ON VIEW v TO ann").await;
    assert_eq!(w.rows("ann", "SELECT n, word FROM v").await, ["2|y"]);
    assert_eq!(w.refused("ann", "SELECT * FROM t").await, ErrorKind::UndefinedRelation);
    assert_eq!(w.refused("admin", "INSERT INTO v VALUES (1, 'x')").await, ErrorKind::ObjectNotInPrerequisiteState);
    assert_eq!(w.refused("admin", "DROP TABLE t").await, ErrorKind::DependentObjects);
    assert_eq!(w.refused("admin", "ALTER TABLE t RENAME TO u").await, ErrorKind::DependentObjects);
    assert_eq!(w.refused("admin", "DROP TABLE v").await, ErrorKind::WrongObjectType);
    assert_eq!(w.refused("admin", "CREATE VIEW w AS SELECT $1").await, ErrorKind::UndefinedParameter);
    assert_eq!(w.refused("admin", "CREATE VIEW w (a, b) AS SELECT 1").await, ErrorKind::Syntax);
    // Who may not read a table cannot learn its columns through a view.
    w.done("admin", "GRANT CREATE VIEW ON SCHEMA public TO bob").await;
    assert_eq!(w.refused("bob", "CREATE VIEW spy AS SELECT * FROM t").await, ErrorKind::UndefinedRelation);
    // Replacing keeps the grants.
    w.done("admin", "CREATE OR REPLACE VIEW v AS SELECT a AS n FROM t").await;
    assert_eq!(w.rows("ann", "SELECT sum(n) FROM v").await, ["3"]);
    assert_eq!(w.done("admin", "DROP TABLE t CASCADE").await, "DROP TABLE");
    assert_eq!(w.refused("admin", "SELECT * FROM v").await, ErrorKind::UndefinedRelation);
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_are_checked_when_they_are_set_and_hold_when_read() {
    let w = Warehouse::new().await;
    w.done("admin", "CREATE TABLE people (id int, region text, ssn text)").await;
    w.done("admin", "INSERT INTO people VALUES (1, 'EU', '111'), (2, 'US', '222')").await;
    w.done("admin", "GRANT SELECT ON people TO ann").await;
    for text in [
        "CREATE FUNCTION only_eu(r text) RETURNS boolean RETURN r = 'EU' OR current_user = 'admin'",
        "CREATE FUNCTION hide(s text) RETURNS text RETURN CASE WHEN current_user = 'admin' THEN s ELSE '***' END",
        "CREATE FUNCTION of_number(n bigint) RETURNS boolean RETURN n > 0",
        "CREATE FUNCTION not_boolean(r text) RETURNS text RETURN r",
        "CREATE FUNCTION chosen(r text) RETURNS boolean RETURN r = current_setting('app.user', true)",
        "CREATE FUNCTION by_way_of(r text) RETURNS boolean RETURN chosen(r)",
        "CREATE FUNCTION by_chance(r text) RETURNS boolean RETURN random() > 0.5",
        "CREATE FUNCTION reads(r text) RETURNS boolean RETURN EXISTS (SELECT 1 FROM people WHERE region = r)",
    ] {
        assert_eq!(w.done("admin", text).await, "CREATE FUNCTION", "{text}");
    }
    for (text, kind) in [
        ("ALTER TABLE people SET ROW FILTER missing ON (region)", ErrorKind::UndefinedFunction),
        ("ALTER TABLE people SET ROW FILTER only_eu ON (nowhere)", ErrorKind::UndefinedColumn),
        ("ALTER TABLE people SET ROW FILTER only_eu ON (id)", ErrorKind::DatatypeMismatch),
        ("ALTER TABLE people SET ROW FILTER of_number ON (id)", ErrorKind::DatatypeMismatch),
        ("ALTER TABLE people SET ROW FILTER not_boolean ON (region)", ErrorKind::DatatypeMismatch),
        ("ALTER TABLE people SET ROW FILTER chosen ON (region)", ErrorKind::InvalidObjectDefinition),
        ("ALTER TABLE people SET ROW FILTER by_way_of ON (region)", ErrorKind::InvalidObjectDefinition),
        ("ALTER TABLE people SET ROW FILTER by_chance ON (region)", ErrorKind::InvalidObjectDefinition),
        ("ALTER TABLE people SET ROW FILTER reads ON (region)", ErrorKind::InvalidObjectDefinition),
        ("ALTER TABLE people ALTER COLUMN id SET MASK hide", ErrorKind::DatatypeMismatch),
        ("ALTER TABLE people ALTER COLUMN nowhere SET MASK hide", ErrorKind::UndefinedColumn),
    ] {
        assert_eq!(w.refused("admin", text).await, kind, "{text}");
    }
    assert_eq!(w.done("admin", "ALTER TABLE people SET ROW FILTER only_eu ON (region)").await, "ALTER TABLE");
    assert_eq!(w.done("admin", "ALTER TABLE people ALTER COLUMN ssn SET MASK hide").await, "ALTER TABLE");
    assert_eq!(w.rows("ann", "SELECT id, region, ssn FROM people").await, ["1|EU|***"]);
    assert_eq!(w.rows("admin", "SELECT id, region, ssn FROM people ORDER BY id").await, ["1|EU|111", "2|US|222"]);
    assert_eq!(w.refused("ann", "ALTER TABLE people DROP ROW FILTER").await, ErrorKind::Denied);

    // The functions stay, and stay what they were checked to be.
    assert_eq!(w.refused("admin", "DROP FUNCTION only_eu CASCADE").await, ErrorKind::DependentObjects);
    let chosen = "CREATE OR REPLACE FUNCTION only_eu(r text) RETURNS boolean RETURN r = current_setting('app.user', true)";
    assert_eq!(w.refused("admin", chosen).await, ErrorKind::InvalidObjectDefinition);
    let other = "CREATE OR REPLACE FUNCTION only_eu(r int) RETURNS boolean RETURN true";
    assert_eq!(w.refused("admin", other).await, ErrorKind::InvalidObjectDefinition);

    // A copy holds what its maker saw; a table that a function names keeps its name.
    w.done("admin", "GRANT CREATE TABLE ON SCHEMA public TO ann").await;
    assert_eq!(w.done("ann", "CREATE TABLE copy AS SELECT * FROM people").await, "SELECT 1");
    assert_eq!(w.rows("ann", "SELECT ssn FROM copy").await, ["***"]);
    assert_eq!(w.refused("admin", "ALTER TABLE people RENAME TO persons").await, ErrorKind::DependentObjects);
    assert_eq!(w.rows("ann", "SELECT id, ssn FROM people").await, ["1|***"]);
    // Inserting is not filtered.
    w.done("admin", "GRANT MODIFY ON people TO ann").await;
    assert_eq!(w.done("ann", "INSERT INTO people VALUES (3, 'US', '333')").await, "INSERT 0 1");
    assert_eq!(w.rows("admin", "SELECT count(*) FROM people").await, ["3"]);
    assert_eq!(w.rows("ann", "SELECT count(*) FROM people").await, ["1"]);
    w.done("admin", "ALTER TABLE people DROP ROW FILTER").await;
    w.done("admin", "ALTER TABLE people ALTER COLUMN ssn DROP MASK").await;
    assert_eq!(w.rows("ann", "SELECT ssn FROM people ORDER BY id").await, ["111", "222", "333"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_external_table_lies_under_an_external_location() {
    let w = Warehouse::new().await;
    w.done("admin", "CREATE TABLE t AS SELECT 1 AS a, 'x' AS b").await;
    let managed = w.path().join("managed").canonicalize().unwrap();
    let lake = w.path().canonicalize().unwrap().join("lake");
    let source = std::fs::read_dir(&managed).unwrap().next().unwrap().unwrap().path();
    copy_directory(&source, &lake.join("outside"));
    let (lake, managed) = (lake.display(), managed.display());

    assert_eq!(
        w.refused("admin", &format!("CREATE TABLE e USING DELTA LOCATION 'file://{lake}/outside'")).await,
        ErrorKind::Denied
    );
    for url in [format!("file://{managed}"), format!("file://{managed}/x"), "file:///".to_string()] {
        w.error("admin", &format!("CREATE EXTERNAL LOCATION l URL '{url}'")).await;
    }
    assert_eq!(w.done("admin", &format!("CREATE EXTERNAL LOCATION l URL 'file://{lake}/'")).await, "CREATE EXTERNAL LOCATION");
    assert_eq!(
        w.refused("admin", &format!("CREATE EXTERNAL LOCATION m URL 'file://{lake}/below'")).await,
        ErrorKind::InvalidObjectDefinition
    );
    assert_eq!(
        w.refused("admin", &format!("CREATE TABLE e USING DELTA LOCATION 'file://{lake}/nothing'")).await,
        ErrorKind::UndefinedObject
    );
    for trick in ["../managed", "%2e%2e/managed", "outside/../../managed", "outside?x=1"] {
        let text = format!("CREATE TABLE e USING DELTA LOCATION 'file://{lake}/{trick}'");
        assert_eq!(w.refused("admin", &text).await, ErrorKind::InvalidParameter, "{trick}");
    }
    assert_eq!(w.done("admin", &format!("CREATE TABLE e USING DELTA LOCATION 'file://{lake}/outside'")).await, "CREATE TABLE");
    assert_eq!(w.rows("admin", "SELECT a, b FROM e").await, ["1|x"]);
    // Two tables over one place would have two sets of policies.
    for place in ["outside", "outside/deeper", ""] {
        let text = format!("CREATE TABLE f USING DELTA LOCATION 'file://{lake}/{place}'");
        assert_eq!(w.refused("admin", &text).await, ErrorKind::InvalidObjectDefinition, "{place}");
    }
    assert_eq!(w.refused("admin", "DROP EXTERNAL LOCATION l").await, ErrorKind::DependentObjects);
    // A user needs the privilege on the location as well.
    w.done("admin", "GRANT CREATE TABLE ON SCHEMA public TO ann").await;
    let create = format!("CREATE TABLE g (x int) USING DELTA LOCATION 'file://{lake}/mine'");
    assert_eq!(w.refused("ann", &create).await, ErrorKind::Denied);
    w.done("admin", "GRANT CREATE EXTERNAL TABLE ON EXTERNAL LOCATION l TO ann").await;
    assert_eq!(w.done("ann", &create).await, "CREATE TABLE");
    assert_eq!(w.done("ann", "INSERT INTO g VALUES (5)").await, "INSERT 0 1");
    // Dropping an external table keeps its files.
    w.done("admin", "DROP TABLE e").await;
    assert_eq!(w.managed_tables().await, 1);
    assert_eq!(w.done("admin", &format!("CREATE TABLE e USING DELTA LOCATION 'file://{lake}/outside'")).await, "CREATE TABLE");
}

fn copy_directory(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_directory(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn principals_come_change_and_go() {
    let w = Warehouse::new().await;
    assert_eq!(w.done("admin", "CREATE ROLE team").await, "CREATE ROLE");
    assert_eq!(w.done("admin", "GRANT team TO ann, bob").await, "GRANT ROLE");
    assert_eq!(w.done("admin", "REVOKE team FROM bob").await, "REVOKE ROLE");
    assert_eq!(w.done("admin", "REVOKE team FROM bob").await, "REVOKE ROLE [role \"bob\" is not a member of role \"team\"]");
    assert_eq!(w.refused("admin", "CREATE USER ann PASSWORD 'x y z'").await, ErrorKind::DuplicateObject);
    assert_eq!(w.refused("admin", "CREATE USER eve PASSWORD ''").await, ErrorKind::InvalidParameter);
    assert_eq!(w.refused("ann", "CREATE USER eve").await, ErrorKind::Denied);
    let before = w.metastore.snapshot().principal("ann").unwrap().verifier.clone();
    assert!(before.as_deref().unwrap().starts_with("SCRAM-SHA-256$4096:"));
    assert_eq!(w.done("ann", "ALTER USER ann PASSWORD 'another one'").await, "ALTER ROLE");
    assert_ne!(w.metastore.snapshot().principal("ann").unwrap().verifier, before);
    assert_eq!(w.refused("ann", "ALTER USER bob PASSWORD 'mine now'").await, ErrorKind::Denied);
    assert_eq!(w.refused("ann", "ALTER USER ann SUPERUSER").await, ErrorKind::Denied);
    w.done("admin", "CREATE SCHEMA anns AUTHORIZATION ann").await;
    assert_eq!(w.refused("admin", "DROP USER ann").await, ErrorKind::DependentObjects);
    assert_eq!(w.refused("admin", "DROP USER admin").await, ErrorKind::ObjectInUse);
    w.done("admin", "DROP SCHEMA anns").await;
    assert_eq!(w.done("admin", "DROP USER IF EXISTS ann, nobody").await, "DROP ROLE [role \"nobody\" does not exist, skipping]");
    assert_eq!(w.refused("admin", "ALTER ROLE admin NOSUPERUSER").await, ErrorKind::InvalidObjectDefinition);
}

#[tokio::test(flavor = "multi_thread")]
async fn show_and_describe_tell_what_the_caller_may_know() {
    let w = Warehouse::new().await;
    w.done("admin", "CREATE CATALOG secret").await;
    w.done("admin", "CREATE SCHEMA hidden").await;
    w.done(
        "admin",
        "CREATE TABLE t (a bigint NOT NULL COMMENT 'key', b text, p date) USING DELTA PARTITIONED BY (p) COMMENT 'a table'",
    )
    .await;
    w.done("admin", "CREATE VIEW v AS SELECT a FROM t").await;
    w.done("admin", "GRANT SELECT ON VIEW v TO ann").await;
    assert_eq!(w.rows("admin", "SHOW CATALOGS").await, ["main", "secret"]);
    assert_eq!(w.rows("ann", "SHOW CATALOGS").await, ["main"]);
    assert_eq!(w.rows("ann", "SHOW SCHEMAS").await, ["information_schema", "pg_catalog", "public"]);
    assert_eq!(w.rows("admin", "SHOW SCHEMAS LIKE 'hid*'").await, ["hidden"]);
    assert_eq!(w.rows("admin", "SHOW TABLES").await, ["public|t|false", "public|v|false"]);
    assert_eq!(w.rows("ann", "SHOW TABLES").await, ["public|v|false"]);
    assert_eq!(w.rows("admin", "SHOW VIEWS").await, ["public|v|false|false"]);
    assert_eq!(w.refused("ann", "SHOW SCHEMAS IN secret").await, ErrorKind::UndefinedCatalog);
    assert_eq!(
        w.rows("admin", "DESCRIBE TABLE t").await,
        [
            "a|bigint|key",
            "b|string|NULL",
            "p|date|NULL",
            "# Partition Information||",
            "# col_name|data_type|comment",
            "p|date|NULL"
        ]
    );
    let extended = w.rows("admin", "DESCRIBE TABLE EXTENDED t").await;
    assert!(
        extended.contains(&"Owner|admin|NULL".to_string()) && extended.contains(&"Comment|a table|NULL".to_string()),
        "{extended:?}"
    );
    let view = w.rows("ann", "DESCRIBE EXTENDED v").await;
    assert!(!view.iter().any(|line| line.starts_with("View Text")), "{view:?}");
    assert_eq!(w.rows("ann", "SHOW COLUMNS IN v").await, ["a"]);
    assert!(w.rows("ann", "DESCRIBE TABLE pg_catalog.pg_namespace").await.iter().any(|line| line.starts_with("nspname|")));
    w.done("admin", "COMMENT ON COLUMN t.b IS 'word'").await;
    assert_eq!(w.rows("admin", "DESCRIBE t").await[1], "b|string|word");
    let history = w.rows("admin", "DESCRIBE HISTORY t").await;
    assert_eq!(history.len(), 1, "{history:?}");
    assert!(history[0].starts_with("0|"), "{history:?}");
    assert_eq!(w.refused("ann", "DESCRIBE HISTORY t").await, ErrorKind::UndefinedRelation);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_is_seen_by_itself_until_it_commits_or_is_forgotten() {
    let w = Warehouse::new().await;
    w.done("admin", "CREATE TABLE old (id int)").await;
    for commits in [true, false] {
        let (block, pins) = w.block();
        let run = async |text: &str| w.run_in(&w.context_of_block("admin", &block, &pins), text).await;
        run("CREATE TABLE made AS SELECT 1 AS id").await.unwrap();
        run("INSERT INTO made VALUES (2), (3)").await.unwrap();
        run("ALTER TABLE made RENAME TO kept").await.unwrap();
        let CommandOutcome::Rows { batch, .. } = run("SELECT sum(id) FROM kept").await.unwrap() else { panic!() };
        assert_eq!(lines(&batch), ["6"]);
        let refused = run("INSERT INTO old VALUES (1)").await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unsupported, "{refused:?}");
        assert_eq!(w.error("admin", "SELECT * FROM kept").await.kind(), ErrorKind::UndefinedRelation);
        // Others go on meanwhile: the block is brought onto the newest state.
        w.done("admin", &format!("CREATE TABLE other{commits} (id int)")).await;
        block.refresh().await.unwrap();
        let CommandOutcome::Rows { batch, .. } = run(&format!("SELECT count(*) FROM kept, other{commits}")).await.unwrap() else {
            panic!()
        };
        assert_eq!(lines(&batch), ["0"]);
        if commits {
            block.commit().await.unwrap();
            assert_eq!(w.rows("admin", "SELECT sum(id) FROM kept").await, ["6"]);
            w.done("admin", "DROP TABLE kept").await;
        }
        drop(block);
        w.managed_tables().await;
        assert_eq!(w.error("admin", "SELECT * FROM kept").await.kind(), ErrorKind::UndefinedRelation);
        assert_eq!(w.metastore.snapshot().orphans().count(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_whose_name_was_taken_fails_as_a_whole() {
    let w = Warehouse::new().await;
    let (block, pins) = w.block();
    let run = async |text: &str| w.run_in(&w.context_of_block("admin", &block, &pins), text).await;
    run("CREATE SCHEMA fresh").await.unwrap();
    run("CREATE TABLE t AS SELECT 1 AS id").await.unwrap();
    w.done("admin", "CREATE TABLE t (a text)").await;
    let error = block.commit().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SerializationFailure, "{error:?}");
    assert!(error.detail().unwrap().contains("relation \"t\" already exists"), "{error:?}");
    drop(block);
    w.managed_tables().await;
    let snapshot = w.metastore.snapshot();
    assert!(snapshot.schema(snapshot.catalog("main").unwrap().id, "fresh").is_none());
    assert_eq!(snapshot.orphans().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_savepoint_gives_back_the_rows_and_entries_behind_it() {
    let w = Warehouse::new().await;
    w.done("admin", "CREATE TABLE t (id int)").await;
    w.done("admin", "CREATE TABLE u (id int)").await;
    let (block, pins) = w.block();
    let run = async |text: &str| w.run_in(&w.context_of_block("admin", &block, &pins), text).await;
    let ids = async || match run("SELECT id FROM t ORDER BY id").await.unwrap() {
        CommandOutcome::Rows { batch, .. } => lines(&batch),
        other => vec![format!("{other:?}")],
    };
    let start = block.steps();
    run("INSERT INTO t VALUES (1)").await.unwrap();
    let savepoint = block.steps();
    run("INSERT INTO t SELECT id + 1 FROM t").await.unwrap();
    assert_eq!(ids().await, ["1", "2"]);
    assert_eq!(run("INSERT INTO u VALUES (1)").await.unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(run("CREATE SCHEMA s").await.unwrap_err().kind(), ErrorKind::Unsupported);
    block.rollback_to(savepoint).await.unwrap();
    assert_eq!(ids().await, ["1"]);
    block.rollback_to(start).await.unwrap();
    assert!(ids().await.is_empty());
    run("CREATE SCHEMA s").await.unwrap();
    block.rollback_to(start).await.unwrap();
    run("INSERT INTO t VALUES (7)").await.unwrap();
    // An append of another goes between; the version that the block reads stays.
    w.done("admin", "INSERT INTO t VALUES (100)").await;
    assert_eq!(ids().await, ["7"]);
    block.commit().await.unwrap();
    assert_eq!(w.rows("admin", "SELECT sum(id) FROM t").await, ["107"]);
    let snapshot = w.metastore.snapshot();
    assert!(snapshot.schema(snapshot.catalog("main").unwrap().id, "s").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoke_reaches_an_open_block() {
    let w = Warehouse::new().await;
    w.done("admin", "GRANT CREATE TABLE ON SCHEMA public TO ann").await;
    let (block, pins) = w.block();
    let run = async |text: &str| w.run_in(&w.context_of_block("ann", &block, &pins), text).await;
    run("CREATE TABLE mine (id int)").await.unwrap();
    w.done("admin", "REVOKE CREATE TABLE ON SCHEMA public FROM ann").await;
    assert_eq!(block.refresh().await.unwrap_err().kind(), ErrorKind::SerializationFailure);
    assert_eq!(block.commit().await.unwrap_err().kind(), ErrorKind::SerializationFailure);
}
