//! Locks that sessions take by name: advisory locks and LOCK TABLE.
//!
//! ```text
//!  acquire ─▶ nobody holds a conflicting mode? ─ yes ─▶ held, by session or by transaction
//!                      │ no
//!                      └▶ wait ─▶ released: look again │ lock_timeout: 55P03 │ cancelled: 57014 │ a circle of waiters: 40P01
//! ```
//! Tables are read from snapshots and written by optimistic commits, so no statement takes a lock by itself: LOCK TABLE keeps out other
//! LOCK TABLEs only, which is what migration tools ask it for.
//!
//! Locks are memory that a client asks for row by row, so a session has a bounded number of them. What a session holds is found without going through
//! those of others.
//!
//! Absent: turns. Whoever looks first after a release gets the lock.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::catalog::securable::ObjectId;
use crate::error::{Error, ErrorKind, Result};

pub use crate::functions::session::LockMode;

/// Things that one session may have locked at a time. PostgreSQL's shared table has room for some 6,400 in all.
const MAXIMUM_LOCKS: usize = 10_000;

/// What is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LockTarget {
    /// A number that clients agreed on, in a catalog.
    Advisory {
        /// The catalog; numbers of two catalogs have nothing to do with each other.
        catalog: ObjectId,
        /// `pg_locks.classid`: the upper half of one number, or the first of two.
        class: u32,
        /// `pg_locks.objid`: the lower half, or the second.
        object: u32,
        /// `pg_locks.objsubid`: 1 for one number, 2 for two.
        numbers: u16,
    },
    /// A table or view.
    Relation {
        /// The catalog.
        catalog: ObjectId,
        /// The relation.
        relation: ObjectId,
    },
}

/// How long a lock is held at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockScope {
    /// Until it is released as often as it was taken, or the session ends.
    Session,
    /// Until the transaction ends.
    Transaction,
}

/// A lock that is held or waited for, for `pg_locks`.
#[derive(Debug, Clone)]
pub struct LockEntry {
    /// Process id of the session.
    pub pid: i32,
    /// What.
    pub target: LockTarget,
    /// How.
    pub mode: LockMode,
    /// Held, not waited for.
    pub granted: bool,
}

/// All locks of the server.
#[derive(Debug, Clone, Default)]
pub struct Locks {
    state: Arc<Mutex<State>>,
    released: Arc<Notify>,
}

#[derive(Debug, Default)]
struct State {
    held: BTreeMap<LockTarget, Vec<Held>>,
    /// What each session has locked.
    targets: HashMap<i32, BTreeSet<LockTarget>>,
    waiting: BTreeMap<i32, (LockTarget, LockMode)>,
}

#[derive(Debug)]
struct Held {
    pid: i32,
    mode: LockMode,
    by_session: u32,
    by_transaction: u32,
}

/// A wait that ends with its future, also if that is dropped.
struct Waiting<'a> {
    locks: &'a Locks,
    pid: i32,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.locks.state.lock().waiting.remove(&self.pid);
    }
}

impl Locks {
    /// Takes a lock if it is free.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfMemory`] if the session holds too many.
    pub fn try_acquire(&self, pid: i32, target: LockTarget, mode: LockMode, scope: LockScope) -> Result<bool> {
        self.state.lock().take(pid, target, mode, scope)
    }

    /// Takes a lock, waiting for those who hold it. Dropping the future ends the wait.
    ///
    /// # Errors
    /// [`ErrorKind::LockNotAvailable`] after `timeout`, [`ErrorKind::Deadlock`] if those who hold it wait for this session,
    /// [`ErrorKind::OutOfMemory`] if the session holds too many.
    pub async fn acquire(
        &self,
        pid: i32,
        target: LockTarget,
        mode: LockMode,
        scope: LockScope,
        timeout: Option<Duration>,
    ) -> Result<()> {
        let wait = async {
            let mut waiting = None;
            loop {
                let mut released = std::pin::pin!(self.released.notified());
                released.as_mut().enable();
                {
                    let mut state = self.state.lock();
                    if state.take(pid, target, mode, scope)? {
                        return Ok(());
                    }
                    state.waiting.insert(pid, (target, mode));
                    // Made once: the end of one takes the lock that is held here.
                    waiting.get_or_insert_with(|| Waiting { locks: self, pid });
                    if state.is_deadlocked(pid) {
                        return Err(Error::new(ErrorKind::Deadlock, "deadlock detected")
                            .with_hint("Take the locks in the same order everywhere."));
                    }
                }
                released.await;
            }
        };
        match timeout {
            None => wait.await,
            Some(timeout) => tokio::time::timeout(timeout, wait)
                .await
                .unwrap_or_else(|_| Err(Error::new(ErrorKind::LockNotAvailable, "canceling statement due to lock timeout"))),
        }
    }

    /// Gives back one taking by the session. False if it holds none.
    pub fn release(&self, pid: i32, target: LockTarget, mode: LockMode) -> bool {
        let released = self.state.lock().give_back(pid, target, mode);
        if released {
            self.released.notify_waiters();
        }
        released
    }

    /// Gives back all advisory locks that the session holds beyond its transaction.
    pub fn release_session(&self, pid: i32) {
        self.drop_of(pid, |target, held| {
            if matches!(target, LockTarget::Advisory { .. }) {
                held.by_session = 0;
            }
        });
    }

    /// Gives back what was taken for the transaction.
    pub fn release_transaction(&self, pid: i32) {
        self.drop_of(pid, |_, held| held.by_transaction = 0);
    }

    /// Gives back everything.
    pub fn release_all(&self, pid: i32) {
        self.drop_of(pid, |_, held| (held.by_session, held.by_transaction) = (0, 0));
    }

    fn drop_of(&self, pid: i32, change: impl Fn(&LockTarget, &mut Held)) {
        let mut state = self.state.lock();
        let Some(targets) = state.targets.remove(&pid) else { return };
        for target in targets {
            let holders = state.held.entry(target).or_default();
            holders.iter_mut().filter(|held| held.pid == pid).for_each(|held| change(&target, held));
            state.settle(pid, target);
        }
        drop(state);
        self.released.notify_waiters();
    }

    /// Everything that is held or waited for.
    pub fn list(&self) -> Vec<LockEntry> {
        let state = self.state.lock();
        let held = state.held.iter().flat_map(|(target, holders)| {
            holders.iter().map(|held| LockEntry { pid: held.pid, target: *target, mode: held.mode, granted: true })
        });
        let waiting =
            state.waiting.iter().map(|(pid, (target, mode))| LockEntry { pid: *pid, target: *target, mode: *mode, granted: false });
        held.chain(waiting).collect()
    }
}

impl Held {
    fn is_held(&self) -> bool {
        self.by_session > 0 || self.by_transaction > 0
    }
}

impl State {
    fn blockers(&self, pid: i32, target: LockTarget, mode: LockMode) -> impl Iterator<Item = i32> {
        let holders = self.held.get(&target).into_iter().flatten();
        holders.filter(move |held| held.pid != pid && held.mode.conflicts_with(mode)).map(|held| held.pid)
    }

    fn take(&mut self, pid: i32, target: LockTarget, mode: LockMode, scope: LockScope) -> Result<bool> {
        if self.blockers(pid, target, mode).next().is_some() {
            return Ok(false);
        }
        let targets = self.targets.entry(pid).or_default();
        if targets.len() >= MAXIMUM_LOCKS && !targets.contains(&target) {
            return Err(Error::new(ErrorKind::OutOfMemory, "out of shared memory")
                .with_detail(format!("The session holds {MAXIMUM_LOCKS} locks."))
                .with_hint("Release the locks that are no longer needed."));
        }
        targets.insert(target);
        let holders = self.held.entry(target).or_default();
        let index = holders.iter().position(|held| held.pid == pid && held.mode == mode).unwrap_or_else(|| {
            holders.push(Held { pid, mode, by_session: 0, by_transaction: 0 });
            holders.len() - 1
        });
        let held = &mut holders[index];
        match scope {
            LockScope::Session => held.by_session = held.by_session.saturating_add(1),
            LockScope::Transaction => held.by_transaction = held.by_transaction.saturating_add(1),
        }
        Ok(true)
    }

    /// Forgets what is held no longer, and keeps in mind what `pid` still holds of `target`.
    fn settle(&mut self, pid: i32, target: LockTarget) {
        let Some(holders) = self.held.get_mut(&target) else { return };
        holders.retain(Held::is_held);
        let still_held = holders.iter().any(|held| held.pid == pid);
        if holders.is_empty() {
            self.held.remove(&target);
        }
        if still_held {
            self.targets.entry(pid).or_default().insert(target);
        } else if let Some(targets) = self.targets.get_mut(&pid) {
            targets.remove(&target);
            if targets.is_empty() {
                self.targets.remove(&pid);
            }
        }
    }

    fn give_back(&mut self, pid: i32, target: LockTarget, mode: LockMode) -> bool {
        let Some(holders) = self.held.get_mut(&target) else { return false };
        let own = holders.iter_mut().find(|held| held.pid == pid && held.mode == mode && held.by_session > 0);
        let Some(held) = own else { return false };
        held.by_session -= 1;
        self.settle(pid, target);
        true
    }

    /// Whether somebody whom `pid` waits for waits for `pid`.
    fn is_deadlocked(&self, pid: i32) -> bool {
        let mut seen = BTreeSet::new();
        let mut open = vec![pid];
        while let Some(waiter) = open.pop() {
            let Some((target, mode)) = self.waiting.get(&waiter) else { continue };
            for blocker in self.blockers(waiter, *target, *mode) {
                if blocker == pid {
                    return true;
                }
                if seen.insert(blocker) {
                    open.push(blocker);
                }
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(object: u32) -> LockTarget {
        LockTarget::Advisory { catalog: ObjectId(1), class: 0, object, numbers: 1 }
    }

    const EXCLUSIVE: LockMode = LockMode::Exclusive;
    const SHARED: LockMode = LockMode::Share;

    #[test]
    fn modes_conflict_as_they_do_in_postgresql() {
        use LockMode::*;
        let conflicts: Vec<String> = LockMode::ALL
            .iter()
            .map(|one| LockMode::ALL.iter().map(|other| if one.conflicts_with(*other) { 'x' } else { '.' }).collect())
            .collect();
        let expected = [".......x", "......xx", "....xxxx", "...xxxxx", "..xx.xxx", "..xxxxxx", ".xxxxxxx", "xxxxxxxx"];
        assert_eq!(conflicts, expected);
        assert_eq!((AccessShare.name(), ShareUpdateExclusive.name()), ("AccessShareLock", "ShareUpdateExclusiveLock"));
    }

    #[test]
    fn a_lock_is_given_back_as_often_as_it_was_taken() {
        let locks = Locks::default();
        let take = |pid, mode, scope| locks.try_acquire(pid, key(7), mode, scope).unwrap();
        assert!(take(1, EXCLUSIVE, LockScope::Session));
        assert!(take(1, EXCLUSIVE, LockScope::Session));
        assert!(!take(2, SHARED, LockScope::Session));
        assert!(locks.release(1, key(7), EXCLUSIVE));
        assert!(!take(2, SHARED, LockScope::Session));
        assert!(locks.release(1, key(7), EXCLUSIVE));
        assert!(!locks.release(1, key(7), EXCLUSIVE));
        assert!(take(2, SHARED, LockScope::Transaction));
        assert!(take(3, SHARED, LockScope::Session));
        assert!(!locks.release(2, key(7), SHARED), "a transaction's lock is not given back by hand");
        locks.release_transaction(2);
        locks.release_session(3);
        assert!(locks.list().is_empty() && locks.state.lock().targets.is_empty());
    }

    #[test]
    fn a_session_holds_a_bounded_number_of_locks_and_takes_none_from_others() {
        let locks = Locks::default();
        for object in 0..MAXIMUM_LOCKS as u32 {
            assert!(locks.try_acquire(1, key(object), EXCLUSIVE, LockScope::Session).unwrap());
        }
        let refused = locks.try_acquire(1, key(1 << 20), EXCLUSIVE, LockScope::Transaction).unwrap_err();
        assert_eq!((refused.kind().sqlstate(), refused.message()), ("53200", "out of shared memory"));
        assert!(locks.try_acquire(1, key(5), EXCLUSIVE, LockScope::Transaction).unwrap(), "it has that one");
        assert!(locks.try_acquire(2, key(1 << 20), EXCLUSIVE, LockScope::Session).unwrap());
        assert!(locks.release(1, key(6), EXCLUSIVE));
        assert!(locks.try_acquire(1, key(1 << 21), EXCLUSIVE, LockScope::Session).unwrap());
        locks.release_session(1);
        assert_eq!(locks.list().iter().filter(|entry| entry.pid == 1).count(), 1, "that of the transaction");
        locks.release_all(1);
        locks.release_all(2);
        assert!(locks.list().is_empty() && locks.state.lock().targets.is_empty());
    }

    #[tokio::test]
    async fn waiting_ends_by_release_by_time_and_by_a_circle() {
        let locks = Locks::default();
        locks.try_acquire(1, key(1), EXCLUSIVE, LockScope::Transaction).unwrap();
        let soon = Some(Duration::from_millis(20));
        let late = locks.acquire(2, key(1), EXCLUSIVE, LockScope::Session, soon).await.unwrap_err();
        assert_eq!(late.kind(), ErrorKind::LockNotAvailable);
        assert_eq!(locks.list().len(), 1, "nobody waits any more");

        locks.try_acquire(2, key(2), EXCLUSIVE, LockScope::Transaction).unwrap();
        let waiter = locks.acquire(2, key(1), EXCLUSIVE, LockScope::Transaction, None);
        let closing = async {
            while locks.list().iter().all(|entry| entry.granted) {
                tokio::task::yield_now().await;
            }
            let circle = locks.acquire(1, key(2), SHARED, LockScope::Transaction, None).await.unwrap_err();
            assert_eq!(circle.kind(), ErrorKind::Deadlock);
            locks.release_all(1);
        };
        let (waited, ()) = tokio::join!(waiter, closing);
        waited.unwrap();
        assert!(locks.list().iter().all(|entry| entry.pid == 2 && entry.granted));
    }
}
