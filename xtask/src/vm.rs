//! `cargo xtask vm [KERNEL…]`: the kernels of `tests/kernels.toml`, each booted in QEMU, with every program of the agent and with worlds.
//!
//! Shape: names → per kernel a line for each hook, what differs from what is expected, and the worlds as they end, each line with the
//! kernel's name, because several run at a time; then one table.
//! Everything runs in the guest as it runs on the host, from the same files. Emulated, it is 30 to 50 times slower.
mod arm64;
mod guest;
mod lanes;
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
    num::NonZero,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

/// Worlds that each kernel plays when none are named.
const WORLDS: [&str; 5] = ["kernel", "kinds", "btf", "sight", "broken"];
/// The same in the part that `cargo xtask test` runs: broken machines are played on the host.
const SHORT: [&str; 3] = ["kernel", "kinds", "btf"];
/// Ways to see socket calls.
const KINDS: [&str; 4] = ["tracepoints", "fentry", "kprobe", "syscalls"];
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
    /// How long worlds of load go on, instead of some seconds
    #[arg(long, value_name = "MINUTES")]
    minutes: Option<u64>,
    /// Play the HTTP/1 worlds under every kind that each kernel has: some 30 minutes on 2 processors
    #[arg(long)]
    every_kind: bool,
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
    /// Worlds, in the order they were played.
    plays: Vec<Play>,
    /// Everything that is not as it should be.
    faults: Vec<String>,
    /// From the kernel's first instruction to its end.
    time: Duration,
}

/// Worlds that were played in one go.
#[derive(Clone, Debug, Default)]
struct Play {
    /// Which, and how socket calls were seen where that was given.
    title: String,
    worlds: e2e::Tally,
    /// On the host's clock.
    time: Duration,
}

/// A kernel that can be booted.
struct Ready<'a> {
    kernel: &'a Kernel,
    image: Image,
    /// What plays the part of the host's programs where those cannot run.
    programs: Option<arm64::Programs>,
}

impl<'a> Ready<'a> {
    fn new(kernel: &'a Kernel, args: &Args) -> Result<Self> {
        let image = image(kernel, args.renew)?;
        println!("{}: {}", kernel.name, image.package);
        let programs = match kernel.arch.as_str() {
            "amd64" => None,
            _ => Some(arm64::Programs::build()?),
        };
        Ok(Self { kernel, image, programs })
    }
}

/// Boots them, as many at a time as there are processors and one more: a guest mostly waits.
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
    let args = Args {
        names: Vec::new(),
        world,
        hook: None,
        shell: None,
        minutes: None,
        every_kind: false,
        renew: false,
    };
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
    let ready = all.iter().filter(|kernel| chosen(kernel)).map(|kernel| Ready::new(kernel, args));
    // Races between the guest's own processors are for those who have the host's to themselves.
    let (alone, together): (Vec<_>, Vec<_>) =
        ready.collect::<Result<Vec<_>>>()?.into_iter().partition(|ready| ready.kernel.cpus > 1);
    let boot = |ready: &Ready<'_>| {
        let outcome = boot(ready, args)
            .unwrap_or_else(|error| Outcome { faults: vec![format!("{error:#}")], ..Outcome::default() });
        outcome.faults.iter().for_each(|fault| println!("{}: FAULT: {fault}", ready.kernel.name));
        outcome
    };
    let lanes = thread::available_parallelism().map_or(1, NonZero::get) + 1;
    let mut outcomes = lanes::side_by_side(&together, lanes, boot);
    outcomes.extend(lanes::side_by_side(&alone, 1, boot));
    let kernels = together.iter().chain(&alone).map(|ready| ready.kernel);
    let outcomes: Vec<(&Kernel, Outcome)> = kernels.zip(outcomes).collect();
    print(&outcomes);
    let failed = outcomes.iter().filter(|(_, outcome)| !outcome.faults.is_empty()).count();
    let passed = outcomes.len() - failed;
    println!("vm: {passed} kernels as expected, {failed} not, in {} s", started.elapsed().as_secs());
    Ok(e2e::Tally { passed: u32::try_from(passed)?, failed: u32::try_from(failed)?, skipped: 0 })
}

fn boot(ready: &Ready<'_>, args: &Args) -> Result<Outcome> {
    let Ready { kernel, image, programs } = ready;
    let folder = folder(kernel)?;
    if let Some(programs) = programs {
        return programs.boot(image, kernel, &folder, LIMIT);
    }
    let boot = Boot {
        image,
        folder: &folder,
        cmdline: &kernel.cmdline,
        cpus: kernel.cpus,
        counted: false,
        within: LIMIT,
    };
    if let Some(command) = &args.shell {
        boot.run(&script(image, command)?, |line| println!("{}: {line}", kernel.name))?;
        return Ok(Outcome::default());
    }
    let mut told = Told::default();
    let started = Instant::now();
    let ran = boot.run(&job(image, kernel, args)?, |line| told.hear(line, kernel));
    let mut outcome = told.judge(kernel, plays(kernel, args).len());
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
    let boot = Boot { image: &image, folder: &folder, cmdline: "", cpus: 1, counted: true, within: LIMIT };
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
    let Kernel { name, series, archive, suite, arch, packages, .. } = kernel;
    let series = series.as_ref().unwrap_or(name);
    kernels::image(&Source { series, archive, suite, arch, packages }, renew)
}

/// What the guest does, from its first program to its last.
fn job(image: &Image, kernel: &Kernel, args: &Args) -> Result<String> {
    let mut work = "echo '== doctor'; target/release/wirespan doctor --json\n".to_owned();
    let load =
        args.minutes.map_or(String::new(), |minutes| format!("WIRESPAN_LOAD_SECONDS={} ", minutes * 60));
    for (hook, worlds) in plays(kernel, args) {
        let (by, forced) = match hook {
            Some(hook) => (format!(" by {hook}"), format!("WIRESPAN_HOOK={hook} ")),
            None => (String::new(), String::new()),
        };
        let worlds = worlds.join(" ");
        work.push_str(&format!("echo '== {worlds}{by}'; {load}{forced}target/worlds/worlds {worlds}\n"));
    }
    script(image, &work)
}

/// Worlds that are played together, each time with the way in which socket calls are seen, if that is given. Where nothing can be
/// traced there are none: doctor alone has something to say.
fn plays<'a>(kernel: &'a Kernel, args: &'a Args) -> Vec<(Option<&'a str>, Vec<&'a str>)> {
    fn words(list: &[String]) -> Vec<&str> {
        list.iter().map(String::as_str).collect()
    }
    if kernel.chosen.is_none() {
        return Vec::new();
    }
    if !args.world.is_empty() {
        return vec![(args.hook.as_deref(), words(&args.world))];
    }
    let usual = kernel.worlds.as_ref().map_or(WORLDS.to_vec(), |worlds| words(worlds));
    // First, as the last of the usual worlds take away what cannot be given back.
    let usual_kinds = || kernel.http.iter().map(String::as_str).collect();
    let all_kinds =
        || KINDS.into_iter().filter(|kind| !kernel.refuses(&format!("socket-bytes/{kind}"))).collect();
    let kinds: Vec<&str> = if args.every_kind { all_kinds() } else { usual_kinds() };
    let by_kind = kinds.into_iter().map(|hook| (Some(hook), vec!["http"]));
    by_kind.chain([(args.hook.as_deref(), usual)]).collect()
}

/// The work, in a guest that looks like a machine. While it powers off no program can be read any more: the shell waits by itself.
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
echo o >/proc/sysrq-trigger
while :; do :; done
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
    plays: Vec<Play>,
    /// What is played now, and since when.
    now: Option<(String, Instant)>,
    ended: bool,
}

impl Told {
    fn hear(&mut self, line: &str, kernel: &Kernel) {
        if line.starts_with('{')
            && let Ok(report) = serde_json::from_str::<Report>(line)
        {
            println!("{}: Linux {}", kernel.name, report.kernel);
            report.lines(kernel).iter().for_each(|line| println!("{}: {line}", kernel.name));
            self.report = Some(report);
            return;
        }
        println!("{}: {line}", kernel.name);
        self.ended |= line == "== end";
        if let Some(title) = line.strip_prefix("== ") {
            self.now = Some((title.to_owned(), Instant::now()));
        }
        if let Some(worlds) = e2e::tally(line)
            && let Some((title, since)) = self.now.take()
        {
            self.plays.push(Play { title, worlds, time: since.elapsed() });
        }
    }

    fn judge(self, kernel: &Kernel, plays: usize) -> Outcome {
        let mut outcome = Outcome::default();
        match &self.report {
            Some(report) => {
                outcome.release.clone_from(&report.kernel);
                (outcome.works, outcome.refused) = report.counts(kernel);
                outcome.faults.extend(report.differences(kernel));
            }
            None => outcome.faults.push("doctor said nothing".to_owned()),
        }
        for play in self.plays.iter().filter(|play| play.worlds.failed > 0) {
            outcome.faults.push(format!("{}: {} worlds failed", play.title, play.worlds.failed));
        }
        if self.plays.len() != plays {
            outcome.faults.push(format!("{} of {plays} runs of worlds summed up", self.plays.len()));
        }
        outcome.plays = self.plays;
        if !self.ended {
            outcome.faults.push("the job did not come to its end".to_owned());
        }
        outcome
    }
}

/// The matrix: a line per kernel, and one per run of worlds.
fn print(outcomes: &[(&Kernel, Outcome)]) {
    println!(
        "{:<14} {:<32} {:>6} {:>8} {:>7} {:>7} {:>6}",
        "kernel", "release, or worlds", "passed", "expected", "skipped", "failed", "s"
    );
    let row = |name: &str, what: &str, counts: [String; 4], time: Duration| {
        let [passed, expected, skipped, failed] = counts;
        let s = time.as_secs();
        println!("{name:<14} {what:<32} {passed:>6} {expected:>8} {skipped:>7} {failed:>7} {s:>6}");
    };
    for (kernel, outcome) in outcomes {
        // Hooks, and ways to have them.
        let hooks = [outcome.works, outcome.refused].map(|count| count.to_string());
        let [works, refused] = hooks;
        let faults = outcome.faults.len().to_string();
        row(&kernel.name, &outcome.release, [works, refused, String::new(), faults], outcome.time);
        for play in &outcome.plays {
            let e2e::Tally { passed, failed, skipped } = play.worlds;
            let counts = [passed.to_string(), String::new(), skipped.to_string(), failed.to_string()];
            row("", &play.title, counts, play.time);
        }
    }
}
