//! Builds the ledger's programs, each with its language's own tools, into `.cache/truth`.
//!
//! Shape: sources under tests/apps/truth → what `tests/src/truth/table.rs` starts. A program that cannot be built is named
//! and left out; a world that needs it fails then, and says so.
use super::{cache, language, lock};
use crate::command::root;
use anyhow::Result;
use std::{fs, path::Path};

type Build = fn(&Path, &Path) -> Result<()>;

const PROGRAMS: [(&str, Build); 4] = [
    ("python", |source, result| language::python(source, result).map(drop)),
    ("go", |source, result| language::go(source, result, "truth").map(drop)),
    ("node", |source, result| language::node(source, result, &[])),
    ("spring", language::java),
];

/// How many programs there are.
pub(crate) const COUNT: usize = PROGRAMS.len();

/// Builds all, and gives how many can be started.
pub(crate) fn programs() -> Result<usize> {
    let _lock = lock()?;
    let sources = root()?.join("tests/apps/truth");
    let mut built = 0;
    for (name, build) in &PROGRAMS {
        let result = cache()?.join("truth").join(name);
        fs::create_dir_all(&result)?;
        match build(&sources.join(name), &result) {
            Ok(()) => built += 1,
            Err(error) => println!("setup: the ledger's program {name} is left out: {error:#}"),
        }
    }
    Ok(built)
}
