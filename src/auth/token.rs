//! Personal access tokens: `lhpat_0123456789abcdef_` and 64 more hexadecimal digits.
//!
//! The first digits find the token and are no secret; the rest has 256 random bits. The metastore keeps the SHA-256 of the whole
//! text, so a copy of it opens no door. Digests are compared in constant time, and a token that is not there costs the same.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::random_bytes;
use crate::catalog::CatalogSnapshot;
use crate::catalog::securable::{Principal, Secret, Token, TokenDigest};
use crate::error::Result;

/// What every token begins with, for people and for programs that look for secrets in the wrong places.
const PREFIX: &str = "lhpat_";
/// Random bytes of the public part.
const PUBLIC_LENGTH: usize = 8;
/// Random bytes of the secret part.
const SECRET_LENGTH: usize = 32;

/// A token that has just been made: the only time that its text is there.
#[derive(Debug)]
pub struct NewSecret {
    /// The text.
    pub text: Secret<String>,
    /// The part that finds it.
    pub public_id: String,
    /// What is kept.
    pub digest: TokenDigest,
}

impl NewSecret {
    /// Makes a token from the operating system's random numbers.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Io`] if it gives none.
    pub fn generate() -> Result<Self> {
        let public_id = hex::encode(random_bytes::<PUBLIC_LENGTH>()?);
        let text = format!("{PREFIX}{public_id}_{}", hex::encode(random_bytes::<SECRET_LENGTH>()?));
        Ok(Self { digest: digest(&text), text: Secret::new(text), public_id })
    }
}

/// The token whose text this is and whom it stands for, if it is valid at `now` (microseconds since 1970-01-01 UTC).
pub fn verify<'s>(text: &str, snapshot: &'s CatalogSnapshot, now: i64) -> Option<(&'s Token, &'s std::sync::Arc<Principal>)> {
    let presented = digest(text);
    let token = public_id(text).and_then(|id| snapshot.token(id));
    let kept = token.map_or([0; 32], |token| token.digest.0);
    if !bool::from(presented.0.ct_eq(&kept)) {
        return None;
    }
    let token = token.filter(|token| now < token.expires_at)?;
    let owner = snapshot.principal_by_id(token.owner)?;
    Some((token, owner))
}

/// Whether the text has the form of our tokens, so that it can be nothing else.
pub fn is_token(text: &str) -> bool {
    text.starts_with(PREFIX)
}

fn public_id(text: &str) -> Option<&str> {
    text.strip_prefix(PREFIX)?.split_once('_').map(|(id, _)| id)
}

fn digest(text: &str) -> TokenDigest {
    TokenDigest(Sha256::digest(text).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Change, NewPrincipal, NewToken};

    #[test]
    fn a_token_is_found_proved_and_ends() {
        let mut change = Change::on(&CatalogSnapshot::empty());
        let owner = change.create_principal(NewPrincipal { name: "ada".into(), ..NewPrincipal::default() }).unwrap();
        let secret = NewSecret::generate().unwrap();
        change
            .create_token(NewToken {
                public_id: secret.public_id.clone(),
                owner,
                digest: secret.digest,
                created_by: owner,
                created_at: 0,
                expires_at: 1_000,
                comment: None,
            })
            .unwrap();
        let snapshot = change.into_snapshot();
        let text = secret.text.expose();
        assert_eq!((text.len(), &text[..6]), (PREFIX.len() + 16 + 1 + 64, PREFIX));
        assert_eq!(verify(text, &snapshot, 999).unwrap().1.name, "ada");
        assert!(verify(text, &snapshot, 1_000).is_none(), "expired");
        let mut wrong = text.clone();
        let last = if wrong.pop() == Some('0') { '1' } else { '0' };
        wrong.push(last);
        let other = NewSecret::generate().unwrap();
        let cut = &text[..text.len() - 1];
        for wrong in [wrong.as_str(), other.text.expose(), cut, "", PREFIX, &text.to_uppercase(), &format!("{text} ")] {
            assert!(verify(wrong, &snapshot, 0).is_none(), "{wrong}");
        }
        assert!(!format!("{secret:?}{snapshot:?}").contains(&text[PREFIX.len() + 17..]));
    }
}
