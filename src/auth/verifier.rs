//! SCRAM-SHA-256 verifiers in PostgreSQL's text form: `SCRAM-SHA-256$4096:salt$stored key:server key`.
//!
//! A verifier proves a password and cannot be turned back into one. `\password` of psql and `ALTER USER .. PASSWORD 'SCRAM-SHA-256$..'`
//! send the same text that is stored here, so verifiers can be carried over from a PostgreSQL server.

use std::borrow::Cow;
use std::collections::BTreeMap;
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
    pub(super) fn mock(name: &str, shapes: &Shapes, secret: &MockSecret) -> Self {
        let Shape { iterations, salt_length } = shapes.choose(name, secret);
        Self { iterations, salt: secret.salt(name, salt_length), stored_key: [0; 32], server_key: [0; 32] }
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

/// What a challenge shows of a verifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Shape {
    iterations: u32,
    salt_length: usize,
}

/// The shapes of all users' verifiers and how many users have each. Verifiers that were carried over from elsewhere may have other iterations and
/// salts than our own, and a name that is always answered with ours would not be theirs.
#[derive(Debug, Default)]
pub struct Shapes(BTreeMap<Shape, u32>);

impl Shapes {
    /// Of these verifiers in their text form.
    pub fn of<'a>(verifiers: impl Iterator<Item = &'a str>) -> Self {
        let mut shapes = BTreeMap::new();
        for text in verifiers {
            if let Some(shape) = Shape::of(text) {
                *shapes.entry(shape).or_default() += 1;
            }
        }
        Self(shapes)
    }

    /// The shape for a name that has none: always the same one while the users stay the same, and over all names each as often as among the
    /// users. A user more or less changes the shape of few names (weighted rendezvous hashing); who polls a made-up name over years of such
    /// changes may see it change, as that of a user who gets a new password does.
    fn choose(&self, name: &str, secret: &MockSecret) -> Shape {
        let score = |shape: &Shape, users: u32| {
            let drawn = secret.draw(&[name.as_bytes(), &shape.iterations.to_be_bytes(), &shape.salt_length.to_be_bytes()]);
            -drawn.ln() / f64::from(users)
        };
        let scored = self.0.iter().map(|(shape, users)| (score(shape, *users), *shape));
        let ours = Shape { iterations: DEFAULT_ITERATIONS, salt_length: SALT_LENGTH };
        scored.min_by(|one, other| one.0.total_cmp(&other.0)).map_or(ours, |(_, shape)| shape)
    }
}

impl Shape {
    /// Without reading the keys: this is asked of every user at every login.
    fn of(text: &str) -> Option<Self> {
        let (iterations, salt) = text.strip_prefix(SCHEME)?.strip_prefix('$')?.split_once('$')?.0.split_once(':')?;
        let salt_length = salt.trim_end_matches('=').len() * 3 / 4;
        Some(Self { iterations: iterations.parse().ok()?, salt_length })
    }
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
    fn made_up_names_have_the_shapes_of_users_in_their_proportion_and_keep_them() {
        let verifier = |iterations, salt: usize| Verifier::derive("x", vec![1; salt], iterations).to_string();
        let users: Vec<String> = (0..40).map(|number| if number % 4 == 0 { verifier(15, 18) } else { verifier(40, 16) }).collect();
        let (shapes, more) = (Shapes::of(users.iter().map(String::as_str)), [&users[..], &[verifier(40, 16)][..]].concat());
        let (more, secret) = (Shapes::of(more.iter().map(String::as_str)), MockSecret([7; 32]));
        let mock = |shapes, number: usize| {
            let mock = Verifier::mock(&format!("nobody{number}"), shapes, &secret);
            assert!(matches!((mock.iterations, mock.salt.len()), (15, 18) | (40, 16)));
            mock.iterations
        };
        let carried_over = (0..1000).filter(|number| mock(&shapes, *number) == 15).count();
        assert!((200..300).contains(&carried_over), "{carried_over}");
        let changed = (0..1000).filter(|number| mock(&shapes, *number) != mock(&more, *number)).count();
        assert!(changed < 20, "{changed}");
        assert_eq!(Verifier::mock("a", &Shapes::default(), &secret).iterations, DEFAULT_ITERATIONS);
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
