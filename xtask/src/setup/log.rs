//! Commands whose output matters only when they fail.
//!
//! Shape: a command → success, or an error that quotes the last lines of what it wrote. The rest is in a file.
use crate::command;
use anyhow::{Context, Result};
use std::{
    fs::{self, File},
    path::Path,
    process::Command,
};

/// Lines of a log that an error quotes.
const LAST_WORDS: usize = 12;

/// Runs it with its output in `log`.
pub(super) fn run(command: &mut Command, log: &Path) -> Result<()> {
    let file = File::create(log).with_context(|| format!("create {}", log.display()))?;
    command.stdout(file.try_clone()?).stderr(file);
    command::run(command).with_context(|| format!("it said:\n{}", tail(log)))
}

/// The last lines of a log.
pub(crate) fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(LAST_WORDS)..).unwrap_or_default().join("\n")
}
