//! Reads processes from `/proc`, or from a folder that looks like it.
//!
//! Shape: pid → [`Found`]. Every file may vanish between two reads: what cannot be read is absent, never an error.
use super::select::{Program, Select};
use crate::kubernetes::Place;
use procfs::{
    net::TcpState,
    process::{FDTarget, Process},
};
use std::{
    collections::{HashMap, HashSet},
    fs,
    os::unix::fs::MetadataExt,
    path::PathBuf,
};
use wirespan_core::event::ProcessId;

/// Set in `stat.flags` of kernel threads: include/linux/sched.h `PF_KTHREAD`.
const PF_KTHREAD: u32 = 0x0020_0000;

/// Where `/proc` is.
#[derive(Clone, Debug)]
pub struct ProcRoot(pub PathBuf);

/// A process as `/proc` shows it.
#[derive(Clone, Debug)]
pub struct Found {
    /// Identity.
    pub id: ProcessId,
    /// What it runs.
    pub program: Program,
    /// Ports it listens on, in its own network namespace; only read when a selector asks.
    pub listens: Vec<u16>,
}

/// A process of which nothing is known but where it runs.
pub(super) struct Placed {
    /// Identity.
    pub(super) id: ProcessId,
    /// Its thread's name for an executable, and no arguments.
    pub(super) program: Program,
    /// Pod and container.
    pub(super) place: Place,
}

impl ProcRoot {
    /// Everything that runs; listening ports are read only if `select` needs them.
    pub fn all(&self, select: &Select) -> Vec<Found> {
        let mut listeners = Listeners::default();
        let mut found: Vec<Found> = Vec::new();
        for pid in self.pids() {
            let Some(mut process) = self.one(pid) else { continue };
            if select.needs_ports() && !process.program.is_kernel_thread {
                process.listens = listeners.of(self, pid);
            }
            found.push(process);
        }
        found
    }

    /// One process, without its ports.
    pub fn one(&self, pid: u32) -> Option<Found> {
        let process = Process::new_with_root(self.0.join(pid.to_string())).ok()?;
        let stat = process.stat().ok()?;
        let is_kernel_thread = stat.flags & PF_KTHREAD != 0;
        let exe = process.exe().map(|path| path.to_string_lossy().into_owned()).unwrap_or(stat.comm);
        // Followed into the process's own mounts, and found even if it was deleted.
        let file = fs::metadata(self.0.join(pid.to_string()).join("exe")).ok();
        let program = Program {
            exe,
            file: file.map(|file| (file.dev(), file.ino())),
            args: process.cmdline().unwrap_or_default(),
            parent: u32::try_from(stat.ppid).unwrap_or(0),
            is_kernel_thread,
        };
        let id = ProcessId { pid, start_ticks: stat.starttime as u32 };
        Some(Found { id, program, listens: Vec::new() })
    }

    /// What identifies a process and places it: its status line and its control groups, and nothing of its program.
    pub(super) fn placed(&self, pid: u32) -> Option<Placed> {
        let folder = self.0.join(pid.to_string());
        let stat = Process::new_with_root(folder.clone()).ok()?.stat().ok()?;
        let cgroups = fs::read_to_string(folder.join("cgroup")).unwrap_or_default();
        let program = Program {
            exe: stat.comm,
            parent: u32::try_from(stat.ppid).unwrap_or(0),
            is_kernel_thread: stat.flags & PF_KTHREAD != 0,
            ..Program::default()
        };
        let id = ProcessId { pid, start_ticks: stat.starttime as u32 };
        Some(Placed { id, program, place: Place::of(&cgroups) })
    }

    /// When a process started, if it still runs.
    pub fn start_ticks(&self, pid: u32) -> Option<u32> {
        let stat = Process::new_with_root(self.0.join(pid.to_string())).ok()?.stat().ok()?;
        Some(stat.starttime as u32)
    }

    /// Ports that one process listens on.
    pub fn listens(&self, pid: u32) -> Vec<u16> {
        Listeners::default().of(self, pid)
    }

    /// Everything that runs.
    pub(super) fn pids(&self) -> Vec<u32> {
        let Ok(entries) = fs::read_dir(&self.0) else { return Vec::new() };
        entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
    }
}

/// Listening sockets by network namespace: socket inode → port.
#[derive(Default)]
struct Listeners(HashMap<u64, HashMap<u64, u16>>);

impl Listeners {
    fn of(&mut self, root: &ProcRoot, pid: u32) -> Vec<u16> {
        let folder = root.0.join(pid.to_string());
        // Without the link (a fake root) every process has a namespace of its own.
        let namespace =
            fs::metadata(folder.join("ns/net")).map_or(u64::MAX - u64::from(pid), |net| net.ino());
        let Ok(process) = Process::new_with_root(folder) else { return Vec::new() };
        let sockets = self.0.entry(namespace).or_insert_with(|| listening_sockets(&process));
        if sockets.is_empty() {
            return Vec::new();
        }
        let Ok(fds) = process.fd() else { return Vec::new() };
        let ports: HashSet<u16> = fds
            .filter_map(|fd| match fd.ok()?.target {
                FDTarget::Socket(inode) => sockets.get(&inode).copied(),
                _ => None,
            })
            .collect();
        ports.into_iter().collect()
    }
}

fn listening_sockets(process: &Process) -> HashMap<u64, u16> {
    [process.tcp(), process.tcp6()]
        .into_iter()
        .flat_map(Result::unwrap_or_default)
        .filter(|entry| entry.state == TcpState::Listen)
        .map(|entry| (entry.inode, entry.local_address.port()))
        .collect()
}
