//! Bytes and sentences at random: the server answers or hangs up, and never ends, hangs, grows or reports a bug of its own.
//!
//! ```text
//! messages      tags, lengths and bodies at random, before login
//! transcripts   what real clients said, with a few things changed
//! statements    words of SQL in any order
//! ```
//! Each test runs for `LAKEHOLD_FUZZ_SECONDS` (4 by default) from `LAKEHOLD_FUZZ_SEED` (1 by default) and prints the seed of a case
//! that fails; with that seed and one second the case comes first.

mod messages;
mod mutation;
mod statements;
mod transcripts;

use std::time::{Duration, Instant};

/// How long to go on, and with which case next.
struct Budget {
    first: u64,
    next: u64,
    until: Instant,
}

impl Budget {
    fn new() -> Self {
        let first = number("LAKEHOLD_FUZZ_SEED").unwrap_or(1);
        let seconds = number("LAKEHOLD_FUZZ_SECONDS").unwrap_or(4);
        println!("from seed {first} for {seconds} s");
        Self { first, next: first, until: Instant::now() + Duration::from_secs(seconds) }
    }

    /// The next case, until time is up. The first one comes in any case.
    fn next(&mut self) -> Option<(u64, Random)> {
        if self.next > self.first && Instant::now() >= self.until {
            return None;
        }
        let seed = self.next;
        self.next += 1;
        Some((seed, Random::new(seed)))
    }

    fn done(&self) -> u64 {
        self.next - self.first
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
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

    fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        let length = self.below(most + 1);
        (0..length).map(|_| self.byte()).collect()
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap()
    }
}
