//! What runs a program, guessed from cheap signs: the executable's name, and one page of its image.
//!
//! Shape: a path → [`Runtime`]. Source: the values that the semantic conventions list for `process.runtime.name`; the note that
//! Go's linker writes (`cmd/link`, type 4, name `Go`). Not here: versions, which need the program's own files.
use super::facts::file_name;
use std::{fs::File, io::Read, path::Path};

/// The notes stand right behind the program headers, before any code.
const IMAGE_HEAD_BYTES: u64 = 4096;
/// `n_type` 4 (little endian), then the NUL-padded name.
const GO_NOTE: &[u8] = b"\x04\0\0\0Go\0\0";

/// A runtime or interpreter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum Runtime {
    /// CPython.
    Python,
    /// PyPy.
    PyPy,
    /// Node.js.
    Node,
    /// Deno.
    Deno,
    /// Bun.
    Bun,
    /// A Java virtual machine.
    Java,
    /// Ruby, MRI.
    Ruby,
    /// PHP, by command line, FPM or CGI.
    Php,
    /// Perl.
    Perl,
    /// .NET.
    Dotnet,
    /// Erlang and what runs on it.
    Beam,
    /// A program that Go's linker made.
    Go,
}

impl Runtime {
    /// By the executable's name, its version cut off: `python3.11` is `python`.
    pub(super) fn of_executable(exe: &str) -> Option<Runtime> {
        Some(match stem(file_name(exe)) {
            "python" => Runtime::Python,
            "pypy" => Runtime::PyPy,
            "node" | "nodejs" => Runtime::Node,
            "deno" => Runtime::Deno,
            "bun" => Runtime::Bun,
            "java" => Runtime::Java,
            "ruby" => Runtime::Ruby,
            "php" | "php-fpm" | "php-cgi" => Runtime::Php,
            "perl" => Runtime::Perl,
            "dotnet" => Runtime::Dotnet,
            "beam.smp" => Runtime::Beam,
            _ => return None,
        })
    }

    /// By the first page of the image.
    pub(super) fn of_image(exe: &Path) -> Option<Runtime> {
        let mut head = Vec::new();
        File::open(exe).ok()?.take(IMAGE_HEAD_BYTES).read_to_end(&mut head).ok()?;
        if !head.starts_with(b"\x7fELF") {
            return None;
        }
        head.windows(GO_NOTE.len()).any(|bytes| bytes == GO_NOTE).then_some(Runtime::Go)
    }

    /// `process.runtime.name`, where the executable alone decides it.
    pub fn name(self) -> &'static str {
        match self {
            Runtime::Python => "cpython",
            Runtime::PyPy => "pypy",
            Runtime::Node => "nodejs",
            Runtime::Deno => "deno",
            Runtime::Bun => "bun",
            Runtime::Java => "java",
            Runtime::Ruby => "ruby",
            Runtime::Php => "php",
            Runtime::Perl => "perl",
            Runtime::Dotnet => "dotnet",
            Runtime::Beam => "BEAM",
            Runtime::Go => "go",
        }
    }
}

/// A program's name without the version that distributions append: `python3.11`, `php-fpm8.2`, `ruby3.1`.
pub(super) fn stem(name: &str) -> &str {
    let cut = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    if cut.is_empty() { name } else { cut.trim_end_matches('-') }
}
