//! How often a password may be tried.
//!
//! Tries are counted for each pair of name and address, so that nobody locks somebody else out from afar, and for each address, so
//! that one peer cannot go through many names. Failures drain slowly; while too many stand, a try fails without being looked at,
//! with the same messages and the same error. Both maps are bounded: when one is full, the entries that have drained most go first.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Failures that a pair of name and address may have standing.
const PAIR_CAPACITY: f64 = 10.0;
/// Failures that an address may have standing, over all names.
const ADDRESS_CAPACITY: f64 = 100.0;
/// Failures of a pair that drain in a second: ten a minute.
const PAIR_DRAIN: f64 = 10.0 / 60.0;
/// Failures of an address that drain in a second.
const ADDRESS_DRAIN: f64 = 100.0 / 60.0;
/// Entries that each map holds at most.
const MAXIMUM_ENTRIES: usize = 16_384;
/// Answer to the first failure; each further one doubles it up to [`MAXIMUM_DELAY`].
const FIRST_DELAY: Duration = Duration::from_millis(50);
const MAXIMUM_DELAY: Duration = Duration::from_secs(2);

/// Counts failed tries.
#[derive(Debug, Default)]
pub struct Lockout {
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    pairs: HashMap<(String, IpAddr), Bucket>,
    addresses: HashMap<IpAddr, Bucket>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    failures: f64,
    at: Instant,
}

impl Bucket {
    fn drained(self, now: Instant, per_second: f64) -> f64 {
        (self.failures - now.saturating_duration_since(self.at).as_secs_f64() * per_second).max(0.0)
    }
}

impl Lockout {
    /// Whether a password may be tried at all.
    pub fn admits(&self, name: &str, address: IpAddr) -> bool {
        self.admits_at(name, address, Instant::now())
    }

    /// Counts a failure and says how long to wait before answering it.
    pub fn failed(&self, name: &str, address: IpAddr) -> Duration {
        self.failed_at(name, address, Instant::now())
    }

    /// Forgets the failures of a pair that has proved its password.
    pub fn succeeded(&self, name: &str, address: IpAddr) {
        self.counts.lock().pairs.remove(&(name.to_string(), address));
    }

    fn admits_at(&self, name: &str, address: IpAddr, now: Instant) -> bool {
        let counts = self.counts.lock();
        let pair = counts.pairs.get(&(name.to_string(), address)).map_or(0.0, |bucket| bucket.drained(now, PAIR_DRAIN));
        let total = counts.addresses.get(&address).map_or(0.0, |bucket| bucket.drained(now, ADDRESS_DRAIN));
        pair < PAIR_CAPACITY && total < ADDRESS_CAPACITY
    }

    fn failed_at(&self, name: &str, address: IpAddr, now: Instant) -> Duration {
        let mut counts = self.counts.lock();
        count(&mut counts.addresses, address, now, ADDRESS_DRAIN, ADDRESS_CAPACITY);
        let failures = count(&mut counts.pairs, (name.to_string(), address), now, PAIR_DRAIN, PAIR_CAPACITY);
        let doublings = (failures - 1.0).clamp(0.0, 16.0);
        FIRST_DELAY.mul_f64(doublings.exp2()).min(MAXIMUM_DELAY)
    }
}

/// Adds a failure to the entry of `key` and returns how many stand there.
fn count<K: std::hash::Hash + Eq + Clone>(map: &mut HashMap<K, Bucket>, key: K, now: Instant, drain: f64, capacity: f64) -> f64 {
    if map.len() >= MAXIMUM_ENTRIES && !map.contains_key(&key) {
        make_room(map, now, drain);
    }
    let bucket = map.entry(key).or_insert(Bucket { failures: 0.0, at: now });
    // A little above the capacity: tries that are not looked at must not keep the door shut for ever.
    bucket.failures = (bucket.drained(now, drain) + 1.0).min(capacity + 1.0);
    bucket.at = now;
    bucket.failures
}

/// Removes the emptier half.
fn make_room<K: std::hash::Hash + Eq + Clone>(map: &mut HashMap<K, Bucket>, now: Instant, drain: f64) {
    let mut levels: Vec<f64> = map.values().map(|bucket| bucket.drained(now, drain)).collect();
    levels.sort_by(f64::total_cmp);
    let median = levels.get(levels.len() / 2).copied().unwrap_or(0.0);
    let mut surplus = map.len() / 2;
    map.retain(|_, bucket| {
        let goes = surplus > 0 && bucket.drained(now, drain) <= median;
        surplus -= usize::from(goes);
        !goes
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

    #[test]
    fn a_thousand_tries_in_a_minute_verify_twenty_at_most() {
        let lockout = Lockout::default();
        let start = Instant::now();
        let mut verified = 0;
        for number in 0..1000 {
            let now = start + Duration::from_millis(60 * number);
            if lockout.admits_at("ada", HERE, now) {
                verified += 1;
                lockout.failed_at("ada", HERE, now);
            }
        }
        assert!((10..=20).contains(&verified), "{verified}");
    }

    #[test]
    fn others_are_not_locked_out_and_success_forgets() {
        let lockout = Lockout::default();
        let now = Instant::now();
        for _ in 0..20 {
            lockout.failed_at("ada", HERE, now);
        }
        assert!(!lockout.admits_at("ada", HERE, now));
        assert!(lockout.admits_at("ada", THERE, now) && lockout.admits_at("bob", HERE, now));
        assert!(lockout.admits_at("ada", HERE, now + Duration::from_secs(30)));
        lockout.succeeded("ada", HERE);
        assert!(lockout.admits_at("ada", HERE, now));
    }

    #[test]
    fn one_address_cannot_go_through_many_names_and_the_maps_stay_bounded() {
        let lockout = Lockout::default();
        let now = Instant::now();
        for number in 0..MAXIMUM_ENTRIES + 100 {
            lockout.failed_at(&format!("user{number}"), HERE, now);
        }
        assert!(!lockout.admits_at("fresh", HERE, now));
        assert!(lockout.counts.lock().pairs.len() <= MAXIMUM_ENTRIES);
    }

    #[test]
    fn delays_grow_up_to_a_bound() {
        let lockout = Lockout::default();
        let now = Instant::now();
        let delays: Vec<_> = (0..8).map(|_| lockout.failed_at("ada", HERE, now)).collect();
        assert_eq!(delays[0], FIRST_DELAY);
        assert_eq!(delays[1], 2 * FIRST_DELAY);
        assert_eq!(delays[7], MAXIMUM_DELAY);
    }
}
