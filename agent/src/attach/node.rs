//! What is known of Node.js from its executable, or from the library it is in: where its async ids are, and where to look into its code.
//!
//! Shape: a process and its executable → [`Program`], or `None` if it is not Node.js. What it exports for its own add-ons is there in
//! every build, stripped or not; what promises do is seen only with the symbols of V8, which official builds have. What cannot be
//! known is a reason, for `explain`, and costs its own feature only. Not here: attaching (see `uprobes`). x86-64 only.
mod code;
mod image;
#[cfg(test)]
mod tests;

use crate::attach::hooks::HookId;
use image::{Image, Symbols};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};
use thiserror::Error;
use wirespan_common::policy::NodeLayout;

/// Why something is not known of Node.js.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Unknown {
    /// The program does not contain the function, or hides its name.
    #[error("it shows no function {0}")]
    NoFunction(&'static str),
    /// The code at the function's address is not what such a function looks like.
    #[error("the code of {0} is not as expected")]
    Code(&'static str),
    /// Of no use without another place.
    #[error("of no use without {0}")]
    Alone(&'static str),
}

/// A place for a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Offset in the file.
    pub offset: u64,
    /// The kernel emulates the instruction there; else it steps it, which costs 10 µs.
    pub is_cheap: bool,
}

/// Node.js.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The library that it is in, if not in the executable.
    pub library: Option<PathBuf>,
    /// Where a thread keeps its async ids.
    pub layout: Result<NodeLayout, Unknown>,
    /// Places by hook.
    pub places: Vec<(HookId, Result<Place, Unknown>)>,
}

const IDS: &str = "_ZN4node29AsyncHooksGetExecutionAsyncIdEPN2v87IsolateE";
const CALLBACK: &str = "_ZN4node21InternalCallbackScopeC1EPNS_11Environment";
const WRAP: &str = "_ZN4node21InternalCallbackScopeC1EPNS_9AsyncWrapEi";
const TIMERS: &str = "_ZN4node11Environment9RunTimersEP10uv_timer_s";
const IMMEDIATES: &str = "_ZN4node11Environment14CheckImmediateEP10uv_check_s";
const RESOLVE: &str = "Builtins_PromiseCapabilityDefaultResolve";
const WAITING: &str = "_ZN2v88internal14MicrotaskQueue13RunMicrotasksEPNS0_7IsolateE";
/// Where a compiler has split it, this is what callers call.
const WAITING_PART: &str = "_ZN2v88internal14MicrotaskQueue13RunMicrotasksEPNS0_7IsolateE.part.";
/// What every caller of that calls next.
const COMPLETED: &str = "_ZN2v88internal7Isolate16ClearKeptObjectsEv";

/// Looks at the program of a process. `None`: it is not Node.js, or no program that can be read.
#[must_use]
pub fn inspect(pid: u32, executable: &File) -> Option<Program> {
    let image = Image::read(executable)?;
    let exported = image.exported()?;
    if exported.find(IDS).is_some() {
        return Some(program(&image, &exported, None));
    }
    if !exported.names("libnode.so.") {
        return None;
    }
    let path = library(pid)?;
    let file = File::open(&path).ok()?;
    let image = Image::read(&file)?;
    let exported = image.exported()?;
    exported.find(IDS)?;
    Some(program(&image, &exported, Some(path)))
}

fn program(image: &Image<'_>, exported: &Symbols, library: Option<PathBuf>) -> Program {
    let all = image.all();
    let address = |name| exported.find(name).or_else(|| all.as_ref()?.find(name)).map(|found| found.address);
    let place = |name: &'static str| {
        let address = address(name).ok_or(Unknown::NoFunction(name))?;
        let offset = image.offset_of(address).ok_or(Unknown::Code(name))?;
        let begins = image.bytes(offset, code::BEGIN_BYTES).ok_or(Unknown::Code(name))?;
        let cheap = code::emulated(&begins);
        Ok(Place { offset: offset + cheap.unwrap_or_default(), is_cheap: cheap.is_some() })
    };
    let (resolve, waiting) = (place(RESOLVE), place(WAITING_PART).or_else(|_| place(WAITING)));
    let promises = match (&resolve, &waiting) {
        (Ok(_), Ok(_)) => [resolve, waiting, place(COMPLETED)],
        (Err(_), _) => [resolve, Err(Unknown::Alone(RESOLVE)), Err(Unknown::Alone(RESOLVE))],
        (_, Err(_)) => [Err(Unknown::Alone(WAITING)), waiting, Err(Unknown::Alone(WAITING))],
    };
    let hooks = [HookId::NodeResolves, HookId::NodeWaiting, HookId::NodeCompleted];
    let mut places = vec![
        (HookId::NodeCallbacks, place(CALLBACK)),
        (HookId::NodeWraps, place(WRAP)),
        (HookId::NodeTimers, place(TIMERS)),
        (HookId::NodeImmediates, place(IMMEDIATES)),
    ];
    places.extend(hooks.into_iter().zip(promises));
    // Each of these ends what ran before it: with one of them missing, work would be taken for somebody else's.
    let missing = places.iter().take(4).find_map(|(_, place)| place.as_ref().err().cloned());
    let layout = missing.map_or_else(|| layout(image, exported), Err);
    Program { library, layout, places }
}

fn layout(image: &Image<'_>, exported: &Symbols) -> Result<NodeLayout, Unknown> {
    let code = |name: &'static str| {
        let found = exported.find(name).ok_or(Unknown::NoFunction(name))?;
        let offset = image.offset_of(found.address).ok_or(Unknown::Code(name))?;
        image.bytes(offset, code::FUNCTION_BYTES).ok_or(Unknown::Code(name))
    };
    let ids_offset = code::ids_offset(&code(IDS)?).ok_or(Unknown::Code(IDS))?;
    let (wrap_id_offset, environment_offset) = code::wrap_offsets(&code(WRAP)?).ok_or(Unknown::Code(WRAP))?;
    let callback = exported.find(CALLBACK).ok_or(Unknown::NoFunction(CALLBACK))?;
    // From v22 on the resource may be one of several types, and takes two registers.
    let context_is_fifth = u32::from(callback.name.contains("St7variant"));
    Ok(NodeLayout { ids_offset, wrap_id_offset, environment_offset, context_is_fifth, reserved: [0; 2] })
}

/// The library that a process has, or will have, Node.js in: it may not have been loaded yet.
fn library(pid: u32) -> Option<PathBuf> {
    const FOLDERS: [&str; 5] =
        ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu", "usr/lib64", "usr/lib", "usr/local/lib"];
    let is_node = |path: &Path| {
        path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("libnode.so."))
    };
    let root = PathBuf::from(format!("/proc/{pid}/root"));
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    let mapped = maps.lines().filter_map(|line| line.split_ascii_whitespace().nth(5)).map(Path::new);
    if let Some(path) = mapped.filter(|path| is_node(path)).find_map(|path| path.strip_prefix("/").ok()) {
        return Some(root.join(path));
    }
    let files = FOLDERS.iter().filter_map(|folder| fs::read_dir(root.join(folder)).ok());
    files.flatten().flatten().map(|entry| entry.path()).find(|path| is_node(path))
}
