//! Random messages and random statements: the server answers or closes, and never ends, hangs or reports a bug of its own.
//!
//! The default run is short; `LAKEHOLD_FUZZ_CASES=100000 cargo test --test it fuzz` makes a long one. A failure prints its seed.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::server::{Server, rows, transcript};

fn cases() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "how long to fuzz is said by whoever runs the test")]
    let cases = std::env::var("LAKEHOLD_FUZZ_CASES").ok();
    cases.and_then(|cases| cases.parse().ok()).unwrap_or(300)
}

/// xorshift64*: the same cases on every machine.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap() % bound
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        let length = self.below(most + 1);
        (0..length).map(|_| u8::try_from(self.below(256)).unwrap()).collect()
    }
}

fn startup() -> Vec<u8> {
    let body = b"\0\x03\0\0user\0admin\0database\0main\0\0";
    [&u32::try_from(body.len() + 4).unwrap().to_be_bytes()[..], body].concat()
}

/// A message whose tag, length and body are right or wrong at random.
fn message(random: &mut Random) -> Vec<u8> {
    const TAGS: &[u8] = b"QPBDEHSXpCdcfF\0\xff";
    let body = random.bytes(60);
    let length = match random.below(6) {
        0 => random.below(12),
        1 => 0x7fff_ffff,
        2 => 0xffff_ffff,
        _ => body.len() + 4,
    };
    let mut message = vec![TAGS[random.below(TAGS.len())]];
    message.extend(u32::try_from(length).unwrap().to_be_bytes());
    message.extend(body);
    message
}

#[test]
fn random_messages_end_their_own_connection_at_most() {
    let server = Server::start();
    for seed in 0..cases() {
        let mut random = Random::new(seed);
        let mut stream = TcpStream::connect(server.postgres).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        if random.below(4) > 0 {
            stream.write_all(&startup()).unwrap();
        }
        for _ in 0..=random.below(3) {
            if stream.write_all(&message(&mut random)).is_err() {
                break;
            }
        }
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(!answer.windows(5).any(|part| part == b"XX000"), "seed {seed}: {}", String::from_utf8_lossy(&answer));
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async { assert_eq!(rows(&server.admin().await, "SELECT 1").await.len(), 1) });
}

const WORDS: &[&str] = &[
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP BY",
    "ORDER BY",
    "LIMIT",
    "OFFSET",
    "HAVING",
    "WITH",
    "RECURSIVE",
    "AS",
    "JOIN",
    "LEFT JOIN",
    "ON",
    "USING",
    "UNION ALL",
    "EXCEPT",
    "INTERSECT",
    "(",
    ")",
    "(",
    ")",
    ",",
    ",",
    "*",
    "+",
    "-",
    "/",
    "%",
    "||",
    "=",
    "<",
    ">",
    "<>",
    "::int",
    "::text",
    "::regclass",
    "::date",
    "::interval",
    "::numeric(10,2)",
    "::int[]",
    "CAST(",
    "CASE WHEN",
    "THEN",
    "ELSE",
    "END",
    "NOT",
    "AND",
    "OR",
    "IN (",
    "EXISTS (",
    "ANY(",
    "ALL(",
    "BETWEEN",
    "LIKE",
    "IS NULL",
    "NULL",
    "true",
    "1",
    "0",
    "-1",
    "2147483647",
    "9223372036854775808",
    "1.5",
    "1e308",
    "'a'",
    "'1'",
    "'2024-01-01'",
    "''",
    "t",
    "t.id",
    "id",
    "name",
    "t",
    "pg_class",
    "information_schema.tables",
    "generate_series(1,3)",
    "count(*)",
    "sum(",
    "max(",
    "array_agg(",
    "row_number() OVER (",
    "PARTITION BY",
    "coalesce(",
    "length(",
    "substr(",
    "now()",
    "current_user",
    "ARRAY[",
    "]",
    "[1]",
    "interval '1 day'",
    "date '2024-01-01'",
    "EXPLAIN",
    "VALUES (",
    "$1",
    ";",
    "DISTINCT",
    "LATERAL",
    "VERSION AS OF",
    "\"",
    "$$",
    "CREATE TABLE",
    "DROP TABLE IF EXISTS x",
    "INSERT INTO t",
    "SET",
    "SHOW",
    "GRANT",
    "ALTER TABLE t",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "PREPARE p AS",
    "EXECUTE p",
    "DECLARE c CURSOR FOR",
    "FETCH 1 FROM c",
    "COPY (",
    "TO STDOUT",
];

#[tokio::test(flavor = "multi_thread")]
async fn random_statements_are_answered_without_a_fault_of_ours() {
    let server = Server::start();
    let admin = server.admin().await;
    crate::server::run(
        &admin,
        "CREATE TABLE t (id bigint, name text); INSERT INTO t VALUES (1, 'a'), (2, NULL); SET statement_timeout = '5s'",
    )
    .await;
    let mut faults = Vec::new();
    for seed in 0..cases() {
        let mut random = Random::new(seed);
        let length = 2 + random.below(14);
        let mut words: Vec<&str> = (0..length).map(|_| WORDS[random.below(WORDS.len())]).collect();
        if random.below(3) > 0 {
            words.insert(0, "SELECT");
        }
        let statement = words.join(" ");
        let answer = transcript(&admin, &statement).await;
        if answer.starts_with("error XX") || answer.starts_with("error without answer") {
            faults.push(format!("seed {seed}: {statement}\n  {answer}"));
        }
        assert!(!admin.is_closed(), "seed {seed} ended the session: {statement}");
        let _ = transcript(&admin, "ROLLBACK").await;
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
