//! Is this process observed, and why not: what `wirespan explain PID` asks the running agent, or finds out itself.
//!
//! Shape: pid → [`Explanation`], as text or JSON. The agent answers on a unix socket that only root may open.
//! Not here: the decision (see `discover`), the links (see `correlate`).
pub mod server;

use crate::{
    discover::{Discovery, Known, ProcRoot, Select, Verdict},
    telemetry::Snapshot,
};
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    io::{self, BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

/// How long the agent may take to answer: it looks at its mail at least every 100 ms.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// What one process has given and got.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// Records of bytes.
    pub records: u64,
    /// Bytes that its calls moved, copied or not.
    pub moved_bytes: u64,
    /// Bytes that were copied.
    pub copied_bytes: u64,
    /// Spans exported.
    pub spans: u64,
}

/// A count with a name: evidence, or a reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// Name, as in the documentation of evidence and reasons.
    pub name: String,
    /// How many.
    pub value: u64,
}

/// A request or a call that is not over: its span is still to come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// `client` or `server`.
    pub kind: String,
    /// What its span would be called.
    pub name: String,
    /// How long it has been open, in milliseconds.
    pub for_ms: u64,
    /// Its answer has begun.
    pub answering: bool,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// Pid.
    pub pid: u32,
    /// Does it still run?
    pub running: bool,
    /// Executable.
    pub exe: String,
    /// `service.name` of its spans, if it is observed.
    pub service: Option<String>,
    /// Is it, or was it, observed?
    pub observed: bool,
    /// Why, or why not: half a sentence.
    pub why: String,
    /// In Kubernetes: its pod and what the labels say, and what the API server does not tell.
    pub kubernetes: Vec<String>,
    /// Version and pid of the agent that answers; `None` if no agent runs.
    pub agent: Option<String>,
    /// What is known of its program, and what is not, in words.
    pub program: Vec<String>,
    /// What was seen of it.
    pub work: Work,
    /// What is open, what has been for longest first.
    pub open: Vec<Open>,
    /// Spans by the evidence for their parent.
    pub links: Vec<Count>,
    /// Spans without a parent, by reason.
    pub unparented: Vec<Count>,
    /// Which evidence is in use, in words.
    pub calibration: String,
    /// The agent's counters: losses are not told apart by process.
    pub counters: Snapshot,
}

impl Explanation {
    /// What discovery alone can say.
    pub fn of(known: &Known, running: bool) -> Explanation {
        let (observed, why) = match known.verdict {
            Verdict::Observe(why) => (true, why.to_string()),
            Verdict::Ignore(skip) => (false, skip.to_string()),
        };
        Explanation {
            pid: known.id.pid,
            running,
            exe: known.program.exe.clone(),
            service: None,
            observed,
            why,
            kubernetes: Vec::new(),
            agent: None,
            program: Vec::new(),
            work: Work::default(),
            open: Vec::new(),
            links: Vec::new(),
            unparented: Vec::new(),
            calibration: String::new(),
            counters: Snapshot::default(),
        }
    }
}

/// Asks the agent at `socket`. `Ok(None)`: it has never seen this pid.
pub fn ask(socket: &Path, pid: u32) -> io::Result<Option<Explanation>> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(ANSWER_WITHIN))?;
    writeln!(stream, "explain {pid}")?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    serde_json::from_str(&answer).map_err(io::Error::from)
}

/// What would happen to this process if an agent ran with `select`.
pub fn without_agent(select: Select, pid: u32) -> Option<Explanation> {
    let discovery = Discovery::new(select, ProcRoot("/proc".into()));
    let (known, running) = discovery.look_up(pid)?;
    Some(Explanation::of(&known, running))
}

/// For people: verdict first, then what was seen, then losses.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.running { "running" } else { "finished" };
        writeln!(f, "process {} ({}, {state})", self.pid, self.exe)?;
        let verdict = match (self.observed, &self.agent) {
            (true, Some(_)) => "observed",
            (true, None) => "no agent runs; it would be observed",
            (false, Some(_)) => "not observed",
            (false, None) => "no agent runs; it would not be observed",
        };
        writeln!(f, "  {verdict}: {}", self.why)?;
        let Some(agent) = &self.agent else { return Ok(()) };
        writeln!(f, "  by {agent}")?;
        for told in &self.kubernetes {
            writeln!(f, "  kubernetes: {told}")?;
        }
        if let Some(service) = &self.service {
            writeln!(f, "  service.name {service}")?;
        }
        if self.observed {
            self.seen(f)?;
        }
        writeln!(f, "losses of the whole agent")?;
        let mut none = true;
        for row in self.counters.of_class("loss") {
            none = false;
            writeln!(f, "  {}.{} {} {}: {}", row.room, row.name, row.value, row.unit, row.doc)?;
        }
        if none {
            writeln!(f, "  none")?;
        }
        Ok(())
    }
}

impl Explanation {
    fn seen(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Work { records, moved_bytes, copied_bytes, spans } = &self.work;
        writeln!(
            f,
            "  seen: {records} records, {moved_bytes} bytes moved, {copied_bytes} copied, {spans} spans"
        )?;
        if *records == 0 {
            writeln!(f, "  no bytes on a TCP socket yet: nothing to rebuild")?;
        }
        for note in &self.program {
            writeln!(f, "  program: {note}")?;
        }
        for Open { kind, name, for_ms, answering } in &self.open {
            let answering = if *answering { ", being answered" } else { "" };
            writeln!(f, "  open: {kind} {name} for {}.{:03} s{answering}", for_ms / 1_000, for_ms % 1_000)?;
        }
        if !self.calibration.is_empty() {
            writeln!(f, "  evidence: {}", self.calibration)?;
        }
        for (title, counts) in [("parents by", &self.links), ("no parent:", &self.unparented)] {
            for count in counts.iter().filter(|count| count.value > 0) {
                writeln!(f, "  {title} {:<28} {}", count.name, count.value)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
