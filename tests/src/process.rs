//! Real programs as guards: each in its own process group, gone when its value is dropped.
//!
//! Shape: a `Command` → [`Process`] with its output as lines to wait on. A program also dies with the runner
//! (`setpriv --pdeathsig`), so an interrupted run leaves nothing behind.
use crate::wait::{Feed, Lines, PATIENCE, eventually};
use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::{
    ffi::OsStr,
    fmt::Write,
    fs::File,
    io::{BufRead, BufReader, Read},
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    time::Duration,
};

/// A running program.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    /// What it writes to stdout, unless that goes to a file.
    pub stdout: Feed<Lines>,
    /// What it writes to stderr.
    pub stderr: Feed<Lines>,
}

/// A program that dies with us. Arguments and environment can still be added.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program).stdin(Stdio::null()).process_group(0);
    command
}

impl Process {
    /// Starts it and reads both of its outputs as lines.
    pub fn start(name: &str, command: &mut Command) -> Result<Process> {
        let out = Feed::default();
        let process = Process::spawn(name, command.stdout(Stdio::piped()), out)?;
        Ok(process)
    }

    /// Starts it with its stdout in a file: for output that is too much to read while something is measured.
    pub fn start_into_file(name: &str, command: &mut Command, stdout: File) -> Result<Process> {
        Process::spawn(name, command.stdout(stdout), Feed::default())
    }

    fn spawn(name: &str, command: &mut Command, stdout: Feed<Lines>) -> Result<Process> {
        command.stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("start {name}"))?;
        if let Some(pipe) = child.stdout.take() {
            read_lines(pipe, stdout.clone());
        }
        let stderr = Feed::default();
        if let Some(pipe) = child.stderr.take() {
            read_lines(pipe, stderr.clone());
        }
        Ok(Process { name: name.to_owned(), child, stdout, stderr })
    }

    /// Its name in failures.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id: `setpriv` has become the program by exec.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its stdin, if the command asked for a pipe; once.
    pub fn stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// Sends one signal to it alone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(self.rustix_pid()?, signal).with_context(|| format!("signal {}", self.name))
    }

    /// Still running?
    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Waits until it has ended by itself.
    pub fn wait(&mut self, within: Duration) -> Result<ExitStatus> {
        let name = self.name.clone();
        eventually(&format!("the end of {name}"), within, || Ok(self.child.try_wait()?))
    }

    /// Waits for a line on stderr.
    pub fn wait_for_line(&mut self, what: &str, wanted: impl Fn(&str) -> bool) -> Result<String> {
        let found = self.stderr.wait(PATIENCE, |lines| {
            let line = lines.lines.iter().find(|line| wanted(line)).cloned();
            (line.is_some() || lines.closed).then_some(line)
        });
        match found.flatten() {
            Some(line) => Ok(line),
            None => bail!("{} never wrote {what}{}", self.name, self.last_words()),
        }
    }

    /// The last lines of both outputs, for a failure's text.
    pub fn last_words(&self) -> String {
        let mut text = String::new();
        for (stream, feed) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            let tail = feed.look(|lines| lines.tail(15));
            if !tail.is_empty() {
                let _ = write!(text, "\n  last lines of {} on {stream}:\n{}", self.name, tail.trim_end());
            }
        }
        text
    }

    /// Resident memory in bytes, from `/proc/PID/smaps_rollup`, so that it is exact.
    pub fn resident_bytes(&self) -> Result<u64> {
        let path = PathBuf::from(format!("/proc/{}/smaps_rollup", self.pid()));
        let text = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let line = text.lines().find_map(|line| line.strip_prefix("Rss:"));
        let kib = line.and_then(|rest| rest.trim().strip_suffix("kB")).context("no Rss line")?;
        Ok(kib.trim().parse::<u64>()? * 1024)
    }

    fn rustix_pid(&self) -> Result<Pid> {
        Pid::from_raw(i32::try_from(self.pid())?).context("a process id is positive")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A pid that was waited for may belong to somebody else by now.
        if matches!(self.child.try_wait(), Ok(None)) {
            if let Ok(pid) = self.rustix_pid() {
                let _ = kill_process_group(pid, Signal::KILL);
            }
            let _ = self.child.wait();
        }
    }
}

/// Runs it to its end and gives its output; fails unless it exits with `code`.
pub fn output(command: &mut Command, code: i32) -> Result<(String, String)> {
    let shown = format!("{command:?}");
    let output = command.output().with_context(|| format!("start {shown}"))?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let status = output.status;
    ensure!(
        status.code() == Some(code),
        "{shown}: {status}, not {code}\n  stdout: {stdout}\n  stderr: {stderr}"
    );
    Ok((stdout, stderr))
}

fn read_lines(pipe: impl Read + Send + 'static, feed: Feed<Lines>) {
    std::thread::spawn(move || {
        let mut reader = BufReader::new(pipe);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            let text = String::from_utf8_lossy(line.trim_ascii_end()).into_owned();
            feed.update(|lines| lines.push(text));
            line.clear();
        }
        feed.update(|lines| lines.closed = true);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_process_is_gone_with_its_children() {
        let mut shell = command("sh");
        let process = Process::start("shell", shell.args(["-c", "sleep 1000 & echo $! >&2; wait"])).unwrap();
        let mut process = process;
        let child = process.wait_for_line("a pid", |line| line.parse::<u32>().is_ok()).unwrap();
        drop(process);
        let gone = |_: ()| (!std::path::Path::new(&format!("/proc/{child}/exe")).exists()).then_some(());
        eventually("the child's end", PATIENCE, || Ok(gone(()))).unwrap();
    }

    #[test]
    fn a_program_that_never_says_it_is_shown_with_its_last_words() {
        let mut shell = command("sh");
        let mut process = Process::start("shell", shell.args(["-c", "echo out; echo broken >&2"])).unwrap();
        process.wait(PATIENCE).unwrap();
        let error = process.wait_for_line("`ready`", |line| line == "ready").unwrap_err().to_string();
        assert!(error.starts_with("shell never wrote `ready`"), "{error}");
        assert!(error.ends_with("last lines of shell on stderr:\n    broken"), "{error}");
    }
}
