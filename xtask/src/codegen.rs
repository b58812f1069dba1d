//! `cargo xtask codegen [--check]`: files that are written by the code they describe.
//!
//! Shape: the tests named `generated_…` compare a committed file with what the code says (expect-test); with
//! `UPDATE_EXPECT=1` the same tests write it. So a stale file fails `cargo test` too, and nothing is generated at build.
use crate::command::{self, cargo};
use anyhow::{Result, ensure};

/// Write or compare.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Change nothing, fail if something would change
    #[arg(long)]
    check: bool,
}

/// Runs the `generated_…` tests of the default members.
pub(crate) fn run(args: &Args) -> Result<()> {
    let mut tests = cargo(&["test", "--quiet", "--lib", "--", "generated_"])?;
    if !args.check {
        tests.env("UPDATE_EXPECT", "1");
    }
    let mut count = 0;
    let success = command::watch(&mut tests, |line| {
        count += crate::test::passed_and_failed(line).map_or(0, |(passed, _)| passed);
    })?;
    ensure!(success, "a generated file is stale: run `cargo xtask codegen` and commit what changed");
    let verb = if args.check { "up to date" } else { "written" };
    println!("codegen: {count} generated files {verb}");
    Ok(())
}
