//! Builds the programs of the HTTP/2 worlds, each with its language's own tools, into `.cache/grpc`.
//!
//! Shape: sources under tests/apps/grpc → what `tests/src/worlds/http2/stacks.rs` starts. A program that cannot be built is
//! named and left out; a world that needs it fails then, and says so.
use super::{cache, language, lock};
use crate::command::root;
use anyhow::Result;
use std::{fs, path::Path};

type Build = fn(&Path, &Path) -> Result<()>;

const PROGRAMS: [(&str, Build); 4] = [
    ("python", |source, result| language::python(source, result).map(drop)),
    ("go", |source, result| language::go(source, result, "calls").map(drop)),
    ("node", |source, result| language::node(source, result, &["calls.js", "grpc.js", "http.js"])),
    ("java", language::java),
];

/// grpc-python, grpc-go, @grpc/grpc-js and grpc-java; tonic is built with the worlds.
pub(crate) fn stacks() -> Result<()> {
    let _lock = lock()?;
    let sources = root()?.join("tests/apps/grpc");
    for (name, build) in &PROGRAMS {
        let result = cache()?.join("grpc").join(name);
        fs::create_dir_all(&result)?;
        if let Err(error) = build(&sources.join(name), &result) {
            println!("setup: gRPC in {name} is left out: {error:#}");
        }
    }
    Ok(())
}
