//! `cargo xtask lint`: rustfmt, clippy for both targets, and tidy, the rules that neither knows.
//!
//! Shape: the files git knows → findings, each with its place; nothing is changed. Source: the rules are the project's
//! own, stated beside each check. Not here: tests.
mod documents;
mod edges;
mod files;
mod manifests;
mod proof;
mod tree;

use crate::command::{self, cargo, root};
use anyhow::{Result, ensure};
use tree::{Finding, Tree};

/// Runs all, so that one run shows everything.
pub(crate) fn run() -> Result<()> {
    let tree = Tree::load(&root()?)?;
    let steps = [
        ("tidy", tidy(&tree)),
        ("ABI", crate::codegen::check_abi()),
        ("rustfmt", rustfmt(&tree)),
        ("lint policy", proof::run(&tree)),
        ("clippy", clippy()),
        ("clippy for the kernel programs", clippy_ebpf(&tree)),
    ];
    let mut failed = Vec::new();
    for (name, result) in steps {
        if let Err(error) = result {
            eprintln!("error: {name}: {error:#}");
            failed.push(name);
        }
    }
    ensure!(failed.is_empty(), "not clean: {}", failed.join(", "));
    println!("lint: clean ({} files)", tree.len());
    Ok(())
}

fn tidy(tree: &Tree) -> Result<()> {
    let findings: Vec<Finding> = [files::check, edges::check, manifests::check, documents::check]
        .iter()
        .flat_map(|check| check(tree))
        .collect();
    for finding in &findings {
        println!("{finding}");
    }
    let wrong = findings.iter().filter(|finding| finding.fails).count();
    ensure!(wrong == 0, "{wrong} findings");
    Ok(())
}

/// `cargo fmt` does not see modules that a macro declares: rustfmt gets the list of files.
fn rustfmt(tree: &Tree) -> Result<()> {
    println!("$ rustfmt --edition 2024 --check ({} files)", tree.rust().count());
    let mut rustfmt = command::new("rustfmt")?;
    rustfmt.args(["--edition", "2024", "--check"]).args(tree.rust().map(|(path, _)| path));
    ensure!(rustfmt.status()?.success(), "run `rustfmt --edition 2024` on the files above");
    Ok(())
}

fn clippy() -> Result<()> {
    command::run(&mut cargo(&[
        "clippy",
        "--workspace",
        "--exclude=wirespan-ebpf",
        "--all-targets",
        "--quiet",
        "--",
        "-Dwarnings",
    ])?)
}

/// The kernel programs are `no_std` and have another target: the nightly toolchain that builds them also lints them.
fn clippy_ebpf(tree: &Tree) -> Result<()> {
    ensure!(tree.text("agent-ebpf/Cargo.toml").is_some(), "agent-ebpf/Cargo.toml is missing");
    command::run(&mut cargo(&[
        "+nightly",
        "clippy",
        "--package=wirespan-ebpf",
        "--target=bpfel-unknown-none",
        "-Zbuild-std=core",
        "--quiet",
        "--",
        "-Dwarnings",
    ])?)
}
