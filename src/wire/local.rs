//! The Unix socket: for clients of this machine, whom the kernel vouches for.
//!
//! It lies where PostgreSQL's clients look for it, `DIRECTORY/.s.PGSQL.PORT` with the port of the network door. The directory decides who
//! gets to it: if it has to be made, only the server's user may enter. It is gone when the server is.

use std::fs::{DirBuilder, Permissions};
use std::io::ErrorKind as IoErrorKind;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

use crate::error::{Error, ErrorKind, Result};

/// A Unix socket that is listened on; its file is removed when this is dropped.
#[derive(Debug)]
pub struct LocalDoor {
    listener: UnixListener,
    path: PathBuf,
}

impl LocalDoor {
    /// Listens in `directory`. A socket that a server has left behind is taken away.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if the directory cannot be used or another server listens there.
    pub fn open(directory: &Path, port: u16) -> Result<Self> {
        let path = directory.join(format!(".s.PGSQL.{port}"));
        let failed = |error: std::io::Error| Error::new(ErrorKind::Config, format!("cannot listen on {}: {error}", path.display()));
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
        let listener = match UnixListener::bind(&path) {
            Err(error) if error.kind() == IoErrorKind::AddrInUse && is_left_behind(&path) => {
                std::fs::remove_file(&path).map_err(failed)?;
                UnixListener::bind(&path)
            }
            bound => bound,
        };
        let door = Self { listener: listener.map_err(failed)?, path: path.clone() };
        // As in PostgreSQL, everybody who may enter the directory may connect.
        std::fs::set_permissions(&path, Permissions::from_mode(0o777)).map_err(failed)?;
        Ok(door)
    }

    pub(super) async fn accept(&self) -> std::io::Result<UnixStream> {
        self.listener.accept().await.map(|(socket, _)| socket)
    }
}

impl Drop for LocalDoor {
    fn drop(&mut self) {
        // Somebody may have removed it already.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// It is a socket, and nobody listens.
fn is_left_behind(path: &Path) -> bool {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket());
    let refused =
        || std::os::unix::net::UnixStream::connect(path).is_err_and(|error| error.kind() == IoErrorKind::ConnectionRefused);
    is_socket && refused()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_that_was_left_behind_is_taken_over_and_one_in_use_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let inner = directory.path().join("run");
        let path = inner.join(".s.PGSQL.5433");
        let door = LocalDoor::open(&inner, 5433).unwrap();
        assert_eq!(std::fs::metadata(&inner).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(LocalDoor::open(&inner, 5433).unwrap_err().kind(), ErrorKind::Config);
        drop(door);
        assert!(!path.exists());
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let door = LocalDoor::open(&inner, 5433).unwrap();
        drop(door);
        std::fs::write(&path, "a file").unwrap();
        assert!(LocalDoor::open(&inner, 5433).is_err());
        assert!(path.exists());
    }
}
