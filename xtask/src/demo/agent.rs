//! The agent beside the shop: the same binary and the same command that a user runs.
//!
//! Shape: the services' pids → `wirespan run --pid … --exporter json`; its stdout lines → spans in the ledger.
//! Ready when its log says so; its log is kept in a file.
use super::{
    Shop,
    otlp::{self, Span},
    process::{self, Process},
    stop::Stop,
};
use crate::setup::log::tail;
use anyhow::{Context, Result, ensure};
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
    /// Starts it on the services of `shop` and waits until it is ready. Every span goes to `sink`.
    pub(super) fn start(
        binary: &Path,
        shop: &Shop,
        stop: &Stop,
        sink: impl FnMut(Span) + Send + 'static,
    ) -> Result<Agent> {
        let started = Instant::now();
        let mut command = process::command(binary);
        command.arg("run");
        for service in &shop.services {
            command.args(["--pid", &service.process.pid().to_string()]);
        }
        command.args(["--exporter", "json"]);
        let (process, stdout, stderr) = Process::piped("wirespan", command)?;

        let log = shop.logs.join("wirespan.log");
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
            ensure!(stop.is_set(), "the agent {how}; it said:\n{}", agent.last_words());
        }
        println!("demo: wirespan is ready after {} ms", started.elapsed().as_millis());
        Ok(agent)
    }

    /// An error if it has ended by itself or said something that is no OTLP/JSON.
    pub(super) fn check(&mut self) -> Result<()> {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        ensure!(failure.is_none(), "wirespan: {}", failure.unwrap_or_default());
        let ended = self.process.ended();
        ensure!(ended.is_none(), "wirespan ended by itself; it said:\n{}", self.last_words());
        Ok(())
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
