//! Columns that go, come or change their name: masks follow the column itself.
//!
//! The changes are made as another writer makes them: a commit with new `metaData` in the table's log.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::server::{Server, rows, run, sqlstate, transcript};

/// A field of a Delta schema. With column mapping: `name`, its identity and its name in files.
fn field(name: &str, delta_type: &str, mapped: Option<(i64, &str)>) -> Value {
    let metadata = match mapped {
        None => json!({}),
        Some((id, physical)) => json!({"delta.columnMapping.id": id, "delta.columnMapping.physicalName": physical}),
    };
    json!({"name": name, "type": delta_type, "nullable": true, "metadata": metadata})
}

/// Another writer of one table.
struct Writer {
    log: PathBuf,
}

impl Writer {
    /// Of the only table below `data_dir` whose log names `column`.
    fn of(data_dir: &Path, column: &str) -> Self {
        fn logs(directory: &Path, found: &mut Vec<PathBuf>) {
            for entry in std::fs::read_dir(directory).unwrap().flatten().filter(|entry| entry.path().is_dir()) {
                if entry.file_name() == "_delta_log" {
                    found.push(entry.path());
                } else {
                    logs(&entry.path(), found);
                }
            }
        }
        let mut found = Vec::new();
        logs(data_dir, &mut found);
        found.retain(|log| std::fs::read_to_string(log.join(format!("{:020}.json", 0))).unwrap().contains(column));
        assert_eq!(found.len(), 1, "{found:?}");
        Self { log: found.remove(0) }
    }

    fn newest(&self) -> u64 {
        (0..).take_while(|version| self.log.join(format!("{version:020}.json")).exists()).last().unwrap()
    }

    fn actions(&self, key: &str) -> Vec<Value> {
        let commit = |version| std::fs::read_to_string(self.log.join(format!("{version:020}.json"))).unwrap();
        let texts: Vec<String> = (0..=self.newest()).map(commit).collect();
        let lines = texts.iter().flat_map(|text| text.lines()).map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|action| action.get(key).is_some()).collect()
    }

    /// Commits other columns; `edit` may change the rest of `metaData`.
    fn commit(&self, fields: &[Value], edit: impl FnOnce(&mut Value)) {
        let mut metadata = self.actions("metaData").pop().unwrap();
        let schema = json!({"type": "struct", "fields": fields});
        metadata["metaData"]["schemaString"] = json!(schema.to_string());
        edit(&mut metadata["metaData"]);
        let info = json!({"commitInfo": {"timestamp": 1_790_000_000_000_i64, "operation": "CHANGE COLUMNS", "engineInfo": "another writer"}});
        let path = self.log.join(format!("{:020}.json", self.newest() + 1));
        std::fs::write(path, format!("{info}\n{metadata}\n")).unwrap();
    }

    fn columns(&self, fields: &[Value]) {
        self.commit(fields, |_| {});
    }
}

/// A server, admin and alice, and a table `t (id, ssn, note)` whose `ssn` is masked.
async fn masked(properties: &str) -> (tempfile::TempDir, Server, Client, Client, Writer) {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start_on(directory.path(), &[]);
    let admin = server.admin().await;
    run(&admin, "CREATE USER alice PASSWORD 'alice-password-1'; GRANT USE CATALOG ON CATALOG main TO alice; GRANT USE SCHEMA ON SCHEMA main.public TO alice").await;
    run(&admin, "CREATE FUNCTION hide(value text) RETURNS text RETURN CASE WHEN current_user = 'admin' THEN value ELSE '***' END")
        .await;
    run(&admin, &format!("CREATE TABLE t (id bigint, ssn text, note text) {properties}")).await;
    run(&admin, "INSERT INTO t VALUES (1, 'raw-1', 'n1'), (2, 'raw-2', 'n2')").await;
    run(&admin, "ALTER TABLE t ALTER COLUMN ssn SET MASK hide").await;
    run(&admin, "GRANT SELECT ON t TO alice").await;
    let alice = server.user("alice").await;
    let writer = Writer::of(directory.path(), "ssn");
    (directory, server, admin, alice, writer)
}

fn plain(names: &[&str]) -> Vec<Value> {
    names.iter().map(|name| field(name, if *name == "id" { "long" } else { "string" }, None)).collect()
}

async fn first(client: &Client, sql: &str) -> Vec<String> {
    rows(client, sql).await.into_iter().map(|row| row[0].clone().unwrap_or_else(|| "NULL".to_string())).collect()
}

async fn listed(client: &Client) -> Vec<String> {
    first(client, "SELECT column_name FROM information_schema.columns WHERE table_name = 't' ORDER BY ordinal_position").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mask_stays_on_the_versions_that_have_a_column_which_is_gone() {
    let (_directory, _server, admin, alice, writer) = masked("").await;
    writer.columns(&plain(&["id", "note"]));
    assert_eq!(first(&alice, "SELECT note FROM t ORDER BY id").await, ["n1", "n2"]);
    assert_eq!(first(&alice, "SELECT ssn FROM t VERSION AS OF 1").await, ["***", "***"]);
    assert_eq!(sqlstate(&admin, "ALTER TABLE t ALTER COLUMN ssn DROP MASK").await, "42703");
    assert_eq!(listed(&admin).await, ["id", "note"]);
    for query in
        ["SELECT ssn FROM t VERSION AS OF 1", "SELECT max(ssn) FROM t@v1 GROUP BY id", "SELECT to_jsonb(t)->>'ssn' FROM t@v1 t"]
    {
        assert_eq!(first(&alice, query).await, ["***", "***"], "{query}");
    }
    assert_eq!(
        first(&admin, "SELECT ssn FROM t VERSION AS OF 1 ORDER BY id").await,
        ["raw-1", "raw-2"],
        "the mask is asked, as ever"
    );
    let described = transcript(&admin, "DESCRIBE TABLE EXTENDED t").await;
    assert!(described.contains("ssn|main.public.hide in versions that have the column"), "{described}");
    // Without the function nothing of the column is shown, to nobody.
    run(&admin, "DROP FUNCTION hide").await;
    assert_eq!(first(&alice, "SELECT ssn FROM t VERSION AS OF 1").await, ["NULL", "NULL"]);
    assert_eq!(first(&admin, "SELECT ssn FROM t VERSION AS OF 1").await, ["NULL", "NULL"]);
    // It comes back: behind no function that is there, so it stays hidden, until its owner decides anew.
    writer.columns(&plain(&["id", "ssn", "note"]));
    assert!(!transcript(&alice, "SELECT ssn FROM t").await.contains("raw"));
    run(&admin, "ALTER TABLE t ALTER COLUMN ssn DROP MASK").await;
    assert_eq!(first(&alice, "SELECT ssn FROM t ORDER BY id").await, ["raw-1", "raw-2"]);
    assert_eq!(first(&alice, "SELECT ssn FROM t VERSION AS OF 1 ORDER BY id").await, ["raw-1", "raw-2"], "old versions follow");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mask_comes_back_with_its_column() {
    let (_directory, _server, admin, alice, writer) = masked("").await;
    writer.columns(&plain(&["id", "note"]));
    assert_eq!(first(&alice, "SELECT count(*) FROM t").await, ["2"]);
    writer.columns(&plain(&["id", "note", "ssn"]));
    assert_eq!(first(&alice, "SELECT ssn FROM t").await, ["***", "***"]);
    assert_eq!(listed(&alice).await, ["id", "ssn", "note"], "under its old number");
    assert_eq!(first(&admin, "SELECT column_name FROM information_schema.column_masks").await, ["ssn"]);
    assert_eq!(sqlstate(&admin, "DROP FUNCTION hide").await, "2BP01");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_column_beside_a_masked_one_is_hidden_until_its_manager_has_looked() {
    let (_directory, _server, admin, alice, writer) = masked("").await;
    run(&admin, "GRANT INSERT ON t TO alice").await;
    writer.columns(&plain(&["id", "ssn", "note", "social"]));
    run(&alice, "PREPARE all_of_it AS SELECT * FROM t").await;
    for query in [
        "SELECT * FROM t",
        "EXECUTE all_of_it",
        "TABLE t",
        "SELECT t.* FROM t",
        "COPY t TO STDOUT",
        "SELECT row_to_json(t) FROM t",
        "SHOW COLUMNS IN t",
        "DESCRIBE TABLE t",
    ] {
        assert!(!transcript(&alice, query).await.contains("social"), "{query}");
    }
    for query in
        ["SELECT social FROM t", "SELECT t.social FROM t", "INSERT INTO t (social) VALUES ('x')", "COPY t (social) FROM STDIN"]
    {
        assert_eq!(sqlstate(&alice, query).await, "42703", "{query}");
    }
    // Those who write without a right to decide do not decide.
    run(&alice, "INSERT INTO t VALUES (3, 'raw-3', 'n3')").await;
    assert_eq!(sqlstate(&alice, "SELECT social FROM t").await, "42703");
    assert_eq!(listed(&admin).await, ["id", "ssn", "note"]);
    assert!(transcript(&admin, "DESCRIBE TABLE t").await.contains("social"), "its manager can look");
    run(&admin, "ALTER TABLE t ALTER COLUMN social SET MASK hide").await;
    assert_eq!(listed(&alice).await, ["id", "ssn", "note", "social"]);
    assert_eq!(first(&alice, "SELECT social FROM t").await, ["***", "***", "***"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_word_of_its_manager_makes_a_new_column_visible() {
    for word in [
        "COMMENT ON COLUMN t.social IS 'harmless'",
        "ALTER TABLE t ALTER COLUMN social DROP MASK",
        "INSERT INTO t (id) VALUES (9)",
        "BEGIN; ALTER TABLE t ALTER COLUMN ssn SET MASK hide; COMMIT",
    ] {
        let (_directory, _server, admin, alice, writer) = masked("").await;
        writer.columns(&plain(&["id", "ssn", "note", "social"]));
        assert_eq!(sqlstate(&alice, "SELECT social FROM t").await, "42703");
        run(&admin, word).await;
        assert_eq!(first(&alice, "SELECT social FROM t WHERE id = 1").await, ["NULL"], "{word}");
        assert_eq!(first(&alice, "SELECT ssn FROM t WHERE id = 1").await, ["***"], "{word}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_masks_a_new_column_is_seen_and_listed_at_once() {
    let (_directory, _server, admin, alice, writer) = masked("").await;
    run(&admin, "ALTER TABLE t ALTER COLUMN ssn DROP MASK").await;
    writer.columns(&[plain(&["id", "ssn"]), vec![field("note", "string", None), field("social", "integer", None)]].concat());
    assert_eq!(first(&alice, "SELECT social FROM t").await, ["NULL", "NULL"]);
    assert_eq!(listed(&alice).await, ["id", "ssn", "note", "social"]);
    assert_eq!(first(&alice, "SELECT atttypid::regtype FROM pg_attribute WHERE attname = 'social'").await, ["integer"]);
    // Dropped and made anew with another type.
    writer.columns(&[plain(&["id", "ssn"]), vec![field("social", "long", None)]].concat());
    assert_eq!(first(&alice, "SELECT count(*) FROM t").await, ["2"]);
    assert_eq!(listed(&alice).await, ["id", "ssn", "social"]);
    assert_eq!(first(&alice, "SELECT data_type FROM information_schema.columns WHERE column_name = 'social'").await, ["bigint"]);
    assert_eq!(first(&alice, "SELECT note FROM t VERSION AS OF 1 ORDER BY 1").await, ["n1", "n2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn masks_and_filters_follow_a_column_that_another_writer_renames() {
    let (_directory, server, admin, _alice, writer) = masked("TBLPROPERTIES ('delta.columnMapping.mode' = 'name')").await;
    run(&admin, "CREATE FUNCTION first_note(note text) RETURNS boolean RETURN current_user = 'admin' OR note = 'n1'").await;
    run(&admin, "ALTER TABLE t SET ROW FILTER first_note ON (note)").await;
    let schema = writer.actions("metaData").pop().unwrap()["metaData"]["schemaString"].as_str().unwrap().to_string();
    let mut fields: Vec<Value> = serde_json::from_str::<Value>(&schema).unwrap()["fields"].as_array().unwrap().clone();
    // The masked column becomes `tax`; note and ssn change places in the eyes of whoever goes by names.
    fields[1]["name"] = json!("tax");
    fields[2]["name"] = json!("ssn");
    writer.columns(&fields);
    for _ in 0..2 {
        let alice = server.user("alice").await;
        assert_eq!(rows(&alice, "SELECT id, tax, ssn FROM t").await, [["1", "***", "n1"].map(|text| Some(text.to_string()))]);
        assert_eq!(rows(&alice, "SELECT id, ssn, note FROM t@v1").await, [["1", "***", "n1"].map(|text| Some(text.to_string()))]);
    }
    assert_eq!(first(&admin, "SELECT column_name FROM information_schema.column_masks").await, ["tax"]);
    // A column of the old name is another one, and beside a masked one it waits.
    fields.push(field("note", "string", Some((4, "col-of-another"))));
    writer.commit(&fields, |metadata| metadata["configuration"]["delta.columnMapping.maxColumnId"] = json!("4"));
    let alice = server.user("alice").await;
    assert_eq!(sqlstate(&alice, "SELECT note FROM t").await, "42703");
    assert_eq!(first(&alice, "SELECT ssn FROM t").await, ["n1"]);
    // The filter's column goes: no row is shown by another one.
    fields.remove(2);
    writer.columns(&fields);
    assert_eq!(sqlstate(&alice, "SELECT id FROM t").await, "42P17");
    run(&admin, "COMMENT ON COLUMN t.note IS 'new'").await;
    assert_eq!(sqlstate(&alice, "SELECT id FROM t").await, "42P17");
    assert_eq!(rows(&alice, "SELECT id, ssn FROM t@v1").await, [["1", "***"].map(|text| Some(text.to_string()))]);
    run(&admin, "ALTER TABLE t DROP ROW FILTER").await;
    assert_eq!(first(&alice, "SELECT tax FROM t").await, ["***", "***"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_the_mask_of_a_renamed_column_opens_its_older_versions_and_no_others() {
    let (_directory, _server, admin, alice, writer) = masked("TBLPROPERTIES ('delta.columnMapping.mode' = 'id')").await;
    run(&admin, "ALTER TABLE t ALTER COLUMN note SET MASK hide").await;
    let schema = writer.actions("metaData").pop().unwrap()["metaData"]["schemaString"].as_str().unwrap().to_string();
    let mut fields: Vec<Value> = serde_json::from_str::<Value>(&schema).unwrap()["fields"].as_array().unwrap().clone();
    fields[1]["name"] = json!("tax");
    fields.remove(2);
    writer.columns(&fields);
    // What another writer has done is known, whether the block that comes upon it commits or not.
    run(&admin, "BEGIN; ALTER TABLE t ALTER COLUMN tax SET MASK hide; ROLLBACK").await;
    assert_eq!(first(&admin, "SELECT column_name FROM information_schema.column_masks").await, ["tax"]);
    assert_eq!(sqlstate(&admin, "ALTER TABLE t ALTER COLUMN ssn DROP MASK").await, "42703");
    assert_eq!(first(&alice, "SELECT ssn FROM t@v1").await, ["***", "***"]);
    run(&admin, "ALTER TABLE t ALTER COLUMN tax DROP MASK").await;
    assert_eq!(first(&alice, "SELECT ssn FROM t@v1 ORDER BY 1").await, ["raw-1", "raw-2"]);
    assert_eq!(first(&alice, "SELECT note FROM t@v1 ORDER BY 1").await, ["***", "***"]);
    // Prepared, through a view, as a copy, in a block, by a cursor.
    run(&admin, "CREATE VIEW old AS SELECT note FROM t VERSION AS OF 1; GRANT SELECT ON old TO alice").await;
    for query in [
        "PREPARE p AS SELECT note FROM t@v1; EXECUTE p",
        "SELECT note FROM old",
        "COPY (SELECT note FROM t@v1) TO STDOUT",
        "BEGIN; DECLARE c CURSOR FOR SELECT note FROM t@v1; FETCH ALL FROM c; COMMIT",
        "CREATE TEMP TABLE own AS SELECT note FROM t@v1; SELECT note FROM own",
        "SELECT note FROM t@v1 WHERE note = 'n1'",
        "SELECT max(note), min(note) FROM t@v1",
    ] {
        let answer = transcript(&alice, query).await;
        assert!(!answer.contains("n1") && !answer.contains("n2"), "{query}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_made_anew_by_another_writer_keeps_the_masks_of_its_names() {
    let (_directory, _server, admin, alice, writer) = masked("TBLPROPERTIES ('delta.columnMapping.mode' = 'name')").await;
    let anew = |name: &str, id| field(name, if name == "id" { "long" } else { "string" }, Some((id, &format!("new-{name}"))));
    writer.commit(&[anew("id", 4), anew("ssn", 5), anew("other", 6)], |metadata| {
        metadata["configuration"]["delta.columnMapping.maxColumnId"] = json!("6");
    });
    assert!(!transcript(&alice, "SELECT * FROM t").await.contains("ssn"));
    run(&admin, "COMMENT ON COLUMN t.other IS 'looked at'").await;
    assert_eq!(listed(&alice).await, ["id", "ssn", "other"]);
    assert_eq!(first(&admin, "SELECT column_name FROM information_schema.column_masks").await, ["ssn"]);
    assert_eq!(first(&alice, "SELECT ssn FROM t VERSION AS OF 1").await, ["***", "***"]);
    run(&admin, "ALTER TABLE t ALTER COLUMN ssn DROP MASK").await;
    assert_eq!(first(&alice, "SELECT ssn FROM t VERSION AS OF 1").await, ["***", "***"], "it is another column");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_masked_column_of_another_type_is_not_read() {
    let (_directory, _server, admin, alice, writer) = masked("").await;
    run(
        &admin,
        "CREATE FUNCTION no_number(value bigint) RETURNS bigint RETURN 0; ALTER TABLE t ALTER COLUMN id SET MASK no_number",
    )
    .await;
    writer.columns(&[field("id", "string", None), field("ssn", "string", None), field("note", "string", None)]);
    for query in ["SELECT id FROM t", "SELECT note FROM t", "EXPLAIN SELECT * FROM t"] {
        assert_eq!(sqlstate(&alice, query).await, "42P17", "{query}");
    }
    assert_eq!(first(&alice, "SELECT id FROM t VERSION AS OF 1").await, ["0", "0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_of_the_past_outlive_the_server() {
    let (directory, server, admin, alice, writer) = masked("").await;
    writer.columns(&plain(&["id", "note"]));
    assert_eq!(first(&alice, "SELECT count(*) FROM t").await, ["2"]);
    drop((admin, alice));
    assert_eq!(server.stop(), 0);
    let server = Server::start_on(directory.path(), &[]);
    let alice = server.user("alice").await;
    assert_eq!(first(&alice, "SELECT ssn FROM t VERSION AS OF 1").await, ["***", "***"]);
}

/// The same queries over a table with masks and over one that holds what the masks show.
#[tokio::test(flavor = "multi_thread")]
async fn a_masked_column_may_be_null_though_the_stored_one_never_is() {
    let server = Server::start();
    let admin = server.admin().await;
    run(&admin, "CREATE USER alice PASSWORD 'alice-password-1'").await;
    run(&admin, "CREATE FUNCTION no_number(value bigint) RETURNS bigint RETURN NULL::bigint; CREATE FUNCTION above_one(value bigint) RETURNS bigint RETURN CASE WHEN value > 1 THEN value END").await;
    run(
        &admin,
        "CREATE TABLE masked (id bigint NOT NULL, pin bigint NOT NULL MASK above_one, code bigint NOT NULL MASK no_number)",
    )
    .await;
    run(&admin, "INSERT INTO masked VALUES (1, 1, 10), (2, 2, 20), (3, 3, 30)").await;
    run(&admin, "CREATE TABLE copied (id bigint NOT NULL, pin bigint, code bigint); INSERT INTO copied VALUES (1, NULL, NULL), (2, 2, NULL), (3, 3, NULL)").await;
    run(&admin, "CREATE TABLE other (k bigint); INSERT INTO other VALUES (1), (2), (5)").await;
    run(&admin, "CREATE VIEW masked_view AS SELECT * FROM masked; CREATE VIEW copied_view AS SELECT * FROM copied").await;
    run(&admin, "GRANT USE CATALOG ON CATALOG main TO alice; GRANT USE SCHEMA ON SCHEMA main.public TO alice; GRANT SELECT ON SCHEMA main.public TO alice").await;
    let alice = server.user("alice").await;
    let mut different = Vec::new();
    for query in [
        "SELECT 5 NOT IN (SELECT pin FROM {})",
        "SELECT 5 NOT IN (SELECT code FROM {})",
        "SELECT k FROM other WHERE k NOT IN (SELECT pin FROM {}) ORDER BY 1",
        "SELECT k FROM other WHERE k NOT IN (SELECT pin FROM {} WHERE id > 1) ORDER BY 1",
        "SELECT k <> ALL (SELECT pin FROM {}) FROM other ORDER BY k",
        "SELECT pin NOT IN (SELECT k FROM other) FROM {} ORDER BY id",
        "SELECT o.k, w IS NULL FROM other o LEFT JOIN (SELECT pin, code FROM {}) w ON o.k = w.pin ORDER BY 1",
        "SELECT o.k, w.code IS NULL, w.id FROM other o LEFT JOIN {} w ON o.k = w.id ORDER BY 1",
        "SELECT o.k, w IS NULL FROM other o LEFT JOIN {} w ON o.k = w.id ORDER BY 1",
        "SELECT o.k, w IS NOT NULL FROM other o LEFT JOIN {} w ON o.k = w.id ORDER BY 1",
        "SELECT o.k, w IS NULL FROM {} w RIGHT JOIN other o ON o.k = w.id ORDER BY 1",
        "SELECT o.k, w FROM other o FULL JOIN {} w ON o.k = w.id ORDER BY 1, 2",
        "SELECT o.k, w.xmin, w.tableoid IS NULL FROM other o LEFT JOIN {} w ON o.k = w.id ORDER BY 1",
        "SELECT count(*), count(pin), count(code), count(id) FROM {}",
        "SELECT count(DISTINCT pin), count(pin) FILTER (WHERE id < 3) FROM {}",
        "SELECT id FROM {} WHERE pin IS NULL ORDER BY 1",
        "SELECT id FROM {} WHERE code IS NOT NULL ORDER BY 1",
        "SELECT id FROM {} WHERE NOT (pin = 2) ORDER BY 1",
        "SELECT id FROM {} WHERE pin IS DISTINCT FROM 2 ORDER BY 1",
        "SELECT id FROM {} WHERE (pin = 2) IS NOT TRUE ORDER BY 1",
        "SELECT id FROM {} WHERE COALESCE(pin, 0) = 0 ORDER BY 1",
        "SELECT COALESCE(code, id) FROM {} ORDER BY 1",
        "SELECT id FROM {} w WHERE w IS NOT NULL ORDER BY 1",
        "SELECT id FROM {} w WHERE NOT EXISTS (SELECT 1 FROM other o WHERE o.k = w.pin) ORDER BY 1",
        "SELECT id, (SELECT max(o.k) FROM other o WHERE o.k < w.pin) FROM {} w ORDER BY 1",
        "SELECT pin FROM {} ORDER BY pin",
        "SELECT pin FROM {} ORDER BY pin DESC",
        "SELECT id, first_value(pin) OVER (ORDER BY pin NULLS FIRST) FROM {} ORDER BY 1",
        "SELECT pin FROM {} UNION SELECT k FROM other ORDER BY 1",
        "SELECT pin FROM {} EXCEPT SELECT k FROM other ORDER BY 1",
        "SELECT a.id FROM {} a JOIN other ON a.pin IS NOT DISTINCT FROM k ORDER BY 1",
        "SELECT a.id, b.id FROM {} a LEFT JOIN {} b ON a.pin = b.pin ORDER BY 1, 2",
        "SELECT nullif(pin, 2), num_nulls(pin, code) FROM {} ORDER BY id",
        "SELECT array_agg(pin ORDER BY id), string_agg(code::text, ',') FROM {}",
        "SELECT pin, grouping(pin), count(*) FROM {} GROUP BY ROLLUP (pin) ORDER BY 1, 2",
        "SELECT x.pin FROM other o LEFT JOIN LATERAL (SELECT w.pin FROM {} w WHERE w.id = o.k) x ON true ORDER BY o.k",
        "WITH c AS (SELECT pin FROM {}) SELECT 7 NOT IN (SELECT pin FROM c), count(pin) FROM c",
    ] {
        for (masked, copied) in [("masked", "copied"), ("masked_view", "copied_view")] {
            let (seen, expected) =
                (transcript(&alice, &query.replace("{}", masked)).await, transcript(&alice, &query.replace("{}", copied)).await);
            if seen != expected {
                different.push(format!("{query}\n  masked: {seen}\n  copied: {expected}"));
            }
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn time_travel_beyond_the_newest_version_does_not_tell_which_one_it_is() {
    let (_directory, _server, admin, alice, _writer) = masked("").await;
    let ask = [
        "SELECT * FROM t VERSION AS OF 99",
        "SELECT * FROM t@v99",
        "SELECT * FROM t TIMESTAMP AS OF '2999-01-01'",
        "SELECT * FROM t TIMESTAMP AS OF '1970-01-02'",
    ];
    let mut before = Vec::new();
    for query in ask {
        before.push(transcript(&alice, query).await);
    }
    assert!(before.iter().all(|answer| answer.starts_with("error 22023")), "{before:?}");
    run(&admin, "INSERT INTO t VALUES (3, 'raw-3', 'n3'); INSERT INTO t VALUES (4, 'raw-4', 'n4')").await;
    for (query, before) in ask.iter().zip(before) {
        assert_eq!(transcript(&alice, query).await, before, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mask_is_not_dropped_while_nobody_can_tell_which_column_it_is_on() {
    let (directory, _server, admin, alice, writer) = masked("").await;
    let table = writer.log.parent().unwrap();
    let away = directory.path().join("away");
    std::fs::rename(table, &away).unwrap();
    assert_eq!(sqlstate(&alice, "ALTER TABLE t ALTER COLUMN ssn DROP MASK").await, "42501");
    assert_eq!(sqlstate(&admin, "ALTER TABLE t ALTER COLUMN ssn DROP MASK").await, "55000");
    run(&admin, "ALTER TABLE t ALTER COLUMN note SET MASK hide").await;
    std::fs::rename(&away, table).unwrap();
    assert_eq!(rows(&alice, "SELECT ssn, note FROM t WHERE id = 1").await, [["***", "***"].map(|text| Some(text.to_string()))]);
    run(&admin, "ALTER TABLE t ALTER COLUMN ssn DROP MASK").await;
}

/// A guess that contradicts the filter's own constant leaves nothing to read: the plan around it is the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_plan_confirms_no_constant_of_a_policy() {
    let server = Server::start();
    let admin = server.admin().await;
    run(&admin, "CREATE USER alice PASSWORD 'alice-password-1'; CREATE TABLE t (a text, b text, n bigint)").await;
    run(&admin, "INSERT INTO t VALUES ('x', 'canary', 1), ('y', 'other', 2)").await;
    run(&admin, "CREATE FUNCTION one(b text, n bigint) RETURNS boolean RETURN b = 'canary' AND n < 100").await;
    run(&admin, "ALTER TABLE t SET ROW FILTER one ON (b, n); GRANT SELECT ON t TO alice; GRANT USE CATALOG ON CATALOG main TO alice; GRANT USE SCHEMA ON SCHEMA main.public TO alice").await;
    let alice = server.user("alice").await;
    for query in [
        "EXPLAIN SELECT a FROM t WHERE b = $",
        "EXPLAIN (FORMAT JSON) SELECT a FROM t WHERE b = $",
        "EXPLAIN SELECT a FROM t WHERE b = $ ORDER BY a LIMIT 1",
        "EXPLAIN SELECT count(*) FROM t WHERE b = $ GROUP BY a",
        "EXPLAIN SELECT x.a FROM t x JOIN t y ON x.a = y.a WHERE x.b = $",
        "EXPLAIN SELECT a FROM t WHERE b IN ($, 'z')",
        "EXPLAIN SELECT a, rank() OVER (PARTITION BY b ORDER BY n) FROM t WHERE b = $",
    ] {
        let explain = async |guess: &str| transcript(&alice, &query.replace('$', guess)).await.replace(guess, "$");
        assert_eq!(explain("'canary'").await, explain("'unlike'").await, "{query}");
    }
    let explain =
        async |bound: &str| transcript(&alice, &format!("EXPLAIN SELECT a FROM t WHERE n > {bound}")).await.replace(bound, "$");
    assert_eq!(explain("50").await, explain("1000").await);
}
