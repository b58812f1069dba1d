//! The loaded kernel side: owns what it attached.
use crate::{
    attach::{
        btf, cookies,
        hooks::{HOOKS, HookId, Kind},
        load::{Loader, Room},
        losses::ProgramFiles,
        policies::MarkIds,
        pythons::Pythons,
        rehearsal::rehearse,
        report::HookReport,
        uprobes::Images,
    },
    events::ring::Ring,
};
use aya::{
    Ebpf, EbpfError,
    maps::{MapError, RingBuf},
};
use rustix::io::Errno;
use std::{io, path::PathBuf};
use thiserror::Error;
use wirespan_common::offsets::follow_exec;

/// How to load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Use this kind of socket plane and no other; `None` takes the best that works.
    pub kind: Option<Kind>,
    /// A file with this kernel's BTF; `None` takes what the kernel itself shows.
    pub btf: Option<PathBuf>,
    /// Bytes of the ring; `None` takes [`RING_BYTES`](wirespan_common::limits::RING_BYTES) per four CPUs.
    pub ring_bytes: Option<u32>,
    /// What is done about programs that are executed.
    pub follow_exec: FollowExec,
}

/// What is done when a process that is not observed executes a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FollowExec {
    /// Nothing: it is not heard of.
    Off,
    /// It is observed until it has been decided upon.
    Follow,
    /// It is heard of, and nothing is read of it before it has been decided upon.
    Announce,
}

impl FollowExec {
    /// As the kernel side has it.
    pub(super) fn number(self) -> u32 {
        match self {
            FollowExec::Off => follow_exec::OFF,
            FollowExec::Follow => follow_exec::FOLLOW,
            FollowExec::Announce => follow_exec::ANNOUNCE,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self { kind: None, btf: None, ring_bytes: None, follow_exec: FollowExec::Follow }
    }
}

/// Why the kernel side cannot work at all.
#[derive(Debug, Error)]
pub enum Error {
    /// The kernel was built without BTF, or hides it.
    #[error("cannot read {}: the kernel needs CONFIG_DEBUG_INFO_BTF, or its BTF in a file named by capture.btf", .path.display())]
    NoBtf {
        /// Where it should be.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is not what it should be.
    #[error("cannot understand the kernel's BTF")]
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
    /// The ring cannot be waited for.
    #[error("cannot wait for the kernel programs")]
    Wait(#[source] Errno),
    /// A hook that the agent cannot do without was refused in every variant.
    #[error("no way to see {}: {}", .0.needed_for, .0.refusals())]
    Hook(HookReport),
}

/// The kernel side at work.
pub struct Kernel {
    pub(in crate::attach) ebpf: Ebpf,
    pub(in crate::attach) marks: MarkIds,
    /// Missed ends of sockets as of the last look for dead rows.
    pub(in crate::attach) ends_swept: u64,
    pub(in crate::attach) images: Images,
    pub(in crate::attach) pythons: Pythons,
    pub(in crate::attach) program_files: ProgramFiles,
    report: Vec<HookReport>,
}

impl Kernel {
    /// Loads the maps, and of each hook the best variant that works.
    ///
    /// # Errors
    /// When a hook that is needed cannot be had, with the reason for each variant.
    pub fn load(settings: &Settings) -> Result<Self, Error> {
        let room = if settings.kind == Some(Kind::Kprobe) { Room::Inflight } else { Room::None };
        let kernel = Self::load_with(settings, room)?;
        // Only kprobes need memory for calls in flight: most machines never pay for it, those that do load twice.
        let kernel = match kernel.kind() {
            Some(Kind::Kprobe) if room == Room::None => {
                drop(kernel);
                Self::load_with(settings, Room::Inflight)?
            }
            _ => kernel,
        };
        if matches!(kernel.kind(), Some(Kind::Kprobe | Kind::Syscalls)) {
            cookies::make();
        }
        Ok(kernel)
    }

    fn load_with(settings: &Settings, room: Room) -> Result<Self, Error> {
        let mut loader = Loader::new(settings, room)?;
        let mut report = Vec::with_capacity(HOOKS.len());
        for hook in HOOKS {
            let kind = match hook.id {
                HookId::SocketPages => kind_of_bytes(&report),
                _ => settings.kind,
            };
            let chosen = loader.choose(hook, kind);
            if !hook.optional && chosen.chosen().is_none() {
                return Err(Error::Hook(chosen));
            }
            report.push(chosen);
        }
        let ebpf = loader.into_ebpf();
        Ok(Self {
            program_files: ProgramFiles::open(&ebpf),
            ebpf,
            marks: MarkIds::default(),
            ends_swept: 0,
            images: Images::default(),
            pythons: Pythons::default(),
            report,
        })
    }

    /// The ring of records. It can be taken once.
    ///
    /// # Errors
    /// When it was taken before, or cannot be mapped.
    pub fn ring(&mut self) -> Result<Ring, Error> {
        const MAP: &str = "EVENTS";
        let map = self.ebpf.take_map(MAP).ok_or(Error::NoMap(MAP))?;
        let ring =
            RingBuf::try_from(map).map_err(|source| Error::Map { map: MAP, source: Box::new(source) })?;
        Ring::new(ring).map_err(Error::Wait)
    }

    /// What was chosen for each hook, and why not the rest.
    #[must_use]
    pub fn report(&self) -> &[HookReport] {
        &self.report
    }

    /// Does once what a running agent asks of the kernel, to see whether it may: looks at a map, and if so wanted probes a program.
    ///
    /// # Errors
    /// What the kernel refuses, in words.
    pub fn rehearse(&mut self, with_probe: bool) -> Result<(), String> {
        rehearse(&mut self.ebpf, with_probe)
    }

    /// The kind of socket plane in use.
    #[must_use]
    pub fn kind(&self) -> Option<Kind> {
        kind_of_bytes(&self.report)
    }
}

/// The kind of socket plane that was chosen: what else is seen of sockets must be seen the same way, or it is seen twice.
fn kind_of_bytes(report: &[HookReport]) -> Option<Kind> {
    report.iter().find(|hook| hook.id == HookId::SocketBytes)?.chosen()?.kind
}

/// What a machine offers, and what it was tried with.
pub struct Survey {
    /// Every variant of every hook.
    pub reports: Vec<HookReport>,
    loader: Loader,
}

impl Survey {
    /// As [`Kernel::rehearse`].
    ///
    /// # Errors
    /// What the kernel refuses, in words.
    pub fn rehearse(&mut self, with_probe: bool) -> Result<(), String> {
        rehearse(self.loader.ebpf_mut(), with_probe)
    }
}

/// Tries every variant of every hook and keeps none, so that `doctor` can say what this machine offers.
///
/// # Errors
/// When nothing can be tried: no BTF, or no privilege.
pub fn survey(settings: &Settings) -> Result<Survey, Error> {
    let settings = Settings { follow_exec: FollowExec::Off, ..settings.clone() };
    let mut loader = Loader::new(&settings, Room::Inflight)?;
    let reports = HOOKS.iter().map(|hook| loader.try_all(hook)).collect();
    loader.load_probe();
    Ok(Survey { reports, loader })
}
