//! SCRAM-SHA-256 verifiers in PostgreSQL's text form: `SCRAM-SHA-256$4096:salt$stored key:server key`.
//!
//! A verifier proves a password and cannot be turned back into one. `\password` of psql and `ALTER USER .. PASSWORD 'SCRAM-SHA-256$..'`
//! send the same text that is stored here, so verifiers can be carried over from a PostgreSQL server.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{MockSecret, hmac_sha256, random_bytes};
use crate::error::{Error, ErrorKind, Result};

/// Iterations of new verifiers, PostgreSQL's `scram_iterations`.
pub const DEFAULT_ITERATIONS: u32 = 4096;

/// Most iterations that a verifier may ask of a client.
const MAXIMUM_ITERATIONS: u32 = 10_000_000;

/// Bytes of a new salt.
pub(super) const SALT_LENGTH: usize = 16;

const SCHEME: &str = "SCRAM-SHA-256";

/// A SCRAM-SHA-256 verifier.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    iterations: u32,
    salt: Vec<u8>,
    stored_key: [u8; 32],
    server_key: [u8; 32],
}

impl Verifier {
    /// Makes a verifier with a random salt.
    ///
    /// Costs `iterations` rounds of HMAC-SHA-256: a few milliseconds at 4096, so not on a thread that serves others at much more.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidParameter`] for an empty password or an iteration count out of range.
    pub fn from_password(password: &str, iterations: u32) -> Result<Self> {
        if password.is_empty() {
            return Err(Error::new(ErrorKind::InvalidParameter, "the password may not be empty"));
        }
        if !(1..=MAXIMUM_ITERATIONS).contains(&iterations) {
            return Err(Error::new(ErrorKind::InvalidParameter, format!("{iterations} is outside the range of SCRAM iterations")));
        }
        Ok(Self::derive(password, random_bytes::<SALT_LENGTH>()?.to_vec(), iterations))
    }

    /// What a PASSWORD clause says: a verifier as it is, or else a password in clear.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidParameter`] for an empty password, one hidden in a verifier included.
    pub fn from_clause(text: &str, iterations: u32) -> Result<Self> {
        let Some(verifier) = Self::parse(text) else { return Self::from_password(text, iterations) };
        if verifier.matches("") {
            return Err(Error::new(ErrorKind::InvalidParameter, "the password may not be empty"));
        }
        Ok(verifier)
    }

    /// Reads PostgreSQL's text form; `None` if `text` is not in it.
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once('$')?;
        let (iterations_and_salt, keys) = rest.split_once('$')?;
        let (iterations, salt) = iterations_and_salt.split_once(':')?;
        let (stored_key, server_key) = keys.split_once(':')?;
        let iterations: u32 = iterations.parse().ok().filter(|iterations| (1..=MAXIMUM_ITERATIONS).contains(iterations))?;
        let salt = BASE64.decode(salt).ok().filter(|salt| !salt.is_empty())?;
        let key = |text: &str| -> Option<[u8; 32]> { BASE64.decode(text).ok()?.try_into().ok() };
        (scheme == SCHEME).then_some(Self { iterations, salt, stored_key: key(stored_key)?, server_key: key(server_key)? })
    }

    /// A verifier that no password fits, of the shape that a real one has.
    pub(super) fn mock(name: &str, secret: &MockSecret) -> Self {
        Self { iterations: DEFAULT_ITERATIONS, salt: secret.salt(name).to_vec(), stored_key: [0; 32], server_key: [0; 32] }
    }

    /// Whether it was made from `password`. Costs what [`Verifier::from_password`] costs.
    pub fn matches(&self, password: &str) -> bool {
        let other = Self::derive(password, self.salt.clone(), self.iterations);
        bool::from(other.stored_key.ct_eq(&self.stored_key))
    }

    /// Rounds that the client has to compute.
    pub fn iterations(&self) -> u32 {
        self.iterations
    }

    pub(super) fn salt(&self) -> &[u8] {
        &self.salt
    }

    pub(super) fn stored_key(&self) -> &[u8; 32] {
        &self.stored_key
    }

    pub(super) fn server_key(&self) -> &[u8; 32] {
        &self.server_key
    }

    fn derive(password: &str, salt: Vec<u8>, iterations: u32) -> Self {
        let salted = salted_password(password, &salt, iterations);
        let client_key = hmac_sha256(&salted, &[b"Client Key"]);
        Self { iterations, salt, stored_key: Sha256::digest(client_key).into(), server_key: hmac_sha256(&salted, &[b"Server Key"]) }
    }
}

/// PBKDF2 over the normalised password. A password that SASLprep refuses is taken as it is, as PostgreSQL takes it.
pub(super) fn salted_password(password: &str, salt: &[u8], iterations: u32) -> [u8; 32] {
    let normalised = stringprep::saslprep(password).unwrap_or(Cow::Borrowed(password));
    pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(normalised.as_bytes(), salt, iterations)
}

impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let salt = BASE64.encode(&self.salt);
        write!(f, "{SCHEME}${}:{salt}${}:{}", self.iterations, BASE64.encode(self.stored_key), BASE64.encode(self.server_key))
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_survives_a_round_trip() {
        let verifier = Verifier::from_password("correct horse", DEFAULT_ITERATIONS).unwrap();
        let text = verifier.to_string();
        assert!(text.starts_with("SCRAM-SHA-256$4096:"), "{text}");
        assert_eq!(Verifier::parse(&text), Some(verifier.clone()));
        assert!(verifier.matches("correct horse") && !verifier.matches("wrong horse"));
        assert_eq!(format!("{verifier:?}"), "[secret]");
    }

    #[test]
    fn keys_are_those_of_rfc_7677() {
        // RFC 7677, 3: user "user", password "pencil".
        let salt = BASE64.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let verifier = Verifier::derive("pencil", salt, 4096);
        assert_eq!(
            verifier.to_string(),
            "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
        );
    }

    #[test]
    fn empty_passwords_are_refused_also_inside_a_verifier() {
        assert!(Verifier::from_password("", DEFAULT_ITERATIONS).is_err());
        let hidden = Verifier::derive("", vec![1; 16], 4096).to_string();
        assert_eq!(Verifier::from_clause(&hidden, DEFAULT_ITERATIONS).unwrap_err().kind(), ErrorKind::InvalidParameter);
        let shown = Verifier::derive("x", vec![1; 16], 4096);
        assert_eq!(Verifier::from_clause(&shown.to_string(), DEFAULT_ITERATIONS).unwrap(), shown);
    }

    #[test]
    fn other_text_is_a_password() {
        for text in ["", "md5d41d8cd98f00b204e9800998ecf8427e", "SCRAM-SHA-256$4096:x", "SCRAM-SHA-256$0:AAAA$AA==:AA=="] {
            assert_eq!(Verifier::parse(text), None, "{text}");
        }
    }
}
