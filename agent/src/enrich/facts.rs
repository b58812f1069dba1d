//! What `/proc` says of a process, read once while it lives: spans often outlive their process.
//!
//! Shape: a proc root (real or fake) and a pid → [`ProcessFacts`]. Every file may vanish between two reads: what cannot be read
//! is absent, never an error. Source: proc_pid_cmdline(5), proc_pid_environ(5), proc_pid_stat(5).
//! Not here: whom to observe (see `discover`), what a service is called (see `name`).
//! Invariant: of the environment only the two standard variables are kept; everything else in it may be a secret.
use super::{
    container::{self, Container, Place},
    runtime::Runtime,
};
use crate::kubernetes::Identity;
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File},
    io::Read,
    os::unix::fs::MetadataExt,
    path::Path,
};
use wirespan_core::event::ProcessId;

/// Bytes read of an argument block or environment; the kernel allows megabytes, names sit at the front.
const BLOCK_BYTES: u64 = 128 * 1024;
/// Arguments kept: enough to find the script behind an interpreter's options.
const ARGS: usize = 256;
/// Bytes kept of one argument: a Java class path may have many kilobytes and names nothing.
const ARG_BYTES: usize = 4096;

/// What was known of a process while it lived; recordings carry it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessFacts {
    /// Identity.
    #[serde(with = "RecordedId")]
    pub id: ProcessId,
    /// The executable's path in the process's own mount namespace, or what the exec record said.
    pub exe: String,
    /// Arguments with the zeroth.
    pub args: Vec<String>,
    /// Name of the main thread as the kernel has it.
    pub comm: String,
    /// Working directory.
    pub cwd: Option<String>,
    /// `OTEL_SERVICE_NAME` of the process's own environment.
    pub otel_service_name: Option<String>,
    /// `OTEL_RESOURCE_ATTRIBUTES` of the process's own environment, as it stands there.
    pub otel_resource_attributes: Option<String>,
    /// What runs the program.
    pub runtime: Option<Runtime>,
    /// Parent.
    pub parent: Option<u32>,
    /// Real user id.
    pub uid: Option<u32>,
    /// Container around the process.
    #[serde(default)]
    pub container: Option<Container>,
    /// systemd service that the process belongs to, inside its container or of the machine.
    #[serde(default)]
    pub unit: Option<String>,
    /// What Kubernetes calls it.
    #[serde(default)]
    pub kubernetes: Option<Identity>,
}

/// A [`ProcessId`] as it stands in a recording.
#[derive(Serialize, Deserialize)]
#[serde(remote = "ProcessId")]
struct RecordedId {
    pid: u32,
    start_ticks: u32,
}

impl ProcessFacts {
    /// What an exec record alone says, for a process that is already gone.
    pub fn from_exec(id: ProcessId, exe: String, args: Vec<String>, parent: Option<u32>) -> ProcessFacts {
        let comm = file_name(&exe).to_owned();
        let runtime = Runtime::of_executable(&exe);
        ProcessFacts {
            id,
            exe,
            args,
            comm,
            cwd: None,
            otel_service_name: None,
            otel_resource_attributes: None,
            runtime,
            parent,
            uid: None,
            container: None,
            unit: None,
            kubernetes: None,
        }
    }
}

/// Reads a process, or `None` if there is none.
pub fn read(proc_root: &Path, pid: u32) -> Option<ProcessFacts> {
    let folder = proc_root.join(pid.to_string());
    let stat = Stat::parse(&read_text(&folder.join("stat"))?)?;
    let exe = fs::read_link(folder.join("exe")).map(|path| path.to_string_lossy().into_owned());
    let exe = exe.unwrap_or_else(|_| stat.comm.clone());
    let exe = exe.strip_suffix(" (deleted)").unwrap_or(&exe).to_owned();
    let environ = Environ::read(&folder.join("environ"));
    let runtime = Runtime::of_executable(&exe).or_else(|| Runtime::of_image(&folder.join("exe")));
    let Place { container, unit } = place(proc_root, pid);
    Some(ProcessFacts {
        id: ProcessId { pid, start_ticks: stat.start_ticks },
        args: blocks(&read_block(&folder.join("cmdline"))).take(ARGS).collect(),
        comm: stat.comm,
        cwd: fs::read_link(folder.join("cwd")).ok().map(|path| path.to_string_lossy().into_owned()),
        otel_service_name: environ.service_name,
        otel_resource_attributes: environ.resource_attributes,
        runtime,
        parent: Some(stat.parent),
        uid: uid(&folder),
        exe,
        container,
        unit,
        kubernetes: None,
    })
}

/// Where a process runs; reads nothing but its control groups.
pub fn place(proc_root: &Path, pid: u32) -> Place {
    let text = read_block(&proc_root.join(format!("{pid}/cgroup")));
    container::place(&String::from_utf8_lossy(&text))
}

/// The last component of a path, or all of it.
pub(super) fn file_name(path: &str) -> &str {
    path.trim_end_matches('/').rsplit('/').next().unwrap_or(path)
}

/// The fields of `/proc/PID/stat` that are used.
struct Stat {
    comm: String,
    parent: u32,
    start_ticks: u32,
}

impl Stat {
    /// The name stands in parentheses and may itself contain some: the last one ends it.
    fn parse(text: &str) -> Option<Stat> {
        let (head, tail) = text.rsplit_once(')')?;
        let (_, comm) = head.split_once('(')?;
        let mut fields = tail.split_ascii_whitespace();
        let parent = fields.nth(1)?.parse().ok()?;
        let start: u64 = fields.nth(17)?.parse().ok()?;
        Some(Stat { comm: comm.to_owned(), parent, start_ticks: start as u32 })
    }
}

/// The two variables that name a service by the OpenTelemetry specification.
#[derive(Default)]
struct Environ {
    service_name: Option<String>,
    resource_attributes: Option<String>,
}

impl Environ {
    fn read(path: &Path) -> Environ {
        let mut environ = Environ::default();
        for entry in blocks(&read_block(path)) {
            let Some((key, value)) = entry.split_once('=') else { continue };
            if value.is_empty() {
                continue;
            }
            match key {
                "OTEL_SERVICE_NAME" => environ.service_name = Some(value.to_owned()),
                "OTEL_RESOURCE_ATTRIBUTES" => environ.resource_attributes = Some(value.to_owned()),
                _ => {}
            }
        }
        environ
    }
}

/// NUL-separated texts, each cut to [`ARG_BYTES`].
fn blocks(bytes: &[u8]) -> impl Iterator<Item = String> {
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    let empty = bytes.is_empty();
    bytes
        .split(|byte| *byte == 0)
        .filter(move |_| !empty)
        .map(|block| String::from_utf8_lossy(block.get(..ARG_BYTES).unwrap_or(block)).into_owned())
}

fn read_text(path: &Path) -> Option<String> {
    Some(String::from_utf8_lossy(&fs::read(path).ok()?).into_owned())
}

fn read_block(path: &Path) -> Vec<u8> {
    let mut block = Vec::new();
    if let Ok(file) = File::open(path) {
        // A process may end between open and read: what was read so far is all there is.
        file.take(BLOCK_BYTES).read_to_end(&mut block).ok();
    }
    block
}

/// The real user id; the folder's owner is the effective one, which undumpable processes show as root.
fn uid(folder: &Path) -> Option<u32> {
    if let Some(status) = read_text(&folder.join("status")) {
        let line = status.lines().find_map(|line| line.strip_prefix("Uid:"));
        if let Some(uid) = line.and_then(|ids| ids.split_ascii_whitespace().next()) {
            return uid.parse().ok();
        }
    }
    fs::metadata(folder).ok().map(|folder| folder.uid())
}
