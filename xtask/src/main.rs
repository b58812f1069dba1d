//! `cargo xtask TASK`: every developer task, and the only commands that CI runs.
//!
//! Shape: a task's name and its arguments → what it did, one line that sums up, an exit code that means it (0 done,
//! 1 not, 2 bad usage). Each task has its file; each command is printed before it runs.
#![forbid(unsafe_code)]

mod bench;
mod build;
mod codegen;
mod command;
mod demo;
mod e2e;
mod fuzz;
mod image;
mod lint;
mod setup;
mod test;
mod truth;
mod vm;

use clap::Parser;
use std::process::ExitCode;

/// Developer tasks of wirespan.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
enum Task {
    /// Build the agent: target/release/wirespan
    Build,
    /// The shop with its services and the agent beside it; `--once` proves one trace and ends (root)
    Demo(demo::DemoArgs),
    /// Everything CI runs: lint, unit and property tests, worlds on this machine, the demo (root)
    Test,
    /// rustfmt, clippy for both targets, and the rules that neither knows (tidy)
    Lint,
    /// Worlds by group or name; none means all (root)
    E2e(e2e::Args),
    /// How often parents are right: the ledger's table, by runtime and concurrency (root)
    Truth(truth::Args),
    /// The kernels of tests/kernels.toml in QEMU: every program, and worlds; none means all (root)
    Vm(vm::Args),
    /// Measure: replay, socket, overhead, footprint; none means all (root)
    Bench(bench::Args),
    /// The agent as a container image: target/image/wirespan.tar
    Image(image::Args),
    /// Run one fuzz target; `all` takes them in turn
    Fuzz(fuzz::Args),
    /// Write the generated files again; `--check` only compares
    Codegen(codegen::Args),
    /// Install what the other tasks need; they do it themselves
    Setup,
}

fn main() -> ExitCode {
    let done = match Task::parse() {
        Task::Build => build::run(),
        Task::Demo(args) => demo::run(&args),
        Task::Test => test::run(),
        Task::Lint => lint::run(),
        Task::E2e(args) => e2e::run(&args),
        Task::Truth(args) => truth::run(&args),
        Task::Vm(args) => vm::run(&args),
        Task::Bench(args) => bench::run(&args),
        Task::Image(args) => image::run(&args),
        Task::Fuzz(args) => fuzz::run(&args),
        Task::Codegen(args) => codegen::run(&args),
        Task::Setup => setup::run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
