//! The agent beside the shop: the same binary and the same command that a user runs.
//!
//! Shape: the services' pids → `wirespan run --pid … --exporter json`; its stdout lines → spans in the ledger.
//! Ready when its log says so; its log is kept in a file.
use super::{
    otlp::{self, Span},
    process::{self, Process},
    stop::Stop,
};
use crate::setup::log::tail;
use anyhow::{Context, Result, bail, ensure};
use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{ChildStderr, ChildStdout},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// How long the agent may take until everything that runs is attached.
const START: Duration = Duration::from_secs(30);

/// The running agent.
pub(super) struct Agent {
    process: Process,
    readers: Vec<JoinHandle<()>>,
    failure: Arc<Mutex<Option<String>>>,
    log: PathBuf,
}

impl Agent {
    /// Starts it on these processes and waits until it is ready. Every span goes to `sink`, its log to a file.
    pub(super) fn start(
        binary: &Path,
        pids: &[u32],
        log: PathBuf,
        stop: &Stop,
        sink: impl FnMut(Span) + Send + 'static,
    ) -> Result<Agent> {
        let started = Instant::now();
        let mut command = process::command(binary);
        command.arg("run");
        for pid in pids {
            command.args(["--pid", &pid.to_string()]);
        }
        command.args(["--exporter", "json"]);
        let (process, stdout, stderr) = Process::piped("wirespan", command)?;

        let ready = Arc::new(AtomicBool::new(false));
        let failure = Arc::new(Mutex::new(None));
        let readers = vec![
            follow_log(stderr, &log, Arc::clone(&ready))?,
            follow_spans(stdout, sink, Arc::clone(&failure)),
        ];
        let mut agent = Agent { process, readers, failure, log };
        let mut ended = None;
        stop.wait(START, || {
            ended = agent.process.ended();
            ended.is_some() || ready.load(Ordering::Acquire)
        });
        if !ready.load(Ordering::Acquire) {
            let how = ended.map_or("was not ready in time".into(), |status| format!("ended with {status}"));
            // Its last words are complete only once it has ended and its pipes are empty.
            agent.process.stop();
            agent.join();
            ensure!(!stop.is_set(), "stopped before the agent was ready");
            bail!("the agent {how}; it said:\n{}", agent.last_words());
        }
        println!("demo: wirespan is ready after {} ms", started.elapsed().as_millis());
        Ok(agent)
    }

    /// An error if it has ended by itself or said something that is no OTLP/JSON.
    pub(super) fn check(&mut self) -> Result<()> {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        ensure!(failure.is_none(), "wirespan: {}", failure.unwrap_or_default());
        match self.process.ended() {
            Some(status) => bail!("wirespan ended by itself ({status}); it said:\n{}", self.last_words()),
            None => Ok(()),
        }
    }

    /// Asks it to end and reads what it still has to say. It must end well.
    pub(super) fn finish(mut self) -> Result<()> {
        let status = self.process.stop().context("wirespan did not end when it was asked to")?;
        self.join();
        ensure!(status.success(), "wirespan ended with {status}; it said:\n{}", self.last_words());
        Ok(())
    }

    fn join(&mut self) {
        for reader in self.readers.drain(..) {
            reader.join().ok();
        }
    }

    fn last_words(&self) -> String {
        tail(&self.log)
    }
}

/// Writes the agent's log to a file and watches for the line that says it is ready.
fn follow_log(stderr: ChildStderr, log: &Path, ready: Arc<AtomicBool>) -> Result<JoinHandle<()>> {
    let mut file = File::create(log).with_context(|| format!("create {}", log.display()))?;
    Ok(thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(std::result::Result::ok) {
            if says_ready(&line) {
                ready.store(true, Ordering::Release);
            }
            writeln!(file, "{line}").ok();
        }
    }))
}

/// The message of a log line is a word of its own: ` INFO wirespan::pipeline: ready processes=4`.
fn says_ready(line: &str) -> bool {
    line.split_whitespace().any(|word| word == "ready")
}

fn follow_spans(
    stdout: ChildStdout,
    mut sink: impl FnMut(Span) + Send + 'static,
    failure: Arc<Mutex<Option<String>>>,
) -> JoinHandle<()> {
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(std::result::Result::ok) {
            match otlp::spans(&line) {
                Ok(spans) => spans.into_iter().for_each(&mut sink),
                Err(error) => {
                    let said = format!("{error:#}: {}", line.chars().take(200).collect::<String>());
                    *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(said);
                }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt};

    const SPAN: &str = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"aa","spanId":"01","name":"GET","kind":2,"startTimeUnixNano":"1","endTimeUnixNano":"2","attributes":[{"key":"url.path","value":{"stringValue":"/a"}},{"key":"http.request.method","value":{"stringValue":"GET"}}]}]}]}]}"#;

    /// Starts a shell script in the agent's place. What came of it, and the paths of the spans.
    fn played(script: &str) -> (Result<()>, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        let binary = folder.path().join("wirespan");
        fs::write(&binary, format!("#!/bin/sh\n{script}")).unwrap();
        fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).unwrap();
        let paths = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&paths);
        let log = folder.path().join("log");
        let agent = Agent::start(&binary, &[7], log, &Stop::never(), move |span| {
            sink.lock().unwrap().push(span.path)
        });
        let outcome = agent.and_then(Agent::finish);
        let paths = paths.lock().unwrap().clone();
        (outcome, paths)
    }

    #[test]
    fn what_the_agent_still_says_after_it_was_asked_to_end_is_read() {
        let script = format!(
            "trap 'echo '\\''{SPAN}'\\''; exit 0' TERM\necho INFO ready 1>&2\nwhile :; do read x; sleep 0.01; done"
        );
        let (outcome, paths) = played(&script);
        outcome.unwrap();
        assert_eq!(paths, ["/a"]);
    }

    #[test]
    fn an_agent_that_cannot_start_is_quoted() {
        let (outcome, _) = played("echo 'no BTF: /sys/kernel/btf/vmlinux' 1>&2\nexit 1");
        let error = format!("{:#}", outcome.unwrap_err());
        assert_eq!(error, "the agent ended with exit status: 1; it said:\nno BTF: /sys/kernel/btf/vmlinux");
    }

    #[test]
    fn an_agent_that_does_not_end_well_is_an_error() {
        let (outcome, _) = played("trap 'exit 3' TERM\necho INFO ready 1>&2\nwhile :; do sleep 0.01; done");
        let error = format!("{:#}", outcome.unwrap_err());
        // The shell may add that it was asked to end.
        assert!(error.starts_with("wirespan ended with exit status: 3; it said:\nINFO ready"), "{error}");
    }
}
