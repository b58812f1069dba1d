//! tracefs for as long as it takes to attach to tracepoints that BTF does not type.
//!
//! Where it is not mounted it is mounted, and unmounted again: the attached programs do not need it, and the machine is left
//! as it was found.
use rustix::{
    io,
    mount::{MountFlags, UnmountFlags, mount, unmount},
};
use std::fs;

const TRACEFS: &str = "/sys/kernel/tracing";
const DEBUGFS: &str = "/sys/kernel/debug/tracing";

/// Holds a mount of our own, if there was none.
pub(in crate::attach) struct Tracefs {
    ours: bool,
}

impl Tracefs {
    /// Makes sure that tracefs can be read.
    pub(in crate::attach) fn available() -> io::Result<Self> {
        if [TRACEFS, DEBUGFS]
            .iter()
            .any(|path| fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some()))
        {
            return Ok(Self { ours: false });
        }
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        mount("tracefs", TRACEFS, "tracefs", flags, None)?;
        tracing::info!(path = TRACEFS, "tracefs mounted while attaching");
        Ok(Self { ours: true })
    }
}

impl Drop for Tracefs {
    fn drop(&mut self) {
        if !self.ours {
            return;
        }
        if let Err(error) = unmount(TRACEFS, UnmountFlags::DETACH) {
            tracing::warn!(%error, path = TRACEFS, "cannot unmount tracefs");
        }
    }
}
