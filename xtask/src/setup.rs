//! `cargo xtask setup`: installs what the other tasks need and the machine lacks, and says what it does.
//!
//! Shape: a list of needs → each is there, or one sentence says which is not and why. A need that is met costs a look
//! at a file: no network, no output. Everything of ours goes to `.cache` (ignored by git); only Debian packages and
//! rustup's components change the machine. Not here: compiling the agent (see `build`).
pub(crate) mod backends;
mod debian;
pub(crate) mod grpc;
pub(crate) mod kernels;
pub(crate) mod kubernetes;
mod language;
pub(crate) mod log;
pub(crate) mod shop;
mod stamp;
pub(crate) mod streams;
mod toolchain;
pub(crate) mod truth;

use crate::command::root;
use anyhow::{Context, Result};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    time::Instant,
};

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
    /// A file, and the Debian package that brings it.
    File {
        /// Where it is.
        file: &'static str,
        /// What is installed when it is not there.
        package: &'static str,
    },
}

/// Installs everything that any task of this repository needs.
pub(crate) fn run() -> Result<()> {
    let started = Instant::now();
    ensure(&[Need::Kernel, Need::Program { program: "setpriv", package: "util-linux" }])?;
    let services = shop::services()?.len();
    let all = shop::SERVICES.len();
    let (programs, ledger) = (truth::programs()?, truth::COUNT);
    println!(
        "setup: the toolchain, {services} of {all} services and {programs} of {ledger} programs of the ledger are there ({:.1} s)",
        started.elapsed().as_secs_f64()
    );
    Ok(())
}

/// Installs what is missing of `needs`; the first that cannot be had is the error.
pub(crate) fn ensure(needs: &[Need]) -> Result<()> {
    for need in needs {
        match need {
            Need::Kernel => toolchain::ensure()?,
            Need::Program { program, package } => debian::ensure(&[(program, package)])?,
            Need::File { file, .. } if Path::new(file).exists() => {}
            Need::File { package, .. } => debian::install(&[package])?,
        }
    }
    Ok(())
}

/// Held while something in `.cache` is made: a second task waits instead of making it too.
fn lock() -> Result<File> {
    let path = cache()?.join("setup.lock");
    let file = File::create(&path).with_context(|| format!("create {}", path.display()))?;
    file.lock().with_context(|| format!("lock {}", path.display()))?;
    Ok(file)
}

/// The project's own folder for what it installs and builds outside of cargo.
pub(crate) fn cache() -> Result<PathBuf> {
    let folder = root()?.join(".cache");
    fs::create_dir_all(&folder)?;
    Ok(folder)
}
