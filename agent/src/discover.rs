//! Which processes are observed, and for every other one why not.
//!
//! Shape: `/proc` once at start, then the kernel's exec, fork, listen and exit records → [`Verdict`]s that `pipeline`
//! carries to the kernel's filter. Clock: record time. Source: proc(5) under an injected root.
//! Not here: what a process is called (see `enrich`), the kernel's filter (see `attach`).
//! Invariant: a process is pid *and* start time; a verdict never outlives the program it was made for.
mod addresses;
mod pods;
mod proc;
mod select;
#[cfg(test)]
mod tests;

pub use addresses::local_addresses;
pub use pods::Told;
pub use proc::{Found, ProcRoot};
pub use select::{Parent, Program, Select, Skip, Verdict, Why};

use crate::kubernetes::{Cluster, Place};
use foldhash::fast::RandomState;
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};
use wirespan_core::{
    counters,
    event::{Nanos, ProcessId},
};

/// Finished processes that `explain` still knows.
const FINISHED: usize = 256;
/// Processes known at once; the kernel's filter holds fewer.
const KNOWN: usize = 32_768;
/// How deep processes may stand below the one that was chosen.
const GENERATIONS: usize = 64;

counters! {
    /// Work and losses of discovery.
    Counts in "discover" {
        observed: "work", "processes", "Processes that were chosen.";
        ignored: "skip", "processes", "Processes that were looked at and not chosen.";
        gone: "loss", "processes", "Chosen processes that ended before they could be looked at: their resource is what the exec record says.";
        forgotten: "loss", "processes", "Processes dropped because too many are known.";
        relabelled: "work", "processes", "Processes whose verdict changed because what Kubernetes says of their pod did.";
        exits_missed: "loss", "processes", "Processes whose exit record was lost, found by the sweep.";
    }
}

/// What is known of one process.
#[derive(Clone, Debug)]
pub struct Known {
    /// Identity.
    pub id: ProcessId,
    /// What it runs.
    pub program: Program,
    /// Chosen or not, and why.
    pub verdict: Verdict,
    /// When the verdict became possible: exec, the agent's start, or what Kubernetes said last.
    pub since: Nanos,
    /// Pod and container, in Kubernetes.
    pub place: Option<Arc<Place>>,
}

/// The state of discovery.
pub struct Discovery {
    select: Select,
    root: ProcRoot,
    known: HashMap<u32, Known, RandomState>,
    finished: VecDeque<Known>,
    counts: Counts,
    cluster: Option<Cluster>,
    /// Since when processes of a pod that is now observed may be running that nobody has told of.
    unseen: Option<Nanos>,
    looked: Nanos,
}

impl Discovery {
    /// Nothing is read before [`Discovery::scan`].
    pub fn new(select: Select, root: ProcRoot) -> Discovery {
        Discovery {
            select,
            root,
            known: HashMap::default(),
            finished: VecDeque::new(),
            counts: Counts::default(),
            cluster: None,
            unseen: None,
            looked: Nanos(0),
        }
    }

    /// Looks at everything that runs. Processes that are already known (an exec record came first) are left as they are.
    pub fn scan(&mut self, now: Nanos) -> Vec<Known> {
        if self.cluster.is_some() {
            return self.scan_pods(now);
        }
        let found = self.root.all(&self.select);
        let mut chosen = Vec::new();
        for process in &found {
            if self.known.contains_key(&process.id.pid) {
                continue;
            }
            let own = self.select.running(process.id.pid, &process.program, &process.listens, None);
            let is_heir =
                own == Verdict::Ignore(Skip::NotSelected) && is_below_chosen(process, &found, &self.select);
            let verdict = if is_heir { Verdict::Observe(Why::Pid) } else { own };
            let program = process.program.clone();
            let known = Known { id: process.id, program, verdict, since: now, place: None };
            self.remember(known.clone());
            chosen.push(known);
        }
        self.follow(&mut chosen);
        chosen
    }

    /// Those that observed processes have started before they were, and that run the same programs.
    fn follow(&mut self, changed: &mut Vec<Known>) {
        for _ in 0..GENERATIONS {
            let heirs: Vec<Known> = self.known.values().filter_map(|known| self.heir(known)).collect();
            if heirs.is_empty() {
                return;
            }
            for heir in heirs {
                self.remember(heir.clone());
                changed.retain(|known| known.id != heir.id);
                changed.push(heir);
            }
        }
    }

    /// This process, if it is observed for its parent's sake and nobody knew yet.
    fn heir(&self, known: &Known) -> Option<Known> {
        if known.verdict != Verdict::Ignore(Skip::NotSelected) {
            return None;
        }
        let verdict = self.select.executed(known.id.pid, &known.program, self.parent(&known.program));
        verdict.is_observe().then(|| Known { verdict, ..known.clone() })
    }

    fn parent(&self, program: &Program) -> Option<Parent<'_>> {
        let Known { program, verdict, .. } = self.known.get(&program.parent)?;
        Some(Parent { program, verdict: *verdict })
    }

    /// A program was executed. `fallback` is what the exec record says of it, for when `/proc` no longer can.
    pub fn exec(&mut self, id: ProcessId, fallback: Program, at: Nanos) -> Known {
        if let Some(known) = self.seen_later(id, at) {
            return known;
        }
        if self.cluster.is_some() {
            return self.executed_in_pod(id, at);
        }
        let found = self.root.one(id.pid).filter(|found| found.id == id);
        let is_gone = found.is_none();
        let program = found.map_or(fallback, |found| found.program);
        let verdict = self.select.executed(id.pid, &program, self.parent(&program));
        self.counts.gone += u64::from(is_gone && verdict.is_observe());
        let known = Known { id, program, verdict, since: at, place: None };
        self.remember(known.clone());
        known
    }

    /// A known process forked: the child runs the same program and has the same verdict.
    pub fn fork(&mut self, parent: ProcessId, child: ProcessId, at: Nanos) -> Option<Known> {
        if let Some(known) = self.seen_later(child, at) {
            return Some(known);
        }
        let known = self.known.get(&parent.pid).filter(|known| known.id == parent)?;
        let mut program = known.program.clone();
        program.parent = parent.pid;
        let verdict = match known.verdict {
            Verdict::Observe(_) => Verdict::Observe(Why::ChildOf(parent.pid)),
            other => other,
        };
        let child = Known { id: child, program, verdict, since: at, place: known.place.clone() };
        self.remember(child.clone());
        Some(child)
    }

    /// A process began to listen on `port`: whose verdicts changed, its own first.
    pub fn listen(&mut self, id: ProcessId, port: u16, at: Nanos) -> Vec<Known> {
        if self.known.get(&id.pid).is_none_or(|known| known.id != id) {
            let Some(known) = self.first_look(id, at) else { return Vec::new() };
            self.remember(known);
        }
        let Some(known) = self.known.get_mut(&id.pid) else { return Vec::new() };
        let Some(verdict) = self.select.listening(known.verdict, port) else { return Vec::new() };
        known.verdict = verdict;
        let mut changed = vec![known.clone()];
        // Whoever hands sockets to its workers may listen when they run already.
        if verdict.is_observe() {
            self.follow(&mut changed);
        }
        changed
    }

    /// A process ended.
    pub fn exit(&mut self, id: ProcessId) -> Option<Known> {
        if self.known.get(&id.pid)?.id != id {
            return None;
        }
        let known = self.known.remove(&id.pid)?;
        if self.finished.len() == FINISHED {
            self.finished.pop_front();
        }
        self.finished.push_back(known.clone());
        Some(known)
    }

    /// Processes that are gone although no exit record came. Reads one small file per known process.
    pub fn sweep(&mut self) -> Vec<Known> {
        let gone: Vec<ProcessId> = self
            .known
            .values()
            .filter(|known| self.root.start_ticks(known.id.pid) != Some(known.id.start_ticks))
            .map(|known| known.id)
            .collect();
        self.counts.exits_missed += gone.len() as u64;
        gone.into_iter().filter_map(|id| self.exit(id)).collect()
    }

    /// Is this process observed? Records of a process that discovery has not heard of are not used.
    pub fn is_observed(&self, id: ProcessId) -> bool {
        self.known.get(&id.pid).is_some_and(|known| known.id == id && known.verdict.is_observe())
    }

    /// Looks a pid up for `explain`: running first, then the last that finished, then `/proc`.
    pub fn look_up(&self, pid: u32) -> Option<(Known, bool)> {
        if let Some(known) = self.known.get(&pid) {
            return Some((known.clone(), true));
        }
        if self.cluster.is_some()
            && let Some(known) = self.judged(pid, Nanos(0))
        {
            return Some((known, true));
        }
        if self.cluster.is_none()
            && let Some(found) = self.root.one(pid)
        {
            let verdict = self.select.running(pid, &found.program, &self.root.listens(pid), None);
            let program = found.program;
            return Some((Known { id: found.id, program, verdict, since: Nanos(0), place: None }, true));
        }
        self.finished.iter().rev().find(|known| known.id.pid == pid).map(|known| (known.clone(), false))
    }

    /// A process that nobody has told of.
    fn first_look(&self, id: ProcessId, at: Nanos) -> Option<Known> {
        if self.cluster.is_some() {
            return self.judged(id.pid, at).filter(|known| known.id == id);
        }
        let found = self.root.one(id.pid).filter(|found| found.id == id)?;
        let verdict = self.select.running(id.pid, &found.program, &[], None);
        Some(Known { id, program: found.program, verdict, since: at, place: None })
    }

    /// Processes observed now.
    pub fn observed(&self) -> impl Iterator<Item = &Known> {
        self.known.values().filter(|known| known.verdict.is_observe())
    }

    /// The counters.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// What was decided of a process after `at`: a record of that time, taken from the ring only now, says nothing newer.
    fn seen_later(&self, id: ProcessId, at: Nanos) -> Option<Known> {
        self.known.get(&id.pid).filter(|known| known.id == id && known.since > at).cloned()
    }

    fn remember(&mut self, known: Known) {
        match known.verdict {
            Verdict::Observe(_) => self.counts.observed += 1,
            Verdict::Ignore(_) => self.counts.ignored += 1,
        }
        if self.known.len() >= KNOWN && !self.known.contains_key(&known.id.pid) {
            let unwanted = self.known.values().find(|old| !old.verdict.is_observe()).map(|old| old.id.pid);
            if let Some(pid) = unwanted {
                self.known.remove(&pid);
            }
            self.counts.forgotten += 1;
        }
        self.known.insert(known.id.pid, known);
    }
}

/// It was started by a process chosen by pid, or by one that was: a worker of a chosen master.
fn is_below_chosen(process: &Found, all: &[Found], select: &Select) -> bool {
    let parents: HashMap<u32, u32> = all.iter().map(|found| (found.id.pid, found.program.parent)).collect();
    let mut pid = process.program.parent;
    for _ in 0..GENERATIONS {
        if select.pids.contains(&pid) {
            return true;
        }
        match parents.get(&pid) {
            Some(parent) => pid = *parent,
            None => return false,
        }
    }
    false
}
