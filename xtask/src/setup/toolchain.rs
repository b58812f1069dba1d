//! What compiles the kernel programs: nightly Rust, the sources of its core library, and bpf-linker.
//!
//! Shape: nothing in → all three are there. Files are looked at, no network is used, until something is missing.
use super::{cache, lock};
use crate::command;
use anyhow::{Context, Result, ensure};
use std::{path::PathBuf, process::Command};

/// The last release that loads rustc's own LLVM; later ones need LLVM's headers.
const BPF_LINKER: &str = "0.10.3";

/// Installs what is missing.
pub(super) fn ensure() -> Result<()> {
    // Stable builds the host's side and needs no sources of its own, but rust-analyzer and `RUSTC_BOOTSTRAP` do.
    for toolchain in ["nightly", "stable"] {
        rust_src(toolchain)?;
    }
    bpf_linker()
}

fn rust_src(toolchain: &str) -> Result<()> {
    let Some(sysroot) = sysroot(toolchain)? else {
        println!("setup: installing the {toolchain} toolchain of Rust, which compiles the kernel programs");
        let install = ["toolchain", "install", toolchain, "--profile", "minimal", "--component", "rust-src"];
        return command::run(rustup().args(install))
            .with_context(|| format!("Rust {toolchain} is missing and cannot be installed"));
    };
    if sysroot.join("lib/rustlib/src/rust/library/core/src/lib.rs").is_file() {
        return Ok(());
    }
    println!(
        "setup: installing rust-src of {toolchain}, which kernel programs compile their core library from"
    );
    command::run(rustup().args(["component", "add", "rust-src", "--toolchain", toolchain]))
        .with_context(|| format!("rust-src of Rust {toolchain} is missing and cannot be installed"))
}

/// Where the toolchain lives; none if it is not installed.
fn sysroot(toolchain: &str) -> Result<Option<PathBuf>> {
    let mut rustc = rustup();
    let output = command::capture(rustc.args(["run", toolchain, "rustc", "--print", "sysroot"]))
        .context("rustup is missing: install Rust from https://rustup.rs and run this again")?;
    let folder = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Ok(output.status.success().then(|| PathBuf::from(folder)))
}

fn bpf_linker() -> Result<()> {
    let _lock = lock()?;
    let tools = cache()?.join("tools");
    let linker = tools.join("bin/bpf-linker");
    if linker.is_file() {
        let version = command::capture(Command::new(&linker).arg("--version"))?;
        if String::from_utf8_lossy(&version.stdout).contains(BPF_LINKER) {
            return Ok(());
        }
    }
    println!(
        "setup: building bpf-linker {BPF_LINKER} into .cache/tools (about a minute), which links the kernel programs"
    );
    let tools = tools.to_string_lossy().into_owned();
    let arguments =
        ["install", "--locked", "--force", "bpf-linker", "--version", BPF_LINKER, "--root", &tools];
    command::run(&mut command::cargo(&arguments)?).context("bpf-linker is missing and cannot be built")?;
    ensure!(linker.is_file(), "cargo installed bpf-linker, but {} is not there", linker.display());
    Ok(())
}

/// rustup, which must never fetch a toolchain that nobody asked for.
fn rustup() -> Command {
    let mut rustup = Command::new("rustup");
    rustup.env("RUSTUP_AUTO_INSTALL", "0").env_remove("RUSTUP_TOOLCHAIN");
    rustup
}
