//! A real server on a data directory of its own, and clients for it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// Password of the administrator in tests.
pub(crate) const ADMIN_PASSWORD: &str = "admin-password-1";

/// A running server; killed when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) postgres: SocketAddr,
    pub(crate) http: SocketAddr,
    _own_dir: Option<tempfile::TempDir>,
}

/// The binary under test.
pub(crate) fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lakehold"));
    command.env("LAKEHOLD_ADMIN_PASSWORD", ADMIN_PASSWORD).env("RUST_BACKTRACE", "1");
    command
}

impl Server {
    /// Starts on a fresh data directory.
    pub(crate) fn start() -> Server {
        Server::start_with(&[])
    }

    /// Starts on a fresh data directory with further `--set` values.
    pub(crate) fn start_with(settings: &[&str]) -> Server {
        let dir = tempfile::tempdir().unwrap();
        let mut server = Server::start_on(dir.path(), settings);
        server._own_dir = Some(dir);
        server
    }

    /// Starts on a data directory.
    pub(crate) fn start_on(data_dir: &Path, settings: &[&str]) -> Server {
        Server::start_logging(data_dir, settings, Stdio::inherit())
    }

    /// Starts on a data directory and writes its log to `log`.
    pub(crate) fn start_logging(data_dir: &Path, settings: &[&str], log: Stdio) -> Server {
        let mut command = binary();
        command.arg("serve").arg("--data-dir").arg(data_dir);
        for setting in settings {
            command.arg("--set").arg(setting);
        }
        Server::spawn(command, log)
    }

    /// Starts on a data directory with a configuration file.
    pub(crate) fn start_configured(data_dir: &Path, config: &Path) -> Server {
        let mut command = binary();
        command.arg("serve").arg("--data-dir").arg(data_dir).arg("--config").arg(config);
        Server::spawn(command, Stdio::inherit())
    }

    fn spawn(mut command: Command, log: Stdio) -> Server {
        for setting in ["listen.postgres=127.0.0.1:0", "listen.http=127.0.0.1:0"] {
            command.arg("--set").arg(setting);
        }
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        let (postgres, http) = ready_line(BufReader::new(stdout)).expect("the server ended before it was ready");
        Server { child, postgres, http, _own_dir: None }
    }

    /// Sends SIGTERM and waits for the exit code.
    pub(crate) fn stop(mut self) -> i32 {
        self.signal("TERM");
        self.wait(Duration::from_secs(40))
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for the exit code.
    pub(crate) fn wait(&mut self, at_most: Duration) -> i32 {
        let deadline = Instant::now() + at_most;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap_or(-1);
            }
            assert!(Instant::now() < deadline, "the server did not stop in {at_most:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Resident memory in bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }

    /// Waits until the process computes nothing: everything that it could do without further orders is done.
    pub(crate) fn until_quiet(self) -> Server {
        let ticks = |server: &Server| -> u64 {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", server.child.id())).unwrap();
            let numbers = stat.rsplit_once(')').unwrap().1;
            // utime and stime.
            numbers.split_whitespace().skip(11).take(2).map(|number| number.parse::<u64>().unwrap()).sum()
        };
        self.eventually("the server is quiet", |server| {
            let before = ticks(server);
            std::thread::sleep(Duration::from_millis(150));
            ticks(server) == before
        });
        self
    }

    /// A number of `/metrics`; zero if nothing has counted there.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let (_, text) = self.get("/metrics");
        let mut lines = text.lines().filter_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        lines.next().unwrap_or_default()
    }

    /// Waits until something holds; a test fails if it does not within half a minute.
    pub(crate) fn eventually(&self, what: &str, holds: impl Fn(&Server) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !holds(self) {
            assert!(Instant::now() < deadline, "not in time: {what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A session of the administrator on catalog `main`.
    pub(crate) async fn admin(&self) -> Client {
        self.connect("admin", ADMIN_PASSWORD).await.unwrap()
    }

    /// A session of a user whose password follows the tests' rule, `NAME-password-1`.
    pub(crate) async fn user(&self, name: &str) -> Client {
        self.connect(name, &password_of(name)).await.unwrap()
    }

    /// A session, without TLS as loopback allows.
    pub(crate) async fn connect(&self, user: &str, password: &str) -> Result<Client, tokio_postgres::Error> {
        let config = format!("host=127.0.0.1 port={} user={user} password={password} dbname=main", self.postgres.port());
        let (client, connection) = tokio_postgres::connect(&config, NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// Body and status of an HTTP GET.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.http).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let status = answer.split_whitespace().nth(1).unwrap().parse().unwrap();
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        (status, body.to_string())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The password of a test user.
pub(crate) fn password_of(name: &str) -> String {
    format!("{name}-password-1")
}

fn ready_line(mut stdout: impl BufRead) -> Option<(SocketAddr, SocketAddr)> {
    let mut line = String::new();
    while stdout.read_line(&mut line).ok()? > 0 {
        if let Some(rest) = line.trim().strip_prefix("lakehold ready: ") {
            let address = |key: &str| rest.split(' ').find_map(|part| part.strip_prefix(key))?.parse().ok();
            return Some((address("postgres=")?, address("http=")?));
        }
        line.clear();
    }
    None
}

/// What one statement answered, as text: column names, rows, tag, or the error with SQLSTATE, message, detail and hint.
pub(crate) async fn transcript(client: &Client, sql: &str) -> String {
    match client.simple_query(sql).await {
        Ok(messages) => messages.iter().map(line).collect::<Vec<_>>().join("\n"),
        Err(error) => error_line(&error),
    }
}

fn line(message: &SimpleQueryMessage) -> String {
    match message {
        SimpleQueryMessage::RowDescription(columns) => {
            format!("columns {}", columns.iter().map(|column| column.name()).collect::<Vec<_>>().join(","))
        }
        SimpleQueryMessage::Row(row) => {
            format!("row {}", (0..row.len()).map(|index| row.get(index).unwrap_or("NULL")).collect::<Vec<_>>().join("|"))
        }
        SimpleQueryMessage::CommandComplete(count) => format!("done {count}"),
        other => format!("{other:?}"),
    }
}

/// An error as one line.
pub(crate) fn error_line(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(db) => {
            let mut text = format!("error {} {}", db.code().code(), db.message());
            for (name, part) in [("detail", db.detail()), ("hint", db.hint())] {
                if let Some(part) = part {
                    text.push_str(&format!(" {name}: {part}"));
                }
            }
            text
        }
        None => format!("error without answer: {error}"),
    }
}

/// Rows of a query as text.
pub(crate) async fn rows(client: &Client, sql: &str) -> Vec<Vec<Option<String>>> {
    let messages = client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {}", error_line(&error)));
    messages
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|index| row.get(index).map(str::to_string)).collect()),
            _ => None,
        })
        .collect()
}

/// Runs statements that must succeed.
pub(crate) async fn run(client: &Client, sql: &str) {
    client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {}", error_line(&error)));
}

/// SQLSTATE of a statement that must fail.
pub(crate) async fn sqlstate(client: &Client, sql: &str) -> String {
    match client.simple_query(sql).await {
        Ok(_) => panic!("{sql}: expected an error"),
        Err(error) => error.code().map_or_else(|| error.to_string(), |code| code.code().to_string()),
    }
}
