//! Discovery in Kubernetes: a process is looked at once its pod may be, and not before.
//!
//! Shape: [`Cluster`]'s answer for the pod that a process is in, then the selectors → a verdict; what the API server says later
//! changes it both ways. Before the answer is yes, only `/proc/PID/stat` and `/proc/PID/cgroup` are read.
//! A pod that may be observed from now on may have processes that nobody told of, since forks of what is not observed are no
//! records: they are looked for, once for all changes of a [`LOOK_EVERY_NS`].
use super::{Discovery, Known, Nanos, ProcRoot, Program, Select, Skip, Verdict, Why, proc::Placed};
use crate::kubernetes::{Answer, Change, Cluster, Identity, No, Place};
use std::{collections::BTreeSet, sync::Arc};
use wirespan_core::event::ProcessId;

/// The shortest time between two looks at everything that runs: each reads a file for every process that is known, two for others.
const LOOK_EVERY_NS: u64 = 500_000_000;

/// What follows from what the API server told.
#[derive(Debug, Default)]
pub struct Told {
    /// Those with another verdict.
    pub changed: Vec<Known>,
    /// Those observed as before, of whose pod something else is known.
    pub renamed: Vec<Known>,
}

impl Discovery {
    /// In Kubernetes: nobody is observed before `cluster` says so.
    pub fn in_cluster(select: Select, root: ProcRoot, cluster: Cluster) -> Discovery {
        Discovery { cluster: Some(cluster), ..Discovery::new(select, root) }
    }

    /// What is known of Kubernetes, if it runs in it.
    pub fn cluster(&self) -> Option<&Cluster> {
        self.cluster.as_ref()
    }

    /// The same, for those who count.
    pub fn cluster_mut(&mut self) -> Option<&mut Cluster> {
        self.cluster.as_mut()
    }

    /// What Kubernetes calls a process.
    pub fn identity(&self, known: &Known) -> Option<Identity> {
        self.cluster.as_ref()?.identity(known.place.as_deref()?)
    }

    /// The API server has told something.
    pub fn told(&mut self, changes: impl IntoIterator<Item = Change>, now: Nanos) -> Told {
        let mut touched = BTreeSet::new();
        let Some(cluster) = self.cluster.as_mut() else { return Told::default() };
        changes.into_iter().for_each(|change| cluster.apply(change, &mut touched));
        if touched.is_empty() {
            return Told::default();
        }
        if touched.iter().any(|uid| cluster.is_enabled(uid)) {
            self.unseen.get_or_insert(now);
        }
        let mut told = Told::default();
        for known in self.within(&touched) {
            let Some(known) = self.judged_again(known, now) else { continue };
            let before = self.known.get(&known.id.pid).map(|before| before.verdict);
            let is_changed = before.is_none_or(|before| before.is_observe() != known.verdict.is_observe());
            let list = if is_changed { &mut told.changed } else { &mut told.renamed };
            list.push(known.clone());
            if is_changed {
                self.counts.relabelled += 1;
            }
            self.known.insert(known.id.pid, known);
        }
        // Spans of those that are over may still wait for a name.
        told.renamed.extend(self.finished.iter().filter(|known| self.is_within(known, &touched)).cloned());
        told.renamed.retain(|known| known.verdict.is_observe());
        told
    }

    /// Processes in pods that may be observed and of which no record told, if it is time to look for them.
    pub fn look_for_unseen(&mut self, now: Nanos) -> Vec<Known> {
        if self.unseen.is_none() || now.since(self.looked) < LOOK_EVERY_NS {
            return Vec::new();
        }
        self.scan_pods(now)
    }

    /// Looks at everything that runs and is not known. What was forked while it looked is seen by the next look: there is one as
    /// long as one finds something.
    pub(super) fn scan_pods(&mut self, now: Nanos) -> Vec<Known> {
        self.looked = now;
        let mut chosen = Vec::new();
        for pid in self.root.pids() {
            // An exit that nobody told of may have left the pid to another.
            let ticks = self.known.get(&pid).map(|known| known.id.start_ticks);
            if ticks.is_some() && ticks == self.root.start_ticks(pid) {
                continue;
            }
            let Some(known) = self.judged(pid, now) else { continue };
            self.remember(known.clone());
            chosen.push(known);
        }
        self.follow(&mut chosen);
        chosen.retain(|known| known.verdict.is_observe());
        if chosen.is_empty() {
            self.unseen = None;
        }
        chosen
    }

    /// A program was executed: its cgroups are read again, for a container's first program is one of the runtime's until then.
    pub(super) fn executed_in_pod(&mut self, id: ProcessId, at: Nanos) -> Known {
        let judged = self.judged(id.pid, at).filter(|known| known.id == id);
        let known = judged.unwrap_or_else(|| {
            let verdict = Verdict::Ignore(Skip::Unplaced);
            Known { id, program: Program::default(), verdict, since: at, place: None }
        });
        self.remember(known.clone());
        known
    }

    /// A process by its pod, then by the selectors.
    pub(super) fn judged(&self, pid: u32, now: Nanos) -> Option<Known> {
        let placed = self.root.placed(pid)?;
        let verdict = self.verdict_of_pod(&placed.place);
        let place = (!placed.place.pods.is_empty()).then(|| Arc::new(placed.place.clone()));
        let (verdict, program) = match verdict {
            _ if pid == self.select.own_pid => (Verdict::Ignore(Skip::Agent), placed.program),
            Verdict::Observe(why) => self.selected(&placed, why),
            ignore => (ignore, placed.program),
        };
        Some(Known { id: placed.id, program, verdict, since: now, place })
    }

    fn verdict_of_pod(&self, place: &Place) -> Verdict {
        match self.cluster.as_ref().map(|cluster| cluster.answer(place)) {
            Some(Answer::Yes(by)) => Verdict::Observe(Why::Labelled(by)),
            Some(Answer::No(no)) => Verdict::Ignore(Skip::InKubernetes(no)),
            None => Verdict::Ignore(Skip::InKubernetes(No::NotInPod)),
        }
    }

    /// It may be looked at: do the selectors want it?
    fn selected(&self, placed: &Placed, why: Why) -> (Verdict, Program) {
        let found = self.root.one(placed.id.pid).filter(|found| found.id == placed.id);
        let program = found.map_or_else(|| placed.program.clone(), |found| found.program);
        let listens = if self.select.needs_ports() { self.root.listens(placed.id.pid) } else { Vec::new() };
        let verdict = self.select.running(placed.id.pid, &program, &listens, self.parent(&program));
        (if verdict == Verdict::Observe(Why::Everything) { Verdict::Observe(why) } else { verdict }, program)
    }

    fn within(&self, touched: &BTreeSet<String>) -> Vec<Known> {
        self.known.values().filter(|known| self.is_within(known, touched)).cloned().collect()
    }

    fn is_within(&self, known: &Known, touched: &BTreeSet<String>) -> bool {
        let Some(place) = known.place.as_deref() else { return false };
        match self.cluster.as_ref().and_then(|cluster| cluster.pod_at(place)) {
            Some(pod) => touched.contains(&pod.uid),
            // A pod that is gone is not known any more: then its name in the cgroup says which it was.
            None => place.pods.iter().any(|pod| touched.contains(pod) || pod.len() == STATIC_DIGEST),
        }
    }

    /// The same process, after something was told of its pod. `None`: it is over.
    fn judged_again(&self, known: Known, now: Nanos) -> Option<Known> {
        let is_ours = known.verdict == Verdict::Ignore(Skip::Agent);
        let pod = self.verdict_of_pod(known.place.as_deref()?);
        let was_looked_at = !matches!(known.verdict, Verdict::Ignore(Skip::InKubernetes(_)));
        match (pod, was_looked_at) {
            _ if is_ours => Some(known),
            (Verdict::Ignore(_), _) => {
                let since = if known.verdict.is_observe() { now } else { known.since };
                Some(Known { verdict: pod, since, ..known })
            }
            (Verdict::Observe(_), false) => {
                self.judged(known.id.pid, now).filter(|again| again.id == known.id)
            }
            (Verdict::Observe(_), true) => {
                let by_label = matches!(known.verdict, Verdict::Observe(Why::Labelled(_)));
                Some(if by_label { Known { verdict: pod, ..known } } else { known })
            }
        }
    }
}

/// Characters of a static pod's name in its cgroups.
const STATIC_DIGEST: usize = 32;

#[cfg(test)]
mod tests;
