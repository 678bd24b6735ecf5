//! How many may come in: connections before login by address, sessions by user and over all.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use metrics::gauge;
use parking_lot::Mutex;

use super::options::WireOptions;
use crate::catalog::securable::{ObjectId, Principal};
use crate::error::{Error, ErrorKind, Result};

/// Counts connections. Places are given back when they are dropped.
#[derive(Debug)]
pub(super) struct Limits {
    max_connections: usize,
    reserved_connections: usize,
    connections_per_user: usize,
    unauthenticated_connections: usize,
    unauthenticated_per_address: usize,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    unauthenticated: usize,
    by_address: HashMap<IpAddr, usize>,
    sessions: usize,
    by_user: HashMap<ObjectId, usize>,
}

impl Limits {
    pub(super) fn new(options: &WireOptions) -> Arc<Self> {
        Arc::new(Self {
            max_connections: options.max_connections,
            reserved_connections: options.reserved_connections,
            connections_per_user: options.connections_per_user,
            unauthenticated_connections: options.unauthenticated_connections,
            unauthenticated_per_address: options.unauthenticated_per_address,
            counts: Mutex::default(),
        })
    }

    /// A place for a connection that has not logged in.
    pub(super) fn admit(self: &Arc<Self>, address: IpAddr) -> Result<Visitor> {
        let mut counts = self.counts.lock();
        let from_there = counts.by_address.get(&address).copied().unwrap_or(0);
        if counts.unauthenticated >= self.unauthenticated_connections || from_there >= self.unauthenticated_per_address {
            return Err(Error::new(ErrorKind::TooManyConnections, "too many connections are waiting to log in"));
        }
        counts.unauthenticated += 1;
        counts.by_address.insert(address, from_there + 1);
        Ok(Visitor { limits: Arc::clone(self), address })
    }

    /// A place for a session.
    pub(super) fn admit_session(self: &Arc<Self>, principal: &Principal, is_admin: bool) -> Result<Resident> {
        let mut counts = self.counts.lock();
        let too_many = |message: String| Err(Error::new(ErrorKind::TooManyConnections, message));
        if counts.sessions >= self.max_connections {
            return too_many("sorry, too many clients already".into());
        }
        if counts.sessions + self.reserved_connections >= self.max_connections && !is_admin {
            return too_many("remaining connection slots are reserved for roles with the SUPERUSER attribute".into());
        }
        let of_user = counts.by_user.get(&principal.id).copied().unwrap_or(0);
        let limit =
            principal.connection_limit.map_or(self.connections_per_user, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        // As in PostgreSQL, the limit of a role is none for administrators.
        if of_user >= limit && !is_admin {
            return too_many(format!("too many connections for role \"{}\"", principal.name));
        }
        counts.sessions += 1;
        counts.by_user.insert(principal.id, of_user + 1);
        gauge!("lakehold_wire_sessions").increment(1.0);
        Ok(Resident { limits: Arc::clone(self), user: principal.id })
    }
}

/// The place of a connection that has not logged in.
#[derive(Debug)]
pub(super) struct Visitor {
    limits: Arc<Limits>,
    address: IpAddr,
}

impl Drop for Visitor {
    fn drop(&mut self) {
        let mut counts = self.limits.counts.lock();
        counts.unauthenticated -= 1;
        give_back(&mut counts.by_address, &self.address);
    }
}

/// The place of a session.
#[derive(Debug)]
pub(super) struct Resident {
    limits: Arc<Limits>,
    user: ObjectId,
}

impl Drop for Resident {
    fn drop(&mut self) {
        let mut counts = self.limits.counts.lock();
        counts.sessions -= 1;
        give_back(&mut counts.by_user, &self.user);
        gauge!("lakehold_wire_sessions").decrement(1.0);
    }
}

fn give_back<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn principal(id: u32, is_admin: bool, connection_limit: Option<u32>) -> Principal {
        Principal {
            id: ObjectId(id),
            name: format!("u{id}"),
            can_login: true,
            is_admin,
            verifier: None,
            connection_limit,
            comment: None,
            valid_until: None,
        }
    }

    #[test]
    fn visitors_are_counted_by_address_and_over_all() {
        let limits =
            Limits::new(&WireOptions { unauthenticated_connections: 3, unauthenticated_per_address: 2, ..WireOptions::default() });
        let address = |last: u8| IpAddr::from([10, 0, 0, last]);
        let first = limits.admit(address(1)).unwrap();
        let _second = limits.admit(address(1)).unwrap();
        assert!(limits.admit(address(1)).is_err());
        let _third = limits.admit(address(2)).unwrap();
        assert!(limits.admit(address(3)).is_err());
        drop(first);
        assert!(limits.admit(address(1)).is_ok());
    }

    #[test]
    fn sessions_are_counted_by_user_and_some_are_kept_for_administrators() {
        let limits = Limits::new(&WireOptions {
            max_connections: 4,
            reserved_connections: 1,
            connections_per_user: 2,
            ..WireOptions::default()
        });
        let (ada, bob, root) = (principal(1, false, None), principal(2, false, Some(1)), principal(3, true, None));
        let _ada = [limits.admit_session(&ada, false).unwrap(), limits.admit_session(&ada, false).unwrap()];
        assert_eq!(limits.admit_session(&ada, false).unwrap_err().message(), "too many connections for role \"u1\"");
        let bobs = limits.admit_session(&bob, false).unwrap();
        assert_eq!(
            limits.admit_session(&bob, false).unwrap_err().message(),
            "remaining connection slots are reserved for roles with the SUPERUSER attribute"
        );
        let _root = limits.admit_session(&root, true).unwrap();
        assert_eq!(limits.admit_session(&root, true).unwrap_err().message(), "sorry, too many clients already");
        drop(bobs);
        assert_eq!(limits.counts.lock().by_user.len(), 2);
    }
}
