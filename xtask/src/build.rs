//! `cargo xtask build`: the agent as people get it.
//!
//! Shape: sources → `target/release/wirespan`, with the kernel programs inside it (agent/build.rs compiles them).
use crate::{
    command::{self, cargo, root},
    setup::{self, Need},
};
use anyhow::{Context, Result};
use std::path::PathBuf;

/// Builds and says where it is.
pub(crate) fn run() -> Result<()> {
    let agent = agent()?;
    let bytes = agent.metadata().with_context(|| format!("read {}", agent.display()))?.len();
    println!("build: {} ({:.1} MB)", agent.display(), bytes as f64 / 1e6);
    Ok(())
}

/// Builds the agent and gives its path.
pub(crate) fn agent() -> Result<PathBuf> {
    setup::ensure(&[Need::Kernel])?;
    command::run(&mut cargo(&["build", "--release", "--package", "wirespan"])?)?;
    Ok(root()?.join("target/release/wirespan"))
}
