//! `cargo xtask e2e [NAME…]`: worlds, by group or by name.
//!
//! Shape: names → the runner of the `tests` crate, whose last line sums up. Not here: the worlds (see `tests/src`).
use crate::{
    build,
    command::{self, cargo, require_root, root},
    image,
    setup::{self, Need},
};
use anyhow::{Context, Result, ensure};

/// Programs that the worlds start, and the Debian packages that bring them.
pub(crate) const NEEDS: [Need; 12] = [
    Need::Program { program: "bpftool", package: "bpftool" },
    Need::Program { program: "cc", package: "gcc" },
    Need::Program { program: "curl", package: "curl" },
    Need::Program { program: "go", package: "golang-go" },
    Need::Program { program: "h2load", package: "nghttp2-client" },
    Need::Program { program: "ip", package: "iproute2" },
    Need::Program { program: "nft", package: "nftables" },
    Need::Program { program: "nginx", package: "nginx-light" },
    Need::Program { program: "node", package: "nodejs" },
    Need::Program { program: "python3", package: "python3" },
    Need::Program { program: "setpriv", package: "util-linux" },
    Need::Program { program: "wrk", package: "wrk" },
];

/// What the worlds in containers need besides: an engine, and an interpreter as a library.
const CONTAINERS: [Need; 2] = [
    Need::Program { program: "dockerd", package: "docker.io" },
    Need::File { file: "/usr/lib/x86_64-linux-gnu/libpython3.11.so.1.0", package: "libpython3.11" },
];

/// Which worlds.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Groups (`http`, `operate`, …) or worlds; none means all
    names: Vec<String>,
    /// Only name them
    #[arg(long)]
    list: bool,
}

/// How many worlds passed, failed and were skipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Worlds that showed what they should.
    pub(crate) passed: u32,
    /// Worlds that did not.
    pub(crate) failed: u32,
    /// Worlds that this machine cannot hold, each with a reason that was expected.
    pub(crate) skipped: u32,
}

/// Runs them.
pub(crate) fn run(args: &Args) -> Result<()> {
    if args.list {
        return command::run(&mut cargo(&[
            "run",
            "--quiet",
            "--package",
            "wirespan-tests",
            "--bin",
            "worlds",
            "--",
            "--list",
        ])?);
    }
    require_root("e2e")?;
    let tally = worlds(&args.names)?;
    ensure!(tally.failed == 0, "{} worlds failed", tally.failed);
    Ok(())
}

/// Builds the agent and the programs of the `tests` crate, and what they start.
pub(crate) fn build() -> Result<()> {
    setup::ensure(&NEEDS)?;
    setup::grpc::stacks()?;
    setup::streams::programs()?;
    build::agent()?;
    command::run(&mut cargo(&["build", "--profile=worlds", "--package=wirespan-tests"])?)
}

/// Builds the agent and the worlds, runs those named and reads the runner's last line.
pub(crate) fn worlds(names: &[String]) -> Result<Tally> {
    // Only some groups need what takes minutes to build on a fresh machine.
    if names.is_empty() || names.iter().any(|name| name.starts_with("truth")) {
        setup::truth::programs()?;
    }
    if names.is_empty() || names.iter().any(|name| name.starts_with("docker") || name.starts_with("backends"))
    {
        setup::ensure(&CONTAINERS)?;
    }
    if names.iter().any(|name| name.starts_with("backends")) {
        setup::backends::programs()?;
        image::worlds()?;
    }
    if names.iter().any(|name| name.starts_with("kubernetes")) {
        setup::kubernetes::node()?;
        setup::shop::services()?;
        image::worlds()?;
    }
    build()?;
    let mut runner = command::new("target/worlds/worlds")?;
    runner.current_dir(root()?).args(names);
    let mut last = String::new();
    let success = command::watch(&mut runner, |line| last = line.to_owned())?;
    let tally = tally(&last).with_context(|| format!("the worlds ended without summing up: `{last}`"))?;
    ensure!(success == (tally.failed == 0), "the worlds' exit code contradicts their summary `{last}`");
    Ok(tally)
}

/// `worlds: 12 passed, 0 failed, 1 skipped in 60 s`.
pub(crate) fn tally(line: &str) -> Option<Tally> {
    let words: Vec<&str> = line.strip_prefix("worlds: ")?.split([' ', ',']).collect();
    let before = |what: &str| {
        let at = words.iter().position(|word| *word == what)?;
        words.get(at.checked_sub(1)?)?.parse().ok()
    };
    Some(Tally { passed: before("passed")?, failed: before("failed")?, skipped: before("skipped")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runners_last_line_is_understood() {
        let sum = tally("worlds: 12 passed, 3 failed, 1 skipped in 60 s");
        assert_eq!(sum, Some(Tally { passed: 12, failed: 3, skipped: 1 }));
    }

    #[test]
    fn a_runner_that_died_before_summing_up_is_not_a_success() {
        assert_eq!(tally("thread 'main' panicked"), None);
        assert_eq!(tally(""), None);
    }
}
