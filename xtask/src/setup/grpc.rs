//! Installs the gRPC stack of the worlds into `.cache/grpc`.
use super::{cache, language, lock};
use crate::command::root;
use anyhow::Result;
use std::fs;

/// grpc-python; a world that needs it fails without it, and says so.
pub(crate) fn stack() -> Result<()> {
    let _lock = lock()?;
    let result = cache()?.join("grpc");
    fs::create_dir_all(&result)?;
    if let Err(error) = language::python(&root()?.join("tests/apps/grpc"), &result) {
        println!("setup: grpc-python is left out: {error:#}");
    }
    Ok(())
}
