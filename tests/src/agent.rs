//! The agent under test: the released binary, started as a person would start it.
//!
//! Shape: flags → [`Agent`] (ready, its spans as they come) → [`Finished`] (all spans, counters, log). Contract: `ready`
//! on stderr, OTLP/JSON lines on stdout and nothing else there, SIGTERM flushes and exits 0.
use crate::{
    expect::Expected,
    process::{Process, command},
    span::{Span, parse_line},
    wait::{Lines, PATIENCE},
};
use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;
use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

/// How the agent is to be started.
#[derive(Debug)]
pub struct Start {
    command: Command,
    exporter: &'static str,
    into: Option<PathBuf>,
}

/// A running agent.
#[derive(Debug)]
pub struct Agent {
    /// The process itself.
    pub process: Process,
    /// From start to `ready`.
    pub start_time: Duration,
    /// How it sees socket calls: `tracepoints`, `fentry`, `kprobe` or `syscalls`.
    pub kind: String,
    into: Option<PathBuf>,
}

/// An agent that has stopped in order.
#[derive(Debug)]
pub struct Finished {
    /// Every span it printed.
    pub spans: Vec<Span>,
    /// What it wrote to stderr, counters included.
    pub log: Vec<String>,
}

impl Start {
    /// `wirespan run -v --exporter json`.
    pub fn new(binary: &Path) -> Start {
        let mut command = command(binary);
        command.args(["run", "-v"]);
        Start { command, exporter: "json", into: None }
    }

    /// The same, as the last program of another command: one that takes privileges away, or hides files.
    pub fn within(wrapper: &[&str], binary: &Path) -> Start {
        let Some((first, rest)) = wrapper.split_first() else { return Start::new(binary) };
        let mut command = command(first);
        command.args(rest).arg(binary).args(["run", "-v"]);
        Start { command, exporter: "json", into: None }
    }

    /// `wirespan record FILE` instead of `run`: no spans come of it.
    pub fn recording(binary: &Path, file: &Path) -> Start {
        let mut command = command(binary);
        command.arg("record").arg(file).arg("-v");
        Start { command, exporter: "json", into: None }
    }

    /// Another exporter instead: then no spans can be read here.
    pub fn exporter(self, exporter: &'static str) -> Start {
        Start { exporter, ..self }
    }

    /// Observe what listens on that port.
    pub fn port(self, port: u16) -> Start {
        self.flag("--port", &port.to_string())
    }

    /// Observe that process.
    pub fn pid(self, pid: u32) -> Start {
        self.flag("--pid", &pid.to_string())
    }

    /// Observe programs with such a path.
    pub fn exe(self, glob: &str) -> Start {
        self.flag("--exe", glob)
    }

    /// Any other flag.
    pub fn flag(mut self, name: &str, value: &str) -> Start {
        self.command.args([name, value]);
        self
    }

    /// An environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Start {
        self.command.env(name, value);
        self
    }

    /// Spans go to a file and are read when the agent has stopped: for loads where reading would disturb.
    pub fn into_file(mut self, path: PathBuf) -> Start {
        self.into = Some(path);
        self
    }

    /// Starts it and waits until it is ready.
    pub fn start(mut self) -> Result<Agent> {
        self.command.args(["--exporter", self.exporter]);
        let started = Instant::now();
        let mut process = match &self.into {
            None => Process::start("wirespan", &mut self.command)?,
            Some(path) => Process::start_into_file("wirespan", &mut self.command, File::create(path)?)?,
        };
        let ready = process.wait_for_line("`ready`", |line| line.split_whitespace().any(is_ready))?;
        Ok(Agent { process, start_time: started.elapsed(), kind: kind(&ready), into: self.into })
    }
}

/// The message is the word `ready`, with whatever colours and JSON around it.
fn is_ready(word: &str) -> bool {
    word.trim_matches(|c: char| !c.is_alphanumeric()) == "ready" || word.contains("\"ready\"")
}

/// `… ready … hooks=fentry …`, with whatever colours.
fn kind(ready: &str) -> String {
    const KINDS: [&str; 4] = ["tracepoints", "fentry", "kprobe", "syscalls"];
    KINDS.into_iter().find(|kind| ready.contains(kind)).unwrap_or_default().to_owned()
}

impl Agent {
    /// The spans so far.
    pub fn spans(&self) -> Result<Vec<Span>> {
        self.process.stdout.look(spans_of)
    }

    /// Waits for the span; a failure names the nearest one, and what was lost.
    pub fn expect(&self, wanted: &Expected) -> Result<Span> {
        let mut read = Read::default();
        let found = self.process.stdout.wait(PATIENCE, |lines| match read.more(lines) {
            Err(error) => Some(Err(error)),
            Ok(()) => match read.spans.iter().find(|span| wanted.is(span)) {
                Some(span) => Some(Ok(span.clone())),
                None => lines.closed.then(|| bail!("the agent has ended")),
            },
        });
        match found {
            Some(Ok(span)) => Ok(span),
            Some(Err(error)) => Err(error.context(wanted.explain(&read.spans) + &self.process.last_words())),
            None => bail!("{}{}{}", wanted.explain(&read.spans), self.last_losses(), self.stderr_tail()),
        }
    }

    /// Ends the agent for what it has counted.
    fn last_losses(&self) -> String {
        if let Err(error) = self.process.signal(Signal::TERM) {
            return format!("\n  what was lost is not known: {error:#}");
        }
        self.process.stderr.wait(PATIENCE, |lines| lines.closed.then_some(()));
        let losses = self.process.stderr.look(|lines| {
            let is_loss = |line: &&String| counter_of(line).is_some_and(|row| row.class == "loss");
            lines.lines.iter().filter(is_loss).map(|line| format!("\n    {line}")).collect::<String>()
        });
        format!("\n  what was lost:{losses}")
    }

    /// Waits until there are that many such spans.
    pub fn expect_count(&self, wanted: &Expected, count: usize) -> Result<Vec<Span>> {
        let mut read = Read::default();
        let found = self.process.stdout.wait(PATIENCE, |lines| {
            if let Err(error) = read.more(lines) {
                return Some(Err(error));
            }
            let found: Vec<Span> = read.spans.iter().filter(|span| wanted.is(span)).cloned().collect();
            (found.len() >= count).then_some(Ok(found))
        });
        let found = match found {
            Some(found) => found?,
            None => read.spans.iter().filter(|span| wanted.is(span)).cloned().collect(),
        };
        ensure!(
            found.len() == count,
            "{} spans instead of {count}: {}",
            found.len(),
            wanted.explain(&read.spans)
        );
        Ok(found)
    }

    /// SIGTERM, flush, exit 0.
    pub fn stop(self) -> Result<Finished> {
        let mut spans = Vec::new();
        let mut finished = self.stop_and_visit(&mut |span| spans.push(span))?;
        finished.spans = spans;
        Ok(finished)
    }

    /// The same, but spans are handed over one by one and none is kept: for loads.
    pub fn stop_and_visit(mut self, visit: &mut dyn FnMut(Span)) -> Result<Finished> {
        self.process.signal(Signal::TERM)?;
        let status = self.process.wait(PATIENCE).with_context(|| self.stderr_tail())?;
        ensure!(status.code() == Some(0), "the agent ended with {status}{}", self.stderr_tail());
        self.process.stdout.wait(PATIENCE, |lines| (lines.closed || self.into.is_some()).then_some(()));
        self.process.stderr.wait(PATIENCE, |lines| lines.closed.then_some(()));
        match &self.into {
            None => self.spans()?.into_iter().for_each(visit),
            Some(path) => {
                for line in BufReader::new(File::open(path)?).lines() {
                    parse_line(&line?)?.into_iter().for_each(&mut *visit);
                }
            }
        }
        let log = self.process.stderr.look(|lines| lines.lines.iter().cloned().collect());
        Ok(Finished { spans: Vec::new(), log })
    }

    /// SIGKILL: nothing is flushed.
    pub fn kill(mut self) -> Result<()> {
        self.process.signal(Signal::KILL)?;
        self.process.wait(PATIENCE)?;
        Ok(())
    }

    fn stderr_tail(&self) -> String {
        format!("\n  last lines of wirespan on stderr:\n{}", self.process.stderr.look(|lines| lines.tail(15)))
    }
}

impl Finished {
    /// The one span that is as wanted: none and two are failures.
    pub fn only(&self, wanted: &Expected) -> Result<&Span> {
        let found: Vec<&Span> = self.spans.iter().filter(|span| wanted.is(span)).collect();
        match found.as_slice() {
            [span] => Ok(span),
            [] => bail!("{}", wanted.explain(&self.spans)),
            [first, ..] => bail!("{} spans are the same request: {first}", found.len()),
        }
    }

    /// A counter by `room.name`, as printed at the end; 0 if it was not, because only counters that moved are printed.
    pub fn counter(&self, name: &str) -> u64 {
        self.counters().find(|row| row.name == name).map_or(0, |row| row.value)
    }

    /// Everything of one class that was counted: `loss`, `unparented`, ….
    pub fn of_class(&self, class: &str) -> Vec<Counted<'_>> {
        self.counters().filter(|row| row.class == class).collect()
    }

    fn counters(&self) -> impl Iterator<Item = Counted<'_>> {
        self.log.iter().filter_map(|line| counter_of(line))
    }
}

/// A counter as the agent prints it with `-v`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted<'a> {
    /// `work`, `link`, `unparented`, `skip` or `loss`.
    pub class: &'a str,
    /// `room.name`.
    pub name: &'a str,
    /// How many.
    pub value: u64,
}

/// `loss  assemble.gaps  7 bytes  Bytes that never came.`
fn counter_of(line: &str) -> Option<Counted<'_>> {
    let mut words = line.split_whitespace();
    let (class, name, value) = (words.next()?, words.next()?, words.next()?.parse().ok()?);
    let known = ["work", "link", "unparented", "skip", "loss"].contains(&class) && name.contains('.');
    known.then_some(Counted { class, name, value })
}

/// Spans that were already parsed are not parsed again while waiting.
#[derive(Default)]
struct Read {
    seen: usize,
    spans: Vec<Span>,
}

impl Read {
    fn more(&mut self, lines: &Lines) -> Result<()> {
        for line in lines.lines.iter().skip(self.seen) {
            self.spans.extend(parse_line(line)?);
        }
        self.seen = lines.lines.len();
        Ok(())
    }
}

fn spans_of(lines: &Lines) -> Result<Vec<Span>> {
    let mut read = Read::default();
    read.more(lines)?;
    Ok(read.spans)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{expect::server, span::tests::LINE};

    /// A shell script in the agent's place.
    fn fake(script: &str) -> Result<Agent> {
        let mut command = command("sh");
        command.args(["-c", script]);
        Start { command, exporter: "json", into: None }.start()
    }

    #[test]
    fn a_span_is_found_as_soon_as_it_is_printed_and_the_end_is_in_order() {
        let script = format!(
            "trap 'echo loss assemble.gaps 3 bytes Lost. >&2; exit 0' TERM; echo '{LINE}'; echo INFO ready >&2; while :; do sleep 0.01; done"
        );
        let agent = fake(&script).unwrap();
        assert_eq!(agent.expect(&server("GET").path("/a")).unwrap().trace_state, "a=b");
        let finished = agent.stop().unwrap();
        assert!(finished.only(&server("GET")).is_ok());
        assert_eq!((finished.counter("assemble.gaps"), finished.counter("assemble.other")), (3, 0));
        assert_eq!(finished.of_class("loss").len(), 1);
    }

    #[test]
    fn an_agent_that_cannot_start_is_shown_with_its_reason() {
        let error = fake("echo no BTF here >&2; exit 1").unwrap_err().to_string();
        assert!(error.contains("never wrote `ready`") && error.contains("no BTF here"), "{error}");
    }

    #[test]
    fn anything_but_otlp_on_stdout_is_a_failure() {
        let agent = fake("echo hello; echo ready >&2; sleep 100").unwrap();
        let error = format!("{:#}", agent.expect(&server("GET")).unwrap_err());
        assert!(error.contains("not JSON: hello"), "{error}");
    }
}
