//! Machines that lack something: `doctor` must say what that costs, and the rest must work.
//!
//! Shape: a command that takes something away, with `wirespan` as its last program → `doctor --json`, and spans. What a kernel cannot
//! give back (lockdown), or what is the whole machine's (sysctl), is only played in guests, which say so by `WIRESPAN_GUEST`.
use super::{
    links::{drive, no_wrong_parent},
    scenes,
};
use crate::{
    expect::server,
    http::Connection,
    process::{command, output},
    runner::Skip,
    span::Span,
    world::{App, World, free_port, goroutines, need, repository},
};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::{
    fs,
    net::TcpStream,
    path::{Path, PathBuf},
    process::Command,
};
use wirespan::doctor::{CAPABILITIES, Capability};

scenes! { "broken":
    without_cap_bpf_nothing_is_loaded,
    without_cap_perfmon_nothing_that_traces_is_loaded,
    without_cap_sys_admin_and_tracefs_only_what_needs_perf_events_is_lost,
    without_cap_sys_ptrace_programs_with_more_privileges_are_not_found,
    without_cap_dac_read_search_other_users_programs_are_not_read,
    every_row_of_the_table_of_capabilities_has_a_world,
    btf_from_a_file_does_where_the_kernel_hides_its_own,
    a_small_limit_of_locked_memory_is_no_obstacle,
    a_read_only_machine_is_traced,
    sealed_programs_are_traced_by_sockets_and_probes_and_live,
    sysctls_that_forbid_others_forbid_nothing_to_the_agent,
    switched_off_kprobes_are_not_taken_for_working_ones,
    cgroup_v1_alone_or_no_cgroups_at_all_are_no_obstacle,
    lockdown_costs_what_doctor_says,
}

/// Rows of the table that scenes here reproduce.
const REPRODUCED: [&str; 5] =
    ["CAP_BPF", "CAP_PERFMON", "CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH"];
/// Hides tracefs and BTF in a mount namespace of its own, then becomes the command that follows.
const NO_TRACEFS: &str = "for folder in /sys/kernel/tracing /sys/kernel/debug; do while umount $folder 2>/dev/null; do :; done; done; exec \"$@\"";
const NO_BTF: &str = "mount -t tmpfs none /sys/kernel/btf && exec \"$@\"";

/// What `doctor --json` says, however it ends.
pub(super) struct Doctor(Value);

impl Doctor {
    pub(super) fn ask(world: &World, wrapper: &[&str], environment: &[(&str, &str)]) -> Result<Self> {
        let (first, rest) = wrapper.split_first().unwrap_or((&"env", &[]));
        let mut doctor = Command::new(first);
        doctor.args(rest).arg(world.wirespan()?).args(["doctor", "--json"]).envs(environment.iter().copied());
        let output = doctor.output().context("start doctor")?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        Ok(Self(serde_json::from_str(&text).with_context(|| format!("{text}{errors}"))?))
    }

    /// A row of the checks: is it well, and its sentence.
    pub(super) fn check(&self, name: &str) -> Result<(bool, &str)> {
        let rows = self.0.get("checks").and_then(Value::as_array).context("checks")?;
        let row = rows.iter().find(|row| row.get("name").and_then(Value::as_str) == Some(name));
        let row = row.with_context(|| format!("doctor does not speak of {name}"))?;
        let detail = row.get("detail").and_then(Value::as_str).context("detail")?;
        Ok((row.get("ok") == Some(&Value::Bool(true)), detail))
    }

    /// The row says that something is wrong, and what.
    fn says(&self, name: &str, words: &str) -> Result<()> {
        let (ok, detail) = self.check(name)?;
        ensure!(!ok && detail.contains(words), "doctor says of {name}: {ok}, {detail}, not `{words}`");
        Ok(())
    }

    fn error(&self) -> &str {
        self.0.get("error").and_then(Value::as_str).unwrap_or_default()
    }

    /// Every way to have a hook: `hook/kind outcome` and the reason of a refusal.
    fn ways(&self) -> Vec<(String, String)> {
        let mut ways = Vec::new();
        for hook in self.0.get("hooks").and_then(Value::as_array).into_iter().flatten() {
            for variant in hook.get("variants").and_then(Value::as_array).into_iter().flatten() {
                let word = |of: &Value, key: &str| {
                    of.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
                };
                let name =
                    format!("{}/{} {}", word(hook, "id"), word(variant, "kind"), word(variant, "outcome"));
                ways.push((name, word(variant, "reason")));
            }
        }
        ways
    }

    /// Kinds of socket plane that are not refused.
    fn kinds(&self) -> Vec<String> {
        let ways = self.ways().into_iter().filter(|(name, _)| !name.ends_with(" refused"));
        let kinds = ways
            .filter_map(|(name, _)| Some(name.strip_prefix("socket-bytes/")?.split(' ').next()?.to_owned()));
        kinds.collect()
    }
}

/// The row of the table, and what takes that capability away, with those that hold it too.
fn row(name: &str) -> Result<Capability> {
    let row = CAPABILITIES.iter().find(|row| row.name == name);
    row.copied().with_context(|| format!("{name} is not in the table"))
}

/// `-perfmon,-sys_admin` for setpriv.
fn less(row: Capability) -> String {
    let holder = row.within.map(|number| format!(",-cap_{number}")).unwrap_or_default();
    format!("--bounding-set=-cap_{}{holder}", row.number)
}

/// One request, one span.
fn is_traced(agent: &crate::agent::Agent, app: App, path: &str) -> Result<()> {
    Connection::open(app.address())?.get(path, &[])?;
    agent.expect(&server("GET").path(path).status(200)).map(drop)
}

fn without_cap_bpf_nothing_is_loaded(world: &mut World) -> Result<()> {
    let row = row("CAP_BPF")?;
    let doctor = Doctor::ask(world, &["setpriv", &less(row)], &[])?;
    doctor.says(row.name, row.lost)?;
    ensure!(doctor.error().contains("CAP_BPF"), "doctor's error: {}", doctor.error());
    ensure!(doctor.ways().is_empty(), "something was loaded: {:?}", doctor.ways());
    refuses_to_start(world, &["setpriv", &less(row)])
}

fn without_cap_perfmon_nothing_that_traces_is_loaded(world: &mut World) -> Result<()> {
    let row = row("CAP_PERFMON")?;
    let doctor = Doctor::ask(world, &["setpriv", &less(row)], &[])?;
    doctor.says(row.name, row.lost)?;
    let taken: Vec<_> = doctor.ways().into_iter().filter(|(name, _)| !name.ends_with(" refused")).collect();
    ensure!(taken.is_empty(), "loaded all the same: {taken:?}");
    refuses_to_start(world, &["setpriv", &less(row)])
}

/// Exit code 1, and the reason on stderr.
fn refuses_to_start(world: &World, wrapper: &[&str]) -> Result<()> {
    let (first, rest) = wrapper.split_first().context("a wrapper is a command")?;
    let mut run = Command::new(first);
    run.args(rest).arg(world.wirespan()?).args(["run", "--exporter", "none", "--for", "1s"]);
    run.env("WIRESPAN_SOCKET", world.scratch().join("agent.sock"));
    let (_, errors) = output(&mut run, 1)?;
    ensure!(errors.contains("wirespan: "), "no reason: {errors}");
    Ok(())
}

fn without_cap_sys_admin_and_tracefs_only_what_needs_perf_events_is_lost(world: &mut World) -> Result<()> {
    let row = row("CAP_SYS_ADMIN")?;
    let less = less(row);
    let all = Doctor::ask(world, &[], &[])?.kinds();
    let wrapper = ["unshare", "--mount", "sh", "-c", NO_TRACEFS, "sh", "setpriv", &less];
    let doctor = Doctor::ask(world, &wrapper, &[])?;
    doctor.says(row.name, row.lost)?;
    // Above 2, perf events are for CAP_SYS_ADMIN only.
    let level: i32 = fs::read_to_string("/proc/sys/kernel/perf_event_paranoid")?.trim().parse()?;
    let lost: &[&str] = if level > 2 { &["syscalls", "kprobe"] } else { &["syscalls"] };
    if level > 2 {
        doctor.says(row.name, "and every place in programs")?;
    }
    let rest: Vec<String> = all.into_iter().filter(|kind| !lost.contains(&kind.as_str())).collect();
    let ways = doctor.ways();
    ensure!(doctor.kinds() == rest, "{:?} are left, not {rest:?}: {ways:?}", doctor.kinds());
    let lost = ways.iter().find(|(name, _)| name == "socket-bytes/syscalls refused");
    ensure!(lost.is_some_and(|(_, why)| why.contains("cannot mount tracefs")), "{ways:?}");
    let app = world.calls("read-write")?;
    let agent = world.agent_within(&wrapper)?.port(app.port).start()?;
    is_traced(&agent, app, "/without-tracefs")?;
    // Where tracefs is mounted and perf events are not forbidden, only places in programs may be: it depends on the kernel's age.
    let doctor = Doctor::ask(world, &["setpriv", &less], &[])?;
    let may_probe = !doctor.ways().iter().any(|(name, _)| name == "go-births/ refused");
    if !may_probe {
        doctor.says(row.name, "lets nobody else probe places in programs")?;
    }
    if level <= 2 && fs::read_dir("/sys/kernel/tracing")?.next().is_some() {
        ensure!(doctor.check(row.name)?.0 == may_probe && doctor.kinds().contains(&"syscalls".to_owned()));
    }
    Ok(())
}

fn without_cap_sys_ptrace_programs_with_more_privileges_are_not_found(world: &mut World) -> Result<()> {
    let row = row("CAP_SYS_PTRACE")?;
    let less = less(row);
    Doctor::ask(world, &["setpriv", &less], &[])?.says(row.name, row.lost)?;
    let strong = world.calls("read-write")?;
    let equal = world.calls_within(&["setpriv", &less], "recv-send")?;
    let agent = world.agent_within(&["setpriv", &less])?.port(strong.port).port(equal.port).start()?;
    Connection::open(strong.address())?.get("/strong", &[])?;
    is_traced(&agent, equal, "/equal")?;
    let spans = agent.stop()?.spans;
    ensure!(spans.len() == 1, "a program with more privileges was found: {spans:?}");
    Ok(())
}

fn without_cap_dac_read_search_other_users_programs_are_not_read(world: &mut World) -> Result<()> {
    const NOBODY: [&str; 5] = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "env"];
    const NAME: &str = "OTEL_SERVICE_NAME=theirs";
    let row = row("CAP_DAC_READ_SEARCH")?;
    let less = less(row);
    Doctor::ask(world, &["setpriv", &less], &[])?.says(row.name, row.lost)?;
    let theirs = world.calls_within(&[NOBODY.as_slice(), &[NAME]].concat(), "read-write")?;
    let ours = world.calls_within(&["env", "OTEL_SERVICE_NAME=ours"], "recv-send")?;
    let agent =
        world.agent_within(&["setpriv", &less])?.port(theirs.port).pid(theirs.pid).port(ours.port).start()?;
    is_traced(&agent, ours, "/ours")?;
    is_traced(&agent, theirs, "/theirs")?;
    let finished = agent.stop()?;
    finished.only(&server("GET").path("/ours").service("ours"))?;
    let span = finished.only(&server("GET").path("/theirs"))?;
    let named = span.resource.get("service.name").map(String::as_str);
    ensure!(named != Some("theirs"), "another user's environment was read: {:?}", span.resource);
    Ok(())
}

fn every_row_of_the_table_of_capabilities_has_a_world(_: &mut World) -> Result<()> {
    for row in CAPABILITIES {
        ensure!(REPRODUCED.contains(&row.name), "{} is reproduced by no world", row.name);
    }
    Ok(())
}

fn btf_from_a_file_does_where_the_kernel_hides_its_own(world: &mut World) -> Result<()> {
    let file = world.scratch().join("vmlinux.btf");
    fs::copy("/sys/kernel/btf/vmlinux", &file)?;
    let file = file.display().to_string();
    let wrapper = ["unshare", "--mount", "sh", "-c", NO_BTF, "sh"];
    let doctor = Doctor::ask(world, &wrapper, &[])?;
    doctor.says("BTF", "nothing can be traced; capture.btf may name a file that has it")?;
    ensure!(doctor.error().contains("CONFIG_DEBUG_INFO_BTF"), "doctor's error: {}", doctor.error());
    refuses_to_start(world, &wrapper)?;

    let configured = Doctor::ask(world, &wrapper, &[("WIRESPAN_BTF", &file)])?;
    let (ok, detail) = configured.check("BTF")?;
    ensure!(ok && detail.contains("by capture.btf"), "doctor says of BTF: {detail}");
    let usual = Doctor::ask(world, &[], &[])?;
    ensure!(configured.ways() == usual.ways(), "{:?} are not {:?}", configured.ways(), usual.ways());
    let app = world.calls("read-write")?;
    let agent = world.agent_within(&wrapper)?.env("WIRESPAN_BTF", &file).port(app.port).start()?;
    is_traced(&agent, app, "/btf-from-a-file")
}

fn a_small_limit_of_locked_memory_is_no_obstacle(world: &mut World) -> Result<()> {
    let app = world.calls("read-write")?;
    let wrapper = ["prlimit", "--memlock=65536:65536", "setpriv", "--bounding-set=-sys_resource"];
    let agent = world.agent_within(&wrapper)?.port(app.port).start()?;
    is_traced(&agent, app, "/little-locked-memory")
}

fn a_read_only_machine_is_traced(world: &mut World) -> Result<()> {
    const READ_ONLY: &str = "mount --make-rprivate / && mount -o remount,bind,ro / && exec \"$@\"";
    let app = world.calls("read-write")?;
    let wrapper = ["unshare", "--mount", "sh", "-c", READ_ONLY, "sh"];
    let agent = world.agent_within(&wrapper)?.port(app.port).start()?;
    is_traced(&agent, app, "/read-only")
}

/// Only a guest may be changed for good.
fn need_guest() -> Result<()> {
    let is_guest = std::env::var_os("WIRESPAN_GUEST").is_some();
    if is_guest { Ok(()) } else { Err(Skip("this is no guest, and must stay as it is".to_owned()).into()) }
}

fn sysctls_that_forbid_others_forbid_nothing_to_the_agent(world: &mut World) -> Result<()> {
    need_guest()?;
    let app = world.calls("read-write")?;
    for (key, value) in [
        ("perf_event_paranoid", "-1"),
        ("perf_event_paranoid", "0"),
        ("perf_event_paranoid", "1"),
        ("perf_event_paranoid", "2"),
        ("perf_event_paranoid", "3"),
        ("perf_event_paranoid", "4"),
        ("unprivileged_bpf_disabled", "0"),
        ("unprivileged_bpf_disabled", "2"),
        // It cannot go back from here.
        ("unprivileged_bpf_disabled", "1"),
        ("kptr_restrict", "2"),
    ] {
        fs::write(format!("/proc/sys/kernel/{key}"), value)?;
        let agent = world.observe(app)?;
        is_traced(&agent, app, &format!("/{key}/{value}")).with_context(|| format!("{key} is {value}"))?;
    }
    Ok(())
}

fn switched_off_kprobes_are_not_taken_for_working_ones(world: &mut World) -> Result<()> {
    const DEBUGFS: &str = "/sys/kernel/debug";
    const SWITCH: &str = "/sys/kernel/debug/kprobes/enabled";
    need_guest()?;
    if !Path::new(SWITCH).exists() {
        output(Command::new("mount").args(["-t", "debugfs", "debugfs", DEBUGFS]), 0)?;
    }
    let before = Doctor::ask(world, &[], &[])?.kinds();
    fs::write(SWITCH, "0").context(SWITCH)?;
    let doctor = Doctor::ask(world, &[], &[])?;
    let left: Vec<String> = before.into_iter().filter(|kind| kind != "kprobe").collect();
    ensure!(doctor.kinds() == left, "{:?} are left, not {left:?}", doctor.kinds());
    let reason = doctor.ways().into_iter().find(|(name, _)| name == "socket-bytes/kprobe refused");
    let (_, reason) = reason.context("kprobe is not refused")?;
    ensure!(reason.contains("switched off"), "doctor says of kprobe: {reason}");
    let app = world.calls("read-write")?;
    let agent = world.observe(app)?;
    is_traced(&agent, app, "/kprobes-off")?;
    agent.stop()?;
    Ok(fs::write(SWITCH, "1")?)
}

fn cgroup_v1_alone_or_no_cgroups_at_all_are_no_obstacle(world: &mut World) -> Result<()> {
    const FOLDER: &str = "/sys/fs/cgroup";
    const V1: &str = "mount -t tmpfs tmpfs /sys/fs/cgroup && cd /sys/fs/cgroup && mkdir pids systemd \
        && mount -t cgroup -o pids pids pids && mount -t cgroup -o none,name=systemd systemd systemd \
        && mkdir pids/box systemd/box";
    need_guest()?;
    output(Command::new("umount").arg(FOLDER), 0)?;
    let app = world.calls("read-write")?;
    let agent = world.observe(app)?;
    is_traced(&agent, app, "/no-cgroups")?;
    agent.stop()?;
    output(Command::new("sh").args(["-c", V1]), 0)?;
    for kind in ["pids", "systemd"] {
        fs::write(format!("{FOLDER}/{kind}/box/cgroup.procs"), app.pid.to_string())?;
    }
    let agent = world.observe(app)?;
    is_traced(&agent, app, "/cgroup-v1")
}

/// A container's filter does not know the calls by which newer kernels run probes: no probe may end the program.
fn sealed_programs_are_traced_by_sockets_and_probes_and_live(world: &mut World) -> Result<()> {
    need("node")?;
    let (sealed, apps) = (world.compile("sealed.c")?, repository()?.join("tests/apps"));
    let mut start = |name: &str, program: PathBuf, arguments: &[String]| {
        let port = free_port()?;
        let mut command = command(&sealed);
        command.arg(program);
        if name.contains('.') {
            command.arg(apps.join(name));
        }
        world.serve(name, port, command.arg(port.to_string()).args(arguments))
    };
    let to = |app: App| app.port.to_string();
    let back = start("contexts.py", "python3".into(), &["0".to_owned(), "task".to_owned()])?;
    let go = start("goroutines", goroutines()?, &[to(back)])?;
    let node = start("timers.js", "node".into(), &[to(back)])?;
    let python = start("contexts.py", "python3".into(), &[to(back), "task".to_owned()])?;
    let fronts = [go, node, python];
    let agent =
        fronts.iter().fold(world.agent()?.port(back.port), |start, app| start.port(app.port)).start()?;
    // Probes are there when births are seen, which the calls of a first request may precede.
    for round in 0..3 {
        for (n, front) in fronts.into_iter().enumerate() {
            drive(front, 2, 5, |client, each| format!("/front/seq/{round}-{n}-{client}-{each}"))?;
        }
    }
    // A program that was ended would not answer.
    fronts.iter().try_for_each(|front| TcpStream::connect(front.address()).map(drop))?;
    let finished = agent.stop()?;
    let linked = no_wrong_parent(&finished.spans)?;
    for front in fronts {
        let pid = front.pid.to_string();
        let is_linked = |span: &Span| {
            let of_front = span.resource.get("process.pid").is_some_and(|of| *of == pid);
            of_front && span.kind == "client" && !span.parent_id.is_empty()
        };
        let unparented = finished.of_class("unparented");
        ensure!(
            finished.spans.iter().any(is_linked),
            "no call of {pid} has a parent, {linked} have: {unparented:?}"
        );
    }
    Ok(())
}

/// The last scene: a guest cannot go back.
fn lockdown_costs_what_doctor_says(world: &mut World) -> Result<()> {
    const SWITCH: &str = "/sys/kernel/security/lockdown";
    need_guest()?;
    let app = world.calls("read-write")?;
    let before = Doctor::ask(world, &[], &[])?;
    fs::write(SWITCH, "integrity").context(SWITCH)?;
    let integrity = Doctor::ask(world, &[], &[])?;
    ensure!(integrity.check("lockdown")?.0, "integrity is no obstacle: {:?}", integrity.check("lockdown")?);
    ensure!(integrity.ways() == before.ways(), "{:?} were {:?}", integrity.ways(), before.ways());
    let agent = world.observe(app)?;
    is_traced(&agent, app, "/integrity")?;
    agent.stop()?;
    fs::write(SWITCH, "confidentiality")?;
    let confidentiality = Doctor::ask(world, &[], &[])?;
    confidentiality.says("lockdown", "nothing can be traced")?;
    ensure!(confidentiality.kinds().is_empty(), "{:?} work", confidentiality.kinds());
    refuses_to_start(world, &["env"])
}
