//! Memory of a process, and which files it has mapped: small reads, each of which may fail.
//!
//! Source: proc(5), `/proc/PID/mem` and `/proc/PID/maps`.
use procfs::process::{MMapPath, Process};
use std::{
    fs::{self, File},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

/// See the file's doc.
pub(super) struct Memory {
    file: File,
}

impl Memory {
    pub(super) fn of(pid: u32) -> Option<Memory> {
        Some(Memory { file: File::open(format!("/proc/{pid}/mem")).ok()? })
    }

    /// Eight bytes.
    pub(super) fn word(&self, address: u64) -> Option<u64> {
        let mut bytes = [0; 8];
        self.file.read_exact_at(&mut bytes, address).ok()?;
        Some(u64::from_le_bytes(bytes))
    }
}

/// A file that is mapped from its beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mapped {
    /// Its name, as the process sees it.
    pub(super) name: PathBuf,
    /// Where the agent can open it.
    pub(super) path: PathBuf,
    /// Where its first byte is in memory.
    pub(super) start: u64,
}

/// The program, and the libraries of Python that it has mapped.
pub(super) fn mapped(pid: u32) -> Option<Vec<Mapped>> {
    let process = Process::new(i32::try_from(pid).ok()?).ok()?;
    let program = process.exe().ok()?;
    let files = process.maps().ok()?.into_iter().filter(|map| map.offset == 0).filter_map(|map| {
        let MMapPath::Path(name) = map.pathname else { return None };
        let path = if name == program {
            PathBuf::from(format!("/proc/{pid}/exe"))
        } else if is_library(&name) {
            within(pid, &name)?
        } else {
            return None;
        };
        Some(Mapped { name, path, start: map.address.0 })
    });
    Some(files.collect())
}

/// The file of a module that a process has mapped, where the agent can open it.
pub(super) fn module(pid: u32, is_it: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    let maps = Process::new(i32::try_from(pid).ok()?).ok()?.maps().ok()?;
    maps.into_iter().find_map(|map| match map.pathname {
        MMapPath::Path(path) if is_it(&path) => within(pid, &path),
        _ => None,
    })
}

/// Where the agent can open a file that a process has named so. What a process has in a root of its own, without a file system of its
/// own, has the name that it has outside.
pub(super) fn within(pid: u32, name: &Path) -> Option<PathBuf> {
    let root = PathBuf::from(format!("/proc/{pid}/root"));
    let inside = fs::read_link(&root).ok().and_then(|outside| name.strip_prefix(outside).ok());
    Some(root.join(inside.or_else(|| name.strip_prefix("/").ok())?))
}

/// `_queue.cpython-312-x86_64-linux-gnu.so` for `_queue.`.
pub(super) fn is_named(path: &Path, name: &str) -> bool {
    path.file_name().and_then(|file| file.to_str()).is_some_and(|file| file.starts_with(name))
}

/// `libpython3.12.so.1.0`.
fn is_library(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("libpython3"))
}
