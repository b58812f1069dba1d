//! Where work is handed to other threads: the methods of `SimpleQueue`, by which `ThreadPoolExecutor` is fed.
//!
//! Shape: the interpreter → the file with the module `_queue`, and places in its code. The module is built into the interpreter or a
//! file beside it, and may be loaded later. Its functions have no names in stripped files: they are found by the table of the type's
//! methods, that by the one name which no other type has, and the pointers of a file that may be loaded anywhere by its relocations.
//! Source: Modules/_queuemodule.c `simplequeue_methods`, Include/methodobject.h `PyMethodDef` (3.9 to 3.14).
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

/// Where work is put and taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// The file that holds the code, where the agent can open it.
    pub path: PathBuf,
    /// Where a register holds the address of what is put.
    pub puts: Vec<Place>,
    /// Where a register holds what was taken.
    pub takes: Vec<Place>,
}

/// A name that only this type has, with its end.
const ONLY: &[u8] = b"get_nowait\0";
/// `sizeof(PyMethodDef)`, and its fields.
const METHOD_BYTES: u64 = 32;
const FUNCTION: u64 = 8;
const FLAGS: u64 = 16;
/// Methods before and after that name.
const METHODS_MAX: u64 = 12;
/// `METH_FASTCALL | METH_KEYWORDS`: the second argument is the address of the first that Python passes.
const FAST: u64 = 0x82;

/// The queue of a process's interpreter, which is in the file `interpreter`, named `name` in the process.
pub(super) fn look(pid: u32, interpreter: &Path, name: &Path) -> Option<Queue> {
    let own = inspect(interpreter);
    own.or_else(|| inspect(&memory::module(pid, |path| memory::is_named(path, "_queue."))?))
        .or_else(|| beside(pid, name).iter().find_map(|path| inspect(path)))
}

fn inspect(path: &Path) -> Option<Queue> {
    let file = File::open(path).ok()?;
    let image = Image::open(&file)?;
    let [put, get, get_nowait] = functions(&image)?;
    let mut takes = code::results(&image, get)?;
    takes.extend(code::results(&image, get_nowait)?);
    takes.sort_unstable();
    takes.dedup();
    Some(Queue { path: path.to_owned(), puts: vec![code::argument(&image, put, Register::RSI)?], takes })
}

/// `put`, `get` and `get_nowait`.
fn functions(image: &Image<'_>) -> Option<[u64; 3]> {
    let pointers = image.pointers()?;
    let names = image.find(ONLY);
    let entry = pointers.to(&names)?;
    let first = entry.checked_sub(METHODS_MAX * METHOD_BYTES)?;
    let methods = (0..2 * METHODS_MAX).map(|at| first + at * METHOD_BYTES);
    let method = |name: &[u8]| {
        let mut named = methods.clone().filter(|entry| {
            let text = pointers.at(*entry).and_then(|text| image.bytes(text, name.len() as u64));
            text.is_some_and(|text| text == name)
        });
        named.next().filter(|_| named.next().is_none())
    };
    let put = method(b"put\0")?;
    if image.word(put + FLAGS)? as u32 != FAST as u32 {
        return None;
    }
    let function = |entry: u64| pointers.at(entry + FUNCTION);
    Some([function(put)?, function(method(b"get\0")?)?, function(method(ONLY)?)?])
}

/// The module's file, where interpreters have it: it may not be loaded yet.
fn beside(pid: u32, interpreter: &Path) -> Vec<PathBuf> {
    let Some((folder, version)) = interpreter.parent().zip(version(interpreter)) else { return Vec::new() };
    let folders = [folder.join("../lib"), folder.to_owned(), folder.join("..")];
    let modules = folders.iter().filter_map(|folder| {
        let modules = folder.join(format!("python{version}/lib-dynload"));
        fs::read_dir(memory::within(pid, &modules)?).ok()
    });
    let files = modules.flatten().filter_map(|entry| Some(entry.ok()?.path()));
    files.filter(|path| memory::is_named(path, "_queue.")).collect()
}

/// 3.12 of `python3.12` and `libpython3.12.so.1.0`.
fn version(path: &Path) -> Option<String> {
    let (_, rest) = path.file_name()?.to_str()?.split_once("python3.")?;
    let minor: String = rest.chars().take_while(char::is_ascii_digit).collect();
    (!minor.is_empty()).then(|| format!("3.{minor}"))
}
