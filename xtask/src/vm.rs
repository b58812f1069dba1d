//! `cargo xtask vm [KERNEL…]`: the kernels of `tests/kernels.toml`, each booted in QEMU, with every program of the agent and with worlds.
//!
//! Shape: names → per kernel a line for each hook, what differs from what is expected, and the worlds as they end; then one table.
//! Everything runs in the guest as it runs on the host, from the same files. Emulated, it is 30 to 50 times slower.
mod guest;
mod matrix;

use crate::{
    command::{require_root, root},
    e2e,
    setup::kernels::{self, Image, Source},
};
use anyhow::{Context, Result, bail, ensure};
use guest::Boot;
use matrix::{Kernel, Kernels, Report};
use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

/// Worlds that each kernel plays when none are named.
const WORLDS: [&str; 4] = ["kernel", "kinds", "btf", "broken"];
/// The same in the part that `cargo xtask test` runs: broken machines are played on the host.
const SHORT: [&str; 3] = ["kernel", "kinds", "btf"];
/// Where costs are counted: it has every kind of hook.
const BENCHED: &str = "6.12";
/// A guest that hangs is ended after that.
const LIMIT: Duration = Duration::from_secs(30 * 60);

/// Which kernels, and what they do.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Kernels by series (`6.12`); none means all
    names: Vec<String>,
    /// Worlds to play instead of the usual ones; may be given more than once
    #[arg(long, value_name = "NAME")]
    world: Vec<String>,
    /// Only this way to see socket calls: tracepoints, fentry, kprobe or syscalls
    #[arg(long, value_name = "KIND")]
    hook: Option<String>,
    /// Only this shell command, in the repository's folder
    #[arg(long, value_name = "COMMAND")]
    shell: Option<String>,
    /// Fetch the newest kernel of each series, though there is one
    #[arg(long)]
    renew: bool,
}

/// How one kernel did.
#[derive(Debug, Default)]
struct Outcome {
    /// What it calls itself.
    release: String,
    /// Hooks and ways to have them that work, and that are refused as expected.
    works: usize,
    refused: usize,
    /// Worlds.
    worlds: e2e::Tally,
    /// Everything that is not as it should be.
    faults: Vec<String>,
    /// From the kernel's first instruction to its end.
    time: Duration,
}

/// Boots them one after the other.
pub(crate) fn run(args: &Args) -> Result<()> {
    require_root("vm")?;
    e2e::build()?;
    let chosen = |kernel: &Kernel| args.names.is_empty() || args.names.contains(&kernel.name);
    let tally = kernels_where(args, chosen)?;
    ensure!(tally.failed == 0, "{} kernels failed", tally.failed);
    Ok(())
}

/// The part that `cargo xtask test` runs: kernels marked as such, with what was built before.
pub(crate) fn short() -> Result<e2e::Tally> {
    let world = SHORT.map(str::to_owned).to_vec();
    let args = Args { names: Vec::new(), world, hook: None, shell: None, renew: false };
    kernels_where(&args, |kernel| kernel.short)
}

/// Kernels on which everything was as it should be, and the others.
fn kernels_where(args: &Args, chosen: impl Fn(&Kernel) -> bool) -> Result<e2e::Tally> {
    let started = Instant::now();
    let all = Kernels::read(&root()?.join("tests/kernels.toml"))?.kernels;
    if let Some(unknown) = args.names.iter().find(|name| !all.iter().any(|kernel| kernel.name == **name)) {
        bail!("no kernel `{unknown}` in tests/kernels.toml");
    }
    guest::prepare()?;
    let mut outcomes = Vec::new();
    for kernel in all.iter().filter(|kernel| chosen(kernel)) {
        println!("== kernel {}", kernel.name);
        let outcome = boot(kernel, args)
            .unwrap_or_else(|error| Outcome { faults: vec![format!("{error:#}")], ..Outcome::default() });
        outcome.faults.iter().for_each(|fault| println!("FAULT: {fault}"));
        outcomes.push((kernel, outcome));
    }
    print(&outcomes);
    let failed = outcomes.iter().filter(|(_, outcome)| !outcome.faults.is_empty()).count();
    let passed = outcomes.len() - failed;
    println!("vm: {passed} kernels as expected, {failed} not, in {} s", started.elapsed().as_secs());
    Ok(e2e::Tally { passed: u32::try_from(passed)?, failed: u32::try_from(failed)?, skipped: 0 })
}

fn boot(kernel: &Kernel, args: &Args) -> Result<Outcome> {
    let image = image(kernel, args.renew)?;
    println!("{}", image.package);
    let folder = folder(kernel)?;
    let boot = Boot { image: &image, folder: &folder, counted: false, within: LIMIT };
    if let Some(command) = &args.shell {
        boot.run(&script(&image, command)?, |line| println!("  {line}"))?;
        return Ok(Outcome::default());
    }
    let mut told = Told::default();
    let started = Instant::now();
    let ran = boot.run(&job(&image, kernel, args)?, |line| told.hear(line, kernel));
    let mut outcome = told.judge(kernel);
    outcome.time = started.elapsed();
    if let Err(error) = ran {
        outcome.faults.push(format!("{error:#}"));
    }
    outcome.faults.extend(guest::complaints(&boot.console()));
    Ok(outcome)
}

/// What a request costs, counted in instructions (`cargo xtask bench vm`): the lines of the bench, on the kernel that has all kinds
/// of hooks. `kind`: with this kind alone.
pub(crate) fn bench(kind: Option<&str>) -> Result<()> {
    let all = Kernels::read(&root()?.join("tests/kernels.toml"))?.kernels;
    let kernel = all.iter().find(|kernel| kernel.name == BENCHED).context("the kernel to measure on")?;
    guest::prepare()?;
    let image = image(kernel, false)?;
    let folder = folder(kernel)?.join("bench");
    let boot = Boot { image: &image, folder: &folder, counted: true, within: LIMIT };
    let mut told = String::new();
    let hook = kind.map_or(String::new(), |kind| format!("WIRESPAN_HOOK={kind} "));
    let work = format!("WIRESPAN_INSTRUCTIONS=1 {hook}target/worlds/bench instructions");
    boot.run(&script(&image, &work)?, |line| {
        println!("  {line}");
        told.push_str(line);
        told.push('\n');
    })?;
    // What the guest writes is gone with it.
    let results = root()?.join("target/bench");
    fs::create_dir_all(&results)?;
    fs::write(results.join("vm.txt"), &told)?;
    ensure!(told.contains("\nbench: "), "the bench in the guest did not sum up");
    Ok(())
}

fn folder(kernel: &Kernel) -> Result<PathBuf> {
    Ok(root()?.join("target/vm").join(&kernel.name))
}

fn image(kernel: &Kernel, renew: bool) -> Result<Image> {
    let Kernel { name, archive, suite, packages, .. } = kernel;
    kernels::image(&Source { series: name, archive, suite, packages }, renew)
}

/// What the guest does, from its first program to its last.
fn job(image: &Image, kernel: &Kernel, args: &Args) -> Result<String> {
    let worlds: Vec<&str> =
        if args.world.is_empty() { WORLDS.to_vec() } else { args.world.iter().map(String::as_str).collect() };
    // Where nothing can be traced, doctor alone has something to say.
    let runner = if kernel.chosen.is_some() { "target/worlds/worlds" } else { "echo no worlds:" };
    let hook = args.hook.as_ref().map_or(String::new(), |hook| format!("WIRESPAN_HOOK={hook} "));
    let worlds = worlds.join(" ");
    let work = format!(
        r#"echo "== doctor"; target/release/wirespan doctor --json
echo "== worlds"; {hook}{runner} {worlds}"#
    );
    script(image, &work)
}

/// The work, in a guest that looks like a machine.
fn script(image: &Image, work: &str) -> Result<String> {
    Ok(format!(
        r#"export PATH='{path}' HOME=/root
stty -F /dev/ttyS1 -onlcr
export WIRESPAN_GUEST=1
cd '{root}'
mkdir -p /lib/modules; mount --bind '{modules}' /lib/modules
mount -t tracefs tracefs /sys/kernel/tracing; mount -t bpf bpf /sys/fs/bpf; mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t securityfs securityfs /sys/kernel/security
ip link set lo up
{work}
echo "== end"
echo o >/proc/sysrq-trigger; sleep 10
"#,
        path = guest::search_path(),
        root = root()?.display(),
        modules = image.modules.display(),
    ))
}

/// What the guest has said.
#[derive(Default)]
struct Told {
    report: Option<Report>,
    worlds: Option<e2e::Tally>,
    ended: bool,
}

impl Told {
    fn hear(&mut self, line: &str, kernel: &Kernel) {
        if line.starts_with('{')
            && let Ok(report) = serde_json::from_str::<Report>(line)
        {
            println!("  Linux {}", report.kernel);
            report.lines(kernel).iter().for_each(|line| println!("  {line}"));
            self.report = Some(report);
            return;
        }
        println!("  {line}");
        self.ended |= line == "== end";
        if let Some(tally) = e2e::tally(line) {
            self.worlds = Some(tally);
        }
    }

    fn judge(self, kernel: &Kernel) -> Outcome {
        let mut outcome = Outcome::default();
        match &self.report {
            Some(report) => {
                outcome.release.clone_from(&report.kernel);
                (outcome.works, outcome.refused) = report.counts(kernel);
                outcome.faults.extend(report.differences(kernel));
            }
            None => outcome.faults.push("doctor said nothing".to_owned()),
        }
        match self.worlds {
            None if kernel.chosen.is_none() => {}
            Some(tally) if tally.failed > 0 => outcome.faults.push(format!("{} worlds failed", tally.failed)),
            Some(_) => {}
            None => outcome.faults.push("the worlds did not sum up".to_owned()),
        }
        outcome.worlds = self.worlds.unwrap_or_default();
        if !self.ended {
            outcome.faults.push("the job did not come to its end".to_owned());
        }
        outcome
    }
}

fn print(outcomes: &[(&Kernel, Outcome)]) {
    println!(
        "{:<8} {:<32} {:>5} {:>7} {:>6} {:>6} {:>6} {:>5}",
        "kernel", "release", "hooks", "refused", "worlds", "failed", "faults", "s"
    );
    for (kernel, outcome) in outcomes {
        println!(
            "{:<8} {:<32} {:>5} {:>7} {:>6} {:>6} {:>6} {:>5}",
            kernel.name,
            outcome.release,
            outcome.works,
            outcome.refused,
            outcome.worlds.passed,
            outcome.worlds.failed,
            outcome.faults.len(),
            outcome.time.as_secs()
        );
    }
}
