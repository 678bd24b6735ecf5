//! The one owner of the metastore's state: one writer at a time, any number of readers that never wait.

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use serde::Deserialize;

use super::change::Change;
use super::snapshot::CatalogSnapshot;
use crate::error::{Error, Result};

/// How the metastore is kept.
#[derive(Debug, Clone, Deserialize)]
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

/// Names and rules, durable, as numbered snapshots.
#[derive(Debug)]
pub struct Metastore {
    current: ArcSwap<CatalogSnapshot>,
    writer: Arc<tokio::sync::Mutex<()>>,
}

impl Metastore {
    /// Opens the metastore of a data directory.
    pub async fn open(data_dir: &Path, options: &CatalogOptions) -> Result<Arc<Metastore>> {
        let _ = (data_dir, options);
        Err(Error::internal("the durable store has not landed"))
    }

    /// A metastore that is gone with the process, for tests.
    pub fn in_memory() -> Arc<Metastore> {
        Arc::new(Metastore { current: ArcSwap::from_pointee(CatalogSnapshot::empty()), writer: Arc::default() })
    }

    /// The newest state. Never waits.
    pub fn snapshot(&self) -> Arc<CatalogSnapshot> {
        self.current.load_full()
    }

    /// Runs `change` on a private copy of the newest state and makes its edits durable and visible together.
    pub async fn write<T: Send>(&self, change: impl FnOnce(&mut Change) -> Result<T> + Send) -> Result<T> {
        let _writer = self.writer.lock().await;
        let mut draft = Change::on(&self.current.load());
        let value = change(&mut draft)?;
        if !draft.is_empty() {
            let (snapshot, _writes) = draft.into_parts();
            self.current.store(Arc::new(snapshot));
        }
        Ok(value)
    }

    /// Waits for writes under way and lets go of the data directory.
    pub async fn close(&self) {
        let _writer = self.writer.lock().await;
    }
}
