//! One token: its form, its signature, its claims. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Algorithm, IssuerOptions, MAXIMUM_TOKEN};

/// How far clocks may differ, in seconds.
const SKEW: f64 = 60.0;

/// Why a token does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejection {
    /// It is not a token, or too long.
    Form,
    /// It names an algorithm that is not accepted, or needs a feature that is not there.
    Algorithm,
    /// Nobody known has issued it.
    Issuer,
    /// The issuer's keys cannot be had.
    NoKeys,
    /// The issuer has no such key, or more than one might be meant.
    UnknownKey,
    /// The signature is wrong.
    Signature,
    /// It is for somebody else.
    Audience,
    /// It has ended, has not begun, or does not say when it ends.
    Time,
    /// It names no user, or one whose address is not verified.
    User,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<Value>,
    b64: Option<Value>,
    zip: Option<Value>,
}

/// A token of which nothing has been proved.
pub(super) struct Unchecked<'t> {
    header: Header,
    claims: Map<String, Value>,
    signed: &'t str,
    signature: &'t str,
}

/// A token whose signature is right.
pub(super) struct Checked<'u> {
    claims: &'u Map<String, Value>,
}

impl<'t> Unchecked<'t> {
    pub(super) fn parse(text: &'t str) -> Result<Self, Rejection> {
        if text.len() > MAXIMUM_TOKEN {
            return Err(Rejection::Form);
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(Rejection::Form)?;
        let (header, claims) = signed.split_once('.').ok_or(Rejection::Form)?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| Rejection::Form);
        let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| Rejection::Form)?;
        let claims: Map<String, Value> = serde_json::from_slice(&decode(claims)?).map_err(|_| Rejection::Form)?;
        decode(signature)?;
        Ok(Self { header, claims, signed, signature })
    }

    /// Who says that it has issued it.
    pub(super) fn issuer(&self) -> &str {
        self.claims.get("iss").and_then(Value::as_str).unwrap_or_default()
    }

    pub(super) fn check(&self, options: &IssuerOptions, keys: &[Jwk]) -> Result<Checked<'_>, Rejection> {
        let Header { alg, kid, crit, b64, zip } = &self.header;
        let algorithm = options.algorithms.iter().copied().find(|algorithm| algorithm.name() == alg).ok_or(Rejection::Algorithm)?;
        if crit.is_some() || b64.is_some() || zip.is_some() {
            return Err(Rejection::Algorithm);
        }
        let named = |key: &&Jwk| kid.is_none() || key.common.key_id == *kid;
        let mut fitting = keys.iter().filter(named).filter(|key| algorithm.fits(key));
        let (Some(key), None) = (fitting.next(), fitting.next()) else { return Err(Rejection::UnknownKey) };
        let key = DecodingKey::from_jwk(key).map_err(|_| Rejection::UnknownKey)?;
        match jsonwebtoken::crypto::verify(self.signature, self.signed.as_bytes(), &key, algorithm.implementation()) {
            Ok(true) => Ok(Checked { claims: &self.claims }),
            Ok(false) | Err(_) => Err(Rejection::Signature),
        }
    }
}

impl Checked<'_> {
    pub(super) fn user(&self, options: &IssuerOptions, now: f64) -> Result<String, Rejection> {
        if self.text("iss") != Some(options.url.as_str()) {
            return Err(Rejection::Issuer);
        }
        let meant = |audience: &Value| audience.as_str().is_some_and(|audience| options.audience.iter().any(|own| own == audience));
        let for_us = match self.claims.get("aud") {
            Some(Value::Array(audiences)) => audiences.iter().any(meant),
            Some(audience) => meant(audience),
            None => false,
        };
        if !for_us {
            return Err(Rejection::Audience);
        }
        let ends = self.time("exp")?.ok_or(Rejection::Time)?;
        let begins = self.time("nbf")?;
        if ends <= now - SKEW || begins.is_some_and(|begins| begins > now + SKEW) {
            return Err(Rejection::Time);
        }
        let user = self.text(&options.user_claim).filter(|user| !user.is_empty() && !user.contains('\0')).ok_or(Rejection::User)?;
        if options.user_claim == "email" && self.claims.get("email_verified").is_some_and(|verified| *verified != Value::Bool(true))
        {
            return Err(Rejection::User);
        }
        Ok(user.to_string())
    }

    fn text(&self, claim: &str) -> Option<&str> {
        self.claims.get(claim).and_then(Value::as_str)
    }

    /// Seconds since 1970-01-01 UTC.
    fn time(&self, claim: &str) -> Result<Option<f64>, Rejection> {
        let Some(value) = self.claims.get(claim) else { return Ok(None) };
        value.as_f64().filter(|seconds| seconds.is_finite() && *seconds >= 0.0).map(Some).ok_or(Rejection::Time)
    }
}

impl Algorithm {
    const fn name(self) -> &'static str {
        match self {
            Algorithm::RS256 => "RS256",
            Algorithm::RS384 => "RS384",
            Algorithm::RS512 => "RS512",
            Algorithm::PS256 => "PS256",
            Algorithm::PS384 => "PS384",
            Algorithm::PS512 => "PS512",
            Algorithm::ES256 => "ES256",
            Algorithm::ES384 => "ES384",
            Algorithm::EdDsa => "EdDSA",
        }
    }

    const fn implementation(self) -> jsonwebtoken::Algorithm {
        match self {
            Algorithm::RS256 => jsonwebtoken::Algorithm::RS256,
            Algorithm::RS384 => jsonwebtoken::Algorithm::RS384,
            Algorithm::RS512 => jsonwebtoken::Algorithm::RS512,
            Algorithm::PS256 => jsonwebtoken::Algorithm::PS256,
            Algorithm::PS384 => jsonwebtoken::Algorithm::PS384,
            Algorithm::PS512 => jsonwebtoken::Algorithm::PS512,
            Algorithm::ES256 => jsonwebtoken::Algorithm::ES256,
            Algorithm::ES384 => jsonwebtoken::Algorithm::ES384,
            Algorithm::EdDsa => jsonwebtoken::Algorithm::EdDSA,
        }
    }

    /// Whether a key is one of its kind and says nothing against the use.
    fn fits(self, key: &Jwk) -> bool {
        let kind = match (&key.algorithm, self) {
            (
                AlgorithmParameters::RSA(_),
                Algorithm::RS256 | Algorithm::RS384 | Algorithm::RS512 | Algorithm::PS256 | Algorithm::PS384 | Algorithm::PS512,
            ) => true,
            (AlgorithmParameters::EllipticCurve(key), Algorithm::ES256) => key.curve == EllipticCurve::P256,
            (AlgorithmParameters::EllipticCurve(key), Algorithm::ES384) => key.curve == EllipticCurve::P384,
            (AlgorithmParameters::OctetKeyPair(key), Algorithm::EdDsa) => key.curve == EllipticCurve::Ed25519,
            _ => false,
        };
        let signs = key.common.public_key_use.as_ref().is_none_or(|purpose| *purpose == PublicKeyUse::Signature);
        let named = key.common.key_algorithm.is_none_or(|algorithm| algorithm.to_string() == self.name());
        kind && signs && named
    }
}
