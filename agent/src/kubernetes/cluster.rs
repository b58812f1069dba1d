//! What is known of this node's pods, and what follows from it for a process.
//!
//! Shape: [`Change`]s in the order of the watches → [`Cluster::apply`] → uids of pods of which something else holds now;
//! [`Place`] → [`Answer`], [`Identity`]. A new list replaces what was known once it is complete: until then the old holds.
//! Bounded: [`PODS`] pods and [`NAMESPACES`] namespaces; what is beyond is not observed, and counted.
use super::{
    answer::{Answer, No, Said, answer},
    identity::Identity,
    object::{Container, Pod},
    peers::{Peer, Peers, Source},
    place::Place,
};
use foldhash::fast::RandomState;
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    net::SocketAddr,
    sync::Arc,
};
use wirespan_core::counters;

/// Pods kept: the kubelet's usual most is 110, the largest nodes' 500. One has about a kilobyte.
pub(super) const PODS: usize = 8_192;
/// Labelled namespaces kept.
pub(super) const NAMESPACES: usize = 10_000;

counters! {
    /// Work and losses of what is known of Kubernetes.
    Counts in "kubernetes" {
        pod_changes: "work", "changes", "Changes of pods that the API server told of.";
        namespace_changes: "work", "changes", "Changes of labelled namespaces that the API server told of.";
        lists: "work", "lists", "Complete lists: one of each resource at start, others after long absence or expiry.";
        refused: "loss", "objects", "Pods and namespaces beyond the most that are kept: they are not observed; Services and endpoints: they are not named.";
    }
}

/// Something that a watch told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A list of pods begins.
    PodsBegin,
    /// A pod is as follows; `listed`: it is part of the list.
    Pod {
        /// As follows.
        pod: Box<Pod>,
        /// Of the list that has begun.
        listed: bool,
    },
    /// The pod with this uid is no more.
    PodGone(String),
    /// The list of pods is complete: what was not in it is no more.
    PodsComplete,
    /// A list of labelled namespaces begins.
    NamespacesBegin,
    /// A namespace is labelled; `listed`: it is part of the list.
    Namespace {
        /// Which.
        name: String,
        /// Of the list that has begun.
        listed: bool,
    },
    /// A namespace is no more, or no longer labelled.
    NamespaceGone(String),
    /// The list of labelled namespaces is complete.
    NamespacesComplete,
    /// A list of peers of that source begins.
    PeersBegin(Source),
    /// Something with addresses is as follows; `listed`: it is part of the list.
    Peer {
        /// As follows.
        peer: Peer,
        /// Of the list of its source that has begun.
        listed: bool,
    },
    /// The peer with this uid is no more.
    PeerGone(String),
    /// The list of that source is complete.
    PeersComplete(Source),
}

/// The pods of this node, and the labelled namespaces.
#[derive(Debug)]
pub struct Cluster {
    names_by_labels: bool,
    pods: HashMap<String, Arc<Pod>, RandomState>,
    /// Digests of static pods' files → uid.
    digests: HashMap<String, String, RandomState>,
    namespaces: HashSet<String, RandomState>,
    /// `None`: peers are not named.
    peers: Option<Peers>,
    listed_pods: Option<HashSet<String, RandomState>>,
    listed_namespaces: Option<HashSet<String, RandomState>>,
    counts: Counts,
}

impl Cluster {
    /// Knows nothing, so nothing is observed.
    pub fn new(names_by_labels: bool, names_peers: bool) -> Cluster {
        Cluster {
            names_by_labels,
            peers: names_peers.then(Peers::default),
            pods: HashMap::default(),
            digests: HashMap::default(),
            namespaces: HashSet::default(),
            listed_pods: None,
            listed_namespaces: None,
            counts: Counts::default(),
        }
    }

    /// Takes note of a change. `touched` gets the uid of each pod of which something else holds now.
    pub fn apply(&mut self, change: Change, touched: &mut BTreeSet<String>) {
        match change {
            Change::PodsBegin => self.listed_pods = Some(HashSet::default()),
            Change::Pod { pod, listed } => self.pod(*pod, listed, touched),
            Change::PodGone(uid) => {
                self.counts.pod_changes += 1;
                self.forget_pod(&uid, touched);
            }
            Change::PodsComplete => {
                self.counts.lists += 1;
                let Some(listed) = self.listed_pods.take() else { return };
                let gone: Vec<String> =
                    self.pods.keys().filter(|uid| !listed.contains(*uid)).cloned().collect();
                gone.iter().for_each(|uid| self.forget_pod(uid, touched));
            }
            Change::NamespacesBegin => self.listed_namespaces = Some(HashSet::default()),
            Change::Namespace { name, listed } => self.namespace(name, listed, touched),
            Change::NamespaceGone(name) => {
                self.counts.namespace_changes += 1;
                self.forget_namespace(&name, touched);
            }
            Change::NamespacesComplete => {
                self.counts.lists += 1;
                let Some(listed) = self.listed_namespaces.take() else { return };
                let gone: Vec<String> =
                    self.namespaces.iter().filter(|name| !listed.contains(*name)).cloned().collect();
                gone.iter().for_each(|name| self.forget_namespace(name, touched));
            }
            of_peers => self.peer_change(of_peers),
        }
    }

    /// Peers change no verdict and no process's name.
    fn peer_change(&mut self, change: Change) {
        let Some(peers) = &mut self.peers else { return };
        match change {
            Change::PeersBegin(source) => peers.begin(source),
            Change::Peer { peer, listed } => {
                if listed {
                    peers.list(&peer);
                }
                self.counts.refused += u64::from(!peers.learn(peer));
            }
            Change::PeerGone(uid) => peers.forget(&uid),
            Change::PeersComplete(source) => {
                self.counts.lists += 1;
                peers.complete(source);
            }
            _ => {}
        }
    }

    /// Who is reached there, if that is asked for.
    pub fn peer(&self, place: SocketAddr) -> Option<&Peer> {
        self.peers.as_ref()?.at(place)
    }

    /// Is it asked who has an address?
    pub fn names_peers(&self) -> bool {
        self.peers.is_some()
    }

    fn pod(&mut self, pod: Pod, listed: bool, touched: &mut BTreeSet<String>) {
        self.counts.pod_changes += 1;
        if let Some(list) = self.listed_pods.as_mut().filter(|list| listed && list.len() < PODS) {
            list.insert(pod.uid.clone());
        }
        let known = self.pods.get(&pod.uid);
        if known.is_some_and(|known| **known == pod) {
            return;
        }
        if known.is_none() && self.pods.len() >= PODS {
            self.counts.refused += 1;
            return;
        }
        if let Some(digest) = &pod.static_digest {
            self.digests.insert(digest.clone(), pod.uid.clone());
        }
        if let Some(peers) = &mut self.peers {
            let name = Identity::of(&pod, None, self.names_by_labels).service_name;
            let (uid, namespace) = (pod.uid.clone(), pod.namespace.clone());
            let addresses = pod.addresses.clone();
            let peer = Peer { uid, source: Source::Pod, name, namespace, addresses, ports: None };
            self.counts.refused += u64::from(!peers.learn(peer));
        }
        touched.insert(pod.uid.clone());
        self.pods.insert(pod.uid.clone(), Arc::new(pod));
    }

    fn forget_pod(&mut self, uid: &str, touched: &mut BTreeSet<String>) {
        let Some(pod) = self.pods.remove(uid) else { return };
        if let Some(peers) = &mut self.peers {
            peers.forget(uid);
        }
        // A static pod's digest may be another mirror's by now.
        if let Some(digest) = &pod.static_digest
            && self.digests.get(digest).is_some_and(|of| of == uid)
        {
            self.digests.remove(digest);
        }
        touched.insert(uid.to_owned());
    }

    fn namespace(&mut self, name: String, listed: bool, touched: &mut BTreeSet<String>) {
        self.counts.namespace_changes += 1;
        if let Some(list) = self.listed_namespaces.as_mut().filter(|list| listed && list.len() < NAMESPACES) {
            list.insert(name.clone());
        }
        if self.namespaces.contains(&name) {
            return;
        }
        if self.namespaces.len() >= NAMESPACES {
            self.counts.refused += 1;
            return;
        }
        self.touch(&name, touched);
        self.namespaces.insert(name);
    }

    fn forget_namespace(&mut self, name: &str, touched: &mut BTreeSet<String>) {
        if self.namespaces.remove(name) {
            self.touch(name, touched);
        }
    }

    /// What holds of a namespace's pods has changed.
    fn touch(&self, namespace: &str, touched: &mut BTreeSet<String>) {
        touched
            .extend(self.pods.values().filter(|pod| pod.namespace == namespace).map(|pod| pod.uid.clone()));
    }

    /// May a process at this place be looked at?
    pub fn answer(&self, place: &Place) -> Answer {
        if place.pods.is_empty() {
            return Answer::No(No::NotInPod);
        }
        match self.pod_at(place) {
            Some(pod) => self.answer_of(pod),
            None => Answer::No(No::PodUnknown),
        }
    }

    fn answer_of(&self, pod: &Pod) -> Answer {
        answer(self.namespaces.contains(&pod.namespace), pod.said)
    }

    /// May any process of this pod be looked at?
    pub fn is_enabled(&self, uid: &str) -> bool {
        self.pods.get(uid).is_some_and(|pod| matches!(self.answer_of(pod), Answer::Yes(_)))
    }

    /// The pod that a place is in: the innermost that this cluster knows.
    pub fn pod_at(&self, place: &Place) -> Option<&Pod> {
        let pod = |called: &String| {
            let uid = self.digests.get(called).unwrap_or(called);
            self.pods.get(uid)
        };
        place.pods.iter().find_map(pod).map(AsRef::as_ref)
    }

    /// What a process at this place is called.
    pub fn identity(&self, place: &Place) -> Option<Identity> {
        let pod = self.pod_at(place)?;
        Some(Identity::of(pod, container(pod, place), self.names_by_labels))
    }

    /// For people: where a place is, and what is said of it.
    pub fn describe(&self, place: &Place) -> Option<String> {
        let pod = self.pod_at(place)?;
        let container = container(pod, place).map(|one| format!(", container {}", one.name));
        let is_labelled = if self.namespaces.contains(&pod.namespace) { "" } else { "not " };
        Some(format!(
            "pod {}/{}{}; its namespace is {is_labelled}labelled {}=enabled, its own label says {}",
            pod.namespace,
            pod.name,
            container.unwrap_or_default(),
            super::LABEL,
            pod.said.map_or("nothing", Said::name),
        ))
    }

    /// Pods that are known.
    pub fn pods(&self) -> usize {
        self.pods.len()
    }

    /// The counters.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }
}

fn container<'a>(pod: &'a Pod, place: &Place) -> Option<&'a Container> {
    pod.containers.iter().find(|container| place.containers.contains(&container.id))
}

#[cfg(test)]
#[path = "cluster/tests.rs"]
mod tests;
