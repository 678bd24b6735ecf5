//! What clients say after login: recorded sessions of real programs if the folder with them lies beside the checkout, and sessions
//! that a driver holds through a recording proxy here and now.

use std::io::{BufRead, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::corpora::corpus;
use crate::hostile::peer::{execute, message, query};
use crate::server::{ADMIN_PASSWORD, Server};

/// Messages of one session, in order.
pub(super) type Transcript = Vec<Vec<u8>>;

/// All that there are; at least the ones that are recorded here.
pub(super) fn transcripts(server: &Server) -> Vec<Transcript> {
    let mut transcripts = vec![record(server)];
    if let Some(folder) = corpus("captured-pg18") {
        let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        transcripts.extend(files.iter().filter(|path| path.to_string_lossy().ends_with(".wire.jsonl")).flat_map(|path| read(path)));
    }
    transcripts
}

/// The sessions of one recorded file, one a connection.
fn read(path: &Path) -> Vec<Transcript> {
    let mut sessions: Vec<(i64, Transcript)> = Vec::new();
    for line in std::io::BufReader::new(std::fs::File::open(path).unwrap()).lines() {
        let entry: Value = serde_json::from_str(&line.unwrap()).unwrap();
        if entry["d"] != "F" {
            continue;
        }
        let connection = entry["c"].as_i64().unwrap();
        let Some(bytes) = encoded(&entry) else { continue };
        match sessions.iter_mut().find(|(number, _)| *number == connection) {
            Some((_, session)) => session.push(bytes),
            None => sessions.push((connection, vec![bytes])),
        }
    }
    sessions.into_iter().map(|(_, session)| session).collect()
}

/// A recorded message as bytes; none for what comes before the login.
fn encoded(entry: &Value) -> Option<Vec<u8>> {
    let text = |name: &str| entry[name].as_str().unwrap_or_default();
    let number = |value: &Value| value.as_i64().unwrap_or_default();
    let list = |name: &str| entry[name].as_array().cloned().unwrap_or_default();
    let shorts = |name: &str| -> Vec<u8> {
        let codes = list(name);
        let mut bytes = u16::try_from(codes.len()).unwrap().to_be_bytes().to_vec();
        codes.iter().for_each(|code| bytes.extend(i16::try_from(number(code)).unwrap_or_default().to_be_bytes()));
        bytes
    };
    let named = |kind: &str, name: &str| format!("{kind}{name}\0").into_bytes();
    Some(match text("m") {
        "Query" => query(text("sql")),
        "Parse" => {
            let mut body = format!("{}\0{}\0", text("name"), text("sql")).into_bytes();
            let types = list("oids");
            body.extend(u16::try_from(types.len()).unwrap().to_be_bytes());
            types.iter().for_each(|oid| body.extend(u32::try_from(number(oid)).unwrap_or_default().to_be_bytes()));
            message(b'P', &body)
        }
        "Bind" => {
            let mut body = format!("{}\0{}\0", text("portal"), text("stmt")).into_bytes();
            body.extend(shorts("pformats"));
            let values = list("params");
            body.extend(u16::try_from(values.len()).unwrap().to_be_bytes());
            for value in &values {
                let value = match value {
                    Value::Null => None,
                    Value::String(text) => Some(text.clone().into_bytes()),
                    other => Some(hex(other["hex"].as_str().unwrap_or_default())),
                };
                match value {
                    None => body.extend((-1_i32).to_be_bytes()),
                    Some(bytes) => {
                        body.extend(i32::try_from(bytes.len()).unwrap().to_be_bytes());
                        body.extend(bytes);
                    }
                }
            }
            body.extend(shorts("rformats"));
            message(b'B', &body)
        }
        "Describe" => message(b'D', &named(text("kind"), text("name"))),
        "Close" => message(b'C', &named(text("kind"), text("name"))),
        "Execute" => execute(text("portal"), i32::try_from(number(&entry["max"])).unwrap_or_default()),
        "Sync" => message(b'S', b""),
        "Flush" => message(b'H', b""),
        "Terminate" => message(b'X', b""),
        "CopyData" => message(b'd', &hex(text("head"))),
        "CopyDone" => message(b'c', b""),
        _ => return None,
    })
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).filter_map(|index| u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()).collect()
}

/// What a driver says while it does a bit of everything.
fn record(server: &Server) -> Transcript {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = listener.local_addr().unwrap();
    let target = server.postgres;
    let said = Arc::new(Mutex::new(Vec::new()));
    let recorded = Arc::clone(&said);
    let relay = std::thread::spawn(move || {
        let (client, _) = listener.accept().unwrap();
        let server = TcpStream::connect(target).unwrap();
        let (client_again, server_again) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        let answers = std::thread::spawn(move || copy(server_again, client_again, |_| {}));
        copy(client, server, |bytes| recorded.lock().unwrap().extend_from_slice(bytes));
        answers.join().unwrap();
    });
    tokio::runtime::Runtime::new().unwrap().block_on(session(proxy.port()));
    relay.join().unwrap();
    let said = said.lock().unwrap();
    let messages = frames(&said);
    assert!(messages.len() > 40, "{} messages", messages.len());
    messages
}

fn copy(mut from: TcpStream, mut to: TcpStream, mut heard: impl FnMut(&[u8])) {
    let mut part = [0; 8192];
    while let Ok(length @ 1..) = from.read(&mut part) {
        heard(&part[..length]);
        if to.write_all(&part[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Write);
}

/// The messages behind the start-up packet, without passwords.
fn frames(mut bytes: &[u8]) -> Transcript {
    let startup = u32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize;
    bytes = &bytes[startup..];
    let mut messages = Vec::new();
    while bytes.len() >= 5 {
        let length = 1 + u32::from_be_bytes(bytes[1..5].try_into().unwrap()) as usize;
        if bytes[0] != b'p' {
            messages.push(bytes[..length].to_vec());
        }
        bytes = &bytes[length..];
    }
    messages
}

async fn session(port: u16) {
    let config = format!("host=127.0.0.1 port={port} user=admin password={ADMIN_PASSWORD} dbname=main");
    let (mut client, connection) = tokio_postgres::connect(&config, tokio_postgres::NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    crate::server::run(&client, "CREATE TABLE t (id bigint, name text); INSERT INTO t VALUES (1, 'a'), (2, NULL)").await;
    for text in
        ["SELECT 1; SELECT 'a' AS b; SHOW server_version", "SELECT * FROM t", "EXPLAIN SELECT count(*) FROM t GROUP BY name", ""]
    {
        let _ = client.simple_query(text).await;
    }
    for _ in 0..3 {
        let _ = client.query("SELECT id, name, $2::text FROM t WHERE id = $1", &[&1_i64, &"x"]).await;
    }
    let sum = client.prepare("SELECT $1::int[] AS a, $2::text::numeric::text, $3::text::date, $4::bytea").await.unwrap();
    let _ = client.query(&sum, &[&vec![1_i32, 2], &"1.5", &None::<String>, &&b"\0\xff"[..]]).await;
    let _ = client.query("SELECT nothing", &[]).await;
    {
        let block = client.transaction().await.unwrap();
        let portal = block.bind("SELECT n FROM generate_series(1, 100) AS g(n)", &[]).await.unwrap();
        let _ = block.query_portal(&portal, 10).await;
        let _ = block.query_portal(&portal, 0).await;
        let _ = block.simple_query("DECLARE c CURSOR FOR SELECT 1; FETCH ALL FROM c; SAVEPOINT s; ROLLBACK TO s").await;
        let _ = block.rollback().await;
    }
    if let Ok(stream) = client.copy_out("COPY (SELECT * FROM t) TO STDOUT (FORMAT binary)").await {
        let _ = futures::TryStreamExt::try_collect::<Vec<_>>(stream).await;
    }
    drop(client);
    connection.await.unwrap().unwrap();
}
