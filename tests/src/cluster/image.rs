//! Images that `cargo xtask image` and `cargo xtask e2e kubernetes` have made.
use crate::{runner::Skip, world::repository};
use anyhow::{Result, bail};
use std::path::PathBuf;

/// What a pod's sandbox runs, and what worlds' containers are made of: `/pause`, and empty folders to mount this machine's programs into.
pub(super) const PAUSE: &str = "wirespan.io/world:1";

/// The archive of an image in `target/image`.
pub(super) fn archive(name: &str) -> Result<PathBuf> {
    let file = repository()?.join("target/image").join(format!("{name}.tar"));
    if !file.is_file() {
        bail!(Skip(format!("{} was not made: `cargo xtask e2e kubernetes` does it", file.display())));
    }
    Ok(file)
}
