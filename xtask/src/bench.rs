//! `cargo xtask bench [NAME…]`: what wirespan costs, measured on this machine.
//!
//! Shape: names → figures beside their targets, as a table and as `target/bench/figures.json`. Not here: the measuring
//! (see `tests/src/bench.rs`, where the worlds are).
use crate::{
    command::{self, require_root},
    e2e,
    setup::{self, Need},
    vm,
};
use anyhow::{Result, ensure};

/// Which benches.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// `replay`, `streams`, `socket`, `overhead`, `footprint`, `instructions`; none means all. `vm` alone counts instructions in a guest,
    /// `vm KIND` with one kind of hook
    names: Vec<String>,
}

/// Builds what is measured as people get it, and measures.
pub(crate) fn run(args: &Args) -> Result<()> {
    require_root("bench")?;
    setup::ensure(&[Need::Program { program: "valgrind", package: "valgrind" }])?;
    e2e::build()?;
    match args.names.as_slice() {
        [name] if name == "vm" => return vm::bench(None),
        [name, kind] if name == "vm" => return vm::bench(Some(kind)),
        _ => {}
    }
    let success = command::watch(command::new("target/worlds/bench")?.args(&args.names), |_| {})?;
    ensure!(success, "the bench could not measure everything");
    Ok(())
}
