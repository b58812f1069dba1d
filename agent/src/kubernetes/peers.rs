//! Who is behind an address: for the edges from what is observed to what is not.
//!
//! Shape: addresses of this node's pods, of Services and of their endpoints anywhere, as they come and go → [`Peer`]. Optional
//! (`kubernetes.peers`): it takes list and watch on services and endpointslices. A pod on the node's own network has no address of its
//! own. Where several answer for an address, the pod itself comes first, then a Service's own address, then the first Service by name.
//! Bounded: [`PEERS`] objects with [`ADDRESSES`] addresses in all; what is beyond has no name, and is counted.
use foldhash::fast::RandomState;
use std::{
    collections::{HashMap, HashSet},
    net::{IpAddr, SocketAddr},
};

/// Pods, Services and slices kept.
const PEERS: usize = 16_384;
/// Addresses kept in all.
const ADDRESSES: usize = 65_536;

/// Where it is known from; the first knows best.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// A pod of this node.
    #[default]
    Pod,
    /// A Service's own address.
    Service,
    /// Endpoints of a Service.
    Slice,
}

/// Something that has addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// Uid in the API.
    pub uid: String,
    /// Where it is known from.
    pub source: Source,
    /// What it is called: a Service's name, or that of a pod's service.
    pub name: String,
    /// Namespace.
    pub namespace: String,
    /// Where it is reached.
    pub addresses: Vec<IpAddr>,
    /// At which ports; `None`: at all.
    pub ports: Option<Vec<u16>>,
}

impl Peer {
    fn is_at(&self, port: u16) -> bool {
        self.ports.as_ref().is_none_or(|ports| ports.contains(&port))
    }
}

/// Peers by address.
#[derive(Debug, Default)]
pub(super) struct Peers {
    all: HashMap<String, Peer, RandomState>,
    /// Uids.
    by_address: HashMap<IpAddr, Vec<String>, RandomState>,
    /// Of all peers together.
    addresses: usize,
    listed: HashMap<Source, HashSet<String, RandomState>, RandomState>,
}

impl Peers {
    /// Learns of one, or of what has changed. False if there is no room.
    pub(super) fn learn(&mut self, mut peer: Peer) -> bool {
        self.forget(&peer.uid);
        peer.addresses.sort_unstable();
        peer.addresses.dedup();
        if self.all.len() >= PEERS || self.addresses + peer.addresses.len() > ADDRESSES {
            return false;
        }
        self.addresses += peer.addresses.len();
        for address in &peer.addresses {
            self.by_address.entry(*address).or_default().push(peer.uid.clone());
        }
        self.all.insert(peer.uid.clone(), peer);
        true
    }

    /// It is no more. Its address may be another's by now.
    pub(super) fn forget(&mut self, uid: &str) {
        let Some(peer) = self.all.remove(uid) else { return };
        self.addresses -= peer.addresses.len();
        for address in peer.addresses {
            let Some(uids) = self.by_address.get_mut(&address) else { continue };
            uids.retain(|of| of != uid);
            if uids.is_empty() {
                self.by_address.remove(&address);
            }
        }
    }

    /// A list of a source begins.
    pub(super) fn begin(&mut self, source: Source) {
        self.listed.insert(source, HashSet::default());
    }

    /// This one is part of its source's list.
    pub(super) fn list(&mut self, peer: &Peer) {
        if let Some(listed) = self.listed.get_mut(&peer.source).filter(|listed| listed.len() < PEERS) {
            listed.insert(peer.uid.clone());
        }
    }

    /// The list is complete: what is not in it is no more.
    pub(super) fn complete(&mut self, source: Source) {
        let Some(listed) = self.listed.remove(&source) else { return };
        let is_gone = |peer: &&Peer| peer.source == source && !listed.contains(&peer.uid);
        let gone: Vec<String> = self.all.values().filter(is_gone).map(|peer| peer.uid.clone()).collect();
        gone.iter().for_each(|uid| self.forget(uid));
    }

    /// Who is reached there.
    pub(super) fn at(&self, place: SocketAddr) -> Option<&Peer> {
        let uids = self.by_address.get(&place.ip().to_canonical())?;
        let there = uids.iter().filter_map(|uid| self.all.get(uid)).filter(|peer| peer.is_at(place.port()));
        there.min_by_key(|peer| (peer.source, &peer.namespace, &peer.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(last: u8, port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, last], port))
    }

    fn peer(uid: &str, source: Source, last: u8) -> Peer {
        let addresses = vec![place(last, 0).ip()];
        Peer { uid: uid.into(), source, name: uid.into(), namespace: "n".into(), addresses, ports: None }
    }

    fn name(peers: &Peers, last: u8) -> Option<&str> {
        peers.at(place(last, 80)).map(|peer| peer.name.as_str())
    }

    #[test]
    fn an_address_that_went_to_another_is_the_others() {
        let mut peers = Peers::default();
        assert!(peers.learn(peer("a", Source::Pod, 1)) && peers.learn(peer("b", Source::Pod, 1)));
        peers.forget("a");
        assert_eq!(name(&peers, 1), Some("b"));
        assert!(peers.learn(peer("b", Source::Pod, 2)));
        assert_eq!((name(&peers, 1), name(&peers, 2)), (None, Some("b")));
    }

    #[test]
    fn a_complete_list_forgets_what_is_of_its_source_and_not_in_it() {
        let mut peers = Peers::default();
        let all = [("old", Source::Service), ("kept", Source::Service), ("pod", Source::Pod)];
        let learned = all.iter().zip(1..).map(|((uid, source), last)| peers.learn(peer(uid, *source, last)));
        assert_eq!(learned.filter(|known| *known).count(), 3);
        peers.begin(Source::Service);
        peers.list(&peer("kept", Source::Service, 2));
        peers.complete(Source::Service);
        assert_eq!((name(&peers, 1), name(&peers, 2), name(&peers, 3)), (None, Some("kept"), Some("pod")));
    }

    #[test]
    fn who_knows_best_answers_and_the_next_when_that_one_is_gone() {
        let mut peers = Peers::default();
        for (uid, source) in [("b", Source::Slice), ("pod", Source::Pod), ("a", Source::Slice)] {
            assert!(peers.learn(peer(uid, source, 1)));
        }
        for wanted in ["pod", "a", "b"] {
            assert_eq!(name(&peers, 1), Some(wanted));
            peers.forget(wanted);
        }
        assert!(peers.by_address.is_empty() && peers.addresses == 0);
    }

    #[test]
    fn an_address_that_many_share_is_told_apart_by_port() {
        let mut peers = Peers::default();
        for (uid, port) in [("a", 80), ("b", 81)] {
            assert!(peers.learn(Peer { ports: Some(vec![port]), ..peer(uid, Source::Slice, 1) }));
        }
        assert_eq!(name(&peers, 1), Some("a"));
        assert_eq!(peers.at(place(1, 82)), None);
    }

    #[test]
    fn there_is_room_for_so_many_addresses_and_what_goes_makes_room() {
        let mut peers = Peers::default();
        let with = |uid: &str, third: u8| Peer {
            addresses: (0..=u16::MAX).map(|n| [10, third, (n >> 8) as u8, n as u8].into()).collect(),
            ..peer(uid, Source::Slice, 1)
        };
        assert!(peers.learn(with("a", 1)));
        assert!(!peers.learn(with("b", 2)));
        assert!(peers.learn(with("a", 3)), "it takes the place of what it was");
        peers.forget("a");
        assert!(peers.learn(with("b", 2)));
    }
}
