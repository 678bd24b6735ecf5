//! Peers that do not keep to the protocol, or keep to it and mean harm. Whatever they do: no panic, the right SQLSTATE or the end of
//! their own connection, flat memory, and honest clients unharmed.
//!
//! ```text
//! opening   before login: packets, TLS, passwords
//! messages  after login: lengths, names, counts that lie; order that is wrong
//! sizes     much of everything: text, terms, depth, statements, portals, parameters
//! crowds    many at once: connects, cancels, slow talkers, readers that do not read, peers that vanish
//! ```

mod crowds;
mod messages;
mod opening;
pub(crate) mod peer;
mod sizes;

use std::time::{Duration, Instant};

use crate::server::{ADMIN_PASSWORD, Server, rows};

/// A session that only wants its work done, and measures how long that takes.
pub(crate) struct Honest {
    runtime: tokio::runtime::Runtime,
    client: tokio_postgres::Client,
}

impl Honest {
    pub(crate) fn new(server: &Server) -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let client = runtime.block_on(server.admin());
        Self { runtime, client }
    }

    /// The 99th percentile of a small query's time, over `count` of them.
    pub(crate) fn p99(&self, count: usize) -> Duration {
        self.p99_of(std::iter::repeat_n((), count))
    }

    /// The same, for as long as `other` runs.
    pub(crate) fn p99_while<T: Send>(&self, other: impl FnOnce() -> T + Send) -> (Duration, T) {
        std::thread::scope(|scope| {
            let running = scope.spawn(other);
            let p99 = self.p99_of(std::iter::from_fn(|| (!running.is_finished()).then_some(())));
            (p99, running.join().unwrap())
        })
    }

    fn p99_of(&self, rounds: impl Iterator<Item = ()>) -> Duration {
        let mut times: Vec<Duration> = rounds
            .map(|()| {
                let started = Instant::now();
                assert_eq!(self.runtime.block_on(rows(&self.client, "SELECT 1")).len(), 1);
                started.elapsed()
            })
            .collect();
        times.sort();
        times.get(times.len() * 99 / 100).copied().unwrap_or_default()
    }
}

/// The goal is twice the time of a quiet server. Test machines are noisy and small, so the bound leaves room, but not for a hang.
pub(crate) fn at_most_a_little_slower(quiet: Duration, meanwhile: Duration) {
    let ratio = meanwhile.as_secs_f64() / quiet.as_secs_f64().max(1e-6);
    println!("p99 of an honest session: {quiet:?} before, {meanwhile:?} meanwhile, {ratio:.1} times");
    let room = Duration::from_millis(if cfg!(debug_assertions) { 2_000 } else { 250 });
    assert!(meanwhile < quiet * 4 + room, "{quiet:?} became {meanwhile:?}");
}

/// What must hold after every case: no panic was counted, and who comes now is served.
pub(crate) fn is_unharmed(server: &Server) {
    assert_eq!(server.metric("lakehold_wire_panics_total"), 0.0, "a panic");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let admin = server.connect("admin", ADMIN_PASSWORD).await.unwrap();
        assert_eq!(rows(&admin, "SELECT 1").await, [[Some("1".to_string())]]);
    });
}
