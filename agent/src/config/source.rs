//! What configuration reads of the world: environment, files, and whether a person looks at stdout.
//!
//! Shape: a name in, text out. The only file that reads the environment; everyone else sees [`Source`], so tests bring their own.
use std::{
    io::{self, IsTerminal},
    path::Path,
};

/// Where configuration comes from besides flags.
pub trait Source {
    /// An environment variable, if it is set and UTF-8.
    fn get(&self, name: &str) -> Option<String>;
    /// A file's text.
    fn read(&self, path: &Path) -> io::Result<String>;
    /// Is stdout a terminal?
    fn stdout_is_terminal(&self) -> bool;
}

/// The process's own environment.
#[derive(Clone, Copy, Debug)]
pub struct System;

impl Source for System {
    fn get(&self, name: &str) -> Option<String> {
        #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
        std::env::var(name).ok()
    }

    fn read(&self, path: &Path) -> io::Result<String> {
        std::fs::read_to_string(path)
    }

    fn stdout_is_terminal(&self) -> bool {
        io::stdout().is_terminal()
    }
}
