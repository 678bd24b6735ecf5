//! Who are you: the rules that say how to prove it, and the proofs.
//!
//! ```text
//!                      ┌─ scram, verifier   a password that does not travel; a mock of the same shape for names that do not exist
//!  rule ─▶ lockout ─▶ ─┼─ token             a secret of ours that stands for a user
//!                      ├─ oidc              a token that somebody else has signed
//!                      └─ (certificate, peer: TLS or the kernel has told already; only the name is mapped)
//! ```
//! No password reaches the server: only verifiers and digests are stored. A name that does not exist, a group and a user without a
//! verifier go through the same messages as a wrong password, and all of them read the same error. How bytes travel is not known here
//! (`wire`), nor where principals are kept (`catalog`). Absent: GSSAPI, LDAP, RADIUS, MD5, and passwords in clear.

pub mod lockout;
pub mod oidc;
pub mod rule;
pub mod scram;
pub mod token;
pub mod verifier;

pub use rule::AuthOptions;

use std::io::{Read, Write};
use std::path::Path;

use hmac::{Hmac, Mac};
use rand::TryRngCore;
use rand::rngs::OsRng;
use sha2::Sha256;

use crate::error::{Error, ErrorKind, Result};

/// Key of the salts that unknown names are answered with. It outlives restarts, or a salt that changes would tell that its name
/// does not exist.
#[derive(Clone)]
pub struct MockSecret([u8; 32]);

impl MockSecret {
    /// A secret from the operating system's random numbers, for this process only.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] if the operating system gives none.
    pub fn random() -> Result<Self> {
        Ok(Self(random_bytes()?))
    }

    /// Reads the secret from a file, and makes it at the first start: 32 bytes that only the owner may read.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] if the file can neither be read nor made, [`ErrorKind::DataCorrupted`] if it has another length.
    pub fn load_or_create(path: &Path) -> Result<Self> {
        let failed = |error: std::io::Error| {
            Error::new(ErrorKind::Io, format!("cannot read or make the authentication secret {}", path.display()))
                .with_source(error)
        };
        match std::fs::File::open(path) {
            Ok(mut file) => {
                let mut bytes = Vec::new();
                file.read_to_end(&mut bytes).map_err(failed)?;
                let bytes = bytes.try_into().map_err(|_| {
                    Error::new(
                        ErrorKind::DataCorrupted,
                        format!("the authentication secret {} is not 32 bytes long", path.display()),
                    )
                })?;
                Ok(Self(bytes))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let secret = Self::random()?;
                let mut options = std::fs::OpenOptions::new();
                options.write(true).create_new(true);
                #[cfg(unix)]
                std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
                let mut file = options.open(path).map_err(failed)?;
                file.write_all(&secret.0).map_err(failed)?;
                file.sync_all().map_err(failed)?;
                Ok(secret)
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// The salt that `name` is answered with, always the same.
    fn salt(&self, name: &str, length: usize) -> Vec<u8> {
        let first = hmac_sha256(&self.0, &[name.as_bytes()]);
        let blocks = std::iter::successors(Some(first), |block| Some(hmac_sha256(&self.0, &[block, name.as_bytes()])));
        blocks.flatten().take(length).collect()
    }

    /// A number between 0 and 1 that nobody else can tell, always the same for the same parts.
    fn draw(&self, parts: &[&[u8]]) -> f64 {
        let parts = [&[b"draw".as_slice()][..], parts].concat();
        let digest = hmac_sha256(&self.0, &parts);
        let number = digest.iter().take(6).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        (number as f64 + 1.0) / (1_u64 << 48) as f64
    }
}

impl std::fmt::Debug for MockSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[secret]")
    }
}

/// Random bytes from the operating system.
///
/// # Errors
/// [`ErrorKind::Io`] if it gives none.
pub fn random_bytes<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    OsRng
        .try_fill_bytes(&mut bytes)
        .map_err(|error| Error::new(ErrorKind::Io, "the operating system gives no random numbers").with_source(error))?;
    Ok(bytes)
}

/// HMAC-SHA-256 over the concatenation of `parts`.
fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    // HMAC takes keys of any length; the error type only serves other MACs.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; 32] };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mock_salt_survives_a_restart_and_differs_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        let first = MockSecret::load_or_create(&path).unwrap();
        let second = MockSecret::load_or_create(&path).unwrap();
        assert_eq!(first.salt("nobody", 16), second.salt("nobody", 16));
        assert_eq!(first.salt("nobody", 80)[..16], second.salt("nobody", 16));
        assert_ne!(first.salt("nobody", 16), first.salt("somebody", 16));
        std::fs::write(&path, b"short").unwrap();
        assert_eq!(MockSecret::load_or_create(&path).unwrap_err().kind(), ErrorKind::DataCorrupted);
    }
}
