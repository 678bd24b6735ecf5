//! Personal access tokens.

use std::sync::Arc;

use super::{Change, Write};
use crate::catalog::securable::{ObjectId, Token, TokenDigest};
use crate::error::{Error, ErrorKind, Result};

/// Most tokens that one principal has at a time.
const MAXIMUM_TOKENS: usize = 600;

/// A token to be made.
#[derive(Debug)]
pub struct NewToken {
    /// The part of the secret that finds it.
    pub public_id: String,
    /// Whom it stands for.
    pub owner: ObjectId,
    /// SHA-256 of the secret.
    pub digest: TokenDigest,
    /// Who makes it.
    pub created_by: ObjectId,
    /// When, in microseconds since 1970-01-01 UTC.
    pub created_at: i64,
    /// When it ends, in microseconds since 1970-01-01 UTC.
    pub expires_at: i64,
    /// COMMENT.
    pub comment: Option<String>,
}

impl Change {
    /// CREATE TOKEN. Tokens of the owner that have expired by then are forgotten.
    ///
    /// # Errors
    /// [`ErrorKind::ProgramLimit`] if the owner has too many, [`ErrorKind::DuplicateObject`] if the public id is taken.
    pub fn create_token(&mut self, new: NewToken) -> Result<ObjectId> {
        if self.snapshot.token(&new.public_id).is_some() {
            return Err(Error::new(ErrorKind::DuplicateObject, format!("token \"{}\" already exists", new.public_id)));
        }
        let expired: Vec<ObjectId> = self
            .snapshot
            .tokens()
            .filter(|token| token.owner == new.owner && token.expires_at <= new.created_at)
            .map(|token| token.id)
            .collect();
        for token in expired {
            self.record(Write::RemoveToken(token));
        }
        if self.tokens_of(new.owner).len() >= MAXIMUM_TOKENS {
            return Err(Error::new(ErrorKind::ProgramLimit, format!("a role may have at most {MAXIMUM_TOKENS} tokens"))
                .with_hint("Drop those that are no longer needed: SHOW TOKENS lists them."));
        }
        let id = self.next_id()?;
        self.record(Write::PutToken(Arc::new(Token {
            id,
            public_id: new.public_id,
            owner: new.owner,
            digest: new.digest,
            created_by: new.created_by,
            created_at: new.created_at,
            expires_at: new.expires_at,
            comment: new.comment,
        })));
        Ok(id)
    }

    /// DROP TOKEN.
    ///
    /// # Errors
    /// [`ErrorKind::UndefinedObject`] if it is gone.
    pub fn drop_token(&mut self, public_id: &str) -> Result<()> {
        let id = self.snapshot.token(public_id).map(|token| token.id).ok_or_else(Change::gone)?;
        self.record(Write::RemoveToken(id));
        Ok(())
    }

    /// The tokens of a principal.
    pub(super) fn tokens_of(&self, owner: ObjectId) -> Vec<ObjectId> {
        self.snapshot.tokens().filter(|token| token.owner == owner).map(|token| token.id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{CatalogSnapshot, NewPrincipal};

    fn token(owner: ObjectId, public_id: &str, expires_at: i64) -> NewToken {
        NewToken {
            public_id: public_id.into(),
            owner,
            digest: TokenDigest([1; 32]),
            created_by: owner,
            created_at: 100,
            expires_at,
            comment: None,
        }
    }

    fn world() -> (Change, ObjectId, ObjectId) {
        let mut change = Change::on(&CatalogSnapshot::empty());
        let user = |name: &str| NewPrincipal { name: name.into(), can_login: true, is_admin: true, ..NewPrincipal::default() };
        let (ann, bob) = (change.create_principal(user("ann")).unwrap(), change.create_principal(user("bob")).unwrap());
        (change, ann, bob)
    }

    #[test]
    fn tokens_go_with_their_owner_and_public_ids_are_unique() {
        let (mut change, ann, bob) = world();
        change.create_token(token(ann, "a", 200)).unwrap();
        change.create_token(token(bob, "b", 200)).unwrap();
        assert_eq!(change.create_token(token(bob, "a", 200)).unwrap_err().kind(), ErrorKind::DuplicateObject);
        change.drop_principal(ann).unwrap();
        assert_eq!(change.snapshot().tokens().map(|token| token.owner).collect::<Vec<_>>(), [bob]);
        change.drop_token("b").unwrap();
        assert_eq!(change.drop_token("b").unwrap_err().kind(), ErrorKind::UndefinedObject);
    }

    #[test]
    fn expired_tokens_make_room_and_there_is_a_bound() {
        let (mut change, ann, bob) = world();
        change.create_token(token(bob, "other", 50)).unwrap();
        change.create_token(token(ann, "old", 50)).unwrap();
        for number in 0..MAXIMUM_TOKENS {
            change.create_token(token(ann, &number.to_string(), 200)).unwrap();
        }
        assert!(change.snapshot().token("old").is_none() && change.snapshot().token("other").is_some());
        assert_eq!(change.create_token(token(ann, "more", 200)).unwrap_err().kind(), ErrorKind::ProgramLimit);
    }
}
