//! The selectors: pure decisions about one process.
//!
//! Shape: [`Program`] and what it listens on → [`Verdict`]. No selector means every process.
use crate::kubernetes::{By, No};
use globset::GlobSet;
use std::{collections::BTreeSet, fmt};

/// What a process runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    /// The executable's path, in its own mount namespace; the name as executed when `/proc` was too late.
    pub exe: String,
    /// Arguments, the program's name first; cut when they come from an exec record.
    pub args: Vec<String>,
    /// The parent's pid, 0 if unknown.
    pub parent: u32,
    /// A thread of the kernel.
    pub is_kernel_thread: bool,
    /// The executable itself: device and inode. None if it could not be looked at.
    pub file: Option<(u64, u64)>,
}

impl Program {
    /// Both run the same executable, whatever it is called.
    pub fn is_same_as(&self, other: &Program) -> bool {
        self.file.is_some() && self.file == other.file
    }
}

/// Whom the user wants.
#[derive(Clone, Debug, Default)]
pub struct Select {
    /// These processes, their children and what those execute.
    pub pids: BTreeSet<u32>,
    /// Executables by path or by file name.
    pub exes: Option<GlobSet>,
    /// Processes that listen on one of these ports, and those that they start to do the same work: they may be handed connections, or the
    /// socket that listens, without listening themselves.
    pub ports: BTreeSet<u16>,
    /// The agent itself.
    pub own_pid: u32,
    /// Local ports at which the collector listens: whoever does is never observed.
    pub collector_ports: BTreeSet<u16>,
}

/// Why a process is observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// No selector was given.
    Everything,
    /// By pid.
    Pid,
    /// By executable.
    Exe,
    /// It listens on this port.
    Port(u16),
    /// Its parent, of this pid, is, and it runs the same program.
    ChildOf(u32),
    /// Kubernetes says so, and no selector was given.
    Labelled(By),
}

/// Why a process is not observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skip {
    /// The agent never observes itself.
    Agent,
    /// It listens where spans are sent to.
    Collector(u16),
    /// No selector matches.
    NotSelected,
    /// Not a program.
    KernelThread,
    /// Kubernetes does not say so.
    InKubernetes(No),
    /// In Kubernetes: it was over before its pod could be read.
    Unplaced,
}

/// Who started a process.
#[derive(Clone, Copy, Debug)]
pub struct Parent<'a> {
    /// What it runs.
    pub program: &'a Program,
    /// What was decided of it.
    pub verdict: Verdict,
}

/// The decision about one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Its bytes are used.
    Observe(Why),
    /// Its bytes are not even copied.
    Ignore(Skip),
}

impl Verdict {
    /// Are its bytes used?
    pub fn is_observe(self) -> bool {
        matches!(self, Verdict::Observe(_))
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Everything => f.write_str("no selector was given, so every process is"),
            Why::Pid => f.write_str("chosen by --pid"),
            Why::Exe => f.write_str("chosen by --exe"),
            Why::Port(port) => write!(f, "it listens on port {port}, chosen by --port"),
            Why::ChildOf(pid) => {
                write!(f, "it runs the same program as the observed process {pid}, its parent")
            }
            Why::Labelled(by) => by.fmt(f),
        }
    }
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Skip::Agent => f.write_str("it is this agent"),
            Skip::Collector(port) => {
                write!(f, "it is the collector: it listens on port {port}, where spans go")
            }
            Skip::NotSelected => f.write_str("no --pid, --exe or --port matches it"),
            Skip::KernelThread => f.write_str("it is a kernel thread"),
            Skip::InKubernetes(no) => no.fmt(f),
            Skip::Unplaced => f.write_str("it was over before it could be read which pod it ran in"),
        }
    }
}

impl Select {
    /// A process that already runs, with the ports it listens on.
    pub fn running(
        &self,
        pid: u32,
        program: &Program,
        listens: &[u16],
        parent: Option<Parent<'_>>,
    ) -> Verdict {
        if pid == self.own_pid {
            return Verdict::Ignore(Skip::Agent);
        }
        if program.is_kernel_thread {
            return Verdict::Ignore(Skip::KernelThread);
        }
        if let Some(port) = listens.iter().find(|port| self.collector_ports.contains(port)) {
            return Verdict::Ignore(Skip::Collector(*port));
        }
        if let Some(port) = listens.iter().find(|port| self.ports.contains(port)) {
            return Verdict::Observe(Why::Port(*port));
        }
        self.executed(pid, program, parent)
    }

    /// A program that has just been executed: it listens on nothing yet.
    pub fn executed(&self, pid: u32, program: &Program, parent: Option<Parent<'_>>) -> Verdict {
        if pid == self.own_pid {
            return Verdict::Ignore(Skip::Agent);
        }
        if self.pids.contains(&pid) {
            return Verdict::Observe(Why::Pid);
        }
        if self.pids.is_empty() && self.exes.is_none() && self.ports.is_empty() {
            return Verdict::Observe(Why::Everything);
        }
        if self.exes.as_ref().is_some_and(|globs| matches_exe(globs, program)) {
            return Verdict::Observe(Why::Exe);
        }
        match parent {
            Some(Parent { verdict: Verdict::Observe(Why::Pid), .. }) => Verdict::Observe(Why::Pid),
            Some(parent) if parent.verdict.is_observe() && parent.program.is_same_as(program) => {
                Verdict::Observe(Why::ChildOf(program.parent))
            }
            _ => Verdict::Ignore(Skip::NotSelected),
        }
    }

    /// A process with verdict `now` began to listen on `port`: the new verdict, if it changes.
    pub fn listening(&self, now: Verdict, port: u16) -> Option<Verdict> {
        if self.collector_ports.contains(&port) {
            return Some(Verdict::Ignore(Skip::Collector(port)));
        }
        let may_change = now == Verdict::Ignore(Skip::NotSelected);
        (may_change && self.ports.contains(&port)).then_some(Verdict::Observe(Why::Port(port)))
    }

    /// Is it needed to know who listens where?
    pub fn needs_ports(&self) -> bool {
        !self.ports.is_empty() || !self.collector_ports.is_empty()
    }
}

fn matches_exe(globs: &GlobSet, program: &Program) -> bool {
    let exe = program.exe.strip_suffix(" (deleted)").unwrap_or(&program.exe);
    let name = exe.rsplit('/').next().unwrap_or(exe);
    globs.is_match(exe) || globs.is_match(name)
}
