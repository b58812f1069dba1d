//! The observer in Kubernetes: verdicts and names that change while processes run.
//!
//! Shape: [`Change`]s from the watches, a few times a second → verdicts to the kernel's filter, names to resources.
//! Not here: the decisions (see `discover/pods.rs`).
use super::{Observer, now, settings};
use crate::{
    config::Config,
    discover::{Discovery, Known, ProcRoot, Select},
    kubernetes::{Change, Cluster, StatusHandle},
};
use std::path::Path;
use tokio::sync::mpsc;
use tracing::{debug, warn};
use wirespan_core::{
    event::{Event, Nanos},
    spans::Span,
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
        Some(settings) => Discovery::in_cluster(select, root, Cluster::new(settings.names_by_labels)),
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

    /// What was last known of a pod that is gone stays true of its processes.
    fn rename(&mut self, known: &Known) {
        let Some(identity) = self.discovery.identity(known) else { return };
        let Some(facts) = self.resources.rename(known.id, Some(identity)) else { return };
        if let Some(recorder) = &mut self.recorder
            && let Err(error) = recorder.process(facts)
        {
            warn!(%error, "cannot record a process");
        }
    }

    /// Keeps back spans of containers whose name is still to come, and adds those that have waited for it.
    pub(super) fn hold_unnamed(&mut self, spans: Vec<Span>) -> Vec<Span> {
        let Some(cluster) = self.discovery.cluster_mut() else { return spans };
        let resources = &self.resources;
        let counts = cluster.counts_mut();
        self.waiting.pass(spans, now(), |process| resources.awaits_name(process), counts)
    }

    /// For `explain`.
    pub(super) fn kubernetes_notes(&self, known: &Known) -> Vec<String> {
        let Some(feed) = &self.cluster else { return Vec::new() };
        let cluster = self.discovery.cluster();
        let place = cluster.zip(known.place.as_deref()).and_then(|(cluster, place)| cluster.describe(place));
        place.into_iter().chain(feed.status.get().troubles()).collect()
    }
}
