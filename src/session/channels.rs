//! LISTEN and NOTIFY within this server.
//!
//! ```text
//!  NOTIFY ─▶ pending ── COMMIT ──▶ every session that listens on the channel of this catalog ─▶ its queue ─▶ NotificationResponse
//!  LISTEN ─▶ pending ── COMMIT ──▶ the session's registration            ROLLBACK forgets both
//! ```
//! A queue is bounded in bytes, and so is what a transaction is about to say: a client that does not read, or speaks too much at once, makes NOTIFY
//! fail, not the server's memory grow.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::catalog::securable::ObjectId;
use crate::error::{Error, ErrorKind, Result};

/// Bytes that one session may leave unread.
const MAXIMUM_UNREAD: usize = 8 << 20;

/// Bytes that a transaction may have pending.
const MAXIMUM_PENDING: usize = 8 << 20;

/// Channels that one session may listen on.
const MAXIMUM_CHANNELS: usize = 1_000;

/// Bytes of a payload, and of a channel's name, must be fewer.
const MAXIMUM_PAYLOAD: usize = 8_000;
const MAXIMUM_NAME: usize = 64;

/// What a listener reads.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Notification {
    /// Process id of who notified.
    pub pid: i32,
    /// Channel.
    pub channel: String,
    /// Payload, maybe empty.
    pub payload: String,
}

impl Notification {
    fn size(&self) -> usize {
        self.channel.len() + self.payload.len() + size_of::<Self>()
    }
}

/// All sessions that listen.
#[derive(Debug, Clone, Default)]
pub struct Channels {
    listeners: Arc<Mutex<BTreeMap<(ObjectId, String), BTreeMap<i32, Arc<Queue>>>>>,
}

/// What one session has not read yet.
#[derive(Debug, Default)]
pub struct Queue {
    unread: Mutex<Unread>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct Unread {
    notifications: Vec<Notification>,
    bytes: usize,
}

impl Queue {
    /// Everything that has arrived.
    pub fn take(&self) -> Vec<Notification> {
        std::mem::take(&mut *self.unread.lock()).notifications
    }

    /// Waits until something is there.
    pub async fn arrived(&self) {
        loop {
            let mut arrived = std::pin::pin!(self.arrived.notified());
            arrived.as_mut().enable();
            if !self.unread.lock().notifications.is_empty() {
                return;
            }
            arrived.await;
        }
    }

    fn has_room(&self, more: usize) -> bool {
        self.unread.lock().bytes + more <= MAXIMUM_UNREAD
    }

    fn push(&self, notification: Notification) {
        let mut unread = self.unread.lock();
        unread.bytes += notification.size();
        unread.notifications.push(notification);
        drop(unread);
        self.arrived.notify_one();
    }
}

/// Checks a channel's name and payload.
///
/// # Errors
/// PostgreSQL's, with 22023.
pub fn check(channel: &str, payload: &str) -> Result<()> {
    let message = if channel.is_empty() {
        "channel name cannot be empty"
    } else if channel.len() >= MAXIMUM_NAME {
        "channel name too long"
    } else if payload.len() >= MAXIMUM_PAYLOAD {
        "payload string too long"
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::InvalidParameter, message))
}

/// What one session listens to, and what its transaction is about to change and to say.
#[derive(Debug)]
pub struct Mailbox {
    channels: Channels,
    pid: i32,
    queue: Arc<Queue>,
    listening: BTreeSet<(ObjectId, String)>,
    pending: Vec<Action>,
    pending_bytes: usize,
    /// The notifications among what is pending.
    said: HashSet<Arc<(ObjectId, Notification)>>,
}

#[derive(Debug)]
enum Action {
    Listen(ObjectId, String),
    Unlisten(ObjectId, String),
    UnlistenAll,
    Notify(Arc<(ObjectId, Notification)>),
}

impl Action {
    fn size(&self) -> usize {
        let own = size_of::<Self>();
        match self {
            Action::Listen(_, channel) | Action::Unlisten(_, channel) => own + channel.len(),
            Action::UnlistenAll => own,
            Action::Notify(said) => own + said.1.size(),
        }
    }
}

impl Mailbox {
    /// A session that listens to nothing.
    pub fn new(channels: Channels, pid: i32) -> Self {
        Self {
            channels,
            pid,
            queue: Arc::default(),
            listening: BTreeSet::new(),
            pending: Vec::new(),
            pending_bytes: 0,
            said: HashSet::new(),
        }
    }

    /// LISTEN, from the next commit on.
    ///
    /// # Errors
    /// [`ErrorKind::LimitExceeded`] for too many channels, [`ErrorKind::ProgramLimit`] if too much is pending.
    pub fn listen(&mut self, catalog: ObjectId, channel: &str) -> Result<()> {
        let key = (catalog, channel.to_string());
        let coming = self.pending.iter().filter(|action| matches!(action, Action::Listen(..))).count();
        if self.listening.len() + coming >= MAXIMUM_CHANNELS && !self.listening.contains(&key) {
            return Err(Error::new(ErrorKind::LimitExceeded, "the session listens on too many channels")
                .with_detail(format!("At most {MAXIMUM_CHANNELS} are possible."))
                .with_hint("UNLISTEN those that are no longer needed."));
        }
        self.intend(Action::Listen(catalog, key.1))
    }

    /// UNLISTEN, from the next commit on; `None` for all channels.
    ///
    /// # Errors
    /// [`ErrorKind::ProgramLimit`] if too much is pending.
    pub fn unlisten(&mut self, catalog: ObjectId, channel: Option<&str>) -> Result<()> {
        self.intend(match channel {
            Some(channel) => Action::Unlisten(catalog, channel.to_string()),
            None => Action::UnlistenAll,
        })
    }

    fn intend(&mut self, action: Action) -> Result<()> {
        let bytes = self.pending_bytes + action.size();
        if bytes > MAXIMUM_PENDING {
            return Err(Error::new(ErrorKind::ProgramLimit, "too many notifications in the NOTIFY queue")
                .with_detail("The transaction is about to say too much at once.")
                .with_hint("Commit more often."));
        }
        self.pending_bytes = bytes;
        self.pending.push(action);
        Ok(())
    }

    /// NOTIFY, at the next commit. What is said twice in one transaction is heard once.
    ///
    /// # Errors
    /// As [`check`]; [`ErrorKind::ProgramLimit`] if too much is pending.
    pub fn notify(&mut self, catalog: ObjectId, channel: &str, payload: &str) -> Result<()> {
        check(channel, payload)?;
        let notification = Notification { pid: self.pid, channel: channel.to_string(), payload: payload.to_string() };
        let said = Arc::new((catalog, notification));
        if !self.said.contains(&said) {
            self.intend(Action::Notify(Arc::clone(&said)))?;
            self.said.insert(said);
        }
        Ok(())
    }

    /// Number of pending actions: what [`Mailbox::rollback_to`] goes back to.
    pub fn steps(&self) -> usize {
        self.pending.len()
    }

    /// Forgets all pending actions but the first.
    pub fn rollback_to(&mut self, steps: usize) {
        for action in self.pending.drain(steps.min(self.pending.len())..) {
            self.pending_bytes -= action.size();
            if let Action::Notify(said) = action {
                self.said.remove(&said);
            }
        }
    }

    /// Whether everybody who listens has room for what is pending.
    ///
    /// # Errors
    /// [`ErrorKind::ProgramLimit`] if somebody does not read.
    pub fn check_room(&self) -> Result<()> {
        let listeners = self.channels.listeners.lock();
        let mut more: BTreeMap<i32, (usize, &Arc<Queue>)> = BTreeMap::new();
        for action in &self.pending {
            let Action::Notify(said) = action else { continue };
            let (catalog, notification) = said.as_ref();
            for (pid, queue) in listeners.get(&(*catalog, notification.channel.clone())).into_iter().flatten() {
                more.entry(*pid).or_insert((0, queue)).0 += notification.size();
            }
        }
        if more.values().all(|(more, queue)| queue.has_room(*more)) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::ProgramLimit, "too many notifications in the NOTIFY queue")
            .with_detail("A session that listens does not read what it is sent."))
    }

    /// Does what is pending.
    pub fn commit(&mut self) {
        self.pending_bytes = 0;
        self.said.clear();
        for action in std::mem::take(&mut self.pending) {
            match action {
                Action::Listen(catalog, channel) => {
                    self.register(catalog, &channel);
                    self.listening.insert((catalog, channel));
                }
                Action::Unlisten(catalog, channel) => self.deregister(&(catalog, channel)),
                Action::UnlistenAll => self.clear(),
                Action::Notify(said) => {
                    let (catalog, notification) = said.as_ref();
                    let listeners = self.channels.listeners.lock();
                    for queue in listeners.get(&(*catalog, notification.channel.clone())).into_iter().flat_map(BTreeMap::values) {
                        queue.push(notification.clone());
                    }
                }
            }
        }
    }

    /// Channels that the session listens on, in `catalog`.
    pub fn listening(&self, catalog: ObjectId) -> Vec<String> {
        self.listening.iter().filter(|(of, _)| *of == catalog).map(|(_, channel)| channel.clone()).collect()
    }

    /// Where notifications arrive.
    pub fn queue(&self) -> &Arc<Queue> {
        &self.queue
    }

    /// Stops listening, at once.
    pub fn clear(&mut self) {
        for key in std::mem::take(&mut self.listening) {
            self.deregister(&key);
        }
    }

    fn register(&self, catalog: ObjectId, channel: &str) {
        let mut listeners = self.channels.listeners.lock();
        listeners.entry((catalog, channel.to_string())).or_default().insert(self.pid, Arc::clone(&self.queue));
    }

    fn deregister(&mut self, key: &(ObjectId, String)) {
        self.listening.remove(key);
        let mut listeners = self.channels.listeners.lock();
        if let Some(sessions) = listeners.get_mut(key) {
            sessions.remove(&self.pid);
            if sessions.is_empty() {
                listeners.remove(key);
            }
        }
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIN: ObjectId = ObjectId(1);
    const OTHER: ObjectId = ObjectId(2);

    #[test]
    fn what_is_committed_reaches_the_listeners_of_the_catalog_only() {
        let channels = Channels::default();
        let mut sender = Mailbox::new(channels.clone(), 1);
        let mut listener = Mailbox::new(channels.clone(), 2);
        let mut elsewhere = Mailbox::new(channels.clone(), 3);
        listener.listen(MAIN, "jobs").unwrap();
        elsewhere.listen(OTHER, "jobs").unwrap();
        sender.notify(MAIN, "jobs", "early").unwrap();
        sender.commit();
        listener.commit();
        elsewhere.commit();
        assert_eq!(listener.listening(MAIN), ["jobs"]);
        for payload in ["a", "a", "b"] {
            sender.notify(MAIN, "jobs", payload).unwrap();
        }
        let steps = sender.steps();
        sender.notify(MAIN, "jobs", "undone").unwrap();
        sender.rollback_to(steps);
        assert!(listener.queue().take().is_empty());
        sender.check_room().unwrap();
        sender.commit();
        let heard: Vec<String> =
            listener.queue().take().into_iter().map(|heard| format!("{}:{}", heard.pid, heard.payload)).collect();
        assert_eq!(heard, ["1:a", "1:b"]);
        assert!(elsewhere.queue().take().is_empty());
        listener.unlisten(MAIN, None).unwrap();
        listener.commit();
        drop(elsewhere);
        assert!(channels.listeners.lock().is_empty());
    }

    #[test]
    fn names_payloads_and_unread_queues_are_bounded() {
        assert!(check("", "").is_err() && check(&"x".repeat(64), "").is_err() && check("c", &"x".repeat(8_000)).is_err());
        check(&"x".repeat(63), &"x".repeat(7_999)).unwrap();
        let channels = Channels::default();
        let mut listener = Mailbox::new(channels.clone(), 1);
        listener.listen(MAIN, "c").unwrap();
        listener.commit();
        let mut sender = Mailbox::new(channels, 2);
        let payload = |number: usize| format!("{number}{}", "x".repeat(7_900));
        for numbers in [0..600, 600..1_200] {
            numbers.for_each(|number| sender.notify(MAIN, "c", &payload(number)).unwrap());
            if sender.check_room().is_ok() {
                sender.commit();
            }
        }
        assert_eq!(sender.check_room().unwrap_err().kind(), ErrorKind::ProgramLimit);
        assert_eq!(listener.queue().take().len(), 600);
        sender.check_room().unwrap();
    }

    #[test]
    fn what_a_transaction_is_about_to_say_is_bounded_and_what_is_undone_can_be_said_again() {
        let mut sender = Mailbox::new(Channels::default(), 1);
        // Quadratic work would not end.
        let said = (0..).take_while(|number| sender.notify(MAIN, "c", &number.to_string()).is_ok()).count();
        assert!(said > 50_000, "{said}");
        sender.notify(MAIN, "c", "1").unwrap();
        assert_eq!(sender.steps(), said);
        sender.rollback_to(1);
        sender.notify(MAIN, "c", "1").unwrap();
        assert_eq!((sender.steps(), sender.said.len()), (2, 2));
        sender.rollback_to(0);
        assert_eq!((sender.pending_bytes, sender.said.len()), (0, 0));
        let listened = (0..).take_while(|number| sender.listen(MAIN, &format!("c{number}")).is_ok()).count();
        assert_eq!(listened, MAXIMUM_CHANNELS);
    }
}
