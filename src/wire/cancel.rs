//! Which connection a CancelRequest means.
//!
//! Process numbers are random, keys come from the operating system's random numbers and are compared in constant time, and each
//! address may try a few times a second only. A request never learns whether it hit.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use subtle::ConstantTimeEq;
use tokio_util::sync::CancellationToken;

use crate::auth::random_bytes;
use crate::error::Result;

/// Bytes of a key in protocol 3.0 and 3.1.
const SHORT_KEY: usize = 4;
/// Bytes of a key since protocol 3.2.
const LONG_KEY: usize = 32;
/// Addresses whose tries are counted at a time.
const MAXIMUM_ADDRESSES: usize = 4_096;

/// The connections that can be cancelled.
#[derive(Debug)]
pub(super) struct CancelRegistry {
    entries: Mutex<HashMap<i32, Entry>>,
    tries: Mutex<HashMap<IpAddr, (Instant, u32)>>,
    tries_per_second: u32,
}

#[derive(Debug)]
struct Entry {
    key: Vec<u8>,
    running: Running,
}

/// What a connection runs now.
type Running = Arc<Mutex<Work>>;

/// Statements from one ReadyForQuery to the next.
#[derive(Debug, Default)]
struct Work {
    /// Of the statement that runs, or ran last.
    token: Option<CancellationToken>,
    /// A request came, perhaps too late for its statement or between two.
    is_cancelled: bool,
}

impl CancelRegistry {
    pub(super) fn new(tries_per_second: u32) -> Arc<Self> {
        Arc::new(Self { entries: Mutex::default(), tries: Mutex::default(), tries_per_second })
    }

    /// A number and a key for a new connection; both are forgotten when the registration is dropped.
    pub(super) fn register(self: &Arc<Self>, long_key: bool) -> Result<Registration> {
        let mut key = random_bytes::<LONG_KEY>()?.to_vec();
        key.truncate(if long_key { LONG_KEY } else { SHORT_KEY });
        let running = Running::default();
        loop {
            let pid = i32::from_be_bytes(random_bytes()?) & i32::MAX;
            let mut entries = self.entries.lock();
            if pid != 0 && !entries.contains_key(&pid) {
                entries.insert(pid, Entry { key: key.clone(), running: Arc::clone(&running) });
                return Ok(Registration { registry: Arc::clone(self), pid, key, running });
            }
        }
    }

    /// Stops what connection `pid` runs, if `key` is its key and `address` has not tried too often.
    pub(super) fn cancel(&self, pid: i32, key: &[u8], address: IpAddr) {
        if !self.may_try(address, Instant::now()) {
            return;
        }
        let running = {
            let entries = self.entries.lock();
            let Some(entry) = entries.get(&pid) else { return };
            if !bool::from(entry.key.as_slice().ct_eq(key)) {
                return;
            }
            Arc::clone(&entry.running)
        };
        let mut work = running.lock();
        if let Some(token) = &work.token {
            token.cancel();
            work.is_cancelled = true;
        }
    }

    fn may_try(&self, address: IpAddr, now: Instant) -> bool {
        let mut tries = self.tries.lock();
        if tries.len() >= MAXIMUM_ADDRESSES {
            tries.retain(|_, (since, _)| now.saturating_duration_since(*since) < Duration::from_secs(1));
            if tries.len() >= MAXIMUM_ADDRESSES {
                return false;
            }
        }
        let (since, count) = tries.entry(address).or_insert((now, 0));
        if now.saturating_duration_since(*since) >= Duration::from_secs(1) {
            (*since, *count) = (now, 0);
        }
        *count += 1;
        *count <= self.tries_per_second
    }
}

/// A connection's place in the registry.
#[derive(Debug)]
pub(super) struct Registration {
    registry: Arc<CancelRegistry>,
    pid: i32,
    key: Vec<u8>,
    running: Running,
}

impl Registration {
    pub(super) fn pid(&self) -> i32 {
        self.pid
    }

    pub(super) fn key(&self) -> &[u8] {
        &self.key
    }

    /// From now on a request cancels `token`. One that came too late for the statement before stops this one, as in PostgreSQL.
    pub(super) fn running(&self, token: CancellationToken) {
        let mut work = self.running.lock();
        if work.is_cancelled {
            token.cancel();
        }
        work.token = Some(token);
    }

    /// From now on a request does nothing.
    pub(super) fn idle(&self) {
        *self.running.lock() = Work::default();
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.registry.entries.lock().remove(&self.pid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn only_the_right_key_cancels_and_only_what_runs() {
        let registry = CancelRegistry::new(1_000);
        let registration = registry.register(true).unwrap();
        assert_eq!(registration.key().len(), 32);
        let token = CancellationToken::new();
        registry.cancel(registration.pid(), registration.key(), HERE);
        registration.running(token.clone());
        registry.cancel(registration.pid(), &[0; 32], HERE);
        registry.cancel(registration.pid(), &registration.key()[..4], HERE);
        assert!(!token.is_cancelled());
        registry.cancel(registration.pid(), registration.key(), HERE);
        assert!(token.is_cancelled());
        drop(registration);
        assert!(registry.entries.lock().is_empty());
    }

    #[test]
    fn a_request_between_two_statements_stops_the_second_and_none_after_that() {
        let registry = CancelRegistry::new(1_000);
        let registration = registry.register(false).unwrap();
        let [parse, execute, later] = [(); 3].map(|()| CancellationToken::new());
        registration.running(parse);
        registry.cancel(registration.pid(), registration.key(), HERE);
        registration.running(execute.clone());
        assert!(execute.is_cancelled());
        registration.idle();
        registry.cancel(registration.pid(), registration.key(), HERE);
        registration.running(later.clone());
        assert!(!later.is_cancelled());
    }

    #[test]
    fn guesses_are_few() {
        let registry = CancelRegistry::new(5);
        let now = Instant::now();
        assert_eq!((0..100).filter(|_| registry.may_try(HERE, now)).count(), 5);
        assert!(registry.may_try(HERE, now + Duration::from_secs(1)));
    }

    #[test]
    fn numbers_do_not_follow_each_other() {
        let registry = CancelRegistry::new(5);
        let registrations: Vec<_> = (0..8).map(|_| registry.register(false).unwrap()).collect();
        assert!(registrations.iter().all(|registration| registration.pid() > 0 && registration.key().len() == 4));
        assert!(!registrations.windows(2).all(|pair| pair[1].pid() == pair[0].pid() + 1));
    }
}
