//! The resource of a process: what it is called, what runs it, where.
//!
//! Shape: [`read`] at exec or scan → [`ProcessFacts`] → [`Resources::learn`]; later [`Resources::of`] → [`Resource`] for a span.
//! Source: OpenTelemetry semantic conventions, `resource`. The rule for `service.name` is in `name`.
//! Which container: `container`. Not here: what Kubernetes calls a process (see `kubernetes`); whom to observe (see `discover`).
//! Invariant: facts are read while a process lives; a span that outlives its process still has its resource.
mod attributes;
mod container;
mod facts;
mod host;
mod name;
mod runtime;
#[cfg(test)]
mod tests;

pub use container::{Container, Engine, Place, containers};
pub use facts::{ProcessFacts, place, read};
pub use host::Host;
pub use runtime::Runtime;

use crate::kubernetes::Identity;
use foldhash::fast::RandomState;
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};
use wirespan_core::{counters, event::ProcessId, spans::Attribute};

/// Processes whose resource is kept: the kernel's filter holds no more.
const KNOWN: usize = 16_384;
/// Ended processes whose resource is kept for spans that are still on their way.
const ENDED: usize = 1_024;

counters! {
    /// Work and losses of enrichment.
    Counts in "enrich" {
        learned: "work", "processes", "Processes whose resource was made.";
        unknown: "loss", "lookups", "Look-ups for a process that was never learned or is forgotten: its spans carry its pid and the host.";
        forgotten: "loss", "processes", "Resources dropped because too many are known.";
        unreadable_attributes: "skip", "processes", "Processes whose OTEL_RESOURCE_ATTRIBUTES could not be decoded and was not used.";
    }
}

/// What the agent's own configuration says of every service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// `OTEL_SERVICE_NAME` of the agent: the name of what does not name itself.
    pub service_name: Option<String>,
    /// `OTEL_RESOURCE_ATTRIBUTES` of the agent, decoded; `service.name` in it is used when `service_name` is absent.
    pub resource_attributes: Vec<(String, String)>,
}

/// What produced a span.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource {
    /// `service.name`, which is also among the attributes.
    pub service_name: String,
    /// In the order a person reads them; keys are unique.
    pub attributes: Vec<Attribute>,
}

/// The resources of all processes that matter.
pub struct Resources {
    settings: Settings,
    host: Host,
    known: HashMap<ProcessId, Known, RandomState>,
    ended: VecDeque<ProcessId>,
    counts: Counts,
}

struct Known {
    facts: ProcessFacts,
    resource: Arc<Resource>,
}

impl Resources {
    /// Knows the host and nobody else.
    pub fn new(settings: Settings, host: Host) -> Resources {
        Resources {
            settings,
            host,
            known: HashMap::default(),
            ended: VecDeque::new(),
            counts: Counts::default(),
        }
    }

    /// A process was found or executed a program. Learning it again replaces what was known.
    pub fn learn(&mut self, facts: ProcessFacts) -> Arc<Resource> {
        self.make_room();
        let (resource, is_readable) = attributes::resource(&facts, &self.settings, &self.host);
        self.counts.learned += 1;
        self.counts.unreadable_attributes += u64::from(!is_readable);
        let resource = Arc::new(resource);
        self.known.insert(facts.id, Known { facts, resource: Arc::clone(&resource) });
        resource
    }

    /// Something else is known of what Kubernetes calls a process. `None` if nothing is known of the process.
    pub fn rename(&mut self, process: ProcessId, identity: Option<Identity>) -> Option<&ProcessFacts> {
        let known = self.known.get_mut(&process)?;
        if known.facts.kubernetes != identity {
            known.facts.kubernetes = identity;
            known.resource = Arc::new(attributes::resource(&known.facts, &self.settings, &self.host).0);
        }
        Some(&known.facts)
    }

    /// Is the name of its container still to come?
    pub fn awaits_name(&self, process: ProcessId) -> bool {
        let identity = self.known.get(&process).and_then(|known| known.facts.kubernetes.as_ref());
        identity.is_some_and(|identity| !identity.is_complete)
    }

    /// A known process forked: the child is the same service, another instance.
    pub fn fork(&mut self, parent: ProcessId, child: ProcessId) -> Option<Arc<Resource>> {
        let facts = self.known.get(&parent)?.facts.clone();
        Some(self.learn(ProcessFacts { id: child, parent: Some(parent.pid), ..facts }))
    }

    /// A process ended: its resource stays until [`ENDED`] others have ended after it.
    pub fn exit(&mut self, process: ProcessId) {
        if !self.known.contains_key(&process) {
            return;
        }
        self.ended.push_back(process);
        if self.ended.len() > ENDED
            && let Some(oldest) = self.ended.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    /// The resource of a process; for a stranger its pid and the host, so that a span is never without one.
    pub fn of(&mut self, process: ProcessId) -> Arc<Resource> {
        if let Some(known) = self.known.get(&process) {
            return Arc::clone(&known.resource);
        }
        self.counts.unknown += 1;
        Arc::new(attributes::of_stranger(process, &self.settings, &self.host))
    }

    /// What is known of a process, for `explain`.
    pub fn facts(&self, process: ProcessId) -> Option<&ProcessFacts> {
        self.known.get(&process).map(|known| &known.facts)
    }

    /// The counters.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// At the cap the process that ended first goes, else any: its own exec or scan is long ago.
    fn make_room(&mut self) {
        if self.known.len() < KNOWN {
            return;
        }
        let victim = self.ended.pop_front().or_else(|| self.known.keys().next().copied());
        if let Some(victim) = victim {
            self.known.remove(&victim);
            self.counts.forgotten += 1;
        }
    }
}
