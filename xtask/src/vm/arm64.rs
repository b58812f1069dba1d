//! Kernels for arm64, emulated: every program is loaded, and the same requests give the same spans under each kind of hook.
//!
//! Shape: an image and a kernel's expectations → what the guest said. Its user land is made here: busybox, the agent and the C server,
//! all static, because nothing of this machine runs there.
use super::{Outcome, Play, Told, guest, matrix::Kernel};
use crate::{
    command::{self, cargo, root},
    e2e,
    setup::{Need, kernels::Image},
};
use anyhow::{Context, Result};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

const TARGET: &str = "aarch64-unknown-linux-gnu";
const COMPILER: &str = "aarch64-linux-gnu-gcc";
/// What builds programs for it and runs them.
const NEEDS: [Need; 3] = [
    Need::Program { program: "qemu-system-aarch64", package: "qemu-system-arm" },
    Need::Program { program: COMPILER, package: "gcc-aarch64-linux-gnu" },
    Need::File { file: "/usr/aarch64-linux-gnu/lib/libc.a", package: "libc6-dev-arm64-cross" },
];
/// Ways of the C server whose bytes every kind can read, and requests for each.
const WAYS: [&str; 4] = ["read-write", "readv-writev", "recvmsg-sendmsg", "read-sendfile"];
const REQUESTS: usize = 3;
/// What differs from run to run.
const UNSTABLE: [&str; 2] = ["network.peer.port", "client.port"];

/// Programs for the guest, built once for all kernels.
pub(super) struct Programs(PathBuf);

impl Programs {
    /// Builds them.
    pub(super) fn build() -> Result<Self> {
        crate::setup::ensure(&NEEDS)?;
        command::run(Command::new("rustup").args(["target", "add", TARGET]).env("RUSTUP_AUTO_INSTALL", "0"))?;
        let mut build = cargo(&["build", "--profile=worlds", "--package=wirespan", "--target", TARGET])?;
        build.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", COMPILER);
        build.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS", "-Ctarget-feature=+crt-static");
        command::run(build.env("CC_aarch64_unknown_linux_gnu", COMPILER))?;
        let folder = root()?.join("target").join(TARGET).join("worlds");
        let calls = folder.join("calls");
        let mut compile = Command::new(COMPILER);
        compile
            .args(["-O2", "-static", "-pthread", "-o"])
            .arg(&calls)
            .arg(root()?.join("tests/apps/calls.c"));
        command::run(&mut compile)?;
        Ok(Self(folder))
    }

    /// Boots a kernel with them. What it has said is in `told`.
    pub(super) fn boot(
        &self,
        image: &Image,
        kernel: &Kernel,
        folder: &Path,
        within: Duration,
    ) -> Result<Outcome> {
        fs::create_dir_all(folder)?;
        self.pack(image, folder)?;
        let mut told = Told::default();
        let mut spans = Spans::default();
        let started = Instant::now();
        let mut qemu = guest::guarded("nice");
        qemu.args(["-n", "10", "qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a72", "-m", "1g"]);
        qemu.args(["-accel", "tcg,thread=single,tb-size=512", "-icount", "shift=0,sleep=on"]);
        qemu.args(["-display", "none", "-monitor", "none", "-nic", "none", "-no-reboot", "-serial", "stdio"]);
        qemu.arg("-kernel").arg(&image.kernel).arg("-initrd").arg(folder.join("initrd"));
        qemu.args(["-append", "console=ttyAMA0 panic=-1 loglevel=3"]);
        let ran = guest::listen(&mut qemu, folder, within, |line| {
            if !spans.hear(line) {
                told.hear(line, kernel);
            }
        });
        let plays = spans.judge(kernel, &mut told.plays);
        let mut outcome = told.judge(kernel, plays);
        outcome.time = started.elapsed();
        outcome.faults.extend(spans.faults);
        if let Err(error) = ran {
            outcome.faults.push(format!("{error:#}"));
        }
        Ok(outcome)
    }

    /// The whole user land as an image.
    fn pack(&self, image: &Image, folder: &Path) -> Result<()> {
        let land = folder.join("land");
        if land.exists() {
            fs::remove_dir_all(&land)?;
        }
        for part in ["proc", "sys", "dev", "tmp", "run"] {
            fs::create_dir_all(land.join(part))?;
        }
        for (from, to) in [
            (self.0.join("wirespan"), "wirespan"),
            (self.0.join("calls"), "calls"),
            (image.busybox()?, "busybox"),
        ] {
            fs::copy(&from, land.join(to)).with_context(|| format!("copy {}", from.display()))?;
        }
        fs::write(land.join("init"), script())?;
        command::run(Command::new("chmod").arg("755").arg(land.join("init")))?;
        let pack = "find . | cpio --quiet -o -H newc | gzip -1 > ../initrd";
        command::run(Command::new("sh").args(["-c", pack]).current_dir(&land))
    }
}

/// What the guest does.
fn script() -> String {
    format!(
        r#"#!/busybox sh
export PATH=/bin; /busybox mkdir -p /bin; /busybox --install -s /bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
mount -t tracefs tracefs /sys/kernel/tracing; mount -t bpf bpf /sys/fs/bpf; mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t securityfs securityfs /sys/kernel/security
ifconfig lo up
echo "== doctor"; /wirespan doctor --json
port=8000; ports=
for way in {ways}; do port=$((port + 1)); /calls $way $port & ports="$ports --port $port"; done
export WIRESPAN_SOCKET=/tmp/agent.sock
for kind in tracepoints fentry kprobe syscalls; do
    echo "== spans by $kind"
    log=/tmp/log.$kind; : >$log
    WIRESPAN_HOOK=$kind /wirespan run -v --exporter json $ports >/tmp/spans 2>$log &
    agent=$!
    until grep -q ready $log || ! kill -0 $agent 2>/dev/null; do usleep 100000; done
    if ! grep -q ready $log; then echo "absent: $(tail -n 1 $log)"; continue; fi
    port=8000
    for way in {ways}; do
        port=$((port + 1))
        for n in $(seq {REQUESTS}); do wget -q -O /dev/null http://127.0.0.1:$port/$way/$n || echo "no answer"; done
    done
    kill -TERM $agent; wait $agent
    cat /tmp/spans
done
echo "== kernel"; dmesg | grep -E 'WARNING:|BUG:|Oops|rcu: INFO'
echo "== end"
poweroff -f
"#,
        ways = WAYS.join(" ")
    )
}

/// The spans of each kind, without what differs by nature.
#[derive(Default)]
struct Spans {
    kind: Option<String>,
    since: Option<Instant>,
    of: BTreeMap<String, (Vec<String>, Duration)>,
    /// In the words of the agent.
    absent: BTreeMap<String, String>,
    in_kernel: bool,
    faults: Vec<String>,
}

impl Spans {
    /// Takes a line; false if it is somebody else's.
    fn hear(&mut self, line: &str) -> bool {
        if let Some(title) = line.strip_prefix("== ") {
            self.in_kernel = title == "kernel";
            self.kind = title.strip_prefix("spans by ").map(str::to_owned);
            self.since = Some(Instant::now());
            return self.kind.is_some() || self.in_kernel;
        }
        if self.in_kernel {
            self.faults.push(line.to_owned());
            return true;
        }
        let Some(kind) = self.kind.clone() else { return false };
        if let Some(reason) = line.strip_prefix("absent: ") {
            self.absent.insert(kind, reason.to_owned());
            return true;
        }
        let Ok(export) = serde_json::from_str::<Value>(line) else { return false };
        let time = self.since.map(|since| since.elapsed()).unwrap_or_default();
        let of = self.of.entry(kind).or_default();
        of.0.extend(told(&export));
        of.1 = time;
        true
    }

    /// One run per kind; each must have given the spans of every other. Gives how many there are.
    fn judge(&mut self, kernel: &Kernel, plays: &mut Vec<Play>) -> usize {
        let mut first: Option<Vec<String>> = None;
        for (kind, (mut spans, time)) in std::mem::take(&mut self.of) {
            spans.sort();
            let first = first.get_or_insert_with(|| spans.clone());
            let is_same = *first == spans && spans.len() == WAYS.len() * REQUESTS;
            println!("  {kind}: {} spans", spans.len());
            if !is_same {
                self.faults.push(format!("{kind} gave {spans:#?}"));
            }
            let worlds = e2e::Tally { passed: u32::from(is_same), failed: u32::from(!is_same), skipped: 0 };
            plays.push(Play { title: format!("spans by {kind}"), worlds, time });
        }
        for (kind, reason) in &self.absent {
            println!("  {kind}: not on this kernel: {reason}");
            if !kernel.refuses(&format!("socket-bytes/{kind}")) {
                self.faults.push(format!("{kind} did not start: {reason}"));
            }
        }
        plays.len()
    }
}

/// Each span of an export in one line.
fn told(export: &Value) -> Vec<String> {
    let list = |of: &Value, key: &str| of.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let mut lines = Vec::new();
    for resource in list(export, "resourceSpans") {
        for span in list(&resource, "scopeSpans").iter().flat_map(|scope| list(scope, "spans")) {
            let attributes = list(&span, "attributes").into_iter().filter(|pair| {
                !UNSTABLE.iter().any(|key| pair.get("key").and_then(Value::as_str) == Some(*key))
            });
            let attributes: Vec<String> = attributes.map(|pair| pair.to_string()).collect();
            let field = |key: &str| span.get(key).map(Value::to_string).unwrap_or_default();
            lines.push(format!(
                "{} {} {} {}",
                field("name"),
                field("kind"),
                field("status"),
                attributes.join(" ")
            ));
        }
    }
    lines
}
