use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::Server;
use super::client::{Client, VERSION_3_0, VERSION_3_2, message, packet, query, startup};
use crate::wire::backend::Backend;
use crate::wire::double::PASSWORD;
use crate::wire::options::{TlsOptions, TlsRequirement, WireOptions};
use crate::wire::tls::ALPN;

const TLS_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
const GSS_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x30];

async fn opening(server: &Server, bytes: &[u8]) -> Vec<String> {
    let mut client = Client::connect(server.address).await;
    client.send(bytes).await;
    client.until_ready().await
}

async fn encrypt(
    server: &Server,
    alpn: &[&[u8]],
    socket: TcpStream,
) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    encrypt_as(server, alpn, None, socket).await
}

/// Shows the certificate of `identity`, if it has one.
pub(super) async fn encrypt_as(
    server: &Server,
    alpn: &[&[u8]],
    identity: Option<(CertificateDer<'static>, PrivateKeyDer<'static>)>,
    socket: TcpStream,
) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(server.certificate.as_ref().unwrap()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match identity {
        Some((certificate, key)) => builder.with_client_auth_cert(vec![certificate], key).unwrap(),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost").unwrap(), socket).await
}

#[tokio::test]
async fn a_login_tells_settings_key_and_readiness() {
    let server = Server::start().await;
    for (version, key) in [(VERSION_3_0, 4), (VERSION_3_0 + 1, 4), (VERSION_3_2, 32)] {
        let mut client = Client::connect(server.address).await;
        client.send(&startup(version, &[("user", "ada"), ("database", "warehouse"), ("client_encoding", "'utf-8'")])).await;
        client.authenticate(PASSWORD, None).await;
        let replies = client.until_ready().await;
        assert_eq!(replies[..2], ["R(12)", "R(0)"]);
        let settings: Vec<_> = replies.iter().filter(|reply| reply.starts_with("S(")).collect();
        assert_eq!(settings.len(), 15);
        assert!(replies.contains(&"S(client_encoding=UTF8)".to_string()), "{replies:?}");
        assert!(replies.iter().any(|reply| reply.starts_with("S(server_version=17.0 (Lakehold ")));
        assert_eq!(replies[replies.len() - 2..], [format!("K({key})"), "Z(I)".to_string()]);
        assert_eq!(client.query("user").await, ["C(ada warehouse)", "Z(I)"]);
    }
    server.stop().await;
}

#[tokio::test]
async fn newer_protocols_and_their_options_are_negotiated_by_name() {
    let server = Server::start().await;
    for (version, options, expected) in
        [(206_607, vec![], "v(2 )"), (VERSION_3_0, vec![("_pq_.foo", "1"), ("_pq_.bar", "")], "v(0 _pq_.foo _pq_.bar)")]
    {
        let mut client = Client::connect(server.address).await;
        let parameters = [vec![("user", "ada"), ("database", "warehouse")], options].concat();
        client.send(&startup(version, &parameters)).await;
        assert_eq!(client.replies(1).await, [expected]);
        client.authenticate(PASSWORD, None).await;
        assert_eq!(client.until_ready().await.last().unwrap(), "Z(I)");
    }
}

#[tokio::test]
async fn packets_out_of_form_are_told_so() {
    let server = Server::start().await;
    let unsupported = |version: &str| format!("E(FATAL 0A000 unsupported frontend protocol {version}: server supports 3.0 to 3.2)");
    for (bytes, expected) in [
        (startup(131_072, &[("user", "ada")]), unsupported("2.0")),
        (startup(262_144, &[("user", "ada")]), unsupported("4.0")),
        (startup(VERSION_3_0, &[]), "E(FATAL 28000 no PostgreSQL user name specified in startup packet)".into()),
        (startup(VERSION_3_0, &[("user", "ada"), ("replication", "true")]), "E(FATAL 0A000 replication is not supported)".into()),
        (b"\0\0\0\x04".to_vec(), "E(FATAL 08P01 invalid length of startup packet)".into()),
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), "E(FATAL 08P01 invalid length of startup packet)".into()),
        (packet(b"\0\x03\0\0user\0ada"), "E(FATAL 08P01 invalid startup packet layout: expected terminator as last byte)".into()),
    ] {
        assert_eq!(opening(&server, &bytes).await, [expected, "closed".to_string()]);
    }
}

#[tokio::test]
async fn wrong_parameters_fail_after_the_login() {
    let server = Server::start().await;
    for (name, value, expected) in [
        ("database", "nosuchdb", "E(FATAL 3D000 database \"nosuchdb\" does not exist)"),
        ("nosuchguc", "1", "E(FATAL 42704 unrecognized configuration parameter \"nosuchguc\")"),
        ("client_encoding", "nosuch", "E(FATAL 22023 invalid value for parameter \"client_encoding\": \"nosuch\")"),
    ] {
        let mut client = Client::connect(server.address).await;
        client.send(&startup(VERSION_3_0, &[("user", "ada"), (name, value)])).await;
        client.authenticate(PASSWORD, None).await;
        assert_eq!(client.until_ready().await, ["R(12)", "R(0)", expected, "closed"]);
    }
}

#[tokio::test]
async fn unknown_names_wrong_passwords_and_groups_read_the_same() {
    let server = Server::start().await;
    for (user, password) in [("ada", "wrong"), ("nobody", PASSWORD), ("nobody", "")] {
        let mut client = Client::connect(server.address).await;
        client.send(&startup(VERSION_3_0, &[("user", user)])).await;
        client.authenticate(password, None).await;
        let expected = format!("E(FATAL 28P01 password authentication failed for user \"{user}\")");
        assert_eq!(client.until_ready().await, [expected, "closed".to_string()]);
    }
    let mut client = Client::connect(server.address).await;
    client.send(&startup(VERSION_3_0, &[("user", "readers")])).await;
    client.authenticate(PASSWORD, None).await;
    assert_eq!(client.until_ready().await[1], "E(FATAL 28000 role \"readers\" is not permitted to log in)");
}

#[tokio::test]
async fn broken_password_messages_end_the_connection_and_nothing_else() {
    let server = Server::start().await;
    for broken in [
        b"p\0\0\0\0".to_vec(),
        b"p\0\0\0\x03".to_vec(),
        b"p\xff\xff\xff\xff".to_vec(),
        b"p\x3f\xff\xff\xff".to_vec(),
        message(b'p', b""),
        message(b'p', b"SCRAM-SHA-256\0\x7f\xff\xff\xffx"),
        message(b'p', b"SCRAM-SHA-256\0\0\0\0\x01x"),
        message(b'p', b"PLAIN\0\0\0\0\0"),
        query("select 1"),
        message(b'd', b""),
    ] {
        let mut client = Client::connect(server.address).await;
        client.send(&startup(VERSION_3_0, &[("user", "ada")])).await;
        assert_eq!(client.replies(1).await, ["R(10)"]);
        client.send(&broken).await;
        let replies = client.until_ready().await;
        assert!(replies[0].starts_with("E(FATAL 08P01 "), "{broken:?} {replies:?}");
        assert_eq!(replies[1], "closed");
    }
    server.client().await;
}

#[tokio::test]
async fn encryption_is_refused_politely_without_a_certificate() {
    let server = Server::start().await;
    let mut client = Client::connect(server.address).await;
    for request in [GSS_REQUEST, TLS_REQUEST] {
        client.send(&request).await;
        let mut answer = [0];
        client.stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"N");
    }
    client.send(&startup(VERSION_3_0, &[("user", "ada")])).await;
    client.authenticate(PASSWORD, None).await;
    assert_eq!(client.until_ready().await.last().unwrap(), "Z(I)");
}

#[tokio::test]
async fn encryption_is_asked_for_once() {
    let server = Server::start().await;
    for request in [GSS_REQUEST, TLS_REQUEST] {
        let mut client = Client::connect(server.address).await;
        client.send(&request).await;
        client.stream.read_exact(&mut [0]).await.unwrap();
        client.send(&request).await;
        assert_eq!(client.until_ready().await, ["E(FATAL 08P01 encryption was asked for twice)", "closed"]);
    }
}

#[tokio::test]
async fn bytes_in_clear_before_the_handshake_are_refused() {
    let server = Server::with(WireOptions::default(), true).await;
    let mut client = Client::connect(server.address).await;
    client.send(&[&TLS_REQUEST[..], &startup(VERSION_3_0, &[("user", "ada")])].concat()).await;
    let replies = client.until_ready().await;
    assert_eq!(replies, ["E(FATAL 08P01 received unencrypted data after SSL request)", "closed"]);
}

#[tokio::test]
async fn tls_is_spoken_after_a_request_and_binds_the_login() {
    let server = Server::with(WireOptions::default(), true).await;
    for binds in [false, true] {
        let mut socket = TcpStream::connect(server.address).await.unwrap();
        socket.write_all(&TLS_REQUEST).await.unwrap();
        let mut answer = [0];
        socket.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"S");
        // libpq before 17 sends no ALPN.
        let stream = encrypt(&server, &[], socket).await.unwrap();
        let certificate = CertificateDer::from_pem_file(server.certificate.as_ref().unwrap()).unwrap();
        let end_point = <sha2::Sha256 as sha2::Digest>::digest(&certificate);
        let mut client = Client::over(Box::new(stream));
        client.send(&startup(VERSION_3_0, &[("user", "ada")])).await;
        client.authenticate(PASSWORD, binds.then_some(&end_point[..])).await;
        assert_eq!(client.until_ready().await.last().unwrap(), "Z(I)");
        assert_eq!(client.query("notice").await, ["N(NOTICE 00000 hello)", "C(DO)", "Z(I)"]);
    }
}

#[tokio::test]
async fn direct_tls_needs_its_protocol_name() {
    let server = Server::with(WireOptions::default(), true).await;
    let connect = || TcpStream::connect(server.address);
    let mut client = Client::over(Box::new(encrypt(&server, &[ALPN], connect().await.unwrap()).await.unwrap()));
    client.send(&startup(VERSION_3_0, &[("user", "ada")])).await;
    client.authenticate(PASSWORD, None).await;
    assert_eq!(client.until_ready().await.last().unwrap(), "Z(I)");

    let mut nameless = Client::over(Box::new(encrypt(&server, &[], connect().await.unwrap()).await.unwrap()));
    let _ = nameless.stream.write_all(&startup(VERSION_3_0, &[("user", "ada")])).await;
    assert_eq!(nameless.until_ready().await, ["closed"]);
    assert!(encrypt(&server, &[b"http/1.1"], connect().await.unwrap()).await.is_err());
}

#[tokio::test]
async fn whoever_must_encrypt_is_told_so() {
    let options =
        WireOptions { tls: TlsOptions { required: TlsRequirement::Everybody, ..TlsOptions::default() }, ..WireOptions::default() };
    let server = Server::with(options, true).await;
    let replies = opening(&server, &startup(VERSION_3_0, &[("user", "ada")])).await;
    assert!(replies[0].starts_with("E(FATAL 28000 connections from host \"127.0.0.1\" must be encrypted"), "{replies:?}");
}

#[tokio::test]
async fn a_server_that_starts_says_so() {
    let server = Server::start().await;
    server.ready.send_replace(None);
    let hello = startup(VERSION_3_0, &[("user", "ada")]);
    assert_eq!(opening(&server, &hello).await, ["E(FATAL 57P03 the database system is starting up)", "closed"]);
    server.ready.send_replace(Some(Arc::clone(&server.warehouse) as Arc<dyn Backend>));
    server.client().await;
}

#[tokio::test]
async fn a_peer_that_says_nothing_is_cut_off() {
    let options = WireOptions { authentication_timeout: crate::units::HumanDuration::millis(200), ..WireOptions::default() };
    let server = Server::with(options, false).await;
    let mut silent = Client::connect(server.address).await;
    assert_eq!(silent.until_ready().await, ["closed"]);
    let mut slow = Client::connect(server.address).await;
    slow.send(&startup(VERSION_3_0, &[("user", "ada")])).await;
    assert_eq!(slow.until_ready().await, ["R(10)", "E(FATAL 57014 canceling authentication due to timeout)", "closed"]);
    tokio::time::sleep(Duration::from_millis(50)).await;
    server.stop().await;
}

#[tokio::test]
async fn a_real_driver_logs_in_and_reads() {
    let server = Server::start().await;
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(server.address.port()).user("ada").password(PASSWORD).dbname("warehouse");
    let (client, connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
    server.tracker.spawn(connection);
    let rows = client.query("rows 7", &[]).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.get::<_, i32>(0)).sum::<i32>(), 21);
    let rows = client.query("parameter", &[&41_i32]).await.unwrap();
    assert_eq!(rows[0].get::<_, i32>(0), 41);
    let error = client.query("fail", &[]).await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "22012");
}
