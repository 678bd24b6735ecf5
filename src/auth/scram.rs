//! The server's side of SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, 7677, 5929), without a socket.
//!
//! ```text
//!  client                                   Exchange
//!  mechanism, "n,,n=,r=c"      ─▶ first()  ─▶ "r=cs,s=salt,i=4096"
//!  "c=biws,r=cs,p=proof"       ─▶ finish() ─▶ "v=signature" | failed
//! ```
//! An [`Exchange`] without a verifier runs to the end against a mock and then fails, with the same work as a real one. Proofs are
//! compared in constant time. Channel binding is `tls-server-end-point` only: the hash of the server's certificate.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::verifier::{Shapes, Verifier};
use super::{MockSecret, hmac_sha256, random_bytes};
use crate::error::{Error, ErrorKind, Result};

/// Without channel binding.
pub const SCRAM_SHA_256: &str = "SCRAM-SHA-256";
/// With channel binding.
pub const SCRAM_SHA_256_PLUS: &str = "SCRAM-SHA-256-PLUS";

const BINDING_NAME: &str = "tls-server-end-point";
const NONCE_LENGTH: usize = 18;

/// One login.
#[derive(Debug)]
pub struct Exchange {
    verifier: Verifier,
    /// The verifier is nobody's: fail whatever is proved.
    doomed: bool,
    /// Hash of the certificate, if the connection has one to bind to.
    end_point: Option<Vec<u8>>,
    nonce: String,
    state: State,
}

#[derive(Debug)]
enum State {
    Start,
    Challenged { gs2_header: String, bound: bool, client_first_bare: String, server_first: String, nonce: String },
    Over,
}

impl Exchange {
    /// A login against `verifier`, or one that fails in the end if there is none and looks like one of `shapes` until then.
    ///
    /// `end_point` is the hash of the server's certificate on an encrypted connection: it makes `SCRAM-SHA-256-PLUS` possible.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] if the operating system gives no random numbers.
    pub fn new(
        name: &str,
        verifier: Option<Verifier>,
        shapes: &Shapes,
        secret: &MockSecret,
        end_point: Option<Vec<u8>>,
    ) -> Result<Self> {
        let nonce = BASE64.encode(random_bytes::<NONCE_LENGTH>()?);
        // Both are made in either case, so that neither shows in the time it takes.
        let mock = Verifier::mock(name, shapes, secret);
        let doomed = verifier.is_none();
        Ok(Self { verifier: verifier.unwrap_or(mock), doomed, end_point, nonce, state: State::Start })
    }

    /// Makes the exchange fail in the end, whatever is proved. Nothing shows until then.
    pub fn doom(&mut self) {
        self.doomed = true;
    }

    /// Mechanisms to offer, the best first.
    pub fn mechanisms(&self) -> &'static [&'static str] {
        if self.end_point.is_some() { &[SCRAM_SHA_256_PLUS, SCRAM_SHA_256] } else { &[SCRAM_SHA_256] }
    }

    /// Takes the client's choice and first message, gives the server's challenge.
    ///
    /// # Errors
    /// [`ErrorKind::ProtocolViolation`] for a mechanism that was not offered or a message out of form,
    /// [`ErrorKind::InvalidAuthorization`] if somebody in the middle has taken the -PLUS mechanism away.
    pub fn first(&mut self, mechanism: &str, message: &[u8]) -> Result<String> {
        if !matches!(self.state, State::Start) {
            return Err(malformed("the exchange has begun already"));
        }
        self.state = State::Over;
        if !self.mechanisms().contains(&mechanism) {
            return Err(Error::new(ErrorKind::ProtocolViolation, "client selected an invalid SASL authentication mechanism"));
        }
        let message = text(message)?;
        let (gs2_header, bound) = self.gs2_header(mechanism == SCRAM_SHA_256_PLUS, message)?;
        let client_first_bare = message.get(gs2_header.len()..).unwrap_or_default();
        if client_first_bare.starts_with("m=") {
            return Err(Error::unsupported("a mandatory SCRAM extension"));
        }
        let mut attributes = client_first_bare.split(',');
        // The name in `n=` is ignored: the start-up message has said who logs in.
        attribute(attributes.next(), 'n')?;
        let client_nonce = attribute(attributes.next(), 'r')?;
        let printable = client_nonce.bytes().all(|byte| (0x21..=0x7e).contains(&byte));
        if client_nonce.is_empty() || !printable {
            return Err(malformed("the nonce is not printable"));
        }
        let nonce = format!("{client_nonce}{}", self.nonce);
        let server_first = format!("r={nonce},s={},i={}", BASE64.encode(self.verifier.salt()), self.verifier.iterations());
        self.state = State::Challenged {
            gs2_header: gs2_header.to_string(),
            bound,
            client_first_bare: client_first_bare.to_string(),
            server_first: server_first.clone(),
            nonce,
        };
        Ok(server_first)
    }

    /// Takes the client's proof, gives the server's signature; `None` if the proof is wrong.
    ///
    /// # Errors
    /// [`ErrorKind::ProtocolViolation`] for a message out of form.
    pub fn finish(&mut self, message: &[u8]) -> Result<Option<String>> {
        let State::Challenged { gs2_header, bound, client_first_bare, server_first, nonce } =
            std::mem::replace(&mut self.state, State::Over)
        else {
            return Err(malformed("no challenge was sent"));
        };
        let message = text(message)?;
        let (without_proof, proof) = message.rsplit_once(",p=").ok_or_else(|| malformed("the proof is missing"))?;
        let mut attributes = without_proof.split(',');
        let binding =
            BASE64.decode(attribute(attributes.next(), 'c')?).map_err(|_| malformed("the channel binding is not base64"))?;
        let mut expected = gs2_header.into_bytes();
        if bound {
            expected.extend_from_slice(self.end_point.as_deref().unwrap_or_default());
        }
        if !bool::from(binding.ct_eq(&expected)) {
            return Err(Error::new(ErrorKind::InvalidAuthorization, "SCRAM channel binding check failed"));
        }
        if attribute(attributes.next(), 'r')? != nonce {
            return Err(Error::new(ErrorKind::ProtocolViolation, "invalid SCRAM response").with_detail("Nonce does not match."));
        }
        let proof: [u8; 32] = BASE64
            .decode(proof)
            .ok()
            .and_then(|proof| proof.try_into().ok())
            .ok_or_else(|| malformed("the proof has the wrong length"))?;

        let parts = [client_first_bare.as_bytes(), b",", server_first.as_bytes(), b",", without_proof.as_bytes()];
        let signature = hmac_sha256(self.verifier.stored_key(), &parts);
        let client_key: [u8; 32] = std::array::from_fn(|index| proof[index] ^ signature[index]);
        let stored_key: [u8; 32] = Sha256::digest(client_key).into();
        let proved = bool::from(stored_key.ct_eq(self.verifier.stored_key()));
        let server_signature = BASE64.encode(hmac_sha256(self.verifier.server_key(), &parts));
        Ok((proved && !self.doomed).then(|| format!("v={server_signature}")))
    }

    /// The GS2 header at the start of the client's first message, and whether it binds the channel.
    fn gs2_header<'m>(&self, plus: bool, message: &'m str) -> Result<(&'m str, bool)> {
        let mut fields = message.splitn(3, ',');
        let (flag, authorization) =
            (fields.next().unwrap_or_default(), fields.next().ok_or_else(|| malformed("the header is cut off"))?);
        fields.next().ok_or_else(|| malformed("the header is cut off"))?;
        let bound = match flag {
            "n" if plus => return Err(malformed("the client selected SCRAM-SHA-256-PLUS without channel binding data")),
            "n" => false,
            "y" if plus => return Err(malformed("the client selected SCRAM-SHA-256-PLUS without channel binding data")),
            "y" if self.end_point.is_some() => {
                return Err(Error::new(ErrorKind::InvalidAuthorization, "SCRAM channel binding negotiation error").with_detail(
                    "The client supports SCRAM channel binding but thinks the server does not. However, this server does support channel binding.",
                ));
            }
            "y" => false,
            _ => match flag.strip_prefix("p=") {
                Some(BINDING_NAME) if plus => true,
                Some(_) if !plus => return Err(malformed("the client selected SCRAM-SHA-256 with channel binding data")),
                Some(_) => return Err(Error::new(ErrorKind::ProtocolViolation, "unsupported SCRAM channel-binding type")),
                None => return Err(malformed("unexpected channel-binding flag")),
            },
        };
        if !authorization.is_empty() {
            return Err(Error::unsupported("an authorization identity of the client"));
        }
        // Flag, comma, empty identity, comma.
        Ok((message.get(..flag.len() + 2).unwrap_or_default(), bound))
    }
}

fn text(message: &[u8]) -> Result<&str> {
    std::str::from_utf8(message).map_err(|_| malformed("it is not UTF-8"))
}

/// Value of the next attribute, which must be called `name`.
fn attribute(attribute: Option<&str>, name: char) -> Result<&str> {
    attribute
        .and_then(|attribute| attribute.strip_prefix(name))
        .and_then(|rest| rest.strip_prefix('='))
        .ok_or_else(|| malformed(&format!("attribute \"{name}\" is missing")))
}

fn malformed(detail: &str) -> Error {
    Error::new(ErrorKind::ProtocolViolation, "malformed SCRAM message").with_detail(format!("Details: {detail}."))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::verifier::salted_password;
    use super::*;

    /// The client's side, for tests.
    pub(crate) struct Client {
        header: String,
        binding: Vec<u8>,
        first_bare: String,
    }

    impl Client {
        pub(crate) fn new(end_point: Option<&[u8]>) -> Self {
            let header = if end_point.is_some() { "p=tls-server-end-point,," } else { "n,," };
            Self {
                header: header.into(),
                binding: end_point.unwrap_or_default().to_vec(),
                first_bare: "n=,r=rOprNGfwEbeRWgbNEkqO".into(),
            }
        }

        pub(crate) fn first(&self) -> String {
            format!("{}{}", self.header, self.first_bare)
        }

        pub(crate) fn last(&self, password: &str, server_first: &str) -> String {
            let value = |index: usize| server_first.split(',').nth(index).unwrap()[2..].to_string();
            let (nonce, salt, iterations) = (value(0), BASE64.decode(value(1)).unwrap(), value(2).parse().unwrap());
            let channel = BASE64.encode([self.header.as_bytes(), &self.binding].concat());
            let without_proof = format!("c={channel},r={nonce}");
            let salted = salted_password(password, &salt, iterations);
            let client_key = hmac_sha256(&salted, &[b"Client Key"]);
            let stored: [u8; 32] = Sha256::digest(client_key).into();
            let auth = format!("{},{server_first},{without_proof}", self.first_bare);
            let signature = hmac_sha256(&stored, &[auth.as_bytes()]);
            let proof: Vec<u8> = client_key.iter().zip(signature).map(|(key, signature)| key ^ signature).collect();
            format!("{without_proof},p={}", BASE64.encode(proof))
        }
    }

    fn exchange(verifier: Option<Verifier>, end_point: Option<Vec<u8>>) -> Exchange {
        Exchange::new("ada", verifier, &Shapes::default(), &MockSecret::random().unwrap(), end_point).unwrap()
    }

    fn login(mut exchange: Exchange, client: &Client, mechanism: &str, password: &str) -> Result<Option<String>> {
        let challenge = exchange.first(mechanism, client.first().as_bytes())?;
        exchange.finish(client.last(password, &challenge).as_bytes())
    }

    #[test]
    fn the_right_password_is_proved_and_the_wrong_one_is_not() {
        let verifier = Verifier::from_password("pencil", 4096).unwrap();
        let client = Client::new(None);
        assert!(
            login(exchange(Some(verifier.clone()), None), &client, SCRAM_SHA_256, "pencil").unwrap().unwrap().starts_with("v=")
        );
        assert_eq!(login(exchange(Some(verifier), None), &client, SCRAM_SHA_256, "pen").unwrap(), None);
    }

    #[test]
    fn nobody_is_answered_like_somebody() {
        let secret = MockSecret::random().unwrap();
        let client = Client::new(None);
        let mut shapes = Vec::new();
        for verifier in [None, None, Some(Verifier::from_password("pencil", 4096).unwrap())] {
            let mut exchange = Exchange::new("ada", verifier, &Shapes::default(), &secret, None).unwrap();
            let challenge = exchange.first(SCRAM_SHA_256, client.first().as_bytes()).unwrap();
            let salt = challenge.split(",s=").nth(1).unwrap().to_string();
            shapes.push((challenge.len(), salt));
            assert_eq!(exchange.finish(client.last("guess", &challenge).as_bytes()).unwrap(), None);
        }
        assert_eq!(shapes[0], shapes[1]);
        assert_eq!(shapes[0].0, shapes[2].0);
    }

    #[test]
    fn channel_binding_is_checked_in_every_direction() {
        let verifier = || Some(Verifier::from_password("pencil", 4096).unwrap());
        let certificate = vec![7; 32];
        let bound = Client::new(Some(&certificate));
        assert!(login(exchange(verifier(), Some(certificate.clone())), &bound, SCRAM_SHA_256_PLUS, "pencil").unwrap().is_some());

        let elsewhere = Client::new(Some(&[8; 32]));
        let mut doomed = exchange(verifier(), None);
        doomed.doom();
        assert_eq!(login(doomed, &Client::new(None), SCRAM_SHA_256, "pencil").unwrap(), None);

        let error = login(exchange(verifier(), Some(certificate.clone())), &elsewhere, SCRAM_SHA_256_PLUS, "pencil").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidAuthorization);

        for (mechanism, header) in [
            (SCRAM_SHA_256_PLUS, "n,,"),
            (SCRAM_SHA_256_PLUS, "y,,"),
            (SCRAM_SHA_256, "y,,"),
            (SCRAM_SHA_256, "p=tls-server-end-point,,"),
        ] {
            let message = format!("{header}n=,r=abc");
            assert!(
                exchange(verifier(), Some(certificate.clone())).first(mechanism, message.as_bytes()).is_err(),
                "{mechanism} {header}"
            );
        }
        assert!(exchange(verifier(), None).first(SCRAM_SHA_256_PLUS, b"p=tls-server-end-point,,n=,r=abc").is_err());
        assert!(exchange(verifier(), None).first(SCRAM_SHA_256, b"y,,n=,r=abc").is_ok());
    }

    #[test]
    fn messages_out_of_form_are_refused() {
        let long = format!("n,,n=,r={}", "\u{7f}");
        for message in ["", "n", "n,", "n,,", "n,,n=", "n,,n=,r=", "x,,n=,r=a", "n,a=b,n=,r=a", "n,,m=x,n=,r=a", long.as_str()] {
            assert!(exchange(None, None).first(SCRAM_SHA_256, message.as_bytes()).is_err(), "{message}");
        }
        for message in ["", "c=biws", "c=biws,r=x,p=AA==", "c=!!,r=x,p=AA==", ",p="] {
            let mut exchange = exchange(None, None);
            exchange.first(SCRAM_SHA_256, b"n,,n=,r=abc").unwrap();
            assert!(exchange.finish(message.as_bytes()).is_err(), "{message}");
            assert!(exchange.finish(b"c=biws,r=x,p=AA==").is_err(), "over");
        }
    }
}
