//! The keys of an issuer, fetched when they are needed and kept while they serve.
//!
//! Keys older than the issuer's `refresh` are fetched anew; if that fails the old ones serve for an hour. A token that names a key which
//! is not there makes them be fetched too: a rotated key works at once. Neither happens more than twice a minute, so nobody makes this
//! server knock at the issuer's door by sending tokens.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use jsonwebtoken::jwk::Jwk;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;
use tracing::{debug, warn};
use url::{Host, Url};

use super::IssuerOptions;

/// How long keys serve that cannot be fetched anew.
const STALE: Duration = Duration::from_secs(3600);
/// Time between two fetches.
const REST: Duration = Duration::from_secs(30);
/// Time for one fetch.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Largest answer.
const MAXIMUM_SIZE: usize = 512 << 10;

/// Keys and where they come from.
#[derive(Debug)]
pub(super) struct Keys {
    source: Source,
    refresh: Duration,
    fetched: ArcSwapOption<Fetched>,
    /// When the last fetch began; held while one is under way.
    last: Mutex<Option<Instant>>,
}

#[derive(Debug)]
enum Source {
    File(PathBuf),
    Web { url: Url, client: reqwest::Client },
}

/// Keys of one moment.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) keys: Vec<Jwk>,
    at: Instant,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

impl Keys {
    pub(super) fn new(options: &IssuerOptions) -> Result<Self, String> {
        let source = match options.jwks.split_once("://") {
            Some(_) => web(&options.jwks)?,
            None => Source::File(PathBuf::from(&options.jwks)),
        };
        Ok(Self { source, refresh: options.refresh.0, fetched: ArcSwapOption::empty(), last: Mutex::new(None) })
    }

    /// The keys, if there are any that still serve.
    pub(super) async fn current(&self) -> Option<Arc<Fetched>> {
        let fresh = |fetched: &Arc<Fetched>| fetched.at.elapsed() < self.refresh;
        if let Some(fetched) = self.fetched.load_full().filter(fresh) {
            return Some(fetched);
        }
        self.fetch(fresh).await;
        self.fetched.load_full().filter(|fetched| fetched.at.elapsed() < STALE)
    }

    /// Keys that were fetched after `known`, if there are any.
    pub(super) async fn newer_than(&self, known: &Arc<Fetched>) -> Option<Arc<Fetched>> {
        let newer = |fetched: &Arc<Fetched>| !Arc::ptr_eq(fetched, known);
        self.fetch(newer).await;
        self.fetched.load_full().filter(newer)
    }

    /// As if the last fetch were long ago.
    #[cfg(test)]
    pub(super) async fn rested(&self) {
        *self.last.lock().await = None;
    }

    /// Fetches the keys unless somebody else has meanwhile brought some that will do, or has tried a moment ago.
    async fn fetch(&self, will_do: impl Fn(&Arc<Fetched>) -> bool) {
        let mut last = self.last.lock().await;
        if self.fetched.load_full().as_ref().is_some_and(will_do) || last.is_some_and(|last| last.elapsed() < REST) {
            return;
        }
        *last = Some(Instant::now());
        match self.source.read().await.and_then(|bytes| parse(&bytes)) {
            Ok(keys) => self.fetched.store(Some(Arc::new(Fetched { keys, at: Instant::now() }))),
            Err(why) => warn!(source = %self.source, why, "keys of a token issuer cannot be fetched"),
        }
    }
}

impl Source {
    async fn read(&self) -> Result<Vec<u8>, String> {
        match self {
            Source::File(path) => tokio::fs::read(path).await.map_err(|error| error.to_string()),
            Source::Web { url, client } => {
                let answer = client.get(url.clone()).send().await.and_then(reqwest::Response::error_for_status);
                let mut answer = answer.map_err(reason)?;
                let mut bytes = Vec::new();
                while let Some(chunk) = answer.chunk().await.map_err(reason)? {
                    if bytes.len() + chunk.len() > MAXIMUM_SIZE {
                        return Err("the answer is too large".into());
                    }
                    bytes.extend_from_slice(&chunk);
                }
                Ok(bytes)
            }
        }
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Source::File(path) => path.display().fmt(f),
            // Without its query, which may hold a key of the client's.
            Source::Web { url, .. } => write!(f, "{}{}", url.origin().ascii_serialization(), url.path()),
        }
    }
}

/// The error with what caused it: that the certificate is not trusted stands in the innermost.
fn reason(error: reqwest::Error) -> String {
    let error = error.without_url();
    let causes = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn web(text: &str) -> Result<Source, String> {
    let url: Url = text.parse().map_err(|error| format!("jwks: {error}"))?;
    let loopback = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    if url.scheme() != "https" && !(url.scheme() == "http" && loopback) {
        return Err("jwks must be an https URL, or the path of a file".into());
    }
    // A redirection would be a way out of what the configuration says.
    let client = reqwest::Client::builder().timeout(TIMEOUT).redirect(reqwest::redirect::Policy::none()).build();
    client.map(|client| Source::Web { url, client }).map_err(|error| error.to_string())
}

/// The keys that we can use. One that we do not know is no reason to refuse the others.
fn parse(bytes: &[u8]) -> Result<Vec<Jwk>, String> {
    let set: KeySet = serde_json::from_slice(bytes).map_err(|_| "it is no JSON Web Key Set".to_string())?;
    let keys: Vec<Jwk> = set.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok()).collect();
    debug!(keys = keys.len(), "keys of a token issuer fetched");
    if keys.is_empty() { Err("there is no key in it that can be used".into()) } else { Ok(keys) }
}
