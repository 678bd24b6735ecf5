//! Local files that survive a power loss once they are acknowledged.
//!
//! `object_store`'s local store writes a file and links it into place, but flushes neither to the disk. A commit must: here a file is
//! written aside, flushed, moved into place, and then its directory (and every directory made for it) is flushed.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path as FsPath, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result, UploadPart,
};
use tokio::runtime::Handle;

const STORE: &str = "local";

/// The files of this machine: listed in order, and flushed before a write counts.
#[derive(Debug)]
pub(super) struct LocalFiles {
    files: LocalFileSystem,
    fsync: bool,
    io: Handle,
}

impl LocalFiles {
    pub(super) fn new(io: Handle, fsync: bool) -> Self {
        Self { files: LocalFileSystem::new(), fsync, io }
    }
}

impl fmt::Display for LocalFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LocalFiles")
    }
}

#[async_trait]
impl ObjectStore for LocalFiles {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        if !self.fsync || matches!(options.mode, PutMode::Update(_)) {
            return self.files.put_opts(location, payload, options).await;
        }
        let target = self.files.path_to_filesystem(location)?;
        let create = matches!(options.mode, PutMode::Create);
        let written = self.io.spawn_blocking(move || write_durably(&target, &payload, create)).await?;
        written.map_err(|error| named(location, error))
    }

    async fn put_multipart_opts(&self, location: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let target = self.files.path_to_filesystem(location)?;
        let upload = self.files.put_multipart_opts(location, options).await?;
        if !self.fsync {
            return Ok(upload);
        }
        Ok(Box::new(DurableUpload { upload, target, io: self.io.clone() }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.files.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.files.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.files.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.files.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        // Directories are not kept in order; the Delta kernel takes the order of listings for granted.
        let files = self.files.list_with_offset(prefix, offset);
        stream::once(async move {
            let mut files: Vec<ObjectMeta> = files.try_collect().await?;
            files.sort_unstable_by(|one, other| one.location.cmp(&other.location));
            Ok::<_, Error>(stream::iter(files).map(Ok))
        })
        .try_flatten()
        .boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.files.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.files.copy_opts(from, to, options).await?;
        if !self.fsync {
            return Ok(());
        }
        let target = self.files.path_to_filesystem(to)?;
        self.io.spawn_blocking(move || flush(&target)).await?.map_err(|error| named(to, error))
    }
}

/// A file written in parts, flushed when it is complete.
#[derive(Debug)]
struct DurableUpload {
    upload: Box<dyn MultipartUpload>,
    target: PathBuf,
    io: Handle,
}

#[async_trait]
impl MultipartUpload for DurableUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.upload.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let result = self.upload.complete().await?;
        let target = self.target.clone();
        self.io.spawn_blocking(move || flush(&target)).await?.map_err(generic)?;
        Ok(result)
    }

    async fn abort(&mut self) -> Result<()> {
        self.upload.abort().await
    }
}

fn generic(error: io::Error) -> Error {
    Error::Generic { store: STORE, source: Box::new(error) }
}

fn named(location: &Path, error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::AlreadyExists => Error::AlreadyExists { path: location.to_string(), source: Box::new(error) },
        io::ErrorKind::NotFound => Error::NotFound { path: location.to_string(), source: Box::new(error) },
        io::ErrorKind::PermissionDenied => Error::PermissionDenied { path: location.to_string(), source: Box::new(error) },
        _ => generic(error),
    }
}

/// Writes `payload` aside, flushes it and moves it to `target`; with `create`, fails if `target` exists.
fn write_durably(target: &FsPath, payload: &PutPayload, create: bool) -> io::Result<PutResult> {
    let parent = target.parent().ok_or_else(|| io::Error::other("a file without a directory"))?;
    create_directories(parent)?;
    let (mut file, aside) = staging_file(target)?;
    let moved = payload
        .iter()
        .try_for_each(|bytes| file.write_all(bytes))
        .and_then(|()| file.sync_all())
        .and_then(|()| if create { fs::hard_link(&aside, target) } else { fs::rename(&aside, target) });
    if create || moved.is_err() {
        // The link is in place, or nothing is: the staging name has done its duty. A leftover is not listed and harms nobody.
        let _ = fs::remove_file(&aside);
    }
    moved?;
    File::open(parent)?.sync_all()?;
    Ok(PutResult { e_tag: None, version: None })
}

/// A new file beside `target`. Names ending in `#` and digits are invisible to listings of the local store.
fn staging_file(target: &FsPath) -> io::Result<(File, PathBuf)> {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    loop {
        let mut name = target.as_os_str().to_os_string();
        name.push(format!("#{}{:09}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed)));
        let aside = PathBuf::from(name);
        match OpenOptions::new().write(true).create_new(true).open(&aside) {
            Ok(file) => return Ok((file, aside)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}

/// Makes `directory` and its missing ancestors, and flushes the directory entry of each one made.
fn create_directories(directory: &FsPath) -> io::Result<()> {
    let missing: Vec<&FsPath> = directory.ancestors().take_while(|ancestor| !ancestor.exists()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    fs::create_dir_all(directory)?;
    for made in missing.into_iter().rev() {
        if let Some(parent) = made.parent() {
            File::open(parent)?.sync_all()?;
        }
    }
    Ok(())
}

/// Flushes a file that is in place, and its directories up to the first that is older than the file's own.
fn flush(target: &FsPath) -> io::Result<()> {
    File::open(target)?.sync_all()?;
    for directory in target.ancestors().skip(1).take(3) {
        File::open(directory)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::ObjectStoreExt;

    #[tokio::test]
    async fn a_created_file_is_never_replaced_and_leaves_nothing_aside() {
        let directory = tempfile::tempdir().unwrap();
        let store = LocalFiles::new(Handle::current(), true);
        let path = Path::from_absolute_path(directory.path()).unwrap().join("log").join("0.json");
        let create = || PutOptions::from(PutMode::Create);
        store.put_opts(&path, "first".into(), create()).await.unwrap();
        let again = store.put_opts(&path, "second".into(), create()).await;
        assert!(matches!(again, Err(Error::AlreadyExists { .. })), "{again:?}");
        assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), "first");
        store.put(&path, "third".into()).await.unwrap();
        assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), "third");
        assert_eq!(fs::read_dir(directory.path().join("log")).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn one_of_many_creators_wins() {
        let directory = tempfile::tempdir().unwrap();
        let store = std::sync::Arc::new(LocalFiles::new(Handle::current(), true));
        let path = Path::from_absolute_path(directory.path()).unwrap().join("0.json");
        let tries = (0..16).map(|_| {
            let (store, path) = (std::sync::Arc::clone(&store), path.clone());
            async move { store.put_opts(&path, "x".into(), PutOptions::from(PutMode::Create)).await.is_ok() }
        });
        let won = futures::future::join_all(tries).await.into_iter().filter(|won| *won).count();
        assert_eq!(won, 1);
    }

    #[tokio::test]
    async fn a_file_written_in_parts_is_there_when_complete() {
        let directory = tempfile::tempdir().unwrap();
        let store = LocalFiles::new(Handle::current(), true);
        let path = Path::from_absolute_path(directory.path()).unwrap().join("p=1").join("x.parquet");
        let mut upload = store.put_multipart(&path).await.unwrap();
        upload.put_part("abc".into()).await.unwrap();
        upload.complete().await.unwrap();
        assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), "abc");
    }
}
