//! `cargo xtask codegen [--check]`: the committed files that are written by the code they describe.
//!
//! Shape: a table of files and how each is made → written, or only compared. Nothing is generated at build, so a change
//! of the ABI or of a key is a visible diff.
mod abi;

use crate::command::{self, cargo, root};
use anyhow::{Context, Result, ensure};

/// Write or compare.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Change nothing, fail if something would change
    #[arg(long)]
    check: bool,
}

/// The test that compares the example with the agent's table of keys, and writes it when told to.
const EXAMPLE_TEST: &str = "config::tests::the_example_file_is_what_the_table_says";

/// Makes each file.
pub(crate) fn run(args: &Args) -> Result<()> {
    let stale = "run `cargo xtask codegen` and commit what changed";
    text("agent-common/abi.txt", &abi::text()?, args.check).context(stale)?;
    let mut example =
        cargo(&["test", "--quiet", "--package=wirespan", "--lib", "--", "--exact", EXAMPLE_TEST])?;
    if !args.check {
        example.env("UPDATE_EXPECT", "1");
    }
    command::run(&mut example).with_context(|| format!("deploy/config.example.yaml is stale: {stale}"))?;
    let verb = if args.check { "up to date" } else { "written" };
    println!("codegen: agent-common/abi.txt and deploy/config.example.yaml are {verb}");
    Ok(())
}

/// The ABI's file alone: what the lint asks, because it costs nothing.
pub(crate) fn check_abi() -> Result<()> {
    text("agent-common/abi.txt", &abi::text()?, true)
        .context("run `cargo xtask codegen` and commit what changed")
}

fn text(path: &str, wanted: &str, check: bool) -> Result<()> {
    let file = root()?.join(path);
    let is = std::fs::read_to_string(&file).unwrap_or_default();
    if is == wanted {
        return Ok(());
    }
    ensure!(!check, "{path} is stale");
    std::fs::write(&file, wanted).with_context(|| format!("write {path}"))
}
