use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::EncodingKey;
use jsonwebtoken::jwk::Jwk;
use serde_json::{Value, json};

use super::*;

/// Now, in seconds since 1970-01-01 UTC.
const NOW: f64 = 1_800_000_000.0;
const ISSUER: &str = "https://login.example.com/tenant";

/// A key of an issuer.
pub(crate) struct Signer {
    key: EncodingKey,
    jwk: Value,
    algorithm: jsonwebtoken::Algorithm,
    kid: &'static str,
}

impl Signer {
    pub(crate) fn new(kid: &'static str, algorithm: jsonwebtoken::Algorithm) -> Self {
        use jsonwebtoken::Algorithm as A;
        let pair = |kind| rcgen::KeyPair::generate_for(kind).unwrap();
        let (key, mut jwk) = match algorithm {
            A::ES256 => elliptic(&pair(&rcgen::PKCS_ECDSA_P256_SHA256), algorithm),
            A::EdDSA => {
                let pair = pair(&rcgen::PKCS_ED25519);
                let x = URL_SAFE_NO_PAD.encode(pair.public_key_raw());
                (EncodingKey::from_ed_der(&pair.serialize_der()), json!({ "kty": "OKP", "crv": "Ed25519", "x": x }))
            }
            _ => {
                // PKCS#1 is what PKCS#8 wraps in 26 bytes.
                let key = EncodingKey::from_rsa_der(&pair(&rcgen::PKCS_RSA_SHA256).serialize_der()[26..]);
                let jwk = public(&key, algorithm);
                (key, jwk)
            }
        };
        jwk["kid"] = json!(kid);
        Self { key, jwk, algorithm, kid }
    }

    pub(crate) fn jwk(&self) -> Value {
        self.jwk.clone()
    }

    fn name(&self) -> String {
        format!("{:?}", self.algorithm)
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        self.sign_text(&header.to_string(), &claims.to_string())
    }

    fn sign_text(&self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &self.key, self.algorithm).unwrap();
        format!("{signed}.{signature}")
    }

    pub(crate) fn token(&self, claims: &Value) -> String {
        self.sign(&json!({ "alg": self.name(), "kid": self.kid, "typ": "JWT" }), claims)
    }
}

fn elliptic(pair: &rcgen::KeyPair, algorithm: jsonwebtoken::Algorithm) -> (EncodingKey, Value) {
    let key = EncodingKey::from_ec_der(&pair.serialize_der());
    let jwk = public(&key, algorithm);
    (key, jwk)
}

fn public(key: &EncodingKey, algorithm: jsonwebtoken::Algorithm) -> Value {
    let mut jwk = Jwk::from_encoding_key(key, algorithm).unwrap();
    jwk.common.key_algorithm = None;
    serde_json::to_value(jwk).unwrap()
}

pub(crate) fn options(jwks: &str) -> IssuerOptions {
    IssuerOptions {
        url: ISSUER.into(),
        audience: vec!["lakehold".into(), "warehouse".into()],
        jwks: jwks.into(),
        algorithms: all_algorithms(),
        user_claim: "sub".into(),
        scope: "openid".into(),
        refresh: default_refresh(),
    }
}

/// What a good token says, for a point in time.
pub(crate) fn claims(now: f64) -> Value {
    json!({ "iss": ISSUER, "aud": "lakehold", "sub": "ada", "exp": now as u64 + 300, "nbf": now as u64 - 10, "iat": now as u64 - 10 })
}

fn with(key: &str, value: Value) -> Value {
    let mut claims = claims(NOW);
    claims[key] = value;
    claims
}

fn without(key: &str) -> Value {
    let mut claims = claims(NOW);
    claims.as_object_mut().unwrap().remove(key);
    claims
}

struct World {
    rsa: Signer,
    ec: Signer,
    ed: Signer,
    stranger: Signer,
    directory: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        use jsonwebtoken::Algorithm as A;
        let world = Self {
            rsa: Signer::new("rsa", A::RS256),
            ec: Signer::new("ec", A::ES256),
            ed: Signer::new("ed", A::EdDSA),
            stranger: Signer::new("ec", A::ES256),
            directory: tempfile::tempdir().unwrap(),
        };
        world.publish(&[&world.rsa, &world.ec, &world.ed]);
        world
    }

    fn path(&self) -> String {
        self.directory.path().join("keys.json").display().to_string()
    }

    fn publish(&self, signers: &[&Signer]) {
        let mut keys: Vec<Value> = signers.iter().map(|signer| signer.jwk()).collect();
        keys.push(json!({ "kty": "new-kind", "kid": "unknown" }));
        keys.push(json!({ "kty": "oct", "kid": "shared", "k": "c2VjcmV0" }));
        let mut encryption = self.rsa.jwk();
        encryption["kid"] = json!("encryption");
        encryption["use"] = json!("enc");
        keys.push(encryption);
        std::fs::write(self.path(), json!({ "keys": keys }).to_string()).unwrap();
    }

    fn issuers(&self) -> Issuers {
        Issuers::new(&[options(&self.path())]).unwrap()
    }
}

#[tokio::test]
async fn good_tokens_name_their_user() {
    use jsonwebtoken::Algorithm as A;
    let world = World::new();
    let issuers = world.issuers();
    for signer in [&world.rsa, &world.ec, &world.ed] {
        assert_eq!(issuers.verify(&signer.token(&claims(NOW)), NOW).await, Ok("ada".into()), "{}", signer.kid);
    }
    for algorithm in [A::RS384, A::RS512, A::PS256, A::PS384, A::PS512] {
        let signer = Signer { key: world.rsa.key.clone(), jwk: Value::Null, algorithm, kid: "rsa" };
        assert_eq!(issuers.verify(&signer.token(&claims(NOW)), NOW).await, Ok("ada".into()), "{algorithm:?}");
    }
    let without_kid = world.ec.sign(&json!({ "alg": "ES256" }), &claims(NOW));
    for good in [
        without_kid,
        world.ec.token(&with("aud", json!(["other", "warehouse"]))),
        world.ec.token(&with("exp", json!(NOW - 59.0))),
        world.ec.token(&with("nbf", json!(NOW + 59.0))),
        world.ec.token(&with("exp", json!(NOW + 0.5))),
        world.ec.token(&without("nbf")),
    ] {
        assert_eq!(issuers.verify(&good, NOW).await, Ok("ada".into()), "{good}");
    }
}

/// Tokens that must not hold, each with the reason.
fn bad_tokens(world: &World) -> Vec<(&'static str, String, Rejection)> {
    use Rejection as R;
    let World { rsa, ec, stranger, .. } = world;
    let good = ec.token(&claims(NOW));
    let parts: Vec<&str> = good.split('.').collect();
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = |value: Value| ec.sign(&value, &claims(NOW));
    let hmac = |name: &str, kid: &str, secret: &[u8]| {
        let signed = format!("{}.{}", encode(&json!({ "alg": name, "kid": kid })), encode(&claims(NOW)));
        let tag = super::super::hmac_sha256(secret, &[signed.as_bytes()]);
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag))
    };
    let modulus = rsa.jwk()["n"].as_str().unwrap().to_string();
    let twisted: Vec<u8> = URL_SAFE_NO_PAD.decode(parts[2]).unwrap().into_iter().rev().collect();
    let twisted = URL_SAFE_NO_PAD.encode(twisted);
    vec![
        ("nothing", String::new(), R::Form),
        ("one part", parts[0].into(), R::Form),
        ("two parts", format!("{}.{}", parts[0], parts[1]), R::Form),
        ("four parts", format!("{good}.x"), R::Form),
        ("five parts, encrypted", format!("{good}.a.b"), R::Form),
        ("spaces", format!("{good} "), R::Form),
        ("padding", format!("{good}=="), R::Form),
        ("not base64", format!("{}.{}.!!", parts[0], parts[1]), R::Form),
        ("header is no object", ec.sign_text("[]", &claims(NOW).to_string()), R::Form),
        ("header is no JSON", ec.sign_text("{alg:ES256}", &claims(NOW).to_string()), R::Form),
        ("header without an algorithm", header(json!({ "kid": "ec" })), R::Form),
        ("algorithm twice", ec.sign_text(r#"{"alg":"ES256","alg":"none"}"#, &claims(NOW).to_string()), R::Form),
        ("claims are no object", ec.sign_text(r#"{"alg":"ES256","kid":"ec"}"#, "\"ada\""), R::Form),
        ("claims are no JSON", ec.sign_text(r#"{"alg":"ES256","kid":"ec"}"#, "{"), R::Form),
        ("too long", ec.token(&with("pad", json!("x".repeat(MAXIMUM_TOKEN)))), R::Form),
        ("none", format!("{}.{}.", encode(&json!({ "alg": "none", "kid": "ec" })), parts[1]), R::Algorithm),
        ("None", format!("{}.{}.", encode(&json!({ "alg": "None" })), parts[1]), R::Algorithm),
        ("no signature", format!("{}.{}.", parts[0], parts[1]), R::Signature),
        ("HS256 with the shared key of the set", hmac("HS256", "shared", b"secret"), R::Algorithm),
        ("HS256 with the public key as secret", hmac("HS256", "rsa", modulus.as_bytes()), R::Algorithm),
        ("RS256 over an HMAC", hmac("RS256", "rsa", modulus.as_bytes()), R::Signature),
        ("unknown algorithm", header(json!({ "alg": "ES512", "kid": "ec" })), R::Algorithm),
        ("algorithm in lower case", header(json!({ "alg": "es256", "kid": "ec" })), R::Algorithm),
        ("critical extension", header(json!({ "alg": "ES256", "kid": "ec", "crit": ["exp"] })), R::Algorithm),
        ("unencoded payload", header(json!({ "alg": "ES256", "kid": "ec", "b64": false })), R::Algorithm),
        ("compressed", header(json!({ "alg": "ES256", "kid": "ec", "zip": "DEF" })), R::Algorithm),
        ("another algorithm than the key's", header(json!({ "alg": "RS256", "kid": "ec" })), R::UnknownKey),
        ("another curve than the key's", header(json!({ "alg": "ES384", "kid": "ec" })), R::UnknownKey),
        ("unknown key", header(json!({ "alg": "ES256", "kid": "nosuch" })), R::UnknownKey),
        ("key for encryption", rsa.sign(&json!({ "alg": "RS256", "kid": "encryption" }), &claims(NOW)), R::UnknownKey),
        (
            "key in the header",
            {
                let embedded = json!({ "alg": "ES256", "kid": "ec", "jwk": stranger.jwk(), "jku": "https://evil.example/keys" });
                stranger.sign(&embedded, &claims(NOW))
            },
            R::Signature,
        ),
        ("signed by a stranger", stranger.token(&claims(NOW)), R::Signature),
        (
            "signature of other claims",
            {
                let other = ec.token(&with("sub", json!("bob")));
                format!("{}.{}.{}", parts[0], other.split('.').nth(1).unwrap(), parts[2])
            },
            R::Signature,
        ),
        ("signature of zeros", format!("{}.{}.{}", parts[0], parts[1], URL_SAFE_NO_PAD.encode([0; 64])), R::Signature),
        ("signature turned round", format!("{}.{}.{twisted}", parts[0], parts[1]), R::Signature),
        ("another issuer", ec.token(&with("iss", json!("https://evil.example"))), R::Issuer),
        ("an issuer that begins like ours", ec.token(&with("iss", json!(format!("{ISSUER}/")))), R::Issuer),
        ("issuers in a list", ec.token(&with("iss", json!([ISSUER]))), R::Issuer),
        ("no issuer", ec.token(&without("iss")), R::Issuer),
        ("another audience", ec.token(&with("aud", json!("lakehold2"))), R::Audience),
        ("other audiences", ec.token(&with("aud", json!(["a", "b"]))), R::Audience),
        ("no audience in the list", ec.token(&with("aud", json!([]))), R::Audience),
        ("no audience", ec.token(&without("aud")), R::Audience),
        ("ended", ec.token(&with("exp", json!(NOW - 61.0))), R::Time),
        ("no end", ec.token(&without("exp")), R::Time),
        ("end as text", ec.token(&with("exp", json!("1900000000"))), R::Time),
        (
            "end without end",
            ec.sign_text(r#"{"alg":"ES256","kid":"ec"}"#, &claims(NOW).to_string().replace("1800000300", "1e999")),
            R::Time,
        ),
        ("not begun", ec.token(&with("nbf", json!(NOW + 61.0))), R::Time),
        ("beginning as text", ec.token(&with("nbf", json!("0"))), R::Time),
        ("no user", ec.token(&without("sub")), R::User),
        ("empty user", ec.token(&with("sub", json!(""))), R::User),
        ("user is no text", ec.token(&with("sub", json!(7))), R::User),
        ("user with a NUL", ec.token(&with("sub", json!("ada\0x"))), R::User),
    ]
}

#[tokio::test]
async fn bad_tokens_do_not_hold() {
    let world = World::new();
    let issuers = world.issuers();
    let tokens = bad_tokens(&world);
    assert!(tokens.len() >= 40);
    for (what, token, expected) in tokens {
        // A number that no number holds is refused with the whole text, where the parser is strict.
        let answer = issuers.verify(&token, NOW).await;
        let fits = answer == Err(expected) || (what == "end without end" && answer == Err(Rejection::Form));
        assert!(fits, "{what}: {answer:?}");
    }
    assert_eq!(issuers.verify(&world.ec.token(&claims(NOW)), NOW).await, Ok("ada".into()));
}

#[tokio::test]
async fn an_algorithm_off_the_list_and_an_unverified_address_do_not_hold() {
    let world = World::new();
    let only_rsa = IssuerOptions { algorithms: vec![Algorithm::RS256], ..options(&world.path()) };
    let issuers = Issuers::new(&[only_rsa]).unwrap();
    assert_eq!(issuers.verify(&world.ec.token(&claims(NOW)), NOW).await, Err(Rejection::Algorithm));
    assert!(issuers.verify(&world.rsa.token(&claims(NOW)), NOW).await.is_ok());

    let by_mail = IssuerOptions { user_claim: "email".into(), ..options(&world.path()) };
    let issuers = Issuers::new(&[by_mail]).unwrap();
    let mut mail = with("email", json!("ada@example.com"));
    for (verified, expected) in [(Some(true), true), (Some(false), false), (None, true)] {
        match verified {
            Some(verified) => mail["email_verified"] = json!(verified),
            None => drop(mail.as_object_mut().unwrap().remove("email_verified")),
        }
        assert_eq!(issuers.verify(&world.ec.token(&mail), NOW).await.is_ok(), expected, "{verified:?}");
    }
}

#[tokio::test]
async fn a_rotated_key_works_at_once_but_the_keys_are_not_fetched_for_every_token() {
    let world = World::new();
    let issuers = world.issuers();
    assert!(issuers.verify(&world.ec.token(&claims(NOW)), NOW).await.is_ok());
    let rotated = Signer::new("rotated", jsonwebtoken::Algorithm::ES256);
    world.publish(&[&rotated]);
    // The last fetch was a moment ago: one that follows at once is not made.
    assert_eq!(issuers.verify(&rotated.token(&claims(NOW)), NOW).await, Err(Rejection::UnknownKey));
    issuers.issuers[0].1.rested().await;
    assert!(issuers.verify(&rotated.token(&claims(NOW)), NOW).await.is_ok());
    assert_eq!(issuers.verify(&world.ec.token(&claims(NOW)), NOW).await, Err(Rejection::UnknownKey));
}

#[tokio::test]
async fn keys_that_cannot_be_fetched_serve_on_and_without_any_no_token_holds() {
    let world = World::new();
    let anew_each_time = IssuerOptions { refresh: HumanDuration::millis(0), ..options(&world.path()) };
    let issuers = Issuers::new(&[anew_each_time]).unwrap();
    let token = world.ec.token(&claims(NOW));
    assert!(issuers.verify(&token, NOW).await.is_ok());
    std::fs::write(world.path(), "no keys").unwrap();
    issuers.issuers[0].1.rested().await;
    assert!(issuers.verify(&token, NOW).await.is_ok());
    let nothing = Issuers::new(&[options("/nonexistent/keys.json")]).unwrap();
    assert_eq!(nothing.verify(&token, NOW).await, Err(Rejection::NoKeys));
}

#[test]
fn issuers_that_cannot_hold_are_named() {
    for (change, part) in [
        (IssuerOptions { audience: vec![], ..options("x") }, "needs an audience"),
        (IssuerOptions { algorithms: vec![], ..options("x") }, "accepts no algorithm"),
        (IssuerOptions { url: String::new(), ..options("x") }, "url is empty"),
        (options("http://login.example.com/keys"), "must be an https URL"),
        (options("file:///etc/passwd"), "must be an https URL"),
    ] {
        let error = Issuers::new(&[change]).unwrap_err();
        assert!(error.message().contains(part), "{error}");
    }
    assert!(Issuers::new(&[options("http://127.0.0.1:1/keys"), options("x")]).is_err());
    let text = "url = \"u\"\naudience = [\"a\"]\njwks = \"x\"\nalgorithms = [\"HS256\"]";
    assert!(toml::from_str::<IssuerOptions>(text).is_err());
    assert!(toml::from_str::<IssuerOptions>(&text.replace("HS256", "none")).is_err());
    assert!(toml::from_str::<IssuerOptions>(&text.replace("HS256", "EdDSA")).is_ok());
}

#[test]
fn the_way_to_a_token_is_told() {
    let issuers = Issuers::new(&[options("x")]).unwrap();
    let told: Value = serde_json::from_str(&issuers.discovery()).unwrap();
    let metadata = format!("{ISSUER}/.well-known/openid-configuration");
    assert_eq!(told, json!({ "status": "invalid_token", "openid-configuration": metadata, "scope": "openid" }));
}
