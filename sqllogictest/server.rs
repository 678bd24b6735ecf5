//! One server, on a data directory of its own, for as long as a file runs.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long a server may take to say that it is ready, and to stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server. Dropping it ends it.
pub(crate) struct Server {
    process: Child,
    address: String,
    stderr: Option<std::thread::JoinHandle<String>>,
    _data: TempDir,
}

impl Server {
    /// Starts the binary under test on free ports and waits until it is ready.
    pub(crate) fn start() -> Result<Self, String> {
        let data = TempDir::new().map_err(|error| error.to_string())?;
        let mut process = Command::new(env!("CARGO_BIN_EXE_lakehold"))
            .arg("serve")
            .arg("--data-dir")
            .arg(data.path())
            .args(["--set", "listen.postgres=127.0.0.1:0", "--set", "listen.http=127.0.0.1:0"])
            .env("LAKEHOLD_ADMIN_PASSWORD", "admin-password-1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start the server: {error}"))?;
        let stderr = process.stderr.take().map(|stderr| {
            std::thread::spawn(move || {
                let mut text = String::new();
                drop(BufReader::new(stderr).read_to_string(&mut text));
                text
            })
        });
        let (ready, is_ready) = mpsc::channel();
        if let Some(stdout) = process.stdout.take() {
            std::thread::spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    if let Some(address) = line.split("lakehold ready: postgres=").nth(1).and_then(|rest| rest.split(' ').next()) {
                        drop(ready.send(address.to_string()));
                    }
                }
            });
        }
        let mut server = Self { process, address: String::new(), stderr, _data: data };
        match is_ready.recv_timeout(PATIENCE) {
            Ok(address) => {
                server.address = address;
                Ok(server)
            }
            Err(_) => Err(format!("the server did not become ready\n{}", server.end())),
        }
    }

    /// Where it listens for PostgreSQL clients.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Ends it; an error if it had ended by itself before.
    pub(crate) fn stop(mut self) -> Result<(), String> {
        let ended = self.process.try_wait().map_err(|error| error.to_string())?;
        let log = self.end();
        match ended {
            None => Ok(()),
            Some(status) => Err(format!("the server ended by itself: {status}\n{log}")),
        }
    }

    fn end(&mut self) -> String {
        drop(self.process.kill());
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline && matches!(self.process.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.stderr.take().and_then(|reader| reader.join().ok()).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}
