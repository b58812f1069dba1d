//! `cargo xtask fuzz NAME`: one fuzz target for a while, or one test of the core in volumes.
//!
//! Shape: a file of `fuzz/fuzz_targets` → a finding (exit 1, the input is kept in `fuzz/artifacts`) or none. New corpus
//! goes to `target/fuzz-corpus`; what is committed in `fuzz/corpus` stays small. What is known of a random input beforehand (an
//! encoder's own list) is compared by a test instead: it takes its inputs from a seed, as many as `--runs` asks for.
use crate::command::{self, cargo, root};
use anyhow::{Context, Result, ensure};
use std::{path::Path, time::Instant};

/// Tests of the core that take as many inputs as they are told: name, filter, inputs.
const VOLUMES: [(&str, &str, u64); 3] = [
    ("hpack", "hpack_volume", 1_000_000),
    ("streams", "streams_volume", 100_000),
    ("prefixes", "prefixes_volume", 1_000_000),
];

/// What to fuzz and for how long.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A target's name, or `all`
    name: String,
    /// For how long, each
    #[arg(long, default_value_t = 600)]
    seconds: u32,
    /// Inputs of `hpack` (header lists), `streams` and `prefixes` (connections)
    #[arg(long)]
    runs: Option<u64>,
}

/// Runs the target or all of them.
pub(crate) fn run(args: &Args) -> Result<()> {
    if let Some(volume) = VOLUMES.iter().find(|(name, ..)| *name == args.name) {
        return run_volume(volume, args.runs);
    }
    let known = targets(&root()?)?;
    let chosen: Vec<&String> =
        known.iter().filter(|name| args.name == "all" || **name == args.name).collect();
    ensure!(
        !chosen.is_empty(),
        "no fuzz target `{}`; there are: hpack, streams, prefixes, {}",
        args.name,
        known.join(", ")
    );
    let tool = cargo_fuzz()?;
    let started = Instant::now();
    for name in &chosen {
        let fresh = root()?.join("target/fuzz-corpus").join(name);
        std::fs::create_dir_all(&fresh)?;
        let committed = format!("fuzz/corpus/{name}");
        let limit = format!("-max_total_time={}", args.seconds);
        let mut fuzz = command::new("rustup")?;
        fuzz.args(["run", "nightly"]).arg(&tool).args(["run", name]).arg(&fresh);
        if root()?.join(&committed).is_dir() {
            fuzz.arg(&committed);
        }
        command::run(fuzz.args(["--", &limit, "-timeout=10", "-rss_limit_mb=2048"]))
            .with_context(|| format!("fuzz target {name} has a finding: see fuzz/artifacts/{name}"))?;
    }
    println!("fuzz: {} targets, {} s, no finding", chosen.len(), started.elapsed().as_secs());
    Ok(())
}

fn run_volume((name, filter, usual): &(&str, &str, u64), runs: Option<u64>) -> Result<()> {
    let mut test = cargo(&["test", "--release", "-p", "wirespan-core", "--lib", filter])?;
    test.args(["--", "--nocapture"]).env("WIRESPAN_FUZZ_RUNS", runs.unwrap_or(*usual).to_string());
    command::run(&mut test).with_context(|| format!("{name} has a finding"))
}

fn targets(root: &Path) -> Result<Vec<String>> {
    let folder = root.join("fuzz/fuzz_targets");
    let mut names: Vec<String> = folder
        .read_dir()
        .with_context(|| format!("read {}", folder.display()))?
        .filter_map(|entry| Some(entry.ok()?.file_name().to_str()?.strip_suffix(".rs")?.to_owned()))
        .collect();
    names.sort();
    Ok(names)
}

/// cargo-fuzz in the project's own folder, installed at the first use.
fn cargo_fuzz() -> Result<std::path::PathBuf> {
    let tools = root()?.join(".cache/tools");
    let tool = tools.join("bin/cargo-fuzz");
    if !tool.exists() {
        println!("cargo-fuzz is not in .cache/tools yet: installing it there");
        let mut install = cargo(&["install", "--locked", "cargo-fuzz@0.13.1", "--root"])?;
        command::run(install.arg(&tools))?;
    }
    Ok(tool)
}
