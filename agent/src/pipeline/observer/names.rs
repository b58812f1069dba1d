//! The observer and the names of containers: who tells them, and which spans wait for one.
//!
//! Shape: answers of engines and what the API server says → resources; decided spans → those that may leave.
//! Not here: who is asked (see `enrich`), for how long a span waits (see `waiting`).
use super::{Observer, now};
use crate::{discover::Known, enrich::ProcessFacts};
use tracing::warn;
use wirespan_core::spans::Span;

impl Observer {
    /// A recording has what is known of a process, as often as something else is.
    pub(super) fn keep_facts(&mut self, facts: &ProcessFacts) {
        if let Some(recorder) = &mut self.recorder
            && let Err(error) = recorder.process(facts)
        {
            warn!(%error, "cannot record a process");
        }
    }

    /// What engines said of containers since the last turn.
    pub(super) fn learn_names(&mut self) {
        for (container, named) in self.names.answers() {
            for facts in self.resources.name(&container, &named) {
                self.keep_facts(&facts);
            }
        }
    }

    /// Something else is known of a pod. What was last known of one that is gone stays true of its processes.
    pub(super) fn rename(&mut self, known: &Known) {
        let Some(identity) = self.discovery.identity(known) else { return };
        let Some(facts) = self.resources.rename(known.id, Some(identity)).cloned() else { return };
        self.keep_facts(&facts);
    }

    /// Keeps back spans of containers whose name is still to come, and adds those that have waited for it.
    pub(super) fn hold_unnamed(&mut self, spans: Vec<Span>) -> Vec<Span> {
        if self.cluster.is_none() && !self.names.are_asked() && self.waiting.is_empty() {
            return spans;
        }
        let (resources, names) = (&self.resources, &self.names);
        self.waiting.pass(spans, now(), |process| {
            let container = resources.facts(process).and_then(|facts| facts.container.as_ref());
            resources.awaits_name(process) || container.is_some_and(|container| names.awaits(container))
        })
    }
}
