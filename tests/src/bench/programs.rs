//! What each kernel program costs: how often it ran, and for how long, as the kernel itself counts.
//!
//! Shape: counts at two moments, differences per request. Only in a guest whose clock counts instructions: there the time that a program
//! ran is exact. Counting costs something itself, so nothing else is measured meanwhile.
use crate::process::{command, output};
use anyhow::{Context, Result};
use std::{collections::BTreeMap, fs};

/// Names are cut by the kernel: `sock_send_lengt`.
type Counts = BTreeMap<String, Count>;

#[derive(Clone, Copy, Default)]
struct Count {
    runs: f64,
    ns: f64,
}

/// Has the kernel count while `work` runs; one line for each program that ran in it, per request.
pub(super) fn during(requests: f64, work: impl FnOnce() -> Result<()>) -> Result<Vec<String>> {
    const SWITCH: &str = "/proc/sys/kernel/bpf_stats_enabled";
    fs::write(SWITCH, "1").context("have the kernel count runs of programs")?;
    let before = counts()?;
    work()?;
    let after = counts()?;
    fs::write(SWITCH, "0")?;
    let lines = after.iter().filter_map(|(program, after)| {
        let before = before.get(program).copied().unwrap_or_default();
        let (runs, ns) = (after.runs - before.runs, after.ns - before.ns);
        let each = ns / runs / 1e3;
        let is_seen = runs >= requests / 100.0;
        is_seen.then(|| format!("{program:<16} {:>6.2} runs of {each:>6.3} k instructions", runs / requests))
    });
    Ok(lines.collect())
}

fn counts() -> Result<Counts> {
    let (text, _) = output(command("bpftool").args(["--json", "prog", "show"]), 0)?;
    let programs: Vec<serde_json::Value> = serde_json::from_str(&text).context("bpftool's JSON")?;
    let mut counts = Counts::new();
    for program in programs {
        let number = |key: &str| program.get(key).and_then(serde_json::Value::as_f64).unwrap_or(0.0);
        let name = program.get("name").and_then(serde_json::Value::as_str).unwrap_or("?");
        let count = counts.entry(name.to_owned()).or_default();
        count.runs += number("run_cnt");
        count.ns += number("run_time_ns");
    }
    Ok(counts)
}
