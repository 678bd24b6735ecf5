//! Encryption: TLS 1.2 and 1.3 with a certificate from files, loaded anew when the files change.
//!
//! With `client_ca` a client may show a certificate that one of those authorities has signed; showing another ends the handshake.
//! Whether one is needed is for the rules of `auth` to say. Revocation lists are not looked at.
//! A handshake uses the certificate that was current when it began, and so does its channel binding; connections that are open stay
//! as they are. A broken new file leaves the old certificate in service.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256, Sha384, Sha512};
use tokio_rustls::TlsAcceptor;
use tracing::{info, warn};
use x509_certificate::X509Certificate;

use super::options::TlsOptions;
use crate::error::{Error, ErrorKind, Result};

/// ALPN name of the PostgreSQL protocol.
pub(super) const ALPN: &[u8] = b"postgresql";

/// The server's certificate.
#[derive(Debug)]
pub struct Tls {
    files: Files,
    current: ArcSwap<Identity>,
    changed: Mutex<Stamp>,
}

/// Where everything lies.
#[derive(Debug)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
}

/// When the files were last written.
type Stamp = [Option<SystemTime>; 3];

/// A certificate in service.
pub(super) struct Identity {
    pub(super) acceptor: TlsAcceptor,
    /// `tls-server-end-point` of RFC 5929; `None` if the certificate's signature has no hash that both sides would agree on.
    pub(super) end_point: Option<Vec<u8>>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

impl Tls {
    /// Loads the certificate that the options name; `None` if they name none.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if a file cannot be read, the two do not fit together, or others may read the key.
    pub fn load(options: &TlsOptions) -> Result<Option<Arc<Self>>> {
        let (Some(certificate), Some(key)) = (options.certificate.clone(), options.key.clone()) else { return Ok(None) };
        let files = Files { certificate, key, client_ca: options.client_ca.clone() };
        let stamp = files.stamp();
        let current = ArcSwap::from_pointee(identity(&files)?);
        Ok(Some(Arc::new(Self { files, current, changed: Mutex::new(stamp) })))
    }

    /// Loads the files again, whether they have changed or not: for SIGHUP.
    ///
    /// # Errors
    /// As [`Tls::load`]; the old certificate stays in service.
    pub fn reload(&self) -> Result<()> {
        *self.changed.lock() = self.files.stamp();
        self.current.store(Arc::new(identity(&self.files)?));
        Ok(())
    }

    /// Loads the files again if they have changed.
    pub(super) fn reload_if_changed(&self) {
        if *self.changed.lock() == self.files.stamp() {
            return;
        }
        match self.reload() {
            Ok(()) => info!(certificate = %self.files.certificate.display(), "new certificate in service"),
            Err(error) => {
                warn!(certificate = %self.files.certificate.display(), %error, "new certificate refused, the old one stays")
            }
        }
    }

    pub(super) fn current(&self) -> Arc<Identity> {
        self.current.load_full()
    }
}

/// Makes a certificate that is signed by nobody else, and its key, as `server.crt` and `server.key` in `directory`. Keeps what is
/// there. Encrypts against listeners; clients cannot tell by it whom they talk to.
///
/// # Errors
/// [`ErrorKind::Io`] if the files cannot be written.
pub fn self_signed(directory: &Path, names: &[String]) -> Result<(PathBuf, PathBuf)> {
    let (certificate, key) = (directory.join("server.crt"), directory.join("server.key"));
    if certificate.exists() && key.exists() {
        return Ok((certificate, key));
    }
    let made = rcgen::generate_simple_self_signed(names)
        .map_err(|error| Error::new(ErrorKind::Config, "cannot make a certificate").with_source(error))?;
    let failed =
        |error: std::io::Error| Error::new(ErrorKind::Io, format!("cannot write to {}", directory.display())).with_source(error);
    std::fs::create_dir_all(directory).map_err(failed)?;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&key).map_err(failed)?;
    std::io::Write::write_all(&mut file, made.signing_key.serialize_pem().as_bytes()).map_err(failed)?;
    std::fs::write(&certificate, made.cert.pem()).map_err(failed)?;
    Ok((certificate, key))
}

impl Files {
    fn stamp(&self) -> Stamp {
        [modified(&self.certificate), modified(&self.key), self.client_ca.as_deref().and_then(modified)]
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

fn identity(files: &Files) -> Result<Identity> {
    let Files { certificate, key, client_ca } = files;
    let wrong = |path: &Path, error: &dyn std::fmt::Display| {
        Error::new(ErrorKind::Config, format!("cannot use {}: {error}", path.display()))
    };
    check_private(key)?;
    let chain = certificates(certificate).map_err(|error| wrong(certificate, &error))?;
    let Some(own) = chain.first() else { return Err(wrong(certificate, &"there is no certificate in it")) };
    let end_point = end_point(own);
    let private_key = PrivateKeyDer::from_pem_file(key).map_err(|error| wrong(key, &error))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = match client_ca {
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for authority in certificates(path).map_err(|error| wrong(path, &error))? {
                roots.add(authority).map_err(|error| wrong(path, &error))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
            verifier.allow_unauthenticated().build().map_err(|error| wrong(path, &error))?
        }
        None => WebPkiClientVerifier::no_client_auth(),
    };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13, &TLS12])
        .and_then(|builder| builder.with_client_cert_verifier(verifier).with_single_cert(chain, private_key))
        .map_err(|error| wrong(certificate, &error))?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(Identity { acceptor: TlsAcceptor::from(Arc::new(config)), end_point })
}

fn certificates(path: &Path) -> std::result::Result<Vec<CertificateDer<'static>>, rustls_pki_types::pem::Error> {
    CertificateDer::pem_file_iter(path)?.collect()
}

/// Who a certificate says its holder is: the common names of its subject, and the mail addresses and host names beside it.
pub(super) fn names_of(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok(certificate) = X509Certificate::from_der(certificate.as_ref()) else { return vec![] };
    let common = certificate.subject_name().iter_common_name().filter_map(|name| name.to_string().ok());
    let mut names: Vec<String> = common.collect();
    for extension in
        certificate.iter_extensions().filter(|extension| AsRef::<[u8]>::as_ref(&extension.id) == SUBJECT_ALTERNATIVE_NAME)
    {
        let value = extension.value.to_bytes();
        let Some((_, mut rest, _)) = element(&value) else { continue };
        while let Some((tag, content, after)) = element(rest) {
            if matches!(tag, MAIL_ADDRESS | HOST_NAME) {
                names.extend(std::str::from_utf8(content).map(str::to_string));
            }
            rest = after;
        }
    }
    // A name that is cut off somewhere else must not be a shorter one here.
    names.retain(|name| !name.is_empty() && !name.contains('\0'));
    names
}

/// 2.5.29.17
const SUBJECT_ALTERNATIVE_NAME: &[u8] = &[0x55, 0x1d, 0x11];
/// rfc822Name, `[1] IA5String`.
const MAIL_ADDRESS: u8 = 0x81;
/// dNSName, `[2] IA5String`.
const HOST_NAME: u8 = 0x82;

#[cfg(unix)]
fn check_private(key: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let metadata =
        std::fs::metadata(key).map_err(|error| Error::new(ErrorKind::Config, format!("cannot use {}: {error}", key.display())))?;
    // PostgreSQL's rule: others nothing, the group at most reading.
    if metadata.permissions().mode() & 0o037 != 0 {
        return Err(Error::new(ErrorKind::Config, format!("private key file {} has group or world access", key.display()))
            .with_hint("Set its permissions to 0600, or 0640 if root owns it."));
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_private(_key: &Path) -> Result<()> {
    Ok(())
}

/// Hash of a certificate by the hash of its signature; MD5 and SHA-1 give way to SHA-256 (RFC 5929, 4.1).
fn end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let (_, whole, _) = element(certificate)?;
    let (_, _, after_body) = element(whole)?;
    let (_, algorithm, _) = element(after_body)?;
    let (0x06, identifier, _) = element(algorithm)? else { return None };
    match identifier {
        // md5, sha1 and sha256 with RSA
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x04 | 0x05 | 0x0b]
        // sha1 and sha256 with ECDSA
        | [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01]
        | [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02] => Some(Sha256::digest(certificate).to_vec()),
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0c] | [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03] => {
            Some(Sha384::digest(certificate).to_vec())
        }
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0d] | [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x04] => {
            Some(Sha512::digest(certificate).to_vec())
        }
        _ => None,
    }
}

/// The first DER element: its tag, its content and what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        length @ 0..=0x7f => (usize::from(*length), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().fold(0_usize, |length, byte| (length << 8) | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, after) = rest.split_at_checked(length)?;
    Some((*tag, content, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_made_once_loaded_and_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let (certificate, key) = self_signed(directory.path(), &["localhost".into()]).unwrap();
        let options = TlsOptions { certificate: Some(certificate.clone()), key: Some(key.clone()), ..TlsOptions::default() };
        let tls = Tls::load(&options).unwrap().unwrap();
        let before = tls.current().end_point.clone().unwrap();
        assert_eq!(before.len(), 32);
        assert_eq!(self_signed(directory.path(), &["localhost".into()]).unwrap().0, certificate);

        std::fs::write(&certificate, "nonsense").unwrap();
        assert!(tls.reload().is_err());
        assert_eq!(tls.current().end_point.clone().unwrap(), before);

        std::fs::remove_file(&key).unwrap();
        self_signed(directory.path(), &["localhost".into()]).unwrap();
        tls.reload().unwrap();
        assert_ne!(tls.current().end_point.clone().unwrap(), before);
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let (certificate, key) = self_signed(directory.path(), &["localhost".into()]).unwrap();
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
        let options = TlsOptions { certificate: Some(certificate), key: Some(key), ..TlsOptions::default() };
        assert_eq!(Tls::load(&options).unwrap_err().kind(), ErrorKind::Config);
    }

    #[test]
    fn broken_der_has_no_end_point() {
        for der in [&b""[..], b"\x30", b"\x30\x84\xff\xff\xff\xff", b"\x30\x03\x30\x01\x00", b"\x30\x80"] {
            assert_eq!(end_point(der), None);
        }
    }
}
