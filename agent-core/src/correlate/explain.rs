//! What `wirespan explain PID` says about links: evidence in use, what it rests on, and what could not be linked.
use super::{
    Correlator, Unparented,
    evidence::thread::{PROOFS, Withdrawn},
    forest,
    process::Process,
    reason::evidence_name,
};
use crate::{
    event::ProcessId,
    exchange::{End, Role},
    spans::{self, Evidence, Rules},
};

/// Open exchanges that are named.
const OPEN_MAX: usize = 8;

/// Whether threads are evidence in a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThreadState {
    /// Not shown yet: links are held until it is.
    Learning,
    /// Its threads answer what they read.
    InUse,
    /// A request was answered by another thread than had read it.
    AnsweredElsewhere,
    /// A thread had several requests open at once.
    Shared,
    /// Goroutines move between threads.
    Goroutines,
}

/// The figures behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadEvidence {
    /// In use or not.
    pub state: ThreadState,
    /// Requests answered by the thread that had read them.
    pub answered_by_reader: u64,
    /// Requests answered by another.
    pub answered_elsewhere: u64,
    /// Requests with calls that went through one thread while others were open, or that it waited for by itself (two each).
    pub proofs: u32,
    /// Proofs needed.
    pub proofs_needed: u32,
}

/// What the runtime of a process has shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaskEvidence {
    /// Requests of which a goroutine was seen to ask for them.
    pub claims: u64,
    /// Goroutines that were born while their parent worked for a request.
    pub births: u64,
    /// `go` statements whose goroutines work for the request that created them.
    pub sites_in_use: usize,
    /// `go` statements whose goroutines worked on after it was answered: no evidence.
    pub sites_withdrawn: usize,
    /// Calls of nginx that its own structures name the request of.
    pub named: u64,
    /// Calls of nginx that they do not.
    pub unnamed: u64,
}

/// What the contexts of a Python process have shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ContextEvidence {
    /// Requests are read or answered in contexts.
    pub is_used: bool,
    /// Contexts whose birth was seen.
    pub births: u64,
    /// Pieces of work that they handed to threads.
    pub handed: u64,
    /// A context answered requests of two connections at once: only those that are born for a request own it.
    pub is_shared: bool,
    /// Contexts that did nothing after the request that they were born for was answered.
    pub kept: u32,
    /// Contexts that did.
    pub outlived: u32,
}

/// What the event loops of a process have shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoopEvidence {
    /// Parts of their work that had an effect; 0: they cannot be seen.
    pub slices: u64,
    /// Resources that ran more than once: nobody's.
    pub shared: usize,
    /// Calls in whose answer another request was answered than theirs, so that user code hands work over: of those made in the slice of an
    /// answer, of those made by resources, of those whose answer a resource takes, and of those made by timers and immediates themselves. More of
    /// the same kind are not believed.
    pub contradicted: [u64; 4],
}

/// An exchange that is not over: a span that is still to come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenExchange {
    /// Which side of it the process is.
    pub role: Role,
    /// What its span would be called.
    pub name: String,
    /// How long it has been open.
    pub for_ns: u64,
    /// Its answer has begun.
    pub is_answering: bool,
}

impl Correlator {
    /// The exchanges of a process that are open, those that have been for longest.
    pub fn longest_open(&self, process: ProcessId) -> Vec<OpenExchange> {
        let open = self.forest.unfinished(Some(process)).into_iter().take(OPEN_MAX);
        open.filter_map(|id| {
            let node = self.forest.get(id)?;
            let unfinished = forest::cut_short(id, self.now, End::Complete);
            Some(OpenExchange {
                role: node.opened.role,
                name: spans::describe(&node.opened, &unfinished, &Rules::default()).name.into_owned(),
                for_ns: self.now.since(node.start),
                is_answering: node.answering.is_some(),
            })
        })
        .collect()
    }
}

/// The links of one process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessLinks {
    /// Thread evidence.
    pub thread: ThreadEvidence,
    /// Evidence of its runtime.
    pub task: TaskEvidence,
    /// Evidence of Python's contexts.
    pub context: ContextEvidence,
    /// Event loop evidence.
    pub loops: LoopEvidence,
    /// Destinations of such calls: there `only` is no evidence.
    pub background_destinations: usize,
    /// Calls made while no request was open, or that outlived the only one.
    pub background_calls: u64,
    /// Requests open now.
    pub open_requests: u32,
    /// Client requests whose link stands or falls with the threads.
    pub held: usize,
    /// Client spans left to a library in the process.
    pub sdk_clients: u64,
    /// Spans with a parent, by evidence, best first.
    pub links: Vec<(&'static str, u64)>,
    /// Spans without, by reason; reasons that never came up are left out.
    pub unparented: Vec<(&'static str, u64)>,
}

pub(super) fn explain(process: &Process) -> ProcessLinks {
    let threads = &process.threads;
    let state = match threads.withdrawn {
        Some(Withdrawn::AnsweredElsewhere) => ThreadState::AnsweredElsewhere,
        Some(Withdrawn::Shared) => ThreadState::Shared,
        Some(Withdrawn::Goroutines) => ThreadState::Goroutines,
        None if threads.is_calibrated() => ThreadState::InUse,
        None => ThreadState::Learning,
    };
    let (sites_in_use, sites_withdrawn) = process.goroutines.sites();
    let evidence = [Evidence::Wire, Evidence::Peer, Evidence::Task, Evidence::Thread, Evidence::Only];
    ProcessLinks {
        thread: ThreadEvidence {
            state,
            answered_by_reader: threads.answered_by_reader,
            answered_elsewhere: threads.answered_elsewhere,
            proofs: threads.proofs,
            proofs_needed: PROOFS,
        },
        task: TaskEvidence {
            claims: process.goroutines.claimed,
            births: process.goroutines.births,
            sites_in_use,
            sites_withdrawn,
            named: process.nginx.named,
            unnamed: process.nginx.unnamed,
        },
        context: ContextEvidence {
            is_used: process.lineage.is_used,
            births: process.lineage.births,
            handed: process.lineage.handed,
            is_shared: process.lineage.is_shared,
            kept: process.lineage.belief.kept(),
            outlived: process.lineage.belief.strayed(),
        },
        loops: LoopEvidence {
            slices: process.loops.slices,
            shared: process.loops.shared(),
            contradicted: process.loops.calls.contradicted,
        },
        background_destinations: process.background.destinations(),
        background_calls: process.background.calls,
        open_requests: process.open.count(),
        held: process.held.len(),
        sdk_clients: process.sdk_clients,
        links: evidence.iter().map(|kind| evidence_name(*kind)).zip(process.links).collect(),
        unparented: Unparented::ALL
            .iter()
            .map(|reason| reason.name())
            .zip(process.unparented)
            .filter(|(_, count)| *count > 0)
            .collect(),
    }
}
