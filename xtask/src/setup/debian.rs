//! Programs that Debian's packages bring.
//!
//! Shape: (program, package) pairs → every program is in the search path. apt is asked only when one is not.
use super::{cache, log};
use anyhow::{Context, Result, ensure};
use rustix::process::geteuid;
use std::{path::PathBuf, process::Command};

/// Installs the packages of the programs that are missing.
pub(super) fn ensure(wanted: &[(&str, &str)]) -> Result<()> {
    let missing: Vec<_> = wanted.iter().filter(|(program, _)| !is_there(program)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let programs = missing.iter().map(|(program, _)| *program).collect::<Vec<_>>().join(" and ");
    let packages: Vec<&str> = missing.iter().map(|(_, package)| *package).collect();
    install(&packages).with_context(|| format!("{programs} is missing and cannot be installed"))?;
    for (program, package) in missing {
        ensure!(is_there(program), "package {package} is installed, but {program} is still not in the path");
    }
    Ok(())
}

/// Installs packages, whatever is there.
pub(super) fn install(packages: &[&str]) -> Result<()> {
    let names = packages.join(" ");
    ensure!(is_there("apt-get"), "there is no apt-get to install {names} with");
    ensure!(geteuid().is_root(), "only root may install {names}: run this from a root shell");
    println!("setup: installing {names}");
    // A fresh machine has no package lists: fetch them when the first try did not work, not every time.
    let log = cache()?.join("apt.log");
    if log::run(&mut apt_install(packages), &log).is_ok() {
        return Ok(());
    }
    log::run(apt().arg("update"), &log)?;
    log::run(&mut apt_install(packages), &log)
}

/// Where the search path has it.
pub(super) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    // Debian keeps servers where only root's path looks.
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}

fn is_there(program: &str) -> bool {
    find(program).is_some()
}

fn apt_install(packages: &[&str]) -> Command {
    let mut apt = apt();
    apt.args(["install", "--yes", "--no-install-recommends"]).args(packages);
    apt
}

fn apt() -> Command {
    let mut apt = Command::new("apt-get");
    apt.args(["-q", "-o", "DPkg::Lock::Timeout=120"]).env("DEBIAN_FRONTEND", "noninteractive");
    apt
}
