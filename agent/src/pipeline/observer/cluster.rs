//! The observer in Kubernetes: verdicts and names that change while processes run.
//!
//! Shape: [`Change`]s from the watches, a few times a second → verdicts to the kernel's filter, names to resources.
//! Not here: the decisions (see `discover/pods.rs`).
use super::{Observer, now, place::place, settings};
use crate::{
    config::Config,
    discover::{Discovery, Known, ProcRoot, Select},
    kubernetes::{Change, Cluster, StatusHandle},
};
use opentelemetry_semantic_conventions::attribute as key;
use std::{borrow::Cow, net::SocketAddr, path::Path};
use tokio::sync::mpsc;
use tracing::debug;
use wirespan_core::{
    event::{Event, Nanos},
    spans::{Kind, Span, Value},
};

/// How often it is listened: each time, everything that is observed is gone through once for all changes.
const HEAR_EVERY_NS: u64 = 50_000_000;
/// Changes taken at a time.
const CHANGES: usize = 256;

/// What the watches are heard by.
pub(in crate::pipeline) type Started = (mpsc::Receiver<Change>, StatusHandle);

/// The watches, as the observer hears them.
pub(super) struct Feed {
    changes: mpsc::Receiver<Change>,
    status: StatusHandle,
    heard: Nanos,
}

impl Feed {
    pub(super) fn new((changes, status): Started) -> Feed {
        Feed { changes, status, heard: Nanos(0) }
    }

    fn take(&mut self) -> Vec<Change> {
        std::iter::from_fn(|| self.changes.try_recv().ok()).take(CHANGES).collect()
    }
}

/// Discovery as the configuration has it.
pub(super) fn discovery(config: &Config, select: Select, proc: &Path) -> Discovery {
    let root = ProcRoot(proc.into());
    match settings::kubernetes(config) {
        Some(settings) => {
            Discovery::in_cluster(select, root, Cluster::new(settings.names_by_labels, settings.peers), place)
        }
        None => Discovery::new(select, root),
    }
}

impl Observer {
    /// Acts on what the API server has told meanwhile.
    pub(super) fn hear_cluster(&mut self) {
        let at = now();
        let Some(feed) = self.cluster.as_mut().filter(|feed| at.since(feed.heard) >= HEAR_EVERY_NS) else {
            return;
        };
        feed.heard = at;
        let changes = feed.take();
        if !changes.is_empty() {
            let told = self.discovery.told(changes, at);
            told.changed.iter().for_each(|known| self.change(known, at));
            told.renamed.iter().for_each(|known| self.rename(known));
        }
        for known in self.discovery.look_for_unseen(at) {
            self.decide(&known, None);
        }
    }

    /// A running process may be observed from now on, or not any more.
    fn change(&mut self, known: &Known, at: Nanos) {
        self.decide(known, None);
        if !known.verdict.is_observe() {
            debug!(pid = known.id.pid, "observed no longer");
            self.core_event(&Event::Left { process: known.id, at });
        }
    }

    /// Says of calls who is behind the address they went to, if that is asked for and known.
    pub(super) fn name_peers(&self, spans: &mut [Span]) {
        let Some(cluster) = self.discovery.cluster().filter(|cluster| cluster.names_peers()) else { return };
        for span in spans.iter_mut().filter(|span| span.kind == Kind::Client) {
            let Some(peer) = peer_of(span).and_then(|place| cluster.peer(place)) else { continue };
            let named = [
                (key::SERVICE_PEER_NAME, peer.name.clone()),
                (key::SERVICE_PEER_NAMESPACE, peer.namespace.clone()),
            ];
            let named = named.map(|(key, value)| (Cow::Borrowed(key), Value::Str(value.into())));
            span.attributes.extend(named);
        }
    }

    /// For `explain`.
    pub(super) fn kubernetes_notes(&self, known: &Known) -> Vec<String> {
        let Some(feed) = &self.cluster else { return Vec::new() };
        let cluster = self.discovery.cluster();
        let place = cluster.zip(known.place.as_deref()).and_then(|(cluster, place)| cluster.describe(place));
        place.into_iter().chain(feed.status.get().troubles()).collect()
    }
}

/// Where a span says its other end is.
fn peer_of(span: &Span) -> Option<SocketAddr> {
    let value = |wanted| span.attributes.iter().find(|(key, _)| *key == wanted).map(|(_, value)| value);
    let (Value::Str(address), Value::Int(port)) =
        (value(key::NETWORK_PEER_ADDRESS)?, value(key::NETWORK_PEER_PORT)?)
    else {
        return None;
    };
    Some(SocketAddr::new(address.parse().ok()?, u16::try_from(*port).ok()?))
}
