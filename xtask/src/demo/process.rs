//! Programs that the demo starts, and ends whatever happens to itself.
//!
//! Shape: a command → a running process in its own group, its output in a file or a pipe; dropping it ends the group.
//! Should the demo be killed, the kernel ends the process (`setpriv --pdeathsig`): no port stays taken.
use crate::setup::log::tail;
use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process_group};
use std::{
    fs::File,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

/// How long a process may take to end after it was asked to.
const PATIENCE: Duration = Duration::from_secs(5);

/// Variables that configure the agent or an SDK.
const OURS: [&str; 2] = ["OTEL_", "WIRESPAN_"];

/// A running process and all it started.
pub(super) struct Process {
    name: String,
    child: Child,
    log: Option<PathBuf>,
}

/// `program`, as a command that ends with the demo. Start it on the main thread: the kernel watches that one.
pub(super) fn command(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program).stdin(Stdio::null()).process_group(0);
    // What the user's shell says of telemetry is meant for other programs: one name for all services, or no sampling.
    for (name, _) in std::env::vars_os() {
        if OURS.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            command.env_remove(name);
        }
    }
    command
}

impl Process {
    /// Starts it with both outputs in the file `log`.
    pub(super) fn logged(name: &str, mut command: Command, log: PathBuf) -> Result<Process> {
        let file = File::create(&log).with_context(|| format!("create {}", log.display()))?;
        command.stdout(file.try_clone()?).stderr(file);
        let child = command.spawn().with_context(|| format!("start {name}"))?;
        Ok(Process { name: name.into(), child, log: Some(log) })
    }

    /// Starts it with both outputs as pipes.
    pub(super) fn piped(name: &str, mut command: Command) -> Result<(Process, ChildStdout, ChildStderr)> {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("start {name}"))?;
        let outputs = child.stdout.take().zip(child.stderr.take());
        let process = Process { name: name.into(), child, log: None };
        let (stdout, stderr) = outputs.context("pipes of a child")?;
        Ok((process, stdout, stderr))
    }

    /// Its number; that of its group as well.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// The last lines it wrote, for an error message.
    pub(super) fn last_words(&self) -> String {
        self.log.as_deref().map(tail).unwrap_or_default()
    }

    /// Asks it to end, waits, and ends it. How it ended; none if it had to be killed.
    pub(super) fn stop(&mut self) -> Option<ExitStatus> {
        if let Some(status) = self.ended() {
            return Some(status);
        }
        self.signal(Signal::TERM);
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.ended() {
                return Some(status);
            }
            thread::park_timeout(Duration::from_millis(10));
        }
        self.signal(Signal::KILL);
        self.child.wait().ok();
        None
    }

    fn signal(&self, signal: Signal) {
        let group = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let sent = group.map(|group| kill_process_group(group, signal));
        if let Some(Err(error)) = sent {
            eprintln!("demo: cannot end {}: {error}", self.name);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}
