//! Where uvloop is handed bytes to send: it may send them later, all connections' together, in a context that is nobody's.
//!
//! Shape: a process → the file of its uvloop, and places in it. The functions are found by their symbols, which published builds have.
//! Source: uvloop/handles/stream.pyx `UVStream.write` and `writelines`, as Cython names them (0.17 to 0.23).
use super::{
    code::{self, Place},
    image::Image,
    memory,
};
use iced_x86::Register;
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

/// What is known of a process's uvloop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uvloop {
    /// Its file, where the agent can open it.
    pub path: PathBuf,
    /// Where a register holds the stream; none: its code is not as expected, or nobody has measured this version.
    pub writes: Vec<Place>,
}

/// The versions that were measured, `0.x`.
const MEASURED: std::ops::RangeInclusive<u32> = 17..=23;

/// `None`: the process has loaded no uvloop.
pub(super) fn look(pid: u32) -> Option<Uvloop> {
    let path = memory::module(pid, |path| {
        path.parent().is_some_and(|folder| folder.ends_with("uvloop")) && memory::is_named(path, "loop.")
    })?;
    let writes = version(&path).filter(|version| MEASURED.contains(version)).and_then(|_| writes(&path));
    Some(Uvloop { writes: writes.unwrap_or_default(), path })
}

fn writes(path: &Path) -> Option<Vec<Place>> {
    const FUNCTIONS: usize = 2;
    let file = File::open(path).ok()?;
    let image = Image::open(&file)?;
    let addresses = image.symbols(|name| {
        let method = name.strip_prefix(b"__pyx_pw_6uvloop_4loop_8UVStream_")?;
        let digits = method.iter().take_while(|byte| byte.is_ascii_digit()).count();
        matches!(method.get(digits..), Some(b"write" | b"writelines")).then_some(())
    })?;
    let places = addresses.into_iter().map(|address| code::argument(&image, address, Register::RDI));
    places.collect::<Option<Vec<Place>>>().filter(|places| places.len() == FUNCTIONS)
}

/// 22 of 0.22.1.
fn version(path: &Path) -> Option<u32> {
    let text = fs::read_to_string(path.with_file_name("_version.py")).ok()?;
    let (_, version) = text.lines().find_map(|line| line.strip_prefix("__version__"))?.split_once("0.")?;
    version.split('.').next()?.parse().ok()
}
