//! The part of the start that may need every privilege; at its end the agent lets go of those that a running one does without.
//!
//! Shape: configuration → [`Begun`]. Privileges are each thread's own, and a new thread has those of its maker: this is over before
//! the first one is made. Source: capabilities(7). Not here: what is kept (see `doctor`).
use super::{Error, meta, settings};
use crate::{attach::Kernel, config::Config, doctor, events::Ring, explain::server, recording::Writer};
use rustix::{
    io,
    thread::{
        CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set,
        clear_ambient_capability_set, remove_capability_from_bounding_set, set_capabilities,
        set_no_new_privs,
    },
};
use std::{os::unix::net::UnixListener, path::Path};
use tracing::warn;

/// What was made with all privileges.
pub(super) struct Begun {
    pub(super) kernel: Kernel,
    pub(super) ring: Ring,
    pub(super) recorder: Option<Writer>,
    /// Where `explain` asks, if nobody else answers there.
    pub(super) socket: Option<UnixListener>,
    /// Names of the capabilities that are left.
    pub(super) keeps: String,
}

/// Loads the kernel side, makes the files, and lets go.
pub(super) fn begin(config: &Config, recording: Option<&Path>) -> Result<Begun, Error> {
    let recorder = recording.map(|path| Writer::create(path, &meta())).transpose()?;
    let mut kernel = Kernel::load(&settings::attach(config))?;
    let ring = kernel.ring()?;
    if config.kubernetes.is_none() {
        kernel.watch_ports(config.select.ports.iter().copied())?;
    }
    let bound = server::bind(&config.agent.socket).inspect_err(|error| {
        warn!(%error, socket = %config.agent.socket.display(), "`wirespan explain` cannot ask this agent");
    });
    let let_go = doctor::kept(&mut |with_probe| kernel.rehearse(with_probe)).and_then(keep);
    if let Err(error) = let_go {
        warn!(%error, "cannot let go of all privileges that are not needed any more");
    }
    Ok(Begun { kernel, ring, recorder, socket: bound.ok(), keeps: names() })
}

/// Lets go of all others, for good: what this process might execute does not get them back.
fn keep(kept: CapabilitySet) -> io::Result<()> {
    let before = capabilities(None)?;
    let only = CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    // What fails does not keep the rest from being done.
    let done = [
        // Without that one nobody may, and nobody needs to: no program that is executed gets more than there is.
        if before.effective.contains(CapabilitySet::SETPCAP) { bound(kept) } else { Ok(()) },
        clear_ambient_capability_set(),
        set_capabilities(None, only),
        set_no_new_privs(true),
    ];
    done.into_iter().collect()
}

fn bound(kept: CapabilitySet) -> io::Result<()> {
    let all = (0..u64::BITS).map(|number| CapabilitySet::from_bits_retain(1 << number));
    // The kernel does not know numbers above its last one.
    let known = all.map_while(|one| Some((one, capability_is_in_bounding_set(one).ok()?)));
    for (one, _) in known.filter(|(one, is_in)| *is_in && !kept.contains(*one)) {
        remove_capability_from_bounding_set(one)?;
    }
    Ok(())
}

/// Of what this thread has, as capabilities(7) has them.
fn names() -> String {
    let held = capabilities(None).map_or(CapabilitySet::empty(), |sets| sets.effective);
    let names: Vec<String> = held.iter_names().map(|(name, _)| format!("CAP_{name}")).collect();
    names.join(" ")
}
