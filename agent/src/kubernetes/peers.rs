//! Who is behind an address: for the edges from what is observed to what is not.
//!
//! Shape: addresses of Services and of this node's pods, as they come and go → [`Peer`]. Optional (`kubernetes.peers`): it takes list
//! and watch on services. A pod on the node's own network has no address of its own, and a headless Service has none at all.
//! Bounded: [`PEERS`] objects; what is beyond has no name, and is counted.
use foldhash::fast::RandomState;
use kube::core::{NamespaceResourceScope, ObjectMeta, Resource};
use serde::Deserialize;
use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    net::IpAddr,
};

/// Services and pods kept.
const PEERS: usize = 16_384;
/// Addresses kept of one: a Service or pod has one per address family.
const ADDRESSES: usize = 4;

/// Something that has addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// Uid in the API.
    pub uid: String,
    /// What it is called: a Service's name, or that of a pod's service.
    pub name: String,
    /// Namespace.
    pub namespace: String,
    /// Where it is reached.
    pub addresses: Vec<IpAddr>,
}

/// Peers by address.
#[derive(Debug, Default)]
pub(super) struct Peers {
    all: HashMap<String, Peer, RandomState>,
    by_address: HashMap<IpAddr, String, RandomState>,
    listed: Option<HashSet<String, RandomState>>,
}

impl Peers {
    /// Learns of one, or of what has changed. False if there is no room.
    pub(super) fn learn(&mut self, mut peer: Peer) -> bool {
        self.forget(&peer.uid);
        if self.all.len() >= PEERS {
            return false;
        }
        peer.addresses.truncate(ADDRESSES);
        for address in &peer.addresses {
            self.by_address.insert(*address, peer.uid.clone());
        }
        self.all.insert(peer.uid.clone(), peer);
        true
    }

    /// It is no more. Its address may be another's by now.
    pub(super) fn forget(&mut self, uid: &str) {
        let Some(peer) = self.all.remove(uid) else { return };
        for address in peer.addresses {
            if self.by_address.get(&address).is_some_and(|of| of == uid) {
                self.by_address.remove(&address);
            }
        }
    }

    /// A list of Services begins.
    pub(super) fn begin(&mut self) {
        self.listed = Some(HashSet::default());
    }

    /// This one is part of the list.
    pub(super) fn list(&mut self, uid: &str) {
        if let Some(listed) = self.listed.as_mut().filter(|listed| listed.len() < PEERS) {
            listed.insert(uid.to_owned());
        }
    }

    /// The list is complete: Services that are not in it are no more. `is_pod` tells of a uid that it is none.
    pub(super) fn complete(&mut self, is_pod: impl Fn(&str) -> bool) {
        let Some(listed) = self.listed.take() else { return };
        let gone: Vec<String> =
            self.all.keys().filter(|uid| !listed.contains(*uid) && !is_pod(uid)).cloned().collect();
        gone.iter().for_each(|uid| self.forget(uid));
    }

    /// Who has this address.
    pub(super) fn at(&self, address: IpAddr) -> Option<&Peer> {
        self.all.get(self.by_address.get(&address)?)
    }
}

/// The fields of a Service that are read.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ApiService {
    metadata: ObjectMeta,
    spec: Spec,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Spec {
    #[serde(rename = "clusterIPs")]
    cluster_ips: Vec<String>,
}

impl From<ApiService> for Peer {
    fn from(service: ApiService) -> Peer {
        let ApiService { metadata, spec } = service;
        Peer {
            uid: metadata.uid.unwrap_or_default(),
            name: metadata.name.unwrap_or_default(),
            namespace: metadata.namespace.unwrap_or_default(),
            addresses: spec.cluster_ips.iter().filter_map(|address| address.parse().ok()).collect(),
        }
    }
}

impl Resource for ApiService {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        "Service".into()
    }

    fn group((): &()) -> Cow<'_, str> {
        "".into()
    }

    fn version((): &()) -> Cow<'_, str> {
        "v1".into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        "services".into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    fn peer(uid: &str, last: u8) -> Peer {
        Peer { uid: uid.into(), name: uid.into(), namespace: "n".into(), addresses: vec![address(last)] }
    }

    fn name(peers: &Peers, last: u8) -> Option<&str> {
        peers.at(address(last)).map(|peer| peer.name.as_str())
    }

    #[test]
    fn an_address_that_went_to_another_is_the_others() {
        let mut peers = Peers::default();
        assert!(peers.learn(peer("a", 1)) && peers.learn(peer("b", 1)));
        peers.forget("a");
        assert_eq!(name(&peers, 1), Some("b"));
        assert!(peers.learn(peer("b", 2)));
        assert_eq!((name(&peers, 1), name(&peers, 2)), (None, Some("b")));
    }

    #[test]
    fn a_complete_list_forgets_services_and_no_pods() {
        let mut peers = Peers::default();
        let learned = ["old", "kept", "pod"].iter().zip(1..).map(|(uid, last)| peers.learn(peer(uid, last)));
        assert_eq!(learned.filter(|known| *known).count(), 3);
        peers.begin();
        peers.list("kept");
        peers.complete(|uid| uid == "pod");
        assert_eq!((name(&peers, 1), name(&peers, 2), name(&peers, 3)), (None, Some("kept"), Some("pod")));
    }

    #[test]
    fn a_headless_service_has_no_address() {
        let read = |ips: &str| {
            let json = format!(r#"{{"metadata":{{"name":"s","uid":"u"}},"spec":{{"clusterIPs":[{ips}]}}}}"#);
            Peer::from(serde_json::from_str::<ApiService>(&json).unwrap()).addresses
        };
        assert!(read("\"None\"").is_empty());
        assert_eq!(read("\"10.0.0.1\",\"fd00::1\"").len(), 2);
    }
}
