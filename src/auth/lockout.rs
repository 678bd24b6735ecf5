//! How often a password may be tried.
//!
//! ```text
//!                              too many failures of the pair     too many of its address
//!  pair never logged in        waits, is not looked at           waits, is looked at
//!  pair has logged in before   waits, is looked at               waits, is looked at
//! ```
//! Failures are counted for each pair of name and address, so that nobody locks somebody else out from afar, and for each address, so
//! that one peer goes through many names slowly. Many people share an address: those who fail there make the others wait for a moment, they
//! do not keep them out, and who has logged in from there is never refused. What is not looked at fails with the same messages, the same error
//! and the same wait, so that nobody learns who has logged in from where. Failures drain slowly. The maps are bounded: of failures
//! those that have drained most go first, of those who have logged in those who did so longest ago.
//!
//! Absent: a bound on guessing the password of somebody who logs in from the guesser's own address, but for the wait and the number of connections
//! that may wait (`wire`).

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
/// Wait before a try of a pair with too many failures, and of one whose address has too many.
const PAIR_WAIT: Duration = Duration::from_secs(2);
const ADDRESS_WAIT: Duration = Duration::from_secs(1);
/// Answer to the first failure; each further one doubles it up to [`MAXIMUM_DELAY`].
const FIRST_DELAY: Duration = Duration::from_millis(50);
const MAXIMUM_DELAY: Duration = Duration::from_secs(2);

/// What happens to a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// To be waited before anything is looked at or answered.
    pub wait: Duration,
    /// Whether the proof counts.
    pub looked_at: bool,
}

/// Counts failed tries.
#[derive(Debug, Default)]
pub struct Lockout {
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    pairs: HashMap<(String, IpAddr), Bucket>,
    addresses: HashMap<IpAddr, Bucket>,
    /// When each pair logged in last.
    known: HashMap<(String, IpAddr), Instant>,
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
    /// How a try is taken.
    pub fn verdict(&self, name: &str, address: IpAddr) -> Verdict {
        self.verdict_at(name, address, Instant::now())
    }

    /// Counts a failure and says how long to wait before answering it.
    pub fn failed(&self, name: &str, address: IpAddr) -> Duration {
        self.failed_at(name, address, Instant::now())
    }

    /// Forgets the failures of a pair that has proved its password, and remembers the pair.
    pub fn succeeded(&self, name: &str, address: IpAddr) {
        self.succeeded_at(name, address, Instant::now());
    }

    fn succeeded_at(&self, name: &str, address: IpAddr, now: Instant) {
        let pair = (name.to_string(), address);
        let mut counts = self.counts.lock();
        counts.pairs.remove(&pair);
        if counts.known.len() >= MAXIMUM_ENTRIES && !counts.known.contains_key(&pair) {
            forget_oldest(&mut counts.known);
        }
        counts.known.insert(pair, now);
    }

    fn verdict_at(&self, name: &str, address: IpAddr, now: Instant) -> Verdict {
        let pair = (name.to_string(), address);
        let counts = self.counts.lock();
        let of_pair = counts.pairs.get(&pair).map_or(0.0, |bucket| bucket.drained(now, PAIR_DRAIN));
        let of_address = counts.addresses.get(&address).map_or(0.0, |bucket| bucket.drained(now, ADDRESS_DRAIN));
        if of_pair >= PAIR_CAPACITY {
            return Verdict { wait: PAIR_WAIT, looked_at: counts.known.contains_key(&pair) };
        }
        let wait = if of_address >= ADDRESS_CAPACITY { ADDRESS_WAIT } else { Duration::ZERO };
        Verdict { wait, looked_at: true }
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

/// Removes the older half.
fn forget_oldest(known: &mut HashMap<(String, IpAddr), Instant>) {
    let mut times: Vec<Instant> = known.values().copied().collect();
    times.sort_unstable();
    let Some(middle) = times.get(times.len() / 2).copied() else { return };
    known.retain(|_, at| *at >= middle);
    if known.len() >= MAXIMUM_ENTRIES {
        known.clear();
    }
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
    const AT_ONCE: Verdict = Verdict { wait: Duration::ZERO, looked_at: true };
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

    #[test]
    fn a_thousand_tries_in_a_minute_verify_twenty_at_most() {
        let lockout = Lockout::default();
        let start = Instant::now();
        let mut verified = 0;
        for number in 0..1000 {
            let now = start + Duration::from_millis(60 * number);
            if lockout.verdict_at("ada", HERE, now).looked_at {
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
        let verdict = |name, address, seconds| lockout.verdict_at(name, address, now + Duration::from_secs(seconds));
        assert!(!verdict("ada", HERE, 0).looked_at);
        assert_eq!(verdict("ada", THERE, 0), AT_ONCE);
        assert_eq!(verdict("bob", HERE, 0), AT_ONCE);
        assert_eq!(verdict("ada", HERE, 30), AT_ONCE);
        lockout.succeeded_at("ada", HERE, now);
        assert_eq!(verdict("ada", HERE, 0), AT_ONCE);
    }

    #[test]
    fn who_has_logged_in_from_an_address_is_never_refused_there_and_waits_as_others_do() {
        let lockout = Lockout::default();
        let now = Instant::now();
        lockout.succeeded_at("ada", HERE, now);
        for name in ["ada", "bob"] {
            (0..30).for_each(|_| {
                lockout.failed_at(name, HERE, now);
            });
        }
        let [ada, bob] = ["ada", "bob"].map(|name| lockout.verdict_at(name, HERE, now));
        assert_eq!((ada.looked_at, bob.looked_at), (true, false));
        assert_eq!(ada.wait, bob.wait);
        for number in 0..2 * MAXIMUM_ENTRIES {
            lockout.succeeded_at(&format!("user{number}"), HERE, now + Duration::from_secs(1));
        }
        assert!(lockout.counts.lock().known.len() <= MAXIMUM_ENTRIES);
    }

    #[test]
    fn one_address_goes_through_many_names_slowly_and_the_maps_stay_bounded() {
        let lockout = Lockout::default();
        let now = Instant::now();
        for number in 0..MAXIMUM_ENTRIES + 100 {
            lockout.failed_at(&format!("user{number}"), HERE, now);
        }
        assert_eq!(lockout.verdict_at("fresh", HERE, now), Verdict { wait: ADDRESS_WAIT, looked_at: true });
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
