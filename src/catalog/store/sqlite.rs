//! Rows in a SQLite file.
//!
//! `metastore.db` lies in the data directory beside `metastore.lock`, which one process holds for as long as it runs. The file holds
//! verifiers and storage secrets: it is readable by its owner only, and what is deleted is overwritten (`secure_delete`). A commit
//! returns after the write-ahead log reached the disk (`synchronous = FULL`), so an acknowledged change survives power loss.

use std::fs::{File, OpenOptions};
use std::io::{Seek, Write as _};
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use fs4::fs_std::FileExt;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteRow, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row as _, ValueRef as _};

use super::row::{Cell, Row, RowWrite, Table, corrupted};
use super::{Loaded, Store};
use crate::catalog::metastore::CatalogOptions;
use crate::catalog::securable::METASTORE;
use crate::error::{Error, ErrorKind, Result};

/// The versions of the schema, as part of the program.
static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

pub(in crate::catalog) const DATABASE_FILE: &str = "metastore.db";
const LOCK_FILE: &str = "metastore.lock";
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The metastore's file, held by this process.
#[derive(Debug)]
pub(in crate::catalog) struct SqliteStore {
    connection: SqliteConnection,
    _lock: File,
}

impl SqliteStore {
    /// Opens or makes the metastore of a data directory and brings its schema to this program's version.
    ///
    /// # Errors
    /// [`ErrorKind::ObjectInUse`] if another process holds the directory, [`ErrorKind::Config`] if a newer release wrote it,
    /// [`ErrorKind::DataCorrupted`] if it is damaged.
    pub(in crate::catalog) async fn open(data_dir: &Path, options: &CatalogOptions) -> Result<Self> {
        make_directory(data_dir).map_err(|error| file_error("the data directory cannot be made", error))?;
        let lock = lock(data_dir)?;
        let path = data_dir.join(DATABASE_FILE);
        make_private(&path).map_err(|error| file_error("the metastore file cannot be opened", error))?;
        let mut connection = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(false)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            .pragma("secure_delete", "ON")
            .pragma("trusted_schema", "OFF")
            .disable_statement_logging()
            .connect()
            .await
            .map_err(store_error)?;
        if options.integrity_check {
            check_integrity(&mut connection).await?;
        }
        MIGRATIONS.run_direct(None, &mut connection, false).await.map_err(migration_error)?;
        bring_over_grants(&mut connection).await?;
        Ok(Self { connection, _lock: lock })
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn load(&mut self) -> Result<Loaded> {
        let mut transaction = self.connection.begin().await.map_err(store_error)?;
        let counters = sqlx::query("SELECT number, next_id, checksum FROM metastore WHERE id = 1")
            .fetch_one(&mut *transaction)
            .await
            .map_err(store_error)?;
        let (number, next_id, checksum): (i64, i64, i64) = (
            counters.try_get(0).map_err(store_error)?,
            counters.try_get(1).map_err(store_error)?,
            counters.try_get(2).map_err(store_error)?,
        );
        let mut loaded = Loaded {
            number: u64::try_from(number).map_err(|_| damaged_counters())?,
            next_id: u32::try_from(next_id).map_err(|_| damaged_counters())?,
            rows: Vec::new(),
        };
        if number != 0 && checksum != counters_checksum(loaded.number, loaded.next_id) {
            return Err(damaged_counters());
        }
        for table in Table::ALL {
            let columns = table.columns();
            let select = format!("SELECT {}, checksum FROM {}", columns.join(", "), table.name());
            let rows = sqlx::query(AssertSqlSafe(select)).fetch_all(&mut *transaction).await.map_err(store_error)?;
            for row in rows {
                loaded.rows.push(read_row(table, &row)?);
            }
        }
        transaction.rollback().await.map_err(store_error)?;
        Ok(loaded)
    }

    async fn commit(&mut self, number: u64, next_id: u32, writes: &[RowWrite]) -> Result<()> {
        let mut transaction = self.connection.begin_with("BEGIN IMMEDIATE").await.map_err(store_error)?;
        for write in writes {
            let (statement, cells, checksum) = match write {
                RowWrite::Put(row) => (upsert(row.table), row.cells.as_slice(), Some(row.checksum())),
                RowWrite::Remove { table, key } => (delete(*table), key.as_slice(), None),
            };
            let mut query = sqlx::query(AssertSqlSafe(statement));
            for cell in cells {
                query = match cell {
                    Cell::Null => query.bind(None::<String>),
                    Cell::Integer(value) => query.bind(*value),
                    Cell::Text(text) => query.bind(text.as_str()),
                };
            }
            if let Some(checksum) = checksum {
                query = query.bind(checksum);
            }
            query.execute(&mut *transaction).await.map_err(store_error)?;
        }
        sqlx::query("UPDATE metastore SET number = ?, next_id = ?, checksum = ? WHERE id = 1")
            .bind(i64::try_from(number).map_err(|_| Error::internal("the snapshot number is too large"))?)
            .bind(i64::from(next_id))
            .bind(counters_checksum(number, next_id))
            .execute(&mut *transaction)
            .await
            .map_err(store_error)?;
        transaction.commit().await.map_err(store_error)
    }

    async fn close(self: Box<Self>) {
        if let Err(error) = self.connection.close().await {
            tracing::warn!(error = %error, "metastore file was not closed cleanly, its write-ahead log is replayed at the next start");
        }
    }
}

/// Grants of a metastore that had one grantor for each: they become the owner's, as whom whoever managed the object has granted them.
async fn bring_over_grants(connection: &mut SqliteConnection) -> Result<()> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(store_error)?;
    let old = sqlx::query("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'privilege_grant_of_one'")
        .fetch_optional(&mut *transaction)
        .await
        .map_err(store_error)?;
    if old.is_none() {
        return transaction.rollback().await.map_err(store_error);
    }
    let rows = sqlx::query("SELECT grantee, securable, privilege, grantor, grantable, checksum FROM privilege_grant_of_one")
        .fetch_all(&mut *transaction)
        .await
        .map_err(store_error)?;
    for row in rows {
        let mut row = read_row(Table::Grant, &row)?;
        let securable = row.cells.get(1).cloned();
        let Some(Cell::Integer(securable)) = securable else { return Err(corrupted(Table::Grant)) };
        let owner: Option<i64> =
            sqlx::query_scalar(OWNER).bind(securable).fetch_optional(&mut *transaction).await.map_err(store_error)?;
        let grantor = row.cells.get_mut(3).ok_or_else(|| corrupted(Table::Grant))?;
        *grantor = Cell::Integer(owner.unwrap_or_else(|| METASTORE.0.into()));
        let mut put = sqlx::query(AssertSqlSafe(upsert(Table::Grant)));
        for cell in &row.cells {
            put = match cell {
                Cell::Null => put.bind(None::<String>),
                Cell::Integer(value) => put.bind(*value),
                Cell::Text(text) => put.bind(text.as_str()),
            };
        }
        put.bind(row.checksum()).execute(&mut *transaction).await.map_err(store_error)?;
    }
    sqlx::query("DROP TABLE privilege_grant_of_one").execute(&mut *transaction).await.map_err(store_error)?;
    transaction.commit().await.map_err(store_error)
}

/// The owner of an object of any kind.
const OWNER: &str = "SELECT owner FROM relation WHERE id = ?1 UNION ALL SELECT owner FROM function WHERE id = ?1 \
    UNION ALL SELECT owner FROM schema WHERE id = ?1 UNION ALL SELECT owner FROM catalog WHERE id = ?1 \
    UNION ALL SELECT owner FROM external_location WHERE id = ?1 UNION ALL SELECT owner FROM storage_credential WHERE id = ?1";

fn upsert(table: Table) -> String {
    let columns = table.columns();
    let (key, rest) = columns.split_at(table.key_length());
    let assignments: Vec<String> =
        rest.iter().copied().chain(["checksum"]).map(|column| format!("{column} = excluded.{column}")).collect();
    format!(
        "INSERT INTO {} ({}, checksum) VALUES ({}?) ON CONFLICT ({}) DO UPDATE SET {}",
        table.name(),
        columns.join(", "),
        "?, ".repeat(columns.len()),
        key.join(", "),
        assignments.join(", ")
    )
}

fn delete(table: Table) -> String {
    let conditions: Vec<String> = table.columns().iter().take(table.key_length()).map(|column| format!("{column} = ?")).collect();
    format!("DELETE FROM {} WHERE {}", table.name(), conditions.join(" AND "))
}

fn read_row(table: Table, row: &SqliteRow) -> Result<Row> {
    let width = table.columns().len();
    let cells = (0..width).map(|index| read_cell(table, row, index)).collect::<Result<Vec<_>>>()?;
    let checksum: i64 = row.try_get(width).map_err(|_| corrupted(table))?;
    let row = Row { table, cells };
    if row.checksum() == checksum { Ok(row) } else { Err(corrupted(table)) }
}

fn read_cell(table: Table, row: &SqliteRow, index: usize) -> Result<Cell> {
    let value = row.try_get_raw(index).map_err(|_| corrupted(table))?;
    if value.is_null() {
        return Ok(Cell::Null);
    }
    let integer = row.try_get::<i64, _>(index).map(Cell::Integer);
    integer.or_else(|_| row.try_get::<String, _>(index).map(Cell::Text)).map_err(|_| corrupted(table))
}

fn counters_checksum(number: u64, next_id: u32) -> i64 {
    use sha2::{Digest, Sha256};
    let digest = Sha256::new().chain_update(number.to_le_bytes()).chain_update(next_id.to_le_bytes()).finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    i64::from_le_bytes(first)
}

fn damaged_counters() -> Error {
    Error::new(ErrorKind::DataCorrupted, "the metastore is damaged: its counters cannot be read")
        .with_hint("Restore metastore.db from a backup.")
}

async fn check_integrity(connection: &mut SqliteConnection) -> Result<()> {
    let answer: String = sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(connection).await.map_err(store_error)?;
    if answer == "ok" {
        return Ok(());
    }
    Err(Error::new(ErrorKind::DataCorrupted, "the metastore is damaged")
        .with_detail(answer)
        .with_hint("Restore metastore.db from a backup."))
}

/// Takes the data directory for this process, or says that another has it.
fn lock(data_dir: &Path) -> Result<File> {
    let failed = |error| file_error("the data directory cannot be locked", error);
    let path = data_dir.join(LOCK_FILE);
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(failed)?;
    if !FileExt::try_lock_exclusive(&file).map_err(failed)? {
        return Err(Error::new(ErrorKind::ObjectInUse, "the data directory is used by another process")
            .with_detail(format!("{} is locked.", data_dir.join(LOCK_FILE).display()))
            .with_hint("Stop the other server, or choose another data directory."));
    }
    // The number is for people who look into the file; the lock itself is the kernel's.
    file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(failed)?;
    Ok(file)
}

#[cfg(unix)]
fn make_directory(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(not(unix))]
fn make_directory(path: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(path)
}

/// Makes the file, readable by its owner only, or takes others' rights away from it. SQLite gives its log the same rights.
#[cfg(unix)]
fn make_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn make_private(path: &Path) -> std::io::Result<()> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map(|_| ())
}

fn file_error(message: &str, error: std::io::Error) -> Error {
    let kind = if error.kind() == std::io::ErrorKind::StorageFull { ErrorKind::DiskFull } else { ErrorKind::Io };
    Error::new(kind, message).with_source(error)
}

/// What SQLite says, as our kinds. Its texts name tables and constraints of the metastore, never values; they go to the log only.
fn store_error(error: sqlx::Error) -> Error {
    let code =
        error.as_database_error().and_then(|error| error.code()).and_then(|code| code.parse::<u32>().ok()).map(|code| code & 0xff);
    match code {
        Some(13) => Error::new(ErrorKind::DiskFull, "no disk space is left for the metastore").with_source(error),
        Some(11 | 26) => Error::new(ErrorKind::DataCorrupted, "the metastore is damaged")
            .with_hint("Restore metastore.db from a backup.")
            .with_source(error),
        Some(19) => Error::internal(format!("the metastore refused a change: {error}")),
        _ => Error::new(ErrorKind::Io, "the metastore cannot be read or written").with_source(error),
    }
}

fn migration_error(error: MigrateError) -> Error {
    match error {
        MigrateError::VersionMissing(_) | MigrateError::VersionTooNew(..) => {
            Error::new(ErrorKind::Config, "the data directory was written by a newer release")
                .with_hint("Start the release that wrote it, or a later one.")
                .with_source(error)
        }
        MigrateError::VersionMismatch(version) => {
            Error::new(ErrorKind::DataCorrupted, format!("version {version} of the metastore's schema is not this program's"))
                .with_source(error)
        }
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => store_error(error),
        other => Error::new(ErrorKind::Io, "the metastore's schema cannot be brought up to date").with_source(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::change::Write;
    use crate::catalog::securable::{ObjectId, Schema};

    async fn open(path: &Path) -> Result<SqliteStore> {
        SqliteStore::open(path, &CatalogOptions::default()).await
    }

    #[tokio::test]
    async fn passes_the_suite() {
        let directory = tempfile::tempdir().unwrap();
        super::super::tests::suite(async || Box::new(open(directory.path()).await.unwrap()) as Box<dyn Store>).await;
    }

    #[tokio::test]
    async fn one_process_owns_a_data_directory() {
        let directory = tempfile::tempdir().unwrap();
        let first = open(directory.path()).await.unwrap();
        let error = open(directory.path()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ObjectInUse);
        Box::new(first).close().await;
        open(directory.path()).await.unwrap();
    }

    #[tokio::test]
    async fn a_commit_that_fails_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let mut store = open(directory.path()).await.unwrap();
        let mut writes: Vec<RowWrite> =
            crate::catalog::store::tests::one_of_each().iter().map(|write| super::super::row::of(write).unwrap()).collect();
        let nowhere = Schema {
            id: ObjectId(20000),
            catalog: ObjectId(19999),
            name: "s".to_string(),
            owner: ObjectId(1),
            managed_location: None,
            comment: None,
        };
        writes.push(super::super::row::of(&Write::PutSchema(std::sync::Arc::new(nowhere))).unwrap());
        store.commit(1, 20001, &writes).await.unwrap_err();
        let loaded = store.load().await.unwrap();
        assert_eq!((loaded.number, loaded.rows.len()), (0, 0));
    }

    #[tokio::test]
    async fn a_newer_schema_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let mut store = open(directory.path()).await.unwrap();
        sqlx::query("INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (9999, 'x', 1, x'00', 0)")
            .execute(&mut store.connection)
            .await
            .unwrap();
        Box::new(store).close().await;
        let error = open(directory.path()).await.unwrap_err();
        assert_eq!((error.kind(), error.message()), (ErrorKind::Config, "the data directory was written by a newer release"));
    }

    #[tokio::test]
    async fn a_metastore_of_the_first_version_is_brought_up_to_date() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(DATABASE_FILE);
        let mut old = SqliteConnectOptions::new().filename(&path).create_if_missing(true).connect().await.unwrap();
        let first = Migrator::with_migrations(MIGRATIONS.iter().take(1).cloned().collect());
        first.run_direct(None, &mut old, false).await.unwrap();
        let cells = vec![
            Cell::Integer(16384),
            Cell::Text("ann".into()),
            Cell::Integer(1),
            Cell::Integer(1),
            Cell::Null,
            Cell::Null,
            Cell::Null,
        ];
        let checksum = Row { table: Table::Principal, cells }.checksum();
        sqlx::query("INSERT INTO principal VALUES (16384, 'ann', 1, 1, NULL, NULL, NULL, ?)")
            .bind(checksum)
            .execute(&mut old)
            .await
            .unwrap();
        old.close().await.unwrap();
        let snapshot = open(directory.path()).await.unwrap().load().await.unwrap().into_snapshot().unwrap();
        let ann = snapshot.principal("ann").unwrap();
        assert!(ann.is_admin && ann.valid_until.is_none());
    }

    #[tokio::test]
    async fn grants_with_one_grantor_become_the_owners() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(DATABASE_FILE);
        let mut old = SqliteConnectOptions::new().filename(&path).create_if_missing(true).connect().await.unwrap();
        let before = Migrator::with_migrations(MIGRATIONS.iter().take_while(|migration| migration.version < 6).cloned().collect());
        before.run_direct(None, &mut old, false).await.unwrap();
        let grant = |securable: i64, privilege: &str| {
            let cells =
                [Cell::Integer(7), Cell::Integer(securable), Cell::Text(privilege.into()), Cell::Integer(9), Cell::Integer(1)];
            Row { table: Table::Grant, cells: cells.to_vec() }
        };
        let catalog = Row {
            table: Table::Catalog,
            cells: vec![Cell::Integer(16385), Cell::Text("main".into()), Cell::Integer(16384), Cell::Null, Cell::Null],
        };
        sqlx::query("INSERT INTO catalog VALUES (16385, 'main', 16384, NULL, NULL, ?)")
            .bind(catalog.checksum())
            .execute(&mut old)
            .await
            .unwrap();
        for (securable, privilege) in [(16385, "USE CATALOG"), (1, "CREATE CATALOG")] {
            sqlx::query("INSERT INTO privilege_grant VALUES (7, ?, ?, 9, 1, ?)")
                .bind(securable)
                .bind(privilege)
                .bind(grant(securable, privilege).checksum())
                .execute(&mut old)
                .await
                .unwrap();
        }
        old.close().await.unwrap();
        for _ in 0..2 {
            let snapshot = open(directory.path()).await.unwrap().load().await.unwrap().into_snapshot().unwrap();
            let grantors =
                |id| snapshot.grants_on(ObjectId(id)).map(|grant| (grant.grantor.0, grant.grantable)).collect::<Vec<_>>();
            assert_eq!((grantors(16385), grantors(1)), (vec![(16384, true)], vec![(1, true)]));
        }
    }

    #[tokio::test]
    async fn a_table_of_a_metastore_without_past_columns_keeps_its_masks() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(DATABASE_FILE);
        let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true).foreign_keys(false);
        let mut old = options.connect().await.unwrap();
        let third = Migrator::with_migrations(MIGRATIONS.iter().take(3).cloned().collect());
        third.run_direct(None, &mut old, false).await.unwrap();
        let text = |text: &str| Cell::Text(text.to_string());
        let tables = [
            (Table::Catalog, vec![Cell::Integer(1), text("main"), Cell::Integer(9), Cell::Null, Cell::Null]),
            (Table::Schema, vec![Cell::Integer(2), Cell::Integer(1), text("public"), Cell::Integer(9), Cell::Null, Cell::Null]),
            (
                Table::Relation,
                vec![
                    Cell::Integer(3),
                    Cell::Integer(2),
                    text("t"),
                    Cell::Integer(9),
                    text(r#"[{"number":1,"name":"ssn","type":"text","nullable":true}]"#),
                    Cell::Null,
                    text("table"),
                    text("file:///t"),
                    Cell::Integer(1),
                    Cell::Null,
                    text("[]"),
                    Cell::Null,
                    text(r#"{"ssn":{"function":4,"using":[]}}"#),
                    Cell::Null,
                    Cell::Null,
                ],
            ),
        ];
        for (table, cells) in tables {
            let row = Row { table, cells };
            let insert = format!("INSERT INTO {} VALUES ({}?)", table.name(), "?, ".repeat(row.cells.len()));
            let mut query = sqlx::query(AssertSqlSafe(insert));
            for cell in &row.cells {
                query = match cell {
                    Cell::Null => query.bind(None::<String>),
                    Cell::Integer(value) => query.bind(*value),
                    Cell::Text(text) => query.bind(text.as_str()),
                };
            }
            query.bind(row.checksum()).execute(&mut old).await.unwrap();
        }
        old.close().await.unwrap();
        let snapshot = open(directory.path()).await.unwrap().load().await.unwrap().into_snapshot().unwrap();
        let relation = snapshot.relation_by_id(ObjectId(3)).unwrap();
        let table = relation.table().unwrap();
        assert!(table.column_masks.contains_key("ssn") && table.past_columns.is_empty());
        assert!(relation.knows_column("col-7", "ssn"), "by its name, until a version has told another");
    }

    #[tokio::test]
    async fn texts_of_the_version_before_are_doubtful_until_they_are_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let mut before = open(directory.path()).await.unwrap();
        let mut objects = crate::catalog::store::tests::one_of_each();
        objects.retain(|write| !matches!(write, Write::PutDoubtfulText(_)));
        let rows: Vec<RowWrite> = objects.iter().map(|write| super::super::row::of(write).unwrap()).collect();
        before.commit(1, 20001, &rows).await.unwrap();
        for undo in ["DROP TABLE doubtful_text", "DELETE FROM _sqlx_migrations WHERE version = 4"] {
            sqlx::query(undo).execute(&mut before.connection).await.unwrap();
        }
        Box::new(before).close().await;

        let mut store = open(directory.path()).await.unwrap();
        let snapshot = store.load().await.unwrap().into_snapshot().unwrap();
        let named = |snapshot: &crate::catalog::CatalogSnapshot| {
            snapshot.doubtful_texts().map(|id| snapshot.full_name(id)).collect::<Vec<_>>()
        };
        assert_eq!(named(&snapshot), ["main.public.only", "main.public.v"]);

        let mut change = crate::catalog::Change::on(&snapshot);
        let view = snapshot.doubtful_texts().last().unwrap();
        let text = crate::catalog::securable::ViewEntry { query: "SELECT 2".to_string(), uses: vec![] };
        change.replace_view(view, vec![], text, None).unwrap();
        let (snapshot, writes) = change.into_parts();
        let rows: Vec<RowWrite> = writes.iter().map(|write| super::super::row::of(write).unwrap()).collect();
        store.commit(snapshot.number(), 20001, &rows).await.unwrap();
        Box::new(store).close().await;
        let snapshot = open(directory.path()).await.unwrap().load().await.unwrap().into_snapshot().unwrap();
        assert_eq!(named(&snapshot), ["main.public.only"]);
    }

    #[tokio::test]
    async fn damage_is_found_and_not_served() {
        let directory = tempfile::tempdir().unwrap();
        let mut store = open(directory.path()).await.unwrap();
        let writes: Vec<RowWrite> =
            crate::catalog::store::tests::one_of_each().iter().map(|write| super::super::row::of(write).unwrap()).collect();
        store.commit(1, 20001, &writes).await.unwrap();
        sqlx::query("UPDATE principal SET is_admin = 1 - is_admin").execute(&mut store.connection).await.unwrap();
        assert_eq!(store.load().await.unwrap_err().kind(), ErrorKind::DataCorrupted);
        Box::new(store).close().await;

        std::fs::write(directory.path().join(DATABASE_FILE), b"this is no database, it is a text of some length").unwrap();
        assert_eq!(open(directory.path()).await.unwrap_err().kind(), ErrorKind::DataCorrupted);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn only_the_owner_reads_the_file() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(DATABASE_FILE), b"").unwrap();
        std::fs::set_permissions(directory.path().join(DATABASE_FILE), std::fs::Permissions::from_mode(0o644)).unwrap();
        let mut store = open(directory.path()).await.unwrap();
        store.commit(1, 16384, &[]).await.unwrap();
        for entry in std::fs::read_dir(directory.path()).unwrap() {
            let entry = entry.unwrap();
            if entry.file_name().to_string_lossy().starts_with(DATABASE_FILE) {
                assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o077, 0, "{:?}", entry.file_name());
            }
        }
    }
}
