//! The one owner of the metastore's state: one writer at a time, any number of readers that never wait.

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio_util::task::TaskTracker;

use super::change::{Change, NewPrincipal};
use super::privilege::Privilege;
use super::securable::{Grant, PUBLIC};
use super::snapshot::CatalogSnapshot;
use super::store::Store;
use super::store::memory::MemoryStore;
use super::store::row::{self, RowWrite};
use super::store::sqlite::{DATABASE_FILE, SqliteStore};
use crate::error::{Error, ErrorKind, Result};

/// Catalog that a new warehouse has.
pub const DEFAULT_CATALOG: &str = "main";

/// Schema that a new warehouse has in its catalog.
pub const DEFAULT_SCHEMA: &str = "public";

/// How the metastore is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CatalogOptions {
    /// Check the whole file for damage when it is opened. Costs one read of the file.
    pub integrity_check: bool,
}

impl Default for CatalogOptions {
    fn default() -> Self {
        Self { integrity_check: true }
    }
}

/// What the writer at work holds.
#[derive(Debug)]
struct Writer {
    /// `None` once the metastore is closed.
    store: Option<Box<dyn Store>>,
    /// A commit failed and reading back failed too: the store may be one change ahead of the snapshot.
    uncertain: bool,
}

/// Names and rules, durable, as numbered snapshots.
#[derive(Debug)]
pub struct Metastore {
    current: Arc<ArcSwap<CatalogSnapshot>>,
    writer: Arc<Mutex<Writer>>,
    commits: TaskTracker,
}

impl Metastore {
    /// Whether `data_dir` holds a metastore.
    pub fn exists(data_dir: &Path) -> bool {
        data_dir.join(DATABASE_FILE).exists()
    }

    /// Opens the metastore of a data directory: makes it if it is not there, brings an older one up to date.
    ///
    /// # Errors
    /// [`ErrorKind::ObjectInUse`] if another process holds the directory, [`ErrorKind::Config`] if a newer release wrote it,
    /// [`ErrorKind::DataCorrupted`] if it is damaged.
    pub async fn open(data_dir: &Path, options: &CatalogOptions) -> Result<Arc<Metastore>> {
        Metastore::over(Box::new(SqliteStore::open(data_dir, options).await?)).await
    }

    /// A metastore that is gone with the process, for tests.
    pub async fn in_memory() -> Result<Arc<Metastore>> {
        Metastore::over(Box::new(MemoryStore::default())).await
    }

    async fn over(mut store: Box<dyn Store>) -> Result<Arc<Metastore>> {
        let snapshot = store.load().await?.into_snapshot()?;
        Ok(Arc::new(Metastore {
            current: Arc::new(ArcSwap::from_pointee(snapshot)),
            writer: Arc::new(Mutex::new(Writer { store: Some(store), uncertain: false })),
            commits: TaskTracker::new(),
        }))
    }

    /// The newest state. Never waits.
    pub fn snapshot(&self) -> Arc<CatalogSnapshot> {
        self.current.load_full()
    }

    /// Runs `change` on a private copy of the newest state and makes its edits durable and visible together: all or nothing.
    ///
    /// The commit runs to its end even if the caller goes away while it waits.
    ///
    /// # Errors
    /// What `change` returns; storage errors, after which nothing has changed.
    pub async fn write<T: Send>(&self, change: impl FnOnce(&mut Change) -> Result<T> + Send) -> Result<T> {
        let writer = self.writer().await?;
        let mut draft = Change::on(&self.current.load());
        let value = change(&mut draft)?;
        self.make_durable(writer, draft).await?;
        Ok(value)
    }

    /// Makes the edits of `draft` durable and visible together, unless the state that they were made on is no longer the newest: then
    /// nothing happens, and false comes back.
    ///
    /// # Errors
    /// As [`Metastore::write`].
    pub async fn commit(&self, draft: Change) -> Result<bool> {
        let writer = self.writer().await?;
        if !draft.is_on(&self.current.load()) {
            return Ok(false);
        }
        self.make_durable(writer, draft).await?;
        Ok(true)
    }

    /// The right to write, once nobody else does.
    async fn writer(&self) -> Result<OwnedMutexGuard<Writer>> {
        let mut writer = Arc::clone(&self.writer).lock_owned().await;
        if writer.uncertain {
            let snapshot = writer.store()?.load().await?.into_snapshot()?;
            self.current.store(Arc::new(snapshot));
            writer.uncertain = false;
        }
        writer.store()?;
        Ok(writer)
    }

    async fn make_durable(&self, writer: OwnedMutexGuard<Writer>, draft: Change) -> Result<()> {
        if draft.is_empty() {
            return Ok(());
        }
        let (snapshot, writes) = draft.into_parts();
        let rows = writes.iter().map(row::of).collect::<Result<Vec<_>>>()?;
        let commit = self.commits.spawn(commit(writer, Arc::clone(&self.current), snapshot, rows));
        commit.await.map_err(|error| Error::internal(format!("a metastore commit did not end: {error}")))?
    }

    /// Whether the warehouse has its first administrator.
    pub fn is_initialised(&self) -> bool {
        self.snapshot().principals().next().is_some()
    }

    /// Makes the first administrator, the catalog `main` with its schema `public`, and lets everybody enter both.
    ///
    /// # Errors
    /// [`ErrorKind::DuplicateObject`] if there is a principal already.
    pub async fn initialise(&self, administrator: &str, verifier: String) -> Result<()> {
        let name = administrator.to_string();
        self.write(move |change| {
            if change.snapshot().principals().next().is_some() {
                return Err(Error::new(ErrorKind::DuplicateObject, "the warehouse has been initialised already"));
            }
            let admin = change.create_principal(NewPrincipal {
                name,
                can_login: true,
                is_admin: true,
                verifier: Some(verifier),
                ..NewPrincipal::default()
            })?;
            let catalog = change.create_catalog(DEFAULT_CATALOG, admin, None, None)?;
            let schema = change.create_schema(catalog, DEFAULT_SCHEMA, admin, None, None)?;
            for (securable, privilege) in [(catalog, Privilege::UseCatalog), (schema, Privilege::UseSchema)] {
                change.grant(Grant { grantee: PUBLIC, securable, privilege, grantor: admin, grantable: false })?;
            }
            Ok(())
        })
        .await
    }

    /// Waits for writes under way and lets go of the data directory. Later writes are refused; snapshots stay readable.
    pub async fn close(&self) {
        self.commits.close();
        self.commits.wait().await;
        if let Some(store) = self.writer.lock().await.store.take() {
            store.close().await;
        }
    }
}

impl Writer {
    fn store(&mut self) -> Result<&mut Box<dyn Store>> {
        self.store.as_mut().ok_or_else(|| Error::new(ErrorKind::AdminShutdown, "the server is shutting down"))
    }
}

/// Makes a change durable, then visible. After an error whose meaning is open, the store is asked what it holds.
async fn commit(
    mut writer: OwnedMutexGuard<Writer>,
    current: Arc<ArcSwap<CatalogSnapshot>>,
    snapshot: CatalogSnapshot,
    rows: Vec<RowWrite>,
) -> Result<()> {
    let number = snapshot.number();
    let store = writer.store()?;
    if let Err(error) = store.commit(number, snapshot.next_id, &rows).await {
        match store.load().await {
            Ok(loaded) if loaded.number == number => {
                tracing::warn!(number, %error, "metastore commit reported an error but is durable");
            }
            Ok(_) => return Err(error),
            Err(_) => {
                writer.uncertain = true;
                return Err(error);
            }
        }
    }
    current.store(Arc::new(snapshot));
    Ok(())
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::catalog::change::{NewRelation, NewTable};
    use crate::catalog::securable::METASTORE;

    async fn open(path: &Path) -> Arc<Metastore> {
        Metastore::open(path, &CatalogOptions::default()).await.unwrap()
    }

    #[tokio::test]
    async fn a_new_warehouse_lets_everybody_into_main_public_and_nowhere_else() {
        let directory = tempfile::tempdir().unwrap();
        let metastore = open(directory.path()).await;
        assert!(!metastore.is_initialised());
        metastore.initialise("admin", "SCRAM-SHA-256$4096:x$y:z".to_string()).await.unwrap();
        assert!(metastore.is_initialised());
        assert!(metastore.initialise("admin", String::new()).await.is_err());
        metastore.close().await;

        let metastore = open(directory.path()).await;
        let snapshot = metastore.snapshot();
        let mut lines = String::new();
        for id in [METASTORE].into_iter().chain((16384..16390).map(crate::catalog::securable::ObjectId)) {
            let Some(name) = snapshot.name_of(id) else { continue };
            let owner = snapshot.owner_of(id).and_then(|owner| snapshot.name_of(owner)).unwrap_or("-");
            lines += &format!("{} {name} owner={owner}", id.0);
            for grant in snapshot.grants_on(id) {
                lines += &format!(" {}={}", snapshot.name_of(grant.grantee).unwrap(), grant.privilege);
            }
            lines += "\n";
        }
        expect![[r#"
            1 metastore owner=-
            16384 admin owner=-
            16385 main owner=admin public=USE CATALOG
            16386 public owner=admin public=USE SCHEMA
        "#]]
        .assert_eq(&lines);
    }

    /// What a killed process leaves behind: the files as they are, without anything that closing does.
    fn copy_of(data_dir: &Path) -> tempfile::TempDir {
        let copy = tempfile::tempdir().unwrap();
        for entry in std::fs::read_dir(data_dir).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
        }
        copy
    }

    #[tokio::test]
    async fn an_acknowledged_change_survives_a_kill() {
        let directory = tempfile::tempdir().unwrap();
        let metastore = open(directory.path()).await;
        metastore.initialise("admin", "v".to_string()).await.unwrap();
        for round in 0..20 {
            let name = format!("user{round}");
            metastore
                .write(|change| change.create_principal(NewPrincipal { name: name.clone(), ..Default::default() }))
                .await
                .unwrap();
            let copy = copy_of(directory.path());
            let after = open(copy.path()).await;
            assert_eq!(format!("{:?}", after.snapshot()), format!("{:?}", metastore.snapshot()));
            assert!(after.snapshot().principal(&name).is_some());
        }
    }

    #[tokio::test]
    async fn readers_keep_the_snapshot_they_pinned() {
        let metastore = Metastore::in_memory().await.unwrap();
        metastore.initialise("admin", "v".to_string()).await.unwrap();
        let pinned = metastore.snapshot();
        metastore
            .write(|change| change.create_principal(NewPrincipal { name: "bob".to_string(), ..Default::default() }))
            .await
            .unwrap();
        assert!(pinned.principal("bob").is_none());
        assert!(metastore.snapshot().principal("bob").is_some());
        assert_eq!(metastore.snapshot().number(), pinned.number() + 1);
    }

    #[tokio::test]
    async fn writers_take_turns() {
        let metastore = Metastore::in_memory().await.unwrap();
        metastore.initialise("admin", "v".to_string()).await.unwrap();
        let writes = (0..50).map(|n| {
            let metastore = Arc::clone(&metastore);
            async move {
                metastore
                    .write(|change| change.create_principal(NewPrincipal { name: format!("u{n}"), ..Default::default() }))
                    .await
            }
        });
        for result in futures::future::join_all(writes).await {
            result.unwrap();
        }
        assert_eq!(metastore.snapshot().number(), 51);
        assert_eq!(metastore.snapshot().principals().count(), 51);
    }

    #[tokio::test]
    async fn nothing_is_written_after_close() {
        let directory = tempfile::tempdir().unwrap();
        let metastore = open(directory.path()).await;
        metastore.initialise("admin", "v".to_string()).await.unwrap();
        metastore.close().await;
        let error = metastore.write(|change| change.create_catalog("c", PUBLIC, None, None)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AdminShutdown);
        assert!(metastore.snapshot().catalog("main").is_some());
    }

    #[tokio::test]
    async fn thousands_of_tables_are_one_change_apart() {
        let metastore = Metastore::in_memory().await.unwrap();
        metastore.initialise("admin", "v".to_string()).await.unwrap();
        let snapshot = metastore.snapshot();
        let schema = snapshot.schema(snapshot.catalog("main").unwrap().id, "public").unwrap();
        let (schema, owner) = (schema.id, schema.owner);
        metastore
            .write(|change| {
                for n in 0..2000 {
                    let table =
                        NewTable { location: format!("file:///{n}"), managed: true, credential: None, partition_columns: vec![] };
                    change.create_relation(NewRelation {
                        id: None,
                        schema,
                        name: format!("t{n}"),
                        owner,
                        columns: vec![],
                        comment: None,
                        kind: table.into(),
                    })?;
                }
                Ok(())
            })
            .await
            .unwrap();
        assert_eq!(metastore.snapshot().relations(schema).count(), 2000);
    }
}
