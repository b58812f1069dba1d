//! Loads the object and tries variants: the first that the kernel takes is chosen. Features are probed, never versions.
use crate::attach::{
    hooks::{Attachment, HOOKS, Hook, Kind, Point, Variant},
    kernel::{Error, Settings},
    offsets::{self, Facts},
    report::{HookReport, Outcome, ProgramReport, VariantReport},
    tracefs::Tracefs,
};
use aya::{
    Btf, Ebpf, EbpfLoader, Endianness, VerifierLogLevel, include_bytes_aligned,
    programs::{
        BtfTracePoint, FExit, KProbe, Program, ProgramError, TracePoint, UProbe,
        uprobe::{UProbeAttachPoint, UProbeScope},
    },
};
use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};
use wirespan_common::limits;

/// The kernel programs.
pub(in crate::attach) const OBJECT: &[u8] =
    include_bytes_aligned!(concat!(env!("OUT_DIR"), "/wirespan-ebpf"));

const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

/// Memory for the arguments of functions that are running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::attach) enum Room {
    /// None: no variant that needs it is wanted.
    None,
    /// For kprobes.
    Inflight,
}

/// The object with its maps made and no program attached yet.
pub(in crate::attach) struct Loader {
    ebpf: Ebpf,
    btf: Btf,
    facts: Facts,
}

impl Loader {
    pub(in crate::attach) fn new(settings: &Settings, room: Room) -> Result<Self, Error> {
        let facts = facts(settings)?;
        let mut loader = EbpfLoader::new();
        // The object has no relocations against the kernel. The loader's BTF is freed before it is parsed for the programs.
        loader.btf(None);
        if room == Room::None {
            loader.map_max_entries("INFLIGHT", 1);
        }
        let ebpf = loader
            .verifier_log_level(VerifierLogLevel::DEBUG)
            .override_global("OFFSETS", &facts.offsets, true)
            .override_global("KERNEL", &facts.kernel, true)
            .map_max_entries("EVENTS", ring_bytes(settings))
            .load(OBJECT)
            .map_err(|error| Error::Load(Box::new(error)))?;
        drop(loader);
        let btf = Btf::parse_file(btf_path(settings), Endianness::default())
            .map_err(|error| Error::Load(Box::new(error.into())))?;
        Ok(Self { ebpf, btf, facts })
    }

    /// The maps and the attached programs.
    pub(in crate::attach) fn into_ebpf(self) -> Ebpf {
        self.ebpf
    }

    /// The same, while more may be loaded.
    pub(in crate::attach) fn ebpf_mut(&mut self) -> &mut Ebpf {
        &mut self.ebpf
    }

    /// Loads one program for places in programs, if the kernel takes any.
    pub(in crate::attach) fn load_probe(&mut self) {
        let is_probe = |variant: &&Variant| variant.attachments.iter().all(|one| one.point == Point::Uprobe);
        let mut probes = HOOKS.iter().flat_map(|hook| hook.variants).filter(is_probe);
        // Whether there is one is all that matters.
        probes.any(|variant| self.attach(variant).is_ok());
    }

    /// Attaches the best variant of a hook.
    pub(in crate::attach) fn choose(&mut self, hook: &Hook, kind: Option<Kind>) -> HookReport {
        let mut chosen = false;
        self.report(hook, |loader, variant| {
            if chosen || (kind.is_some() && variant.kind.is_some() && variant.kind != kind) {
                return (Outcome::NotTried, Vec::new());
            }
            match loader.attach(variant) {
                Ok(programs) => {
                    chosen = true;
                    (Outcome::Chosen, programs)
                }
                Err(reason) => (Outcome::Refused { reason }, Vec::new()),
            }
        })
    }

    /// Attaches and detaches every variant of a hook.
    pub(in crate::attach) fn try_all(&mut self, hook: &Hook) -> HookReport {
        self.report(hook, |loader, variant| {
            let tried = loader.attach(variant).and_then(|programs| loader.probe(variant).map(|()| programs));
            loader.detach(variant);
            match tried {
                Ok(programs) => (Outcome::Works, programs),
                Err(reason) => (Outcome::Refused { reason }, Vec::new()),
            }
        })
    }

    fn report(
        &mut self,
        hook: &Hook,
        mut outcome: impl FnMut(&mut Self, &Variant) -> (Outcome, Vec<ProgramReport>),
    ) -> HookReport {
        let report = |variant: &Variant| {
            let (outcome, programs) = outcome(self, variant);
            VariantReport { kind: variant.kind, doc: variant.doc, outcome, programs }
        };
        HookReport {
            id: hook.id,
            needed_for: hook.needed_for,
            variants: hook.variants.iter().map(report).collect(),
        }
    }

    /// Attaches every program of a variant, or none.
    fn attach(&mut self, variant: &Variant) -> Result<Vec<ProgramReport>, String> {
        let missing = self.facts.missing(variant.fields);
        if !missing.is_empty() {
            return Err(format!("this kernel has no {}", missing.join(", ")));
        }
        variant.attachments.iter().try_for_each(|attachment| self.facts.offer(attachment.point))?;
        if variant.kind == Some(Kind::Kprobe) {
            offer_kprobes()?;
        }
        let programs: Result<_, _> =
            variant.attachments.iter().map(|attachment| self.attach_one(attachment)).collect();
        programs.inspect_err(|_| self.detach(variant))
    }

    fn attach_one(&mut self, attachment: &Attachment) -> Result<ProgramReport, String> {
        let Attachment { program: name, point } = *attachment;
        let Self { ebpf, btf, .. } = self;
        let program = ebpf.program_mut(name).ok_or_else(|| format!("the object has no program {name}"))?;
        let load_time = match point {
            Point::BtfTracepoint { name, .. } => attach_btf_tracepoint(program, name, btf),
            Point::Fexit { function, .. } => attach_fexit(program, function, btf),
            Point::Kprobe(function) | Point::Kretprobe(function) => attach_kprobe(program, function),
            Point::SyscallExits(calls) => {
                let _tracefs =
                    Tracefs::available().map_err(|error| format!("cannot mount tracefs: {error}"))?;
                attach_syscall_exits(program, calls)
            }
            Point::Uprobe => load_uprobe(program),
        }
        .map_err(|error| in_words(&error))?;
        let info = program.info().ok();
        let verified_instructions = info.and_then(|info| info.verified_instruction_count());
        Ok(ProgramReport { name, verified_instructions, load_time })
    }

    /// Tries a place in a program with every program of a variant that is meant for such, when it is loaded.
    fn probe(&mut self, variant: &Variant) -> Result<(), String> {
        for attachment in variant.attachments {
            if let Some(Program::UProbe(program)) = self.ebpf.program_mut(attachment.program) {
                try_uprobe(program)?;
            }
        }
        Ok(())
    }

    fn detach(&mut self, variant: &Variant) {
        for attachment in variant.attachments {
            if let Some(program) = self.ebpf.program_mut(attachment.program) {
                unload(program);
            }
        }
    }
}

/// How long loading took: all of it is the verifier and the compiler.
fn timed(load: impl FnOnce() -> Result<(), ProgramError>) -> Result<Duration, ProgramError> {
    let began = Instant::now();
    load().map(|()| began.elapsed())
}

fn attach_btf_tracepoint(program: &mut Program, name: &str, btf: &Btf) -> Result<Duration, ProgramError> {
    let program: &mut BtfTracePoint = program.try_into()?;
    let load_time = timed(|| program.load(name, btf))?;
    program.attach().map(|_| load_time)
}

fn attach_fexit(program: &mut Program, function: &str, btf: &Btf) -> Result<Duration, ProgramError> {
    let program: &mut FExit = program.try_into()?;
    let load_time = timed(|| program.load(function, btf))?;
    program.attach().map(|_| load_time)
}

/// An operator may have switched all kprobes off: they can be attached then, and never fire. Source: kernel/kprobes.c
/// `debugfs_kprobe_init` (v6.18).
fn offer_kprobes() -> Result<(), String> {
    const SWITCH: &str = "/sys/kernel/debug/kprobes/enabled";
    let is_off = fs::read_to_string(SWITCH).is_ok_and(|text| text.trim() == "0");
    if is_off { Err(format!("kprobes are switched off by {SWITCH}")) } else { Ok(()) }
}

fn attach_kprobe(program: &mut Program, function: &str) -> Result<Duration, ProgramError> {
    let program: &mut KProbe = program.try_into()?;
    let load_time = timed(|| program.load())?;
    program.attach(function, 0).map(|_| load_time)
}

/// Where it is attached is known when a program is found.
fn load_uprobe(program: &mut Program) -> Result<Duration, ProgramError> {
    let program: &mut UProbe = program.try_into()?;
    timed(|| program.load())
}

/// Whether it may be attached at all is tried at the first byte of the agent's own file, which nobody runs: since CVE-2025-38466 was
/// mended (6.16, stable kernels of July 2025) CAP_PERFMON is not enough. Source: kernel/events/core.c `perf_uprobe_event_init`. With
/// a cookie, if this kernel knows them: where Python is probed, each has one.
pub(in crate::attach) fn try_uprobe(program: &mut UProbe) -> Result<(), String> {
    let cookie = aya::features().bpf_cookie().then_some(0);
    let place = UProbeAttachPoint { location: 0_u64.into(), cookie };
    let link = program.attach(place, "/proc/self/exe", UProbeScope::AllProcesses);
    link.and_then(|link| program.detach(link)).map_err(|error| in_words(&error))
}

/// One program at the exits of several calls.
fn attach_syscall_exits(program: &mut Program, calls: &[&str]) -> Result<Duration, ProgramError> {
    let program: &mut TracePoint = program.try_into()?;
    let load_time = timed(|| program.load())?;
    for call in calls {
        program.attach("syscalls", &format!("sys_exit_{call}"))?;
    }
    Ok(load_time)
}

/// Unloads a program with its links. That it was not loaded is no failure.
fn unload(program: &mut Program) {
    match program {
        Program::BtfTracePoint(program) => program.unload(),
        Program::FExit(program) => program.unload(),
        Program::KProbe(program) => program.unload(),
        Program::TracePoint(program) => program.unload(),
        Program::UProbe(program) => program.unload(),
        _ => Ok(()),
    }
    .unwrap_or_default();
}

/// The cause of a refusal on one line. A verifier's log is cut to its end, which says what is wrong.
pub(in crate::attach) fn in_words(error: &ProgramError) -> String {
    const LAST_LINES: usize = 3;
    if let ProgramError::LoadError { io_error, verifier_log } = error {
        let log = verifier_log.to_string();
        let lines = log.lines().rev().filter(|line| !line.is_empty() && !line.starts_with("processed "));
        let mut last: Vec<&str> = lines.take(LAST_LINES).collect();
        last.reverse();
        let separator = if last.is_empty() { "" } else { ": " };
        return format!("the kernel refuses the program: {io_error}{separator}{}", last.join(" / "));
    }
    let mut words = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    words
}

/// The kernel's own BTF, unless a file was configured.
fn btf_path(settings: &Settings) -> &Path {
    settings.btf.as_deref().unwrap_or(Path::new(VMLINUX))
}

/// What this kernel's BTF says, and the settings that travel with it.
fn facts(settings: &Settings) -> Result<Facts, Error> {
    let path = btf_path(settings);
    let blob = fs::read(path).map_err(|source| Error::NoBtf { path: path.into(), source })?;
    let points = HOOKS.iter().flat_map(|hook| hook.variants).flat_map(|variant| variant.attachments);
    let tracepoints: Vec<_> = points
        .filter_map(|attachment| match attachment.point {
            Point::BtfTracepoint { name, typedef } => Some((name, typedef)),
            Point::Fexit { .. }
            | Point::Kprobe(_)
            | Point::Kretprobe(_)
            | Point::SyscallExits(_)
            | Point::Uprobe => None,
        })
        .collect();
    let functions = ["tcp_sendmsg", "tcp_recvmsg", "tcp_sendpage"];
    let mut facts = offsets::resolve(&blob, &tracepoints, &functions).map_err(Error::BadBtf)?;
    let ticks_per_second = rustix::param::clock_ticks_per_second().max(1);
    facts.kernel.follow_exec = settings.follow_exec.number();
    facts.kernel.high_water_bytes = ring_bytes(settings) / 4;
    facts.kernel.tick_ns = u32::try_from(1_000_000_000 / ticks_per_second).unwrap_or(facts.kernel.tick_ns);
    Ok(facts)
}

/// Bytes of the ring: a power of two, as the kernel demands.
fn ring_bytes(settings: &Settings) -> u32 {
    let cpus =
        std::thread::available_parallelism().map_or(1, |cpus| u32::try_from(cpus.get()).unwrap_or(u32::MAX));
    let default = || limits::RING_BYTES.saturating_mul(cpus.div_ceil(4).min(64));
    let bytes = settings.ring_bytes.unwrap_or_else(default);
    bytes.clamp(64 * 1024, 1 << 30).next_power_of_two()
}
