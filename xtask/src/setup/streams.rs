//! Builds the Go programs of the worlds that need modules of others, into `.cache/streams`.
use super::{cache, language, lock};
use crate::command::root;
use anyhow::Result;
use std::fs;

/// What there is in `tests/apps`.
const PROGRAMS: [&str; 2] = ["connect", "yamux"];

/// A world that needs one which could not be built fails, and says so.
pub(crate) fn programs() -> Result<()> {
    let _lock = lock()?;
    let folder = cache()?.join("streams");
    for program in PROGRAMS {
        let built = folder.join("build").join(program);
        fs::create_dir_all(&built)?;
        let source = root()?.join("tests/apps").join(program);
        match language::go(&source, &built, program) {
            Ok(binary) => drop(fs::copy(binary, folder.join(program))?),
            Err(error) => println!("setup: {program} is left out: {error:#}"),
        }
    }
    Ok(())
}
