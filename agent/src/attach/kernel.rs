//! The loaded kernel side: chooses a variant of each hook by trying, and owns what it attached.
use crate::{
    attach::{
        btf, cookies,
        hooks::{Attachment, HOOKS, Hook, HookId, Kind, Point, Variant},
        offsets::{self, Facts},
        policies::MarkIds,
    },
    events::ring::Ring,
};
use aya::{
    Btf, Ebpf, EbpfError, EbpfLoader, VerifierLogLevel, include_bytes_aligned,
    maps::{MapError, RingBuf},
    programs::{BtfTracePoint, ProgramError},
};
use std::{fs, io};
use thiserror::Error;
use wirespan_common::limits;

/// The kernel programs.
pub(crate) const OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/wirespan-ebpf"));

const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

/// How to load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Use this kind of socket plane and no other; `None` takes the best that works.
    pub kind: Option<Kind>,
    /// Bytes of the ring; `None` takes [`limits::RING_BYTES`] per four CPUs.
    pub ring_bytes: Option<u32>,
    /// Observe every program that is executed until it has been decided upon.
    pub follow_exec: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { kind: None, ring_bytes: None, follow_exec: true }
    }
}

/// Why the kernel side cannot work at all.
#[derive(Debug, Error)]
pub enum Error {
    /// The kernel was built without BTF, or hides it.
    #[error("cannot read {VMLINUX}: the kernel needs CONFIG_DEBUG_INFO_BTF")]
    NoBtf(#[source] io::Error),
    /// The file is not what it should be.
    #[error("cannot understand {VMLINUX}")]
    BadBtf(#[source] btf::Error),
    /// Maps or programs were refused as a whole.
    #[error("the kernel refuses eBPF: root, or CAP_BPF and CAP_PERFMON, is needed")]
    Load(#[source] Box<EbpfError>),
    /// The object lacks a map: it is not the one this program was built with.
    #[error("the kernel programs have no map {0}")]
    NoMap(&'static str),
    /// A map of the object could not be used.
    #[error("cannot use map {map}")]
    Map {
        /// Its name.
        map: &'static str,
        /// Why.
        #[source]
        source: Box<MapError>,
    },
    /// A hook that the agent cannot do without was refused in every variant.
    #[error("no way to see {}: {}", .0.needed_for, .0.refusals())]
    Hook(HookReport),
}

/// What became of one variant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Attached.
    Chosen,
    /// A better one was chosen, or it was not asked for.
    NotTried,
    /// It would work (see [`survey`]).
    Works,
    /// The kernel lacks something, or refused it.
    Refused {
        /// In words.
        reason: String,
    },
}

/// One variant of a hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VariantReport {
    /// Kind of the socket plane, if it is one.
    pub kind: Option<Kind>,
    /// What it is good for.
    pub doc: &'static str,
    /// What became of it.
    pub outcome: Outcome,
}

/// One hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookReport {
    /// Which.
    pub id: HookId,
    /// What is missing without it.
    pub needed_for: &'static str,
    /// Variants, best first.
    pub variants: Vec<VariantReport>,
}

impl HookReport {
    /// The variant in use.
    #[must_use]
    pub fn chosen(&self) -> Option<&VariantReport> {
        self.variants.iter().find(|variant| variant.outcome == Outcome::Chosen)
    }

    fn refusals(&self) -> String {
        let reasons = self.variants.iter().filter_map(|variant| match &variant.outcome {
            Outcome::Refused { reason } => Some(reason.as_str()),
            Outcome::Chosen | Outcome::NotTried | Outcome::Works => None,
        });
        reasons.collect::<Vec<_>>().join("; ")
    }
}

/// The kernel side at work.
pub struct Kernel {
    pub(in crate::attach) ebpf: Ebpf,
    report: Vec<HookReport>,
    pub(in crate::attach) marks: MarkIds,
}

impl Kernel {
    /// Loads the maps, and of each hook the best variant that works.
    ///
    /// # Errors
    /// When a hook that is needed cannot be had, with the reason for each variant.
    pub fn load(settings: &Settings) -> Result<Self, Error> {
        let mut loader = Loader::new(settings)?;
        let mut report = Vec::with_capacity(HOOKS.len());
        for hook in HOOKS {
            let chosen = loader.choose(hook, settings.kind);
            if !hook.optional && chosen.chosen().is_none() {
                return Err(Error::Hook(chosen));
            }
            report.push(chosen);
        }
        let kernel = Self { ebpf: loader.ebpf, report, marks: MarkIds::default() };
        if kernel.kind().is_some_and(|kind| matches!(kind, Kind::Kprobe | Kind::Syscalls)) {
            cookies::make();
        }
        Ok(kernel)
    }

    /// The ring of records. It can be taken once.
    ///
    /// # Errors
    /// When it was taken before, or cannot be mapped.
    pub fn ring(&mut self) -> Result<Ring, Error> {
        let map = self.ebpf.take_map("EVENTS").ok_or(Error::NoMap("EVENTS"))?;
        let ring = RingBuf::try_from(map)
            .map_err(|source| Error::Map { map: "EVENTS", source: Box::new(source) })?;
        Ok(Ring::new(ring))
    }

    /// What was chosen for each hook, and why not the rest.
    #[must_use]
    pub fn report(&self) -> &[HookReport] {
        &self.report
    }

    /// The kind of socket plane in use.
    #[must_use]
    pub fn kind(&self) -> Option<Kind> {
        self.report.iter().find(|hook| hook.id == HookId::SocketBytes)?.chosen()?.kind
    }
}

/// Tries every variant of every hook and keeps none, so that `doctor` can say what this machine offers.
///
/// # Errors
/// When nothing can be tried: no BTF, or no privilege.
pub fn survey() -> Result<Vec<HookReport>, Error> {
    let mut loader = Loader::new(&Settings { follow_exec: false, ..Settings::default() })?;
    Ok(HOOKS.iter().map(|hook| loader.try_all(hook)).collect())
}

struct Loader {
    ebpf: Ebpf,
    btf: Btf,
    facts: Facts,
}

impl Loader {
    fn new(settings: &Settings) -> Result<Self, Error> {
        let facts = facts(settings)?;
        let mut loader = EbpfLoader::new();
        // The object has no relocations against the kernel: its BTF is parsed once more below, when the loader's is freed.
        loader.btf(None);
        let ebpf = loader
            .verifier_log_level(VerifierLogLevel::DEBUG)
            .override_global("OFFSETS", &facts.offsets, true)
            .override_global("KERNEL", &facts.kernel, true)
            .map_max_entries("EVENTS", ring_bytes(settings))
            .load(OBJECT)
            .map_err(|error| Error::Load(Box::new(error)))?;
        drop(loader);
        let btf = Btf::from_sys_fs().map_err(|error| Error::Load(Box::new(error.into())))?;
        Ok(Self { ebpf, btf, facts })
    }

    fn choose(&mut self, hook: &Hook, kind: Option<Kind>) -> HookReport {
        let mut chosen = false;
        self.report(hook, |loader, variant| {
            if chosen || (kind.is_some() && variant.kind.is_some() && variant.kind != kind) {
                return Outcome::NotTried;
            }
            match loader.attach(variant) {
                Ok(()) => {
                    chosen = true;
                    Outcome::Chosen
                }
                Err(reason) => Outcome::Refused { reason },
            }
        })
    }

    fn try_all(&mut self, hook: &Hook) -> HookReport {
        self.report(hook, |loader, variant| match loader.attach(variant) {
            Ok(()) => {
                loader.detach(variant);
                Outcome::Works
            }
            Err(reason) => Outcome::Refused { reason },
        })
    }

    fn report(&mut self, hook: &Hook, mut outcome: impl FnMut(&mut Self, &Variant) -> Outcome) -> HookReport {
        let variants = hook
            .variants
            .iter()
            .map(|variant| VariantReport {
                kind: variant.kind,
                doc: variant.doc,
                outcome: outcome(self, variant),
            })
            .collect();
        HookReport { id: hook.id, needed_for: hook.needed_for, variants }
    }

    /// Attaches every program of a variant, or none.
    fn attach(&mut self, variant: &Variant) -> Result<(), String> {
        let missing = self.facts.missing(variant.fields);
        if !missing.is_empty() {
            return Err(format!("this kernel has no {}", missing.join(", ")));
        }
        for attachment in variant.attachments {
            if let Err(reason) = self.attach_one(attachment) {
                self.detach(variant);
                return Err(reason);
            }
        }
        Ok(())
    }

    fn attach_one(&mut self, attachment: &Attachment) -> Result<(), String> {
        let Attachment { program, point } = *attachment;
        let Self { ebpf, btf, facts } = self;
        let program =
            ebpf.program_mut(program).ok_or_else(|| format!("the object has no program {program}"))?;
        let attached = match point {
            Point::BtfTracepoint { name, .. } => {
                if !facts.tracepoints.contains(&name) {
                    return Err(format!("this kernel has no tracepoint {name}"));
                }
                <&mut BtfTracePoint>::try_from(program).and_then(|program| {
                    program.load(name, btf)?;
                    program.attach().map(|_| ())
                })
            }
        };
        attached.map_err(|error| in_words(&error))
    }

    fn detach(&mut self, variant: &Variant) {
        for attachment in variant.attachments {
            if let Some(program) = self.ebpf.program_mut(attachment.program) {
                // Dropping the links detaches; a program that was never loaded has none.
                program_unload(program);
            }
        }
    }
}

/// Unloads a program with its links. That it was not loaded is no failure.
fn program_unload(program: &mut aya::programs::Program) {
    match program {
        aya::programs::Program::BtfTracePoint(program) => program.unload().unwrap_or_default(),
        _ => {}
    }
}

/// The cause of a refusal on one line. A verifier's log is cut to its end, which says what is wrong.
fn in_words(error: &ProgramError) -> String {
    const LAST_LINES: usize = 3;
    if let ProgramError::LoadError { io_error, verifier_log } = error {
        let log = verifier_log.to_string();
        let mut last: Vec<&str> =
            log.lines().filter(|line| !line.starts_with("processed ")).rev().take(LAST_LINES).collect();
        last.reverse();
        return format!("the verifier refuses it: {io_error}: {}", last.join(" / "));
    }
    let mut words = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    words
}

/// What this kernel's BTF says, and the settings that travel with it.
fn facts(settings: &Settings) -> Result<Facts, Error> {
    let blob = fs::read(VMLINUX).map_err(Error::NoBtf)?;
    let points = HOOKS.iter().flat_map(|hook| hook.variants).flat_map(|variant| variant.attachments);
    let tracepoints: Vec<_> = points
        .map(|attachment| match attachment.point {
            Point::BtfTracepoint { name, typedef } => (name, typedef),
        })
        .collect();
    let mut facts =
        offsets::resolve(&blob, &tracepoints, &["tcp_sendmsg", "tcp_recvmsg"]).map_err(Error::BadBtf)?;
    facts.kernel.follow_exec = u32::from(settings.follow_exec);
    facts.kernel.high_water_bytes = ring_bytes(settings) / 4;
    facts.kernel.tick_ns =
        u32::try_from(1_000_000_000 / rustix::param::clock_ticks_per_second().max(1)).unwrap_or(10_000_000);
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
