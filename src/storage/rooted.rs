//! An object store that ends at a table's root.
//!
//! Delta logs name their files; a crafted log may name somebody else's. Every request, whoever makes it (the Delta kernel, DataFusion's
//! Parquet reader, our writer), goes through this wrapper, which refuses a path that does not lie below the opened location.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use datafusion::execution::object_store::ObjectStoreUrl;
use futures::stream::{BoxStream, StreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result,
};
use url::Url;

use super::location::{Location, Scheme};

/// Scheme of local files in [`RootedStore::root_url`]. The Delta kernel looks into the file system by itself when it sees `file:`, behind the
/// back of every store; what it does not know it leaves to us.
const LOCAL: &str = "local:";

/// A store rooted at one location. Paths are those of the whole bucket; what is not below the root is refused.
#[derive(Debug)]
pub struct RootedStore {
    inner: Arc<dyn ObjectStore>,
    location: Location,
    root_url: Url,
    engine_url: ObjectStoreUrl,
    number: u32,
}

impl RootedStore {
    pub(super) fn new(inner: Arc<dyn ObjectStore>, location: Location, number: u32) -> crate::error::Result<Self> {
        let engine_url = ObjectStoreUrl::parse(format!("lakehold://store-{number}"))
            .map_err(|error| crate::error::Error::internal(format!("store url: {error}")))?;
        let mut root_url = location.url()?;
        if location.scheme() == Scheme::File {
            let text = root_url.as_str().replacen("file:", LOCAL, 1);
            root_url = Url::parse(&text).map_err(|error| crate::error::Error::internal(format!("store url: {error}")))?;
        }
        Ok(Self { inner, root_url, location, engine_url, number })
    }

    /// Place it is rooted at.
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// URL of the root for the Delta kernel, with a trailing slash; local files have a scheme that only this store understands.
    pub fn root_url(&self) -> &Url {
        &self.root_url
    }

    /// Path of the root inside the bucket.
    pub fn root(&self) -> &Path {
        self.location.path()
    }

    /// Private URL by which query plans find this store: it stands for one location opened with one credential.
    pub fn engine_url(&self) -> &ObjectStoreUrl {
        &self.engine_url
    }

    /// Number of this store in the process, the distinguishing part of [`RootedStore::engine_url`].
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The path that `url` names, if it lies below the root: same scheme, same bucket, no query.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`] for everything else.
    pub fn resolve(&self, url: &Url) -> Result<Path> {
        let outside = || outside(url.as_str());
        let known = match url.as_str().strip_prefix(LOCAL) {
            Some(path) if self.location.scheme() == Scheme::File => Location::parse(&format!("file:{path}")),
            _ => Location::parse(url.as_str()),
        };
        let location = known.map_err(|_| outside())?;
        if self.location.contains(&location) { Ok(location.path().clone()) } else { Err(outside()) }
    }

    /// The path that a file reference of a Delta log names: relative to the root and URL-encoded, or an absolute URL below the root.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`] if it names anything that is not below the root.
    pub fn resolve_reference(&self, reference: &str) -> Result<Path> {
        let plain = !reference.contains(['?', '#', '\\']) && !reference.split('/').any(|segment| segment == "..");
        match self.root_url.join(reference) {
            Ok(url) if plain => self.resolve(&url),
            _ => Err(outside(reference)),
        }
    }

    /// Removes the directories that are left when a local location's files are gone; other stores have none.
    ///
    /// # Errors
    /// What the file system says, except that a directory is not there or not empty.
    pub async fn remove_empty_directories(&self) -> Result<()> {
        if self.location.scheme() != Scheme::File {
            return Ok(());
        }
        let url = self.location.url().map_err(|error| Error::Generic { store: "local", source: Box::new(error) })?;
        let root = url.to_file_path().map_err(|()| outside(url.as_str()))?;
        let removed = tokio::task::spawn_blocking(move || remove_empty(&root)).await?;
        removed.map_err(|error| Error::Generic { store: "local", source: Box::new(error) })
    }

    fn check(&self, path: &Path) -> Result<()> {
        if path.prefix_matches(self.location.path()) { Ok(()) } else { Err(outside(path.as_ref())) }
    }
}

/// Why a path was refused.
#[derive(Debug, thiserror::Error)]
#[error("the path lies outside the opened location")]
struct OutsideLocation;

fn outside(path: &str) -> Error {
    Error::PermissionDenied { path: path.to_string(), source: Box::new(OutsideLocation) }
}

/// True if a [`RootedStore`] refused a path: somebody's log names what is not below its root.
pub fn is_outside(error: &Error) -> bool {
    matches!(error, Error::PermissionDenied { source, .. } if source.is::<OutsideLocation>())
}

fn remove_empty(directory: &std::path::Path) -> std::io::Result<()> {
    use std::io::ErrorKind::{DirectoryNotEmpty, NotFound};
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_empty(&entry.path())?;
        }
    }
    match std::fs::remove_dir(directory) {
        Err(error) if !matches!(error.kind(), NotFound | DirectoryNotEmpty) => Err(error),
        _ => Ok(()),
    }
}

impl fmt::Display for RootedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RootedStore({})", self.location)
    }
}

#[async_trait]
impl ObjectStore for RootedStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.check(location)?;
        self.inner.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(&self, location: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.check(location)?;
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.check(location)?;
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.check(location)?;
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let root = self.location.path().clone();
        let checked = locations.map(move |location| {
            location.and_then(|path| if path.prefix_matches(&root) { Ok(path) } else { Err(outside(path.as_ref())) })
        });
        self.inner.delete_stream(checked.boxed())
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let prefix = prefix.unwrap_or(self.location.path());
        match self.check(prefix) {
            Ok(()) => self.inner.list(Some(prefix)),
            Err(error) => futures::stream::once(async move { Err(error) }).boxed(),
        }
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        let prefix = prefix.unwrap_or(self.location.path());
        match self.check(prefix) {
            Ok(()) => self.inner.list_with_offset(Some(prefix), offset),
            Err(error) => futures::stream::once(async move { Err(error) }).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let prefix = prefix.unwrap_or(self.location.path());
        self.check(prefix)?;
        self.inner.list_with_delimiter(Some(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.check(from)?;
        self.check(to)?;
        self.inner.copy_opts(from, to, options).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::ObjectStoreExt;
    use object_store::memory::InMemory;

    async fn rooted() -> RootedStore {
        let memory = InMemory::new();
        for path in ["a/t/x", "a/t2/x", "etc/passwd"] {
            memory.put(&Path::from(path), "secret".into()).await.unwrap();
        }
        RootedStore::new(Arc::new(memory), Location::parse("s3://b/a/t").unwrap(), 0).unwrap()
    }

    #[tokio::test]
    async fn nothing_outside_the_root_is_reached() {
        let store = rooted().await;
        assert!(store.get(&Path::from("a/t/x")).await.is_ok());
        for path in ["a/t2/x", "etc/passwd", "a"] {
            let path = Path::from(path);
            assert!(matches!(store.get(&path).await, Err(Error::PermissionDenied { .. })), "{path}");
            assert!(store.get_ranges(&path, std::slice::from_ref(&(0..1))).await.is_err());
            assert!(store.put(&path, "x".into()).await.is_err());
            assert!(store.put_multipart(&path).await.is_err());
            assert!(store.delete(&path).await.is_err());
            assert!(store.copy(&path, &Path::from("a/t/y")).await.is_err());
            assert!(store.copy(&Path::from("a/t/x"), &path).await.is_err());
            assert!(store.list(Some(&path)).next().await.unwrap().is_err());
            assert!(store.list_with_delimiter(Some(&path)).await.is_err());
        }
        let all: Vec<_> = store.list(None).map(|meta| meta.unwrap().location.to_string()).collect().await;
        assert_eq!(all, ["a/t/x"]);
    }

    #[tokio::test]
    async fn a_log_can_name_files_below_the_root_only() {
        let store = rooted().await;
        for (reference, path) in [
            ("x", "a/t/x"),
            ("p=1/x%20y.parquet", "a/t/p=1/x y.parquet"),
            ("p=a%252Fb/x", "a/t/p=a%2Fb/x"),
            ("s3://b/a/t/x", "a/t/x"),
            ("s3a://b/a/t/x", "a/t/x"),
            ("/a/t/x", "a/t/x"),
        ] {
            assert_eq!(store.resolve_reference(reference).unwrap().as_ref(), path, "{reference}");
        }
        for reference in [
            "../t2/x",
            "p/../../t2/x",
            "%2e%2e/t2/x",
            "%2E%2e/t2/x",
            ".%2e/t2/x",
            "%252e%252e/t2/x",
            "..%2ft2/x",
            "..\\t2\\x",
            "file:///etc/passwd",
            "/etc/passwd",
            "//c/a/t/x",
            "s3://c/a/t/x",
            "gs://b/a/t/x",
            "https://b/a/t/x?X-Amz-Signature=1",
            "x?y",
            "x#y",
        ] {
            assert!(store.resolve_reference(reference).is_err(), "{reference}");
        }
    }
}
