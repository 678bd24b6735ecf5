//! The kernel's engine over one rooted store.
//!
//! The stock engine drops scheme and bucket of a URL and fetches what looks like a pre-signed URL with a client of its own. Here every URL
//! that the kernel wants to touch (commits, checkpoints, sidecars, deletion vectors; some of them written by the log's authors) is first
//! held against the table's root. It also can hide checkpoints, so that a damaged one does not make a complete log unreadable, and it hides
//! the checksum files of versions: the kernel would believe the schema in them, but the log is the truth.

use std::sync::Arc;

use bytes::Bytes;
use delta_kernel::schema::SchemaRef;
use delta_kernel::{
    Engine, EngineData, EvaluationHandler, FileDataReadResultIterator, FileMeta, FileSize, FileSlice, FilteredEngineData,
    JsonHandler, KernelError, KernelResult, KernelResultIterator, KernelResultIteratorStatic, ParquetFooter, ParquetHandler,
    PredicateRef, StorageHandler,
};
use delta_kernel_default_engine::DefaultEngineBuilder;
use delta_kernel_default_engine::executor::tokio::TokioMultiThreadExecutor;
use object_store::ObjectStore;
use tokio::runtime::Handle;
use url::Url;

use crate::storage::RootedStore;

/// Which files of a log the kernel may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::lake) struct LogView {
    /// Use `_last_checkpoint`.
    pub(in crate::lake) hint: bool,
    /// Hide checkpoints of this version and later ones.
    pub(in crate::lake) checkpoints_before: u64,
}

impl LogView {
    /// Everything.
    pub(in crate::lake) const WHOLE: LogView = LogView { hint: true, checkpoints_before: u64::MAX };
}

/// An engine that sees one table.
pub(in crate::lake) struct TableEngine {
    evaluation: Arc<dyn EvaluationHandler>,
    storage: Arc<dyn StorageHandler>,
    json: Arc<dyn JsonHandler>,
    parquet: Arc<dyn ParquetHandler>,
}

impl std::fmt::Debug for TableEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TableEngine")
    }
}

impl TableEngine {
    /// An engine over `store`, whose requests run on `io`, a multi-threaded runtime.
    pub(in crate::lake) fn new(store: &Arc<RootedStore>, io: &Handle, view: LogView) -> Self {
        let inner = DefaultEngineBuilder::new(Arc::clone(store) as Arc<dyn ObjectStore>)
            .with_task_executor(Arc::new(TokioMultiThreadExecutor::new(io.clone())))
            .build();
        let gate = Gate { store: Arc::clone(store), view };
        Self {
            evaluation: inner.evaluation_handler(),
            storage: Arc::new(GatedStorage { inner: inner.storage_handler(), gate: gate.clone() }),
            json: Arc::new(GatedJson { inner: inner.json_handler(), gate: gate.clone() }),
            parquet: Arc::new(GatedParquet { inner: inner.parquet_handler(), gate }),
        }
    }
}

impl Engine for TableEngine {
    fn evaluation_handler(&self) -> Arc<dyn EvaluationHandler> {
        Arc::clone(&self.evaluation)
    }

    fn storage_handler(&self) -> Arc<dyn StorageHandler> {
        Arc::clone(&self.storage)
    }

    fn json_handler(&self) -> Arc<dyn JsonHandler> {
        Arc::clone(&self.json)
    }

    fn parquet_handler(&self) -> Arc<dyn ParquetHandler> {
        Arc::clone(&self.parquet)
    }
}

#[derive(Clone)]
struct Gate {
    store: Arc<RootedStore>,
    view: LogView,
}

impl Gate {
    fn check(&self, url: &Url) -> KernelResult<()> {
        self.store.resolve(url)?;
        Ok(())
    }

    fn hides(&self, url: &Url) -> bool {
        !self.view.hint && url.path().ends_with("/_delta_log/_last_checkpoint")
    }

    fn check_all<'a>(&self, files: impl IntoIterator<Item = &'a FileMeta>) -> KernelResult<()> {
        files.into_iter().try_for_each(|file| self.check(&file.location))
    }

    fn shows(view: LogView, url: &Url) -> bool {
        let name = url.path().rsplit('/').next().unwrap_or_default();
        if name.ends_with(".crc") {
            return false;
        }
        match name.split_once(".checkpoint.") {
            Some((version, _)) => version.parse().map_or(true, |version: u64| version < view.checkpoints_before),
            None => true,
        }
    }
}

struct GatedStorage {
    inner: Arc<dyn StorageHandler>,
    gate: Gate,
}

impl StorageHandler for GatedStorage {
    fn list_from(&self, path: &Url) -> KernelResult<KernelResultIteratorStatic<FileMeta>> {
        self.gate.check(path)?;
        let files = self.inner.list_from(path)?;
        let (view, root) = (self.gate.view, self.gate.store.root_url().clone());
        let shown = files.filter(move |file| file.as_ref().map_or(true, |file| Gate::shows(view, &file.location)));
        Ok(Box::new(shown.map(move |file| file.map(|file| FileMeta { location: encoded(&root, file.location), ..file }))))
    }

    fn read_files(&self, files: Vec<FileSlice>) -> KernelResult<KernelResultIteratorStatic<Bytes>> {
        files.iter().try_for_each(|(url, _)| self.gate.check(url))?;
        if files.iter().any(|(url, _)| self.gate.hides(url)) {
            return Ok(Box::new(std::iter::once(Err(KernelError::FileNotFound("_last_checkpoint".into())))));
        }
        self.inner.read_files(files)
    }

    fn copy_atomic(&self, source: &Url, target: &Url) -> KernelResult<()> {
        self.gate.check(source)?;
        self.gate.check(target)?;
        self.inner.copy_atomic(source, target)
    }

    fn put(&self, path: &Url, data: Bytes, overwrite: bool) -> KernelResult<()> {
        self.gate.check(path)?;
        self.inner.put(path, data, overwrite)
    }

    fn head(&self, path: &Url) -> KernelResult<FileMeta> {
        self.gate.check(path)?;
        self.inner.head(path)
    }

    fn delete(&self, path: &Url) -> KernelResult<()> {
        self.gate.check(path)?;
        self.inner.delete(path)
    }
}

/// The URL of a file of the log. Listings put paths into URLs as they are, so that a percent sign in the table's own path would be decoded.
fn encoded(root: &Url, listed: Url) -> Url {
    let below_root = listed.path().rsplit_once("/_delta_log/").map(|(_, file)| format!("_delta_log/{file}"));
    below_root.and_then(|file| root.join(&file).ok()).unwrap_or(listed)
}

struct GatedJson {
    inner: Arc<dyn JsonHandler>,
    gate: Gate,
}

impl JsonHandler for GatedJson {
    fn parse_json(&self, strings: Box<dyn EngineData>, schema: SchemaRef) -> KernelResult<Box<dyn EngineData>> {
        self.inner.parse_json(strings, schema)
    }

    fn read_json_files(
        &self,
        files: &[FileMeta],
        schema: SchemaRef,
        predicate: Option<PredicateRef>,
    ) -> KernelResult<FileDataReadResultIterator> {
        self.gate.check_all(files)?;
        self.inner.read_json_files(files, schema, predicate)
    }

    fn write_json_file(
        &self,
        path: &Url,
        data: KernelResultIterator<'_, FilteredEngineData>,
        overwrite: bool,
    ) -> KernelResult<FileSize> {
        self.gate.check(path)?;
        self.inner.write_json_file(path, data, overwrite)
    }
}

struct GatedParquet {
    inner: Arc<dyn ParquetHandler>,
    gate: Gate,
}

impl ParquetHandler for GatedParquet {
    fn read_parquet_files(
        &self,
        files: &[FileMeta],
        schema: SchemaRef,
        predicate: Option<PredicateRef>,
    ) -> KernelResult<FileDataReadResultIterator> {
        self.gate.check_all(files)?;
        self.inner.read_parquet_files(files, schema, predicate)
    }

    fn write_parquet_file(&self, location: Url, data: KernelResultIteratorStatic<Box<dyn EngineData>>) -> KernelResult<FileSize> {
        self.gate.check(&location)?;
        self.inner.write_parquet_file(location, data)
    }

    fn read_parquet_footer(&self, file: &FileMeta) -> KernelResult<ParquetFooter> {
        self.gate.check(&file.location)?;
        self.inner.read_parquet_footer(file)
    }
}
