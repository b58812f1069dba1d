//! What is known of a Go program from its executable: where goroutines have their numbers, and where to look into its code.
//!
//! Shape: an ELF file → [`Program`], or `None` if it is not Go. What cannot be known is a reason, for `explain`, and costs its own
//! feature only. Read are the section headers, the build information and of the line table the names and the functions: never the
//! whole file. Offsets were measured for each version; a wrong one yields no goroutine number, never a wrong link.
//! Not here: attaching (see `uprobes`). x86-64 only.
mod code;
mod image;
mod lines;
#[cfg(test)]
mod tests;

use image::Image;
use std::fs::File;
use thiserror::Error;
use wirespan_common::policy::GoLayout;

/// Why something is not known of a Go program.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Unknown {
    /// A version that nobody has measured.
    #[error("{0} is not a version whose goroutines are known (go1.21 to go1.26)")]
    Version(String),
    /// Thread-local storage of other libraries, and no symbol to tell where Go's part is.
    #[error(
        "it is linked with thread-local variables of C, and stripped: where it keeps its goroutine cannot be told"
    )]
    ThreadLocals,
    /// The line table is missing, or too large to be looked at.
    #[error("it has no table of functions (.gopclntab) that can be read")]
    NoTable,
    /// The program does not contain the function.
    #[error("it has no function {0}")]
    NoFunction(&'static str),
    /// The code at the function's address is not what such a function begins with.
    #[error("the code of {0} is not as expected")]
    Code(&'static str),
}

/// A Go program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// As `go version` shows it.
    pub version: String,
    /// Where a thread keeps its goroutine, and that its numbers.
    pub identity: Result<GoLayout, Unknown>,
    /// Place of the call for a request by a pooled HTTP/1 client, as an offset in the file.
    pub request: Result<u64, Unknown>,
    /// Place of the birth of a goroutine.
    pub spawn: Result<u64, Unknown>,
}

/// The first minor version of Go 1 with these offsets in `runtime.g`: of `goid`, `parentGoid` and `gopc`.
const OFFSETS: [(u32, [u32; 3]); 4] =
    [(21, [152, 272, 280]), (23, [160, 280, 288]), (25, [152, 272, 280]), (26, [152, 280, 288])];
/// The last version that was measured.
const LAST_MINOR: u32 = 26;

/// Looks at an executable. `None`: it is not Go, or no program that can be read.
#[must_use]
pub fn inspect(file: &File) -> Option<Program> {
    let image = Image::read(file)?;
    let version = image.go_version()?;
    let identity = identity(&image, &version);
    let (request, spawn) = match lines::functions(&image) {
        Some(functions) => (functions.request(&image), functions.spawn(&image)),
        None => (Err(Unknown::NoTable), Err(Unknown::NoTable)),
    };
    Some(Program { version, identity, request, spawn })
}

fn identity(image: &Image<'_>, version: &str) -> Result<GoLayout, Unknown> {
    let [goid, parent, gopc] = offsets(version).ok_or_else(|| Unknown::Version(version.to_owned()))?;
    Ok(GoLayout {
        tls_offset: image.goroutine_slot().ok_or(Unknown::ThreadLocals)?,
        goid_offset: goid,
        parent_goid_offset: parent,
        gopc_offset: gopc,
        reserved: [0; 2],
    })
}

fn offsets(version: &str) -> Option<[u32; 3]> {
    let minor = minor(version).filter(|minor| *minor <= LAST_MINOR)?;
    let (_, offsets) = OFFSETS.iter().rev().find(|(first, _)| *first <= minor)?;
    Some(*offsets)
}

/// The 21 of `go1.21.3`, `go1.21rc2` and `go1.21.3 X:boringcrypto`.
fn minor(version: &str) -> Option<u32> {
    let digits = version.strip_prefix("go1.")?;
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits.get(..end)?.parse().ok()
}
