//! Reads a version of a table from its log.
//!
//! A damaged checkpoint, or a `_last_checkpoint` that points nowhere, costs time and not data as long as the commits are complete: the log
//! is read again without the hint, then without the newest checkpoint, and so on. A damaged commit is an error, whatever else is there.

use std::collections::BTreeMap;
use std::sync::Arc;

use delta_kernel::snapshot::{Snapshot, SnapshotRef};
use delta_kernel::{Engine, KernelError, KernelResult};
use tokio::runtime::Handle;
use tracing::warn;

use super::engine::{LogView, TableEngine};
use super::error::translate;
use super::files::{self, TableColumns};
use super::schema;
use crate::error::{Error, ErrorKind, Result};
use crate::lake::TableRef;
use crate::lake::files::DataFile;
use crate::storage::RootedStore;

/// Most damaged checkpoints that are passed over.
const MAX_CHECKPOINTS_SKIPPED: usize = 16;

/// A version of a table as its log describes it.
#[derive(Debug, Clone)]
pub(in crate::lake) struct LoadedTable {
    /// The kernel's own state, from which the next version is reached by reading the log's tail only.
    pub(in crate::lake) kernel: SnapshotRef,
    /// Engine that sees the log in the way that worked.
    pub(in crate::lake) engine: Arc<TableEngine>,
    /// Version.
    pub(in crate::lake) version: u64,
    /// When it was committed, in milliseconds since the epoch.
    pub(in crate::lake) timestamp_ms: i64,
    /// The table's own identity: a table made anew at the same place has another.
    pub(in crate::lake) table_id: String,
    /// Columns.
    pub(in crate::lake) columns: TableColumns,
    /// Comments by column.
    pub(in crate::lake) comments: BTreeMap<String, String>,
    /// Description of the table.
    pub(in crate::lake) description: Option<String>,
    /// TBLPROPERTIES.
    pub(in crate::lake) properties: BTreeMap<String, String>,
    /// Live files.
    pub(in crate::lake) files: Vec<Arc<DataFile>>,
    /// Modification time in milliseconds and size of the newest commit, by which a table that was made anew is noticed.
    pub(in crate::lake) newest_commit: Option<(i64, u64)>,
}

/// Reads `version`, or the newest. Blocks.
///
/// # Errors
/// [`ErrorKind::UndefinedRelation`] if there is no log, [`ErrorKind::DataCorrupted`] if the log is damaged, [`ErrorKind::Unsupported`].
pub(in crate::lake) fn load(table: &TableRef, store: &Arc<RootedStore>, io: &Handle, version: Option<u64>) -> Result<LoadedTable> {
    let mut view = LogView::WHOLE;
    let mut first_error: Option<Error> = None;
    for _ in 0..MAX_CHECKPOINTS_SKIPPED {
        let engine = Arc::new(TableEngine::new(store, io, view));
        let error = match read(table, store, &engine, None, version) {
            Ok(loaded) => {
                if let Some(error) = &first_error {
                    warn!(table = %table.name, version = loaded.version, error = ?error, "checkpoint is damaged, reading commits instead");
                }
                return Ok(loaded);
            }
            Err(error) => error,
        };
        let recoverable = error.kind() == ErrorKind::DataCorrupted && error.detail() != Some(EMPTY_COMMIT);
        let error = first_error.take().unwrap_or(error);
        if !recoverable {
            return Err(error);
        }
        let log = commits_and_checkpoints(store, &engine).map_err(|error| translate(table, error))?;
        let Some(newest) = log.newest_commit.max(log.newest_checkpoint) else {
            return Err(Error::new(
                ErrorKind::UndefinedRelation,
                format!("there is no Delta table at the location of \"{}\"", table.name),
            ));
        };
        if let Some(version) = version.filter(|version| *version > newest) {
            return Err(Error::new(
                ErrorKind::InvalidParameter,
                format!("version {version} of table \"{}\" does not exist", table.name),
            ));
        }
        view = match log.newest_checkpoint {
            _ if view.hint => LogView { hint: false, ..view },
            Some(checkpoint) => LogView { hint: false, checkpoints_before: checkpoint },
            None => return Err(error),
        };
        first_error = Some(error);
    }
    Err(first_error.unwrap_or_else(|| Error::internal("a log was not read")))
}

/// Reads the newest version by the commits after `base`. Blocks.
///
/// # Errors
/// As [`load`].
pub(in crate::lake) fn advance(table: &TableRef, store: &Arc<RootedStore>, base: &LoadedTable) -> Result<LoadedTable> {
    read(table, store, &base.engine, Some(base), None)
}

const EMPTY_COMMIT: &str = "A commit file has no content.";

fn read(
    table: &TableRef,
    store: &Arc<RootedStore>,
    engine: &Arc<TableEngine>,
    base: Option<&LoadedTable>,
    version: Option<u64>,
) -> Result<LoadedTable> {
    let kernel = match (base, version) {
        (Some(base), _) => Snapshot::builder_from(Arc::clone(&base.kernel)).build(engine.as_ref()),
        (None, Some(version)) => Snapshot::builder_for(store.root_url().as_str()).at_version(version).build(engine.as_ref()),
        (None, None) => Snapshot::builder_for(store.root_url().as_str()).build(engine.as_ref()),
    };
    let kernel = kernel.map_err(|error| translate(table, error))?;
    check_commits(table, &kernel)?;
    check_complete(table, &kernel)?;
    let configuration = kernel.table_configuration();
    check_format(table, configuration.metadata().format_provider())?;
    let (fields, stored) = schema::columns(&kernel.schema(), configuration.column_mapping_mode())
        .map_err(|error| error.with_detail(format!("It is a column of table \"{}\".", table.name)))?;
    let partition_columns = configuration.metadata().partition_columns().to_vec();
    let columns = TableColumns { fields, stored, partition_columns };
    let since = base.filter(|base| base.columns == columns && base.table_id == configuration.metadata().id());
    let is_empty = columns.fields.is_empty();
    let advanced = match since {
        // A table without columns has no rows, and the kernel does not look for files.
        _ if is_empty => Ok(Some(vec![])),
        Some(base) => files::list_since(table, base, &kernel, store, &columns),
        None => Ok(None),
    };
    let files = match advanced.map_err(|error| translate(table, error))? {
        Some(files) => files,
        None => files::list(table, &kernel, engine, store, &columns).map_err(|error| translate(table, error))?,
    };
    let listed = &kernel.log_segment().listed;
    let newest_commit = listed.latest_commit_file.as_ref();
    let timestamp_ms = match listed.checkpoint_parts.first().filter(|_| newest_commit.is_none()) {
        // The commit of the newest version is gone, and its checkpoint is left.
        Some(checkpoint) => checkpoint.location.last_modified,
        None => kernel.get_timestamp(engine.as_ref()).map_err(|error| translate(table, error))?,
    };
    Ok(LoadedTable {
        version: kernel.version(),
        timestamp_ms,
        table_id: configuration.metadata().id().to_string(),
        comments: schema::comments(&kernel.schema()).collect(),
        description: configuration.metadata().description().map(ToString::to_string),
        properties: kernel.metadata_configuration().iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
        newest_commit: newest_commit.map(|commit| (commit.location.last_modified, commit.location.size)),
        columns,
        files,
        kernel,
        engine: Arc::clone(engine),
    })
}

/// The kernel reads an empty commit file as a commit without actions: rows would be missing without a word.
fn check_commits(table: &TableRef, kernel: &SnapshotRef) -> Result<()> {
    match kernel.log_segment().listed.ascending_commit_files.iter().find(|commit| commit.location.size == 0) {
        Some(empty) => Err(Error::new(
            ErrorKind::DataCorrupted,
            format!("version {} in the log of table \"{}\" is damaged", empty.version, table.name),
        )
        .with_detail(EMPTY_COMMIT)),
        None => Ok(()),
    }
}

/// A version needs all commits from the first one on, or from a checkpoint on. The kernel takes what is left of a log for the whole of it.
fn check_complete(table: &TableRef, kernel: &SnapshotRef) -> Result<()> {
    let log = kernel.log_segment();
    let first = log.checkpoint_version.map_or(0, |checkpoint| checkpoint.saturating_add(1));
    let commits = log.listed.ascending_commit_files.iter().map(|commit| commit.version);
    let wanted = first..kernel.version().saturating_add(1);
    match wanted.clone().zip(commits.clone()).find(|(wanted, found)| wanted != found) {
        None if commits.count() as u64 == wanted.end.saturating_sub(wanted.start) => Ok(()),
        missing => Err(Error::new(ErrorKind::DataCorrupted, format!("the log of table \"{}\" is damaged", table.name))
            .with_detail(format!(
                "Version {} is missing, and there is no whole checkpoint of it or of a later version.",
                missing.map_or(first, |(wanted, _)| wanted)
            ))),
    }
}

/// Delta knows files of Parquet only; what a log calls otherwise is not read as if it were.
fn check_format(table: &TableRef, provider: &str) -> Result<()> {
    if provider.eq_ignore_ascii_case("parquet") {
        return Ok(());
    }
    Err(Error::unsupported(format!("data files of table \"{}\" in the format \"{provider}\"", table.name))
        .with_hint("Delta tables have Parquet files."))
}

#[derive(Default)]
struct LogFiles {
    newest_commit: Option<u64>,
    newest_checkpoint: Option<u64>,
}

fn commits_and_checkpoints(store: &RootedStore, engine: &TableEngine) -> KernelResult<LogFiles> {
    let start = store.root_url().join("_delta_log/0")?;
    let mut log = LogFiles::default();
    let files = match engine.storage_handler().list_from(&start) {
        Ok(files) => files,
        Err(KernelError::FileNotFound(_)) => return Ok(log),
        Err(error) => return Err(error),
    };
    for file in files {
        let file = file?;
        let name = file.location.path().rsplit('/').next().unwrap_or_default();
        let Some((version, rest)) = name.split_once('.') else { continue };
        let Ok(version) = version.parse::<u64>() else { continue };
        match rest {
            "json" => log.newest_commit = log.newest_commit.max(Some(version)),
            rest if rest.starts_with("checkpoint.") => log.newest_checkpoint = log.newest_checkpoint.max(Some(version)),
            _ => {}
        }
    }
    Ok(log)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::error::ErrorKind;
    use crate::lake::testing::{Foreign, TestLake, metadata, schema};
    use crate::lake::{AsOf, LakeOptions, TableRef};
    use crate::types::SqlType;
    use serde_json::json;

    /// A table with versions 0 to 5 and checkpoints at 2 and 4, closed.
    async fn table(test: &TestLake) -> TableRef {
        let table = test.make("t", &[("id", SqlType::Int4)], &[]).await;
        for id in 1..=5 {
            test.insert(&table, &format!("VALUES ({id})")).await.unwrap();
        }
        test.lake.close().await;
        assert!(test.log_file("t", "_last_checkpoint").exists());
        table
    }

    fn test_lake() -> TestLake {
        TestLake::with_options(LakeOptions { checkpoint_interval: 2, ..LakeOptions::default() })
    }

    /// What somebody reads who has nothing in memory.
    async fn read_anew(table: &TableRef) -> crate::error::Result<String> {
        let fresh = TestLake::new();
        let snapshot = fresh.lake.snapshot(table, AsOf::Latest).await?;
        Ok(fresh.query_on(&snapshot, "SELECT count(*), sum(id) FROM t").await.unwrap())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_damaged_checkpoint_costs_time_only() {
        for damage in ["", "PAR1 this is not a checkpoint PAR1"] {
            let test = test_lake();
            let table = table(&test).await;
            fs::write(test.log_file("t", "00000000000000000004.checkpoint.parquet"), damage).unwrap();
            assert_eq!(read_anew(&table).await.unwrap(), "5|15");
            fs::write(test.log_file("t", "00000000000000000002.checkpoint.parquet"), damage).unwrap();
            assert_eq!(read_anew(&table).await.unwrap(), "5|15");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_hint_that_points_nowhere_costs_time_only() {
        for hint in ["", "{", "{\"version\":99,\"size\":3}", "{\"version\":3,\"size\":3}"] {
            let test = test_lake();
            let table = table(&test).await;
            fs::write(test.log_file("t", "_last_checkpoint"), hint).unwrap();
            assert_eq!(read_anew(&table).await.unwrap(), "5|15", "{hint}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_damaged_commit_is_an_error_and_never_fewer_rows() {
        for damage in ["", "{\"add\":{\"path\":\"x\"", "not json", "{}{"] {
            let test = test_lake();
            let table = table(&test).await;
            fs::write(test.commit_file("t", 5), damage).unwrap();
            let error = read_anew(&table).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::DataCorrupted, "{damage}: {error:?}");
            // Who has an older version resident sees it, too.
            let error = test.lake.snapshot(&table, AsOf::Latest).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::DataCorrupted, "{damage}: {error:?}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_missing_commit_is_an_error() {
        let test = TestLake::new();
        let table = test.make("t", &[("id", SqlType::Int4)], &[]).await;
        for id in 1..=3 {
            test.insert(&table, &format!("VALUES ({id})")).await.unwrap();
        }
        fs::remove_file(test.commit_file("t", 2)).unwrap();
        assert_eq!(read_anew(&table).await.unwrap_err().kind(), ErrorKind::DataCorrupted);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn old_versions_need_only_a_checkpoint_and_what_follows() {
        let test = test_lake();
        let table = table(&test).await;
        for version in 0..4 {
            fs::remove_file(test.commit_file("t", version)).unwrap();
        }
        assert_eq!(read_anew(&table).await.unwrap(), "5|15");
        let fresh = TestLake::new();
        let at = async |version| fresh.lake.snapshot(&table, AsOf::Version(version)).await.map(|snapshot| snapshot.num_rows());
        assert_eq!(at(4).await.unwrap(), Some(4));
        assert_eq!(at(1).await.unwrap_err().kind(), ErrorKind::InvalidParameter);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_log_that_names_files_outside_of_the_table_is_refused() {
        let test = test_lake();
        let victim = test.make("victim", &[("id", SqlType::Int4)], &[]).await;
        test.insert(&victim, "VALUES (42)").await.unwrap();
        let victim_file = fs::read_dir(test.directory.path().join("victim")).unwrap();
        let victim_file = victim_file.map(|entry| entry.unwrap().path()).find(|path| path.is_file()).unwrap();
        let name = victim_file.file_name().unwrap().to_str().unwrap();
        for (number, reference) in [
            victim_file.to_str().unwrap().to_string(),
            format!("file://{}", victim_file.display()),
            format!("../victim/{name}"),
            format!("x/../../victim/{name}"),
            format!("%2e%2e/victim/{name}"),
            format!("%252e%252e/victim/{name}"),
            format!("..%2fvictim%2f{name}"),
            format!("local://{}", victim_file.display()),
            format!("s3://bucket/{name}"),
            format!("https://127.0.0.1:1/{name}?X-Amz-Signature=1"),
            format!("//host/{name}"),
        ]
        .into_iter()
        .enumerate()
        {
            let table = test.make(&format!("t{number}"), &[("id", SqlType::Int4)], &[]).await;
            test.insert(&table, "VALUES (1)").await.unwrap();
            let file = test.commit_file(&table.name, 1);
            let commit = fs::read_to_string(&file).unwrap();
            let (before, after) = commit.split_once("\"path\":\"").unwrap();
            let (_, after) = after.split_once('"').unwrap();
            fs::write(&file, format!("{before}\"path\":\"{reference}\"{after}")).unwrap();
            let error = read_anew(&table).await.unwrap_err();
            // Absolute ones are those of shallow clones.
            let is_absolute = reference.starts_with('/') || reference.contains("://");
            let kind = if is_absolute { ErrorKind::Unsupported } else { ErrorKind::DataCorrupted };
            assert_eq!(error.kind(), kind, "{reference}: {error:?}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_log_without_its_beginning_needs_a_whole_checkpoint() {
        let test = TestLake::new();
        let table = test.make("t", &[("id", SqlType::Int4)], &[]).await;
        for id in 1..=5 {
            test.insert(&table, &format!("VALUES ({id})")).await.unwrap();
        }
        assert_eq!(read_anew(&table).await.unwrap(), "5|15");
        fs::remove_file(test.commit_file("t", 0)).unwrap();
        // The table's shape stands in a later version, too, so that what is left looks like a log.
        let first = fs::read_to_string(test.commit_file("t", 1)).unwrap();
        let shape = Foreign::new(&test, "shape", &schema(&[("id", "integer")]), &[]);
        let shape = fs::read_to_string(shape.root.join("_delta_log/00000000000000000000.json")).unwrap();
        fs::write(test.commit_file("t", 1), format!("{shape}{first}")).unwrap();
        let error = read_anew(&table).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DataCorrupted, "{error:?}");
        fs::remove_file(test.commit_file("t", 1)).unwrap();
        assert_eq!(read_anew(&table).await.unwrap_err().kind(), ErrorKind::DataCorrupted);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_damaged_checkpoint_without_the_commits_before_is_an_error() {
        for damage in ["", "PAR1 this is not a checkpoint PAR1"] {
            let test = test_lake();
            let table = table(&test).await;
            for version in 0..=2 {
                fs::remove_file(test.commit_file("t", version)).unwrap();
            }
            assert_eq!(read_anew(&table).await.unwrap(), "5|15");
            fs::write(test.log_file("t", "00000000000000000002.checkpoint.parquet"), damage).unwrap();
            let fresh = TestLake::new();
            let at = async |version| fresh.lake.snapshot(&table, AsOf::Version(version)).await.map(|snapshot| snapshot.num_rows());
            // Version 3 is there, and cannot be made without the checkpoint; those before were cleaned up.
            assert_eq!(at(3).await.unwrap_err().kind(), ErrorKind::DataCorrupted);
            assert_eq!(at(1).await.unwrap_err().kind(), ErrorKind::InvalidParameter);
            assert_eq!(at(4).await.unwrap(), Some(4));
            fs::write(test.log_file("t", "00000000000000000004.checkpoint.parquet"), damage).unwrap();
            assert_eq!(read_anew(&table).await.unwrap_err().kind(), ErrorKind::DataCorrupted);
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_checkpoint_is_a_version_without_its_commit() {
        let test = test_lake();
        let table = table(&test).await;
        for version in 0..=5 {
            fs::remove_file(test.commit_file("t", version)).unwrap();
        }
        assert_eq!(read_anew(&table).await.unwrap(), "4|10");
        assert_eq!(test.query(&table, "SELECT count(*), sum(id) FROM t").await, "4|10");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_log_wins_over_a_checksum_of_its_version() {
        let test = TestLake::new();
        let foreign = Foreign::new(&test, "t", &schema(&[("id", "integer")]), &[]);
        let other = metadata(&schema(&[("other", "string")]), &[]);
        let checksum = json!({"tableSizeBytes": 0, "numFiles": 0, "numMetadata": 1, "numProtocol": 1, "metadata": other["metaData"],
            "protocol": {"minReaderVersion": 1, "minWriterVersion": 2}});
        fs::write(foreign.root.join("_delta_log/00000000000000000000.crc"), checksum.to_string()).unwrap();
        assert_eq!(test.newest(&test.table("t")).await.schema().field(0).name(), "id");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn files_of_another_format_are_refused() {
        let test = TestLake::new();
        let foreign = Foreign::new(&test, "t", &schema(&[("id", "integer")]), &[]);
        let file = foreign.root.join("_delta_log/00000000000000000000.json");
        let commit = fs::read_to_string(&file).unwrap().replace("\"parquet\"", "\"orc\"");
        fs::write(&file, commit).unwrap();
        let error = read_anew(&test.table("t")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
        assert!(error.message().contains("\"orc\""), "{error:?}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn features_that_cannot_be_read_are_refused_by_name() {
        let test = TestLake::new();
        let table = test.make("t", &[("id", SqlType::Int4)], &[]).await;
        let file = test.commit_file("t", 0);
        let commit = fs::read_to_string(&file).unwrap();
        let mut lines: Vec<String> = commit.lines().map(ToString::to_string).collect();
        for line in &mut lines {
            if line.contains("\"protocol\"") {
                *line = r#"{"protocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["timeMachine"],"writerFeatures":["timeMachine"]}}"#.into();
            }
        }
        fs::write(&file, lines.join("\n")).unwrap();
        let error = read_anew(&table).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
        assert!(error.detail().unwrap().contains("timeMachine"), "{error:?}");
    }
}
