//! Runs other programs: every command is printed before it runs, and a failure names it.
//!
//! Shape: a `Command` in, its success (or captured output) out. Also here: where the repository is, and who runs it.
use anyhow::{Context, Result, bail, ensure};
use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Command, Output, Stdio},
};

/// The repository's root: the first folder upwards that has `xtask/Cargo.toml`.
pub(crate) fn root() -> Result<PathBuf> {
    let here = std::env::current_dir().context("find the current folder")?;
    here.ancestors()
        .find(|folder| folder.join("xtask/Cargo.toml").is_file())
        .map(PathBuf::from)
        .with_context(|| format!("{} is not inside the repository", here.display()))
}

/// A command that runs in the repository's root and never asks on stdin.
pub(crate) fn new(program: &str) -> Result<Command> {
    let mut command = Command::new(program);
    // A toolchain that is not there is named by setup, not fetched behind the user's back.
    command.current_dir(root()?).stdin(Stdio::null()).env("RUSTUP_AUTO_INSTALL", "0");
    Ok(command)
}

/// `cargo` with these arguments, in the repository's root.
pub(crate) fn cargo(arguments: &[&str]) -> Result<Command> {
    let mut cargo = new("cargo")?;
    // The toolchain that runs xtask must not leak into commands that choose their own with `+nightly`.
    cargo.args(arguments).env_remove("RUSTUP_TOOLCHAIN").env_remove("CARGO");
    Ok(cargo)
}

/// Runs it with the terminal as its output.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    announce(command);
    let status = command.status().with_context(|| format!("start {}", shown(command)))?;
    ensure!(status.success(), "`{}` failed ({status})", shown(command));
    Ok(())
}

/// Runs it and gives what it printed, whatever its exit code.
pub(crate) fn capture(command: &mut Command) -> Result<Output> {
    command.output().with_context(|| format!("start {}", shown(command)))
}

/// Runs it, shows its stdout as it comes and hands every line to `look`. True if it exited with 0.
pub(crate) fn watch(command: &mut Command, mut look: impl FnMut(&str)) -> Result<bool> {
    announce(command);
    let mut child =
        command.stdout(Stdio::piped()).spawn().with_context(|| format!("start {}", shown(command)))?;
    let Some(stdout) = child.stdout.take() else { bail!("no output of {}", shown(command)) };
    for line in BufReader::new(stdout).lines() {
        let line = line?;
        println!("{line}");
        look(&line);
    }
    Ok(child.wait()?.success())
}

/// One clear sentence instead of a permission error somewhere later.
pub(crate) fn require_root(task: &str) -> Result<()> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "`cargo xtask {task}` must run as root, because it loads eBPF programs; try it again from a root shell"
    );
    Ok(())
}

fn announce(command: &Command) {
    println!("$ {}", shown(command));
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}
