//! The repository as tidy sees it: paths and texts, so that every rule is a pure function that a test can feed.
use anyhow::{Context, Result, ensure};
use std::{collections::BTreeMap, fmt, path::Path};

/// Every text file that git knows or would take.
#[derive(Default)]
pub(super) struct Tree {
    files: BTreeMap<String, String>,
}

impl Tree {
    /// Reads what `git ls-files` names, new files included, ignored ones not.
    pub(super) fn load(root: &Path) -> Result<Tree> {
        let mut git = crate::command::new("git")?;
        git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
        let listed = crate::command::capture(&mut git)?;
        ensure!(listed.status.success(), "`git ls-files` failed: the lint runs on a git checkout");
        let mut tree = Tree::default();
        for path in String::from_utf8(listed.stdout).context("paths are UTF-8")?.split_terminator('\0') {
            // Deleted but not yet staged, links, and bytes that are no text have no lines to check.
            let Ok(text) = std::fs::read_to_string(root.join(path)) else { continue };
            tree.files.insert(path.to_owned(), text);
        }
        Ok(tree)
    }

    /// How many files.
    pub(super) fn len(&self) -> usize {
        self.files.len()
    }

    /// All files, by path.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// Rust sources.
    pub(super) fn rust(&self) -> impl Iterator<Item = (&str, &str)> {
        self.all().filter(|(path, _)| path.ends_with(".rs"))
    }

    /// One file's text.
    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// A file or a folder of that name exists.
    pub(super) fn has(&self, path: &str) -> bool {
        let folder = format!("{}/", path.trim_end_matches('/'));
        self.files.contains_key(path) || self.files.keys().any(|file| file.starts_with(&folder))
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Tree {
    fn from(files: [(&str, &str); N]) -> Tree {
        Tree { files: files.map(|(path, text)| (path.to_owned(), text.to_owned())).into() }
    }
}

/// Something to change, or (`fails` is false) to think about.
#[derive(Debug)]
pub(super) struct Finding {
    path: String,
    line: usize,
    what: String,
    /// A warning does not fail the lint.
    pub(super) fails: bool,
}

impl Finding {
    /// Fails the lint. Lines count from 1; 0 is the file as a whole.
    pub(super) fn new(path: &str, line: usize, what: impl Into<String>) -> Finding {
        Finding { path: path.to_owned(), line, what: what.into(), fails: true }
    }

    /// Is printed only.
    pub(super) fn warning(path: &str, line: usize, what: impl Into<String>) -> Finding {
        Finding { fails: false, ..Finding::new(path, line, what) }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = if self.fails { "error" } else { "warning" };
        match self.line {
            0 => write!(out, "{severity}: {}: {}", self.path, self.what),
            line => write!(out, "{severity}: {}:{line}: {}", self.path, self.what),
        }
    }
}

/// The findings as a test compares them.
#[cfg(test)]
pub(super) fn shown(findings: &[Finding]) -> String {
    findings.iter().map(|finding| format!("{finding}\n")).collect()
}
