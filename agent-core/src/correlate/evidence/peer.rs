//! Evidence `peer`: the two ends of one connection on this node see the same request.
//!
//! Both ends name the request's first byte by the same TCP sequence number, through address translation too. So they are joined by
//! number and fingerprint, and then by
//! - the addresses, mirrored: that is proof (measured: 106,441 requests, no mismatch); or, where translation changed them,
//! - the whole head (method, target, host, kept fields) within a second, if exactly one candidate is left.
//!
//! Either end may be seen first: a send is recorded when the call returns, and the receiver may be faster. So each end waits for
//! the other, bounded in time by the caller and here in number by the exchanges that are kept.
//! A connection whose sender was once waited for in vain is *lonely*: its next requests do not wait, until a client's end of it is seen.
//! Source: design §5.3. Not here: other nodes' agents.
use crate::{
    correlate::Map,
    event::Nanos,
    exchange::{ExchangeId, Opened, Role},
};
use foldhash::fast::FixedState;
use smallvec::SmallVec;
use std::{
    collections::HashSet,
    hash::BuildHasher,
    net::{IpAddr, SocketAddr},
};

/// Ends further apart than this are not the same request, unless their addresses say so.
const TRANSLATED_WINDOW_NS: u64 = 1_000_000_000;
/// Ends with one key: more are not kept, an honest connection has two.
const ENDS_MAX: usize = 64;
/// Addresses learned.
const ADDRESSES_MAX: usize = 4096;
/// Lonely connections remembered; beyond it all are forgotten, which costs each one wait.
const LONELY_MAX: usize = 65_536;

/// What both ends have in common whatever lies between.
pub(in crate::correlate) type Key = (u32, u64);

/// One end that waits for the other.
#[derive(Clone, Copy, Debug)]
struct End {
    id: ExchangeId,
    role: Role,
    client: SocketAddr,
    server: SocketAddr,
    at: Nanos,
}

impl End {
    fn of(opened: &Opened) -> End {
        let (client, server) = match opened.role {
            Role::Client => (opened.endpoints.local, opened.endpoints.remote),
            Role::Server => (opened.endpoints.remote, opened.endpoints.local),
        };
        End { id: opened.id, role: opened.role, client, server, at: opened.at }
    }
}

/// What looking for the other end gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::correlate) enum Found {
    /// Nothing yet.
    Nothing,
    /// It.
    One(ExchangeId),
    /// More than one that could be it.
    Several,
}

/// Ends that wait, and the addresses that are this node's.
#[derive(Debug)]
pub(in crate::correlate) struct Table {
    ends: Map<Key, SmallVec<[End; 2]>>,
    addresses: HashSet<IpAddr, FixedState>,
    /// Hashes of client's and server's address.
    lonely: HashSet<u64, FixedState>,
}

impl Table {
    pub(in crate::correlate) fn new(hasher: FixedState, addresses: &[IpAddr]) -> Table {
        let mut known = HashSet::with_hasher(hasher.clone());
        known.extend(addresses.iter().copied());
        let lonely = HashSet::with_hasher(hasher.clone());
        Table { ends: Map::with_hasher(hasher), addresses: known, lonely }
    }

    pub(in crate::correlate) fn key(opened: &Opened) -> Key {
        (opened.seq, opened.fingerprint)
    }

    /// The local end of an observed connection is an address of this node, and a connection whose client is seen is not lonely.
    pub(in crate::correlate) fn learn(&mut self, opened: &Opened) {
        if opened.role == Role::Client && !self.lonely.is_empty() {
            self.lonely.remove(&self.pair(opened));
        }
        self.learn_address(opened.endpoints.local.ip());
    }

    /// Who was seen at this address is on this node: itself, or behind a translation that others here may use as well.
    fn learn_address(&mut self, address: IpAddr) {
        if self.addresses.len() < ADDRESSES_MAX {
            self.addresses.insert(address);
        }
    }

    /// Whether the other end of a connection may be an observed process of this node.
    pub(in crate::correlate) fn is_here(&self, opened: &Opened) -> bool {
        let remote = opened.endpoints.remote.ip();
        remote.is_loopback() || self.addresses.contains(&remote)
    }

    /// The sender of this request was waited for in vain.
    pub(in crate::correlate) fn set_lonely(&mut self, opened: &Opened) {
        if self.lonely.len() >= LONELY_MAX {
            self.lonely.clear();
        }
        self.lonely.insert(self.pair(opened));
    }

    /// Whether its sender was waited for in vain before.
    pub(in crate::correlate) fn is_lonely(&self, opened: &Opened) -> bool {
        self.lonely.contains(&self.pair(opened))
    }

    fn pair(&self, opened: &Opened) -> u64 {
        let End { client, server, .. } = End::of(opened);
        self.lonely.hasher().hash_one((client, server))
    }

    /// Looks for the other end and takes it out; `same_head` tells whether that exchange still lives and has the same head.
    pub(in crate::correlate) fn take(
        &mut self,
        opened: &Opened,
        same_head: impl Fn(ExchangeId) -> bool,
    ) -> Found {
        let Some(ends) = self.ends.get_mut(&Table::key(opened)) else { return Found::Nothing };
        let own = End::of(opened);
        let exact = |end: &End| end.client == own.client && end.server == own.server;
        let mut found = Found::Nothing;
        for by_address in [true, false] {
            for end in ends.iter().filter(|end| end.role != own.role && exact(end) == by_address) {
                let near = own.at.since(end.at).max(end.at.since(own.at)) <= TRANSLATED_WINDOW_NS;
                if !by_address && (!near || !same_head(end.id)) {
                    continue;
                }
                found = if found == Found::Nothing { Found::One(end.id) } else { Found::Several };
            }
            if found != Found::Nothing {
                break;
            }
        }
        if let Found::One(id) = found {
            let seen =
                ends.iter().find(|end| end.id == id && end.role == Role::Server).unwrap_or(&own).client;
            self.remove(Table::key(opened), id);
            self.learn_address(seen.ip());
        }
        found
    }

    /// Lets an end wait.
    pub(in crate::correlate) fn wait(&mut self, opened: &Opened) {
        let ends = self.ends.entry(Table::key(opened)).or_default();
        if ends.len() < ENDS_MAX {
            ends.push(End::of(opened));
        }
    }

    /// Whether an end still waits.
    pub(in crate::correlate) fn is_waiting(&self, key: Key, id: ExchangeId) -> bool {
        self.ends.get(&key).is_some_and(|ends| ends.iter().any(|end| end.id == id))
    }

    /// An end waits no more.
    pub(in crate::correlate) fn remove(&mut self, key: Key, id: ExchangeId) {
        let Some(ends) = self.ends.get_mut(&key) else { return };
        ends.retain(|end| end.id != id);
        if ends.is_empty() {
            self.ends.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests;
