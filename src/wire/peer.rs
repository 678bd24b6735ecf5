//! Who is at the other end of a connection: an address of the network, or a user of this machine.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tokio::net::UnixStream;

/// The other end of a connection.
#[derive(Debug, Clone)]
pub(super) enum Peer {
    /// Over the network.
    Network(SocketAddr),
    /// Over the Unix socket: the user's number, as the kernel tells it.
    Local(u32),
}

impl Peer {
    /// The other end of a Unix socket.
    pub(super) fn of(socket: &UnixStream) -> std::io::Result<Self> {
        socket.peer_cred().map(|credentials| Peer::Local(credentials.uid()))
    }

    /// Its address; `None` over the Unix socket.
    pub(super) fn address(&self) -> Option<IpAddr> {
        match self {
            Peer::Network(address) => Some(address.ip().to_canonical()),
            Peer::Local(_) => None,
        }
    }

    /// What counts of tries and connections go by. All local users share one count: they are people of this machine.
    pub(super) fn key(&self) -> IpAddr {
        self.address().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
    }

    /// Whether what is sent stays on this machine.
    pub(super) fn is_here(&self) -> bool {
        self.address().is_none_or(|address| address.is_loopback())
    }

    /// Whom messages are about: `host "10.0.0.1"`, `host "[local]"`.
    pub(super) fn host(&self) -> String {
        self.address().map_or_else(|| "[local]".to_string(), |address| address.to_string())
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Network(address) => address.fmt(f),
            Peer::Local(user) => write!(f, "[local] user {user}"),
        }
    }
}

/// Names of a user of this machine: its number, and what `/etc/passwd` calls it. Other directories of users are not asked.
pub(super) async fn system_names(user: u32) -> Vec<String> {
    let number = user.to_string();
    let passwd = tokio::fs::read_to_string("/etc/passwd").await.unwrap_or_default();
    let name = name_in(&passwd, &number);
    name.into_iter().chain([number]).collect()
}

fn name_in(passwd: &str, number: &str) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        (fields.nth(1) == Some(number)).then(|| name.to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_by_number() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\n:x:7:7::/:\nada:x:1000:1000::/home/ada:\nbroken\n";
        assert_eq!(name_in(passwd, "1000").as_deref(), Some("ada"));
        assert_eq!(name_in(passwd, "0").as_deref(), Some("root"));
        assert_eq!(name_in(passwd, "7"), None);
        assert_eq!(name_in(passwd, "1"), None);
    }

    #[test]
    fn mapped_addresses_count_as_what_they_are() {
        let peer = Peer::Network("[::ffff:10.0.0.1]:5".parse().unwrap());
        assert_eq!((peer.host().as_str(), peer.is_here()), ("10.0.0.1", false));
        assert_eq!((Peer::Local(0).host().as_str(), Peer::Local(0).is_here()), ("[local]", true));
    }
}
