//! Nanoseconds that a probe adds to one system call: observed, not observed, and unrelated.
//!
//! Shape: the same process is measured again and again, while an agent comes and goes, by hook kind. Figures are
//! differences of the best rounds. Targets: 1.2 × what the prototype of the socket plane measured. A file's read is the same
//! call as a socket's to hooks on system calls: there it counts as a call that is not observed.
use super::figures::Figures;
use crate::{
    agent::Agent,
    process::Process,
    wait::{PATIENCE, eventually},
    world::{World, free_port, own_binary},
};
use anyhow::{Context, Result};
use serde_json::Value;
use std::{
    io::Write,
    process::{ChildStdin, Stdio},
    time::Duration,
};

/// Repetitions of the whole, interleaved.
const ROUNDS: usize = 8;
/// Batches per measurement, of which the best counts.
const BATCHES: u32 = 25;

/// A hook kind and its targets in nanoseconds: observed, not observed, a file's read, other calls.
const KINDS: [(&str, [f64; 4]); 2] =
    [("tracepoints", [540.0, 132.0, 10.0, 10.0]), ("syscalls", [1140.0, 396.0, 396.0, 60.0])];

/// The best nanoseconds per call.
#[derive(Clone, Copy)]
struct Cost {
    socket: f64,
    file: f64,
    getppid: f64,
}

impl Cost {
    const WORST: Cost = Cost { socket: f64::MAX, file: f64::MAX, getppid: f64::MAX };

    fn best(self, other: Cost) -> Cost {
        Cost {
            socket: self.socket.min(other.socket),
            file: self.file.min(other.file),
            getppid: self.getppid.min(other.getppid),
        }
    }
}

/// The measured process and the pipe that asks it.
struct Subject {
    port: u16,
    ask: ChildStdin,
    answers: usize,
}

pub(super) fn run(world: &mut World, figures: &mut Figures) -> Result<()> {
    let port = free_port()?;
    let mut program = crate::process::command(own_binary("socket-cost")?);
    let process = world.start("socket-cost", program.arg(port.to_string()).stdin(Stdio::piped()))?;
    let ask = process.stdin().context("a pipe to the measured process")?;
    let answers = process.stdout.clone();
    let mut subject = Subject { port, ask, answers: 0 };
    let measure = |subject: &mut Subject| -> Result<Cost> {
        writeln!(subject.ask, "{BATCHES}")?;
        subject.answers += 1;
        let count = subject.answers;
        let line = answers.wait(Duration::from_secs(60), |lines| {
            (lines.lines.len() >= count).then(|| lines.lines.back().cloned())
        });
        cost_of(&line.flatten().context("the measured process does not answer")?)
    };

    measure(&mut subject)?;
    let mut none = Cost::WORST;
    let mut observed = [Cost::WORST; KINDS.len()];
    let mut ignored = [Cost::WORST; KINDS.len()];
    let other_port = free_port()?;
    for _ in 0..ROUNDS {
        none = none.best(measure(&mut subject)?);
        for (at, (kind, _)) in KINDS.iter().enumerate() {
            for (port, costs) in [(subject.port, &mut observed), (other_port, &mut ignored)] {
                let agent = start(world, kind, port)?;
                let cost = measure(&mut subject)?;
                agent.stop()?;
                if let Some(best) = costs.get_mut(at) {
                    *best = best.best(cost);
                }
            }
        }
    }
    figures.known("a socket call without any probe", none.socket, "ns");
    for (((kind, targets), observed), ignored) in KINDS.iter().zip(observed).zip(ignored) {
        let rows = [
            ("an observed call", observed.socket - none.socket),
            ("a call that is not observed", ignored.socket - none.socket),
            ("a file's read", ignored.file - none.file),
            ("other calls", ignored.getppid - none.getppid),
        ];
        for ((what, added), most) in rows.into_iter().zip(*targets) {
            figures.at_most(format!("{kind}: added to {what}"), added, "ns", most);
        }
    }
    Ok(())
}

fn start(world: &World, kind: &str, port: u16) -> Result<Agent> {
    let agent = world
        .agent()?
        .port(port)
        .env("WIRESPAN_HOOK", kind)
        .into_file(world.scratch().join("spans.jsonl"))
        .start()?;
    eventually("the agent to be at rest", PATIENCE, || Ok(is_at_rest(&agent.process).then_some(())))?;
    Ok(agent)
}

/// Start-up work is over: its main thread sleeps.
fn is_at_rest(process: &Process) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.pid())).unwrap_or_default();
    stat.contains(") S ")
}

fn cost_of(line: &str) -> Result<Cost> {
    let value: Value = serde_json::from_str(line)?;
    let ns =
        |key: &str| value.get(key).and_then(Value::as_f64).with_context(|| format!("no {key} in {line}"));
    Ok(Cost { socket: ns("socket_ns")?, file: ns("file_read_ns")?, getppid: ns("getppid_ns")? })
}
