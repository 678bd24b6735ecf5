//! Messages at random, before login.

use std::io::Read;
use std::time::Duration;

use super::{Budget, Random};
use crate::hostile::is_unharmed;
use crate::hostile::peer::{Peer, lying, startup};
use crate::server::Server;

/// A message whose tag, length and body are right or wrong at random.
fn message(random: &mut Random) -> Vec<u8> {
    const TAGS: &[u8] = b"QPBDEHSXpCdcfF\0\xff";
    let body = random.bytes(60);
    let length = match random.below(6) {
        0 => i32::try_from(random.below(12)).unwrap(),
        1 => i32::MAX,
        2 => -1,
        _ => i32::try_from(body.len() + 4).unwrap(),
    };
    lying(*random.one(TAGS), length, &body)
}

#[test]
fn random_messages_end_their_own_connection_at_most() {
    let server = Server::start();
    let mut budget = Budget::new();
    while let Some((seed, mut random)) = budget.next() {
        let mut peer = Peer::open(&server);
        if random.below(4) > 0 {
            peer.send(&startup(&[("user", "admin"), ("database", "main")]));
        }
        (0..=random.below(3)).for_each(|_| peer.send(&message(&mut random)));
        peer.half_close();
        peer.stream.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
        let mut answer = Vec::new();
        let ended = peer.stream.read_to_end(&mut answer);
        let hangs = ended.is_err_and(|error| matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut));
        assert!(!hangs, "seed {seed}: the server hangs");
        assert!(!answer.windows(5).any(|part| part == b"XX000"), "seed {seed}: {}", String::from_utf8_lossy(&answer));
    }
    println!("{} connections", budget.done());
    is_unharmed(&server);
}
