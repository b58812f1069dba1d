//! `cargo xtask test`: what CI runs, in the order in which a mistake is cheapest to find.
//!
//! Shape: lint, then unit and property tests, then the worlds on this machine, then some of them on other kernels, then the demo → one line of counts. A failing step does
//! not hide the next one: all of them run, and the exit code is 0 only if nothing failed.
use crate::{
    command::{self, cargo, require_root},
    e2e, lint,
    setup::{self, Need},
    vm,
};
use anyhow::{Context, Result, ensure};
use std::time::Instant;

/// Runs all.
pub(crate) fn run() -> Result<()> {
    require_root("test")?;
    let started = Instant::now();
    setup::ensure(&[Need::Kernel])?;
    let lint = step("lint", lint::run);
    let units = step("unit and property tests", units);
    let worlds = step("worlds", || e2e::worlds(&[]));
    let vm = step("kernels in virtual machines", vm::short);
    let demo = step("demo", demo);

    let (units_passed, units_failed) = units.unwrap_or((0, 1));
    let worlds = worlds.unwrap_or(e2e::Tally { failed: 1, ..e2e::Tally::default() });
    let kernels = vm.unwrap_or(e2e::Tally { failed: 1, ..e2e::Tally::default() });
    let failed =
        units_failed + worlds.failed + kernels.failed + u32::from(lint.is_none()) + u32::from(demo.is_none());
    let clean = |step: &Option<()>| if step.is_some() { "clean" } else { "NOT clean" };
    println!(
        "test: {} passed, {failed} failed, {} skipped (lint {}, {units_passed} unit and property tests, {} worlds, {} kernels, demo {}) in {} s",
        units_passed + worlds.passed + kernels.passed,
        worlds.skipped,
        clean(&lint),
        worlds.passed,
        kernels.passed,
        clean(&demo),
        started.elapsed().as_secs(),
    );
    ensure!(failed == 0, "{failed} failed");
    Ok(())
}

/// Every test that needs no root, those of the world framework included. Passed and failed.
fn units() -> Result<(u32, u32)> {
    let mut sum = (0, 0);
    let success = command::watch(
        &mut cargo(&["test", "--workspace", "--exclude=wirespan-ebpf", "--no-fail-fast"])?,
        |line| {
            if let Some((passed, failed)) = passed_and_failed(line) {
                sum = (sum.0 + passed, sum.1 + failed);
            }
        },
    )?;
    // Tests that do not compile, or a process that died: no count says so.
    if !success && sum.1 == 0 {
        sum.1 = 1;
    }
    Ok(sum)
}

/// In a process of its own, because it catches signals.
fn demo() -> Result<()> {
    let own = std::env::current_exe().context("find this program")?;
    command::run(command::new(&own.to_string_lossy())?.args(["demo", "--once"]))
}

/// `test result: ok. 12 passed; 0 failed; …` of libtest.
pub(crate) fn passed_and_failed(line: &str) -> Option<(u32, u32)> {
    let result = line.strip_prefix("test result: ")?;
    let mut counts = result.split(['.', ';']).filter_map(|part| {
        let (number, what) = part.trim().split_once(' ')?;
        Some((number.parse::<u32>().ok()?, what))
    });
    let passed = counts.by_ref().find(|(_, what)| *what == "passed")?.0;
    let failed = counts.find(|(_, what)| *what == "failed")?.0;
    Some((passed, failed))
}

fn step<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Option<T> {
    println!("== {name}");
    work().inspect_err(|error| eprintln!("error: {name}: {error:#}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libtests_summary_is_counted() {
        let line = "test result: FAILED. 41 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.03s";
        assert_eq!(passed_and_failed(line), Some((41, 2)));
        assert_eq!(passed_and_failed("running 43 tests"), None);
    }
}
