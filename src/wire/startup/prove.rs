//! The methods by which a client proves who it is, each as its messages.
//!
//! ```text
//!  scram                  SASL ─▶ SASLContinue ─▶ SASLFinal
//!  token, oidc, bearer    CleartextPassword ─▶ password                 encrypted connections only
//!  oauth                  SASL ─▶ token | SASLContinue (where to get one) ─▶ error     encrypted connections only
//!  certificate, peer      nothing: TLS or the kernel has told already
//! ```
//! Every failure is counted, answered late and told in words that are the same for every cause; the cause goes to the log, the secret
//! never.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use metrics::counter;
use pgwire::messages::startup::Authentication;
use sha2::{Digest, Sha256};
use tokio::time::sleep;
use tracing::info;

use super::login::Login;
use super::parameters::Parameters;
use crate::auth::oidc::MAXIMUM_TOKEN;
use crate::auth::rule::{Attempt, Method, Rule, Rules};
use crate::auth::scram::Exchange;
use crate::auth::token;
use crate::auth::verifier::{Shapes, Verifier};
use crate::catalog::CatalogSnapshot;
use crate::catalog::securable::Principal;
use crate::error::{Error, ErrorKind, Result};
use crate::wire::error::Halt;
use crate::wire::frontend::{Malformed, password, sasl_initial_response};
use crate::wire::peer::{Peer, system_names};

/// The name that stands for whomever a token stands for, as in Databricks, unless there is a role of that name.
const TOKEN_USER: &str = "token";
/// Largest message of a login: a token and what is around it.
const BEARER_SIZE: usize = MAXIMUM_TOKEN + 1024;
/// Largest message of SCRAM.
const SCRAM_SIZE: usize = 8 << 10;

pub(super) const OAUTHBEARER: &str = "OAUTHBEARER";

impl Login<'_> {
    /// Chooses the rule, and asks for the proof that it wants.
    pub(super) async fn authenticate(
        &mut self,
        snapshot: &CatalogSnapshot,
        parameters: &Parameters,
    ) -> Result<Arc<Principal>, Halt> {
        let user = parameters.user.as_str();
        let principal = snapshot.principal(user).map(Arc::clone);
        let shared = self.shared;
        let rule = self.rule(&shared.rules, snapshot, parameters).ok_or_else(|| self.refusal("no auth.rule fits", parameters))?;
        if rule.method.sends_secret() && self.identity.is_none() {
            let what = format!("auth.rule with method {} needs encryption", rule.method.name());
            return Err(self.refusal(&what, parameters).with_hint("Connect with sslmode=require.").into());
        }
        let proved = match rule.method {
            Method::Reject => return Err(self.refusal("auth.rule rejects", parameters).into()),
            Method::Scram => return self.scram(user, principal, snapshot).await,
            Method::Token | Method::Oidc | Method::Bearer => self.bearer(user, rule, snapshot).await?,
            Method::Oauth => self.oauth(user, rule, snapshot).await?,
            Method::Certificate => self.certificate(user, rule, principal)?,
            Method::Peer => self.peer(user, rule, principal).await,
        };
        match proved {
            Ok(principal) => {
                self.succeeded(user);
                self.accept(principal)
            }
            Err(why) => Err(self.failed(user, rule.method, &why).await),
        }
    }

    /// The rule for this client.
    fn rule<'r>(&self, rules: &'r Rules, snapshot: &CatalogSnapshot, parameters: &Parameters) -> Option<&'r Rule> {
        let principal = snapshot.principal(&parameters.user);
        let is_member = |group: &str| {
            let (Some(principal), Some(group)) = (principal, snapshot.principal(group)) else { return false };
            snapshot.is_member(principal.id, group.id)
        };
        rules.choose(&Attempt {
            address: self.peer.address(),
            encrypted: self.identity.is_some(),
            database: &parameters.database,
            user: &parameters.user,
            is_member: &is_member,
        })
    }

    /// SCRAM, with the same messages for users who exist and those who do not.
    async fn scram(
        &mut self,
        user: &str,
        principal: Option<Arc<Principal>>,
        snapshot: &CatalogSnapshot,
    ) -> Result<Arc<Principal>, Halt> {
        let verifier = principal.as_ref().and_then(|principal| principal.verifier.as_deref()).and_then(Verifier::parse);
        let end_point = self.identity.as_ref().and_then(|identity| identity.end_point.clone());
        let shapes = Shapes::of(snapshot.principals().filter_map(|principal| principal.verifier.as_deref()));
        let mut exchange = Exchange::new(user, verifier, &shapes, &self.shared.mock_secret, end_point)?;
        let expired = principal.as_ref().is_some_and(|principal| !principal.is_valid_at(now_micros()));
        let locked = !self.admits(user).await;
        if expired || locked {
            exchange.doom();
        }
        let mechanisms = exchange.mechanisms().iter().map(ToString::to_string).collect();
        self.send(&Authentication::SASL(mechanisms)).await?;
        let (mechanism, message) = sasl_initial_response(self.input.password_message(SCRAM_SIZE).await?).map_err(malformed)?;
        let challenge = exchange.first(&mechanism, &message)?;
        self.send(&Authentication::SASLContinue(Bytes::from(challenge))).await?;
        let signature = exchange.finish(&self.input.password_message(SCRAM_SIZE).await?)?;
        match (signature, principal) {
            (Some(signature), Some(principal)) => {
                self.succeeded(user);
                self.output.message(&Authentication::SASLFinal(Bytes::from(signature)))?;
                self.accept(principal)
            }
            _ => {
                let why = match (expired, locked) {
                    (_, true) => "too many failures",
                    (true, _) => "the password is no longer valid",
                    _ => "wrong password, or no such user",
                };
                Err(self.failed(user, Method::Scram, why).await)
            }
        }
    }

    /// A token of ours or of an issuer, in the place of the password.
    async fn bearer(&mut self, user: &str, rule: &Rule, snapshot: &CatalogSnapshot) -> Result<Proof, Halt> {
        self.send(&Authentication::CleartextPassword).await?;
        let secret = password(self.input.password_message(BEARER_SIZE).await?).map_err(malformed)?;
        let text = secret.expose().as_str();
        if stands_for_anybody(user, snapshot) {
            // Whoever shares an address and this name must not be locked out by somebody else's old token.
            self.counted_as = Some(hex::encode(Sha256::digest(text)));
        }
        if !self.admits(user).await {
            return Ok(Err("too many failures".into()));
        }
        let is_ours = token::is_token(text);
        Ok(match rule.method {
            Method::Token | Method::Bearer if is_ours => self.own_token(user, text, snapshot),
            Method::Oidc | Method::Bearer if !is_ours => self.issued_token(user, rule, text, snapshot).await,
            _ => Err("a token of the wrong kind".into()),
        })
    }

    fn own_token(&self, user: &str, text: &str, snapshot: &CatalogSnapshot) -> Proof {
        let now = now_micros();
        let (token, owner) = token::verify(text, snapshot, now).ok_or("no such token, or it has expired")?;
        if owner.name != user && !stands_for_anybody(user, snapshot) {
            return Err(format!("token {} is somebody else's", token.public_id));
        }
        if !owner.is_valid_at(now) {
            return Err(format!("the owner of token {} is no longer valid", token.public_id));
        }
        Ok(Arc::clone(owner))
    }

    async fn issued_token(&mut self, user: &str, rule: &Rule, text: &str, snapshot: &CatalogSnapshot) -> Proof {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |now| now.as_secs_f64());
        let name =
            self.shared.issuers.verify(text, now).await.map_err(|rejection| format!("JSON Web Token refused: {rejection:?}"))?;
        let mut roles = self.shared.rules.roles(rule.map.as_deref(), &name);
        let role = if stands_for_anybody(user, snapshot) { roles.next() } else { roles.find(|role| role == user) };
        let principal = role.and_then(|role| snapshot.principal(&role).map(Arc::clone));
        principal.ok_or_else(|| format!("\"{name}\" may not log in under this name"))
    }

    /// RFC 7628. A client without a token is told where to get one and comes back on another connection.
    async fn oauth(&mut self, user: &str, rule: &Rule, snapshot: &CatalogSnapshot) -> Result<Proof, Halt> {
        self.send(&Authentication::SASL(vec![OAUTHBEARER.into()])).await?;
        let (mechanism, message) = sasl_initial_response(self.input.password_message(BEARER_SIZE).await?).map_err(malformed)?;
        if mechanism != OAUTHBEARER {
            return Err(Halt::protocol("client selected an invalid SASL authentication mechanism"));
        }
        let token = oauth_token(&message)?;
        let proof = match token {
            "" => Err("no token yet".into()),
            _ if !self.admits(user).await => Err("too many failures".into()),
            token => self.issued_token(user, rule, token, snapshot).await,
        };
        if proof.is_err() {
            self.send(&Authentication::SASLContinue(Bytes::from(self.shared.issuers.discovery()))).await?;
            if self.input.password_message(SCRAM_SIZE).await?.as_ref() != b"\x01" {
                return Err(malformed_oauth("the client did not send a kvsep response"));
            }
            if token.is_empty() {
                // Nobody has tried anything: asking for the way is no failure to be counted.
                return Err(failure(user, Method::Oauth).into());
            }
        }
        Ok(proof)
    }

    fn certificate(&self, user: &str, rule: &Rule, principal: Option<Arc<Principal>>) -> Result<Proof, Halt> {
        let Some(names) = self.identity.as_ref().and(self.certificate_names.as_deref()) else {
            let error = Error::new(ErrorKind::InvalidAuthorization, "connection requires a valid client certificate");
            return Err(error.into());
        };
        if !self.shared.rules.maps_to(rule.map.as_deref(), names, user) {
            return Ok(Err(format!("the certificate of {names:?} is not this user's")));
        }
        Ok(principal.ok_or_else(|| "no such user".into()))
    }

    async fn peer(&mut self, user: &str, rule: &Rule, principal: Option<Arc<Principal>>) -> Proof {
        let Peer::Local(number) = self.peer else { return Err("not a connection over the Unix socket".into()) };
        let names = system_names(number).await;
        if !self.shared.rules.maps_to(rule.map.as_deref(), &names, user) {
            return Err(format!("user {names:?} of this machine may not log in under this name"));
        }
        principal.ok_or_else(|| "no such user".into())
    }

    /// Lets in whoever has proved to be `principal`, unless it is no user.
    fn accept(&mut self, principal: Arc<Principal>) -> Result<Arc<Principal>, Halt> {
        if !principal.can_login {
            let message = format!("role \"{}\" is not permitted to log in", principal.name);
            return Err(Error::new(ErrorKind::InvalidAuthorization, message).into());
        }
        self.output.message(&Authentication::Ok)?;
        Ok(principal)
    }

    async fn failed(&mut self, user: &str, method: Method, why: &str) -> Halt {
        counter!("lakehold_wire_login_failures_total").increment(1);
        info!(user, peer = %self.peer, method = method.name(), why, "login failed");
        let counted_as = self.counted_as.as_deref().unwrap_or(user);
        sleep(self.shared.lockout.failed(counted_as, self.peer.key())).await;
        failure(user, method).into()
    }

    /// Whether a proof may be looked at; waits first where there have been many failures.
    async fn admits(&mut self, user: &str) -> bool {
        let verdict = self.shared.lockout.verdict(self.counted_as.as_deref().unwrap_or(user), self.peer.key());
        if !verdict.wait.is_zero() {
            sleep(verdict.wait).await;
        }
        verdict.looked_at
    }

    fn succeeded(&self, user: &str) {
        self.shared.lockout.succeeded(self.counted_as.as_deref().unwrap_or(user), self.peer.key());
    }

    /// `what` connection for host .., user .., database .., encryption
    fn refusal(&self, what: &str, parameters: &Parameters) -> Error {
        let encryption = if self.identity.is_some() { "SSL encryption" } else { "no encryption" };
        let (host, user, database) = (self.peer.host(), &parameters.user, &parameters.database);
        let message = format!("{what} for host \"{host}\", user \"{user}\", database \"{database}\", {encryption}");
        Error::new(ErrorKind::InvalidAuthorization, message)
    }
}

/// Who it is, or for the log why not.
type Proof = std::result::Result<Arc<Principal>, String>;

/// What the client reads of a proof that failed, whatever the cause.
fn failure(user: &str, method: Method) -> Error {
    let (kind, what) = match method {
        Method::Scram | Method::Token | Method::Oidc | Method::Bearer => (ErrorKind::InvalidPassword, "password"),
        Method::Oauth => (ErrorKind::InvalidAuthorization, "OAuth bearer"),
        Method::Certificate => (ErrorKind::InvalidAuthorization, "certificate"),
        Method::Peer => (ErrorKind::InvalidAuthorization, "Peer"),
        Method::Reject => (ErrorKind::InvalidAuthorization, "login"),
    };
    Error::new(kind, format!("{what} authentication failed for user \"{user}\""))
}

/// `token` is whomever the token stands for, unless somebody is called so.
fn stands_for_anybody(user: &str, snapshot: &CatalogSnapshot) -> bool {
    user == TOKEN_USER && snapshot.principal(TOKEN_USER).is_none()
}

fn malformed(Malformed(message): Malformed) -> Halt {
    Halt::protocol(message)
}

fn malformed_oauth(detail: &str) -> Halt {
    Halt::Fatal(
        Error::new(ErrorKind::ProtocolViolation, "malformed OAUTHBEARER message").with_detail(format!("Details: {detail}.")),
    )
}

/// The token in a client's first message, `n,,^Aauth=Bearer TOKEN^A^A`; empty if it has none yet.
fn oauth_token(message: &[u8]) -> Result<&str, Halt> {
    let message = std::str::from_utf8(message).map_err(|_| malformed_oauth("it is not UTF-8"))?;
    let rest = match message.as_bytes().first() {
        Some(b'p') => return Err(malformed_oauth("the client requests channel binding, which the mechanism does not have")),
        Some(b'n' | b'y') => message.get(1..).unwrap_or_default(),
        _ => return Err(malformed_oauth("unexpected channel-binding flag")),
    };
    let Some(rest) = rest.strip_prefix(",,\u{1}") else {
        return Err(malformed_oauth("an authorization identity of the client is not supported, or the header is cut off"));
    };
    let pairs = rest.strip_suffix("\u{1}\u{1}").ok_or_else(|| malformed_oauth("it does not end as it must"))?;
    let mut token = None;
    for pair in pairs.split('\u{1}') {
        let (key, value) = pair.split_once('=').ok_or_else(|| malformed_oauth("a key without a value"))?;
        if key == "auth" && token.replace(value).is_some() {
            return Err(malformed_oauth("it holds more than one token"));
        }
    }
    match token {
        None => Err(malformed_oauth("it holds no auth value")),
        Some("") => Ok(""),
        Some(value) => match value.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim_start_matches(' ')),
            _ => Err(malformed_oauth("the auth value is no Bearer token")),
        },
    }
}

fn now_micros() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oauth_messages_are_read_to_the_letter() {
        assert_eq!(oauth_token(b"n,,\x01auth=Bearer abc.def\x01\x01").unwrap(), "abc.def");
        assert_eq!(oauth_token(b"y,,\x01host=x\x01auth=bearer  abc\x01\x01").unwrap(), "abc");
        assert_eq!(oauth_token(b"n,,\x01auth=\x01\x01").unwrap(), "");
        for message in [
            &b""[..],
            b"n",
            b"n,,",
            b"n,,\x01\x01",
            b"n,,\x01auth=Bearer x\x01",
            b"n,,\x01auth=Bearer x",
            b"n,a=root,\x01auth=Bearer x\x01\x01",
            b"p=tls-server-end-point,,\x01auth=Bearer x\x01\x01",
            b"x,,\x01auth=Bearer x\x01\x01",
            b"n,,\x01auth=Basic x\x01\x01",
            b"n,,\x01auth=Bearer x\x01auth=Bearer y\x01\x01",
            b"n,,\x01auth\x01\x01",
            b"n,,\x01host=x\x01\x01",
            b"n,,\x01auth=Bearer \xff\x01\x01",
        ] {
            assert!(matches!(oauth_token(message), Err(Halt::Fatal(_))), "{}", String::from_utf8_lossy(message));
        }
    }
}
