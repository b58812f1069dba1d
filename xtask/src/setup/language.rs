//! What each language's own tools make of a program's sources and lock file.
//!
//! Shape: a folder of sources and a folder for the result → the result is there, made again only when the sources, the lock
//! file or the tool have changed. Nothing is written beside the sources.
use super::{debian, log, stamp::Stamp};
use anyhow::{Context, Result};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Node: these sources beside exactly the packages of the lock file.
pub(super) fn node(source: &Path, result: &Path, programs: &[&str]) -> Result<()> {
    debian::ensure(&[("node", "nodejs"), ("npm", "npm")])?;
    let stamp = Stamp::new(result, &[source.into()], "node")?;
    if stamp.is_stale()? {
        println!("setup: installing the packages of {} (npm)", name(source));
        for name in ["package.json", "package-lock.json"].iter().chain(programs) {
            fs::copy(source.join(name), result.join(name)).with_context(|| format!("copy {name}"))?;
        }
        let arguments = ["ci", "--omit=dev", "--no-audit", "--no-fund", "--loglevel=error"];
        let mut npm = Command::new("npm");
        npm.env("npm_config_update_notifier", "false");
        log::run(npm.args(arguments).current_dir(result), &result.join("npm.log"))?;
        stamp.write()?;
    }
    Ok(())
}

/// Python: a virtual environment with exactly the packages of requirements.txt, and where it is.
pub(super) fn python(source: &Path, result: &Path) -> Result<PathBuf> {
    debian::ensure(&[("python3", "python3")])?;
    let environment = result.join("venv");
    // Its programs name the folder.
    let stamp = Stamp::new(result, &[source.join("requirements.txt")], "python3")?.of_this_place();
    if stamp.is_stale()? {
        println!("setup: installing the packages of {} (pip)", name(source));
        let create = || {
            let mut python = Command::new("python3");
            log::run(python.args(["-m", "venv", "--clear"]).arg(&environment), &result.join("venv.log"))
        };
        // Debian ships the module that makes environments without what it puts into them.
        create().or_else(|_| debian::install(&["python3-venv"]).and_then(|()| create()))?;
        let mut pip = Command::new(environment.join("bin/python"));
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
            "--requirement",
        ]);
        log::run(pip.arg(source.join("requirements.txt")), &result.join("pip.log"))?;
        stamp.write()?;
    }
    Ok(environment)
}

/// Java: one jar with everything in it, named in pom.xml.
pub(super) fn java(source: &Path, result: &Path) -> Result<()> {
    debian::ensure(&[("javac", "default-jdk-headless"), ("mvn", "maven")])?;
    let stamp = Stamp::new(result, &[source.join("pom.xml"), source.join("src")], "javac")?;
    if stamp.is_stale()? {
        println!("setup: building {} (Maven fetches the libraries the first time)", name(source));
        let mut maven = Command::new("mvn");
        maven.args(["--quiet", "--batch-mode", "--no-transfer-progress", "-DskipTests"]);
        maven.arg(format!("-Dbuild.folder={}", result.display())).arg("package");
        log::run(maven.current_dir(source), &result.join("maven.log"))?;
        stamp.write()?;
    }
    Ok(())
}

/// Go: one binary, from the modules of go.sum and no others, and where it is.
pub(super) fn go(source: &Path, result: &Path, program: &str) -> Result<PathBuf> {
    debian::ensure(&[("go", "golang-go")])?;
    let stamp = Stamp::new(result, &[source.into()], "go")?;
    let binary = result.join(program);
    if stamp.is_stale()? {
        println!("setup: building {program} (go)");
        let mut go = Command::new("go");
        go.args(["build", "-trimpath", "-buildvcs=false", "-o"]).arg(&binary).arg(".");
        log::run(go.env("GOTOOLCHAIN", "local").current_dir(source), &result.join("go.log"))?;
        stamp.write()?;
    }
    Ok(binary)
}

/// The folder's name and that of its parent: `shop/order`.
fn name(source: &Path) -> String {
    let names = source.iter().rev().take(2).map(|name| name.to_string_lossy().into_owned());
    let names: Vec<String> = names.collect();
    names.into_iter().rev().collect::<Vec<_>>().join("/")
}
