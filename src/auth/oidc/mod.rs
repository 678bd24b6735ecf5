//! JSON Web Tokens of configured issuers, as OpenID Connect providers sign them.
//!
//! ```text
//!  token ─▶ form, algorithm ─▶ issuer ─▶ key by `kid` (keys: cache, file or URL) ─▶ signature ─▶ times, audience ─▶ user claim
//! ```
//! The algorithm is one of the issuer's list and must fit the key's own kind, so neither `none` nor a public key taken for a shared
//! secret is possible. Why a token is refused goes to the log; the client reads one and the same error. Nothing here knows a role.
//! Absent: opaque tokens that an issuer must be asked about (introspection), encrypted tokens, and discovery of the keys' address.

mod keys;
mod token;

#[cfg(test)]
pub(crate) mod tests;

use serde::{Deserialize, Serialize};

use self::keys::Keys;
pub use self::token::Rejection;
use self::token::{Checked, Unchecked};
use crate::error::{Error, ErrorKind, Result};
use crate::units::HumanDuration;

/// Longest token that is looked at.
pub const MAXIMUM_TOKEN: usize = 16 << 10;

/// Who signs tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerOptions {
    /// The claim `iss`, to the letter; also where clients find the issuer's metadata.
    pub url: String,
    /// One of them must be in the claim `aud`.
    pub audience: Vec<String>,
    /// Its keys (JWKS): an `https` URL, or a file.
    pub jwks: String,
    /// Signatures that are accepted.
    #[serde(default = "all_algorithms")]
    pub algorithms: Vec<Algorithm>,
    /// The claim that names the user.
    #[serde(default = "default_user_claim")]
    pub user_claim: String,
    /// The scope that clients ask for.
    #[serde(default = "default_scope")]
    pub scope: String,
    /// Age at which the keys are fetched anew; if that fails they serve for an hour.
    #[serde(default = "default_refresh")]
    pub refresh: HumanDuration,
}

fn all_algorithms() -> Vec<Algorithm> {
    Algorithm::ALL.to_vec()
}

fn default_user_claim() -> String {
    "sub".into()
}

fn default_scope() -> String {
    "openid".into()
}

fn default_refresh() -> HumanDuration {
    HumanDuration::secs(600)
}

/// A signature with a public key. There is no other: `none` and the HMAC family have no name here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are RFC 7518's and RFC 8037's")]
pub enum Algorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl Algorithm {
    const ALL: [Algorithm; 9] = [
        Algorithm::RS256,
        Algorithm::RS384,
        Algorithm::RS512,
        Algorithm::PS256,
        Algorithm::PS384,
        Algorithm::PS512,
        Algorithm::ES256,
        Algorithm::ES384,
        Algorithm::EdDsa,
    ];
}

/// The issuers, ready for use.
#[derive(Debug)]
pub struct Issuers {
    issuers: Vec<(IssuerOptions, Keys)>,
}

impl Issuers {
    /// Checks the configuration. Keys are fetched when the first token comes.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] naming the issuer.
    pub fn new(options: &[IssuerOptions]) -> Result<Self> {
        let mut issuers: Vec<(IssuerOptions, Keys)> = Vec::new();
        for issuer in options {
            let wrong = |why: &str| Error::new(ErrorKind::Config, format!("auth.issuer {:?}: {why}", issuer.url));
            if issuer.url.is_empty() || issuers.iter().any(|(other, _)| other.url == issuer.url) {
                return Err(wrong("the url is empty, or another issuer has it"));
            }
            if issuer.audience.is_empty() || issuer.audience.iter().any(String::is_empty) {
                return Err(wrong("it needs an audience, or a token for any other service would do here"));
            }
            if issuer.algorithms.is_empty() {
                return Err(wrong("it accepts no algorithm"));
            }
            let keys = Keys::new(issuer).map_err(|why| wrong(&why))?;
            issuers.push((issuer.clone(), keys));
        }
        Ok(Self { issuers })
    }

    /// The name in the user claim of a token that holds at `now`, in seconds since 1970-01-01 UTC.
    ///
    /// Fetches the issuer's keys if they are not there, are old, or lack the one that the token names.
    ///
    /// # Errors
    /// Why it does not hold: for the log.
    pub async fn verify(&self, text: &str, now: f64) -> std::result::Result<String, Rejection> {
        let token = Unchecked::parse(text)?;
        let (options, keys) = self.issuers.iter().find(|(options, _)| options.url == token.issuer()).ok_or(Rejection::Issuer)?;
        let known = keys.current().await.ok_or(Rejection::NoKeys)?;
        let checked = match token.check(options, &known.keys) {
            Err(Rejection::UnknownKey) => {
                let newer = keys.newer_than(&known).await.ok_or(Rejection::UnknownKey)?;
                token.check(options, &newer.keys)
            }
            other => other,
        };
        checked.and_then(|checked: Checked<'_>| checked.user(options, now))
    }

    /// What a client without a valid token is told (RFC 7628, 3.2.2): where to get one.
    pub fn discovery(&self) -> String {
        let Some((options, _)) = self.issuers.first() else { return String::new() };
        let metadata = if options.url.contains("/.well-known/") {
            options.url.clone()
        } else {
            format!("{}/.well-known/openid-configuration", options.url.trim_end_matches('/'))
        };
        serde_json::json!({ "status": "invalid_token", "openid-configuration": metadata, "scope": options.scope }).to_string()
    }
}
