use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::json;
use tokio::net::{TcpStream, UnixStream};

use super::Server;
use super::client::{Client, VERSION_3_0, message, startup};
use super::startup::encrypt_as;
use crate::auth::AuthOptions;
use crate::auth::oidc::tests::{Signer, claims, options as issuer};
use crate::auth::token::NewSecret;
use crate::catalog::NewToken;
use crate::units::HumanDuration;
use crate::wire::double::PASSWORD;
use crate::wire::options::{TlsOptions, WireOptions};
use crate::wire::peer::system_names;
use crate::wire::tls::{ALPN, self_signed};

fn rules(text: &str) -> AuthOptions {
    toml::from_str(text).unwrap()
}

async fn encrypted(server: &Server, user: &str) -> Client {
    let socket = TcpStream::connect(server.address).await.unwrap();
    let stream = encrypt_as(server, &[ALPN], None, socket).await.unwrap();
    let mut client = Client::over(Box::new(stream));
    client.send(&startup(VERSION_3_0, &[("user", user), ("database", "warehouse")])).await;
    client
}

async fn in_clear(server: &Server, user: &str) -> Client {
    let mut client = Client::connect(server.address).await;
    client.send(&startup(VERSION_3_0, &[("user", user), ("database", "warehouse")])).await;
    client
}

async fn local(server: &Server, user: &str) -> Client {
    let path = server.directory.path().join("run").join(format!(".s.PGSQL.{}", server.address.port()));
    let mut client = Client::over(Box::new(UnixStream::connect(path).await.unwrap()));
    client.send(&startup(VERSION_3_0, &[("user", user), ("database", "warehouse")])).await;
    client
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

/// Gives `owner` a token.
fn token(server: &Server, owner: &str, expires_at: i64) -> NewSecret {
    let secret = NewSecret::generate().unwrap();
    server.warehouse.change(|change| {
        let owner = change.snapshot().principal(owner).unwrap().id;
        change
            .create_token(NewToken {
                public_id: secret.public_id.clone(),
                owner,
                digest: secret.digest,
                created_by: owner,
                created_at: 0,
                expires_at,
                comment: None,
            })
            .unwrap();
    });
    secret
}

const FAILED: &str = "password authentication failed for user";

#[tokio::test]
async fn a_token_stands_for_its_owner_on_encrypted_connections_only() {
    let server = Server::with_rules(WireOptions::default(), true, rules("[[rule]]\nmethod = \"token\"")).await;
    let secret = token(&server, "ada", i64::MAX);
    let text = secret.text.expose();
    for user in ["ada", "token"] {
        let mut client = encrypted(&server, user).await;
        let replies = client.password(text).await;
        assert_eq!((replies[0].as_str(), replies.last().unwrap().as_str()), ("R(0)", "Z(I)"));
        assert_eq!(client.query("user").await, ["C(ada warehouse)", "Z(I)"]);
    }
    let expired = token(&server, "ada", 1);
    for (user, password) in
        [("root", text.as_str()), ("ada", PASSWORD), ("token", expired.text.expose()), ("token", ""), ("nobody", text)]
    {
        let replies = encrypted(&server, user).await.password(password).await;
        assert_eq!(replies, [format!("E(FATAL 28P01 {FAILED} \"{user}\")"), "closed".to_string()]);
    }
    let replies = in_clear(&server, "ada").await.until_ready().await;
    assert!(
        replies[0].starts_with("E(FATAL 28000 auth.rule with method token needs encryption for host \"127.0.0.1\""),
        "{replies:?}"
    );
    server.warehouse.change(|change| change.drop_token(&secret.public_id).unwrap());
    assert!(encrypted(&server, "ada").await.password(text).await[0].contains(FAILED));
}

#[tokio::test]
async fn an_old_token_locks_nobody_out_who_shares_its_address() {
    let server = Server::with_rules(WireOptions::default(), true, rules("[[rule]]\nmethod = \"token\"")).await;
    let (good, old) = (token(&server, "ada", i64::MAX), token(&server, "root", 1));
    let mut tries = tokio::task::JoinSet::new();
    for _ in 0..12 {
        let mut client = encrypted(&server, "token").await;
        let text = old.text.expose().clone();
        tries.spawn(async move { client.password(&text).await });
    }
    while let Some(replies) = tries.join_next().await {
        assert!(replies.unwrap()[0].contains(FAILED));
    }
    assert_eq!(encrypted(&server, "token").await.password(good.text.expose()).await.last().unwrap(), "Z(I)");
}

#[tokio::test]
async fn a_json_web_token_is_taken_as_a_password_and_by_oauth() {
    let signer = Signer::new("key", jsonwebtoken::Algorithm::ES256);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys.json");
    std::fs::write(&path, json!({ "keys": [signer.jwk()] }).to_string()).unwrap();
    let text = r#"
        [[rule]]
        users = ["root"]
        method = "oauth"
        map = "staff"
        [[rule]]
        method = "bearer"
        [[name_map]]
        map = "staff"
        system = "ada"
        role = "root"
    "#;
    let issuer = toml::to_string(&issuer(&path.display().to_string())).unwrap();
    let auth = rules(&format!("{text}\n[[issuer]]\n{issuer}"));
    let server = Server::with_rules(WireOptions::default(), true, auth).await;
    let good = signer.token(&claims(now()));
    for user in ["ada", "token"] {
        let mut client = encrypted(&server, user).await;
        assert_eq!(client.password(&good).await.last().unwrap(), "Z(I)");
        assert_eq!(client.query("user").await, ["C(ada warehouse)", "Z(I)"]);
    }
    let ours = token(&server, "ada", i64::MAX);
    assert_eq!(encrypted(&server, "ada").await.password(ours.text.expose()).await.last().unwrap(), "Z(I)");
    let old = signer.token(&claims(now() - 1_000.0));
    for (user, text) in [("readers", &good), ("ada", &old), ("ada", &"x".repeat(17_000))] {
        let replies = encrypted(&server, user).await.password(text).await;
        assert!(replies[0].starts_with("E(FATAL "), "{replies:?}");
        assert!(!replies[0].contains(text.as_str()));
    }

    // OAuth: whoever has no token is told where to get one.
    for token in ["", old.as_str(), "nonsense"] {
        let mut client = encrypted(&server, "root").await;
        let told = client.oauth(token).await;
        let told = String::from_utf8(told.body).unwrap();
        assert!(told.contains("https://login.example.com/tenant/.well-known/openid-configuration"), "{told}");
        let replies = client.ask(&[message(b'p', b"\x01")]).await;
        assert_eq!(replies, ["E(FATAL 28000 OAuth bearer authentication failed for user \"root\")", "closed"]);
    }
    let mut client = encrypted(&server, "root").await;
    assert_eq!(client.oauth(&good).await.words(), "R(0)");
    assert_eq!(client.until_ready().await.last().unwrap(), "Z(I)");
    assert_eq!(client.query("user").await, ["C(root warehouse)", "Z(I)"]);
}

/// An authority, and a certificate for somebody.
fn signed(authority: &rcgen::CertifiedIssuer<'_, rcgen::KeyPair>, name: &str) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    params.subject_alt_names = vec![rcgen::SanType::Rfc822Name(format!("{name}@example.com").try_into().unwrap())];
    let certificate = params.signed_by(&key, authority).unwrap();
    (certificate.der().clone(), PrivatePkcs8KeyDer::from(key.serialize_der()).into())
}

fn authority() -> rcgen::CertifiedIssuer<'static, rcgen::KeyPair> {
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    rcgen::CertifiedIssuer::self_signed(params, rcgen::KeyPair::generate().unwrap()).unwrap()
}

#[tokio::test]
async fn a_certificate_of_our_authority_names_its_user() {
    let (ours, theirs) = (authority(), authority());
    let directory = tempfile::tempdir().unwrap();
    let client_ca = directory.path().join("clients.crt");
    std::fs::write(&client_ca, ours.pem()).unwrap();
    let options = WireOptions { tls: TlsOptions { client_ca: Some(client_ca), ..TlsOptions::default() }, ..WireOptions::default() };
    let auth = rules(
        r#"
        [[rule]]
        users = ["root"]
        method = "certificate"
        map = "mail"
        [[rule]]
        method = "certificate"
        [[name_map]]
        map = "mail"
        system = "boss@example.com"
        role = "root"
        "#,
    );
    let server = Server::with_rules(options, true, auth).await;
    let login = async |name: Option<&str>, authority, user: &str| {
        let socket = TcpStream::connect(server.address).await.unwrap();
        let identity = name.map(|name| signed(authority, name));
        let Ok(stream) = encrypt_as(&server, &[ALPN], identity, socket).await else { return "no handshake".to_string() };
        let mut client = Client::over(Box::new(stream));
        use tokio::io::AsyncWriteExt as _;
        let hello = startup(VERSION_3_0, &[("user", user), ("database", "warehouse")]);
        if client.stream.write_all(&hello).await.is_err() {
            return "closed".to_string();
        }
        client.until_ready().await.last().unwrap().clone()
    };
    assert_eq!(login(Some("ada"), &ours, "ada").await, "Z(I)");
    assert_eq!(login(Some("boss"), &ours, "root").await, "Z(I)");
    for (name, user) in [("ada", "root"), ("boss", "ada"), ("nobody", "nobody")] {
        assert_eq!(login(Some(name), &ours, user).await, "closed", "{name} as {user}");
    }
    assert_eq!(login(None, &ours, "ada").await, "closed");
    assert!(matches!(login(Some("ada"), &theirs, "ada").await.as_str(), "closed" | "no handshake"));
    let mut nameless = encrypted(&server, "ada").await;
    assert_eq!(nameless.until_ready().await[0], "E(FATAL 28000 connection requires a valid client certificate)");
    let socket = TcpStream::connect(server.address).await.unwrap();
    let stream = encrypt_as(&server, &[ALPN], Some(signed(&ours, "ada")), socket).await.unwrap();
    let mut other = Client::over(Box::new(stream));
    other.send(&startup(VERSION_3_0, &[("user", "root")])).await;
    assert_eq!(other.until_ready().await[0], "E(FATAL 28000 certificate authentication failed for user \"root\")");
}

#[tokio::test]
async fn users_of_this_machine_come_in_by_their_names() {
    let me = system_names(own_uid().await).await;
    let text = format!(
        "[[rule]]\naddresses = [\"local\"]\nmethod = \"peer\"\nmap = \"ops\"\n[[rule]]\nmethod = \"reject\"\n[[name_map]]\nmap = \"ops\"\nsystem = \"{}\"\nrole = \"ada\"",
        me[0]
    );
    let server = Server::with_rules(WireOptions::default(), true, rules(&text)).await;
    let mut client = local(&server, "ada").await;
    assert_eq!(client.until_ready().await.last().unwrap(), "Z(I)");
    for user in ["root", "nobody"] {
        let replies = local(&server, user).await.until_ready().await;
        assert_eq!(replies, [format!("E(FATAL 28000 Peer authentication failed for user \"{user}\")"), "closed".to_string()]);
    }
    let replies = in_clear(&server, "ada").await.until_ready().await;
    let expected = "E(FATAL 28000 auth.rule rejects for host \"127.0.0.1\", user \"ada\", database \"warehouse\", no encryption)";
    assert_eq!(replies, [expected, "closed"]);
    server.stop().await;
}

/// The number of the user who runs this test, as the kernel tells it.
async fn own_uid() -> u32 {
    UnixStream::pair().unwrap().0.peer_cred().unwrap().uid()
}

#[tokio::test]
async fn who_fits_no_rule_is_refused() {
    let server = Server::with_rules(WireOptions::default(), false, rules("[[rule]]\ndatabases = [\"other\"]")).await;
    let replies = in_clear(&server, "ada").await.until_ready().await;
    assert!(replies[0].starts_with("E(FATAL 28000 no auth.rule fits for host \"127.0.0.1\", user \"ada\""), "{replies:?}");
}

#[tokio::test]
async fn a_password_that_has_ended_or_was_taken_away_reads_like_a_wrong_one() {
    let server = Server::start().await;
    let ada = server.warehouse.change(|change| change.snapshot().principal("ada").unwrap().id);
    let login = async || {
        let mut client = in_clear(&server, "ada").await;
        client.authenticate(PASSWORD, None).await;
        client.until_ready().await.last().unwrap().clone()
    };
    assert_eq!(login().await, "Z(I)");
    let verifier = server.warehouse.change(|change| change.snapshot().principal("ada").unwrap().verifier.clone());
    for (until, expected) in [(Some(1), "closed"), (Some(i64::MAX), "Z(I)"), (Some(1), "closed"), (None, "Z(I)")] {
        server.warehouse.change(|change| change.set_valid_until(ada, until).unwrap());
        assert_eq!(login().await, expected, "{until:?}");
    }
    for (verifier, expected) in [(None, "closed"), (verifier, "Z(I)")] {
        server.warehouse.change(|change| change.set_verifier(ada, verifier).unwrap());
        assert_eq!(login().await, expected);
    }
    server.warehouse.change(|change| change.set_login(ada, false).unwrap());
    let mut client = in_clear(&server, "ada").await;
    client.authenticate(PASSWORD, None).await;
    assert_eq!(client.until_ready().await[1], "E(FATAL 28000 role \"ada\" is not permitted to log in)");
}

#[tokio::test]
async fn a_new_certificate_serves_new_connections_and_drops_none() {
    let options = WireOptions {
        tls: TlsOptions { reload_interval: HumanDuration::millis(100), ..TlsOptions::default() },
        ..WireOptions::default()
    };
    let server = Server::with_rules(options, true, rules("[[rule]]\nmethod = \"scram\"")).await;
    let mut old = encrypted(&server, "ada").await;
    old.authenticate(PASSWORD, None).await;
    assert_eq!(old.until_ready().await.last().unwrap(), "Z(I)");

    let certificate = server.certificate.clone().unwrap();
    let key = certificate.with_file_name("server.key");
    let fresh = tempfile::tempdir().unwrap();
    let (new_certificate, new_key) = self_signed(fresh.path(), &["localhost".into()]).unwrap();
    std::fs::rename(new_key, key).unwrap();
    std::fs::rename(new_certificate, &certificate).unwrap();
    // The client trusts the new certificate only, so a handshake shows that it is in service.
    let mut tries = 0;
    let mut new = loop {
        let socket = TcpStream::connect(server.address).await.unwrap();
        match encrypt_as(&server, &[ALPN], None, socket).await {
            Ok(stream) => break Client::over(Box::new(stream)),
            Err(_) if tries < 100 => tries += 1,
            Err(error) => panic!("the new certificate is not in service: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    new.send(&startup(VERSION_3_0, &[("user", "ada"), ("database", "warehouse")])).await;
    new.authenticate(PASSWORD, None).await;
    assert_eq!(new.until_ready().await.last().unwrap(), "Z(I)");
    for client in [&mut old, &mut new] {
        assert_eq!(client.query("user").await, ["C(ada warehouse)", "Z(I)"]);
    }
}
