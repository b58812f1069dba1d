//! `cargo xtask setup`: installs what the other tasks need and the machine lacks, and says what it does.
//!
//! Shape: a list of needs → each is there, or one sentence says which is not and why. A need that is met costs a look
//! at a file: no network, no output. Everything of ours goes to `.cache` (ignored by git); only Debian packages and
//! rustup's components change the machine. Not here: compiling the agent (see `build`).
mod debian;
pub(crate) mod shop;
mod stamp;
mod toolchain;

use crate::command::root;
use anyhow::Result;
use std::{fs, path::PathBuf, time::Instant};

/// Something that a task cannot do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// What compiles the kernel programs: nightly Rust with its sources, and bpf-linker.
    Kernel,
    /// A program in the search path, and the Debian package that brings it.
    Program {
        /// What is run.
        program: &'static str,
        /// What is installed when it is not there.
        package: &'static str,
    },
    /// The four services of the shop. One whose runtime cannot be had is named and left out.
    Shop,
}

/// Installs everything that any task of this repository needs.
pub(crate) fn run() -> Result<()> {
    let started = Instant::now();
    ensure(&[Need::Kernel, Need::Program { program: "setpriv", package: "util-linux" }, Need::Shop])?;
    println!("setup: everything is there ({:.1} s)", started.elapsed().as_secs_f64());
    Ok(())
}

/// Installs what is missing of `needs`; the first that cannot be had is the error.
pub(crate) fn ensure(needs: &[Need]) -> Result<()> {
    for need in needs {
        match need {
            Need::Kernel => toolchain::ensure()?,
            Need::Program { program, package } => debian::ensure(&[(program, package)])?,
            Need::Shop => {
                shop::services()?;
            }
        }
    }
    Ok(())
}

/// The project's own folder for what it installs and builds outside of cargo.
pub(crate) fn cache() -> Result<PathBuf> {
    let folder = root()?.join(".cache");
    fs::create_dir_all(&folder)?;
    Ok(folder)
}
